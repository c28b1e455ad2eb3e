#include "counted_allocator.h"

#include "net/small_blocks.h"

#define HELD 400

// Every block keeps its bytes until it is given back, whatever else is taken, resized and given.
static void blocks_are_apart(void **state)
{
    (void)state;
    struct counted counted = COUNTED_NO_LIMIT;
    struct oto_allocator allocator = counted_allocator(&counted);
    struct oto_small_blocks blocks;
    uint8_t *held[HELD] = {NULL};
    size_t sizes[HELD] = {0};
    uint32_t random = 1;
    oto_small_blocks_init(&blocks, &allocator);
    for (int step = 0; step < 100000; step++) {
        random = random * 1664525u + 1013904223u;
        size_t i = (random >> 8) % HELD, size = (random >> 17) % (step % 50 ? 1100 : 9000);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(held[i][k], (uint8_t)i);
        if (random >> 30 == 0) {
            oto_small_blocks_give(&blocks, held[i]);
            held[i] = NULL;
            sizes[i] = 0;
            continue;
        }
        uint8_t *moved = oto_small_blocks_resize(&blocks, held[i], size);
        assert_non_null(moved);
        assert_int_equal((uintptr_t)moved % 16, 0);
        for (size_t k = 0; k < size && k < sizes[i]; k++)
            assert_int_equal(moved[k], (uint8_t)i);
        memset(moved, (int)i, size);
        held[i] = moved;
        sizes[i] = size;
    }
    for (size_t i = 0; i < HELD; i++)
        oto_small_blocks_give(&blocks, held[i]);
    oto_small_blocks_release(&blocks);
    assert_int_equal(counted.blocks, 0);
}

static void what_was_given_back_is_taken_again(void **state)
{
    (void)state;
    struct counted counted = COUNTED_NO_LIMIT;
    struct oto_allocator allocator = counted_allocator(&counted);
    struct oto_small_blocks blocks;
    void *held[20];
    oto_small_blocks_init(&blocks, &allocator);
    for (int round = 0; round < 10; round++) {
        for (size_t i = 0; i < 20; i++)
            held[i] = oto_small_blocks_take(&blocks, 40 * i);
        for (size_t i = 0; i < 20; i++)
            oto_small_blocks_give(&blocks, held[i]);
    }
    assert_int_equal(counted.calls, OTO_ASAN ? 201 : 21);
    assert_int_equal(blocks.short_count, 0);
    oto_small_blocks_release(&blocks);
    assert_int_equal(counted.blocks, 0);
}

static void the_reserve_serves_when_memory_is_out(void **state)
{
    (void)state;
    struct counted counted = COUNTED_NO_LIMIT;
    struct oto_allocator allocator = counted_allocator(&counted);
    struct oto_small_blocks blocks;
    void *held[5];
    oto_small_blocks_init(&blocks, &allocator);
    counted.calls_left = 0;
    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < 5; i++) {
            held[i] = oto_small_blocks_take(&blocks, 6000);
            assert_non_null(held[i]);
            memset(held[i], (int)i, 6000);
        }
        assert_int_equal(blocks.short_count, 6 * round + 5);
        assert_null(oto_small_blocks_take(&blocks, 6000)); // used up
        for (size_t i = 0; i < 5; i++)
            oto_small_blocks_give(&blocks, held[i]);
    }
    assert_null(oto_small_blocks_take(&blocks, SIZE_MAX));
    oto_small_blocks_give(&blocks, NULL);
    oto_small_blocks_release(&blocks);
    assert_int_equal(counted.blocks, 0);
    oto_small_blocks_init(&blocks, &allocator); // no reserve either
    assert_null(oto_small_blocks_take(&blocks, 1));
    oto_small_blocks_release(&blocks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_apart),
        cmocka_unit_test(what_was_given_back_is_taken_again),
        cmocka_unit_test(the_reserve_serves_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
