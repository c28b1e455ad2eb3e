#include "codec/match_read.h"
#include "base/processor.h"
#include "codec/codes.h"

#define MATCH_MIN 3
#define OFFSET_BITS_MAX 28
#define LONG 0x40u // with the bits of a state's next: its number is none of a short sequence
#define LONG_STATE ((uint64_t)LONG << OTO_MATCH_READ_NEXT_BITS)
#define OTHER_STATE ((uint64_t)0xFFFF << OTO_MATCH_READ_BASE) // of an offset: not the one before
#define TAKE_MAX 56                                           // bits at once
#define VECTOR 16 // bytes copied at once, often more than are wanted
#define SPARE (4 * VECTOR)
#define SHORT_MAX 19 // bytes of a short match; with its literal
#define SHORT_BYTES (SHORT_MAX + 1)

enum { OF_LITERALS, OF_OFFSETS, OF_LENGTHS, KINDS }; // in the order of the format
enum table_mode { TABLE_USUAL = 0, TABLE_OF_ONE = 1, TABLE_DESCRIBED = 2 };

static const uint8_t log_max[KINDS] = {9, 8, 9};

// The tables that the format has for few sequences (3.1.1.3.2.2), which the library takes for pages
// of keys and levels.
#define LESS OTO_MATCH_READ_LESS
static const uint8_t usual_logs[KINDS] = {6, 5, 6};
static const uint16_t usual_shares[KINDS][OTO_MATCH_FRAME_CODES_MAX] = {
    {4, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1, 1,    1,    2,    2,
     2, 2, 2, 2, 2, 2, 2, 3, 2, 1, 1, 1, 1, 1, LESS, LESS, LESS, LESS},
    {1, 1, 1, 1, 1, 1, 2, 2, 2, 1,    1,    1,    1,    1,   1,
     1, 1, 1, 1, 1, 1, 1, 1, 1, LESS, LESS, LESS, LESS, LESS},
    {1, 4, 3, 2, 2, 2, 2, 2, 2, 1, 1,    1,    1,    1,    1,    1,    1,   1,
     1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1,    1,    1,    1,    1,    1,    1,   1,
     1, 1, 1, 1, 1, 1, 1, 1, 1, 1, LESS, LESS, LESS, LESS, LESS, LESS, LESS}};

static const uint8_t code_counts[KINDS] = {36, OFFSET_BITS_MAX + 1, 53};

void oto_match_read_begin(struct oto_match_reader *reader)
{
    static const uint32_t repeated[3] = {1, 4, 8};
    memcpy(reader->repeated, repeated, sizeof repeated);
}

// --- tables ---

// What each code stands for: codes are for ranges, each begins where the one before ends. Those of
// offsets stay codes.
static void number_codes(unsigned kind, uint32_t *bases, uint8_t *bits)
{
    uint32_t base = kind == OF_LENGTHS ? MATCH_MIN : 0;
    for (unsigned code = 0; code < code_counts[kind]; code++) {
        bits[code] = (uint8_t)(kind == OF_OFFSETS   ? code
                               : kind == OF_LENGTHS ? oto_match_length_bits[code]
                                                    : oto_match_literals_bits[code]);
        bases[code] = base;
        base += kind == OF_OFFSETS ? 1 : (uint32_t)1 << bits[code];
    }
}

static enum oto_status take_table(struct oto_bytes *rest, enum table_mode mode, unsigned kind,
                                  struct oto_match_read_table *table)
{
    uint32_t bases[OTO_MATCH_FRAME_CODES_MAX];
    uint8_t bits[OTO_MATCH_FRAME_CODES_MAX];
    uint16_t shares[OTO_MATCH_FRAME_CODES_MAX];
    if (mode == TABLE_DESCRIBED) {
        OTO_MATCH_READ_TRY(
            oto_match_read_shares(rest, log_max[kind], code_counts[kind], shares, &table->log));
        oto_match_read_spread(shares, code_counts[kind], table->log, table->states);
    } else if (mode == TABLE_USUAL) {
        table->log = usual_logs[kind];
        oto_match_read_spread(usual_shares[kind], code_counts[kind], table->log, table->states);
    } else if (mode == TABLE_OF_ONE && rest->size && rest->data[0] < code_counts[kind]) {
        table->log = 0;
        table->states[0] = (uint64_t)rest->data[0] << OTO_MATCH_READ_BASE;
        *rest = oto_bytes(rest->data + 1, rest->size - 1);
    } else {
        return OTO_END;
    }
    number_codes(kind, bases, bits);
    for (unsigned i = 0; i < 1u << table->log; i++) {
        uint64_t state = table->states[i];
        uint32_t code = (uint32_t)(state >> OTO_MATCH_READ_BASE), base = bases[code];
        int is_long = kind == OF_LENGTHS ? base > SHORT_MAX : kind == OF_LITERALS && base != 1;
        table->states[i] = state + bits[code] + ((uint64_t)(base - code) << OTO_MATCH_READ_BASE) +
                           (is_long ? LONG_STATE : 0);
    }
    return OTO_OK;
}

static enum oto_status take_tables(struct oto_match_reader *r, struct oto_bytes *rest)
{
    if (!rest->size || rest->data[0] & 3)
        return OTO_END;
    unsigned modes = rest->data[0];
    *rest = oto_bytes(rest->data + 1, rest->size - 1);
    for (unsigned kind = 0; kind < KINDS; kind++)
        OTO_MATCH_READ_TRY(take_table(rest, modes >> (6 - 2 * kind) & 3, kind, &r->tables[kind]));
    return OTO_OK;
}

static enum oto_status take_sequence_count(struct oto_bytes *rest, uint32_t *ret_count)
{
    const uint8_t *at = rest->data;
    size_t size = !rest->size || at[0] < 128 ? 1 : at[0] < 255 ? 2 : 3;
    if (rest->size < size)
        return OTO_END;
    *ret_count = size == 1   ? at[0]
                 : size == 2 ? (uint32_t)(at[0] - 128) << 8 | at[1]
                             : (uint32_t)at[2] << 8 | at[1];
    *ret_count += size == 3 ? 0x7F00 : 0;
    *rest = oto_bytes(at + size, rest->size - size);
    return size > 1 && !*ret_count ? OTO_END : OTO_OK;
}

// --- sequences ---

struct copying {
    uint8_t *to;
    uint8_t *begin; // of the frame's content
    uint8_t *end;   // of what may be written
    const uint8_t *literals, *literals_end;
};

// The value tells one of the last three offsets, or another. 0: broken.
static inline uint32_t find_offset(uint32_t repeated[3], uint32_t value, uint32_t literals)
{
    uint32_t offset, place = value - (literals != 0); // of 0 to 3
    if (value > 3) {
        offset = value - 3;
        place = 2;
    } else {
        offset = place < 3 ? repeated[place] : repeated[0] - 1;
    }
    if (!place)
        return offset;
    if (place > 1)
        repeated[2] = repeated[1];
    repeated[1] = repeated[0];
    return repeated[0] = offset;
}

// What is repeated doubles with each copy.
static void repeat(uint8_t *to, size_t offset, size_t length)
{
    while (length) {
        size_t some = offset < length ? offset : length;
        memcpy(to, to - offset, some);
        to += some;
        length -= some;
        offset += some;
    }
}

static inline void copy_vectors(uint8_t *to, const uint8_t *from, size_t size)
{
    memcpy(to, from, VECTOR);
    for (size_t done = VECTOR; __builtin_expect(done < size, 0); done += VECTOR)
        memcpy(to + done, from + done, VECTOR);
}

// 0: it does not fit.
__attribute__((always_inline)) static inline int copy_sequence(struct copying *c, size_t literals,
                                                               size_t length, size_t offset)
{
    size_t room = (size_t)(c->end - c->to);
    if (literals > (size_t)(c->literals_end - c->literals) || literals + length > room || !offset ||
        offset > (size_t)(c->to - c->begin) + literals)
        return 0;
    if (offset >= VECTOR && room - literals - length >= SPARE) {
        copy_vectors(c->to, c->literals, literals);
        copy_vectors(c->to + literals, c->to + literals - offset, length);
    } else {
        memcpy(c->to, c->literals, literals);
        repeat(c->to + literals, offset, length);
    }
    c->literals += literals;
    c->to += literals + length;
    return 1;
}

// Whether a code can be had from so far back, and those that follow.
static inline int reaches_codes(const struct copying *c, uint32_t offset)
{
    return offset >= OTO_CODE_BYTES && offset <= (size_t)(c->to - c->begin);
}

// A code of four bytes that differs from another in its lowest, and up to four equal codes: one
// literal and a match. By whole codes, for what was stored in pieces is slow to load as one.
__attribute__((always_inline)) static inline void copy_codes(struct copying *c, uint32_t offset,
                                                             uint32_t length)
{
    uint8_t *to = c->to;
    const uint8_t *from = to - offset;
    oto_store32(to, (oto_load32(from) & 0xFFFFFF00u) | *c->literals++);
    c->to += 1 + length;
    if (length == MATCH_MIN)
        return;
#pragma GCC unroll 4
    for (size_t i = OTO_CODE_BYTES; i < SHORT_BYTES; i += OTO_CODE_BYTES)
        oto_store32(to + i, oto_load32(from + i));
}

struct sequence_states {
    uint64_t literals, offset, length;
};

// What is known while sequences are read.
struct sequences {
    struct copying copying;
    struct oto_match_read_bits bits;
    struct sequence_states states;
    const struct oto_match_read_table *tables;
    uint32_t repeated[3];
    uint32_t count; // that are left
};

static inline unsigned own_bits(uint64_t state)
{
    return (uint8_t)state - ((uint8_t)(state >> OTO_MATCH_READ_NEXT_BITS) & ~LONG);
}

// The lowest bits, which are gone then.
__attribute__((always_inline)) static inline uint64_t lowest(uint64_t *bits, unsigned count)
{
    uint64_t found = *bits & (((uint64_t)1 << count) - 1);
    *bits >>= count;
    return found;
}

static inline uint32_t base_of(uint64_t state)
{
    return (uint32_t)(state >> OTO_MATCH_READ_BASE);
}

static inline uint32_t offset_value(uint64_t state, uint64_t more)
{
    return ((uint32_t)1 << base_of(state)) + (uint32_t)more;
}

// To the state that follows, its number told by the lowest bits.
__attribute__((always_inline)) static inline uint64_t
follow(const struct oto_match_read_table *table, uint64_t state, uint64_t *bits, unsigned mask)
{
    unsigned count = (uint8_t)(state >> OTO_MATCH_READ_NEXT_BITS) & mask;
    return (table->states + (state >> OTO_MATCH_READ_NEXT))[lowest(bits, count)];
}

__attribute__((always_inline)) static inline void
follow_all(const struct oto_match_read_table *tables, struct sequence_states *s, uint64_t *bits,
           unsigned mask)
{
    s->offset = follow(&tables[OF_OFFSETS], s->offset, bits, mask);
    s->length = follow(&tables[OF_LENGTHS], s->length, bits, mask);
    s->literals = follow(&tables[OF_LITERALS], s->literals, bits, mask);
}

// A sequence of any kind: bits of the offset, the length, the literals; then those of the states
// that follow, if any do. 0: broken.
__attribute__((always_inline)) static inline int read_any(struct copying *c,
                                                          struct oto_match_read_bits *b,
                                                          struct sequence_states *s,
                                                          struct sequences *all, int is_last)
{
    struct sequence_states now = *s;
    unsigned count = (uint8_t)(now.literals + now.length + now.offset), far = own_bits(now.offset);
    uint64_t bits, more = 0;
    if (is_last)
        count = own_bits(now.literals) + own_bits(now.length) + far;
    if (__builtin_expect(count > TAKE_MAX, 0)) {
        more = oto_match_read_take(b, far);
        count -= far;
        if (count > TAKE_MAX || b->left < 0)
            return 0;
    }
    bits = oto_match_read_take(b, count);
    if (b->left < 0)
        return 0;
    if (!is_last)
        follow_all(all->tables, s, &bits, (uint8_t)~LONG);
    uint32_t literals = base_of(now.literals) + (uint32_t)lowest(&bits, own_bits(now.literals));
    uint32_t length = base_of(now.length) + (uint32_t)lowest(&bits, own_bits(now.length));
    uint32_t value = offset_value(now.offset, bits + more);
    return copy_sequence(c, literals, length, find_offset(all->repeated, value, literals));
}

// One at least, but the last, and all that are not short. 0: broken.
__attribute__((always_inline)) static inline int read_long(struct sequences *all)
{
    struct copying c = all->copying;
    struct oto_match_read_bits b = all->bits;
    struct sequence_states s = all->states;
    uint32_t left = all->count;
    do {
        if (!read_any(&c, &b, &s, all, 0))
            return 0;
        left--;
    } while (left > 1 && ((s.literals | s.length) & LONG_STATE));
    all->copying = c;
    all->bits = b;
    all->states = s;
    all->count = left;
    return 1;
}

// How many short sequences may come without a look at what is left.
static inline uint32_t safe_count(const struct sequences *all)
{
    const struct copying *c = &all->copying;
    size_t room = (size_t)(c->end - c->to) / (2 * VECTOR), most = all->count - 1;
    size_t literals = (size_t)(c->literals_end - c->literals);
    most = room < most ? room : most;
    most = literals < most ? literals : most;
    return reaches_codes(c, all->repeated[0]) ? (uint32_t)most : 0;
}

// Those of one literal and a short match that come next, while there is room for any. 0: broken.
__attribute__((always_inline)) static inline int read_short(struct sequences *all)
{
    struct copying c = all->copying;
    struct oto_match_read_bits b = all->bits;
    struct sequence_states s = all->states;
    const struct oto_match_read_table *tables = all->tables;
    uint32_t most = safe_count(all), left = most, offset = all->repeated[0];
    for (; left; left--) {
        uint64_t sum = s.literals + s.length + s.offset, is_other = s.offset & OTHER_STATE;
        if (sum & 3 * LONG_STATE)
            break;
        uint32_t length = base_of(s.length), code = base_of(s.offset);
        uint64_t bits = oto_match_read_take(&b, (uint8_t)sum);
        if (__builtin_expect(b.left < 0, 0))
            return 0;
        follow_all(tables, &s, &bits, 0xFF);
        if (is_other) {
            offset = find_offset(all->repeated, ((uint32_t)1 << code) + (uint32_t)bits, 1);
            if (!reaches_codes(&c, offset)) {
                if (!copy_sequence(&c, 1, length, offset))
                    return 0;
                left--;
                break;
            }
        }
        copy_codes(&c, offset, length);
    }
    all->copying = c;
    all->bits = b;
    all->states = s;
    all->count -= most - left;
    return 1;
}

// 0: broken.
__attribute__((always_inline)) static inline int read_sequences(struct sequences *all)
{
    const struct oto_match_read_table *tables = all->tables;
    struct oto_match_read_bits *b = &all->bits;
    struct sequence_states *s = &all->states;
    s->literals = tables[OF_LITERALS].states[oto_match_read_take(b, tables[OF_LITERALS].log)];
    s->offset = tables[OF_OFFSETS].states[oto_match_read_take(b, tables[OF_OFFSETS].log)];
    s->length = tables[OF_LENGTHS].states[oto_match_read_take(b, tables[OF_LENGTHS].log)];
    if (b->left < 0)
        return 0;
    for (;;) {
        if (!read_short(all))
            return 0;
        if (all->count == 1)
            return read_any(&all->copying, b, s, all, 1) && b->left == 0;
        if (!read_long(all))
            return 0;
    }
}

#if defined(OTO_X86_64)
__attribute__((target("bmi,bmi2"))) static int read_sequences_bmi2(struct sequences *all)
{
    return read_sequences(all);
}
#endif

static int read_all(struct sequences *all)
{
#if defined(OTO_X86_64)
    if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
        return read_sequences_bmi2(all);
#endif
    return read_sequences(all);
}

// --- a block ---

static enum oto_status read_matches(struct oto_match_reader *r, struct oto_bytes rest,
                                    struct copying *c)
{
    struct sequences all = {.copying = *c, .tables = r->tables};
    OTO_MATCH_READ_TRY(take_sequence_count(&rest, &all.count));
    if (!all.count)
        return rest.size ? OTO_END : OTO_OK;
    OTO_MATCH_READ_TRY(take_tables(r, &rest));
    OTO_MATCH_READ_TRY(oto_match_read_bits_begin(&all.bits, rest.data, rest.size));
    memcpy(all.repeated, r->repeated, sizeof all.repeated);
    if (!read_all(&all))
        return OTO_END;
    memcpy(r->repeated, all.repeated, sizeof all.repeated);
    *c = all.copying;
    return OTO_OK;
}

enum oto_status oto_match_read_block(struct oto_match_reader *reader, struct oto_bytes block,
                                     size_t begin, size_t content_size, struct oto_buffer *output)
{
    size_t before = output->size, left = content_size - (before - begin);
    size_t room = left < OTO_LINES_BLOCK_MAX + SPARE ? left : OTO_LINES_BLOCK_MAX + SPARE;
    if (before - begin > content_size)
        return OTO_END;
    OTO_MATCH_READ_TRY(oto_match_read_literals(reader, &block));
    OTO_TRY(oto_buffer_reserve(output, room + !room));
    struct copying c = {.to = output->data + before,
                        .begin = output->data + begin,
                        .end = output->data + before + room,
                        .literals = reader->literals,
                        .literals_end = reader->literals + reader->literal_count};
    OTO_MATCH_READ_TRY(read_matches(reader, block, &c));
    size_t literals = (size_t)(c.literals_end - c.literals);
    if (literals > (size_t)(c.end - c.to))
        return OTO_END;
    memcpy(c.to, c.literals, literals);
    size_t size = (size_t)(c.to - output->data) + literals - before;
    if (size > OTO_LINES_BLOCK_MAX)
        return OTO_END;
    output->size += size;
    return OTO_OK;
}
