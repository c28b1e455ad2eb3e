// Files made by hand, of shapes that no writer here makes: older forms are read, made-up ones
// refused.
#include "codec/delta.h"
#include "parquet/parquet_internal.h"
#include "read_all.h"

static const struct oto_field element = {.name = "element", .id = 31, .type = OTO_TYPE_INT64};
static const struct oto_field list_field = {
    .name = "List", .id = 30, .type = OTO_TYPE_LIST, .child_count = 1, .children = &element};
static const struct oto_field text_field = {.name = "Body", .id = 5, .type = OTO_TYPE_STRING};
static struct oto_codec *codec;

static int set_up(void **state)
{
    (void)state;
    codec = oto_codec_new(&oto_allocator_heap);
    return codec ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    oto_codec_free(codec);
    return 0;
}

struct node {
    const char *name;
    int physical; // -1: a group
    int repetition;
    int child_count;
    int converted; // -1: none
};

struct handmade {
    const struct node *nodes;
    size_t node_count;
    int physical, encoding, codec;
    int64_t rows, values;
    const void *page; // levels and values, as the file has them
    size_t page_size;
    int64_t claimed; // bytes uncompressed; 0: page_size
};

static void write_element(struct oto_thrift_writer *w, const struct node *node)
{
    oto_thrift_struct_begin(w);
    if (node->physical >= 0)
        oto_thrift_field_i32(w, 1, node->physical);
    oto_thrift_field_i32(w, 3, node->repetition);
    oto_thrift_field_text(w, 4, node->name);
    if (node->child_count)
        oto_thrift_field_i32(w, 5, node->child_count);
    if (node->converted >= 0)
        oto_thrift_field_i32(w, 6, node->converted);
    oto_thrift_struct_end(w);
}

static void write_page_header(struct oto_buffer *file, const struct handmade *h)
{
    struct oto_thrift_writer w;
    oto_thrift_writer_init(&w, file);
    oto_thrift_struct_begin(&w);
    oto_thrift_field_i32(&w, 1, OTO_PARQUET_DATA_PAGE);
    oto_thrift_field_i32(&w, 2, (int32_t)(h->claimed ? h->claimed : (int64_t)h->page_size));
    oto_thrift_field_i32(&w, 3, (int32_t)h->page_size);
    oto_thrift_field_struct(&w, 5);
    oto_thrift_field_i32(&w, 1, (int32_t)h->values);
    oto_thrift_field_i32(&w, 2, h->encoding);
    oto_thrift_field_i32(&w, 3, OTO_PARQUET_RLE);
    oto_thrift_field_i32(&w, 4, OTO_PARQUET_RLE);
    oto_thrift_struct_end(&w);
    oto_thrift_struct_end(&w);
    ok(w.status);
}

static void write_group(struct oto_thrift_writer *w, const struct handmade *h, size_t bytes)
{
    oto_thrift_struct_begin(w);
    oto_thrift_field_list(w, 1, OTO_THRIFT_STRUCT, 1);
    oto_thrift_struct_begin(w);
    oto_thrift_field_struct(w, 3);
    oto_thrift_field_i32(w, 1, h->physical);
    oto_thrift_field_i32(w, 4, h->codec);
    oto_thrift_field_i64(w, 5, h->values);
    oto_thrift_field_i64(w, 6, (int64_t)bytes);
    oto_thrift_field_i64(w, 7, (int64_t)bytes);
    oto_thrift_field_i64(w, 9, 4);
    oto_thrift_struct_end(w);
    oto_thrift_struct_end(w);
    oto_thrift_field_i64(w, 3, h->rows);
    oto_thrift_struct_end(w);
}

static void make_by_hand(struct oto_buffer *file, const struct handmade *h)
{
    struct oto_thrift_writer w;
    oto_buffer_init(file, &oto_allocator_heap, 1u << 24);
    ok(oto_buffer_append(file, "PAR1", 4));
    write_page_header(file, h);
    ok(oto_buffer_append(file, h->page, h->page_size));
    size_t begin = file->size;
    oto_thrift_writer_init(&w, file);
    oto_thrift_struct_begin(&w);
    oto_thrift_field_i32(&w, 1, 1);
    oto_thrift_field_list(&w, 2, OTO_THRIFT_STRUCT, h->node_count);
    for (size_t i = 0; i < h->node_count; i++)
        write_element(&w, &h->nodes[i]);
    oto_thrift_field_i64(&w, 3, h->rows);
    oto_thrift_field_list(&w, 4, OTO_THRIFT_STRUCT, 1);
    write_group(&w, h, begin - 4);
    oto_thrift_struct_end(&w);
    ok(w.status);
    uint32_t size = (uint32_t)(file->size - begin);
    ok(oto_buffer_append(file, &size, 4));
    ok(oto_buffer_append(file, "PAR1", 4));
}

#define LIST_OF_TWO_LEVELS 3

// Rows [10, 20], [], [30]: repetition 0 1 0 0; definition 1 1 0 1.
#define LIST_LEVELS "\2\0\0\0\3\x02\2\0\0\0\3\x0B"
#define LIST_VALUES "\x0A\0\0\0\0\0\0\0\x14\0\0\0\0\0\0\0\x1E\0\0\0\0\0\0\0"

static void older_forms_of_lists_are_read(void **state)
{
    (void)state;
    static const struct node two_levels[] = {{"s", -1, 0, 1, -1},
                                             {"List", -1, 0, 1, LIST_OF_TWO_LEVELS},
                                             {"array", OTO_PARQUET_INT64, 2, 0, -1}};
    static const struct node tuple[] = {{"s", -1, 0, 1, -1},
                                        {"List", -1, 0, 1, LIST_OF_TWO_LEVELS},
                                        {"whatever", OTO_PARQUET_INT64, 2, 0, -1}};
    static const struct node one_level[] = {{"s", -1, 0, 1, -1},
                                            {"List", OTO_PARQUET_INT64, 2, 0, -1}};
    static const struct node three_levels[] = {{"s", -1, 0, 1, -1},
                                               {"List", -1, 0, 1, -1},
                                               {"bag", -1, 2, 1, -1},
                                               {"item", OTO_PARQUET_INT64, 0, 0, -1}};
    static const struct {
        const struct node *nodes;
        size_t count;
    } shapes[] = {{two_levels, 3}, {tuple, 3}, {one_level, 2}, {three_levels, 4}};
    const struct oto_field *pointer = &list_field;
    struct oto_schema schema = {"test", &pointer, 1, 1};
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        struct handmade h = {.nodes = shapes[i].nodes,
                             .node_count = shapes[i].count,
                             .physical = OTO_PARQUET_INT64,
                             .rows = 3,
                             .values = 4,
                             .page = LIST_LEVELS LIST_VALUES,
                             .page_size = sizeof(LIST_LEVELS LIST_VALUES) - 1};
        struct oto_buffer file;
        struct oto_parquet_reader *reader;
        struct oto_arena arena;
        struct oto_builder b;
        struct oto_error err;
        uint32_t rows;
        make_by_hand(&file, &h);
        struct oto_bytes bytes = oto_buffer_view(&file);
        struct oto_source source = oto_source_of_bytes(&bytes);
        oto_arena_init(&arena, &oto_allocator_heap, 1 << 16, 1u << 26);
        ok(oto_builder_init(&b, &schema, &arena, 1, 64, &err));
        ok(oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, &err));
        ok(oto_parquet_select(reader, &schema, &err));
        ok(oto_parquet_read(reader, &b, 10, &rows, &err));
        assert_int_equal(rows, 3);
        static const uint32_t offsets[] = {0, 2, 2, 3};
        static const int64_t values[] = {10, 20, 30};
        assert_memory_equal(b.columns[0].offsets, offsets, sizeof offsets);
        assert_memory_equal(b.columns[0].children[0].values, values, sizeof values);
        oto_parquet_close(reader);
        oto_arena_release(&arena);
        oto_buffer_release(&file);
    }
}

static void refused(const struct handmade *h, const struct oto_schema *schema,
                    enum oto_status status, const char *message)
{
    struct oto_buffer file;
    struct oto_error err;
    uint32_t rows;
    make_by_hand(&file, h);
    assert_int_equal(
        read_all(codec, oto_buffer_view(&file), &oto_allocator_heap, schema, &rows, &err), status);
    if (!strstr(err.message, message))
        print_error("%s\n", err.message);
    assert_non_null(strstr(err.message, message));
    oto_buffer_release(&file);
}

static void made_up_pages_are_refused(void **state)
{
    (void)state;
    static const struct node numbers[] = {{"s", -1, 0, 1, -1},
                                          {"List", OTO_PARQUET_INT64, 2, 0, -1}};
    const struct oto_field *list_pointer = &list_field, *text_pointer = &text_field;
    struct oto_schema lists = {"test", &list_pointer, 1, 1}, texts = {"test", &text_pointer, 1, 1};
    struct handmade h = {.nodes = numbers,
                         .node_count = 2,
                         .physical = OTO_PARQUET_INT64,
                         .rows = 3,
                         .values = 4,
                         .page = LIST_LEVELS LIST_VALUES,
                         .page_size = sizeof(LIST_LEVELS LIST_VALUES) - 1};
    struct handmade bad = h;
    bad.rows = 4;
    refused(&bad, &lists, OTO_CORRUPT, "fewer rows");
    bad.rows = 2;
    refused(&bad, &lists, OTO_CORRUPT, "more rows");
    bad = h;
    bad.page_size -= 1;
    refused(&bad, &lists, OTO_CORRUPT, "not what PLAIN allows");
    bad = h;
    bad.page = "\2\0\0\0\3\x03\2\0\0\0\3\x0B" LIST_VALUES; // the first row goes on with none
    refused(&bad, &lists, OTO_CORRUPT, "levels of a page contradict");
    bad = h;
    bad.encoding = OTO_PARQUET_RLE;
    refused(&bad, &lists, OTO_UNSUPPORTED, "RLE is not supported");
    bad.encoding = 99;
    refused(&bad, &lists, OTO_UNSUPPORTED, "the encoding UNKNOWN");
    bad = h;
    bad.codec = OTO_PARQUET_CODEC_SNAPPY;
    bad.claimed = 100000;
    refused(&bad, &lists, OTO_CORRUPT, "snappy");
    bad.codec = OTO_PARQUET_CODEC_LZ4_RAW;
    refused(&bad, &lists, OTO_CORRUPT, "LZ4_RAW");
    bad.codec = 4;
    refused(&bad, &lists, OTO_UNSUPPORTED, "Brotli");

    // Half a million values, each the one before and one byte more: 125 GB of text in 3 kB.
    static const struct node text[] = {{"s", -1, 0, 1, -1},
                                       {"Body", OTO_PARQUET_BYTE_ARRAY, 0, 0, 0}};
    struct oto_buffer page;
    int32_t *prefixes = test_malloc(500000 * sizeof *prefixes);
    oto_buffer_init(&page, &oto_allocator_heap, 1u << 24);
    for (int32_t i = 0; i < 500000; i++)
        prefixes[i] = i;
    ok(oto_delta_encode32(prefixes, 500000, &page));
    ok(oto_delta_encode_same32(1, 500000, &page));
    for (int i = 0; i < 500000; i++)
        ok(oto_buffer_append_byte(&page, 'a'));
    struct handmade bomb = {.nodes = text,
                            .node_count = 2,
                            .physical = OTO_PARQUET_BYTE_ARRAY,
                            .encoding = OTO_PARQUET_DELTA_BYTE_ARRAY,
                            .rows = 500000,
                            .values = 500000,
                            .page = page.data,
                            .page_size = page.size};
    struct oto_buffer file;
    struct oto_error err;
    uint32_t rows;
    make_by_hand(&file, &bomb);
    enum oto_status status =
        read_all(codec, oto_buffer_view(&file), &oto_allocator_heap, &texts, &rows, &err);
    assert_true(status == OTO_TOO_LARGE || status == OTO_NO_MEMORY);
    oto_buffer_release(&file);
    oto_buffer_release(&page);
    test_free(prefixes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(older_forms_of_lists_are_read),
        cmocka_unit_test(made_up_pages_are_refused),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
