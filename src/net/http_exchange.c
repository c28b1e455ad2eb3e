// The life of an exchange, whatever the protocol: head, body, answer, end.
#include <assert.h>
#include <stdio.h>

#include "net/grpc.h"
#include "net/http_internal.h"

#define ERROR_BODY_MAX 1024
// Of a gRPC message that announces its size, taken at once; larger ones grow as they come.
#define GRPC_RESERVE_MAX (1u << 20)
#define BODY_RESERVE_MIN 1024
#define WAITING_BODY_MAX (1u << 20) // HTTP/2: comes before the handler decides

void http_exchanges_push(struct http_exchanges *list, struct oto_exchange *e)
{
    e->prev = list->last;
    e->next = NULL;
    if (list->last)
        list->last->next = e;
    else
        list->first = e;
    list->last = e;
    list->count++;
}

void http_exchanges_remove(struct http_exchanges *list, struct oto_exchange *e)
{
    if (e->prev)
        e->prev->next = e->next;
    else
        list->first = e->next;
    if (e->next)
        e->next->prev = e->prev;
    else
        list->last = e->prev;
    e->prev = e->next = NULL;
    list->count--;
}

// --- head ---

static struct oto_bytes copy_text(uint8_t **cursor, struct oto_bytes text)
{
    uint8_t *copy = *cursor;
    if (text.size)
        memcpy(copy, text.data, text.size);
    *cursor += text.size;
    return oto_bytes(copy, text.size);
}

static struct oto_bytes copy_lower(uint8_t **cursor, struct oto_bytes text)
{
    uint8_t *copy = *cursor;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        copy[i] = c >= 'A' && c <= 'Z' ? c | 32 : c;
    }
    *cursor += text.size;
    return oto_bytes(copy, text.size);
}

static int is_grpc_type(struct oto_bytes type)
{
    static const char grpc[] = "application/grpc";
    size_t size = sizeof grpc - 1;
    if (type.size < size || !oto_http_text_is(oto_bytes(type.data, size), grpc))
        return 0;
    return type.size == size || type.data[size] == '+' || type.data[size] == ';';
}

static size_t text_size(const struct http_head *head)
{
    size_t size = head->method.size + head->target.size + head->authority.size;
    for (size_t i = 0; i < head->header_count; i++)
        size += head->headers[i].name.size + head->headers[i].value.size;
    return size;
}

static void copy_head(struct oto_http_request *r, const struct http_head *head,
                      struct oto_http_header *headers, uint8_t *cursor)
{
    r->version = head->version;
    r->content_length = head->content_length;
    r->method = copy_text(&cursor, head->method);
    r->path = copy_text(&cursor, head->target);
    r->authority = copy_text(&cursor, head->authority);
    r->headers = headers;
    r->header_count = head->header_count;
    for (size_t i = 0; i < head->header_count; i++) {
        headers[i].name = head->version == OTO_HTTP_2 // in lower case already (RFC 9113 8.2)
                              ? copy_text(&cursor, head->headers[i].name)
                              : copy_lower(&cursor, head->headers[i].name);
        headers[i].value = copy_text(&cursor, head->headers[i].value);
    }
    http_request_complete(r);
}

void http_request_complete(struct oto_http_request *r)
{
    const uint8_t *mark = r->path.size ? memchr(r->path.data, '?', r->path.size) : NULL;
    if (mark) {
        size_t path = (size_t)(mark - r->path.data);
        r->query = oto_bytes(mark + 1, r->path.size - path - 1);
        r->path.size = path;
    }
    r->is_grpc = r->version == OTO_HTTP_2 && is_grpc_type(oto_http_header(r, "content-type"));
}

static struct oto_exchange *new_exchange(struct http_connection *c, size_t size)
{
    struct oto_http_server *server = c->server;
    struct oto_exchange *e = oto_alloc(server->recycled, size);
    if (!e)
        return NULL;
    memset(e, 0, sizeof *e);
    e->block_size = size;
    e->connection = c;
    e->handler = &server->handler;
    e->allocator = server->recycled;
    e->loop = server->loop;
    e->head_ms = e->progress_ms = http_now_ms(server);
    oto_buffer_init(&e->body, server->recycled, SIZE_MAX / 2);
    oto_buffer_init(&e->out, server->recycled, SIZE_MAX / 2);
    oto_buffer_init(&e->trailers, server->recycled, 1u << 20);
    http_exchanges_push(&c->open, e);
    return e;
}

struct oto_exchange *http_exchange_new(struct http_connection *c, const struct http_head *head)
{
    size_t size = sizeof(struct oto_exchange);
    if (head)
        size += text_size(head) + head->header_count * sizeof(struct oto_http_header);
    struct oto_exchange *e = new_exchange(c, size);
    if (!e)
        return NULL;
    e->request.listener = c->listener;
    e->request.content_length = UINT64_MAX;
    if (head) {
        struct oto_http_header *headers = (struct oto_http_header *)(e + 1);
        copy_head(&e->request, head, headers, (uint8_t *)(headers + head->header_count));
        e->is_head = oto_bytes_equal_text(e->request.method, "HEAD") ? 1 : 0;
    } else {
        e->internal = 1;
    }
    return e;
}

struct http_shared_head *http_shared_head_new(const struct oto_allocator *allocator,
                                              size_t header_count, size_t text_size)
{
    size_t size = sizeof(struct http_shared_head) + text_size;
    size += header_count * sizeof(struct oto_http_header);
    struct http_shared_head *head = oto_alloc(allocator, size);
    if (!head)
        return NULL;
    *head = (struct http_shared_head){.refs = 1, .block_size = size};
    head->request.headers = http_shared_head_headers(head);
    return head;
}

struct http_shared_head *http_shared_head_copy(const struct oto_allocator *allocator,
                                               const struct http_head *head)
{
    struct http_shared_head *shared =
        http_shared_head_new(allocator, head->header_count, text_size(head));
    if (!shared)
        return NULL;
    struct oto_http_header *headers = http_shared_head_headers(shared);
    struct oto_http_request *r = &shared->request;
    copy_head(r, head, headers, (uint8_t *)(headers + head->header_count));
    r->header_count = 0;
    for (size_t i = 0; i < head->header_count; i++)
        if (!oto_bytes_equal_text(headers[i].name, "content-length"))
            headers[r->header_count++] = headers[i];
    return shared;
}

void http_shared_head_unref(struct http_shared_head *head, const struct oto_allocator *allocator)
{
    if (head && --head->refs == 0)
        oto_free(allocator, head, head->block_size);
}

struct oto_exchange *http_exchange_shared(struct http_connection *c, struct http_shared_head *head)
{
    struct oto_exchange *e = new_exchange(c, sizeof *e);
    if (!e)
        return NULL;
    head->refs++;
    e->head = head;
    e->request = head->request;
    e->request.listener = c->listener;
    e->is_head = oto_bytes_equal_text(e->request.method, "HEAD") ? 1 : 0;
    return e;
}

static void exchange_free(struct oto_exchange *e)
{
    oto_buffer_release(&e->body);
    oto_buffer_release(&e->out);
    oto_buffer_release(&e->trailers);
    http_shared_head_unref(e->head, e->allocator);
    oto_free(e->allocator, e, e->block_size);
}

// Frees now, or when the handler callback that runs has returned.
static void free_when_idle(struct oto_exchange *e)
{
    if (e->calls > 0)
        e->free_after_call = 1;
    else
        exchange_free(e);
}

// Every callback runs between these two, so that what it does cannot free e under us. leave returns
// 0 when e is gone.
static void call_enter(struct oto_exchange *e)
{
    e->calls++;
}

static int call_leave(struct oto_exchange *e)
{
    if (--e->calls > 0 || !e->free_after_call)
        return 1;
    exchange_free(e);
    return 0;
}

// --- body ---

static void complete(struct oto_exchange *e)
{
    if (e->body_state != HTTP_BODY_READING || !e->body_ended || !e->connection)
        return;
    e->body_state = HTTP_BODY_COMPLETE;
    e->request.body = oto_buffer_view(&e->body);
    call_enter(e);
    e->handler->complete(e->handler->state, e);
    call_leave(e);
}

void http_exchange_headers(struct oto_exchange *e)
{
    call_enter(e);
    e->handler->headers(e->handler->state, e);
    if (call_leave(e))
        complete(e);
}

void http_exchange_body_end(struct oto_exchange *e)
{
    e->body_ended = 1;
    complete(e);
}

// What a gRPC message says of its size in its first bytes; 0: nothing.
static size_t announced_size(const struct oto_exchange *e, struct oto_bytes data)
{
    return e->request.is_grpc && e->body_reserved == 0 && data.size >= 5
               ? 5 + (size_t)oto_load32_big(data.data + 1)
               : 0;
}

// How much more to ask for when `needed` bytes in all must be kept.
static size_t reserve_more(const struct oto_exchange *e, struct oto_bytes data, size_t needed)
{
    size_t target = e->body_reserved < BODY_RESERVE_MIN ? BODY_RESERVE_MIN : 2 * e->body_reserved;
    size_t announced = announced_size(e, data);
    if (announced && announced <= GRPC_RESERVE_MAX)
        target = announced;
    if (target > e->body_max)
        target = e->body_max;
    return (target > needed ? target : needed) - e->body_reserved;
}

// Asks the handler, then the allocator. 0: refused, and answered.
static int reserve(struct oto_exchange *e, size_t more)
{
    int granted = 1;
    if (e->handler->reserve) {
        call_enter(e);
        granted = e->handler->reserve(e->handler->state, e, more);
        if (!call_leave(e))
            return 0;
    }
    if (granted) {
        e->body_reserved += more;
        if (!e->body.data && more >= HTTP_BODY_POOLED_MIN)
            http_server_body_borrow(e->connection->server, &e->body, more);
        granted = oto_buffer_reserve(&e->body, e->body_reserved - e->body.size) == OTO_OK;
    }
    if (!granted) {
        http_exchange_refuse(e, 503, "there is no memory for the request body");
        e->body_state = HTTP_BODY_DISCARDED;
    }
    return granted && e->body_state == HTTP_BODY_READING;
}

static void too_large(struct oto_exchange *e)
{
    char reason[160];
    (void)snprintf(reason, sizeof(reason), "the request body is larger than %zu bytes%s%s%s",
                   e->body_max, e->body_max_name ? " (" : "",
                   e->body_max_name ? e->body_max_name : "", e->body_max_name ? ")" : "");
    http_exchange_refuse(e, 413, reason);
    e->body_state = HTTP_BODY_DISCARDED;
}

static void keep(struct oto_exchange *e, struct oto_bytes data)
{
    if (data.size > e->body_max || e->body.size > e->body_max - data.size) {
        too_large(e);
        return;
    }
    // A message that says it is larger than we take is refused by its first bytes, with nothing
    // allocated for it.
    if (e->request.is_grpc && e->body.size == 0 && data.size >= 5 &&
        oto_load32_big(data.data + 1) > e->body_max - 5) {
        too_large(e);
        return;
    }
    size_t needed = e->body.size + data.size, announced = announced_size(e, data);
    if (!e->body.data && announced > GRPC_RESERVE_MAX) // a pooled one costs nothing
        http_server_body_borrow(e->connection->server, &e->body, announced);
    if (needed > e->body_reserved && !reserve(e, reserve_more(e, data, needed)))
        return;
    memcpy(e->body.data + e->body.size, data.data, data.size);
    e->body.size = needed;
}

static void keep_waiting(struct oto_exchange *e, struct oto_bytes data)
{
    if (e->body.size + data.size > WAITING_BODY_MAX ||
        oto_buffer_append(&e->body, data.data, data.size) != OTO_OK) {
        http_exchange_refuse(e, 503, "the request could not be taken in time");
        e->body_state = HTTP_BODY_DISCARDED;
    }
}

void http_exchange_body_data(struct oto_exchange *e, struct oto_bytes data)
{
    if (data.size == 0)
        return;
    if (e->body_state == HTTP_BODY_READING)
        keep(e, data);
    else if (e->body_state == HTTP_BODY_WAITING)
        keep_waiting(e, data);
}

int http_exchange_body_late(const struct oto_exchange *e, uint64_t now_ms)
{
    if (e->body_state != HTTP_BODY_READING || e->body_ended)
        return 0;
    const struct oto_http_limits *limits = &e->connection->server->limits;
    uint64_t elapsed = now_ms > e->head_ms ? now_ms - e->head_ms : 0;
    if (elapsed > limits->body_timeout_ms)
        return 1;
    return elapsed > HTTP_RATE_GRACE_MS &&
           e->body.size < (uint64_t)limits->body_bytes_per_s_min * elapsed / 1000;
}

void oto_exchange_read_body(struct oto_exchange *e, size_t body_bytes_max, const char *limit_name)
{
    if (!e->connection || e->body_state != HTTP_BODY_WAITING || e->answer_state != HTTP_ANSWER_NONE)
        return;
    uint64_t announced = e->request.content_length;
    e->body_state = HTTP_BODY_READING;
    e->body_max = body_bytes_max;
    e->body_max_name = limit_name;
    if ((announced != UINT64_MAX && announced > body_bytes_max) || e->body.size > body_bytes_max) {
        too_large(e);
        return;
    }
    size_t more = announced != UINT64_MAX ? (size_t)announced : e->body.size;
    if (more > 0 && !reserve(e, more))
        return;
    e->connection->protocol->read_body(e);
    // Inside the headers callback, completion comes when it has returned.
    if (e->calls == 0)
        complete(e);
}

// --- answer ---

static int grpc_status_of(int status)
{
    switch (status) {
    case 413:
    case 431:
        return OTO_GRPC_RESOURCE_EXHAUSTED;
    case 405:
        return OTO_GRPC_UNIMPLEMENTED;
    case 503:
        return OTO_GRPC_UNAVAILABLE;
    default:
        return status < 500 ? OTO_GRPC_INVALID_ARGUMENT : OTO_GRPC_INTERNAL;
    }
}

void http_exchange_refuse(struct oto_exchange *e, int status, const char *reason)
{
    uint8_t body[ERROR_BODY_MAX];
    char type[64] = "text/plain";
    if (e->answer_state != HTTP_ANSWER_NONE || !e->connection)
        return;
    if (e->request.is_grpc) {
        oto_grpc_respond_error(e, (enum oto_grpc_status)grpc_status_of(status),
                               oto_bytes_text(reason), (struct oto_bytes){0}, NULL, 0);
        return;
    }
    size_t size;
    if (e->handler->error_body)
        size = e->handler->error_body(e->handler->state, status, reason,
                                      e->request.method.size ? &e->request : NULL, type, body,
                                      sizeof body);
    else
        size = (size_t)snprintf((char *)body, sizeof body, "%s\n", reason);
    struct oto_http_header headers[2] = {
        {OTO_BYTES_LITERAL("content-type"), oto_bytes_text(type)},
        {OTO_BYTES_LITERAL("retry-after"), OTO_BYTES_LITERAL("1")},
    };
    struct oto_http_response response = {
        .status = status,
        .headers = headers,
        .header_count = status == 503 ? 2 : 1,
        .body = oto_bytes(body, size < sizeof body ? size : sizeof body),
        .close = e->internal,
    };
    oto_exchange_respond(e, &response);
}

// What an answer of any kind begins with. 0: the peer is gone.
static int answer_begins(struct oto_exchange *e, enum http_answer_state state)
{
    assert(e->answer_state == HTTP_ANSWER_NONE);
    e->answer_state = (uint8_t)state;
    if (!e->connection)
        return 0;
    e->progress_ms = http_now_ms(e->connection->server);
    if (e->body_state == HTTP_BODY_WAITING || e->body_state == HTTP_BODY_READING)
        e->body_state = HTTP_BODY_DISCARDED;
    return 1;
}

void http_exchange_respond(struct oto_exchange *e, const struct oto_http_response *response,
                           struct oto_bytes body_prefix)
{
    if (answer_begins(e, HTTP_ANSWER_ENDED))
        e->connection->protocol->answer(e, response, body_prefix);
    else
        free_when_idle(e);
}

void oto_exchange_respond(struct oto_exchange *e, const struct oto_http_response *response)
{
    http_exchange_respond(e, response, (struct oto_bytes){0});
}

void oto_exchange_refuse(struct oto_exchange *e, int status, const char *reason)
{
    http_exchange_refuse(e, status, reason);
}

void oto_exchange_respond_begin(struct oto_exchange *e, int status,
                                const struct oto_http_header *headers, size_t header_count,
                                void (*drained)(void *state), void *state)
{
    e->drained = drained;
    e->drained_state = state;
    if (answer_begins(e, HTTP_ANSWER_BEGUN))
        e->connection->protocol->begin(e, status, headers, header_count);
}

size_t oto_exchange_write(struct oto_exchange *e, const void *data, size_t size)
{
    assert(e->answer_state == HTTP_ANSWER_BEGUN);
    if (!e->connection || e->connection->is_doomed)
        return SIZE_MAX;
    if (size == 0)
        return e->connection->protocol->backlog(e);
    size_t backlog = e->connection->protocol->write(e, oto_bytes(data, size));
    if (backlog >= HTTP_BACKLOG_LOW)
        e->over_backlog = 1;
    return backlog;
}

void oto_exchange_end(struct oto_exchange *e, const struct oto_http_header *trailers,
                      size_t trailer_count)
{
    assert(e->answer_state == HTTP_ANSWER_BEGUN);
    e->answer_state = HTTP_ANSWER_ENDED;
    if (e->connection)
        e->connection->protocol->end(e, trailers, trailer_count);
    else
        free_when_idle(e);
}

void oto_exchange_abort(struct oto_exchange *e)
{
    assert(e->answer_state == HTTP_ANSWER_BEGUN);
    e->answer_state = HTTP_ANSWER_ENDED;
    if (e->connection)
        e->connection->protocol->abort(e);
    else
        free_when_idle(e);
}

void http_exchange_drained(struct oto_exchange *e)
{
    e->over_backlog = 0;
    if (!e->drained || e->answer_state != HTTP_ANSWER_BEGUN)
        return;
    call_enter(e);
    e->drained(e->drained_state);
    call_leave(e);
}

// --- end ---

void oto_exchange_release_body(struct oto_exchange *e)
{
    if (e->body_state != HTTP_BODY_COMPLETE)
        return;
    if (e->connection)
        http_server_body_return(e->connection->server, &e->body);
    else
        oto_buffer_release(&e->body);
    e->request.body = (struct oto_bytes){0};
}

void http_exchange_sent(struct oto_exchange *e)
{
    struct http_connection *c = e->connection;
    http_exchanges_remove(&c->open, e);
    http_exchanges_push(&c->sent, e);
    e->out_end = c->sent_total + http_connection_pending(c);
    http_server_body_return(c->server, &e->body);
    e->request.body = (struct oto_bytes){0};
    oto_buffer_release(&e->out);
    http_connection_mark(c);
}

static void tell_closed(struct oto_exchange *e, int answered)
{
    if (e->internal)
        return;
    call_enter(e);
    e->handler->closed(e->handler->state, e, answered);
    e->calls--;
}

void http_exchange_half_closed(struct oto_exchange *e)
{
    if (e->internal || !e->handler->half_closed)
        return;
    e->calls++;
    e->handler->half_closed(e->handler->state, e);
    e->calls--;
}

void http_exchange_finish(struct oto_exchange *e)
{
    http_exchanges_remove(&e->connection->sent, e);
    e->connection = NULL;
    tell_closed(e, 1);
    exchange_free(e);
}

void http_exchange_gone(struct oto_exchange *e)
{
    struct http_connection *c = e->connection;
    int is_sent = 0;
    for (struct oto_exchange *s = c->sent.first; s && !is_sent; s = s->next)
        is_sent = s == e;
    http_exchanges_remove(is_sent ? &c->sent : &c->open, e);
    e->connection = NULL;
    call_enter(e); // held over both callbacks
    if (e->answer_state == HTTP_ANSWER_BEGUN && e->drained)
        e->drained(e->drained_state);
    tell_closed(e, 0);
    e->calls--;
    // An answer is owed by a handler that has the whole request, has begun to answer, or has
    // decided nothing yet.
    int is_owed = e->answer_state == HTTP_ANSWER_BEGUN ||
                  (e->answer_state == HTTP_ANSWER_NONE && e->body_state != HTTP_BODY_READING);
    if (!is_owed || e->internal)
        free_when_idle(e);
}

// --- the handler's view ---

struct oto_bytes oto_http_header(const struct oto_http_request *request, const char *name)
{
    size_t size = strlen(name);
    for (size_t i = 0; i < request->header_count; i++)
        if (request->headers[i].name.size == size &&
            memcmp(request->headers[i].name.data, name, size) == 0)
            return request->headers[i].value;
    return (struct oto_bytes){0};
}

struct oto_http_request *oto_exchange_request(struct oto_exchange *exchange)
{
    return &exchange->request;
}

void **oto_exchange_user(struct oto_exchange *exchange)
{
    return &exchange->user;
}

struct oto_loop *oto_exchange_loop(struct oto_exchange *exchange)
{
    return exchange->loop;
}

uint64_t *oto_exchange_memo(struct oto_exchange *exchange)
{
    return exchange->head ? &exchange->head->memo : NULL;
}

const struct oto_allocator *oto_exchange_allocator(const struct oto_exchange *exchange)
{
    return exchange->allocator;
}

int oto_exchange_alive(const struct oto_exchange *exchange)
{
    return exchange->connection && !exchange->connection->is_doomed;
}
