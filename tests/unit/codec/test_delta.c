#include "cmocka_all.h"
#include "codec/delta.h"

static uint64_t random_next(uint64_t *x)
{
    *x = *x * 6364136223846793005u + 1442695040888963407u;
    return *x ^ *x >> 31;
}

static void known_streams_are_written(void **state)
{
    (void)state;
    struct oto_buffer b;
    oto_buffer_init(&b, &oto_allocator_heap, 10000);
    // The examples of Encodings.md, with our block size.
    static const int64_t steady[] = {1, 2, 3, 4, 5}, mixed[] = {7, 5, 3, 1, 2, 3, 4, 5};
    assert_int_equal(oto_delta_encode64(steady, 5, &b), OTO_OK);
    static const uint8_t want_steady[] = {0x80, 0x01, 4, 5, 2, 2, 0, 0, 0, 0};
    assert_int_equal(b.size, sizeof want_steady);
    assert_memory_equal(b.data, want_steady, b.size);
    b.size = 0;
    assert_int_equal(oto_delta_encode64(mixed, 8, &b), OTO_OK);
    static const uint8_t want_mixed[] = {0x80, 0x01, 4,    8, 14, 3, 2, 0, 0,
                                         0,    0xC0, 0x3F, 0, 0,  0, 0, 0, 0};
    assert_int_equal(b.size, sizeof want_mixed);
    assert_memory_equal(b.data, want_mixed, b.size);
    b.size = 0;
    assert_int_equal(oto_delta_encode32(NULL, 0, &b), OTO_OK);
    assert_int_equal(b.size, 5);
    oto_buffer_release(&b);
}

static void check64(const int64_t *values, size_t count)
{
    struct oto_buffer b;
    size_t consumed;
    oto_buffer_init(&b, &oto_allocator_heap, 1 << 20);
    assert_int_equal(oto_delta_encode64(values, count, &b), OTO_OK);
    int64_t *back = test_malloc(count * 8 + 1);
    uint8_t *exact = test_malloc(b.size);
    memcpy(exact, b.data, b.size);
    assert_int_equal(oto_delta_decode64(oto_bytes(exact, b.size), back, count, &consumed), OTO_OK);
    assert_int_equal(consumed, b.size);
    if (count)
        assert_memory_equal(back, values, count * 8);
    assert_int_equal(oto_delta_decode64(oto_bytes(exact, b.size), back, count + 1, NULL),
                     OTO_CORRUPT);
    assert_int_equal(oto_delta_decode64(oto_bytes(exact, b.size - 1), back, count, NULL),
                     OTO_CORRUPT);
    test_free(exact);
    test_free(back);
    oto_buffer_release(&b);
}

static void check32(const int32_t *values, size_t count)
{
    struct oto_buffer b;
    size_t consumed;
    oto_buffer_init(&b, &oto_allocator_heap, 1 << 20);
    assert_int_equal(oto_delta_encode32(values, count, &b), OTO_OK);
    int32_t *back = test_malloc(count * 4 + 1);
    assert_int_equal(oto_delta_decode32(oto_buffer_view(&b), back, count, &consumed), OTO_OK);
    assert_int_equal(consumed, b.size);
    if (count)
        assert_memory_equal(back, values, count * 4);
    assert_true(b.size <= 20 + count * 4 + (count / 128 + 1) * (14 + 128));
    test_free(back);
    oto_buffer_release(&b);
}

static void the_same_number_over_and_over_is_the_same_bytes(void **state)
{
    (void)state;
    static int32_t values[1000];
    struct oto_buffer expected, b;
    oto_buffer_init(&expected, &oto_allocator_heap, 1 << 20);
    oto_buffer_init(&b, &oto_allocator_heap, 1 << 20);
    for (size_t i = 0; i < 1000; i++)
        values[i] = 32;
    for (size_t count = 0; count <= 1000; count += count < 260 ? 1 : 37) {
        expected.size = b.size = 0;
        assert_int_equal(oto_delta_encode32(values, count, &expected), OTO_OK);
        assert_int_equal(oto_delta_encode_same32(32, count, &b), OTO_OK);
        assert_int_equal(b.size, expected.size);
        assert_memory_equal(b.data, expected.data, b.size);
    }
    oto_buffer_release(&expected);
    oto_buffer_release(&b);
}

static void numbers_of_all_kinds_go_both_ways(void **state)
{
    (void)state;
    static int64_t wide[1000];
    static int32_t narrow[1000];
    uint64_t seed = 3;
    for (unsigned bits = 0; bits <= 64; bits++) {
        for (size_t count = 0; count <= 1000; count += count < 6 ? 1 : count < 300 ? 31 : 173) {
            for (size_t i = 0; i < count; i++) {
                uint64_t v = bits ? random_next(&seed) >> (64 - bits) : 0;
                if (bits % 3 == 0 && i) // rising, as timestamps do
                    v += (uint64_t)wide[i - 1];
                wide[i] = (int64_t)v;
                narrow[i] = (int32_t)(uint32_t)v;
            }
            if (count > 10) {
                wide[3] = INT64_MIN;
                wide[4] = INT64_MAX;
                narrow[3] = INT32_MIN;
                narrow[4] = INT32_MAX;
            }
            check64(wide, count);
            check32(narrow, count);
        }
    }
}

static enum oto_status decode(const char *bytes, size_t size, size_t count)
{
    int64_t values[300];
    return oto_delta_decode64(oto_bytes(bytes, size), values, count, NULL);
}

static void malformed_streams_are_refused(void **state)
{
    (void)state;
    assert_int_equal(decode("", 0, 0), OTO_CORRUPT);
    assert_int_equal(decode("\x80\x01\x04\x01\x02", 5, 1), OTO_OK);
    assert_int_equal(decode("\x80\x01\x04\x02\x02", 5, 2), OTO_CORRUPT); // no block
    assert_int_equal(decode("\x80\x01\x00\x01\x02", 5, 1), OTO_CORRUPT); // no miniblocks
    assert_int_equal(decode("\x80\x01\x08\x01\x02", 5, 1), OTO_CORRUPT); // of 16 values
    assert_int_equal(decode("\x00\x04\x01\x02", 4, 1), OTO_CORRUPT);
    assert_int_equal(decode("\x81\x01\x01\x01\x02", 5, 1), OTO_CORRUPT);
    assert_int_equal(decode("\x80\x01\x04\x02\x02\x02\x41\0\0\0", 10, 2), OTO_CORRUPT); // width 65
    assert_int_equal(decode("\x80\x02\x01\x02\x02\x02\x00", 7, 2), OTO_OK); // one miniblock of 256
}

static void byte_streams_are_split(void **state)
{
    (void)state;
    struct oto_buffer b;
    oto_buffer_init(&b, &oto_allocator_heap, 10000);
    static const uint8_t in[] = {0xAA, 0xBB, 0xCC, 0xDD, 0x00, 0x11,
                                 0x22, 0x33, 0xA3, 0xB4, 0xC5, 0xD6};
    static const uint8_t want[] = {0xAA, 0x00, 0xA3, 0xBB, 0x11, 0xB4,
                                   0xCC, 0x22, 0xC5, 0xDD, 0x33, 0xD6};
    assert_int_equal(oto_byte_stream_split(in, 3, 4, &b), OTO_OK); // Encodings.md
    assert_int_equal(b.size, 12);
    assert_memory_equal(b.data, want, 12);
    uint8_t many[61 * 8];
    for (size_t i = 0; i < sizeof many; i++)
        many[i] = (uint8_t)(i * 7 + i / 256);
    for (unsigned width = 4; width <= 8; width += 4) {
        for (size_t count = 0; count <= 61; count++) {
            b.size = 0;
            assert_int_equal(oto_byte_stream_split(many, count, width, &b), OTO_OK);
            assert_int_equal(b.size, count * width);
            for (size_t i = 0; i < count * width; i++)
                assert_int_equal(b.data[i % width * count + i / width], many[i]);
        }
    }
    assert_int_equal(oto_byte_stream_split(many, 1, 5, &b), OTO_UNSUPPORTED);
    oto_buffer_release(&b);
}

static void byte_streams_are_joined(void **state)
{
    (void)state;
    uint8_t values[100 * 12], streams[100 * 12], back[100 * 12];
    for (unsigned width = 1; width <= 12; width++) {
        for (size_t i = 0; i < 100 * width; i++) {
            values[i] = (uint8_t)(i * 31);
            streams[i % width * 100 + i / width] = values[i];
        }
        for (size_t first = 0; first < 100; first += 7) {
            size_t count = 100 - first < 7 ? 100 - first : 7;
            oto_byte_stream_join(streams, 100, width, first, count, back + first * width);
        }
        assert_memory_equal(back, values, 100 * width);
    }
}

static void pieces_are_the_whole(void **state)
{
    (void)state;
    enum { COUNT = 1000 };
    static int64_t values[COUNT], back[COUNT];
    static int32_t narrow[COUNT], narrow_back[COUNT];
    uint64_t x = 3;
    struct oto_buffer b;
    struct oto_delta_reader r;
    const uint8_t *end;
    oto_buffer_init(&b, &oto_allocator_heap, 1 << 20);
    for (size_t i = 0; i < COUNT; i++) {
        values[i] = (int64_t)random_next(&x) >> (i / 128 * 9 % 64);
        narrow[i] = (int32_t)values[i];
    }
    assert_int_equal(oto_delta_encode64(values, COUNT, &b), OTO_OK);
    size_t size = b.size;
    assert_int_equal(oto_delta_encode32(narrow, COUNT, &b), OTO_OK);
    assert_int_equal(oto_delta_reader_init(&r, oto_buffer_view(&b), 64), OTO_OK);
    for (size_t at = 0, some; at < COUNT; at += some) {
        assert_int_equal(oto_delta_end(&r, &end), OTO_OK);
        assert_ptr_equal(end, b.data + size);
        some = random_next(&x) % 50;
        some = some < COUNT - at ? some : COUNT - at;
        assert_int_equal(oto_delta_read64(&r, back + at, some), OTO_OK);
    }
    assert_memory_equal(back, values, sizeof values);
    assert_int_equal(oto_delta_read64(&r, back, 1), OTO_CORRUPT);
    assert_int_equal(oto_delta_reader_init(&r, oto_bytes(b.data + size, b.size - size), 32),
                     OTO_OK);
    for (size_t at = 0; at < COUNT; at += 8)
        assert_int_equal(oto_delta_read32(&r, narrow_back + at, 8), OTO_OK);
    assert_memory_equal(narrow_back, narrow, sizeof narrow);
    assert_int_equal(oto_delta_reader_init(&r, oto_bytes(b.data, size - 1), 64), OTO_OK);
    assert_int_equal(oto_delta_end(&r, &end), OTO_CORRUPT);
    oto_buffer_release(&b);
}

static void equal_values_are_told(void **state)
{
    (void)state;
    static const size_t counts[] = {1, 2, 129, 130, 1000};
    struct oto_buffer b;
    struct oto_delta_reader r;
    const uint8_t *end;
    oto_buffer_init(&b, &oto_allocator_heap, 1 << 20);
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        for (int change = 0; change < 2; change++) {
            int32_t values[1000];
            for (size_t k = 0; k < counts[i]; k++)
                values[k] = 16 + (change && k == counts[i] - 1);
            b.size = 0;
            assert_int_equal(oto_delta_encode32(values, counts[i], &b), OTO_OK);
            assert_int_equal(oto_buffer_append(&b, "\1\0", 2), OTO_OK);
            assert_int_equal(oto_delta_reader_init(&r, oto_buffer_view(&b), 32), OTO_OK);
            assert_int_equal(oto_delta_end(&r, &end), OTO_OK);
            assert_int_equal(oto_delta_is_same(&r, end), !change || counts[i] == 1);
        }
    }
    oto_buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(known_streams_are_written),
        cmocka_unit_test(numbers_of_all_kinds_go_both_ways),
        cmocka_unit_test(the_same_number_over_and_over_is_the_same_bytes),
        cmocka_unit_test(malformed_streams_are_refused),
        cmocka_unit_test(equal_values_are_told),
        cmocka_unit_test(byte_streams_are_split),
        cmocka_unit_test(byte_streams_are_joined),
        cmocka_unit_test(pieces_are_the_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
