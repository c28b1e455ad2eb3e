// Attributes that come again, in all ways they can be written, are what they are when they come for
// the first time: spans of one long-lived decoder against each span decoded by a new one.
#include "otlp_segment.h"

enum { REQUESTS = 320, SPANS = 10, ATTRIBUTES_MAX = 9 };

static uint64_t seed = 1;

static uint32_t draw(uint32_t below)
{
    seed = seed * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(seed >> 33) % below;
}

// --- messages as senders write them, and otherwise ---

struct bytes {
    uint8_t data[1 << 15];
    size_t size;
};

static void put(struct bytes *b, const void *data, size_t size)
{
    assert_true(size <= sizeof b->data - b->size);
    memcpy(b->data + b->size, data, size);
    b->size += size;
}

static void put_byte(struct bytes *b, unsigned byte)
{
    uint8_t one = (uint8_t)byte;
    put(b, &one, 1);
}

// longer: with a byte more than it needs.
static void put_varint(struct bytes *b, uint64_t value, int longer)
{
    for (; value >= 0x80; value >>= 7)
        put_byte(b, 0x80 | (unsigned)(value & 0x7F));
    put_byte(b, (unsigned)value | (longer ? 0x80 : 0));
    if (longer)
        put_byte(b, 0);
}

static void put_part(struct bytes *b, unsigned field, const void *data, size_t size, int longer)
{
    put_varint(b, field << 3 | 2, 0);
    put_varint(b, size, longer);
    put(b, data, size);
}

static void put_string_value(struct bytes *b, int longer)
{
    static const uint16_t sizes[] = {0,  1,  2,   5,   6,   7,   8,   9,   13,  14, 15,
                                     16, 17, 125, 126, 127, 128, 129, 130, 131, 300};
    char text_bytes[300];
    size_t size = sizes[draw(sizeof sizes / sizeof sizes[0])];
    memset(text_bytes, 'a', sizeof text_bytes);
    if (size && draw(2))
        text_bytes[draw((uint32_t)size)] = (char)('b' + draw(3));
    if (size > 1 && draw(8) == 0)
        memcpy(text_bytes + draw((uint32_t)size - 1), "\xC3\xA9", 2);
    if (size && draw(16) == 0)
        text_bytes[draw((uint32_t)size)] = (char)0xFF;
    put_part(b, 1, text_bytes, size, longer);
}

static void put_int_value(struct bytes *b, int longer)
{
    static const uint64_t numbers[] = {0,   1,   7,      127,       128,       200,
                                       404, 503, 100000, INT64_MAX, 1u << 31u, UINT64_MAX};
    uint64_t number = numbers[draw(sizeof numbers / sizeof numbers[0])];
    put_byte(b, 3 << 3);
    put_varint(b, number, longer && number != UINT64_MAX);
}

static void put_double_value(struct bytes *b)
{
    static const double numbers[] = {0.0, -0.0, 0.5, 1e300, 3.25};
    double number = numbers[draw(5)];
    uint64_t odd_nan = 0x7FF8000000000001u;
    put_byte(b, 4 << 3 | 1);
    put(b, draw(10) ? (const void *)&number : (const void *)&odd_nan, 8);
}

static void put_value(struct bytes *b)
{
    static const char array[] = {0x2A, 4, 0x0A, 2, 0x18, 5};
    int longer = draw(12) == 0;
    switch (draw(12)) {
    case 0:
    case 1:
    case 2:
        put_int_value(b, longer);
        break;
    case 3:
        put_double_value(b);
        break;
    case 4:
        put_byte(b, 2 << 3);
        put_varint(b, draw(3), longer);
        break;
    case 5:
        if (draw(2))
            put(b, array, sizeof array);
        break;
    case 6: // two members: the last wins
        put_byte(b, 3 << 3), put_byte(b, 7);
        put_byte(b, 3 << 3), put_byte(b, draw(2));
        break;
    case 7:
        put_part(b, 7, "\1\2\3", draw(4), 0);
        break;
    default:
        put_string_value(b, longer);
    }
}

// Longer than what is remembered of keys.
#define LONG_KEY                                                                                   \
    "a.key.that.is.longer.than.what.is.remembered.of.keys.in.the.hot.loop.so.it.goes.the.long."    \
    "way."                                                                                         \
    "e"

static const char *const keys[] = {
    "",
    "k",
    "ab",
    "url.path",
    "http.route",
    "http.response.status_code",
    "key-of-13-byte",
    "key-of-twenty-nine-bytes-here",
    LONG_KEY,
};

// One KeyValue, rarely not as senders write it.
static void put_attribute(struct bytes *b, const char *key, const struct bytes *value)
{
    static struct bytes pair;
    pair.size = 0;
    if (draw(40) == 0)
        put_part(&pair, 2, value->data, value->size, 0);
    put_part(&pair, 1, key, strlen(key), draw(40) == 0);
    if (draw(40))
        put_part(&pair, 2, value->data, value->size, draw(40) == 0);
    if (draw(40) == 0)
        put(&pair, "\x78\x01", 2); // a field nobody knows
    put_part(b, 9, pair.data, pair.size, draw(40) == 0);
}

static void put_text_attribute(struct bytes *b, const char *key, const char *head, unsigned n,
                               const char *tail)
{
    static struct bytes value;
    char text_bytes[64];
    int size = snprintf(text_bytes, sizeof text_bytes, "%s%03u%s", head, n, tail);
    value.size = 0;
    put_part(&value, 1, text_bytes, (size_t)size, 0);
    put_attribute(b, key, &value);
}

// A span with values that never come again and such that do.
static void put_span(struct bytes *b, unsigned n)
{
    static struct bytes span, value;
    double real = n + 0.25;
    span.size = 0;
    put_part(&span, 1, trace_id, 16, 0);
    put_part(&span, 2, span_id, 8, 0);
    put_text_attribute(&span, "request.id", n % 7 ? "request-" : "r\xC3\xA9quest-", n, "");
    put_text_attribute(&span, "route", "/route/", n % 50 ? n % 200 : n, "");
    // Many that differ in their heads alone: some share their place in the memory of values.
    put_text_attribute(&span, "short", "", draw(400), "-the-end");
    put_text_attribute(&span, "long", "some text that is longer than a few words: ", draw(400),
                       "-the-end");
    value.size = 0;
    put_byte(&value, 3 << 3);
    put_varint(&value, 1000000 + n, 0);
    put_attribute(&span, "sequence", &value);
    value.size = 0;
    put_byte(&value, 4 << 3 | 1);
    put(&value, &real, 8);
    put_attribute(&span, "score", &value);
    for (uint32_t i = draw(ATTRIBUTES_MAX); i; i--) {
        value.size = 0;
        put_value(&value);
        put_attribute(&span, keys[draw(sizeof keys / sizeof keys[0])], &value);
    }
    put_part(b, 2, span.data, span.size, 0);
}

static void put_request(struct bytes *b, const struct bytes *spans)
{
    static struct bytes group;
    group.size = b->size = 0;
    put_part(&group, 2, spans->data, spans->size, 0);
    put_part(b, 1, group.data, group.size, 0);
}

// --- the comparison ---

static void same_text(const struct segment *a, uint32_t row_a, const struct segment *b,
                      const char *name)
{
    assert_string_equal(text(column(a, OTO_TABLE_TRACES, name), row_a),
                        text(column(b, OTO_TABLE_TRACES, name), 0));
}

static void same_row(const struct segment *a, uint32_t row, const struct segment *b)
{
    const struct oto_column *status_a = column(a, OTO_TABLE_TRACES, "HttpResponseStatusCode");
    const struct oto_column *status_b = column(b, OTO_TABLE_TRACES, "HttpResponseStatusCode");
    assert_string_equal(map(column(a, OTO_TABLE_TRACES, "SpanAttributes"), row),
                        map(column(b, OTO_TABLE_TRACES, "SpanAttributes"), 0));
    same_text(a, row, b, "SpanAttributesTypes");
    same_text(a, row, b, "HttpRoute");
    same_text(a, row, b, "UrlPath");
    assert_int_equal(is_null(status_a, row), is_null(status_b, 0));
    if (!is_null(status_a, row))
        assert_int_equal(i64(status_a, row), i64(status_b, 0));
}

// The span alone, in a new decoder; returns the strings repaired.
static uint64_t compare_alone(const struct segment *a, uint32_t row, const struct bytes *span)
{
    static struct bytes request;
    struct segment alone;
    segment_open(&alone, NULL, 0);
    put_request(&request, span);
    assert_int_equal(decode(&alone, OTO_SIGNAL_TRACES, oto_bytes(request.data, request.size)),
                     OTO_OK);
    same_row(a, row, &alone);
    segment_close(&alone);
    return alone.result.utf8_repaired;
}

// Now and then the request comes before, and is undone: once cut short, once rolled back.
static void disturb(struct segment *s, const struct bytes *request)
{
    size_t size = oto_otlp_mark_size(s->decoder, OTO_SIGNAL_TRACES);
    uint32_t *mark = malloc(size);
    oto_otlp_mark(s->decoder, OTO_SIGNAL_TRACES, mark);
    uint8_t *cut = malloc(request->size); // of its own, so that reading on is noticed
    memcpy(cut, request->data, request->size - 1);
    assert_int_equal(decode(s, OTO_SIGNAL_TRACES, oto_bytes(cut, request->size - 1)), OTO_INVALID);
    free(cut);
    assert_int_equal(decode(s, OTO_SIGNAL_TRACES, oto_bytes(request->data, request->size)), OTO_OK);
    oto_otlp_rollback(s->decoder, OTO_SIGNAL_TRACES, mark);
    free(mark);
}

static void attributes_that_come_again_are_what_they_were(void **state)
{
    (void)state;
    static struct bytes spans[SPANS], together, request;
    struct segment s;
    segment_open(&s, NULL, 0);
    for (unsigned r = 0; r < REQUESTS; r++) {
        together.size = 0;
        for (unsigned i = 0; i < SPANS; i++) {
            spans[i].size = 0;
            put_span(&spans[i], r * SPANS + i);
            put(&together, spans[i].data, spans[i].size);
        }
        put_request(&request, &together);
        if (r % 64 == 63)
            disturb(&s, &request);
        uint8_t *exact = malloc(request.size);
        memcpy(exact, request.data, request.size);
        assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, oto_bytes(exact, request.size)), OTO_OK);
        free(exact);
        uint64_t repaired = 0;
        for (unsigned i = 0; i < SPANS; i++)
            repaired += compare_alone(&s, r * SPANS + i, &spans[i]);
        assert_true(s.result.utf8_repaired <= repaired);
        assert_true((s.result.utf8_repaired == 0) == (repaired == 0));
    }
    check_builders(&s);
    segment_close(&s);
}

static void put_order(struct bytes *spans, unsigned first)
{
    static const char *const values[] = {"one", "two", "three"};
    static struct bytes span, value, pair;
    spans->size = 0;
    for (unsigned i = 0; i < 6; i++) {
        const char *text_bytes = values[(first + i) % 3];
        span.size = value.size = pair.size = 0;
        put_part(&span, 1, trace_id, 16, 0);
        put_part(&span, 2, span_id, 8, 0);
        put_part(&value, 1, text_bytes, strlen(text_bytes), 0);
        put_part(&pair, 1, "order", 5, 0);
        put_part(&pair, 2, value.data, value.size, 0);
        put_part(&span, 9, pair.data, pair.size, 0);
        put_part(spans, 2, span.data, span.size, 0);
    }
}

// After a rollback the same texts have other codes. There are a thousand epochs to tell values of
// before from those after it.
static void values_of_rolled_back_requests_are_forgotten(void **state)
{
    (void)state;
    static const char *const expected[] = {"order=one", "order=two", "order=three"};
    static struct bytes spans, request;
    struct segment s;
    segment_open(&s, NULL, 0);
    uint32_t mark[512];
    assert_true(oto_otlp_mark_size(s.decoder, OTO_SIGNAL_TRACES) <= sizeof mark);
    oto_otlp_mark(s.decoder, OTO_SIGNAL_TRACES, mark);
    for (unsigned r = 0; r < 2100; r++) {
        unsigned first = r < 1020 ? r : r / 1024;
        put_order(&spans, first);
        put_request(&request, &spans);
        assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, oto_bytes(request.data, request.size)),
                         OTO_OK);
        for (uint32_t i = 0; i < 6; i++)
            assert_string_equal(map(column(&s, OTO_TABLE_TRACES, "SpanAttributes"), i),
                                expected[(first + i) % 3]);
        oto_otlp_rollback(s.decoder, OTO_SIGNAL_TRACES, mark);
    }
    segment_close(&s);
}

static void put_simple(struct bytes *span, const char *key, const char *text_bytes)
{
    static struct bytes value, pair;
    value.size = pair.size = 0;
    put_part(&value, 1, text_bytes, strlen(text_bytes), 0);
    put_part(&pair, 1, key, strlen(key), 0);
    put_part(&pair, 2, value.data, value.size, 0);
    put_part(span, 9, pair.data, pair.size, 0);
}

// Of more keys than are remembered, also those beyond are what they were sent as.
static void keys_beyond_those_remembered_are_kept(void **state)
{
    (void)state;
    enum { KEYS = 66000, SPANS_EACH = 300 };
    static struct bytes span, spans, request;
    struct segment s;
    segment_open(&s, NULL, 0);
    for (unsigned k = 0; k < KEYS + 600; k += SPANS_EACH) {
        spans.size = 0;
        for (unsigned i = 0; i < SPANS_EACH; i++) {
            char key[16];
            (void)snprintf(key, sizeof key, "key.%u", k + i < KEYS ? k + i : KEYS - 1 - i % 2);
            span.size = 0;
            put_part(&span, 1, trace_id, 16, 0);
            put_part(&span, 2, span_id, 8, 0);
            put_simple(&span, key, "on");
            put_part(&spans, 2, span.data, span.size, 0);
        }
        put_request(&request, &spans);
        assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, oto_bytes(request.data, request.size)),
                         OTO_OK);
    }
    const struct oto_column *attributes = column(&s, OTO_TABLE_TRACES, "SpanAttributes");
    for (uint32_t row = 0; row < KEYS + 600; row += 97) {
        char expected[24];
        unsigned key = row < KEYS ? row : KEYS - 1 - row % SPANS_EACH % 2;
        (void)snprintf(expected, sizeof expected, "key.%u=on", key);
        assert_string_equal(map(attributes, row), expected);
    }
    check_builders(&s);
    segment_close(&s);
}

// A refused span between others leaves nothing in columns made of attributes.
static void a_refused_span_leaves_promoted_columns_alone(void **state)
{
    (void)state;
    static struct bytes span, spans, request;
    static const char *const routes[] = {"/first", "/second", "/third"};
    struct segment s;
    segment_open(&s, NULL, 0);
    for (unsigned r = 0; r < 40; r++) {
        spans.size = 0;
        for (unsigned i = 0; i < 6; i++) {
            span.size = 0;
            put_part(&span, 1, trace_id, i % 2 ? 15 : 16, 0); // every other one is refused
            put_part(&span, 2, span_id, 8, 0);
            if (i != 2)
                put_simple(&span, "http.route", routes[(r + i) % 3]);
            put_simple(&span, "http.route", "/given.twice");
            put_part(&spans, 2, span.data, span.size, 0);
        }
        put_request(&request, &spans);
        assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, oto_bytes(request.data, request.size)),
                         OTO_OK);
        assert_int_equal(s.result.rejected, 3);
    }
    const struct oto_column *route = column(&s, OTO_TABLE_TRACES, "HttpRoute");
    assert_int_equal(route->length, 40 * 3);
    for (uint32_t row = 0; row < 40 * 3; row++) {
        const char *expected = row % 3 == 1 ? "/given.twice" : routes[(row / 3 + row % 3 * 2) % 3];
        assert_string_equal(text(route, row), expected);
    }
    check_builders(&s);
    segment_close(&s);
}

// Values of a large dictionary are looked up some at a time, across spans and also where a set
// ends: each is what it was sent as, and no two entries are equal.
static void many_values_that_repeat_are_what_they_were(void **state)
{
    (void)state;
    enum { VALUES = 3000, SPANS_EACH = 100, REPEATS = 3 };
    static struct bytes span, spans, request, value, pair;
    struct segment s;
    segment_open(&s, NULL, 0);
    for (unsigned n = 0; n < VALUES * REPEATS; n += SPANS_EACH) {
        spans.size = 0;
        for (unsigned i = 0; i < SPANS_EACH; i++) {
            unsigned v = (n + i) * 7 % VALUES;
            int is_refused = (n + i) % 3 == 2;
            char path[32];
            (void)snprintf(path, sizeof path, v % 11 ? "/a/longer/path/%u" : "/\xFF/%u",
                           is_refused ? v + VALUES : v);
            span.size = value.size = 0;
            put_part(&span, 1, trace_id, is_refused ? 15 : 16, 0);
            put_part(&span, 2, span_id, 8, 0);
            put_simple(&span, "url.path", path);
            put_byte(&value, 3 << 3);
            put_varint(&value, v, 0);
            pair.size = 0;
            put_part(&pair, 1, "number", 6, 0);
            put_part(&pair, 2, value.data, value.size, 0);
            put_part(&span, 9, pair.data, pair.size, 0);
            put_simple(&span, "url.path", "/given/twice");
            put_part(&spans, 2, span.data, span.size, 0);
        }
        put_request(&request, &spans);
        assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, oto_bytes(request.data, request.size)),
                         OTO_OK);
        assert_true(s.result.rejected >= SPANS_EACH / 3);
    }
    const struct oto_column *attributes = column(&s, OTO_TABLE_TRACES, "SpanAttributes");
    const struct oto_column *promoted = column(&s, OTO_TABLE_TRACES, "UrlPath");
    assert_int_equal(promoted->length, VALUES * REPEATS / 3 * 2);
    for (uint32_t row = 0; row < promoted->length; row++) {
        unsigned v = (row / 2 * 3 + row % 2) * 7 % VALUES;
        char path[32], expected[96];
        (void)snprintf(path, sizeof path, v % 11 ? "/a/longer/path/%u" : "/\xEF\xBF\xBD/%u", v);
        assert_string_equal(text(promoted, row), path);
        (void)snprintf(expected, sizeof expected, "url.path=%s,number=%u,url.path=/given/twice",
                       path, v);
        assert_string_equal(map(attributes, row), expected);
    }
    assert_true(oto_dictionary_is_distinct(promoted->dictionary));
    check_builders(&s);
    segment_close(&s);
}

static void put_span_with(struct bytes *spans, const char *key, const char *value)
{
    static struct bytes span;
    span.size = 0;
    put_part(&span, 1, trace_id, 16, 0);
    put_part(&span, 2, span_id, 8, 0);
    if (key)
        put_simple(&span, key, value);
    put_part(spans, 2, span.data, span.size, 0);
}

static void send_spans(struct segment *s, struct bytes *spans)
{
    static struct bytes request;
    put_request(&request, spans);
    assert_int_equal(decode(s, OTO_SIGNAL_TRACES, oto_bytes(request.data, request.size)), OTO_OK);
    spans->size = 0;
}

// A promoted column that had one text so far has no array, but a window of its last rows: a value
// that is looked up when the window has moved on is found in its row all the same.
static void a_value_looked_up_late_is_in_its_row(void **state)
{
    (void)state;
    enum { VALUES = 4000, BETWEEN = 2 * OTO_COLUMN_WINDOW };
    static struct bytes spans;
    static const char *const paths[] = {"/rare/0", "/rare/1", "/rare/2"};
    struct segment s;
    segment_open(&s, NULL, 0);
    s.builders[OTO_TABLE_TRACES].has_windows = 1;
    put_span_with(&spans, "url.path", paths[0]);
    send_spans(&s, &spans);
    for (unsigned n = 0; n < VALUES; n++) {
        char number[16];
        (void)snprintf(number, sizeof number, "value %u", n % (VALUES / 2));
        put_span_with(&spans, "number", number);
        if (n % 100 == 99)
            send_spans(&s, &spans);
    }
    for (unsigned i = 1; i < 3; i++) {
        put_span_with(&spans, "url.path", paths[i]);
        for (unsigned n = 1; n < BETWEEN; n++)
            put_span_with(&spans, NULL, NULL);
    }
    send_spans(&s, &spans);
    const struct oto_column *promoted = column(&s, OTO_TABLE_TRACES, "UrlPath");
    const uint32_t rows[] = {0, 1 + VALUES, 1 + VALUES + BETWEEN};
    assert_int_equal(promoted->length, 1 + VALUES + 2 * BETWEEN);
    assert_null(promoted->window);
    for (unsigned i = 0; i < 3; i++)
        assert_string_equal(text(promoted, rows[i]), paths[i]);
    assert_int_equal(promoted->null_count, promoted->length - 3);
    segment_close(&s);
}

// What promoted columns of spans are to hold.
enum { PROMOTED_ROWS = 40000 };
static struct {
    const char *path;
    int64_t status;
} promoted_rows[PROMOTED_ROWS];

static void put_promoted_span(struct bytes *spans, uint32_t *row)
{
    static const char *const paths[] = {"/", "/cart", "/a/path/of/more/than/sixteen/bytes"};
    static struct bytes span, pair;
    int is_refused = draw(9) == 0;
    const char *path = draw(4) ? NULL : paths[draw(3)];
    uint32_t status = draw(5) ? 0 : 200 + draw(3);
    span.size = pair.size = 0;
    put_part(&span, 1, trace_id, is_refused ? 15 : 16, 0);
    put_part(&span, 2, span_id, 8, 0);
    if (path)
        put_simple(&span, "url.path", path);
    if (status) {
        uint8_t value[] = {3 << 3, (uint8_t)(0x80 | (status & 0x7F)), (uint8_t)(status >> 7)};
        put_part(&pair, 1, "http.response.status_code", 25, 0);
        put_part(&pair, 2, value, sizeof value, 0);
        put_part(&span, 9, pair.data, pair.size, 0);
    }
    put_part(spans, 2, span.data, span.size, 0);
    if (is_refused)
        return;
    assert_true(*row < PROMOTED_ROWS);
    promoted_rows[*row].path = path;
    promoted_rows[(*row)++].status = status;
}

static void check_promoted(const struct oto_column *path, const struct oto_column *status,
                           uint32_t rows)
{
    uint32_t nulls[2] = {0, 0};
    assert_int_equal(path->length, rows);
    assert_int_equal(status->length, rows);
    for (uint32_t row = 0; row < rows; row++) {
        const char *expected = promoted_rows[row].path;
        assert_string_equal(text(path, row), expected ? expected : "(null)");
        assert_int_equal(oto_column_valid(status, row), promoted_rows[row].status != 0);
        if (promoted_rows[row].status)
            assert_int_equal(i64(status, row), promoted_rows[row].status);
        nulls[0] += !expected;
        nulls[1] += !promoted_rows[row].status;
    }
    assert_int_equal(path->null_count, nulls[0]);
    assert_int_equal(status->null_count, nulls[1]);
    for (uint32_t bit = rows; path->validity && bit < path->validity_capacity; bit++)
        assert_true(oto_column_valid(path, bit));
    for (uint32_t bit = rows; status->validity && bit < status->validity_capacity; bit++)
        assert_true(oto_column_valid(status, bit));
}

// Values of promoted columns stand in their rows among nulls, also when spans are refused and
// requests fail between them, in the middle of a span's attributes too.
static void promoted_values_are_in_their_rows(void **state)
{
    (void)state;
    static struct bytes spans, request;
    struct segment s;
    uint32_t rows = 0, failures = 0;
    segment_open(&s, NULL, 0);
    for (unsigned r = 0; r < 160; r++) {
        uint32_t before = rows, count = 1 + draw(r % 3 ? 12 : 290);
        int fails = draw(4) == 0;
        for (uint32_t i = 0; i < count; i++)
            put_promoted_span(&spans, &rows);
        if (fails) { // its last attribute has a size, and is not there
            static const uint8_t part[] = {9 << 3 | 2, 40, 10, 8, 'u', 'r', 'l'};
            static struct bytes span;
            span.size = 0;
            put_part(&span, 1, trace_id, 16, 0);
            put_part(&span, 2, span_id, 8, 0);
            put_simple(&span, "url.path", "/cart");
            put(&span, part, sizeof part);
            put_part(&spans, 2, span.data, span.size, 0);
            rows = before;
            failures++;
        }
        put_request(&request, &spans);
        spans.size = 0;
        assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, oto_bytes(request.data, request.size)),
                         fails ? OTO_INVALID : OTO_OK);
        check_promoted(column(&s, OTO_TABLE_TRACES, "UrlPath"),
                       column(&s, OTO_TABLE_TRACES, "HttpResponseStatusCode"), rows);
    }
    assert_true(failures > 20 && rows > 3000);
    check_builders(&s);
    segment_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(attributes_that_come_again_are_what_they_were),
        cmocka_unit_test(values_of_rolled_back_requests_are_forgotten),
        cmocka_unit_test(keys_beyond_those_remembered_are_kept),
        cmocka_unit_test(a_refused_span_leaves_promoted_columns_alone),
        cmocka_unit_test(many_values_that_repeat_are_what_they_were),
        cmocka_unit_test(a_value_looked_up_late_is_in_its_row),
        cmocka_unit_test(promoted_values_are_in_their_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
