// XXH64 with seed 0 of 16 or 32 bytes that are in registers already: ids as hex digits. Named after
// the specification's primes. oto_xxh64 (base/hash.h) is the same for any bytes.
#ifndef OTO_BASE_XXH64_H
#define OTO_BASE_XXH64_H

#include <stdint.h>

#define OTO_XXH64_P1 0x9E3779B185EBCA87u
#define OTO_XXH64_P2 0xC2B2AE3D27D4EB4Fu
#define OTO_XXH64_P3 0x165667B19E3779F9u
#define OTO_XXH64_P4 0x85EBCA77C2B2AE63u
#define OTO_XXH64_P5 0x27D4EB2F165667C5u

static inline uint64_t oto_xxh64_rotate(uint64_t v, unsigned bits)
{
    return v << bits | v >> (64 - bits);
}
static inline uint64_t oto_xxh64_round(uint64_t lane, uint64_t word)
{
    return oto_xxh64_rotate(lane + word * OTO_XXH64_P2, 31) * OTO_XXH64_P1;
}
static inline uint64_t oto_xxh64_merge(uint64_t h, uint64_t lane)
{
    return (h ^ oto_xxh64_round(0, lane)) * OTO_XXH64_P1 + OTO_XXH64_P4;
}
static inline uint64_t oto_xxh64_tail(uint64_t h, uint64_t word)
{
    return oto_xxh64_rotate(h ^ oto_xxh64_round(0, word), 27) * OTO_XXH64_P1 + OTO_XXH64_P4;
}
static inline uint64_t oto_xxh64_finish(uint64_t h)
{
    h = (h ^ h >> 33) * OTO_XXH64_P2;
    h = (h ^ h >> 29) * OTO_XXH64_P3;
    return h ^ h >> 32;
}

// Words as they lie in memory, little-endian.
static inline uint64_t oto_xxh64_words2(const uint64_t w[2])
{
    return oto_xxh64_finish(oto_xxh64_tail(oto_xxh64_tail(OTO_XXH64_P5 + 16, w[0]), w[1]));
}
static inline uint64_t oto_xxh64_words4(const uint64_t w[4])
{
    uint64_t a = oto_xxh64_round(OTO_XXH64_P1 + OTO_XXH64_P2, w[0]),
             b = oto_xxh64_round(OTO_XXH64_P2, w[1]), c = oto_xxh64_round(0, w[2]),
             d = oto_xxh64_round(0 - OTO_XXH64_P1, w[3]);
    uint64_t h = oto_xxh64_rotate(a, 1) + oto_xxh64_rotate(b, 7) + oto_xxh64_rotate(c, 12) +
                 oto_xxh64_rotate(d, 18);
    h = oto_xxh64_merge(oto_xxh64_merge(oto_xxh64_merge(oto_xxh64_merge(h, a), b), c), d);
    return oto_xxh64_finish(h + 32);
}

#endif
