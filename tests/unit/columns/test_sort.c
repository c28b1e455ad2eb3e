#include "cmocka_all.h"
#include "columns/sort.h"
#include <stdio.h>

#define MOST 3000

static uint32_t next_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

static int text_order(struct oto_bytes a, struct oto_bytes b)
{
    for (size_t i = 0; i < a.size && i < b.size; i++)
        if (a.data[i] != b.data[i])
            return a.data[i] < b.data[i] ? -1 : 1;
    return (a.size > b.size) - (a.size < b.size);
}

static struct oto_sort_item items[MOST], scratch[MOST];

// Ascending, stable, and every index still there once.
static void check(uint32_t count, const uint64_t *keys, const struct oto_bytes *texts)
{
    static uint8_t seen[MOST];
    memset(seen, 0, sizeof seen);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = items[i].index;
        assert_true(at < count && !seen[at]);
        seen[at] = 1;
        assert_true(!keys || items[i].key == keys[at]);
        if (i == 0)
            continue;
        uint32_t before = items[i - 1].index;
        int order = texts ? text_order(texts[before], texts[at])
                          : (keys[before] > keys[at]) - (keys[before] < keys[at]);
        assert_true(order < 0 || (order == 0 && before < at));
    }
}

static void numbers_are_sorted_stably(void **state)
{
    (void)state;
    static uint64_t keys[MOST];
    uint64_t random = 5;
    for (uint32_t round = 0; round < 600; round++) {
        uint32_t count = round < 100 ? round : next_random(&random) % MOST;
        unsigned shift = next_random(&random) % 64;
        uint32_t kind = round % 3;
        for (uint32_t i = 0; i < count; i++) {
            uint64_t wide = (uint64_t)next_random(&random) << 40 ^
                            (uint64_t)next_random(&random) << 20 ^ next_random(&random);
            keys[i] = kind == 0 ? wide >> shift : kind == 1 ? i / 7 * 1000 : wide % 5 << 50;
            items[i] = (struct oto_sort_item){.key = keys[i], .index = i};
        }
        oto_sort_items(items, scratch, count);
        check(count, keys, NULL);
    }
}

static void texts_are_sorted_bytewise(void **state)
{
    (void)state;
    static char room[MOST][48];
    static struct oto_bytes texts[MOST];
    static const char *const starts[] = {"",         "a",    "GET /api/v1/things/",
                                         "GET /api", "\xff", "GET /ap"};
    static const char *const one_start[] = {"all begin with this"};
    uint64_t random = 6;
    for (uint32_t round = 0; round < 200; round++) {
        uint32_t count = round < 50 ? round : next_random(&random) % MOST,
                 kinds = round % 3 ? 400 : 2;
        for (uint32_t i = 0; i < count; i++) {
            const char *start = round % 5 ? starts[next_random(&random) % 6] : one_start[0];
            int size =
                snprintf(room[i], sizeof room[i], "%s%u", start, next_random(&random) % kinds);
            // Now and then NUL bytes at the end: longer, and so greater.
            texts[i] = oto_bytes(room[i], (size_t)size + next_random(&random) % 3);
            memset(room[i] + size, 0, 8);
            items[i] = (struct oto_sort_item){.index = i};
        }
        oto_sort_texts(items, scratch, count, texts);
        check(count, NULL, texts);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_are_sorted_stably),
        cmocka_unit_test(texts_are_sorted_bytewise),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
