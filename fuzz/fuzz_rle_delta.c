// folders: codec
// Parquet's integer encodings. Byte 0: bit width and kind; byte 1: count; the rest as encoded
// input, and as values that must come back after a round trip.
#include "codec/delta.h"
#include "codec/rle.h"
#include <stdlib.h>

enum { COUNT_MAX = 1024 };

static void decode_any(struct oto_bytes input, unsigned width, size_t count)
{
    static uint32_t narrow[COUNT_MAX];
    static int64_t wide[COUNT_MAX];
    size_t consumed = 0;
    if (oto_rle_decode(input, width, narrow, count, &consumed) == OTO_OK) {
        if (consumed > input.size)
            abort();
        for (size_t i = 0; i < count && width < 32; i++)
            if (narrow[i] >> width)
                abort();
    }
    if (oto_delta_decode64(input, wide, count, &consumed) == OTO_OK && consumed > input.size)
        abort();
    if (oto_delta_decode32(input, (int32_t *)narrow, count, &consumed) == OTO_OK &&
        consumed > input.size)
        abort();
}

static void round_trip(struct oto_bytes input, unsigned width)
{
    static uint32_t narrow[COUNT_MAX], narrow_back[COUNT_MAX];
    static int64_t wide[COUNT_MAX], wide_back[COUNT_MAX];
    size_t count = input.size < COUNT_MAX ? input.size : COUNT_MAX, count64 = count / 8;
    for (size_t i = 0; i < count; i++)
        narrow[i] = width ? (input.data[i] * 0x01010101u) >> (32 - width) : 0;
    if (count64)
        memcpy(wide, input.data, count64 * 8);
    struct oto_buffer b;
    oto_buffer_init(&b, &oto_allocator_heap, 1 << 20);
    if (oto_rle_encode(narrow, count, width, &b) != OTO_OK ||
        oto_rle_decode(oto_buffer_view(&b), width, narrow_back, count, NULL) != OTO_OK ||
        memcmp(narrow, narrow_back, count * 4) != 0)
        abort();
    b.size = 0;
    if (oto_delta_encode64(wide, count64, &b) != OTO_OK ||
        oto_delta_decode64(oto_buffer_view(&b), wide_back, count64, NULL) != OTO_OK ||
        memcmp(wide, wide_back, count64 * 8) != 0)
        abort();
    oto_buffer_release(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2)
        return 0;
    unsigned width = data[0] % 33;
    decode_any(oto_bytes(data + 2, size - 2), width, (size_t)data[1] * 4);
    round_trip(oto_bytes(data + 2, size - 2), width);
    return 0;
}
