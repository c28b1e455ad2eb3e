// A disk that fails loses a group and nothing else; every mode writes and syncs; memory of a burst
// goes back.
#include "wal_fixture.h"

#include <signal.h>
#include <sys/resource.h>

// --- a disk that fails ---

static int writes_left, syncs_left;
static enum oto_status failing_write(struct oto_file *f, uint64_t offset, const void *data,
                                     size_t size, struct oto_error *err)
{
    if (writes_left-- > 0)
        return oto_file_write_at(f, offset, data, size, err);
    // As a full disk does: part of it arrives.
    assert_int_equal(oto_file_write_at(f, offset, data, size / 2, err), OTO_OK);
    return oto_error_set(err, OTO_NO_SPACE, "write: no space left");
}
static enum oto_status failing_sync(struct oto_file *f, struct oto_error *err)
{
    if (syncs_left-- > 0)
        return oto_file_sync(f, err);
    return oto_error_set(err, OTO_IO, "sync: input/output error");
}
static enum oto_status no_truncate_sync(struct oto_file *f, struct oto_error *err)
{
    (void)f;
    return oto_error_set(err, OTO_IO, "sync: input/output error");
}

static void after_a_failure_the_same_numbers_hold_other_records(struct owner *o,
                                                                enum oto_status expected)
{
    uint64_t seq;
    append(o, "lost 4");
    wait_failures(o, 1);
    assert_int_equal(o->status, expected);
    assert_int_equal(o->durable_seq, 3);
    assert_int_equal(oto_wal_append(o->wal, 0, 0, 0, oto_bytes_text("too early"), &seq, NULL),
                     OTO_UNAVAILABLE);
    writes_left = syncs_left = 1000;
    oto_wal_reset(o->wal);
    append_all(o, 4, 3);
    stop(o);
    open_and_replay(o);
    assert_records(o, 1, 6);
    stop(o);
    owner_free(o);
}

static void a_failed_write_loses_its_group_and_nothing_else(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    start(o);
    append_all(o, 1, 3);
    writes_left = 0;
    o->wal->disk.write = failing_write;
    after_a_failure_the_same_numbers_hold_other_records(o, OTO_NO_SPACE);
}

static void a_failed_sync_loses_its_group_and_nothing_else(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    start(o);
    append_all(o, 1, 3);
    syncs_left = 0;
    o->wal->disk.sync = failing_sync;
    after_a_failure_the_same_numbers_hold_other_records(o, OTO_IO);
}

static void records_that_could_not_be_cut_off_are_void(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    char path[128];
    struct oto_wal_record ghost = {.seq = 4, .payload = OTO_BYTES_LITERAL("ghost  4")};
    uint8_t bytes[64];
    start(o);
    append_all(o, 1, 3);
    uint64_t salt = o->wal->current_salt, end = o->wal->current_end;
    o->wal->disk.sync = no_truncate_sync;
    append(o, "lost 4");
    wait_failures(o, 1);
    o->wal->disk.sync = oto_file_sync;
    oto_wal_reset(o->wal);
    append_all(o, 4, 2);
    stop(o);
    // The truncation never reached the disk.
    oto_wal_record_encode(&ghost, salt, bytes);
    size_t size = oto_wal_record_size(ghost.payload.size);
    segment_path(o, 1, path);
    poke(path, (off_t)end, bytes, size);
    open_and_replay(o);
    assert_records(o, 1, 5);
    stop(o);
    owner_free(o);
}

static void a_file_size_limit_is_a_full_disk(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    struct rlimit old, limit;
    signal(SIGXFSZ, SIG_IGN);
    start(o);
    append_all(o, 1, 3);
    getrlimit(RLIMIT_FSIZE, &old);
    limit = old;
    limit.rlim_cur = 3u << 20;
    setrlimit(RLIMIT_FSIZE, &limit);
    static uint8_t big[3500000];
    uint64_t seq;
    assert_int_equal(oto_wal_append(o->wal, 0, 0, 0, oto_bytes(big, sizeof big), &seq, NULL),
                     OTO_OK);
    wait_failures(o, 1);
    assert_int_equal(o->status, OTO_NO_SPACE);
    oto_wal_reset(o->wal);
    append_all(o, 4, 1); // small ones still fit
    setrlimit(RLIMIT_FSIZE, &old);
    stop(o);
    open_and_replay(o);
    assert_records(o, 1, 4);
    stop(o);
    owner_free(o);
}

// Their numbers are those of others now, which a checkpoint waits for.
static void after_a_failure_checkpoints_wait_for_the_disk_again(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    struct oto_wal_stats before, stats;
    o->options.durability = OTO_DURABILITY_INTERVAL;
    o->options.interval_ms = 100000;
    start(o);
    append_all(o, 1, 3);
    writes_left = 0;
    o->wal->disk.write = failing_write;
    append(o, "lost 4");
    wait_failures(o, 1);
    writes_left = 1000;
    oto_wal_reset(o->wal);
    append_all(o, 4, 1);
    oto_wal_stats(o->wal, &before);
    assert_int_equal(oto_wal_checkpoint(o->wal, 3, 4, NULL), OTO_OK);
    oto_wal_stats(o->wal, &stats);
    assert_int_equal(stats.syncs, before.syncs + 1);
    stop(o);
    owner_free(o);
}

static void the_faster_modes_write_and_sync_too(void **state)
{
    (void)state;
    for (int mode = OTO_DURABILITY_INTERVAL; mode <= OTO_DURABILITY_NONE; mode++) {
        struct owner *o = owner_new();
        struct oto_wal_stats stats;
        o->options.durability = (enum oto_durability)mode;
        o->options.interval_ms = mode == OTO_DURABILITY_INTERVAL ? 10 : 100000;
        start(o);
        append_all(o, 1, 10);
        assert_int_equal(oto_wal_checkpoint(o->wal, 4, 9, NULL), OTO_OK);
        oto_wal_stats(o->wal, &stats);
        assert_true(stats.syncs >= 1); // a checkpoint waits for the records it names
        stop(o);
        open_and_replay(o);
        assert_records(o, 5, 6);
        stop(o);
        owner_free(o);
    }
}

// --- staging memory ---

enum { KIB = 1 << 10, MIB = 1 << 20, PAGE = 4096 };

// Of both buffers: pages that hold something, for those that were given back read as zeros. Nothing
// must be under way.
static size_t kept_bytes(struct owner *o)
{
    static const uint8_t zeros[PAGE];
    size_t kept = 0;
    oto_mutex_lock(&o->wal->lock);
    for (int i = 0; i < 2; i++) {
        const struct oto_buffer *bytes = &o->wal->groups[i].bytes;
        for (size_t at = 0; at + PAGE <= bytes->capacity; at += PAGE)
            kept += memcmp(bytes->data + at, zeros, PAGE) != 0 ? PAGE : 0;
    }
    oto_mutex_unlock(&o->wal->lock);
    return kept;
}

static void of_a_burst_no_more_stays_than_an_eighth_of_the_limit(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    o->options.segment_size_bytes = 64 * MIB;
    assert_int_equal(o->options.staged_bytes_max, 32 * MIB);
    start(o);
    append_big(o, 12 * MIB, 'a');
    append_big(o, 12 * MIB, 'b'); // into the other buffer
    assert_in_range(kept_bytes(o), 4 * MIB, 2 * 4 * MIB);
    stop(o);
    open_and_replay(o); // what was given back had been written
    assert_int_equal(o->count, 2);
    assert_int_equal(o->texts[1][0], 'b');
    stop(o);
    owner_free(o);
}

static void staging_memory_fades_to_what_groups_take_lately(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    o->options.segment_size_bytes = 64 * MIB;
    start(o);
    append_big(o, 3 * MIB, 'a');
    append_big(o, 3 * MIB, 'b');
    size_t burst = kept_bytes(o);
    assert_in_range(burst, 6 * MIB, 8 * MIB); // soon needed again, for all that is known
    for (int i = 0; i < 4; i++)
        append_big(o, 10 * KIB, 'c');
    assert_true(kept_bytes(o) >= burst / 2); // nor does it go at once
    for (int i = 0; i < 60; i++)
        append_big(o, 10 * KIB, 'd');
    assert_in_range(kept_bytes(o), 1, 2 * 2 * 256 * KIB);
    append_big(o, 3 * MIB, 'e'); // comes back when it is needed
    stop(o);
    open_and_replay(o);
    assert_int_equal(o->count, 67);
    assert_int_equal(o->texts[65][30], 'd');
    assert_int_equal(o->texts[66][30], 'e');
    stop(o);
    owner_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failed_write_loses_its_group_and_nothing_else),
        cmocka_unit_test(a_failed_sync_loses_its_group_and_nothing_else),
        cmocka_unit_test(records_that_could_not_be_cut_off_are_void),
        cmocka_unit_test(a_file_size_limit_is_a_full_disk),
        cmocka_unit_test(after_a_failure_checkpoints_wait_for_the_disk_again),
        cmocka_unit_test(the_faster_modes_write_and_sync_too),
        cmocka_unit_test(of_a_burst_no_more_stays_than_an_eighth_of_the_limit),
        cmocka_unit_test(staging_memory_fades_to_what_groups_take_lately),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
