#include "cmocka_all.h"
#include "wire/protobuf.h"

static struct oto_buffer buffer_new(void)
{
    struct oto_buffer b;
    oto_buffer_init(&b, &oto_allocator_heap, 1 << 20);
    return b;
}

static void varints_of_every_length_go_both_ways(void **state)
{
    (void)state;
    for (unsigned bits = 0; bits <= 64; bits++) {
        for (int way = 0; way < 3; way++) {
            uint64_t value = bits == 0 ? 0 : (uint64_t)1 << (bits - 1);
            value = way == 1   ? value - (bits > 0)
                    : way == 2 ? value | 0x5A5A5A5A5A5A5A5Au >> (64 - bits) % 64
                               : value;
            struct oto_buffer b = buffer_new();
            assert_int_equal(oto_pb_write_varint(&b, value), OTO_OK);
            size_t size = b.size;
            for (size_t extra = 0; extra < 12; extra++) { // the checked and the unchecked path
                struct oto_pb_cursor c = oto_pb_cursor(oto_buffer_view(&b));
                uint64_t got;
                assert_int_equal(oto_pb_varint(&c, &got), OTO_OK);
                assert_true(got == value);
                assert_int_equal(c.at - b.data, size);
                assert_int_equal(oto_buffer_append_byte(&b, 0xFF), OTO_OK);
            }
            for (size_t cut = 0; cut < size; cut++) {
                struct oto_pb_cursor c = oto_pb_cursor(oto_bytes(b.data, cut));
                uint64_t got;
                assert_int_equal(oto_pb_varint(&c, &got), OTO_INVALID);
            }
            oto_buffer_release(&b);
        }
    }
}

static void check_varint(const char *bytes, size_t size, enum oto_status status, uint64_t want)
{
    uint8_t padded[24] = {0};
    memcpy(padded, bytes, size);
    for (int i = 0; i < 2; i++) {
        struct oto_pb_cursor c = oto_pb_cursor(oto_bytes(padded, i ? sizeof padded : size));
        uint64_t got;
        assert_int_equal(oto_pb_varint(&c, &got), status);
        if (status == OTO_OK) {
            assert_true(got == want);
            assert_int_equal(c.at - padded, size);
        }
    }
}

static void overlong_varints_are_read_and_too_long_ones_refused(void **state)
{
    (void)state;
    check_varint("\x81\x00", 2, OTO_OK, 1);
    check_varint("\x81\x80\x80\x80\x80\x80\x80\x80\x00", 9, OTO_OK, 1);
    check_varint("\x81\x80\x80\x80\x80\x80\x80\x80\x80\x00", 10, OTO_OK, 1);
    check_varint("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", 10, OTO_OK, UINT64_MAX);
    check_varint("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 10, OTO_INVALID, 0);
    check_varint("\x80\x80\x80\x80\x80\x80\x80\x80\x80\x80\x00", 11, OTO_INVALID, 0);
}

static void check_skip(const char *bytes, size_t size, enum oto_status want)
{
    struct oto_pb_cursor c = oto_pb_cursor(oto_bytes(bytes, size));
    uint32_t tag = 0;
    assert_int_equal(oto_pb_tag(&c, &tag), OTO_OK);
    assert_int_equal(oto_pb_skip(&c, tag), want);
    if (want == OTO_OK)
        assert_ptr_equal(c.at, c.end);
}
#define CHECK_SKIP(text, want) check_skip(text, sizeof(text) - 1, want)

static void unknown_fields_are_skipped(void **state)
{
    (void)state;
    CHECK_SKIP("\x08\x96\x01", OTO_OK);
    CHECK_SKIP("\x09"
               "12345678",
               OTO_OK);
    CHECK_SKIP("\x09"
               "1234567",
               OTO_INVALID);
    CHECK_SKIP("\x0D"
               "1234",
               OTO_OK);
    CHECK_SKIP("\x0D"
               "123",
               OTO_INVALID);
    CHECK_SKIP("\x0A\x03"
               "abc",
               OTO_OK);
    CHECK_SKIP("\x0A\x04"
               "abc",
               OTO_INVALID);
    CHECK_SKIP("\x0A\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x01", OTO_INVALID);
    CHECK_SKIP("\x0B\x08\x01\x13\x1A\x02xx\x14\x0C", OTO_OK);
    CHECK_SKIP("\x0B\x14", OTO_INVALID); // another field's end
    CHECK_SKIP("\x0B\x08\x01", OTO_INVALID);
    CHECK_SKIP("\x0C", OTO_INVALID); // an end without a start
    uint8_t deep[2 * OTO_PB_DEPTH_MAX + 2];
    for (size_t depth = OTO_PB_DEPTH_MAX; depth <= OTO_PB_DEPTH_MAX + 1; depth++) {
        memset(deep, 0x0B, depth);
        memset(deep + depth, 0x0C, depth);
        check_skip((const char *)deep, 2 * depth, depth > OTO_PB_DEPTH_MAX ? OTO_INVALID : OTO_OK);
    }
}

static void bad_tags_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"\x07",
                                      "\x02",
                                      "\x0E",
                                      "\x0F",
                                      "\x80\x80\x80\x80\x80\x01",
                                      "\x88\x80\x80\x80\x80\x00",
                                      "\xFF\xFF\xFF\xFF\x1F"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        struct oto_pb_cursor c = oto_pb_cursor(oto_bytes(bad[i], strlen(bad[i]) + 1));
        uint32_t tag = 0;
        assert_int_equal(oto_pb_tag(&c, &tag), OTO_INVALID);
    }
    struct oto_pb_cursor c = oto_pb_cursor(oto_bytes("\xF8\xFF\xFF\xFF\x0F", 5));
    uint32_t tag = 0;
    assert_int_equal(oto_pb_tag(&c, &tag), OTO_OK);
    assert_int_equal(tag, 0xFFFFFFF8u);
    assert_int_equal(oto_pb_tag(&c, &tag), OTO_END);
}

static void written_messages_read_back(void **state)
{
    (void)state;
    struct oto_buffer b = buffer_new();
    size_t mark, inner;
    assert_int_equal(oto_pb_message_begin(&b, 1, &mark), OTO_OK);
    assert_int_equal(oto_pb_write_uint(&b, 16, 300), OTO_OK);
    assert_int_equal(oto_pb_message_begin(&b, 2, &inner), OTO_OK);
    assert_int_equal(oto_pb_write_bytes(&b, 3, oto_bytes_text("abc")), OTO_OK);
    assert_int_equal(oto_pb_message_end(&b, inner), OTO_OK);
    assert_int_equal(oto_pb_write_fixed64(&b, 4, 0x1122334455667788u), OTO_OK);
    assert_int_equal(oto_pb_write_fixed32(&b, 5, 0x11223344u), OTO_OK);
    assert_int_equal(oto_pb_message_end(&b, mark), OTO_OK);
    static const uint8_t want[] = {0x0A, 0x9C, 0x80, 0x80, 0x00, 0x80, 0x01, 0xAC, 0x02,
                                   0x12, 0x85, 0x80, 0x80, 0x00, 0x1A, 0x03, 'a',  'b',
                                   'c',  0x21, 0x88, 0x77, 0x66, 0x55, 0x44, 0x33, 0x22,
                                   0x11, 0x2D, 0x44, 0x33, 0x22, 0x11};
    assert_int_equal(b.size, sizeof want);
    assert_memory_equal(b.data, want, sizeof want);
    struct oto_pb_cursor c = oto_pb_cursor(oto_buffer_view(&b));
    struct oto_bytes message;
    uint32_t tag = 0;
    assert_int_equal(oto_pb_tag(&c, &tag), OTO_OK);
    assert_int_equal(oto_pb_bytes(&c, &message), OTO_OK);
    assert_int_equal(oto_pb_tag(&c, &tag), OTO_END);
    assert_int_equal(message.size, 28);
    oto_buffer_release(&b);
    b.size_max = 3;
    assert_int_equal(oto_pb_write_bytes(&b, 1, oto_bytes_text("ab")), OTO_TOO_LARGE);
    assert_int_equal(b.size, 0);
    oto_buffer_release(&b);
    assert_true(oto_pb_zigzag_decode(1) == -1 && oto_pb_zigzag_decode(UINT64_MAX) == INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(varints_of_every_length_go_both_ways),
        cmocka_unit_test(overlong_varints_are_read_and_too_long_ones_refused),
        cmocka_unit_test(unknown_fields_are_skipped),
        cmocka_unit_test(bad_tags_are_refused),
        cmocka_unit_test(written_messages_read_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
