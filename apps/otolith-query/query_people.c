// The views for people: logs, traces and metrics, over the tables.
#include "query_process.h"

#include "telemetry/tables.h"

struct people_view {
    const char *name;
    const char *tables; // all whose names begin so have to be there
    const char *time;
    int has_end;             // a time and a duration make one
    const char *const *lead; // columns that come first
};

static const char *const log_lead[] = {
    "Timestamp", "ServiceName", "SeverityText",   "Body",      "LogAttributes",
    "TraceId",   "SpanId",      "SeverityNumber", "EventName", "ResourceAttributes",
    "ScopeName", NULL};
static const char *const span_lead[] = {
    "Timestamp", "ServiceName",  "SpanName",       "SpanKind",
    "Duration",  "StatusCode",   "StatusMessage",  "TraceId",
    "SpanId",    "ParentSpanId", "SpanAttributes", "ResourceAttributes",
    "ScopeName", "Events",       "Links",          NULL};
static const char *const metric_lead[] = {"TimeUnix",   "ServiceName", "MetricName", "MetricType",
                                          "MetricUnit", "Attributes",  NULL};

static const struct people_view people_views[QUERY_PEOPLE_VIEWS] = {
    {"logs", "otel_logs", "Timestamp", 0, log_lead},
    {"traces", "otel_traces", "Timestamp", 1, span_lead},
    {"metrics", "otel_metrics_", "TimeUnix", 0, metric_lead},
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

// --- a table's columns ---

// Columns that only serve to give OTLP back as it was.
static const char *const hidden_ends[] = {
    "Types",        "BodyType",   "NanoOfMicro", "SchemaUrl", "DroppedAttrCount",
    "DroppedCount", "EntityRefs",
};
#define HIDDEN_COUNT (sizeof(hidden_ends) / sizeof(hidden_ends[0]))

static int is_hidden(const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < HIDDEN_COUNT; i++) {
        size_t end = strlen(hidden_ends[i]);
        if (size >= end && memcmp(name + size - end, hidden_ends[i], end) == 0)
            return 1;
    }
    return 0;
}

// Whether the view has a column of that name of its own or at its beginning, by SQL's rules: a
// promoted attribute may have made the table another.
static int has_already(const struct people_view *view, const char *name)
{
    for (size_t i = 0; view->lead[i]; i++)
        if (oto_is_same_column_name(view->lead[i], name))
            return 1;
    return oto_is_same_column_name(name, "TimeUnixNano") ||
           (view->has_end && oto_is_same_column_name(name, "EndTimeUnixNano"));
}

struct list {
    struct oto_buffer *sql;
    const struct people_view *view;
    const struct query_views *views;
    size_t table;
    size_t count;
};

static enum oto_status begin_column(struct list *list)
{
    return oto_buffer_append_format(list->sql, list->count++ ? ", " : "");
}

static enum oto_status add_column(struct list *list, const char *name)
{
    OTO_TRY(begin_column(list));
    return query_append_quoted(list->sql, oto_bytes_text(name), '"');
}

static enum oto_status add_lead(struct list *list)
{
    const struct query_views *views = list->views;
    for (size_t i = 0; list->view->lead[i]; i++) {
        const char *name = list->view->lead[i];
        if (strcmp(name, "MetricType") != 0) {
            if (query_model_has(&views->models[list->table], name))
                OTO_TRY(add_column(list, name));
            continue;
        }
        if (!query_names_have(&views->names, name))
            continue;
        OTO_TRY(begin_column(list));
        OTO_TRY(oto_buffer_append_format(list->sql, "'%s' AS MetricType",
                                         views->settings->tables[list->table] +
                                             strlen(list->view->tables)));
    }
    return OTO_OK;
}

static enum oto_status add_times(struct list *list)
{
    static const char nanoseconds[] = "TRY(epoch_us(%s) * 1000 + coalesce(%sNanoOfMicro, 0))";
    const char *time = list->view->time;
    if (query_names_have(&list->views->names, "TimeUnixNano")) {
        OTO_TRY(begin_column(list));
        OTO_TRY(oto_buffer_append_format(list->sql, nanoseconds, time, time));
        OTO_TRY(oto_buffer_append_format(list->sql, " AS TimeUnixNano"));
    }
    if (list->view->has_end && query_names_have(&list->views->names, "EndTimeUnixNano")) {
        OTO_TRY(begin_column(list));
        // Without a start the duration is the end, which then stands for the time, too.
        OTO_TRY(oto_buffer_append_format(list->sql,
                                         "CASE WHEN %sNanoOfMicro IS NULL AND Duration // 1000 = "
                                         "epoch_us(%s) THEN Duration ELSE TRY(",
                                         time, time));
        OTO_TRY(oto_buffer_append_format(list->sql, nanoseconds, time, time));
        OTO_TRY(oto_buffer_append_format(list->sql, " + Duration) END AS EndTimeUnixNano"));
    }
    return OTO_OK;
}

// Of a table whose columns are not known DuckDB has to find them.
static enum oto_status add_unknown(struct list *list)
{
    OTO_TRY(begin_column(list));
    OTO_TRY(oto_buffer_append_format(list->sql, "COLUMNS(c -> NOT regexp_matches(c, '("));
    for (size_t i = 0; i < HIDDEN_COUNT; i++)
        OTO_TRY(oto_buffer_append_format(list->sql, "%s%s", i ? "|" : "", hidden_ends[i]));
    OTO_TRY(oto_buffer_append_format(list->sql, ")$') AND c NOT IN ("));
    for (size_t i = 0; list->view->lead[i]; i++)
        OTO_TRY(oto_buffer_append_format(list->sql, "%s'%s'", i ? ", " : "", list->view->lead[i]));
    return oto_buffer_append_format(list->sql, "))");
}

static enum oto_status add_others(struct list *list)
{
    const struct query_model *model = &list->views->models[list->table];
    if (model->fd < 0)
        return add_unknown(list);
    for (size_t i = 0; i < model->field_count; i++)
        if (model->fields[i].is_named && !is_hidden(model->fields[i].name) &&
            !has_already(list->view, model->fields[i].name))
            OTO_TRY(add_column(list, model->fields[i].name));
    return OTO_OK;
}

// --- a view ---

static enum oto_status write_view(const struct query_views *views, const struct people_view *view,
                                  enum query_ground ground, struct oto_buffer *sql)
{
    size_t count = 0;
    OTO_TRY(oto_buffer_append_format(sql, "CREATE OR REPLACE VIEW %s AS ", view->name));
    for (size_t i = 0; i < views->settings->table_count; i++) {
        struct list list = {.sql = sql, .view = view, .views = views, .table = i};
        if (strncmp(views->settings->tables[i], view->tables, strlen(view->tables)) != 0)
            continue;
        OTO_TRY(oto_buffer_append_format(sql, count++ ? " UNION ALL BY NAME SELECT " : "SELECT "));
        OTO_TRY(add_lead(&list));
        OTO_TRY(add_times(&list));
        OTO_TRY(add_others(&list));
        OTO_TRY(oto_buffer_append_format(sql, " FROM "));
        OTO_TRY(query_ground_write(views, i, ground, sql));
    }
    return oto_buffer_append_byte(sql, 0);
}

enum oto_status query_people_update(struct query_views *views, duckdb_connection connection,
                                    char **texts, const uint8_t *wanted, enum query_ground ground,
                                    struct oto_error *err)
{
    enum oto_status status = OTO_OK;
    for (size_t i = 0; i < QUERY_PEOPLE_VIEWS && status == OTO_OK; i++) {
        struct oto_buffer sql;
        if (!are_wanted(views->settings, wanted, people_views[i].tables) ||
            !query_names_have(&views->names, people_views[i].name))
            continue;
        oto_buffer_init(&sql, &oto_allocator_heap, 1u << 20);
        status = write_view(views, &people_views[i], ground, &sql);
        if (status < 0)
            oto_error_set(err, status, "out of memory");
        else
            status = query_views_make(connection, &texts[i], (const char *)sql.data, err);
        if (status < 0)
            oto_error_context(err, "the view %s", people_views[i].name);
        oto_buffer_release(&sql);
    }
    return status;
}
