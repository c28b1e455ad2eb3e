// OTLP/JSON to protobuf: one pass over the text with an explicit stack, guided by the schema.
#include "otlp/otlp_json.h"
#include "base/text.h"
#include "otlp/otlp_schema.h"
#include "wire/json.h"
#include "wire/protobuf.h"

#define DEPTH_DEFAULT 420
#define FRAMES_MAX 512
#define NUMBER_TEXT_MAX 512 // of a number in a string with escapes
#define PATH_MAX_BYTES 320

// An object or array that is being read.
struct frame {
    const struct oto_otlp_message *message; // NULL for an array
    const struct oto_otlp_field *field;     // whose value is being read; an array's own field
    size_t mark;                            // of the message or the packed values in the output
    uint32_t seen;                          // a bit for each field that was given
    uint32_t index;                         // an array's element
    uint8_t oneof_seen;
    uint8_t slot; // where the guess of the next field stands
};

// Senders write the fields of a message in one order, so the field that followed last time is
// guessed first. A message's slot 0 guesses its first field, slot i + 1 what comes after field i.
#define SLOTS (OTO_OTLP_FIELDS_MAX + 1)

struct converter {
    struct oto_json_reader reader;
    struct oto_buffer *output;
    struct frame *top;
    uint8_t guesses[OTO_OTLP_MESSAGE_COUNT][SLOTS];
    struct frame frames[FRAMES_MAX];
};

static enum oto_status fail_at(struct converter *c, const uint8_t *at, const char *problem)
{
    return oto_json_fail(&c->reader, at, problem);
}

static enum oto_status fail(struct converter *c, const char *problem)
{
    return fail_at(c, c->reader.at, problem);
}

static enum oto_status push(struct converter *c, const struct oto_otlp_message *message,
                            const struct oto_otlp_field *field, size_t mark)
{
    struct frame *next = c->top + 1;
    if (next == c->frames + FRAMES_MAX) {
        c->reader.problem = "nested too deeply";
        return OTO_TOO_LARGE;
    }
    OTO_TRY(oto_json_enter(&c->reader));
    *next = (struct frame){.message = message, .field = field, .mark = mark};
    c->top = next;
    return OTO_OK;
}

// --- Names ---

static const struct oto_otlp_field *field_by_name(const struct oto_otlp_message *message,
                                                  struct oto_bytes name)
{
    for (uint8_t i = 0; i < message->field_count; i++) {
        const struct oto_otlp_field *field = message->fields + i;
        if (field->name_size == name.size && memcmp(field->name, name.data, name.size) == 0)
            return field;
    }
    return NULL;
}

static const struct oto_otlp_field *field_by_string(const struct oto_otlp_message *message,
                                                    const struct oto_json_string *name)
{
    uint8_t plain[6 * OTO_OTLP_NAME_MAX];
    if (!name->escaped)
        return field_by_name(message, name->raw);
    if (name->raw.size > sizeof plain)
        return NULL;
    return field_by_name(message, oto_bytes(plain, oto_json_unescape(name->raw, plain)));
}

// True when the text behind a quote is the field's name and its closing quote.
static inline int name_matches(const uint8_t *at, const uint8_t *end,
                               const struct oto_otlp_field *field)
{
    size_t size = (size_t)field->name_size + 1;
    if ((size_t)(end - at) < sizeof field->name)
        return (size_t)(end - at) >= size && memcmp(at, field->name, size) == 0;
    if (size >= 8) {
        if (oto_load64(at) != oto_load64(field->name))
            return 0;
        if (size > 16 && oto_load64(at + 8) != oto_load64(field->name + 8))
            return 0;
        return oto_load64(at + size - 8) == oto_load64(field->name + size - 8);
    }
    return ((oto_load64(at) ^ oto_load64(field->name)) << (64 - 8 * size)) == 0;
}

// The next member's field, NULL when it is unknown; OTO_END when the object was left.
static enum oto_status next_field(struct converter *c, const struct oto_otlp_field **ret_field)
{
    struct oto_json_reader *r = &c->reader;
    struct frame *f = c->top;
    f->field = NULL;
    enum oto_status status = oto_json_member(r);
    if (status != OTO_OK)
        return status;
    uint8_t *guess = &c->guesses[f->message->index][f->slot];
    const struct oto_otlp_field *field = f->message->fields + *guess;
    if (name_matches(r->at + 1, r->end, field)) {
        r->at += field->name_size + 2;
        OTO_TRY(oto_json_colon(r));
    } else {
        struct oto_json_string name;
        OTO_TRY(oto_json_name(r, &name));
        field = field_by_string(f->message, &name);
    }
    if (field) {
        *guess = (uint8_t)(field - f->message->fields);
        f->slot = (uint8_t)(*guess + 1);
    }
    f->field = field;
    *ret_field = field;
    return OTO_OK;
}

// --- Scalars ---

// What the value of a number is to be read from: the number's own text, or what stands in a string.
static enum oto_status number_text(struct converter *c, uint8_t *room, struct oto_bytes *ret_text)
{
    int byte = oto_json_peek(&c->reader);
    if (byte == '-' || (byte >= '0' && byte <= '9'))
        return oto_json_number(&c->reader, ret_text);
    if (byte != '"')
        return fail(c, "not a number");
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

// True when 8 characters are all digits.
static inline int eight_digits(uint64_t text)
{
    return ((text & 0xF0F0F0F0F0F0F0F0u) |
            ((text + 0x0606060606060606u) & 0xF0F0F0F0F0F0F0F0u) >> 4) == 0x3333333333333333u;
}

// Their value: pairs, then fours, then all eight at once.
static inline uint32_t eight_digits_value(uint64_t text)
{
    text -= 0x3030303030303030u;
    text = text * 10 + (text >> 8);
    uint64_t low = (text & 0x000000FF000000FFu) * 0x000F424000000064u;
    uint64_t high = (text >> 16 & 0x000000FF000000FFu) * 0x0000271000000001u;
    return (uint32_t)((low + high) >> 32);
}

// Plain digits, in quotes or not, no longer than always fits. 0 when it is anything else; nothing
// is consumed then.
static inline int plain_digits(struct oto_json_reader *r, uint64_t *ret_value)
{
    const uint8_t *at = r->at;
    const uint8_t *end = r->end;
    int quoted = at < end && *at == '"';
    at += quoted;
    const uint8_t *start = at;
    uint64_t value = 0;
    for (int i = 0; i < 2 && end - at >= 8 && eight_digits(oto_load64(at)); i++, at += 8)
        value = value * 100000000 + eight_digits_value(oto_load64(at));
    for (; at < end && (uint8_t)(*at - '0') < 10; at++)
        value = value * 10 + (uint8_t)(*at - '0');
    size_t count = (size_t)(at - start);
    if (count == 0 || count > 18 + (*start == '1') || at == end || (*start == '0' && count > 1))
        return 0;
    if (quoted ? *at != '"' : *at == '.' || (*at | 0x20) == 'e')
        return 0;
    r->at = at + quoted;
    *ret_value = value;
    return 1;
}

static enum oto_status number_status(struct converter *c, const uint8_t *start,
                                     enum oto_status status)
{
    if (status >= 0)
        return OTO_OK;
    return fail_at(c, start, status == OTO_TOO_LARGE ? "out of range" : "not an integer");
}

static enum oto_status read_u64(struct converter *c, uint64_t max, uint64_t *ret_value)
{
    const uint8_t *start = c->reader.at;
    if (!plain_digits(&c->reader, ret_value)) {
        uint8_t room[NUMBER_TEXT_MAX];
        struct oto_bytes text;
        OTO_TRY(number_text(c, room, &text));
        OTO_TRY(number_status(c, start, oto_json_to_u64(text, ret_value)));
    }
    return *ret_value <= max ? OTO_OK : fail_at(c, start, "out of range");
}

static enum oto_status read_i64(struct converter *c, int64_t min, int64_t max, int64_t *ret_value)
{
    const uint8_t *start = c->reader.at;
    uint64_t plain;
    if (plain_digits(&c->reader, &plain) && plain <= INT64_MAX) {
        *ret_value = (int64_t)plain;
    } else {
        uint8_t room[NUMBER_TEXT_MAX];
        struct oto_bytes text;
        c->reader.at = start;
        OTO_TRY(number_text(c, room, &text));
        OTO_TRY(number_status(c, start, oto_json_to_i64(text, ret_value)));
    }
    return *ret_value >= min && *ret_value <= max ? OTO_OK : fail_at(c, start, "out of range");
}

static enum oto_status read_double(struct converter *c, double *ret_value)
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

static enum oto_status read_bool(struct converter *c, uint64_t *ret_value)
{
    int byte = oto_json_peek(&c->reader);
    if (byte != 't' && byte != 'f')
        return fail(c, "not true or false");
    *ret_value = byte == 't';
    return oto_json_literal(&c->reader);
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

static enum oto_status read_enum(struct converter *c, const struct oto_otlp_field *field,
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
            return fail(c, "unknown enum name");
    }
    return read_i64(c, INT32_MIN, INT32_MAX, ret_value);
}

static enum oto_status read_string(struct converter *c, struct oto_json_string *ret_string)
{
    if (oto_json_peek(&c->reader) != '"')
        return fail(c, "not a string");
    return oto_json_string(&c->reader, ret_string);
}

// Bytes of the varint that holds any length up to size_max, and the length in that many bytes.
static size_t length_width(size_t size_max)
{
    size_t width = 1;
    while (size_max >>= 7)
        width++;
    return width;
}

static void length_store(uint8_t *at, size_t width, size_t size)
{
    for (size_t i = 0; i < width; i++, size >>= 7)
        at[i] = (uint8_t)((size & 0x7F) | (i + 1 < width ? 0x80 : 0));
}

#define SHORT_MAX 32

// A short string with more text behind it is copied in one fixed piece. 0 when it cannot be.
static inline int write_short(struct converter *c, const struct oto_otlp_field *field,
                              struct oto_bytes text)
{
    struct oto_buffer *b = c->output;
    if (text.size > SHORT_MAX || c->reader.end - text.data < SHORT_MAX || field->number > 15 ||
        oto_buffer_reserve(b, 2 + SHORT_MAX) != OTO_OK)
        return 0;
    uint8_t *at = b->data + b->size;
    at[0] = (uint8_t)OTO_PB_TAG(field->number, OTO_PB_BYTES);
    at[1] = (uint8_t)text.size;
    memcpy(at + 2, text.data, SHORT_MAX);
    b->size += 2 + text.size;
    return 1;
}

static enum oto_status write_string(struct converter *c, const struct oto_otlp_field *field)
{
    struct oto_json_string string;
    OTO_TRY(read_string(c, &string));
    if (!string.escaped && write_short(c, field, string.raw))
        return OTO_OK;
    if (!string.escaped)
        return oto_pb_write_bytes(c->output, field->number, string.raw);
    // The size is known only after the escapes are gone: a length of the width that the raw size
    // has.
    struct oto_buffer *b = c->output;
    size_t width = length_width(string.raw.size);
    OTO_TRY(oto_pb_write_varint(b, OTO_PB_TAG(field->number, OTO_PB_BYTES)));
    OTO_TRY(oto_buffer_reserve(b, width + string.raw.size));
    uint8_t *at = b->data + b->size;
    size_t size = oto_json_unescape(string.raw, at + width);
    length_store(at, width, size);
    b->size += width + size;
    return OTO_OK;
}

static enum oto_status write_id(struct converter *c, const struct oto_otlp_field *field)
{
    const uint8_t *start = c->reader.at;
    struct oto_json_string string;
    OTO_TRY(read_string(c, &string));
    uint8_t plain[6 * 64];
    struct oto_bytes text = string.raw;
    if (string.escaped) {
        if (text.size > sizeof plain)
            return fail_at(c, start, "not hexadecimal");
        text = oto_bytes(plain, oto_json_unescape(text, plain));
    }
    struct oto_buffer *b = c->output;
    size_t size = text.size / 2, width = length_width(size);
    OTO_TRY(oto_pb_write_varint(b, OTO_PB_TAG(field->number, OTO_PB_BYTES)));
    OTO_TRY(oto_buffer_reserve(b, width + size));
    uint8_t *at = b->data + b->size;
    if (oto_hex_decode(text, at + width) != OTO_OK)
        return fail_at(c, start, "not hexadecimal");
    length_store(at, width, size);
    b->size += width + size;
    return OTO_OK;
}

static enum oto_status write_base64(struct converter *c, const struct oto_otlp_field *field)
{
    const uint8_t *start = c->reader.at;
    struct oto_json_string string;
    OTO_TRY(read_string(c, &string));
    struct oto_buffer *b = c->output;
    size_t width = length_width(string.raw.size), decoded_max = 3 * (string.raw.size / 4 + 1);
    OTO_TRY(oto_pb_write_varint(b, OTO_PB_TAG(field->number, OTO_PB_BYTES)));
    OTO_TRY(oto_buffer_reserve(b, width + decoded_max + (string.escaped ? string.raw.size : 0)));
    uint8_t *at = b->data + b->size;
    struct oto_bytes text = string.raw;
    if (string.escaped) // some writers escape the slash of base64
        text =
            oto_bytes(at + width + decoded_max, oto_json_unescape(text, at + width + decoded_max));
    size_t size;
    if (oto_base64_decode(text, at + width, &size) != OTO_OK)
        return fail_at(c, start, "not base64");
    length_store(at, width, size);
    b->size += width + size;
    return OTO_OK;
}

static enum oto_status write_fixed64(struct converter *c, const struct oto_otlp_field *field,
                                     uint64_t value)
{
    if (!(field->flags & OTO_OTLP_PACKED))
        return oto_pb_write_fixed64(c->output, field->number, value);
    return oto_buffer_append(c->output, &value, sizeof value);
}

static enum oto_status write_varint(struct converter *c, const struct oto_otlp_field *field,
                                    uint64_t value)
{
    if (!(field->flags & OTO_OTLP_PACKED))
        return oto_pb_write_uint(c->output, field->number, value);
    return oto_pb_write_varint(c->output, value);
}

static enum oto_status write_signed(struct converter *c, const struct oto_otlp_field *field)
{
    int wide = field->type == OTO_OTLP_INT64 || field->type == OTO_OTLP_SFIXED64;
    int64_t value;
    OTO_TRY(read_i64(c, wide ? INT64_MIN : INT32_MIN, wide ? INT64_MAX : INT32_MAX, &value));
    if (field->type == OTO_OTLP_SFIXED64)
        return write_fixed64(c, field, (uint64_t)value);
    if (field->type == OTO_OTLP_SINT32)
        return write_varint(
            c, field, (uint32_t)((uint32_t)value << 1) ^ (uint32_t)(value < 0 ? UINT32_MAX : 0));
    return write_varint(c, field, (uint64_t)value);
}

static enum oto_status write_unsigned(struct converter *c, const struct oto_otlp_field *field)
{
    int narrow = field->type == OTO_OTLP_UINT32 || field->type == OTO_OTLP_FIXED32;
    uint64_t value;
    OTO_TRY(read_u64(c, narrow ? UINT32_MAX : UINT64_MAX, &value));
    if (field->type == OTO_OTLP_FIXED64)
        return write_fixed64(c, field, value);
    if (field->type == OTO_OTLP_FIXED32)
        return oto_pb_write_fixed32(c->output, field->number, (uint32_t)value);
    return write_varint(c, field, value);
}

static enum oto_status write_scalar(struct converter *c, const struct oto_otlp_field *field)
{
    uint64_t value;
    double number;
    int64_t constant;
    switch ((enum oto_otlp_type)field->type) {
    case OTO_OTLP_STRING:
        return write_string(c, field);
    case OTO_OTLP_ID:
        return write_id(c, field);
    case OTO_OTLP_BYTES:
        return write_base64(c, field);
    case OTO_OTLP_BOOL:
        OTO_TRY(read_bool(c, &value));
        return write_varint(c, field, value);
    case OTO_OTLP_INT32:
    case OTO_OTLP_INT64:
    case OTO_OTLP_SINT32:
    case OTO_OTLP_SFIXED64:
        return write_signed(c, field);
    case OTO_OTLP_UINT32:
    case OTO_OTLP_UINT64:
    case OTO_OTLP_FIXED32:
    case OTO_OTLP_FIXED64:
        return write_unsigned(c, field);
    case OTO_OTLP_DOUBLE:
        OTO_TRY(read_double(c, &number));
        memcpy(&value, &number, sizeof value);
        return write_fixed64(c, field, value);
    case OTO_OTLP_ENUM:
        OTO_TRY(read_enum(c, field, &constant));
        return write_varint(c, field, (uint64_t)constant);
    case OTO_OTLP_MESSAGE:
        break;
    }
    return fail(c, "expected a value");
}

// --- Values ---

static enum oto_status begin_message(struct converter *c, const struct oto_otlp_field *field)
{
    if (oto_json_peek(&c->reader) != '{')
        return fail(c, "not an object");
    size_t mark;
    OTO_TRY(oto_pb_message_begin(c->output, field->number, &mark));
    return push(c, field->message, NULL, mark);
}

static enum oto_status begin_array(struct converter *c, const struct oto_otlp_field *field)
{
    if (oto_json_peek(&c->reader) != '[')
        return fail(c, "not an array");
    size_t mark = 0;
    if (field->flags & OTO_OTLP_PACKED)
        OTO_TRY(oto_pb_message_begin(c->output, field->number, &mark));
    return push(c, NULL, field, mark);
}

// The zero of a plain scalar, for a null that follows a value of the same name.
static enum oto_status write_default(struct converter *c, const struct oto_otlp_field *field)
{
    switch (oto_otlp_wire((enum oto_otlp_type)field->type)) {
    case OTO_PB_BYTES:
        return oto_pb_write_bytes(c->output, field->number, oto_bytes(NULL, 0));
    case OTO_PB_FIXED64:
        return oto_pb_write_fixed64(c->output, field->number, 0);
    case OTO_PB_FIXED32:
        return oto_pb_write_fixed32(c->output, field->number, 0);
    default:
        return oto_pb_write_uint(c->output, field->number, 0);
    }
}

static enum oto_status member_value(struct converter *c, const struct oto_otlp_field *field)
{
    struct frame *f = c->top;
    uint32_t bit = (uint32_t)1 << (field - f->message->fields);
    int again = (f->seen & bit) != 0;
    f->seen |= bit;
    if (again && field->flags)
        return fail(c, "given twice");
    if (oto_json_peek(&c->reader) == 'n') {
        OTO_TRY(oto_json_literal(&c->reader));
        return again ? write_default(c, field) : OTO_OK;
    }
    if (field->oneof) {
        if (f->oneof_seen)
            return fail(c, "another member of its oneof is given too");
        f->oneof_seen = 1;
    }
    if (field->flags & OTO_OTLP_REPEATED)
        return begin_array(c, field);
    if (field->type == OTO_OTLP_MESSAGE)
        return begin_message(c, field);
    return write_scalar(c, field);
}

static enum oto_status object_step(struct converter *c, int *ret_left)
{
    const struct oto_otlp_field *field;
    enum oto_status status = next_field(c, &field);
    if (status < 0)
        return status;
    if (status == OTO_END) {
        *ret_left = 1;
        // The whole request has no length.
        return c->top == c->frames ? OTO_OK : oto_pb_message_end(c->output, c->top->mark);
    }
    return field ? member_value(c, field) : oto_json_skip(&c->reader);
}

// One element that is a message, or all that are scalars.
static enum oto_status array_step(struct converter *c, int *ret_left)
{
    struct frame *f = c->top;
    for (;;) {
        enum oto_status status = oto_json_element(&c->reader);
        if (status < 0)
            return status;
        if (status == OTO_END)
            break;
        if (oto_json_peek(&c->reader) == 'n')
            return fail(c, "null in an array");
        if (f->field->type == OTO_OTLP_MESSAGE)
            return begin_message(c, f->field);
        OTO_TRY(write_scalar(c, f->field));
        f->index++;
    }
    *ret_left = 1;
    return f->mark ? oto_pb_message_end(c->output, f->mark) : OTO_OK;
}

static enum oto_status convert(struct converter *c, const struct oto_otlp_message *request)
{
    c->top = c->frames;
    *c->top = (struct frame){.message = request};
    int byte = oto_json_peek(&c->reader);
    if (byte != '{')
        return fail(c, byte == 0xEF ? "starts with a byte order mark" : "not an object");
    OTO_TRY(oto_json_enter(&c->reader));
    for (;;) {
        int left = 0;
        OTO_TRY(c->top->message ? object_step(c, &left) : array_step(c, &left));
        if (!left)
            continue;
        if (c->top == c->frames)
            return oto_json_finish(&c->reader);
        c->top--;
        c->top->index += c->top->message == NULL;
    }
}

// --- Errors ---

static void path_text(const struct converter *c, char *text, size_t room)
{
    size_t size = 0;
    text[0] = 0;
    for (const struct frame *f = c->frames; f <= c->top; f++) {
        char step[OTO_OTLP_NAME_MAX + 16];
        size_t more = 0;
        if (f->message && f->field) {
            if (size)
                step[more++] = '.';
            memcpy(step + more, f->field->name, f->field->name_size);
            more += f->field->name_size;
        } else if (!f->message) {
            step[more++] = '[';
            more += oto_text_from_u64(f->index, step + more);
            step[more++] = ']';
        }
        if (more + 4 > room - size) {
            memcpy(text + size, "...", 4);
            return;
        }
        memcpy(text + size, step, more);
        size += more;
        text[size] = 0;
    }
}

static enum oto_status report(const struct converter *c, struct oto_bytes whole,
                              enum oto_status status, struct oto_error *err)
{
    const char *problem = c->reader.problem;
    if (status == OTO_TOO_LARGE && problem)
        status = OTO_INVALID; // too deep: no matter of size
    if (!err)
        return status;
    if (!problem)
        problem =
            status == OTO_NO_MEMORY ? "out of memory" : "larger than allowed in protobuf form";
    if (!whole.data)
        whole = oto_bytes(c->reader.start, 0);
    size_t offset = (size_t)(c->reader.at - whole.data);
    char path[PATH_MAX_BYTES];
    path_text(c, path, sizeof path);
    (void)oto_error_at(err, status, offset, "%s%s%s", path, path[0] ? ": " : "", problem);
    oto_json_position(whole, offset, &err->line, &err->column);
    return status;
}

// --- Entries ---

static void converter_init(struct converter *c, struct oto_buffer *output)
{
    c->output = output;
    memset(c->guesses, 0, sizeof c->guesses);
}

static uint32_t depth_max(const struct oto_otlp_json_limits *limits)
{
    return limits && limits->depth_max ? limits->depth_max : DEPTH_DEFAULT;
}

enum oto_status oto_otlp_json_to_protobuf(enum oto_signal signal, struct oto_bytes json,
                                          const struct oto_otlp_json_limits *limits,
                                          struct oto_buffer *output, struct oto_error *err)
{
    struct converter c;
    size_t before = output->size;
    converter_init(&c, output);
    oto_json_reader_init(&c.reader, json, depth_max(limits));
    enum oto_status status = convert(&c, oto_otlp_request(signal));
    if (status == OTO_OK)
        return OTO_OK;
    output->size = before;
    return report(&c, json, status, err);
}

enum oto_status oto_otlp_json_lines_to_protobuf(enum oto_signal signal, struct oto_bytes lines,
                                                const struct oto_otlp_json_limits *limits,
                                                struct oto_buffer *output, struct oto_error *err)
{
    struct converter c;
    size_t before = output->size;
    converter_init(&c, output);
    size_t at = 0;
    while (at < lines.size) {
        const uint8_t *line = lines.data + at;
        const uint8_t *newline = memchr(line, '\n', lines.size - at);
        size_t size = newline ? (size_t)(newline - line) : lines.size - at;
        at += size + 1;
        oto_json_reader_init(&c.reader, oto_bytes(line, size), depth_max(limits));
        if (oto_json_peek(&c.reader) < 0)
            continue;
        enum oto_status status = convert(&c, oto_otlp_request(signal));
        if (status != OTO_OK) {
            output->size = before;
            return report(&c, lines, status, err);
        }
    }
    return OTO_OK;
}
