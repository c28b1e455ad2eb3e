#include "cmocka_all.h"
#include "codec/crc.h"

static void published_values(void **state)
{
    (void)state;
    assert_int_equal(oto_crc32(0, "123456789", 9), 0xCBF43926u);
    assert_int_equal(oto_crc32_plain(0, "123456789", 9), 0xCBF43926u);
    assert_int_equal(oto_crc32c(0, "123456789", 9), 0xE3069283u);
    assert_int_equal(oto_crc32c_plain(0, "123456789", 9), 0xE3069283u);
    uint8_t zeros[32] = {0};
    assert_int_equal(oto_crc32c(0, zeros, 32), 0x8A9136AAu); // RFC 3720, B.4
    assert_int_equal(oto_crc32(7, NULL, 0), 7);
    assert_int_equal(oto_crc32c(7, NULL, 0), 7);
}

static void all_paths_agree_at_every_size_and_split(void **state)
{
    (void)state;
    static uint8_t data[20000];
    uint32_t x = 1;
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)((x = x * 1664525u + 1013904223u) >> 24);
    for (size_t size = 0; size < sizeof data; size += size < 100 ? 1 : 613) {
        uint32_t c = oto_crc32c_plain(0, data + 1, size), z = oto_crc32_plain(0, data + 1, size);
        assert_int_equal(oto_crc32c(0, data + 1, size), c);
        assert_int_equal(oto_crc32(0, data + 1, size), z);
        size_t half = size / 3;
        assert_int_equal(oto_crc32c(oto_crc32c(0, data + 1, half), data + 1 + half, size - half),
                         c);
        assert_int_equal(oto_crc32(oto_crc32(0, data + 1, half), data + 1 + half, size - half), z);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(published_values),
        cmocka_unit_test(all_paths_agree_at_every_size_and_split),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
