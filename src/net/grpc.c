#include "net/grpc.h"

#include "base/text.h"
#include "net/http_internal.h"

#define MESSAGE_TEXT_MAX 1024 // of grpc-message, before percent-encoding
#define EXTRA_HEADERS_MAX 16

enum oto_status oto_grpc_unary_message(struct oto_bytes body, int *ret_compressed,
                                       struct oto_bytes *ret_message, struct oto_error *err)
{
    if (body.size == 0)
        return oto_error_set(err, OTO_INVALID, "the call has no message");
    if (body.size < 5)
        return oto_error_at(err, OTO_INVALID, body.size, "the message frame ends in its head");
    if (body.data[0] > 1)
        return oto_error_at(err, OTO_INVALID, 0, "the compressed flag is %u", body.data[0]);
    uint32_t size = oto_load32_big(body.data + 1);
    if (size > body.size - 5)
        return oto_error_at(err, OTO_INVALID, body.size,
                            "the message frame says %u bytes and has %zu", size, body.size - 5);
    if (size < body.size - 5)
        return oto_error_at(err, OTO_INVALID, 5 + (uint64_t)size,
                            "there is more after the one message of a unary call");
    *ret_compressed = body.data[0];
    *ret_message = oto_bytes(body.data + 5, size);
    return OTO_OK;
}

enum oto_status oto_grpc_timeout(struct oto_bytes value, uint64_t *ret_timeout_ns)
{
    static const struct {
        char unit;
        uint64_t ns;
    } units[] = {{'H', 3600000000000u}, {'M', 60000000000u}, {'S', 1000000000u},
                 {'m', 1000000u},       {'u', 1000u},        {'n', 1u}};
    uint64_t number = 0;
    if (value.size < 2 || value.size > 9) // at most 8 digits
        return OTO_INVALID;
    for (size_t i = 0; i + 1 < value.size; i++) {
        if (value.data[i] < '0' || value.data[i] > '9')
            return OTO_INVALID;
        number = 10 * number + (uint64_t)(value.data[i] - '0');
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        if (value.data[value.size - 1] != (uint8_t)units[i].unit)
            continue;
        // 99999999 hours do not fit into 64 bits of nanoseconds; 584 years are for ever too.
        *ret_timeout_ns = number > UINT64_MAX / units[i].ns ? UINT64_MAX : number * units[i].ns;
        return OTO_OK;
    }
    return OTO_INVALID;
}

static const struct oto_http_header content_type = {OTO_BYTES_LITERAL("content-type"),
                                                    OTO_BYTES_LITERAL("application/grpc")};

void oto_grpc_respond(struct oto_exchange *exchange, struct oto_bytes message)
{
    struct oto_http_header trailer = {OTO_BYTES_LITERAL("grpc-status"), OTO_BYTES_LITERAL("0")};
    struct oto_http_response response = {
        .status = 200,
        .headers = &content_type,
        .header_count = 1,
        .body = message,
        .trailers = &trailer,
        .trailer_count = 1,
    };
    uint8_t prefix[5] = {0};
    oto_store32_big(prefix + 1, (uint32_t)message.size);
    http_exchange_respond(exchange, &response, oto_bytes(prefix, sizeof prefix));
}

// Percent-encodes all but printable ASCII, and '%'. output: 3 * text.size.
static size_t percent_encode(struct oto_bytes text, char *output)
{
    static const char digits[] = "0123456789ABCDEF";
    size_t size = 0;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];
        if (c >= ' ' && c <= '~' && c != '%') {
            output[size++] = (char)c;
            continue;
        }
        output[size++] = '%';
        output[size++] = digits[c >> 4];
        output[size++] = digits[c & 15];
    }
    return size;
}

// Base64 without padding, as gRPC writes binary headers. NULL when out of memory.
static char *encode_details(const struct oto_allocator *allocator, struct oto_bytes details,
                            size_t *ret_size)
{
    char *text = oto_alloc(allocator, oto_base64_size(details.size));
    if (!text)
        return NULL;
    size_t size = oto_base64_encode(details.data, details.size, text);
    while (size > 0 && text[size - 1] == '=')
        size--;
    *ret_size = size;
    return text;
}

void oto_grpc_respond_error(struct oto_exchange *exchange, enum oto_grpc_status status,
                            struct oto_bytes text, struct oto_bytes details,
                            const struct oto_http_header *extra, size_t extra_count)
{
    struct oto_http_header headers[4 + EXTRA_HEADERS_MAX];
    char number[OTO_TEXT_I64_MAX], message[3 * MESSAGE_TEXT_MAX];
    size_t count = 0, details_size = 0;
    char *details_text = NULL;
    if (text.size > MESSAGE_TEXT_MAX)
        text.size = MESSAGE_TEXT_MAX;
    headers[count++] = content_type;
    headers[count++] = (struct oto_http_header){
        OTO_BYTES_LITERAL("grpc-status"), oto_bytes(number, oto_text_from_i64(status, number))};
    headers[count++] = (struct oto_http_header){OTO_BYTES_LITERAL("grpc-message"),
                                                oto_bytes(message, percent_encode(text, message))};
    if (details.size > 0)
        details_text = encode_details(exchange->allocator, details, &details_size);
    if (details_text)
        headers[count++] = (struct oto_http_header){OTO_BYTES_LITERAL("grpc-status-details-bin"),
                                                    oto_bytes(details_text, details_size)};
    for (size_t i = 0; i < extra_count && i < EXTRA_HEADERS_MAX; i++)
        headers[count++] = extra[i];
    struct oto_http_response response = {.status = 200, .headers = headers, .header_count = count};
    // respond may free the exchange when the peer is gone, so its allocator is taken first.
    const struct oto_allocator *allocator = exchange->allocator;
    oto_exchange_respond(exchange, &response);
    oto_free(allocator, details_text, oto_base64_size(details.size));
}
