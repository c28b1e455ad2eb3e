// Health, readiness, Prometheus metrics and the first page.
#include "api/api.h"

#include "os/clock.h"
#include "os/file.h"
#include <stdio.h>

static const char *const state_names[] = {"recovering", "ready", "disk full", "failed", "draining"};

static void respond_buffer(struct oto_call *call, int status, const char *content_type,
                           struct oto_buffer *body, enum oto_status built)
{
    if (built < 0)
        oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, 1, "out of memory");
    else
        oto_call_respond(call, status, content_type, oto_buffer_view(body));
    oto_buffer_release(body);
}

static enum oto_engine_state current_state(struct oto_call *call, char *text, size_t size)
{
    enum oto_engine_state state =
        oto_engine_status(oto_service_engine(call->worker->service), text, size);
    return oto_service_draining(call->worker->service) ? OTO_ENGINE_DRAINING : state;
}

// Alive: the process answers. What it is doing stands in the body.
void oto_admin_health(struct oto_call *call)
{
    char text[200];
    enum oto_engine_state state = current_state(call, text, sizeof(text));
    struct oto_engine_stats stats;
    oto_engine_stats(oto_service_engine(call->worker->service), &stats);
    struct oto_buffer body;
    oto_buffer_init(&body, &oto_allocator_heap, 64 * 1024);
    uint64_t stored = stats.stored[0] + stats.stored[1] + stats.stored[2];
    enum oto_status built = oto_buffer_append_format(
        &body,
        "{\"status\":\"%s\",\"state\":\"%s\",\"version\":\"%s\",\"items_stored\":%llu,\"memory_"
        "resident_bytes\":%llu,"
        "\"memory_limit_bytes\":%llu}\n",
        state == OTO_ENGINE_FAILED ? "failed" : "ok", state_names[state],
        oto_service_version(call->worker->service), (unsigned long long)stored,
        (unsigned long long)oto_memory_resident_bytes(),
        (unsigned long long)stats.memory_limit_bytes);
    respond_buffer(call, state == OTO_ENGINE_FAILED ? 503 : 200, "application/json", &body, built);
}

// Ready: requests would be taken now.
void oto_admin_ready(struct oto_call *call)
{
    char text[200];
    enum oto_engine_state state = current_state(call, text, sizeof(text));
    struct oto_buffer body;
    oto_buffer_init(&body, &oto_allocator_heap, 4096);
    enum oto_status built =
        oto_buffer_append_format(&body, "{\"ready\":%s,\"state\":\"%s\"}\n",
                                 state == OTO_ENGINE_READY ? "true" : "false", state_names[state]);
    respond_buffer(call, state == OTO_ENGINE_READY ? 200 : 503, "application/json", &body, built);
}

void oto_admin_index(struct oto_call *call)
{
    static const char text[] =
        "Otolith: OpenTelemetry in, open columns kept, questions answered.\n\n"
        "POST /v1/logs /v1/traces /v1/metrics   OTLP/HTTP (protobuf, JSON, JSON lines); OTLP/gRPC "
        "on the same port\n"
        "POST /api/v1/sql                       SQL over everything, also what came a moment ago\n"
        "GET  /spans?limit=20                   the newest spans\n"
        "GET  /health /ready /metrics           operation\n";
    oto_call_respond(call, 200, "text/plain; charset=utf-8", oto_bytes(text, sizeof(text) - 1));
}

// --- metrics ---

struct metrics {
    struct oto_buffer body;
    enum oto_status status;
};

static void put(struct metrics *m, const char *format, ...) OTO_PRINTF(2, 3);
static void put(struct metrics *m, const char *format, ...)
{
    char line[512];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    if (m->status == OTO_OK && size > 0)
        m->status = oto_buffer_append(
            &m->body, line, (size_t)size < sizeof(line) ? (size_t)size : sizeof(line) - 1);
}

static void put_head(struct metrics *m, const char *name, const char *type, const char *help)
{
    put(m, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void put_one(struct metrics *m, const char *name, const char *type, const char *help,
                    uint64_t value)
{
    put_head(m, name, type, help);
    put(m, "%s %llu\n", name, (unsigned long long)value);
}

static void put_seconds(struct metrics *m, const char *name, const char *type, const char *help,
                        uint64_t value_ns)
{
    put_head(m, name, type, help);
    put(m, "%s %.6f\n", name, (double)value_ns * 1e-9);
}

static void put_signals(struct metrics *m, const char *name, const char *help,
                        const uint64_t values[OTO_SIGNAL_COUNT])
{
    static const char *const signals[] = {"logs", "traces", "metrics"};
    put_head(m, name, "counter", help);
    for (int i = 0; i < OTO_SIGNAL_COUNT; i++)
        put(m, "%s{signal=\"%s\"} %llu\n", name, signals[i], (unsigned long long)values[i]);
}

static void put_tables(struct metrics *m, const char *name, const char *type, const char *help,
                       const uint64_t values[OTO_TABLE_COUNT])
{
    put_head(m, name, type, help);
    for (int i = 0; i < OTO_TABLE_COUNT; i++)
        put(m, "%s{table=\"%s\"} %llu\n", name, oto_table_name((enum oto_table)i),
            (unsigned long long)values[i]);
}

static void put_engine(struct metrics *m, const struct oto_engine_stats *s)
{
    put_signals(m, "otolith_items_received_total",
                "Log records, spans and data points decoded from requests.", s->received);
    put_signals(m, "otolith_items_stored_total", "Items acknowledged and stored.", s->stored);
    put_signals(m, "otolith_items_rejected_total", "Items refused as invalid in a partial success.",
                s->rejected);
    put_signals(m, "otolith_items_deduplicated_total",
                "Items of repeated requests, acknowledged and not stored again.", s->deduplicated);
    put_signals(m, "otolith_items_failed_total",
                "Items whose commit failed; answered retryably and not stored.", s->failed);
    put_signals(m, "otolith_strings_repaired_total",
                "Strings that were not UTF-8, stored with U+FFFD for what is wrong in them.",
                s->utf8_repaired);
    put_signals(m, "otolith_requests_total", "Export requests.", s->requests);
    put_signals(m, "otolith_request_bytes_total", "Bytes of export requests after decompression.",
                s->request_bytes);
    put_one(m, "otolith_requests_refused_memory_total", "counter",
            "Requests refused retryably for want of memory, or of room for rows.",
            s->refused_memory);
    put_tables(m, "otolith_rows_hot", "gauge", "Rows in memory, not yet in files.", s->rows_hot);
    put_tables(m, "otolith_rows_flushed_total", "counter", "Rows written to files.",
               s->rows_flushed);
    put_tables(m, "otolith_files", "gauge", "Files of the table.", s->files);
    put_tables(m, "otolith_file_bytes_total", "counter", "Bytes of files written.", s->file_bytes);
    put_one(m, "otolith_flushes_total", "counter", "Flushes finished.", s->flushes);
    put_one(m, "otolith_flush_failures_total", "counter",
            "Flush attempts that failed and were or will be repeated.", s->flush_failures);
    put_seconds(m, "otolith_flush_seconds_total", "counter", "Time spent flushing.", s->flush_ns);
    put_one(m, "otolith_memory_counted_bytes", "gauge", "Memory counted against the limit.",
            s->memory_bytes);
    put_one(m, "otolith_memory_limit_bytes", "gauge", "The configured memory limit.",
            s->memory_limit_bytes);
    put_one(m, "otolith_wal_appended_bytes_total", "counter", "Bytes appended to the log.",
            s->wal.appended_bytes);
    put_one(m, "otolith_wal_records_total", "counter", "Requests appended to the log.",
            s->wal.appended_records);
    put_one(m, "otolith_wal_syncs_total", "counter", "Group commits.", s->wal.syncs);
    put_seconds(m, "otolith_wal_sync_seconds_total", "counter",
                "Time spent writing and syncing the log.", s->wal.sync_ns);
    put_one(m, "otolith_wal_failures_total", "counter", "Group commits that failed.",
            s->wal.failures);
    put_one(m, "otolith_wal_disk_bytes", "gauge", "Size of the log's segments on disk.",
            s->wal.disk_bytes);
    put_one(m, "otolith_recovered_records_total", "counter", "Requests replayed at start.",
            s->recovered_records);
    put_one(m, "otolith_recovered_torn_bytes_total", "counter",
            "Unacknowledged bytes cut off the log's end at start.", s->recovered_torn_bytes);
    put_one(m, "otolith_wal_corruption_total", "counter", "Log segments quarantined at start.",
            s->recovered_corrupt_segments);
}

static void put_http(struct metrics *m, const struct oto_http_stats *s)
{
    put_one(m, "otolith_connections_accepted_total", "counter", "Connections accepted.",
            s->connections_accepted);
    put_one(m, "otolith_connections_refused_total", "counter", "Connections refused at the limit.",
            s->connections_refused);
    put_one(m, "otolith_connections_open", "gauge", "Open connections.", s->connections_open);
    put_head(m, "otolith_http_requests_total", "counter", "Requests by protocol version.");
    put(m, "otolith_http_requests_total{version=\"1\"} %llu\n",
        (unsigned long long)s->requests_http1);
    put(m, "otolith_http_requests_total{version=\"2\"} %llu\n",
        (unsigned long long)s->requests_http2);
    put_one(m, "otolith_network_received_bytes_total", "counter", "Bytes received.", s->bytes_in);
    put_one(m, "otolith_network_sent_bytes_total", "counter", "Bytes sent.", s->bytes_out);
    put_one(m, "otolith_protocol_errors_total", "counter",
            "Connections or streams ended for breaking the protocol.", s->protocol_errors);
    put_one(m, "otolith_connection_timeouts_total", "counter",
            "Connections closed for being too slow.", s->timeouts);
}

static void put_query(struct metrics *m, struct oto_call *call)
{
    struct oto_query_client *client = oto_service_query_client(call->worker->service);
    if (!client)
        return;
    struct oto_query_stats s;
    oto_query_client_stats(client, &s);
    put_one(m, "otolith_queries_total", "counter", "Queries finished.", s.queries);
    put_one(m, "otolith_query_failures_total", "counter", "Queries that failed.", s.failures);
    put_one(m, "otolith_query_processes_started_total", "counter", "Query processes started.",
            s.processes_started);
    put_one(m, "otolith_query_processes_crashed_total", "counter",
            "Query processes that died unasked.", s.processes_crashed);
    put_one(m, "otolith_queries_running", "gauge", "Queries running.", s.running);
    put_one(m, "otolith_queries_waiting", "gauge", "Queries waiting.", s.waiting);
}

void oto_admin_metrics(struct oto_call *call)
{
    struct metrics m = {.status = OTO_OK};
    oto_buffer_init(&m.body, &oto_allocator_heap, 1 << 20);
    char text[200];
    enum oto_engine_state state = current_state(call, text, sizeof(text));
    put_head(&m, "otolith_build_info", "gauge", "Version of the program.");
    put(&m, "otolith_build_info{version=\"%s\"} 1\n", oto_service_version(call->worker->service));
    put_one(&m, "otolith_ready", "gauge", "1 when requests are taken.", state == OTO_ENGINE_READY);
    put_seconds(&m, "process_cpu_seconds_total", "counter",
                "User and system CPU time of the server process.", oto_clock_cpu_ns());
    put_one(&m, "process_resident_memory_bytes", "gauge", "Resident memory.",
            oto_memory_resident_bytes());
    struct oto_engine_stats stats;
    oto_engine_stats(oto_service_engine(call->worker->service), &stats);
    put_engine(&m, &stats);
    struct oto_http_stats http;
    oto_service_http_stats(call->worker->service, &http);
    put_http(&m, &http);
    put_query(&m, call);
    respond_buffer(call, 200, "text/plain; version=0.0.4; charset=utf-8", &m.body, m.status);
}
