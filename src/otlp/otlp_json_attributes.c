// Attributes as senders write them, in one go: half of all OTLP/JSON is these few words again and
// again. What they mean stands in otlp_schema.c; what is not written like this goes the way by it.
#include "otlp/otlp_json_internal.h"

#define TAG(number, wire) ((uint8_t)OTO_PB_TAG(number, wire))

// Words of text, which the compiler makes constants of.
static inline int starts_8(const uint8_t *at, const char *text)
{
    return oto_load64(at) == oto_load64(text);
}

static inline int starts_4(const uint8_t *at, const char *text)
{
    return oto_load32(at) == oto_load32(text);
}

static inline struct oto_json_place integer(struct oto_json_place p)
{
    const uint8_t *at = p.at;
    int quoted = *at == '"';
    at += quoted;
    int minus = *at == '-';
    at += minus;
    uint64_t value;
    size_t count = oto_json_digits(at, &value);
    if (count - 1 > 18 || (*at == '0' && count > 1) || value > INT64_MAX ||
        (quoted && at[count] != '"'))
        return oto_otlp_json_nowhere();
    uint8_t *out = p.out;
    *out++ = TAG(3, OTO_PB_VARINT);
    out = oto_otlp_json_put_varint(out, minus ? 0 - value : value);
    return (struct oto_json_place){at + count + quoted, out};
}

static inline struct oto_json_place number(struct oto_json_place p)
{
    double value;
    const uint8_t *end = oto_otlp_json_decimal(p.at, &value);
    p.out[0] = TAG(4, OTO_PB_FIXED64);
    memcpy(p.out + 1, &value, sizeof value);
    return (struct oto_json_place){end, p.out + 9};
}

// p.at: behind the brace and the quote of the name. Leaves p.at at what should be the last brace.
static inline struct oto_json_place content(const struct oto_otlp_json *c, struct oto_json_place p)
{
    const uint8_t *at = p.at;
    uint8_t *out = p.out;
    if (starts_8(at, "stringVa") && starts_8(at + 6, "Value\":\"")) {
        size_t size = oto_otlp_json_plain(c, at + 14, out + 2);
        if (size > OTO_OTLP_JSON_PLAIN_MAX)
            return oto_otlp_json_nowhere();
        out[0] = TAG(1, OTO_PB_BYTES);
        out[1] = (uint8_t)size;
        return (struct oto_json_place){at + 14 + size + 1, out + 2 + size};
    }
    if (starts_8(at, "intValue") && at[8] == '"' && at[9] == ':')
        return integer((struct oto_json_place){at + 10, out});
    if (starts_8(at, "doubleVa") && starts_8(at + 5, "eValue\":"))
        return number((struct oto_json_place){at + 13, out});
    if (starts_8(at, "boolValu") && starts_4(at + 7, "ue\":")) {
        int value = starts_4(at + 11, "true");
        if (!value && !(starts_4(at + 11, "fals") && at[15] == 'e'))
            return oto_otlp_json_nowhere();
        out[0] = TAG(2, OTO_PB_VARINT);
        out[1] = (uint8_t)value;
        return (struct oto_json_place){at + (value ? 15 : 16), out + 2};
    }
    return oto_otlp_json_nowhere();
}

struct oto_json_place oto_otlp_json_any_value(const struct oto_otlp_json *c,
                                              struct oto_json_place p, uint32_t number_)
{
    if (!oto_otlp_json_ahead(c, p.at) || p.at[0] != '{' || p.at[1] != '"')
        return oto_otlp_json_nowhere();
    uint8_t *value = oto_otlp_json_put_tag(p.out, number_, OTO_PB_BYTES) + 1;
    p = content(c, (struct oto_json_place){p.at + 2, value});
    if (!p.at || *p.at != '}')
        return oto_otlp_json_nowhere();
    value[-1] = (uint8_t)(p.out - value);
    p.at++;
    return p;
}

#define KEY_MAX 64

// {"key":"K","value":{…}} at p.at.
static inline struct oto_json_place key_value(const struct oto_otlp_json *c,
                                              struct oto_json_place p, uint32_t number_)
{
    if (!oto_otlp_json_ahead(c, p.at) || !starts_8(p.at, "{\"key\":\""))
        return oto_otlp_json_nowhere();
    uint8_t *pair = oto_otlp_json_put_tag(p.out, number_, OTO_PB_BYTES) + 1;
    size_t key_size = oto_otlp_json_plain(c, p.at + 8, pair + 2);
    if (key_size > KEY_MAX)
        return oto_otlp_json_nowhere();
    const uint8_t *at = p.at + 8 + key_size;
    if (!oto_otlp_json_ahead(c, at) || !starts_8(at, "\",\"value") || !starts_4(at + 8, "\":{\""))
        return oto_otlp_json_nowhere();
    pair[0] = TAG(1, OTO_PB_BYTES);
    pair[1] = (uint8_t)key_size;
    uint8_t *value = pair + 2 + key_size + 2;
    p = content(c, (struct oto_json_place){at + 12, value});
    if (!p.at || p.at[0] != '}' || p.at[1] != '}')
        return oto_otlp_json_nowhere();
    p.at += 2;
    value[-2] = TAG(2, OTO_PB_BYTES);
    value[-1] = (uint8_t)(p.out - value);
    size_t size = (size_t)(p.out - pair);
    if (size >= 0x80) { // its length takes one byte more
        memmove(pair + 1, pair, size);
        pair[0] = (uint8_t)(size >> 7);
        p.out++;
    }
    pair[-1] = (uint8_t)(size < 0x80 ? size : size | 0x80);
    return p;
}

struct oto_json_place oto_otlp_json_key_values(const struct oto_otlp_json *c,
                                               struct oto_json_place p,
                                               struct oto_otlp_json_frame *f)
{
    while (p.out <= c->room_end && oto_otlp_json_ahead(c, p.at) && *p.at == f->before) {
        struct oto_json_place behind =
            key_value(c, (struct oto_json_place){p.at + 1, p.out}, f->field->number);
        if (!behind.at)
            break;
        p = behind;
        f->before = ',';
        f->index++;
    }
    return p;
}
