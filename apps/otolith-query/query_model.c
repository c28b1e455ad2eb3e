// Tables without rows: what columns they have, known without opening a file, and views over them by
// which queries are planned (query_plan.h).
#include "query_files.h"
#include "query_rows.h"
#include "telemetry/tables.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

// --- columns ---

struct columns {
    struct query_model *model;
    const struct oto_parquet_metadata *metadata;
    uint32_t node; // of the next column
};

static enum oto_status write_field(struct oto_buffer *sql, struct oto_bytes name,
                                   struct oto_bytes type)
{
    OTO_TRY(oto_buffer_append_format(sql, "{name: "));
    OTO_TRY(query_append_quoted(sql, name, '\''));
    OTO_TRY(oto_buffer_append_format(sql, ", type: "));
    OTO_TRY(query_append_quoted(sql, type, '\''));
    OTO_TRY(oto_buffer_append_format(sql, ", default_value: NULL}"));
    return oto_buffer_append_byte(sql, 0);
}

static enum oto_status add_column(struct columns *c, struct oto_bytes name, struct oto_bytes type)
{
    static const char *const times[] = {"Timestamp", "TimeUnix"};
    struct query_field *field = &c->model->fields[c->model->field_count];
    struct oto_buffer sql;
    if (c->node >= c->metadata->node_count ||
        !oto_bytes_equal(c->metadata->nodes[c->node].name, name) ||
        c->metadata->nodes[c->node].field_id < 0)
        return OTO_INVALID;
    oto_buffer_init(&sql, &oto_allocator_heap, 1 << 20);
    OTO_TRY(write_field(&sql, name, type));
    field->sql = (char *)sql.data;
    field->id = c->metadata->nodes[c->node].field_id;
    field->name = oto_bytes_copy_text(&oto_allocator_heap, name);
    if (!field->name)
        return OTO_NO_MEMORY;
    c->model->field_count++;
    c->node = c->metadata->nodes[c->node].end;
    for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++)
        if (oto_bytes_equal_text(name, times[i]))
            c->model->time_name = times[i];
    return OTO_OK;
}

static struct oto_bytes text_at(duckdb_data_chunk chunk, idx_t column, idx_t row)
{
    duckdb_string_t *texts = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, column));
    return oto_bytes(duckdb_string_t_data(&texts[row]), duckdb_string_t_length(texts[row]));
}

// Names and types as DuckDB says them, field ids as the file does.
static enum oto_status describe(struct columns *c, duckdb_connection connection, const char *path)
{
    char sql[160];
    duckdb_result result;
    duckdb_data_chunk chunk;
    (void)snprintf(sql, sizeof(sql),
                   "DESCRIBE SELECT * FROM read_parquet('%s', hive_partitioning=false)", path);
    enum oto_status status =
        duckdb_query(connection, sql, &result) == DuckDBError ? OTO_INVALID : OTO_OK;
    while (status == OTO_OK && (chunk = duckdb_fetch_chunk(result))) {
        for (idx_t i = 0; i < duckdb_data_chunk_get_size(chunk) && status == OTO_OK; i++)
            status = add_column(c, text_at(chunk, 0, i), text_at(chunk, 1, i));
        duckdb_destroy_data_chunk(&chunk);
    }
    duckdb_destroy_result(&result);
    return status;
}

// --- the same as a schema ---

static int table_named(const char *name)
{
    int table = 0;
    while (table < OTO_TABLE_COUNT && strcmp(oto_table_name((enum oto_table)table), name) != 0)
        table++;
    return table;
}

// A column's name stands for the attribute that it was made from: it gives the same name again.
// Without an id, columns of that name are taken whatever theirs is.
static enum oto_status list_promotions(const struct oto_parquet_metadata *m, int by_id,
                                       struct oto_promotion *promotions, size_t *ret_count)
{
    *ret_count = 0;
    for (uint32_t i = 1; i < m->nodes[0].end; i = m->nodes[i].end) {
        if (m->nodes[i].field_id < OTO_FIELD_ID_CONFIGURED || m->nodes[i].field_id > UINT16_MAX)
            continue;
        char *name = oto_bytes_copy_text(&oto_allocator_heap, m->nodes[i].name);
        if (!name)
            return OTO_NO_MEMORY;
        promotions[(*ret_count)++] = (struct oto_promotion){
            .attribute = name, .field_id = by_id ? (uint16_t)m->nodes[i].field_id : 0};
    }
    return OTO_OK;
}

static int has_all_columns(const struct oto_schema *schema, const struct oto_parquet_metadata *m)
{
    for (uint32_t i = 1; i < m->nodes[0].end; i = m->nodes[i].end) {
        int found = 0;
        for (uint32_t k = 0; k < schema->field_count && !found; k++)
            found = oto_bytes_equal_text(m->nodes[i].name, schema->fields[k]->name);
        if (!found)
            return 0;
    }
    return 1;
}

// Names of promotions live as long as the process.
static void make_schema(struct query_model *model, const char *name,
                        const struct oto_parquet_metadata *m)
{
    int table = table_named(name);
    size_t count = 0;
    struct oto_promotion *promotions = calloc(m->node_count + 1, sizeof(*promotions));
    if (promotions && table < OTO_TABLE_COUNT &&
        list_promotions(m, model->by_id, promotions, &count) == OTO_OK)
        model->schemas = oto_schemas_new_flat(&oto_allocator_heap, promotions, count, NULL);
    if (model->schemas)
        model->schema = oto_schemas_table(model->schemas, (enum oto_table)table);
    if (model->schema && !has_all_columns(model->schema, m))
        model->schema = NULL;
    free(promotions);
}

// Names and types as the schema says them: what DuckDB would say, without asking it.
static enum oto_status describe_schema(struct columns *c)
{
    const struct oto_schema *schema = c->model->schema;
    enum oto_status status = OTO_OK;
    while (c->node < c->metadata->node_count && status == OTO_OK) {
        const struct oto_field *field = NULL;
        struct oto_buffer type;
        for (uint32_t i = 0; i < schema->field_count; i++)
            if (oto_bytes_equal_text(c->metadata->nodes[c->node].name, schema->fields[i]->name))
                field = schema->fields[i];
        if (!field)
            return OTO_INVALID;
        oto_buffer_init(&type, &oto_allocator_heap, 1u << 16);
        status = query_type_write(field, &type);
        if (status == OTO_OK)
            status = add_column(c, oto_bytes_text(field->name), oto_buffer_view(&type));
        oto_buffer_release(&type);
        if (status == OTO_OK)
            c->model->fields[c->model->field_count - 1].type = query_type_new(field);
        if (status == OTO_OK && !c->model->fields[c->model->field_count - 1].type)
            status = OTO_NO_MEMORY;
    }
    c->model->is_typed = status == OTO_OK;
    return status;
}

// --- which of them are named ---

int query_model_has(const struct query_model *model, const char *name)
{
    for (size_t i = 0; i < model->field_count; i++)
        if (strcmp(model->fields[i].name, name) == 0)
            return model->fields[i].is_named;
    return model->fd < 0;
}

int query_model_needs(const struct query_model *model, const char *name)
{
    for (size_t i = 0; i < model->field_count; i++)
        if (strcmp(model->fields[i].name, name) == 0)
            return model->fields[i].is_named && !model->fields[i].is_spare;
    return model->fd < 0;
}

// The time is always there: a view needs one column at least.
void query_model_mark(struct query_model *model, const struct query_names *names)
{
    int has_end = query_names_have(names, "EndTimeUnixNano");
    int has_nanoseconds = has_end || query_names_have(names, "TimeUnixNano");
    for (size_t i = 0; i < model->field_count; i++) {
        const char *name = model->fields[i].name;
        int is_time =
            model->time_name && strncmp(name, model->time_name, strlen(model->time_name)) == 0;
        const char *rest = is_time ? name + strlen(model->time_name) : name;
        model->fields[i].is_named = query_names_have(names, name) || (is_time && !*rest) ||
                                    (has_nanoseconds && strcmp(rest, "NanoOfMicro") == 0) ||
                                    (has_end && strcmp(name, "Duration") == 0);
        model->fields[i].is_spare =
            is_time && !*rest && !has_nanoseconds && !query_names_have(names, name);
    }
}

// --- the view for planning ---

enum oto_status query_append_fields(struct oto_buffer *sql, const struct query_model *model)
{
    size_t count = 0;
    for (size_t i = 0; i < model->field_count; i++) {
        if (!model->fields[i].is_named)
            continue;
        OTO_TRY(oto_buffer_append(sql, ",", count++ ? 1 : 0));
        OTO_TRY(query_append_quoted(sql, oto_bytes_text(model->fields[i].name), '"'));
    }
    return OTO_OK;
}

// Two files, so that DuckDB takes no statistics of rows from them.
static enum oto_status write_model(const struct query_views *views, size_t table,
                                   struct oto_buffer *sql)
{
    const struct query_model *model = &views->models[table];
    OTO_TRY(oto_buffer_append_format(sql,
                                     "read_parquet(['%s', '%s'], hive_partitioning=false) WHERE ",
                                     model->path, model->path));
    return oto_buffer_append_format(sql, QUERY_PLAN_MARK_FORMAT, model->time_name,
                                    QUERY_PLAN_MARK + table);
}

// A view within a view takes DuckDB a quarter of a millisecond: only files are too long to repeat.
enum oto_status query_ground_write(const struct query_views *views, size_t table,
                                   enum query_ground ground, struct oto_buffer *sql)
{
    if (ground == QUERY_OVER_ROWS)
        return oto_buffer_append_format(sql, "oto_rows(%zu)", table);
    if (ground == QUERY_OVER_MODELS && views->models[table].time_name)
        return write_model(views, table, sql);
    return oto_buffer_append_format(sql, "%s", views->settings->tables[table]);
}

enum oto_status query_model_write(const struct query_views *views, size_t table,
                                  enum query_ground ground, struct oto_buffer *sql)
{
    OTO_TRY(oto_buffer_append_format(sql, "CREATE OR REPLACE VIEW "));
    OTO_TRY(query_append_quoted(sql, oto_bytes_text(views->settings->tables[table]), '"'));
    OTO_TRY(oto_buffer_append_format(sql, " AS SELECT "));
    OTO_TRY(query_append_fields(sql, &views->models[table]));
    OTO_TRY(oto_buffer_append_format(sql, " FROM "));
    OTO_TRY(query_ground_write(views, table, ground, sql));
    return oto_buffer_append_byte(sql, 0);
}

// --- taking one ---

static void forget_fields(struct query_model *model)
{
    for (size_t i = 0; model->fields && i < model->field_count; i++) {
        free(model->fields[i].name);
        free(model->fields[i].sql);
        duckdb_destroy_logical_type(&model->fields[i].type);
    }
    free(model->fields);
    model->fields = NULL;
    model->field_count = 0;
}

static enum oto_status learn(struct query_model *model, struct query_views *views,
                             struct query_database *db, const char *table_name)
{
    struct oto_parquet_reader *reader = query_reader_open(views->known->codec, &model->fd);
    if (!reader)
        return OTO_INVALID;
    struct columns c = {.model = model, .metadata = oto_parquet_metadata_of(reader), .node = 1};
    model->fields = calloc(c.metadata->node_count, sizeof(*model->fields));
    enum oto_status status = model->fields ? OTO_OK : OTO_NO_MEMORY;
    model->columns = query_columns_hash(reader);
    model->time_id = query_time_id(reader);
    make_schema(model, table_name, c.metadata);
    if (status == OTO_OK)
        status = model->schema ? describe_schema(&c) : describe(&c, db->own, model->path);
    oto_parquet_close(reader);
    return status;
}

enum oto_status query_model_take(struct query_views *views, struct query_database *db,
                                 const struct oto_query_file *file, struct oto_error *err)
{
    size_t table = file->table;
    struct query_model *model = &views->models[table];
    model->by_id = file->by_id;
    model->fd = fcntl(file->fd, F_DUPFD_CLOEXEC, 10);
    if (model->fd < 0)
        return oto_error_set(err, OTO_NO_MEMORY, "no descriptor for an empty table");
    (void)snprintf(model->path, sizeof(model->path), "/proc/self/fd/%d", model->fd);
    enum oto_status status = learn(model, views, db, views->settings->tables[table]);
    if (status < 0) // then every file is opened
        (void)fprintf(stderr, "otolith-query: the columns of %s are not understood\n",
                      views->settings->tables[table]);
    if (status < 0) {
        close(model->fd);
        model->fd = -1;
        forget_fields(model);
    }
    return OTO_OK;
}
