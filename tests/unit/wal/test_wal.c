// What the log promises: committed records come back, in order and once; torn, stale and failed
// ones never do.
#include "cmocka_all.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "codec/crc.h"
#include "wal/wal_internal.h"

// --- a log in a folder of its own, with an owner that counts what it is told ---

struct owner {
    char path[64];
    struct oto_wal_options options;
    struct oto_wal *wal;
    struct oto_mutex lock;
    struct oto_condition changed;
    uint64_t durable_seq;
    int failures;
    enum oto_status status;
    // What a replay found.
    uint64_t count, seqs[4096];
    char texts[4096][32];
    struct oto_wal_recovery recovery;
};

static void committed(void *state, uint64_t durable_seq, enum oto_status status,
                      const struct oto_error *err)
{
    struct owner *o = state;
    oto_mutex_lock(&o->lock);
    o->durable_seq = durable_seq;
    if (status < 0) {
        o->failures++;
        o->status = status;
        assert_true(err->message[0] != 0);
    }
    oto_condition_broadcast(&o->changed);
    oto_mutex_unlock(&o->lock);
}

static struct owner *owner_new(void)
{
    struct owner *o = calloc(1, sizeof *o);
    assert_non_null(o);
    strcpy(o->path, "/tmp/oto-wal-XXXXXX");
    assert_non_null(mkdtemp(o->path));
    oto_mutex_init(&o->lock);
    oto_condition_init(&o->changed);
    oto_wal_options_default(&o->options);
    o->options.segment_size_bytes = 4u << 20;
    o->options.disk_free_min = 0;
    o->options.committed = committed;
    o->options.state = o;
    return o;
}

static void owner_free(struct owner *o)
{
    char command[128];
    snprintf(command, sizeof command, "rm -rf %s", o->path);
    assert_int_equal(system(command), 0);
    oto_condition_release(&o->changed);
    oto_mutex_release(&o->lock);
    free(o);
}

static enum oto_status note(void *state, const struct oto_wal_record *record, struct oto_error *err)
{
    struct owner *o = state;
    (void)err;
    assert_true(o->count < 4096);
    size_t size = record->payload.size < 31 ? record->payload.size : 31;
    memcpy(o->texts[o->count], record->payload.data, size);
    o->texts[o->count][size] = 0;
    o->seqs[o->count++] = record->seq;
    return OTO_OK;
}

static void open_and_replay(struct owner *o)
{
    struct oto_error err;
    o->count = 0;
    if (oto_wal_open(o->path, &o->options, &o->wal, &err) < 0 ||
        oto_wal_replay(o->wal, note, o, &o->recovery, &err) < 0)
        fail_msg("%s", err.message);
}

static void start(struct owner *o)
{
    open_and_replay(o);
    assert_int_equal(oto_wal_start(o->wal, NULL), OTO_OK);
}

static void stop(struct owner *o)
{
    assert_int_equal(oto_wal_close(o->wal, NULL), OTO_OK);
    o->wal = NULL;
}

static uint64_t append(struct owner *o, const char *text)
{
    uint64_t seq = 0;
    struct oto_error err;
    if (oto_wal_append(o->wal, 1, 2, 3, oto_bytes_text(text), &seq, &err) < 0)
        fail_msg("%s", err.message);
    return seq;
}

static void wait_durable(struct owner *o, uint64_t seq)
{
    oto_mutex_lock(&o->lock);
    while (o->durable_seq < seq)
        oto_condition_wait(&o->changed, &o->lock);
    oto_mutex_unlock(&o->lock);
}

static void wait_failures(struct owner *o, int count)
{
    oto_mutex_lock(&o->lock);
    while (o->failures < count)
        oto_condition_wait(&o->changed, &o->lock);
    oto_mutex_unlock(&o->lock);
}

// One record a commit, so that each is a group of its own.
static void append_all(struct owner *o, int first, int count)
{
    for (int i = first; i < first + count; i++) {
        char text[32];
        snprintf(text, sizeof text, "record %d", i);
        wait_durable(o, append(o, text));
    }
}

static void assert_records(const struct owner *o, int first, int count)
{
    assert_int_equal(o->count, count);
    for (int i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, "record %d", first + i);
        assert_string_equal(o->texts[i], text);
        assert_int_equal(o->seqs[i], (uint64_t)(first + i));
    }
}

static void segment_path(const struct owner *o, unsigned ordinal, char *path)
{
    snprintf(path, 128, "%s/%016x.wal", o->path, ordinal);
}

static void poke(const char *path, off_t offset, const void *bytes, size_t size)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, size, offset), (ssize_t)size);
    close(fd);
}

static int exists(const char *path)
{
    return access(path, F_OK) == 0;
}

// --- the tests ---

static void records_come_back_in_order_with_all_they_had(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    start(o);
    append_all(o, 1, 20);
    stop(o);
    start(o);
    assert_records(o, 1, 20);
    assert_int_equal(o->recovery.last_seq, 20);
    assert_int_equal(o->recovery.torn_bytes, 0);
    assert_int_equal(append(o, "record 21"), 21);
    stop(o);
    open_and_replay(o);
    assert_records(o, 1, 21);
    stop(o);
    owner_free(o);
}

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

static void append_big(struct owner *o, size_t size, char fill)
{
    uint64_t seq;
    char *bytes = malloc(size);
    memset(bytes, fill, size);
    assert_int_equal(oto_wal_append(o->wal, 0, 0, 0, oto_bytes(bytes, size), &seq, NULL), OTO_OK);
    free(bytes);
    wait_durable(o, seq);
}

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

static void a_record_larger_than_a_segment_fits(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    start(o);
    append_all(o, 1, 1);
    append_big(o, 9u << 20, 'b');
    append_all(o, 3, 1);
    uint64_t seq;
    struct oto_bytes huge = oto_bytes("x", (1u << 30) + 1); // refused by its size alone
    assert_int_equal(oto_wal_append(o->wal, 0, 0, 0, huge, &seq, NULL), OTO_TOO_LARGE);
    stop(o);
    open_and_replay(o);
    assert_int_equal(o->count, 3);
    assert_int_equal(o->texts[1][0], 'b');
    assert_string_equal(o->texts[2], "record 3");
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

static void trimmed_log_goes_on_counting(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    uint64_t flushed, cut;
    start(o);
    append_all(o, 1, 7);
    assert_int_equal(oto_wal_checkpoint(o->wal, 3, 7, NULL), OTO_OK);
    stop(o);
    open_and_replay(o);
    oto_wal_marks(o->wal, &flushed, &cut);
    assert_int_equal(flushed, 3);
    assert_int_equal(cut, 7);
    assert_records(o, 4, 4);
    assert_int_equal(oto_wal_checkpoint(o->wal, 7, 7, NULL), OTO_OK);
    assert_int_equal(oto_wal_trim(o->wal, NULL), OTO_OK);
    stop(o);
    start(o);
    assert_records(o, 1, 0);
    assert_int_equal(append(o, "record 8"), 8);
    stop(o);
    owner_free(o);
}

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

static void a_nearly_full_disk_refuses_appends(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    uint64_t seq;
    o->options.disk_free_min = UINT64_MAX;
    start(o);
    assert_int_equal(oto_wal_append(o->wal, 0, 0, 0, oto_bytes_text("x"), &seq, NULL),
                     OTO_NO_SPACE);
    stop(o);
    owner_free(o);
}

static void staging_is_bounded(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    o->options.staged_bytes_max = 64 << 10;
    start(o);
    static uint8_t part[20000];
    uint64_t seq, refused = 0, last = 0;
    for (int i = 0; i < 200; i++) {
        enum oto_status status =
            oto_wal_append(o->wal, 0, 0, 0, oto_bytes(part, sizeof part), &seq, NULL);
        if (status == OTO_UNAVAILABLE)
            refused++;
        else
            last = seq;
    }
    assert_true(refused > 0);
    wait_durable(o, last);
    static uint8_t large[200000]; // more than may be staged: goes alone
    assert_int_equal(oto_wal_append(o->wal, 0, 0, 0, oto_bytes(large, sizeof large), &seq, NULL),
                     OTO_OK);
    wait_durable(o, seq);
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

static void a_damaged_checkpoint_is_told(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    char path[128];
    struct oto_error err;
    start(o);
    append_all(o, 1, 2);
    assert_int_equal(oto_wal_checkpoint(o->wal, 1, 1, NULL), OTO_OK);
    stop(o);
    snprintf(path, sizeof path, "%s/checkpoint", o->path);
    poke(path, 17, "Z", 1);
    assert_int_equal(oto_wal_open(o->path, &o->options, &o->wal, &err), OTO_CORRUPT);
    assert_non_null(strstr(err.message, "checkpoint"));
    owner_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_in_order_with_all_they_had),
        cmocka_unit_test(a_tail_torn_at_any_byte_loses_only_the_torn_record),
        cmocka_unit_test(a_file_cut_short_at_any_byte_loses_only_the_torn_record),
        cmocka_unit_test(damage_in_the_middle_costs_one_record_and_keeps_the_file),
        cmocka_unit_test(a_lost_header_costs_no_record),
        cmocka_unit_test(a_newer_format_is_refused_not_truncated),
        cmocka_unit_test(segments_roll_and_are_recycled_without_their_old_records),
        cmocka_unit_test(files_of_the_log_go_while_it_is_read),
        cmocka_unit_test(a_recycled_segment_that_lost_its_beginning_does_not_void_others),
        cmocka_unit_test(a_record_larger_than_a_segment_fits),
        cmocka_unit_test(groups_of_any_size_lie_one_after_the_other),
        cmocka_unit_test(a_log_needs_no_direct_writes),
        cmocka_unit_test(trimmed_log_goes_on_counting),
        cmocka_unit_test(a_failed_write_loses_its_group_and_nothing_else),
        cmocka_unit_test(a_failed_sync_loses_its_group_and_nothing_else),
        cmocka_unit_test(records_that_could_not_be_cut_off_are_void),
        cmocka_unit_test(a_file_size_limit_is_a_full_disk),
        cmocka_unit_test(a_nearly_full_disk_refuses_appends),
        cmocka_unit_test(staging_is_bounded),
        cmocka_unit_test(the_faster_modes_write_and_sync_too),
        cmocka_unit_test(a_damaged_checkpoint_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
