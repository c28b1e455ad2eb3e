// A shard: requests in, rows into the open segment, answers once the log has them.
//
// A request is decoded first and logged then, so that only what can be replayed is in the log. Its
// rows count from the moment the log is durable; when the log fails, everything after the last
// durable record is rolled back, and the clients are told to come again.
#include "engine/engine_internal.h"

#include <assert.h>
#include <stdlib.h>

#define DISK_RETRY_NS 1000000000u
#define SEGMENT_BYTES_STEP (64u << 10) // of payload, between two looks at a segment's memory
#define SEALED_MAX 4u                  // segments of a shard with the flusher
#define POOL_IDLE_NS 5000000000u
#define RELIEF_BYTES (1u << 20) // a segment from this size on is worth giving up for its memory
#define SLOW_NS 250000000u      // a segment that was filled for so long is one of a slow shard
#define SLOW_CPU 4              // if the process had less than such a part of a processor

void oto_shard_init(struct oto_shard *shard, struct oto_engine *engine, uint32_t index)
{
    shard->engine = engine;
    shard->index = index;
    shard->pending_end = &shard->pending;
    oto_mutex_init(&shard->lock);
    oto_mutex_init(&shard->wake_lock);
    oto_condition_init(&shard->changed);
}

void oto_shard_release(struct oto_shard *shard)
{
    for (size_t i = 0; i < shard->group_capacity; i++)
        for (int signal = 0; signal < OTO_SIGNAL_COUNT; signal++)
            free(shard->groups[i].marks[signal]);
    for (int signal = 0; signal < OTO_SIGNAL_COUNT; signal++)
        free(shard->scratch_marks[signal]);
    free(shard->groups);
    for (int i = 0; i < shard->view_count; i++)
        oto_segment_view_release(&shard->views[i]);
    oto_segment_unref(shard->open);
    oto_segment_unref(shard->closing);
    oto_condition_release(&shard->changed);
    oto_mutex_release(&shard->lock);
    oto_mutex_release(&shard->wake_lock);
}

struct oto_shard *oto_engine_shard(struct oto_engine *engine, uint32_t index,
                                   void (*wake)(void *state), void *state)
{
    if (index >= engine->shard_count)
        return NULL;
    struct oto_shard *shard = &engine->shards[index];
    oto_mutex_lock(&shard->wake_lock);
    shard->wake = wake;
    shard->wake_state = state;
    atomic_store(&shard->attached, 1);
    oto_mutex_unlock(&shard->wake_lock);
    return shard;
}

void oto_shard_detach(struct oto_shard *shard)
{
    oto_mutex_lock(&shard->wake_lock);
    atomic_store(&shard->attached, 0);
    oto_mutex_unlock(&shard->wake_lock);
    // A query may wait for this shard's rows.
    oto_mutex_lock(&shard->lock);
    oto_condition_broadcast(&shard->changed);
    oto_mutex_unlock(&shard->lock);
}

void oto_shard_wake(struct oto_shard *shard)
{
    oto_mutex_lock(&shard->wake_lock);
    if (atomic_load(&shard->attached))
        shard->wake(shard->wake_state);
    oto_mutex_unlock(&shard->wake_lock);
}

static void count(_Atomic uint64_t *counter, uint64_t more)
{
    atomic_fetch_add_explicit(counter, more, memory_order_relaxed);
}

// --- commit groups and their marks ---

// Room for the marks of a signal; all segments have the same columns.
static uint32_t *new_mark(struct oto_shard *shard, enum oto_signal signal)
{
    if (shard->mark_sizes[signal] == 0)
        shard->mark_sizes[signal] = oto_otlp_mark_size(shard->open->decoder, signal);
    return malloc(shard->mark_sizes[signal]);
}

static int reserve_mark(struct oto_shard *shard, enum oto_signal signal)
{
    if (!shard->scratch_marks[signal])
        shard->scratch_marks[signal] = new_mark(shard, signal);
    return shard->scratch_marks[signal] != NULL;
}

// Makes sure, before anything is appended, that a group can be noted afterwards.
static int reserve_group(struct oto_shard *shard)
{
    if (shard->group_count < shard->group_capacity)
        return 1;
    size_t capacity = shard->group_capacity ? 2 * shard->group_capacity : 8;
    struct oto_commit_group *grown = realloc(shard->groups, capacity * sizeof *grown);
    if (!grown)
        return 0;
    memset(grown + shard->group_capacity, 0, (capacity - shard->group_capacity) * sizeof *grown);
    shard->groups = grown;
    shard->group_capacity = capacity;
    return 1;
}

// Notes where the group of the record just appended begins: where the decoder was before it.
static void note_group(struct oto_shard *shard, enum oto_signal signal, uint64_t seq)
{
    struct oto_commit_group *group =
        shard->group_count ? &shard->groups[shard->group_count - 1] : NULL;
    if (!group || group->segment != shard->open || oto_wal_group_begun(shard->wal)) {
        group = &shard->groups[shard->group_count++];
        group->first_seq = seq;
        group->segment = shard->open;
        memset(group->marked, 0, sizeof group->marked);
    }
    if (group->marked[signal])
        return;
    uint32_t *mark = shard->scratch_marks[signal];
    memcpy(mark, oto_otlp_decoded_mark(shard->open->decoder), shard->mark_sizes[signal]);
    shard->scratch_marks[signal] = group->marks[signal];
    group->marks[signal] = mark;
    group->marked[signal] = 1;
}

// Forgets groups that are committed whole: a group ends where the next one begins.
static void drop_groups(struct oto_shard *shard)
{
    size_t done = 0;
    while (done + 1 < shard->group_count &&
           shard->groups[done + 1].first_seq <= shard->committed_seq + 1)
        done++;
    if (done + 1 == shard->group_count && !shard->pending)
        done++;
    if (done == 0)
        return;
    // The dropped ones' mark buffers go to the end, to be used again.
    for (size_t i = 0; i < done; i++) {
        struct oto_commit_group first = shard->groups[0];
        memmove(shard->groups, shard->groups + 1, (shard->group_count - 1) * sizeof first);
        shard->groups[--shard->group_count] = first;
    }
}

// --- answers ---

static void settle_dedup(struct oto_shard *shard, const struct oto_ingest *ingest)
{
    uint64_t items = ingest->result.accepted + ingest->result.rejected;
    struct oto_dedup_entry entry = {
        .hash_low = ingest->hash_low,
        .hash_high = ingest->hash_high,
        .seq = ingest->seq,
        .item_count = items < UINT32_MAX ? (uint32_t)items : UINT32_MAX,
        .shard = (uint16_t)shard->index,
    };
    if (shard->engine->dedup)
        oto_dedup_settle(shard->engine->dedup, &entry);
}

static void forget_dedup(struct oto_shard *shard, const struct oto_ingest *ingest)
{
    if (shard->engine->dedup)
        oto_dedup_forget(shard->engine->dedup, ingest->hash_low, ingest->hash_high);
}

// What has no time at all may well happen twice: two of it are not one that was sent again.
static int is_untimed(const struct oto_ingest *ingest)
{
    const struct oto_otlp_result *result = &ingest->result;
    return result->accepted > 0 && result->untimed == result->accepted;
}

// The second copy of a request whose first has no outcome yet shares it.
static void wait_for_first(struct oto_shard *shard, struct oto_ingest *ingest)
{
    ingest->next = shard->repeats;
    shard->repeats = ingest;
    atomic_fetch_add(&shard->engine->repeats_waiting, 1);
}

// Requests of this shard have an outcome: repeats of them may wait anywhere.
static void wake_repeats(struct oto_shard *shard)
{
    struct oto_engine *engine = shard->engine;
    if (atomic_load(&engine->repeats_waiting) == 0)
        return;
    for (uint32_t i = 0; i < engine->shard_count; i++)
        oto_shard_wake(&engine->shards[i]);
}

static void answer_stored(struct oto_shard *shard, struct oto_ingest *ingest, uint32_t item_count)
{
    ingest->deduplicated = 1;
    count(&shard->counters.received[ingest->signal], item_count);
    count(&shard->counters.deduplicated[ingest->signal], item_count);
    ingest->done(ingest, OTO_OK, NULL);
}

static void answer_repeats(struct oto_shard *shard)
{
    struct oto_ingest *waiting = shard->repeats;
    shard->repeats = NULL;
    while (waiting) {
        struct oto_ingest *ingest = waiting;
        struct oto_error err;
        struct oto_dedup_entry entry = {.hash_low = ingest->hash_low,
                                        .hash_high = ingest->hash_high};
        waiting = ingest->next;
        ingest->next = NULL;
        atomic_fetch_sub(&shard->engine->repeats_waiting, 1);
        switch (oto_dedup_look(shard->engine->dedup, &entry)) {
        case OTO_DEDUP_PENDING:
            wait_for_first(shard, ingest);
            break;
        case OTO_DEDUP_STORED:
            answer_stored(shard, ingest, entry.item_count);
            break;
        case OTO_DEDUP_NEW:
        case OTO_DEDUP_REFUSED:
            oto_error_set(&err, OTO_UNAVAILABLE, "the same request was not stored just now");
            ingest->done(ingest, OTO_UNAVAILABLE, &err);
            break;
        }
    }
}

static void commit_one(struct oto_shard *shard, struct oto_ingest *ingest)
{
    struct oto_segment *segment =
        shard->closing && ingest->seq <= shard->closing->last_seq ? shard->closing : shard->open;
    for (int i = 0; i < OTO_TABLE_COUNT; i++) {
        uint64_t rows = ingest->result.rows[i];
        if (rows == 0)
            continue;
        segment->committed_rows[i] += (uint32_t)rows;
        count(&shard->engine->rows_hot[i], rows);
    }
    count(&shard->counters.stored[ingest->signal], ingest->result.accepted);
    atomic_fetch_sub(&shard->engine->memory_bytes, ingest->staged_bytes);
    settle_dedup(shard, ingest);
}

static struct oto_ingest *take_pending(struct oto_shard *shard)
{
    struct oto_ingest *ingest = shard->pending;
    shard->pending = ingest->next;
    if (!shard->pending)
        shard->pending_end = &shard->pending;
    ingest->next = NULL;
    return ingest;
}

// The flusher has one segment of a shard, or several as long as they are not more than one may be:
// a disk that is slow for a moment refuses nothing.
static int flusher_has_place(const struct oto_shard *shard, const struct oto_segment *segment)
{
    uint64_t bytes = atomic_load(&shard->sealed_bytes) + segment->counted_bytes;
    uint32_t sealed = atomic_load(&shard->sealed);
    return sealed == 0 || (sealed < SEALED_MAX && bytes <= shard->engine->options.flush_bytes);
}

// The closing segment goes to the flusher once its last record is durable.
static void hand_over(struct oto_shard *shard)
{
    struct oto_segment *segment = shard->closing;
    if (!segment || shard->committed_seq < segment->last_seq || !flusher_has_place(shard, segment))
        return;
    shard->closing = NULL;
    oto_segment_seal(segment);
    oto_segment_count_bytes(segment);
    atomic_fetch_add(&shard->sealed_bytes, segment->counted_bytes);
    atomic_fetch_add(&shard->sealed, 1);
    oto_engine_queue_flush(shard->engine, segment);
}

static void commit_until(struct oto_shard *shard, uint64_t durable_seq)
{
    if (durable_seq <= shard->committed_seq)
        return;
    shard->committed_seq = durable_seq;
    atomic_store(&shard->disk_blocked, 0);
    // All state first, then the answers: a callback may come back in.
    struct oto_ingest *done = NULL, **done_end = &done;
    while (shard->pending && shard->pending->seq <= durable_seq) {
        struct oto_ingest *ingest = take_pending(shard);
        commit_one(shard, ingest);
        *done_end = ingest;
        done_end = &ingest->next;
    }
    drop_groups(shard);
    hand_over(shard);
    wake_repeats(shard);
    while (done) {
        struct oto_ingest *ingest = done;
        done = ingest->next;
        ingest->next = NULL;
        ingest->done(ingest, OTO_OK, NULL);
    }
}

// --- a failed log ---

static void roll_back_groups(struct oto_shard *shard, uint64_t durable_seq)
{
    while (shard->group_count > 0 &&
           shard->groups[shard->group_count - 1].first_seq > durable_seq) {
        struct oto_commit_group *group = &shard->groups[--shard->group_count];
        for (int signal = 0; signal < OTO_SIGNAL_COUNT; signal++)
            if (group->marked[signal])
                oto_otlp_rollback(group->segment->decoder, (enum oto_signal)signal,
                                  group->marks[signal]);
    }
}

static struct oto_segment *segment_of(struct oto_shard *shard, uint64_t seq)
{
    return shard->closing && seq <= shard->closing->last_seq ? shard->closing : shard->open;
}

// A segment whose last records were undone ends earlier; one without any is dropped, and the open
// one takes over its place.
static void shorten_segments(struct oto_shard *shard, uint64_t durable_seq)
{
    if (shard->closing && shard->closing->last_seq > durable_seq) {
        shard->closing->last_seq = durable_seq;
        if (!oto_segment_has_rows(shard->closing)) {
            shard->next_first_seq = shard->closing->first_seq;
            oto_segment_unref(shard->closing);
            shard->closing = NULL;
        } else {
            shard->next_first_seq = durable_seq + 1;
        }
        if (shard->open) { // began after it: nothing of it is durable
            oto_segment_unref(shard->open);
            shard->open = NULL;
        }
    }
    if (shard->open && shard->open->last_seq > durable_seq)
        shard->open->last_seq = durable_seq;
}

static void roll_back(struct oto_shard *shard, uint64_t durable_seq, enum oto_status status,
                      const struct oto_error *err)
{
    struct oto_ingest *undone = shard->pending;
    roll_back_groups(shard, durable_seq);
    for (struct oto_ingest *ingest = undone; ingest; ingest = ingest->next) {
        struct oto_segment *segment = segment_of(shard, ingest->seq);
        for (int i = 0; i < OTO_TABLE_COUNT; i++)
            segment->rows[i] -= (uint32_t)ingest->result.rows[i];
        segment->shared_values -= ingest->result.shared_values;
        count(&shard->counters.failed[ingest->signal], ingest->result.accepted);
        atomic_fetch_sub(&shard->engine->memory_bytes, ingest->staged_bytes);
        if (shard->engine->dedup && !is_untimed(ingest))
            oto_dedup_refuse(shard->engine->dedup, ingest->hash_low, ingest->hash_high);
        else
            forget_dedup(shard, ingest);
    }
    shorten_segments(shard, durable_seq);
    shard->pending = NULL;
    shard->pending_end = &shard->pending;
    shard->retry_ns = oto_clock_monotonic_ns() + DISK_RETRY_NS;
    atomic_store(&shard->disk_blocked, 1);
    oto_wal_reset(shard->wal);
    hand_over(shard);
    oto_engine_log(shard->engine, "error",
                   "the log of shard %u failed, requests will be retried: %s", shard->index,
                   err->message);
    wake_repeats(shard);
    while (undone) {
        struct oto_ingest *ingest = undone;
        undone = ingest->next;
        ingest->next = NULL;
        ingest->done(ingest, oto_status_retryable(status) ? status : OTO_UNAVAILABLE, err);
    }
}

// Rows that a query reads at this moment must not be taken back under it; the failure waits until
// it is done.
static int is_being_read(const struct oto_shard *shard)
{
    return (shard->open && atomic_load(&shard->open->views)) ||
           (shard->closing && atomic_load(&shard->closing->views));
}

// --- what other threads left ---

void oto_shard_committed(void *state, uint64_t durable_seq, enum oto_status status,
                         const struct oto_error *err)
{
    struct oto_shard *shard = state;
    oto_mutex_lock(&shard->lock);
    shard->inbox_seq = durable_seq;
    if (status < 0) {
        shard->inbox_failed = 1;
        shard->inbox_status = status;
        shard->inbox_error = *err;
    }
    oto_condition_broadcast(&shard->changed);
    oto_mutex_unlock(&shard->lock);
    oto_shard_wake(shard);
}

static void show_segments(struct oto_shard *shard, uint32_t tables)
{
    struct oto_segment *segments[] = {shard->closing, shard->open};
    struct oto_segment_view views[2];
    enum oto_status status = OTO_OK;
    int view_count = 0;
    for (int i = 0; i < 2 && status >= 0; i++) {
        if (!segments[i])
            continue;
        status = oto_segment_view(segments[i], tables, &views[view_count]);
        if (status < 0)
            break;
        views[view_count].counted = 1;
        atomic_fetch_add(&segments[i]->views, 1);
        view_count++;
    }
    oto_mutex_lock(&shard->lock);
    int still_wanted = shard->view_wanted;
    if (still_wanted) {
        memcpy(shard->views, views, (size_t)view_count * sizeof *views);
        shard->view_count = view_count;
        shard->view_status = status;
        shard->view_wanted = 0;
        shard->view_done = 1;
        oto_condition_broadcast(&shard->changed);
    }
    oto_mutex_unlock(&shard->lock);
    for (int i = 0; i < view_count && !still_wanted; i++) // a view keeps rows from being undone
        oto_segment_view_release(&views[i]);
}

void oto_shard_poll(struct oto_shard *shard)
{
    struct oto_error err;
    oto_mutex_lock(&shard->lock);
    uint64_t durable_seq = shard->inbox_seq;
    int failed = shard->inbox_failed && !is_being_read(shard);
    enum oto_status status = shard->inbox_status;
    int view_wanted = shard->view_wanted;
    uint32_t tables = shard->view_tables;
    if (failed) {
        err = shard->inbox_error;
        shard->inbox_failed = 0;
    }
    oto_mutex_unlock(&shard->lock);
    commit_until(shard, durable_seq);
    if (failed)
        roll_back(shard, durable_seq, status, &err);
    hand_over(shard);
    if (shard->open && oto_segment_is_full(shard->open))
        oto_shard_seal(shard); // could not be, while the one before was with the flusher
    if (view_wanted)
        show_segments(shard, tables);
    if (shard->repeats)
        answer_repeats(shard);
}

// --- sealing ---

// What small arrays a segment outgrew is what the next one begins in. Between the two it lies there
// for as long as the segment is filled, and where that is long it costs less to clear it anew: some
// 800 page faults, several thousand for spans. Not where it took long only because others use the
// processor, too: then there is no time for page faults.
static void forget_outgrown(struct oto_shard *shard)
{
    uint64_t time_ns = oto_clock_monotonic_ns() - shard->open->opened_ns;
    uint64_t cpu_ns = oto_clock_cpu_ns() - shard->open->opened_cpu_ns;
    if (time_ns >= SLOW_NS && cpu_ns < time_ns / SLOW_CPU)
        oto_page_pool_forget(&shard->engine->pool);
}

int oto_shard_seal(struct oto_shard *shard)
{
    if (!shard->open || !oto_segment_has_rows(shard->open) || shard->closing ||
        !flusher_has_place(shard, shard->open))
        return 0;
    forget_outgrown(shard);
    shard->closing = shard->open;
    shard->open = NULL;
    shard->next_first_seq = shard->closing->last_seq + 1;
    hand_over(shard);
    return 1;
}

// By age, or because somebody waits for its memory.
static int is_due(struct oto_shard *shard, uint64_t now_ns)
{
    const struct oto_segment *segment = shard->open;
    uint64_t age_ns = shard->engine->options.flush_age_ms * 1000000ull;
    int pressed = atomic_exchange(&shard->pressed, 0);
    if (!segment || !oto_segment_has_rows(segment))
        return 0;
    return now_ns - segment->opened_ns >= age_ns ||
           (pressed && segment->counted_bytes >= RELIEF_BYTES);
}

void oto_shard_tick(struct oto_shard *shard)
{
    if (atomic_load(&shard->engine->state) != OTO_ENGINE_READY)
        return;
    uint64_t now_ns = oto_clock_monotonic_ns();
    oto_shard_poll(shard);
    if (is_due(shard, now_ns))
        oto_shard_seal(shard);
    // Without this a server that nobody dares to send to would never find out that its disk is well
    // again.
    uint64_t free_bytes, wanted = shard->engine->options.wal.disk_free_min;
    if (atomic_load(&shard->disk_blocked) && now_ns >= shard->retry_ns &&
        oto_disk_free(shard->engine->data_path, &free_bytes, NULL) >= 0 && free_bytes >= wanted)
        atomic_store(&shard->disk_blocked, 0);
    oto_page_pool_trim(&shard->engine->pool, POOL_IDLE_NS);
    oto_engine_trim_flushers(shard->engine, POOL_IDLE_NS);
}

// --- a request ---

static void refuse(struct oto_ingest *ingest, enum oto_status status, const struct oto_error *err)
{
    ingest->done(ingest, status, err);
}

// Why nothing can be taken now; OTO_OK when something can.
static enum oto_status check_ready(struct oto_shard *shard, struct oto_error *err)
{
    static const char *const texts[] = {
        [OTO_ENGINE_RECOVERING] = "the server recovers from its log",
        [OTO_ENGINE_FAILED] = "the server's recovery failed",
        [OTO_ENGINE_DRAINING] = "the server is shutting down",
    };
    int state = atomic_load(&shard->engine->state);
    if (state != OTO_ENGINE_READY)
        return oto_error_set(err, OTO_UNAVAILABLE, "%s", texts[state]);
    if (atomic_load(&shard->disk_blocked) && oto_clock_monotonic_ns() < shard->retry_ns)
        return oto_error_set(err, OTO_NO_SPACE, "the server's disk refuses writes");
    return OTO_OK;
}

int oto_shard_is_stalled(const struct oto_shard *shard)
{
    const struct oto_engine *engine = shard->engine;
    if (!shard->open || !oto_segment_is_full(shard->open))
        return 0;
    if (!shard->closing && flusher_has_place(shard, shard->open))
        return 0;
    return !atomic_load(&engine->flush_blocked) && !atomic_load(&shard->disk_blocked);
}

void oto_shard_count_refused(struct oto_shard *shard)
{
    count(&shard->counters.refused, 1);
}

// A segment with room for a request; seals a full one.
static enum oto_status make_room(struct oto_shard *shard, struct oto_error *err)
{
    if (shard->open && oto_segment_is_full(shard->open) && !oto_shard_seal(shard)) {
        int disk = atomic_load(&shard->engine->flush_blocked);
        count(&shard->counters.refused, 1);
        return oto_error_set(err, disk ? OTO_NO_SPACE : OTO_UNAVAILABLE,
                             disk ? "the server cannot write its files for now"
                                  : "the server's disk cannot keep up");
    }
    if (!shard->open)
        shard->open = oto_segment_new(shard->engine, shard->index, shard->next_first_seq);
    return shard->open ? OTO_OK : oto_error_set(err, OTO_NO_MEMORY, "no memory for rows");
}

static enum oto_status decode_once(struct oto_shard *shard, struct oto_ingest *ingest,
                                   uint64_t received_ns, struct oto_error *err)
{
    OTO_TRY(make_room(shard, err));
    if (!reserve_mark(shard, ingest->signal) || !reserve_group(shard))
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for rows");
    return oto_otlp_decode(shard->open->decoder, ingest->signal, ingest->payload, received_ns,
                           &shard->engine->options.otlp, &ingest->result, err);
}

// Decodes into the open segment, or into a fresh one when that one has no room left.
static enum oto_status decode(struct oto_shard *shard, struct oto_ingest *ingest,
                              uint64_t received_ns, struct oto_error *err)
{
    for (;;) {
        enum oto_status status = decode_once(shard, ingest, received_ns, err);
        if (status != OTO_NO_MEMORY || !shard->open)
            return status;
        if (!oto_segment_has_rows(shard->open)) {
            // Arrays double, so an arena that this one request uses up is well filled; else the
            // system refused, for now.
            const struct oto_arena *arena = &shard->open->arena;
            int used_up = arena->used_bytes >= arena->size_bytes_max / 4;
            oto_segment_unref(shard->open);
            shard->open = NULL;
            return oto_error_set(err, used_up ? OTO_TOO_LARGE : OTO_NO_MEMORY,
                                 used_up ? "the request's rows do not fit the memory limit"
                                         : "no memory for rows");
        }
        if (!oto_shard_seal(shard))
            return oto_error_set(err, OTO_UNAVAILABLE, "the server's disk cannot keep up");
    }
}

static enum oto_status append(struct oto_shard *shard, struct oto_ingest *ingest,
                              uint64_t received_ns, struct oto_error *err)
{
    uint8_t flags = ingest->resent ? OTO_RECORD_RESENT : 0;
    enum oto_status status = oto_wal_append(shard->wal, (uint8_t)ingest->signal, flags, received_ns,
                                            ingest->payload, &ingest->seq, err);
    if (status < 0) {
        oto_otlp_rollback(shard->open->decoder, ingest->signal,
                          oto_otlp_decoded_mark(shard->open->decoder));
        count(&shard->counters.failed[ingest->signal], ingest->result.accepted);
        if (status == OTO_NO_SPACE) {
            atomic_store(&shard->disk_blocked, 1);
            shard->retry_ns = oto_clock_monotonic_ns() + DISK_RETRY_NS;
        }
        return status;
    }
    note_group(shard, ingest->signal, ingest->seq);
    return OTO_OK;
}

static void add_pending(struct oto_shard *shard, struct oto_ingest *ingest)
{
    struct oto_segment *segment = shard->open;
    if (!oto_segment_has_rows(segment)) {
        segment->opened_ns = oto_clock_monotonic_ns();
        segment->opened_cpu_ns = oto_clock_cpu_ns();
    }
    for (int i = 0; i < OTO_TABLE_COUNT; i++)
        segment->rows[i] += (uint32_t)ingest->result.rows[i];
    segment->shared_values += ingest->result.shared_values;
    segment->last_seq = ingest->seq;
    ingest->staged_bytes = ingest->payload.size; // the log's copy, until it is written
    atomic_fetch_add(&shard->engine->memory_bytes, ingest->staged_bytes);
    segment->uncounted_bytes += ingest->payload.size;
    if (segment->uncounted_bytes >= SEGMENT_BYTES_STEP || segment->counted_bytes == 0) {
        oto_segment_count_bytes(segment);
        segment->uncounted_bytes = 0;
    }
    ingest->next = NULL;
    *shard->pending_end = ingest;
    shard->pending_end = &ingest->next;
    if (oto_segment_is_full(segment))
        oto_shard_seal(shard);
}

struct oto_hash128 oto_request_hash(enum oto_signal signal, struct oto_bytes payload)
{
    struct oto_hash128 hash = {0, 0};
    if (payload.size > 0) {
        hash = oto_hash128_wide(payload.data, payload.size);
        hash.low ^= (uint64_t)signal;
    }
    return hash;
}

// Notes the request when it is new. ret_item_count: of the one like it, when that is stored.
static enum oto_dedup_state look_up(struct oto_shard *shard, struct oto_ingest *ingest,
                                    uint64_t received_ns, uint32_t *ret_item_count)
{
    if (!shard->engine->dedup || ingest->payload.size == 0)
        return OTO_DEDUP_NEW;
    struct oto_hash128 hash = oto_request_hash(ingest->signal, ingest->payload);
    ingest->hash_low = hash.low;
    ingest->hash_high = hash.high;
    struct oto_dedup_entry entry = {.hash_low = ingest->hash_low,
                                    .hash_high = ingest->hash_high,
                                    .received_ns = received_ns,
                                    .shard = (uint16_t)shard->index};
    enum oto_dedup_state seen = oto_dedup_begin(shard->engine->dedup, &entry);
    ingest->resent = seen == OTO_DEDUP_NEW && entry.resent;
    *ret_item_count = entry.item_count;
    return seen;
}

// A repetition, decoded: it is told what the first was, that some of its items were refused, and
// why. Nothing of it stays.
static void answer_repeat(struct oto_shard *shard, struct oto_ingest *ingest,
                          enum oto_dedup_state seen, uint32_t item_count)
{
    oto_otlp_rollback(shard->open->decoder, ingest->signal,
                      oto_otlp_decoded_mark(shard->open->decoder));
    if (seen == OTO_DEDUP_STORED) {
        answer_stored(shard, ingest, item_count);
        return;
    }
    wait_for_first(shard, ingest);
    oto_shard_wake(shard); // the first may have got its outcome just before this one was noted
}

static void count_received(struct oto_shard *shard, const struct oto_ingest *ingest)
{
    const struct oto_otlp_result *result = &ingest->result;
    count(&shard->counters.received[ingest->signal], result->accepted + result->rejected);
    count(&shard->counters.rejected[ingest->signal], result->rejected);
    count(&shard->counters.utf8_repaired[ingest->signal], result->utf8_repaired);
}

int oto_shard_ingest(struct oto_shard *shard, struct oto_ingest *ingest)
{
    struct oto_error err;
    oto_error_init(&err);
    uint64_t received_ns = oto_clock_wall_ns();
    memset(&ingest->result, 0, sizeof ingest->result);
    ingest->deduplicated = ingest->resent = 0;
    ingest->hash_low = ingest->hash_high = ingest->seq = 0;
    count(&shard->counters.requests[ingest->signal], 1);
    count(&shard->counters.request_bytes[ingest->signal], ingest->payload.size);
    enum oto_status status = check_ready(shard, &err);
    if (status < 0) {
        refuse(ingest, status, &err);
        return 0;
    }
    uint32_t item_count = 0;
    enum oto_dedup_state seen = look_up(shard, ingest, received_ns, &item_count);
    status = decode(shard, ingest, received_ns, &err);
    int decoded = status >= 0;
    if (decoded && seen != OTO_DEDUP_NEW && !is_untimed(ingest)) {
        answer_repeat(shard, ingest, seen, item_count);
        return 0;
    }
    if (decoded)
        count_received(shard, ingest);
    if (decoded && ingest->result.accepted > 0) {
        status = append(shard, ingest, received_ns, &err);
        if (status >= 0) {
            add_pending(shard, ingest);
            return 1;
        }
    }
    if (seen == OTO_DEDUP_NEW)
        forget_dedup(shard, ingest);
    ingest->done(ingest, status < 0 ? status : OTO_OK, status < 0 ? &err : NULL);
    return 0;
}
