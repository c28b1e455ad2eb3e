// Recovery: finds the segments, reads their records in order, tells a torn end from damage in the
// middle.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "wal/wal_internal.h"

#define WINDOW_BYTES (1u << 20)
#define AHEAD_BYTES (4u << 20) // read by the disk meanwhile: the log is not in the page cache

// One segment being read through a window that holds at least one record.
struct reader {
    struct oto_wal *wal;
    struct oto_wal_segment *segment;
    struct oto_file file;
    uint64_t file_size;
    uint64_t salt; // 0: the header is lost, the first good record tells
    uint64_t limit_seq;
    uint64_t flushed_seq; // the mark when the replay began: the visitor may move it meanwhile
    struct oto_buffer window;
    uint64_t window_at; // offset in the file of window.data[0]
    enum oto_status (*visit)(void *state, const struct oto_wal_record *record,
                             struct oto_error *err);
    void *state;
    struct oto_wal_recovery *recovery;
};

// Makes bytes [offset, offset + size) of the file visible; fewer at its end.
static enum oto_status window_show(struct reader *r, uint64_t offset, size_t size,
                                   struct oto_bytes *ret_bytes, struct oto_error *err)
{
    uint64_t rest = r->file_size - offset;
    if (size > rest)
        size = (size_t)rest;
    if (offset < r->window_at || offset + size > r->window_at + r->window.size) {
        size_t wanted = size > WINDOW_BYTES ? size : WINDOW_BYTES, got = 0;
        if (wanted > rest)
            wanted = (size_t)rest;
        r->window.size = 0;
        OTO_TRY(oto_buffer_reserve(&r->window, wanted));
        OTO_TRY(oto_file_read_at(&r->file, offset, r->window.data, wanted, &got, err));
        r->window.size = got;
        r->window_at = offset;
        oto_file_read_ahead(&r->file, offset + got, AHEAD_BYTES);
    }
    uint64_t end = r->window_at + r->window.size;
    *ret_bytes = oto_bytes(r->window.data + (offset - r->window_at), (size_t)(end - offset));
    return OTO_OK;
}

// The record at offset: OTO_OK, or OTO_END where there is none that is whole.
static enum oto_status record_at(struct reader *r, uint64_t offset,
                                 struct oto_wal_record *ret_record, size_t *ret_size,
                                 struct oto_error *err)
{
    struct oto_bytes bytes;
    size_t size = OTO_WAL_RECORD_HEADER_BYTES;
    for (;;) {
        uint64_t salt;
        OTO_TRY(window_show(r, offset, size, &bytes, err));
        enum oto_status status = oto_wal_record_decode(bytes, r->salt, ret_record, &salt, ret_size);
        if (status == OTO_OK) {
            r->salt = salt;
            return OTO_OK;
        }
        if (status != OTO_AGAIN || *ret_size > r->file_size - offset)
            return OTO_END;
        size = *ret_size;
    }
}

// The next whole record from offset on with a sequence number past the last: OTO_OK with its
// offset, or OTO_END.
static enum oto_status resync(struct reader *r, uint64_t offset, uint64_t *ret_offset,
                              struct oto_error *err)
{
    for (; offset + OTO_WAL_RECORD_HEADER_BYTES <= r->file_size; offset += 8) {
        struct oto_wal_record record;
        size_t size;
        enum oto_status status = record_at(r, offset, &record, &size, err);
        if (status < 0)
            return status;
        if (status == OTO_OK && record.seq > r->segment->last_seq) {
            *ret_offset = offset;
            return OTO_OK;
        }
    }
    return OTO_END;
}

static enum oto_status deliver(struct reader *r, const struct oto_wal_record *record,
                               struct oto_error *err)
{
    r->segment->last_seq = record->seq;
    if (record->seq > r->recovery->last_seq)
        r->recovery->last_seq = record->seq;
    if (record->seq <= r->flushed_seq || !r->visit)
        return OTO_OK;
    OTO_TRY(r->visit(r->state, record, err));
    r->recovery->records++;
    r->recovery->bytes += record->payload.size;
    return OTO_OK;
}

// Bytes of a record that was begun at offset but is not whole; 0 where nothing of this life was
// written.
static enum oto_status torn_bytes(struct reader *r, uint64_t offset, uint64_t *ret_bytes,
                                  struct oto_error *err)
{
    struct oto_bytes bytes;
    OTO_TRY(window_show(r, offset, WINDOW_BYTES, &bytes, err));
    struct oto_wal_record record;
    uint64_t salt, rest = r->file_size - offset;
    size_t size = 0, end = bytes.size;
    *ret_bytes = 0;
    if (oto_wal_record_decode(bytes, r->salt, &record, &salt, &size) == OTO_AGAIN && bytes.size > 0)
        size = size < rest ? size : (size_t)rest;
    while (end > 0 && bytes.data[end - 1] == 0)
        end--;
    // A salt of this life in the header's place says that the bytes belong to it; else only a file
    // that ends here has a torn header.
    int ours = bytes.size >= OTO_WAL_RECORD_HEADER_BYTES && oto_load64(bytes.data + 32) == r->salt;
    if (end > 0 && (ours || bytes.size < OTO_WAL_RECORD_HEADER_BYTES))
        *ret_bytes = size > end ? size : end;
    return OTO_OK;
}

// No whole record follows in this segment. That is its end, unless records are missing before the
// next one begins.
static enum oto_status finish(struct reader *r, uint64_t offset, struct oto_error *err)
{
    int last = !r->segment->next;
    if (!last) {
        if (r->segment->last_seq + 1 < r->limit_seq && !r->segment->corrupt) {
            r->segment->corrupt = 1;
            r->recovery->corrupt_segments++;
        }
        return OTO_OK;
    }
    uint64_t torn = 0;
    OTO_TRY(torn_bytes(r, offset, &torn, err));
    if (torn == 0)
        return OTO_OK;
    r->recovery->torn_bytes += torn;
    OTO_TRY(oto_file_truncate(&r->file, offset, err));
    OTO_TRY(oto_file_sync(&r->file, err));
    r->segment->disk_bytes = offset;
    return OTO_OK;
}

static enum oto_status read_records(struct reader *r, struct oto_error *err)
{
    uint64_t offset = OTO_WAL_SEGMENT_HEADER_BYTES;
    while (r->segment->last_seq + 1 < r->limit_seq && offset < r->file_size) {
        struct oto_wal_record record;
        size_t size;
        enum oto_status status = record_at(r, offset, &record, &size, err);
        if (status < 0)
            return status;
        int good =
            status == OTO_OK && (record.seq == r->segment->last_seq + 1 || r->segment->corrupt);
        if (good && record.seq > r->segment->last_seq) {
            if (record.seq >= r->limit_seq)
                break;
            OTO_TRY(deliver(r, &record, err));
            offset += size;
            continue;
        }
        uint64_t found;
        status = resync(r, offset + 8, &found, err);
        if (status < 0)
            return status;
        if (status == OTO_END)
            break;
        if (!r->segment->corrupt)
            r->recovery->corrupt_segments++;
        r->segment->corrupt = 1;
        offset = found;
    }
    return finish(r, offset, err);
}

static enum oto_status open_reader(struct reader *r, struct oto_error *err)
{
    char path[OTO_WAL_PATH_MAX];
    oto_wal_segment_path(r->wal, r->segment->ordinal, "wal", path);
    OTO_TRY(oto_file_open(&r->file, path, OTO_FILE_UPDATE, err));
    enum oto_status status = oto_file_size(&r->file, &r->file_size, err);
    if (status < 0)
        oto_file_close(&r->file, NULL);
    return status;
}

// The first record of a file without its header; OTO_END when there is none. A recycled file holds
// records of an earlier life too, but these were all flushed before it was used again: they must
// not be taken for the file's own, whose numbers make void what older segments hold.
static enum oto_status first_of_unknown_life(struct reader *r, struct oto_wal_record *ret_record,
                                             struct oto_error *err)
{
    uint64_t offset = OTO_WAL_SEGMENT_HEADER_BYTES;
    for (;;) {
        size_t size;
        r->salt = 0;
        enum oto_status status = resync(r, offset, &offset, err);
        if (status != OTO_OK)
            return status;
        OTO_TRY(record_at(r, offset, ret_record, &size, err));
        if (ret_record->seq > r->flushed_seq)
            return OTO_OK;
        offset += size;
    }
}

// Reads one header. A file whose header belongs to another life holds nothing that was ever
// acknowledged: *ret_stale.
static enum oto_status read_header(struct reader *r, int *ret_stale, struct oto_error *err)
{
    struct oto_bytes bytes;
    struct oto_wal_segment_header header;
    *ret_stale = 0;
    OTO_TRY(window_show(r, 0, OTO_WAL_SEGMENT_HEADER_BYTES, &bytes, err));
    enum oto_status status = oto_wal_segment_header_decode(bytes, &header, err);
    if (status == OTO_UNSUPPORTED)
        return status;
    if (status == OTO_OK) {
        r->salt = header.salt;
        r->segment->first_seq = header.first_seq;
        r->segment->last_seq = header.first_seq - 1;
        *ret_stale = header.ordinal != r->segment->ordinal || header.first_seq == 0;
        return OTO_OK;
    }
    // The header is damaged or was never written: the records after it decide.
    struct oto_wal_record record;
    status = first_of_unknown_life(r, &record, err);
    if (status < 0)
        return status;
    *ret_stale = status == OTO_END;
    if (status == OTO_OK) {
        r->segment->first_seq = record.seq;
        r->segment->last_seq = record.seq - 1;
        r->segment->corrupt = 1;
        r->recovery->corrupt_segments++;
    }
    return OTO_OK;
}

// --- which segments there are ---

struct found {
    struct oto_wal *wal;
    uint64_t *ordinals;
    size_t count, capacity;
};

static enum oto_status find_segment(void *state, const struct oto_folder_entry *entry,
                                    struct oto_error *err)
{
    struct found *found = state;
    char *end;
    if (!entry->is_file || strlen(entry->name) != 16 + 4 || strcmp(entry->name + 16, ".wal") != 0)
        return OTO_OK;
    uint64_t ordinal = strtoull(entry->name, &end, 16);
    if (end != entry->name + 16)
        return OTO_OK;
    if (found->count == found->capacity) {
        size_t capacity = found->capacity ? 2 * found->capacity : 64;
        uint64_t *grown = realloc(found->ordinals, capacity * sizeof *grown);
        if (!grown)
            return oto_error_set(err, OTO_NO_MEMORY, "no memory to list log segments");
        found->ordinals = grown;
        found->capacity = capacity;
    }
    found->ordinals[found->count++] = ordinal;
    return OTO_OK;
}

static int compare_ordinals(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static void reader_close(struct reader *r)
{
    oto_file_close(&r->file, NULL);
    r->window.size = 0;
    r->window_at = 0;
    r->salt = 0;
}

// Puts the segment of that ordinal on the list, or removes its file when it is stale.
static enum oto_status add_segment(struct reader *r, uint64_t ordinal, struct oto_error *err)
{
    int stale;
    struct oto_wal_segment *segment = calloc(1, sizeof *segment);
    if (!segment)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for a log segment");
    segment->ordinal = ordinal;
    r->segment = segment;
    char path[OTO_WAL_PATH_MAX];
    oto_wal_segment_path(r->wal, ordinal, "wal", path);
    enum oto_status status = open_reader(r, err);
    if (status >= 0) {
        segment->disk_bytes = r->file_size;
        status = read_header(r, &stale, err);
        reader_close(r);
    }
    if (status < 0)
        oto_error_context(err, "%s", path);
    else if (stale)
        status = oto_path_remove(path, err);
    if (status < 0 || stale) {
        free(segment);
        return status;
    }
    oto_wal_segment_list_add(r->wal, segment);
    r->wal->stats.disk_bytes += segment->disk_bytes;
    return OTO_OK;
}

static enum oto_status list_segments(struct reader *r, struct oto_error *err)
{
    struct found found = {.wal = r->wal};
    enum oto_status status = oto_folder_list(r->wal->path, find_segment, &found, err);
    if (found.count)
        qsort(found.ordinals, found.count, sizeof *found.ordinals, compare_ordinals);
    for (size_t i = 0; i < found.count && status >= 0; i++) {
        if (found.ordinals[i] >= r->wal->next_ordinal)
            r->wal->next_ordinal = found.ordinals[i] + 1;
        status = add_segment(r, found.ordinals[i], err);
    }
    free(found.ordinals);
    return status;
}

// Records from there on are void: a later segment begins with that number, since theirs were never
// committed.
static uint64_t limit_of(const struct oto_wal_segment *segment)
{
    uint64_t limit = UINT64_MAX;
    for (const struct oto_wal_segment *later = segment->next; later; later = later->next)
        if (later->first_seq < limit)
            limit = later->first_seq;
    return limit;
}

static enum oto_status read_segment(struct reader *r, struct oto_wal_segment *segment,
                                    struct oto_error *err)
{
    int stale;
    uint64_t first_seq = segment->first_seq;
    r->segment = segment;
    OTO_TRY(open_reader(r, err));
    r->limit_seq = limit_of(segment);
    struct oto_wal_recovery *counts = r->recovery, ignored = {0};
    r->recovery = &ignored; // a lost header was counted when the segment was listed
    // What a killed process wrote may be in the page cache only: marks and files are not made of
    // records that the power could still take.
    enum oto_status status = oto_file_sync(&r->file, err);
    if (status >= 0)
        status = read_header(r, &stale, err);
    r->recovery = counts;
    segment->first_seq = first_seq;
    if (status >= 0)
        status = read_records(r, err);
    reader_close(r);
    if (status < 0)
        oto_error_context(err, "log segment %016" PRIx64, segment->ordinal);
    return status;
}

enum oto_status
oto_wal_replay(struct oto_wal *wal,
               enum oto_status (*visit)(void *state, const struct oto_wal_record *record,
                                        struct oto_error *err),
               void *state, struct oto_wal_recovery *ret_recovery, struct oto_error *err)
{
    struct oto_wal_recovery recovery = {0};
    struct reader r = {.wal = wal,
                       .visit = visit,
                       .state = state,
                       .recovery = &recovery,
                       .flushed_seq = wal->marks.flushed_seq};
    r.file.fd = -1;
    // An earlier life may have put the checkpoint there, by which segments go, and come no further.
    OTO_TRY(oto_folder_sync(wal->path, err));
    oto_buffer_init(&r.window, &oto_allocator_pages, SIZE_MAX / 2);
    enum oto_status status = list_segments(&r, err);
    for (struct oto_wal_segment *s = wal->oldest, *next; s && status >= 0; s = next) {
        status = read_segment(&r, s, err);
        next = s->next;
        // The visitor may have moved the mark: space comes back while the disk is written to.
        if (status >= 0 && next && visit)
            status = oto_wal_trim_before(wal, next, err);
    }
    oto_buffer_release(&r.window);
    if (status < 0)
        return status;
    if (recovery.last_seq < r.flushed_seq)
        recovery.last_seq = r.flushed_seq;
    wal->durable_seq = recovery.last_seq;
    wal->replayed = 1;
    *ret_recovery = recovery;
    return OTO_OK;
}
