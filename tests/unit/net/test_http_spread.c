// Servers that share connections: whoever accepts, each gets as many as the others.
#include "cmocka_all.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "net/http_server.h"
#include "os/socket.h"

enum { SERVERS = 3, CLIENTS = 12 };

struct spread {
    struct oto_loop *loops[SERVERS];
    struct oto_http_server *servers[SERVERS];
    int listening, clients[CLIENTS];
};

static void on_exchange(void *state, struct oto_exchange *e)
{
    (void)state;
    struct oto_http_response ok = {.status = 200};
    oto_exchange_respond(e, &ok);
}

static void on_closed(void *state, struct oto_exchange *e, int answered)
{
    (void)state, (void)e, (void)answered;
}

static int connect_one(const struct spread *s)
{
    struct sockaddr_in address;
    socklen_t size = sizeof address;
    assert_int_equal(getsockname(s->listening, (struct sockaddr *)&address, &size), 0);
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

// What is ready now, and no waiting.
static void round_of(struct oto_loop *loop)
{
    oto_loop_stop(loop);
    assert_int_equal(oto_loop_run(loop, NULL), OTO_OK);
}

static unsigned open_at(const struct spread *s, int i)
{
    return (unsigned)oto_http_server_stats(s->servers[i])->connections_open;
}

static int begin(void **state)
{
    struct spread *s = calloc(1, sizeof *s);
    struct oto_http_handler handler = {
        .headers = on_exchange, .complete = on_exchange, .closed = on_closed};
    assert_int_equal(oto_socket_listen("127.0.0.1:0", &s->listening, NULL), OTO_OK);
    for (int i = 0; i < SERVERS; i++) {
        s->loops[i] = oto_loop_new(NULL);
        s->servers[i] = oto_http_server_new(s->loops[i], &oto_allocator_heap, &handler, NULL, NULL);
        assert_int_equal(oto_http_server_listen(s->servers[i], s->listening, 0, NULL), OTO_OK);
        if (i > 0)
            oto_http_server_join(s->servers[i], s->servers[0]);
    }
    for (int i = 0; i < CLIENTS; i++)
        s->clients[i] = -1;
    *state = s;
    return 0;
}

static int finish(void **state)
{
    struct spread *s = *state;
    for (int i = 0; i < SERVERS; i++)
        oto_loop_run_rest(s->loops[i]);
    for (int i = 0; i < SERVERS; i++) {
        oto_http_server_free(s->servers[i]);
        oto_loop_free(s->loops[i]);
    }
    for (int i = 0; i < CLIENTS; i++)
        if (s->clients[i] >= 0)
            close(s->clients[i]);
    close(s->listening);
    free(s);
    return 0;
}

static void one_that_accepts_all_keeps_its_part(void **state)
{
    struct spread *s = *state;
    for (int i = 0; i < CLIENTS; i++)
        s->clients[i] = connect_one(s);
    round_of(s->loops[0]);
    for (int i = 0; i < SERVERS; i++)
        round_of(s->loops[i]);
    for (int i = 0; i < SERVERS; i++)
        assert_int_equal(open_at(s, i), CLIENTS / SERVERS);
}

static void a_handed_connection_is_served(void **state)
{
    struct spread *s = *state;
    char answer[256] = "";
    s->clients[0] = connect_one(s);
    round_of(s->loops[0]); // keeps the first
    s->clients[1] = connect_one(s);
    round_of(s->loops[0]); // hands on the second
    assert_int_equal(open_at(s, 0), 1);
    for (int i = 1; i < SERVERS; i++)
        round_of(s->loops[i]);
    assert_int_equal(open_at(s, 1) + open_at(s, 2), 1);
    assert_int_equal(write(s->clients[1], "GET / HTTP/1.1\r\nHost: x\r\n\r\n", 27), 27);
    for (int i = 1; i < SERVERS; i++)
        round_of(s->loops[i]);
    assert_true(recv(s->clients[1], answer, sizeof answer - 1, MSG_DONTWAIT) > 0);
    assert_memory_equal(answer, "HTTP/1.1 200", 12);
}

static void those_that_close_make_room(void **state)
{
    struct spread *s = *state;
    for (int i = 0; i < SERVERS; i++)
        s->clients[i] = connect_one(s);
    round_of(s->loops[0]);
    for (int i = 0; i < SERVERS; i++)
        round_of(s->loops[i]);
    close(s->clients[1]); // the second went to another than the first
    s->clients[1] = -1;
    for (int i = 0; i < SERVERS; i++)
        round_of(s->loops[i]);
    assert_int_equal(open_at(s, 0) + open_at(s, 1) + open_at(s, 2), SERVERS - 1);
    s->clients[1] = connect_one(s);
    round_of(s->loops[0]);
    for (int i = 0; i < SERVERS; i++)
        round_of(s->loops[i]);
    for (int i = 0; i < SERVERS; i++)
        assert_int_equal(open_at(s, i), 1);
}

static void a_connection_that_nobody_took_is_closed(void **state)
{
    struct spread *s = *state;
    char byte;
    for (int i = 0; i < 2; i++)
        s->clients[i] = connect_one(s);
    round_of(s->loops[0]); // the other loops never run: teardown runs their rest
    for (int i = 1; i < SERVERS; i++)
        oto_http_server_drain(s->servers[i], 0, NULL, NULL);
    for (int i = 1; i < SERVERS; i++)
        oto_loop_run_rest(s->loops[i]);
    assert_int_equal(recv(s->clients[1], &byte, 1, 0), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(one_that_accepts_all_keeps_its_part, begin, finish),
        cmocka_unit_test_setup_teardown(a_handed_connection_is_served, begin, finish),
        cmocka_unit_test_setup_teardown(those_that_close_make_room, begin, finish),
        cmocka_unit_test_setup_teardown(a_connection_that_nobody_took_is_closed, begin, finish),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
