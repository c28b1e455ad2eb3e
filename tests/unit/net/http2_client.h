// A client by nghttp2, one connection, for tests of the server's HTTP/2.
#ifndef OTO_TEST_HTTP2_CLIENT_H
#define OTO_TEST_HTTP2_CLIENT_H

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

static inline int client_header(nghttp2_session *session, const nghttp2_frame *frame,
                                const uint8_t *name, size_t name_size, const uint8_t *value,
                                size_t value_size, uint8_t flags, void *state)
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

static inline int client_data(nghttp2_session *session, uint8_t flags, int32_t id,
                              const uint8_t *data, size_t size, void *state)
{
    struct stream *s = &((struct client *)state)->streams[id % STREAMS];
    (void)session;
    (void)flags;
    for (size_t i = 0; i < size && s->size + i < sizeof s->first; i++)
        s->first[s->size + i] = data[i];
    s->size += size;
    return 0;
}

static inline int client_closed(nghttp2_session *session, int32_t id, uint32_t code, void *state)
{
    struct client *c = state;
    (void)session;
    c->streams[id % STREAMS].closed = 1;
    c->streams[id % STREAMS].code = code;
    c->closed++;
    return 0;
}

static inline int client_frame(nghttp2_session *session, const nghttp2_frame *frame, void *state)
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

static inline ssize_t client_upload(nghttp2_session *session, int32_t id, uint8_t *target,
                                    size_t size, uint32_t *flags, nghttp2_data_source *source,
                                    void *state)
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

static inline struct client *client_new(const struct fixture *f)
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

static inline void client_free(struct client *c)
{
    nghttp2_session_del(c->session);
    close(c->fd);
    free(c);
}

static inline void client_send(struct client *c)
{
    const uint8_t *data;
    ssize_t n;
    while ((n = nghttp2_session_mem_send(c->session, &data)) > 0)
        say_bytes(c->fd, data, (size_t)n);
}

// Sends what is to be sent and reads once. 0 at the end of the connection.
static inline int client_turn(struct client *c)
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

static inline void client_await_closed(struct client *c, int count)
{
    while (c->closed < count)
        if (!client_turn(c))
            fail_msg("the connection ended after %d of %d streams", c->closed, count);
}

static inline nghttp2_nv nv(const char *name, const char *value)
{
    return (nghttp2_nv){(uint8_t *)(uintptr_t)name, (uint8_t *)(uintptr_t)value, strlen(name),
                        strlen(value), NGHTTP2_NV_FLAG_NONE};
}

static inline int32_t submit(struct client *c, const char *path, const char *content_type,
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

static inline int32_t submit_all(struct client *c, const char *path, const char *type,
                                 struct oto_bytes body)
{
    return submit(c, path, type, body, SIZE_MAX);
}

static inline struct oto_bytes grpc_frame(uint32_t announced, size_t size)
{
    static uint8_t frame[3 << 20];
    frame[0] = 0;
    oto_store32_big(frame + 1, announced);
    memset(frame + 5, 'm', size);
    return oto_bytes(frame, 5 + size);
}

#define GRPC "application/grpc+proto"
#define PLAIN "text/plain"

#endif
