// Log segments as they may be found: whole, torn, damaged, written over.
#include "cmocka_all.h"
#include "inspect/segment_scan.h"
#include "os/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SALT 0x1234567890ABCDEFull
#define RECORDS 5
#define FIRST_SEQ 10u

static char path[64];

struct seen {
    uint64_t seqs[16], offsets[16], sizes[16];
    size_t count;
    uint64_t damage_at, damage_size;
};

static enum oto_status see(void *state, const struct oto_wal_record *record, uint64_t offset,
                           uint64_t size, struct oto_error *err)
{
    struct seen *seen = state;
    (void)err;
    if (!record) {
        seen->damage_at = offset;
        seen->damage_size = size;
        return OTO_OK;
    }
    seen->seqs[seen->count] = record->seq;
    seen->offsets[seen->count] = offset;
    seen->sizes[seen->count++] = size;
    return OTO_OK;
}

static size_t put_record(uint8_t *at, uint64_t seq, uint64_t salt)
{
    uint8_t payload[300];
    memset(payload, (int)seq, sizeof payload);
    struct oto_wal_record record = {
        .seq = seq, .received_ns = 1, .payload = oto_bytes(payload, 100 + (size_t)seq)};
    oto_wal_record_encode(&record, salt, at);
    return (size_t)oto_wal_record_size(record.payload.size);
}

// A segment of five records and zeros behind them; returns where the records end.
static size_t make(uint8_t *bytes, size_t size)
{
    struct oto_wal_segment_header header = {
        .salt = SALT, .first_seq = FIRST_SEQ, .ordinal = 3, .created_ns = 5};
    memset(bytes, 0, size);
    oto_wal_segment_header_encode(&header, bytes);
    size_t at = OTO_WAL_SEGMENT_HEADER_BYTES;
    for (uint64_t i = 0; i < RECORDS; i++)
        at += put_record(bytes + at, FIRST_SEQ + i, SALT);
    return at;
}

static struct oto_segment_scan scan(const uint8_t *bytes, size_t size, uint64_t limit,
                                    struct seen *seen)
{
    struct oto_segment_scan found;
    struct oto_error err;
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(bytes, 1, size, file), size);
    fclose(file);
    memset(seen, 0, sizeof *seen);
    assert_int_equal(oto_segment_scan(path, limit, see, seen, &found, &err), OTO_OK);
    assert_int_equal(found.record_count, seen->count);
    return found;
}

static uint8_t bytes[32768];
static struct seen seen;

static void whole_segments_are_read_to_their_end(void **state)
{
    (void)state;
    size_t end = make(bytes, sizeof bytes);
    struct oto_segment_scan found = scan(bytes, sizeof bytes, UINT64_MAX, &seen);
    assert_int_equal(found.is_header_good, 1);
    assert_int_equal(found.header.ordinal, 3);
    assert_int_equal(found.record_count, RECORDS);
    assert_int_equal(found.first_seq, FIRST_SEQ);
    assert_int_equal(found.last_seq, FIRST_SEQ + RECORDS - 1);
    assert_int_equal(found.valid_bytes, end);
    assert_int_equal(found.rest, OTO_SEGMENT_REST_ZEROS);
    assert_int_equal(found.damage_count, 0);
    assert_int_equal(seen.offsets[4] + seen.sizes[4], end);
    found = scan(bytes, end, UINT64_MAX, &seen);
    assert_int_equal(found.rest, OTO_SEGMENT_REST_NOTHING);
    put_record(bytes + end, FIRST_SEQ + RECORDS, SALT + 1);
    found = scan(bytes, sizeof bytes, UINT64_MAX, &seen);
    assert_int_equal(found.record_count, RECORDS);
    assert_int_equal(found.rest, OTO_SEGMENT_REST_STALE);
    found = scan(bytes, sizeof bytes, FIRST_SEQ + 2, &seen); // the next segment begins there
    assert_int_equal(found.record_count, 2);
}

static void every_cut_leaves_the_records_before_it(void **state)
{
    (void)state;
    size_t end = make(bytes, sizeof bytes);
    scan(bytes, end, UINT64_MAX, &seen);
    struct seen all = seen;
    for (size_t size = 0; size <= end; size += 13) {
        struct oto_segment_scan found = scan(bytes, size, UINT64_MAX, &seen);
        size_t expected = 0;
        while (expected < RECORDS && all.offsets[expected] + all.sizes[expected] <= size)
            expected++;
        assert_int_equal(found.record_count, expected);
        assert_int_equal(found.is_header_good, size >= 64);
        assert_int_equal(found.damage_count, 0);
    }
}

static void damage_is_placed_and_passed_over(void **state)
{
    (void)state;
    size_t end = make(bytes, sizeof bytes);
    scan(bytes, end, UINT64_MAX, &seen);
    struct seen all = seen;
    for (size_t i = 0; i < RECORDS; i++) {
        size_t at = all.offsets[i] + 50;
        bytes[at] ^= 1;
        struct oto_segment_scan found = scan(bytes, sizeof bytes, UINT64_MAX, &seen);
        bytes[at] ^= 1;
        if (i == RECORDS - 1) { // nothing tells it from a record that was never whole
            assert_int_equal(found.damage_count, 0);
            assert_int_equal(found.rest, OTO_SEGMENT_REST_TORN);
            assert_int_equal(found.valid_bytes, all.offsets[i]);
            continue;
        }
        assert_int_equal(found.damage_count, 1);
        assert_int_equal(found.record_count, RECORDS - 1);
        assert_int_equal(seen.damage_at, all.offsets[i]);
        assert_int_equal(seen.damage_size, all.sizes[i]);
        assert_int_equal(found.last_seq, FIRST_SEQ + RECORDS - 1);
    }
}

static void records_tell_what_a_lost_header_cannot(void **state)
{
    (void)state;
    size_t end = make(bytes, sizeof bytes);
    bytes[20] ^= 1;
    struct oto_segment_scan found = scan(bytes, sizeof bytes, UINT64_MAX, &seen);
    assert_int_equal(found.is_header_good, 0);
    assert_non_null(strstr(found.header_problem, "checksum"));
    assert_int_equal(found.record_count, RECORDS);
    assert_int_equal(found.valid_bytes, end);
}

static int set_up(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "/tmp/oto-segment-XXXXXX");
    int fd = mkstemp(path);
    return fd < 0 ? -1 : close(fd);
}

static int tear_down(void **state)
{
    (void)state;
    return unlink(path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_segments_are_read_to_their_end),
        cmocka_unit_test(every_cut_leaves_the_records_before_it),
        cmocka_unit_test(damage_is_placed_and_passed_over),
        cmocka_unit_test(records_tell_what_a_lost_header_cannot),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
