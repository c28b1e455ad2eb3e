// folders: telemetry
// What the columns cost: nanoseconds of processor time a hinted add, a hashed add, a fixed append,
// a row ordered; each the best of five runs. One JSON object a line on standard output.
#include "columns/column.h"
#include "telemetry/order.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define REPEATS 5
#define ROWS 122880u

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void must(enum oto_status status)
{
    if (status != OTO_OK)
        abort();
}

static uint32_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

static void print(const char *name, double best_ns, uint32_t count)
{
    printf("{\"bench\": \"%s\", \"ns_per_item\": %.2f}\n", name, best_ns / count);
}

// Values like attribute values: 4 to 30 bytes.
static struct oto_bytes *make_values(uint32_t count)
{
    struct oto_bytes *values = malloc(count * sizeof *values);
    for (uint32_t i = 0; i < count; i++) {
        char *text = malloc(40);
        int size =
            snprintf(text, 40, "%s%u", i % 3 ? "/api/v1/products/" : "val-", i * 2654435761u >> 8);
        values[i] = oto_bytes(text, (size_t)size);
    }
    return values;
}

static void bench_hashed(const char *name, uint32_t distinct)
{
    const uint32_t count = 1u << 20;
    struct oto_bytes *values = make_values(distinct);
    uint32_t *picks = malloc(count * sizeof *picks);
    double best = 1e18;
    uint64_t random = 1;
    for (uint32_t i = 0; i < count; i++)
        picks[i] = next_random(&random) % distinct;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        struct oto_arena arena;
        struct oto_dictionary d;
        uint32_t code;
        oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
        oto_dictionary_init(&d, &arena, 1, 1);
        double start = now_ns();
        for (uint32_t i = 0; i < count; i++)
            must(oto_dictionary_add(&d, values[picks[i]], &code));
        double took = now_ns() - start;
        best = took < best ? took : best;
        oto_arena_release(&arena);
    }
    print(name, best, count);
    for (uint32_t i = 0; i < distinct; i++)
        free((void *)(uintptr_t)values[i].data);
    free(values), free(picks);
}

// Sixteen attributes a record whose values repeat: each slot hints the code it had before.
static void bench_hinted(void)
{
    enum { SLOTS = 16 };
    struct oto_bytes *values = make_values(SLOTS);
    const uint32_t records = 1u << 16;
    double best = 1e18;
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        struct oto_arena arena;
        struct oto_dictionary d;
        uint32_t hints[SLOTS] = {0};
        oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
        oto_dictionary_init(&d, &arena, 1, 0);
        double start = now_ns();
        for (uint32_t i = 0; i < records; i++)
            for (uint32_t slot = 0; slot < SLOTS; slot++)
                must(oto_dictionary_add_hinted(&d, values[slot], hints[slot], &hints[slot]));
        double took = now_ns() - start;
        best = took < best ? took : best;
        oto_arena_release(&arena);
    }
    print("hinted_add", best, records * SLOTS);
    for (uint32_t i = 0; i < SLOTS; i++)
        free((void *)(uintptr_t)values[i].data);
    free(values);
}

static const struct oto_field time_field = {.name = "Timestamp", .type = OTO_TYPE_TIME};
static const struct oto_field span_field = {.name = "SpanName", .type = OTO_TYPE_STRING};
static const struct oto_field trace_field = {.name = "TraceId", .type = OTO_TYPE_ID16};
static const struct oto_field count_field = {
    .name = "Count", .type = OTO_TYPE_INT64, .flags = OTO_FIELD_NULLABLE};
static const struct oto_field service_field = {
    .name = "ServiceName", .type = OTO_TYPE_STRING, .level = 2};
static const struct oto_field *const field_list[] = {&time_field, &span_field, &trace_field,
                                                     &count_field, &service_field};
enum { TIME, SPAN, TRACE, COUNT, SERVICE };
static const struct oto_schema schema = {"bench", field_list, 5, 3};

static void bench_appends(void)
{
    const uint32_t count = 1u << 20;
    double best[3] = {1e18, 1e18, 1e18};
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        struct oto_arena arena;
        struct oto_builder b;
        uint8_t id[16] = "0123456789abcdef";
        oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
        must(oto_builder_init(&b, &schema, &arena, 1, count, NULL));
        for (int warm = 0; warm < 2; warm++) { // the second time all pages are there
            double at[4];
            at[0] = now_ns();
            for (uint32_t i = 0; i < count; i++) {
                must(oto_column_reserve(&b, &b.columns[TIME], 1));
                oto_column_append_i64(&b.columns[TIME], i);
            }
            at[1] = now_ns();
            for (uint32_t i = 0; i < count; i++)
                must(oto_column_append_id(&b, &b.columns[TRACE], oto_bytes(id, 16)));
            at[2] = now_ns();
            for (uint32_t i = 0; i < count; i++)
                must(oto_column_append_null(&b, &b.columns[COUNT]));
            at[3] = now_ns();
            for (int i = 0; i < 3 && warm; i++)
                best[i] = at[i + 1] - at[i] < best[i] ? at[i + 1] - at[i] : best[i];
            b.columns[TIME].length = b.columns[TRACE].length = b.columns[COUNT].length = 0;
        }
        oto_arena_release(&arena);
    }
    print("fixed_append", best[0], count);
    print("id_append", best[1], count);
    print("null_append", best[2], count);
}

struct workload {
    const char *name;
    uint32_t services, spans, key_count;
    int64_t span_us;     // of time over all rows
    int64_t disorder_us; // how far a row may be off the order of time
};

// Requests of 100 rows from services in turn.
static void make_rows(struct oto_builder *b, const struct workload *w)
{
    uint64_t random = 1;
    char room[40];
    uint32_t resource, scope;
    int is_new;
    for (uint32_t row = 0; row < ROWS; row++) {
        if (row % 100 == 0) {
            snprintf(room, sizeof room, "service-%u", next_random(&random) % w->services);
            must(oto_builder_entry(b, 2, oto_bytes_text(room), 0, &resource, &is_new));
            if (is_new)
                must(oto_column_append_bytes(b, &b->columns[SERVICE], oto_bytes_text(room)));
            must(oto_builder_entry(b, 1, oto_bytes(&resource, sizeof resource), resource, &scope,
                                   &is_new));
        }
        must(oto_builder_row(b, scope));
        must(oto_column_reserve(b, &b->columns[TIME], 1));
        int64_t time = INT64_C(1700000000000000) + row * w->span_us / ROWS;
        oto_column_append_i64(&b->columns[TIME],
                              time + next_random(&random) % (w->disorder_us + 1));
        snprintf(room, sizeof room, "GET /api/%u", next_random(&random) % w->spans);
        must(oto_column_append_bytes(b, &b->columns[SPAN], oto_bytes_text(room)));
    }
}

static void bench_order(const struct workload *w)
{
    struct oto_arena arena;
    struct oto_builder b;
    struct oto_batch batch;
    struct oto_partition partitions[64];
    uint32_t *order = malloc(ROWS * sizeof *order), count;
    struct oto_order_spec spec = {.time_column = TIME,
                                  .keys = {SERVICE, SPAN},
                                  .key_count = w->key_count,
                                  .count = ROWS,
                                  .partitions_max = 64};
    double best = 1e18;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
    must(oto_builder_init(&b, &schema, &arena, 1, ROWS, NULL));
    make_rows(&b, w);
    must(oto_builder_view(&b, &oto_allocator_heap, &batch));
    for (int repeat = 0; repeat < REPEATS; repeat++) {
        double start = now_ns();
        must(oto_batch_order(&batch, &spec, &oto_allocator_heap, order, partitions, &count, NULL));
        double took = now_ns() - start;
        best = took < best ? took : best;
    }
    print(w->name, best, ROWS);
    oto_batch_release(&batch);
    oto_arena_release(&arena);
    free(order);
}

int main(void)
{
    static const struct workload workloads[] = {
        {"order_logs", 20, 1, 1, 60000000, 0},
        {"order_logs_disorder", 20, 1, 1, 60000000, 5000000},
        {"order_logs_hours", 20, 1, 1, INT64_C(36000000000), 60000000},
        {"order_traces", 20, 50, 2, 60000000, 5000000},
        {"order_traces_many_names", 200, 5000, 2, 60000000, 5000000},
        {"order_traces_distinct_names", 20, 2000000000, 2, 60000000, 5000000},
    };
    bench_hinted();
    bench_hashed("hashed_add_64", 64);
    bench_hashed("hashed_add_2k", 2048);
    bench_hashed("hashed_add_64k", 65536);
    bench_appends();
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        bench_order(&workloads[i]);
    return 0;
}
