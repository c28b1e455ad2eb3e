// How many rows a row group has. What many rows share counts for each of them: a resource with
// thousands of attributes makes more values of its rows than a row group may have.
#include "parquet/parquet_internal.h"

#define ROWS_AT_ONCE 256u

static uint32_t list_size(const struct oto_parquet_leaf *leaf, uint32_t entry)
{
    uint32_t first = leaf->outer[entry], end = leaf->outer[entry + 1];
    return leaf->inner ? leaf->inner[end] - leaf->inner[first] : end - first;
}

// The next leaf of lists from *i on that are not those of the leaf before; NULL: no more.
static const struct oto_parquet_leaf *next_lists(const struct oto_parquet_file *file, uint32_t *i)
{
    const struct oto_parquet_leaf *leaf, *before;
    for (; *i < file->leaf_count; (*i)++) {
        leaf = oto_parquet_file_leaf(file, *i);
        before = *i ? leaf - 1 : NULL;
        if (leaf->outer &&
            !(before && before->outer == leaf->outer && before->inner == leaf->inner)) {
            (*i)++;
            return leaf;
        }
    }
    return NULL;
}

// As many values as `rows` of the batch can have at most: each row's own are there once, shared
// ones once a row.
static uint64_t values_at_most(const struct oto_parquet_file *file,
                               const struct oto_parquet_leaf *leaf, uint32_t rows)
{
    uint32_t count = file->batch->levels[leaf->level].count, longest = 0;
    uint64_t all = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = list_size(leaf, i);
        longest = size > longest ? size : longest;
        all += size;
    }
    return leaf->level ? (uint64_t)longest * rows : all;
}

int oto_parquet_may_be_cut(const struct oto_parquet_file *file, uint32_t count)
{
    const struct oto_parquet_options *options = file->options;
    const struct oto_parquet_leaf *leaf;
    uint32_t rows = count < options->row_group_rows ? count : options->row_group_rows;
    for (uint32_t i = 0; (leaf = next_lists(file, &i));)
        if (values_at_most(file, leaf, rows) > options->row_group_values)
            return 1;
    return 0;
}

static uint32_t rows_of_lists(const struct oto_parquet_file *file,
                              const struct oto_parquet_leaf *leaf, uint32_t first, uint32_t count)
{
    uint32_t indices[ROWS_AT_ONCE];
    uint64_t values = 0;
    for (uint32_t row = 0, some; row < count; row += some) {
        const uint32_t *order = file->order ? file->order + first + row : NULL;
        some = count - row < ROWS_AT_ONCE ? count - row : ROWS_AT_ONCE;
        oto_batch_level_indices(file->batch, leaf->level, order, first + row, some, indices);
        for (uint32_t i = 0; i < some; i++) {
            values += list_size(leaf, indices[i]);
            if (values > file->options->row_group_values)
                return row + i ? row + i : 1;
        }
    }
    return count;
}

uint32_t oto_parquet_cut(const struct oto_parquet_file *file, uint32_t first, uint32_t count)
{
    const struct oto_parquet_leaf *leaf;
    for (uint32_t i = 0; (leaf = next_lists(file, &i));)
        count = rows_of_lists(file, leaf, first, count);
    return count;
}
