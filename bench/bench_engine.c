// folders: engine
// How the engine scales with its shards, without a network: each of THREADS threads replays its
// part of a file of frames (big-endian u32 length, then the request) into a shard of its own, some
// requests under way at a time, and all rows go to files. What the process used is divided by the
// records; a lock that does not scale shows as more CPU a record, or as idle cores.
//   bench_engine logs|traces|metrics FILE FOLDER THREADS [IN_FLIGHT]
#include "bench.h"
#include "engine/engine.h"
#include "os/clock.h"
#include "os/thread.h"
#include <sys/resource.h>
#include <unistd.h>

#define IN_FLIGHT_MAX 64

struct request {
    struct oto_ingest ingest;
    struct feeder *feeder;
    int is_busy;
};

// One thread and its shard.
struct feeder {
    struct oto_thread thread;
    struct oto_mutex lock;
    struct oto_condition woken;
    int wakes;
    struct oto_shard *shard;
    struct oto_bytes file;
    enum oto_signal signal;
    unsigned index, count; // of feeders
    unsigned in_flight, busy;
    uint64_t requests, records, refused;
    struct request slots[IN_FLIGHT_MAX];
};

static void wake(void *state)
{
    struct feeder *f = state;
    oto_mutex_lock(&f->lock);
    f->wakes++;
    oto_condition_signal(&f->woken);
    oto_mutex_unlock(&f->lock);
}

static void done(struct oto_ingest *ingest, enum oto_status status, const struct oto_error *err)
{
    struct request *request = (struct request *)(void *)ingest;
    struct feeder *f = request->feeder;
    (void)err;
    request->is_busy = 0;
    f->busy--;
    if (status == OTO_OK)
        f->records += ingest->result.accepted;
    else
        f->refused++;
}

static void wait_for_wake(struct feeder *f)
{
    oto_mutex_lock(&f->lock);
    while (f->wakes == 0)
        oto_condition_wait(&f->woken, &f->lock);
    f->wakes = 0;
    oto_mutex_unlock(&f->lock);
    oto_shard_poll(f->shard);
}

// A refused request is sent again after a while, as a client would.
static void send_one(struct feeder *f, struct oto_bytes payload)
{
    for (;;) {
        while (f->busy == f->in_flight)
            wait_for_wake(f);
        struct request *slot = f->slots;
        while (slot->is_busy)
            slot++;
        uint64_t refused = f->refused;
        *slot = (struct request){.feeder = f, .is_busy = 1};
        slot->ingest.signal = f->signal;
        slot->ingest.payload = payload;
        slot->ingest.done = done;
        f->busy++;
        oto_shard_ingest(f->shard, &slot->ingest);
        if (f->refused == refused)
            return;
        usleep(1000);
        oto_shard_poll(f->shard);
    }
}

static void *feed(void *state)
{
    struct feeder *f = state;
    const uint8_t *at = f->file.data, *end = at + f->file.size;
    for (unsigned number = 0; end - at >= 4; number++) {
        size_t size = (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | at[3];
        if (number % f->count == f->index) {
            send_one(f, oto_bytes(at + 4, size));
            f->requests++;
        }
        at += 4 + size;
    }
    while (f->busy > 0)
        wait_for_wake(f);
    return NULL;
}

static double cpu_seconds(const struct rusage *usage)
{
    return (double)(usage->ru_utime.tv_sec + usage->ru_stime.tv_sec) +
           (double)(usage->ru_utime.tv_usec + usage->ru_stime.tv_usec) / 1e6;
}

static void print_result(const struct feeder *feeders, unsigned count, double seconds,
                         const struct rusage *before, const struct rusage *after)
{
    uint64_t requests = 0, records = 0, refused = 0;
    for (unsigned i = 0; i < count; i++) {
        requests += feeders[i].requests;
        records += feeders[i].records;
        refused += feeders[i].refused;
    }
    double cpu = cpu_seconds(after) - cpu_seconds(before);
    printf("{\"threads\": %u, \"requests\": %llu, \"records\": %llu, \"refused\": %llu, "
           "\"seconds\": %.3f, \"cpu_seconds\": %.3f, \"cpu_ns_a_record\": %.0f, "
           "\"waits\": %ld, \"faults\": %ld}\n",
           count, (unsigned long long)requests, (unsigned long long)records,
           (unsigned long long)refused, seconds, cpu, cpu * 1e9 / (double)records,
           after->ru_nvcsw - before->ru_nvcsw, after->ru_minflt - before->ru_minflt);
}

int main(int argc, char **argv)
{
    struct oto_engine_options options;
    struct oto_engine *engine;
    struct oto_error err;
    struct rusage before, after;
    oto_engine_options_default(&options);
    if (argc < 5)
        return 2;
    struct oto_bytes file = bench_read_file(argv[2]);
    unsigned count = (unsigned)atoi(argv[4]), in_flight = argc > 5 ? (unsigned)atoi(argv[5]) : 8;
    if (!file.size || count == 0 || in_flight == 0 || in_flight > IN_FLIGHT_MAX)
        return 2;
    options.data_path = argv[3];
    options.shard_count = count;
    struct feeder *feeders = calloc(count, sizeof *feeders);
    if (!feeders || oto_engine_open(&options, &engine, &err) < 0 ||
        oto_engine_recover(engine, &err) < 0)
        return 1;
    getrusage(RUSAGE_SELF, &before);
    uint64_t begun_ns = oto_clock_monotonic_ns();
    for (unsigned i = 0; i < count; i++) {
        struct feeder *f = &feeders[i];
        *f = (struct feeder){.file = file, .index = i, .count = count, .in_flight = in_flight};
        f->signal = argv[1][0] == 'l'   ? OTO_SIGNAL_LOGS
                    : argv[1][0] == 't' ? OTO_SIGNAL_TRACES
                                        : OTO_SIGNAL_METRICS;
        oto_mutex_init(&f->lock);
        oto_condition_init(&f->woken);
        f->shard = oto_engine_shard(engine, i, wake, f);
        if (oto_thread_start(&f->thread, "feeder", feed, f, &err) < 0)
            return 1;
    }
    for (unsigned i = 0; i < count; i++)
        oto_thread_join(&feeders[i].thread);
    if (oto_engine_drain(engine, &err) < 0)
        return 1;
    double seconds = (double)(oto_clock_monotonic_ns() - begun_ns) / 1e9;
    getrusage(RUSAGE_SELF, &after);
    print_result(feeders, count, seconds, &before, &after);
    oto_engine_close(engine);
    return 0;
}
