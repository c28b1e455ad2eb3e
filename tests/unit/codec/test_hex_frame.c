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

// The reader of these frames gives what a decoder of all zstd gives. 0: it leaves it to that one.
static int reads_the_same(struct oto_buffer *frame, const struct oto_buffer *expected)
{
    struct oto_buffer read = buffer_of(3);
    memcpy(read.data, "abc", read.size = 3);
    enum oto_status status = oto_hex_frame_read(oto_buffer_view(frame), NULL, &read);
    if (status == OTO_OK) {
        assert_int_equal(read.size, 3 + expected->size);
        assert_memory_equal(read.data + 3, expected->data, expected->size);
    } else {
        assert_int_equal(status, OTO_END);
        assert_int_equal(read.size, 3);
    }
    assert_memory_equal(read.data, "abc", 3);
    oto_buffer_release(&read);
    return status == OTO_OK;
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
    assert_int_equal(
        oto_hex_frame(oto_bytes(plain.data, head_size), oto_bytes(raw.data, raw_size), &frame),
        OTO_OK);
    oto_error_init(&err);
    assert_int_equal(
        oto_decompress(codec, OTO_COMPRESSION_ZSTD, oto_buffer_view(&frame), &back, &err), OTO_OK);
    assert_int_equal(back.size, head_size + 2 * raw_size);
    assert_memory_equal(back.data, plain.data, back.size);
    assert_true(reads_the_same(&frame, &back));
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

// Entries of a dictionary page: some text, then ids with their lengths.
static void records_come_back(size_t text_size, unsigned id_size, size_t count)
{
    size_t raw_size = count * id_size;
    struct oto_buffer raw = buffer_of(raw_size), frame = buffer_of(0), back = buffer_of(0),
                      plain = buffer_of(text_size + count * (2 * id_size + 4)), head = buffer_of(0);
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_error err;
    uint32_t state = 1;
    oto_error_init(&err);
    for (size_t i = 0; i < raw_size; i++)
        raw.data[i] = (uint8_t)((state = state * 1664525u + 1013904223u) >> 24);
    for (size_t i = 0; i < text_size; i++)
        plain.data[i] = (uint8_t) "some text that repeats "[i % 23];
    uint8_t *at = plain.data + text_size;
    for (size_t i = 0; i < count; i++, at += 4 + 2 * id_size) {
        oto_store32(at, 2 * id_size);
        oto_hex_encode(raw.data + i * id_size, id_size, (char *)at + 4);
    }
    assert_int_equal(oto_compress(codec, OTO_COMPRESSION_ZSTD, 1,
                                  oto_bytes(plain.data, text_size + 4), &head, &err),
                     OTO_OK);
    assert_int_equal(oto_hex_records_frame(oto_buffer_view(&head), text_size + 4,
                                           oto_bytes(raw.data, raw_size), id_size, &frame),
                     OTO_OK);
    assert_int_equal(
        oto_decompress(codec, OTO_COMPRESSION_ZSTD, oto_buffer_view(&frame), &back, &err), OTO_OK);
    assert_int_equal(back.size, at - plain.data);
    assert_memory_equal(back.data, plain.data, back.size);
    assert_int_equal(reads_the_same(&frame, &back), text_size == 0);
    assert_in_range(frame.size, raw_size, raw_size + raw_size / 32 + head.size + 300);
    // A head that is cut off is found out.
    assert_int_equal(oto_hex_records_frame(oto_bytes(head.data, head.size - 1), text_size + 4,
                                           oto_bytes(raw.data, raw_size), id_size, &frame),
                     OTO_INVALID);
    oto_codec_free(codec);
    oto_buffer_release(&raw);
    oto_buffer_release(&plain);
    oto_buffer_release(&frame);
    oto_buffer_release(&back);
    oto_buffer_release(&head);
}

static void decoders_give_records_back(void **state)
{
    (void)state;
    static const size_t counts[] = {16, 17, 4096, 4097, 4098, 20000, 60001};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (unsigned id_size = 8; id_size <= 16; id_size += 8) {
            records_come_back(0, id_size, counts[i]);
            records_come_back(100000, id_size, counts[i]);
            records_come_back(300, id_size, counts[i]);
        }
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

// A frame with one byte changed: what is still read is what the other decoder reads.
static void damage_is_read_alike(struct oto_buffer *frame, size_t step)
{
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    size_t read = 0, refused = 0;
    for (size_t i = 0; i < frame->size; i += i < 200 || i + 200 > frame->size ? 1 : step) {
        static const uint8_t changes[] = {1, 2, 0x80, 0xFF};
        for (size_t k = 0; k < sizeof changes; k++) {
            struct oto_buffer back = buffer_of(0);
            struct oto_error err;
            oto_error_init(&err);
            frame->data[i] ^= changes[k];
            enum oto_status status =
                oto_decompress(codec, OTO_COMPRESSION_ZSTD, oto_buffer_view(frame), &back, &err);
            int is_read = reads_the_same(frame, &back);
            if (is_read)
                assert_int_equal(status, OTO_OK);
            read += (size_t)is_read;
            refused += !is_read;
            frame->data[i] ^= changes[k];
            oto_buffer_release(&back);
        }
    }
    assert_true(read > 100); // digits
    assert_true(refused > 100);
    for (size_t size = 0; size < frame->size; size += step) {
        struct oto_buffer cut = {.data = frame->data, .size = size}, nothing = {0};
        assert_false(reads_the_same(&cut, &nothing));
    }
    oto_codec_free(codec);
}

static void damaged_frames_are_read_as_the_library_reads_them(void **state)
{
    (void)state;
    uint8_t raw[8192], head[4] = {32, 0, 0, 0};
    struct oto_buffer frame = buffer_of(0), packed = buffer_of(0);
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_error err;
    oto_error_init(&err);
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)(i * i + i / 7);
    assert_int_equal(oto_hex_frame(oto_bytes(head, 4), oto_bytes(raw, sizeof raw), &frame), OTO_OK);
    damage_is_read_alike(&frame, 97);
    assert_int_equal(
        oto_compress(codec, OTO_COMPRESSION_ZSTD, 1, oto_bytes(head, 4), &packed, &err), OTO_OK);
    for (unsigned id_size = 8; id_size <= 16; id_size += 8) {
        frame.size = 0;
        assert_int_equal(oto_hex_records_frame(oto_buffer_view(&packed), 4,
                                               oto_bytes(raw, sizeof raw), id_size, &frame),
                         OTO_OK);
        damage_is_read_alike(&frame, 97);
    }
    oto_codec_free(codec);
    oto_buffer_release(&frame);
    oto_buffer_release(&packed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(decoders_give_it_back),
        cmocka_unit_test(decoders_give_records_back),
        cmocka_unit_test(other_sizes_are_refused),
        cmocka_unit_test(damaged_frames_are_read_as_the_library_reads_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
