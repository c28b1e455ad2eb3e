// The body of an answer that is no success. OTLP's own paths, and every path that an exporter may
// have meant for one, give a google.rpc.Status in the request's encoding, as OTLP/HTTP demands. Our
// own give {"error": {"status": …, "message": …}}, with the place in the SQL where one is known.
#include "api/api.h"

#include "wire/json.h"

// A wrong method on "/" or "/health" may well be an exporter that was given half an address.
int oto_error_body_is_own(const struct oto_http_request *request)
{
    if (request->is_grpc)
        return 0;
    if (oto_bytes_begin_with(request->path, "/api/"))
        return 1;
    int reads = oto_bytes_equal_text(request->method, "GET") ||
                oto_bytes_equal_text(request->method, "HEAD");
    for (size_t i = 0; i < oto_route_count; i++) {
        const struct oto_route *route = &oto_routes[i];
        if (!route->grpc && oto_bytes_equal_text(request->path, route->path))
            return route->role == OTO_ROLE_QUERY || (route->role != OTO_ROLE_INGEST && reads);
    }
    return 0;
}

static enum oto_status status_of(enum oto_grpc_status grpc_status)
{
    switch (grpc_status) {
    case OTO_GRPC_INVALID_ARGUMENT:
        return OTO_INVALID;
    case OTO_GRPC_DEADLINE_EXCEEDED:
        return OTO_TIMEOUT;
    case OTO_GRPC_NOT_FOUND:
        return OTO_NOT_FOUND;
    case OTO_GRPC_PERMISSION_DENIED:
        return OTO_DENIED;
    case OTO_GRPC_RESOURCE_EXHAUSTED:
        return OTO_TOO_LARGE;
    case OTO_GRPC_UNIMPLEMENTED:
        return OTO_UNSUPPORTED;
    case OTO_GRPC_UNAVAILABLE:
        return OTO_UNAVAILABLE;
    default:
        return OTO_INTERNAL;
    }
}

enum oto_status oto_error_body_write(const struct oto_error *err, struct oto_buffer *body)
{
    struct oto_json_writer w;
    oto_json_writer_init(&w, body);
    oto_json_object_begin(&w);
    oto_json_write_name(&w, OTO_BYTES_LITERAL("error"));
    oto_json_object_begin(&w);
    oto_json_write_name(&w, OTO_BYTES_LITERAL("status"));
    oto_json_write_text(&w, oto_status_name(err->status));
    oto_json_write_name(&w, OTO_BYTES_LITERAL("message"));
    oto_json_write_text(&w, err->message);
    if (err->line) {
        oto_json_write_name(&w, OTO_BYTES_LITERAL("line"));
        oto_json_write_u64(&w, err->line);
        oto_json_write_name(&w, OTO_BYTES_LITERAL("column"));
        oto_json_write_u64(&w, err->column);
    }
    oto_json_object_end(&w);
    oto_json_object_end(&w);
    return w.status;
}

enum oto_status oto_error_body_write_plain(enum oto_grpc_status grpc_status, const char *message,
                                           struct oto_buffer *body)
{
    struct oto_error err;
    oto_error_init(&err);
    (void)oto_error_set(&err, status_of(grpc_status), "%s", message);
    return oto_error_body_write(&err, body);
}
