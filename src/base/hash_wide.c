// The hash of whole requests: one multiplication of 32-bit halves a word, in sixteen chains that do
// not wait for each other.
#include "base/hash.h"
#include "base/processor.h"

#if defined(OTO_X86_64)
#include <immintrin.h>
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

#if defined(OTO_X86_64)

__attribute__((target("avx2"))) static inline __m256i wide_step2(__m256i state, const uint8_t *at)
{
    __m256i mixed = _mm256_xor_si256(state, _mm256_loadu_si256((const __m256i *)(const void *)at));
    __m256i product = _mm256_mul_epu32(mixed, _mm256_srli_epi64(mixed, 32));
    return _mm256_add_epi64(product, _mm256_shuffle_epi32(mixed, 0x4e));
}

__attribute__((target("avx2"))) static void wide_blocks_avx2(struct wide_state *state,
                                                             const uint8_t *at, size_t count)
{
    __m256i *words = (__m256i *)(void *)state->words;
    __m256i s0 = _mm256_loadu_si256(words), s1 = _mm256_loadu_si256(words + 1),
            s2 = _mm256_loadu_si256(words + 2), s3 = _mm256_loadu_si256(words + 3);
    for (; count; count--, at += BLOCK_BYTES) {
        s0 = wide_step2(s0, at);
        s1 = wide_step2(s1, at + 32);
        s2 = wide_step2(s2, at + 64);
        s3 = wide_step2(s3, at + 96);
    }
    _mm256_storeu_si256(words, s0);
    _mm256_storeu_si256(words + 1, s1);
    _mm256_storeu_si256(words + 2, s2);
    _mm256_storeu_si256(words + 3, s3);
}

static void wide_blocks(struct wide_state *state, const uint8_t *at, size_t count)
{
    if (__builtin_cpu_supports("avx2"))
        wide_blocks_avx2(state, at, count);
    else
        wide_blocks_plain(state, at, count);
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
