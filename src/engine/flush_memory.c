#include "engine/flush_memory.h"

#include <string.h>

#include "os/clock.h"
#include "os/file.h"

#define SIZE_MIN ((size_t)64 << 10) // of a block in the stretch
#define PAGE_BYTES ((size_t)4096)

static int is_large(const struct oto_flush_memory *m, size_t size)
{
    return size >= SIZE_MIN && size <= m->size_bytes;
}

static int is_inside(const struct oto_flush_memory *m, const void *block)
{
    uintptr_t at = (uintptr_t)block, base = (uintptr_t)m->base;
    return m->base && at >= base && at - base < m->size_bytes;
}

static size_t page_round(size_t size)
{
    return (size + PAGE_BYTES - 1) & ~(PAGE_BYTES - 1);
}

// From here on: lock held.

static void set_touched(struct oto_flush_memory *m, size_t touched)
{
    atomic_fetch_add(m->counted_bytes, (uint64_t)touched - (uint64_t)m->touched_bytes);
    m->touched_bytes = touched;
}

static size_t end_of(const struct oto_flush_memory *m, uint32_t i)
{
    return m->blocks[i].offset + m->blocks[i].size;
}

// Gives back pages from `kept` on, or from the last block's end on where that is further.
static void forget_from(struct oto_flush_memory *m, size_t kept)
{
    size_t end = m->block_count ? end_of(m, m->block_count - 1) : 0;
    size_t from = page_round(end > kept ? end : kept);
    if (from >= m->touched_bytes)
        return;
    oto_pages_forget(m->base + from, m->touched_bytes - from);
    set_touched(m, from);
}

// The first place with room for size; what is before it in *ret_index.
static size_t place_for(const struct oto_flush_memory *m, size_t size, uint32_t *ret_index)
{
    size_t offset = 0;
    uint32_t i = 0;
    for (; i < m->block_count && m->blocks[i].offset - offset < size; i++)
        offset = end_of(m, i);
    *ret_index = i;
    return offset;
}

static void *stretch_alloc(struct oto_flush_memory *m, size_t size)
{
    uint32_t i;
    if (!m->base && !(m->base = oto_alloc(&oto_allocator_pages, m->size_bytes)))
        return NULL;
    m->used_ns = oto_clock_monotonic_ns();
    size = page_round(size);
    size_t offset = place_for(m, size, &i);
    if (m->block_count == OTO_FLUSH_MEMORY_BLOCKS || offset + size > m->size_bytes)
        return NULL;
    memmove(&m->blocks[i + 1], &m->blocks[i], (m->block_count - i) * sizeof m->blocks[0]);
    m->blocks[i].offset = offset;
    m->blocks[i].size = size;
    m->block_count++;
    if (offset + size > m->touched_bytes)
        set_touched(m, offset + size);
    return m->base + offset;
}

static uint32_t find(const struct oto_flush_memory *m, const void *block)
{
    size_t offset = (size_t)((const uint8_t *)block - m->base);
    uint32_t i = 0;
    while (m->blocks[i].offset != offset)
        i++;
    return i;
}

static void stretch_free(struct oto_flush_memory *m, void *block)
{
    uint32_t i = find(m, block);
    m->block_count--;
    memmove(&m->blocks[i], &m->blocks[i + 1], (m->block_count - i) * sizeof m->blocks[0]);
    forget_from(m, m->kept_bytes_max);
}

// 1: it has so many bytes now, where it is.
static int stretch_resize(struct oto_flush_memory *m, void *block, size_t size)
{
    uint32_t i = find(m, block);
    size_t end = i + 1 < m->block_count ? m->blocks[i + 1].offset : m->size_bytes;
    size = page_round(size);
    if (end - m->blocks[i].offset < size)
        return 0;
    m->blocks[i].size = size;
    if (end_of(m, i) > m->touched_bytes)
        set_touched(m, end_of(m, i));
    return 1;
}

// --- the allocator ---

static void *memory_alloc(void *state, size_t size)
{
    struct oto_flush_memory *m = state;
    void *block = NULL;
    if (is_large(m, size)) {
        oto_mutex_lock(&m->lock);
        block = stretch_alloc(m, size);
        oto_mutex_unlock(&m->lock);
    }
    return block ? block : oto_alloc(m->others, size);
}

static void memory_free(void *state, void *block, size_t size)
{
    struct oto_flush_memory *m = state;
    oto_mutex_lock(&m->lock);
    int inside = is_inside(m, block);
    if (inside)
        stretch_free(m, block);
    oto_mutex_unlock(&m->lock);
    if (!inside)
        oto_free(m->others, block, size);
}

static void *memory_resize(void *state, void *block, size_t old_size, size_t size)
{
    struct oto_flush_memory *m = state;
    oto_mutex_lock(&m->lock);
    int inside = block && is_inside(m, block);
    int done = inside && is_large(m, size) && stretch_resize(m, block, size);
    oto_mutex_unlock(&m->lock);
    if (done)
        return block;
    if (!inside && !is_large(m, size))
        return oto_resize(m->others, block, old_size, size);
    void *moved = memory_alloc(m, size);
    if (moved && block) {
        memcpy(moved, block, old_size < size ? old_size : size);
        memory_free(m, block, old_size);
    }
    return moved;
}

void oto_flush_memory_init(struct oto_flush_memory *m, const struct oto_allocator *others,
                           _Atomic uint64_t *counted_bytes)
{
    *m = (struct oto_flush_memory){.others = others, .counted_bytes = counted_bytes};
    oto_mutex_init(&m->lock);
}

struct oto_allocator oto_flush_memory_allocator(struct oto_flush_memory *m)
{
    return (struct oto_allocator){memory_alloc, memory_resize, memory_free, m};
}

void oto_flush_memory_trim(struct oto_flush_memory *m, uint64_t idle_ns)
{
    oto_mutex_lock(&m->lock);
    if (!m->block_count && m->touched_bytes && oto_clock_monotonic_ns() - m->used_ns >= idle_ns)
        forget_from(m, 0);
    oto_mutex_unlock(&m->lock);
}

void oto_flush_memory_release(struct oto_flush_memory *m)
{
    set_touched(m, 0);
    oto_free(&oto_allocator_pages, m->base, m->size_bytes);
    m->base = NULL;
    oto_mutex_release(&m->lock);
}
