#include "base/json_text.h"
#include "cmocka_all.h"

static void every_byte_is_escaped_as_rfc_8259_asks(void **state)
{
    (void)state;
    static const char *const named[0x80] = {
        ['\b'] = "\\b", ['\f'] = "\\f", ['\n'] = "\\n", ['\r'] = "\\r",
        ['\t'] = "\\t", ['"'] = "\\\"", ['\\'] = "\\\\"};
    struct oto_buffer output, expected;
    oto_buffer_init(&output, &oto_allocator_heap, 1 << 16);
    oto_buffer_init(&expected, &oto_allocator_heap, 1 << 16);
    // At each place of a run: the scan looks at eight bytes at a time.
    for (unsigned byte = 0; byte < 0x80; byte++) {
        for (size_t place = 0; place < 19; place++) {
            uint8_t text[20];
            memset(text, place & 1 ? 'x' : 0xC3, sizeof text);
            text[place] = (uint8_t)byte;
            output.size = expected.size = 0;
            assert_int_equal(oto_json_escape(&output, oto_bytes(text, sizeof text)), OTO_OK);
            assert_int_equal(oto_buffer_append_format(&expected, "\"%.*s", (int)place, text),
                             OTO_OK);
            if (named[byte])
                assert_int_equal(oto_buffer_append_format(&expected, "%s", named[byte]), OTO_OK);
            else
                assert_int_equal(
                    oto_buffer_append_format(&expected, byte < 0x20 ? "\\u%04x" : "%c", byte),
                    OTO_OK);
            assert_int_equal(
                oto_buffer_append(&expected, text + place + 1, sizeof text - place - 1), OTO_OK);
            assert_int_equal(oto_buffer_append_byte(&expected, '"'), OTO_OK);
            assert_int_equal(output.size, expected.size);
            assert_memory_equal(output.data, expected.data, expected.size);
        }
    }
    output.size = 0;
    assert_int_equal(oto_json_escape(&output, (struct oto_bytes){NULL, 0}), OTO_OK);
    assert_true(oto_bytes_equal_text(oto_buffer_view(&output), "\"\""));
    oto_buffer_release(&output);
    oto_buffer_release(&expected);
}

static void a_full_buffer_is_reported(void **state)
{
    (void)state;
    struct oto_buffer output;
    oto_buffer_init(&output, &oto_allocator_heap, 8);
    assert_int_equal(oto_json_escape(&output, OTO_BYTES_LITERAL("seven b")), OTO_TOO_LARGE);
    output.size = 0;
    assert_int_equal(oto_json_escape(&output, OTO_BYTES_LITERAL("\x01")), OTO_OK);
    oto_buffer_release(&output);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_byte_is_escaped_as_rfc_8259_asks),
        cmocka_unit_test(a_full_buffer_is_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
