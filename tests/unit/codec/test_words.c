// Words as matches: what they are, and that every content comes back from the frames made of them.
#include "frame_fixture.h"

// Words that are known and numbers that are not, in no order.
static void add_words(struct fixture *f, size_t size)
{
    static const char *const words[] = {
        "amber ",  "basin ", "cedar ",  "oak-",    "lagoon, ", "an ",     "orchard:", "été ",
        "\"id\":", "ember ", "fjord ",  "glade ",  "haven ",   "inlet ",  "jetty ",   "knoll ",
        "meadow ", "ridge ", "nectar ", "quarry ", "summit ",  "timber ", "upland ",  "valley ",
        "willow ", "the ",   "yonder ", "zephyr ", "beacon ",  "canyon ", "dune ",    "marsh "};
    size_t until = f->content.size + size;
    while (f->content.size < until) {
        char number[16];
        snprintf(number, sizeof number, "%08x ", next_random(f, UINT32_MAX));
        const char *text = next_random(f, 3) ? words[next_random(f, 32)] : number;
        add(f, text, strlen(text));
    }
    f->content.size = until;
}

// The matches tell the content when they are followed.
static void matches_hold(struct fixture *f)
{
    static struct oto_words_table table;
    struct oto_buffer matches;
    size_t done = 0, block = 0;
    oto_buffer_init(&matches, &oto_allocator_heap, SIZE_MAX / 2);
    // Exactly as large as it is, so that a byte read behind it is seen.
    uint8_t *exact = malloc(f->content.size + !f->content.size);
    assert_non_null(exact);
    if (f->content.size)
        memcpy(exact, f->content.data, f->content.size);
    assert_int_equal(oto_words_match(oto_bytes(exact, f->content.size), &table, &matches), OTO_OK);
    const struct oto_lines_match *match = (const void *)matches.data;
    for (size_t count = matches.size / sizeof *match; count; count--, match++) {
        done += match->literals;
        assert_true(done <= f->content.size);
        assert_true(match->offset ? match->length >= 4 : !match->length);
        assert_true(match->offset <= done && match->length <= f->content.size - done);
        for (size_t i = 0; i < match->length; i++)
            assert_int_equal(exact[done + i], exact[done + i - match->offset]);
        done += match->length;
        if (!match->offset) {
            assert_true(done - block <= OTO_LINES_BLOCK_MAX);
            block = done;
        }
    }
    assert_int_equal(done, f->content.size);
    assert_int_equal(block, done);
    free(exact);
    oto_buffer_release(&matches);
}

static enum oto_text_method comes_back(struct fixture *f, enum oto_text_method method)
{
    matches_hold(f);
    return text_comes_back(f, &(struct oto_lines){0}, method);
}

static void words_become_smaller_than_by_search(void **state)
{
    struct fixture *f = *state;
    add_words(f, 1 << 20);
    assert_int_equal(comes_back(f, OTO_TEXT_NEW), OTO_TEXT_WORDS);
    assert_true(f->frame.size < f->other.size);
}

static void texts_of_all_sizes(void **state)
{
    struct fixture *f = *state;
    for (size_t size = 0; size < 1200; size += 1 + size / 7) {
        f->content.size = 0;
        add_words(f, size);
        comes_back(f, OTO_TEXT_WORDS);
    }
    for (int around = -1; around <= 1; around++) {
        f->content.size = 0;
        add_words(f, OTO_LINES_BLOCK_MAX * 2 + (size_t)(300 + around));
        comes_back(f, OTO_TEXT_WORDS);
        f->content.size = OTO_LINES_BLOCK_MAX + (size_t)(1 + around);
        comes_back(f, OTO_TEXT_WORDS);
    }
}

// One long word; no word; the same over and over; a long text twice.
static void texts_of_other_kinds(void **state)
{
    struct fixture *f = *state;
    const char *const pieces[] = {"a", ".", "words ", "ab ", "three words more, "};
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        f->content.size = 0;
        while (f->content.size < 300000)
            add(f, pieces[i], strlen(pieces[i]));
        comes_back(f, OTO_TEXT_WORDS);
    }
    f->content.size = 0;
    add_words(f, 50000);
    size_t once = f->content.size;
    assert_int_equal(oto_buffer_reserve(&f->content, once), OTO_OK);
    memcpy(f->content.data + once, f->content.data, once);
    f->content.size += once;
    comes_back(f, OTO_TEXT_WORDS);
    assert_true(f->frame.size < f->other.size * 11 / 10);
}

static void text_without_words_is_searched(void **state)
{
    struct fixture *f = *state;
    uint8_t piece[40];
    for (size_t i = 0; i < sizeof piece; i++)
        piece[i] = (uint8_t)next_random(f, '0');
    while (f->content.size < 1 << 20) {
        piece[next_random(f, sizeof piece)] = (uint8_t)next_random(f, '0');
        add(f, piece, sizeof piece);
    }
    assert_int_equal(comes_back(f, OTO_TEXT_NEW), OTO_TEXT_SEARCH);
    f->content.size = 0;
    add_words(f, 1000); // too little to try
    assert_int_equal(comes_back(f, OTO_TEXT_NEW), OTO_TEXT_SEARCH);
}

static void words_are_told_without_vectors(void **state)
{
    struct fixture *f = *state;
    uint8_t bytes[64];
    for (int round = 0; round < 1000; round++) {
        uint64_t expected = 0;
        for (size_t i = 0; i < sizeof bytes; i++) {
            uint8_t c = bytes[i] = (uint8_t)next_random(f, 256);
            int is_word = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
                          (c >= 'A' && c <= 'Z') || c >= 0x80;
            expected |= (uint64_t)is_word << i;
        }
        assert_true(oto_words_mask_plain(bytes) == expected);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(words_become_smaller_than_by_search, begin, end),
        cmocka_unit_test_setup_teardown(texts_of_all_sizes, begin, end),
        cmocka_unit_test_setup_teardown(texts_of_other_kinds, begin, end),
        cmocka_unit_test_setup_teardown(text_without_words_is_searched, begin, end),
        cmocka_unit_test_setup_teardown(words_are_told_without_vectors, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
