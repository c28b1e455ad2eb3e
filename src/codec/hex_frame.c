#include "codec/hex_frame.h"
#include "base/text.h"

#define MAGIC 0xFD2FB528u
#define FRAME_DESCRIPTOR 0xA0 // single segment, four bytes of content size
#define FRAME_HEADER_BYTES 9
#define BLOCK_HEADER_BYTES 3
#define BLOCK_CONTENT_MAX ((size_t)1 << 17)
#define CONTENT_TRUSTED 64 // times a frame's size, so much content is made room for at once
#define RUN_MIN 16         // bytes at the head's end that are the same: a block of their own

enum block_type { BLOCK_RAW = 0, BLOCK_RLE = 1, BLOCK_COMPRESSED = 2 };

// A block of digits: section header, code (first block only), sizes of three streams, four streams
// with an end mark each, and the count of sequences, none.
#define LITERALS_COMPRESSED 2u
#define LITERALS_TREELESS 3u // with the code of the block before
#define SECTION_BYTES 5
#define JUMP_BYTES 6
#define STREAMS 4
#define SEQUENCE_BYTES 48 // at most: the first record's digits too
#define BLOCK_OVERHEAD_MAX                                                                         \
    (BLOCK_HEADER_BYTES + SECTION_BYTES + CODE_BYTES + JUMP_BYTES + STREAMS + SEQUENCE_BYTES)

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
static uint8_t *put_literals(uint8_t *section, const uint8_t *raw, size_t size, int is_first)
{
    uint8_t *content = section + SECTION_BYTES, *to = content;
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
    return to;
}

static uint8_t *put_digits(uint8_t *at, const uint8_t *raw, size_t size, int is_first, int is_last)
{
    uint8_t *to = put_literals(at + BLOCK_HEADER_BYTES, raw, size, is_first);
    *to++ = 0;
    put_block_header(at, BLOCK_COMPRESSED, (size_t)(to - at) - BLOCK_HEADER_BYTES, is_last);
    return to;
}

static uint8_t *put_raw(uint8_t *at, struct oto_bytes content)
{
    for (size_t done = 0; done < content.size;) {
        size_t left = content.size - done;
        size_t some = left < BLOCK_CONTENT_MAX ? left : BLOCK_CONTENT_MAX;
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

static uint8_t *put_frame_header(uint8_t *at, size_t content_size)
{
    oto_store32(at, MAGIC);
    at[4] = FRAME_DESCRIPTOR;
    oto_store32(at + 5, (uint32_t)content_size);
    return at + FRAME_HEADER_BYTES;
}

enum oto_status oto_hex_frame(struct oto_bytes head, struct oto_bytes raw,
                              struct oto_buffer *output)
{
    const size_t step = BLOCK_CONTENT_MAX / 2;
    if (raw.size % 8 || raw.size < OTO_HEX_FRAME_RAW_MIN)
        return OTO_INVALID;
    if (head.size > UINT32_MAX || raw.size > (UINT32_MAX - head.size) / 2)
        return OTO_TOO_LARGE;
    size_t blocks = head.size / BLOCK_CONTENT_MAX + 3 + raw.size / step;
    OTO_TRY(oto_buffer_reserve(output, FRAME_HEADER_BYTES + head.size + raw.size +
                                           blocks * BLOCK_OVERHEAD_MAX));
    uint8_t *at = put_frame_header(output->data + output->size, head.size + 2 * raw.size);
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

// --- ids with their lengths ---
// Lengths are matches: each repeats the four bytes one record before. Literals, match, literals,
// match: all sequences are the same, so each of their codes is told once ("RLE"), and all that a
// sequence takes is the bits by which its literals' count exceeds that of its code: zeros.
#define LENGTH_BYTES 4
#define MATCH_CODE 1      // of length 4
#define OFFSET_REPEATED 0 // as in the sequence before
#define MODES_RLE 0x54
#define RECORDS_RAW_MAX ((size_t)1 << 15) // bytes of ids in a block

struct record {
    unsigned id_size;
    uint8_t literals_code; // for twice id_size, which is the code's base
    uint8_t literals_bits;
    uint8_t offset_code;
    uint8_t first_bits; // of the sequence that tells the offset, mark included
    uint8_t first_bits_size;
};

// Offsets are coded with 3 added: 23 is 16 + 7, 39 is 32 + 7.
static const struct record records[2] = {
    {8, 16, 1, 4, 1 << 5 | 7 << 1, 1},
    {16, 22, 3, 5, 7 << 3, 2}, // the mark is the bit above, in a byte of its own
};

static uint8_t *put_sequence_codes(uint8_t *to, size_t count, const struct record *record,
                                   uint8_t offset_code)
{
    if (count >= 128)
        *to++ = (uint8_t)(128 + (count >> 8));
    *to++ = (uint8_t)count;
    *to++ = MODES_RLE;
    *to++ = record->literals_code;
    *to++ = offset_code;
    *to++ = MATCH_CODE;
    return to;
}

// The first id, its digits as they are, and a match of the length before it: from here on the
// offset is known.
static uint8_t *put_first_record(uint8_t *at, const uint8_t *id, const struct record *record)
{
    uint8_t *to = at + BLOCK_HEADER_BYTES;
    unsigned size = 2 * record->id_size;
    if (size < 32) {
        *to++ = (uint8_t)(size << 3);
    } else {
        *to++ = (uint8_t)(size << 4 | 1 << 2);
        *to++ = (uint8_t)(size >> 4);
    }
    oto_hex_encode(id, record->id_size, (char *)to);
    to = put_sequence_codes(to + size, 1, record, record->offset_code);
    *to++ = record->first_bits;
    if (record->first_bits_size == 2)
        *to++ = 1;
    put_block_header(at, BLOCK_COMPRESSED, (size_t)(to - at) - BLOCK_HEADER_BYTES, 0);
    return to;
}

// size: of ids. The last block has no length after its last id.
static uint8_t *put_records(uint8_t *at, const uint8_t *raw, size_t size,
                            const struct record *record, int is_first, int is_last)
{
    uint8_t *to = put_literals(at + BLOCK_HEADER_BYTES, raw, size, is_first);
    size_t count = size / record->id_size - (size_t)is_last, bits = count * record->literals_bits;
    if (count) {
        to = put_sequence_codes(to, count, record, OFFSET_REPEATED);
        memset(to, 0, bits / 8);
        to += bits / 8;
        *to++ = (uint8_t)(1u << bits % 8);
    } else {
        *to++ = 0;
    }
    put_block_header(at, BLOCK_COMPRESSED, (size_t)(to - at) - BLOCK_HEADER_BYTES, is_last);
    return to;
}

// Bytes before the first block of a frame; 0: not one that can be taken over.
static size_t frame_header_size(struct oto_bytes frame)
{
    static const uint8_t content_size_bytes[4] = {0, 2, 4, 8};
    if (frame.size < 6 || oto_load32(frame.data) != MAGIC || frame.data[4] & 0x0F)
        return 0; // reserved bit, checksum, dictionary
    int is_single = frame.data[4] >> 5 & 1;
    size_t size = content_size_bytes[frame.data[4] >> 6];
    return 4 + 1 + (is_single ? (size ? size : 1) : 1 + size);
}

// Copies the frame's blocks, none of them the last any more. NULL: broken.
static uint8_t *put_blocks_of(uint8_t *to, struct oto_bytes frame)
{
    size_t at = frame_header_size(frame);
    for (int is_last = !at; !is_last;) {
        if (at + BLOCK_HEADER_BYTES > frame.size)
            return NULL;
        uint32_t header =
            frame.data[at] | (uint32_t)frame.data[at + 1] << 8 | (uint32_t)frame.data[at + 2] << 16;
        size_t size = (header >> 1 & 3) == BLOCK_RLE ? 1 : header >> 3;
        if (frame.size - at - BLOCK_HEADER_BYTES < size)
            return NULL;
        memcpy(to, frame.data + at, BLOCK_HEADER_BYTES + size);
        to[0] &= 0xFE;
        to += BLOCK_HEADER_BYTES + size;
        at += BLOCK_HEADER_BYTES + size;
        is_last = header & 1;
    }
    return at == frame.size ? to : NULL;
}

enum oto_status oto_hex_records_frame(struct oto_bytes head_frame, size_t head_size,
                                      struct oto_bytes raw, unsigned id_size,
                                      struct oto_buffer *output)
{
    const struct record *record = &records[id_size == 16];
    if ((id_size != 8 && id_size != 16) || raw.size % id_size || raw.size < OTO_HEX_FRAME_RAW_MIN)
        return OTO_INVALID;
    uint64_t size = head_size + (uint64_t)raw.size / id_size * (2 * id_size + LENGTH_BYTES);
    if (size - LENGTH_BYTES > UINT32_MAX)
        return OTO_TOO_LARGE;
    size_t blocks = 2 + raw.size / RECORDS_RAW_MAX;
    OTO_TRY(oto_buffer_reserve(output, FRAME_HEADER_BYTES + head_frame.size + raw.size +
                                           raw.size / 32 + blocks * BLOCK_OVERHEAD_MAX));
    uint8_t *at = put_frame_header(output->data + output->size, (size_t)size - LENGTH_BYTES);
    at = put_blocks_of(at, head_frame);
    if (!at)
        return OTO_INVALID;
    at = put_first_record(at, raw.data, record);
    for (size_t done = id_size; done < raw.size; done += RECORDS_RAW_MAX) {
        size_t left = raw.size - done, some = left < RECORDS_RAW_MAX ? left : RECORDS_RAW_MAX;
        at = put_records(at, raw.data + done, some, record, done == id_size, some == left);
    }
    output->size = (size_t)(at - output->data);
    return OTO_OK;
}

// --- the way back ---

struct reading {
    struct oto_buffer *output;
    size_t begin; // of the content, in output
    int has_code;
    const struct record *record; // whose offset is the repeated one
    struct oto_match_reader *matches;
    size_t content_size;
};

static void read_stream(const uint8_t *from, size_t size, uint8_t *digits)
{
    for (; size >= 8; size -= 8, digits += 16) {
        uint8_t bytes[8];
        uint64_t words[2];
        oto_store64(bytes, __builtin_bswap64(oto_load64(from + size - 8)));
        oto_hex_words(bytes, words);
        oto_store64(digits, words[0]);
        oto_store64(digits + 8, words[1]);
    }
    for (; size; size--, digits += 2)
        oto_hex_encode(from + size - 1, 1, (char *)digits);
}

// What put_literals wrote: where the streams begin, each of *ret_each bytes and a mark; NULL.
static const uint8_t *find_streams(struct reading *r, struct oto_bytes block, size_t *ret_each)
{
    if (block.size < SECTION_BYTES + JUMP_BYTES)
        return NULL;
    uint64_t sizes = oto_load32(block.data) | (uint64_t)block.data[4] << 32;
    size_t digits = sizes >> 4 & 0x3FFFF, packed = sizes >> 22, type = sizes & 3;
    size_t each = digits / 2 / STREAMS, before = type == LITERALS_COMPRESSED ? CODE_BYTES : 0;
    const uint8_t *at = block.data + SECTION_BYTES;
    if (type < LITERALS_COMPRESSED || (sizes >> 2 & 3) != 3 || !digits || digits % 16 ||
        digits > BLOCK_CONTENT_MAX || packed != before + JUMP_BYTES + STREAMS * (each + 1) ||
        packed > block.size - SECTION_BYTES || (!before && !r->has_code) ||
        memcmp(at, code, before) != 0)
        return NULL;
    at += before;
    for (int i = 0; i < STREAMS - 1; i++, at += 2)
        if ((size_t)(at[0] | at[1] << 8) != each + 1)
            return NULL;
    for (size_t i = 1; i <= STREAMS; i++)
        if (at[i * (each + 1) - 1] != 1)
            return NULL;
    r->has_code = 1;
    *ret_each = each;
    return at;
}

// The sequences of put_records: 0 for none, SIZE_MAX for others.
static size_t find_sequences(const struct reading *r, struct oto_bytes rest, size_t raw_size)
{
    uint8_t expected[SEQUENCE_BYTES];
    if (rest.size == 1 && rest.data[0] == 0)
        return 0;
    if (!r->record || raw_size % r->record->id_size)
        return SIZE_MAX;
    size_t ids = raw_size / r->record->id_size;
    for (size_t count = ids; count && count + 1 >= ids; count--) {
        size_t bits = count * r->record->literals_bits, i = 0;
        size_t head =
            (size_t)(put_sequence_codes(expected, count, r->record, OFFSET_REPEATED) - expected);
        if (rest.size != head + bits / 8 + 1 || memcmp(rest.data, expected, head) != 0 ||
            rest.data[rest.size - 1] != 1u << bits % 8)
            continue;
        while (i < bits / 8 && rest.data[head + i] == 0)
            i++;
        if (i == bits / 8)
            return count;
    }
    return SIZE_MAX;
}

// From ids side by side at `from` to ids with their lengths in front of all but the first.
static void spread(uint8_t *to, const uint8_t *from, size_t size, size_t count)
{
    for (size_t i = 0; i < count; i++, from += size, to += size + LENGTH_BYTES) {
        uint8_t length[LENGTH_BYTES];
        memcpy(length, to - LENGTH_BYTES, sizeof length);
        memmove(to, from, size);
        memcpy(to + size, length, sizeof length);
    }
}

static enum oto_status read_digits(struct reading *r, struct oto_bytes block)
{
    size_t each = 0;
    const uint8_t *at = find_streams(r, block, &each);
    if (!at)
        return OTO_END;
    const uint8_t *rest = at + STREAMS * (each + 1);
    size_t count = find_sequences(r, oto_bytes(rest, (size_t)(block.data + block.size - rest)),
                                  STREAMS * each);
    size_t size = 2 * STREAMS * each, lengths = count * LENGTH_BYTES;
    if (count == SIZE_MAX || size + lengths > BLOCK_CONTENT_MAX)
        return OTO_END;
    OTO_TRY(oto_buffer_reserve(r->output, size + lengths));
    uint8_t *to = r->output->data + r->output->size;
    for (size_t i = 0; i < STREAMS; i++, at += each + 1)
        read_stream(at, each, to + lengths + 2 * i * each);
    if (count)
        spread(to, to + lengths, 2 * r->record->id_size, count);
    r->output->size += size + lengths;
    return OTO_OK;
}

// The block of put_first_record; its digits are as they are.
static enum oto_status read_first_record(struct reading *r, struct oto_bytes block,
                                         const struct record *record)
{
    static const uint8_t id[16];
    uint8_t expected[BLOCK_HEADER_BYTES + SEQUENCE_BYTES], *digits;
    size_t size = 2 * record->id_size, head = size < 32 ? 1 : 2;
    uint8_t *end = put_first_record(expected, id, record), *begin = expected + BLOCK_HEADER_BYTES;
    if (block.size != (size_t)(end - begin) || memcmp(block.data, begin, head) != 0 ||
        memcmp(block.data + head + size, begin + head + size, block.size - head - size) != 0 ||
        r->output->size - r->begin < LENGTH_BYTES)
        return OTO_END;
    OTO_TRY(oto_buffer_reserve(r->output, size + LENGTH_BYTES));
    digits = r->output->data + r->output->size;
    spread(digits, block.data + head, size, 1);
    r->output->size += size + LENGTH_BYTES;
    r->record = record;
    return OTO_OK;
}

static enum oto_status read_compressed(struct reading *r, struct oto_bytes block)
{
    for (size_t i = 0; i < 2; i++) {
        enum oto_status status = read_first_record(r, block, &records[i]);
        if (status != OTO_END)
            return status;
    }
    enum oto_status status = read_digits(r, block);
    // What comes before digits may be matches: no code is kept, no offset but that of a record.
    if (status == OTO_END && r->matches && !r->has_code && !r->record)
        status = oto_match_read_block(r->matches, block, r->begin, r->content_size, r->output);
    return status;
}

static enum oto_status read_block(struct reading *r, enum block_type type, size_t size,
                                  struct oto_bytes *rest)
{
    size_t taken = type == BLOCK_RLE ? 1 : size;
    enum oto_status status = OTO_END;
    if (size > BLOCK_CONTENT_MAX || taken > rest->size)
        return OTO_END;
    if (type == BLOCK_RAW) {
        status = oto_buffer_append(r->output, rest->data, size);
    } else if (type == BLOCK_RLE) {
        OTO_TRY(oto_buffer_reserve(r->output, size));
        if (size) // there may be no output yet
            memset(r->output->data + r->output->size, rest->data[0], size);
        r->output->size += size;
        status = OTO_OK;
    } else if (type == BLOCK_COMPRESSED) {
        status = read_compressed(r, oto_bytes(rest->data, size));
    }
    *rest = oto_bytes(rest->data + taken, rest->size - taken);
    return status;
}

static enum oto_status read_frame(struct reading *r, struct oto_bytes rest)
{
    size_t content_size = r->content_size = oto_load32(rest.data + 5);
    int is_last = 0;
    if (content_size / CONTENT_TRUSTED <= rest.size)
        OTO_TRY(oto_buffer_reserve(r->output, content_size));
    rest = oto_bytes(rest.data + FRAME_HEADER_BYTES, rest.size - FRAME_HEADER_BYTES);
    while (!is_last) {
        if (rest.size < BLOCK_HEADER_BYTES)
            return OTO_END;
        uint32_t header = rest.data[0] | (uint32_t)rest.data[1] << 8 | (uint32_t)rest.data[2] << 16;
        is_last = header & 1;
        rest = oto_bytes(rest.data + BLOCK_HEADER_BYTES, rest.size - BLOCK_HEADER_BYTES);
        enum oto_status status = read_block(r, header >> 1 & 3, header >> 3, &rest);
        if (status != OTO_OK)
            return status;
    }
    return rest.size == 0 && r->output->size - r->begin == content_size ? OTO_OK : OTO_END;
}

enum oto_status oto_hex_frame_read(struct oto_bytes frame, struct oto_match_reader *matches,
                                   struct oto_buffer *output)
{
    struct reading r = {.output = output, .begin = output->size, .matches = matches};
    if (frame.size < FRAME_HEADER_BYTES || oto_load32(frame.data) != MAGIC ||
        frame.data[4] != FRAME_DESCRIPTOR)
        return OTO_END;
    if (matches)
        oto_match_read_begin(matches);
    enum oto_status status = read_frame(&r, frame);
    if (status != OTO_OK)
        output->size = r.begin;
    return status == OTO_OK ? OTO_OK : OTO_END;
}
