// Blocks that come back are given out again, and no one's bytes are another's.
#include "cmocka_all.h"

#include <string.h>

#include "engine/page_pool.h"

#define KIB ((size_t)1 << 10)

static void a_block_serves_requests_of_half_its_size_up(void **state)
{
    (void)state;
    _Atomic uint64_t counted = 0;
    struct oto_page_pool pool;
    oto_page_pool_init(&pool, &counted);
    pool.large_bytes_max = 10 << 20;
    struct oto_allocator memory = oto_page_pool_allocator(&pool);
    uint8_t *block = oto_alloc(&memory, 1000 * KIB);
    memset(block, 1, 1000 * KIB);
    oto_free(&memory, block, 1000 * KIB);
    assert_true(atomic_load(&counted) >= 1000 * KIB);
    uint8_t *small = oto_alloc(&memory, 300 * KIB), *same = oto_alloc(&memory, 600 * KIB);
    assert_ptr_not_equal(small, block);
    assert_ptr_equal(same, block);
    assert_int_equal(atomic_load(&counted), 0);
    // It comes back whole, whatever was asked for.
    oto_free(&memory, same, 600 * KIB);
    assert_ptr_equal(oto_alloc(&memory, 1000 * KIB), block);
    oto_free(&memory, block, 1000 * KIB);
    oto_free(&memory, small, 300 * KIB);
    oto_page_pool_release(&pool);
    assert_int_equal(atomic_load(&counted), 0);
}

static void what_is_beyond_the_limit_goes_back(void **state)
{
    (void)state;
    _Atomic uint64_t counted = 0;
    struct oto_page_pool pool;
    oto_page_pool_init(&pool, &counted);
    pool.large_bytes_max = 1000 * KIB;
    struct oto_allocator memory = oto_page_pool_allocator(&pool);
    uint8_t *first = oto_alloc(&memory, 600 * KIB), *second = oto_alloc(&memory, 600 * KIB);
    oto_free(&memory, first, 600 * KIB);
    oto_free(&memory, second, 600 * KIB);
    assert_in_range(atomic_load(&counted), 600 * KIB, 1000 * KIB);
    oto_page_pool_trim(&pool, 0);
    assert_int_equal(atomic_load(&counted), 0);
    oto_page_pool_release(&pool);
}

static void forgotten_pages_go_back_and_their_blocks_stay(void **state)
{
    (void)state;
    _Atomic uint64_t counted = 0;
    struct oto_page_pool pool;
    oto_page_pool_init(&pool, &counted);
    pool.large_bytes_max = 10 << 20;
    struct oto_allocator memory = oto_page_pool_allocator(&pool);
    uint8_t *first = oto_alloc(&memory, 600 * KIB), *second = oto_alloc(&memory, 90 * KIB);
    uint8_t *used = oto_alloc(&memory, 600 * KIB);
    memset(first, 1, 600 * KIB);
    memset(second, 2, 90 * KIB);
    memset(used, 3, 600 * KIB);
    oto_free(&memory, first, 600 * KIB);
    oto_free(&memory, second, 90 * KIB);
    uint64_t before = atomic_load(&counted);
    oto_page_pool_forget(&pool);
    assert_int_equal(atomic_load(&counted), before);
    assert_ptr_equal(oto_alloc(&memory, 600 * KIB), first);
    assert_ptr_equal(oto_alloc(&memory, 90 * KIB), second);
    for (size_t at = 4 * KIB; at < 600 * KIB; at += 4 * KIB) // all but the first page
        assert_int_equal(first[at], 0);
    assert_int_equal(second[50 * KIB], 0);
    assert_int_equal(used[50 * KIB], 3);
    oto_free(&memory, first, 600 * KIB);
    oto_free(&memory, second, 90 * KIB);
    oto_free(&memory, used, 600 * KIB);
    oto_page_pool_release(&pool);
    assert_int_equal(atomic_load(&counted), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_serves_requests_of_half_its_size_up),
        cmocka_unit_test(what_is_beyond_the_limit_goes_back),
        cmocka_unit_test(forgotten_pages_go_back_and_their_blocks_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
