// The n-th allocation fails, for every n, while a connection lives: each request is answered or its
// connection closed, everything is given back, and the next connection works. The conversations are
// the seeds of the fuzz target http2, and some of HTTP/1.1.
#include "cmocka_all.h"
#include "fault_points.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/socket.h>

#include "net/grpc.h"
#include "net/http_internal.h"

#define TALKS_MAX 64
#define BYTES_MAX (64u << 10)

static struct oto_loop *loop;
static struct oto_http_server *server;
static long open_exchanges, reserved;

static void on_headers(void *state, struct oto_exchange *e)
{
    (void)state;
    open_exchanges++;
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
    struct oto_http_response plain = {.status = 200, .body = OTO_BYTES_LITERAL("answer")};
    size_t kind = oto_exchange_request(e)->path.size % 3;
    if (oto_exchange_request(e)->is_grpc) {
        oto_grpc_respond(e, oto_exchange_request(e)->body);
    } else if (kind == 1) {
        oto_exchange_respond_begin(e, 200, NULL, 0, NULL, NULL);
        oto_exchange_write(e, "piece", 5);
        oto_exchange_end(e, NULL, 0);
    } else {
        oto_exchange_respond(e, &plain);
    }
}

static void on_closed(void *state, struct oto_exchange *e, int answered)
{
    (void)state, (void)answered;
    open_exchanges--;
    reserved -= (long)(uintptr_t)*oto_exchange_user(e);
}

static void one_round(void)
{
    oto_loop_stop(loop);
    assert_int_equal(oto_loop_run(loop, NULL), OTO_OK);
}

struct talk {
    uint8_t *bytes;
    size_t size;
};

static size_t read_talks(struct talk *talks)
{
    static const char preface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0";
    static const char *const plain[] = {
        "GET /a HTTP/1.1\r\nHost: x\r\n\r\nGET /bcd HTTP/1.1\r\nHost: x\r\n\r\n",
        "POST /ab HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhelloPOST /a HTTP/1.1\r\nHost: "
        "x\r\n"
        "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n5\r\nhello\r\n0\r\nx-trailer: "
        "1\r\n\r\n",
        "GET / HTTP/1.0\r\n\r\n",
        "broken\r\n\r\n",
    };
    char path[512];
    size_t count = 0;
    for (; count < sizeof plain / sizeof *plain; count++) {
        talks[count].size = strlen(plain[count]);
        talks[count].bytes = malloc(talks[count].size);
        memcpy(talks[count].bytes, plain[count], talks[count].size);
    }
    snprintf(path, sizeof path, "%s/fuzz/corpus/http2", OTO_SOURCE_DIR);
    DIR *folder = opendir(path);
    assert_non_null(folder);
    for (struct dirent *entry; (entry = readdir(folder)) && count < TALKS_MAX;) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(path, sizeof path, "%s/fuzz/corpus/http2/%s", OTO_SOURCE_DIR, entry->d_name);
        FILE *file = fopen(path, "rb");
        assert_non_null(file);
        int how = getc(file);
        struct talk *talk = &talks[count++];
        talk->bytes = malloc(BYTES_MAX);
        talk->size = how & 1 ? sizeof preface - 1 : 0;
        memcpy(talk->bytes, preface, talk->size);
        talk->size += fread(talk->bytes + talk->size, 1, BYTES_MAX - talk->size, file);
        fclose(file);
    }
    closedir(folder);
    return count;
}

// A connection from its beginning to its end; how many bytes of answer came.
static size_t converse(const struct talk *talk)
{
    static uint8_t answer[1 << 16];
    int fds[2];
    size_t got = 0;
    ssize_t n;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds), 0);
    http_connection_new(server, fds[0], 0);
    size_t half = talk->size / 2;
    assert_true(send(fds[1], talk->bytes, half, MSG_NOSIGNAL) >= 0 || errno == EPIPE);
    one_round();
    assert_true(send(fds[1], talk->bytes + half, talk->size - half, MSG_NOSIGNAL) >= 0 ||
                errno == EPIPE);
    one_round();
    one_round();
    while ((n = recv(fds[1], answer, sizeof answer, 0)) > 0)
        got += (size_t)n;
    close(fds[1]);
    for (int i = 0; i < 4 && server->connections; i++)
        one_round();
    while (server->connections) // what would only have ended by a time-out
        http_connection_close(server->connections);
    server->dirty = NULL;
    assert_int_equal(open_exchanges, 0);
    assert_int_equal(reserved, 0);
    return got;
}

static void a_connection_survives_any_allocation_that_fails(void **state)
{
    (void)state;
    static struct talk talks[TALKS_MAX];
    struct oto_http_handler handler = {
        .headers = on_headers, .reserve = on_reserve, .complete = on_complete, .closed = on_closed};
    loop = oto_loop_new(NULL);
    server = oto_http_server_new(loop, &oto_allocator_heap, &handler, NULL, NULL);
    assert_non_null(server);
    size_t count = read_talks(talks), hits = 0;
    for (size_t i = 0; i < count; i++) {
        size_t expected = converse(&talks[i]);
        for (uint64_t n = 1;; n++) {
            fault_arm(FAULT_MEMORY, n, 1, FAULT_ONCE, ENOMEM);
            converse(&talks[i]);
            fault_disarm();
            if (atomic_load(&fault.hits) == 0)
                break;
            hits++;
            assert_int_equal(converse(&talks[i]), expected);
        }
        fault_arm(FAULT_MEMORY, 1, UINT32_MAX, FAULT_STICKY, ENOMEM);
        converse(&talks[i]);
        fault_disarm();
        free(talks[i].bytes);
    }
    assert_true(hits > 10);
    oto_http_server_free(server);
    oto_loop_free(loop);
}

static void a_server_is_made_or_not(void **state)
{
    (void)state;
    struct oto_http_handler handler = {
        .headers = on_headers, .reserve = on_reserve, .complete = on_complete, .closed = on_closed};
    for (uint64_t n = 1;; n++) {
        struct oto_error err;
        oto_error_init(&err);
        fault_arm(FAULT_MEMORY, n, 1, FAULT_ONCE, ENOMEM);
        struct oto_loop *one = oto_loop_new(&err);
        struct oto_http_server *other =
            one ? oto_http_server_new(one, &oto_allocator_heap, &handler, NULL, NULL) : NULL;
        fault_disarm();
        int hit = atomic_load(&fault.hits) > 0;
        assert_true(hit || other);
        assert_true(one || err.message[0]);
        oto_http_server_free(other);
        oto_loop_free(one);
        if (!hit)
            break;
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_connection_survives_any_allocation_that_fails),
        cmocka_unit_test(a_server_is_made_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
