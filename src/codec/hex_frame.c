#include "codec/hex_frame.h"

#define MAGIC 0xFD2FB528u
#define FRAME_DESCRIPTOR 0xA0 // single segment, four bytes of content size
#define FRAME_HEADER_BYTES 9
#define BLOCK_HEADER_BYTES 3
#define BLOCK_CONTENT_MAX ((size_t)1 << 17)
#define RUN_MIN 16 // bytes at the head's end that are the same: a block of their own

enum block_type { BLOCK_RAW = 0, BLOCK_RLE = 1, BLOCK_COMPRESSED = 2 };

// A block of digits: section header, code (first block only), sizes of three streams, four streams
// with an end mark each, and the count of sequences, none.
#define LITERALS_COMPRESSED 2u
#define LITERALS_TREELESS 3u // with the code of the block before
#define SECTION_BYTES 5
#define JUMP_BYTES 6
#define STREAMS 4
#define BLOCK_OVERHEAD_MAX (BLOCK_HEADER_BYTES + SECTION_BYTES + CODE_BYTES + JUMP_BYTES + STREAMS + 1)

// The code as zstd describes it: 102 weights of four bits, 1 for '0' to '9' and 'a' to 'e'. That
// 'f' has one follows from the sum. Equal lengths are numbered by character: 0 to 15.
#define CODE_BYTES 52
static const uint8_t code[CODE_BYTES] = {
    [0] = 127 + 102, [25] = 0x11, [26] = 0x11, [27] = 0x11, [28] = 0x11,
    [29] = 0x11,     [49] = 0x01, [50] = 0x11, [51] = 0x11,
};

static void put_block_header(uint8_t *at, enum block_type type, size_t size, int is_last)
{
    uint32_t header = (uint32_t)size << 3 | (uint32_t)type << 1 | (uint32_t)is_last;
    at[0] = (uint8_t)header;
    at[1] = (uint8_t)(header >> 8);
    at[2] = (uint8_t)(header >> 16);
}

// A stream is read from its end, the first digit from the highest bits there: so the bytes stand in
// reverse. The mark above the first digit takes a byte.
static uint8_t *put_stream(uint8_t *to, const uint8_t *raw, size_t size)
{
    const uint8_t *from = raw + size;
    for (; from - raw >= 8; to += 8)
        oto_store64(to, __builtin_bswap64(oto_load64(from -= 8)));
    while (from > raw)
        *to++ = *--from;
    *to++ = 1;
    return to;
}

// size: of raw bytes, a multiple of 8, so that the four streams are of whole bytes.
static uint8_t *put_digits(uint8_t *at, const uint8_t *raw, size_t size, int is_first, int is_last)
{
    uint8_t *section = at + BLOCK_HEADER_BYTES, *content = section + SECTION_BYTES;
    uint8_t *to = content;
    if (is_first) {
        memcpy(to, code, CODE_BYTES);
        to += CODE_BYTES;
    }
    size_t each = size / STREAMS;
    for (int i = 0; i < STREAMS - 1; i++, to += 2) {
        to[0] = (uint8_t)(each + 1);
        to[1] = (uint8_t)((each + 1) >> 8);
    }
    for (int i = 0; i < STREAMS; i++)
        to = put_stream(to, raw + (size_t)i * each, each);
    uint64_t sizes = (is_first ? LITERALS_COMPRESSED : LITERALS_TREELESS) | 3u << 2 |
                     (uint64_t)(2 * size) << 4 | (uint64_t)(to - content) << 22;
    oto_store32(section, (uint32_t)sizes);
    section[4] = (uint8_t)(sizes >> 32);
    *to++ = 0;
    put_block_header(at, BLOCK_COMPRESSED, (size_t)(to - section), is_last);
    return to;
}

static uint8_t *put_raw(uint8_t *at, struct oto_bytes content)
{
    for (size_t done = 0; done < content.size;) {
        size_t left = content.size - done, some = left < BLOCK_CONTENT_MAX ? left : BLOCK_CONTENT_MAX;
        put_block_header(at, BLOCK_RAW, some, 0);
        memcpy(at + BLOCK_HEADER_BYTES, content.data + done, some);
        at += BLOCK_HEADER_BYTES + some;
        done += some;
    }
    return at;
}

static uint8_t *put_run(uint8_t *at, uint8_t byte, size_t size)
{
    while (size) {
        size_t some = size < BLOCK_CONTENT_MAX ? size : BLOCK_CONTENT_MAX;
        put_block_header(at, BLOCK_RLE, some, 0);
        at[BLOCK_HEADER_BYTES] = byte;
        at += BLOCK_HEADER_BYTES + 1;
        size -= some;
    }
    return at;
}

static size_t run_at_end(struct oto_bytes content)
{
    size_t size = 0;
    while (size < content.size &&
           content.data[content.size - 1 - size] == content.data[content.size - 1])
        size++;
    return size < RUN_MIN ? 0 : size;
}

enum oto_status oto_hex_frame(struct oto_bytes head, struct oto_bytes raw, struct oto_buffer *output)
{
    const size_t step = BLOCK_CONTENT_MAX / 2;
    if (raw.size % 8 || raw.size < OTO_HEX_FRAME_RAW_MIN)
        return OTO_INVALID;
    if (head.size > UINT32_MAX || raw.size > (UINT32_MAX - head.size) / 2)
        return OTO_TOO_LARGE;
    size_t blocks = head.size / BLOCK_CONTENT_MAX + 3 + raw.size / step;
    OTO_TRY(oto_buffer_reserve(output, FRAME_HEADER_BYTES + head.size + raw.size +
                                           blocks * BLOCK_OVERHEAD_MAX));
    uint8_t *at = output->data + output->size;
    oto_store32(at, MAGIC);
    at[4] = FRAME_DESCRIPTOR;
    oto_store32(at + 5, (uint32_t)(head.size + 2 * raw.size));
    at += FRAME_HEADER_BYTES;
    size_t run = run_at_end(head);
    at = put_raw(at, oto_bytes(head.data, head.size - run));
    if (run)
        at = put_run(at, head.data[head.size - 1], run);
    for (size_t done = 0; done < raw.size; done += step) {
        size_t left = raw.size - done, some = left < step ? left : step;
        at = put_digits(at, raw.data + done, some, !done, some == left);
    }
    output->size = (size_t)(at - output->data);
    return OTO_OK;
}
