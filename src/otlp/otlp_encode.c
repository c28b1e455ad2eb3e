// The encoder's life, and a request: rows in groups of what they share.
#include "otlp/otlp_encode.h"
#include "otlp/otlp_encode_internal.h"
#include "telemetry/tables.h"

#define CLOSING_BYTES (4 * OTO_OTLP_GROUPS_MAX) // lengths of open groups, beyond a byte each

static const char *const column_names[AT_COUNT_OF_COLUMNS] = {
#define OTO_OTLP_COLUMN(id, name) [AT_##id] = name,
#include "otlp/otlp_columns.inc"
};

static const struct {
    enum oto_otlp_sink_name sink;
    const char *parent;
    const char *map;
    const char *types;
} maps[] = {
#define OTO_OTLP_MAP(id, parent, map, types) {OTO_OTLP_SINK_##id, parent, map, types},
#include "otlp/otlp_columns.inc"
};

// What rows of a group share, beside its map: columns up to one that is AT_COUNT_OF_COLUMNS.
static const struct {
    enum oto_otlp_sink_name map;
    enum oto_otlp_column columns[6];
} groups[] = {
    {OTO_OTLP_SINK_RESOURCE,
     {AT_RESOURCE_SCHEMA_URL, AT_RESOURCE_DROPPED, AT_RESOURCE_ENTITY_REFS, AT_COUNT_OF_COLUMNS}},
    {OTO_OTLP_SINK_SCOPE,
     {AT_SCOPE_NAME, AT_SCOPE_VERSION, AT_SCOPE_SCHEMA_URL, AT_SCOPE_DROPPED, AT_COUNT_OF_COLUMNS}},
    {OTO_OTLP_SINK_METADATA,
     {AT_METRIC_NAME, AT_METRIC_DESCRIPTION, AT_METRIC_UNIT, AT_TEMPORALITY, AT_MONOTONIC,
      AT_COUNT_OF_COLUMNS}},
};

// --- making an encoder ---

struct oto_otlp_encoder *oto_otlp_encoder_new(const struct oto_allocator *allocator)
{
    struct oto_otlp_encoder *e = oto_alloc(allocator, sizeof *e);
    if (!e)
        return NULL;
    memset(e, 0, sizeof *e);
    e->allocator = allocator;
    oto_buffer_init(&e->scratch, allocator, SIZE_MAX);
    return e;
}

void oto_otlp_encoder_free(struct oto_otlp_encoder *e)
{
    if (!e)
        return;
    oto_buffer_release(&e->scratch);
    oto_free(e->allocator, e, sizeof *e);
}

void oto_otlp_encode_limits_default(struct oto_otlp_encode_limits *limits)
{
    *limits = (struct oto_otlp_encode_limits){.rows_max = 8192, .bytes_max = 4u << 20};
}

// --- the columns of a batch ---

static const struct oto_column *find(const struct oto_batch *batch, const char *name)
{
    int at = oto_schema_find(batch->schema, name);
    return at < 0 ? NULL : &batch->columns[at];
}

static void bind(struct oto_otlp_encoder *e, enum oto_table table, const struct oto_batch *batch)
{
    e->table = table;
    e->batch = batch;
    memset(e->maps, 0, sizeof e->maps);
    for (int i = 0; i < AT_COUNT_OF_COLUMNS; i++)
        e->columns[i] = find(batch, column_names[i]);
    for (size_t i = 0; i < sizeof maps / sizeof maps[0]; i++) {
        const struct oto_column *parent = maps[i].parent ? find(batch, maps[i].parent) : NULL;
        const struct oto_column *map =
            maps[i].parent ? oto_otlp_part(parent, maps[i].map) : find(batch, maps[i].map);
        if (map)
            e->maps[maps[i].sink] = (struct oto_otlp_map_columns){
                maps[i].map, map,
                maps[i].parent ? oto_otlp_part(parent, maps[i].types) : find(batch, maps[i].types)};
    }
}

static void enter_row(struct oto_otlp_encoder *e, uint32_t row)
{
    memcpy(e->previous, e->entry, sizeof e->entry);
    e->row = row;
    e->entry[0] = row;
    for (uint32_t level = 0; level + 1 < e->batch->schema->level_count; level++)
        e->entry[level + 1] = e->batch->levels[level].link[e->entry[level]];
}

// --- messages ---

enum oto_status oto_otlp_open(struct oto_buffer *b, uint32_t field, size_t *ret_mark)
{
    OTO_TRY(oto_pb_write_varint(b, OTO_PB_TAG(field, OTO_PB_BYTES)));
    OTO_TRY(oto_buffer_append_byte(b, 0));
    *ret_mark = b->size;
    return OTO_OK;
}

// A length takes one byte, most often; a longer one moves the message.
enum oto_status oto_otlp_close(struct oto_buffer *b, size_t mark)
{
    size_t size = b->size - mark, width = 1;
    for (size_t rest = size >> 7; rest; rest >>= 7)
        width++;
    OTO_TRY(oto_buffer_reserve(b, width - 1));
    uint8_t *at = b->data + mark - 1;
    if (width > 1)
        memmove(at + width, at + 1, size);
    b->size += width - 1;
    for (; size >= 0x80; size >>= 7)
        *at++ = (uint8_t)(size | 0x80);
    *at = (uint8_t)size;
    return OTO_OK;
}

static enum oto_status group_open(struct oto_otlp_encoder *e, uint32_t field)
{
    OTO_TRY(oto_otlp_open(e->output, field, &e->groups[e->group_count]));
    e->group_count++;
    return OTO_OK;
}

static enum oto_status groups_close(struct oto_otlp_encoder *e, uint32_t kept)
{
    while (e->group_count > kept) {
        OTO_TRY(oto_otlp_close(e->output, e->groups[e->group_count - 1]));
        e->group_count--;
    }
    return OTO_OK;
}

// --- what rows share ---

static int same_text(const struct oto_column *c, uint32_t a, uint32_t b)
{
    const uint32_t *codes = c->values;
    return codes[a] == codes[b] ||
           oto_bytes_equal(c->dictionary->entries[codes[a]], c->dictionary->entries[codes[b]]);
}

static int same_map(const struct oto_column *c, uint32_t a, uint32_t b)
{
    uint32_t i = c->offsets[a], k = c->offsets[b], count = c->offsets[a + 1] - i;
    if (count != c->offsets[b + 1] - k)
        return 0;
    for (; count; count--, i++, k++)
        if (!same_text(&c->children[0], i, k) || !same_text(&c->children[1], i, k))
            return 0;
    return 1;
}

// Columns of a group: texts, integers and maps.
static int same(const struct oto_otlp_encoder *e, const struct oto_column *c)
{
    if (!c)
        return 1;
    uint32_t a = e->previous[c->level], b = e->entry[c->level];
    if (a == b)
        return 1;
    if (c->field->type == OTO_TYPE_MAP)
        return same_map(c, a, b);
    if (oto_column_valid(c, a) != oto_column_valid(c, b))
        return 0;
    if (!oto_column_valid(c, a))
        return 1;
    return c->field->type == OTO_TYPE_STRING ? same_text(c, a, b)
                                             : oto_otlp_get_int(c, a) == oto_otlp_get_int(c, b);
}

static int same_group(const struct oto_otlp_encoder *e, uint32_t group)
{
    const struct oto_otlp_map_columns *map = &e->maps[groups[group].map];
    for (const enum oto_otlp_column *at = groups[group].columns; *at != AT_COUNT_OF_COLUMNS; at++)
        if (!same(e, e->columns[*at]))
            return 0;
    return same(e, map->map) && same(e, map->types);
}

// --- resource, scope, metric ---

// Whether OTLP had a resource or scope at all: says the column of types, or else what there is of
// it.
static int is_present(const struct oto_otlp_encoder *e, enum oto_otlp_sink_name name, int has_more)
{
    const struct oto_column *map = e->maps[name].map, *types = e->maps[name].types;
    uint32_t index = map ? oto_otlp_entry(e, map) : 0;
    if (has_more || (map && map->offsets[index] != map->offsets[index + 1]))
        return 1;
    return types && oto_column_valid(types, oto_otlp_entry(e, types));
}

static enum oto_status put_map(struct oto_otlp_encoder *e, uint32_t field,
                               enum oto_otlp_sink_name name)
{
    const struct oto_column *map = e->maps[name].map;
    return map ? oto_otlp_encode_map(e, field, name, oto_otlp_entry(e, map)) : OTO_OK;
}

// ResourceLogs{1 resource, 2 scope groups, 3 schema_url}, Resource{1 attributes, 2 dropped, 3
// entity_refs}
static enum oto_status resource_open(struct oto_otlp_encoder *e)
{
    struct oto_bytes refs = oto_otlp_row_text(e, AT_RESOURCE_ENTITY_REFS);
    int64_t dropped = oto_otlp_row_int(e, AT_RESOURCE_DROPPED);
    size_t mark;
    OTO_TRY(group_open(e, 1));
    OTO_TRY(oto_otlp_put_bytes(e->output, 3, oto_otlp_row_text(e, AT_RESOURCE_SCHEMA_URL)));
    if (!is_present(e, OTO_OTLP_SINK_RESOURCE, dropped || refs.size))
        return OTO_OK;
    OTO_TRY(oto_otlp_open(e->output, 1, &mark));
    OTO_TRY(put_map(e, 1, OTO_OTLP_SINK_RESOURCE));
    OTO_TRY(oto_otlp_put_uint(e->output, 2, oto_otlp_narrow(e, dropped)));
    OTO_TRY(refs.size ? oto_otlp_encode_entity_refs(e, 3, refs) : OTO_OK);
    return oto_otlp_close(e->output, mark);
}

// ScopeLogs{1 scope, 2 items, 3 schema_url}, InstrumentationScope{1 name, 2 version, 3 attributes,
// 4 dropped}
static enum oto_status scope_open(struct oto_otlp_encoder *e)
{
    struct oto_bytes name = oto_otlp_row_text(e, AT_SCOPE_NAME);
    struct oto_bytes version = oto_otlp_row_text(e, AT_SCOPE_VERSION);
    int64_t dropped = oto_otlp_row_int(e, AT_SCOPE_DROPPED);
    size_t mark;
    OTO_TRY(group_open(e, 2));
    OTO_TRY(oto_otlp_put_bytes(e->output, 3, oto_otlp_row_text(e, AT_SCOPE_SCHEMA_URL)));
    if (!is_present(e, OTO_OTLP_SINK_SCOPE, dropped || name.size || version.size))
        return OTO_OK;
    OTO_TRY(oto_otlp_open(e->output, 1, &mark));
    OTO_TRY(oto_otlp_put_bytes(e->output, 1, name));
    OTO_TRY(oto_otlp_put_bytes(e->output, 2, version));
    OTO_TRY(put_map(e, 3, OTO_OTLP_SINK_SCOPE));
    OTO_TRY(oto_otlp_put_uint(e->output, 4, oto_otlp_narrow(e, dropped)));
    return oto_otlp_close(e->output, mark);
}

// Metric{1 name, 2 description, 3 unit, 5 7 9 10 11 data, 12 metadata}, Sum{1 points, 2
// aggregation_temporality, 3 is_monotonic}
static enum oto_status metric_open(struct oto_otlp_encoder *e)
{
    static const uint32_t kinds[OTO_TABLE_COUNT] = {[OTO_TABLE_GAUGE] = 5,
                                                    [OTO_TABLE_SUM] = 7,
                                                    [OTO_TABLE_HISTOGRAM] = 9,
                                                    [OTO_TABLE_EXPONENTIAL_HISTOGRAM] = 10,
                                                    [OTO_TABLE_SUMMARY] = 11};
    OTO_TRY(group_open(e, 2));
    OTO_TRY(oto_otlp_put_bytes(e->output, 1, oto_otlp_row_text(e, AT_METRIC_NAME)));
    OTO_TRY(oto_otlp_put_bytes(e->output, 2, oto_otlp_row_text(e, AT_METRIC_DESCRIPTION)));
    OTO_TRY(oto_otlp_put_bytes(e->output, 3, oto_otlp_row_text(e, AT_METRIC_UNIT)));
    OTO_TRY(put_map(e, 12, OTO_OTLP_SINK_METADATA));
    OTO_TRY(group_open(e, kinds[e->table]));
    OTO_TRY(oto_otlp_put_int(e->output, 2, oto_otlp_row_int(e, AT_TEMPORALITY)));
    return oto_otlp_put_uint(e->output, 3, (uint64_t)oto_otlp_row_int(e, AT_MONOTONIC));
}

// --- a request ---

static uint32_t depth_of(const struct oto_otlp_encoder *e)
{
    return oto_table_signal(e->table) == OTO_SIGNAL_METRICS ? 3 : 2;
}

// Messages that are open with `shared` groups: a metric is two.
static uint32_t messages_of(uint32_t shared)
{
    return shared == 3 ? 4 : shared;
}

static enum oto_status item(struct oto_otlp_encoder *e)
{
    switch (e->table) {
    case OTO_TABLE_LOGS:
        return oto_otlp_encode_log(e);
    case OTO_TABLE_TRACES:
        return oto_otlp_encode_span(e);
    default:
        return oto_otlp_encode_point(e);
    }
}

// Closes the groups that the row is no member of.
static enum oto_status leave_groups(struct oto_otlp_encoder *e)
{
    uint32_t shared = 0;
    while (shared < e->shared && same_group(e, shared))
        shared++;
    e->shared = shared;
    return groups_close(e, messages_of(shared));
}

static enum oto_status row_write(struct oto_otlp_encoder *e)
{
    static enum oto_status (*const open[])(struct oto_otlp_encoder *) = {resource_open, scope_open,
                                                                         metric_open};
    for (uint32_t depth = depth_of(e); e->shared < depth; e->shared++)
        OTO_TRY(open[e->shared](e));
    OTO_TRY(item(e));
    return e->beyond ? oto_otlp_name_beyond(e) : OTO_OK;
}

static enum oto_status rows_write(struct oto_otlp_encoder *e, const uint32_t *order, uint32_t first,
                                  uint32_t count, const struct oto_otlp_encode_limits *limits,
                                  uint32_t *ret_rows)
{
    size_t start = e->output->size, bytes_max = limits->bytes_max;
    uint32_t rows = 0;
    for (; rows < count && rows < limits->rows_max; rows++) {
        enter_row(e, order ? order[first + rows] : first + rows);
        OTO_TRY(leave_groups(e));
        size_t before = e->output->size;
        uint32_t open = e->group_count;
        OTO_TRY(row_write(e));
        if (rows && e->output->size - start + CLOSING_BYTES > bytes_max) {
            e->output->size = before;
            e->group_count = open;
            break;
        }
    }
    *ret_rows = rows;
    return groups_close(e, 0);
}

static enum oto_status describe(const struct oto_otlp_encoder *e, enum oto_status status,
                                struct oto_error *err)
{
    if (status == OTO_TOO_LARGE)
        return oto_error_set(err, status, "the request is larger than allowed");
    if (status == OTO_NO_MEMORY)
        return oto_error_set(err, status, "no memory for the request");
    return oto_error_set(err, status, "row %u, column %s: %s", e->row, e->column,
                         e->problem ? e->problem : "malformed");
}

enum oto_status oto_otlp_encode(struct oto_otlp_encoder *e, enum oto_table table,
                                const struct oto_batch *batch, const uint32_t *order,
                                uint32_t first, uint32_t count,
                                const struct oto_otlp_encode_limits *limits,
                                struct oto_buffer *output, uint32_t *ret_rows,
                                struct oto_error *err)
{
    size_t before = output->size;
    bind(e, table, batch);
    e->output = output;
    e->group_count = e->shared = 0;
    e->beyond = 0;
    e->column = e->problem = NULL;
    enum oto_status status = rows_write(e, order, first, count, limits, ret_rows);
    if (status == OTO_OK)
        return OTO_OK;
    output->size = before;
    return describe(e, status, err);
}
