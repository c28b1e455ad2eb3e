#include "cmocka_all.h"
#include "telemetry/order.h"
#include <stdio.h>
#include <stdlib.h>

#define HOUR INT64_C(3600000000)

// The shapes of the tables: metrics' five levels; logs and traces have three of them.
static const struct oto_field time_field = {.name = "Time", .type = OTO_TYPE_TIME};
static const struct oto_field span_field = {
    .name = "SpanName", .type = OTO_TYPE_STRING, .flags = OTO_FIELD_NULLABLE};
static const struct oto_field series_field = {
    .name = "SeriesId", .type = OTO_TYPE_STRING, .level = 1};
static const struct oto_field metric_field = {
    .name = "Name", .type = OTO_TYPE_STRING, .level = 2, .flags = OTO_FIELD_NULLABLE};
static const struct oto_field *const field_list[] = {&time_field, &span_field, &series_field,
                                                     &metric_field};
enum { TIME, SPAN, SERIES, NAME };
static const struct oto_schema schema = {"test", field_list, 4, 3};

struct table {
    struct oto_arena arena;
    struct oto_builder b;
    struct oto_batch batch;
    uint32_t rows;
};

static uint32_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

#define OK(call) assert_int_equal((call), OTO_OK)

static void append_text(struct oto_builder *b, struct oto_column *c, uint64_t *random,
                        uint32_t kinds)
{
    static const char *const starts[] = {"", "GET /api/v1/", "GET /api/v1/orders/", "Z"};
    char room[48];
    uint32_t n = next_random(random) % kinds;
    if (c->field->flags & OTO_FIELD_NULLABLE && n % 5 == 3) {
        OK(oto_column_append_null(b, c));
        return;
    }
    snprintf(room, sizeof room, "%s%u", starts[n % 4], n * 7919 % kinds);
    OK(oto_column_append_bytes(b, c, oto_bytes_text(room)));
}

// How times come: see time_of.
enum shape { ASCENDING, SHUFFLED, HOURS, NEGATIVE, SCATTERED, EXTREME, SHAPES };

static int64_t time_of(enum shape shape, uint32_t row, uint64_t *random)
{
    int64_t start = INT64_C(490000) * HOUR;
    switch (shape) {
    case ASCENDING:
        return start + row / 2;
    case SHUFFLED:
        return start + next_random(random) % 1000;
    case HOURS:
        return start + (int64_t)(row + next_random(random) % 100) * (HOUR / 50);
    case NEGATIVE:
        return ((int64_t)(next_random(random) % 7) - 3) * HOUR - 1 + next_random(random) % 3;
    case SCATTERED:
        return (int64_t)next_random(random) * (int64_t)next_random(random) % (5000 * HOUR);
    default:
        return next_random(random) % 2 ? INT64_MIN + next_random(random) % 3
                                       : INT64_MAX - next_random(random) % 3;
    }
}

static void make(struct table *t, enum shape shape, uint32_t rows, uint32_t entries, uint32_t spans,
                 uint64_t *random)
{
    struct oto_builder *b = &t->b;
    char room[32];
    uint32_t index, series = 0;
    int is_new;
    oto_arena_init(&t->arena, &oto_allocator_heap, 1 << 16, SIZE_MAX);
    OK(oto_builder_init(b, &schema, &t->arena, 1, 64, NULL));
    for (uint32_t i = 0; i < entries; i++) {
        snprintf(room, sizeof room, "%u", i);
        OK(oto_builder_entry(b, 2, oto_bytes_text(room), 0, &index, &is_new));
        append_text(b, &b->columns[NAME], random, entries);
    }
    for (uint32_t row = 0; row < rows; row++) {
        if (row % 3 == 0) { // a few points a series
            uint32_t metric = next_random(random) % entries;
            snprintf(room, sizeof room, "%u/%u", metric, next_random(random) % 5);
            OK(oto_builder_entry(b, 1, oto_bytes_text(room), metric, &series, &is_new));
            if (is_new)
                append_text(b, &b->columns[SERIES], random, 4 * entries);
        }
        OK(oto_builder_row(b, series));
        OK(oto_column_reserve(b, &b->columns[TIME], 1));
        oto_column_append_i64(&b->columns[TIME], time_of(shape, row, random));
        append_text(b, &b->columns[SPAN], random, spans);
    }
    OK(oto_builder_view(b, &oto_allocator_heap, &t->batch));
    t->rows = rows;
}

static void drop(struct table *t)
{
    oto_batch_release(&t->batch);
    oto_arena_release(&t->arena);
}

// --- the plain way: compare rows by their values ---

static const struct oto_batch *compared;
static const struct oto_order_spec *compared_by;
static const uint32_t *compared_partitions; // by row

static int64_t time_at(const struct oto_batch *batch, uint32_t row)
{
    return ((const int64_t *)batch->columns[TIME].values)[row];
}

static int compare_key(uint32_t column, uint32_t a, uint32_t b)
{
    const struct oto_column *c = &compared->columns[column];
    for (uint32_t level = 0; level < c->field->level; level++) {
        a = compared->levels[level].link[a];
        b = compared->levels[level].link[b];
    }
    if (!oto_column_valid(c, a) || !oto_column_valid(c, b))
        return oto_column_valid(c, a) - oto_column_valid(c, b);
    struct oto_bytes x = c->dictionary->entries[((const uint32_t *)c->values)[a]];
    struct oto_bytes y = c->dictionary->entries[((const uint32_t *)c->values)[b]];
    int order = memcmp(x.data, y.data, x.size < y.size ? x.size : y.size);
    return order ? order : (x.size > y.size) - (x.size < y.size);
}

static int compare_rows(const void *x, const void *y)
{
    uint32_t a = *(const uint32_t *)x, b = *(const uint32_t *)y;
    if (compared_partitions[a] != compared_partitions[b])
        return compared_partitions[a] < compared_partitions[b] ? -1 : 1;
    for (uint32_t k = 0; k < compared_by->key_count; k++) {
        int order = compare_key(compared_by->keys[k], a, b);
        if (order)
            return order;
    }
    int64_t s = time_at(compared, a), t = time_at(compared, b);
    return s != t ? (s < t ? -1 : 1) : (a > b) - (a < b);
}

static int64_t floor_hour(int64_t time)
{
    return time >= 0 ? time / HOUR : -1 - (-1 - time) / HOUR;
}

// Partitions hold what they say, cover the rows, ascend, and leave to the overflow only what is no
// fuller than they are.
static void check_partitions(const struct table *t, const struct oto_order_spec *spec,
                             const uint32_t *order, const struct oto_partition *partitions,
                             uint32_t count, uint32_t *partition_of)
{
    uint32_t next = 0, least = UINT32_MAX;
    for (uint32_t p = 0; p < count; p++) {
        const struct oto_partition *part = &partitions[p];
        int64_t time_min = INT64_MAX, time_max = INT64_MIN;
        assert_int_equal(part->first, next);
        assert_true(part->count > 0);
        next += part->count;
        assert_true(next <= spec->count);
        int overflow = part->hour == OTO_PARTITION_OVERFLOW;
        assert_true(!overflow || (p == count - 1 && count == spec->partitions_max));
        assert_true(overflow || p == 0 || partitions[p - 1].hour < part->hour);
        if (!overflow && part->count < least)
            least = part->count;
        for (uint32_t i = part->first; i < next; i++) {
            int64_t time = time_at(&t->batch, order[i]);
            assert_true(order[i] >= spec->first && order[i] - spec->first < spec->count);
            assert_true(overflow || floor_hour(time) == part->hour);
            time_min = time < time_min ? time : time_min;
            time_max = time > time_max ? time : time_max;
            partition_of[order[i]] = p;
        }
        assert_true(time_min == part->time_min_us && time_max == part->time_max_us);
        for (uint32_t i = part->first; overflow && i < next; i++) {
            uint32_t same_hour = 0;
            for (uint32_t j = part->first; j < next; j++)
                same_hour += floor_hour(time_at(&t->batch, order[j])) ==
                             floor_hour(time_at(&t->batch, order[i]));
            assert_true(same_hour <= least);
            for (uint32_t q = 0; q < p; q++)
                assert_true(partitions[q].hour != floor_hour(time_at(&t->batch, order[i])));
        }
    }
    assert_int_equal(next, spec->count);
}

static void check_order(const struct table *t, const struct oto_order_spec *spec)
{
    uint32_t *order = calloc(spec->count + 1, sizeof *order),
             *expected = calloc(spec->count + 1, sizeof *order);
    uint32_t *partition_of = calloc(t->rows + 1, sizeof *order), count = 77;
    struct oto_partition *partitions = calloc(spec->partitions_max, sizeof *partitions);
    OK(oto_batch_order(&t->batch, spec, &oto_allocator_heap, order, partitions, &count, NULL));
    assert_true(count <= spec->partitions_max);
    check_partitions(t, spec, order, partitions, count, partition_of);
    for (uint32_t i = 0; i < spec->count; i++)
        expected[i] = spec->first + i;
    compared = &t->batch;
    compared_by = spec;
    compared_partitions = partition_of;
    qsort(expected, spec->count, sizeof *expected, compare_rows);
    if (spec->count)
        assert_memory_equal(order, expected, spec->count * sizeof *order);
    free(order), free(expected), free(partition_of), free(partitions);
}

static void rows_come_as_a_plain_sort_gives_them(void **state)
{
    (void)state;
    static const struct oto_order_spec specs[] = {
        {.time_column = TIME, .keys = {NAME}, .key_count = 1},
        {.time_column = TIME, .keys = {NAME, SPAN}, .key_count = 2},
        {.time_column = TIME, .keys = {NAME, SERIES}, .key_count = 2},
        {.time_column = TIME, .keys = {SPAN, NAME, SERIES}, .key_count = 3},
        {.time_column = TIME, .keys = {SERIES, SPAN, NAME}, .key_count = 3},
        {.time_column = TIME, .key_count = 0},
    };
    static const uint32_t row_counts[] = {1, 2, 40, 700, 2500};
    uint64_t random = 1;
    for (int shape = 0; shape < SHAPES; shape++) {
        for (size_t r = 0; r < sizeof row_counts / sizeof *row_counts; r++) {
            struct table t;
            uint32_t rows = row_counts[r];
            make(&t, (enum shape)shape, rows, r % 2 ? 3 : 200, r % 3 ? 12 : 900, &random);
            for (size_t s = 0; s < sizeof specs / sizeof *specs; s++) {
                struct oto_order_spec spec = specs[s];
                spec.first = next_random(&random) % 2 ? 0 : next_random(&random) % (rows + 1);
                spec.count = next_random(&random) % 2
                                 ? rows - spec.first
                                 : next_random(&random) % (rows - spec.first + 1);
                spec.partitions_max =
                    1 + next_random(&random) % (next_random(&random) % 2 ? 5 : 3000);
                check_order(&t, &spec);
            }
            drop(&t);
        }
    }
}

// So many ranks that parts cannot share counters, dictionaries gone plain, and buckets long enough
// for the radix sort.
static void many_distinct_keys_are_no_special_case(void **state)
{
    (void)state;
    uint64_t random = 2;
    for (int round = 0; round < 3; round++) {
        struct table t;
        make(&t, round == 2 ? HOURS : SHUFFLED, 30000, round == 1 ? 1 : 6000,
             round == 1 ? 1 : 50000, &random);
        struct oto_order_spec spec = {.time_column = TIME,
                                      .keys = {NAME, SPAN},
                                      .key_count = 2,
                                      .count = 30000,
                                      .partitions_max = 500};
        assert_true(round == 1 || t.batch.columns[SPAN].dictionary->plain);
        check_order(&t, &spec);
        drop(&t);
    }
}

static void a_key_of_another_type_is_refused(void **state)
{
    (void)state;
    uint64_t random = 3;
    struct table t;
    struct oto_error err;
    uint32_t order[10], count = 7;
    struct oto_partition partition;
    make(&t, ASCENDING, 10, 3, 3, &random);
    struct oto_order_spec spec = {
        .time_column = TIME, .keys = {TIME}, .key_count = 1, .count = 10, .partitions_max = 1};
    assert_int_equal(
        oto_batch_order(&t.batch, &spec, &oto_allocator_heap, order, &partition, &count, &err),
        OTO_UNSUPPORTED);
    assert_int_equal(count, 7);
    drop(&t);
}

// An allocator that fails at the n-th call.
static void *failing_alloc(void *left, size_t size)
{
    return (*(int *)left)-- > 0 ? malloc(size) : NULL;
}

static void *failing_resize(void *left, void *block, size_t old_size, size_t size)
{
    (void)left, (void)block, (void)old_size, (void)size;
    return NULL;
}

static void failing_free(void *left, void *block, size_t size)
{
    (void)left, (void)size;
    free(block);
}

static void no_memory_is_reported(void **state)
{
    (void)state;
    uint64_t random = 4;
    struct table t;
    struct oto_error err;
    static uint32_t order[20000];
    struct oto_partition partitions[4];
    uint32_t count;
    make(&t, HOURS, 20000, 300, 300, &random);
    struct oto_order_spec spec = {.time_column = TIME,
                                  .keys = {NAME, SERIES, SPAN},
                                  .key_count = 3,
                                  .count = 20000,
                                  .partitions_max = 4};
    for (int n = 0;; n++) {
        int left = n;
        struct oto_allocator failing = {failing_alloc, failing_resize, failing_free, &left};
        enum oto_status status =
            oto_batch_order(&t.batch, &spec, &failing, order, partitions, &count, &err);
        if (status == OTO_OK) {
            assert_true(n > 5);
            break;
        }
        assert_int_equal(status, OTO_NO_MEMORY);
        assert_int_equal(err.status, OTO_NO_MEMORY);
    }
    drop(&t);
}

// Every table finds its own columns: entry 1 of each level comes before entry 0, and in it time
// descends.
static void each_table_is_sorted_by_its_own_columns(void **state)
{
    (void)state;
    struct oto_schemas *schemas = oto_schemas_new(&oto_allocator_heap, NULL, 0, NULL);
    assert_non_null(schemas);
    for (int table = 0; table < OTO_TABLE_COUNT; table++) {
        const struct oto_schema *s = oto_schemas_table(schemas, (enum oto_table)table);
        struct oto_arena arena;
        struct oto_builder b;
        struct oto_batch batch;
        const char *const *names;
        uint32_t index, order[4], count, time = oto_table_time_column((enum oto_table)table);
        int is_new;
        oto_arena_init(&arena, &oto_allocator_heap, 1 << 16, SIZE_MAX);
        OK(oto_builder_init(&b, s, &arena, 1, 8, NULL));
        for (uint32_t level = s->level_count - 1; level > 0; level--)
            for (uint32_t i = 0; i < 2; i++)
                OK(oto_builder_entry(&b, level, oto_bytes(&i, sizeof i), i, &index, &is_new));
        for (uint32_t k = oto_table_sorted_by((enum oto_table)table, &names); k-- > 0;) {
            struct oto_column *c = &b.columns[oto_schema_find(s, names[k])];
            if (c == &b.columns[time])
                continue;
            OK(oto_column_append_bytes(&b, c, oto_bytes_text(c->level ? "later" : "same")));
            OK(oto_column_append_bytes(&b, c, oto_bytes_text(c->level ? "first" : "same")));
            for (uint32_t row = 2; row < 4 && c->level == 0; row++)
                OK(oto_column_append_bytes(&b, c, oto_bytes_text("same")));
        }
        for (uint32_t row = 0; row < 4; row++) {
            OK(oto_builder_row(&b, row % 2));
            OK(oto_column_reserve(&b, &b.columns[time], 1));
            oto_column_append_i64(&b.columns[time], -(int64_t)row);
        }
        OK(oto_builder_view(&b, &oto_allocator_heap, &batch));
        struct oto_partition partitions[2];
        OK(oto_table_order((enum oto_table)table, &batch, 0, 4, &oto_allocator_heap, order,
                           partitions, 2, &count, NULL));
        assert_int_equal(count, 2); // row 0 is of the hour after the others
        assert_int_equal(partitions[0].hour, -1);
        assert_int_equal(partitions[1].hour, 0);
        assert_memory_equal(order, ((uint32_t[]){3, 1, 2, 0}), sizeof order);
        oto_batch_release(&batch);
        oto_arena_release(&arena);
    }
    oto_schemas_free(schemas);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_come_as_a_plain_sort_gives_them),
        cmocka_unit_test(many_distinct_keys_are_no_special_case),
        cmocka_unit_test(a_key_of_another_type_is_refused),
        cmocka_unit_test(no_memory_is_reported),
        cmocka_unit_test(each_table_is_sorted_by_its_own_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
