// grpc.health.v1.Health: Check answers once, Watch says each change until the peer or the server
// leaves. The services are "" (all of it) and the three of OTLP; they serve together.
#include "api/api.h"

#include "wire/protobuf.h"

enum serving { UNKNOWN = 0, SERVING = 1, NOT_SERVING = 2, SERVICE_UNKNOWN = 3 };

static enum serving current(struct oto_worker *worker)
{
    char text[200];
    enum oto_engine_state state =
        oto_engine_status(oto_service_engine(worker->service), text, sizeof(text));
    return state == OTO_ENGINE_READY && !oto_service_draining(worker->service) ? SERVING
                                                                               : NOT_SERVING;
}

// HealthCheckRequest{1 service}. 0: malformed, and so the call was answered.
static int read_service(struct oto_call *call, struct oto_bytes *ret_service)
{
    int compressed;
    struct oto_bytes message;
    struct oto_error err;
    oto_error_init(&err);
    struct oto_bytes body = oto_exchange_request(call->exchange)->body;
    if (oto_grpc_unary_message(body, &compressed, &message, &err) < 0) {
        oto_call_fail_status(call, &err);
        return 0;
    }
    *ret_service = (struct oto_bytes){0};
    struct oto_pb_cursor c = oto_pb_cursor(message);
    uint32_t tag;
    enum oto_status status = compressed ? OTO_INVALID : OTO_OK;
    while (status == OTO_OK && (status = oto_pb_tag(&c, &tag)) == OTO_OK)
        status = tag == OTO_PB_TAG(1, OTO_PB_BYTES) ? oto_pb_bytes(&c, ret_service)
                                                    : oto_pb_skip(&c, tag);
    if (status != OTO_END) {
        oto_error_set(&err, OTO_INVALID, "malformed HealthCheckRequest");
        oto_call_fail_status(call, &err);
        return 0;
    }
    return 1;
}

// A service is known by its route: "/<service>/Export".
static int is_known(struct oto_bytes service)
{
    if (service.size == 0)
        return 1;
    for (size_t i = 0; i < oto_route_count; i++) {
        const char *path = oto_routes[i].path;
        if (oto_routes[i].grpc && strlen(path) > service.size + 1 &&
            memcmp(path + 1, service.data, service.size) == 0 && path[1 + service.size] == '/')
            return 1;
    }
    return 0;
}

void oto_health_check(struct oto_call *call)
{
    struct oto_bytes service;
    if (!read_service(call, &service))
        return;
    if (!is_known(service)) {
        oto_call_fail(call, 404, OTO_GRPC_NOT_FOUND, 0, "unknown service");
        return;
    }
    uint8_t message[2] = {0x08, (uint8_t)current(call->worker)}; // HealthCheckResponse{1 status}
    oto_grpc_respond(call->exchange, oto_bytes(message, sizeof(message)));
}

// --- watches ---

static void say(struct oto_call *call, enum serving status)
{
    const uint8_t frame[7] = {0, 0, 0, 0, 2, 0x08, (uint8_t)status};
    call->watch_status = (uint8_t)status;
    (void)oto_exchange_write(call->exchange, frame, sizeof(frame));
}

void oto_health_watch(struct oto_call *call)
{
    static const struct oto_http_header type = {OTO_BYTES_LITERAL("content-type"),
                                                OTO_BYTES_LITERAL("application/grpc")};
    struct oto_bytes service;
    if (!read_service(call, &service))
        return;
    call->watching = 1;
    call->watch_next = call->worker->watches;
    call->worker->watches = call;
    oto_exchange_respond_begin(call->exchange, 200, &type, 1, NULL, NULL);
    say(call, is_known(service) ? current(call->worker) : SERVICE_UNKNOWN);
}

static void forget(struct oto_call *call)
{
    struct oto_call **at = &call->worker->watches;
    while (*at != call)
        at = &(*at)->watch_next;
    *at = call->watch_next;
    call->watching = 0;
}

static void end_all(struct oto_worker *worker)
{
    static const struct oto_http_header trailers[] = {
        {OTO_BYTES_LITERAL("grpc-status"), OTO_BYTES_LITERAL("14")},
        {OTO_BYTES_LITERAL("grpc-message"), OTO_BYTES_LITERAL("the server is shutting down")}};
    while (worker->watches) {
        struct oto_call *call = worker->watches;
        forget(call);
        oto_exchange_end(call->exchange, trailers, 2);
    }
}

void oto_health_tick(struct oto_worker *worker)
{
    enum serving now = current(worker);
    for (struct oto_call *call = worker->watches; call; call = call->watch_next)
        if (call->watch_status != SERVICE_UNKNOWN && call->watch_status != now)
            say(call, now);
    if (worker->watches && oto_service_draining(worker->service))
        end_all(worker);
}

void oto_health_closed(struct oto_call *call)
{
    forget(call);
    oto_exchange_abort(call->exchange); // frees it
}
