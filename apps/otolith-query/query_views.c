// The tables as views over the files of a request. Files in memory are known to DuckDB as
// /proc/self/fd/N, with the same N from one request to the next, so that a view whose text did not
// change need not be made again.
#include "query_files.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_DESCRIPTOR 500
#define MEMORY_FILES_MAX 256 // made for a query
#define LOOKS_MAX 16         // files that a query opens only to learn their columns

enum oto_status query_views_init(struct query_views *views, const struct query_settings *settings)
{
    views->settings = settings;
    views->sql = calloc(settings->table_count + 1, sizeof(*views->sql));
    views->models = calloc(settings->table_count + 1, sizeof(*views->models));
    views->footers = calloc(1, sizeof(*views->footers));
    views->constants = calloc(settings->table_count + 1, sizeof(*views->constants));
    if (!views->sql || !views->models || !views->footers || !views->constants)
        return OTO_NO_MEMORY;
    for (size_t i = 0; i < settings->table_count; i++) {
        views->models[i].fd = -1;
        oto_buffer_init(&views->constants[i], &oto_allocator_heap, 1u << 20);
    }
    return query_footers_init(views->footers);
}

// --- views for people ---

#define NANOSECONDS(column) "TRY(epoch_us(" column ") * 1000 + coalesce(" column "NanoOfMicro, 0))"
// The rest of the columns but for those that only serve to give OTLP back as it was.
#define OTHERS(named)                                                                              \
    "COLUMNS(c -> NOT regexp_matches(c, "                                                          \
    "'(Types|BodyType|NanoOfMicro|SchemaUrl|DroppedAttrCount|DroppedCount|EntityRefs)$') "         \
    "AND c NOT IN (" named "))"
#define METRICS(kind)                                                                              \
    "SELECT TimeUnix, ServiceName, MetricName, '" kind                                             \
    "' AS MetricType, MetricUnit, Attributes, " NANOSECONDS(                                       \
        "TimeUnix") " AS TimeUnixNano, " OTHERS("'TimeUnix', 'ServiceName', 'MetricName', "        \
                                                "'MetricUnit', 'Attributes'") " FROM "             \
                                                                              "otel_metrics_" kind
#define AND_METRICS(kind) " UNION ALL BY NAME " METRICS(kind)

static const struct {
    const char *tables; // all whose names begin so have to be there
    const char *sql;
} people_views[] = {
    {"otel_logs",
     "CREATE OR REPLACE VIEW logs AS SELECT Timestamp, ServiceName, SeverityText, Body, "
     "LogAttributes, TraceId, SpanId, "
     "SeverityNumber, EventName, ResourceAttributes, ScopeName, " NANOSECONDS(
         "Timestamp") " AS TimeUnixNano, " OTHERS("'Timestamp', 'ServiceName', 'SeverityText', "
                                                  "'Body', 'LogAttributes', 'TraceId', "
                                                  "'SpanId', 'SeverityNumber', "
                                                  "'EventName', 'ResourceAttributes', "
                                                  "'ScopeName'") " FROM otel_logs"},
    {"otel_traces",
     "CREATE OR REPLACE VIEW traces AS SELECT Timestamp, ServiceName, SpanName, SpanKind, "
     "Duration, StatusCode, "
     "StatusMessage, TraceId, SpanId, ParentSpanId, SpanAttributes, ResourceAttributes, "
     "ScopeName, Events, Links, " NANOSECONDS("Timestamp") " AS TimeUnixNano, TRY(" NANOSECONDS(
         "Timestamp") " + Duration) AS EndTimeUnixNano, " OTHERS("'Timestamp', 'ServiceName', "
                                                                 "'SpanName', 'SpanKind', "
                                                                 "'Duration', 'StatusCode', "
                                                                 "'StatusMessage', 'TraceId', "
                                                                 "'SpanId', 'ParentSpanId', "
                                                                 "'SpanAttributes', "
                                                                 "'ResourceAttributes', "
                                                                 "'ScopeName', 'Events', "
                                                                 "'Links'") " FROM "
                                                                            "otel_traces"},
    {"otel_metrics_",
     "CREATE OR REPLACE VIEW metrics AS " METRICS("gauge") AND_METRICS("sum")
         AND_METRICS("histogram") AND_METRICS("exponential_histogram") AND_METRICS("summary")},
};

// Whether the query needs the tables that a view stands on.
static int are_wanted(const struct query_settings *settings, const uint8_t *wanted,
                      const char *tables)
{
    int found = 0;
    for (size_t i = 0; i < settings->table_count; i++) {
        if (strncmp(settings->tables[i], tables, strlen(tables)) != 0)
            continue;
        if (!wanted[i])
            return 0;
        found = 1;
    }
    return found;
}

enum oto_status query_append_quoted(struct oto_buffer *sql, struct oto_bytes text, char quote)
{
    OTO_TRY(oto_buffer_append_byte(sql, (uint8_t)quote));
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == (uint8_t)quote)
            OTO_TRY(oto_buffer_append_byte(sql, (uint8_t)quote));
        OTO_TRY(oto_buffer_append_byte(sql, text.data[i]));
    }
    return oto_buffer_append_byte(sql, (uint8_t)quote);
}

// --- the request's files ---

// Moves a descriptor to where views look for it; no other file has its number while it is open.
static enum oto_status place_descriptor(struct query_file *file, int *descriptor,
                                        struct oto_error *err)
{
    char name[40];
    int placed = fcntl(*descriptor, F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR);
    if (placed < 0)
        return oto_error_set(err, OTO_TOO_LARGE,
                             "so many files in memory are more than the query process can open");
    close(*descriptor);
    *descriptor = -1;
    file->info.fd = placed;
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", placed);
    file->info.path = strdup(name);
    return file->info.path ? OTO_OK : OTO_NO_MEMORY;
}

static enum oto_status add_file(struct query_views *views, const struct oto_query_file *info,
                                struct oto_bytes path, struct query_request *request,
                                size_t *next_descriptor, struct oto_error *err)
{
    struct query_file *file = &views->files[views->file_count];
    *file = (struct query_file){.info = *info};
    if (info->table >= views->settings->table_count)
        return OTO_INVALID;
    views->file_count++;
    if (path.size) {
        file->info.path = oto_bytes_copy_text(&oto_allocator_heap, path);
        return file->info.path ? OTO_OK : OTO_NO_MEMORY;
    }
    if (*next_descriptor >= request->descriptor_count)
        return OTO_INVALID;
    return place_descriptor(file, &request->descriptors[(*next_descriptor)++], err);
}

static enum oto_status add_files(struct query_views *views, struct query_request *request,
                                 struct oto_error *err)
{
    struct oto_bytes files = request->view.files, path;
    struct oto_query_file info;
    size_t next_descriptor = 0, count = 0;
    enum oto_status status;
    while ((status = oto_query_file_next(&files, &info, &path)) == OTO_OK) {
        if (count++ == request->view.file_count)
            return OTO_INVALID;
        OTO_TRY(add_file(views, &info, path, request, &next_descriptor, err));
    }
    return status < 0 ? status : OTO_OK;
}

enum oto_status query_views_take(struct query_views *views, struct query_database *db,
                                 struct query_request *request, const uint8_t *wanted,
                                 struct oto_error *err)
{
    if (request->view.file_count > request->view.files.size)
        return oto_error_set(err, OTO_INTERNAL, "the request's list of files is broken");
    views->file_count = 0;
    views->file_capacity = (size_t)request->view.file_count + MEMORY_FILES_MAX;
    views->files = calloc(views->file_capacity, sizeof(*views->files));
    if (!views->files)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    oto_error_init(err);
    enum oto_status status = add_files(views, request, err);
    if (status < 0 && err->status == OTO_OK)
        oto_error_set(err, status, "the request's list of files is broken");
    for (size_t i = 0; i < views->file_count && status == OTO_OK; i++) {
        const struct oto_query_file *file = &views->files[i].info;
        if (file->is_model && wanted[file->table] && views->models[file->table].fd < 0)
            status = query_model_take(views, db, file->table, file->fd, err);
    }
    if (status == OTO_OK)
        query_views_make_for_people(views, db->plan, wanted, &views->planned);
    return status;
}

enum oto_status query_views_add_memory(struct query_views *views, uint32_t table, int fd)
{
    if (views->file_count == views->file_capacity)
        return OTO_TOO_LARGE;
    struct query_file *file = &views->files[views->file_count];
    *file = (struct query_file){.info = {.table = table, .fd = -1}, .has_picked = 1};
    enum oto_status status = place_descriptor(file, &fd, NULL);
    views->file_count += status == OTO_OK;
    if (status < 0 && file->info.fd >= 0)
        close(file->info.fd);
    return status;
}

void query_views_let_go(struct query_views *views)
{
    for (size_t i = 0; i < views->file_count; i++) {
        if (views->files[i].info.fd >= 0)
            close(views->files[i].info.fd);
        free((char *)(uintptr_t)views->files[i].info.path);
    }
    free(views->files);
    views->files = NULL;
    views->file_count = 0;
    for (size_t i = 0; i < views->settings->table_count; i++)
        views->constants[i].size = 0;
    query_pick_let_go(views);
}

// --- a table's view ---

// Which of a table's files are meant.
enum part { ROWS, PICKED, MODELS };

static int is_listed(const struct query_views *views, const struct query_file *file, size_t table,
                     enum part part)
{
    if (file->info.table != table || file->is_dropped)
        return 0;
    if (views->models[table].fd < 0)
        return part == ROWS;
    return part == (file->info.is_model ? MODELS : file->has_picked ? PICKED : ROWS);
}

static int has_part(const struct query_views *views, size_t table, enum part part)
{
    for (size_t i = 0; i < views->file_count; i++)
        if (is_listed(views, &views->files[i], table, part))
            return 1;
    return 0;
}

// Whether all files have the columns of the model, as far as a few looks can tell.
static int have_same_columns(struct query_views *views, size_t table, enum part part)
{
    unsigned looks = 0;
    for (size_t i = 0; i < views->file_count; i++) {
        struct query_file *file = &views->files[i];
        if (part == MODELS || !is_listed(views, file, table, part))
            continue;
        if (!file->columns && ++looks <= LOOKS_MAX)
            file->columns = query_file_columns(views->footers, file);
        if (file->columns != views->models[table].columns)
            return 0;
    }
    return 1;
}

// Without a model, all files are opened to learn the columns. With one none is, but where all have
// the same columns saying so takes DuckDB longer than looking at the first file.
static enum oto_status write_part(struct query_views *views, size_t table, enum part part,
                                  struct oto_buffer *sql)
{
    const struct query_model *model = &views->models[table];
    size_t count = 0;
    OTO_TRY(oto_buffer_append_format(sql, "SELECT *"));
    if (part == PICKED && views->constants[table].size) {
        OTO_TRY(oto_buffer_append_format(sql, " REPLACE ("));
        OTO_TRY(oto_buffer_append(sql, views->constants[table].data, views->constants[table].size));
        OTO_TRY(oto_buffer_append_format(sql, ")"));
    }
    OTO_TRY(oto_buffer_append_format(sql, " FROM read_parquet(["));
    for (size_t i = 0; i < views->file_count; i++) {
        if (!is_listed(views, &views->files[i], table, part))
            continue;
        OTO_TRY(oto_buffer_append(sql, ",", count++ ? 1 : 0));
        OTO_TRY(query_append_quoted(sql, oto_bytes_text(views->files[i].info.path), '\''));
    }
    if (model->fd < 0)
        OTO_TRY(oto_buffer_append_format(sql, "], union_by_name=true"));
    else if (part != PICKED && have_same_columns(views, table, part))
        OTO_TRY(oto_buffer_append_format(sql, "]"));
    else
        OTO_TRY(oto_buffer_append_format(sql, "], schema=%s", model->columns_sql));
    return oto_buffer_append_format(sql, ", hive_partitioning=false)");
}

static enum oto_status write_view(struct query_views *views, size_t table, struct oto_buffer *sql)
{
    int has_rows = has_part(views, table, ROWS), has_picked = has_part(views, table, PICKED);
    OTO_TRY(oto_buffer_append_format(sql, "CREATE OR REPLACE VIEW "));
    OTO_TRY(query_append_quoted(sql, oto_bytes_text(views->settings->tables[table]), '"'));
    OTO_TRY(oto_buffer_append_format(sql, " AS "));
    if (!has_rows && !has_picked)
        OTO_TRY(write_part(views, table, views->models[table].fd < 0 ? ROWS : MODELS, sql));
    if (has_picked) // first: a query with LIMIT may need no more
        OTO_TRY(write_part(views, table, PICKED, sql));
    if (has_rows && has_picked)
        OTO_TRY(oto_buffer_append_format(sql, " UNION ALL "));
    if (has_rows)
        OTO_TRY(write_part(views, table, ROWS, sql));
    return oto_buffer_append_byte(sql, 0);
}

static enum oto_status make_view(struct query_views *views, struct query_database *db, size_t table,
                                 const char *sql, struct oto_error *err)
{
    if (views->sql[table] && strcmp(views->sql[table], sql) == 0)
        return OTO_OK;
    char *kept = strdup(sql);
    if (!kept)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    enum oto_status status = query_database_run(db->own, sql, err);
    if (status < 0) {
        free(kept);
        oto_error_context(err, "the files of %s", views->settings->tables[table]);
        return status == OTO_INVALID ? OTO_CORRUPT : status;
    }
    free(views->sql[table]);
    views->sql[table] = kept;
    return OTO_OK;
}

void query_views_make_for_people(const struct query_views *views, duckdb_connection connection,
                                 const uint8_t *wanted, uint32_t *made)
{
    struct oto_error err;
    for (size_t i = 0; i < sizeof(people_views) / sizeof(people_views[0]); i++) {
        if (*made >> i & 1 || !are_wanted(views->settings, wanted, people_views[i].tables))
            continue;
        *made |= 1u << i;
        if (query_database_run(connection, people_views[i].sql, &err) < 0)
            (void)fprintf(stderr, "otolith-query: a view over %s: %s\n", people_views[i].tables,
                          err.message);
    }
}

static enum oto_status update_view(struct query_views *views, struct query_database *db,
                                   size_t table, struct oto_error *err)
{
    struct oto_buffer sql;
    oto_buffer_init(&sql, &oto_allocator_heap, 2 * OTO_QUERY_REQUEST_MAX);
    enum oto_status status = write_view(views, table, &sql);
    if (status < 0)
        oto_error_set(err, status, "no memory for the list of files");
    else
        status = make_view(views, db, table, (const char *)sql.data, err);
    oto_buffer_release(&sql);
    return status;
}

enum oto_status query_views_update(struct query_views *views, struct query_database *db,
                                   const uint8_t *wanted, struct oto_error *err)
{
    for (size_t i = 0; i < views->settings->table_count; i++)
        if (wanted[i])
            OTO_TRY(update_view(views, db, i, err));
    query_views_make_for_people(views, db->own, wanted, &views->made);
    return OTO_OK;
}
