// Memory of segments: blocks are kept when a segment is done and given to the next one, since fresh
// pages cost a fault and a clearing each. Most are of one size; larger ones (columns, whose sizes
// come again in each segment) are kept up to a limit and serve requests of half their size up, the
// others go straight back to the system.
// What is kept is resident, so it counts. A larger block may have pages that its next owner does
// not know to be resident: the limit bounds these, too. Any thread.
#ifndef OTO_ENGINE_PAGE_POOL_H
#define OTO_ENGINE_PAGE_POOL_H

#include <stdatomic.h>

#include "base/alloc.h"
#include "os/thread.h"

#define OTO_PAGE_POOL_BLOCK_BYTES (256u << 10)
#define OTO_PAGE_POOL_HEAD_BYTES 64u // that a larger block has in front

struct oto_page_pool {
    struct oto_mutex lock;
    void *blocks; // free ones; each begins with a pointer to the next
    size_t block_count;
    struct oto_page_pool_large *large; // free ones
    uint64_t large_bytes;
    uint64_t large_bytes_max;        // set before its first use; 0: none are kept
    uint64_t used_ns;                // monotonic, of the last request
    _Atomic uint64_t *counted_bytes; // the free blocks count here
};

void oto_page_pool_init(struct oto_page_pool *pool, _Atomic uint64_t *counted_bytes);
struct oto_allocator oto_page_pool_allocator(struct oto_page_pool *pool);
// Gives free blocks back when nobody asked for idle_ns.
void oto_page_pool_trim(struct oto_page_pool *pool, uint64_t idle_ns);
// The pages of free large blocks go back to the system, the blocks stay: for when rows come so
// slowly that memory is worth more than its page faults.
void oto_page_pool_forget(struct oto_page_pool *pool);
void oto_page_pool_release(struct oto_page_pool *pool);

#endif
