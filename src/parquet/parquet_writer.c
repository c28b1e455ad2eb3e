#include "parquet/parquet_internal.h"

// Buffers stay below what Parquet's i32 sizes can say.
#define BUFFER_BYTES_MAX INT32_MAX

void oto_parquet_options_default(struct oto_parquet_options *options)
{
    *options = (struct oto_parquet_options){
        .compression = OTO_COMPRESSION_ZSTD,
        .compression_level = 1,
        .row_group_rows = 122880,
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

static void file_init(struct oto_parquet_file *file)
{
    struct oto_buffer *own[] = {&file->leaves, &file->chunks,         &file->groups,
                                &file->blooms, &file->column_indexes, &file->offset_indexes};
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        oto_buffer_init(own[i], file->allocator, BUFFER_BYTES_MAX);
    for (size_t i = 0; i < OTO_PARQUET_SCRATCH_COUNT; i++)
        oto_buffer_init(scratch_buffer(file, i), file->allocator, BUFFER_BYTES_MAX);
}

static void file_release(struct oto_parquet_file *file)
{
    struct oto_buffer *own[] = {&file->leaves, &file->chunks,         &file->groups,
                                &file->blooms, &file->column_indexes, &file->offset_indexes};
    oto_parquet_group_release(file);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        oto_buffer_release(own[i]);
    for (size_t i = 0; i < OTO_PARQUET_SCRATCH_COUNT; i++)
        oto_buffer_release(scratch_buffer(file, i));
}

static enum oto_status write_row_group(struct oto_parquet_file *file, uint32_t first,
                                       uint32_t count)
{
    struct oto_parquet_row_group row_group = {.offset = file->offset, .row_count = count};
    file->group = (struct oto_parquet_group){.first = first, .count = count};
    for (uint32_t i = 0; i < file->leaf_count; i++) {
        struct oto_parquet_chunk chunk;
        OTO_TRY(oto_parquet_chunk_write(file, oto_parquet_file_leaf(file, i), &chunk));
        row_group.uncompressed_bytes += chunk.uncompressed_bytes;
        row_group.compressed_bytes += chunk.compressed_bytes;
        OTO_TRY(oto_buffer_append(&file->chunks, &chunk, sizeof chunk));
    }
    oto_parquet_group_release(file);
    file->group_count++;
    return oto_buffer_append(&file->groups, &row_group, sizeof row_group);
}

static enum oto_status write_file(struct oto_parquet_file *file, uint32_t count)
{
    uint32_t rows = file->options->row_group_rows;
    if (!rows || !file->options->page_rows)
        return oto_error_set(file->err, OTO_INVALID, "row groups and pages need at least one row");
    OTO_TRY(oto_parquet_leaves(file->batch, &file->leaves, file->err));
    file->leaf_count = (uint32_t)(file->leaves.size / sizeof(struct oto_parquet_leaf));
    OTO_TRY(oto_parquet_sink_write(file, "PAR1", 4));
    for (uint32_t first = 0; first < count; first += rows) {
        rows = count - first < rows ? count - first : rows;
        OTO_TRY(write_row_group(file, first, rows));
    }
    return oto_parquet_footer_write(file);
}

enum oto_status oto_parquet_write(const struct oto_batch *batch, const uint32_t *order,
                                  uint32_t count, const struct oto_parquet_options *options,
                                  struct oto_codec *codec, const struct oto_allocator *allocator,
                                  const struct oto_sink *sink,
                                  struct oto_parquet_result *ret_result, struct oto_error *err)
{
    struct oto_parquet_file file = {.batch = batch,
                                    .order = order,
                                    .options = options,
                                    .codec = codec,
                                    .allocator = allocator,
                                    .sink = sink,
                                    .err = err};
    oto_error_init(err);
    file_init(&file);
    enum oto_status status = write_file(&file, count);
    if (status == OTO_OK)
        *ret_result = (struct oto_parquet_result){file.offset, count, file.group_count};
    else if (err && err->status == OTO_OK)
        oto_error_set(err, status, "Parquet file not written: %s", oto_status_name(status));
    file_release(&file);
    return status;
}
