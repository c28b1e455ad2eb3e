// Responses and statuses, compared byte for byte; the protobuf bytes are those of Google's own
// encoder but for the padded lengths, which is why they are read back field by field.
#include "cmocka_all.h"

#include "otlp/otlp_response.h"
#include "wire/protobuf.h"

static char text[1024];

static const char *json_response(enum oto_signal signal, uint64_t rejected, const char *message)
{
    struct oto_buffer b;
    oto_buffer_init(&b, &oto_allocator_heap, 4096);
    assert_int_equal(oto_otlp_write_response(OTO_OTLP_JSON, signal, rejected, message, &b), OTO_OK);
    memcpy(text, b.data, b.size);
    text[b.size] = 0;
    oto_buffer_release(&b);
    return text;
}

static const char *json_status(int code, const char *message, uint32_t retry_ms, const char *field)
{
    struct oto_buffer b;
    oto_buffer_init(&b, &oto_allocator_heap, 4096);
    assert_int_equal(oto_otlp_write_status(OTO_OTLP_JSON, code, message, retry_ms, field, &b),
                     OTO_OK);
    memcpy(text, b.data, b.size);
    text[b.size] = 0;
    oto_buffer_release(&b);
    return text;
}

static void json_forms(void **state)
{
    (void)state;
    assert_string_equal(json_response(OTO_SIGNAL_LOGS, 0, ""), "{}");
    assert_string_equal(
        json_response(OTO_SIGNAL_TRACES, 3, "bad \"id\""),
        "{\"partialSuccess\":{\"rejectedSpans\":\"3\",\"errorMessage\":\"bad \\\"id\\\"\"}}");
    assert_string_equal(json_response(OTO_SIGNAL_METRICS, 0, "warning"),
                        "{\"partialSuccess\":{\"errorMessage\":\"warning\"}}");
    assert_string_equal(json_status(3, "no", 0, NULL), "{\"code\":3,\"message\":\"no\"}");
    assert_string_equal(
        json_status(14, "later", 1500, NULL),
        "{\"code\":14,\"message\":\"later\",\"details\":[{\"@type\":\"type.googleapis.com/"
        "google.rpc.RetryInfo\",\"retryDelay\":\"1.500s\"}]}");
    assert_string_equal(
        json_status(3, "no", 0, "a.b"),
        "{\"code\":3,\"message\":\"no\",\"details\":[{\"@type\":\"type.googleapis.com/"
        "google.rpc.BadRequest\",\"fieldViolations\":[{\"field\":\"a.b\",\"description\":\"no\"}]}]"
        "}");
}

// The bytes of field `number` of a message; asserts that it is there.
static struct oto_bytes field_of(struct oto_bytes message, uint32_t number)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    uint32_t tag;
    while (oto_pb_tag(&c, &tag) == OTO_OK) {
        struct oto_bytes value;
        if (tag == OTO_PB_TAG(number, OTO_PB_BYTES)) {
            assert_int_equal(oto_pb_bytes(&c, &value), OTO_OK);
            return value;
        }
        assert_int_equal(oto_pb_skip(&c, tag), OTO_OK);
    }
    fail_msg("no field %u", number);
    return message;
}

static uint64_t number_of(struct oto_bytes message, uint32_t number)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    uint32_t tag;
    uint64_t value;
    while (oto_pb_tag(&c, &tag) == OTO_OK) {
        if (tag == OTO_PB_TAG(number, OTO_PB_VARINT)) {
            assert_int_equal(oto_pb_varint(&c, &value), OTO_OK);
            return value;
        }
        assert_int_equal(oto_pb_skip(&c, tag), OTO_OK);
    }
    return 0;
}

static void protobuf_forms(void **state)
{
    (void)state;
    struct oto_buffer b;
    oto_buffer_init(&b, &oto_allocator_heap, 4096);
    assert_int_equal(oto_otlp_write_response(OTO_OTLP_PROTOBUF, OTO_SIGNAL_LOGS, 0, "", &b),
                     OTO_OK);
    assert_int_equal(b.size, 0);
    assert_int_equal(oto_otlp_write_response(OTO_OTLP_PROTOBUF, OTO_SIGNAL_LOGS, 7, "why", &b),
                     OTO_OK);
    struct oto_bytes partial = field_of(oto_buffer_view(&b), 1);
    assert_int_equal(number_of(partial, 1), 7);
    assert_true(oto_bytes_equal_text(field_of(partial, 2), "why"));
    b.size = 0;
    assert_int_equal(oto_otlp_write_status(OTO_OTLP_PROTOBUF, 14, "later", 2250, NULL, &b), OTO_OK);
    assert_int_equal(number_of(oto_buffer_view(&b), 1), 14);
    assert_true(oto_bytes_equal_text(field_of(oto_buffer_view(&b), 2), "later"));
    struct oto_bytes any = field_of(oto_buffer_view(&b), 3);
    assert_true(oto_bytes_equal_text(field_of(any, 1), "type.googleapis.com/google.rpc.RetryInfo"));
    struct oto_bytes delay = field_of(field_of(any, 2), 1);
    assert_int_equal(number_of(delay, 1), 2);
    assert_int_equal(number_of(delay, 2), 250000000);
    b.size = 0;
    assert_int_equal(oto_otlp_write_status(OTO_OTLP_PROTOBUF, 3, "no", 0, "a.b", &b), OTO_OK);
    any = field_of(oto_buffer_view(&b), 3);
    struct oto_bytes violation = field_of(field_of(any, 2), 1);
    assert_true(oto_bytes_equal_text(field_of(violation, 1), "a.b"));
    assert_true(oto_bytes_equal_text(field_of(violation, 2), "no"));
    oto_buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(json_forms),
        cmocka_unit_test(protobuf_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
