#include "codec/lines.h"
#include "base/processor.h"

#define LINES_MIN 256
#define LINE_BYTES_MAX ((size_t)1 << 16)
#define CONTENT_BYTES_MAX ((size_t)1 << 30)
#define MATCH_MIN 4
#define MATCHED_PERCENT_MIN 60 // with less, words repeat that lines do not have in common
#define TRIAL_LINES 2048       // after so many, which had fewer before them to repeat,
#define TRIAL_PERCENT_MIN 30   // so little says that the rest will be no better
#define WORDS_HASHED 3
#define STEP 64         // bytes looked at together
#define READ_AHEAD STEP // lines with fewer bytes behind them are literals

#define K0 0x8ebc6af09c88c6e3u
#define K1 0x589965cc75374cc3u

typedef uint8_t lanes __attribute__((vector_size(16)));
typedef uint16_t wide_lanes __attribute__((vector_size(16)));
typedef uint64_t lane_pair __attribute__((vector_size(16)));

struct matching {
    const uint8_t *content;
    struct oto_lines_table *table;
    struct oto_buffer *matches;
    uint32_t literals; // since the last match
    size_t matched;    // bytes
    size_t block;      // where it began
};

static inline uint64_t fold(uint64_t a, uint64_t b)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    return (uint64_t)product ^ (uint64_t)(product >> 64);
}

// Lines of many sizes are told apart without branches: 64 bytes at a time, those behind the end
// masked.
static const uint8_t window[2 * STEP] = {
#define FF8 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF
    FF8, FF8, FF8, FF8, FF8, FF8, FF8, FF8,
#undef FF8
};

// Odd, so that two lines with a difference within 16 bytes never give the same sum.
static const uint16_t factors[STEP / sizeof(lanes)] = {0x9E37, 0x79B1, 0x85EB, 0xCA6B};

static inline lanes lanes_load(const uint8_t *at)
{
    lanes v;
    memcpy(&v, at, sizeof v);
    return v;
}

// The same for lines that differ in digits only.
static uint64_t hash_shape(const uint8_t *at, size_t size)
{
    uint64_t h = size * K0;
    for (;; at += STEP, size -= STEP) {
        const uint8_t *mask = window + STEP - (size < STEP ? size : STEP);
        wide_lanes sum = {0};
#pragma GCC unroll 4
        for (unsigned i = 0; i < STEP; i += sizeof(lanes)) {
            lanes v = lanes_load(at + i);
            v |= (lanes)((lanes)(v - '0') <= 9) & 15; // every digit becomes '?'
            sum += (wide_lanes)(v & lanes_load(mask + i)) * factors[i / sizeof(lanes)];
        }
        h = fold(h ^ ((lane_pair)sum)[0], ((lane_pair)sum)[1] ^ K1);
        if (size <= STEP)
            return h;
    }
}

// The highest bit of each byte that is no digit.
static inline uint64_t no_digits(uint64_t word)
{
    const uint64_t each = 0x0101010101010101u;
    word ^= '0' * each;
    return (((word & 0x7F * each) + 0x76 * each) | word) & 0x80 * each;
}

struct oto_lines_masks oto_lines_compare_plain(const uint8_t *a, const uint8_t *b)
{
    const uint64_t each = 0x0101010101010101u, top = 0x80 * each;
    struct oto_lines_masks masks = {0, 0};
    for (unsigned i = 0; i < STEP; i += 8) {
        uint64_t differ = oto_load64(a + i) ^ oto_load64(b + i);
        uint64_t equal = ~(((differ & 0x7F * each) + 0x7F * each) | differ) & top;
        uint64_t others = no_digits(oto_load64(a + i));
        masks.equal |= ((equal >> 7) * 0x0102040810204080u >> 56) << i;
        masks.no_digits |= ((others >> 7) * 0x0102040810204080u >> 56) << i;
    }
    return masks;
}

static inline struct oto_lines_masks compare(const uint8_t *a, const uint8_t *b)
{
#if defined(OTO_SSE2)
    typedef char chars __attribute__((vector_size(16)));
    struct oto_lines_masks masks = {0, 0};
#pragma GCC unroll 4
    for (unsigned i = 0; i < STEP; i += sizeof(lanes)) {
        lanes v = lanes_load(a + i);
        chars equal = (chars)(v == lanes_load(b + i)), others = (chars)((lanes)(v - '0') > 9);
        masks.equal |= (uint64_t)(unsigned)__builtin_ia32_pmovmskb128(equal) << i;
        masks.no_digits |= (uint64_t)(unsigned)__builtin_ia32_pmovmskb128(others) << i;
    }
    return masks;
#else
    return oto_lines_compare_plain(a, b);
#endif
}

// How many digits stand there.
static inline size_t digits_at(const uint8_t *at, size_t most)
{
    for (size_t count = 0; count < most; count += 8) {
        uint64_t others = no_digits(oto_load64(at + count));
        if (others) {
            count += (unsigned)__builtin_ctzll(others) / 8;
            return count < most ? count : most;
        }
    }
    return most;
}

// How many bytes agree.
static inline size_t common(const uint8_t *a, const uint8_t *b, size_t most)
{
    for (size_t count = 0; count < most; count += 8) {
        uint64_t differ = oto_load64(a + count) ^ oto_load64(b + count);
        if (differ) {
            count += (unsigned)__builtin_ctzll(differ) / 8;
            return count < most ? count : most;
        }
    }
    return most;
}

// The same for lines that begin with the same words, whatever the numbers between them.
static uint64_t hash_words(const uint8_t *at, size_t size)
{
    uint64_t h = K0;
    for (int i = 0; i < WORDS_HASHED && size; i++) {
        size_t some = 8;
        for (; some == 8 && size; at += some, size -= some) {
            uint64_t word = oto_load64(at), digits = ~no_digits(word) & 0x8080808080808080u;
            some = digits ? (unsigned)__builtin_ctzll(digits) / 8 : 8;
            some = some < size ? some : size;
            h = fold(h ^ (some < 8 ? word & (((uint64_t)1 << 8 * some) - 1) : word), K1);
        }
        some = digits_at(at, size);
        at += some;
        size -= some;
    }
    return h;
}

// Where matches are put; there is room for them.
struct cursor {
    struct oto_lines_match *next;
    struct oto_lines_match *first; // of the line
    uint32_t literals;
    size_t matched;
};

static inline void put_match(struct cursor *to, size_t offset, size_t size)
{
    to->matched += size;
    if (!to->literals && to->next > to->first && to->next[-1].offset == offset) {
        to->next[-1].length += (uint32_t)size;
        return;
    }
    *to->next++ = (struct oto_lines_match){(uint32_t)offset, to->literals, (uint32_t)size, 0};
    to->literals = 0;
}

// Matches of a line with one of its shape: wherever some bytes in a row are equal, from a byte on
// that is no digit: those begin at the same places of every line, which zstd writes shorter.
static void lay_over_same(struct cursor *to, const uint8_t *at, size_t size, const uint8_t *from)
{
    for (size_t done = 0; done < size;) {
        unsigned some = size - done < STEP ? (unsigned)(size - done) : STEP, begin = 0;
        struct oto_lines_masks masks = compare(at + done, from + done);
        uint64_t equal = masks.equal;
        if (some == STEP) // what is equal up to the end is looked at with what follows it
            some -= ~equal ? (unsigned)__builtin_clzll(~equal) : 0;
        if (some < STEP)
            equal &= ((uint64_t)1 << some) - 1;
        uint64_t starts = equal & equal >> 1;
        starts &= starts >> 2 & masks.no_digits;
        while (starts) {
            unsigned start = (unsigned)__builtin_ctzll(starts);
            uint64_t others = ~(equal >> start);
            unsigned run = others ? (unsigned)__builtin_ctzll(others) : STEP;
            to->literals += start - begin;
            put_match(to, (size_t)(at - from), run);
            begin = start + run;
            starts = begin < STEP ? starts & UINT64_MAX << begin : 0;
        }
        to->literals += some - begin;
        done += some;
    }
}

// Matches of a line with any other, step by step over the numbers in both.
static void lay_over(struct cursor *to, const uint8_t *at, size_t size, const uint8_t *from)
{
    while (size && from < at) {
        size_t same = common(at, from, size);
        if (same >= MATCH_MIN)
            put_match(to, (size_t)(at - from), same);
        else
            to->literals += (uint32_t)same;
        at += same;
        from += same;
        size -= same;
        size_t digits = digits_at(at, size), others = digits_at(from, (size_t)(at - from));
        if (!digits && !others)
            break;
        at += digits;
        from += others;
        size -= digits;
        to->literals += (uint32_t)digits;
    }
    to->literals += (uint32_t)size;
}

// Looks for an earlier line, and notes this one. 0: there is none; else the byte after its first.
static inline uint32_t take_slot(struct oto_lines_slot *slots, uint64_t hash, uint32_t here)
{
    struct oto_lines_slot *slot = &slots[hash >> (64 - OTO_LINES_TABLE_BITS)];
    uint32_t found = slot->tag == (uint32_t)hash ? slot->next : 0;
    *slot = (struct oto_lines_slot){(uint32_t)hash, here};
    return found;
}

static enum oto_status take_line(struct matching *m, size_t offset, size_t size)
{
    const uint8_t *at = m->content + offset;
    uint32_t here = (uint32_t)offset + 1;
    OTO_TRY(oto_buffer_reserve(m->matches,
                               (size / (MATCH_MIN + 1) + 1) * sizeof(struct oto_lines_match)));
    struct oto_lines_match *first = (void *)(m->matches->data + m->matches->size);
    struct cursor to = {first, first, m->literals, 0};
    uint32_t next = take_slot(m->table->shapes, hash_shape(at, size), here);
    if (next) {
        lay_over_same(&to, at, size, m->content + next - 1);
    } else {
        next = take_slot(m->table->words, hash_words(at, size), here);
        lay_over(&to, at, size, next ? m->content + next - 1 : at);
    }
    m->matched += to.matched;
    m->literals = to.literals;
    m->matches->size = (size_t)((uint8_t *)to.next - m->matches->data);
    return OTO_OK;
}

static enum oto_status end_block(struct matching *m, size_t at)
{
    OTO_TRY(oto_buffer_reserve(m->matches, sizeof(struct oto_lines_match)));
    struct oto_lines_match *next = (void *)(m->matches->data + m->matches->size);
    *next = (struct oto_lines_match){0, m->literals, 0, 0};
    m->matches->size += sizeof *next;
    m->literals = 0;
    m->block = at;
    return OTO_OK;
}

// What is not lines: blocks of their own, without matches.
static enum oto_status take_other(struct matching *m, size_t from, size_t to)
{
    while (from < to) {
        size_t some = to - from < OTO_LINES_BLOCK_MAX ? to - from : OTO_LINES_BLOCK_MAX;
        m->literals = (uint32_t)some;
        from += some;
        OTO_TRY(end_block(m, from));
    }
    return OTO_OK;
}

enum oto_status oto_lines_match(struct oto_bytes content, const struct oto_lines *lines,
                                struct oto_lines_table *table, struct oto_buffer *matches,
                                int *ret_pays)
{
    struct matching m = {.content = content.data, .table = table, .matches = matches};

    size_t at = lines->head_size;
    *ret_pays = 0;
    if (lines->count < LINES_MIN || content.size > CONTENT_BYTES_MAX)
        return OTO_OK;
    if (at > content.size)
        return OTO_INVALID;
    memset(table, 0, sizeof *table);
    OTO_TRY(take_other(&m, 0, at));
    for (size_t i = 0; i < lines->count; i++) {
        size_t size, left = content.size - at;
        if (lines->sizes)
            size = (size_t)lines->sizes[i];
        else
            size = left < 4 ? SIZE_MAX : 4 + (size_t)oto_load32(content.data + at);
        if (size > left)
            return OTO_INVALID;
        if (size > LINE_BYTES_MAX)
            return OTO_OK;
        if (i == TRIAL_LINES && m.matched < (at - lines->head_size) / 100 * TRIAL_PERCENT_MIN)
            return OTO_OK;
        if (at + size - m.block > OTO_LINES_BLOCK_MAX)
            OTO_TRY(end_block(&m, at));
        if (left - size >= READ_AHEAD)
            OTO_TRY(take_line(&m, at, size));
        else
            m.literals += (uint32_t)size;
        at += size;
    }
    OTO_TRY(end_block(&m, at));
    *ret_pays = m.matched >= (at - lines->head_size) / 100 * MATCHED_PERCENT_MIN;
    return take_other(&m, at, content.size);
}
