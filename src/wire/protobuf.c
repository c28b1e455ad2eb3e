#include "wire/protobuf.h"

// Squeezes eight groups of 7 bits, each in a byte of its own, into 56 bits.
static inline uint64_t squeeze(uint64_t v)
{
    v = (v & 0x7F007F007F007F00u) >> 1 | (v & 0x007F007F007F007Fu);
    v = (v & 0x3FFF00003FFF0000u) >> 2 | (v & 0x00003FFF00003FFFu);
    return (v & 0x0FFFFFFF00000000u) >> 4 | (v & 0x000000000FFFFFFFu);
}

// A varint of two to ten bytes, ten bytes at hand: one word holds all but the longest two.
static enum oto_status varint_unchecked(struct oto_pb_cursor *c, uint64_t *ret_value)
{
    const uint8_t *p = c->at;
    if (p[1] < 0x80) { // most lengths
        c->at = p + 2;
        *ret_value = (uint64_t)(p[0] & 0x7F) | (uint64_t)p[1] << 7;
        return OTO_OK;
    }
    uint64_t word = oto_load64(p), stops = ~word & 0x8080808080808080u;
    if (stops) {
        c->at = p + (__builtin_ctzll(stops) >> 3) + 1;
        *ret_value = squeeze(word & (stops ^ (stops - 1)));
        return OTO_OK;
    }
    uint64_t value = squeeze(word) | (uint64_t)(p[8] & 0x7F) << 56;
    if (p[8] >= 0x80 && p[9] > 1)
        return OTO_INVALID;
    c->at = p + (p[8] >= 0x80 ? 10 : 9);
    *ret_value = p[8] >= 0x80 ? value | (uint64_t)p[9] << 63 : value;
    return OTO_OK;
}

enum oto_status oto_pb_varint_slow(struct oto_pb_cursor *c, uint64_t *ret_value)
{
    if (c->end - c->at >= 10) {
        if (*c->at < 0x80) {
            *ret_value = *c->at++;
            return OTO_OK;
        }
        return varint_unchecked(c, ret_value);
    }
    uint64_t value = 0;
    unsigned shift = 0;
    for (const uint8_t *p = c->at; p < c->end; p++, shift += 7) {
        value |= (uint64_t)(*p & 0x7F) << shift;
        if (*p < 0x80) {
            c->at = p + 1;
            *ret_value = value;
            return OTO_OK;
        }
    }
    return OTO_INVALID;
}

static enum oto_status skip_scalar(struct oto_pb_cursor *c, uint32_t wire)
{
    uint64_t value64;
    uint32_t value32;
    struct oto_bytes view;
    switch (wire) {
    case OTO_PB_VARINT:
        return oto_pb_varint(c, &value64);
    case OTO_PB_FIXED64:
        return oto_pb_fixed64(c, &value64);
    case OTO_PB_FIXED32:
        return oto_pb_fixed32(c, &value32);
    case OTO_PB_BYTES:
        return oto_pb_bytes(c, &view);
    default:
        return OTO_INVALID;
    }
}

// Open groups' field numbers stand on a stack of our own, so that depth costs no call stack.
static enum oto_status skip_group(struct oto_pb_cursor *c, uint32_t tag)
{
    uint32_t open[OTO_PB_DEPTH_MAX];
    size_t depth = 0;
    open[depth++] = tag >> 3;
    while (depth) {
        enum oto_status status = oto_pb_tag(c, &tag);
        if (status != OTO_OK) // the message ended inside the group
            return OTO_INVALID;
        if ((tag & 7) == OTO_PB_GROUP_START) {
            if (depth == OTO_PB_DEPTH_MAX)
                return OTO_INVALID;
            open[depth++] = tag >> 3;
        } else if ((tag & 7) == OTO_PB_GROUP_END) {
            if (open[--depth] != tag >> 3)
                return OTO_INVALID;
        } else {
            OTO_TRY(skip_scalar(c, tag & 7));
        }
    }
    return OTO_OK;
}

enum oto_status oto_pb_skip(struct oto_pb_cursor *c, uint32_t tag)
{
    return (tag & 7) == OTO_PB_GROUP_START ? skip_group(c, tag) : skip_scalar(c, tag & 7);
}

#define VARINT_MAX 10

static inline uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    while (value >= 0x80) {
        *at++ = (uint8_t)(value | 0x80);
        value >>= 7;
    }
    *at++ = (uint8_t)value;
    return at;
}

enum oto_status oto_pb_write_varint(struct oto_buffer *b, uint64_t value)
{
    uint8_t bytes[VARINT_MAX];
    return oto_buffer_append(b, bytes, (size_t)(put_varint(bytes, value) - bytes));
}

enum oto_status oto_pb_write_uint(struct oto_buffer *b, uint32_t field, uint64_t value)
{
    uint8_t bytes[2 * VARINT_MAX];
    uint8_t *at = put_varint(bytes, OTO_PB_TAG(field, OTO_PB_VARINT));
    return oto_buffer_append(b, bytes, (size_t)(put_varint(at, value) - bytes));
}

enum oto_status oto_pb_write_fixed64(struct oto_buffer *b, uint32_t field, uint64_t value)
{
    uint8_t bytes[VARINT_MAX + 8];
    uint8_t *at = put_varint(bytes, OTO_PB_TAG(field, OTO_PB_FIXED64));
    oto_store64(at, value);
    return oto_buffer_append(b, bytes, (size_t)(at + 8 - bytes));
}

enum oto_status oto_pb_write_fixed32(struct oto_buffer *b, uint32_t field, uint32_t value)
{
    uint8_t bytes[VARINT_MAX + 4];
    uint8_t *at = put_varint(bytes, OTO_PB_TAG(field, OTO_PB_FIXED32));
    oto_store32(at, value);
    return oto_buffer_append(b, bytes, (size_t)(at + 4 - bytes));
}

enum oto_status oto_pb_write_bytes(struct oto_buffer *b, uint32_t field, struct oto_bytes value)
{
    uint8_t bytes[2 * VARINT_MAX];
    uint8_t *at = put_varint(bytes, OTO_PB_TAG(field, OTO_PB_BYTES));
    size_t head = (size_t)(put_varint(at, value.size) - bytes);
    if (value.size > SIZE_MAX - head)
        return OTO_TOO_LARGE;
    OTO_TRY(oto_buffer_reserve(b, head + value.size));
    OTO_TRY(oto_buffer_append(b, bytes, head));
    return oto_buffer_append(b, value.data, value.size);
}

#define MESSAGE_LENGTH_BYTES 4
#define MESSAGE_SIZE_LIMIT ((size_t)1 << (7 * MESSAGE_LENGTH_BYTES))

enum oto_status oto_pb_message_begin(struct oto_buffer *b, uint32_t field, size_t *ret_mark)
{
    uint8_t bytes[VARINT_MAX];
    size_t size = (size_t)(put_varint(bytes, OTO_PB_TAG(field, OTO_PB_BYTES)) - bytes);
    OTO_TRY(oto_buffer_reserve(b, size + MESSAGE_LENGTH_BYTES));
    uint8_t *at = b->data + b->size;
    for (size_t i = 0; i < size; i++) // a byte or two
        at[i] = bytes[i];
    memset(at + size, 0, MESSAGE_LENGTH_BYTES);
    b->size += size + MESSAGE_LENGTH_BYTES;
    *ret_mark = b->size;
    return OTO_OK;
}

enum oto_status oto_pb_message_end(struct oto_buffer *b, size_t mark)
{
    size_t size = b->size - mark;
    if (size >= MESSAGE_SIZE_LIMIT)
        return OTO_TOO_LARGE;
    uint8_t *at = b->data + mark - MESSAGE_LENGTH_BYTES;
    for (int i = 0; i < MESSAGE_LENGTH_BYTES; i++, size >>= 7)
        at[i] = (uint8_t)((size & 0x7F) | (i < MESSAGE_LENGTH_BYTES - 1 ? 0x80 : 0));
    return OTO_OK;
}
