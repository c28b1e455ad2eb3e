// Minimum and maximum of pages whose dictionary is not sorted. The least and the greatest entries
// of the dictionary are found once; a page's minimum is the first of these that it has.
#include "parquet/parquet_internal.h"

#define EXTREMES 32 // of each kind

static int compare(const struct oto_parquet_leaf *leaf, const struct oto_parquet_distinct *a,
                   const struct oto_parquet_distinct *b)
{
    if (a->key != b->key || leaf->physical != OTO_PARQUET_BYTE_ARRAY)
        return a->key < b->key ? -1 : a->key > b->key;
    struct oto_bytes x = oto_parquet_distinct_bytes(leaf, a),
                     y = oto_parquet_distinct_bytes(leaf, b);
    size_t common = x.size < y.size ? x.size : y.size;
    int order = common ? memcmp(x.data, y.data, common) : 0;
    return order ? order : (x.size > y.size) - (x.size < y.size);
}

// Puts a code into a list of at most EXTREMES, before all that it comes before. sign: 1 for the
// least first, -1 for the greatest.
static uint32_t insert(const struct oto_parquet_leaf *leaf,
                       const struct oto_parquet_distinct *distinct, uint32_t code, int sign,
                       uint32_t *list, uint32_t count)
{
    uint32_t at = count < EXTREMES ? count : EXTREMES - 1;
    if (count == EXTREMES && sign * compare(leaf, &distinct[code], &distinct[list[at]]) >= 0)
        return count;
    for (; at && sign * compare(leaf, &distinct[code], &distinct[list[at - 1]]) < 0; at--)
        list[at] = list[at - 1];
    list[at] = code;
    return count < EXTREMES ? count + 1 : count;
}

enum oto_status oto_parquet_extremes_find(struct oto_parquet_file *file,
                                          const struct oto_parquet_plan *plan)
{
    const struct oto_parquet_distinct *distinct = (const void *)file->scratch.distinct.data;
    uint32_t *least =
        oto_parquet_scratch_take(&file->scratch.extremes, 2 * EXTREMES, sizeof *least);
    if (!least)
        return OTO_NO_MEMORY;
    uint32_t *most = least + EXTREMES, least_count = 0, most_count = 0;
    uint64_t least_key = UINT64_MAX, most_key = 0; // the last of each, once there are all
    for (uint32_t code = 0; code < plan->distinct_count; code++) {
        uint64_t key = distinct[code].key;
        if (__builtin_expect(key > least_key && key < most_key, 1))
            continue;
        if (key <= least_key)
            least_count = insert(plan->leaf, distinct, code, 1, least, least_count);
        if (key >= most_key)
            most_count = insert(plan->leaf, distinct, code, -1, most, most_count);
        if (least_count == EXTREMES)
            least_key = distinct[least[EXTREMES - 1]].key;
        if (most_count == EXTREMES)
            most_key = distinct[most[EXTREMES - 1]].key;
    }
    return OTO_OK;
}

// The first code that was seen, of the list or else of all.
static uint32_t first_seen(const struct oto_parquet_file *file, const struct oto_parquet_plan *plan,
                           const uint8_t *seen, const uint32_t *list, int sign)
{
    const struct oto_parquet_distinct *distinct = (const void *)file->scratch.distinct.data;
    uint32_t best = UINT32_MAX;
    for (uint32_t i = 0; i < EXTREMES && i < plan->distinct_count; i++) {
        if (seen[list[i]])
            return list[i];
    }
    for (uint32_t code = 0; code < plan->distinct_count; code++) {
        if (seen[code] && (best == UINT32_MAX ||
                           sign * compare(plan->leaf, &distinct[code], &distinct[best]) < 0))
            best = code;
    }
    return best;
}

void oto_parquet_extremes_seen(const struct oto_parquet_file *file,
                               const struct oto_parquet_plan *plan, const uint8_t *seen,
                               uint32_t *ret_min, uint32_t *ret_max)
{
    const uint32_t *least = (const void *)file->scratch.extremes.data;
    *ret_min = first_seen(file, plan, seen, least, 1);
    *ret_max = first_seen(file, plan, seen, least + EXTREMES, -1);
}
