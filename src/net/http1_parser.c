#include "net/http1_parser.h"

#include <assert.h>

// Past these, a chunked body is an attack and not a body.
#define CHUNK_DIGITS_MAX 15
#define EXTENSION_BYTES_MAX 4096 // over the whole body
#define METHOD_MAX 32

enum state {
    STATE_HEAD,
    STATE_BODY,
    STATE_CHUNK_SIZE,
    STATE_CHUNK_EXTENSION,
    STATE_CHUNK_SIZE_LF,
    STATE_CHUNK_DATA,
    STATE_CHUNK_DATA_CR,
    STATE_CHUNK_DATA_LF,
    STATE_TRAILER_START, // of a line
    STATE_TRAILER_NAME,
    STATE_TRAILER_VALUE,
    STATE_TRAILER_LF,
    STATE_LAST_LF,
    STATE_END,
    STATE_ERROR,
};

enum character { CHAR_TOKEN = 1, CHAR_TARGET = 2, CHAR_VALUE = 4, CHAR_HOST = 8 };

// By RFC 9110 5.6.2 (token), RFC 3986 (host), and: a target is visible ASCII, a value has no
// control but tab.
static unsigned char_class(uint8_t c)
{
    unsigned class = 0;
    int alnum = (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z');
    if (alnum || (c && strchr("!#$%&'*+-.^_`|~", c)))
        class |= CHAR_TOKEN;
    if (c > ' ' && c < 127)
        class |= CHAR_TARGET;
    if (c == '\t' || (c >= ' ' && c != 127))
        class |= CHAR_VALUE;
    if (alnum || (c && strchr("-._~!$&'()*+,;=%:[]", c)))
        class |= CHAR_HOST;
    return class;
}

static int is_token_char(uint8_t c)
{
    // One bit a character: as char_class, but in the hot loop of header names.
    static const uint64_t bits[4] = {0x03ff6cfa00000000u, 0x57ffffffc7fffffeu, 0, 0};
    return (int)(bits[c >> 6] >> (c & 63) & 1);
}

static int all_of(struct oto_bytes text, unsigned class)
{
    for (size_t i = 0; i < text.size; i++)
        if (!(char_class(text.data[i]) & class))
            return 0;
    return 1;
}

static int is_value(struct oto_bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if ((text.data[i] < ' ' && text.data[i] != '\t') || text.data[i] == 127)
            return 0;
    return 1;
}

int oto_http_text_is(struct oto_bytes a, const char *b)
{
    size_t i = 0;
    for (; i < a.size && b[i]; i++) {
        uint8_t c = a.data[i];
        if ((c >= 'A' && c <= 'Z' ? c | 32 : c) != (uint8_t)b[i])
            return 0;
    }
    return i == a.size && !b[i];
}

void oto_http1_parser_init(struct oto_http1_parser *parser, uint32_t head_bytes_max,
                           uint32_t header_count_max)
{
    if (header_count_max > OTO_HTTP1_HEADERS_CAP)
        header_count_max = OTO_HTTP1_HEADERS_CAP;
    *parser = (struct oto_http1_parser){.state = STATE_HEAD,
                                        .head_bytes_max = head_bytes_max,
                                        .header_count_max = header_count_max};
}

int oto_http1_parser_idle(const struct oto_http1_parser *parser)
{
    return parser->state == STATE_HEAD;
}

int oto_http1_parser_fresh(const struct oto_http1_parser *parser)
{
    return parser->state == STATE_HEAD && parser->scanned == 0 && !parser->empty_line;
}

void oto_http1_parser_skip_head(struct oto_http1_parser *parser, uint64_t content_length)
{
    assert(oto_http1_parser_fresh(parser));
    parser->remaining = content_length;
    parser->state = content_length > 0 ? STATE_BODY : STATE_END;
}

uint64_t oto_http1_parser_body_remaining(const struct oto_http1_parser *parser)
{
    return parser->state == STATE_BODY ? parser->remaining : 0;
}

void oto_http1_parser_skip(struct oto_http1_parser *parser, uint64_t size)
{
    assert(parser->state == STATE_BODY && size <= parser->remaining);
    parser->remaining -= size;
    if (parser->remaining == 0)
        parser->state = STATE_END;
}

static enum oto_http1_event fail(struct oto_http1_parser *parser, int status, const char *reason)
{
    parser->state = STATE_ERROR;
    parser->status = status;
    parser->reason = reason;
    return OTO_HTTP1_ERROR;
}

static struct oto_bytes trim(struct oto_bytes text)
{
    while (text.size && (text.data[0] == ' ' || text.data[0] == '\t'))
        text.data++, text.size--;
    while (text.size && (text.data[text.size - 1] == ' ' || text.data[text.size - 1] == '\t'))
        text.size--;
    return text;
}

// --- head ---

// What is wrong with the beginning of a request line whose end has not come, or 0.
static enum oto_http1_event check_first_line(struct oto_http1_parser *p, struct oto_bytes line)
{
    size_t method = 0;
    while (method < line.size && is_token_char(line.data[method]))
        method++;
    if (method < line.size && line.data[method] != ' ' && line.data[method] != '\r')
        return fail(p, 400, "the request does not begin with a method");
    if (method > METHOD_MAX)
        return fail(p, 400, "the method is too long");
    if (line.size > OTO_HTTP1_TARGET_MAX + METHOD_MAX + 16)
        return fail(p, 414, "the request target is too long");
    return OTO_HTTP1_MORE;
}

// Looks for the empty line that ends the head. MORE, ERROR, or HEAD with its size in ret_size.
static enum oto_http1_event find_head_end(struct oto_http1_parser *p, struct oto_bytes input,
                                          size_t *ret_size)
{
    const uint8_t *data = input.data;
    while (p->scanned < input.size) {
        const uint8_t *lf = memchr(data + p->scanned, '\n', input.size - p->scanned);
        if (!lf) {
            p->scanned = input.size;
            break;
        }
        size_t at = (size_t)(lf - data);
        if (at == p->line_start || data[at - 1] != '\r')
            return fail(p, 400, "a line ends in a bare LF");
        if (p->line_start == 0 && check_first_line(p, oto_bytes(data, at)) == OTO_HTTP1_ERROR)
            return OTO_HTTP1_ERROR;
        int is_empty = at - p->line_start == 1;
        p->scanned = p->line_start = at + 1;
        if (is_empty) {
            *ret_size = at + 1;
            return at + 1 > p->head_bytes_max ? fail(p, 431, "the headers are too large")
                                              : OTO_HTTP1_HEAD;
        }
    }
    if (p->line_start == 0)
        return check_first_line(p, input);
    if (input.size > p->head_bytes_max)
        return fail(p, 431, "the headers are too large");
    return OTO_HTTP1_MORE;
}

static int is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

static enum oto_http1_event parse_version(struct oto_http1_parser *p, struct oto_bytes version,
                                          struct oto_http1_head *head)
{
    const uint8_t *v = version.data;
    if (version.size != 8 || memcmp(v, "HTTP/", 5) != 0 || !is_digit(v[5]) || v[6] != '.' ||
        !is_digit(v[7]))
        return fail(p, 400, "the request line is malformed");
    if (v[5] != '1')
        return fail(p, 505, "the HTTP version is not supported");
    head->version = v[7] == '0' ? OTO_HTTP_1_0 : OTO_HTTP_1_1;
    return OTO_HTTP1_HEAD;
}

// Leaves path and query in target; an authority of its own goes before Host (RFC 9112 3.2.2).
static enum oto_http1_event parse_target(struct oto_http1_parser *p, struct oto_http1_head *head)
{
    struct oto_bytes *t = &head->target;
    if (t->size == 1 && t->data[0] == '*' && oto_bytes_equal_text(head->method, "OPTIONS"))
        return OTO_HTTP1_HEAD;
    if (t->size > 0 && t->data[0] == '/')
        return OTO_HTTP1_HEAD;
    size_t scheme = 0;
    if (t->size >= 7 && oto_http_text_is(oto_bytes(t->data, 7), "http://"))
        scheme = 7;
    else if (t->size >= 8 && oto_http_text_is(oto_bytes(t->data, 8), "https://"))
        scheme = 8;
    if (scheme == 0)
        return fail(p, 400, "the request target is malformed");
    t->data += scheme;
    t->size -= scheme;
    size_t size = 0;
    while (size < t->size && t->data[size] != '/' && t->data[size] != '?')
        size++;
    head->authority = oto_bytes(t->data, size);
    if (size == 0 || !all_of(head->authority, CHAR_HOST))
        return fail(p, 400, "the authority of the request target is malformed");
    t->data += size;
    t->size -= size;
    if (t->size == 0)
        *t = OTO_BYTES_LITERAL("/");
    else if (t->data[0] == '?')
        return fail(p, 400, "the request target has no path");
    return OTO_HTTP1_HEAD;
}

static enum oto_http1_event parse_request_line(struct oto_http1_parser *p, struct oto_bytes line,
                                               struct oto_http1_head *head)
{
    size_t method = 0;
    while (method < line.size && is_token_char(line.data[method]))
        method++;
    if (method == 0 || method == line.size || line.data[method] != ' ')
        return fail(p, 400, "the request line is malformed");
    if (method > METHOD_MAX)
        return fail(p, 400, "the method is too long");
    head->method = oto_bytes(line.data, method);
    const uint8_t *target = line.data + method + 1;
    size_t size = 0, rest = line.size - method - 1;
    while (size < rest && target[size] > ' ' && target[size] < 127)
        size++;
    if (size == 0 || size == rest || target[size] != ' ')
        return fail(p, 400, "the request line is malformed");
    if (size > OTO_HTTP1_TARGET_MAX)
        return fail(p, 414, "the request target is too long");
    head->target = oto_bytes(target, size);
    enum oto_http1_event event =
        parse_version(p, oto_bytes(target + size + 1, rest - size - 1), head);
    if (event == OTO_HTTP1_ERROR)
        return event;
    if (oto_bytes_equal_text(head->method, "CONNECT") ||
        oto_bytes_equal_text(head->method, "TRACE"))
        return fail(p, 405, "the method is not allowed");
    return parse_target(p, head);
}

static enum oto_http1_event parse_header_line(struct oto_http1_parser *p, struct oto_bytes line,
                                              struct oto_http1_head *head)
{
    size_t name = 0;
    if (line.data[0] == ' ' || line.data[0] == '\t')
        return fail(p, 400, "a header line is folded");
    while (name < line.size && is_token_char(line.data[name]))
        name++;
    if (name == 0 || name == line.size || line.data[name] != ':')
        return fail(p, 400, "a header name is malformed");
    struct oto_bytes value = trim(oto_bytes(line.data + name + 1, line.size - name - 1));
    if (!is_value(value))
        return fail(p, 400, "a header value has a control character");
    if (head->header_count == p->header_count_max)
        return fail(p, 431, "there are too many headers");
    head->headers[head->header_count++] =
        (struct oto_http_header){oto_bytes(line.data, name), value};
    return OTO_HTTP1_HEAD;
}

// What the headers that rule the connection and the body have said so far.
struct framing {
    int hosts, lengths, encodings, close, keep_alive;
};

static void parse_connection(struct oto_bytes value, struct framing *f)
{
    size_t start = 0;
    for (size_t i = 0; i <= value.size; i++) {
        if (i < value.size && value.data[i] != ',')
            continue;
        struct oto_bytes word = trim(oto_bytes(value.data + start, i - start));
        f->close |= oto_http_text_is(word, "close");
        f->keep_alive |= oto_http_text_is(word, "keep-alive");
        start = i + 1;
    }
}

static enum oto_http1_event parse_length(struct oto_http1_parser *p, struct oto_bytes value,
                                         struct oto_http1_head *head, struct framing *f)
{
    uint64_t length = 0;
    if (f->lengths++)
        return fail(p, 400, "there are two Content-Length headers");
    if (value.size == 0 || value.size > 18) // 18 digits cannot overflow
        return fail(p, 400, "Content-Length is malformed");
    for (size_t i = 0; i < value.size; i++) {
        if (!is_digit(value.data[i]))
            return fail(p, 400, "Content-Length is malformed");
        length = 10 * length + (uint64_t)(value.data[i] - '0');
    }
    head->content_length = length;
    return OTO_HTTP1_HEAD;
}

static enum oto_http1_event use_header(struct oto_http1_parser *p, struct oto_http_header header,
                                       struct oto_http1_head *head, struct framing *f)
{
    // By length first: most headers are none of these.
    switch (header.name.size) {
    case 4:
        if (!oto_http_text_is(header.name, "host"))
            break;
        if (f->hosts++)
            return fail(p, 400, "there are two Host headers");
        if (!all_of(header.value, CHAR_HOST))
            return fail(p, 400, "Host is malformed");
        if (head->authority.size == 0)
            head->authority = header.value;
        break;
    case 6:
        if (!oto_http_text_is(header.name, "expect"))
            break;
        if (!oto_http_text_is(header.value, "100-continue"))
            return fail(p, 417, "only 100-continue can be expected");
        head->expect_continue = head->version == OTO_HTTP_1_1;
        break;
    case 10:
        if (oto_http_text_is(header.name, "connection"))
            parse_connection(header.value, f);
        break;
    case 14:
        if (oto_http_text_is(header.name, "content-length"))
            return parse_length(p, header.value, head, f);
        break;
    case 17:
        if (!oto_http_text_is(header.name, "transfer-encoding"))
            break;
        if (f->encodings++ || !oto_http_text_is(header.value, "chunked"))
            return fail(p, 400, "Transfer-Encoding is other than chunked");
        break;
    }
    return OTO_HTTP1_HEAD;
}

static enum oto_http1_event finish_head(struct oto_http1_parser *p, struct oto_http1_head *head,
                                        const struct framing *f)
{
    if (f->hosts == 0 && head->version == OTO_HTTP_1_1)
        return fail(p, 400, "Host is missing");
    if (f->encodings && f->lengths)
        return fail(p, 400, "there are both Content-Length and Transfer-Encoding");
    if (f->encodings && head->version == OTO_HTTP_1_0)
        return fail(p, 400, "HTTP/1.0 has no Transfer-Encoding");
    head->keep_alive = !f->close && (head->version == OTO_HTTP_1_1 || f->keep_alive);
    head->has_body = f->encodings || (f->lengths && head->content_length > 0);
    head->expect_continue = head->expect_continue && head->has_body;
    p->extension_bytes = p->trailer_bytes = p->size_digits = 0;
    p->remaining = f->encodings ? 0 : head->has_body ? head->content_length : 0;
    p->state = f->encodings ? STATE_CHUNK_SIZE : head->has_body ? STATE_BODY : STATE_END;
    return OTO_HTTP1_HEAD;
}

static enum oto_http1_event parse_head(struct oto_http1_parser *p, struct oto_bytes block,
                                       struct oto_http1_head *head)
{
    struct framing framing = {0};
    enum oto_http1_event event;
    size_t start = 0;
    head->header_count = 0;
    head->content_length = UINT64_MAX;
    head->authority = (struct oto_bytes){0};
    head->expect_continue = 0;
    for (;;) {
        const uint8_t *lf = memchr(block.data + start, '\n', block.size - start);
        struct oto_bytes line =
            oto_bytes(block.data + start, (size_t)(lf - block.data) - 1 - start);
        if (line.size == 0)
            return finish_head(p, head, &framing);
        if (start == 0) {
            event = parse_request_line(p, line, head);
        } else {
            event = parse_header_line(p, line, head);
            if (event != OTO_HTTP1_ERROR)
                event = use_header(p, head->headers[head->header_count - 1], head, &framing);
        }
        if (event == OTO_HTTP1_ERROR)
            return event;
        start += line.size + 2;
    }
}

static enum oto_http1_event next_head(struct oto_http1_parser *p, struct oto_bytes input,
                                      size_t *consumed, struct oto_http1_head *head)
{
    size_t size = 0;
    // One empty line before a request is forgiven (RFC 9112 2.2): old clients send it after a body.
    if (!p->empty_line && p->scanned == 0 && input.size >= 2 &&
        memcmp(input.data, "\r\n", 2) == 0) {
        p->empty_line = 1;
        *consumed = 2;
        input = oto_bytes(input.data + 2, input.size - 2);
    }
    if (input.size == 0 || (input.size == 1 && input.data[0] == '\r' && !p->empty_line))
        return OTO_HTTP1_MORE;
    if (input.data[0] == '\r')
        return fail(p, 400, "the request does not begin with a method");
    enum oto_http1_event event = find_head_end(p, input, &size);
    if (event != OTO_HTTP1_HEAD)
        return event;
    event = parse_head(p, oto_bytes(input.data, size), head);
    *consumed += size;
    p->scanned = p->line_start = 0;
    p->empty_line = 0;
    return event;
}

// --- body ---

static enum oto_http1_event next_data(struct oto_http1_parser *p, struct oto_bytes input,
                                      size_t *consumed, struct oto_bytes *data, enum state after)
{
    size_t size = input.size < p->remaining ? input.size : (size_t)p->remaining;
    if (size == 0)
        return OTO_HTTP1_MORE;
    *data = oto_bytes(input.data, size);
    *consumed += size;
    p->remaining -= size;
    if (p->remaining == 0)
        p->state = (int)after;
    return OTO_HTTP1_DATA;
}

static int hex_value(uint8_t c)
{
    if (is_digit(c))
        return c - '0';
    c |= 32;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

// One character of a chunk's size line.
static enum oto_http1_event chunk_size_char(struct oto_http1_parser *p, uint8_t c)
{
    int digit = hex_value(c);
    if (digit >= 0) {
        if (++p->size_digits > CHUNK_DIGITS_MAX)
            return fail(p, 400, "a chunk size is too long");
        p->remaining = 16 * p->remaining + (uint64_t)digit;
        return OTO_HTTP1_MORE;
    }
    if (p->size_digits == 0 || (c != '\r' && c != ';'))
        return fail(p, 400, "a chunk size is malformed");
    p->state = c == '\r' ? STATE_CHUNK_SIZE_LF : STATE_CHUNK_EXTENSION;
    return OTO_HTTP1_MORE;
}

static enum oto_http1_event trailer_char(struct oto_http1_parser *p, uint8_t c)
{
    if (++p->trailer_bytes > p->head_bytes_max)
        return fail(p, 431, "the trailers are too large");
    switch (p->state) {
    case STATE_TRAILER_START:
        if (c == '\r')
            p->state = STATE_LAST_LF;
        else if (is_token_char(c))
            p->state = STATE_TRAILER_NAME;
        else
            return fail(p, 400, "a trailer is malformed");
        break;
    case STATE_TRAILER_NAME:
        if (c == ':')
            p->state = STATE_TRAILER_VALUE;
        else if (!is_token_char(c))
            return fail(p, 400, "a trailer is malformed");
        break;
    default:
        if (c == '\r')
            p->state = STATE_TRAILER_LF;
        else if (!(char_class(c) & CHAR_VALUE))
            return fail(p, 400, "a trailer is malformed");
    }
    return OTO_HTTP1_MORE;
}

// One character of what stands between chunk data: moves the state, or fails.
static enum oto_http1_event framing_char(struct oto_http1_parser *p, uint8_t c)
{
    switch (p->state) {
    case STATE_CHUNK_SIZE:
        return chunk_size_char(p, c);
    case STATE_CHUNK_EXTENSION:
        if (c == '\r')
            p->state = STATE_CHUNK_SIZE_LF;
        else if (++p->extension_bytes > EXTENSION_BYTES_MAX || !(char_class(c) & CHAR_VALUE))
            return fail(p, 400, "a chunk extension is too long or malformed");
        return OTO_HTTP1_MORE;
    case STATE_CHUNK_DATA_CR:
        if (c != '\r')
            return fail(p, 400, "a chunk does not end in CRLF");
        p->state = STATE_CHUNK_DATA_LF;
        return OTO_HTTP1_MORE;
    case STATE_TRAILER_START:
    case STATE_TRAILER_NAME:
    case STATE_TRAILER_VALUE:
        return trailer_char(p, c);
    default:
        break;
    }
    if (c != '\n')
        return fail(p, 400, "a CR without LF");
    switch (p->state) {
    case STATE_CHUNK_SIZE_LF:
        p->state = p->remaining ? STATE_CHUNK_DATA : STATE_TRAILER_START;
        p->size_digits = 0;
        break;
    case STATE_CHUNK_DATA_LF:
        p->state = STATE_CHUNK_SIZE;
        break;
    case STATE_TRAILER_LF:
        p->state = STATE_TRAILER_START;
        break;
    default:
        p->state = STATE_END;
    }
    return OTO_HTTP1_MORE;
}

static enum oto_http1_event next_chunked(struct oto_http1_parser *p, struct oto_bytes input,
                                         size_t *consumed, struct oto_bytes *data)
{
    size_t i = 0;
    while (i < input.size && p->state != STATE_CHUNK_DATA && p->state != STATE_END)
        if (framing_char(p, input.data[i++]) == OTO_HTTP1_ERROR)
            return OTO_HTTP1_ERROR;
    *consumed += i;
    if (p->state != STATE_CHUNK_DATA)
        return OTO_HTTP1_MORE;
    return next_data(p, oto_bytes(input.data + i, input.size - i), consumed, data,
                     STATE_CHUNK_DATA_CR);
}

enum oto_http1_event oto_http1_parser_next(struct oto_http1_parser *parser, struct oto_bytes input,
                                           size_t *ret_consumed, struct oto_http1_head *head,
                                           struct oto_bytes *ret_data)
{
    enum oto_http1_event event;
    *ret_consumed = 0;
    switch (parser->state) {
    case STATE_HEAD:
        return next_head(parser, input, ret_consumed, head);
    case STATE_BODY:
        return next_data(parser, input, ret_consumed, ret_data, STATE_END);
    case STATE_ERROR:
        return OTO_HTTP1_ERROR;
    default:
        event = parser->state == STATE_END ? OTO_HTTP1_MORE
                                           : next_chunked(parser, input, ret_consumed, ret_data);
    }
    if (event == OTO_HTTP1_MORE && parser->state == STATE_END) {
        parser->state = STATE_HEAD;
        return OTO_HTTP1_END;
    }
    return event;
}
