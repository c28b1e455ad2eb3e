#define _GNU_SOURCE
#include "os/socket.h"
#include "base/bytes.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "os/errno_status.h"

struct socket_address {
    union {
        struct sockaddr any;
        struct sockaddr_in v4;
        struct sockaddr_in6 v6;
        struct sockaddr_un local;
    } u;
    socklen_t size;
};

// 1 and the port when text is a decimal number up to 65535.
static int parse_port(const char *text, uint16_t *ret_port)
{
    size_t digits = strspn(text, "0123456789");
    if (digits == 0 || digits > 5 || text[digits] != 0)
        return 0;
    unsigned long port = strtoul(text, NULL, 10);
    if (port > 65535)
        return 0;
    *ret_port = (uint16_t)port;
    return 1;
}

static const char *parse_unix(const char *path, struct socket_address *a)
{
    size_t size = strlen(path);
    if (size == 0)
        return "the path is missing";
    if (size >= sizeof a->u.local.sun_path)
        return "the path is longer than 107 bytes";
    a->u.local.sun_family = AF_UNIX;
    memcpy(a->u.local.sun_path, path, size + 1);
    a->size = sizeof a->u.local;
    return NULL;
}

static const char *parse_v4(const char *host, uint16_t port, struct socket_address *a)
{
    if (strcmp(host, "localhost") == 0)
        host = "127.0.0.1";
    if (inet_pton(AF_INET, host, &a->u.v4.sin_addr) != 1)
        return "the host is neither an IPv4 address, an IPv6 address in [ ], nor localhost";
    a->u.v4.sin_family = AF_INET;
    a->u.v4.sin_port = htons(port);
    a->size = sizeof a->u.v4;
    return NULL;
}

static const char *parse_v6(const char *host, uint16_t port, struct socket_address *a)
{
    if (inet_pton(AF_INET6, host, &a->u.v6.sin6_addr) != 1)
        return "what stands in [ ] is not an IPv6 address";
    a->u.v6.sin6_family = AF_INET6;
    a->u.v6.sin6_port = htons(port);
    a->size = sizeof a->u.v6;
    return NULL;
}

// NULL, or what is wrong.
static const char *parse_address(const char *address, struct socket_address *a)
{
    char host[64];
    uint16_t port;
    memset(a, 0, sizeof *a);
    if (oto_text_begins_with(address, "unix:"))
        return parse_unix(address + 5, a);
    const char *colon = strrchr(address, ':');
    if (!colon)
        return "the port is missing (HOST:PORT)";
    if (!parse_port(colon + 1, &port))
        return "the port is not a number from 0 to 65535";
    size_t size = (size_t)(colon - address);
    if (size >= sizeof host)
        return "the host is too long";
    memcpy(host, address, size);
    host[size] = 0;
    if (size < 2 || host[0] != '[')
        return parse_v4(host, port, a);
    if (host[size - 1] != ']')
        return "the ] is missing";
    host[size - 1] = 0;
    return parse_v6(host + 1, port, a);
}

enum oto_status oto_socket_check_address(const char *address, struct oto_error *err)
{
    struct socket_address a;
    const char *wrong = parse_address(address, &a);
    return wrong ? oto_error_set(err, OTO_INVALID, "%s: %s", address, wrong) : OTO_OK;
}

// Removes a unix socket that nobody listens on any more.
static void remove_stale(const struct socket_address *a)
{
    struct stat status;
    if (lstat(a->u.local.sun_path, &status) != 0 || !S_ISSOCK(status.st_mode))
        return;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return;
    if (connect(fd, &a->u.any, a->size) != 0 && errno == ECONNREFUSED)
        unlink(a->u.local.sun_path);
    close(fd);
}

static enum oto_status listen_failed(const char *address, struct oto_error *err)
{
    int error = errno;
    switch (error) {
    case EADDRINUSE:
        return oto_error_set(err, OTO_EXISTS,
                             "%s is in use: stop the program that holds it, or choose another "
                             "address with --listen",
                             address);
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
        return oto_error_set(err, OTO_INVALID, "%s is not an address of this machine", address);
    default:
        return oto_error_set(err, oto_status_of_errno(error), "listen on %s: %s", address,
                             strerror(error));
    }
}

enum oto_status oto_socket_listen(const char *address, int *ret_fd, struct oto_error *err)
{
    struct socket_address a;
    const char *wrong = parse_address(address, &a);
    if (wrong)
        return oto_error_set(err, OTO_INVALID, "%s: %s", address, wrong);
    if (a.u.any.sa_family == AF_UNIX)
        remove_stale(&a);
    int fd = socket(a.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return listen_failed(address, err);
    int one = 1, zero = 0;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (a.u.any.sa_family == AF_INET6) // [::] serves IPv4 too
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, &a.u.any, a.size) != 0 || listen(fd, 4096) != 0) {
        enum oto_status status = listen_failed(address, err);
        close(fd);
        return status;
    }
    *ret_fd = fd;
    return OTO_OK;
}

void oto_socket_name(int fd, char *output, size_t output_size)
{
    struct socket_address a;
    char host[INET6_ADDRSTRLEN] = "?";
    memset(&a, 0, sizeof a);
    a.size = sizeof a.u;
    if (getsockname(fd, &a.u.any, &a.size) != 0)
        a.u.any.sa_family = AF_UNSPEC;
    switch (a.u.any.sa_family) {
    case AF_INET:
        inet_ntop(AF_INET, &a.u.v4.sin_addr, host, sizeof host);
        snprintf(output, output_size, "%s:%u", host, ntohs(a.u.v4.sin_port));
        break;
    case AF_INET6:
        inet_ntop(AF_INET6, &a.u.v6.sin6_addr, host, sizeof host);
        snprintf(output, output_size, "[%s]:%u", host, ntohs(a.u.v6.sin6_port));
        break;
    case AF_UNIX:
        snprintf(output, output_size, "unix:%s", a.u.local.sun_path);
        break;
    default:
        snprintf(output, output_size, "?");
    }
}

enum oto_status oto_socket_accept(int listening_fd, int *ret_fd)
{
    for (;;) {
        int fd = accept4(listening_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            int one = 1; // fails on unix sockets, which have no such delay
            setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
            *ret_fd = fd;
            return OTO_OK;
        }
        switch (errno) {
        case EINTR:
        case ECONNABORTED: // gone before we came
        case EPROTO:
            continue;
        case EAGAIN:
            return OTO_AGAIN;
        case EMFILE:
        case ENFILE:
        case ENOBUFS:
        case ENOMEM:
            return OTO_NO_MEMORY;
        default:
            return OTO_IO;
        }
    }
}

int oto_socket_is_local(const char *address)
{
    struct socket_address a;
    if (parse_address(address, &a))
        return 0;
    switch (a.u.any.sa_family) {
    case AF_UNIX:
        return 1;
    case AF_INET:
        return ntohl(a.u.v4.sin_addr.s_addr) >> 24 == 127;
    default:
        return IN6_IS_ADDR_LOOPBACK(&a.u.v6.sin6_addr) ||
               (IN6_IS_ADDR_V4MAPPED(&a.u.v6.sin6_addr) && a.u.v6.sin6_addr.s6_addr[12] == 127);
    }
}

void oto_socket_close(int fd)
{
    close(fd);
}

enum oto_status oto_socket_connect(const char *address, int *ret_fd, struct oto_error *err)
{
    struct socket_address a;
    const char *wrong = parse_address(address, &a);
    if (wrong)
        return oto_error_set(err, OTO_INVALID, "%s: %s", address, wrong);
    int fd = socket(a.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return oto_error_of_errno(err, "connect to", address);
    int one = 1, result;
    if (a.u.any.sa_family != AF_UNIX)
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    do
        result = connect(fd, &a.u.any, a.size);
    while (result != 0 && errno == EINTR);
    if (result != 0) {
        int error = errno;
        close(fd);
        return oto_error_set(err, OTO_UNAVAILABLE, "connect to %s: %s", address, strerror(error));
    }
    *ret_fd = fd;
    return OTO_OK;
}
