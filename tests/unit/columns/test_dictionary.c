#include "cmocka_all.h"
#include "columns/dictionary.h"
#include <stdio.h>

static uint32_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

// Value number n: distinct for every n, of 0 to 40 bytes.
static struct oto_bytes value_of(uint32_t n, char *room)
{
    int size =
        n ? snprintf(room, 64, "%u%.*s", n, (int)(n % 31), "abcdefghijklmnopqrstuvwxyzabcdef") : 0;
    return oto_bytes(room, (size_t)size);
}

static void equal_means_every_byte(void **state)
{
    (void)state;
    uint8_t a[80], b[80];
    for (size_t size = 0; size <= 72; size++) {
        for (size_t i = 0; i < sizeof a; i++)
            a[i] = b[i] = (uint8_t)(i * 7);
        b[size] ^= 1; // beyond
        assert_true(oto_dictionary_same(a, b, size));
        for (size_t i = 0; i < size; i++) {
            b[i] ^= 0x80;
            assert_false(oto_dictionary_same(a, b, size));
            b[i] ^= 0x80;
        }
    }
}

#define MODEL_MAX 4000

// A dictionary beside a plain list, through adds, hints, searches and rollbacks.
static void random_use_agrees_with_a_list(void **state)
{
    (void)state;
    static uint32_t model[MODEL_MAX];
    char room[64];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        uint64_t random = seed;
        uint32_t count = 0, values = seed % 2 ? 300 : 3900;
        struct oto_arena arena;
        struct oto_dictionary d;
        oto_arena_init(&arena, &oto_allocator_heap, 1 << 14, SIZE_MAX);
        oto_dictionary_init(&d, &arena, seed, 1);
        for (int step = 0; step < 6000; step++) {
            uint32_t n = next_random(&random) % values, code = UINT32_MAX, at = 0;
            struct oto_bytes value = value_of(n, room);
            while (at < count && model[at] != n)
                at++;
            unsigned what = next_random(&random) % 100;
            if (what < 1) {
                count = count - (count ? next_random(&random) % (count / (what ? 1 : 4) + 1) : 0);
                oto_dictionary_rollback(&d, count);
            } else if (what < 30) {
                assert_int_equal(oto_dictionary_find(&d, value, &code),
                                 at < count ? OTO_OK : OTO_NOT_FOUND);
                assert_int_equal(code, at < count ? at : UINT32_MAX);
            } else {
                uint32_t hint = next_random(&random) % 2 ? at : next_random(&random) % 64;
                assert_int_equal(oto_dictionary_add_hinted(&d, value, hint, &code), OTO_OK);
                assert_int_equal(code, at);
                if (at == count)
                    model[count++] = n;
            }
            assert_int_equal(d.count, count);
        }
        uint64_t size_bytes = 0;
        for (uint32_t i = 0; i < count; i++) {
            assert_true(oto_bytes_equal(d.entries[i], value_of(model[i], room)));
            size_bytes += d.entries[i].size;
        }
        assert_int_equal(d.size_bytes, size_bytes);
        oto_arena_release(&arena);
    }
}

static void entries_stay_readable_while_it_grows(void **state)
{
    (void)state;
    struct oto_arena arena;
    struct oto_dictionary d, early = {0};
    char room[64];
    uint32_t code;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 14, SIZE_MAX);
    oto_dictionary_init(&d, &arena, 1, 1);
    for (uint32_t n = 0; n < 5000; n++) {
        if (n == 10)
            early = d;
        assert_int_equal(oto_dictionary_add(&d, value_of(n, room), &code), OTO_OK);
    }
    assert_ptr_not_equal(early.entries, d.entries);
    for (uint32_t n = 0; n < early.count; n++)
        assert_true(oto_bytes_equal(early.entries[n], value_of(n, room)));
    oto_arena_release(&arena);
}

static void a_useless_one_becomes_plain(void **state)
{
    (void)state;
    enum { ADDS = 40000 };
    struct oto_arena arena;
    struct oto_dictionary d, kept, useful;
    char room[64];
    uint32_t code, plain_at = 0;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 16, SIZE_MAX);
    oto_dictionary_init(&d, &arena, 1, 0);
    oto_dictionary_init(&kept, &arena, 1, 1);
    oto_dictionary_init(&useful, &arena, 1, 0);
    for (uint32_t n = 0; n < ADDS; n++) {
        assert_int_equal(oto_dictionary_add(&d, value_of(n, room), &code), OTO_OK);
        plain_at = d.plain && !plain_at ? n : plain_at;
        assert_int_equal(oto_dictionary_add(&kept, value_of(n, room), &code), OTO_OK);
        // All new for 7000 adds, and then never again.
        assert_int_equal(oto_dictionary_add(&useful, value_of(n % 7000, room), &code), OTO_OK);
    }
    assert_true(plain_at >= 16383 && plain_at < 16384 + 4096);
    assert_false(kept.plain || useful.plain);
    // An old value is a new entry, but a hint still holds.
    assert_int_equal(oto_dictionary_add(&d, value_of(7, room), &code), OTO_OK);
    assert_int_equal(code, ADDS);
    assert_int_equal(oto_dictionary_add_hinted(&d, value_of(7, room), ADDS, &code), OTO_OK);
    assert_int_equal(code, ADDS);
    oto_dictionary_rollback(&d, ADDS - 1);
    assert_int_equal(oto_dictionary_find(&d, value_of(ADDS - 2, room), &code), OTO_OK);
    assert_int_equal(code, ADDS - 2);
    assert_int_equal(oto_dictionary_find(&d, value_of(ADDS - 1, room), &code), OTO_NOT_FOUND);
    oto_arena_release(&arena);
}

// Of five values of a column four repeat, mostly known to hints: the fifth, always new, must not
// cost them their dictionary.
static void one_unique_value_in_five_keeps_it(void **state)
{
    (void)state;
    struct oto_arena arena;
    struct oto_dictionary d;
    char room[64];
    uint32_t length = 0, code, hint = 0;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 16, SIZE_MAX);
    oto_dictionary_init(&d, &arena, 1, 0);
    d.length = &length;
    for (uint32_t n = 0; n < 40000; n++, length += 5) {
        assert_int_equal(oto_dictionary_add(&d, value_of(n + 1, room), &code), OTO_OK);
        for (int i = 0; i < 4; i++)
            assert_int_equal(oto_dictionary_add_hinted(&d, value_of(0, room), hint, &hint), OTO_OK);
    }
    assert_false(d.plain);
    assert_int_equal(d.count, 40001);
    oto_arena_release(&arena);
}

// Entries added blindly are there, are not found, and do not disturb the others.
static void blind_entries_are_kept_apart(void **state)
{
    (void)state;
    enum { COUNT = 3000 };
    struct oto_arena arena;
    struct oto_dictionary d;
    char room[64];
    uint32_t code;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 14, SIZE_MAX);
    oto_dictionary_init(&d, &arena, 1, 0);
    assert_int_equal(oto_dictionary_add_blind(&d, value_of(1, room), &code), OTO_OK);
    oto_dictionary_rollback(&d, 0);
    assert_true(oto_dictionary_is_distinct(&d));
    for (uint32_t n = 0; n < COUNT; n++) {
        struct oto_bytes value = value_of(n, room);
        if (n % 3)
            assert_int_equal(oto_dictionary_add_blind(&d, value, &code), OTO_OK);
        else
            assert_int_equal(oto_dictionary_add(&d, value, &code), OTO_OK);
        assert_int_equal(code, n);
    }
    assert_false(oto_dictionary_is_distinct(&d));
    oto_dictionary_rollback(&d, COUNT / 2);
    for (uint32_t n = 0; n < COUNT; n++) {
        int found = n < COUNT / 2 && n % 3 == 0;
        assert_int_equal(oto_dictionary_find(&d, value_of(n, room), &code),
                         found ? OTO_OK : OTO_NOT_FOUND);
        if (n < COUNT / 2)
            assert_true(oto_bytes_equal(d.entries[n], value_of(n, room)));
    }
    assert_int_equal(oto_dictionary_add(&d, value_of(1, room), &code), OTO_OK);
    assert_int_equal(code, COUNT / 2);
    oto_arena_release(&arena);
}

static void no_memory_leaves_it_as_it_was(void **state)
{
    (void)state;
    char room[64];
    for (size_t limit = 0; limit < 40000; limit += 104) {
        struct oto_arena arena;
        struct oto_dictionary d;
        enum oto_status status = OTO_OK;
        uint32_t code, n = 0;
        oto_arena_init(&arena, &oto_allocator_heap, 1 << 12, limit);
        oto_dictionary_init(&d, &arena, 1, 1);
        while ((status = oto_dictionary_add(&d, value_of(n, room), &code)) == OTO_OK)
            n++;
        assert_int_equal(status, OTO_NO_MEMORY);
        assert_int_equal(d.count, n);
        for (uint32_t i = 0; i < n; i++)
            assert_int_equal(oto_dictionary_find(&d, value_of(i, room), &code), OTO_OK);
        assert_int_equal(oto_dictionary_find(&d, value_of(n, room), &code), OTO_NOT_FOUND);
        oto_arena_release(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(equal_means_every_byte),
        cmocka_unit_test(random_use_agrees_with_a_list),
        cmocka_unit_test(entries_stay_readable_while_it_grows),
        cmocka_unit_test(a_useless_one_becomes_plain),
        cmocka_unit_test(one_unique_value_in_five_keeps_it),
        cmocka_unit_test(blind_entries_are_kept_apart),
        cmocka_unit_test(no_memory_leaves_it_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
