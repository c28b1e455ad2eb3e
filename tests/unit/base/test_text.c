#include "base/hash.h"
#include "base/text.h"
#include "cmocka_all.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static void check_double(double value, const char *want)
{
    char text[OTO_TEXT_DOUBLE_MAX + 1];
    text[oto_text_from_double(value, text)] = 0;
    assert_string_equal(text, want);
}

static void doubles_are_written_as_ecmascript_does(void **state)
{
    (void)state;
    check_double(0.0, "0");
    check_double(-0.0, "-0");
    check_double((double)NAN, "NaN");
    check_double((double)INFINITY, "Infinity");
    check_double(-(double)INFINITY, "-Infinity");
    check_double(0.1, "0.1");
    check_double(-1.5, "-1.5");
    check_double(0.1 + 0.2, "0.30000000000000004");
    check_double(1e20, "100000000000000000000");
    check_double(1e21, "1e+21");
    check_double(1e-6, "0.000001");
    check_double(1e-7, "1e-7");
    check_double(1.5e-7, "1.5e-7");
    check_double(123456789012345680.0, "123456789012345680");
    check_double(0x1p60, "1152921504606847000");
    check_double(9007199254740993.0, "9007199254740992");
    check_double(5e-324, "5e-324");
    check_double(2.2250738585072014e-308, "2.2250738585072014e-308");
    check_double(1.7976931348623157e308, "1.7976931348623157e+308");
    check_double(0x1p-44, "5.684341886080802e-14"); // the nearest of 16 digits does not read back
    check_double(9.5367431640625e-7, "9.5367431640625e-7");
    check_double(100, "100");
    check_double(999999999999999.9, "999999999999999.9");
    check_double(4.35, "4.35");
}

static size_t significant_digits(const char *text, size_t size)
{
    size_t count = 0, zeros = 0;
    for (size_t i = 0; i < size && text[i] != 'e'; i++) {
        if (text[i] < '0' || text[i] > '9' || (text[i] == '0' && count + zeros == 0))
            continue;
        if (text[i] == '0') {
            zeros++;
        } else {
            count += zeros + 1;
            zeros = 0;
        }
    }
    return count;
}

static void random_doubles_read_back_and_are_shortest(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 40000; i++) {
        uint64_t bits = oto_xxh64(&i, 8, 1);
        double value;
        memcpy(&value, &bits, 8);
        if (i % 4 == 1) // decimals as people write them
            value = (double)(bits % 10000000) / 1000.0;
        else if (i % 4 == 2)
            value = (double)(bits >> 4) * 0x1p-40;
        else if (i % 4 == 3)
            value = ldexp(1.0, (int)(i / 4 % 2098) - 1074);
        if (!isfinite(value))
            continue;
        char text[OTO_TEXT_DOUBLE_MAX];
        size_t size = oto_text_from_double(value, text);
        assert_true(size <= OTO_TEXT_DOUBLE_MAX);
        double back;
        assert_int_equal(oto_text_to_double(oto_bytes(text, size), &back), OTO_OK);
        assert_memory_equal(&back, &value, 8);
        size_t digits = significant_digits(text, size);
        if (digits > 1) { // one digit fewer, either way of rounding, is another number
            char shorter[40];
            snprintf(shorter, sizeof shorter, "%.*e", (int)digits - 2, value);
            assert_true(strtod(shorter, NULL) != value);
        }
    }
}

static void check_read(const char *text, enum oto_status status, double want)
{
    double got = 99;
    assert_int_equal(oto_text_to_double(oto_bytes_text(text), &got), status);
    if (status == OTO_OK)
        assert_memory_equal(&got, &want, 8);
    else
        assert_true(got == 99);
}

static void doubles_are_read_with_json_grammar(void **state)
{
    (void)state;
    static const char *const bad[] = {"",         "-",    "+1",  "01",    "1.",  ".5",  "1e",
                                      "1e+",      "0x10", " 1",  "1 ",    "1,5", "inf", "nan",
                                      "infinity", "-NaN", "--1", "1e5.0", "-.5"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        check_read(bad[i], OTO_INVALID, 0);
    check_read("0", OTO_OK, 0.0);
    check_read("-0", OTO_OK, -0.0);
    check_read("-0.0e5", OTO_OK, -0.0);
    check_read("1E+2", OTO_OK, 100);
    check_read("Infinity", OTO_OK, (double)INFINITY);
    check_read("-Infinity", OTO_OK, -(double)INFINITY);
    check_read("1e400", OTO_TOO_LARGE, 0);
    check_read("1.7976931348623159e308", OTO_TOO_LARGE, 0);
    check_read("1e-400", OTO_OK, 0.0);
    check_read("0e99999999999999999999", OTO_OK, 0.0);
    check_read("1e-99999999999999999999", OTO_OK, 0.0);
    check_read("1e99999999999999999999", OTO_TOO_LARGE, 0);
    check_read("9007199254740993", OTO_OK, 9007199254740992.0);
    check_read("9007199254740993.00000000000000000000000000000000000001", OTO_OK,
               9007199254740994.0);
    check_read("2.2250738585072011e-308", OTO_OK, 2.2250738585072011e-308);
    check_read("0.000000000000000000000000000000123e30", OTO_OK, 0.123);
    double nan;
    assert_int_equal(oto_text_to_double(oto_bytes_text("NaN"), &nan), OTO_OK);
    assert_true(isnan(nan));
}

// Against the C library: as many digits as a word holds, halves between two doubles among them.
static void decimals_are_rounded_as_the_c_library_does(void **state)
{
    (void)state;
    for (uint64_t i = 0; i < 100000; i++) {
        uint64_t mantissa = oto_xxh64(&i, 8, 2) >> (i % 64);
        int places = (int)(i / 64 % 20);
        if (i % 3 == 1) // between two doubles, or one beside it
            mantissa = ((mantissa | (uint64_t)1 << 63) >> 10 << 10 | 0x200) >> (i % 9) | i % 2;
        char text[48];
        snprintf(text, sizeof text, "%llue-%d", (unsigned long long)mantissa, places);
        double want = strtod(text, NULL), got = oto_text_decimal(mantissa, places), read;
        assert_memory_equal(&got, &want, 8);
        snprintf(text, sizeof text, "%llue%d", (unsigned long long)mantissa, (int)(i % 45) - 22);
        want = strtod(text, NULL);
        assert_int_equal(oto_text_to_double(oto_bytes_text(text), &read), OTO_OK);
        assert_memory_equal(&read, &want, 8);
    }
}

// Every byte at every place of an id.
static void hex_digits_are_told_from_all_other_bytes(void **state)
{
    (void)state;
    for (size_t size = 2; size <= 36; size += 2) {
        for (size_t place = 0; place < size; place++) {
            for (int byte = 0; byte < 256; byte++) {
                uint8_t text[36], back[18], expected[18];
                memset(text, '5', sizeof text);
                memset(expected, 0x55, sizeof expected);
                text[place] = (uint8_t)byte;
                const char *digit = byte ? strchr("0123456789abcdefABCDEF", byte) : NULL;
                assert_int_equal(oto_hex_decode(oto_bytes(text, size), back),
                                 digit ? OTO_OK : OTO_INVALID);
                if (!digit)
                    continue;
                unsigned value = byte <= '9' ? (unsigned)byte - '0' : ((unsigned)byte & 7) + 9;
                expected[place / 2] = (uint8_t)(place % 2 ? 0x50 | value : value << 4 | 5);
                assert_memory_equal(back, expected, size / 2);
            }
        }
    }
}

static void very_long_numbers_are_rounded_once(void **state)
{
    (void)state;
    static char text[1200];
    // Half way between 1 and the next double, then a non-zero digit far behind.
    memset(text, '0', sizeof text);
    memcpy(text, "1.00000000000000011102230246251565404236316680908203125", 55);
    double got;
    assert_int_equal(oto_text_to_double(oto_bytes(text, 1150), &got), OTO_OK);
    assert_true(got == 1.0);
    text[1149] = '1';
    assert_int_equal(oto_text_to_double(oto_bytes(text, 1150), &got), OTO_OK);
    assert_true(got == 1.0 + 0x1p-52);
    memset(text, '0', sizeof text);
    text[0] = '7';
    memcpy(text + 1001, "e-1000", 6);
    assert_int_equal(oto_text_to_double(oto_bytes(text, 1007), &got), OTO_OK);
    assert_true(got == 7.0);
}

static void integers_are_read_and_written(void **state)
{
    (void)state;
    static const int64_t values[] = {0, 1, -1, 9, 10, 99, 100, 101, -12345, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
        char text[OTO_TEXT_I64_MAX], want[32];
        size_t size = oto_text_from_i64(values[i], text);
        assert_int_equal(size, snprintf(want, sizeof want, "%lld", (long long)values[i]));
        assert_memory_equal(text, want, size);
        int64_t back;
        assert_int_equal(oto_text_to_i64(oto_bytes(text, size), &back), OTO_OK);
        assert_true(back == values[i]);
    }
    int64_t i;
    uint64_t u;
    assert_int_equal(oto_text_to_i64(oto_bytes_text("9223372036854775808"), &i), OTO_TOO_LARGE);
    assert_int_equal(oto_text_to_i64(oto_bytes_text("-9223372036854775809"), &i), OTO_TOO_LARGE);
    assert_int_equal(oto_text_to_u64(oto_bytes_text("18446744073709551615"), &u), OTO_OK);
    assert_true(u == UINT64_MAX);
    assert_int_equal(oto_text_to_u64(oto_bytes_text("18446744073709551616"), &u), OTO_TOO_LARGE);
    assert_int_equal(oto_text_to_u64(oto_bytes_text("99999999999999999999999"), &u), OTO_TOO_LARGE);
    assert_int_equal(oto_text_to_u64(oto_bytes_text("-1"), &u), OTO_INVALID);
    assert_int_equal(oto_text_to_i64(oto_bytes_text("-"), &i), OTO_INVALID);
    assert_int_equal(oto_text_to_i64(oto_bytes_text("1a"), &i), OTO_INVALID);
}

static void hex_and_base64_go_both_ways(void **state)
{
    (void)state;
    uint8_t bytes[64], back[64];
    char text[128];
    for (size_t size = 0; size <= sizeof bytes - 3; size++) {
        for (size_t i = 0; i < size; i++)
            bytes[i] = (uint8_t)(i * 89 + size * 7);
        oto_hex_encode(bytes, size, text);
        assert_int_equal(oto_hex_decode(oto_bytes(text, 2 * size), back), OTO_OK);
        assert_memory_equal(bytes, back, size);
        size_t length = oto_base64_encode(bytes, size, text), ret_size;
        assert_int_equal(length, oto_base64_size(size));
        assert_int_equal(oto_base64_decode(oto_bytes(text, length), back, &ret_size), OTO_OK);
        assert_int_equal(ret_size, size);
        assert_memory_equal(bytes, back, size);
        while (length && text[length - 1] == '=')
            length--;
        assert_int_equal(oto_base64_decode(oto_bytes(text, length), back, &ret_size), OTO_OK);
        assert_int_equal(ret_size, size);
        assert_memory_equal(bytes, back, size);
    }
    size_t size;
    assert_int_equal(oto_base64_encode("foobar", 6, text), 8);
    assert_memory_equal(text, "Zm9vYmFy", 8);
    assert_int_equal(oto_base64_decode(oto_bytes_text("-_+/"), back, &size), OTO_OK);
    assert_memory_equal(back, "\xfb\xff\xbf", 3);
    static const char *const bad[] = {
        "A", "AAAAA", "AA=", "AAA==", "A===", "AA=A", "AA*A", "====", "AAAA="};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_int_equal(oto_base64_decode(oto_bytes_text(bad[i]), back, &size), OTO_INVALID);
    assert_int_equal(oto_hex_decode(oto_bytes_text("aBcDeF"), back), OTO_OK);
    assert_memory_equal(back, "\xab\xcd\xef", 3);
    static const char *const bad_hex[] = {"a", "0g", "g0", "@0", "`0", "/0", ":0", "\xC1\x30"};
    for (size_t i = 0; i < sizeof bad_hex / sizeof *bad_hex; i++)
        assert_int_equal(oto_hex_decode(oto_bytes_text(bad_hex[i]), back), OTO_INVALID);
}

// Of each length, and at all bounds of a count of digits that is reckoned from bits.
static void integers_of_all_lengths_are_as_the_c_library_writes_them(void **state)
{
    (void)state;
    uint64_t near[2 * 64 + 20], power = 1;
    size_t count = 0;
    for (int bit = 0; bit < 64; bit++) {
        near[count++] = (uint64_t)1 << bit;
        near[count++] = ((uint64_t)1 << bit) - 1;
    }
    for (int digits = 0; digits < 20; digits++, power *= 10)
        near[count++] = power;
    for (size_t i = 0; i < count; i++) {
        for (uint64_t value = near[i] - 1; value != near[i] + 2; value++) {
            char want[32], text[OTO_TEXT_I64_MAX + 1];
            (void)snprintf(want, sizeof want, "%llu", (unsigned long long)value);
            memset(text, '#', sizeof text);
            size_t size = oto_text_from_u64(value, text);
            assert_int_equal(text[size], '#'); // not a byte behind it
            text[size] = 0;
            assert_string_equal(text, want);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(doubles_are_written_as_ecmascript_does),
        cmocka_unit_test(random_doubles_read_back_and_are_shortest),
        cmocka_unit_test(doubles_are_read_with_json_grammar),
        cmocka_unit_test(decimals_are_rounded_as_the_c_library_does),
        cmocka_unit_test(hex_digits_are_told_from_all_other_bytes),
        cmocka_unit_test(very_long_numbers_are_rounded_once),
        cmocka_unit_test(integers_are_read_and_written),
        cmocka_unit_test(integers_of_all_lengths_are_as_the_c_library_writes_them),
        cmocka_unit_test(hex_and_base64_go_both_ways),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
