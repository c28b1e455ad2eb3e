// Calls: the way of an exchange from its headers through a route to its answer, and the answers all
// faces give alike.
#include "api/api.h"

#include "net/http_accept.h"
#include "os/clock.h"
#include <stdio.h>
#include <stdlib.h>

// What an open request costs beside its body: exchange, call, stream. Counted, so that very many
// open ones have a limit.
#define CALL_BYTES 2048
#define REFUSED_BODY_MAX (64u << 10) // of a request that nobody serves

const char *oto_call_encoding_content_type(enum oto_call_encoding encoding)
{
    switch (encoding) {
    case OTO_CALL_GRPC:
        return "application/grpc";
    case OTO_CALL_PROTOBUF:
        return "application/x-protobuf";
    case OTO_CALL_JSON_LINES:
        return "application/x-ndjson";
    case OTO_CALL_TEXT:
        return "text/plain; charset=utf-8";
    case OTO_CALL_JSON:
        break;
    }
    return "application/json";
}

// --- answers ---

int oto_call_encoding_find(struct oto_bytes content_type, enum oto_call_encoding *ret_encoding)
{
    static const struct {
        const char *type;
        enum oto_call_encoding encoding;
    } known[] = {{"application/x-protobuf", OTO_CALL_PROTOBUF},
                 {"application/protobuf", OTO_CALL_PROTOBUF},
                 {"application/json", OTO_CALL_JSON},
                 {"application/x-ndjson", OTO_CALL_JSON_LINES},
                 {"application/jsonl", OTO_CALL_JSON_LINES}};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (oto_http_media_type_is(content_type, known[i].type)) {
            *ret_encoding = known[i].encoding;
            return 1;
        }
    return 0;
}

static void respond(struct oto_call *call, int http_status, const char *content_type,
                    struct oto_bytes body, const struct oto_http_header *extra)
{
    struct oto_http_header headers[2] = {
        {OTO_BYTES_LITERAL("content-type"), oto_bytes_text(content_type)}};
    size_t count = 1;
    if (extra)
        headers[count++] = *extra;
    struct oto_http_response response = {
        .status = http_status, .headers = headers, .header_count = count, .body = body};
    oto_exchange_respond(call->exchange, &response);
}

void oto_call_respond(struct oto_call *call, int http_status, const char *content_type,
                      struct oto_bytes body)
{
    respond(call, http_status, content_type, body, NULL);
}

// Of the path that was asked for; each path takes one method.
static const char *allowed_methods(struct oto_call *call)
{
    const struct oto_http_request *request = oto_exchange_request(call->exchange);
    for (size_t i = 0; i < oto_route_count; i++)
        if (!oto_routes[i].grpc && oto_bytes_equal_text(request->path, oto_routes[i].path))
            return strcmp(oto_routes[i].method, "GET") == 0 ? "GET, HEAD" : oto_routes[i].method;
    return "GET, POST";
}

static enum oto_status error_body(struct oto_call *call, int own, enum oto_grpc_status grpc_status,
                                  uint32_t retry_s, const char *message, const char *field,
                                  struct oto_buffer *body)
{
    if (own)
        return oto_error_body_write_plain(grpc_status, message, body);
    enum oto_otlp_encoding encoding =
        call->encoding == OTO_CALL_GRPC || call->encoding == OTO_CALL_PROTOBUF ? OTO_OTLP_PROTOBUF
                                                                               : OTO_OTLP_JSON;
    return oto_otlp_write_status(encoding, (int)grpc_status, message, retry_s * 1000, field, body);
}

static void respond_failure(struct oto_call *call, int http_status, uint32_t retry_s,
                            const char *content_type, struct oto_bytes body)
{
    char retry[16];
    struct oto_http_header extra = {OTO_BYTES_LITERAL("retry-after"), {0}};
    (void)snprintf(retry, sizeof(retry), "%u", retry_s);
    extra.value = oto_bytes_text(retry);
    if (http_status == 405)
        extra = (struct oto_http_header){OTO_BYTES_LITERAL("allow"),
                                         oto_bytes_text(allowed_methods(call))};
    respond(call, http_status, content_type, body, retry_s || http_status == 405 ? &extra : NULL);
}

// field: what of the request is wrong, or NULL.
static void fail(struct oto_call *call, int http_status, enum oto_grpc_status grpc_status,
                 uint32_t retry_s, const char *message, const char *field)
{
    struct oto_buffer body;
    oto_buffer_init(&body, &oto_allocator_heap, 64 * 1024);
    struct oto_bytes view = {0};
    int own = oto_error_body_is_own(oto_exchange_request(call->exchange));
    if (error_body(call, own, grpc_status, retry_s, message, field, &body) == OTO_OK)
        view = oto_buffer_view(&body);
    if (call->encoding == OTO_CALL_GRPC) {
        oto_grpc_respond_error(call->exchange, grpc_status, oto_bytes_text(message), view, NULL, 0);
    } else {
        const char *type = oto_call_encoding_content_type(own ? OTO_CALL_JSON : call->encoding);
        respond_failure(call, http_status, retry_s, type, view);
    }
    oto_buffer_release(&body);
}

void oto_call_fail(struct oto_call *call, int http_status, enum oto_grpc_status grpc_status,
                   uint32_t retry_s, const char *message)
{
    fail(call, http_status, grpc_status, retry_s, message, NULL);
}

void oto_call_fail_own(struct oto_call *call, int http_status, const struct oto_error *err)
{
    struct oto_buffer body;
    oto_buffer_init(&body, &oto_allocator_heap, 64 * 1024);
    struct oto_bytes view = {0};
    if (oto_error_body_write(err, &body) == OTO_OK)
        view = oto_buffer_view(&body);
    respond_failure(call, http_status, http_status == 503 ? 1 : 0, "application/json", view);
    oto_buffer_release(&body);
}

// The path that a message begins with: "resource_logs[0].scope_logs[1]: …". Returns its size, 0
// when it begins with none.
static size_t path_size(const char *message)
{
    size_t size =
        strspn(message, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789[].");
    return strncmp(message, "resource", 8) == 0 && message[size] == ':' ? size : 0;
}

// A malformed request: where in it, and which field.
static void fail_invalid(struct oto_call *call, const struct oto_error *err)
{
    char text[OTO_ERROR_MESSAGE_MAX + 80], field[OTO_ERROR_MESSAGE_MAX] = "";
    size_t size = (size_t)snprintf(text, sizeof(text), "%s", err->message);
    if (err->offset != OTO_OFFSET_NONE && err->line)
        (void)snprintf(text + size, sizeof(text) - size, " (line %u, column %u, byte %llu)",
                       err->line, err->column, (unsigned long long)err->offset);
    else if (err->offset != OTO_OFFSET_NONE)
        (void)snprintf(text + size, sizeof(text) - size, " (byte %llu)",
                       (unsigned long long)err->offset);
    memcpy(field, err->message, path_size(err->message));
    fail(call, 400, OTO_GRPC_INVALID_ARGUMENT, 0, text, field[0] ? field : "body");
}

void oto_call_fail_status(struct oto_call *call, const struct oto_error *err)
{
    if (oto_status_retryable(err->status))
        oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, 1, err->message);
    else if (err->status == OTO_TOO_LARGE)
        oto_call_fail(call, 413, OTO_GRPC_RESOURCE_EXHAUSTED, 0, err->message);
    else if (err->status == OTO_UNSUPPORTED)
        oto_call_fail(call, 415, OTO_GRPC_UNIMPLEMENTED, 0, err->message);
    else if (err->status == OTO_INVALID || err->status == OTO_CORRUPT)
        fail_invalid(call, err);
    else
        oto_call_fail(call, 500, OTO_GRPC_INTERNAL, 0, err->message);
}

// --- the way of an exchange ---

static const struct oto_route *find_route(const struct oto_http_request *request,
                                          int *ret_path_known)
{
    *ret_path_known = 0;
    for (size_t i = 0; i < oto_route_count; i++) {
        const struct oto_route *route = &oto_routes[i];
        if (route->grpc != request->is_grpc || !oto_bytes_equal_text(request->path, route->path))
            continue;
        *ret_path_known = 1;
        int head =
            oto_bytes_equal_text(request->method, "HEAD") && strcmp(route->method, "GET") == 0;
        if (head || oto_bytes_equal_text(request->method, route->method))
            return route;
    }
    return NULL;
}

// What an error on this path should be written in, before the face has looked at the content type.
static enum oto_call_encoding first_encoding(const struct oto_http_request *request)
{
    if (request->is_grpc)
        return OTO_CALL_GRPC;
    enum oto_call_encoding encoding;
    return oto_call_encoding_find(oto_http_header(request, "content-type"), &encoding) &&
                   encoding == OTO_CALL_PROTOBUF
               ? OTO_CALL_PROTOBUF
               : OTO_CALL_JSON;
}

void oto_call_free(struct oto_call *call)
{
    oto_free(call->allocator, call, sizeof(*call));
}

static void release_call(struct oto_call *call)
{
    if (call->closed && !call->pending)
        oto_call_free(call);
}

static void refuse_method(struct oto_call *call)
{
    char text[80];
    (void)snprintf(text, sizeof(text), "this path takes %s, not that method",
                   allowed_methods(call));
    oto_call_fail(call, 405, OTO_GRPC_UNIMPLEMENTED, 0, text);
}

static void refuse_unrouted(struct oto_call *call, int path_known)
{
    if (call->encoding == OTO_CALL_GRPC)
        oto_call_fail(call, 200, OTO_GRPC_UNIMPLEMENTED, 0, "unknown service or method");
    else if (path_known)
        refuse_method(call);
    else
        oto_call_fail(call, 404, OTO_GRPC_NOT_FOUND, 0,
                      "there is nothing at this path; OTLP goes to /v1/logs, /v1/traces, "
                      "/v1/metrics, SQL to /api/v1/sql");
}

static void read_body(struct oto_call *call)
{
    if (call->route->body_bytes_max == SIZE_MAX)
        oto_exchange_read_body(call->exchange, oto_service_request_bytes_max(call->worker->service),
                               "request_bytes_max");
    else
        oto_exchange_read_body(call->exchange, call->route->body_bytes_max, NULL);
}

// What was made of the head of an export request that nothing is wrong with: most clients send the
// same one again and again, and none of it is looked at again then. A deadline is each request's
// own.
enum memo { MEMO_KNOWN = 1, MEMO_ROUTE = 8, MEMO_ENCODING = 16, MEMO_COMPRESSION = 24 };

static void remember(struct oto_call *call)
{
    uint64_t *memo = oto_exchange_memo(call->exchange);
    if (!memo || call->route->begin != oto_otlp_begin || call->deadline_ns)
        return;
    *memo = MEMO_KNOWN | (uint64_t)(call->route - oto_routes) << MEMO_ROUTE |
            (uint64_t)call->encoding << MEMO_ENCODING |
            (uint64_t)call->compression << MEMO_COMPRESSION;
}

static int recall(struct oto_call *call)
{
    const uint64_t *memo = oto_exchange_memo(call->exchange);
    if (!memo || !*memo)
        return 0;
    call->route = &oto_routes[*memo >> MEMO_ROUTE & 255];
    call->encoding = (enum oto_call_encoding)(*memo >> MEMO_ENCODING & 255);
    call->compression = (enum oto_compression)(*memo >> MEMO_COMPRESSION & 255);
    return 1;
}

static void begin_route(struct oto_call *call, const struct oto_http_request *request)
{
    const struct oto_route *route = call->route;
    const char *foreign = oto_call_foreign(call);
    if (foreign) {
        oto_call_fail(call, 403, OTO_GRPC_PERMISSION_DENIED, 0, foreign);
        return;
    }
    if (!(oto_service_roles(call->worker->service, request->listener) & (uint32_t)route->role)) {
        oto_call_fail(call, 403, OTO_GRPC_PERMISSION_DENIED, 0,
                      "this listener does not serve that; see the listen setting");
        return;
    }
    if (route->begin && !route->begin(call))
        return;
    remember(call);
    read_body(call);
}

static void refuse_for_memory(struct oto_call *call)
{
    oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, 1,
                  "the server's memory limit is reached; retry");
}

// Health and metrics are told however little memory there is.
static int reserve_call(struct oto_call *call)
{
    if (oto_engine_reserve(oto_service_engine(call->worker->service), CALL_BYTES)) {
        call->reserved_bytes = CALL_BYTES;
        return 1;
    }
    return call->route && (call->route->role & OTO_ROLE_ADMIN);
}

static struct oto_call *new_call(struct oto_worker *worker, struct oto_exchange *exchange)
{
    const struct oto_allocator *allocator = oto_exchange_allocator(exchange);
    struct oto_call *call = oto_alloc(allocator, sizeof(*call));
    if (!call)
        return NULL;
    memset(call, 0, sizeof(*call));
    call->allocator = allocator;
    call->worker = worker;
    call->exchange = exchange;
    *oto_exchange_user(exchange) = call;
    return call;
}

// A head that was seen before, and nothing is wrong with.
static void begin_known(struct oto_call *call)
{
    if (!reserve_call(call))
        refuse_for_memory(call);
    else if (oto_otlp_admit(call))
        read_body(call);
}

static void begin_new(struct oto_call *call, struct oto_exchange *exchange)
{
    const struct oto_http_request *request = oto_exchange_request(exchange);
    int path_known;
    call->encoding = first_encoding(request);
    call->route = find_route(request, &path_known);
    if (!reserve_call(call))
        refuse_for_memory(call);
    else if (call->route)
        begin_route(call, request);
    else if (request->version == OTO_HTTP_2 && call->encoding != OTO_CALL_GRPC)
        oto_exchange_read_body(exchange, SIZE_MAX / 2, NULL);
    else
        refuse_unrouted(call, path_known);
}

static void on_headers(void *state, struct oto_exchange *exchange)
{
    struct oto_call *call = new_call(state, exchange);
    if (!call)
        oto_exchange_refuse(exchange, 503, "out of memory");
    else if (recall(call))
        begin_known(call);
    else
        begin_new(call, exchange);
}

// Over HTTP/2 the rest of a request that nobody serves is waited for, if it is short: a client that
// sends on whole gets no RST_STREAM with its answer, and one that breaks the protocol is told so.
static void refuse_late(struct oto_call *call)
{
    int path_known;
    (void)find_route(oto_exchange_request(call->exchange), &path_known);
    refuse_unrouted(call, path_known);
}

int oto_call_reserve(struct oto_call *call, uint64_t more)
{
    if (!oto_engine_reserve(oto_service_engine(call->worker->service), more)) {
        refuse_for_memory(call);
        return 0;
    }
    call->reserved_bytes += more;
    return 1;
}

static int on_reserve(void *state, struct oto_exchange *exchange, size_t more)
{
    (void)state;
    struct oto_call *call = *oto_exchange_user(exchange);
    if (!call->route && call->reserved_bytes + more > REFUSED_BODY_MAX) {
        refuse_late(call);
        return 0;
    }
    int is_export = call->route && call->route->handle == oto_otlp_handle;
    if (is_export && !oto_otlp_await(call, more))
        return 0;
    return oto_call_reserve(call, is_export ? (1 + OTO_EXPORT_COPIES) * (uint64_t)more : more);
}

static void on_complete(void *state, struct oto_exchange *exchange)
{
    (void)state;
    oto_call_complete(*oto_exchange_user(exchange));
}

void oto_call_complete(struct oto_call *call)
{
    if (!call->route)
        refuse_late(call);
    else if (call->deadline_ns && oto_clock_monotonic_ns() > call->deadline_ns)
        oto_call_fail(call, 504, OTO_GRPC_DEADLINE_EXCEEDED, 0,
                      "the deadline passed before the request was complete");
    else
        call->route->handle(call);
}

static void on_closed(void *state, struct oto_exchange *exchange, int answered)
{
    (void)answered;
    struct oto_worker *worker = state;
    struct oto_call *call = *oto_exchange_user(exchange);
    if (!call)
        return;
    oto_engine_unreserve(oto_service_engine(worker->service), call->reserved_bytes);
    call->reserved_bytes = 0;
    oto_otlp_forget_waiting(call);
    call->closed = 1;
    if (call->query)
        oto_rest_closed(call);
    if (call->watching)
        oto_health_closed(call);
    if (call->parked)
        oto_otlp_closed(call);
    release_call(call);
}

// The body of an error that the net layer raises by itself (too large, timed out, malformed).
static size_t on_error_body(void *state, int status, const char *reason,
                            const struct oto_http_request *request, char *content_type,
                            uint8_t *body, size_t capacity)
{
    (void)state;
    int own = request && oto_error_body_is_own(request);
    enum oto_call_encoding encoding = request && !own ? first_encoding(request) : OTO_CALL_JSON;
    enum oto_grpc_status code = status == 413   ? OTO_GRPC_RESOURCE_EXHAUSTED
                                : status == 503 ? OTO_GRPC_UNAVAILABLE
                                                : OTO_GRPC_INVALID_ARGUMENT;
    struct oto_buffer text;
    oto_buffer_init(&text, &oto_allocator_heap, capacity);
    size_t size = 0;
    enum oto_status written =
        own ? oto_error_body_write_plain(code, reason, &text)
            : oto_otlp_write_status(encoding == OTO_CALL_PROTOBUF ? OTO_OTLP_PROTOBUF
                                                                  : OTO_OTLP_JSON,
                                    (int)code, reason, 0, NULL, &text);
    if (written == OTO_OK) {
        size = text.size;
        memcpy(body, text.data, size);
    }
    (void)snprintf(content_type, 64, "%s", oto_call_encoding_content_type(encoding));
    oto_buffer_release(&text);
    return size;
}

// Whoever hangs up does not want the answer of a query; what was exported is kept all the same.
static void on_half_closed(void *state, struct oto_exchange *exchange)
{
    (void)state;
    struct oto_call *call = *oto_exchange_user(exchange);
    if (call && call->query)
        oto_rest_cancel(call);
}

static int on_count(void *state, size_t bytes)
{
    struct oto_worker *worker = state;
    return oto_engine_reserve(oto_service_engine(worker->service), bytes);
}

static void on_uncount(void *state, size_t bytes)
{
    struct oto_worker *worker = state;
    oto_engine_unreserve(oto_service_engine(worker->service), bytes);
}

const struct oto_http_handler oto_api_handler = {.headers = on_headers,
                                                 .reserve = on_reserve,
                                                 .complete = on_complete,
                                                 .closed = on_closed,
                                                 .half_closed = on_half_closed,
                                                 .count = on_count,
                                                 .uncount = on_uncount,
                                                 .error_body = on_error_body};
