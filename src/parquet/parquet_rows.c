// Rows to entries: which entry of a level each row has, which values of a leaf a page holds, and
// their levels (parquet-format, "Nested Encoding").
#include "codec/rle.h"
#include "parquet/parquet_internal.h"

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

// Levels of one row, and its values (nulls among them). Of lists in lists as many as there may be:
// they are counted where they are made.
static uint32_t row_entries(const struct oto_parquet_leaf *leaf, uint32_t entry, uint32_t *values)
{
    uint32_t first = leaf->outer[entry], end = leaf->outer[entry + 1], size = end - first;
    if (leaf->inner) {
        uint32_t inner_size = leaf->inner[end] - leaf->inner[first];
        *values += inner_size;
        return inner_size + size + 1;
    }
    *values += size;
    return size ? size : 1;
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

// One value a row, no text: as many as fit into less than a page of text may have. A reader that
// wants one row decompresses a page of each column, and these lose next to nothing by being small,
// but for doubles, whose pages each choose an encoding.
#define FIXED_SHARE 16

static uint32_t size_fixed(const struct oto_parquet_leaf *leaf, uint32_t limit, uint64_t bytes_max,
                           unsigned width)
{
    uint64_t most = leaf->type == OTO_TYPE_DOUBLE ? bytes_max : bytes_max / FIXED_SHARE,
             count = most / width < limit ? most / width : limit;
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
    const uint32_t *outer = leaf->outer, *inner = leaf->inner;
    uint64_t values = 0, others = 0; // entries that are no values
    for (uint32_t i = 0; !inner && i < limit; i++) {
        uint32_t size = span(outer, indices[i]);
        values += size;
        others += !size;
    }
    for (uint32_t i = 0; inner && i < limit; i++) {
        uint32_t first = outer[indices[i]], end = outer[indices[i] + 1];
        values += inner[end] - inner[first];
        others += end - first + 1;
    }
    rows->row_count = limit;
    rows->entry_count = (uint32_t)(values + others);
    *ret_values = (uint32_t)values;
    return values + others <= (entries_max < INT32_MAX ? entries_max : INT32_MAX);
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

// Decides how many rows the page has; counts its levels, and its values (nulls among them). The
// leaf before with the same lists may have been through this.
static enum oto_status size_page(const struct oto_parquet_file *file,
                                 const struct oto_parquet_plan *plan, const uint32_t *indices,
                                 struct oto_parquet_page_rows *rows, uint32_t *ret_values)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    uint32_t left = file->group.count - rows->first_row;
    uint32_t limit = file->options->page_rows < left ? file->options->page_rows : left;
    uint64_t bytes_max = file->options->page_bytes;
    int is_plain_text = plan->value_count && oto_parquet_leaf_is_text(leaf) &&
                        plan->encoding != OTO_PARQUET_RLE_DICTIONARY;
    unsigned width = is_plain_text ? 0 : value_bytes(plan);
    const struct oto_parquet_level_page *known =
        width ? oto_parquet_levels_known(file, leaf, rows->first_row, limit) : NULL;
    if (known && known->entry_count <= bytes_max / width) {
        rows->row_count = limit;
        rows->entry_count = known->entry_count;
        *ret_values = known->value_count;
        return OTO_OK;
    }
    int is_list = leaf->outer && !leaf->nullable;
    if ((is_list && !leaf->inner && !plan->value_count) ||
        oto_parquet_lists_are_empty(file, leaf)) {
        rows->row_count = rows->entry_count = limit;
        *ret_values = 0;
        return OTO_OK;
    }
    if (is_list && width && size_lists(leaf, indices, limit, bytes_max / width, rows, ret_values))
        return OTO_OK;
    if (leaf->outer)
        return size_by_row(leaf, indices, limit, bytes_max, width, rows, ret_values);
    rows->row_count = width ? size_fixed(leaf, limit, bytes_max, width)
                            : size_text(leaf, indices, limit, bytes_max);
    *ret_values = rows->entry_count = rows->row_count;
    return OTO_OK;
}

// --- positions ---
// A nullable column: positions of the values that are there, and the bits of their levels.
static enum oto_status take_nullable(struct oto_parquet_file *file,
                                     const struct oto_parquet_leaf *leaf, const uint32_t *indices,
                                     struct oto_parquet_page_rows *rows)
{
    const uint8_t *validity = leaf->column->validity;
    uint32_t count = rows->row_count, n = 0;
    uint32_t *positions =
        oto_parquet_scratch_take(&file->scratch.positions, count, sizeof *positions);
    uint8_t *bits = oto_parquet_level_bits(&file->scratch.definition, count);
    if (!positions || !bits)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < count;) {
        uint64_t word = 0;
        uint32_t end = i + 64 < count ? i + 64 : count;
        for (unsigned bit = 0; i < end; i++, bit++) {
            uint32_t index = indices[i],
                     is_valid = (uint32_t)validity[index >> 3] >> (index & 7) & 1;
            positions[n] = index;
            n += is_valid;
            word |= (uint64_t)is_valid << bit;
        }
        oto_store64(bits + (size_t)((i - 1) >> 6) * 8, word);
    }
    rows->positions = positions;
    rows->value_count = n;
    return oto_parquet_levels_of_bits(file, bits, count - n, count, &rows->levels);
}

static enum oto_status take_flat(struct oto_parquet_file *file, const struct oto_parquet_leaf *leaf,
                                 const uint32_t *indices, struct oto_parquet_page_rows *rows)
{
    if (leaf->nullable && leaf->column->null_count == leaf->column->length) {
        rows->value_count = 0;
        return oto_parquet_levels_of_run(file, 0, rows->row_count, &rows->levels);
    }
    if (leaf->nullable && leaf->column->null_count && leaf->column->validity)
        return take_nullable(file, leaf, indices, rows);
    rows->positions = indices;
    rows->value_count = rows->row_count;
    if (!leaf->max_definition)
        return OTO_OK;
    return oto_parquet_levels_of_run(file, leaf->max_definition, rows->row_count, &rows->levels);
}

// So many positions are written at once: most lists are shorter, and a loop that ends anywhere is
// foretold wrong for each.
#define POSITIONS_STEP 8u

static inline uint32_t *put_positions_of(uint32_t first, uint32_t end, uint32_t *positions)
{
    uint32_t *at = positions;
    for (uint32_t position = first;; at += POSITIONS_STEP) {
#pragma GCC unroll 8
        for (uint32_t i = 0; i < POSITIONS_STEP; i++)
            at[i] = position + i;
        position += POSITIONS_STEP;
        if (position >= end)
            return positions + (end - first);
    }
}

// Values of lists, of lists in lists too, lie one behind the other. There is room for a step more.
static uint32_t *put_positions(const struct oto_parquet_leaf *leaf, const uint32_t *indices,
                               uint32_t row_count, uint32_t *positions)
{
    const uint32_t *outer = leaf->outer, *inner = leaf->inner;
    for (uint32_t i = 0; !inner && i < row_count; i++)
        positions = put_positions_of(outer[indices[i]], outer[indices[i] + 1], positions);
    for (uint32_t i = 0; inner && i < row_count; i++)
        positions =
            put_positions_of(inner[outer[indices[i]]], inner[outer[indices[i] + 1]], positions);
    return positions;
}

static enum oto_status take_lists(struct oto_parquet_file *file,
                                  const struct oto_parquet_plan *plan, const uint32_t *indices,
                                  struct oto_parquet_page_rows *rows)
{
    int needs_positions = plan->value_count && !oto_parquet_codes_by_row(plan->code_source);
    uint32_t *positions = oto_parquet_scratch_take(
        &file->scratch.positions, needs_positions ? (size_t)rows->value_count + POSITIONS_STEP : 0,
        sizeof *positions);
    if (!positions)
        return OTO_NO_MEMORY;
    if (needs_positions)
        put_positions(plan->leaf, indices, rows->row_count, positions);
    rows->positions = positions;
    return oto_parquet_levels_of_lists(file, plan->leaf, indices, rows);
}

// Lists of nullable elements.
static enum oto_status take_nullable_elements(struct oto_parquet_file *file,
                                              const struct oto_parquet_leaf *leaf,
                                              const uint32_t *indices,
                                              struct oto_parquet_page_rows *rows)
{
    uint32_t *positions = oto_parquet_scratch_take(
        &file->scratch.positions, (size_t)rows->value_count + POSITIONS_STEP, sizeof *positions);
    if (!positions)
        return OTO_NO_MEMORY;
    OTO_TRY(oto_parquet_levels_of_elements(file, leaf, indices, rows));
    const uint32_t *end = put_positions(leaf, indices, rows->row_count, positions);
    uint32_t n = 0;
    for (const uint32_t *position = positions; position < end; position++) {
        positions[n] = *position;
        n += (uint32_t)oto_column_valid(leaf->column, *position);
    }
    rows->positions = positions;
    rows->value_count = n;
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
    else if (!leaf->nullable)
        OTO_TRY(take_lists(file, plan, indices, &rows));
    else
        OTO_TRY(take_nullable_elements(file, leaf, indices, &rows));
    *ret_rows = rows;
    return OTO_OK;
}
