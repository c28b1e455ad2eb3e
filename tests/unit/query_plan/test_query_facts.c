// Facts of a file never deny a row that it has, whoever wrote it, and deny most that it has not.
#include "query_facts.h"

#include "cmocka_all.h"
#include "parquet/parquet_writer.h"
#include <stdio.h>
#include <unistd.h>

#define ROWS 6000u
#define GROUP_ROWS 2000u

enum { TIME, CODE, SERVICE, TRACE, MAP, EVENTS, COLUMNS };
static const struct oto_field parts[] = {{.name = "Name", .id = 42, .type = OTO_TYPE_STRING}};
static const struct oto_field fields[COLUMNS] = {
    {.name = "Time", .id = 1, .type = OTO_TYPE_TIME},
    {.name = "Code", .id = 2, .type = OTO_TYPE_INT32},
    {.name = "Service", .id = 3, .type = OTO_TYPE_STRING},
    {.name = "Trace", .id = 4, .type = OTO_TYPE_ID16, .flags = OTO_FIELD_BLOOM},
    {.name = "Map", .id = 10, .type = OTO_TYPE_MAP, .flags = OTO_FIELD_BLOOM},
    {.name = "Events", .id = 40, .type = OTO_TYPE_STRUCTS, .child_count = 1, .children = parts},
};
static const struct oto_field *const pointers[COLUMNS] = {&fields[0], &fields[1], &fields[2],
                                                          &fields[3], &fields[4], &fields[5]};
static const struct oto_schema schema = {"test", pointers, COLUMNS, 1};

struct text {
    char bytes[64];
};

static struct text text_of(const char *word, unsigned n)
{
    struct text text;
    (void)snprintf(text.bytes, sizeof text.bytes, "%s %u", word, n);
    return text;
}

// Of row n. The three row groups have services and codes of their own.
static struct text service_of(unsigned row)
{
    return text_of("service", row / GROUP_ROWS);
}

static struct text trace_of(unsigned row)
{
    struct text text;
    (void)snprintf(text.bytes, sizeof text.bytes, "%08x%024x", __builtin_bswap32(row * 2), 0u);
    return text;
}

static struct text value_of(unsigned row)
{
    return text_of("value", row * 2);
}

static void ok(enum oto_status status)
{
    assert_int_equal(status, OTO_OK);
}

static void put_row(struct oto_builder *b, uint32_t row)
{
    struct oto_column *c = b->columns;
    uint32_t id[4] = {row * 2};
    ok(oto_builder_row(b, 0));
    for (int i = 0; i < COLUMNS; i++)
        ok(oto_column_reserve(b, &c[i], 1));
    oto_column_append_i64(&c[TIME], row * 1000);
    oto_column_append_i32(&c[CODE], -(int32_t)row);
    ok(oto_column_append_bytes(b, &c[SERVICE], oto_bytes_text(service_of(row).bytes)));
    ok(oto_column_append_id(b, &c[TRACE], oto_bytes(id, 16)));
    ok(oto_column_append_bytes(b, &c[MAP].children[0], oto_bytes_text("key")));
    ok(oto_column_append_bytes(b, &c[MAP].children[1], oto_bytes_text(value_of(row).bytes)));
    ok(oto_column_append_end(b, &c[MAP]));
    ok(oto_column_append_end(b, &c[EVENTS]));
}

static enum oto_status put(void *state, const void *data, size_t size, struct oto_error *err)
{
    const int *fd = state;
    (void)err;
    return write(*fd, data, size) == (ssize_t)size ? OTO_OK : OTO_IO;
}

static enum oto_status get(void *state, uint64_t offset, void *output, size_t size,
                           struct oto_error *err)
{
    const int *fd = state;
    (void)err;
    return pread(*fd, output, size, (off_t)offset) == (ssize_t)size ? OTO_OK : OTO_IO;
}

struct file {
    FILE *stream;
    int fd;
    struct query_facts *facts;
};

static struct file make_file(const char *created_by)
{
    struct file file = {.stream = tmpfile()};
    struct oto_arena arena;
    struct oto_builder b;
    struct oto_batch batch;
    struct oto_parquet_options options;
    struct oto_parquet_result result;
    struct oto_parquet_reader *reader;
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_sink sink = {put, &file.fd};
    assert_non_null(file.stream);
    file.fd = fileno(file.stream);
    oto_parquet_options_default(&options);
    options.row_group_rows = GROUP_ROWS;
    options.created_by = created_by;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, 1u << 28);
    ok(oto_builder_init(&b, &schema, &arena, 1, 64, NULL));
    for (uint32_t row = 0; row < ROWS; row++)
        put_row(&b, row);
    ok(oto_builder_view(&b, &oto_allocator_heap, &batch));
    ok(oto_parquet_write(&batch, NULL, ROWS, &options, codec, &oto_allocator_heap, &sink, &result,
                         NULL));
    struct oto_source source = {get, &file.fd, result.file_size_bytes};
    ok(oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, NULL));
    file.facts = query_facts_make(reader);
    assert_non_null(file.facts);
    oto_parquet_close(reader);
    oto_batch_release(&batch);
    oto_arena_release(&arena);
    oto_codec_free(codec);
    return file;
}

static void close_file(struct file *file)
{
    query_facts_free(file->facts);
    (void)fclose(file->stream);
}

// How many row groups may have a row for the condition, as bits.
static unsigned groups_for(const struct file *file, struct query_condition condition)
{
    struct query_scan scan = {.conditions = &condition, .count = 1};
    unsigned groups = 0;
    for (uint32_t group = 0; group < file->facts->group_count; group++)
        if (query_group_may_match(file->facts, file->fd, group, &scan))
            groups |= 1u << group;
    assert_int_equal(query_file_may_match(file->facts, file->fd, &scan), groups != 0);
    return groups;
}

static unsigned groups_with(const struct file *file, const char *column, const char *key,
                            const char *value)
{
    struct oto_bytes bytes = oto_bytes_text(value);
    return groups_for(
        file, (struct query_condition){.column = oto_bytes_text(column),
                                       .key = key ? oto_bytes_text(key) : (struct oto_bytes){0},
                                       .values = &bytes,
                                       .value_count = 1});
}

static unsigned groups_between(const struct file *file, const char *column, int64_t min,
                               int64_t max)
{
    return groups_for(file,
                      (struct query_condition){
                          .column = oto_bytes_text(column), .is_range = 1, .min = min, .max = max});
}

static void check_values(const struct file *file)
{
    unsigned absent = 0;
    for (unsigned row = 0; row < ROWS; row++) {
        unsigned group = 1u << row / GROUP_ROWS;
        assert_true(groups_with(file, "Trace", NULL, trace_of(row).bytes) & group);
        assert_true(groups_with(file, "Map", "key", value_of(row).bytes) & group);
        struct text other = text_of("value", row * 2 + 1);
        absent += !groups_with(file, "Map", "key", other.bytes);
    }
    assert_true(absent > ROWS / 2);
    for (unsigned group = 0; group < 3; group++)
        assert_int_equal(groups_with(file, "Service", NULL, service_of(group * GROUP_ROWS).bytes),
                         1u << group);
    assert_int_equal(groups_with(file, "Service", NULL, "nobody"), 0);
}

static void check_ranges(const struct file *file)
{
    assert_int_equal(groups_between(file, "Time", 0, 10), 1);
    assert_int_equal(groups_between(file, "Time", 1999000, 2000000), 3);
    assert_int_equal(groups_between(file, "Time", -5, -1), 0);
    assert_int_equal(groups_between(file, "Code", -4000, -4000), 4);
    assert_int_equal(groups_between(file, "Code", 1, INT64_MAX), 0);
    assert_int_equal(groups_between(file, "Code", INT64_MIN, INT64_MAX), 7);
}

// Nothing is known of these, so any row group may have such rows.
static void check_others(const struct file *file)
{
    assert_int_equal(groups_with(file, "Events", NULL, "x"), 7);
    assert_int_equal(groups_with(file, "Nowhere", NULL, "x"), 7);
    assert_int_equal(groups_with(file, "Map", NULL, "x"), 7);
    assert_int_equal(groups_with(file, "Service", "key", "nobody"), 7);
    assert_int_equal(groups_with(file, "Time", NULL, "x"), 7);
    assert_int_equal(groups_between(file, "Service", 1, 2), 7);
    struct file closed = {NULL, -1, file->facts};
    assert_int_equal(groups_with(&closed, "Trace", NULL, trace_of(3001).bytes) & 2, 2);
}

static void facts_deny_no_row(void **state)
{
    (void)state;
    static const char *const writers[] = {"otolith version 1.2.3", "somebody version 1.2.3"};
    for (size_t i = 0; i < 2; i++) {
        struct file file = make_file(writers[i]);
        assert_int_equal(file.facts->group_count, 3);
        check_values(&file);
        check_ranges(&file);
        check_others(&file);
        close_file(&file);
    }
}

static void filtered_conditions_come_first(void **state)
{
    (void)state;
    struct file file = make_file("otolith version 1.2.3");
    struct oto_bytes value = oto_bytes_text(trace_of(5).bytes);
    struct query_condition conditions[] = {
        {.column = OTO_BYTES_LITERAL("Time"), .is_range = 1, .max = 9},
        {.column = OTO_BYTES_LITERAL("Service"), .values = &value, .value_count = 1},
        {.column = OTO_BYTES_LITERAL("Trace"), .values = &value, .value_count = 1},
    };
    struct query_scan scan = {.conditions = conditions, .count = 3};
    uint32_t column;
    assert_ptr_equal(query_facts_filtered(file.facts, &scan, &column), &conditions[2]);
    assert_string_equal(file.facts->shape->list[column].name, "Trace");
    scan.count = 2;
    assert_null(query_facts_filtered(file.facts, &scan, &column));
    close_file(&file);
}

static void files_of_one_shape_share_it(void **state)
{
    (void)state;
    struct file a = make_file("otolith version 1.2.3"), b = make_file("somebody version 1.2.3");
    assert_ptr_not_equal(a.facts->shape, b.facts->shape);
    assert_true(query_facts_share(b.facts, a.facts->shape));
    assert_ptr_equal(a.facts->shape, b.facts->shape);
    assert_int_equal(a.facts->shape->users, 2);
    assert_true(query_facts_bytes(b.facts) < 8192);
    close_file(&a);
    assert_int_equal(b.facts->shape->users, 1);
    check_ranges(&b);
    close_file(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(facts_deny_no_row),
        cmocka_unit_test(filtered_conditions_come_first),
        cmocka_unit_test(files_of_one_shape_share_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
