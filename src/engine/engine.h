// The engine: request -> log -> rows in memory -> sorted Parquet files, and the bookkeeping that
// nothing acknowledged is lost and nothing is there twice.
//
// One shard a loop thread: its own log, its own rows, nothing shared on the way in. A shard's open
// *segment* (builders of all tables in one arena) is sealed by size, by what its rows share, by age
// or request and handed to the flusher thread, which writes files, records them in the catalogue
// and trims the log. Thread rules: oto_shard_* only on the shard's thread; oto_engine_* from any
// thread.
#ifndef OTO_ENGINE_ENGINE_H
#define OTO_ENGINE_ENGINE_H

#include "otlp/otlp_decode.h"
#include "wal/wal.h"

struct oto_engine;
struct oto_shard;

struct oto_engine_options {
    const char *data_path;
    uint32_t shard_count;        // 0: a tool, which takes nothing in
    uint64_t memory_limit_bytes; // whole process; default 256 MiB
    uint32_t flush_rows;         // seal when a table has that many rows; default 61440
    uint64_t flush_bytes;  // seal when a segment's arena is that large; 0: a share of memory_limit
    uint32_t flush_age_ms; // seal when the oldest row is that old; default 60000
    uint64_t dedup_window_ms;   // 0: off; default 600000
    const char *const *promote; // attribute keys
    size_t promote_count;
    int promote_kept; // 1: promote what the folder's `promoted` file names, not the list above
    const char *version;
    const char *tool; // "otolith query": what has the folder, for others who want it; borrowed.
                      // NULL: a server
    struct oto_wal_options wal; // durability etc.; committed/state are the engine's own
    struct oto_otlp_limits otlp;
    // Log lines ("info", "warn", "error"); may be NULL. Any thread.
    void (*log)(void *state, const char *level, const char *message);
    void *log_state;
};
void oto_engine_options_default(struct oto_engine_options *options);

enum oto_engine_state {
    OTO_ENGINE_RECOVERING,
    OTO_ENGINE_READY,
    OTO_ENGINE_DISK_FULL, // answers retryably, heals by itself
    OTO_ENGINE_FAILED,    // recovery failed or a worker died; see oto_engine_status
    OTO_ENGINE_DRAINING,
};

// Takes the data folder's lock ("lock" file; OTO_EXISTS names the holder, and means nothing
// else), makes folders.
// Rows are not accepted yet.
OTO_MUST_CHECK enum oto_status oto_engine_open(const struct oto_engine_options *options,
                                               struct oto_engine **ret_engine,
                                               struct oto_error *err);
// Recovers (replays every shard's log, redoes a begun flush under the same names, flushes the rest)
// and starts the workers. Blocking; the server calls it on a thread of its own while it already
// listens. State becomes READY or FAILED.
OTO_MUST_CHECK enum oto_status oto_engine_recover(struct oto_engine *engine, struct oto_error *err);
// Makes a recovery that goes on or waits for a full disk give up soon (OTO_UNAVAILABLE; the logs
// keep everything). Any thread.
void oto_engine_cancel_recovery(struct oto_engine *engine);
enum oto_engine_state oto_engine_status(struct oto_engine *engine, char *ret_text,
                                        size_t text_size);
// What a client finds the server by: written into the lock file. addresses: one a line.
OTO_MUST_CHECK enum oto_status oto_engine_announce(struct oto_engine *engine, const char *addresses,
                                                   struct oto_error *err);
// Who holds a data folder, as it announced itself; reads only. OTO_NOT_FOUND: nobody.
struct oto_engine_holder {
    const char *pid;
    const char *tool;      // "otolith query"; NULL: a server
    const char *addresses; // one a line; "" while it starts
    char text[4096];       // what these point into
};
OTO_MUST_CHECK enum oto_status oto_engine_find_holder(const char *data_path,
                                                      struct oto_engine_holder *ret_holder,
                                                      struct oto_error *err);

// --- memory admission, any thread ---
// 1 when `bytes` more of request memory fit the budget now (they are then counted); 0 when the
// request must be refused retryably.
int oto_engine_reserve(struct oto_engine *engine, uint64_t bytes);
void oto_engine_unreserve(struct oto_engine *engine, uint64_t bytes);

// --- a shard, on its thread ---
// wake: called from other threads when oto_shard_poll has work; must make the shard's thread call
// it soon.
struct oto_shard *oto_engine_shard(struct oto_engine *engine, uint32_t index,
                                   void (*wake)(void *state), void *state);

// The shard's thread ends: wake is not called again once this returns. oto_engine_drain does it
// too. Any thread.
void oto_shard_detach(struct oto_shard *shard);
void oto_engine_detach(struct oto_engine *engine); // all of them: before what they wake is freed

// A request on its way; embedded in the caller's own struct and kept until `done`.
struct oto_ingest {
    enum oto_signal signal;
    struct oto_bytes payload; // protobuf Export request; borrowed until oto_shard_ingest returns
    // Called on the shard's thread once the outcome is durable, possibly from within
    // oto_shard_ingest (refusals, empty requests). status OTO_OK: stored or partially rejected as
    // result says, or deduplicated. Else err tells.
    void (*done)(struct oto_ingest *ingest, enum oto_status status, const struct oto_error *err);
    struct oto_otlp_result result;
    int deduplicated;
    // the engine's own
    uint64_t seq;
    struct oto_ingest *next;
    uint64_t hash_low, hash_high, staged_bytes;
    int resent; // its log failed when it came before
};
// 1: rows and log have the request, `done` comes later. 0: `done` was called, and the ingest may be
// gone, or this is a repetition whose first has no outcome yet.
int oto_shard_ingest(struct oto_shard *shard, struct oto_ingest *ingest);
// 1 while a request would have to wait until rows have gone to files: what can be known before it
// is read. The shard's wake function is called when that may have changed.
int oto_shard_is_stalled(const struct oto_shard *shard);
// A request was sent away for that.
void oto_shard_count_refused(struct oto_shard *shard);
// What may be left waiting before a shard that is stalled: a share of the memory limit.
uint64_t oto_engine_waiting_bytes_max(const struct oto_engine *engine);
// Runs what other threads left for the shard: commits (calls done), sealing for snapshots, memory
// pressure.
void oto_shard_poll(struct oto_shard *shard);
// Once a second or so: seals by age, retries after disk full.
void oto_shard_tick(struct oto_shard *shard);

// --- what queries see ---
// A consistent set: every acknowledged row exactly once, in a file of the data folder or in a hot
// file.
struct oto_snapshot_file {
    enum oto_table table;
    int hot;          // 1: fd is a Parquet file in memory; 0: path
    int fd;           // hot: borrowed from the snapshot
    const char *path; // cold: absolute path
    int64_t time_min_us, time_max_us;
    uint64_t row_count;
};
struct oto_snapshot {
    const struct oto_snapshot_file *files;
    size_t file_count;
    void *own;
};
// Any thread but a shard's own (it waits for the shards to show their open segments). tables: bit
// set of 1 << oto_table to look at; time range in microseconds prunes files (INT64_MIN, INT64_MAX:
// all).
OTO_MUST_CHECK enum oto_status oto_engine_snapshot(struct oto_engine *engine, uint32_t tables,
                                                   int64_t from_us, int64_t to_us,
                                                   struct oto_snapshot *ret_snapshot,
                                                   struct oto_error *err);
void oto_snapshot_release(struct oto_snapshot *snapshot);

// An empty Parquet file of a table with today's columns (a memfd of the engine's): what a query
// reads when there is no other file. Borrowed.
int oto_engine_empty_file(struct oto_engine *engine, enum oto_table table);
// Whether files may have a column of that name from another attribute: then ids tell them apart.
int oto_engine_reuses_names(const struct oto_engine *engine);

// --- the end ---
// Seals and flushes everything; the shards' threads must have ended: calls `done` for what was
// still on its way. Blocking. Fails when the disk takes no files: the rows are safe in the logs
// then.
OTO_MUST_CHECK enum oto_status oto_engine_drain(struct oto_engine *engine, struct oto_error *err);
// Snapshots must have been released. Requests that have no answer yet get none.
void oto_engine_close(struct oto_engine *engine);

// --- numbers, any thread ---
// received = stored + rejected + deduplicated + failed, in items (log records, spans, points), at
// any quiet moment.
struct oto_engine_stats {
    uint64_t received[OTO_SIGNAL_COUNT], stored[OTO_SIGNAL_COUNT], rejected[OTO_SIGNAL_COUNT],
        deduplicated[OTO_SIGNAL_COUNT], failed[OTO_SIGNAL_COUNT];
    uint64_t utf8_repaired[OTO_SIGNAL_COUNT]; // strings
    uint64_t requests[OTO_SIGNAL_COUNT], request_bytes[OTO_SIGNAL_COUNT];
    uint64_t refused_memory; // requests
    uint64_t rows_hot[OTO_TABLE_COUNT], rows_flushed[OTO_TABLE_COUNT], files[OTO_TABLE_COUNT],
        file_bytes[OTO_TABLE_COUNT];
    uint64_t flushes, flush_failures, flush_ns;
    uint64_t memory_bytes, memory_limit_bytes; // counted, not resident
    uint64_t recovered_records, recovered_torn_bytes, recovered_corrupt_segments;
    struct oto_wal_stats wal; // summed over shards
};
void oto_engine_stats(struct oto_engine *engine, struct oto_engine_stats *ret_stats);

#endif
