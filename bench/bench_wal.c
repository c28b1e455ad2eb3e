// folders: wal
// The write-ahead log, a record an item: staging as the shard's thread has it (groups of 64
// records, each waited for), and a record's header and checksum. How: bench.h.
#include "bench.h"
#include "os/file.h"
#include "os/thread.h"
#include "wal/wal_format.h"
#include <unistd.h>

enum { GROUP = 256, GROUPS = 4, RECORD_SIZE = 707, LARGE_SIZE = 64 << 10 };

struct log {
    struct oto_wal *wal;
    struct oto_mutex lock;
    struct oto_condition changed;
    uint64_t durable_seq, last_seq;
    struct oto_bytes payload;
    uint8_t encoded[LARGE_SIZE + 64];
    uint8_t bytes[LARGE_SIZE];
};

static void on_committed(void *state, uint64_t durable_seq, enum oto_status status,
                         const struct oto_error *err)
{
    struct log *log = state;
    (void)err;
    bench_must(status);
    oto_mutex_lock(&log->lock);
    log->durable_seq = durable_seq;
    oto_condition_signal(&log->changed);
    oto_mutex_unlock(&log->lock);
}

static void run_append(void *state)
{
    struct log *log = state;
    for (int i = 0; i < GROUP; i++)
        bench_must(oto_wal_append(log->wal, 0, 0, 1, log->payload, &log->last_seq, NULL));
}

static void append_round(struct bench *b, void *state)
{
    struct log *log = state;
    for (int i = 0; i < GROUPS; i++) {
        bench_measure(b, run_append, log);
        oto_mutex_lock(&log->lock);
        while (log->durable_seq < log->last_seq)
            oto_condition_wait(&log->changed, &log->lock);
        oto_mutex_unlock(&log->lock);
        bench_must(oto_wal_checkpoint(log->wal, log->last_seq, log->last_seq, NULL));
        bench_must(oto_wal_trim(log->wal, NULL));
    }
}

static void run_encode(void *state)
{
    struct log *log = state;
    struct oto_wal_record record = {.seq = 1, .received_ns = 1, .payload = log->payload};
    for (int i = 0; i < GROUP; i++) {
        oto_wal_record_encode(&record, 42, log->encoded);
    }
}

static void remove_folder(const char *path)
{
    char name[256];
    snprintf(name, sizeof name, "rm -rf '%s'", path);
    if (system(name) != 0)
        perror(path);
}

int main(int argc, char **argv)
{
    struct bench b = bench_of(argc, argv);
    static struct log log;
    char path[] = "/tmp/bench-wal-XXXXXX";
    struct oto_wal_options options;
    oto_wal_options_default(&options);
    options.committed = on_committed;
    options.state = &log;
    options.durability = OTO_DURABILITY_INTERVAL;
    oto_mutex_init(&log.lock);
    oto_condition_init(&log.changed);
    if (!mkdtemp(path))
        return 1;
    bench_must(oto_wal_open(path, &options, &log.wal, NULL));
    bench_must(oto_wal_start(log.wal, NULL));
    log.payload = oto_bytes(log.bytes, RECORD_SIZE);
    bench_case(&b, "append_707_bytes", GROUP * GROUPS, append_round, &log);
    bench_run(&b, "encode_and_seal_707_bytes", GROUP, run_encode, &log);
    log.payload = oto_bytes(log.bytes, LARGE_SIZE);
    bench_case(&b, "append_64_kib", GROUP * GROUPS, append_round, &log);
    bench_run(&b, "encode_and_seal_64_kib", GROUP, run_encode, &log);
    bench_must(oto_wal_close(log.wal, NULL));
    remove_folder(path);
    return 0;
}
