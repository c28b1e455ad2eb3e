// Protobuf to OTLP/JSON, guided by the schema. Protobuf may give the fields of a message in any
// order and many times (the last scalar wins, submessages merge), JSON only once: so each message
// is looked through once for where its fields are.
#include "base/utf8.h"
#include "otlp/otlp_json.h"
#include "otlp/otlp_schema.h"
#include "wire/json.h"
#include "wire/protobuf.h"

// Values nest as deep as the decoder allows (100, each up to three messages), in a request.
#define MESSAGES_MAX 310
#define JOINED_TIMES 4 // of the request's size: memory for submessages given in parts

struct writer {
    struct oto_json_writer json;
    const uint8_t *start; // of the whole request
    const uint8_t *at;    // of what is malformed
    const char *problem;
    size_t joined_bytes; // held by write_joined now
    size_t joined_max;
    int depth;
};

// Where a field's values are in a message: `first` is the first tag, `last` the value after the
// last tag.
struct place {
    const uint8_t *first;
    const uint8_t *last;
    uint32_t count;
};

static enum oto_status write_message(struct writer *w, const struct oto_otlp_message *message,
                                     struct oto_bytes bytes);

static enum oto_status malformed(struct writer *w, const uint8_t *at, const char *problem)
{
    w->at = at;
    w->problem = problem;
    return OTO_INVALID;
}

// True when a tag is the field's, in its own wire type or packed or unpacked against it.
static int tag_fits(const struct oto_otlp_field *field, uint32_t tag)
{
    if (tag >> 3 != field->number)
        return 0;
    uint32_t wire = oto_otlp_wire((enum oto_otlp_type)field->type);
    return (tag & 7) == wire || ((field->flags & OTO_OTLP_PACKED) && (tag & 7) == OTO_PB_BYTES);
}

static void place_note(const struct oto_otlp_message *message, uint32_t i, const uint8_t *tag_at,
                       const uint8_t *value_at, struct place *places)
{
    // A member of a oneof takes the place of another that came before.
    if (message->fields[i].oneof)
        for (uint32_t k = 0; k < message->field_count; k++)
            if (k != i && message->fields[k].oneof)
                places[k].count = 0;
    if (places[i].count++ == 0)
        places[i].first = tag_at;
    places[i].last = value_at;
}

static enum oto_status find_places(struct writer *w, const struct oto_otlp_message *message,
                                   struct oto_bytes bytes, struct place *places)
{
    struct oto_pb_cursor c = oto_pb_cursor(bytes);
    uint32_t guess = 0;
    for (;;) {
        const uint8_t *tag_at = c.at;
        uint32_t tag;
        enum oto_status status = oto_pb_tag(&c, &tag);
        if (status == OTO_END)
            return OTO_OK;
        if (status < 0)
            return malformed(w, tag_at, "malformed tag");
        const uint8_t *value_at = c.at;
        if (oto_pb_skip(&c, tag) < 0)
            return malformed(w, value_at, "truncated or malformed value");
        for (uint32_t tries = 0; tries < message->field_count; tries++) {
            if (tag_fits(message->fields + guess, tag)) {
                place_note(message, guess, tag_at, value_at, places);
                break;
            }
            guess = guess + 1 < message->field_count ? guess + 1 : 0;
        }
    }
}

static enum oto_status write_string(struct writer *w, struct oto_bytes text)
{
    if (!oto_utf8_valid(text.data, text.size))
        return malformed(w, text.data, "string is not valid UTF-8");
    oto_json_write_string(&w->json, text);
    return OTO_OK;
}

// A value of a fixed or varint type, its bits in `bits`.
static void write_number(struct writer *w, enum oto_otlp_type type, uint64_t bits)
{
    double number;
    switch (type) {
    case OTO_OTLP_BOOL:
        oto_json_write_bool(&w->json, bits != 0);
        break;
    case OTO_OTLP_INT32:
    case OTO_OTLP_ENUM:
        oto_json_write_i64(&w->json, (int32_t)bits);
        break;
    case OTO_OTLP_SINT32:
        oto_json_write_i64(&w->json, (int32_t)oto_pb_zigzag_decode((uint32_t)bits));
        break;
    case OTO_OTLP_UINT32:
    case OTO_OTLP_FIXED32:
        oto_json_write_u64(&w->json, (uint32_t)bits);
        break;
    case OTO_OTLP_INT64:
    case OTO_OTLP_SFIXED64:
        oto_json_write_i64_text(&w->json, (int64_t)bits);
        break;
    case OTO_OTLP_UINT64:
    case OTO_OTLP_FIXED64:
        oto_json_write_u64_text(&w->json, bits);
        break;
    case OTO_OTLP_DOUBLE:
        memcpy(&number, &bits, sizeof number);
        oto_json_write_double(&w->json, number);
        break;
    case OTO_OTLP_STRING:
    case OTO_OTLP_BYTES:
    case OTO_OTLP_ID:
    case OTO_OTLP_MESSAGE:
        break;
    }
}

// The bits of the value at the cursor, which find_places has stepped over once already.
static enum oto_status read_bits(struct writer *w, struct oto_pb_cursor *c, enum oto_otlp_type type,
                                 uint64_t *ret_bits)
{
    uint32_t narrow;
    const uint8_t *at = c->at;
    enum oto_status status;
    switch (oto_otlp_wire(type)) {
    case OTO_PB_FIXED64:
        status = oto_pb_fixed64(c, ret_bits);
        break;
    case OTO_PB_FIXED32:
        status = oto_pb_fixed32(c, &narrow);
        *ret_bits = status < 0 ? 0 : narrow;
        break;
    default:
        status = oto_pb_varint(c, ret_bits);
        break;
    }
    return status < 0 ? malformed(w, at, "truncated or malformed value") : OTO_OK;
}

static void write_name(struct writer *w, const struct oto_otlp_field *field)
{
    // The schema's name ends with its quote; it is copied whole, so that the copy has a fixed size.
    uint8_t text[sizeof field->name + 2] = {'"'};
    memcpy(text + 1, field->name, sizeof field->name);
    text[field->name_size + 2] = ':';
    oto_json_write_raw(&w->json, oto_bytes(text, (size_t)field->name_size + 3));
    w->json.comma = 0;
}

static enum oto_status write_view(struct writer *w, const struct oto_otlp_field *field,
                                  struct oto_bytes view)
{
    if (field->type == OTO_OTLP_MESSAGE)
        return write_message(w, field->message, view);
    if (field->type == OTO_OTLP_STRING)
        return write_string(w, view);
    if (field->type == OTO_OTLP_ID)
        oto_json_write_hex(&w->json, view);
    else
        oto_json_write_base64(&w->json, view);
    return OTO_OK;
}

// The next value of the field from the cursor on; OTO_END when there is none.
static enum oto_status next_value(struct oto_pb_cursor *c, const struct oto_otlp_field *field,
                                  uint32_t *ret_tag)
{
    for (;;) {
        enum oto_status status = oto_pb_tag(c, ret_tag);
        if (status != OTO_OK || tag_fits(field, *ret_tag))
            return status;
        OTO_TRY(oto_pb_skip(c, *ret_tag));
    }
}

static enum oto_status write_repeated_value(struct writer *w, const struct oto_otlp_field *field,
                                            uint32_t tag, struct oto_pb_cursor *c)
{
    enum oto_otlp_type type = (enum oto_otlp_type)field->type;
    uint64_t bits;
    if ((tag & 7) != OTO_PB_BYTES) {
        OTO_TRY(read_bits(w, c, type, &bits));
        write_number(w, type, bits);
        return OTO_OK;
    }
    struct oto_bytes view;
    OTO_TRY(oto_pb_bytes(c, &view));
    if (!(field->flags & OTO_OTLP_PACKED))
        return write_view(w, field, view);
    struct oto_pb_cursor packed = oto_pb_cursor(view);
    while (packed.at < packed.end) {
        OTO_TRY(read_bits(w, &packed, type, &bits));
        write_number(w, type, bits);
    }
    return OTO_OK;
}

static enum oto_status write_repeated(struct writer *w, const struct oto_otlp_field *field,
                                      const struct place *place, const uint8_t *end)
{
    struct oto_pb_cursor c = {place->first, end};
    size_t before = w->json.output->size;
    int comma = w->json.comma;
    write_name(w, field);
    oto_json_array_begin(&w->json);
    size_t empty = w->json.output->size;
    for (uint32_t i = 0; i < place->count; i++) {
        uint32_t tag;
        OTO_TRY(next_value(&c, field, &tag));
        OTO_TRY(write_repeated_value(w, field, tag, &c));
    }
    if (w->json.status == OTO_OK && w->json.output->size == empty) { // packed, with nothing in it
        w->json.output->size = before;
        w->json.comma = comma;
        return OTO_OK;
    }
    oto_json_array_end(&w->json);
    return OTO_OK;
}

// A submessage that came in several parts: protobuf merges them, which is what joining their bytes
// means. No sender splits messages at every level, which would take the whole size for each: a few
// times the whole is the limit.
static enum oto_status write_joined(struct writer *w, const struct oto_otlp_field *field,
                                    const struct place *place, const uint8_t *end)
{
    size_t held = (size_t)(end - place->first);
    if (held > w->joined_max - w->joined_bytes)
        return OTO_TOO_LARGE;
    w->joined_bytes += held;
    struct oto_buffer joined;
    oto_buffer_init(&joined, w->json.output->allocator, held);
    struct oto_pb_cursor c = {place->first, end};
    enum oto_status status = OTO_OK;
    for (uint32_t i = 0; i < place->count && status == OTO_OK; i++) {
        uint32_t tag;
        struct oto_bytes view;
        status = next_value(&c, field, &tag);
        if (status == OTO_OK)
            status = oto_pb_bytes(&c, &view);
        if (status == OTO_OK)
            status = oto_buffer_append(&joined, view.data, view.size);
    }
    if (status == OTO_OK)
        status = write_message(w, field->message, oto_buffer_view(&joined));
    if (status == OTO_INVALID)
        w->at = place->first; // joined goes
    oto_buffer_release(&joined);
    w->joined_bytes -= held;
    return status;
}

static enum oto_status write_single(struct writer *w, const struct oto_otlp_field *field,
                                    const struct place *place, const uint8_t *end)
{
    enum oto_otlp_type type = (enum oto_otlp_type)field->type;
    int presence = field->flags & OTO_OTLP_PRESENCE;
    struct oto_pb_cursor c = {place->last, end};
    if (oto_otlp_wire(type) != OTO_PB_BYTES) {
        uint64_t bits;
        OTO_TRY(read_bits(w, &c, type, &bits));
        if (type != OTO_OTLP_BOOL && oto_otlp_wire(type) == OTO_PB_VARINT &&
            type != OTO_OTLP_INT64 && type != OTO_OTLP_UINT64)
            bits = (uint32_t)bits;
        if (!bits && !presence)
            return OTO_OK;
        write_name(w, field);
        write_number(w, type, bits);
        return OTO_OK;
    }
    struct oto_bytes view;
    OTO_TRY(oto_pb_bytes(&c, &view));
    if (!view.size && !presence)
        return OTO_OK;
    write_name(w, field);
    if (type == OTO_OTLP_MESSAGE && place->count > 1)
        return write_joined(w, field, place, end);
    return write_view(w, field, view);
}

static enum oto_status write_message(struct writer *w, const struct oto_otlp_message *message,
                                     struct oto_bytes bytes)
{
    struct place places[OTO_OTLP_FIELDS_MAX];
    for (uint32_t i = 0; i < message->field_count; i++)
        places[i].count = 0;
    if (w->depth == MESSAGES_MAX)
        return malformed(w, bytes.data, "nested too deeply");
    OTO_TRY(find_places(w, message, bytes, places));
    w->depth++;
    oto_json_object_begin(&w->json);
    for (uint32_t i = 0; i < message->field_count; i++) {
        const struct oto_otlp_field *field = message->fields + i;
        if (!places[i].count)
            continue;
        const uint8_t *end = bytes.data + bytes.size;
        OTO_TRY(field->flags & OTO_OTLP_REPEATED ? write_repeated(w, field, places + i, end)
                                                 : write_single(w, field, places + i, end));
    }
    oto_json_object_end(&w->json);
    w->depth--;
    return w->json.status;
}

enum oto_status oto_otlp_protobuf_to_json(enum oto_signal signal, struct oto_bytes message,
                                          struct oto_buffer *output, struct oto_error *err)
{
    static const uint8_t nothing[1] = {0};
    if (!message.data)
        message = oto_bytes(nothing, 0);
    struct writer w = {.start = message.data, .at = message.data};
    w.joined_max = message.size > SIZE_MAX / JOINED_TIMES ? SIZE_MAX : message.size * JOINED_TIMES;
    size_t before = output->size;
    oto_json_writer_init(&w.json, output);
    enum oto_status status = write_message(&w, oto_otlp_request(signal), message);
    if (status == OTO_OK)
        return OTO_OK;
    output->size = before;
    if (status != OTO_INVALID)
        return oto_error_set(err, status, "OTLP/JSON: %s", oto_status_name(status));
    return oto_error_at(err, status, (uint64_t)(w.at - w.start), "OTLP protobuf: %s",
                        w.problem ? w.problem : "malformed");
}
