#include "counted_allocator.h"

static void arena_memory_is_aligned_and_never_moves(void **state)
{
    (void)state;
    struct counted count = COUNTED_NO_LIMIT;
    struct oto_allocator a = counted_allocator(&count);
    struct oto_arena arena;
    oto_arena_init(&arena, &a, 1024, 1 << 20);
    uint8_t *kept[500];
    for (size_t i = 0; i < 500; i++) {
        size_t size = i * 37 % 900, alignment = (size_t)8 << i % 4;
        kept[i] = oto_arena_alloc_aligned(&arena, size, alignment);
        assert_non_null(kept[i]);
        assert_int_equal((uintptr_t)kept[i] % alignment, 0);
        memset(kept[i], (int)(i & 255), size);
    }
    for (size_t i = 0; i < 500; i++)
        for (size_t j = 0; j < i * 37 % 900; j++)
            assert_int_equal(kept[i][j], i & 255);
    oto_arena_reset(&arena);
    assert_int_equal(arena.used_bytes, 0);
    assert_int_equal(count.bytes, 1024);
    assert_non_null(oto_arena_alloc(&arena, 0));
    oto_arena_release(&arena);
    assert_int_equal(count.bytes, 0);
    assert_non_null(oto_arena_alloc(&arena, 0));
    oto_arena_release(&arena);
    oto_arena_release(&arena);
    oto_arena_release(&(struct oto_arena){0});
}

static void arena_keeps_its_limit(void **state)
{
    (void)state;
    struct oto_arena arena;
    oto_arena_init(&arena, &oto_allocator_heap, 256, 1000);
    size_t given = 0;
    while (oto_arena_alloc(&arena, 40))
        given += 40;
    assert_int_equal(given, 1000);
    assert_null(oto_arena_alloc(&arena, SIZE_MAX - 3));
    assert_null(oto_arena_alloc(&arena, SIZE_MAX));
    oto_arena_release(&arena);
    assert_null(oto_arena_alloc(&arena, 1001));
    assert_non_null(oto_arena_copy(&arena, "abc", 3));
    oto_arena_release(&arena);
}

static void arena_survives_a_failing_allocator(void **state)
{
    (void)state;
    for (int fail = 0; fail < 10; fail++) {
        struct counted count = {.calls_left = fail};
        struct oto_allocator a = counted_allocator(&count);
        struct oto_arena arena;
        oto_arena_init(&arena, &a, 512, 1 << 20);
        int failed = 0;
        for (size_t i = 0; i < 40; i++)
            failed += oto_arena_alloc(&arena, i * 10) == NULL;
        assert_true(failed > 0);
        oto_arena_release(&arena);
        assert_int_equal(count.bytes, 0);
    }
}

static void arena_gives_back_what_lies_alone_until_it_is_shared(void **state)
{
    (void)state;
    struct counted count = COUNTED_NO_LIMIT;
    struct oto_allocator a = counted_allocator(&count);
    struct oto_arena arena;
    oto_arena_init(&arena, &a, 1024, 1 << 20);
    for (int with_block = 0; with_block < 2; with_block++) {
        if (with_block)
            assert_non_null(oto_arena_alloc(&arena, 10));
        size_t used = arena.used_bytes, bytes = count.bytes;
        uint8_t *first = oto_arena_alloc_alone(&arena, 5000);
        uint8_t *second = oto_arena_alloc_alone(&arena, 99);
        assert_int_equal((uintptr_t)first % 64, 0);
        memset(first, 1, 5000);
        memset(second, 2, 99);
        oto_arena_free_alone(&arena, first, 5000);
        assert_int_equal(second[98], 2);
        oto_arena_free_alone(&arena, second, 99);
        oto_arena_free_alone(&arena, NULL, 7);
        assert_int_equal(arena.used_bytes, used);
        assert_int_equal(count.bytes, bytes);
    }
    assert_null(oto_arena_alloc_alone(&arena, 1 << 20));
    assert_null(oto_arena_alloc_alone(&arena, SIZE_MAX));
    uint8_t *kept = oto_arena_alloc_alone(&arena, 3000);
    memset(kept, 3, 3000);
    oto_arena_share(&arena);
    oto_arena_free_alone(&arena, kept, 3000);
    assert_int_equal(kept[2999], 3);
    oto_arena_release(&arena);
    assert_int_equal(count.bytes, 0);
}

static void arena_takes_back_what_came_after_a_mark(void **state)
{
    (void)state;
    static const size_t sizes[] = {10, 400, 5000, 300, 300, 300, 5000, 8};
    for (size_t before = 0; before < 8; before++) {
        struct counted count = COUNTED_NO_LIMIT;
        struct oto_allocator a = counted_allocator(&count);
        struct oto_arena arena;
        uint8_t *kept[8];
        oto_arena_init(&arena, &a, 1024, 1 << 20);
        for (size_t i = 0; i < before; i++)
            memset(kept[i] = oto_arena_alloc(&arena, sizes[i]), (int)i, sizes[i]);
        struct oto_arena_mark mark = oto_arena_mark(&arena);
        size_t used = arena.used_bytes, bytes = count.bytes;
        for (size_t after = 0; after <= 8; after++) {
            for (size_t i = 0; i < after; i++)
                memset(oto_arena_alloc(&arena, sizes[i]), 0xFF, sizes[i]);
            oto_arena_rollback(&arena, &mark);
            assert_int_equal(arena.used_bytes, used);
            assert_int_equal(count.bytes, bytes);
        }
        for (size_t i = 0; i < before; i++)
            assert_true(kept[i][0] == i && kept[i][sizes[i] - 1] == i);
        oto_arena_release(&arena);
        assert_int_equal(count.bytes, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(arena_memory_is_aligned_and_never_moves),
        cmocka_unit_test(arena_keeps_its_limit),
        cmocka_unit_test(arena_survives_a_failing_allocator),
        cmocka_unit_test(arena_gives_back_what_lies_alone_until_it_is_shared),
        cmocka_unit_test(arena_takes_back_what_came_after_a_mark),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
