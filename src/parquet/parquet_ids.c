// Ids: raw bytes in memory, text of hex digits in files.
#include "base/text.h"
#include "base/xxh64.h"
#include "codec/delta.h"
#include "codec/hex_frame.h"
#include "parquet/parquet_internal.h"

static enum oto_status write_sizes(struct oto_parquet_file *file,
                                   const struct oto_parquet_leaf *leaf,
                                   const struct oto_parquet_page_rows *rows, unsigned text_size,
                                   struct oto_buffer *output)
{
    const struct oto_column *column = leaf->column;
    uint32_t count = rows->value_count;
    if (!column->validity || !column->null_count)
        return oto_delta_encode_same32((int32_t)text_size, count, output);
    int32_t *sizes = oto_parquet_scratch_take(&file->scratch.values, count, sizeof *sizes);
    if (!sizes)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        sizes[i] = oto_column_valid(column, rows->positions[i]) ? (int32_t)text_size : 0;
    return oto_delta_encode32(sizes, count, output);
}

// The digits of an id as words, and their XXH64.
static inline uint64_t hash_digits(const uint8_t *id, unsigned id_size, uint64_t words[4])
{
    oto_hex_words(id, words);
    if (id_size == 8)
        return oto_xxh64_words2(words);
    oto_hex_words(id + 8, words + 2);
    return oto_xxh64_words4(words);
}

#define DICTIONARY_IDS_MIN 256 // fewer are compressed as text

enum oto_status oto_parquet_ids_take(struct oto_parquet_file *file, struct oto_parquet_plan *plan)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    const struct oto_parquet_distinct *distinct = (const void *)file->scratch.distinct.data;
    struct oto_parquet_scratch *scratch = &file->scratch;
    uint32_t id_size = oto_parquet_leaf_id_size(leaf), length = 2 * id_size;
    uint32_t count = plan->distinct_count;
    uint64_t *hashes, words[4];
    if (!id_size || count < DICTIONARY_IDS_MIN || leaf->column->null_count ||
        file->options->compression != OTO_COMPRESSION_ZSTD)
        return OTO_OK;
    uint8_t *raw = oto_parquet_scratch_take(&scratch->digits, count, id_size);
    if (!raw)
        return OTO_NO_MEMORY;
    OTO_TRY(oto_parquet_hashes_reserve(file, leaf, count, &hashes));
    for (uint32_t i = 0; i < count; i++, raw += id_size) {
        memcpy(raw, oto_parquet_id_at(leaf, distinct[i].position).data, id_size);
        if (hashes)
            hashes[i] = hash_digits(raw, id_size, words);
    }
    scratch->digits.size = (size_t)count * id_size;
    plan->digits_first = 0;
    plan->digits_size = (uint8_t)length;
    return oto_buffer_append(&scratch->dictionary, &length, sizeof length);
}

// All there: bytes, where a compressor makes the digits (codec/hex_frame.h). The filter still wants
// to have seen them. Always inlined with a constant size.
__attribute__((always_inline)) static inline void
put_raw(const uint8_t *bytes, const uint32_t *positions, uint32_t count, unsigned id_size,
        uint64_t *hashes, struct oto_parquet_edges *edges, uint8_t *output)
{
    uint64_t words[4];
    for (uint32_t i = 0; i < count; i++, output += id_size) {
        const uint8_t *id = bytes + (size_t)positions[i] * id_size;
        if (i + OTO_PARQUET_PREFETCH_STEPS < count)
            __builtin_prefetch(bytes + (size_t)positions[i + OTO_PARQUET_PREFETCH_STEPS] * id_size);
        memcpy(output, id, id_size);
        oto_parquet_edges_take(edges, oto_bytes(id, id_size));
        if (hashes)
            hashes[i] = hash_digits(id, id_size, words);
    }
}

static size_t put_digits(const struct oto_parquet_leaf *leaf, const uint32_t *positions,
                         uint32_t count, uint64_t *hashes, struct oto_parquet_edges *edges,
                         uint8_t *output)
{
    const uint8_t *bytes = leaf->column->values, *begin = output;
    unsigned id_size = oto_parquet_leaf_id_size(leaf);
    uint64_t words[4];
    for (uint32_t i = 0; i < count; i++) {
        if (i + OTO_PARQUET_PREFETCH_STEPS < count)
            __builtin_prefetch(bytes + (size_t)positions[i + OTO_PARQUET_PREFETCH_STEPS] * id_size);
        struct oto_bytes id = oto_parquet_id_at(leaf, positions[i]);
        oto_parquet_edges_take(edges, id);
        uint64_t hash = id.size ? hash_digits(id.data, id_size, words) : OTO_PARQUET_HASH_OF_EMPTY;
        memcpy(output, words, 2 * id.size);
        if (hashes)
            hashes[i] = hash;
        output += 2 * id.size;
    }
    return (size_t)(output - begin);
}

enum oto_status oto_parquet_ids_write(struct oto_parquet_file *file,
                                      const struct oto_parquet_plan *plan,
                                      const struct oto_parquet_page_rows *rows,
                                      struct oto_buffer *output, struct oto_parquet_range *range)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    const uint8_t *bytes = leaf->column->values;
    unsigned id_size = oto_parquet_leaf_id_size(leaf);
    uint32_t count = rows->value_count;
    size_t size = (size_t)count * id_size;
    struct oto_parquet_edges edges = oto_parquet_edges_begin(range);
    struct oto_buffer *ids = &file->scratch.ids;
    uint64_t *hashes;
    OTO_TRY(oto_parquet_hashes_reserve(file, leaf, count, &hashes));
    OTO_TRY(write_sizes(file, leaf, rows, 2 * id_size, output));
    if (plan->is_random && size >= OTO_HEX_FRAME_RAW_MIN) {
        OTO_TRY(oto_buffer_reserve(ids, size));
        if (id_size == 8)
            put_raw(bytes, rows->positions, count, 8, hashes, &edges, ids->data);
        else
            put_raw(bytes, rows->positions, count, 16, hashes, &edges, ids->data);
        ids->size = size;
    } else {
        OTO_TRY(oto_buffer_reserve(output, 2 * size));
        file->ids_size =
            put_digits(leaf, rows->positions, count, hashes, &edges, output->data + output->size);
        output->size += file->ids_size;
    }
    range->count = count;
    return OTO_OK;
}
