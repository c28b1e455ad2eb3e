// What is believed of a plan that DuckDB prints, and what is not.
#include "query_plan.h"

#include "cmocka_all.h"
#include <stdio.h>

#define TABLES 3
#define SCAN(filters)                                                                              \
    "[{\"name\":\"READ_PARQUET\",\"children\":[],\"extra_info\":{\"Function\":\"READ_PARQUET\","   \
    "\"Projections\":[\"ServiceName\",\"Body\"],\"Filters\":" filters "}}]"
#define MARKED "(TimestampNanoOfMicro IS DISTINCT FROM -1001)"

static struct query_plan plan;

static int set_up(void **state)
{
    (void)state;
    query_plan_init(&plan);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    query_plan_release(&plan);
    return 0;
}

static enum oto_status read_text(const char *json)
{
    return query_plan_read(&plan, oto_bytes_text(json), TABLES);
}

static void read_filter(const char *filter)
{
    static char json[4096];
    (void)snprintf(json, sizeof(json), SCAN("[\"" MARKED "\",\"%s\"]"), filter);
    query_plan_release(&plan);
    query_plan_init(&plan);
    assert_int_equal(read_text(json), OTO_OK);
    assert_non_null(plan.scans);
    assert_null(plan.scans->next);
    assert_int_equal(plan.scans->table, 1);
}

static const struct query_condition *only_condition(const char *filter)
{
    read_filter(filter);
    assert_int_equal(plan.scans->count, 1);
    return &plan.scans->conditions[0];
}

static void assert_text(struct oto_bytes bytes, const char *text)
{
    assert_true(oto_bytes_equal_text(bytes, text));
}

static void a_text_is_compared(void **state)
{
    (void)state;
    const struct query_condition *c = only_condition("ServiceName='it''s'");
    assert_text(c->column, "ServiceName");
    assert_null(c->key.data);
    assert_false(c->is_range);
    assert_int_equal(c->value_count, 1);
    assert_text(c->values[0], "it's");
}

static void one_of_several_texts(void **state)
{
    (void)state;
    static const char *const filters[] = {"(ServiceName IN ('a', 'b')) OR (ServiceName = 'c')",
                                          "ServiceName='a' OR ServiceName='b' OR ServiceName='c'",
                                          "((ServiceName IN ('a', 'b')) OR (ServiceName = 'c'))",
                                          "((ServiceName = 'a') OR (ServiceName IN ('b', 'c')))",
                                          "(ServiceName IN ('a', 'b', 'c'))"};
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        const struct query_condition *c = only_condition(filters[i]);
        assert_int_equal(c->value_count, 3);
        assert_text(c->values[0], "a");
        assert_text(c->values[2], "c");
    }
}

static void a_key_of_a_map(void **state)
{
    (void)state;
    const struct query_condition *c =
        only_condition("(map_extract_value(LogAttributes, 'http.route') = '/buy')");
    assert_text(c->column, "LogAttributes");
    assert_text(c->key, "http.route");
    assert_text(c->values[0], "/buy");
}

static void assert_range(const char *filter, int64_t min, int64_t max)
{
    const struct query_condition *c = only_condition(filter);
    assert_true(c->is_range);
    assert_true(c->min == min);
    assert_true(c->max == max);
}

static void numbers_and_times_are_ranges(void **state)
{
    (void)state;
    assert_range("SeverityNumber=17", 17, 17);
    assert_range("SeverityNumber>=17", 17, INT64_MAX);
    assert_range("SeverityNumber>17", 18, INT64_MAX);
    assert_range("SeverityNumber<-5", INT64_MIN, -6);
    assert_range("SeverityNumber<=9223372036854775807", INT64_MIN, INT64_MAX);
    assert_range("SeverityNumber IN (3, 1, 2)", 1, 3);
    assert_range("Timestamp>='1970-01-02 00:00:00.5+00'::TIMESTAMP WITH TIME ZONE", 86400500000,
                 INT64_MAX);
    assert_range("Timestamp<'1969-12-31 23:59:59+00'::TIMESTAMP WITH TIME ZONE", INT64_MIN,
                 -1000001);
    assert_range("Timestamp='2024-02-29 12:00:00+00'::TIMESTAMP WITH TIME ZONE", 1709208000000000,
                 1709208000000000);
}

static void both_ends_of_a_range(void **state)
{
    (void)state;
    read_filter("SeverityNumber>=3 AND SeverityNumber<=5");
    assert_int_equal(plan.scans->count, 2);
    assert_true(plan.scans->conditions[0].min == 3 && plan.scans->conditions[1].max == 5);
}

// A wrong condition would leave files out that hold wanted rows.
static void what_is_not_understood_is_no_condition(void **state)
{
    (void)state;
    static const char *const filters[] = {
        "(contains(Body, 'x'))",
        "ServiceName!='a'",
        "ServiceName>'a'",
        "NOT ServiceName='a'",
        "ServiceName='a' OR Body='b'",
        "ServiceName='a' OR SeverityNumber=1 AND Body='x'",
        "ServiceName='a'::VARCHAR",
        "SeverityNumber=99999999999999999999",
        "SeverityNumber=1.5",
        "Duration>='2026-01-31 10:00:00+01'::TIMESTAMP WITH TIME ZONE",
        "Timestamp>'294247-01-10 (BC) 04:00:54+00'::TIMESTAMP WITH TIME ZONE",
        "(ServiceName IN ('a', 1))",
        "map_extract_value(LogAttributes, 1)='a'",
        "optional: Dynamic Filter (Timestamp)",
        "((ServiceName = 'a') OR (Body = 'b'))",
        "((ServiceName = 'a' OR ServiceName = 'b') = (ServiceName = 'c' OR ServiceName = 'd'))",
        "(ServiceName = 'a' OR ServiceName = 'b') = (ServiceName = 'c' OR ServiceName = 'd')",
    };
    for (size_t i = 0; i < sizeof(filters) / sizeof(filters[0]); i++) {
        read_filter(filters[i]);
        if (plan.scans->count)
            fail_msg("believed: %s", filters[i]);
    }
}

static void words_within_texts_are_no_operators(void **state)
{
    (void)state;
    const struct query_condition *c = only_condition("ServiceName='a'' OR Body=''b AND (c'");
    assert_text(c->values[0], "a' OR Body='b AND (c");
}

static void names_of_columns_that_are_read(void **state)
{
    (void)state;
    read_filter("SeverityNumber>1");
    int body = 0, severity = 0;
    for (size_t i = 0; i < plan.scans->word_count; i++) {
        body |= oto_bytes_equal_text(plan.scans->words[i], "Body");
        severity |= oto_bytes_equal_text(plan.scans->words[i], "SeverityNumber");
    }
    assert_true(body && severity);
}

// A text with a line feed comes as two lines; a scan without its mark is of a table nobody knows.
static void nothing_is_believed_then(void **state)
{
    (void)state;
    static const char *const plans[] = {
        SCAN("[\"" MARKED "\",\"Body='a\",\"b'\"]"),
        SCAN("[\"ServiceName='a'\"]"),
        SCAN("\"(TimestampNanoOfMicro IS DISTINCT FROM -1003)\""),
        SCAN("\"(TimestampNanoOfMicro IS DISTINCT FROM -999)\""),
        SCAN("[\"" MARKED "\",\"(ServiceName='a'\"]"),
        SCAN("[7]"),
        "[{\"name\":\"READ_PARQUET\"}]",
        "[{\"name\":\"FILTER\",\"children\":[{\"name\":\"READ_PARQUET\",\"extra_info\":{}}]}]",
        "{}",
        "",
        "[{\"name\":\"READ_PARQUET\",",
        "[{\"children\":7}]",
    };
    for (size_t i = 0; i < sizeof(plans) / sizeof(plans[0]); i++) {
        query_plan_release(&plan);
        query_plan_init(&plan);
        assert_true(read_text(plans[i]) < 0);
        assert_null(plan.scans);
    }
}

static void scans_of_several_tables_below_a_limit(void **state)
{
    (void)state;
    assert_int_equal(
        read_text("[{\"name\":\"TOP_N\",\"children\":[{\"name\":\"READ_PARQUET\",\"extra_info\":{"
                  "\"Filters\":[\"(SpanNanoOfMicro IS DISTINCT FROM "
                  "-1000)\",\"Duration>5\"]}},{\"name\":\"READ_PARQUET \",\"extra_info\":{"
                  "\"Filters\":\"(TimeNanoOfMicro IS DISTINCT FROM -1002)\"}}]}]"),
        OTO_OK);
    assert_true(plan.has_limit);
    assert_int_equal(plan.scans->table, 2);
    assert_int_equal(plan.scans->count, 0);
    assert_int_equal(plan.scans->next->table, 0);
    assert_int_equal(plan.scans->next->count, 1);
}

static void deep_plans_are_refused(void **state)
{
    (void)state;
    static char json[600 * 16];
    size_t size = 0;
    for (int i = 0; i < 600; i++)
        size += (size_t)snprintf(json + size, sizeof(json) - size, "[{\"children\":");
    assert_true(read_text(json) < 0);
    assert_null(plan.scans);
}

#define TEST(function) cmocka_unit_test_setup_teardown(function, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_text_is_compared),
        TEST(one_of_several_texts),
        TEST(a_key_of_a_map),
        TEST(numbers_and_times_are_ranges),
        TEST(both_ends_of_a_range),
        TEST(what_is_not_understood_is_no_condition),
        TEST(words_within_texts_are_no_operators),
        TEST(names_of_columns_that_are_read),
        TEST(nothing_is_believed_then),
        TEST(scans_of_several_tables_below_a_limit),
        TEST(deep_plans_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
