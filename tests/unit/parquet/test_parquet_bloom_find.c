// Whether a value may be there is told by one read of a file of ours, as the footer tells where,
// and by two of any other: the same answers.
#include "base/hash.h"
#include "cmocka_all.h"
#include "parquet/parquet_reader.h"
#include "parquet/parquet_writer.h"
#include <stdio.h>

static const struct oto_field name = {
    .name = "name", .id = 1, .type = OTO_TYPE_STRING, .flags = OTO_FIELD_BLOOM};
static const struct oto_field *const fields[] = {&name};
static const struct oto_schema schema = {
    .name = "t", .fields = fields, .field_count = 1, .level_count = 1};

struct memory {
    struct oto_buffer bytes;
    unsigned reads;
};

static enum oto_status put(void *state, const void *data, size_t size, struct oto_error *err)
{
    (void)err;
    struct memory *m = state;
    return oto_buffer_append(&m->bytes, data, size);
}

static enum oto_status get(void *state, uint64_t offset, void *output, size_t size,
                           struct oto_error *err)
{
    (void)err;
    struct memory *m = state;
    m->reads++;
    assert_true(offset + size <= m->bytes.size);
    memcpy(output, m->bytes.data + offset, size);
    return OTO_OK;
}

static uint64_t hash_of(unsigned i)
{
    char text[16];
    int size = snprintf(text, sizeof text, "v%u", i);
    return oto_xxh64(text, (size_t)size, 0);
}

static void write_values(struct memory *m, struct oto_codec *codec, unsigned count,
                         const char *created_by)
{
    struct oto_arena arena;
    struct oto_builder b;
    struct oto_batch batch;
    struct oto_parquet_options options;
    struct oto_parquet_writer *w;
    struct oto_parquet_result result;
    struct oto_sink sink = {put, m};
    oto_parquet_options_default(&options);
    options.created_by = created_by;
    *m = (struct memory){.reads = 0};
    oto_buffer_init(&m->bytes, &oto_allocator_heap, 1 << 26);
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 16, SIZE_MAX);
    assert_int_equal(oto_builder_init(&b, &schema, &arena, 1, 16, NULL), OTO_OK);
    for (unsigned i = 0; i < count; i++) {
        char text[16];
        int size = snprintf(text, sizeof text, "v%u", i);
        assert_int_equal(oto_builder_row(&b, 0), OTO_OK);
        assert_int_equal(oto_column_append_bytes(&b, &b.columns[0], oto_bytes(text, (size_t)size)),
                         OTO_OK);
    }
    assert_int_equal(oto_builder_view(&b, &oto_allocator_heap, &batch), OTO_OK);
    assert_int_equal(
        oto_parquet_writer_new(&schema, &options, codec, &oto_allocator_heap, &sink, &w, NULL),
        OTO_OK);
    assert_int_equal(oto_parquet_writer_append(w, &batch, NULL, count, NULL), OTO_OK);
    assert_int_equal(oto_parquet_writer_finish(w, &result, NULL), OTO_OK);
    oto_parquet_writer_free(w);
    oto_batch_release(&batch);
    oto_arena_release(&arena);
}

static struct oto_parquet_reader *open_memory(struct memory *m, struct oto_codec *codec)
{
    struct oto_source source = {get, m, m->bytes.size};
    struct oto_parquet_reader *reader = NULL;
    assert_int_equal(oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, NULL),
                     OTO_OK);
    return reader;
}

static int find(struct oto_parquet_reader *reader, struct memory *m, uint64_t hash, unsigned reads)
{
    uint8_t block[OTO_PARQUET_BLOOM_BLOCK_BYTES];
    uint64_t offset;
    uint32_t bytes;
    m->reads = 0;
    assert_int_equal(oto_parquet_bloom_place(reader, 0, 0, &offset, &bytes, NULL), OTO_OK);
    assert_int_equal(m->reads, reads);
    offset += oto_parquet_bloom_block(hash, bytes);
    assert_int_equal(get(m, offset, block, sizeof block, NULL), OTO_OK);
    return oto_parquet_bloom_has(block, hash);
}

static void look_up(struct oto_codec *codec, unsigned count)
{
    struct memory ours, others;
    write_values(&ours, codec, count, "otolith version 1.2.3");
    write_values(&others, codec, count, "somebody version 1.2.3");
    struct oto_parquet_reader *a = open_memory(&ours, codec), *b = open_memory(&others, codec);
    unsigned absent = 0;
    for (unsigned i = 0; i < count + 500; i++) {
        int found = find(a, &ours, hash_of(i), 0);
        assert_int_equal(found, find(b, &others, hash_of(i), 1));
        assert_true(found || i >= count);
        absent += !found;
    }
    assert_true(absent > 400);
    uint64_t offset;
    uint32_t bytes;
    assert_int_equal(oto_parquet_bloom_place(a, 1, 0, &offset, &bytes, NULL), OTO_NOT_FOUND);
    assert_int_equal(oto_parquet_bloom_place(a, 0, 1, &offset, &bytes, NULL), OTO_NOT_FOUND);
    oto_parquet_close(a);
    oto_parquet_close(b);
    oto_buffer_release(&ours.bytes);
    oto_buffer_release(&others.bytes);
}

static void footers_tell_where(void **state)
{
    (void)state;
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    static const unsigned counts[] = {1, 40, 100, 3000, 20000}; // sizes of one to three digits
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        look_up(codec, counts[i]);
    oto_codec_free(codec);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(footers_tell_where)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
