// The checkpoint file: what the log's owner has brought to safety elsewhere.
#include <stdio.h>

#include "wal/wal_internal.h"

void oto_wal_marks(const struct oto_wal *wal, uint64_t *ret_flushed_seq, uint64_t *ret_cut_seq)
{
    *ret_flushed_seq = wal->marks.flushed_seq;
    *ret_cut_seq = wal->marks.cut_seq;
}

static enum oto_status write_whole(const char *path, const void *bytes, size_t size,
                                   struct oto_error *err)
{
    struct oto_file file;
    OTO_TRY(oto_file_open(&file, path, OTO_FILE_WRITE, err));
    enum oto_status status = oto_file_write_at(&file, 0, bytes, size, err);
    if (status >= 0)
        status = oto_file_sync(&file, err);
    enum oto_status closed = oto_file_close(&file, status >= 0 ? err : NULL);
    return status >= 0 ? closed : status;
}

// In the modes that run ahead of the disk: waits until the records up to seq are on it, or are
// known to be lost.
static void wait_synced(struct oto_wal *wal, uint64_t seq)
{
    oto_mutex_lock(&wal->lock);
    while (wal->running && wal->synced_seq < seq && wal->lost_seq < seq) {
        wal->sync_wanted = 1;
        oto_condition_signal(&wal->wake_committer);
        oto_condition_wait(&wal->wake_waiters, &wal->lock);
    }
    oto_mutex_unlock(&wal->lock);
}

static enum oto_status write_marks(struct oto_wal *wal, const struct oto_wal_marks *marks,
                                   struct oto_error *err)
{
    char path[OTO_WAL_PATH_MAX], temporary[OTO_WAL_PATH_MAX];
    uint8_t bytes[OTO_WAL_CHECKPOINT_BYTES];
    snprintf(path, sizeof path, "%s/checkpoint", wal->path);
    snprintf(temporary, sizeof temporary, "%s/checkpoint.tmp", wal->path);
    oto_wal_checkpoint_encode(marks, bytes);
    OTO_TRY(write_whole(temporary, bytes, sizeof bytes, err));
    OTO_TRY(oto_path_rename(temporary, path, err));
    return oto_folder_sync(wal->path, err);
}

enum oto_status oto_wal_checkpoint(struct oto_wal *wal, uint64_t flushed_seq, uint64_t cut_seq,
                                   struct oto_error *err)
{
    struct oto_wal_marks marks = {.flushed_seq = flushed_seq, .cut_seq = cut_seq};
    if (cut_seq < flushed_seq)
        return oto_error_set(err, OTO_INTERNAL, "a checkpoint with cut before flushed");
    if (wal->options.durability != OTO_DURABILITY_FSYNC)
        wait_synced(wal, cut_seq);
    oto_mutex_lock(&wal->marks_lock);
    enum oto_status status = write_marks(wal, &marks, err);
    if (status >= 0)
        wal->marks = marks;
    oto_mutex_unlock(&wal->marks_lock);
    return status;
}
