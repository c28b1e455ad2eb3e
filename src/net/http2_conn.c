// HTTP/2 on a connection: bytes cut into frames, limits in time, the beginning and the end.
#include "net/http2_internal.h"

#define SETTINGS_TIMEOUT_MS 10000
// A peer that makes us say so much and does not read it is given up.
#define UNREAD_MAX (1u << 20)

int http2_bucket_take(struct http2_bucket *b, uint32_t burst, uint32_t rate, uint64_t now_ms)
{
    if (!b->filled_ms) {
        *b = (struct http2_bucket){burst, now_ms};
    } else if ((now_ms - b->filled_ms) * rate >= 1000) {
        uint64_t refill = (now_ms - b->filled_ms) * rate / 1000;
        b->left = refill > burst - b->left ? burst : b->left + (uint32_t)refill;
        b->filled_ms = now_ms;
    }
    if (b->left == 0)
        return 0;
    b->left--;
    return 1;
}

void http2_goaway(struct http_connection *c, uint32_t last_id, uint32_t code)
{
    uint8_t payload[8];
    oto_store32_big(payload, last_id);
    oto_store32_big(payload + 4, code);
    http2_put_frame(c, NGHTTP2_GOAWAY, 0, 0, payload, sizeof payload);
}

void http2_give_up(struct http_connection *c, uint32_t code)
{
    struct http2 *h = http2_of(c);
    if (h->broken)
        return;
    h->broken = 1;
    c->server->stats.protocol_errors++;
    http2_goaway(c, h->last_served, code);
    http_connection_mark(c);
}

// --- input ---

static void put_settings(struct http_connection *c)
{
    const struct oto_http_limits *limits = &c->server->limits;
    const struct {
        uint8_t id;
        uint32_t value;
    } rows[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, HTTP2_STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, HTTP2_FRAME_SIZE_MAX},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits->header_bytes_max},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    uint8_t payload[6 * sizeof rows / sizeof rows[0]];
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        payload[6 * i] = 0;
        payload[6 * i + 1] = rows[i].id;
        oto_store32_big(payload + 6 * i + 2, rows[i].value);
    }
    http2_put_frame(c, NGHTTP2_SETTINGS, 0, 0, payload, sizeof payload);
    http2_put_word(c, NGHTTP2_WINDOW_UPDATE, 0,
                   HTTP2_CONNECTION_WINDOW - NGHTTP2_INITIAL_CONNECTION_WINDOW_SIZE);
}

static int open_state(struct http_connection *c)
{
    struct http2 *h = oto_alloc(c->server->allocator, sizeof *h);
    if (!h)
        return 0;
    memset(h, 0, sizeof *h);
    c->protocol_state = h;
    h->open_ms = http_now_ms(c->server);
    h->send_window = h->peer_stream_window = NGHTTP2_INITIAL_WINDOW_SIZE;
    h->receive_window = HTTP2_CONNECTION_WINDOW;
    if (!http2_heads_open(c))
        return 0;
    const struct oto_http_handler *handler = &c->server->handler;
    h->counted = handler->count && handler->count(handler->state, HTTP2_IDLE_BYTES);
    put_settings(c);
    return 1;
}

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static size_t take_preface(struct http_connection *c, struct oto_bytes bytes)
{
    struct http2 *h = http2_of(c);
    size_t size = least(bytes.size, NGHTTP2_CLIENT_MAGIC_LEN - h->preface_size);
    if (memcmp(bytes.data, &NGHTTP2_CLIENT_MAGIC[h->preface_size], size) != 0)
        http_connection_doom(c);
    h->preface_size += (uint8_t)size;
    return size;
}

// Ends the frame when all of it has come.
static void end_if_whole(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    if (h->prefix_have < h->prefix_size || h->body_left > 0 || h->rest_left > 0 || h->broken)
        return;
    h->head_size = 0;
    http2_frame_end(c);
}

static size_t take_frame_head(struct http_connection *c, struct oto_bytes bytes)
{
    struct http2 *h = http2_of(c);
    size_t size = least(bytes.size, HTTP2_FRAME_HEAD_SIZE - h->head_size);
    memcpy(h->head + h->head_size, bytes.data, size);
    h->head_size += (uint8_t)size;
    if (h->head_size < HTTP2_FRAME_HEAD_SIZE)
        return size;
    http2_frame_begin(c);
    if (h->prefix_size == 0 && !h->broken) {
        http2_frame_prefix(c, NULL);
        end_if_whole(c);
    }
    return size;
}

static size_t take_prefix(struct http_connection *c, struct oto_bytes bytes)
{
    struct http2 *h = http2_of(c);
    size_t size = least(bytes.size, (size_t)(h->prefix_size - h->prefix_have));
    memcpy(h->prefix + h->prefix_have, bytes.data, size);
    h->prefix_have += (uint8_t)size;
    if (h->prefix_have == h->prefix_size) {
        http2_frame_prefix(c, h->prefix);
        end_if_whole(c);
    }
    return size;
}

static size_t take_payload(struct http_connection *c, struct oto_bytes bytes)
{
    struct http2 *h = http2_of(c);
    size_t size;
    if (h->body_left > 0) {
        size = least(bytes.size, h->body_left);
        http2_frame_body(c, oto_bytes(bytes.data, size));
        h->body_left -= (uint32_t)size;
    } else {
        size = least(bytes.size, h->rest_left);
        h->rest_left -= (uint32_t)size;
    }
    end_if_whole(c);
    return size;
}

// Returns how much of the input is done with.
static size_t take(struct http_connection *c, struct oto_bytes bytes)
{
    struct http2 *h = http2_of(c);
    if (h->preface_size < NGHTTP2_CLIENT_MAGIC_LEN)
        return take_preface(c, bytes);
    if (h->head_size < HTTP2_FRAME_HEAD_SIZE)
        return take_frame_head(c, bytes);
    return h->prefix_have < h->prefix_size ? take_prefix(c, bytes) : take_payload(c, bytes);
}

static void input(struct http_connection *c, struct oto_bytes bytes)
{
    if (!c->protocol_state && !open_state(c)) {
        http_connection_doom(c);
        return;
    }
    http_connection_mark(c);
    while (bytes.size > 0 && !c->is_doomed && !http2_of(c)->broken) {
        size_t size = take(c, bytes);
        bytes.data += size;
        bytes.size -= size;
        if (http_connection_pending(c) > UNREAD_MAX)
            http_connection_doom(c);
    }
}

static void input_end(struct http_connection *c)
{
    http_connection_doom(c); // a stream cannot be answered to one who has left
}

// --- output and end ---

static void last_goaway(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    h->leaving = 2;
    http2_goaway(c, h->last_served, NGHTTP2_NO_ERROR);
}

static void flush(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    if (!h)
        return;
    if (!h->broken)
        http2_send_ready(c);
    if (h->broken || ((h->leaving == 2 || h->peer_leaves) && !c->open.first)) {
        c->close_after = 1;
        c->linger_after = 1;
    }
}

static void tick_exchange(struct http_connection *c, struct oto_exchange *e, uint64_t now_ms)
{
    if (http_exchange_body_late(e, now_ms)) {
        c->server->stats.timeouts++;
        http_exchange_refuse(e, HTTP_BODY_LATE_STATUS, "the request body came too slowly");
    } else if (e->answer_state != HTTP_ANSWER_NONE && !e->deferred &&
               now_ms > e->progress_ms + c->server->limits.write_timeout_ms) {
        c->server->stats.timeouts++;
        http2_stream_reset(c, e->stream_id, NGHTTP2_CANCEL);
    }
}

static void tick(struct http_connection *c, uint64_t now_ms)
{
    struct http2 *h = http2_of(c);
    const struct oto_http_limits *limits = &c->server->limits;
    if (c->close_after || h->broken)
        return;
    if (h->block.begin_ms && now_ms > h->block.begin_ms + limits->header_timeout_ms) {
        c->server->stats.timeouts++;
        http_connection_doom(c);
    } else if (!h->settings_acked && now_ms > h->open_ms + SETTINGS_TIMEOUT_MS) {
        c->server->stats.timeouts++;
        http2_give_up(c, NGHTTP2_SETTINGS_TIMEOUT);
        return;
    } else if (!c->open.first && !h->leaving && now_ms > c->input_ms + limits->idle_timeout_ms) {
        last_goaway(c);
        http_connection_mark(c);
    }
    if (!c->open.first && now_ms > c->input_ms + HTTP_KEPT_HEAD_MS)
        http2_heads_forget(c);
    for (struct oto_exchange *e = c->open.first, *next; e; e = next) {
        next = e->next;
        tick_exchange(c, e, now_ms);
    }
}

static void drain(struct http_connection *c, int last)
{
    struct http2 *h = http2_of(c);
    c->is_draining = 1;
    if (!h) {
        http_connection_doom(c);
        return;
    }
    if (h->broken)
        return;
    if (last && h->leaving < 2) {
        last_goaway(c);
    } else if (!last && h->leaving == 0) {
        h->leaving = 1;
        http2_goaway(c, INT32_MAX, NGHTTP2_NO_ERROR);
    }
    http_connection_mark(c);
}

static void release(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    if (!h)
        return;
    const struct oto_http_handler *handler = &c->server->handler;
    if (h->counted)
        handler->uncount(handler->state, HTTP2_IDLE_BYTES);
    http2_heads_release(c);
    oto_free(c->server->allocator, h, sizeof *h);
}

static void read_body(struct oto_exchange *e)
{
    (void)e; // it has been coming all the time
}

const struct http_protocol http2_protocol = {
    .input = input,
    .input_end = input_end,
    .flush = flush,
    .tick = tick,
    .drain = drain,
    .release = release,
    .read_body = read_body,
    .answer = http2_answer,
    .begin = http2_begin,
    .write = http2_write,
    .end = http2_end,
    .abort = http2_abort,
    .backlog = http2_backlog,
};
