// From sealed rows to files. The order of the steps is what makes a crash at any point lose and
// double nothing:
//   1. the log's cut mark says which records the files will hold;
//   2. the files are written, each atomically, under names that follow from rows and records alone;
//   3. the catalogue takes the files and lets go of the rows in one step, so that a query sees each
//   row once;
//   4. hashes of the requests and the log's flushed mark are saved: from here on the records are
//   not needed;
//   5. the log is trimmed.
// A crash before 4 does the same again from the log under the same names.
#include "engine/begun_flush.h"
#include "engine/flush_note.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RETRY_NS 1000000000u
#define FLUSHER_NICE 5

// Files written but not yet in the catalogue.
struct new_files {
    struct oto_catalogue_file *files;
    enum oto_table *tables;
    size_t count, capacity;
};

static void new_files_release(struct new_files *files)
{
    for (size_t i = 0; i < files->count; i++)
        free(files->files[i].name);
    free(files->files);
    free(files->tables);
}

static enum oto_status note_file(struct new_files *files, enum oto_table table,
                                 const struct oto_catalogue_file *file)
{
    if (files->count == files->capacity) {
        size_t capacity = files->capacity ? 2 * files->capacity : 8;
        struct oto_catalogue_file *grown = realloc(files->files, capacity * sizeof *grown);
        if (grown)
            files->files = grown;
        enum oto_table *tables = realloc(files->tables, capacity * sizeof *tables);
        if (tables)
            files->tables = tables;
        if (!grown || !tables)
            return OTO_NO_MEMORY;
        files->capacity = capacity;
    }
    files->files[files->count] = *file;
    files->tables[files->count++] = table;
    return OTO_OK;
}

static void flush_note(const struct oto_segment *segment, char text[OTO_FLUSH_NOTE_MAX])
{
    struct oto_flush_note note = {
        .shard = segment->shard, .first_seq = segment->first_seq, .last_seq = segment->last_seq};
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        note.rows[t] = segment->committed_rows[t];
    oto_flush_note_print(&note, text);
}

static enum oto_status encode(struct oto_engine *engine, enum oto_table table,
                              const struct oto_batch *batch, const uint32_t *order, uint32_t count,
                              int cold, const struct oto_segment *segment, struct oto_codec *codec,
                              const struct oto_sink *sink, struct oto_parquet_result *ret_result,
                              struct oto_error *err)
{
    struct oto_parquet_options options;
    char text[OTO_FLUSH_NOTE_MAX];
    struct oto_parquet_note note = {OTO_FLUSH_NOTE_KEY, text};
    char created_by[128];
    snprintf(created_by, sizeof created_by, "otolith version %s", engine->version);
    oto_parquet_options_default(&options);
    options.compression = cold ? OTO_COMPRESSION_ZSTD : OTO_COMPRESSION_NONE;
    options.page_index = options.bloom = cold;
    options.created_by = created_by;
    if (cold)
        options.sorted_by_count = oto_table_sorted_by(table, &options.sorted_by);
    if (segment) {
        flush_note(segment, text);
        options.notes = &note;
        options.note_count = 1;
    }
    const struct oto_allocator *memory =
        segment ? &oto_engine_flusher(engine, segment->shard)->allocator
                : &engine->counted_allocator;
    return oto_parquet_write(batch, order, count, &options, codec, memory, sink, ret_result, err);
}

enum oto_status oto_engine_encode(struct oto_engine *engine, enum oto_table table,
                                  const struct oto_batch *batch, const uint32_t *order,
                                  uint32_t count, int cold, struct oto_codec *codec,
                                  const struct oto_sink *sink,
                                  struct oto_parquet_result *ret_result, struct oto_error *err)
{
    return encode(engine, table, batch, order, count, cold, NULL, codec, sink, ret_result, err);
}

struct upload_sink {
    const struct oto_store_operations *store;
    struct oto_store_upload *upload;
};

static enum oto_status write_to_upload(void *state, const void *data, size_t size,
                                       struct oto_error *err)
{
    struct upload_sink *sink = state;
    return sink->store->write(sink->upload, data, size, err);
}

static enum oto_status write_file(struct oto_engine *engine, enum oto_table table,
                                  const struct oto_segment *segment, const struct oto_batch *batch,
                                  const uint32_t *order, const struct oto_partition *partition,
                                  struct new_files *files, struct oto_error *err)
{
    char name[OTO_ENGINE_PATH_MAX];
    struct upload_sink upload = {.store = engine->store->operations};
    struct oto_sink sink = {.write = write_to_upload, .state = &upload};
    struct oto_parquet_result result;
    oto_catalogue_name(table, partition, segment->shard, segment->first_seq, segment->last_seq,
                       name, sizeof name);
    if (segment->begun && oto_begun_flush_has(segment->begun, name))
        return OTO_OK;
    OTO_TRY(upload.store->begin(engine->store, name, &upload.upload, err));
    enum oto_status status =
        encode(engine, table, batch, order + partition->first, partition->count, 1, segment,
               oto_engine_flusher(engine, segment->shard)->codec, &sink, &result, err);
    if (status < 0) {
        upload.store->drop(upload.upload);
        return status;
    }
    OTO_TRY(upload.store->publish(upload.upload, 1, err));
    struct oto_catalogue_file file = {
        .name = strdup(name),
        .size_bytes = result.file_size_bytes,
        .row_count = result.row_count,
        .time_min_us = partition->time_min_us,
        .time_max_us = partition->time_max_us,
        .shard = segment->shard,
        .first_seq = segment->first_seq,
        .last_seq = segment->last_seq,
    };
    if (!file.name || note_file(files, table, &file) < 0) {
        free(file.name);
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to note a file");
    }
    oto_engine_hook(engine, OTO_FLUSH_FILE_WRITTEN);
    return OTO_OK;
}

static enum oto_status write_table(struct oto_engine *engine, enum oto_table table,
                                   struct oto_segment *segment, struct new_files *files,
                                   struct oto_error *err)
{
    struct oto_partition partitions[OTO_ENGINE_PARTITIONS_MAX];
    const struct oto_allocator *memory = &oto_engine_flusher(engine, segment->shard)->allocator;
    uint32_t count = segment->committed_rows[table], partition_count = 0;
    struct oto_batch batch;
    if (count == 0)
        return OTO_OK;
    if (oto_builder_view(&segment->builders[table], memory, &batch) < 0)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to flush %s", oto_table_folder(table));
    assert(batch.row_count == count);
    size_t order_size = count * sizeof(uint32_t);
    uint32_t *order = oto_alloc(memory, order_size);
    enum oto_status status =
        order ? oto_table_order(table, &batch, 0, count, memory, order, partitions,
                                OTO_ENGINE_PARTITIONS_MAX, &partition_count, err)
              : oto_error_set(err, OTO_NO_MEMORY, "no memory to sort %s", oto_table_folder(table));
    for (uint32_t i = 0; i < partition_count && status >= 0; i++)
        status = write_file(engine, table, segment, &batch, order, &partitions[i], files, err);
    oto_free(memory, order, order_size);
    oto_batch_release(&batch);
    return status;
}

// Takes a segment off the flush queue. Catalogue lock held.
static void unqueue(struct oto_engine *engine, struct oto_segment *segment)
{
    struct oto_segment **link = &engine->queue;
    while (*link && *link != segment)
        link = &(*link)->next;
    if (!*link)
        return;
    *link = segment->next;
    if (!*link)
        engine->queue_end = link;
    segment->next = NULL;
}

// The one moment at which rows change from hot to cold.
static enum oto_status switch_over(struct oto_engine *engine, struct oto_segment *segment,
                                   struct new_files *files, struct oto_error *err)
{
    enum oto_status status = OTO_OK;
    oto_mutex_lock(&engine->catalogue_lock);
    // All or none: a file in the list and its rows in memory would be seen twice.
    for (size_t i = 0; i < files->count && status >= 0; i++)
        status = oto_catalogue_reserve(&engine->tables[files->tables[i]], files->count);
    for (size_t i = 0; i < files->count && status >= 0; i++) {
        status = oto_catalogue_add(&engine->tables[files->tables[i]], &files->files[i]);
        files->files[i].name = NULL;
    }
    if (status >= 0) {
        segment->flushed = 1;
        unqueue(engine, segment);
    }
    oto_mutex_unlock(&engine->catalogue_lock);
    if (status < 0)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for the list of files");
    for (int i = 0; i < OTO_TABLE_COUNT; i++)
        atomic_fetch_add(&engine->rows_flushed[i], segment->committed_rows[i]);
    return OTO_OK;
}

static enum oto_status write_files(struct oto_engine *engine, struct oto_segment *segment,
                                   struct oto_error *err)
{
    struct new_files files = {0};
    enum oto_status status = OTO_OK;
    for (int table = 0; table < OTO_TABLE_COUNT && status >= 0; table++)
        status = write_table(engine, (enum oto_table)table, segment, &files, err);
    if (status >= 0) {
        oto_engine_hook(engine, OTO_FLUSH_FILES_WRITTEN);
        status = switch_over(engine, segment, &files, err);
    }
    new_files_release(&files);
    return status;
}

enum oto_status oto_engine_save_dedup(struct oto_engine *engine, uint32_t shard, uint64_t last_seq,
                                      struct oto_error *err)
{
    char path[OTO_ENGINE_PATH_MAX];
    struct oto_buffer bytes;
    if (!engine->dedup)
        return OTO_OK;
    oto_engine_dedup_path(engine, shard, path);
    oto_buffer_init(&bytes, &engine->counted_allocator, SIZE_MAX / 2);
    enum oto_status status =
        oto_dedup_encode(engine->dedup, shard, last_seq, oto_engine_dedup_now_ns(engine), &bytes);
    if (status >= 0)
        status = oto_engine_write_file(path, oto_buffer_view(&bytes), err);
    else
        oto_error_set(err, status, "no memory to save the hashes of requests");
    oto_buffer_release(&bytes);
    return status;
}

enum oto_status oto_engine_flush_segment(struct oto_engine *engine, struct oto_wal *wal,
                                         struct oto_segment *segment, struct oto_error *err)
{
    uint64_t begun_ns = oto_clock_monotonic_ns();
    if (!segment->flushed) {
        oto_engine_hook(engine, OTO_FLUSH_BEGUN);
        OTO_TRY(oto_wal_checkpoint(wal, segment->first_seq - 1, segment->last_seq, err));
        oto_engine_hook(engine, OTO_FLUSH_CUT_MARKED);
        OTO_TRY(write_files(engine, segment, err));
        oto_engine_hook(engine, OTO_FLUSH_SWITCHED);
    }
    if (segment->begun)
        OTO_TRY(oto_begun_flush_finish(segment->begun, err));
    OTO_TRY(oto_engine_save_dedup(engine, segment->shard, segment->last_seq, err));
    oto_engine_hook(engine, OTO_FLUSH_DEDUP_SAVED);
    OTO_TRY(oto_wal_checkpoint(wal, segment->last_seq, segment->last_seq, err));
    oto_engine_hook(engine, OTO_FLUSH_MARKED);
    atomic_fetch_add(&engine->flushes, 1);
    atomic_fetch_add(&engine->flush_ns, oto_clock_monotonic_ns() - begun_ns);
    return OTO_OK;
}

// --- the flusher threads ---

void oto_engine_queue_flush(struct oto_engine *engine, struct oto_segment *segment)
{
    oto_mutex_lock(&engine->catalogue_lock);
    segment->next = NULL;
    *engine->queue_end = segment;
    engine->queue_end = &segment->next;
    oto_mutex_unlock(&engine->catalogue_lock);
    oto_mutex_lock(&engine->flush_lock);
    oto_engine_flusher(engine, segment->shard)->work++;
    engine->flush_work++;
    oto_condition_broadcast(&engine->flush_changed);
    oto_mutex_unlock(&engine->flush_lock);
}

struct oto_flusher *oto_engine_flusher(struct oto_engine *engine, uint32_t shard)
{
    return &engine->flushers[shard % engine->flusher_count];
}

void oto_engine_trim_flushers(struct oto_engine *engine, uint64_t idle_ns)
{
    for (uint32_t i = 0; i < engine->flusher_count; i++)
        oto_flush_memory_trim(&engine->flushers[i].memory, idle_ns);
}

// The oldest that is the flusher's.
static struct oto_segment *next_segment(struct oto_flusher *flusher)
{
    struct oto_engine *engine = flusher->engine;
    if (flusher->finishing)
        return flusher->finishing;
    oto_mutex_lock(&engine->catalogue_lock);
    struct oto_segment *segment = engine->queue;
    while (oto_engine_flusher(engine, segment->shard) != flusher)
        segment = segment->next;
    oto_mutex_unlock(&engine->catalogue_lock);
    return segment;
}

static void note_failure(struct oto_engine *engine, const struct oto_error *err)
{
    oto_mutex_lock(&engine->flush_lock);
    int first = !atomic_load(&engine->flush_blocked);
    engine->flush_error = *err;
    atomic_store(&engine->flush_blocked, 1);
    oto_condition_broadcast(&engine->flush_changed);
    oto_mutex_unlock(&engine->flush_lock);
    atomic_fetch_add(&engine->flush_failures, 1);
    if (first)
        oto_engine_log(engine, "error", "flush failed, rows stay in memory and in the log: %s",
                       err->message);
}

static void note_success(struct oto_engine *engine)
{
    if (atomic_exchange(&engine->flush_blocked, 0))
        oto_engine_log(engine, "info", "flushes work again");
}

static void trim(struct oto_engine *engine, struct oto_wal *wal)
{
    struct oto_error err;
    oto_error_init(&err);
    if (oto_error_ensure(&err, oto_wal_trim(wal, &err), "old segments stay") < 0)
        oto_engine_log(engine, "warn", "trimming the log: %s", err.message);
    oto_engine_hook(engine, OTO_FLUSH_TRIMMED);
}

// One try at the oldest segment.
static enum oto_status flush_one(struct oto_flusher *flusher, struct oto_segment *segment,
                                 struct oto_error *err)
{
    struct oto_engine *engine = flusher->engine;
    struct oto_shard *shard = &engine->shards[segment->shard];
    enum oto_status status = oto_engine_flush_segment(engine, shard->wal, segment, err);
    if (segment->flushed)
        flusher->finishing = segment;
    if (status < 0) {
        note_failure(engine, err);
        return status;
    }
    flusher->finishing = NULL;
    note_success(engine);
    for (int i = 0; i < OTO_TABLE_COUNT; i++)
        atomic_fetch_sub(&engine->rows_hot[i], segment->committed_rows[i]);
    trim(engine, shard->wal);
    atomic_fetch_sub(&shard->sealed_bytes, segment->counted_bytes);
    oto_segment_unref(segment);
    atomic_fetch_sub(&shard->sealed, 1);
    oto_shard_wake(shard);
    return OTO_OK;
}

static void *flusher_run(void *state)
{
    struct oto_flusher *flusher = state;
    struct oto_engine *engine = flusher->engine;
    // Whoever waits for an answer goes first; how far rows may run ahead of files is limited.
    oto_thread_be_nice(FLUSHER_NICE);
    oto_mutex_lock(&engine->flush_lock);
    while (!atomic_load(&engine->stopping)) {
        if (flusher->work == 0) {
            oto_condition_wait(&engine->flush_changed, &engine->flush_lock);
            continue;
        }
        oto_mutex_unlock(&engine->flush_lock);
        struct oto_error err;
        oto_error_init(&err);
        enum oto_status status = flush_one(flusher, next_segment(flusher), &err);
        oto_mutex_lock(&engine->flush_lock);
        if (status >= 0) {
            flusher->work--;
            engine->flush_work--;
        }
        oto_condition_broadcast(&engine->flush_changed);
        uint64_t again_ns = oto_clock_monotonic_ns() + RETRY_NS;
        while (status < 0 && !atomic_load(&engine->stopping) && oto_clock_monotonic_ns() < again_ns)
            oto_condition_wait_until(&engine->flush_changed, &engine->flush_lock, again_ns);
    }
    oto_mutex_unlock(&engine->flush_lock);
    return NULL;
}

enum oto_status oto_engine_start_flushers(struct oto_engine *engine, struct oto_error *err)
{
    for (uint32_t i = 0; i < engine->flusher_count; i++) {
        struct oto_flusher *flusher = &engine->flushers[i];
        OTO_TRY(oto_thread_start(&flusher->thread, "oto-flush", flusher_run, flusher, err));
    }
    return OTO_OK;
}

void oto_engine_stop_flushers(struct oto_engine *engine)
{
    oto_mutex_lock(&engine->flush_lock);
    atomic_store(&engine->stopping, 1);
    oto_condition_broadcast(&engine->flush_changed);
    oto_mutex_unlock(&engine->flush_lock);
    for (uint32_t i = 0; i < engine->flusher_count; i++)
        oto_thread_join(&engine->flushers[i].thread);
}

enum oto_status oto_engine_wait_flushed(struct oto_engine *engine, struct oto_error *err)
{
    enum oto_status status = OTO_OK;
    oto_mutex_lock(&engine->flush_lock);
    uint64_t failures = atomic_load(&engine->flush_failures);
    while (engine->flush_work > 0 && atomic_load(&engine->flush_failures) == failures)
        oto_condition_wait(&engine->flush_changed, &engine->flush_lock);
    if (engine->flush_work > 0) {
        status = engine->flush_error.status;
        if (err)
            *err = engine->flush_error;
    }
    oto_mutex_unlock(&engine->flush_lock);
    return status;
}
