// OTLP requests become rows: every field of every signal, and what is refused of them.
#include "otlp_segment.h"

// --- logs ---

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
    assert_string_equal(
        map(column(&s, OTO_TABLE_LOGS, "LogAttributes"), 0),
        "b=true,i=-9223372036854775808,d=0.5,y=AQID,n=,-=,a=[2,{\"k\":\"v\"}],both=7");
    assert_string_equal(text(column(&s, OTO_TABLE_LOGS, "LogAttributesTypes"), 0), "bidyn-[i{s}]i");
    segment_close(&s);
}

static void pairs_that_come_again_are_what_they_were(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    message_begin();
    open_(1), open_(2);
    for (int i = 0; i < 4; i++) {
        open_(2);
        attribute(6, "http.route", "/carts/one"), attribute(6, "http.routes", "carts/one");
        attribute_int(6, "thread.number", 7),
            attribute(6, "thread.number", i % 2 ? "7" : "\xFF long and wrong");
        attribute(6, "exception.type", i == 2 ? "Timeout" : "");
        close_(1);
    }
    close_(2);
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
    check_builders(&s);
    const struct oto_column *attributes = column(&s, OTO_TABLE_LOGS, "LogAttributes");
    for (uint32_t i = 0; i < 4; i++) {
        char expected[128];
        snprintf(expected, sizeof expected,
                 "http.route=/carts/one,http.routes=carts/"
                 "one,thread.number=7,thread.number=%s,exception.type=%s",
                 i % 2 ? "7" : "\xEF\xBF\xBD long and wrong", i == 2 ? "Timeout" : "");
        assert_string_equal(map(attributes, i), expected);
        assert_string_equal(text(column(&s, OTO_TABLE_LOGS, "LogAttributesTypes"), i), "ssiss");
    }
    assert_int_equal(s.result.utf8_repaired, 2);
    segment_close(&s);
}

// A key with a new value in every record is no longer looked up after some hundreds; when its
// values begin to repeat, it is again. The other key's values are found all the time.
static void unique_values_are_kept_without_a_look(void **state)
{
    (void)state;
    enum { RECORDS = 2000, UNIQUE = 1000 };
    struct segment s;
    char value[32];
    segment_open(&s, NULL, 0);
    for (uint32_t from = 0; from < RECORDS; from += 100) {
        message_begin();
        open_(1), open_(2);
        for (uint32_t i = from; i < from + 100; i++) {
            open_(2);
            snprintf(value, sizeof value, "request-%u", i < UNIQUE ? i : UNIQUE + i % 2);
            attribute(6, "request.id", value);
            snprintf(value, sizeof value, "route-%u", i % 50 ? i % 200 : i);
            attribute(6, "route", value);
            close_(1);
        }
        close_(2);
        size_t mark_size = oto_otlp_mark_size(s.decoder, OTO_SIGNAL_LOGS);
        uint32_t *mark = malloc(mark_size);
        oto_otlp_mark(s.decoder, OTO_SIGNAL_LOGS, mark);
        assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
        if (from == 800) {
            oto_otlp_rollback(s.decoder, OTO_SIGNAL_LOGS, mark);
            assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
        }
        free(mark);
    }
    check_builders(&s);
    const struct oto_column *attributes = column(&s, OTO_TABLE_LOGS, "LogAttributes");
    for (uint32_t i = 0; i < RECORDS; i++) {
        char expected[64];
        snprintf(expected, sizeof expected, "request.id=request-%u,route=route-%u",
                 i < UNIQUE ? i : UNIQUE + i % 2, i % 50 ? i % 200 : i);
        assert_string_equal(map(attributes, i), expected);
    }
    const struct oto_dictionary *values = attributes->children[1].dictionary;
    uint32_t distinct = UNIQUE + 2 + 200 + (RECORDS - 200) / 50;
    assert_false(oto_dictionary_is_distinct(values));
    assert_in_range(values->count, distinct, distinct + 400);
    segment_close(&s);
}

// Promoted columns that records lack are filled up when one has a value, and when the request ends.
static void promoted_columns_have_a_value_a_row(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    for (int request = 0; request < 2; request++) {
        message_begin();
        open_(1), open_(2);
        for (int i = 0; i < 20; i++) {
            span_open(trace_id, 16, span_id, 8);
            if (i == 9 || i == 11)
                attribute(9, "http.route", i == 9 ? "/nine" : "/eleven");
            close_(1);
        }
        close_(2);
        assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, message()), OTO_OK);
        check_builders(&s);
    }
    const struct oto_column *route = column(&s, OTO_TABLE_TRACES, "HttpRoute");
    for (uint32_t i = 0; i < 40; i++) {
        if (i % 20 == 9 || i % 20 == 11)
            assert_string_equal(text(route, i), i % 20 == 9 ? "/nine" : "/eleven");
        else
            assert_true(is_null(route, i));
    }
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
    static const char good[] = {0x0A, 0x14, 0x12,       0x12, 0x12, 0x0D,       (char)0x90, 0x00,
                                0x09, 0x1A, (char)0x81, 0x00, 'X',  (char)0x9A, 0x06,       0x01,
                                'z',  0x70, 0x05,       0x1A, 0x01, 'u'};
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, oto_bytes(good, sizeof good)), OTO_OK);
    assert_int_equal(i64(column(&s, OTO_TABLE_LOGS, "SeverityNumber"), 0), 9);
    assert_string_equal(text(column(&s, OTO_TABLE_LOGS, "SeverityText"), 0), "X");
    assert_string_equal(text(column(&s, OTO_TABLE_LOGS, "ScopeSchemaUrl"), 0), "u");
    static const char field_zero[] = {0x0A, 0x04, 0x12, 0x02, 0x00, 0x00};
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, oto_bytes(field_zero, sizeof field_zero)),
                     OTO_INVALID);
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
    assert_string_equal(map(column(&s, OTO_TABLE_LOGS, "LogAttributes"), 0),
                        "k\xEF\xBF\xBD=v\xEF\xBF\xBD");
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

// A metric of each kind, each with a point: five tables that have the resource.
static void metric_of_each_kind(void)
{
    static const uint32_t kinds[] = {5, 7, 9, 10, 11};
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        open_(2), put_text(1, "m"), open_(kinds[i]);
        open_(1), put_f64(3, 1600000000000000000u), close_(3);
    }
}

static struct oto_bytes resource_value(const struct segment *s, int table)
{
    const struct oto_column *c = column(s, (enum oto_table)table, "ResourceAttributes");
    assert_int_equal(c->offsets[1] - c->offsets[0], 1);
    return c->children[1].dictionary->entries[((const uint32_t *)c->children[1].values)[0]];
}

enum { LONG_TEXT = 300000 }; // a multiple of the few bytes that a request may take anyway

// Each table repairs it anew: what that takes is no matter of how many there are.
static void a_long_text_is_repaired_for_each_table(void **state)
{
    (void)state;
    char *long_text = malloc(LONG_TEXT);
    for (int is_bad_throughout = 0; is_bad_throughout < 2; is_bad_throughout++) {
        struct segment s;
        segment_open(&s, NULL, 0);
        memset(long_text, is_bad_throughout ? 0xFF : 'x', LONG_TEXT);
        long_text[LONG_TEXT - 1] = (char)0xE2;
        message_begin();
        open_(1), open_(1), open_(1), put_text(1, "k");
        open_(2), put_bytes(1, long_text, LONG_TEXT), close_(3);
        open_(2), open_(1), put_bytes(1, long_text, LONG_TEXT), close_(1);
        metric_of_each_kind();
        close_(2);
        assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_OK);
        assert_int_equal(s.result.accepted, 5);
        assert_int_equal(s.result.utf8_repaired, 10);
        for (int t = OTO_TABLE_GAUGE; t <= OTO_TABLE_SUMMARY; t++) {
            struct oto_bytes value = resource_value(&s, t);
            assert_int_equal(value.size, is_bad_throughout ? 3 * LONG_TEXT : LONG_TEXT + 2);
            assert_memory_equal(value.data + value.size - 3, "\xEF\xBF\xBD", 3);
            assert_memory_equal(value.data, is_bad_throughout ? "\xEF\xBF\xBD" : "xxx", 3);
        }
        check_builders(&s);
        segment_close(&s);
    }
    free(long_text);
}

// A value given in two parts that is a list in two parts, for five tables.
static void repeated_fields_are_joined_for_each_table(void **state)
{
    (void)state;
    struct segment s;
    char *long_text = malloc(LONG_TEXT);
    memset(long_text, 'x', LONG_TEXT);
    segment_open(&s, NULL, 0);
    message_begin();
    open_(1), open_(1), open_(1), put_text(1, "k");
    for (int part = 0; part < 2; part++) // KeyValue.value{array_value{values{string_value}}}
        open_(2), open_(5), open_(1), put_bytes(1, long_text, LONG_TEXT), close_(3);
    close_(2);
    open_(2);
    metric_of_each_kind();
    close_(2);
    assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_OK);
    assert_int_equal(s.result.accepted, 5);
    for (int t = OTO_TABLE_GAUGE; t <= OTO_TABLE_SUMMARY; t++) {
        struct oto_bytes value = resource_value(&s, t);
        assert_int_equal(value.size, 2 * LONG_TEXT + sizeof "['','']" - 1);
        assert_memory_equal(value.data + LONG_TEXT, "xx\",\"xx", 7);
    }
    check_builders(&s);
    segment_close(&s);
    free(long_text);
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
    open_(2), attribute(6, "acme.tenant", "record"), attribute(6, "acme.tenant", "again"),
        close_(1);
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
    assert_string_equal(map(column(&s, t, "SpanAttributes"), 0),
                        "http.route=/x,http.response.status_code=404");
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
    span_open(trace_id, 16, span_id, 8), put_f64(7, 10), put_f64(8, 3), open_(15), put_uint(3, 9),
        close_(2);
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

static void three_attributes(uint32_t field)
{
    attribute(field, "a", "1"), attribute(field, "b", "2"), attribute(field, "c", "3");
}

// What an item holds has as many as come: an item is not lost for them.
static void attributes_of_what_an_item_holds_are_not_limited(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    s.limits.attributes_max = 2;
    message_begin();
    open_(1), open_(2), span_open(trace_id, 16, span_id, 8);
    open_(11), three_attributes(3), close_(1);
    open_(13), put_bytes(1, trace_id, 16), put_bytes(2, span_id, 8), three_attributes(4);
    close_(4);
    assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, message()), OTO_OK);
    assert_int_equal(s.result.accepted, 1);
    assert_string_equal(map(part(column(&s, OTO_TABLE_TRACES, "Events"), "Attributes"), 0),
                        "a=1,b=2,c=3");
    assert_string_equal(map(part(column(&s, OTO_TABLE_TRACES, "Links"), "Attributes"), 0),
                        "a=1,b=2,c=3");
    message_begin();
    open_(1), open_(2), open_(2), three_attributes(12), open_(5), open_(1);
    open_(5), three_attributes(7);
    close_(6);
    assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_OK);
    assert_int_equal(s.result.accepted, 1);
    assert_string_equal(map(column(&s, OTO_TABLE_GAUGE, "MetricMetadata"), 0), "a=1,b=2,c=3");
    assert_string_equal(
        map(part(column(&s, OTO_TABLE_GAUGE, "Exemplars"), "FilteredAttributes"), 0),
        "a=1,b=2,c=3");
    check_builders(&s);
    segment_close(&s);
}

// Of a resource with two attributes: three rows, two of a scope with one; a row of none.
static void shared_logs(void)
{
    message_begin();
    open_(1);
    open_(1), attribute(1, "a", "1"), attribute(1, "b", "1"), close_(1);
    open_(2), open_(1), attribute(3, "x", "1"), close_(1);
    open_(2), close_(1), open_(2), attribute(6, "own", "1"), close_(2);
    open_(2), open_(2), close_(3);
    open_(1), open_(2), open_(2), close_(3);
}

// Three points of a metric with two attributes and a resource with one; that of their own is not
// shared.
static void shared_points(void)
{
    message_begin();
    open_(1), open_(1), attribute(1, "a", "1"), close_(1);
    open_(2), open_(2), attribute(12, "m", "1"), attribute(12, "n", "1"), open_(5);
    for (int i = 0; i < 3; i++)
        open_(1), attribute(7, "s", "1"), close_(1);
    close_(4);
}

static void what_rows_share_is_counted_for_each_and_limited(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    for (int again = 0; again < 2; again++) {
        shared_logs();
        s.limits.shared_values_max = 7;
        assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_INVALID);
        assert_non_null(strstr(s.err.message, ": 8 of them, the limit of a request is 7;"));
        assert_int_equal(s.builders[OTO_TABLE_LOGS].levels[0].count, 4 * again);
        s.limits.shared_values_max = 8;
        assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
        assert_int_equal(s.result.shared_values, 2 * (2 + 1) + 2);
        shared_points();
        assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_INVALID);
        s.limits.shared_values_max = 0;
        assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_OK);
        assert_int_equal(s.result.shared_values, 3 * (2 + 1));
        check_builders(&s);
    }
    segment_close(&s);
}

static void rows_may_take_so_much_memory(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    for (int again = 0; again < 2; again++) {
        message_begin();
        open_(1), open_(2);
        for (int i = 0; i < 100; i++) // 128 bytes each
            open_(2), close_(1);
        close_(2);
        s.limits.row_bytes_max = 100 * 128 - 1;
        assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_INVALID);
        assert_non_null(strstr(s.err.message, "of memory that those of a request may;"));
        assert_int_equal(s.builders[OTO_TABLE_LOGS].levels[0].count, 100 * again);
        s.limits.row_bytes_max = 100 * 128;
        assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
        check_builders(&s);
    }
    segment_close(&s);
}

// --- metrics ---

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
    assert_string_equal(ids[0], "4ff0efe769c1f50aa0af3e4e60c3f3be");
    segment_close(&s);
}

// A point with an attribute for each letter: n a NaN of its own bits, N an array with one and a
// true, s and i a string and an integer that look the same, l a list.
static void put_odd(char letter)
{
    open_(7), put_text(1, letter == 's' || letter == 'i' ? "1" : (char[]){letter, 0}), open_(2);
    if (letter == 'n')
        put_f64(4, 0xFFF8000000000000u);
    else if (letter == 'N')
        open_(5), open_(1), put_f64(4, 0x7FF80000DEADBEEFu), close_(1), open_(1), put_uint(2, 1),
            close_(2);
    else if (letter == 's')
        put_text(1, "1");
    else if (letter == 'i')
        put_uint(3, 1);
    else
        open_(6), attribute(1, "k", "v"), close_(1);
    close_(2);
}

static void a_nan_of_its_own_is_one_attribute_of_a_series(void **state)
{
    (void)state;
    static const char *const sets[] = {"nNsl", "lsNn", "sNln", "nNil", "iNln", "sl", "ls", "il"};
    struct segment s;
    char ids[8][64];
    segment_open(&s, NULL, 0);
    for (uint32_t i = 0; i < 8; i++) {
        message_begin();
        open_(1), open_(2), metric_open("m"), open_(5), open_(1);
        for (const char *letter = sets[i]; *letter; letter++)
            put_odd(*letter);
        close_(5);
        assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_OK);
        snprintf(ids[i], sizeof ids[i], "%s", text(column(&s, OTO_TABLE_GAUGE, "SeriesId"), i));
    }
    // The same bytes for ever.
    assert_string_equal(ids[5], "59885c1a579f92f59a197fc4e18bb8bc");
    assert_string_equal(ids[0], ids[1]);
    assert_string_equal(ids[0], ids[2]);
    assert_string_equal(ids[3], ids[4]);
    assert_string_not_equal(ids[0], ids[3]);
    assert_string_equal(ids[5], ids[6]);
    assert_string_not_equal(ids[5], ids[7]);
    segment_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_field_of_a_log_record_is_kept),
        cmocka_unit_test(an_empty_log_record_differs_from_zeros_in_it),
        cmocka_unit_test(values_of_all_kinds_have_text_and_types),
        cmocka_unit_test(pairs_that_come_again_are_what_they_were),
        cmocka_unit_test(unique_values_are_kept_without_a_look),
        cmocka_unit_test(promoted_columns_have_a_value_a_row),
        cmocka_unit_test(fields_that_come_twice_merge_or_the_last_wins),
        cmocka_unit_test(unknown_fields_and_overlong_tags_are_no_matter),
        cmocka_unit_test(text_that_is_no_utf8_is_repaired_and_counted),
        cmocka_unit_test(a_long_text_is_repaired_for_each_table),
        cmocka_unit_test(repeated_fields_are_joined_for_each_table),
        cmocka_unit_test(resources_are_kept_once),
        cmocka_unit_test(configured_promotions_take_the_record_then_the_resource),
        cmocka_unit_test(every_field_of_a_span_is_kept),
        cmocka_unit_test(odd_spans_are_kept_as_they_are),
        cmocka_unit_test(items_with_bad_ids_are_refused_alone),
        cmocka_unit_test(too_many_attributes_refuse_what_has_them),
        cmocka_unit_test(attributes_of_what_an_item_holds_are_not_limited),
        cmocka_unit_test(what_rows_share_is_counted_for_each_and_limited),
        cmocka_unit_test(rows_may_take_so_much_memory),
        cmocka_unit_test(every_field_of_points_is_kept),
        cmocka_unit_test(series_ids_do_not_depend_on_the_order_of_attributes),
        cmocka_unit_test(a_nan_of_its_own_is_one_attribute_of_a_series),
    };
    return cmocka_run_group_tests(tests, NULL, release_out);
}
