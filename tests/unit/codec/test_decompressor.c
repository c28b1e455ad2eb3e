// Compressed streams come apart piece by piece, whatever the pieces are.
#include "cmocka_all.h"
#include "codec/decompressor.h"

#define PLAIN_SIZE 20000

static uint8_t plain[PLAIN_SIZE];

static int make_plain(void **state)
{
    (void)state;
    uint32_t x = 1;
    for (size_t i = 0; i < PLAIN_SIZE; i++) {
        x = x * 1103515245 + 12345;
        plain[i] = (uint8_t)(i % 7 ? 'a' + (i >> 6) % 20 : x >> 16);
    }
    return 0;
}

// The plain bytes in three members or frames, with an empty one among them.
static struct oto_buffer compressed(enum oto_compression compression)
{
    struct oto_buffer out;
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    const size_t cuts[] = {0, 7000, 7000, PLAIN_SIZE};
    oto_buffer_init(&out, &oto_allocator_heap, 1 << 20);
    for (int i = 0; i < 3; i++)
        assert_int_equal(oto_compress(codec, compression, 0,
                                      oto_bytes(plain + cuts[i], cuts[i + 1] - cuts[i]), &out,
                                      NULL),
                         OTO_OK);
    oto_codec_free(codec);
    return out;
}

// Status of the first failure, or of the end. in, out: sizes of the pieces.
static enum oto_status run(enum oto_compression compression, struct oto_bytes input, size_t in,
                           size_t out, size_t *ret_size, struct oto_error *err)
{
    static uint8_t output[PLAIN_SIZE + 5000];
    struct oto_decompressor *d;
    enum oto_status status = oto_decompressor_new(&oto_allocator_heap, compression, &d, err);
    assert_int_equal(status, OTO_OK);
    size_t total = 0, size;
    struct oto_bytes piece = {NULL, 0};
    do {
        if (piece.size == 0) {
            piece = oto_bytes(input.data, input.size < in ? input.size : in);
            input = oto_bytes(input.data + piece.size, input.size - piece.size);
        }
        size_t before = piece.size;
        assert_true(total + out <= sizeof output);
        status = oto_decompressor_step(d, &piece, output + total, out, &size, err);
        if (status < 0)
            break;
        assert_true(size <= out && (piece.size == 0 || size == out || piece.size < before));
        total += size;
        if (total > PLAIN_SIZE)
            fail_msg("more comes out than went in");
    } while (piece.size || input.size || size == out);
    if (status == OTO_OK)
        status = oto_decompressor_end(d, err);
    oto_decompressor_free(d);
    *ret_size = total;
    if (total <= PLAIN_SIZE && status == OTO_OK)
        assert_memory_equal(output, plain, total);
    return status;
}

static const enum oto_compression both[] = {OTO_COMPRESSION_GZIP, OTO_COMPRESSION_ZSTD};

static void members_and_frames_follow_each_other(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 3, 100, 4096, 1000};
    for (int k = 0; k < 2; k++) {
        struct oto_buffer c = compressed(both[k]);
        for (int i = 0; i < 5; i++)
            for (int o = 1; o < 5; o++) {
                struct oto_error err;
                size_t size;
                assert_int_equal(
                    run(both[k], oto_buffer_view(&c), sizes[i] * 7, sizes[o], &size, &err), OTO_OK);
                assert_int_equal(size, PLAIN_SIZE);
            }
        oto_buffer_release(&c);
    }
}

static void a_stream_that_ends_early_or_is_broken_says_so(void **state)
{
    (void)state;
    for (int k = 0; k < 2; k++) {
        struct oto_buffer c = compressed(both[k]);
        struct oto_error err;
        size_t size;
        for (size_t cut = 1; cut < 30; cut++)
            assert_int_equal(run(both[k], oto_bytes(c.data, c.size - cut), 512, 1000, &size, &err),
                             OTO_INVALID);
        assert_non_null(strstr(err.message, "truncated"));
        c.data[k == 0 ? c.size / 2 : 4] ^= 0xFF; // zstd frames have no checksum
        assert_int_equal(run(both[k], oto_buffer_view(&c), 512, 1000, &size, &err), OTO_INVALID);
        assert_true(err.offset != OTO_OFFSET_NONE && err.offset <= c.size);
        assert_int_equal(
            run(both[k], OTO_BYTES_LITERAL("neither one nor the other"), 512, 1000, &size, &err),
            OTO_INVALID);
        oto_buffer_release(&c);
    }
}

static void other_codings_are_refused(void **state)
{
    (void)state;
    struct oto_decompressor *d = NULL;
    struct oto_error err;
    assert_int_equal(oto_decompressor_new(&oto_allocator_heap, OTO_COMPRESSION_NONE, &d, &err),
                     OTO_UNSUPPORTED);
    oto_decompressor_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_and_frames_follow_each_other),
        cmocka_unit_test(a_stream_that_ends_early_or_is_broken_says_so),
        cmocka_unit_test(other_codings_are_refused),
    };
    return cmocka_run_group_tests(tests, make_plain, NULL);
}
