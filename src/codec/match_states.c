// Tables of states (RFC 8878, 4.1): each symbol has a share of the states, and being in one of them
// says which symbol it is and how many bits tell where to go on.
#include "codec/match_frame.h"

#define LOG_MIN 5

static unsigned highest_bit(uint32_t value)
{
    return 31 - (unsigned)__builtin_clz(value);
}

// Few values need no fine shares; but each symbol needs one.
static unsigned choose_log(uint32_t total, unsigned symbol_count, unsigned log_max)
{
    unsigned by_total = highest_bit(total), least = highest_bit(symbol_count) + 2;
    unsigned log = by_total > 2 ? by_total - 2 : 0;
    log = log < least ? least : log;
    log = log < LOG_MIN ? LOG_MIN : log;
    return log < log_max ? log : log_max;
}

static unsigned largest(const uint16_t *shares, unsigned symbol_count)
{
    unsigned found = 0;
    for (unsigned i = 1; i < symbol_count; i++)
        found = shares[i] > shares[found] ? i : found;
    return found;
}

// In proportion to the counts, with at least one for what occurs.
static void share_states(const uint32_t *counts, unsigned symbol_count, uint32_t total,
                         struct oto_match_frame_states *states)
{
    int32_t left = (int32_t)1 << states->log;
    for (unsigned i = 0; i < symbol_count; i++) {
        uint64_t twice = ((uint64_t)counts[i] << (states->log + 1)) / total;
        uint16_t share = (uint16_t)((twice + 1) / 2);
        states->shares[i] = !counts[i] ? 0 : share ? share : 1;
        left -= states->shares[i];
    }
    for (; left < 0; left++)
        states->shares[largest(states->shares, symbol_count)]--;
    uint16_t *most = &states->shares[largest(states->shares, symbol_count)];
    *most = (uint16_t)(*most + left);
}

// Each number takes as many bits as what is left to be shared needs, or one less where that does.
static uint8_t *put_shares(const struct oto_match_frame_states *states, unsigned symbol_count,
                           uint8_t *to)
{
    struct oto_match_frame_bits b = {.to = to};
    uint32_t left = ((uint32_t)1 << states->log) + 1;
    oto_match_frame_add(&b, states->log - LOG_MIN, 4);
    for (unsigned i = 0; i < symbol_count && left > 1;) {
        unsigned width = highest_bit(left) + 1;
        uint32_t value = states->shares[i] + 1u, short_count = ((uint32_t)1 << width) - 1 - left;
        if (value < short_count)
            oto_match_frame_add(&b, value, width - 1);
        else if (value < (uint32_t)1 << (width - 1))
            oto_match_frame_add(&b, value, width);
        else
            oto_match_frame_add(&b, value + short_count, width);
        left -= states->shares[i];
        oto_match_frame_flush(&b);
        if (states->shares[i++])
            continue;
        unsigned zeros = 0; // more of them, told by twos of bits
        while (i < symbol_count && !states->shares[i])
            zeros++, i++;
        for (; zeros >= 3; zeros -= 3) {
            oto_match_frame_add(&b, 3, 2);
            oto_match_frame_flush(&b);
        }
        oto_match_frame_add(&b, zeros, 2);
    }
    oto_match_frame_flush(&b);
    if (b.count)
        *b.to++ = (uint8_t)b.bits;
    return b.to;
}

// Which symbol each state is of: spread, so that a symbol's states are far from each other.
static void spread(struct oto_match_frame_states *states, unsigned symbol_count)
{
    uint8_t symbol_of[OTO_MATCH_FRAME_STATES_MAX];
    uint32_t size = (uint32_t)1 << states->log, step = (size >> 1) + (size >> 3) + 3, at = 0;
    uint16_t next[OTO_MATCH_FRAME_CODES_MAX];
    uint32_t sum = 0;
    for (unsigned i = 0; i < symbol_count; i++) {
        for (unsigned k = 0; k < states->shares[i]; k++, at = (at + step) & (size - 1))
            symbol_of[at] = (uint8_t)i;
        next[i] = (uint16_t)sum;
        sum += states->shares[i];
    }
    for (uint32_t i = 0; i < size; i++)
        states->states[OTO_MATCH_FRAME_STATES_MAX + next[symbol_of[i]]++] = (uint16_t)(size + i);
}

uint8_t *oto_match_frame_states_make(const uint32_t *counts, unsigned symbol_count,
                                     unsigned log_max, struct oto_match_frame_states *states,
                                     uint8_t *to)
{
    uint32_t total = 0, sum = 0;
    for (unsigned i = 0; i < symbol_count; i++)
        total += counts[i];
    states->log = choose_log(total, symbol_count, log_max);
    share_states(counts, symbol_count, total, states);
    spread(states, symbol_count);
    for (unsigned i = 0; i < symbol_count; i++) {
        uint32_t share = states->shares[i];
        unsigned bits = states->log - (share ? highest_bit(share) : 0);
        // A state of at least share << bits takes that many bits, a lesser one takes one less.
        states->symbols[i].bits_bias = (bits << 16) - (share << bits);
        states->symbols[i].first = OTO_MATCH_FRAME_STATES_MAX + sum - share;
        sum += share;
    }
    return put_shares(states, symbol_count, to);
}

void oto_match_frame_states_of_one(unsigned symbol, struct oto_match_frame_states *states)
{
    states->log = 0;
    states->states[OTO_MATCH_FRAME_STATES_MAX] = 0;
    states->shares[symbol] = 0;
    states->symbols[symbol] = (struct oto_match_frame_symbol){0, OTO_MATCH_FRAME_STATES_MAX};
}
