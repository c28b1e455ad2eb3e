// Stable sorting of keys that carry an index. No allocation, no recursion; the caller lends the
// second array.
#ifndef OTO_COLUMNS_SORT_H
#define OTO_COLUMNS_SORT_H

#include "base/bytes.h"

struct oto_sort_item {
    uint64_t key;
    uint32_t index;
    uint32_t unused;
};

// Ascending by key; equal keys keep their order. scratch: count items.
void oto_sort_items(struct oto_sort_item *items, struct oto_sort_item *scratch, uint32_t count);

// Bytewise by texts[index], a prefix before what it begins; equal texts keep their order. Uses the
// keys for itself.
void oto_sort_texts(struct oto_sort_item *items, struct oto_sort_item *scratch, uint32_t count,
                    const struct oto_bytes *texts);

#endif
