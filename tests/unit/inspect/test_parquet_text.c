#include "cmocka_all.h"
#include "inspect/parquet_text.h"

static void is_type(struct oto_parquet_node node, const char *expected)
{
    char text[OTO_PARQUET_TEXT_MAX];
    assert_string_equal(oto_parquet_type_text(&node, text), expected);
}

static struct oto_parquet_node node_of(int physical, int logical, int converted)
{
    return (struct oto_parquet_node){.physical = (int8_t)physical,
                                     .logical = (int8_t)logical,
                                     .converted = (int16_t)converted,
                                     .is_signed = 1};
}

static void types_are_named(void **state)
{
    (void)state;
    is_type(node_of(6, 1, 0), "string");
    is_type(node_of(6, 0, 0), "string");
    is_type(node_of(6, 0, -1), "binary");
    is_type(node_of(-1, 2, 1), "map");
    is_type(node_of(-1, 0, 3), "list");
    is_type(node_of(-1, 0, -1), "group");
    is_type(node_of(5, 0, -1), "double");
    is_type(node_of(1, 6, 6), "date");
    is_type(node_of(7, 14, -1), "uuid");
    is_type(node_of(6, 77, -1), "binary"); // of a later version of the format
    struct oto_parquet_node node = node_of(2, 8, 10);
    node.time_unit = 2;
    is_type(node, "timestamp(us)");
    node.is_utc = 1;
    is_type(node, "timestamp(us, UTC)");
    node = node_of(1, 10, 11);
    node.integer_bits = 8;
    node.is_signed = 0;
    is_type(node, "uint8");
    node = node_of(7, 5, 5);
    node.precision = 9;
    node.scale = 2;
    is_type(node, "decimal(9, 2)");
    node = node_of(7, 0, -1);
    node.type_length = 16;
    is_type(node, "fixed[16]");
    assert_string_equal(oto_parquet_encoding_name(1), "UNKNOWN");
    assert_string_equal(oto_parquet_encoding_name(-1), "UNKNOWN");
    assert_string_equal(oto_parquet_codec_name(7), "LZ4_RAW");
    assert_null(oto_parquet_converted_name(-1));
}

static void is_value(struct oto_parquet_node node, const void *bytes, size_t size, const char *text,
                     const char *json)
{
    char found[OTO_PARQUET_TEXT_MAX];
    struct oto_buffer output;
    struct oto_json_writer w;
    assert_string_equal(oto_parquet_value_text(&node, oto_bytes(bytes, size), found), text);
    oto_buffer_init(&output, &oto_allocator_heap, 1 << 16);
    oto_json_writer_init(&w, &output);
    oto_parquet_value_json(&node, oto_bytes(bytes, size), &w);
    assert_int_equal(oto_buffer_append_byte(&output, 0), OTO_OK);
    assert_string_equal((const char *)output.data, json);
    oto_buffer_release(&output);
}

static void values_read_well(void **state)
{
    (void)state;
    int64_t min = INT64_MIN, max = INT64_MAX, time = 1767261600000042;
    int32_t day = 1, far = INT32_MIN;
    double real = -0.5;
    struct oto_parquet_node wide = node_of(2, 0, -1), timestamp = node_of(2, 8, -1);
    is_value(wide, &min, 8, "-9223372036854775808", "-9223372036854775808");
    wide.is_signed = 0;
    is_value(wide, &min, 8, "9223372036854775808", "9223372036854775808");
    is_value(wide, &min, 7, "-", "null");
    is_value(wide, NULL, 0, "-", "null");
    timestamp.time_unit = 2;
    is_value(timestamp, &time, 8, "2026-01-01T10:00:00.000042Z", "\"2026-01-01T10:00:00.000042Z\"");
    for (timestamp.time_unit = 1; timestamp.time_unit <= 3; timestamp.time_unit++) {
        char text[OTO_PARQUET_TEXT_MAX];
        assert_non_null(oto_parquet_value_text(&timestamp, oto_bytes(&min, 8), text));
        assert_non_null(oto_parquet_value_text(&timestamp, oto_bytes(&max, 8), text));
    }
    is_value(node_of(1, 6, 6), &day, 4, "1970-01-02", "\"1970-01-02\"");
    is_value(node_of(1, 6, 6), &far, 4, "-2147483648 days", "\"-2147483648 days\"");
    is_value(node_of(5, 0, -1), &real, 8, "-0.5", "-0.5");
    is_value(node_of(0, 0, -1), "\1", 1, "true", "true");
    is_value(node_of(6, 1, 0), "say \"ü\"", 8, "\"say \"ü\"\"", "\"say \\\"ü\\\"\"");
    is_value(node_of(6, 1, 0), "", 0, "\"\"", "\"\"");
    is_value(node_of(6, 0, -1), "\xFF\0\n", 3, "0xff000a", "\"0xff000a\"");
    is_value(node_of(6, 1, 0), "0123456789012345678901234567890ü", 33,
             "\"0123456789012345678901234567890…\"", "\"0123456789012345678901234567890ü\"");
}

static void values_are_ordered_as_their_type(void **state)
{
    (void)state;
    int64_t a = -1, b = 1;
    struct oto_parquet_node node = node_of(2, 0, -1);
    assert_true(oto_parquet_value_compare(&node, oto_bytes(&a, 8), oto_bytes(&b, 8)) < 0);
    node.is_signed = 0;
    assert_true(oto_parquet_value_compare(&node, oto_bytes(&a, 8), oto_bytes(&b, 8)) > 0);
    node = node_of(6, 1, 0);
    assert_true(oto_parquet_value_compare(&node, oto_bytes("a", 1), oto_bytes("ab", 2)) < 0);
    assert_true(oto_parquet_value_compare(&node, oto_bytes("\xFF", 1), oto_bytes("ab", 2)) > 0);
    assert_int_equal(oto_parquet_value_compare(&node, oto_bytes("a", 1), oto_bytes("a", 1)), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(types_are_named),
        cmocka_unit_test(values_read_well),
        cmocka_unit_test(values_are_ordered_as_their_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
