// folders: otlp parquet
// How long the rows of OTLP requests take to become Parquet: decodes a file of frames (big-endian
// u32 length, then the request), orders the rows of its fullest table, writes them to memory, and
// prints JSON: the whole table, then each column written alone. The best round counts.
// With 0 rounds it writes the whole table once, for counting instructions (bench.h). With fewer
// than 0 the columns are left out. Either way a named column can be written instead of the table.
//   bench_parquet logs|traces|metrics FILE [ROUNDS [OUT.parquet | COLUMN]]
#include "bench.h"
#include "otlp/otlp_decode.h"
#include "parquet/parquet_writer.h"

#define ROWS_MAX 122880u

static void must(enum oto_status status, const struct oto_error *err)
{
    if (status >= 0)
        return;
    fprintf(stderr, "bench_parquet: %s %s\n", oto_status_name(status), err ? err->message : "");
    exit(1);
}

struct input {
    struct oto_batch batch;
    uint32_t *order;
    uint32_t count;
    struct oto_parquet_options options;
    struct oto_codec *codec;
    FILE *file; // NULL: only counted
};

static enum oto_status sink_write(void *state, const void *data, size_t size, struct oto_error *err)
{
    struct input *in = state;
    if (in->file && fwrite(data, 1, size, in->file) != size)
        return oto_error_set(err, OTO_IO, "write failed");
    return OTO_OK;
}

struct writing {
    struct input *in;
    const struct oto_batch *batch;
    struct oto_parquet_result *result;
};

static void run_write(void *state)
{
    struct writing *w = state;
    struct oto_sink sink = {sink_write, w->in};
    struct oto_error err;
    must(oto_parquet_write(w->batch, w->in->order, w->in->count, &w->in->options, w->in->codec,
                           &oto_allocator_heap, &sink, w->result, &err),
         &err);
}

static double write_once(struct input *in, const struct oto_batch *batch,
                         struct oto_parquet_result *ret_result)
{
    struct writing w = {in, batch, ret_result};
    uint64_t start = bench_now_ns();
    bench_measured(run_write, &w);
    return (double)(bench_now_ns() - start);
}

static double best_of(struct input *in, const struct oto_batch *batch, int rounds,
                      struct oto_parquet_result *ret_result)
{
    double best = 1e300;
    for (int i = 0; i < rounds; i++) {
        double ns = write_once(in, batch, ret_result);
        best = ns < best ? ns : best;
    }
    return best / in->count;
}

static enum oto_table decode(enum oto_signal signal, struct oto_bytes file,
                             const struct oto_schemas *schemas, struct oto_builder *builders)
{
    static struct oto_arena arena;
    struct oto_builder *list[OTO_TABLE_COUNT];
    struct oto_otlp_limits limits;
    struct oto_error err;
    uint64_t rows[OTO_TABLE_COUNT] = {0}, total = 0;
    enum oto_table best = OTO_TABLE_LOGS;
    oto_otlp_limits_default(&limits);
    oto_error_init(&err);
    oto_arena_init(&arena, &oto_allocator_heap, 64u << 20, SIZE_MAX);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        list[t] = &builders[t];
        must(oto_builder_init(list[t], oto_schemas_table(schemas, (enum oto_table)t), &arena, 1,
                              4096, &err),
             &err);
    }
    struct oto_otlp_decoder *decoder = oto_otlp_decoder_new(&oto_allocator_heap, schemas, list);
    for (size_t at = 0; decoder && at + 4 <= file.size && total < ROWS_MAX;) {
        uint32_t size = oto_load32_big(file.data + at);
        struct oto_otlp_result result;
        must(oto_otlp_decode(decoder, signal, oto_bytes(file.data + at + 4, size), 1, &limits,
                             &result, &err),
             &err);
        at += 4 + size;
        total += result.accepted;
        for (int t = 0; t < OTO_TABLE_COUNT; t++)
            rows[t] += result.rows[t];
    }
    oto_otlp_decoder_free(decoder);
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        best = rows[t] > rows[best] ? (enum oto_table)t : best;
    return best;
}

static void order_rows(struct input *in, enum oto_table table)
{
    enum { PARTITIONS = 64 };
    struct oto_partition partitions[PARTITIONS];
    uint32_t partition_count;
    struct oto_error err;
    uint64_t start = bench_now_ns();
    in->count = in->batch.row_count < ROWS_MAX ? in->batch.row_count : ROWS_MAX;
    in->order = malloc(in->count * sizeof *in->order);
    must(oto_table_order(table, &in->batch, 0, in->count, &oto_allocator_heap, in->order,
                         partitions, PARTITIONS, &partition_count, &err),
         &err);
    printf("{\"order_ns_per_row\": %.1f, \"partitions\": %u}\n",
           (double)(bench_now_ns() - start) / in->count, partition_count);
}

// A batch of one column of the whole.
static struct oto_batch alone(const struct oto_batch *batch, uint32_t column,
                              struct oto_schema *schema)
{
    struct oto_batch one = *batch;
    *schema = *batch->schema;
    schema->fields = &batch->schema->fields[column];
    schema->field_count = 1;
    one.schema = schema;
    one.columns = &batch->columns[column];
    return one;
}

static struct oto_batch named(const struct oto_batch *batch, const char *name,
                              struct oto_schema *schema)
{
    uint32_t i = 0;
    while (i < batch->schema->field_count && strcmp(batch->schema->fields[i]->name, name) != 0)
        i++;
    if (i == batch->schema->field_count) {
        fprintf(stderr, "no column %s\n", name);
        exit(2);
    }
    return alone(batch, i, schema);
}

static void print_columns(struct input *in, int rounds)
{
    struct oto_parquet_result result;
    struct oto_schema none = *in->batch.schema, schema;
    for (uint32_t i = 0; i < none.field_count; i++) {
        struct oto_batch one = alone(&in->batch, i, &schema);
        double ns = best_of(in, &one, rounds, &result);
        in->options.compression = OTO_COMPRESSION_NONE;
        double raw_ns = best_of(in, &one, rounds, &result);
        uint64_t raw_size = result.file_size_bytes;
        in->options.compression = OTO_COMPRESSION_ZSTD;
        write_once(in, &one, &result);
        printf("{\"column\": \"%s\", \"ns_per_row\": %.2f, \"ns_per_row_uncompressed\": %.2f, "
               "\"bytes\": %llu, "
               "\"bytes_uncompressed\": %llu}\n",
               none.fields[i]->name, ns, raw_ns, (unsigned long long)result.file_size_bytes,
               (unsigned long long)raw_size);
    }
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"logs", "traces", "metrics"};
    static struct oto_builder builders[OTO_TABLE_COUNT];
    struct input in = {0};
    struct oto_parquet_result result;
    int signal = 0, rounds = argc > 3 ? atoi(argv[3]) : 5;
    while (argc > 2 && signal < OTO_SIGNAL_COUNT && strcmp(argv[1], names[signal]) != 0)
        signal++;
    if (argc < 3 || signal == OTO_SIGNAL_COUNT) {
        fprintf(stderr, "usage: %s logs|traces|metrics FILE [ROUNDS [OUT.parquet | COLUMN]]\n",
                argv[0]);
        return 2;
    }
    struct oto_schemas *schemas = oto_schemas_new(&oto_allocator_heap, NULL, 0, NULL);
    if (!schemas)
        return 1;
    struct oto_bytes file = bench_read_file(argv[2]);
    if (!file.data) {
        perror(argv[2]);
        return 1;
    }
    enum oto_table table = decode((enum oto_signal)signal, file, schemas, builders);
    must(oto_builder_view(&builders[table], &oto_allocator_heap, &in.batch), NULL);
    order_rows(&in, table);
    oto_parquet_options_default(&in.options);
    in.options.sorted_by_count = oto_table_sorted_by(table, &in.options.sorted_by);
    in.codec = oto_codec_new(&oto_allocator_heap);
    if (rounds <= 0) {
        struct oto_schema schema;
        struct oto_batch batch = argc > 4 ? named(&in.batch, argv[4], &schema) : in.batch;
        double ns = best_of(&in, &batch, rounds ? -rounds : 1, &result);
        if (rounds == 0)
            bench_case_done("write", in.count);
        printf("{\"rows\": %u, \"bytes_per_row\": %.2f, \"ns_per_row\": %.1f}\n", in.count,
               (double)result.file_size_bytes / in.count, ns);
        return 0;
    }
    double ns = best_of(&in, &in.batch, rounds, &result);
    in.options.compression = OTO_COMPRESSION_NONE;
    struct oto_parquet_result raw;
    double raw_ns = best_of(&in, &in.batch, rounds, &raw);
    in.options.compression = OTO_COMPRESSION_ZSTD;
    printf("{\"table\": \"%s\", \"rows\": %u, \"ns_per_row\": %.1f, \"ns_per_row_uncompressed\": "
           "%.1f, "
           "\"bytes_per_row\": %.1f, \"bytes_per_row_uncompressed\": %.1f}\n",
           oto_table_folder(table), in.count, ns, raw_ns, (double)result.file_size_bytes / in.count,
           (double)raw.file_size_bytes / in.count);
    print_columns(&in, rounds);
    if (argc > 4 && (in.file = fopen(argv[4], "wb"))) {
        write_once(&in, &in.batch, &result);
        fclose(in.file);
    }
    oto_codec_free(in.codec);
    oto_batch_release(&in.batch);
    oto_schemas_free(schemas);
    return 0;
}
