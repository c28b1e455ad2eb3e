#include "codec/ids.h"

#define CONTENT_BYTES_MAX ((size_t)1 << 30)
#define PLACES_BITS 12
#define PREFIX_MIN 6 // bytes that an id has in common with the one before: less is no gain

#define K0 0x9E3779B97F4A7C15u
#define K1 0xC2B2AE3D27D4EB4Fu

struct matching {
    const uint8_t *content;
    struct oto_lines_match *next;      // there is room for those of a block
    size_t literals_at;                // end of the last match
    uint32_t places[1 << PLACES_BITS]; // of ids by hash: offset + 1; 0: none
};

static inline void put_match(struct matching *m, size_t at, size_t distance, size_t length)
{
    uint32_t literals = (uint32_t)(at - m->literals_at);
    *m->next++ = (struct oto_lines_match){(uint32_t)distance, literals, (uint32_t)length, 0};
    m->literals_at = at + length;
}

static inline int is_same(const uint8_t *a, const uint8_t *b, unsigned id_size)
{
    uint64_t differ = 0;
    for (unsigned i = 0; i < id_size; i += 8)
        differ |= oto_load64(a + i) ^ oto_load64(b + i);
    return !differ;
}

// How many of the first eight bytes agree.
static inline unsigned common(const uint8_t *a, const uint8_t *b)
{
    uint64_t differ = oto_load64(a) ^ oto_load64(b);
    return differ ? (unsigned)__builtin_ctzll(differ) / 8 : 8;
}

// The ids of a block. Always inlined with a constant size.
__attribute__((always_inline)) static inline void
match_block(struct matching *m, size_t first, size_t from, size_t to, unsigned id_size)
{
    const uint8_t *content = m->content;
    for (size_t at = from; at < to; at += id_size) {
        const uint8_t *id = content + at;
        uint64_t hash = oto_load64(id) * K0 ^ oto_load64(id + id_size - 8) * K1;
        uint32_t *place = &m->places[hash * K0 >> (64 - PLACES_BITS)];
        size_t before = *place - (size_t)1;
        int is_known = *place && is_same(id, content + before, id_size);
        *place = (uint32_t)at + 1;
        if (is_known) {
            put_match(m, at, at - before, id_size);
        } else if (at > first) {
            unsigned prefix = common(id, id - id_size);
            if (__builtin_expect(prefix >= PREFIX_MIN, 0))
                put_match(m, at, id_size, prefix);
        }
    }
}

// With room for as many matches as there may be until the end of the next block.
static enum oto_status begin_block(struct matching *m, size_t size, unsigned id_size,
                                   struct oto_buffer *matches)
{
    OTO_TRY(oto_buffer_reserve(matches, (size / id_size + 2) * sizeof *m->next));
    m->next = (void *)(matches->data + matches->size);
    return OTO_OK;
}

static void end_block(struct matching *m, size_t at, struct oto_buffer *matches)
{
    *m->next++ = (struct oto_lines_match){0, (uint32_t)(at - m->literals_at), 0, 0};
    m->literals_at = at;
    matches->size = (size_t)((uint8_t *)m->next - matches->data);
}

enum oto_status oto_ids_match(struct oto_bytes content, size_t head_size, unsigned id_size,
                              struct oto_buffer *matches)
{
    struct matching m = {.content = content.data};
    if (content.size >= CONTENT_BYTES_MAX)
        return OTO_TOO_LARGE;
    if (head_size > content.size || (id_size != 16 && id_size != 32) ||
        (content.size - head_size) % id_size)
        return OTO_INVALID;
    for (size_t at = 0, size; at < head_size; at += size) {
        size = head_size - at < OTO_LINES_BLOCK_MAX ? head_size - at : OTO_LINES_BLOCK_MAX;
        OTO_TRY(begin_block(&m, 0, id_size, matches));
        end_block(&m, at + size, matches);
    }
    size_t at = head_size;
    do {
        size_t left = content.size - at;
        size_t to = at + (left < OTO_LINES_BLOCK_MAX ? left : OTO_LINES_BLOCK_MAX);
        OTO_TRY(begin_block(&m, to - at, id_size, matches));
        if (id_size == 16)
            match_block(&m, head_size, at, to, 16);
        else
            match_block(&m, head_size, at, to, 32);
        end_block(&m, to, matches);
        at = to;
    } while (at < content.size);
    return OTO_OK;
}
