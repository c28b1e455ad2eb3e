// Numbers take the encoding that is smallest for a sample, and come back; filters of plain texts
// are as large as their distinct values want.
#include "cmocka_all.h"
#include "parquet/parquet_reader.h"
#include "parquet/parquet_writer.h"
#include <math.h>
#include <stdio.h>

static const struct oto_field rounded_field = {.name = "rounded", .id = 1, .type = OTO_TYPE_DOUBLE};
static const struct oto_field measured_field = {
    .name = "measured", .id = 2, .type = OTO_TYPE_DOUBLE, .flags = OTO_FIELD_NULLABLE};
static const struct oto_field walk_field = {
    .name = "walk", .id = 3, .type = OTO_TYPE_INT64, .flags = OTO_FIELD_NULLABLE};
static const struct oto_field counter_field = {.name = "counter", .id = 4, .type = OTO_TYPE_INT64};
static const struct oto_field noise_field = {.name = "noise", .id = 5, .type = OTO_TYPE_INT64};
static const struct oto_field text_field = {
    .name = "text", .id = 6, .type = OTO_TYPE_STRING, .flags = OTO_FIELD_BLOOM};
static const struct oto_field mixed_field = {.name = "mixed", .id = 7, .type = OTO_TYPE_DOUBLE};
static const struct oto_field *const fields[] = {&rounded_field, &measured_field, &walk_field,
                                                 &counter_field, &noise_field,    &text_field,
                                                 &mixed_field};
static const struct oto_schema schema = {
    .name = "t", .fields = fields, .field_count = 7, .level_count = 1};

#define ROWS 40000u
#define SERIES_ROWS 50u
enum { PLAIN = 0, DELTA_BINARY_PACKED = 5, RLE_DICTIONARY = 8, BYTE_STREAM_SPLIT = 9 };

struct table {
    struct oto_arena arena;
    struct oto_builder builder;
    struct oto_batch batch;
};

static uint64_t scatter(uint64_t i)
{
    i = (i + 1) * 0x9E3779B97F4A7C15u;
    i = (i ^ i >> 29) * 0xBF58476D1CE4E5B9u;
    return i ^ i >> 32;
}

static void append_row(struct oto_builder *b, uint32_t i, int64_t *walk, int64_t *counter)
{
    struct oto_column *c = b->columns;
    uint64_t random = scatter(i);
    char text[32];
    assert_int_equal(oto_builder_row(b, 0), OTO_OK);
    for (unsigned k = 0; k < 5; k++)
        assert_int_equal(oto_column_reserve(b, &c[k], 1), OTO_OK);
    *walk += (int64_t)(random % 9) - 4;
    *counter = i % SERIES_ROWS ? *counter + (int64_t)(random % 100)
                               : (int64_t)(scatter(i / SERIES_ROWS) % 100000000);
    oto_column_append_double(&c[0], (double)(random % 1000000) / 1000);
    if (i < ROWS / 4) // the last sample has none
        oto_column_append_double(&c[1], 1 + sqrt((double)(random >> 12)) / 1e9);
    else
        assert_int_equal(oto_column_append_null(b, &c[1]), OTO_OK);
    if (i < ROWS / 4)
        oto_column_append_i64(&c[2], 700 + *walk);
    else
        assert_int_equal(oto_column_append_null(b, &c[2]), OTO_OK);
    oto_column_append_i64(&c[3], *counter);
    oto_column_append_i64(&c[4], (int64_t)(random % 1000));
    snprintf(text, sizeof text, "%llx", (unsigned long long)scatter(i < ROWS / 2 ? i : i / 400));
    assert_int_equal(oto_column_append_bytes(b, &c[5], oto_bytes_text(text)), OTO_OK);
    assert_int_equal(oto_column_reserve(b, &c[6], 1), OTO_OK);
    oto_column_append_double(&c[6], i < ROWS / 2 ? (double)(random % 1000000) / 1000
                                                 : 1 + sqrt((double)(random >> 12)) / 1e9);
}

static void table_make(struct table *t, uint32_t count)
{
    int64_t walk = 0, counter = 0;
    oto_arena_init(&t->arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
    assert_int_equal(oto_builder_init(&t->builder, &schema, &t->arena, 1, 1024, NULL), OTO_OK);
    for (uint32_t i = 0; i < count; i++)
        append_row(&t->builder, i, &walk, &counter);
    assert_int_equal(oto_builder_view(&t->builder, &oto_allocator_heap, &t->batch), OTO_OK);
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

static void write_table(const struct table *t, struct oto_codec *codec, struct oto_buffer *file)
{
    struct oto_sink sink = {to_buffer, file};
    struct oto_parquet_options options;
    struct oto_parquet_result result;
    struct oto_error err;
    oto_buffer_init(file, &oto_allocator_heap, 1 << 28);
    oto_parquet_options_default(&options);
    options.dictionary_bytes_max = 1 << 16; // texts are plain
    assert_int_equal(oto_parquet_write(&t->batch, NULL, t->batch.row_count, &options, codec,
                                       &oto_allocator_heap, &sink, &result, &err),
                     OTO_OK);
}

static int has_encoding(const struct oto_parquet_reader *reader, unsigned leaf, unsigned encoding)
{
    return oto_parquet_metadata_of(reader)->groups[0].chunks[leaf].encodings >> encoding & 1;
}

static void comes_back(struct oto_parquet_reader *reader, const struct table *t)
{
    struct table got;
    struct oto_error err;
    uint32_t rows;
    assert_int_equal(oto_parquet_select(reader, &schema, &err), OTO_OK);
    table_make(&got, 0);
    while (oto_parquet_read(reader, &got.builder, 1u << 20, &rows, &err) == OTO_OK)
        ;
    assert_int_equal(got.builder.levels[0].count, t->batch.row_count);
    for (unsigned k = 0; k < 5; k++)
        assert_memory_equal(got.builder.columns[k].values, t->builder.columns[k].values,
                            t->batch.row_count * 8);
    assert_memory_equal(got.builder.columns[6].values, t->builder.columns[6].values,
                        t->batch.row_count * 8);
    table_release(&got);
}

static void numbers_take_what_is_smallest_for_them(void **state)
{
    (void)state;
    struct table t;
    struct oto_buffer file;
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_parquet_reader *reader;
    struct oto_error err;
    table_make(&t, ROWS);
    write_table(&t, codec, &file);
    struct oto_bytes bytes = oto_buffer_view(&file);
    struct oto_source source = oto_source_of_bytes(&bytes);
    assert_int_equal(oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, &err), 0);
    assert_false(has_encoding(reader, 0, BYTE_STREAM_SPLIT)); // PLAIN
    assert_true(has_encoding(reader, 1, BYTE_STREAM_SPLIT));
    assert_true(has_encoding(reader, 6, PLAIN)); // the first page, the second:
    assert_true(has_encoding(reader, 6, BYTE_STREAM_SPLIT));
    assert_true(has_encoding(reader, 2, DELTA_BINARY_PACKED));
    assert_false(has_encoding(reader, 3, DELTA_BINARY_PACKED));
    assert_false(has_encoding(reader, 3, RLE_DICTIONARY)); // PLAIN
    assert_true(has_encoding(reader, 4, RLE_DICTIONARY));
    comes_back(reader, &t);
    oto_parquet_close(reader);
    oto_buffer_release(&file);
    oto_codec_free(codec);
    table_release(&t);
}

static void a_filter_of_plain_texts_has_each_once(void **state)
{
    (void)state;
    struct table t;
    struct oto_buffer file;
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_parquet_reader *reader;
    struct oto_parquet_bloom_info info;
    struct oto_error err;
    table_make(&t, ROWS);
    write_table(&t, codec, &file);
    struct oto_bytes bytes = oto_buffer_view(&file);
    struct oto_source source = oto_source_of_bytes(&bytes);
    assert_int_equal(oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, &err), 0);
    assert_false(has_encoding(reader, 5, RLE_DICTIONARY));
    assert_int_equal(oto_parquet_bloom_info(reader, 0, 5, &info, &err), OTO_OK);
    assert_int_equal(info.bitset_bytes, 16384); // 20,050 values, not 40,000
    oto_parquet_close(reader);
    oto_buffer_release(&file);
    oto_codec_free(codec);
    table_release(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_take_what_is_smallest_for_them),
        cmocka_unit_test(a_filter_of_plain_texts_has_each_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
