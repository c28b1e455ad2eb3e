// The logs of a data folder: every record, and which sequence numbers there are.
#include "inspect/verify_internal.h"
#include "os/file_list.h"

#include "codec/crc.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DEDUP_HEAD_BYTES 16
#define DEDUP_ENTRY_BYTES 40
#define SMALL_FILE_BYTES_MAX ((uint64_t)1 << 30)

struct segment {
    uint64_t ordinal;
    uint64_t first_seq; // 0: the header does not say
};

// One log being read.
struct reading {
    struct oto_verify *v;
    struct oto_verify_log *log;
    struct oto_buffer segments; // struct segment
    char folder[64];            // "wal/0"
    char name[128];             // of the segment at work
};

static enum oto_status no_memory(struct oto_verify *v)
{
    return oto_error_set(v->err, OTO_NO_MEMORY, "no memory to read a log");
}

// --- small files ---

// A whole file; OTO_NOT_FOUND leaves bytes empty.
static enum oto_status read_file(struct oto_verify *v, const char *name, struct oto_buffer *bytes,
                                 struct oto_error *err)
{
    char path[OTO_INSPECT_PATH_MAX];
    struct oto_file file;
    uint64_t size = 0;
    size_t got = 0;
    oto_verify_path(v, name, path);
    OTO_TRY(oto_file_open(&file, path, OTO_FILE_READ, err));
    enum oto_status status = oto_file_size(&file, &size, err);
    if (status >= 0 && size > SMALL_FILE_BYTES_MAX)
        status = oto_error_set(err, OTO_CORRUPT, "%" PRIu64 " bytes", size);
    if (status >= 0)
        status = oto_buffer_reserve(bytes, (size_t)size + 1);
    if (status >= 0)
        status = oto_file_read_at(&file, 0, bytes->data, (size_t)size, &got, err);
    bytes->size = got;
    oto_file_close(&file, NULL);
    return status < 0 ? status : OTO_OK;
}

static void read_checkpoint(struct reading *r)
{
    char name[128];
    struct oto_buffer bytes;
    struct oto_error err;
    oto_error_init(&err);
    oto_buffer_init(&bytes, &oto_allocator_heap, SIZE_MAX / 2);
    (void)snprintf(name, sizeof name, "%s/checkpoint", r->folder);
    enum oto_status status = read_file(r->v, name, &bytes, &err);
    if (status >= 0)
        status = oto_wal_checkpoint_decode(oto_buffer_view(&bytes), &r->log->marks, &err);
    if (status < 0 && status != OTO_NOT_FOUND)
        oto_verify_problem(r->v, name, OTO_OFFSET_NONE, "%s", err.message);
    oto_buffer_release(&bytes);
}

static int dedup_is_good(struct oto_bytes b)
{
    if (b.size < DEDUP_HEAD_BYTES + 4 || memcmp(b.data, "OTODUP\r\n", 8) != 0)
        return 0;
    uint64_t size = DEDUP_HEAD_BYTES + (uint64_t)oto_load32(b.data + 12) * DEDUP_ENTRY_BYTES + 4;
    return b.size == size && oto_load32(b.data + size - 4) == oto_crc32c(0, b.data, b.size - 4);
}

static void check_dedup(struct reading *r)
{
    char name[128];
    struct oto_buffer bytes;
    struct oto_error err;
    oto_error_init(&err);
    oto_buffer_init(&bytes, &oto_allocator_heap, SIZE_MAX / 2);
    (void)snprintf(name, sizeof name, "%s/dedup", r->folder);
    enum oto_status status = read_file(r->v, name, &bytes, &err);
    if (status >= 0 && !dedup_is_good(oto_buffer_view(&bytes)))
        oto_verify_problem(r->v, name, OTO_OFFSET_NONE, "its checksum is wrong");
    else if (status < 0 && status != OTO_NOT_FOUND)
        oto_verify_problem(r->v, name, OTO_OFFSET_NONE, "%s", err.message);
    oto_buffer_release(&bytes);
}

// --- segments ---

static enum oto_status add_range(struct reading *r, uint64_t seq)
{
    struct oto_seq_range *ranges = (struct oto_seq_range *)(void *)r->log->ranges.data;
    size_t count = r->log->ranges.size / sizeof *ranges;
    struct oto_seq_range one = {seq, seq};
    if (count && ranges[count - 1].last + 1 == seq) {
        ranges[count - 1].last = seq;
        return OTO_OK;
    }
    return oto_buffer_append(&r->log->ranges, &one, sizeof one);
}

static enum oto_status see_record(void *state, const struct oto_wal_record *record, uint64_t offset,
                                  uint64_t size, struct oto_error *err)
{
    struct reading *r = state;
    if (!record) {
        oto_verify_problem(r->v, r->name, offset,
                           "%" PRIu64 " bytes are damaged: no record there has a right checksum",
                           size);
        return OTO_OK;
    }
    if (record->kind >= OTO_SIGNAL_COUNT)
        oto_verify_problem(r->v, r->name, offset, "record %" PRIu64 " is of no signal",
                           record->seq);
    r->v->result->records++;
    r->v->result->record_bytes += record->payload.size;
    if (record->seq > r->log->last_seq)
        r->log->last_seq = record->seq;
    return add_range(r, record->seq) < 0
               ? oto_error_set(err, OTO_NO_MEMORY, "no memory to read a log")
               : OTO_OK;
}

// A segment that was trimmed meanwhile is none.
static enum oto_status scan(struct reading *r, const struct segment *segment, uint64_t limit_seq,
                            oto_segment_visit visit, struct oto_segment_scan *found)
{
    char path[OTO_INSPECT_PATH_MAX];
    struct oto_error err;
    oto_error_init(&err);
    (void)snprintf(r->name, sizeof r->name, "%s/%016" PRIx64 ".wal", r->folder, segment->ordinal);
    oto_verify_path(r->v, r->name, path);
    enum oto_status status = oto_segment_scan(path, limit_seq, visit, r, found, &err);
    if (status == OTO_NO_MEMORY)
        return no_memory(r->v);
    if (status < 0 && status != OTO_NOT_FOUND && limit_seq)
        oto_verify_problem(r->v, r->name, OTO_OFFSET_NONE, "%s", err.message);
    return status < 0 ? OTO_END : OTO_OK;
}

static enum oto_status read_segment(struct reading *r, const struct segment *segment,
                                    uint64_t limit_seq, int is_last)
{
    struct oto_segment_scan found;
    enum oto_status status = scan(r, segment, limit_seq, see_record, &found);
    if (status != OTO_OK)
        return status < 0 ? status : OTO_OK;
    r->v->result->segments++;
    if (!found.is_header_good && found.record_count)
        oto_verify_problem(r->v, r->name, 0, "%s", found.header_problem);
    else if (!found.is_header_good)
        oto_verify_note(r->v, r->name, 0, "%s; it holds no record", found.header_problem);
    if (found.rest == OTO_SEGMENT_REST_TORN && is_last)
        oto_verify_note(r->v, r->name, found.valid_bytes,
                        "the end is torn, being written, or damaged: whether a record there was "
                        "acknowledged cannot be told");
    return OTO_OK;
}

static int compare_segments(const void *a, const void *b)
{
    uint64_t x = ((const struct segment *)a)->ordinal, y = ((const struct segment *)b)->ordinal;
    return (x > y) - (x < y);
}

// Where a segment's records end: with the first of any later one.
static uint64_t limit_of(const struct segment *segments, size_t count, size_t i)
{
    uint64_t limit = UINT64_MAX;
    for (i++; i < count; i++)
        if (segments[i].first_seq && segments[i].first_seq < limit)
            limit = segments[i].first_seq;
    return limit;
}

static enum oto_status read_segments(struct reading *r)
{
    struct segment *segments = (struct segment *)(void *)r->segments.data;
    size_t count = r->segments.size / sizeof *segments;
    if (!count)
        return OTO_OK;
    qsort(segments, count, sizeof *segments, compare_segments);
    for (size_t i = 0; i < count; i++) {
        struct oto_segment_scan found;
        enum oto_status status = scan(r, &segments[i], 0, NULL, &found);
        OTO_TRY(status);
        if (status != OTO_OK ||
            (found.is_header_good && found.header.ordinal != segments[i].ordinal))
            segments[i].ordinal = 0; // gone, or of an earlier life: empty
        else if (found.is_header_good)
            segments[i].first_seq = found.header.first_seq;
    }
    for (size_t i = 0; i < count; i++)
        if (segments[i].ordinal)
            OTO_TRY(read_segment(r, &segments[i], limit_of(segments, count, i), i + 1 == count));
    return OTO_OK;
}

static enum oto_status see_log_file(void *state, const char *path, uint64_t size_bytes,
                                    struct oto_error *err)
{
    struct reading *r = state;
    const char *name = strrchr(path, '/') + 1;
    size_t size = strlen(name);
    struct segment segment = {0};
    char *end;
    (void)size_bytes;
    if (size > 8 && strcmp(name + size - 8, ".corrupt") == 0) {
        char place[OTO_INSPECT_PATH_MAX];
        (void)snprintf(place, sizeof place, "%s/%.64s", r->folder, name);
        oto_verify_note(r->v, place, OTO_OFFSET_NONE,
                        "a damaged segment, kept aside when its good records were in files");
    }
    segment.ordinal = strtoull(name, &end, 16);
    if (size != 20 || end != name + 16 || strcmp(end, ".wal") != 0 || !segment.ordinal)
        return OTO_OK;
    return oto_buffer_append(&r->segments, &segment, sizeof segment) < 0
               ? oto_error_set(err, OTO_NO_MEMORY, "no memory to read a log")
               : OTO_OK;
}

static enum oto_status read_log(struct oto_verify *v, uint32_t shard)
{
    char path[OTO_INSPECT_PATH_MAX];
    struct oto_verify_log log = {.shard = shard};
    struct reading r = {.v = v, .log = &log};
    oto_buffer_init(&log.ranges, &oto_allocator_heap, SIZE_MAX / 2);
    oto_buffer_init(&r.segments, &oto_allocator_heap, SIZE_MAX / 2);
    (void)snprintf(r.folder, sizeof r.folder, "wal/%u", shard);
    oto_verify_path(v, r.folder, path);
    read_checkpoint(&r);
    check_dedup(&r);
    enum oto_status status = oto_files_below(path, see_log_file, &r, v->err);
    if (status >= 0)
        status = read_segments(&r);
    oto_buffer_release(&r.segments);
    v->result->logs++;
    if (status >= 0 && oto_buffer_append(&v->logs, &log, sizeof log) < 0)
        status = no_memory(v);
    if (status < 0)
        oto_buffer_release(&log.ranges);
    return status;
}

struct shards {
    struct oto_verify *v;
    struct oto_buffer numbers; // uint32_t
};

static enum oto_status see_shard(void *state, const struct oto_folder_entry *entry,
                                 struct oto_error *err)
{
    struct shards *shards = state;
    char *end;
    unsigned long number = strtoul(entry->name, &end, 10);
    uint32_t shard = (uint32_t)number;
    if (strcmp(entry->name, "quarantine") == 0)
        oto_verify_note(shards->v, "wal/quarantine", OTO_OFFSET_NONE,
                        "logged requests that could not be read any more are kept here");
    if (!entry->is_folder || *end || end == entry->name || number > UINT16_MAX)
        return OTO_OK;
    return oto_buffer_append(&shards->numbers, &shard, sizeof shard) < 0
               ? oto_error_set(err, OTO_NO_MEMORY, "no memory to read the logs")
               : OTO_OK;
}

enum oto_status oto_verify_read_logs(struct oto_verify *v)
{
    char path[OTO_INSPECT_PATH_MAX];
    struct shards shards = {.v = v};
    oto_buffer_init(&shards.numbers, &oto_allocator_heap, SIZE_MAX / 2);
    oto_verify_path(v, "wal", path);
    enum oto_status status = oto_folder_list(path, see_shard, &shards, v->err);
    if (status == OTO_NOT_FOUND)
        status = OTO_OK;
    const uint32_t *numbers = (const uint32_t *)(const void *)shards.numbers.data;
    for (size_t i = 0; status >= 0 && i < shards.numbers.size / sizeof *numbers; i++) {
        status = read_log(v, numbers[i]);
        if (status == OTO_NOT_FOUND)
            status = OTO_OK;
    }
    oto_buffer_release(&shards.numbers);
    return status;
}
