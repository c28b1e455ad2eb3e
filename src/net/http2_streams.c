// The streams of an HTTP/2 connection: the table of open ones, the queue of those that have
// something to send, and what is known of closed ones.
#include "net/http2_internal.h"

// So many streams that we had to reset for the peer's mistakes are forgiven.
#define RESET_BURST 200
#define RESET_RATE 10

static struct oto_exchange **slot_of(struct http2 *h, uint32_t id)
{
    return &h->slots[id / 2 % HTTP2_SLOTS];
}

struct oto_exchange *http2_stream_find(const struct http2 *h, uint32_t id)
{
    struct oto_exchange *e = h->slots[id / 2 % HTTP2_SLOTS];
    while (e && e->stream_id != id)
        e = e->slot_next;
    return e;
}

void http2_stream_add(struct http2 *h, struct oto_exchange *e)
{
    struct oto_exchange **slot = slot_of(h, e->stream_id);
    e->slot_next = *slot;
    *slot = e;
}

static void leave_queue(struct http2 *h, struct oto_exchange *e)
{
    struct oto_exchange *before = NULL;
    for (struct oto_exchange *at = h->ready; at != e; at = at->ready_next)
        before = at;
    if (before)
        before->ready_next = e->ready_next;
    else
        h->ready = e->ready_next;
    if (h->ready_last == e)
        h->ready_last = before;
    e->is_ready = 0;
}

void http2_stream_forget(struct http2 *h, struct oto_exchange *e)
{
    struct oto_exchange **at = slot_of(h, e->stream_id);
    while (*at != e)
        at = &(*at)->slot_next;
    *at = e->slot_next;
    if (e->is_ready)
        leave_queue(h, e);
}

void http2_stream_drop(struct oto_exchange *e)
{
    http2_stream_forget(http2_of(e->connection), e);
    http_exchange_gone(e);
}

static int is_provoked(uint32_t code)
{
    return code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
           code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR;
}

void http2_stream_reset(struct http_connection *c, uint32_t id, uint32_t code)
{
    struct http2 *h = http2_of(c);
    struct oto_exchange *e = http2_stream_find(h, id);
    http2_put_word(c, NGHTTP2_RST_STREAM, id, code);
    if (e)
        http2_stream_drop(e);
    if (!is_provoked(code))
        return;
    c->server->stats.protocol_errors++;
    if (!http2_bucket_take(&h->our_resets, RESET_BURST, RESET_RATE, http_now_ms(c->server)))
        http2_give_up(c, NGHTTP2_ENHANCE_YOUR_CALM);
}

// Frames on streams that we have reset are no error: they were on their way (RFC 9113 5.1).
uint32_t http2_stream_check(struct http2 *h, const struct http2_frame *frame)
{
    uint32_t id = frame->id, *fate = &h->fates[id / 2 % HTTP2_FATES];
    if (id % 2 == 0 || (frame->type == NGHTTP2_DATA && id > h->last_opened))
        return NGHTTP2_PROTOCOL_ERROR;
    if (*fate == (id << 1 | 1))
        return NGHTTP2_STREAM_CLOSED;
    if (frame->type == NGHTTP2_HEADERS && id > h->last_opened) {
        h->last_opened = id;
        *fate = id << 1;
    } else if (frame->type == NGHTTP2_HEADERS && *fate >> 1 < id) {
        return NGHTTP2_PROTOCOL_ERROR; // had it been opened, it would stand here, or a newer one
    }
    if (*fate == id << 1 && (frame->flags & NGHTTP2_FLAG_END_STREAM))
        *fate |= 1;
    return NGHTTP2_NO_ERROR;
}
