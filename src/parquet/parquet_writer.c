#include "parquet/parquet_internal.h"

// Buffers stay below what Parquet's i32 sizes can say.
#define BUFFER_BYTES_MAX INT32_MAX
#define SCRATCH_KEPT_BYTES ((size_t)128 << 10)

void oto_parquet_options_default(struct oto_parquet_options *options)
{
    *options = (struct oto_parquet_options){
        .compression = OTO_COMPRESSION_ZSTD,
        .compression_level = 1,
        .row_group_rows = 122880,
        .row_group_values = 1u << 26,
        .page_rows = 20480,
        .page_bytes = 1u << 20,
        .dictionary_bytes_max = 16u << 20,
        .page_index = 1,
        .bloom = 1,
        .crc = 1,
        .created_by = "otolith version 0.1.0",
    };
}

enum oto_status oto_parquet_sink_write(struct oto_parquet_file *file, const void *data, size_t size)
{
    if (!size)
        return OTO_OK;
    OTO_TRY(file->sink->write(file->sink->state, data, size, file->err));
    file->offset += size;
    return OTO_OK;
}

static struct oto_buffer *scratch_buffer(struct oto_parquet_file *file, size_t i)
{
    return (struct oto_buffer *)(void *)&file->scratch + i;
}

// All but the scratch.
#define OWN_COUNT 10

static void own_buffers(struct oto_parquet_file *file, struct oto_buffer *own[OWN_COUNT])
{
    struct oto_buffer *all[OWN_COUNT] = {
        &file->leaves,
        &file->chunks,
        &file->groups,
        &file->blooms,
        &file->column_indexes,
        &file->offset_indexes,
        &file->level_pages[0].pages,
        &file->level_pages[0].bytes,
        &file->level_pages[1].pages,
        &file->level_pages[1].bytes,
    };
    memcpy(own, all, sizeof all);
}

static void file_init(struct oto_parquet_file *file)
{
    struct oto_buffer *own[OWN_COUNT];
    own_buffers(file, own);
    for (size_t i = 0; i < OWN_COUNT; i++)
        oto_buffer_init(own[i], file->allocator, BUFFER_BYTES_MAX);
    for (size_t i = 0; i < OTO_PARQUET_SCRATCH_COUNT; i++)
        oto_buffer_init(scratch_buffer(file, i), file->allocator, BUFFER_BYTES_MAX);
}

static void file_release(struct oto_parquet_file *file)
{
    struct oto_buffer *own[OWN_COUNT];
    own_buffers(file, own);
    oto_parquet_group_release(file);
    for (size_t i = 0; i < OWN_COUNT; i++)
        oto_buffer_release(own[i]);
    for (size_t i = 0; i < OTO_PARQUET_SCRATCH_COUNT; i++)
        oto_buffer_release(scratch_buffer(file, i));
}

// What is large in the scratch goes back after each chunk: the largest needs are different buffers'
// in different columns, and memory is to be that of the largest column, not their sum.
static void release_large_scratch(struct oto_parquet_file *file)
{
    for (size_t i = 0; i < OTO_PARQUET_SCRATCH_COUNT; i++)
        if (scratch_buffer(file, i)->capacity >= SCRATCH_KEPT_BYTES)
            oto_buffer_release(scratch_buffer(file, i));
}

// A row group's bloom filters follow it, so that memory does not grow with their number.
static enum oto_status write_blooms(struct oto_parquet_file *file, struct oto_parquet_chunk *chunks)
{
    for (uint32_t i = 0; i < file->leaf_count; i++)
        if (chunks[i].bloom_size)
            chunks[i].bloom_at += file->offset;
    OTO_TRY(oto_parquet_unpaged_write(file, oto_buffer_view(&file->blooms)));
    file->blooms.size = 0;
    return OTO_OK;
}

static enum oto_status write_row_group(struct oto_parquet_file *file, uint32_t first,
                                       uint32_t count)
{
    struct oto_parquet_row_group row_group = {.offset = file->offset, .row_count = count};
    size_t chunks_at = file->chunks.size;
    file->group = (struct oto_parquet_group){.first = first, .count = count};
    file->level_pages[0].outer = file->level_pages[1].outer = NULL;
    for (uint32_t i = 0; i < file->leaf_count; i++) {
        struct oto_parquet_chunk chunk;
        OTO_TRY(oto_parquet_chunk_write(file, oto_parquet_file_leaf(file, i), &chunk));
        release_large_scratch(file);
        row_group.uncompressed_bytes += chunk.uncompressed_bytes;
        row_group.compressed_bytes += chunk.compressed_bytes;
        OTO_TRY(oto_buffer_append(&file->chunks, &chunk, sizeof chunk));
    }
    oto_parquet_group_release(file);
    OTO_TRY(write_blooms(file, (void *)(file->chunks.data + chunks_at)));
    file->group_count++;
    return oto_buffer_append(&file->groups, &row_group, sizeof row_group);
}

static enum oto_status begin(struct oto_parquet_file *file)
{
    oto_error_init(file->err);
    file_init(file);
    if (!file->options->row_group_rows || !file->options->row_group_values ||
        !file->options->page_rows)
        return oto_error_set(file->err, OTO_INVALID,
                             "row groups and pages need at least one row and value");
    return oto_parquet_unpaged_write(file, OTO_BYTES_LITERAL("PAR1"));
}

// The leaves point into the batch, so each batch makes them anew.
static enum oto_status append(struct oto_parquet_file *file, const struct oto_batch *batch,
                              const uint32_t *order, uint32_t count)
{
    uint32_t rows;
    file->batch = batch;
    file->schema = batch->schema;
    file->order = order;
    file->leaves.size = 0;
    OTO_TRY(oto_parquet_leaves(batch, &file->leaves, file->err));
    file->leaf_count = (uint32_t)(file->leaves.size / sizeof(struct oto_parquet_leaf));
    int may_be_cut = oto_parquet_may_be_cut(file, count);
    for (uint32_t first = 0; first < count; first += rows) {
        rows = file->options->row_group_rows;
        rows = count - first < rows ? count - first : rows;
        if (may_be_cut)
            rows = oto_parquet_cut(file, first, rows);
        OTO_TRY(write_row_group(file, first, rows));
    }
    return OTO_OK;
}

static enum oto_status describe(enum oto_status status, struct oto_error *err)
{
    if (status < 0 && err && err->status == OTO_OK)
        oto_error_set(err, status, "Parquet file not written: %s", oto_status_name(status));
    return status;
}

enum oto_status oto_parquet_write(const struct oto_batch *batch, const uint32_t *order,
                                  uint32_t count, const struct oto_parquet_options *options,
                                  struct oto_codec *codec, const struct oto_allocator *allocator,
                                  const struct oto_sink *sink,
                                  struct oto_parquet_result *ret_result, struct oto_error *err)
{
    struct oto_parquet_file file = {
        .options = options, .codec = codec, .allocator = allocator, .sink = sink, .err = err};
    enum oto_status status = begin(&file);
    if (status == OTO_OK)
        status = append(&file, batch, order, count);
    if (status == OTO_OK)
        status = oto_parquet_footer_write(&file);
    if (status == OTO_OK)
        *ret_result = (struct oto_parquet_result){file.offset, count, file.group_count};
    file_release(&file);
    return describe(status, err);
}

// --- batch by batch ---

struct oto_parquet_writer {
    struct oto_parquet_file file;
    uint64_t row_count;
};

// Without rows the file still has the leaves of its schema: those of an empty batch.
static enum oto_status append_nothing(struct oto_parquet_file *file,
                                      const struct oto_schema *schema)
{
    struct oto_arena arena;
    struct oto_builder builder;
    struct oto_batch batch;
    oto_arena_init(&arena, file->allocator, 1 << 16, SIZE_MAX);
    enum oto_status status = oto_builder_init(&builder, schema, &arena, 0, 1, file->err);
    if (status == OTO_OK)
        status = oto_builder_view(&builder, file->allocator, &batch);
    if (status == OTO_OK) {
        status = append(file, &batch, NULL, 0);
        oto_batch_release(&batch);
    }
    file->batch = NULL;
    oto_arena_release(&arena);
    return status;
}

enum oto_status
oto_parquet_writer_new(const struct oto_schema *schema, const struct oto_parquet_options *options,
                       struct oto_codec *codec, const struct oto_allocator *allocator,
                       const struct oto_sink *sink, struct oto_parquet_writer **ret_writer,
                       struct oto_error *err)
{
    struct oto_parquet_writer *w = oto_alloc(allocator, sizeof *w);
    if (!w)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to write a Parquet file");
    *w = (struct oto_parquet_writer){.row_count = 0};
    w->file = (struct oto_parquet_file){
        .options = options, .codec = codec, .allocator = allocator, .sink = sink, .err = err};
    enum oto_status status = begin(&w->file);
    if (status == OTO_OK)
        status = append_nothing(&w->file, schema);
    if (status < 0)
        oto_parquet_writer_free(w);
    else
        *ret_writer = w;
    return describe(status, err);
}

enum oto_status oto_parquet_writer_append(struct oto_parquet_writer *w,
                                          const struct oto_batch *batch, const uint32_t *order,
                                          uint32_t count, struct oto_error *err)
{
    oto_error_init(err);
    w->file.err = err;
    enum oto_status status = append(&w->file, batch, order, count);
    w->row_count += count;
    w->file.batch = NULL; // its leaves are not looked through again
    return describe(status, err);
}

enum oto_status oto_parquet_writer_finish(struct oto_parquet_writer *w,
                                          struct oto_parquet_result *ret_result,
                                          struct oto_error *err)
{
    oto_error_init(err);
    w->file.err = err;
    enum oto_status status = oto_parquet_footer_write(&w->file);
    if (status == OTO_OK)
        *ret_result =
            (struct oto_parquet_result){w->file.offset, w->row_count, w->file.group_count};
    return describe(status, err);
}

void oto_parquet_writer_free(struct oto_parquet_writer *w)
{
    if (!w)
        return;
    const struct oto_allocator *allocator = w->file.allocator;
    file_release(&w->file);
    oto_free(allocator, w, sizeof *w);
}
