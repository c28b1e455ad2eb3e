// Levels (parquet-format, "Nested Encoding"): repetition is 0 where a row begins, definition tells
// how far down there is something. Leaves with the same lists have the same levels, so those of a
// list are kept for the leaves after it.
#include "codec/rle.h"
#include "parquet/parquet_internal.h"

// --- streams ---
static enum oto_status put_varint(struct oto_buffer *output, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        OTO_TRY(oto_buffer_append_byte(output, (uint8_t)(value | 0x80)));
    return oto_buffer_append_byte(output, (uint8_t)value);
}

static enum oto_status put_run(uint32_t level, uint32_t count, struct oto_buffer *output)
{
    size_t prefix = output->size;
    OTO_TRY(oto_buffer_append(output, "\0\0\0\0", 4));
    OTO_TRY(put_varint(output, (uint64_t)count << 1));
    OTO_TRY(oto_buffer_append_byte(output, (uint8_t)level));
    oto_store32(output->data + prefix, (uint32_t)(output->size - prefix - 4));
    return OTO_OK;
}

static enum oto_status put_bits(const uint8_t *bits, uint32_t cleared, uint32_t count,
                                struct oto_buffer *output)
{
    size_t prefix = output->size, groups = (size_t)(count + 7) / 8;
    if (cleared == count || cleared == 0)
        return put_run(cleared == 0, count, output);
    OTO_TRY(oto_buffer_append(output, "\0\0\0\0", 4));
    OTO_TRY(put_varint(output, groups << 1 | 1));
    OTO_TRY(oto_buffer_append(output, bits, groups));
    oto_store32(output->data + prefix, (uint32_t)(output->size - prefix - 4));
    return OTO_OK;
}

static enum oto_status put_array(const uint32_t *levels, uint32_t count, unsigned level_max,
                                 struct oto_buffer *output)
{
    size_t prefix = output->size;
    OTO_TRY(oto_buffer_append(output, "\0\0\0\0", 4));
    OTO_TRY(oto_rle_encode(levels, count, oto_bit_width(level_max), output));
    oto_store32(output->data + prefix, (uint32_t)(output->size - prefix - 4));
    return OTO_OK;
}

// --- columns ---
uint8_t *oto_parquet_level_bits(struct oto_buffer *buffer, uint32_t count)
{
    size_t size = (size_t)(count + 7) / 8;
    uint8_t *bits = oto_parquet_scratch_take(buffer, size + 8, 1);
    if (bits)
        memset(bits, 0xFF, size);
    return bits;
}

enum oto_status oto_parquet_levels_of_run(struct oto_parquet_file *file, uint32_t level,
                                          uint32_t count, struct oto_bytes *ret_levels)
{
    struct oto_buffer *levels = &file->scratch.levels;
    levels->size = 0;
    OTO_TRY(put_run(level, count, levels));
    *ret_levels = oto_buffer_view(levels);
    return OTO_OK;
}

enum oto_status oto_parquet_levels_of_bits(struct oto_parquet_file *file, const uint8_t *bits,
                                           uint32_t cleared, uint32_t count,
                                           struct oto_bytes *ret_levels)
{
    struct oto_buffer *levels = &file->scratch.levels;
    levels->size = 0;
    OTO_TRY(put_bits(bits, cleared, count, levels));
    *ret_levels = oto_buffer_view(levels);
    return OTO_OK;
}

// --- lists ---
// A whole group is packed: what lies past the end is zero.
static void end_bits(uint8_t *bits, uint32_t count)
{
    if (count % 8)
        bits[count / 8] &= (uint8_t)(0xFFu >> (8 - count % 8));
}

// Clears the bit where each row's levels begin, or (only_empty, a constant) where an empty list is;
// a word at a time, as most rows have few.
__attribute__((always_inline)) static inline void mark_lists(const uint32_t *outer,
                                                             const uint32_t *indices,
                                                             uint32_t row_count, int only_empty,
                                                             uint8_t *bits)
{
    uint64_t word = UINT64_MAX;
    uint32_t at = 0, entry = 0;
    for (uint32_t i = 0; i < row_count; i++) {
        uint32_t size = outer[indices[i] + 1] - outer[indices[i]];
        if (entry >> 6 != at) {
            oto_store64(bits + (size_t)at * 8, word);
            at = entry >> 6;
            word = UINT64_MAX;
        }
        word &= ~((uint64_t)(!only_empty || !size) << (entry & 63));
        entry += size ? size : 1;
    }
    oto_store64(bits + (size_t)at * 8, word);
    end_bits(bits, entry);
}

// One list: a bit a level. Definition is 0 where it is empty.
static enum oto_status put_lists(struct oto_parquet_file *file, const uint32_t *outer,
                                 const uint32_t *indices, const struct oto_parquet_page_rows *rows,
                                 struct oto_buffer *output)
{
    uint32_t empty_count = rows->entry_count - rows->value_count;
    uint8_t *repetition = oto_parquet_level_bits(&file->scratch.repetition, rows->entry_count);
    uint8_t *definition = oto_parquet_level_bits(&file->scratch.definition, rows->entry_count);
    if (!repetition || !definition)
        return OTO_NO_MEMORY;
    if (rows->entry_count != rows->row_count)
        mark_lists(outer, indices, rows->row_count, 0, repetition);
    if (empty_count && rows->value_count)
        mark_lists(outer, indices, rows->row_count, 1, definition);
    OTO_TRY(put_bits(repetition, rows->row_count, rows->entry_count, output));
    return put_bits(definition, empty_count, rows->entry_count, output);
}

// --- lists in lists: two bits a level, packed as they are made ---
#define PAIR_BITS 2
#define PAIRS_MAX 16 // put at once
#define EACH_PAIR 0x55555555u

struct pairs {
    uint64_t repetition;
    uint64_t definition;
    unsigned filled;        // bits of both, less than 8 between two calls
    uint8_t *repetition_at; // room for a word here
    uint8_t *definition_at;
    uint32_t count;
};

// Up to PAIRS_MAX levels, the first lowest, and nothing above them.
static inline void put_pairs(struct pairs *to, uint32_t repetition, uint32_t definition,
                             uint32_t count)
{
    to->repetition |= (uint64_t)repetition << to->filled;
    to->definition |= (uint64_t)definition << to->filled;
    to->filled += PAIR_BITS * count;
    to->count += count;
    oto_store64(to->repetition_at, to->repetition);
    oto_store64(to->definition_at, to->definition);
    unsigned whole = to->filled / 8;
    to->repetition_at += whole;
    to->definition_at += whole;
    to->repetition >>= 8 * whole;
    to->definition >>= 8 * whole;
    to->filled %= 8;
}

// One inner list: its values, or that it is empty, or (is_none) that there is none.
static inline void put_inner(struct pairs *to, uint32_t count, uint32_t repetition, int is_none)
{
    uint32_t some = count < PAIRS_MAX ? count : PAIRS_MAX;
    uint32_t levels = some + !some, each = EACH_PAIR >> (32 - PAIR_BITS * levels);
    put_pairs(to, (each & ~1u) * 2 | repetition, some ? each * 2 : !is_none, levels);
    for (count -= some; count; count -= some) {
        some = count < PAIRS_MAX ? count : PAIRS_MAX;
        each = EACH_PAIR >> (32 - PAIR_BITS * some);
        put_pairs(to, each * 2, each * 2, some);
    }
}

// Returns how many levels there are. Rows without a list go the way of those with one: a branch
// between them would be foretold wrong for many.
static uint32_t put_pairs_of_rows(const struct oto_parquet_leaf *leaf, const uint32_t *indices,
                                  uint32_t row_count, struct pairs to)
{
    const uint32_t *outer = leaf->outer, *inner = leaf->inner;
    for (uint32_t i = 0; i < row_count; i++) {
        uint32_t first = outer[indices[i]], end = outer[indices[i] + 1], j = first;
        do {
            uint32_t next = j < end ? j + 1 : j;
            put_inner(&to, inner[next] - inner[j], j > first, first == end);
            j = next;
        } while (j < end);
    }
    oto_store64(to.repetition_at, to.repetition);
    oto_store64(to.definition_at, to.definition);
    return to.count;
}

static enum oto_status append_pairs(const uint8_t *pairs, uint32_t count, struct oto_buffer *output)
{
    size_t prefix = output->size, groups = ((size_t)count + 7) / 8;
    OTO_TRY(oto_buffer_append(output, "\0\0\0\0", 4));
    OTO_TRY(put_varint(output, groups << 1 | 1));
    OTO_TRY(oto_buffer_append(output, pairs, groups * PAIR_BITS));
    oto_store32(output->data + prefix, (uint32_t)(output->size - prefix - 4));
    return OTO_OK;
}

static enum oto_status put_lists_in_lists(struct oto_parquet_file *file,
                                          const struct oto_parquet_leaf *leaf,
                                          const uint32_t *indices,
                                          struct oto_parquet_page_rows *rows,
                                          struct oto_buffer *output)
{
    struct oto_parquet_scratch *scratch = &file->scratch;
    size_t room = (size_t)rows->entry_count / (8 / PAIR_BITS) + 2 * sizeof(uint64_t);
    uint8_t *repetition = oto_parquet_scratch_take(&scratch->repetition, room, 1),
            *definition = oto_parquet_scratch_take(&scratch->definition, room, 1);
    if (!repetition || !definition)
        return OTO_NO_MEMORY;
    struct pairs to = {.repetition_at = repetition, .definition_at = definition};
    rows->entry_count = put_pairs_of_rows(leaf, indices, rows->row_count, to);
    OTO_TRY(append_pairs(repetition, rows->entry_count, output));
    return append_pairs(definition, rows->entry_count, output);
}

// --- lists of nullable elements, in lists perhaps ---
struct arrays {
    uint32_t *repetition;
    uint32_t *definition;
};

static inline void put_level(struct arrays *to, uint32_t repetition, uint32_t definition)
{
    *to->repetition++ = repetition;
    *to->definition++ = definition;
}

// validity: of the elements, NULL: all there.
static inline void put_elements(struct arrays *to, uint32_t first, uint32_t end,
                                uint32_t repetition, unsigned max_repetition,
                                unsigned max_definition, const uint8_t *validity)
{
    for (uint32_t i = first; i < end; i++, repetition = max_repetition) {
        unsigned is_null = validity && !(validity[i >> 3] >> (i & 7) & 1);
        put_level(to, repetition, max_definition - is_null);
    }
}

// Returns how many levels there are.
static uint32_t put_deep_rows(const struct oto_parquet_leaf *leaf, const uint32_t *indices,
                              uint32_t row_count, struct arrays to)
{
    const uint32_t *begin = to.definition;
    const uint32_t *outer = leaf->outer, *inner = leaf->inner;
    const uint8_t *validity = leaf->nullable ? leaf->column->validity : NULL;
    unsigned max_definition = leaf->max_definition;
    for (uint32_t i = 0; i < row_count; i++) {
        uint32_t first = outer[indices[i]], end = outer[indices[i] + 1];
        if (first == end)
            put_level(&to, 0, 0);
        else if (!inner)
            put_elements(&to, first, end, 0, 1, max_definition, validity);
        for (uint32_t j = first; inner && j < end; j++) {
            if (inner[j] == inner[j + 1])
                put_level(&to, j > first, 1);
            else
                put_elements(&to, inner[j], inner[j + 1], j > first, 2, max_definition, validity);
        }
    }
    return (uint32_t)(to.definition - begin);
}

int oto_parquet_lists_are_empty(const struct oto_parquet_file *file,
                                const struct oto_parquet_leaf *leaf)
{
    const struct oto_batch *batch = file->batch;
    uint32_t count = leaf->level ? batch->levels[leaf->level].count : batch->row_count;
    return leaf->outer && leaf->outer[count] == 0;
}

static enum oto_status put_deep(struct oto_parquet_file *file, const struct oto_parquet_leaf *leaf,
                                const uint32_t *indices, struct oto_parquet_page_rows *rows,
                                struct oto_buffer *output)
{
    struct oto_parquet_scratch *scratch = &file->scratch;
    if (oto_parquet_lists_are_empty(file, leaf)) {
        OTO_TRY(put_run(0, rows->entry_count, output));
        return put_run(0, rows->entry_count, output);
    }
    if (!leaf->nullable)
        return put_lists_in_lists(file, leaf, indices, rows, output);
    struct arrays to = {
        oto_parquet_scratch_take(&scratch->repetition, rows->entry_count, sizeof(uint32_t)),
        oto_parquet_scratch_take(&scratch->definition, rows->entry_count, sizeof(uint32_t))};
    if (!to.repetition || !to.definition)
        return OTO_NO_MEMORY;
    rows->entry_count = put_deep_rows(leaf, indices, rows->row_count, to);
    OTO_TRY(put_array(to.repetition, rows->entry_count, leaf->max_repetition, output));
    return put_array(to.definition, rows->entry_count, leaf->max_definition, output);
}

enum oto_status oto_parquet_levels_of_elements(struct oto_parquet_file *file,
                                               const struct oto_parquet_leaf *leaf,
                                               const uint32_t *indices,
                                               struct oto_parquet_page_rows *rows)
{
    struct oto_buffer *levels = &file->scratch.levels;
    levels->size = 0;
    OTO_TRY(put_deep(file, leaf, indices, rows, levels));
    rows->levels = oto_buffer_view(levels);
    return OTO_OK;
}

// --- kept for the next leaf ---
static int is_of(const struct oto_parquet_level_pages *pages, const struct oto_parquet_leaf *leaf)
{
    return pages->outer == leaf->outer && pages->inner == leaf->inner &&
           pages->level == leaf->level;
}

const struct oto_parquet_level_page *oto_parquet_levels_known(const struct oto_parquet_file *file,
                                                              const struct oto_parquet_leaf *leaf,
                                                              uint32_t first_row,
                                                              uint32_t row_count)
{
    const struct oto_parquet_level_pages *known = &file->level_pages[leaf->inner != NULL];
    const struct oto_parquet_level_page *pages = (const void *)known->pages.data;
    size_t low = 0, high = known->pages.size / sizeof *pages;
    if (!leaf->outer || leaf->nullable || !is_of(known, leaf))
        return NULL;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (pages[middle].first_row < first_row)
            low = middle + 1;
        else
            high = middle;
    }
    int is_there = low < known->pages.size / sizeof *pages && pages[low].first_row == first_row &&
                   pages[low].row_count == row_count;
    return is_there ? &pages[low] : NULL;
}

// Pages are noted in their order; one of a leaf whose pages begin elsewhere is not.
static enum oto_status note_page(struct oto_parquet_level_pages *known,
                                 const struct oto_parquet_page_rows *rows)
{
    size_t count = known->pages.size / sizeof(struct oto_parquet_level_page);
    const struct oto_parquet_level_page *pages = (const void *)known->pages.data;
    struct oto_parquet_level_page page = {
        rows->first_row,   rows->row_count,   rows->entry_count,
        rows->value_count, known->bytes.size, rows->levels.size,
    };
    if (count && pages[count - 1].first_row >= rows->first_row)
        return OTO_OK;
    OTO_TRY(oto_buffer_append(&known->bytes, rows->levels.data, rows->levels.size));
    return oto_buffer_append(&known->pages, &page, sizeof page);
}

enum oto_status oto_parquet_levels_of_lists(struct oto_parquet_file *file,
                                            const struct oto_parquet_leaf *leaf,
                                            const uint32_t *indices,
                                            struct oto_parquet_page_rows *rows)
{
    struct oto_parquet_level_pages *known = &file->level_pages[leaf->inner != NULL];
    struct oto_buffer *levels = &file->scratch.levels;
    const struct oto_parquet_level_page *page =
        oto_parquet_levels_known(file, leaf, rows->first_row, rows->row_count);
    if (page) {
        rows->entry_count = page->entry_count;
        rows->levels = oto_bytes(known->bytes.data + page->at, page->size);
        return OTO_OK;
    }
    levels->size = 0;
    if (leaf->inner)
        OTO_TRY(put_deep(file, leaf, indices, rows, levels));
    else
        OTO_TRY(put_lists(file, leaf->outer, indices, rows, levels));
    rows->levels = oto_buffer_view(levels);
    if (!is_of(known, leaf)) {
        known->outer = leaf->outer;
        known->inner = leaf->inner;
        known->level = leaf->level;
        known->pages.size = known->bytes.size = 0;
    }
    return note_page(known, rows);
}
