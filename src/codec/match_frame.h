// Content and its matches as a zstd frame (RFC 8878): what the library does with sequences that it
// is given, for a third of the instructions. The library checks each sequence, copies it twice and
// encodes it for any size; here offsets are told apart while literals are gathered, and a sequence
// takes one store. Core: no system call, no library.
#ifndef OTO_CODEC_MATCH_FRAME_H
#define OTO_CODEC_MATCH_FRAME_H

#include "codec/lines.h"

#define OTO_MATCH_FRAME_CODES_MAX 53 // of lengths of matches, the largest alphabet
#define OTO_MATCH_FRAME_STATES_MAX 512

// Bits that follow the codes of a number of literals, of a match's length less 3.
static const uint8_t oto_match_literals_bits[36] = {[16] = 1, 1, 1, 1,  2,  2,  3,  3,  4,  6,
                                                    7,        8, 9, 10, 11, 12, 13, 14, 15, 16};
static const uint8_t oto_match_length_bits[53] = {[32] = 1, 1, 1, 1,  2,  2,  3,  3,  4,  4, 5,
                                                  7,        8, 9, 10, 11, 12, 13, 14, 15, 16};

// A table of states ("FSE"): where a symbol leads, and with how many bits.
struct oto_match_frame_states {
    struct oto_match_frame_symbol {
        uint32_t bits_bias; // added to a state: its bits are above the lowest 16
        uint32_t first;     // added to what is left of it: index of the next one, in what follows
    } symbols[OTO_MATCH_FRAME_CODES_MAX];
    uint16_t shares[OTO_MATCH_FRAME_CODES_MAX];      // of all states
    uint16_t states[2 * OTO_MATCH_FRAME_STATES_MAX]; // from the middle on
    unsigned log;                                    // of the count of states
};

// One for each use: large, so not for the stack.
struct oto_match_frame_work {
    uint8_t literals[OTO_LINES_BLOCK_MAX + 64]; // of the block at hand
    uint32_t literal_count;
    uint32_t counts[4][256]; // how often each literal is there, by stream
    uint32_t totals[256];    // in all of them
    uint64_t codes[256];     // by literal: its code in the highest bits, its length in the lowest
    uint8_t lengths[256];    // of the codes in bits
    uint32_t code_counts[3][OTO_MATCH_FRAME_CODES_MAX];
    struct oto_match_frame_states states[3]; // of literals' counts, matches' lengths, offsets
    uint8_t literals_codes[64];              // by number of literals
    uint8_t lengths_codes[128];              // by length of a match less 3
};

// Appends the frame. The matches cover the content, in blocks of OTO_LINES_BLOCK_MAX at most, each
// of at least four bytes; they are changed. OTO_INVALID when they do not, OTO_TOO_LARGE,
// OTO_NO_MEMORY. Ownership: borrows.
OTO_MUST_CHECK enum oto_status oto_match_frame(struct oto_bytes content,
                                               struct oto_lines_match *matches, size_t count,
                                               struct oto_match_frame_work *work,
                                               struct oto_buffer *output);

// --- parts, in files of their own ---
// Makes a table of states of so many symbols with these counts, two or more of them not 0, and
// appends its description at to; what follows that.
uint8_t *oto_match_frame_states_make(const uint32_t *counts, unsigned symbol_count,
                                     unsigned log_max, struct oto_match_frame_states *states,
                                     uint8_t *to);
// Makes one of a single symbol, which takes no bits and no description.
void oto_match_frame_states_of_one(unsigned symbol, struct oto_match_frame_states *states);
// The section of work->literals; room: 1.5 bytes for each and 512 more.
uint8_t *oto_match_frame_literals(struct oto_match_frame_work *work, uint8_t *to);

// Bits as zstd reads them: from the last one written to the first.
struct oto_match_frame_bits {
    uint64_t bits;
    unsigned count; // of bits: less than 8 after a flush
    uint8_t *to;
};
__attribute__((always_inline)) static inline void
oto_match_frame_add(struct oto_match_frame_bits *b, uint64_t value, unsigned count)
{
    b->bits |= (value & (((uint64_t)1 << count) - 1)) << b->count;
    b->count += count;
}
// Stores whole bytes; there is room for eight. At most 63 bits may have been added.
__attribute__((always_inline)) static inline void
oto_match_frame_flush(struct oto_match_frame_bits *b)
{
    oto_store64(b->to, b->bits);
    b->to += b->count >> 3;
    b->bits >>= b->count & ~7u;
    b->count &= 7;
}
// Adds the mark at the end, and what is left. Returns what follows.
__attribute__((always_inline)) static inline uint8_t *
oto_match_frame_end(struct oto_match_frame_bits *b)
{
    oto_match_frame_add(b, 1, 1);
    oto_match_frame_flush(b);
    if (b->count)
        *b->to++ = (uint8_t)b->bits;
    return b->to;
}

// A state that begins with the symbol.
__attribute__((always_inline)) static inline uint32_t
oto_match_frame_begin(const struct oto_match_frame_states *states, unsigned symbol)
{
    return states->states[states->symbols[symbol].first + states->shares[symbol]];
}
// From the state of the symbol that follows to one of this symbol.
__attribute__((always_inline)) static inline uint32_t
oto_match_frame_step(struct oto_match_frame_bits *b, const struct oto_match_frame_states *states,
                     uint32_t state, unsigned symbol)
{
    struct oto_match_frame_symbol s = states->symbols[symbol];
    unsigned count = (state + s.bits_bias) >> 16;
    uint32_t left = state >> count;
    b->bits |= (uint64_t)(state & (((uint32_t)1 << count) - 1)) << b->count;
    b->count += count;
    return states->states[left + s.first];
}

#endif
