// An input as plain bytes: told compressed by its first bytes, seen through a window.
#include "convert/convert_internal.h"

#define PIECE_BYTES ((size_t)256 << 10)

enum oto_compression oto_convert_bytes_coding(struct oto_bytes first)
{
    enum oto_compression coding = oto_compression_detect(first);
    if (coding == OTO_COMPRESSION_NONE && first.size >= 4 &&
        (oto_load32(first.data) & 0xFFFFFFF0u) == 0x184D2A50u)
        return OTO_COMPRESSION_ZSTD;
    return coding;
}

static enum oto_status no_memory(struct oto_error *err)
{
    return oto_error_set(err, OTO_NO_MEMORY, "no memory to read");
}

// Appends the next bytes of the input itself.
static enum oto_status read_raw(struct oto_convert_bytes *b, struct oto_buffer *to,
                                struct oto_error *err)
{
    size_t size;
    enum oto_status status = oto_buffer_reserve(to, PIECE_BYTES);
    if (status < 0)
        return status == OTO_NO_MEMORY
                   ? no_memory(err)
                   : oto_error_set(err, status, "larger than %zu bytes", b->size_max);
    status = oto_input_read(&b->input, to->data + to->size, PIECE_BYTES, &size, err);
    if (status == OTO_END) {
        b->is_raw_at_end = 1;
        return OTO_OK;
    }
    OTO_TRY(status);
    to->size += size;
    oto_convert_advance(b->c, size);
    return OTO_OK;
}

enum oto_status oto_convert_bytes_init(struct oto_convert_bytes *b, struct oto_convert *c,
                                       struct oto_input input, size_t size_max,
                                       struct oto_error *err)
{
    *b = (struct oto_convert_bytes){.c = c, .input = input, .size_max = size_max};
    oto_buffer_init(&b->raw, &oto_allocator_heap, SIZE_MAX / 2);
    oto_buffer_init(&b->window, &oto_allocator_heap, size_max + 2 * PIECE_BYTES);
    while (b->raw.size < 4 && !b->is_raw_at_end)
        OTO_TRY(read_raw(b, &b->raw, err));
    enum oto_compression coding = oto_convert_bytes_coding(oto_buffer_view(&b->raw));
    if (coding != OTO_COMPRESSION_NONE)
        return oto_decompressor_new(&oto_allocator_heap, coding, &b->decompressor, err);
    struct oto_buffer window = b->window; // what was read is the window already
    b->window = b->raw;
    b->window.size_max = window.size_max;
    oto_buffer_init(&b->raw, &oto_allocator_heap, SIZE_MAX / 2);
    b->is_at_end = b->is_raw_at_end;
    return OTO_OK;
}

void oto_convert_bytes_release(struct oto_convert_bytes *b)
{
    oto_decompressor_free(b->decompressor);
    oto_buffer_release(&b->raw);
    oto_buffer_release(&b->window);
    oto_input_close(&b->input);
}

static enum oto_status decompress_more(struct oto_convert_bytes *b, struct oto_error *err)
{
    size_t size;
    if (b->raw_at == b->raw.size && !b->is_raw_at_end) {
        b->raw.size = b->raw_at = 0;
        OTO_TRY(read_raw(b, &b->raw, err));
    }
    struct oto_bytes input = oto_bytes(b->raw.data + b->raw_at, b->raw.size - b->raw_at);
    enum oto_status status = oto_buffer_reserve(&b->window, PIECE_BYTES);
    if (status < 0)
        return no_memory(err);
    OTO_TRY(oto_decompressor_step(b->decompressor, &input, b->window.data + b->window.size,
                                  PIECE_BYTES, &size, err));
    b->raw_at = b->raw.size - input.size;
    b->window.size += size;
    if (b->is_raw_at_end && input.size == 0 && size < PIECE_BYTES) {
        b->is_at_end = 1;
        return oto_decompressor_end(b->decompressor, err);
    }
    return OTO_OK;
}

enum oto_status oto_convert_bytes_want(struct oto_convert_bytes *b, size_t size,
                                       struct oto_error *err)
{
    if (b->window.size - b->at >= size)
        return OTO_OK;
    if (size > b->size_max)
        return oto_error_set(err, OTO_TOO_LARGE, "larger than %zu bytes", b->size_max);
    if (b->at) {
        memmove(b->window.data, b->window.data + b->at, b->window.size - b->at);
        b->window.size -= b->at;
        b->at = 0;
    }
    while (b->window.size < size && !b->is_at_end) {
        if (b->decompressor) {
            OTO_TRY(decompress_more(b, err));
        } else {
            OTO_TRY(read_raw(b, &b->window, err));
            b->is_at_end = b->is_raw_at_end;
        }
    }
    return OTO_OK;
}
