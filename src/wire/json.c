#include "wire/json.h"
#include "base/utf8.h"
#include "wire/json_scan.h"

void oto_json_reader_init(struct oto_json_reader *r, struct oto_bytes document, uint32_t depth_max)
{
    static const uint8_t nothing[1] = {0};
    const uint8_t *start = document.data ? document.data : nothing;
    *r = (struct oto_json_reader){
        .start = start,
        .at = start,
        .end = start + document.size,
        .depth_max = depth_max < OTO_JSON_DEPTH_MAX ? depth_max : OTO_JSON_DEPTH_MAX,
    };
}

static int hex_digit(uint8_t byte)
{
    if (byte >= '0' && byte <= '9')
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

// Size of the escape at `at` (a backslash), or 0 when it is none.
static size_t escape_size(const uint8_t *at, const uint8_t *end)
{
    if (end - at < 2)
        return 0;
    switch (at[1]) {
    case '"':
    case '\\':
    case '/':
    case 'b':
    case 'f':
    case 'n':
    case 'r':
    case 't':
        return 2;
    case 'u':
        if (end - at < 6)
            return 0;
        for (int i = 2; i < 6; i++)
            if (hex_digit(at[i]) < 0)
                return 0;
        return 6;
    default:
        return 0;
    }
}

static enum oto_status bad_utf8(struct oto_json_reader *r, const uint8_t *start, size_t size)
{
    return oto_json_fail(r, start + oto_utf8_valid_prefix(start, size), "not valid UTF-8");
}

enum oto_status oto_json_string(struct oto_json_reader *r, struct oto_json_string *ret_string)
{
    const uint8_t *start = r->at + 1;
    const uint8_t *at = start;
    uint32_t high = 0;
    int escaped = 0;
    for (;;) {
        at = oto_json_scan(at, r->end, &high);
        if (at == r->end)
            return oto_json_fail(r, at, "string without an end");
        if (*at == '"')
            break;
        if (*at != '\\')
            return oto_json_fail(r, at, "control character in a string");
        size_t size = escape_size(at, r->end);
        if (!size)
            return oto_json_fail(r, at, "unknown escape in a string");
        escaped = 1;
        at += size;
    }
    size_t size = (size_t)(at - start);
    if (high && !oto_utf8_valid(start, size))
        return bad_utf8(r, start, size);
    ret_string->raw = oto_bytes(start, size);
    ret_string->escaped = escaped;
    r->at = at + 1;
    return OTO_OK;
}

enum oto_status oto_json_name(struct oto_json_reader *r, struct oto_json_string *ret_name)
{
    struct oto_json_string name;
    OTO_TRY(oto_json_string(r, &name));
    OTO_TRY(oto_json_colon(r));
    *ret_name = name;
    return OTO_OK;
}

static const uint8_t *digits(const uint8_t *at, const uint8_t *end)
{
    while (at < end && *at >= '0' && *at <= '9')
        at++;
    return at;
}

// The end of the number that starts at `at`; where it breaks the grammar, NULL and the place.
static const uint8_t *number_end(const uint8_t *at, const uint8_t *end, const uint8_t **ret_bad)
{
    if (at < end && *at == '-')
        at++;
    const uint8_t *part = at;
    at = digits(at, end);
    if (at == part || (*part == '0' && at - part > 1)) {
        *ret_bad = part;
        return NULL;
    }
    if (at < end && *at == '.') {
        part = ++at;
        at = digits(at, end);
        if (at == part) {
            *ret_bad = at;
            return NULL;
        }
    }
    if (at < end && (*at == 'e' || *at == 'E')) {
        at++;
        if (at < end && (*at == '+' || *at == '-'))
            at++;
        part = at;
        at = digits(at, end);
        if (at == part) {
            *ret_bad = at;
            return NULL;
        }
    }
    return at;
}

enum oto_status oto_json_number(struct oto_json_reader *r, struct oto_bytes *ret_text)
{
    const uint8_t *bad = NULL;
    const uint8_t *end = number_end(r->at, r->end, &bad);
    if (!end)
        return oto_json_fail(r, bad, "malformed number");
    *ret_text = oto_bytes(r->at, (size_t)(end - r->at));
    r->at = end;
    return OTO_OK;
}

enum oto_status oto_json_literal(struct oto_json_reader *r)
{
    size_t left = (size_t)(r->end - r->at);
    if (left >= 4 && (memcmp(r->at, "true", 4) == 0 || memcmp(r->at, "null", 4) == 0))
        r->at += 4;
    else if (left >= 5 && memcmp(r->at, "false", 5) == 0)
        r->at += 5;
    else
        return oto_json_fail(r, r->at, "expected a value");
    return OTO_OK;
}

static enum oto_status skip_scalar(struct oto_json_reader *r, int byte)
{
    struct oto_json_string string;
    struct oto_bytes number;
    if (byte == '"')
        return oto_json_string(r, &string);
    if (byte == '-' || (byte >= '0' && byte <= '9'))
        return oto_json_number(r, &number);
    if (byte < 0)
        return oto_json_fail(r, r->at, "ends too early");
    return oto_json_literal(r);
}

enum oto_status oto_json_skip(struct oto_json_reader *r)
{
    uint64_t objects[OTO_JSON_DEPTH_MAX / 64]; // a bit for each level: 1 for an object
    uint32_t base = r->depth;
    for (;;) {
        int byte = oto_json_peek(r);
        if (byte == '{' || byte == '[') {
            OTO_TRY(oto_json_enter(r));
            uint32_t level = r->depth - 1;
            uint64_t bit = (uint64_t)1 << (level % 64);
            objects[level / 64] =
                byte == '{' ? objects[level / 64] | bit : objects[level / 64] & ~bit;
        } else {
            OTO_TRY(skip_scalar(r, byte));
        }
        // Leave what ends here; stop before the next value.
        for (;;) {
            if (r->depth == base)
                return OTO_OK;
            uint32_t level = r->depth - 1;
            int in_object = (int)(objects[level / 64] >> (level % 64) & 1);
            enum oto_status status = in_object ? oto_json_member(r) : oto_json_element(r);
            if (status < 0)
                return status;
            if (status == OTO_END)
                continue;
            struct oto_json_string name;
            if (in_object)
                OTO_TRY(oto_json_name(r, &name));
            break;
        }
    }
}

enum oto_status oto_json_finish(struct oto_json_reader *r)
{
    if (oto_json_peek(r) >= 0)
        return oto_json_fail(r, r->at, "more after the end of the document");
    return OTO_OK;
}

static uint32_t hex4(const uint8_t *at)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++)
        value = value << 4 | (uint32_t)hex_digit(at[i]);
    return value;
}

static uint8_t *put_utf8(uint8_t *out, uint32_t c)
{
    if (c < 0x80) {
        *out++ = (uint8_t)c;
    } else if (c < 0x800) {
        *out++ = (uint8_t)(0xC0 | c >> 6);
        *out++ = (uint8_t)(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        *out++ = (uint8_t)(0xE0 | c >> 12);
        *out++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        *out++ = (uint8_t)(0x80 | (c & 0x3F));
    } else {
        *out++ = (uint8_t)(0xF0 | c >> 18);
        *out++ = (uint8_t)(0x80 | (c >> 12 & 0x3F));
        *out++ = (uint8_t)(0x80 | (c >> 6 & 0x3F));
        *out++ = (uint8_t)(0x80 | (c & 0x3F));
    }
    return out;
}

// The code point of a \u escape at `at`, its second half too when there is one.
static uint32_t unicode_escape(const uint8_t **at, const uint8_t *end)
{
    uint32_t c = hex4(*at + 2);
    *at += 6;
    if (c < 0xD800 || c > 0xDFFF)
        return c;
    if (c <= 0xDBFF && end - *at >= 6 && (*at)[0] == '\\' && (*at)[1] == 'u') {
        uint32_t low = hex4(*at + 2);
        if (low >= 0xDC00 && low <= 0xDFFF) {
            *at += 6;
            return 0x10000 + ((c - 0xD800) << 10 | (low - 0xDC00));
        }
    }
    return 0xFFFD;
}

static uint8_t plain_escape(uint8_t letter)
{
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    default:
        return letter;
    }
}

size_t oto_json_unescape(struct oto_bytes raw, uint8_t *output)
{
    const uint8_t *at = raw.data;
    const uint8_t *end = at + raw.size;
    uint8_t *out = output;
    while (at < end) {
        const uint8_t *escape = memchr(at, '\\', (size_t)(end - at));
        size_t run = (size_t)((escape ? escape : end) - at);
        memcpy(out, at, run);
        out += run;
        at += run;
        if (at == end)
            break;
        if (at[1] == 'u') {
            out = put_utf8(out, unicode_escape(&at, end));
        } else {
            *out++ = plain_escape(at[1]);
            at += 2;
        }
    }
    return (size_t)(out - output);
}

// A decimal number's value is digits * 10^exponent; digits without leading and trailing zeros, at
// most 20 of them.
struct decimal {
    uint64_t digits;
    int64_t exponent;
    int negative;
};

// OTO_TOO_LARGE: more than 20 significant digits, or over 2^64 (`exponent` then tells whether it
// has a fraction).
static enum oto_status decimal_read(struct oto_bytes number, struct decimal *ret_decimal)
{
    const uint8_t *at = number.data;
    const uint8_t *end = at + number.size;
    const uint8_t *bad = NULL;
    if (number.size == 0 || number_end(at, end, &bad) != end)
        return OTO_INVALID;
    struct decimal d = {.negative = *at == '-'};
    at += d.negative;
    int64_t zeros = 0; // seen since the last digit that is not zero, not yet counted
    int point = 0, overflow = 0;
    for (; at < end && *at != 'e' && *at != 'E'; at++) {
        if (*at == '.') {
            point = 1;
            continue;
        }
        d.exponent -= point;
        zeros++;
        if (*at == '0')
            continue;
        for (; zeros && d.digits; zeros--)
            overflow |= __builtin_mul_overflow(d.digits, (uint64_t)10, &d.digits);
        zeros = 0;
        if (!d.digits)
            d.digits = (uint64_t)(*at - '0');
        else
            overflow |= __builtin_add_overflow(d.digits, (uint64_t)(*at - '0'), &d.digits);
        if (overflow)
            d.digits = 1;
    }
    d.exponent += zeros;
    int64_t exponent = 0;
    if (at < end) {
        at++;
        int minus = *at == '-';
        at += *at == '-' || *at == '+';
        for (; at < end; at++)
            if (exponent < INT64_MAX / 100)
                exponent = exponent * 10 + (*at - '0');
        exponent = minus ? -exponent : exponent;
    }
    d.exponent += exponent;
    *ret_decimal = d;
    return overflow && d.exponent >= 0 ? OTO_TOO_LARGE : overflow ? OTO_INVALID : OTO_OK;
}

// The magnitude of an integral decimal. OTO_INVALID when it has a fraction, OTO_TOO_LARGE past
// 2^64.
static enum oto_status decimal_magnitude(const struct decimal *d, uint64_t *ret_magnitude)
{
    uint64_t value = d->digits;
    if (value == 0) {
        *ret_magnitude = 0;
        return OTO_OK;
    }
    if (d->exponent < 0)
        return OTO_INVALID;
    if (d->exponent > 19)
        return OTO_TOO_LARGE;
    for (int64_t i = 0; i < d->exponent; i++)
        if (__builtin_mul_overflow(value, (uint64_t)10, &value))
            return OTO_TOO_LARGE;
    *ret_magnitude = value;
    return OTO_OK;
}

enum oto_status oto_json_to_i64(struct oto_bytes number, int64_t *ret_value)
{
    struct decimal d;
    uint64_t magnitude;
    OTO_TRY(decimal_read(number, &d));
    OTO_TRY(decimal_magnitude(&d, &magnitude));
    if (magnitude > (uint64_t)INT64_MAX + (uint64_t)d.negative)
        return OTO_TOO_LARGE;
    *ret_value = (int64_t)(d.negative ? 0 - magnitude : magnitude);
    return OTO_OK;
}

enum oto_status oto_json_to_u64(struct oto_bytes number, uint64_t *ret_value)
{
    struct decimal d;
    uint64_t magnitude;
    OTO_TRY(decimal_read(number, &d));
    OTO_TRY(decimal_magnitude(&d, &magnitude));
    if (d.negative && magnitude)
        return OTO_TOO_LARGE;
    *ret_value = magnitude;
    return OTO_OK;
}

void oto_json_position(struct oto_bytes document, size_t offset, uint32_t *ret_line,
                       uint32_t *ret_column)
{
    const uint8_t *at = document.data;
    const uint8_t *end = at + (offset < document.size ? offset : document.size);
    uint32_t line = 1;
    while (at < end) {
        const uint8_t *newline = memchr(at, '\n', (size_t)(end - at));
        if (!newline)
            break;
        line++;
        at = newline + 1;
    }
    *ret_line = line;
    *ret_column = (uint32_t)(end - at) + 1;
}
