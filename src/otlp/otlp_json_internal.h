// What the parts of the OTLP/JSON reader share: its state, and the place where it stands. One
// thread.
//
// Text and output go on together, so a place is both; functions take and return it in registers.
// Each value has a fast way, for what senders write (no spaces, plain text, short), and a strict
// one by wire/json.h, which takes everything and alone says what is wrong. The fast ways ask for
// bytes to read and room to write once, ahead.
#ifndef OTO_OTLP_OTLP_JSON_INTERNAL_H
#define OTO_OTLP_OTLP_JSON_INTERNAL_H

#include "base/text.h"
#include "otlp/otlp_json.h"
#include "otlp/otlp_schema.h"
#include "wire/json.h"
#include "wire/json_scan.h"
#include "wire/protobuf.h"

#define OTO_OTLP_JSON_FRAMES_MAX 512

// An object or array that is being read.
struct oto_otlp_json_frame {
    const struct oto_otlp_message *message; // NULL for an array
    const struct oto_otlp_field *field;     // whose value is being read; an array's own field
    size_t mark;                            // of the message or the packed values in the output
    uint32_t seen;                          // a bit for each field that was given
    uint32_t index;                         // an array's element
    uint8_t before;                         // what the next member or element follows: '{' '[' ','
    uint8_t oneof_seen;
    uint8_t slot;  // where the guess of the next field stands
    uint8_t width; // of the length in front of the mark
};

// Senders write the fields of a message in one order, so the field that followed last time is
// guessed first. A message's slot 0 guesses its first field, slot i + 1 what comes after field i.
#define OTO_OTLP_JSON_SLOTS (OTO_OTLP_FIELDS_MAX + 1)

// A length is given the width that the last one of its message needed; packed values have one more
// guess.
#define OTO_OTLP_JSON_WIDTHS (OTO_OTLP_MESSAGE_COUNT + 1)

struct oto_otlp_json {
    const uint8_t *end;       // of the document
    const uint8_t *ahead_end; // up to here there are AHEAD bytes to read; NULL in short documents
    uint8_t *room_end;        // up to here there are ROOM bytes to write
    struct oto_otlp_json_frame *top;
    struct oto_otlp_json_frame *frames_end;
    struct oto_buffer *output;
    enum oto_status status;
    uint32_t depth_max;
    int one_signal;                // as the limits say
    uint64_t unread_count;         // documents that have names, none of which is known
    struct oto_json_reader reader; // strict; on failure it says where and why
    uint8_t widths[OTO_OTLP_JSON_WIDTHS];
    uint8_t guesses[OTO_OTLP_MESSAGE_COUNT][OTO_OTLP_JSON_SLOTS];
    struct oto_otlp_json_frame frames[OTO_OTLP_JSON_FRAMES_MAX + 1]; // the first stays empty
};

// at: NULL when reading has failed, or when a fast way was not one; out then says nothing.
struct oto_json_place {
    const uint8_t *at;
    uint8_t *out;
};

#define OTO_OTLP_JSON_AHEAD 96
#define OTO_OTLP_JSON_ROOM 256
#define OTO_OTLP_JSON_PLAIN_MAX 112 // bytes of a string on its fast way; a multiple of a step

static inline int oto_otlp_json_ahead(const struct oto_otlp_json *c, const uint8_t *at)
{
    return at <= c->ahead_end;
}

static inline struct oto_json_place oto_otlp_json_nowhere(void)
{
    return (struct oto_json_place){NULL, NULL};
}

static inline struct oto_json_place oto_otlp_json_stop(struct oto_otlp_json *c,
                                                       enum oto_status status)
{
    c->status = status;
    return oto_otlp_json_nowhere();
}

static inline struct oto_json_place oto_otlp_json_fail(struct oto_otlp_json *c, const uint8_t *at,
                                                       const char *problem)
{
    return oto_otlp_json_stop(c, oto_json_fail(&c->reader, at, problem));
}

// Room for size bytes at p.out, and ROOM more. OTO_NO_MEMORY, OTO_TOO_LARGE.
struct oto_json_place oto_otlp_json_grow(struct oto_otlp_json *c, struct oto_json_place p,
                                         size_t size);

static inline struct oto_json_place oto_otlp_json_room(struct oto_otlp_json *c,
                                                       struct oto_json_place p)
{
    return __builtin_expect(p.out <= c->room_end, 1) ? p : oto_otlp_json_grow(c, p, 0);
}

static inline const uint8_t *oto_otlp_json_skip_space(const struct oto_otlp_json *c,
                                                      const uint8_t *at)
{
    if (at<c->end && * at> ' ')
        return at;
    while (at < c->end && (*at == ' ' || *at == '\n' || *at == '\r' || *at == '\t'))
        at++;
    return at;
}

static inline uint8_t *oto_otlp_json_put_varint(uint8_t *out, uint64_t value)
{
    while (value >= 0x80) {
        *out++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *out++ = (uint8_t)value;
    return out;
}

static inline uint8_t *oto_otlp_json_put_tag(uint8_t *out, uint32_t number, enum oto_pb_wire wire)
{
    return oto_otlp_json_put_varint(out, OTO_PB_TAG(number, wire));
}

// Bytes of the varint that holds any length up to size_max, and the length in that many bytes.
static inline uint8_t oto_otlp_json_width(size_t size_max)
{
    uint8_t width = 1;
    while (size_max >>= 7)
        width++;
    return width;
}

static inline void oto_otlp_json_put_length(uint8_t *out, size_t width, size_t size)
{
    for (size_t i = 0; i < width; i++, size >>= 7)
        out[i] = (uint8_t)((size & 0x7F) | (i + 1 < width ? 0x80 : 0));
}

// Copies text behind a quote up to the next one and returns its size; more than PLAIN_MAX where it
// is longer, has escapes or what is not ASCII, or comes too near to the document's end. Writes a
// step more than that. A step's bytes can be read behind the quote that ends it.
static inline size_t oto_otlp_json_plain(const struct oto_otlp_json *c, const uint8_t *at,
                                         uint8_t *out)
{
    size_t size = 0;
    do {
        size_t plain = oto_json_copy_plain(at + size, out + size);
        size += plain;
        if (plain < OTO_JSON_STEP)
            return at[size] == '"' ? size : SIZE_MAX;
    } while (size < OTO_OTLP_JSON_PLAIN_MAX && oto_otlp_json_ahead(c, at + size));
    return SIZE_MAX;
}

// A number with at most 19 digits and no exponent; its end, or NULL when it is anything else. AHEAD
// bytes must be readable.
const uint8_t *oto_otlp_json_decimal(const uint8_t *at, double *ret_value);

// Writers of a field's value at p.at, by enum oto_otlp_type. The output has ROOM.
extern struct oto_json_place (*const oto_otlp_json_writers[])(struct oto_otlp_json *c,
                                                              struct oto_json_place p,
                                                              const struct oto_otlp_field *field);

static inline struct oto_json_place oto_otlp_json_scalar(struct oto_otlp_json *c,
                                                         struct oto_json_place p,
                                                         const struct oto_otlp_field *field)
{
    return oto_otlp_json_writers[field->type](c, p, field);
}

// Fast ways for the most frequent messages; what they do not know, they leave where it is. An
// AnyValue of one scalar at p.at: nowhere when it is anything else.
struct oto_json_place oto_otlp_json_any_value(const struct oto_otlp_json *c,
                                              struct oto_json_place p, uint32_t number);
// Elements of the array f of KeyValue, as long as they have a short key and such a value. p.at:
// what stands before the next element, here and afterwards.
struct oto_json_place oto_otlp_json_key_values(const struct oto_otlp_json *c,
                                               struct oto_json_place p,
                                               struct oto_otlp_json_frame *f);

#endif
