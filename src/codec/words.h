// Where words of text occurred before, as matches for a compressor (codec/lines.h has the shape of
// these). Text repeats itself by words, so only a word's first byte is looked up, in a table of
// the latest place of each word: a search at every byte finds little more and takes several times
// as long. Words are looked up many at a time, without branches, and laid over each other
// afterwards: what cannot be guessed about text is where its words begin and which of them are
// known, and a wrong guess costs a processor as much as twenty instructions. Core: no system call,
// no library.
#ifndef OTO_CODEC_WORDS_H
#define OTO_CODEC_WORDS_H

#include "codec/lines.h"

#define OTO_WORDS_TABLE_BITS 13
#define OTO_WORDS_STRIDE 4096 // bytes whose words are looked up before any is laid over another

// One for each use: large, so not for the stack.
struct oto_words_table {
    uint32_t places[1 << OTO_WORDS_TABLE_BITS]; // of the latest words, by hash
    struct oto_words_found {
        uint32_t at, from; // offsets of a word, and of what is equal to it
    } found[OTO_WORDS_STRIDE / 2];
};

// Appends the matches of the content to an array of struct oto_lines_match, ends of blocks among
// them: the last entry is one. OTO_TOO_LARGE for content of 1 GiB or more, OTO_NO_MEMORY.
// Ownership: borrows.
OTO_MUST_CHECK enum oto_status oto_words_match(struct oto_bytes content,
                                               struct oto_words_table *table,
                                               struct oto_buffer *matches);

// What it does on machines without vectors: a bit for each of 64 bytes, whether it is of a word.
uint64_t oto_words_mask_plain(const uint8_t *at);

#endif
