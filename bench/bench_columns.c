// folders: telemetry
// What the columns cost: a dictionary's hinted, hashed and blind add, a fixed append, a row
// ordered. How: bench.h.
#include "bench.h"
#include "columns/column.h"
#include "telemetry/order.h"

#define ADDS (1u << 16)

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

static void free_values(struct oto_bytes *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        free((void *)(uintptr_t)values[i].data);
    free(values);
}

struct adds {
    struct oto_arena arena;
    struct oto_dictionary dictionary;
    struct oto_bytes *values;
    uint32_t *picks;
    uint32_t distinct;
    int keep;
    void (*run)(void *state);
};

static void run_hashed(void *state)
{
    struct adds *a = state;
    uint32_t code;
    for (uint32_t i = 0; i < ADDS; i++)
        bench_must(oto_dictionary_add(&a->dictionary, a->values[a->picks[i]], &code));
}

static void run_blind(void *state)
{
    struct adds *a = state;
    uint32_t code;
    for (uint32_t i = 0; i < ADDS; i++)
        bench_must(oto_dictionary_add_blind(&a->dictionary, a->values[a->picks[i]], &code));
}

static void run_found(void *state)
{
    struct adds *a = state;
    uint32_t hash, code;
    for (uint32_t i = 0; i < ADDS; i++)
        if (!oto_dictionary_peek(&a->dictionary, a->values[a->picks[i]], &hash, &code))
            bench_must(oto_dictionary_add_new(&a->dictionary, a->values[a->picks[i]], hash, &code));
}

// As many attributes a record as there are values: each slot hints the code it had before.
static void run_hinted(void *state)
{
    enum { SLOTS = 16 };
    struct adds *a = state;
    uint32_t hints[SLOTS] = {0};
    for (uint32_t i = 0; i < ADDS; i += SLOTS)
        for (uint32_t slot = 0; slot < SLOTS; slot++)
            bench_must(oto_dictionary_add_hinted(&a->dictionary, a->values[slot], hints[slot],
                                                 &hints[slot]));
}

static void adds_round(struct bench *b, void *state)
{
    struct adds *a = state;
    oto_arena_init(&a->arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
    oto_dictionary_init(&a->dictionary, &a->arena, 1, a->keep);
    bench_measure(b, a->run, a);
    oto_arena_release(&a->arena);
}

static void bench_adds(struct bench *b, const char *name, uint32_t distinct, int keep,
                       void (*run)(void *state))
{
    struct adds a = {.distinct = distinct, .keep = keep, .run = run};
    uint64_t random = 1;
    a.values = make_values(distinct);
    a.picks = malloc(ADDS * sizeof *a.picks);
    for (uint32_t i = 0; i < ADDS; i++)
        a.picks[i] = bench_random(&random) % distinct;
    bench_case(b, name, ADDS, adds_round, &a);
    free_values(a.values, distinct);
    free(a.picks);
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

static void run_fixed(void *state)
{
    struct oto_builder *b = state;
    for (uint32_t i = 0; i < ADDS; i++) {
        bench_must(oto_column_reserve(b, &b->columns[TIME], 1));
        oto_column_append_i64(&b->columns[TIME], i);
    }
}

static void run_ids(void *state)
{
    struct oto_builder *b = state;
    uint8_t id[16] = "0123456789abcdef";
    for (uint32_t i = 0; i < ADDS; i++)
        bench_must(oto_column_append_id(b, &b->columns[TRACE], oto_bytes(id, 16)));
}

static void run_nulls(void *state)
{
    struct oto_builder *b = state;
    for (uint32_t i = 0; i < ADDS; i++)
        bench_must(oto_column_append_null(b, &b->columns[COUNT]));
}

struct appends {
    struct oto_builder builder;
    void (*run)(void *state);
};

static void appends_round(struct bench *b, void *state)
{
    struct appends *a = state;
    for (int i = TIME; i <= COUNT; i++)
        a->builder.columns[i].length = 0; // all pages are there
    bench_measure(b, a->run, &a->builder);
}

static void bench_appends(struct bench *b)
{
    struct oto_arena arena;
    struct appends a;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
    bench_must(oto_builder_init(&a.builder, &schema, &arena, 1, ADDS, NULL));
    a.run = run_fixed, bench_case(b, "append_fixed", ADDS, appends_round, &a);
    a.run = run_ids, bench_case(b, "append_id", ADDS, appends_round, &a);
    a.run = run_nulls, bench_case(b, "append_null", ADDS, appends_round, &a);
    oto_arena_release(&arena);
}

struct workload {
    const char *name;
    uint32_t services, spans, key_count;
    int64_t span_us;     // of time over all rows
    int64_t disorder_us; // how far a row may be off the order of time
};

// Requests of 100 rows from services in turn.
static void make_rows(struct oto_builder *b, const struct workload *w, uint32_t rows)
{
    uint64_t random = 1;
    char room[40];
    uint32_t resource, scope;
    int is_new;
    for (uint32_t row = 0; row < rows; row++) {
        if (row % 100 == 0) {
            snprintf(room, sizeof room, "service-%u", bench_random(&random) % w->services);
            bench_must(oto_builder_entry(b, 2, oto_bytes_text(room), 0, &resource, &is_new));
            if (is_new)
                bench_must(oto_column_append_bytes(b, &b->columns[SERVICE], oto_bytes_text(room)));
            bench_must(oto_builder_entry(b, 1, oto_bytes(&resource, sizeof resource), resource,
                                         &scope, &is_new));
        }
        bench_must(oto_builder_row(b, scope));
        bench_must(oto_column_reserve(b, &b->columns[TIME], 1));
        int64_t time = INT64_C(1700000000000000) + row * w->span_us / rows;
        oto_column_append_i64(&b->columns[TIME],
                              time + bench_random(&random) % (w->disorder_us + 1));
        snprintf(room, sizeof room, "GET /api/%u", bench_random(&random) % w->spans);
        bench_must(oto_column_append_bytes(b, &b->columns[SPAN], oto_bytes_text(room)));
    }
}

struct ordering {
    struct oto_batch batch;
    struct oto_order_spec spec;
    uint32_t *order;
};

static void run_order(void *state)
{
    struct ordering *o = state;
    struct oto_partition partitions[64];
    uint32_t count;
    bench_must(oto_batch_order(&o->batch, &o->spec, &oto_allocator_heap, o->order, partitions,
                               &count, NULL));
}

static void bench_order(struct bench *b, const struct workload *w)
{
    uint32_t rows = b->counting ? 16384 : 122880;
    struct oto_arena arena;
    struct oto_builder builder;
    struct ordering o = {.spec = {.time_column = TIME,
                                  .keys = {SERVICE, SPAN},
                                  .key_count = w->key_count,
                                  .count = rows,
                                  .partitions_max = 64},
                         .order = malloc(rows * sizeof *o.order)};
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, SIZE_MAX);
    bench_must(oto_builder_init(&builder, &schema, &arena, 1, rows, NULL));
    make_rows(&builder, w, rows);
    bench_must(oto_builder_view(&builder, &oto_allocator_heap, &o.batch));
    bench_run(b, w->name, rows, run_order, &o);
    oto_batch_release(&o.batch);
    oto_arena_release(&arena);
    free(o.order);
}

int main(int argc, char **argv)
{
    static const struct workload workloads[] = {
        {"order_logs", 20, 1, 1, 60000000, 0},
        {"order_logs_disorder", 20, 1, 1, 60000000, 5000000},
        {"order_logs_hours", 20, 1, 1, INT64_C(36000000000), 60000000},
        {"order_traces", 20, 50, 2, 60000000, 5000000},
        {"order_traces_many_names", 200, 5000, 2, 60000000, 5000000},
        {"order_traces_distinct_names", 20, 2000000000, 2, 60000000, 5000000},
    };
    struct bench b = bench_of(argc, argv);
    bench_adds(&b, "dictionary_hinted", 16, 0, run_hinted);
    bench_adds(&b, "dictionary_64_values", 64, 1, run_hashed);
    bench_adds(&b, "dictionary_2k_values", 2048, 1, run_hashed);
    bench_adds(&b, "dictionary_64k_values", 65536, 1, run_hashed);
    bench_adds(&b, "dictionary_peek_2k_values", 2048, 1, run_found);
    bench_adds(&b, "dictionary_blind", 65536, 0, run_blind);
    bench_appends(&b);
    for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++)
        bench_order(&b, &workloads[i]);
    return 0;
}
