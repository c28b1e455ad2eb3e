#include "cmocka_all.h"
#include "codec/compress.h"

#include <lz4.h>
#include <snappy-c.h>
#include <zstd.h>

enum { SIZE_LIMIT = 1 << 24 };

static struct oto_buffer buffer_new(size_t size_max)
{
    struct oto_buffer b;
    oto_buffer_init(&b, &oto_allocator_heap, size_max);
    return b;
}

static void fill(uint8_t *data, size_t size, unsigned variety)
{
    uint32_t x = 1;
    for (size_t i = 0; i < size; i++) {
        x = x * 1664525u + 1013904223u;
        data[i] = (uint8_t)((x >> 24) % variety);
    }
}

static const enum oto_compression all[] = {OTO_COMPRESSION_NONE, OTO_COMPRESSION_GZIP,
                                           OTO_COMPRESSION_DEFLATE, OTO_COMPRESSION_ZSTD};

static void data_goes_both_ways(void **state)
{
    (void)state;
    static uint8_t data[300000];
    static const size_t sizes[] = {0, 1, 100, 65536, sizeof data};
    static const unsigned varieties[] = {1, 5, 256};
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    for (size_t i = 0; i < 4 * 5 * 3; i++) {
        enum oto_compression compression = all[i % 4];
        size_t size = sizes[i / 4 % 5];
        fill(data, size, varieties[i / 20]);
        struct oto_buffer packed = buffer_new(SIZE_LIMIT), plain = buffer_new(size + 3);
        assert_int_equal(oto_buffer_append(&plain, "abc", 3), OTO_OK);
        assert_int_equal(
            oto_compress(codec, compression, (int)(i % 7), oto_bytes(data, size), &packed, NULL),
            OTO_OK);
        if (compression == OTO_COMPRESSION_GZIP || compression == OTO_COMPRESSION_ZSTD)
            assert_int_equal(oto_compression_detect(oto_buffer_view(&packed)), compression);
        if (varieties[i / 20] == 1 && size > 1000 && compression)
            assert_true(packed.size < size / 50);
        assert_int_equal(oto_decompress(codec, compression, oto_buffer_view(&packed), &plain, NULL),
                         OTO_OK);
        assert_int_equal(plain.size, size + 3);
        assert_memory_equal(plain.data, "abc", 3);
        assert_memory_equal(plain.data + 3, data, size);
        oto_buffer_release(&plain);
        if (size > 1) { // one byte less room
            plain = buffer_new(size - 1);
            struct oto_error err;
            assert_int_equal(
                oto_decompress(codec, compression, oto_buffer_view(&packed), &plain, &err),
                OTO_TOO_LARGE);
            assert_int_equal(err.status, OTO_TOO_LARGE);
            assert_int_equal(plain.size, 0);
            oto_buffer_release(&plain);
        }
        oto_buffer_release(&packed);
    }
    oto_codec_free(codec);
    oto_codec_free(NULL);
}

static void several_members_and_frames_are_one_stream(void **state)
{
    (void)state;
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    for (int zstd = 0; zstd < 2; zstd++) {
        enum oto_compression compression = zstd ? OTO_COMPRESSION_ZSTD : OTO_COMPRESSION_GZIP;
        struct oto_buffer packed = buffer_new(SIZE_LIMIT), plain = buffer_new(5000);
        for (int i = 0; i < 1000; i++) {
            size_t size = i % 3 == 0 ? 0 : 5; // empty ones among them
            if (zstd && i % 5 == 0)
                assert_int_equal(oto_buffer_append(&packed, "\x5A\x2A\x4D\x18\x03\0\0\0abc", 11),
                                 OTO_OK);
            assert_int_equal(
                oto_compress(codec, compression, 0, oto_bytes("hello", size), &packed, NULL),
                OTO_OK);
        }
        assert_int_equal(oto_decompress(codec, compression, oto_buffer_view(&packed), &plain, NULL),
                         OTO_OK);
        assert_int_equal(plain.size, 666 * 5);
        assert_memory_equal(plain.data + 665 * 5, "hello", 5);
        // What follows the last member and is none is refused.
        plain.size = 1;
        struct oto_error err;
        size_t good = packed.size;
        assert_int_equal(oto_buffer_append(&packed, "rubbish behind the stream", 25), OTO_OK);
        assert_int_equal(oto_decompress(codec, compression, oto_buffer_view(&packed), &plain, &err),
                         OTO_INVALID);
        assert_true(err.offset >= good);
        assert_int_equal(plain.size, 1);
        oto_buffer_release(&packed);
        oto_buffer_release(&plain);
    }
    oto_codec_free(codec);
}

static void every_truncation_and_changed_byte_is_noticed(void **state)
{
    (void)state;
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    uint8_t data[600];
    fill(data, sizeof data, 20);
    for (size_t k = 1; k < 4; k++) {
        struct oto_buffer packed = buffer_new(SIZE_LIMIT), plain = buffer_new(SIZE_LIMIT);
        assert_int_equal(
            oto_compress(codec, all[k], 0, oto_bytes(data, sizeof data), &packed, NULL), OTO_OK);
        for (size_t cut = 0; cut < packed.size; cut++) {
            enum oto_status status =
                oto_decompress(codec, all[k], oto_bytes(packed.data, cut), &plain, NULL);
            assert_int_equal(status, OTO_INVALID);
            assert_int_equal(plain.size, 0);
        }
        if (all[k] != OTO_COMPRESSION_ZSTD) { // our zstd frames carry no checksum
            size_t last = packed.size - (all[k] == OTO_COMPRESSION_GZIP ? 8 : 4);
            packed.data[last] ^= 1;
            assert_int_equal(oto_decompress(codec, all[k], oto_buffer_view(&packed), &plain, NULL),
                             OTO_INVALID);
        }
        oto_buffer_release(&packed);
        oto_buffer_release(&plain);
    }
    oto_codec_free(codec);
}

static void bombs_end_at_the_limit(void **state)
{
    (void)state;
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    static uint8_t zeros[SIZE_LIMIT];
    for (size_t k = 1; k < 4; k++) {
        struct oto_buffer packed = buffer_new(SIZE_LIMIT), plain = buffer_new(1 << 20);
        assert_int_equal(
            oto_compress(codec, all[k], 0, oto_bytes(zeros, sizeof zeros), &packed, NULL), OTO_OK);
        assert_true(packed.size < sizeof zeros / 100);
        assert_int_equal(oto_decompress(codec, all[k], oto_buffer_view(&packed), &plain, NULL),
                         OTO_TOO_LARGE);
        assert_true(plain.capacity <= 1 << 20);
        // A gzip size that lies about a tiny body does not make us take the memory.
        if (all[k] == OTO_COMPRESSION_GZIP) {
            oto_buffer_release(&plain);
            packed.size = 0;
            assert_int_equal(oto_compress(codec, all[k], 0, oto_bytes(zeros, 10), &packed, NULL),
                             OTO_OK);
            oto_store32(packed.data + packed.size - 4, 1 << 20);
            assert_int_equal(oto_decompress(codec, all[k], oto_buffer_view(&packed), &plain, NULL),
                             OTO_INVALID);
            assert_true(plain.capacity < 100000);
        }
        oto_buffer_release(&packed);
        oto_buffer_release(&plain);
    }
    oto_codec_free(codec);
}

static void zstd_streams_of_unknown_size_are_read_and_wide_windows_refused(void **state)
{
    (void)state;
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    static uint8_t data[1 << 20], packed[1 << 21];
    fill(data, sizeof data, 7);
    for (int window = 20; window <= 24; window += 4) {
        ZSTD_CStream *writer = ZSTD_createCStream();
        ZSTD_CCtx_setParameter(writer, ZSTD_c_windowLog, window);
        ZSTD_CCtx_setParameter(writer, ZSTD_c_checksumFlag, 1);
        ZSTD_outBuffer out = {packed, sizeof packed, 0};
        for (size_t at = 0; at < sizeof data; at += 1 << 16) { // in parts: the size stays unknown
            ZSTD_inBuffer in = {data + at, 1 << 16, 0};
            ZSTD_compressStream2(writer, &out, &in, ZSTD_e_continue);
        }
        ZSTD_inBuffer none = {NULL, 0, 0};
        assert_int_equal(ZSTD_compressStream2(writer, &out, &none, ZSTD_e_end), 0);
        ZSTD_freeCStream(writer);
        for (size_t limit = sizeof data - 1; limit <= sizeof data + 1; limit++) {
            struct oto_buffer plain = buffer_new(limit);
            enum oto_status status = oto_decompress(codec, OTO_COMPRESSION_ZSTD,
                                                    oto_bytes(packed, out.pos), &plain, NULL);
            if (window > 23 || limit < sizeof data) {
                assert_int_equal(status, OTO_TOO_LARGE);
            } else {
                assert_int_equal(status, OTO_OK);
                assert_int_equal(plain.size, sizeof data);
                assert_memory_equal(plain.data, data, sizeof data);
            }
            oto_buffer_release(&plain);
        }
    }
    oto_codec_free(codec);
}

static void raw_deflate_is_read(void **state)
{
    (void)state;
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_buffer plain = buffer_new(100);
    static const uint8_t raw[] = {0xCB, 0x48, 0xCD, 0xC9, 0xC9, 0x07, 0x00}; // "hello"
    assert_int_equal(
        oto_decompress(codec, OTO_COMPRESSION_DEFLATE, oto_bytes(raw, 7), &plain, NULL), OTO_OK);
    assert_true(oto_bytes_equal_text(oto_buffer_view(&plain), "hello"));
    oto_buffer_release(&plain);
    oto_codec_free(codec);
}

static void names_of_content_codings_are_known(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum oto_compression compression;
    } good[] = {{"", 0},       {"identity", 0}, {"gzip", 1}, {"GZip", 1},
                {"x-gzip", 1}, {"deflate", 2},  {"ZSTD", 3}};
    enum oto_compression got;
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_int_equal(oto_compression_from_name(oto_bytes_text(good[i].name), &got), OTO_OK);
        assert_int_equal(got, good[i].compression);
    }
    assert_int_equal(oto_compression_from_name(oto_bytes_text("br"), &got), OTO_UNSUPPORTED);
    assert_int_equal(oto_compression_from_name(oto_bytes_text("gzi"), &got), OTO_UNSUPPORTED);
    assert_int_equal(oto_compression_detect(oto_bytes_text("\x1F")), OTO_COMPRESSION_NONE);
    assert_int_equal(oto_compression_detect(oto_bytes_text("plain")), OTO_COMPRESSION_NONE);
}

static void blocks_become_exactly_their_size(void **state)
{
    (void)state;
    static uint8_t data[50000], back[50001], packed[80000];
    fill(data, sizeof data, 7);
    for (int lz4 = 0; lz4 < 2; lz4++) {
        enum oto_status (*decompress)(struct oto_bytes, void *, size_t) =
            lz4 ? oto_lz4_block : oto_snappy_block;
        size_t size = sizeof packed;
        if (lz4)
            size = (size_t)LZ4_compress_default((const char *)data, (char *)packed, sizeof data,
                                                sizeof packed);
        else
            assert_int_equal(
                snappy_compress((const char *)data, sizeof data, (char *)packed, &size), 0);
        assert_int_equal(decompress(oto_bytes(packed, size), back, sizeof data), OTO_OK);
        assert_memory_equal(back, data, sizeof data);
        assert_int_equal(decompress(oto_bytes(packed, size), back, sizeof data + 1), OTO_CORRUPT);
        assert_int_equal(decompress(oto_bytes(packed, size), back, sizeof data - 1), OTO_CORRUPT);
        assert_int_equal(decompress(oto_bytes(packed, size - 1), back, sizeof data), OTO_CORRUPT);
        assert_int_equal(decompress(oto_bytes(NULL, 0), back, 10), OTO_CORRUPT);
        assert_true(oto_block_size_max(size) >= sizeof data);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(data_goes_both_ways),
        cmocka_unit_test(several_members_and_frames_are_one_stream),
        cmocka_unit_test(every_truncation_and_changed_byte_is_noticed),
        cmocka_unit_test(bombs_end_at_the_limit),
        cmocka_unit_test(zstd_streams_of_unknown_size_are_read_and_wide_windows_refused),
        cmocka_unit_test(raw_deflate_is_read),
        cmocka_unit_test(names_of_content_codings_are_known),
        cmocka_unit_test(blocks_become_exactly_their_size),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
