#include "base/alloc.h"
#include <stdlib.h>
#include <string.h>

static void *heap_alloc(void *state, size_t size_bytes)
{
    (void)state;
    return malloc(size_bytes ? size_bytes : 1);
}

static void *heap_resize(void *state, void *block, size_t old_size_bytes, size_t size_bytes)
{
    (void)state, (void)old_size_bytes;
    return realloc(block, size_bytes ? size_bytes : 1);
}

static void heap_free(void *state, void *block, size_t size_bytes)
{
    (void)state, (void)size_bytes;
    free(block);
}

const struct oto_allocator oto_allocator_heap = {heap_alloc, heap_resize, heap_free, NULL};

struct oto_arena_block {
    struct oto_arena_block *next; // older
    size_t size_bytes;            // header included
};

#define ARENA_ALIGNMENT_MAX 64
#define BLOCK_OVERHEAD (sizeof(struct oto_arena_block) + ARENA_ALIGNMENT_MAX)

void oto_arena_init(struct oto_arena *arena, const struct oto_allocator *allocator,
                    size_t block_size_bytes, size_t size_bytes_max)
{
    if (block_size_bytes < 2 * BLOCK_OVERHEAD)
        block_size_bytes = 2 * BLOCK_OVERHEAD;
    *arena = (struct oto_arena){.allocator = allocator,
                                .block_size_bytes = block_size_bytes,
                                .size_bytes_max = size_bytes_max};
}

static struct oto_arena_block *block_new(struct oto_arena *arena, size_t size_bytes)
{
    struct oto_arena_block *block = oto_alloc(arena->allocator, size_bytes);
    if (block)
        block->size_bytes = size_bytes;
    return block;
}

// Hands out from a block made for this request alone. It goes behind the newest block, whose rest
// stays in use.
static uint8_t *arena_alloc_alone(struct oto_arena *arena, size_t size_bytes)
{
    struct oto_arena_block *block = block_new(arena, size_bytes + BLOCK_OVERHEAD);
    if (!block)
        return NULL;
    if (arena->blocks) {
        block->next = arena->blocks->next;
        arena->blocks->next = block;
    } else {
        block->next = NULL;
        arena->blocks = block;
    }
    return (uint8_t *)(block + 1);
}

static size_t round8(size_t size)
{
    return (size + (size == 0) + 7) & ~(size_t)7;
}

static size_t padding(const uint8_t *at, size_t alignment)
{
    return (size_t)(-(uintptr_t)at & (alignment - 1));
}

static int arena_add_block(struct oto_arena *arena)
{
    struct oto_arena_block *block = block_new(arena, arena->block_size_bytes);
    if (!block)
        return 0;
    block->next = arena->blocks;
    arena->blocks = block;
    arena->cursor = (uint8_t *)(block + 1);
    arena->end = (uint8_t *)block + block->size_bytes;
    return 1;
}

void *oto_arena_alloc_aligned(struct oto_arena *arena, size_t size_bytes, size_t alignment)
{
    size_t room = arena->size_bytes_max - arena->used_bytes;
    if (size_bytes > room || size_bytes > SIZE_MAX / 2)
        return NULL;
    // Multiples of 8, so that the cursor stays aligned for the inline path.
    size_t size = round8(size_bytes);
    if (alignment < 8)
        alignment = 8;
    size_t pad = arena->cursor ? padding(arena->cursor, alignment) : 0;
    if ((size_t)(arena->end - arena->cursor) < size + pad || !arena->cursor) {
        if (size > (arena->block_size_bytes - BLOCK_OVERHEAD) / 2) {
            if (size + alignment - 8 > room)
                return NULL;
            uint8_t *alone = arena_alloc_alone(arena, size);
            if (!alone)
                return NULL;
            arena->used_bytes += size + padding(alone, alignment);
            return alone + padding(alone, alignment);
        }
        if (size + alignment - 8 > room || !arena_add_block(arena))
            return NULL;
        pad = padding(arena->cursor, alignment);
    }
    if (size + pad > room)
        return NULL;
    uint8_t *result = arena->cursor + pad;
    arena->cursor = result + size;
    arena->used_bytes += size + pad;
    return result;
}

void *oto_arena_alloc_alone(struct oto_arena *arena, size_t size_bytes)
{
    size_t room = arena->size_bytes_max - arena->used_bytes;
    if (size_bytes > SIZE_MAX / 2 || round8(size_bytes) + ARENA_ALIGNMENT_MAX > room)
        return NULL;
    uint8_t *alone = arena_alloc_alone(arena, round8(size_bytes));
    if (!alone)
        return NULL;
    size_t pad = padding(alone, ARENA_ALIGNMENT_MAX);
    arena->used_bytes += round8(size_bytes) + pad;
    return alone + pad;
}

void oto_arena_free_alone(struct oto_arena *arena, void *memory, size_t size_bytes)
{
    if (!memory || __atomic_load_n(&arena->is_shared, __ATOMIC_RELAXED))
        return;
    struct oto_arena_block **link = &arena->blocks;
    while ((uint8_t *)(*link + 1) + padding((uint8_t *)(*link + 1), ARENA_ALIGNMENT_MAX) !=
           (uint8_t *)memory)
        link = &(*link)->next;
    struct oto_arena_block *block = *link;
    *link = block->next;
    arena->used_bytes -= round8(size_bytes) + (size_t)((uint8_t *)memory - (uint8_t *)(block + 1));
    oto_free(arena->allocator, block, block->size_bytes);
}

void oto_arena_share(struct oto_arena *arena)
{
    __atomic_store_n(&arena->is_shared, 1, __ATOMIC_RELAXED);
}

struct oto_arena_mark oto_arena_mark(const struct oto_arena *arena)
{
    return (struct oto_arena_mark){.block = arena->blocks,
                                   .behind = arena->blocks ? arena->blocks->next : NULL,
                                   .cursor = arena->cursor,
                                   .end = arena->end,
                                   .used_bytes = arena->used_bytes};
}

static void free_until(struct oto_arena *arena, struct oto_arena_block **link,
                       const struct oto_arena_block *kept)
{
    while (*link != kept) {
        struct oto_arena_block *block = *link;
        *link = block->next;
        oto_free(arena->allocator, block, block->size_bytes);
    }
}

// A newer block came before the newest of then, one for a request alone behind it.
void oto_arena_rollback(struct oto_arena *arena, const struct oto_arena_mark *mark)
{
    free_until(arena, &arena->blocks, mark->block);
    if (mark->block)
        free_until(arena, &arena->blocks->next, mark->behind);
    arena->cursor = mark->cursor;
    arena->end = mark->end;
    arena->used_bytes = mark->used_bytes;
}

uint8_t *oto_arena_copy(struct oto_arena *arena, const void *bytes, size_t size_bytes)
{
    uint8_t *copy = oto_arena_alloc(arena, size_bytes);
    if (copy && size_bytes)
        memcpy(copy, bytes, size_bytes);
    return copy;
}

void oto_arena_reset(struct oto_arena *arena)
{
    struct oto_arena_block *kept = NULL;
    for (struct oto_arena_block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        if (!kept && block->size_bytes == arena->block_size_bytes)
            kept = block;
        else
            oto_free(arena->allocator, block, block->size_bytes);
    }
    arena->blocks = kept;
    arena->cursor = arena->end = NULL;
    if (kept) {
        kept->next = NULL;
        arena->cursor = (uint8_t *)(kept + 1);
        arena->end = (uint8_t *)kept + kept->size_bytes;
    }
    arena->used_bytes = 0;
    arena->is_shared = 0;
}

void oto_arena_release(struct oto_arena *arena)
{
    for (struct oto_arena_block *block = arena->blocks, *next; block; block = next) {
        next = block->next;
        oto_free(arena->allocator, block, block->size_bytes);
    }
    arena->blocks = NULL;
    arena->cursor = arena->end = NULL;
    arena->used_bytes = 0;
}
