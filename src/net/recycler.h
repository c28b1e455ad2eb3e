// An allocator for what each request takes anew: its exchange, head, body. Blocks of up to 2 KiB
// that are given back are kept in lists by size and handed out again; larger ones, and what is
// missing, come from the allocator below. It lives until its owner has closed it and the last block
// has come back, for an answer may be owed longer than there is a server. One thread at a time.
// Under AddressSanitizer nothing is kept, so that it sees every use after the free.
#ifndef OTO_NET_RECYCLER_H
#define OTO_NET_RECYCLER_H

#include "base/alloc.h"

struct oto_recycler;

// NULL when out of memory. below is borrowed.
struct oto_recycler *oto_recycler_new(const struct oto_allocator *below);
const struct oto_allocator *oto_recycler_allocator(struct oto_recycler *recycler);
// Gives up what is kept. Blocks that are out can still be given back.
void oto_recycler_trim(struct oto_recycler *recycler);
// By its owner, who takes no more. NULL is legal.
void oto_recycler_close(struct oto_recycler *recycler);

#endif
