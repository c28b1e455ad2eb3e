// Malformed requests: where they are wrong is told, and they leave no trace; neither does a lack of
// memory.
#include "otlp_segment.h"

static void errors_tell_the_place(void **state)
{
    (void)state;
    struct segment s;
    segment_open(&s, NULL, 0);
    message_begin();
    open_(1), open_(2), open_(2), close_(1);
    open_(2), attribute(6, "k", "v");
    open_(6), put_uint(1, 5), close_(1); // key as a number
    close_(3);
    assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()), OTO_INVALID);
    assert_string_equal(
        s.err.message,
        "resource_logs[0].scope_logs[0].log_records[1].attributes[1]: wrong wire type");
    assert_true(s.err.offset != OTO_OFFSET_NONE && s.err.offset < message().size);
    message_begin();
    open_(1), open_(1), put_uint(1, 1), close_(1), open_(2), metric_open("m"), open_(5), open_(1),
        close_(5);
    assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_INVALID);
    assert_string_equal(s.err.message, "resource_metrics[0].resource: wrong wire type");
    message_begin();
    open_(1), open_(2), metric_open("m"), open_(5), open_(1), put_uint(7, 1), close_(5);
    assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_INVALID);
    assert_string_equal(
        s.err.message,
        "resource_metrics[0].scope_metrics[0].metrics[0].gauge.data_points[0]: wrong wire type");
    check_builders(&s);
    segment_close(&s);
}

static void values_may_nest_only_so_deep(void **state)
{
    (void)state;
    for (uint32_t levels = 99; levels <= 100; levels++) {
        struct segment s;
        struct oto_buffer inner, outer;
        segment_open(&s, NULL, 0);
        message_begin();
        oto_buffer_init(&inner, &oto_allocator_heap, 1u << 20);
        oto_buffer_init(&outer, &oto_allocator_heap, 1u << 20);
        for (uint32_t i = 0; i < levels; i++) { // AnyValue{5: ArrayValue{1: inner}}
            out.size = outer.size = 0;
            assert_int_equal(oto_pb_write_bytes(&outer, 1, oto_buffer_view(&inner)), OTO_OK);
            assert_int_equal(oto_pb_write_bytes(&out, 5, oto_buffer_view(&outer)), OTO_OK);
            inner.size = 0;
            assert_int_equal(oto_buffer_append(&inner, out.data, out.size), OTO_OK);
        }
        out.size = 0;
        open_(1), open_(2), open_(2), put_bytes(5, inner.data, inner.size), close_(3);
        assert_int_equal(decode(&s, OTO_SIGNAL_LOGS, message()),
                         levels == 99 ? OTO_OK : OTO_INVALID);
        oto_buffer_release(&inner);
        oto_buffer_release(&outer);
        segment_close(&s);
    }
}

static uint64_t fingerprint(const struct segment *s)
{
    uint64_t sum = 0;
    uint32_t mark[4096];
    for (int i = 0; i < OTO_SIGNAL_COUNT; i++) {
        size_t size = oto_otlp_mark_size(s->decoder, (enum oto_signal)i);
        assert_true(size <= sizeof mark);
        oto_otlp_mark(s->decoder, (enum oto_signal)i, mark);
        for (size_t k = 0; k < size / 4; k++)
            sum = sum * 1000003 + mark[k];
    }
    return sum;
}

// Each prefix of a full request is malformed, or a request with fewer rows; what fails leaves the
// builders as they were, and what comes after a failure is stored as ever.
static void truncated_requests_leave_no_trace(void **state)
{
    (void)state;
    static void (*const makers[])(void) = {log_full, span_full, metrics_full};
    for (int signal = 0; signal < OTO_SIGNAL_COUNT; signal++) {
        struct segment s;
        segment_open(&s, NULL, 0);
        makers[signal]();
        uint8_t *copy = malloc(message().size);
        memcpy(copy, message().data, message().size);
        size_t size = message().size, failures = 0;
        for (size_t cut = 0; cut < size; cut++) {
            uint8_t *exact = malloc(cut + !cut); // so that a sanitizer sees a read past its end
            memcpy(exact, copy, cut);
            uint64_t before = fingerprint(&s);
            if (decode(&s, (enum oto_signal)signal, oto_bytes(exact, cut)) != OTO_OK) {
                assert_true(fingerprint(&s) == before);
                failures++;
            }
            free(exact);
            check_builders(&s);
        }
        assert_true(failures >= size - 2);
        assert_int_equal(decode(&s, (enum oto_signal)signal, oto_bytes(copy, size)), OTO_OK);
        check_builders(&s);
        check_groups(&s, signal == 2 ? OTO_TABLE_SUM : (enum oto_table)signal);
        free(copy);
        segment_close(&s);
    }
}

static void mutated_requests_break_nothing(void **state)
{
    (void)state;
    static void (*const makers[])(void) = {log_full, span_full, metrics_full};
    uint32_t random = 2463534242u;
    for (int signal = 0; signal < OTO_SIGNAL_COUNT; signal++) {
        struct segment s;
        segment_open(&s, NULL, 0);
        makers[signal]();
        size_t size = message().size;
        for (int round = 0; round < 3000; round++) {
            uint8_t *copy = malloc(size);
            memcpy(copy, message().data, size);
            for (int i = 0; i <= round % 4; i++) {
                random ^= random << 13, random ^= random >> 17, random ^= random << 5;
                copy[random % size] = (uint8_t)(random >> 24);
            }
            uint64_t before = fingerprint(&s);
            if (decode(&s, (enum oto_signal)signal, oto_bytes(copy, size)) != OTO_OK)
                assert_true(fingerprint(&s) == before);
            free(copy);
            if (round % 100 == 0)
                check_builders(&s);
        }
        check_builders(&s);
        segment_close(&s);
    }
}

// An allocator that fails at the n-th call.
struct failing {
    int left;
};
static void *failing_alloc(void *state, size_t size)
{
    struct failing *f = state;
    return f->left-- > 0 ? malloc(size) : NULL;
}
static void *failing_resize(void *state, void *block, size_t old_size, size_t size)
{
    struct failing *f = state;
    (void)old_size;
    return f->left-- > 0 ? realloc(block, size) : NULL;
}
static void failing_free(void *state, void *block, size_t size)
{
    (void)state, (void)size;
    free(block);
}

static void no_memory_leaves_no_trace(void **state)
{
    (void)state;
    int done = 0;
    for (int n = 0; !done; n++) {
        struct failing failing = {1 << 20};
        struct oto_allocator allocator = {failing_alloc, failing_resize, failing_free, &failing};
        struct segment s;
        struct oto_builder *list[OTO_TABLE_COUNT];
        segment_open(&s, NULL, 0);
        for (int t = 0; t < OTO_TABLE_COUNT; t++)
            list[t] = &s.builders[t];
        failing.left = n;
        struct oto_otlp_decoder *d = oto_otlp_decoder_new(&allocator, s.schemas, list);
        if (d) {
            oto_otlp_decoder_free(s.decoder);
            s.decoder = d;
            metrics_full();
            uint64_t before = fingerprint(&s);
            enum oto_status status = decode(&s, OTO_SIGNAL_METRICS, message());
            assert_true(status == OTO_OK || status == OTO_NO_MEMORY);
            if (status != OTO_OK)
                assert_true(fingerprint(&s) == before);
            failing.left = 1 << 20;
            assert_int_equal(decode(&s, OTO_SIGNAL_METRICS, message()), OTO_OK);
            check_builders(&s);
            done = status == OTO_OK;
        }
        segment_close(&s);
    }
}

// A span with an attribute for each letter, whose value is that and more, with sizes of one byte as
// all senders write them.
static void span_of_keys(const char *keys)
{
    message_begin();
    open_(1), open_(2), span_open(trace_id, 16, span_id, 8);
    for (; *keys; keys++) {
        char pair[] = "\x0A\x01?\x12\x08\x0A\x06?value";
        pair[2] = pair[7] = *keys;
        put_bytes(9, pair, sizeof pair - 1);
    }
    close_(3);
}

// Keys are remembered 16 at first; where there was no memory for more, the one that is not
// remembered is no guess for the requests that follow.
static void a_key_that_is_not_remembered_is_not_guessed(void **state)
{
    (void)state;
    static const char first[] = "abcdefghijklmnop", *const more[] = {"pq", "q"};
    for (int i = 0; i < 2; i++) {
        int done = 0;
        for (int n = 0; !done; n++) {
            struct failing failing = {1 << 20};
            struct oto_allocator allocator = {failing_alloc, failing_resize, failing_free,
                                              &failing};
            struct segment s;
            struct oto_builder *list[OTO_TABLE_COUNT];
            segment_open(&s, NULL, 0);
            for (int t = 0; t < OTO_TABLE_COUNT; t++)
                list[t] = &s.builders[t];
            oto_otlp_decoder_free(s.decoder);
            s.decoder = oto_otlp_decoder_new(&allocator, s.schemas, list);
            assert_non_null(s.decoder);
            span_of_keys(first);
            assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, message()), OTO_OK);
            span_of_keys(more[i]);
            failing.left = n;
            done = decode(&s, OTO_SIGNAL_TRACES, message()) == OTO_OK;
            assert_true(n > 0 || !done);
            failing.left = 1 << 20;
            span_of_keys("pa");
            assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, message()), OTO_OK);
            assert_string_equal(map(column(&s, OTO_TABLE_TRACES, "SpanAttributes"), done ? 2 : 1),
                                "p=pvalue,a=avalue");
            check_builders(&s);
            segment_close(&s);
        }
    }
}

static void a_rolled_back_request_can_come_again(void **state)
{
    (void)state;
    struct segment s;
    uint32_t mark[1024];
    segment_open(&s, NULL, 0);
    assert_true(oto_otlp_mark_size(s.decoder, OTO_SIGNAL_TRACES) <= sizeof mark);
    oto_otlp_mark(s.decoder, OTO_SIGNAL_TRACES, mark);
    for (int i = 0; i < 3; i++) {
        span_full();
        assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, message()), OTO_OK);
        if (i == 2)
            break;
        oto_otlp_rollback(s.decoder, OTO_SIGNAL_TRACES, mark);
        assert_int_equal(s.builders[OTO_TABLE_TRACES].levels[0].count, 0);
        // Other keys take the same codes.
        message_begin();
        open_(1), open_(2), span_open(trace_id, 16, span_id, 8), attribute(9, "http.route", "q"),
            close_(3);
        assert_int_equal(decode(&s, OTO_SIGNAL_TRACES, message()), OTO_OK);
        assert_string_equal(text(column(&s, OTO_TABLE_TRACES, "HttpRoute"), 0), "q");
        oto_otlp_rollback(s.decoder, OTO_SIGNAL_TRACES, mark);
    }
    check_builders(&s);
    check_groups(&s, OTO_TABLE_TRACES);
    assert_string_equal(text(column(&s, OTO_TABLE_TRACES, "HttpRoute"), 0), "/x");
    assert_string_equal(map(column(&s, OTO_TABLE_TRACES, "SpanAttributes"), 0),
                        "http.route=/x,http.response.status_code=404");
    segment_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_tell_the_place),
        cmocka_unit_test(values_may_nest_only_so_deep),
        cmocka_unit_test(truncated_requests_leave_no_trace),
        cmocka_unit_test(mutated_requests_break_nothing),
        cmocka_unit_test(no_memory_leaves_no_trace),
        cmocka_unit_test(a_key_that_is_not_remembered_is_not_guessed),
        cmocka_unit_test(a_rolled_back_request_can_come_again),
    };
    return cmocka_run_group_tests(tests, NULL, release_out);
}
