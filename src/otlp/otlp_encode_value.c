// Text and type letters -> AnyValue: the way back of telemetry/value_text.h. Both are untrusted:
// files come from anywhere.
#include "base/text.h"
#include "otlp/otlp_encode_internal.h"
#include "telemetry/value_text.h"
#include "wire/json.h"

#include <math.h>

#define NESTING_MAX 256 // the decoder's own limit is 100

static const char unfit[] = "the text is none of its type";
static const char too_short[] = "the types end inside a value";

static enum oto_status next_letter(struct oto_otlp_encoder *e, struct oto_otlp_letters *letters,
                                   uint8_t *ret_letter)
{
    if (letters->at == letters->end)
        return oto_otlp_wrong(e, too_short);
    *ret_letter = *letters->at++;
    return OTO_OK;
}

// --- scalars: members of AnyValue, from the text of a top-level value or a JSON scalar ---

static enum oto_status put_bool(struct oto_otlp_encoder *e, struct oto_bytes text)
{
    int value = oto_bytes_equal_text(text, "true");
    if (!value && !oto_bytes_equal_text(text, "false"))
        return oto_otlp_wrong(e, unfit);
    return oto_pb_write_uint(e->output, 2, (uint64_t)value);
}

static enum oto_status put_int(struct oto_otlp_encoder *e, struct oto_bytes text)
{
    int64_t value;
    if (oto_text_to_i64(text, &value) < 0)
        return oto_otlp_wrong(e, unfit);
    return oto_pb_write_uint(e->output, 3, (uint64_t)value);
}

static enum oto_status put_double(struct oto_otlp_encoder *e, struct oto_bytes text)
{
    double value;
    if (oto_text_to_double(text, &value) < 0)
        return oto_otlp_wrong(e, unfit);
    return oto_pb_write_fixed64(e->output, 4,
                                isnan(value) ? OTO_VALUE_NAN_BITS : oto_load64(&value));
}

// The bits stand in the letters.
static enum oto_status put_nan(struct oto_otlp_encoder *e, struct oto_bytes text,
                               struct oto_otlp_letters *letters)
{
    uint64_t bits;
    double value;
    if (letters->end - letters->at < 16)
        return oto_otlp_wrong(e, too_short);
    if (oto_hex_decode(oto_bytes(letters->at, 16), (uint8_t *)&bits) < 0)
        return oto_otlp_wrong(e, "no bits of a NaN");
    letters->at += 16;
    bits = __builtin_bswap64(bits);
    memcpy(&value, &bits, sizeof value);
    if (!isnan(value) || !oto_bytes_equal_text(text, "NaN"))
        return oto_otlp_wrong(e, unfit);
    return oto_pb_write_fixed64(e->output, 4, bits);
}

static enum oto_status put_base64(struct oto_otlp_encoder *e, struct oto_bytes text)
{
    struct oto_buffer *b = e->output;
    uint8_t *bytes;
    size_t size;
    e->scratch.size = 0;
    OTO_TRY(oto_buffer_reserve(&e->scratch, 3 * (text.size / 4 + 1)));
    bytes = e->scratch.data;
    if (oto_base64_decode(text, bytes, &size) < 0)
        return oto_otlp_wrong(e, unfit);
    return oto_pb_write_bytes(b, 7, oto_bytes(bytes, size));
}

// --- nested values ---

static enum oto_status json_wrong(struct oto_otlp_encoder *e, enum oto_status status)
{
    if (status < 0 && !e->problem)
        e->problem = "the text is no JSON";
    return status < 0 ? OTO_INVALID : OTO_OK;
}

// A string in quotes, without its escapes. Ownership: returns view, of the text or of the scratch.
static enum oto_status json_string(struct oto_otlp_encoder *e, struct oto_json_reader *r,
                                   struct oto_bytes *ret_text)
{
    struct oto_json_string string;
    if (oto_json_peek(r) != '"')
        return oto_otlp_wrong(e, unfit);
    OTO_TRY(json_wrong(e, oto_json_string(r, &string)));
    *ret_text = string.raw;
    if (!string.escaped)
        return OTO_OK;
    e->scratch.size = 0;
    OTO_TRY(oto_buffer_reserve(&e->scratch, string.raw.size));
    *ret_text = oto_bytes(e->scratch.data, oto_json_unescape(string.raw, e->scratch.data));
    return OTO_OK;
}

static enum oto_status json_literal(struct oto_otlp_encoder *e, struct oto_json_reader *r,
                                    struct oto_bytes *ret_text)
{
    int byte = oto_json_peek(r);
    const uint8_t *start = r->at;
    if (byte != 't' && byte != 'f' && byte != 'n')
        return oto_otlp_wrong(e, unfit);
    OTO_TRY(json_wrong(e, oto_json_literal(r)));
    *ret_text = oto_bytes(start, (size_t)(r->at - start));
    return OTO_OK;
}

static enum oto_status json_number(struct oto_otlp_encoder *e, struct oto_json_reader *r,
                                   struct oto_bytes *ret_text)
{
    int byte = oto_json_peek(r);
    if (byte != '-' && (byte < '0' || byte > '9'))
        return oto_otlp_wrong(e, unfit);
    return json_wrong(e, oto_json_number(r, ret_text));
}

static enum oto_status json_null(struct oto_otlp_encoder *e, struct oto_json_reader *r)
{
    struct oto_bytes text;
    OTO_TRY(json_literal(e, r, &text));
    return oto_bytes_equal_text(text, "null") ? OTO_OK : oto_otlp_wrong(e, unfit);
}

static enum oto_status nested(struct oto_otlp_encoder *e, struct oto_json_reader *r, uint8_t letter,
                              struct oto_otlp_letters *letters, uint32_t depth);

// ArrayValue{1 values}, behind its '['
static enum oto_status nested_array(struct oto_otlp_encoder *e, struct oto_json_reader *r,
                                    struct oto_otlp_letters *letters, uint32_t depth)
{
    size_t array, value;
    OTO_TRY(oto_otlp_open(e->output, 5, &array));
    for (;;) {
        uint8_t letter;
        enum oto_status status = oto_json_element(r);
        OTO_TRY(json_wrong(e, status));
        OTO_TRY(next_letter(e, letters, &letter));
        if ((status == OTO_END) != (letter == ']'))
            return oto_otlp_wrong(e, "not as many values as types");
        if (status == OTO_END)
            return oto_otlp_close(e->output, array);
        if (letter == '-')
            return oto_otlp_wrong(e, "an array has a value without a value");
        OTO_TRY(oto_otlp_open(e->output, 1, &value));
        OTO_TRY(nested(e, r, letter, letters, depth + 1));
        OTO_TRY(oto_otlp_close(e->output, value));
    }
}

// KeyValue{1 key, 2 value}, of a member whose name is next
static enum oto_status nested_pair(struct oto_otlp_encoder *e, struct oto_json_reader *r,
                                   uint8_t letter, struct oto_otlp_letters *letters, uint32_t depth)
{
    struct oto_bytes key;
    size_t pair, value;
    OTO_TRY(oto_otlp_open(e->output, 1, &pair));
    OTO_TRY(json_string(e, r, &key));
    OTO_TRY(json_wrong(e, oto_json_colon(r)));
    OTO_TRY(oto_otlp_put_bytes(e->output, 1, key));
    if (letter == '-') {
        OTO_TRY(json_null(e, r));
    } else {
        OTO_TRY(oto_otlp_open(e->output, 2, &value));
        OTO_TRY(nested(e, r, letter, letters, depth + 1));
        OTO_TRY(oto_otlp_close(e->output, value));
    }
    return oto_otlp_close(e->output, pair);
}

// KeyValueList{1 values}, behind its '{'
static enum oto_status nested_list(struct oto_otlp_encoder *e, struct oto_json_reader *r,
                                   struct oto_otlp_letters *letters, uint32_t depth)
{
    size_t list;
    OTO_TRY(oto_otlp_open(e->output, 6, &list));
    for (;;) {
        uint8_t letter;
        enum oto_status status = oto_json_member(r);
        OTO_TRY(json_wrong(e, status));
        OTO_TRY(next_letter(e, letters, &letter));
        if ((status == OTO_END) != (letter == '}'))
            return oto_otlp_wrong(e, "not as many values as types");
        if (status == OTO_END)
            return oto_otlp_close(e->output, list);
        OTO_TRY(nested_pair(e, r, letter, letters, depth));
    }
}

static enum oto_status nested_double(struct oto_otlp_encoder *e, struct oto_json_reader *r,
                                     uint8_t letter, struct oto_otlp_letters *letters)
{
    struct oto_bytes text;
    int is_quoted = oto_json_peek(r) == '"';
    OTO_TRY(is_quoted ? json_string(e, r, &text) : json_number(e, r, &text));
    if (letter == 'N')
        return put_nan(e, text, letters);
    if (is_quoted && text.size && text.data[text.size - 1] < 'A') // NaN, Infinity, -Infinity
        return oto_otlp_wrong(e, unfit);
    return put_double(e, text);
}

// A member of AnyValue.
static enum oto_status nested(struct oto_otlp_encoder *e, struct oto_json_reader *r, uint8_t letter,
                              struct oto_otlp_letters *letters, uint32_t depth)
{
    struct oto_bytes text;
    if (depth > NESTING_MAX)
        return oto_otlp_wrong(e, "nested too deep");
    switch (letter) {
    case 's':
        OTO_TRY(json_string(e, r, &text));
        return oto_pb_write_bytes(e->output, 1, text);
    case 'b':
        OTO_TRY(json_literal(e, r, &text));
        return put_bool(e, text);
    case 'i':
        OTO_TRY(json_number(e, r, &text));
        return put_int(e, text);
    case 'd':
    case 'N':
        return nested_double(e, r, letter, letters);
    case 'y':
        OTO_TRY(json_string(e, r, &text));
        if (text.data == e->scratch.data) // base64 has nothing to escape
            return oto_otlp_wrong(e, unfit);
        return put_base64(e, text);
    case 'n':
        return json_null(e, r);
    case '[':
    case '{':
        if (oto_json_peek(r) != letter)
            return oto_otlp_wrong(e, unfit);
        OTO_TRY(json_wrong(e, oto_json_enter(r)));
        return letter == '[' ? nested_array(e, r, letters, depth)
                             : nested_list(e, r, letters, depth);
    default:
        return oto_otlp_wrong(e, "no letter of a type");
    }
}

// --- top-level values ---

static enum oto_status put_member(struct oto_otlp_encoder *e, uint8_t letter, struct oto_bytes text,
                                  struct oto_otlp_letters *letters)
{
    struct oto_json_reader r;
    switch (letter) {
    case 's':
        return oto_pb_write_bytes(e->output, 1, text);
    case 'b':
        return put_bool(e, text);
    case 'i':
        return put_int(e, text);
    case 'd':
        return put_double(e, text);
    case 'N':
        return put_nan(e, text, letters);
    case 'y':
        return put_base64(e, text);
    case 'n':
        return text.size ? oto_otlp_wrong(e, unfit) : OTO_OK;
    case '[':
    case '{':
        oto_json_reader_init(&r, text, OTO_JSON_DEPTH_MAX);
        OTO_TRY(nested(e, &r, letter, letters, 1));
        return json_wrong(e, oto_json_finish(&r));
    default:
        return oto_otlp_wrong(e, "no letter of a type");
    }
}

enum oto_status oto_otlp_encode_value(struct oto_otlp_encoder *e, uint32_t field,
                                      struct oto_bytes text, struct oto_otlp_letters *letters)
{
    uint8_t letter = letters->at == letters->end ? 's' : *letters->at++;
    size_t mark;
    if (letter == '-')
        return text.size ? oto_otlp_wrong(e, unfit) : OTO_OK;
    OTO_TRY(oto_otlp_open(e->output, field, &mark));
    OTO_TRY(put_member(e, letter, text, letters));
    return oto_otlp_close(e->output, mark);
}

enum oto_status oto_otlp_encode_map(struct oto_otlp_encoder *e, uint32_t field,
                                    enum oto_otlp_sink_name name, uint32_t index)
{
    const struct oto_column *map = e->maps[name].map;
    if (!map)
        return OTO_OK;
    struct oto_bytes types = oto_otlp_get_text(e->maps[name].types, index);
    struct oto_otlp_letters letters = {types.data,
                                       types.size ? types.data + types.size : types.data};
    e->column = e->maps[name].name;
    for (uint32_t i = map->offsets[index]; i < map->offsets[index + 1]; i++) {
        size_t mark;
        OTO_TRY(oto_otlp_open(e->output, field, &mark));
        OTO_TRY(oto_otlp_put_bytes(e->output, 1, oto_otlp_get_text(&map->children[0], i)));
        OTO_TRY(oto_otlp_encode_value(e, 2, oto_otlp_get_text(&map->children[1], i), &letters));
        OTO_TRY(oto_otlp_close(e->output, mark));
    }
    return letters.at == letters.end ? OTO_OK : oto_otlp_wrong(e, "more types than values");
}

// --- entity references ---

static enum oto_status text_list(struct oto_otlp_encoder *e, struct oto_json_reader *r,
                                 uint32_t field)
{
    if (oto_json_peek(r) != '[')
        return oto_otlp_wrong(e, "not a list of keys");
    OTO_TRY(json_wrong(e, oto_json_enter(r)));
    for (;;) {
        struct oto_bytes text;
        enum oto_status status = oto_json_element(r);
        OTO_TRY(json_wrong(e, status));
        if (status == OTO_END)
            return OTO_OK;
        OTO_TRY(json_string(e, r, &text));
        OTO_TRY(oto_pb_write_bytes(e->output, field, text));
    }
}

// EntityRef{1 schema_url, 2 type, 3 id_keys, 4 description_keys}
static enum oto_status entity_ref(struct oto_otlp_encoder *e, struct oto_json_reader *r)
{
    if (oto_json_peek(r) != '{')
        return oto_otlp_wrong(e, "not a list of entity references");
    OTO_TRY(json_wrong(e, oto_json_enter(r)));
    for (;;) {
        struct oto_json_string name;
        struct oto_bytes text;
        enum oto_status status = oto_json_member(r);
        OTO_TRY(json_wrong(e, status));
        if (status == OTO_END)
            return OTO_OK;
        OTO_TRY(json_wrong(e, oto_json_name(r, &name)));
        if (oto_bytes_equal_text(name.raw, "schemaUrl")) {
            OTO_TRY(json_string(e, r, &text));
            OTO_TRY(oto_otlp_put_bytes(e->output, 1, text));
        } else if (oto_bytes_equal_text(name.raw, "type")) {
            OTO_TRY(json_string(e, r, &text));
            OTO_TRY(oto_otlp_put_bytes(e->output, 2, text));
        } else if (oto_bytes_equal_text(name.raw, "idKeys")) {
            OTO_TRY(text_list(e, r, 3));
        } else if (oto_bytes_equal_text(name.raw, "descriptionKeys")) {
            OTO_TRY(text_list(e, r, 4));
        } else {
            return oto_otlp_wrong(e, "unknown part of an entity reference");
        }
    }
}

enum oto_status oto_otlp_encode_entity_refs(struct oto_otlp_encoder *e, uint32_t field,
                                            struct oto_bytes json)
{
    struct oto_json_reader r;
    e->column = "ResourceEntityRefs";
    oto_json_reader_init(&r, json, 8);
    if (oto_json_peek(&r) != '[')
        return oto_otlp_wrong(e, "not a list of entity references");
    OTO_TRY(json_wrong(e, oto_json_enter(&r)));
    for (;;) {
        size_t mark;
        enum oto_status status = oto_json_element(&r);
        OTO_TRY(json_wrong(e, status));
        if (status == OTO_END)
            return json_wrong(e, oto_json_finish(&r));
        OTO_TRY(oto_otlp_open(e->output, field, &mark));
        OTO_TRY(entity_ref(e, &r));
        OTO_TRY(oto_otlp_close(e->output, mark));
    }
}
