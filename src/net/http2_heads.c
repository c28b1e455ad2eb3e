// Header blocks of HTTP/2: decoded by nghttp2's HPACK, checked (RFC 9113 8.2, 8.3), and made into
// the head of a request.
//
// A client that says the same again and again, as exporters do, soon says it in the same bytes,
// mostly indices, which leave the decoder's table as it is. While no other block has changed that,
// the same bytes mean the same, and the head made of them is used again.
#include "base/text.h"
#include "net/http2_internal.h"

// Decoded header bytes in one block past which the connection, and not just the request, is given
// up.
#define HEADER_BYTES_ABSURD (1u << 20)
#define FIELDS_KEPT_MAX 4096 // bytes of memory between two blocks

enum seen {
    SEEN_METHOD = 1,
    SEEN_PATH = 2,
    SEEN_SCHEME = 4,
    SEEN_AUTHORITY = 8,
    SEEN_HOST = 16,
    SEEN_LENGTH = 32,
    SEEN_REGULAR = 64,
};

// --- the decoder ---

static void *block_malloc(size_t size, void *blocks)
{
    return oto_small_blocks_take(blocks, size);
}

static void block_free(void *memory, void *blocks)
{
    oto_small_blocks_give(blocks, memory);
}

static void *block_calloc(size_t count, size_t size, void *blocks)
{
    void *memory = size && count > SIZE_MAX / size ? NULL : block_malloc(count * size, blocks);
    return memory ? memset(memory, 0, count * size) : NULL;
}

static void *block_realloc(void *memory, size_t size, void *blocks)
{
    return oto_small_blocks_resize(blocks, memory, size);
}

int http2_heads_open(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    h->memory =
        (nghttp2_mem){&c->server->blocks, block_malloc, block_free, block_calloc, block_realloc};
    oto_buffer_init(&h->block.fields, c->server->recycled, 1u << 21);
    uint32_t shortages = c->server->blocks.short_count;
    return nghttp2_hd_inflate_new2(&h->inflater, &h->memory) == 0 &&
           shortages == c->server->blocks.short_count;
}

void http2_heads_forget(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    h->kept_size = 0;
    http_shared_head_unref(h->kept_head, c->server->recycled);
    h->kept_head = NULL;
}

void http2_heads_release(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    http2_heads_forget(c);
    oto_buffer_release(&h->block.fields);
    if (h->inflater)
        nghttp2_hd_inflate_del(h->inflater);
}

// --- fields ---

static int is_forbidden(struct oto_bytes name)
{
    return oto_bytes_equal_text(name, "connection") || oto_bytes_equal_text(name, "keep-alive") ||
           oto_bytes_equal_text(name, "proxy-connection") ||
           oto_bytes_equal_text(name, "transfer-encoding") || oto_bytes_equal_text(name, "upgrade");
}

// Notes what may come once. 0: it has come before.
static int see(struct http2_block *b, enum seen what)
{
    if (b->seen & what)
        return 0;
    b->seen |= (uint8_t)what;
    return 1;
}

static int is_scheme(struct oto_bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i] | 32;
        int is_alpha = c >= 'a' && c <= 'z';
        if (!is_alpha && (i == 0 || !memchr("0123456789+-.", text.data[i], 13)))
            return 0;
    }
    return text.size > 0;
}

static int take_pseudo(struct http2_block *b, struct oto_bytes name, struct oto_bytes value)
{
    if (!b->is_request || (b->seen & SEEN_REGULAR))
        return 0;
    if (oto_bytes_equal_text(name, ":method"))
        return nghttp2_check_method(value.data, value.size) && see(b, SEEN_METHOD);
    if (oto_bytes_equal_text(name, ":path"))
        return nghttp2_check_path(value.data, value.size) && see(b, SEEN_PATH);
    if (oto_bytes_equal_text(name, ":scheme"))
        return is_scheme(value) && see(b, SEEN_SCHEME);
    if (oto_bytes_equal_text(name, ":authority"))
        return nghttp2_check_authority(value.data, value.size) && see(b, SEEN_AUTHORITY);
    return 0;
}

static int take_length(struct http2_block *b, struct oto_bytes value)
{
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] < '0' || value.data[i] > '9')
            return 0;
    return see(b, SEEN_LENGTH) && oto_text_to_u64(value, &b->content_length) == OTO_OK;
}

// 0: malformed.
static int take_regular(struct http2_block *b, struct oto_bytes name, struct oto_bytes value)
{
    b->seen |= SEEN_REGULAR;
    b->regular_count++;
    if (!nghttp2_check_header_name(name.data, name.size) ||
        !nghttp2_check_header_value_rfc9113(value.data, value.size) || is_forbidden(name))
        return 0;
    if (oto_bytes_equal_text(name, "te"))
        return oto_http_text_is(value, "trailers");
    if (!b->is_request)
        return 1;
    if (oto_bytes_equal_text(name, "content-length"))
        return take_length(b, value);
    if (oto_bytes_equal_text(name, "host")) {
        b->seen |= SEEN_HOST;
        return nghttp2_check_authority(value.data, value.size);
    }
    return 1;
}

static enum oto_status keep_field(struct http2_block *b, struct oto_bytes name,
                                  struct oto_bytes value)
{
    uint32_t sizes[2] = {(uint32_t)name.size, (uint32_t)value.size};
    OTO_TRY(oto_buffer_reserve(&b->fields, sizeof sizes + name.size + value.size));
    uint8_t *at = b->fields.data + b->fields.size;
    memcpy(at, sizes, sizeof sizes);
    memcpy(at + sizeof sizes, name.data, name.size);
    memcpy(at + sizeof sizes + name.size, value.data, value.size);
    b->fields.size += sizeof sizes + name.size + value.size;
    return OTO_OK;
}

// 0: the connection is given up.
static int take_field(struct http_connection *c, struct oto_bytes name, struct oto_bytes value)
{
    const struct oto_http_limits *limits = &c->server->limits;
    struct http2_block *b = &http2_of(c)->block;
    // Decoded on past the limits, for the sake of the decoder's table.
    b->bytes += (uint32_t)(name.size + value.size + 32);
    b->count++;
    if (b->bytes > HEADER_BYTES_ABSURD) {
        http2_give_up(c, NGHTTP2_ENHANCE_YOUR_CALM);
        return 0;
    }
    // Up to 4 pseudo headers are not counted against the limit of the others.
    b->too_large |= b->bytes > limits->header_bytes_max || b->count > limits->header_count_max + 4;
    if (b->too_large)
        return 1;
    int is_pseudo = name.size > 0 && name.data[0] == ':';
    if (!(is_pseudo ? take_pseudo : take_regular)(b, name, value))
        b->malformed = 1;
    if (!b->is_request || b->malformed || keep_field(b, name, value) == OTO_OK)
        return 1;
    http_connection_doom(c);
    return 0;
}

// --- blocks ---

void http2_block_begin(struct http_connection *c, int is_request)
{
    struct http2 *h = http2_of(c);
    struct oto_buffer fields = h->block.fields;
    fields.size = 0;
    h->block = (struct http2_block){
        .fields = fields,
        .content_length = UINT64_MAX,
        .is_request = (uint8_t)is_request,
        .ends_stream = h->frame.flags & NGHTTP2_FLAG_END_STREAM,
        .begin_ms = http_now_ms(c->server) | 1,
    };
}

// Steps over an integer of one or two bytes, as those that matter are. 0: it is longer, or cut off.
static int skip_integer(struct oto_bytes *rest, uint8_t prefix_max, uint32_t *ret_value)
{
    if (rest->size == 0)
        return 0;
    uint32_t value = rest->data[0] & prefix_max;
    size_t size = 1;
    if (value == prefix_max) {
        if (rest->size < 2 || (rest->data[1] & 0x80))
            return 0;
        value += rest->data[1];
        size = 2;
    }
    rest->data += size;
    rest->size -= size;
    *ret_value = value;
    return 1;
}

static int skip_text(struct oto_bytes *rest)
{
    uint32_t size;
    if (!skip_integer(rest, 0x7f, &size) || size > rest->size)
        return 0;
    rest->data += size;
    rest->size -= size;
    return 1;
}

// 1 when a block surely leaves the decoder's table as it is: indices and literals that are not to
// be indexed (RFC 7541 6).
static int is_passive(struct oto_bytes block)
{
    while (block.size > 0) {
        uint8_t first = block.data[0];
        uint32_t index;
        if (!(first & 0x80) && (first & 0x60))
            return 0;
        if (!skip_integer(&block, first & 0x80 ? 0x7f : 0x0f, &index))
            return 0;
        if (!(first & 0x80) && ((index == 0 && !skip_text(&block)) || !skip_text(&block)))
            return 0;
    }
    return 1;
}

static void inflate(struct http_connection *c, struct oto_bytes bytes, int is_last)
{
    struct http2 *h = http2_of(c);
    uint32_t shortages = c->server->blocks.short_count;
    for (;;) {
        nghttp2_nv field;
        int flags = 0;
        ssize_t n =
            nghttp2_hd_inflate_hd2(h->inflater, &field, &flags, bytes.data, bytes.size, is_last);
        if (n == NGHTTP2_ERR_NOMEM || shortages != c->server->blocks.short_count) {
            http_connection_doom(c);
            return;
        }
        if (n < 0) {
            http2_give_up(c, NGHTTP2_COMPRESSION_ERROR);
            return;
        }
        bytes.data += n;
        bytes.size -= (size_t)n;
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT))
            return;
        if (!take_field(c, oto_bytes(field.name, field.namelen),
                        oto_bytes(field.value, field.valuelen)) ||
            (bytes.size == 0 && !is_last))
            return;
    }
}

// What it says is what the block before it said.
static int is_repeat(const struct http2 *h, struct oto_bytes block)
{
    return h->kept_head && block.size == h->kept_size &&
           memcmp(block.data, h->kept_block, block.size) == 0;
}

void http2_block_add(struct http_connection *c, struct oto_bytes bytes, int is_whole)
{
    struct http2 *h = http2_of(c);
    if (is_whole && h->block.is_request && is_repeat(h, bytes)) {
        h->block.is_kept = 1;
        return;
    }
    http2_heads_forget(c);
    if (is_whole && h->block.is_request && bytes.size <= HTTP2_KEPT_BLOCK_MAX &&
        is_passive(bytes)) {
        memcpy(h->kept_block, bytes.data, bytes.size);
        h->kept_size = (uint8_t)bytes.size;
    }
    inflate(c, bytes, 0);
}

// --- heads ---

struct head {
    struct http_shared_head *shared;
    struct oto_bytes target, scheme, host;
};

// What is wrong with a well-formed request's head, or NULL.
static const char *check_head(const struct http2_block *b, const struct head *head, int *ret_status)
{
    const struct oto_http_request *r = &head->shared->request;
    *ret_status = 400;
    if (b->too_large) {
        *ret_status = 431;
        return "the headers are too large";
    }
    if (oto_bytes_equal_text(r->method, "CONNECT") || oto_bytes_equal_text(r->method, "TRACE")) {
        *ret_status = 405;
        return "the method is not allowed";
    }
    if (head->target.size > OTO_HTTP1_TARGET_MAX) {
        *ret_status = 414;
        return "the request target is too long";
    }
    if (head->target.size == 0 ||
        (head->target.data[0] != '/' && !oto_bytes_equal_text(r->method, "OPTIONS")))
        return "the path does not begin with a slash";
    if (!oto_bytes_equal_text(head->scheme, "http") && !oto_bytes_equal_text(head->scheme, "https"))
        return "the scheme is neither http nor https";
    if (head->host.size > 0 && !oto_bytes_equal(head->host, r->authority))
        return ":authority and host differ";
    return NULL;
}

static void use_pseudo(struct head *head, struct oto_http_header field)
{
    struct oto_http_request *r = &head->shared->request;
    switch (field.name.data[1]) { // no two that are let pass begin alike
    case 'm':
        r->method = field.value;
        break;
    case 'p':
        head->target = field.value;
        break;
    case 'a':
        r->authority = field.value;
        break;
    default:
        head->scheme = field.value;
    }
}

// Takes the next field off the packed ones.
static struct oto_http_header unpack(struct oto_bytes *packed)
{
    uint32_t name = oto_load32(packed->data), value = oto_load32(packed->data + 4);
    struct oto_http_header header = {oto_bytes(packed->data + 8, name),
                                     oto_bytes(packed->data + 8 + name, value)};
    packed->data += 8 + (size_t)name + value;
    packed->size -= 8 + (size_t)name + value;
    return header;
}

// Of the block's fields. 0: there is no memory.
static int make_head(struct http_connection *c, struct head *head)
{
    struct http2_block *b = &http2_of(c)->block;
    struct http_shared_head *shared =
        http_shared_head_new(c->server->recycled, b->regular_count, b->fields.size);
    if (!shared)
        return 0;
    *head = (struct head){.shared = shared};
    struct oto_http_header *headers = http_shared_head_headers(shared);
    uint8_t *text = (uint8_t *)(headers + b->regular_count);
    if (b->fields.size > 0)
        memcpy(text, b->fields.data, b->fields.size);
    struct oto_bytes packed = oto_bytes(text, b->fields.size);
    struct oto_http_request *r = &shared->request;
    while (packed.size > 0) {
        struct oto_http_header field = unpack(&packed);
        if (field.name.data[0] == ':') {
            use_pseudo(head, field);
            continue;
        }
        if (oto_bytes_equal_text(field.name, "host"))
            head->host = field.value;
        headers[r->header_count++] = field;
    }
    if (r->authority.size == 0)
        r->authority = head->host;
    r->version = OTO_HTTP_2;
    r->content_length = b->content_length;
    r->path = head->target;
    http_request_complete(r);
    return 1;
}

// --- requests ---

static int is_complete(const struct http2_block *b, const struct head *head)
{
    int all = SEEN_METHOD | SEEN_PATH | SEEN_SCHEME, given = b->seen & all;
    if (!(b->seen & (SEEN_AUTHORITY | SEEN_HOST)))
        return 0;
    if (oto_bytes_equal_text(head->shared->request.method, "CONNECT"))
        return given == SEEN_METHOD && (b->seen & SEEN_AUTHORITY);
    if (given != all)
        return 0;
    int is_http =
        oto_bytes_equal_text(head->scheme, "http") || oto_bytes_equal_text(head->scheme, "https");
    if (!is_http || (head->target.size > 0 && head->target.data[0] == '/'))
        return 1;
    return oto_bytes_equal_text(head->shared->request.method, "OPTIONS") &&
           oto_bytes_equal_text(head->target, "*");
}

static void serve(struct http_connection *c, struct http_shared_head *shared, int status,
                  const char *wrong)
{
    struct http2 *h = http2_of(c);
    uint32_t id = h->frame.id;
    struct oto_exchange *e = http_exchange_shared(c, shared);
    c->server->stats.requests_http2++;
    if (!e) {
        http2_stream_reset(c, id, NGHTTP2_REFUSED_STREAM);
        return;
    }
    h->last_served = id;
    e->stream_id = id;
    e->send_window = h->peer_stream_window;
    e->receive_window = HTTP2_STREAM_WINDOW;
    e->body_ended = h->block.ends_stream;
    http2_stream_add(h, e);
    if (wrong) {
        c->server->stats.protocol_errors++;
        e->internal = 1;
        http_exchange_refuse(e, status, wrong);
    } else {
        http_exchange_headers(e);
    }
}

static void take_fresh(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    struct head head;
    int status;
    if (h->block.malformed) {
        http2_stream_reset(c, h->frame.id, NGHTTP2_PROTOCOL_ERROR);
        return;
    }
    if (!make_head(c, &head)) {
        http2_stream_reset(c, h->frame.id, NGHTTP2_REFUSED_STREAM);
        return;
    }
    int announces = h->block.content_length != UINT64_MAX && h->block.content_length > 0;
    if (!h->block.too_large &&
        (!is_complete(&h->block, &head) || (announces && h->block.ends_stream))) {
        http2_stream_reset(c, h->frame.id, NGHTTP2_PROTOCOL_ERROR);
    } else {
        const char *wrong = check_head(&h->block, &head, &status);
        if (h->kept_size > 0 && !wrong && !announces) {
            h->kept_head = head.shared;
            head.shared->refs++;
        }
        serve(c, head.shared, status, wrong);
    }
    http_shared_head_unref(head.shared, c->server->recycled);
}

static void take_request(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    if (h->leaving == 2) // it has been told that this is not taken
        return;
    if (c->open.count >= c->server->limits.streams_max) {
        if (h->settings_acked)
            http2_give_up(c, NGHTTP2_PROTOCOL_ERROR);
        else
            http2_stream_reset(c, h->frame.id, NGHTTP2_REFUSED_STREAM);
    } else if (h->block.is_kept) {
        serve(c, h->kept_head, 0, NULL);
    } else {
        take_fresh(c);
    }
}

static void take_trailers(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    struct oto_exchange *e = http2_stream_find(h, h->frame.id);
    if (!e)
        return;
    uint64_t announced = e->request.content_length;
    if (h->block.malformed || !h->block.ends_stream ||
        (announced != UINT64_MAX && e->received != announced))
        http2_stream_reset(c, h->frame.id, NGHTTP2_PROTOCOL_ERROR);
    else
        http_exchange_body_end(e);
}

void http2_block_end(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    h->block.begin_ms = 0;
    if (!h->block.is_kept) {
        inflate(c, OTO_BYTES_LITERAL(""), 1);
        if (h->broken || c->is_doomed)
            return;
        nghttp2_hd_inflate_end_headers(h->inflater);
    }
    if (h->block.is_request)
        take_request(c);
    else
        take_trailers(c);
    if (h->block.fields.capacity > FIELDS_KEPT_MAX)
        oto_buffer_release(&h->block.fields);
}
