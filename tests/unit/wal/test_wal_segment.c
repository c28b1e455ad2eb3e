// Groups of any size lie one after the other in files that are used again.
#include "wal_fixture.h"

static void segments_roll_and_are_recycled_without_their_old_records(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    struct oto_wal_stats stats;
    start(o);
    for (int i = 0; i < 12; i++)
        append_big(o, 1u << 20, (char)('a' + i));
    oto_wal_stats(o->wal, &stats);
    assert_int_equal(stats.segments, 4); // three of a mebibyte and its header fit into 4 MiB
    assert_int_equal(oto_wal_checkpoint(o->wal, 12, 12, NULL), OTO_OK);
    assert_int_equal(oto_wal_trim(o->wal, NULL), OTO_OK);
    oto_wal_stats(o->wal, &stats);
    assert_int_equal(stats.segments, 1);
    assert_int_equal(o->wal->spare_count, 2);
    for (int i = 0; i < 4; i++)
        append_big(o, 1u << 20, (char)('A' + i)); // the last two begin a recycled segment
    assert_int_equal(o->wal->spare_count, 0);
    assert_int_equal(oto_wal_checkpoint(o->wal, 12, 12, NULL), OTO_OK);
    stop(o);
    open_and_replay(o);
    assert_int_equal(o->count, 4);
    for (int i = 0; i < 4; i++) {
        assert_int_equal(o->seqs[i], (uint64_t)(13 + i));
        assert_int_equal(o->texts[i][0], 'A' + i);
    }
    assert_int_equal(o->recovery.corrupt_segments, 0);
    assert_int_equal(o->recovery.torn_bytes, 0);
    stop(o);
    owner_free(o);
}

// --- groups of any size, at any place of a block ---

enum { MIXED_SIZE_MAX = 150000 };

// The payload of record seq: its size and bytes follow from the number.
static size_t mixed_payload(uint8_t *bytes, uint64_t seq)
{
    uint64_t random = seq * 0x9e3779b97f4a7c15u;
    size_t size = (random >> 60) == 0 ? (random >> 20) % MIXED_SIZE_MAX : (random >> 20) % 3000;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (uint8_t)(random >> i % 57 ^ i);
    return size;
}

static void append_mixed(struct owner *o, uint64_t count)
{
    static uint8_t bytes[MIXED_SIZE_MAX];
    for (uint64_t i = 0; i < count; i++) {
        uint64_t seq;
        size_t size = mixed_payload(bytes, o->wal->next_seq);
        while (oto_wal_append(o->wal, 0, 0, 0, oto_bytes(bytes, size), &seq, NULL) < 0)
            usleep(1000);
        if (seq % 7 == 0 || seq % 64 > 50) // groups of one record and of several
            wait_durable(o, seq);
    }
    wait_durable(o, o->wal->next_seq - 1);
}

static enum oto_status check_mixed(void *state, const struct oto_wal_record *record,
                                   struct oto_error *err)
{
    static uint8_t bytes[MIXED_SIZE_MAX];
    struct owner *o = state;
    (void)err;
    assert_true(mixed_payload(bytes, record->seq) == record->payload.size);
    assert_memory_equal(bytes, record->payload.data, record->payload.size);
    o->count++;
    return OTO_OK;
}

static void groups_lie_one_after_the_other(struct owner *o)
{
    append_mixed(o, 1500 - o->durable_seq);
    assert_true(o->wal->newest->ordinal >= 2); // so that groups moved to other segments, too
    assert_int_equal(oto_wal_checkpoint(o->wal, 1200, 1200, NULL), OTO_OK);
    assert_int_equal(oto_wal_trim(o->wal, NULL), OTO_OK);
    append_mixed(o, 500);
    stop(o);
    o->count = 0;
    assert_int_equal(oto_wal_open(o->path, &o->options, &o->wal, NULL), OTO_OK);
    assert_int_equal(oto_wal_replay(o->wal, check_mixed, o, &o->recovery, NULL), OTO_OK);
    assert_int_equal(o->count, 800);
    assert_int_equal(o->recovery.corrupt_segments, 0);
    assert_int_equal(o->recovery.torn_bytes, 0);
    stop(o);
    owner_free(o);
}

static void groups_of_any_size_lie_one_after_the_other(void **state)
{
    (void)state;
    for (int mode = OTO_DURABILITY_FSYNC; mode <= OTO_DURABILITY_NONE; mode++) {
        struct owner *o = owner_new();
        o->options.durability = (enum oto_durability)mode;
        start(o);
        groups_lie_one_after_the_other(o);
    }
}

// As on a file system that knows no direct writes, or only of larger blocks.
static enum oto_status write_buffered(struct oto_file *f, uint64_t offset, const void *data,
                                      size_t size, struct oto_error *err)
{
    if (fcntl(f->fd, F_SETFL, 0) != 0)
        return OTO_IO;
    return oto_file_write_at(f, offset, data, size, err);
}

static enum oto_status write_unaligned(struct oto_file *f, uint64_t offset, const void *data,
                                       size_t size, struct oto_error *err)
{
    OTO_TRY(oto_file_write_at(f, offset, data, 1, err));
    return oto_file_write_at(f, offset + 1, (const uint8_t *)data + 1, size - 1, err);
}

static void a_log_needs_no_direct_writes(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    start(o);
    o->wal->disk.write = write_buffered;
    append_mixed(o, 20);
    o->wal->disk.write = oto_file_write_at;
    append_mixed(o, 20);
    o->wal->disk.write = write_unaligned;
    append_mixed(o, 20);
    o->wal->disk.write = oto_file_write_at;
    groups_lie_one_after_the_other(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(segments_roll_and_are_recycled_without_their_old_records),
        cmocka_unit_test(groups_of_any_size_lie_one_after_the_other),
        cmocka_unit_test(a_log_needs_no_direct_writes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
