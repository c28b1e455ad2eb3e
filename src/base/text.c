#include "base/text.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static const char digit_pairs[201] = "0001020304050607080910111213141516171819202122232425262728293"
                                     "0313233343536373839404142434445464748"
                                     "4950515253545556575859606162636465666768697071727374757677787"
                                     "9808182838485868788899091929394959697"
                                     "9899";

// The powers of ten that a double holds exactly.
static const double exact_powers[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,
                                      1e8,  1e9,  1e10, 1e11, 1e12, 1e13, 1e14, 1e15,
                                      1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};

static size_t count_digits(uint64_t value)
{
    static const uint64_t powers[] = {0,
                                      10u,
                                      100u,
                                      1000u,
                                      10000u,
                                      100000u,
                                      1000000u,
                                      10000000u,
                                      100000000u,
                                      1000000000u,
                                      10000000000u,
                                      100000000000u,
                                      1000000000000u,
                                      10000000000000u,
                                      100000000000000u,
                                      1000000000000000u,
                                      10000000000000000u,
                                      100000000000000000u,
                                      1000000000000000000u,
                                      10000000000000000000u};
    unsigned bits = 64u - (unsigned)__builtin_clzll(value | 1);
    unsigned count = bits * 1233 >> 12; // log10(2) of them: this, or one more
    return count + (value >= powers[count]);
}

size_t oto_text_from_u64(uint64_t value, char *output)
{
    size_t size = count_digits(value);
    char *at = output + size;
    while (value >= 100) {
        at -= 2;
        memcpy(at, digit_pairs + value % 100 * 2, 2);
        value /= 100;
    }
    if (value >= 10)
        memcpy(output, digit_pairs + value * 2, 2);
    else
        *output = (char)('0' + value);
    return size;
}

size_t oto_text_from_i64(int64_t value, char *output)
{
    if (value >= 0)
        return oto_text_from_u64((uint64_t)value, output);
    *output = '-';
    return 1 + oto_text_from_u64(0 - (uint64_t)value, output + 1);
}

// A positive number as 0.DIGITS * 10^point, no trailing zeros.
struct decimal {
    char digits[20];
    int count;
    int point;
};

static void decimal_trim(struct decimal *d)
{
    while (d->count > 1 && d->digits[d->count - 1] == '0')
        d->count--;
}

static void decimal_from_scaled(struct decimal *d, uint64_t value, int scale)
{
    d->count = (int)oto_text_from_u64(value, d->digits);
    d->point = d->count - scale;
    decimal_trim(d);
}

// Numbers of at most 15 digits with few decimals. Two decimals of 15 digits never read as the same
// double, so the first that reads back is the only one and the shortest. m / 10^k is correctly
// rounded because both are exact.
static int decimal_find_short(double value, struct decimal *d)
{
    if (!(value >= 1e-5 && value < 1e15))
        return 0;
    for (int k = 0; k <= 19; k++) {
        double scaled = value * exact_powers[k];
        if (scaled >= 1e15)
            return 0;
        uint64_t m = (uint64_t)(scaled + 0.5);
        if ((double)m / exact_powers[k] == value) {
            decimal_from_scaled(d, m, k);
            return 1;
        }
    }
    return 0;
}

// The double nearest to a decimal. Written without a decimal point, so no locale matters.
static double decimal_read(const struct decimal *d)
{
    char text[40];
    snprintf(text, sizeof text, "%.*se%d", d->count, d->digits, d->point - d->count);
    return strtod(text, NULL);
}

// The nearest decimal of a precision, by the C library's exact conversion.
static void decimal_round(double value, int precision, struct decimal *d)
{
    char text[40];
    snprintf(text, sizeof text, "%.*e", precision - 1, value);
    char *exponent = strchr(text, 'e');
    d->count = 0;
    for (char *at = text; at < exponent; at++)
        if (*at >= '0' && *at <= '9')
            d->digits[d->count++] = *at;
    d->point = (int)strtol(exponent + 1, NULL, 10) + 1;
}

// The next decimal of the same precision above.
static void decimal_increment(struct decimal *d)
{
    int i = d->count;
    while (i > 0 && d->digits[i - 1] == '9')
        d->digits[--i] = '0';
    if (i > 0) {
        d->digits[i - 1]++;
    } else {
        d->digits[0] = '1';
        d->point++;
    }
}

// Whether a decimal of a precision reads back as value. Below a power of two doubles lie twice as
// close, so there the nearest decimal may miss where the next one above still hits.
static int decimal_fits(double value, int precision, int power_of_two, struct decimal *d)
{
    decimal_round(value, precision, d);
    if (decimal_read(d) == value)
        return 1;
    if (!power_of_two)
        return 0;
    decimal_increment(d);
    return decimal_read(d) == value;
}

static void decimal_find_any(double value, struct decimal *d)
{
    uint64_t bits;
    memcpy(&bits, &value, 8);
    int subnormal = bits >> 52 == 0, power_of_two = (bits & 0xFFFFFFFFFFFFFu) == 0;
    struct decimal shorter;
    if (subnormal) { // fewer bits, so any number of digits may do
        for (int precision = 1; !decimal_fits(value, precision, 0, d); precision++)
            ;
    } else if (!decimal_fits(value, 16, power_of_two, d)) {
        decimal_round(value, 17, d);
    } else if (decimal_fits(value, 15, power_of_two, &shorter)) {
        *d = shorter;
    }
    decimal_trim(d);
}

// ECMAScript, Number::toString: fixed notation for 1e-6 <= value < 1e21.
static size_t decimal_write(const struct decimal *d, char *output)
{
    char *at = output;
    size_t count = (size_t)d->count;
    if (d->point > 21 || d->point < -5) {
        *at++ = d->digits[0];
        if (count > 1) {
            *at++ = '.';
            memcpy(at, d->digits + 1, count - 1);
            at += count - 1;
        }
        *at++ = 'e';
        int exponent = d->point - 1;
        *at++ = exponent < 0 ? '-' : '+';
        at += oto_text_from_u64((uint64_t)(exponent < 0 ? -exponent : exponent), at);
    } else if (d->point <= 0) {
        memcpy(at, "0.", 2);
        memset(at + 2, '0', (size_t)-d->point);
        at += 2 - d->point;
        memcpy(at, d->digits, count);
        at += count;
    } else if (d->count <= d->point) {
        memcpy(at, d->digits, count);
        memset(at + count, '0', (size_t)(d->point - d->count));
        at += d->point;
    } else {
        size_t whole = (size_t)d->point;
        memcpy(at, d->digits, whole);
        at[whole] = '.';
        memcpy(at + whole + 1, d->digits + whole, count - whole);
        at += count + 1;
    }
    return (size_t)(at - output);
}

static size_t put(char *output, const char *text)
{
    size_t size = strlen(text);
    memcpy(output, text, size);
    return size;
}

size_t oto_text_from_double(double value, char *output)
{
    if (isnan(value))
        return put(output, "NaN");
    size_t sign = 0;
    if (signbit(value)) {
        output[sign++] = '-';
        value = -value;
    }
    if (isinf(value))
        return sign + put(output + sign, "Infinity");
    if (value < 9007199254740992.0 && value == (double)(uint64_t)value)
        return sign + oto_text_from_u64((uint64_t)value, output + sign);
    struct decimal d;
    if (!decimal_find_short(value, &d))
        decimal_find_any(value, &d);
    return sign + decimal_write(&d, output + sign);
}

enum oto_status oto_text_to_u64(struct oto_bytes text, uint64_t *ret_value)
{
    if (text.size == 0)
        return OTO_INVALID;
    uint64_t value = 0;
    int over = 0;
    for (size_t i = 0; i < text.size; i++) {
        unsigned digit = (unsigned)text.data[i] - '0';
        if (digit > 9)
            return OTO_INVALID;
        over |= __builtin_mul_overflow(value, 10u, &value);
        over |= __builtin_add_overflow(value, digit, &value);
    }
    if (over)
        return OTO_TOO_LARGE;
    *ret_value = value;
    return OTO_OK;
}

enum oto_status oto_text_to_i64(struct oto_bytes text, int64_t *ret_value)
{
    size_t minus = text.size && text.data[0] == '-';
    uint64_t magnitude;
    OTO_TRY(oto_text_to_u64(oto_bytes(text.data + minus, text.size - minus), &magnitude));
    if (magnitude > (uint64_t)INT64_MAX + minus)
        return OTO_TOO_LARGE;
    *ret_value = (int64_t)(minus ? 0 - magnitude : magnitude);
    return OTO_OK;
}

// More digits than these never change which double is nearest, but for whether all the rest are
// zero: the longest tie between two doubles has 767 digits.
#define SIGNIFICANT_DIGITS_MAX 800
#define EXPONENT_LIMIT 1000000000000000

// A number's parts: mantissa * 10^exponent where the mantissa has at most 19 digits; with more, the
// significant digits stand between first and last (a decimal point may stand among them).
struct number {
    const uint8_t *first, *last;
    uint64_t mantissa;
    int64_t exponent; // of the mantissa's last digit
    int digits;       // in the mantissa
    int negative;
    int64_t dropped; // significant digits past the mantissa
};

static inline int is_digit(const uint8_t *at, const uint8_t *end)
{
    return at < end && (unsigned)*at - '0' <= 9;
}

static void number_digit(struct number *n, const uint8_t *at)
{
    if (n->digits == 0) {
        if (*at == '0')
            return;
        n->first = at;
    }
    n->last = at + 1;
    if (n->digits < 19) {
        n->mantissa = n->mantissa * 10 + (uint64_t)(*at - '0');
        n->digits++;
    } else {
        n->dropped++;
    }
}

// JSON's number grammar.
static enum oto_status number_scan(struct oto_bytes text, struct number *n)
{
    const uint8_t *at = text.data, *end = at + text.size;
    *n = (struct number){0};
    if (at < end && *at == '-') {
        n->negative = 1;
        at++;
    }
    if (!is_digit(at, end) || (*at == '0' && is_digit(at + 1, end)))
        return OTO_INVALID;
    for (; is_digit(at, end); at++)
        number_digit(n, at);
    int64_t fraction = 0;
    if (at < end && *at == '.') {
        const uint8_t *start = ++at;
        for (; is_digit(at, end); at++)
            number_digit(n, at);
        fraction = at - start;
        if (fraction == 0)
            return OTO_INVALID;
    }
    int64_t exponent = 0;
    if (at < end && (*at | 0x20) == 'e') {
        at++;
        int minus = at < end && *at == '-';
        at += at < end && (*at == '-' || *at == '+');
        if (!is_digit(at, end))
            return OTO_INVALID;
        for (; is_digit(at, end); at++)
            if (exponent < EXPONENT_LIMIT)
                exponent = exponent * 10 + (*at - '0');
        exponent = minus ? -exponent : exponent;
    }
    n->exponent = exponent - fraction + n->dropped;
    return at == end ? OTO_OK : OTO_INVALID;
}

// Hands the C library a copy with bounded digits and no decimal point (which a locale could
// change).
static double number_read_slow(const struct number *n)
{
    char copy[SIGNIFICANT_DIGITS_MAX + 32];
    size_t count = 0;
    int64_t exponent = n->exponent - n->dropped + (n->digits + n->dropped);
    int sticky = 0;
    for (const uint8_t *at = n->first; at < n->last && !sticky; at++) {
        if (*at == '.')
            continue;
        if (count < SIGNIFICANT_DIGITS_MAX)
            copy[count++] = (char)*at;
        else
            sticky = *at != '0';
    }
    if (sticky)
        copy[count++] = '1';
    exponent -= (int64_t)count;
    if (exponent > 99999)
        exponent = 99999;
    if (exponent < -99999)
        exponent = -99999;
    snprintf(copy + count, sizeof copy - count, "e%d", (int)exponent);
    return strtod(copy, NULL);
}

const uint64_t oto_text_powers_of_ten[20] = {1,
                                             10,
                                             100,
                                             1000,
                                             10000,
                                             100000,
                                             1000000,
                                             10000000,
                                             100000000,
                                             1000000000,
                                             10000000000,
                                             100000000000,
                                             1000000000000,
                                             10000000000000,
                                             100000000000000,
                                             1000000000000000,
                                             10000000000000000,
                                             100000000000000000,
                                             1000000000000000000,
                                             10000000000000000000u};
#define DECIMAL_PLACES_MAX 19
#define MANTISSA_EXACT ((uint64_t)1 << 53)

// 2^exponent, of a normal double.
static double power_of_two(int exponent)
{
    uint64_t bits = (uint64_t)(1023 + exponent) << 52;
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

double oto_text_decimal(uint64_t mantissa, int places)
{
    // Mantissa and power are exact, so one rounding gives the nearest double (Clinger).
    if (mantissa <= MANTISSA_EXACT)
        return (double)mantissa / exact_powers[places];
    // With their highest bits set the quotient has 63 or 64 bits, and what is left over is told by
    // the lowest of them: rounding to 53 is the only rounding.
    uint64_t divisor = oto_text_powers_of_ten[places];
    int shift = __builtin_clzll(mantissa), divisor_shift = __builtin_clzll(divisor);
    unsigned __int128 dividend = (unsigned __int128)(mantissa << shift) << 63;
    divisor <<= divisor_shift;
    uint64_t quotient = (uint64_t)(dividend / divisor);
    quotient |= (unsigned __int128)quotient * divisor != dividend;
    return (double)quotient * power_of_two(divisor_shift - shift - 63);
}

static int number_special(struct oto_bytes text, double *ret_value)
{
    if (oto_bytes_equal_text(text, "NaN"))
        *ret_value = (double)NAN;
    else if (oto_bytes_equal_text(text, "Infinity"))
        *ret_value = (double)INFINITY;
    else if (oto_bytes_equal_text(text, "-Infinity"))
        *ret_value = -(double)INFINITY;
    else
        return 0;
    return 1;
}

enum oto_status oto_text_to_double(struct oto_bytes text, double *ret_value)
{
    struct number n;
    if (text.size == 0)
        return OTO_INVALID;
    if (number_scan(text, &n) != OTO_OK)
        return number_special(text, ret_value) ? OTO_OK : OTO_INVALID;
    double value;
    if (n.dropped == 0 && n.exponent <= 0 && n.exponent >= -DECIMAL_PLACES_MAX)
        value = oto_text_decimal(n.mantissa, (int)-n.exponent);
    else if (n.dropped == 0 && n.mantissa <= MANTISSA_EXACT && n.exponent >= -22 &&
             n.exponent <= 22)
        value = n.exponent < 0 ? (double)n.mantissa / exact_powers[-n.exponent]
                               : (double)n.mantissa * exact_powers[n.exponent];
    else
        value = n.digits ? number_read_slow(&n) : 0.0;
    if (isinf(value))
        return OTO_TOO_LARGE;
    *ret_value = n.negative ? -value : value;
    return OTO_OK;
}

void oto_hex_encode(const void *data, size_t size, char *output)
{
    static const char digits[] = "0123456789abcdef";
    const uint8_t *bytes = data;
    size_t i = 0;
    for (; i + 8 <= size; i += 8) {
        uint64_t words[2];
        oto_hex_words(bytes + i, words);
        oto_store64(output + 2 * i, words[0]);
        oto_store64(output + 2 * i + 8, words[1]);
    }
    for (; i + 4 <= size; i += 4)
        oto_store64(output + 2 * i, oto_hex_word(bytes + i));
    for (; i < size; i++) {
        output[2 * i] = digits[bytes[i] >> 4];
        output[2 * i + 1] = digits[bytes[i] & 15];
    }
}

enum oto_status oto_hex_decode(struct oto_bytes text, uint8_t *output)
{
    if (text.size & 1)
        return OTO_INVALID;
    size_t i = 0;
    int good = 1;
    for (; i + 16 <= text.size; i += 16)
        good &= oto_hex_read_eight(text.data + i, output + i / 2);
    unsigned bad = 0;
    for (; i < text.size; i += 2) {
        unsigned high = oto_hex_value(text.data[i]), low = oto_hex_value(text.data[i + 1]);
        bad |= high | low;
        output[i / 2] = (uint8_t)(high << 4 | low);
    }
    return good && bad <= 15 ? OTO_OK : OTO_INVALID;
}

size_t oto_base64_encode(const void *data, size_t size, char *output)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const uint8_t *in = data;
    char *out = output;
    for (; size >= 3; size -= 3, in += 3) {
        uint32_t v = (uint32_t)in[0] << 16 | (uint32_t)in[1] << 8 | in[2];
        *out++ = alphabet[v >> 18];
        *out++ = alphabet[v >> 12 & 63];
        *out++ = alphabet[v >> 6 & 63];
        *out++ = alphabet[v & 63];
    }
    if (size) {
        uint32_t v = (uint32_t)in[0] << 16 | (size == 2 ? (uint32_t)in[1] << 8 : 0);
        *out++ = alphabet[v >> 18];
        *out++ = alphabet[v >> 12 & 63];
        *out++ = size == 2 ? alphabet[v >> 6 & 63] : '=';
        *out++ = '=';
    }
    return (size_t)(out - output);
}

static inline unsigned base64_value(uint8_t c)
{
    if (c >= 'A' && c <= 'Z')
        return (unsigned)c - 'A';
    if (c >= 'a' && c <= 'z')
        return (unsigned)c - 'a' + 26;
    if (c >= '0' && c <= '9')
        return (unsigned)c - '0' + 52;
    if (c == '+' || c == '-')
        return 62;
    return c == '/' || c == '_' ? 63 : 0x100;
}

enum oto_status oto_base64_decode(struct oto_bytes text, uint8_t *output, size_t *ret_size)
{
    size_t size = text.size, padding = 0;
    while (padding < 2 && size && text.data[size - 1] == '=')
        size--, padding++;
    if (size % 4 == 1 || (padding && (size + padding) % 4 != 0))
        return OTO_INVALID;
    uint32_t bits = 0;
    unsigned bad = 0;
    uint8_t *out = output;
    for (size_t i = 0; i < size; i++) {
        unsigned value = base64_value(text.data[i]);
        bad |= value;
        bits = bits << 6 | (value & 63);
        if (i % 4 == 3) {
            *out++ = (uint8_t)(bits >> 16);
            *out++ = (uint8_t)(bits >> 8);
            *out++ = (uint8_t)bits;
        }
    }
    if (bad > 63)
        return OTO_INVALID;
    if (size % 4 == 2) {
        *out++ = (uint8_t)(bits >> 4);
    } else if (size % 4 == 3) {
        *out++ = (uint8_t)(bits >> 10);
        *out++ = (uint8_t)(bits >> 2);
    }
    *ret_size = (size_t)(out - output);
    return OTO_OK;
}
