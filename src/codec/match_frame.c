#include "codec/match_frame.h"
#include "base/processor.h"

#define MAGIC 0xFD2FB528u
#define FRAME_DESCRIPTOR 0xA0 // single segment, four bytes of content size
#define FRAME_HEADER_BYTES 9
#define BLOCK_HEADER_BYTES 3
#define MATCH_MIN 3 // of the format
#define REPEATED_OFFSETS 3

#define COUNT_OF(array) (sizeof(array) / sizeof *(array))

enum block_type { BLOCK_RAW = 0, BLOCK_COMPRESSED = 2 };
enum { OF_LITERALS, OF_LENGTHS, OF_OFFSETS, KINDS }; // tables of states, in the order of the format

static const uint8_t log_max[KINDS] = {9, 9, 8};

// Numbers of literals below 16 and lengths (less 3) below 32 are their own codes, and no bits
// follow them. These bits are of others, where codes lie as gather() puts them.
#define CODES_WITH_BITS 0xE0F0u

struct framing {
    struct oto_match_frame_work *work;
    const uint8_t *content;
    const uint8_t *content_end;
    uint32_t repeated[REPEATED_OFFSETS];
};

// --- sequences as codes ---
// Codes are for ranges: each begins where the one before ends.
static void number_ranges(const uint8_t *bits, unsigned code_count, uint8_t *codes, unsigned size)
{
    for (unsigned code = 0, at = 0; code < code_count && at < size; code++)
        for (unsigned i = 0; i < 1u << bits[code] && at < size; i++)
            codes[at++] = (uint8_t)code;
}

#define USUAL_BYTES 256 // more than literals and match of which tables know the codes

static inline int are_usual(const struct oto_match_frame_work *work, uint32_t literals,
                            uint32_t more)
{
    return (literals < COUNT_OF(work->literals_codes)) & (more < COUNT_OF(work->lengths_codes));
}

static inline unsigned highest_bit(uint32_t value)
{
    return 31 - (unsigned)__builtin_clz(value);
}

static inline unsigned code_of_literals(const struct oto_match_frame_work *work, uint32_t count)
{
    return count < COUNT_OF(work->literals_codes) ? work->literals_codes[count]
                                                  : highest_bit(count) + 19;
}

static inline unsigned code_of_length(const struct oto_match_frame_work *work, uint32_t more)
{
    return more < COUNT_OF(work->lengths_codes) ? work->lengths_codes[more]
                                                : highest_bit(more) + 36;
}

// One of the last three offsets is told by its place among them, which the absence of literals
// shifts by one; others by themselves.
static inline uint32_t offset_value(uint32_t repeated[REPEATED_OFFSETS], uint32_t offset,
                                    uint32_t literals)
{
    uint32_t shift = !literals, value = offset + REPEATED_OFFSETS;
    if (offset == repeated[0] && literals)
        return 1;
    if (offset == repeated[1]) {
        value = 2 - shift;
    } else {
        value = offset == repeated[2] ? 3 - shift : value;
        repeated[2] = repeated[1];
    }
    repeated[1] = repeated[0];
    repeated[0] = offset;
    return value;
}

// Copies more than that: there is more to read.
static inline void copy_literals(uint8_t *to, const uint8_t *from, size_t count)
{
    memcpy(to, from, 16);
    for (size_t done = 16; __builtin_expect(done < count, 0); done += 16)
        memcpy(to + done, from + done, 16);
}

// Gathers a block's literals and turns its matches into what the format calls them: offsets and
// lengths are changed, codes of all three numbers come to unused. *match: the first; the one after
// the block's last. Returns the block's size, 0 for one that does not fit.
static size_t gather(struct framing *f, struct oto_lines_match **match, size_t *ret_count)
{
    struct oto_match_frame_work *work = f->work;
    uint32_t(*counts)[OTO_MATCH_FRAME_CODES_MAX] = work->code_counts;
    struct oto_lines_match *at = *match;
    const uint8_t *from = f->content, *end = f->content_end;
    uint32_t repeated[REPEATED_OFFSETS] = {f->repeated[0], f->repeated[1], f->repeated[2]};
    uint8_t *to = work->literals;
    end = end - from > (ptrdiff_t)OTO_LINES_BLOCK_MAX ? from + OTO_LINES_BLOCK_MAX : end;
    const uint8_t *near_end = end - from > USUAL_BYTES ? end - USUAL_BYTES : from;
    memset(counts, 0, sizeof work->code_counts);
    for (; at->offset; at++) {
        uint32_t literals = at->literals, more = at->length - MATCH_MIN;
        uint32_t offset = offset_value(repeated, at->offset, literals);
        unsigned offset_code = highest_bit(offset), literals_code, length_code;
        if (__builtin_expect(are_usual(work, literals, more) && from < near_end, 1)) {
            literals_code = work->literals_codes[literals];
            length_code = work->lengths_codes[more];
            copy_literals(to, from, literals);
        } else {
            if (more > OTO_LINES_BLOCK_MAX ||
                (size_t)literals + more + MATCH_MIN > (size_t)(end - from))
                return SIZE_MAX;
            literals_code = code_of_literals(work, literals);
            length_code = code_of_length(work, more);
            memcpy(to, from, literals);
        }
        counts[OF_LITERALS][literals_code]++;
        counts[OF_LENGTHS][length_code]++;
        counts[OF_OFFSETS][offset_code]++;
        at->offset = offset;
        at->length = more;
        at->unused = literals_code | length_code << 8 | offset_code << 16;
        to += literals;
        from += (size_t)literals + more + MATCH_MIN;
    }
    if (at->literals > (size_t)(end - from))
        return SIZE_MAX;
    if (at->literals)
        memcpy(to, from, at->literals);
    memcpy(f->repeated, repeated, sizeof repeated);
    work->literal_count = (uint32_t)(to - work->literals) + at->literals;
    *ret_count = (size_t)(at - *match);
    *match = at + 1;
    return (size_t)(from - f->content) + at->literals;
}

// --- sequences as bits ---
__attribute__((always_inline)) static inline void put_numbers(struct oto_match_frame_bits *b,
                                                              const struct oto_lines_match *match)
{
    uint32_t codes = match->unused;
    unsigned offset = codes >> 16;
    if (__builtin_expect(!(codes & CODES_WITH_BITS), 1)) {
        // The highest bit of an offset is its code.
        b->bits |= (match->offset ^ (uint64_t)1 << offset) << b->count;
        b->count += offset;
        oto_match_frame_flush(b);
        return;
    }
    // With what states take, 26 bits, and 7 that are left, there would be room for 30.
    unsigned literals = oto_match_literals_bits[codes & 0xFF],
             length = oto_match_length_bits[codes >> 8 & 0xFF];
    oto_match_frame_flush(b);
    oto_match_frame_add(b, match->literals, literals);
    oto_match_frame_add(b, match->length, length);
    oto_match_frame_flush(b);
    oto_match_frame_add(b, match->offset, offset);
    oto_match_frame_flush(b);
}

__attribute__((always_inline)) static inline uint8_t *
put_sequences(const struct oto_match_frame_states states[KINDS],
              const struct oto_lines_match *matches, size_t count, uint8_t *to)
{
    struct oto_match_frame_bits b = {.to = to};
    const struct oto_lines_match *match = matches + count - 1;
    uint32_t literals = oto_match_frame_begin(&states[OF_LITERALS], match->unused & 0xFF),
             length = oto_match_frame_begin(&states[OF_LENGTHS], match->unused >> 8 & 0xFF),
             offset = oto_match_frame_begin(&states[OF_OFFSETS], match->unused >> 16);
    put_numbers(&b, match);
    while (match-- > matches) {
        uint32_t codes = match->unused;
        offset = oto_match_frame_step(&b, &states[OF_OFFSETS], offset, codes >> 16);
        length = oto_match_frame_step(&b, &states[OF_LENGTHS], length, codes >> 8 & 0xFF);
        literals = oto_match_frame_step(&b, &states[OF_LITERALS], literals, codes & 0xFF);
        put_numbers(&b, match);
    }
    oto_match_frame_add(&b, length, states[OF_LENGTHS].log);
    oto_match_frame_add(&b, offset, states[OF_OFFSETS].log);
    oto_match_frame_add(&b, literals, states[OF_LITERALS].log);
    return oto_match_frame_end(&b);
}

#if defined(OTO_X86_64)
__attribute__((target("bmi,bmi2"))) static uint8_t *
put_sequences_bmi2(const struct oto_match_frame_states states[KINDS],
                   const struct oto_lines_match *matches, size_t count, uint8_t *to)
{
    return put_sequences(states, matches, count, to);
}
#endif

static uint8_t *put_sequence_count(size_t count, uint8_t *to)
{
    if (count >= 0x7F00) {
        *to++ = 0xFF;
        *to++ = (uint8_t)(count - 0x7F00);
        *to++ = (uint8_t)((count - 0x7F00) >> 8);
        return to;
    }
    if (count >= 128)
        *to++ = (uint8_t)(128 + (count >> 8));
    *to++ = (uint8_t)count;
    return to;
}

// How the codes of each number are told: by a symbol, or by a table.
static uint8_t *put_tables(struct oto_match_frame_work *work, uint8_t *to)
{
    // Literals' counts, offsets, lengths: the order of the format.
    static const uint8_t kinds[KINDS] = {OF_LITERALS, OF_OFFSETS, OF_LENGTHS};
    uint8_t *modes = to++;
    *modes = 0;
    for (unsigned i = 0; i < KINDS; i++) {
        const uint32_t *counts = work->code_counts[kinds[i]];
        struct oto_match_frame_states *states = &work->states[kinds[i]];
        unsigned symbol_count = 0, distinct_count = 0;
        for (unsigned k = 0; k < OTO_MATCH_FRAME_CODES_MAX; k++) {
            distinct_count += counts[k] != 0;
            symbol_count = counts[k] ? k + 1 : symbol_count;
        }
        *modes = (uint8_t)(*modes | (distinct_count == 1 ? 1 : 2) << (6 - 2 * i));
        if (distinct_count == 1) {
            *to++ = (uint8_t)(symbol_count - 1);
            oto_match_frame_states_of_one(symbol_count - 1, states);
        } else {
            to = oto_match_frame_states_make(counts, symbol_count, log_max[kinds[i]], states, to);
        }
    }
    return to;
}

static uint8_t *put_matches(struct oto_match_frame_work *work,
                            const struct oto_lines_match *matches, size_t count, uint8_t *to)
{
    to = put_sequence_count(count, to);
    if (!count)
        return to;
    to = put_tables(work, to);
#if defined(OTO_X86_64)
    if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
        return put_sequences_bmi2(work->states, matches, count, to);
#endif
    return put_sequences(work->states, matches, count, to);
}

// --- blocks ---
static void put_block_header(uint8_t *at, enum block_type type, size_t size, int is_last)
{
    uint32_t header = (uint32_t)size << 3 | (uint32_t)type << 1 | (uint32_t)is_last;
    at[0] = (uint8_t)header;
    at[1] = (uint8_t)(header >> 8);
    at[2] = (uint8_t)(header >> 16);
}

// A block as it is becomes no longer; the most that one of so many matches takes otherwise.
static size_t block_size_max(size_t literals, size_t count, size_t size)
{
    size_t coded = literals + literals / 2 + 12 * count + 1024;
    return BLOCK_HEADER_BYTES + (coded > size ? coded : size);
}

static enum oto_status put_block(struct framing *f, struct oto_lines_match **match,
                                 const struct oto_lines_match *end, struct oto_buffer *output)
{
    struct oto_lines_match *first = *match;
    struct framing before = *f;
    size_t count = 0, size = gather(f, match, &count);
    if (size == SIZE_MAX)
        return OTO_INVALID;
    int is_last = *match == end;
    if (!size && !is_last)
        return OTO_OK;
    OTO_TRY(oto_buffer_reserve(output, block_size_max(f->work->literal_count, count, size)));
    uint8_t *header = output->data + output->size, *begin = header + BLOCK_HEADER_BYTES, *at;
    at = oto_match_frame_literals(f->work, begin);
    at = put_matches(f->work, first, count, at);
    if ((size_t)(at - begin) < size) {
        put_block_header(header, BLOCK_COMPRESSED, (size_t)(at - begin), is_last);
    } else {
        *f = before; // offsets are remembered by compressed blocks only
        put_block_header(header, BLOCK_RAW, size, is_last);
        if (size)
            memcpy(begin, f->content, size);
        at = begin + size;
    }
    f->content += size;
    output->size = (size_t)(at - output->data);
    return OTO_OK;
}

enum oto_status oto_match_frame(struct oto_bytes content, struct oto_lines_match *matches,
                                size_t count, struct oto_match_frame_work *work,
                                struct oto_buffer *output)
{
    struct framing f = {work, content.data, content.data + content.size, {1, 4, 8}};
    const struct oto_lines_match *end = matches + count;
    size_t before = output->size;
    if (!count || end[-1].offset)
        return OTO_INVALID;
    if (content.size > UINT32_MAX)
        return OTO_TOO_LARGE;
    OTO_TRY(oto_buffer_reserve(output, FRAME_HEADER_BYTES));
    oto_store32(output->data + before, MAGIC);
    output->data[before + 4] = FRAME_DESCRIPTOR;
    oto_store32(output->data + before + 5, (uint32_t)content.size);
    output->size += FRAME_HEADER_BYTES;
    number_ranges(oto_match_literals_bits, COUNT_OF(oto_match_literals_bits), work->literals_codes,
                  COUNT_OF(work->literals_codes));
    number_ranges(oto_match_length_bits, COUNT_OF(oto_match_length_bits), work->lengths_codes,
                  COUNT_OF(work->lengths_codes));
    enum oto_status status = OTO_OK;
    while (status == OTO_OK && matches < end)
        status = put_block(&f, &matches, end, output);
    if (status == OTO_OK && f.content != f.content_end)
        status = OTO_INVALID;
    if (status != OTO_OK)
        output->size = before;
    return status;
}
