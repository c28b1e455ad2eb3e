// HTTP server on a loop: HTTP/1.1 (own parser) and HTTP/2 by prior knowledge on one
// listener, told apart by the first bytes; gRPC is HTTP/2 with its content type. It knows no
// telemetry: it hands each exchange (a request and its answer) to a handler, in two steps, so that
// a request can be refused before its body is read. Everything of one server and its exchanges
// happens on its loop's thread. TCP_NODELAY on every connection.
#ifndef OTO_NET_HTTP_SERVER_H
#define OTO_NET_HTTP_SERVER_H

#include "base/bytes.h"
#include "net/loop.h"

struct oto_http_server;
struct oto_exchange;

struct oto_http_header {
    struct oto_bytes name; // lower case
    struct oto_bytes value;
};

enum oto_http_version { OTO_HTTP_1_0, OTO_HTTP_1_1, OTO_HTTP_2 };

// What the handler sees of a request. Views are valid until the exchange is answered or closed.
struct oto_http_request {
    enum oto_http_version version;
    struct oto_bytes method;               // "POST"
    struct oto_bytes path;                 // percent-decoding is not applied; without query
    struct oto_bytes query;                // after '?', or empty
    struct oto_bytes authority;            // Host or :authority
    const struct oto_http_header *headers; // content-length may be missing here
    size_t header_count;
    uint64_t content_length; // UINT64_MAX when not announced
    int is_grpc;             // content-type application/grpc or application/grpc+...
    uint32_t listener;       // index of the listener it came in by
    struct oto_bytes body;   // whole body; set when `complete` is called
};

// The value of the first header of that lower-case name, or an empty view.
struct oto_bytes oto_http_header(const struct oto_http_request *request, const char *name);

struct oto_http_handler {
    void *state;
    // The header block is complete. The handler either calls oto_exchange_read_body (complete
    // follows), or oto_exchange_respond at once: the body is then neither read nor kept (HTTP/1.1:
    // drained up to 64 KiB, else the connection closes; no "100 Continue" is sent).
    void (*headers)(void *state, struct oto_exchange *exchange);
    // `more` further body bytes are about to be kept (the announced length at once, else as they
    // come). 0 refuses: the handler must have called oto_exchange_respond. Bytes are given back by
    // the handler itself when the exchange ends.
    int (*reserve)(void *state, struct oto_exchange *exchange, size_t more);
    // The whole body is in request->body. The answer may be given now or later, on this thread.
    void (*complete)(void *state, struct oto_exchange *exchange);
    // The exchange is over: answered and sent, or the peer is gone (answered = 0). Last call for
    // it; when the handler still owes an answer (complete was called, or headers and nothing was
    // asked or answered), the exchange pointer stays valid until oto_exchange_respond (or _end,
    // _abort after respond_begin), which then only frees it. Otherwise, and so when the peer left
    // before `complete`, the pointer is dead when this returns.
    void (*closed)(void *state, struct oto_exchange *exchange, int answered);
    // Optional. The peer has closed its side (HTTP/1.1) and waits for the answer, or, most often,
    // is gone: costly work for it may be ended. The answer is not to be given from within.
    void (*half_closed)(void *state, struct oto_exchange *exchange);
    // Optional. A connection will need about so many bytes as long as it is open, whether or not
    // there are requests. 1: counted; the same is given back by uncount. It is served in any case.
    int (*count)(void *state, size_t bytes);
    void (*uncount)(void *state, size_t bytes);
    // Optional. Writes the body of an error that the server answers by itself (400, 405, 408, 413,
    // 414, 417, 431, 503, 505): up to capacity bytes to body, the media type, NUL-terminated, to
    // content_type (64 bytes). Returns the size of the body. request is NULL when its head could
    // not be read. NULL: the reason as text/plain. gRPC errors need none.
    size_t (*error_body)(void *state, int status, const char *reason,
                         const struct oto_http_request *request, char *content_type, uint8_t *body,
                         size_t capacity);
};

struct oto_http_limits {
    uint32_t connections_max;      // beyond it, new connections are closed at once; default 10000
    uint32_t header_bytes_max;     // whole block, decoded; default 32768 -> 431
    uint32_t header_count_max;     // default 128 -> 431
    uint32_t streams_max;          // concurrent streams a HTTP/2 connection; default 256
    uint32_t header_timeout_ms;    // first byte to end of headers; default 10000
    uint32_t body_timeout_ms;      // end of headers to end of body; default 60000, and
    uint32_t body_bytes_per_s_min; // slowest average rate after 5 s; default 512
    uint32_t idle_timeout_ms;      // keep-alive without a request; default 120000
    uint32_t write_timeout_ms;     // without progress; default 30000
    uint32_t pipeline_max;         // HTTP/1.1 requests read ahead of their answers; default 16;
                                   // none while the peer has 256 KiB or 256 answers to read
    uint32_t age_max_ms;           // of a connection, give or take a tenth: then it is drained like
                                   // all are by oto_http_server_drain; default 0: for ever
    uint32_t age_grace_ms;         // and closed so long after; default 10000
    size_t body_pool_bytes_max; // memory of bodies kept for the next ones while there is traffic;
                                // default 6 MiB
};
void oto_http_limits_default(struct oto_http_limits *limits);

// Counts since start; read on the loop's thread.
struct oto_http_stats {
    uint64_t connections_accepted, connections_refused, connections_open;
    uint64_t requests_http1, requests_http2, bytes_in, bytes_out, protocol_errors, timeouts;
};

// allocator is borrowed for the server's life.
struct oto_http_server *oto_http_server_new(struct oto_loop *loop,
                                            const struct oto_allocator *allocator,
                                            const struct oto_http_handler *handler,
                                            const struct oto_http_limits *limits,
                                            struct oto_error *err);
// Serves a listening socket (os/socket.h) that several loops may share; index is given back in
// request->listener. Borrows fd.
OTO_MUST_CHECK enum oto_status oto_http_server_listen(struct oto_http_server *server,
                                                      int listening_fd, uint32_t index,
                                                      struct oto_error *err);
// Both share their connections evenly from now on, with all that either shares with already: who
// accepts one hands it to the server that has the fewest. For servers of several loops behind the
// same listeners; before their loops run. A loop that has ended must run its rest
// (oto_loop_run_rest) before its server is freed. Their allocators must be any thread's.
void oto_http_server_join(struct oto_http_server *server, struct oto_http_server *other);
// Stops accepting; HTTP/2: GOAWAY, HTTP/1.1: what is under way is answered, the last of it with
// "Connection: close", or else the next request; idle connections are closed. Calls drained once no
// connection is left, or when grace_ms is over (the rest is then closed).
void oto_http_server_drain(struct oto_http_server *server, uint32_t grace_ms,
                           void (*drained)(void *state), void *state);
const struct oto_http_stats *oto_http_server_stats(const struct oto_http_server *server);
void oto_http_server_free(struct oto_http_server *server); // closes what is open

// --- exchanges ---
struct oto_http_request *oto_exchange_request(struct oto_exchange *exchange);
// A slot for the handler's own state; NULL at first.
void **oto_exchange_user(struct oto_exchange *exchange);
// The server's loop, for timers and posts.
struct oto_loop *oto_exchange_loop(struct oto_exchange *exchange);
// A word for what the handler made of the head, 0 at first: requests with the very same head
// (Content-Length aside) on the same connection have it in common. NULL when there is none.
uint64_t *oto_exchange_memo(struct oto_exchange *exchange);
// For small memory of the handler's own for a request, which goes round. What was taken may be
// given back when exchange and server are gone.
const struct oto_allocator *oto_exchange_allocator(const struct oto_exchange *exchange);
// 0 once the peer is gone: work for it may be dropped.
int oto_exchange_alive(const struct oto_exchange *exchange);

// Asks for the body, at most body_bytes_max (else the server answers 413, or RESOURCE_EXHAUSTED,
// with that number, and with what the limit is called where it has a name: a static string or
// NULL). Sends "100 Continue" where the client waits for it.
void oto_exchange_read_body(struct oto_exchange *exchange, size_t body_bytes_max,
                            const char *limit_name);

// The body has been read: its memory goes to the next request, long before the answer where that
// takes its time. request->body is empty from then on.
void oto_exchange_release_body(struct oto_exchange *exchange);

struct oto_http_response {
    int status;                            // 200
    const struct oto_http_header *headers; // content-length, date, connection are the server's own
    size_t header_count;
    struct oto_bytes body;                  // copied
    const struct oto_http_header *trailers; // HTTP/2 only; for HTTP/1.1 left out
    size_t trailer_count;
    int close; // HTTP/1.1: close after it
};
// Answers in one piece. Exactly one of respond or respond_begin is called for an exchange. HEAD
// gets no body. Legal when the peer is gone.
void oto_exchange_respond(struct oto_exchange *exchange, const struct oto_http_response *response);

// Answers with an error in the form of the server's own (handler->error_body).
void oto_exchange_refuse(struct oto_exchange *exchange, int status, const char *reason);

// Answers in pieces (chunked in HTTP/1.1): begin, then write any number of times, then end
// (trailers may be NULL). drained is called each time the unsent backlog falls under 256 KiB (and
// once after the peer is gone): writers with much to say wait for it.
void oto_exchange_respond_begin(struct oto_exchange *exchange, int status,
                                const struct oto_http_header *headers, size_t header_count,
                                void (*drained)(void *state), void *state);
// Copies data. Returns the backlog in bytes; SIZE_MAX when the peer is gone.
size_t oto_exchange_write(struct oto_exchange *exchange, const void *data, size_t size);
void oto_exchange_end(struct oto_exchange *exchange, const struct oto_http_header *trailers,
                      size_t trailer_count);
// Ends a begun answer as broken (HTTP/1.1: connection closed, HTTP/1.0: reset, HTTP/2: RST_STREAM
// INTERNAL_ERROR).
void oto_exchange_abort(struct oto_exchange *exchange);

#endif
