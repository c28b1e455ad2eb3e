// A Parquet file's rows as OTLP requests.
#include "convert/convert_internal.h"

#define ROWS_AT_ONCE 4096u
#define ARENA_BLOCK_BYTES ((size_t)1 << 20)
#define FIELD_ID_CONFIGURED 10000 // promoted by configuration: the attributes are in the maps too

// The table that a file has the columns of.
static enum oto_status table_of(const struct oto_parquet_reader *reader, enum oto_table *ret_table,
                                struct oto_error *err)
{
    static const struct {
        const char *column;
        enum oto_table table;
    } marks[] = {
        {"LogAttributes", OTO_TABLE_LOGS},       {"SeverityNumber", OTO_TABLE_LOGS},
        {"SpanAttributes", OTO_TABLE_TRACES},    {"SpanName", OTO_TABLE_TRACES},
        {"ValueAtQuantiles", OTO_TABLE_SUMMARY}, {"Scale", OTO_TABLE_EXPONENTIAL_HISTOGRAM},
        {"ExplicitBounds", OTO_TABLE_HISTOGRAM}, {"IsMonotonic", OTO_TABLE_SUM},
        {"MetricName", OTO_TABLE_GAUGE},
    };
    for (size_t i = 0; i < sizeof marks / sizeof marks[0]; i++)
        if (oto_parquet_has_column(reader, marks[i].column)) {
            *ret_table = marks[i].table;
            return OTO_OK;
        }
    return oto_error_set(err, OTO_INVALID,
                         "no table of telemetry: it has none of the columns LogAttributes, "
                         "SpanAttributes, MetricName");
}

// "Events.Name": ClickHouse writes lists of structs as a list a part.
static int is_part(const struct oto_field *field, struct oto_bytes name)
{
    size_t size = strlen(field->name);
    if (name.size <= size || memcmp(name.data, field->name, size) != 0 || name.data[size] != '.')
        return 0;
    for (uint32_t i = 0; i < field->child_count; i++)
        if (oto_bytes_equal_text(oto_bytes(name.data + size + 1, name.size - size - 1),
                                 field->children[i].name))
            return 1;
    return 0;
}

static int is_known(const struct oto_schema *schema, const struct oto_parquet_node *node)
{
    if (node->field_id >= FIELD_ID_CONFIGURED)
        return 1;
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (oto_bytes_equal_text(node->name, schema->fields[i]->name) ||
            is_part(schema->fields[i], node->name))
            return 1;
    return 0;
}

// Columns of a foreign file that OTLP has no place for are not lost in silence.
static void note_unknown(const struct oto_convert_table *t, const struct oto_schema *schema)
{
    const struct oto_parquet_metadata *about = oto_parquet_metadata_of(t->reader);
    char names[200];
    size_t size = 0;
    for (uint32_t i = 1; i < about->node_count; i++) {
        const struct oto_parquet_node *node = &about->nodes[i];
        if (node->parent != 0 || is_known(schema, node))
            continue;
        size_t more = node->name.size + (size ? 2 : 0);
        if (size + more + 6 > sizeof names) {
            memcpy(names + size, ", …", sizeof ", …" - 1);
            size += sizeof ", …" - 1;
            break;
        }
        memcpy(names + size, ", ", size ? 2 : 0);
        memcpy(names + size + (size ? 2 : 0), node->name.data, node->name.size);
        size += more;
    }
    if (size)
        oto_convert_note(t->c, "%s: columns not taken: %.*s", t->input.name, (int)size, names);
}

static enum oto_status read_at(void *state, uint64_t offset, void *output, size_t size,
                               struct oto_error *err)
{
    return oto_input_read_at(state, offset, output, size, err);
}

static enum oto_status prepare(struct oto_convert_table *t, struct oto_error *err)
{
    struct oto_parquet_read_options options;
    oto_parquet_read_options_default(&options);
    options.page_bytes_max = OTO_PARQUET_PAGE_BYTES_MAX; // what we write of large messages, too
    if (!t->input.is_regular)
        OTO_TRY(oto_input_spool(&t->input, err));
    t->source = (struct oto_source){read_at, &t->input, t->input.size_bytes};
    OTO_TRY(
        oto_parquet_open(&t->source, &options, t->c->codec, &oto_allocator_heap, &t->reader, err));
    OTO_TRY(table_of(t->reader, &t->table, err));
    OTO_TRY(oto_convert_signal(t->c, oto_table_signal(t->table), err));
    const struct oto_schema *schema = oto_schemas_table(t->c->flat, t->table);
    note_unknown(t, schema);
    OTO_TRY(oto_parquet_select(t->reader, schema, err));
    t->rows_total = (uint64_t)oto_parquet_metadata_of(t->reader)->row_count;
    t->encoder = oto_otlp_encoder_new(&oto_allocator_heap);
    return t->encoder ? OTO_OK : oto_error_set(err, OTO_NO_MEMORY, "no memory to read a table");
}

enum oto_status oto_convert_table_open(struct oto_convert_table *t, struct oto_convert *c,
                                       struct oto_input input, struct oto_error *err)
{
    *t = (struct oto_convert_table){.c = c, .input = input};
    oto_arena_init(&t->arena, &oto_allocator_heap, ARENA_BLOCK_BYTES, SIZE_MAX);
    oto_buffer_init(&t->message, &oto_allocator_heap, OTO_CONVERT_FORCED_MAX);
    return prepare(t, err);
}

static void rows_drop(struct oto_convert_table *t)
{
    oto_batch_release(&t->batch);
    oto_arena_reset(&t->arena);
    t->row = 0;
}

void oto_convert_table_close(struct oto_convert_table *t)
{
    rows_drop(t);
    oto_otlp_encoder_free(t->encoder);
    oto_parquet_close(t->reader);
    oto_buffer_release(&t->message);
    oto_arena_release(&t->arena);
    oto_input_close(&t->input);
}

static void show(struct oto_convert_table *t, uint32_t rows)
{
    t->rows_done += rows;
    uint64_t done =
        t->rows_total
            ? (uint64_t)((double)t->input.size_bytes * (double)t->rows_done / (double)t->rows_total)
            : t->input.size_bytes;
    oto_convert_advance(t->c, done > t->bytes_done ? done - t->bytes_done : 0);
    t->bytes_done = done;
}

static enum oto_status rows_read(struct oto_convert_table *t, struct oto_error *err)
{
    const struct oto_schema *schema = oto_schemas_table(t->c->flat, t->table);
    uint32_t rows = 0;
    rows_drop(t);
    OTO_TRY(oto_builder_init(&t->builder, schema, &t->arena, 0, ROWS_AT_ONCE, err));
    enum oto_status status = oto_parquet_read(t->reader, &t->builder, ROWS_AT_ONCE, &rows, err);
    if (status != OTO_OK)
        return status;
    show(t, rows);
    status = oto_builder_view(&t->builder, &oto_allocator_heap, &t->batch);
    return status < 0 ? oto_error_set(err, status, "no memory to read a table") : OTO_OK;
}

enum oto_status oto_convert_table_next(struct oto_convert_table *t, struct oto_bytes *ret_message,
                                       struct oto_error *err)
{
    struct oto_otlp_encode_limits limits;
    uint32_t rows = 0;
    while (t->row == t->batch.row_count) {
        enum oto_status status = rows_read(t, err);
        if (status != OTO_OK)
            return status;
    }
    oto_otlp_encode_limits_default(&limits);
    t->message.size = 0;
    enum oto_status status =
        oto_otlp_encode(t->encoder, t->table, &t->batch, NULL, t->row, t->batch.row_count - t->row,
                        &limits, &t->message, &rows, err);
    if (status < 0) {
        oto_error_context(err, "of the rows from %llu on",
                          (unsigned long long)(t->rows_done - t->batch.row_count));
        return status;
    }
    t->row += rows;
    *ret_message = oto_buffer_view(&t->message);
    return OTO_OK;
}
