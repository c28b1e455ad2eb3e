// The end of a file: column indexes, offset indexes, FileMetaData, its length, the
// magic.
#include "arrow/arrow_schema.h"
#include "base/text.h"
#include "codec/crc.h"
#include "parquet/parquet_internal.h"

#define FORMAT_VERSION 2 // delta encodings are in use

// Where the parts before the footer begin in the file.
struct places {
    uint64_t column_indexes;
    uint64_t offset_indexes;
};

static void write_encodings(struct oto_thrift_writer *w, const struct oto_parquet_leaf *leaf,
                            const struct oto_parquet_chunk *chunk)
{
    int has_levels = leaf->max_definition > 0;
    int lists_plain = chunk->has_dictionary && chunk->encoding != OTO_PARQUET_PLAIN;
    int has_other = chunk->other_count > 0;
    oto_thrift_field_list(w, 2, OTO_THRIFT_I32, (size_t)(1 + has_levels + lists_plain + has_other));
    if (lists_plain)
        oto_thrift_element_i32(w, OTO_PARQUET_PLAIN);
    if (has_levels)
        oto_thrift_element_i32(w, OTO_PARQUET_RLE);
    oto_thrift_element_i32(w, chunk->encoding);
    if (has_other)
        oto_thrift_element_i32(w, chunk->other_encoding);
}

static void write_encoding_count(struct oto_thrift_writer *w, int page_type, int encoding,
                                 uint32_t count)
{
    oto_thrift_struct_begin(w);
    oto_thrift_field_i32(w, 1, page_type);
    oto_thrift_field_i32(w, 2, encoding);
    oto_thrift_field_i32(w, 3, (int32_t)count);
    oto_thrift_struct_end(w);
}

static void write_chunk_metadata(struct oto_thrift_writer *w, const struct oto_parquet_leaf *leaf,
                                 const struct oto_parquet_chunk *chunk)
{
    oto_thrift_field_struct(w, 3);
    oto_thrift_field_i32(w, 1, leaf->physical);
    write_encodings(w, leaf, chunk);
    oto_thrift_field_list(w, 3, OTO_THRIFT_BINARY, leaf->path_count);
    for (unsigned i = 0; i < leaf->path_count; i++)
        oto_thrift_element_binary(w, oto_bytes_text(leaf->path[i]));
    oto_thrift_field_i32(w, 4, chunk->codec);
    oto_thrift_field_i64(w, 5, chunk->entry_count);
    oto_thrift_field_i64(w, 6, (int64_t)chunk->uncompressed_bytes);
    oto_thrift_field_i64(w, 7, (int64_t)chunk->compressed_bytes);
    oto_thrift_field_i64(w, 9, (int64_t)chunk->data_offset);
    if (chunk->has_dictionary)
        oto_thrift_field_i64(w, 11, (int64_t)chunk->offset);
    oto_parquet_statistics_write(w, 12, chunk, leaf);
    oto_thrift_field_list(w, 13, OTO_THRIFT_STRUCT,
                          1u + chunk->has_dictionary + (chunk->other_count > 0));
    if (chunk->has_dictionary)
        write_encoding_count(w, OTO_PARQUET_DICTIONARY_PAGE, OTO_PARQUET_PLAIN, 1);
    write_encoding_count(w, OTO_PARQUET_DATA_PAGE, chunk->encoding,
                         chunk->page_count - chunk->other_count);
    if (chunk->other_count)
        write_encoding_count(w, OTO_PARQUET_DATA_PAGE, chunk->other_encoding, chunk->other_count);
    if (chunk->bloom_size) {
        oto_thrift_field_i64(w, 14, (int64_t)chunk->bloom_at);
        oto_thrift_field_i32(w, 15, (int32_t)chunk->bloom_size);
    }
    oto_thrift_struct_end(w);
}

static void write_chunk(struct oto_thrift_writer *w, const struct oto_parquet_leaf *leaf,
                        const struct oto_parquet_chunk *chunk, const struct places *places)
{
    oto_thrift_struct_begin(w);
    oto_thrift_field_i64(w, 2, 0); // deprecated file_offset
    write_chunk_metadata(w, leaf, chunk);
    if (chunk->offset_index_size) {
        oto_thrift_field_i64(w, 4, (int64_t)(places->offset_indexes + chunk->offset_index_at));
        oto_thrift_field_i32(w, 5, (int32_t)chunk->offset_index_size);
    }
    if (chunk->column_index_size) {
        oto_thrift_field_i64(w, 6, (int64_t)(places->column_indexes + chunk->column_index_at));
        oto_thrift_field_i32(w, 7, (int32_t)chunk->column_index_size);
    }
    oto_thrift_struct_end(w);
}

// The leaf of a top-level column that is not nested; -1.
static int leaf_of_name(const struct oto_parquet_file *file, const char *name)
{
    for (uint32_t i = 0; i < file->leaf_count; i++) {
        const struct oto_parquet_leaf *leaf = oto_parquet_file_leaf(file, i);
        if (leaf->path_count == 1 && strcmp(leaf->path[0], name) == 0)
            return (int)i;
    }
    return -1;
}

// As many of the leading sort columns as the file has.
static void write_sorting(struct oto_thrift_writer *w, const struct oto_parquet_file *file)
{
    const struct oto_parquet_options *options = file->options;
    uint32_t count = 0;
    while (count < options->sorted_by_count && leaf_of_name(file, options->sorted_by[count]) >= 0)
        count++;
    if (!count)
        return;
    oto_thrift_field_list(w, 4, OTO_THRIFT_STRUCT, count);
    for (uint32_t i = 0; i < count; i++) {
        int leaf = leaf_of_name(file, options->sorted_by[i]);
        oto_thrift_struct_begin(w);
        oto_thrift_field_i32(w, 1, leaf);
        oto_thrift_field_bool(w, 2, 0); // descending
        oto_thrift_field_bool(w, 3,
                              oto_parquet_file_leaf(file, (size_t)leaf)->nullable); // nulls first
        oto_thrift_struct_end(w);
    }
}

static void write_row_group(struct oto_thrift_writer *w, const struct oto_parquet_file *file,
                            uint32_t index, const struct places *places)
{
    const struct oto_parquet_row_group *group = (const void *)file->groups.data;
    const struct oto_parquet_chunk *chunks = (const void *)file->chunks.data;
    group += index;
    oto_thrift_struct_begin(w);
    oto_thrift_field_list(w, 1, OTO_THRIFT_STRUCT, file->leaf_count);
    for (uint32_t i = 0; i < file->leaf_count; i++)
        write_chunk(w, oto_parquet_file_leaf(file, i),
                    &chunks[(size_t)index * file->leaf_count + i], places);
    oto_thrift_field_i64(w, 2, (int64_t)group->uncompressed_bytes);
    oto_thrift_field_i64(w, 3, group->row_count);
    write_sorting(w, file);
    oto_thrift_field_i64(w, 5, (int64_t)group->offset);
    oto_thrift_field_i64(w, 6, (int64_t)group->compressed_bytes);
    if (index <= INT16_MAX)
        oto_thrift_field_i16(w, 7, (int16_t)index);
    oto_thrift_struct_end(w);
}

static uint64_t row_count(const struct oto_parquet_file *file)
{
    const struct oto_parquet_row_group *groups = (const void *)file->groups.data;
    uint64_t count = 0;
    for (uint32_t i = 0; i < file->group_count; i++)
        count += groups[i].row_count;
    return count;
}

// Parquet has checksums for what is in pages only. Files of ours have one of all else, headers of
// pages among it, its own digits taken as zeros.
#define CHECKSUM_DIGITS 8
#define CHECKSUM_ZEROS "00000000"

// *ret_digits: where its digits are in the output.
static void write_pairs(struct oto_thrift_writer *w, const struct oto_parquet_options *options,
                        struct oto_bytes arrow_schema, size_t *ret_digits)
{
    oto_thrift_field_list(w, 5, OTO_THRIFT_STRUCT, 2 + options->note_count);
    oto_thrift_struct_begin(w);
    oto_thrift_field_text(w, 1, "ARROW:schema");
    oto_thrift_field_binary(w, 2, arrow_schema);
    oto_thrift_struct_end(w);
    for (uint32_t i = 0; i < options->note_count; i++) {
        oto_thrift_struct_begin(w);
        oto_thrift_field_text(w, 1, options->notes[i].key);
        oto_thrift_field_text(w, 2, options->notes[i].value);
        oto_thrift_struct_end(w);
    }
    oto_thrift_struct_begin(w);
    oto_thrift_field_text(w, 1, OTO_PARQUET_CHECKSUM_KEY);
    oto_thrift_field_text(w, 2, CHECKSUM_ZEROS);
    *ret_digits = w->output->size - CHECKSUM_DIGITS;
    oto_thrift_struct_end(w);
}

static void write_metadata(struct oto_thrift_writer *w, const struct oto_parquet_file *file,
                           const struct places *places, struct oto_bytes arrow_schema,
                           size_t *ret_digits)
{
    oto_thrift_struct_begin(w);
    oto_thrift_field_i32(w, 1, FORMAT_VERSION);
    oto_parquet_schema_write(w, file->schema);
    oto_thrift_field_i64(w, 3, (int64_t)row_count(file));
    oto_thrift_field_list(w, 4, OTO_THRIFT_STRUCT, file->group_count);
    for (uint32_t i = 0; i < file->group_count; i++)
        write_row_group(w, file, i, places);
    write_pairs(w, file->options, arrow_schema, ret_digits);
    if (file->options->created_by)
        oto_thrift_field_text(w, 6, file->options->created_by);
    oto_thrift_field_list(w, 7, OTO_THRIFT_STRUCT, file->leaf_count);
    for (uint32_t i = 0; i < file->leaf_count;
         i++) { // without an order readers ignore the statistics
        oto_thrift_struct_begin(w);
        oto_thrift_field_struct(w, 1);
        oto_thrift_struct_end(w);
        oto_thrift_struct_end(w);
    }
    oto_thrift_struct_end(w);
}

static void write_checksum(uint8_t *digits, uint32_t crc)
{
    uint8_t bytes[4];
    oto_store32_big(bytes, crc);
    oto_hex_encode(bytes, sizeof bytes, (char *)digits);
}

static enum oto_status append_metadata(const struct oto_parquet_file *file,
                                       const struct places *places, struct oto_buffer *footer,
                                       size_t *ret_digits)
{
    struct oto_buffer arrow_schema;
    struct oto_thrift_writer w;
    oto_buffer_init(&arrow_schema, file->allocator, INT32_MAX);
    enum oto_status status = oto_arrow_schema_base64(file->schema, &arrow_schema);
    if (status == OTO_OK) {
        oto_thrift_writer_init(&w, footer);
        write_metadata(&w, file, places, oto_buffer_view(&arrow_schema), ret_digits);
        status = w.status;
    }
    oto_buffer_release(&arrow_schema);
    return status;
}

enum oto_status oto_parquet_unpaged_write(struct oto_parquet_file *file, struct oto_bytes bytes)
{
    file->unpaged_crc = oto_crc32c(file->unpaged_crc, bytes.data, bytes.size);
    return oto_parquet_sink_write(file, bytes.data, bytes.size);
}

enum oto_status oto_parquet_footer_write(struct oto_parquet_file *file)
{
    struct places places;
    struct oto_buffer *footer = &file->scratch.header;
    places.column_indexes = file->offset;
    OTO_TRY(oto_parquet_unpaged_write(file, oto_buffer_view(&file->column_indexes)));
    places.offset_indexes = file->offset;
    OTO_TRY(oto_parquet_unpaged_write(file, oto_buffer_view(&file->offset_indexes)));
    size_t digits = 0;
    footer->size = 0;
    OTO_TRY(append_metadata(file, &places, footer, &digits));
    uint32_t size = (uint32_t)footer->size;
    OTO_TRY(oto_buffer_append(footer, &size, sizeof size));
    OTO_TRY(oto_buffer_append(footer, "PAR1", 4));
    write_checksum(footer->data + digits,
                   oto_crc32c(file->unpaged_crc, footer->data, footer->size));
    return oto_parquet_sink_write(file, footer->data, footer->size);
}
