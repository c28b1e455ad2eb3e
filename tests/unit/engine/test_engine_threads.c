// Two shards on threads of their own, flushes in the background, queries all the while; and a disk
// that is really full.
#include "engine_fixture.h"

#include <sys/mount.h>
#include <sys/stat.h>

#define SHARDS 2
#define RUN_NS 1500000000u

// A shard's thread with one request after the other.
struct sender {
    struct fixture own; // its wake-ups; path and options are the first one's
    struct oto_thread thread;
    uint32_t index;
    _Atomic uint64_t acknowledged; // rows
    _Atomic uint64_t sent;
    _Atomic int over; // sends no more, still answers for its shard
    _Atomic int *stop;
};

static void *sender_run(void *state)
{
    struct sender *s = state;
    uint64_t end_ns = oto_clock_monotonic_ns() + RUN_NS;
    for (unsigned i = 0; oto_clock_monotonic_ns() < end_ns; i++) {
        atomic_fetch_add(&s->sent, ROWS_A_REQUEST);
        if (store(&s->own, i % HOURS, i * SHARDS + s->index) == OTO_OK)
            atomic_fetch_add(&s->acknowledged, ROWS_A_REQUEST);
        if (i % 16 == 0)
            oto_shard_tick(s->own.shard);
    }
    atomic_store(&s->over, 1);
    while (!atomic_load(s->stop))
        pump(&s->own);
    return NULL;
}

static uint64_t total(struct sender *senders, int of_sent)
{
    uint64_t rows = 0;
    for (int i = 0; i < SHARDS; i++)
        rows += atomic_load(of_sent ? &senders[i].sent : &senders[i].acknowledged);
    return rows;
}

static uint64_t seen_rows(struct oto_engine *engine)
{
    struct oto_snapshot snapshot;
    struct oto_error err;
    uint64_t rows = 0;
    if (oto_engine_snapshot(engine, 1u << OTO_TABLE_LOGS, INT64_MIN, INT64_MAX, &snapshot, &err) <
        0)
        fail_msg("%s", err.message);
    for (size_t i = 0; i < snapshot.file_count; i++)
        rows += snapshot.files[i].row_count;
    oto_snapshot_release(&snapshot);
    return rows;
}

static void queries_are_exact_while_shards_and_flusher_run(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    static struct sender senders[SHARDS];
    _Atomic int stop = 0;
    uint64_t last = 0, queries = 0;
    f->options.shard_count = SHARDS;
    f->options.flush_rows = 40 * ROWS_A_REQUEST;
    fixture_start(f);
    for (uint32_t i = 0; i < SHARDS; i++) {
        struct sender *s = &senders[i];
        *s = (struct sender){.index = i, .stop = &stop};
        oto_mutex_init(&s->own.lock);
        oto_condition_init(&s->own.woken);
        s->own.engine = f->engine;
        s->own.shard = oto_engine_shard(f->engine, i, fixture_wake, &s->own);
        assert_int_equal(oto_thread_start(&s->thread, "sender", sender_run, s, NULL), OTO_OK);
    }
    while (!atomic_load(&senders[0].over) || !atomic_load(&senders[1].over)) {
        uint64_t before = total(senders, 0);
        uint64_t rows = seen_rows(f->engine);
        uint64_t after = total(senders, 1);
        assert_true(rows >= before && rows <= after && rows >= last);
        last = rows;
        queries++;
    }
    assert_int_equal(seen_rows(f->engine), total(senders, 0));
    assert_true(queries > 3);
    atomic_store(&stop, 1);
    for (int i = 0; i < SHARDS; i++) {
        fixture_wake(&senders[i].own);
        oto_thread_join(&senders[i].thread);
    }
    fixture_drain(f);
    struct disk_rows disk;
    count_disk(f, &disk);
    assert_int_equal(disk.total, total(senders, 0));
    for (int i = 0; i < SHARDS; i++) {
        oto_condition_release(&senders[i].own.woken);
        oto_mutex_release(&senders[i].own.lock);
    }
    fixture_free(f);
}

// --- a full disk ---

static void set_ballast(const struct fixture *f, uint64_t free_wanted)
{
    char path[128];
    struct oto_file file;
    uint64_t free_bytes;
    static uint8_t page[4096];
    snprintf(path, sizeof path, "%s/ballast", f->path);
    assert_int_equal(oto_file_open(&file, path, OTO_FILE_WRITE, NULL), OTO_OK);
    assert_int_equal(oto_disk_free(f->path, &free_bytes, NULL), OTO_OK);
    for (uint64_t at = 0; at + sizeof page + free_wanted <= free_bytes; at += sizeof page)
        assert_int_equal(oto_file_write_at(&file, at, page, sizeof page, NULL), OTO_OK);
    oto_file_close(&file, NULL);
}

static unsigned send_until_refused(struct fixture *f, unsigned first, uint64_t *by_hour)
{
    for (unsigned i = first;; i++) {
        struct request r;
        request_make(&r, i % HOURS, i);
        request_send(f, &r);
        if (request_wait(f, &r) != OTO_OK) {
            assert_true(oto_status_retryable(r.status));
            return i;
        }
        by_hour[i % HOURS] += ROWS_A_REQUEST;
        assert_true(i < first + 50000);
    }
}

static void a_full_disk_loses_nothing_and_heals(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    uint64_t by_hour[HOURS] = {0};
    if (mount("tmpfs", f->path, "tmpfs", 0, "size=24m") != 0) {
        fixture_free(f);
        print_message("needs the right to mount a tmpfs\n");
        skip();
    }
    f->options.flush_rows = 200000; // the log is to fill the disk
    fixture_start(f);
    set_ballast(f, 3u << 20);
    unsigned next = send_until_refused(f, 0, by_hour);
    assert_true(next > 1000);
    assert_int_equal(oto_engine_status(f->engine, NULL, 0), OTO_ENGINE_DISK_FULL);
    set_ballast(f, 16u << 20);
    f->shard->retry_ns = 0;
    oto_shard_tick(f->shard);
    for (unsigned i = next; i < next + 500; i++) {
        assert_int_equal(store(f, i % HOURS, i), OTO_OK);
        by_hour[i % HOURS] += ROWS_A_REQUEST;
    }
    oto_engine_close(f->engine); // all of it through the log
    fixture_start(f);
    fixture_drain(f);
    struct disk_rows disk;
    count_disk(f, &disk);
    assert_memory_equal(disk.by_hour, by_hour, sizeof by_hour);
    assert_int_equal(umount(f->path), 0);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(queries_are_exact_while_shards_and_flusher_run),
        cmocka_unit_test(a_full_disk_loses_nothing_and_heals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
