// Memory straight from the system: the page allocator, randomness and the size of this process.
#define _GNU_SOURCE
#include "base/alloc.h"
#include "os/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <unistd.h>

static size_t page_size(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

// Rounded up to pages; 0 when that overflows.
static size_t page_round(size_t size)
{
    size_t page = page_size();
    if (size == 0)
        return page;
    return size > SIZE_MAX - page ? 0 : (size + page - 1) & ~(page - 1);
}

static void *pages_alloc(void *state, size_t size)
{
    (void)state;
    size_t rounded = page_round(size);
    if (rounded == 0)
        return NULL;
    void *block = mmap(NULL, rounded, PROT_READ | PROT_WRITE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (block == MAP_FAILED)
        return NULL;
    // A huge page would make one touched byte cost 2 MiB. Fails on kernels without them: fine.
    madvise(block, rounded, MADV_NOHUGEPAGE);
    return block;
}

static void *pages_resize(void *state, void *block, size_t old_size, size_t size)
{
    if (!block)
        return pages_alloc(state, size);
    size_t old_rounded = page_round(old_size), rounded = page_round(size);
    if (rounded == 0)
        return NULL;
    if (rounded == old_rounded)
        return block;
    void *moved = mremap(block, old_rounded, rounded, MREMAP_MAYMOVE);
    return moved == MAP_FAILED ? NULL : moved;
}

static void pages_free(void *state, void *block, size_t size)
{
    (void)state;
    if (block)
        munmap(block, page_round(size));
}

const struct oto_allocator oto_allocator_pages = {
    .alloc = pages_alloc, .resize = pages_resize, .free = pages_free, .state = NULL};

void oto_pages_forget(void *data, size_t size)
{
    uintptr_t page = page_size(), begin = ((uintptr_t)data + page - 1) & ~(page - 1);
    uintptr_t end = ((uintptr_t)data + size) & ~(page - 1);
    if (begin < end)
        madvise((void *)begin, end - begin, MADV_DONTNEED);
}

void oto_random(void *data, size_t size)
{
    uint8_t *cursor = data;
    while (size > 0) {
        ssize_t n = getrandom(cursor, size, 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            abort(); // no kernel that we run on can do this; guessable bytes would be worse
        cursor += n;
        size -= (size_t)n;
    }
}

uint64_t oto_memory_resident_bytes(void)
{
    char text[128];
    int fd = open("/proc/self/statm", O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return 0;
    text[n] = 0;
    char *end;
    strtoull(text, &end, 10); // total, in pages; resident follows
    return strtoull(end, NULL, 10) * page_size();
}
