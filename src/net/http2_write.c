// HTTP/2 as bytes: frames, and header blocks that use no table but the static one (RFC 7541): two
// answers of ours differ in little, and a peer's limits on its table do not matter.
#include "base/text.h"
#include "net/http2_internal.h"

uint8_t *http2_put_frame_head(uint8_t *at, size_t size, uint8_t type, uint8_t flags, uint32_t id)
{
    at[0] = (uint8_t)(size >> 16);
    at[1] = (uint8_t)(size >> 8);
    at[2] = (uint8_t)size;
    at[3] = type;
    at[4] = flags;
    oto_store32_big(at + 5, id);
    return at + HTTP2_FRAME_HEAD_SIZE;
}

void http2_put_frame(struct http_connection *c, uint8_t type, uint8_t flags, uint32_t id,
                     const void *payload, size_t size)
{
    uint8_t *at = http_connection_room(c, HTTP2_FRAME_HEAD_SIZE + size);
    if (!at)
        return;
    at = http2_put_frame_head(at, size, type, flags, id);
    if (size > 0)
        memcpy(at, payload, size);
}

void http2_put_word(struct http_connection *c, uint8_t type, uint32_t id, uint32_t word)
{
    uint8_t payload[4];
    oto_store32_big(payload, word);
    http2_put_frame(c, type, 0, id, payload, sizeof payload);
}

// --- header blocks ---

#define INTEGER_MAX 6 // bytes of an integer of 32 bits

size_t http2_fields_bound(const struct oto_http_header *fields, size_t count)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++)
        size += 1 + 2 * INTEGER_MAX + fields[i].name.size + fields[i].value.size;
    // And the heads of the frames that the block is cut into.
    return size + (size / HTTP2_FRAME_SIZE_OUT + 1) * HTTP2_FRAME_HEAD_SIZE;
}

// An integer behind the high bits of its first byte (RFC 7541 5.1).
static uint8_t *put_integer(uint8_t *at, uint8_t high, uint32_t prefix_max, size_t value)
{
    if (value < prefix_max) {
        *at++ = (uint8_t)(high | value);
        return at;
    }
    *at++ = (uint8_t)(high | prefix_max);
    for (value -= prefix_max; value >= 128; value >>= 7)
        *at++ = (uint8_t)(value | 128);
    *at++ = (uint8_t)value;
    return at;
}

static uint8_t *put_text(uint8_t *at, struct oto_bytes text)
{
    at = put_integer(at, 0, 127, text.size);
    if (text.size > 0)
        memcpy(at, text.data, text.size);
    return at + text.size;
}

// In the static table (RFC 7541 A), of the names that answers have; 0: not there.
static uint32_t static_name(struct oto_bytes name)
{
    static const struct {
        const char *name;
        uint32_t index;
    } rows[] = {{"content-type", 31},
                {"content-length", 28},
                {"date", 33},
                {"retry-after", 53},
                {"allow", 22}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        if (rows[i].name[0] == name.data[0] && oto_bytes_equal_text(name, rows[i].name))
            return rows[i].index;
    return 0;
}

uint8_t *http2_put_field(uint8_t *at, struct oto_bytes name, struct oto_bytes value)
{
    uint32_t index = name.size > 0 ? static_name(name) : 0;
    at = put_integer(at, 0, 15, index); // a literal without indexing
    if (index == 0)
        at = put_text(at, name);
    return put_text(at, value);
}

uint8_t *http2_put_status(uint8_t *at, int status)
{
    static const struct {
        int status;
        uint8_t index;
    } rows[] = {{200, 8}, {204, 9}, {206, 10}, {304, 11}, {400, 12}, {404, 13}, {500, 14}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (rows[i].status != status)
            continue;
        *at++ = 0x80 | rows[i].index;
        return at;
    }
    char text[OTO_TEXT_I64_MAX];
    *at++ = 8; // the name of an entry, and a value of its own
    return put_text(at, oto_bytes(text, oto_text_from_i64(status, text)));
}

uint8_t *http2_put_heads(uint8_t *at, uint8_t *end, uint8_t flags, uint32_t id)
{
    uint8_t *first = at + HTTP2_FRAME_HEAD_SIZE;
    size_t size = (size_t)(end - first),
           pieces = 1 + (size > 0 ? (size - 1) / HTTP2_FRAME_SIZE_OUT : 0);
    for (size_t i = pieces - 1; i > 0; i--) { // from the last, since each moves up
        size_t start = i * HTTP2_FRAME_SIZE_OUT, rest = size - start;
        size_t piece = rest < HTTP2_FRAME_SIZE_OUT ? rest : HTTP2_FRAME_SIZE_OUT;
        uint8_t *head = first + start + (i - 1) * HTTP2_FRAME_HEAD_SIZE;
        memmove(head + HTTP2_FRAME_HEAD_SIZE, first + start, piece);
        http2_put_frame_head(head, piece, NGHTTP2_CONTINUATION,
                             i == pieces - 1 ? NGHTTP2_FLAG_END_HEADERS : 0, id);
    }
    http2_put_frame_head(at, pieces > 1 ? HTTP2_FRAME_SIZE_OUT : size, NGHTTP2_HEADERS,
                         (uint8_t)(flags | (pieces == 1 ? NGHTTP2_FLAG_END_HEADERS : 0)), id);
    return end + (pieces - 1) * HTTP2_FRAME_HEAD_SIZE;
}
