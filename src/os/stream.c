#define _GNU_SOURCE
#include "os/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/errno_status.h"

#define PIECE_BYTES ((size_t)1 << 20)

static int open_path(const char *path, int flags)
{
    int fd;
    do
        fd = open(path, flags | O_CLOEXEC, 0640);
    while (fd < 0 && errno == EINTR);
    return fd;
}

// Standard streams may be of somebody who does not want to wait for them.
static int may_go_on(int fd, short events)
{
    struct pollfd wait = {.fd = fd, .events = events};
    return errno == EINTR || ((errno == EAGAIN || errno == EWOULDBLOCK) &&
                              (poll(&wait, 1, -1) > 0 || errno == EINTR));
}

// --- input ---

static void look(struct oto_input *input)
{
    struct stat about;
    if (fstat(input->fd, &about) != 0 || !S_ISREG(about.st_mode))
        return;
    input->is_regular = 1;
    input->size_bytes = (uint64_t)about.st_size;
}

enum oto_status oto_input_open(struct oto_input *input, const char *path, struct oto_error *err)
{
    int is_standard = strcmp(path, "-") == 0;
    *input = (struct oto_input){.fd = STDIN_FILENO,
                                .is_owned = !is_standard,
                                .name = is_standard ? "standard input" : path};
    if (!is_standard && (input->fd = open_path(path, O_RDONLY)) < 0)
        return oto_error_of_errno(err, "open", path);
    look(input);
    return OTO_OK;
}

int oto_input_size(const char *path, uint64_t *ret_size)
{
    struct stat about;
    int found = strcmp(path, "-") == 0 ? fstat(STDIN_FILENO, &about) : stat(path, &about);
    if (found != 0 || !S_ISREG(about.st_mode))
        return 0;
    *ret_size = (uint64_t)about.st_size;
    return 1;
}

void oto_input_close(struct oto_input *input)
{
    if (input->is_owned && input->fd >= 0)
        close(input->fd);
    input->fd = -1;
}

enum oto_status oto_input_read(struct oto_input *input, void *data, size_t size, size_t *ret_size,
                               struct oto_error *err)
{
    ssize_t got;
    do
        got = read(input->fd, data, size);
    while (got < 0 && may_go_on(input->fd, POLLIN));
    if (got < 0)
        return oto_error_of_errno(err, "read", input->name);
    *ret_size = (size_t)got;
    return got ? OTO_OK : OTO_END;
}

enum oto_status oto_input_read_at(struct oto_input *input, uint64_t offset, void *data, size_t size,
                                  struct oto_error *err)
{
    for (uint8_t *at = data; size;) {
        ssize_t got = pread(input->fd, at, size, (off_t)offset);
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return oto_error_of_errno(err, "read", input->name);
        if (got == 0)
            return oto_error_set(err, OTO_IO, "read %s: it has become shorter", input->name);
        at += got;
        size -= (size_t)got;
        offset += (uint64_t)got;
    }
    return OTO_OK;
}

static enum oto_status write_all(int fd, const char *name, const void *data, size_t size,
                                 struct oto_error *err)
{
    for (const uint8_t *at = data; size;) {
        ssize_t put = write(fd, at, size);
        if (put < 0 && may_go_on(fd, POLLOUT))
            continue;
        if (put < 0)
            return oto_error_of_errno(err, "write", name);
        at += put;
        size -= (size_t)put;
    }
    return OTO_OK;
}

static enum oto_status copy(struct oto_input *input, int fd, struct oto_error *err)
{
    uint8_t *piece = malloc(PIECE_BYTES);
    enum oto_status status = piece ? OTO_OK : oto_error_set(err, OTO_NO_MEMORY, "no memory");
    while (status == OTO_OK) {
        size_t size;
        status = oto_input_read(input, piece, PIECE_BYTES, &size, err);
        if (status == OTO_OK)
            status = write_all(fd, "a temporary file", piece, size, err);
    }
    free(piece);
    return status == OTO_END ? OTO_OK : status;
}

enum oto_status oto_input_spool(struct oto_input *input, struct oto_error *err)
{
    const char *folder = getenv("TMPDIR");
    folder = folder && *folder ? folder : "/tmp";
    int fd = open_path(folder, O_TMPFILE | O_RDWR);
    if (fd < 0)
        return oto_error_of_errno(err, "make a temporary file in", folder);
    enum oto_status status = copy(input, fd, err);
    if (status < 0) {
        close(fd);
        return status;
    }
    oto_input_close(input);
    input->fd = fd;
    input->is_owned = 1;
    look(input);
    return OTO_OK;
}

// --- outputs under way ---

// Their temporary files, for a signal handler, which may come between any two instructions.
static _Atomic(char *) unfinished[OTO_OUTPUTS_MAX];

static int note_unfinished(char *temporary)
{
    for (size_t i = 0; i < OTO_OUTPUTS_MAX; i++) {
        char *none = NULL;
        if (atomic_compare_exchange_strong(&unfinished[i], &none, temporary))
            return 1;
    }
    return 0;
}

static void forget_unfinished(char *temporary)
{
    for (size_t i = 0; i < OTO_OUTPUTS_MAX; i++) {
        char *same = temporary;
        if (temporary && atomic_compare_exchange_strong(&unfinished[i], &same, NULL))
            return;
    }
}

// Its signal has its default action again (SA_RESETHAND): raised once more, it ends the process
// when this returns.
static void drop_unfinished(int signal)
{
    for (size_t i = 0; i < OTO_OUTPUTS_MAX; i++) {
        char *temporary = atomic_load(&unfinished[i]);
        if (temporary)
            unlink(temporary);
    }
    raise(signal);
}

void oto_outputs_drop_on_signals(void)
{
    static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGPIPE, SIGTERM, SIGXCPU, SIGXFSZ};
    struct sigaction action = {.sa_handler = drop_unfinished, .sa_flags = (int)SA_RESETHAND};
    sigfillset(&action.sa_mask);
    for (size_t i = 0; i < sizeof signals / sizeof signals[0]; i++) {
        struct sigaction before;
        if (sigaction(signals[i], NULL, &before) == 0 && before.sa_handler != SIG_IGN)
            sigaction(signals[i], &action, NULL);
    }
}

// --- output ---

static int is_special(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && !S_ISREG(about.st_mode);
}

// A path that means one that is open already: /dev/stdout, /dev/fd/3. -1: none of these. The file
// behind it must not be replaced, and is written where its offset is.
static int open_already(const char *path)
{
    static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/"};
    if (strcmp(path, "/dev/stdout") == 0)
        return STDOUT_FILENO;
    if (strcmp(path, "/dev/stderr") == 0)
        return STDERR_FILENO;
    for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
        size_t size = strlen(folders[i]);
        char *end;
        if (strncmp(path, folders[i], size) != 0 || path[size] < '0' || path[size] > '9')
            continue;
        unsigned long fd = strtoul(path + size, &end, 10);
        if (*end == 0 && fd <= INT_MAX)
            return (int)fd;
    }
    return -1;
}

// With the permissions of what it replaces, else those of any new file.
static void set_permissions(int fd, const char *path)
{
    struct stat about;
    if (stat(path, &about) == 0) {
        (void)!fchmod(fd, about.st_mode & 0777);
        return;
    }
    mode_t mask = umask(0);
    umask(mask);
    (void)!fchmod(fd, 0666 & ~mask);
}

static void forget(struct oto_output *output)
{
    forget_unfinished(output->temporary);
    free(output->temporary);
    free(output->path);
    output->path = output->temporary = NULL;
    output->fd = -1;
}

enum oto_status oto_output_open(struct oto_output *output, const char *path, struct oto_error *err)
{
    int is_standard = strcmp(path, "-") == 0;
    *output =
        (struct oto_output){.fd = STDOUT_FILENO, .name = is_standard ? "standard output" : path};
    if (is_standard)
        return OTO_OK;
    output->is_owned = 1;
    output->fd = -1;
    if (!*path)
        return oto_error_set(err, OTO_INVALID, "the output has no name");
    int already = open_already(path);
    if (already >= 0) {
        output->fd = fcntl(already, F_DUPFD_CLOEXEC, 0);
        return output->fd < 0 ? oto_error_of_errno(err, "open", path) : OTO_OK;
    }
    if (is_special(path)) {
        output->fd = open_path(path, O_WRONLY);
        return output->fd < 0 ? oto_error_of_errno(err, "open", path) : OTO_OK;
    }
    // The place behind a link, if it is one: renaming would replace the link.
    output->path = realpath(path, NULL);
    if (!output->path)
        output->path = strdup(path);
    if (!output->path ||
        asprintf(&output->temporary, "%s.%ld.part", output->path, (long)getpid()) < 0) {
        output->temporary = NULL;
        oto_output_drop(output);
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to open %s", path);
    }
    if (!note_unfinished(output->temporary)) {
        forget(output);
        return oto_error_set(err, OTO_TOO_LARGE, "more than %d files are being written",
                             OTO_OUTPUTS_MAX);
    }
    output->fd = open_path(output->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW);
    if (output->fd >= 0) {
        set_permissions(output->fd, output->path);
        return OTO_OK;
    }
    enum oto_status status = oto_error_of_errno(err, "open", output->temporary);
    oto_output_drop(output);
    return status;
}

enum oto_status oto_output_write(struct oto_output *output, const void *data, size_t size,
                                 struct oto_error *err)
{
    return write_all(output->fd, output->name, data, size, err);
}

enum oto_status oto_output_publish(struct oto_output *output, struct oto_error *err)
{
    enum oto_status status = OTO_OK;
    if (output->temporary && fdatasync(output->fd) != 0)
        status = oto_error_of_errno(err, "sync", output->temporary);
    if (output->is_owned && close(output->fd) != 0 && errno != EINTR && status == OTO_OK)
        status = oto_error_of_errno(err, "close", output->name);
    output->fd = -1;
    if (output->temporary && status == OTO_OK && rename(output->temporary, output->path) != 0)
        status = oto_error_of_errno(err, "rename to", output->path);
    if (output->temporary && status < 0)
        unlink(output->temporary);
    forget(output);
    return status;
}

void oto_output_drop(struct oto_output *output)
{
    if (output->is_owned && output->fd >= 0)
        close(output->fd);
    if (output->temporary)
        unlink(output->temporary);
    forget(output);
}

int oto_path_is_folder(const char *path)
{
    struct stat about;
    return stat(path, &about) == 0 && S_ISDIR(about.st_mode);
}
