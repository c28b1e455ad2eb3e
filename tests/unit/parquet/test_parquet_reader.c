// What we wrote comes back; what is damaged, cut or made up is refused. Files of other writers are
// in tests/conformance/test_parquet_rewritten.py.
#include "cmocka_all.h"
#include "parquet/parquet_internal.h"
#include "read_all.h"
#include <stdio.h>

#define ROWS 3000u

// --- a table of all shapes, at two levels as it is written, flat as it is read ---

static const struct oto_field list_part[] = {{.name = "element", .id = 31, .type = OTO_TYPE_INT64}};
static const struct oto_field struct_parts[] = {
    {.name = "Time", .id = 42, .type = OTO_TYPE_TIME},
    {.name = "Rate", .id = 43, .type = OTO_TYPE_DOUBLE, .flags = OTO_FIELD_NULLABLE},
    {.name = "Tags", .id = 44, .type = OTO_TYPE_MAP},
    {.name = "Link", .id = 47, .type = OTO_TYPE_ID8},
};
enum { SERVICE, TIME, FLAG, NUMBER, BODY, NOTE, TRACE, MAP, LIST, EVENTS, COLUMNS };
static const struct oto_field fields[COLUMNS] = {
    {.name = "Service", .id = 1, .type = OTO_TYPE_STRING, .level = 1},
    {.name = "Time", .id = 2, .type = OTO_TYPE_TIME},
    {.name = "Flag", .id = 3, .type = OTO_TYPE_BOOL, .flags = OTO_FIELD_NULLABLE},
    {.name = "Number", .id = 4, .type = OTO_TYPE_INT32, .flags = OTO_FIELD_NULLABLE},
    {.name = "Body", .id = 5, .type = OTO_TYPE_STRING},
    {.name = "Note", .id = 6, .type = OTO_TYPE_STRING, .flags = OTO_FIELD_NULLABLE},
    {.name = "Trace", .id = 7, .type = OTO_TYPE_ID16, .flags = OTO_FIELD_BLOOM},
    {.name = "Map", .id = 20, .type = OTO_TYPE_MAP},
    {.name = "List", .id = 30, .type = OTO_TYPE_LIST, .child_count = 1, .children = list_part},
    {.name = "Events",
     .id = 40,
     .type = OTO_TYPE_STRUCTS,
     .child_count = 4,
     .children = struct_parts},
};

struct fixture {
    struct oto_field flat[COLUMNS];
    const struct oto_field *pointers[COLUMNS], *flat_pointers[COLUMNS];
    struct oto_schema schema, flat_schema;
    struct oto_arena arena;
    struct oto_builder builder;
    struct oto_codec *codec;
    struct oto_buffer file;
    struct oto_bytes bytes;
    struct oto_source source;
};
static struct fixture f;

static void put_text(struct oto_builder *b, struct oto_column *c, const char *word, uint32_t n)
{
    char text[64];
    snprintf(text, sizeof text, "%s %u", word, n);
    ok(oto_column_append_bytes(b, c, oto_bytes_text(text)));
}

static void put_map(struct oto_builder *b, struct oto_column *c, uint32_t count, uint32_t salt)
{
    for (uint32_t i = 0; i < count; i++) {
        put_text(b, &c->children[0], "key", i);
        put_text(b, &c->children[1], "value", salt % 50);
    }
    ok(oto_column_append_end(b, c));
}

static void put_id(struct oto_builder *b, struct oto_column *c, uint64_t n, size_t size)
{
    uint64_t id[2] = {n * 0x9E3779B97F4A7C15u, ~n};
    ok(oto_column_append_id(b, c, oto_bytes(id, n ? size : 0)));
}

static void put_row(struct oto_builder *b, uint32_t row)
{
    struct oto_column *c = b->columns, *parts = c[EVENTS].children;
    ok(oto_builder_row(b, row / 100 % 3));
    for (int i = 0; i < COLUMNS; i++)
        ok(oto_column_reserve(b, &c[i], 1));
    oto_column_append_i64(&c[TIME], 1700000000000000 + row);
    if (row % 3)
        oto_column_append_bool(&c[FLAG], row % 2);
    else
        ok(oto_column_append_null(b, &c[FLAG]));
    if (row % 700 < 400)
        oto_column_append_i32(&c[NUMBER], (int32_t)(row * 2654435761u));
    else
        ok(oto_column_append_null(b, &c[NUMBER]));
    put_text(b, &c[BODY], "body", row);
    if (row % 2)
        put_text(b, &c[NOTE], "note", row % 11);
    else
        ok(oto_column_append_null(b, &c[NOTE]));
    put_id(b, &c[TRACE], row % 10, 16);
    put_map(b, &c[MAP], row % 5, row);
    for (uint32_t i = 0; i < row % 4; i++) {
        ok(oto_column_reserve(b, c[LIST].children, 1));
        oto_column_append_i64(c[LIST].children, (int64_t)row * i);
    }
    ok(oto_column_append_end(b, &c[LIST]));
    for (uint32_t i = 0; i < (row >> 3) % 3; i++) {
        for (int k = 0; k < 2; k++)
            ok(oto_column_reserve(b, &parts[k], 1));
        oto_column_append_i64(&parts[0], row);
        if (i)
            oto_column_append_double(&parts[1], row / 8.0);
        else
            ok(oto_column_append_null(b, &parts[1]));
        put_map(b, &parts[2], (row + i) % 3, row);
        put_id(b, &parts[3], (row + i) % 4, 8);
    }
    ok(oto_column_append_end(b, &c[EVENTS]));
}

static enum oto_status append_to_buffer(void *state, const void *data, size_t size,
                                        struct oto_error *err)
{
    (void)err;
    return oto_buffer_append(state, data, size);
}

static void write_file(struct oto_buffer *file, int bloom)
{
    static const char *const sorted_by[] = {"Time"};
    struct oto_batch batch;
    struct oto_parquet_options options;
    struct oto_parquet_result result;
    struct oto_error err;
    struct oto_sink sink = {append_to_buffer, file};
    oto_parquet_options_default(&options);
    options.row_group_rows = 1300;
    options.page_rows = 200;
    options.created_by = "a test";
    options.bloom = bloom;
    options.sorted_by = sorted_by;
    options.sorted_by_count = 1;
    ok(oto_builder_view(&f.builder, &oto_allocator_heap, &batch));
    ok(oto_parquet_write(&batch, NULL, ROWS, &options, f.codec, &oto_allocator_heap, &sink, &result,
                         &err));
    oto_batch_release(&batch);
}

static int set_up(void **state)
{
    uint32_t index;
    int is_new;
    for (uint32_t i = 0; i < COLUMNS; i++) {
        f.flat[i] = fields[i];
        f.flat[i].level = 0;
        f.pointers[i] = &fields[i];
        f.flat_pointers[i] = &f.flat[i];
    }
    f.schema = (struct oto_schema){"test", f.pointers, COLUMNS, 2};
    f.flat_schema = (struct oto_schema){"test", f.flat_pointers, COLUMNS, 1};
    oto_arena_init(&f.arena, &oto_allocator_heap, 1 << 20, 1u << 28);
    ok(oto_builder_init(&f.builder, &f.schema, &f.arena, 1, 64, NULL));
    for (uint32_t i = 0; i < 3; i++) {
        ok(oto_builder_entry(&f.builder, 1, oto_bytes(&i, 4), 0, &index, &is_new));
        put_text(&f.builder, &f.builder.columns[SERVICE], "service", i);
    }
    for (uint32_t row = 0; row < ROWS; row++)
        put_row(&f.builder, row);
    f.codec = oto_codec_new(&oto_allocator_heap);
    oto_buffer_init(&f.file, &oto_allocator_heap, 1u << 28);
    write_file(&f.file, 1);
    f.bytes = oto_buffer_view(&f.file);
    f.source = oto_source_of_bytes(&f.bytes);
    (void)state;
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

// --- the same entries ---

static struct oto_bytes value_of(const struct oto_column *c, uint32_t i)
{
    static const uint8_t widths[] = {
        [OTO_TYPE_BOOL] = 1, [OTO_TYPE_INT32] = 4, [OTO_TYPE_INT64] = 8, [OTO_TYPE_DOUBLE] = 8,
        [OTO_TYPE_TIME] = 8, [OTO_TYPE_ID16] = 16, [OTO_TYPE_ID8] = 8};
    if (c->dictionary)
        return c->dictionary->entries[((const uint32_t *)c->values)[i]];
    size_t width = widths[c->field->type];
    return oto_bytes((const uint8_t *)c->values + i * width, width);
}

static void same_entry(const struct oto_column *a, uint32_t i, const struct oto_column *b,
                       uint32_t k)
{
    assert_int_equal(oto_column_valid(a, i), oto_column_valid(b, k));
    if (!oto_column_valid(a, i))
        return;
    if (!a->offsets) {
        assert_true(oto_bytes_equal(value_of(a, i), value_of(b, k)));
        return;
    }
    uint32_t count = a->offsets[i + 1] - a->offsets[i];
    assert_int_equal(count, b->offsets[k + 1] - b->offsets[k]);
    for (uint32_t c = 0; c < a->child_count; c++)
        for (uint32_t e = 0; e < count; e++)
            same_entry(&a->children[c], a->offsets[i] + e, &b->children[c], b->offsets[k] + e);
}

static void same_rows(const struct oto_builder *found, uint32_t from, uint32_t first,
                      uint32_t count)
{
    for (uint32_t row = 0; row < count; row++)
        for (uint32_t c = 0; c < COLUMNS; c++) {
            uint32_t entry = c == SERVICE ? (first + row) / 100 % 3 : first + row;
            same_entry(&f.builder.columns[c], entry, &found->columns[c], from + row);
        }
}

static struct oto_parquet_reader *open_selected(void)
{
    struct oto_parquet_reader *reader = NULL;
    struct oto_error err;
    ok(oto_parquet_open(&f.source, NULL, f.codec, &oto_allocator_heap, &reader, &err));
    ok(oto_parquet_select(reader, &f.flat_schema, &err));
    return reader;
}

static void rows_come_back_in_pieces_of_any_size(void **state)
{
    (void)state;
    static const uint32_t sizes[] = {1, 7, 199, 200, 1300, ROWS, UINT32_MAX};
    for (size_t s = 0; s < sizeof sizes / sizeof *sizes; s++) {
        struct oto_parquet_reader *reader = open_selected();
        struct oto_arena arena;
        struct oto_builder builder;
        struct oto_error err;
        uint32_t total = 0, rows = 0;
        oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, 1u << 28);
        ok(oto_builder_init(&builder, &f.flat_schema, &arena, 1, 64, &err));
        while (oto_parquet_read(reader, &builder, sizes[s], &rows, &err) == OTO_OK) {
            assert_in_range(rows, 1, sizes[s]);
            total += rows;
        }
        assert_int_equal(total, ROWS);
        assert_int_equal(builder.levels[0].count, ROWS);
        assert_int_equal(oto_parquet_read(reader, &builder, 1, &rows, &err), OTO_END);
        same_rows(&builder, 0, 0, ROWS);
        oto_parquet_close(reader);
        oto_arena_release(&arena);
    }
}

// What was known of one builder's codes must not be believed of another's.
static void builders_may_change_between_reads(void **state)
{
    (void)state;
    struct oto_parquet_reader *reader = open_selected();
    struct oto_arena arena;
    struct oto_error err;
    uint32_t first = 0, rows = 0;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, 1u << 28);
    for (uint32_t turn = 0;; turn++) {
        struct oto_builder builder;
        oto_arena_reset(&arena);
        ok(oto_builder_init(&builder, &f.flat_schema, &arena, turn, 64, &err));
        for (uint32_t i = 0; i < turn % 3; i++) { // rows of its own before those of the file
            ok(oto_builder_row(&builder, 0));
            for (uint32_t c = 0; c < COLUMNS; c++) {
                if (builder.columns[c].dictionary)
                    put_text(&builder, &builder.columns[c], "mine", turn + i);
                else if (builder.columns[c].offsets)
                    ok(oto_column_append_end(&builder, &builder.columns[c]));
                else
                    ok(oto_column_append_null(&builder, &builder.columns[c]));
            }
        }
        if (oto_parquet_read(reader, &builder, 50 + turn, &rows, &err) == OTO_END)
            break;
        same_rows(&builder, turn % 3, first, rows);
        first += rows;
    }
    assert_int_equal(first, ROWS);
    oto_parquet_close(reader);
    oto_arena_release(&arena);
}

static void a_row_group_is_found_again(void **state)
{
    (void)state;
    struct oto_parquet_reader *reader = open_selected();
    struct oto_arena arena;
    struct oto_builder builder;
    struct oto_error err;
    uint32_t rows;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, 1u << 28);
    ok(oto_builder_init(&builder, &f.flat_schema, &arena, 1, 64, &err));
    ok(oto_parquet_read(reader, &builder, 77, &rows, &err));
    oto_parquet_seek_group(reader, 2);
    ok(oto_parquet_read(reader, &builder, UINT32_MAX, &rows, &err));
    assert_int_equal(rows, 400);
    same_rows(&builder, 77, 2600, 400);
    assert_int_equal(oto_parquet_read(reader, &builder, 1, &rows, &err), OTO_END);
    oto_parquet_seek_group(reader, 1);
    ok(oto_parquet_read(reader, &builder, 3, &rows, &err));
    same_rows(&builder, 477, 1300, 3);
    oto_parquet_close(reader);
    oto_arena_release(&arena);
}

// --- metadata ---

static void metadata_say_what_was_written(void **state)
{
    (void)state;
    struct oto_parquet_reader *reader = open_selected();
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    assert_int_equal(m->row_count, ROWS);
    assert_int_equal(m->group_count, 3);
    assert_int_equal(m->groups[1].row_count, 1300);
    assert_true(oto_bytes_equal_text(m->created_by, "a test"));
    assert_int_equal(m->pair_count, 2);
    assert_true(oto_bytes_equal_text(m->pairs[0].key, "ARROW:schema"));
    assert_int_equal(m->leaf_count, 15);
    assert_int_equal(m->nodes[0].end, m->node_count);
    const struct oto_parquet_node *time = &m->nodes[m->leaves[1]];
    assert_true(oto_bytes_equal_text(time->name, "Time"));
    assert_int_equal(time->field_id, 2);
    assert_int_equal(time->physical, OTO_PARQUET_INT64);
    assert_int_equal(time->time_unit, 2);
    assert_int_equal(time->is_utc, 1);
    assert_int_equal(m->groups[0].sorting_count, 1);
    assert_int_equal(m->groups[0].sorting[0].leaf, 1);
    const struct oto_parquet_chunk_info *chunk = &m->groups[0].chunks[1];
    assert_int_equal(oto_load64(chunk->statistics.min.data), 1700000000000000);
    assert_int_equal(oto_load64(chunk->statistics.max.data), 1700000000000000 + 1299);
    assert_int_equal(chunk->statistics.null_count, 0);
    assert_int_equal(chunk->data_page_count, 7);
    assert_int_equal(m->nodes[m->leaves[14]].max_repetition, 1);
    assert_int_equal(m->nodes[m->leaves[12]].max_repetition, 2);
    assert_true(oto_parquet_has_column(reader, "Events"));
    assert_false(oto_parquet_has_column(reader, "element"));
    oto_parquet_close(reader);
}

struct page_count {
    uint32_t data, dictionary, values, wrong;
    uint64_t bytes;
};

static enum oto_status count_page(void *state, const struct oto_parquet_page_info *page)
{
    struct page_count *count = state;
    count->data += page->type == OTO_PARQUET_DATA_PAGE;
    count->dictionary += page->type == OTO_PARQUET_DICTIONARY_PAGE;
    count->values += page->type == OTO_PARQUET_DATA_PAGE ? page->value_count : 0;
    count->wrong += !page->crc_right;
    count->bytes += page->header_bytes + page->compressed_bytes;
    assert_true(page->has_crc);
    return OTO_OK;
}

static void pages_and_bloom_filters_are_seen(void **state)
{
    (void)state;
    struct oto_parquet_reader *reader = open_selected();
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    struct oto_error err;
    uint32_t blooms = 0;
    for (uint32_t g = 0; g < m->group_count; g++) {
        for (uint32_t leaf = 0; leaf < m->leaf_count; leaf++) {
            const struct oto_parquet_chunk_info *chunk = &m->groups[g].chunks[leaf];
            struct page_count count = {0};
            struct oto_parquet_bloom_info bloom;
            ok(oto_parquet_visit_pages(reader, g, leaf, count_page, &count, &err));
            assert_int_equal(count.data, chunk->data_page_count);
            assert_int_equal(count.values, chunk->value_count);
            assert_int_equal(count.bytes, chunk->compressed_bytes);
            assert_int_equal(count.dictionary, chunk->dictionary_offset >= 0);
            assert_int_equal(count.wrong, 0);
            if (oto_parquet_bloom_info(reader, g, leaf, &bloom, &err) == OTO_END)
                continue;
            blooms++;
            assert_int_equal(bloom.bitset_bytes, 32); // ten values
            assert_in_range(bloom.bits_set, 8, 80);
        }
    }
    assert_int_equal(blooms, 3);
    assert_int_equal(oto_parquet_visit_pages(reader, 3, 0, count_page, NULL, &err), OTO_NOT_FOUND);
    oto_parquet_close(reader);
}

// --- damage ---

static void a_wrong_checksum_is_found_and_placed(void **state)
{
    (void)state;
    struct oto_parquet_reader *reader = open_selected();
    const struct oto_parquet_chunk_info *chunk =
        &oto_parquet_metadata_of(reader)->groups[1].chunks[4];
    uint64_t at = (uint64_t)chunk->data_offset;
    struct page_count count = {0};
    struct oto_error err;
    uint32_t rows;
    f.file.data[at + 100] ^= 1;
    assert_int_equal(read_all(f.codec, f.bytes, &oto_allocator_heap, &f.flat_schema, &rows, &err),
                     OTO_CORRUPT);
    assert_int_equal(err.offset, at);
    assert_string_equal(err.message, "row group 1, column Body: the page's checksum is wrong");
    ok(oto_parquet_visit_pages(reader, 1, 4, count_page, &count, &err));
    assert_int_equal(count.wrong, 1);
    assert_int_equal(count.data, 7);
    f.file.data[at + 100] ^= 1;
    oto_parquet_close(reader);
}

// To Thrift a zero is a whole struct, without any field.
static void zeros_are_no_pages(void **state)
{
    (void)state;
    struct oto_parquet_reader *reader = open_selected();
    const struct oto_parquet_chunk_info *chunk =
        &oto_parquet_metadata_of(reader)->groups[1].chunks[4];
    size_t at = (size_t)chunk->data_offset, size = (size_t)chunk->compressed_bytes;
    uint8_t *kept = test_malloc(size);
    struct page_count count = {0};
    struct oto_error err;
    memcpy(kept, f.file.data + at, size);
    memset(f.file.data + at, 0, size);
    assert_int_equal(oto_parquet_visit_pages(reader, 1, 4, count_page, &count, &err), OTO_CORRUPT);
    assert_string_equal(err.message, "row group 1, column Body: no page header");
    memcpy(f.file.data + at, kept, size);
    ok(oto_parquet_visit_pages(reader, 1, 4, count_page, &count, &err));
    test_free(kept);
    oto_parquet_close(reader);
}

static void cut_files_are_refused(void **state)
{
    (void)state;
    struct oto_error err;
    uint32_t rows;
    for (size_t size = 0; size < f.bytes.size; size += size < 20 ? 1 : 97) {
        uint8_t *exact = test_malloc(size + 1);
        memcpy(exact, f.bytes.data, size);
        enum oto_status status = read_all(f.codec, oto_bytes(exact, size), &oto_allocator_heap,
                                          &f.flat_schema, &rows, &err);
        assert_true(status == OTO_INVALID || status == OTO_CORRUPT);
        assert_int_equal(err.status, status);
        test_free(exact);
    }
}

static void other_files_are_refused(void **state)
{
    (void)state;
    struct oto_error err;
    uint32_t rows;
    static const struct {
        const char *text;
        enum oto_status status;
    } cases[] = {
        {"PAR0____\4\0\0\0PAR1", OTO_INVALID},         {"PAR1____\4\0\0\0PAR0", OTO_INVALID},
        {"PAR1____\4\0\0\0PARE", OTO_UNSUPPORTED},     {"PAR1____\5\0\0\0PAR1", OTO_CORRUPT},
        {"PAR1____\xFF\xFF\xFF\xFFPAR1", OTO_CORRUPT}, {"PAR1\0\0\0\0\4\0\0\0PAR1", OTO_CORRUPT},
        {"PAR1____\4\0\0\0PAR1", OTO_CORRUPT},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(read_all(f.codec, oto_bytes(cases[i].text, 16), &oto_allocator_heap,
                                  &f.flat_schema, &rows, &err),
                         cases[i].status);
}

// Most flipped bytes are found by a checksum; none does harm.
static void flipped_bytes_do_no_harm(void **state)
{
    (void)state;
    struct oto_error err;
    uint32_t rows, refused = 0, tried = 0;
    for (size_t at = 0; at<f.bytes.size; at += at> f.bytes.size - 6000 ? 5 : 211) {
        f.file.data[at] ^= 0x20;
        enum oto_status status =
            read_all(f.codec, f.bytes, &oto_allocator_heap, &f.flat_schema, &rows, &err);
        refused += status != OTO_END;
        assert_true(status != OTO_INTERNAL);
        tried++;
        f.file.data[at] ^= 0x20;
    }
    assert_in_range(refused, tried / 8, tried - 100);
    assert_int_equal(read_all(f.codec, f.bytes, &oto_allocator_heap, &f.flat_schema, &rows, &err),
                     OTO_END);
    assert_int_equal(rows, ROWS);
}

struct failing {
    uint64_t calls, fail_at;
    int64_t held_bytes;
};

static void *failing_alloc(void *state, size_t size)
{
    struct failing *a = state;
    if (a->calls++ == a->fail_at)
        return NULL;
    a->held_bytes += (int64_t)size;
    return oto_alloc(&oto_allocator_heap, size);
}

static void *failing_resize(void *state, void *block, size_t old_size, size_t size)
{
    struct failing *a = state;
    if (a->calls++ == a->fail_at)
        return NULL;
    a->held_bytes += (int64_t)size - (int64_t)old_size;
    return oto_resize(&oto_allocator_heap, block, old_size, size);
}

static void failing_free(void *state, void *block, size_t size)
{
    ((struct failing *)state)->held_bytes -= (int64_t)size;
    oto_free(&oto_allocator_heap, block, size);
}

static void every_failing_allocation_is_reported_and_leaks_nothing(void **state)
{
    (void)state;
    struct oto_error err;
    uint32_t rows;
    for (uint64_t n = 0;; n++) {
        struct failing failing = {.fail_at = n};
        struct oto_allocator allocator = {failing_alloc, failing_resize, failing_free, &failing};
        enum oto_status status =
            read_all(f.codec, f.bytes, &allocator, &f.flat_schema, &rows, &err);
        assert_int_equal(failing.held_bytes, 0);
        if (failing.calls <= n) {
            assert_int_equal(status, OTO_END);
            assert_true(n > 60);
            return;
        }
        assert_int_equal(status, OTO_NO_MEMORY);
        assert_int_equal(err.status, OTO_NO_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_back_in_pieces_of_any_size),
        cmocka_unit_test(builders_may_change_between_reads),
        cmocka_unit_test(a_row_group_is_found_again),
        cmocka_unit_test(metadata_say_what_was_written),
        cmocka_unit_test(pages_and_bloom_filters_are_seen),
        cmocka_unit_test(a_wrong_checksum_is_found_and_placed),
        cmocka_unit_test(zeros_are_no_pages),
        cmocka_unit_test(cut_files_are_refused),
        cmocka_unit_test(other_files_are_refused),
        cmocka_unit_test(flipped_bytes_do_no_harm),
        cmocka_unit_test(every_failing_allocation_is_reported_and_leaks_nothing),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
