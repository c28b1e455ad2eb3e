#include "codec/rle.h"
#include "base/processor.h"

#define GROUP 8
// Values of one bit-packed run: what was scanned is still in the nearest cache when it is packed.
#define LITERAL_MAX 4096
#define RUN_MAX ((size_t)INT32_MAX)

typedef uint32_t lanes __attribute__((vector_size(16)));
typedef uint64_t lane_pair __attribute__((vector_size(16)));

static inline lanes lanes_load(const uint32_t *p)
{
    lanes v;
    memcpy(&v, p, sizeof v);
    return v;
}

static inline int lanes_any(lanes v)
{
    lane_pair pair = (lane_pair)v;
    return (pair[0] | pair[1]) != 0;
}

static inline int group_is_constant(const uint32_t *v)
{
    lanes first = {v[0], v[0], v[0], v[0]};
    return !lanes_any((lanes_load(v) ^ first) | (lanes_load(v + 4) ^ first));
}

// How many of the values equal the first.
static size_t run_length(const uint32_t *v, size_t count)
{
    lanes first = {v[0], v[0], v[0], v[0]};
    size_t i = 0;
    for (; count - i >= 16; i += 16) {
        lanes a = (lanes_load(v + i) ^ first) | (lanes_load(v + i + 4) ^ first);
        lanes b = (lanes_load(v + i + 8) ^ first) | (lanes_load(v + i + 12) ^ first);
        if (lanes_any(a | b))
            break;
    }
    while (i < count && v[i] == v[0])
        i++;
    return i;
}

// A word of 32 bits after the other, always inlined with a constant width: shifts and stores fall
// out as straight code. count is a multiple of 32.
__attribute__((always_inline)) static inline void pack_blocks(const uint32_t *values, size_t count,
                                                              unsigned width, uint8_t *output)
{
    for (; count; count -= 32, values += 32) {
        uint64_t bits = 0;
        unsigned filled = 0;
#pragma GCC unroll 32
        for (unsigned i = 0; i < 32; i++) {
            bits |= (uint64_t)values[i] << filled;
            filled += width;
            if (filled >= 32) {
                oto_store32(output, (uint32_t)bits);
                output += 4;
                bits >>= 32;
                filled -= 32;
            }
        }
    }
}

// clang-format off
#define EACH_WIDTH(X)                                                                              \
    X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16)         \
    X(17) X(18) X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32)
// clang-format on

static void pack_whole_blocks(const uint32_t *values, size_t count, unsigned width, uint8_t *output)
{
    switch (width) {
#define CASE(w)                                                                                    \
    case w:                                                                                        \
        pack_blocks(values, count, w, output);                                                     \
        break;
        EACH_WIDTH(CASE)
#undef CASE
    default:
        break;
    }
}

// Writes the low bytes of bits while there are whole ones.
static inline uint8_t *put_bytes(uint8_t *output, uint64_t *bits, unsigned *filled)
{
    for (; *filled >= 8; *filled -= 8, *bits >>= 8)
        *output++ = (uint8_t)*bits;
    return output;
}

void oto_bits_pack32(const uint32_t *values, size_t count, unsigned bit_width, uint8_t *output)
{
    size_t whole = count & ~(size_t)31;
    pack_whole_blocks(values, whole, bit_width, output);
    output += whole / GROUP * bit_width;
    uint64_t bits = 0;
    unsigned filled = 0;
    size_t padded = (count + GROUP - 1) & ~(size_t)(GROUP - 1);
    for (size_t i = whole; i < padded; i++) {
        bits |= i < count ? (uint64_t)values[i] << filled : 0;
        filled += bit_width;
        output = put_bytes(output, &bits, &filled);
    }
}

// Widths over 32 come from odd columns only, so one loop serves them all.
static void pack_wide(const uint64_t *values, size_t count, unsigned width, uint8_t *output)
{
    uint64_t bits = 0;
    unsigned filled = 0; // always under 64
    size_t padded = (count + GROUP - 1) & ~(size_t)(GROUP - 1);
    for (size_t i = 0; i < padded; i++) {
        uint64_t value = i < count ? values[i] : 0;
        bits |= value << filled;
        filled += width;
        if (filled >= 64) {
            oto_store64(output, bits);
            output += 8;
            filled -= 64;
            bits = filled ? value >> (width - filled) : 0;
        }
    }
    put_bytes(output, &bits, &filled);
}

void oto_bits_pack64(const uint64_t *values, size_t count, unsigned bit_width, uint8_t *output)
{
    if (bit_width > 32) {
        pack_wide(values, count, bit_width, output);
        return;
    }
    uint32_t narrow[128];
    for (size_t done = 0; done < count; done += 128) {
        size_t some = count - done < 128 ? count - done : 128;
        for (size_t i = 0; i < some; i++)
            narrow[i] = (uint32_t)values[done + i];
        oto_bits_pack32(narrow, some, bit_width, output);
        output += some / GROUP * bit_width;
    }
}

static inline uint8_t *put_varint(uint8_t *output, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        *output++ = (uint8_t)(value | 0x80);
    *output++ = (uint8_t)value;
    return output;
}

#define RUN_BYTES_MAX 9 // header and value

static enum oto_status put_run(uint32_t value, size_t count, unsigned bit_width,
                               struct oto_buffer *output)
{
    while (count) {
        size_t some = count < RUN_MAX ? count : RUN_MAX;
        OTO_TRY(oto_buffer_reserve(output, RUN_BYTES_MAX));
        uint8_t *at = put_varint(output->data + output->size, (uint32_t)some << 1);
        for (unsigned i = 0; i < bit_width; i += 8)
            *at++ = (uint8_t)(value >> i);
        output->size = (size_t)(at - output->data);
        count -= some;
    }
    return OTO_OK;
}

static enum oto_status put_literal(const uint32_t *values, size_t count, unsigned bit_width,
                                   struct oto_buffer *output)
{
    if (count == 0)
        return OTO_OK;
    size_t groups = (count + GROUP - 1) / GROUP;
    OTO_TRY(oto_buffer_reserve(output, RUN_BYTES_MAX + groups * bit_width));
    uint8_t *at = put_varint(output->data + output->size, (uint32_t)groups << 1 | 1);
    oto_bits_pack32(values, count, bit_width, at);
    output->size = (size_t)(at - output->data) + groups * bit_width;
    return OTO_OK;
}

// A run costs two or three bytes and a new header after it; narrow values packed cost less.
static size_t run_length_worth_it(unsigned bit_width)
{
    return bit_width == 1 ? 24 : bit_width == 2 ? 16 : 8;
}

enum oto_status oto_rle_encode(const uint32_t *values, size_t count, unsigned bit_width,
                               struct oto_buffer *output)
{
    if (bit_width == 0)
        return put_run(0, count, 0, output);
    size_t worth_it = run_length_worth_it(bit_width), literal = 0, at = 0;
    while (count - at >= GROUP) {
        if (group_is_constant(values + at)) {
            size_t run = run_length(values + at, count - at);
            if (run >= worth_it || (at == literal && run == count - at)) {
                OTO_TRY(put_literal(values + literal, at - literal, bit_width, output));
                OTO_TRY(put_run(values[at], run, bit_width, output));
                literal = at += run;
                continue;
            }
        }
        at += GROUP;
        if (at - literal == LITERAL_MAX) {
            OTO_TRY(put_literal(values + literal, LITERAL_MAX, bit_width, output));
            literal = at;
        }
    }
    if (literal < count && at == literal && run_length(values + at, count - at) == count - at)
        return put_run(values[at], count - at, bit_width, output);
    return put_literal(values + literal, count - literal, bit_width, output);
}

// --- least and greatest ---
// Values are told apart as signed numbers, which vectors compare at once. type: of some of them.
#define RANGE_OF(type)                                                                             \
    type low, high, v;                                                                             \
    const size_t each = sizeof v / sizeof *values;                                                 \
    uint32_t min = values[0], max = values[0];                                                     \
    size_t i = 0;                                                                                  \
    low = high = (type){0} + (int32_t)values[0];                                                   \
    for (; count - i >= each; i += each) {                                                         \
        memcpy(&v, values + i, sizeof v);                                                          \
        type is_lower = v < low;                                                                   \
        type is_higher = v > high;                                                                 \
        low = (v & is_lower) | (low & ~is_lower);                                                  \
        high = (v & is_higher) | (high & ~is_higher);                                              \
    }                                                                                              \
    for (size_t k = 0; k < each; k++) {                                                            \
        min = (uint32_t)low[k] < min ? (uint32_t)low[k] : min;                                     \
        max = (uint32_t)high[k] > max ? (uint32_t)high[k] : max;                                   \
    }                                                                                              \
    for (; i < count; i++) {                                                                       \
        min = values[i] < min ? values[i] : min;                                                   \
        max = values[i] > max ? values[i] : max;                                                   \
    }                                                                                              \
    *ret_min = min;                                                                                \
    *ret_max = max

typedef int32_t signed4 __attribute__((vector_size(16)));

void oto_codes_range_plain(const uint32_t *values, size_t count, uint32_t *ret_min,
                           uint32_t *ret_max)
{
    RANGE_OF(signed4);
}

#if defined(OTO_X86_64)
typedef int32_t signed8 __attribute__((vector_size(32)));

__attribute__((target("avx2"))) static void range_avx2(const uint32_t *values, size_t count,
                                                       uint32_t *ret_min, uint32_t *ret_max)
{
    RANGE_OF(signed8);
}
#endif

void oto_codes_range(const uint32_t *values, size_t count, uint32_t *ret_min, uint32_t *ret_max)
{
#if defined(OTO_X86_64)
    if (__builtin_cpu_supports("avx2")) {
        range_avx2(values, count, ret_min, ret_max);
        return;
    }
#endif
    oto_codes_range_plain(values, count, ret_min, ret_max);
}

static enum oto_status get_header(const uint8_t **at, const uint8_t *end, uint32_t *ret_header)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 35; shift += 7) {
        if (*at == end)
            return OTO_CORRUPT;
        uint8_t byte = *(*at)++;
        value |= (uint64_t)(byte & 0x7F) << shift;
        if (byte < 0x80) {
            *ret_header = (uint32_t)value;
            return value >> 32 || value < 2 ? OTO_CORRUPT : OTO_OK; // an empty run is none
        }
    }
    return OTO_CORRUPT;
}

static inline uint32_t value_mask(unsigned bit_width)
{
    return bit_width == 32 ? UINT32_MAX : ((uint32_t)1 << bit_width) - 1;
}

// Values from bit (0..7) of input on. Reads a word of eight bytes a value while there is one; the
// last bytes go through a padded copy.
static void unpack(const uint8_t *input, size_t size, unsigned bit_width, size_t bit,
                   uint32_t *values, size_t count)
{
    uint32_t mask = value_mask(bit_width);
    if (bit_width == 32 && !bit && size / 4 >= count) {
        for (size_t k = 0; k < count; k++)
            values[k] = oto_load32(input + 4 * k);
        return;
    }
    size_t fast = size < 8 ? 0 : ((size - 8) * 8 + 7 - bit) / bit_width + 1, i = 0;
    for (fast = fast < count ? fast : count; i < fast; i++, bit += bit_width)
        values[i] = (uint32_t)(oto_load64(input + bit / 8) >> (bit & 7)) & mask;
    if (i == count)
        return;
    uint8_t tail[16] = {0};
    size_t base = size < 8 ? 0 : size - 8;
    memcpy(tail, input + base, size - base);
    for (; i < count; i++, bit += bit_width)
        values[i] = (uint32_t)(oto_load64(tail + (bit / 8 - base)) >> (bit & 7)) & mask;
}

void oto_rle_reader_init(struct oto_rle_reader *r, struct oto_bytes input, unsigned bit_width)
{
    *r = (struct oto_rle_reader){.at = input.data, .bit_width = (uint8_t)bit_width};
    r->end = input.size ? input.data + input.size : input.data;
}

static enum oto_status begin_equal(struct oto_rle_reader *r)
{
    unsigned bytes = (r->bit_width + 7u) / 8;
    r->value = 0;
    if ((size_t)(r->end - r->at) < bytes)
        return OTO_CORRUPT;
    for (unsigned i = 0; i < bytes; i++)
        r->value |= (uint32_t)*r->at++ << (8 * i);
    return r->value > value_mask(r->bit_width) ? OTO_CORRUPT : OTO_OK;
}

static enum oto_status begin_run(struct oto_rle_reader *r)
{
    uint32_t header;
    if (r->bit_width > 32)
        return OTO_CORRUPT;
    OTO_TRY(get_header(&r->at, r->end, &header));
    r->is_packed = header & 1;
    r->left = r->is_packed ? (uint64_t)(header >> 1) * GROUP : header >> 1;
    if (!r->left)
        return OTO_CORRUPT;
    if (!r->is_packed)
        return begin_equal(r);
    uint64_t size = (uint64_t)(header >> 1) * r->bit_width, there = (uint64_t)(r->end - r->at);
    r->packed = r->at;
    r->packed_size = size < there ? size : there;
    r->next = 0;
    r->at += r->packed_size;
    return OTO_OK;
}

// The padding of the last group may be cut off: some writers do.
static enum oto_status read_packed(struct oto_rle_reader *r, uint32_t *values, size_t count)
{
    unsigned width = r->bit_width;
    if (((r->next + count) * width + 7) / 8 > r->packed_size)
        return OTO_CORRUPT;
    uint64_t skip = r->next * width / 8;
    if (width)
        unpack(r->packed + skip, (size_t)(r->packed_size - skip), width,
               (unsigned)(r->next * width % 8), values, count);
    else
        memset(values, 0, count * sizeof *values);
    r->next += count;
    return OTO_OK;
}

enum oto_status oto_rle_read(struct oto_rle_reader *r, uint32_t *values, size_t count)
{
    while (count) {
        if (!r->left)
            OTO_TRY(begin_run(r));
        size_t some = r->left < count ? (size_t)r->left : count;
        if (r->is_packed)
            OTO_TRY(read_packed(r, values, some));
        else
            for (size_t i = 0; i < some; i++)
                values[i] = r->value;
        r->left -= some;
        values += some;
        count -= some;
    }
    return OTO_OK;
}

enum oto_status oto_rle_read_equal(struct oto_rle_reader *r, size_t most, uint32_t *ret_value,
                                   size_t *ret_count)
{
    *ret_count = 0;
    if (!r->left && most)
        OTO_TRY(begin_run(r));
    if (r->is_packed)
        return OTO_OK;
    *ret_value = r->value;
    *ret_count = r->left < most ? (size_t)r->left : most;
    r->left -= *ret_count;
    return OTO_OK;
}

enum oto_status oto_rle_decode(struct oto_bytes input, unsigned bit_width, uint32_t *values,
                               size_t count, size_t *ret_consumed)
{
    struct oto_rle_reader r;
    if (bit_width > 32)
        return OTO_CORRUPT;
    oto_rle_reader_init(&r, input, bit_width);
    OTO_TRY(oto_rle_read(&r, values, count));
    if (ret_consumed)
        *ret_consumed = (size_t)(r.at - input.data);
    return OTO_OK;
}
