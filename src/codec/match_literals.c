// Literals by their frequency (RFC 8878, 3.1.1.3.1 and 4.2): Huffman codes of 11 bits at most.
#include "base/processor.h"
#include "codec/match_frame.h"

#define CODE_BITS_MAX 11
#define CODES_MIN 64       // fewer literals stay as they are
#define GAIN_MIN_SHIFT 6   // as do those that codes do not shorten by a 64th
#define DIRECT_WEIGHTS 128 // so many are told by four bits each, more by a table of states
#define WEIGHT_LOG_MAX 6
#define STREAMS 4
#define SIDE_BY_SIDE_MIN 256 // so many literals take eight bytes a stream
#define SECTION_BYTES 5
#define JUMP_BYTES 6

enum literals_type { LITERALS_RAW = 0, LITERALS_SAME = 1, LITERALS_CODED = 2 };

// A stream's part of the literals.
static inline uint32_t stream_literals(uint32_t count, unsigned stream)
{
    uint32_t each = (count + STREAMS - 1) / STREAMS;
    return stream < STREAMS - 1 ? each : count - stream * each;
}

// One table for each stream, side by side: the same literal often follows itself, and adding to
// what was just stored waits.
static void count_literals(struct oto_match_frame_work *work)
{
    uint32_t(*counts)[256] = work->counts;
    uint32_t each = stream_literals(work->literal_count, 0),
             least = stream_literals(work->literal_count, STREAMS - 1), at = 0;
    memset(counts, 0, sizeof work->counts);
    for (; at + 4 <= least; at += 4) {
        uint32_t some[STREAMS];
#pragma GCC unroll 4
        for (unsigned k = 0; k < STREAMS; k++)
            some[k] = oto_load32(work->literals + k * (size_t)each + at);
#pragma GCC unroll 16
        for (unsigned i = 0; i < 4 * STREAMS; i++) {
            counts[i % STREAMS][some[i % STREAMS] & 0xFF]++;
            some[i % STREAMS] >>= 8;
        }
    }
    for (unsigned k = 0; k < STREAMS; k++)
        for (uint32_t i = at; i < stream_literals(work->literal_count, k); i++)
            counts[k][work->literals[k * (size_t)each + i]]++;
    for (unsigned i = 0; i < 256; i++)
        work->totals[i] = counts[0][i] + counts[1][i] + counts[2][i] + counts[3][i];
}

// Those that occur, the rarest first; returns how many.
static unsigned sort_literals(const uint32_t *counts, uint8_t order[256])
{
    static const uint8_t steps[] = {132, 57, 23, 10, 4, 1};
    uint32_t keys[256]; // no count has more than 18 bits
    unsigned count = 0;
    for (unsigned symbol = 0; symbol < 256; symbol++) {
        keys[count] = counts[symbol] << 8 | symbol;
        count += counts[symbol] != 0;
    }
    for (unsigned k = 0; k < sizeof steps; k++) {
        for (unsigned step = steps[k], i = step; i < count; i++) {
            uint32_t key = keys[i];
            unsigned at = i;
            for (; at >= step && keys[at - step] > key; at -= step)
                keys[at] = keys[at - step];
            keys[at] = key;
        }
    }
    for (unsigned i = 0; i < count; i++)
        order[i] = (uint8_t)keys[i];
    return count;
}

// A tree: the two lightest nodes get a parent, until one is left. Leaves are 0 to count - 1, from
// the lightest; parents follow and are made in the order of their weights too.
static void measure_codes(const uint32_t *counts, const uint8_t *order, unsigned count,
                          uint8_t depths[512])
{
    uint32_t weights[512];
    uint16_t parents[512];
    unsigned leaf = 0, inner = count, next = count, root = 2 * count - 2;
    for (unsigned i = 0; i < count; i++)
        weights[i] = counts[order[i]];
    for (; next <= root; next++) {
        weights[next] = 0;
        for (int k = 0; k < 2; k++) {
            int is_leaf = leaf < count && (inner == next || weights[leaf] <= weights[inner]);
            unsigned child = is_leaf ? leaf++ : inner++;
            weights[next] += weights[child];
            parents[child] = (uint16_t)next;
        }
    }
    depths[root] = 0;
    for (unsigned i = root; i-- > 0;)
        depths[i] = (uint8_t)(depths[parents[i]] + 1);
}

// Cuts codes that are too long, and makes room for them: those of rare literals become longer, and
// then of frequent ones shorter, until all sequences of bits mean something. lengths: as sorted.
static void limit_codes(uint8_t *lengths, unsigned count)
{
    uint32_t used = 0, room = (uint32_t)1 << CODE_BITS_MAX;
    for (unsigned i = 0; i < count; i++) {
        lengths[i] = lengths[i] < CODE_BITS_MAX ? lengths[i] : CODE_BITS_MAX;
        used += room >> lengths[i];
    }
    for (unsigned i = 0; used > room; i = i + 1 < count ? i + 1 : 0)
        if (lengths[i] < CODE_BITS_MAX)
            used -= room >> ++lengths[i];
    while (used < room)
        for (unsigned i = count; i-- > 0 && used < room;)
            if (room >> lengths[i] <= room - used)
                used += room >> lengths[i]--;
}

// Codes ascend from the longest to the shortest, and by literal. Returns the longest one's bits.
static unsigned number_codes(struct oto_match_frame_work *work)
{
    uint32_t numbers[CODE_BITS_MAX + 2] = {0}, next = 0;
    unsigned longest = 0;
    for (unsigned i = 0; i < 256; i++) {
        longest = work->lengths[i] > longest ? work->lengths[i] : longest;
        numbers[work->lengths[i]] += work->lengths[i] != 0;
    }
    for (unsigned bits = longest; bits > 0; bits--) {
        uint32_t here = numbers[bits];
        numbers[bits] = next;
        next = (next + here) >> 1;
    }
    for (unsigned i = 0; i < 256; i++) {
        unsigned bits = work->lengths[i];
        work->codes[i] = bits ? (uint64_t)numbers[bits]++ << (64 - bits) | bits : 0;
    }
    return longest;
}

// Two or more literals get codes. Returns the longest one's bits.
static unsigned make_codes(struct oto_match_frame_work *work, const uint8_t *order, unsigned count)
{
    uint8_t depths[512];
    measure_codes(work->totals, order, count, depths);
    limit_codes(depths, count);
    memset(work->lengths, 0, sizeof work->lengths);
    for (unsigned i = 0; i < count; i++)
        work->lengths[order[i]] = depths[i];
    return number_codes(work);
}

// --- what the codes are ---
// In two turns of states, so that two can be read at once.
static uint8_t *put_weights_by_states(const uint8_t *weights, unsigned count, uint8_t *to)
{
    struct oto_match_frame_states states;
    uint32_t counts[CODE_BITS_MAX + 1] = {0}, turns[2];
    unsigned symbol_count = 0;
    for (unsigned i = 0; i < count; i++) {
        counts[weights[i]]++;
        symbol_count = weights[i] >= symbol_count ? weights[i] + 1u : symbol_count;
    }
    if (counts[weights[0]] == count)
        return NULL;
    uint8_t *at =
        oto_match_frame_states_make(counts, symbol_count, WEIGHT_LOG_MAX, &states, to + 1);
    struct oto_match_frame_bits b = {.to = at};
    turns[(count - 1) & 1] = oto_match_frame_begin(&states, weights[count - 1]);
    turns[count & 1] = oto_match_frame_begin(&states, weights[count - 2]);
    for (unsigned i = count - 2; i-- > 0;) {
        turns[i & 1] = oto_match_frame_step(&b, &states, turns[i & 1], weights[i]);
        oto_match_frame_flush(&b);
    }
    oto_match_frame_add(&b, turns[1], states.log);
    oto_match_frame_add(&b, turns[0], states.log);
    at = oto_match_frame_end(&b);
    if (at - to > DIRECT_WEIGHTS)
        return NULL;
    *to = (uint8_t)(at - to - 1);
    return at;
}

// A weight is the higher, the shorter the code; that of the last literal follows from the others.
// NULL: it cannot be told.
static uint8_t *put_weights(const struct oto_match_frame_work *work, unsigned longest, uint8_t *to)
{
    uint8_t weights[256] = {0};
    unsigned count = 0;
    for (unsigned i = 0; i < 256; i++) {
        weights[i] = work->lengths[i] ? (uint8_t)(longest + 1 - work->lengths[i]) : 0;
        count = weights[i] ? i : count;
    }
    if (count > DIRECT_WEIGHTS)
        return put_weights_by_states(weights, count, to);
    weights[count] = 0;
    *to++ = (uint8_t)(127 + count);
    for (unsigned i = 0; i < count; i += 2)
        *to++ = (uint8_t)(weights[i] << 4 | weights[i + 1]);
    return to;
}

// --- streams ---
// Bits of codes, new ones above those before. Lengths of codes, the lowest bits of these, come
// along far below, and are summed up with the codes above them: only the lowest byte is looked at.
struct stream {
    uint64_t bits;
    uint64_t counts;
    uint8_t *to;
};

__attribute__((always_inline)) static inline void take_code(struct stream *s, uint64_t code)
{
    s->bits = s->bits >> (code & 63) | code;
    s->counts += code;
}

__attribute__((always_inline)) static inline void flush_codes(struct stream *s)
{
    unsigned count = (uint8_t)s->counts;
    oto_store64(s->to, s->bits >> (64 - count));
    s->to += count >> 3;
    s->counts = count & 7;
}

// From the last literal to the first. Always inlined, for processors of several kinds.
__attribute__((always_inline)) static inline void end_codes(struct stream *s, const uint64_t *codes,
                                                            const uint8_t *literals, uint32_t count)
{
    for (const uint8_t *at = literals + count; at > literals;) {
        take_code(s, codes[*--at]);
        flush_codes(s);
    }
    take_code(s, (uint64_t)1 << 63 | 1); // the mark at the end
    flush_codes(s);
}

// Two streams side by side: each code waits for the one before it.
__attribute__((always_inline)) static inline void put_codes(const uint64_t *codes,
                                                            const uint8_t *const literals[2],
                                                            const uint32_t counts[2],
                                                            uint8_t *const to[2])
{
    struct stream a = {.to = to[0]}, b = {.to = to[1]};
    const uint8_t *at = literals[0] + counts[0], *other = literals[1] + counts[1];
    uint32_t turns = (counts[0] < counts[1] ? counts[0] : counts[1]) / 4;
    for (; turns; turns--) {
        at -= 4;
        other -= 4;
#pragma GCC unroll 4
        for (int i = 3; i >= 0; i--) {
            take_code(&a, codes[at[i]]);
            take_code(&b, codes[other[i]]);
        }
        flush_codes(&a);
        flush_codes(&b);
    }
    end_codes(&a, codes, literals[0], (uint32_t)(at - literals[0]));
    end_codes(&b, codes, literals[1], (uint32_t)(other - literals[1]));
}

#if defined(OTO_X86_64)
__attribute__((target("bmi2"))) static void put_codes_bmi2(const uint64_t *codes,
                                                           const uint8_t *const literals[2],
                                                           const uint32_t counts[2],
                                                           uint8_t *const to[2])
{
    put_codes(codes, literals, counts, to);
}
#endif

static void put_two(const struct oto_match_frame_work *work, unsigned first, uint8_t *const to[2])
{
    uint32_t count = work->literal_count, each = stream_literals(count, 0);
    const uint8_t *const literals[2] = {work->literals + first * (size_t)each,
                                        work->literals + (first + 2) * (size_t)each};
    const uint32_t counts[2] = {each, stream_literals(count, first + 2)};
#if defined(OTO_X86_64)
    if (__builtin_cpu_supports("bmi2")) {
        put_codes_bmi2(work->codes, literals, counts, to);
        return;
    }
#endif
    put_codes(work->codes, literals, counts, to);
}

// All streams, of which it is known where they begin: at to[0] and so on. Up to seven bytes more
// are stored behind each.
static void put_streams(const struct oto_match_frame_work *work, uint8_t *const to[STREAMS])
{
    if (work->literal_count < SIDE_BY_SIDE_MIN) {
        const uint8_t *from = work->literals;
        for (unsigned i = 0; i < STREAMS; i++) {
            uint32_t count = stream_literals(work->literal_count, i);
            end_codes(&(struct stream){.to = to[i]}, work->codes, from, count);
            from += count;
        }
        return;
    }
    put_two(work, 0, (uint8_t *const[]){to[0], to[2]});
    uint64_t third = oto_load64(to[2]);
    put_two(work, 1, (uint8_t *const[]){to[1], to[3]});
    oto_store64(to[2], third);
}

// In bytes, with the mark at the end.
static uint32_t stream_size(const struct oto_match_frame_work *work, unsigned stream)
{
    uint32_t bits = 0;
    for (unsigned i = 0; i < 256; i++)
        bits += work->counts[stream][i] * work->lengths[i];
    return bits / 8 + 1;
}

static void put_section_header(uint8_t *to, enum literals_type type, size_t plain_size,
                               size_t coded_size)
{
    uint64_t header =
        (uint64_t)type | 3u << 2 | (uint64_t)plain_size << 4 | (uint64_t)coded_size << 22;
    oto_store32(to, (uint32_t)header);
    to[4] = (uint8_t)(header >> 32);
}

// NULL: not worth it.
static uint8_t *put_coded(struct oto_match_frame_work *work, uint8_t *to)
{
    uint8_t order[256], *begins[STREAMS];
    uint32_t count = work->literal_count, sizes[STREAMS], total = 0;
    unsigned distinct_count = sort_literals(work->totals, order);
    unsigned longest = make_codes(work, order, distinct_count);
    for (unsigned i = 0; i < STREAMS; i++)
        total += sizes[i] = stream_size(work, i);
    uint8_t *at = put_weights(work, longest, to + SECTION_BYTES);
    if (!at || (size_t)(at - to) + total > count - (count >> GAIN_MIN_SHIFT))
        return NULL;
    for (unsigned i = 0; i < STREAMS - 1; i++)
        oto_store16(at + 2 * i, (uint16_t)sizes[i]);
    at += JUMP_BYTES;
    for (unsigned i = 0; i < STREAMS; i++) {
        begins[i] = at;
        at += sizes[i];
    }
    put_streams(work, begins);
    put_section_header(to, LITERALS_CODED, count, (size_t)(at - to) - SECTION_BYTES);
    return at;
}

static uint8_t *put_plain(enum literals_type type, const uint8_t *literals, uint32_t count,
                          uint8_t *to)
{
    uint32_t stored = type == LITERALS_SAME ? 1 : count;
    unsigned size = count < 1 << 5 ? 1 : count < 1 << 12 ? 2 : 3;
    uint32_t header = size == 1 ? (uint32_t)type | count << 3
                                : (uint32_t)type | (size == 2 ? 1u : 3u) << 2 | count << 4;
    for (unsigned i = 0; i < size; i++)
        *to++ = (uint8_t)(header >> 8 * i);
    memcpy(to, literals, stored);
    return to + stored;
}

uint8_t *oto_match_frame_literals(struct oto_match_frame_work *work, uint8_t *to)
{
    uint32_t count = work->literal_count;
    if (count < CODES_MIN)
        return put_plain(LITERALS_RAW, work->literals, count, to);
    count_literals(work);
    if (work->totals[work->literals[0]] == count)
        return put_plain(LITERALS_SAME, work->literals, count, to);
    uint8_t *end = put_coded(work, to);
    return end ? end : put_plain(LITERALS_RAW, work->literals, count, to);
}
