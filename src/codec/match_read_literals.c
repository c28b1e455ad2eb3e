// Tables of states and literals as match_states.c and match_literals.c describe them.
#include "base/processor.h"
#include "codec/match_read.h"

#define LOG_MIN 5
#define WEIGHT_LOG_MAX 6
#define WEIGHTS (OTO_MATCH_READ_CODE_BITS_MAX + 1)
#define DIRECT_WEIGHTS 128
#define STREAMS 4
#define CODES_MIN 64 // fewer literals have none
#define JUMP_BYTES 6
#define SECTION_BYTES 5
#define TURN 5 // literals that 57 bits are enough for

enum literals_type { LITERALS_RAW = 0, LITERALS_SAME = 1, LITERALS_CODED = 2 };

static unsigned highest_bit(uint32_t value)
{
    return 31 - (unsigned)__builtin_clz(value);
}

// Up to 16 bits from one on; beyond the end they are 0.
static uint32_t bits_at(struct oto_bytes bytes, size_t bit)
{
    uint32_t found = 0;
    for (size_t i = 0; i < 3 && bit / 8 + i < bytes.size; i++)
        found |= (uint32_t)bytes.data[bit / 8 + i] << 8 * i;
    return found >> bit % 8;
}

enum oto_status oto_match_read_shares(struct oto_bytes *rest, unsigned log_max,
                                      unsigned symbol_count, uint16_t *shares, unsigned *ret_log)
{
    unsigned log = LOG_MIN + (bits_at(*rest, 0) & 15), symbol = 0;
    size_t bit = 4;
    if (log > log_max)
        return OTO_END;
    memset(shares, 0, symbol_count * sizeof *shares);
    for (uint32_t left = ((uint32_t)1 << log) + 1; left > 1;) {
        unsigned width = highest_bit(left) + 1;
        uint32_t half = (uint32_t)1 << (width - 1), short_count = 2 * half - 1 - left;
        uint32_t bits = bits_at(*rest, bit), value = bits & (half - 1);
        if (value < short_count) {
            bit += width - 1;
        } else {
            value = bits & (2 * half - 1);
            value -= value >= half ? short_count : 0;
            bit += width;
        }
        // 0 would be a share below one, which our writer does not give.
        if (!value || value > left || symbol == symbol_count)
            return OTO_END;
        left -= value - 1;
        shares[symbol++] = (uint16_t)(value - 1);
        for (unsigned zeros = value == 1 ? 3 : 0; zeros == 3; bit += 2) {
            zeros = bits_at(*rest, bit) & 3;
            symbol += zeros;
            if (symbol > symbol_count)
                return OTO_END;
        }
    }
    size_t size = (bit + 7) / 8;
    if (size > rest->size)
        return OTO_END;
    *rest = oto_bytes(rest->data + size, rest->size - size);
    *ret_log = log;
    return OTO_OK;
}

void oto_match_read_spread(const uint16_t *shares, unsigned symbol_count, unsigned log,
                           uint64_t *states)
{
    uint32_t size = (uint32_t)1 << log, step = (size >> 1) + (size >> 3) + 3, at = 0;
    uint32_t end = size; // of the states that are spread
    uint16_t next[OTO_MATCH_FRAME_CODES_MAX];
    for (unsigned i = 0; i < symbol_count; i++) {
        next[i] = shares[i] == OTO_MATCH_READ_LESS ? 1 : shares[i];
        if (shares[i] == OTO_MATCH_READ_LESS)
            states[--end] = i;
    }
    for (unsigned i = 0; i < symbol_count; i++) {
        for (unsigned k = shares[i] == OTO_MATCH_READ_LESS ? 0 : shares[i]; k; k--) {
            states[at] = i;
            do
                at = (at + step) & (size - 1);
            while (at >= end);
        }
    }
    for (uint32_t i = 0; i < size; i++) {
        uint64_t symbol = states[i];
        uint32_t number = next[symbol]++, bits = log - highest_bit(number);
        states[i] = symbol << OTO_MATCH_READ_BASE |
                    (uint64_t)((number << bits) - size) << OTO_MATCH_READ_NEXT |
                    bits << OTO_MATCH_READ_NEXT_BITS | bits;
    }
}

// --- codes of literals ---

// Two states in turns, until no bits are left for the next one.
static enum oto_status read_weights(struct oto_bytes coded, uint8_t *weights, unsigned *ret_count)
{
    uint64_t states[1 << WEIGHT_LOG_MAX], turns[2];
    struct oto_match_read_bits b = {0};
    uint16_t shares[WEIGHTS];
    unsigned log = 0, count = 0;
    OTO_MATCH_READ_TRY(oto_match_read_shares(&coded, WEIGHT_LOG_MAX, WEIGHTS, shares, &log));
    OTO_MATCH_READ_TRY(oto_match_read_bits_begin(&b, coded.data, coded.size));
    if (b.left < 2 * (ptrdiff_t)log)
        return OTO_END;
    oto_match_read_spread(shares, WEIGHTS, log, states);
    turns[0] = states[oto_match_read_take(&b, log)];
    turns[1] = states[oto_match_read_take(&b, log)];
    for (;; count++) {
        uint64_t state = turns[count & 1];
        unsigned bits = (uint8_t)state;
        if (count + 2 > 255)
            return OTO_END;
        weights[count] = (uint8_t)(state >> OTO_MATCH_READ_BASE);
        if (b.left < (ptrdiff_t)bits)
            break;
        turns[count & 1] = states[(state >> OTO_MATCH_READ_NEXT) + oto_match_read_take(&b, bits)];
    }
    weights[count + 1] = (uint8_t)(turns[~count & 1] >> OTO_MATCH_READ_BASE);
    *ret_count = count + 2;
    return b.left ? OTO_END : OTO_OK;
}

static enum oto_status take_weights(struct oto_bytes *rest, uint8_t *weights, unsigned *ret_count)
{
    if (!rest->size)
        return OTO_END;
    unsigned head = rest->data[0], count = head - (DIRECT_WEIGHTS - 1);
    size_t size = head < DIRECT_WEIGHTS ? head : (count + 1) / 2;
    struct oto_bytes coded = oto_bytes(rest->data + 1, size);
    if (size > rest->size - 1)
        return OTO_END;
    *rest = oto_bytes(rest->data + 1 + size, rest->size - 1 - size);
    if (head < DIRECT_WEIGHTS)
        return read_weights(coded, weights, ret_count);
    for (unsigned i = 0; i < count; i++)
        weights[i] = i % 2 ? coded.data[i / 2] & 15 : coded.data[i / 2] >> 4;
    *ret_count = count;
    return OTO_OK;
}

// The last weight makes the sum of all shares a power of two. Returns the longest code's bits; 0:
// these are none of ours.
static unsigned complete_weights(uint8_t *weights, unsigned count, unsigned *numbers)
{
    uint32_t sum = 0;
    for (unsigned i = 0; i < count; i++) {
        if (weights[i] >= WEIGHTS)
            return 0;
        numbers[weights[i]]++;
        sum += (uint32_t)1 << weights[i] >> 1;
    }
    if (!sum)
        return 0;
    unsigned longest = highest_bit(sum) + 1;
    uint32_t left = ((uint32_t)1 << longest) - sum;
    if (longest > OTO_MATCH_READ_CODE_BITS_MAX || (left & (left - 1)))
        return 0;
    weights[count] = (uint8_t)(highest_bit(left) + 1);
    numbers[weights[count]]++;
    return numbers[1] >= 2 ? longest : 0;
}

// Takes the description of codes, and says for each beginning of longest bits which literal it is.
static enum oto_status take_codes(struct oto_match_reader *r, struct oto_bytes *rest,
                                  unsigned *ret_longest)
{
    uint8_t weights[257];
    unsigned count = 0, numbers[WEIGHTS + 1] = {0}, first[WEIGHTS + 1] = {0};
    OTO_MATCH_READ_TRY(take_weights(rest, weights, &count));
    unsigned longest = complete_weights(weights, count, numbers);
    if (!longest)
        return OTO_END;
    for (unsigned weight = 1; weight < WEIGHTS; weight++)
        first[weight + 1] = first[weight] + (numbers[weight] << weight >> 1);
    for (unsigned i = 0; i <= count; i++) {
        unsigned weight = weights[i], size = 1u << weight >> 1;
        uint16_t symbol = (uint16_t)(i << 8 | (longest + 1 - weight));
        for (unsigned k = 0; k < size; k++)
            r->symbols[first[weight] + k] = symbol;
        first[weight] += size;
    }
    *ret_longest = longest;
    return OTO_OK;
}

// --- streams ---

struct streams {
    struct oto_match_read_bits bits[STREAMS];
    uint8_t *to[STREAMS];
    uint32_t counts[STREAMS];
};

__attribute__((always_inline)) static inline uint64_t
read_literal(const uint16_t *symbols, unsigned shift, uint64_t bits, unsigned *taken, uint8_t *to)
{
    unsigned symbol = symbols[bits >> shift], count = symbol & 0xFF;
    *to = (uint8_t)(symbol >> 8);
    *taken += count;
    return bits << count;
}

// All four side by side: each literal waits for the one before it. turns: of TURN literals each.
__attribute__((always_inline)) static inline enum oto_status
read_side_by_side(struct streams *s, const uint16_t *symbols, unsigned shift, uint32_t turns)
{
    struct oto_match_read_bits a = s->bits[0], b = s->bits[1], c = s->bits[2], d = s->bits[3];
    uint8_t *to = s->to[0];
    ptrdiff_t each = s->to[1] - to;
    for (; turns; turns--, to += TURN) {
        uint64_t p = oto_match_read_peek(&a), q = oto_match_read_peek(&b),
                 u = oto_match_read_peek(&c), v = oto_match_read_peek(&d);
        unsigned taken[STREAMS] = {0};
#pragma GCC unroll 5
        for (int i = 0; i < TURN; i++) {
            p = read_literal(symbols, shift, p, &taken[0], to + i);
            q = read_literal(symbols, shift, q, &taken[1], to + each + i);
            u = read_literal(symbols, shift, u, &taken[2], to + 2 * each + i);
            v = read_literal(symbols, shift, v, &taken[3], to + 3 * each + i);
        }
        a.left -= taken[0];
        b.left -= taken[1];
        c.left -= taken[2];
        d.left -= taken[3];
        if ((a.left | b.left | c.left | d.left) < 0)
            return OTO_END;
    }
    s->bits[0] = a, s->bits[1] = b, s->bits[2] = c, s->bits[3] = d;
    return OTO_OK;
}

#if defined(OTO_X86_64)
__attribute__((target("bmi,bmi2"))) static enum oto_status
read_side_by_side_bmi2(struct streams *s, const uint16_t *symbols, unsigned shift, uint32_t turns)
{
    return read_side_by_side(s, symbols, shift, turns);
}
#endif

static enum oto_status read_most(struct streams *s, const uint16_t *symbols, unsigned shift,
                                 uint32_t turns)
{
#if defined(OTO_X86_64)
    if (__builtin_cpu_supports("bmi") && __builtin_cpu_supports("bmi2"))
        return read_side_by_side_bmi2(s, symbols, shift, turns);
#endif
    return read_side_by_side(s, symbols, shift, turns);
}

static enum oto_status read_streams(struct streams *s, const uint16_t *symbols, unsigned longest)
{
    unsigned shift = 64 - longest;
    uint32_t turns = s->counts[STREAMS - 1] / TURN; // the least
    OTO_MATCH_READ_TRY(read_most(s, symbols, shift, turns));
    for (unsigned i = 0; i < STREAMS; i++) {
        struct oto_match_read_bits *b = &s->bits[i];
        for (uint32_t k = turns * TURN; k < s->counts[i]; k++) {
            unsigned taken = 0;
            (void)read_literal(symbols, shift, oto_match_read_peek(b), &taken, s->to[i] + k);
            b->left -= taken;
            if (b->left < 0)
                return OTO_END;
        }
        if (b->left)
            return OTO_END;
    }
    return OTO_OK;
}

// Their sizes, but for the last one's, are in front of them.
static enum oto_status begin_streams(struct oto_match_reader *r, struct oto_bytes coded,
                                     struct streams *s)
{
    uint32_t count = r->literal_count, each = (count + STREAMS - 1) / STREAMS;
    if (coded.size < JUMP_BYTES)
        return OTO_END;
    size_t left = coded.size - JUMP_BYTES;
    const uint8_t *at = coded.data + JUMP_BYTES;
    for (unsigned i = 0; i < STREAMS; i++) {
        size_t size = i < STREAMS - 1 ? oto_load16(coded.data + 2 * i) : left;
        if (size > left)
            return OTO_END;
        OTO_MATCH_READ_TRY(oto_match_read_bits_begin(&s->bits[i], at, size));
        s->to[i] = r->literals + (size_t)i * each;
        s->counts[i] = i < STREAMS - 1 ? each : count - i * each;
        at += size;
        left -= size;
    }
    return OTO_OK;
}

static enum oto_status take_coded(struct oto_match_reader *r, struct oto_bytes *rest)
{
    if (rest->size < SECTION_BYTES)
        return OTO_END;
    uint64_t header = oto_load32(rest->data) | (uint64_t)rest->data[4] << 32;
    size_t count = header >> 4 & 0x3FFFF, size = (size_t)(header >> 22);
    struct oto_bytes coded = oto_bytes(rest->data + SECTION_BYTES, size);
    struct streams s = {0};
    unsigned longest = 0;
    if ((header >> 2 & 3) != 3 || count < CODES_MIN || count > OTO_LINES_BLOCK_MAX ||
        size > rest->size - SECTION_BYTES)
        return OTO_END;
    *rest = oto_bytes(coded.data + size, rest->size - SECTION_BYTES - size);
    r->literal_count = (uint32_t)count;
    OTO_MATCH_READ_TRY(take_codes(r, &coded, &longest));
    OTO_MATCH_READ_TRY(begin_streams(r, coded, &s));
    return read_streams(&s, r->symbols, longest);
}

// As they are, or all the same.
static enum oto_status take_plain(struct oto_match_reader *r, struct oto_bytes *rest)
{
    enum literals_type type = rest->data[0] & 3;
    unsigned form = rest->data[0] >> 2 & 3, head = form == 3 ? 3 : form == 1 ? 2 : 1;
    uint32_t header = 0;
    if (rest->size < head)
        return OTO_END;
    for (unsigned i = 0; i < head; i++)
        header |= (uint32_t)rest->data[i] << 8 * i;
    uint32_t count = header >> (head == 1 ? 3 : 4), stored = type == LITERALS_SAME ? 1 : count;
    const uint8_t *from = rest->data + head;
    if (count > OTO_LINES_BLOCK_MAX || stored > rest->size - head)
        return OTO_END;
    if (type == LITERALS_SAME)
        memset(r->literals, *from, count);
    else
        memcpy(r->literals, from, count);
    r->literal_count = count;
    *rest = oto_bytes(from + stored, rest->size - head - stored);
    return OTO_OK;
}

enum oto_status oto_match_read_literals(struct oto_match_reader *reader, struct oto_bytes *rest)
{
    unsigned type = rest->size ? rest->data[0] & 3 : LITERALS_CODED + 1;
    if (type > LITERALS_CODED)
        return OTO_END;
    return type == LITERALS_CODED ? take_coded(reader, rest) : take_plain(reader, rest);
}
