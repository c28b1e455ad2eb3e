// What the files of the HTTP server share: connections, exchanges, and what a protocol does with
// them. Not for others. A connection is never closed inside a callback: it is doomed, marked dirty,
// and closed when the round is flushed.
#ifndef OTO_NET_HTTP_INTERNAL_H
#define OTO_NET_HTTP_INTERNAL_H

#include <stdatomic.h>

#include "net/http1_parser.h"
#include "net/http_server.h"
#include "net/recycler.h"
#include "net/small_blocks.h"

#define HTTP_BACKLOG_LOW (256u << 10)    // below it, writers are called for more
#define HTTP_DISCARD_MAX (4u << 20)      // of an unwanted body, before the connection is given up
#define HTTP_READ_SIZE (128u << 10)      // the server's one read buffer
#define HTTP_OUT_POOLED_MAX (128u << 10) // larger output buffers are not kept
#define HTTP_OUT_POOL 64                 // output buffers kept for reuse
#define HTTP_BODY_POOL 128               // body buffers kept for reuse while there is traffic
#define HTTP_BODY_POOLED_MIN (16u << 10)
#define HTTP_BODY_POOLED_MAX (2u << 20)
#define HTTP_LINGER_MS 2000       // waiting for the peer to read our last answer
#define HTTP_RATE_GRACE_MS 5000   // before the slowest body rate is enforced
#define HTTP_BODY_LATE_STATUS 503 // not 408, after which OTLP clients give the data up
#define HTTP_LISTENERS_MAX 16
#define HTTP_KEPT_HEAD_MS 5000 // of an idle connection, for a next request like the last one
#define HTTP_RESPONSE_HEADERS_MAX 64

struct http_connection;

enum http_body_state {
    HTTP_BODY_WAITING, // the handler has not said what it wants
    HTTP_BODY_READING,
    HTTP_BODY_DISCARDED,
    HTTP_BODY_COMPLETE, // handed to the handler
};

enum http_answer_state { HTTP_ANSWER_NONE, HTTP_ANSWER_BEGUN, HTTP_ANSWER_ENDED };

struct oto_exchange {
    struct oto_http_request request;
    void *user;
    struct http_connection *connection; // NULL once the peer is gone
    const struct oto_http_handler *handler;
    const struct oto_allocator *allocator;
    struct oto_loop *loop;
    struct oto_exchange *prev, *next; // in the connection's list of open or of sent exchanges
    size_t block_size; // of this struct, and, without a shared head, the headers and their text
    struct http_shared_head *head; // HTTP/2: a reference, or NULL

    struct oto_buffer body;
    size_t body_max, body_reserved;
    const char *body_max_name; // for people; may be NULL
    uint64_t head_ms;          // when the head was complete
    uint64_t progress_ms;      // when the answer last moved
    uint64_t out_end;          // the connection's byte count at the answer's end
    struct oto_buffer out; // HTTP/1.1: of an answer whose turn has not come; HTTP/2: not yet framed
    size_t out_start;      // HTTP/2: sent so far
    struct oto_buffer trailers; // HTTP/2: their frames
    void (*drained)(void *state);
    void *drained_state;

    // HTTP/2
    uint32_t stream_id;
    int32_t receive_window;
    int64_t send_window;
    uint64_t received;                           // bytes of the body
    size_t heads_left;                           // of out: frames already, not data
    struct oto_exchange *slot_next, *ready_next; // see http2_streams.c

    uint8_t body_state, answer_state;
    uint8_t body_ended;      // by the peer
    uint8_t internal;        // the server's own error answer: the handler never hears of it
    uint8_t calls;           // handler callbacks running now
    uint8_t free_after_call; // freed as soon as they return
    uint8_t over_backlog;    // the writer was told of a long backlog, and waits
    uint8_t keep_alive;      // HTTP/1.1: the client allows it
    uint8_t close_after;     // HTTP/1.1: this is the last answer
    uint8_t is_head;         // answers have no body
    uint8_t is_chunked;      // HTTP/1.1: the answer
    uint8_t ends_by_close;   // HTTP/1.0: the answer, whose end is the connection's
    uint8_t expect_continue; // HTTP/1.1: and not sent yet
    uint8_t deferred;        // HTTP/2: more of the answer is waited for
    uint8_t is_ready;        // HTTP/2: in the queue of those with something to send
    uint8_t is_aborted;      // HTTP/2: and to be reset in its turn
    uint8_t end_in_heads;    // HTTP/2: the answer has no body
};

// A request's head that several exchanges of a connection have in common; header structs and their
// text stand behind it.
struct http_shared_head {
    uint32_t refs;
    size_t block_size;
    uint64_t memo; // the handler's
    struct oto_http_request request;
};

static inline struct oto_http_header *http_shared_head_headers(struct http_shared_head *head)
{
    return (struct oto_http_header *)(head + 1);
}

// The head of a request as the protocols find it; views into their input.
struct http_head {
    enum oto_http_version version;
    struct oto_bytes method, target, authority;
    const struct oto_http_header *headers;
    size_t header_count;
    uint64_t content_length;
};

struct http_protocol {
    void (*input)(struct http_connection *c, struct oto_bytes bytes);
    void (*input_end)(struct http_connection *c);
    // Moves what can be sent into the connection's output, and works off input that had to wait.
    void (*flush)(struct http_connection *c);
    void (*tick)(struct http_connection *c, uint64_t now_ms);
    void (*drain)(struct http_connection *c,
                  int last);                    // last = 0: a first notice; 1: no new requests
    void (*release)(struct http_connection *c); // the exchanges are gone already
    // Of exchanges; the peer is there and the state was checked and set.
    void (*read_body)(struct oto_exchange *e);
    void (*answer)(struct oto_exchange *e, const struct oto_http_response *response,
                   struct oto_bytes body_prefix);
    void (*begin)(struct oto_exchange *e, int status, const struct oto_http_header *headers,
                  size_t header_count);
    size_t (*write)(struct oto_exchange *e, struct oto_bytes data);
    void (*end)(struct oto_exchange *e, const struct oto_http_header *trailers,
                size_t trailer_count);
    void (*abort)(struct oto_exchange *e);
    size_t (*backlog)(const struct oto_exchange *e);
};

extern const struct http_protocol http1_protocol;
extern const struct http_protocol http2_protocol;

struct http_exchanges {
    struct oto_exchange *first, *last;
    uint32_t count;
};

struct http_connection {
    struct oto_loop_watch watch;
    struct oto_http_server *server;
    struct http_connection *prev, *next; // all of the server
    struct http_connection *dirty_next;
    const struct http_protocol *protocol; // NULL while the first bytes are awaited
    void *protocol_state;                 // the protocol's own
    struct http_exchanges open;           // in order of arrival
    struct http_exchanges sent;           // wholly in the output, not yet with the peer
    struct oto_buffer out;
    size_t out_start;
    uint64_t sent_total;  // bytes since the beginning
    uint64_t open_ms;     // when it was accepted
    uint64_t retired_ms;  // when its age was told to the peer, else 0
    uint64_t input_ms;    // when bytes last came
    uint64_t progress_ms; // when output last went
    uint64_t linger_ms;   // 0, or when lingering began
    uint32_t listener;
    uint8_t sniffed[3]; // first bytes while there are too few to decide
    uint8_t sniffed_size;
    uint8_t is_dirty;
    uint8_t is_doomed;
    uint8_t is_draining;
    uint8_t read_paused;
    uint8_t peer_ended;   // it has sent its last byte, and the requests under way were told
    uint8_t close_after;  // once the output is sent
    uint8_t linger_after; // and then wait for the peer to read it: there may be unread input
};

struct http_listener {
    struct oto_loop_watch watch;
    struct oto_http_server *server;
    uint32_t index;
    int watched;
};

struct oto_http_server {
    struct oto_loop *loop;
    const struct oto_allocator *allocator;
    struct oto_http_handler handler;
    struct oto_http_limits limits;
    struct oto_http_stats stats;
    struct http_listener listeners[HTTP_LISTENERS_MAX];
    size_t listener_count;
    struct oto_http_server *peer; // the next of those that share connections: a ring
    atomic_uint load;             // connections, and those on their way here; the peers read it
    struct http_connection *connections, *dirty;
    struct oto_loop_timer tick_timer, accept_timer, again_timer, drain_timer;
    uint64_t drain_deadline_ms;
    int draining; // 0, 1 first notice given, 2 last notice given, 3 told
    void (*drained)(void *state);
    void *drained_state;
    char date[32]; // of date_s
    uint64_t date_s;
    struct oto_buffer out_pool[HTTP_OUT_POOL];
    size_t out_pool_count;
    struct oto_buffer body_pool[HTTP_BODY_POOL];
    size_t body_pool_count, body_pool_bytes;
    struct oto_small_blocks blocks; // for nghttp2
    struct oto_recycler *recycler;
    const struct oto_allocator *recycled; // the recycler's: exchanges, heads, bodies
    int pools_used;                       // since the last tick: else they are given up
    uint64_t ticked_ms;
    int tick_skipped;
    uint8_t *read_buffer;
    // Scratch of one call.
    struct oto_http1_head head;
    struct oto_http_header headers[OTO_HTTP1_HEADERS_CAP];
};

static inline uint64_t http_now_ms(const struct oto_http_server *server)
{
    return oto_loop_now_ns(server->loop) / 1000000;
}

// --- http_server.c ---
const char *http_date(struct oto_http_server *server); // "Sun, 06 Nov 1994 08:49:37 GMT"
const char *http_status_reason(int status);
// Large bodies' memory goes round, else each would cost its page faults anew. borrow: body is
// empty; it may stay so.
void http_server_body_borrow(struct oto_http_server *server, struct oto_buffer *body, size_t size);
void http_server_body_return(struct oto_http_server *server, struct oto_buffer *body);
// A connection has closed.
void http_server_connection_gone(struct oto_http_server *server);

// 0 when a byte must not stand in a header we write (a response is never split by what we reflect).
int http_value_is_safe(struct oto_bytes text);

// --- http_connection.c ---
void http_connection_new(struct oto_http_server *server, int fd, uint32_t listener);
void http_connection_mark(struct http_connection *c);
void http_connection_doom(struct http_connection *c);
void http_connection_flush(struct http_connection *c);
void http_connection_tick(struct http_connection *c, uint64_t now_ms);
void http_connection_close(struct http_connection *c);
void http_connection_pause(struct http_connection *c, int paused);
// The peer has sent its last byte: whatever waits for an answer is told, once.
void http_connection_peer_ended(struct http_connection *c);
// Appends to the output; dooms the connection when there is no memory.
void http_connection_put(struct http_connection *c, const void *data, size_t size);
// Room at the end of the output, which counts as written; NULL when there is no memory, and the
// connection is doomed.
uint8_t *http_connection_room(struct http_connection *c, size_t size);
static inline size_t http_connection_pending(const struct http_connection *c)
{
    return c->out.size - c->out_start;
}

// --- http_exchange.c ---
void http_exchanges_push(struct http_exchanges *list, struct oto_exchange *e);
void http_exchanges_remove(struct http_exchanges *list, struct oto_exchange *e);
// NULL when out of memory. Puts it at the end of the connection's open ones. head NULL: an internal
// one without a request.
struct oto_exchange *http_exchange_new(struct http_connection *c, const struct http_head *head);
// The same of a head that is filled in already. Takes a reference of its own.
struct oto_exchange *http_exchange_shared(struct http_connection *c, struct http_shared_head *head);
// With room for so many headers and bytes of text, and one reference. allocator: the server's
// recycled. NULL when out of memory.
struct http_shared_head *http_shared_head_new(const struct oto_allocator *allocator,
                                              size_t header_count, size_t text_size);
// A copy, without content-length, which may be another the next time. NULL when out of memory.
struct http_shared_head *http_shared_head_copy(const struct oto_allocator *allocator,
                                               const struct http_head *head);
void http_shared_head_unref(struct http_shared_head *head, const struct oto_allocator *allocator);
// What follows from the head: the query is taken off the path, is_grpc is set.
void http_request_complete(struct oto_http_request *request);
// Calls the handler with the head.
void http_exchange_headers(struct oto_exchange *e);
void http_exchange_body_data(struct oto_exchange *e, struct oto_bytes data);
void http_exchange_body_end(struct oto_exchange *e);
// 1 when a body that is being read is later than the limits allow.
int http_exchange_body_late(const struct oto_exchange *e, uint64_t now_ms);
// Answers with an error of the server's own, unless answered.
void http_exchange_refuse(struct oto_exchange *e, int status, const char *reason);
// The answer is wholly in the connection's output.
void http_exchange_sent(struct oto_exchange *e);
// The answer is with the peer. Frees.
void http_exchange_finish(struct oto_exchange *e);
// The peer is gone. Frees, or leaves it to the answer.
void http_exchange_gone(struct oto_exchange *e);
// The peer has sent its last byte.
void http_exchange_half_closed(struct oto_exchange *e);
void http_exchange_drained(struct oto_exchange *e);
// oto_exchange_respond with bytes before the body.
void http_exchange_respond(struct oto_exchange *e, const struct oto_http_response *response,
                           struct oto_bytes body_prefix);

#endif
