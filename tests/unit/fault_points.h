// Faults at the border to the system: the n-th call of chosen kinds fails, or kills the process.
// For tests whose name ends in _faults: CMake links them so that calls of our own code come here
// first (--wrap); calls inside other libraries do not. Time runs a thousand times faster, so that
// nobody waits for a second before he tries again.
#ifndef OTO_TESTS_FAULT_POINTS_H
#define OTO_TESTS_FAULT_POINTS_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/types.h>
#include <unistd.h>

#include "os/clock.h"
#include "os/thread.h"

enum fault_kind {
    FAULT_MEMORY = 1 << 0, // malloc and its kin, mmap
    FAULT_OPEN = 1 << 1,   // open, memfd_create
    FAULT_WRITE = 1 << 2,
    FAULT_SYNC = 1 << 3,
    FAULT_RENAME = 1 << 4,
    FAULT_TRUNCATE = 1 << 5,
    FAULT_REMOVE = 1 << 6,
    FAULT_FOLDER = 1 << 7, // mkdir
    FAULT_READ = 1 << 8,
    FAULT_CLOSE = 1 << 9,
    FAULT_THREAD = 1 << 10,
};
#define FAULT_CHANGES                                                                              \
    (FAULT_OPEN | FAULT_WRITE | FAULT_SYNC | FAULT_RENAME | FAULT_TRUNCATE | FAULT_REMOVE |        \
     FAULT_FOLDER)

enum fault_way {
    FAULT_ONCE,   // the n-th call fails
    FAULT_STICKY, // and those after it
    FAULT_SHORT,  // the n-th write writes half, those after it fail
    FAULT_KILL,   // the process dies instead of the n-th call
    FAULT_TORN,   // as above, but a write writes half
};

static struct {
    _Atomic unsigned kinds; // 0: off
    _Atomic uint64_t calls, hits;
    uint64_t at;    // counted from 1; 0: only count
    uint64_t until; // the last call that may fail: then the fault is over
    enum fault_way way;
    int error;
} fault;

// length: how many calls a fault that is not FAULT_ONCE lasts.
static inline void fault_arm(unsigned kinds, uint64_t at, uint64_t length, enum fault_way way,
                             int error)
{
    atomic_store(&fault.calls, 0);
    atomic_store(&fault.hits, 0);
    fault.at = at;
    fault.until = way == FAULT_STICKY || way == FAULT_SHORT ? at + length - 1 : at;
    fault.way = way;
    fault.error = error;
    atomic_store(&fault.kinds, kinds);
}

static inline void fault_disarm(void)
{
    atomic_store(&fault.kinds, 0);
}

enum fault_outcome { FAULT_PASS, FAULT_FAIL, FAULT_HALF };

static inline enum fault_outcome fault_meet(enum fault_kind kind)
{
    if (!(atomic_load(&fault.kinds) & kind))
        return FAULT_PASS;
    uint64_t call = atomic_fetch_add(&fault.calls, 1) + 1;
    if (fault.at == 0 || call < fault.at || call > fault.until)
        return FAULT_PASS;
    atomic_fetch_add(&fault.hits, 1);
    if (fault.way == FAULT_KILL || (fault.way == FAULT_TORN && kind != FAULT_WRITE))
        kill(getpid(), SIGKILL);
    if (fault.way == FAULT_TORN || (fault.way == FAULT_SHORT && call == fault.at))
        return kind == FAULT_WRITE ? FAULT_HALF : FAULT_PASS;
    errno = fault.error;
    return FAULT_FAIL;
}

// --- memory ---

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void *__real_realloc(void *block, size_t size);
void *__real_aligned_alloc(size_t alignment, size_t size);
char *__real_strdup(const char *text);
char *__real_strndup(const char *text, size_t size);
void *__real_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__real_mremap(void *old, size_t old_size, size_t size, int flags, ...);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void *__wrap_realloc(void *block, size_t size);
void *__wrap_aligned_alloc(size_t alignment, size_t size);
char *__wrap_strdup(const char *text);
char *__wrap_strndup(const char *text, size_t size);
void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset);
void *__wrap_mremap(void *old, size_t old_size, size_t size, int flags, ...);

void *__wrap_malloc(size_t size)
{
    return fault_meet(FAULT_MEMORY) ? NULL : __real_malloc(size);
}

void *__wrap_calloc(size_t count, size_t size)
{
    return fault_meet(FAULT_MEMORY) ? NULL : __real_calloc(count, size);
}

void *__wrap_realloc(void *block, size_t size)
{
    return fault_meet(FAULT_MEMORY) ? NULL : __real_realloc(block, size);
}

void *__wrap_aligned_alloc(size_t alignment, size_t size)
{
    return fault_meet(FAULT_MEMORY) ? NULL : __real_aligned_alloc(alignment, size);
}

char *__wrap_strdup(const char *text)
{
    return fault_meet(FAULT_MEMORY) ? NULL : __real_strdup(text);
}

char *__wrap_strndup(const char *text, size_t size)
{
    return fault_meet(FAULT_MEMORY) ? NULL : __real_strndup(text, size);
}

void *__wrap_mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if (fault_meet(FAULT_MEMORY))
        return MAP_FAILED;
    return __real_mmap(address, size, protection, flags, fd, offset);
}

void *__wrap_mremap(void *old, size_t old_size, size_t size, int flags, ...)
{
    return fault_meet(FAULT_MEMORY) ? MAP_FAILED : __real_mremap(old, old_size, size, flags);
}

// --- files ---

int __real_open(const char *path, int flags, ...);
int __real_memfd_create(const char *name, unsigned flags);
ssize_t __real_pwrite(int fd, const void *data, size_t size, off_t offset);
ssize_t __real_pread(int fd, void *data, size_t size, off_t offset);
int __real_fsync(int fd);
int __real_fdatasync(int fd);
int __real_ftruncate(int fd, off_t size);
int __real_rename(const char *from, const char *to);
int __real_remove(const char *path);
int __real_mkdir(const char *path, mode_t mode);
int __real_close(int fd);
int __wrap_open(const char *path, int flags, ...);
int __wrap_memfd_create(const char *name, unsigned flags);
ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset);
ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset);
int __wrap_fsync(int fd);
int __wrap_fdatasync(int fd);
int __wrap_ftruncate(int fd, off_t size);
int __wrap_rename(const char *from, const char *to);
int __wrap_remove(const char *path);
int __wrap_mkdir(const char *path, mode_t mode);
int __wrap_close(int fd);

int __wrap_open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    unsigned mode = flags & O_CREAT ? va_arg(arguments, unsigned) : 0;
    va_end(arguments);
    return fault_meet(FAULT_OPEN) ? -1 : __real_open(path, flags, mode);
}

int __wrap_memfd_create(const char *name, unsigned flags)
{
    return fault_meet(FAULT_OPEN) ? -1 : __real_memfd_create(name, flags);
}

ssize_t __wrap_pwrite(int fd, const void *data, size_t size, off_t offset)
{
    enum fault_outcome outcome = fault_meet(FAULT_WRITE);
    if (outcome == FAULT_FAIL)
        return -1;
    if (outcome == FAULT_HALF && size > 1)
        size /= 2;
    ssize_t written = __real_pwrite(fd, data, size, offset);
    if (outcome == FAULT_HALF && fault.way == FAULT_TORN)
        kill(getpid(), SIGKILL);
    return written;
}

ssize_t __wrap_pread(int fd, void *data, size_t size, off_t offset)
{
    return fault_meet(FAULT_READ) ? -1 : __real_pread(fd, data, size, offset);
}

int __wrap_fsync(int fd)
{
    return fault_meet(FAULT_SYNC) ? -1 : __real_fsync(fd);
}

int __wrap_fdatasync(int fd)
{
    return fault_meet(FAULT_SYNC) ? -1 : __real_fdatasync(fd);
}

int __wrap_ftruncate(int fd, off_t size)
{
    return fault_meet(FAULT_TRUNCATE) ? -1 : __real_ftruncate(fd, size);
}

int __wrap_rename(const char *from, const char *to)
{
    return fault_meet(FAULT_RENAME) ? -1 : __real_rename(from, to);
}

int __wrap_remove(const char *path)
{
    return fault_meet(FAULT_REMOVE) ? -1 : __real_remove(path);
}

int __wrap_mkdir(const char *path, mode_t mode)
{
    return fault_meet(FAULT_FOLDER) ? -1 : __real_mkdir(path, mode);
}

// The descriptor is gone all the same, as on Linux.
int __wrap_close(int fd)
{
    int failed = fault_meet(FAULT_CLOSE) != FAULT_PASS, error = errno;
    int result = __real_close(fd);
    if (failed)
        errno = error;
    return failed ? -1 : result;
}

// --- threads and time ---

int __real_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *state);
int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *state);
uint64_t __real_oto_clock_monotonic_ns(void);
uint64_t __wrap_oto_clock_monotonic_ns(void);
enum oto_status __real_oto_condition_wait_until(struct oto_condition *c, struct oto_mutex *m,
                                                uint64_t until);
enum oto_status __wrap_oto_condition_wait_until(struct oto_condition *c, struct oto_mutex *m,
                                                uint64_t until);

int __wrap_pthread_create(pthread_t *thread, const pthread_attr_t *attributes, void *(*run)(void *),
                          void *state)
{
    return fault_meet(FAULT_THREAD) ? EAGAIN
                                    : __real_pthread_create(thread, attributes, run, state);
}

#define FAULT_TIME_FACTOR 1000u

static inline uint64_t fault_time_begun(void)
{
    static _Atomic uint64_t begun;
    uint64_t none = 0, now = __real_oto_clock_monotonic_ns();
    atomic_compare_exchange_strong(&begun, &none, now);
    return atomic_load(&begun);
}

uint64_t __wrap_oto_clock_monotonic_ns(void)
{
    uint64_t begun = fault_time_begun();
    return begun + (__real_oto_clock_monotonic_ns() - begun) * FAULT_TIME_FACTOR;
}

enum oto_status __wrap_oto_condition_wait_until(struct oto_condition *c, struct oto_mutex *m,
                                                uint64_t until)
{
    uint64_t begun = fault_time_begun();
    until = until > begun ? begun + (until - begun) / FAULT_TIME_FACTOR : begun;
    return __real_oto_condition_wait_until(c, m, until);
}

#endif
