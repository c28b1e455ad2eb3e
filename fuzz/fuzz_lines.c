// folders: codec
// Text compressed line by line comes back as it was. The first byte says how lines are told apart
// and how many bytes stand before them; the rest are lines, which come several hundred times, a
// byte of each changed every time. A bit of the first byte asks for words instead.
#include "codec/compress.h"
#include "codec/lines.h"
#include <stdlib.h>

#define LINES 600
#define CONTENT_MAX (4u << 20)

static void must(int condition)
{
    if (!condition)
        abort();
}

static void append(struct oto_buffer *content, const void *data, size_t size)
{
    must(oto_buffer_append(content, data, size) == OTO_OK);
}

// The line's bytes, with one that the round chooses.
static void append_line(struct oto_buffer *content, const uint8_t *line, uint32_t size,
                        unsigned round, int is_prefixed)
{
    if (is_prefixed)
        append(content, &size, sizeof size);
    append(content, line, size);
    if (size && round)
        content->data[content->size - 1 - round * 7 % size] = (uint8_t)('0' + round % 12);
}

static size_t make_content(struct oto_bytes text, int is_prefixed, struct oto_buffer *content,
                           int32_t sizes[LINES])
{
    size_t count = 0;
    for (unsigned round = 0; count < LINES && content->size < CONTENT_MAX / 2; round++)
        for (const uint8_t *at = text.data, *end = at + text.size; at < end && count < LINES;) {
            const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
            uint32_t size = (uint32_t)((stop ? stop : end) - at);
            append_line(content, at, size, round, is_prefixed);
            sizes[count++] = (int32_t)size;
            at += size + 1;
        }
    return count;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oto_codec *codec;
    static int32_t sizes[LINES];
    if (!codec)
        must((codec = oto_codec_new(&oto_allocator_heap)) != NULL);
    if (size < 2 || size > 65536)
        return 0;
    struct oto_buffer content, packed, back;
    enum oto_text_method method = data[0] & 2 ? OTO_TEXT_WORDS : OTO_TEXT_NEW;
    oto_buffer_init(&content, &oto_allocator_heap, CONTENT_MAX);
    oto_buffer_init(&packed, &oto_allocator_heap, SIZE_MAX / 2);
    oto_buffer_init(&back, &oto_allocator_heap, CONTENT_MAX);
    struct oto_lines lines = {.head_size = data[0] >> 4};
    append(&content, "0123456789abcdef", lines.head_size);
    lines.count = make_content(oto_bytes(data + 1, size - 1), data[0] & 1, &content, sizes);
    lines.sizes = data[0] & 1 ? NULL : sizes;
    append(&content, data, data[0] >> 2 & 3 ? 1 : 0);
    // Exactly as large as it is, so that a byte read behind it is seen.
    uint8_t *exact = malloc(content.size);
    must(exact != NULL);
    if (content.size)
        memcpy(exact, content.data, content.size);
    must(oto_compress_text(codec, 1, oto_bytes(exact, content.size), &lines, &method, &packed,
                           NULL) == OTO_OK);
    must(oto_decompress(codec, OTO_COMPRESSION_ZSTD, oto_buffer_view(&packed), &back, NULL) ==
         OTO_OK);
    must(oto_bytes_equal(oto_buffer_view(&back), oto_bytes(exact, content.size)));
    free(exact);
    oto_buffer_release(&content);
    oto_buffer_release(&packed);
    oto_buffer_release(&back);
    return 0;
}
