// A column chunk: dictionary page and data pages (v1), compressed, each with its CRC, then what the
// indexes need.
#include "codec/crc.h"
#include "codec/hex_frame.h"
#include "parquet/parquet_internal.h"

#define TINY_CHUNK_BYTES 256 // a chunk that says one thing in so little is not compressed
#define TRIAL_BYTES_MIN 1024 // the first page decides for the chunk, when there is that much of it
#define TRIAL_PERCENT 97     // and compression must bring it below

struct writing {
    struct oto_parquet_file *file;
    const struct oto_parquet_leaf *leaf;
    struct oto_parquet_plan plan;
    struct oto_parquet_chunk chunk;
    struct oto_parquet_range range;
    uint32_t text_count;              // of the page at hand: values that end it, 0: no text
    enum oto_text_method text_method; // what the last page of text taught
};

static enum oto_status compress(struct writing *c, const struct oto_buffer *raw)
{
    const struct oto_parquet_options *options = c->file->options;
    return oto_compress(c->file->codec, options->compression, options->compression_level,
                        oto_buffer_view(raw), &c->file->scratch.packed, c->file->err);
}

// Texts, one behind the other.
static enum oto_status compress_text(struct writing *c, const struct oto_buffer *raw,
                                     const struct oto_lines *lines, struct oto_buffer *output)
{
    return oto_compress_text(c->file->codec, c->file->options->compression_level,
                             oto_buffer_view(raw), lines, &c->text_method, output, c->file->err);
}

// A data page: scratch.raw, and the digits of scratch.ids.
static size_t page_size(const struct writing *c)
{
    return c->file->scratch.raw.size + 2 * c->file->scratch.ids.size;
}

static enum oto_status compress_page(struct writing *c)
{
    struct oto_parquet_scratch *scratch = &c->file->scratch;
    struct oto_lines lines = {scratch->raw.size - c->file->text_size,
                              (const void *)scratch->codes.data, c->text_count};
    if (c->text_count)
        return compress_text(c, &scratch->raw, &lines, &scratch->packed);
    if (c->file->codes_size)
        return oto_compress_codes(
            c->file->codec, c->file->options->compression_level, oto_buffer_view(&scratch->raw),
            scratch->raw.size - c->file->codes_size, &scratch->packed, c->file->err);
    if (c->file->ids_size)
        return oto_compress_ids(
            c->file->codec, c->file->options->compression_level, oto_buffer_view(&scratch->raw),
            scratch->raw.size - c->file->ids_size, 2 * oto_parquet_leaf_id_size(c->leaf),
            &scratch->packed, c->file->err);
    if (!scratch->ids.size)
        return compress(c, &scratch->raw);
    return oto_hex_frame(oto_buffer_view(&scratch->raw), oto_buffer_view(&scratch->ids),
                         &scratch->packed);
}

// The dictionary page: scratch.dictionary, and the ids of scratch.digits with lengths between them.
static size_t dictionary_size(const struct writing *c)
{
    const struct oto_parquet_plan *plan = &c->plan;
    size_t size = c->file->scratch.dictionary.size;
    if (plan->digits_size)
        size += (size_t)(plan->distinct_count - plan->digits_first) * (4u + plan->digits_size) - 4;
    return size;
}

static enum oto_status compress_dictionary(struct writing *c)
{
    struct oto_parquet_scratch *scratch = &c->file->scratch;
    struct oto_lines lines = {0, NULL, c->plan.distinct_count};
    if (!c->plan.digits_size && oto_parquet_leaf_is_text(c->leaf))
        return compress_text(c, &scratch->dictionary, &lines, &scratch->packed);
    if (!c->plan.digits_size)
        return compress(c, &scratch->dictionary);
    scratch->head.size = 0;
    lines.count = c->plan.digits_first;
    OTO_TRY(compress_text(c, &scratch->dictionary, &lines, &scratch->head));
    return oto_hex_records_frame(oto_buffer_view(&scratch->head), scratch->dictionary.size,
                                 oto_buffer_view(&scratch->digits), c->plan.digits_size / 2u,
                                 &scratch->packed);
}

static void write_page_header(struct writing *c, struct oto_thrift_writer *w, int type,
                              uint32_t count, size_t raw_size, struct oto_bytes body)
{
    oto_thrift_struct_begin(w);
    oto_thrift_field_i32(w, 1, type);
    oto_thrift_field_i32(w, 2, (int32_t)raw_size);
    oto_thrift_field_i32(w, 3, (int32_t)body.size);
    if (c->file->options->crc)
        oto_thrift_field_i32(w, 4, (int32_t)oto_crc32(0, body.data, body.size));
    oto_thrift_field_struct(w, type == OTO_PARQUET_DATA_PAGE ? 5 : 7);
    oto_thrift_field_i32(w, 1, (int32_t)count);
    if (type == OTO_PARQUET_DATA_PAGE) {
        oto_thrift_field_i32(w, 2, c->plan.encoding);
        oto_thrift_field_i32(w, 3, OTO_PARQUET_RLE);
        oto_thrift_field_i32(w, 4, OTO_PARQUET_RLE);
    } else {
        oto_thrift_field_i32(w, 2, OTO_PARQUET_PLAIN);
        oto_thrift_field_bool(w, 3, c->plan.is_sorted);
    }
    oto_thrift_struct_end(w);
    oto_thrift_struct_end(w);
}

// body: as stored.
static enum oto_status emit_page(struct writing *c, int type, uint32_t count, size_t raw_size,
                                 struct oto_bytes body)
{
    struct oto_buffer *header = &c->file->scratch.header;
    struct oto_thrift_writer w;
    if (raw_size > INT32_MAX || body.size > INT32_MAX)
        return oto_error_set(c->file->err, OTO_TOO_LARGE, "%s: a page of 2 GiB",
                             c->leaf->field->name);
    header->size = 0;
    oto_thrift_writer_init(&w, header);
    write_page_header(c, &w, type, count, raw_size, body);
    OTO_TRY(w.status);
    c->chunk.uncompressed_bytes += header->size + raw_size;
    OTO_TRY(oto_parquet_unpaged_write(c->file, oto_buffer_view(header)));
    return c->file->options->crc ? oto_parquet_sink_write(c->file, body.data, body.size)
                                 : oto_parquet_unpaged_write(c->file, body);
}

static enum oto_status emit_dictionary(struct writing *c, struct oto_bytes body)
{
    c->chunk.has_dictionary = 1;
    return emit_page(c, OTO_PARQUET_DICTIONARY_PAGE, c->plan.distinct_count, dictionary_size(c),
                     body);
}

static enum oto_status emit_data(struct writing *c, const struct oto_parquet_page_rows *rows,
                                 const struct oto_parquet_range *range, struct oto_bytes body)
{
    uint64_t first = c->file->offset;
    if (!c->chunk.page_count++) {
        c->chunk.data_offset = first;
        c->chunk.encoding = c->plan.encoding;
    } else if (c->plan.encoding != c->chunk.encoding) {
        c->chunk.other_encoding = c->plan.encoding;
        c->chunk.other_count++;
    }
    OTO_TRY(emit_page(c, OTO_PARQUET_DATA_PAGE, rows->entry_count, page_size(c), body));
    struct oto_parquet_page page = {.offset = first,
                                    .size_bytes = (uint32_t)(c->file->offset - first),
                                    .first_row = rows->first_row,
                                    .null_count = rows->entry_count - rows->value_count,
                                    .value_count = rows->value_count,
                                    .nan_count = range->nan_count};
    oto_parquet_range_bounds(range, c->leaf, &page.min, &page.max);
    c->chunk.entry_count += rows->entry_count;
    c->chunk.null_count += page.null_count;
    oto_parquet_range_merge(&c->range, range, c->leaf);
    return oto_buffer_append(&c->file->scratch.pages, &page, sizeof page);
}

static int is_tiny(const struct writing *c)
{
    const struct oto_parquet_scratch *scratch = &c->file->scratch;
    int says_one_thing = !c->plan.value_count || (c->plan.distinct_count == 1 && !c->leaf->outer &&
                                                  c->plan.value_count == c->file->group.count);
    return says_one_thing && scratch->dictionary.size + scratch->raw.size < TINY_CHUNK_BYTES;
}

// Whether the chunk becomes smaller by some percent, if all its pages are like the first.
static int is_smaller(const struct writing *c, const struct oto_parquet_page_rows *rows,
                      size_t dictionary_packed, size_t page_packed)
{
    uint64_t pages = c->file->group.count / rows->row_count + 1;
    uint64_t raw = dictionary_size(c) + pages * page_size(c),
             packed = dictionary_packed + pages * page_packed;
    return packed < raw / 100 * TRIAL_PERCENT;
}

// The first data page, with the dictionary before it: here the chunk's codec is chosen.
static enum oto_status emit_first(struct writing *c, const struct oto_parquet_page_rows *rows,
                                  const struct oto_parquet_range *range)
{
    struct oto_parquet_scratch *scratch = &c->file->scratch;
    struct oto_bytes dictionary = oto_buffer_view(&scratch->dictionary),
                     data = oto_buffer_view(&scratch->raw);
    size_t raw_size = dictionary_size(c) + page_size(c);
    scratch->packed.size = 0;
    if (c->file->options->compression == OTO_COMPRESSION_ZSTD && !is_tiny(c)) {
        if (dictionary.size)
            OTO_TRY(compress_dictionary(c));
        size_t middle = scratch->packed.size;
        OTO_TRY(compress_page(c));
        if (c->plan.digits_size || raw_size < TRIAL_BYTES_MIN ||
            is_smaller(c, rows, middle, scratch->packed.size - middle)) {
            c->chunk.codec = OTO_PARQUET_CODEC_ZSTD;
            dictionary = oto_bytes(scratch->packed.data, middle);
            data = oto_bytes(scratch->packed.data + middle, scratch->packed.size - middle);
        }
    }
    if (c->chunk.codec == OTO_PARQUET_CODEC_NONE)
        c->plan.is_random = 0; // the next pages need digits
    if (c->plan.encoding == OTO_PARQUET_RLE_DICTIONARY)
        OTO_TRY(emit_dictionary(c, dictionary));
    return emit_data(c, rows, range, data);
}

static enum oto_status write_page(struct writing *c, const struct oto_parquet_page_rows *rows,
                                  uint32_t value_first)
{
    struct oto_parquet_scratch *scratch = &c->file->scratch;
    struct oto_parquet_range range;
    scratch->raw.size = scratch->ids.size = 0;
    OTO_TRY(oto_buffer_append(&scratch->raw, rows->levels.data, rows->levels.size));
    c->file->text_size = c->file->codes_size = c->file->ids_size = 0;
    OTO_TRY(oto_parquet_doubles_try(c->file, rows, &c->plan));
    OTO_TRY(oto_parquet_values_write(c->file, &c->plan, rows, value_first, &scratch->raw, &range));
    c->text_count = c->file->text_size ? rows->value_count : 0;
    if (!c->chunk.page_count)
        return emit_first(c, rows, &range);
    scratch->packed.size = 0;
    if (c->chunk.codec == OTO_PARQUET_CODEC_NONE)
        return emit_data(c, rows, &range, oto_buffer_view(&scratch->raw));
    OTO_TRY(compress_page(c));
    return emit_data(c, rows, &range, oto_buffer_view(&scratch->packed));
}

static enum oto_status write_pages(struct writing *c)
{
    uint32_t row = 0, value_count = 0;
    while (row < c->file->group.count) {
        struct oto_parquet_page_rows rows;
        OTO_TRY(oto_parquet_rows_take(c->file, &c->plan, row, &rows));
        OTO_TRY(write_page(c, &rows, value_count));
        row += rows.row_count;
        value_count += rows.value_count;
    }
    return value_count == c->plan.value_count ? OTO_OK : OTO_INTERNAL;
}

static enum oto_status write_indexes(struct writing *c)
{
    struct oto_parquet_file *file = c->file;
    const struct oto_parquet_page *pages = (const void *)file->scratch.pages.data;
    struct oto_thrift_writer w;
    if (!file->options->page_index)
        return OTO_OK;
    c->chunk.column_index_at = file->column_indexes.size;
    if (oto_parquet_column_index_possible(pages, c->chunk.page_count)) {
        oto_thrift_writer_init(&w, &file->column_indexes);
        oto_parquet_column_index_write(&w, pages, c->chunk.page_count, c->leaf);
        OTO_TRY(w.status);
    }
    c->chunk.column_index_size = (uint32_t)(file->column_indexes.size - c->chunk.column_index_at);
    c->chunk.offset_index_at = file->offset_indexes.size;
    oto_thrift_writer_init(&w, &file->offset_indexes);
    oto_parquet_offset_index_write(&w, pages, c->chunk.page_count);
    c->chunk.offset_index_size = (uint32_t)(file->offset_indexes.size - c->chunk.offset_index_at);
    return w.status;
}

// Only when all values were hashed: a filter that lacks one would hide rows.
static enum oto_status write_bloom(struct writing *c)
{
    struct oto_parquet_file *file = c->file;
    size_t count = file->scratch.hashes.size / sizeof(uint64_t);
    size_t values = c->chunk.has_dictionary  ? c->plan.distinct_count
                    : c->plan.plain_distinct ? c->plan.plain_distinct
                                             : c->plan.value_count;
    if (!file->options->bloom || !c->leaf->bloom || !count || count != values)
        return OTO_OK;
    c->chunk.bloom_at = file->blooms.size;
    OTO_TRY(oto_parquet_bloom_write((const void *)file->scratch.hashes.data, count, &file->blooms));
    c->chunk.bloom_size = (uint32_t)(file->blooms.size - c->chunk.bloom_at);
    return OTO_OK;
}

enum oto_status oto_parquet_chunk_write(struct oto_parquet_file *file,
                                        const struct oto_parquet_leaf *leaf,
                                        struct oto_parquet_chunk *ret_chunk)
{
    struct oto_parquet_scratch *scratch = &file->scratch;
    struct writing c = {.file = file, .leaf = leaf, .chunk = {.offset = file->offset}};
    scratch->pages.size = scratch->hashes.size = scratch->dictionary.size = 0;
    OTO_TRY(oto_parquet_survey(file, leaf, &c.plan));
    c.chunk.encoding = c.plan.encoding;
    if (!oto_parquet_leaf_is_text(leaf) || oto_dictionary_is_distinct(leaf->column->dictionary))
        c.chunk.distinct_count = c.plan.distinct_count;
    if (c.plan.encoding == OTO_PARQUET_RLE_DICTIONARY)
        OTO_TRY(oto_parquet_dictionary_write(file, &c.plan, &scratch->dictionary));
    OTO_TRY(write_pages(&c));
    c.chunk.compressed_bytes = file->offset - c.chunk.offset;
    c.chunk.nan_count = c.range.nan_count;
    oto_parquet_range_bounds(&c.range, leaf, &c.chunk.min, &c.chunk.max);
    OTO_TRY(write_bloom(&c));
    OTO_TRY(write_indexes(&c));
    *ret_chunk = c.chunk;
    return OTO_OK;
}
