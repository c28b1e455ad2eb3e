// Protocol Buffers wire format: a cursor that cannot run past its end, inline because the hot path
// lives on it, and an append-only writer. Accepts overlong varints up to 10 bytes (tags up to 5),
// rejects field number 0, wire types 6 and 7, unmatched groups. Unknown groups are skipped with a
// depth count.
#ifndef OTO_WIRE_PROTOBUF_H
#define OTO_WIRE_PROTOBUF_H

#include "base/bytes.h"

enum oto_pb_wire {
    OTO_PB_VARINT = 0,
    OTO_PB_FIXED64 = 1,
    OTO_PB_BYTES = 2,
    OTO_PB_GROUP_START = 3,
    OTO_PB_GROUP_END = 4,
    OTO_PB_FIXED32 = 5,
};

#define OTO_PB_DEPTH_MAX 100

struct oto_pb_cursor {
    const uint8_t *at;
    const uint8_t *end;
};

static inline struct oto_pb_cursor oto_pb_cursor(struct oto_bytes message)
{
    // An empty view may have no address, which nothing may be added to, not even zero.
    return (struct oto_pb_cursor){message.data,
                                  message.size ? message.data + message.size : message.data};
}

// Slow paths; OTO_INVALID on malformed input.
OTO_MUST_CHECK enum oto_status oto_pb_varint_slow(struct oto_pb_cursor *c, uint64_t *ret_value);

// The next varint. OTO_INVALID when truncated or longer than 10 bytes (or the 10th byte is over 1).
OTO_MUST_CHECK static inline enum oto_status oto_pb_varint(struct oto_pb_cursor *c,
                                                           uint64_t *ret_value)
{
    if (__builtin_expect(c->at < c->end && *c->at < 0x80, 1)) {
        *ret_value = *c->at++;
        return OTO_OK;
    }
    return oto_pb_varint_slow(c, ret_value);
}

// The next tag: field number << 3 | wire type. OTO_END at the end of the message. OTO_INVALID.
OTO_MUST_CHECK static inline enum oto_status oto_pb_tag(struct oto_pb_cursor *c, uint32_t *ret_tag)
{
    if (c->at == c->end)
        return OTO_END;
    const uint8_t *start = c->at;
    uint64_t tag;
    OTO_TRY(oto_pb_varint(c, &tag));
    if (__builtin_expect(tag < 8 || tag > UINT32_MAX || c->at - start > 5 || (tag & 7) > 5, 0))
        return OTO_INVALID;
    *ret_tag = (uint32_t)tag;
    return OTO_OK;
}
OTO_MUST_CHECK static inline enum oto_status oto_pb_bytes(struct oto_pb_cursor *c,
                                                          struct oto_bytes *ret_view)
{
    uint64_t size;
    OTO_TRY(oto_pb_varint(c, &size));
    if (__builtin_expect(size > (uint64_t)(c->end - c->at), 0))
        return OTO_INVALID;
    *ret_view = oto_bytes(c->at, (size_t)size);
    c->at += size;
    return OTO_OK;
}
OTO_MUST_CHECK static inline enum oto_status oto_pb_fixed64(struct oto_pb_cursor *c,
                                                            uint64_t *ret_value)
{
    if (__builtin_expect(c->end - c->at < 8, 0))
        return OTO_INVALID;
    *ret_value = oto_load64(c->at);
    c->at += 8;
    return OTO_OK;
}
OTO_MUST_CHECK static inline enum oto_status oto_pb_fixed32(struct oto_pb_cursor *c,
                                                            uint32_t *ret_value)
{
    if (__builtin_expect(c->end - c->at < 4, 0))
        return OTO_INVALID;
    *ret_value = oto_load32(c->at);
    c->at += 4;
    return OTO_OK;
}
// Skips the value of a field whose tag was just read. OTO_INVALID.
OTO_MUST_CHECK enum oto_status oto_pb_skip(struct oto_pb_cursor *c, uint32_t tag);

static inline int64_t oto_pb_zigzag_decode(uint64_t v)
{
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

#define OTO_PB_TAG(field, wire) ((uint32_t)(field) << 3 | (uint32_t)(wire))

// Writer: appends to a buffer; OTO_NO_MEMORY, OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_pb_write_varint(struct oto_buffer *b, uint64_t value);
OTO_MUST_CHECK enum oto_status oto_pb_write_uint(struct oto_buffer *b, uint32_t field,
                                                 uint64_t value);
OTO_MUST_CHECK enum oto_status oto_pb_write_fixed64(struct oto_buffer *b, uint32_t field,
                                                    uint64_t value);
OTO_MUST_CHECK enum oto_status oto_pb_write_fixed32(struct oto_buffer *b, uint32_t field,
                                                    uint32_t value);
OTO_MUST_CHECK enum oto_status oto_pb_write_bytes(struct oto_buffer *b, uint32_t field,
                                                  struct oto_bytes value);
// A submessage of a size not known yet: begin reserves its length (4 bytes, padded varint), end
// fills it in. The size must stay under 2^28. begin returns the mark that end wants.
OTO_MUST_CHECK enum oto_status oto_pb_message_begin(struct oto_buffer *b, uint32_t field,
                                                    size_t *ret_mark);
OTO_MUST_CHECK enum oto_status oto_pb_message_end(struct oto_buffer *b, size_t mark);

#endif
