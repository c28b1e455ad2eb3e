#include "parquet/parquet_internal.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
// clang-format off
#include <cmocka.h>
// clang-format on

// Whatever this machine has, the filter is the plain one; and it has a size of a power of two with
// eight bits or more a value.
static void filters_are_the_same_on_every_machine(void **state)
{
    (void)state;
    enum { COUNT = 1000, BYTES = 1024 };
    static uint64_t hashes[COUNT];
    static uint32_t plain[BYTES / 4];
    struct oto_buffer written;
    oto_buffer_init(&written, &oto_allocator_heap, 1 << 20);
    for (uint64_t i = 0; i < COUNT; i++)
        hashes[i] = (i + 1) * 0x9E3779B97F4A7C15u ^ i << 40;
    oto_parquet_bloom_insert_plain(hashes, COUNT, plain, BYTES / 32);
    assert_int_equal(oto_parquet_bloom_write(hashes, COUNT, &written), OTO_OK);
    assert_in_range(written.size, BYTES + 4, BYTES + 40); // with its header
    assert_memory_equal(written.data + written.size - BYTES, plain, BYTES);
    oto_buffer_release(&written);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(filters_are_the_same_on_every_machine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
