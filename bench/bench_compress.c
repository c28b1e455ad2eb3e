// folders: codec
// Compression and decompression as files and requests have them, a byte of plain text an item:
// zstd by search and by line, gzip, deflate, snappy, LZ4. How: bench.h.
#include "bench.h"
#include "codec/compress.h"
#include "codec/decompressor.h"
#include <lz4.h>
#include <snappy-c.h>

#define TEXT_MAX (256u << 10)
#define LINES_MAX 8192

struct input {
    struct oto_codec *codec;
    struct oto_buffer text, output;
    struct oto_buffer packed; // the text in one form
    enum oto_compression form;
    int32_t sizes[LINES_MAX];
    size_t line_count;
};

// Lines as services log them: few shapes, many numbers.
static void make_text(struct input *in)
{
    static const char *const shapes[][3] = {
        {"order ", " accepted in ", " ms for customer "},
        {"GET /api/v1/orders/", " took ", " ms, rows: "},
        {"payment ", " rejected after attempts: ", " at offset "},
        {"cache miss for key ", " in shard ", ", size "},
        {"connection ", " to db-main closed after ", " s with status "},
        {"retrying message ", ", attempt ", " of "},
        {"user ", " logged in from 10.0.0.", " with port "},
        {"job ", " finished, items: ", ", skipped: "},
    };
    uint64_t random = 1;
    while (in->text.size < TEXT_MAX - 128 && in->line_count < LINES_MAX) {
        const char *const *shape = shapes[bench_random(&random) % 8];
        uint32_t number = bench_random(&random);
        size_t before = in->text.size;
        bench_must(oto_buffer_append_format(&in->text, "%s%u%s%u%s%u", shape[0], number % 10000000,
                                            shape[1], number % 197, shape[2], number % 211));
        in->sizes[in->line_count++] = (int32_t)(in->text.size - before);
    }
}

static void run_pack(void *state)
{
    struct input *in = state;
    in->output.size = 0;
    bench_must(oto_compress(in->codec, in->form, 0, oto_buffer_view(&in->text), &in->output, NULL));
}

static void run_lines(void *state)
{
    struct input *in = state;
    struct oto_lines lines = {.sizes = in->sizes, .count = in->line_count};
    enum oto_text_method method = OTO_TEXT_NEW;
    in->output.size = 0;
    bench_must(oto_compress_text(in->codec, 1, oto_buffer_view(&in->text), &lines, &method,
                                 &in->output, NULL));
    if (method != OTO_TEXT_LINES)
        bench_must(OTO_INTERNAL);
}

static void run_unpack(void *state)
{
    struct input *in = state;
    in->output.size = 0;
    bench_must(
        oto_decompress(in->codec, in->form, oto_buffer_view(&in->packed), &in->output, NULL));
}

static void run_unpack_pieces(void *state)
{
    struct input *in = state;
    struct oto_decompressor *d;
    struct oto_bytes left = oto_buffer_view(&in->packed);
    static uint8_t piece[16 << 10];
    size_t size;
    bench_must(oto_decompressor_new(&oto_allocator_heap, in->form, &d, NULL));
    do
        bench_must(oto_decompressor_step(d, &left, piece, sizeof piece, &size, NULL));
    while (left.size > 0 || size > 0);
    bench_must(oto_decompressor_end(d, NULL));
    oto_decompressor_free(d);
}

static void run_snappy(void *state)
{
    struct input *in = state;
    bench_must(oto_snappy_block(oto_buffer_view(&in->packed), in->output.data, in->text.size));
}

static void run_lz4(void *state)
{
    struct input *in = state;
    bench_must(oto_lz4_block(oto_buffer_view(&in->packed), in->output.data, in->text.size));
}

static void bench_form(struct bench *b, struct input *in, enum oto_compression form,
                       const char *name)
{
    char title[64];
    in->form = form;
    snprintf(title, sizeof title, "%s_compress", name);
    bench_run(b, title, in->text.size, run_pack, in);
    in->packed.size = 0;
    bench_must(oto_buffer_append(&in->packed, in->output.data, in->output.size));
    snprintf(title, sizeof title, "%s_decompress", name);
    bench_run(b, title, in->text.size, run_unpack, in);
}

// Blocks of other writers' Parquet files.
static void bench_blocks(struct bench *b, struct input *in)
{
    size_t size = in->packed.size_max;
    bench_must(oto_buffer_reserve(&in->packed, size));
    if (snappy_compress((const char *)in->text.data, in->text.size, (char *)in->packed.data,
                        &size) != SNAPPY_OK)
        bench_must(OTO_INTERNAL);
    in->packed.size = size;
    bench_run(b, "snappy_decompress", in->text.size, run_snappy, in);
    int done = LZ4_compress_default((const char *)in->text.data, (char *)in->packed.data,
                                    (int)in->text.size, (int)in->packed.size_max);
    in->packed.size = (size_t)done;
    bench_run(b, "lz4_decompress", in->text.size, run_lz4, in);
}

int main(int argc, char **argv)
{
    struct bench b = bench_of(argc, argv);
    static struct input in;
    struct oto_buffer *const buffers[] = {&in.text, &in.output, &in.packed};
    in.codec = oto_codec_new(&oto_allocator_heap);
    for (int i = 0; i < 3; i++) {
        oto_buffer_init(buffers[i], &oto_allocator_heap, 2 * TEXT_MAX);
        bench_must(oto_buffer_reserve(buffers[i], 2 * TEXT_MAX));
    }
    make_text(&in);
    bench_form(&b, &in, OTO_COMPRESSION_GZIP, "gzip");
    bench_run(&b, "gzip_decompress_pieces", in.text.size, run_unpack_pieces, &in);
    bench_form(&b, &in, OTO_COMPRESSION_DEFLATE, "deflate");
    bench_form(&b, &in, OTO_COMPRESSION_ZSTD, "zstd");
    bench_run(&b, "zstd_decompress_pieces", in.text.size, run_unpack_pieces, &in);
    bench_run(&b, "zstd_compress_lines", in.text.size, run_lines, &in);
    in.packed.size = 0;
    bench_blocks(&b, &in);
    for (int i = 0; i < 3; i++)
        oto_buffer_release(buffers[i]);
    oto_codec_free(in.codec);
    return 0;
}
