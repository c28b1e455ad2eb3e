#include "base/timestamp.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void times_are_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t us;
    } times[] = {{"1970-01-01", 0},
                 {"1970-01-01T00:00:00Z", 0},
                 {"1970-01-01 00:00:01", 1000000},
                 {"1969-12-31t23:59:59.9999999z", -1},
                 {"2000-02-29T12:30:00.5+01:30", 951822000500000},
                 {"2026-01-01T00:00:00-00:30", 1767227400000000},
                 {"0000-03-01", -62162035200000000},
                 {"9999-12-31T23:59:59.999999Z", 253402300799999999}};
    for (size_t i = 0; i < sizeof times / sizeof *times; i++) {
        int64_t us = 77;
        assert_int_equal(oto_timestamp_parse(times[i].text, &us), OTO_OK);
        assert_int_equal(us, times[i].us);
    }
}

static void all_else_is_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "now",
                                      "2026",
                                      "2026-1-1",
                                      "2026-13-01",
                                      "2026-02-29",
                                      "1900-02-29",
                                      "2026-01-00",
                                      "2026-01-01T",
                                      "2026-01-01T10",
                                      "2026-01-01T10:00",
                                      "2026-01-01T24:00:00",
                                      "2026-01-01T10:60:00",
                                      "2026-01-01T10:00:60",
                                      "2026-01-01T10:00:00.",
                                      "2026-01-01T10:00:00+1",
                                      "2026-01-01T10:00:00+24:00",
                                      "2026-01-01T10:00:00Zulu",
                                      "2026-01-01x",
                                      " 2026-01-01"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        int64_t us = 77;
        assert_int_equal(oto_timestamp_parse(bad[i], &us), OTO_INVALID);
        assert_int_equal(us, 77);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(times_are_read),
        cmocka_unit_test(all_else_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
