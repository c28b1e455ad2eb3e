#include "base/bytes.h"
#include <stdio.h>

#define BUFFER_CAPACITY_MIN 64

void oto_buffer_init(struct oto_buffer *buffer, const struct oto_allocator *allocator,
                     size_t size_max)
{
    *buffer = (struct oto_buffer){.allocator = allocator, .size_max = size_max};
}

void oto_buffer_release(struct oto_buffer *buffer)
{
    if (buffer->data)
        oto_free(buffer->allocator, buffer->data, buffer->capacity);
    buffer->data = NULL;
    buffer->size = buffer->capacity = 0;
}

enum oto_status oto_buffer_grow(struct oto_buffer *buffer, size_t more)
{
    if (more > buffer->size_max || buffer->size > buffer->size_max - more)
        return OTO_TOO_LARGE;
    size_t needed = buffer->size + more;
    if (needed <= buffer->capacity)
        return OTO_OK;
    size_t capacity = buffer->capacity > SIZE_MAX / 2 ? SIZE_MAX : buffer->capacity * 2;
    if (capacity < BUFFER_CAPACITY_MIN)
        capacity = BUFFER_CAPACITY_MIN;
    if (capacity < needed)
        capacity = needed;
    if (capacity > buffer->size_max)
        capacity = buffer->size_max;
    uint8_t *data = buffer->data
                        ? oto_resize(buffer->allocator, buffer->data, buffer->capacity, capacity)
                        : oto_alloc(buffer->allocator, capacity);
    if (!data)
        return OTO_NO_MEMORY;
    buffer->data = data;
    buffer->capacity = capacity;
    return OTO_OK;
}

enum oto_status oto_buffer_append_format(struct oto_buffer *buffer, const char *format, ...)
{
    // One byte for the NUL, which is not counted in size. 128 holds nearly all formatted text at
    // once.
    size_t room = buffer->capacity - buffer->size;
    char small[128];
    char *target = room > sizeof small ? (char *)buffer->data + buffer->size : small;
    room = room > sizeof small ? room : sizeof small;
    va_list args;
    va_start(args, format);
    int length = vsnprintf(target, room, format, args);
    va_end(args);
    if (length < 0)
        return OTO_INTERNAL;
    if ((size_t)length < room) {
        if (target == small)
            return oto_buffer_append(buffer, small, (size_t)length);
        buffer->size += (size_t)length;
        return OTO_OK;
    }
    // The NUL needs a place while formatting, also when the text just fits size_max.
    char *whole = oto_alloc(buffer->allocator, (size_t)length + 1);
    if (!whole)
        return OTO_NO_MEMORY;
    va_start(args, format);
    vsnprintf(whole, (size_t)length + 1, format, args);
    va_end(args);
    enum oto_status status = oto_buffer_append(buffer, whole, (size_t)length);
    oto_free(buffer->allocator, whole, (size_t)length + 1);
    return status;
}
