// OTLP/gRPC and OTLP/HTTP: content type and coding -> plain protobuf -> engine -> the protocol's
// own answer.
#include "api/api.h"

#include "net/grpc.h"
#include "os/clock.h"
#include "otlp/otlp_json.h"
#include <stdlib.h>

// Ingestion is open only while the engine can take rows: everything transient is answered
// retryably.
static int refuse_when_not_ready(struct oto_call *call)
{
    char text[200];
    struct oto_engine *engine = oto_service_engine(call->worker->service);
    enum oto_engine_state state = oto_engine_status(engine, NULL, 0);
    if (oto_service_draining(call->worker->service)) {
        oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, 1, "the server is shutting down; retry");
        return 1;
    }
    if (state == OTO_ENGINE_READY)
        return 0;
    state = oto_engine_status(engine, text, sizeof(text));
    oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, state == OTO_ENGINE_RECOVERING ? 1 : 5, text);
    return 1;
}

// --- too much ---
//
// When rows come faster than they can be written to files, requests wait a moment for room instead
// of being sent away at once: their senders are slowed down, and nothing is sent twice. But what
// waits takes memory, and the longer the queue the older the answer. So once a share of the memory
// limit waits, further requests are refused retryably by their head, or by the first bytes that
// tell their size: what else comes of them is read past.

// Whoever comes first waits for the shard, anyone else for those before it as well.
static int must_wait(const struct oto_worker *worker)
{
    return (worker->parked && !worker->retried) || oto_shard_is_stalled(worker->shard);
}

int oto_otlp_await(struct oto_call *call, uint64_t more)
{
    struct oto_worker *worker = call->worker;
    uint64_t max = oto_engine_waiting_bytes_max(oto_service_engine(worker->service));
    if (worker->waiting_bytes && worker->waiting_bytes + more >= max && must_wait(worker)) {
        oto_shard_count_refused(worker->shard);
        oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, 1,
                      "more comes than can be written to files; retry");
        return 0;
    }
    worker->waiting_bytes += more;
    call->waiting_bytes += more;
    return 1;
}

void oto_otlp_forget_waiting(struct oto_call *call)
{
    call->worker->waiting_bytes -= call->waiting_bytes;
    call->waiting_bytes = 0;
}

int oto_otlp_admit(struct oto_call *call)
{
    return !refuse_when_not_ready(call) && oto_otlp_await(call, 0);
}

// 0: the timeout is malformed, and so the call was answered.
static int set_deadline(struct oto_call *call, const struct oto_http_request *request)
{
    struct oto_bytes value = oto_http_header(request, "grpc-timeout");
    uint64_t timeout_ns;
    if (value.size == 0)
        return 1;
    if (oto_grpc_timeout(value, &timeout_ns) < 0) {
        oto_call_fail(call, 400, OTO_GRPC_INVALID_ARGUMENT, 0,
                      "grpc-timeout must be 1 to 8 digits and a unit (H, M, S, m, u, n)");
        return 0;
    }
    uint64_t now_ns = oto_clock_monotonic_ns();
    call->deadline_ns = timeout_ns < UINT64_MAX - now_ns ? now_ns + timeout_ns : 0;
    return 1;
}

int oto_otlp_begin(struct oto_call *call)
{
    const struct oto_http_request *request = oto_exchange_request(call->exchange);
    if (call->route->grpc) {
        if (!set_deadline(call, request))
            return 0;
        if (oto_compression_from_name(oto_http_header(request, "grpc-encoding"),
                                      &call->compression) < 0) {
            struct oto_http_header accept = {OTO_BYTES_LITERAL("grpc-accept-encoding"),
                                             OTO_BYTES_LITERAL("identity,gzip,zstd,deflate")};
            oto_grpc_respond_error(
                call->exchange, OTO_GRPC_UNIMPLEMENTED,
                OTO_BYTES_LITERAL(
                    "this grpc-encoding is not offered; use identity, gzip, zstd or deflate"),
                (struct oto_bytes){0}, &accept, 1);
            return 0;
        }
    } else {
        if (!oto_call_encoding_find(oto_http_header(request, "content-type"), &call->encoding)) {
            oto_call_fail(call, 415, OTO_GRPC_INVALID_ARGUMENT, 0,
                          "content-type must be application/x-protobuf, application/json or "
                          "application/x-ndjson");
            return 0;
        }
        if (oto_compression_from_name(oto_http_header(request, "content-encoding"),
                                      &call->compression) < 0) {
            oto_call_fail(call, 415, OTO_GRPC_INVALID_ARGUMENT, 0,
                          "content-encoding must be identity, gzip, zstd or deflate");
            return 0;
        }
    }
    return oto_otlp_admit(call);
}

#define UNREAD(name)                                                                               \
    "a JSON document without " name " was ignored: it has no name of this request's (OTLP's "      \
    "names are lowerCamelCase)"

// Unknown names are ignored, as OTLP demands; who sends nothing else should know. May be NULL.
static const char *warning(struct oto_call *call)
{
    static const char *const texts[OTO_SIGNAL_COUNT] = {
        UNREAD("resourceLogs"), UNREAD("resourceSpans"), UNREAD("resourceMetrics")};
    struct oto_service *service = call->worker->service;
    const char *text = texts[call->route->signal];
    if (!call->has_unread)
        return NULL;
    if (oto_service_first_unread(service))
        oto_log_write(oto_service_log(service), OTO_LOG_WARN,
                      "%s: %s; further ones are only answered so", call->route->path, text);
    return text;
}

static void answer(struct oto_call *call)
{
    const struct oto_otlp_result *result = &call->ingest.result;
    const char *unread = warning(call);
    struct oto_buffer body;
    oto_buffer_init(&body, &oto_allocator_heap, 64 * 1024);
    enum oto_otlp_encoding encoding =
        call->encoding == OTO_CALL_JSON || call->encoding == OTO_CALL_JSON_LINES
            ? OTO_OTLP_JSON
            : OTO_OTLP_PROTOBUF;
    if (oto_otlp_write_response(encoding, call->route->signal, result->rejected,
                                result->message[0] ? result->message : unread, &body) < 0) {
        // Only memory can be missing here. A repetition is recognised, where anything in it has a
        // time.
        oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, 1,
                      "stored, but out of memory for the answer: send it again");
    } else if (call->encoding == OTO_CALL_GRPC) {
        oto_grpc_respond(call->exchange, oto_buffer_view(&body));
    } else {
        oto_call_respond(call, 200, oto_call_encoding_content_type(call->encoding),
                         oto_buffer_view(&body));
    }
    oto_buffer_release(&body);
}

// --- waiting for room ---
//
// In order of arrival. After PARK_NS a request is refused retryably, well before senders give up.
// What the log has taken does not come back: should the log fail, the sender has to come again.

#define PARK_NS 1000000000u
#define PARK_RETRY_MS 10
#define RETRY_BYTES (2u << 20) // of requests, in one go: commits and new input have their turn too

static int may_wait(struct oto_call *call, enum oto_status status)
{
    if ((status != OTO_UNAVAILABLE && status != OTO_NO_MEMORY) || call->closed ||
        call->body_released || oto_service_draining(call->worker->service))
        return 0;
    uint64_t now_ns = oto_clock_monotonic_ns();
    if (!call->parked_until_ns)
        call->parked_until_ns = now_ns + PARK_NS;
    return now_ns < call->parked_until_ns;
}

static void join(struct oto_call *call)
{
    struct oto_worker *worker = call->worker;
    int was_first = worker->retried == call;
    struct oto_call **at = was_first ? &worker->parked : worker->parked_end;
    call->parked = 1;
    call->parked_next = *at;
    *at = call;
    if (!call->parked_next)
        worker->parked_end = &call->parked_next;
    if (was_first)
        worker->retried = NULL;
}

static void leave(struct oto_call *call)
{
    struct oto_call **at = &call->worker->parked;
    while (*at != call)
        at = &(*at)->parked_next;
    *at = call->parked_next;
    if (!*at)
        call->worker->parked_end = at;
    call->parked = 0;
}

static int park(struct oto_call *call, enum oto_status status)
{
    struct oto_worker *worker = call->worker;
    int is_first = !worker->parked || worker->retried == call;
    if (!may_wait(call, status) ||
        (is_first && oto_loop_timer_arm(worker->loop, &worker->parked_retry, PARK_RETRY_MS) < 0))
        return 0;
    if (!call->waiting_bytes) { // it has been with the shard
        call->waiting_bytes = oto_exchange_request(call->exchange)->body.size;
        worker->waiting_bytes += call->waiting_bytes;
    }
    join(call);
    return 1;
}

// 0: it has to wait on, and is the first again. Its answer may end its connection, and so the
// waiting of any other: the list is the worker's all the time.
static int retry_first(struct oto_worker *worker)
{
    struct oto_call *call = worker->parked;
    leave(call);
    worker->retried = call;
    oto_call_complete(call);
    int has_left = worker->retried != NULL;
    worker->retried = NULL;
    return has_left;
}

// Tries the waiting requests again, in order, until one has to wait on, or it has been enough for
// now: those behind keep their places.
void oto_otlp_retry(struct oto_worker *worker)
{
    uint64_t enough = worker->waiting_bytes > RETRY_BYTES ? worker->waiting_bytes - RETRY_BYTES : 0;
    while (worker->parked && worker->waiting_bytes >= enough)
        if (!retry_first(worker))
            return;
    // Should there be no memory for the timer, the next commit or request goes on.
    if (worker->parked)
        (void)!oto_loop_timer_arm(worker->loop, &worker->parked_retry, 0);
}

static void retry_parked(struct oto_loop_timer *timer)
{
    oto_otlp_retry(timer->state);
}

void oto_otlp_init_worker(struct oto_worker *worker)
{
    worker->parked_end = &worker->parked;
    oto_loop_timer_init(&worker->parked_retry, retry_parked, worker);
}

void oto_otlp_closed(struct oto_call *call)
{
    leave(call);
    oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, 1, "the peer is gone"); // frees the exchange
}

static void fail_or_park(struct oto_call *call, enum oto_status status, const struct oto_error *err)
{
    if (!park(call, status))
        oto_call_fail_status(call, err);
}

static void on_done(struct oto_ingest *ingest, enum oto_status status, const struct oto_error *err)
{
    struct oto_call *call = (struct oto_call *)((char *)ingest - offsetof(struct oto_call, ingest));
    call->pending = 0;
    int closed =
        call->closed; // then answering only frees the exchange, and the call is ours to free
    if (status == OTO_OK)
        answer(call);
    else
        fail_or_park(call, status, err);
    if (closed)
        oto_call_free(call);
}

// What a body grows to, on its way to protobuf, is limited as the body is.
static enum oto_status name_limit(enum oto_status status, struct oto_error *err)
{
    if (status == OTO_TOO_LARGE)
        oto_error_context(err, "the request is larger than request_bytes_max");
    return status;
}

static enum oto_status decompress(struct oto_call *call, struct oto_bytes body,
                                  enum oto_compression compression, struct oto_error *err)
{
    struct oto_worker *worker = call->worker;
    worker->plain.size = 0;
    enum oto_status status = oto_decompress(worker->codec, compression, body, &worker->plain, err);
    int is_window = err->offset != OTO_OFFSET_NONE; // of zstd: has a limit of its own
    return is_window ? status : name_limit(status, err);
}

static enum oto_status transcode(struct oto_call *call, struct oto_bytes body,
                                 struct oto_error *err)
{
    struct oto_buffer *output = &call->worker->transcoded;
    enum oto_signal signal = call->route->signal;
    uint64_t unread_count = 0;
    const struct oto_otlp_json_limits limits = {.ret_unread_count = &unread_count};
    output->size = 0;
    enum oto_status status = (call->encoding == OTO_CALL_JSON ? oto_otlp_json_to_protobuf
                                                              : oto_otlp_json_lines_to_protobuf)(
        signal, body, &limits, output, err);
    call->has_unread = unread_count > 0;
    return name_limit(status, err);
}

static enum oto_status plain_payload(struct oto_call *call, struct oto_bytes body,
                                     struct oto_bytes *ret_payload, struct oto_error *err)
{
    struct oto_worker *worker = call->worker;
    enum oto_compression compression = call->compression;
    if (call->route->grpc) {
        int compressed;
        OTO_TRY(oto_grpc_unary_message(body, &compressed, &body, err));
        if (compressed && compression == OTO_COMPRESSION_NONE)
            return oto_error_set(
                err, OTO_INVALID,
                "the message is flagged as compressed, but there is no grpc-encoding");
        if (!compressed)
            compression = OTO_COMPRESSION_NONE;
    }
    if (compression != OTO_COMPRESSION_NONE) {
        OTO_TRY(decompress(call, body, compression, err));
        body = oto_buffer_view(&worker->plain);
    }
    if (call->encoding == OTO_CALL_JSON || call->encoding == OTO_CALL_JSON_LINES) {
        OTO_TRY(transcode(call, body, err));
        body = oto_buffer_view(&worker->transcoded);
    }
    *ret_payload = body;
    return OTO_OK;
}

// Large scratch memory is given back at once: it was one request's need, not the next one's.
static void shrink_scratch(struct oto_worker *worker)
{
    if (worker->plain.capacity > (4u << 20))
        oto_buffer_release(&worker->plain);
    if (worker->transcoded.capacity > (4u << 20))
        oto_buffer_release(&worker->transcoded);
}

// The copies of a body were counted when it was announced; it has turned out larger than that.
static int reserve_growth(struct oto_call *call, size_t body_size)
{
    size_t size = call->ingest.payload.size;
    if (call->grown || size <= body_size)
        return 1;
    call->grown = oto_call_reserve(call, OTO_EXPORT_COPIES * (uint64_t)(size - body_size));
    return call->grown;
}

static void ingest(struct oto_call *call)
{
    struct oto_error err;
    oto_error_init(&err);
    call->ingest.signal = call->route->signal;
    call->ingest.done = on_done;
    struct oto_bytes body = oto_exchange_request(call->exchange)->body;
    enum oto_status status = plain_payload(call, body, &call->ingest.payload, &err);
    struct oto_worker *worker = call->worker;
    if (status < 0) {
        err.status = status;
        fail_or_park(call, status, &err);
    } else if (reserve_growth(call, body.size)) {
        oto_otlp_forget_waiting(call);
        call->pending = 1;
        if (oto_shard_ingest(worker->shard, &call->ingest)) {
            call->body_released = 1;
            oto_exchange_release_body(call->exchange);
        }
    }
    shrink_scratch(worker);
}

void oto_otlp_handle(struct oto_call *call)
{
    if (!must_wait(call->worker)) {
        ingest(call);
    } else if (!park(call, OTO_UNAVAILABLE)) {
        oto_shard_count_refused(call->worker->shard);
        oto_call_fail(call, 503, OTO_GRPC_UNAVAILABLE, 1,
                      "more comes than can be written to files; retry");
    }
}
