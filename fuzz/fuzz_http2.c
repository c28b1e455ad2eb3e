// folders: net
// Any bytes at a server's socket. The first byte: bit 0 puts the HTTP/2 preface and SETTINGS before
// them (else they may be HTTP/1.1), bit 1 sends them in two parts, bit 2 leaves at the end with an
// answer owed. The handler answers in every way.
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "mutate_http2.h"
#include "net/grpc.h"
#include "net/http_internal.h"

#define OWED_MAX 64

static struct oto_loop *loop;
static struct oto_http_server *server;
static struct oto_exchange *owed[OWED_MAX];
static size_t owed_count;
static long open_exchanges, reserved;

static void respond(struct oto_exchange *e, int status)
{
    struct oto_http_response r = {.status = status, .body = OTO_BYTES_LITERAL("answer")};
    oto_exchange_respond(e, &r);
}

static void on_headers(void *state, struct oto_exchange *e)
{
    (void)state;
    open_exchanges++;
    if (oto_exchange_request(e)->path.size % 7 == 3)
        respond(e, 404);
    else
        oto_exchange_read_body(e, 2000, NULL);
}

static int on_reserve(void *state, struct oto_exchange *e, size_t more)
{
    (void)state;
    *oto_exchange_user(e) = (void *)((uintptr_t)*oto_exchange_user(e) + more);
    reserved += (long)more;
    return 1;
}

static void on_complete(void *state, struct oto_exchange *e)
{
    (void)state;
    size_t kind = oto_exchange_request(e)->path.size % 7;
    if (kind == 1 && owed_count < OWED_MAX) {
        owed[owed_count++] = e;
    } else if (kind == 2) {
        oto_exchange_respond_begin(e, 200, NULL, 0, NULL, NULL);
        oto_exchange_write(e, "piece", 5);
        oto_exchange_end(e, NULL, 0);
    } else if (kind == 4) {
        oto_exchange_respond_begin(e, 200, NULL, 0, NULL, NULL);
        oto_exchange_abort(e);
    } else if (oto_exchange_request(e)->is_grpc) {
        oto_grpc_respond_error(e, OTO_GRPC_INTERNAL, oto_exchange_request(e)->path,
                               oto_exchange_request(e)->body, NULL, 0);
    } else {
        respond(e, 200);
    }
}

static void on_closed(void *state, struct oto_exchange *e, int answered)
{
    (void)state;
    (void)answered;
    open_exchanges--;
    reserved -= (long)(uintptr_t)*oto_exchange_user(e);
}

static void set_up(void)
{
    struct oto_http_handler handler = {
        .headers = on_headers, .reserve = on_reserve, .complete = on_complete, .closed = on_closed};
    loop = oto_loop_new(NULL);
    server = loop ? oto_http_server_new(loop, &oto_allocator_heap, &handler, NULL, NULL) : NULL;
    if (!server)
        abort();
}

// What is ready now, and no waiting.
static void one_round(void)
{
    oto_loop_stop(loop);
    if (oto_loop_run(loop, NULL) != OTO_OK)
        abort();
}

static void answer_owed(void)
{
    while (owed_count > 0)
        respond(owed[--owed_count], 200);
}

static void say(int fd, const void *data, size_t size)
{
    if (size > 0 && send(fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
        one_round();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    int fds[2];
    if (size < 2)
        return 0;
    if (!server)
        set_up();
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
        abort();
    uint8_t how = data[0];
    data++;
    size--;
    http_connection_new(server, fds[0], 0);
    if (how & 1)
        say(fds[1], preface, sizeof preface - 1);
    size_t half = how & 2 ? size / 2 : 0;
    say(fds[1], data, half);
    say(fds[1], data + half, size - half);
    if (!(how & 4)) {
        answer_owed();
        one_round();
    }
    close(fds[1]);
    for (int i = 0; i < 4 && server->connections; i++)
        one_round();
    while (server->connections) // what would only have ended by a time-out
        http_connection_close(server->connections);
    server->dirty = NULL;
    answer_owed();
    if (open_exchanges != 0 || reserved != 0)
        abort();
    return 0;
}
