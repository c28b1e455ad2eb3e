// Adding texts that nobody looks up, without a call: for the loops that append nothing else.
// oto_dictionary_add_ascii (columns/dictionary.h) is the same for all values. One thread.
#ifndef OTO_COLUMNS_DICTIONARY_APPEND_H
#define OTO_COLUMNS_DICTIONARY_APPEND_H

#include "base/processor.h"
#include "columns/dictionary.h"

#if defined(OTO_SSE2)
#include <emmintrin.h>
#endif

// Copies less than 16 bytes, as two words that may overlap. 1 when they are ASCII.
static inline int oto_dictionary_copy_short_ascii(uint8_t *to, const uint8_t *from, size_t size)
{
    uint64_t any = 0;
    if (size >= 8) {
        uint64_t first = oto_load64(from), last = oto_load64(from + size - 8);
        oto_store64(to, first);
        oto_store64(to + size - 8, last);
        any = first | last;
    } else if (size >= 4) {
        uint32_t first = oto_load32(from), last = oto_load32(from + size - 4);
        oto_store32(to, first);
        oto_store32(to + size - 4, last);
        any = first | last;
    } else {
        for (size_t i = 0; i < size; i++)
            any |= to[i] = from[i];
    }
    return !(any & 0x8080808080808080u);
}

// The same for more, 16 at a time, the last of them overlapping.
static inline int oto_dictionary_copy_ascii(uint8_t *to, const uint8_t *from, size_t size)
{
    size_t i = 0, last = size - 16;
#if defined(OTO_SSE2)
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

// Where the text of a new entry goes, when there is room for it at hand; else NULL.
static inline uint8_t *oto_dictionary_room(const struct oto_dictionary *d, size_t size)
{
    const struct oto_arena *arena = d->arena;
    size_t rounded = (size + (size == 0) + 7) & ~(size_t)7;
    return d->count == d->capacity || (size_t)(arena->end - arena->cursor) < rounded ||
                   arena->size_bytes_max - arena->used_bytes < rounded
               ? NULL
               : arena->cursor;
}

// Its code, when the text is there.
static inline uint32_t oto_dictionary_put(struct oto_dictionary *d, uint8_t *text, size_t size)
{
    size_t rounded = (size + (size == 0) + 7) & ~(size_t)7;
    uint32_t code = d->count;
    d->arena->cursor = text + rounded;
    d->arena->used_bytes += rounded;
    d->entries[code] = oto_bytes(text, size);
    d->size_bytes += size;
    d->count = code + 1;
    d->adds++;
    return code;
}

// The code of a text of which nothing is looked up (as oto_dictionary_add_blind), where there is
// room for it at hand. UINT32_MAX where there is none, or it is no ASCII: nothing was done.
static inline uint32_t oto_dictionary_append_ascii(struct oto_dictionary *d, const uint8_t *text,
                                                   size_t size)
{
    uint8_t *copy = oto_dictionary_room(d, size);
    if (!copy || !(size < 16 ? oto_dictionary_copy_short_ascii(copy, text, size)
                             : oto_dictionary_copy_ascii(copy, text, size)))
        return UINT32_MAX;
    return oto_dictionary_put(d, copy, size);
}

// The same for texts of 16 bytes or more.
static inline uint32_t oto_dictionary_append_long_ascii(struct oto_dictionary *d,
                                                        const uint8_t *text, size_t size)
{
    uint8_t *copy = oto_dictionary_room(d, size);
    if (!copy || !oto_dictionary_copy_ascii(copy, text, size))
        return UINT32_MAX;
    return oto_dictionary_put(d, copy, size);
}

#endif
