#include "base/hash.h"
#include "base/xxh64.h"

// The fast hash: each step multiplies two 64-bit words to 128 bits and folds the halves, so every
// input bit reaches every output bit. The constants are odd, with about half their bits set.
#define K0 0x8ebc6af09c88c6e3u
#define K1 0x589965cc75374cc3u
#define K2 0x1d8e4e27c47d124fu
#define K3 0xeb44accab455d165u
#define K4 0x2f8d1b97e6a3c54du

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// 17 to 64 bytes: the folds do not wait for each other. First and last words may overlap.
static inline uint64_t hash_medium(const uint8_t *at, size_t size, uint64_t h)
{
    const uint8_t *last = at + size - 16;
    uint64_t sum = fold(oto_load64(at) ^ K1, oto_load64(at + 8) ^ h) ^
                   fold(oto_load64(last) ^ K2, oto_load64(last + 8) ^ h);
    if (size > 32)
        sum += fold(oto_load64(at + 16) ^ K3, oto_load64(at + 24) ^ h) ^
               fold(oto_load64(last - 16) ^ K4, oto_load64(last - 8) ^ h);
    return sum;
}

static uint64_t hash_long(const uint8_t *at, size_t size, uint64_t h)
{
    const uint8_t *stop = at + size - 32;
    uint64_t other = h ^ K3;
    do {
        h = fold(oto_load64(at) ^ K1, oto_load64(at + 8) ^ h);
        other = fold(oto_load64(at + 16) ^ K2, oto_load64(at + 24) ^ other);
        at += 32;
    } while (at < stop);
    return hash_medium(stop, 32, h ^ other);
}

uint64_t oto_hash(const void *data, size_t size, uint64_t seed)
{
    const uint8_t *at = data;
    uint64_t h = seed ^ K0;
    if (size > 64)
        h = hash_long(at, size, h);
    else if (size > 16)
        h = hash_medium(at, size, h);
    else if (size >= 8)
        h = fold(oto_load64(at) ^ K1, oto_load64(at + size - 8) ^ h);
    else if (size >= 4)
        h = fold(oto_load32(at) ^ K1, oto_load32(at + size - 4) ^ h);
    else if (size)
        h = fold(((uint64_t)at[0] << 16 | (uint64_t)at[size >> 1] << 8 | at[size - 1]) ^ K1, h);
    return fold(h ^ K3, (uint64_t)size ^ K2);
}

// --- XXH64 ---
#define P1 OTO_XXH64_P1
#define P2 OTO_XXH64_P2
#define P3 OTO_XXH64_P3
#define P4 OTO_XXH64_P4
#define P5 OTO_XXH64_P5
#define rotate oto_xxh64_rotate

static uint64_t xxh64_stripes(const uint8_t **at, const uint8_t *end, uint64_t seed)
{
    const uint8_t *p = *at;
    uint64_t a = seed + P1 + P2, b = seed + P2, c = seed, d = seed - P1;
    for (; end - p >= 32; p += 32) {
        a = oto_xxh64_round(a, oto_load64(p));
        b = oto_xxh64_round(b, oto_load64(p + 8));
        c = oto_xxh64_round(c, oto_load64(p + 16));
        d = oto_xxh64_round(d, oto_load64(p + 24));
    }
    *at = p;
    uint64_t h = rotate(a, 1) + rotate(b, 7) + rotate(c, 12) + rotate(d, 18);
    return oto_xxh64_merge(oto_xxh64_merge(oto_xxh64_merge(oto_xxh64_merge(h, a), b), c), d);
}

uint64_t oto_xxh64(const void *data, size_t size, uint64_t seed)
{
    static const uint8_t nothing[1];
    const uint8_t *at = data ? data : nothing, *end = at + size;
    if (size == 16 && !seed) {
        const uint64_t words[2] = {oto_load64(at), oto_load64(at + 8)};
        return oto_xxh64_words2(words);
    }
    if (size == 32 && !seed) {
        const uint64_t words[4] = {oto_load64(at), oto_load64(at + 8), oto_load64(at + 16),
                                   oto_load64(at + 24)};
        return oto_xxh64_words4(words);
    }
    uint64_t h = size >= 32 ? xxh64_stripes(&at, end, seed) : seed + P5;
    h += size;
    for (; end - at >= 8; at += 8)
        h = oto_xxh64_tail(h, oto_load64(at));
    if (end - at >= 4) {
        h = rotate(h ^ oto_load32(at) * P1, 23) * P2 + P3;
        at += 4;
    }
    for (; at < end; at++)
        h = rotate(h ^ *at * P5, 11) * P1;
    return oto_xxh64_finish(h);
}

// Each block of 32 bytes goes into two lanes of both words, so that both depend on every byte in
// ways of their own.
struct lanes128 {
    uint64_t low[2];
    uint64_t high[2];
};

static inline void hash128_block(struct lanes128 *l, const uint8_t *at)
{
    uint64_t w0 = oto_load64(at), w1 = oto_load64(at + 8), w2 = oto_load64(at + 16),
             w3 = oto_load64(at + 24);
    l->low[0] = fold(w0 ^ K1, w1 ^ l->low[0]);
    l->low[1] = fold(w2 ^ K2, w3 ^ l->low[1]);
    l->high[0] = fold(w1 ^ K3, w0 ^ l->high[0]);
    l->high[1] = fold(w3 ^ K4, w2 ^ l->high[1]);
}

struct oto_hash128 oto_hash128(const void *data, size_t size)
{
    struct lanes128 l = {{K0, P1}, {P2, P3}};
    const uint8_t *at = data;
    size_t left = size;
    for (; left >= 32; left -= 32, at += 32)
        hash128_block(&l, at);
    uint8_t last[32] = {0};
    if (left)
        memcpy(last, at, left);
    hash128_block(&l, last);
    return (struct oto_hash128){
        fold(fold(l.low[0] ^ K1, l.low[1] ^ K2) ^ size, l.high[0] ^ rotate(l.high[1], 17) ^ K3),
        fold(fold(l.high[0] ^ K4, l.high[1] ^ P4) ^ P5, l.low[0] ^ rotate(l.low[1], 29) ^ size),
    };
}
