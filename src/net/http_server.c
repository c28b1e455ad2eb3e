// The server: listeners, the once-a-second scan, the flush at the end of a round, drain.
#include "net/http_server.h"

#include <stdio.h>
#include <time.h>
#include <unistd.h>

#include "net/http_internal.h"
#include "os/clock.h"
#include "os/socket.h"

#define ACCEPTS_A_ROUND 64
#define ACCEPT_PAUSE_MS 100
#define TICK_MS 1000
#define DRAIN_NOTICE_MS 100 // between the two GOAWAYs: longer than a round trip
#define FLUSHES_A_ROUND 8

void oto_http_limits_default(struct oto_http_limits *limits)
{
    *limits = (struct oto_http_limits){
        .connections_max = 10000,
        .header_bytes_max = 32768,
        .header_count_max = 128,
        .streams_max = 256,
        .header_timeout_ms = 10000,
        .body_timeout_ms = 60000,
        .body_bytes_per_s_min = 512,
        .idle_timeout_ms = 120000,
        .write_timeout_ms = 30000,
        .pipeline_max = 16,
        .age_grace_ms = 10000,
        .body_pool_bytes_max = 6u << 20,
    };
}

const char *http_status_reason(int status)
{
    static const struct {
        int status;
        const char *reason;
    } rows[] = {
        {200, "OK"},
        {201, "Created"},
        {202, "Accepted"},
        {204, "No Content"},
        {206, "Partial Content"},
        {301, "Moved Permanently"},
        {302, "Found"},
        {304, "Not Modified"},
        {307, "Temporary Redirect"},
        {400, "Bad Request"},
        {401, "Unauthorized"},
        {403, "Forbidden"},
        {404, "Not Found"},
        {405, "Method Not Allowed"},
        {406, "Not Acceptable"},
        {408, "Request Timeout"},
        {409, "Conflict"},
        {411, "Length Required"},
        {412, "Precondition Failed"},
        {413, "Content Too Large"},
        {414, "URI Too Long"},
        {415, "Unsupported Media Type"},
        {417, "Expectation Failed"},
        {422, "Unprocessable Content"},
        {429, "Too Many Requests"},
        {431, "Request Header Fields Too Large"},
        {500, "Internal Server Error"},
        {501, "Not Implemented"},
        {502, "Bad Gateway"},
        {503, "Service Unavailable"},
        {504, "Gateway Timeout"},
        {505, "HTTP Version Not Supported"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].status == status)
            return rows[i].reason;
    return "";
}

// Eight bytes at once: which of them are controls.
static uint64_t controls(uint64_t eight)
{
    const uint64_t ones = UINT64_MAX / 255, highs = ones << 7;
    uint64_t deletes = eight ^ ones * 127;
    return ((eight - ones * ' ') & ~eight & highs) | ((deletes - ones) & ~deletes & highs);
}

int http_value_is_safe(struct oto_bytes text)
{
    size_t i = 0;
    for (; i + 8 <= text.size && !controls(oto_load64(text.data + i)); i += 8)
        ;
    for (; i < text.size; i++)
        if ((text.data[i] < ' ' && text.data[i] != '\t') || text.data[i] == 127)
            return 0;
    return 1;
}

const char *http_date(struct oto_http_server *server)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    uint64_t now_s = oto_loop_now_ns(server->loop) / 1000000000;
    if (server->date_s == now_s && server->date[0])
        return server->date;
    time_t wall = (time_t)(oto_clock_wall_ns() / 1000000000);
    struct tm t;
    gmtime_r(&wall, &t);
    // strftime would speak the locale's language.
    char text[96];
    snprintf(text, sizeof text, "%s, %02d %s %d %02d:%02d:%02d GMT", days[t.tm_wday], t.tm_mday,
             months[t.tm_mon], t.tm_year + 1900, t.tm_hour, t.tm_min, t.tm_sec);
    memcpy(server->date, text, sizeof server->date - 1);
    server->date_s = now_s;
    return server->date;
}

// --- listeners ---

static void accept_ready(struct oto_loop_watch *watch, unsigned events);

static enum oto_status listener_watch(struct http_listener *l, struct oto_error *err)
{
    l->watch.ready = accept_ready;
    l->watch.state = l;
    OTO_TRY(oto_loop_watch(l->server->loop, &l->watch, OTO_LOOP_READ | OTO_LOOP_EXCLUSIVE, err));
    l->watched = 1;
    return OTO_OK;
}

static void listeners_unwatch(struct oto_http_server *server)
{
    for (size_t i = 0; i < server->listener_count; i++) {
        struct http_listener *l = &server->listeners[i];
        if (l->watched)
            oto_loop_unwatch(server->loop, &l->watch);
        l->watched = 0;
    }
}

// No descriptors are left: a level-triggered listener would spin. Others' connections will close
// meanwhile.
static void accept_pause(struct oto_http_server *server)
{
    listeners_unwatch(server);
    if (oto_loop_timer_arm(server->loop, &server->accept_timer, ACCEPT_PAUSE_MS) != OTO_OK)
        for (size_t i = 0; i < server->listener_count; i++)
            (void)!listener_watch(&server->listeners[i], NULL);
}

static void accept_again(struct oto_loop_timer *timer)
{
    struct oto_http_server *server = timer->state;
    if (server->draining)
        return;
    for (size_t i = 0; i < server->listener_count; i++)
        if (!server->listeners[i].watched && listener_watch(&server->listeners[i], NULL) != OTO_OK)
            (void)!oto_loop_timer_arm(server->loop, timer, ACCEPT_PAUSE_MS);
}

// A connection on its way to the server with the fewest.
struct handed {
    struct oto_loop_message message; // first: the loop gives this back
    struct oto_http_server *server;
    int fd;
    uint32_t listener;
};

static void take(struct oto_http_server *server, int fd, uint32_t listener)
{
    if (server->stats.connections_open >= server->limits.connections_max) {
        server->stats.connections_refused++;
        close(fd);
        return;
    }
    http_connection_new(server, fd, listener);
}

static void run_handed(struct oto_loop_message *message)
{
    struct handed *handed = (struct handed *)message;
    struct oto_http_server *server = handed->server;
    atomic_fetch_sub_explicit(&server->load, 1, memory_order_relaxed);
    if (server->draining)
        close(handed->fd);
    else
        take(server, handed->fd, handed->listener);
    oto_free(server->allocator, handed, sizeof *handed);
}

static unsigned load_of(struct oto_http_server *server)
{
    return atomic_load_explicit(&server->load, memory_order_relaxed);
}

// One listener wakes one loop, most often the same one, which would take all: clients that come
// together would share one core.
static void place(struct oto_http_server *server, int fd, uint32_t listener)
{
    struct oto_http_server *least = server;
    for (struct oto_http_server *peer = server->peer; peer != server; peer = peer->peer)
        if (load_of(peer) < load_of(least))
            least = peer;
    struct handed *handed = least == server ? NULL : oto_alloc(least->allocator, sizeof *handed);
    if (!handed) {
        take(server, fd, listener);
        return;
    }
    *handed = (struct handed){{.run = run_handed}, least, fd, listener};
    atomic_fetch_add_explicit(&least->load, 1, memory_order_relaxed);
    oto_loop_post(least->loop, &handed->message);
}

void oto_http_server_join(struct oto_http_server *server, struct oto_http_server *other)
{
    struct oto_http_server *peer = server->peer;
    server->peer = other->peer;
    other->peer = peer;
}

static void accept_ready(struct oto_loop_watch *watch, unsigned events)
{
    struct http_listener *l = watch->state;
    struct oto_http_server *server = l->server;
    (void)events;
    for (int i = 0; i < ACCEPTS_A_ROUND; i++) {
        int fd = -1;
        enum oto_status status = oto_socket_accept(watch->fd, &fd);
        if (status == OTO_AGAIN)
            return;
        if (status != OTO_OK) {
            accept_pause(server);
            return;
        }
        place(server, fd, l->index);
    }
}

enum oto_status oto_http_server_listen(struct oto_http_server *server, int listening_fd,
                                       uint32_t index, struct oto_error *err)
{
    if (server->listener_count == HTTP_LISTENERS_MAX)
        return oto_error_set(err, OTO_TOO_LARGE, "more than %d listeners", HTTP_LISTENERS_MAX);
    struct http_listener *l = &server->listeners[server->listener_count];
    *l = (struct http_listener){.server = server, .index = index, .watch.fd = listening_fd};
    OTO_TRY(listener_watch(l, err));
    server->listener_count++;
    return OTO_OK;
}

// --- drain ---

static void drain_check(struct oto_http_server *server)
{
    if (server->draining == 0 || server->draining == 3 || server->connections)
        return;
    server->draining = 3;
    oto_loop_timer_disarm(server->loop, &server->drain_timer);
    if (server->drained)
        server->drained(server->drained_state);
}

void http_server_connection_gone(struct oto_http_server *server)
{
    // Told by the next round: this may be inside anything.
    if (server->draining && !server->connections)
        (void)!oto_loop_timer_arm(server->loop, &server->again_timer, 0);
}

static void drain_connections(struct oto_http_server *server, int last)
{
    for (struct http_connection *c = server->connections; c; c = c->next) {
        if (c->protocol)
            c->protocol->drain(c, last);
        else
            http_connection_doom(c);
    }
    (void)!oto_loop_timer_arm(server->loop, &server->again_timer, 0);
}

static void drain_due(struct oto_loop_timer *timer)
{
    struct oto_http_server *server = timer->state;
    uint64_t now_ms = http_now_ms(server);
    if (server->draining == 1) {
        server->draining = 2;
        drain_connections(server, 1);
    }
    if (now_ms >= server->drain_deadline_ms) {
        for (struct http_connection *c = server->connections; c; c = c->next)
            http_connection_doom(c);
        (void)!oto_loop_timer_arm(server->loop, &server->again_timer, 0);
        return;
    }
    (void)!oto_loop_timer_arm(server->loop, timer, server->drain_deadline_ms - now_ms);
}

void oto_http_server_drain(struct oto_http_server *server, uint32_t grace_ms,
                           void (*drained)(void *state), void *state)
{
    if (server->draining)
        return;
    server->draining = 1;
    server->drained = drained;
    server->drained_state = state;
    server->drain_deadline_ms = oto_clock_monotonic_ns() / 1000000 + grace_ms;
    listeners_unwatch(server);
    drain_connections(server, 0);
    uint64_t first = grace_ms < DRAIN_NOTICE_MS ? grace_ms : DRAIN_NOTICE_MS;
    (void)!oto_loop_timer_arm(server->loop, &server->drain_timer, first);
}

// --- the round ---

static void flush(void *state)
{
    struct oto_http_server *server = state;
    for (int i = 0; i < FLUSHES_A_ROUND && server->dirty; i++) {
        struct http_connection *list = server->dirty;
        server->dirty = NULL;
        while (list) {
            struct http_connection *c = list;
            list = c->dirty_next;
            c->is_dirty = 0;
            if (!c->is_doomed)
                http_connection_flush(c);
            if (c->is_doomed && !c->is_dirty)
                http_connection_mark(c); // closed below, with the other doomed ones
        }
        struct http_connection *marked = server->dirty;
        server->dirty = NULL;
        while (marked) {
            struct http_connection *c = marked;
            marked = c->dirty_next;
            c->is_dirty = 0;
            if (c->is_doomed)
                http_connection_close(c);
            else
                http_connection_mark(c);
        }
    }
    if (server->dirty) // the rest after the others have had their turn
        (void)!oto_loop_timer_arm(server->loop, &server->again_timer, 0);
}

static void again(struct oto_loop_timer *timer)
{
    // Being woken is all that is needed: flush comes at the end of the round.
    drain_check(timer->state);
}

// --- memory that goes round ---

void http_server_body_borrow(struct oto_http_server *server, struct oto_buffer *body, size_t size)
{
    // The latest first: its bytes are most likely in the processor's cache.
    for (size_t i = server->body_pool_count; i-- > 0;) {
        struct oto_buffer *kept = &server->body_pool[i];
        if (kept->capacity < size)
            continue;
        *body = *kept;
        *kept = server->body_pool[--server->body_pool_count];
        server->body_pool_bytes -= body->capacity;
        server->pools_used = 1;
        return;
    }
}

void http_server_body_return(struct oto_http_server *server, struct oto_buffer *body)
{
    if (body->capacity < HTTP_BODY_POOLED_MIN || body->capacity > HTTP_BODY_POOLED_MAX ||
        server->body_pool_count == HTTP_BODY_POOL ||
        server->body_pool_bytes + body->capacity > server->limits.body_pool_bytes_max) {
        oto_buffer_release(body);
        return;
    }
    server->body_pool_bytes += body->capacity;
    server->body_pool[server->body_pool_count] = *body;
    server->body_pool[server->body_pool_count++].size = 0;
    oto_buffer_init(body, server->allocator, body->size_max);
}

static void pools_release(struct oto_http_server *server)
{
    while (server->body_pool_count > 0)
        oto_buffer_release(&server->body_pool[--server->body_pool_count]);
    server->body_pool_bytes = 0;
    while (server->out_pool_count > 0)
        oto_buffer_release(&server->out_pool[--server->out_pool_count]);
    oto_small_blocks_trim(&server->blocks);
    oto_recycler_trim(server->recycler);
}

// Whether this thread did not run for a while (a busy machine, a machine that was paused). What
// came meanwhile is not all read, so nobody is late for all that is known. Not twice in a row: who
// is that busy all the time still has limits to keep.
static int was_away(struct oto_http_server *server, uint64_t now_ms)
{
    int away = !server->tick_skipped && now_ms > server->ticked_ms + 2 * TICK_MS;
    server->ticked_ms = now_ms;
    server->tick_skipped = away;
    return away;
}

static void tick(struct oto_loop_timer *timer)
{
    struct oto_http_server *server = timer->state;
    if (!server->pools_used)
        pools_release(server);
    server->pools_used = 0;
    uint64_t now_ms = http_now_ms(server);
    if (!was_away(server, now_ms))
        for (struct http_connection *c = server->connections; c; c = c->next)
            http_connection_tick(c, now_ms);
    (void)!oto_loop_timer_arm(server->loop, timer, TICK_MS);
}

// --- life ---

struct oto_http_server *oto_http_server_new(struct oto_loop *loop,
                                            const struct oto_allocator *allocator,
                                            const struct oto_http_handler *handler,
                                            const struct oto_http_limits *limits,
                                            struct oto_error *err)
{
    struct oto_http_server *server = oto_alloc(allocator, sizeof *server);
    if (server) {
        memset(server, 0, sizeof *server);
        server->read_buffer = oto_alloc(allocator, HTTP_READ_SIZE);
        server->recycler = oto_recycler_new(allocator);
    }
    if (!server || !server->read_buffer || !server->recycler) {
        if (server) {
            oto_free(allocator, server->read_buffer, HTTP_READ_SIZE);
            oto_recycler_close(server->recycler);
        }
        oto_free(allocator, server, sizeof *server);
        oto_error_set(err, OTO_NO_MEMORY, "HTTP server: out of memory");
        return NULL;
    }
    server->loop = loop;
    server->peer = server;
    server->allocator = allocator;
    server->handler = *handler;
    server->recycled = oto_recycler_allocator(server->recycler);
    oto_small_blocks_init(&server->blocks, allocator);
    if (limits)
        server->limits = *limits;
    else
        oto_http_limits_default(&server->limits);
    oto_loop_timer_init(&server->tick_timer, tick, server);
    oto_loop_timer_init(&server->accept_timer, accept_again, server);
    oto_loop_timer_init(&server->again_timer, again, server);
    oto_loop_timer_init(&server->drain_timer, drain_due, server);
    if (oto_loop_timer_arm(loop, &server->tick_timer, TICK_MS) != OTO_OK) {
        oto_small_blocks_release(&server->blocks);
        oto_recycler_close(server->recycler);
        oto_free(allocator, server->read_buffer, HTTP_READ_SIZE);
        oto_free(allocator, server, sizeof *server);
        oto_error_set(err, OTO_NO_MEMORY, "HTTP server: out of memory");
        return NULL;
    }
    oto_loop_on_flush(loop, flush, server);
    return server;
}

const struct oto_http_stats *oto_http_server_stats(const struct oto_http_server *server)
{
    return &server->stats;
}

void oto_http_server_free(struct oto_http_server *server)
{
    if (!server)
        return;
    listeners_unwatch(server);
    server->draining = 3; // nobody is told
    while (server->connections)
        http_connection_close(server->connections);
    oto_loop_off_flush(server->loop, flush, server);
    oto_loop_timer_disarm(server->loop, &server->tick_timer);
    oto_loop_timer_disarm(server->loop, &server->accept_timer);
    oto_loop_timer_disarm(server->loop, &server->again_timer);
    oto_loop_timer_disarm(server->loop, &server->drain_timer);
    pools_release(server);
    oto_small_blocks_release(&server->blocks);
    oto_recycler_close(server->recycler);
    oto_free(server->allocator, server->read_buffer, HTTP_READ_SIZE);
    oto_free(server->allocator, server, sizeof *server);
}
