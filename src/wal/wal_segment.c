// Segment files: begun, written, given up, trimmed.
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "os/clock.h"
#include "wal/wal_internal.h"

// Small groups are written into space that already holds zeros: a sync that changes no file size
// takes half the time. Larger ones would only pay for writing everything twice.
#define AHEAD_BYTES (1u << 20)
#define AHEAD_GROUP_MAX (64u << 10)

static _Alignas(OTO_WAL_BLOCK_BYTES) uint8_t zeros[AHEAD_BYTES]; // never touched: one page of zeros

void oto_wal_segment_path(const struct oto_wal *wal, uint64_t ordinal, const char *extension,
                          char *output)
{
    snprintf(output, OTO_WAL_PATH_MAX, "%s/%016" PRIx64 ".%s", wal->path, ordinal, extension);
}

void oto_wal_segment_list_add(struct oto_wal *wal, struct oto_wal_segment *segment)
{
    if (wal->newest)
        wal->newest->next = segment;
    else
        wal->oldest = segment;
    wal->newest = segment;
    wal->stats.segments++;
}

// Opens the file for a new segment: a spare one renamed, or a new one.
static enum oto_status open_file(struct oto_wal *wal, uint64_t ordinal, struct oto_error *err)
{
    char path[OTO_WAL_PATH_MAX], spare[OTO_WAL_PATH_MAX];
    oto_wal_segment_path(wal, ordinal, "wal", path);
    oto_mutex_lock(&wal->lock);
    int have_spare = wal->spare_count > 0;
    if (have_spare)
        oto_wal_segment_path(wal, wal->spares[--wal->spare_count], "free", spare);
    oto_mutex_unlock(&wal->lock);
    enum oto_status status = OTO_NOT_FOUND;
    if (have_spare)
        status = oto_path_rename(spare, path, err);
    status = oto_file_open(&wal->current, path, status == OTO_OK ? OTO_FILE_UPDATE : OTO_FILE_WRITE,
                           err);
    if (status >= 0)
        status = oto_file_size(&wal->current, &wal->current_size, err);
    if (status >= 0)
        status = oto_folder_sync(wal->path, err);
    if (status < 0)
        return status;
    wal->current_size -= wal->current_size % OTO_WAL_BLOCK_BYTES;
    // A group that is synced at once gains nothing from the page cache, which would cost more than
    // the rest of its way to the disk.
    if (wal->options.durability == OTO_DURABILITY_FSYNC)
        oto_file_set_direct(&wal->current);
    return OTO_OK;
}

static enum oto_status write_header(struct oto_wal *wal, uint64_t ordinal, uint64_t first_seq,
                                    struct oto_error *err)
{
    _Alignas(OTO_WAL_BLOCK_BYTES) uint8_t page[OTO_WAL_SEGMENT_HEADER_BYTES];
    struct oto_wal_segment_header header = {
        .first_seq = first_seq, .ordinal = ordinal, .created_ns = oto_clock_wall_ns()};
    while (header.salt == 0)
        oto_random(&header.salt, sizeof header.salt);
    oto_wal_segment_header_encode(&header, page);
    OTO_TRY(wal->disk.write(&wal->current, 0, page, sizeof page, err));
    wal->current_salt = header.salt;
    wal->current_end = wal->current_durable = sizeof page;
    if (wal->current_size < sizeof page)
        wal->current_size = sizeof page;
    return OTO_OK;
}

// A file without a record that cannot be removed does no harm: recovery removes it.
static void drop_file(struct oto_wal *wal, uint64_t ordinal)
{
    char path[OTO_WAL_PATH_MAX];
    oto_wal_segment_path(wal, ordinal, "wal", path);
    oto_file_close(&wal->current, NULL);
    if (oto_path_remove(path, NULL) < 0)
        return;
}

enum oto_status oto_wal_segment_begin(struct oto_wal *wal, uint64_t first_seq,
                                      struct oto_error *err)
{
    struct oto_wal_segment *segment = calloc(1, sizeof *segment);
    if (!segment)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for a log segment");
    uint64_t ordinal = wal->next_ordinal++;
    enum oto_status status = open_file(wal, ordinal, err);
    if (status >= 0)
        status = write_header(wal, ordinal, first_seq, err);
    if (status < 0) {
        drop_file(wal, ordinal);
        free(segment);
        return status;
    }
    *segment = (struct oto_wal_segment){.ordinal = ordinal,
                                        .first_seq = first_seq,
                                        .last_seq = first_seq - 1,
                                        .disk_bytes = wal->current_size};
    oto_mutex_lock(&wal->lock);
    oto_wal_segment_list_add(wal, segment);
    wal->stats.disk_bytes += segment->disk_bytes;
    oto_mutex_unlock(&wal->lock);
    return OTO_OK;
}

// Zeros after the records, so that the next groups find written space. Best effort: a full disk is
// told by the records' own write.
static void write_ahead(struct oto_wal *wal)
{
    uint64_t end = wal->current_size + AHEAD_BYTES;
    while (wal->current_size < end && wal->current_size < wal->options.segment_size_bytes) {
        if (wal->disk.write(&wal->current, wal->current_size, zeros, sizeof zeros, NULL) < 0)
            return;
        wal->current_size += sizeof zeros;
    }
}

// A group that began when another end of another segment was expected: its records are moved and
// sealed again.
static void mend_group(const struct oto_wal *wal, struct oto_wal_group *group)
{
    size_t lead = wal->current_end % OTO_WAL_BLOCK_BYTES, size = group->bytes.size - group->lead;
    if (lead != group->lead) {
        memmove(group->bytes.data + lead, group->bytes.data + group->lead, size);
        group->lead = lead;
        group->bytes.size = lead + size;
    }
    if (group->salt == wal->current_salt)
        return;
    for (size_t at = lead; at < group->bytes.size;)
        at += oto_wal_record_seal(group->bytes.data + at, wal->current_salt);
    group->salt = wal->current_salt;
}

// In whole blocks: what the first one holds already, the records, zeros. Sectors that hold
// committed records are written again with the same bytes.
static enum oto_status write_blocks(struct oto_wal *wal, struct oto_wal_group *group,
                                    struct oto_error *err)
{
    uint8_t *bytes = group->bytes.data;
    size_t lead = group->lead, size = group->bytes.size, rest = size % OTO_WAL_BLOCK_BYTES;
    size_t padding = rest ? OTO_WAL_BLOCK_BYTES - rest : 0;
    memcpy(bytes, wal->tail, lead);
    memset(bytes + size, 0, padding);
    OTO_TRY(wal->disk.write(&wal->current, wal->current_end - lead, bytes, size + padding, err));
    memcpy(wal->tail, bytes + size - rest, rest);
    return OTO_OK;
}

// A group goes into one segment whole; when it does not fit, it begins the next one.
static enum oto_status make_room(struct oto_wal *wal, const struct oto_wal_group *group,
                                 struct oto_error *err)
{
    int full = wal->current.fd >= 0 && wal->current_end > OTO_WAL_SEGMENT_HEADER_BYTES &&
               wal->current_end + group->bytes.size - group->lead > wal->options.segment_size_bytes;
    if (full) {
        if (wal->dirty)
            OTO_TRY(oto_wal_segment_sync(wal, err));
        OTO_TRY(oto_file_close(&wal->current, err));
    }
    return wal->current.fd >= 0 ? OTO_OK : oto_wal_segment_begin(wal, group->first_seq, err);
}

enum oto_status oto_wal_segment_write(struct oto_wal *wal, struct oto_wal_group *group,
                                      struct oto_error *err)
{
    OTO_TRY(make_room(wal, group, err));
    mend_group(wal, group);
    uint64_t size_before = wal->current_size;
    uint64_t size = group->bytes.size - group->lead, end = wal->current_end + size;
    uint64_t block_end =
        (end + OTO_WAL_BLOCK_BYTES - 1) / OTO_WAL_BLOCK_BYTES * OTO_WAL_BLOCK_BYTES;
    wal->dirty = 1;
    OTO_TRY(write_blocks(wal, group, err));
    if (block_end > wal->current_size)
        wal->current_size = block_end;
    if (end + AHEAD_GROUP_MAX / 4 > wal->current_size && size <= AHEAD_GROUP_MAX)
        write_ahead(wal);
    if (wal->options.durability == OTO_DURABILITY_FSYNC)
        OTO_TRY(oto_wal_segment_sync(wal, err));
    wal->current_end = wal->current_durable = end;
    oto_mutex_lock(&wal->lock);
    wal->newest->last_seq = group->last_seq;
    wal->newest->disk_bytes = wal->current_size;
    wal->stats.disk_bytes += wal->current_size - size_before;
    wal->next_end = end;
    wal->next_salt = wal->current_salt;
    oto_mutex_unlock(&wal->lock);
    return OTO_OK;
}

enum oto_status oto_wal_segment_sync(struct oto_wal *wal, struct oto_error *err)
{
    uint64_t begun_ns = oto_clock_monotonic_ns();
    enum oto_status status = wal->disk.sync(&wal->current, err);
    uint64_t taken_ns = oto_clock_monotonic_ns() - begun_ns;
    oto_mutex_lock(&wal->lock);
    wal->stats.syncs++;
    wal->stats.sync_ns += taken_ns;
    oto_mutex_unlock(&wal->lock);
    if (status >= 0)
        wal->dirty = 0;
    return status;
}

void oto_wal_segment_abandon(struct oto_wal *wal)
{
    wal->dirty = 0;
    if (wal->current.fd < 0)
        return;
    // After a failed sync the kernel may call lost pages clean, so neither success nor failure here
    // is believed: what counts is that the next segment's first_seq makes void whatever is left.
    int cut = oto_file_truncate(&wal->current, wal->current_durable, NULL) >= 0;
    int synced = wal->disk.sync(&wal->current, NULL) >= 0;
    oto_file_close(&wal->current, NULL);
    oto_mutex_lock(&wal->lock);
    if (cut && synced && wal->newest->disk_bytes > wal->current_durable) {
        wal->stats.disk_bytes -= wal->newest->disk_bytes - wal->current_durable;
        wal->newest->disk_bytes = wal->current_durable;
    }
    oto_mutex_unlock(&wal->lock);
}

// Takes the oldest segment off the list when everything in it is flushed and nobody writes to it or
// has it still to read.
static struct oto_wal_segment *take_trimmable(struct oto_wal *wal, uint64_t flushed_seq,
                                              const struct oto_wal_segment *unread)
{
    struct oto_wal_segment *segment = wal->oldest;
    int in_use = segment && segment == wal->newest && wal->running;
    if (!segment || in_use || segment == unread || segment->last_seq > flushed_seq)
        return NULL;
    wal->oldest = segment->next;
    if (!wal->oldest)
        wal->newest = NULL;
    wal->stats.segments--;
    wal->stats.disk_bytes -= segment->disk_bytes;
    return segment;
}

static enum oto_status retire(struct oto_wal *wal, const struct oto_wal_segment *segment,
                              struct oto_error *err)
{
    char path[OTO_WAL_PATH_MAX], other[OTO_WAL_PATH_MAX];
    oto_wal_segment_path(wal, segment->ordinal, "wal", path);
    if (segment->corrupt) {
        oto_wal_segment_path(wal, segment->ordinal, "wal.corrupt", other);
        return oto_path_rename(path, other, err);
    }
    uint64_t size = segment->disk_bytes, wanted = wal->options.segment_size_bytes;
    oto_mutex_lock(&wal->lock);
    int keep = wal->running && wal->spare_count < OTO_WAL_SPARE_MAX && size >= wanted / 2 &&
               size <= wanted + wanted / 2;
    oto_mutex_unlock(&wal->lock);
    if (!keep)
        return oto_path_remove(path, err);
    oto_wal_segment_path(wal, segment->ordinal, "free", other);
    OTO_TRY(oto_path_rename(path, other, err));
    oto_mutex_lock(&wal->lock);
    wal->spares[wal->spare_count++] = segment->ordinal; // only one thread trims at a time
    oto_mutex_unlock(&wal->lock);
    return OTO_OK;
}

enum oto_status oto_wal_trim(struct oto_wal *wal, struct oto_error *err)
{
    return oto_wal_trim_before(wal, NULL, err);
}

enum oto_status oto_wal_trim_before(struct oto_wal *wal, const struct oto_wal_segment *unread,
                                    struct oto_error *err)
{
    oto_mutex_lock(&wal->marks_lock);
    uint64_t flushed_seq = wal->marks.flushed_seq;
    oto_mutex_unlock(&wal->marks_lock);
    enum oto_status status = OTO_OK;
    while (status >= 0) {
        oto_mutex_lock(&wal->lock);
        struct oto_wal_segment *segment = take_trimmable(wal, flushed_seq, unread);
        oto_mutex_unlock(&wal->lock);
        if (!segment)
            break;
        status = retire(wal, segment, err);
        free(segment);
    }
    return status;
}
