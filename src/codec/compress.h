// General-purpose compression of whole buffers, and of bodies from the network with a cap that
// holds while decompressing. Contexts are reused: one oto_codec a thread. Core: no system call. In
// the WASM build zstd, gzip, deflate, snappy and LZ4 are absent and answer OTO_UNSUPPORTED.
#ifndef OTO_CODEC_COMPRESS_H
#define OTO_CODEC_COMPRESS_H

#include "codec/words.h"

enum oto_compression {
    OTO_COMPRESSION_NONE = 0, // "identity"
    OTO_COMPRESSION_GZIP,     // RFC 1952, several members allowed
    OTO_COMPRESSION_DEFLATE,  // RFC 1950 (zlib); raw RFC 1951 accepted when reading
    OTO_COMPRESSION_ZSTD,     // RFC 8878, several frames and skippable frames allowed
};

struct oto_codec; // compression contexts of one thread

// NULL when out of memory.
struct oto_codec *oto_codec_new(const struct oto_allocator *allocator);
void oto_codec_free(struct oto_codec *codec);

// Appends the decompressed input to output, whose size_max caps the result while it grows: a bomb
// ends in OTO_TOO_LARGE after at most that many bytes. OTO_INVALID for a broken or truncated stream
// or a wrong checksum (err: offset in the input), OTO_UNSUPPORTED, OTO_NO_MEMORY. On failure output
// is cut back to where it was. zstd frames that need a window over 8 MiB (windowLog 23) are refused
// with OTO_TOO_LARGE. Empty input is no stream: OTO_INVALID. Ownership: borrows.
OTO_MUST_CHECK enum oto_status oto_decompress(struct oto_codec *codec,
                                              enum oto_compression compression,
                                              struct oto_bytes input, struct oto_buffer *output,
                                              struct oto_error *err);

// Appends the compressed input to output (one gzip member, zlib stream or zstd frame). level 0: the
// format's default for us (gzip 1, zstd 1). OTO_NO_MEMORY, OTO_TOO_LARGE, OTO_UNSUPPORTED.
OTO_MUST_CHECK enum oto_status oto_compress(struct oto_codec *codec,
                                            enum oto_compression compression, int level,
                                            struct oto_bytes input, struct oto_buffer *output,
                                            struct oto_error *err);

// How repetitions in text are found.
enum oto_text_method {
    OTO_TEXT_NEW = 0, // not known yet
    OTO_TEXT_LINES,   // by line, codec/lines.h
    OTO_TEXT_WORDS,   // by word, codec/words.h
    OTO_TEXT_SEARCH,  // at every byte, by the library
};

// As a zstd frame, in the way that suits the text: by line where lines repeat each other, else by
// word where a piece of the text becomes no larger that way, else by search; levels above 1 always
// search. *method: what was found out about text of the same kind before, and is found out now.
// OTO_INVALID when the lines are longer than the input.
OTO_MUST_CHECK enum oto_status oto_compress_text(struct oto_codec *codec, int level,
                                                 struct oto_bytes input,
                                                 const struct oto_lines *lines,
                                                 enum oto_text_method *method,
                                                 struct oto_buffer *output, struct oto_error *err);

// As a zstd frame: bytes of any kind, then codes of four bytes (codec/codes.h). OTO_INVALID when
// the head is longer than the input.
OTO_MUST_CHECK enum oto_status oto_compress_codes(struct oto_codec *codec, int level,
                                                  struct oto_bytes input, size_t head_size,
                                                  struct oto_buffer *output, struct oto_error *err);

// As a zstd frame: bytes of any kind, then ids of 16 or 32 digits each (codec/ids.h); levels above
// 1 search. OTO_INVALID for ids of another size.
OTO_MUST_CHECK enum oto_status oto_compress_ids(struct oto_codec *codec, int level,
                                                struct oto_bytes input, size_t head_size,
                                                unsigned id_size, struct oto_buffer *output,
                                                struct oto_error *err);

// A snappy or LZ4 block that becomes exactly size bytes at output, as pages of Parquet files have
// them. OTO_CORRUPT for anything else, OTO_UNSUPPORTED. Ownership: borrows.
OTO_MUST_CHECK enum oto_status oto_snappy_block(struct oto_bytes input, void *output, size_t size);
OTO_MUST_CHECK enum oto_status oto_lz4_block(struct oto_bytes input, void *output, size_t size);
// The most that a block of either kind can become, so that a size that claims more is not believed.
size_t oto_block_size_max(size_t input_size);

// Tells a stream's compression by its first bytes (gzip and zstd magic), NONE otherwise.
enum oto_compression oto_compression_detect(struct oto_bytes input);

// The HTTP and gRPC content-coding of a name, any case: "gzip", "x-gzip", "deflate", "zstd",
// "identity", "". OTO_UNSUPPORTED for every other.
OTO_MUST_CHECK enum oto_status oto_compression_from_name(struct oto_bytes name,
                                                         enum oto_compression *ret);

#endif
