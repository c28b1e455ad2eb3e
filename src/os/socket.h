// Listening sockets and their names.
#ifndef OTO_OS_SOCKET_H
#define OTO_OS_SOCKET_H

#include "base/status.h"

// Listens on "127.0.0.1:4317", "[::1]:4317", "0.0.0.0:0", "localhost:4318" or "unix:/path".
// Non-blocking, CLOEXEC, SO_REUSEADDR. OTO_INVALID (the address, with what is wrong), OTO_EXISTS
// (in use; the message says by what option to change it), OTO_DENIED, OTO_IO.
OTO_MUST_CHECK enum oto_status oto_socket_listen(const char *address, int *ret_fd,
                                                 struct oto_error *err);
// Whether address has one of these forms: OTO_INVALID, with what is wrong. Opens nothing.
OTO_MUST_CHECK enum oto_status oto_socket_check_address(const char *address, struct oto_error *err);
// The bound address with its real port, NUL-terminated.
void oto_socket_name(int fd, char *output, size_t output_size);
// Accepts one connection, non-blocking, CLOEXEC, TCP_NODELAY. OTO_AGAIN when none waits;
// OTO_NO_MEMORY on EMFILE.
OTO_MUST_CHECK enum oto_status oto_socket_accept(int listening_fd, int *ret_fd);
// Connects to an address in the same forms; blocking, CLOEXEC, TCP_NODELAY. OTO_INVALID;
// OTO_UNAVAILABLE: nobody listens there.
OTO_MUST_CHECK enum oto_status oto_socket_connect(const char *address, int *ret_fd,
                                                  struct oto_error *err);
void oto_socket_close(int fd);
// 1 when address binds a loopback or unix address only.
int oto_socket_is_local(const char *address);

#endif
