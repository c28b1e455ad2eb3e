// Decompression piece by piece, for files that are larger than memory: gzip (several members) and
// zstd (several frames, skippable ones too). One thread. In the WASM build absent: OTO_UNSUPPORTED.
#ifndef OTO_CODEC_DECOMPRESSOR_H
#define OTO_CODEC_DECOMPRESSOR_H

#include "codec/compress.h"

struct oto_decompressor;

// GZIP or ZSTD. zstd frames may have a window of 128 MiB at most. OTO_NO_MEMORY, OTO_UNSUPPORTED.
// Ownership: returns owned (oto_decompressor_free). The libraries take memory from the C heap.
OTO_MUST_CHECK enum oto_status oto_decompressor_new(const struct oto_allocator *allocator,
                                                    enum oto_compression compression,
                                                    struct oto_decompressor **ret,
                                                    struct oto_error *err);
void oto_decompressor_free(struct oto_decompressor *d); // NULL is legal

// Takes from input (which is moved past what was taken) and fills output; *ret_size is what it
// wrote. It takes all input or fills output whole. After the last piece of input:
// oto_decompressor_end. OTO_INVALID for broken data (err: offset in all input), OTO_TOO_LARGE for
// a window, OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_decompressor_step(struct oto_decompressor *d,
                                                     struct oto_bytes *input, void *output,
                                                     size_t output_size, size_t *ret_size,
                                                     struct oto_error *err);
// OTO_INVALID when the stream is not at the end of a frame or member.
OTO_MUST_CHECK enum oto_status oto_decompressor_end(const struct oto_decompressor *d,
                                                    struct oto_error *err);

#endif
