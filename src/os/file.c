#define _GNU_SOURCE
#include "os/file.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/errno_status.h"

#define LOCK_TRIES 10

enum oto_status oto_status_of_errno(int error)
{
    switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return OTO_NO_SPACE;
    case EMFILE:
    case ENFILE:
    case ENOMEM:
        return OTO_NO_MEMORY;
    case ENOENT:
        return OTO_NOT_FOUND;
    case EEXIST:
        return OTO_EXISTS;
    case EACCES:
    case EPERM:
    case EROFS:
        return OTO_DENIED;
    default:
        return OTO_IO;
    }
}

enum oto_status oto_error_of_errno(struct oto_error *err, const char *what, const char *path)
{
    int error = errno;
    return oto_error_set(err, oto_status_of_errno(error), "%s %s: %s", what, path, strerror(error));
}

static int mode_flags(enum oto_file_mode mode)
{
    switch (mode) {
    case OTO_FILE_READ:
        return O_RDONLY;
    case OTO_FILE_WRITE:
        return O_RDWR | O_CREAT | O_TRUNC;
    case OTO_FILE_CREATE_NEW:
        return O_RDWR | O_CREAT | O_EXCL;
    case OTO_FILE_UPDATE:
        return O_RDWR | O_CREAT;
    }
    assert(0 && "unknown file mode");
    return O_RDONLY;
}

enum oto_status oto_file_open(struct oto_file *f, const char *path, enum oto_file_mode mode,
                              struct oto_error *err)
{
    int fd;
    f->fd = -1;
    do
        fd = open(path, mode_flags(mode) | O_CLOEXEC | O_NOFOLLOW, 0640);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return oto_error_of_errno(err, "open", path);
    f->fd = fd;
    return OTO_OK;
}

// The path behind an open descriptor, for messages only.
static const char *file_name(const struct oto_file *f, char *text, size_t size)
{
    char link[40];
    snprintf(link, sizeof link, "/proc/self/fd/%d", f->fd);
    ssize_t n = readlink(link, text, size - 1);
    if (n < 0)
        return "file";
    text[n] = 0;
    return text;
}

static enum oto_status file_failed(const struct oto_file *f, const char *what,
                                   struct oto_error *err)
{
    char name[256];
    int error = errno;
    file_name(f, name, sizeof name);
    errno = error;
    return oto_error_of_errno(err, what, name);
}

enum oto_status oto_file_close(struct oto_file *f, struct oto_error *err)
{
    if (f->fd < 0)
        return OTO_OK;
    int result = close(f->fd);
    f->fd = -1;
    // On Linux the descriptor is gone even after EINTR, and nothing was lost.
    if (result != 0 && errno != EINTR)
        return oto_error_of_errno(err, "close", "file");
    return OTO_OK;
}

enum oto_status oto_file_read_at(struct oto_file *f, uint64_t offset, void *data, size_t size,
                                 size_t *ret_read, struct oto_error *err)
{
    uint8_t *cursor = data;
    size_t done = 0;
    while (done < size) {
        ssize_t n = pread(f->fd, cursor + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return file_failed(f, "read", err);
        if (n == 0)
            break;
        done += (size_t)n;
    }
    if (ret_read)
        *ret_read = done;
    return done == size ? OTO_OK : OTO_END;
}

void oto_file_read_ahead(struct oto_file *f, uint64_t offset, uint64_t size)
{
    (void)posix_fadvise(f->fd, (off_t)offset, (off_t)size, POSIX_FADV_WILLNEED);
}

void oto_file_write_behind(struct oto_file *f, uint64_t offset, uint64_t size)
{
    (void)sync_file_range(f->fd, (off_t)offset, (off_t)size, SYNC_FILE_RANGE_WRITE);
}

void oto_file_set_direct(struct oto_file *f)
{
    int flags = fcntl(f->fd, F_GETFL);
    if (flags >= 0) // refused where there is no such thing: writes are as usual then
        (void)fcntl(f->fd, F_SETFL, flags | O_DIRECT);
}

static int end_direct(struct oto_file *f)
{
    int flags = fcntl(f->fd, F_GETFL);
    return flags >= 0 && (flags & O_DIRECT) && fcntl(f->fd, F_SETFL, flags & ~O_DIRECT) == 0;
}

enum oto_status oto_file_write_at(struct oto_file *f, uint64_t offset, const void *data,
                                  size_t size, struct oto_error *err)
{
    const uint8_t *cursor = data;
    size_t done = 0;
    while (done < size) {
        ssize_t n = pwrite(f->fd, cursor + done, size - done, (off_t)(offset + done));
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0 && errno == EINVAL && end_direct(f))
            continue;
        if (n == 0)
            errno = EIO;
        if (n <= 0)
            return file_failed(f, "write", err);
        done += (size_t)n;
    }
    return OTO_OK;
}

enum oto_status oto_file_size(struct oto_file *f, uint64_t *ret_size, struct oto_error *err)
{
    struct stat status;
    if (fstat(f->fd, &status) != 0)
        return file_failed(f, "stat", err);
    *ret_size = (uint64_t)status.st_size;
    return OTO_OK;
}

enum oto_status oto_file_truncate(struct oto_file *f, uint64_t size, struct oto_error *err)
{
    int result;
    do
        result = ftruncate(f->fd, (off_t)size);
    while (result != 0 && errno == EINTR);
    return result == 0 ? OTO_OK : file_failed(f, "truncate", err);
}

enum oto_status oto_file_sync(struct oto_file *f, struct oto_error *err)
{
    int result;
    do
        result = fdatasync(f->fd);
    while (result != 0 && errno == EINTR);
    return result == 0 ? OTO_OK : file_failed(f, "sync", err);
}

enum oto_status oto_file_open_memory(struct oto_file *f, const char *name, struct oto_error *err)
{
    f->fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);
    return f->fd >= 0 ? OTO_OK : oto_error_of_errno(err, "open memory file", name);
}

void oto_file_seal_memory(int fd)
{
    (void)fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL);
}

// Says who holds the lock by the first line of the file.
static enum oto_status lock_held(struct oto_file *f, const char *path, struct oto_error *err)
{
    char holder[128];
    ssize_t n = pread(f->fd, holder, sizeof holder - 1, 0);
    holder[n > 0 ? n : 0] = 0;
    size_t printable = 0;
    while (holder[printable] >= ' ' && holder[printable] <= '~')
        printable++;
    holder[printable] = 0;
    close(f->fd);
    f->fd = -1;
    return oto_error_set(err, OTO_EXISTS, "%s is held by another process%s%s", path,
                         holder[0] ? ": " : "", holder);
}

static int try_lock(const struct oto_file *f, int kind)
{
    int result;
    do
        result = flock(f->fd, kind | LOCK_NB);
    while (result != 0 && errno == EINTR);
    return result;
}

enum oto_status oto_file_lock(struct oto_file *f, const char *path, struct oto_error *err)
{
    OTO_TRY(oto_file_open(f, path, OTO_FILE_UPDATE, err));
    int result = try_lock(f, LOCK_EX);
    // Not held, perhaps: oto_file_lock_holder has it for an instant.
    for (int i = 0; i < LOCK_TRIES && result != 0 && errno == EWOULDBLOCK; i++) {
        oto_clock_sleep_ms(2);
        result = try_lock(f, LOCK_EX);
    }
    if (result == 0)
        return OTO_OK;
    if (errno == EWOULDBLOCK)
        return lock_held(f, path, err);
    enum oto_status status = oto_error_of_errno(err, "lock", path);
    close(f->fd);
    f->fd = -1;
    return status;
}

enum oto_status oto_file_lock_holder(const char *path, char *text, size_t size,
                                     struct oto_error *err)
{
    struct oto_file f;
    OTO_TRY(oto_file_open(&f, path, OTO_FILE_READ, err));
    enum oto_status status = OTO_OK;
    size_t got = 0;
    if (try_lock(&f, LOCK_SH) == 0)
        status = oto_error_set(err, OTO_NOT_FOUND, "nobody holds %s", path);
    else if (errno != EWOULDBLOCK)
        status = oto_error_of_errno(err, "lock", path);
    else if (oto_file_read_at(&f, 0, text, size - 1, &got, err) < 0)
        status = OTO_IO;
    (void)oto_file_close(&f, NULL);
    if (status == OTO_OK)
        text[got] = 0;
    return status;
}
