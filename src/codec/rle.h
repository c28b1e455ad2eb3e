// Parquet's RLE / bit-packing hybrid (Encodings.md, "Run Length Encoding / Bit-Packing Hybrid"):
// used for levels, booleans and dictionary indices.
#ifndef OTO_CODEC_RLE_H
#define OTO_CODEC_RLE_H

#include "base/bytes.h"

// Bits needed for values 0..max: 0 for 0, 1 for 1, 2 for 3, 17 for 65536.
static inline unsigned oto_bit_width(uint32_t max)
{
    return max ? 32u - (unsigned)__builtin_clz(max) : 0u;
}

// Appends count values, each < 2^bit_width (bit_width 0..32), as runs: RLE for 8 or more equal
// values (24 at width 1, 16 at width 2, where fewer are smaller packed), groups of 8 bit-packed
// otherwise. No length prefix. bit_width 0 writes one RLE run of zeros (empty value). count 0:
// nothing. OTO_NO_MEMORY, OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_rle_encode(const uint32_t *values, size_t count,
                                              unsigned bit_width, struct oto_buffer *output);

// The least and the greatest of count values, at least one, each below 2^31.
void oto_codes_range(const uint32_t *values, size_t count, uint32_t *ret_min, uint32_t *ret_max);
// What it does on machines without vectors of eight.
void oto_codes_range_plain(const uint32_t *values, size_t count, uint32_t *ret_min,
                           uint32_t *ret_max);

// Decodes the first count values of input; OTO_CORRUPT when it holds fewer or is malformed. The
// padding of the last group may be missing. ret_consumed may be NULL.
OTO_MUST_CHECK enum oto_status oto_rle_decode(struct oto_bytes input, unsigned bit_width,
                                              uint32_t *values, size_t count, size_t *ret_consumed);

// The same a piece after the other; oto_rle_decode is one read of all. Borrows the input.
struct oto_rle_reader {
    const uint8_t *at, *end; // behind the present run
    const uint8_t *packed;   // of a bit-packed run: where it begins
    uint64_t packed_size;    // bytes of it that are there
    uint64_t next;           // of a bit-packed run: the number of its next value
    uint64_t left;           // values of the present run
    uint32_t value;          // of a run of equal values
    uint8_t bit_width;
    uint8_t is_packed;
};
void oto_rle_reader_init(struct oto_rle_reader *r, struct oto_bytes input, unsigned bit_width);
// OTO_CORRUPT.
OTO_MUST_CHECK enum oto_status oto_rle_read(struct oto_rle_reader *r, uint32_t *values,
                                            size_t count);
// How many of the next values, most at most, are known to be equal, and which they are: 0 inside of
// bit-packed values. They are then read. OTO_CORRUPT.
OTO_MUST_CHECK enum oto_status oto_rle_read_equal(struct oto_rle_reader *r, size_t most,
                                                  uint32_t *ret_value, size_t *ret_count);

// Packs count values LSB first, count rounded up to a multiple of 8 with zeros: bit_width * groups
// bytes at output.
void oto_bits_pack32(const uint32_t *values, size_t count, unsigned bit_width, uint8_t *output);
// As above for 64-bit values and widths 0..64.
void oto_bits_pack64(const uint64_t *values, size_t count, unsigned bit_width, uint8_t *output);

#endif
