// The frames of HTTP/2 as they come (RFC 9113 6): what is wrong with them, and what they do.
#include "net/http2_internal.h"

#define FRAME_BURST 1000
#define FRAME_RATE 33
#define PEER_RESET_BURST 300 // as many as it may have streams open, and some
#define PEER_RESET_RATE 33
#define CONTINUATIONS_MAX 8

// What cost the peer nothing and us an answer, or the trouble, is counted.
static int is_cheap(const struct http2_frame *f)
{
    return f->type == NGHTTP2_PING || f->type == NGHTTP2_SETTINGS || f->type == NGHTTP2_PRIORITY ||
           f->type > NGHTTP2_CONTINUATION ||
           (f->type == NGHTTP2_DATA && f->size == 0 && !(f->flags & NGHTTP2_FLAG_END_STREAM));
}

static uint32_t check_size(const struct http2_frame *f)
{
    static const uint8_t sizes[] = {[NGHTTP2_PRIORITY] = 5,
                                    [NGHTTP2_RST_STREAM] = 4,
                                    [NGHTTP2_PING] = 8,
                                    [NGHTTP2_WINDOW_UPDATE] = 4,
                                    [NGHTTP2_CONTINUATION] = 0};
    if (f->size > HTTP2_FRAME_SIZE_MAX)
        return NGHTTP2_FRAME_SIZE_ERROR;
    if (f->type < sizeof sizes && sizes[f->type] && f->size != sizes[f->type])
        return NGHTTP2_FRAME_SIZE_ERROR;
    if (f->type == NGHTTP2_GOAWAY && f->size < 8)
        return NGHTTP2_FRAME_SIZE_ERROR;
    if (f->type != NGHTTP2_SETTINGS)
        return NGHTTP2_NO_ERROR;
    if (f->size % 6 || (f->size && (f->flags & NGHTTP2_FLAG_ACK)))
        return NGHTTP2_FRAME_SIZE_ERROR;
    return f->size > HTTP2_PREFIX_MAX ? NGHTTP2_ENHANCE_YOUR_CALM : NGHTTP2_NO_ERROR;
}

// Some frames are of streams, some of the connection.
static uint32_t check_id(const struct http2 *h)
{
    const struct http2_frame *f = &h->frame;
    switch (f->type) {
    case NGHTTP2_SETTINGS:
    case NGHTTP2_PING:
    case NGHTTP2_GOAWAY:
        return f->id ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_NO_ERROR;
    case NGHTTP2_RST_STREAM: // of idle ones, and ours, there are none
        return f->id % 2 == 0 || f->id > h->last_opened ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_NO_ERROR;
    case NGHTTP2_WINDOW_UPDATE:
        return f->id && (f->id % 2 == 0 || f->id > h->last_opened) ? NGHTTP2_PROTOCOL_ERROR
                                                                   : NGHTTP2_NO_ERROR;
    case NGHTTP2_PRIORITY:
        return f->id ? NGHTTP2_NO_ERROR : NGHTTP2_PROTOCOL_ERROR;
    case NGHTTP2_PUSH_PROMISE:
        return NGHTTP2_PROTOCOL_ERROR;
    default:
        return NGHTTP2_NO_ERROR;
    }
}

// Frames may not come between the pieces of a header block, nor before the first SETTINGS.
static uint32_t check_order(struct http2 *h, uint32_t block_id)
{
    const struct http2_frame *f = &h->frame;
    if (h->block.begin_ms ? f->type != NGHTTP2_CONTINUATION || f->id != block_id
                          : f->type == NGHTTP2_CONTINUATION)
        return NGHTTP2_PROTOCOL_ERROR;
    if (!h->settings_came && (f->type != NGHTTP2_SETTINGS || (f->flags & NGHTTP2_FLAG_ACK)))
        return NGHTTP2_PROTOCOL_ERROR;
    if (f->type == NGHTTP2_CONTINUATION && ++h->block.continuations > CONTINUATIONS_MAX)
        return NGHTTP2_ENHANCE_YOUR_CALM;
    return NGHTTP2_NO_ERROR;
}

static uint32_t check(struct http_connection *c, uint32_t block_id)
{
    struct http2 *h = http2_of(c);
    uint32_t wrong = check_order(h, block_id);
    if (!wrong)
        wrong = check_size(&h->frame);
    if (!wrong && is_cheap(&h->frame) &&
        !http2_bucket_take(&h->cheap_frames, FRAME_BURST, FRAME_RATE, http_now_ms(c->server)))
        wrong = NGHTTP2_ENHANCE_YOUR_CALM;
    return wrong ? wrong : check_id(h);
}

// --- data ---

static uint32_t begin_data(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    uint32_t wrong = http2_stream_check(h, &h->frame);
    if (wrong)
        return wrong;
    if (h->frame.size > (uint32_t)h->receive_window)
        return NGHTTP2_FLOW_CONTROL_ERROR;
    h->receive_window -= (int32_t)h->frame.size;
    struct oto_exchange *e = http2_stream_find(h, h->frame.id);
    if (!e)
        return NGHTTP2_NO_ERROR;
    if (h->frame.size > (uint32_t)e->receive_window)
        http2_stream_reset(c, h->frame.id, NGHTTP2_FLOW_CONTROL_ERROR);
    else
        e->receive_window -= (int32_t)h->frame.size;
    return NGHTTP2_NO_ERROR;
}

// All that came is used at once, so that only its amount matters.
static void widen_windows(struct http_connection *c, struct oto_exchange *e)
{
    struct http2 *h = http2_of(c);
    if (h->receive_window < HTTP2_CONNECTION_WINDOW / 2) {
        uint32_t more = (uint32_t)(HTTP2_CONNECTION_WINDOW - h->receive_window);
        http2_put_word(c, NGHTTP2_WINDOW_UPDATE, 0, more);
        h->receive_window = HTTP2_CONNECTION_WINDOW;
    }
    if (e && !(h->frame.flags & NGHTTP2_FLAG_END_STREAM) &&
        e->receive_window < HTTP2_STREAM_WINDOW / 2) {
        uint32_t more = (uint32_t)(HTTP2_STREAM_WINDOW - e->receive_window);
        http2_put_word(c, NGHTTP2_WINDOW_UPDATE, e->stream_id, more);
        e->receive_window = HTTP2_STREAM_WINDOW;
    }
}

static void take_data(struct http_connection *c, struct oto_bytes bytes)
{
    struct oto_exchange *e = http2_stream_find(http2_of(c), http2_of(c)->frame.id);
    if (!e)
        return;
    e->received += bytes.size;
    if (e->received > e->request.content_length)
        http2_stream_reset(c, e->stream_id, NGHTTP2_PROTOCOL_ERROR);
    else
        http_exchange_body_data(e, bytes);
}

static void end_data(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    struct oto_exchange *e = http2_stream_find(h, h->frame.id);
    widen_windows(c, e);
    if (!e || !(h->frame.flags & NGHTTP2_FLAG_END_STREAM))
        return;
    uint64_t announced = e->request.content_length;
    if (announced != UINT64_MAX && e->received != announced)
        http2_stream_reset(c, e->stream_id, NGHTTP2_PROTOCOL_ERROR);
    else
        http_exchange_body_end(e);
}

// --- what rules the connection ---

static uint32_t set_stream_windows(struct http_connection *c, uint32_t size)
{
    struct http2 *h = http2_of(c);
    if (size > INT32_MAX)
        return NGHTTP2_FLOW_CONTROL_ERROR;
    int64_t more = (int64_t)size - h->peer_stream_window;
    h->peer_stream_window = size;
    for (struct oto_exchange *e = c->open.first; e; e = e->next) {
        e->send_window += more;
        if (e->send_window > INT32_MAX)
            return NGHTTP2_FLOW_CONTROL_ERROR;
        http2_make_ready(e);
    }
    return NGHTTP2_NO_ERROR;
}

static uint32_t take_setting(struct http_connection *c, uint32_t id, uint32_t value)
{
    switch (id) {
    case NGHTTP2_SETTINGS_ENABLE_PUSH:
    case NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES:
        return value > 1 ? NGHTTP2_PROTOCOL_ERROR : NGHTTP2_NO_ERROR;
    case NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE:
        return set_stream_windows(c, value);
    case NGHTTP2_SETTINGS_MAX_FRAME_SIZE: // ours are never larger than the least of them
        return value < HTTP2_FRAME_SIZE_OUT || value > 0xffffff ? NGHTTP2_PROTOCOL_ERROR
                                                                : NGHTTP2_NO_ERROR;
    default:
        return NGHTTP2_NO_ERROR;
    }
}

static uint32_t take_settings(struct http_connection *c, const uint8_t *payload)
{
    struct http2 *h = http2_of(c);
    if (h->frame.flags & NGHTTP2_FLAG_ACK) {
        if (h->settings_acked)
            return NGHTTP2_PROTOCOL_ERROR; // of none of ours
        h->settings_acked = 1;
        return NGHTTP2_NO_ERROR;
    }
    h->settings_came = 1;
    for (size_t at = 0; at < h->frame.size; at += 6) {
        uint32_t id = (uint32_t)payload[at] << 8 | payload[at + 1];
        uint32_t wrong = take_setting(c, id, oto_load32_big(payload + at + 2));
        if (wrong)
            return wrong;
    }
    http2_put_frame(c, NGHTTP2_SETTINGS, NGHTTP2_FLAG_ACK, 0, NULL, 0);
    return NGHTTP2_NO_ERROR;
}

static uint32_t widen_connection(struct http_connection *c, uint32_t more)
{
    struct http2 *h = http2_of(c);
    int was_shut = h->send_window <= 0;
    h->send_window += more;
    if (more == 0)
        return NGHTTP2_PROTOCOL_ERROR;
    if (h->send_window > INT32_MAX)
        return NGHTTP2_FLOW_CONTROL_ERROR;
    for (struct oto_exchange *e = was_shut ? c->open.first : NULL; e; e = e->next)
        http2_make_ready(e);
    return NGHTTP2_NO_ERROR;
}

static uint32_t take_window_update(struct http_connection *c, uint32_t more)
{
    struct http2 *h = http2_of(c);
    if (h->frame.id == 0)
        return widen_connection(c, more);
    struct oto_exchange *e = http2_stream_find(h, h->frame.id);
    if (!e)
        return NGHTTP2_NO_ERROR;
    e->send_window += more;
    if (more == 0)
        http2_stream_reset(c, h->frame.id, NGHTTP2_PROTOCOL_ERROR);
    else if (e->send_window > INT32_MAX)
        http2_stream_reset(c, h->frame.id, NGHTTP2_FLOW_CONTROL_ERROR);
    else
        http2_make_ready(e);
    return NGHTTP2_NO_ERROR;
}

static uint32_t take_reset(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    uint32_t id = h->frame.id, *fate = &h->fates[id / 2 % HTTP2_FATES];
    struct oto_exchange *e = http2_stream_find(h, id);
    if (*fate == id << 1)
        *fate |= 1;
    if (e)
        http2_stream_drop(e);
    return http2_bucket_take(&h->peer_resets, PEER_RESET_BURST, PEER_RESET_RATE,
                             http_now_ms(c->server))
               ? NGHTTP2_NO_ERROR
               : NGHTTP2_ENHANCE_YOUR_CALM;
}

static uint32_t take_control(struct http_connection *c, const uint8_t *payload)
{
    struct http2 *h = http2_of(c);
    switch (h->frame.type) {
    case NGHTTP2_SETTINGS:
        return take_settings(c, payload);
    case NGHTTP2_WINDOW_UPDATE:
        return take_window_update(c, oto_load32_big(payload) & INT32_MAX);
    case NGHTTP2_RST_STREAM:
        return take_reset(c);
    case NGHTTP2_PING:
        if (!(h->frame.flags & NGHTTP2_FLAG_ACK))
            http2_put_frame(c, NGHTTP2_PING, NGHTTP2_FLAG_ACK, 0, payload, 8);
        return NGHTTP2_NO_ERROR;
    case NGHTTP2_GOAWAY:
        h->peer_leaves = 1;
        return NGHTTP2_NO_ERROR;
    default: // priorities are not followed, unknown frames ignored
        return NGHTTP2_NO_ERROR;
    }
}

// --- a frame ---

static uint32_t begin_headers(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    int is_request = h->frame.id > h->last_opened;
    uint32_t wrong = http2_stream_check(h, &h->frame);
    if (!wrong)
        http2_block_begin(c, is_request);
    return wrong;
}

static uint32_t begin(struct http_connection *c, uint32_t block_id)
{
    struct http2 *h = http2_of(c);
    const struct http2_frame *f = &h->frame;
    uint32_t wrong = check(c, block_id);
    h->prefix_size = h->prefix_have = 0;
    if (!wrong && f->type == NGHTTP2_DATA)
        wrong = begin_data(c);
    else if (!wrong && f->type == NGHTTP2_HEADERS)
        wrong = begin_headers(c);
    if (f->type == NGHTTP2_DATA || f->type == NGHTTP2_HEADERS) {
        h->prefix_size = f->flags & NGHTTP2_FLAG_PADDED ? 1 : 0;
        if (f->type == NGHTTP2_HEADERS && (f->flags & NGHTTP2_FLAG_PRIORITY))
            h->prefix_size += 5;
        if (h->prefix_size > f->size)
            wrong = wrong ? wrong : NGHTTP2_FRAME_SIZE_ERROR;
    } else if (f->type < NGHTTP2_CONTINUATION) {
        h->prefix_size = f->size < HTTP2_PREFIX_MAX ? (uint8_t)f->size : HTTP2_PREFIX_MAX;
    }
    return wrong;
}

void http2_frame_begin(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    uint32_t block_id = h->frame.id;
    h->frame.size = oto_load32_big(h->head) >> 8;
    h->frame.type = h->head[3];
    h->frame.flags = h->head[4];
    h->frame.id = oto_load32_big(h->head + 5) & INT32_MAX;
    uint32_t wrong = begin(c, block_id);
    if (wrong)
        http2_give_up(c, wrong);
}

// How what is behind the prefix divides.
static uint32_t divide(struct http2 *h, const uint8_t *prefix)
{
    const struct http2_frame *f = &h->frame;
    uint32_t rest = f->size - h->prefix_size, padding = 0;
    h->body_left = 0;
    h->rest_left = rest;
    if (f->type != NGHTTP2_DATA && f->type != NGHTTP2_HEADERS && f->type != NGHTTP2_CONTINUATION)
        return NGHTTP2_NO_ERROR;
    if (f->type != NGHTTP2_CONTINUATION && (f->flags & NGHTTP2_FLAG_PADDED))
        padding = *prefix++;
    // A stream that depends on itself (RFC 7540 5.3.1).
    if (f->type == NGHTTP2_HEADERS && (f->flags & NGHTTP2_FLAG_PRIORITY) &&
        (oto_load32_big(prefix) & INT32_MAX) == f->id)
        return NGHTTP2_PROTOCOL_ERROR;
    if (padding > rest)
        return NGHTTP2_PROTOCOL_ERROR;
    h->body_left = rest - padding;
    h->rest_left = padding;
    return NGHTTP2_NO_ERROR;
}

void http2_frame_prefix(struct http_connection *c, const uint8_t *prefix)
{
    struct http2 *h = http2_of(c);
    uint32_t wrong = divide(h, prefix);
    if (!wrong && h->frame.type >= NGHTTP2_PRIORITY && h->frame.type < NGHTTP2_CONTINUATION)
        wrong = take_control(c, prefix);
    if (wrong)
        http2_give_up(c, wrong);
}

void http2_frame_body(struct http_connection *c, struct oto_bytes bytes)
{
    const struct http2 *h = http2_of(c);
    if (h->frame.type == NGHTTP2_DATA) {
        take_data(c, bytes);
    } else {
        int is_whole = h->frame.type == NGHTTP2_HEADERS && h->body_left == bytes.size &&
                       bytes.size + h->rest_left + h->prefix_size == h->frame.size &&
                       (h->frame.flags & NGHTTP2_FLAG_END_HEADERS);
        http2_block_add(c, bytes, is_whole);
    }
}

void http2_frame_end(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    if (h->frame.type == NGHTTP2_DATA)
        end_data(c);
    else if ((h->frame.type == NGHTTP2_HEADERS || h->frame.type == NGHTTP2_CONTINUATION) &&
             (h->frame.flags & NGHTTP2_FLAG_END_HEADERS))
        http2_block_end(c);
}
