// An allocator that knows how much is out, and can be told to refuse.
#ifndef OTO_TESTS_COUNTED_ALLOCATOR_H
#define OTO_TESTS_COUNTED_ALLOCATOR_H

#include "cmocka_all.h"

#include <stdlib.h>
#include <string.h>

#include "base/alloc.h"

struct counted {
    size_t blocks, bytes, calls;
    int calls_left; // -1: no limit
};

#define COUNTED_NO_LIMIT ((struct counted){.calls_left = -1})

static inline int counted_call(struct counted *c)
{
    if (c->calls_left == 0)
        return 0;
    c->calls_left -= c->calls_left > 0;
    c->calls++;
    return 1;
}

static inline void *counted_alloc(void *state, size_t size)
{
    struct counted *c = state;
    if (!counted_call(c))
        return NULL;
    c->blocks++;
    c->bytes += size;
    return malloc(size);
}

static inline void counted_free(void *state, void *block, size_t size)
{
    struct counted *c = state;
    memset(block, 0xDD, size);
    c->blocks--;
    c->bytes -= size;
    free(block);
}

static inline void *counted_resize(void *state, void *block, size_t old_size, size_t size)
{
    struct counted *c = state;
    if (!counted_call(c))
        return NULL;
    c->bytes += size - old_size;
    return realloc(block, size);
}

static inline struct oto_allocator counted_allocator(struct counted *counted)
{
    return (struct oto_allocator){counted_alloc, counted_resize, counted_free, counted};
}

#endif
