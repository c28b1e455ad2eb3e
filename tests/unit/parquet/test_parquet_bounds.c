#include "base/utf8.h"
#include "cmocka_all.h"
#include "parquet/parquet_internal.h"

// A text of 70 bytes that begins with `count` repetitions of `part`.
static struct oto_bytes long_text(uint8_t *text, const char *part, size_t count)
{
    size_t size = strlen(part);
    memset(text, 'z', 70);
    for (size_t i = 0; i < count; i++)
        memcpy(text + i * size, part, size);
    return oto_bytes(text, 70);
}

static void short_bounds_are_exact(void **state)
{
    (void)state;
    struct oto_parquet_bound bound;
    oto_parquet_bound_text(oto_bytes_text("abc"), 1, 1, &bound);
    assert_true(bound.is_set && bound.is_exact);
    assert_int_equal(bound.size, 3);
    oto_parquet_bound_text(oto_bytes(NULL, 0), 1, 0, &bound);
    assert_true(bound.is_set && bound.is_exact && bound.size == 0);
}

static void long_bounds_are_cut_between_code_points(void **state)
{
    (void)state;
    uint8_t text[70];
    struct oto_parquet_bound bound;
    oto_parquet_bound_text(long_text(text, "\xE2\x82\xAC", 22), 1, 0,
                           &bound); // 22 euro signs: the last is cut off
    assert_int_equal(bound.size, 63);
    assert_true(bound.is_set && !bound.is_exact && oto_utf8_valid(bound.data, bound.size));
    oto_parquet_bound_text(long_text(text, "\xE2\x82\xAC", 22), 1, 1, &bound);
    assert_int_equal(bound.size, 63);
    assert_memory_equal(bound.data + 60, "\xE2\x82\xAD", 3);
}

struct raise {
    const char *last; // what ends at byte 64
    const char *raised;
};

static void upper_bounds_are_raised_to_valid_text(void **state)
{
    (void)state;
    static const struct raise cases[] = {
        {"a", "b"},
        {"\x7F", ""}, // cannot grow to two bytes: the one before is raised
        {"\xC2\xBF", "\xC3\x80"},
        {"\xDF\xBF", ""},
        {"\xED\x9F\xBF", "\xEE\x80\x80"}, // over the surrogates
        {"\xEF\xBF\xBF", ""},
        {"\xF0\x9F\xBF\xBF", "\xF0\xA0\x80\x80"},
        {"\xF4\x8F\xBF\xBF", ""},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t text[70];
        struct oto_parquet_bound bound;
        size_t size = strlen(cases[i].last), kept = strlen(cases[i].raised);
        memset(text, 'm', sizeof text);
        memcpy(text + 64 - size, cases[i].last, size);
        oto_parquet_bound_text(oto_bytes(text, 70), 1, 1, &bound);
        assert_true(bound.is_set && !bound.is_exact && oto_utf8_valid(bound.data, bound.size));
        assert_int_equal(bound.size, kept ? 64 : 64 - size);
        if (kept)
            assert_memory_equal(bound.data + 64 - size, cases[i].raised, kept);
        else
            assert_int_equal(bound.data[bound.size - 1], 'n');
        assert_true(memcmp(bound.data, text, bound.size) > 0);
    }
}

static void what_cannot_be_raised_has_no_upper_bound(void **state)
{
    (void)state;
    uint8_t text[80];
    struct oto_parquet_bound bound;
    memset(text, 0xFF, sizeof text);
    oto_parquet_bound_text(oto_bytes(text, sizeof text), 0, 1, &bound);
    assert_false(bound.is_set);
    for (size_t i = 0; i < sizeof text; i += 4)
        memcpy(text + i, "\xF4\x8F\xBF\xBF", 4);
    oto_parquet_bound_text(oto_bytes(text, sizeof text), 1, 1, &bound);
    assert_false(bound.is_set);
    oto_parquet_bound_text(oto_bytes(text, sizeof text), 1, 0, &bound);
    assert_true(bound.is_set && bound.size == 64);
}

static void zeros_and_nan_follow_the_rules(void **state)
{
    (void)state;
    const struct oto_parquet_leaf leaf = {.type = OTO_TYPE_DOUBLE, .physical = OTO_PARQUET_DOUBLE};
    const double values[] = {0.0, -0.0, __builtin_nan("")};
    struct oto_parquet_range range = {0};
    struct oto_parquet_bound min, max;
    oto_parquet_range_doubles(&range, values, 2);
    oto_parquet_range_bounds(&range, &leaf, &min, &max);
    assert_int_equal(range.nan_count, 0);
    assert_int_equal(oto_load64(min.data), 0x8000000000000000u);
    assert_int_equal(oto_load64(max.data), 0);
    struct oto_parquet_range with_nan = {0};
    oto_parquet_range_doubles(&with_nan, values + 1, 2);
    oto_parquet_range_bounds(&with_nan, &leaf, &min, &max);
    assert_false(min.is_set || max.is_set);
    oto_parquet_range_merge(&range, &with_nan, &leaf);
    assert_int_equal(range.nan_count, 1);
    assert_int_equal(range.count, 3);
    oto_parquet_range_bounds(&range, &leaf, &min, &max);
    assert_false(min.is_set || max.is_set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(short_bounds_are_exact),
        cmocka_unit_test(long_bounds_are_cut_between_code_points),
        cmocka_unit_test(upper_bounds_are_raised_to_valid_text),
        cmocka_unit_test(what_cannot_be_raised_has_no_upper_bound),
        cmocka_unit_test(zeros_and_nan_follow_the_rules),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
