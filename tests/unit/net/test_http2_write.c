// Header blocks as we write them, read by nghttp2's decoder.
#include "cmocka_all.h"

#include "net/http2_internal.h"
#include <stdlib.h>

// Takes the frame heads out; checks types, flags, ids. Returns the size of the block.
static size_t unframe(const uint8_t *at, const uint8_t *end, uint8_t flags, uint8_t *block)
{
    size_t size = 0;
    int first = 1, ended = 0;
    while (at < end) {
        size_t length = (size_t)at[0] << 16 | (size_t)at[1] << 8 | at[2];
        assert_true(length <= HTTP2_FRAME_SIZE_OUT && at + 9 + length <= end);
        assert_int_equal(at[3], first ? NGHTTP2_HEADERS : NGHTTP2_CONTINUATION);
        assert_int_equal(at[4] & ~NGHTTP2_FLAG_END_HEADERS, first ? flags : 0);
        assert_int_equal(oto_load32_big(at + 5), 7);
        assert_false(ended);
        ended = at[4] & NGHTTP2_FLAG_END_HEADERS;
        memcpy(block + size, at + 9, length);
        size += length;
        at += 9 + length;
        first = 0;
    }
    assert_true(ended);
    return size;
}

static void expect(const uint8_t *block, size_t size, const char *status,
                   const struct oto_http_header *fields, size_t count)
{
    nghttp2_hd_inflater *inflater;
    assert_int_equal(nghttp2_hd_inflate_new(&inflater), 0);
    size_t at = 0, seen = 0;
    for (int flags = 0; !(flags & NGHTTP2_HD_INFLATE_FINAL);) {
        nghttp2_nv nv;
        flags = 0;
        ssize_t n = nghttp2_hd_inflate_hd2(inflater, &nv, &flags, block + at, size - at, 1);
        assert_true(n >= 0);
        at += (size_t)n;
        if (!(flags & NGHTTP2_HD_INFLATE_EMIT))
            continue;
        struct oto_bytes name = oto_bytes(nv.name, nv.namelen);
        struct oto_bytes value = oto_bytes(nv.value, nv.valuelen);
        if (seen == 0) {
            assert_true(oto_bytes_equal_text(name, ":status"));
            assert_true(oto_bytes_equal_text(value, status));
        } else {
            assert_true(seen <= count && oto_bytes_equal(name, fields[seen - 1].name));
            assert_true(oto_bytes_equal(value, fields[seen - 1].value));
        }
        seen++;
    }
    assert_int_equal(seen, count + 1);
    nghttp2_hd_inflate_del(inflater);
}

static void blocks_of_any_size_are_read_as_written(void **state)
{
    (void)state;
    static char name[300], value[70000];
    static uint8_t out[300000], block[300000];
    static const struct {
        int status;
        const char *text;
    } statuses[] = {{200, "200"}, {204, "204"}, {206, "206"}, {304, "304"}, {400, "400"},
                    {404, "404"}, {500, "500"}, {503, "503"}, {431, "431"}};
    memset(name, 'n', sizeof name);
    memset(value, 'v', sizeof value);
    static const size_t sizes[] = {0, 1, 14, 15, 16, 126, 127, 128, 254, 255, 300, 16000, 60000};
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
        struct oto_bytes text = oto_bytes(value, sizes[i]);
        struct oto_http_header fields[] = {
            {OTO_BYTES_LITERAL("content-type"), text},
            {OTO_BYTES_LITERAL("content-length"), OTO_BYTES_LITERAL("12")},
            {OTO_BYTES_LITERAL("date"), text},
            {OTO_BYTES_LITERAL("retry-after"), OTO_BYTES_LITERAL("1")},
            {OTO_BYTES_LITERAL("allow"), OTO_BYTES_LITERAL("GET")},
            {OTO_BYTES_LITERAL("grpc-status"), OTO_BYTES_LITERAL("0")},
            {oto_bytes(name, sizes[i] < 1 ? 1 : sizes[i] % sizeof name + 1), text},
        };
        size_t count = sizeof fields / sizeof *fields;
        for (size_t k = 0; k < sizeof statuses / sizeof *statuses; k++) {
            uint8_t *end = http2_put_status(out + HTTP2_FRAME_HEAD_SIZE, statuses[k].status);
            for (size_t f = 0; f < count; f++)
                end = http2_put_field(end, fields[f].name, fields[f].value);
            end = http2_put_heads(out, end, NGHTTP2_FLAG_END_STREAM, 7);
            assert_true((size_t)(end - out) <= 5 + http2_fields_bound(fields, count));
            size_t size = unframe(out, end, NGHTTP2_FLAG_END_STREAM, block);
            expect(block, size, statuses[k].text, fields, count);
        }
    }
}

// Every byte at every place of values of every length around the eight that are looked at at once.
static void unsafe_bytes_are_found_wherever_they_stand(void **state)
{
    (void)state;
    uint8_t text[40];
    for (size_t size = 0; size <= sizeof text; size++) {
        for (size_t at = 0; at < size; at++) {
            for (int byte = 0; byte < 256; byte++) {
                for (size_t i = 0; i < size; i++)
                    text[i] = (uint8_t)(i % 3 == 0 ? '\t' : i % 3 == 1 ? 0xff : ' ');
                text[at] = (uint8_t)byte;
                assert_int_equal(http_value_is_safe(oto_bytes(text, size)),
                                 nghttp2_check_header_value(text, size) != 0);
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_of_any_size_are_read_as_written),
        cmocka_unit_test(unsafe_bytes_are_found_wherever_they_stand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
