#include "net/small_blocks.h"

#include <string.h>

// In front of each block; 16 bytes, so that what follows is aligned as malloc's.
struct oto_small_block {
    size_t size; // this head included
    struct oto_small_block *next;
};

void oto_small_blocks_init(struct oto_small_blocks *blocks, const struct oto_allocator *allocator)
{
    *blocks = (struct oto_small_blocks){.allocator = allocator};
    blocks->reserve = oto_alloc(allocator, OTO_SMALL_BLOCKS_RESERVE);
}

void oto_small_blocks_release(struct oto_small_blocks *blocks)
{
    oto_small_blocks_trim(blocks);
    oto_free(blocks->allocator, blocks->reserve, OTO_SMALL_BLOCKS_RESERVE);
    blocks->reserve = NULL;
}

static struct oto_small_block *take_reserve(struct oto_small_blocks *blocks, size_t size)
{
    blocks->short_count++;
    size = (size + 15) & ~(size_t)15;
    if (!blocks->reserve || size > OTO_SMALL_BLOCKS_RESERVE - blocks->reserve_used)
        return NULL;
    struct oto_small_block *block =
        (struct oto_small_block *)(void *)(blocks->reserve + blocks->reserve_used);
    blocks->reserve_used += (uint32_t)size;
    blocks->reserve_blocks++;
    return block;
}

static int is_reserve(const struct oto_small_blocks *blocks, const void *block)
{
    return blocks->reserve_blocks > 0 && (const uint8_t *)block >= blocks->reserve &&
           (const uint8_t *)block < blocks->reserve + OTO_SMALL_BLOCKS_RESERVE;
}

// Which list; OTO_SMALL_BLOCK_SIZES and above: none.
static size_t list_of(size_t size)
{
    return (size - 1) / OTO_SMALL_BLOCK_STEP;
}

void *oto_small_blocks_take(struct oto_small_blocks *blocks, size_t size)
{
    if (size > SIZE_MAX / 2)
        return NULL;
    size += sizeof(struct oto_small_block);
    size_t list = list_of(size);
    if (list < OTO_SMALL_BLOCK_SIZES) {
        struct oto_small_block *block = blocks->kept[list];
        if (block) {
            blocks->kept[list] = block->next;
            blocks->kept_count[list]--;
            return block + 1;
        }
        size = (list + 1) * OTO_SMALL_BLOCK_STEP;
    }
    struct oto_small_block *block = oto_alloc(blocks->allocator, size);
    if (!block)
        block = take_reserve(blocks, size);
    if (!block)
        return NULL;
    block->size = size;
    return block + 1;
}

void oto_small_blocks_give(struct oto_small_blocks *blocks, void *memory)
{
    if (!memory)
        return;
    struct oto_small_block *block = (struct oto_small_block *)memory - 1;
    if (is_reserve(blocks, block)) {
        if (--blocks->reserve_blocks == 0)
            blocks->reserve_used = 0;
        return;
    }
    size_t list = list_of(block->size);
    if (OTO_ASAN || list >= OTO_SMALL_BLOCK_SIZES ||
        blocks->kept_count[list] >= OTO_SMALL_BLOCKS_KEPT) {
        oto_free(blocks->allocator, block, block->size);
        return;
    }
    block->next = blocks->kept[list];
    blocks->kept[list] = block;
    blocks->kept_count[list]++;
}

void *oto_small_blocks_resize(struct oto_small_blocks *blocks, void *memory, size_t size)
{
    if (!memory)
        return oto_small_blocks_take(blocks, size);
    size_t room = ((struct oto_small_block *)memory - 1)->size - sizeof(struct oto_small_block);
    if (size <= room && size > room / 2)
        return memory;
    void *moved = oto_small_blocks_take(blocks, size);
    if (moved) {
        memcpy(moved, memory, size < room ? size : room);
        oto_small_blocks_give(blocks, memory);
    }
    return moved;
}

void oto_small_blocks_trim(struct oto_small_blocks *blocks)
{
    for (size_t list = 0; list < OTO_SMALL_BLOCK_SIZES; list++) {
        while (blocks->kept[list]) {
            struct oto_small_block *block = blocks->kept[list];
            blocks->kept[list] = block->next;
            oto_free(blocks->allocator, block, block->size);
        }
        blocks->kept_count[list] = 0;
    }
}
