// The log's inside: shared by the files of wal/ and their tests only.
#ifndef OTO_WAL_WAL_INTERNAL_H
#define OTO_WAL_WAL_INTERNAL_H

#include "os/file.h"
#include "os/thread.h"
#include "wal/wal_format.h"

#define OTO_WAL_PATH_MAX 4096
#define OTO_WAL_SPARE_MAX                                                                          \
    2 // segments kept for reuse: written once, so that a commit into them changes no file size

// One file of the log.
struct oto_wal_segment {
    struct oto_wal_segment *next; // newer
    uint64_t ordinal;
    uint64_t first_seq;
    uint64_t last_seq; // first_seq - 1 while empty
    uint64_t disk_bytes;
    int corrupt;
};

// The calls that a test makes fail.
struct oto_wal_disk {
    enum oto_status (*write)(struct oto_file *f, uint64_t offset, const void *data, size_t size,
                             struct oto_error *err);
    enum oto_status (*sync)(struct oto_file *f, struct oto_error *err);
};

// Files are written in whole blocks of their own, past the page cache: a group that begins within a
// block repeats what stands before it there, and zeros follow its last record.
#define OTO_WAL_BLOCK_BYTES ((uint64_t)OTO_FILE_DIRECT_BYTES)

// Records waiting to be written: a commit group. Place and salt are guessed when it begins, that
// the segment goes on; the committer mends what did not come true.
struct oto_wal_group {
    struct oto_buffer bytes; // size 0: no record. Else `lead` bytes, then the records; a block more
                             // is reserved
    size_t lead;             // from a block's begin to the first record
    uint64_t salt;
    uint64_t first_seq, last_seq;
    size_t touched_bytes; // the committer's own: pages of `bytes` that are resident, at least
};

struct oto_wal {
    char *path;
    struct oto_wal_options options;
    struct oto_wal_disk disk;
    struct oto_mutex lock; // all below but what is marked
    struct oto_condition wake_committer, wake_waiters;
    struct oto_thread committer;
    int running, stopping, replayed;

    // Staging: the appender fills groups[active]; the committer writes the other one.
    struct oto_wal_group groups[2];
    int active;
    size_t writing_bytes; // in the group being written
    uint64_t next_end;    // where in its segment the active group will begin, as far as known
    uint64_t next_salt;   // of that segment; 0: not known
    int group_begun;      // the appender's own
    uint64_t next_seq;
    int failed; // waits for reset
    uint64_t durable_seq;
    uint64_t synced_seq; // on disk for sure (durable_seq runs ahead of it in the modes interval and
                         // none)
    int sync_wanted;     // a checkpoint waits for synced_seq
    uint64_t lost_seq;   // records up to here will never be synced: they failed
    uint64_t free_checked_ns; // the appender's own
    int free_low;             // the appender's own

    struct oto_wal_segment *oldest, *newest; // newest is the current one while `current` is open
    uint64_t next_ordinal;
    uint64_t spares[OTO_WAL_SPARE_MAX]; // ordinals in their names
    int spare_count;

    // The committer's own.
    struct oto_file current; // fd -1: the next group begins a segment
    uint64_t current_salt;
    uint64_t current_end;     // where the next record goes
    uint64_t current_size;    // bytes of the file that were written at least once
    uint64_t current_durable; // end of what was committed
    uint8_t *tail;            // a block: the last one of the current segment, as far as written
    size_t group_bytes;       // of the largest group lately
    uint64_t sync_due_ns;     // mode interval
    int dirty;

    struct oto_mutex marks_lock; // one checkpoint at a time
    struct oto_wal_marks marks;

    struct oto_wal_stats stats;
};

// "<folder>/<ordinal as 16 hex digits>.<extension>".
void oto_wal_segment_path(const struct oto_wal *wal, uint64_t ordinal, const char *extension,
                          char *output);

// Begins a segment whose first record will be first_seq: a spare one or a new file, under its name
// for good when this returns; the header is written, not yet synced. The committer's thread.
OTO_MUST_CHECK enum oto_status oto_wal_segment_begin(struct oto_wal *wal, uint64_t first_seq,
                                                     struct oto_error *err);
// Writes a group and, where the mode asks for it, syncs it.
OTO_MUST_CHECK enum oto_status
oto_wal_segment_write(struct oto_wal *wal, struct oto_wal_group *group, struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_wal_segment_sync(struct oto_wal *wal, struct oto_error *err);
// Cuts off what was not committed, as far as the disk lets us, and never writes that file again.
void oto_wal_segment_abandon(struct oto_wal *wal);
// As oto_wal_trim, but leaves alone that segment and those after it; NULL: none.
OTO_MUST_CHECK enum oto_status oto_wal_trim_before(struct oto_wal *wal,
                                                   const struct oto_wal_segment *unread,
                                                   struct oto_error *err);
void oto_wal_segment_list_add(struct oto_wal *wal, struct oto_wal_segment *segment); // lock held

void *oto_wal_committer_run(void *wal);

#endif
