// Compares the rows of two batches of one table, whatever levels they lie in. For tests and fuzz
// targets alike: no assertion of its own.
#ifndef OTO_TESTS_OTLP_ROWS_H
#define OTO_TESTS_OTLP_ROWS_H

#include "columns/column.h"
#include <stdlib.h>

static inline int rows_same_scalar(const struct oto_column *a, uint32_t i,
                                   const struct oto_column *b, uint32_t k)
{
    static const size_t sizes[] = {
        [OTO_TYPE_BOOL] = 1, [OTO_TYPE_INT32] = 4, [OTO_TYPE_INT64] = 8, [OTO_TYPE_DOUBLE] = 8,
        [OTO_TYPE_TIME] = 8, [OTO_TYPE_ID16] = 16, [OTO_TYPE_ID8] = 8};
    if (oto_column_valid(a, i) != oto_column_valid(b, k))
        return 0;
    if (!oto_column_valid(a, i))
        return 1;
    if (a->dictionary)
        return oto_bytes_equal(a->dictionary->entries[((const uint32_t *)a->values)[i]],
                               b->dictionary->entries[((const uint32_t *)b->values)[k]]);
    size_t size = sizes[a->field->type];
    return memcmp((const uint8_t *)a->values + i * size, (const uint8_t *)b->values + k * size,
                  size) == 0;
}

// Entries i and k, with all that lies in them: children of a list are no lists again, but maps.
static inline int rows_same_entry(const struct oto_column *a, uint32_t i,
                                  const struct oto_column *b, uint32_t k, int depth)
{
    if (!a->offsets)
        return rows_same_scalar(a, i, b, k);
    uint32_t count = a->offsets[i + 1] - a->offsets[i];
    if (count != b->offsets[k + 1] - b->offsets[k] || depth > 2)
        return 0;
    for (uint32_t c = 0; c < a->child_count; c++)
        for (uint32_t n = 0; n < count; n++)
            if (!rows_same_entry(&a->children[c], a->offsets[i] + n, &b->children[c],
                                 b->offsets[k] + n, depth + 1))
                return 0;
    return 1;
}

static inline uint32_t rows_entry(const struct oto_batch *batch, uint32_t row, uint32_t level)
{
    for (uint32_t l = 0; l < level; l++)
        row = batch->levels[l].link[row];
    return row;
}

// The name of a column in which the rows [0, count) of a and b differ; NULL: in none.
static inline const char *rows_differ(const struct oto_batch *a, const struct oto_batch *b)
{
    if (a->row_count != b->row_count)
        return "(count)";
    for (uint32_t f = 0; f < a->schema->field_count; f++) {
        const struct oto_column *one = &a->columns[f], *other = &b->columns[f];
        for (uint32_t row = 0; row < a->row_count; row++)
            if (!rows_same_entry(one, rows_entry(a, row, one->level), other,
                                 rows_entry(b, row, other->level), 0))
                return a->schema->fields[f]->name;
    }
    return NULL;
}

#endif
