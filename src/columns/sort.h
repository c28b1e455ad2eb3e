// Stable sorting of keys that carry an index. No allocation, no recursion; the caller lends the second array.
#ifndef OTO_COLUMNS_SORT_H
#define OTO_COLUMNS_SORT_H

#include "base/bytes.h"

struct oto_sort_item {
    uint64_t key;
    uint32_t index;
    uint32_t unused;
};

// Ascending by key; equal keys keep their order. texts not NULL: index names a text, key must be its prefix, and equal
// prefixes go by the rest of the text; equal texts keep their order. scratch: count items.
void oto_sort_items(struct oto_sort_item *items, struct oto_sort_item *scratch, uint32_t count,
                    const struct oto_bytes *texts);

// The first eight bytes as a number that compares as they do.
static inline uint64_t oto_sort_prefix(struct oto_bytes text)
{
    uint8_t first[8] = {0};
    if (text.size >= 8)
        return __builtin_bswap64(oto_load64(text.data));
    if (text.size)
        memcpy(first, text.data, text.size);
    return __builtin_bswap64(oto_load64(first));
}

#endif
