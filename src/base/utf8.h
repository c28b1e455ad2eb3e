// UTF-8 by the Unicode standard: no surrogates, nothing past U+10FFFF, no overlong forms.
#ifndef OTO_BASE_UTF8_H
#define OTO_BASE_UTF8_H

#include "base/bytes.h"

// 1 when all bytes are valid UTF-8. ASCII runs are checked 8 or more bytes at a time.
int oto_utf8_valid(const void *data, size_t size);

// 1 when all bytes are ASCII, without a call: for the strings of a few words that come by the
// million.
static inline int oto_utf8_is_ascii(const uint8_t *p, size_t size)
{
    uint64_t any = 0;
    if (size < 8) {
        for (size_t i = 0; i < size; i++)
            any |= p[i];
        return any < 0x80;
    }
    for (size_t i = 0; i + 8 < size; i += 8)
        any |= oto_load64(p + i);
    any |= oto_load64(p + size - 8);
    return !(any & 0x8080808080808080u);
}

// Length of the longest valid prefix.
size_t oto_utf8_valid_prefix(const void *data, size_t size);

// The size of the text once oto_utf8_repair has been over it: 3 * size at most.
size_t oto_utf8_repaired_size(const void *data, size_t size);
// Replaces each maximal invalid part by U+FFFD. Returns the output size.
size_t oto_utf8_repair(const void *data, size_t size, uint8_t *output);

#endif
