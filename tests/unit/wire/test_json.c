#include "wire/json.h"
#include "wire/json_scan.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define BYTES OTO_BYTES_LITERAL

// Reads a whole document, in memory of its own size so that a sanitizer sees a read past its end.
static enum oto_status check(struct oto_bytes document, const char **ret_problem)
{
    uint8_t *copy = malloc(document.size ? document.size : 1);
    assert_non_null(copy);
    memcpy(copy, document.data, document.size);
    struct oto_json_reader r;
    oto_json_reader_init(&r, oto_bytes(copy, document.size), 100);
    enum oto_status status = oto_json_skip(&r);
    if (status == OTO_OK)
        status = oto_json_finish(&r);
    assert_true(r.at >= r.start && r.at <= r.end);
    assert_true(status == OTO_OK || r.problem);
    *ret_problem = r.problem;
    free(copy);
    return status;
}

#define DOCUMENT(text)                                                                             \
    {                                                                                              \
        text, sizeof(text) - 1                                                                     \
    }
static const struct {
    const char *text;
    size_t size;
} legal[] = {
    DOCUMENT("{}"),
    DOCUMENT("[]"),
    DOCUMENT("0"),
    DOCUMENT("-0"),
    DOCUMENT("\"\""),
    DOCUMENT("true"),
    DOCUMENT("false"),
    DOCUMENT("null"),
    DOCUMENT(" \t\r\n[ ]\n"),
    DOCUMENT("[1,2]"),
    DOCUMENT("[1 , 2 ]"),
    DOCUMENT("{\"a\":1}"),
    DOCUMENT("{ \"a\" : 1 , \"b\" : [ ] }"),
    DOCUMENT("{\"\":0}"),
    DOCUMENT("{\"a\":1,\"a\":2}"),
    DOCUMENT("[[[[]],[]],{}]"),
    DOCUMENT("{\"a\":{\"b\":[{\"c\":null}]}}"),
    DOCUMENT("123"),
    DOCUMENT("-1"),
    DOCUMENT("1.5"),
    DOCUMENT("0.1"),
    DOCUMENT("-0.0"),
    DOCUMENT("1e5"),
    DOCUMENT("1E+5"),
    DOCUMENT("1e-05"),
    DOCUMENT("1.25e00"),
    DOCUMENT("0e0"),
    DOCUMENT("1e400"),
    DOCUMENT("123456789012345678901234567890"),
    DOCUMENT("\"\\\"\\\\\\/\\b\\f\\n\\r\\t\""),
    DOCUMENT("\"\\u0000\\u001F\\uaBcD\""),
    DOCUMENT("\"\\ud834\\udd1e\""),
    DOCUMENT("\"\\ud800\""),
    DOCUMENT("\"\\udc00\\ud800\""),
    DOCUMENT("\"\xC3\xA9\xE2\x98\x83\xF0\x9D\x84\x9E\""),
    DOCUMENT("\"\x7F\""),
    DOCUMENT("\"\xEF\xBF\xBF\xF4\x8F\xBF\xBF\""),
    DOCUMENT("\"/* no comment */ ,]}\""),
    DOCUMENT("\"0123456789abcde\\\"0123456789abcdef\\\\\""),
};
static const struct {
    const char *text;
    size_t size;
} illegal[] = {
    DOCUMENT(""),
    DOCUMENT(" "),
    DOCUMENT("{"),
    DOCUMENT("}"),
    DOCUMENT("["),
    DOCUMENT("]"),
    DOCUMENT("[1"),
    DOCUMENT("[1,"),
    DOCUMENT("[1,]"),
    DOCUMENT("[,1]"),
    DOCUMENT("[1,,2]"),
    DOCUMENT("[1 2]"),
    DOCUMENT("[1;2]"),
    DOCUMENT("{\"a\":1;\"b\":2}"),
    DOCUMENT("[1}"),
    DOCUMENT("[,]"),
    DOCUMENT("[1]]"),
    DOCUMENT("[1],"),
    DOCUMENT("[]x"),
    DOCUMENT("1 2"),
    DOCUMENT("{,}"),
    DOCUMENT("{\"a\"}"),
    DOCUMENT("{\"a\":}"),
    DOCUMENT("{\"a\":1,}"),
    DOCUMENT("{\"a\" 1}"),
    DOCUMENT("{\"a\":1 \"b\":2}"),
    DOCUMENT("{\"a\":1]"),
    DOCUMENT("{a:1}"),
    DOCUMENT("{'a':1}"),
    DOCUMENT("{1:1}"),
    DOCUMENT("{null:1}"),
    DOCUMENT("{\"a\"::1}"),
    DOCUMENT("{\"a\":1:2}"),
    DOCUMENT("{[]:1}"),
    DOCUMENT("01"),
    DOCUMENT("-01"),
    DOCUMENT("00"),
    DOCUMENT("+1"),
    DOCUMENT("-"),
    DOCUMENT("--1"),
    DOCUMENT("1."),
    DOCUMENT(".5"),
    DOCUMENT("-.5"),
    DOCUMENT("1.e5"),
    DOCUMENT("1e"),
    DOCUMENT("1e+"),
    DOCUMENT("1ee5"),
    DOCUMENT("1e5.5"),
    DOCUMENT("0x1"),
    DOCUMENT("1_000"),
    DOCUMENT("NaN"),
    DOCUMENT("Infinity"),
    DOCUMENT("-Infinity"),
    DOCUMENT("tru"),
    DOCUMENT("True"),
    DOCUMENT("truex"),
    DOCUMENT("nul"),
    DOCUMENT("nulll"),
    DOCUMENT("fals"),
    DOCUMENT("undefined"),
    DOCUMENT("\""),
    DOCUMENT("\"a"),
    DOCUMENT("\"\\"),
    DOCUMENT("\"\\\""),
    DOCUMENT("\"\\x41\""),
    DOCUMENT("\"\\'\""),
    DOCUMENT("\"\\u\""),
    DOCUMENT("\"\\u12\""),
    DOCUMENT("\"\\u12g4\""),
    DOCUMENT("\"\\U0041\""),
    DOCUMENT("\"\\u+123\""),
    DOCUMENT("\"\\ \""),
    DOCUMENT("\"\n\""),
    DOCUMENT("\"\t\""),
    DOCUMENT("\"\0\""),
    DOCUMENT("\"0123456789abcdef0123456789\x1F\""),
    DOCUMENT("'a'"),
    DOCUMENT("\"\x80\""),
    DOCUMENT("\"\xC3\""),
    DOCUMENT("\"\xC0\xAF\""),
    DOCUMENT("\"\xED\xA0\x80\""),
    DOCUMENT("\"\xF4\x90\x80\x80\""),
    DOCUMENT("\"\xFF\""),
    DOCUMENT("\"0123456789abcdef\xE2\x98\""),
    DOCUMENT("\xEF\xBB\xBF[]"),
    DOCUMENT("[\xC2\xA0]"),
    DOCUMENT("[\f]"),
    DOCUMENT("[\v]"),
    DOCUMENT("[1]//c"),
    DOCUMENT("[/*c*/1]"),
    DOCUMENT("#\n1"),
    DOCUMENT("[\0]"),
    DOCUMENT("1\0"),
    DOCUMENT("[1]\0"),
    DOCUMENT("<null>"),
    DOCUMENT("*"),
    DOCUMENT("{\"\xFF\":1}"),
    DOCUMENT("{\"\\q\":1}"),
};

static void test_accepts_what_the_grammar_has(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++) {
        const char *problem;
        if (check(oto_bytes(legal[i].text, legal[i].size), &problem) != OTO_OK)
            fail_msg("%s: %s", legal[i].text, problem);
    }
}

static void test_refuses_what_the_grammar_lacks(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof illegal / sizeof illegal[0]; i++) {
        const char *problem;
        if (check(oto_bytes(illegal[i].text, illegal[i].size), &problem) != OTO_INVALID)
            fail_msg("accepted: %s", illegal[i].text);
    }
}

static void test_refuses_each_legal_container_cut_short(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof legal / sizeof legal[0]; i++) {
        char first = legal[i].text[0];
        if (first != '{' && first != '[' && first != '"')
            continue;
        for (size_t size = 0; size < legal[i].size; size++) {
            const char *problem;
            assert_int_equal(check(oto_bytes(legal[i].text, size), &problem), OTO_INVALID);
        }
    }
}

static void test_depth_is_limited_without_recursion(void **state)
{
    (void)state;
    enum { SIZE = 200000 };
    char *text = malloc(SIZE);
    const char *problem;
    assert_non_null(text);
    memset(text, '[', SIZE);
    assert_int_equal(check(oto_bytes(text, SIZE), &problem), OTO_TOO_LARGE);
    memset(text + 100, ']', 100);
    assert_int_equal(check(oto_bytes(text, 200), &problem), OTO_OK);
    memset(text, '[', 101);
    memset(text + 101, ']', 101);
    assert_int_equal(check(oto_bytes(text, 202), &problem), OTO_TOO_LARGE);
    for (size_t i = 0; i + 5 <= SIZE; i += 5)
        memcpy(text + i, "{\"a\":", 5);
    assert_int_equal(check(oto_bytes(text, SIZE), &problem), OTO_TOO_LARGE);
    free(text);
}

static void test_pulls_the_members_of_a_document(void **state)
{
    (void)state;
    struct oto_json_reader r;
    struct oto_json_string name, string;
    struct oto_bytes number;
    oto_json_reader_init(
        &r, BYTES(" {\"a\" : [1, {}, -2.5e3] , \"b\\n\":\"x\", \"skipped\":[[{}]]} "), 8);
    assert_int_equal(oto_json_peek(&r), '{');
    assert_int_equal(oto_json_enter(&r), OTO_OK);
    assert_int_equal(oto_json_member(&r), OTO_OK);
    assert_int_equal(oto_json_name(&r, &name), OTO_OK);
    assert_true(oto_bytes_equal_text(name.raw, "a"));
    assert_int_equal(oto_json_peek(&r), '[');
    assert_int_equal(oto_json_enter(&r), OTO_OK);
    assert_int_equal(oto_json_element(&r), OTO_OK);
    assert_int_equal(oto_json_number(&r, &number), OTO_OK);
    assert_true(oto_bytes_equal_text(number, "1"));
    assert_int_equal(oto_json_element(&r), OTO_OK);
    assert_int_equal(oto_json_peek(&r), '{');
    assert_int_equal(oto_json_enter(&r), OTO_OK);
    assert_int_equal(oto_json_member(&r), OTO_END);
    assert_int_equal(oto_json_element(&r), OTO_OK);
    assert_int_equal(oto_json_peek(&r), '-');
    assert_int_equal(oto_json_number(&r, &number), OTO_OK);
    assert_true(oto_bytes_equal_text(number, "-2.5e3"));
    assert_int_equal(oto_json_element(&r), OTO_END);
    assert_int_equal(oto_json_member(&r), OTO_OK);
    assert_int_equal(oto_json_name(&r, &name), OTO_OK);
    assert_true(name.escaped);
    assert_int_equal(oto_json_peek(&r), '"');
    assert_int_equal(oto_json_string(&r, &string), OTO_OK);
    assert_false(string.escaped);
    assert_true(oto_bytes_equal_text(string.raw, "x"));
    assert_int_equal(oto_json_member(&r), OTO_OK);
    assert_int_equal(oto_json_name(&r, &name), OTO_OK);
    assert_int_equal(oto_json_skip(&r), OTO_OK);
    assert_int_equal(oto_json_member(&r), OTO_END);
    assert_int_equal(r.depth, 0);
    assert_int_equal(oto_json_finish(&r), OTO_OK);
}

static void test_unescape(void **state)
{
    (void)state;
    static const struct {
        const char *raw;
        const char *plain;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"\\\"\\\\\\/\\b\\f\\n\\r\\t", "\"\\/\b\f\n\r\t"},
        {"a\\u0041\\u00e9\\u2603z", "aA\xC3\xA9\xE2\x98\x83z"},
        {"\\uD834\\uDD1E", "\xF0\x9D\x84\x9E"},
        {"\\udbff\\udfff", "\xF4\x8F\xBF\xBF"},
        {"\\ud800", "\xEF\xBF\xBD"},
        {"\\ud800x", "\xEF\xBF\xBDx"},
        {"\\ud800\\u0041", "\xEF\xBF\xBD"
                           "A"},
        {"\\ud800\\ud834\\udd1e", "\xEF\xBF\xBD\xF0\x9D\x84\x9E"},
        {"\\udc00\\ud800", "\xEF\xBF\xBD\xEF\xBF\xBD"},
        {"\\ud800\\n", "\xEF\xBF\xBD\n"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint8_t output[64];
        struct oto_bytes raw = oto_bytes_text(cases[i].raw);
        size_t size = oto_json_unescape(raw, output);
        assert_true(size <= raw.size);
        assert_true(oto_bytes_equal_text(oto_bytes(output, size), cases[i].plain));
    }
    uint8_t nul[6];
    assert_int_equal(oto_json_unescape(BYTES("\\u0000"), nul), 1);
    assert_int_equal(nul[0], 0);
}

static void test_integers_are_read_exactly(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } signed_cases[] = {
        {"0", 0},
        {"-0", 0},
        {"-0.0e9", 0},
        {"1.0", 1},
        {"1e3", 1000},
        {"1.50e1", 15},
        {"1500e-2", 15},
        {"0.00012e5", 12},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
        {"9.223372036854775807e18", INT64_MAX},
        {"9007199254740993", 9007199254740993},
        {"0e99999999999999999999", 0},
        {"100000000000000000000000e-23", 1},
    };
    static const struct {
        const char *text;
        enum oto_status status;
    } refused[] = {
        {"", OTO_INVALID},
        {"-", OTO_INVALID},
        {"1.5", OTO_INVALID},
        {"1e-1", OTO_INVALID},
        {"01", OTO_INVALID},
        {"1 ", OTO_INVALID},
        {" 1", OTO_INVALID},
        {"+1", OTO_INVALID},
        {"0x1", OTO_INVALID},
        {"NaN", OTO_INVALID},
        {"9223372036854775808", OTO_TOO_LARGE},
        {"-9223372036854775809", OTO_TOO_LARGE},
        {"1e19", OTO_TOO_LARGE},
        {"1e99999999999999999999", OTO_TOO_LARGE},
        {"1e-99999999999999999999", OTO_INVALID},
        {"123456789012345678901234567890", OTO_TOO_LARGE},
        {"0.123456789012345678901234567890", OTO_INVALID},
    };
    for (size_t i = 0; i < sizeof signed_cases / sizeof signed_cases[0]; i++) {
        int64_t value = 42;
        assert_int_equal(oto_json_to_i64(oto_bytes_text(signed_cases[i].text), &value), OTO_OK);
        assert_true(value == signed_cases[i].value);
    }
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        int64_t value = 42;
        assert_int_equal(oto_json_to_i64(oto_bytes_text(refused[i].text), &value),
                         refused[i].status);
        assert_true(value == 42);
    }
    uint64_t large;
    assert_int_equal(oto_json_to_u64(BYTES("18446744073709551615"), &large), OTO_OK);
    assert_true(large == UINT64_MAX);
    assert_int_equal(oto_json_to_u64(BYTES("1844674407370955161.5e1"), &large), OTO_OK);
    assert_true(large == UINT64_MAX);
    assert_int_equal(oto_json_to_u64(BYTES("18446744073709551616"), &large), OTO_TOO_LARGE);
    assert_int_equal(oto_json_to_u64(BYTES("-1"), &large), OTO_TOO_LARGE);
    assert_int_equal(oto_json_to_u64(BYTES("-0"), &large), OTO_OK);
    assert_true(large == 0);
}

static void test_position_counts_lines_and_columns(void **state)
{
    (void)state;
    uint32_t line, column;
    struct oto_bytes text = BYTES("ab\ncd\n\nef");
    static const uint32_t expected[][2] = {{1, 1}, {1, 2}, {1, 3}, {2, 1}, {2, 2},
                                           {2, 3}, {3, 1}, {4, 1}, {4, 2}, {4, 3}};
    for (size_t i = 0; i <= text.size; i++) {
        oto_json_position(text, i, &line, &column);
        assert_int_equal(line, expected[i][0]);
        assert_int_equal(column, expected[i][1]);
    }
}

static void test_writer_puts_commas_and_escapes(void **state)
{
    (void)state;
    struct oto_buffer output;
    struct oto_json_writer w;
    oto_buffer_init(&output, &oto_allocator_heap, 4096);
    oto_json_writer_init(&w, &output);
    oto_json_object_begin(&w);
    oto_json_write_name(&w, BYTES("a\"b"));
    oto_json_array_begin(&w);
    oto_json_write_i64(&w, INT64_MIN);
    oto_json_write_u64_text(&w, UINT64_MAX);
    oto_json_write_double(&w, 0.5);
    oto_json_write_double(&w, -INFINITY);
    oto_json_array_begin(&w);
    oto_json_array_end(&w);
    oto_json_object_begin(&w);
    oto_json_object_end(&w);
    oto_json_array_end(&w);
    oto_json_write_name(&w, BYTES("b"));
    oto_json_write_string(&w, BYTES("\x00\x1F\t\n\r\\\"/\x7F\xC3\xA9\xFF"));
    oto_json_write_name(&w, BYTES("c"));
    oto_json_write_hex(&w, BYTES("\x01\xAB"));
    oto_json_write_name(&w, BYTES("d"));
    oto_json_write_base64(&w, BYTES("\xFF\xFE\xFD\xFC"));
    oto_json_write_name(&w, BYTES("e"));
    oto_json_write_bool(&w, 1);
    oto_json_write_name(&w, BYTES("f"));
    oto_json_write_null(&w);
    oto_json_object_end(&w);
    assert_int_equal(w.status, OTO_OK);
    static const char expected[] =
        "{\"a\\\"b\":[-9223372036854775808,\"18446744073709551615\",0.5,\"-Infinity\",[],{}],"
        "\"b\":\"\\u0000\\u001f\\t\\n\\r\\\\\\\"/"
        "\x7F\xC3\xA9\xEF\xBF\xBD\",\"c\":\"01ab\",\"d\":\"//79/A==\","
        "\"e\":true,\"f\":null}";
    assert_true(
        oto_bytes_equal(oto_buffer_view(&output), oto_bytes(expected, sizeof expected - 1)));
    const char *problem;
    assert_int_equal(check(oto_buffer_view(&output), &problem), OTO_OK);
    oto_buffer_release(&output);
}

static void test_writer_keeps_its_first_error(void **state)
{
    (void)state;
    struct oto_buffer output;
    struct oto_json_writer w;
    oto_buffer_init(&output, &oto_allocator_heap, 8);
    oto_json_writer_init(&w, &output);
    oto_json_array_begin(&w);
    oto_json_write_string(&w, BYTES("longer than eight bytes"));
    assert_int_equal(w.status, OTO_TOO_LARGE);
    oto_json_write_i64(&w, 1);
    oto_json_array_end(&w);
    assert_int_equal(w.status, OTO_TOO_LARGE);
    assert_true(output.size <= 8);
    oto_buffer_release(&output);
}

// Each byte at each place, between plain ones and among others.
static void test_plain_text_is_copied_alike_with_and_without_simd(void **state)
{
    (void)state;
    static const char *const around[] = {"abcdefghijklmnop", "abcdef\xC3\xA9hijk\"lmn",
                                         "0123\x7F\x20!#[]~456\x01z"};
    for (size_t i = 0; i < sizeof around / sizeof *around; i++) {
        for (size_t place = 0; place < 16; place++) {
            for (int byte = 0; byte < 256; byte++) {
                uint8_t text[16], one[16], other[16];
                memcpy(text, around[i], 16);
                text[place] = (uint8_t)byte;
                size_t plain = 0;
                while (plain < 16 && text[plain] < 0x80 && !oto_json_is_special(text[plain]))
                    plain++;
                assert_int_equal(oto_json_copy_plain(text, one), plain);
                assert_int_equal(oto_json_copy_plain_words(text, other), plain);
                assert_memory_equal(one, text, 16);
                assert_memory_equal(other, text, 16);
            }
        }
    }
}

// In a text of plain characters one is not ASCII and one is special, each anywhere: the scan ends
// at the special one and knows of the other where that comes first.
static void test_a_scan_knows_what_it_passed(void **state)
{
    (void)state;
    enum { SIZE = 50 };
    static const uint8_t specials[] = {'"', '\\', 0x1F, 0};
    for (size_t high = 0; high < SIZE; high++) {
        for (size_t end = 0; end <= SIZE; end++) {
            uint8_t text[SIZE];
            memset(text, 0x7F, SIZE);
            text[high] = high % 2 ? 0x80 : 0xFF;
            if (end < SIZE)
                text[end] = specials[(high + end) % sizeof specials];
            uint32_t passed = 0;
            assert_ptr_equal(oto_json_scan(text, text + SIZE, &passed), text + end);
            assert_int_equal(passed != 0, high < end);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_text_is_copied_alike_with_and_without_simd),
        cmocka_unit_test(test_accepts_what_the_grammar_has),
        cmocka_unit_test(test_refuses_what_the_grammar_lacks),
        cmocka_unit_test(test_refuses_each_legal_container_cut_short),
        cmocka_unit_test(test_depth_is_limited_without_recursion),
        cmocka_unit_test(test_pulls_the_members_of_a_document),
        cmocka_unit_test(test_unescape),
        cmocka_unit_test(test_integers_are_read_exactly),
        cmocka_unit_test(test_position_counts_lines_and_columns),
        cmocka_unit_test(test_writer_puts_commas_and_escapes),
        cmocka_unit_test(test_writer_keeps_its_first_error),
        cmocka_unit_test(test_a_scan_knows_what_it_passed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
