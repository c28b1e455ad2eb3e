// A file made batch by batch has the rows of all of them, a row group or more each.
#include "cmocka_all.h"
#include "parquet/parquet_reader.h"
#include "parquet/parquet_writer.h"
#include <stdio.h>

static const struct oto_field id = {.name = "id", .id = 1, .type = OTO_TYPE_INT64};
static const struct oto_field name = {
    .name = "name", .id = 2, .type = OTO_TYPE_STRING, .flags = OTO_FIELD_BLOOM};
static const struct oto_field tags = {.name = "tags", .id = 3, .type = OTO_TYPE_MAP};
static const struct oto_field *const fields[] = {&id, &name, &tags};
static const struct oto_schema schema = {
    .name = "t", .fields = fields, .field_count = 3, .level_count = 1};

struct table {
    struct oto_arena arena;
    struct oto_builder builder;
    struct oto_batch batch;
};

static void append_text(struct oto_builder *b, struct oto_column *c, const char *prefix, int i)
{
    char text[32];
    snprintf(text, sizeof text, "%s%d", prefix, i);
    assert_int_equal(oto_column_append_bytes(b, c, oto_bytes_text(text)), OTO_OK);
}

static void table_make(struct table *t, int first, int count)
{
    struct oto_builder *b = &t->builder;
    oto_arena_init(&t->arena, &oto_allocator_heap, 1 << 16, SIZE_MAX);
    assert_int_equal(oto_builder_init(b, &schema, &t->arena, 1, 16, NULL), OTO_OK);
    for (int i = first; i < first + count; i++) {
        assert_int_equal(oto_builder_row(b, 0), OTO_OK);
        assert_int_equal(oto_column_reserve(b, &b->columns[0], 1), OTO_OK);
        oto_column_append_i64(&b->columns[0], i);
        append_text(b, &b->columns[1], "n", i / 3);
        for (int k = 0; k < i % 3; k++) {
            append_text(b, &b->columns[2].children[0], "k", k);
            append_text(b, &b->columns[2].children[1], "v", i);
        }
        assert_int_equal(oto_column_append_end(b, &b->columns[2]), OTO_OK);
    }
    assert_int_equal(oto_builder_view(b, &oto_allocator_heap, &t->batch), OTO_OK);
}

static void table_release(struct table *t)
{
    oto_batch_release(&t->batch);
    oto_arena_release(&t->arena);
}

static enum oto_status to_buffer(void *state, const void *data, size_t size, struct oto_error *err)
{
    (void)err;
    return oto_buffer_append(state, data, size);
}

static enum oto_status nowhere(void *state, const void *data, size_t size, struct oto_error *err)
{
    size_t *left = state;
    (void)data;
    if (size > *left)
        return oto_error_set(err, OTO_NO_SPACE, "no room");
    *left -= size;
    return OTO_OK;
}

static struct oto_parquet_options options_of(uint32_t rows)
{
    struct oto_parquet_options options;
    oto_parquet_options_default(&options);
    options.row_group_rows = rows;
    return options;
}

// Rows 0…: three batches, of which one is empty.
static enum oto_status write_three(const struct oto_sink *sink, struct oto_parquet_result *result,
                                   struct oto_error *err)
{
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_parquet_options options = options_of(100);
    struct oto_parquet_writer *w = NULL;
    const int sizes[] = {250, 0, 30};
    int first = 0;
    enum oto_status status =
        oto_parquet_writer_new(&schema, &options, codec, &oto_allocator_heap, sink, &w, err);
    for (int i = 0; i < 3 && status == OTO_OK; i++) {
        struct table t;
        table_make(&t, first, sizes[i]);
        status = oto_parquet_writer_append(w, &t.batch, NULL, (uint32_t)sizes[i], err);
        table_release(&t);
        first += sizes[i];
    }
    if (status == OTO_OK)
        status = oto_parquet_writer_finish(w, result, err);
    oto_parquet_writer_free(w);
    oto_codec_free(codec);
    return status;
}

static void rows_of_all_batches_are_read_back(void **state)
{
    (void)state;
    struct oto_buffer file;
    struct oto_sink sink = {to_buffer, &file};
    struct oto_parquet_result result;
    struct oto_parquet_reader *reader;
    struct oto_error err;
    oto_buffer_init(&file, &oto_allocator_heap, 1 << 24);
    assert_int_equal(write_three(&sink, &result, &err), OTO_OK);
    assert_int_equal(result.file_size_bytes, file.size);
    assert_int_equal(result.row_count, 280);
    assert_int_equal(result.row_group_count, 4);
    struct oto_bytes bytes = oto_buffer_view(&file);
    struct oto_source source = oto_source_of_bytes(&bytes);
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    assert_int_equal(oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, &err), 0);
    assert_int_equal(oto_parquet_select(reader, &schema, &err), OTO_OK);
    struct table expected, got;
    table_make(&expected, 0, 280);
    table_make(&got, 0, 0);
    uint32_t rows;
    while (oto_parquet_read(reader, &got.builder, 1000, &rows, &err) == OTO_OK)
        ;
    assert_int_equal(got.builder.levels[0].count, 280);
    for (uint32_t g = 0; g < 4; g++) { // filters lie where the footer says
        struct oto_parquet_bloom_info info;
        assert_int_equal(oto_parquet_bloom_info(reader, g, 1, &info, &err), OTO_OK);
        assert_true(info.bits_set > 0);
    }
    const struct oto_column *a = expected.builder.columns, *b = got.builder.columns;
    assert_memory_equal(a[0].values, b[0].values, 280 * 8);
    assert_memory_equal(a[2].offsets, b[2].offsets, 281 * 4);
    for (uint32_t i = 0; i < 280; i++) {
        struct oto_bytes x = a[1].dictionary->entries[((uint32_t *)a[1].values)[i]];
        struct oto_bytes y = b[1].dictionary->entries[((uint32_t *)b[1].values)[i]];
        assert_true(oto_bytes_equal(x, y));
    }
    table_release(&got);
    table_release(&expected);
    oto_parquet_close(reader);
    oto_codec_free(codec);
    oto_buffer_release(&file);
}

static void one_batch_gives_the_bytes_of_a_whole_write(void **state)
{
    (void)state;
    struct oto_buffer whole, parts;
    struct oto_sink to_whole = {to_buffer, &whole}, to_parts = {to_buffer, &parts};
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_parquet_options options = options_of(100);
    struct oto_parquet_result one, other;
    struct oto_parquet_writer *w;
    struct oto_error err;
    struct table t;
    oto_buffer_init(&whole, &oto_allocator_heap, 1 << 24);
    oto_buffer_init(&parts, &oto_allocator_heap, 1 << 24);
    table_make(&t, 0, 250);
    assert_int_equal(oto_parquet_write(&t.batch, NULL, 250, &options, codec, &oto_allocator_heap,
                                       &to_whole, &one, &err),
                     OTO_OK);
    assert_int_equal(
        oto_parquet_writer_new(&schema, &options, codec, &oto_allocator_heap, &to_parts, &w, &err),
        OTO_OK);
    assert_int_equal(oto_parquet_writer_append(w, &t.batch, NULL, 250, &err), OTO_OK);
    assert_int_equal(oto_parquet_writer_finish(w, &other, &err), OTO_OK);
    oto_parquet_writer_free(w);
    assert_true(oto_bytes_equal(oto_buffer_view(&whole), oto_buffer_view(&parts)));
    assert_int_equal(one.row_count, other.row_count);
    assert_int_equal(one.row_group_count, other.row_group_count);
    table_release(&t);
    oto_codec_free(codec);
    oto_buffer_release(&parts);
    oto_buffer_release(&whole);
}

// --- lists that many rows share ---

static const struct oto_field shared = {
    .name = "shared", .id = 10, .type = OTO_TYPE_MAP, .level = 1};
static const struct oto_field *const shared_fields[] = {&id, &shared};
static const struct oto_schema shared_schema = {
    .name = "s", .fields = shared_fields, .field_count = 2, .level_count = 2};
static const uint32_t shared_sizes[] = {1, 30, 0, 150};

// Row i has the list i % 4.
static void shared_make(struct table *t, uint32_t count)
{
    struct oto_builder *b = &t->builder;
    oto_arena_init(&t->arena, &oto_allocator_heap, 1 << 16, SIZE_MAX);
    assert_int_equal(oto_builder_init(b, &shared_schema, &t->arena, 1, 16, NULL), OTO_OK);
    for (uint32_t i = 0; i < 4; i++) {
        uint32_t index;
        int is_new;
        assert_int_equal(oto_builder_entry(b, 1, oto_bytes(&i, sizeof i), 0, &index, &is_new), 0);
        for (uint32_t k = 0; k < shared_sizes[i]; k++) {
            append_text(b, &b->columns[1].children[0], "k", (int)k);
            append_text(b, &b->columns[1].children[1], "v", (int)i);
        }
        assert_int_equal(oto_column_append_end(b, &b->columns[1]), OTO_OK);
    }
    for (uint32_t i = 0; i < count; i++) {
        assert_int_equal(oto_builder_row(b, i % 4), OTO_OK);
        assert_int_equal(oto_column_reserve(b, &b->columns[0], 1), OTO_OK);
        oto_column_append_i64(&b->columns[0], i);
    }
    assert_int_equal(oto_builder_view(b, &oto_allocator_heap, &t->batch), OTO_OK);
}

// As many of the rows order[0..count) as have 100 values together, or one.
static uint32_t rows_of_group(const uint32_t *order, uint32_t count)
{
    uint32_t values = 0, rows = 0;
    for (; rows < count && rows < 20; rows++) {
        values += shared_sizes[order[rows] % 4];
        if (values > 100)
            break;
    }
    return rows ? rows : 1;
}

static void row_groups_end_by_the_values_that_rows_share(void **state)
{
    (void)state;
    enum { COUNT = 200 };
    struct oto_parquet_options options = options_of(20);
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_parquet_result result;
    struct oto_parquet_reader *reader;
    struct oto_buffer file;
    struct oto_sink sink = {to_buffer, &file};
    struct oto_error err;
    struct table t;
    uint32_t order[COUNT], row = 0;
    options.row_group_values = 100;
    shared_make(&t, COUNT);
    for (uint32_t i = 0; i < COUNT; i++)
        order[i] = i < 40 ? i : i < 120 ? 40 + (i - 40) * 37 % 80 : COUNT - 1 - (i - 120);
    oto_buffer_init(&file, &oto_allocator_heap, 1 << 24);
    assert_int_equal(oto_parquet_write(&t.batch, order, COUNT, &options, codec, &oto_allocator_heap,
                                       &sink, &result, &err),
                     OTO_OK);
    struct oto_bytes bytes = oto_buffer_view(&file);
    struct oto_source source = oto_source_of_bytes(&bytes);
    assert_int_equal(oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, &err), 0);
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    for (uint32_t g = 0; g < m->group_count; g++) {
        uint32_t rows = rows_of_group(order + row, COUNT - row), entries = 0;
        for (uint32_t i = row; i < row + rows; i++)
            entries += shared_sizes[order[i] % 4] ? shared_sizes[order[i] % 4] : 1;
        assert_int_equal(m->groups[g].row_count, rows);
        assert_int_equal(m->groups[g].chunks[1].value_count, entries);
        assert_int_equal(m->groups[g].chunks[2].value_count, entries);
        row += rows;
    }
    assert_int_equal(row, COUNT);
    assert_int_equal(result.row_group_count, m->group_count);
    oto_parquet_close(reader);
    table_release(&t);
    oto_codec_free(codec);
    oto_buffer_release(&file);
}

// Whoever wants one row reads a page of each column: of numbers, less than one of text may be.
static void pages_of_numbers_are_small(void **state)
{
    (void)state;
    enum { ROWS = 20000 };
    struct oto_buffer file;
    struct oto_sink sink = {to_buffer, &file};
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_parquet_options options = options_of(ROWS);
    struct oto_parquet_result result;
    struct oto_parquet_reader *reader;
    struct oto_error err;
    struct table t;
    oto_buffer_init(&file, &oto_allocator_heap, 1 << 24);
    table_make(&t, 0, ROWS);
    assert_int_equal(oto_parquet_write(&t.batch, NULL, ROWS, &options, codec, &oto_allocator_heap,
                                       &sink, &result, &err),
                     OTO_OK);
    struct oto_bytes bytes = oto_buffer_view(&file);
    struct oto_source source = oto_source_of_bytes(&bytes);
    assert_int_equal(oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, &err), 0);
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    assert_int_equal(m->groups[0].chunks[0].data_page_count, 3); // of 8,192 numbers
    assert_int_equal(m->groups[0].chunks[1].data_page_count, 1);
    oto_parquet_close(reader);
    table_release(&t);
    oto_codec_free(codec);
    oto_buffer_release(&file);
}

static void a_file_without_rows_is_a_legal_one(void **state)
{
    (void)state;
    struct oto_buffer file;
    struct oto_sink sink = {to_buffer, &file};
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_parquet_options options = options_of(100);
    struct oto_parquet_result result;
    struct oto_parquet_writer *w;
    struct oto_parquet_reader *reader;
    struct oto_error err;
    oto_buffer_init(&file, &oto_allocator_heap, 1 << 20);
    assert_int_equal(
        oto_parquet_writer_new(&schema, &options, codec, &oto_allocator_heap, &sink, &w, &err),
        OTO_OK);
    assert_int_equal(oto_parquet_writer_finish(w, &result, &err), OTO_OK);
    oto_parquet_writer_free(w);
    struct oto_bytes bytes = oto_buffer_view(&file);
    struct oto_source source = oto_source_of_bytes(&bytes);
    assert_int_equal(oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, &err), 0);
    assert_true(oto_parquet_has_column(reader, "tags"));
    assert_int_equal(oto_parquet_metadata_of(reader)->group_count, 0);
    oto_parquet_close(reader);
    oto_codec_free(codec);
    oto_buffer_release(&file);
}

static void a_sink_that_fails_ends_it(void **state)
{
    (void)state;
    struct oto_parquet_result result;
    for (size_t room = 0; room < 3000; room += 97) {
        struct oto_error err;
        size_t left = room;
        struct oto_sink sink = {nowhere, &left};
        assert_int_equal(write_three(&sink, &result, &err), OTO_NO_SPACE);
        assert_string_equal(err.message, "no room");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_of_all_batches_are_read_back),
        cmocka_unit_test(one_batch_gives_the_bytes_of_a_whole_write),
        cmocka_unit_test(row_groups_end_by_the_values_that_rows_share),
        cmocka_unit_test(pages_of_numbers_are_small),
        cmocka_unit_test(a_file_without_rows_is_a_legal_one),
        cmocka_unit_test(a_sink_that_fails_ends_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
