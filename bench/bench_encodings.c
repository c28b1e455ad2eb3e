// folders: telemetry parquet
// What a column costs in a file, by the encoding that its values lead to: a table of one column,
// written by oto_parquet_write (zstd-1, checksums, statistics, page index) and read back; a row an
// item. How: bench.h.
#include "bench.h"
#include "columns/column.h"
#include "parquet/parquet_reader.h"
#include "parquet/parquet_writer.h"

enum { ROWS = 20480 };

static const struct oto_field fields[] = {
    {.name = "times", .id = 1, .type = OTO_TYPE_TIME, .flags = OTO_FIELD_SORTED},
    {.name = "integers", .id = 2, .type = OTO_TYPE_INT64},
    {.name = "doubles", .id = 3, .type = OTO_TYPE_DOUBLE},
    {.name = "flags", .id = 4, .type = OTO_TYPE_BOOL},
    {.name = "few_strings", .id = 5, .type = OTO_TYPE_STRING},
    {.name = "many_strings", .id = 6, .type = OTO_TYPE_STRING},
    {.name = "unique_strings", .id = 7, .type = OTO_TYPE_STRING},
    {.name = "lines", .id = 8, .type = OTO_TYPE_STRING},
    {.name = "ids", .id = 9, .type = OTO_TYPE_ID16, .flags = OTO_FIELD_BLOOM},
};
enum { TIMES, INTEGERS, DOUBLES, FLAGS, FEW, MANY, UNIQUE, LINES, IDS, FIELDS };
static const struct oto_field *const field_list[FIELDS] = {&fields[0], &fields[1], &fields[2],
                                                           &fields[3], &fields[4], &fields[5],
                                                           &fields[6], &fields[7], &fields[8]};
static const struct oto_schema schema = {"bench", field_list, FIELDS, 1};

struct work {
    struct oto_batch batch;
    struct oto_schema schema;
    struct oto_parquet_options options;
    struct oto_codec *codec;
    struct oto_buffer file;
    struct oto_arena arena;
};

static void append_text(struct oto_builder *b, int column, const char *head, uint32_t number,
                        const char *middle, uint32_t other)
{
    char text[96];
    snprintf(text, sizeof text, "%s%u%s%u", head, number, middle, other);
    bench_must(oto_column_append_bytes(b, &b->columns[column], oto_bytes_text(text)));
}

static void append_row(struct oto_builder *b, uint32_t row, uint64_t *random)
{
    static const char *const verbs[] = {" accepted in ", " rejected after ", " retried after "};
    uint32_t x = bench_random(random);
    uint8_t id[16];
    bench_must(oto_builder_row(b, 0));
    for (int i = TIMES; i <= FLAGS; i++)
        bench_must(oto_column_reserve(b, &b->columns[i], 1));
    oto_column_append_i64(&b->columns[TIMES],
                          INT64_C(1700000000000000) + row * INT64_C(1000) + x % 900);
    oto_column_append_i64(&b->columns[INTEGERS], (int64_t)x * x);
    oto_column_append_double(&b->columns[DOUBLES], (double)(x % 100000) / 100);
    oto_column_append_bool(&b->columns[FLAGS], x % 7 == 0);
    append_text(b, FEW, "/api/v1/route-", x % 48, "/", 0);
    append_text(b, MANY, "customer-", x % 4001, ".", x % 3);
    append_text(b, UNIQUE, "", x, "-", row);
    append_text(b, LINES, "order ", x % 9999991, verbs[x % 3], x % 200);
    for (int i = 0; i < 16; i += 4)
        oto_store32(id + i, bench_random(random) << 1 ^ x);
    bench_must(oto_column_append_id(b, &b->columns[IDS], oto_bytes(id, 16)));
}

static enum oto_status sink_write(void *state, const void *data, size_t size, struct oto_error *err)
{
    (void)err;
    return oto_buffer_append(state, data, size);
}

static void run_write(void *state)
{
    struct work *w = state;
    struct oto_sink sink = {sink_write, &w->file};
    struct oto_parquet_result result;
    w->file.size = 0;
    bench_must(oto_parquet_write(&w->batch, NULL, ROWS, &w->options, w->codec, &oto_allocator_heap,
                                 &sink, &result, NULL));
}

static void run_read(void *state)
{
    struct work *w = state;
    struct oto_bytes bytes = oto_buffer_view(&w->file);
    struct oto_source source = oto_source_of_bytes(&bytes);
    struct oto_parquet_reader *reader;
    struct oto_builder builder;
    uint32_t rows = 0;
    oto_arena_reset(&w->arena);
    bench_must(oto_builder_init(&builder, &w->schema, &w->arena, 1, ROWS, NULL));
    bench_must(oto_parquet_open(&source, NULL, w->codec, &oto_allocator_heap, &reader, NULL));
    bench_must(oto_parquet_select(reader, &w->schema, NULL));
    bench_must(oto_parquet_read(reader, &builder, ROWS, &rows, NULL));
    oto_parquet_close(reader);
    if (rows != ROWS)
        bench_must(OTO_INTERNAL);
}

static void bench_column(struct bench *b, struct work *w, const struct oto_batch *all, int column)
{
    char title[64];
    w->schema = (struct oto_schema){"bench", &field_list[column], 1, 1};
    w->batch = *all;
    w->batch.schema = &w->schema;
    w->batch.columns = &all->columns[column];
    snprintf(title, sizeof title, "%s_write", fields[column].name);
    bench_run(b, title, ROWS, run_write, w);
    snprintf(title, sizeof title, "%s_read", fields[column].name);
    bench_run(b, title, ROWS, run_read, w);
}

int main(int argc, char **argv)
{
    struct bench b = bench_of(argc, argv);
    static struct work w;
    static struct oto_builder builder;
    static struct oto_arena arena;
    struct oto_batch all;
    uint64_t random = 1;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
    oto_arena_init(&w.arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
    oto_buffer_init(&w.file, &oto_allocator_heap, 1 << 26);
    oto_parquet_options_default(&w.options);
    w.codec = oto_codec_new(&oto_allocator_heap);
    bench_must(oto_builder_init(&builder, &schema, &arena, 1, ROWS, NULL));
    for (uint32_t row = 0; row < ROWS; row++)
        append_row(&builder, row, &random);
    bench_must(oto_builder_view(&builder, &oto_allocator_heap, &all));
    for (int i = 0; i < FIELDS; i++)
        bench_column(&b, &w, &all, i);
    oto_batch_release(&all);
    oto_arena_release(&arena);
    oto_arena_release(&w.arena);
    oto_buffer_release(&w.file);
    oto_codec_free(w.codec);
    return 0;
}
