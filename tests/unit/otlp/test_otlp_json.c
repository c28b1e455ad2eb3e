#include "otlp/otlp_json.h"
#include "otlp/otlp_schema.h"
#include "wire/protobuf.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

// Converts text in memory of its own size, so that a sanitizer sees a read past its end.
static enum oto_status convert(enum oto_signal signal, struct oto_bytes text,
                               struct oto_buffer *output, struct oto_error *err)
{
    uint8_t *copy = malloc(text.size ? text.size : 1);
    assert_non_null(copy);
    memcpy(copy, text.data, text.size);
    oto_error_init(err);
    enum oto_status status =
        oto_otlp_json_to_protobuf(signal, oto_bytes(copy, text.size), NULL, output, err);
    free(copy);
    return status;
}

// The JSON that our own writer makes of what was read: for rules that the official runtime has
// otherwise.
static void assert_reads_as(enum oto_signal signal, const char *json, const char *expected)
{
    struct oto_buffer protobuf, back;
    struct oto_error err;
    oto_buffer_init(&protobuf, &oto_allocator_heap, 1 << 20);
    oto_buffer_init(&back, &oto_allocator_heap, 1 << 20);
    if (convert(signal, oto_bytes_text(json), &protobuf, &err) != OTO_OK)
        fail_msg("%s: %s", json, err.message);
    assert_int_equal(oto_otlp_protobuf_to_json(signal, oto_buffer_view(&protobuf), &back, &err),
                     OTO_OK);
    assert_int_equal(oto_buffer_append_byte(&back, 0), OTO_OK);
    assert_string_equal((const char *)back.data, expected);
    oto_buffer_release(&protobuf);
    oto_buffer_release(&back);
}

static void assert_refused(enum oto_signal signal, const char *json, const char *message)
{
    struct oto_buffer output;
    struct oto_error err;
    oto_buffer_init(&output, &oto_allocator_heap, 1 << 20);
    assert_int_equal(oto_buffer_append(&output, "kept", 4), OTO_OK);
    enum oto_status status = convert(signal, oto_bytes_text(json), &output, &err);
    if (status >= 0)
        fail_msg("accepted: %s", json);
    assert_string_equal(err.message, message);
    assert_int_equal(err.status, status);
    assert_true(oto_bytes_equal_text(oto_buffer_view(&output), "kept"));
    oto_buffer_release(&output);
}

#define RECORD(members) "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{" members "}]}]}]}"
#define SPAN(members) "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{" members "}]}]}]}"
#define METRIC(members) "{\"resourceMetrics\":[{\"scopeMetrics\":[{\"metrics\":[{" members "}]}]}]}"
#define AT_RECORD "resourceLogs[0].scopeLogs[0].logRecords[0]"
#define AT_SPAN "resourceSpans[0].scopeSpans[0].spans[0]"

static void test_error_names_the_field_and_the_place(void **state)
{
    (void)state;
    struct oto_buffer output;
    struct oto_error err;
    oto_buffer_init(&output, &oto_allocator_heap, 1 << 20);
    const char *json = "{\"resourceLogs\":[\n {\"scopeLogs\":[{},{},{\"logRecords\":[{},\n"
                       "  {\"zzz\":[[]],\"timeUnixNano\": \"soon\"}]}]}]}";
    assert_int_equal(convert(OTO_SIGNAL_LOGS, oto_bytes_text(json), &output, &err), OTO_INVALID);
    assert_string_equal(err.message,
                        "resourceLogs[0].scopeLogs[2].logRecords[1].timeUnixNano: not an integer");
    assert_int_equal(err.offset, (uint64_t)(strstr(json, "\"soon\"") - json));
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 31);
    oto_buffer_release(&output);
    assert_refused(
        OTO_SIGNAL_METRICS,
        METRIC("\"histogram\":{\"dataPoints\":[{},{\"bucketCounts\":[\"1\",2,-3]}]}"),
        "resourceMetrics[0].scopeMetrics[0].metrics[0].histogram.dataPoints[1].bucketCounts[2]: "
        "out of range");
    assert_refused(OTO_SIGNAL_LOGS,
                   "{\"resourceLogs\":[{\"resource\":{\"entityRefs\":[{\"idKeys\":[\"a\",7]}]}}]}",
                   "resourceLogs[0].resource.entityRefs[0].idKeys[1]: not a string");
    assert_refused(OTO_SIGNAL_LOGS, "{\"resourceLogs\":[{}", "resourceLogs[1]: ends too early");
    assert_refused(OTO_SIGNAL_LOGS, "", "not an object");
    assert_refused(OTO_SIGNAL_LOGS, "[]", "not an object");
    assert_refused(OTO_SIGNAL_LOGS, "{} {}", "more after the end of the document");
    assert_refused(OTO_SIGNAL_LOGS, "\xEF\xBB\xBF{}", "starts with a byte order mark");
}

static void test_names_are_camel_case_and_may_be_escaped(void **state)
{
    (void)state;
    assert_reads_as(
        OTO_SIGNAL_LOGS,
        RECORD("\"trace_id\":5,\"TraceId\":{},\"event_name\":\"x\",\"event\\u004eame\":\"y\""),
        RECORD("\"eventName\":\"y\""));
    assert_reads_as(OTO_SIGNAL_LOGS, RECORD("\"eventNam\":\"x\",\"eventNames\":\"x\",\"\":1"),
                    RECORD(""));
}

static void test_unknown_fields_are_checked_and_ignored(void **state)
{
    (void)state;
    assert_reads_as(OTO_SIGNAL_LOGS,
                    "{\"a\":{\"b\":[1e999,{\"c\":null}]},\"resourceLogs\":[],\"a\":1}", "{}");
    assert_refused(OTO_SIGNAL_LOGS, "{\"a\":[01]}", "malformed number");
    assert_refused(OTO_SIGNAL_LOGS, "{\"a\":\"\xFF\"}", "not valid UTF-8");
}

static void test_duplicates(void **state)
{
    (void)state;
    assert_reads_as(OTO_SIGNAL_LOGS, RECORD("\"flags\":1,\"flags\":2"), RECORD("\"flags\":2"));
    assert_reads_as(OTO_SIGNAL_LOGS, RECORD("\"flags\":1,\"flags\":0"), RECORD(""));
    assert_reads_as(OTO_SIGNAL_LOGS, RECORD("\"flags\":1,\"flags\":null"), RECORD(""));
    assert_reads_as(OTO_SIGNAL_LOGS, RECORD("\"eventName\":\"a\",\"eventName\":null"), RECORD(""));
    assert_reads_as(OTO_SIGNAL_LOGS, RECORD("\"timeUnixNano\":9,\"timeUnixNano\":null"),
                    RECORD(""));
    assert_refused(OTO_SIGNAL_LOGS, RECORD("\"attributes\":[],\"attributes\":[]"),
                   AT_RECORD ".attributes: given twice");
    assert_refused(OTO_SIGNAL_LOGS, RECORD("\"body\":null,\"body\":{}"),
                   AT_RECORD ".body: given twice");
    assert_refused(OTO_SIGNAL_LOGS, RECORD("\"body\":{\"intValue\":1,\"intValue\":1}"),
                   AT_RECORD ".body.intValue: given twice");
    assert_refused(OTO_SIGNAL_LOGS, RECORD("\"body\":{\"intValue\":1,\"stringValue\":\"\"}"),
                   AT_RECORD ".body.stringValue: another member of its oneof is given too");
    assert_reads_as(OTO_SIGNAL_LOGS, RECORD("\"body\":{\"intValue\":null,\"stringValue\":\"\"}"),
                    RECORD("\"body\":{\"stringValue\":\"\"}"));
}

static void test_any_value_forms(void **state)
{
    (void)state;
    assert_reads_as(OTO_SIGNAL_LOGS, RECORD("\"body\":{}"), RECORD("\"body\":{}"));
    assert_reads_as(OTO_SIGNAL_LOGS, RECORD("\"body\":null"), RECORD(""));
    assert_reads_as(OTO_SIGNAL_LOGS,
                    RECORD("\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":{"
                           "\"arrayValue\":{\"values\":[{},"
                           "{\"boolValue\":false},{\"doubleValue\":\"-Infinity\"},{\"bytesValue\":"
                           "\"_-8\"}]}}}]}}"),
                    RECORD("\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":{"
                           "\"arrayValue\":{\"values\":[{},"
                           "{\"boolValue\":false},{\"doubleValue\":\"-Infinity\"},{\"bytesValue\":"
                           "\"/+8=\"}]}}}]}}"));
    assert_reads_as(OTO_SIGNAL_LOGS, RECORD("\"body\":{\"bytesValue\":\"\\/\\/79\"}"),
                    RECORD("\"body\":{\"bytesValue\":\"//79\"}"));
    assert_refused(OTO_SIGNAL_LOGS, RECORD("\"body\":{\"arrayValue\":{\"values\":[{},null]}}"),
                   AT_RECORD ".body.arrayValue.values[1]: null in an array");
    assert_refused(OTO_SIGNAL_LOGS, RECORD("\"body\":\"text\""), AT_RECORD ".body: not an object");
    assert_refused(OTO_SIGNAL_LOGS, RECORD("\"body\":{\"bytesValue\":\"%%%%\"}"),
                   AT_RECORD ".body.bytesValue: not base64");
}

static void test_ids_are_hex_of_any_case(void **state)
{
    (void)state;
    assert_reads_as(OTO_SIGNAL_TRACES,
                    SPAN("\"traceId\":\"5B8aa5a2D2c872e8321cf37308d69df2\",\"spanId\":\"\\u0030a\","
                         "\"parentSpanId\":\"\""),
                    SPAN("\"traceId\":\"5b8aa5a2d2c872e8321cf37308d69df2\",\"spanId\":\"0a\""));
    assert_refused(OTO_SIGNAL_TRACES, SPAN("\"traceId\":\"W47/95gDgQPSabYzgT/GDA==\""),
                   AT_SPAN ".traceId: not hexadecimal");
    assert_refused(OTO_SIGNAL_TRACES, SPAN("\"traceId\":\"abc\""),
                   AT_SPAN ".traceId: not hexadecimal");
    assert_refused(OTO_SIGNAL_TRACES, SPAN("\"traceId\":\"0x12\""),
                   AT_SPAN ".traceId: not hexadecimal");
    assert_refused(OTO_SIGNAL_TRACES, SPAN("\"traceId\":\" 12 \""),
                   AT_SPAN ".traceId: not hexadecimal");
}

static void test_numbers_and_enums(void **state)
{
    (void)state;
    assert_reads_as(
        OTO_SIGNAL_TRACES,
        SPAN(
            "\"kind\":\"SPAN_KIND_CLIENT\",\"status\":{\"code\":\"2\"},\"startTimeUnixNano\":1.5e1,"
            "\"endTimeUnixNano\":\"18446744073709551615\",\"droppedLinksCount\":\"\\u0037\""),
        SPAN("\"kind\":3,\"startTimeUnixNano\":\"15\",\"endTimeUnixNano\":\"18446744073709551615\","
             "\"droppedLinksCount\":7,\"status\":{\"code\":2}"));
    assert_reads_as(OTO_SIGNAL_TRACES, SPAN("\"kind\":-77"), SPAN("\"kind\":-77"));
    assert_refused(OTO_SIGNAL_TRACES, SPAN("\"kind\":\"CLIENT\""),
                   AT_SPAN ".kind: unknown enum name");
    assert_refused(OTO_SIGNAL_TRACES, SPAN("\"kind\":2147483648"), AT_SPAN ".kind: out of range");
    assert_refused(OTO_SIGNAL_TRACES, SPAN("\"kind\":1.5"), AT_SPAN ".kind: not an integer");
    assert_refused(OTO_SIGNAL_TRACES, SPAN("\"flags\":4294967296"), AT_SPAN ".flags: out of range");
    assert_refused(OTO_SIGNAL_TRACES, SPAN("\"endTimeUnixNano\":18446744073709551616"),
                   AT_SPAN ".endTimeUnixNano: out of range");
    assert_refused(OTO_SIGNAL_LOGS, RECORD("\"body\":{\"doubleValue\":1e400}"),
                   AT_RECORD ".body.doubleValue: out of range");
    assert_refused(OTO_SIGNAL_LOGS, RECORD("\"body\":{\"doubleValue\":\"inf\"}"),
                   AT_RECORD ".body.doubleValue: not a number");
    assert_reads_as(
        OTO_SIGNAL_METRICS,
        METRIC("\"exponentialHistogram\":{\"dataPoints\":[{\"scale\":-2147483648,\"sum\":0,"
               "\"positive\":{\"offset\":2147483647,\"bucketCounts\":[]}}]}"),
        METRIC("\"exponentialHistogram\":{\"dataPoints\":[{\"sum\":0,\"scale\":-2147483648,"
               "\"positive\":{\"offset\":2147483647}}]}"));
}

static void test_strings_with_escapes(void **state)
{
    (void)state;
    assert_reads_as(OTO_SIGNAL_LOGS, RECORD("\"eventName\":\"\\ud834\\udd1e\\ud834\\u0000\\/\""),
                    RECORD("\"eventName\":\"\xF0\x9D\x84\x9E\xEF\xBF\xBD\\u0000/\""));
}

// Every byte at every place of a number that is read eight digits at once.
static void test_long_numbers_have_digits_only(void **state)
{
    (void)state;
    struct oto_buffer output;
    struct oto_error err;
    oto_buffer_init(&output, &oto_allocator_heap, 1 << 20);
    for (size_t place = 0; place < 17; place++) {
        for (int byte = ' '; byte < 0x7F; byte++) {
            char json[] = RECORD("\"timeUnixNano\":\"11111111111111111\"");
            char *digits = strstr(json, "1111");
            digits[place] = (char)byte;
            int legal = byte >= (place == 0 ? '1' : '0') && byte <= '9';
            if (byte == '"' || byte == '\\' || byte == '.' || (byte | 0x20) == 'e')
                continue; // other rules
            enum oto_status status = convert(OTO_SIGNAL_LOGS, oto_bytes_text(json), &output, &err);
            assert_int_equal(status, legal ? OTO_OK : OTO_INVALID);
            output.size = 0;
        }
    }
    oto_buffer_release(&output);
}

static void test_strings_of_every_length(void **state)
{
    (void)state;
    for (size_t size = 0; size < 100; size++) {
        char json[512], text[128];
        for (size_t i = 0; i < size; i++)
            text[i] = (char)('a' + i % 26);
        text[size] = 0;
        snprintf(json, sizeof json, RECORD("\"eventName\":\"x%s\""), text);
        assert_reads_as(OTO_SIGNAL_LOGS, json, json);
    }
}

// Documents as senders write them, with all that has a way of its own.
static const char usual_logs[] =
    "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"
    "\"stringValue\":\"shop\"}}]},\"scopeLogs\":[{\"scope\":{\"name\":\"s\",\"version\":\"1.4.2\"},"
    "\"logRecords\":[{\"timeUnixNano\":\"1767261600170979294\",\"severityNumber\":9,"
    "\"severityText\":\"INFO\",\"body\":{\"stringValue\":\"job 1610110 accepted\"},\"attributes\":["
    "{\"key\":\"s\",\"value\":{\"stringValue\":\"checkSession\"}},"
    "{\"key\":\"i\",\"value\":{\"intValue\":\"-14\"}},{\"key\":\"j\",\"value\":{\"intValue\":7}},"
    "{\"key\":\"d\",\"value\":{\"doubleValue\":-12.0625}},"
    "{\"key\":\"t\",\"value\":{\"boolValue\":true}},{\"key\":\"f\",\"value\":{\"boolValue\":false}}"
    ","
    "{\"key\":\"a\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"},{\"stringValue\":"
    "\"x\"}]}}},{\"key\":\"last\",\"value\":{\"stringValue\":\"\"}}],\"flags\":1,"
    "\"traceId\":\"fcf214a970002a878f327e4aa6771121\",\"spanId\":\"546205e620536cb0\","
    "\"observedTimeUnixNano\":\"1767261600170984449\"}]}]}]";

// The JSON that comes back from a document, whose last brace is left out; far from its end, with
// text behind it, and near to it.
static void back_from(const char *document, size_t size, int far, struct oto_buffer *back)
{
    static const char behind[] = ",\"unknown\":\"far more bytes than any value would like to look "
                                 "ahead, however it is read and written\",\"more\":[1,2,3]}";
    struct oto_buffer text, protobuf;
    struct oto_error err;
    oto_buffer_init(&text, &oto_allocator_heap, 1 << 20);
    oto_buffer_init(&protobuf, &oto_allocator_heap, 1 << 20);
    assert_int_equal(oto_buffer_append(&text, document, size), OTO_OK);
    assert_int_equal(oto_buffer_append(&text, far ? behind : "}", far ? sizeof behind - 1 : 1),
                     OTO_OK);
    if (convert(OTO_SIGNAL_LOGS, oto_buffer_view(&text), &protobuf, &err) != OTO_OK)
        fail_msg("%.*s: %s", (int)text.size, (const char *)text.data, err.message);
    assert_int_equal(
        oto_otlp_protobuf_to_json(OTO_SIGNAL_LOGS, oto_buffer_view(&protobuf), back, &err), OTO_OK);
    oto_buffer_release(&text);
    oto_buffer_release(&protobuf);
}

// A space at each place between two words of JSON takes the document off one fast way or another.
static void test_spaces_change_nothing(void **state)
{
    (void)state;
    struct oto_buffer plain, spaced;
    char text[sizeof usual_logs + 1];
    size_t size = sizeof usual_logs - 1;
    oto_buffer_init(&plain, &oto_allocator_heap, 1 << 20);
    oto_buffer_init(&spaced, &oto_allocator_heap, 1 << 20);
    back_from(usual_logs, size, 1, &plain);
    int in_string = 0, spaces = 0;
    for (size_t at = 0; at < size; at++) {
        in_string ^= usual_logs[at] == '"';
        if (in_string || !strchr("{}[],:\"", usual_logs[at]))
            continue;
        memcpy(text, usual_logs, at + 1);
        text[at + 1] = " \n\r\t"[spaces++ % 4];
        memcpy(text + at + 2, usual_logs + at + 1, size - at - 1);
        for (int far = 0; far < 2; far++) {
            spaced.size = 0;
            back_from(text, size + 1, far, &spaced);
            assert_true(oto_bytes_equal(oto_buffer_view(&plain), oto_buffer_view(&spaced)));
        }
    }
    assert_true(spaces > 100);
    oto_buffer_release(&plain);
    oto_buffer_release(&spaced);
}

// Each byte, for each other one that JSON knows: accepted or refused alike, near to the document's
// end, where all is read strictly, and far from it.
static void test_fast_and_strict_ways_agree(void **state)
{
    (void)state;
    static const char others[] = "\"\\{}[],: 0a9-.en\x01\xC3";
    static const char behind[] =
        "                                                                                "
        "                                                                                ";
    char text[sizeof usual_logs + sizeof behind];
    size_t size = sizeof usual_logs - 1;
    struct oto_buffer near_end, far;
    struct oto_error near_err, far_err;
    oto_buffer_init(&near_end, &oto_allocator_heap, 1 << 20);
    oto_buffer_init(&far, &oto_allocator_heap, 1 << 20);
    for (size_t at = 0; at < size; at++) {
        for (size_t i = 0; i < sizeof others - 1; i++) {
            memcpy(text, usual_logs, size);
            text[at] = others[i];
            text[size] = '}';
            memcpy(text + size + 1, behind, sizeof behind - 1);
            near_end.size = far.size = 0;
            enum oto_status one =
                convert(OTO_SIGNAL_LOGS, oto_bytes(text, size + 1), &near_end, &near_err);
            enum oto_status other =
                convert(OTO_SIGNAL_LOGS, oto_bytes(text, size + sizeof behind), &far, &far_err);
            assert_int_equal(one, other);
            assert_true(oto_bytes_equal(oto_buffer_view(&near_end), oto_buffer_view(&far)));
            if (one < 0)
                assert_string_equal(near_err.message, far_err.message);
        }
    }
    oto_buffer_release(&near_end);
    oto_buffer_release(&far);
}

// Keys and values of all sizes about those where a length takes one byte more, or another way.
static void test_attributes_of_every_size(void **state)
{
    (void)state;
    struct oto_buffer back;
    char document[1024], letters[301];
    for (size_t i = 0; i < sizeof letters; i++)
        letters[i] = (char)('a' + i % 26);
    oto_buffer_init(&back, &oto_allocator_heap, 1 << 20);
    for (int key = 0; key < 80; key += key < 60 ? 13 : 1) {
        for (int value = 0; value<300; value += value> 20 && value < 100 ? 5 : 1) {
            int size = snprintf(document, sizeof document,
                                "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{%s\"value\":{"
                                "\"stringValue\":\"%.*s\"}}]}}]",
                                key ? "" : "\"key\":\"\",", value, letters);
            if (key)
                size =
                    snprintf(document, sizeof document,
                             "{\"resourceLogs\":[{\"resource\":{\"attributes\":[{\"key\":\"%.*s\","
                             "\"value\":{\"stringValue\":\"%.*s\"}}]}}]",
                             key, letters, value, letters);
            back.size = 0;
            back_from(document, (size_t)size, 1, &back);
            if (!key) // a default value, which is not written
                continue;
            assert_int_equal(back.size, size + 1);
            assert_memory_equal(back.data, document, (size_t)size);
        }
    }
    oto_buffer_release(&back);
}

// The least and the greatest integer of each number of digits.
static void test_integers_of_every_size(void **state)
{
    (void)state;
    char text[512];
    uint64_t power = 1;
    for (int digits = 1; digits <= 20; digits++, power *= 10) {
        for (int i = 0; i < 4; i++) {
            uint64_t value = i < 2 || digits == 20 ? power : power * 10 - 1;
            const char *sign = i % 2 && value <= INT64_MAX ? "-" : "";
            if (*sign == 0 && i % 2)
                continue;
            if (value <= INT64_MAX) {
                snprintf(text, sizeof text, RECORD("\"body\":{\"intValue\":\"%s%llu\"}"), sign,
                         (unsigned long long)value);
                assert_reads_as(OTO_SIGNAL_LOGS, text, text);
            }
            snprintf(text, sizeof text,
                     RECORD("\"timeUnixNano\":\"%llu\",\"eventName\":\"bytes that stand behind the "
                            "number, so that it is read eight digits at once\""),
                     (unsigned long long)value);
            assert_reads_as(OTO_SIGNAL_LOGS, text, text);
        }
    }
}

// A body of `levels` arrays in each other, as JSON.
static char *nested_body(size_t levels)
{
    static const char open[] = "{\"arrayValue\":{\"values\":[";
    char *text = malloc(levels * 40 + 200);
    assert_non_null(text);
    char *at = text + sprintf(text, "%s",
                              "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"body\":");
    for (size_t i = 0; i < levels; i++)
        at += sprintf(at, "%s", open);
    at += sprintf(at, "%s", "{}");
    for (size_t i = 0; i < levels; i++)
        at += sprintf(at, "%s", "]}}");
    sprintf(at, "%s", "}]}]}]}");
    return text;
}

static void test_depth_is_limited(void **state)
{
    (void)state;
    struct oto_buffer output, back;
    struct oto_error err;
    oto_buffer_init(&output, &oto_allocator_heap, 1 << 20);
    oto_buffer_init(&back, &oto_allocator_heap, 1 << 20);
    char *text = nested_body(47); // 100 messages deep: protobuf's own limit
    assert_int_equal(convert(OTO_SIGNAL_LOGS, oto_bytes_text(text), &output, &err), OTO_OK);
    assert_int_equal(
        oto_otlp_protobuf_to_json(OTO_SIGNAL_LOGS, oto_buffer_view(&output), &back, &err), OTO_OK);
    assert_true(oto_bytes_equal_text(oto_buffer_view(&back), text));
    free(text);
    text = nested_body(20000);
    assert_int_equal(convert(OTO_SIGNAL_LOGS, oto_bytes_text(text), &output, &err), OTO_INVALID);
    assert_non_null(strstr(err.message, "nested too deeply"));
    struct oto_otlp_json_limits limits = {.depth_max = 100000};
    assert_int_equal(
        oto_otlp_json_to_protobuf(OTO_SIGNAL_LOGS, oto_bytes_text(text), &limits, &output, &err),
        OTO_INVALID);
    limits.depth_max = 6;
    assert_int_equal(oto_otlp_json_to_protobuf(OTO_SIGNAL_LOGS, oto_bytes_text(RECORD("")), &limits,
                                               &output, &err),
                     OTO_INVALID);
    limits.depth_max = 7;
    assert_int_equal(oto_otlp_json_to_protobuf(OTO_SIGNAL_LOGS, oto_bytes_text(RECORD("")), &limits,
                                               &output, &err),
                     OTO_OK);
    free(text);
    oto_buffer_release(&output);
    oto_buffer_release(&back);
}

static void test_another_signal_is_unknown_or_refused(void **state)
{
    (void)state;
    static const char text[] =
        "{\"resourceLogs\":[{\"resourceSpans\":[{}]}],\"resourceSpans\":[{}]}";
    const struct oto_otlp_json_limits limits = {.one_signal = 1};
    struct oto_bytes json = oto_bytes_text(text);
    struct oto_buffer output;
    struct oto_error err;
    oto_buffer_init(&output, &oto_allocator_heap, 1 << 20);
    assert_int_equal(oto_otlp_json_to_protobuf(OTO_SIGNAL_LOGS, json, NULL, &output, &err), OTO_OK);
    assert_int_equal(oto_otlp_json_to_protobuf(OTO_SIGNAL_LOGS, json, &limits, &output, &err),
                     OTO_INVALID);
    assert_string_equal(err.message,
                        "resourceSpans: another signal's, beside the one that is read");
    assert_int_equal(err.offset, strstr(text, ",\"resourceSpans\"") + 1 - text);
    oto_buffer_release(&output);
}

static void test_documents_without_a_known_name_are_counted(void **state)
{
    (void)state;
    static const struct {
        const char *lines;
        uint64_t count;
    } rows[] = {
        {"", 0},
        {"{}", 0},
        {" { } ", 0},
        {"{\"resourceLogs\":[]}", 0},
        {"{\"a\":1,\"resourceLogs\":null}", 0},
        {"{\"resource_logs\":[]}", 1},
        {"{ \"resourceSpans\" : [{\"resourceLogs\":[]}], \"\":{} }", 1},
        {"{\"a\":1}\n{}\n{\"resourceLogs\":[{\"a\":1}]}\n{\"a\":1}", 2},
    };
    struct oto_buffer output;
    oto_buffer_init(&output, &oto_allocator_heap, 1 << 20);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        uint64_t count = 7;
        const struct oto_otlp_json_limits limits = {.ret_unread_count = &count};
        struct oto_bytes json = oto_bytes_text(rows[i].lines);
        assert_int_equal(
            oto_otlp_json_lines_to_protobuf(OTO_SIGNAL_LOGS, json, &limits, &output, NULL), OTO_OK);
        assert_int_equal(count, rows[i].count);
        if (rows[i].count > 1 || !json.size)
            continue;
        count = 7;
        assert_int_equal(oto_otlp_json_to_protobuf(OTO_SIGNAL_LOGS, json, &limits, &output, NULL),
                         OTO_OK);
        assert_int_equal(count, rows[i].count);
    }
    oto_buffer_release(&output);
}

static void test_lines(void **state)
{
    (void)state;
    struct oto_buffer output, back;
    struct oto_error err;
    oto_buffer_init(&output, &oto_allocator_heap, 1 << 20);
    oto_buffer_init(&back, &oto_allocator_heap, 1 << 20);
    struct oto_bytes good = OTO_BYTES_LITERAL("\n{\"resourceLogs\":[{\"schemaUrl\":\"a\"}]}\r\n \n"
                                              "{\"resourceLogs\":[{\"schemaUrl\":\"b\"}]}");
    assert_int_equal(oto_otlp_json_lines_to_protobuf(OTO_SIGNAL_LOGS, good, NULL, &output, &err),
                     OTO_OK);
    assert_int_equal(
        oto_otlp_protobuf_to_json(OTO_SIGNAL_LOGS, oto_buffer_view(&output), &back, &err), OTO_OK);
    assert_true(
        oto_bytes_equal_text(oto_buffer_view(&back),
                             "{\"resourceLogs\":[{\"schemaUrl\":\"a\"},{\"schemaUrl\":\"b\"}]}"));
    size_t before = output.size;
    struct oto_bytes bad =
        OTO_BYTES_LITERAL("{\"resourceLogs\":[{}]}\n\n{\"resourceLogs\":[{},7]}\n");
    assert_int_equal(oto_otlp_json_lines_to_protobuf(OTO_SIGNAL_LOGS, bad, NULL, &output, &err),
                     OTO_INVALID);
    assert_string_equal(err.message, "resourceLogs[1]: not an object");
    assert_int_equal(err.line, 3);
    assert_int_equal(err.column, 21);
    assert_int_equal(err.offset, 43);
    assert_int_equal(output.size, before);
    struct oto_bytes split = OTO_BYTES_LITERAL("{\"resourceLogs\":\n[]}");
    assert_int_equal(oto_otlp_json_lines_to_protobuf(OTO_SIGNAL_LOGS, split, NULL, &output, NULL),
                     OTO_INVALID);
    assert_int_equal(
        oto_otlp_json_lines_to_protobuf(OTO_SIGNAL_LOGS, oto_bytes(NULL, 0), NULL, &output, &err),
        OTO_OK);
    oto_buffer_release(&output);
    oto_buffer_release(&back);
}

static const char full[] =
    "{\"resourceMetrics\":[{\"resource\":{\"attributes\":[{\"key\":\"a\\u00e9\",\"value\":{"
    "\"stringValue\":\"\\n\"}}]},"
    "\"scopeMetrics\":[{\"metrics\":[{\"name\":\"m\",\"sum\":{\"dataPoints\":[{\"asInt\":\"-5\","
    "\"exemplars\":[{"
    "\"spanId\":\"0102030405060708\",\"asDouble\":1.5}]}],\"aggregationTemporality\":2,"
    "\"isMonotonic\":true}},{\"histogram\":{"
    "\"dataPoints\":[{"
    "\"bucketCounts\":[\"1\",2],\"explicitBounds\":[0.5,\"NaN\"],\"unknown\":[[{}]]}]}}]}]}]}";

static const char full_spans[] =
    "{\"resourceSpans\":[{\"schemaUrl\":\"u\",\"scopeSpans\":[{\"scope\":{\"name\":\"s\"},"
    "\"spans\":[{\"traceId\":\"0102030405060708090a0b0c0d0e0f10\",\"spanId\":\"0102030405060708\","
    "\"name\":\"n\",\"startTimeUnixNano\":\"1\",\"endTimeUnixNano\":2,\"flags\":257,"
    "\"attributes\":[{\"key\":\"k\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":\"1\"},"
    "{\"bytesValue\":\"AAE=\"},{\"boolValue\":false},{\"doubleValue\":-2e3}]}}}],"
    "\"status\":{\"code\":\"STATUS_CODE_ERROR\"},\"kind\":3}]}]}]}";

static const char full_logs[] =
    "{\"resourceLogs\":[{\"scopeLogs\":[{\"logRecords\":[{\"timeUnixNano\":\"1\","
    "\"body\":{\"kvlistValue\":{\"values\":[{\"key\":\"k\",\"value\":{}}]}},"
    "\"droppedAttributesCount\":1,\"severityText\":\"INFO\",\"severityNumber\":9}]}]}]}";

static void refuse_every_cut(enum oto_signal signal, const char *text)
{
    struct oto_buffer output;
    struct oto_error err;
    oto_buffer_init(&output, &oto_allocator_heap, 1 << 20);
    for (size_t size = 0; size < strlen(text); size++) {
        // Of its own size, so that a sanitizer sees a byte read behind it.
        uint8_t *cut = malloc(size);
        if (size)
            memcpy(cut, text, size);
        assert_int_equal(convert(signal, oto_bytes(cut, size), &output, &err), OTO_INVALID);
        assert_true(err.offset <= size);
        assert_int_equal(output.size, 0);
        free(cut);
    }
    assert_int_equal(convert(signal, oto_bytes_text(text), &output, &err), OTO_OK);
    oto_buffer_release(&output);
}

static void test_every_cut_is_refused(void **state)
{
    (void)state;
    refuse_every_cut(OTO_SIGNAL_METRICS, full);
    refuse_every_cut(OTO_SIGNAL_TRACES, full_spans);
    refuse_every_cut(OTO_SIGNAL_LOGS, full_logs);
}

static void test_output_limit_is_kept_both_ways(void **state)
{
    (void)state;
    struct oto_buffer whole, json, output;
    struct oto_error err;
    oto_buffer_init(&whole, &oto_allocator_heap, 1 << 20);
    oto_buffer_init(&json, &oto_allocator_heap, 1 << 20);
    assert_int_equal(convert(OTO_SIGNAL_METRICS, oto_bytes(full, sizeof full - 1), &whole, &err),
                     OTO_OK);
    assert_int_equal(
        oto_otlp_protobuf_to_json(OTO_SIGNAL_METRICS, oto_buffer_view(&whole), &json, &err),
        OTO_OK);
    for (size_t size = 0; size < whole.size; size++) {
        oto_buffer_init(&output, &oto_allocator_heap, size);
        assert_int_equal(
            convert(OTO_SIGNAL_METRICS, oto_bytes(full, sizeof full - 1), &output, &err),
            OTO_TOO_LARGE);
        assert_int_equal(output.size, 0);
        oto_buffer_release(&output);
    }
    for (size_t size = 0; size < json.size; size++) {
        oto_buffer_init(&output, &oto_allocator_heap, size);
        assert_int_equal(
            oto_otlp_protobuf_to_json(OTO_SIGNAL_METRICS, oto_buffer_view(&whole), &output, &err),
            OTO_TOO_LARGE);
        assert_int_equal(output.size, 0);
        oto_buffer_release(&output);
    }
    oto_buffer_release(&whole);
    oto_buffer_release(&json);
}

// Allocates until its count is used up.
static void *counted_alloc(void *state, size_t size_bytes)
{
    int *left = state;
    return (*left)-- > 0 ? malloc(size_bytes) : NULL;
}

static void *counted_resize(void *state, void *block, size_t old_size_bytes, size_t size_bytes)
{
    int *left = state;
    (void)old_size_bytes;
    return (*left)-- > 0 ? realloc(block, size_bytes) : NULL;
}

static void counted_free(void *state, void *block, size_t size_bytes)
{
    (void)state;
    (void)size_bytes;
    free(block);
}

static void test_each_failing_allocation_is_reported(void **state)
{
    (void)state;
    int left, failures = 0;
    const struct oto_allocator counted = {counted_alloc, counted_resize, counted_free, &left};
    // A scope in two parts, so that the writer joins them.
    static const char parts[] = "\x0A\x0C\x12\x0A\x0A\x03\x0A\x01n\x0A\x03\x12\x01v";
    for (int allowed = 0;; allowed++) {
        struct oto_buffer protobuf, json;
        struct oto_error err;
        left = allowed;
        oto_buffer_init(&protobuf, &counted, 1 << 20);
        oto_buffer_init(&json, &counted, 1 << 20);
        enum oto_status read =
            convert(OTO_SIGNAL_METRICS, oto_bytes(full, sizeof full - 1), &protobuf, &err);
        enum oto_status written = oto_otlp_protobuf_to_json(
            OTO_SIGNAL_LOGS, oto_bytes(parts, sizeof parts - 1), &json, &err);
        assert_true(read == OTO_OK || (read == OTO_NO_MEMORY && protobuf.size == 0));
        assert_true(written == OTO_OK || (written == OTO_NO_MEMORY && json.size == 0));
        if (written == OTO_OK)
            assert_true(oto_bytes_equal_text(oto_buffer_view(&json),
                                             "{\"resourceLogs\":[{\"scopeLogs\":[{\"scope\":{"
                                             "\"name\":\"n\",\"version\":\"v\"}}]}]}"));
        oto_buffer_release(&protobuf);
        oto_buffer_release(&json);
        if (read == OTO_OK && written == OTO_OK)
            break;
        failures++;
    }
    assert_true(failures >= 3);
}

// Levels of arrays, each given in two parts: joining them all would take the size of the whole for
// each level.
static void test_joining_at_every_level_is_limited(void **state)
{
    (void)state;
    struct oto_buffer inner, outer, json;
    struct oto_error err;
    oto_buffer_init(&inner, &oto_allocator_heap, 1 << 24);
    oto_buffer_init(&outer, &oto_allocator_heap, 1 << 24);
    oto_buffer_init(&json, &oto_allocator_heap, 1 << 24);
    for (int level = 0; level < 30; level++) { // an AnyValue whose array_value comes twice
        outer.size = 0;
        size_t array, value;
        assert_int_equal(oto_pb_message_begin(&outer, 5, &array), OTO_OK);
        assert_int_equal(oto_pb_message_begin(&outer, 1, &value), OTO_OK);
        assert_int_equal(oto_buffer_append(&outer, inner.data, inner.size), OTO_OK);
        assert_int_equal(oto_pb_message_end(&outer, value), OTO_OK);
        assert_int_equal(oto_pb_message_end(&outer, array), OTO_OK);
        assert_int_equal(oto_pb_write_bytes(&outer, 5, oto_bytes(NULL, 0)), OTO_OK);
        struct oto_buffer swap = inner;
        inner = outer;
        outer = swap;
    }
    static const uint32_t path[] = {5, 2, 2, 1}; // body, log_records, scope_logs, resource_logs
    for (int i = 0; i < 4; i++) {
        outer.size = 0;
        assert_int_equal(oto_pb_write_bytes(&outer, path[i], oto_buffer_view(&inner)), OTO_OK);
        struct oto_buffer swap = inner;
        inner = outer;
        outer = swap;
    }
    assert_int_equal(
        oto_otlp_protobuf_to_json(OTO_SIGNAL_LOGS, oto_buffer_view(&inner), &json, &err),
        OTO_TOO_LARGE);
    oto_buffer_release(&inner);
    oto_buffer_release(&outer);
    oto_buffer_release(&json);
}

static void test_malformed_protobuf_is_refused(void **state)
{
    (void)state;
    struct oto_buffer output;
    struct oto_error err;
    oto_buffer_init(&output, &oto_allocator_heap, 1 << 20);
    static const char *const malformed[] = {"\x0A", "\x0A\x05\x0A", "\x0A\x02\x0A\x05",
                                            "\x0A\x03\x1A\x01\xFF", "\x0F"};
    for (size_t i = 0; i < sizeof malformed / sizeof malformed[0]; i++) {
        assert_int_equal(
            oto_otlp_protobuf_to_json(OTO_SIGNAL_LOGS, oto_bytes_text(malformed[i]), &output, &err),
            OTO_INVALID);
        assert_true(err.offset <= strlen(malformed[i]));
        assert_int_equal(output.size, 0);
    }
    assert_int_equal(oto_otlp_protobuf_to_json(OTO_SIGNAL_LOGS, oto_bytes(NULL, 0), &output, &err),
                     OTO_OK);
    assert_true(oto_bytes_equal_text(oto_buffer_view(&output), "{}"));
    oto_buffer_release(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_names_the_field_and_the_place),
        cmocka_unit_test(test_names_are_camel_case_and_may_be_escaped),
        cmocka_unit_test(test_unknown_fields_are_checked_and_ignored),
        cmocka_unit_test(test_duplicates),
        cmocka_unit_test(test_any_value_forms),
        cmocka_unit_test(test_ids_are_hex_of_any_case),
        cmocka_unit_test(test_numbers_and_enums),
        cmocka_unit_test(test_strings_with_escapes),
        cmocka_unit_test(test_long_numbers_have_digits_only),
        cmocka_unit_test(test_strings_of_every_length),
        cmocka_unit_test(test_spaces_change_nothing),
        cmocka_unit_test(test_fast_and_strict_ways_agree),
        cmocka_unit_test(test_attributes_of_every_size),
        cmocka_unit_test(test_integers_of_every_size),
        cmocka_unit_test(test_depth_is_limited),
        cmocka_unit_test(test_another_signal_is_unknown_or_refused),
        cmocka_unit_test(test_documents_without_a_known_name_are_counted),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_output_limit_is_kept_both_ways),
        cmocka_unit_test(test_each_failing_allocation_is_reported),
        cmocka_unit_test(test_joining_at_every_level_is_limited),
        cmocka_unit_test(test_malformed_protobuf_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
