#define _GNU_SOURCE
#include "os/process.h"

#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DESCRIPTORS_MAX 200

// --- stopping ---

enum oto_status oto_stop_signal_init(struct oto_stop_signal *s, struct oto_error *err)
{
    s->fd = eventfd(0, EFD_CLOEXEC);
    if (s->fd < 0) {
        s->fd = 0;
        return oto_error_set(err, OTO_IO, "eventfd: %s", strerror(errno));
    }
    return OTO_OK;
}

void oto_stop_signal_raise(struct oto_stop_signal *s)
{
    int saved = errno;
    uint64_t one = 1;
    ssize_t ignored = write(s->fd, &one, sizeof(one));
    (void)ignored; // only fails when already raised 2^64 times
    errno = saved;
}

void oto_stop_signal_wait(struct oto_stop_signal *s)
{
    uint64_t count;
    while (read(s->fd, &count, sizeof(count)) < 0 && errno == EINTR)
        ;
}

void oto_stop_signal_release(struct oto_stop_signal *s)
{
    if (s->fd > 0)
        close(s->fd);
    s->fd = 0;
}

void oto_signals_install(void (*handler)(int signal))
{
    struct sigaction action = {.sa_handler = handler ? handler : SIG_IGN};
    sigemptyset(&action.sa_mask);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    action.sa_handler = SIG_IGN;
    sigaction(SIGPIPE, &action, NULL);
    sigaction(SIGXFSZ, &action, NULL);
}

// Children get them too, so none is O_CLOEXEC.
enum oto_status oto_standard_streams_hold(struct oto_error *err)
{
    // Written to only: a command must not take a closed input for an empty one, nor a closed output
    // for one that takes everything.
    static const char *const held[] = {"/dev/null", "/dev/full", "/dev/null"};
    for (int fd = 0; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) >= 0)
            continue;
        if (open(held[fd], O_WRONLY) != fd) // the lowest that is free
            return oto_error_set(err, OTO_IO,
                                 "descriptor %d is closed, and %s cannot take its place: %s", fd,
                                 held[fd], strerror(errno));
    }
    return OTO_OK;
}

void oto_broken_pipe_raise(void)
{
    (void)raise(SIGPIPE);
}

void oto_memory_tune(void)
{
    mallopt(M_ARENA_MAX, 2);
    mallopt(M_TRIM_THRESHOLD, 256 * 1024);
    mallopt(M_MMAP_THRESHOLD, 256 * 1024);
}

// --- paths ---

enum oto_status oto_path_absolute(const char *path, char *output, size_t output_size,
                                  struct oto_error *err)
{
    char *resolved = realpath(path, NULL);
    if (!resolved)
        return oto_error_set(err, OTO_NOT_FOUND, "%s: %s", path, strerror(errno));
    size_t size = strlen(resolved);
    int fits = size < output_size;
    if (fits)
        memcpy(output, resolved, size + 1);
    free(resolved);
    return fits ? OTO_OK : oto_error_set(err, OTO_TOO_LARGE, "%s: the path is too long", path);
}

enum oto_status oto_program_path(char *output, size_t output_size, struct oto_error *err)
{
    return oto_path_absolute("/proc/self/exe", output, output_size, err);
}

// --- children ---

// Between fork and exec only async-signal-safe calls are allowed: another thread may have held any
// lock.
static void become_child(int socket_fd, const char *program, char *const *arguments)
{
    static char *const environment[] = {(char *)"PATH=/usr/bin:/bin", (char *)"LANG=C.UTF-8", NULL};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    if (socket_fd == 3)
        fcntl(3, F_SETFD, 0);
    else
        dup2(socket_fd, 3);
    execve(program, arguments, environment);
    _exit(127);
}

enum oto_status oto_child_start(struct oto_child *child, const char *program,
                                const char *const *arguments, struct oto_error *err)
{
    child->pid = 0;
    child->socket_fd = -1;
    if (access(program, X_OK) != 0)
        return oto_error_set(err, OTO_NOT_FOUND, "%s cannot be run: %s", program, strerror(errno));
    int pair[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0)
        return oto_error_set(err, OTO_NO_MEMORY, "socketpair: %s", strerror(errno));
    pid_t pid = fork();
    if (pid == 0)
        become_child(pair[1], program, (char *const *)(uintptr_t)arguments);
    close(pair[1]);
    if (pid < 0) {
        close(pair[0]);
        return oto_error_set(err, OTO_NO_MEMORY, "fork: %s", strerror(errno));
    }
    child->pid = pid;
    child->socket_fd = pair[0];
    return OTO_OK;
}

int oto_child_end(struct oto_child *child)
{
    if (child->socket_fd >= 0)
        close(child->socket_fd);
    child->socket_fd = -1;
    if (child->pid <= 0)
        return 0;
    int status = 0;
    if (waitpid(child->pid, &status, WNOHANG) == 0) {
        kill(child->pid, SIGKILL);
        while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
            ;
    }
    child->pid = 0;
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// --- socket pairs ---

static void attach_descriptors(struct msghdr *message, char *control, const int *descriptors,
                               size_t count)
{
    message->msg_control = control;
    message->msg_controllen = CMSG_SPACE(count * sizeof(int));
    struct cmsghdr *header = CMSG_FIRSTHDR(message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(header), descriptors, count * sizeof(int));
}

enum oto_status oto_socket_send(int fd, const void *data, size_t size, const int *descriptors,
                                size_t count, struct oto_error *err)
{
    if (count > DESCRIPTORS_MAX)
        return oto_error_set(err, OTO_TOO_LARGE, "%zu descriptors in one message", count);
    const char *at = data;
    while (size) {
        _Alignas(struct cmsghdr) char control[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
        struct iovec part = {(void *)(uintptr_t)at, size};
        struct msghdr message = {.msg_iov = &part, .msg_iovlen = 1};
        if (count)
            attach_descriptors(&message, control, descriptors, count);
        ssize_t sent = sendmsg(fd, &message, MSG_NOSIGNAL);
        if (sent < 0 && errno == EINTR)
            continue;
        if (sent < 0)
            return oto_error_set(err, OTO_IO, "send: %s", strerror(errno));
        count = 0;
        at += sent;
        size -= (size_t)sent;
    }
    return OTO_OK;
}

enum oto_status oto_socket_receive(int fd, void *data, size_t capacity, size_t *ret_size,
                                   int *descriptors, size_t descriptor_capacity,
                                   size_t *ret_descriptor_count, struct oto_error *err)
{
    _Alignas(struct cmsghdr) char control[CMSG_SPACE(DESCRIPTORS_MAX * sizeof(int))];
    struct iovec part = {data, capacity};
    struct msghdr message = {.msg_iov = &part,
                             .msg_iovlen = 1,
                             .msg_control = control,
                             .msg_controllen = sizeof(control)};
    ssize_t size;
    do
        size = recvmsg(fd, &message, MSG_CMSG_CLOEXEC);
    while (size < 0 && errno == EINTR);
    if (size < 0)
        return oto_error_set(err, errno == EAGAIN ? OTO_TIMEOUT : OTO_IO, "receive: %s",
                             strerror(errno));
    *ret_descriptor_count = 0;
    for (struct cmsghdr *header = CMSG_FIRSTHDR(&message); header;
         header = CMSG_NXTHDR(&message, header)) {
        if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
            continue;
        size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        for (size_t i = 0; i < count; i++) {
            int received;
            memcpy(&received, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
            if (*ret_descriptor_count < descriptor_capacity)
                descriptors[(*ret_descriptor_count)++] = received;
            else
                close(received);
        }
    }
    *ret_size = (size_t)size;
    return size ? OTO_OK : OTO_END;
}

enum oto_status oto_socket_wait(int fd, int timeout_ms)
{
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    int ready;
    do
        ready = poll(&entry, 1, timeout_ms);
    while (ready < 0 && errno == EINTR);
    return ready > 0 ? OTO_OK : ready == 0 ? OTO_TIMEOUT : OTO_IO;
}
