// Text ids in large dictionaries: request and session ids, unique, of lower-case hex digits. Those
// of one length are put last, and kept as bytes, of which codec/hex_frame.h makes compressed
// digits.
#include "base/text.h"
#include "codec/hex_frame.h"
#include "parquet/parquet_internal.h"

#define COUNT_MIN 256

// The bytes of sixteen digits; nonsense for other characters.
static inline uint64_t bytes_of_digits(const uint8_t *digits)
{
    const uint64_t each = 0x0101010101010101u;
    uint64_t bytes = 0;
    for (unsigned i = 0; i < 2; i++) {
        uint64_t word = oto_load64(digits + 8 * i);
        word = (word & 0x0F * each) + 9 * (word >> 6 & each);
        word = (word << 4 | word >> 8) & 0x00FF00FF00FF00FFu;
        word = (word | word >> 8) & 0x0000FFFF0000FFFFu;
        bytes |= (uint64_t)(uint32_t)(word | word >> 16) << 32 * i;
    }
    return bytes;
}

// Writes the bytes of a text of 16 or 32 digits; 0 when it is none. What they read as must be the
// text again.
static inline int take_digits(struct oto_bytes text, uint8_t *raw)
{
    uint64_t differ = 0;
    for (size_t i = 0; i < text.size; i += 16) {
        uint64_t again[2];
        oto_store64(raw + i / 2, bytes_of_digits(text.data + i));
        oto_hex_words(raw + i / 2, again);
        differ |=
            (again[0] ^ oto_load64(text.data + i)) | (again[1] ^ oto_load64(text.data + i + 8));
    }
    return !differ;
}

// Digits of the more frequent length, of those that may be ids by their size; 0: too few.
static unsigned common_size(const struct oto_bytes *entries,
                            const struct oto_parquet_distinct *distinct, uint32_t count)
{
    uint32_t shorter = 0, longer = 0;
    for (uint32_t i = 0; i < count; i++) {
        shorter += entries[distinct[i].position].size == 16;
        longer += entries[distinct[i].position].size == 32;
    }
    if ((shorter > longer ? shorter : longer) < COUNT_MIN)
        return 0;
    return shorter > longer ? 16 : 32;
}

enum oto_status oto_parquet_digits_last(struct oto_parquet_file *file,
                                        struct oto_parquet_plan *plan)
{
    const struct oto_bytes *entries = plan->leaf->column->dictionary->entries;
    struct oto_parquet_distinct *distinct = (void *)file->scratch.distinct.data;
    struct oto_buffer *raw = &file->scratch.digits;
    uint32_t count = plan->distinct_count, kept = 0, moved = 0;
    unsigned size = common_size(entries, distinct, count);
    plan->digits_first = count;
    if (!size || file->options->compression != OTO_COMPRESSION_ZSTD)
        return OTO_OK;
    struct oto_parquet_distinct *ids =
        oto_parquet_scratch_take(&file->scratch.sorting, count, sizeof *ids);
    if (!ids || !oto_parquet_scratch_take(raw, count, size / 2))
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++) {
        struct oto_bytes entry = entries[distinct[i].position];
        oto_parquet_prefetch_text(entries, distinct, i, count);
        if (entry.size == size && take_digits(entry, raw->data + (size_t)moved * (size / 2)))
            ids[moved++] = distinct[i];
        else
            distinct[kept++] = distinct[i];
    }
    memcpy(distinct + kept, ids, moved * sizeof *ids);
    if (moved < COUNT_MIN)
        return OTO_OK;
    raw->size = (size_t)moved * (size / 2);
    plan->digits_first = kept;
    plan->digits_size = (uint8_t)size;
    return OTO_OK;
}
