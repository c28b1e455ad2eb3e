// The tables as views over the files of a request. Files in memory are known to DuckDB as
// /proc/self/fd/N, with the same N from one request to the next, so that a view whose text did not
// change need not be made again.
#include "query_process.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FIRST_DESCRIPTOR 500

enum oto_status query_views_init(struct query_views *views, const struct query_settings *settings)
{
    views->settings = settings;
    views->sql = calloc(settings->table_count + 1, sizeof(*views->sql));
    return views->sql ? OTO_OK : OTO_NO_MEMORY;
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
    const char *table; // has to be there
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
    {"otel_metrics_summary",
     "CREATE OR REPLACE VIEW metrics AS " METRICS("gauge") AND_METRICS("sum")
         AND_METRICS("histogram") AND_METRICS("exponential_histogram") AND_METRICS("summary")},
};

static int has_table(const struct query_settings *settings, const char *name)
{
    for (size_t i = 0; i < settings->table_count; i++)
        if (strcmp(settings->tables[i], name) == 0)
            return 1;
    return 0;
}

// --- a table's view ---

static enum oto_status append_quoted(struct oto_buffer *sql, struct oto_bytes text, char quote)
{
    OTO_TRY(oto_buffer_append_byte(sql, (uint8_t)quote));
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == (uint8_t)quote)
            OTO_TRY(oto_buffer_append_byte(sql, (uint8_t)quote));
        OTO_TRY(oto_buffer_append_byte(sql, text.data[i]));
    }
    return oto_buffer_append_byte(sql, (uint8_t)quote);
}

// Moves the request's descriptors to where the views look for them.
static enum oto_status place_descriptors(struct query_views *views, struct query_request *request,
                                         struct oto_error *err)
{
    for (size_t i = 0; i < request->descriptor_count; i++) {
        int placed = fcntl(request->descriptors[i], F_DUPFD_CLOEXEC, FIRST_DESCRIPTOR);
        if (placed < 0)
            return oto_error_set(err, OTO_TOO_LARGE,
                                 "%zu files in memory are more than the query process can open",
                                 request->descriptor_count);
        close(request->descriptors[i]);
        request->descriptors[i] = placed;
    }
    views->held = request->descriptors;
    views->held_count = request->descriptor_count;
    request->descriptors = NULL;
    request->descriptor_count = 0;
    return OTO_OK;
}

void query_views_let_go(struct query_views *views)
{
    for (size_t i = 0; i < views->held_count; i++)
        close(views->held[i]);
    free(views->held);
    views->held = NULL;
    views->held_count = 0;
}

static enum oto_status write_file(struct query_views *views, struct oto_bytes path,
                                  size_t *next_descriptor, struct oto_buffer *sql)
{
    char name[40];
    if (path.size == 0) {
        if (*next_descriptor >= views->held_count)
            return OTO_INVALID;
        (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", views->held[(*next_descriptor)++]);
        path = oto_bytes_text(name);
    }
    OTO_TRY(oto_buffer_append(sql, ",", sql->data[sql->size - 1] == '[' ? 0 : 1));
    return append_quoted(sql, path, '\'');
}

// One buffer a table: the text of its view.
static enum oto_status write_views(struct query_views *views, const struct query_request *request,
                                   struct oto_buffer *sql)
{
    struct oto_bytes files = request->view.files, path;
    size_t next_descriptor = 0;
    uint32_t table;
    enum oto_status status;
    for (size_t i = 0; i < views->settings->table_count; i++) {
        OTO_TRY(oto_buffer_append_format(&sql[i], "CREATE OR REPLACE VIEW "));
        OTO_TRY(append_quoted(&sql[i], oto_bytes_text(views->settings->tables[i]), '"'));
        OTO_TRY(oto_buffer_append_format(&sql[i], " AS SELECT * FROM read_parquet(["));
    }
    while ((status = oto_query_file_next(&files, &table, &path)) == OTO_OK) {
        if (table >= views->settings->table_count)
            return OTO_INVALID;
        OTO_TRY(write_file(views, path, &next_descriptor, &sql[table]));
    }
    OTO_TRY(status);
    for (size_t i = 0; i < views->settings->table_count; i++) {
        OTO_TRY(
            oto_buffer_append_format(&sql[i], "], union_by_name=true, hive_partitioning=false)"));
        OTO_TRY(oto_buffer_append_byte(&sql[i], 0));
    }
    return OTO_OK;
}

static enum oto_status make_view(struct query_views *views, struct query_database *db, size_t table,
                                 const char *sql, struct oto_error *err)
{
    if (views->sql[table] && strcmp(views->sql[table], sql) == 0)
        return OTO_OK;
    char *kept = strdup(sql);
    if (!kept)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    enum oto_status status = query_database_run(db, sql, err);
    if (status < 0) {
        free(kept);
        oto_error_context(err, "the files of %s", views->settings->tables[table]);
        return status == OTO_INVALID ? OTO_CORRUPT : status;
    }
    free(views->sql[table]);
    views->sql[table] = kept;
    return OTO_OK;
}

static void make_people_views(const struct query_views *views, struct query_database *db)
{
    struct oto_error err;
    for (size_t i = 0; i < sizeof(people_views) / sizeof(people_views[0]); i++)
        if (has_table(views->settings, people_views[i].table) &&
            query_database_run(db, people_views[i].sql, &err) < 0)
            (void)fprintf(stderr, "otolith-query: a view over %s: %s\n", people_views[i].table,
                          err.message);
}

static enum oto_status make_views(struct query_views *views, struct query_database *db,
                                  const struct oto_buffer *sql, const uint8_t *wanted,
                                  struct oto_error *err)
{
    for (size_t i = 0; i < views->settings->table_count; i++)
        if (!views->made || wanted[i])
            OTO_TRY(make_view(views, db, i, (const char *)sql[i].data, err));
    if (!views->made)
        make_people_views(views, db);
    views->made = 1;
    return OTO_OK;
}

enum oto_status query_views_update(struct query_views *views, struct query_database *db,
                                   struct query_request *request, const uint8_t *wanted,
                                   struct oto_error *err)
{
    OTO_TRY(place_descriptors(views, request, err));
    size_t count = views->settings->table_count;
    struct oto_buffer *sql = calloc(count + 1, sizeof(*sql));
    if (!sql)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    for (size_t i = 0; i < count; i++)
        oto_buffer_init(&sql[i], &oto_allocator_heap, 2 * OTO_QUERY_REQUEST_MAX);
    enum oto_status status = write_views(views, request, sql);
    if (status < 0)
        oto_error_set(err, OTO_INTERNAL, "the request's list of files is broken");
    else
        status = make_views(views, db, sql, wanted, err);
    for (size_t i = 0; i < count; i++)
        oto_buffer_release(&sql[i]);
    free(sql);
    return status;
}
