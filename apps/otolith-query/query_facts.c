#include "query_facts.h"

#include "base/hash.h"
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TYPE_INT32 1
#define TYPE_INT64 2
#define TYPE_BYTE_ARRAY 6
#define BOUND_BYTES_MAX 256 // longer bounds are forgotten
#define TEXTS_BYTES_MAX (1u << 24)

// --- columns ---

uint64_t query_columns_hash(const struct oto_parquet_reader *reader)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    uint64_t hash = 0;
    for (uint32_t i = 1; i < m->node_count; i++) {
        const struct oto_parquet_node *node = &m->nodes[i];
        int32_t facts[] = {node->field_id,     node->physical,  node->repetition,
                           node->logical,      node->time_unit, node->is_utc,
                           node->integer_bits, node->is_signed, (int32_t)node->child_count};
        hash = oto_xxh64(node->name.data, node->name.size, hash);
        hash = oto_xxh64(facts, sizeof(facts), hash);
    }
    return hash;
}

int32_t query_time_id(const struct oto_parquet_reader *reader)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    int32_t id = -1;
    for (uint32_t i = 1; i < m->nodes[0].end; i = m->nodes[i].end) {
        if (m->nodes[i].field_id < 0)
            return -1;
        if (oto_bytes_equal_text(m->nodes[i].name, "Timestamp") ||
            oto_bytes_equal_text(m->nodes[i].name, "TimeUnix"))
            id = m->nodes[i].field_id;
    }
    return id;
}

static int is_plain_number(const struct oto_parquet_node *leaf)
{
    int is_plain = (leaf->logical == 0 && leaf->converted < 0) || leaf->is_signed;
    return is_plain && (leaf->physical == TYPE_INT64 || leaf->physical == TYPE_INT32) &&
           (!leaf->time_unit || leaf->time_unit == 2);
}

// What facts there are about a top-level column, and the node of the leaf that they are about.
static enum query_column_kind kind_of(const struct oto_parquet_metadata *m, uint32_t column,
                                      uint32_t *ret_leaf)
{
    const struct oto_parquet_node *node = &m->nodes[column];
    int is_map = node->end == column + 4 && m->nodes[column + 1].child_count == 2 &&
                 oto_bytes_equal_text(m->nodes[column + 3].name, "value");
    *ret_leaf = is_map ? column + 3 : column;
    int is_text = m->nodes[*ret_leaf].physical == TYPE_BYTE_ARRAY;
    if (is_map)
        return is_text ? QUERY_COLUMN_MAP : QUERY_COLUMN_OTHER;
    if (node->child_count)
        return QUERY_COLUMN_OTHER;
    return is_text                 ? QUERY_COLUMN_TEXT
           : is_plain_number(node) ? QUERY_COLUMN_NUMBERS
                                   : QUERY_COLUMN_OTHER;
}

static void free_shape(struct query_shape *shape)
{
    for (uint32_t i = 0; shape && i < shape->count; i++)
        free(shape->list[i].name);
    if (shape)
        free(shape->list);
    free(shape);
}

// Names end at a zero here: a column whose name has one is no column that a query can name.
static int fill_shape(struct query_shape *shape, const struct oto_parquet_reader *reader)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    shape->columns = query_columns_hash(reader);
    shape->time_id = query_time_id(reader);
    shape->users = 1;
    shape->list = calloc(m->node_count, sizeof(*shape->list));
    for (uint32_t i = 1, leaf; shape->list && i < m->nodes[0].end; i = m->nodes[i].end) {
        struct query_shape_column *column = &shape->list[shape->count];
        if (memchr(m->nodes[i].name.data, 0, m->nodes[i].name.size))
            continue;
        column->kind = (uint8_t)kind_of(m, i, &leaf);
        column->leaf = m->nodes[leaf].leaf;
        column->name = oto_bytes_copy_text(&oto_allocator_heap, m->nodes[i].name);
        if (!column->name)
            return 0;
        shape->count++;
    }
    return shape->list != NULL;
}

static void let_go_shape(struct query_shape *shape)
{
    if (shape && --shape->users == 0)
        free_shape(shape);
}

static struct query_shape *make_shape(const struct oto_parquet_reader *reader)
{
    struct query_shape *shape = calloc(1, sizeof(*shape));
    if (shape && fill_shape(shape, reader))
        return shape;
    free_shape(shape);
    return NULL;
}

// --- facts ---

static enum oto_status take_bound(struct query_facts *facts, struct oto_bytes bound,
                                  uint32_t *ret_at, uint16_t *ret_size, uint8_t *ret_has)
{
    if (!bound.data || bound.size > BOUND_BYTES_MAX)
        return OTO_OK;
    *ret_at = (uint32_t)facts->texts.size;
    *ret_size = (uint16_t)bound.size;
    *ret_has = 1;
    return oto_buffer_append(&facts->texts, bound.data, bound.size);
}

static void take_numbers(struct query_fact *fact, const struct oto_parquet_statistics *s,
                         int is_wide)
{
    size_t width = is_wide ? 8 : 4;
    fact->min = INT64_MIN;
    fact->max = INT64_MAX;
    if (!s->min.data || !s->max.data || s->min.size != width || s->max.size != width)
        return;
    fact->min = is_wide ? (int64_t)oto_load64(s->min.data) : (int32_t)oto_load32(s->min.data);
    fact->max = is_wide ? (int64_t)oto_load64(s->max.data) : (int32_t)oto_load32(s->max.data);
}

static enum oto_status take_fact(struct query_facts *facts, struct oto_parquet_reader *reader,
                                 uint32_t group, const struct query_shape_column *column,
                                 struct query_fact *fact)
{
    if (column->kind == QUERY_COLUMN_OTHER)
        return OTO_OK;
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    const struct oto_parquet_chunk_info *chunk = &m->groups[group].chunks[column->leaf];
    uint64_t end;
    if (column->kind == QUERY_COLUMN_NUMBERS) {
        int is_wide = m->nodes[m->leaves[column->leaf]].physical == TYPE_INT64;
        take_numbers(fact, &chunk->statistics, is_wide);
        return OTO_OK;
    }
    if (oto_parquet_chunk_range(reader, group, column->leaf, &fact->chunk_offset, &end, NULL) ==
            OTO_OK &&
        end - fact->chunk_offset <= UINT32_MAX)
        fact->chunk_bytes = (uint32_t)(end - fact->chunk_offset);
    if (oto_parquet_bloom_place(reader, group, column->leaf, &fact->bloom_offset,
                                &fact->bloom_bytes, NULL) != OTO_OK)
        fact->bloom_bytes = 0;
    OTO_TRY(take_bound(facts, chunk->statistics.min, &fact->least_at, &fact->least_size,
                       &fact->has_least));
    return take_bound(facts, chunk->statistics.max, &fact->greatest_at, &fact->greatest_size,
                      &fact->has_greatest);
}

struct query_facts *query_facts_make(struct oto_parquet_reader *reader)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    struct query_facts *facts = calloc(1, sizeof(*facts));
    if (!facts)
        return NULL;
    oto_buffer_init(&facts->texts, &oto_allocator_heap, TEXTS_BYTES_MAX);
    facts->footer_bytes = m->footer_bytes;
    facts->group_count = m->group_count;
    facts->shape = make_shape(reader);
    size_t columns = facts->shape ? facts->shape->count : 0;
    facts->list = calloc(m->group_count * columns + 1, sizeof(*facts->list));
    enum oto_status status = facts->shape && facts->list ? OTO_OK : OTO_NO_MEMORY;
    for (uint32_t group = 0; group < m->group_count; group++)
        for (size_t i = 0; i < columns && status == OTO_OK; i++)
            status = take_fact(facts, reader, group, &facts->shape->list[i],
                               &facts->list[group * columns + i]);
    if (status == OTO_OK)
        return facts;
    query_facts_free(facts);
    return NULL;
}

void query_facts_free(struct query_facts *facts)
{
    if (!facts)
        return;
    let_go_shape(facts->shape);
    oto_buffer_release(&facts->texts);
    free(facts->list);
    free(facts);
}

size_t query_facts_bytes(const struct query_facts *facts)
{
    return sizeof(*facts) + facts->texts.capacity +
           (size_t)facts->group_count * facts->shape->count * sizeof(*facts->list);
}

int query_facts_share(struct query_facts *facts, struct query_shape *shape)
{
    const struct query_shape *own = facts->shape;
    if (own->columns != shape->columns || own->count != shape->count)
        return 0;
    for (uint32_t i = 0; i < own->count; i++)
        if (own->list[i].leaf != shape->list[i].leaf || own->list[i].kind != shape->list[i].kind ||
            strcmp(own->list[i].name, shape->list[i].name) != 0)
            return 0;
    let_go_shape(facts->shape);
    shape->users++;
    facts->shape = shape;
    return 1;
}

// --- conditions ---

// The column that a condition is about; the shape's count: facts tell nothing of it.
static uint32_t column_of(const struct query_shape *shape, const struct query_condition *c)
{
    uint32_t i = 0;
    while (i < shape->count && !oto_bytes_equal_text(c->column, shape->list[i].name))
        i++;
    enum query_column_kind wanted = c->is_range   ? QUERY_COLUMN_NUMBERS
                                    : c->key.data ? QUERY_COLUMN_MAP
                                                  : QUERY_COLUMN_TEXT;
    return i < shape->count && shape->list[i].kind == wanted ? i : shape->count;
}

const struct query_condition *query_facts_filtered(const struct query_facts *facts,
                                                   const struct query_scan *scan,
                                                   uint32_t *ret_column)
{
    for (size_t i = 0; i < scan->count && facts->group_count; i++) {
        const struct query_condition *c = &scan->conditions[i];
        uint32_t column = *ret_column = column_of(facts->shape, c);
        if (column < facts->shape->count && query_fact_of(facts, 0, column)->bloom_bytes)
            return c;
    }
    return NULL;
}

static int compare(struct oto_bytes a, struct oto_bytes b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

uint64_t query_fact_block(const struct query_fact *fact, struct oto_bytes value, uint64_t *ret_hash)
{
    *ret_hash = oto_xxh64(value.data, value.size, 0);
    return fact->bloom_offset + oto_parquet_bloom_block(*ret_hash, fact->bloom_bytes);
}

static int value_may_match(const struct query_facts *facts, int fd, const struct query_fact *fact,
                           struct oto_bytes value)
{
    const uint8_t *texts = facts->texts.data;
    uint8_t block[OTO_PARQUET_BLOOM_BLOCK_BYTES];
    if (fact->has_least && compare(value, oto_bytes(texts + fact->least_at, fact->least_size)) < 0)
        return 0;
    if (fact->has_greatest &&
        compare(value, oto_bytes(texts + fact->greatest_at, fact->greatest_size)) > 0)
        return 0;
    if (!fact->bloom_bytes)
        return 1;
    uint64_t hash, at = query_fact_block(fact, value, &hash);
    return pread(fd, block, sizeof(block), (off_t)at) != (ssize_t)sizeof(block) ||
           oto_parquet_bloom_has(block, hash);
}

static int condition_may_match(const struct query_facts *facts, int fd, uint32_t group,
                               const struct query_condition *c)
{
    uint32_t column = column_of(facts->shape, c);
    if (column == facts->shape->count)
        return 1;
    const struct query_fact *fact = query_fact_of(facts, group, column);
    if (c->is_range)
        return fact->min <= c->max && fact->max >= c->min;
    for (size_t i = 0; i < c->value_count; i++)
        if (value_may_match(facts, fd, fact, c->values[i]))
            return 1;
    return 0;
}

int query_group_may_match(const struct query_facts *facts, int fd, uint32_t group,
                          const struct query_scan *scan)
{
    for (size_t i = 0; i < scan->count; i++)
        if (!condition_may_match(facts, fd, group, &scan->conditions[i]))
            return 0;
    return 1;
}

int query_file_may_match(const struct query_facts *facts, int fd, const struct query_scan *scan)
{
    for (uint32_t i = 0; i < facts->group_count; i++)
        if (query_group_may_match(facts, fd, i, scan))
            return 1;
    return 0;
}
