// Reads of the hot loops: a position goes in and comes back in a register, NULL when the bytes are
// malformed. A loop over a message's fields looks like
//     for (const uint8_t *at = c->at, *end = c->end; at != end;) {
//         const uint8_t *start = at;
//         struct oto_otlp_read tag = oto_otlp_tag(at, end);
//         at = tag.at;
//         switch (tag.value) { case …: at = oto_otlp_bytes(at, end, &view); break; … }
//         if (!at) return oto_otlp_stop(c, start, OTO_INVALID);
//     }
// where a tag of 0 stands for a malformed one. wire/protobuf.h has the same with a cursor in
// memory.
#ifndef OTO_OTLP_OTLP_DECODE_READ_H
#define OTO_OTLP_OTLP_DECODE_READ_H

#include "wire/protobuf.h"

struct oto_otlp_read {
    const uint8_t *at;
    uint64_t value;
};

struct oto_otlp_read oto_otlp_varint_slow(const uint8_t *at, const uint8_t *end);
// A tag of more than one byte: checked as oto_pb_tag does.
struct oto_otlp_read oto_otlp_tag_slow(const uint8_t *at, const uint8_t *end);

static inline struct oto_otlp_read oto_otlp_varint(const uint8_t *at, const uint8_t *end)
{
    if (__builtin_expect(end - at >= 2, 1)) {
        if (at[0] < 0x80)
            return (struct oto_otlp_read){at + 1, at[0]};
        if (at[1] < 0x80)
            return (struct oto_otlp_read){at + 2, (at[0] & 0x7Fu) | (uint64_t)at[1] << 7};
    }
    return oto_otlp_varint_slow(at, end);
}

// at < end. Field numbers to 15 have one byte, those to 2047 two.
static inline struct oto_otlp_read oto_otlp_tag(const uint8_t *at, const uint8_t *end)
{
    if (__builtin_expect(at[0] < 0x80, 1))
        return (struct oto_otlp_read){at + 1, at[0]};
    if (end - at >= 2 && at[1] - 1u < 0x7F)
        return (struct oto_otlp_read){at + 2, (at[0] & 0x7Fu) | (uint64_t)at[1] << 7};
    return oto_otlp_tag_slow(at, end);
}

static inline const uint8_t *oto_otlp_bytes(const uint8_t *at, const uint8_t *end,
                                            struct oto_bytes *ret_view)
{
    struct oto_otlp_read size = oto_otlp_varint(at, end);
    if (__builtin_expect(!size.at || size.value > (uint64_t)(end - size.at), 0))
        return NULL;
    ret_view->data = size.at;
    ret_view->size = (size_t)size.value;
    return size.at + size.value;
}

static inline const uint8_t *oto_otlp_u64(const uint8_t *at, const uint8_t *end,
                                          uint64_t *ret_value)
{
    struct oto_otlp_read read = oto_otlp_varint(at, end);
    *ret_value = read.value;
    return read.at;
}

static inline const uint8_t *oto_otlp_u32(const uint8_t *at, const uint8_t *end,
                                          uint32_t *ret_value)
{
    struct oto_otlp_read read = oto_otlp_varint(at, end);
    *ret_value = (uint32_t)read.value;
    return read.at;
}

static inline const uint8_t *oto_otlp_i32(const uint8_t *at, const uint8_t *end, int32_t *ret_value)
{
    struct oto_otlp_read read = oto_otlp_varint(at, end);
    *ret_value = (int32_t)(uint32_t)read.value;
    return read.at;
}

static inline const uint8_t *oto_otlp_fixed64(const uint8_t *at, const uint8_t *end,
                                              void *ret_value)
{
    if (__builtin_expect(end - at < 8, 0))
        return NULL;
    memcpy(ret_value, at, 8);
    return at + 8;
}

static inline const uint8_t *oto_otlp_fixed32(const uint8_t *at, const uint8_t *end,
                                              uint32_t *ret_value)
{
    if (__builtin_expect(end - at < 4, 0))
        return NULL;
    *ret_value = oto_load32(at);
    return at + 4;
}

// Leaves the cursor where a failure was.
static inline enum oto_status oto_otlp_stop(struct oto_pb_cursor *c, const uint8_t *at,
                                            enum oto_status status)
{
    c->at = at;
    return status;
}

#endif
