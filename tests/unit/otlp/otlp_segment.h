// A segment to decode into, its columns as text and numbers, and full requests of each signal.
#ifndef OTO_TESTS_OTLP_SEGMENT_H
#define OTO_TESTS_OTLP_SEGMENT_H

#include "cmocka_all.h"

#include "otlp/otlp_decode.h"
#include "wire/protobuf.h"
#include <stdio.h>
#include <stdlib.h>

#define UNUSED __attribute__((unused)) // each test uses some of it
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

UNUSED static void segment_open(struct segment *s, const struct oto_promotion *promotions,
                                size_t count)
{
    struct oto_builder *list[OTO_TABLE_COUNT];
    memset(s, 0, sizeof *s);
    oto_arena_init(&s->arena, &oto_allocator_heap, 1u << 16, SIZE_MAX);
    s->schemas = oto_schemas_new(&oto_allocator_heap, promotions, count, NULL);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        list[t] = &s->builders[t];
        assert_int_equal(oto_builder_init(list[t], oto_schemas_table(s->schemas, (enum oto_table)t),
                                          &s->arena, 7, 16, NULL),
                         OTO_OK);
        list[t]->has_windows = 1; // as those of the engine
    }
    s->decoder = oto_otlp_decoder_new(&oto_allocator_heap, s->schemas, list);
    assert_non_null(s->decoder);
    oto_otlp_limits_default(&s->limits);
}

UNUSED static void segment_close(struct segment *s)
{
    oto_otlp_decoder_free(s->decoder);
    oto_schemas_free(s->schemas);
    oto_arena_release(&s->arena);
}

UNUSED static enum oto_status decode(struct segment *s, enum oto_signal signal,
                                     struct oto_bytes message)
{
    oto_error_init(&s->err);
    return oto_otlp_decode(s->decoder, signal, message, RECEIVED_NS, &s->limits, &s->result,
                           &s->err);
}

// --- reading columns ---

UNUSED static const struct oto_column *column(const struct segment *s, enum oto_table table,
                                              const char *name)
{
    const struct oto_builder *b = &s->builders[table];
    int at = oto_schema_find(b->schema, name);
    if (at < 0)
        fail_msg("no column %s", name);
    return &b->columns[at];
}

UNUSED static const struct oto_column *part(const struct oto_column *c, const char *name)
{
    for (uint32_t i = 0; i < c->child_count; i++)
        if (strcmp(c->children[i].field->name, name) == 0)
            return &c->children[i];
    fail_msg("no part %s", name);
    return NULL;
}

// 1: the builder has that entry's value at hand.
UNUSED static int has_value(const struct oto_column *c, uint32_t index)
{
    return index < c->length && (!c->window || index >= c->window_first);
}

UNUSED static const char *text(const struct oto_column *c, uint32_t index)
{
    static char texts[8][4096];
    static int next;
    char *result = texts[next++ % 8];
    assert_true(index < c->length);
    if (!oto_column_valid(c, index))
        return "(null)";
    assert_true(has_value(c, index));
    struct oto_bytes b = c->dictionary->entries[((const uint32_t *)c->values)[index]];
    assert_true(b.size < 4096);
    memcpy(result, b.data, b.size);
    result[b.size] = 0;
    return result;
}

// Entry index of a map: "k=v,k=v".
UNUSED static const char *map(const struct oto_column *c, uint32_t index)
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

UNUSED static int64_t i64(const struct oto_column *c, uint32_t index)
{
    assert_true(has_value(c, index) && oto_column_valid(c, index));
    if (c->field->type == OTO_TYPE_INT32)
        return ((const int32_t *)c->values)[index];
    if (c->field->type == OTO_TYPE_BOOL)
        return ((const uint8_t *)c->values)[index];
    return ((const int64_t *)c->values)[index];
}

UNUSED static double f64(const struct oto_column *c, uint32_t index)
{
    assert_true(has_value(c, index) && oto_column_valid(c, index));
    return ((const double *)c->values)[index];
}

UNUSED static int is_null(const struct oto_column *c, uint32_t index)
{
    assert_true(index < c->length);
    return !oto_column_valid(c, index);
}

// All columns of a level are as long as the level, and children fit their parents.
UNUSED static void check_column(const struct oto_column *c, uint32_t length)
{
    assert_int_equal(c->length, length);
    for (uint32_t k = 0; k < c->child_count; k++)
        check_column(&c->children[k], c->offsets[c->length]);
    if (c->dictionary)
        for (uint32_t i = c->window ? c->window_first : 0; i < c->length; i++)
            assert_true(((const uint32_t *)c->values)[i] < c->dictionary->count);
}

UNUSED static void check_builders(const struct segment *s)
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

UNUSED static void open_(uint32_t field)
{
    assert_int_equal(oto_pb_message_begin(&out, field, &marks[depth++]), OTO_OK);
}
UNUSED static void close_(int count)
{
    while (count--)
        assert_int_equal(oto_pb_message_end(&out, marks[--depth]), OTO_OK);
}
UNUSED static void put_uint(uint32_t field, uint64_t v)
{
    assert_int_equal(oto_pb_write_uint(&out, field, v), OTO_OK);
}
UNUSED static void put_f64(uint32_t field, uint64_t v)
{
    assert_int_equal(oto_pb_write_fixed64(&out, field, v), OTO_OK);
}
UNUSED static void put_f32(uint32_t field, uint32_t v)
{
    assert_int_equal(oto_pb_write_fixed32(&out, field, v), OTO_OK);
}
UNUSED static void put_double(uint32_t field, double v)
{
    uint64_t bits;
    memcpy(&bits, &v, 8);
    put_f64(field, bits);
}
UNUSED static void put_bytes(uint32_t field, const void *data, size_t size)
{
    assert_int_equal(oto_pb_write_bytes(&out, field, oto_bytes(data, size)), OTO_OK);
}
UNUSED static void put_text(uint32_t field, const char *v)
{
    put_bytes(field, v, strlen(v));
}
UNUSED static void attribute(uint32_t field, const char *key, const char *value)
{
    open_(field);
    put_text(1, key);
    open_(2);
    put_text(1, value);
    close_(2);
}
UNUSED static void attribute_int(uint32_t field, const char *key, int64_t value)
{
    open_(field);
    put_text(1, key);
    open_(2);
    put_uint(3, (uint64_t)value);
    close_(2);
}
UNUSED static void message_begin(void)
{
    oto_buffer_release(&out);
    oto_buffer_init(&out, &oto_allocator_heap, 1u << 24);
    depth = 0;
}
UNUSED static struct oto_bytes message(void)
{
    assert_int_equal(depth, 0);
    return oto_buffer_view(&out);
}

static const char trace_id[] = "0123456789abcdef", span_id[] = "12345678";

// A resource group and a scope group with everything in them, open for items.
UNUSED static void groups_open(void)
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

UNUSED static void check_groups(const struct segment *s, enum oto_table table)
{
    assert_string_equal(text(column(s, table, "ServiceName"), 0), "shop");
    assert_string_equal(text(column(s, table, "ResourceSchemaUrl"), 0), "https://r/1");
    assert_string_equal(map(column(s, table, "ResourceAttributes"), 0),
                        "service.name=shop,process.pid=-5,k8s.pod.name=pod-1");
    assert_string_equal(text(column(s, table, "ResourceAttributesTypes"), 0), "sis");
    assert_int_equal(i64(column(s, table, "ResourceDroppedAttrCount"), 0), 3);
    assert_string_equal(text(column(s, table, "ResourceEntityRefs"), 0),
                        "[{\"schemaUrl\":\"https://e/"
                        "1\",\"type\":\"service\",\"idKeys\":[\"service.name\",\"a\\\"b\"],"
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

// --- full requests ---

UNUSED static void log_full(void)
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

UNUSED static void span_open(const char *trace, size_t trace_size, const char *span,
                             size_t span_size)
{
    open_(2);
    put_bytes(1, trace, trace_size);
    put_bytes(2, span, span_size);
}

UNUSED static void span_full(void)
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
    open_(11), put_f64(1, 2001), put_text(2, "ev"), attribute(3, "ek", "evv"), put_uint(4, 6),
        close_(1);
    open_(11), close_(1);
    put_uint(12, 2);
    open_(13), put_bytes(1, trace_id, 16), put_bytes(2, span_id, 8), put_text(3, "ts"),
        attribute_int(4, "lk", 1);
    put_uint(5, 8), put_f32(6, 9), close_(1);
    put_uint(14, 3);
    open_(15), put_text(2, "boom"), put_uint(3, 2), close_(1);
    put_f32(16, 0x101);
    close_(3);
}

UNUSED static void exemplar(uint32_t field, int is_int)
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

UNUSED static void metric_open(const char *name)
{
    open_(2);
    put_text(1, name);
    put_text(2, "tells");
    put_text(3, "ms");
    attribute(12, "mk", "mv");
}

UNUSED static void metrics_full(void)
{
    message_begin();
    groups_open();
    metric_open("g"), open_(5);
    open_(1), attribute(7, "http.route", "/a"), put_f64(2, 1001), put_f64(3, 2002),
        put_double(4, 1.5), put_uint(8, 1);
    exemplar(5, 0), exemplar(5, 1), close_(1);
    open_(1), put_f64(3, 2003), put_f64(6, (uint64_t)-7), attribute(7, "http.route", "/a"),
        close_(1);
    open_(1), close_(1);
    close_(2);
    metric_open("s"), open_(7), put_uint(2, 2), put_uint(3, 1);
    open_(1), put_f64(3, 9000), put_double(4, 0), close_(3);
    metric_open("h"), open_(9), put_uint(2, 1);
    open_(1), put_f64(3, 9000), put_f64(4, 6), put_double(5, 0.0);
    put_bytes(6, "\1\0\0\0\0\0\0\0\2\0\0\0\0\0\0\0", 16), put_f64(6, 3), put_double(7, 0.1),
        put_double(7, 0.2);
    put_double(11, -1), put_double(12, 8), exemplar(8, 1), attribute(9, "a", "1"), put_uint(10, 1),
        close_(1);
    open_(1), close_(3);
    metric_open("e"), open_(10), put_uint(2, 2);
    open_(1), attribute(1, "a", "1"), put_f64(3, 9000), put_f64(4, 6), put_double(5, 4),
        put_uint(6, 3), put_f64(7, 5);
    open_(8), put_uint(1, 4), put_bytes(2, "\1\xAC\x02", 3), put_uint(2, 9), close_(1);
    open_(8), put_uint(2, 1), close_(1);
    put_double(14, 0.25), exemplar(11, 0), put_double(12, 1), put_double(13, 2), close_(3);
    metric_open("q"), open_(11);
    open_(1), attribute(7, "a", "1"), put_f64(3, 9000), put_f64(4, 2), put_double(5, 3);
    open_(6), put_double(1, 0.5), put_double(2, 1.5), close_(1), open_(6), close_(1), close_(3);
    close_(2);
}

UNUSED static int release_out(void **state)
{
    (void)state;
    oto_buffer_release(&out);
    return 0;
}

#endif
