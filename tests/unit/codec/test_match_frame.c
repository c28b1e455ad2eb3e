// Frames made of matches: the library's decoder has the content back, whatever the matches, and our
// own reader has too.
#include "codec/compress.h"
#include "codec/hex_frame.h"
#include "codec/match_frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
// clang-format off
#include <cmocka.h>
// clang-format on

#define CONTENT_MAX ((size_t)1 << 20)
#define BLOCK OTO_LINES_BLOCK_MAX

struct fixture {
    struct oto_codec *codec;
    struct oto_match_frame_work *work;
    struct oto_match_reader *reader;
    struct oto_buffer content, matches, frame, back;
    uint32_t literals; // since the last match
    size_t block;      // where it began
    uint32_t random;
};

static int begin(void **state)
{
    static struct fixture f;
    f = (struct fixture){.codec = oto_codec_new(&oto_allocator_heap), .random = 1};
    f.work = malloc(sizeof *f.work);
    f.reader = malloc(sizeof *f.reader);
    struct oto_buffer *buffers[] = {&f.content, &f.matches, &f.frame, &f.back};
    for (size_t i = 0; i < 4; i++)
        oto_buffer_init(buffers[i], &oto_allocator_heap, SIZE_MAX / 2);
    *state = &f;
    return !f.work || !f.reader;
}

static int end(void **state)
{
    struct fixture *f = *state;
    struct oto_buffer *buffers[] = {&f->content, &f->matches, &f->frame, &f->back};
    for (size_t i = 0; i < 4; i++)
        oto_buffer_release(buffers[i]);
    oto_codec_free(f->codec);
    free(f->work);
    free(f->reader);
    return 0;
}

static uint32_t next_random(struct fixture *f, uint32_t below)
{
    f->random = f->random * 1664525u + 1013904223u;
    return (uint32_t)((uint64_t)f->random * below >> 32);
}

static void clear(struct fixture *f)
{
    f->content.size = f->matches.size = f->literals = 0;
    f->block = 0;
}

static size_t room(const struct fixture *f)
{
    return BLOCK - (f->content.size - f->block);
}

static void add_literals(struct fixture *f, uint32_t count, uint32_t first, uint32_t kinds)
{
    count = count < room(f) ? count : (uint32_t)room(f);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(oto_buffer_append_byte(
                             &f->content, (uint8_t)(first + (kinds ? next_random(f, kinds) : 0))),
                         OTO_OK);
    f->literals += count;
}

static void put(struct fixture *f, uint32_t offset, uint32_t length)
{
    struct oto_lines_match match = {offset, f->literals, length, 0};
    assert_int_equal(oto_buffer_append(&f->matches, &match, sizeof match), OTO_OK);
    f->literals = 0;
}

static void add_match(struct fixture *f, uint32_t offset, uint32_t length)
{
    length = length < room(f) ? length : (uint32_t)room(f);
    if (length < 3 || offset > f->content.size)
        return;
    for (uint32_t i = 0; i < length; i++)
        assert_int_equal(
            oto_buffer_append_byte(&f->content, f->content.data[f->content.size - offset]), OTO_OK);
    put(f, offset, length);
}

static void end_block(struct fixture *f)
{
    put(f, 0, 0);
    f->block = f->content.size;
}

// Both the frame and what is read are exactly as large as they are, so that a byte too far is seen.
static void comes_back_by_our_reader(struct fixture *f)
{
    struct oto_buffer read;
    uint8_t *frame = malloc(f->frame.size);
    assert_non_null(frame);
    memcpy(frame, f->frame.data, f->frame.size);
    oto_buffer_init(&read, &oto_allocator_heap, f->content.size);
    assert_int_equal(oto_hex_frame_read(oto_bytes(frame, f->frame.size), f->reader, &read), OTO_OK);
    assert_true(oto_bytes_equal(oto_buffer_view(&read), oto_buffer_view(&f->content)));
    oto_buffer_release(&read);
    free(frame);
}

static void comes_back(struct fixture *f)
{
    struct oto_error err;
    oto_error_init(&err);
    f->frame.size = f->back.size = 0;
    // Exactly as large as it is, so that a byte read behind it is seen.
    uint8_t *exact = malloc(f->content.size + !f->content.size);
    assert_non_null(exact);
    if (f->content.size)
        memcpy(exact, f->content.data, f->content.size);
    assert_int_equal(oto_match_frame(oto_bytes(exact, f->content.size), (void *)f->matches.data,
                                     f->matches.size / sizeof(struct oto_lines_match), f->work,
                                     &f->frame),
                     OTO_OK);
    assert_int_equal(
        oto_decompress(f->codec, OTO_COMPRESSION_ZSTD, oto_buffer_view(&f->frame), &f->back, &err),
        OTO_OK);
    assert_true(oto_bytes_equal(oto_buffer_view(&f->back), oto_bytes(exact, f->content.size)));
    comes_back_by_our_reader(f);
    assert_true(f->frame.size <= f->content.size + 16 + f->content.size / 1000);
    free(exact);
}

// Numbers of literals and lengths around all borders of codes.
static void lengths_of_all_codes(void **state)
{
    struct fixture *f = *state;
    add_literals(f, 100, 'a', 26);
    for (uint32_t bits = 0; bits < 17; bits++)
        for (uint32_t around = 0; around < 9; around++) {
            uint32_t size = (1u << bits) + around;
            if (size * 2 + 100 > room(f))
                end_block(f);
            add_literals(f, size - (around & 1), 'a', 26);
            add_match(f, 1 + next_random(f, (uint32_t)f->content.size), size + around);
        }
    end_block(f);
    comes_back(f);
    for (uint32_t size = BLOCK - 9; size <= BLOCK; size++) { // one match is the block
        clear(f);
        add_literals(f, BLOCK, 'a', 26);
        end_block(f);
        add_match(f, 1000, size);
        add_literals(f, BLOCK - size, 'a', 3);
        end_block(f);
        comes_back(f);
    }
}

static void literals_of_all_kinds_and_counts(void **state)
{
    static const uint32_t counts[] = {0,     1,     31,    32,        63,   64,   65,
                                      66,    67,    255,   256,       1000, 4095, 4096,
                                      10000, 65535, 70000, BLOCK - 1, BLOCK};
    struct fixture *f = *state;
    for (uint32_t kinds = 1; kinds <= 256; kinds += 1 + kinds / 2)
        for (uint32_t first = 0; first + kinds <= 256; first += 1 + 255 - kinds)
            for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
                clear(f);
                add_literals(f, counts[i], first, kinds);
                end_block(f);
                comes_back(f);
            }
}

// Counts that double make codes longer than the format allows; those of bytes above 127 are
// described in another way.
static void codes_that_would_be_too_long(void **state)
{
    struct fixture *f = *state;
    for (unsigned first = 0; first < 256; first += 47)
        for (unsigned rare = 1; rare < 200; rare += 33) {
            clear(f);
            for (unsigned i = 0; i < 16; i++)
                add_literals(f, 1u << i, first + i, 0);
            for (unsigned i = 0; i < rare; i++)
                add_literals(f, 1, first + 16 + i, 0);
            end_block(f);
            comes_back(f);
            assert_true(f->frame.size < f->content.size / 2);
        }
}

static void matches_at_random(void **state)
{
    struct fixture *f = *state;
    for (int round = 0; round < 60; round++) {
        uint32_t kinds = 1 + next_random(f, 255), distances = 1u << next_random(f, 18);
        uint32_t longest = 4u << next_random(f, 8), offset = 1;
        clear(f);
        while (f->content.size < 300000) {
            if (room(f) < 2 * longest + 10 || !next_random(f, 3000))
                end_block(f);
            add_literals(f, next_random(f, 4) ? next_random(f, longest) : 0, 0, kinds);
            if (next_random(f, 3)) // others: the one before, or the one before that by chance
                offset = 1 + next_random(f, distances);
            else if (!next_random(f, 4) && offset > 1)
                offset--;
            add_match(f, offset, 3 + next_random(f, longest));
        }
        end_block(f);
        comes_back(f);
    }
}

static void a_block_that_stays_as_it_is_changes_no_offset(void **state)
{
    struct fixture *f = *state;
    add_literals(f, 1000, 'a', 5);
    add_match(f, 500, 100);
    add_match(f, 300, 100);
    end_block(f);
    add_literals(f, 50000, 0, 256);
    add_match(f, 700, 3);
    add_literals(f, 5, 0, 256);
    end_block(f);
    add_literals(f, 3, 'a', 5);
    for (int i = 0; i < 20; i++) {
        add_match(f, i & 1 ? 700 : 300, 100);
        add_literals(f, (uint32_t)i % 3, 'a', 5);
    }
    end_block(f);
    comes_back(f);
}

static void nothing_and_empty_blocks(void **state)
{
    struct fixture *f = *state;
    end_block(f);
    comes_back(f);
    clear(f);
    end_block(f);
    add_literals(f, 100, 'a', 3);
    end_block(f);
    end_block(f);
    comes_back(f);
}

static void matches_that_are_not_the_content_are_refused(void **state)
{
    struct fixture *f = *state;
    add_literals(f, 100, 'a', 26);
    add_match(f, 10, 50);
    end_block(f);
    struct oto_lines_match *match = (void *)f->matches.data, good[2];
    memcpy(good, match, sizeof good);
    struct oto_bytes content = oto_buffer_view(&f->content);
    struct oto_lines_match bad[][2] = {
        {{10, 100, 51, 0}, {0, 0, 0, 0}},        {{10, 101, 50, 0}, {0, 0, 0, 0}},
        {{10, 100, 49, 0}, {0, 0, 0, 0}},        {{10, 100, 50, 0}, {0, 1, 0, 0}},
        {{10, 100, 2, 0}, {0, 48, 0, 0}},        {{10, 100, 50, 0}, {10, 0, 0, 0}},
        {{10, UINT32_MAX, 50, 0}, {0, 0, 0, 0}}, {{10, 100, UINT32_MAX, 0}, {0, 0, 0, 0}},
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_int_equal(oto_match_frame(content, bad[i], 2, f->work, &f->frame), OTO_INVALID);
        assert_int_equal(f->frame.size, 0);
    }
    assert_int_equal(oto_match_frame(content, good, 0, f->work, &f->frame), OTO_INVALID);
    assert_int_equal(oto_match_frame(content, good, 2, f->work, &f->frame), OTO_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(lengths_of_all_codes, begin, end),
        cmocka_unit_test_setup_teardown(literals_of_all_kinds_and_counts, begin, end),
        cmocka_unit_test_setup_teardown(codes_that_would_be_too_long, begin, end),
        cmocka_unit_test_setup_teardown(matches_at_random, begin, end),
        cmocka_unit_test_setup_teardown(a_block_that_stays_as_it_is_changes_no_offset, begin, end),
        cmocka_unit_test_setup_teardown(nothing_and_empty_blocks, begin, end),
        cmocka_unit_test_setup_teardown(matches_that_are_not_the_content_are_refused, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
