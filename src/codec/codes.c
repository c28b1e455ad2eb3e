#include "codec/codes.h"

#define CONTENT_BYTES_MAX ((size_t)1 << 30)
#define HEAD_MATCH_MIN 4
#define LOW 256u         // codes below it from each other in value share all bytes but the lowest
#define PLACES 1024u     // of codes by their upper bytes; of four bytes of the head by hash
#define DISTANCES_KEPT 3 // as many as zstd remembers

struct matching {
    const uint8_t *content;
    struct oto_buffer *matches;
    size_t literals_at;                 // end of the last match
    size_t block_end;                   // at the latest
    uint32_t distances[DISTANCES_KEPT]; // of codes
    uint32_t places[PLACES];            // offset + 1; 0: none
};

static void put(struct matching *m, size_t at, uint32_t distance, size_t length)
{
    struct oto_lines_match *next = (void *)(m->matches->data + m->matches->size);
    *next =
        (struct oto_lines_match){distance, (uint32_t)(at - m->literals_at), (uint32_t)length, 0};
    m->matches->size += sizeof *next;
    m->literals_at = at + length;
}

// With room for all matches of the next block: each stands for four bytes or more.
static enum oto_status next_block(struct matching *m, size_t at)
{
    size_t most = OTO_LINES_BLOCK_MAX / HEAD_MATCH_MIN + 2;
    if (at)
        put(m, at, 0, 0);
    m->block_end = at + OTO_LINES_BLOCK_MAX;
    return oto_buffer_reserve(m->matches, most * sizeof(struct oto_lines_match));
}

// The head by a plain search: levels are runs and patterns.
static enum oto_status match_head(struct matching *m, size_t size)
{
    const uint8_t *content = m->content;
    for (size_t at = 0; at + HEAD_MATCH_MIN <= size;) {
        if (at + HEAD_MATCH_MIN > m->block_end)
            OTO_TRY(next_block(m, at));
        uint32_t word = oto_load32(content + at), *place = &m->places[word * 0x9E3779B1u >> 22];
        size_t from = *place - (size_t)1, length = HEAD_MATCH_MIN;
        int is_known = *place && oto_load32(content + from) == word;
        *place = (uint32_t)at + 1;
        if (!is_known) {
            at++;
            continue;
        }
        size_t end = size < m->block_end ? size : m->block_end;
        while (at + length < end && content[at + length] == content[from + length])
            length++;
        put(m, at, (uint32_t)(at - from), length);
        at += length;
    }
    return OTO_OK;
}

// Moves a distance to the front.
static inline void remember(uint32_t distances[DISTANCES_KEPT], uint32_t distance)
{
    if (distance != distances[1])
        distances[2] = distances[1];
    distances[1] = distances[0];
    distances[0] = distance;
}

// How far back a code stands, or one like it but for the lowest byte, that is not so far as the
// last match; 0: too rarely seen.
static uint32_t find_other(const struct matching *m, const uint32_t distances[DISTANCES_KEPT],
                           size_t at, uint32_t code)
{
    for (unsigned i = 1; i < DISTANCES_KEPT; i++)
        if (distances[i] && (code ^ oto_load32(m->content + at - distances[i])) < LOW)
            return distances[i];
    uint32_t place = m->places[code / LOW % PLACES];
    if (place && (code ^ oto_load32(m->content + place - 1)) < LOW)
        return (uint32_t)(at + 1 - place);
    return 0;
}

// The codes of a block, from `at` on; ends before the first that is not all in it.
static size_t match_block(struct matching *m, size_t at, size_t stop)
{
    const uint8_t *content = m->content;
    uint32_t *places = m->places, distances[DISTANCES_KEPT];
    struct oto_lines_match *next = (void *)(m->matches->data + m->matches->size);
    const struct oto_lines_match *first = next;
    size_t literals_at = m->literals_at;
    memcpy(distances, m->distances, sizeof distances);
    while (at + OTO_CODE_BYTES <= stop) {
        uint32_t code = oto_load32(content + at), distance = distances[0];
        uint32_t differ = distance ? code ^ oto_load32(content + at - distance) : LOW;
        if (differ >= LOW) {
            distance = find_other(m, distances, at, code);
            differ = distance ? code ^ oto_load32(content + at - distance) : LOW;
            if (distance)
                remember(distances, distance);
        }
        // The code after a match mostly has the same distance, and its difference is known.
        while (differ < LOW) {
            places[code / LOW % PLACES] = (uint32_t)at + 1;
            size_t from = at + (differ != 0); // the lowest byte stays a literal
            do {
                at += OTO_CODE_BYTES;
                if (at + OTO_CODE_BYTES > stop) {
                    differ = LOW;
                    break;
                }
                code = oto_load32(content + at);
                differ = code ^ oto_load32(content + at - distance);
            } while (!differ);
            *next++ = (struct oto_lines_match){distance, (uint32_t)(from - literals_at),
                                               (uint32_t)(at - from), 0};
            literals_at = at;
        }
        if (!distance) {
            places[code / LOW % PLACES] = (uint32_t)at + 1;
            at += OTO_CODE_BYTES;
        }
    }
    m->matches->size += (size_t)(next - first) * sizeof *next;
    m->literals_at = literals_at;
    memcpy(m->distances, distances, sizeof distances);
    return at;
}

static enum oto_status match_codes(struct matching *m, size_t first, size_t end)
{
    memset(m->places, 0, sizeof m->places);
    for (size_t at = first;;) {
        at = match_block(m, at, end < m->block_end ? end : m->block_end);
        if (at + OTO_CODE_BYTES > end)
            return OTO_OK;
        OTO_TRY(next_block(m, at));
    }
}

enum oto_status oto_codes_match(struct oto_bytes content, size_t head_size,
                                struct oto_buffer *matches)
{
    struct matching m = {.content = content.data, .matches = matches};
    if (content.size >= CONTENT_BYTES_MAX)
        return OTO_TOO_LARGE;
    if (head_size > content.size)
        return OTO_INVALID;
    OTO_TRY(next_block(&m, 0));
    OTO_TRY(match_head(&m, head_size));
    if (head_size > m.block_end) // what ends the head matches nothing
        OTO_TRY(next_block(&m, m.block_end));
    OTO_TRY(match_codes(&m, head_size, content.size));
    if (content.size > m.block_end)
        OTO_TRY(next_block(&m, m.block_end));
    put(&m, content.size, 0, 0);
    return OTO_OK;
}
