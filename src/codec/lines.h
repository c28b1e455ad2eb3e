// Where lines of text repeat each other, as a compressor of the LZ family wants to be told. Lines
// written by programs differ in their numbers: one of the same shape (digits at the same places,
// all else equal) is laid over the latest of that shape, and what agrees are matches at one
// distance, which zstd tells once a line ("repeated offset"). A line of a new shape is laid over
// the latest one that begins with the same words. A search at every byte finds little more and
// takes several times as long. Core: no system call, no library.
#ifndef OTO_CODEC_LINES_H
#define OTO_CODEC_LINES_H

#include "base/bytes.h"

// zstd's sequences: so many literals, then so many bytes from so far back. Offset 0 ends a block.
struct oto_lines_match {
    uint32_t offset;
    uint32_t literals;
    uint32_t length;
    uint32_t unused;
};

#define OTO_LINES_BLOCK_MAX ((size_t)1 << 17) // bytes between two ends of blocks
#define OTO_LINES_TABLE_BITS 13

// Places of lines by hash. One for each use: large, so not for the stack.
struct oto_lines_table {
    struct oto_lines_slot {
        uint32_t tag;
        uint32_t next; // of the byte after the line's first; 0: none
    } shapes[1 << OTO_LINES_TABLE_BITS], words[1 << OTO_LINES_TABLE_BITS];
};

// What the content is made of: bytes of another kind, the lines, one behind the other, and again
// some other bytes.
struct oto_lines {
    size_t head_size;
    const int32_t *sizes; // NULL: each line begins with the size of what follows, four bytes
    size_t count;
};

// Appends the matches of the content to an array of struct oto_lines_match, ends of blocks among
// them: the last entry is one. *ret_pays 0: the lines are too few, or repeat each other too little,
// for this to be better than a general search; what was appended is of no use then. OTO_INVALID
// when there is less content than that, OTO_TOO_LARGE, OTO_NO_MEMORY. Ownership:
// borrows.
OTO_MUST_CHECK enum oto_status oto_lines_match(struct oto_bytes content,
                                               const struct oto_lines *lines,
                                               struct oto_lines_table *table,
                                               struct oto_buffer *matches, int *ret_pays);

// What it does on machines without vectors: a bit for each of 64 bytes of a, whether it equals b's,
// and whether it is no digit.
struct oto_lines_masks {
    uint64_t equal;
    uint64_t no_digits;
};
struct oto_lines_masks oto_lines_compare_plain(const uint8_t *a, const uint8_t *b);

#endif
