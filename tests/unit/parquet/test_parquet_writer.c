// What other people's readers cannot show (tests/conformance/test_parquet_readers.py shows the
// rest): failures.
#include "cmocka_all.h"
#include "parquet/parquet_internal.h"
#include <stdio.h>

static const struct oto_field time_field = {.name = "Time", .id = 1, .type = OTO_TYPE_TIME};
static const struct oto_field name_field = {
    .name = "Name", .id = 2, .type = OTO_TYPE_STRING, .flags = OTO_FIELD_BLOOM};
static const struct oto_field id_field = {
    .name = "Id", .id = 3, .type = OTO_TYPE_ID16, .flags = OTO_FIELD_BLOOM};
static const struct oto_field map_field = {.name = "Map", .id = 4, .type = OTO_TYPE_MAP};
static const struct oto_field value_field = {
    .name = "Value", .id = 7, .type = OTO_TYPE_DOUBLE, .flags = OTO_FIELD_NULLABLE};
static const struct oto_field *const fields[] = {&time_field, &name_field, &id_field, &map_field,
                                                 &value_field};
static const struct oto_schema schema = {"test", fields, 5, 1};

struct fixture {
    struct oto_arena arena;
    struct oto_builder builder;
    struct oto_batch batch;
    struct oto_codec *codec;
    struct oto_parquet_options options;
};

#define ROWS 5000

static void append_row(struct oto_builder *b, uint32_t row)
{
    struct oto_column *c = b->columns;
    char name[16];
    uint64_t id[2] = {row * 0x9E3779B97F4A7C15u, row};
    assert_int_equal(oto_builder_row(b, 0), OTO_OK);
    assert_int_equal(oto_column_reserve(b, &c[0], 1), OTO_OK);
    oto_column_append_i64(&c[0], row);
    snprintf(name, sizeof name, "name %u", row % 70);
    assert_int_equal(oto_column_append_bytes(b, &c[1], oto_bytes_text(name)), OTO_OK);
    assert_int_equal(oto_column_append_id(b, &c[2], oto_bytes(id, 16)), OTO_OK);
    assert_int_equal(oto_column_append_bytes(b, &c[3].children[0], oto_bytes_text("key")), OTO_OK);
    assert_int_equal(oto_column_append_bytes(b, &c[3].children[1], oto_bytes_text(name)), OTO_OK);
    assert_int_equal(oto_column_append_end(b, &c[3]), OTO_OK);
    assert_int_equal(oto_column_append_null(b, &c[4]), OTO_OK);
}

static int set_up(void **state)
{
    static struct fixture f;
    oto_arena_init(&f.arena, &oto_allocator_heap, 1 << 20, 1u << 28);
    assert_int_equal(oto_builder_init(&f.builder, &schema, &f.arena, 1, 64, NULL), OTO_OK);
    for (uint32_t row = 0; row < ROWS; row++)
        append_row(&f.builder, row);
    assert_int_equal(oto_builder_view(&f.builder, &oto_allocator_heap, &f.batch), OTO_OK);
    f.codec = oto_codec_new(&oto_allocator_heap);
    oto_parquet_options_default(&f.options);
    f.options.row_group_rows = 2000;
    f.options.page_rows = 600;
    *state = &f;
    return 0;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;
    oto_batch_release(&f->batch);
    oto_codec_free(f->codec);
    oto_arena_release(&f->arena);
    return 0;
}

struct limited_sink {
    uint64_t left;
    uint64_t written;
};

static enum oto_status sink_write(void *state, const void *data, size_t size, struct oto_error *err)
{
    struct limited_sink *sink = state;
    (void)data;
    if (sink->left < size)
        return oto_error_set(err, OTO_NO_SPACE, "the disk is full");
    sink->left -= size;
    sink->written += size;
    return OTO_OK;
}

// An allocator that fails its n-th call and counts what is not given back.
struct failing {
    uint64_t calls;
    uint64_t fail_at;
    int64_t held_bytes;
};

static void *failing_alloc(void *state, size_t size)
{
    struct failing *f = state;
    if (f->calls++ == f->fail_at)
        return NULL;
    f->held_bytes += (int64_t)size;
    return oto_alloc(&oto_allocator_heap, size);
}

static void *failing_resize(void *state, void *block, size_t old_size, size_t size)
{
    struct failing *f = state;
    if (f->calls++ == f->fail_at)
        return NULL;
    f->held_bytes += (int64_t)size - (int64_t)old_size;
    return oto_resize(&oto_allocator_heap, block, old_size, size);
}

static void failing_free(void *state, void *block, size_t size)
{
    ((struct failing *)state)->held_bytes -= (int64_t)size;
    oto_free(&oto_allocator_heap, block, size);
}

static enum oto_status write_to(struct fixture *f, const struct oto_allocator *allocator,
                                struct limited_sink *limited, struct oto_parquet_result *result,
                                struct oto_error *err)
{
    struct oto_sink sink = {sink_write, limited};
    return oto_parquet_write(&f->batch, NULL, ROWS, &f->options, f->codec, allocator, &sink, result,
                             err);
}

static void every_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
    struct fixture *f = *state;
    struct oto_parquet_result result;
    struct oto_error err;
    uint64_t n = 0;
    for (;; n++) {
        struct failing failing = {.fail_at = n};
        struct oto_allocator allocator = {failing_alloc, failing_resize, failing_free, &failing};
        struct limited_sink sink = {.left = UINT64_MAX};
        enum oto_status status = write_to(f, &allocator, &sink, &result, &err);
        assert_int_equal(failing.held_bytes, 0);
        if (failing.calls <= n) {
            assert_int_equal(status, OTO_OK);
            break;
        }
        assert_int_equal(status, OTO_NO_MEMORY);
        assert_int_equal(err.status, OTO_NO_MEMORY);
    }
    assert_true(n > 30);
}

static void the_sinks_failure_comes_back(void **state)
{
    struct fixture *f = *state;
    struct oto_parquet_result result = {0};
    struct oto_error err;
    struct limited_sink whole = {.left = UINT64_MAX};
    assert_int_equal(write_to(f, &oto_allocator_heap, &whole, &result, &err), OTO_OK);
    assert_int_equal(result.file_size_bytes, whole.written);
    assert_int_equal(result.row_count, ROWS);
    assert_int_equal(result.row_group_count, 3);
    for (uint64_t left = 0; left < whole.written; left += 1 + whole.written / 50) {
        struct limited_sink sink = {.left = left};
        struct oto_parquet_result untouched = {.row_count = 77};
        assert_int_equal(write_to(f, &oto_allocator_heap, &sink, &untouched, &err), OTO_NO_SPACE);
        assert_string_equal(err.message, "the disk is full");
        assert_int_equal(untouched.row_count, 77);
    }
}

static void impossible_options_are_refused(void **state)
{
    struct fixture *f = *state;
    struct oto_parquet_result result;
    struct limited_sink sink = {.left = UINT64_MAX};
    struct oto_error err;
    f->options.page_rows = 0;
    assert_int_equal(write_to(f, &oto_allocator_heap, &sink, &result, &err), OTO_INVALID);
    f->options.page_rows = 600;
}

static void lists_three_deep_are_refused(void **state)
{
    (void)state;
    static const struct oto_field inner[] = {{.name = "Map", .id = 40, .type = OTO_TYPE_MAP}};
    static const struct oto_field middle[] = {{.name = "Structs",
                                               .id = 30,
                                               .type = OTO_TYPE_STRUCTS,
                                               .child_count = 1,
                                               .children = inner}};
    static const struct oto_field outer = {
        .name = "Outer", .id = 20, .type = OTO_TYPE_STRUCTS, .child_count = 1, .children = middle};
    const struct oto_field *const deep_fields[] = {&outer};
    const struct oto_schema deep = {"deep", deep_fields, 1, 1};
    struct oto_arena arena;
    struct oto_builder builder;
    struct oto_batch batch;
    struct oto_buffer leaves;
    struct oto_error err;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 16, 1 << 20);
    assert_int_equal(oto_builder_init(&builder, &deep, &arena, 1, 1, NULL), OTO_OK);
    assert_int_equal(oto_builder_view(&builder, &oto_allocator_heap, &batch), OTO_OK);
    oto_buffer_init(&leaves, &oto_allocator_heap, 1 << 16);
    assert_int_equal(oto_parquet_leaves(&batch, &leaves, &err), OTO_UNSUPPORTED);
    oto_buffer_release(&leaves);
    oto_batch_release(&batch);
    oto_arena_release(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_failing_allocation_is_reported_and_leaks_nothing),
        cmocka_unit_test(the_sinks_failure_comes_back),
        cmocka_unit_test(impossible_options_are_refused),
        cmocka_unit_test(lists_three_deep_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
