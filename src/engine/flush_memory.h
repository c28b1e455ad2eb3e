// Large arrays of the flusher, in one stretch of address space. A block lies at the lowest place
// that has room, and blocks beside each other become one place again, so no more pages are resident
// than were in use at one time; from flush to flush they stay, since fresh pages cost a fault and a
// clearing each. Small blocks, and what finds no place, come from another allocator.
// Any thread. A block is the owner's alone; to ask for one takes a lock.
#ifndef OTO_ENGINE_FLUSH_MEMORY_H
#define OTO_ENGINE_FLUSH_MEMORY_H

#include <stdatomic.h>

#include "base/alloc.h"
#include "os/thread.h"

#define OTO_FLUSH_MEMORY_BLOCKS 128u // at one time; one more finds no place

struct oto_flush_memory {
    struct oto_mutex lock;
    const struct oto_allocator *others; // borrowed: counts what it gives
    _Atomic uint64_t *counted_bytes;    // the pages that may be resident count here
    uint8_t *base;                      // NULL: none yet
    size_t size_bytes;                  // of the stretch, set before its first use; 0: no stretch
    size_t kept_bytes_max;              // likewise: what stays resident while it is not in use
    size_t touched_bytes;               // from base on: pages that may be resident
    struct {
        size_t offset, size;
    } blocks[OTO_FLUSH_MEMORY_BLOCKS]; // by offset
    uint32_t block_count;
    uint64_t used_ns; // monotonic, of the last request
};

void oto_flush_memory_init(struct oto_flush_memory *m, const struct oto_allocator *others,
                           _Atomic uint64_t *counted_bytes);
struct oto_allocator oto_flush_memory_allocator(struct oto_flush_memory *m);
// Gives pages back when nothing is in use and nobody asked for idle_ns.
void oto_flush_memory_trim(struct oto_flush_memory *m, uint64_t idle_ns);
void oto_flush_memory_release(struct oto_flush_memory *m);

#endif
