// The hash of whole requests: one multiplication of 32-bit halves a word, in sixteen chains that do
// not wait for each other.
#include "base/hash.h"
#include "base/processor.h"

#if defined(OTO_SSE2)
#include <emmintrin.h>
#endif

#define BLOCK_BYTES 128
#define SMALL_BYTES_MAX 512 // below it the finish costs more than the blocks save

// Sixteen words in eight pairs. A word goes into its own word of the state by a product and into
// the other one of the pair as it is, so that a difference has to vanish from both at once.
struct wide_state {
    uint64_t words[BLOCK_BYTES / 8];
};

// The fractional parts of the square roots of the primes from 2 to 53.
static const struct wide_state wide_begin = {{
    0x6a09e667f3bcc908u,
    0xbb67ae8584caa73bu,
    0x3c6ef372fe94f82bu,
    0xa54ff53a5f1d36f1u,
    0x510e527fade682d1u,
    0x9b05688c2b3e6c1fu,
    0x1f83d9abfb41bd6bu,
    0x5be0cd19137e2179u,
    0xcbbb9d5dc1059ed8u,
    0x629a292a367cd507u,
    0x9159015a3070dd17u,
    0x152fecd8f70e5939u,
    0x67332667ffc00b31u,
    0x8eb44a8768581511u,
    0xdb0c2e0d64f98fa7u,
    0x47b5481dbefa4fa4u,
}};

static void wide_blocks_plain(struct wide_state *state, const uint8_t *at, size_t count)
{
    for (; count; count--, at += BLOCK_BYTES) {
        for (int i = 0; i < BLOCK_BYTES / 8; i += 2) {
            uint64_t a = state->words[i] ^ oto_load64(at + 8 * i);
            uint64_t b = state->words[i + 1] ^ oto_load64(at + 8 * i + 8);
            state->words[i] = (a & 0xffffffffu) * (a >> 32) + b;
            state->words[i + 1] = (b & 0xffffffffu) * (b >> 32) + a;
        }
    }
}

#if defined(OTO_SSE2)

static inline __m128i wide_step(__m128i state, const uint8_t *at)
{
    __m128i mixed = _mm_xor_si128(state, _mm_loadu_si128((const __m128i *)(const void *)at));
    __m128i product = _mm_mul_epu32(mixed, _mm_srli_epi64(mixed, 32));
    return _mm_add_epi64(product, _mm_shuffle_epi32(mixed, 0x4e)); // the other word of the pair
}

static void wide_blocks(struct wide_state *state, const uint8_t *at, size_t count)
{
    __m128i *words = (__m128i *)(void *)state->words;
    __m128i s0 = _mm_loadu_si128(words), s1 = _mm_loadu_si128(words + 1),
            s2 = _mm_loadu_si128(words + 2), s3 = _mm_loadu_si128(words + 3),
            s4 = _mm_loadu_si128(words + 4), s5 = _mm_loadu_si128(words + 5),
            s6 = _mm_loadu_si128(words + 6), s7 = _mm_loadu_si128(words + 7);
    for (; count; count--, at += BLOCK_BYTES) {
        s0 = wide_step(s0, at);
        s1 = wide_step(s1, at + 16);
        s2 = wide_step(s2, at + 32);
        s3 = wide_step(s3, at + 48);
        s4 = wide_step(s4, at + 64);
        s5 = wide_step(s5, at + 80);
        s6 = wide_step(s6, at + 96);
        s7 = wide_step(s7, at + 112);
    }
    _mm_storeu_si128(words, s0);
    _mm_storeu_si128(words + 1, s1);
    _mm_storeu_si128(words + 2, s2);
    _mm_storeu_si128(words + 3, s3);
    _mm_storeu_si128(words + 4, s4);
    _mm_storeu_si128(words + 5, s5);
    _mm_storeu_si128(words + 6, s6);
    _mm_storeu_si128(words + 7, s7);
}

#else
#define wide_blocks wide_blocks_plain
#endif

static struct oto_hash128 hash_wide(const void *data, size_t size,
                                    void (*blocks)(struct wide_state *state, const uint8_t *at,
                                                   size_t count))
{
    if (size < SMALL_BYTES_MAX)
        return oto_hash128(data, size);
    struct wide_state state = wide_begin;
    const uint8_t *at = data;
    size_t count = size / BLOCK_BYTES, rest = size % BLOCK_BYTES;
    uint8_t last[BLOCK_BYTES] = {0};
    blocks(&state, at, count);
    memcpy(last, at + count * BLOCK_BYTES, rest);
    blocks(&state, last, 1);
    uint8_t bytes[BLOCK_BYTES + 8];
    for (int i = 0; i < BLOCK_BYTES / 8; i++)
        oto_store64(bytes + 8 * i, state.words[i]);
    oto_store64(bytes + BLOCK_BYTES, size);
    return oto_hash128(bytes, sizeof bytes);
}

struct oto_hash128 oto_hash128_wide(const void *data, size_t size)
{
    return hash_wide(data, size, wide_blocks);
}

struct oto_hash128 oto_hash128_wide_plain(const void *data, size_t size)
{
    return hash_wide(data, size, wide_blocks_plain);
}
