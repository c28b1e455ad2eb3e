// The tables: ids unique and unchanged, names of ClickHouse's exporter, promotions.
#include "cmocka_all.h"

#include "telemetry/tables.h"
#include <stdio.h>

static struct oto_schemas *schemas_of(const struct oto_promotion *promotions, size_t count)
{
    struct oto_error err;
    oto_error_init(&err);
    struct oto_schemas *schemas = oto_schemas_new(&oto_allocator_heap, promotions, count, &err);
    if (!schemas)
        print_error("%s\n", err.message);
    assert_non_null(schemas);
    return schemas;
}

static const struct oto_field *field_of(const struct oto_schemas *schemas, enum oto_table table,
                                        const char *name)
{
    const struct oto_schema *schema = oto_schemas_table(schemas, table);
    for (uint32_t f = 0; f < schema->field_count; f++)
        if (strcmp(schema->fields[f]->name, name) == 0)
            return schema->fields[f];
    return NULL;
}

static void take_id(uint8_t *seen, unsigned id)
{
    assert_in_range(id, 1, 32766);
    assert_false(seen[id]);
    seen[id] = 1;
}

static void take_ids(uint8_t *seen, const struct oto_field *field)
{
    take_id(seen, field->id);
    assert_non_null(field->doc);
    switch (field->type) {
    case OTO_TYPE_MAP:
        take_id(seen, field->id + 1u);
        take_id(seen, field->id + 2u);
        assert_int_equal(field->child_count, 0);
        break;
    case OTO_TYPE_LIST:
        assert_int_equal(field->child_count, 1);
        assert_int_equal(field->children[0].id, field->id + 1);
        break;
    case OTO_TYPE_STRUCTS:
        take_id(seen, field->id + 1u); // the struct element
        break;
    default:
        assert_int_equal(field->child_count, 0);
    }
    for (uint32_t c = 0; c < field->child_count; c++)
        take_ids(seen, &field->children[c]);
}

static void field_ids_and_names_are_unique(void **state)
{
    (void)state;
    static uint8_t seen[32768];
    struct oto_promotion promotion = {"acme.tenant", 10000};
    struct oto_schemas *schemas = schemas_of(&promotion, 1);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        const struct oto_schema *schema = oto_schemas_table(schemas, (enum oto_table)t);
        memset(seen, 0, sizeof seen);
        for (uint32_t f = 0; f < schema->field_count; f++) {
            take_ids(seen, schema->fields[f]);
            assert_ptr_equal(field_of(schemas, (enum oto_table)t, schema->fields[f]->name),
                             schema->fields[f]);
            assert_true(schema->fields[f]->level < schema->level_count);
        }
    }
    oto_schemas_free(schemas);
}

// Column names with their ids, parts after a dot. A change here breaks files that exist: only add.
static const char *const golden[OTO_TABLE_COUNT] = {
#include "tables_golden.inc"
};

static void write_ids(char **at, char *end, const struct oto_field *field, const char *prefix)
{
    *at += snprintf(*at, (size_t)(end - *at), "%s%s=%u ", prefix, field->name, field->id);
    char path[64];
    snprintf(path, sizeof path, "%s.", field->name);
    for (uint32_t c = 0; c < field->child_count; c++)
        write_ids(at, end, &field->children[c], path);
}

static void field_ids_never_change(void **state)
{
    (void)state;
    struct oto_schemas *schemas = schemas_of(NULL, 0);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        char text[8192], *at = text;
        const struct oto_schema *schema = oto_schemas_table(schemas, (enum oto_table)t);
        for (uint32_t f = 0; f < schema->field_count; f++)
            write_ids(&at, text + sizeof text, schema->fields[f], "");
        assert_string_equal(text, golden[t]);
    }
    oto_schemas_free(schemas);
}

static void every_time_has_its_rest_behind_it(void **state)
{
    (void)state;
    struct oto_schemas *schemas = schemas_of(NULL, 0);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        const struct oto_schema *schema = oto_schemas_table(schemas, (enum oto_table)t);
        for (uint32_t f = 0; f < schema->field_count; f++) {
            const struct oto_field *field = schema->fields[f];
            if (field->type != OTO_TYPE_TIME)
                continue;
            char name[64];
            snprintf(name, sizeof name, "%sNanoOfMicro", field->name);
            assert_string_equal(schema->fields[f + 1]->name, name);
            assert_int_equal(schema->fields[f + 1]->type, OTO_TYPE_INT32);
            assert_int_equal(schema->fields[f + 1]->flags, OTO_FIELD_NULLABLE);
        }
    }
    oto_schemas_free(schemas);
}

static void columns_of_clickhouse_are_there(void **state)
{
    (void)state;
    static const struct {
        enum oto_table table;
        const char *names[24];
    } wanted[] = {
        {OTO_TABLE_LOGS,
         {"Timestamp", "TraceId", "SpanId", "TraceFlags", "SeverityText", "SeverityNumber",
          "ServiceName", "Body", "ResourceSchemaUrl", "ResourceAttributes", "ScopeSchemaUrl",
          "ScopeName", "ScopeVersion", "ScopeAttributes", "LogAttributes", "EventName"}},
        {OTO_TABLE_TRACES,
         {"Timestamp", "TraceId", "SpanId", "ParentSpanId", "TraceState", "SpanName", "SpanKind",
          "ServiceName", "ResourceAttributes", "ScopeName", "ScopeVersion", "SpanAttributes",
          "Duration", "StatusCode", "StatusMessage", "Events", "Links"}},
        {OTO_TABLE_SUM,
         {"ResourceAttributes", "ResourceSchemaUrl", "ScopeName", "ScopeVersion", "ScopeAttributes",
          "ScopeDroppedAttrCount", "ScopeSchemaUrl", "ServiceName", "MetricName",
          "MetricDescription", "MetricUnit", "Attributes", "StartTimeUnix", "TimeUnix", "Value",
          "Flags", "Exemplars", "AggregationTemporality", "IsMonotonic"}},
        {OTO_TABLE_EXPONENTIAL_HISTOGRAM,
         {"Count", "Sum", "Scale", "ZeroCount", "PositiveOffset", "PositiveBucketCounts",
          "NegativeOffset", "NegativeBucketCounts", "Exemplars", "Flags", "Min", "Max"}},
        {OTO_TABLE_HISTOGRAM, {"Count", "Sum", "BucketCounts", "ExplicitBounds", "Min", "Max"}},
        {OTO_TABLE_SUMMARY, {"Count", "Sum", "ValueAtQuantiles", "Flags"}},
        {OTO_TABLE_GAUGE, {"Value", "Flags", "Exemplars"}},
    };
    struct oto_schemas *schemas = schemas_of(NULL, 0);
    for (size_t w = 0; w < sizeof wanted / sizeof wanted[0]; w++)
        for (int n = 0; n < 24 && wanted[w].names[n]; n++)
            assert_non_null(field_of(schemas, wanted[w].table, wanted[w].names[n]));
    oto_schemas_free(schemas);
}

static void sort_and_time_columns_exist(void **state)
{
    (void)state;
    struct oto_schemas *schemas = schemas_of(NULL, 0);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        enum oto_table table = (enum oto_table)t;
        const struct oto_schema *schema = oto_schemas_table(schemas, table);
        const struct oto_field *time = schema->fields[oto_table_time_column(table)];
        assert_string_equal(time->name, table <= OTO_TABLE_TRACES ? "Timestamp" : "TimeUnix");
        assert_int_equal(time->type, OTO_TYPE_TIME);
        const char *const *names;
        uint32_t count = oto_table_sorted_by(table, &names);
        assert_in_range(count, 3, 4);
        for (uint32_t n = 0; n < count; n++) {
            assert_non_null(field_of(schemas, table, names[n]));
            assert_true(field_of(schemas, table, names[n])->flags & OTO_FIELD_SORTED);
        }
    }
    assert_string_equal(oto_table_folder(OTO_TABLE_EXPONENTIAL_HISTOGRAM),
                        "metrics/exponential_histogram");
    assert_string_equal(oto_table_name(OTO_TABLE_SUM), "otel_metrics_sum");
    assert_int_equal(oto_table_signal(OTO_TABLE_SUMMARY), OTO_SIGNAL_METRICS);
    oto_schemas_free(schemas);
}

static void attributes_name_columns(void **state)
{
    (void)state;
    char name[32];
    assert_int_equal(oto_column_name_from_attribute("http.response.status_code", name, sizeof name),
                     22);
    assert_string_equal(name, "HttpResponseStatusCode");
    assert_true(oto_column_name_from_attribute("k8s.pod.name", name, sizeof name));
    assert_string_equal(name, "K8sPodName");
    assert_true(oto_column_name_from_attribute("userId", name, sizeof name));
    assert_string_equal(name, "UserId");
    assert_int_equal(oto_column_name_from_attribute("", name, sizeof name), 0);
    assert_int_equal(oto_column_name_from_attribute("9lives", name, sizeof name), 0);
    assert_int_equal(oto_column_name_from_attribute("abcd", name, 4), 0);
    assert_int_equal(oto_column_name_from_attribute("abc", name, 4), 3);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        struct oto_schemas *schemas = schemas_of(NULL, 0);
        const struct oto_schema *schema = oto_schemas_table(schemas, (enum oto_table)t);
        for (uint32_t f = 0; f < schema->field_count; f++)
            if (schema->fields[f]->attribute) {
                oto_column_name_from_attribute(schema->fields[f]->attribute, name, sizeof name);
                assert_string_equal(schema->fields[f]->name, name);
            }
        oto_schemas_free(schemas);
    }
}

static void promotions_become_columns(void **state)
{
    (void)state;
    struct oto_promotion promotions[] = {{"acme.tenant", 10000}, {"http.route", 10001}};
    struct oto_schemas *schemas = schemas_of(promotions, 2);
    const struct oto_field *tenant = field_of(schemas, OTO_TABLE_LOGS, "AcmeTenant");
    assert_non_null(tenant);
    assert_int_equal(tenant->id, 10000);
    assert_int_equal(tenant->level, 0);
    assert_int_equal(tenant->flags, OTO_FIELD_NULLABLE | OTO_FIELD_PROMOTED);
    assert_string_equal(tenant->attribute, "acme.tenant");
    assert_int_equal(field_of(schemas, OTO_TABLE_SUM, "AcmeTenant")->level, 1);
    // Where the table has a column of that attribute, it stays the one.
    assert_int_equal(field_of(schemas, OTO_TABLE_TRACES, "HttpRoute")->id, 542);
    assert_int_equal(field_of(schemas, OTO_TABLE_LOGS, "HttpRoute")->id, 10001);
    oto_schemas_free(schemas);
}

static void promotions_that_clash_are_refused(void **state)
{
    (void)state;
    struct oto_error err;
    struct oto_promotion body = {"body", 10000};
    assert_null(oto_schemas_new(&oto_allocator_heap, &body, 1, &err));
    assert_int_equal(err.status, OTO_EXISTS);
    struct oto_promotion twice[] = {{"a.b", 10000}, {"a_b", 10001}};
    assert_null(oto_schemas_new(&oto_allocator_heap, twice, 2, &err));
    assert_int_equal(err.status, OTO_EXISTS);
    struct oto_promotion nameless = {"...", 10000};
    assert_null(oto_schemas_new(&oto_allocator_heap, &nameless, 1, &err));
    assert_int_equal(err.status, OTO_INVALID);
}

static void a_clash_is_one_whatever_the_case(void **state)
{
    (void)state;
    struct oto_error err;
    static const char *const attributes[] = {"hostname", "traceid", "http.Route", "severity_TEXT"};
    for (size_t i = 0; i < sizeof attributes / sizeof attributes[0]; i++) {
        struct oto_promotion one = {attributes[i], 10000};
        assert_null(oto_schemas_new(&oto_allocator_heap, &one, 1, &err));
        assert_int_equal(err.status, OTO_EXISTS);
    }
    struct oto_promotion two[] = {{"user.id", 10000}, {"userid", 10001}};
    assert_null(oto_schemas_new(&oto_allocator_heap, two, 2, &err));
    assert_int_equal(err.status, OTO_EXISTS);
}

static void known_promotions_that_clash_are_left_out(void **state)
{
    (void)state;
    struct oto_error err;
    struct oto_promotion promotions[] = {{"user.id", 10000}, {"userid", 10001},
                                         {"traceid", 10002}, {"...", 10003},
                                         {"zone", 10004},    {"http.route", 10005}};
    struct oto_schemas *schemas = oto_schemas_new_known(&oto_allocator_heap, promotions, 6, &err);
    assert_non_null(schemas);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        enum oto_table table = (enum oto_table)t;
        int has_trace_id = table == OTO_TABLE_LOGS || table == OTO_TABLE_TRACES;
        assert_int_equal(field_of(schemas, table, "UserId")->id, 10000);
        assert_null(field_of(schemas, table, "Userid"));
        assert_int_equal(field_of(schemas, table, "Traceid") == NULL, has_trace_id);
        assert_int_equal(field_of(schemas, table, "Zone")->id, 10004);
    }
    assert_int_equal(field_of(schemas, OTO_TABLE_TRACES, "HttpRoute")->id, 542);
    assert_int_equal(field_of(schemas, OTO_TABLE_LOGS, "HttpRoute")->id, 10005);
    oto_schemas_free(schemas);
}

static void flat_schemas_have_the_same_columns_at_level_0(void **state)
{
    (void)state;
    struct oto_error err;
    struct oto_promotion promotion = {"acme.tenant", 10000};
    struct oto_schemas *schemas = schemas_of(&promotion, 1);
    struct oto_schemas *flat = oto_schemas_new_flat(&oto_allocator_heap, &promotion, 1, &err);
    assert_non_null(flat);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        const struct oto_schema *a = oto_schemas_table(schemas, (enum oto_table)t);
        const struct oto_schema *b = oto_schemas_table(flat, (enum oto_table)t);
        assert_int_equal(a->field_count, b->field_count);
        assert_int_equal(b->level_count, 1);
        assert_string_equal(a->name, b->name);
        for (uint32_t f = 0; f < a->field_count; f++) {
            struct oto_field expected = *a->fields[f];
            assert_string_equal(expected.name, b->fields[f]->name);
            expected.name = b->fields[f]->name; // of a promotion: in memory of the schemas
            expected.level = 0;
            assert_memory_equal(&expected, b->fields[f], sizeof expected);
        }
    }
    oto_schemas_free(flat);
    oto_schemas_free(schemas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(field_ids_and_names_are_unique),
        cmocka_unit_test(field_ids_never_change),
        cmocka_unit_test(every_time_has_its_rest_behind_it),
        cmocka_unit_test(columns_of_clickhouse_are_there),
        cmocka_unit_test(sort_and_time_columns_exist),
        cmocka_unit_test(attributes_name_columns),
        cmocka_unit_test(promotions_become_columns),
        cmocka_unit_test(promotions_that_clash_are_refused),
        cmocka_unit_test(a_clash_is_one_whatever_the_case),
        cmocka_unit_test(known_promotions_that_clash_are_left_out),
        cmocka_unit_test(flat_schemas_have_the_same_columns_at_level_0),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
