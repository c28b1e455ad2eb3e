// What tests of frames need: a codec, contents, and numbers that come again.
#ifndef OTO_TEST_FRAME_FIXTURE_H
#define OTO_TEST_FRAME_FIXTURE_H

#include "cmocka_all.h"
#include "codec/compress.h"

#include <stdio.h>
#include <stdlib.h>

#define CONTENT_MAX ((size_t)8 << 20)

struct fixture {
    struct oto_codec *codec;
    struct oto_buffer content, frame, back, other;
    uint32_t random;
};

static inline int begin(void **state)
{
    static struct fixture f;
    f = (struct fixture){.codec = oto_codec_new(&oto_allocator_heap), .random = 1};
    struct oto_buffer *buffers[] = {&f.content, &f.frame, &f.back, &f.other};
    for (size_t i = 0; i < 4; i++)
        oto_buffer_init(buffers[i], &oto_allocator_heap, CONTENT_MAX);
    *state = &f;
    return 0;
}

static inline int end(void **state)
{
    struct fixture *f = *state;
    struct oto_buffer *buffers[] = {&f->content, &f->frame, &f->back, &f->other};
    for (size_t i = 0; i < 4; i++)
        oto_buffer_release(buffers[i]);
    oto_codec_free(f->codec);
    return 0;
}

static inline uint32_t next_random(struct fixture *f, uint32_t below)
{
    f->random = f->random * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)f->random * below >> 32);
}

static inline void add(struct fixture *f, const void *data, size_t size)
{
    assert_int_equal(oto_buffer_append(&f->content, data, size), OTO_OK);
}

// Compresses the content as text of those lines, and has it back; how its matches were found. What
// search makes of it is in `other`.
static inline enum oto_text_method text_comes_back(struct fixture *f, const struct oto_lines *lines,
                                                   enum oto_text_method method)
{
    struct oto_error err;
    oto_error_init(&err);
    f->frame.size = f->back.size = f->other.size = 0;
    assert_int_equal(oto_compress_text(f->codec, 1, oto_buffer_view(&f->content), lines, &method,
                                       &f->frame, &err),
                     OTO_OK);
    assert_int_equal(
        oto_decompress(f->codec, OTO_COMPRESSION_ZSTD, oto_buffer_view(&f->frame), &f->back, &err),
        OTO_OK);
    assert_true(oto_bytes_equal(oto_buffer_view(&f->back), oto_buffer_view(&f->content)));
    assert_int_equal(oto_compress(f->codec, OTO_COMPRESSION_ZSTD, 1, oto_buffer_view(&f->content),
                                  &f->other, &err),
                     OTO_OK);
    return method;
}

#endif
