// What a query sees: files on disk, and for rows that are not in one yet a Parquet file in memory.
// Each row is encoded once, however many queries come: what a segment gained since the last one
// becomes a further piece.
#include "engine/engine_internal.h"

#include <stdio.h>
#include <stdlib.h>

#define PIECES_MAX 8 // of a table in a segment; more are made one
#define VIEW_WAIT_NS 10000000000u
#define SINK_BYTES (128u << 10)

// --- pieces ---

void oto_hot_piece_unref(struct oto_hot_piece *piece)
{
    if (!piece || atomic_fetch_sub(&piece->refs, 1) > 1)
        return;
    oto_file_close(&piece->file, NULL);
    atomic_fetch_sub(&piece->engine->memory_bytes, piece->size_bytes);
    free(piece);
}

struct memory_sink {
    struct oto_hot_piece *piece;
    size_t buffered;
    uint8_t *buffer;
};

// What rows share is in the file for each of them, so it may be far larger than they are: memory
// is asked for as it is written. Where there is none, rows are about to go to files.
static enum oto_status sink_put(struct memory_sink *sink, const void *data, size_t size,
                                struct oto_error *err)
{
    struct oto_hot_piece *piece = sink->piece;
    if (!oto_engine_reserve(piece->engine, size))
        return oto_error_set(err, OTO_NO_MEMORY,
                             "no memory to show the rows that are in no file yet; they will be in "
                             "one soon: ask again");
    piece->size_bytes += size;
    return oto_file_write_at(&piece->file, piece->size_bytes - size, data, size, err);
}

static enum oto_status sink_flush(struct memory_sink *sink, struct oto_error *err)
{
    OTO_TRY(sink_put(sink, sink->buffer, sink->buffered, err));
    sink->buffered = 0;
    return OTO_OK;
}

static enum oto_status sink_write(void *state, const void *data, size_t size, struct oto_error *err)
{
    struct memory_sink *sink = state;
    if (size > SINK_BYTES - sink->buffered)
        OTO_TRY(sink_flush(sink, err));
    if (size > SINK_BYTES)
        return sink_put(sink, data, size, err);
    if (size)
        memcpy(sink->buffer + sink->buffered, data, size);
    sink->buffered += size;
    return OTO_OK;
}

static enum oto_status encode_rows(struct oto_engine *engine, enum oto_table table,
                                   const struct oto_batch *batch, const uint32_t *order,
                                   uint32_t count, struct oto_hot_piece *piece,
                                   struct oto_error *err)
{
    struct memory_sink memory = {.piece = piece};
    struct oto_sink sink = {.write = sink_write, .state = &memory};
    struct oto_parquet_result result;
    OTO_TRY(oto_file_open_memory(&piece->file, "otolith-hot", err));
    memory.buffer = oto_alloc(&engine->counted_allocator, SINK_BYTES);
    if (!memory.buffer)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to show rows");
    enum oto_status status = oto_engine_encode(engine, table, batch, order, count, 0,
                                               engine->snapshot_codec, &sink, &result, err);
    if (status >= 0)
        status = sink_flush(&memory, err);
    oto_free(&engine->counted_allocator, memory.buffer, SINK_BYTES);
    return status;
}

static void set_times(struct oto_hot_piece *piece, const struct oto_column *times, uint32_t from,
                      uint32_t to)
{
    const int64_t *values = times->values;
    piece->time_min_us = piece->time_max_us = values[from];
    for (uint32_t i = from + 1; i < to; i++) {
        if (values[i] < piece->time_min_us)
            piece->time_min_us = values[i];
        if (values[i] > piece->time_max_us)
            piece->time_max_us = values[i];
    }
}

// Rows [from, to) of the batch as a piece; NULL with err.
static struct oto_hot_piece *piece_new(struct oto_engine *engine, enum oto_table table,
                                       const struct oto_batch *batch, uint32_t from, uint32_t to,
                                       struct oto_error *err)
{
    size_t order_size = (to - from) * sizeof(uint32_t);
    struct oto_hot_piece *piece = calloc(1, sizeof *piece);
    uint32_t *order = oto_alloc(&engine->counted_allocator, order_size);
    enum oto_status status = OTO_NO_MEMORY;
    if (piece && order) {
        atomic_store(&piece->refs, 1);
        piece->engine = engine;
        piece->file.fd = -1;
        piece->row_count = to - from;
        for (uint32_t i = from; i < to; i++)
            order[i - from] = i;
        set_times(piece, &batch->columns[oto_table_time_column(table)], from, to);
        status = encode_rows(engine, table, batch, order, to - from, piece, err);
    } else {
        oto_error_set(err, OTO_NO_MEMORY, "no memory to show rows");
    }
    oto_free(&engine->counted_allocator, order, order_size);
    if (status >= 0)
        return piece;
    if (piece && atomic_load(&piece->refs))
        oto_hot_piece_unref(piece);
    else
        free(piece);
    return NULL;
}

static void drop_pieces(struct oto_segment *segment, enum oto_table table)
{
    while (segment->pieces[table]) {
        struct oto_hot_piece *piece = segment->pieces[table];
        segment->pieces[table] = piece->next;
        oto_hot_piece_unref(piece);
    }
    segment->piece_rows[table] = segment->piece_counts[table] = 0;
}

// Brings a segment's pieces of a table up to `rows`. Snapshot lock held.
static enum oto_status extend_pieces(struct oto_engine *engine, struct oto_segment_view *view,
                                     enum oto_table table, struct oto_error *err)
{
    struct oto_segment *segment = view->segment;
    uint32_t from = segment->piece_rows[table], to = view->rows[table];
    if (to <= from)
        return OTO_OK;
    if (segment->piece_counts[table] >= PIECES_MAX)
        from = 0;
    struct oto_hot_piece *piece = piece_new(engine, table, &view->batches[table], from, to, err);
    if (!piece)
        return err ? err->status : OTO_NO_MEMORY;
    if (from == 0)
        drop_pieces(segment, table);
    struct oto_hot_piece **end = &segment->pieces[table];
    while (*end)
        end = &(*end)->next;
    *end = piece;
    segment->piece_rows[table] = to;
    segment->piece_counts[table]++;
    return OTO_OK;
}

// --- views of all segments ---

struct views {
    struct oto_segment_view *items;
    size_t count, capacity;
};

static enum oto_status views_reserve(struct views *views, size_t more, struct oto_error *err)
{
    if (views->count + more <= views->capacity)
        return OTO_OK;
    size_t capacity = 2 * views->capacity + more;
    struct oto_segment_view *grown = realloc(views->items, capacity * sizeof *grown);
    if (!grown)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for a snapshot");
    views->items = grown;
    views->capacity = capacity;
    return OTO_OK;
}

static void views_release(struct views *views)
{
    for (size_t i = 0; i < views->count; i++)
        oto_segment_view_release(&views->items[i]);
    free(views->items);
}

static void ask_shard(struct oto_shard *shard, uint32_t tables)
{
    oto_mutex_lock(&shard->lock);
    shard->view_count = shard->view_done = 0;
    shard->view_tables = tables;
    shard->view_wanted = 1;
    oto_mutex_unlock(&shard->lock);
    oto_shard_wake(shard);
}

static enum oto_status take_answer(struct oto_shard *shard, uint64_t deadline_ns,
                                   struct views *views, struct oto_error *err)
{
    enum oto_status status = OTO_OK;
    oto_mutex_lock(&shard->lock);
    while (shard->view_wanted && atomic_load(&shard->attached) && status >= 0)
        status = oto_condition_wait_until(&shard->changed, &shard->lock, deadline_ns);
    for (int i = 0; i < shard->view_count; i++)
        views->items[views->count++] = shard->views[i];
    if (shard->view_done && shard->view_status < 0)
        status = shard->view_status;
    else if (!shard->view_wanted || !atomic_load(&shard->attached))
        status = OTO_OK;
    shard->view_count = shard->view_wanted = shard->view_done = 0;
    oto_mutex_unlock(&shard->lock);
    return status < 0 ? oto_error_set(err, status, "shard %u shows no rows", shard->index) : OTO_OK;
}

static enum oto_status view_open_segments(struct oto_engine *engine, uint32_t tables,
                                          struct views *views, struct oto_error *err)
{
    enum oto_status status = OTO_OK;
    uint64_t deadline_ns = oto_clock_monotonic_ns() + VIEW_WAIT_NS;
    if (atomic_load(&engine->state) != OTO_ENGINE_READY)
        return OTO_OK; // no rows are taken, so none are open
    OTO_TRY(views_reserve(views, 2 * (size_t)engine->shard_count, err));
    for (uint32_t i = 0; i < engine->shard_count; i++)
        if (atomic_load(&engine->shards[i].attached))
            ask_shard(&engine->shards[i], tables);
    // All that were asked, also after a failure: what they show must be given back.
    for (uint32_t i = 0; i < engine->shard_count; i++) {
        enum oto_status answer = take_answer(&engine->shards[i], deadline_ns, views, err);
        status = status < 0 ? status : answer;
    }
    return status;
}

static int has_view(const struct views *views, const struct oto_segment *segment)
{
    for (size_t i = 0; i < views->count; i++)
        if (views->items[i].segment == segment)
            return 1;
    return 0;
}

// Those that are sealed and wait for the flusher change no more: they can be looked at from here.
static enum oto_status view_sealed_segments(struct oto_engine *engine, uint32_t tables,
                                            struct views *views, struct oto_error *err)
{
    enum oto_status status = OTO_OK;
    oto_mutex_lock(&engine->catalogue_lock);
    for (struct oto_segment *s = engine->queue; s && status >= 0; s = s->next) {
        if (has_view(views, s))
            continue;
        status = views_reserve(views, 1, err);
        if (status >= 0)
            status = oto_segment_view(s, tables, &views->items[views->count]);
        if (status >= 0)
            views->count++;
        else
            oto_error_set(err, status, "no memory for a snapshot");
    }
    oto_mutex_unlock(&engine->catalogue_lock);
    return status;
}

// --- the list ---

struct listed {
    struct oto_snapshot_file *files;
    struct oto_hot_piece **pieces; // by file; NULL for cold ones
    size_t count, capacity;
};

static enum oto_status listed_add(struct listed *list, const struct oto_snapshot_file *file,
                                  struct oto_hot_piece *piece)
{
    if (list->count == list->capacity) {
        size_t capacity = list->capacity ? 2 * list->capacity : 32;
        struct oto_snapshot_file *files = realloc(list->files, capacity * sizeof *files);
        if (files)
            list->files = files;
        struct oto_hot_piece **pieces = realloc(list->pieces, capacity * sizeof(void *));
        if (pieces)
            list->pieces = pieces;
        if (!files || !pieces)
            return OTO_NO_MEMORY;
        list->capacity = capacity;
    }
    if (piece)
        atomic_fetch_add(&piece->refs, 1);
    list->files[list->count] = *file;
    list->pieces[list->count++] = piece;
    return OTO_OK;
}

struct wanted {
    uint32_t tables;
    int64_t from_us, to_us;
};

static int overlaps(const struct wanted *wanted, int64_t min_us, int64_t max_us)
{
    return min_us <= wanted->to_us && max_us >= wanted->from_us;
}

static enum oto_status list_cold(struct oto_engine *engine, const struct wanted *wanted,
                                 enum oto_table table, struct listed *list)
{
    char path[2 * OTO_ENGINE_PATH_MAX];
    for (size_t i = 0; i < engine->tables[table].count; i++) {
        const struct oto_catalogue_file *file = &engine->tables[table].files[i];
        if (!overlaps(wanted, file->time_min_us, file->time_max_us))
            continue;
        snprintf(path, sizeof path, "%s/%s", engine->data_path, file->name);
        struct oto_snapshot_file listed = {
            .table = table,
            .fd = -1,
            .path = strdup(path),
            .time_min_us = file->time_min_us,
            .time_max_us = file->time_max_us,
            .row_count = file->row_count,
        };
        if (!listed.path)
            return OTO_NO_MEMORY;
        if (listed_add(list, &listed, NULL) < 0) {
            free((char *)(uintptr_t)listed.path);
            return OTO_NO_MEMORY;
        }
    }
    return OTO_OK;
}

static enum oto_status list_hot(const struct views *views, const struct wanted *wanted,
                                enum oto_table table, struct listed *list)
{
    for (size_t i = 0; i < views->count; i++) {
        const struct oto_segment *segment = views->items[i].segment;
        if (segment->flushed)
            continue; // since it was looked at: the catalogue has it all
        for (struct oto_hot_piece *piece = segment->pieces[table]; piece; piece = piece->next) {
            struct oto_snapshot_file file = {
                .table = table,
                .hot = 1,
                .fd = piece->file.fd,
                .time_min_us = piece->time_min_us,
                .time_max_us = piece->time_max_us,
                .row_count = piece->row_count,
            };
            if (overlaps(wanted, piece->time_min_us, piece->time_max_us) &&
                listed_add(list, &file, piece) < 0)
                return OTO_NO_MEMORY;
        }
    }
    return OTO_OK;
}

// Hot and cold in one go under the lock of the switch: no row twice, none missing.
static enum oto_status list_all(struct oto_engine *engine, const struct views *views,
                                const struct wanted *wanted, struct listed *list)
{
    enum oto_status status = OTO_OK;
    oto_mutex_lock(&engine->catalogue_lock);
    for (int table = 0; table < OTO_TABLE_COUNT && status >= 0; table++) {
        if (!(wanted->tables & (1u << table)))
            continue;
        status = list_cold(engine, wanted, (enum oto_table)table, list);
        if (status >= 0)
            status = list_hot(views, wanted, (enum oto_table)table, list);
    }
    oto_mutex_unlock(&engine->catalogue_lock);
    return status;
}

static enum oto_status build(struct oto_engine *engine, const struct wanted *wanted,
                             struct views *views, struct listed *list, struct oto_error *err)
{
    OTO_TRY(view_open_segments(engine, wanted->tables, views, err));
    OTO_TRY(view_sealed_segments(engine, wanted->tables, views, err));
    for (size_t i = 0; i < views->count; i++)
        for (int table = 0; table < OTO_TABLE_COUNT; table++)
            OTO_TRY(extend_pieces(engine, &views->items[i], (enum oto_table)table, err));
    if (list_all(engine, views, wanted, list) < 0)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for a snapshot");
    return OTO_OK;
}

static void listed_release(struct listed *list)
{
    for (size_t i = 0; i < list->count; i++) {
        free((char *)(uintptr_t)list->files[i].path);
        oto_hot_piece_unref(list->pieces[i]);
    }
    free(list->files);
    free(list->pieces);
}

enum oto_status oto_engine_snapshot(struct oto_engine *engine, uint32_t tables, int64_t from_us,
                                    int64_t to_us, struct oto_snapshot *ret_snapshot,
                                    struct oto_error *err)
{
    struct oto_error own;
    struct views views = {0};
    struct wanted wanted = {.tables = tables, .from_us = from_us, .to_us = to_us};
    struct listed *list = calloc(1, sizeof *list);
    if (!list)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for a snapshot");
    if (!err)
        err = &own;
    oto_error_init(err);
    oto_mutex_lock(&engine->snapshot_lock);
    enum oto_status status = build(engine, &wanted, &views, list, err);
    views_release(&views);
    oto_mutex_unlock(&engine->snapshot_lock);
    if (status < 0) {
        listed_release(list);
        free(list);
        return oto_error_ensure(err, status, "looking at the rows");
    }
    *ret_snapshot =
        (struct oto_snapshot){.files = list->files, .file_count = list->count, .own = list};
    return OTO_OK;
}

void oto_snapshot_release(struct oto_snapshot *snapshot)
{
    if (!snapshot->own)
        return;
    listed_release(snapshot->own);
    free(snapshot->own);
    *snapshot = (struct oto_snapshot){0};
}
