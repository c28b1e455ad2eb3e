// HTTP/2 in raw frames, as no client sends them.
#define _GNU_SOURCE // memmem
#include "http2_client.h"

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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(floods_are_sent_away),
        cmocka_unit_test(broken_frames_end_the_connection),
        cmocka_unit_test(a_repeated_block_means_what_the_table_says),
        cmocka_unit_test(a_repeated_head_is_a_request_of_its_own),
        cmocka_unit_test(frames_on_closed_streams),
        cmocka_unit_test(a_malformed_head_leaves_the_connection_alone),
        cmocka_unit_test(old_connections_are_asked_to_come_again),
    };
    return cmocka_run_group_tests_name("http2_frames", tests, NULL, NULL);
}
