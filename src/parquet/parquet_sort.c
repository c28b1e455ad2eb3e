// What a dictionary's entries are, and their order.
#include "parquet/parquet_internal.h"

struct oto_bytes oto_parquet_id_at(const struct oto_parquet_leaf *leaf, uint32_t position)
{
    unsigned size = oto_parquet_leaf_id_size(leaf);
    const uint8_t *values = leaf->column->values;
    return oto_bytes(values + (size_t)position * size,
                     oto_column_valid(leaf->column, position) ? size : 0);
}

struct oto_bytes oto_parquet_distinct_bytes(const struct oto_parquet_leaf *leaf,
                                            const struct oto_parquet_distinct *distinct)
{
    if (oto_parquet_leaf_is_text(leaf))
        return leaf->column->dictionary->entries[distinct->position];
    return oto_parquet_id_at(leaf, distinct->position);
}

static int is_after(const struct oto_parquet_leaf *leaf, const struct oto_parquet_distinct *a,
                    const struct oto_parquet_distinct *b)
{
    if (a->key != b->key || leaf->physical != OTO_PARQUET_BYTE_ARRAY)
        return a->key > b->key;
    struct oto_bytes x = oto_parquet_distinct_bytes(leaf, a),
                     y = oto_parquet_distinct_bytes(leaf, b);
    size_t common = x.size < y.size ? x.size : y.size;
    int order = common ? memcmp(x.data, y.data, common) : 0;
    return order ? order > 0 : x.size > y.size;
}

static void insertion_sort(const struct oto_parquet_leaf *leaf, struct oto_parquet_distinct *items,
                           size_t count)
{
    for (size_t i = 1; i < count; i++) {
        struct oto_parquet_distinct item = items[i];
        size_t j = i;
        for (; j && is_after(leaf, &items[j - 1], &item); j--)
            items[j] = items[j - 1];
        items[j] = item;
    }
}

static void merge(const struct oto_parquet_leaf *leaf, const struct oto_parquet_distinct *from,
                  size_t first, size_t middle, size_t end, struct oto_parquet_distinct *to)
{
    size_t left = first, right = middle;
    for (size_t i = first; i < end; i++) {
        int take_right =
            left == middle || (right < end && is_after(leaf, &from[left], &from[right]));
        to[i] = from[take_right ? right++ : left++];
    }
}

// By merging runs bottom up.
enum oto_status oto_parquet_distinct_sort(struct oto_parquet_file *file,
                                          struct oto_parquet_plan *plan)
{
    enum { RUN = 16 };
    size_t count = plan->distinct_count;
    plan->is_sorted = count <= OTO_PARQUET_SORTED_MAX;
    if (!plan->is_sorted)
        return OTO_OK;
    struct oto_buffer *distinct = &file->scratch.distinct;
    struct oto_parquet_distinct *from = (void *)distinct->data;
    struct oto_parquet_distinct *to =
        oto_parquet_scratch_take(&file->scratch.sorting, count, sizeof *to);
    if (!to)
        return OTO_NO_MEMORY;
    for (size_t i = 0; i < count; i += RUN)
        insertion_sort(plan->leaf, from + i, count - i < RUN ? count - i : RUN);
    for (size_t width = RUN; width < count; width *= 2) {
        for (size_t i = 0; i < count; i += 2 * width) {
            size_t middle = i + width < count ? i + width : count;
            size_t end = middle + width < count ? middle + width : count;
            merge(plan->leaf, from, i, middle, end, to);
        }
        struct oto_parquet_distinct *swap = from;
        from = to;
        to = swap;
    }
    if ((void *)from != (void *)distinct->data)
        memcpy(distinct->data, from, count * sizeof *from);
    return OTO_OK;
}
