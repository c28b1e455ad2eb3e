#include "counted_allocator.h"

#include "net/recycler.h"

#define HELD 300

// Every block keeps its bytes until it is given back, whatever else is taken, resized and given;
// what was taken from below is given back with its size.
static void blocks_are_apart(void **state)
{
    (void)state;
    struct counted counted = COUNTED_NO_LIMIT;
    struct oto_allocator below = counted_allocator(&counted);
    struct oto_recycler *recycler = oto_recycler_new(&below);
    const struct oto_allocator *a = oto_recycler_allocator(recycler);
    uint8_t *held[HELD] = {NULL};
    size_t sizes[HELD] = {0};
    uint32_t random = 1;
    for (int step = 0; step < 100000; step++) {
        random = random * 1664525u + 1013904223u;
        size_t i = (random >> 8) % HELD, size = 1 + (random >> 17) % (step % 50 ? 2200 : 9000);
        for (size_t k = 0; k < sizes[i]; k++)
            assert_int_equal(held[i][k], (uint8_t)i);
        if (random >> 30 == 0) {
            oto_free(a, held[i], sizes[i]);
            held[i] = NULL;
            sizes[i] = 0;
            continue;
        }
        uint8_t *moved = held[i] ? oto_resize(a, held[i], sizes[i], size) : oto_alloc(a, size);
        assert_non_null(moved);
        assert_int_equal((uintptr_t)moved % 16, 0);
        for (size_t k = 0; k < size && k < sizes[i]; k++)
            assert_int_equal(moved[k], (uint8_t)i);
        memset(moved, (int)i, size);
        held[i] = moved;
        sizes[i] = size;
        if (step % 10000 == 0)
            oto_recycler_trim(recycler);
    }
    for (size_t i = 0; i < HELD; i++)
        oto_free(a, held[i], sizes[i]);
    oto_recycler_close(recycler);
    assert_int_equal(counted.blocks, 0);
    assert_int_equal(counted.bytes, 0);
}

static void it_outlives_its_owner(void **state)
{
    (void)state;
    struct counted counted = COUNTED_NO_LIMIT;
    struct oto_allocator below = counted_allocator(&counted);
    struct oto_recycler *recycler = oto_recycler_new(&below);
    const struct oto_allocator *a = oto_recycler_allocator(recycler);
    void *owed = oto_alloc(a, 100), *large = oto_alloc(a, 5000), *early = oto_alloc(a, 100);
    oto_free(a, early, 100);
    oto_recycler_close(recycler);
    assert_true(counted.blocks >= 3); // those two, and itself
    oto_free(a, large, 5000);
    oto_free(a, owed, 100);
    assert_int_equal(counted.blocks, 0);
    oto_recycler_close(NULL);
}

static void no_memory_is_told(void **state)
{
    (void)state;
    struct counted counted = COUNTED_NO_LIMIT;
    struct oto_allocator below = counted_allocator(&counted);
    struct oto_recycler *recycler = oto_recycler_new(&below);
    const struct oto_allocator *a = oto_recycler_allocator(recycler);
    uint8_t *block = oto_alloc(a, 40);
    block[39] = 7;
    counted.calls_left = 0;
    assert_null(oto_alloc(a, 500));
    assert_null(oto_alloc(a, 5000));
    assert_null(oto_resize(a, block, 40, 900));
    assert_int_equal(block[39], 7);
    assert_null(oto_recycler_new(&below));
    oto_free(a, block, 40);
    oto_recycler_close(recycler);
    assert_int_equal(counted.blocks, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(blocks_are_apart),
        cmocka_unit_test(it_outlives_its_owner),
        cmocka_unit_test(no_memory_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
