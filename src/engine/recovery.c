// From the logs to files: what a crash left unflushed.
#include "engine/begun_flush.h"
#include "engine/engine_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_NS 1000000000u
#define SEGMENT_BYTES_STEP (64u << 10)
#define PIECE_SEGMENTS 2u // rows of so many segments go into a file at most: each takes some syncs

// A thread that brings one piece into files while the next one is decoded. One at a time, in order:
// the log's marks rise with them. The next piece waits at hand when it is decoded first, so that
// the thread need not wait for it; nothing is decoded meanwhile, for two pieces are what may be in
// memory.
struct flush_behind {
    struct oto_thread thread;
    struct oto_mutex lock;
    struct oto_condition changed;
    struct oto_segment *segment; // NULL: idle
    struct oto_segment *at_hand; // NULL: none
    int is_over;
    enum oto_status status; // of the first that failed
    struct oto_error err;
};

// The replay of one shard's log.
struct replay {
    struct oto_engine *engine;
    struct oto_wal *wal;
    uint32_t shard;
    uint64_t flushed_seq; // files hold everything up to here, or will, or nothing goes on
    uint64_t cut_seq;     // a begun flush of (flushed_seq, cut_seq] is done again as a whole
    struct oto_segment *segment;
    uint64_t uncounted_bytes;
    uint64_t cut_records; // of that flush, that the log gave
    uint64_t poisoned, copies;
    struct flush_behind behind;
};

// --- pieces ---

static enum oto_status wait_and_retry(struct oto_engine *engine, const struct oto_error *err)
{
    int first = !atomic_exchange(&engine->flush_blocked, 1);
    atomic_fetch_add(&engine->flush_failures, 1);
    oto_mutex_lock(&engine->flush_lock);
    engine->flush_error = *err;
    uint64_t until_ns = oto_clock_monotonic_ns() + RETRY_NS;
    if (!atomic_load(&engine->recovery_cancelled))
        oto_condition_wait_until(&engine->flush_changed, &engine->flush_lock, until_ns);
    oto_mutex_unlock(&engine->flush_lock);
    if (first)
        oto_engine_log(engine, "error", "recovery waits: %s", err->message);
    return atomic_load(&engine->recovery_cancelled) ? err->status : OTO_OK;
}

// Writes the segment's rows; a full disk is waited for, since nothing else can be done.
static enum oto_status flush_patiently(struct replay *r, struct oto_segment *segment,
                                       struct oto_error *err)
{
    for (;;) {
        enum oto_status status = oto_engine_flush_segment(r->engine, r->wal, segment, err);
        if (status >= 0) {
            atomic_store(&r->engine->flush_blocked, 0);
            return OTO_OK;
        }
        if (!oto_status_retryable(status))
            return status;
        OTO_TRY(wait_and_retry(r->engine, err));
    }
}

static void *flush_behind_run(void *state)
{
    struct replay *r = state;
    struct flush_behind *b = &r->behind;
    oto_mutex_lock(&b->lock);
    for (;;) {
        while (!b->at_hand && !b->is_over)
            oto_condition_wait(&b->changed, &b->lock);
        struct oto_segment *segment = b->segment = b->at_hand;
        b->at_hand = NULL;
        if (!segment)
            break;
        oto_condition_broadcast(&b->changed);
        oto_mutex_unlock(&b->lock);
        struct oto_error err;
        oto_error_init(&err);
        enum oto_status status = flush_patiently(r, segment, &err);
        oto_segment_unref(segment);
        oto_mutex_lock(&b->lock);
        b->segment = NULL;
        if (status < 0) {
            b->status = status;
            b->err = err;
            oto_segment_unref(b->at_hand); // the log keeps it
            b->at_hand = NULL;
        }
        oto_condition_broadcast(&b->changed);
    }
    oto_mutex_unlock(&b->lock);
    return NULL;
}

// Lock held: how it went, with all pieces so far.
static enum oto_status behind_status(const struct flush_behind *b, struct oto_error *err)
{
    if (b->status < 0)
        *err = b->err;
    return b->status;
}

// Until the pieces that were handed on are in files.
static enum oto_status wait_behind(struct replay *r, struct oto_error *err)
{
    struct flush_behind *b = &r->behind;
    oto_mutex_lock(&b->lock);
    while (b->segment || b->at_hand)
        oto_condition_wait(&b->changed, &b->lock);
    enum oto_status status = behind_status(b, err);
    oto_mutex_unlock(&b->lock);
    return status;
}

static int has_thread(struct replay *r)
{
    struct flush_behind *b = &r->behind;
    return b->thread.started ||
           oto_thread_start(&b->thread, "oto-recover", flush_behind_run, r, NULL) >= 0;
}

// Takes the segment, also on failure, and waits until the thread has begun with it.
static enum oto_status hand_behind(struct replay *r, struct oto_segment *segment,
                                   struct oto_error *err)
{
    struct flush_behind *b = &r->behind;
    oto_mutex_lock(&b->lock);
    enum oto_status status = behind_status(b, err);
    if (status < 0) {
        oto_segment_unref(segment);
    } else {
        b->at_hand = segment;
        oto_condition_broadcast(&b->changed);
        while (b->at_hand)
            oto_condition_wait(&b->changed, &b->lock);
        status = behind_status(b, err);
    }
    oto_mutex_unlock(&b->lock);
    return status;
}

static void behind_init(struct replay *r)
{
    oto_mutex_init(&r->behind.lock);
    oto_condition_init(&r->behind.changed);
}

static void behind_release(struct replay *r)
{
    struct flush_behind *b = &r->behind;
    oto_mutex_lock(&b->lock);
    b->is_over = 1;
    oto_condition_broadcast(&b->changed);
    oto_mutex_unlock(&b->lock);
    oto_thread_join(&b->thread);
    oto_condition_release(&b->changed);
    oto_mutex_release(&b->lock);
}

static enum oto_status new_segment(struct replay *r, struct oto_error *err)
{
    r->segment = oto_segment_new(r->engine, r->shard, r->flushed_seq + 1);
    if (!r->segment)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to recover rows");
    r->segment->arena.size_bytes_max = SIZE_MAX; // a begun flush is as large as it was
    return OTO_OK;
}

// The begun flush, whose records are acknowledged all. Where the log lacks some of them, files that
// are there stay: they may have their rows.
static enum oto_status flush_again(struct replay *r, struct oto_begun_flush *begun,
                                   struct oto_error *err)
{
    uint64_t missing = r->cut_seq - r->flushed_seq - r->cut_records;
    int is_whole = 0;
    if (missing) {
        OTO_TRY(oto_begun_flush_keep(begun, &is_whole, err));
        oto_engine_log(r->engine, "error",
                       "log of shard %u: %" PRIu64 " of the requests %" PRIu64 " to %" PRIu64
                       " cannot be read any more: %s",
                       r->shard, missing, r->flushed_seq + 1, r->cut_seq,
                       is_whole ? "files have their rows"
                                : "their rows are lost where no file has them");
    }
    r->segment->flushed = is_whole; // what follows the files is still to be done
    r->segment->begun = begun;
    enum oto_status status = flush_patiently(r, r->segment, err);
    r->segment->begun = NULL;
    return status;
}

static enum oto_status redo_flush(struct replay *r, struct oto_error *err)
{
    struct oto_begun_flush begun;
    enum oto_status status =
        oto_begun_flush_find(r->engine, r->shard, r->flushed_seq + 1, r->cut_seq, &begun, err);
    if (status >= 0)
        status = flush_again(r, &begun, err);
    oto_begun_flush_release(&begun);
    return status;
}

// Everything up to last_seq is in the segment: brings it into files.
static enum oto_status finish_piece(struct replay *r, uint64_t last_seq, struct oto_error *err)
{
    OTO_TRY(wait_behind(r, err));
    if (!r->segment)
        OTO_TRY(new_segment(r, err));
    r->segment->last_seq = last_seq;
    oto_segment_seal(r->segment);
    enum oto_status status =
        r->cut_seq > r->flushed_seq ? redo_flush(r, err) : flush_patiently(r, r->segment, err);
    oto_segment_unref(r->segment);
    r->segment = NULL;
    r->flushed_seq = last_seq;
    return status;
}

// The same for a piece that more follow: these are decoded meanwhile.
static enum oto_status pass_piece(struct replay *r, uint64_t last_seq, struct oto_error *err)
{
    struct oto_segment *segment = r->segment;
    if (!has_thread(r))
        return finish_piece(r, last_seq, err);
    segment->last_seq = last_seq;
    oto_segment_seal(segment);
    r->segment = NULL;
    r->flushed_seq = last_seq;
    return hand_behind(r, segment, err);
}

// --- records ---

// A record that was good when it was logged and is not now: kept aside, so that one bad record does
// not hold up all others.
static enum oto_status quarantine(struct replay *r, const struct oto_wal_record *record,
                                  const struct oto_error *why, struct oto_error *err)
{
    char path[OTO_ENGINE_PATH_MAX];
    snprintf(path, sizeof path, "%s/wal/quarantine", r->engine->data_path);
    OTO_TRY(oto_folder_create(path, err));
    snprintf(path, sizeof path, "%s/wal/quarantine/%u-%" PRIu64 ".bin", r->engine->data_path,
             r->shard, record->seq);
    OTO_TRY(oto_engine_write_file(path, record->payload, err));
    oto_engine_log(r->engine, "error", "a logged request cannot be read any more, kept as %s: %s",
                   path, why->message);
    return OTO_OK;
}

static struct oto_dedup_entry dedup_entry(const struct replay *r,
                                          const struct oto_wal_record *record)
{
    struct oto_hash128 hash = oto_request_hash((enum oto_signal)record->kind, record->payload);
    return (struct oto_dedup_entry){
        .hash_low = hash.low,
        .hash_high = hash.high,
        .received_ns = record->received_ns,
        .seq = record->seq,
        .shard = (uint16_t)r->shard,
        .resent = record->flags & OTO_RECORD_RESENT,
    };
}

static enum oto_status decode(struct replay *r, const struct oto_wal_record *record,
                              struct oto_otlp_result *ret_result, struct oto_error *err)
{
    if (record->kind >= OTO_SIGNAL_COUNT)
        return oto_error_set(err, OTO_INVALID, "unknown kind %u", record->kind);
    struct oto_otlp_limits limits = r->engine->options.otlp;
    // What was acknowledged may be from before there was a limit, or under a larger one.
    limits.shared_values_max = limits.row_bytes_max = 0;
    if (!r->segment)
        OTO_TRY(new_segment(r, err));
    return oto_otlp_decode(r->segment->decoder, (enum oto_signal)record->kind, record->payload,
                           record->received_ns, &limits, ret_result, err);
}

static void add_rows(struct replay *r, const struct oto_wal_record *record,
                     const struct oto_otlp_result *result)
{
    for (int i = 0; i < OTO_TABLE_COUNT; i++)
        r->segment->committed_rows[i] = r->segment->rows[i] += (uint32_t)result->rows[i];
    r->segment->shared_values += result->shared_values;
    r->uncounted_bytes += record->payload.size;
    if (r->uncounted_bytes >= SEGMENT_BYTES_STEP) {
        oto_segment_count_bytes(r->segment);
        r->uncounted_bytes = 0;
    }
}

// As decode. No room: what came before goes into files first, unless it must stay together. Then
// memory is waited for, as a full disk is: the record was acknowledged, so it is never given up.
static enum oto_status decode_patiently(struct replay *r, const struct oto_wal_record *record,
                                        struct oto_otlp_result *ret_result, struct oto_error *why,
                                        struct oto_error *err)
{
    enum oto_status status = decode(r, record, ret_result, why);
    if (status == OTO_NO_MEMORY) {
        OTO_TRY(wait_behind(r, err));
        status = decode(r, record, ret_result, why);
    }
    if (status == OTO_NO_MEMORY && r->segment && oto_segment_has_rows(r->segment) &&
        r->cut_seq <= r->flushed_seq) {
        OTO_TRY(finish_piece(r, record->seq - 1, err));
        status = decode(r, record, ret_result, why);
    }
    while (status == OTO_NO_MEMORY) {
        *err = *why;
        OTO_TRY(wait_and_retry(r->engine, why));
        status = decode(r, record, ret_result, why);
        if (status != OTO_NO_MEMORY)
            atomic_store(&r->engine->flush_blocked, 0);
    }
    return status;
}

static enum oto_status add_record(struct replay *r, const struct oto_wal_record *record,
                                  struct oto_error *err)
{
    struct oto_otlp_result result;
    struct oto_error why;
    struct oto_dedup *dedup = record->payload.size ? r->engine->dedup : NULL;
    struct oto_dedup_entry entry = dedup_entry(r, record);
    oto_error_init(&why);
    if (dedup && oto_dedup_is_copy(dedup, &entry)) {
        r->copies++;
        return OTO_OK;
    }
    enum oto_status status = decode_patiently(r, record, &result, &why, err);
    if (oto_status_retryable(status))
        return status; // the log keeps it
    if (status < 0) {
        r->poisoned++;
        return quarantine(r, record, &why, err);
    }
    entry.item_count = (uint32_t)(result.accepted + result.rejected);
    if (dedup)
        oto_dedup_restore(dedup, &entry);
    add_rows(r, record, &result);
    return OTO_OK;
}

static int piece_is_full(const struct replay *r)
{
    const struct oto_engine_options *options = &r->engine->options;
    const struct oto_segment *piece = r->segment;
    int full = piece->counted_bytes >= options->flush_bytes ||
               piece->shared_values >= OTO_ENGINE_SHARED_VALUES_MAX;
    for (int i = 0; i < OTO_TABLE_COUNT; i++)
        full |= piece->rows[i] / PIECE_SEGMENTS >= options->flush_rows;
    return full;
}

static enum oto_status visit_record(void *state, const struct oto_wal_record *record,
                                    struct oto_error *err)
{
    struct replay *r = state;
    if (atomic_load(&r->engine->recovery_cancelled))
        return oto_error_set(err, OTO_UNAVAILABLE, "stopped while recovering");
    if (r->cut_seq > r->flushed_seq && record->seq > r->cut_seq)
        OTO_TRY(finish_piece(r, r->cut_seq, err));
    r->cut_records += record->seq <= r->cut_seq;
    OTO_TRY(add_record(r, record, err));
    if (r->segment && r->cut_seq <= r->flushed_seq && piece_is_full(r))
        OTO_TRY(pass_piece(r, record->seq, err));
    return OTO_OK;
}

// --- one log ---

// Without its file repeated requests may be stored twice: what is damaged is damaged, but a lack of
// memory passes.
static enum oto_status load_dedup(struct replay *r, struct oto_error *err)
{
    char path[OTO_ENGINE_PATH_MAX];
    struct oto_buffer bytes;
    struct oto_error why;
    if (!r->engine->dedup)
        return OTO_OK;
    oto_engine_dedup_path(r->engine, r->shard, path);
    oto_error_init(&why);
    oto_buffer_init(&bytes, &oto_allocator_heap, SIZE_MAX / 2);
    enum oto_status status = oto_engine_read_file(path, &bytes, &why);
    if (status >= 0)
        status = oto_dedup_decode(r->engine->dedup, oto_buffer_view(&bytes), r->shard,
                                  r->flushed_seq, oto_engine_dedup_now_ns(r->engine), &why);
    oto_buffer_release(&bytes);
    if (status == OTO_NO_MEMORY)
        return oto_error_set(err, status, "no memory for %s", path);
    if (oto_error_ensure(&why, status, path) < 0 && status != OTO_NOT_FOUND)
        oto_engine_log(r->engine, "warn",
                       "%s is not used, repeated requests may be stored twice: %s", path,
                       why.message);
    return OTO_OK;
}

// A log without marks whose shard has files already was lost or removed: it must go on counting
// after them, else new files could take the names of old ones.
static enum oto_status adopt_files(struct replay *r, struct oto_error *err)
{
    uint64_t last_seq = 0;
    if (r->flushed_seq > 0 || r->cut_seq > 0)
        return OTO_OK;
    for (int table = 0; table < OTO_TABLE_COUNT; table++) {
        const struct oto_catalogue_table *files = &r->engine->tables[table];
        for (size_t i = 0; i < files->count; i++)
            if (files->files[i].shard == r->shard && files->files[i].last_seq > last_seq)
                last_seq = files->files[i].last_seq;
    }
    if (last_seq == 0)
        return OTO_OK;
    r->flushed_seq = r->cut_seq = last_seq;
    return oto_wal_checkpoint(r->wal, last_seq, last_seq, err);
}

static void count_recovery(const struct replay *r, const struct oto_wal_recovery *found)
{
    struct oto_engine *engine = r->engine;
    atomic_fetch_add(&engine->recovered_records, found->records);
    atomic_fetch_add(&engine->recovered_torn_bytes, found->torn_bytes);
    atomic_fetch_add(&engine->recovered_corrupt_segments, found->corrupt_segments);
    if (found->records || found->torn_bytes || found->corrupt_segments)
        oto_engine_log(engine, found->corrupt_segments || r->poisoned ? "error" : "info",
                       "log of shard %u: %" PRIu64 " requests recovered, %" PRIu64
                       " of them in another log, too, %" PRIu64 " torn bytes cut off, %" PRIu64
                       " damaged segments, %" PRIu64 " unreadable",
                       r->shard, found->records, r->copies, found->torn_bytes,
                       found->corrupt_segments, r->poisoned);
}

static enum oto_status replay_log(struct replay *r, struct oto_error *err)
{
    struct oto_wal_recovery found = {0};
    oto_wal_marks(r->wal, &r->flushed_seq, &r->cut_seq);
    OTO_TRY(oto_wal_replay(r->wal, visit_record, r, &found, err));
    if (r->cut_seq > r->flushed_seq)
        OTO_TRY(finish_piece(r, r->cut_seq, err));
    uint64_t last_seq = found.last_seq > r->cut_seq ? found.last_seq : r->cut_seq;
    if (r->segment)
        OTO_TRY(finish_piece(r, last_seq, err));
    OTO_TRY(wait_behind(r, err));
    if (last_seq > r->flushed_seq || r->cut_seq > r->flushed_seq)
        OTO_TRY(oto_wal_checkpoint(r->wal, last_seq, last_seq, err));
    r->flushed_seq = last_seq;
    count_recovery(r, &found);
    return oto_wal_trim(r->wal, err);
}

// --- all logs ---

static enum oto_status remove_entry(void *state, const struct oto_folder_entry *entry,
                                    struct oto_error *err)
{
    char path[OTO_ENGINE_PATH_MAX];
    size_t size = strlen(entry->name);
    // A damaged segment is for people to look at; it keeps its folder.
    if (size > 8 && strcmp(entry->name + size - 8, ".corrupt") == 0)
        return OTO_OK;
    snprintf(path, sizeof path, "%s/%s", (const char *)state, entry->name);
    return oto_path_remove(path, err);
}

// The requests of a log that goes stay known, as shard 0's. Its own log is not replayed yet, so all
// of its entries are of records before the flushed mark.
static enum oto_status keep_requests(struct oto_engine *engine, uint32_t index,
                                     struct oto_error *err)
{
    if (engine->dedup)
        oto_dedup_adopt(engine->dedup, index, 0);
    return oto_engine_save_dedup(engine, 0, UINT64_MAX, err);
}

// The log of a shard that there is no thread for any more.
static void remove_log(struct oto_engine *engine, uint32_t index, char *path)
{
    struct oto_error err;
    if (engine->shard_count == 0)
        return; // a tool at work: the server comes back
    oto_error_init(&err);
    enum oto_status status = keep_requests(engine, index, &err);
    if (status >= 0)
        status = oto_folder_list(path, remove_entry, path, &err);
    if (status >= 0)
        status = oto_path_remove(path, &err);
    if (oto_error_ensure(&err, status, path) < 0)
        oto_engine_log(engine, "warn", "removing an old log: %s", err.message);
}

static enum oto_status open_log(struct replay *r, struct oto_shard *shard, char *ret_path,
                                struct oto_error *err)
{
    struct oto_wal_options options = r->engine->options.wal;
    options.committed = oto_shard_committed;
    options.state = shard;
    snprintf(ret_path, OTO_ENGINE_PATH_MAX, "%s/wal/%u", r->engine->data_path, r->shard);
    return oto_wal_open(ret_path, &options, &r->wal, err);
}

// What is known of a log before any is replayed.
static enum oto_status prepare_log(struct oto_engine *engine, uint32_t index, struct oto_error *err)
{
    char path[OTO_ENGINE_PATH_MAX];
    struct replay r = {.engine = engine, .shard = index};
    OTO_TRY(open_log(&r, NULL, path, err));
    oto_wal_marks(r.wal, &r.flushed_seq, &r.cut_seq);
    enum oto_status status = adopt_files(&r, err);
    if (status >= 0)
        status = load_dedup(&r, err);
    enum oto_status closed = oto_wal_close(r.wal, status >= 0 ? err : NULL);
    return status < 0 ? status : closed;
}

static enum oto_status recover_log(struct oto_engine *engine, uint32_t index, struct oto_error *err)
{
    char path[OTO_ENGINE_PATH_MAX];
    struct oto_shard *shard = index < engine->shard_count ? &engine->shards[index] : NULL;
    struct replay r = {.engine = engine, .shard = index};
    OTO_TRY(open_log(&r, shard, path, err));
    behind_init(&r);
    enum oto_status status = replay_log(&r, err);
    behind_release(&r);
    oto_segment_unref(r.segment);
    if (status >= 0 && shard) {
        shard->committed_seq = shard->inbox_seq = r.flushed_seq;
        shard->next_first_seq = r.flushed_seq + 1;
        status = oto_wal_start(r.wal, err);
    }
    if (status >= 0 && shard) {
        shard->wal = r.wal;
        return OTO_OK;
    }
    enum oto_status closed = oto_wal_close(r.wal, status >= 0 ? err : NULL);
    if (status < 0 || closed < 0)
        return status < 0 ? status : closed;
    remove_log(engine, index, path);
    return OTO_OK;
}

struct old_logs {
    struct oto_engine *engine;
    uint32_t indices[1024];
    size_t count;
};

static enum oto_status find_old_log(void *state, const struct oto_folder_entry *entry,
                                    struct oto_error *err)
{
    struct old_logs *logs = state;
    char *end;
    unsigned long index = strtoul(entry->name, &end, 10);
    (void)err;
    if (!entry->is_folder || *end != 0 || index > UINT16_MAX || index < logs->engine->shard_count)
        return OTO_OK;
    if (logs->count < sizeof logs->indices / sizeof *logs->indices)
        logs->indices[logs->count++] = (uint32_t)index;
    return OTO_OK;
}

static enum oto_status recover_all(struct oto_engine *engine, struct oto_error *err)
{
    char path[OTO_ENGINE_PATH_MAX];
    struct old_logs logs = {.engine = engine};
    OTO_TRY(oto_catalogue_load(engine, err));
    snprintf(path, sizeof path, "%s/wal", engine->data_path);
    OTO_TRY(oto_folder_list(path, find_old_log, &logs, err));
    for (size_t i = 0; i < logs.count; i++)
        OTO_TRY(prepare_log(engine, logs.indices[i], err));
    for (uint32_t i = 0; i < engine->shard_count; i++)
        OTO_TRY(prepare_log(engine, i, err));
    for (size_t i = 0; i < logs.count; i++)
        OTO_TRY(recover_log(engine, logs.indices[i], err));
    for (uint32_t i = 0; i < engine->shard_count; i++)
        OTO_TRY(recover_log(engine, i, err));
    if (engine->dedup)
        oto_dedup_forget_copies(engine->dedup);
    return oto_engine_start_flushers(engine, err);
}

enum oto_status oto_engine_recover(struct oto_engine *engine, struct oto_error *err)
{
    struct oto_error own;
    if (!err)
        err = &own;
    oto_error_init(err);
    enum oto_status status = oto_error_ensure(err, recover_all(engine, err), "recovering");
    if (status < 0) {
        oto_engine_set_state(engine, OTO_ENGINE_FAILED, err->message);
        oto_engine_log(engine, "error", "recovery failed: %s", err->message);
        return status;
    }
    oto_engine_set_state(engine, OTO_ENGINE_READY, "ready");
    return OTO_OK;
}
