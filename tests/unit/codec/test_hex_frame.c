#include "base/text.h"
#include "codec/compress.h"
#include "codec/hex_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// clang-format off
#include <cmocka.h>
// clang-format on

static struct oto_buffer buffer_of(size_t size)
{
    struct oto_buffer buffer;
    oto_buffer_init(&buffer, &oto_allocator_heap, SIZE_MAX / 2);
    assert_int_equal(oto_buffer_reserve(&buffer, size + 1), OTO_OK);
    return buffer;
}

// Any zstd decoder must give the head and the digits back, at half the digits' size.
static void comes_back(size_t head_size, size_t zeros, size_t raw_size)
{
    struct oto_buffer raw = buffer_of(raw_size), plain = buffer_of(head_size + 2 * raw_size),
                      frame = buffer_of(0), back = buffer_of(0);
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_error err;
    uint32_t state = 1;
    for (size_t i = 0; i < raw_size; i++)
        raw.data[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
    for (size_t i = 0; i < head_size; i++)
        plain.data[i] = i + zeros < head_size ? (uint8_t)(i + 1) : 0;
    oto_hex_encode(raw.data, raw_size, (char *)plain.data + head_size);
    assert_int_equal(oto_hex_frame(oto_bytes(plain.data, head_size), oto_bytes(raw.data, raw_size),
                                   &frame),
                     OTO_OK);
    oto_error_init(&err);
    assert_int_equal(
        oto_decompress(codec, OTO_COMPRESSION_ZSTD, oto_buffer_view(&frame), &back, &err), OTO_OK);
    assert_int_equal(back.size, head_size + 2 * raw_size);
    assert_memory_equal(back.data, plain.data, back.size);
    assert_in_range(frame.size, raw_size, raw_size + raw_size / 500 + head_size - zeros + 120);
    oto_codec_free(codec);
    oto_buffer_release(&raw);
    oto_buffer_release(&plain);
    oto_buffer_release(&frame);
    oto_buffer_release(&back);
}

static void decoders_give_it_back(void **state)
{
    (void)state;
    static const size_t heads[][2] = {{0, 0}, {9, 2}, {800, 780}, {300, 0}, {300000, 150000}};
    static const size_t raws[] = {128, 136, 4096, 65536, 65544, 200000};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        for (size_t k = 0; k < sizeof raws / sizeof *raws; k++)
            comes_back(heads[i][0], heads[i][1], raws[k]);
    }
}

static void other_sizes_are_refused(void **state)
{
    (void)state;
    uint8_t raw[136] = {0};
    struct oto_buffer frame = buffer_of(0);
    assert_int_equal(oto_hex_frame(oto_bytes(NULL, 0), oto_bytes(raw, 120), &frame), OTO_INVALID);
    assert_int_equal(oto_hex_frame(oto_bytes(NULL, 0), oto_bytes(raw, 132), &frame), OTO_INVALID);
    assert_int_equal(frame.size, 0);
    oto_buffer_release(&frame);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoders_give_it_back),
        cmocka_unit_test(other_sizes_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
