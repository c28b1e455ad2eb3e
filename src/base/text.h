// Numbers and binary as text, without locale and without allocation.
#ifndef OTO_BASE_TEXT_H
#define OTO_BASE_TEXT_H

#include "base/bytes.h"
#include "base/processor.h"
#if defined(OTO_SSE2)
#include <emmintrin.h>
#endif

#define OTO_TEXT_I64_MAX 20    // "-9223372036854775808"
#define OTO_TEXT_DOUBLE_MAX 32 // longest shortest-form double

// Decimal digits of a number; no NUL. Returns the length.
size_t oto_text_from_i64(int64_t value, char *output);
size_t oto_text_from_u64(uint64_t value, char *output);

// The shortest decimal that reads back as the same double, in the form that ECMAScript's
// Number::toString gives (exponent from 1e21 and below 1e-6, written "1e+21", "1e-7"), "-0" for
// negative zero, "NaN", "Infinity", "-Infinity". Returns the length.
size_t oto_text_from_double(double value, char *output);

// Reads exactly the whole text. OTO_INVALID on anything else, OTO_TOO_LARGE when out of range.
OTO_MUST_CHECK enum oto_status oto_text_to_i64(struct oto_bytes text, int64_t *ret_value);
OTO_MUST_CHECK enum oto_status oto_text_to_u64(struct oto_bytes text, uint64_t *ret_value);
// Correctly rounded; JSON number syntax plus NaN, Infinity, -Infinity. OTO_TOO_LARGE for a number
// past the largest double; one too small becomes zero.
OTO_MUST_CHECK enum oto_status oto_text_to_double(struct oto_bytes text, double *ret_value);

// The double nearest to mantissa / 10^places, for up to 19 places.
double oto_text_decimal(uint64_t mantissa, int places);
extern const uint64_t oto_text_powers_of_ten[20];

// Lower-case hex of size bytes: 2 * size characters, no NUL.
void oto_hex_encode(const void *data, size_t size, char *output);
// Four bytes: a half byte to each of the word's eight, first digit lowest, then all made digits.
static inline uint64_t oto_hex_word(const uint8_t *bytes)
{
    const uint64_t each = 0x0101010101010101u;
    uint64_t word = oto_load32(bytes);
    word = (word | word << 16) & 0x0000FFFF0000FFFFu;
    word = (word | word << 8) & 0x00FF00FF00FF00FFu;
    word = (word >> 4 | word << 8) & 0x0F * each;
    uint64_t letters = (word + 6 * each) >> 4 & each; // 1 where it is over 9
    return word + '0' * each + letters * ('a' - '0' - 10);
}

// The digits of eight bytes, as two words that oto_store64 puts into memory in their order.
static inline void oto_hex_words(const uint8_t *bytes, uint64_t words[2])
{
#if defined(OTO_SSE2) || defined(OTO_NEON)
    typedef int8_t byte_lanes __attribute__((vector_size(16)));
    typedef uint16_t pair_lanes __attribute__((vector_size(16)));
    typedef uint64_t word_lanes __attribute__((vector_size(16)));
    const byte_lanes none = {0};
    word_lanes eight = {oto_load64(bytes), 0}; // each byte becomes a lane of two digits
    pair_lanes pairs = (pair_lanes)__builtin_shufflevector((byte_lanes)eight, none, 0, 16, 1, 17, 2,
                                                           18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    byte_lanes v = (byte_lanes)((pairs >> 4 | pairs << 8) & 0x0F0F);
    v += '0' + ((v > 9) & ('a' - '0' - 10));
    words[0] = ((word_lanes)v)[0];
    words[1] = ((word_lanes)v)[1];
#else
    words[0] = oto_hex_word(bytes);
    words[1] = oto_hex_word(bytes + 4);
#endif
}

// 0 to 15, or a number over 15 for what is no hex digit.
static inline unsigned oto_hex_value(uint8_t c)
{
    unsigned digit = (unsigned)c - '0', letter = ((unsigned)c | 0x20) - 'a';
    return digit <= 9 ? digit : letter <= 5 ? letter + 10 : 0x100;
}

// Sixteen hex digits of either case become eight bytes. 0 when one is no digit; the output is
// written all the same.
static inline int oto_hex_read_eight(const uint8_t *digits, uint8_t *output)
{
#if defined(OTO_SSE2)
    __m128i text = _mm_loadu_si128((const __m128i *)(const void *)digits);
    __m128i digit = _mm_sub_epi8(text, _mm_set1_epi8('0'));
    __m128i letter = _mm_sub_epi8(_mm_or_si128(text, _mm_set1_epi8(0x20)), _mm_set1_epi8('a'));
    __m128i is_digit = _mm_cmpeq_epi8(_mm_min_epu8(digit, _mm_set1_epi8(9)), digit);
    __m128i is_letter = _mm_cmpeq_epi8(_mm_min_epu8(letter, _mm_set1_epi8(5)), letter);
    __m128i value = _mm_or_si128(_mm_and_si128(is_digit, digit),
                                 _mm_and_si128(is_letter, _mm_add_epi8(letter, _mm_set1_epi8(10))));
    __m128i pairs = _mm_or_si128(_mm_slli_epi16(value, 4), _mm_srli_epi16(value, 8));
    pairs = _mm_and_si128(pairs, _mm_set1_epi16(0xFF));
    _mm_storel_epi64((__m128i *)(void *)output, _mm_packus_epi16(pairs, pairs));
    return _mm_movemask_epi8(_mm_or_si128(is_digit, is_letter)) == 0xFFFF;
#else
    unsigned bad = 0;
    for (int i = 0; i < 8; i++) {
        unsigned high = oto_hex_value(digits[2 * i]), low = oto_hex_value(digits[2 * i + 1]);
        bad |= high | low;
        output[i] = (uint8_t)(high << 4 | low);
    }
    return bad <= 15;
#endif
}

// Both cases. OTO_INVALID on odd length or a character that is not a digit. output: text.size / 2
// bytes.
OTO_MUST_CHECK enum oto_status oto_hex_decode(struct oto_bytes text, uint8_t *output);

// Standard base64 with padding: 4 * ((size + 2) / 3) characters. Returns that length.
size_t oto_base64_encode(const void *data, size_t size, char *output);
static inline size_t oto_base64_size(size_t size)
{
    return 4 * ((size + 2) / 3);
}
// Standard or url-safe alphabet, padded or not. output: 3 * (text.size + 3) / 4 bytes at most.
OTO_MUST_CHECK enum oto_status oto_base64_decode(struct oto_bytes text, uint8_t *output,
                                                 size_t *ret_size);

#endif
