#include "cmocka_all.h"
#include "inspect/text_table.h"

static void columns_line_up(void **state)
{
    (void)state;
    struct oto_text_table table;
    struct oto_buffer output;
    oto_buffer_init(&output, &oto_allocator_heap, 1 << 16);
    oto_text_table_init(&table, "name|>rows|codec");
    const char *const cells[] = {"Grüße", "7", "ZSTD", "x", "1,234", "", "a\tb\n", "-", "S"};
    for (size_t i = 0; i < sizeof cells / sizeof *cells; i++)
        oto_text_table_cell(&table, "%s", cells[i]);
    assert_int_equal(oto_text_table_finish(&table, 2, &output), OTO_OK);
    assert_int_equal(oto_buffer_append_byte(&output, 0), OTO_OK);
    assert_string_equal((const char *)output.data, "  name    rows  codec\n"
                                                   "  Grüße      7  ZSTD\n"
                                                   "  x      1,234\n"
                                                   "  a b        -  S\n");
    oto_buffer_release(&output);
}

static void numbers_have_units(void **state)
{
    (void)state;
    char text[OTO_TEXT_NUMBER_MAX];
    assert_string_equal(oto_text_count(0, text), "0");
    assert_string_equal(oto_text_count(999, text), "999");
    assert_string_equal(oto_text_count(1234567, text), "1,234,567");
    assert_string_equal(oto_text_count(INT64_MAX, text), "9,223,372,036,854,775,807");
    assert_string_equal(oto_text_count(-1, text), "-");
    assert_string_equal(oto_text_size(0, text), "0 B");
    assert_string_equal(oto_text_size(1023, text), "1023 B");
    assert_string_equal(oto_text_size(1536, text), "1.5 KiB");
    assert_string_equal(oto_text_size(200ll << 20, text), "200 MiB");
    assert_string_equal(oto_text_size(INT64_MAX, text), "8.0 EiB");
    assert_string_equal(oto_text_time(0, text), "1970-01-01T00:00:00.000000Z");
    assert_string_equal(oto_text_time(-1, text), "1969-12-31T23:59:59.999999Z");
    assert_string_equal(oto_text_time(1767261600000042, text), "2026-01-01T10:00:00.000042Z");
    assert_non_null(oto_text_time(INT64_MAX, text));
    assert_non_null(oto_text_time(INT64_MIN, text));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(columns_line_up),
        cmocka_unit_test(numbers_have_units),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
