// LD_PRELOAD library: faults at the border to the system for a whole program, its libraries too.
//
// FAULT_CONTROL names a file of struct control that the test maps and steers while the program
// runs: the n-th call of the chosen kinds fails, or the process dies there. FAULT_RECORD names a
// file that gets every change of the file system below FAULT_ROOT, in order
// (tests/faults/power_cut.py reads it). FAULT_HASTE divides what the program waits for and
// multiplies its monotonic clock. FAULT_CLOCK, "FIRST STEP STEPS" in nanoseconds, is what the wall
// clock shows: FIRST, then STEP more each time that it is asked, and FIRST again after STEPS times.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

enum kind {
    MEMORY = 1 << 0,
    OPEN = 1 << 1,
    WRITE = 1 << 2,
    SYNC = 1 << 3,
    RENAME = 1 << 4,
    TRUNCATE = 1 << 5,
    REMOVE = 1 << 6,
    FOLDER = 1 << 7,
    READ = 1 << 8,
    CLOSE = 1 << 9,
    MAP = 1 << 10,
    SOCKET = 1 << 11,
};

enum way { ONCE, STICKY, SHORT, KILL, TORN };

// The layout is known to tests/faults/shim.py.
struct control {
    _Atomic uint32_t kinds; // 0: off
    uint32_t way;
    int32_t error;
    uint32_t own;         // of memory only what the program itself asks for, not its libraries
    uint64_t first, last; // calls that are hit, counted from 1; 0: none
    _Atomic uint64_t calls, hits;
};

static struct control nothing, *control = &nothing;
static int record_fd = -1;
static char root[4096];
static size_t root_size;
static uint64_t haste = 1, begun_ns;
static unsigned long long wall_first, wall_step,
    wall_steps; // steps 0: the wall clock is left alone
static _Atomic uint64_t wall_asked;
static uintptr_t program_first, program_end; // where the program lies, without libraries
static __thread int inside __attribute__((tls_model("initial-exec"))); // its own calls pass

// --- the real functions ---

static void *(*real_malloc)(size_t), *(*real_calloc)(size_t, size_t);
static void *(*real_realloc)(void *, size_t), *(*real_aligned_alloc)(size_t, size_t);
static int (*real_clock_gettime)(clockid_t, struct timespec *);
static int (*real_timedwait)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
static int (*real_epoll_wait)(int, struct epoll_event *, int, int);

// dlsym allocates before malloc is known.
static uint8_t early[16384];
static size_t early_used;

static void *early_alloc(size_t size)
{
    size_t at = (early_used + 15) & ~(size_t)15;
    if (at + size > sizeof early)
        abort();
    early_used = at + size;
    return early + at;
}

static int is_early(const void *block)
{
    return (const uint8_t *)block >= early && (const uint8_t *)block < early + sizeof early;
}

#define FIND(function, name) (*(void **)(&(function)) = dlsym(RTLD_NEXT, name))

static void find_real(void)
{
    static int looking;
    if (real_malloc || looking)
        return;
    looking = 1;
    FIND(real_calloc, "calloc");
    FIND(real_realloc, "realloc");
    FIND(real_aligned_alloc, "aligned_alloc");
    FIND(real_clock_gettime, "clock_gettime");
    FIND(real_timedwait, "pthread_cond_timedwait");
    FIND(real_epoll_wait, "epoll_wait");
    FIND(real_malloc, "malloc");
    looking = 0;
}

static uint64_t real_now_ns(void)
{
    struct timespec t = {0};
    syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int find_program(struct dl_phdr_info *info, size_t size, void *state)
{
    (void)size, (void)state;
    program_first = UINTPTR_MAX;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *part = &info->dlpi_phdr[i];
        uintptr_t at = info->dlpi_addr + part->p_vaddr;
        if (part->p_type != PT_LOAD)
            continue;
        program_first = at < program_first ? at : program_first;
        program_end = at + part->p_memsz > program_end ? at + part->p_memsz : program_end;
    }
    return 1; // it is the first of all
}

__attribute__((constructor)) static void begin(void)
{
    const char *path = getenv("FAULT_CONTROL"), *record = getenv("FAULT_RECORD");
    const char *below = getenv("FAULT_ROOT"), *factor = getenv("FAULT_HASTE");
    const char *wall = getenv("FAULT_CLOCK");
    find_real();
    dl_iterate_phdr(find_program, NULL);
    begun_ns = real_now_ns();
    if (factor)
        haste = strtoull(factor, NULL, 10);
    if (!wall || sscanf(wall, "%llu %llu %llu", &wall_first, &wall_step, &wall_steps) != 3)
        wall_steps = 0;
    if (below) {
        root_size = strlen(below) < sizeof root ? strlen(below) : 0;
        memcpy(root, below, root_size);
    }
    if (record)
        record_fd = (int)syscall(SYS_openat, AT_FDCWD, record,
                                 O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
    int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    long at = syscall(SYS_mmap, NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at > 0)
        control = (struct control *)at;
    syscall(SYS_close, fd);
    unsetenv("LD_PRELOAD"); // children are not meant
}

// --- faults ---

enum outcome { PASS, FAIL, HALF };

static pthread_mutex_t order = PTHREAD_MUTEX_INITIALIZER;

// Never between what another thread does and the entry of the record that tells it.
static void end_process(void)
{
    pthread_mutex_lock(&order);
    syscall(SYS_kill, getpid(), SIGKILL);
}

static enum outcome meet(enum kind kind)
{
    struct control *c = control;
    if (inside || !(atomic_load(&c->kinds) & kind))
        return PASS;
    uint64_t call = atomic_fetch_add(&c->calls, 1) + 1;
    if (call < c->first || call > c->last)
        return PASS;
    atomic_fetch_add(&c->hits, 1);
    if (c->way == KILL || (c->way == TORN && kind != WRITE))
        end_process();
    if (c->way == TORN || (c->way == SHORT && call == c->first))
        return kind == WRITE ? HALF : PASS;
    errno = c->error;
    return FAIL;
}

// --- the record ---

enum operation {
    DID_OPEN = 1,
    DID_WRITE,
    DID_TRUNCATE,
    DID_SYNC,
    DID_RENAME,
    DID_REMOVE,
    DID_FOLDER
};

// Then: text of from bytes, to bytes, data.
struct entry {
    uint32_t magic, operation;
    uint64_t offset; // or size, or flags of open
    uint32_t path_size, other_size;
    uint64_t data_size;
};

static int is_recorded(const char *path)
{
    return record_fd >= 0 && root_size && strncmp(path, root, root_size) == 0;
}

// The path of an open file; 0 when it is not below the root.
static int path_of(int fd, char *path, size_t size)
{
    char link[40];
    if (record_fd < 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t n = readlink(link, path, size - 1);
    path[n > 0 ? n : 0] = 0;
    return n > 0 && is_recorded(path);
}

static void record(enum operation operation, const char *path, const char *other, uint64_t offset,
                   const void *data, size_t size)
{
    struct entry entry = {.magic = 0x544c4146,
                          .operation = operation,
                          .offset = offset,
                          .path_size = (uint32_t)strlen(path),
                          .other_size = other ? (uint32_t)strlen(other) : 0,
                          .data_size = size};
    struct iovec {
        const void *base;
        size_t size;
    } parts[] = {
        {&entry, sizeof entry}, {path, entry.path_size}, {other, entry.other_size}, {data, size}};
    syscall(SYS_writev, record_fd, parts, 4);
}

// --- memory ---

static int memory_fails(const void *caller)
{
    uintptr_t at = (uintptr_t)caller;
    int is_own = at >= program_first && at < program_end;
    return (is_own || !control->own) && meet(MEMORY);
}

void *malloc(size_t size)
{
    find_real();
    if (!real_malloc)
        return early_alloc(size);
    return memory_fails(__builtin_return_address(0)) ? NULL : real_malloc(size);
}

void *calloc(size_t count, size_t size)
{
    find_real();
    if (!real_malloc)
        return early_alloc(count * size); // still zero
    return memory_fails(__builtin_return_address(0)) ? NULL : real_calloc(count, size);
}

void *realloc(void *block, size_t size)
{
    find_real();
    if (!real_malloc || is_early(block))
        abort();
    return memory_fails(__builtin_return_address(0)) ? NULL : real_realloc(block, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
    find_real();
    return memory_fails(__builtin_return_address(0)) ? NULL : real_aligned_alloc(alignment, size);
}

void *mmap(void *address, size_t size, int protection, int flags, int fd, off_t offset)
{
    if ((flags & MAP_ANONYMOUS) && meet(MAP))
        return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, size, protection, flags, fd, offset);
}

void *mremap(void *old, size_t old_size, size_t size, int flags, ...)
{
    if (meet(MAP))
        return MAP_FAILED;
    return (void *)syscall(SYS_mremap, old, old_size, size, flags, NULL);
}

// Sanitizers ask when a thread begins, and do not survive a refusal.
int pthread_getattr_np(pthread_t thread, pthread_attr_t *attributes)
{
    static int (*real)(pthread_t, pthread_attr_t *);
    inside++;
    if (!real)
        FIND(real, "pthread_getattr_np");
    int result = real(thread, attributes);
    inside--;
    return result;
}

// --- files ---

int open(const char *path, int flags, ...)
{
    va_list arguments;
    va_start(arguments, flags);
    unsigned mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(arguments, unsigned) : 0;
    va_end(arguments);
    if (meet(OPEN))
        return -1;
    if (!(flags & (O_CREAT | O_TRUNC)) || !is_recorded(path))
        return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    pthread_mutex_lock(&order);
    int fd = (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
    if (fd >= 0)
        record(DID_OPEN, path, NULL, flags & O_TRUNC ? 1 : 0, NULL, 0);
    pthread_mutex_unlock(&order);
    return fd;
}

int memfd_create(const char *name, unsigned flags)
{
    return meet(OPEN) ? -1 : (int)syscall(SYS_memfd_create, name, flags);
}

static ssize_t write_and_record(int fd, const void *data, size_t size, off_t offset)
{
    char path[4096];
    if (!path_of(fd, path, sizeof path))
        return syscall(SYS_pwrite64, fd, data, size, offset);
    pthread_mutex_lock(&order);
    ssize_t n = syscall(SYS_pwrite64, fd, data, size, offset);
    if (n > 0)
        record(DID_WRITE, path, NULL, (uint64_t)offset, data, (size_t)n);
    pthread_mutex_unlock(&order);
    return n;
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    enum outcome outcome = meet(WRITE);
    if (outcome == FAIL)
        return -1;
    if (outcome == HALF && size > 1)
        size /= 2;
    ssize_t n = write_and_record(fd, data, size, offset);
    if (outcome == HALF && control->way == TORN)
        end_process();
    return n;
}

ssize_t pread(int fd, void *data, size_t size, off_t offset)
{
    return meet(READ) ? -1 : syscall(SYS_pread64, fd, data, size, offset);
}

static int sync_and_record(int fd, long call)
{
    char path[4096];
    if (meet(SYNC))
        return -1;
    int result = (int)syscall(call, fd);
    if (result == 0 && path_of(fd, path, sizeof path)) {
        pthread_mutex_lock(&order);
        record(DID_SYNC, path, NULL, 0, NULL, 0);
        pthread_mutex_unlock(&order);
    }
    return result;
}

int fsync(int fd)
{
    return sync_and_record(fd, SYS_fsync);
}

int fdatasync(int fd)
{
    return sync_and_record(fd, SYS_fdatasync);
}

int ftruncate(int fd, off_t size)
{
    char path[4096];
    if (meet(TRUNCATE))
        return -1;
    pthread_mutex_lock(&order);
    int result = (int)syscall(SYS_ftruncate, fd, size);
    if (result == 0 && path_of(fd, path, sizeof path))
        record(DID_TRUNCATE, path, NULL, (uint64_t)size, NULL, 0);
    pthread_mutex_unlock(&order);
    return result;
}

int rename(const char *from, const char *to)
{
    if (meet(RENAME))
        return -1;
    pthread_mutex_lock(&order);
    int result = (int)syscall(SYS_rename, from, to);
    if (result == 0 && is_recorded(to))
        record(DID_RENAME, from, to, 0, NULL, 0);
    pthread_mutex_unlock(&order);
    return result;
}

static int remove_and_record(const char *path, int flags)
{
    pthread_mutex_lock(&order);
    int result = (int)syscall(SYS_unlinkat, AT_FDCWD, path, flags);
    if (result == 0 && is_recorded(path))
        record(DID_REMOVE, path, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&order);
    return result;
}

int unlink(const char *path)
{
    return meet(REMOVE) ? -1 : remove_and_record(path, 0);
}

int rmdir(const char *path)
{
    return meet(REMOVE) ? -1 : remove_and_record(path, AT_REMOVEDIR);
}

int remove(const char *path)
{
    if (meet(REMOVE))
        return -1;
    int result = remove_and_record(path, 0);
    return result != 0 && errno == EISDIR ? remove_and_record(path, AT_REMOVEDIR) : result;
}

int mkdir(const char *path, mode_t mode)
{
    if (meet(FOLDER))
        return -1;
    pthread_mutex_lock(&order);
    int result = (int)syscall(SYS_mkdirat, AT_FDCWD, path, mode);
    if (result == 0 && is_recorded(path))
        record(DID_FOLDER, path, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&order);
    return result;
}

int close(int fd)
{
    int failed = meet(CLOSE) != PASS, error = errno;
    int result = (int)syscall(SYS_close, fd);
    if (failed)
        errno = error;
    return failed ? -1 : result;
}

// --- time ---

static void set_time(struct timespec *time, uint64_t ns)
{
    time->tv_sec = (time_t)(ns / 1000000000u);
    time->tv_nsec = (long)(ns % 1000000000u);
}

int clock_gettime(clockid_t id, struct timespec *time)
{
    int result = (int)syscall(SYS_clock_gettime, id, time);
    if (result == 0 && haste > 1 && id == CLOCK_MONOTONIC) {
        uint64_t now = (uint64_t)time->tv_sec * 1000000000u + (uint64_t)time->tv_nsec;
        set_time(time, begun_ns + (now - begun_ns) * haste);
    }
    if (result == 0 && wall_steps && id == CLOCK_REALTIME)
        set_time(time, wall_first + wall_step * (wall_asked++ % wall_steps));
    return result;
}

int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex,
                           const struct timespec *until)
{
    uint64_t at = (uint64_t)until->tv_sec * 1000000000u + (uint64_t)until->tv_nsec;
    find_real();
    if (haste > 1)
        at = at > begun_ns ? begun_ns + (at - begun_ns) / haste : begun_ns;
    struct timespec real = {.tv_sec = (time_t)(at / 1000000000u),
                            .tv_nsec = (long)(at % 1000000000u)};
    return real_timedwait(condition, mutex, &real);
}

int epoll_wait(int fd, struct epoll_event *events, int count, int timeout_ms)
{
    find_real();
    if (haste > 1 && timeout_ms > 0)
        timeout_ms = (int)((uint64_t)timeout_ms / haste) + 1;
    return real_epoll_wait(fd, events, count, timeout_ms);
}
