// folders: net
// A connection's life without telemetry, a request an item: requests of one log record's size come
// in by a socket pair, the handler answers at once, and what counts is one round of the server's
// loop. Callgrind does not count the kernel. How: bench.h.
#include "bench.h"
#include "bench_answer.h"
#include "net/http_internal.h"
#include <nghttp2/nghttp2.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BODY_SIZE = 707, REQUESTS = 256 };

struct client {
    struct oto_loop *loop;
    struct oto_http_server *server;
    int fd;
    nghttp2_session *session;
    uint8_t body[5 + BODY_SIZE];
    size_t sent; // of the body
    uint64_t answered;
    int fetched;
    int batch; // requests under way when the server looks
};

// --- the server ---

static void on_headers(void *state, struct oto_exchange *e)
{
    (void)state;
    oto_exchange_read_body(e, 1 << 20, NULL);
}

static void on_closed(void *state, struct oto_exchange *e, int answered)
{
    struct client *c = state;
    (void)e;
    c->answered += (uint64_t)answered;
}

// What is ready now, and no waiting.
static void run_server(void *state)
{
    struct client *c = state;
    oto_loop_stop(c->loop);
    bench_must(oto_loop_run(c->loop, NULL));
}

static void connect_client(struct client *c)
{
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds) != 0)
        bench_must(OTO_IO);
    http_connection_new(c->server, fds[0], 0);
    c->fd = fds[1];
}

static void disconnect_client(struct client *c)
{
    close(c->fd);
    while (c->server->connections)
        run_server(c);
}

static void send_all(struct client *c, const void *data, size_t size)
{
    if (send(c->fd, data, size, MSG_NOSIGNAL) != (ssize_t)size)
        bench_must(OTO_IO);
}

// --- HTTP/1.1 ---

static void http1_round(struct bench *b, void *state)
{
    static const char head[] =
        "POST /v1/logs HTTP/1.1\r\nHost: 127.0.0.1:4318\r\n"
        "User-Agent: OTel-OTLP-Exporter/1.0\r\n"
        "Content-Type: application/x-protobuf\r\nContent-Length: 707\r\n\r\n";
    struct client *c = state;
    uint8_t answer[4096];
    connect_client(c);
    uint64_t before = c->answered;
    for (int i = 0; i < REQUESTS; i++) {
        send_all(c, head, sizeof head - 1);
        send_all(c, c->body + 5, BODY_SIZE);
        bench_measure(b, run_server, c);
        if (recv(c->fd, answer, sizeof answer, 0) <= 0)
            bench_must(OTO_IO);
    }
    if (c->answered - before != REQUESTS)
        bench_must(OTO_INTERNAL);
    disconnect_client(c);
}

// --- gRPC ---

static ssize_t read_body(nghttp2_session *session, int32_t id, uint8_t *buffer, size_t size,
                         uint32_t *flags, nghttp2_data_source *source, void *user)
{
    (void)session, (void)id, (void)source;
    struct client *c = user;
    if (size < sizeof c->body)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    memcpy(buffer, c->body, sizeof c->body);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    return sizeof c->body;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t error, void *user)
{
    (void)session, (void)id;
    struct client *c = user;
    c->fetched += error == 0;
    return 0;
}

#define NV(n, v)                                                                                   \
    {                                                                                              \
        (uint8_t *)(uintptr_t)(n), (uint8_t *)(uintptr_t)(v), sizeof(n) - 1, sizeof(v) - 1,        \
            NGHTTP2_NV_FLAG_NONE                                                                   \
    }

static void submit(struct client *c)
{
    nghttp2_nv headers[] = {
        NV(":method", "POST"),
        NV(":scheme", "http"),
        NV(":path", "/opentelemetry.proto.collector.logs.v1.LogsService/Export"),
        NV(":authority", "127.0.0.1:4317"),
        NV("content-type", "application/grpc"),
        NV("user-agent", "OTel-OTLP-Exporter/1.0"),
        NV("te", "trailers"),
    };
    nghttp2_data_provider provider = {.read_callback = read_body};
    if (nghttp2_submit_request(c->session, NULL, headers, sizeof headers / sizeof *headers,
                               &provider, NULL) < 0)
        bench_must(OTO_INTERNAL);
}

static void client_send(struct client *c)
{
    const uint8_t *data;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(c->session, &data)) > 0)
        send_all(c, data, (size_t)size);
}

static void client_receive(struct client *c)
{
    uint8_t buffer[65536];
    ssize_t size;
    while ((size = recv(c->fd, buffer, sizeof buffer, 0)) > 0)
        if (nghttp2_session_mem_recv(c->session, buffer, (size_t)size) < 0)
            bench_must(OTO_INTERNAL);
}

static void grpc_round(struct bench *b, void *state)
{
    struct client *c = state;
    nghttp2_session_callbacks *callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    nghttp2_session_client_new(&c->session, callbacks, c);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, NULL, 0);
    connect_client(c);
    client_send(c);
    run_server(c);
    client_receive(c);
    c->fetched = 0;
    for (int i = 0; i < REQUESTS; i += c->batch) {
        for (int k = 0; k < c->batch; k++)
            submit(c);
        client_send(c);
        bench_measure(b, run_server, c);
        client_receive(c);
    }
    if (c->fetched != REQUESTS)
        bench_must(OTO_INTERNAL);
    nghttp2_session_del(c->session);
    disconnect_client(c);
}

int main(int argc, char **argv)
{
    struct bench b = bench_of(argc, argv);
    static struct client c = {.body = {0, 0, 0, BODY_SIZE >> 8, BODY_SIZE & 255}};
    struct oto_http_handler handler = {
        .state = &c, .headers = on_headers, .complete = answer_empty, .closed = on_closed};
    c.loop = oto_loop_new(NULL);
    c.server = oto_http_server_new(c.loop, &oto_allocator_heap, &handler, NULL, NULL);
    bench_case(&b, "http1_request", REQUESTS, http1_round, &c);
    c.batch = 1;
    bench_case(&b, "grpc_request", REQUESTS, grpc_round, &c);
    c.batch = 16;
    bench_case(&b, "grpc_request_of_16_at_once", REQUESTS, grpc_round, &c);
    oto_http_server_free(c.server);
    oto_loop_free(c.loop);
    return 0;
}
