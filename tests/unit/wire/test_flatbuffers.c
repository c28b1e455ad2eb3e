#include "cmocka_all.h"
#include "wire/flatbuffers.h"

static const uint8_t *start_of(const struct oto_buffer *b)
{
    return b->data + 8; // the prefix each test writes first
}

// Follows the offset stored at a position.
static size_t follow(const struct oto_buffer *b, size_t position)
{
    return position + oto_load32(start_of(b) + position);
}

// The position of a field, 0 when the table has none.
static size_t field(const struct oto_buffer *b, size_t table, size_t slot)
{
    size_t vtable = table - oto_load32(start_of(b) + table);
    if (4 + 2 * slot >= oto_load16(start_of(b) + vtable))
        return 0;
    uint16_t offset = oto_load16(start_of(b) + vtable + 4 + 2 * slot);
    return offset ? table + offset : 0;
}

static void a_message_reads_back(void **state)
{
    (void)state;
    struct oto_buffer b;
    struct oto_flat_writer w;
    oto_buffer_init(&b, &oto_allocator_heap, 1 << 16);
    assert_int_equal(oto_buffer_append(&b, "prefix!!", 8), OTO_OK);
    size_t root = oto_flat_begin(&w, &b);
    struct oto_flat_slot slots[] = {
        OTO_FLAT_SCALAR(1, 7),       OTO_FLAT_OFFSET,        OTO_FLAT_ABSENT, OTO_FLAT_OFFSET,
        OTO_FLAT_SCALAR(8, 1234567), OTO_FLAT_SCALAR(2, 300)};
    size_t table = oto_flat_table(&w, root, slots, 6);
    oto_flat_string(&w, oto_flat_reference(&w, table, 1), oto_bytes_text("name"));
    size_t first = oto_flat_vector(&w, oto_flat_reference(&w, table, 3), 8, 2, 8);
    uint64_t element = 99;
    oto_flat_store(&w, first + 8, &element, 8);
    assert_int_equal(oto_flat_finish(&w), OTO_OK);

    assert_int_equal(follow(&b, 0), table);
    assert_int_equal(start_of(&b)[field(&b, table, 0)], 7);
    assert_int_equal(field(&b, table, 2), 0);
    assert_int_equal(oto_load64(start_of(&b) + field(&b, table, 4)), 1234567);
    assert_int_equal(field(&b, table, 4) % 8, 0);
    assert_int_equal(oto_load16(start_of(&b) + field(&b, table, 5)), 300);
    size_t text = follow(&b, field(&b, table, 1));
    assert_int_equal(oto_load32(start_of(&b) + text), 4);
    assert_memory_equal(start_of(&b) + text + 4, "name\0", 5);
    size_t vector = follow(&b, field(&b, table, 3));
    assert_int_equal(oto_load32(start_of(&b) + vector), 2);
    assert_int_equal((vector + 4) % 8, 0);
    assert_int_equal(oto_load64(start_of(&b) + vector + 12), 99);
    assert_int_equal(b.size % 8, 0);
    oto_buffer_release(&b);
}

static void failures_are_kept_until_the_end(void **state)
{
    (void)state;
    struct oto_buffer b;
    struct oto_flat_writer w;
    oto_buffer_init(&b, &oto_allocator_heap, 40);
    size_t root = oto_flat_begin(&w, &b);
    struct oto_flat_slot slots[] = {OTO_FLAT_OFFSET};
    size_t table = oto_flat_table(&w, root, slots, 1);
    oto_flat_string(&w, oto_flat_reference(&w, table, 0),
                    oto_bytes_text("longer than what is left of the room"));
    oto_flat_string(&w, oto_flat_reference(&w, table, 0), oto_bytes_text("x"));
    assert_int_equal(oto_flat_finish(&w), OTO_TOO_LARGE);
    oto_buffer_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_message_reads_back),
        cmocka_unit_test(failures_are_kept_until_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
