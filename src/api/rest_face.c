#define _GNU_SOURCE
// POST /api/v1/sql and GET /spans: a query on its way to otolith-query and its answer back, piece
// by piece.
//
// The query's callbacks come on a worker thread of the query client; each piece is posted to the
// exchange's loop. The worker waits while more than BACKLOG_MAX bytes are posted but not yet taken
// by the peer, so a slow reader slows the query down instead of filling memory.
#include "api/api.h"

#include "base/text.h"
#include "base/timestamp.h"
#include "net/http_accept.h"
#include "os/clock.h"
#include "os/thread.h"
#include "wire/json.h"
#include <stdio.h>
#include <stdlib.h>

#define BACKLOG_MAX (1u << 20)

// Freed by the loop once the query's last piece was run: the query's side never touches it after
// that.
struct rest_query {
    struct oto_query query;
    struct oto_call *call; // loop thread only; NULL once the exchange is closed
    struct oto_loop *loop;
    struct oto_buffer sql, parameters;
    // loop thread
    int begun;
    int hung_up; // the peer closed its side: it does not want the rest
    // both, under lock
    struct oto_mutex lock;
    struct oto_condition room;
    size_t posted; // bytes on their way to the loop
    size_t unsent; // and bytes that the peer has not taken, as far as is known
    int gone;      // the peer is
};

struct piece {
    struct oto_loop_message message;
    struct rest_query *rest;
    int last;
    enum oto_status status;
    struct oto_error err;
    size_t size;
    uint8_t data[];
};

static void rest_free(struct rest_query *rest)
{
    oto_mutex_release(&rest->lock);
    oto_condition_release(&rest->room);
    oto_buffer_release(&rest->sql);
    oto_buffer_release(&rest->parameters);
    free(rest);
}

static void set_backlog(struct rest_query *rest, size_t taken, size_t unsent)
{
    oto_mutex_lock(&rest->lock);
    rest->posted -= taken;
    rest->unsent = unsent;
    if (rest->posted + unsent <= BACKLOG_MAX)
        oto_condition_signal(&rest->room);
    oto_mutex_unlock(&rest->lock);
}

// --- the loop's side ---

static int http_status_of(enum oto_status status)
{
    switch (status) {
    case OTO_INVALID:
    case OTO_UNSUPPORTED:
    case OTO_NOT_FOUND:
        return 400;
    case OTO_DENIED:
        return 403;
    case OTO_TIMEOUT:
        return 504;
    case OTO_TOO_LARGE:
        return 422;
    case OTO_UNAVAILABLE:
    case OTO_NO_MEMORY:
        return 503;
    default:
        return 500;
    }
}

static void respond_error(struct oto_call *call, enum oto_status status,
                          const struct oto_error *err)
{
    struct oto_error said = *err;
    said.status = status;
    oto_call_fail_own(call, http_status_of(status), &said);
}

static void drained(void *state)
{
    struct rest_query *rest = state;
    set_backlog(rest, 0, 0);
}

static void begin_answer(struct rest_query *rest)
{
    const struct oto_query_scan *scan = &rest->query.scan;
    char files[24], read[24], picked[24];
    struct oto_http_header headers[] = {
        {OTO_BYTES_LITERAL("content-type"),
         oto_bytes_text(oto_query_format_content_type(rest->query.format))},
        {OTO_BYTES_LITERAL("x-content-type-options"), OTO_BYTES_LITERAL("nosniff")},
        {OTO_BYTES_LITERAL("otolith-files"),
         oto_bytes(files, oto_text_from_u64(scan->files, files))},
        {OTO_BYTES_LITERAL("otolith-files-read"),
         oto_bytes(read, oto_text_from_u64(scan->files_read, read))},
        {OTO_BYTES_LITERAL("otolith-rows-picked"),
         oto_bytes(picked, oto_text_from_u64(scan->rows_picked, picked))}};
    rest->begun = 1;
    oto_exchange_respond_begin(rest->call->exchange, 200, headers, 5, drained, rest);
}

// Nothing can be said to the peer any more: it sees an answer without an end.
static void break_off(const struct rest_query *rest, struct oto_call *call,
                      const struct oto_error *err)
{
    if (!rest->hung_up)
        oto_log_write(oto_service_log(call->worker->service), OTO_LOG_WARN,
                      "%s: the answer broke off: %s", call->route->path, err->message);
    oto_exchange_abort(call->exchange);
}

static void finish_answer(struct rest_query *rest, const struct piece *piece)
{
    struct oto_call *call = rest->call;
    if (!call)
        return;
    rest->call = NULL;
    call->query = NULL;
    if (piece->status < 0 && !rest->begun)
        respond_error(call, piece->status, &piece->err);
    else if (piece->status < 0)
        break_off(rest, call, &piece->err);
    else
        oto_exchange_end(call->exchange, NULL, 0);
}

static void run_piece(struct oto_loop_message *message)
{
    struct piece *piece = (struct piece *)message;
    struct rest_query *rest = piece->rest;
    size_t unsent = 0;
    if (rest->call && !rest->begun && (piece->size || piece->status == OTO_OK))
        begin_answer(rest);
    if (rest->call && piece->size)
        unsent = oto_exchange_write(rest->call->exchange, piece->data, piece->size);
    set_backlog(rest, piece->size, unsent == SIZE_MAX ? 0 : unsent);
    if (piece->last) {
        finish_answer(rest, piece);
        rest_free(rest);
    }
    free(piece);
}

// The exchange is gone before the answer was complete.
void oto_rest_closed(struct oto_call *call)
{
    struct rest_query *rest = call->query;
    int begun = rest->begun;
    rest->call = NULL;
    call->query = NULL;
    oto_mutex_lock(&rest->lock);
    rest->gone = 1;
    oto_condition_signal(&rest->room);
    oto_mutex_unlock(&rest->lock);
    oto_query_cancel(oto_service_query_client(call->worker->service), &rest->query);
    if (!begun) { // the exchange waits for its answer to be freed
        struct oto_http_response none = {.status = 499};
        oto_exchange_respond(call->exchange, &none);
    } else {
        oto_exchange_abort(call->exchange);
    }
}

void oto_rest_cancel(struct oto_call *call)
{
    struct rest_query *rest = call->query;
    rest->hung_up = 1;
    oto_query_cancel(oto_service_query_client(call->worker->service), &rest->query);
}

// --- the query's side ---

static struct piece *make_piece(struct rest_query *rest, struct oto_bytes bytes)
{
    struct piece *piece = malloc(sizeof(*piece) + bytes.size);
    if (!piece)
        return NULL;
    memset(piece, 0, sizeof(*piece));
    piece->message.run = run_piece;
    piece->rest = rest;
    piece->size = bytes.size;
    if (bytes.size)
        memcpy(piece->data, bytes.data, bytes.size);
    return piece;
}

static enum oto_status on_data(struct oto_query *query, struct oto_bytes bytes)
{
    struct rest_query *rest = query->state;
    oto_mutex_lock(&rest->lock);
    while (rest->posted + rest->unsent > BACKLOG_MAX && !rest->gone)
        oto_condition_wait(&rest->room, &rest->lock);
    int gone = rest->gone;
    rest->posted += bytes.size;
    oto_mutex_unlock(&rest->lock);
    struct piece *piece = gone ? NULL : make_piece(rest, bytes);
    if (!piece)
        return gone ? OTO_UNAVAILABLE : OTO_NO_MEMORY;
    oto_loop_post(rest->loop, &piece->message);
    return OTO_OK;
}

static void on_finished(struct oto_query *query, enum oto_status status, uint64_t rows,
                        const struct oto_error *err)
{
    (void)rows;
    struct rest_query *rest = query->state;
    struct piece *piece;
    while (!(piece = make_piece(
                 rest, (struct oto_bytes){0}))) // the last word must be said: wait for memory
        oto_condition_signal(&rest->room);
    piece->last = 1;
    piece->status = status;
    if (err)
        piece->err = *err;
    oto_loop_post(rest->loop, &piece->message);
}

// An answer now would lack acknowledged rows.
static int refuse_while_recovering(struct oto_call *call)
{
    char text[200];
    if (oto_engine_status(oto_service_engine(call->worker->service), text, sizeof(text)) !=
        OTO_ENGINE_RECOVERING)
        return 0;
    oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, 1, "the server recovers from its log; retry");
    return 1;
}

static void submit(struct oto_call *call, struct oto_bytes sql, struct oto_bytes parameters,
                   enum oto_query_format format)
{
    if (refuse_while_recovering(call))
        return;
    struct rest_query *rest = calloc(1, sizeof(*rest));
    if (!rest) {
        oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, 1, "out of memory");
        return;
    }
    oto_mutex_init(&rest->lock);
    oto_condition_init(&rest->room);
    oto_buffer_init(&rest->sql, &oto_allocator_heap, SIZE_MAX / 2);
    oto_buffer_init(&rest->parameters, &oto_allocator_heap, SIZE_MAX / 2);
    rest->call = call;
    rest->loop = call->worker->loop;
    if (oto_buffer_append(&rest->sql, sql.data, sql.size) < 0 ||
        oto_buffer_append(&rest->parameters, parameters.data, parameters.size) < 0) {
        oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, 1, "out of memory");
        rest_free(rest);
        return;
    }
    rest->query = (struct oto_query){.sql = oto_buffer_view(&rest->sql),
                                     .parameters_json = oto_buffer_view(&rest->parameters),
                                     .format = format,
                                     .from_us = INT64_MIN,
                                     .to_us = INT64_MAX,
                                     .data = on_data,
                                     .finished = on_finished,
                                     .state = rest};
    call->query = rest;
    oto_query_submit(oto_service_query_client(call->worker->service), &rest->query);
}

// --- requests ---

static enum oto_query_format accepted_format(const struct oto_http_request *request)
{
    const char *types[OTO_QUERY_FORMAT_COUNT];
    for (int i = 0; i < OTO_QUERY_FORMAT_COUNT; i++)
        types[i] = oto_query_format_content_type((enum oto_query_format)i);
    size_t chosen = oto_http_accept_choose(request, types, OTO_QUERY_FORMAT_COUNT);
    return chosen < OTO_QUERY_FORMAT_COUNT ? (enum oto_query_format)chosen : OTO_QUERY_JSON;
}

int oto_rest_begin(struct oto_call *call)
{
    const struct oto_http_request *request = oto_exchange_request(call->exchange);
    struct oto_bytes type = oto_http_header(request, "content-type");
    if (request->query.size) {
        oto_call_fail(call, 400, OTO_GRPC_INVALID_ARGUMENT, 0,
                      "this path takes no parameters in its address: the SQL is the body, and the "
                      "header Accept says in which form its answer comes");
        return 0;
    }
    if (oto_http_media_type_is(type, "application/sql") ||
        oto_http_media_type_is(type, "application/json"))
        return 1;
    oto_call_fail(call, 415, OTO_GRPC_INVALID_ARGUMENT, 0,
                  "content-type must be application/sql (the body is the SQL) or application/json "
                  "({\"sql\": …, \"parameters\": […]})");
    return 0;
}

struct sql_document {
    uint8_t *sql; // unescaped, owned by the caller
    size_t sql_size;
    int has_sql;
    struct oto_bytes parameters;
};

static enum oto_status read_sql_member(struct oto_json_reader *r, struct sql_document *document)
{
    struct oto_json_string name, text;
    OTO_TRY(oto_json_name(r, &name));
    int byte = oto_json_peek(r);
    if (oto_bytes_equal_text(name.raw, "sql") && byte == '"') {
        OTO_TRY(oto_json_string(r, &text));
        document->sql_size = oto_json_unescape(text.raw, document->sql);
        document->has_sql = 1;
        return OTO_OK;
    }
    const uint8_t *start = r->at;
    OTO_TRY(oto_json_skip(r));
    if (oto_bytes_equal_text(name.raw, "parameters") && (byte == '[' || byte == '{'))
        document->parameters = oto_bytes(start, (size_t)(r->at - start));
    else if (!oto_bytes_equal_text(name.raw, "parameters") || byte != 'n')
        return oto_json_fail(r, start, "expected {\"sql\": \"…\", \"parameters\": […]}");
    return OTO_OK;
}

static enum oto_status read_sql_document(struct oto_json_reader *r, struct sql_document *document)
{
    if (oto_json_peek(r) != '{')
        return oto_json_fail(r, r->at, "expected an object");
    OTO_TRY(oto_json_enter(r));
    enum oto_status status;
    while ((status = oto_json_member(r)) == OTO_OK)
        OTO_TRY(read_sql_member(r, document));
    OTO_TRY(status);
    OTO_TRY(oto_json_finish(r));
    return document->has_sql ? OTO_OK : oto_json_fail(r, r->at, "\"sql\" is missing");
}

void oto_rest_sql(struct oto_call *call)
{
    const struct oto_http_request *request = oto_exchange_request(call->exchange);
    enum oto_query_format format = accepted_format(request);
    if (!oto_http_media_type_is(oto_http_header(request, "content-type"), "application/json")) {
        submit(call, request->body, (struct oto_bytes){0}, format);
        return;
    }
    struct sql_document document = {.sql = malloc(request->body.size + 1)};
    if (!document.sql) {
        oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, 1, "out of memory");
        return;
    }
    struct oto_json_reader r;
    oto_json_reader_init(&r, request->body, 64);
    enum oto_status status = read_sql_document(&r, &document);
    if (status < 0) {
        struct oto_error err;
        oto_error_init(&err);
        oto_error_set(&err, OTO_INVALID, "the request body: %s",
                      r.problem ? r.problem : "not JSON");
        oto_json_position(request->body, (size_t)(r.at - r.start), &err.line, &err.column);
        respond_error(call, OTO_INVALID, &err);
    } else {
        submit(call, oto_bytes(document.sql, document.sql_size), document.parameters, format);
    }
    free(document.sql);
}

// --- GET /spans ---

#define SPANS_DEFAULT 100
#define SPANS_MAX 10000

// The decoded value of a parameter, NUL-terminated. OTO_INVALID: it does not fit, or is badly
// encoded.
static enum oto_status decode_value(struct oto_bytes value, char *output, size_t output_size)
{
    size_t size = 0;
    for (size_t i = 0; i < value.size; i++) {
        uint8_t byte = value.data[i];
        if (size + 1 >= output_size)
            return OTO_INVALID;
        if (byte == '%') {
            if (value.size - i < 3 || oto_hex_decode(oto_bytes(value.data + i + 1, 2), &byte) < 0 ||
                byte == 0)
                return OTO_INVALID;
            i += 2;
        } else if (byte == '+') {
            byte = ' ';
        }
        output[size++] = (char)byte;
    }
    output[size] = 0;
    return OTO_OK;
}

static int is_visible(struct oto_bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= ' ' || text.data[i] >= 127)
            return 0;
    return text.size > 0;
}

struct spans_request {
    struct oto_buffer sql, parameters_bytes;
    struct oto_json_writer parameters;
    int conditions;
    uint64_t limit;
    unsigned seen; // a bit a parameter
    char problem[200];
};

static enum oto_status add_condition(struct spans_request *s, const char *condition,
                                     const char *value)
{
    OTO_TRY(
        oto_buffer_append_format(&s->sql, "%s %s", s->conditions++ ? " AND" : " WHERE", condition));
    oto_json_write_text(&s->parameters, value);
    return s->parameters.status;
}

// The time is text, as in OTLP's JSON: its nanoseconds are more than a double holds.
#define SPAN_FIELDS                                                                                \
    "SELECT TraceId AS trace_id, SpanId AS span_id, ParentSpanId AS parent_span_id, SpanName AS "  \
    "name, ServiceName AS service_name, "                                                          \
    "SpanKind AS kind, CAST(epoch_us(Timestamp)::HUGEINT * 1000 + "                                \
    "coalesce(TimestampNanoOfMicro, 0) AS VARCHAR) AS timestamp, Duration AS duration_ns, "        \
    "StatusCode AS status_code, coalesce(StatusMessage, '') AS status_message, SpanAttributes AS " \
    "attributes, "                                                                                 \
    "ResourceAttributes AS resource_attributes FROM otel_traces"

static enum oto_status add_service(struct spans_request *s, const char *text)
{
    return add_condition(s, "ServiceName = ?", text);
}

static enum oto_status add_trace_id(struct spans_request *s, const char *text)
{
    return add_condition(s, "TraceId = lower(?)", text);
}

// since: a time span back from now ("15m") or a timestamp.
static enum oto_status add_since(struct spans_request *s, const char *text)
{
    uint64_t back_ms;
    int64_t since_us = (int64_t)(oto_clock_wall_ns() / 1000);
    char micros[24];
    if (oto_config_parse_duration(text, &back_ms) == OTO_OK)
        since_us = back_ms < (uint64_t)since_us / 1000 ? since_us - (int64_t)back_ms * 1000 : 0;
    else
        OTO_TRY(oto_timestamp_parse(text, &since_us));
    (void)snprintf(micros, sizeof(micros), "%lld", (long long)since_us);
    return add_condition(s, "Timestamp >= make_timestamptz(CAST(? AS BIGINT))", micros);
}

static enum oto_status add_limit(struct spans_request *s, const char *text)
{
    OTO_TRY(oto_text_to_u64(oto_bytes_text(text), &s->limit));
    return s->limit >= 1 && s->limit <= SPANS_MAX ? OTO_OK : OTO_INVALID;
}

static const struct span_parameter {
    const char *name;
    enum oto_status (*add)(struct spans_request *s, const char *text);
    const char *problem; // of a value that add does not like
} span_parameters[] = {
    {"service", add_service, "service is too long"},
    {"trace_id", add_trace_id, "trace_id is too long"},
    {"since", add_since, "since must be a time span back from now (15m) or a timestamp (RFC 3339)"},
    {"limit", add_limit, "limit must be a whole number from 1 to 10000"},
};
#define SPAN_PARAMETER_COUNT (sizeof(span_parameters) / sizeof(span_parameters[0]))

static enum oto_status fail_parameter(struct spans_request *s, const char *name,
                                      const char *problem)
{
    (void)snprintf(s->problem, sizeof(s->problem), "%s%s", name, problem);
    return OTO_INVALID;
}

static enum oto_status refuse_unknown(struct spans_request *s, struct oto_bytes name)
{
    int is_shown = is_visible(name) && name.size < 40;
    int size =
        snprintf(s->problem, sizeof(s->problem),
                 "%.*s is no parameter of this path; these are:", is_shown ? (int)name.size : 4,
                 is_shown ? (const char *)name.data : "that");
    for (size_t i = 0; i < SPAN_PARAMETER_COUNT; i++)
        size += snprintf(s->problem + size, sizeof(s->problem) - (size_t)size, "%s %s",
                         i ? "," : "", span_parameters[i].name);
    return OTO_INVALID;
}

// name=value of an address, of which `name` is one of ours.
static enum oto_status add_parameter(struct spans_request *s, size_t index, struct oto_bytes value)
{
    const struct span_parameter *parameter = &span_parameters[index];
    char text[512];
    if (s->seen & 1u << index)
        return fail_parameter(s, parameter->name, " is there twice");
    s->seen |= 1u << index;
    if (decode_value(value, text, sizeof(text)) < 0)
        return fail_parameter(s, parameter->name, " is too long or badly encoded");
    enum oto_status status = parameter->add(s, text);
    return status == OTO_INVALID || status == OTO_TOO_LARGE
               ? fail_parameter(s, "", parameter->problem)
               : status;
}

static enum oto_status add_part(struct spans_request *s, struct oto_bytes part)
{
    const uint8_t *equals = memchr(part.data, '=', part.size);
    struct oto_bytes name = part, value = {0};
    if (equals) {
        name.size = (size_t)(equals - part.data);
        value = oto_bytes(equals + 1, part.size - name.size - 1);
    }
    for (size_t i = 0; i < SPAN_PARAMETER_COUNT; i++)
        if (oto_bytes_equal_text(name, span_parameters[i].name))
            return add_parameter(s, i, value);
    return refuse_unknown(s, name);
}

static enum oto_status add_parts(struct spans_request *s, struct oto_bytes query)
{
    const uint8_t *at = query.data, *end = query.data + query.size;
    while (at && at < end) {
        const uint8_t *stop = memchr(at, '&', (size_t)(end - at));
        stop = stop ? stop : end;
        if (stop > at)
            OTO_TRY(add_part(s, oto_bytes(at, (size_t)(stop - at))));
        at = stop + (stop < end);
    }
    return OTO_OK;
}

static enum oto_status build_spans(struct spans_request *s, struct oto_bytes query)
{
    OTO_TRY(oto_buffer_append_format(&s->sql, SPAN_FIELDS));
    OTO_TRY(add_parts(s, query));
    // By the column, as the answer's timestamp is text.
    return oto_buffer_append_format(&s->sql,
                                    " ORDER BY otel_traces.Timestamp DESC, TimestampNanoOfMicro "
                                    "DESC, SpanId LIMIT %llu",
                                    (unsigned long long)s->limit);
}

void oto_rest_spans(struct oto_call *call)
{
    const struct oto_http_request *request = oto_exchange_request(call->exchange);
    struct spans_request s = {.limit = SPANS_DEFAULT};
    oto_buffer_init(&s.sql, &oto_allocator_heap, 64 * 1024);
    oto_buffer_init(&s.parameters_bytes, &oto_allocator_heap, 64 * 1024);
    oto_json_writer_init(&s.parameters, &s.parameters_bytes);
    oto_json_array_begin(&s.parameters);
    enum oto_status status = build_spans(&s, request->query);
    oto_json_array_end(&s.parameters);
    if (status == OTO_INVALID)
        oto_call_fail(call, 400, OTO_GRPC_INVALID_ARGUMENT, 0, s.problem);
    else if (status < 0)
        oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, 1, "out of memory");
    else
        submit(call, oto_buffer_view(&s.sql),
               s.conditions ? oto_buffer_view(&s.parameters_bytes) : (struct oto_bytes){0},
               OTO_QUERY_JSON);
    oto_buffer_release(&s.sql);
    oto_buffer_release(&s.parameters_bytes);
}
