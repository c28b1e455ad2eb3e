// Ids of digits as zstd frames: what the library reads is what was written, repeated ids and common
// beginnings make a frame smaller, and ids of no such size are refused.
#include "codec/ids.h"
#include "frame_fixture.h"

static uint64_t random64(struct fixture *f)
{
    uint64_t high = next_random(f, UINT32_MAX);
    return high << 32 | next_random(f, UINT32_MAX);
}

static void add_id(struct fixture *f, uint64_t first, uint64_t last, unsigned id_size)
{
    for (unsigned i = 0; i < id_size; i++) {
        uint64_t word = i < 16 ? first : last;
        char digit = "0123456789abcdef"[word >> (60 - 4 * (i % 16)) & 15];
        add(f, &digit, 1);
    }
}

static size_t check(struct fixture *f, size_t head_size, unsigned id_size)
{
    struct oto_error err;
    struct oto_bytes content = oto_buffer_view(&f->content);
    f->frame.size = f->back.size = 0;
    assert_int_equal(oto_compress_ids(f->codec, 1, content, head_size, id_size, &f->frame, &err),
                     OTO_OK);
    assert_int_equal(
        oto_decompress(f->codec, OTO_COMPRESSION_ZSTD, oto_buffer_view(&f->frame), &f->back, &err),
        OTO_OK);
    assert_true(oto_bytes_equal(oto_buffer_view(&f->back), content));
    return f->frame.size;
}

static void ids_take_half_their_digits_and_repeated_ones_less(void **state)
{
    struct fixture *f = *state;
    enum { COUNT = 30000 };
    for (unsigned id_size = 16; id_size <= 32; id_size += 16) {
        uint64_t siblings = 0;
        size_t half = COUNT * id_size / 2;
        f->content.size = 0;
        for (unsigned i = 0; i < COUNT; i++)
            add_id(f, random64(f), random64(f), id_size);
        assert_in_range(check(f, 0, id_size), half, half + half / 50);
        f->content.size = 0;
        for (unsigned i = 0; i < COUNT; i++) {
            siblings = i % 4 ? siblings : random64(f);
            add_id(f, siblings, siblings, id_size);
        }
        assert_in_range(check(f, 0, id_size), 1, half / 2);
        f->content.size = 0;
        for (unsigned i = 0; i < COUNT; i++) // seconds, then anything
            add_id(f, (uint64_t)(1760000000u + i / 100) << 32 | (uint32_t)random64(f), random64(f),
                   id_size);
        assert_in_range(check(f, 0, id_size), 1, half - COUNT * 2);
    }
}

static void heads_of_any_size_are_kept(void **state)
{
    struct fixture *f = *state;
    static const size_t heads[] = {
        0, 1, 15, 4000, OTO_LINES_BLOCK_MAX - 1, OTO_LINES_BLOCK_MAX, OTO_LINES_BLOCK_MAX + 1,
    };
    static const unsigned counts[] = {0, 1, 2, 8191, 8192, 8193};
    for (size_t h = 0; h < sizeof heads / sizeof *heads; h++) {
        for (size_t c = 0; c < sizeof counts / sizeof *counts; c++) {
            if (!heads[h] && !counts[c])
                continue;
            f->content.size = 0;
            for (size_t i = 0; i < heads[h]; i++) {
                uint8_t byte = (uint8_t)(i % 100 ? i >> 9 : random64(f));
                add(f, &byte, 1);
            }
            for (unsigned i = 0; i < counts[c]; i++)
                add_id(f, i % 3 ? random64(f) : 77, 0, 16);
            check(f, heads[h], 16);
        }
    }
}

static void other_sizes_are_refused(void **state)
{
    struct fixture *f = *state;
    struct oto_error err;
    for (unsigned i = 0; i < 10; i++)
        add_id(f, random64(f), 0, 16);
    struct oto_bytes content = oto_buffer_view(&f->content);
    assert_int_equal(oto_compress_ids(f->codec, 1, content, 0, 8, &f->frame, &err), OTO_INVALID);
    assert_int_equal(oto_compress_ids(f->codec, 1, content, 3, 16, &f->frame, &err), OTO_INVALID);
    assert_int_equal(oto_compress_ids(f->codec, 1, content, 161, 16, &f->frame, &err), OTO_INVALID);
    assert_int_equal(f->frame.size, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(ids_take_half_their_digits_and_repeated_ones_less, begin,
                                        end),
        cmocka_unit_test_setup_teardown(heads_of_any_size_are_kept, begin, end),
        cmocka_unit_test_setup_teardown(other_sizes_are_refused, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
