// What was acknowledged is there once, wherever the process dies: every step of a flush, during
// recovery too, and in between.
#include "engine_fixture.h"

#include <sys/mman.h>
#include <sys/wait.h>

// Shared with the child that dies.
struct ledger {
    int acknowledged[HOURS];
    int reached_end;
};

struct death {
    enum oto_flush_point point;
    int occurrence; // at its n-th passing
};

static void maybe_die(void *state, enum oto_flush_point point)
{
    struct death *death = state;
    if (point == death->point && --death->occurrence == 0)
        _exit(77);
}

static struct ledger *ledger_new(void)
{
    struct ledger *ledger =
        mmap(NULL, sizeof *ledger, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(ledger != MAP_FAILED);
    return ledger;
}

static void send_hours(struct fixture *f, struct ledger *ledger, unsigned first, unsigned count)
{
    for (unsigned hour = first; hour < first + count; hour++)
        if (store(f, hour, 0) == OTO_OK)
            ledger->acknowledged[hour] = 1;
}

// In a child: start (recovering), send, drain; dies at the given point of a flush.
static int run_child(struct fixture *f, struct ledger *ledger, struct death death, unsigned first,
                     unsigned count)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        fixture_open(f);
        f->engine->hook = maybe_die;
        f->engine->hook_state = &death;
        fixture_recover(f);
        send_hours(f, ledger, first, count);
        fixture_drain(f);
        ledger->reached_end = 1;
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void recover_and_drain(struct fixture *f)
{
    fixture_start(f);
    fixture_drain(f);
}

static void assert_each_acknowledged_row_once(struct fixture *f, const struct ledger *ledger)
{
    struct disk_rows disk;
    count_disk(f, &disk);
    for (int hour = 0; hour < HOURS; hour++) {
        uint64_t rows = disk.by_hour[hour];
        if (ledger->acknowledged[hour])
            assert_int_equal(rows, ROWS_A_REQUEST);
        else
            assert_true(rows == 0 || rows == ROWS_A_REQUEST);
    }
}

static void a_clean_end_leaves_files_and_an_empty_log(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct ledger *ledger = ledger_new();
    struct oto_engine_stats stats;
    fixture_start(f);
    send_hours(f, ledger, 0, 10);
    fixture_drain(f);
    assert_each_acknowledged_row_once(f, ledger);
    fixture_start(f);
    oto_engine_stats(f->engine, &stats);
    assert_int_equal(stats.recovered_records, 0);
    assert_true(stats.files[OTO_TABLE_LOGS] >= 10);
    fixture_drain(f);
    munmap(ledger, sizeof *ledger);
    fixture_free(f);
}

static void a_death_at_any_step_of_a_flush_loses_and_doubles_nothing(void **state)
{
    (void)state;
    for (int point = 0; point < OTO_FLUSH_POINT_COUNT; point++) {
        for (int occurrence = 1; occurrence <= 3; occurrence++) {
            struct fixture *f = fixture_new();
            struct ledger *ledger = ledger_new();
            struct death death = {.point = (enum oto_flush_point)point, .occurrence = occurrence};
            assert_int_equal(run_child(f, ledger, death, 0, 14), 77);
            recover_and_drain(f);
            assert_each_acknowledged_row_once(f, ledger);
            recover_and_drain(f);
            assert_each_acknowledged_row_once(f, ledger);
            munmap(ledger, sizeof *ledger);
            fixture_free(f);
        }
    }
}

static void a_death_during_recovery_loses_and_doubles_nothing(void **state)
{
    (void)state;
    for (int point = 0; point < OTO_FLUSH_TRIMMED; point++) {
        struct fixture *f = fixture_new();
        struct ledger *ledger = ledger_new();
        struct death first = {.point = OTO_FLUSH_FILE_WRITTEN, .occurrence = 2};
        struct death second = {.point = (enum oto_flush_point)point, .occurrence = 1};
        assert_int_equal(run_child(f, ledger, first, 0, 14), 77);
        assert_int_equal(run_child(f, ledger, second, 20, 14), 77);
        assert_int_equal(run_child(f, ledger, second, 40, 14), 77);
        recover_and_drain(f);
        assert_each_acknowledged_row_once(f, ledger);
        munmap(ledger, sizeof *ledger);
        fixture_free(f);
    }
}

static void a_retry_after_a_death_is_recognised(void **state)
{
    (void)state;
    for (int point = 0; point < OTO_FLUSH_POINT_COUNT; point++) {
        struct fixture *f = fixture_new();
        struct ledger *ledger = ledger_new();
        struct death death = {.point = (enum oto_flush_point)point, .occurrence = 2};
        struct oto_engine_stats stats;
        assert_int_equal(run_child(f, ledger, death, 0, 14), 77);
        fixture_start(f);
        // The answers got lost: the client sends all again.
        uint64_t known = 0;
        for (unsigned hour = 0; hour < 14; hour++)
            known += ledger->acknowledged[hour] != 0;
        assert_true(known > 0);
        send_hours(f, ledger, 0, 14);
        oto_engine_stats(f->engine, &stats);
        assert_true(stats.deduplicated[OTO_SIGNAL_LOGS] >= known * ROWS_A_REQUEST);
        assert_int_equal(stats.received[OTO_SIGNAL_LOGS], 14 * ROWS_A_REQUEST);
        fixture_drain(f);
        assert_each_acknowledged_row_once(f, ledger);
        munmap(ledger, sizeof *ledger);
        fixture_free(f);
    }
}

// What one life of the server took for two requests is two in the next.
static void equal_requests_that_were_stored_twice_stay_two(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct disk_rows disk;
    f->options.dedup_window_ms = 0;
    fixture_start(f);
    assert_int_equal(store(f, 1, 0), OTO_OK);
    assert_int_equal(store(f, 1, 0), OTO_OK);
    oto_engine_close(f->engine); // no drain: the rows are in the log only
    f->options.dedup_window_ms = 600000;
    recover_and_drain(f);
    count_disk(f, &disk);
    assert_int_equal(disk.by_hour[1], 2 * ROWS_A_REQUEST);
    fixture_free(f);
}

#define MINUTE_NS UINT64_C(60000000000)

// As a server would have logged it so many minutes ago.
static void append_salted(const struct fixture *f, unsigned shard, unsigned hour, unsigned salt,
                          uint8_t flags, unsigned minutes)
{
    char path[128];
    struct request r;
    struct oto_wal *wal;
    uint64_t seq;
    request_make(&r, hour, salt);
    snprintf(path, sizeof path, "%s/wal/%u", f->path, shard);
    assert_int_equal(oto_wal_open(path, &f->options.wal, &wal, NULL), OTO_OK);
    assert_int_equal(oto_wal_start(wal, NULL), OTO_OK);
    assert_int_equal(oto_wal_append(wal, OTO_SIGNAL_LOGS, flags,
                                    oto_clock_wall_ns() - minutes * MINUTE_NS,
                                    oto_bytes(r.bytes, r.size), &seq, NULL),
                     OTO_OK);
    assert_int_equal(oto_wal_close(wal, NULL), OTO_OK);
}

static void append_record(const struct fixture *f, unsigned shard, unsigned hour, uint8_t flags,
                          unsigned minutes)
{
    append_salted(f, shard, hour, 0, flags, minutes);
}

static void a_copy_that_was_refused_and_came_again_is_stored_once(void **state)
{
    (void)state;
    static const struct {
        struct {
            uint8_t flags;
            unsigned minutes;
        } records[3]; // of a log each
        int copies;
    } cases[] = {
        {{{0, 2}, {OTO_RECORD_RESENT, 1}, {0, 30}}, 2}, // the last is a request of its own
        {{{OTO_RECORD_RESENT, 1}, {0, 2}, {0, 30}}, 2},
        {{{OTO_RECORD_RESENT, 1}, {OTO_RECORD_RESENT, 2}, {0, 3}}, 1}, // refused twice
        {{{0, 3}, {OTO_RECORD_RESENT, 2}, {OTO_RECORD_RESENT, 1}}, 1},
        {{{0, 40}, {OTO_RECORD_RESENT, 1}, {0, 20}}, 3}, // the refused copy is gone
        {{{0, 3}, {0, 2}, {0, 1}}, 3},                   // each was new when it was logged
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct fixture *f = fixture_new();
        struct disk_rows disk;
        f->options.shard_count = 3;
        fixture_start(f);
        fixture_drain(f);
        for (unsigned shard = 0; shard < 3; shard++)
            append_record(f, shard, 1, cases[i].records[shard].flags,
                          cases[i].records[shard].minutes);
        recover_and_drain(f);
        count_disk(f, &disk);
        assert_int_equal(disk.by_hour[1], cases[i].copies * ROWS_A_REQUEST);
        fixture_free(f);
    }
}

// The log of a shard that failed still has what came again to another, which is in files.
static void a_copy_of_what_is_in_files_is_not_stored_again(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct disk_rows disk;
    struct request r;
    f->options.shard_count = 2;
    request_make(&r, 1, 0);
    struct oto_hash128 hash = oto_request_hash(OTO_SIGNAL_LOGS, oto_bytes(r.bytes, r.size));
    struct oto_dedup_entry refused = {
        .hash_low = hash.low, .hash_high = hash.high, .received_ns = oto_clock_wall_ns()};
    fixture_start(f);
    oto_dedup_begin(f->engine->dedup, &refused);
    oto_dedup_refuse(f->engine->dedup, hash.low, hash.high);
    f->shard = oto_engine_shard(f->engine, 1, fixture_wake, f);
    assert_int_equal(store(f, 1, 0), OTO_OK);
    fixture_drain(f);
    append_record(f, 0, 1, 0, 0);
    recover_and_drain(f);
    count_disk(f, &disk);
    assert_int_equal(disk.by_hour[1], ROWS_A_REQUEST);
    fixture_free(f);
}

// A recovery that dies once the one is in files finds the other next time, long past the window.
static void a_copy_is_left_out_after_a_death_during_a_late_recovery(void **state)
{
    (void)state;
    for (uint32_t resent = 0; resent < 2; resent++) {
        struct fixture *f = fixture_new();
        struct ledger *ledger = ledger_new();
        struct death death = {.point = OTO_FLUSH_MARKED, .occurrence = 1};
        struct disk_rows disk;
        f->options.shard_count = 2;
        fixture_start(f);
        fixture_drain(f);
        append_record(f, resent, 1, OTO_RECORD_RESENT, 60);
        append_record(f, 1 - resent, 1, 0, 61);
        assert_int_equal(run_child(f, ledger, death, 2, 1), 77);
        count_disk(f, &disk);
        assert_int_equal(disk.by_hour[1], ROWS_A_REQUEST);
        recover_and_drain(f);
        count_disk(f, &disk);
        assert_int_equal(disk.by_hour[1], ROWS_A_REQUEST);
        munmap(ledger, sizeof *ledger);
        fixture_free(f);
    }
}

// What a begun flush is made of anew may begin later, for one of its requests is in another log:
// the file of before goes, also where the recovery dies or cannot remove it.
static void a_flush_that_is_done_again_with_less_leaves_nothing_twice(void **state)
{
    (void)state;
    for (int point = OTO_FLUSH_CUT_MARKED; point < OTO_FLUSH_POINT_COUNT; point++) {
        struct fixture *f = fixture_new();
        struct ledger *ledger = ledger_new();
        struct death first = {.point = OTO_FLUSH_DEDUP_SAVED, .occurrence = 1};
        struct death second = {.point = (enum oto_flush_point)point, .occurrence = 2};
        struct disk_rows disk;
        f->options.shard_count = 2;
        fixture_start(f);
        fixture_drain(f);
        append_record(f, 1, 1, OTO_RECORD_RESENT, 1);
        append_salted(f, 1, 1, 1, 0, 1); // its times are later
        assert_int_equal(run_child(f, ledger, first, 2, 0), 77);
        append_record(f, 0, 1, 0, 2);
        run_child(f, ledger, second, 2, 0);
        recover_and_drain(f);
        count_disk(f, &disk);
        assert_int_equal(disk.by_hour[1], 2 * ROWS_A_REQUEST);
        munmap(ledger, sizeof *ledger);
        fixture_free(f);
    }
}

// Stored ones, besides those that requests of a test make.
static void make_known(struct fixture *f, uint32_t count)
{
    for (uint32_t i = 1; i <= count; i++) {
        struct oto_dedup_entry entry = {.hash_low = i * UINT64_C(0x9E3779B97F4A7C15),
                                        .hash_high = i,
                                        .received_ns = oto_clock_wall_ns()};
        oto_dedup_begin(f->engine->dedup, &entry);
        oto_dedup_settle(f->engine->dedup, &entry);
    }
}

static uint32_t count_known(const struct fixture *f)
{
    char path[128];
    uint8_t head[16];
    struct oto_file file;
    snprintf(path, sizeof path, "%s/wal/0/dedup", f->path);
    assert_int_equal(oto_file_open(&file, path, OTO_FILE_READ, NULL), OTO_OK);
    assert_int_equal(oto_file_read_at(&file, 0, head, sizeof head, NULL, NULL), OTO_OK);
    assert_int_equal(oto_file_close(&file, NULL), OTO_OK);
    return oto_load32(head + 12);
}

// Its server may have had more memory than it has.
static void a_tool_forgets_none_of_many_requests(void **state)
{
    (void)state;
    enum { MANY = 300000 };
    struct fixture *f = fixture_new();
    uint64_t memory_limit_bytes = f->options.memory_limit_bytes;
    f->options.memory_limit_bytes = UINT64_C(1) << 30;
    fixture_start(f);
    make_known(f, MANY);
    assert_int_equal(store(f, 1, 0), OTO_OK);
    fixture_drain(f);
    assert_int_equal(count_known(f), MANY + 1);
    append_record(f, 0, 2, 0, 1); // what a flush of the tool's own is made of
    f->options.memory_limit_bytes = memory_limit_bytes;
    f->options.shard_count = 0;
    fixture_open(f);
    assert_int_equal(oto_engine_recover(f->engine, NULL), OTO_OK);
    oto_engine_close(f->engine);
    assert_int_equal(count_known(f), MANY + 2);
    fixture_free(f);
}

// Where the file's bytes hold the first of shard 0's log records after a number of others.
static size_t find_record(const uint8_t *bytes, size_t size, unsigned index)
{
    size_t at = 4096;
    for (; at + 4 <= size; at += 8)
        if (memcmp(bytes + at, "OTLR", 4) == 0 && index-- == 0)
            return at;
    fail_msg("the log has too few records");
    return 0;
}

// In a child that dies at that point of its first flush: requests of the hours 1 to `hours` in
// turn. How many of each hour were acknowledged: ret_acknowledged[hour].
static void store_until_death(struct fixture *f, enum oto_flush_point point, unsigned hours,
                              unsigned *ret_acknowledged)
{
    struct ledger *ledger = ledger_new();
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        struct death death = {.point = point, .occurrence = 1};
        fixture_open(f);
        f->engine->hook = maybe_die;
        f->engine->hook_state = &death;
        fixture_recover(f);
        for (unsigned i = 0; i < HOURS; i++)
            if (store(f, 1 + i % hours, i / hours) == OTO_OK)
                ledger->acknowledged[i] = 1;
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 77);
    for (unsigned hour = 1; hour <= hours; hour++)
        ret_acknowledged[hour] = 0;
    for (unsigned i = 0; i < HOURS; i++)
        ret_acknowledged[1 + i % hours] += ledger->acknowledged[i] != 0;
    munmap(ledger, sizeof *ledger);
}

// One bit of a record, or (index ALL_RECORDS) all bytes of all.
#define ALL_RECORDS 4u
static void damage_log(const struct fixture *f, unsigned index)
{
    char path[128];
    struct oto_file file;
    uint64_t size;
    snprintf(path, sizeof path, "%s/wal/0/0000000000000001.wal", f->path);
    assert_int_equal(oto_file_open(&file, path, OTO_FILE_UPDATE, NULL), OTO_OK);
    assert_int_equal(oto_file_size(&file, &size, NULL), OTO_OK);
    uint8_t *bytes = malloc(size);
    assert_int_equal(oto_file_read_at(&file, 0, bytes, size, NULL, NULL), OTO_OK);
    size_t at = find_record(bytes, size, index == ALL_RECORDS ? 0 : index);
    if (index == ALL_RECORDS)
        memset(bytes + at, 0, size - at);
    else
        bytes[at + 60] ^= 1;
    assert_int_equal(oto_file_write_at(&file, 0, bytes, size, NULL), OTO_OK);
    free(bytes);
    assert_int_equal(oto_file_close(&file, NULL), OTO_OK);
}

// A file that a flush wrote whole before a crash stays, though the log that it would be written
// from again has lost some of its requests.
static void a_file_outlives_the_log_that_is_damaged(void **state)
{
    (void)state;
    enum { IN_FILE = 4 };
    for (unsigned damaged = 0; damaged <= ALL_RECORDS; damaged++) {
        struct fixture *f = fixture_new();
        struct disk_rows disk;
        unsigned by_hour[2];
        store_until_death(f, OTO_FLUSH_DEDUP_SAVED, 1, by_hour);
        unsigned acknowledged = by_hour[1];
        assert_true(acknowledged >= IN_FILE);
        damage_log(f, damaged);
        recover_and_drain(f);
        count_disk(f, &disk);
        assert_true(disk.by_hour[1] >=
                    (damaged == ALL_RECORDS ? IN_FILE : acknowledged) * ROWS_A_REQUEST);
        assert_true(disk.by_hour[1] <= (acknowledged + 1) * ROWS_A_REQUEST); // the one under way
        fixture_free(f);
    }
}

// Of a flush of two hours one has its file: its rows are there once, and of the other's those that
// the log still has.
static void the_files_of_half_a_flush_outlive_the_log_that_is_damaged(void **state)
{
    (void)state;
    for (unsigned damaged = 0; damaged < ALL_RECORDS; damaged++) {
        struct fixture *f = fixture_new();
        struct disk_rows disk;
        unsigned acknowledged[3];
        store_until_death(f, OTO_FLUSH_FILE_WRITTEN, 2, acknowledged);
        assert_true(acknowledged[1] >= 2 && acknowledged[2] >= 2);
        damage_log(f, damaged);
        recover_and_drain(f);
        count_disk(f, &disk);
        for (unsigned hour = 1; hour <= 2; hour++) {
            unsigned lost = hour == 2 && damaged % 2 == 1;
            assert_true(disk.by_hour[hour] >= (acknowledged[hour] - lost) * ROWS_A_REQUEST);
            assert_true(disk.by_hour[hour] <= (acknowledged[hour] + 1 - lost) * ROWS_A_REQUEST);
        }
        assert_true(disk.total <=
                    (acknowledged[1] + acknowledged[2] + 1 - damaged % 2) * ROWS_A_REQUEST);
        fixture_free(f);
    }
}

static void logs_of_shards_that_are_gone_are_recovered_and_removed(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    char path[128];
    f->options.shard_count = 3;
    fixture_start(f);
    for (unsigned i = 0; i < 3; i++) {
        f->shard = oto_engine_shard(f->engine, i, fixture_wake, f);
        assert_int_equal(store(f, i, 0), OTO_OK);
    }
    oto_engine_close(f->engine); // no drain: the rows are in the logs only
    struct disk_rows disk;
    count_disk(f, &disk);
    assert_int_equal(disk.total, 0);
    f->options.shard_count = 1;
    recover_and_drain(f);
    count_disk(f, &disk);
    for (int hour = 0; hour < 3; hour++)
        assert_int_equal(disk.by_hour[hour], ROWS_A_REQUEST);
    snprintf(path, sizeof path, "%s/wal/2", f->path);
    assert_int_equal(access(path, F_OK), -1);
    fixture_start(f);
    assert_int_equal(store(f, 9, 0), OTO_OK);
    assert_int_equal(store(f, 2, 0), OTO_OK); // still known, though its log is gone
    fixture_drain(f);
    count_disk(f, &disk);
    assert_int_equal(disk.by_hour[2], ROWS_A_REQUEST);
    // A shard that comes back does not take the names of its old files.
    f->options.shard_count = 3;
    fixture_start(f);
    f->shard = oto_engine_shard(f->engine, 2, fixture_wake, f);
    assert_int_equal(store(f, 2, 1), OTO_OK);
    fixture_drain(f);
    count_disk(f, &disk);
    assert_int_equal(disk.by_hour[2], 2 * ROWS_A_REQUEST);
    fixture_free(f);
}

// Neither the end of the server that removed the log nor one before anything is flushed changes
// that.
static void requests_of_a_log_that_is_gone_stay_known(void **state)
{
    (void)state;
    for (int ends_cleanly = 0; ends_cleanly < 2; ends_cleanly++) {
        struct fixture *f = fixture_new();
        struct disk_rows disk;
        f->options.shard_count = 2;
        fixture_start(f);
        for (unsigned i = 0; i < 2; i++) {
            f->shard = oto_engine_shard(f->engine, i, fixture_wake, f);
            assert_int_equal(store(f, i, 0), OTO_OK);
        }
        fixture_drain(f);
        f->options.shard_count = 1;
        fixture_start(f);
        if (ends_cleanly)
            fixture_drain(f);
        else
            oto_engine_close(f->engine);
        fixture_start(f);
        for (unsigned i = 0; i < 2; i++)
            assert_int_equal(store(f, i, 0), OTO_OK);
        fixture_drain(f);
        count_disk(f, &disk);
        assert_int_equal(disk.total, 2 * ROWS_A_REQUEST);
        fixture_free(f);
    }
}

static void a_log_larger_than_a_flush_is_recovered_in_pieces(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct oto_engine_stats stats;
    struct disk_rows disk;
    f->options.flush_rows = 1000;
    fixture_start(f);
    for (unsigned hour = 0; hour < 40; hour++)
        assert_int_equal(store(f, hour, 0), OTO_OK);
    oto_engine_close(f->engine);
    f->options.flush_rows = 4 * ROWS_A_REQUEST;
    fixture_start(f);
    oto_engine_stats(f->engine, &stats);
    assert_int_equal(stats.recovered_records, 40);
    assert_int_equal(stats.flushes, 5); // two segments' rows in each
    fixture_drain(f);
    count_disk(f, &disk);
    for (int hour = 0; hour < 40; hour++)
        assert_int_equal(disk.by_hour[hour], ROWS_A_REQUEST);
    fixture_free(f);
}

// While one piece goes into files the next is decoded; the next life may cut its pieces elsewhere.
static void a_death_between_pieces_loses_and_doubles_nothing(void **state)
{
    (void)state;
    for (int point = 0; point < OTO_FLUSH_TRIMMED; point++) {
        for (int occurrence = 1; occurrence <= 4; occurrence += 3) {
            struct fixture *f = fixture_new();
            struct ledger *ledger = ledger_new();
            struct death death = {.point = (enum oto_flush_point)point, .occurrence = occurrence};
            f->options.flush_rows = 1000;
            fixture_start(f);
            send_hours(f, ledger, 0, 40);
            oto_engine_close(f->engine);
            f->options.flush_rows = 2 * ROWS_A_REQUEST;
            assert_int_equal(run_child(f, ledger, death, 40, 10), 77);
            f->options.flush_rows = 3 * ROWS_A_REQUEST;
            recover_and_drain(f);
            for (int hour = 0; hour < 40; hour++)
                assert_int_equal(ledger->acknowledged[hour], 1);
            assert_each_acknowledged_row_once(f, ledger);
            munmap(ledger, sizeof *ledger);
            fixture_free(f);
        }
    }
}

static void an_unreadable_record_is_kept_aside(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    char path[128];
    struct disk_rows disk;
    struct oto_wal *wal;
    uint64_t seq;
    fixture_start(f);
    assert_int_equal(store(f, 1, 0), OTO_OK);
    oto_engine_close(f->engine);
    snprintf(path, sizeof path, "%s/wal/0", f->path);
    assert_int_equal(oto_wal_open(path, &f->options.wal, &wal, NULL), OTO_OK);
    assert_int_equal(oto_wal_start(wal, NULL), OTO_OK);
    assert_int_equal(oto_wal_append(wal, 0, 0, 5, OTO_BYTES_LITERAL("\xff\xff poison"), &seq, NULL),
                     OTO_OK);
    assert_int_equal(oto_wal_close(wal, NULL), OTO_OK);
    fixture_start(f);
    assert_int_equal(store(f, 2, 0), OTO_OK);
    fixture_drain(f);
    count_disk(f, &disk);
    assert_int_equal(disk.by_hour[1], ROWS_A_REQUEST);
    assert_int_equal(disk.by_hour[2], ROWS_A_REQUEST);
    snprintf(path, sizeof path, "%s/wal/quarantine/0-2.bin", f->path);
    assert_int_equal(access(path, F_OK), 0);
    fixture_free(f);
}

// Gives the request's records a resource with an attribute.
static void share_attribute(struct request *r)
{
    static const uint8_t resource[] = "\x0a\x0a\x0a\x08\x0a\x01k\x12\x03\x0a\x01v";
    uint8_t group[sizeof r->bytes];
    size_t head = r->bytes[1] & 128 ? 3 : 2, size = sizeof resource - 1;
    memcpy(group, resource, size);
    memcpy(group + size, r->bytes + head, r->size - head);
    r->size = put_message(r->bytes, 1, group, size + r->size - head);
}

// Limits are for what comes; what came and was acknowledged is kept.
static void a_record_past_a_later_limit_is_recovered(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct request r;
    struct disk_rows disk;
    fixture_start(f);
    request_make(&r, 1, 0);
    share_attribute(&r);
    request_send(f, &r);
    assert_int_equal(request_wait(f, &r), OTO_OK);
    assert_int_equal(r.ingest.result.shared_values, ROWS_A_REQUEST);
    oto_engine_close(f->engine);
    f->options.otlp.shared_values_max = 1;
    fixture_start(f);
    request_make(&r, 2, 0);
    share_attribute(&r);
    request_send(f, &r);
    assert_int_equal(request_wait(f, &r), OTO_INVALID);
    fixture_drain(f);
    count_disk(f, &disk);
    assert_int_equal(disk.by_hour[1], ROWS_A_REQUEST);
    assert_int_equal(disk.by_hour[2], 0);
    fixture_free(f);
}

// All records of a flush that had begun go into files together, however many a smaller memory limit
// would take at once.
static void a_flush_begun_under_a_larger_memory_limit_is_recovered(void **state)
{
    (void)state;
    enum { RECORDS = 3500, BODY_BYTES = 12000 };
    static const uint8_t fields[] = {1, 5, 2, 2, 1}; // text, body, record, scope, resource
    const uint64_t received_ns = (uint64_t)BASE_HOUR * 3600000000000u;
    static uint8_t bytes[BODY_BYTES + 64], inner[sizeof bytes];
    struct fixture *f = fixture_new();
    struct disk_rows disk;
    struct oto_wal *wal;
    uint64_t seq = 0;
    char path[128];
    fixture_start(f);
    oto_engine_close(f->engine);
    snprintf(path, sizeof path, "%s/wal/0", f->path);
    assert_int_equal(oto_wal_open(path, &f->options.wal, &wal, NULL), OTO_OK);
    assert_int_equal(oto_wal_start(wal, NULL), OTO_OK);
    for (unsigned i = 0; i < RECORDS; i++) {
        size_t size = BODY_BYTES;
        memset(bytes, 'x', size);
        snprintf((char *)bytes, 16, "%u", i); // a text of its own each
        for (size_t field = 0; field < sizeof fields; field++) {
            memcpy(inner, bytes, size);
            size = put_message(bytes, fields[field], inner, size);
        }
        assert_int_equal(oto_wal_append(wal, 0, 0, received_ns, oto_bytes(bytes, size), &seq, NULL),
                         OTO_OK);
    }
    assert_int_equal(oto_wal_checkpoint(wal, 0, seq, NULL), OTO_OK);
    assert_int_equal(oto_wal_close(wal, NULL), OTO_OK);
    f->options.memory_limit_bytes = 48u << 20;
    f->options.flush_rows = 1;
    fixture_start(f);
    fixture_drain(f);
    count_disk(f, &disk);
    assert_int_equal(disk.total, RECORDS);
    fixture_free(f);
}

static void a_second_owner_is_refused(void **state)
{
    (void)state;
    struct fixture *f = fixture_new();
    struct oto_engine *second;
    struct oto_error err;
    fixture_open(f);
    assert_int_equal(oto_engine_announce(f->engine, "127.0.0.1:4317\n127.0.0.1:4318", NULL),
                     OTO_OK);
    assert_int_equal(oto_engine_open(&f->options, &second, &err), OTO_EXISTS);
    char pid[32];
    snprintf(pid, sizeof pid, "%ld", (long)getpid());
    assert_non_null(strstr(err.message, pid));
    struct oto_engine_holder holder;
    assert_int_equal(oto_engine_find_holder(f->path, &holder, &err), OTO_OK);
    assert_string_equal(holder.pid, pid);
    assert_null(holder.tool);
    assert_string_equal(holder.addresses, "127.0.0.1:4317\n127.0.0.1:4318\n");
    oto_engine_close(f->engine);
    assert_int_equal(oto_engine_find_holder(f->path, &holder, &err), OTO_NOT_FOUND);
    f->options.tool = "a tool";
    fixture_open(f);
    assert_int_equal(oto_engine_find_holder(f->path, &holder, &err), OTO_OK);
    assert_string_equal(holder.pid, pid);
    assert_string_equal(holder.tool, "a tool");
    assert_string_equal(holder.addresses, "");
    assert_int_equal(oto_engine_open(&f->options, &second, &err), OTO_EXISTS);
    assert_non_null(strstr(err.message, "a tool, process"));
    oto_engine_close(f->engine);
    fixture_free(f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_clean_end_leaves_files_and_an_empty_log),
        cmocka_unit_test(a_death_at_any_step_of_a_flush_loses_and_doubles_nothing),
        cmocka_unit_test(a_death_during_recovery_loses_and_doubles_nothing),
        cmocka_unit_test(a_retry_after_a_death_is_recognised),
        cmocka_unit_test(equal_requests_that_were_stored_twice_stay_two),
        cmocka_unit_test(a_copy_that_was_refused_and_came_again_is_stored_once),
        cmocka_unit_test(a_copy_of_what_is_in_files_is_not_stored_again),
        cmocka_unit_test(a_copy_is_left_out_after_a_death_during_a_late_recovery),
        cmocka_unit_test(a_flush_that_is_done_again_with_less_leaves_nothing_twice),
        cmocka_unit_test(a_tool_forgets_none_of_many_requests),
        cmocka_unit_test(a_file_outlives_the_log_that_is_damaged),
        cmocka_unit_test(the_files_of_half_a_flush_outlive_the_log_that_is_damaged),
        cmocka_unit_test(logs_of_shards_that_are_gone_are_recovered_and_removed),
        cmocka_unit_test(requests_of_a_log_that_is_gone_stay_known),
        cmocka_unit_test(a_log_larger_than_a_flush_is_recovered_in_pieces),
        cmocka_unit_test(a_death_between_pieces_loses_and_doubles_nothing),
        cmocka_unit_test(an_unreadable_record_is_kept_aside),
        cmocka_unit_test(a_record_past_a_later_limit_is_recovered),
        cmocka_unit_test(a_flush_begun_under_a_larger_memory_limit_is_recovered),
        cmocka_unit_test(a_second_owner_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
