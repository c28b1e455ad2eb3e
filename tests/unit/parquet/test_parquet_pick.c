// Rows with a value are found, and picked rows are the ones that reading all of them gives.
#include "cmocka_all.h"
#include "parquet/parquet_pick.h"
#include "parquet/parquet_writer.h"
#include <stdio.h>
#include <stdlib.h>

#define ROWS 5000u
#define GROUP_ROWS 3000u

static const struct oto_field parts[] = {
    {.name = "Time", .id = 42, .type = OTO_TYPE_TIME},
    {.name = "Rate", .id = 43, .type = OTO_TYPE_DOUBLE, .flags = OTO_FIELD_NULLABLE},
    {.name = "Tags", .id = 44, .type = OTO_TYPE_MAP},
};
enum { TIME, NOTE, BODY, TRACE, MAP, EVENTS, RARE, TWICE, FULL, COLUMNS };
static const struct oto_field fields[COLUMNS] = {
    {.name = "Time", .id = 2, .type = OTO_TYPE_TIME},
    {.name = "Note", .id = 3, .type = OTO_TYPE_STRING, .flags = OTO_FIELD_NULLABLE},
    {.name = "Body", .id = 5, .type = OTO_TYPE_STRING}, // no two alike: no dictionary
    {.name = "Trace", .id = 7, .type = OTO_TYPE_ID16, .flags = OTO_FIELD_BLOOM},
    {.name = "Map", .id = 20, .type = OTO_TYPE_MAP, .flags = OTO_FIELD_BLOOM},
    {.name = "Events", .id = 40, .type = OTO_TYPE_STRUCTS, .child_count = 3, .children = parts},
    {.name = "Rare", .id = 50, .type = OTO_TYPE_MAP},  // runs of rows without an entry
    {.name = "Twice", .id = 60, .type = OTO_TYPE_MAP}, // a key that a row has twice
    {.name = "Full", .id = 70, .type = OTO_TYPE_MAP},  // never empty
};
static const struct oto_field *const pointers[COLUMNS] = {&fields[0], &fields[1], &fields[2],
                                                          &fields[3], &fields[4], &fields[5],
                                                          &fields[6], &fields[7], &fields[8]};
static const struct oto_schema schema = {"test", pointers, COLUMNS, 1};

static struct fixture {
    struct oto_arena arena;
    struct oto_builder builder;
    struct oto_codec *codec;
    struct oto_buffer file;
    struct oto_bytes bytes;
    struct oto_source source;
} f;

static void ok(enum oto_status status)
{
    assert_int_equal(status, OTO_OK);
}

static void put_text(struct oto_column *c, const char *word, uint32_t n)
{
    char text[64];
    (void)snprintf(text, sizeof text, "%s %u", word, n);
    ok(oto_column_append_bytes(&f.builder, c, oto_bytes_text(text)));
}

static void put_map(struct oto_column *c, uint32_t count, uint32_t salt)
{
    for (uint32_t i = 0; i < count; i++) {
        put_text(&c->children[0], "key", i);
        put_text(&c->children[1], "value", (salt + i) % 50);
    }
    ok(oto_column_append_end(&f.builder, c));
}

static void put_row(uint32_t row)
{
    struct oto_column *c = f.builder.columns, *event = c[EVENTS].children;
    uint64_t id[2] = {row / 7, 0x1111};
    ok(oto_builder_row(&f.builder, 0));
    for (int i = 0; i < COLUMNS; i++)
        ok(oto_column_reserve(&f.builder, &c[i], 1));
    oto_column_append_i64(&c[TIME], row);
    if (row % 4)
        put_text(&c[NOTE], "note", row % 11);
    else
        ok(oto_column_append_null(&f.builder, &c[NOTE]));
    put_text(&c[BODY], "body", row);
    ok(oto_column_append_id(&f.builder, &c[TRACE], oto_bytes(id, 16)));
    put_map(&c[MAP], row % 5, row);
    for (uint32_t i = 0; i < (row >> 3) % 3; i++) {
        ok(oto_column_reserve(&f.builder, &event[0], 1));
        oto_column_append_i64(&event[0], row);
        ok(oto_column_append_null(&f.builder, &event[1]));
        put_map(&event[2], (row + i) % 3, row);
    }
    ok(oto_column_append_end(&f.builder, &c[EVENTS]));
    put_map(&c[RARE], row % 900 == 5 ? 2 : 0, row);
    for (uint32_t i = 0; i < 4; i++) {
        put_text(&c[TWICE].children[0], "key", (row + i) % 3);
        put_text(&c[TWICE].children[1], "value", (row / 2 + i) % 7);
    }
    ok(oto_column_append_end(&f.builder, &c[TWICE]));
    put_map(&c[FULL], 1 + row % 40, row);
}

static enum oto_status append_to_buffer(void *state, const void *data, size_t size,
                                        struct oto_error *err)
{
    (void)err;
    return oto_buffer_append(state, data, size);
}

static int set_up(void **state)
{
    struct oto_batch batch;
    struct oto_parquet_options options;
    struct oto_parquet_result result;
    struct oto_sink sink = {append_to_buffer, &f.file};
    (void)state;
    oto_arena_init(&f.arena, &oto_allocator_heap, 1 << 20, 1u << 28);
    ok(oto_builder_init(&f.builder, &schema, &f.arena, 1, 64, NULL));
    for (uint32_t row = 0; row < ROWS; row++)
        put_row(row);
    f.codec = oto_codec_new(&oto_allocator_heap);
    oto_buffer_init(&f.file, &oto_allocator_heap, 1u << 28);
    oto_parquet_options_default(&options);
    options.row_group_rows = GROUP_ROWS;
    options.page_rows = 700;
    options.created_by = "a test";
    ok(oto_builder_view(&f.builder, &oto_allocator_heap, &batch));
    ok(oto_parquet_write(&batch, NULL, ROWS, &options, f.codec, &oto_allocator_heap, &sink, &result,
                         NULL));
    oto_batch_release(&batch);
    f.bytes = oto_buffer_view(&f.file);
    f.source = oto_source_of_bytes(&f.bytes);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    oto_buffer_release(&f.file);
    oto_codec_free(f.codec);
    oto_arena_release(&f.arena);
    return 0;
}

static struct oto_parquet_reader *open_file(const struct oto_source *source)
{
    struct oto_parquet_reader *reader = NULL;
    struct oto_parquet_read_options options;
    oto_parquet_read_options_default(&options);
    options.crc = 0; // damage must get further than that
    if (oto_parquet_open(source, &options, f.codec, &oto_allocator_heap, &reader, NULL) < 0)
        return NULL;
    return reader;
}

// --- reading ---

static struct oto_bytes value_of(const struct oto_column *c, uint32_t i)
{
    if (c->dictionary)
        return c->dictionary->entries[((const uint32_t *)c->values)[i]];
    size_t width = c->field->type == OTO_TYPE_ID16 ? 16 : 8;
    return oto_bytes((const uint8_t *)c->values + i * width, width);
}

static void same_entry(const struct oto_column *a, uint32_t i, const struct oto_column *b,
                       uint32_t k)
{
    assert_int_equal(oto_column_valid(a, i), oto_column_valid(b, k));
    if (!a->offsets) {
        if (oto_column_valid(a, i))
            assert_true(oto_bytes_equal(value_of(a, i), value_of(b, k)));
        return;
    }
    uint32_t count = a->offsets[i + 1] - a->offsets[i];
    assert_int_equal(count, b->offsets[k + 1] - b->offsets[k]);
    for (uint32_t c = 0; c < a->child_count; c++)
        for (uint32_t e = 0; e < count; e++)
            same_entry(&a->children[c], a->offsets[i] + e, &b->children[c], b->offsets[k] + e);
}

static void pick(struct oto_parquet_reader *reader, uint32_t group, const uint32_t *rows,
                 uint32_t count)
{
    struct oto_arena arena;
    struct oto_builder builder;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, 1u << 28);
    ok(oto_builder_init(&builder, &schema, &arena, 1, 64, NULL));
    ok(oto_parquet_read_picked(reader, group, rows, count, &builder, NULL));
    assert_int_equal(builder.levels[0].count, count);
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t c = 0; c < COLUMNS; c++)
            same_entry(&f.builder.columns[c], group * GROUP_ROWS + rows[i], &builder.columns[c], i);
    oto_arena_release(&arena);
}

static void picked_rows_are_those_of_the_file(void **state)
{
    (void)state;
    static const uint32_t one_in[] = {1, 2, 3, 10, 100, 699, 701, 2000};
    uint32_t rows[GROUP_ROWS], seed = 1;
    struct oto_parquet_reader *reader = open_file(&f.source);
    ok(oto_parquet_select(reader, &schema, NULL));
    for (uint32_t group = 0; group < 2; group++)
        for (size_t k = 0; k < sizeof one_in / sizeof *one_in; k++) {
            uint32_t count = 0, most = group ? ROWS - GROUP_ROWS : GROUP_ROWS;
            for (uint32_t row = 0; row < most; row++) {
                seed = seed * 1664525 + 1013904223;
                if ((seed >> 8) % one_in[k] == 0)
                    rows[count++] = row;
            }
            pick(reader, group, rows, count);
        }
    pick(reader, 0, (const uint32_t[]){0}, 1);
    pick(reader, 0, (const uint32_t[]){GROUP_ROWS - 1}, 1);
    pick(reader, 0, (const uint32_t[]){699, 700, 1399, 1401}, 4);
    oto_parquet_close(reader);
}

static void rows_that_are_not_there_are_refused(void **state)
{
    (void)state;
    struct oto_parquet_reader *reader = open_file(&f.source);
    struct oto_arena arena;
    struct oto_builder builder;
    const uint32_t rows[] = {5, GROUP_ROWS};
    ok(oto_parquet_select(reader, &schema, NULL));
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, 1u << 28);
    ok(oto_builder_init(&builder, &schema, &arena, 1, 64, NULL));
    assert_int_equal(oto_parquet_read_picked(reader, 0, rows, 2, &builder, NULL), OTO_CORRUPT);
    oto_arena_release(&arena);
    oto_parquet_close(reader);
}

// --- finding ---

static uint32_t leaf_named(const struct oto_parquet_reader *reader, const char *name)
{
    char path[100];
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    for (uint32_t i = 0; i < m->leaf_count; i++) {
        oto_parquet_leaf_path(m, i, path, sizeof path);
        if (strcmp(path, name) == 0)
            return i;
    }
    fail_msg("no leaf %s", name);
    return 0;
}

static void check_found(const struct oto_parquet_wish *wish, uint32_t group,
                        int (*has)(uint32_t row))
{
    struct oto_parquet_reader *reader = open_file(&f.source);
    struct oto_buffer found;
    oto_buffer_init(&found, &oto_allocator_heap, 1 << 20);
    ok(oto_parquet_find_rows(reader, group, wish, ROWS, &found, NULL));
    const uint32_t *rows = (const void *)found.data;
    size_t count = 0, most = group ? ROWS - GROUP_ROWS : GROUP_ROWS;
    for (uint32_t row = 0; row < most; row++) {
        if (!has(group * GROUP_ROWS + row))
            continue;
        assert_true(count < found.size / 4);
        assert_int_equal(rows[count++], row);
    }
    assert_int_equal(count, found.size / 4);
    if (count) {
        found.size = 0;
        assert_int_equal(
            oto_parquet_find_rows(reader, group, wish, (uint32_t)count - 1, &found, NULL),
            OTO_TOO_LARGE);
    }
    oto_buffer_release(&found);
    oto_parquet_close(reader);
}

static int has_note(uint32_t row)
{
    return row % 4 && (row % 11 == 3 || row % 11 == 10);
}

static int has_body(uint32_t row)
{
    return row == 4242;
}

static int has_trace(uint32_t row)
{
    return row / 7 == 300;
}

static int has_pair(uint32_t row)
{
    return row % 5 > 2 && ((row + 2) % 50 == 9 || (row + 2) % 50 == 40);
}

static int has_rare(uint32_t row)
{
    return row % 900 == 5 && (row + 1) % 50 == 6;
}

static int has_first(uint32_t row)
{
    for (uint32_t i = 0; i < 4; i++)
        if ((row + i) % 3 == 1)
            return (row / 2 + i) % 7 == 3;
    return 0;
}

static int has_full(uint32_t row)
{
    return row % 40 >= 17 && (row + 17) % 50 == 9;
}

static int has_none(uint32_t row)
{
    return (void)row, 0;
}

static void rows_with_a_value_are_found(void **state)
{
    (void)state;
    struct oto_parquet_reader *r = open_file(&f.source);
    const struct oto_bytes notes[] = {OTO_BYTES_LITERAL("note 3"), OTO_BYTES_LITERAL("note 10")};
    const struct oto_bytes body = OTO_BYTES_LITERAL("body 4242");
    const struct oto_bytes trace = OTO_BYTES_LITERAL("2c010000000000001111000000000000");
    const struct oto_bytes pairs[] = {OTO_BYTES_LITERAL("value 9"), OTO_BYTES_LITERAL("value 40")};
    const struct oto_bytes rare = OTO_BYTES_LITERAL("value 6"), none = OTO_BYTES_LITERAL("none");
    uint32_t value = leaf_named(r, "Map.key_value.value"), key = leaf_named(r, "Map.key_value.key");
    uint32_t rare_value = leaf_named(r, "Rare.key_value.value");
    uint32_t rare_key = leaf_named(r, "Rare.key_value.key"), flat = UINT32_MAX;
    uint32_t twice = leaf_named(r, "Twice.key_value.value"),
             twice_key = leaf_named(r, "Twice.key_value.key"),
             full = leaf_named(r, "Full.key_value.value"),
             full_key = leaf_named(r, "Full.key_value.key");
    const struct oto_bytes three = OTO_BYTES_LITERAL("value 3");
    const struct oto_bytes no_key = {0}, key_2 = OTO_BYTES_LITERAL("key 2");
    const struct {
        struct oto_parquet_wish wish;
        int (*has)(uint32_t row);
    } cases[] = {
        {{leaf_named(r, "Note"), flat, no_key, notes, 2}, has_note},
        {{leaf_named(r, "Note"), flat, no_key, &none, 1}, has_none},
        {{leaf_named(r, "Body"), flat, no_key, &body, 1}, has_body},
        {{leaf_named(r, "Trace"), flat, no_key, &trace, 1}, has_trace},
        {{value, key, key_2, pairs, 2}, has_pair},
        {{value, key, OTO_BYTES_LITERAL("key 9"), pairs, 2}, has_none},
        {{value, key, key_2, &none, 1}, has_none},
        {{twice, twice_key, OTO_BYTES_LITERAL("key 1"), &three, 1}, has_first},
        {{full, full_key, OTO_BYTES_LITERAL("key 17"), pairs, 1}, has_full},
        {{full, full_key, OTO_BYTES_LITERAL("key 99"), pairs, 1}, has_none},
        {{rare_value, rare_key, OTO_BYTES_LITERAL("key 1"), &rare, 1}, has_rare},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        for (uint32_t group = 0; group < 2; group++)
            check_found(&cases[i].wish, group, cases[i].has);
    oto_parquet_close(r);
}

// --- damage ---

static void try_all(const struct oto_source *source)
{
    struct oto_parquet_reader *reader = open_file(source);
    struct oto_arena arena;
    struct oto_builder builder;
    struct oto_buffer found;
    const struct oto_bytes value = OTO_BYTES_LITERAL("value 9");
    const uint32_t rows[] = {3, 4, 800, 2900};
    if (!reader)
        return;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, 1u << 28);
    oto_buffer_init(&found, &oto_allocator_heap, 1 << 20);
    for (uint32_t leaf = 0; leaf < oto_parquet_metadata_of(reader)->leaf_count; leaf++) {
        struct oto_parquet_wish wish = {leaf, leaf ? leaf - 1 : UINT32_MAX,
                                        OTO_BYTES_LITERAL("key 2"), &value, 1};
        (void)!oto_parquet_find_rows(reader, 0, &wish, ROWS, &found, NULL);
    }
    if (oto_parquet_select(reader, &schema, NULL) == OTO_OK &&
        oto_builder_init(&builder, &schema, &arena, 1, 64, NULL) == OTO_OK)
        (void)!oto_parquet_read_picked(reader, 0, rows, 4, &builder, NULL);
    oto_buffer_release(&found);
    oto_arena_release(&arena);
    oto_parquet_close(reader);
}

// What the sanitizers watch.
static void flipped_bytes_do_no_harm(void **state)
{
    (void)state;
    uint32_t seed = 7;
    for (int i = 0; i < 400; i++) {
        seed = seed * 1664525 + 1013904223;
        size_t at = (size_t)seed % f.file.size;
        uint8_t was = f.file.data[at];
        f.file.data[at] ^= (uint8_t)(1u << (seed >> 29));
        try_all(&f.source);
        f.file.data[at] = was;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(picked_rows_are_those_of_the_file),
        cmocka_unit_test(rows_that_are_not_there_are_refused),
        cmocka_unit_test(rows_with_a_value_are_found),
        cmocka_unit_test(flipped_bytes_do_no_harm),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
