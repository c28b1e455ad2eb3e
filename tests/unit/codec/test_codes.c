#include "codec/codes.h"
#include "frame_fixture.h"

static void add_code(struct fixture *f, uint32_t code)
{
    uint8_t bytes[OTO_CODE_BYTES];
    oto_store32(bytes, code);
    add(f, bytes, sizeof bytes);
}

static void check(struct fixture *f, size_t head_size)
{
    struct oto_error err;
    struct oto_bytes content = oto_buffer_view(&f->content);
    f->frame.size = f->back.size = f->other.size = 0;
    assert_int_equal(oto_compress_codes(f->codec, 1, content, head_size, &f->frame, &err), OTO_OK);
    assert_int_equal(
        oto_decompress(f->codec, OTO_COMPRESSION_ZSTD, oto_buffer_view(&f->frame), &f->back, &err),
        OTO_OK);
    assert_true(oto_bytes_equal(oto_buffer_view(&f->back), content));
    assert_int_equal(oto_compress(f->codec, OTO_COMPRESSION_ZSTD, 1, content, &f->other, &err),
                     OTO_OK);
}

// Rows of attributes of few values, one that is never the same, and sometimes one more.
static void codes_of_rows_become_smaller_than_by_search(void **state)
{
    struct fixture *f = *state;
    uint32_t id = 70000;
    for (uint32_t row = 0; row < 30000; row++) {
        add_code(f, 3);
        add_code(f, next_random(f, 24));
        add_code(f, 24 + next_random(f, 3));
        add_code(f, 40 + next_random(f, 64));
        add_code(f, id++);
        if (row / 5000 % 2 && next_random(f, 4) == 0)
            add_code(f, 5000 + next_random(f, 900));
    }
    check(f, 0);
    assert_in_range(f->frame.size, 1, f->other.size * 3 / 4);
}

static void heads_and_tails_of_any_size_are_kept(void **state)
{
    struct fixture *f = *state;
    static const size_t heads[] = {0,
                                   1,
                                   3,
                                   4,
                                   7,
                                   1000,
                                   OTO_LINES_BLOCK_MAX - 1,
                                   OTO_LINES_BLOCK_MAX,
                                   OTO_LINES_BLOCK_MAX + 3,
                                   400001};
    for (size_t h = 0; h < sizeof heads / sizeof *heads; h++) {
        for (size_t tail = 0; tail < OTO_CODE_BYTES; tail++) {
            f->content.size = 0;
            for (size_t i = 0; i < heads[h]; i++) {
                uint8_t level = (uint8_t)(tail == 1 ? next_random(f, 256) : i % 5 ? 0xEF : i >> 13);
                add(f, &level, 1);
            }
            for (uint32_t i = 0; i < 70000 * (h % 2); i++)
                add_code(f, i % 3 ? i % 7 : i);
            add(f, "abc", tail);
            check(f, heads[h]);
        }
    }
    assert_int_equal(oto_compress_codes(f->codec, 1, oto_bytes("abcd", 4), 5, &f->frame, NULL),
                     OTO_INVALID);
    f->content.size = 0;
    check(f, 0);
}

static void any_codes_come_back(void **state)
{
    struct fixture *f = *state;
    for (int kind = 0; kind < 6; kind++) {
        f->content.size = 0;
        for (uint32_t i = 0; i < 100000; i++) {
            uint32_t any = next_random(f, UINT32_MAX);
            add_code(f, kind == 0   ? any
                        : kind == 1 ? 7
                        : kind == 2 ? i
                        : kind == 3 ? any >> 24
                        : kind == 4 ? (any & 1 ? i * 256 : any >> 12)
                                    : i % 1000 * 1000);
        }
        check(f, (size_t)kind);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(codes_of_rows_become_smaller_than_by_search, begin, end),
        cmocka_unit_test_setup_teardown(heads_and_tails_of_any_size_are_kept, begin, end),
        cmocka_unit_test_setup_teardown(any_codes_come_back, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
