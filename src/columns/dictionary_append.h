// Adding texts that nobody looks up, without a call: for the loops that append nothing else.
// oto_dictionary_add_ascii (columns/dictionary.h) is the same for all values. One thread.
#ifndef OTO_COLUMNS_DICTIONARY_APPEND_H
#define OTO_COLUMNS_DICTIONARY_APPEND_H

#include "columns/dictionary.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

// Copies 16 bytes or more, 16 at a time, the last of them overlapping. 1 when they are ASCII.
static inline int oto_dictionary_copy_ascii(uint8_t *to, const uint8_t *from, size_t size)
{
    size_t i = 0, last = size - 16;
#if defined(__SSE2__)
    __m128i any = _mm_loadu_si128((const __m128i *)(const void *)(from + last));
    _mm_storeu_si128((__m128i *)(void *)(to + last), any);
    for (; i < last; i += 16) {
        __m128i part = _mm_loadu_si128((const __m128i *)(const void *)(from + i));
        _mm_storeu_si128((__m128i *)(void *)(to + i), part);
        any = _mm_or_si128(any, part);
    }
    return !_mm_movemask_epi8(any);
#else
    uint64_t any = oto_load64(from + last) | oto_load64(from + last + 8);
    memcpy(to + last, from + last, 16);
    for (; i < last; i += 16) {
        any |= oto_load64(from + i) | oto_load64(from + i + 8);
        memcpy(to + i, from + i, 16);
    }
    return !(any & 0x8080808080808080u);
#endif
}

// The code of a text of 16 bytes or more, of which nothing is looked up (as
// oto_dictionary_add_blind), where there is room for it at hand. UINT32_MAX where there is none, or
// it is no ASCII: nothing was done.
static inline uint32_t oto_dictionary_append_ascii(struct oto_dictionary *d, const uint8_t *text,
                                                   size_t size)
{
    struct oto_arena *arena = d->arena;
    uint8_t *copy = arena->cursor;
    size_t rounded = (size + 7) & ~(size_t)7;
    uint32_t code = d->count;
    if (code == d->capacity || (size_t)(arena->end - copy) < rounded ||
        arena->size_bytes_max - arena->used_bytes < rounded ||
        !oto_dictionary_copy_ascii(copy, text, size))
        return UINT32_MAX;
    arena->cursor = copy + rounded;
    arena->used_bytes += rounded;
    d->entries[code] = oto_bytes(copy, size);
    d->size_bytes += size;
    d->count = code + 1;
    d->adds++;
    return code;
}

#endif
