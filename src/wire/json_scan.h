// The inner loop of reading JSON strings: 16 bytes a step with SSE2, 8 without.
#ifndef OTO_WIRE_JSON_SCAN_H
#define OTO_WIRE_JSON_SCAN_H

#include "base/bytes.h"
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static inline int oto_json_is_special(uint8_t byte)
{
    return byte == '"' || byte == '\\' || byte < 0x20;
}

// The first quote, backslash or control character, or end; high becomes non-zero when a byte before
// it is not ASCII.
static inline const uint8_t *oto_json_scan(const uint8_t *at, const uint8_t *end, uint32_t *high)
{
#if defined(__SSE2__)
    const __m128i quote = _mm_set1_epi8('"');
    const __m128i backslash = _mm_set1_epi8('\\');
    const __m128i control = _mm_set1_epi8(0x1F);
    while (end - at >= 16) {
        __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
        __m128i found =
            _mm_or_si128(_mm_cmpeq_epi8(bytes, quote), _mm_cmpeq_epi8(bytes, backslash));
        found = _mm_or_si128(found, _mm_cmpeq_epi8(_mm_max_epu8(bytes, control), control));
        uint32_t mask = (uint32_t)_mm_movemask_epi8(found);
        uint32_t top = (uint32_t)_mm_movemask_epi8(bytes);
        if (mask) {
            *high |= top & ((mask & (0 - mask)) - 1);
            return at + __builtin_ctz(mask);
        }
        *high |= top;
        at += 16;
    }
#else
    const uint64_t ones = 0x0101010101010101u;
    const uint64_t tops = 0x8080808080808080u;
    while (end - at >= 8) {
        uint64_t word = oto_load64(at);
        uint64_t quote = word ^ ones * '"';
        uint64_t backslash = word ^ ones * '\\';
        uint64_t found = ((quote - ones) & ~quote) | ((backslash - ones) & ~backslash) |
                         ((word - ones * 0x20) & ~word);
        if (found & tops)
            break;
        *high |= (word & tops) != 0;
        at += 8;
    }
#endif
    while (at < end && !oto_json_is_special(*at)) {
        *high |= *at & 0x80u;
        at++;
    }
    return at;
}

#endif
