#include "base/hash.h"
#include "base/xxh64.h"
#include "cmocka_all.h"
#include <stdlib.h>

static void xxh64_gives_the_published_values(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        uint64_t plain, seeded; // seeds 0 and 2654435761, by the reference implementation
    } vectors[] = {
        {0, 0xEF46DB3751D8E999u, 0xAC75FDA2929B17EFu},
        {1, 0xA96C7F0CE858BBB7u, 0x84E535B36672440Du},
        {3, 0xBED43740EE6332BBu, 0x00B77B485431CE5Du},
        {4, 0xFA212AE44B3BB23Du, 0x60492C4BFCB70CACu},
        {8, 0x994B676B71CE94DDu, 0xF424EDEBFEA8D23Fu},
        {13, 0xDADC8A6255B4829Bu, 0xDC569F6B9775D30Bu},
        {16, 0x94AD0095E72B24D5u, 0x4EFFE275897ABAB4u},
        {31, 0x6711D55E306B5D8Fu, 0xFA1259CC8B20EB58u},
        {32, 0x07F7B8E3BC5D6E25u, 0x920F3E10A5DB09C6u},
        {33, 0x09F85EEB4E1CBE9Fu, 0x3D805E8712CB4890u},
        {64, 0x50D4159A0411632Eu, 0x94667E10D68B3991u},
        {200, 0x3B8CC7EAA63F107Eu, 0xF0D884A6088F14F7u},
    };
    uint8_t data[200];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 131 + 7);
    for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++) {
        assert_true(oto_xxh64(data, vectors[i].size, 0) == vectors[i].plain);
        assert_true(oto_xxh64(data, vectors[i].size, 2654435761u) == vectors[i].seeded);
    }
    assert_true(oto_xxh64(NULL, 0, 0) == 0xEF46DB3751D8E999u);
    uint64_t words[4];
    memcpy(words, data, sizeof words);
    assert_true(oto_xxh64_words2(words) == oto_xxh64(data, 16, 0));
    assert_true(oto_xxh64_words4(words) == oto_xxh64(data, 32, 0));
}

struct golden {
    size_t size; // of the data, from its begin
    uint64_t low, high;
};

static void check_golden(struct oto_hash128 (*hash)(const void *data, size_t size),
                         const uint8_t *data, const struct golden *golden, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct oto_hash128 h = hash(data, golden[i].size);
        assert_true(h.low == golden[i].low && h.high == golden[i].high);
    }
}

// Files and the log keep these values: a change here breaks what was stored.
static void the_identity_hash_never_changes(void **state)
{
    (void)state;
    static const struct golden golden[] = {
        {0, 0x6659B4EE7380D116u, 0x3052924D46597E62u},
        {1, 0xEBC7C290DE45CF4Fu, 0x6E3E0188747A112Au},
        {31, 0xDCACC6560E555434u, 0xC838D60BCE428D47u},
        {32, 0xA964A45F43FBC40Du, 0xA32A41EE38A0269Fu},
        {33, 0xB21612A159856810u, 0x98DFDD30A91D37F9u},
        {64, 0xEEB501E0627B41FCu, 0xB34D9C49F2BAD2D0u},
    };
    uint8_t data[64];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + 1);
    check_golden(oto_hash128, data, golden, sizeof golden / sizeof *golden);
}

static void each_input_bit_changes_both_identity_words(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 100; size++) {
        uint8_t key[100];
        for (size_t i = 0; i < size; i++)
            key[i] = (uint8_t)(i * 37);
        struct oto_hash128 base = oto_hash128(key, size);
        int low = 0, high = 0, bits = (int)size * 8;
        for (size_t bit = 0; bit < size * 8; bit++) {
            key[bit / 8] ^= (uint8_t)(1 << bit % 8);
            struct oto_hash128 h = oto_hash128(key, size);
            key[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_true(__builtin_popcountll(base.low ^ h.low) > 8);
            assert_true(__builtin_popcountll(base.high ^ h.high) > 8);
            low += __builtin_popcountll(base.low ^ h.low);
            high += __builtin_popcountll(base.high ^ h.high);
        }
        assert_in_range(low / bits, 28, 36);
        assert_in_range(high / bits, 28, 36);
        key[size - 1] = 0; // a zero at the end is not the same as none
        struct oto_hash128 longer = oto_hash128(key, size), shorter = oto_hash128(key, size - 1);
        assert_true(longer.low != shorter.low && longer.high != shorter.high);
    }
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

// Keys one character or one bit apart: no two alike, and the low bits fill a table evenly.
static void similar_keys_spread(void **state)
{
    (void)state;
    enum { KEYS = 65536 };
    static uint64_t hashes[KEYS];
    static uint8_t table[KEYS];
    for (size_t size = 1; size <= 64; size += size < 20 ? 1 : 11) {
        size_t count = 0;
        memset(table, 0, sizeof table);
        uint8_t key[64] = {0};
        for (size_t i = 0; i < KEYS && (size > 1 || i < 256); i++) {
            key[size / 3] = (uint8_t)i;
            if (size > 1)
                key[size - 1] = (uint8_t)(i >> 8);
            hashes[count++] = oto_hash(key, size, 42);
            table[hashes[count - 1] % KEYS] = 1;
        }
        size_t used = 0;
        for (size_t i = 0; i < KEYS; i++)
            used += table[i];
        if (size > 1) // 1 - 1/e of the slots for a random function
            assert_in_range(used, KEYS * 62 / 100, KEYS * 65 / 100);
        qsort(hashes, count, 8, by_value);
        for (size_t i = 1; i < count; i++)
            assert_true(hashes[i] != hashes[i - 1]);
    }
}

static void each_input_and_seed_bit_changes_half_the_output(void **state)
{
    (void)state;
    for (size_t size = 1; size <= 100; size++) {
        uint8_t key[100];
        for (size_t i = 0; i < size; i++)
            key[i] = (uint8_t)(i * 37);
        uint64_t base = oto_hash(key, size, 7);
        int changed = 0;
        for (size_t bit = 0; bit < size * 8; bit++) {
            key[bit / 8] ^= (uint8_t)(1 << bit % 8);
            int now = __builtin_popcountll(base ^ oto_hash(key, size, 7));
            assert_true(now > 8);
            changed += now;
            key[bit / 8] ^= (uint8_t)(1 << bit % 8);
        }
        assert_in_range(changed / (int)(size * 8), 28, 36);
        assert_true(__builtin_popcountll(base ^ oto_hash(key, size, 6)) > 12);
    }
    assert_true(oto_hash("\0", 1, 7) != oto_hash("\0\0", 2, 7));
    assert_true(oto_hash(NULL, 0, 7) != oto_hash("\0", 1, 7));
}

// As above: the log's folder keeps hashes of requests.
static void the_hash_of_requests_never_changes(void **state)
{
    (void)state;
    static const struct golden golden[] = {
        {0, 0x6659B4EE7380D116u, 0x3052924D46597E62u},
        {511, 0xB5B74B6CBB92147Fu, 0x5543FCB780802BD0u},
        {512, 0x255795F27E501060u, 0x9FBB972537796EC9u},
        {513, 0x8042ABA99BBFECBFu, 0xEF0AD53B25753465u},
        {640, 0x21FB1B41450D2FB1u, 0x36716EF56976CB08u},
        {1000, 0xF51E0990510EED8Du, 0x95DA9C4E7F505A86u},
        {70000, 0x2140EFF5B68AB7C0u, 0x244CFFFB1E27AE34u},
    };
    static uint8_t data[70001];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (uint8_t)(i * 7 + i / 251);
    check_golden(oto_hash128_wide, data, golden, sizeof golden / sizeof *golden);
    for (size_t size = 0; size < sizeof data; size += size < 1200 ? 1 : 4093) {
        struct oto_hash128 h = oto_hash128_wide(data, size);
        struct oto_hash128 plain = oto_hash128_wide_plain(data, size);
        assert_true(h.low == plain.low && h.high == plain.high);
    }
}

static int by_both_words(const void *a, const void *b)
{
    int low = by_value(a, b);
    return low ? low : by_value((const uint64_t *)a + 1, (const uint64_t *)b + 1);
}

// A request with one bit or two changed, two words exchanged, bytes moved, cut short or with a zero
// more: all unlike each other.
static void similar_requests_have_different_hashes(void **state)
{
    (void)state;
    enum { SIZE = 1000, WORDS = SIZE / 8, HASHES = 40000 };
    static struct oto_hash128 hashes[HASHES];
    static _Alignas(8) uint8_t data[SIZE + 200];
    size_t count = 0;
    for (size_t i = 0; i < SIZE; i++)
        data[i] = (uint8_t) "service.name checkout "[i % 22];
    for (size_t size = 1; size <= sizeof data; size++)
        hashes[count++] = oto_hash128_wide(data, size);
    for (size_t bit = 0; bit < (size_t)SIZE * 8; bit++) {
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
        hashes[count++] = oto_hash128_wide(data, SIZE);
        size_t other = (bit + 128 * 8) % (SIZE * 8); // the same place of the block after
        data[other / 8] ^= (uint8_t)(1 << other % 8);
        hashes[count++] = oto_hash128_wide(data, SIZE);
        data[other / 8] ^= (uint8_t)(1 << other % 8);
        data[bit / 8] ^= (uint8_t)(1 << bit % 8);
    }
    uint64_t *words = (uint64_t *)(void *)data;
    for (size_t i = 0; i < WORDS; i++)
        words[i] = i * 3;
    for (size_t a = 0; a < WORDS; a++) {
        for (size_t b = a + 1; b < WORDS; b++) {
            uint64_t kept = words[a];
            words[a] = words[b], words[b] = kept;
            hashes[count++] = oto_hash128_wide(data, SIZE);
            words[b] = words[a], words[a] = kept;
        }
    }
    assert_true(count < HASHES);
    qsort(hashes, count, sizeof *hashes, by_both_words);
    for (size_t i = 1; i < count; i++) // either word alone tells them apart
        assert_true(hashes[i - 1].low != hashes[i].low);
    for (size_t i = 0; i < count; i++)
        hashes[i].low = hashes[i].high;
    qsort(hashes, count, sizeof *hashes, by_both_words);
    for (size_t i = 1; i < count; i++)
        assert_true(hashes[i - 1].high != hashes[i].high);
}

// A bit of the request changes half the bits of its hash, wherever it stands.
static void each_bit_of_a_request_changes_both_words(void **state)
{
    (void)state;
    static uint8_t data[900];
    for (size_t size = 512; size <= sizeof data; size += 97) {
        for (size_t i = 0; i < size; i++)
            data[i] = (uint8_t)(i * 37);
        struct oto_hash128 base = oto_hash128_wide(data, size);
        int low = 0, high = 0, bits = (int)size * 8;
        for (size_t bit = 0; bit < size * 8; bit++) {
            data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            struct oto_hash128 h = oto_hash128_wide(data, size);
            data[bit / 8] ^= (uint8_t)(1 << bit % 8);
            assert_true(__builtin_popcountll(base.low ^ h.low) > 8);
            assert_true(__builtin_popcountll(base.high ^ h.high) > 8);
            low += __builtin_popcountll(base.low ^ h.low);
            high += __builtin_popcountll(base.high ^ h.high);
        }
        assert_in_range(low * 10 / bits, 315, 325);
        assert_in_range(high * 10 / bits, 315, 325);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_hash_of_requests_never_changes),
        cmocka_unit_test(similar_requests_have_different_hashes),
        cmocka_unit_test(each_bit_of_a_request_changes_both_words),
        cmocka_unit_test(xxh64_gives_the_published_values),
        cmocka_unit_test(the_identity_hash_never_changes),
        cmocka_unit_test(each_input_bit_changes_both_identity_words),
        cmocka_unit_test(similar_keys_spread),
        cmocka_unit_test(each_input_and_seed_bit_changes_half_the_output),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
