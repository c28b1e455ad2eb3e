// Memory: an allocator passed in by the owner, and an arena on top of it.
// An arena hands out memory that never moves and is given back all at once, so a reader on another
// thread may keep a pointer into it as long as it holds the arena's owner alive. Not thread-safe.
#ifndef OTO_BASE_ALLOC_H
#define OTO_BASE_ALLOC_H

#include "base/status.h"

// 1 under AddressSanitizer: who keeps freed blocks for their next user keeps none then, so that
// every use after the free is seen.
#if defined(__SANITIZE_ADDRESS__)
#define OTO_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define OTO_ASAN 1
#endif
#endif
#ifndef OTO_ASAN
#define OTO_ASAN 0
#endif

// An allocator: three functions and their state. `resize` may move; NULL on failure, old block
// kept.
struct oto_allocator {
    void *(*alloc)(void *state, size_t size_bytes);
    void *(*resize)(void *state, void *block, size_t old_size_bytes, size_t size_bytes);
    void (*free)(void *state, void *block, size_t size_bytes);
    void *state;
};

// malloc, realloc, free.
extern const struct oto_allocator oto_allocator_heap;

static inline void *oto_alloc(const struct oto_allocator *a, size_t size_bytes)
{
    return a->alloc(a->state, size_bytes);
}
static inline void *oto_resize(const struct oto_allocator *a, void *block, size_t old_size,
                               size_t size)
{
    return a->resize(a->state, block, old_size, size);
}
static inline void oto_free(const struct oto_allocator *a, void *block, size_t size_bytes)
{
    if (block)
        a->free(a->state, block, size_bytes);
}

struct oto_arena_block;

struct oto_arena {
    const struct oto_allocator *allocator; // borrowed; gives out the blocks
    struct oto_arena_block *blocks;        // newest first
    uint8_t *cursor;
    uint8_t *end;
    size_t block_size_bytes; // size of ordinary blocks; larger requests get a block of their own
    size_t used_bytes;       // handed out so far, padding included
    size_t size_bytes_max;   // oto_arena_alloc fails beyond this
    int is_shared;           // see oto_arena_share
};

// Starts an empty arena; takes no memory until the first allocation.
void oto_arena_init(struct oto_arena *arena, const struct oto_allocator *allocator,
                    size_t block_size_bytes, size_t size_bytes_max);

// Memory of size_bytes aligned to 8 (not cleared), or NULL when the limit or allocator is
// exhausted. Zero bytes give a pointer too, never NULL for that. Ownership: returns view, valid
// until reset or release.
static inline void *oto_arena_alloc(struct oto_arena *arena, size_t size_bytes);

// As oto_arena_alloc with a power-of-two alignment up to 64.
void *oto_arena_alloc_aligned(struct oto_arena *arena, size_t size_bytes, size_t alignment);

// Memory that is aligned to 64 and can be given back before all the rest; worth it for large
// arrays. NULL on exhaustion.
void *oto_arena_alloc_alone(struct oto_arena *arena, size_t size_bytes);
// Gives such memory back, unless the arena is shared. NULL is legal.
void oto_arena_free_alone(struct oto_arena *arena, void *memory, size_t size_bytes);
// From now on nothing is given back before all the rest: another thread may read it. Any thread
// that the owner hands the arena to for the time of the call.
void oto_arena_share(struct oto_arena *arena);

// What an arena has handed out so far. Rolling back takes back what it handed out since; nothing of
// before may have been given back meanwhile.
struct oto_arena_mark {
    struct oto_arena_block *block, *behind;
    uint8_t *cursor, *end;
    size_t used_bytes;
};
struct oto_arena_mark oto_arena_mark(const struct oto_arena *arena);
void oto_arena_rollback(struct oto_arena *arena, const struct oto_arena_mark *mark);

// A copy of bytes in the arena, NULL on exhaustion.
uint8_t *oto_arena_copy(struct oto_arena *arena, const void *bytes, size_t size_bytes);

// Forgets all but one ordinary block; keeps that for reuse.
void oto_arena_reset(struct oto_arena *arena);

// Gives everything back. Legal on a zeroed or released arena.
void oto_arena_release(struct oto_arena *arena);

static inline void *oto_arena_alloc(struct oto_arena *arena, size_t size_bytes)
{
    size_t rounded = (size_bytes + (size_bytes == 0) + 7) & ~(size_t)7;
    if (rounded >= size_bytes && (size_t)(arena->end - arena->cursor) >= rounded &&
        arena->size_bytes_max - arena->used_bytes >= rounded) {
        void *result = arena->cursor;
        arena->cursor += rounded;
        arena->used_bytes += rounded;
        return result;
    }
    return oto_arena_alloc_aligned(arena, size_bytes, 8);
}

// Takes the latest allocation back, unless it had a block of its own.
static inline void oto_arena_undo(struct oto_arena *arena, void *block, size_t size_bytes)
{
    size_t rounded = (size_bytes + (size_bytes == 0) + 7) & ~(size_t)7;
    if (arena->cursor == (uint8_t *)block + rounded) {
        arena->cursor = block;
        arena->used_bytes -= rounded;
    }
}

#endif
