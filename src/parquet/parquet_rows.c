// Rows to entries: which entry of a level each row has, which values of a leaf a page holds, and
// their levels (parquet-format, "Nested Encoding").
#include "codec/rle.h"
#include "parquet/parquet_internal.h"

static const struct oto_parquet_levels levels_zero = {OTO_PARQUET_LEVELS_RUN, 0, NULL};

void *oto_parquet_scratch_take(struct oto_buffer *buffer, size_t count, size_t element_size)
{
    buffer->size = 0;
    if (count > SIZE_MAX / element_size ||
        oto_buffer_reserve(buffer, count * element_size + (count == 0)) != OTO_OK)
        return NULL;
    return buffer->data;
}

static uint32_t *group_array(struct oto_parquet_file *file, uint32_t count)
{
    return oto_alloc(file->allocator, (size_t)count * sizeof(uint32_t));
}

// The level's entries in use, with the number of rows of each.
static enum oto_status group_uses(struct oto_parquet_file *file, unsigned level)
{
    struct oto_parquet_group *group = &file->group;
    uint32_t level_count = file->batch->levels[level].count;
    uint32_t *counts = oto_parquet_scratch_take(&file->scratch.counts, level_count, sizeof *counts);
    if (!counts)
        return OTO_NO_MEMORY;
    memset(counts, 0, (size_t)level_count * sizeof *counts);
    for (uint32_t i = 0; i < group->count; i++)
        counts[group->indices[level][i]]++;
    uint32_t used_count = 0;
    for (uint32_t i = 0; i < level_count; i++)
        used_count += counts[i] != 0;
    group->used_count[level] = used_count;
    group->used[level] = group_array(file, used_count);
    group->uses[level] = group_array(file, used_count);
    if (!group->used[level] || !group->uses[level])
        return OTO_NO_MEMORY;
    for (uint32_t i = 0, n = 0; i < level_count; i++) {
        if (counts[i]) {
            group->used[level][n] = i;
            group->uses[level][n++] = counts[i];
        }
    }
    return OTO_OK;
}

enum oto_status oto_parquet_group_level(struct oto_parquet_file *file, unsigned level)
{
    struct oto_parquet_group *group = &file->group;
    if (group->indices[level])
        return OTO_OK;
    group->indices[level] = group_array(file, group->count);
    if (!group->indices[level])
        return OTO_NO_MEMORY;
    const uint32_t *order = file->order ? file->order + group->first : NULL;
    oto_batch_level_indices(file->batch, level, order, group->first, group->count,
                            group->indices[level]);
    return level ? group_uses(file, level) : OTO_OK;
}

void oto_parquet_group_release(struct oto_parquet_file *file)
{
    struct oto_parquet_group *group = &file->group;
    for (unsigned i = 0; i < OTO_LEVEL_MAX; i++) {
        oto_free(file->allocator, group->indices[i], (size_t)group->count * sizeof(uint32_t));
        oto_free(file->allocator, group->used[i], (size_t)group->used_count[i] * sizeof(uint32_t));
        oto_free(file->allocator, group->uses[i], (size_t)group->used_count[i] * sizeof(uint32_t));
    }
    memset(group, 0, sizeof *group);
}

// --- page sizes ---
static uint32_t span(const uint32_t *offsets, uint32_t entry)
{
    return offsets[entry + 1] - offsets[entry];
}

// Levels of one row, and its values (nulls among them).
static uint32_t row_entries(const struct oto_parquet_leaf *leaf, uint32_t entry, uint32_t *values)
{
    uint32_t first = leaf->outer[entry], end = leaf->outer[entry + 1];
    if (!leaf->inner) {
        *values += end - first;
        return end == first ? 1 : end - first;
    }
    uint32_t count = end == first;
    for (uint32_t i = first; i < end; i++) {
        uint32_t size = span(leaf->inner, i);
        count += size ? size : 1;
    }
    *values += end == first ? 0 : leaf->inner[end] - leaf->inner[first];
    return count;
}

static uint64_t text_bytes(const struct oto_parquet_leaf *leaf, uint32_t first, uint32_t end)
{
    const uint32_t *codes = leaf->column->values;
    const struct oto_bytes *entries = leaf->column->dictionary->entries;
    uint64_t size = 0;
    for (uint32_t i = first; i < end; i++)
        size += 4 + entries[codes[i]].size;
    return size;
}

static uint64_t row_text_bytes(const struct oto_parquet_leaf *leaf, uint32_t entry)
{
    uint32_t first = leaf->outer[entry], end = leaf->outer[entry + 1];
    if (leaf->inner) {
        end = leaf->inner[end];
        first = leaf->inner[first];
    }
    return text_bytes(leaf, first, end);
}

static unsigned value_bytes(const struct oto_parquet_plan *plan)
{
    if (plan->encoding == OTO_PARQUET_RLE_DICTIONARY)
        return 2;
    unsigned id_size = oto_parquet_leaf_id_size(plan->leaf);
    return id_size ? 2 * id_size : 8;
}

// One value a row, no text: as many as fit.
static uint32_t size_fixed(uint32_t limit, uint64_t bytes_max, unsigned width)
{
    uint64_t count = bytes_max / width < limit ? bytes_max / width : limit;
    return count ? (uint32_t)count : 1;
}

static uint32_t size_text(const struct oto_parquet_leaf *leaf, const uint32_t *indices,
                          uint32_t limit, uint64_t bytes_max)
{
    const uint32_t *codes = leaf->column->values;
    const struct oto_bytes *entries = leaf->column->dictionary->entries;
    uint64_t bytes = 0;
    uint32_t count = 0;
    for (; count < limit && bytes <= bytes_max; count++)
        bytes += 4 + entries[codes[indices[count]]].size;
    return bytes > bytes_max && count > 1 ? count - 1 : count;
}

// Lists of elements that are not null, no text: 1 when all rows fit, the usual case.
static int size_lists(const struct oto_parquet_leaf *leaf, const uint32_t *indices, uint32_t limit,
                      uint64_t entries_max, struct oto_parquet_page_rows *rows,
                      uint32_t *ret_values)
{
    uint64_t values = 0;
    uint32_t empty_count = 0;
    for (uint32_t i = 0; i < limit; i++) {
        uint32_t size = span(leaf->outer, indices[i]);
        values += size;
        empty_count += !size;
    }
    rows->row_count = limit;
    rows->entry_count = (uint32_t)(values + empty_count);
    *ret_values = (uint32_t)values;
    return values + empty_count <= (entries_max < INT32_MAX ? entries_max : INT32_MAX);
}

static enum oto_status size_by_row(const struct oto_parquet_leaf *leaf, const uint32_t *indices,
                                   uint32_t limit, uint64_t bytes_max, unsigned width,
                                   struct oto_parquet_page_rows *rows, uint32_t *ret_values)
{
    uint64_t bytes = 0, entries = 0;
    uint32_t count = 0, values = 0;
    while (count < limit) {
        uint32_t row_values = 0;
        uint64_t row_levels = row_entries(leaf, indices[count], &row_values);
        bytes += width ? row_levels * width : row_text_bytes(leaf, indices[count]);
        if (count && bytes > bytes_max)
            break;
        entries += row_levels;
        values += row_values;
        count++;
    }
    if (entries > INT32_MAX)
        return OTO_TOO_LARGE;
    rows->row_count = count;
    rows->entry_count = (uint32_t)entries;
    *ret_values = values;
    return OTO_OK;
}

// Decides how many rows the page has; counts its levels, and its values (nulls among them).
static enum oto_status size_page(const struct oto_parquet_file *file,
                                 const struct oto_parquet_plan *plan, const uint32_t *indices,
                                 struct oto_parquet_page_rows *rows, uint32_t *ret_values)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    uint32_t left = file->group.count - rows->first_row;
    uint32_t limit = file->options->page_rows < left ? file->options->page_rows : left;
    uint64_t bytes_max = file->options->page_bytes;
    int is_plain_text =
        oto_parquet_leaf_is_text(leaf) && plan->encoding != OTO_PARQUET_RLE_DICTIONARY;
    unsigned width = is_plain_text ? 0 : value_bytes(plan);
    int is_list = leaf->outer && !leaf->inner && !leaf->nullable;
    if (is_list && !plan->value_count) { // empty lists only
        rows->row_count = rows->entry_count = limit;
        *ret_values = 0;
        return OTO_OK;
    }
    if (is_list && width && size_lists(leaf, indices, limit, bytes_max / width, rows, ret_values))
        return OTO_OK;
    if (leaf->outer)
        return size_by_row(leaf, indices, limit, bytes_max, width, rows, ret_values);
    rows->row_count =
        width ? size_fixed(limit, bytes_max, width) : size_text(leaf, indices, limit, bytes_max);
    *ret_values = rows->entry_count = rows->row_count;
    return OTO_OK;
}

// --- levels ---
static struct oto_parquet_levels levels_of_bits(const uint8_t *bits, uint32_t cleared,
                                                uint32_t count)
{
    if (cleared == count || cleared == 0)
        return (struct oto_parquet_levels){OTO_PARQUET_LEVELS_RUN, cleared == 0, NULL};
    return (struct oto_parquet_levels){OTO_PARQUET_LEVELS_BITS, 0, bits};
}

static uint8_t *take_bits(struct oto_buffer *buffer, uint32_t count)
{
    size_t size = (size_t)(count + 7) / 8;
    uint8_t *bits = oto_parquet_scratch_take(buffer, size + 8, 1); // whole words may be stored
    if (bits)
        memset(bits, 0xFF, size);
    return bits;
}

// A whole group is packed: what lies past the end is zero.
static void end_bits(uint8_t *bits, uint32_t count)
{
    if (count % 8)
        bits[count / 8] &= (uint8_t)(0xFFu >> (8 - count % 8));
}

// A nullable column: positions of the values that are there.
static enum oto_status take_nullable(struct oto_parquet_file *file,
                                     const struct oto_parquet_leaf *leaf, const uint32_t *indices,
                                     struct oto_parquet_page_rows *rows)
{
    uint32_t count = rows->row_count, n = 0;
    uint32_t *positions =
        oto_parquet_scratch_take(&file->scratch.positions, count, sizeof *positions);
    uint8_t *bits = take_bits(&file->scratch.definition, count);
    if (!positions || !bits)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < count;) {
        uint64_t word = 0;
        uint32_t end = i + 64 < count ? i + 64 : count;
        for (unsigned bit = 0; i < end; i++, bit++) {
            uint32_t is_valid = leaf->column->validity[indices[i] >> 3] >> (indices[i] & 7) & 1u;
            positions[n] = indices[i];
            n += is_valid;
            word |= (uint64_t)is_valid << bit;
        }
        oto_store64(bits + (size_t)((i - 1) >> 6) * 8, word);
    }
    rows->positions = positions;
    rows->value_count = n;
    rows->definition = levels_of_bits(bits, count - n, count);
    return OTO_OK;
}

static enum oto_status take_flat(struct oto_parquet_file *file, const struct oto_parquet_leaf *leaf,
                                 const uint32_t *indices, struct oto_parquet_page_rows *rows)
{
    if (leaf->nullable && leaf->column->null_count == leaf->column->length) {
        rows->definition = levels_zero;
        rows->value_count = 0;
        return OTO_OK;
    }
    if (leaf->nullable && leaf->column->null_count && leaf->column->validity)
        return take_nullable(file, leaf, indices, rows);
    rows->positions = indices;
    rows->value_count = rows->row_count;
    rows->definition.run = leaf->max_definition;
    return OTO_OK;
}

// Clears the bit where each row's levels begin; a word at a time, as most rows have few.
static void mark_rows(const uint32_t *outer, const uint32_t *indices, uint32_t row_count,
                      uint8_t *bits)
{
    uint64_t word = UINT64_MAX;
    uint32_t at = 0, entry = 0;
    for (uint32_t i = 0; i < row_count; i++) {
        uint32_t size = span(outer, indices[i]);
        if (entry >> 6 != at) {
            oto_store64(bits + (size_t)at * 8, word);
            at = entry >> 6;
            word = UINT64_MAX;
        }
        word &= ~((uint64_t)1 << (entry & 63));
        entry += size ? size : 1;
    }
    oto_store64(bits + (size_t)at * 8, word);
    end_bits(bits, entry);
}

static void mark_empty(const uint32_t *outer, const uint32_t *indices, uint32_t row_count,
                       uint8_t *bits)
{
    uint64_t word = UINT64_MAX;
    uint32_t at = 0, entry = 0;
    for (uint32_t i = 0; i < row_count; i++) {
        uint32_t size = span(outer, indices[i]);
        if (entry >> 6 != at) {
            oto_store64(bits + (size_t)at * 8, word);
            at = entry >> 6;
            word = UINT64_MAX;
        }
        word &= ~((uint64_t)!size << (entry & 63));
        entry += size ? size : 1;
    }
    oto_store64(bits + (size_t)at * 8, word);
    end_bits(bits, entry);
}

static void fill_positions(const uint32_t *outer, const uint32_t *indices, uint32_t row_count,
                           uint32_t *positions)
{
    for (uint32_t i = 0; i < row_count; i++) {
        for (uint32_t j = outer[indices[i]]; j < outer[indices[i] + 1]; j++)
            *positions++ = j;
    }
}

// One list with required elements. A bit a level: repetition is 0 where a row begins, definition 0
// where it is empty.
static enum oto_status take_list(struct oto_parquet_file *file, const struct oto_parquet_plan *plan,
                                 const uint32_t *indices, struct oto_parquet_page_rows *rows)
{
    const uint32_t *outer = plan->leaf->outer;
    uint32_t empty_count = rows->entry_count - rows->value_count;
    int needs_positions = !oto_parquet_codes_by_row(plan->code_source);
    struct oto_parquet_scratch *scratch = &file->scratch;
    uint8_t *repetition = take_bits(&scratch->repetition, rows->entry_count);
    uint8_t *definition = take_bits(&scratch->definition, rows->entry_count);
    uint32_t *positions = oto_parquet_scratch_take(
        &scratch->positions, needs_positions ? rows->value_count : 0, sizeof *positions);
    if (!repetition || !definition || !positions)
        return OTO_NO_MEMORY;
    if (rows->entry_count != rows->row_count)
        mark_rows(outer, indices, rows->row_count, repetition);
    if (empty_count && rows->value_count)
        mark_empty(outer, indices, rows->row_count, definition);
    if (needs_positions)
        fill_positions(outer, indices, rows->row_count, positions);
    rows->positions = positions;
    rows->repetition = levels_of_bits(repetition, rows->row_count, rows->entry_count);
    rows->definition = levels_of_bits(definition, empty_count, rows->entry_count);
    return OTO_OK;
}

// Levels that need two bits, or nullable elements.
struct deep {
    const struct oto_parquet_leaf *leaf;
    uint32_t *repetition;
    uint32_t *definition;
    uint32_t *positions;
    uint32_t entry_count;
    uint32_t value_count;
};

static void deep_level(struct deep *deep, uint32_t repetition, uint32_t definition)
{
    deep->repetition[deep->entry_count] = repetition;
    deep->definition[deep->entry_count++] = definition;
}

static void deep_value(struct deep *deep, uint32_t repetition, uint32_t position)
{
    int is_valid = !deep->leaf->nullable || oto_column_valid(deep->leaf->column, position);
    deep_level(deep, repetition, deep->leaf->max_definition - (is_valid ? 0u : 1u));
    deep->positions[deep->value_count] = position;
    deep->value_count += (uint32_t)is_valid;
}

static void deep_row(struct deep *deep, uint32_t entry)
{
    const uint32_t *outer = deep->leaf->outer, *inner = deep->leaf->inner;
    uint32_t repetition = 0;
    if (outer[entry] == outer[entry + 1])
        deep_level(deep, 0, 0);
    for (uint32_t i = outer[entry]; i < outer[entry + 1]; i++, repetition = 1) {
        if (!inner) {
            deep_value(deep, repetition, i);
            continue;
        }
        if (inner[i] == inner[i + 1])
            deep_level(deep, repetition, 1);
        for (uint32_t j = inner[i]; j < inner[i + 1]; j++, repetition = 2)
            deep_value(deep, repetition, j);
    }
}

static enum oto_status take_deep(struct oto_parquet_file *file, const struct oto_parquet_leaf *leaf,
                                 const uint32_t *indices, struct oto_parquet_page_rows *rows)
{
    struct oto_parquet_scratch *scratch = &file->scratch;
    struct deep deep = {.leaf = leaf};
    deep.repetition =
        oto_parquet_scratch_take(&scratch->repetition, rows->entry_count, sizeof(uint32_t));
    deep.definition =
        oto_parquet_scratch_take(&scratch->definition, rows->entry_count, sizeof(uint32_t));
    deep.positions =
        oto_parquet_scratch_take(&scratch->positions, rows->value_count + 1, sizeof(uint32_t));
    if (!deep.repetition || !deep.definition || !deep.positions)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < rows->row_count; i++)
        deep_row(&deep, indices[i]);
    rows->positions = deep.positions;
    rows->value_count = deep.value_count;
    rows->repetition = (struct oto_parquet_levels){OTO_PARQUET_LEVELS_ARRAY, 0, deep.repetition};
    rows->definition = (struct oto_parquet_levels){OTO_PARQUET_LEVELS_ARRAY, 0, deep.definition};
    return OTO_OK;
}

enum oto_status oto_parquet_rows_take(struct oto_parquet_file *file,
                                      const struct oto_parquet_plan *plan, uint32_t first_row,
                                      struct oto_parquet_page_rows *ret_rows)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    const uint32_t *indices = file->group.indices[leaf->level] + first_row;
    struct oto_parquet_page_rows rows = {.first_row = first_row};
    OTO_TRY(size_page(file, plan, indices, &rows, &rows.value_count));
    if (!leaf->outer)
        OTO_TRY(take_flat(file, leaf, indices, &rows));
    else if (!leaf->inner && !leaf->nullable)
        OTO_TRY(take_list(file, plan, indices, &rows));
    else
        OTO_TRY(take_deep(file, leaf, indices, &rows));
    *ret_rows = rows;
    return OTO_OK;
}

// --- level streams ---
static enum oto_status append_varint(struct oto_buffer *output, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        OTO_TRY(oto_buffer_append_byte(output, (uint8_t)(value | 0x80)));
    return oto_buffer_append_byte(output, (uint8_t)value);
}

enum oto_status oto_parquet_levels_write(const struct oto_parquet_levels *levels, uint32_t count,
                                         unsigned level_max, struct oto_buffer *output)
{
    if (!level_max)
        return OTO_OK;
    size_t prefix = output->size;
    OTO_TRY(oto_buffer_append(output, "\0\0\0\0", 4));
    if (levels->form == OTO_PARQUET_LEVELS_RUN) {
        OTO_TRY(append_varint(output, (uint64_t)count << 1));
        OTO_TRY(oto_buffer_append_byte(output, (uint8_t)levels->run));
    } else if (levels->form == OTO_PARQUET_LEVELS_BITS && level_max == 1) {
        size_t groups = (size_t)(count + 7) / 8;
        OTO_TRY(append_varint(output, groups << 1 | 1));
        OTO_TRY(oto_buffer_append(output, levels->data, groups));
    } else if (levels->form == OTO_PARQUET_LEVELS_ARRAY) {
        OTO_TRY(oto_rle_encode(levels->data, count, oto_bit_width(level_max), output));
    } else {
        return OTO_INTERNAL;
    }
    oto_store32(output->data + prefix, (uint32_t)(output->size - prefix - 4));
    return OTO_OK;
}
