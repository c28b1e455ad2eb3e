#include "telemetry/value_text.h"
#include "base/json_text.h"

#include <assert.h>
#include <math.h>

void oto_value_writer_init(struct oto_value_writer *w, const struct oto_allocator *allocator,
                           size_t size_bytes_max)
{
    *w = (struct oto_value_writer){.status = OTO_OK};
    oto_buffer_init(&w->text, allocator, size_bytes_max);
    oto_buffer_init(&w->types, allocator, size_bytes_max);
}

void oto_value_writer_release(struct oto_value_writer *w)
{
    oto_buffer_release(&w->text);
    oto_buffer_release(&w->types);
    w->value = (struct oto_bytes){NULL, 0};
}

static void append(struct oto_value_writer *w, const void *data, size_t size)
{
    if (w->status == OTO_OK)
        w->status = oto_buffer_append(&w->text, data, size);
}

// Every value's start: its letter and, inside of another, the comma before it. 0 once an error
// stands.
static int begin_value(struct oto_value_writer *w, char letter)
{
    if (w->status == OTO_OK)
        w->status = oto_buffer_append_byte(&w->types, (uint8_t)letter);
    if (w->depth == 0)
        w->text.size = 0;
    else if (w->comma)
        append(w, ",", 1);
    w->comma = 1;
    return w->status == OTO_OK;
}

// A value whose text is the same on both levels.
static void put_literal(struct oto_value_writer *w, char letter, struct oto_bytes text)
{
    if (!begin_value(w, letter))
        return;
    if (w->depth == 0)
        w->value = text;
    else
        append(w, text.data, text.size);
}

void oto_value_string(struct oto_value_writer *w, struct oto_bytes text)
{
    if (!begin_value(w, 's'))
        return;
    if (w->depth == 0)
        w->value = text;
    else
        w->status = oto_json_escape(&w->text, text);
}

void oto_value_bool(struct oto_value_writer *w, int value)
{
    put_literal(w, 'b', value ? OTO_BYTES_LITERAL("true") : OTO_BYTES_LITERAL("false"));
}

void oto_value_int(struct oto_value_writer *w, int64_t value)
{
    put_literal(w, 'i', oto_bytes(w->scalar, oto_text_from_i64(value, w->scalar)));
}

static void put_nan_bits(struct oto_value_writer *w, uint64_t bits)
{
    uint64_t big = __builtin_bswap64(bits);
    char digits[16];
    oto_hex_encode(&big, sizeof big, digits);
    if (w->status == OTO_OK)
        w->status = oto_buffer_append(&w->types, digits, sizeof digits);
}

void oto_value_double(struct oto_value_writer *w, double value)
{
    char quoted[OTO_TEXT_DOUBLE_MAX + 2];
    size_t size = oto_text_from_double(value, w->scalar);
    uint64_t bits = oto_load64(&value);
    int is_odd = isnan(value) && bits != OTO_VALUE_NAN_BITS;
    if (w->depth == 0 || isfinite(value)) {
        put_literal(w, is_odd ? 'N' : 'd', oto_bytes(w->scalar, size));
    } else {
        quoted[0] = quoted[size + 1] = '"';
        memcpy(quoted + 1, w->scalar, size);
        put_literal(w, is_odd ? 'N' : 'd', oto_bytes(quoted, size + 2));
    }
    if (is_odd)
        put_nan_bits(w, bits);
}

void oto_value_bytes(struct oto_value_writer *w, struct oto_bytes bytes)
{
    if (!begin_value(w, 'y'))
        return;
    if (bytes.size > SIZE_MAX / 4) {
        w->status = OTO_TOO_LARGE;
        return;
    }
    if (w->depth)
        append(w, "\"", 1);
    if (w->status == OTO_OK)
        w->status = oto_buffer_reserve(&w->text, oto_base64_size(bytes.size));
    if (w->status != OTO_OK)
        return;
    if (bytes.size)
        w->text.size +=
            oto_base64_encode(bytes.data, bytes.size, (char *)w->text.data + w->text.size);
    if (w->depth)
        append(w, "\"", 1);
    else
        w->value = oto_buffer_view(&w->text);
}

static void put_nothing(struct oto_value_writer *w, char letter)
{
    put_literal(w, letter, w->depth ? OTO_BYTES_LITERAL("null") : (struct oto_bytes){NULL, 0});
}

void oto_value_unset(struct oto_value_writer *w)
{
    put_nothing(w, 'n');
}

void oto_value_absent(struct oto_value_writer *w)
{
    put_nothing(w, '-');
}

static void open_nest(struct oto_value_writer *w, char bracket)
{
    if (begin_value(w, bracket))
        append(w, &bracket, 1);
    w->depth++;
    w->comma = 0;
}

static void close_nest(struct oto_value_writer *w, char bracket)
{
    assert(w->depth > 0);
    append(w, &bracket, 1);
    if (w->status == OTO_OK)
        w->status = oto_buffer_append_byte(&w->types, (uint8_t)bracket);
    w->comma = 1;
    if (--w->depth == 0)
        w->value = oto_buffer_view(&w->text);
}

void oto_value_array_begin(struct oto_value_writer *w)
{
    open_nest(w, '[');
}

void oto_value_array_end(struct oto_value_writer *w)
{
    close_nest(w, ']');
}

void oto_value_kvlist_begin(struct oto_value_writer *w)
{
    open_nest(w, '{');
}

void oto_value_kvlist_end(struct oto_value_writer *w)
{
    close_nest(w, '}');
}

void oto_value_key(struct oto_value_writer *w, struct oto_bytes key)
{
    assert(w->depth > 0);
    if (w->comma)
        append(w, ",", 1);
    w->comma = 0;
    if (w->status == OTO_OK)
        w->status = oto_json_escape(&w->text, key);
    append(w, ":", 1);
}
