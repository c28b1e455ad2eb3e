#include "columns/sort.h"

#define RADIX_MIN 96u        // below, merging is faster than counting
#define RADIX_WIDE_MIN 4096u // from here on 11 bits a pass, before 8
#define RADIX_BITS_MAX 11u
#define RUN 16u             // sorted by insertion before merging
#define TEXT_PASSES_MAX 12u // of eight bytes each that differ; then whole texts are compared
#define TEXT_RUN_MIN 24u    // texts with an equal key: from here on by their next bytes

static int text_less(struct oto_bytes a, struct oto_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order < 0 : a.size < b.size;
}

static inline int less(const struct oto_sort_item *a, const struct oto_sort_item *b,
                       const struct oto_bytes *texts)
{
    if (a->key != b->key)
        return a->key < b->key;
    return texts && text_less(texts[a->index], texts[b->index]);
}

static void sort_by_insertion(struct oto_sort_item *items, uint32_t count,
                              const struct oto_bytes *texts)
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
static void merge(struct oto_sort_item *items, uint32_t middle, uint32_t count,
                  struct oto_sort_item *scratch, const struct oto_bytes *texts)
{
    if (!less(&items[middle], &items[middle - 1], texts))
        return;
    memcpy(scratch, items, middle * sizeof *items);
    uint32_t left = 0, right = middle, at = 0;
    while (left < middle && right < count)
        items[at++] = less(&items[right], &scratch[left], texts) ? items[right++] : scratch[left++];
    memcpy(items + at, scratch + left, (middle - left) * sizeof *items);
}

static void sort_by_merging(struct oto_sort_item *items, struct oto_sort_item *scratch,
                            uint32_t count, const struct oto_bytes *texts)
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

static void radix_pass(const struct oto_sort_item *from, struct oto_sort_item *to, uint32_t count,
                       unsigned shift, unsigned bits)
{
    uint32_t places[1u << RADIX_BITS_MAX], sum = 0;
    const uint32_t digits = 1u << bits;
    memset(places, 0, digits * sizeof *places);
    for (uint32_t i = 0; i < count; i++)
        places[from[i].key >> shift & (digits - 1)]++;
    for (uint32_t digit = 0; digit < digits; digit++) {
        uint32_t here = places[digit];
        places[digit] = sum;
        sum += here;
    }
    for (uint32_t i = 0; i < count; i++)
        to[places[from[i].key >> shift & (digits - 1)]++] = from[i];
}

// By key alone: a pass for each group of bits that differ.
static void sort_by_radix(struct oto_sort_item *items, struct oto_sort_item *scratch,
                          uint32_t count)
{
    struct oto_sort_item *from = items, *to = scratch;
    unsigned bits = count < RADIX_WIDE_MIN ? 8 : RADIX_BITS_MAX;
    uint64_t differ = 0;
    for (uint32_t i = 1; i < count; i++)
        differ |= items[i].key ^ items[0].key;
    while (differ) {
        unsigned shift = (unsigned)__builtin_ctzll(differ);
        radix_pass(from, to, count, shift, bits);
        differ &= shift + bits < 64 ? UINT64_MAX << (shift + bits) : 0;
        struct oto_sort_item *swap = from;
        from = to;
        to = swap;
    }
    if (from != items)
        memcpy(items, from, count * sizeof *items);
}

void oto_sort_items(struct oto_sort_item *items, struct oto_sort_item *scratch, uint32_t count)
{
    if (count < RADIX_MIN)
        sort_by_merging(items, scratch, count, NULL);
    else
        sort_by_radix(items, scratch, count);
}

// Eight bytes from offset on as a number that compares as they do; zeros past the end.
static uint64_t key_at(struct oto_bytes text, size_t offset)
{
    uint8_t bytes[8] = {0};
    if (offset + 8 <= text.size)
        return __builtin_bswap64(oto_load64(text.data + offset));
    if (offset < text.size)
        memcpy(bytes, text.data + offset, text.size - offset);
    return __builtin_bswap64(oto_load64(bytes));
}

// How many bytes all texts have in common; they are known to have `common`.
static size_t common_prefix(const struct oto_sort_item *items, uint32_t count,
                            const struct oto_bytes *texts, size_t common)
{
    struct oto_bytes first = texts[items[0].index];
    size_t end = first.size;
    for (uint32_t i = 1; i < count && end > common; i++) {
        struct oto_bytes text = texts[items[i].index];
        size_t most = text.size < end ? text.size : end, at = common;
        while (at + 8 <= most && oto_load64(text.data + at) == oto_load64(first.data + at))
            at += 8;
        while (at < most && text.data[at] == first.data[at])
            at++;
        end = at;
    }
    return end;
}

// Texts that agree in their first `common` bytes. A key of eight bytes does not tell the end of a
// text from NUL bytes, so a run of equal keys, however short, is decided by whole texts at last.
static void sort_texts_from(struct oto_sort_item *items, struct oto_sort_item *scratch,
                            uint32_t count, const struct oto_bytes *texts, size_t common,
                            unsigned passes_left)
{
    if (count < TEXT_RUN_MIN || passes_left == 0) {
        for (uint32_t i = 0; i < count; i++)
            items[i].key = key_at(texts[items[i].index], common);
        sort_by_merging(items, scratch, count, texts);
        return;
    }
    common = common_prefix(items, count, texts, common);
    uint32_t ended = 0;
    for (uint32_t i = 0; i < count; i++)
        ended += texts[items[i].index].size == common;
    if (ended == count) // all the same
        return;
    for (uint32_t i = 0; i < count; i++)
        items[i].key = key_at(texts[items[i].index], common);
    oto_sort_items(items, scratch, count);
    for (uint32_t start = 0, end; start < count; start = end) {
        uint64_t key = items[start].key;
        for (end = start + 1; end < count && items[end].key == key; end++)
            ;
        if (end - start > 1)
            sort_texts_from(items + start, scratch, end - start, texts, common, passes_left - 1);
    }
}

void oto_sort_texts(struct oto_sort_item *items, struct oto_sort_item *scratch, uint32_t count,
                    const struct oto_bytes *texts)
{
    sort_texts_from(items, scratch, count, texts, 0, TEXT_PASSES_MAX);
}
