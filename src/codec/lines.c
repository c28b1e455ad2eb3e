#include "codec/lines.h"

#define LINES_MIN 256
#define LINE_BYTES_MAX ((size_t)1 << 16)
#define CONTENT_BYTES_MAX ((size_t)1 << 30)
#define MATCH_MIN 4
#define MATCHED_PERCENT_MIN 60 // with less, words repeat that lines do not have in common
#define TRIAL_LINES 2048       // after so many, which had fewer before them to repeat,
#define TRIAL_PERCENT_MIN 30   // so little says that the rest will be no better
#define WORDS_HASHED 3
#define READ_AHEAD 8 // lines with fewer bytes behind them are literals

#define K0 0x8ebc6af09c88c6e3u
#define K1 0x589965cc75374cc3u

typedef uint8_t lanes __attribute__((vector_size(16)));
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

static inline uint64_t shape_step(uint64_t h, lanes v)
{
    v |= (lanes)((lanes)(v - '0') <= 9) & 15; // every digit becomes '?'
    lane_pair w = (lane_pair)v;
    return fold(h ^ w[0], w[1] ^ K1);
}

// The same for lines that differ in digits only.
static uint64_t hash_shape(const uint8_t *at, size_t size)
{
    uint64_t h = size * K0;
    lanes v = {0};
    if (size < sizeof v) {
        if (size)
            memcpy(&v, at, size);
        return shape_step(h, v);
    }
    const uint8_t *last = at + size - sizeof v;
    for (; at < last; at += sizeof v) {
        memcpy(&v, at, sizeof v);
        h = shape_step(h, v);
    }
    memcpy(&v, last, sizeof v);
    return shape_step(h, v);
}

// The highest bit of each byte that is no digit.
static inline uint64_t no_digits(uint64_t word)
{
    const uint64_t each = 0x0101010101010101u;
    word ^= '0' * each;
    return (((word & 0x7F * each) + 0x76 * each) | word) & 0x80 * each;
}

// How many digits stand there. Eight bytes behind `most` can be read, as in what follows.
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

// Matches of a line with another, step by step over the numbers in both, which are as long in lines
// of one shape. There is room for them.
static void lay_over(struct matching *m, const uint8_t *at, size_t size, const uint8_t *from,
                     int is_same_shape)
{
    struct oto_lines_match *first = (void *)(m->matches->data + m->matches->size), *next = first;
    uint32_t literals = m->literals;
    while (size && from < at) {
        size_t same = common(at, from, size);
        if (same >= MATCH_MIN) {
            *next++ = (struct oto_lines_match){(uint32_t)(at - from), literals, (uint32_t)same, 0};
            m->matched += same;
            literals = 0;
        } else {
            literals += (uint32_t)same;
        }
        at += same;
        from += same;
        size -= same;
        size_t digits = digits_at(at, size), others = digits;
        if (!is_same_shape)
            others = digits_at(from, (size_t)(at - from));
        if (!digits && !others)
            break;
        at += digits;
        from += others;
        size -= digits;
        literals += (uint32_t)digits;
    }
    m->literals = literals + (uint32_t)size;
    m->matches->size += (size_t)(next - first) * sizeof *next;
}

static enum oto_status take_line(struct matching *m, size_t offset, size_t size)
{
    const uint8_t *at = m->content + offset;
    uint64_t shape = hash_shape(at, size);
    uint32_t next = 0, here = (uint32_t)offset + 1;
    size_t index = shape >> (64 - OTO_LINES_TABLE_BITS), most = size / (MATCH_MIN + 1) + 1;
    OTO_TRY(oto_buffer_reserve(m->matches, most * sizeof(struct oto_lines_match)));
    int is_same_shape = m->table->shapes[index].tag == (uint32_t)shape;
    if (is_same_shape)
        next = m->table->shapes[index].next;
    m->table->shapes[index].tag = (uint32_t)shape;
    m->table->shapes[index].next = here;
    if (!next) {
        uint64_t words = hash_words(at, size);
        index = words >> (64 - OTO_LINES_TABLE_BITS);
        is_same_shape = 0;
        if (m->table->words[index].tag == (uint32_t)words)
            next = m->table->words[index].next;
        m->table->words[index].tag = (uint32_t)words;
        m->table->words[index].next = here;
    }
    if (next)
        lay_over(m, at, size, m->content + next - 1, is_same_shape);
    else
        m->literals += (uint32_t)size;
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
