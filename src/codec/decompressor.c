#include "codec/decompressor.h"

#ifdef __wasm__

enum oto_status oto_decompressor_new(const struct oto_allocator *allocator,
                                     enum oto_compression compression,
                                     struct oto_decompressor **ret, struct oto_error *err)
{
    (void)allocator, (void)compression, (void)ret;
    return oto_error_set(err, OTO_UNSUPPORTED, "compression is not in this build");
}

void oto_decompressor_free(struct oto_decompressor *d)
{
    (void)d;
}

enum oto_status oto_decompressor_step(struct oto_decompressor *d, struct oto_bytes *input,
                                      void *output, size_t output_size, size_t *ret_size,
                                      struct oto_error *err)
{
    (void)d, (void)input, (void)output, (void)output_size, (void)ret_size;
    return oto_error_set(err, OTO_UNSUPPORTED, "compression is not in this build");
}

enum oto_status oto_decompressor_end(const struct oto_decompressor *d, struct oto_error *err)
{
    (void)d;
    return oto_error_set(err, OTO_UNSUPPORTED, "compression is not in this build");
}

#else

#include <limits.h>
#include <zlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#define ZSTD_WINDOW_LOG_MAX 27
#define GZIP_WINDOW_BITS (15 + 16) // the largest, and gzip's header

struct oto_decompressor {
    const struct oto_allocator *allocator;
    ZSTD_DCtx *zstd;
    z_stream gzip;
    int is_gzip;
    int is_inside;  // of a frame or member
    uint64_t taken; // bytes of input
};

enum oto_status oto_decompressor_new(const struct oto_allocator *allocator,
                                     enum oto_compression compression,
                                     struct oto_decompressor **ret, struct oto_error *err)
{
    if (compression != OTO_COMPRESSION_GZIP && compression != OTO_COMPRESSION_ZSTD)
        return oto_error_set(err, OTO_UNSUPPORTED, "neither gzip nor zstd");
    struct oto_decompressor *d = oto_alloc(allocator, sizeof *d);
    if (!d)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to decompress");
    memset(d, 0, sizeof *d);
    d->allocator = allocator;
    int is_ready;
    if (compression == OTO_COMPRESSION_GZIP) {
        is_ready = d->is_gzip = inflateInit2(&d->gzip, GZIP_WINDOW_BITS) == Z_OK;
    } else {
        d->zstd = ZSTD_createDCtx();
        is_ready = d->zstd && !ZSTD_isError(ZSTD_DCtx_setParameter(d->zstd, ZSTD_d_windowLogMax,
                                                                   ZSTD_WINDOW_LOG_MAX));
    }
    if (!is_ready) {
        oto_decompressor_free(d);
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to decompress");
    }
    *ret = d;
    return OTO_OK;
}

void oto_decompressor_free(struct oto_decompressor *d)
{
    if (!d)
        return;
    if (d->is_gzip)
        inflateEnd(&d->gzip);
    ZSTD_freeDCtx(d->zstd);
    oto_free(d->allocator, d, sizeof *d);
}

static enum oto_status zstd_failed(const struct oto_decompressor *d, size_t code, size_t at,
                                   struct oto_error *err)
{
    switch (ZSTD_getErrorCode(code)) {
    case ZSTD_error_memory_allocation:
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for zstd");
    case ZSTD_error_frameParameter_windowTooLarge:
        return oto_error_at(err, OTO_TOO_LARGE, d->taken + at, "zstd window over %u bytes",
                            1u << ZSTD_WINDOW_LOG_MAX);
    default:
        return oto_error_at(err, OTO_INVALID, d->taken + at, "zstd: %s", ZSTD_getErrorName(code));
    }
}

static enum oto_status zstd_step(struct oto_decompressor *d, struct oto_bytes input,
                                 ZSTD_outBuffer *out, size_t *ret_taken, struct oto_error *err)
{
    ZSTD_inBuffer in = {input.data, input.size, 0};
    while (out->pos < out->size) {
        size_t before = out->pos, at = in.pos;
        if (in.pos == in.size && !d->is_inside)
            break;
        size_t more = ZSTD_decompressStream(d->zstd, out, &in);
        if (ZSTD_isError(more))
            return zstd_failed(d, more, in.pos, err);
        d->is_inside = more != 0;
        if (in.pos == at && out->pos == before)
            break;
    }
    *ret_taken = in.pos;
    return OTO_OK;
}

static enum oto_status gzip_step(struct oto_decompressor *d, struct oto_bytes input,
                                 uint8_t *output, size_t size, size_t *ret_taken, size_t *ret_size,
                                 struct oto_error *err)
{
    z_stream *z = &d->gzip;
    uInt in_size = input.size < UINT_MAX ? (uInt)input.size : UINT_MAX;
    uInt out_size = size < UINT_MAX ? (uInt)size : UINT_MAX;
    z->next_in = (Bytef *)(uintptr_t)input.data; // never written through
    z->avail_in = in_size;
    z->next_out = output;
    z->avail_out = out_size;
    while (z->avail_out && (z->avail_in || d->is_inside)) {
        int result = inflate(z, Z_NO_FLUSH);
        if (result == Z_STREAM_END) {
            d->is_inside = 0;
            inflateReset(z);
        } else if (result == Z_OK) {
            d->is_inside = 1;
        } else if (result == Z_BUF_ERROR) {
            break;
        } else {
            return oto_error_at(err, result == Z_MEM_ERROR ? OTO_NO_MEMORY : OTO_INVALID,
                                d->taken + (in_size - z->avail_in), "gzip: %s",
                                z->msg ? z->msg : "broken stream");
        }
    }
    *ret_taken = in_size - z->avail_in;
    *ret_size = out_size - z->avail_out;
    return OTO_OK;
}

enum oto_status oto_decompressor_step(struct oto_decompressor *d, struct oto_bytes *input,
                                      void *output, size_t output_size, size_t *ret_size,
                                      struct oto_error *err)
{
    size_t taken = 0;
    if (d->is_gzip) {
        OTO_TRY(gzip_step(d, *input, output, output_size, &taken, ret_size, err));
    } else {
        ZSTD_outBuffer out = {output, output_size, 0};
        OTO_TRY(zstd_step(d, *input, &out, &taken, err));
        *ret_size = out.pos;
    }
    if (taken)
        *input = oto_bytes(input->data + taken, input->size - taken);
    d->taken += taken;
    return OTO_OK;
}

enum oto_status oto_decompressor_end(const struct oto_decompressor *d, struct oto_error *err)
{
    return d->is_inside ? oto_error_at(err, OTO_INVALID, d->taken, "truncated %s stream",
                                       d->is_gzip ? "gzip" : "zstd")
                        : OTO_OK;
}

#endif
