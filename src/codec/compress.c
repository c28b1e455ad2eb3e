#include "codec/compress.h"
#include "codec/codes.h"
#include "codec/ids.h"
#include "codec/match_frame.h"

#ifndef __wasm__
#include <libdeflate.h>
#include <limits.h>
#include <lz4.h>
#include <snappy-c.h>
#include <zstd.h>
#include <zstd_errors.h>
#endif

enum oto_compression oto_compression_detect(struct oto_bytes input)
{
    if (input.size >= 2 && input.data[0] == 0x1F && input.data[1] == 0x8B)
        return OTO_COMPRESSION_GZIP;
    if (input.size >= 4 && oto_load32(input.data) == 0xFD2FB528u)
        return OTO_COMPRESSION_ZSTD;
    return OTO_COMPRESSION_NONE;
}

static int name_is(struct oto_bytes name, const char *lower)
{
    if (name.size != strlen(lower))
        return 0;
    for (size_t i = 0; i < name.size; i++) {
        uint8_t c = name.data[i];
        if ((c >= 'A' && c <= 'Z' ? c | 0x20 : c) != (uint8_t)lower[i])
            return 0;
    }
    return 1;
}

enum oto_status oto_compression_from_name(struct oto_bytes name, enum oto_compression *ret)
{
    static const struct {
        const char *name;
        enum oto_compression compression;
    } names[] = {
        {"", OTO_COMPRESSION_NONE},     {"identity", OTO_COMPRESSION_NONE},
        {"gzip", OTO_COMPRESSION_GZIP}, {"x-gzip", OTO_COMPRESSION_GZIP},
        {"zstd", OTO_COMPRESSION_ZSTD}, {"deflate", OTO_COMPRESSION_DEFLATE},
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (name_is(name, names[i].name)) {
            *ret = names[i].compression;
            return OTO_OK;
        }
    }
    return OTO_UNSUPPORTED;
}

#ifdef __wasm__

struct oto_codec {
    const struct oto_allocator *allocator;
};

static void codec_init(struct oto_codec *codec)
{
    (void)codec;
}

static void codec_release(struct oto_codec *codec)
{
    (void)codec;
}

static enum oto_status inflate_all(struct oto_codec *codec, enum oto_compression compression,
                                   struct oto_bytes input, struct oto_buffer *output,
                                   struct oto_error *err)
{
    (void)codec, (void)compression, (void)input, (void)output;
    return oto_error_set(err, OTO_UNSUPPORTED, "compression is not in this build");
}

static enum oto_status deflate_all(struct oto_codec *codec, enum oto_compression compression,
                                   int level, struct oto_bytes input, struct oto_buffer *output,
                                   struct oto_error *err)
{
    (void)level;
    return inflate_all(codec, compression, input, output, err);
}

static enum oto_status text_into(struct oto_codec *codec, struct oto_bytes input,
                                 const struct oto_lines *lines, enum oto_text_method *method,
                                 struct oto_buffer *output)
{
    (void)codec, (void)input, (void)lines, (void)output;
    *method = OTO_TEXT_SEARCH;
    return OTO_OK;
}

static enum oto_status codes_into(struct oto_codec *codec, struct oto_bytes input, size_t head_size,
                                  struct oto_buffer *output)
{
    (void)codec, (void)input, (void)head_size, (void)output;
    return OTO_UNSUPPORTED;
}

static enum oto_status ids_into(struct oto_codec *codec, struct oto_bytes input, size_t head_size,
                                unsigned id_size, struct oto_buffer *output)
{
    (void)id_size;
    return codes_into(codec, input, head_size, output);
}

enum oto_status oto_snappy_block(struct oto_bytes input, void *output, size_t size)
{
    (void)input, (void)output, (void)size;
    return OTO_UNSUPPORTED;
}

enum oto_status oto_lz4_block(struct oto_bytes input, void *output, size_t size)
{
    (void)input, (void)output, (void)size;
    return OTO_UNSUPPORTED;
}

#else

#define ZSTD_WINDOW_LOG_MAX 23

// Deflate cannot expand by more than this, so a size that claims more is not believed.
#define DEFLATE_RATIO_MAX 1032
// zstd can expand without bound; a claimed size past this ratio is approached by doubling instead.
#define ZSTD_RATIO_TRUSTED 128

#define GZIP_LEVEL_DEFAULT 1
#define GZIP_LEVEL_MAX 12
#define ZSTD_LEVEL_DEFAULT 1
#define ZSTD_LEVEL_MAX 19

// A piece of text tells whether words do as well as search: one in so many bytes, within these.
#define WORDS_TRIAL_SHARE 8
#define WORDS_TRIAL_BYTES_MIN ((size_t)1 << 13)
#define WORDS_TRIAL_BYTES_MAX OTO_LINES_BLOCK_MAX
#define WORDS_TRIAL_PERCENT 106 // nearly as many bytes as by search, which takes half as long again

// Each context is made when first needed. The libraries take their memory from the C heap.
struct oto_codec {
    const struct oto_allocator *allocator;
    struct libdeflate_decompressor *inflater;
    struct libdeflate_compressor *deflater;
    int deflater_level;
    ZSTD_DCtx *zstd_reader;
    ZSTD_CCtx *zstd_writer;
    struct oto_lines_table *lines;
    struct oto_words_table *words;
    struct oto_match_frame_work *frame;
    struct oto_buffer matches; // struct oto_lines_match, of one frame
};

static void codec_init(struct oto_codec *codec)
{
    oto_buffer_init(&codec->matches, codec->allocator, SIZE_MAX / 2);
}

static void codec_release(struct oto_codec *codec)
{
    if (codec->inflater)
        libdeflate_free_decompressor(codec->inflater);
    if (codec->deflater)
        libdeflate_free_compressor(codec->deflater);
    ZSTD_freeDCtx(codec->zstd_reader);
    ZSTD_freeCCtx(codec->zstd_writer);
    oto_free(codec->allocator, codec->lines, sizeof *codec->lines);
    oto_free(codec->allocator, codec->words, sizeof *codec->words);
    oto_free(codec->allocator, codec->frame, sizeof *codec->frame);
    oto_buffer_release(&codec->matches);
}

static enum oto_status buffer_failed(enum oto_status status, const struct oto_buffer *output,
                                     struct oto_error *err)
{
    if (status == OTO_NO_MEMORY)
        return oto_error_set(err, status, "no memory for decompressed data");
    return oto_error_set(err, status, "more than %zu bytes after decompression", output->size_max);
}

// Makes room by a guess that never fails for being past the limit: a full buffer is found out
// later.
static enum oto_status reserve_up_to(struct oto_buffer *output, size_t guess, struct oto_error *err)
{
    size_t room = output->size_max - output->size;
    enum oto_status status = oto_buffer_reserve(output, guess < room ? guess : room);
    return status < 0 ? buffer_failed(status, output, err) : OTO_OK;
}

static int is_zlib(struct oto_bytes input)
{
    return input.size >= 2 && (input.data[0] & 0x8F) == 8 &&
           ((unsigned)input.data[0] << 8 | input.data[1]) % 31 == 0;
}

// One gzip member, zlib stream or raw deflate stream into the room that output has.
static enum libdeflate_result inflate_one(struct oto_codec *codec, enum oto_compression compression,
                                          struct oto_bytes input, struct oto_buffer *output,
                                          size_t *ret_consumed, size_t *ret_size)
{
    uint8_t none[1];
    uint8_t *to = output->data ? output->data + output->size : none;
    size_t room = output->capacity - output->size;
    if (compression == OTO_COMPRESSION_GZIP)
        return libdeflate_gzip_decompress_ex(codec->inflater, input.data, input.size, to, room,
                                             ret_consumed, ret_size);
    if (is_zlib(input))
        return libdeflate_zlib_decompress_ex(codec->inflater, input.data, input.size, to, room,
                                             ret_consumed, ret_size);
    return libdeflate_deflate_decompress_ex(codec->inflater, input.data, input.size, to, room,
                                            ret_consumed, ret_size);
}

// libdeflate starts a member anew when room was short; because the room doubles, all the tries
// together write at most about twice the limit.
static enum oto_status inflate_member(struct oto_codec *codec, enum oto_compression compression,
                                      struct oto_bytes input, uint64_t offset,
                                      struct oto_buffer *output, size_t *ret_consumed,
                                      struct oto_error *err)
{
    for (;;) {
        size_t size = 0;
        enum libdeflate_result result =
            inflate_one(codec, compression, input, output, ret_consumed, &size);
        if (result == LIBDEFLATE_SUCCESS) {
            output->size += size;
            return OTO_OK;
        }
        if (result != LIBDEFLATE_INSUFFICIENT_SPACE)
            return oto_error_at(err, OTO_INVALID, offset, "broken or truncated %s stream",
                                compression == OTO_COMPRESSION_GZIP ? "gzip" : "deflate");
        if (output->capacity >= output->size_max)
            return buffer_failed(OTO_TOO_LARGE, output, err);
        OTO_TRY(reserve_up_to(output, output->capacity - output->size + 1, err));
    }
}

static size_t inflate_guess(enum oto_compression compression, struct oto_bytes input)
{
    size_t guess = input.size > SIZE_MAX / DEFLATE_RATIO_MAX ? input.size : input.size * 4;
    if (compression == OTO_COMPRESSION_GZIP && input.size >= 18 &&
        input.size <= SIZE_MAX / DEFLATE_RATIO_MAX) {
        size_t claimed = oto_load32(input.data + input.size - 4); // ISIZE of the last member
        size_t most = input.size * DEFLATE_RATIO_MAX;
        claimed = claimed < most ? claimed : most;
        guess = claimed > guess ? claimed : guess;
    }
    return guess;
}

static enum oto_status inflate_members(struct oto_codec *codec, enum oto_compression compression,
                                       struct oto_bytes input, struct oto_buffer *output,
                                       struct oto_error *err)
{
    if (!codec->inflater && !(codec->inflater = libdeflate_alloc_decompressor()))
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to decompress");
    OTO_TRY(reserve_up_to(output, inflate_guess(compression, input), err));
    size_t at = 0;
    do {
        size_t consumed = 0;
        struct oto_bytes rest = oto_bytes(input.data + at, input.size - at);
        OTO_TRY(inflate_member(codec, compression, rest, at, output, &consumed, err));
        at += consumed;
    } while (at < input.size && compression == OTO_COMPRESSION_GZIP);
    if (at < input.size)
        return oto_error_at(err, OTO_INVALID, at, "bytes after the deflate stream");
    return OTO_OK;
}

static enum oto_status zstd_failed(size_t code, uint64_t offset, struct oto_error *err)
{
    switch (ZSTD_getErrorCode(code)) {
    case ZSTD_error_memory_allocation:
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for zstd");
    case ZSTD_error_frameParameter_windowTooLarge:
        return oto_error_at(err, OTO_TOO_LARGE, offset, "zstd window over %u bytes",
                            1u << ZSTD_WINDOW_LOG_MAX);
    default:
        return oto_error_at(err, OTO_INVALID, offset, "zstd: %s", ZSTD_getErrorName(code));
    }
}

static enum oto_status zstd_reader_begin(struct oto_codec *codec, struct oto_error *err)
{
    if (!codec->zstd_reader) {
        codec->zstd_reader = ZSTD_createDCtx();
        if (!codec->zstd_reader)
            return oto_error_set(err, OTO_NO_MEMORY, "no memory to decompress");
        ZSTD_DCtx_setParameter(codec->zstd_reader, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG_MAX);
    }
    ZSTD_DCtx_reset(codec->zstd_reader, ZSTD_reset_session_only);
    return OTO_OK;
}

// Room for the frame at hand, by the size it claims.
static enum oto_status zstd_frame_begin(struct oto_bytes rest, struct oto_buffer *output,
                                        struct oto_error *err)
{
    unsigned long long claimed = ZSTD_getFrameContentSize(rest.data, rest.size);
    size_t trusted =
        rest.size < SIZE_MAX / ZSTD_RATIO_TRUSTED ? rest.size * ZSTD_RATIO_TRUSTED : SIZE_MAX;
    size_t guess = rest.size < SIZE_MAX / 4 ? rest.size * 4 : SIZE_MAX;
    if (claimed < ZSTD_CONTENTSIZE_ERROR) {
        if (claimed > output->size_max - output->size)
            return buffer_failed(OTO_TOO_LARGE, output, err);
        guess = claimed < trusted ? (size_t)claimed : trusted;
    }
    return reserve_up_to(output, guess, err);
}

static enum oto_status zstd_frames(struct oto_codec *codec, struct oto_bytes input,
                                   struct oto_buffer *output, struct oto_error *err)
{
    OTO_TRY(zstd_reader_begin(codec, err));
    ZSTD_inBuffer in = {input.data, input.size, 0};
    size_t more = 0; // 0 between frames
    do {
        if (more == 0)
            OTO_TRY(
                zstd_frame_begin(oto_bytes(input.data + in.pos, input.size - in.pos), output, err));
        else if (output->size == output->capacity)
            OTO_TRY(reserve_up_to(output, output->capacity + 1, err));
        // At the limit, one byte aside tells a frame that just fits from one that does not.
        uint8_t probe;
        size_t room = output->capacity - output->size, before = in.pos;
        ZSTD_outBuffer out = {room ? output->data + output->size : &probe, room ? room : 1, 0};
        more = ZSTD_decompressStream(codec->zstd_reader, &out, &in);
        if (ZSTD_isError(more))
            return zstd_failed(more, in.pos, err);
        if (room == 0 && out.pos > 0 && output->capacity >= output->size_max)
            return buffer_failed(OTO_TOO_LARGE, output, err);
        if (room == 0 && out.pos > 0)
            OTO_TRY(oto_buffer_append_byte(output, probe));
        else
            output->size += out.pos;
        if (more != 0 && in.pos == in.size && in.pos == before && out.pos == 0)
            return oto_error_at(err, OTO_INVALID, in.pos, "truncated zstd stream");
    } while (more != 0 || in.pos < in.size);
    return OTO_OK;
}

static enum oto_status inflate_all(struct oto_codec *codec, enum oto_compression compression,
                                   struct oto_bytes input, struct oto_buffer *output,
                                   struct oto_error *err)
{
    if (input.size == 0)
        return oto_error_at(err, OTO_INVALID, 0, "empty compressed stream");
    if (compression == OTO_COMPRESSION_ZSTD)
        return zstd_frames(codec, input, output, err);
    return inflate_members(codec, compression, input, output, err);
}

static int clamp(int level, int default_level, int most)
{
    return level <= 0 ? default_level : level > most ? most : level;
}

static enum oto_status deflater_begin(struct oto_codec *codec, int level)
{
    if (codec->deflater && codec->deflater_level == level)
        return OTO_OK;
    struct libdeflate_compressor *deflater = libdeflate_alloc_compressor(level);
    if (!deflater)
        return OTO_NO_MEMORY;
    if (codec->deflater)
        libdeflate_free_compressor(codec->deflater);
    codec->deflater = deflater;
    codec->deflater_level = level;
    return OTO_OK;
}

static enum oto_status deflate_into(struct oto_codec *codec, enum oto_compression compression,
                                    int level, struct oto_bytes input, struct oto_buffer *output)
{
    OTO_TRY(deflater_begin(codec, clamp(level, GZIP_LEVEL_DEFAULT, GZIP_LEVEL_MAX)));
    int gzip = compression == OTO_COMPRESSION_GZIP;
    size_t bound = gzip ? libdeflate_gzip_compress_bound(codec->deflater, input.size)
                        : libdeflate_zlib_compress_bound(codec->deflater, input.size);
    OTO_TRY(reserve_up_to(output, bound, NULL));
    uint8_t *to = output->data + output->size;
    size_t room = output->capacity - output->size;
    size_t size = !output->data ? 0
                  : gzip
                      ? libdeflate_gzip_compress(codec->deflater, input.data, input.size, to, room)
                      : libdeflate_zlib_compress(codec->deflater, input.data, input.size, to, room);
    output->size += size;
    return size ? OTO_OK : OTO_TOO_LARGE;
}

static enum oto_status zstd_writer_begin(struct oto_codec *codec, size_t input_size,
                                         struct oto_buffer *output)
{
    if (!codec->zstd_writer && !(codec->zstd_writer = ZSTD_createCCtx()))
        return OTO_NO_MEMORY;
    return reserve_up_to(output, ZSTD_compressBound(input_size), NULL);
}

// size: what the library answered.
static enum oto_status zstd_written(size_t size, struct oto_buffer *output)
{
    if (!ZSTD_isError(size)) {
        output->size += size;
        return OTO_OK;
    }
    switch (ZSTD_getErrorCode(size)) {
    case ZSTD_error_dstSize_tooSmall:
        return OTO_TOO_LARGE;
    case ZSTD_error_memory_allocation:
        return OTO_NO_MEMORY;
    default:
        return OTO_INTERNAL;
    }
}

static enum oto_status zstd_into(struct oto_codec *codec, int level, struct oto_bytes input,
                                 struct oto_buffer *output)
{
    OTO_TRY(zstd_writer_begin(codec, input.size, output));
    size_t size =
        ZSTD_compressCCtx(codec->zstd_writer, output->data ? output->data + output->size : NULL,
                          output->capacity - output->size, input.data, input.size,
                          clamp(level, ZSTD_LEVEL_DEFAULT, ZSTD_LEVEL_MAX));
    return zstd_written(size, output);
}

static enum oto_status matches_into(struct oto_codec *codec, struct oto_bytes input,
                                    struct oto_buffer *output)
{
    if (!codec->frame && !(codec->frame = oto_alloc(codec->allocator, sizeof *codec->frame)))
        return OTO_NO_MEMORY;
    return oto_match_frame(input, (void *)codec->matches.data,
                           codec->matches.size / sizeof(struct oto_lines_match), codec->frame,
                           output);
}

static enum oto_status by_line(struct oto_codec *codec, struct oto_bytes input,
                               const struct oto_lines *lines, struct oto_buffer *output,
                               int *ret_pays)
{
    if (!codec->lines && !(codec->lines = oto_alloc(codec->allocator, sizeof *codec->lines)))
        return OTO_NO_MEMORY;
    codec->matches.size = 0;
    OTO_TRY(oto_lines_match(input, lines, codec->lines, &codec->matches, ret_pays));
    return *ret_pays ? matches_into(codec, input, output) : OTO_OK;
}

static enum oto_status by_word(struct oto_codec *codec, struct oto_bytes input,
                               struct oto_buffer *output)
{
    if (!codec->words && !(codec->words = oto_alloc(codec->allocator, sizeof *codec->words)))
        return OTO_NO_MEMORY;
    codec->matches.size = 0;
    OTO_TRY(oto_words_match(input, codec->words, &codec->matches));
    return matches_into(codec, input, output);
}

// Compresses a piece in both ways, and forgets what that made.
static enum oto_status words_try(struct oto_codec *codec, struct oto_bytes text,
                                 struct oto_buffer *output, enum oto_text_method *method)
{
    size_t size = text.size / WORDS_TRIAL_SHARE, before = output->size;
    size = size < WORDS_TRIAL_BYTES_MAX ? size : WORDS_TRIAL_BYTES_MAX;
    *method = OTO_TEXT_SEARCH;
    if (size < WORDS_TRIAL_BYTES_MIN)
        return OTO_OK;
    struct oto_bytes piece = oto_bytes(text.data, size);
    enum oto_status status = by_word(codec, piece, output);
    size_t words_size = output->size - before;
    output->size = before;
    OTO_TRY(status);
    OTO_TRY(zstd_into(codec, ZSTD_LEVEL_DEFAULT, piece, output));
    if (words_size <= (output->size - before) * WORDS_TRIAL_PERCENT / 100)
        *method = OTO_TEXT_WORDS;
    output->size = before;
    return OTO_OK;
}

static enum oto_status text_into(struct oto_codec *codec, struct oto_bytes input,
                                 const struct oto_lines *lines, enum oto_text_method *method,
                                 struct oto_buffer *output)
{
    int pays = 0;
    if (lines->head_size > input.size)
        return OTO_INVALID;
    if (input.size >> ZSTD_WINDOW_LOG_MAX)
        *method = OTO_TEXT_SEARCH;
    if (*method == OTO_TEXT_NEW || *method == OTO_TEXT_LINES) {
        OTO_TRY(by_line(codec, input, lines, output, &pays));
        *method = OTO_TEXT_LINES;
        if (!pays)
            OTO_TRY(words_try(
                codec, oto_bytes(input.data + lines->head_size, input.size - lines->head_size),
                output, method));
    }
    return *method == OTO_TEXT_WORDS ? by_word(codec, input, output) : OTO_OK;
}

static enum oto_status codes_into(struct oto_codec *codec, struct oto_bytes input, size_t head_size,
                                  struct oto_buffer *output)
{
    if (input.size >> ZSTD_WINDOW_LOG_MAX)
        return OTO_UNSUPPORTED;
    codec->matches.size = 0;
    OTO_TRY(oto_codes_match(input, head_size, &codec->matches));
    return matches_into(codec, input, output);
}

static enum oto_status ids_into(struct oto_codec *codec, struct oto_bytes input, size_t head_size,
                                unsigned id_size, struct oto_buffer *output)
{
    if (input.size >> ZSTD_WINDOW_LOG_MAX)
        return OTO_UNSUPPORTED;
    codec->matches.size = 0;
    OTO_TRY(oto_ids_match(input, head_size, id_size, &codec->matches));
    return matches_into(codec, input, output);
}

static enum oto_status deflate_all(struct oto_codec *codec, enum oto_compression compression,
                                   int level, struct oto_bytes input, struct oto_buffer *output,
                                   struct oto_error *err)
{
    enum oto_status status = compression == OTO_COMPRESSION_ZSTD
                                 ? zstd_into(codec, level, input, output)
                                 : deflate_into(codec, compression, level, input, output);
    if (status < 0)
        return oto_error_set(err, status, "compressing %zu bytes: %s", input.size,
                             oto_status_name(status));
    return OTO_OK;
}

enum oto_status oto_snappy_block(struct oto_bytes input, void *output, size_t size)
{
    const char *from = (const char *)input.data;
    size_t claimed;
    if (snappy_uncompressed_length(from, input.size, &claimed) != SNAPPY_OK || claimed != size)
        return OTO_CORRUPT;
    return snappy_uncompress(from, input.size, output, &claimed) == SNAPPY_OK && claimed == size
               ? OTO_OK
               : OTO_CORRUPT;
}

enum oto_status oto_lz4_block(struct oto_bytes input, void *output, size_t size)
{
    if (input.size > INT_MAX || size > INT_MAX)
        return OTO_CORRUPT;
    int made = LZ4_decompress_safe((const char *)input.data, output, (int)input.size, (int)size);
    return made == (int)size ? OTO_OK : OTO_CORRUPT;
}

#endif

// LZ4 counts 255 bytes a byte at most, snappy 64 in three.
size_t oto_block_size_max(size_t input_size)
{
    return input_size < SIZE_MAX / 256 ? input_size * 256 : SIZE_MAX;
}

struct oto_codec *oto_codec_new(const struct oto_allocator *allocator)
{
    struct oto_codec *codec = oto_alloc(allocator, sizeof *codec);
    if (!codec)
        return NULL;
    *codec = (struct oto_codec){.allocator = allocator};
    codec_init(codec);
    return codec;
}

void oto_codec_free(struct oto_codec *codec)
{
    if (!codec)
        return;
    codec_release(codec);
    oto_free(codec->allocator, codec, sizeof *codec);
}

enum oto_status oto_decompress(struct oto_codec *codec, enum oto_compression compression,
                               struct oto_bytes input, struct oto_buffer *output,
                               struct oto_error *err)
{
    size_t before = output->size;
    enum oto_status status;
    if (compression == OTO_COMPRESSION_NONE) {
        status = oto_buffer_append(output, input.data, input.size);
        if (status < 0)
            oto_error_set(err, status, "body of %zu bytes: %s", input.size,
                          oto_status_name(status));
    } else if (compression > OTO_COMPRESSION_ZSTD) {
        status = oto_error_set(err, OTO_UNSUPPORTED, "unknown compression %d", (int)compression);
    } else {
        status = inflate_all(codec, compression, input, output, err);
    }
    if (status < 0)
        output->size = before;
    return status;
}

enum oto_status oto_compress(struct oto_codec *codec, enum oto_compression compression, int level,
                             struct oto_bytes input, struct oto_buffer *output,
                             struct oto_error *err)
{
    if (compression == OTO_COMPRESSION_NONE) {
        enum oto_status status = oto_buffer_append(output, input.data, input.size);
        return status < 0 ? oto_error_set(err, status, "no room for %zu bytes", input.size)
                          : OTO_OK;
    }
    if (compression > OTO_COMPRESSION_ZSTD)
        return oto_error_set(err, OTO_UNSUPPORTED, "unknown compression %d", (int)compression);
    return deflate_all(codec, compression, level, input, output, err);
}

// What matches of our own came to; by search where they are of no use (OTO_UNSUPPORTED).
static enum oto_status or_search(struct oto_codec *codec, int level, struct oto_bytes input,
                                 enum oto_status status, struct oto_buffer *output,
                                 struct oto_error *err)
{
    if (status == OTO_UNSUPPORTED)
        return oto_compress(codec, OTO_COMPRESSION_ZSTD, level, input, output, err);
    if (status < 0)
        return oto_error_set(err, status, "compressing %zu bytes by matches: %s", input.size,
                             oto_status_name(status));
    return OTO_OK;
}

enum oto_status oto_compress_text(struct oto_codec *codec, int level, struct oto_bytes input,
                                  const struct oto_lines *lines, enum oto_text_method *method,
                                  struct oto_buffer *output, struct oto_error *err)
{
    enum oto_text_method found = level <= 1 ? *method : OTO_TEXT_SEARCH;
    enum oto_status status = OTO_OK;
    if (found != OTO_TEXT_SEARCH)
        status = text_into(codec, input, lines, &found, output);
    if (status == OTO_OK) {
        *method = found;
        status = found == OTO_TEXT_SEARCH ? OTO_UNSUPPORTED : OTO_OK;
    }
    return or_search(codec, level, input, status, output, err);
}

enum oto_status oto_compress_codes(struct oto_codec *codec, int level, struct oto_bytes input,
                                   size_t head_size, struct oto_buffer *output,
                                   struct oto_error *err)
{
    enum oto_status status =
        head_size > input.size ? OTO_INVALID : codes_into(codec, input, head_size, output);
    return or_search(codec, level, input, status, output, err);
}

enum oto_status oto_compress_ids(struct oto_codec *codec, int level, struct oto_bytes input,
                                 size_t head_size, unsigned id_size, struct oto_buffer *output,
                                 struct oto_error *err)
{
    enum oto_status status = OTO_UNSUPPORTED;
    if (level <= 1)
        status = ids_into(codec, input, head_size, id_size, output);
    return or_search(codec, level, input, status, output, err);
}
