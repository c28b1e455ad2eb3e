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

// Appends count elements of width 4 or 8 bytes as byte streams (all first bytes, all second bytes,
// …).
OTO_MUST_CHECK enum oto_status oto_byte_stream_split(const void *values, size_t count,
                                                     unsigned width, struct oto_buffer *output);

#endif
