// HTTP/1.1 on a connection: requests in order of arrival, several read ahead, answers in the same
// order.
#include <sys/socket.h>
#include <unistd.h>

#include "base/text.h"
#include "net/http_internal.h"

struct http1 {
    struct oto_http1_parser parser;
    struct oto_buffer input;      // what came and could not be used yet
    struct oto_exchange *reading; // the request whose end has not come
    uint64_t head_ms;             // when the first byte of an incomplete head came, else 0
    uint64_t discard_ms;          // when discarding began
    uint64_t discarded;
    uint8_t has_body;   // of reading
    uint8_t discarding; // the rest of a body that is answered already
    uint8_t stopped;    // no further request is taken
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

// Where an answer's bytes go: out, or aside until its turn comes.
static void put(struct oto_exchange *e, const void *data, size_t size)
{
    struct http_connection *c = e->connection;
    if (c->open.first == e)
        http_connection_put(c, data, size);
    else if (oto_buffer_append(&e->out, data, size) != OTO_OK)
        http_connection_doom(c);
}

static void put_text(struct oto_exchange *e, const char *text)
{
    put(e, text, strlen(text));
}

static void put_bytes(struct oto_exchange *e, struct oto_bytes bytes)
{
    put(e, bytes.data, bytes.size);
}

// 0 when the byte must not stand in a header we write (a response is never split by what we
// reflect).
static int is_safe(struct oto_bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((text.data[i] < ' ' && text.data[i] != '\t') || text.data[i] == 127)
            return 0;
    return 1;
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

static void put_head(struct oto_exchange *e, int status, const struct oto_http_header *headers,
                     size_t header_count)
{
    struct http_connection *c = e->connection;
    char number[OTO_TEXT_I64_MAX];
    put_text(e, "HTTP/1.1 ");
    put(e, number, oto_text_from_i64(status, number));
    put_text(e, " ");
    put_text(e, http_status_reason(status));
    put_text(e, "\r\ndate: ");
    put_text(e, http_date(c->server));
    for (size_t i = 0; i < header_count; i++) {
        if (!is_safe(headers[i].name) || !is_safe(headers[i].value))
            continue;
        put_text(e, "\r\n");
        put_bytes(e, headers[i].name);
        put_text(e, ": ");
        put_bytes(e, headers[i].value);
    }
    if (e->close_after)
        put_text(e, "\r\nconnection: close");
    else if (e->request.version == OTO_HTTP_1_0)
        put_text(e, "\r\nconnection: keep-alive");
}

static void decide_close(struct oto_exchange *e, int wanted)
{
    struct http1 *h = http1_of(e->connection);
    e->close_after = wanted || !e->keep_alive || e->connection->is_draining || must_close(e) ||
                     (h->ended && e->connection->open.last == e);
}

// After the last answer of a connection: what came after it is dropped.
static void stop(struct http_connection *c)
{
    struct http1 *h = http1_of(c);
    c->close_after = 1;
    // Bytes that we have not read, or will not, would turn close() into a reset.
    c->linger_after |= h->reading || h->discarding || h->input.size > 0 || h->stopped;
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
    char number[OTO_TEXT_I64_MAX];
    decide_close(e, response->close);
    put_head(e, response->status, response->headers, response->header_count);
    if (response->status != 204 && response->status != 304) {
        put_text(e, "\r\ncontent-length: ");
        put(e, number, oto_text_from_u64(body_prefix.size + response->body.size, number));
    }
    put_text(e, "\r\n\r\n");
    if (!e->is_head && response->status != 204 && response->status != 304) {
        put_bytes(e, body_prefix);
        put_bytes(e, response->body);
    }
    advance(e->connection);
}

static void begin(struct oto_exchange *e, int status, const struct oto_http_header *headers,
                  size_t header_count)
{
    e->is_chunked = e->request.version == OTO_HTTP_1_1;
    decide_close(e, !e->is_chunked);
    put_head(e, status, headers, header_count);
    put_text(e, e->is_chunked ? "\r\ntransfer-encoding: chunked\r\n\r\n" : "\r\n\r\n");
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
        put(e, size + at, sizeof size - at);
    }
    put_bytes(e, data);
    if (e->is_chunked)
        put_text(e, "\r\n");
    http_connection_mark(e->connection);
    return e->connection->is_doomed ? SIZE_MAX : backlog(e);
}

static void end(struct oto_exchange *e, const struct oto_http_header *trailers,
                size_t trailer_count)
{
    (void)trailers;
    (void)trailer_count;
    if (e->is_chunked && !e->is_head)
        put_text(e, "0\r\n\r\n");
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
        put_text(e, "HTTP/1.1 100 Continue\r\n\r\n");
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

static void take_head(struct http_connection *c, const struct oto_http1_head *found)
{
    struct http1 *h = http1_of(c);
    struct http_head head = {
        .version = found->version,
        .method = found->method,
        .target = found->target,
        .authority = found->authority,
        .headers = found->headers,
        .header_count = found->header_count,
        .content_length = found->content_length,
    };
    h->head_ms = 0;
    c->server->stats.requests_http1++;
    struct oto_exchange *e = http_exchange_new(c, &head);
    if (!e) {
        fail(c, 503, "out of memory");
        return;
    }
    e->keep_alive = (uint8_t)found->keep_alive;
    e->expect_continue = (uint8_t)found->expect_continue;
    h->reading = e;
    h->has_body = (uint8_t)found->has_body;
    if (!found->has_body)
        e->request.content_length = found->content_length == 0 ? 0 : UINT64_MAX;
    http_exchange_headers(e);
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
}

// Must the next bytes wait for a handler?
static int is_blocked(const struct http_connection *c)
{
    const struct http1 *h = http1_of(c);
    if (h->reading)
        return h->has_body && h->reading->body_state == HTTP_BODY_WAITING;
    return !h->discarding && c->open.count >= c->server->limits.pipeline_max;
}

// Works off input; returns how much of it is done with.
static size_t process(struct http_connection *c, struct oto_bytes input)
{
    struct http1 *h = http1_of(c);
    struct oto_http1_head *head = &c->server->head;
    size_t used = 0;
    while (!c->is_doomed && !h->stopped && !is_blocked(c)) {
        struct oto_bytes data = {0};
        size_t consumed = 0;
        enum oto_http1_event event = oto_http1_parser_next(
            &h->parser, oto_bytes(input.data + used, input.size - used), &consumed, head, &data);
        used += consumed;
        switch (event) {
        case OTO_HTTP1_MORE:
            return used;
        case OTO_HTTP1_HEAD:
            take_head(c, head);
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
    for (struct oto_exchange *e = c->open.first; e; e = e->next)
        http_exchange_half_closed(e);
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
    if (h->ended && !c->open.first && !is_blocked(c))
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
        fail(c, 408, "the request body came too slowly");
    } else if (h->head_ms && now_ms > h->head_ms + limits->header_timeout_ms) {
        c->server->stats.timeouts++;
        fail(c, 408, "the request head came too slowly");
    } else if (h->discarding && now_ms > h->discard_ms + limits->header_timeout_ms) {
        http_connection_doom(c);
    } else if (idle && now_ms > c->input_ms + limits->idle_timeout_ms) {
        http_connection_doom(c);
    }
}

static void drain(struct http_connection *c, int last)
{
    struct http1 *h = http1_of(c);
    (void)last;
    c->is_draining = 1;
    if (!c->open.first && !c->sent.first && (!h || h->input.size == 0))
        http_connection_doom(c);
}

static void release(struct http_connection *c)
{
    struct http1 *h = http1_of(c);
    if (!h)
        return;
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
