// Numbers and binary as text, without locale and without allocation.
#ifndef OTO_BASE_TEXT_H
#define OTO_BASE_TEXT_H

#include "base/bytes.h"

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

// Lower-case hex of size bytes: 2 * size characters, no NUL.
void oto_hex_encode(const void *data, size_t size, char *output);
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
