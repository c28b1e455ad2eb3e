// HTTP/2 and gRPC over real sockets, against nghttp2's client side.
#include "http2_client.h"

#include "net/http_internal.h"

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
    assert_int_equal(c->streams[plain].status, 503);
    assert_int_equal(c->streams[grpc].grpc_status, OTO_GRPC_UNAVAILABLE);
    while (client_turn(c)) // then idle
        ;
    assert_int_equal(c->goaway_code, NGHTTP2_NO_ERROR);
    client_free(c);
    fixture_stop(&f);
}

struct word {
    struct oto_loop_message message;
    struct fixture *fixture;
    size_t size; // 0: the answer ends
    atomic_int said;
};

// Says something after a silence that is as long as the server runs, and looks for who is late.
static void speak_after_silence(struct oto_loop_message *message)
{
    struct word *word = (struct word *)message;
    struct oto_exchange *e = word->fixture->begun;
    struct http_connection *c = e->connection;
    static const uint8_t bytes[1000];
    assert_true(e->deferred);
    e->progress_ms = 0;
    if (word->size > 0)
        oto_exchange_write(e, bytes, word->size);
    else
        oto_exchange_end(e, NULL, 0);
    http_connection_tick(c, http_now_ms(c->server));
    atomic_store(&word->said, 1);
}

// A stream is as late as its peer is, not as long as it was silent.
static void a_silent_answer_is_not_late_when_it_goes_on(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    struct client *c = client_new(&f);
    nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 0};
    nghttp2_submit_settings(c->session, NGHTTP2_FLAG_NONE, &window, 1);
    int32_t id = submit_all(c, "/begin", PLAIN, (struct oto_bytes){0});
    while (c->streams[id].status == 0)
        assert_true(client_turn(c));
    struct word more = {{NULL, speak_after_silence}, &f, 1000, 0};
    oto_loop_post(f.loop, &more.message);
    await(&more.said, 1);
    nghttp2_submit_window_update(c->session, NGHTTP2_FLAG_NONE, id, 1000);
    while (c->streams[id].size < 1000 && !c->streams[id].closed)
        assert_true(client_turn(c));
    assert_int_equal(c->streams[id].size, 1000);
    struct word end = {{NULL, speak_after_silence}, &f, 0, 0};
    oto_loop_post(f.loop, &end.message);
    client_await_closed(c, 1);
    assert_int_equal(c->streams[id].code, NGHTTP2_NO_ERROR);
    client_free(c);
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
        cmocka_unit_test(a_silent_answer_is_not_late_when_it_goes_on),
        cmocka_unit_test(preface_in_single_bytes),
    };
    return cmocka_run_group_tests_name("http2_conn", tests, NULL, NULL);
}
