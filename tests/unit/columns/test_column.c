#include "base/hash.h"
#include "cmocka_all.h"
#include "columns/column.h"
#include <stdio.h>
#include <stdlib.h>

// A table with every type, three levels, and nests in nests.
#define F(name_, id_, level_, type_, flags_)                                                       \
    {                                                                                              \
        .name = name_, .id = id_, .level = level_, .type = OTO_TYPE_##type_, .flags = flags_       \
    }
static const struct oto_field element = F("element", 31, 0, STRING, 0);
static const struct oto_field event_fields[] = {F("Time", 41, 0, TIME, 0),
                                                F("Attributes", 42, 0, MAP, OTO_FIELD_BLOOM),
                                                F("Depth", 45, 0, INT32, OTO_FIELD_NULLABLE)};
static const struct oto_field fields[] = {
    F("Timestamp", 1, 0, TIME, 0),
    F("Severity", 2, 0, INT32, OTO_FIELD_NULLABLE),
    F("Body", 3, 0, STRING, OTO_FIELD_NULLABLE),
    F("Flag", 4, 0, BOOL, 0),
    F("Value", 5, 0, DOUBLE, OTO_FIELD_NULLABLE),
    F("TraceId", 6, 0, ID16, 0),
    F("SpanId", 7, 0, ID8, 0),
    F("Attributes", 20, 0, MAP, 0),
    {.name = "Labels", .id = 30, .type = OTO_TYPE_LIST, .child_count = 1, .children = &element},
    {.name = "Events",
     .id = 40,
     .type = OTO_TYPE_STRUCTS,
     .child_count = 3,
     .children = event_fields},
    F("Count", 50, 0, INT64, OTO_FIELD_NULLABLE),
    F("Raw", 51, 0, BINARY, 0),
    F("ScopeName", 60, 1, STRING, 0),
    F("ServiceName", 70, 2, STRING, OTO_FIELD_NULLABLE),
    F("ResourceAttributes", 71, 2, MAP, 0),
};
enum {
    TIMESTAMP,
    SEVERITY,
    BODY,
    FLAG,
    VALUE,
    TRACE,
    SPAN,
    ATTRIBUTES,
    LABELS,
    EVENTS,
    COUNT,
    RAW,
    SCOPE,
    SERVICE,
    RESOURCE,
    FIELDS
};
static const struct oto_field *const field_list[FIELDS] = {
    &fields[0],  &fields[1],  &fields[2],  &fields[3],  &fields[4],
    &fields[5],  &fields[6],  &fields[7],  &fields[8],  &fields[9],
    &fields[10], &fields[11], &fields[12], &fields[13], &fields[14]};
static const struct oto_schema schema = {"test", field_list, FIELDS, 3};

static uint32_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

static struct oto_bytes random_text(uint64_t *random, char *room, uint32_t kinds)
{
    uint32_t n = next_random(random) % kinds;
    return oto_bytes(room, n ? (size_t)snprintf(room, 32, "text %u", n) : 0);
}

#define OK(call) assert_int_equal((call), OTO_OK)

static void append_map(struct oto_builder *b, struct oto_column *map, uint64_t *random)
{
    char room[32];
    for (uint32_t n = next_random(random) % 4; n; n--) {
        OK(oto_column_append_bytes(b, &map->children[0], random_text(random, room, 5)));
        OK(oto_column_append_bytes(b, &map->children[1], random_text(random, room, 1000)));
    }
    OK(oto_column_append_end(b, map));
}

// One in four a null.
static int append_null(struct oto_builder *b, struct oto_column *c, uint64_t *random)
{
    if (next_random(random) % 4) {
        OK(oto_column_reserve(b, c, 1));
        return 0;
    }
    OK(oto_column_append_null(b, c));
    return 1;
}

static void append_nests(struct oto_builder *b, uint64_t *random)
{
    struct oto_column *labels = &b->columns[LABELS], *events = &b->columns[EVENTS];
    char room[32];
    append_map(b, &b->columns[ATTRIBUTES], random);
    for (uint32_t n = next_random(random) % 3; n; n--)
        OK(oto_column_append_bytes(b, labels->children, random_text(random, room, 7)));
    OK(oto_column_append_end(b, labels));
    for (uint32_t n = next_random(random) % 3; n; n--) {
        OK(oto_column_reserve(b, &events->children[0], 1));
        oto_column_append_i64(&events->children[0], next_random(random));
        append_map(b, &events->children[1], random);
        if (!append_null(b, &events->children[2], random))
            oto_column_append_i32(&events->children[2], (int32_t)next_random(random));
    }
    OK(oto_column_append_end(b, events));
}

static void append_row(struct oto_builder *b, uint32_t scope, uint64_t *random)
{
    struct oto_column *c = b->columns;
    char room[32];
    uint8_t id[16];
    OK(oto_builder_row(b, scope));
    OK(oto_column_reserve(b, &c[TIMESTAMP], 1));
    oto_column_append_i64(&c[TIMESTAMP], next_random(random));
    if (!append_null(b, &c[SEVERITY], random))
        oto_column_append_i32(&c[SEVERITY], (int32_t)next_random(random));
    if (!append_null(b, &c[BODY], random))
        OK(oto_column_append_bytes(b, &c[BODY], random_text(random, room, 100000)));
    OK(oto_column_reserve(b, &c[FLAG], 1));
    oto_column_append_bool(&c[FLAG], (int)(next_random(random) & 2));
    if (!append_null(b, &c[VALUE], random))
        oto_column_append_double(&c[VALUE], next_random(random));
    for (size_t i = 0; i < sizeof id; i++)
        id[i] = (uint8_t)next_random(random);
    OK(oto_column_append_id(b, &c[TRACE], oto_bytes(id, id[0] & 3 ? 16 : 0)));
    OK(oto_column_append_id(b, &c[SPAN], oto_bytes(id, id[0] & 3 ? 8 : 0)));
    append_nests(b, random);
    if (next_random(random) % 8)
        OK(oto_column_append_null(b, &c[COUNT]));
    else
        OK(oto_column_reserve(b, &c[COUNT], 1)), oto_column_append_i64(&c[COUNT], INT64_MIN);
    OK(oto_column_append_bytes(b, &c[RAW], random_text(random, room, 3)));
}

static void append_request(struct oto_builder *b, uint64_t *random)
{
    char room[32];
    uint32_t resource, scope, rows = next_random(random) % 12;
    int is_new;
    OK(oto_builder_entry(b, 2, random_text(random, room, 300), 0, &resource, &is_new));
    if (is_new) {
        if (!append_null(b, &b->columns[SERVICE], random))
            OK(oto_column_append_bytes(b, &b->columns[SERVICE], random_text(random, room, 20)));
        append_map(b, &b->columns[RESOURCE], random);
    } else {
        next_random(random);
    }
    snprintf(room, sizeof room, "%u/%u", resource, next_random(random) % 3);
    OK(oto_builder_entry(b, 1, oto_bytes_text(room), resource, &scope, &is_new));
    if (is_new)
        OK(oto_column_append_bytes(b, &b->columns[SCOPE], oto_bytes_text(room)));
    while (rows--)
        append_row(b, scope, random);
}

// One number for all that a reader of a view can see.
static uint64_t digest_column(const struct oto_column *c, uint64_t h)
{
    static const size_t widths[] = {1, 4, 8, 8, 8, 4, 4, 16, 8, 0, 0, 0};
    size_t width = widths[c->field->type];
    uint32_t facts[] = {c->field->id, c->field->type, c->field->flags,
                        c->length,    c->null_count,  c->child_count};
    h = oto_hash(facts, sizeof facts, h);
    for (uint32_t i = 0; i < c->length; i++)
        h = h * 31 + (uint64_t)oto_column_valid(c, i);
    if (width)
        h = oto_hash(c->values, c->length * width, h);
    else
        h = oto_hash(c->offsets, (c->length + 1) * sizeof *c->offsets, h);
    if (c->dictionary)
        for (uint32_t i = 0; i < c->dictionary->count; i++)
            h = oto_hash(c->dictionary->entries[i].data, c->dictionary->entries[i].size, h);
    for (uint32_t i = 0; i < c->child_count; i++)
        h = digest_column(&c->children[i], h);
    return h;
}

static uint64_t digest(const struct oto_batch *batch)
{
    uint64_t h = batch->row_count;
    for (uint32_t i = 0; i < batch->schema->level_count; i++) {
        h = h * 31 + batch->levels[i].count;
        if (batch->levels[i].link && batch->levels[i].count)
            h = oto_hash(batch->levels[i].link, batch->levels[i].count * sizeof(uint32_t), h);
    }
    for (uint32_t i = 0; i < batch->schema->field_count; i++)
        h = digest_column(&batch->columns[i], h);
    return h;
}

static uint64_t digest_builder(const struct oto_builder *b)
{
    struct oto_batch batch;
    OK(oto_builder_view(b, &oto_allocator_heap, &batch));
    uint64_t h = digest(&batch);
    oto_batch_release(&batch);
    return h;
}

static void start(struct oto_arena *arena, struct oto_builder *b, uint32_t rows_reserve)
{
    oto_arena_init(arena, &oto_allocator_heap, 1 << 16, SIZE_MAX);
    OK(oto_builder_init(b, &schema, arena, 42, rows_reserve, NULL));
    b->has_windows = 1;
}

// The sequel of a rollback must be as if nothing had been: a second builder is never given what is
// rolled back.
static void rollback_leaves_nothing_behind(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 30; seed++) {
        uint64_t random = seed, same = 0;
        struct oto_arena arena, pure_arena;
        struct oto_builder b, pure;
        start(&arena, &b, (uint32_t)seed);
        start(&pure_arena, &pure, 1000);
        uint32_t *mark = malloc(oto_builder_mark_size(&b));
        for (int request = 0; request < 60; request++) {
            oto_builder_mark(&b, mark);
            uint64_t before = digest_builder(&b), wasted = random + 77;
            for (uint32_t n = next_random(&random) % 4; n; n--)
                append_request(&b, &wasted);
            if (b.columns[BODY].length % 2) // broken off amid a record
                OK(oto_column_append_null(&b, &b.columns[BODY]));
            oto_builder_rollback(&b, mark);
            assert_true(digest_builder(&b) == before);
            same = random;
            append_request(&b, &random);
            append_request(&pure, &same);
            assert_true(same == random);
            assert_true(digest_builder(&b) == digest_builder(&pure));
        }
        assert_true(b.columns[TIMESTAMP].length > 100 && b.columns[BODY].null_count > 10);
        free(mark);
        oto_arena_release(&arena);
        oto_arena_release(&pure_arena);
    }
}

#define VIEWS 200

static void a_view_never_changes(void **state)
{
    (void)state;
    struct oto_arena arena;
    struct oto_builder b;
    struct oto_batch views[VIEWS];
    uint64_t digests[VIEWS], random = 3;
    start(&arena, &b, 4);
    uint32_t *mark = malloc(oto_builder_mark_size(&b));
    for (int i = 0; i < VIEWS; i++) {
        OK(oto_builder_view(&b, &oto_allocator_heap, &views[i]));
        digests[i] = digest(&views[i]);
        oto_builder_mark(&b, mark);
        append_request(&b, &random);
        if (i % 3 == 0)
            oto_builder_rollback(&b, mark);
        append_request(&b, &random);
    }
    for (int i = 0; i < VIEWS; i++) {
        assert_true(digest(&views[i]) == digests[i]);
        oto_batch_release(&views[i]);
    }
    free(mark);
    oto_arena_release(&arena);
}

static void an_empty_view_can_be_read(void **state)
{
    (void)state;
    struct oto_arena arena;
    struct oto_builder b;
    struct oto_batch batch;
    start(&arena, &b, 4);
    OK(oto_builder_view(&b, &oto_allocator_heap, &batch));
    assert_int_equal(batch.row_count, 0);
    assert_int_equal(batch.columns[ATTRIBUTES].offsets[0], 0);
    assert_int_equal(batch.columns[EVENTS].children[1].offsets[0], 0);
    oto_batch_release(&batch);
    oto_batch_release(&batch);
    oto_arena_release(&arena);
}

static void nested_fields_get_their_names_and_ids(void **state)
{
    (void)state;
    struct oto_arena arena;
    struct oto_builder b;
    start(&arena, &b, 4);
    const struct oto_column *map = &b.columns[EVENTS].children[1];
    assert_string_equal(map->children[0].field->name, "key");
    assert_string_equal(map->children[1].field->name, "value");
    assert_int_equal(map->children[0].field->id, 43);
    assert_int_equal(map->children[1].field->id, 44);
    assert_int_equal(map->children[0].field->flags, 0);
    assert_int_equal(map->children[1].field->flags, OTO_FIELD_BLOOM);
    assert_ptr_equal(b.columns[LABELS].children[0].field, &element);
    assert_int_equal(b.columns[RESOURCE].children[1].level, 2);
    oto_arena_release(&arena);
}

static void nulls_are_marked_and_zero(void **state)
{
    (void)state;
    struct oto_arena arena;
    struct oto_builder b;
    start(&arena, &b, 2);
    struct oto_column *body = &b.columns[BODY], *trace = &b.columns[TRACE],
                      *labels = &b.columns[LABELS];
    OK(oto_column_append_null(&b, body));
    assert_int_equal(body->dictionary->count, 1);
    assert_int_equal(body->dictionary->entries[0].size, 0);
    for (int i = 0; i < 20; i++)
        OK(oto_column_append_bytes(&b, body, OTO_BYTES_LITERAL("x")));
    OK(oto_column_append_null(&b, body));
    for (uint32_t i = 0; i < 22; i++) {
        assert_int_equal(oto_column_valid(body, i), i != 0 && i != 21);
        assert_int_equal(((uint32_t *)body->values)[i], i != 0 && i != 21);
    }
    assert_int_equal(body->null_count, 2);
    OK(oto_column_append_id(&b, trace, OTO_BYTES_LITERAL("0123456789abcdef")));
    OK(oto_column_append_id(&b, trace, (struct oto_bytes){NULL, 0}));
    assert_int_equal(oto_column_append_id(&b, trace, OTO_BYTES_LITERAL("01234567")), OTO_INVALID);
    assert_int_equal(trace->length, 2);
    assert_true(oto_column_valid(trace, 0) && !oto_column_valid(trace, 1));
    assert_memory_equal((uint8_t *)trace->values + 16, (uint8_t[16]){0}, 16);
    OK(oto_column_append_bytes(&b, labels->children, OTO_BYTES_LITERAL("one")));
    OK(oto_column_append_end(&b, labels));
    OK(oto_column_append_null(&b, labels));
    assert_true(labels->offsets[0] == 0 && labels->offsets[1] == 1 && labels->offsets[2] == 1);
    oto_arena_release(&arena);
}

static void indices_follow_the_links(void **state)
{
    (void)state;
    struct oto_arena arena;
    struct oto_builder b;
    struct oto_batch batch;
    uint64_t random = 9;
    start(&arena, &b, 4);
    for (int i = 0; i < 50; i++)
        append_request(&b, &random);
    OK(oto_builder_view(&b, &oto_allocator_heap, &batch));
    assert_true(batch.row_count > 100 && batch.levels[1].count > 10 && batch.levels[2].count > 5);
    uint32_t order[3] = {99, 2, 57}, at[3];
    for (uint32_t level = 0; level < 3; level++) {
        oto_batch_level_indices(&batch, level, order, 0, 3, at);
        for (int i = 0; i < 3; i++) {
            uint32_t index = order[i];
            for (uint32_t l = 0; l < level; l++)
                index = batch.levels[l].link[index];
            assert_int_equal(at[i], index);
        }
    }
    oto_batch_level_indices(&batch, 1, NULL, 56, 2, at);
    assert_int_equal(at[1], batch.levels[0].link[57]);
    assert_int_equal(oto_schema_find(&schema, "ServiceName"), SERVICE);
    assert_int_equal(oto_schema_find(&schema, "Service"), -1);
    oto_batch_release(&batch);
    oto_arena_release(&arena);
}

static void many_nulls_are_as_one_by_one(void **state)
{
    (void)state;
    static const int columns[] = {SEVERITY, BODY, VALUE, COUNT};
    for (uint32_t at = 0; at < 4 * 20 * 40; at++) {
        uint32_t before = at / 4 % 20, count = at / 80;
        struct oto_arena arena;
        struct oto_builder b;
        oto_arena_init(&arena, &oto_allocator_heap, 1u << 16, SIZE_MAX);
        OK(oto_builder_init(&b, &schema, &arena, 1, 8, NULL));
        b.has_windows = 1;
        struct oto_column *c = &b.columns[columns[at % 4]];
        for (uint32_t i = 0; i < before; i++)
            if (i % 3 == 0)
                OK(oto_column_append_null(&b, c));
            else
                OK(oto_column_reserve(&b, c, 1)), c->length++;
        uint32_t nulls = c->null_count;
        OK(oto_column_append_nulls(&b, c, count));
        assert_int_equal(c->length, before + count);
        assert_int_equal(c->null_count, nulls + count);
        for (uint32_t i = 0; i < c->length; i++)
            assert_int_equal(oto_column_valid(c, i), i < before && i % 3 != 0);
        for (uint32_t i = c->length; c->validity && i < c->capacity; i++)
            assert_true(c->validity[i >> 3] >> (i & 7) & 1);
        oto_arena_release(&arena);
    }
}

// Whatever allocation fails, the builder can go back to its mark and on from there.
static void no_memory_is_survived(void **state)
{
    (void)state;
    for (size_t limit = 0; limit < 60000; limit += 61) {
        struct oto_arena arena;
        struct oto_builder b;
        uint32_t index, rows = 0;
        int is_new;
        char room[32];
        oto_arena_init(&arena, &oto_allocator_heap, 1 << 13, limit);
        enum oto_status status = oto_builder_init(&b, &schema, &arena, 42, 4, NULL);
        b.has_windows = 1;
        for (uint32_t i = 0; status == OTO_OK; i++) {
            snprintf(room, sizeof room, "%u", i);
            uint32_t entries = b.levels[1].count;
            status = oto_builder_entry(&b, 1, oto_bytes_text(room), 0, &index, &is_new);
            assert_int_equal(b.levels[1].count, b.levels[1].identity.count);
            assert_int_equal(b.levels[1].count, entries + (status == OTO_OK));
            if (status == OTO_OK)
                status = oto_builder_row(&b, index);
            if (status == OTO_OK)
                status = oto_column_append_null(&b, &b.columns[BODY]);
            if (status == OTO_OK)
                status = oto_column_append_bytes(&b, &b.columns[BODY], oto_bytes_text(room));
            if (status == OTO_OK)
                status = oto_column_append_end(&b, &b.columns[ATTRIBUTES]);
            rows += status == OTO_OK;
        }
        assert_int_equal(status, OTO_NO_MEMORY);
        for (uint32_t i = 0; i < rows; i++) {
            assert_false(oto_column_valid(&b.columns[BODY], 2 * i));
            assert_true(oto_column_valid(&b.columns[BODY], 2 * i + 1));
        }
        oto_arena_release(&arena);
    }
}

// --- columns that are zero for long ---

enum { MODEL_ROWS = 6000, MODEL_BYTES = 16 };

// What columns should have: a value's bytes, and whether it is there.
struct model {
    uint8_t bytes[FIELDS][MODEL_ROWS][MODEL_BYTES];
    uint8_t valid[FIELDS][MODEL_ROWS];
};

static void append_value(struct oto_builder *b, uint32_t column, uint32_t row, int value,
                         struct model *m)
{
    struct oto_column *c = &b->columns[column];
    size_t width = oto_field_width(c->field);
    uint8_t *bytes = m->bytes[column][row];
    memset(bytes, 0, MODEL_BYTES);
    m->valid[column][row] = 1;
    if (value)
        memset(bytes, c->field->type == OTO_TYPE_BOOL ? 1 : value, width);
    int is_null = !value && (c->field->flags & OTO_FIELD_NULLABLE || column == TRACE);
    if (is_null && row % 3) {
        OK(oto_column_append_null(b, c));
        m->valid[column][row] = 0;
    } else if (c->dictionary) {
        OK(oto_column_append_bytes(b, c, oto_bytes((const uint8_t *)"xyz", (size_t)value)));
        memset(bytes, 0, MODEL_BYTES);
        memcpy(bytes, (uint32_t *)c->values + row, sizeof(uint32_t));
        assert_true(oto_bytes_equal(c->dictionary->entries[oto_load32(bytes)],
                                    oto_bytes((const uint8_t *)"xyz", (size_t)value)));
    } else if (column == TRACE && value) {
        OK(oto_column_append_id(b, c, oto_bytes(bytes, width)));
    } else {
        OK(oto_column_reserve(b, c, 1));
        memcpy((uint8_t *)c->values + c->length++ * width, bytes, width);
    }
}

// zero: bits of the columns that get zeros.
static void append_model_row(struct oto_builder *b, struct model *m, uint32_t row, uint32_t zero)
{
    OK(oto_builder_row(b, 0));
    for (uint32_t i = 0; i < FIELDS; i++) {
        if (b->columns[i].level)
            continue;
        if (oto_field_width(b->columns[i].field))
            append_value(b, i, row, zero >> i & 1 ? 0 : (int)(1 + row % 3), m);
        else
            OK(oto_column_append_end(b, &b->columns[i]));
    }
}

static void check_model(const struct oto_builder *b, const struct model *m, uint32_t rows)
{
    struct oto_batch view;
    OK(oto_builder_view(b, &oto_allocator_heap, &view));
    assert_int_equal(view.row_count, rows);
    for (uint32_t i = 0; i < FIELDS; i++) {
        const struct oto_column *c = &view.columns[i];
        size_t width = oto_field_width(c->field);
        if (c->level || !width)
            continue;
        assert_int_equal(c->length, rows);
        uint32_t nulls = 0, others = 0;
        for (uint32_t row = 0; row < rows; row++) {
            assert_memory_equal((uint8_t *)c->values + row * width, m->bytes[i][row], width);
            assert_int_equal(oto_column_valid(c, row), m->valid[i][row]);
            nulls += !m->valid[i][row];
            others += memcmp(m->bytes[i][row], (uint8_t[MODEL_BYTES]){0}, MODEL_BYTES) != 0;
        }
        assert_int_equal(c->null_count, nulls);
        assert_true(!oto_column_is_zero(c) || others == 0);
    }
    oto_batch_release(&view);
}

// Columns become other than zero at any row, are rolled back behind it, and go on; views before and
// after show what was appended.
static void zeros_become_arrays_and_are_rolled_back(void **state)
{
    (void)state;
    struct model *m = malloc(sizeof *m);
    for (uint32_t round = 0; round < 12; round++) {
        struct oto_arena arena;
        struct oto_builder b;
        uint64_t random = round + 1;
        start(&arena, &b, round % 2 ? 8 : 1000);
        uint32_t *mark = malloc(oto_builder_mark_size(&b)), rows = 0;
        uint32_t zero = UINT32_MAX;
        for (int step = 0; rows + 700 < MODEL_ROWS && step < 60; step++) {
            uint32_t count = (uint32_t)(next_random(&random) % (step % 5 ? 90 : 600)), kept = rows;
            oto_builder_mark(&b, mark);
            if (next_random(&random) % 4 == 0) // some columns are zero no more
                zero &=
                    (uint32_t)(next_random(&random) | next_random(&random) | next_random(&random));
            uint32_t now = next_random(&random) % 3 ? zero : UINT32_MAX;
            for (uint32_t i = 0; i < count; i++)
                append_model_row(&b, m, rows++, i + 7 > count ? now : UINT32_MAX);
            if (next_random(&random) % 3 == 0) {
                oto_builder_rollback(&b, mark);
                rows = kept;
            } else if (next_random(&random) % 3 == 0) {
                check_model(&b, m, rows);
            }
        }
        check_model(&b, m, rows);
        free(mark);
        oto_arena_release(&arena);
    }
    free(m);
}

// Ten thousand rows of zeros take a window a column and bits of nulls.
static void zeros_take_no_memory(void **state)
{
    (void)state;
    struct oto_arena arena;
    struct oto_builder b;
    struct oto_batch view;
    start(&arena, &b, 16);
    struct oto_column *counts = &b.columns[COUNT], *bodies = &b.columns[BODY];
    for (uint32_t i = 0; i < 100; i++) {
        OK(oto_column_append_nulls(&b, bodies, 100));
        for (uint32_t k = 0; k < 100; k++) {
            OK(oto_column_reserve(&b, counts, 1));
            oto_column_append_i64(counts, 0);
        }
    }
    assert_in_range(arena.used_bytes, 1, 20000);
    OK(oto_builder_view(&b, &oto_allocator_heap, &view));
    assert_true(oto_column_is_zero(&view.columns[COUNT]));
    assert_true(oto_column_is_zero(&view.columns[BODY]));
    assert_int_equal(view.columns[BODY].null_count, 10000);
    for (uint32_t i = 0; i < 10000; i++) {
        assert_int_equal(((const int64_t *)view.columns[COUNT].values)[i], 0);
        assert_int_equal(oto_column_valid(&view.columns[BODY], i), 0);
    }
    OK(oto_column_reserve(&b, counts, 1));
    oto_column_append_i64(counts, 5);
    OK(oto_column_reserve(&b, counts, 1000)); // as those do that write many at once
    assert_int_equal(((const int64_t *)counts->values)[10000], 5);
    assert_int_equal(((const int64_t *)counts->values)[9999], 0);
    assert_true(oto_column_is_zero(&view.columns[COUNT]));
    oto_batch_release(&view);
    oto_arena_release(&arena);
}

// Arrays that no view has seen go when they are outgrown: three quarters of all there ever were.
static void outgrown_arrays_are_given_back_until_a_view_has_them(void **state)
{
    (void)state;
    enum { ROWS = 1 << 16 };
    for (int viewed = 0; viewed < 2; viewed++) {
        struct oto_arena arena;
        struct oto_builder b;
        struct oto_batch view = {0};
        start(&arena, &b, 64);
        struct oto_column *times = &b.columns[TIMESTAMP], *bodies = &b.columns[BODY];
        for (uint32_t i = 0; i < ROWS; i++) {
            char text[16];
            int size = snprintf(text, sizeof text, "%u", i);
            assert_int_equal(oto_column_reserve(&b, times, 1), OTO_OK);
            oto_column_append_i64(times, i);
            assert_int_equal(
                oto_column_append_bytes(&b, bodies, oto_bytes((uint8_t *)text, (size_t)size)),
                OTO_OK);
            if (viewed && i == ROWS / 8)
                assert_int_equal(oto_builder_view(&b, &oto_allocator_heap, &view), OTO_OK);
        }
        size_t times_size = (size_t)times->capacity * 8, codes_size = (size_t)bodies->capacity * 4;
        size_t entries_size = bodies->dictionary->capacity * sizeof *bodies->dictionary->entries;
        size_t arrays = times_size + codes_size + entries_size, texts = (700u << 10);
        if (!viewed)
            assert_in_range(arena.used_bytes, arrays, arrays + texts);
        for (uint32_t i = 0; viewed && i <= ROWS / 8; i++) {
            assert_int_equal(((const int64_t *)view.columns[TIMESTAMP].values)[i], i);
            assert_int_equal(((const uint32_t *)view.columns[BODY].values)[i], i);
        }
        for (uint32_t i = 0; i < ROWS; i++)
            assert_int_equal(((int64_t *)times->values)[i], i);
        if (viewed)
            oto_batch_release(&view);
        oto_arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rollback_leaves_nothing_behind),
        cmocka_unit_test(a_view_never_changes),
        cmocka_unit_test(an_empty_view_can_be_read),
        cmocka_unit_test(nested_fields_get_their_names_and_ids),
        cmocka_unit_test(nulls_are_marked_and_zero),
        cmocka_unit_test(many_nulls_are_as_one_by_one),
        cmocka_unit_test(indices_follow_the_links),
        cmocka_unit_test(no_memory_is_survived),
        cmocka_unit_test(zeros_become_arrays_and_are_rolled_back),
        cmocka_unit_test(zeros_take_no_memory),
        cmocka_unit_test(outgrown_arrays_are_given_back_until_a_view_has_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
