// Answers over HTTP/2. One that fits the windows is framed where it goes, in the connection's
// output; any other waits with its exchange, and streams take turns of one frame each.
#include "base/text.h"
#include "net/http2_internal.h"

#define TRAILERS_MAX 32

// --- the queue ---

void http2_make_ready(struct oto_exchange *e)
{
    struct http2 *h = http2_of(e->connection);
    if (e->is_ready)
        return;
    e->is_ready = 1;
    e->ready_next = NULL;
    if (h->ready)
        h->ready_last->ready_next = e;
    else
        h->ready = e;
    h->ready_last = e;
}

static struct oto_exchange *take_ready(struct http2 *h)
{
    struct oto_exchange *e = h->ready;
    h->ready = e->ready_next;
    e->is_ready = 0;
    return e;
}

// The answer is wholly in the output. What is left of the request is not wanted (RFC 9113 8.1).
static void finish(struct oto_exchange *e)
{
    struct http_connection *c = e->connection;
    struct http2 *h = http2_of(c);
    int is_ending = h->frame.id == e->stream_id && h->frame.type == NGHTTP2_DATA &&
                    (h->frame.flags & NGHTTP2_FLAG_END_STREAM);
    http2_stream_forget(h, e);
    if (!e->body_ended && !is_ending)
        http2_put_word(c, NGHTTP2_RST_STREAM, e->stream_id, NGHTTP2_NO_ERROR);
    http_exchange_sent(e);
}

static int64_t window_of(const struct http2 *h, const struct oto_exchange *e)
{
    return h->send_window < e->send_window ? h->send_window : e->send_window;
}

static void take_window(struct http2 *h, struct oto_exchange *e, size_t size)
{
    h->send_window -= (int64_t)size;
    e->send_window -= (int64_t)size;
}

// Moves one frame. 1: there may be another. 0: none until a window opens, or more is written.
static int send_frame(struct http_connection *c, struct oto_exchange *e)
{
    struct http2 *h = http2_of(c);
    if (e->heads_left > 0) {
        e->progress_ms = http_now_ms(c->server);
        http_connection_put(c, e->out.data + e->out_start, e->heads_left);
        e->out_start += e->heads_left;
        e->heads_left = 0;
        h->table_told = 1;
    }
    size_t left = e->out.size - e->out_start, size = left;
    int64_t window = window_of(h, e);
    int is_ended = e->answer_state == HTTP_ANSWER_ENDED;
    e->deferred = left == 0 && !is_ended;
    if (e->deferred || (left > 0 && window <= 0))
        return 0;
    if (size > HTTP2_FRAME_SIZE_OUT)
        size = HTTP2_FRAME_SIZE_OUT;
    if ((int64_t)size > window && size > 0)
        size = (size_t)window;
    int is_last = is_ended && size == left, has_end = is_last && e->trailers.size == 0;
    if ((size > 0 || has_end) && !e->end_in_heads)
        http2_put_frame(c, NGHTTP2_DATA, has_end ? NGHTTP2_FLAG_END_STREAM : 0, e->stream_id,
                        e->out.data + e->out_start, size);
    e->out_start += size;
    e->progress_ms = http_now_ms(c->server);
    take_window(h, e, size);
    if (e->out_start == e->out.size)
        e->out_start = e->out.size = 0;
    if (!is_last)
        return 1;
    if (e->trailers.size > 0)
        http_connection_put(c, e->trailers.data, e->trailers.size);
    finish(e);
    return 0;
}

void http2_send_ready(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    while (h->ready && http_connection_pending(c) < HTTP_BACKLOG_LOW && !c->is_doomed) {
        struct oto_exchange *e = take_ready(h);
        if (e->is_aborted)
            http2_stream_reset(c, e->stream_id, NGHTTP2_INTERNAL_ERROR);
        else if (e->answer_state != HTTP_ANSWER_NONE && send_frame(c, e))
            http2_make_ready(e);
    }
}

// --- heads ---

static int is_bodyless(const struct oto_exchange *e, int status)
{
    return e->is_head || status == 204 || status == 304;
}

// The fields of an answer's head, the server's own with them.
static size_t collect(const struct oto_exchange *e, int status,
                      const struct oto_http_header *headers, size_t count, uint64_t content_length,
                      struct oto_http_header *fields, char *length_text)
{
    size_t n = 0;
    for (size_t i = 0; i < count && i < HTTP_RESPONSE_HEADERS_MAX; i++)
        if (http_value_is_safe(headers[i].value))
            fields[n++] = headers[i];
    if (e->request.is_grpc)
        return n;
    fields[n++] = (struct oto_http_header){OTO_BYTES_LITERAL("date"),
                                           oto_bytes_text(http_date(e->connection->server))};
    if (content_length != UINT64_MAX && status != 204 && status != 304)
        fields[n++] = (struct oto_http_header){
            OTO_BYTES_LITERAL("content-length"),
            oto_bytes(length_text, oto_text_from_u64(content_length, length_text))};
    return n;
}

static uint8_t *put_heads(struct oto_exchange *e, uint8_t *at, int status, uint8_t flags,
                          const struct oto_http_header *fields, size_t count)
{
    uint8_t *cursor = at + HTTP2_FRAME_HEAD_SIZE;
    if (!http2_of(e->connection)->table_told)
        *cursor++ = 0x20; // a table of no size, whatever the peer would allow (RFC 7541 6.3)
    if (status)
        cursor = http2_put_status(cursor, status);
    for (size_t i = 0; i < count; i++)
        cursor = http2_put_field(cursor, fields[i].name, fields[i].value);
    return http2_put_heads(at, cursor, flags, e->stream_id);
}

static size_t heads_bound(const struct oto_http_header *fields, size_t count)
{
    return 1 + 5 + http2_fields_bound(fields, count); // and the table's size, and the status
}

// Behind what the buffer has.
static enum oto_status append_heads(struct oto_exchange *e, struct oto_buffer *target, int status,
                                    uint8_t flags, const struct oto_http_header *fields,
                                    size_t count)
{
    OTO_TRY(oto_buffer_reserve(target, heads_bound(fields, count)));
    uint8_t *end = put_heads(e, target->data + target->size, status, flags, fields, count);
    target->size = (size_t)(end - target->data);
    return OTO_OK;
}

static size_t limit_trailers(size_t count)
{
    return count < TRAILERS_MAX ? count : TRAILERS_MAX;
}

// --- whole answers ---

struct whole {
    const struct oto_http_header *fields, *trailers;
    size_t field_count, trailer_count;
    struct oto_bytes prefix, body; // of the body that is sent
    int status;
};

static size_t body_size(const struct whole *w)
{
    return w->prefix.size + w->body.size;
}

// May all of it go out at once?
static int fits(const struct http_connection *c, const struct oto_exchange *e,
                const struct whole *w)
{
    const struct http2 *h = http2_of(c);
    size_t size = body_size(w);
    return !h->ready && http_connection_pending(c) < HTTP_BACKLOG_LOW &&
           size <= HTTP2_FRAME_SIZE_OUT && (size == 0 || (int64_t)size <= window_of(h, e));
}

static uint8_t *put_data(uint8_t *at, const struct oto_exchange *e, const struct whole *w)
{
    size_t size = body_size(w);
    at = http2_put_frame_head(at, size, NGHTTP2_DATA,
                              w->trailer_count ? 0 : NGHTTP2_FLAG_END_STREAM, e->stream_id);
    if (w->prefix.size > 0)
        memcpy(at, w->prefix.data, w->prefix.size);
    if (w->body.size > 0)
        memcpy(at + w->prefix.size, w->body.data, w->body.size);
    return at + size;
}

static void send_whole(struct http_connection *c, struct oto_exchange *e, const struct whole *w)
{
    size_t size = body_size(w);
    int ends_in_heads = size == 0 && w->trailer_count == 0;
    size_t bound = heads_bound(w->fields, w->field_count) + HTTP2_FRAME_HEAD_SIZE + size +
                   heads_bound(w->trailers, w->trailer_count);
    uint8_t *at = http_connection_room(c, bound), *start = at;
    if (!at)
        return;
    at = put_heads(e, at, w->status, ends_in_heads ? NGHTTP2_FLAG_END_STREAM : 0, w->fields,
                   w->field_count);
    http2_of(c)->table_told = 1;
    if (size > 0)
        at = put_data(at, e, w);
    if (w->trailer_count > 0)
        at = put_heads(e, at, 0, NGHTTP2_FLAG_END_STREAM, w->trailers, w->trailer_count);
    c->out.size -= bound - (size_t)(at - start);
    take_window(http2_of(c), e, size);
    finish(e);
}

static enum oto_status keep_whole(struct oto_exchange *e, const struct whole *w)
{
    e->end_in_heads = body_size(w) == 0 && w->trailer_count == 0;
    OTO_TRY(append_heads(e, &e->out, w->status, e->end_in_heads ? NGHTTP2_FLAG_END_STREAM : 0,
                         w->fields, w->field_count));
    e->heads_left = e->out.size;
    OTO_TRY(oto_buffer_append(&e->out, w->prefix.data, w->prefix.size));
    OTO_TRY(oto_buffer_append(&e->out, w->body.data, w->body.size));
    if (w->trailer_count > 0)
        OTO_TRY(append_heads(e, &e->trailers, 0, NGHTTP2_FLAG_END_STREAM, w->trailers,
                             w->trailer_count));
    http2_make_ready(e);
    return OTO_OK;
}

void http2_answer(struct oto_exchange *e, const struct oto_http_response *response,
                  struct oto_bytes body_prefix)
{
    struct http_connection *c = e->connection;
    struct oto_http_header fields[HTTP_RESPONSE_HEADERS_MAX + 2];
    char length_text[OTO_TEXT_I64_MAX];
    if (http2_of(c)->broken)
        return;
    struct whole w = {.status = response->status,
                      .fields = fields,
                      .trailers = response->trailers,
                      .trailer_count = limit_trailers(response->trailer_count)};
    w.field_count = collect(e, response->status, response->headers, response->header_count,
                            body_prefix.size + response->body.size, fields, length_text);
    if (!is_bodyless(e, response->status)) {
        w.prefix = body_prefix;
        w.body = response->body;
    }
    if (fits(c, e, &w))
        send_whole(c, e, &w);
    else if (keep_whole(e, &w) != OTO_OK)
        http_connection_doom(c);
    http_connection_mark(c);
}

// --- answers in pieces ---

void http2_begin(struct oto_exchange *e, int status, const struct oto_http_header *headers,
                 size_t header_count)
{
    struct oto_http_header fields[HTTP_RESPONSE_HEADERS_MAX + 2];
    size_t count = collect(e, status, headers, header_count, UINT64_MAX, fields, NULL);
    if (append_heads(e, &e->out, status, 0, fields, count) != OTO_OK)
        http_connection_doom(e->connection);
    e->heads_left = e->out.size;
    http2_make_ready(e);
    http_connection_mark(e->connection);
}

size_t http2_backlog(const struct oto_exchange *e)
{
    return e->out.size - e->out_start + http_connection_pending(e->connection);
}

// There is more to send. Time runs against the peer from now on, however long the answer was
// silent.
static void go_on(struct oto_exchange *e)
{
    if (e->deferred)
        e->progress_ms = http_now_ms(e->connection->server);
    e->deferred = 0;
    http2_make_ready(e);
    http_connection_mark(e->connection);
}

size_t http2_write(struct oto_exchange *e, struct oto_bytes data)
{
    if (e->is_head)
        return 0;
    if (e->out_start > HTTP_BACKLOG_LOW && e->out_start > e->out.size / 2) {
        e->out.size -= e->out_start;
        memmove(e->out.data, e->out.data + e->out_start, e->out.size);
        e->out_start = 0;
    }
    if (oto_buffer_append(&e->out, data.data, data.size) != OTO_OK)
        http_connection_doom(e->connection);
    go_on(e);
    return http2_backlog(e);
}

void http2_end(struct oto_exchange *e, const struct oto_http_header *trailers, size_t trailer_count)
{
    size_t count = limit_trailers(trailer_count);
    if (count > 0 &&
        append_heads(e, &e->trailers, 0, NGHTTP2_FLAG_END_STREAM, trailers, count) != OTO_OK)
        http_connection_doom(e->connection);
    go_on(e);
}

// In its turn, not under the hands of who calls this.
void http2_abort(struct oto_exchange *e)
{
    e->is_aborted = 1;
    http2_make_ready(e);
    http_connection_mark(e->connection);
}
