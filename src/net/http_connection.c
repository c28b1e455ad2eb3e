// A connection's bytes: reading, telling the protocol by the first of them, writing once a round,
// closing.
#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_internal.h"

#define READS_A_ROUND 4
#define WRITES_A_ROUND 4

void http_connection_mark(struct http_connection *c)
{
    if (c->is_dirty)
        return;
    c->is_dirty = 1;
    c->dirty_next = c->server->dirty;
    c->server->dirty = c;
}

void http_connection_doom(struct http_connection *c)
{
    c->is_doomed = 1;
    http_connection_mark(c);
}

static void rewatch(struct http_connection *c)
{
    // Reading finds the end; while there is none, the kernel tells.
    unsigned paused = c->peer_ended ? 0 : OTO_LOOP_END;
    unsigned events = (c->read_paused ? paused : OTO_LOOP_READ) |
                      (http_connection_pending(c) ? OTO_LOOP_WRITE : 0);
    if (oto_loop_rewatch(c->server->loop, &c->watch, events, NULL) != OTO_OK)
        http_connection_doom(c);
}

void http_connection_pause(struct http_connection *c, int paused)
{
    if (c->read_paused == paused)
        return;
    c->read_paused = (uint8_t)paused;
    rewatch(c);
}

void http_connection_peer_ended(struct http_connection *c)
{
    if (c->peer_ended)
        return;
    c->peer_ended = 1;
    for (struct oto_exchange *e = c->open.first; e; e = e->next)
        http_exchange_half_closed(e);
    rewatch(c);
}

// --- input ---

// HTTP/2 begins with "PRI", which is no HTTP/1.1 method. TLS would be told here by its first
// byte, 22.
static const struct http_protocol *tell_protocol(const uint8_t *data, size_t size)
{
    if (memcmp(data, "PRI", size < 3 ? size : 3) != 0)
        return &http1_protocol;
    return size < 3 ? NULL : &http2_protocol;
}

static void sniff(struct http_connection *c, struct oto_bytes bytes)
{
    uint8_t first[3];
    size_t had = c->sniffed_size, more = 3 - had < bytes.size ? 3 - had : bytes.size;
    memcpy(first, c->sniffed, had);
    memcpy(first + had, bytes.data, more);
    c->protocol = tell_protocol(first, had + more);
    if (!c->protocol) {
        memcpy(c->sniffed, first, had + more);
        c->sniffed_size = (uint8_t)(had + more);
        return;
    }
    if (had > 0) // those came in a read before
        c->protocol->input(c, oto_bytes(first, had));
    if (!c->is_doomed)
        c->protocol->input(c, bytes);
}

static void take_input(struct http_connection *c, size_t size)
{
    struct oto_bytes bytes = oto_bytes(c->server->read_buffer, size);
    c->server->stats.bytes_in += size;
    c->input_ms = http_now_ms(c->server);
    if (c->linger_ms)
        return;
    if (c->protocol)
        c->protocol->input(c, bytes);
    else
        sniff(c, bytes);
}

static void take_end(struct http_connection *c)
{
    http_connection_pause(c, 1); // readable for ever, else
    if (c->protocol && !c->linger_ms)
        c->protocol->input_end(c);
    else
        http_connection_doom(c);
}

static void read_some(struct http_connection *c)
{
    for (int i = 0; i < READS_A_ROUND && !c->is_doomed && !c->read_paused; i++) {
        ssize_t n = recv(c->watch.fd, c->server->read_buffer, HTTP_READ_SIZE, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0) {
            http_connection_doom(c);
        } else if (n == 0) {
            take_end(c);
        } else {
            take_input(c, (size_t)n);
            if ((size_t)n < HTTP_READ_SIZE)
                return; // all there was; the rest will wake us
        }
    }
}

static void ready(struct oto_loop_watch *watch, unsigned events)
{
    struct http_connection *c = watch->state;
    if (events & OTO_LOOP_READ)
        read_some(c);
    else if (events & OTO_LOOP_HANGUP) // both ways: nothing can be answered any more
        http_connection_doom(c);
    if ((events & OTO_LOOP_END) && c->read_paused && !c->linger_ms && !c->is_doomed)
        http_connection_peer_ended(c);
    if (events & OTO_LOOP_WRITE)
        http_connection_mark(c);
}

// --- output ---

static void borrow_out(struct http_connection *c)
{
    struct oto_http_server *server = c->server;
    if (server->out_pool_count > 0)
        c->out = server->out_pool[--server->out_pool_count];
    server->pools_used = 1;
    c->out.size = c->out_start = 0;
}

static void give_out_back(struct http_connection *c)
{
    struct oto_http_server *server = c->server;
    if (c->out.capacity <= HTTP_OUT_POOLED_MAX && server->out_pool_count < HTTP_OUT_POOL) {
        server->out_pool[server->out_pool_count++] = c->out;
        oto_buffer_init(&c->out, server->allocator, SIZE_MAX / 2);
    } else {
        oto_buffer_release(&c->out);
    }
    c->out.size = c->out_start = 0;
}

uint8_t *http_connection_room(struct http_connection *c, size_t size)
{
    if (c->is_doomed)
        return NULL;
    if (!c->out.data)
        borrow_out(c);
    if (c->out_start > HTTP_BACKLOG_LOW && c->out_start > c->out.size / 2) {
        c->out.size -= c->out_start;
        memmove(c->out.data, c->out.data + c->out_start, c->out.size);
        c->out_start = 0;
    }
    if (http_connection_pending(c) == 0)
        c->progress_ms = http_now_ms(c->server);
    http_connection_mark(c);
    // One growth to a useful size, instead of doubling up to it.
    if (oto_buffer_reserve(&c->out, c->out.data || size > 4096 ? size : 4096) != OTO_OK) {
        http_connection_doom(c);
        return NULL;
    }
    c->out.size += size;
    return c->out.data + c->out.size - size;
}

void http_connection_put(struct http_connection *c, const void *data, size_t size)
{
    uint8_t *at = size > 0 ? http_connection_room(c, size) : NULL;
    if (at)
        memcpy(at, data, size);
}

// 1 when all is sent.
static int send_some(struct http_connection *c)
{
    while (http_connection_pending(c) > 0) {
        ssize_t n =
            send(c->watch.fd, c->out.data + c->out_start, http_connection_pending(c), MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EAGAIN)
            return 0;
        if (n < 0) {
            http_connection_doom(c);
            return 0;
        }
        c->out_start += (size_t)n;
        c->sent_total += (size_t)n;
        c->server->stats.bytes_out += (size_t)n;
        c->progress_ms = http_now_ms(c->server);
    }
    if (c->out.data)
        give_out_back(c);
    return 1;
}

static void finish_sent(struct http_connection *c)
{
    while (c->sent.first && c->sent.first->out_end <= c->sent_total)
        http_exchange_finish(c->sent.first);
}

static void call_writers(struct http_connection *c)
{
    struct oto_exchange *e = c->open.first;
    while (e && !c->is_doomed) {
        struct oto_exchange *next = e->next; // a callback ends e at most
        if (e->over_backlog && c->protocol->backlog(e) < HTTP_BACKLOG_LOW)
            http_exchange_drained(e);
        e = next;
    }
}

// After the last answer: closes, or waits until the peer has read it. Closing at once with unread
// input would make the kernel reset the connection and the peer lose the answer.
static void finish_connection(struct http_connection *c)
{
    if (!c->linger_after) {
        http_connection_doom(c);
    } else if (!c->linger_ms) {
        shutdown(c->watch.fd, SHUT_WR);
        c->linger_ms = http_now_ms(c->server) | 1;
        http_connection_pause(c, 0);
    }
}

void http_connection_flush(struct http_connection *c)
{
    int all_sent = 1;
    for (int i = 0; i < WRITES_A_ROUND && !c->is_doomed && all_sent; i++) {
        if (c->protocol && !c->linger_ms)
            c->protocol->flush(c);
        if (c->is_doomed || http_connection_pending(c) == 0)
            break;
        all_sent = send_some(c);
        finish_sent(c); // further requests may wait for that
    }
    finish_sent(c); // an answer's end may have had no bytes of its own
    if (!c->is_doomed)
        call_writers(c);
    if (!c->is_doomed && c->close_after && http_connection_pending(c) == 0 && !c->sent.first)
        finish_connection(c);
    if (!c->is_doomed)
        rewatch(c);
}

// --- life ---

void http_connection_new(struct oto_http_server *server, int fd, uint32_t listener)
{
    struct http_connection *c = oto_alloc(server->allocator, sizeof *c);
    if (!c) {
        server->stats.connections_refused++;
        close(fd);
        return;
    }
    memset(c, 0, sizeof *c);
    c->watch = (struct oto_loop_watch){.fd = fd, .ready = ready, .state = c};
    c->server = server;
    c->listener = listener;
    c->open_ms = c->input_ms = http_now_ms(server);
    oto_buffer_init(&c->out, server->allocator, SIZE_MAX / 2);
    if (oto_loop_watch(server->loop, &c->watch, OTO_LOOP_READ, NULL) != OTO_OK) {
        server->stats.connections_refused++;
        close(fd);
        oto_free(server->allocator, c, sizeof *c);
        return;
    }
    c->next = server->connections;
    if (c->next)
        c->next->prev = c;
    server->connections = c;
    server->stats.connections_accepted++;
    server->stats.connections_open++;
    atomic_fetch_add_explicit(&server->load, 1, memory_order_relaxed);
}

// An old connection: a first notice, at the next tick the last one, then the end. Clients connect
// anew, perhaps elsewhere.
static void tick_age(struct http_connection *c, uint64_t now_ms)
{
    const struct oto_http_limits *limits = &c->server->limits;
    uint32_t spread = limits->age_max_ms / 5; // so that not all who came together leave together
    uint64_t age_ms = limits->age_max_ms - spread / 2;
    age_ms += (uint32_t)c->watch.fd * 2654435761u % (spread + 1);
    if (!limits->age_max_ms || now_ms < c->open_ms + age_ms)
        return;
    if (c->retired_ms && now_ms > c->retired_ms + limits->age_grace_ms) {
        http_connection_doom(c);
        return;
    }
    c->protocol->drain(c, c->retired_ms != 0);
    if (!c->retired_ms)
        c->retired_ms = now_ms | 1;
}

void http_connection_tick(struct http_connection *c, uint64_t now_ms)
{
    const struct oto_http_limits *limits = &c->server->limits;
    if (c->is_doomed)
        return;
    if (c->linger_ms) {
        if (now_ms > c->linger_ms + HTTP_LINGER_MS)
            http_connection_doom(c);
        return;
    }
    int stuck = http_connection_pending(c) && now_ms > c->progress_ms + limits->write_timeout_ms;
    int mute = !c->protocol && now_ms > c->input_ms + (c->sniffed_size ? limits->header_timeout_ms
                                                                       : limits->idle_timeout_ms);
    if (stuck || mute) {
        c->server->stats.timeouts++;
        http_connection_doom(c);
    } else if (c->protocol) {
        c->protocol->tick(c, now_ms);
        if (!c->is_doomed)
            tick_age(c, now_ms);
    }
}

static int ends_by_close(const struct http_exchanges *list)
{
    for (const struct oto_exchange *e = list->first; e; e = e->next)
        if (e->ends_by_close)
            return 1;
    return 0;
}

// An answer that ends with its connection, and is not all sent, would look whole.
static void reset_if_cut(struct http_connection *c)
{
    const struct linger at_once = {.l_onoff = 1};
    if (ends_by_close(&c->sent) || ends_by_close(&c->open))
        (void)setsockopt(c->watch.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void http_connection_close(struct http_connection *c)
{
    struct oto_http_server *server = c->server;
    c->is_doomed = c->is_dirty = 1; // so that no callback below marks it again
    oto_loop_unwatch(server->loop, &c->watch);
    reset_if_cut(c);
    close(c->watch.fd);
    while (c->sent.first || c->open.first)
        http_exchange_gone(c->sent.first ? c->sent.first : c->open.first);
    if (c->protocol)
        c->protocol->release(c);
    oto_buffer_release(&c->out);
    if (c->prev)
        c->prev->next = c->next;
    else
        server->connections = c->next;
    if (c->next)
        c->next->prev = c->prev;
    oto_free(server->allocator, c, sizeof *c);
    server->stats.connections_open--;
    atomic_fetch_sub_explicit(&server->load, 1, memory_order_relaxed);
    http_server_connection_gone(server);
}
