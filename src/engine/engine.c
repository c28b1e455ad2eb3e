// Open, state, numbers and the end of an engine.
#include "engine/engine_internal.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#define MEMORY_LIMIT_MIN (32u << 20)
#define POOL_LARGE_BUDGET_MIN (128u << 20)
// A waiting body counts three times (its bytes, those for the log, its rows), beside full segments.
#define WAITING_SHARE 16
#define FLUSHER_BUDGET (96u << 20) // a flusher for each so much of the budget, one a shard at most

void oto_engine_options_default(struct oto_engine_options *options)
{
    *options = (struct oto_engine_options){
        .data_path = "otolith-data",
        .shard_count = 1,
        .memory_limit_bytes = 256u << 20,
        .flush_rows = 61440,
        .flush_age_ms = 60000,
        .dedup_window_ms = 600000,
        .version = "0",
    };
    oto_wal_options_default(&options->wal);
    oto_otlp_limits_default(&options->otlp);
}

void oto_engine_log(struct oto_engine *engine, const char *level, const char *format, ...)
{
    char text[OTO_ERROR_MESSAGE_MAX + 128];
    va_list arguments;
    if (!engine->options.log)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    engine->options.log(engine->options.log_state, level, text);
}

void oto_engine_set_state(struct oto_engine *engine, enum oto_engine_state state, const char *text)
{
    oto_mutex_lock(&engine->state_lock);
    // Whoever drains or has failed stays so.
    enum oto_engine_state old = (enum oto_engine_state)atomic_load(&engine->state);
    if (old != OTO_ENGINE_FAILED && (old != OTO_ENGINE_DRAINING || state == OTO_ENGINE_FAILED)) {
        snprintf(engine->state_text, sizeof engine->state_text, "%s", text);
        atomic_store(&engine->state, (int)state);
    }
    oto_mutex_unlock(&engine->state_lock);
}

static int is_disk_blocked(struct oto_engine *engine)
{
    int blocked = atomic_load(&engine->flush_blocked);
    for (uint32_t i = 0; i < engine->shard_count; i++)
        blocked |= atomic_load(&engine->shards[i].disk_blocked);
    return blocked;
}

enum oto_engine_state oto_engine_status(struct oto_engine *engine, char *ret_text, size_t text_size)
{
    oto_mutex_lock(&engine->state_lock);
    enum oto_engine_state state = (enum oto_engine_state)atomic_load(&engine->state);
    if (ret_text && text_size > 0)
        snprintf(ret_text, text_size, "%s", engine->state_text);
    oto_mutex_unlock(&engine->state_lock);
    if (state != OTO_ENGINE_READY || !is_disk_blocked(engine))
        return state;
    oto_mutex_lock(&engine->flush_lock);
    const char *why = engine->flush_error.message;
    if (ret_text && text_size > 0)
        snprintf(ret_text, text_size, "rows cannot be written to disk%s%s", why[0] ? ": " : "",
                 why);
    oto_mutex_unlock(&engine->flush_lock);
    return OTO_ENGINE_DISK_FULL;
}

// --- small files of the data folder ---

enum oto_status oto_engine_write_file(const char *path, struct oto_bytes content,
                                      struct oto_error *err)
{
    char temporary[OTO_ENGINE_PATH_MAX], folder[OTO_ENGINE_PATH_MAX];
    struct oto_file file;
    snprintf(temporary, sizeof temporary, "%s.tmp", path);
    snprintf(folder, sizeof folder, "%s", path);
    *strrchr(folder, '/') = 0;
    OTO_TRY(oto_file_open(&file, temporary, OTO_FILE_WRITE, err));
    enum oto_status status = oto_file_write_at(&file, 0, content.data, content.size, err);
    if (status >= 0)
        status = oto_file_sync(&file, err);
    enum oto_status closed = oto_file_close(&file, status >= 0 ? err : NULL);
    if (status < 0 || closed < 0)
        return status < 0 ? status : closed;
    OTO_TRY(oto_path_rename(temporary, path, err));
    return oto_folder_sync(folder, err);
}

enum oto_status oto_engine_read_file(const char *path, struct oto_buffer *content,
                                     struct oto_error *err)
{
    struct oto_file file;
    uint64_t size;
    size_t got = 0;
    content->size = 0;
    OTO_TRY(oto_file_open(&file, path, OTO_FILE_READ, err));
    enum oto_status status = oto_file_size(&file, &size, err);
    if (status >= 0)
        status = oto_buffer_reserve(content, (size_t)size);
    if (status >= 0)
        status = oto_file_read_at(&file, 0, content->data, (size_t)size, &got, err);
    oto_file_close(&file, NULL);
    if (status < 0)
        return status;
    content->size = got;
    return OTO_OK;
}

void oto_engine_dedup_path(const struct oto_engine *engine, uint32_t shard, char *ret_path)
{
    snprintf(ret_path, OTO_ENGINE_PATH_MAX, "%s/wal/%u/dedup", engine->data_path, shard);
}

uint64_t oto_engine_dedup_now_ns(const struct oto_engine *engine)
{
    return engine->shard_count ? oto_clock_wall_ns() : OTO_DEDUP_KEEP_ALL;
}

// --- memory that is counted ---

static void *counted_alloc(void *state, size_t size)
{
    struct oto_engine *engine = state;
    void *block = oto_alloc(&oto_allocator_heap, size);
    if (block)
        atomic_fetch_add(&engine->memory_bytes, size);
    return block;
}

static void *counted_resize(void *state, void *block, size_t old_size, size_t size)
{
    struct oto_engine *engine = state;
    void *moved = oto_resize(&oto_allocator_heap, block, old_size, size);
    if (moved)
        atomic_fetch_add(&engine->memory_bytes, (uint64_t)size - (uint64_t)(block ? old_size : 0));
    return moved;
}

static void counted_free(void *state, void *block, size_t size)
{
    struct oto_engine *engine = state;
    oto_free(&oto_allocator_heap, block, size);
    atomic_fetch_sub(&engine->memory_bytes, size);
}

static int try_reserve(struct oto_engine *engine, uint64_t bytes)
{
    uint64_t now = atomic_load(&engine->memory_bytes);
    do {
        if (now + bytes > engine->budget_bytes)
            return 0;
    } while (!atomic_compare_exchange_weak(&engine->memory_bytes, &now, now + bytes));
    return 1;
}

// Whoever is refused comes again: until then rows have gone to files.
static void ask_for_relief(struct oto_engine *engine)
{
    atomic_fetch_add(&engine->refused_memory, 1);
    for (uint32_t i = 0; i < engine->shard_count; i++)
        atomic_store(&engine->shards[i].pressed, 1);
}

int oto_engine_reserve(struct oto_engine *engine, uint64_t bytes)
{
    if (try_reserve(engine, bytes))
        return 1;
    oto_page_pool_trim(&engine->pool, 0);
    oto_engine_trim_flushers(engine, 0);
    if (try_reserve(engine, bytes))
        return 1;
    ask_for_relief(engine);
    return 0;
}

uint64_t oto_engine_waiting_bytes_max(const struct oto_engine *engine)
{
    return engine->budget_bytes / WAITING_SHARE / (engine->shard_count ? engine->shard_count : 1);
}

void oto_engine_unreserve(struct oto_engine *engine, uint64_t bytes)
{
    atomic_fetch_sub(&engine->memory_bytes, bytes);
}

static uint64_t clamp(uint64_t value, uint64_t low, uint64_t high)
{
    return value < low ? low : value > high ? high : value;
}

// Divides the memory limit. A shard has one segment open and one on its way to disk, each of
// flush_bytes; three eighths of the budget are left for requests, the log's staging and the
// flusher.
static void size_budgets(struct oto_engine *engine)
{
    struct oto_engine_options *o = &engine->options;
    uint32_t shards = engine->shard_count ? engine->shard_count : 1;
    if (o->memory_limit_bytes < MEMORY_LIMIT_MIN)
        o->memory_limit_bytes = MEMORY_LIMIT_MIN;
    if (o->flush_rows == 0)
        o->flush_rows = 61440;
    engine->budget_bytes = o->memory_limit_bytes - OTO_ENGINE_BASE_BYTES;
    uint64_t share = engine->budget_bytes * 5 / 8 / (2 * (uint64_t)shards);
    if (o->flush_bytes == 0)
        o->flush_bytes = clamp(share, 1u << 20, 512u << 20);
    // Under a tight limit memory matters more than what fresh pages cost.
    int keeps = engine->budget_bytes >= POOL_LARGE_BUDGET_MIN;
    engine->pool.large_bytes_max = keeps ? engine->budget_bytes / 4 : 0;
    engine->flusher_count =
        (uint32_t)clamp(engine->budget_bytes / FLUSHER_BUDGET, 1, OTO_FLUSHERS_MAX);
    if (engine->flusher_count > shards)
        engine->flusher_count = shards;
    for (uint32_t i = 0; i < OTO_FLUSHERS_MAX; i++) {
        struct oto_flush_memory *memory = &engine->flushers[i].memory;
        memory->size_bytes = keeps ? (size_t)engine->budget_bytes / 2 : 0;
        memory->kept_bytes_max = (size_t)engine->budget_bytes / 8 / engine->flusher_count;
    }
    if (o->otlp.row_bytes_max == 0)
        o->otlp.row_bytes_max = engine->budget_bytes / 3;
    uint64_t staged = clamp(engine->budget_bytes / 4, 8u << 20, UINT64_MAX);
    if (o->wal.staged_bytes_max > staged)
        o->wal.staged_bytes_max = staged;
}

// --- opening ---

static enum oto_status copy_options(struct oto_engine *engine,
                                    const struct oto_engine_options *options, struct oto_error *err)
{
    engine->options = *options;
    engine->shard_count = options->shard_count;
    engine->data_path = strdup(options->data_path);
    engine->version = strdup(options->version ? options->version : "0");
    engine->promote = calloc(options->promote_count + 1, sizeof *engine->promote);
    if (!engine->data_path || !engine->version || !engine->promote)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for the engine");
    for (size_t i = 0; i < options->promote_count; i++) {
        engine->promote[i] = strdup(options->promote[i]);
        if (!engine->promote[i])
            return oto_error_set(err, OTO_NO_MEMORY, "no memory for the engine");
    }
    engine->options.data_path = engine->data_path;
    engine->options.version = engine->version;
    engine->options.promote = (const char *const *)engine->promote;
    if (strlen(engine->data_path) > OTO_ENGINE_PATH_MAX - 512)
        return oto_error_set(err, OTO_INVALID, "the data folder's path is too long");
    return OTO_OK;
}

static void init_plain(struct oto_engine *engine)
{
    oto_mutex_init(&engine->state_lock);
    oto_mutex_init(&engine->catalogue_lock);
    oto_mutex_init(&engine->snapshot_lock);
    oto_mutex_init(&engine->flush_lock);
    oto_condition_init(&engine->flush_changed);
    oto_page_pool_init(&engine->pool, &engine->memory_bytes);
    engine->arena_allocator = oto_page_pool_allocator(&engine->pool);
    engine->counted_allocator =
        (struct oto_allocator){counted_alloc, counted_resize, counted_free, engine};
    for (uint32_t i = 0; i < OTO_FLUSHERS_MAX; i++) {
        struct oto_flusher *flusher = &engine->flushers[i];
        flusher->engine = engine;
        oto_flush_memory_init(&flusher->memory, &engine->counted_allocator, &engine->memory_bytes);
        flusher->allocator = oto_flush_memory_allocator(&flusher->memory);
    }
    engine->lock_file.fd = -1;
    engine->queue_end = &engine->queue;
    for (int i = 0; i < OTO_TABLE_COUNT; i++)
        engine->empty_files[i].fd = -1;
    oto_random(&engine->hash_seed, sizeof engine->hash_seed);
    oto_error_init(&engine->flush_error);
    atomic_store(&engine->state, OTO_ENGINE_RECOVERING);
    snprintf(engine->state_text, sizeof engine->state_text, "recovering");
}

static enum oto_status make_shards(struct oto_engine *engine, struct oto_error *err)
{
    engine->shards = calloc((size_t)engine->shard_count + 1, sizeof *engine->shards);
    if (!engine->shards)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for shards");
    for (uint32_t i = 0; i < engine->shard_count; i++)
        oto_shard_init(&engine->shards[i], engine, i);
    return OTO_OK;
}

static enum oto_status make_dedup(struct oto_engine *engine, struct oto_error *err)
{
    uint64_t capacity =
        clamp(engine->options.memory_limit_bytes / 1024, 1024, OTO_DEDUP_CAPACITY_MAX);
    if (engine->shard_count == 0)
        capacity = OTO_DEDUP_CAPACITY_MAX; // the server's, whatever memory that has
    if (engine->options.dedup_window_ms == 0)
        return OTO_OK;
    engine->dedup = oto_dedup_new((uint32_t)capacity, engine->options.dedup_window_ms * 1000000ull);
    if (!engine->dedup)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to remember requests");
    atomic_fetch_add(&engine->memory_bytes, oto_dedup_memory_bytes(engine->dedup));
    return OTO_OK;
}

static enum oto_status write_empty_files(struct oto_engine *engine, struct oto_error *err);

// Their names are made safe also when they are there: whoever made them may have been killed before
// he could.
static enum oto_status make_folders(struct oto_engine *engine, struct oto_error *err)
{
    char path[OTO_ENGINE_PATH_MAX];
    snprintf(path, sizeof path, "%s/wal", engine->data_path);
    OTO_TRY(oto_folder_create(path, err));
    OTO_TRY(oto_parent_sync(path, err));
    enum oto_status status = oto_parent_sync(engine->data_path, err);
    return status == OTO_DENIED ? OTO_OK : status; // that one is not ours and may be closed to us
}

static enum oto_status open_all(struct oto_engine *engine, struct oto_error *err)
{
    OTO_TRY(make_folders(engine, err));
    OTO_TRY(oto_engine_lock_folder(engine, err));
    OTO_TRY(oto_engine_load_promotions(engine, err));
    OTO_TRY(oto_store_open_disk(engine->data_path, &engine->store, err));
    OTO_TRY(make_dedup(engine, err));
    int complete = 1;
    for (uint32_t i = 0; i < engine->flusher_count; i++) {
        engine->flushers[i].codec = oto_codec_new(&engine->counted_allocator);
        complete &= engine->flushers[i].codec != NULL;
    }
    engine->snapshot_codec = oto_codec_new(&engine->counted_allocator);
    if (!complete || !engine->snapshot_codec)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for compression");
    OTO_TRY(make_shards(engine, err));
    return write_empty_files(engine, err);
}

enum oto_status oto_engine_open(const struct oto_engine_options *options,
                                struct oto_engine **ret_engine, struct oto_error *err)
{
    struct oto_error own;
    struct oto_engine *engine = calloc(1, sizeof *engine);
    if (!engine)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for the engine");
    if (!err)
        err = &own;
    oto_error_init(err);
    init_plain(engine);
    enum oto_status status = copy_options(engine, options, err);
    if (status >= 0) {
        size_budgets(engine);
        status = open_all(engine, err);
    }
    if (status < 0) {
        oto_engine_close(engine);
        return oto_error_ensure(err, status, "opening the data folder");
    }
    *ret_engine = engine;
    return OTO_OK;
}

void oto_engine_cancel_recovery(struct oto_engine *engine)
{
    oto_mutex_lock(&engine->flush_lock);
    atomic_store(&engine->recovery_cancelled, 1);
    oto_condition_broadcast(&engine->flush_changed);
    oto_mutex_unlock(&engine->flush_lock);
}

// --- files without rows ---

struct file_sink {
    struct oto_file *file;
    uint64_t offset;
};

static enum oto_status write_to_file(void *state, const void *data, size_t size,
                                     struct oto_error *err)
{
    struct file_sink *sink = state;
    OTO_TRY(oto_file_write_at(sink->file, sink->offset, data, size, err));
    sink->offset += size;
    return OTO_OK;
}

static enum oto_status write_empty_file(struct oto_engine *engine, enum oto_table table,
                                        struct oto_segment *empty, struct oto_error *err)
{
    struct file_sink file = {.file = &engine->empty_files[table]};
    struct oto_sink sink = {.write = write_to_file, .state = &file};
    struct oto_parquet_result result;
    struct oto_batch batch;
    OTO_TRY(oto_file_open_memory(file.file, "otolith-empty", err));
    OTO_TRY(oto_builder_view(&empty->builders[table], &oto_allocator_heap, &batch));
    enum oto_status status = oto_engine_encode(engine, table, &batch, NULL, 0, 0,
                                               engine->snapshot_codec, &sink, &result, err);
    oto_batch_release(&batch);
    return status;
}

static int has_column_of(const struct oto_schema *schema, const char *attribute)
{
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (schema->fields[i]->attribute && strcmp(schema->fields[i]->attribute, attribute) == 0)
            return 1;
    return 0;
}

// Older files may have columns that no query can name, since a table's own has the name.
static void note_left_out(struct oto_engine *engine, const struct oto_schemas *all)
{
    for (size_t i = 0; i < engine->known_promotion_count; i++) {
        const char *attribute = engine->promotions[i].attribute;
        char tables[160] = "";
        for (int t = 0; t < OTO_TABLE_COUNT; t++) {
            size_t size = strlen(tables);
            if (!has_column_of(oto_schemas_table(all, (enum oto_table)t), attribute))
                snprintf(tables + size, sizeof tables - size, "%s%s", size ? ", " : "",
                         oto_table_folder((enum oto_table)t));
        }
        engine->reuses_names |= tables[0] != 0;
        if (tables[0])
            oto_engine_log(engine, "warn",
                           "promote: attribute %s has no column in queries of %s: one of another "
                           "has that name, and SQL knows no case",
                           attribute, tables);
    }
}

// With the columns of attributes that were promoted once, too: older files have them.
static enum oto_status write_empty_files(struct oto_engine *engine, struct oto_error *err)
{
    struct oto_schemas *todays = engine->schemas;
    struct oto_schemas *all = oto_schemas_new_known(&oto_allocator_heap, engine->promotions,
                                                    engine->known_promotion_count, err);
    if (!all)
        return err->status;
    note_left_out(engine, all);
    engine->schemas = all;
    struct oto_segment *empty = oto_segment_new(engine, 0, 1);
    enum oto_status status =
        empty ? OTO_OK : oto_error_set(err, OTO_NO_MEMORY, "no memory for a segment");
    for (int table = 0; table < OTO_TABLE_COUNT && status >= 0; table++)
        status = write_empty_file(engine, (enum oto_table)table, empty, err);
    oto_segment_unref(empty);
    engine->schemas = todays;
    oto_schemas_free(all);
    return status;
}

int oto_engine_empty_file(struct oto_engine *engine, enum oto_table table)
{
    return engine->empty_files[table].fd;
}

int oto_engine_reuses_names(const struct oto_engine *engine)
{
    return engine->reuses_names;
}

// --- the end ---

// What a shard's thread would do, now that it is gone: the last commits, then everything into the
// flusher's hands.
static enum oto_status drain_shard(struct oto_shard *shard, struct oto_error *err)
{
    while (shard->pending || shard->closing || shard->open) {
        oto_shard_poll(shard);
        if (!shard->pending && shard->open && !oto_segment_has_rows(shard->open)) {
            oto_segment_unref(shard->open);
            shard->open = NULL;
        }
        if (shard->open && oto_shard_seal(shard))
            continue;
        if (atomic_load(&shard->sealed)) {
            OTO_TRY(oto_engine_wait_flushed(shard->engine, err));
            continue;
        }
        if (!shard->pending)
            continue;
        oto_mutex_lock(&shard->lock);
        uint64_t soon_ns = oto_clock_monotonic_ns() + 50000000;
        if (shard->inbox_seq <= shard->committed_seq && !shard->inbox_failed)
            oto_condition_wait_until(&shard->changed, &shard->lock, soon_ns);
        oto_mutex_unlock(&shard->lock);
    }
    return OTO_OK;
}

void oto_engine_detach(struct oto_engine *engine)
{
    for (uint32_t i = 0; i < engine->shard_count; i++)
        oto_shard_detach(&engine->shards[i]);
}

enum oto_status oto_engine_drain(struct oto_engine *engine, struct oto_error *err)
{
    enum oto_engine_state state = (enum oto_engine_state)atomic_load(&engine->state);
    if (state != OTO_ENGINE_READY)
        return oto_error_set(err, OTO_UNAVAILABLE, "the engine is not ready: nothing to drain");
    oto_engine_set_state(engine, OTO_ENGINE_DRAINING, "draining");
    enum oto_status status = OTO_OK;
    oto_engine_detach(engine);
    for (uint32_t i = 0; i < engine->shard_count && status >= 0; i++)
        status = drain_shard(&engine->shards[i], err);
    for (uint32_t i = 0; i < engine->shard_count; i++)
        oto_shard_poll(&engine->shards[i]); // repeats of another shard's requests
    if (status >= 0)
        status = oto_engine_wait_flushed(engine, err);
    return status;
}

static void close_shards(struct oto_engine *engine)
{
    if (!engine->shards)
        return;
    for (uint32_t i = 0; i < engine->shard_count; i++) {
        struct oto_error err;
        oto_error_init(&err);
        enum oto_status status = oto_wal_close(engine->shards[i].wal, &err);
        if (oto_error_ensure(&err, status, "not synced") < 0)
            oto_engine_log(engine, "error", "closing the log: %s", err.message);
        oto_shard_release(&engine->shards[i]);
    }
    free(engine->shards);
}

static void release_rows(struct oto_engine *engine)
{
    for (struct oto_segment *segment = engine->queue, *next; segment; segment = next) {
        next = segment->next;
        oto_segment_unref(segment);
    }
    for (uint32_t i = 0; i < engine->flusher_count; i++)
        oto_segment_unref(engine->flushers[i].finishing);
    for (int i = 0; i < OTO_TABLE_COUNT; i++) {
        oto_catalogue_release(&engine->tables[i]);
        oto_file_close(&engine->empty_files[i], NULL);
    }
}

void oto_engine_close(struct oto_engine *engine)
{
    if (!engine)
        return;
    oto_engine_stop_flushers(engine);
    close_shards(engine);
    release_rows(engine);
    for (uint32_t i = 0; i < engine->flusher_count; i++)
        oto_codec_free(engine->flushers[i].codec);
    oto_codec_free(engine->snapshot_codec);
    oto_dedup_free(engine->dedup);
    if (engine->store)
        engine->store->operations->close(engine->store);
    oto_schemas_free(engine->schemas);
    oto_file_close(&engine->lock_file, NULL);
    oto_page_pool_release(&engine->pool);
    for (uint32_t i = 0; i < OTO_FLUSHERS_MAX; i++)
        oto_flush_memory_release(&engine->flushers[i].memory);
    for (size_t i = 0; engine->promote && i < engine->options.promote_count; i++)
        free(engine->promote[i]);
    free(engine->promote);
    for (size_t i = 0; i < engine->known_promotion_count; i++)
        free((char *)(uintptr_t)engine->promotions[i].attribute);
    free(engine->promotions);
    free(engine->data_path);
    free(engine->version);
    oto_condition_release(&engine->flush_changed);
    oto_mutex_release(&engine->flush_lock);
    oto_mutex_release(&engine->snapshot_lock);
    oto_mutex_release(&engine->catalogue_lock);
    oto_mutex_release(&engine->state_lock);
    free(engine);
}

// --- numbers ---

static void add_shard_stats(struct oto_shard *shard, struct oto_engine_stats *stats)
{
    struct oto_shard_counters *c = &shard->counters;
    struct oto_wal_stats wal = {0};
    for (int i = 0; i < OTO_SIGNAL_COUNT; i++) {
        stats->received[i] += atomic_load(&c->received[i]);
        stats->stored[i] += atomic_load(&c->stored[i]);
        stats->rejected[i] += atomic_load(&c->rejected[i]);
        stats->deduplicated[i] += atomic_load(&c->deduplicated[i]);
        stats->failed[i] += atomic_load(&c->failed[i]);
        stats->utf8_repaired[i] += atomic_load(&c->utf8_repaired[i]);
        stats->requests[i] += atomic_load(&c->requests[i]);
        stats->request_bytes[i] += atomic_load(&c->request_bytes[i]);
    }
    stats->refused_memory += atomic_load(&c->refused);
    oto_wal_stats(shard->wal, &wal);
    stats->wal.appended_records += wal.appended_records;
    stats->wal.appended_bytes += wal.appended_bytes;
    stats->wal.syncs += wal.syncs;
    stats->wal.sync_ns += wal.sync_ns;
    stats->wal.failures += wal.failures;
    stats->wal.segments += wal.segments;
    stats->wal.disk_bytes += wal.disk_bytes;
    stats->wal.durable_seq += wal.durable_seq;
}

void oto_engine_stats(struct oto_engine *engine, struct oto_engine_stats *ret_stats)
{
    struct oto_engine_stats stats = {0};
    // Before READY the logs belong to the recovering thread.
    int state = atomic_load(&engine->state);
    if (state == OTO_ENGINE_READY || state == OTO_ENGINE_DRAINING)
        for (uint32_t i = 0; i < engine->shard_count; i++)
            add_shard_stats(&engine->shards[i], &stats);
    oto_mutex_lock(&engine->catalogue_lock);
    for (int i = 0; i < OTO_TABLE_COUNT; i++) {
        stats.files[i] = engine->tables[i].count;
        stats.file_bytes[i] = engine->tables[i].size_bytes;
        stats.rows_hot[i] = atomic_load(&engine->rows_hot[i]);
        stats.rows_flushed[i] = atomic_load(&engine->rows_flushed[i]);
    }
    oto_mutex_unlock(&engine->catalogue_lock);
    stats.refused_memory += atomic_load(&engine->refused_memory);
    stats.flushes = atomic_load(&engine->flushes);
    stats.flush_failures = atomic_load(&engine->flush_failures);
    stats.flush_ns = atomic_load(&engine->flush_ns);
    stats.memory_bytes = atomic_load(&engine->memory_bytes);
    stats.memory_limit_bytes = engine->options.memory_limit_bytes;
    stats.recovered_records = atomic_load(&engine->recovered_records);
    stats.recovered_torn_bytes = atomic_load(&engine->recovered_torn_bytes);
    stats.recovered_corrupt_segments = atomic_load(&engine->recovered_corrupt_segments);
    *ret_stats = stats;
}
