// Single rows of the first row group, looked for and read alone: what is found and read must be
// what reading all rows gave.
#ifndef OTO_FUZZ_PARQUET_PICKS_H
#define OTO_FUZZ_PARQUET_PICKS_H

#include "../tests/unit/otlp/otlp_rows.h"
#include "base/hash.h"
#include "parquet/parquet_pick.h"
#include "query_facts.h"

#define PICKS_MAX 16

struct picks {
    struct oto_parquet_reader *reader;
    const struct oto_schema *schema;
    const struct oto_allocator *allocator;
    const struct oto_builder *all; // rows of the file from its first on
    uint32_t rows;                 // of these, of the first row group
    int is_whole;                  // that is all rows of the group
};

static struct oto_bytes picks_text(const struct oto_column *c, uint32_t i)
{
    return c->dictionary->entries[((const uint32_t *)c->values)[i]];
}

static int picks_has_value(const struct oto_parquet_wish *wish, struct oto_bytes value)
{
    for (size_t i = 0; i < wish->value_count; i++)
        if (oto_bytes_equal(wish->values[i], value))
            return 1;
    return 0;
}

// Of a key that a map has twice the first counts.
static int picks_grants(const struct oto_column *c, uint32_t row,
                        const struct oto_parquet_wish *wish)
{
    if (!oto_column_valid(c, row))
        return 0;
    if (!c->offsets)
        return picks_has_value(wish, picks_text(c, row));
    for (uint32_t i = c->offsets[row]; i < c->offsets[row + 1]; i++)
        if (oto_bytes_equal(picks_text(&c->children[0], i), wish->key))
            return picks_has_value(wish, picks_text(&c->children[1], i));
    return 0;
}

static void picks_find(const struct picks *p, const struct oto_column *c,
                       const struct oto_parquet_wish *wish)
{
    struct oto_buffer found;
    if (!wish->values[0].size || (c->offsets && !wish->key.size))
        return; // a null may have come as empty; that it is none is known where rows are found
    uint32_t rows_max = (uint32_t)p->rows / 2 + 8;
    oto_buffer_init(&found, p->allocator, 1u << 20);
    if (oto_parquet_find_rows(p->reader, 0, wish, rows_max, &found, NULL) == OTO_OK) {
        const uint32_t *rows = (const void *)found.data;
        size_t count = found.size / sizeof(*rows), at = 0;
        if (count > rows_max)
            abort();
        for (uint32_t row = 0; row < p->rows; row++) {
            int is_found = at < count && rows[at] == row;
            if (is_found != picks_grants(c, row, wish))
                abort();
            at += (size_t)is_found;
        }
        if (p->is_whole && at != count)
            abort();
    }
    oto_buffer_release(&found);
}

// A value that some row has, and what the filter says of it.
static void picks_look_for(const struct picks *p, uint32_t node, const struct oto_column *c)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(p->reader);
    uint32_t row = m->nodes[node].name.size ? m->nodes[node].name.data[0] % p->rows : 0;
    struct oto_bytes value;
    int is_map = c->field->type == OTO_TYPE_MAP;
    if (is_map && m->nodes[node].end == node + 4 && c->offsets[row] < c->offsets[row + 1]) {
        uint32_t last = c->offsets[row + 1] - 1;
        value = picks_text(&c->children[1], last);
        struct oto_parquet_wish wish = {m->nodes[node + 3].leaf, m->nodes[node + 2].leaf,
                                        picks_text(&c->children[0], last), &value, 1};
        picks_find(p, c, &wish);
    } else if (!is_map && m->nodes[node].leaf != UINT32_MAX && oto_column_valid(c, row)) {
        value = picks_text(c, row);
        struct oto_parquet_wish wish = {m->nodes[node].leaf, UINT32_MAX, {0}, &value, 1};
        picks_find(p, c, &wish);
    }
}

static void picks_look_for_all(const struct picks *p)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(p->reader);
    for (uint32_t f = 0; f < p->schema->field_count; f++) {
        const struct oto_column *c = &p->all->columns[f];
        if (c->field->type != OTO_TYPE_STRING && c->field->type != OTO_TYPE_MAP)
            continue;
        for (uint32_t i = 1; i < m->nodes[0].end; i = m->nodes[i].end)
            if (oto_bytes_equal_text(m->nodes[i].name, c->field->name)) {
                picks_look_for(p, i, c);
                break;
            }
    }
}

static void picks_ask_filters(const struct picks *p)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(p->reader);
    for (uint32_t leaf = 0; leaf < m->leaf_count; leaf++) {
        uint64_t offset;
        uint32_t bytes;
        if (oto_parquet_bloom_place(p->reader, 0, leaf, &offset, &bytes, NULL) == OTO_OK &&
            (bytes < OTO_PARQUET_BLOOM_BLOCK_BYTES ||
             oto_parquet_bloom_block(UINT64_MAX, bytes) + OTO_PARQUET_BLOOM_BLOCK_BYTES > bytes))
            abort();
    }
}

// Whatever a file says of itself may be wrong, so only that it can be asked.
static void picks_ask_facts(const struct picks *p)
{
    struct oto_bytes value = OTO_BYTES_LITERAL("value");
    struct query_facts *facts = query_facts_make(p->reader);
    for (uint32_t i = 0; facts && i < facts->shape->count; i++) {
        struct oto_bytes name = oto_bytes_text(facts->shape->list[i].name);
        struct query_condition conditions[] = {
            {.column = name, .is_range = 1, .min = -5, .max = 5},
            {.column = name, .values = &value, .value_count = 1},
            {.column = name, .key = value, .values = &value, .value_count = 1},
        };
        struct query_scan scan = {.conditions = conditions, .count = 3};
        uint32_t column;
        (void)query_file_may_match(facts, -1, &scan);
        if (query_facts_filtered(facts, &scan, &column) && column >= facts->shape->count)
            abort();
    }
    query_facts_free(facts);
}

static void picks_read(const struct picks *p)
{
    struct oto_arena arena;
    struct oto_builder builder;
    uint32_t rows[PICKS_MAX], count = 0, step = p->rows;
    for (uint32_t row = step % 3; row < p->rows && count < PICKS_MAX; row += 1 + step % 7) {
        rows[count++] = row;
        step = step * 1664525 + 1013904223;
    }
    oto_arena_init(&arena, p->allocator, 1 << 16, 64u << 20);
    if (oto_parquet_select(p->reader, p->schema, NULL) == OTO_OK &&
        oto_builder_init(&builder, p->schema, &arena, 1, 16, NULL) == OTO_OK &&
        oto_parquet_read_picked(p->reader, 0, rows, count, &builder, NULL) == OTO_OK)
        for (uint32_t f = 0; f < p->schema->field_count; f++)
            for (uint32_t i = 0; i < count; i++)
                if (!rows_same_entry(&p->all->columns[f], rows[i], &builder.columns[f], i, 0))
                    abort();
    oto_arena_release(&arena);
}

// total: rows that reading all gave without a failure.
static void picks_check(struct oto_parquet_reader *reader, const struct oto_schema *schema,
                        const struct oto_allocator *allocator, const struct oto_builder *all,
                        uint32_t total)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    if (!m->group_count || m->groups[0].row_count <= 0)
        return;
    struct picks p = {reader, schema, allocator, all, total, 0};
    if (m->groups[0].row_count <= (int64_t)total) {
        p.rows = (uint32_t)m->groups[0].row_count;
        p.is_whole = 1;
    }
    if (!p.rows)
        return;
    picks_look_for_all(&p);
    picks_ask_filters(&p);
    picks_ask_facts(&p);
    picks_read(&p);
}

#endif
