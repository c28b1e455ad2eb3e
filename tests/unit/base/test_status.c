#include "base/status.h"
#include "base/utf8.h"
#include "cmocka_all.h"
#include <string.h>

static void message_is_filled(void **state)
{
    (void)state;
    struct oto_error err;
    oto_error_init(&err);
    assert_int_equal(err.status, OTO_OK);
    assert_int_equal(oto_error_at(&err, OTO_INVALID, 7, "field %d", 3), OTO_INVALID);
    assert_int_equal(err.status, OTO_INVALID);
    assert_int_equal(err.offset, 7);
    assert_string_equal(err.message, "field 3");
    oto_error_context(&err, "request %s", "x");
    assert_string_equal(err.message, "request x: field 3");
    oto_error_set(&err, OTO_IO, "again: %s", err.message);
    assert_string_equal(err.message, "again: request x: field 3");
    assert_true(err.offset == OTO_OFFSET_NONE);
    assert_int_equal(oto_error_set(NULL, OTO_IO, "x"), OTO_IO);
}

static void control_characters_become_question_marks(void **state)
{
    (void)state;
    struct oto_error err;
    oto_error_set(&err, OTO_INVALID, "a%sz", "\n\x1b[0m\x7f\xC2\x85\xFF\xE2\x82\xAC");
    assert_string_equal(err.message, "a??[0m????\xE2\x82\xACz");
    oto_error_context(&err, "tab\t");
    assert_int_equal(err.message[3], '?');
}

static void a_cut_message_stays_valid_utf8(void **state)
{
    (void)state;
    char text[600];
    for (size_t shift = 0; shift < 4; shift++) {
        memset(text, 'a', sizeof text);
        for (size_t i = shift; i + 4 < sizeof text; i += 4)
            memcpy(text + i, "\xF0\x9F\x98\x80", 4);
        text[sizeof text - 1] = 0;
        struct oto_error err;
        oto_error_set(&err, OTO_INVALID, "%s", text);
        size_t size = strlen(err.message);
        assert_true(oto_utf8_valid(err.message, size));
        assert_true(size >= 508);
        assert_null(strchr(err.message, '?'));
        oto_error_context(&err, "context");
        size = strlen(err.message);
        assert_true(oto_utf8_valid(err.message, size));
        assert_null(strchr(err.message, '?'));
        assert_memory_equal(err.message, "context: ", 9);
    }
}

static void a_failure_always_says_something(void **state)
{
    (void)state;
    struct oto_error err;
    oto_error_init(&err);
    assert_int_equal(oto_error_ensure(&err, OTO_END, "reading"), OTO_END);
    assert_string_equal(err.message, "");
    assert_int_equal(oto_error_ensure(&err, OTO_NO_MEMORY, "reading"), OTO_NO_MEMORY);
    assert_string_equal(err.message, "reading: no memory");
    oto_error_set(&err, OTO_IO, "disk");
    oto_error_ensure(&err, OTO_IO, "reading"); // was said
    assert_string_equal(err.message, "disk");
    oto_error_ensure(&err, OTO_NO_MEMORY, "reading"); // of something else before
    assert_int_equal(err.status, OTO_NO_MEMORY);
    assert_int_equal(oto_error_ensure(NULL, OTO_IO, "reading"), OTO_IO);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(message_is_filled),
        cmocka_unit_test(control_characters_become_question_marks),
        cmocka_unit_test(a_cut_message_stays_valid_utf8),
        cmocka_unit_test(a_failure_always_says_something),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
