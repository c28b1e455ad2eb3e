// What the log promises: committed records come back, in order and once, and what it may take is
// bounded.
#include "wal_fixture.h"

static void records_come_back_in_order_with_all_they_had(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    start(o);
    append_all(o, 1, 20);
    stop(o);
    start(o);
    assert_records(o, 1, 20);
    assert_int_equal(o->recovery.last_seq, 20);
    assert_int_equal(o->recovery.torn_bytes, 0);
    assert_int_equal(append(o, "record 21"), 21);
    stop(o);
    open_and_replay(o);
    assert_records(o, 1, 21);
    stop(o);
    owner_free(o);
}

static void a_record_larger_than_a_segment_fits(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    start(o);
    append_all(o, 1, 1);
    append_big(o, 9u << 20, 'b');
    append_all(o, 3, 1);
    uint64_t seq;
    struct oto_bytes huge = oto_bytes("x", (1u << 30) + 1); // refused by its size alone
    assert_int_equal(oto_wal_append(o->wal, 0, 0, 0, huge, &seq, NULL), OTO_TOO_LARGE);
    stop(o);
    open_and_replay(o);
    assert_int_equal(o->count, 3);
    assert_int_equal(o->texts[1][0], 'b');
    assert_string_equal(o->texts[2], "record 3");
    stop(o);
    owner_free(o);
}

static void trimmed_log_goes_on_counting(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    uint64_t flushed, cut;
    start(o);
    append_all(o, 1, 7);
    assert_int_equal(oto_wal_checkpoint(o->wal, 3, 7, NULL), OTO_OK);
    stop(o);
    open_and_replay(o);
    oto_wal_marks(o->wal, &flushed, &cut);
    assert_int_equal(flushed, 3);
    assert_int_equal(cut, 7);
    assert_records(o, 4, 4);
    assert_int_equal(oto_wal_checkpoint(o->wal, 7, 7, NULL), OTO_OK);
    assert_int_equal(oto_wal_trim(o->wal, NULL), OTO_OK);
    stop(o);
    start(o);
    assert_records(o, 1, 0);
    assert_int_equal(append(o, "record 8"), 8);
    stop(o);
    owner_free(o);
}

static void a_nearly_full_disk_refuses_appends(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    uint64_t seq;
    o->options.disk_free_min = UINT64_MAX;
    start(o);
    assert_int_equal(oto_wal_append(o->wal, 0, 0, 0, oto_bytes_text("x"), &seq, NULL),
                     OTO_NO_SPACE);
    stop(o);
    owner_free(o);
}

static void staging_is_bounded(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    o->options.staged_bytes_max = 64 << 10;
    start(o);
    static uint8_t part[20000];
    uint64_t seq, refused = 0, last = 0;
    for (int i = 0; i < 200; i++) {
        enum oto_status status =
            oto_wal_append(o->wal, 0, 0, 0, oto_bytes(part, sizeof part), &seq, NULL);
        if (status == OTO_UNAVAILABLE)
            refused++;
        else
            last = seq;
    }
    assert_true(refused > 0);
    wait_durable(o, last);
    static uint8_t large[200000]; // more than may be staged: goes alone
    assert_int_equal(oto_wal_append(o->wal, 0, 0, 0, oto_bytes(large, sizeof large), &seq, NULL),
                     OTO_OK);
    wait_durable(o, seq);
    stop(o);
    owner_free(o);
}

static void a_damaged_checkpoint_is_told(void **state)
{
    (void)state;
    struct owner *o = owner_new();
    char path[128];
    struct oto_error err;
    start(o);
    append_all(o, 1, 2);
    assert_int_equal(oto_wal_checkpoint(o->wal, 1, 1, NULL), OTO_OK);
    stop(o);
    snprintf(path, sizeof path, "%s/checkpoint", o->path);
    poke(path, 17, "Z", 1);
    assert_int_equal(oto_wal_open(o->path, &o->options, &o->wal, &err), OTO_CORRUPT);
    assert_non_null(strstr(err.message, "checkpoint"));
    owner_free(o);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_come_back_in_order_with_all_they_had),
        cmocka_unit_test(a_record_larger_than_a_segment_fits),
        cmocka_unit_test(trimmed_log_goes_on_counting),
        cmocka_unit_test(a_nearly_full_disk_refuses_appends),
        cmocka_unit_test(staging_is_bounded),
        cmocka_unit_test(a_damaged_checkpoint_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
