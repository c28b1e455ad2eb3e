// Torn, damaged and stale records never come back, and cost no other.
#include "wal_fixture.h"

#include <sys/stat.h>

#include "codec/crc.h"

static void a_tail_torn_at_any_byte_loses_only_the_torn_record(void **state)
{
    (void)state;
    const off_t record_size = (off_t)oto_wal_record_size(strlen("record 1"));
    const off_t last = OTO_WAL_SEGMENT_HEADER_BYTES + 2 * record_size;
    for (off_t cut = 0; cut <= record_size; cut++) {
        struct owner *o = owner_new();
        char path[128];
        start(o);
        append_all(o, 1, 3);
        stop(o);
        segment_path(o, 1, path);
        // The rest of the record never reached the disk: zeros are there, as in a pre-written file.
        char zeros[256] = {0};
        poke(path, last + cut, zeros, (size_t)(record_size - cut));
        open_and_replay(o);
        int whole = cut == record_size;
        assert_records(o, 1, whole ? 3 : 2);
        if (!whole && cut >= OTO_WAL_RECORD_HEADER_BYTES)
            assert_true(o->recovery.torn_bytes > 0);
        assert_int_equal(o->recovery.corrupt_segments, 0);
        assert_int_equal(oto_wal_start(o->wal, NULL), OTO_OK);
        assert_int_equal(append(o, "again"), whole ? 4 : 3);
        stop(o);
        open_and_replay(o);
        assert_int_equal(o->count, whole ? 4 : 3);
        assert_string_equal(o->texts[o->count - 1], "again");
        stop(o);
        owner_free(o);
    }
}

static void a_file_cut_short_at_any_byte_loses_only_the_torn_record(void **state)
{
    (void)state;
    const off_t record_size = (off_t)oto_wal_record_size(strlen("record 1"));
    const off_t last = OTO_WAL_SEGMENT_HEADER_BYTES + record_size;
    for (off_t cut = 0; cut < record_size; cut++) {
        struct owner *o = owner_new();
        char path[128];
        start(o);
        append_all(o, 1, 2);
        stop(o);
        segment_path(o, 1, path);
        assert_int_equal(truncate(path, last + cut), 0);
        open_and_replay(o);
        assert_records(o, 1, 1);
        assert_int_equal(o->recovery.torn_bytes, (uint64_t)cut);
        stop(o);
        struct stat status;
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_size, last); // cut off, so that it can never come back
        owner_free(o);
    }
}

static void damage_in_the_middle_costs_one_record_and_keeps_the_file(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    char path[128], corrupt[160];
    start(o);
    append_all(o, 1, 5);
    stop(o);
    segment_path(o, 1, path);
    poke(path, OTO_WAL_SEGMENT_HEADER_BYTES + 48 + 44, "X", 1);
    start(o);
    assert_int_equal(o->count, 4);
    assert_int_equal(o->seqs[0], 1);
    assert_int_equal(o->seqs[1], 3);
    assert_int_equal(o->seqs[3], 5);
    assert_int_equal(o->recovery.corrupt_segments, 1);
    assert_int_equal(append(o, "record 6"), 6);
    wait_durable(o, 6);
    assert_true(exists(path)); // until its records are elsewhere
    assert_int_equal(oto_wal_checkpoint(o->wal, 5, 5, NULL), OTO_OK);
    assert_int_equal(oto_wal_trim(o->wal, NULL), OTO_OK);
    snprintf(corrupt, sizeof corrupt, "%s.corrupt", path);
    assert_false(exists(path));
    assert_true(exists(corrupt));
    stop(o);
    open_and_replay(o);
    assert_records(o, 6, 1);
    stop(o);
    owner_free(o);
}

static void a_segment_kept_aside_keeps_its_number(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    char path[128], kept[160];
    start(o);
    append_all(o, 1, 1);
    stop(o);
    segment_path(o, 1, path);
    snprintf(kept, sizeof kept, "%s.corrupt", path);
    assert_int_equal(rename(path, kept), 0);
    start(o);
    append_all(o, 1, 1);
    stop(o);
    assert_false(exists(path)); // else it would be renamed over the other, should it be damaged
    assert_true(exists(kept));
    owner_free(o);
}

static void a_lost_header_costs_no_record(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    char path[128];
    start(o);
    append_all(o, 1, 3);
    stop(o);
    segment_path(o, 1, path);
    poke(path, 20, "damage", 6);
    open_and_replay(o);
    assert_records(o, 1, 3);
    assert_int_equal(o->recovery.corrupt_segments, 1);
    stop(o);
    owner_free(o);
}

static void a_newer_format_is_refused_not_truncated(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    char path[128];
    uint8_t page[OTO_WAL_SEGMENT_HEADER_BYTES];
    start(o);
    append_all(o, 1, 3);
    stop(o);
    segment_path(o, 1, path);
    int fd = open(path, O_RDWR);
    assert_int_equal(pread(fd, page, sizeof page, 0), (ssize_t)sizeof page);
    oto_store32(page + 8, OTO_WAL_VERSION + 1);
    close(fd);
    // With its checksum right, as a newer program writes it.
    oto_store32(page + 60, oto_crc32c(0, page, 60));
    poke(path, 0, page, sizeof page);
    struct stat before, after;
    stat(path, &before);
    struct oto_error err;
    assert_int_equal(oto_wal_open(o->path, &o->options, &o->wal, &err), OTO_OK);
    assert_int_equal(oto_wal_replay(o->wal, note, o, &o->recovery, &err), OTO_UNSUPPORTED);
    assert_non_null(strstr(err.message, "version 2"));
    stop(o);
    stat(path, &after);
    assert_int_equal(before.st_size, after.st_size);
    owner_free(o);
}

// Says of each record but the last three that it is in a file, as a recovery does.
static enum oto_status note_and_flush(void *state, const struct oto_wal_record *record,
                                      struct oto_error *err)
{
    struct owner *o = state;
    OTO_TRY(note(state, record, err));
    return record->seq <= 9 ? oto_wal_checkpoint(o->wal, record->seq, record->seq, err) : OTO_OK;
}

static void files_of_the_log_go_while_it_is_read(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    start(o);
    for (int i = 0; i < 12; i++)
        append_big(o, 1u << 20, (char)('a' + i));
    stop(o);
    assert_int_equal(oto_wal_open(o->path, &o->options, &o->wal, NULL), OTO_OK);
    assert_int_equal(oto_wal_replay(o->wal, note_and_flush, o, &o->recovery, NULL), OTO_OK);
    assert_int_equal(o->count, 12);
    for (unsigned ordinal = 1; ordinal <= 4; ordinal++) {
        char path[128];
        segment_path(o, ordinal, path);
        assert_int_equal(access(path, F_OK), ordinal < 4 ? -1 : 0);
    }
    stop(o);
    open_and_replay(o);
    assert_int_equal(o->count, 3);
    for (int i = 0; i < 3; i++)
        assert_int_equal(o->texts[i][0], 'j' + i);
    stop(o);
    owner_free(o);
}

static void a_recycled_segment_that_lost_its_beginning_does_not_void_others(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    static const uint8_t zeros[(1u << 20) + 2 * OTO_WAL_SEGMENT_HEADER_BYTES];
    char path[128];
    start(o);
    for (int i = 0; i < 12; i++)
        append_big(o, 1u << 20, (char)('a' + i));
    assert_int_equal(oto_wal_checkpoint(o->wal, 12, 12, NULL), OTO_OK);
    assert_int_equal(oto_wal_trim(o->wal, NULL), OTO_OK);
    for (int i = 0; i < 4; i++)
        append_big(o, 1u << 20, (char)('A' + i));
    unsigned newest = (unsigned)o->wal->newest->ordinal;
    int lost = (int)(16 - o->wal->newest->first_seq + 1);
    assert_int_equal(lost, 1); // its other records are of an earlier life
    assert_int_equal(oto_wal_checkpoint(o->wal, 12, 12, NULL), OTO_OK);
    stop(o);
    segment_path(o, newest, path);
    poke(path, 0, zeros, sizeof zeros);
    open_and_replay(o);
    assert_int_equal(o->count, 4 - lost);
    for (size_t i = 0; i < o->count; i++)
        assert_int_equal(o->seqs[i], (uint64_t)(13 + i));
    stop(o);
    owner_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tail_torn_at_any_byte_loses_only_the_torn_record),
        cmocka_unit_test(a_file_cut_short_at_any_byte_loses_only_the_torn_record),
        cmocka_unit_test(damage_in_the_middle_costs_one_record_and_keeps_the_file),
        cmocka_unit_test(a_segment_kept_aside_keeps_its_number),
        cmocka_unit_test(a_lost_header_costs_no_record),
        cmocka_unit_test(a_newer_format_is_refused_not_truncated),
        cmocka_unit_test(files_of_the_log_go_while_it_is_read),
        cmocka_unit_test(a_recycled_segment_that_lost_its_beginning_does_not_void_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
