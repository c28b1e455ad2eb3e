// folders: net
// The HTTP layer alone: every POST is read and answered with an empty success (gRPC: an empty
// message), so that what h2load, curl or a replayer measures against it is the cost of loop,
// parser, nghttp2 and kernel.
//   bench_http_echo [ADDRESS]      default 127.0.0.1:4399; prints CPU time a request when it is
//   told to stop
#include <pthread.h>
#include <signal.h>
#include <stdio.h>

#include "bench_answer.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/socket.h"

#define BODY_MAX (64u << 20)

static void on_headers(void *state, struct oto_exchange *e)
{
    (void)state;
    oto_exchange_read_body(e, BODY_MAX, NULL);
}

static void on_closed(void *state, struct oto_exchange *e, int answered)
{
    (void)state;
    (void)e;
    (void)answered;
}

static void on_drained(void *state)
{
    oto_loop_stop(state);
}

struct stopper {
    struct oto_loop_message message;
    struct oto_loop *loop;
    struct oto_http_server *server;
};
static struct stopper stopper;

static void run_stop(struct oto_loop_message *message)
{
    struct stopper *s = (struct stopper *)message;
    oto_http_server_drain(s->server, 1000, on_drained, s->loop);
}

static void on_signal(int number)
{
    (void)number;
    oto_loop_post(stopper.loop, &stopper.message); // no lock, no allocation: fine in a handler
}

int main(int argc, char **argv)
{
    struct oto_error err = {0};
    const char *address = argc > 1 ? argv[1] : "127.0.0.1:4399";
    struct oto_http_handler handler = {
        .headers = on_headers, .complete = answer_empty, .closed = on_closed};
    int fd;
    char name[128];
    if (oto_socket_listen(address, &fd, &err) != OTO_OK) {
        fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    struct oto_loop *loop = oto_loop_new(&err);
    if (!loop)
        return 1;
    struct oto_http_server *server =
        oto_http_server_new(loop, &oto_allocator_heap, &handler, NULL, &err);
    if (!server || oto_http_server_listen(server, fd, 0, &err) != OTO_OK)
        return 1;
    stopper = (struct stopper){.message.run = run_stop, .loop = loop, .server = server};
    signal(SIGTERM, on_signal);
    signal(SIGINT, on_signal);
    oto_socket_name(fd, name, sizeof name);
    printf("%s\n", name);
    fflush(stdout);
    enum oto_status status = oto_loop_run(loop, &err);
    const struct oto_http_stats *stats = oto_http_server_stats(server);
    uint64_t requests = stats->requests_http1 + stats->requests_http2;
    printf("{\"requests\": %llu, \"bytes_in\": %llu, \"cpu_ns_a_request\": %.0f, "
           "\"resident_bytes\": %llu}\n",
           (unsigned long long)requests, (unsigned long long)stats->bytes_in,
           requests ? (double)oto_clock_cpu_ns() / (double)requests : 0,
           (unsigned long long)oto_memory_resident_bytes());
    oto_http_server_free(server);
    oto_loop_free(loop);
    return status == OTO_OK ? 0 : 1;
}
