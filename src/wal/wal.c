// Open, append, close: the side of the log that its owner's thread sees.
#include "wal/wal.h"

#include <stdio.h>
#include <stdlib.h>

#include "os/clock.h"
#include "wal/wal_internal.h"

#define SEGMENT_SIZE_MIN (4u << 20)
#define FREE_CHECK_NS 200000000u // free space is asked for at most five times a second

void oto_wal_options_default(struct oto_wal_options *options)
{
    *options = (struct oto_wal_options){
        .durability = OTO_DURABILITY_FSYNC,
        .interval_ms = 1000,
        .segment_size_bytes = 64u << 20,
        .staged_bytes_max = 32u << 20,
        .disk_free_min = 64u << 20,
    };
}

// Spare segments that an earlier life left. Only their names count.
static enum oto_status find_spare(void *state, const struct oto_folder_entry *entry,
                                  struct oto_error *err)
{
    struct oto_wal *wal = state;
    char *end;
    uint64_t ordinal = strtoull(entry->name, &end, 16);
    int is_spare = strcmp(end, ".free") == 0;
    if (!entry->is_file || end != entry->name + 16 ||
        (!is_spare && strcmp(end, ".wal.corrupt") != 0))
        return OTO_OK;
    if (ordinal >= wal->next_ordinal) // a number that was used names no other file
        wal->next_ordinal = ordinal + 1;
    if (!is_spare)
        return OTO_OK;
    if (wal->spare_count < OTO_WAL_SPARE_MAX) {
        wal->spares[wal->spare_count++] = ordinal;
        return OTO_OK;
    }
    char path[OTO_WAL_PATH_MAX];
    oto_wal_segment_path(wal, ordinal, "free", path);
    return oto_path_remove(path, err);
}

static enum oto_status read_marks(struct oto_wal *wal, struct oto_error *err)
{
    char path[OTO_WAL_PATH_MAX];
    uint8_t bytes[OTO_WAL_CHECKPOINT_BYTES];
    struct oto_file file;
    size_t size = 0;
    snprintf(path, sizeof path, "%s/checkpoint", wal->path);
    enum oto_status status = oto_file_open(&file, path, OTO_FILE_READ, err);
    if (status == OTO_NOT_FOUND)
        return OTO_OK;
    if (status < 0)
        return status;
    status = oto_file_read_at(&file, 0, bytes, sizeof bytes, &size, err);
    oto_file_close(&file, NULL);
    if (status >= 0)
        status = oto_wal_checkpoint_decode(oto_bytes(bytes, size), &wal->marks, err);
    if (status < 0)
        oto_error_context(err, "%s", path);
    return status;
}

static void wal_free(struct oto_wal *wal)
{
    for (struct oto_wal_segment *segment = wal->oldest, *next; segment; segment = next) {
        next = segment->next;
        free(segment);
    }
    for (int i = 0; i < 2; i++)
        oto_buffer_release(&wal->groups[i].bytes);
    oto_condition_release(&wal->wake_committer);
    oto_condition_release(&wal->wake_waiters);
    oto_mutex_release(&wal->lock);
    oto_mutex_release(&wal->marks_lock);
    free(wal->path);
    free(wal->tail);
    free(wal);
}

static struct oto_wal *wal_new(const char *path, const struct oto_wal_options *options)
{
    struct oto_wal *wal = calloc(1, sizeof *wal);
    if (!wal)
        return NULL;
    wal->path = strdup(path);
    wal->tail = malloc(OTO_WAL_BLOCK_BYTES);
    wal->options = *options;
    if (wal->options.segment_size_bytes < SEGMENT_SIZE_MIN)
        wal->options.segment_size_bytes = SEGMENT_SIZE_MIN;
    wal->disk = (struct oto_wal_disk){.write = oto_file_write_at, .sync = oto_file_sync};
    wal->current.fd = -1;
    wal->next_ordinal = 1;
    for (int i = 0; i < 2; i++)
        oto_buffer_init(&wal->groups[i].bytes, &oto_allocator_pages, SIZE_MAX / 2);
    oto_mutex_init(&wal->lock);
    oto_mutex_init(&wal->marks_lock);
    oto_condition_init(&wal->wake_committer);
    oto_condition_init(&wal->wake_waiters);
    if (!wal->path || !wal->tail) {
        wal_free(wal);
        return NULL;
    }
    return wal;
}

enum oto_status oto_wal_open(const char *path, const struct oto_wal_options *options,
                             struct oto_wal **ret_wal, struct oto_error *err)
{
    if (strlen(path) > OTO_WAL_PATH_MAX - 64)
        return oto_error_set(err, OTO_INVALID, "the log's path is too long");
    OTO_TRY(oto_folder_create(path, err));
    OTO_TRY(oto_parent_sync(path, err)); // an earlier life may have made it and come no further
    struct oto_wal *wal = wal_new(path, options);
    if (!wal)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for a log");
    enum oto_status status = oto_folder_list(path, find_spare, wal, err);
    if (status >= 0)
        status = read_marks(wal, err);
    if (status < 0) {
        wal_free(wal);
        return status;
    }
    *ret_wal = wal;
    return OTO_OK;
}

enum oto_status oto_wal_start(struct oto_wal *wal, struct oto_error *err)
{
    if (!wal->replayed)
        OTO_TRY(oto_wal_replay(wal, NULL, NULL, &(struct oto_wal_recovery){0}, err));
    uint64_t last_seq = wal->durable_seq;
    if (last_seq < wal->marks.cut_seq)
        last_seq = wal->marks.cut_seq;
    wal->durable_seq = wal->synced_seq = last_seq;
    wal->next_seq = last_seq + 1;
    wal->next_end = OTO_WAL_SEGMENT_HEADER_BYTES;
    wal->running = 1;
    enum oto_status status =
        oto_thread_start(&wal->committer, "oto-wal", oto_wal_committer_run, wal, err);
    if (status < 0)
        wal->running = 0;
    return status;
}

// Asks the file system now and then, so that the log never takes the last bytes of a disk that
// others need too.
static int disk_is_low(struct oto_wal *wal)
{
    uint64_t now_ns = oto_clock_monotonic_ns(), free_bytes;
    if (wal->options.disk_free_min == 0)
        return 0;
    if (wal->free_checked_ns != 0 && now_ns - wal->free_checked_ns < FREE_CHECK_NS)
        return wal->free_low;
    wal->free_checked_ns = now_ns;
    wal->free_low =
        oto_disk_free(wal->path, &free_bytes, NULL) >= 0 && free_bytes < wal->options.disk_free_min;
    return wal->free_low;
}

// Lock held.
static void begin_group(const struct oto_wal *wal, struct oto_wal_group *group, uint64_t seq)
{
    group->lead = wal->next_end % OTO_WAL_BLOCK_BYTES;
    group->salt = wal->next_salt;
    group->bytes.size = group->lead;
    group->first_seq = seq;
}

static enum oto_status stage(struct oto_wal *wal, struct oto_wal_record *record,
                             struct oto_error *err)
{
    struct oto_wal_group *group = &wal->groups[wal->active];
    uint64_t size = oto_wal_record_size(record->payload.size);
    if (wal->failed)
        return oto_error_set(err, OTO_UNAVAILABLE, "the log recovers from a failed write");
    uint64_t staged = group->bytes.size + wal->writing_bytes;
    if (staged && staged + size > wal->options.staged_bytes_max)
        return oto_error_set(err, OTO_UNAVAILABLE, "the log's disk cannot keep up");
    // Blocks more for what the group's first and last one have besides records.
    if (oto_buffer_reserve(&group->bytes, size + 2 * OTO_WAL_BLOCK_BYTES) < 0)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for the log's staging area");
    record->seq = wal->next_seq++;
    wal->group_begun = group->bytes.size == 0;
    if (wal->group_begun)
        begin_group(wal, group, record->seq);
    oto_wal_record_encode(record, group->salt, group->bytes.data + group->bytes.size);
    group->last_seq = record->seq;
    group->bytes.size += size;
    wal->stats.appended_records++;
    wal->stats.appended_bytes += size;
    return OTO_OK;
}

enum oto_status oto_wal_append(struct oto_wal *wal, uint8_t kind, uint8_t flags,
                               uint64_t received_ns, struct oto_bytes payload, uint64_t *ret_seq,
                               struct oto_error *err)
{
    struct oto_wal_record record = {
        .kind = kind, .flags = flags, .received_ns = received_ns, .payload = payload};
    if (payload.size > OTO_WAL_PAYLOAD_MAX)
        return oto_error_set(err, OTO_TOO_LARGE, "a record of %zu bytes does not fit the log",
                             payload.size);
    if (disk_is_low(wal))
        return oto_error_set(err, OTO_NO_SPACE, "the disk of %s is nearly full", wal->path);
    oto_mutex_lock(&wal->lock);
    enum oto_status status = stage(wal, &record, err);
    if (status >= 0)
        oto_condition_signal(&wal->wake_committer);
    oto_mutex_unlock(&wal->lock);
    if (status >= 0)
        *ret_seq = record.seq;
    return status;
}

int oto_wal_group_begun(const struct oto_wal *wal)
{
    return wal->group_begun;
}

void oto_wal_reset(struct oto_wal *wal)
{
    oto_mutex_lock(&wal->lock);
    if (wal->failed) {
        wal->failed = 0;
        wal->next_seq = wal->durable_seq + 1;
        wal->lost_seq = 0; // the numbers are given out again
        wal->free_checked_ns = 0;
    }
    oto_mutex_unlock(&wal->lock);
}

void oto_wal_stats(struct oto_wal *wal, struct oto_wal_stats *ret_stats)
{
    oto_mutex_lock(&wal->lock);
    *ret_stats = wal->stats;
    ret_stats->durable_seq = wal->durable_seq;
    oto_mutex_unlock(&wal->lock);
}

enum oto_status oto_wal_close(struct oto_wal *wal, struct oto_error *err)
{
    if (!wal)
        return OTO_OK;
    oto_mutex_lock(&wal->lock);
    wal->stopping = 1;
    oto_condition_signal(&wal->wake_committer);
    oto_mutex_unlock(&wal->lock);
    oto_thread_join(&wal->committer);
    wal->running = 0;
    enum oto_status status = oto_file_close(&wal->current, err);
    if (wal->replayed && status >= 0)
        status = oto_wal_trim(wal, err);
    wal_free(wal);
    return status;
}
