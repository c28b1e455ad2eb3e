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
        cmocka_unit_test(logs_of_shards_that_are_gone_are_recovered_and_removed),
        cmocka_unit_test(a_log_larger_than_a_flush_is_recovered_in_pieces),
        cmocka_unit_test(a_death_between_pieces_loses_and_doubles_nothing),
        cmocka_unit_test(an_unreadable_record_is_kept_aside),
        cmocka_unit_test(a_second_owner_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
