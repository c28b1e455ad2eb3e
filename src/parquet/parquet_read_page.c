// Column chunks as pages, pages as plain bytes.
#include "codec/crc.h"
#include "codec/hex_frame.h"
#include "parquet/parquet_read_internal.h"

#define HEADER_BYTES_FIRST 256u
#define HEADER_BYTES_MAX (1u << 20)
#define HEADER_FIELDS (1u << 1 | 1u << 2 | 1u << 3)          // type and sizes
#define HEADER_PARTS (1u << 5 | 1u << 6 | 1u << 7 | 1u << 8) // one for each type

#define PATH_BYTES_MAX 160

void oto_parquet_leaf_path(const struct oto_parquet_metadata *metadata, uint32_t leaf, char *output,
                           size_t output_size)
{
    // From the leaf up to the root, right to left.
    size_t at = output_size - 1;
    output[at] = 0;
    for (uint32_t i = metadata->leaves[leaf]; i; i = metadata->nodes[i].parent) {
        struct oto_bytes name = metadata->nodes[i].name;
        if (output[at] && at)
            output[--at] = '.';
        size_t size = name.size < at ? name.size : at;
        at -= size;
        memcpy(output + at, name.data + name.size - size, size);
    }
    memmove(output, output + at, output_size - at);
}

enum oto_status oto_parquet_stream_failed(const struct oto_parquet_reader *reader,
                                          const struct oto_parquet_stream *stream,
                                          enum oto_status status, struct oto_error *err,
                                          const char *format, ...)
{
    char path[PATH_BYTES_MAX];
    if (!err)
        return status;
    va_list args;
    va_start(args, format);
    oto_error_at_list(err, status, stream->page_offset, format, args);
    va_end(args);
    oto_parquet_leaf_path(&reader->metadata, stream->leaf, path, sizeof path);
    oto_error_context(err, "row group %u, column %s", stream->group, path);
    return status;
}

void oto_parquet_stream_init(const struct oto_parquet_reader *reader,
                             struct oto_parquet_stream *stream, unsigned kind)
{
    stream->kind = (uint8_t)kind;
    oto_buffer_init(&stream->page, reader->allocator, SIZE_MAX / 2);
    oto_buffer_init(&stream->dictionary_page, reader->allocator, SIZE_MAX / 2);
    oto_buffer_init(&stream->dictionary, reader->allocator, SIZE_MAX / 2);
    oto_buffer_init(&stream->codes, reader->allocator, SIZE_MAX / 2);
    oto_buffer_init(&stream->values.joined, reader->allocator, SIZE_MAX / 2);
}

void oto_parquet_stream_release(struct oto_parquet_stream *stream)
{
    oto_buffer_release(&stream->page);
    oto_buffer_release(&stream->dictionary_page);
    oto_buffer_release(&stream->dictionary);
    oto_buffer_release(&stream->codes);
    oto_buffer_release(&stream->values.joined);
}

enum oto_status oto_parquet_chunk_range(const struct oto_parquet_reader *reader, uint32_t group,
                                        uint32_t leaf, uint64_t *ret_begin, uint64_t *ret_end,
                                        struct oto_error *err)
{
    const struct oto_parquet_chunk_info *chunk = &reader->metadata.groups[group].chunks[leaf];
    uint64_t begin = (uint64_t)chunk->data_offset, size = (uint64_t)chunk->compressed_bytes;
    uint64_t most = reader->source.size_bytes - reader->metadata.footer_bytes;
    if (chunk->dictionary_offset > 0 && chunk->dictionary_offset < chunk->data_offset)
        begin = (uint64_t)chunk->dictionary_offset;
    if (begin < 4 || begin > most || size > most - begin) {
        struct oto_parquet_stream place = {.leaf = leaf, .group = group, .page_offset = begin};
        return oto_parquet_stream_failed(reader, &place, OTO_CORRUPT, err,
                                         "lies outside of the file's data");
    }
    *ret_begin = begin;
    *ret_end = begin + size;
    return OTO_OK;
}

// --- page headers ---

static enum oto_status read_number(struct oto_thrift_reader *r, enum oto_thrift_type type,
                                   int32_t *ret)
{
    int64_t value;
    OTO_TRY(oto_thrift_read_int(r, type, &value));
    if (value < INT32_MIN || value > INT32_MAX)
        return OTO_CORRUPT;
    *ret = (int32_t)value;
    return OTO_OK;
}

static enum oto_status read_size(struct oto_thrift_reader *r, enum oto_thrift_type type,
                                 uint32_t *ret)
{
    int32_t value;
    OTO_TRY(read_number(r, type, &value));
    if (value < 0)
        return OTO_CORRUPT;
    *ret = (uint32_t)value;
    return OTO_OK;
}

static enum oto_status read_data_page(struct oto_thrift_reader *r, int16_t id,
                                      enum oto_thrift_type type, struct oto_parquet_page_header *h)
{
    switch (id) {
    case 1:
        return read_size(r, type, &h->value_count);
    case 2:
        return read_number(r, type, &h->encoding);
    case 3:
        return read_number(r, type, &h->definition_encoding);
    case 4:
        return read_number(r, type, &h->repetition_encoding);
    default:
        return oto_thrift_skip(r, type);
    }
}

static enum oto_status read_data_page_v2(struct oto_thrift_reader *r, int16_t id,
                                         enum oto_thrift_type type,
                                         struct oto_parquet_page_header *h)
{
    switch (id) {
    case 1:
        return read_size(r, type, &h->value_count);
    case 4:
        return read_number(r, type, &h->encoding);
    case 5:
        return read_size(r, type, &h->definition_bytes);
    case 6:
        return read_size(r, type, &h->repetition_bytes);
    case 7:
        h->is_compressed = type == OTO_THRIFT_TRUE;
        return type == OTO_THRIFT_TRUE || type == OTO_THRIFT_FALSE ? OTO_OK : OTO_CORRUPT;
    default:
        return oto_thrift_skip(r, type);
    }
}

// The part that says more of one type of page; a dictionary page's begins like a data page's.
static enum oto_status read_page_part(struct oto_thrift_reader *r, int16_t part,
                                      struct oto_parquet_page_header *h)
{
    OTO_TRY(oto_thrift_enter_struct(r));
    for (;;) {
        int16_t id;
        enum oto_thrift_type type;
        enum oto_status status = oto_thrift_next_field(r, &id, &type);
        if (status != OTO_OK)
            return status == OTO_END ? OTO_OK : status;
        if (part == 8)
            OTO_TRY(read_data_page_v2(r, id, type, h));
        else if (part == 5 || id <= 2)
            OTO_TRY(read_data_page(r, id, type, h));
        else
            OTO_TRY(oto_thrift_skip(r, type));
    }
}

static enum oto_status read_header_field(struct oto_thrift_reader *r, int16_t id,
                                         enum oto_thrift_type type,
                                         struct oto_parquet_page_header *h)
{
    int32_t crc;
    switch (id) {
    case 1:
        return read_number(r, type, &h->type);
    case 2:
        return read_size(r, type, &h->uncompressed_bytes);
    case 3:
        return read_size(r, type, &h->compressed_bytes);
    case 4:
        OTO_TRY(read_number(r, type, &crc));
        h->crc = (uint32_t)crc;
        h->has_crc = 1;
        return OTO_OK;
    case 5:
    case 7:
    case 8:
        return type == OTO_THRIFT_STRUCT ? read_page_part(r, id, h) : OTO_CORRUPT;
    default:
        return oto_thrift_skip(r, type);
    }
}

// Zeros are an empty struct to Thrift: what a page's header must have is asked for.
static enum oto_status parse_header(struct oto_bytes bytes, struct oto_parquet_page_header *h)
{
    struct oto_thrift_reader r;
    uint32_t seen = 0;
    oto_thrift_reader_init(&r, bytes);
    *h = (struct oto_parquet_page_header){.type = -1,
                                          .encoding = -1,
                                          .is_compressed = 1,
                                          .repetition_encoding = OTO_PARQUET_RLE,
                                          .definition_encoding = OTO_PARQUET_RLE};
    OTO_TRY(oto_thrift_enter_struct(&r));
    for (;;) {
        int16_t id;
        enum oto_thrift_type type;
        enum oto_status status = oto_thrift_next_field(&r, &id, &type);
        OTO_TRY(status);
        if (status == OTO_END)
            break;
        OTO_TRY(read_header_field(&r, id, type, h));
        seen |= id >= 1 && id <= 8 ? 1u << id : 0;
    }
    if ((seen & HEADER_FIELDS) != HEADER_FIELDS || !(seen & HEADER_PARTS))
        return OTO_CORRUPT;
    h->header_bytes = (uint32_t)(r.cursor - r.start);
    return OTO_OK;
}

// Its size is not written anywhere: a guess is read, and four times as much when that was too
// little.
enum oto_status oto_parquet_page_header_read(struct oto_parquet_reader *reader,
                                             const struct oto_parquet_stream *stream,
                                             struct oto_parquet_page_header *ret,
                                             struct oto_error *err)
{
    uint64_t left = stream->end - stream->offset;
    struct oto_parquet_stream here = {
        .leaf = stream->leaf, .group = stream->group, .page_offset = stream->offset};
    for (uint64_t size = HEADER_BYTES_FIRST;; size *= 4) {
        size_t some = (size_t)(size < left ? size : left);
        reader->packed.size = 0;
        if (oto_buffer_reserve(&reader->packed, some) < 0)
            return oto_parquet_stream_failed(reader, &here, OTO_NO_MEMORY, err,
                                             "no memory for a page header");
        OTO_TRY(reader->source.read(reader->source.state, stream->offset, reader->packed.data, some,
                                    err));
        if (parse_header(oto_bytes(reader->packed.data, some), ret) == OTO_OK)
            break;
        if (some == left || size >= HEADER_BYTES_MAX)
            return oto_parquet_stream_failed(reader, &here, OTO_CORRUPT, err, "no page header");
    }
    ret->offset = stream->offset;
    if (ret->compressed_bytes > left - ret->header_bytes)
        return oto_parquet_stream_failed(reader, &here, OTO_CORRUPT, err,
                                         "a page reaches past the column chunk");
    return OTO_OK;
}

// --- pages ---

static const char *codec_name(int32_t codec)
{
    static const char *const names[] = {"no compression", "snappy", "gzip", "LZO",
                                        "Brotli",         "LZ4",    "zstd", "LZ4_RAW"};
    return codec >= 0 && codec < 8 ? names[codec] : "an unknown codec";
}

static enum oto_status decompress_block(int32_t codec, struct oto_bytes input, size_t size,
                                        struct oto_buffer *output)
{
    if (size > oto_block_size_max(input.size))
        return OTO_CORRUPT;
    OTO_TRY(oto_buffer_reserve(output, size + !size));
    OTO_TRY(codec == OTO_PARQUET_CODEC_SNAPPY
                ? oto_snappy_block(input, output->data + output->size, size)
                : oto_lz4_block(input, output->data + output->size, size));
    output->size += size;
    return OTO_OK;
}

// OTO_END: not a frame of our own. OTO_NO_MEMORY. Matches are read by ourselves where most are
// short, those of codes; a tenth of the time of reading text is saved by the library.
static enum oto_status read_own(struct oto_parquet_reader *reader,
                                const struct oto_parquet_page_header *h, struct oto_bytes input,
                                struct oto_buffer *output)
{
    int has_short =
        h->type == OTO_PARQUET_DICTIONARY_PAGE || oto_parquet_is_dictionary(h->encoding);
    if (has_short && !reader->matches)
        reader->matches = oto_alloc(reader->allocator, sizeof *reader->matches);
    if (has_short && !reader->matches)
        return OTO_NO_MEMORY;
    return oto_hex_frame_read(input, has_short ? reader->matches : NULL, output);
}

static enum oto_status decompress(struct oto_parquet_reader *reader,
                                  const struct oto_parquet_page_header *h, int32_t codec,
                                  struct oto_bytes input, size_t size, struct oto_buffer *output)
{
    enum oto_compression compression =
        codec == OTO_PARQUET_CODEC_ZSTD ? OTO_COMPRESSION_ZSTD : OTO_COMPRESSION_GZIP;
    size_t before = output->size;
    if (size == 0 && input.size == 0)
        return OTO_OK;
    if (codec == OTO_PARQUET_CODEC_SNAPPY || codec == OTO_PARQUET_CODEC_LZ4_RAW)
        return decompress_block(codec, input, size, output);
    if (codec != OTO_PARQUET_CODEC_ZSTD && codec != OTO_PARQUET_CODEC_GZIP)
        return OTO_UNSUPPORTED;
    output->size_max = before + size;
    enum oto_status status = OTO_END;
    if (codec == OTO_PARQUET_CODEC_ZSTD)
        status = read_own(reader, h, input, output);
    if (status == OTO_END)
        status = oto_decompress(reader->codec, compression, input, output, NULL);
    output->size_max = SIZE_MAX / 2;
    if (status == OTO_NO_MEMORY || status == OTO_UNSUPPORTED)
        return status;
    return status == OTO_OK && output->size - before == size ? OTO_OK : OTO_CORRUPT;
}

static enum oto_status check_sizes(const struct oto_parquet_reader *reader,
                                   const struct oto_parquet_stream *stream,
                                   const struct oto_parquet_page_header *h, struct oto_error *err)
{
    uint64_t most = reader->options.page_bytes_max;
    if (h->uncompressed_bytes > most || h->compressed_bytes > most)
        return oto_parquet_stream_failed(
            reader, stream, OTO_TOO_LARGE, err, "a page of %u bytes; the limit is %llu",
            h->uncompressed_bytes > most ? h->uncompressed_bytes : h->compressed_bytes,
            (unsigned long long)most);
    if ((uint64_t)h->repetition_bytes + h->definition_bytes > h->compressed_bytes ||
        (uint64_t)h->repetition_bytes + h->definition_bytes > h->uncompressed_bytes)
        return oto_parquet_stream_failed(reader, stream, OTO_CORRUPT, err,
                                         "the levels are larger than their page");
    return OTO_OK;
}

// Reads the page behind a header and makes it plain in output; v2 pages keep their levels in front.
static enum oto_status read_page(struct oto_parquet_reader *reader,
                                 struct oto_parquet_stream *stream,
                                 const struct oto_parquet_page_header *h, struct oto_buffer *output,
                                 struct oto_error *err)
{
    int32_t codec = h->is_compressed ? stream->chunk->codec : OTO_PARQUET_CODEC_NONE;
    int is_plain = codec == OTO_PARQUET_CODEC_NONE;
    struct oto_buffer *packed = is_plain ? output : &reader->packed;
    OTO_TRY(check_sizes(reader, stream, h, err));
    output->size = packed->size = 0;
    enum oto_status status = oto_buffer_reserve(packed, h->compressed_bytes + 1u);
    if (status == OTO_OK)
        status = oto_buffer_reserve(output, 1); // never NULL, also where a page is empty
    if (status < 0)
        return oto_parquet_stream_failed(reader, stream, status, err, "no memory for a page");
    OTO_TRY(reader->source.read(reader->source.state, h->offset + h->header_bytes, packed->data,
                                h->compressed_bytes, err));
    packed->size = h->compressed_bytes;
    if (reader->options.crc && h->has_crc &&
        oto_crc32(0, packed->data, h->compressed_bytes) != h->crc)
        return oto_parquet_stream_failed(reader, stream, OTO_CORRUPT, err,
                                         "the page's checksum is wrong");
    uint32_t levels = h->repetition_bytes + h->definition_bytes;
    if (is_plain) {
        status = h->uncompressed_bytes == h->compressed_bytes ? OTO_OK : OTO_CORRUPT;
    } else {
        status = oto_buffer_append(output, packed->data, levels);
        if (status == OTO_OK)
            status = decompress(reader, h, codec,
                                oto_bytes(packed->data + levels, h->compressed_bytes - levels),
                                h->uncompressed_bytes - levels, output);
    }
    if (status == OTO_NO_MEMORY)
        return oto_parquet_stream_failed(reader, stream, status, err, "no memory for a page");
    if (status == OTO_UNSUPPORTED)
        return oto_parquet_stream_failed(reader, stream, status, err, "%s is not supported",
                                         codec_name(codec));
    if (status < 0)
        return oto_parquet_stream_failed(reader, stream, OTO_CORRUPT, err,
                                         "a page does not decompress to %u bytes (%s)",
                                         h->uncompressed_bytes, codec_name(codec));
    return OTO_OK;
}

static enum oto_status read_dictionary(struct oto_parquet_reader *reader,
                                       struct oto_parquet_stream *stream,
                                       const struct oto_parquet_page_header *h,
                                       struct oto_error *err)
{
    if (h->encoding != OTO_PARQUET_PLAIN && h->encoding != OTO_PARQUET_PLAIN_DICTIONARY)
        return oto_parquet_stream_failed(reader, stream, OTO_UNSUPPORTED, err,
                                         "a dictionary in encoding %d", h->encoding);
    if (stream->kind == OTO_PARQUET_KIND_NONE)
        return OTO_OK;
    OTO_TRY(read_page(reader, stream, h, &stream->dictionary_page, err));
    return oto_parquet_dictionary_decode(reader, stream, h->value_count, err);
}

// Levels of v1 pages: a length of four bytes, then the runs.
static enum oto_status take_levels(struct oto_bytes *rest, unsigned max,
                                   struct oto_rle_reader *levels)
{
    if (!max)
        return OTO_OK;
    if (rest->size < 4)
        return OTO_CORRUPT;
    uint32_t size = oto_load32(rest->data);
    if (size > rest->size - 4)
        return OTO_CORRUPT;
    oto_rle_reader_init(levels, oto_bytes(rest->data + 4, size), oto_bit_width(max));
    *rest = oto_bytes(rest->data + 4 + size, rest->size - 4 - size);
    return OTO_OK;
}

static enum oto_status begin_levels(struct oto_parquet_stream *stream,
                                    const struct oto_parquet_page_header *h)
{
    const struct oto_parquet_node *node = stream->node;
    struct oto_bytes rest = oto_buffer_view(&stream->page);
    if (h->type == OTO_PARQUET_DATA_PAGE_V2) {
        oto_rle_reader_init(&stream->repetition, oto_bytes(rest.data, h->repetition_bytes),
                            oto_bit_width(node->max_repetition));
        oto_rle_reader_init(&stream->definition,
                            oto_bytes(rest.data + h->repetition_bytes, h->definition_bytes),
                            oto_bit_width(node->max_definition));
        uint32_t levels = h->repetition_bytes + h->definition_bytes;
        rest = oto_bytes(rest.data + levels, rest.size - levels);
    } else {
        if ((node->max_repetition && h->repetition_encoding != OTO_PARQUET_RLE) ||
            (node->max_definition && h->definition_encoding != OTO_PARQUET_RLE))
            return OTO_UNSUPPORTED;
        OTO_TRY(take_levels(&rest, node->max_repetition, &stream->repetition));
        OTO_TRY(take_levels(&rest, node->max_definition, &stream->definition));
    }
    stream->value_bytes = rest;
    return OTO_OK;
}

static enum oto_status begin_data_page(struct oto_parquet_reader *reader,
                                       struct oto_parquet_stream *stream,
                                       const struct oto_parquet_page_header *h,
                                       struct oto_error *err)
{
    if (h->value_count > stream->entries_left)
        return oto_parquet_stream_failed(reader, stream, OTO_CORRUPT, err,
                                         "pages have more values than the column chunk");
    OTO_TRY(read_page(reader, stream, h, &stream->page, err));
    enum oto_status status = begin_levels(stream, h);
    if (status == OTO_UNSUPPORTED)
        return oto_parquet_stream_failed(reader, stream, status, err,
                                         "levels in the encoding BIT_PACKED");
    if (status < 0)
        return oto_parquet_stream_failed(reader, stream, status, err,
                                         "the levels are larger than their page");
    stream->page_left = h->value_count;
    stream->entries_left -= h->value_count;
    stream->values.encoding = (uint8_t)(h->encoding >= 0 && h->encoding < 255 ? h->encoding : 255);
    stream->is_begun = 0;
    return OTO_OK;
}

enum oto_status oto_parquet_stream_begin(struct oto_parquet_reader *reader,
                                         struct oto_parquet_stream *stream, uint32_t group,
                                         struct oto_error *err)
{
    stream->group = group;
    stream->chunk = &reader->metadata.groups[group].chunks[stream->leaf];
    stream->entries_left = stream->chunk->value_count;
    stream->page_left = stream->window_at = stream->window_count = 0;
    stream->dictionary_count = 0;
    stream->dictionary.size = stream->codes.size = 0;
    OTO_TRY(
        oto_parquet_chunk_range(reader, group, stream->leaf, &stream->offset, &stream->end, err));
    stream->page_offset = stream->offset;
    return OTO_OK;
}

// Takes dictionaries on its way.
enum oto_status oto_parquet_stream_skip_pages(struct oto_parquet_reader *reader,
                                              struct oto_parquet_stream *stream, uint32_t most,
                                              uint32_t *ret_count, struct oto_error *err)
{
    *ret_count = 0;
    while (stream->entries_left > 0 && stream->offset < stream->end) {
        struct oto_parquet_page_header h;
        stream->page_offset = stream->offset;
        OTO_TRY(oto_parquet_page_header_read(reader, stream, &h, err));
        int is_data = h.type == OTO_PARQUET_DATA_PAGE || h.type == OTO_PARQUET_DATA_PAGE_V2;
        if (is_data && (h.value_count > most - *ret_count || h.value_count > stream->entries_left))
            return OTO_OK;
        stream->offset += (uint64_t)h.header_bytes + h.compressed_bytes;
        if (h.type == OTO_PARQUET_DICTIONARY_PAGE)
            OTO_TRY(read_dictionary(reader, stream, &h, err));
        *ret_count += is_data ? h.value_count : 0;
        stream->entries_left -= is_data ? h.value_count : 0;
    }
    return OTO_OK;
}

enum oto_status oto_parquet_stream_skip_coded(struct oto_parquet_reader *reader,
                                              struct oto_parquet_stream *stream,
                                              uint64_t *ret_count, struct oto_error *err)
{
    *ret_count = 0;
    while (stream->entries_left > 0 && stream->offset < stream->end) {
        struct oto_parquet_page_header h;
        stream->page_offset = stream->offset;
        OTO_TRY(oto_parquet_page_header_read(reader, stream, &h, err));
        int is_data = h.type == OTO_PARQUET_DATA_PAGE || h.type == OTO_PARQUET_DATA_PAGE_V2;
        if (h.type == OTO_PARQUET_DICTIONARY_PAGE ||
            (is_data && h.value_count > stream->entries_left))
            return OTO_OK; // for others to judge
        if (is_data && !oto_parquet_is_dictionary(h.encoding))
            return OTO_OK;
        stream->offset += (uint64_t)h.header_bytes + h.compressed_bytes;
        *ret_count += is_data ? h.value_count : 0;
        stream->entries_left -= is_data ? h.value_count : 0;
    }
    return OTO_OK;
}

enum oto_status oto_parquet_stream_next_page(struct oto_parquet_reader *reader,
                                             struct oto_parquet_stream *stream,
                                             struct oto_error *err)
{
    while (stream->entries_left > 0) {
        struct oto_parquet_page_header h;
        stream->page_offset = stream->offset;
        if (stream->offset == stream->end)
            return oto_parquet_stream_failed(reader, stream, OTO_CORRUPT, err,
                                             "the column chunk ends %lld values too early",
                                             (long long)stream->entries_left);
        OTO_TRY(oto_parquet_page_header_read(reader, stream, &h, err));
        stream->offset += (uint64_t)h.header_bytes + h.compressed_bytes;
        if (h.type == OTO_PARQUET_DICTIONARY_PAGE)
            OTO_TRY(read_dictionary(reader, stream, &h, err));
        if (h.type != OTO_PARQUET_DATA_PAGE && h.type != OTO_PARQUET_DATA_PAGE_V2)
            continue;
        OTO_TRY(begin_data_page(reader, stream, &h, err));
        if (stream->page_left)
            return OTO_OK;
    }
    return OTO_END;
}
