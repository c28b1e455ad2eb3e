#include "codec/delta.h"
#include "codec/rle.h"

#define BLOCK 128
#define MINIBLOCKS 4
#define MINIBLOCK (BLOCK / MINIBLOCKS)
#define VARINT_MAX 10
#define HEADER_MAX (4 * VARINT_MAX)
#define BLOCK_BYTES_MAX (VARINT_MAX + MINIBLOCKS + BLOCK * 8)

static uint8_t *put_varint(uint8_t *at, uint64_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *put_zigzag(uint8_t *at, int64_t value)
{
    return put_varint(at, (uint64_t)value << 1 ^ (uint64_t)(value >> 63));
}

static enum oto_status put_header(size_t count, int64_t first, struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_reserve(output, HEADER_MAX));
    uint8_t *at = output->data + output->size;
    at = put_varint(at, BLOCK);
    at = put_varint(at, MINIBLOCKS);
    at = put_varint(at, count);
    at = put_zigzag(at, first);
    output->size = (size_t)(at - output->data);
    return OTO_OK;
}

// Everything is computed on unsigned numbers, where overflow wraps as the format wants it. The
// deltas past the last are filled up with the least, so that every loop has a constant length.
static uint8_t *put_miniblock64(uint8_t *at, const uint64_t deltas[MINIBLOCK], uint64_t least,
                                uint8_t *ret_width)
{
    uint64_t wide[MINIBLOCK], all = 0;
    for (size_t i = 0; i < MINIBLOCK; i++)
        all |= wide[i] = deltas[i] - least;
    unsigned width = all ? 64u - (unsigned)__builtin_clzll(all) : 0;
    if (width > 32) {
        oto_bits_pack64(wide, MINIBLOCK, width, at);
    } else {
        uint32_t narrow[MINIBLOCK];
        for (size_t i = 0; i < MINIBLOCK; i++)
            narrow[i] = (uint32_t)wide[i];
        oto_bits_pack32(narrow, MINIBLOCK, width, at);
    }
    *ret_width = (uint8_t)width;
    return at + width * MINIBLOCK / 8;
}

static uint8_t *put_miniblock32(uint8_t *at, const uint32_t deltas[MINIBLOCK], uint32_t least,
                                uint8_t *ret_width)
{
    uint32_t packed[MINIBLOCK], all = 0;
    for (size_t i = 0; i < MINIBLOCK; i++)
        all |= packed[i] = deltas[i] - least;
    unsigned width = oto_bit_width(all);
    oto_bits_pack32(packed, MINIBLOCK, width, at);
    *ret_width = (uint8_t)width;
    return at + width * MINIBLOCK / 8;
}

#define ENCODER(name, type, unsigned_type, most, bits)                                             \
    enum oto_status name(const type *values, size_t count, struct oto_buffer *output)              \
    {                                                                                              \
        OTO_TRY(put_header(count, count ? values[0] : 0, output));                                 \
        for (size_t done = 1; done < count; done += BLOCK) {                                       \
            unsigned_type deltas[BLOCK];                                                           \
            type least = most;                                                                     \
            size_t some = count - done < BLOCK ? count - done : BLOCK;                             \
            for (size_t i = 0; i < some; i++) {                                                    \
                deltas[i] = (unsigned_type)values[done + i] - (unsigned_type)values[done + i - 1]; \
                least = (type)deltas[i] < least ? (type)deltas[i] : least;                         \
            }                                                                                      \
            for (size_t i = some; i < BLOCK; i++)                                                  \
                deltas[i] = (unsigned_type)least;                                                  \
            OTO_TRY(oto_buffer_reserve(output, BLOCK_BYTES_MAX));                                  \
            uint8_t *widths = put_zigzag(output->data + output->size, least);                      \
            uint8_t *at = widths + MINIBLOCKS;                                                     \
            memset(widths, 0, MINIBLOCKS);                                                         \
            for (size_t i = 0; i < some; i += MINIBLOCK)                                           \
                at = put_miniblock##bits(at, deltas + i, (unsigned_type)least, widths++);          \
            output->size = (size_t)(at - output->data);                                            \
        }                                                                                          \
        return OTO_OK;                                                                             \
    }
ENCODER(oto_delta_encode64, int64_t, uint64_t, INT64_MAX, 64)
ENCODER(oto_delta_encode32, int32_t, uint32_t, INT32_MAX, 32)

// Each block says that its least delta is 0, and that nothing more is to be read.
enum oto_status oto_delta_encode_same32(int32_t value, size_t count, struct oto_buffer *output)
{
    size_t size = count ? (count - 1 + BLOCK - 1) / BLOCK * (1 + MINIBLOCKS) : 0;
    OTO_TRY(put_header(count, count ? value : 0, output));
    OTO_TRY(oto_buffer_reserve(output, size));
    if (size)
        memset(output->data + output->size, 0, size);
    output->size += size;
    return OTO_OK;
}

static enum oto_status get_varint(struct oto_delta_reader *r, uint64_t *ret_value)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && r->at < r->end; shift += 7) {
        uint8_t byte = *r->at++;
        if (shift == 63 && byte > 1)
            return OTO_CORRUPT;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return OTO_OK;
        }
    }
    return OTO_CORRUPT;
}

static enum oto_status get_zigzag(struct oto_delta_reader *r, uint64_t *ret_value)
{
    uint64_t value;
    OTO_TRY(get_varint(r, &value));
    *ret_value = value >> 1 ^ (0 - (value & 1));
    return OTO_OK;
}

enum oto_status oto_delta_reader_init(struct oto_delta_reader *r, struct oto_bytes input,
                                      unsigned bits)
{
    uint64_t block;
    *r = (struct oto_delta_reader){.at = input.data, .width_max = (uint8_t)bits, .is_first = 1};
    r->end = input.size ? input.data + input.size : input.data;
    OTO_TRY(get_varint(r, &block));
    OTO_TRY(get_varint(r, &r->miniblocks));
    OTO_TRY(get_varint(r, &r->left));
    OTO_TRY(get_zigzag(r, &r->value));
    if (block == 0 || block % 128 != 0 || block > INT32_MAX || r->miniblocks == 0 ||
        block % r->miniblocks != 0)
        return OTO_CORRUPT;
    r->miniblock = block / r->miniblocks;
    return r->miniblock % 32 == 0 ? OTO_OK : OTO_CORRUPT;
}

// The width-bit number at a bit position; size bytes of data can be read.
static inline uint64_t bits_at(const uint8_t *data, size_t size, uint64_t bit, unsigned width)
{
    size_t byte = (size_t)(bit / 8);
    unsigned shift = bit & 7;
    uint64_t low = 0, mask = width == 64 ? UINT64_MAX : ((uint64_t)1 << width) - 1;
    if (size - byte > 8) {
        low = oto_load64(data + byte) >> shift;
        if (shift + width > 64)
            low |= (uint64_t)data[byte + 8] << (64 - shift);
        return low & mask;
    }
    memcpy(&low, data + byte, size - byte);
    return low >> shift & mask;
}

// The next miniblock, of the present block or of a new one.
static enum oto_status begin_miniblock(struct oto_delta_reader *r)
{
    if (!r->widths_left) {
        OTO_TRY(get_zigzag(r, &r->least));
        if (r->miniblocks > (uint64_t)(r->end - r->at))
            return OTO_CORRUPT;
        r->widths = r->at;
        r->at += r->miniblocks;
        r->widths_left = r->miniblocks;
    }
    r->width = *r->widths++;
    r->widths_left--;
    uint64_t size = r->miniblock / 8 * r->width;
    if (r->width > r->width_max || size > (uint64_t)(r->end - r->at))
        return OTO_CORRUPT;
    r->packed = r->at;
    r->at += size;
    r->bit = 0;
    r->in_miniblock = r->miniblock;
    return OTO_OK;
}

// Values of the present miniblock. Most have narrow numbers and eight bytes more behind them, so
// that one load a number suffices.
#define MINIBLOCK_DECODER(name, type, unsigned_type)                                               \
    static void name(struct oto_delta_reader *r, type *values, size_t count)                       \
    {                                                                                              \
        unsigned_type value = (unsigned_type)r->value, step = (unsigned_type)r->least;             \
        unsigned width = r->width;                                                                 \
        uint64_t bit = r->bit;                                                                     \
        if (width <= 56 && r->end - r->at >= 8) {                                                  \
            uint64_t mask = ((uint64_t)1 << width) - 1;                                            \
            for (size_t i = 0; i < count; i++, bit += width) {                                     \
                uint64_t word = oto_load64(r->packed + bit / 8) >> (bit & 7);                      \
                value += step + (unsigned_type)(word & mask);                                      \
                values[i] = (type)value;                                                           \
            }                                                                                      \
        } else {                                                                                   \
            size_t size = (size_t)(r->end - r->packed);                                            \
            for (size_t i = 0; i < count; i++, bit += width) {                                     \
                value += step;                                                                     \
                if (width)                                                                         \
                    value += (unsigned_type)bits_at(r->packed, size, bit, width);                  \
                values[i] = (type)value;                                                           \
            }                                                                                      \
        }                                                                                          \
        r->value = value;                                                                          \
        r->bit = bit;                                                                              \
        r->in_miniblock -= count;                                                                  \
    }
MINIBLOCK_DECODER(miniblock_decode64, int64_t, uint64_t)
MINIBLOCK_DECODER(miniblock_decode32, int32_t, uint32_t)

#define READER(name, type, bits)                                                                   \
    enum oto_status name(struct oto_delta_reader *r, type *values, size_t count)                   \
    {                                                                                              \
        if (count > r->left)                                                                       \
            return OTO_CORRUPT;                                                                    \
        r->left -= count;                                                                          \
        if (count && r->is_first) {                                                                \
            *values++ = (type)r->value;                                                            \
            r->is_first = 0;                                                                       \
            count--;                                                                               \
        }                                                                                          \
        while (count) {                                                                            \
            if (!r->in_miniblock)                                                                  \
                OTO_TRY(begin_miniblock(r));                                                       \
            size_t some = r->in_miniblock < count ? (size_t)r->in_miniblock : count;               \
            miniblock_decode##bits(r, values, some);                                               \
            values += some;                                                                        \
            count -= some;                                                                         \
        }                                                                                          \
        return OTO_OK;                                                                             \
    }
READER(oto_delta_read64, int64_t, 64)
READER(oto_delta_read32, int32_t, 32)

enum oto_status oto_delta_end(const struct oto_delta_reader *reader, const uint8_t **ret_end)
{
    struct oto_delta_reader r = *reader;
    uint64_t left = r.left - (r.left && r.is_first);
    while (left > r.in_miniblock) {
        left -= r.in_miniblock;
        OTO_TRY(begin_miniblock(&r));
    }
    *ret_end = r.at;
    return OTO_OK;
}

// Zeros are least deltas of 0 and widths of 0, of however many blocks.
int oto_delta_is_same(const struct oto_delta_reader *r, const uint8_t *end)
{
    size_t size = (size_t)(end - r->at);
    return !size || (r->at[0] == 0 && memcmp(r->at, r->at + 1, size - 1) == 0);
}

#define DECODER(name, type, bits)                                                                  \
    enum oto_status name(struct oto_bytes input, type *values, size_t count, size_t *ret_consumed) \
    {                                                                                              \
        struct oto_delta_reader r;                                                                 \
        OTO_TRY(oto_delta_reader_init(&r, input, bits));                                           \
        if (r.left != count)                                                                       \
            return OTO_CORRUPT;                                                                    \
        OTO_TRY(oto_delta_read##bits(&r, values, count));                                          \
        if (ret_consumed)                                                                          \
            *ret_consumed = (size_t)(r.at - input.data);                                           \
        return OTO_OK;                                                                             \
    }
DECODER(oto_delta_decode64, int64_t, 64)
DECODER(oto_delta_decode32, int32_t, 32)

// Swaps the halves off the diagonal of two rows of bytes, span bytes wide.
#define SWAP(a, b, span, mask)                                                                     \
    do {                                                                                           \
        uint64_t swap_ = ((a) >> ((span)*8) ^ (b)) & (mask);                                       \
        (a) ^= swap_ << ((span)*8);                                                                \
        (b) ^= swap_;                                                                              \
    } while (0)

// Transposes an 8 by 8 matrix of bytes: halves, then quarters, then single bytes.
static inline void transpose8(uint64_t r[8])
{
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        SWAP(r[i], r[i + 4], 4, 0x00000000FFFFFFFFu);
#pragma GCC unroll 4
    for (int i = 0; i < 4; i++)
        SWAP(r[i + (i & 2)], r[i + (i & 2) + 2], 2, 0x0000FFFF0000FFFFu);
#pragma GCC unroll 4
    for (int i = 0; i < 8; i += 2)
        SWAP(r[i], r[i + 1], 1, 0x00FF00FF00FF00FFu);
}

// Eight elements at a time; with width 4 the rows' upper halves are empty. Always inlined with a
// constant width.
__attribute__((always_inline)) static inline void split(const uint8_t *in, size_t count,
                                                        unsigned width, uint8_t *out)
{
    size_t done = 0;
    for (; count - done >= 8; done += 8) {
        uint64_t rows[8];
#pragma GCC unroll 8
        for (size_t i = 0; i < 8; i++)
            rows[i] =
                width == 8 ? oto_load64(in + (done + i) * 8) : oto_load32(in + (done + i) * 4);
        transpose8(rows);
#pragma GCC unroll 8
        for (size_t i = 0; i < width; i++)
            oto_store64(out + i * count + done, rows[i]);
    }
    for (; done < count; done++)
        for (size_t i = 0; i < width; i++)
            out[i * count + done] = in[done * width + i];
}

enum oto_status oto_byte_stream_split(const void *values, size_t count, unsigned width,
                                      struct oto_buffer *output)
{
    if (width != 4 && width != 8)
        return OTO_UNSUPPORTED;
    if (count > SIZE_MAX / 8)
        return OTO_TOO_LARGE;
    if (count == 0)
        return OTO_OK;
    OTO_TRY(oto_buffer_reserve(output, count * width));
    if (width == 8)
        split(values, count, 8, output->data + output->size);
    else
        split(values, count, 4, output->data + output->size);
    output->size += count * width;
    return OTO_OK;
}

void oto_byte_stream_join(const uint8_t *streams, size_t stream_size, unsigned width, size_t first,
                          size_t count, uint8_t *output)
{
    for (unsigned k = 0; k < width; k++) {
        const uint8_t *from = streams + k * stream_size + first;
        for (size_t i = 0; i < count; i++)
            output[i * width + k] = from[i];
    }
}
