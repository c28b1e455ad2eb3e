#include "cmocka_all.h"
#include "codec/rle.h"

static uint32_t random_next(uint32_t *x)
{
    *x = *x * 1664525u + 1013904223u;
    return *x >> 8 ^ *x << 16;
}

// The format's definition, a bit at a time.
static void plain_pack(const uint64_t *values, size_t count, unsigned width, uint8_t *output)
{
    memset(output, 0, (count + 7) / 8 * width);
    for (size_t i = 0; i < count; i++)
        for (unsigned b = 0; b < width; b++)
            if (values[i] >> b & 1)
                output[(i * width + b) / 8] |= (uint8_t)(1 << (i * width + b) % 8);
}

static void packing_of_every_width_follows_the_format(void **state)
{
    (void)state;
    uint32_t seed = 1;
    for (unsigned width = 0; width <= 64; width++) {
        for (size_t count = 0; count <= 300; count += count < 80 ? 1 : 31) {
            uint64_t wide[300];
            uint32_t narrow[300];
            uint8_t want[2432], got[2433];
            for (size_t i = 0; i < count; i++) {
                uint64_t v = (uint64_t)random_next(&seed) << 32 | random_next(&seed);
                wide[i] = width ? v >> (64 - width) : 0;
                narrow[i] = (uint32_t)wide[i];
            }
            size_t size = (count + 7) / 8 * width;
            plain_pack(wide, count, width, want);
            got[size] = 0xA5;
            oto_bits_pack64(wide, count, width, got);
            assert_memory_equal(got, want, size);
            assert_int_equal(got[size], 0xA5);
            if (width > 32)
                continue;
            memset(got, 0xFF, size);
            oto_bits_pack32(narrow, count, width, got);
            assert_memory_equal(got, want, size);
            assert_int_equal(got[size], 0xA5);
        }
    }
}

static void check_bytes(const uint32_t *values, size_t count, unsigned width, const char *want,
                        size_t size)
{
    struct oto_buffer b;
    oto_buffer_init(&b, &oto_allocator_heap, 1 << 20);
    assert_int_equal(oto_rle_encode(values, count, width, &b), OTO_OK);
    assert_int_equal(b.size, size);
    assert_memory_equal(b.data, want, size);
    oto_buffer_release(&b);
}
#define CHECK_BYTES(values, count, width, want)                                                    \
    check_bytes(values, count, width, want, sizeof(want) - 1)

static void known_streams_are_written(void **state)
{
    (void)state;
    uint32_t v[300];
    for (uint32_t i = 0; i < 300; i++)
        v[i] = i % 8;
    CHECK_BYTES(v, 8, 3, "\x03\x88\xC6\xFA"); // Encodings.md
    CHECK_BYTES(v, 4, 3, "\x03\x88\x06\x00"); // padded with zeros
    for (size_t i = 0; i < 300; i++)
        v[i] = 0x123;
    CHECK_BYTES(v, 300, 9, "\xD8\x04\x23\x01");
    CHECK_BYTES(v, 3, 9, "\x06\x23\x01");
    CHECK_BYTES(v, 0, 9, "");
    memset(v, 0, sizeof v);
    CHECK_BYTES(v, 5, 0, "\x0A");
    for (size_t i = 0; i < 300; i++)
        v[i] = i >= 8;
    CHECK_BYTES(v, 208, 1, "\x03\x00\x90\x03\x01");
}

static void check_round_trip(const uint32_t *values, size_t count, unsigned width)
{
    static uint32_t back[20000];
    struct oto_buffer b;
    size_t consumed;
    oto_buffer_init(&b, &oto_allocator_heap, 1 << 20);
    assert_int_equal(oto_rle_encode(values, count, width, &b), OTO_OK);
    memset(back, 0xEE, count * 4);
    uint8_t *exact = test_malloc(b.size + 1); // so that a sanitizer sees a read too far
    if (b.size)
        memcpy(exact, b.data, b.size);
    assert_int_equal(oto_rle_decode(oto_bytes(exact, b.size), width, back, count, &consumed),
                     OTO_OK);
    assert_int_equal(consumed, b.size);
    assert_memory_equal(back, values, count * 4);
    if (count && width)
        assert_int_equal(oto_rle_decode(oto_bytes(exact, b.size - 1), width, back, count, NULL),
                         exact[0] & 1 && b.size > 1 && (count * width + 7) / 8 + 1 < b.size
                             ? OTO_OK
                             : OTO_CORRUPT);
    test_free(exact);
    oto_buffer_release(&b);
}

static void runs_of_all_kinds_go_both_ways(void **state)
{
    (void)state;
    static uint32_t values[20000];
    uint32_t seed = 7;
    for (unsigned width = 0; width <= 32; width++) {
        uint32_t mask = width == 32 ? UINT32_MAX : (1u << width) - 1;
        for (unsigned longest = 1; longest <= 4096; longest *= 4) {
            size_t count = 3000 + random_next(&seed) % 17000;
            for (size_t i = 0; i < count;) {
                uint32_t value = random_next(&seed) & mask, run = 1 + random_next(&seed) % longest;
                while (run-- && i < count)
                    values[i++] = value;
            }
            struct oto_buffer b;
            size_t consumed;
            static uint32_t back[20000];
            oto_buffer_init(&b, &oto_allocator_heap, 1 << 20);
            assert_int_equal(oto_rle_encode(values, count, width, &b), OTO_OK);
            assert_int_equal(oto_rle_decode(oto_buffer_view(&b), width, back, count, &consumed),
                             OTO_OK);
            assert_int_equal(consumed, b.size);
            assert_memory_equal(back, values, count * 4);
            assert_true(b.size <= count * width / 8 + count / 256 + width + 16);
            oto_buffer_release(&b);
        }
    }
    for (size_t count = 0; count < 100; count++) {
        for (size_t i = 0; i < count; i++)
            values[i] = (uint32_t)i & 7;
        check_round_trip(values, count, 3);
        for (size_t i = 0; i < count; i++)
            values[i] = 5;
        check_round_trip(values, count, 3);
    }
}

static enum oto_status decode(const char *bytes, size_t size, unsigned width, size_t count)
{
    uint32_t values[64];
    return oto_rle_decode(oto_bytes(bytes, size), width, values, count, NULL);
}

static void malformed_streams_are_refused(void **state)
{
    (void)state;
    assert_int_equal(decode("", 0, 3, 1), OTO_CORRUPT);
    assert_int_equal(decode("", 0, 3, 0), OTO_OK);
    assert_int_equal(decode("\x00\x01", 2, 3, 1), OTO_CORRUPT); // an empty run
    assert_int_equal(decode("\x01\x01", 2, 3, 1), OTO_CORRUPT); // no groups
    assert_int_equal(decode("\x02", 1, 3, 1), OTO_CORRUPT);
    assert_int_equal(decode("\x02\x08", 2, 3, 1), OTO_CORRUPT); // value past the width
    assert_int_equal(decode("\x02\x07", 2, 3, 2), OTO_CORRUPT); // too few
    assert_int_equal(decode("\x02\x07", 2, 33, 1), OTO_CORRUPT);
    assert_int_equal(decode("\x03\x88\xC6", 3, 3, 8), OTO_CORRUPT);
    assert_int_equal(decode("\x03\x88\xC6", 3, 3, 5), OTO_OK); // only padding is missing
    assert_int_equal(decode("\xFF\xFF\xFF\xFF\x0F\x01", 6, 32, 64), OTO_CORRUPT);
    assert_int_equal(decode("\xFF\xFF\xFF\xFF\x1F\x01", 6, 1, 1), OTO_CORRUPT);
    assert_int_equal(decode("\xFF\xFF\xFF\xFF\xFF\xFF", 6, 1, 1), OTO_CORRUPT);
}

// Pieces of any size, and runs taken at once, are what one read of all gives.
static void pieces_are_the_whole(void **state)
{
    (void)state;
    static uint32_t values[5000], back[5000];
    uint32_t x = 7;
    for (unsigned width = 0; width <= 32; width += width < 9 ? 1 : 7) {
        uint32_t mask = width == 32 ? UINT32_MAX : ((uint32_t)1 << width) - 1;
        for (size_t i = 0; i < 5000;) {
            size_t run = random_next(&x) % 3 ? 1 : random_next(&x) % 90;
            uint32_t value = random_next(&x) & mask;
            while (run-- && i < 5000)
                values[i++] = value;
        }
        struct oto_buffer b;
        oto_buffer_init(&b, &oto_allocator_heap, 1 << 20);
        assert_int_equal(oto_rle_encode(values, 5000, width, &b), OTO_OK);
        struct oto_rle_reader r;
        oto_rle_reader_init(&r, oto_buffer_view(&b), width);
        for (size_t at = 0; at < 5000;) {
            size_t some = 1 + random_next(&x) % 70, equal = 0;
            uint32_t value = 0;
            some = some < 5000 - at ? some : 5000 - at;
            if (random_next(&x) % 2) {
                assert_int_equal(oto_rle_read_equal(&r, some, &value, &equal), OTO_OK);
                for (size_t i = 0; i < equal; i++)
                    back[at + i] = value;
            }
            if (!equal) {
                assert_int_equal(oto_rle_read(&r, back + at, some), OTO_OK);
                equal = some;
            }
            at += equal;
        }
        assert_memory_equal(back, values, sizeof values);
        oto_buffer_release(&b);
    }
}

static void the_least_and_the_greatest_are_found(void **state)
{
    (void)state;
    uint32_t values[100], random = 1;
    for (size_t count = 1; count <= 100; count++) {
        for (int round = 0; round < 20; round++) {
            uint32_t least = UINT32_MAX, most = 0, min, max;
            for (size_t i = 0; i < count; i++) {
                random = random * 1664525u + 1013904223u;
                values[i] = random >> (round + 1);
                least = values[i] < least ? values[i] : least;
                most = values[i] > most ? values[i] : most;
            }
            oto_codes_range(values, count, &min, &max);
            assert_true(min == least && max == most);
            oto_codes_range_plain(values, count, &min, &max);
            assert_true(min == least && max == most);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packing_of_every_width_follows_the_format),
        cmocka_unit_test(known_streams_are_written),
        cmocka_unit_test(runs_of_all_kinds_go_both_ways),
        cmocka_unit_test(pieces_are_the_whole),
        cmocka_unit_test(malformed_streams_are_refused),
        cmocka_unit_test(the_least_and_the_greatest_are_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
