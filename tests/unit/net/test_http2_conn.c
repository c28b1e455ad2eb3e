// HTTP/2 and gRPC over real sockets, against nghttp2's client side and, for what no client does, in
// raw frames.
#define _GNU_SOURCE // memmem
#include "http_fixture.h"

#include <nghttp2/nghttp2.h>

#define STREAMS 2048

struct stream {
    int status, grpc_status, has_trailer, closed;
    uint32_t code;
    size_t size; // of the body
    uint8_t first[16];
    char message[256], details[256];
    struct oto_bytes upload;
    size_t uploaded, stop_at; // stop_at: then the rest does not come
};

struct client {
    int fd;
    nghttp2_session *session;
    struct stream streams[STREAMS];
    int closed; // streams
    int goaways;
    uint32_t goaway_code;
    int32_t goaway_last;
    int ended; // the connection
};

static int client_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                         size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                         void *state)
{
    struct client *c = state;
    struct stream *s = &c->streams[frame->hd.stream_id % STREAMS];
    char text[256];
    (void)session;
    (void)flags;
    snprintf(text, sizeof text, "%.*s", (int)value_size, value);
    if (oto_bytes_equal_text(oto_bytes(name, name_size), ":status"))
        s->status = atoi(text);
    else if (oto_bytes_equal_text(oto_bytes(name, name_size), "grpc-status"))
        s->grpc_status = atoi(text);
    else if (oto_bytes_equal_text(oto_bytes(name, name_size), "grpc-message"))
        snprintf(s->message, sizeof s->message, "%s", text);
    else if (oto_bytes_equal_text(oto_bytes(name, name_size), "grpc-status-details-bin"))
        snprintf(s->details, sizeof s->details, "%s", text);
    else if (oto_bytes_equal_text(oto_bytes(name, name_size), "x-end"))
        s->has_trailer = 1;
    return 0;
}

static int client_data(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *data,
                       size_t size, void *state)
{
    struct stream *s = &((struct client *)state)->streams[id % STREAMS];
    (void)session;
    (void)flags;
    for (size_t i = 0; i < size && s->size + i < sizeof s->first; i++)
        s->first[s->size + i] = data[i];
    s->size += size;
    return 0;
}

static int client_closed(nghttp2_session *session, int32_t id, uint32_t code, void *state)
{
    struct client *c = state;
    (void)session;
    c->streams[id % STREAMS].closed = 1;
    c->streams[id % STREAMS].code = code;
    c->closed++;
    return 0;
}

static int client_frame(nghttp2_session *session, const nghttp2_frame *frame, void *state)
{
    struct client *c = state;
    (void)session;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
        c->goaways++;
        c->goaway_code = frame->goaway.error_code;
        c->goaway_last = frame->goaway.last_stream_id;
    }
    return 0;
}

static ssize_t client_upload(nghttp2_session *session, int32_t id, uint8_t *target, size_t size,
                             uint32_t *flags, nghttp2_data_source *source, void *state)
{
    struct stream *s = &((struct client *)state)->streams[id % STREAMS];
    size_t left = s->stop_at - s->uploaded, n = left < size ? left : size;
    (void)session;
    (void)source;
    if (n == 0 && s->stop_at < s->upload.size)
        return NGHTTP2_ERR_DEFERRED;
    memcpy(target, s->upload.data + s->uploaded, n);
    s->uploaded += n;
    if (s->uploaded == s->upload.size)
        *flags |= NGHTTP2_DATA_FLAG_EOF;
    return (ssize_t)n;
}

static struct client *client_new(const struct fixture *f)
{
    struct client *c = calloc(1, sizeof *c);
    nghttp2_session_callbacks *cb;
    nghttp2_option *option;
    nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 20};
    c->fd = dial(f);
    nghttp2_session_callbacks_new(&cb);
    nghttp2_session_callbacks_set_on_header_callback(cb, client_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(cb, client_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(cb, client_closed);
    nghttp2_session_callbacks_set_on_frame_recv_callback(cb, client_frame);
    nghttp2_option_new(&option);
    nghttp2_option_set_peer_max_concurrent_streams(option, 1000);
    nghttp2_option_set_no_http_messaging(option, 1); // so that it sends what is wrong, too
    nghttp2_session_client_new2(&c->session, cb, c, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(cb);
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, &window, 1);
    nghttp2_session_set_local_window_size(c->session, NGHTTP2_FLAG_NONE, 0, 16 << 20);
    return c;
}

static void client_free(struct client *c)
{
    nghttp2_session_del(c->session);
    close(c->fd);
    free(c);
}

static void client_send(struct client *c)
{
    const uint8_t *data;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(c->session, &data)) > 0)
        say_bytes(c->fd, data, (size_t)n);
}

// Sends what is to be sent and reads once. 0 at the end of the connection.
static int client_turn(struct client *c)
{
    static uint8_t in[65536];
    client_send(c);
    ssize_t n = recv(c->fd, in, sizeof in, 0);
    assert_true(n >= 0 || errno == ECONNRESET);
    if (n <= 0) {
        c->ended = 1;
        return 0;
    }
    assert_true(nghttp2_session_mem_recv(c->session, in, (size_t)n) == n);
    return 1;
}

static void client_await_closed(struct client *c, int count)
{
    while (c->closed < count)
        if (!client_turn(c))
            fail_msg("the connection ended after %d of %d streams", c->closed, count);
}

static nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static int32_t submit(struct client *c, const char *path, const char *content_type,
                      struct oto_bytes body, size_t stop_at)
{
    nghttp2_nv pairs[] = {nv(":method", "POST"), nv(":scheme", "http"),
                          nv(":authority", "a"), nv(":path", path),
                          nv("te", "trailers"),  nv("content-type", content_type)};
    nghttp2_data_provider provider = {.read_callback = client_upload};
    int32_t id =
        nghttp2_submit_request(c->session, NULL, pairs, 6, body.size ? &provider : NULL, NULL);
    struct stream *s = &c->streams[id % STREAMS];
    memset(s, 0, sizeof *s);
    s->grpc_status = -1;
    s->upload = body;
    s->stop_at = stop_at < body.size ? stop_at : body.size;
    return id;
}

static int32_t submit_all(struct client *c, const char *path, const char *type,
                          struct oto_bytes body)
{
    return submit(c, path, type, body, SIZE_MAX);
}

static struct oto_bytes grpc_frame(uint32_t announced, size_t size)
{
    static uint8_t frame[3 << 20];
    frame[0] = 0;
    oto_store32_big(frame + 1, announced);
    memset(frame + 5, 'm', size);
    return oto_bytes(frame, 5 + size);
}

#define GRPC "application/grpc+proto"
#define PLAIN "text/plain"

static void unary_calls(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    struct client *c = client_new(&f);
    int32_t ids[4];
    static const size_t sizes[] = {0, 700, 146000, 3000000};
    for (int i = 0; i < 4; i++) {
        ids[i] = submit_all(c, "/s/m", GRPC, grpc_frame((uint32_t)sizes[i], sizes[i]));
        client_await_closed(c, i + 1);
        struct stream *s = &c->streams[ids[i]];
        assert_int_equal(s->status, 200);
        assert_int_equal(s->grpc_status, 0);
        assert_int_equal(s->size, sizes[i] + 5); // echoed
        assert_int_equal(s->code, NGHTTP2_NO_ERROR);
        assert_int_equal(oto_load32_big(s->first + 1), sizes[i]);
    }
    int32_t bad = submit_all(c, "/s/m", GRPC, grpc_frame(10, 9));
    client_await_closed(c, 5);
    assert_int_equal(c->streams[bad].grpc_status, OTO_GRPC_INVALID_ARGUMENT);
    assert_string_equal(c->streams[bad].message, "bad%25 %C3%A9");
    assert_string_equal(c->streams[bad].details, "ZGV0YWls");
    assert_int_equal(c->streams[bad].size, 0);
    await(&f.answered, 5);
    client_free(c);
    fixture_stop(&f);
}

static void plain_requests(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    struct client *c = client_new(&f);
    int32_t a = submit_all(c, "/x?q", PLAIN, grpc_frame(0, 95));
    int32_t b = submit_all(c, "/x", PLAIN, (struct oto_bytes){0});
    int32_t d = submit_all(c, "/stream?64", PLAIN, (struct oto_bytes){0});
    int32_t e = submit_all(c, "/abort", PLAIN, (struct oto_bytes){0});
    int32_t later = submit_all(c, "/later", PLAIN, (struct oto_bytes){0});
    client_await_closed(c, 5);
    assert_memory_equal(c->streams[a].first, "100", 3);
    assert_memory_equal(c->streams[b].first, "0", 1);
    assert_int_equal(c->streams[d].size, 64 * 65536);
    assert_true(c->streams[d].has_trailer);
    assert_int_equal(c->streams[e].code, NGHTTP2_INTERNAL_ERROR);
    assert_memory_equal(c->streams[later].first, "later", 5);
    client_free(c);
    fixture_stop(&f);
}

static void many_calls_at_once(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    struct client *c = client_new(&f);
    // Before it knows better, it opens more streams than it may: those are refused, and only those.
    for (int i = 0; i < 300; i++)
        submit_all(c, "/later", PLAIN, (struct oto_bytes){0});
    client_await_closed(c, 300);
    for (int i = 0; i < 300; i++)
        assert_int_equal(c->streams[1 + 2 * i].code,
                         i < 256 ? NGHTTP2_NO_ERROR : NGHTTP2_REFUSED_STREAM);
    client_free(c);
    c = client_new(&f);
    assert_true(client_turn(c)); // SETTINGS
    for (int i = 0; i < 900; i++)
        submit_all(c, i % 3 ? "/x" : "/later", GRPC, grpc_frame(300, 300));
    client_await_closed(c, 900);
    for (int i = 0; i < 900; i++)
        assert_int_equal(c->streams[1 + 2 * i].status, 200);
    await(&f.answered, 900 + 256);
    client_free(c);
    fixture_stop(&f);
}

static void refusals(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    struct client *c = client_new(&f);
    // Announced in the message's head, and never sent: refused by 5 bytes.
    int32_t huge = submit(c, "/limit", GRPC, grpc_frame(UINT32_MAX, 100), 8);
    client_await_closed(c, 1);
    assert_int_equal(c->streams[huge].grpc_status, OTO_GRPC_RESOURCE_EXHAUSTED);
    int32_t grpc = submit_all(c, "/limit", GRPC, grpc_frame(2000, 2000));
    int32_t plain = submit_all(c, "/limit", PLAIN, grpc_frame(2000, 2000));
    int32_t refused = submit_all(c, "/refuse", PLAIN, grpc_frame(2000000, 2000000));
    int32_t budget = submit_all(c, "/budget", PLAIN, grpc_frame(200000, 200000));
    client_await_closed(c, 5);
    assert_int_equal(c->streams[grpc].grpc_status, OTO_GRPC_RESOURCE_EXHAUSTED);
    assert_int_equal(c->streams[plain].status, 413);
    assert_memory_equal(c->streams[plain].first, "error 413: ", 11);
    assert_int_equal(c->streams[refused].status, 503);
    assert_int_equal(c->streams[refused].code, NGHTTP2_NO_ERROR);
    assert_int_equal(c->streams[budget].status, 503);
    assert_memory_equal(c->streams[budget].first, "no budget", 9);
    int32_t after = submit_all(c, "/x", PLAIN, (struct oto_bytes){0});
    client_await_closed(c, 6);
    assert_int_equal(c->streams[after].status, 200);
    client_free(c);
    fixture_stop(&f);
}

static void bad_heads(void **state)
{
    (void)state;
    static char long_path[9000] = "/", long_value[40000];
    memset(long_path + 1, 'a', sizeof long_path - 2);
    memset(long_value, 'v', sizeof long_value - 1);
    struct {
        const char *pairs[12];
        int status;
    } rows[] = {
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "x"}, 0},
        {{":method", "GET", ":scheme", "ftp", ":authority", "a", ":path", "/"}, 400},
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "host", "b"}, 400},
        {{":method", "TRACE", ":scheme", "http", ":authority", "a", ":path", "/"}, 405},
        {{":method", "CONNECT", ":authority", "a:1"}, 405},
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", long_path}, 414},
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "x", long_value},
         431},
        {{":method", "GET", ":scheme", "http", ":authority", "a"}, 0},
        {{":method", "GET", ":scheme", "http", ":path", "/", "x", "y", ":authority", "a"}, 0},
        {{":method", "GET", ":scheme", "http", ":path", "/", "connection", "close"}, 0},
        {{":method", "GET", ":scheme", "http", ":path", "/", ":path", "/"}, 0},
        {{":method", "GET", ":scheme", "http", ":path", "/", "Upper", "x"}, 0},
        {{":method", "GET", ":scheme", "http", ":path", "/", "x", "a\rb"}, 0},
        {{":method", "GET", ":scheme", "http", ":authority", "a", ":path", "/", "content-length",
          "5"},
         0},
    };
    static struct fixture f;
    fixture_start(&f, NULL);
    struct client *c = client_new(&f);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        nghttp2_nv pairs[6];
        size_t count = 0;
        for (; count < 6 && rows[i].pairs[2 * count]; count++)
            pairs[count] = nv(rows[i].pairs[2 * count], rows[i].pairs[2 * count + 1]);
        int32_t id = nghttp2_submit_request(c->session, NULL, pairs, count, NULL, NULL);
        assert_true(id > 0);
        client_await_closed(c, (int)i + 1);
        if (c->streams[id].status != rows[i].status)
            fail_msg("row %zu: %d", i, c->streams[id].status);
        if (rows[i].status == 0 && i != 11) // nghttp2's client lowers names
            assert_int_equal(c->streams[id].code, NGHTTP2_PROTOCOL_ERROR);
    }
    client_free(c);
    fixture_stop(&f);
}

static void peers_that_leave_at_every_stage(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    // In the middle of a body; while the handler works; while the answer streams.
    struct client *c = client_new(&f);
    int32_t half = submit(c, "/x", PLAIN, grpc_frame(0, 5000), 1000);
    int32_t later = submit_all(c, "/later", PLAIN, (struct oto_bytes){0});
    int32_t stream = submit_all(c, "/stream?2000", PLAIN, (struct oto_bytes){0});
    while (c->streams[stream].size == 0)
        assert_true(client_turn(c));
    nghttp2_submit_rst_stream(c->session, 0, half, NGHTTP2_CANCEL);
    nghttp2_submit_rst_stream(c->session, 0, later, NGHTTP2_CANCEL);
    nghttp2_submit_rst_stream(c->session, 0, stream, NGHTTP2_CANCEL);
    client_send(c);
    await(&f.gone, 3);
    int32_t after = submit_all(c, "/x", PLAIN, (struct oto_bytes){0});
    while (!c->streams[after].closed)
        assert_true(client_turn(c));
    assert_int_equal(c->streams[after].status, 200);
    pause_ms(200);
    assert_int_equal(atomic_load(&f.held_alive), 0);
    client_free(c);
    // The same with the whole connection.
    c = client_new(&f);
    submit(c, "/x", PLAIN, grpc_frame(0, 5000), 1000);
    submit_all(c, "/later", PLAIN, (struct oto_bytes){0});
    stream = submit_all(c, "/stream?2000", PLAIN, (struct oto_bytes){0});
    while (c->streams[stream].size == 0)
        assert_true(client_turn(c));
    client_free(c);
    await(&f.gone, 6);
    pause_ms(200);
    fixture_stop(&f);
}

struct drain {
    struct oto_loop_message message;
    struct fixture *fixture;
};

static void count_drained(void *state)
{
    struct fixture *f = state;
    atomic_fetch_add(&f->drained, 1);
}

static void start_drain(struct oto_loop_message *message)
{
    struct drain *d = (struct drain *)message;
    oto_http_server_drain(d->fixture->server, 5000, count_drained, d->fixture);
}

static void drain_says_goaway_twice_and_finishes(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    struct drain drain = {{NULL, start_drain}, &f};
    struct client *c = client_new(&f), *idle = client_new(&f);
    submit_all(idle, "/x", PLAIN, (struct oto_bytes){0});
    client_await_closed(idle, 1);
    int32_t later = submit_all(c, "/later", PLAIN, (struct oto_bytes){0});
    client_send(c);
    await(&f.completed, 2);
    oto_loop_post(f.loop, &drain.message);
    while (c->goaways == 0)
        assert_true(client_turn(c));
    assert_int_equal(c->goaway_last, INT32_MAX);
    while (client_turn(c))
        ;
    assert_int_equal(c->goaways, 2);
    assert_int_equal(c->goaway_code, NGHTTP2_NO_ERROR);
    assert_int_equal(c->goaway_last, later);
    assert_int_equal(c->streams[later].status, 200);
    while (client_turn(idle))
        ;
    client_free(c);
    client_free(idle);
    await(&f.drained, 1);
    fixture_stop(&f);
}

static void slow_body_is_timed_out(void **state)
{
    (void)state;
    static struct fixture f;
    struct oto_http_limits limits;
    oto_http_limits_default(&limits);
    limits.body_timeout_ms = 300;
    limits.idle_timeout_ms = 1500;
    fixture_start(&f, &limits);
    struct client *c = client_new(&f);
    int32_t plain = submit(c, "/x", PLAIN, grpc_frame(0, 5000), 1000);
    int32_t grpc = submit(c, "/x", GRPC, grpc_frame(5000, 5000), 1000);
    client_await_closed(c, 2);
    assert_int_equal(c->streams[plain].status, 408);
    assert_int_equal(c->streams[grpc].grpc_status, OTO_GRPC_DEADLINE_EXCEEDED);
    while (client_turn(c)) // then idle
        ;
    assert_int_equal(c->goaway_code, NGHTTP2_NO_ERROR);
    client_free(c);
    fixture_stop(&f);
}

// --- raw frames ---

#define PREFACE "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

static void raw_frame(int fd, uint32_t size, uint8_t type, uint8_t flags, uint32_t stream,
                      const void *payload)
{
    uint8_t frame[9 + 1024];
    frame[0] = (uint8_t)(size >> 16);
    frame[1] = (uint8_t)(size >> 8);
    frame[2] = (uint8_t)size;
    frame[3] = type;
    frame[4] = flags;
    oto_store32_big(frame + 5, stream);
    if (size)
        memcpy(frame + 9, payload, size);
    say_bytes(fd, frame, 9 + size);
}

// What the raw connection has heard; one at a time.
static uint8_t raw_in[4 << 20];
static size_t raw_size;

static int raw_open(const struct fixture *f)
{
    int fd = dial(f);
    raw_size = 0;
    say(fd, PREFACE);
    raw_frame(fd, 0, NGHTTP2_SETTINGS, 0, 0, NULL);
    raw_frame(fd, 0, NGHTTP2_SETTINGS, 1, 0, NULL);
    return fd;
}

// 0 at the end.
static int raw_hear(int fd)
{
    ssize_t n = recv(fd, raw_in + raw_size, sizeof raw_in - raw_size, 0);
    assert_true(n >= 0 || errno == ECONNRESET);
    raw_size += n > 0 ? (size_t)n : 0;
    return n > 0;
}

// Waits until all that was sent is dealt with, or the connection has ended.
static void raw_sync(int fd)
{
    size_t from = raw_size;
    raw_frame(fd, 8, NGHTTP2_PING, 0, 0, "in sync?");
    while (!memmem(raw_in + from, raw_size - from, "in sync?", 8) && raw_hear(fd))
        ;
}

// Reads to the end; the code of the last GOAWAY, or -1.
static int64_t raw_goaway(int fd)
{
    int64_t code = -1;
    while (raw_hear(fd))
        ;
    for (size_t at = 0; at + 9 <= raw_size;) {
        size_t length = (size_t)raw_in[at] << 16 | (size_t)raw_in[at + 1] << 8 | raw_in[at + 2];
        if (raw_in[at + 3] == NGHTTP2_GOAWAY && at + 17 <= raw_size)
            code = oto_load32_big(raw_in + at + 13);
        at += 9 + length;
    }
    close(fd);
    return code;
}

// :method POST, :scheme http, :path /, :authority a.
static const uint8_t tiny_head[] = {0x83, 0x86, 0x84, 0x01, 0x01, 'a'};

static void floods_are_sent_away(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    uint8_t zeros[16] = {0};
    for (int kind = 0; kind < 6; kind++) {
        int fd = raw_open(&f);
        if (kind == 3)
            raw_frame(fd, 6, NGHTTP2_HEADERS, 4, 1, tiny_head);
        for (uint32_t i = 0; i < 3000; i++) {
            switch (kind) {
            case 0:
                raw_frame(fd, 8, NGHTTP2_PING, 0, 0, zeros);
                break;
            case 1:
                raw_frame(fd, 0, NGHTTP2_SETTINGS, 0, 0, NULL);
                break;
            case 2:
                raw_frame(fd, 5, NGHTTP2_PRIORITY, 0, 2 * i + 1, zeros);
                break;
            case 3:
                raw_frame(fd, 0, NGHTTP2_DATA, 0, 1, NULL);
                break;
            case 4: // rapid reset
                raw_frame(fd, 6, NGHTTP2_HEADERS, 4, 2 * i + 1, tiny_head);
                raw_frame(fd, 4, NGHTTP2_RST_STREAM, 0, 2 * i + 1, "\0\0\0\x08");
                break;
            default: // resets that we are made to send; in portions, as more streams at once are an
                     // error
                if (i % 64 == 63)
                    raw_sync(fd);
                raw_frame(fd, 6, NGHTTP2_HEADERS, 4, 2 * i + 1, tiny_head);
                raw_frame(fd, 4, NGHTTP2_WINDOW_UPDATE, 0, 2 * i + 1, "\x7f\xff\xff\xff");
            }
        }
        int64_t code = raw_goaway(fd);
        if (code != NGHTTP2_ENHANCE_YOUR_CALM && !(kind == 4 && code == NGHTTP2_INTERNAL_ERROR))
            fail_msg("flood %d: GOAWAY %ld", kind, (long)code);
    }
    // It goes on for others.
    struct client *c = client_new(&f);
    submit_all(c, "/x", PLAIN, (struct oto_bytes){0});
    client_await_closed(c, 1);
    client_free(c);
    fixture_stop(&f);
}

static void broken_frames_end_the_connection(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    uint8_t zeros[1024] = {0};
    int fd = raw_open(&f); // an even stream
    raw_frame(fd, 6, NGHTTP2_HEADERS, 5, 2, tiny_head);
    assert_int_equal(raw_goaway(fd), NGHTTP2_PROTOCOL_ERROR);
    fd = raw_open(&f); // data on an idle one
    raw_frame(fd, 4, NGHTTP2_DATA, 0, 7, zeros);
    assert_int_equal(raw_goaway(fd), NGHTTP2_PROTOCOL_ERROR);
    fd = raw_open(&f); // index 0 in a header block
    raw_frame(fd, 1, NGHTTP2_HEADERS, 5, 1, "\x80");
    assert_int_equal(raw_goaway(fd), NGHTTP2_COMPRESSION_ERROR);
    fd = raw_open(&f); // a window overflow
    raw_frame(fd, 4, NGHTTP2_WINDOW_UPDATE, 0, 0, "\x7f\xff\xff\xff");
    assert_int_equal(raw_goaway(fd), NGHTTP2_FLOW_CONTROL_ERROR);
    fd = raw_open(&f); // a frame larger than we take
    uint8_t head[9] = {0x04, 0x00, 0x01, NGHTTP2_DATA};
    say_bytes(fd, head, sizeof head);
    assert_int_equal(raw_goaway(fd), NGHTTP2_FRAME_SIZE_ERROR);
    fd = raw_open(&f); // many continuations
    raw_frame(fd, 6, NGHTTP2_HEADERS, 0, 1, tiny_head);
    for (int i = 0; i < 50; i++)
        raw_frame(fd, 0, NGHTTP2_CONTINUATION, 0, 1, NULL);
    assert_true(raw_goaway(fd) > 0);
    fd = dial(&f); // a broken preface
    raw_size = 0;
    say(fd, "PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n");
    assert_int_equal(raw_goaway(fd), -1);
    // A header of 4000 bytes put into the table, then referred to 3000 times: 12 MiB out of 7 KiB.
    fd = raw_open(&f);
    // 4000 as an HPACK integer with a prefix of 7 bits: 127, then 3873 in groups of 7.
    uint8_t bomb[1024] = {0x83, 0x86, 0x84, 0x01, 0x01, 'a', 0x40, 0x01, 'x', 0x7f, 0xa1, 0x1e};
    raw_frame(fd, 12, NGHTTP2_HEADERS, 0, 1, bomb);
    uint8_t value[1000];
    memset(value, 'v', sizeof value);
    for (int i = 0; i < 4; i++)
        raw_frame(fd, 1000, NGHTTP2_CONTINUATION, 0, 1, value);
    memset(bomb, 0xbe, sizeof bomb);
    for (int i = 0; i < 3; i++)
        raw_frame(fd, 1024, NGHTTP2_CONTINUATION, i == 2 ? 4 : 0, 1, bomb);
    int64_t code = raw_goaway(fd);
    if (code != NGHTTP2_ENHANCE_YOUR_CALM)
        fail_msg("bomb: %ld", (long)code);
    fixture_stop(&f);
}

// How often a text came in what was heard.
static int heard(const char *text)
{
    int found = 0;
    size_t size = strlen(text);
    for (size_t at = 0; at + size <= raw_size; at++)
        found += memcmp(raw_in + at, text, size) == 0;
    return found;
}

// The same bytes mean the same only while the table is the same.
static void a_repeated_block_means_what_the_table_says(void **state)
{
    (void)state;
    // POST, http, an authority that is not indexed; then a path put into the table, or taken from
    // its newest entry.
    static const uint8_t put_x[] = "\x83\x86\x01\x01"
                                   "a\x44\x02/x",
                         put_refuse[] = "\x83\x86\x01\x01"
                                        "a\x44\x07/refuse",
                         newest[] = "\x83\x86\x01\x01"
                                    "a\xbe",
                         shrink[] = "\x20\x3f\xe1\x1f\x83\x86\x01\x01"
                                    "a\x44\x02/x";
    static struct fixture f;
    fixture_start(&f, NULL);
    int fd = raw_open(&f);
    uint32_t id = 1;
    for (int round = 0; round < 3; round++) {
        raw_frame(fd, sizeof put_x - 1, NGHTTP2_HEADERS, 5, id, put_x);
        for (uint32_t i = 1; i <= 3; i++)
            raw_frame(fd, sizeof newest - 1, NGHTTP2_HEADERS, 5, id + 2 * i, newest);
        raw_sync(fd);
        assert_int_equal(heard("refused"), 4 * round);
        raw_frame(fd, sizeof put_refuse - 1, NGHTTP2_HEADERS, 5, id + 8, put_refuse);
        for (uint32_t i = 1; i <= 3; i++)
            raw_frame(fd, sizeof newest - 1, NGHTTP2_HEADERS, 5, id + 8 + 2 * i, newest);
        raw_sync(fd);
        assert_int_equal(heard("refused"), 4 * (round + 1));
        id += 16;
    }
    assert_int_equal(heard("503"), 12);
    assert_int_equal(heard("text/plain"), 24);
    // The table is emptied: the index points at nothing then, and the path has to be put anew.
    raw_frame(fd, sizeof shrink - 1, NGHTTP2_HEADERS, 5, id, shrink);
    raw_frame(fd, sizeof newest - 1, NGHTTP2_HEADERS, 5, id + 2, newest);
    raw_sync(fd);
    assert_int_equal(heard("text/plain"), 26);
    raw_frame(fd, 1, NGHTTP2_HEADERS, 5, id + 4, "\x20");
    raw_frame(fd, sizeof newest - 1, NGHTTP2_HEADERS, 5, id + 6, newest);
    assert_int_equal(raw_goaway(fd), NGHTTP2_COMPRESSION_ERROR);
    close(fd);
    fixture_stop(&f);
}

// A repeated head with and without a body, in pieces, and as trailers.
static void a_repeated_head_is_a_request_of_its_own(void **state)
{
    (void)state;
    static const uint8_t head[] = "\x83\x86\x04\x02/x\x01\x01"
                                  "a";
    static struct fixture f;
    fixture_start(&f, NULL);
    int fd = raw_open(&f);
    raw_frame(fd, sizeof head - 1, NGHTTP2_HEADERS, 5, 1, head);
    for (uint32_t id = 3; id < 300; id += 4) {
        raw_frame(fd, sizeof head - 1, NGHTTP2_HEADERS, 4, id, head);
        raw_frame(fd, 3, NGHTTP2_DATA, 1, id, "abc");
        raw_frame(fd, 4, NGHTTP2_HEADERS, 1, id + 2, head);
        raw_frame(fd, sizeof head - 1 - 4, NGHTTP2_CONTINUATION, 4, id + 2, head + 4);
    }
    raw_sync(fd);
    assert_true(atomic_load(&f.counted) > 0); // the connection, open as it is
    assert_int_equal(heard("text/plain"), 151);
    await(&f.answered, 151);
    raw_frame(fd, sizeof head - 1, NGHTTP2_HEADERS, 4, 1001, head);
    raw_frame(fd, sizeof head - 1, NGHTTP2_HEADERS, 5, 1001, head); // malformed as trailers
    raw_sync(fd);
    await(&f.gone, 1);
    close(fd);
    fixture_stop(&f);
}

// Frames on streams that the peer itself has ended, reset or passed over.
static void frames_on_closed_streams(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    static const struct {
        uint8_t type, flags;
        uint32_t stream;
        int reset; // the stream before, which else is ended and answered
        uint32_t code;
    } rows[] = {
        {NGHTTP2_DATA, 0, 5, 0, NGHTTP2_STREAM_CLOSED},
        {NGHTTP2_DATA, 1, 5, 1, NGHTTP2_STREAM_CLOSED},
        {NGHTTP2_HEADERS, 5, 5, 0, NGHTTP2_STREAM_CLOSED},
        {NGHTTP2_HEADERS, 5, 5, 1, NGHTTP2_STREAM_CLOSED},
        {NGHTTP2_HEADERS, 5, 3, 0, NGHTTP2_PROTOCOL_ERROR},
        {NGHTTP2_PRIORITY, 0, 0, 0, NGHTTP2_PROTOCOL_ERROR},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int fd = raw_open(&f);
        raw_frame(fd, 6, NGHTTP2_HEADERS, rows[i].reset ? 4 : 5, 5, tiny_head);
        if (rows[i].reset)
            raw_frame(fd, 4, NGHTTP2_RST_STREAM, 0, 5, "\0\0\0\x08");
        raw_sync(fd);
        uint32_t size = rows[i].type == NGHTTP2_PRIORITY ? 5 : 6;
        raw_frame(fd, size, rows[i].type, rows[i].flags, rows[i].stream, tiny_head);
        int64_t code = raw_goaway(fd);
        if (code != rows[i].code)
            fail_msg("row %zu: GOAWAY %ld", i, (long)code);
    }
    // What was under way while we reset the stream is no error.
    struct client *c = client_new(&f);
    int32_t refused = submit(c, "/refuse", PLAIN, grpc_frame(50000, 50000), 50005);
    client_await_closed(c, 1);
    assert_int_equal(c->streams[refused].status, 503);
    submit_all(c, "/x", PLAIN, (struct oto_bytes){0});
    client_await_closed(c, 2);
    assert_int_equal(c->goaways, 0);
    client_free(c);
    fixture_stop(&f);
}

// A head that was refused as malformed is over: no time-out for heads may follow.
static void a_malformed_head_leaves_the_connection_alone(void **state)
{
    (void)state;
    static struct fixture f;
    struct oto_http_limits limits;
    oto_http_limits_default(&limits);
    limits.header_timeout_ms = 300;
    fixture_start(&f, &limits);
    int fd = raw_open(&f);
    raw_frame(fd, 3, NGHTTP2_HEADERS, 5, 1, tiny_head); // no :authority
    raw_frame(fd, 1, NGHTTP2_HEADERS, 5, 3, tiny_head); // no :path
    pause_ms(2500);
    raw_size = 0;
    raw_sync(fd);
    assert_non_null(memmem(raw_in, raw_size, "in sync?", 8));
    raw_frame(fd, 6, NGHTTP2_HEADERS, 0, 5, tiny_head); // but one that does not end is timed out
    assert_int_equal(raw_goaway(fd), -1);
    fixture_stop(&f);
}

static void old_connections_are_asked_to_come_again(void **state)
{
    (void)state;
    static struct fixture f;
    struct oto_http_limits limits;
    oto_http_limits_default(&limits);
    limits.age_max_ms = 300;
    fixture_start(&f, &limits);
    struct client *c = client_new(&f);
    submit_all(c, "/x", PLAIN, (struct oto_bytes){0});
    while (client_turn(c))
        ;
    assert_true(c->goaways > 0); // an idle client may leave at the first
    assert_int_equal(c->goaway_code, NGHTTP2_NO_ERROR);
    assert_int_equal(c->streams[1].status, 200);
    client_free(c);
    int fd = dial(&f);
    char text[4096];
    say(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(recv(fd, text, sizeof text, 0) > 0);
    assert_int_equal(recv(fd, text, sizeof text, 0), 0); // idle: closed
    close(fd);
    fixture_stop(&f);
}

static void preface_in_single_bytes(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    struct client *c = client_new(&f);
    submit_all(c, "/x", GRPC, grpc_frame(3, 3));
    const uint8_t *data;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(c->session, &data)) > 0) {
        for (ssize_t i = 0; i < n; i++) {
            say_bytes(c->fd, data + i, 1);
            pause_ms(1);
        }
    }
    client_await_closed(c, 1);
    assert_int_equal(c->streams[1].grpc_status, 0);
    client_free(c);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unary_calls),
        cmocka_unit_test(plain_requests),
        cmocka_unit_test(many_calls_at_once),
        cmocka_unit_test(refusals),
        cmocka_unit_test(bad_heads),
        cmocka_unit_test(peers_that_leave_at_every_stage),
        cmocka_unit_test(drain_says_goaway_twice_and_finishes),
        cmocka_unit_test(slow_body_is_timed_out),
        cmocka_unit_test(floods_are_sent_away),
        cmocka_unit_test(broken_frames_end_the_connection),
        cmocka_unit_test(a_repeated_block_means_what_the_table_says),
        cmocka_unit_test(a_repeated_head_is_a_request_of_its_own),
        cmocka_unit_test(frames_on_closed_streams),
        cmocka_unit_test(a_malformed_head_leaves_the_connection_alone),
        cmocka_unit_test(old_connections_are_asked_to_come_again),
        cmocka_unit_test(preface_in_single_bytes),
    };
    return cmocka_run_group_tests_name("http2_conn", tests, NULL, NULL);
}
