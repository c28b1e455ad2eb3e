// HTTP/1.1 on a connection: requests in order of arrival, several read ahead, answers in the same
// order.
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "net/http1_heads.h"

// Answers that the peer has not taken, before further requests have to wait.
#define UNREAD_ANSWERS_MAX 256

struct http1 {
    struct oto_http1_parser parser;
    struct http1_kept_head kept;
    struct oto_buffer input;      // what came and could not be used yet
    struct oto_exchange *reading; // the request whose end has not come
    uint64_t head_ms;             // when the first byte of an incomplete head came, else 0
    uint64_t discard_ms;          // when discarding began
    uint64_t discarded;
    uint8_t has_body;   // of reading
    uint8_t discarding; // the rest of a body that is answered already
    uint8_t last_taken; // the connection ends with the requests that have begun
    uint8_t stopped;    // no further byte is taken
    uint8_t ended;      // the peer sends no more
};

static struct http1 *http1_of(const struct http_connection *c)
{
    return c->protocol_state;
}

static int open_state(struct http_connection *c)
{
    struct http1 *h = oto_alloc(c->server->allocator, sizeof *h);
    if (!h)
        return 0;
    memset(h, 0, sizeof *h);
    const struct oto_http_limits *limits = &c->server->limits;
    oto_http1_parser_init(&h->parser, limits->header_bytes_max, limits->header_count_max);
    oto_buffer_init(&h->input, c->server->allocator, SIZE_MAX / 2);
    c->protocol_state = h;
    return 1;
}

// --- answers ---

// Room for an answer's bytes: at the end of the output, or aside until its turn comes. NULL: the
// connection is doomed.
static uint8_t *room(struct oto_exchange *e, size_t size)
{
    struct http_connection *c = e->connection;
    if (c->open.first == e)
        return http_connection_room(c, size);
    if (oto_buffer_reserve(&e->out, size) != OTO_OK) {
        http_connection_doom(c);
        return NULL;
    }
    e->out.size += size;
    return e->out.data + e->out.size - size;
}

// Of the room that was got last, what was not needed.
static void give_room_back(struct oto_exchange *e, size_t size)
{
    struct http_connection *c = e->connection;
    struct oto_buffer *out = c->open.first == e ? &c->out : &e->out;
    out->size -= size;
}

static uint8_t *put(uint8_t *at, const void *data, size_t size)
{
    if (size > 0)
        memcpy(at, data, size);
    return at + size;
}

static uint8_t *put_text(uint8_t *at, const char *text)
{
    return put(at, text, strlen(text));
}

static uint8_t *put_bytes(uint8_t *at, struct oto_bytes bytes)
{
    return put(at, bytes.data, bytes.size);
}

static void put_whole(struct oto_exchange *e, struct oto_bytes bytes)
{
    uint8_t *at = bytes.size > 0 ? room(e, bytes.size) : NULL;
    if (at)
        memcpy(at, bytes.data, bytes.size);
}

// Answered before its body was here: may the next request follow on this connection?
static int must_close(struct oto_exchange *e)
{
    struct http1 *h = http1_of(e->connection);
    if (h->reading != e)
        return 0;
    if (e->expect_continue) // the client may now send the body or not: nobody can tell
        return 1;
    return oto_http1_parser_body_remaining(&h->parser) > HTTP_DISCARD_MAX;
}

// Status line, date, what rules the connection and the body, line ends.
#define HEAD_OWN_MAX 320

static size_t head_bound(const struct oto_http_header *headers, size_t header_count)
{
    size_t size = HEAD_OWN_MAX;
    for (size_t i = 0; i < header_count; i++)
        size += headers[i].name.size + headers[i].value.size + 4;
    return size;
}

// Into room for head_bound.
static uint8_t *put_head(struct oto_exchange *e, uint8_t *at, int status,
                         const struct oto_http_header *headers, size_t header_count)
{
    at = put_bytes(at, OTO_BYTES_LITERAL("HTTP/1.1 "));
    at += oto_text_from_i64(status, (char *)at);
    *at++ = ' ';
    at = put_text(at, http_status_reason(status));
    at = put_bytes(at, OTO_BYTES_LITERAL("\r\ndate: "));
    at = put_text(at, http_date(e->connection->server));
    for (size_t i = 0; i < header_count; i++) {
        if (!http_value_is_safe(headers[i].name) || !http_value_is_safe(headers[i].value))
            continue;
        *at++ = '\r';
        *at++ = '\n';
        at = put_bytes(at, headers[i].name);
        *at++ = ':';
        *at++ = ' ';
        at = put_bytes(at, headers[i].value);
    }
    if (e->close_after)
        at = put_bytes(at, OTO_BYTES_LITERAL("\r\nconnection: close"));
    else if (e->request.version == OTO_HTTP_1_0)
        at = put_bytes(at, OTO_BYTES_LITERAL("\r\nconnection: keep-alive"));
    return at;
}

static void decide_close(struct oto_exchange *e, int wanted)
{
    struct http1 *h = http1_of(e->connection);
    e->close_after = wanted || !e->keep_alive || must_close(e) ||
                     ((h->last_taken || h->ended) && e->connection->open.last == e);
}

// After the last answer of a connection: what came after it is dropped.
static void stop(struct http_connection *c)
{
    struct http1 *h = http1_of(c);
    c->close_after = 1;
    // Bytes that we have not read, or will not, would turn close() into a reset.
    c->linger_after |=
        h->reading || h->discarding || h->input.size > 0 || h->stopped || c->read_paused;
    h->stopped = 1;
    h->reading = NULL;
    while (c->open.first)
        http_exchange_gone(c->open.first);
    oto_buffer_release(&h->input);
    http_connection_mark(c);
}

static void start_discarding(struct http_connection *c, struct oto_exchange *e)
{
    struct http1 *h = http1_of(c);
    if (h->reading != e)
        return;
    h->reading = NULL;
    h->discarding = 1;
    h->discarded = 0;
    h->discard_ms = http_now_ms(c->server);
}

// Hands on every answer whose turn has come and that is whole.
static void advance(struct http_connection *c)
{
    struct oto_exchange *e;
    while ((e = c->open.first) && e->answer_state == HTTP_ANSWER_ENDED && !c->is_doomed) {
        int last = e->close_after;
        if (!last)
            start_discarding(c, e);
        http_exchange_sent(e);
        if (last) {
            stop(c);
            return;
        }
        struct oto_exchange *next = c->open.first;
        if (next && next->out.size > 0) {
            http_connection_put(c, next->out.data, next->out.size);
            oto_buffer_release(&next->out);
        }
    }
    http_connection_mark(c);
}

static void answer(struct oto_exchange *e, const struct oto_http_response *response,
                   struct oto_bytes body_prefix)
{
    int may_have_body = response->status != 204 && response->status != 304;
    int has_body = may_have_body && !e->is_head;
    size_t size = body_prefix.size + response->body.size;
    size_t bound = head_bound(response->headers, response->header_count) + (has_body ? size : 0);
    decide_close(e, response->close);
    uint8_t *start = room(e, bound), *at = start;
    if (!start)
        return;
    at = put_head(e, at, response->status, response->headers, response->header_count);
    if (may_have_body) {
        at = put_bytes(at, OTO_BYTES_LITERAL("\r\ncontent-length: "));
        at += oto_text_from_u64(size, (char *)at);
    }
    at = put_bytes(at, OTO_BYTES_LITERAL("\r\n\r\n"));
    if (has_body)
        at = put_bytes(put_bytes(at, body_prefix), response->body);
    give_room_back(e, bound - (size_t)(at - start));
    advance(e->connection);
}

static void begin(struct oto_exchange *e, int status, const struct oto_http_header *headers,
                  size_t header_count)
{
    size_t bound = head_bound(headers, header_count);
    e->is_chunked = e->request.version == OTO_HTTP_1_1;
    e->ends_by_close = !e->is_chunked && !e->is_head;
    decide_close(e, !e->is_chunked);
    uint8_t *start = room(e, bound), *at = start;
    if (!start)
        return;
    at = put_head(e, at, status, headers, header_count);
    at = put_text(at, e->is_chunked ? "\r\ntransfer-encoding: chunked\r\n\r\n" : "\r\n\r\n");
    give_room_back(e, bound - (size_t)(at - start));
    http_connection_mark(e->connection);
}

static size_t backlog(const struct oto_exchange *e)
{
    const struct http_connection *c = e->connection;
    return e->out.size + (c->open.first == e ? http_connection_pending(c) : 0);
}

static size_t write_piece(struct oto_exchange *e, struct oto_bytes data)
{
    static const char digits[] = "0123456789abcdef";
    char size[20];
    size_t at = sizeof size;
    if (e->is_head)
        return 0;
    if (e->is_chunked) {
        size[--at] = '\n';
        size[--at] = '\r';
        for (size_t left = data.size; left > 0; left >>= 4)
            size[--at] = digits[left & 15];
        put_whole(e, oto_bytes(size + at, sizeof size - at));
    }
    put_whole(e, data);
    if (e->is_chunked)
        put_whole(e, OTO_BYTES_LITERAL("\r\n"));
    http_connection_mark(e->connection);
    return e->connection->is_doomed ? SIZE_MAX : backlog(e);
}

static void end(struct oto_exchange *e, const struct oto_http_header *trailers,
                size_t trailer_count)
{
    (void)trailers;
    (void)trailer_count;
    if (e->is_chunked && !e->is_head)
        put_whole(e, OTO_BYTES_LITERAL("0\r\n\r\n"));
    advance(e->connection);
}

static void abort_answer(struct oto_exchange *e)
{
    http_connection_doom(e->connection);
}

static void read_body(struct oto_exchange *e)
{
    struct http_connection *c = e->connection;
    struct http1 *h = http1_of(c);
    if (e->expect_continue && c->open.first == e && !e->body_ended) {
        put_whole(e, OTO_BYTES_LITERAL("HTTP/1.1 100 Continue\r\n\r\n"));
        e->expect_continue = 0;
    }
    if (h->input.size > 0 || c->read_paused)
        http_connection_mark(c); // flush takes up what had to wait
}

// --- requests ---

// The peer broke the protocol, or is late: one last answer.
static void fail(struct http_connection *c, int status, const char *reason)
{
    struct http1 *h = http1_of(c);
    struct oto_exchange *broken = h->reading;
    h->reading = NULL;
    h->discarding = 0;
    h->stopped = 1;
    c->linger_after = 1;
    if (broken && broken->answer_state == HTTP_ANSWER_NONE) {
        broken->close_after = 1;
        broken->keep_alive = 0;
        http_exchange_refuse(broken, status, reason);
        return;
    }
    if (broken || c->close_after) { // in the middle of its answer: nothing can be said any more
        http_connection_doom(c);
        return;
    }
    struct oto_exchange *e = http_exchange_new(c, NULL);
    if (!e) {
        http_connection_doom(c);
        return;
    }
    e->request.version = OTO_HTTP_1_1;
    http_exchange_refuse(e, status, reason);
}

// A request whose head is complete.
static void begin_request(struct http_connection *c, struct oto_exchange *e, int has_body)
{
    struct http1 *h = http1_of(c);
    h->head_ms = 0;
    c->server->stats.requests_http1++;
    if (!e) {
        fail(c, 503, "out of memory");
        return;
    }
    h->reading = e;
    h->has_body = has_body ? 1 : 0;
    h->last_taken = !e->keep_alive || c->is_draining;
    http_exchange_headers(e);
}

static void take_head(struct http_connection *c, const struct oto_http1_head *found,
                      struct oto_bytes bytes)
{
    struct http_head head = {
        .version = found->version,
        .method = found->method,
        .target = found->target,
        .authority = found->authority,
        .headers = found->headers,
        .header_count = found->header_count,
        .content_length = found->content_length,
    };
    if (!found->has_body && head.content_length != 0)
        head.content_length = UINT64_MAX;
    struct http_shared_head *shared =
        http1_head_keep(&http1_of(c)->kept, c->server, found, &head, bytes);
    struct oto_exchange *e = shared ? http_exchange_shared(c, shared) : http_exchange_new(c, &head);
    if (e) {
        e->keep_alive = (uint8_t)found->keep_alive;
        e->expect_continue = (uint8_t)found->expect_continue;
    }
    begin_request(c, e, found->has_body);
}

// Takes the head that is the last one again. Returns its size, 0 when it is another.
static size_t take_repeated_head(struct http_connection *c, struct oto_bytes input)
{
    struct http1 *h = http1_of(c);
    uint64_t length;
    size_t size =
        oto_http1_parser_fresh(&h->parser) ? http1_head_repeats(&h->kept, input, &length) : 0;
    if (size == 0)
        return 0;
    int has_body = length != UINT64_MAX && length > 0;
    oto_http1_parser_skip_head(&h->parser, has_body ? length : 0);
    struct oto_exchange *e = http_exchange_shared(c, h->kept.shared);
    if (e) {
        e->keep_alive = 1;
        e->request.content_length = length;
    }
    begin_request(c, e, has_body);
    return size;
}

static void take_data(struct http_connection *c, struct oto_bytes data)
{
    struct http1 *h = http1_of(c);
    if (h->reading) {
        h->reading->expect_continue = 0; // it did not wait
        http_exchange_body_data(h->reading, data);
        return;
    }
    h->discarded += data.size;
    if (h->discarded > HTTP_DISCARD_MAX)
        stop(c);
}

static void take_request_end(struct http_connection *c)
{
    struct http1 *h = http1_of(c);
    struct oto_exchange *e = h->reading;
    h->reading = NULL;
    h->discarding = 0;
    if (e)
        http_exchange_body_end(e);
    if (e && c->peer_ended && e->answer_state != HTTP_ANSWER_ENDED) // it came before the peer left
        http_exchange_half_closed(e);
}

static int is_unread(const struct http_connection *c)
{
    return http_connection_pending(c) >= HTTP_BACKLOG_LOW || c->sent.count >= UNREAD_ANSWERS_MAX;
}

// HTTP/1.0 knows no pipelining, and an answer whose end is the connection's may come.
static int is_http_1_0(const struct oto_exchange *e)
{
    return e && e->request.version == OTO_HTTP_1_0;
}

// Must the next bytes wait for a handler, or a next request for the peer to read its answers?
static int is_blocked(const struct http_connection *c)
{
    const struct http1 *h = http1_of(c);
    if (h->reading)
        return h->has_body && h->reading->body_state == HTTP_BODY_WAITING;
    return !h->discarding && !h->last_taken &&
           (c->open.count >= c->server->limits.pipeline_max || is_unread(c) ||
            is_http_1_0(c->open.last));
}

// What comes behind a connection's last request is not processed: nobody would be told what became
// of it (RFC 9112 9.6).
static void stop_behind_last(struct http_connection *c, struct oto_bytes rest)
{
    struct http1 *h = http1_of(c);
    if (!h->last_taken || h->reading || h->discarding || rest.size == 0)
        return;
    h->stopped = 1;
    c->linger_after = 1; // there may be more
}

// Works off input; returns how much of it is done with.
static size_t process(struct http_connection *c, struct oto_bytes input)
{
    struct http1 *h = http1_of(c);
    struct oto_http1_head *head = &c->server->head;
    size_t used = 0;
    while (!c->is_doomed && !h->stopped && !is_blocked(c)) {
        struct oto_bytes data = {0}, rest = oto_bytes(input.data + used, input.size - used);
        stop_behind_last(c, rest);
        if (h->stopped)
            break;
        size_t consumed = take_repeated_head(c, rest);
        used += consumed;
        if (consumed > 0)
            continue;
        enum oto_http1_event event =
            oto_http1_parser_next(&h->parser, rest, &consumed, head, &data);
        used += consumed;
        switch (event) {
        case OTO_HTTP1_MORE:
            return used;
        case OTO_HTTP1_HEAD:
            take_head(c, head, oto_bytes(rest.data, consumed));
            break;
        case OTO_HTTP1_DATA:
            take_data(c, data);
            break;
        case OTO_HTTP1_END:
            take_request_end(c);
            break;
        case OTO_HTTP1_ERROR:
            c->server->stats.protocol_errors++;
            fail(c, h->parser.status, h->parser.reason);
            return input.size;
        }
    }
    return h->stopped ? input.size : used;
}

static void keep_rest(struct http_connection *c, struct oto_bytes rest)
{
    struct http1 *h = http1_of(c);
    if (rest.size > 0 && oto_buffer_append(&h->input, rest.data, rest.size) != OTO_OK)
        http_connection_doom(c);
}

static void process_kept(struct http_connection *c)
{
    struct http1 *h = http1_of(c);
    // Taken out while it is worked off: a callback may come back to it.
    struct oto_buffer kept = h->input;
    oto_buffer_init(&h->input, c->server->allocator, SIZE_MAX / 2);
    size_t used = process(c, oto_buffer_view(&kept));
    if (used == kept.size || h->stopped) {
        oto_buffer_release(&kept);
        return;
    }
    kept.size -= used;
    memmove(kept.data, kept.data + used, kept.size);
    h->input = kept;
}

static void after_input(struct http_connection *c)
{
    struct http1 *h = http1_of(c);
    if (c->is_doomed)
        return;
    if (h->input.size > 0 && oto_http1_parser_idle(&h->parser) && !is_blocked(c)) {
        if (h->head_ms == 0)
            h->head_ms = http_now_ms(c->server);
    } else {
        h->head_ms = 0;
    }
    http_connection_pause(c, h->ended || h->stopped || is_blocked(c));
}

static void input(struct http_connection *c, struct oto_bytes bytes)
{
    if (!c->protocol_state && !open_state(c)) {
        http_connection_doom(c);
        return;
    }
    struct http1 *h = http1_of(c);
    if (h->input.size > 0) {
        keep_rest(c, bytes);
        if (!c->is_doomed)
            process_kept(c);
    } else {
        size_t used = process(c, bytes);
        if (!h->stopped)
            keep_rest(c, oto_bytes(bytes.data + used, bytes.size - used));
    }
    after_input(c);
}

// The peer has said all it will. Whole requests are still answered; half of one is dropped.
static void input_end(struct http_connection *c)
{
    struct http1 *h = http1_of(c);
    if (!h) {
        http_connection_doom(c);
        return;
    }
    h->ended = 1;
    if (h->reading) {
        struct oto_exchange *e = h->reading;
        h->reading = NULL;
        http_exchange_gone(e);
    }
    http_connection_peer_ended(c);
    if (!c->open.first)
        c->close_after = 1;
    http_connection_mark(c);
}

static void flush(struct http_connection *c)
{
    struct http1 *h = http1_of(c);
    if (!h)
        return;
    if (h->input.size > 0 && !h->stopped && !is_blocked(c))
        process_kept(c);
    // A request that waits for "100 Continue" behind other answers.
    struct oto_exchange *first = c->open.first;
    if (first && first == h->reading && first->expect_continue &&
        first->body_state == HTTP_BODY_READING)
        read_body(first);
    after_input(c);
    if ((h->ended || h->last_taken) && !c->open.first && !is_blocked(c))
        c->close_after = 1;
}

static void tick(struct http_connection *c, uint64_t now_ms)
{
    struct http1 *h = http1_of(c);
    const struct oto_http_limits *limits = &c->server->limits;
    int idle = !c->open.first && !c->sent.first && !h->discarding && h->input.size == 0;
    if (h->stopped)
        return;
    if (h->reading && http_exchange_body_late(h->reading, now_ms)) {
        c->server->stats.timeouts++;
        fail(c, HTTP_BODY_LATE_STATUS, "the request body came too slowly");
    } else if (h->head_ms && now_ms > h->head_ms + limits->header_timeout_ms) {
        c->server->stats.timeouts++;
        fail(c, 408, "the request head came too slowly");
    } else if (h->discarding && now_ms > h->discard_ms + limits->header_timeout_ms) {
        http_connection_doom(c);
    } else if (idle && now_ms > c->input_ms + limits->idle_timeout_ms) {
        http_connection_doom(c);
    } else if (idle && now_ms > c->input_ms + HTTP_KEPT_HEAD_MS) {
        http1_head_forget(&h->kept, c->server);
    }
}

static void drain(struct http_connection *c, int last)
{
    struct http1 *h = http1_of(c);
    (void)last;
    c->is_draining = 1;
    if (h && c->open.first)
        h->last_taken = 1;
    if (!c->open.first && !c->sent.first && (!h || h->input.size == 0))
        http_connection_doom(c);
}

static void release(struct http_connection *c)
{
    struct http1 *h = http1_of(c);
    if (!h)
        return;
    http1_head_forget(&h->kept, c->server);
    oto_buffer_release(&h->input);
    oto_free(c->server->allocator, h, sizeof *h);
}

const struct http_protocol http1_protocol = {
    .input = input,
    .input_end = input_end,
    .flush = flush,
    .tick = tick,
    .drain = drain,
    .release = release,
    .read_body = read_body,
    .answer = answer,
    .begin = begin,
    .write = write_piece,
    .end = end,
    .abort = abort_answer,
    .backlog = backlog,
};
