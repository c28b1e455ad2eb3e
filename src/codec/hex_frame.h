// Text that ends in hex digits as a zstd frame, at the speed of copying. Sixteen digits equally
// likely take four bits each in any Huffman code, and with four bits each zstd's code is the
// digits' own values: the compressed form of the digits is the bytes they stand for. Half the size
// is also what a compressor finds in random ids, after looking for repetitions that are not there.
// Core: no system call, no library.
#ifndef OTO_CODEC_HEX_FRAME_H
#define OTO_CODEC_HEX_FRAME_H

#include "codec/match_read.h"

#define OTO_HEX_FRAME_RAW_MIN 128 // below, the description of the code would not fit the format

// Appends one zstd frame (RFC 8878) whose content is head, then the lower-case hex digits of raw,
// whose size must be a multiple of 8. OTO_INVALID, OTO_TOO_LARGE (content over 4 GiB),
// OTO_NO_MEMORY.
// Ownership: borrows.
OTO_MUST_CHECK enum oto_status oto_hex_frame(struct oto_bytes head, struct oto_bytes raw,
                                             struct oto_buffer *output);

// Appends one zstd frame whose content is that of another, then ids of id_size raw bytes (8 or 16)
// as digits, each after the first with its four bytes of length in front (Parquet's PLAIN). The
// other frame is one of one zstd compressor, its content of head_size bytes ends with the length of
// the first id. raw: 4 ids or more. OTO_INVALID, OTO_TOO_LARGE, OTO_NO_MEMORY. Ownership: borrows.
OTO_MUST_CHECK enum oto_status oto_hex_records_frame(struct oto_bytes head_frame, size_t head_size,
                                                     struct oto_bytes raw, unsigned id_size,
                                                     struct oto_buffer *output);

// Appends the content of a frame of one of these forms, several times as fast as a decoder of all
// zstd. With something to read matches by, also of one that has blocks of matches (match_frame.h)
// instead of digits or before them. OTO_END: it has another form, or no memory was left; nothing
// was appended. Ownership: borrows.
OTO_MUST_CHECK enum oto_status oto_hex_frame_read(struct oto_bytes frame,
                                                  struct oto_match_reader *matches,
                                                  struct oto_buffer *output);

#endif
