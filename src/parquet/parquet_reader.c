// The whole file: open and close, row groups, rows.
#include "parquet/parquet_read_internal.h"

#define PAGE_BYTES_MAX_DEFAULT ((uint64_t)256 << 20)
#define DENSE_VALUES ((int64_t)1 << 24) // a row group with a leaf of more values,
#define DENSE_TIMES 8                   // and so many times its rows,
#define DENSE_ROWS 256u                 // is read so many rows at once
#define MAGIC_SIZE 4
#define TAIL_SIZE 8
#define METADATA_RATIO 64 // memory of the metadata as structs, by its bytes in the file

void oto_parquet_read_options_default(struct oto_parquet_read_options *options)
{
    *options =
        (struct oto_parquet_read_options){.page_bytes_max = PAGE_BYTES_MAX_DEFAULT, .crc = 1};
}

static enum oto_status read_bytes(void *state, uint64_t offset, void *output, size_t size,
                                  struct oto_error *err)
{
    const struct oto_bytes *bytes = state;
    if (offset > bytes->size || size > bytes->size - offset)
        return oto_error_at(err, OTO_INTERNAL, offset, "read past the end");
    if (size)
        memcpy(output, bytes->data + offset, size);
    return OTO_OK;
}

struct oto_source oto_source_of_bytes(const struct oto_bytes *bytes)
{
    // The state is never written through.
    return (struct oto_source){read_bytes, (void *)(uintptr_t)bytes, bytes->size};
}

static enum oto_status read_at(struct oto_parquet_reader *reader, uint64_t offset, void *output,
                               size_t size, struct oto_error *err)
{
    return reader->source.read(reader->source.state, offset, output, size, err);
}

static enum oto_status read_tail(struct oto_parquet_reader *reader, struct oto_error *err)
{
    uint8_t tail[TAIL_SIZE], head[MAGIC_SIZE];
    uint64_t size = reader->source.size_bytes;
    if (size < MAGIC_SIZE + TAIL_SIZE)
        return oto_error_at(err, OTO_INVALID, 0, "no Parquet file: %llu bytes",
                            (unsigned long long)size);
    OTO_TRY(read_at(reader, size - TAIL_SIZE, tail, TAIL_SIZE, err));
    OTO_TRY(read_at(reader, 0, head, MAGIC_SIZE, err));
    if (memcmp(tail + 4, "PARE", MAGIC_SIZE) == 0)
        return oto_error_at(err, OTO_UNSUPPORTED, size - MAGIC_SIZE, "an encrypted Parquet file");
    if (memcmp(head, "PAR1", MAGIC_SIZE) != 0)
        return oto_error_at(err, OTO_INVALID, 0, "no Parquet file: it does not begin with PAR1");
    if (memcmp(tail + 4, "PAR1", MAGIC_SIZE) != 0)
        return oto_error_at(err, OTO_INVALID, size - MAGIC_SIZE,
                            "no whole Parquet file: it does not end with PAR1");
    uint32_t footer = oto_load32(tail);
    if (footer > size - MAGIC_SIZE - TAIL_SIZE)
        return oto_error_at(err, OTO_CORRUPT, size - TAIL_SIZE,
                            "the metadata would begin before the file");
    if (footer > reader->options.page_bytes_max || footer > PAGE_BYTES_MAX_DEFAULT)
        return oto_error_at(err, OTO_TOO_LARGE, size - TAIL_SIZE, "%u bytes of metadata", footer);
    reader->metadata.footer_bytes = (uint64_t)footer + TAIL_SIZE;
    return OTO_OK;
}

static enum oto_status read_footer(struct oto_parquet_reader *reader, struct oto_error *err)
{
    OTO_TRY(read_tail(reader, err));
    size_t size = (size_t)reader->metadata.footer_bytes - TAIL_SIZE;
    if (size > SIZE_MAX / 2 / METADATA_RATIO || oto_buffer_reserve(&reader->footer, size + 1) < 0)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for %zu bytes of metadata", size);
    OTO_TRY(read_at(reader, reader->source.size_bytes - reader->metadata.footer_bytes,
                    reader->footer.data, size, err));
    reader->footer.size = size;
    reader->metadata.footer = oto_buffer_view(&reader->footer);
    oto_arena_init(&reader->arena, reader->allocator, 1 << 16,
                   (size_t)METADATA_RATIO * size + (1 << 16));
    return oto_parquet_footer_read(reader, err);
}

enum oto_status oto_parquet_open(const struct oto_source *source,
                                 const struct oto_parquet_read_options *options,
                                 struct oto_codec *codec, const struct oto_allocator *allocator,
                                 struct oto_parquet_reader **ret_reader, struct oto_error *err)
{
    struct oto_parquet_reader *reader = oto_alloc(allocator, sizeof *reader);
    if (!reader)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to read a Parquet file");
    *reader = (struct oto_parquet_reader){.source = *source, .codec = codec};
    reader->allocator = allocator;
    if (options)
        reader->options = *options;
    else
        oto_parquet_read_options_default(&reader->options);
    oto_buffer_init(&reader->footer, allocator, SIZE_MAX / 2);
    oto_buffer_init(&reader->packed, allocator, SIZE_MAX / 2);
    oto_buffer_init(&reader->steps, allocator, SIZE_MAX / 2);
    oto_arena_init(&reader->arena, allocator, 1 << 16, 0);
    enum oto_status status = read_footer(reader, err);
    if (status < 0) {
        oto_parquet_close(reader);
        return status;
    }
    *ret_reader = reader;
    return OTO_OK;
}

static void unselect(struct oto_parquet_reader *reader)
{
    for (uint32_t i = 0; reader->streams && i < reader->stream_count; i++)
        oto_parquet_stream_release(&reader->streams[i]);
    oto_free(reader->allocator, reader->streams, reader->stream_count * sizeof *reader->streams);
    reader->streams = NULL;
    reader->schema = NULL;
    reader->stream_count = reader->step_count = 0;
    reader->steps.size = 0;
}

void oto_parquet_close(struct oto_parquet_reader *reader)
{
    if (!reader)
        return;
    unselect(reader);
    oto_free(reader->allocator, reader->window, sizeof *reader->window);
    oto_free(reader->allocator, reader->matches, sizeof *reader->matches);
    oto_buffer_release(&reader->steps);
    oto_buffer_release(&reader->packed);
    oto_buffer_release(&reader->footer);
    oto_arena_release(&reader->arena);
    oto_free(reader->allocator, reader, sizeof *reader);
}

const struct oto_parquet_metadata *oto_parquet_metadata_of(const struct oto_parquet_reader *reader)
{
    return &reader->metadata;
}

int oto_parquet_has_column(const struct oto_parquet_reader *reader, const char *name)
{
    const struct oto_parquet_node *nodes = reader->metadata.nodes;
    for (uint32_t i = 1; i < nodes[0].end; i = nodes[i].end)
        if (oto_bytes_equal_text(nodes[i].name, name))
            return 1;
    return 0;
}

enum oto_status oto_parquet_select(struct oto_parquet_reader *reader,
                                   const struct oto_schema *schema, struct oto_error *err)
{
    unselect(reader);
    if (schema->level_count != 1)
        return oto_error_set(err, OTO_INTERNAL, "the schema of %s is not flat", schema->name);
    if (!reader->window && !(reader->window = oto_alloc(reader->allocator, sizeof *reader->window)))
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to read a Parquet file");
    reader->schema = schema;
    enum oto_status status = oto_parquet_match(reader, err);
    if (status < 0) {
        unselect(reader);
        return status;
    }
    oto_parquet_seek_group(reader, 0);
    return OTO_OK;
}

void oto_parquet_seek_group(struct oto_parquet_reader *reader, uint32_t group)
{
    reader->group = group;
    reader->rows_left = 0;
    reader->is_group_begun = 0;
}

static enum oto_status begin_group(struct oto_parquet_reader *reader, struct oto_error *err)
{
    reader->rows_left = reader->metadata.groups[reader->group].row_count;
    reader->rows_at_once = UINT32_MAX;
    for (uint32_t i = 0; i < reader->stream_count; i++) {
        struct oto_parquet_stream *stream = &reader->streams[i];
        OTO_TRY(oto_parquet_stream_begin(reader, stream, reader->group, err));
        if (stream->entries_left > DENSE_VALUES &&
            stream->entries_left / DENSE_TIMES > reader->rows_left)
            reader->rows_at_once = DENSE_ROWS;
    }
    reader->is_group_begun = 1;
    return OTO_OK;
}

// What is left after the last row belongs to none.
static enum oto_status end_group(struct oto_parquet_reader *reader, struct oto_error *err)
{
    for (uint32_t i = 0; i < reader->stream_count; i++) {
        struct oto_parquet_stream *stream = &reader->streams[i];
        if (stream->entries_left || stream->page_left || stream->window_at < stream->window_count)
            return oto_parquet_stream_failed(reader, stream, OTO_CORRUPT, err,
                                             "the column has more rows than its row group");
    }
    oto_parquet_seek_group(reader, reader->group + 1);
    return OTO_OK;
}

// Begins the next row group that has rows. OTO_END.
static enum oto_status next_group(struct oto_parquet_reader *reader, struct oto_error *err)
{
    while (reader->group < reader->metadata.group_count) {
        OTO_TRY(begin_group(reader, err));
        if (reader->rows_left)
            return OTO_OK;
        OTO_TRY(end_group(reader, err));
    }
    return OTO_END;
}

enum oto_status oto_parquet_read(struct oto_parquet_reader *reader, struct oto_builder *builder,
                                 uint32_t rows_max, uint32_t *ret_rows, struct oto_error *err)
{
    const struct oto_parquet_step *steps = (const void *)reader->steps.data;
    if (!reader->schema || builder->schema != reader->schema)
        return oto_error_set(err, OTO_INTERNAL, "a builder of another schema than selected");
    if (!reader->is_group_begun) {
        enum oto_status status = next_group(reader, err);
        if (status != OTO_OK)
            return status;
    }
    uint32_t rows = rows_max < reader->rows_at_once ? rows_max : reader->rows_at_once;
    rows = reader->rows_left < rows ? (uint32_t)reader->rows_left : rows;
    if (rows > UINT32_MAX - builder->levels[0].count)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for rows");
    if (++reader->generation == 0) // of codes never looked up
        reader->generation = 1;
    for (uint32_t i = 0; i < reader->step_count; i++)
        OTO_TRY(oto_parquet_step_read(reader, builder, &steps[i], rows, err));
    builder->levels[0].count += rows;
    reader->rows_left -= rows;
    if (!reader->rows_left)
        OTO_TRY(end_group(reader, err));
    *ret_rows = rows;
    return OTO_OK;
}
