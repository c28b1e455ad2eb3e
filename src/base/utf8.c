#include "base/utf8.h"

#define HIGH_BITS 0x8080808080808080u

// Size of the run of ASCII bytes at p, in whole words at least as far as whole words go.
static inline const uint8_t *skip_ascii(const uint8_t *p, const uint8_t *end)
{
    while (end - p >= 32) {
        uint64_t any = oto_load64(p) | oto_load64(p + 8) | oto_load64(p + 16) | oto_load64(p + 24);
        if (any & HIGH_BITS)
            break;
        p += 32;
    }
    while (end - p >= 8) {
        uint64_t high = oto_load64(p) & HIGH_BITS;
        if (high)
            return p + (__builtin_ctzll(high) >> 3);
        p += 8;
    }
    while (p < end && *p < 0x80)
        p++;
    return p;
}

// The well-formed byte sequence table (Unicode, table 3-7) as code. Returns the size of the
// character at p (first byte not ASCII), or 0 with the size of the maximal invalid part.
static inline size_t sequence_size(const uint8_t *p, size_t left, size_t *ret_invalid)
{
    uint8_t lead = p[0], low = 0x80, high = 0xBF;
    size_t size;
    *ret_invalid = 1;
    if (lead < 0xC2 || lead > 0xF4)
        return 0;
    if (lead < 0xE0) {
        size = 2;
    } else if (lead < 0xF0) {
        size = 3;
        low = lead == 0xE0 ? 0xA0 : 0x80;
        high = lead == 0xED ? 0x9F : 0xBF;
    } else {
        size = 4;
        low = lead == 0xF0 ? 0x90 : 0x80;
        high = lead == 0xF4 ? 0x8F : 0xBF;
    }
    if (left < 2 || p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < size; i++) {
        if (i >= left || (p[i] & 0xC0) != 0x80) {
            *ret_invalid = i;
            return 0;
        }
    }
    return size;
}

// Advances over valid text; returns where it stops, with the size of the invalid part there.
static const uint8_t *skip_valid(const uint8_t *p, const uint8_t *end, size_t *ret_invalid)
{
    *ret_invalid = 0;
    while ((p = skip_ascii(p, end)) < end) {
        do {
            size_t size = sequence_size(p, (size_t)(end - p), ret_invalid);
            if (size == 0)
                return p;
            p += size;
        } while (p < end && *p >= 0x80);
    }
    return p;
}

size_t oto_utf8_valid_prefix(const void *data, size_t size)
{
    if (size == 0)
        return 0;
    size_t invalid;
    const uint8_t *start = data;
    return (size_t)(skip_valid(start, start + size, &invalid) - start);
}

int oto_utf8_valid(const void *data, size_t size)
{
    return oto_utf8_valid_prefix(data, size) == size;
}

size_t oto_utf8_repaired_size(const void *data, size_t size)
{
    if (size == 0)
        return 0;
    const uint8_t *p = data, *end = p + size;
    size_t repaired = size, invalid;
    while ((p = skip_valid(p, end, &invalid)) < end) {
        repaired += 3 - invalid;
        p += invalid;
    }
    return repaired;
}

size_t oto_utf8_repair(const void *data, size_t size, uint8_t *output)
{
    if (size == 0)
        return 0;
    const uint8_t *p = data, *end = p + size;
    uint8_t *out = output;
    while (p < end) {
        size_t invalid;
        const uint8_t *stop = skip_valid(p, end, &invalid);
        memcpy(out, p, (size_t)(stop - p));
        out += stop - p;
        if (stop == end)
            break;
        memcpy(out, "\xEF\xBF\xBD", 3);
        out += 3;
        p = stop + invalid;
    }
    return (size_t)(out - output);
}
