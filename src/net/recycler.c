#include "net/recycler.h"

#include <string.h>

#define STEP 32u
#define LISTS 64u // to 2 KiB
#define KEPT 256u // a list

struct block {
    struct block *next;
};

struct oto_recycler {
    struct oto_allocator allocator; // what others see
    const struct oto_allocator *below;
    struct block *kept[LISTS];
    uint16_t counts[LISTS];
    size_t out; // blocks
    int closed;
};

// LISTS and above: none.
static size_t list_of(size_t size)
{
    return size ? (size - 1) / STEP : 0;
}

static size_t rounded(size_t size)
{
    size_t list = list_of(size);
    return list < LISTS ? (list + 1) * STEP : size;
}

static void *recycler_alloc(void *state, size_t size)
{
    struct oto_recycler *r = state;
    size_t list = list_of(size);
    struct block *block = list < LISTS ? r->kept[list] : NULL;
    if (block) {
        r->kept[list] = block->next;
        r->counts[list]--;
    } else {
        block = oto_alloc(r->below, rounded(size));
    }
    r->out += block != NULL;
    return block;
}

static void end_if_over(struct oto_recycler *r)
{
    if (r->closed && r->out == 0)
        oto_free(r->below, r, sizeof *r);
}

static void recycler_free(void *state, void *memory, size_t size)
{
    struct oto_recycler *r = state;
    struct block *block = memory;
    size_t list = list_of(size);
    r->out--;
    if (!OTO_ASAN && list < LISTS && r->counts[list] < KEPT && !r->closed) {
        block->next = r->kept[list];
        r->kept[list] = block;
        r->counts[list]++;
        return;
    }
    oto_free(r->below, block, rounded(size));
    end_if_over(r);
}

static void *recycler_resize(void *state, void *memory, size_t old_size, size_t size)
{
    struct oto_recycler *r = state;
    if (!memory)
        return recycler_alloc(state, size);
    if (rounded(old_size) == rounded(size))
        return memory;
    if (list_of(old_size) >= LISTS && list_of(size) >= LISTS)
        return oto_resize(r->below, memory, old_size, size);
    void *moved = recycler_alloc(state, size);
    if (moved) {
        memcpy(moved, memory, old_size < size ? old_size : size);
        recycler_free(state, memory, old_size);
    }
    return moved;
}

struct oto_recycler *oto_recycler_new(const struct oto_allocator *below)
{
    struct oto_recycler *r = oto_alloc(below, sizeof *r);
    if (!r)
        return NULL;
    *r = (struct oto_recycler){.below = below};
    r->allocator = (struct oto_allocator){recycler_alloc, recycler_resize, recycler_free, r};
    return r;
}

const struct oto_allocator *oto_recycler_allocator(struct oto_recycler *recycler)
{
    return &recycler->allocator;
}

void oto_recycler_trim(struct oto_recycler *r)
{
    for (size_t list = 0; list < LISTS; list++) {
        while (r->kept[list]) {
            struct block *block = r->kept[list];
            r->kept[list] = block->next;
            oto_free(r->below, block, (list + 1) * STEP);
        }
        r->counts[list] = 0;
    }
}

void oto_recycler_close(struct oto_recycler *r)
{
    if (!r)
        return;
    oto_recycler_trim(r);
    r->closed = 1;
    end_if_over(r);
}
