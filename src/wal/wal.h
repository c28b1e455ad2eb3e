// The write-ahead log of one shard: validated requests, appended by one thread, made durable in
// groups by a committer thread. A record is durable once `committed` was called with a sequence
// number at or past its own. Segments are files of fixed size in one folder, recycled once trimmed;
// records carry CRC-32C, a sequence number and the segment's salt, so that stale bytes are never
// replayed. Format: docs/WAL.md.
#ifndef OTO_WAL_WAL_H
#define OTO_WAL_WAL_H

#include "base/bytes.h"

struct oto_wal;

enum oto_durability {
    OTO_DURABILITY_FSYNC,    // committed after fdatasync
    OTO_DURABILITY_INTERVAL, // committed after write; fdatasync every interval_ms
    OTO_DURABILITY_NONE,     // committed once it is in memory; written soon after
};

struct oto_wal_options {
    enum oto_durability durability;
    uint32_t interval_ms;
    uint64_t segment_size_bytes; // default 64 MiB; 4 MiB at least. A larger record gets a segment
                                 // of its own size
    uint64_t staged_bytes_max;   // appended but not yet written; beyond it append answers
                                 // OTO_UNAVAILABLE, but a larger record goes alone. Default 32 MiB
    uint64_t disk_free_min;      // below it appends fail with OTO_NO_SPACE. Default 64 MiB
    // Called by the committer thread: everything up to durable_seq is committed (status OTO_OK), or
    // the records after durable_seq that were appended so far are lost (they are not and will not
    // become durable; their owner must undo and answer retryably). After a failure the log refuses
    // appends until oto_wal_reset; the next attempt may succeed again.
    void (*committed)(void *state, uint64_t durable_seq, enum oto_status status,
                      const struct oto_error *err);
    void *state;
};
void oto_wal_options_default(struct oto_wal_options *options);

// A record as it was appended.
struct oto_wal_record {
    uint64_t seq;         // 1, 2, 3, …
    uint64_t received_ns; // wall clock
    uint8_t kind;         // the owner's: signal
    uint8_t flags;        // the owner's
    struct oto_bytes payload;
};

struct oto_wal_recovery {
    uint64_t records, bytes;   // replayed
    uint64_t torn_bytes;       // cut off the last segment's end
    uint64_t corrupt_segments; // their good records were replayed; oto_wal_trim renames them
                               // *.corrupt once those are flushed
    uint64_t last_seq;
};

// Opens or creates the log in folder `path` and reads its checkpoint. No thread yet.
OTO_MUST_CHECK enum oto_status oto_wal_open(const char *path, const struct oto_wal_options *options,
                                            struct oto_wal **ret_wal, struct oto_error *err);

// The durable marks (see oto_wal_checkpoint): files hold everything up to flushed_seq; a flush of
// (flushed_seq, cut_seq] was begun when cut_seq is larger.
void oto_wal_marks(const struct oto_wal *wal, uint64_t *ret_flushed_seq, uint64_t *ret_cut_seq);

// Calls visit for every record after flushed_seq, in order of seq, reading with bounded memory (a
// segment window and one record). A negative answer stops and is returned. Only before
// oto_wal_start. Truncates the torn tail; OTO_UNSUPPORTED for a newer format.
OTO_MUST_CHECK enum oto_status
oto_wal_replay(struct oto_wal *wal,
               enum oto_status (*visit)(void *state, const struct oto_wal_record *record,
                                        struct oto_error *err),
               void *state, struct oto_wal_recovery *ret_recovery, struct oto_error *err);

// Starts the committer thread; appends are legal from here on.
OTO_MUST_CHECK enum oto_status oto_wal_start(struct oto_wal *wal, struct oto_error *err);

// Copies a record into the staging area and wakes the committer. One thread only. OTO_UNAVAILABLE
// when staging is full or the log waits for oto_wal_reset, OTO_NO_SPACE, OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_wal_append(struct oto_wal *wal, uint8_t kind, uint8_t flags,
                                              uint64_t received_ns, struct oto_bytes payload,
                                              uint64_t *ret_seq, struct oto_error *err);

// On the appending thread: 1 when the record appended last is the first of its commit group. A
// failure always loses whole groups, so this is where the owner needs a mark to roll back to.
int oto_wal_group_begun(const struct oto_wal *wal);

// After a failed commit, on the appending thread: all records after durable_seq have been undone by
// the owner; appends may go on, with seq durable_seq + 1. The first append tries the disk again.
void oto_wal_reset(struct oto_wal *wal);

// Writes the two marks durably (atomic file, fsync of the folder), any thread but the appender's
// and the committer's. cut_seq >= flushed_seq. In the modes interval and none it first makes the
// records up to cut_seq durable, so that what a file holds can be told from the log.
OTO_MUST_CHECK enum oto_status oto_wal_checkpoint(struct oto_wal *wal, uint64_t flushed_seq,
                                                  uint64_t cut_seq, struct oto_error *err);
// Recycles or removes segments that hold nothing after flushed_seq; corrupt ones are kept as
// *.corrupt. Any one thread at a time.
OTO_MUST_CHECK enum oto_status oto_wal_trim(struct oto_wal *wal, struct oto_error *err);

struct oto_wal_stats {
    uint64_t appended_records, appended_bytes, syncs, sync_ns, failures, durable_seq, segments,
        disk_bytes;
};
void oto_wal_stats(struct oto_wal *wal, struct oto_wal_stats *ret_stats); // any thread

// Commits what is staged (calls committed), stops the thread, closes.
enum oto_status oto_wal_close(struct oto_wal *wal, struct oto_error *err);

#endif
