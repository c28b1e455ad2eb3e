// The table of known requests against a plain list that does the same slowly; and its file.
#include "cmocka_all.h"

#include <stdlib.h>

#include "engine/dedup.h"

#define CAPACITY 64
#define WINDOW_NS 1000
#define KEYS 200

// What is known of each key: the slow list.
struct model {
    uint64_t received_ns[KEYS];
    uint8_t state[KEYS];
};

static struct oto_dedup_entry entry_of(unsigned key, uint64_t now_ns)
{
    // Few low bits, so that probing and its repairs are at work.
    return (struct oto_dedup_entry){.hash_low = key % 7, .hash_high = key, .received_ns = now_ns};
}

static void it_knows_what_a_list_would_know(void **state)
{
    (void)state;
    struct oto_dedup *d = oto_dedup_new(CAPACITY, WINDOW_NS);
    struct model model = {0};
    uint32_t random = 1;
    uint64_t now_ns = 1;
    for (int step = 0; step < 200000; step++) {
        random = random * 1664525u + 1013904223u;
        unsigned key = (random >> 8) % KEYS;
        now_ns += (random >> 20) % 50; // some 40 entries a window: fewer than fit
        struct oto_dedup_entry entry = entry_of(key, now_ns);
        int live =
            model.state[key] != OTO_DEDUP_NEW && now_ns - model.received_ns[key] <= WINDOW_NS;
        enum oto_dedup_state expected =
            live ? (enum oto_dedup_state)model.state[key] : OTO_DEDUP_NEW;
        assert_int_equal(oto_dedup_begin(d, &entry), expected);
        if (expected != OTO_DEDUP_NEW)
            continue;
        model.state[key] = OTO_DEDUP_PENDING;
        model.received_ns[key] = now_ns;
        if (random % 3 == 0) {
            oto_dedup_forget(d, entry.hash_low, entry.hash_high);
            model.state[key] = OTO_DEDUP_NEW;
        } else if (random % 3 == 1) {
            entry.item_count = key;
            oto_dedup_settle(d, &entry);
            model.state[key] = OTO_DEDUP_STORED;
        }
    }
    oto_dedup_free(d);
}

// The index grows with the entries; all that fit stay known, and no more than fit.
static void many_requests_are_all_known(void **state)
{
    (void)state;
    enum { FIT = 20000, MORE = 5000 };
    struct oto_dedup *d = oto_dedup_new(FIT, 1u << 30);
    for (unsigned key = 0; key < FIT + MORE; key++) {
        struct oto_dedup_entry entry = {
            .hash_low = key * 0x9E3779B97F4A7C15u, .hash_high = key, .received_ns = 1};
        assert_int_equal(oto_dedup_begin(d, &entry), OTO_DEDUP_NEW);
    }
    for (unsigned key = 0; key < FIT + MORE; key++) {
        struct oto_dedup_entry entry = {.hash_low = key * 0x9E3779B97F4A7C15u, .hash_high = key};
        assert_int_equal(oto_dedup_look(d, &entry), key < MORE ? OTO_DEDUP_NEW : OTO_DEDUP_PENDING);
    }
    oto_dedup_free(d);
}

static void a_full_table_forgets_the_oldest(void **state)
{
    (void)state;
    struct oto_dedup *d = oto_dedup_new(CAPACITY, 1u << 30);
    for (unsigned key = 0; key < 2 * CAPACITY; key++) {
        struct oto_dedup_entry entry = entry_of(key, key);
        assert_int_equal(oto_dedup_begin(d, &entry), OTO_DEDUP_NEW);
        oto_dedup_settle(d, &entry);
    }
    for (unsigned key = CAPACITY; key < 2 * CAPACITY; key++) {
        struct oto_dedup_entry entry = entry_of(key, 1000);
        assert_int_equal(oto_dedup_begin(d, &entry), OTO_DEDUP_STORED);
    }
    struct oto_dedup_entry first = entry_of(0, 1000);
    assert_int_equal(oto_dedup_begin(d, &first), OTO_DEDUP_NEW);
    oto_dedup_free(d);
}

static void its_file_has_what_is_stored_up_to_a_record(void **state)
{
    (void)state;
    struct oto_dedup *d = oto_dedup_new(CAPACITY, 1000), *again = oto_dedup_new(CAPACITY, 1000);
    struct oto_buffer bytes;
    struct oto_error err;
    oto_buffer_init(&bytes, &oto_allocator_heap, 1 << 20);
    for (unsigned key = 0; key < 20; key++) {
        struct oto_dedup_entry entry = entry_of(key, 100);
        oto_dedup_begin(d, &entry);
        entry.seq = key;
        entry.item_count = 1000 + key;
        entry.shard = (uint16_t)(key == 7);
        if (key != 3)
            oto_dedup_settle(d, &entry);
    }
    assert_int_equal(oto_dedup_encode(d, 0, 15, 100, &bytes), OTO_OK);
    assert_int_equal(oto_dedup_decode(again, oto_buffer_view(&bytes), 0, 12, 100, &err), OTO_OK);
    for (unsigned key = 0; key < 20; key++) {
        struct oto_dedup_entry entry = entry_of(key, 101);
        int kept = key <= 12 && key != 3 && key != 7;
        assert_int_equal(oto_dedup_begin(again, &entry), kept ? OTO_DEDUP_STORED : OTO_DEDUP_NEW);
        assert_int_equal(entry.item_count, kept ? 1000 + key : 0);
    }
    for (size_t at = 0; at < bytes.size; at++) { // one damaged byte anywhere: nothing is taken
        bytes.data[at] ^= 0x20;
        assert_int_equal(oto_dedup_decode(again, oto_buffer_view(&bytes), 0, 12, 100, &err),
                         OTO_CORRUPT);
        bytes.data[at] ^= 0x20;
    }
    assert_int_equal(
        oto_dedup_decode(again, oto_bytes(bytes.data, bytes.size - 40), 0, 12, 100, &err),
        OTO_CORRUPT);
    oto_buffer_release(&bytes);
    oto_dedup_free(d);
    oto_dedup_free(again);
}

static void a_clock_set_back_does_not_keep_entries(void **state)
{
    (void)state;
    struct oto_dedup *d = oto_dedup_new(CAPACITY, WINDOW_NS);
    struct oto_dedup_entry early = entry_of(1, 1000 + 10 * WINDOW_NS);
    assert_int_equal(oto_dedup_begin(d, &early), OTO_DEDUP_NEW);
    oto_dedup_settle(d, &early);
    struct oto_dedup_entry within = entry_of(1, 1000 + 9 * WINDOW_NS);
    assert_int_equal(oto_dedup_begin(d, &within), OTO_DEDUP_STORED);
    struct oto_dedup_entry later = entry_of(1, 1000);
    assert_int_equal(oto_dedup_begin(d, &later), OTO_DEDUP_NEW);
    oto_dedup_free(d);
}

static void what_was_refused_comes_as_resent_until_it_is_stored(void **state)
{
    (void)state;
    struct oto_dedup *d = oto_dedup_new(CAPACITY, WINDOW_NS);
    struct oto_dedup_entry entry = entry_of(1, 100), again = entry_of(1, 101);
    assert_int_equal(oto_dedup_begin(d, &entry), OTO_DEDUP_NEW);
    assert_int_equal(entry.resent, 0);
    oto_dedup_refuse(d, entry.hash_low, entry.hash_high);
    assert_int_equal(oto_dedup_look(d, &again), OTO_DEDUP_NEW);
    assert_int_equal(oto_dedup_begin(d, &again), OTO_DEDUP_NEW);
    assert_int_equal(again.resent, 1);
    oto_dedup_forget(d, entry.hash_low, entry.hash_high); // no memory for it, say
    again.resent = 0;
    assert_int_equal(oto_dedup_begin(d, &again), OTO_DEDUP_NEW);
    assert_int_equal(again.resent, 1);
    oto_dedup_settle(d, &again);
    assert_int_equal(oto_dedup_begin(d, &entry), OTO_DEDUP_STORED);
    oto_dedup_free(d);
}

// The refused copy may be in a log until that is replayed, and comes after any time then.
static void what_was_resent_is_known_however_old_until_the_logs_are_replayed(void **state)
{
    (void)state;
    struct oto_dedup *d = oto_dedup_new(CAPACITY, WINDOW_NS);
    struct oto_buffer bytes;
    struct oto_error err;
    oto_buffer_init(&bytes, &oto_allocator_heap, 1 << 20);
    struct oto_dedup_entry refused = entry_of(1, 100), resent = entry_of(1, 100 + WINDOW_NS);
    oto_dedup_begin(d, &refused);
    oto_dedup_refuse(d, refused.hash_low, refused.hash_high);
    assert_int_equal(oto_dedup_begin(d, &resent), OTO_DEDUP_NEW);
    assert_int_equal(resent.resent, 1);
    resent.shard = 1;
    oto_dedup_settle(d, &resent);
    uint64_t now_ns = resent.received_ns;
    for (unsigned key = 2; key < 50 * CAPACITY; key++) { // some 20 in a window
        struct oto_dedup_entry other = entry_of(key, now_ns += WINDOW_NS / 20);
        assert_int_equal(oto_dedup_begin(d, &other), OTO_DEDUP_NEW);
        oto_dedup_settle(d, &other);
    }
    now_ns += 10 * WINDOW_NS; // all others are past it
    assert_int_equal(oto_dedup_encode(d, 1, 0, now_ns, &bytes), OTO_OK);
    oto_dedup_free(d);
    d = oto_dedup_new(CAPACITY, WINDOW_NS);
    assert_int_equal(oto_dedup_decode(d, oto_buffer_view(&bytes), 1, 0, now_ns, &err), OTO_OK);
    refused.resent = 0;
    assert_int_equal(oto_dedup_is_copy(d, &refused), 1);
    oto_dedup_forget_copies(d);
    assert_int_equal(oto_dedup_is_copy(d, &refused), 0);
    assert_int_equal(oto_dedup_encode(d, 1, 0, now_ns, &bytes), OTO_OK);
    assert_int_equal(oto_load32(bytes.data + 12), 0); // entries
    oto_buffer_release(&bytes);
    oto_dedup_free(d);
}

// However many they are, they push out nothing that is within its window.
static void few_of_what_was_resent_stay_beside_a_full_table(void **state)
{
    (void)state;
    enum { STAY = CAPACITY / 16 + 1 };
    struct oto_dedup *d = oto_dedup_new(CAPACITY, WINDOW_NS);
    for (unsigned key = 0; key < CAPACITY; key++) {
        struct oto_dedup_entry entry = entry_of(key, 1);
        oto_dedup_begin(d, &entry);
        oto_dedup_refuse(d, entry.hash_low, entry.hash_high);
        oto_dedup_begin(d, &entry);
        assert_int_equal(entry.resent, 1);
        oto_dedup_settle(d, &entry);
    }
    for (unsigned key = CAPACITY; key < 2 * CAPACITY; key++) {
        struct oto_dedup_entry entry = entry_of(key, 10 * WINDOW_NS);
        assert_int_equal(oto_dedup_begin(d, &entry), OTO_DEDUP_NEW);
    }
    for (unsigned key = 0; key < 2 * CAPACITY; key++) {
        struct oto_dedup_entry entry = entry_of(key, 0);
        assert_int_equal(oto_dedup_look(d, &entry), key < CAPACITY - STAY ? OTO_DEDUP_NEW
                                                    : key < CAPACITY      ? OTO_DEDUP_STORED
                                                                          : OTO_DEDUP_PENDING);
    }
    oto_dedup_free(d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(it_knows_what_a_list_would_know),
        cmocka_unit_test(many_requests_are_all_known),
        cmocka_unit_test(a_full_table_forgets_the_oldest),
        cmocka_unit_test(a_clock_set_back_does_not_keep_entries),
        cmocka_unit_test(what_was_refused_comes_as_resent_until_it_is_stored),
        cmocka_unit_test(what_was_resent_is_known_however_old_until_the_logs_are_replayed),
        cmocka_unit_test(few_of_what_was_resent_stay_beside_a_full_table),
        cmocka_unit_test(its_file_has_what_is_stored_up_to_a_record),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
