#include "codec/crc.h"
#include "base/processor.h"

#ifndef __wasm__
#include <libdeflate.h>
#endif
#if defined(OTO_X86_64)
#include <nmmintrin.h>
#elif defined(OTO_ARM_CRC32)
#include <arm_acle.h>
#endif

// A CRC is linear: a table's entry is the sum (xor) of the entries of its index's bits. So eight
// constants define a table of 256, which the compiler writes out.
#define ENTRY(i, b0, b1, b2, b3, b4, b5, b6, b7)                                                   \
    (((i)&1 ? b0 : 0) ^ ((i)&2 ? b1 : 0) ^ ((i)&4 ? b2 : 0) ^ ((i)&8 ? b3 : 0) ^                   \
     ((i)&16 ? b4 : 0) ^ ((i)&32 ? b5 : 0) ^ ((i)&64 ? b6 : 0) ^ ((i)&128 ? b7 : 0))
#define ENTRIES4(i, ...)                                                                           \
    ENTRY(i, __VA_ARGS__), ENTRY((i) + 1, __VA_ARGS__), ENTRY((i) + 2, __VA_ARGS__),               \
        ENTRY((i) + 3, __VA_ARGS__)
#define ENTRIES16(i, ...)                                                                          \
    ENTRIES4(i, __VA_ARGS__), ENTRIES4((i) + 4, __VA_ARGS__), ENTRIES4((i) + 8, __VA_ARGS__),      \
        ENTRIES4((i) + 12, __VA_ARGS__)
#define ENTRIES64(i, ...)                                                                          \
    ENTRIES16(i, __VA_ARGS__), ENTRIES16((i) + 16, __VA_ARGS__), ENTRIES16((i) + 32, __VA_ARGS__), \
        ENTRIES16((i) + 48, __VA_ARGS__)
#define SLICE(...)                                                                                 \
    {                                                                                              \
        ENTRIES64(0, __VA_ARGS__), ENTRIES64(64, __VA_ARGS__), ENTRIES64(128, __VA_ARGS__),        \
            ENTRIES64(192, __VA_ARGS__)                                                            \
    }

// Table k: the effect of a byte that has k bytes after it in the same word of eight.
static const uint32_t crc32_slices[8][256] = {
    // polynomial 0xEDB88320, reflected
    SLICE(0x77073096u, 0xEE0E612Cu, 0x076DC419u, 0x0EDB8832u, 0x1DB71064u, 0x3B6E20C8u, 0x76DC4190u,
          0xEDB88320u),
    SLICE(0x191B3141u, 0x32366282u, 0x646CC504u, 0xC8D98A08u, 0x4AC21251u, 0x958424A2u, 0xF0794F05u,
          0x3B83984Bu),
    SLICE(0x01C26A37u, 0x0384D46Eu, 0x0709A8DCu, 0x0E1351B8u, 0x1C26A370u, 0x384D46E0u, 0x709A8DC0u,
          0xE1351B80u),
    SLICE(0xB8BC6765u, 0xAA09C88Bu, 0x8F629757u, 0xC5B428EFu, 0x5019579Fu, 0xA032AF3Eu, 0x9B14583Du,
          0xED59B63Bu),
    SLICE(0x3D6029B0u, 0x7AC05360u, 0xF580A6C0u, 0x30704BC1u, 0x60E09782u, 0xC1C12F04u, 0x58F35849u,
          0xB1E6B092u),
    SLICE(0xCB5CD3A5u, 0x4DC8A10Bu, 0x9B914216u, 0xEC53826Du, 0x03D6029Bu, 0x07AC0536u, 0x0F580A6Cu,
          0x1EB014D8u),
    SLICE(0xA6770BB4u, 0x979F1129u, 0xF44F2413u, 0x33EF4E67u, 0x67DE9CCEu, 0xCFBD399Cu, 0x440B7579u,
          0x8816EAF2u),
    SLICE(0xCCAA009Eu, 0x4225077Du, 0x844A0EFAu, 0xD3E51BB5u, 0x7CBB312Bu, 0xF9766256u, 0x299DC2EDu,
          0x533B85DAu),
};
static const uint32_t crc32c_slices[8][256] = {
    // polynomial 0x82F63B78, reflected
    SLICE(0xF26B8303u, 0xE13B70F7u, 0xC79A971Fu, 0x8AD958CFu, 0x105EC76Fu, 0x20BD8EDEu, 0x417B1DBCu,
          0x82F63B78u),
    SLICE(0x13A29877u, 0x274530EEu, 0x4E8A61DCu, 0x9D14C3B8u, 0x3FC5F181u, 0x7F8BE302u, 0xFF17C604u,
          0xFBC3FAF9u),
    SLICE(0xA541927Eu, 0x4F6F520Du, 0x9EDEA41Au, 0x38513EC5u, 0x70A27D8Au, 0xE144FB14u, 0xC76580D9u,
          0x8B277743u),
    SLICE(0xDD45AAB8u, 0xBF672381u, 0x7B2231F3u, 0xF64463E6u, 0xE964B13Du, 0xD725148Bu, 0xABA65FE7u,
          0x52A0C93Fu),
    SLICE(0x38116FACu, 0x7022DF58u, 0xE045BEB0u, 0xC5670B91u, 0x8F2261D3u, 0x1BA8B557u, 0x37516AAEu,
          0x6EA2D55Cu),
    SLICE(0xEF306B19u, 0xDB8CA0C3u, 0xB2F53777u, 0x6006181Fu, 0xC00C303Eu, 0x85F4168Du, 0x0E045BEBu,
          0x1C08B7D6u),
    SLICE(0x68032CC8u, 0xD0065990u, 0xA5E0C5D1u, 0x4E2DFD53u, 0x9C5BFAA6u, 0x3D5B83BDu, 0x7AB7077Au,
          0xF56E0EF4u),
    SLICE(0x493C7D27u, 0x9278FA4Eu, 0x211D826Du, 0x423B04DAu, 0x847609B4u, 0x0D006599u, 0x1A00CB32u,
          0x34019664u),
};

static uint32_t crc_plain(const uint32_t slices[8][256], uint32_t crc, const uint8_t *p,
                          size_t size)
{
    crc = ~crc;
    for (; size >= 8; p += 8, size -= 8) {
        uint32_t low = oto_load32(p) ^ crc, high = oto_load32(p + 4);
        crc = slices[7][low & 255] ^ slices[6][low >> 8 & 255] ^ slices[5][low >> 16 & 255] ^
              slices[4][low >> 24] ^ slices[3][high & 255] ^ slices[2][high >> 8 & 255] ^
              slices[1][high >> 16 & 255] ^ slices[0][high >> 24];
    }
    for (; size; p++, size--)
        crc = slices[0][(crc ^ *p) & 255] ^ crc >> 8;
    return ~crc;
}

uint32_t oto_crc32_plain(uint32_t crc, const void *data, size_t size)
{
    return crc_plain(crc32_slices, crc, data, size);
}

uint32_t oto_crc32c_plain(uint32_t crc, const void *data, size_t size)
{
    return crc_plain(crc32c_slices, crc, data, size);
}

uint32_t oto_crc32(uint32_t crc, const void *data, size_t size)
{
#ifdef __wasm__
    return oto_crc32_plain(crc, data, size);
#else
    return size ? libdeflate_crc32(crc, data, size) : crc;
#endif
}

#if defined(OTO_X86_64)

// The instruction takes three cycles but a new one may start each cycle: three lanes side by side,
// joined by a table that moves a CRC past one lane's bytes.
#define LANE_BYTES 1024

static const uint32_t lane_shift[4][256] = {
    SLICE(0xFE314258u, 0xF98EF241u, 0xF6F19273u, 0xE80F5217u, 0xD5F2D2DFu, 0xAE09D34Fu, 0x59FFD06Fu,
          0xB3FFA0DEu),
    SLICE(0x6213374Du, 0xC4266E9Au, 0x8DA0ABC5u, 0x1EAD217Bu, 0x3D5A42F6u, 0x7AB485ECu, 0xF5690BD8u,
          0xEF3E6141u),
    SLICE(0xDB90B473u, 0xB2CD1E17u, 0x60764ADFu, 0xC0EC95BEu, 0x84355D8Du, 0x0D86CDEBu, 0x1B0D9BD6u,
          0x361B37ACu),
    SLICE(0x6C366F58u, 0xD86CDEB0u, 0xB535CB91u, 0x6F87E1D3u, 0xDF0FC3A6u, 0xBBF3F1BDu, 0x720B958Bu,
          0xE4172B16u),
};

static inline uint64_t shift_past_lane(uint64_t crc)
{
    return lane_shift[0][crc & 255] ^ lane_shift[1][crc >> 8 & 255] ^
           lane_shift[2][crc >> 16 & 255] ^ lane_shift[3][crc >> 24];
}

__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t start, const uint8_t *p,
                                                               size_t size)
{
    uint64_t crc = ~start;
    for (; size >= 3 * LANE_BYTES; size -= 3 * LANE_BYTES, p += 3 * LANE_BYTES) {
        uint64_t second = 0, third = 0;
        for (size_t i = 0; i < LANE_BYTES; i += 8) {
            crc = _mm_crc32_u64(crc, oto_load64(p + i));
            second = _mm_crc32_u64(second, oto_load64(p + LANE_BYTES + i));
            third = _mm_crc32_u64(third, oto_load64(p + 2 * LANE_BYTES + i));
        }
        crc = shift_past_lane(shift_past_lane(crc) ^ second) ^ third;
    }
    for (; size >= 8; size -= 8, p += 8)
        crc = _mm_crc32_u64(crc, oto_load64(p));
    uint32_t rest = (uint32_t)crc;
    for (; size; size--, p++)
        rest = _mm_crc32_u8(rest, *p);
    return ~rest;
}

#elif defined(OTO_ARM_CRC32)

static uint32_t crc32c_arm(uint32_t crc, const uint8_t *p, size_t size)
{
    crc = ~crc;
    for (; size >= 8; size -= 8, p += 8)
        crc = __crc32cd(crc, oto_load64(p));
    for (; size; size--, p++)
        crc = __crc32cb(crc, *p);
    return ~crc;
}

#endif

uint32_t oto_crc32c(uint32_t crc, const void *data, size_t size)
{
#if defined(OTO_X86_64)
    if (__builtin_cpu_supports("sse4.2"))
        return crc32c_sse42(crc, data, size);
#elif defined(OTO_ARM_CRC32)
    return crc32c_arm(crc, data, size);
#endif
    return oto_crc32c_plain(crc, data, size);
}
