// Parquet's DELTA_BINARY_PACKED (block 128, 4 miniblocks of 32), DELTA_LENGTH_BYTE_ARRAY's lengths,
// and BYTE_STREAM_SPLIT. Wrap-around arithmetic: every int64 sequence is legal.
#ifndef OTO_CODEC_DELTA_H
#define OTO_CODEC_DELTA_H

#include "base/bytes.h"

// Appends count int64 values. OTO_NO_MEMORY; OTO_TOO_LARGE, already when the largest block (1038
// bytes) would not fit before the limit of output.
OTO_MUST_CHECK enum oto_status oto_delta_encode64(const int64_t *values, size_t count,
                                                  struct oto_buffer *output);
// The same for int32 (Parquet INT32: deltas and minimum wrap at 32 bits).
OTO_MUST_CHECK enum oto_status oto_delta_encode32(const int32_t *values, size_t count,
                                                  struct oto_buffer *output);
// What oto_delta_encode32 appends for count times the same value.
OTO_MUST_CHECK enum oto_status oto_delta_encode_same32(int32_t value, size_t count,
                                                       struct oto_buffer *output);
// Decodes exactly count values; OTO_CORRUPT otherwise. ret_consumed may be NULL.
OTO_MUST_CHECK enum oto_status oto_delta_decode64(struct oto_bytes input, int64_t *values,
                                                  size_t count, size_t *ret_consumed);
OTO_MUST_CHECK enum oto_status oto_delta_decode32(struct oto_bytes input, int32_t *values,
                                                  size_t count, size_t *ret_consumed);

// The same a piece after the other. Borrows the input.
struct oto_delta_reader {
    const uint8_t *at, *end; // behind the present miniblock
    const uint8_t *widths;   // of the miniblocks to come in this block
    const uint8_t *packed;   // the present miniblock
    uint64_t miniblocks;     // of a block
    uint64_t miniblock;      // values of one
    uint64_t widths_left;
    uint64_t in_miniblock; // values of the present one not read yet
    uint64_t left;         // values of the stream not read yet
    uint64_t bit;          // in the present miniblock
    uint64_t value;
    uint64_t least;
    uint8_t width;
    uint8_t width_max;
    uint8_t is_first;
};
// bits: 32 or 64. OTO_CORRUPT.
OTO_MUST_CHECK enum oto_status oto_delta_reader_init(struct oto_delta_reader *r,
                                                     struct oto_bytes input, unsigned bits);
// By the bits that the reader was made for. OTO_CORRUPT: fewer are left than count, or malformed.
OTO_MUST_CHECK enum oto_status oto_delta_read64(struct oto_delta_reader *r, int64_t *values,
                                                size_t count);
OTO_MUST_CHECK enum oto_status oto_delta_read32(struct oto_delta_reader *r, int32_t *values,
                                                size_t count);
// Where the stream ends in its input; the reader stays where it is. OTO_CORRUPT.
OTO_MUST_CHECK enum oto_status oto_delta_end(const struct oto_delta_reader *r,
                                             const uint8_t **ret_end);
// Whether all values are the same, told by blocks that are zeros; end: that of the stream. The
// reader is one that was not read from.
int oto_delta_is_same(const struct oto_delta_reader *r, const uint8_t *end);

// Appends count elements of width 4 or 8 bytes as byte streams (all first bytes, all second bytes,
// …).
OTO_MUST_CHECK enum oto_status oto_byte_stream_split(const void *values, size_t count,
                                                     unsigned width, struct oto_buffer *output);
// The way back, for the elements first…first + count; each stream has stream_size bytes. output:
// count * width bytes.
void oto_byte_stream_join(const uint8_t *streams, size_t stream_size, unsigned width, size_t first,
                          size_t count, uint8_t *output);

#endif
