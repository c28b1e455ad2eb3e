// The reader of our own frames: what it takes is what the library makes of it; all else it leaves.
// That it takes all that is written: test_match_frame.c.
#include "codec/codes.h"
#include "codec/hex_frame.h"
#include "frame_fixture.h"

struct reads {
    unsigned taken, left;
};

// Reads a copy of the frame that ends where it ends.
static void read_both(struct fixture *f, struct oto_bytes frame, struct reads *reads)
{
    struct oto_match_reader *reader = malloc(sizeof *reader);
    uint8_t *exact = malloc(frame.size + !frame.size);
    struct oto_buffer read;
    struct oto_error err;
    assert_true(reader && exact);
    if (frame.size)
        memcpy(exact, frame.data, frame.size);
    oto_error_init(&err);
    oto_buffer_init(&read, &oto_allocator_heap, CONTENT_MAX + 3);
    assert_int_equal(oto_buffer_append(&read, "abc", 3), OTO_OK);
    f->back.size = 0;
    enum oto_status status = oto_hex_frame_read(oto_bytes(exact, frame.size), reader, &read);
    enum oto_status expected = oto_decompress(f->codec, OTO_COMPRESSION_ZSTD,
                                              oto_bytes(exact, frame.size), &f->back, &err);
    assert_memory_equal(read.data, "abc", 3);
    if (status == OTO_OK) {
        assert_int_equal(expected, OTO_OK);
        assert_true(
            oto_bytes_equal(oto_bytes(read.data + 3, read.size - 3), oto_buffer_view(&f->back)));
        reads->taken++;
    } else {
        assert_int_equal(status, OTO_END);
        assert_int_equal(read.size, 3);
        reads->left++;
    }
    oto_buffer_release(&read);
    free(exact);
    free(reader);
}

static void add_code(struct fixture *f, uint32_t code)
{
    uint8_t bytes[OTO_CODE_BYTES];
    oto_store32(bytes, code);
    add(f, bytes, sizeof bytes);
}

// A page of codes as pages of attributes have them, levels in front.
static size_t add_page(struct fixture *f, uint32_t rows, uint32_t attributes)
{
    size_t head = 100 + rows / 8;
    for (size_t i = 0; i < head; i++)
        add(f, i % 5 ? "\xEF" : "\x7F", 1);
    for (uint32_t row = 0; row < rows; row++)
        for (uint32_t i = 0; i < attributes; i++)
            add_code(f, i == 0   ? 70000 + row
                        : i == 1 ? 1000 + next_random(f, 9000)
                                 : 20 * i + next_random(f, i * i));
    return head;
}

static void compress_page(struct fixture *f, size_t head)
{
    f->frame.size = 0;
    assert_int_equal(
        oto_compress_codes(f->codec, 1, oto_buffer_view(&f->content), head, &f->frame, NULL),
        OTO_OK);
}

static void pages_of_codes_are_taken(void **state)
{
    struct fixture *f = *state;
    for (uint32_t attributes = 1; attributes < 14; attributes++)
        for (uint32_t rows = 1; rows < 90000; rows = rows * 5 + attributes) {
            struct reads reads = {0};
            f->content.size = 0;
            compress_page(f, add_page(f, rows, attributes));
            read_both(f, oto_buffer_view(&f->frame), &reads);
            assert_int_equal(reads.taken, 1);
        }
}

// A dictionary: texts, then ids, which a reader of digits alone leaves to the library.
static void texts_before_ids_are_taken(void **state)
{
    struct fixture *f = *state;
    struct oto_lines lines = {.count = 4000};
    enum oto_text_method method = OTO_TEXT_NEW;
    struct reads reads = {0};
    struct oto_buffer head;
    uint8_t raw[1600];
    for (uint32_t i = 0; i < lines.count; i++) {
        char text[64];
        int size = snprintf(text, sizeof text, "/api/v%u/users/%u", next_random(f, 3), i * 7);
        add_code(f, (uint32_t)size);
        add(f, text, (size_t)size);
    }
    add_code(f, 16);
    for (size_t i = 0; i < sizeof raw; i++)
        raw[i] = (uint8_t)next_random(f, 256);
    oto_buffer_init(&head, &oto_allocator_heap, CONTENT_MAX);
    assert_int_equal(
        oto_compress_text(f->codec, 1, oto_buffer_view(&f->content), &lines, &method, &head, NULL),
        OTO_OK);
    assert_int_equal(method, OTO_TEXT_LINES);
    assert_int_equal(oto_hex_records_frame(oto_buffer_view(&head), f->content.size,
                                           oto_bytes(raw, sizeof raw), 8, &f->frame),
                     OTO_OK);
    read_both(f, oto_buffer_view(&f->frame), &reads);
    assert_int_equal(reads.taken, 1);
    assert_int_equal(f->back.size, f->content.size + 200 * 20 - 4);
    oto_buffer_release(&head);
}

static void frames_of_the_library_are_left_or_read_the_same(void **state)
{
    struct fixture *f = *state;
    struct reads reads = {0};
    for (int level = 1; level < 20; level += 3)
        for (uint32_t rows = 1; rows < 20000; rows = rows * 4 + 1) {
            f->content.size = f->frame.size = 0;
            (void)add_page(f, rows, 7);
            assert_int_equal(oto_compress(f->codec, OTO_COMPRESSION_ZSTD, level,
                                          oto_buffer_view(&f->content), &f->frame, NULL),
                             OTO_OK);
            read_both(f, oto_buffer_view(&f->frame), &reads);
        }
    assert_true(reads.left > 0);
    // A page of keys: two long matches, told by the tables that the format has.
    reads = (struct reads){0};
    f->content.size = f->frame.size = 0;
    for (uint32_t i = 0; i < 100000; i++)
        add(f, i % 10 ? "\1" : "\0", 1);
    assert_int_equal(oto_compress(f->codec, OTO_COMPRESSION_ZSTD, 1, oto_buffer_view(&f->content),
                                  &f->frame, NULL),
                     OTO_OK);
    read_both(f, oto_buffer_view(&f->frame), &reads);
    assert_int_equal(reads.taken, 1);
}

// Each bit another, each byte some other, each end too early.
static void broken_frames_are_left_or_read_the_same(void **state)
{
    struct fixture *f = *state;
    struct reads reads = {0};
    for (uint32_t attributes = 1; attributes < 12; attributes += 5) {
        f->content.size = 0;
        compress_page(f, add_page(f, 1200 / attributes, attributes));
        struct oto_bytes frame = oto_buffer_view(&f->frame);
        for (size_t i = 0; i < frame.size; i++) {
            uint8_t before = f->frame.data[i];
            for (unsigned bit = 0; bit < 8; bit++) {
                f->frame.data[i] = before ^ (uint8_t)(1u << bit);
                read_both(f, frame, &reads);
            }
            for (unsigned k = 0; k < 4; k++) {
                f->frame.data[i] = (uint8_t)next_random(f, 256);
                read_both(f, frame, &reads);
            }
            f->frame.data[i] = before;
            read_both(f, oto_bytes(frame.data, i), &reads);
        }
    }
    assert_true(reads.taken > 0);
    assert_true(reads.left > 0);
}

static void content_beyond_the_limit_is_left(void **state)
{
    struct fixture *f = *state;
    static struct oto_match_reader reader;
    struct oto_buffer read;
    compress_page(f, add_page(f, 5000, 8));
    for (size_t less = 0; less < 3; less++) {
        oto_buffer_init(&read, &oto_allocator_heap, f->content.size - less);
        assert_int_equal(oto_hex_frame_read(oto_buffer_view(&f->frame), &reader, &read),
                         less ? OTO_END : OTO_OK);
        assert_int_equal(read.size, less ? 0 : f->content.size);
        oto_buffer_release(&read);
    }
    oto_buffer_init(&read, &oto_allocator_heap, f->content.size);
    assert_int_equal(oto_hex_frame_read(oto_buffer_view(&f->frame), NULL, &read), OTO_END);
    oto_buffer_release(&read);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(pages_of_codes_are_taken, begin, end),
        cmocka_unit_test_setup_teardown(texts_before_ids_are_taken, begin, end),
        cmocka_unit_test_setup_teardown(frames_of_the_library_are_left_or_read_the_same, begin,
                                        end),
        cmocka_unit_test_setup_teardown(broken_frames_are_left_or_read_the_same, begin, end),
        cmocka_unit_test_setup_teardown(content_beyond_the_limit_is_left, begin, end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
