#include "wire/thrift.h"

#define VARINT_MAX 10

static void put(struct oto_thrift_writer *w, const void *data, size_t size)
{
    if (w->status == OTO_OK)
        w->status = oto_buffer_append(w->output, data, size);
}

static void put_byte(struct oto_thrift_writer *w, uint8_t byte)
{
    if (w->status == OTO_OK)
        w->status = oto_buffer_append_byte(w->output, byte);
}

static void put_varint(struct oto_thrift_writer *w, uint64_t value)
{
    uint8_t bytes[VARINT_MAX];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    put(w, bytes, size);
}

static void put_zigzag(struct oto_thrift_writer *w, int64_t value)
{
    put_varint(w, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static void put_field(struct oto_thrift_writer *w, int16_t id, enum oto_thrift_type type)
{
    if (w->depth == 0) { // a field outside of any struct
        w->status = OTO_INTERNAL;
        return;
    }
    int16_t *last = &w->last_field[w->depth - 1];
    int delta = id - *last;
    *last = id;
    if (delta >= 1 && delta <= 15) {
        put_byte(w, (uint8_t)(delta << 4 | (int)type));
    } else {
        put_byte(w, (uint8_t)type);
        put_zigzag(w, id);
    }
}

void oto_thrift_writer_init(struct oto_thrift_writer *w, struct oto_buffer *output)
{
    w->output = output;
    w->status = OTO_OK;
    w->depth = 0;
}

void oto_thrift_struct_begin(struct oto_thrift_writer *w)
{
    if (w->status != OTO_OK)
        return;
    if (w->depth == OTO_THRIFT_DEPTH_MAX)
        w->status = OTO_INTERNAL;
    else
        w->last_field[w->depth++] = 0;
}

void oto_thrift_struct_end(struct oto_thrift_writer *w)
{
    if (w->status != OTO_OK)
        return;
    if (w->depth == 0) {
        w->status = OTO_INTERNAL;
        return;
    }
    w->depth--;
    put_byte(w, OTO_THRIFT_STOP);
}

void oto_thrift_field_bool(struct oto_thrift_writer *w, int16_t id, int value)
{
    put_field(w, id, value ? OTO_THRIFT_TRUE : OTO_THRIFT_FALSE);
}

void oto_thrift_field_i8(struct oto_thrift_writer *w, int16_t id, int8_t value)
{
    put_field(w, id, OTO_THRIFT_I8);
    put_byte(w, (uint8_t)value);
}

void oto_thrift_field_i16(struct oto_thrift_writer *w, int16_t id, int16_t value)
{
    put_field(w, id, OTO_THRIFT_I16);
    put_zigzag(w, value);
}

void oto_thrift_field_i32(struct oto_thrift_writer *w, int16_t id, int32_t value)
{
    put_field(w, id, OTO_THRIFT_I32);
    put_zigzag(w, value);
}

void oto_thrift_field_i64(struct oto_thrift_writer *w, int16_t id, int64_t value)
{
    put_field(w, id, OTO_THRIFT_I64);
    put_zigzag(w, value);
}

void oto_thrift_field_double(struct oto_thrift_writer *w, int16_t id, double value)
{
    put_field(w, id, OTO_THRIFT_DOUBLE);
    put(w, &value, 8); // little-endian, as Parquet's writers do
}

void oto_thrift_field_binary(struct oto_thrift_writer *w, int16_t id, struct oto_bytes value)
{
    put_field(w, id, OTO_THRIFT_BINARY);
    oto_thrift_element_binary(w, value);
}

void oto_thrift_field_text(struct oto_thrift_writer *w, int16_t id, const char *text)
{
    oto_thrift_field_binary(w, id, oto_bytes_text(text));
}

void oto_thrift_field_struct(struct oto_thrift_writer *w, int16_t id)
{
    put_field(w, id, OTO_THRIFT_STRUCT);
    oto_thrift_struct_begin(w);
}

void oto_thrift_field_list(struct oto_thrift_writer *w, int16_t id, enum oto_thrift_type element,
                           size_t count)
{
    put_field(w, id, OTO_THRIFT_LIST);
    if (count > INT32_MAX) {
        w->status = OTO_TOO_LARGE;
    } else if (count < 15) {
        put_byte(w, (uint8_t)(count << 4 | (size_t)element));
    } else {
        put_byte(w, (uint8_t)(0xF0 | (int)element));
        put_varint(w, count);
    }
}

void oto_thrift_element_bool(struct oto_thrift_writer *w, int value)
{
    put_byte(w, value ? OTO_THRIFT_TRUE : OTO_THRIFT_FALSE);
}

void oto_thrift_element_i32(struct oto_thrift_writer *w, int32_t value)
{
    put_zigzag(w, value);
}

void oto_thrift_element_i64(struct oto_thrift_writer *w, int64_t value)
{
    put_zigzag(w, value);
}

void oto_thrift_element_binary(struct oto_thrift_writer *w, struct oto_bytes value)
{
    if (value.size > INT32_MAX) {
        w->status = OTO_TOO_LARGE;
        return;
    }
    put_varint(w, value.size);
    put(w, value.data, value.size);
}

void oto_thrift_reader_init(struct oto_thrift_reader *r, struct oto_bytes input)
{
    r->start = r->cursor = input.data;
    r->end = input.size ? input.data + input.size : input.data;
    r->depth = 0;
}

static enum oto_status read_byte(struct oto_thrift_reader *r, uint8_t *ret_byte)
{
    if (r->cursor == r->end)
        return OTO_CORRUPT;
    *ret_byte = *r->cursor++;
    return OTO_OK;
}

static enum oto_status read_varint(struct oto_thrift_reader *r, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70; shift += 7) {
        uint8_t byte;
        OTO_TRY(read_byte(r, &byte));
        if (shift == 63 && byte > 1)
            return OTO_CORRUPT;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return OTO_OK;
        }
    }
    return OTO_CORRUPT;
}

static enum oto_status read_zigzag(struct oto_thrift_reader *r, int64_t *ret_value)
{
    uint64_t value;
    OTO_TRY(read_varint(r, &value));
    *ret_value = (int64_t)(value >> 1 ^ (0 - (value & 1)));
    return OTO_OK;
}

enum oto_status oto_thrift_enter_struct(struct oto_thrift_reader *r)
{
    if (r->depth == OTO_THRIFT_DEPTH_MAX)
        return OTO_CORRUPT;
    r->last_field[r->depth++] = 0;
    return OTO_OK;
}

enum oto_status oto_thrift_next_field(struct oto_thrift_reader *r, int16_t *ret_id,
                                      enum oto_thrift_type *ret_type)
{
    uint8_t head;
    if (r->depth == 0)
        return OTO_CORRUPT;
    OTO_TRY(read_byte(r, &head));
    if (head == OTO_THRIFT_STOP) {
        r->depth--;
        return OTO_END;
    }
    int type = head & 15;
    if (type == OTO_THRIFT_STOP || type > OTO_THRIFT_STRUCT)
        return OTO_CORRUPT;
    int64_t id = r->last_field[r->depth - 1] + (head >> 4);
    if (head >> 4 == 0)
        OTO_TRY(read_zigzag(r, &id));
    if (id < INT16_MIN || id > INT16_MAX)
        return OTO_CORRUPT;
    r->last_field[r->depth - 1] = (int16_t)id;
    *ret_id = (int16_t)id;
    *ret_type = (enum oto_thrift_type)type;
    return OTO_OK;
}

enum oto_status oto_thrift_read_int(struct oto_thrift_reader *r, enum oto_thrift_type type,
                                    int64_t *ret_value)
{
    if (type == OTO_THRIFT_I8) {
        uint8_t byte;
        OTO_TRY(read_byte(r, &byte));
        *ret_value = (int8_t)byte;
        return OTO_OK;
    }
    int64_t limit = type == OTO_THRIFT_I16   ? INT16_MAX
                    : type == OTO_THRIFT_I32 ? INT32_MAX
                    : type == OTO_THRIFT_I64 ? INT64_MAX
                                             : -1;
    int64_t value;
    if (limit < 0)
        return OTO_CORRUPT;
    OTO_TRY(read_zigzag(r, &value));
    if (value > limit || value < -limit - 1)
        return OTO_CORRUPT;
    *ret_value = value;
    return OTO_OK;
}

enum oto_status oto_thrift_read_double(struct oto_thrift_reader *r, double *ret_value)
{
    if (r->end - r->cursor < 8)
        return OTO_CORRUPT;
    memcpy(ret_value, r->cursor, 8);
    r->cursor += 8;
    return OTO_OK;
}

enum oto_status oto_thrift_read_binary(struct oto_thrift_reader *r, struct oto_bytes *ret_view)
{
    uint64_t size;
    OTO_TRY(read_varint(r, &size));
    if (size > (uint64_t)(r->end - r->cursor))
        return OTO_CORRUPT;
    *ret_view = oto_bytes(r->cursor, (size_t)size);
    r->cursor += size;
    return OTO_OK;
}

// Every element takes a byte at least, so a count over what is left is a lie.
enum oto_status oto_thrift_read_list(struct oto_thrift_reader *r, enum oto_thrift_type *ret_element,
                                     uint32_t *ret_count)
{
    uint8_t head;
    OTO_TRY(read_byte(r, &head));
    uint64_t count = head >> 4;
    if (count == 15)
        OTO_TRY(read_varint(r, &count));
    int type = head & 15;
    if (type == OTO_THRIFT_STOP || type > OTO_THRIFT_STRUCT ||
        count > (uint64_t)(r->end - r->cursor) || count > INT32_MAX)
        return OTO_CORRUPT;
    *ret_element = (enum oto_thrift_type)type;
    *ret_count = (uint32_t)count;
    return OTO_OK;
}

// What skip still has to pass over at one level: a struct's fields, or elements of one or two
// types.
struct skip_level {
    uint64_t left; // elements; unused for a struct
    uint8_t type[2];
    uint8_t is_struct;
};

static enum oto_status skip_map_head(struct oto_thrift_reader *r, struct skip_level *level)
{
    uint64_t count;
    uint8_t types = 0;
    OTO_TRY(read_varint(r, &count));
    if (count > (uint64_t)(r->end - r->cursor) / 2)
        return OTO_CORRUPT;
    if (count)
        OTO_TRY(read_byte(r, &types));
    *level = (struct skip_level){2 * count, {types >> 4, types & 15}, 0};
    return OTO_OK;
}

// Passes over one value of a type. A value that holds others fills in a level and answers
// OTO_AGAIN.
static enum oto_status skip_value(struct oto_thrift_reader *r, int type, int in_struct,
                                  struct skip_level *level)
{
    int64_t integer;
    double number;
    struct oto_bytes view;
    enum oto_thrift_type element = OTO_THRIFT_STOP;
    uint32_t count;
    uint8_t byte;
    switch (type) {
    case OTO_THRIFT_TRUE:
    case OTO_THRIFT_FALSE:
        return in_struct ? OTO_OK : read_byte(r, &byte);
    case OTO_THRIFT_I8:
        return read_byte(r, &byte);
    case OTO_THRIFT_I16:
    case OTO_THRIFT_I32:
    case OTO_THRIFT_I64:
        return read_zigzag(r, &integer);
    case OTO_THRIFT_DOUBLE:
        return oto_thrift_read_double(r, &number);
    case OTO_THRIFT_BINARY:
        return oto_thrift_read_binary(r, &view);
    case OTO_THRIFT_LIST:
    case OTO_THRIFT_SET:
        OTO_TRY(oto_thrift_read_list(r, &element, &count));
        *level = (struct skip_level){count, {(uint8_t)element, (uint8_t)element}, 0};
        return OTO_AGAIN;
    case OTO_THRIFT_MAP:
        OTO_TRY(skip_map_head(r, level));
        return OTO_AGAIN;
    case OTO_THRIFT_STRUCT:
        OTO_TRY(oto_thrift_enter_struct(r));
        *level = (struct skip_level){.is_struct = 1};
        return OTO_AGAIN;
    default:
        return OTO_CORRUPT;
    }
}

// Iterative: nested values stand on a stack of our own, bounded like the depth of structs.
static enum oto_status skip_levels(struct oto_thrift_reader *r, struct skip_level first)
{
    struct skip_level levels[OTO_THRIFT_DEPTH_MAX];
    size_t depth = 0;
    levels[depth++] = first;
    while (depth) {
        struct skip_level *top = &levels[depth - 1], below;
        int type;
        if (top->is_struct) {
            int16_t id;
            enum oto_thrift_type field;
            enum oto_status status = oto_thrift_next_field(r, &id, &field);
            OTO_TRY(status);
            if (status == OTO_END) {
                depth--;
                continue;
            }
            type = (int)field;
        } else {
            if (top->left == 0) {
                depth--;
                continue;
            }
            type = top->type[top->left-- & 1]; // keys stand at even counts left
        }
        enum oto_status status = skip_value(r, type, top->is_struct, &below);
        OTO_TRY(status);
        if (status == OTO_AGAIN) {
            if (depth == OTO_THRIFT_DEPTH_MAX)
                return OTO_CORRUPT;
            levels[depth++] = below;
        }
    }
    return OTO_OK;
}

enum oto_status oto_thrift_skip(struct oto_thrift_reader *r, enum oto_thrift_type type)
{
    struct skip_level level;
    enum oto_status status = skip_value(r, (int)type, 1, &level);
    return status == OTO_AGAIN ? skip_levels(r, level) : status;
}
