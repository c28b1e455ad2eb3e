// Where codes of four bytes repeat each other, as matches for a compressor (codec/lines.h has the
// shape of these). Dictionary codes that stand for rows of attributes change in their lowest byte
// from row to row: a key has few values, with small codes, or new ones, which are numbered as they
// come. So only that byte is told, as a literal, and the rest is a match with the same attribute of
// a row before, mostly of the same distance each time, which zstd tells in no bits at all. A search
// at every byte finds matches where they cost more than they save. Core: no system call, no
// library.
#ifndef OTO_CODEC_CODES_H
#define OTO_CODEC_CODES_H

#include "codec/lines.h"

#define OTO_CODE_BYTES 4

// Appends the matches of the content, head_size bytes of another kind and then codes (little
// endian; some bytes may be left behind the last), to an array of struct oto_lines_match, ends of
// blocks among them: the last entry is one. OTO_TOO_LARGE for content of 1 GiB or more,
// OTO_INVALID for a head that is longer, OTO_NO_MEMORY. Ownership: borrows.
OTO_MUST_CHECK enum oto_status oto_codes_match(struct oto_bytes content, size_t head_size,
                                               struct oto_buffer *matches);

#endif
