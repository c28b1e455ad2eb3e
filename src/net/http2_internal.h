// What the files of HTTP/2 share: a connection's state, its frames, header blocks and answers. Not
// for others. A stream is an exchange among the connection's open ones; it is closed when it is
// taken from the table here, and its id is then known by its fate only.
#ifndef OTO_NET_HTTP2_INTERNAL_H
#define OTO_NET_HTTP2_INTERNAL_H

#include <nghttp2/nghttp2.h> // constants of the protocol, and HPACK's decoder

#include "net/http_internal.h"

#define HTTP2_STREAM_WINDOW (1 << 20)
#define HTTP2_CONNECTION_WINDOW (16 << 20)
#define HTTP2_FRAME_SIZE_MAX (256u << 10) // of the peer's
#define HTTP2_FRAME_SIZE_OUT (16u << 10)  // of ours: every peer takes these
#define HTTP2_FRAME_HEAD_SIZE 9
#define HTTP2_SETTINGS_MAX 32 // in a frame
// Of a frame's payload, so much is gathered before it is used: all of control frames, or what
// stands before data and header blocks.
#define HTTP2_PREFIX_MAX (6 * HTTP2_SETTINGS_MAX)
#define HTTP2_SLOTS 64
// What an open connection takes without any stream: this state, the decoder and its table.
#define HTTP2_IDLE_BYTES (8u << 10)
// Of so many streams, the latest, it is known whether the peer may still send on them.
#define HTTP2_FATES 128
#define HTTP2_KEPT_BLOCK_MAX 200

// What costs us more than the peer is forgiven so often: at first, and each second.
struct http2_bucket {
    uint32_t left;
    uint64_t filled_ms;
};

struct http2_frame {
    uint32_t size, id;
    uint8_t type, flags;
};

// A header block that is coming.
struct http2_block {
    struct oto_buffer fields; // u32 name size, u32 value size, name, value; again and again
    uint32_t bytes, count;    // as SETTINGS_MAX_HEADER_LIST_SIZE counts
    uint32_t continuations;
    uint32_t regular_count;
    uint8_t is_request; // else trailers
    uint8_t seen;       // which pseudo headers, and whether others
    uint8_t too_large;
    uint8_t malformed;
    uint8_t ends_stream; // END_STREAM stood on its first frame
    uint8_t is_kept;     // it says what kept_head says
    uint64_t content_length;
    uint64_t begin_ms; // 0 when none is open
};

struct http2 {
    // Input: where in a frame it is.
    uint8_t head[HTTP2_FRAME_HEAD_SIZE], head_size;
    uint8_t preface_size; // of the client's preface, what has come
    uint8_t prefix_size, prefix_have;
    uint8_t prefix[HTTP2_PREFIX_MAX];
    uint32_t body_left, rest_left;
    struct http2_frame frame;

    nghttp2_mem memory; // the inflater's, who keeps the pointer
    nghttp2_hd_inflater *inflater;
    struct http2_block block;
    // The latest block, if it left the inflater's table as it was: what it means, until one changes
    // that.
    uint8_t kept_block[HTTP2_KEPT_BLOCK_MAX], kept_size;
    struct http_shared_head *kept_head;

    struct oto_exchange *slots[HTTP2_SLOTS]; // open streams by id
    struct oto_exchange *ready, *ready_last; // streams with something to send, in turn
    uint32_t fates[HTTP2_FATES]; // stream id << 1, and 1 where the peer has ended or reset it
    uint32_t last_opened;        // the highest stream id that the peer has used
    uint32_t last_served;        // and of those that became an exchange

    int64_t send_window;        // of the connection
    int64_t peer_stream_window; // initial, of its streams
    int32_t receive_window;     // what the peer may still send before it is told of more

    uint64_t open_ms;
    struct http2_bucket cheap_frames, our_resets, peer_resets;
    uint8_t settings_came, settings_acked;
    uint8_t table_told;  // that our header blocks use no table
    uint8_t peer_leaves; // it has sent GOAWAY
    uint8_t leaving;     // 1 first GOAWAY, 2 last one
    uint8_t broken;      // only what is in the output is still sent
    uint8_t counted;     // HTTP2_IDLE_BYTES, by the handler
};

static inline struct http2 *http2_of(const struct http_connection *c)
{
    return c->protocol_state;
}

// --- http2_conn.c ---
int http2_bucket_take(struct http2_bucket *bucket, uint32_t burst, uint32_t rate, uint64_t now_ms);
// Ends the connection: says why, sends what is in the output, and closes.
void http2_give_up(struct http_connection *c, uint32_t code);
void http2_goaway(struct http_connection *c, uint32_t last_id, uint32_t code);

// --- http2_frames.c ---
// The head of a frame is complete: checks it, and how its payload divides into prefix, body and
// rest.
void http2_frame_begin(struct http_connection *c);
void http2_frame_prefix(struct http_connection *c, const uint8_t *prefix);
void http2_frame_body(struct http_connection *c, struct oto_bytes bytes);
void http2_frame_end(struct http_connection *c);

// --- http2_streams.c ---
struct oto_exchange *http2_stream_find(const struct http2 *h, uint32_t id);
void http2_stream_add(struct http2 *h, struct oto_exchange *e);
// Forgets a stream: its exchange is no longer found, nor in the queue.
void http2_stream_forget(struct http2 *h, struct oto_exchange *e);
// Says RST_STREAM, and ends the stream's exchange if there is one.
void http2_stream_reset(struct http_connection *c, uint32_t id, uint32_t code);
// By its exchange, which its user may still hold.
void http2_stream_drop(struct oto_exchange *e);
// What is wrong with HEADERS or DATA by what their stream has been through, or NO_ERROR.
uint32_t http2_stream_check(struct http2 *h, const struct http2_frame *frame);

// --- http2_heads.c ---
int http2_heads_open(struct http_connection *c);
// Gives up what is kept for the next request.
void http2_heads_forget(struct http_connection *c);
void http2_heads_release(struct http_connection *c);
void http2_block_begin(struct http_connection *c, int is_request);
// A piece of the block. is_whole: all of it.
void http2_block_add(struct http_connection *c, struct oto_bytes bytes, int is_whole);
void http2_block_end(struct http_connection *c);

// --- http2_answers.c ---
// Moves what can be sent into the connection's output.
void http2_send_ready(struct http_connection *c);
// A stream has something to send, or may have.
void http2_make_ready(struct oto_exchange *e);
void http2_answer(struct oto_exchange *e, const struct oto_http_response *response,
                  struct oto_bytes body_prefix);
void http2_begin(struct oto_exchange *e, int status, const struct oto_http_header *headers,
                 size_t header_count);
size_t http2_write(struct oto_exchange *e, struct oto_bytes data);
void http2_end(struct oto_exchange *e, const struct oto_http_header *trailers,
               size_t trailer_count);
void http2_abort(struct oto_exchange *e);
size_t http2_backlog(const struct oto_exchange *e);

// --- http2_write.c ---
// Returns where the payload goes.
uint8_t *http2_put_frame_head(uint8_t *at, size_t size, uint8_t type, uint8_t flags, uint32_t id);
// A frame of up to HTTP2_FRAME_SIZE_OUT bytes into the connection's output, at once.
void http2_put_frame(struct http_connection *c, uint8_t type, uint8_t flags, uint32_t id,
                     const void *payload, size_t size);
// The same with a payload of one u32.
void http2_put_word(struct http_connection *c, uint8_t type, uint32_t id, uint32_t word);
// Header blocks as frames, without the dynamic table. bound: what they take at most.
size_t http2_fields_bound(const struct oto_http_header *fields, size_t count);
uint8_t *http2_put_status(uint8_t *at, int status);
uint8_t *http2_put_field(uint8_t *at, struct oto_bytes name, struct oto_bytes value);
// Puts the frame heads to a block of which `at` is where its first one goes, and which ends at end.
// Returns the end of the frames.
uint8_t *http2_put_heads(uint8_t *at, uint8_t *end, uint8_t flags, uint32_t id);

#endif
