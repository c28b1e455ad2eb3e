// Split-block bloom filters (parquet-format, BloomFilter.md): blocks of eight words, one bit set in
// each.
#include "base/processor.h"
#include "parquet/parquet_read_internal.h"

#define BLOCK_BYTES OTO_PARQUET_BLOOM_BLOCK_BYTES
#define PREFETCH_STEPS 8
#define FILTER_BYTES_MAX (1u << 24)
// At least, up to twice that: sizes are powers of two. Of absent values 7.5 % pass at 6.5 bits,
// 2.6 % at 8.5, 0.4 % at 13.
#define BITS_PER_TEN_VALUES 65

static const uint32_t salts[8] = {0x47b6137bu, 0x44974d91u, 0x8824ad5bu, 0xa2b7289du,
                                  0x705495c7u, 0x2df1424bu, 0x9efc4947u, 0x5c6bfb31u};

static uint32_t filter_bytes(size_t count)
{
    uint32_t size = BLOCK_BYTES;
    while (size < FILTER_BYTES_MAX && (uint64_t)size * 80 < (uint64_t)count * BITS_PER_TEN_VALUES)
        size *= 2;
    return size;
}

static void write_header(struct oto_thrift_writer *w, uint32_t size)
{
    oto_thrift_struct_begin(w);
    oto_thrift_field_i32(w, 1, (int32_t)size);
    for (int16_t id = 2; id <= 4; id++) { // block algorithm, XXH64, uncompressed
        oto_thrift_field_struct(w, id);
        oto_thrift_field_struct(w, 1);
        oto_thrift_struct_end(w);
        oto_thrift_struct_end(w);
    }
    oto_thrift_struct_end(w);
}

static uint64_t block_index(uint64_t hash, uint64_t block_count)
{
    return (hash >> 32) * block_count >> 32;
}

uint32_t oto_parquet_bloom_block(uint64_t hash, uint32_t bytes)
{
    return (uint32_t)block_index(hash, bytes / BLOCK_BYTES) * BLOCK_BYTES;
}

int oto_parquet_bloom_has(const uint8_t block[BLOCK_BYTES], uint64_t hash)
{
    int has = 1;
    for (unsigned k = 0; k < 8; k++)
        has &= (int)(oto_load32(block + 4 * k) >> ((uint32_t)hash * salts[k] >> 27) & 1);
    return has;
}

static uint32_t *block_of(uint32_t *filter, uint64_t block_count, uint64_t hash)
{
    return filter + block_index(hash, block_count) * 8;
}

void oto_parquet_bloom_insert_plain(const uint64_t *hashes, size_t count, uint32_t *filter,
                                    uint64_t block_count)
{
    for (size_t i = 0; i < count; i++) {
        uint32_t *block = block_of(filter, block_count, hashes[i]), low = (uint32_t)hashes[i];
        if (i + PREFETCH_STEPS < count)
            __builtin_prefetch(block_of(filter, block_count, hashes[i + PREFETCH_STEPS]), 1);
#pragma GCC unroll 8
        for (unsigned k = 0; k < 8; k++)
            block[k] |= 1u << (low * salts[k] >> 27);
    }
}

#if defined(OTO_X86_64)
typedef uint32_t lanes8 __attribute__((vector_size(32)));

__attribute__((target("avx2"))) static void insert_avx2(const uint64_t *hashes, size_t count,
                                                        uint32_t *filter, uint64_t block_count)
{
    lanes8 factors, bits;
    memcpy(&factors, salts, sizeof factors);
    for (size_t i = 0; i < count; i++) {
        uint32_t *block = block_of(filter, block_count, hashes[i]);
        if (i + PREFETCH_STEPS < count)
            __builtin_prefetch(block_of(filter, block_count, hashes[i + PREFETCH_STEPS]), 1);
        memcpy(&bits, block, sizeof bits);
        bits |= (lanes8){1, 1, 1, 1, 1, 1, 1, 1} << ((uint32_t)hashes[i] * factors >> 27);
        memcpy(block, &bits, sizeof bits);
    }
}
#endif

static void insert(const uint64_t *hashes, size_t count, uint32_t *filter, uint64_t block_count)
{
#if defined(OTO_X86_64)
    if (__builtin_cpu_supports("avx2")) {
        insert_avx2(hashes, count, filter, block_count);
        return;
    }
#endif
    oto_parquet_bloom_insert_plain(hashes, count, filter, block_count);
}

enum oto_status oto_parquet_bloom_write(const uint64_t *hashes, size_t count,
                                        struct oto_buffer *output)
{
    uint32_t size = filter_bytes(count);
    struct oto_thrift_writer w;
    oto_thrift_writer_init(&w, output);
    write_header(&w, size);
    OTO_TRY(w.status);
    OTO_TRY(oto_buffer_reserve(output, size + 4));
    // The words are built aligned, then moved to where they belong.
    size_t gap = (4 - output->size % 4) % 4;
    uint32_t *filter = (uint32_t *)(void *)(output->data + output->size + gap);
    memset(filter, 0, size);
    insert(hashes, count, filter, size / BLOCK_BYTES);
    memmove(output->data + output->size, filter, size);
    output->size += size;
    return OTO_OK;
}
