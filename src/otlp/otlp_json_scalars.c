// OTLP/JSON: values that are neither objects nor arrays.
#include "otlp/otlp_json_internal.h"

#define NUMBER_TEXT_MAX 512 // of a number in a string with escapes

static enum oto_status fail_at(struct oto_otlp_json *c, const uint8_t *at, const char *problem)
{
    return oto_json_fail(&c->reader, at, problem);
}

// --- Numbers, strictly ---
// These read at c->reader.at and leave it behind the value.

// What the value of a number is to be read from: the number's own text, or what stands in a string.
static enum oto_status number_text(struct oto_otlp_json *c, uint8_t *room,
                                   struct oto_bytes *ret_text)
{
    int byte = oto_json_peek(&c->reader);
    if (byte == '-' || (byte >= '0' && byte <= '9'))
        return oto_json_number(&c->reader, ret_text);
    if (byte != '"')
        return fail_at(c, c->reader.at, "not a number");
    const uint8_t *start = c->reader.at;
    struct oto_json_string string;
    OTO_TRY(oto_json_string(&c->reader, &string));
    *ret_text = string.raw;
    if (!string.escaped)
        return OTO_OK;
    if (string.raw.size > NUMBER_TEXT_MAX)
        return fail_at(c, start, "not a number");
    *ret_text = oto_bytes(room, oto_json_unescape(string.raw, room));
    return OTO_OK;
}

static enum oto_status integer_status(struct oto_otlp_json *c, const uint8_t *start,
                                      enum oto_status status)
{
    if (status >= 0)
        return OTO_OK;
    return fail_at(c, start, status == OTO_TOO_LARGE ? "out of range" : "not an integer");
}

static enum oto_status read_u64(struct oto_otlp_json *c, uint64_t *ret_value)
{
    const uint8_t *start = c->reader.at;
    uint8_t room[NUMBER_TEXT_MAX];
    struct oto_bytes text;
    OTO_TRY(number_text(c, room, &text));
    return integer_status(c, start, oto_json_to_u64(text, ret_value));
}

static enum oto_status read_i64(struct oto_otlp_json *c, int64_t *ret_value)
{
    const uint8_t *start = c->reader.at;
    uint8_t room[NUMBER_TEXT_MAX];
    struct oto_bytes text;
    OTO_TRY(number_text(c, room, &text));
    return integer_status(c, start, oto_json_to_i64(text, ret_value));
}

static enum oto_status read_double(struct oto_otlp_json *c, double *ret_value)
{
    const uint8_t *start = c->reader.at;
    uint8_t room[NUMBER_TEXT_MAX];
    struct oto_bytes text;
    OTO_TRY(number_text(c, room, &text));
    enum oto_status status = oto_text_to_double(text, ret_value);
    if (status < 0)
        return fail_at(c, start, status == OTO_TOO_LARGE ? "out of range" : "not a number");
    return OTO_OK;
}

static int enum_by_name(const struct oto_otlp_enum *names, struct oto_bytes name,
                        int64_t *ret_value)
{
    for (uint32_t i = 0; i < names->count; i++) {
        if (oto_bytes_equal_text(name, names->names[i])) {
            *ret_value = i;
            return 1;
        }
    }
    return 0;
}

static enum oto_status read_enum(struct oto_otlp_json *c, const struct oto_otlp_field *field,
                                 int64_t *ret_value)
{
    const uint8_t *start = c->reader.at;
    if (oto_json_peek(&c->reader) == '"') {
        uint8_t room[NUMBER_TEXT_MAX];
        struct oto_bytes text;
        OTO_TRY(number_text(c, room, &text));
        if (enum_by_name(field->names, text, ret_value))
            return OTO_OK;
        c->reader.at = start;
        if (text.size && (text.data[0] | 0x20) >= 'a')
            return fail_at(c, start, "unknown enum name");
    }
    return read_i64(c, ret_value);
}

// --- Numbers, fast ---

// Digits alone, in quotes or not. NULL when it is anything else.
static inline const uint8_t *plain_digits(const struct oto_otlp_json *c, const uint8_t *at,
                                          uint64_t *ret_value)
{
    if (!oto_otlp_json_ahead(c, at))
        return NULL;
    int quoted = *at == '"';
    at += quoted;
    size_t count = oto_json_digits(at, ret_value);
    if (count - 1 > 18 || (*at == '0' && count > 1))
        return NULL;
    at += count;
    if (quoted ? *at != '"' : *at == '.' || (*at | 0x20) == 'e')
        return NULL;
    return at + quoted;
}

const uint8_t *oto_otlp_json_decimal(const uint8_t *at, double *ret_value)
{
    int minus = *at == '-';
    at += minus;
    uint64_t whole, fraction;
    size_t count = oto_json_digits(at, &whole), places = 0;
    if (count - 1 > 18 || (*at == '0' && count > 1))
        return NULL;
    at += count;
    if (*at == '.') {
        places = oto_json_digits(at + 1, &fraction);
        if (places == 0 || count + places > 19)
            return NULL;
        at += 1 + places;
        whole = whole * oto_text_powers_of_ten[places] + fraction;
    }
    if ((*at | 0x20) == 'e')
        return NULL;
    double value = oto_text_decimal(whole, (int)places);
    *ret_value = minus ? -value : value;
    return at;
}

// --- Writing ---

static inline struct oto_json_place
write_fixed64(struct oto_json_place p, const struct oto_otlp_field *field, uint64_t value)
{
    if (!(field->flags & OTO_OTLP_PACKED))
        p.out = oto_otlp_json_put_tag(p.out, field->number, OTO_PB_FIXED64);
    oto_store64(p.out, value);
    p.out += sizeof value;
    return p;
}

static inline struct oto_json_place write_varint(struct oto_json_place p,
                                                 const struct oto_otlp_field *field, uint64_t value)
{
    if (!(field->flags & OTO_OTLP_PACKED))
        p.out = oto_otlp_json_put_tag(p.out, field->number, OTO_PB_VARINT);
    p.out = oto_otlp_json_put_varint(p.out, value);
    return p;
}

// The value at p.at, p.at behind it then.
static inline struct oto_json_place read_unsigned(struct oto_otlp_json *c, struct oto_json_place p,
                                                  uint64_t most, uint64_t *ret_value)
{
    const uint8_t *start = p.at;
    p.at = plain_digits(c, start, ret_value);
    if (__builtin_expect(!p.at, 0)) {
        c->reader.at = start;
        enum oto_status status = read_u64(c, ret_value);
        if (status < 0)
            return oto_otlp_json_stop(c, status);
        p.at = c->reader.at;
    }
    return *ret_value <= most ? p : oto_otlp_json_fail(c, start, "out of range");
}

static struct oto_json_place write_fixed(struct oto_otlp_json *c, struct oto_json_place p,
                                         const struct oto_otlp_field *field)
{
    uint64_t value;
    p = read_unsigned(c, p, UINT64_MAX, &value);
    return p.at ? write_fixed64(p, field, value) : p;
}

static struct oto_json_place write_fixed_narrow(struct oto_otlp_json *c, struct oto_json_place p,
                                                const struct oto_otlp_field *field)
{
    uint64_t value;
    p = read_unsigned(c, p, UINT32_MAX, &value);
    if (!p.at)
        return p;
    p.out = oto_otlp_json_put_tag(p.out, field->number, OTO_PB_FIXED32);
    oto_store32(p.out, (uint32_t)value);
    p.out += sizeof(uint32_t);
    return p;
}

static struct oto_json_place write_unsigned(struct oto_otlp_json *c, struct oto_json_place p,
                                            const struct oto_otlp_field *field)
{
    uint64_t value;
    p = read_unsigned(c, p, field->type == OTO_OTLP_UINT32 ? UINT32_MAX : UINT64_MAX, &value);
    return p.at ? write_varint(p, field, value) : p;
}

static struct oto_json_place write_signed(struct oto_otlp_json *c, struct oto_json_place p,
                                          const struct oto_otlp_field *field)
{
    int wide = field->type == OTO_OTLP_INT64 || field->type == OTO_OTLP_SFIXED64;
    const uint8_t *start = p.at;
    uint64_t plain;
    int64_t value;
    int named = field->type == OTO_OTLP_ENUM && start < c->end && *start == '"';
    p.at = named ? NULL : plain_digits(c, start, &plain);
    if (p.at && plain <= INT64_MAX) {
        value = (int64_t)plain;
    } else {
        c->reader.at = start;
        enum oto_status status =
            field->type == OTO_OTLP_ENUM ? read_enum(c, field, &value) : read_i64(c, &value);
        if (status < 0)
            return oto_otlp_json_stop(c, status);
        p.at = c->reader.at;
    }
    if (!wide && (value < INT32_MIN || value > INT32_MAX))
        return oto_otlp_json_fail(c, start, "out of range");
    if (field->type == OTO_OTLP_SFIXED64)
        return write_fixed64(p, field, (uint64_t)value);
    if (field->type == OTO_OTLP_SINT32)
        return write_varint(
            p, field, (uint32_t)((uint32_t)value << 1) ^ (uint32_t)(value < 0 ? UINT32_MAX : 0));
    return write_varint(p, field, (uint64_t)value);
}

static struct oto_json_place write_double(struct oto_otlp_json *c, struct oto_json_place p,
                                          const struct oto_otlp_field *field)
{
    const uint8_t *start = p.at;
    double number;
    p.at = oto_otlp_json_ahead(c, start) ? oto_otlp_json_decimal(start, &number) : NULL;
    if (!p.at) {
        c->reader.at = start;
        enum oto_status status = read_double(c, &number);
        if (status < 0)
            return oto_otlp_json_stop(c, status);
        p.at = c->reader.at;
    }
    uint64_t bits;
    memcpy(&bits, &number, sizeof bits);
    return write_fixed64(p, field, bits);
}

static struct oto_json_place write_bool(struct oto_otlp_json *c, struct oto_json_place p,
                                        const struct oto_otlp_field *field)
{
    int byte = p.at < c->end ? *p.at : -1;
    if (byte != 't' && byte != 'f')
        return oto_otlp_json_fail(c, p.at, "not true or false");
    c->reader.at = p.at;
    enum oto_status status = oto_json_literal(&c->reader);
    if (status < 0)
        return oto_otlp_json_stop(c, status);
    p.at = c->reader.at;
    return write_varint(p, field, byte == 't');
}

// --- Strings and bytes ---

// The string at p.at, whatever it holds; p.at is behind it then.
static struct oto_json_place read_string(struct oto_otlp_json *c, struct oto_json_place p,
                                         struct oto_json_string *ret_string)
{
    if (p.at == c->end || *p.at != '"')
        return oto_otlp_json_fail(c, p.at, "not a string");
    c->reader.at = p.at;
    enum oto_status status = oto_json_string(&c->reader, ret_string);
    if (status < 0)
        return oto_otlp_json_stop(c, status);
    p.at = c->reader.at;
    return p;
}

// The size of text with escapes is known only after they are gone: a length of the width that the
// text as it stands would have.
static struct oto_json_place write_any_string(struct oto_otlp_json *c, struct oto_json_place p,
                                              const struct oto_otlp_field *field)
{
    struct oto_json_string string;
    p = read_string(c, p, &string);
    if (p.at)
        p = oto_otlp_json_grow(c, p, string.raw.size);
    if (!p.at)
        return p;
    size_t size = string.raw.size, width = oto_otlp_json_width(size);
    uint8_t *text = oto_otlp_json_put_tag(p.out, field->number, OTO_PB_BYTES) + width;
    if (string.escaped)
        size = oto_json_unescape(string.raw, text);
    else if (size)
        memcpy(text, string.raw.data, size);
    oto_otlp_json_put_length(text - width, width, size);
    p.out = text + size;
    return p;
}

static struct oto_json_place write_string(struct oto_otlp_json *c, struct oto_json_place p,
                                          const struct oto_otlp_field *field)
{
    if (oto_otlp_json_ahead(c, p.at) && *p.at == '"') {
        uint8_t *text = oto_otlp_json_put_tag(p.out, field->number, OTO_PB_BYTES) + 1;
        size_t size = oto_otlp_json_plain(c, p.at + 1, text);
        if (size <= OTO_OTLP_JSON_PLAIN_MAX) {
            text[-1] = (uint8_t)size;
            return (struct oto_json_place){p.at + size + 2, text + size};
        }
    }
    return write_any_string(c, p, field);
}

static struct oto_json_place write_any_id(struct oto_otlp_json *c, struct oto_json_place p,
                                          const struct oto_otlp_field *field)
{
    const uint8_t *start = p.at;
    struct oto_json_string string;
    p = read_string(c, p, &string);
    if (!p.at)
        return p;
    uint8_t plain[6 * 64];
    struct oto_bytes text = string.raw;
    if (string.escaped) {
        if (text.size > sizeof plain)
            return oto_otlp_json_fail(c, start, "not hexadecimal");
        text = oto_bytes(plain, oto_json_unescape(text, plain));
    }
    size_t size = text.size / 2, width = oto_otlp_json_width(size);
    p = oto_otlp_json_grow(c, p, size);
    if (!p.at)
        return p;
    uint8_t *id = oto_otlp_json_put_tag(p.out, field->number, OTO_PB_BYTES) + width;
    if (oto_hex_decode(text, id) != OTO_OK)
        return oto_otlp_json_fail(c, start, "not hexadecimal");
    oto_otlp_json_put_length(id - width, width, size);
    p.out = id + size;
    return p;
}

// Of 8 or 16 bytes, as all legal ones are.
static struct oto_json_place write_id(struct oto_otlp_json *c, struct oto_json_place p,
                                      const struct oto_otlp_field *field)
{
    if (oto_otlp_json_ahead(c, p.at) && *p.at == '"') {
        const uint8_t *digits = p.at + 1;
        uint8_t *id = oto_otlp_json_put_tag(p.out, field->number, OTO_PB_BYTES) + 1;
        size_t size = digits[16] == '"' ? 8 : 16;
        if (digits[2 * size] == '"' && oto_hex_read_eight(digits, id) &&
            (size == 8 || oto_hex_read_eight(digits + 16, id + 8))) {
            id[-1] = (uint8_t)size;
            return (struct oto_json_place){digits + 2 * size + 1, id + size};
        }
    }
    return write_any_id(c, p, field);
}

static struct oto_json_place write_base64(struct oto_otlp_json *c, struct oto_json_place p,
                                          const struct oto_otlp_field *field)
{
    const uint8_t *start = p.at;
    struct oto_json_string string;
    p = read_string(c, p, &string);
    if (!p.at)
        return p;
    struct oto_bytes text = string.raw;
    size_t width = oto_otlp_json_width(text.size), decoded_max = 3 * (text.size / 4 + 1);
    p = oto_otlp_json_grow(c, p, decoded_max + (string.escaped ? text.size : 0));
    if (!p.at)
        return p;
    uint8_t *bytes = oto_otlp_json_put_tag(p.out, field->number, OTO_PB_BYTES) + width;
    if (string.escaped) // some writers escape the slash of base64
        text = oto_bytes(bytes + decoded_max, oto_json_unescape(text, bytes + decoded_max));
    size_t size;
    if (oto_base64_decode(text, bytes, &size) != OTO_OK)
        return oto_otlp_json_fail(c, start, "not base64");
    oto_otlp_json_put_length(bytes - width, width, size);
    p.out = bytes + size;
    return p;
}

static struct oto_json_place write_message(struct oto_otlp_json *c, struct oto_json_place p,
                                           const struct oto_otlp_field *field)
{
    (void)field;
    return oto_otlp_json_fail(c, p.at, "expected a value");
}

struct oto_json_place (*const oto_otlp_json_writers[])(struct oto_otlp_json *c,
                                                       struct oto_json_place p,
                                                       const struct oto_otlp_field *field) = {
    [OTO_OTLP_STRING] = write_string,   [OTO_OTLP_BYTES] = write_base64,
    [OTO_OTLP_ID] = write_id,           [OTO_OTLP_BOOL] = write_bool,
    [OTO_OTLP_INT32] = write_signed,    [OTO_OTLP_UINT32] = write_unsigned,
    [OTO_OTLP_INT64] = write_signed,    [OTO_OTLP_UINT64] = write_unsigned,
    [OTO_OTLP_SINT32] = write_signed,   [OTO_OTLP_FIXED32] = write_fixed_narrow,
    [OTO_OTLP_FIXED64] = write_fixed,   [OTO_OTLP_SFIXED64] = write_signed,
    [OTO_OTLP_DOUBLE] = write_double,   [OTO_OTLP_ENUM] = write_signed,
    [OTO_OTLP_MESSAGE] = write_message,
};
