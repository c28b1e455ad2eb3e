#include "base/json_text.h"

#define EACH(byte) ((uint64_t)(byte)*0x0101010101010101u)

// The high bit of each byte that is zero; above the first such byte there may be false ones.
static uint64_t zero_bytes(uint64_t word)
{
    return (word - EACH(1)) & ~word & EACH(0x80);
}

// Length of the run that needs no escape.
static size_t plain_run(const uint8_t *at, const uint8_t *end)
{
    const uint8_t *start = at;
    for (; end - at >= 8; at += 8) {
        uint64_t word = oto_load64(at);
        uint64_t special = ((word - EACH(0x20)) & ~word & EACH(0x80)) |
                           zero_bytes(word ^ EACH('"')) | zero_bytes(word ^ EACH('\\'));
        if (special)
            return (size_t)(at - start) + (size_t)__builtin_ctzll(special) / 8;
    }
    while (at < end && *at >= 0x20 && *at != '"' && *at != '\\')
        at++;
    return (size_t)(at - start);
}

static enum oto_status append_escaped(struct oto_buffer *output, uint8_t byte)
{
    static const char letters[0x20] = {
        ['\b'] = 'b', ['\f'] = 'f', ['\n'] = 'n', ['\r'] = 'r', ['\t'] = 't'};
    static const char digits[] = "0123456789abcdef";
    char letter = byte < 0x20 ? letters[byte] : (char)byte;
    if (letter)
        return oto_buffer_append(output, (char[]){'\\', letter}, 2);
    return oto_buffer_append(
        output, (char[]){'\\', 'u', '0', '0', digits[byte >> 4], digits[byte & 15]}, 6);
}

enum oto_status oto_json_escape(struct oto_buffer *output, struct oto_bytes text)
{
    const uint8_t *at = text.data, *end = text.size ? at + text.size : at;
    OTO_TRY(oto_buffer_append_byte(output, '"'));
    while (at < end) {
        size_t run = plain_run(at, end);
        OTO_TRY(oto_buffer_append(output, at, run));
        at += run;
        if (at < end)
            OTO_TRY(append_escaped(output, *at++));
    }
    return oto_buffer_append_byte(output, '"');
}
