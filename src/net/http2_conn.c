// HTTP/2 on a connection, by nghttp2: one exchange a stream.
#include <nghttp2/nghttp2.h>

#include "base/text.h"
#include "net/http_internal.h"

#define STREAM_WINDOW (1 << 20)
#define CONNECTION_WINDOW (16 << 20)
#define FRAME_SIZE_MAX (256u << 10)
#define SETTINGS_TIMEOUT_MS 10000
#define TRAILERS_MAX 32
// Decoded header bytes in one block past which the connection, and not just the request, is given
// up.
#define HEADER_BYTES_ABSURD (1u << 20)

// So much of what costs us more than the peer is forgiven: at first, and each second.
#define FRAME_BURST 1000
#define FRAME_RATE 33
#define RESET_BURST 200 // of ours
#define RESET_RATE 10
#define PEER_RESET_BURST 300 // of the peer's; as many as it may have streams open, and some
#define PEER_RESET_RATE 33

#define PORTION (16u << 10) // of input

// Of so many streams, the latest, it is known whether the peer may still send on them.
#define FATES 128
#define FRAME_HEAD_SIZE 9

struct bucket {
    uint32_t left;
    uint64_t filled_ms;
};

struct http2 {
    nghttp2_session *session;
    // The header block that is coming: u32 name size, u32 value size, name, value; again and again.
    struct oto_buffer block;
    uint32_t block_bytes, block_count;
    uint64_t block_ms; // when it began, 0 when none is open
    uint64_t open_ms;
    struct bucket frames, resets;
    uint32_t fates[FATES]; // stream id << 1, and 1 where the peer has ended or reset it
    uint32_t last_opened;  // the highest stream id that the peer has used
    uint32_t payload_left; // of the frame that is coming
    uint8_t head[FRAME_HEAD_SIZE], head_size;
    uint8_t collecting; // the block is a request's, not trailers
    uint8_t too_large;
    uint8_t settings_acked;
    uint8_t leaving; // 1 first GOAWAY, 2 last one
    uint8_t broken;  // only what nghttp2 still has to say is sent
};

static struct http2 *http2_of(const struct http_connection *c)
{
    return c->protocol_state;
}

// 1 when there was one to take.
static int bucket_take(struct bucket *b, uint32_t burst, uint32_t rate, uint64_t now_ms)
{
    uint64_t refill = (now_ms - b->filled_ms) * rate / 1000;
    if (refill > 0) {
        b->left = refill > burst - b->left ? burst : b->left + (uint32_t)refill;
        b->filled_ms = now_ms;
    }
    if (b->left == 0)
        return 0;
    b->left--;
    return 1;
}

static void give_up(struct http_connection *c, uint32_t code)
{
    struct http2 *h = http2_of(c);
    c->server->stats.protocol_errors++;
    nghttp2_session_terminate_session(h->session, code);
    http_connection_mark(c);
}

// --- answers ---

static void put_trailers(struct oto_exchange *e, const struct oto_http_header *trailers,
                         size_t count)
{
    int failed = 0;
    for (size_t i = 0; i < count && i < TRAILERS_MAX; i++) {
        uint32_t sizes[2] = {(uint32_t)trailers[i].name.size, (uint32_t)trailers[i].value.size};
        failed |= oto_buffer_append(&e->trailers, sizes, sizeof sizes) != OTO_OK;
        failed |= oto_buffer_append(&e->trailers, trailers[i].name.data, sizes[0]) != OTO_OK;
        failed |= oto_buffer_append(&e->trailers, trailers[i].value.data, sizes[1]) != OTO_OK;
    }
    if (failed)
        http_connection_doom(e->connection);
}

static nghttp2_nv make_pair(struct oto_bytes name, struct oto_bytes value)
{
    // nghttp2 copies both and changes neither.
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name.data, (uint8_t *)(uintptr_t)value.data,
                        name.size, value.size, NGHTTP2_NV_FLAG_NONE};
}

// Takes the next pair off a packed block.
static struct oto_http_header unpack(struct oto_bytes *packed)
{
    uint32_t name = oto_load32(packed->data), value = oto_load32(packed->data + 4);
    struct oto_http_header header = {oto_bytes(packed->data + 8, name),
                                     oto_bytes(packed->data + 8 + name, value)};
    packed->data += 8 + (size_t)name + value;
    packed->size -= 8 + (size_t)name + value;
    return header;
}

static void submit_trailers(nghttp2_session *session, struct oto_exchange *e)
{
    nghttp2_nv pairs[TRAILERS_MAX];
    size_t count = 0;
    struct oto_bytes packed = oto_buffer_view(&e->trailers);
    while (packed.size > 0) {
        struct oto_http_header t = unpack(&packed);
        pairs[count++] = make_pair(t.name, t.value);
    }
    if (nghttp2_submit_trailer(session, e->stream_id, pairs, count) != 0)
        http_connection_doom(e->connection);
}

static ssize_t read_answer(nghttp2_session *session, int32_t stream_id, uint8_t *target,
                           size_t size, uint32_t *flags, nghttp2_data_source *source, void *state)
{
    struct oto_exchange *e = source->ptr;
    size_t left = e->out.size - e->out_start;
    (void)stream_id;
    (void)state;
    if (left == 0 && e->answer_state != HTTP_ANSWER_ENDED) {
        e->deferred = 1;
        return NGHTTP2_ERR_DEFERRED;
    }
    size_t n = left < size ? left : size;
    if (n > 0)
        memcpy(target, e->out.data + e->out_start, n);
    e->out_start += n;
    e->progress_ms = http_now_ms(e->connection->server);
    if (e->out_start == e->out.size)
        e->out_start = e->out.size = 0;
    if (e->out.size == 0 && e->answer_state == HTTP_ANSWER_ENDED) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (e->trailers.size > 0) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            submit_trailers(session, e);
        }
    }
    return (ssize_t)n;
}

static void submit_response(struct oto_exchange *e, int status,
                            const struct oto_http_header *headers, size_t count, int has_body,
                            uint64_t content_length)
{
    nghttp2_nv pairs[HTTP_RESPONSE_HEADERS_MAX + 3];
    char status_text[OTO_TEXT_I64_MAX], length_text[OTO_TEXT_I64_MAX];
    struct http_connection *c = e->connection;
    size_t n = 0;
    pairs[n++] = make_pair(OTO_BYTES_LITERAL(":status"),
                           oto_bytes(status_text, oto_text_from_i64(status, status_text)));
    for (size_t i = 0; i < count && i < HTTP_RESPONSE_HEADERS_MAX; i++)
        if (nghttp2_check_header_value(headers[i].value.data, headers[i].value.size))
            pairs[n++] = make_pair(headers[i].name, headers[i].value);
    if (!e->request.is_grpc) {
        pairs[n++] = make_pair(OTO_BYTES_LITERAL("date"), oto_bytes_text(http_date(c->server)));
        if (content_length != UINT64_MAX && status != 204 && status != 304)
            pairs[n++] =
                make_pair(OTO_BYTES_LITERAL("content-length"),
                          oto_bytes(length_text, oto_text_from_u64(content_length, length_text)));
    }
    nghttp2_data_provider provider = {.source.ptr = e, .read_callback = read_answer};
    if (nghttp2_submit_response(http2_of(c)->session, e->stream_id, pairs, n,
                                has_body ? &provider : NULL) != 0)
        http_connection_doom(c);
    http_connection_mark(c);
}

static void answer(struct oto_exchange *e, const struct oto_http_response *response,
                   struct oto_bytes body_prefix)
{
    size_t size = body_prefix.size + response->body.size;
    int has_body = size > 0 && !e->is_head && response->status != 204 && response->status != 304;
    if (has_body &&
        (oto_buffer_reserve(&e->out, size) != OTO_OK ||
         oto_buffer_append(&e->out, body_prefix.data, body_prefix.size) != OTO_OK ||
         oto_buffer_append(&e->out, response->body.data, response->body.size) != OTO_OK)) {
        http_connection_doom(e->connection);
        return;
    }
    put_trailers(e, response->trailers, response->trailer_count);
    submit_response(e, response->status, response->headers, response->header_count,
                    has_body || e->trailers.size > 0, size);
}

static void begin(struct oto_exchange *e, int status, const struct oto_http_header *headers,
                  size_t header_count)
{
    submit_response(e, status, headers, header_count, 1, UINT64_MAX);
}

static void resume(struct oto_exchange *e)
{
    if (e->deferred) {
        e->deferred = 0;
        nghttp2_session_resume_data(http2_of(e->connection)->session, e->stream_id);
    }
    http_connection_mark(e->connection);
}

static size_t backlog(const struct oto_exchange *e)
{
    return e->out.size - e->out_start + http_connection_pending(e->connection);
}

static size_t write_piece(struct oto_exchange *e, struct oto_bytes data)
{
    if (e->is_head)
        return 0;
    if (e->out_start > HTTP_BACKLOG_LOW && e->out_start > e->out.size / 2) {
        e->out.size -= e->out_start;
        memmove(e->out.data, e->out.data + e->out_start, e->out.size);
        e->out_start = 0;
    }
    if (oto_buffer_append(&e->out, data.data, data.size) != OTO_OK)
        http_connection_doom(e->connection);
    resume(e);
    return backlog(e);
}

static void end(struct oto_exchange *e, const struct oto_http_header *trailers,
                size_t trailer_count)
{
    put_trailers(e, trailers, trailer_count);
    resume(e);
}

static void abort_answer(struct oto_exchange *e)
{
    nghttp2_submit_rst_stream(http2_of(e->connection)->session, NGHTTP2_FLAG_NONE, e->stream_id,
                              NGHTTP2_INTERNAL_ERROR);
    http_connection_mark(e->connection);
}

static void read_body(struct oto_exchange *e)
{
    (void)e; // it has been coming all the time
}

// --- requests ---

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *state)
{
    struct http_connection *c = state;
    struct http2 *h = http2_of(c);
    (void)session;
    h->collecting = frame->headers.cat == NGHTTP2_HCAT_REQUEST;
    h->block.size = 0;
    h->block_bytes = h->block_count = 0;
    h->too_large = 0;
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *state)
{
    struct http_connection *c = state;
    struct http2 *h = http2_of(c);
    uint32_t sizes[2] = {(uint32_t)name_size, (uint32_t)value_size};
    (void)session;
    (void)frame;
    (void)flags;
    // Counted as SETTINGS_MAX_HEADER_LIST_SIZE counts, and decoded on for the sake of the
    // compressor's state.
    h->block_bytes += (uint32_t)(name_size + value_size + 32);
    h->block_count++;
    if (h->block_bytes > HEADER_BYTES_ABSURD) {
        give_up(c, NGHTTP2_ENHANCE_YOUR_CALM);
        return NGHTTP2_ERR_PAUSE;
    }
    // Up to 4 pseudo headers are not counted against the limit of the others.
    if (h->block_bytes > c->server->limits.header_bytes_max ||
        h->block_count > c->server->limits.header_count_max + 4)
        h->too_large = 1;
    if (!h->collecting || h->too_large)
        return 0;
    if (oto_buffer_reserve(&h->block, sizeof sizes + name_size + value_size) != OTO_OK)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    uint8_t *at = h->block.data + h->block.size;
    memcpy(at, sizes, sizeof sizes);
    memcpy(at + sizeof sizes, name, name_size);
    memcpy(at + sizeof sizes + name_size, value, value_size);
    h->block.size += sizeof sizes + name_size + value_size;
    return 0;
}

struct pseudo {
    struct oto_bytes host, scheme;
    int lengths;
};

static void use_header(struct http_head *head, struct pseudo *pseudo, struct oto_http_header header,
                       struct oto_http_header *headers)
{
    if (header.name.data[0] == ':') {
        if (oto_bytes_equal_text(header.name, ":method"))
            head->method = header.value;
        else if (oto_bytes_equal_text(header.name, ":path"))
            head->target = header.value;
        else if (oto_bytes_equal_text(header.name, ":authority"))
            head->authority = header.value;
        else if (oto_bytes_equal_text(header.name, ":scheme"))
            pseudo->scheme = header.value;
        return;
    }
    if (oto_bytes_equal_text(header.name, "host"))
        pseudo->host = header.value;
    else if (oto_bytes_equal_text(header.name, "content-length") &&
             oto_text_to_u64(header.value, &head->content_length) != OTO_OK)
        head->content_length = UINT64_MAX;
    headers[head->header_count++] = header;
}

// What is wrong with a request's head, or NULL. nghttp2 has checked the rest (RFC 9113 8.2, 8.3).
static const char *check_head(const struct http_head *head, const struct pseudo *pseudo,
                              int too_large, int *ret_status)
{
    *ret_status = 400;
    if (too_large) {
        *ret_status = 431;
        return "the headers are too large";
    }
    if (oto_bytes_equal_text(head->method, "CONNECT") ||
        oto_bytes_equal_text(head->method, "TRACE")) {
        *ret_status = 405;
        return "the method is not allowed";
    }
    if (head->target.size > OTO_HTTP1_TARGET_MAX) {
        *ret_status = 414;
        return "the request target is too long";
    }
    if (head->target.size == 0 ||
        (head->target.data[0] != '/' && !oto_bytes_equal_text(head->method, "OPTIONS")))
        return "the path does not begin with a slash";
    if (!oto_bytes_equal_text(pseudo->scheme, "http") &&
        !oto_bytes_equal_text(pseudo->scheme, "https"))
        return "the scheme is neither http nor https";
    if (pseudo->host.size > 0 && !oto_bytes_equal(pseudo->host, head->authority))
        return ":authority and host differ";
    return NULL;
}

static void take_head(struct http_connection *c, int32_t stream_id)
{
    struct http2 *h = http2_of(c);
    struct oto_http_header *headers = c->server->headers;
    struct http_head head = {
        .version = OTO_HTTP_2, .headers = headers, .content_length = UINT64_MAX};
    struct pseudo pseudo = {0};
    struct oto_bytes packed = oto_buffer_view(&h->block);
    while (packed.size > 0)
        use_header(&head, &pseudo, unpack(&packed), headers);
    if (head.authority.size == 0)
        head.authority = pseudo.host;
    int status;
    const char *wrong = check_head(&head, &pseudo, h->too_large, &status);
    c->server->stats.requests_http2++;
    struct oto_exchange *e = http_exchange_new(c, &head);
    if (h->block.capacity > 4096)
        oto_buffer_release(&h->block);
    if (!e) {
        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, stream_id, NGHTTP2_REFUSED_STREAM);
        return;
    }
    e->stream_id = stream_id;
    nghttp2_session_set_stream_user_data(h->session, stream_id, e);
    if (wrong) {
        c->server->stats.protocol_errors++;
        e->internal = 1;
        http_exchange_refuse(e, status, wrong);
        return;
    }
    http_exchange_headers(e);
}

static int on_frame(nghttp2_session *session, const nghttp2_frame *frame, void *state)
{
    struct http_connection *c = state;
    struct http2 *h = http2_of(c);
    if (frame->hd.type == NGHTTP2_SETTINGS && (frame->hd.flags & NGHTTP2_FLAG_ACK))
        h->settings_acked = 1;
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA)
        return 0;
    if (frame->hd.type == NGHTTP2_HEADERS && frame->headers.cat == NGHTTP2_HCAT_REQUEST)
        take_head(c, frame->hd.stream_id);
    struct oto_exchange *e = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (e && (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) && !e->body_ended)
        http_exchange_body_end(e);
    return 0;
}

static int on_data(nghttp2_session *session, uint8_t flags, int32_t stream_id, const uint8_t *data,
                   size_t size, void *state)
{
    struct oto_exchange *e = nghttp2_session_get_stream_user_data(session, stream_id);
    (void)flags;
    (void)state;
    if (e)
        http_exchange_body_data(e, oto_bytes(data, size));
    return 0;
}

static int on_stream_close(nghttp2_session *session, int32_t stream_id, uint32_t code, void *state)
{
    struct oto_exchange *e = nghttp2_session_get_stream_user_data(session, stream_id);
    (void)code;
    (void)state;
    if (!e)
        return 0;
    nghttp2_session_set_stream_user_data(session, stream_id, NULL);
    if (e->end_sent)
        http_exchange_sent(e);
    else
        http_exchange_gone(e);
    return 0;
}

static int on_frame_sent(nghttp2_session *session, const nghttp2_frame *frame, void *state)
{
    struct http_connection *c = state;
    struct http2 *h = http2_of(c);
    if (frame->hd.type == NGHTTP2_RST_STREAM) {
        uint32_t code = frame->rst_stream.error_code;
        int provoked = code == NGHTTP2_PROTOCOL_ERROR || code == NGHTTP2_FLOW_CONTROL_ERROR ||
                       code == NGHTTP2_STREAM_CLOSED || code == NGHTTP2_FRAME_SIZE_ERROR;
        c->server->stats.protocol_errors += provoked ? 1 : 0;
        if (provoked && !bucket_take(&h->resets, RESET_BURST, RESET_RATE, http_now_ms(c->server)))
            give_up(c, NGHTTP2_ENHANCE_YOUR_CALM);
        return 0;
    }
    if ((frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) ||
        !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM))
        return 0;
    struct oto_exchange *e = nghttp2_session_get_stream_user_data(session, frame->hd.stream_id);
    if (!e)
        return 0;
    e->end_sent = 1;
    // The rest of the request is not wanted (RFC 9113 8.1).
    if (!e->body_ended)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, frame->hd.stream_id,
                                  NGHTTP2_NO_ERROR);
    return 0;
}

// --- the session ---

static int set_options(nghttp2_option **ret_option)
{
    if (nghttp2_option_new(ret_option) != 0)
        return 0;
    nghttp2_option *o = *ret_option;
    nghttp2_option_set_no_closed_streams(o, 1);
    nghttp2_option_set_stream_reset_rate_limit(o, PEER_RESET_BURST, PEER_RESET_RATE);
    nghttp2_option_set_max_settings(o, 32);
    nghttp2_option_set_max_continuations(o, 8);
    nghttp2_option_set_max_outbound_ack(o, 1000);
    return 1;
}

static void *session_malloc(size_t size, void *blocks)
{
    return oto_small_blocks_take(blocks, size);
}

static void session_free(void *memory, void *blocks)
{
    oto_small_blocks_give(blocks, memory);
}

static void *session_calloc(size_t count, size_t size, void *blocks)
{
    void *memory = size && count > SIZE_MAX / size ? NULL : session_malloc(count * size, blocks);
    return memory ? memset(memory, 0, count * size) : NULL;
}

static void *session_realloc(void *memory, size_t size, void *blocks)
{
    return oto_small_blocks_resize(blocks, memory, size);
}

static int new_session(struct http_connection *c, struct http2 *h)
{
    nghttp2_mem memory = {&c->server->blocks, session_malloc, session_free, session_calloc,
                          session_realloc};
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;
    if (nghttp2_session_callbacks_new(&cb) != 0)
        return 0;
    nghttp2_session_callbacks_set_on_begin_headers_callback(cb, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(cb, on_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, on_frame);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, on_stream_close);
    nghttp2_session_callbacks_set_on_frame_send_callback(cb, on_frame_sent);
    int made = 0;
    if (set_options(&option)) {
        made = nghttp2_session_server_new3(&h->session, cb, c, option, &memory) == 0;
        nghttp2_option_del(option);
    }
    nghttp2_session_callbacks_del(cb);
    return made;
}

static int open_state(struct http_connection *c)
{
    const struct oto_http_limits *limits = &c->server->limits;
    struct http2 *h = oto_alloc(c->server->allocator, sizeof *h);
    if (!h)
        return 0;
    memset(h, 0, sizeof *h);
    oto_buffer_init(&h->block, c->server->allocator, 1u << 21);
    h->open_ms = http_now_ms(c->server);
    h->frames = (struct bucket){FRAME_BURST, h->open_ms};
    h->resets = (struct bucket){RESET_BURST, h->open_ms};
    h->payload_left = NGHTTP2_CLIENT_MAGIC_LEN; // like a frame without a head
    c->protocol_state = h;
    nghttp2_settings_entry settings[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, limits->streams_max},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, STREAM_WINDOW},
        {NGHTTP2_SETTINGS_MAX_FRAME_SIZE, FRAME_SIZE_MAX},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, limits->header_bytes_max},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
    };
    return new_session(c, h) &&
           nghttp2_submit_settings(h->session, NGHTTP2_FLAG_NONE, settings,
                                   sizeof settings / sizeof settings[0]) == 0 &&
           nghttp2_session_set_local_window_size(h->session, NGHTTP2_FLAG_NONE, 0,
                                                 CONNECTION_WINDOW) == 0;
}

// --- frames before nghttp2 sees them ---

// What cost the peer nothing and us an answer, or the trouble, is counted.
static int is_cheap(uint8_t type, uint8_t flags, uint32_t size)
{
    return type == NGHTTP2_PING || type == NGHTTP2_SETTINGS || type == NGHTTP2_PRIORITY ||
           type > NGHTTP2_CONTINUATION ||
           (type == NGHTTP2_DATA && size == 0 && !(flags & NGHTTP2_FLAG_END_STREAM));
}

// What is wrong with a request's frame by what its stream has been through, or NO_ERROR. nghttp2
// forgets streams once they are closed, and would only ignore it. Frames on streams that we have
// reset are no error: they were on their way (RFC 9113 5.1).
static uint32_t check_stream(struct http2 *h, uint8_t type, uint8_t flags, uint32_t id)
{
    uint32_t *fate = &h->fates[id / 2 % FATES];
    if (*fate == (id << 1 | 1))
        return NGHTTP2_STREAM_CLOSED;
    if (type == NGHTTP2_HEADERS && id > h->last_opened) {
        h->last_opened = id;
        *fate = id << 1;
    } else if (type == NGHTTP2_HEADERS && *fate >> 1 < id) {
        return NGHTTP2_PROTOCOL_ERROR; // had it been opened, it would stand here, or a newer one
    }
    if (*fate == id << 1 && (flags & NGHTTP2_FLAG_END_STREAM))
        *fate |= 1;
    return NGHTTP2_NO_ERROR;
}

static uint32_t check_frame(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    uint8_t type = h->head[3], flags = h->head[4];
    uint32_t id = oto_load32_big(h->head + 5) & INT32_MAX, *fate = &h->fates[id / 2 % FATES];
    if (is_cheap(type, flags, h->payload_left) &&
        !bucket_take(&h->frames, FRAME_BURST, FRAME_RATE, http_now_ms(c->server)))
        return NGHTTP2_ENHANCE_YOUR_CALM;
    if (type == NGHTTP2_PRIORITY && id == 0)
        return NGHTTP2_PROTOCOL_ERROR;
    if (type == NGHTTP2_RST_STREAM && *fate == id << 1)
        *fate |= 1;
    if (type == NGHTTP2_HEADERS)
        h->block_ms = http_now_ms(c->server) | 1;
    if ((type == NGHTTP2_HEADERS || type == NGHTTP2_DATA) && id % 2 == 1)
        return check_stream(h, type, flags, id);
    return NGHTTP2_NO_ERROR;
}

static void frame_end(struct http2 *h)
{
    if ((h->head[3] == NGHTTP2_HEADERS || h->head[3] == NGHTTP2_CONTINUATION) &&
        (h->head[4] & NGHTTP2_FLAG_END_HEADERS))
        h->block_ms = 0;
}

// Follows the frames through the input. Returns how much of it is before a wrong frame.
static size_t follow(struct http_connection *c, struct oto_bytes bytes, uint32_t *ret_wrong)
{
    struct http2 *h = http2_of(c);
    size_t at = 0;
    *ret_wrong = NGHTTP2_NO_ERROR;
    while (at < bytes.size) {
        size_t rest = bytes.size - at;
        if (h->payload_left > 0) {
            size_t size = rest < h->payload_left ? rest : h->payload_left;
            h->payload_left -= (uint32_t)size;
            at += size;
        } else {
            size_t size = FRAME_HEAD_SIZE - h->head_size;
            size = rest < size ? rest : size;
            memcpy(h->head + h->head_size, bytes.data + at, size);
            h->head_size += (uint8_t)size;
            if (h->head_size == FRAME_HEAD_SIZE) {
                h->payload_left = oto_load32_big(h->head) >> 8;
                *ret_wrong = check_frame(c);
            }
            if (*ret_wrong != NGHTTP2_NO_ERROR)
                break;
            at += size;
        }
        if (h->head_size == FRAME_HEAD_SIZE && h->payload_left == 0) {
            h->head_size = 0;
            frame_end(h);
        }
    }
    return at;
}

// Hands bytes to nghttp2; 0 when there will be no more.
static int receive(struct http_connection *c, struct oto_bytes bytes)
{
    struct http2 *h = http2_of(c);
    uint32_t wrong;
    size_t right = follow(c, bytes, &wrong);
    uint32_t shortages = c->server->blocks.short_count;
    ssize_t n = nghttp2_session_mem_recv(h->session, bytes.data, right);
    if (shortages != c->server->blocks.short_count)
        n = NGHTTP2_ERR_NOMEM;
    if (n == (ssize_t)right && wrong == NGHTTP2_NO_ERROR)
        return 1;
    // Either we gave up, and GOAWAY is on its way, or nghttp2 did.
    h->broken = 1;
    if (n == (ssize_t)right)
        give_up(c, wrong);
    if (n == NGHTTP2_ERR_NOMEM || n == NGHTTP2_ERR_BAD_CLIENT_MAGIC)
        http_connection_doom(c);
    else if (n < 0 && n != NGHTTP2_ERR_CALLBACK_FAILURE) // a flood of one kind or another
        give_up(c, NGHTTP2_ENHANCE_YOUR_CALM);
    return 0;
}

static void frame_answers(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    while (http_connection_pending(c) < HTTP_BACKLOG_LOW && !c->is_doomed) {
        const uint8_t *data;
        uint32_t shortages = c->server->blocks.short_count;
        ssize_t n = nghttp2_session_mem_send(h->session, &data);
        if (n < 0 || shortages != c->server->blocks.short_count)
            http_connection_doom(c);
        if (n <= 0)
            break;
        http_connection_put(c, data, (size_t)n);
    }
}

// In portions, with the answers to each framed before the next: else a flood of small requests in
// one read would all be in memory at once.
static void input(struct http_connection *c, struct oto_bytes bytes)
{
    if (!c->protocol_state && !open_state(c)) {
        http_connection_doom(c);
        return;
    }
    http_connection_mark(c);
    while (bytes.size > 0 && !c->is_doomed && !http2_of(c)->broken) {
        struct oto_bytes portion = oto_bytes(bytes.data, bytes.size);
        if (portion.size > PORTION)
            portion.size = PORTION;
        bytes.data += portion.size;
        bytes.size -= portion.size;
        if (receive(c, portion) && bytes.size > 0)
            frame_answers(c);
    }
}

static void input_end(struct http_connection *c)
{
    http_connection_doom(c); // a stream cannot be answered to one who has left
}

static void last_goaway(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    h->leaving = 2;
    nghttp2_submit_goaway(h->session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(h->session), NGHTTP2_NO_ERROR,
                          NULL, 0);
}

static void flush(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    if (!h)
        return;
    frame_answers(c);
    int nothing_left = !nghttp2_session_want_write(h->session) &&
                       (h->broken || !nghttp2_session_want_read(h->session) ||
                        (h->leaving == 2 && !c->open.first));
    if (nothing_left) {
        c->close_after = 1;
        c->linger_after = 1;
    }
}

static void tick_exchange(struct http_connection *c, struct oto_exchange *e, uint64_t now_ms)
{
    struct http2 *h = http2_of(c);
    if (http_exchange_body_late(e, now_ms)) {
        c->server->stats.timeouts++;
        http_exchange_refuse(e, 408, "the request body came too slowly");
    } else if (e->answer_state != HTTP_ANSWER_NONE && !e->deferred &&
               now_ms > e->progress_ms + c->server->limits.write_timeout_ms) {
        c->server->stats.timeouts++;
        e->progress_ms = now_ms;
        nghttp2_submit_rst_stream(h->session, NGHTTP2_FLAG_NONE, e->stream_id, NGHTTP2_CANCEL);
        http_connection_mark(c);
    }
}

static void tick(struct http_connection *c, uint64_t now_ms)
{
    struct http2 *h = http2_of(c);
    const struct oto_http_limits *limits = &c->server->limits;
    if (c->close_after)
        return;
    if (h->block_ms && now_ms > h->block_ms + limits->header_timeout_ms) {
        c->server->stats.timeouts++;
        http_connection_doom(c);
    } else if (!h->settings_acked && now_ms > h->open_ms + SETTINGS_TIMEOUT_MS) {
        c->server->stats.timeouts++;
        h->settings_acked = 1; // said once
        h->broken = 1;
        give_up(c, NGHTTP2_SETTINGS_TIMEOUT);
    } else if (!c->open.first && !h->leaving && now_ms > c->input_ms + limits->idle_timeout_ms) {
        last_goaway(c);
        http_connection_mark(c);
    }
    for (struct oto_exchange *e = c->open.first; e; e = e->next)
        tick_exchange(c, e, now_ms);
}

static void drain(struct http_connection *c, int last)
{
    struct http2 *h = http2_of(c);
    c->is_draining = 1;
    if (!h) {
        http_connection_doom(c);
        return;
    }
    if (last && h->leaving < 2) {
        last_goaway(c);
    } else if (!last && h->leaving == 0) {
        h->leaving = 1;
        nghttp2_submit_shutdown_notice(h->session);
    }
    http_connection_mark(c);
}

static void release(struct http_connection *c)
{
    struct http2 *h = http2_of(c);
    if (!h)
        return;
    nghttp2_session_del(h->session);
    oto_buffer_release(&h->block);
    oto_free(c->server->allocator, h, sizeof *h);
}

const struct http_protocol http2_protocol = {
    .input = input,
    .input_end = input_end,
    .flush = flush,
    .tick = tick,
    .drain = drain,
    .release = release,
    .read_body = read_body,
    .answer = answer,
    .begin = begin,
    .write = write_piece,
    .end = end,
    .abort = abort_answer,
    .backlog = backlog,
};
