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

#endif
