// Small blocks of memory that go round, for nghttp2's decoder of header blocks: the fields of a
// request are of the same few sizes as those of the request before. Kept in lists by size, as many
// as were in use at once, up to a limit; larger ones come from the allocator below. One thread.
// Under AddressSanitizer nothing is kept, so that it sees every use after the free.
//
// A reserve is for the moment when memory is out: nghttp2 1.52 frees some blocks twice when it is
// refused one. Who had to be served from it gives up soon, and so gives it back.
#ifndef OTO_NET_SMALL_BLOCKS_H
#define OTO_NET_SMALL_BLOCKS_H

#include "base/alloc.h"

#define OTO_SMALL_BLOCK_STEP 32u
#define OTO_SMALL_BLOCK_SIZES 32u // to 1 KiB, heads included
#define OTO_SMALL_BLOCKS_KEPT 256u
#define OTO_SMALL_BLOCKS_RESERVE (32u << 10)

struct oto_small_blocks {
    const struct oto_allocator *allocator; // borrowed
    struct oto_small_block *kept[OTO_SMALL_BLOCK_SIZES];
    uint16_t kept_count[OTO_SMALL_BLOCK_SIZES];
    uint8_t *reserve;
    uint32_t reserve_used, reserve_blocks; // bytes handed out; blocks of it not given back
    uint32_t short_count;                  // how often the reserve had to serve, or could not
};

// Without memory for the reserve there is none.
void oto_small_blocks_init(struct oto_small_blocks *blocks, const struct oto_allocator *allocator);
// When all blocks were given back.
void oto_small_blocks_release(struct oto_small_blocks *blocks);
// As malloc, realloc and free: a block knows its size. NULL when out of memory.
void *oto_small_blocks_take(struct oto_small_blocks *blocks, size_t size);
void *oto_small_blocks_resize(struct oto_small_blocks *blocks, void *memory, size_t size);
void oto_small_blocks_give(struct oto_small_blocks *blocks, void *memory);
// Gives up what is kept. Those in use can still be given back afterwards.
void oto_small_blocks_trim(struct oto_small_blocks *blocks);

#endif
