// Columns of the shapes that have a way of their own: lines of one kind, unique ids in maps, codes
// of four bytes, times that series share, lists in lists. What was written is read back, in the
// order of memory and in another, and the statistics are those of the values.
#include "cmocka_all.h"
#include "parquet/parquet_reader.h"
#include "parquet/parquet_writer.h"
#include <stdio.h>
#include <stdlib.h>

static const struct oto_field time_field = {
    .name = "time", .id = 1, .type = OTO_TYPE_TIME, .flags = OTO_FIELD_SORTED};
static const struct oto_field line_field = {.name = "line", .id = 2, .type = OTO_TYPE_STRING};
static const struct oto_field tags_field = {
    .name = "tags", .id = 3, .type = OTO_TYPE_MAP, .flags = OTO_FIELD_BLOOM};
static const struct oto_field span_field = {
    .name = "span", .id = 6, .type = OTO_TYPE_ID8, .flags = OTO_FIELD_BLOOM};
static const struct oto_field *const fields[] = {&time_field, &line_field, &tags_field,
                                                 &span_field};
static const struct oto_schema schema = {
    .name = "t", .fields = fields, .field_count = 4, .level_count = 1};

#define ROWS 100000u
#define SERIES_ROWS 50u // points of a series
#define OFFSETS 120u    // and so many different beginnings

// What repeats in maps, one a row, beside ids that do not: long enough for a dictionary to pay?
static int kinds_are_long = 1;

struct table {
    struct oto_arena arena;
    struct oto_builder builder;
    struct oto_batch batch;
};

static uint64_t scatter(uint64_t i)
{
    i = (i + 1) * 0x9E3779B97F4A7C15u;
    return i ^ i >> 29;
}

static void append_text(struct oto_builder *b, struct oto_column *c, const char *text)
{
    assert_int_equal(oto_column_append_bytes(b, c, oto_bytes_text(text)), OTO_OK);
}

static void print_kind(char *text, size_t size, unsigned kind)
{
    snprintf(text, size, "kind %u%s", kind, kinds_are_long ? " of those that come again" : "");
}

static void append_row(struct oto_builder *b, uint32_t i)
{
    struct oto_column *c = b->columns;
    uint64_t random = scatter(i);
    char text[96];
    assert_int_equal(oto_builder_row(b, 0), OTO_OK);
    assert_int_equal(oto_column_reserve(b, &c[0], 1), OTO_OK);
    oto_column_append_i64(&c[0],
                          (int64_t)(i % SERIES_ROWS * 10000 + i / SERIES_ROWS % OFFSETS * 7));
    snprintf(text, sizeof text, "%s %u accepted in %u ms", i % 3 ? "order" : "payment",
             (unsigned)(random % 10000000), (unsigned)(random >> 40) % 200);
    append_text(b, &c[1], text);
    snprintf(text, sizeof text, "%016llx", (unsigned long long)random);
    append_text(b, &c[2].children[0], "id");
    append_text(b, &c[2].children[1], text);
    for (uint32_t k = 0; k < i % 3; k++) {
        print_kind(text, sizeof text, (unsigned)(random >> 20) % 7);
        append_text(b, &c[2].children[0], "kind");
        append_text(b, &c[2].children[1], text);
    }
    assert_int_equal(oto_column_append_end(b, &c[2]), OTO_OK);
    assert_int_equal(oto_column_append_id(b, &c[3], oto_bytes(&random, i % 1000 ? 8 : 0)), OTO_OK);
}

static void table_make(struct table *t, uint32_t count)
{
    oto_arena_init(&t->arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
    assert_int_equal(oto_builder_init(&t->builder, &schema, &t->arena, 1, 1024, NULL), OTO_OK);
    for (uint32_t i = 0; i < count; i++)
        append_row(&t->builder, i);
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

static struct oto_bytes text_at(const struct oto_column *c, uint32_t i)
{
    return c->dictionary->entries[((const uint32_t *)c->values)[i]];
}

static void rows_are_equal(const struct oto_column *a, uint32_t i, const struct oto_column *b,
                           uint32_t k)
{
    assert_true(((const int64_t *)a[0].values)[i] == ((const int64_t *)b[0].values)[k]);
    assert_true(oto_bytes_equal(text_at(&a[1], i), text_at(&b[1], k)));
    uint32_t first = a[2].offsets[i], size = a[2].offsets[i + 1] - first;
    assert_int_equal(b[2].offsets[k + 1] - b[2].offsets[k], size);
    for (unsigned part = 0; part < 2; part++) {
        for (uint32_t j = 0; j < size; j++)
            assert_true(oto_bytes_equal(text_at(&a[2].children[part], first + j),
                                        text_at(&b[2].children[part], b[2].offsets[k] + j)));
    }
    assert_int_equal(oto_column_valid(&a[3], i), oto_column_valid(&b[3], k));
    assert_true(((const uint64_t *)a[3].values)[i] == ((const uint64_t *)b[3].values)[k]);
}

static struct oto_bytes id_of(const struct table *t, uint32_t row)
{
    const struct oto_column *tags = &t->builder.columns[2];
    return text_at(&tags->children[1], tags->offsets[row]);
}

// "kind…" comes after all ids of hex digits: the greatest value is one of these.
static void statistics_are_right(const struct table *t, const uint32_t *order, uint32_t count,
                                 const struct oto_parquet_chunk_info *chunk)
{
    struct oto_bytes least = id_of(t, order ? order[0] : 0);
    char greatest[96];
    print_kind(greatest, sizeof greatest, 6);
    for (uint32_t i = 1; i < count; i++) {
        struct oto_bytes id = id_of(t, order ? order[i] : i);
        least = memcmp(id.data, least.data, 16) < 0 ? id : least;
    }
    assert_true(oto_bytes_equal(chunk->statistics.min, least));
    assert_true(oto_bytes_equal_text(chunk->statistics.max, greatest));
}

static void comes_back(const struct table *t, const uint32_t *order, uint32_t count)
{
    struct oto_buffer file;
    struct oto_sink sink = {to_buffer, &file};
    struct oto_parquet_options options;
    struct oto_parquet_result result;
    struct oto_parquet_reader *reader;
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_error err;
    oto_buffer_init(&file, &oto_allocator_heap, 1 << 28);
    oto_parquet_options_default(&options);
    assert_int_equal(oto_parquet_write(&t->batch, order, count, &options, codec,
                                       &oto_allocator_heap, &sink, &result, &err),
                     OTO_OK);
    struct oto_bytes bytes = oto_buffer_view(&file);
    struct oto_source source = oto_source_of_bytes(&bytes);
    assert_int_equal(oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, &err), 0);
    const struct oto_parquet_group_info *group = oto_parquet_metadata_of(reader)->groups;
    assert_true(group->chunks[0].encodings >> 8 & 1); // times: RLE_DICTIONARY
    assert_true(group->chunks[1].encodings >> 6 & 1); // lines: DELTA_LENGTH_BYTE_ARRAY
    assert_int_equal(group->chunks[3].encodings >> 8 & 1, kinds_are_long);
    statistics_are_right(t, order, count, &group->chunks[3]);
    assert_int_equal(oto_parquet_select(reader, &schema, &err), OTO_OK);
    struct table got;
    table_make(&got, 0);
    uint32_t rows;
    while (oto_parquet_read(reader, &got.builder, 1u << 20, &rows, &err) == OTO_OK)
        ;
    assert_int_equal(got.builder.levels[0].count, count);
    for (uint32_t i = 0; i < count; i++)
        rows_are_equal(t->builder.columns, order ? order[i] : i, got.builder.columns, i);
    table_release(&got);
    oto_parquet_close(reader);
    oto_codec_free(codec);
    oto_buffer_release(&file);
}

static void rows_come_back_in_any_order(void **state)
{
    (void)state;
    struct table t;
    table_make(&t, ROWS);
    comes_back(&t, NULL, ROWS);
    uint32_t *order = malloc(ROWS * sizeof *order);
    assert_non_null(order);
    for (uint32_t i = 0; i < ROWS; i++) // whole series, the last first
        order[i] = ROWS - (i / SERIES_ROWS + 1) * SERIES_ROWS + i % SERIES_ROWS;
    comes_back(&t, order, ROWS);
    comes_back(&t, order + 300, ROWS - 1000);
    free(order);
    table_release(&t);
}

static void values_that_mostly_differ_need_no_dictionary(void **state)
{
    (void)state;
    struct table t;
    kinds_are_long = 0;
    table_make(&t, ROWS);
    comes_back(&t, NULL, ROWS);
    table_release(&t);
    kinds_are_long = 1;
}

// --- lists that rows share ---
static const struct oto_field row_field = {.name = "row", .id = 1, .type = OTO_TYPE_INT64};
static const struct oto_field shared_field = {
    .name = "labels", .id = 2, .type = OTO_TYPE_MAP, .level = 1};
static const struct oto_field own_field = {.name = "labels", .id = 2, .type = OTO_TYPE_MAP};
static const struct oto_field *const shared_fields[] = {&row_field, &shared_field};
static const struct oto_field *const own_fields[] = {&row_field, &own_field};
static const struct oto_schema shared_schema = {
    .name = "t", .fields = shared_fields, .field_count = 2, .level_count = 2};
static const struct oto_schema own_schema = {
    .name = "t", .fields = own_fields, .field_count = 2, .level_count = 1};

#define SHARED_ROWS 30000u
#define ENTRIES 200u

static void append_labels(struct oto_builder *b, struct oto_column *c, uint32_t entry)
{
    char text[32];
    for (uint32_t k = 0; k < entry % 13 + (entry > 100); k++) {
        snprintf(text, sizeof text, "label %u", k);
        append_text(b, &c->children[0], text);
        snprintf(text, sizeof text, "value %u", (entry * 31 + k) % 700);
        append_text(b, &c->children[1], text);
    }
    assert_int_equal(oto_column_append_end(b, c), OTO_OK);
}

// Rows of an entry stand together in the first pages, in runs of all lengths, then mix.
static uint32_t entry_of(uint32_t row)
{
    return row < SHARED_ROWS / 2 ? row / (row / 1000 * 7 + 1) % ENTRIES
                                 : (uint32_t)(scatter(row) % ENTRIES);
}

static void shared_make(struct table *t)
{
    struct oto_builder *b = &t->builder;
    oto_arena_init(&t->arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
    assert_int_equal(oto_builder_init(b, &shared_schema, &t->arena, 1, 1024, NULL), OTO_OK);
    for (uint32_t row = 0; row < SHARED_ROWS; row++) {
        uint32_t entry = entry_of(row), index;
        int is_new;
        assert_int_equal(
            oto_builder_entry(b, 1, oto_bytes(&entry, sizeof entry), 0, &index, &is_new), OTO_OK);
        if (is_new)
            append_labels(b, &b->columns[1], entry);
        assert_int_equal(oto_builder_row(b, index), OTO_OK);
        assert_int_equal(oto_column_reserve(b, &b->columns[0], 1), OTO_OK);
        oto_column_append_i64(&b->columns[0], row);
    }
    assert_int_equal(oto_builder_view(b, &oto_allocator_heap, &t->batch), OTO_OK);
}

static void shared_lists_come_back(void **state)
{
    (void)state;
    struct table t, got, expected;
    struct oto_buffer file;
    struct oto_sink sink = {to_buffer, &file};
    struct oto_parquet_options options;
    struct oto_parquet_result result;
    struct oto_parquet_reader *reader;
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_error err;
    uint32_t rows;
    shared_make(&t);
    oto_buffer_init(&file, &oto_allocator_heap, 1 << 28);
    oto_parquet_options_default(&options);
    options.page_rows = 3000;
    assert_int_equal(oto_parquet_write(&t.batch, NULL, SHARED_ROWS, &options, codec,
                                       &oto_allocator_heap, &sink, &result, &err),
                     OTO_OK);
    struct oto_bytes bytes = oto_buffer_view(&file);
    struct oto_source source = oto_source_of_bytes(&bytes);
    assert_int_equal(oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, &err), 0);
    assert_int_equal(oto_parquet_select(reader, &own_schema, &err), OTO_OK);
    struct table *both[] = {&got, &expected};
    for (int i = 0; i < 2; i++) {
        oto_arena_init(&both[i]->arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
        assert_int_equal(
            oto_builder_init(&both[i]->builder, &own_schema, &both[i]->arena, 1, 1024, NULL),
            OTO_OK);
    }
    while (oto_parquet_read(reader, &got.builder, 1u << 20, &rows, &err) == OTO_OK)
        ;
    for (uint32_t row = 0; row < SHARED_ROWS; row++)
        append_labels(&expected.builder, &expected.builder.columns[1], entry_of(row));
    const struct oto_column *a = &expected.builder.columns[1], *b = &got.builder.columns[1];
    assert_int_equal(got.builder.levels[0].count, SHARED_ROWS);
    assert_memory_equal(a->offsets, b->offsets, (SHARED_ROWS + 1) * sizeof *a->offsets);
    for (uint32_t i = 0; i < a->offsets[SHARED_ROWS]; i++) {
        assert_true(oto_bytes_equal(text_at(&a->children[0], i), text_at(&b->children[0], i)));
        assert_true(oto_bytes_equal(text_at(&a->children[1], i), text_at(&b->children[1], i)));
    }
    oto_arena_release(&got.arena);
    oto_arena_release(&expected.arena);
    oto_parquet_close(reader);
    oto_buffer_release(&file);
    oto_codec_free(codec);
    table_release(&t);
}

// --- lists in lists ---
static const struct oto_field event_parts[] = {
    {.name = "labels", .id = 5, .type = OTO_TYPE_MAP},
};
static const struct oto_field events_field = {
    .name = "events", .id = 2, .type = OTO_TYPE_STRUCTS, .child_count = 1, .children = event_parts};
static const struct oto_field *const event_fields[] = {&row_field, &events_field};
static const struct oto_schema event_schema = {
    .name = "t", .fields = event_fields, .field_count = 2, .level_count = 1};

#define EVENT_ROWS 9000u

static void events_make(struct table *t, uint32_t count)
{
    static const uint32_t sizes[] = {0, 1, 2, 3, 15, 16, 17, 31, 32, 33, 70};
    oto_arena_init(&t->arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
    assert_int_equal(oto_builder_init(&t->builder, &event_schema, &t->arena, 1, 1024, NULL),
                     OTO_OK);
    struct oto_column *c = t->builder.columns;
    for (uint32_t row = 0; row < count; row++) {
        assert_int_equal(oto_builder_row(&t->builder, 0), OTO_OK);
        assert_int_equal(oto_column_reserve(&t->builder, &c[0], 1), OTO_OK);
        oto_column_append_i64(&c[0], row);
        for (uint32_t event = 0; event < scatter(row) % 4; event++) {
            uint32_t size = sizes[scatter(row * 4 + event) % (sizeof sizes / sizeof *sizes)];
            for (uint32_t k = 0; k < size; k++) {
                char text[32];
                snprintf(text, sizeof text, "label %u", k);
                append_text(&t->builder, &c[1].children[0].children[0], text);
                snprintf(text, sizeof text, "%llx", (unsigned long long)scatter(row * 99 + k));
                append_text(&t->builder, &c[1].children[0].children[1], text);
            }
            assert_int_equal(oto_column_append_end(&t->builder, &c[1].children[0]), OTO_OK);
        }
        assert_int_equal(oto_column_append_end(&t->builder, &c[1]), OTO_OK);
    }
    assert_int_equal(oto_builder_view(&t->builder, &oto_allocator_heap, &t->batch), OTO_OK);
}

// Of all sizes around what is put at once, in any order.
static void lists_of_lists_come_back(void **state)
{
    (void)state;
    static uint32_t order[EVENT_ROWS];
    struct table t, got;
    struct oto_buffer file;
    struct oto_sink sink = {to_buffer, &file};
    struct oto_parquet_options options;
    struct oto_parquet_result result;
    struct oto_parquet_reader *reader;
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_error err;
    uint32_t rows;
    events_make(&t, EVENT_ROWS);
    events_make(&got, 0);
    for (uint32_t i = 0; i < EVENT_ROWS; i++)
        order[i] = i * 7 % EVENT_ROWS; // 7 does not divide it
    oto_buffer_init(&file, &oto_allocator_heap, 1 << 28);
    oto_parquet_options_default(&options);
    options.page_rows = 2000;
    assert_int_equal(oto_parquet_write(&t.batch, order, EVENT_ROWS, &options, codec,
                                       &oto_allocator_heap, &sink, &result, &err),
                     OTO_OK);
    struct oto_bytes bytes = oto_buffer_view(&file);
    struct oto_source source = oto_source_of_bytes(&bytes);
    assert_int_equal(oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, &err), 0);
    assert_int_equal(oto_parquet_select(reader, &event_schema, &err), OTO_OK);
    while (oto_parquet_read(reader, &got.builder, 1u << 20, &rows, &err) == OTO_OK)
        ;
    const struct oto_column *a = &t.builder.columns[1], *b = &got.builder.columns[1];
    assert_int_equal(got.builder.levels[0].count, EVENT_ROWS);
    for (uint32_t i = 0; i < EVENT_ROWS; i++) {
        uint32_t from = a->offsets[order[i]], size = a->offsets[order[i] + 1] - from;
        assert_int_equal(b->offsets[i + 1] - b->offsets[i], size);
        for (uint32_t k = 0; k < size; k++) {
            const struct oto_column *x = &a->children[0], *y = &b->children[0];
            uint32_t at = x->offsets[from + k], count = x->offsets[from + k + 1] - at,
                     there = y->offsets[b->offsets[i] + k];
            assert_int_equal(y->offsets[b->offsets[i] + k + 1] - there, count);
            for (uint32_t j = 0; j < 2 * count; j++)
                assert_true(oto_bytes_equal(text_at(&x->children[j & 1], at + j / 2),
                                            text_at(&y->children[j & 1], there + j / 2)));
        }
    }
    table_release(&t);
    table_release(&got);
    oto_parquet_close(reader);
    oto_buffer_release(&file);
    oto_codec_free(codec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_in_any_order),
        cmocka_unit_test(values_that_mostly_differ_need_no_dictionary),
        cmocka_unit_test(shared_lists_come_back),
        cmocka_unit_test(lists_of_lists_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
