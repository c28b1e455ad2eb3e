// The inner loops of reading JSON: strings 16 bytes a step with SSE2, 8 without; digits 8 at once.
#ifndef OTO_WIRE_JSON_SCAN_H
#define OTO_WIRE_JSON_SCAN_H

#include "base/bytes.h"
#include "base/processor.h"
#if defined(OTO_SSE2)
#include <emmintrin.h>
#endif

#define OTO_JSON_ONES 0x0101010101010101u
#define OTO_JSON_TOPS 0x8080808080808080u

static inline int oto_json_is_special(uint8_t byte)
{
    return byte == '"' || byte == '\\' || byte < 0x20;
}

// The top bit of each byte that is a quote, a backslash or a control character; those above the
// lowest one may be wrong.
static inline uint64_t oto_json_specials(uint64_t word)
{
    uint64_t quote = word ^ OTO_JSON_ONES * '"';
    uint64_t backslash = word ^ OTO_JSON_ONES * '\\';
    uint64_t found = ((quote - OTO_JSON_ONES) & ~quote) |
                     ((backslash - OTO_JSON_ONES) & ~backslash) |
                     ((word - OTO_JSON_ONES * 0x20) & ~word);
    return found & OTO_JSON_TOPS;
}

// The first quote, backslash or control character, or end; high becomes non-zero when a byte before
// it is not ASCII.
static inline const uint8_t *oto_json_scan(const uint8_t *at, const uint8_t *end, uint32_t *high)
{
#if defined(OTO_SSE2)
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
    while (end - at >= 8) {
        uint64_t word = oto_load64(at);
        if (oto_json_specials(word))
            break;
        *high |= (word & OTO_JSON_TOPS) != 0;
        at += 8;
    }
#endif
    while (at < end && !oto_json_is_special(*at)) {
        *high |= *at & 0x80u;
        at++;
    }
    return at;
}

#define OTO_JSON_STEP 16u

// Without SSE2.
static inline size_t oto_json_copy_plain_words(const uint8_t *at, uint8_t *output)
{
    uint64_t low = oto_load64(at), high = oto_load64(at + 8);
    oto_store64(output, low);
    oto_store64(output + 8, high);
    uint64_t found = oto_json_specials(low) | (low & OTO_JSON_TOPS);
    if (found)
        return (size_t)__builtin_ctzll(found) >> 3;
    found = oto_json_specials(high) | (high & OTO_JSON_TOPS);
    return found ? 8 + ((size_t)__builtin_ctzll(found) >> 3) : OTO_JSON_STEP;
}

// Copies 16 bytes and tells how many stand before the first that is special or not ASCII: 16 when
// none is.
static inline size_t oto_json_copy_plain(const uint8_t *at, uint8_t *output)
{
#if defined(OTO_SSE2)
    __m128i bytes = _mm_loadu_si128((const __m128i *)(const void *)at);
    _mm_storeu_si128((__m128i *)(void *)output, bytes);
    __m128i found = _mm_or_si128(_mm_cmpeq_epi8(bytes, _mm_set1_epi8('"')),
                                 _mm_cmpeq_epi8(bytes, _mm_set1_epi8('\\')));
    // Signed: what is not ASCII is less than any control character.
    found = _mm_or_si128(found, _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20)));
    return (size_t)__builtin_ctz((uint32_t)_mm_movemask_epi8(found) | 1u << OTO_JSON_STEP);
#else
    return oto_json_copy_plain_words(at, output);
#endif
}

// The value of eight digits, 0 to 9 each, the first one in the lowest byte: pairs, then fours, then
// all at once.
static inline uint32_t oto_json_eight_digits(uint64_t digits)
{
    digits = digits * 10 + (digits >> 8);
    uint64_t low = (digits & 0x000000FF000000FFu) * 0x000F424000000064u;
    uint64_t high = (digits >> 16 & 0x000000FF000000FFu) * 0x0000271000000001u;
    return (uint32_t)((low + high) >> 32);
}

// Bytes that oto_json_digits reads, whatever stands there.
#define OTO_JSON_DIGITS_READ 24u

// How many decimal digits stand at `at`, 24 at most, and their value, modulo 2^64: right up to 19
// digits. OTO_JSON_DIGITS_READ bytes must be readable.
static inline size_t oto_json_digits(const uint8_t *at, uint64_t *ret_value)
{
    static const uint32_t powers[] = {1, 10, 100, 1000, 10000, 100000, 1000000, 10000000};
    uint64_t value = 0;
    for (size_t i = 0; i < OTO_JSON_DIGITS_READ; i += 8) {
        uint64_t digits = oto_load64(at + i) ^ OTO_JSON_ONES * '0';
        uint64_t others = (digits | (digits + OTO_JSON_ONES * 0x76)) & OTO_JSON_TOPS;
        if (others) {
            size_t count = (size_t)__builtin_ctzll(others) >> 3;
            if (count) // zeros before them, which count for nothing
                value = value * powers[count] + oto_json_eight_digits(digits << (8 * (8 - count)));
            *ret_value = value;
            return i + count;
        }
        value = value * 100000000 + oto_json_eight_digits(digits);
    }
    *ret_value = value;
    return OTO_JSON_DIGITS_READ;
}

#endif
