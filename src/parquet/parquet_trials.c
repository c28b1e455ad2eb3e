// Encodings of numbers that are tried: some of the values are encoded in each way and compressed.
// Integers are tried for the chunk, doubles for each page: series of one kind lie together.
// Measured doubles become smaller when split into streams of bytes. Those that are rounded (19.125,
// 3.2) or whole do not: the low bytes of their binary fractions take few forms, which a compressor
// finds as a whole. Integers that walk are small as differences; counters of many series, each a
// walk of its own, are smaller as they are, for one wide step widens the 127 behind it.
#include "codec/delta.h"
#include "codec/rle.h"
#include "parquet/parquet_internal.h"

#define SAMPLES 3 // so many times so many values
#define SAMPLE 2048
#define VALUES_MIN (2 * SAMPLE) // of fewer the gain is less than the trial
#define TRIED_DISTINCT_MIN 256  // smaller dictionaries are
#define PAGE_VALUES_MIN 256     // a page of fewer is as the one before
#define PLAIN_PERCENT 104       // a page has more to repeat than what is tried of it

struct trial {
    struct oto_parquet_file *file;
    const struct oto_parquet_leaf *leaf;
    const uint64_t *values; // in scratch.values
    uint32_t count;
};

static int is_worth_a_trial(const struct oto_parquet_file *file,
                            const struct oto_parquet_plan *plan)
{
    return !plan->leaf->outer && plan->value_count >= VALUES_MIN &&
           file->options->compression == OTO_COMPRESSION_ZSTD;
}

// Values of 8 bytes of the rows from one on.
static enum oto_status take_sample(struct trial *t, uint32_t number)
{
    const struct oto_column *column = t->leaf->column;
    const uint32_t *indices = t->file->group.indices[t->leaf->level];
    uint32_t rows = t->file->group.count, row = (uint32_t)((uint64_t)rows * number / SAMPLES);
    uint64_t *values = oto_parquet_scratch_take(&t->file->scratch.values, SAMPLE, sizeof *values);
    if (!values)
        return OTO_NO_MEMORY;
    for (t->count = 0; row < rows && t->count < SAMPLE; row++) {
        values[t->count] = ((const uint64_t *)column->values)[indices[row]];
        t->count += (uint32_t)oto_column_valid(column, indices[row]);
    }
    t->values = values;
    return OTO_OK;
}

// Adds what the bytes become, at most what they are.
static enum oto_status add_packed(const struct trial *t, struct oto_bytes bytes, size_t *size)
{
    struct oto_buffer *packed = &t->file->scratch.packed;
    packed->size = 0;
    OTO_TRY(oto_compress(t->file->codec, OTO_COMPRESSION_ZSTD, 1, bytes, packed, t->file->err));
    *size += packed->size < bytes.size ? packed->size : bytes.size;
    return OTO_OK;
}

static enum oto_status add_plain(const struct trial *t, size_t *size)
{
    return add_packed(t, oto_bytes((const uint8_t *)t->values, t->count * sizeof *t->values), size);
}

void oto_parquet_doubles_plan(const struct oto_parquet_file *file, struct oto_parquet_plan *plan)
{
    plan->encoding = OTO_PARQUET_BYTE_STREAM_SPLIT;
    plan->is_tried = (uint8_t)is_worth_a_trial(file, plan);
}

// Values of a page: half of them from its first part, half from its second.
static enum oto_status take_page_sample(struct trial *t, const struct oto_parquet_page_rows *rows)
{
    const uint64_t *values = t->leaf->column->values;
    uint64_t *sample = oto_parquet_scratch_take(&t->file->scratch.values, SAMPLE, sizeof *sample);
    uint32_t half = rows->value_count / 2, some = half < SAMPLE / 2 ? half : SAMPLE / 2;
    if (!sample)
        return OTO_NO_MEMORY;
    for (uint32_t part = 0; part < 2; part++) {
        const uint32_t *positions = rows->positions + part * half + (half - some) / 2;
        for (uint32_t i = 0; i < some; i++)
            sample[t->count++] = values[positions[i]];
    }
    t->values = sample;
    return OTO_OK;
}

enum oto_status oto_parquet_doubles_try(struct oto_parquet_file *file,
                                        const struct oto_parquet_page_rows *rows,
                                        struct oto_parquet_plan *plan)
{
    struct trial t = {.file = file, .leaf = plan->leaf};
    struct oto_buffer *split = &file->scratch.split;
    size_t split_size = 0, plain_size = 0;
    if (!plan->is_tried || rows->value_count < PAGE_VALUES_MIN)
        return OTO_OK;
    OTO_TRY(take_page_sample(&t, rows));
    split->size = 0;
    OTO_TRY(oto_byte_stream_split(t.values, t.count, sizeof *t.values, split));
    OTO_TRY(add_packed(&t, oto_buffer_view(split), &split_size));
    OTO_TRY(add_plain(&t, &plain_size));
    plan->encoding = plain_size * 100 < split_size * PLAIN_PERCENT ? OTO_PARQUET_PLAIN
                                                                   : OTO_PARQUET_BYTE_STREAM_SPLIT;
    return OTO_OK;
}

static enum oto_status add_deltas(const struct trial *t, size_t *size)
{
    struct oto_buffer *deltas = &t->file->scratch.raw;
    deltas->size = 0;
    OTO_TRY(oto_delta_encode64((const int64_t *)t->values, t->count, deltas));
    return add_packed(t, oto_buffer_view(deltas), size);
}

// As codes of a dictionary would: which number stands for which value makes no difference. They are
// as many bits as they need, or less by what repeats.
static enum oto_status add_codes(const struct trial *t, const struct oto_parquet_plan *plan,
                                 size_t *size)
{
    uint64_t least = (uint64_t)plan->number_min;
    size_t bits = (size_t)t->count * oto_bit_width(plan->distinct_count - 1), before = *size;
    struct oto_buffer *codes = &t->file->scratch.raw;
    uint8_t *at = oto_parquet_scratch_take(codes, t->count, 2);
    if (!at)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < t->count; i++) {
        uint64_t code = t->values[i] - least;
        at[2 * i] = (uint8_t)code;
        at[2 * i + 1] = (uint8_t)(code >> 8);
    }
    OTO_TRY(add_packed(t, oto_bytes(at, (size_t)t->count * 2), size));
    *size = *size - before < bits / 8 ? *size : before + bits / 8;
    return OTO_OK;
}

enum oto_status oto_parquet_integers_try(struct oto_parquet_file *file,
                                         struct oto_parquet_plan *plan)
{
    struct trial t = {.file = file, .leaf = plan->leaf};
    int has_codes = plan->encoding == OTO_PARQUET_RLE_DICTIONARY;
    size_t plain_size = 0, deltas_size = 0, codes_size = has_codes ? 0 : SIZE_MAX;
    if (plan->leaf->type != OTO_TYPE_INT64 || !is_worth_a_trial(file, plan))
        return OTO_OK;
    if (has_codes && (plan->code_source != OTO_PARQUET_CODES_BY_NUMBER ||
                      plan->distinct_count < TRIED_DISTINCT_MIN))
        return OTO_OK;
    for (uint32_t i = 0; i < SAMPLES; i++) {
        OTO_TRY(take_sample(&t, i));
        OTO_TRY(add_plain(&t, &plain_size));
        OTO_TRY(add_deltas(&t, &deltas_size));
        if (has_codes)
            OTO_TRY(add_codes(&t, plan, &codes_size));
    }
    if (codes_size <= deltas_size && codes_size <= plain_size)
        return OTO_OK;
    plan->encoding = plain_size < deltas_size ? OTO_PARQUET_PLAIN : OTO_PARQUET_DELTA_BINARY_PACKED;
    plan->distinct_count = plan->is_sorted = plan->code_source = 0;
    return OTO_OK;
}
