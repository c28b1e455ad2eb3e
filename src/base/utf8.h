// UTF-8 by the Unicode standard: no surrogates, nothing past U+10FFFF, no overlong forms.
#ifndef OTO_BASE_UTF8_H
#define OTO_BASE_UTF8_H

#include "base/bytes.h"

// 1 when all bytes are valid UTF-8. ASCII runs are checked 8 or more bytes at a time.
int oto_utf8_valid(const void *data, size_t size);

// Length of the longest valid prefix.
size_t oto_utf8_valid_prefix(const void *data, size_t size);

// Replaces each maximal invalid part by U+FFFD. Output size at most 3 * size. Returns the output size.
size_t oto_utf8_repair(const void *data, size_t size, uint8_t *output);

#endif
