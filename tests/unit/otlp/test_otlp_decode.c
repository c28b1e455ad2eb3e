// OTLP requests become rows: every field of every signal, what is refused and what is malformed, and that a
// failure leaves no trace.
#include "cmocka_all.h"

#include "otlp/otlp_decode.h"
#include "wire/protobuf.h"
#include <stdio.h>
#include <stdlib.h>

#define RECEIVED_NS 1700000000123456789u

// --- a segment ---

struct segment {
    struct oto_arena arena;
    struct oto_schemas *schemas;
    struct oto_builder builders[OTO_TABLE_COUNT];
    struct oto_otlp_decoder *decoder;
    struct oto_otlp_limits limits;
    struct oto_otlp_result result;
    struct oto_error err;
};

static void segment_open(struct segment *s, const struct oto_promotion *promotions, size_t count)
{
    struct oto_builder *list[OTO_TABLE_COUNT];
    memset(s, 0, sizeof *s);
    oto_arena_init(&s->arena, &oto_allocator_heap, 1u << 16, SIZE_MAX);
    s->schemas = oto_schemas_new(&oto_allocator_heap, promotions, count, NULL);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        list[t] = &s->builders[t];
        assert_int_equal(oto_builder_init(list[t], oto_schemas_table(s->schemas, (enum oto_table)t), &s->arena, 7, 16,
                                          NULL), OTO_OK);
    }
    s->decoder = oto_otlp_decoder_new(&oto_allocator_heap, s->schemas, list);
    assert_non_null(s->decoder);
    oto_otlp_limits_default(&s->limits);
}

static void segment_close(struct segment *s)
{
    oto_otlp_decoder_free(s->decoder);
    oto_schemas_free(s->schemas);
    oto_arena_release(&s->arena);
}

static enum oto_status decode(struct segment *s, enum oto_signal signal, struct oto_bytes message)
{
    oto_error_init(&s->err);
    return oto_otlp_decode(s->decoder, signal, message, RECEIVED_NS, &s->limits, &s->result, &s->err);
}

// --- reading columns ---

static const struct oto_column *column(const struct segment *s, enum oto_table table, const char *name)
{
    const struct oto_builder *b = &s->builders[table];
    int at = oto_schema_find(b->schema, name);
    if (at < 0)
        fail_msg("no column %s", name);
    return &b->columns[at];
}

static const struct oto_column *part(const struct oto_column *c, const char *name)
{
    for (uint32_t i = 0; i < c->child_count; i++)
        if (strcmp(c->children[i].field->name, name) == 0)
            return &c->children[i];
    fail_msg("no part %s", name);
    return NULL;
}

static const char *text(const struct oto_column *c, uint32_t index)
{
    static char texts[8][4096];
    static int next;
    char *result = texts[next++ % 8];
    assert_true(index < c->length);
    if (!oto_column_valid(c, index))
        return "(null)";
    struct oto_bytes b = c->dictionary->entries[((const uint32_t *)c->values)[index]];
    assert_true(b.size < 4096);
    memcpy(result, b.data, b.size);
    result[b.size] = 0;
    return result;
}

// Entry index of a map: "k=v,k=v".
static const char *map(const struct oto_column *c, uint32_t index)
{
    static char texts[4][8192];
    static int next;
    char *result = texts[next++ % 4], *at = result;
    assert_true(index < c->length);
    *at = 0;
    for (uint32_t i = c->offsets[index]; i < c->offsets[index + 1]; i++)
        at += sprintf(at, "%s%s=%s", i == c->offsets[index] ? "" : ",", text(&c->children[0], i),
                      text(&c->children[1], i));
    return result;
}

static int64_t i64(const struct oto_column *c, uint32_t index)
{
    assert_true(index < c->length && oto_column_valid(c, index));
    if (c->field->type == OTO_TYPE_INT32)
        return ((const int32_t *)c->values)[index];
    if (c->field->type == OTO_TYPE_BOOL)
        return ((const uint8_t *)c->values)[index];
    return ((const int64_t *)c->values)[index];
}

static double f64(const struct oto_column *c, uint32_t index)
{
    assert_true(index < c->length && oto_column_valid(c, index));
    return ((const double *)c->values)[index];
}

static int is_null(const struct oto_column *c, uint32_t index)
{
    assert_true(index < c->length);
    return !oto_column_valid(c, index);
}

// All columns of a level are as long as the level, and children fit their parents.
static void check_column(const struct oto_column *c, uint32_t length)
{
    assert_int_equal(c->length, length);
    for (uint32_t k = 0; k < c->child_count; k++)
        check_column(&c->children[k], c->offsets[c->length]);
    if (c->dictionary)
        for (uint32_t i = 0; i < c->length; i++)
            assert_true(((const uint32_t *)c->values)[i] < c->dictionary->count);
}

static void check_builders(const struct segment *s)
{
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        const struct oto_builder *b = &s->builders[t];
        for (uint32_t f = 0; f < b->schema->field_count; f++)
            check_column(&b->columns[f], b->levels[b->schema->fields[f]->level].count);
        for (uint32_t l = 0; l + 1 < b->schema->level_count; l++)
            for (uint32_t i = 0; i < b->levels[l].count; i++)
                assert_true(b->levels[l].link[i] < b->levels[l + 1].count);
    }
}

// --- writing messages ---

static struct oto_buffer out;
static size_t marks[32];
static int depth;

static void open_(uint32_t field)
{
    assert_int_equal(oto_pb_message_begin(&out, field, &marks[depth++]), OTO_OK);
}
static void close_(int count)
{
    while (count--)
        assert_int_equal(oto_pb_message_end(&out, marks[--depth]), OTO_OK);
}
static void put_uint(uint32_t field, uint64_t v)
{
    assert_int_equal(oto_pb_write_uint(&out, field, v), OTO_OK);
}
static void put_f64(uint32_t field, uint64_t v)
{
    assert_int_equal(oto_pb_write_fixed64(&out, field, v), OTO_OK);
}
static void put_f32(uint32_t field, uint32_t v)
{
    assert_int_equal(oto_pb_write_fixed32(&out, field, v), OTO_OK);
}
static void put_double(uint32_t field, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    put_f64(field, bits);
}
static void put_bytes(uint32_t field, const void *data, size_t size)
{
    assert_int_equal(oto_pb_write_bytes(&out, field, oto_bytes(data, size)), OTO_OK);
}
static void put_text(uint32_t field, const char *v)
{
    put_bytes(field, v, strlen(v));
}
static void attribute(uint32_t field, const char *key, const char *value)
{
    open_(field);
    put_text(1, key);
    open_(2);
    put_text(1, value);
    close_(2);
}
static void attribute_int(uint32_t field, const char *key, int64_t value)
{
    open_(field);
    put_text(1, key);
    open_(2);
    put_uint(3, (uint64_t)value);
    close_(2);
}
static void message_begin(void)
{
    oto_buffer_release(&out);
    oto_buffer_init(&out, &oto_allocator_heap, 1u << 24);
    depth = 0;
}
static struct oto_bytes message(void)
{
    assert_int_equal(depth, 0);
    return oto_buffer_view(&out);
}

static const char trace_id[] = "0123456789abcdef", span_id[] = "12345678";

// A resource group and a scope group with everything in them, open for items.
static void groups_open(void)
{
    open_(1);
    open_(1);
    attribute(1, "service.name", "shop");
    attribute_int(1, "process.pid", -5);
    attribute(1, "k8s.pod.name", "pod-1");
    put_uint(2, 3);
    open_(3);
    put_text(1, "https://e/1");
    put_text(2, "service");
    put_text(3, "service.name");
    put_text(3, "a\"b");
    put_text(4, "process.pid");
    close_(2);
    put_text(3, "https://r/1");
    open_(2);
    open_(1);
    put_text(1, "lib");
    put_text(2, "1.2");
    attribute(3, "x", "y");
    put_uint(4, 2);
    close_(1);
    put_text(3, "https://s/1");
}

static void check_groups(const struct segment *s, enum oto_table table)
{
    assert_string_equal(text(column(s, table, "ServiceName"), 0), "shop");
    assert_string_equal(text(column(s, table, "ResourceSchemaUrl"), 0), "https://r/1");
    assert_string_equal(map(column(s, table, "ResourceAttributes"), 0),
                        "service.name=shop,process.pid=-5,k8s.pod.name=pod-1");
    assert_string_equal(text(column(s, table, "ResourceAttributesTypes"), 0), "sis");
    assert_int_equal(i64(column(s, table, "ResourceDroppedAttrCount"), 0), 3);
    assert_string_equal(text(column(s, table, "ResourceEntityRefs"), 0),
                        "[{\"schemaUrl\":\"https://e/1\",\"type\":\"service\",\"idKeys\":[\"service.name\",\"a\\\"b\"],"
                        "\"descriptionKeys\":[\"process.pid\"]}]");
    assert_string_equal(text(column(s, table, "K8sPodName"), 0), "pod-1");
    assert_true(is_null(column(s, table, "HostName"), 0));
    assert_string_equal(text(column(s, table, "ScopeName"), 0), "lib");
    assert_string_equal(text(column(s, table, "ScopeVersion"), 0), "1.2");
    assert_string_equal(map(column(s, table, "ScopeAttributes"), 0), "x=y");
    assert_string_equal(text(column(s, table, "ScopeAttributesTypes"), 0), "s");
    assert_int_equal(i64(column(s, table, "ScopeDroppedAttrCount"), 0), 2);
    assert_string_equal(text(column(s, table, "ScopeSchemaUrl"), 0), "https://s/1");
}

// --- logs ---

static void log_full(void)
{
    message_begin();
    groups_open();
    open_(2);
    put_f64(1, 1600000000000000777u);
    put_uint(2, 9);
    put_text(3, "INFO");
    open_(5);
    put_text(1, "hello");
    close_(1);
    attribute(6, "exception.type", "E");
    attribute_int(6, "n", 42);
    put_uint(7, 4);
    put_f32(8, 0x80000001u);
    put_bytes(9, trace_id, 16);
    put_bytes(10, span_id, 8);
    put_f64(11, 1600000001000000001u);
    put_text(12, "login");
    close_(3);
}

static void every_field_of_a_log_record_is_kept(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    log_full();
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
    assert_int_equal(s.result.accepted, 1);
    assert_int_equal(s.result.rows[OTO_TABLE_LOGS], 1);
    check_builders(&s);
    check_groups(&s, OTO_TABLE_LOGS);
    const enum oto_table t = OTO_TABLE_LOGS;
    assert_int_equal(i64(column(&s, t, "Timestamp"), 0), 1600000000000000);
    assert_int_equal(i64(column(&s, t, "TimestampNanoOfMicro"), 0), 777);
    assert_int_equal(i64(column(&s, t, "ObservedTimestamp"), 0), 1600000001000000);
    assert_int_equal(i64(column(&s, t, "ObservedTimestampNanoOfMicro"), 0), 1);
    assert_memory_equal(column(&s, t, "TraceId")->values, trace_id, 16);
    assert_memory_equal(column(&s, t, "SpanId")->values, span_id, 8);
    assert_int_equal(i64(column(&s, t, "TraceFlags"), 0), 0x80000001);
    assert_string_equal(text(column(&s, t, "SeverityText"), 0), "INFO");
    assert_int_equal(i64(column(&s, t, "SeverityNumber"), 0), 9);
    assert_string_equal(text(column(&s, t, "Body"), 0), "hello");
    assert_string_equal(text(column(&s, t, "BodyType"), 0), "s");
    assert_string_equal(map(column(&s, t, "LogAttributes"), 0), "exception.type=E,n=42");
    assert_string_equal(text(column(&s, t, "LogAttributesTypes"), 0), "si");
    assert_int_equal(i64(column(&s, t, "LogDroppedAttrCount"), 0), 4);
    assert_string_equal(text(column(&s, t, "EventName"), 0), "login");
    assert_string_equal(text(column(&s, t, "ExceptionType"), 0), "E");
    assert_true(is_null(column(&s, t, "ErrorType"), 0));
    segment_close(&s);
}

static void an_empty_log_record_differs_from_zeros_in_it(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    message_begin();
    open_(1); // no resource, no scope
    open_(2);
    open_(2);
    close_(1);
    open_(2);
    put_f64(11, 5000000);
    open_(5);
    close_(4);
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
    check_builders(&s);
    const enum oto_table t = OTO_TABLE_LOGS;
    assert_int_equal(i64(column(&s, t, "Timestamp"), 0), RECEIVED_NS / 1000);
    assert_true(is_null(column(&s, t, "TimestampNanoOfMicro"), 0));
    assert_true(is_null(column(&s, t, "ObservedTimestampNanoOfMicro"), 0));
    assert_true(is_null(column(&s, t, "TraceId"), 0));
    assert_string_equal(text(column(&s, t, "Body"), 0), "");
    assert_true(is_null(column(&s, t, "BodyType"), 0));
    assert_string_equal(text(column(&s, t, "ServiceName"), 0), "");
    assert_true(is_null(column(&s, t, "ResourceAttributesTypes"), 0));
    assert_true(is_null(column(&s, t, "ScopeAttributesTypes"), 0));
    assert_true(is_null(column(&s, t, "ResourceEntityRefs"), 0));
    assert_int_equal(i64(column(&s, t, "Timestamp"), 1), 5000);
    assert_true(is_null(column(&s, t, "TimestampNanoOfMicro"), 1));
    assert_int_equal(i64(column(&s, t, "ObservedTimestampNanoOfMicro"), 1), 0);
    assert_string_equal(text(column(&s, t, "BodyType"), 1), "n");
    segment_close(&s);
}

static void values_of_all_kinds_have_text_and_types(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    message_begin();
    open_(1), open_(2), open_(2);
    open_(6), put_text(1, "b"), open_(2), put_uint(2, 1), close_(2);
    open_(6), put_text(1, "i"), open_(2), put_uint(3, (uint64_t)INT64_MIN), close_(2);
    open_(6), put_text(1, "d"), open_(2), put_double(4, 0.5), close_(2);
    open_(6), put_text(1, "y"), open_(2), put_bytes(7, "\1\2\3", 3), close_(2);
    open_(6), put_text(1, "n"), open_(2), close_(2);
    open_(6), put_text(1, "-"), close_(1);
    open_(6), put_text(1, "a"), open_(2), open_(5);
    open_(1), put_uint(3, 2), close_(1);
    open_(1), open_(6), open_(1), put_text(1, "k"), open_(2), put_text(1, "v"), close_(4);
    close_(3);
    open_(6), put_text(1, "both"), open_(2), put_text(1, "first"), put_uint(3, 7), close_(2);
    close_(3);
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
    assert_string_equal(map(column(&s, OTO_TABLE_LOGS, "LogAttributes"), 0),
                        "b=true,i=-9223372036854775808,d=0.5,y=AQID,n=,-=,a=[2,{\"k\":\"v\"}],both=7");
    assert_string_equal(text(column(&s, OTO_TABLE_LOGS, "LogAttributesTypes"), 0), "bidyn-[i{s}]i");
    segment_close(&s);
}

static void fields_that_come_twice_merge_or_the_last_wins(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    message_begin();
    open_(1);
    open_(2);
    open_(2);
    put_text(3, "first"), put_text(3, "last");
    open_(5), open_(5), open_(1), put_uint(3, 1), close_(3);
    open_(5), open_(5), open_(1), put_uint(3, 2), close_(3);
    close_(1);
    put_text(3, "late schema");
    open_(1), put_text(1, "scope"), close_(1);
    open_(1), put_text(2, "9"), close_(1);
    close_(1);
    put_text(3, "url 1"), put_text(3, "url 2");
    open_(1), attribute(1, "a", "1"), close_(1);
    open_(1), attribute(1, "b", "2"), close_(1);
    close_(1);
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
    const enum oto_table t = OTO_TABLE_LOGS;
    assert_string_equal(text(column(&s, t, "SeverityText"), 0), "last");
    assert_string_equal(text(column(&s, t, "Body"), 0), "[1,2]");
    assert_string_equal(text(column(&s, t, "ScopeName"), 0), "scope");
    assert_string_equal(text(column(&s, t, "ScopeVersion"), 0), "9");
    assert_string_equal(text(column(&s, t, "ScopeSchemaUrl"), 0), "late schema");
    assert_string_equal(text(column(&s, t, "ResourceSchemaUrl"), 0), "url 2");
    assert_string_equal(map(column(&s, t, "ResourceAttributes"), 0), "a=1,b=2");
    segment_close(&s);
}

static void unknown_fields_and_overlong_tags_are_no_matter(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    static const char good[] = {0x0A, 0x14, 0x12, 0x12, 0x12, 0x0D, (char)0x90, 0x00, 0x09, 0x1A, (char)0x81, 0x00, 'X',
                                (char)0x9A, 0x06, 0x01, 'z', 0x70, 0x05, 0x1A, 0x01, 'u'};
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, oto_bytes(good, sizeof good)), OTO_OK);
    assert_int_equal(i64(column(&s, OTO_TABLE_LOGS, "SeverityNumber"), 0), 9);
    assert_string_equal(text(column(&s, OTO_TABLE_LOGS, "SeverityText"), 0), "X");
    assert_string_equal(text(column(&s, OTO_TABLE_LOGS, "ScopeSchemaUrl"), 0), "u");
    static const char field_zero[] = {0x0A, 0x04, 0x12, 0x02, 0x00, 0x00};
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, oto_bytes(field_zero, sizeof field_zero)), OTO_INVALID);
    segment_close(&s);
}

static void text_that_is_no_utf8_is_repaired_and_counted(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    message_begin();
    open_(1), open_(2), open_(2);
    put_text(3, "a\xFFz");
    attribute(6, "k\xC0", "v\xE2\x82");
    close_(3);
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
    assert_int_equal(s.result.utf8_repaired, 3);
    assert_string_equal(text(column(&s, OTO_TABLE_LOGS, "SeverityText"), 0), "a\xEF\xBF\xBDz");
    assert_string_equal(map(column(&s, OTO_TABLE_LOGS, "LogAttributes"), 0), "k\xEF\xBF\xBD=v\xEF\xBF\xBD");
    segment_close(&s);
}

static void resources_are_kept_once(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    log_full();
    for (int i = 0; i < 3; i++)
        assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
    check_builders(&s);
    assert_int_equal(s.builders[OTO_TABLE_LOGS].levels[0].count, 3);
    assert_int_equal(s.builders[OTO_TABLE_LOGS].levels[1].count, 1);
    assert_int_equal(s.builders[OTO_TABLE_LOGS].levels[2].count, 1);
    segment_close(&s);
}

static void configured_promotions_take_the_record_then_the_resource(void **state)
{
    (void)state;
    struct segment s;
    struct oto_promotion promotions[] = {{"acme.tenant", 10000}, {"acme.zone", 10001}};
    segment_open(&s, promotions, 2);
    message_begin();
    open_(1);
    open_(1), attribute(1, "acme.tenant", "resource"), attribute_int(1, "acme.zone", 1), close_(1);
    open_(2);
    open_(2), attribute(6, "acme.tenant", "record"), attribute(6, "acme.tenant", "again"), close_(1);
    open_(2), attribute(6, "acme.zone", "z"), close_(1);
    close_(2);
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
    const struct oto_column *tenant = column(&s, OTO_TABLE_LOGS, "AcmeTenant");
    const struct oto_column *zone = column(&s, OTO_TABLE_LOGS, "AcmeZone");
    assert_string_equal(text(tenant, 0), "record");
    assert_string_equal(text(tenant, 1), "resource");
    assert_true(is_null(zone, 0));
    assert_string_equal(text(zone, 1), "z");
    segment_close(&s);
}

// --- traces ---

static void span_open(const char *trace, size_t trace_size, const char *span, size_t span_size)
{
    open_(2);
    put_bytes(1, trace, trace_size);
    put_bytes(2, span, span_size);
}

static void span_full(void)
{
    message_begin();
    groups_open();
    span_open(trace_id, 16, span_id, 8);
    put_text(3, "a=1");
    put_bytes(4, "parent88", 8);
    put_text(5, "GET /");
    put_uint(6, 2);
    put_f64(7, 1600000000000000001u);
    put_f64(8, 1600000000000001501u);
    attribute(9, "http.route", "/x");
    attribute_int(9, "http.response.status_code", 404);
    put_uint(10, 1);
    open_(11), put_f64(1, 2001), put_text(2, "ev"), attribute(3, "ek", "evv"), put_uint(4, 6), close_(1);
    open_(11), close_(1);
    put_uint(12, 2);
    open_(13), put_bytes(1, trace_id, 16), put_bytes(2, span_id, 8), put_text(3, "ts"), attribute_int(4, "lk", 1);
    put_uint(5, 8), put_f32(6, 9), close_(1);
    put_uint(14, 3);
    open_(15), put_text(2, "boom"), put_uint(3, 2), close_(1);
    put_f32(16, 0x101);
    close_(3);
}

static void every_field_of_a_span_is_kept(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    span_full();
    assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, message()), OTO_OK);
    assert_int_equal(s.result.accepted, 1);
    check_builders(&s);
    const enum oto_table t = OTO_TABLE_TRACES;
    check_groups(&s, t);
    assert_int_equal(i64(column(&s, t, "Timestamp"), 0), 1600000000000000);
    assert_int_equal(i64(column(&s, t, "TimestampNanoOfMicro"), 0), 1);
    assert_int_equal(i64(column(&s, t, "Duration"), 0), 1500);
    assert_memory_equal(column(&s, t, "TraceId")->values, trace_id, 16);
    assert_memory_equal(column(&s, t, "ParentSpanId")->values, "parent88", 8);
    assert_string_equal(text(column(&s, t, "TraceState"), 0), "a=1");
    assert_string_equal(text(column(&s, t, "SpanName"), 0), "GET /");
    assert_string_equal(text(column(&s, t, "SpanKind"), 0), "Server");
    assert_string_equal(map(column(&s, t, "SpanAttributes"), 0), "http.route=/x,http.response.status_code=404");
    assert_int_equal(i64(column(&s, t, "SpanDroppedAttrCount"), 0), 1);
    assert_int_equal(i64(column(&s, t, "SpanFlags"), 0), 0x101);
    assert_string_equal(text(column(&s, t, "StatusCode"), 0), "Error");
    assert_string_equal(text(column(&s, t, "StatusMessage"), 0), "boom");
    assert_int_equal(i64(column(&s, t, "EventsDroppedCount"), 0), 2);
    assert_int_equal(i64(column(&s, t, "LinksDroppedCount"), 0), 3);
    assert_string_equal(text(column(&s, t, "HttpRoute"), 0), "/x");
    assert_int_equal(i64(column(&s, t, "HttpResponseStatusCode"), 0), 404);
    const struct oto_column *events = column(&s, t, "Events"), *links = column(&s, t, "Links");
    assert_int_equal(events->offsets[1], 2);
    assert_int_equal(i64(part(events, "Timestamp"), 0), 2);
    assert_int_equal(i64(part(events, "TimestampNanoOfMicro"), 0), 1);
    assert_true(is_null(part(events, "TimestampNanoOfMicro"), 1));
    assert_string_equal(text(part(events, "Name"), 0), "ev");
    assert_string_equal(map(part(events, "Attributes"), 0), "ek=evv");
    assert_string_equal(map(part(events, "Attributes"), 1), "");
    assert_string_equal(text(part(events, "AttributesTypes"), 0), "s");
    assert_int_equal(i64(part(events, "DroppedAttrCount"), 0), 6);
    assert_int_equal(links->offsets[1], 1);
    assert_memory_equal(part(links, "TraceId")->values, trace_id, 16);
    assert_memory_equal(part(links, "SpanId")->values, span_id, 8);
    assert_string_equal(text(part(links, "TraceState"), 0), "ts");
    assert_string_equal(map(part(links, "Attributes"), 0), "lk=1");
    assert_int_equal(i64(part(links, "DroppedAttrCount"), 0), 8);
    assert_int_equal(i64(part(links, "Flags"), 0), 9);
    segment_close(&s);
}

static void odd_spans_are_kept_as_they_are(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    message_begin();
    open_(1), open_(2);
    span_open(trace_id, 16, span_id, 8), put_uint(6, 77), close_(1);
    span_open(trace_id, 16, span_id, 8), put_f64(7, 10), put_f64(8, 3), open_(15), put_uint(3, 9), close_(2);
    span_open(trace_id, 16, span_id, 8), put_f64(8, 5000), close_(1);
    close_(2);
    assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, message()), OTO_OK);
    const enum oto_table t = OTO_TABLE_TRACES;
    assert_string_equal(text(column(&s, t, "SpanKind"), 0), "77");
    assert_true(is_null(column(&s, t, "Duration"), 0));
    assert_int_equal(i64(column(&s, t, "Timestamp"), 0), RECEIVED_NS / 1000);
    assert_string_equal(text(column(&s, t, "StatusCode"), 0), "Unset");
    assert_true(is_null(column(&s, t, "StatusMessage"), 0));
    assert_int_equal(i64(column(&s, t, "Duration"), 1), -7);
    assert_string_equal(text(column(&s, t, "StatusCode"), 1), "9");
    assert_string_equal(text(column(&s, t, "StatusMessage"), 1), "");
    assert_int_equal(i64(column(&s, t, "Timestamp"), 2), 5);
    assert_true(is_null(column(&s, t, "TimestampNanoOfMicro"), 2));
    assert_int_equal(i64(column(&s, t, "Duration"), 2), 5000);
    segment_close(&s);
}

static void items_with_bad_ids_are_refused_alone(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    static const char zero[16];
    message_begin();
    open_(1), open_(2);
    span_open(trace_id, 15, span_id, 8), attribute(9, "k", "v"), close_(1);
    span_open(zero, 16, span_id, 8), close_(1);
    span_open(trace_id, 16, span_id, 0), close_(1);
    span_open(trace_id, 16, span_id, 8), put_bytes(4, "xx", 2), close_(1);
    span_open(trace_id, 16, span_id, 8), open_(13), put_bytes(1, "x", 1), close_(2);
    span_open(trace_id, 16, span_id, 8), attribute(9, "good", "1"), close_(1);
    close_(2);
    assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, message()), OTO_OK);
    check_builders(&s);
    assert_int_equal(s.result.accepted, 1);
    assert_int_equal(s.result.rejected, 5);
    assert_string_equal(s.result.message, "trace_id of a span must be 16 bytes, not all zero");
    assert_string_equal(map(column(&s, OTO_TABLE_TRACES, "SpanAttributes"), 0), "good=1");

    message_begin();
    open_(1), open_(2);
    open_(2), put_bytes(9, "x", 1), attribute(6, "k", "v"), close_(1);
    open_(2), put_bytes(10, "x", 1), close_(1);
    open_(2), put_bytes(9, zero, 16), close_(1);
    close_(2);
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
    check_builders(&s);
    assert_int_equal(s.result.accepted, 1);
    assert_int_equal(s.result.rejected, 2);
    segment_close(&s);
}

static void too_many_attributes_refuse_what_has_them(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    s.limits.attributes_max = 2;
    message_begin();
    open_(1), open_(2);
    open_(2), attribute(6, "a", "1"), attribute(6, "b", "1"), close_(1);
    open_(2), attribute(6, "a", "1"), attribute(6, "b", "1"), attribute(6, "c", "1"), close_(1);
    close_(2);
    open_(1);
    open_(1), attribute(1, "a", "1"), attribute(1, "b", "1"), attribute(1, "c", "1"), close_(1);
    open_(2), open_(2), close_(1), open_(2), close_(3);
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
    check_builders(&s);
    assert_int_equal(s.result.accepted, 1);
    assert_int_equal(s.result.rejected, 3);
    assert_string_equal(s.result.message, "log record has too many attributes");
    segment_close(&s);
}

// --- metrics ---

static void exemplar(uint32_t field, int is_int)
{
    open_(field);
    attribute(7, "fk", "fv");
    put_f64(2, 3007);
    if (is_int)
        put_f64(6, (uint64_t)-2);
    else
        put_double(3, 2.5);
    put_bytes(4, span_id, 8);
    put_bytes(5, trace_id, 16);
    close_(1);
}

static void metric_open(const char *name)
{
    open_(2);
    put_text(1, name);
    put_text(2, "tells");
    put_text(3, "ms");
    attribute(12, "mk", "mv");
}

static void metrics_full(void)
{
    message_begin();
    groups_open();
    metric_open("g"), open_(5);
    open_(1), attribute(7, "http.route", "/a"), put_f64(2, 1001), put_f64(3, 2002), put_double(4, 1.5), put_uint(8, 1);
    exemplar(5, 0), exemplar(5, 1), close_(1);
    open_(1), put_f64(3, 2003), put_f64(6, (uint64_t)-7), attribute(7, "http.route", "/a"), close_(1);
    open_(1), close_(1);
    close_(2);
    metric_open("s"), open_(7), put_uint(2, 2), put_uint(3, 1);
    open_(1), put_f64(3, 9000), put_double(4, 0), close_(3);
    metric_open("h"), open_(9), put_uint(2, 1);
    open_(1), put_f64(3, 9000), put_f64(4, 6), put_double(5, 0.0);
    put_bytes(6, "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 16), put_f64(6, 3), put_double(7, 0.1), put_double(7, 0.2);
    put_double(11, -1), put_double(12, 8), exemplar(8, 1), attribute(9, "a", "1"), put_uint(10, 1), close_(1);
    open_(1), close_(3);
    metric_open("e"), open_(10), put_uint(2, 2);
    open_(1), attribute(1, "a", "1"), put_f64(3, 9000), put_f64(4, 6), put_double(5, 4), put_uint(6, 3), put_f64(7, 5);
    open_(8), put_uint(1, 4), put_bytes(2, "\1\xAC\x02", 3), put_uint(2, 9), close_(1);
    open_(8), put_uint(2, 1), close_(1);
    put_double(14, 0.25), exemplar(11, 0), put_double(12, 1), put_double(13, 2), close_(3);
    metric_open("q"), open_(11);
    open_(1), attribute(7, "a", "1"), put_f64(3, 9000), put_f64(4, 2), put_double(5, 3);
    open_(6), put_double(1, 0.5), put_double(2, 1.5), close_(1), open_(6), close_(1), close_(3);
    close_(2);
}

static void every_field_of_points_is_kept(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    metrics_full();
    assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_OK);
    assert_int_equal(s.result.accepted, 8);
    check_builders(&s);
    for (int t = OTO_TABLE_GAUGE; t < OTO_TABLE_COUNT; t++) {
        check_groups(&s, (enum oto_table)t);
        assert_string_equal(text(column(&s, (enum oto_table)t, "MetricDescription"), 0), "tells");
        assert_string_equal(text(column(&s, (enum oto_table)t, "MetricUnit"), 0), "ms");
        assert_string_equal(map(column(&s, (enum oto_table)t, "MetricMetadata"), 0), "mk=mv");
    }
    enum oto_table t = OTO_TABLE_GAUGE;
    assert_int_equal(s.builders[t].levels[1].count, 2); // two series of three points
    assert_string_equal(text(column(&s, t, "MetricName"), 0), "g");
    assert_string_equal(map(column(&s, t, "Attributes"), 0), "http.route=/a");
    assert_string_equal(text(column(&s, t, "HttpRoute"), 0), "/a");
    assert_int_equal(strlen(text(column(&s, t, "SeriesId"), 0)), 32);
    assert_int_equal(i64(column(&s, t, "StartTimeUnix"), 0), 1);
    assert_int_equal(i64(column(&s, t, "StartTimeUnixNanoOfMicro"), 0), 1);
    assert_true(is_null(column(&s, t, "StartTimeUnixNanoOfMicro"), 1));
    assert_int_equal(i64(column(&s, t, "TimeUnixNanoOfMicro"), 0), 2);
    assert_int_equal(i64(column(&s, t, "TimeUnix"), 2), RECEIVED_NS / 1000);
    assert_true(f64(column(&s, t, "Value"), 0) == 1.5);
    assert_true(is_null(column(&s, t, "ValueInt"), 0));
    assert_true(f64(column(&s, t, "Value"), 1) == -7);
    assert_int_equal(i64(column(&s, t, "ValueInt"), 1), -7);
    assert_true(is_null(column(&s, t, "Value"), 2));
    assert_int_equal(i64(column(&s, t, "Flags"), 0), 1);
    const struct oto_column *exemplars = column(&s, t, "Exemplars");
    assert_int_equal(exemplars->offsets[1], 2);
    assert_string_equal(map(part(exemplars, "FilteredAttributes"), 0), "fk=fv");
    assert_int_equal(i64(part(exemplars, "TimeUnixNanoOfMicro"), 0), 7);
    assert_true(f64(part(exemplars, "Value"), 0) == 2.5);
    assert_int_equal(i64(part(exemplars, "ValueInt"), 1), -2);
    assert_memory_equal(part(exemplars, "TraceId")->values, trace_id, 16);
    t = OTO_TABLE_SUM;
    assert_int_equal(i64(column(&s, t, "AggregationTemporality"), 0), 2);
    assert_int_equal(i64(column(&s, t, "IsMonotonic"), 0), 1);
    assert_true(f64(column(&s, t, "Value"), 0) == 0);
    t = OTO_TABLE_HISTOGRAM;
    assert_int_equal(i64(column(&s, t, "Count"), 0), 6);
    assert_true(f64(column(&s, t, "Sum"), 0) == 0);
    assert_true(is_null(column(&s, t, "Sum"), 1));
    assert_int_equal(column(&s, t, "BucketCounts")->offsets[1], 3);
    assert_int_equal(i64(&column(&s, t, "BucketCounts")->children[0], 2), 3);
    assert_true(f64(&column(&s, t, "ExplicitBounds")->children[0], 1) == 0.2);
    assert_true(f64(column(&s, t, "Min"), 0) == -1);
    assert_true(f64(column(&s, t, "Max"), 0) == 8);
    t = OTO_TABLE_EXPONENTIAL_HISTOGRAM;
    assert_int_equal(i64(column(&s, t, "Scale"), 0), -2);
    assert_int_equal(i64(column(&s, t, "ZeroCount"), 0), 5);
    assert_int_equal(i64(column(&s, t, "PositiveOffset"), 0), 2);
    assert_int_equal(column(&s, t, "PositiveBucketCounts")->offsets[1], 4);
    assert_int_equal(i64(&column(&s, t, "PositiveBucketCounts")->children[0], 1), 300);
    assert_true(is_null(column(&s, t, "NegativeOffset"), 0));
    assert_true(f64(column(&s, t, "ZeroThreshold"), 0) == 0.25);
    t = OTO_TABLE_SUMMARY;
    assert_true(f64(column(&s, t, "Sum"), 0) == 3);
    assert_int_equal(column(&s, t, "ValueAtQuantiles")->offsets[1], 2);
    assert_true(f64(part(column(&s, t, "ValueAtQuantiles"), "Value"), 0) == 1.5);
    segment_close(&s);
}

static void series(const char *name, const char *keys, int is_split)
{
    message_begin();
    open_(1);
    open_(1), attribute(1, "service.name", "x"), close_(1);
    open_(2), open_(2), put_text(1, name), open_(5), open_(1);
    for (; *keys; keys++) {
        char key[2] = {*keys, 0};
        attribute(7, key, "v");
        if (is_split)
            put_f64(3, 1);
    }
    close_(5);
}

static void series_ids_do_not_depend_on_the_order_of_attributes(void **state)
{
    (void)state;
    struct segment s;
    char ids[4][64];
    static const struct {
        const char *name, *keys;
        int is_split;
    } cases[] = {{"m", "ab", 0}, {"m", "ba", 1}, {"m", "abc", 0}, {"n", "ab", 0}};
    segment_open(&s, NULL, 0);
    for (uint32_t i = 0; i < 4; i++) {
        series(cases[i].name, cases[i].keys, cases[i].is_split);
        assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_OK);
        snprintf(ids[i], sizeof ids[i], "%s", text(column(&s, OTO_TABLE_GAUGE, "SeriesId"), i));
    }
    assert_string_equal(ids[0], ids[1]);
    assert_string_not_equal(ids[0], ids[2]);
    assert_string_not_equal(ids[0], ids[3]);
    // The same bytes for ever: SeriesId lies in files.
    assert_string_equal(ids[0], "1e33af1594f7511a481846c4da038b84");
    segment_close(&s);
}

// --- failures ---

static void errors_tell_the_place(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    message_begin();
    open_(1), open_(2), open_(2), close_(1);
    open_(2), attribute(6, "k", "v");
    open_(6), put_uint(1, 5), close_(1); // key as a number
    close_(3);
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_INVALID);
    assert_string_equal(s.err.message,
                        "resource_logs[0].scope_logs[0].log_records[1].attributes[1]: wrong wire type");
    assert_true(s.err.offset != OTO_OFFSET_NONE && s.err.offset < message().size);
    message_begin();
    open_(1), open_(1), put_uint(1, 1), close_(1), open_(2), metric_open("m"), open_(5), open_(1), close_(5);
    assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_INVALID);
    assert_string_equal(s.err.message, "resource_metrics[0].resource: wrong wire type");
    message_begin();
    open_(1), open_(2), metric_open("m"), open_(5), open_(1), put_uint(7, 1), close_(5);
    assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_INVALID);
    assert_string_equal(s.err.message,
                        "resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]: wrong wire type");
    check_builders(&s);
    segment_close(&s);
}

static void values_may_nest_only_so_deep(void **state)
{
    (void)state;
    for (uint32_t levels = 99; levels <= 100; levels++) {
        struct segment s;
        struct oto_buffer inner, outer;
        segment_open(&s, NULL, 0);
        message_begin();
        oto_buffer_init(&inner, &oto_allocator_heap, 1u << 20);
        oto_buffer_init(&outer, &oto_allocator_heap, 1u << 20);
        for (uint32_t i = 0; i < levels; i++) { // AnyValue{5: ArrayValue{1: inner}}
            out.size = outer.size = 0;
            assert_int_equal(oto_pb_write_bytes(&outer, 1, oto_buffer_view(&inner)), OTO_OK);
            assert_int_equal(oto_pb_write_bytes(&out, 5, oto_buffer_view(&outer)), OTO_OK);
            inner.size = 0;
            assert_int_equal(oto_buffer_append(&inner, out.data, out.size), OTO_OK);
        }
        out.size = 0;
        open_(1), open_(2), open_(2), put_bytes(5, inner.data, inner.size), close_(3);
        assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), levels == 99 ? OTO_OK : OTO_INVALID);
        oto_buffer_release(&inner);
        oto_buffer_release(&outer);
        segment_close(&s);
    }
}

static uint64_t fingerprint(const struct segment *s)
{
    uint64_t sum = 0;
    uint32_t mark[4096];
    for (int i = 0; i < OTO_SIGNAL_COUNT; i++) {
        size_t size = oto_otlp_mark_size(s->decoder, (enum oto_signal)i);
        assert_true(size <= sizeof mark);
        oto_otlp_mark(s->decoder, (enum oto_signal)i, mark);
        for (size_t k = 0; k < size / 4; k++)
            sum = sum * 1000003 + mark[k];
    }
    return sum;
}

// Each prefix of a full request is malformed, or a request with fewer rows; what fails leaves the builders as they were,
// and what comes after a failure is stored as ever.
static void truncated_requests_leave_no_trace(void **state)
{
    (void)state;
    static void (*const makers[])(void) = {log_full, span_full, metrics_full};
    for (int signal = 0; signal < OTO_SIGNAL_COUNT; signal++) {
        struct segment s;
        segment_open(&s, NULL, 0);
        makers[signal]();
        uint8_t *copy = malloc(message().size);
        memcpy(copy, message().data, message().size);
        size_t size = message().size, failures = 0;
        for (size_t cut = 0; cut < size; cut++) {
            uint8_t *exact = malloc(cut + !cut); // so that a sanitizer sees a read past its end
            memcpy(exact, copy, cut);
            uint64_t before = fingerprint(&s);
            if (decode(&s, (enum oto_signal)signal, oto_bytes(exact, cut)) != OTO_OK) {
                assert_true(fingerprint(&s) == before);
                failures++;
            }
            free(exact);
            check_builders(&s);
        }
        assert_true(failures >= size - 2);
        assert_int_equal(decode(&s, (enum oto_signal)signal, oto_bytes(copy, size)), OTO_OK);
        check_builders(&s);
        check_groups(&s, signal == 2 ? OTO_TABLE_SUM : (enum oto_table)signal);
        free(copy);
        segment_close(&s);
    }
}

static void mutated_requests_break_nothing(void **state)
{
    (void)state;
    static void (*const makers[])(void) = {log_full, span_full, metrics_full};
    uint32_t random = 2463534242u;
    for (int signal = 0; signal < OTO_SIGNAL_COUNT; signal++) {
        struct segment s;
        segment_open(&s, NULL, 0);
        makers[signal]();
        size_t size = message().size;
        for (int round = 0; round < 3000; round++) {
            uint8_t *copy = malloc(size);
            memcpy(copy, message().data, size);
            for (int i = 0; i <= round % 4; i++) {
                random ^= random << 13, random ^= random >> 17, random ^= random << 5;
                copy[random % size] = (uint8_t)(random >> 24);
            }
            uint64_t before = fingerprint(&s);
            if (decode(&s, (enum oto_signal)signal, oto_bytes(copy, size)) != OTO_OK)
                assert_true(fingerprint(&s) == before);
            free(copy);
            if (round % 100 == 0)
                check_builders(&s);
        }
        check_builders(&s);
        segment_close(&s);
    }
}

// An allocator that fails at the n-th call.
struct failing {
    int left;
};
static void *failing_alloc(void *state, size_t size)
{
    struct failing *f = state;
    return f->left-- > 0 ? malloc(size) : NULL;
}
static void *failing_resize(void *state, void *block, size_t old_size, size_t size)
{
    struct failing *f = state;
    (void)old_size;
    return f->left-- > 0 ? realloc(block, size) : NULL;
}
static void failing_free(void *state, void *block, size_t size)
{
    (void)state, (void)size;
    free(block);
}

static void no_memory_leaves_no_trace(void **state)
{
    (void)state;
    int done = 0;
    for (int n = 0; !done; n++) {
        struct failing failing = {1 << 20};
        struct oto_allocator allocator = {failing_alloc, failing_resize, failing_free, &failing};
        struct segment s;
        struct oto_builder *list[OTO_TABLE_COUNT];
        segment_open(&s, NULL, 0);
        for (int t = 0; t < OTO_TABLE_COUNT; t++)
            list[t] = &s.builders[t];
        failing.left = n;
        struct oto_otlp_decoder *d = oto_otlp_decoder_new(&allocator, s.schemas, list);
        if (d) {
            oto_otlp_decoder_free(s.decoder);
            s.decoder = d;
            metrics_full();
            uint64_t before = fingerprint(&s);
            enum oto_status status = decode(&s, OTO_SIGNAL_METRICS, message());
            assert_true(status == OTO_OK || status == OTO_NO_MEMORY);
            if (status != OTO_OK)
                assert_true(fingerprint(&s) == before);
            failing.left = 1 << 20;
            assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_OK);
            check_builders(&s);
            done = status == OTO_OK;
        }
        segment_close(&s);
    }
}

static void a_rolled_back_request_can_come_again(void **state)
{
    (void)state;
    struct segment s;
    uint32_t mark[1024];
    segment_open(&s, NULL, 0);
    assert_true(oto_otlp_mark_size(s.decoder, OTO_SIGNAL_TRACES) <= sizeof mark);
    oto_otlp_mark(s.decoder, OTO_SIGNAL_TRACES, mark);
    for (int i = 0; i < 3; i++) {
        span_full();
        assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, message()), OTO_OK);
        if (i == 2)
            break;
        oto_otlp_rollback(s.decoder, OTO_SIGNAL_TRACES, mark);
        assert_int_equal(s.builders[OTO_TABLE_TRACES].levels[0].count, 0);
        // Other keys take the same codes.
        message_begin();
        open_(1), open_(2), span_open(trace_id, 16, span_id, 8), attribute(9, "http.route", "q"), close_(3);
        assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, message()), OTO_OK);
        assert_string_equal(text(column(&s, OTO_TABLE_TRACES, "HttpRoute"), 0), "q");
        oto_otlp_rollback(s.decoder, OTO_SIGNAL_TRACES, mark);
    }
    check_builders(&s);
    check_groups(&s, OTO_TABLE_TRACES);
    assert_string_equal(text(column(&s, OTO_TABLE_TRACES, "HttpRoute"), 0), "/x");
    assert_string_equal(map(column(&s, OTO_TABLE_TRACES, "SpanAttributes"), 0),
                        "http.route=/x,http.response.status_code=404");
    segment_close(&s);
}

static int release_out(void **state)
{
    (void)state;
    oto_buffer_release(&out);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_a_log_record_is_kept),
        cmocka_unit_test(an_empty_log_record_differs_from_zeros_in_it),
        cmocka_unit_test(values_of_all_kinds_have_text_and_types),
        cmocka_unit_test(fields_that_come_twice_merge_or_the_last_wins),
        cmocka_unit_test(unknown_fields_and_overlong_tags_are_no_matter),
        cmocka_unit_test(text_that_is_no_utf8_is_repaired_and_counted),
        cmocka_unit_test(resources_are_kept_once),
        cmocka_unit_test(configured_promotions_take_the_record_then_the_resource),
        cmocka_unit_test(every_field_of_a_span_is_kept),
        cmocka_unit_test(odd_spans_are_kept_as_they_are),
        cmocka_unit_test(items_with_bad_ids_are_refused_alone),
        cmocka_unit_test(too_many_attributes_refuse_what_has_them),
        cmocka_unit_test(every_field_of_points_is_kept),
        cmocka_unit_test(series_ids_do_not_depend_on_the_order_of_attributes),
        cmocka_unit_test(errors_tell_the_place),
        cmocka_unit_test(values_may_nest_only_so_deep),
        cmocka_unit_test(truncated_requests_leave_no_trace),
        cmocka_unit_test(mutated_requests_break_nothing),
        cmocka_unit_test(no_memory_leaves_no_trace),
        cmocka_unit_test(a_rolled_back_request_can_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, release_out);
}
