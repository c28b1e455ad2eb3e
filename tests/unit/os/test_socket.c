// Listening addresses: what is accepted, what is refused and how it is named.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "os/socket.h"

static void bad_addresses_say_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *address, *says;
    } rows[] = {
        {"127.0.0.1", "port is missing"},
        {"127.0.0.1:", "port is not"},
        {"127.0.0.1:65536", "port is not"},
        {"127.0.0.1:-1", "port is not"},
        {"127.0.0.1:12x", "port is not"},
        {"example.test:1", "host is neither"},
        {":4317", "host is neither"},
        {"[::1:4317", "] is missing"},
        {"[zz]:4317", "not an IPv6 address"},
        {"unix:", "path is missing"},
        {"192.0.2.1:0", "not an address of this machine"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct oto_error err = {0};
        int fd = -1;
        assert_int_equal(oto_socket_listen(rows[i].address, &fd, &err), OTO_INVALID);
        assert_int_equal(fd, -1);
        assert_non_null(strstr(err.message, rows[i].says));
    }
}

static void port_in_use_is_exists(void **state)
{
    (void)state;
    struct oto_error err = {0};
    char name[64];
    int fd, other = -1;
    assert_int_equal(oto_socket_listen("localhost:0", &fd, &err), OTO_OK);
    oto_socket_name(fd, name, sizeof name);
    assert_memory_equal(name, "127.0.0.1:", 10);
    assert_int_not_equal(atoi(name + 10), 0);
    assert_int_equal(oto_socket_listen(name, &other, &err), OTO_EXISTS);
    assert_non_null(strstr(err.message, "--listen"));
    close(fd);
}

static void accepts_without_delay(void **state)
{
    (void)state;
    struct sockaddr_in a = {0};
    socklen_t size = sizeof a;
    int fd, accepted = -1, nodelay = 0;
    assert_int_equal(oto_socket_listen("127.0.0.1:0", &fd, NULL), OTO_OK);
    assert_int_equal(oto_socket_accept(fd, &accepted), OTO_AGAIN);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &size), 0);
    int client = socket(AF_INET, SOCK_STREAM, 0);
    assert_int_equal(connect(client, (struct sockaddr *)&a, sizeof a), 0);
    assert_int_equal(oto_socket_accept(fd, &accepted), OTO_OK);
    size = sizeof nodelay;
    assert_int_equal(getsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &nodelay, &size), 0);
    assert_int_not_equal(nodelay, 0);
    close(accepted);
    close(client);
    close(fd);
}

static void stale_unix_socket_is_replaced_and_live_one_kept(void **state)
{
    (void)state;
    char address[64], name[64];
    int fd, again = -1;
    snprintf(address, sizeof address, "unix:/tmp/oto-test-%d.sock", (int)getpid());
    assert_int_equal(oto_socket_listen(address, &fd, NULL), OTO_OK);
    oto_socket_name(fd, name, sizeof name);
    assert_string_equal(name, address);
    assert_int_equal(oto_socket_listen(address, &again, NULL), OTO_EXISTS);
    close(fd);
    assert_int_equal(oto_socket_listen(address, &again, NULL), OTO_OK);
    close(again);
    unlink(address + 5);
}

static void local_addresses_are_known(void **state)
{
    (void)state;
    assert_true(oto_socket_is_local("127.0.0.1:4317"));
    assert_true(oto_socket_is_local("127.9.0.1:1"));
    assert_true(oto_socket_is_local("[::1]:4317"));
    assert_true(oto_socket_is_local("[::ffff:127.0.0.1]:1"));
    assert_true(oto_socket_is_local("localhost:1"));
    assert_true(oto_socket_is_local("unix:/run/x"));
    assert_false(oto_socket_is_local("0.0.0.0:4317"));
    assert_false(oto_socket_is_local("[::]:4317"));
    assert_false(oto_socket_is_local("10.0.0.1:4317"));
    assert_false(oto_socket_is_local("nonsense"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bad_addresses_say_what_is_wrong),
        cmocka_unit_test(port_in_use_is_exists),
        cmocka_unit_test(accepts_without_delay),
        cmocka_unit_test(stale_unix_socket_is_replaced_and_live_one_kept),
        cmocka_unit_test(local_addresses_are_known),
    };
    return cmocka_run_group_tests_name("socket", tests, NULL, NULL);
}
