#include "base/nearest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void assert_nearest(const char *wanted, const char *expected)
{
    static const char *const names[] = {"memory_limit", "query_memory_limit", "data",
                                        "flush_rows",   "flush_bytes",        "flush_interval"};
    struct oto_nearest nearest;
    oto_nearest_init(&nearest, wanted);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        oto_nearest_add(&nearest, names[i]);
    assert_string_equal(nearest.name, expected);
}

static void a_slip_is_near(void **state)
{
    (void)state;
    assert_nearest("memory_limt", "memory_limit");
    assert_nearest("memory-limit", "memory_limit");
    assert_nearest("memroy_limit", "memory_limit");
    assert_nearest("dta", "data");
}

static void a_beginning_is_near_and_the_first_stays(void **state)
{
    (void)state;
    assert_nearest("mem", "memory_limit");
    assert_nearest("flush", "flush_rows");
    assert_nearest("fl", "");
}

static void what_is_far_is_not_named(void **state)
{
    (void)state;
    char longer[4 * OTO_NEAREST_MAX] = "memory_limit";
    assert_nearest("", "");
    assert_nearest("port", "");
    for (size_t i = 12; i < sizeof longer - 1; i++)
        longer[i] = 'x';
    assert_nearest(longer, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_slip_is_near),
        cmocka_unit_test(a_beginning_is_near_and_the_first_stays),
        cmocka_unit_test(what_is_far_is_not_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
