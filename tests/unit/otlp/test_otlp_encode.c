// Rows become OTLP again: what is decoded, encoded and decoded is what it was.
#include "otlp/otlp_encode.h"
#include "otlp_rows.h"
#include "otlp_segment.h"

static struct oto_otlp_encode_limits limits_of(uint32_t rows, uint32_t bytes)
{
    struct oto_otlp_encode_limits limits;
    oto_otlp_encode_limits_default(&limits);
    assert_true(limits.rows_max >= 1024 && limits.bytes_max >= 1u << 20);
    if (rows)
        limits.rows_max = rows;
    if (bytes)
        limits.bytes_max = bytes;
    return limits;
}

static struct oto_batch view_of(const struct segment *s, enum oto_table table)
{
    struct oto_batch batch;
    assert_int_equal(oto_builder_view(&s->builders[table], &oto_allocator_heap, &batch), OTO_OK);
    return batch;
}

// One request of the rows from `first` on, into out. Returns how many.
static uint32_t encode(const struct segment *s, enum oto_table table, const uint32_t *order,
                       uint32_t first, struct oto_otlp_encode_limits limits)
{
    struct oto_otlp_encoder *e = oto_otlp_encoder_new(&oto_allocator_heap);
    struct oto_batch batch = view_of(s, table);
    struct oto_error err;
    uint32_t rows = 0;
    assert_non_null(e);
    message_begin();
    if (oto_otlp_encode(e, table, &batch, order, first, batch.row_count - first, &limits, &out,
                        &rows, &err) != OTO_OK)
        fail_msg("%s", err.message);
    oto_batch_release(&batch);
    oto_otlp_encoder_free(e);
    return rows;
}

// All rows of the segment's tables of a signal, request by request, in a second segment that must
// come to the same rows.
static void check_circle(struct segment *s, enum oto_signal signal, uint32_t rows_max)
{
    struct segment again;
    segment_open(&again, NULL, 0);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        enum oto_table table = (enum oto_table)t;
        uint32_t count = s->builders[t].levels[0].count;
        if (oto_table_signal(table) != signal)
            continue;
        for (uint32_t first = 0; first < count;) {
            first += encode(s, table, NULL, first, limits_of(rows_max, 0));
            assert_int_equal(decode(&again, signal, message()), OTO_OK);
            assert_int_equal(again.result.rejected, 0);
        }
        struct oto_batch one = view_of(s, table), other = view_of(&again, table);
        const char *name = rows_differ(&one, &other);
        if (name)
            fail_msg("%s: %s differs", oto_table_name(table), name);
        oto_batch_release(&one);
        oto_batch_release(&other);
    }
    segment_close(&again);
}

static void circle(enum oto_signal signal)
{
    for (uint32_t rows_max = 1; rows_max < 4; rows_max++) {
        struct segment s;
        struct oto_bytes request = message();
        uint8_t *copy = malloc(request.size);
        memcpy(copy, request.data, request.size);
        segment_open(&s, NULL, 0);
        assert_int_equal(decode(&s, signal, oto_bytes(copy, request.size)), OTO_OK);
        assert_true(s.result.accepted > 0);
        check_circle(&s, signal, rows_max == 3 ? 0 : rows_max);
        message_begin();
        assert_int_equal(oto_buffer_append(&out, copy, request.size), OTO_OK);
        free(copy);
        segment_close(&s);
    }
}

// --- circles ---

static void full_items_of_every_signal_come_back(void **state)
{
    (void)state;
    log_full();
    circle(OTO_SIGNAL_LOGS);
    span_full();
    circle(OTO_SIGNAL_TRACES);
    metrics_full();
    circle(OTO_SIGNAL_METRICS);
}

static void empty_items_stay_empty(void **state)
{
    (void)state;
    message_begin();
    open_(1), open_(2), open_(2), close_(3);                          // nothing at all
    open_(1), open_(1), close_(1), open_(2), open_(1), close_(1);     // empty resource and scope
    open_(2), open_(5), close_(2), close_(2);                         // and body
    open_(1), put_text(3, "u"), open_(2), put_text(3, "v"), open_(2); // schema URLs of nothing
    put_bytes(9, "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 16), close_(3);  // an id of zeros
    circle(OTO_SIGNAL_LOGS);
    message_begin();
    open_(1), open_(2);
    span_open(trace_id, 16, span_id, 8), close_(1);
    span_open(trace_id, 16, span_id, 8), open_(15), close_(2);         // an empty status
    span_open(trace_id, 16, span_id, 8), put_f64(8, 12345), close_(1); // an end alone
    span_open(trace_id, 16, span_id, 8), put_f64(7, 12345), close_(1); // a start alone
    span_open(trace_id, 16, span_id, 8), put_f64(7, 2), put_f64(8, 1), close_(1);
    span_open(trace_id, 16, span_id, 8), put_f64(7, UINT64_MAX), put_f64(8, UINT64_MAX), close_(1);
    span_open(trace_id, 16, span_id, 8), put_uint(6, 77), put_uint(6, (uint64_t)-3), open_(15),
        put_uint(3, (uint64_t)INT32_MIN), close_(2);
    close_(2);
    circle(OTO_SIGNAL_TRACES);
    message_begin();
    open_(1), open_(2);
    open_(2), open_(5), open_(1), close_(3);
    open_(2), open_(7), put_uint(2, (uint64_t)-1), open_(1), put_double(4, -0.0), close_(3);
    open_(2), open_(9), open_(1), put_double(5, 0), put_double(11, 0), put_double(12, -0.0),
        close_(3);
    open_(2), open_(10), open_(1), open_(8), close_(1), open_(9), put_uint(1, 1), close_(1),
        put_double(14, -0.0), close_(3);
    open_(2), open_(11), open_(1), open_(6), close_(1), put_double(5, -0.0), close_(3);
    close_(2);
    circle(OTO_SIGNAL_METRICS);
}

static void put_bits(uint32_t field, uint64_t bits)
{
    open_(6), put_text(1, "d"), open_(2), put_f64(field, bits), close_(2);
}

static void put_values(uint32_t field)
{
    open_(field), put_text(1, "b"), open_(2), put_uint(2, 0), close_(2);
    open_(field), put_text(1, "b"), open_(2), put_uint(2, 1), close_(2);
    open_(field), open_(2), put_uint(3, 0), close_(2);
    open_(field), put_text(1, "i"), open_(2), put_uint(3, (uint64_t)INT64_MIN), close_(2);
    open_(field), put_text(1, "i"), open_(2), put_uint(3, INT64_MAX), close_(2);
    open_(field), put_text(1, "s"), open_(2), put_text(1, ""), close_(2);
    open_(field), put_text(1, "s"), open_(2), put_text(1, "[1,"), close_(2);
    open_(field), put_text(1, "y"), open_(2), put_bytes(7, "", 0), close_(2);
    open_(field), put_text(1, "y"), open_(2), put_bytes(7, "\0\xFF\x80", 3), close_(2);
    open_(field), put_text(1, "n"), open_(2), close_(2);
    open_(field), put_text(1, "-"), close_(1);
    open_(field), put_text(1, "[]"), open_(2), open_(5), close_(3);
    open_(field), put_text(1, "{}"), open_(2), open_(6), close_(3);
}

static void put_nested(void)
{
    static const uint64_t doubles[] = {0,
                                       0x8000000000000000u,
                                       0x3FF0000000000000u,
                                       0x7FF0000000000000u,
                                       0xFFF0000000000000u,
                                       0x7FF8000000000000u,
                                       0xFFF8000000000000u,
                                       0x7FF4000000000001u,
                                       1,
                                       0x7FEFFFFFFFFFFFFFu,
                                       0x44B52D02C7E14AF6u,
                                       0x3EB0C6F7A0B5ED8Du};
    open_(6), put_text(1, "nested"), open_(2), open_(5);
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++)
        open_(1), put_f64(4, doubles[i]), close_(1);
    open_(1), put_text(1, "a\"\\\n\t\x01\xF0\x9F\x98\x80\xE2\x80\xA8/"), close_(1);
    open_(1), open_(6);
    put_values(1);
    open_(1), put_text(1, "quo\"te"), open_(2), open_(5), open_(1), close_(1), open_(1), open_(5),
        close_(5);
    close_(2);
    close_(3);
    for (size_t i = 0; i < sizeof doubles / sizeof doubles[0]; i++)
        put_bits(4, doubles[i]);
}

static void values_of_all_kinds_come_back(void **state)
{
    (void)state;
    message_begin();
    open_(1), open_(2);
    for (int i = 0; i < 3; i++) { // known pairs take a way of their own
        open_(2);
        put_values(6);
        put_nested();
        close_(1);
    }
    open_(2), open_(5), open_(5), open_(1), put_f64(4, 0xFFF8000000000000u), close_(4);
    open_(2), open_(5), put_f64(4, 0xFFF8000000000000u), close_(2);
    open_(2), open_(5), put_bytes(7, "\1", 1), close_(2);
    close_(2);
    circle(OTO_SIGNAL_LOGS);
}

static void repaired_strings_come_back_repaired(void **state)
{
    (void)state;
    message_begin();
    open_(1), open_(2), open_(2), put_text(3, "\xFF"), open_(5), open_(6), open_(1),
        put_text(1, "\xC0\x80"), open_(2), put_text(1, "\xED\xA0\x80"), close_(7);
    circle(OTO_SIGNAL_LOGS);
}

static void values_nested_to_the_limit_come_back(void **state)
{
    (void)state;
    message_begin();
    open_(1), open_(2), open_(2);
    static uint8_t nested[2][4096];
    size_t size = 0;
    for (int i = 0; i < 99; i++) { // innermost first: AnyValue{5: ArrayValue{1: …}}
        uint8_t *to = nested[i & 1], head[12];
        size_t n = 0, inner = size;
        if (i) {
            head[n++] = 0x0A;
            if (inner >= 128)
                head[n++] = (uint8_t)(inner | 0x80), head[n++] = (uint8_t)(inner >> 7);
            else
                head[n++] = (uint8_t)inner;
        }
        size_t list = n + inner, m = 0;
        uint8_t outer[4];
        outer[m++] = 0x2A;
        if (list >= 128)
            outer[m++] = (uint8_t)(list | 0x80), outer[m++] = (uint8_t)(list >> 7);
        else
            outer[m++] = (uint8_t)list;
        memcpy(to, outer, m);
        memcpy(to + m, head, n);
        memcpy(to + m + n, nested[(i + 1) & 1], inner);
        size = m + n + inner;
    }
    put_bytes(5, nested[98 & 1], size);
    close_(3);
    circle(OTO_SIGNAL_LOGS);
}

// --- groups, order and limits ---

static uint32_t count_fields(struct oto_bytes m, uint32_t field, struct oto_bytes *last)
{
    struct oto_pb_cursor c = oto_pb_cursor(m);
    uint32_t tag, count = 0;
    while (oto_pb_tag(&c, &tag) == OTO_OK) {
        struct oto_bytes part;
        if (tag != OTO_PB_TAG(field, OTO_PB_BYTES)) {
            assert_int_equal(oto_pb_skip(&c, tag), OTO_OK);
            continue;
        }
        assert_int_equal(oto_pb_bytes(&c, &part), OTO_OK);
        *last = part;
        count++;
    }
    return count;
}

static void put_group(const char *service, const char *scope, int logs)
{
    open_(1), open_(1), attribute(1, "service.name", service), close_(1);
    open_(2), open_(1), put_text(1, scope), close_(1);
    for (int i = 0; i < logs; i++)
        open_(2), put_uint(2, (uint64_t)i + 1), close_(1);
    close_(2);
}

static void rows_are_grouped_by_what_they_share_in_their_order(void **state)
{
    (void)state;
    struct segment s;
    struct oto_bytes part = {NULL, 0};
    segment_open(&s, NULL, 0);
    message_begin();
    put_group("a", "x", 2), put_group("a", "y", 1), put_group("b", "y", 1), put_group("a", "x", 1);
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
    assert_int_equal(encode(&s, OTO_TABLE_LOGS, NULL, 0, limits_of(0, 0)), 5);
    assert_int_equal(count_fields(message(), 1, &part), 3); // a, b, a
    assert_int_equal(count_fields(part, 2, &part), 1);
    const uint32_t order[] = {4, 1, 0, 2, 3};
    assert_int_equal(encode(&s, OTO_TABLE_LOGS, order, 0, limits_of(0, 0)), 5);
    assert_int_equal(count_fields(message(), 1, &part), 2); // a with x and y, b
    assert_int_equal(encode(&s, OTO_TABLE_LOGS, order, 3, limits_of(0, 0)), 2);
    segment_close(&s);
}

static void requests_end_before_their_limits(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    for (int i = 0; i < 40; i++) {
        message_begin();
        put_group(i % 3 ? "a" : "b", "x", 7);
        assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_OK);
    }
    assert_int_equal(encode(&s, OTO_TABLE_LOGS, NULL, 0, limits_of(10, 0)), 10);
    for (uint32_t bytes = 1; bytes < 600; bytes += 7) {
        struct segment again;
        segment_open(&again, NULL, 0);
        for (uint32_t first = 0; first < 280;) {
            uint32_t rows = encode(&s, OTO_TABLE_LOGS, NULL, first, limits_of(0, bytes));
            assert_true(rows == 1 || (rows > 1 && out.size <= bytes));
            assert_int_equal(decode(&again, OTO_SIGNAL_LOGS, message()), OTO_OK);
            assert_int_equal(again.result.accepted, rows);
            first += rows;
        }
        struct oto_batch one = view_of(&s, OTO_TABLE_LOGS), other = view_of(&again, OTO_TABLE_LOGS);
        assert_null(rows_differ(&one, &other));
        oto_batch_release(&one);
        oto_batch_release(&other);
        segment_close(&again);
    }
    segment_close(&s);
}

static void what_does_not_fit_leaves_the_output_as_it_was(void **state)
{
    (void)state;
    struct segment s;
    struct oto_otlp_encode_limits limits = limits_of(0, 0);
    struct oto_otlp_encoder *e = oto_otlp_encoder_new(&oto_allocator_heap);
    struct oto_error err;
    uint32_t rows;
    segment_open(&s, NULL, 0);
    metrics_full();
    assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_OK);
    struct oto_batch batch = view_of(&s, OTO_TABLE_GAUGE);
    for (size_t max = 3; max < 600; max += 5) {
        struct oto_buffer small;
        oto_buffer_init(&small, &oto_allocator_heap, max);
        assert_int_equal(oto_buffer_append(&small, "abc", 3), OTO_OK);
        enum oto_status status =
            oto_otlp_encode(e, OTO_TABLE_GAUGE, &batch, NULL, 0, 1, &limits, &small, &rows, &err);
        if (status != OTO_OK) {
            assert_int_equal(status, OTO_TOO_LARGE);
            assert_int_equal(small.size, 3);
        }
        oto_buffer_release(&small);
    }
    oto_batch_release(&batch);
    oto_otlp_encoder_free(e);
    segment_close(&s);
}

// --- files of other writers ---

// A batch of some of a table's columns, all of level 0.
struct flat {
    struct oto_arena arena;
    struct oto_schemas *schemas;
    const struct oto_field *fields[8];
    struct oto_schema schema;
    struct oto_builder builder;
};

static void flat_open(struct flat *f, enum oto_table table, const char *const *names)
{
    memset(f, 0, sizeof *f);
    oto_arena_init(&f->arena, &oto_allocator_heap, 1u << 16, SIZE_MAX);
    f->schemas = oto_schemas_new_flat(&oto_allocator_heap, NULL, 0, NULL);
    const struct oto_schema *whole = oto_schemas_table(f->schemas, table);
    f->schema = (struct oto_schema){.name = whole->name, .fields = f->fields, .level_count = 1};
    for (; *names; names++)
        f->fields[f->schema.field_count++] = whole->fields[oto_schema_find(whole, *names)];
    assert_int_equal(oto_builder_init(&f->builder, &f->schema, &f->arena, 7, 16, NULL), OTO_OK);
}

static void flat_close(struct flat *f)
{
    oto_schemas_free(f->schemas);
    oto_arena_release(&f->arena);
}

static void flat_text(struct flat *f, int at, const char *text)
{
    struct oto_column *c = &f->builder.columns[at];
    assert_int_equal(text ? oto_column_append_bytes(&f->builder, c, oto_bytes_text(text))
                          : oto_column_append_null(&f->builder, c),
                     OTO_OK);
}

static void flat_pair(struct flat *f, int at, const char *key, const char *value)
{
    struct oto_column *children = f->builder.columns[at].children;
    assert_int_equal(oto_column_append_bytes(&f->builder, &children[0], oto_bytes_text(key)), 0);
    assert_int_equal(oto_column_append_bytes(&f->builder, &children[1], oto_bytes_text(value)), 0);
}

static void flat_end(struct flat *f, int at)
{
    assert_int_equal(oto_column_append_end(&f->builder, &f->builder.columns[at]), OTO_OK);
}

static enum oto_status flat_encode(struct flat *f, enum oto_table table, struct oto_error *err)
{
    struct oto_otlp_encoder *e = oto_otlp_encoder_new(&oto_allocator_heap);
    struct oto_otlp_encode_limits limits = limits_of(0, 0);
    struct oto_batch batch;
    uint32_t rows;
    assert_int_equal(oto_builder_view(&f->builder, &oto_allocator_heap, &batch), OTO_OK);
    message_begin();
    enum oto_status status =
        oto_otlp_encode(e, table, &batch, NULL, 0, batch.row_count, &limits, &out, &rows, err);
    assert_int_equal(out.size > 0, status == OTO_OK);
    oto_batch_release(&batch);
    oto_otlp_encoder_free(e);
    return status;
}

static void tables_without_types_have_strings(void **state)
{
    (void)state;
    static const char *const names[] = {
        "Timestamp",      "SpanKind", "StatusCode", "SpanName", "ResourceAttributes",
        "SpanAttributes", "TraceId",  "SpanId",     NULL};
    struct flat f;
    struct segment s;
    struct oto_error err;
    const enum oto_table t = OTO_TABLE_TRACES;
    flat_open(&f, t, names);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(oto_builder_row(&f.builder, 0), OTO_OK);
        assert_int_equal(oto_column_reserve(&f.builder, &f.builder.columns[0], 1), OTO_OK);
        oto_column_append_i64(&f.builder.columns[0], 1600000000000000);
        flat_text(&f, 1, i ? "SPAN_KIND_SERVER" : "server");
        flat_text(&f, 2, i ? "STATUS_CODE_ERROR" : "Unset");
        flat_text(&f, 3, "GET");
        flat_pair(&f, 4, "service.name", "shop"), flat_end(&f, 4);
        flat_pair(&f, 5, "n", "42"), flat_pair(&f, 5, "b", "true"), flat_end(&f, 5);
        assert_int_equal(
            oto_column_append_id(&f.builder, &f.builder.columns[6], oto_bytes(trace_id, 16)), 0);
        assert_int_equal(
            oto_column_append_id(&f.builder, &f.builder.columns[7], oto_bytes(span_id, 8)), 0);
    }
    assert_int_equal(flat_encode(&f, t, &err), OTO_OK);
    segment_open(&s, NULL, 0);
    assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, message()), OTO_OK);
    assert_int_equal(s.result.accepted, 2);
    assert_int_equal(s.builders[t].levels[1].count, 1); // one scope group
    assert_string_equal(text(column(&s, t, "ServiceName"), 0), "shop");
    assert_true(is_null(column(&s, t, "ScopeAttributesTypes"), 0));
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(i64(column(&s, t, "Timestamp"), i), 1600000000000000);
        assert_int_equal(i64(column(&s, t, "TimestampNanoOfMicro"), i), 0);
        assert_string_equal(text(column(&s, t, "SpanKind"), i), "Server");
        assert_string_equal(map(column(&s, t, "SpanAttributes"), i), "n=42,b=true");
        assert_string_equal(text(column(&s, t, "SpanAttributesTypes"), i), "ss");
        assert_true(is_null(column(&s, t, "Duration"), i));
    }
    assert_string_equal(text(column(&s, t, "StatusCode"), 1), "Error");
    assert_true(is_null(column(&s, t, "StatusMessage"), 0));
    segment_close(&s);
    flat_close(&f);
}

static enum oto_status encode_pair(const char *value, const char *types, struct oto_error *err)
{
    static const char *const names[] = {"LogAttributes", "LogAttributesTypes", NULL};
    struct flat f;
    flat_open(&f, OTO_TABLE_LOGS, names);
    assert_int_equal(oto_builder_row(&f.builder, 0), OTO_OK);
    flat_pair(&f, 0, "k", value), flat_end(&f, 0);
    flat_text(&f, 1, types);
    enum oto_status status = flat_encode(&f, OTO_TABLE_LOGS, err);
    flat_close(&f);
    return status;
}

static void text_and_types_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    static const char *const wrong[][2] = {
        {"x", "i"},
        {"", "i"},
        {"1.5", "i"},
        {"9223372036854775808", "i"},
        {"True", "b"},
        {"", "b"},
        {"x", "d"},
        {"", "d"},
        {"1", "N"},
        {"NaN", "N"},
        {"NaN", "N7ff800000000000"},
        {"NaN", "N7ff000000000000x"},
        {"NaN", "N3ff0000000000000"},
        {"1", "N7ff8000000000001"},
        {"!", "y"},
        {"AQID=A", "y"},
        {"x", "n"},
        {"x", "-"},
        {"x", "z"},
        {"x", "ss"},
        {"x", "s]"},
        {"x", "]"},
        {"x", "["},
        {"[", "[]"},
        {"[]", "["},
        {"[]", "[s]"},
        {"[1]", "[]"},
        {"[1]", "[i"},
        {"[1]", "[s]"},
        {"[\"1\"]", "[i]"},
        {"[\"1\"]", "[d]"},
        {"[\"NaN\"]", "[N7ff8000000000000"},
        {"[1,]", "[ii]"},
        {"[1 2]", "[ii]"},
        {"[1]x", "[i]"},
        {"[null]", "[-]"},
        {"[null]", "[b]"},
        {"[true]", "[n]"},
        {"[\"\\u0041QID\"]", "[y]"},
        {"[\"?\"]", "[y]"},
        {"{}", "[]"},
        {"[]", "{}"},
        {"{\"a\":1}", "{}"},
        {"{\"a\":1}", "{-}"},
        {"{\"a\"}", "{i}"},
        {"{a:1}", "{i}"},
        {"{\"a\":{\"b\":1}}", "{{s}}"},
    };
    struct oto_error err;
    assert_int_equal(
        encode_pair("[{\"a\":null,\"b\":[1e3,\"Infinity\",\"AQ==\"]}]", "[{-[ddy]}]", &err),
        OTO_OK);
    assert_int_equal(encode_pair("x", NULL, &err), OTO_OK);
    assert_int_equal(encode_pair("x", "", &err), OTO_OK);
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        if (encode_pair(wrong[i][0], wrong[i][1], &err) != OTO_INVALID)
            fail_msg("taken: %s as %s", wrong[i][0], wrong[i][1]);
        assert_non_null(strstr(err.message, "row 0, column LogAttributes: "));
    }
}

static void nesting_without_end_is_refused(void **state)
{
    (void)state;
    static char text_[2001], types[2001];
    struct oto_error err;
    memset(text_, '[', 2000);
    memset(types, '[', 2000);
    assert_int_equal(encode_pair(text_, types, &err), OTO_INVALID);
    assert_non_null(strstr(err.message, "deep"));
}

static void broken_entity_references_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"ResourceEntityRefs", NULL};
    static const char *const texts[] = {"",
                                        "{}",
                                        "[1]",
                                        "[{\"type\":1}]",
                                        "[{\"idKeys\":\"a\"}]",
                                        "[{\"idKeys\":[1]}]",
                                        "[{\"other\":\"a\"}]",
                                        "[{}]x",
                                        "[{}",
                                        "[{\"type\":\"a\"},]"};
    struct oto_error err;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct flat f;
        flat_open(&f, OTO_TABLE_LOGS, names);
        assert_int_equal(oto_builder_row(&f.builder, 0), OTO_OK);
        flat_text(&f, 0, texts[i]);
        assert_int_equal(flat_encode(&f, OTO_TABLE_LOGS, &err), i ? OTO_INVALID : OTO_OK);
        flat_close(&f);
    }
}

static void unknown_words_are_refused(void **state)
{
    (void)state;
    static const char *const names[] = {"SpanKind", NULL};
    static const char *const texts[] = {"Sever", "2147483648", "SPAN_KIND_", "1.0"};
    struct oto_error err;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct flat f;
        flat_open(&f, OTO_TABLE_TRACES, names);
        assert_int_equal(oto_builder_row(&f.builder, 0), OTO_OK);
        flat_text(&f, 0, texts[i]);
        assert_int_equal(flat_encode(&f, OTO_TABLE_TRACES, &err), OTO_INVALID);
        assert_non_null(strstr(err.message, "SpanKind"));
        flat_close(&f);
    }
}

// --- numbers of other writers ---

static void flat_number(struct flat *f, int at, int64_t value)
{
    struct oto_column *c = &f->builder.columns[at];
    assert_int_equal(oto_column_reserve(&f->builder, c, 1), OTO_OK);
    if (c->field->type == OTO_TYPE_INT32)
        oto_column_append_i32(c, (int32_t)value);
    else
        oto_column_append_i64(c, value);
}

// Two rows of two columns (the second may be NULL): zeros, and the values.
static enum oto_status encode_numbers(enum oto_table table, const char *const names[2],
                                      const int64_t values[2], struct oto_error *err)
{
    const char *const columns[] = {names[0], names[1], NULL};
    struct flat f;
    flat_open(&f, table, columns);
    for (int row = 0; row < 2; row++) {
        assert_int_equal(oto_builder_row(&f.builder, 0), OTO_OK);
        for (int at = 0; columns[at]; at++)
            flat_number(&f, at, row ? values[at] : 0);
    }
    enum oto_status status = flat_encode(&f, table, err);
    flat_close(&f);
    return status;
}

static void numbers_that_otlp_has_no_place_for_are_refused(void **state)
{
    (void)state;
    enum { LOGS = OTO_TABLE_LOGS, SPANS = OTO_TABLE_TRACES, SUMMARY = OTO_TABLE_SUMMARY };
    const int64_t last_us = (int64_t)(UINT64_MAX / 1000), last_ns = UINT64_MAX % 1000;
    const struct {
        int table;
        const char *names[2];
        int64_t values[2];
        const char *said; // NULL: it is taken
    } cases[] = {
        {LOGS, {"Timestamp"}, {last_us}, NULL},
        {LOGS, {"Timestamp"}, {last_us + 1}, "row 1, column Timestamp: 18446744073709552 us "},
        {LOGS, {"Timestamp"}, {-1}, "row 1, column Timestamp: -1 us "},
        {LOGS, {"Timestamp"}, {INT64_MIN}, "Timestamp: -9223372036854775808 us "},
        {LOGS, {"Timestamp"}, {INT64_MAX}, "Timestamp: 9223372036854775807 us "},
        {LOGS, {"Timestamp", "TimestampNanoOfMicro"}, {last_us, last_ns}, NULL},
        {LOGS, {"Timestamp", "TimestampNanoOfMicro"}, {last_us, last_ns + 1}, "Timestamp: 184467"},
        {LOGS, {"Timestamp", "TimestampNanoOfMicro"}, {last_us - 1, 999}, NULL},
        {LOGS, {"Timestamp", "TimestampNanoOfMicro"}, {0, 1000}, "TimestampNanoOfMicro: 1000 ns "},
        {LOGS, {"Timestamp", "TimestampNanoOfMicro"}, {1, -1}, "TimestampNanoOfMicro: -1 ns "},
        {LOGS, {"ObservedTimestamp"}, {-1}, "column ObservedTimestamp: -1 us "},
        {LOGS, {"TraceFlags"}, {UINT32_MAX}, NULL},
        {LOGS, {"TraceFlags"}, {(int64_t)UINT32_MAX + 1}, "column TraceFlags: 4294967296 does"},
        {LOGS, {"LogDroppedAttrCount"}, {-1}, "column LogDroppedAttrCount: -1 does"},
        {LOGS, {"ResourceDroppedAttrCount"}, {-1}, "column ResourceDroppedAttrCount: -1 does"},
        {LOGS, {"ScopeDroppedAttrCount"}, {INT64_MIN}, "column ScopeDroppedAttrCount: -9223372"},
        {SPANS, {"Timestamp", "Duration"}, {last_us, INT64_MIN}, NULL}, // modulo 2^64
        {SPANS, {"SpanDroppedAttrCount"}, {-1}, "column SpanDroppedAttrCount: -1 does"},
        {SPANS, {"SpanFlags"}, {-1}, "column SpanFlags: -1 does"},
        {SPANS, {"EventsDroppedCount"}, {-1}, "column EventsDroppedCount: -1 does"},
        {SPANS, {"LinksDroppedCount"}, {-1}, "column LinksDroppedCount: -1 does"},
        {SUMMARY, {"TimeUnix"}, {-1}, "column TimeUnix: -1 us "},
        {SUMMARY, {"StartTimeUnix"}, {-1}, "column StartTimeUnix: -1 us "},
        {SUMMARY, {"Flags"}, {-1}, "column Flags: -1 does"},
        {SUMMARY, {"Count"}, {-1}, NULL}, // 2^64-1
        {OTO_TABLE_GAUGE, {"Flags"}, {-1}, "column Flags: -1 does"},
        {OTO_TABLE_HISTOGRAM, {"Flags"}, {-1}, "column Flags: -1 does"},
        {OTO_TABLE_EXPONENTIAL_HISTOGRAM, {"Flags"}, {-1}, "column Flags: -1 does"},
    };
    struct oto_error err;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        oto_error_init(&err);
        enum oto_status status =
            encode_numbers((enum oto_table)cases[i].table, cases[i].names, cases[i].values, &err);
        if (status != (cases[i].said ? OTO_UNSUPPORTED : OTO_OK))
            fail_msg("case %zu: %d, %s", i, (int)status, err.message);
        if (cases[i].said && !strstr(err.message, cases[i].said))
            fail_msg("case %zu: %s", i, err.message);
    }
}

// A time that stands in for one that OTLP did not have is not sent, whatever it is.
static void a_time_in_place_of_none_is_none(void **state)
{
    (void)state;
    static const char *const names[] = {"Timestamp", "TimestampNanoOfMicro", NULL};
    struct oto_error err;
    struct flat f;
    flat_open(&f, OTO_TABLE_LOGS, names);
    assert_int_equal(oto_builder_row(&f.builder, 0), OTO_OK);
    flat_number(&f, 0, -1);
    assert_int_equal(oto_column_append_null(&f.builder, &f.builder.columns[1]), OTO_OK);
    assert_int_equal(flat_encode(&f, OTO_TABLE_LOGS, &err), OTO_OK);
    flat_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(full_items_of_every_signal_come_back),
        cmocka_unit_test(empty_items_stay_empty),
        cmocka_unit_test(values_of_all_kinds_come_back),
        cmocka_unit_test(repaired_strings_come_back_repaired),
        cmocka_unit_test(values_nested_to_the_limit_come_back),
        cmocka_unit_test(rows_are_grouped_by_what_they_share_in_their_order),
        cmocka_unit_test(requests_end_before_their_limits),
        cmocka_unit_test(what_does_not_fit_leaves_the_output_as_it_was),
        cmocka_unit_test(tables_without_types_have_strings),
        cmocka_unit_test(text_and_types_that_do_not_fit_are_refused),
        cmocka_unit_test(nesting_without_end_is_refused),
        cmocka_unit_test(broken_entity_references_are_refused),
        cmocka_unit_test(unknown_words_are_refused),
        cmocka_unit_test(numbers_that_otlp_has_no_place_for_are_refused),
        cmocka_unit_test(a_time_in_place_of_none_is_none),
    };
    return cmocka_run_group_tests(tests, NULL, release_out);
}
