// The way back from what match_frame.h writes, for half of what the library takes: matches here are
// short, and it makes ready for long ones. Blocks whose tables are described as ours are, or are
// those of the format, are read; any other is for the library. All of a block is untrusted. Core:
// no system call, no library.
#ifndef OTO_CODEC_MATCH_READ_H
#define OTO_CODEC_MATCH_READ_H

#include "codec/match_frame.h"

#define OTO_MATCH_READ_CODE_BITS_MAX 11 // of a literal
#define OTO_MATCH_READ_BEFORE 12        // bytes in front of a block's: headers of frame and block

// States in one word each. From the lowest bits on: how many bits are taken there, those added to
// the number and below them those of the state that follows; how many these are alone; the number's
// base, or at first a symbol; to what the state's bits are added.
#define OTO_MATCH_READ_NEXT_BITS 8
#define OTO_MATCH_READ_BASE 16
#define OTO_MATCH_READ_NEXT 48

struct oto_match_read_table {
    uint64_t states[OTO_MATCH_FRAME_STATES_MAX];
    unsigned log; // of the count of states
};

// One for each use: large, so not for the stack.
struct oto_match_reader {
    uint8_t literals[OTO_LINES_BLOCK_MAX + 64]; // of the block at hand
    uint32_t literal_count;
    uint16_t symbols[1 << OTO_MATCH_READ_CODE_BITS_MAX]; // a literal above the bits of its code
    struct oto_match_read_table tables[3];               // of literals' counts, offsets, lengths
    uint32_t repeated[3];                                // offsets
};

// At the beginning of a frame.
void oto_match_read_begin(struct oto_match_reader *reader);

// Appends the content of a compressed block to output, of which the frame's content begins at
// `begin` and is content_size bytes long at most. OTO_MATCH_READ_BEFORE bytes in front of the block
// may be read. OTO_END: it is no such block, or is broken; the reader has to begin again.
// OTO_TOO_LARGE, OTO_NO_MEMORY. Ownership: borrows.
OTO_MUST_CHECK enum oto_status oto_match_read_block(struct oto_match_reader *reader,
                                                    struct oto_bytes block, size_t begin,
                                                    size_t content_size, struct oto_buffer *output);

// --- parts, in a file of their own ---
// Ends with OTO_END too.
#define OTO_MATCH_READ_TRY(expression)                                                             \
    do {                                                                                           \
        enum oto_status try_status = (expression);                                                 \
        if (try_status != OTO_OK)                                                                  \
            return try_status;                                                                     \
    } while (0)
// Takes the section of literals from the front of a block. OTO_END.
OTO_MUST_CHECK enum oto_status oto_match_read_literals(struct oto_match_reader *reader,
                                                       struct oto_bytes *rest);
// Takes the description of how states are shared by symbols, 2^log_max states at most; shares:
// of symbol_count symbols. OTO_END.
OTO_MUST_CHECK enum oto_status oto_match_read_shares(struct oto_bytes *rest, unsigned log_max,
                                                     unsigned symbol_count, uint16_t *shares,
                                                     unsigned *ret_log);
// A share below one: a state at the end, after which all bits are read anew.
#define OTO_MATCH_READ_LESS UINT16_MAX
// Says for all 2^log states: of which symbol each is, where the next is, and by how many bits.
void oto_match_read_spread(const uint16_t *shares, unsigned symbol_count, unsigned log,
                           uint64_t *states);

// Bits from the last to the first; `from` is where they begin, left of them are not taken yet.
struct oto_match_read_bits {
    const uint8_t *from;
    ptrdiff_t left; // below 0: more were taken than there are
};
// Without the mark at the end. OTO_END: there is none.
OTO_MUST_CHECK static inline enum oto_status
oto_match_read_bits_begin(struct oto_match_read_bits *b, const uint8_t *from, size_t size)
{
    if (!size || !from[size - 1])
        return OTO_END;
    b->from = from;
    b->left = (ptrdiff_t)(8 * size) - (__builtin_clz(from[size - 1]) - 24) - 1;
    return OTO_OK;
}
// The next 57 bits or more, from the highest on. What is left is not below 0; up to eight bytes
// before the first are read.
__attribute__((always_inline)) static inline uint64_t
oto_match_read_peek(const struct oto_match_read_bits *b)
{
    return oto_load64(b->from + ((b->left + 7) >> 3) - 8) << (-b->left & 7);
}
// Takes count bits, 56 at most.
__attribute__((always_inline)) static inline uint64_t
oto_match_read_take(struct oto_match_read_bits *b, unsigned count)
{
    uint64_t bits = oto_match_read_peek(b) >> 1 >> (~count & 63);
    b->left -= count;
    return bits;
}

#endif
