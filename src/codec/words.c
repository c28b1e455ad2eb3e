#include "codec/words.h"
#include "base/processor.h"

#define CONTENT_BYTES_MAX ((size_t)1 << 30)
#define STEP 64            // bytes looked at together
#define READ_AHEAD 192     // words with fewer bytes behind them are not looked up
#define READ_BEHIND 8      // nor those with fewer before them
#define MATCH_MIN 4        // bytes
#define LAST_OFFSET_LEAD 2 // bytes that a match at another distance must be longer
#define GAIN_MIN 4         // and so many it must go past the end of the match before, to cut it

#define K 0x9E3779B97F4A7C15u

static const uint64_t first_bytes[9] = {
    0,          0xFF, 0xFFFF, 0xFFFFFF, 0xFFFFFFFF, 0xFFFFFFFFFF, 0xFFFFFFFFFFFF, 0xFFFFFFFFFFFFFF,
    UINT64_MAX,
};

struct matching {
    const uint8_t *content;
    const uint8_t *end; // of the block
    struct oto_words_table *table;
    struct oto_lines_match *next; // there is room
    uint32_t anchor;              // end of the last match
    uint32_t offset;              // its distance
};

// --- words ---
// Letters, digits, and what is beyond ASCII.
uint64_t oto_words_mask_plain(const uint8_t *at)
{
    const uint64_t each = 0x0101010101010101u, low = 0x7F * each;
    uint64_t mask = 0;
    for (unsigned i = 0; i < STEP; i += 8) {
        uint64_t word = oto_load64(at + i), bytes = word & low, lower = bytes | 0x20 * each;
        uint64_t digits = (bytes + (0x80 - '0') * each) & ~(bytes + (0x7F - '9') * each);
        uint64_t letters = (lower + (0x80 - 'a') * each) & ~(lower + (0x7F - 'z') * each);
        uint64_t top = (digits | letters | word) & 0x80 * each;
        mask |= ((top >> 7) * 0x0102040810204080u >> 56) << i;
    }
    return mask;
}

__attribute__((always_inline)) static inline uint64_t words_mask(const uint8_t *at)
{
#if defined(OTO_SSE2)
    typedef uint8_t lanes __attribute__((vector_size(16)));
    typedef int8_t signed_lanes __attribute__((vector_size(16)));
    typedef char chars __attribute__((vector_size(16)));
    uint64_t mask = 0;
#pragma GCC unroll 4
    for (unsigned i = 0; i < STEP; i += sizeof(lanes)) {
        lanes v;
        memcpy(&v, at + i, sizeof v);
        signed_lanes digits = (signed_lanes)(v + (128 - '0')) < -128 + 10;
        signed_lanes letters = (signed_lanes)((v | 0x20) + (128 - 'a')) < -128 + 26;
        chars any = (chars)(digits | letters | (signed_lanes)v);
        mask |= (uint64_t)(unsigned)__builtin_ia32_pmovmskb128(any) << i;
    }
    return mask;
#else
    return oto_words_mask_plain(at);
#endif
}

// Looks up the words that begin in 64 bytes and notes them; starts: a bit for each. others,
// following: what is not of words there, and in the 64 bytes behind. A word is known by its first
// eight bytes, or by all of them.
__attribute__((always_inline)) static inline struct oto_words_found *
find_words(const uint8_t *content, uint32_t *places, uint32_t at, uint64_t starts, uint64_t others,
           uint64_t following, struct oto_words_found *found)
{
    following <<= 1;
    for (; starts; starts &= starts - 1) {
        unsigned i = (unsigned)__builtin_ctzll(starts);
        uint64_t rest = others >> i | following << (~i & 63);
        uint64_t mask = first_bytes[__builtin_ctz((uint32_t)rest | 1 << 8)];
        uint64_t word = oto_load64(content + at + i) & mask;
        uint32_t *place = &places[word * K >> (64 - OTO_WORDS_TABLE_BITS)], before = *place;
        *place = at + i;
        *found = (struct oto_words_found){at + i, before};
        found += (oto_load64(content + before) & mask) == word;
    }
    return found;
}

// --- matches ---
// How many bytes agree from here on; eight can be read.
__attribute__((always_inline)) static inline uint32_t common(const uint8_t *a, const uint8_t *b,
                                                             const uint8_t *a_end)
{
    const uint8_t *begin = a;
    do {
        uint64_t differ = oto_load64(a) ^ oto_load64(b);
        if (__builtin_expect(differ != 0, 1))
            return (uint32_t)(a - begin) + (uint32_t)__builtin_ctzll(differ) / 8;
        a += 8;
        b += 8;
    } while (a_end - a >= 8);
    while (a < a_end && *a == *b)
        a++, b++;
    return (uint32_t)(a - begin);
}

// How many bytes before here agree, up to so many.
__attribute__((always_inline)) static inline uint32_t common_before(const uint8_t *a,
                                                                    const uint8_t *b, uint32_t most)
{
    uint64_t differ = oto_load64(a - 8) ^ oto_load64(b - 8);
    uint32_t count = differ ? (uint32_t)__builtin_clzll(differ) / 8 : 8;
    return count < most ? count : most;
}

__attribute__((always_inline)) static inline void put_match(struct matching *m, uint32_t offset,
                                                            uint32_t start, uint32_t end)
{
    *m->next++ = (struct oto_lines_match){offset, start - m->anchor, end - start, 0};
    m->anchor = end;
    m->offset = offset;
}

// Ends the last match earlier. 0: nothing would be left of it.
__attribute__((always_inline)) static inline int cut_match(struct matching *m, uint32_t at)
{
    struct oto_lines_match *last = m->next - 1;
    if (last->length < m->anchor - at + MATCH_MIN)
        return 0;
    last->length -= m->anchor - at;
    m->anchor = at;
    return 1;
}

__attribute__((always_inline)) static inline void take_word(struct matching *m,
                                                            struct oto_words_found word)
{
    const uint8_t *at = m->content + word.at, *anchor = m->content + m->anchor;
    uint32_t offset = word.at - word.from, size, before;
    if (at < anchor) { // within the last match, which may end soon
        if (m->end - anchor < GAIN_MIN || oto_load32(anchor) != oto_load32(anchor - offset))
            return;
        size = common(at, m->content + word.from, m->end);
        if (word.at + size >= m->anchor + GAIN_MIN && cut_match(m, word.at))
            put_match(m, offset, word.at, word.at + size);
        return;
    }
    size = common(at, m->content + word.from, m->end);
    // One distance for many matches is told once.
    if (m->offset != offset && m->offset && oto_load32(at) == oto_load32(at - m->offset)) {
        uint32_t same = common(at, at - m->offset, m->end);
        if (same + LAST_OFFSET_LEAD >= size) {
            offset = m->offset;
            size = same;
        }
    }
    before =
        word.at - offset < READ_BEHIND ? 0 : common_before(at, at - offset, word.at - m->anchor);
    if (size + before >= MATCH_MIN)
        put_match(m, offset, word.at - before, word.at + size);
}

// A block's words but for those near its end. Always inlined, for processors of several kinds.
__attribute__((always_inline)) static inline void take_words(struct matching *matching,
                                                             uint32_t from, uint32_t safe)
{
    struct matching local = *matching, *m = &local;
    // Nothing comes before the first byte: it is no word's, so that none is at place 0.
    uint64_t before = !from, following = from < safe ? ~words_mask(m->content + from) : 0;
    for (uint32_t at = from; at < safe;) {
        uint32_t stride_end = safe - at < OTO_WORDS_STRIDE ? safe : at + OTO_WORDS_STRIDE;
        struct oto_words_found *found = m->table->found, *end = found;
        for (; at < stride_end; at += STEP) {
            uint64_t others = following;
            following = ~words_mask(m->content + at + STEP);
            uint64_t starts = (others << 1 | !before) & ~(others | others >> 1 | following << 63);
            starts &= ~(others >> 2 | following << 62);
            before = !(others >> 63);
            end = find_words(m->content, m->table->places, at, starts, others, following, end);
        }
        for (; found < end; found++)
            take_word(m, *found);
    }
    *matching = local;
}

#if defined(OTO_X86_64)
__attribute__((target("bmi,bmi2"))) static void take_words_bmi2(struct matching *m, uint32_t from,
                                                                uint32_t safe)
{
    take_words(m, from, safe);
}
#endif

static void take_block(struct matching *m, uint32_t from, uint32_t safe)
{
#if defined(OTO_X86_64)
    if (__builtin_cpu_supports("bmi2") && __builtin_cpu_supports("bmi")) {
        take_words_bmi2(m, from, safe);
        return;
    }
#endif
    take_words(m, from, safe);
}

enum oto_status oto_words_match(struct oto_bytes content, struct oto_words_table *table,
                                struct oto_buffer *matches)
{
    struct matching m = {.content = content.data, .table = table};
    if (content.size >= CONTENT_BYTES_MAX)
        return OTO_TOO_LARGE;
    memset(table->places, 0, sizeof table->places);
    size_t from = 0;
    do {
        size_t size = content.size - from;
        size = size < OTO_LINES_BLOCK_MAX ? size : OTO_LINES_BLOCK_MAX;
        size_t room = (size / MATCH_MIN + 2) * sizeof *m.next;
        OTO_TRY(oto_buffer_reserve(matches, room));
        m.next = (void *)(matches->data + matches->size);
        m.anchor = (uint32_t)from;
        m.end = content.data + from + size;
        if (size > READ_AHEAD + STEP)
            take_block(&m, (uint32_t)from, (uint32_t)(from + size - READ_AHEAD));
        from += size;
        *m.next++ = (struct oto_lines_match){0, (uint32_t)from - m.anchor, 0, 0};
        matches->size = (size_t)((uint8_t *)m.next - matches->data);
    } while (from < content.size);
    return OTO_OK;
}
