// Pages and bloom filters, for those who look at files.
#include "codec/crc.h"
#include "parquet/parquet_read_internal.h"

#define PIECE_BYTES 65536u
#define BLOOM_HEADER_MAX 256u
#define BLOOM_HEADER_REST 14 // of our headers, beside the size

static enum oto_status check_place(const struct oto_parquet_reader *reader, uint32_t group,
                                   uint32_t leaf, struct oto_error *err)
{
    if (group >= reader->metadata.group_count || leaf >= reader->metadata.leaf_count)
        return oto_error_set(err, OTO_NOT_FOUND, "no row group %u or no leaf %u", group, leaf);
    return OTO_OK;
}

// A piece after the other, so that no page is too large to be checked.
static enum oto_status checksum(struct oto_parquet_reader *reader, uint64_t offset, uint64_t size,
                                uint32_t *ret_crc, struct oto_error *err)
{
    reader->packed.size = 0;
    if (oto_buffer_reserve(&reader->packed, PIECE_BYTES) < 0)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to read pages");
    *ret_crc = 0;
    while (size) {
        size_t some = size < PIECE_BYTES ? (size_t)size : PIECE_BYTES;
        OTO_TRY(reader->source.read(reader->source.state, offset, reader->packed.data, some, err));
        *ret_crc = oto_crc32(*ret_crc, reader->packed.data, some);
        offset += some;
        size -= some;
    }
    return OTO_OK;
}

static enum oto_status
visit_page(struct oto_parquet_reader *reader, const struct oto_parquet_page_header *h,
           enum oto_status (*visit)(void *, const struct oto_parquet_page_info *), void *state,
           struct oto_error *err)
{
    uint32_t crc = 0;
    OTO_TRY(checksum(reader, h->offset + h->header_bytes, h->compressed_bytes, &crc, err));
    struct oto_parquet_page_info page = {.offset = h->offset,
                                         .header_bytes = h->header_bytes,
                                         .type = h->type,
                                         .encoding = h->encoding,
                                         .compressed_bytes = h->compressed_bytes,
                                         .uncompressed_bytes = h->uncompressed_bytes,
                                         .value_count = h->value_count,
                                         .has_crc = h->has_crc,
                                         .crc_right = !h->has_crc || crc == h->crc};
    return visit(state, &page);
}

enum oto_status oto_parquet_visit_pages(
    struct oto_parquet_reader *reader, uint32_t group, uint32_t leaf,
    enum oto_status (*visit)(void *state, const struct oto_parquet_page_info *page), void *state,
    struct oto_error *err)
{
    struct oto_parquet_stream stream = {.leaf = leaf, .group = group};
    OTO_TRY(check_place(reader, group, leaf, err));
    OTO_TRY(oto_parquet_chunk_range(reader, group, leaf, &stream.offset, &stream.end, err));
    while (stream.offset < stream.end) {
        struct oto_parquet_page_header h;
        OTO_TRY(oto_parquet_page_header_read(reader, &stream, &h, err));
        OTO_TRY(visit_page(reader, &h, visit, state, err));
        stream.offset += (uint64_t)h.header_bytes + h.compressed_bytes;
    }
    return OTO_OK;
}

// Field 1 of BloomFilterHeader, and where the bits begin.
static enum oto_status bloom_header(struct oto_bytes bytes, uint64_t *ret_size,
                                    uint32_t *ret_header_bytes)
{
    struct oto_thrift_reader r;
    int64_t size = -1;
    oto_thrift_reader_init(&r, bytes);
    OTO_TRY(oto_thrift_enter_struct(&r));
    for (;;) {
        int16_t id;
        enum oto_thrift_type type;
        enum oto_status status = oto_thrift_next_field(&r, &id, &type);
        OTO_TRY(status);
        if (status == OTO_END)
            break;
        OTO_TRY(id == 1 ? oto_thrift_read_int(&r, type, &size) : oto_thrift_skip(&r, type));
    }
    *ret_size = (uint64_t)size;
    *ret_header_bytes = (uint32_t)(r.cursor - r.start);
    return size < 0 ? OTO_CORRUPT : OTO_OK;
}

static enum oto_status count_bits(struct oto_parquet_reader *reader, uint64_t offset, uint64_t size,
                                  uint64_t *ret_count, struct oto_error *err)
{
    *ret_count = 0;
    while (size) {
        size_t some = size < PIECE_BYTES ? (size_t)size : PIECE_BYTES, i = 0;
        OTO_TRY(reader->source.read(reader->source.state, offset, reader->packed.data, some, err));
        for (; i + 8 <= some; i += 8)
            *ret_count += (uint64_t)__builtin_popcountll(oto_load64(reader->packed.data + i));
        for (; i < some; i++)
            *ret_count += (uint64_t)__builtin_popcount(reader->packed.data[i]);
        offset += some;
        size -= some;
    }
    return OTO_OK;
}

static enum oto_status read_bloom_header(struct oto_parquet_reader *reader, uint32_t group,
                                         uint32_t leaf, uint64_t *ret_offset, uint64_t *ret_size,
                                         struct oto_error *err)
{
    OTO_TRY(check_place(reader, group, leaf, err));
    int64_t at = reader->metadata.groups[group].chunks[leaf].bloom_offset;
    struct oto_parquet_stream place = {.leaf = leaf, .group = group, .page_offset = (uint64_t)at};
    uint64_t end = reader->source.size_bytes - reader->metadata.footer_bytes, size = 0;
    uint32_t header_bytes = 0;
    if (at <= 0)
        return OTO_END;
    reader->packed.size = 0;
    if (oto_buffer_reserve(&reader->packed, PIECE_BYTES) < 0)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to read a bloom filter");
    uint64_t left = (uint64_t)at < end ? end - (uint64_t)at : 0;
    size_t some = left < BLOOM_HEADER_MAX ? (size_t)left : BLOOM_HEADER_MAX;
    if (some)
        OTO_TRY(reader->source.read(reader->source.state, (uint64_t)at, reader->packed.data, some,
                                    err));
    if (bloom_header(oto_bytes(reader->packed.data, some), &size, &header_bytes) != OTO_OK ||
        size > left - header_bytes)
        return oto_parquet_stream_failed(reader, &place, OTO_CORRUPT, err, "no bloom filter");
    *ret_offset = (uint64_t)at + header_bytes;
    *ret_size = size;
    return OTO_OK;
}

// The same without a look at the file, where the footer tells how long header and bits are
// together: our headers differ in the size alone, a varint of twice the number. 0: the header has
// to be read.
static int bloom_place_told(const struct oto_parquet_reader *reader, uint32_t group, uint32_t leaf,
                            uint64_t *ret_offset, uint64_t *ret_size)
{
    static const char ours[] = "otolith version ";
    const struct oto_parquet_metadata *m = &reader->metadata;
    const struct oto_parquet_chunk_info *chunk = &m->groups[group].chunks[leaf];
    uint64_t end = reader->source.size_bytes - m->footer_bytes;
    if (m->created_by.size < sizeof ours ||
        memcmp(m->created_by.data, ours, sizeof ours - 1) != 0 || chunk->bloom_offset <= 0 ||
        chunk->bloom_bytes <= 0 || (uint64_t)chunk->bloom_offset > end ||
        (uint64_t)chunk->bloom_bytes > end - (uint64_t)chunk->bloom_offset)
        return 0;
    for (unsigned digits = 1; digits <= 5; digits++) {
        int64_t size = chunk->bloom_bytes - BLOOM_HEADER_REST - (int64_t)digits;
        if (size <= 0 || size % OTO_PARQUET_BLOOM_BLOCK_BYTES ||
            (unsigned)(70 - __builtin_clzll(2 * (uint64_t)size)) / 7 != digits)
            continue;
        *ret_offset = (uint64_t)(chunk->bloom_offset + chunk->bloom_bytes - size);
        *ret_size = (uint64_t)size;
        return 1;
    }
    return 0;
}

enum oto_status oto_parquet_bloom_place(struct oto_parquet_reader *reader, uint32_t group,
                                        uint32_t leaf, uint64_t *ret_offset, uint32_t *ret_bytes,
                                        struct oto_error *err)
{
    uint64_t offset, size;
    OTO_TRY(check_place(reader, group, leaf, err));
    enum oto_status status = OTO_OK;
    if (!bloom_place_told(reader, group, leaf, &offset, &size))
        status = read_bloom_header(reader, group, leaf, &offset, &size, err);
    if (status != OTO_OK)
        return status;
    if (size == 0 || size % OTO_PARQUET_BLOOM_BLOCK_BYTES || size > UINT32_MAX)
        return OTO_END;
    *ret_offset = offset;
    *ret_bytes = (uint32_t)size;
    return OTO_OK;
}

enum oto_status oto_parquet_bloom_info(struct oto_parquet_reader *reader, uint32_t group,
                                       uint32_t leaf, struct oto_parquet_bloom_info *ret_info,
                                       struct oto_error *err)
{
    uint64_t offset, size, bits;
    enum oto_status status = read_bloom_header(reader, group, leaf, &offset, &size, err);
    if (status != OTO_OK)
        return status;
    OTO_TRY(count_bits(reader, offset, size, &bits, err));
    *ret_info = (struct oto_parquet_bloom_info){.bitset_bytes = size, .bits_set = bits};
    return OTO_OK;
}
