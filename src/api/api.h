// What the protocol faces share: the worker of a loop thread, the call (one exchange on its way
// through a face), the route table and the answers that every face gives alike. Everything here
// happens on the worker's thread unless said otherwise.
#ifndef OTO_API_API_H
#define OTO_API_API_H

#include "api/log.h"
#include "api/service.h"
#include "codec/compress.h"
#include "engine/engine.h"
#include "net/grpc.h"
#include "otlp/otlp_response.h"
#include "query/query_client.h"

enum oto_role { OTO_ROLE_INGEST = 1, OTO_ROLE_QUERY = 2, OTO_ROLE_ADMIN = 4, OTO_ROLE_ALL = 7 };

struct oto_worker {
    struct oto_service *service;
    uint32_t index;
    struct oto_loop *loop;
    struct oto_http_server *server;
    struct oto_shard *shard;
    struct oto_codec *codec;
    struct oto_allocator
        budget;              // allocator of the scratch buffers: counts against the engine's memory
    struct oto_buffer plain; // decompressed body; reused
    struct oto_buffer transcoded; // JSON rewritten as protobuf; reused
    struct oto_loop_timer tick;
    struct oto_call *parked,
        **parked_end;         // export requests that wait for room, in order of arrival
    struct oto_call *retried; // the first of them while it is tried again, or NULL
    struct oto_loop_timer parked_retry;
    uint64_t waiting_bytes;   // of export bodies that the shard has not been given yet
    struct oto_call *watches; // open Health/Watch calls
};

enum oto_call_encoding {
    OTO_CALL_GRPC,
    OTO_CALL_PROTOBUF,
    OTO_CALL_JSON,
    OTO_CALL_JSON_LINES,
    OTO_CALL_TEXT
};

struct oto_route;

// One exchange in the hands of a face. Freed when the exchange is closed and nothing else holds it.
struct oto_call {
    const struct oto_allocator *allocator; // its own memory's
    struct oto_worker *worker;
    struct oto_exchange *exchange;
    const struct oto_route *route;
    enum oto_call_encoding encoding;
    enum oto_compression compression;
    uint64_t reserved_bytes;
    uint64_t deadline_ns; // monotonic; 0: none
    int closed;
    int pending;              // an ingest or query still refers to it
    int parked;               // in the worker's list of waiting requests
    uint64_t parked_until_ns; // monotonic; 0: never waited
    uint64_t waiting_bytes;   // its part of the worker's
    int grown;                // what its body grew to is counted
    int body_released;        // there is nothing left to try again with
    struct oto_call *parked_next;
    struct oto_ingest ingest;
    void *query;                 // rest.c's own
    struct oto_call *watch_next; // of a Health/Watch call that is open
    uint8_t has_unread;          // JSON of which no name is OTLP's
    uint8_t watching;
    uint8_t watch_status; // said last
};

struct oto_route {
    const char *method;
    const char *path;
    enum oto_role role;
    int grpc;
    size_t body_bytes_max;  // 0: no body; SIZE_MAX: the configured largest request
    enum oto_signal signal; // of ingest routes
    // Looks at the headers: returns 0 after having answered, 1 to go on.
    int (*begin)(struct oto_call *call);
    void (*handle)(struct oto_call *call);
};
extern const struct oto_route oto_routes[];
extern const size_t oto_route_count;

// --- the faces ---
int oto_otlp_begin(struct oto_call *call);
int oto_otlp_admit(struct oto_call *call); // the last step of begin: 0 when now is no time for it
void oto_otlp_handle(struct oto_call *call);
void oto_otlp_init_worker(struct oto_worker *worker);
void oto_otlp_closed(struct oto_call *call); // the peer of a parked request is gone
// Counts more of a body that is to come; 0 when too much waits already.
int oto_otlp_await(struct oto_call *call, uint64_t more);
void oto_otlp_forget_waiting(struct oto_call *call);
void oto_otlp_retry(struct oto_worker *worker); // the shard may have room again
void oto_health_check(struct oto_call *call);
void oto_health_watch(struct oto_call *call);
void oto_health_tick(struct oto_worker *worker);
void oto_health_closed(struct oto_call *call); // the peer of an open watch is gone
void oto_admin_health(struct oto_call *call);
void oto_admin_ready(struct oto_call *call);
void oto_admin_metrics(struct oto_call *call);
void oto_admin_index(struct oto_call *call);
int oto_rest_begin(struct oto_call *call);
void oto_rest_sql(struct oto_call *call);
void oto_rest_spans(struct oto_call *call);
void oto_rest_closed(struct oto_call *call); // the peer is gone
void oto_rest_cancel(struct oto_call *call); // ends the query; its answer says so

// Counts memory for a call until it is closed; 0: refused and answered.
int oto_call_reserve(struct oto_call *call, uint64_t more);
// What an export request becomes beside its body: bytes staged for the log, and rows.
#define OTO_EXPORT_COPIES 2

// --- answers ---
// A failure in the form of the path (error_body.c): google.rpc.Status in protobuf or JSON, gRPC
// trailers, or {"error": …}.
void oto_call_fail(struct oto_call *call, int http_status, enum oto_grpc_status grpc_status,
                   uint32_t retry_s, const char *message);
// The same from a library status: retryable ones are 503 / UNAVAILABLE.
void oto_call_fail_status(struct oto_call *call, const struct oto_error *err);
// A failure of a path of our own; err->line and column are told where they are known.
void oto_call_fail_own(struct oto_call *call, int http_status, const struct oto_error *err);
void oto_call_respond(struct oto_call *call, int http_status, const char *content_type,
                      struct oto_bytes body);
// Whether a failure on this path is {"error": …}; else it is a google.rpc.Status.
int oto_error_body_is_own(const struct oto_http_request *request);
enum oto_status oto_error_body_write(const struct oto_error *err, struct oto_buffer *body);
enum oto_status oto_error_body_write_plain(enum oto_grpc_status grpc_status, const char *message,
                                           struct oto_buffer *body);
// Why a request may come from a web page that has no business here (foreign Host or Origin), or
// NULL. gRPC is not asked: no browser sends it.
const char *oto_call_foreign(struct oto_call *call);
const char *oto_call_encoding_content_type(enum oto_call_encoding encoding);
// Of a Content-Type of OTLP/HTTP; 0: it is none.
int oto_call_encoding_find(struct oto_bytes content_type, enum oto_call_encoding *ret_encoding);

// When it is closed and nothing else refers to it.
void oto_call_free(struct oto_call *call);
// Hands a complete request to its route, unless its deadline has passed.
void oto_call_complete(struct oto_call *call);

// --- the service, as faces see it ---
struct oto_engine *oto_service_engine(struct oto_service *service);
struct oto_query_client *oto_service_query_client(struct oto_service *service);
const struct oto_config *oto_service_config(struct oto_service *service);
const struct oto_log *oto_service_log(const struct oto_service *service);
const char *oto_service_version(struct oto_service *service);
// 1 for the first that asks: for what is logged once, as senders repeat their mistakes.
int oto_service_first_unread(struct oto_service *service);
int oto_service_draining(struct oto_service *service);
uint32_t oto_service_roles(struct oto_service *service, uint32_t listener);
// What a larger request needs, with its copies, is never free: refused for good, not retryably.
size_t oto_service_request_bytes_max(const struct oto_service *service);
int oto_service_listener_is_local(struct oto_service *service, uint32_t listener);
// Sum over the workers, as of each worker's last tick (and of this moment for the calling one).
void oto_service_http_stats(struct oto_service *service, struct oto_http_stats *ret_stats);
extern const struct oto_http_handler oto_api_handler; // state: the worker

#endif
