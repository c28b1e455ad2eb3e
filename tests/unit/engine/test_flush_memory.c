// Blocks never overlap, lie as low as they can, and no more pages stay than may.
#include "cmocka_all.h"

#include <string.h>

#include "engine/flush_memory.h"

#define KIB ((size_t)1 << 10)
#define STRETCH (8192 * KIB)

struct fixture {
    _Atomic uint64_t counted;
    struct oto_flush_memory m;
    struct oto_allocator memory;
};

static void begin(struct fixture *f, size_t kept)
{
    atomic_store(&f->counted, 0);
    oto_flush_memory_init(&f->m, &oto_allocator_heap, &f->counted);
    f->m.size_bytes = STRETCH;
    f->m.kept_bytes_max = kept;
    f->memory = oto_flush_memory_allocator(&f->m);
}

static void end(struct fixture *f)
{
    oto_flush_memory_release(&f->m);
    assert_int_equal(atomic_load(&f->counted), 0);
}

static uint8_t *take(struct fixture *f, size_t size, int fill)
{
    uint8_t *block = oto_alloc(&f->memory, size);
    assert_non_null(block);
    memset(block, fill, size);
    return block;
}

static void a_block_lies_at_the_lowest_place_with_room(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, STRETCH);
    uint8_t *a = take(&f, 100 * KIB, 1), *b = take(&f, 200 * KIB, 2), *c = take(&f, 100 * KIB, 3);
    assert_ptr_equal(b, a + 100 * KIB);
    assert_ptr_equal(c, b + 200 * KIB);
    oto_free(&f.memory, a, 100 * KIB);
    oto_free(&f.memory, b, 200 * KIB);
    uint8_t *both = take(&f, 300 * KIB, 4); // in the place of two
    assert_ptr_equal(both, a);
    assert_int_equal(c[0], 3);
    assert_int_equal(atomic_load(&f.counted), 400 * KIB);
    uint8_t *last = take(&f, 100 * KIB, 5);
    assert_ptr_equal(last, c + 100 * KIB);
    oto_free(&f.memory, both, 300 * KIB);
    assert_ptr_equal(take(&f, 64 * KIB, 6), a);
    assert_ptr_equal(take(&f, 300 * KIB, 6), last + 100 * KIB);
    assert_int_equal(c[100 * KIB - 1], 3);
    end(&f);
}

static void a_block_grows_where_it_is_or_moves_with_its_bytes(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, STRETCH);
    uint8_t *a = take(&f, 100 * KIB, 1);
    assert_ptr_equal(oto_resize(&f.memory, a, 100 * KIB, 300 * KIB), a);
    uint8_t *b = take(&f, 100 * KIB, 2);
    assert_ptr_equal(b, a + 300 * KIB);
    uint8_t *moved = oto_resize(&f.memory, a, 300 * KIB, 400 * KIB);
    assert_ptr_equal(moved, b + 100 * KIB);
    for (size_t i = 0; i < 100 * KIB; i++)
        assert_int_equal(moved[i], 1);
    assert_ptr_equal(oto_resize(&f.memory, moved, 400 * KIB, 64 * KIB), moved);
    uint8_t *out = oto_resize(&f.memory, moved, 64 * KIB, 1000); // becomes a small one
    assert_int_equal(out[999], 1);
    uint8_t *in = oto_resize(&f.memory, out, 1000, 100 * KIB); // and a large one again
    assert_ptr_equal(in, a);
    assert_int_equal(in[999], 1);
    assert_int_equal(b[0], 2);
    end(&f);
}

static void small_ones_and_what_finds_no_place_come_from_elsewhere(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, STRETCH);
    uint8_t *small = take(&f, 1000, 1), *huge = take(&f, STRETCH + 1, 2);
    assert_int_equal(atomic_load(&f.counted), 0);
    uint8_t *blocks[OTO_FLUSH_MEMORY_BLOCKS + 1];
    for (uint32_t i = 0; i <= OTO_FLUSH_MEMORY_BLOCKS; i++)
        blocks[i] = take(&f, 64 * KIB, (int)i);
    assert_int_equal(atomic_load(&f.counted), STRETCH);
    for (uint32_t i = 0; i <= OTO_FLUSH_MEMORY_BLOCKS; i++) {
        assert_int_equal(blocks[i][64 * KIB - 1], (uint8_t)i);
        oto_free(&f.memory, blocks[i], 64 * KIB);
    }
    oto_free(&f.memory, small, 1000);
    oto_free(&f.memory, huge, STRETCH + 1);
    end(&f);
}

static void no_more_than_may_stays(void **state)
{
    (void)state;
    struct fixture f;
    begin(&f, 200 * KIB);
    uint8_t *a = take(&f, 100 * KIB, 1), *b = take(&f, 300 * KIB, 2);
    oto_free(&f.memory, a, 100 * KIB);
    assert_int_equal(atomic_load(&f.counted), 400 * KIB);
    oto_free(&f.memory, b, 300 * KIB);
    assert_int_equal(atomic_load(&f.counted), 200 * KIB);
    uint8_t *again = oto_alloc(&f.memory, 400 * KIB);
    assert_ptr_equal(again, a);
    assert_int_equal(again[300 * KIB], 0); // a fresh page
    oto_flush_memory_trim(&f.m, 0);        // not while it is in use
    assert_int_equal(atomic_load(&f.counted), 400 * KIB);
    oto_free(&f.memory, again, 400 * KIB);
    oto_flush_memory_trim(&f.m, 3600u * 1000000000ull);
    assert_int_equal(atomic_load(&f.counted), 200 * KIB);
    oto_flush_memory_trim(&f.m, 0);
    assert_int_equal(atomic_load(&f.counted), 0);
    end(&f);
}

// Sizes as they come; each block keeps its bytes until it goes.
static void any_order_of_requests_keeps_blocks_apart(void **state)
{
    (void)state;
    enum { SLOTS = 24 };
    struct fixture f;
    uint8_t *blocks[SLOTS] = {NULL};
    size_t sizes[SLOTS] = {0};
    uint32_t random = 1;
    begin(&f, 1000 * KIB);
    for (int step = 0; step < 3000; step++) {
        random = random * 1664525u + 1013904223u;
        uint32_t i = random >> 8 & 0xFFFF, slot = i % SLOTS;
        size_t size = (60 + (random >> 24)) * KIB + (i & 4095);
        for (size_t at = 0; at < sizes[slot]; at += 997)
            assert_int_equal(blocks[slot][at], (uint8_t)slot);
        if (blocks[slot] && i & 64) {
            oto_free(&f.memory, blocks[slot], sizes[slot]);
            blocks[slot] = NULL;
            sizes[slot] = 0;
            continue;
        }
        blocks[slot] = oto_resize(&f.memory, blocks[slot], sizes[slot], size);
        assert_non_null(blocks[slot]);
        sizes[slot] = size;
        memset(blocks[slot], (int)slot, size);
    }
    for (uint32_t slot = 0; slot < SLOTS; slot++)
        oto_free(&f.memory, blocks[slot], sizes[slot]);
    assert_true(atomic_load(&f.counted) <= 1000 * KIB);
    end(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_block_lies_at_the_lowest_place_with_room),
        cmocka_unit_test(a_block_grows_where_it_is_or_moves_with_its_bytes),
        cmocka_unit_test(small_ones_and_what_finds_no_place_come_from_elsewhere),
        cmocka_unit_test(no_more_than_may_stays),
        cmocka_unit_test(any_order_of_requests_keeps_blocks_apart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
