#include "base/utf8.h"
#include "cmocka_all.h"

// The standard's definition, one code point at a time: decode, then refuse overlong, surrogates,
// too large.
static size_t plain_prefix(const uint8_t *p, size_t size)
{
    size_t at = 0;
    while (at < size) {
        uint32_t c = p[at];
        size_t n = c < 0x80 ? 1 : c >> 5 == 6 ? 2 : c >> 4 == 14 ? 3 : c >> 3 == 30 ? 4 : 0;
        if (n == 0 || at + n > size)
            return at;
        c = n == 1 ? c : c & (0x7Fu >> n);
        for (size_t i = 1; i < n; i++) {
            if (p[at + i] >> 6 != 2)
                return at;
            c = c << 6 | (p[at + i] & 63u);
        }
        static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
        if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
            return at;
        at += n;
    }
    return at;
}

static void every_three_byte_start_is_judged_as_the_standard_does(void **state)
{
    (void)state;
    uint8_t text[4];
    for (uint32_t v = 0; v < 1u << 24; v += v & 0x800000 ? 1 : 0x101) {
        for (int last = 0; last < 2; last++) {
            text[0] = (uint8_t)(v >> 16);
            text[1] = (uint8_t)(v >> 8);
            text[2] = (uint8_t)v;
            text[3] = last ? 0x41 : 0xBF;
            if (oto_utf8_valid_prefix(text, 4) != plain_prefix(text, 4))
                fail_msg("%06x", v);
        }
    }
}

static void long_texts_with_one_fault_are_cut_at_the_fault(void **state)
{
    (void)state;
    uint8_t text[200];
    for (size_t at = 0; at < sizeof text; at++) {
        memset(text, 'a', sizeof text);
        assert_true(oto_utf8_valid(text, sizeof text));
        for (unsigned byte = 0x80; byte < 0x100; byte += 5) {
            text[at] = (uint8_t)byte;
            assert_int_equal(oto_utf8_valid_prefix(text, sizeof text), at);
            assert_false(oto_utf8_valid(text, sizeof text));
        }
    }
    assert_true(oto_utf8_valid(NULL, 0));
}

static void repair_follows_the_maximal_part_rule(void **state)
{
    (void)state;
    // The example of the Unicode standard, table 3-8, and others of its kind.
    static const char *const cases[][2] = {
        {"a\xF1\x80\x80\xE1\x80\xC2"
         "b\x80"
         "c\x80\xBF"
         "d",
         "a???b?c??d"},
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82"
         "A",
         "????????A"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF"
         "A",
         "????????A"},
        {"\xF4\x91\x92\x93\xFF"
         "A\x80\xBF"
         "B",
         "?????A??B"},
        {"plain \xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80",
         "plain \xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"},
        {"\xF0\x9F\x98", "?"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        uint8_t got[64], want[64];
        size_t want_size = 0;
        for (const char *p = cases[i][1]; *p; p++) {
            memcpy(want + want_size, *p == '?' ? "\xEF\xBF\xBD" : p, *p == '?' ? 3 : 1);
            want_size += *p == '?' ? 3 : 1;
        }
        size_t size = oto_utf8_repair(cases[i][0], strlen(cases[i][0]), got);
        assert_int_equal(size, want_size);
        assert_int_equal(oto_utf8_repaired_size(cases[i][0], strlen(cases[i][0])), want_size);
        assert_memory_equal(got, want, size);
        assert_true(oto_utf8_valid(got, size));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_three_byte_start_is_judged_as_the_standard_does),
        cmocka_unit_test(long_texts_with_one_fault_are_cut_at_the_fault),
        cmocka_unit_test(repair_follows_the_maximal_part_rule),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
