// HTTP/1.1 over real sockets, in raw bytes.
#include "http_fixture.h"

static char answer[8 << 20];

// Reads to the end of the connection. Returns the size; 0 on a reset with nothing read.
static size_t hear_all(int fd)
{
    size_t size = 0;
    ssize_t n;
    while ((n = recv(fd, answer + size, sizeof answer - 1 - size, 0)) > 0)
        size += (size_t)n;
    assert_true(n == 0 || errno == ECONNRESET); // not the time-out
    answer[size] = 0;
    return size;
}

// Reads until text has come `times` times.
static void hear(int fd, const char *text, int times)
{
    size_t size = 0;
    for (;;) {
        int found = 0;
        answer[size] = 0;
        for (char *at = answer; (at = strstr(at, text)); at++)
            found++;
        if (found >= times)
            return;
        ssize_t n = recv(fd, answer + size, sizeof answer - 1 - size, 0);
        if (n <= 0)
            fail_msg("ended before \"%s\" came %d times: %s", text, times, answer);
        size += (size_t)n;
    }
}

// One connection: says it, closes its side or not, and hears all.
static size_t ask(const struct fixture *f, const char *request)
{
    int fd = dial(f);
    say(fd, request);
    size_t size = hear_all(fd);
    close(fd);
    return size;
}

static int count(const char *text)
{
    int found = 0;
    for (char *at = answer; (at = strstr(at, text)); at++)
        found++;
    return found;
}

static void keep_alive_and_close(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    int fd = dial(&f);
    for (int i = 0; i < 3; i++) {
        say(fd, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\nbody");
        hear(fd, "\r\n\r\n4", 1);
        assert_int_equal(count("HTTP/1.1 200 OK\r\n"), 1);
        assert_int_equal(count("content-length: 1\r\n"), 1);
        assert_int_equal(count("connection:"), 0);
    }
    say(fd, "POST /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    hear_all(fd);
    assert_int_equal(count("connection: close\r\n"), 1);
    assert_int_equal(count("\r\n\r\n0"), 1);
    close(fd);
    ask(&f, "GET /x HTTP/1.0\r\n\r\n");
    assert_int_equal(count("HTTP/1.1 200 OK\r\n"), 1);
    ask(&f, "GET /close HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(count("connection: close\r\n"), 1);
    await(&f.answered, 6);
    assert_int_equal(atomic_load(&f.gone), 0);
    fixture_stop(&f);
}

// Says a request whose body is as long as it announces; expects the fixture's answer, its size.
static void say_sized(int fd, const char *before, const char *digits, const char *after)
{
    static const char body[1000];
    char head[512];
    snprintf(head, sizeof head, "%s%s%s", before, digits, after);
    size_t cut = strlen(head) / 3, size = (size_t)atoi(digits);
    say_bytes(fd, head, cut);
    if (size % 2)
        pause_ms(2); // in two pieces, most likely
    say(fd, head + cut);
    say_bytes(fd, body, size);
}

// A head that is the last one but for Content-Length, and heads that are nearly so.
static void repeated_heads(void **state)
{
    (void)state;
    static struct fixture f;
    static const char *const digits[] = {"4", "4", "0", "17", "0017", "999", "4"};
    const char *before = "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: ",
               *after = "\r\nX: y\r\n\r\n";
    char expected[64];
    fixture_start(&f, NULL);
    int fd = dial(&f);
    for (int i = 0; i < 7; i++) {
        say_sized(fd, before, digits[i], after);
        snprintf(expected, sizeof expected, "\r\n\r\n%d", atoi(digits[i]));
        hear(fd, expected, 1);
        assert_int_equal(count("HTTP/1.1 200 OK\r\n"), 1);
    }
    // Many in one piece, and the path of another length in between.
    char many[4096] = "";
    for (int i = 0; i < 12; i++) {
        snprintf(many + strlen(many), sizeof many - strlen(many), "%s2%sab", before, after);
        if (i % 4 == 3)
            strcat(many, "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nX: y\r\n\r\n");
    }
    say(fd, many);
    hear(fd, "refused", 3);
    assert_int_equal(count("\r\n\r\n2"), 12);
    close(fd);
    static const char *const broken[] = {
        "", "4x", "-4", "+4", "4,4", " ", "0x4", "12345678901234567890", "4 4"};
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        fd = dial(&f);
        say_sized(fd, before, "4", after);
        hear(fd, "\r\n\r\n4", 1);
        say(fd, before);
        say(fd, broken[i]);
        say(fd, after);
        say(fd, "body");
        hear_all(fd);
        assert_int_equal(count("HTTP/1.1 400 Bad Request\r\n"), 1);
        close(fd);
    }
    // What the head does not say: Expect, closing, a transfer coding; each for itself.
    fd = dial(&f);
    for (int i = 0; i < 3; i++) {
        say(fd, "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
        hear(fd, "100 Continue", 1);
        say(fd, "abc");
        hear(fd, "\r\n\r\n3", 1);
        say(fd, "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: "
                "chunked\r\n\r\n2\r\nab\r\n0\r\n\r\n");
        hear(fd, "\r\n\r\n2", 1);
        say(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
        hear(fd, "\r\n\r\n0", 1);
    }
    close(fd);
    fixture_stop(&f);
}

// All that are under way are told, and those that were read ahead as soon as they begin.
static void who_has_hung_up_is_told_of_every_request(void **state)
{
    (void)state;
    static struct fixture f;
    struct oto_http_limits limits;
    oto_http_limits_default(&limits);
    limits.pipeline_max = 2;
    fixture_start(&f, &limits);
    int fd = dial(&f);
    for (int i = 0; i < 5; i++)
        say(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(fd, SHUT_WR);
    hear(fd, "\r\n\r\nlater", 5);
    assert_int_equal(atomic_load(&f.half_closed), 5);
    close(fd);
    fd = dial(&f);
    say(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(fd, "\r\n\r\n0", 1);
    shutdown(fd, SHUT_WR);
    hear_all(fd);
    assert_int_equal(atomic_load(&f.half_closed), 5);
    close(fd);
    fixture_stop(&f);
}

static void every_byte_alone(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    int fd = dial(&f);
    const char *request = "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
                          "3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    for (const char *c = request; *c; c++) {
        say_bytes(fd, c, 1);
        if (c - request < 20)
            pause_ms(1);
    }
    hear(fd, "\r\n\r\n5", 1);
    close(fd);
    fixture_stop(&f);
}

static void large_bodies(void **state)
{
    (void)state;
    static struct fixture f;
    size_t size = 3000000;
    char *body = calloc(1, size), head[256];
    fixture_start(&f, NULL);
    int fd = dial(&f);
    snprintf(head, sizeof head, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: %zu\r\n\r\n", size);
    for (int i = 0; i < 2; i++) {
        say(fd, head);
        say_bytes(fd, body, size);
        hear(fd, "\r\n\r\n3000000", 1);
    }
    say(fd, "POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (int i = 0; i < 3; i++) {
        say(fd, "F4240\r\n");
        say_bytes(fd, body, 1000000);
        say(fd, "\r\n");
    }
    say(fd, "0\r\n\r\n");
    hear(fd, "\r\n\r\n3000000", 1);
    close(fd);
    free(body);
    fixture_stop(&f);
}

static void pipelined_answers_keep_their_order(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    int fd = dial(&f);
    say(fd, "POST /later HTTP/1.1\r\nHost: a\r\n\r\n"
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab"
            "GET /stream?1 HTTP/1.1\r\nHost: a\r\n\r\n"
            "HEAD /x HTTP/1.1\r\nHost: a\r\n\r\n"
            "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nConnection: close\r\n\r\nabc"
            "POST /never HTTP/1.1\r\nHost: a\r\n\r\n");
    hear_all(fd);
    close(fd);
    assert_int_equal(count("HTTP/1.1 200 OK"), 5);
    char *first = strstr(answer, "later"), *second = strstr(answer, "\r\n\r\n2HTTP"),
         *third = strstr(answer, "10000\r\n"), *fourth = strstr(answer, "0\r\n\r\nHTTP"),
         *last = strstr(answer, "\r\n\r\n3");
    assert_non_null(first);
    assert_true(first < second && second < third && third < fourth && fourth < last);
    assert_int_equal(atomic_load(&f.headers), 5);
    fixture_stop(&f);
}

// RFC 9112 9.6: what is behind a connection's last request is not processed, as nobody would be
// told what became of it.
static void nothing_is_taken_behind_a_last_request(void **state)
{
    (void)state;
    static const char *const last[] = {
        "GET /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n",
        "POST /later HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 3\r\n\r\nabc",
        "GET /later HTTP/1.0\r\n\r\n",
        "GET /stream?1 HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
    };
    static struct fixture f;
    char text[256];
    fixture_start(&f, NULL);
    for (int i = 0; i < 4; i++) {
        (void)snprintf(text, sizeof text, "%sPOST /x HTTP/1.1\r\nHost: a\r\n\r\n", last[i]);
        ask(&f, text);
        assert_int_equal(count("HTTP/1.1 200 OK"), 1);
        assert_int_equal(count("connection: close\r\n"), 1);
        assert_int_equal(atomic_load(&f.headers), i + 1);
    }
    // What comes when the last one has long been taken is not looked at either.
    int fd = dial(&f);
    say(fd, last[0]);
    await(&f.completed, 5);
    say(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    hear_all(fd);
    close(fd);
    assert_int_equal(count("HTTP/1.1 200 OK"), 1);
    assert_int_equal(atomic_load(&f.headers), 5);
    fixture_stop(&f);
}

static void ten_thousand_pipelined_requests(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    int fd = dial(&f);
    const char *one = "GET /x HTTP/1.1\r\nHost: a\r\n\r\n";
    size_t size = strlen(one), total = 10000 * size;
    char *all = malloc(total);
    for (size_t i = 0; i < 10000; i++)
        memcpy(all + i * size, one, size);
    say_bytes(fd, all, total / 2);
    say_bytes(fd, all + total / 2, total - total / 2);
    hear(fd, "HTTP/1.1 200 OK", 10000);
    await(&f.answered, 10000);
    free(all);
    close(fd);
    fixture_stop(&f);
}

// Behind a request that is not answered, only so many are read.
static void reading_ahead_is_bounded(void **state)
{
    (void)state;
    static struct fixture f;
    struct oto_http_limits limits;
    oto_http_limits_default(&limits);
    limits.pipeline_max = 4;
    fixture_start(&f, &limits);
    int fd = dial(&f);
    say(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    for (int i = 0; i < 10; i++)
        say(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&f.headers, 4);
    pause_ms(50);
    assert_int_equal(atomic_load(&f.headers), 4);
    int other = dial(&f);
    say(other, "GET /release HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(other, "released", 1);
    hear(fd, "HTTP/1.1 200 OK", 11);
    close(fd);
    close(other);
    fixture_stop(&f);
}

// Reads until text has come `times` times, of more than fits into the buffer.
static void hear_many(int fd, const char *text, size_t times)
{
    size_t kept = 0, overlap = strlen(text) - 1;
    while (times > 0) {
        ssize_t n = recv(fd, answer + kept, sizeof answer - 1 - kept, 0);
        if (n <= 0)
            fail_msg("ended, and \"%s\" was to come %zu times more", text, times);
        size_t size = kept + (size_t)n;
        answer[size] = 0;
        times -= (size_t)count(text);
        kept = size < overlap ? size : overlap;
        memmove(answer, answer + size - kept, kept);
    }
}

// Sends the same request until the server takes no more, reading nothing; returns how many bytes.
// Never may more than unread_max answers wait in the server.
static size_t say_until_refused(struct fixture *f, int fd, const char *request, int unread_max)
{
    static char many[1 << 16];
    size_t one = strlen(request), size = sizeof many / one * one, total = 0;
    for (size_t i = 0; i < size; i += one)
        memcpy(many + i, request, one);
    int other = dial(f);
    // An answer on another connection: the server has had its turn with the first.
    for (int idle_turns = 0; idle_turns < 50; idle_turns++) {
        ssize_t n = send(fd, many + total % one, size - total % one, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            total += (size_t)n;
            idle_turns = 0;
        }
        say(other, "GET /refuse HTTP/1.1\r\nHost: a\r\n\r\n");
        hear(other, "refused", 1);
        int headers = atomic_load(&f->headers), answered = atomic_load(&f->answered);
        if (headers - answered > unread_max)
            fail_msg("%d requests are taken, %d answers are sent", headers, answered);
    }
    close(other);
    return total;
}

// Whoever does not read the answers is not read from; when the peer does, all of them come.
// padding: of a request, so that the kernel's buffers do not take too many.
static void unread_answers_are_bounded(const char *path, int padding, int unread_max)
{
    static struct fixture f;
    static char request[20000];
    (void)snprintf(request, sizeof request, "GET %s HTTP/1.1\r\nHost: a\r\nX: %0*d\r\n\r\n", path,
                   padding, 0);
    fixture_start(&f, NULL);
    int fd = dial_with(&f, 4096);
    size_t one = strlen(request), total = say_until_refused(&f, fd, request, unread_max);
    hear_many(fd, "HTTP/1.1 200 OK\r\n", total / one);
    say(fd, request + total % one);
    hear_many(fd, "HTTP/1.1 200 OK\r\n", 1);
    close(fd);
    fixture_stop(&f);
}

static void bytes_that_nobody_reads_are_bounded(void **state)
{
    (void)state;
    unread_answers_are_bounded("/stream?1", 16000, 8);
}

static void answers_that_nobody_reads_are_bounded(void **state)
{
    (void)state;
    unread_answers_are_bounded("/x", 200, 300);
}

static void post(int fd, const char *path, unsigned size)
{
    static uint8_t body[100000];
    char head[128];
    (void)snprintf(head, sizeof head, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Length: %u\r\n\r\n",
                   path, size);
    say(fd, head);
    say_bytes(fd, body, size);
}

// A request whose body was released is answered as any other, and so are those that use its memory,
// long before that answer.
static void a_body_that_was_read_is_no_longer_needed(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    int fd = dial(&f), other = dial(&f);
    post(fd, "/hold", 90000);
    await(&f.completed, 1);
    uintptr_t released = atomic_load(&f.body);
    post(other, "/x", 80000);
    hear(other, "80000", 1);
    assert_true(atomic_load(&f.body) == released);
    post(other, "/release", 100000);
    hear(other, "released", 1);
    hear(fd, "held", 1);
    post(fd, "/x", 70000);
    hear(fd, "70000", 1);
    close(fd);
    close(other);
    fixture_stop(&f);
}

static void continue_only_when_the_body_is_wanted(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    int fd = dial(&f);
    say(fd, "POST /x HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    hear(fd, "HTTP/1.1 100 Continue\r\n\r\n", 1);
    say(fd, "abc");
    hear(fd, "\r\n\r\n3", 1);
    say(fd,
        "POST /refuse HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n");
    hear_all(fd);
    assert_int_equal(count("100 Continue"), 0);
    assert_int_equal(count("HTTP/1.1 503 Service Unavailable\r\n"), 1);
    assert_int_equal(count("connection: close\r\n"), 1);
    close(fd);
    fixture_stop(&f);
}

static void refused_body_is_drained_or_the_connection_closed(void **state)
{
    (void)state;
    static struct fixture f;
    static char body[5000000];
    fixture_start(&f, NULL);
    int fd = dial(&f);
    say(fd, "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabcde"
            "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(fd, "\r\n\r\n0", 1);
    say(fd, "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 300000\r\n\r\n");
    say_bytes(fd, body, 300000);
    say(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(fd, "\r\n\r\n0", 1);
    say(fd, "POST /refuse HTTP/1.1\r\nHost: a\r\nContent-Length: 5000000\r\n\r\n");
    say_bytes(fd, body, sizeof body);
    hear_all(fd);
    assert_int_equal(count("503"), 1);
    assert_int_equal(count("connection: close\r\n"), 1);
    close(fd);
    fd = dial(&f);
    say(fd, "POST /refuse HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n4c4b40\r\n");
    say_bytes(fd, body, sizeof body);
    hear_all(fd);
    assert_int_equal(count("503"), 1);
    close(fd);
    fixture_stop(&f);
}

static void too_large_bodies_are_413(void **state)
{
    (void)state;
    static struct fixture f;
    static char body[2000];
    fixture_start(&f, NULL);
    ask(&f, "POST /limit HTTP/1.1\r\nHost: a\r\nConnection: close\r\nContent-Length: 1001\r\n\r\n");
    assert_int_equal(count("HTTP/1.1 413 Content Too Large\r\n"), 1);
    assert_int_equal(
        count("error 413: the request body is larger than 1000 bytes (name of the limit)"), 1);
    assert_int_equal(count("content-type: application/x-test\r\n"), 1);
    int fd = dial(&f);
    say(fd, "POST /limit HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n7d0\r\n");
    say_bytes(fd, body, sizeof body);
    say(fd, "\r\n0\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(fd, "HTTP/1.1 ", 2);
    assert_int_equal(count("413 Content Too Large\r\n"), 1);
    say(fd, "POST /budget HTTP/1.1\r\nHost: a\r\nContent-Length: 20000\r\n\r\n");
    hear(fd, "no budget", 1);
    close(fd);
    assert_int_equal(atomic_load(&f.completed), 1);
    fixture_stop(&f);
}

static void protocol_errors_are_answered_and_close(void **state)
{
    (void)state;
    static const struct {
        const char *request, *status;
    } rows[] = {
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n",
         "400 Bad Request"},
        {"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5,5\r\n\r\n", "400 Bad Request"},
        {"GET / HTTP/1.1\r\n\r\n", "400 Bad Request"},
        {"GET / HTTP/1.1\nHost: a\n\n", "400 Bad Request"},
        {"TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", "405 Method Not Allowed"},
        {"GET / HTTP/3.0\r\nHost: a\r\n\r\n", "505 HTTP Version Not Supported"},
        {"GET / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", "417 Expectation Failed"},
        {"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nxx\r\n",
         "400 Bad Request"},
        {"PRX / HTTP/1.1\r\n\r\n", "400 Bad Request"},
        {"\x16\x03\x01 hello", "400 Bad Request"},
    };
    static struct fixture f;
    fixture_start(&f, NULL);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        ask(&f, rows[i].request);
        if (!strstr(answer, rows[i].status))
            fail_msg("%s: %s", rows[i].request, answer);
        assert_int_equal(count("connection: close\r\n"), 1);
        assert_int_equal(count("error 4") + count("error 505"), 1);
        assert_int_equal(count("HTTP/1.1 "), 1);
    }
    // A broken second request: the first is answered first, even when its answer comes later.
    ask(&f, "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nbroken\r\n\r\n");
    assert_true(strstr(answer, "later") < strstr(answer, "400 Bad Request"));
    assert_int_equal(count("HTTP/1.1 "), 2);
    fixture_stop(&f);
}

static void head_has_no_body(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    ask(&f, "HEAD /x HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_int_equal(count("content-length: 1\r\n"), 1);
    assert_string_equal(strstr(answer, "\r\n\r\n"), "\r\n\r\n");
    fixture_stop(&f);
}

static void streamed_answers(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    size_t size = ask(&f, "GET /stream?64 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_true(size > 64 * 65536 && size < 64 * 65536 + 2000);
    assert_int_equal(memcmp(answer + size - 5, "0\r\n\r\n", 5), 0);
    assert_non_null(strstr(answer, "transfer-encoding: chunked\r\n"));
    size = ask(&f, "GET /stream?2 HTTP/1.0\r\n\r\n");
    assert_null(strstr(answer, "chunked"));
    assert_int_equal(size - (size_t)(strstr(answer, "\r\n\r\n") + 4 - answer), 2 * 65536);
    ask(&f, "GET /abort HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_null(strstr(answer, "0\r\n\r\n"));
    // The reader goes in the middle of it.
    int fd = dial(&f);
    say(fd, "GET /stream?2000 HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_true(recv(fd, answer, 1000, 0) > 0);
    close(fd);
    await(&f.gone, 2); // this one and /abort
    fixture_stop(&f);
}

static void peers_that_leave_at_every_stage(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    static const struct {
        const char *request;
        int gone;
    } rows[] = {
        {"", 0},
        {"P", 0},
        {"PR", 0},
        {"PRI", 0},
        {"POST /x HT", 0},
        {"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n", 1},
        {"POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n12345", 2},
        {"POST /x HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n123", 3},
        {"GET /x HTTP/1.1\r\nHost: a\r\n\r\nPOST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n"
         "\r\n",
         4},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        int fd = dial(&f);
        say(fd, rows[i].request);
        if (i == 8)
            hear(fd, "200 OK", 1);
        pause_ms(5);
        close(fd);
        await(&f.gone, rows[i].gone);
    }
    // Reset while the handler works: it answers later, into nothing.
    struct linger hard = {1, 0};
    int fd = dial(&f);
    say(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&f.completed, 3);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    await(&f.gone, 6);
    pause_ms(250);
    assert_int_equal(atomic_load(&f.held_alive), 0);
    // Reset while it holds: closed answers at once.
    fd = dial(&f);
    say(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&f.completed, 4);
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &hard, sizeof hard);
    close(fd);
    await(&f.gone, 7);
    fixture_stop(&f);
}

static void half_closed_peer_is_answered(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    int fd = dial(&f);
    say(fd, "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    shutdown(fd, SHUT_WR);
    hear_all(fd);
    assert_int_equal(count("HTTP/1.1 200 OK"), 2);
    close(fd);
    fixture_stop(&f);
}

static void slow_peers_are_timed_out(void **state)
{
    (void)state;
    static struct fixture f;
    struct oto_http_limits limits;
    oto_http_limits_default(&limits);
    limits.header_timeout_ms = limits.body_timeout_ms = limits.idle_timeout_ms = 500;
    fixture_start(&f, &limits);
    int head = dial(&f), body = dial(&f), idle = dial(&f), mute = dial(&f), preface = dial(&f);
    say(head, "GET / HT");
    say(preface, "PR");
    say(body, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n123");
    say(idle, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(idle, "200 OK", 1);
    hear_all(head);
    assert_int_equal(count("HTTP/1.1 408 Request Timeout\r\n"), 1);
    assert_int_equal(count("error 408 headless: "), 1);
    hear_all(body);
    assert_int_equal(count("HTTP/1.1 503 Service Unavailable\r\n"), 1);
    assert_int_equal(count("retry-after: 1\r\n"), 1);
    assert_int_equal(hear_all(idle), 0);
    assert_int_equal(hear_all(mute), 0);
    assert_int_equal(hear_all(preface), 0);
    close(head);
    close(body);
    close(idle);
    close(mute);
    close(preface);
    await(&f.answered, 2); // refusals are answers too
    fixture_stop(&f);
}

// Bodies that come while this thread is busy with something else, more of them than it looks at
// before its next tick.
static void nobody_is_late_while_the_server_does_not_read(void **state)
{
    (void)state;
    enum { PEERS = 300 };
    static struct fixture f;
    static int peers[PEERS];
    struct oto_http_limits limits;
    oto_http_limits_default(&limits);
    limits.body_timeout_ms = 4000;
    fixture_start(&f, &limits);
    int busy = dial(&f);
    for (int i = 0; i < PEERS; i++) {
        peers[i] = dial(&f);
        say(peers[i], "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n");
    }
    await(&f.headers, PEERS);
    say(busy, "GET /block HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&f.completed, 1);
    for (int i = 0; i < PEERS; i++)
        say(peers[i], "body");
    hear(busy, "blocked", 1);
    for (int i = 0; i < PEERS; i++) {
        hear(peers[i], "\r\n\r\n", 1);
        assert_int_equal(count("HTTP/1.1 200 OK\r\n"), 1);
        close(peers[i]);
    }
    close(busy);
    fixture_stop(&f);
}

static void too_many_connections_are_closed(void **state)
{
    (void)state;
    static struct fixture f;
    struct oto_http_limits limits;
    oto_http_limits_default(&limits);
    limits.connections_max = 2;
    fixture_start(&f, &limits);
    int a = dial(&f), b = dial(&f);
    say(a, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    say(b, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(a, "200 OK", 1);
    hear(b, "200 OK", 1);
    int c = dial(&f);
    assert_int_equal(hear_all(c), 0);
    close(a);
    close(b);
    close(c);
    fixture_stop(&f);
}

struct drain {
    struct oto_loop_message message;
    struct fixture *fixture;
    uint32_t grace_ms;
};

static void count_drained(void *state)
{
    struct fixture *f = state;
    atomic_fetch_add(&f->drained, 1);
}

static void start_drain(struct oto_loop_message *message)
{
    struct drain *d = (struct drain *)message;
    oto_http_server_drain(d->fixture->server, d->grace_ms, count_drained, d->fixture);
}

static void drain_finishes_what_has_begun(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    struct drain drain = {{NULL, start_drain}, &f, 5000};
    int idle = dial(&f), busy = dial(&f), half = dial(&f);
    say(idle, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    hear(idle, "200 OK", 1);
    say(half, "POST /x HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\n\r\n12");
    say(busy, "GET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&f.headers, 3);
    oto_loop_post(f.loop, &drain.message);
    assert_int_equal(hear_all(idle), 0);
    say(half, "34");
    hear_all(half);
    assert_int_equal(count("connection: close\r\n"), 1);
    hear_all(busy);
    assert_int_equal(count("later"), 1);
    await(&f.drained, 1);
    int late = socket(AF_INET, SOCK_STREAM, 0);
    close(late);
    close(idle);
    close(busy);
    close(half);
    fixture_stop(&f);
}

// Requests that were read ahead are answered, the last of them with the end; no further one is
// taken.
static void drain_answers_all_that_was_taken(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    struct drain drain = {{NULL, start_drain}, &f, 5000};
    int fd = dial(&f), other = dial(&f), answered_before = dial(&f), idle = dial(&f);
    say(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\nGET /later HTTP/1.1\r\nHost: a\r\n\r\n");
    say(answered_before,
        "GET /later HTTP/1.1\r\nHost: a\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    say(other, "POST /release HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\n\r\n");
    await(&f.headers, 5);
    oto_loop_post(f.loop, &drain.message);
    assert_int_equal(hear_all(idle), 0);
    say(fd, "GET /x HTTP/1.1\r\nHost: a\r\n\r\n");
    say(other, ".");
    hear_all(other);
    assert_int_equal(count("released"), 1);
    hear_all(fd);
    assert_int_equal(count("HTTP/1.1 200 OK"), 2);
    assert_int_equal(count("connection: close\r\n"), 1);
    assert_true(strstr(answer, "held") < strstr(answer, "connection: close\r\n"));
    hear_all(answered_before); // the second of them, before the drain
    assert_int_equal(count("HTTP/1.1 200 OK"), 2);
    await(&f.drained, 1);
    assert_int_equal(atomic_load(&f.headers), 5);
    close(fd);
    close(other);
    close(answered_before);
    close(idle);
    fixture_stop(&f);
}

static void drain_ends_with_its_grace(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    struct drain drain = {{NULL, start_drain}, &f, 200};
    int fd = dial(&f);
    say(fd, "GET /hold HTTP/1.1\r\nHost: a\r\n\r\n");
    await(&f.completed, 1);
    oto_loop_post(f.loop, &drain.message);
    assert_int_equal(hear_all(fd), 0);
    await(&f.drained, 1);
    await(&f.gone, 1);
    close(fd);
    fixture_stop(&f);
}

static int ends_with_reset(int fd)
{
    ssize_t n;
    while ((n = recv(fd, answer, sizeof answer, 0)) > 0)
        ;
    return n < 0 && errno == ECONNRESET;
}

// HTTP/1.0 knows the end of such an answer by the connection's.
static void half_an_answer_is_never_taken_for_a_whole_one(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    struct drain drain = {{NULL, start_drain}, &f, 200};
    int aborted = dial(&f), late = dial(&f), whole = dial(&f);
    say(whole, "GET /stream?2 HTTP/1.0\r\n\r\n");
    assert_false(ends_with_reset(whole));
    say(aborted, "GET /abort HTTP/1.0\r\n\r\n");
    assert_true(ends_with_reset(aborted));
    say(late, "GET /stream?2000 HTTP/1.0\r\n\r\n");
    await(&f.completed, 3);
    oto_loop_post(f.loop, &drain.message);
    await(&f.drained, 1);
    assert_true(ends_with_reset(late));
    close(aborted);
    close(late);
    close(whole);
    fixture_stop(&f);
}

static void reflected_bytes_cannot_split_an_answer(void **state)
{
    (void)state;
    static struct fixture f;
    fixture_start(&f, NULL);
    ask(&f, "GET /x?\r\nX: y HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_int_equal(count("400 Bad Request"), 1);
    assert_int_equal(count("HTTP/1.1 "), 1);
    fixture_stop(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(keep_alive_and_close),
        cmocka_unit_test(repeated_heads),
        cmocka_unit_test(who_has_hung_up_is_told_of_every_request),
        cmocka_unit_test(every_byte_alone),
        cmocka_unit_test(large_bodies),
        cmocka_unit_test(pipelined_answers_keep_their_order),
        cmocka_unit_test(nothing_is_taken_behind_a_last_request),
        cmocka_unit_test(ten_thousand_pipelined_requests),
        cmocka_unit_test(reading_ahead_is_bounded),
        cmocka_unit_test(bytes_that_nobody_reads_are_bounded),
        cmocka_unit_test(answers_that_nobody_reads_are_bounded),
        cmocka_unit_test(a_body_that_was_read_is_no_longer_needed),
        cmocka_unit_test(continue_only_when_the_body_is_wanted),
        cmocka_unit_test(refused_body_is_drained_or_the_connection_closed),
        cmocka_unit_test(too_large_bodies_are_413),
        cmocka_unit_test(protocol_errors_are_answered_and_close),
        cmocka_unit_test(head_has_no_body),
        cmocka_unit_test(streamed_answers),
        cmocka_unit_test(peers_that_leave_at_every_stage),
        cmocka_unit_test(half_closed_peer_is_answered),
        cmocka_unit_test(slow_peers_are_timed_out),
        cmocka_unit_test(nobody_is_late_while_the_server_does_not_read),
        cmocka_unit_test(too_many_connections_are_closed),
        cmocka_unit_test(drain_finishes_what_has_begun),
        cmocka_unit_test(drain_answers_all_that_was_taken),
        cmocka_unit_test(drain_ends_with_its_grace),
        cmocka_unit_test(half_an_answer_is_never_taken_for_a_whole_one),
        cmocka_unit_test(reflected_bytes_cannot_split_an_answer),
    };
    return cmocka_run_group_tests_name("http1_conn", tests, NULL, NULL);
}
