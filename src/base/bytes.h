// Views of bytes and a growing byte buffer, with unaligned little-endian access.
#ifndef OTO_BASE_BYTES_H
#define OTO_BASE_BYTES_H

#include "base/alloc.h"
#include <string.h>

// A view: borrowed bytes. data may be NULL when size is 0.
struct oto_bytes {
    const uint8_t *data;
    size_t size;
};

#define OTO_BYTES_LITERAL(text) ((struct oto_bytes){(const uint8_t *)(text), sizeof(text) - 1})

static inline struct oto_bytes oto_bytes(const void *data, size_t size)
{
    return (struct oto_bytes){(const uint8_t *)data, size};
}
static inline struct oto_bytes oto_bytes_text(const char *text)
{
    return (struct oto_bytes){(const uint8_t *)text, strlen(text)};
}
static inline int oto_bytes_equal(struct oto_bytes a, struct oto_bytes b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}
static inline int oto_bytes_equal_text(struct oto_bytes a, const char *text)
{
    return oto_bytes_equal(a, oto_bytes_text(text));
}
static inline int oto_bytes_begin_with(struct oto_bytes bytes, const char *start)
{
    size_t size = strlen(start);
    return size <= bytes.size && (size == 0 || memcmp(bytes.data, start, size) == 0);
}
// The same of a text, which is not gone through; a text that is NULL begins with nothing.
static inline int oto_text_begins_with(const char *text, const char *start)
{
    return text && strncmp(text, start, strlen(start)) == 0;
}

// A copy with a NUL behind it, size + 1 bytes; NULL when out of memory. strndup is not it: it may
// read on for a NUL that a view does not have.
static inline char *oto_bytes_copy_text(const struct oto_allocator *allocator,
                                        struct oto_bytes bytes)
{
    char *text = oto_alloc(allocator, bytes.size + 1);
    if (!text)
        return NULL;
    if (bytes.size)
        memcpy(text, bytes.data, bytes.size);
    text[bytes.size] = 0;
    return text;
}

// A growing buffer. Contents may move when it grows. Zeroed by oto_buffer_init.
struct oto_buffer {
    const struct oto_allocator *allocator;
    uint8_t *data;
    size_t size;
    size_t capacity;
    size_t size_max; // growth beyond this fails with OTO_TOO_LARGE
};

void oto_buffer_init(struct oto_buffer *buffer, const struct oto_allocator *allocator,
                     size_t size_max);
// Frees the memory and leaves an empty, usable buffer. Legal on a zeroed buffer.
void oto_buffer_release(struct oto_buffer *buffer);

// Makes room for `more` further bytes. OTO_NO_MEMORY, OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_buffer_grow(struct oto_buffer *buffer, size_t more);

OTO_MUST_CHECK static inline enum oto_status oto_buffer_reserve(struct oto_buffer *buffer,
                                                                size_t more)
{
    return buffer->capacity - buffer->size >= more ? OTO_OK : oto_buffer_grow(buffer, more);
}
OTO_MUST_CHECK static inline enum oto_status oto_buffer_append(struct oto_buffer *buffer,
                                                               const void *data, size_t size)
{
    OTO_TRY(oto_buffer_reserve(buffer, size));
    if (size)
        memcpy(buffer->data + buffer->size, data, size);
    buffer->size += size;
    return OTO_OK;
}
OTO_MUST_CHECK static inline enum oto_status oto_buffer_append_byte(struct oto_buffer *buffer,
                                                                    uint8_t byte)
{
    OTO_TRY(oto_buffer_reserve(buffer, 1));
    buffer->data[buffer->size++] = byte;
    return OTO_OK;
}
// Appends text by a printf format. OTO_NO_MEMORY, OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_buffer_append_format(struct oto_buffer *buffer,
                                                        const char *format, ...) OTO_PRINTF(2, 3);
static inline struct oto_bytes oto_buffer_view(const struct oto_buffer *buffer)
{
    return oto_bytes(buffer->data, buffer->size);
}

static inline uint16_t oto_load16(const void *p)
{
    uint16_t v;
    memcpy(&v, p, 2);
    return v;
}
static inline uint32_t oto_load32(const void *p)
{
    uint32_t v;
    memcpy(&v, p, 4);
    return v;
}
static inline uint64_t oto_load64(const void *p)
{
    uint64_t v;
    memcpy(&v, p, 8);
    return v;
}
static inline void oto_store16(void *p, uint16_t v)
{
    memcpy(p, &v, 2);
}
static inline void oto_store32(void *p, uint32_t v)
{
    memcpy(p, &v, 4);
}
static inline void oto_store64(void *p, uint64_t v)
{
    memcpy(p, &v, 8);
}
static inline uint32_t oto_load32_big(const void *p)
{
    return __builtin_bswap32(oto_load32(p));
}
static inline void oto_store32_big(void *p, uint32_t v)
{
    oto_store32(p, __builtin_bswap32(v));
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "Otolith runs on little-endian machines");

#endif
