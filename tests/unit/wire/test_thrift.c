#include "cmocka_all.h"
#include "wire/thrift.h"

static void write_sample(struct oto_thrift_writer *w)
{
    oto_thrift_struct_begin(w);
    oto_thrift_field_i32(w, 1, -3);
    oto_thrift_field_bool(w, 2, 1);
    oto_thrift_field_i64(w, 20, INT64_MIN);
    oto_thrift_field_text(w, 4, "hi");
    oto_thrift_field_struct(w, 5);
    oto_thrift_field_bool(w, 1, 0);
    oto_thrift_field_i8(w, 3, -128);
    oto_thrift_field_i16(w, 4, 1000);
    oto_thrift_struct_end(w);
    oto_thrift_field_list(w, 6, OTO_THRIFT_STRUCT, 2);
    for (int i = 0; i < 2; i++) {
        oto_thrift_struct_begin(w);
        oto_thrift_field_double(w, 1, 1.5);
        oto_thrift_struct_end(w);
    }
    oto_thrift_field_list(w, 7, OTO_THRIFT_I32, 20);
    for (int i = 0; i < 20; i++)
        oto_thrift_element_i32(w, i - 10);
    oto_thrift_field_list(w, 8, OTO_THRIFT_TRUE, 2);
    oto_thrift_element_bool(w, 1);
    oto_thrift_element_bool(w, 0);
    oto_thrift_field_list(w, 9, OTO_THRIFT_BINARY, 1);
    oto_thrift_element_binary(w, oto_bytes_text("xyz"));
    oto_thrift_struct_end(w);
}

static void bytes_follow_the_compact_protocol(void **state)
{
    (void)state;
    struct oto_buffer b;
    oto_buffer_init(&b, &oto_allocator_heap, 1000);
    struct oto_thrift_writer w;
    oto_thrift_writer_init(&w, &b);
    write_sample(&w);
    assert_int_equal(w.status, OTO_OK);
    static const uint8_t want[] = {
        0x15, 0x05,                                                             // i32 -3
        0x11,                                                                   // true
        0x06, 0x28, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x01, // long form, id 20
        0x08, 0x08, 0x02, 'h',  'i',                                            // long form, id 4
        0x1C, 0x12, 0x23, 0x80, 0x14, 0xD0, 0x0F, 0x00,                         // struct
        0x19, 0x2C, 0x17, 0,    0,    0,    0,    0,    0,    0xF8, 0x3F, 0,    0x17, 0,
        0,    0,    0,    0,    0,    0xF8, 0x3F, 0,    0x19, 0xF5, 0x14, 19,   17,   15,
        13,   11,   9,    7,    5,    3,    1,    0,    2,    4,    6,    8,    10,   12,
        14,   16,   18,   0x19, 0x21, 1,    2,    0x19, 0x18, 3,    'x',  'y',  'z',  0};
    assert_int_equal(b.size, sizeof want);
    assert_memory_equal(b.data, want, sizeof want);
    oto_buffer_release(&b);
    b.size_max = 10;
    oto_thrift_writer_init(&w, &b);
    write_sample(&w);
    assert_int_equal(w.status, OTO_TOO_LARGE);
    oto_buffer_release(&b);
}

static void written_values_read_back(void **state)
{
    (void)state;
    struct oto_buffer b;
    oto_buffer_init(&b, &oto_allocator_heap, 1000);
    struct oto_thrift_writer w;
    oto_thrift_writer_init(&w, &b);
    write_sample(&w);
    struct oto_thrift_reader r;
    oto_thrift_reader_init(&r, oto_buffer_view(&b));
    int16_t id;
    enum oto_thrift_type type;
    int64_t value, sum = 0;
    assert_int_equal(oto_thrift_enter_struct(&r), OTO_OK);
    int fields = 0;
    while (oto_thrift_next_field(&r, &id, &type) == OTO_OK) {
        fields++;
        if (id == 1 || id == 20) {
            assert_int_equal(oto_thrift_read_int(&r, type, &value), OTO_OK);
            assert_true(value == (id == 1 ? -3 : INT64_MIN));
        } else if (id == 7) {
            uint32_t count;
            enum oto_thrift_type element;
            assert_int_equal(oto_thrift_read_list(&r, &element, &count), OTO_OK);
            assert_int_equal(count, 20);
            while (count--) {
                assert_int_equal(oto_thrift_read_int(&r, element, &value), OTO_OK);
                sum += value;
            }
            assert_int_equal(sum, -10);
        } else {
            assert_int_equal(oto_thrift_skip(&r, type), OTO_OK);
        }
    }
    assert_int_equal(fields, 9);
    assert_int_equal(r.depth, 0);
    assert_ptr_equal(r.cursor, r.end);
    for (size_t cut = 0; cut < b.size; cut++) {
        uint8_t *exact = test_malloc(cut ? cut : 1); // so that a sanitizer sees a read too far
        memcpy(exact, b.data, cut);
        oto_thrift_reader_init(&r, oto_bytes(exact, cut));
        assert_int_equal(oto_thrift_skip(&r, OTO_THRIFT_STRUCT), OTO_CORRUPT);
        test_free(exact);
    }
    oto_buffer_release(&b);
}

static enum oto_status skip_all(const char *bytes, size_t size, enum oto_thrift_type type)
{
    struct oto_thrift_reader r;
    oto_thrift_reader_init(&r, oto_bytes(bytes, size));
    enum oto_status status = oto_thrift_skip(&r, type);
    return status == OTO_OK && r.cursor != r.end ? OTO_END : status;
}

static void hostile_sizes_and_depths_are_refused(void **state)
{
    (void)state;
    assert_int_equal(skip_all("\xF1\xFF\xFF\xFF\xFF\x07", 6, OTO_THRIFT_LIST), OTO_CORRUPT);
    assert_int_equal(skip_all("\xFF\xFF\xFF\xFF\x07", 5, OTO_THRIFT_BINARY), OTO_CORRUPT);
    assert_int_equal(skip_all("\x00", 1, OTO_THRIFT_MAP), OTO_OK);
    assert_int_equal(skip_all("\x02\x58\x02\x01"
                              "a"
                              "\x04\x00",
                              7, OTO_THRIFT_MAP),
                     OTO_OK); // i32 -> binary
    assert_int_equal(skip_all("\x02\x85\x01"
                              "a\x02\x00\x04",
                              7, OTO_THRIFT_MAP),
                     OTO_OK);
    assert_int_equal(skip_all("\x0D\x00", 2, OTO_THRIFT_STRUCT), OTO_CORRUPT);
    assert_int_equal(skip_all("\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF\x02", 10, OTO_THRIFT_I64),
                     OTO_CORRUPT);
    char nested[200];
    memset(nested, 0x19, sizeof nested); // lists of one list each
    assert_int_equal(skip_all(nested, sizeof nested, OTO_THRIFT_LIST), OTO_CORRUPT);
    memset(nested, 0x1C, sizeof nested);
    assert_int_equal(skip_all(nested, sizeof nested, OTO_THRIFT_STRUCT), OTO_CORRUPT);
    struct oto_thrift_reader r;
    int64_t value;
    oto_thrift_reader_init(&r, oto_bytes("\x80\x80\x04", 3)); // 32768
    assert_int_equal(oto_thrift_read_int(&r, OTO_THRIFT_I16, &value), OTO_CORRUPT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bytes_follow_the_compact_protocol),
        cmocka_unit_test(written_values_read_back),
        cmocka_unit_test(hostile_sizes_and_depths_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
