#include "base/bytes.h"
#include "cmocka_all.h"

static void buffer_grows_to_its_limit(void **state)
{
    (void)state;
    struct oto_buffer b;
    oto_buffer_init(&b, &oto_allocator_heap, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(oto_buffer_append_byte(&b, (uint8_t)i), OTO_OK);
    assert_int_equal(oto_buffer_append_byte(&b, 0), OTO_TOO_LARGE);
    assert_int_equal(oto_buffer_reserve(&b, SIZE_MAX), OTO_TOO_LARGE);
    assert_int_equal(b.size, 1000);
    assert_int_equal(b.capacity, 1000);
    for (size_t i = 0; i < 1000; i++)
        assert_int_equal(b.data[i], (uint8_t)i);
    oto_buffer_release(&b);
    assert_int_equal(oto_buffer_append(&b, "xy", 2), OTO_OK);
    assert_true(oto_bytes_equal_text(oto_buffer_view(&b), "xy"));
    oto_buffer_release(&b);
    oto_buffer_release(&(struct oto_buffer){0});
}

static void format_appends_short_and_long_text(void **state)
{
    (void)state;
    struct oto_buffer b;
    oto_buffer_init(&b, &oto_allocator_heap, 700);
    assert_int_equal(oto_buffer_append_format(&b, "%d-%s", 5, "x"), OTO_OK);
    assert_true(oto_bytes_equal_text(oto_buffer_view(&b), "5-x"));
    assert_int_equal(oto_buffer_append_format(&b, "%300d|", 7), OTO_OK);
    assert_int_equal(b.size, 304);
    assert_memory_equal(b.data + 302, "7|", 2);
    assert_int_equal(oto_buffer_append_format(&b, "%396d", 1), OTO_OK); // exactly full
    assert_int_equal(b.size, 700);
    assert_int_equal(oto_buffer_append_format(&b, "z"), OTO_TOO_LARGE);
    assert_int_equal(b.size, 700);
    oto_buffer_release(&b);
}

static void a_beginning_is_found_or_not(void **state)
{
    (void)state;
    // A copy of just its size: reading past it is seen by the sanitizer.
    uint8_t *data = oto_alloc(&oto_allocator_heap, 4);
    assert_non_null(data);
    memcpy(data, "/api", 4);
    struct oto_bytes bytes = oto_bytes(data, 4);
    assert_true(oto_bytes_begin_with(bytes, ""));
    assert_true(oto_bytes_begin_with(bytes, "/a"));
    assert_true(oto_bytes_begin_with(bytes, "/api"));
    assert_false(oto_bytes_begin_with(bytes, "/api/"));
    assert_false(oto_bytes_begin_with(bytes, "/b"));
    assert_true(oto_bytes_begin_with(oto_bytes(NULL, 0), ""));
    assert_false(oto_bytes_begin_with(oto_bytes(NULL, 0), "/"));
    oto_free(&oto_allocator_heap, data, 4);

    assert_true(oto_text_begins_with("https://x", "https://"));
    assert_true(oto_text_begins_with("https://", "https://"));
    assert_true(oto_text_begins_with("", ""));
    assert_false(oto_text_begins_with("http://x", "https://"));
    assert_false(oto_text_begins_with("https:/", "https://"));
    assert_false(oto_text_begins_with(NULL, ""));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(buffer_grows_to_its_limit),
        cmocka_unit_test(format_appends_short_and_long_text),
        cmocka_unit_test(a_beginning_is_found_or_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
