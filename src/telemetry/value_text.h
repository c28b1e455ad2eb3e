// Attribute values as text, and beside the text their types: what OTLP's AnyValue becomes in the
// tables.
//
// Text, as the ClickHouse exporter renders it: a string as it is; "true", "false"; an integer in
// decimal; a double in its shortest form (base/text.h: 0.5, 1e+21, -0, NaN, Infinity, -Infinity);
// bytes in standard base64; an unset value empty. Arrays and key-value lists are compact JSON: keys
// in their order, duplicates kept, bytes and non-finite doubles as strings, unset as null.
//
// Types, a letter a value: s string, i integer, d double, b bool, y bytes, n a value of no kind, -
// no value at all; N and 16 hex digits: a NaN of these bits, where they are not the usual ones;
// nested, in brackets: [si] an array of a string and an integer, {b} a list of one key, whose value
// is a bool. So the attributes {a: "x", b: 1, c: [2, {k: true}]} have the texts
// `x`, `1`, `[2,{"k":true}]` and the types `si[i{b}]`. Text and types together give back the value.
//
// The writer is driven by a decoder that walks the value; the decoder limits the depth and has
// checked that strings are UTF-8. Errors are sticky. Belongs to one thread.
#ifndef OTO_TELEMETRY_VALUE_TEXT_H
#define OTO_TELEMETRY_VALUE_TEXT_H

#include "base/bytes.h"
#include "base/text.h"

#define OTO_VALUE_NAN_BITS UINT64_C(0x7FF8000000000000) // of the NaN that has the letter d

struct oto_value_writer {
    struct oto_buffer text;  // of the value being written, when it is not a view of the input
    struct oto_buffer types; // of the values since oto_value_writer_reset
    struct oto_bytes value;  // the last finished top-level value
    enum oto_status status;  // OTO_NO_MEMORY, OTO_TOO_LARGE
    uint32_t depth;          // open arrays and key-value lists
    int comma;               // a value or member stands before the next one
    char scalar[OTO_TEXT_DOUBLE_MAX];
};

// size_bytes_max caps one value's text, and the types of one set. Takes no memory until it is
// needed.
void oto_value_writer_init(struct oto_value_writer *w, const struct oto_allocator *allocator,
                           size_t size_bytes_max);
// Legal on a zeroed writer.
void oto_value_writer_release(struct oto_value_writer *w);

// Begins a set of attributes (or a single value, as a body): forgets types and errors, keeps
// memory.
static inline void oto_value_writer_reset(struct oto_value_writer *w)
{
    w->types.size = 0;
    w->value = (struct oto_bytes){NULL, 0};
    w->status = OTO_OK;
    w->depth = 0;
    w->comma = 0;
}

// One value each, at the top or inside of an array or after a key.
void oto_value_string(struct oto_value_writer *w, struct oto_bytes text);
void oto_value_bool(struct oto_value_writer *w, int value);
void oto_value_int(struct oto_value_writer *w, int64_t value);
void oto_value_double(struct oto_value_writer *w, double value);
void oto_value_bytes(struct oto_value_writer *w, struct oto_bytes bytes);
// An AnyValue in which no kind is set; and a KeyValue without an AnyValue.
void oto_value_unset(struct oto_value_writer *w);
void oto_value_absent(struct oto_value_writer *w);

void oto_value_array_begin(struct oto_value_writer *w);
void oto_value_array_end(struct oto_value_writer *w);
void oto_value_kvlist_begin(struct oto_value_writer *w);
void oto_value_kvlist_end(struct oto_value_writer *w);
// The key of the next value, inside of a key-value list.
void oto_value_key(struct oto_value_writer *w, struct oto_bytes key);

// The text of the top-level value just written; status is OTO_OK, OTO_NO_MEMORY or OTO_TOO_LARGE.
// Ownership: returns view, valid until the next call on w (a string's: as long as the input).
OTO_MUST_CHECK static inline enum oto_status oto_value_text(const struct oto_value_writer *w,
                                                            struct oto_bytes *ret_text)
{
    if (w->status == OTO_OK)
        *ret_text = w->value;
    return w->status;
}

// The types of all values since the reset. Ownership: returns view, valid until the next call on w.
static inline struct oto_bytes oto_value_types(const struct oto_value_writer *w)
{
    return oto_buffer_view(&w->types);
}

#endif
