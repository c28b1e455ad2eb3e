// folders: codec
// The primitives of the ingest path and of files, a value or a byte an item: Parquet's encodings,
// checksums, hashes, text. How: bench.h.
#include "base/hash.h"
#include "base/text.h"
#include "base/utf8.h"
#include "bench.h"
#include "codec/crc.h"
#include "codec/delta.h"
#include "codec/hex_frame.h"
#include "codec/rle.h"

enum { COUNT = 65536, DOUBLES = COUNT / 64 };

struct input {
    uint32_t narrow[COUNT];
    int64_t wide[COUNT];
    double doubles[COUNT];
    uint8_t text[COUNT];
    struct oto_buffer output;
    uint64_t sink; // results go here, so that no call is left out
};

static void run_rle(struct input *in, unsigned width)
{
    in->output.size = 0;
    bench_must(oto_rle_encode(in->narrow, COUNT, width, &in->output));
}

static void run_rle_decode(struct input *in, unsigned width)
{
    bench_must(oto_rle_decode(oto_buffer_view(&in->output), width, in->narrow, COUNT, NULL));
}

static void run_delta(struct input *in, unsigned unused)
{
    (void)unused;
    in->output.size = 0;
    bench_must(oto_delta_encode64(in->wide, COUNT, &in->output));
}

static void run_delta_decode(struct input *in, unsigned unused)
{
    (void)unused;
    bench_must(oto_delta_decode64(oto_buffer_view(&in->output), in->wide, COUNT, NULL));
}

static void run_delta32(struct input *in, unsigned unused)
{
    (void)unused;
    in->output.size = 0;
    bench_must(oto_delta_encode32((const int32_t *)in->narrow, COUNT, &in->output));
}

static void run_join(struct input *in, unsigned unused)
{
    (void)unused;
    oto_byte_stream_join(in->output.data, COUNT, 8, 0, COUNT, (uint8_t *)in->wide);
}

static void run_range(struct input *in, unsigned unused)
{
    (void)unused;
    uint32_t least, greatest;
    oto_codes_range(in->narrow, COUNT, &least, &greatest);
    in->sink += least + greatest;
}

static void run_hex_frame(struct input *in, unsigned unused)
{
    (void)unused;
    in->output.size = 0;
    bench_must(oto_hex_frame((struct oto_bytes){0}, oto_bytes(in->text, COUNT), &in->output));
}

static void run_crc32(struct input *in, unsigned part)
{
    for (size_t at = 0; at < COUNT; at += part)
        in->sink += oto_crc32(0, in->text + at, part);
}

static void run_split(struct input *in, unsigned unused)
{
    (void)unused;
    in->output.size = 0;
    bench_must(oto_byte_stream_split(in->wide, COUNT, 8, &in->output));
}

static void run_crc32c(struct input *in, unsigned part)
{
    for (size_t at = 0; at < COUNT; at += part)
        in->sink += oto_crc32c(0, in->text + at, part);
}

static void run_crc32c_plain(struct input *in, unsigned part)
{
    for (size_t at = 0; at < COUNT; at += part)
        in->sink += oto_crc32c_plain(0, in->text + at, part);
}

static void run_utf8(struct input *in, unsigned part)
{
    for (size_t at = 0; at < COUNT; at += part)
        in->sink += (uint64_t)oto_utf8_valid(in->text + at, part);
}

static void run_hash(struct input *in, unsigned size)
{
    for (size_t i = 0; i + 64 <= COUNT; i++)
        in->sink += oto_hash(in->text + i, size, in->sink); // one after the other: latency
}

static void run_double(struct input *in, unsigned unused)
{
    (void)unused;
    char text[OTO_TEXT_DOUBLE_MAX];
    for (size_t i = 0; i < DOUBLES; i++)
        in->sink += oto_text_from_double(in->doubles[i], text);
}

static void fill_constant(struct input *in)
{
    for (size_t i = 0; i < COUNT; i++)
        in->narrow[i] = 1;
}

static void fill_random(struct input *in)
{
    for (size_t i = 0; i < COUNT; i++) {
        uint64_t x = oto_xxh64(&i, sizeof i, 0);
        in->narrow[i] = x & 1 ? (uint32_t)x >> 31 : (uint32_t)(x >> 8) & 1;
        in->wide[i] = (int64_t)(1700000000000000000u + i * 1000000 + x % 300000);
        in->text[i] = (uint8_t)(' ' + x % 90);
        in->doubles[i] = (double)(x % 1000000) / 1000;
    }
}

static void fill_wide(struct input *in)
{
    for (size_t i = 0; i < COUNT; i++) {
        in->narrow[i] = (uint32_t)oto_xxh64(&i, sizeof i, 1) & 1023;
        in->doubles[i] = (double)oto_xxh64(&i, sizeof i, 2) * 0x1.2345p-40;
    }
}

static void fill_accents(struct input *in)
{
    for (size_t i = 0; i + 4 <= COUNT; i += 4)
        memcpy(in->text + i, i % 16 ? "abcd" : "\xC3\xA9\xC3\xA8", 4);
}

static const struct {
    const char *name;
    void (*fill)(struct input *in);
    void (*run)(struct input *in, unsigned parameter);
    unsigned parameter;
} benches[] = {
    {"rle_encode_constant_w1", fill_constant, run_rle, 1},
    {"rle_encode_random_w1", fill_random, run_rle, 1},
    {"rle_decode_random_w1", NULL, run_rle_decode, 1},
    {"rle_encode_random_w10", fill_wide, run_rle, 10},
    {"rle_decode_random_w10", NULL, run_rle_decode, 10},
    {"delta_encode64_times", fill_random, run_delta, 0},
    {"delta_decode64_times", NULL, run_delta_decode, 0},
    {"delta_encode32_codes", NULL, run_delta32, 0},
    {"codes_range", NULL, run_range, 0},
    {"byte_stream_split_8", NULL, run_split, 0},
    {"byte_stream_join_8", NULL, run_join, 0},
    {"hex_frame", NULL, run_hex_frame, 0},
    {"crc32_64k", NULL, run_crc32, COUNT},
    {"crc32c_64k", NULL, run_crc32c, COUNT},
    {"crc32c_256", NULL, run_crc32c, 256},
    {"crc32c_plain_64k", NULL, run_crc32c_plain, COUNT},
    {"utf8_ascii_16", NULL, run_utf8, 16},
    {"utf8_ascii_1k", NULL, run_utf8, 1024},
    {"utf8_accents_1k", fill_accents, run_utf8, 1024},
    {"hash_8", NULL, run_hash, 8},
    {"hash_24", NULL, run_hash, 24},
    {"hash_64", NULL, run_hash, 64},
    {"text_from_double_3_decimals", fill_random, run_double, 0},
    {"text_from_double_17_digits", fill_wide, run_double, 0},
};

struct one {
    struct input *in;
    void (*run)(struct input *in, unsigned parameter);
    unsigned parameter;
};

static void run_one(void *state)
{
    struct one *one = state;
    one->run(one->in, one->parameter);
}

int main(int argc, char **argv)
{
    struct bench b = bench_of(argc, argv);
    static struct input in;
    oto_buffer_init(&in.output, &oto_allocator_heap, 1 << 22);
    for (size_t i = 0; i < sizeof benches / sizeof *benches; i++) {
        struct one one = {&in, benches[i].run, benches[i].parameter};
        if (benches[i].fill)
            benches[i].fill(&in);
        bench_run(&b, benches[i].name, one.run == run_double ? DOUBLES : COUNT, run_one, &one);
    }
    oto_buffer_release(&in.output);
    return in.sink == 42 ? 2 : 0;
}
