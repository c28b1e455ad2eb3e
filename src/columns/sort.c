#include "columns/sort.h"

#define RADIX_BITS 11u
#define RADIX_MIN 512u // below, merging is faster than counting
#define RUN 16u        // sorted by insertion before merging

static int text_less(struct oto_bytes a, struct oto_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order < 0 : a.size < b.size;
}

static inline int less(const struct oto_sort_item *a, const struct oto_sort_item *b, const struct oto_bytes *texts)
{
    if (a->key != b->key)
        return a->key < b->key;
    return texts && text_less(texts[a->index], texts[b->index]);
}

static void sort_by_insertion(struct oto_sort_item *items, uint32_t count, const struct oto_bytes *texts)
{
    for (uint32_t i = 1; i < count; i++) {
        struct oto_sort_item item = items[i];
        uint32_t at = i;
        for (; at > 0 && less(&item, &items[at - 1], texts); at--)
            items[at] = items[at - 1];
        items[at] = item;
    }
}

// Merges the neighbours items[0, middle) and items[middle, count).
static void merge(struct oto_sort_item *items, uint32_t middle, uint32_t count, struct oto_sort_item *scratch,
                  const struct oto_bytes *texts)
{
    if (!less(&items[middle], &items[middle - 1], texts))
        return;
    memcpy(scratch, items, middle * sizeof *items);
    uint32_t left = 0, right = middle, at = 0;
    while (left < middle && right < count)
        items[at++] = less(&items[right], &scratch[left], texts) ? items[right++] : scratch[left++];
    memcpy(items + at, scratch + left, (middle - left) * sizeof *items);
}

static void sort_by_merging(struct oto_sort_item *items, struct oto_sort_item *scratch, uint32_t count,
                            const struct oto_bytes *texts)
{
    for (uint32_t at = 0; at < count; at += RUN)
        sort_by_insertion(items + at, count - at < RUN ? count - at : RUN, texts);
    for (uint64_t width = RUN; width < count; width *= 2) {
        for (uint64_t at = 0; at + width < count; at += 2 * width) {
            uint64_t size = count - at < 2 * width ? count - at : 2 * width;
            merge(items + at, (uint32_t)width, (uint32_t)size, scratch, texts);
        }
    }
}

static void radix_pass(const struct oto_sort_item *from, struct oto_sort_item *to, uint32_t count, unsigned shift)
{
    uint32_t places[1u << RADIX_BITS] = {0}, sum = 0;
    const uint64_t mask = (1u << RADIX_BITS) - 1;
    for (uint32_t i = 0; i < count; i++)
        places[from[i].key >> shift & mask]++;
    for (uint32_t digit = 0; digit <= mask; digit++) {
        uint32_t here = places[digit];
        places[digit] = sum;
        sum += here;
    }
    for (uint32_t i = 0; i < count; i++)
        to[places[from[i].key >> shift & mask]++] = from[i];
}

// By key alone: a pass for each group of bits that differ.
static void sort_by_radix(struct oto_sort_item *items, struct oto_sort_item *scratch, uint32_t count)
{
    struct oto_sort_item *from = items, *to = scratch;
    uint64_t differ = 0;
    for (uint32_t i = 1; i < count; i++)
        differ |= items[i].key ^ items[0].key;
    while (differ) {
        unsigned shift = (unsigned)__builtin_ctzll(differ);
        radix_pass(from, to, count, shift);
        differ &= shift + RADIX_BITS < 64 ? UINT64_MAX << (shift + RADIX_BITS) : 0;
        struct oto_sort_item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

void oto_sort_items(struct oto_sort_item *items, struct oto_sort_item *scratch, uint32_t count,
                    const struct oto_bytes *texts)
{
    if (count < RADIX_MIN) {
        sort_by_merging(items, scratch, count, texts);
        return;
    }
    sort_by_radix(items, scratch, count);
    for (uint32_t start = 0, end; texts && start < count; start = end) {
        for (end = start + 1; end < count && items[end].key == items[start].key; end++)
            ;
        sort_by_merging(items + start, scratch, end - start, texts);
    }
}
