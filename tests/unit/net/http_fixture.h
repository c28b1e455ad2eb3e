// A server in a thread with a handler whose paths each behave in one way, and counters of what it
// was told.
#ifndef OTO_TEST_HTTP_FIXTURE_H
#define OTO_TEST_HTTP_FIXTURE_H

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/grpc.h"
#include "net/http_server.h"
#include "os/clock.h"
#include "os/socket.h"
#include "os/thread.h"

struct fixture {
    struct oto_loop *loop;
    struct oto_http_server *server;
    struct oto_thread thread;
    int listening, port;
    struct oto_exchange *held;  // of /hold, answered by /release
    struct oto_exchange *begun; // of /begin: the answer has a head and no end
    atomic_int headers, completed, answered, gone, drained, held_alive;
    atomic_int half_closed;
    atomic_long reserved, counted;
    atomic_uintptr_t body; // where that of the latest request lay
};

// What a handler keeps for an exchange that is answered later.
struct later {
    struct oto_loop_timer timer;
    struct oto_exchange *exchange;
    struct fixture *fixture;
    size_t left; // of /stream
    int is_dead;
};

static inline void pause_ms(int ms)
{
    nanosleep(&(struct timespec){ms / 1000, ms % 1000 * 1000000L}, NULL);
}

static inline void answer_text(struct oto_exchange *e, int status, const char *text)
{
    struct oto_http_header type = {OTO_BYTES_LITERAL("content-type"),
                                   OTO_BYTES_LITERAL("text/plain")};
    struct oto_http_response r = {
        .status = status, .headers = &type, .header_count = 1, .body = oto_bytes_text(text)};
    oto_exchange_respond(e, &r);
}

static inline int path_is(struct oto_exchange *e, const char *path)
{
    return oto_bytes_equal_text(oto_exchange_request(e)->path, path);
}

static inline void later_fired(struct oto_loop_timer *timer)
{
    struct later *l = timer->state;
    atomic_store(&l->fixture->held_alive, oto_exchange_alive(l->exchange));
    answer_text(l->exchange, 200, "later");
    free(l);
}

static inline struct later *later_new(struct fixture *f, struct oto_exchange *e)
{
    struct later *l = calloc(1, sizeof *l);
    l->exchange = e;
    l->fixture = f;
    return l;
}

static inline void stream_more(void *state)
{
    static char piece[65536];
    struct later *l = state;
    while (l->left > 0) {
        memset(piece, 'a' + (int)(l->left % 26), sizeof piece);
        l->left--;
        size_t backlog = oto_exchange_write(l->exchange, piece, sizeof piece);
        if (backlog == SIZE_MAX)
            break;
        if (backlog >= 256 << 10 && l->left > 0)
            return;
    }
    struct oto_exchange *e = l->exchange;
    free(l);
    struct oto_http_header trailer = {OTO_BYTES_LITERAL("x-end"), OTO_BYTES_LITERAL("1")};
    oto_exchange_end(e, &trailer, 1);
}

static inline void on_headers(void *state, struct oto_exchange *e)
{
    struct fixture *f = state;
    atomic_fetch_add(&f->headers, 1);
    if (path_is(e, "/refuse"))
        answer_text(e, 503, "refused");
    else if (path_is(e, "/limit"))
        oto_exchange_read_body(e, 1000, "name of the limit");
    else
        oto_exchange_read_body(e, 64 << 20, NULL);
}

static inline int on_reserve(void *state, struct oto_exchange *e, size_t more)
{
    struct fixture *f = state;
    if (path_is(e, "/budget") && more > 10000) {
        answer_text(e, 503, "no budget");
        return 0;
    }
    atomic_fetch_add(&f->reserved, (long)more);
    *oto_exchange_user(e) = (void *)((uintptr_t)*oto_exchange_user(e) + more);
    return 1;
}

static inline void on_complete(void *state, struct oto_exchange *e)
{
    struct fixture *f = state;
    const struct oto_http_request *r = oto_exchange_request(e);
    char text[64];
    atomic_store(&f->body, (uintptr_t)r->body.data);
    atomic_fetch_add(&f->completed, 1);
    if (path_is(e, "/later")) {
        struct later *l = later_new(f, e);
        oto_loop_timer_init(&l->timer, later_fired, l);
        if (oto_loop_timer_arm(f->loop, &l->timer, 150) != OTO_OK)
            abort();
    } else if (path_is(e, "/stream")) {
        struct later *l = later_new(f, e);
        snprintf(text, sizeof text, "%.*s", (int)r->query.size, r->query.data);
        l->left = (size_t)atoi(text);
        oto_exchange_respond_begin(e, 200, NULL, 0, stream_more, l);
        stream_more(l);
    } else if (path_is(e, "/abort")) {
        oto_exchange_respond_begin(e, 200, NULL, 0, NULL, NULL);
        oto_exchange_write(e, "half", 4);
        oto_exchange_abort(e);
    } else if (path_is(e, "/begin")) {
        f->begun = e;
        oto_exchange_respond_begin(e, 200, NULL, 0, NULL, NULL);
    } else if (path_is(e, "/hold")) {
        f->held = e;
        oto_exchange_release_body(e);
        if (r->body.size)
            abort();
    } else if (path_is(e, "/release")) { // answers this one first, then the held one
        answer_text(e, 200, "released");
        answer_text(f->held, 200, "held");
    } else if (path_is(e, "/block")) { // this thread, for some seconds
        pause_ms(5000);
        answer_text(e, 200, "blocked");
    } else if (path_is(e, "/close")) {
        struct oto_http_response response = {.status = 200, .close = 1};
        oto_exchange_respond(e, &response);
    } else if (r->is_grpc) {
        struct oto_bytes message = {0};
        int compressed = 0;
        struct oto_error err;
        if (oto_grpc_unary_message(r->body, &compressed, &message, &err) != OTO_OK)
            oto_grpc_respond_error(e, OTO_GRPC_INVALID_ARGUMENT, oto_bytes_text("bad% \xc3\xa9"),
                                   oto_bytes_text("detail"), NULL, 0);
        else
            oto_grpc_respond(e, message);
    } else {
        snprintf(text, sizeof text, "%zu", r->body.size);
        answer_text(e, 200, text);
    }
}

static inline void on_closed(void *state, struct oto_exchange *e, int answered)
{
    struct fixture *f = state;
    atomic_fetch_add(answered ? &f->answered : &f->gone, 1);
    atomic_fetch_sub(&f->reserved, (long)(uintptr_t)*oto_exchange_user(e));
    if (f->begun == e && !answered) {
        f->begun = NULL;
        oto_exchange_abort(e);
    }
    if (f->held == e && !answered) {
        f->held = NULL;
        answer_text(e, 200, "into the void");
    }
}

static inline void on_half_closed(void *state, struct oto_exchange *e)
{
    (void)e;
    atomic_fetch_add(&((struct fixture *)state)->half_closed, 1);
}

static inline int on_count(void *state, size_t bytes)
{
    atomic_fetch_add(&((struct fixture *)state)->counted, (long)bytes);
    return 1;
}

static inline void on_uncount(void *state, size_t bytes)
{
    atomic_fetch_sub(&((struct fixture *)state)->counted, (long)bytes);
}

static inline size_t on_error_body(void *state, int status, const char *reason,
                                   const struct oto_http_request *request, char *content_type,
                                   uint8_t *body, size_t capacity)
{
    (void)state;
    strcpy(content_type, "application/x-test");
    return (size_t)snprintf((char *)body, capacity, "error %d%s: %s", status,
                            request ? "" : " headless", reason);
}

static void *run_loop(void *state)
{
    struct fixture *f = state;
    if (oto_loop_run(f->loop, NULL) != OTO_OK)
        abort();
    return NULL;
}

static inline void fixture_start(struct fixture *f, const struct oto_http_limits *limits)
{
    struct oto_http_handler handler = {.state = f,
                                       .headers = on_headers,
                                       .reserve = on_reserve,
                                       .complete = on_complete,
                                       .closed = on_closed,
                                       .half_closed = on_half_closed,
                                       .count = on_count,
                                       .uncount = on_uncount,
                                       .error_body = on_error_body};
    char name[64];
    memset(f, 0, sizeof *f);
    assert_int_equal(oto_socket_listen("127.0.0.1:0", &f->listening, NULL), OTO_OK);
    oto_socket_name(f->listening, name, sizeof name);
    f->port = atoi(strrchr(name, ':') + 1);
    f->loop = oto_loop_new(NULL);
    f->server = oto_http_server_new(f->loop, &oto_allocator_heap, &handler, limits, NULL);
    assert_non_null(f->server);
    assert_int_equal(oto_http_server_listen(f->server, f->listening, 3, NULL), OTO_OK);
    assert_int_equal(oto_thread_start(&f->thread, "http", run_loop, f, NULL), OTO_OK);
}

static inline void fixture_stop(struct fixture *f)
{
    oto_loop_stop(f->loop);
    oto_thread_join(&f->thread);
    oto_http_server_free(f->server);
    oto_loop_free(f->loop);
    close(f->listening);
    assert_int_equal(atomic_load(&f->reserved), 0);
    assert_int_equal(atomic_load(&f->counted), 0);
}

// receive_buffer: 0, or its size in bytes, so that answers soon stay with the server.
static inline int dial_with(const struct fixture *f, int receive_buffer)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons((uint16_t)f->port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct timeval patience = {.tv_sec = 10};
    if (receive_buffer)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    return fd;
}

static inline int dial(const struct fixture *f)
{
    return dial_with(f, 0);
}

// Waits until a counter has a value; fails after 10 s.
static inline void await(atomic_int *counter, int value)
{
    for (int i = 0; i < 1000 && atomic_load(counter) != value; i++)
        pause_ms(10);
    assert_int_equal(atomic_load(counter), value);
}

static inline void say_bytes(int fd, const void *data, size_t size)
{
    const char *cursor = data;
    while (size > 0) {
        ssize_t n = send(fd, cursor, size, MSG_NOSIGNAL);
        if (n <= 0)
            return; // the server has closed: what it said is what counts
        cursor += n;
        size -= (size_t)n;
    }
}

static inline void say(int fd, const char *text)
{
    say_bytes(fd, text, strlen(text));
}

#endif
