// Hashes: a fast one for tables in memory, XXH64 for Parquet bloom filters, a 128-bit one for
// identities.
#ifndef OTO_BASE_HASH_H
#define OTO_BASE_HASH_H

#include "base/bytes.h"

// Fast 64-bit hash of short strings for tables in memory. Differs between builds: never store it.
// seed: random a process, so that a client cannot choose colliding keys.
uint64_t oto_hash(const void *data, size_t size, uint64_t seed);

// XXH64 (xxHash specification), as Parquet's bloom filters use it with seed 0. Stable for ever.
uint64_t oto_xxh64(const void *data, size_t size, uint64_t seed);

// 128-bit identity hash, stable for ever (series ids and the log keep it): one pass of
// multiplications, against chance, not against malice.
struct oto_hash128 {
    uint64_t low;
    uint64_t high;
};
struct oto_hash128 oto_hash128(const void *data, size_t size);

// The same for large data (requests): another value from 512 bytes on, three times as fast. Stable
// too: the log's folder keeps it.
struct oto_hash128 oto_hash128_wide(const void *data, size_t size);
// The same in plain C: what runs where there is no SSE2.
struct oto_hash128 oto_hash128_wide_plain(const void *data, size_t size);

#endif
