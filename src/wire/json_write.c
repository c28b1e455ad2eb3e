#include "base/json_text.h"
#include "base/text.h"
#include "base/utf8.h"
#include "wire/json.h"

#include <math.h>

// Text that is not UTF-8: what is wrong in it is replaced in a copy.
static enum oto_status append_repaired(struct oto_buffer *output, struct oto_bytes text)
{
    if (text.size > SIZE_MAX / 3)
        return OTO_TOO_LARGE;
    struct oto_buffer copy;
    oto_buffer_init(&copy, output->allocator, 3 * text.size);
    enum oto_status status = oto_buffer_reserve(&copy, 3 * text.size);
    if (status == OTO_OK) {
        copy.size = oto_utf8_repair(text.data, text.size, copy.data);
        status = oto_json_escape(output, oto_buffer_view(&copy));
    }
    oto_buffer_release(&copy);
    return status;
}

enum oto_status oto_json_append_string(struct oto_buffer *output, struct oto_bytes text)
{
    if (oto_utf8_valid(text.data, text.size))
        return oto_json_escape(output, text);
    return append_repaired(output, text);
}

void oto_json_writer_init(struct oto_json_writer *w, struct oto_buffer *output)
{
    *w = (struct oto_json_writer){.output = output, .status = OTO_OK};
}

static void put(struct oto_json_writer *w, const void *text, size_t size)
{
    if (w->status == OTO_OK)
        w->status = oto_buffer_append(w->output, text, size);
}

// Room for size bytes of a value, the comma before it written; NULL once an error stands.
static uint8_t *value_room(struct oto_json_writer *w, size_t size)
{
    if (w->status == OTO_OK && size > SIZE_MAX - 1)
        w->status = OTO_TOO_LARGE;
    if (w->status == OTO_OK)
        w->status = oto_buffer_reserve(w->output, size + 1);
    if (w->status != OTO_OK)
        return NULL;
    if (w->comma)
        w->output->data[w->output->size++] = ',';
    w->comma = 1;
    return w->output->data + w->output->size;
}

void oto_json_write_raw(struct oto_json_writer *w, struct oto_bytes json)
{
    uint8_t *room = value_room(w, json.size);
    if (!room)
        return;
    if (json.size)
        memcpy(room, json.data, json.size);
    w->output->size += json.size;
}

static void begin(struct oto_json_writer *w, const char *bracket)
{
    oto_json_write_raw(w, oto_bytes(bracket, 1));
    w->comma = 0;
}

static void end(struct oto_json_writer *w, const char *bracket)
{
    put(w, bracket, 1);
    w->comma = 1;
}

void oto_json_object_begin(struct oto_json_writer *w)
{
    begin(w, "{");
}

void oto_json_object_end(struct oto_json_writer *w)
{
    end(w, "}");
}

void oto_json_array_begin(struct oto_json_writer *w)
{
    begin(w, "[");
}

void oto_json_array_end(struct oto_json_writer *w)
{
    end(w, "]");
}

void oto_json_write_string(struct oto_json_writer *w, struct oto_bytes text)
{
    if (value_room(w, text.size))
        w->status = oto_json_append_string(w->output, text);
}

void oto_json_write_name(struct oto_json_writer *w, struct oto_bytes name)
{
    oto_json_write_string(w, name);
    put(w, ":", 1);
    w->comma = 0;
}

void oto_json_write_text(struct oto_json_writer *w, const char *text)
{
    oto_json_write_string(w, oto_bytes_text(text));
}

void oto_json_write_i64(struct oto_json_writer *w, int64_t value)
{
    char text[OTO_TEXT_I64_MAX];
    oto_json_write_raw(w, oto_bytes(text, oto_text_from_i64(value, text)));
}

void oto_json_write_u64(struct oto_json_writer *w, uint64_t value)
{
    char text[OTO_TEXT_I64_MAX];
    oto_json_write_raw(w, oto_bytes(text, oto_text_from_u64(value, text)));
}

static void write_quoted(struct oto_json_writer *w, char *text, size_t size)
{
    text[0] = '"';
    text[size + 1] = '"';
    oto_json_write_raw(w, oto_bytes(text, size + 2));
}

void oto_json_write_i64_text(struct oto_json_writer *w, int64_t value)
{
    char text[OTO_TEXT_I64_MAX + 2];
    write_quoted(w, text, oto_text_from_i64(value, text + 1));
}

void oto_json_write_u64_text(struct oto_json_writer *w, uint64_t value)
{
    char text[OTO_TEXT_I64_MAX + 2];
    write_quoted(w, text, oto_text_from_u64(value, text + 1));
}

void oto_json_write_double(struct oto_json_writer *w, double value)
{
    char text[OTO_TEXT_DOUBLE_MAX + 2];
    size_t size = oto_text_from_double(value, text + 1);
    if (isfinite(value))
        oto_json_write_raw(w, oto_bytes(text + 1, size));
    else
        write_quoted(w, text, size);
}

void oto_json_write_bool(struct oto_json_writer *w, int value)
{
    oto_json_write_raw(w, value ? OTO_BYTES_LITERAL("true") : OTO_BYTES_LITERAL("false"));
}

void oto_json_write_null(struct oto_json_writer *w)
{
    oto_json_write_raw(w, OTO_BYTES_LITERAL("null"));
}

void oto_json_write_hex(struct oto_json_writer *w, struct oto_bytes bytes)
{
    if (bytes.size > SIZE_MAX / 4) {
        w->status = OTO_TOO_LARGE;
        return;
    }
    size_t size = 2 * bytes.size;
    uint8_t *room = value_room(w, size + 2);
    if (!room)
        return;
    room[0] = '"';
    oto_hex_encode(bytes.data, bytes.size, (char *)room + 1);
    room[size + 1] = '"';
    w->output->size += size + 2;
}

void oto_json_write_base64(struct oto_json_writer *w, struct oto_bytes bytes)
{
    if (bytes.size > SIZE_MAX / 4) {
        w->status = OTO_TOO_LARGE;
        return;
    }
    uint8_t *room = value_room(w, oto_base64_size(bytes.size) + 2);
    if (!room)
        return;
    room[0] = '"';
    size_t size = oto_base64_encode(bytes.data, bytes.size, (char *)room + 1);
    room[size + 1] = '"';
    w->output->size += size + 2;
}
