#include "engine/page_pool.h"

#include <string.h>

#include "os/clock.h"
#include "os/file.h"

// What a larger block begins with, for as long as it is there: its size, which may be more than its
// owner asked for.
struct oto_page_pool_large {
    struct oto_page_pool_large *next; // while it is free
    size_t size;
};
_Static_assert(sizeof(struct oto_page_pool_large) <= OTO_PAGE_POOL_HEAD_BYTES, "room for it");

// Where in the list the smallest free block with room for size is, of up to twice as much; NULL:
// nowhere.
static struct oto_page_pool_large **best_of(struct oto_page_pool *pool, size_t size)
{
    struct oto_page_pool_large **best = NULL;
    for (struct oto_page_pool_large **at = &pool->large; *at; at = &(*at)->next) {
        size_t found = (*at)->size;
        if (found >= size && found / 2 <= size && (!best || found < (*best)->size))
            best = at;
    }
    return best;
}

// A free block for size; NULL when there is none. Lock held.
static struct oto_page_pool_large *take_large(struct oto_page_pool *pool, size_t size)
{
    struct oto_page_pool_large **at = best_of(pool, size);
    if (!at)
        return NULL;
    struct oto_page_pool_large *block = *at;
    *at = block->next;
    pool->large_bytes -= block->size;
    atomic_fetch_sub(pool->counted_bytes, block->size);
    return block;
}

static void *large_alloc(struct oto_page_pool *pool, size_t size)
{
    if (size > SIZE_MAX - OTO_PAGE_POOL_HEAD_BYTES)
        return NULL;
    size += OTO_PAGE_POOL_HEAD_BYTES;
    oto_mutex_lock(&pool->lock);
    struct oto_page_pool_large *block = take_large(pool, size);
    pool->used_ns = oto_clock_monotonic_ns();
    oto_mutex_unlock(&pool->lock);
    if (!block && (block = oto_alloc(&oto_allocator_pages, size)))
        block->size = size;
    return block ? (uint8_t *)block + OTO_PAGE_POOL_HEAD_BYTES : NULL;
}

static void large_free(struct oto_page_pool *pool, void *memory)
{
    struct oto_page_pool_large *block = (void *)((uint8_t *)memory - OTO_PAGE_POOL_HEAD_BYTES);
    oto_mutex_lock(&pool->lock);
    int is_kept = pool->large_bytes + block->size <= pool->large_bytes_max;
    if (is_kept) {
        block->next = pool->large;
        pool->large = block;
        pool->large_bytes += block->size;
        atomic_fetch_add(pool->counted_bytes, block->size);
    }
    oto_mutex_unlock(&pool->lock);
    if (!is_kept)
        oto_free(&oto_allocator_pages, block, block->size);
}

static void *pool_alloc(void *state, size_t size)
{
    struct oto_page_pool *pool = state;
    if (size != OTO_PAGE_POOL_BLOCK_BYTES)
        return large_alloc(pool, size);
    oto_mutex_lock(&pool->lock);
    void *block = pool->blocks;
    if (block) {
        memcpy(&pool->blocks, block, sizeof pool->blocks);
        pool->block_count--;
        atomic_fetch_sub(pool->counted_bytes, OTO_PAGE_POOL_BLOCK_BYTES);
    }
    pool->used_ns = oto_clock_monotonic_ns();
    oto_mutex_unlock(&pool->lock);
    return block ? block : oto_alloc(&oto_allocator_pages, size);
}

static void pool_free(void *state, void *block, size_t size)
{
    struct oto_page_pool *pool = state;
    if (size != OTO_PAGE_POOL_BLOCK_BYTES) {
        if (block)
            large_free(pool, block);
        return;
    }
    oto_mutex_lock(&pool->lock);
    memcpy(block, &pool->blocks, sizeof pool->blocks);
    pool->blocks = block;
    pool->block_count++;
    atomic_fetch_add(pool->counted_bytes, OTO_PAGE_POOL_BLOCK_BYTES);
    oto_mutex_unlock(&pool->lock);
}

// Arenas never resize.
static void *pool_resize(void *state, void *block, size_t old_size, size_t size)
{
    void *moved = pool_alloc(state, size);
    if (moved && block) {
        memcpy(moved, block, old_size < size ? old_size : size);
        pool_free(state, block, old_size);
    }
    return moved;
}

void oto_page_pool_init(struct oto_page_pool *pool, _Atomic uint64_t *counted_bytes)
{
    *pool = (struct oto_page_pool){.counted_bytes = counted_bytes};
    oto_mutex_init(&pool->lock);
}

struct oto_allocator oto_page_pool_allocator(struct oto_page_pool *pool)
{
    return (struct oto_allocator){pool_alloc, pool_resize, pool_free, pool};
}

void oto_page_pool_trim(struct oto_page_pool *pool, uint64_t idle_ns)
{
    void *blocks = NULL;
    struct oto_page_pool_large *large = NULL;
    oto_mutex_lock(&pool->lock);
    if ((pool->blocks || pool->large) && oto_clock_monotonic_ns() - pool->used_ns >= idle_ns) {
        blocks = pool->blocks;
        large = pool->large;
        pool->blocks = NULL;
        pool->large = NULL;
        pool->block_count = 0;
        pool->large_bytes = 0;
    }
    oto_mutex_unlock(&pool->lock);
    while (large) {
        struct oto_page_pool_large *block = large;
        size_t size = block->size;
        large = block->next;
        oto_free(&oto_allocator_pages, block, size);
        atomic_fetch_sub(pool->counted_bytes, size);
    }
    while (blocks) {
        void *block = blocks;
        memcpy(&blocks, block, sizeof blocks);
        oto_free(&oto_allocator_pages, block, OTO_PAGE_POOL_BLOCK_BYTES);
        atomic_fetch_sub(pool->counted_bytes, OTO_PAGE_POOL_BLOCK_BYTES);
    }
}

void oto_page_pool_forget(struct oto_page_pool *pool)
{
    oto_mutex_lock(&pool->lock);
    for (struct oto_page_pool_large *block = pool->large; block; block = block->next)
        oto_pages_forget(block + 1, block->size - sizeof *block);
    oto_mutex_unlock(&pool->lock);
}

void oto_page_pool_release(struct oto_page_pool *pool)
{
    oto_page_pool_trim(pool, 0);
    oto_mutex_release(&pool->lock);
}
