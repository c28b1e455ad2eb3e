// The process itself and child processes.
#ifndef OTO_OS_PROCESS_H
#define OTO_OS_PROCESS_H

#include "base/status.h"

// A request to stop that a signal handler may raise and a thread waits for.
struct oto_stop_signal {
    int fd; // eventfd; 0 when not made
};
OTO_MUST_CHECK enum oto_status oto_stop_signal_init(struct oto_stop_signal *s,
                                                    struct oto_error *err);
void oto_stop_signal_raise(struct oto_stop_signal *s); // async-signal-safe, any thread
void oto_stop_signal_wait(struct oto_stop_signal *s);
void oto_stop_signal_release(struct oto_stop_signal *s);

// Calls handler on SIGTERM and SIGINT (NULL: these are ignored); ignores SIGPIPE and SIGXFSZ.
void oto_signals_install(void (*handler)(int signal));

// Opens those of the descriptors 0 to 2 that are closed, before a file of ours becomes one of them:
// reading from 0 and writing to 1 fail then, what is written to 2 is lost. Call it before anything
// else is opened.
OTO_MUST_CHECK enum oto_status oto_standard_streams_hold(struct oto_error *err);

// Does what writing to a pipe without a reader did, had it not been on a thread with signals
// blocked: ends the process, unless SIGPIPE is ignored.
void oto_broken_pipe_raise(void);

// Keeps the C library's heap small: few arenas, memory given back early.
void oto_memory_tune(void);

// The absolute form of an existing path. OTO_NOT_FOUND, OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_path_absolute(const char *path, char *output, size_t output_size,
                                                 struct oto_error *err);
// The file of this program ("/usr/bin/otolith"), for finding its siblings.
OTO_MUST_CHECK enum oto_status oto_program_path(char *output, size_t output_size,
                                                struct oto_error *err);

// A child process whose descriptor 3 is our end's peer of a stream socket pair. Its environment is
// empty but for PATH and LANG; other descriptors are closed; it dies with this process. nice: its
// priority.
struct oto_child {
    int pid;       // 0: none
    int socket_fd; // blocking; -1 when closed
};
OTO_MUST_CHECK enum oto_status oto_child_start(struct oto_child *child, const char *program,
                                               const char *const *arguments, struct oto_error *err);
// Kills it when it still runs, reaps it and closes the socket. Returns its exit status, or 128 +
// signal.
int oto_child_end(struct oto_child *child);
// Sends size bytes with descriptors beside them (at most 200 a call). Receives what there is;
// OTO_END at the end.
OTO_MUST_CHECK enum oto_status oto_socket_send(int fd, const void *data, size_t size,
                                               const int *descriptors, size_t count,
                                               struct oto_error *err);
OTO_MUST_CHECK enum oto_status
oto_socket_receive(int fd, void *data, size_t capacity, size_t *ret_size, int *descriptors,
                   size_t descriptor_capacity, size_t *ret_descriptor_count, struct oto_error *err);
// Waits until fd is readable; OTO_TIMEOUT after timeout_ms (-1: never).
OTO_MUST_CHECK enum oto_status oto_socket_wait(int fd, int timeout_ms);

#endif
