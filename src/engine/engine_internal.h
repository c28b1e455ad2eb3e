// The engine's inside: shared by the files of engine/ and their tests only.
//
// Locks, in the order in which they may be taken: snapshot_lock, catalogue_lock, then any one of
// the others (each held briefly, alone).
#ifndef OTO_ENGINE_ENGINE_INTERNAL_H
#define OTO_ENGINE_ENGINE_INTERNAL_H

#include <stdatomic.h>

#include "base/hash.h"
#include "engine/dedup.h"
#include "engine/engine.h"
#include "engine/flush_memory.h"
#include "engine/page_pool.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/thread.h"
#include "parquet/parquet_writer.h"
#include "store/store.h"

#define OTO_ENGINE_PATH_MAX 4096
#define OTO_ENGINE_PARTITIONS_MAX 64
#define OTO_ENGINE_BASE_BYTES                                                                      \
    (12u << 20) // of the memory limit: code, stacks, connections, what is not counted

// Flag of a logged request: a copy of it was refused before, because its log failed, and may be in
// that log all the same.
#define OTO_RECORD_RESENT 1u

// A segment is full with so many values that rows share: they take next to no memory in it, but
// some bytes each where queries look at its rows, and in its files.
#define OTO_ENGINE_SHARED_VALUES_MAX ((uint64_t)1 << 26)

// Where a crash may fall in a flush; a test stops the process there.
enum oto_flush_point {
    OTO_FLUSH_BEGUN,
    OTO_FLUSH_CUT_MARKED,
    OTO_FLUSH_FILE_WRITTEN, // after each file
    OTO_FLUSH_FILES_WRITTEN,
    OTO_FLUSH_SWITCHED,
    OTO_FLUSH_DEDUP_SAVED,
    OTO_FLUSH_MARKED,
    OTO_FLUSH_TRIMMED,
    OTO_FLUSH_POINT_COUNT,
};

// --- the catalogue: which files there are ---

struct oto_catalogue_file {
    char *name;                     // in the store
    uint64_t size_bytes, row_count; // row_count 0: unknown (found at start)
    int64_t time_min_us, time_max_us;
    uint32_t shard;
    uint64_t first_seq, last_seq;
};
struct oto_catalogue_table {
    struct oto_catalogue_file *files;
    size_t count, capacity;
    uint64_t size_bytes;
};

// "<folder>/year=…/…/<first timestamp>-<shard>-<first seq>-<last seq>.parquet".
void oto_catalogue_name(enum oto_table table, const struct oto_partition *partition, uint32_t shard,
                        uint64_t first_seq, uint64_t last_seq, char *ret_name, size_t size);
// Shard, range and hour of a name; OTO_INVALID for a file that is not ours (others may put some
// there).
enum oto_status oto_catalogue_parse(enum oto_table table, const char *name,
                                    struct oto_catalogue_file *ret_file);
// After it, `more` files can be added without failure. Lock as for oto_catalogue_add.
OTO_MUST_CHECK enum oto_status oto_catalogue_reserve(struct oto_catalogue_table *table,
                                                     size_t more);
// Takes file->name, also on failure. A file of the same name is replaced. Lock held, or nobody else
// there.
OTO_MUST_CHECK enum oto_status oto_catalogue_add(struct oto_catalogue_table *table,
                                                 const struct oto_catalogue_file *file);
void oto_catalogue_remove(struct oto_catalogue_table *table, size_t index);
void oto_catalogue_release(struct oto_catalogue_table *table);
OTO_MUST_CHECK enum oto_status oto_catalogue_load(struct oto_engine *engine, struct oto_error *err);

// --- segments: rows in memory ---

// Rows [first, first + count) of a table as a Parquet file in memory, for queries.
struct oto_hot_piece {
    struct oto_hot_piece *next; // newer rows
    _Atomic uint32_t refs;
    struct oto_engine *engine;
    struct oto_file file;
    uint64_t size_bytes;
    uint32_t row_count;
    int64_t time_min_us, time_max_us;
};

struct oto_segment {
    _Atomic uint32_t refs;
    _Atomic uint32_t
        views; // being read while its shard still appends: rows must not be rolled back meanwhile
    struct oto_engine *engine;
    struct oto_segment *next; // in the flush queue
    uint32_t shard;
    uint64_t first_seq, last_seq; // of the log: the range that its files are named by
    uint64_t opened_ns;           // monotonic
    uint64_t opened_cpu_ns;       // of the process
    struct oto_arena arena;
    struct oto_builder builders[OTO_TABLE_COUNT];
    struct oto_otlp_decoder *decoder;         // NULL once sealed
    uint32_t rows[OTO_TABLE_COUNT];           // appended; the shard's own
    uint32_t committed_rows[OTO_TABLE_COUNT]; // of them durable in the log; the shard's own, then
                                              // constant
    uint64_t shared_values;   // of the rows appended (otlp/otlp_decode.h); the shard's own
    uint64_t counted_bytes;   // in the engine's budget; the shard's own, then constant
    uint64_t uncounted_bytes; // of payload since then
    int flushed;              // catalogue_lock: the catalogue has its files
    // While recovery writes its files: those that are there; NULL for a flush that is new.
    const struct oto_begun_flush *begun;
    // snapshot_lock:
    struct oto_hot_piece *pieces[OTO_TABLE_COUNT];
    uint32_t piece_rows[OTO_TABLE_COUNT]; // rows that the pieces hold
    uint32_t piece_counts[OTO_TABLE_COUNT];
};

// NULL when out of memory. One reference.
struct oto_segment *oto_segment_new(struct oto_engine *engine, uint32_t shard, uint64_t first_seq);
void oto_segment_ref(struct oto_segment *segment);
void oto_segment_unref(struct oto_segment *segment);
// Brings the engine's budget up to date with the arena: memory that was handed out, less what no
// column has touched yet.
void oto_segment_count_bytes(struct oto_segment *segment);
int oto_segment_is_full(const struct oto_segment *segment);
int oto_segment_has_rows(const struct oto_segment *segment);
// No more appends: gives back what only they need.
void oto_segment_seal(struct oto_segment *segment);

// What a snapshot reads of a segment.
struct oto_segment_view {
    struct oto_segment *segment; // with a reference
    int counted;                 // segment->views was raised
    uint32_t rows[OTO_TABLE_COUNT];
    struct oto_batch batches[OTO_TABLE_COUNT];
};
// Shard's thread, or any once sealed. tables: those to look at. OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_segment_view(struct oto_segment *segment, uint32_t tables,
                                                struct oto_segment_view *ret_view);
void oto_segment_view_release(struct oto_segment_view *view);

// --- shards ---

struct oto_shard_counters {
    _Atomic uint64_t received[OTO_SIGNAL_COUNT], stored[OTO_SIGNAL_COUNT],
        rejected[OTO_SIGNAL_COUNT], deduplicated[OTO_SIGNAL_COUNT], failed[OTO_SIGNAL_COUNT],
        requests[OTO_SIGNAL_COUNT], request_bytes[OTO_SIGNAL_COUNT],
        utf8_repaired[OTO_SIGNAL_COUNT];
    _Atomic uint64_t refused;
};

// Where to roll back to when a commit group fails: the state before the first record of the group,
// by signal.
struct oto_commit_group {
    uint64_t first_seq;
    struct oto_segment *segment; // a group that spans two segments has two of these
    uint32_t *marks[OTO_SIGNAL_COUNT];
    int marked[OTO_SIGNAL_COUNT];
};

struct oto_shard {
    struct oto_engine *engine;
    uint32_t index;
    struct oto_wal *wal;        // there from READY on
    struct oto_mutex wake_lock; // wake, wake_state: held while wake runs, so that nobody is woken
                                // after detaching
    void (*wake)(void *state);
    void *wake_state;
    _Atomic int attached; // a thread answers for it
    struct oto_shard_counters counters;
    _Atomic int disk_blocked;
    _Atomic int pressed;           // a request was refused for want of memory
    _Atomic uint32_t sealed;       // segments of this shard that are with the flusher,
    _Atomic uint64_t sealed_bytes; // and what they count in the budget

    // The shard's thread only.
    struct oto_segment *open, *closing; // closing: full, waits for its last commits
    uint64_t next_first_seq;
    struct oto_ingest *pending, **pending_end;
    struct oto_ingest *repeats; // of requests that have no outcome yet, here or in another shard
    struct oto_commit_group *groups;
    size_t group_count, group_capacity;
    uint32_t *scratch_marks[OTO_SIGNAL_COUNT];
    size_t mark_sizes[OTO_SIGNAL_COUNT];
    uint64_t committed_seq;
    uint64_t retry_ns; // after a disk failure: monotonic

    // From other threads.
    struct oto_mutex lock;
    struct oto_condition changed; // for whoever waits for a commit or a view
    uint64_t inbox_seq;
    int inbox_failed;
    enum oto_status inbox_status;
    struct oto_error inbox_error;
    int view_wanted, view_done;
    uint32_t view_tables;
    struct oto_segment_view views[2];
    int view_count;
    enum oto_status view_status;
};

void oto_shard_init(struct oto_shard *shard, struct oto_engine *engine, uint32_t index);
void oto_shard_release(struct oto_shard *shard);
// Makes the shard's thread poll, if there is one.
void oto_shard_wake(struct oto_shard *shard);
// The log's callback.
void oto_shard_committed(void *shard, uint64_t durable_seq, enum oto_status status,
                         const struct oto_error *err);
// What a request is known by. Empty ones have no name: {0, 0}.
struct oto_hash128 oto_request_hash(enum oto_signal signal, struct oto_bytes payload);
// Hands the open segment on; 0 when the one before is still on its way.
int oto_shard_seal(struct oto_shard *shard);

// --- flushers ---

#define OTO_FLUSHERS_MAX 16u

// A thread that brings segments of some shards to files, each shard's in their order.
struct oto_flusher {
    struct oto_engine *engine;
    struct oto_thread thread;
    struct oto_codec *codec;
    struct oto_flush_memory memory; // its large arrays
    struct oto_allocator allocator; // these, and for small ones the engine's counted_allocator
    struct oto_segment *finishing;  // its files are in the catalogue, its log marks are not yet
    int work;                       // flush_lock: segments queued and not done
};

// --- the engine ---

struct oto_engine {
    struct oto_engine_options options;
    char *data_path, *version;
    char **promote;
    struct oto_promotion *promotions;
    size_t promotion_count;
    size_t known_promotion_count; // with those behind them that only older files may have
    int reuses_names; // some column of older files has the name of another that there is now
    struct oto_schemas *schemas;
    struct oto_file lock_file;
    struct oto_store *store;
    uint64_t hash_seed;
    uint64_t budget_bytes;
    uint64_t rows_slack_bytes;
    _Atomic uint64_t memory_bytes; // counted now, of the budget
    struct oto_page_pool pool;
    struct oto_allocator arena_allocator;   // over pool
    struct oto_allocator counted_allocator; // the heap, counted in memory_bytes
    struct oto_dedup *dedup;                // NULL: off
    _Atomic uint32_t repeats_waiting;       // in all shards
    struct oto_shard *shards;
    uint32_t shard_count;

    struct oto_mutex state_lock; // state_text
    _Atomic int state;
    char state_text[256];
    _Atomic int stopping, recovery_cancelled;

    struct oto_mutex catalogue_lock;
    struct oto_catalogue_table tables[OTO_TABLE_COUNT];
    struct oto_segment *queue,
        **queue_end; // sealed, oldest first; a segment leaves it when the catalogue has its files

    struct oto_mutex snapshot_lock;
    struct oto_codec *snapshot_codec;
    struct oto_file empty_files[OTO_TABLE_COUNT];

    struct oto_flusher flushers[OTO_FLUSHERS_MAX];
    uint32_t flusher_count;
    struct oto_mutex flush_lock;
    struct oto_condition flush_changed;
    int flush_work; // flush_lock: segments queued and not done, of all flushers
    _Atomic int flush_blocked;
    struct oto_error flush_error; // flush_lock

    _Atomic uint64_t rows_hot[OTO_TABLE_COUNT], rows_flushed[OTO_TABLE_COUNT];
    _Atomic uint64_t flushes, flush_failures, flush_ns, refused_memory;
    _Atomic uint64_t recovered_records, recovered_torn_bytes, recovered_corrupt_segments;

    void (*hook)(void *state, enum oto_flush_point point); // NULL but in tests
    void *hook_state;
};

void oto_engine_log(struct oto_engine *engine, const char *level, const char *format, ...)
    OTO_PRINTF(3, 4);
void oto_engine_set_state(struct oto_engine *engine, enum oto_engine_state state, const char *text);
static inline void oto_engine_hook(struct oto_engine *engine, enum oto_flush_point point)
{
    if (engine->hook)
        engine->hook(engine->hook_state, point);
}
// The first step of opening: OTO_EXISTS says who has the folder.
OTO_MUST_CHECK enum oto_status oto_engine_lock_folder(struct oto_engine *engine,
                                                      struct oto_error *err);
// Writes a whole file of the data folder atomically and durably.
OTO_MUST_CHECK enum oto_status oto_engine_write_file(const char *path, struct oto_bytes content,
                                                     struct oto_error *err);
// Reads one whole; OTO_NOT_FOUND. content is emptied first.
OTO_MUST_CHECK enum oto_status oto_engine_read_file(const char *path, struct oto_buffer *content,
                                                    struct oto_error *err);
void oto_engine_dedup_path(const struct oto_engine *engine, uint32_t shard, char *ret_path);
// At which time known requests are past the window. A tool takes none in and does not know the
// window of the server that comes back: it keeps all.
uint64_t oto_engine_dedup_now_ns(const struct oto_engine *engine);
// Writes what is known of the shard's requests up to last_seq beside its log, durably.
OTO_MUST_CHECK enum oto_status oto_engine_save_dedup(struct oto_engine *engine, uint32_t shard,
                                                     uint64_t last_seq, struct oto_error *err);
// Ids of configured promoted attributes: those that the data folder knows, and new ones, remembered
// there; and the schemas with their columns.
OTO_MUST_CHECK enum oto_status oto_engine_load_promotions(struct oto_engine *engine,
                                                          struct oto_error *err);

// One whole flush: marks the cut, writes the files, switches queries over, marks, trims. Goes on
// where an earlier try failed. The caller keeps its reference.
OTO_MUST_CHECK enum oto_status oto_engine_flush_segment(struct oto_engine *engine,
                                                        struct oto_wal *wal,
                                                        struct oto_segment *segment,
                                                        struct oto_error *err);
void oto_engine_queue_flush(struct oto_engine *engine,
                            struct oto_segment *segment); // takes the reference
struct oto_flusher *oto_engine_flusher(struct oto_engine *engine, uint32_t shard);
// Memory that flushers keep between flushes, unless used within idle_ns, goes back.
void oto_engine_trim_flushers(struct oto_engine *engine, uint64_t idle_ns);
OTO_MUST_CHECK enum oto_status oto_engine_start_flushers(struct oto_engine *engine,
                                                         struct oto_error *err);
void oto_engine_stop_flushers(struct oto_engine *engine);
// Until nothing waits to be flushed; or a flush fails, which is then the answer.
OTO_MUST_CHECK enum oto_status oto_engine_wait_flushed(struct oto_engine *engine,
                                                       struct oto_error *err);

// One file of rows to a sink; cold: compressed, with all that makes it quick to search.
OTO_MUST_CHECK enum oto_status
oto_engine_encode(struct oto_engine *engine, enum oto_table table, const struct oto_batch *batch,
                  const uint32_t *order, uint32_t count, int cold, struct oto_codec *codec,
                  const struct oto_sink *sink, struct oto_parquet_result *ret_result,
                  struct oto_error *err);
void oto_hot_piece_unref(struct oto_hot_piece *piece);

#endif
