// The HTTP/1.1 parser on its own: what it takes, what it refuses, and that the answer does not
// depend on how the bytes are cut.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "net/http1_parser.h"

#define HEAD_MAX 32768

struct outcome {
    int requests; // complete ones
    int status;   // of the error, or 0
    const char *reason;
    char body[4096];
    size_t body_size;
    struct oto_http1_head head; // the last one; the views are dead
    char method[40], target[256], authority[256];
};

static void note_head(struct outcome *o, const struct oto_http1_head *head)
{
    o->head = *head;
    snprintf(o->method, sizeof o->method, "%.*s", (int)head->method.size, head->method.data);
    snprintf(o->target, sizeof o->target, "%.*s", (int)head->target.size, head->target.data);
    snprintf(o->authority, sizeof o->authority, "%.*s", (int)head->authority.size,
             head->authority.data);
}

// Feeds the input in pieces of `step` bytes, each in memory of its own size, as a connection does:
// what is not consumed comes again.
static void feed(const char *input, size_t size, size_t step, struct outcome *o)
{
    struct oto_http1_parser parser;
    static struct oto_http1_head head;
    size_t start = 0, end = 0;
    memset(o, 0, sizeof *o);
    oto_http1_parser_init(&parser, HEAD_MAX, 128);
    while (end < size || start < end) {
        size_t before = end;
        end = end + step < size ? end + step : size;
        uint8_t *copy = malloc(end - start ? end - start : 1);
        memcpy(copy, input + start, end - start);
        size_t at = 0, consumed, left = end - start;
        enum oto_http1_event event;
        do {
            struct oto_bytes data = {0};
            event = oto_http1_parser_next(&parser, oto_bytes(copy + at, left - at), &consumed,
                                          &head, &data);
            at += consumed;
            assert_true(at <= left);
            if (event == OTO_HTTP1_HEAD)
                note_head(o, &head);
            if (event == OTO_HTTP1_DATA) {
                assert_true(o->body_size + data.size <= sizeof o->body);
                memcpy(o->body + o->body_size, data.data, data.size);
                o->body_size += data.size;
            }
            o->requests += event == OTO_HTTP1_END;
        } while (event != OTO_HTTP1_MORE && event != OTO_HTTP1_ERROR);
        free(copy);
        start += at;
        if (event == OTO_HTTP1_ERROR) {
            o->status = parser.status;
            o->reason = parser.reason;
            return;
        }
        if (end == before && end == size)
            return;
    }
}

static const size_t steps[] = {1, 2, 3, 7, 64, 1u << 20};

static void expect(const char *input, size_t size, int requests, int status)
{
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        static struct outcome o;
        feed(input, size, steps[i], &o);
        if (o.requests != requests || o.status != status)
            fail_msg("step %zu of \"%.60s\": %d requests and status %d (%s), not %d and %d",
                     steps[i], input, o.requests, o.status, o.reason ? o.reason : "", requests,
                     status);
    }
}

#define H "Host: a\r\n"
#define POST "POST / HTTP/1.1\r\nHost: a\r\n"
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"

static void accepted(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        int requests;
    } rows[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", 1},
        {"\r\nGET / HTTP/1.1\r\n" H "\r\n", 1},
        {"GET / HTTP/1.0\r\n\r\n", 1},
        {"GET http://b/x HTTP/1.1\r\n" H "\r\n", 1},
        {"OPTIONS * HTTP/1.1\r\n" H "\r\n", 1},
        {"GET /a%00/../b//?q=%zz HTTP/1.1\r\n" H "\r\n", 1},
        {"GET / HTTP/1.1\r\nHost:\r\n\r\n", 1},
        {"GET / HTTP/1.1\r\nHost: [::1]:4318\r\n\r\n", 1},
        {"GET / HTTP/1.1\r\n" H "X:\t a \t\r\nY: \x80\xff\r\n\r\n", 1},
        {"GET / HTTP/1.1\r\n" H "Upgrade: h2c\r\nConnection: Upgrade\r\n\r\n", 1},
        {"GET / HTTP/1.1\r\n" H "Content-Length: 3\r\n\r\nabc", 1},
        {POST "Content-Length: 0\r\n\r\n", 1},
        {POST "content-length:3\r\n\r\nabc" POST "Content-Length: 1\r\n\r\nx", 2},
        {POST "Content-Length: 3\r\n\r\nab", 0},
        {CHUNKED "3\r\nabc\r\n0\r\n\r\n", 1},
        {CHUNKED "3;name=\"v\"\r\nabc\r\n0;x\r\nTrailer: v\r\nAuthorization: x\r\n\r\n", 1},
        {CHUNKED "000000000000003\r\nabc\r\n0\r\n\r\nGET / HTTP/1.1\r\n" H "\r\n", 2},
        {CHUNKED "A\r\n0123456789\r\n0\r\n", 0},
        {POST "transfer-encoding: CHUNKED\r\n\r\n0\r\n\r\n", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect(rows[i].input, strlen(rows[i].input), rows[i].requests, 0);
}

static void refused(void **state)
{
    (void)state;
    static const struct {
        const char *input;
        int status;
    } rows[] = {
        // B01: which length?
        {POST "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n", 400},
        {POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\n", 400},
        {POST "Content-Length: 5\r\nContent-Length: 6\r\n\r\n", 400},
        {POST "Content-Length: +5\r\n\r\n", 400},
        {POST "Content-Length: 5,5\r\n\r\n", 400},
        {POST "Content-Length: 0x5\r\n\r\n", 400},
        {POST "Content-Length: -1\r\n\r\n", 400},
        {POST "Content-Length: 18446744073709551616\r\n\r\n", 400},
        {POST "Content-Length: 5 5\r\n\r\n", 400},
        {POST "Content-Length:\r\n\r\n", 400},
        // B02: what ends a line, a name, a coding?
        {POST "Transfer-Encoding: xchunked\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked, identity\r\n\r\n", 400},
        {POST "Transfer-Encoding: gzip, chunked\r\n\r\n", 400},
        {POST "Transfer-Encoding: identity\r\n\r\n", 400},
        {POST "Transfer-Encoding: \"chunked\"\r\n\r\n", 400},
        {POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\r\n b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n X: a\r\n" H "\r\n", 400},
        {"GET / HTTP/1.1\r\n\tHost: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
        {POST "Transfer-Encoding : chunked\r\n\r\n", 400},
        {"GET / HTTP/1.1\nHost: a\n\n", 400},
        {"GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\rb\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X: a\x01"
         "b\r\n\r\n",
         400},
        {"GET / HTTP/1.1\r\n" H "X: a\x7f\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "X y: a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H ": a\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H "no colon\r\n\r\n", 400},
        // B03: chunks.
        {CHUNKED "1000000000000003\r\nabc", 400},
        {CHUNKED "0000000000000003\r\nabc", 400},
        {CHUNKED "3\r\nabcX\r\n", 400},
        {CHUNKED "3\r\nabc\n0\r\n\r\n", 400},
        {CHUNKED "3\nabc\r\n0\r\n\r\n", 400},
        {CHUNKED "3\rabc", 400},
        {CHUNKED "\r\n", 400},
        {CHUNKED "0x3\r\nabc", 400},
        {CHUNKED "+3\r\nabc", 400},
        {CHUNKED " 3\r\nabc", 400},
        {CHUNKED "3 \r\nabc", 400},
        {CHUNKED "-1\r\nabc", 400},
        {CHUNKED "g\r\nabc", 400},
        {CHUNKED "3;a\nb\r\nabc", 400},
        {CHUNKED "0\r\n bad: folded\r\n\r\n", 400},
        {CHUNKED "0\r\nbad : x\r\n\r\n", 400},
        {CHUNKED "0\r\nbad: x\n\r\n", 400},
        // B05, B07: request lines.
        {"CONNECT a:1 HTTP/1.1\r\n" H "\r\n", 405},
        {"TRACE / HTTP/1.1\r\n" H "\r\n", 405},
        {"GET a HTTP/1.1\r\n" H "\r\n", 400},
        {"GET * HTTP/1.1\r\n" H "\r\n", 400},
        {"GET ftp://a/ HTTP/1.1\r\n" H "\r\n", 400},
        {"GET http:///x HTTP/1.1\r\n" H "\r\n", 400},
        {"GET http://u@h/x HTTP/1.1\r\n" H "\r\n", 400},
        {"GET  / HTTP/1.1\r\n" H "\r\n", 400},
        {"GET / x HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /\x80 HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /\tx HTTP/1.1\r\n" H "\r\n", 400},
        {"GET /\r\n" H "\r\n", 400},
        {"GET / HTTP/1.1 \r\n" H "\r\n", 400},
        {"GET / http/1.1\r\n" H "\r\n", 400},
        {"GET / HTTP/11\r\n" H "\r\n", 400},
        {"GET / HTTP/2.0\r\n" H "\r\n", 505},
        {"GET / HTTP/0.9\r\n" H "\r\n", 505},
        {"G@T / HTTP/1.1\r\n" H "\r\n", 400},
        {" GET / HTTP/1.1\r\n" H "\r\n", 400},
        {"\x16\x03\x01\x02", 400},
        {"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", 400},
        // B08: Host.
        {"GET / HTTP/1.1\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\n" H H "\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
        {"GET / HTTP/1.1\r\nHost: <a>\r\n\r\n", 400},
        // B10.
        {POST "Expect: 200-ok\r\nContent-Length: 1\r\n\r\n", 417},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        expect(rows[i].input, strlen(rows[i].input), 0, rows[i].status);
    static const char nul_value[] = "GET / HTTP/1.1\r\n" H "X: a\0b\r\n\r\n";
    static const char nul_target[] = "GET /\0 HTTP/1.1\r\n" H "\r\n";
    expect(nul_value, sizeof nul_value - 1, 0, 400);
    expect(nul_target, sizeof nul_target - 1, 0, 400);
}

// before, n times c, after
static char *repeat(const char *before, size_t n, const char *piece, const char *after)
{
    size_t unit = strlen(piece), head = strlen(before);
    char *text = malloc(head + n * unit + strlen(after) + 1);
    memcpy(text, before, head);
    for (size_t i = 0; i < n; i++)
        memcpy(text + head + i * unit, piece, unit);
    strcpy(text + head + n * unit, after);
    return text;
}

static void expect_large(char *text, int requests, int status)
{
    static struct outcome o;
    static const size_t large_steps[] = {97, 1000, 1u << 20};
    for (size_t i = 0; i < 3; i++) {
        feed(text, strlen(text), large_steps[i], &o);
        assert_int_equal(o.status, status);
        assert_int_equal(o.requests, requests);
    }
    free(text);
}

static void limits(void **state)
{
    (void)state;
    const char *tail = " HTTP/1.1\r\n" H "\r\n";
    expect_large(repeat("GET /", 8191, "a", tail), 1, 0);
    expect_large(repeat("GET /", 8192, "a", tail), 0, 414);
    expect_large(repeat("GET /", 65536, "a", tail), 0, 414);
    expect_large(repeat("GET /", 65536, "a", ""), 0, 414);
    expect_large(repeat("", 1u << 20, "A", ""), 0, 400);
    expect_large(repeat("GET / HTTP/1.1\r\n" H, 127, "a: b\r\n", "\r\n"), 1, 0);
    expect_large(repeat("GET / HTTP/1.1\r\n" H, 128, "a: b\r\n", "\r\n"), 0, 431);
    expect_large(repeat("GET / HTTP/1.1\r\n" H "a: ", 32000, "b", "\r\n\r\n"), 1, 0);
    expect_large(repeat("GET / HTTP/1.1\r\n" H "a: ", 65536, "b", "\r\n\r\n"), 0, 431);
    expect_large(repeat("GET / HTTP/1.1\r\n" H "a: ", 65536, "b", ""), 0, 431);
    expect_large(repeat(CHUNKED "1;", 4096, "x", "\r\na\r\n0\r\n\r\n"), 1, 0);
    expect_large(repeat(CHUNKED "1;", 1u << 20, "x", "\r\na\r\n0\r\n\r\n"), 0, 400);
    expect_large(repeat(CHUNKED, 1000, "1;abcdefgh\r\na\r\n", "0\r\n\r\n"), 0, 400);
    expect_large(repeat(CHUNKED "0\r\n", 10000, "a: b\r\n", "\r\n"), 0, 431);
}

static void head_is_what_was_sent(void **state)
{
    (void)state;
    static const char input[] = "POST http://example.test:80/v1/logs?x=1 HTTP/1.1\r\n"
                                "Host: other\r\nContent-Type:  application/json \r\n"
                                "Connection: foo, Close\r\nExpect: 100-Continue\r\n"
                                "Content-Length: 5\r\n\r\nhello";
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        static struct outcome o;
        feed(input, sizeof input - 1, steps[i], &o);
        assert_int_equal(o.requests, 1);
        assert_string_equal(o.method, "POST");
        assert_string_equal(o.target, "/v1/logs?x=1");
        assert_string_equal(o.authority, "example.test:80");
        assert_int_equal(o.head.header_count, 5);
        assert_int_equal(o.head.content_length, 5);
        assert_true(o.head.expect_continue);
        assert_false(o.head.keep_alive);
        assert_int_equal(o.body_size, 5);
        assert_memory_equal(o.body, "hello", 5);
    }
}

static void keep_alive_by_version(void **state)
{
    (void)state;
    static struct outcome o;
    static const struct {
        const char *input;
        int keep_alive;
    } rows[] = {
        {"GET / HTTP/1.1\r\n" H "\r\n", 1},
        {"GET / HTTP/1.0\r\n\r\n", 0},
        {"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", 1},
        {"GET / HTTP/1.1\r\n" H "Connection: keep-alive, close\r\n\r\n", 0},
        {"GET / HTTP/1.1\r\n" H "Connection: closely\r\n\r\n", 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        feed(rows[i].input, strlen(rows[i].input), 1000, &o);
        assert_int_equal(o.requests, 1);
        assert_int_equal(o.head.keep_alive, rows[i].keep_alive);
    }
}

static void chunks_are_joined(void **state)
{
    (void)state;
    static const char input[] =
        CHUNKED "5\r\nhello\r\n1;x=y\r\n,\r\n6\r\n world\r\n0\r\nX-T: 1\r\n\r\n";
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        static struct outcome o;
        feed(input, sizeof input - 1, steps[i], &o);
        assert_int_equal(o.requests, 1);
        assert_int_equal(o.head.content_length, UINT64_MAX);
        assert_int_equal(o.body_size, 12);
        assert_memory_equal(o.body, "hello, world", 12);
    }
}

static void skipping_body_bytes(void **state)
{
    (void)state;
    struct oto_http1_parser p;
    static struct oto_http1_head head;
    struct oto_bytes data;
    size_t used;
    oto_http1_parser_init(&p, HEAD_MAX, 128);
    struct oto_bytes in = OTO_BYTES_LITERAL(POST "Content-Length: 10\r\n\r\n");
    assert_int_equal(oto_http1_parser_next(&p, in, &used, &head, &data), OTO_HTTP1_HEAD);
    assert_int_equal(oto_http1_parser_body_remaining(&p), 10);
    oto_http1_parser_skip(&p, 4);
    assert_int_equal(oto_http1_parser_body_remaining(&p), 6);
    oto_http1_parser_skip(&p, 6);
    assert_int_equal(oto_http1_parser_next(&p, (struct oto_bytes){0}, &used, &head, &data),
                     OTO_HTTP1_END);
    assert_true(oto_http1_parser_idle(&p));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(accepted),
        cmocka_unit_test(refused),
        cmocka_unit_test(limits),
        cmocka_unit_test(head_is_what_was_sent),
        cmocka_unit_test(keep_alive_by_version),
        cmocka_unit_test(chunks_are_joined),
        cmocka_unit_test(skipping_body_bytes),
    };
    return cmocka_run_group_tests_name("http1_parser", tests, NULL, NULL);
}
