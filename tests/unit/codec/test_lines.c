#include "frame_fixture.h"

#define LINES 20000

static struct {
    int32_t sizes[LINES];
    size_t count, head_size;
} added;

static int begin_lines(void **state)
{
    added.count = added.head_size = 0;
    return begin(state);
}

static void add_line(struct fixture *f, const char *text, size_t size)
{
    add(f, text, size);
    added.sizes[added.count++] = (int32_t)size;
}

// A number of any width up to so many digits.
static uint32_t some_number(struct fixture *f, unsigned digits)
{
    uint32_t below = 10;
    for (unsigned i = next_random(f, digits); i; i--)
        below *= 10;
    return next_random(f, below);
}

static int print_log_line(struct fixture *f, char *text, size_t room)
{
    uint32_t large = some_number(f, 7), small = some_number(f, 3), tiny = some_number(f, 2);
    switch (next_random(f, 6)) {
    case 0:
        return snprintf(text, room, "order %u accepted in %u ms after %u attempts", large, small,
                        tiny);
    case 1:
        return snprintf(text, room,
                        "session %u of customer %u has ended, and what it held was given back "
                        "within %u ms",
                        large, large / 3, small);
    case 2:
        return snprintf(text, room, "%u of %u bytes written (%u left)", small, large, tiny);
    case 3:
        return snprintf(text, room, "cache miss %u", small);
    case 4:
        return snprintf(text, room, "%u%u%u", small, large, tiny);
    default:
        return snprintf(text, room, "slept");
    }
}

static void add_log_line(struct fixture *f)
{
    char text[200];
    add_line(f, text, (size_t)print_log_line(f, text, sizeof text));
}

// Compresses the lines, with their sizes beside or before them, and has them back; how their
// matches were found.
static enum oto_text_method comes_back(struct fixture *f, int is_prefixed)
{
    struct oto_lines lines = {added.head_size, is_prefixed ? NULL : added.sizes, added.count};
    return text_comes_back(f, &lines, OTO_TEXT_NEW);
}

static void log_lines_become_smaller_than_by_search(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < LINES; i++)
        add_log_line(f);
    assert_int_equal(comes_back(f, 0), OTO_TEXT_LINES);
    assert_true(f->frame.size < f->other.size);
}

static void what_stands_before_the_lines_is_kept(void **state)
{
    struct fixture *f = *state;
    static const size_t heads[] = {1, 5000, OTO_LINES_BLOCK_MAX, OTO_LINES_BLOCK_MAX * 2 + 1};
    for (size_t i = 0; i < sizeof heads / sizeof *heads; i++) {
        f->content.size = added.count = 0;
        added.head_size = heads[i];
        for (size_t k = 0; k < heads[i]; k++)
            assert_int_equal(oto_buffer_append_byte(&f->content, (uint8_t)next_random(f, 256)),
                             OTO_OK);
        for (int k = 0; k < 5000; k++)
            add_log_line(f);
        assert_int_equal(comes_back(f, 0), OTO_TEXT_LINES);
    }
}

static void lines_after_their_sizes(void **state)
{
    struct fixture *f = *state;
    for (int i = 0; i < 5000; i++) {
        char text[100];
        int size = snprintf(text, sizeof text, "/api/v1/orders/%u/events", some_number(f, 7));
        assert_int_equal(oto_buffer_reserve(&f->content, 4), OTO_OK);
        oto_store32(f->content.data + f->content.size, (uint32_t)size);
        f->content.size += 4;
        add_line(f, text, (size_t)size);
    }
    assert_int_equal(comes_back(f, 1), OTO_TEXT_LINES);
    assert_true(f->frame.size < f->other.size);
    add(f, "and a rest", 10);
    assert_int_equal(comes_back(f, 1), OTO_TEXT_LINES);
}

// All lengths around words and blocks; digits at the ends; nothing at all.
static void lines_of_all_sizes(void **state)
{
    struct fixture *f = *state;
    static char text[70000];
    for (size_t i = 0; i < sizeof text; i++)
        text[i] = i % 37 < 30 ? (char)('a' + i % 37 % 26) : '1';
    for (int i = 0; i < 3000; i++)
        add_line(f, text + i % 3, (size_t)(i % 70));
    for (int i = 0; i < 40; i++)
        add_line(f, text, 60000 + (size_t)i);
    assert_int_equal(comes_back(f, 0), OTO_TEXT_LINES);
    add_line(f, text, sizeof text); // too long for one line of a block: searched as always
    assert_int_equal(comes_back(f, 0), OTO_TEXT_SEARCH);
}

static void unlike_lines_have_no_matches_by_line(void **state)
{
    struct fixture *f = *state;
    char text[64];
    for (int i = 0; i < LINES; i++) {
        for (size_t k = 0; k < sizeof text; k++)
            text[k] = (char)('a' + next_random(f, 26));
        add_line(f, text, sizeof text);
    }
    assert_int_not_equal(comes_back(f, 0), OTO_TEXT_LINES);
    f->content.size = added.count = 0;
    for (int i = 0; i < 100; i++) // alike, but few
        add_log_line(f);
    assert_int_equal(comes_back(f, 0), OTO_TEXT_SEARCH);
}

static void lines_that_are_not_the_content_are_refused(void **state)
{
    struct fixture *f = *state;
    struct oto_error err;
    enum oto_text_method method = OTO_TEXT_NEW;
    for (int i = 0; i < 1000; i++)
        add_log_line(f);
    added.sizes[999]++;
    struct oto_lines longer = {0, added.sizes, added.count};
    oto_error_init(&err);
    assert_int_equal(oto_compress_text(f->codec, 1, oto_buffer_view(&f->content), &longer, &method,
                                       &f->frame, &err),
                     OTO_INVALID);
    assert_int_equal(f->frame.size, 0);
    struct oto_lines lines = {f->content.size + 1, added.sizes, added.count};
    assert_int_equal(oto_compress_text(f->codec, 1, oto_buffer_view(&f->content), &lines, &method,
                                       &f->frame, &err),
                     OTO_INVALID);
}

static void bytes_are_compared_without_vectors(void **state)
{
    struct fixture *f = *state;
    uint8_t a[64], b[64];
    for (int round = 0; round < 1000; round++) {
        uint64_t equal = 0, others = 0;
        for (size_t i = 0; i < sizeof a; i++) {
            a[i] = (uint8_t)(next_random(f, 2) ? next_random(f, 256) : '/' + next_random(f, 12));
            b[i] = (uint8_t)(a[i] ^ (next_random(f, 2) ? 0 : 1u << next_random(f, 8)));
            equal |= (uint64_t)(a[i] == b[i]) << i;
            others |= (uint64_t)(a[i] < '0' || a[i] > '9') << i;
        }
        struct oto_lines_masks masks = oto_lines_compare_plain(a, b);
        assert_true(masks.equal == equal && masks.no_digits == others);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(log_lines_become_smaller_than_by_search, begin_lines, end),
        cmocka_unit_test_setup_teardown(what_stands_before_the_lines_is_kept, begin_lines, end),
        cmocka_unit_test_setup_teardown(lines_after_their_sizes, begin_lines, end),
        cmocka_unit_test_setup_teardown(lines_of_all_sizes, begin_lines, end),
        cmocka_unit_test_setup_teardown(unlike_lines_have_no_matches_by_line, begin_lines, end),
        cmocka_unit_test_setup_teardown(bytes_are_compared_without_vectors, begin_lines, end),
        cmocka_unit_test_setup_teardown(lines_that_are_not_the_content_are_refused, begin_lines,
                                        end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
