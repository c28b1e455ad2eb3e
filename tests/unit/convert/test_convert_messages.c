// Messages of streams, requests and JSON documents, from bytes that come in pieces.
#include "cmocka_all.h"
#include "convert/convert_internal.h"
#include <stdio.h>
#include <unistd.h>

static void a_document_ends_where_its_braces_close(void **state)
{
    (void)state;
    static const char text[] = "{\"a\":\"}\\\"]{\\\\\",\"b\":[1,{\"c\":\"\\u007d\"}],\"d\":{},"
                               "\"long\":\"}}}} sixteen bytes "
                               "and \t more }}} \xC3\xA9 \\\"}}}}}}}}}}}}}}}}}}}}\\\\\"} {\"e\":1}";
    const size_t whole = (size_t)(strstr(text, " {\"e") - text);
    for (size_t first = 0; first <= whole; first++) {
        struct oto_convert_json_end end = {.at = 0};
        int ended = oto_convert_json_end(&end, oto_bytes(text, first));
        assert_int_equal(ended, first == whole);
        if (!ended)
            assert_int_equal(oto_convert_json_end(&end, oto_bytes(text, sizeof text - 1)), 1);
        assert_int_equal(end.at, whole);
    }
}

// An input that gives these bytes, through a pipe when there are few.
static struct oto_input input_of(const void *data, size_t size)
{
    struct oto_input input;
    int ends[2];
    assert_true(size < 60000 && pipe(ends) == 0);
    assert_int_equal(write(ends[1], data, size), size);
    close(ends[1]);
    input = (struct oto_input){.fd = ends[0], .is_owned = 1, .name = "pipe"};
    return input;
}

static struct oto_convert_result result;
static struct oto_convert_options options;
static struct oto_convert convert;

static void prepare(enum oto_convert_format from)
{
    options = (struct oto_convert_options){.from = from, .signal = OTO_SIGNAL_LOGS};
    convert =
        (struct oto_convert){.options = &options, .result = &result, .signal = OTO_SIGNAL_LOGS};
    convert.codec = oto_codec_new(&oto_allocator_heap);
}

// The messages joined by '|', or what is wrong.
static const char *messages_of(const void *data, size_t size)
{
    static char text[4096];
    struct oto_convert_messages m;
    struct oto_error err;
    struct oto_bytes message;
    size_t at = 0;
    oto_error_init(&err);
    enum oto_status status = oto_convert_messages_open(&m, &convert, input_of(data, size), &err);
    while (status == OTO_OK && (status = oto_convert_messages_next(&m, &message, &err)) == OTO_OK) {
        assert_true(at + message.size + 1 < sizeof text);
        if (message.size)
            memcpy(text + at, message.data, message.size);
        at += message.size;
        text[at++] = '|';
    }
    text[at] = 0;
    if (status < 0)
        (void)snprintf(text, sizeof text, "%s", err.message);
    oto_convert_messages_close(&m);
    oto_codec_free(convert.codec);
    return text;
}

static void the_first_byte_tells_a_stream_from_a_request(void **state)
{
    (void)state;
    prepare(OTO_CONVERT_OTLP);
    assert_string_equal(messages_of("\0\0\0\2ab\0\0\0\0\0\0\0\1c", 15), "ab||c|");
    prepare(OTO_CONVERT_OTLP);
    assert_string_equal(messages_of("\n\2ab\n\1c\x12\1z", 10), "\n\2ab|\n\1c|\x12\1z|");
    prepare(OTO_CONVERT_OTLP);
    assert_string_equal(messages_of("", 0), "");
    prepare(OTO_CONVERT_OTLP); // cut short: the decoder says so
    assert_string_equal(messages_of("\n\2ab\n\5c", 7), "\n\2ab|\n\5c|");
    prepare(OTO_CONVERT_OTLP);
    options.read_framing = OTO_CONVERT_STREAM; // a length of 0x0A……: not with so few bytes
    assert_non_null(strstr(messages_of("\n\2ab\n\1c", 7), "message 1 at byte 0: the stream ends"));
    prepare(OTO_CONVERT_OTLP);
    options.read_framing = OTO_CONVERT_REQUEST; // no field has the number 0
    assert_string_equal(messages_of("\1\2", 2), "\1\2|");
}

static void documents_stand_behind_each_other(void **state)
{
    (void)state;
    static const char text[] = "\n {\"resourceLogs\":[]}\r\n{\"resourceLogs\":\n[]\n}{}  ";
    prepare(OTO_CONVERT_OTLP_JSON);
    assert_string_equal(messages_of(text, sizeof text - 1), "|||");
    prepare(OTO_CONVERT_OTLP_JSON);
    assert_string_equal(messages_of("{}\n  7", 6),
                        "message 2 at byte 5: line 2, column 3: not an object");
    prepare(OTO_CONVERT_OTLP_JSON);
    assert_string_equal(messages_of("{}\n{\"a\":\n 01}", 13),
                        "message 2 at byte 3: line 3, column 2: malformed number");
}

// What stands behind an empty message says nothing of it.
static void an_empty_message_has_no_signal(void **state)
{
    (void)state;
    static const char text[] = "\0\0\0\0?\"resourceSpans\" and so on, for as long as a length";
    prepare(OTO_CONVERT_OTLP_JSON);
    assert_string_equal(messages_of(text, sizeof text - 1),
                        "message 1 at byte 0: line 1, column 1: not an object");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_document_ends_where_its_braces_close),
        cmocka_unit_test(the_first_byte_tells_a_stream_from_a_request),
        cmocka_unit_test(documents_stand_behind_each_other),
        cmocka_unit_test(an_empty_message_has_no_signal),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
