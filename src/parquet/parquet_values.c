// A page's values, and the dictionary page's, as bytes.
#include "base/hash.h"
#include "base/text.h"
#include "codec/codes.h"
#include "codec/delta.h"
#include "codec/hex_frame.h"
#include "codec/rle.h"
#include "parquet/parquet_internal.h"

struct page {
    struct oto_parquet_file *file;
    const struct oto_parquet_leaf *leaf;
    const struct oto_parquet_page_rows *rows;
    const uint32_t *positions;
    uint32_t count;
    uint32_t distinct_count; // of the dictionary
    struct oto_buffer *output;
    struct oto_parquet_range *range;
};

// --- dictionary indices ---
// The values of a row's list.
struct run {
    const uint32_t *at;
    const uint32_t *end;
};

static inline struct run run_of_list(const uint32_t *outer, const uint32_t *inner, uint32_t entry,
                                     const uint32_t *values)
{
    uint32_t first = outer[entry], end = outer[entry + 1];
    if (inner)
        return (struct run){values + inner[first], values + inner[end]};
    return (struct run){values + first, values + end};
}

static void gather_rows(const struct page *page, const struct oto_parquet_plan *plan,
                        uint32_t *codes)
{
    const uint32_t *ranks = (const void *)page->file->scratch.counts.data;
    const uint32_t *outer = page->leaf->outer, *inner = page->leaf->inner;
    const uint32_t *indices = page->file->group.indices[page->leaf->level] + page->rows->first_row;
    const uint32_t *rows_end = indices + page->rows->row_count;
    int is_done = plan->code_source == OTO_PARQUET_CODES_BY_ROW;
    const uint32_t *values =
        is_done ? (const void *)page->file->scratch.chunk_codes.data : page->leaf->column->values;
    for (; indices < rows_end; indices++) {
        struct run run = run_of_list(outer, inner, *indices, values);
        for (; is_done && run.at < run.end; run.at++)
            *codes++ = *run.at;
        for (; run.at < run.end; run.at++)
            *codes++ = ranks[*run.at];
    }
}

static void gather_codes(const struct page *page, const struct oto_parquet_plan *plan,
                         uint32_t value_first, uint32_t *codes)
{
    const uint32_t *ranks = (const void *)page->file->scratch.counts.data;
    const uint32_t *found = (const void *)page->file->scratch.chunk_codes.data;
    const uint32_t *positions = page->positions, *texts = page->leaf->column->values;
    const int32_t *narrow = page->leaf->column->values;
    const int64_t *wide = page->leaf->column->values, least = plan->number_min;
    uint32_t count = page->count;
    switch ((enum oto_parquet_code_source)plan->code_source) {
    case OTO_PARQUET_CODES_BY_TEXT:
        for (uint32_t i = 0; i < count; i++)
            codes[i] = ranks[texts[positions[i]]];
        break;
    case OTO_PARQUET_CODES_BY_POSITION:
        for (uint32_t i = 0; i < count; i++)
            codes[i] = ranks[found[positions[i]]];
        break;
    case OTO_PARQUET_CODES_BY_ORDER:
        for (uint32_t i = 0; i < count; i++)
            codes[i] = ranks[found[value_first + i]];
        break;
    case OTO_PARQUET_CODES_BY_NUMBER:
        for (uint32_t i = 0; page->leaf->type == OTO_TYPE_INT32 && i < count; i++)
            codes[i] = ranks[narrow[positions[i]] - least];
        for (uint32_t i = 0; page->leaf->type != OTO_TYPE_INT32 && i < count; i++)
            codes[i] = ranks[wide[positions[i]] - least];
        break;
    default:
        gather_rows(page, plan, codes);
    }
}

// A byte for each code of an unsorted dictionary, cleared.
static uint8_t *take_seen(const struct page *page)
{
    uint8_t *seen = oto_parquet_scratch_take(&page->file->scratch.values, page->distinct_count, 1);
    if (seen)
        memset(seen, 0, page->distinct_count);
    return seen;
}

static void range_of_codes(const struct page *page, uint32_t min, uint32_t max)
{
    const struct oto_parquet_distinct *distinct = (const void *)page->file->scratch.distinct.data;
    if (page->leaf->physical == OTO_PARQUET_BYTE_ARRAY) {
        page->range->min.bytes = oto_parquet_distinct_bytes(page->leaf, &distinct[min]);
        page->range->max.bytes = oto_parquet_distinct_bytes(page->leaf, &distinct[max]);
    } else {
        page->range->min.integer = oto_parquet_integer_of_key(distinct[min].key);
        page->range->max.integer = oto_parquet_integer_of_key(distinct[max].key);
    }
    page->range->count = page->count;
}

static enum oto_status gather_doubles(const struct page *page, double **ret_values)
{
    const double *values = page->leaf->column->values;
    double *gathered =
        oto_parquet_scratch_take(&page->file->scratch.values, page->count, sizeof *gathered);
    if (!gathered)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < page->count; i++)
        gathered[i] = values[page->positions[i]];
    oto_parquet_range_doubles(page->range, gathered, page->count);
    *ret_values = gathered;
    return OTO_OK;
}

// All values are the same: one run.
static enum oto_status write_one_code(const struct page *page)
{
    uint8_t run[8] = {1}; // bit width
    size_t size = 1;
    uint64_t head = (uint64_t)page->count << 1;
    double *ignored;
    if (page->leaf->type == OTO_TYPE_DOUBLE)
        OTO_TRY(gather_doubles(page, &ignored));
    else if (page->count)
        range_of_codes(page, 0, 0);
    for (; page->count && head >= 0x80; head >>= 7)
        run[size++] = (uint8_t)(head | 0x80);
    run[size] = (uint8_t)head; // and the value after it, 0
    return oto_buffer_append(page->output, run, page->count ? size + 2 : 1);
}

static enum oto_status take_range(const struct page *page, const struct oto_parquet_plan *plan,
                                  const uint32_t *codes)
{
    double *ignored;
    uint32_t min, max;
    if (page->leaf->type == OTO_TYPE_DOUBLE) // NaN has a code but no place among the bounds
        return gather_doubles(page, &ignored);
    if (!page->count)
        return OTO_OK;
    if (plan->is_sorted) {
        oto_codes_range(codes, page->count, &min, &max);
    } else {
        uint8_t *seen = take_seen(page);
        if (!seen)
            return OTO_NO_MEMORY;
        for (uint32_t i = 0; i < page->count; i++)
            seen[codes[i]] = 1;
        oto_parquet_extremes_seen(page->file, plan, seen, &min, &max);
    }
    range_of_codes(page, min, max);
    return OTO_OK;
}

// Lists mix values of many columns: a few that repeat and ids. Codes of four bytes let a compressor
// tell the one byte of them that changes from row to row (codec/codes.h), which saves more than
// the wider codes cost.
static int are_codes_wide(const struct page *page, const struct oto_parquet_plan *plan)
{
    return plan->code_source == OTO_PARQUET_CODES_BY_ROW_TEXT && !plan->is_sorted && page->count &&
           page->file->options->compression != OTO_COMPRESSION_NONE;
}

static uint8_t *put_varint(uint8_t *at, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

// Codes of four bytes of the rows' lists: one run, for what repeats is the compressor's to find.
static enum oto_status write_wide_codes(const struct page *page,
                                        const struct oto_parquet_plan *plan)
{
    enum { HEAD_BYTES_MAX = 6, WIDTH_BYTES = OTO_CODE_BYTES };
    const uint32_t *ranks = (const void *)page->file->scratch.counts.data;
    const uint32_t *values = page->leaf->column->values;
    const uint32_t *outer = page->leaf->outer, *inner = page->leaf->inner;
    const uint32_t *indices = page->file->group.indices[page->leaf->level] + page->rows->first_row;
    const uint32_t *rows_end = indices + page->rows->row_count;
    uint32_t groups = (page->count + 7) / 8, min, max;
    size_t size = (size_t)groups * 8 * WIDTH_BYTES;
    uint8_t *seen = take_seen(page);
    OTO_TRY(oto_buffer_reserve(page->output, HEAD_BYTES_MAX + size));
    if (!seen)
        return OTO_NO_MEMORY;
    uint8_t *at = page->output->data + page->output->size;
    *at++ = 8 * WIDTH_BYTES;
    at = put_varint(at, groups << 1 | 1);
    page->output->size = (size_t)(at - page->output->data) + size;
    for (; indices < rows_end; indices++) {
        struct run run = run_of_list(outer, inner, *indices, values);
        for (; run.at < run.end; run.at++, at += WIDTH_BYTES) {
            uint32_t code = ranks[*run.at];
            seen[code] = 1;
            oto_store32(at, code);
        }
    }
    memset(at, 0, (size_t)(page->output->data + page->output->size - at));
    page->file->codes_size = size;
    oto_parquet_extremes_seen(page->file, plan, seen, &min, &max);
    range_of_codes(page, min, max);
    return OTO_OK;
}

// Keys of lists: few, and their order comes again from row to row, so bytes are as small as bits
// once compressed, and a byte is a store.
static int are_codes_bytes(const struct page *page, const struct oto_parquet_plan *plan)
{
    return plan->code_source == OTO_PARQUET_CODES_BY_ROW_TEXT && plan->is_sorted &&
           plan->distinct_count <= 256 && page->count &&
           page->file->options->compression != OTO_COMPRESSION_NONE;
}

static enum oto_status write_byte_codes(const struct page *page)
{
    enum { HEAD_BYTES_MAX = 6 };
    const uint32_t *ranks = (const void *)page->file->scratch.counts.data;
    const uint32_t *values = page->leaf->column->values;
    const uint32_t *outer = page->leaf->outer, *inner = page->leaf->inner;
    const uint32_t *indices = page->file->group.indices[page->leaf->level] + page->rows->first_row;
    const uint32_t *rows_end = indices + page->rows->row_count;
    uint8_t seen[256] = {0};
    size_t groups = ((size_t)page->count + 7) / 8;
    uint32_t min = 0, max = 255;
    OTO_TRY(oto_buffer_reserve(page->output, HEAD_BYTES_MAX + groups * 8));
    uint8_t *at = page->output->data + page->output->size;
    *at++ = 8;
    at = put_varint(at, (uint32_t)groups << 1 | 1);
    page->output->size = (size_t)(at - page->output->data) + groups * 8;
    for (; indices < rows_end; indices++) {
        struct run run = run_of_list(outer, inner, *indices, values);
        for (; run.at < run.end; run.at++) {
            uint32_t code = ranks[*run.at];
            seen[code] = 1;
            *at++ = (uint8_t)code;
        }
    }
    memset(at, 0, (size_t)(page->output->data + page->output->size - at));
    while (!seen[min])
        min++;
    while (!seen[max])
        max--;
    range_of_codes(page, min, max);
    return OTO_OK;
}

// Times of series, and what goes with them, come again as a whole with the next series, but at any
// number of values: whole bytes let a compressor see it.
static unsigned width_of_codes(const struct page *page)
{
    unsigned width = oto_bit_width(page->distinct_count - 1);
    int is_aligned = page->file->times_repeat && width > 8 && width < 16 && !page->leaf->outer &&
                     (page->leaf->type == OTO_TYPE_TIME || page->leaf->type == OTO_TYPE_INT32);
    return is_aligned && page->file->options->compression != OTO_COMPRESSION_NONE ? 16 : width;
}

static enum oto_status write_codes(const struct page *page, const struct oto_parquet_plan *plan,
                                   uint32_t value_first)
{
    if (plan->distinct_count == 1) // needs no bit, but readers have mishandled a width of 0
        return write_one_code(page);
    if (are_codes_wide(page, plan))
        return write_wide_codes(page, plan);
    if (are_codes_bytes(page, plan))
        return write_byte_codes(page);
    if (plan->code_source == OTO_PARQUET_CODES_BY_LIST && page->count) {
        uint32_t min, max;
        OTO_TRY(oto_parquet_lists_write(page->file, plan, page->rows, page->output, &min, &max));
        range_of_codes(page, min, max);
        return OTO_OK;
    }
    uint32_t *codes =
        oto_parquet_scratch_take(&page->file->scratch.codes, page->count, sizeof *codes);
    if (!codes)
        return OTO_NO_MEMORY;
    gather_codes(page, plan, value_first, codes);
    OTO_TRY(take_range(page, plan, codes));
    unsigned width = width_of_codes(page);
    OTO_TRY(oto_buffer_append_byte(page->output, (uint8_t)width));
    return oto_rle_encode(codes, page->count, width, page->output);
}

// --- text ---
enum oto_status oto_parquet_hashes_reserve(struct oto_parquet_file *file,
                                           const struct oto_parquet_leaf *leaf, uint32_t count,
                                           uint64_t **ret_hashes)
{
    struct oto_buffer *hashes = &file->scratch.hashes;
    size_t size = (size_t)count * sizeof(uint64_t);
    *ret_hashes = NULL;
    if (!leaf->bloom || !file->options->bloom)
        return OTO_OK;
    OTO_TRY(oto_buffer_reserve(hashes, size + 1));
    *ret_hashes = (uint64_t *)(void *)(hashes->data + hashes->size);
    hashes->size += size;
    return OTO_OK;
}

static enum oto_status gather_text(const struct page *page, struct oto_bytes **ret_values,
                                   int32_t **ret_sizes, size_t *ret_total)
{
    const uint32_t *codes = page->leaf->column->values;
    const struct oto_bytes *entries = page->leaf->column->dictionary->entries;
    struct oto_parquet_scratch *scratch = &page->file->scratch;
    struct oto_bytes *values =
        oto_parquet_scratch_take(&scratch->values, page->count, sizeof *values);
    int32_t *sizes = oto_parquet_scratch_take(&scratch->codes, page->count, sizeof *sizes);
    uint64_t total = 0;
    if (!values || !sizes)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < page->count; i++) {
        values[i] = entries[codes[page->positions[i]]];
        sizes[i] = (int32_t)values[i].size;
        total += values[i].size;
    }
    *ret_values = values;
    *ret_sizes = sizes;
    *ret_total = (size_t)total;
    return total > INT32_MAX ? OTO_TOO_LARGE : OTO_OK;
}

// A filter has a value once, however often a page has it. counts: by code, cleared where hashed;
// NULL: not known.
static size_t hash_texts(const struct page *page, const struct oto_bytes *values, uint32_t *counts,
                         uint64_t *hashes)
{
    const uint32_t *codes = page->leaf->column->values;
    size_t n = 0;
    for (uint32_t i = 0; i < page->count; i++) {
        uint32_t *count = counts ? &counts[codes[page->positions[i]]] : NULL;
        if (count && !*count)
            continue;
        if (count)
            *count = 0;
        hashes[n++] = oto_xxh64(values[i].data, values[i].size, 0);
    }
    return n;
}

// With the lengths of all in front, or (PLAIN) each value's before it.
static enum oto_status write_text(const struct page *page, const struct oto_parquet_plan *plan)
{
    int is_plain = plan->encoding == OTO_PARQUET_PLAIN;
    struct oto_parquet_scratch *scratch = &page->file->scratch;
    struct oto_bytes *values;
    int32_t *sizes;
    uint64_t *hashes = NULL;
    size_t total;
    struct oto_parquet_edges edges = oto_parquet_edges_begin(page->range);
    OTO_TRY(gather_text(page, &values, &sizes, &total));
    OTO_TRY(oto_parquet_hashes_reserve(page->file, page->leaf, page->count, &hashes));
    if (is_plain)
        total += (size_t)page->count * sizeof *sizes;
    else
        OTO_TRY(oto_delta_encode32(sizes, page->count, page->output));
    OTO_TRY(oto_buffer_reserve(page->output, total));
    uint8_t *output = page->output->data + page->output->size;
    for (uint32_t i = 0; i < page->count; i++) {
        struct oto_bytes value = values[i];
        if (i + OTO_PARQUET_PREFETCH_STEPS < page->count)
            __builtin_prefetch(values[i + OTO_PARQUET_PREFETCH_STEPS].data);
        oto_parquet_edges_take(&edges, value);
        if (is_plain) {
            oto_store32(output, (uint32_t)value.size);
            output += sizeof *sizes;
            sizes[i] += (int32_t)sizeof *sizes;
        }
        if (value.size)
            memcpy(output, value.data, value.size);
        output += value.size;
    }
    page->range->count = page->count;
    page->output->size += total;
    page->file->text_size = total;
    if (hashes) {
        uint32_t *counts = plan->plain_distinct ? (void *)scratch->counts.data : NULL;
        size_t some = hash_texts(page, values, counts, hashes);
        scratch->hashes.size -= (page->count - some) * sizeof *hashes;
    }
    return OTO_OK;
}

// --- numbers ---
static enum oto_status write_int64(const struct page *page, enum oto_parquet_encoding encoding)
{
    const int64_t *values = page->leaf->column->values;
    int64_t *gathered =
        oto_parquet_scratch_take(&page->file->scratch.values, page->count, sizeof *gathered);
    if (!gathered)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < page->count; i++)
        gathered[i] = values[page->positions[i]];
    oto_parquet_range_integers(page->range, gathered, page->count);
    if (encoding == OTO_PARQUET_PLAIN)
        return oto_buffer_append(page->output, gathered, (size_t)page->count * sizeof *gathered);
    return oto_delta_encode64(gathered, page->count, page->output);
}

static enum oto_status write_int32(const struct page *page, enum oto_parquet_encoding encoding)
{
    const int32_t *values = page->leaf->column->values;
    int32_t *gathered =
        oto_parquet_scratch_take(&page->file->scratch.values, page->count, sizeof *gathered);
    if (!gathered)
        return OTO_NO_MEMORY;
    int64_t edges[2] = {INT64_MAX, INT64_MIN};
    for (uint32_t i = 0; i < page->count; i++) {
        int32_t value = gathered[i] = values[page->positions[i]];
        edges[0] = value < edges[0] ? value : edges[0];
        edges[1] = value > edges[1] ? value : edges[1];
    }
    oto_parquet_range_integers(page->range, edges, page->count ? 2 : 0);
    if (encoding == OTO_PARQUET_PLAIN)
        return oto_buffer_append(page->output, gathered, (size_t)page->count * sizeof *gathered);
    return oto_delta_encode32(gathered, page->count, page->output);
}

static enum oto_status write_bool(const struct page *page)
{
    const uint8_t *values = page->leaf->column->values;
    size_t size = (size_t)(page->count + 7) / 8;
    OTO_TRY(oto_buffer_reserve(page->output, size));
    uint8_t *output = page->output->data + page->output->size;
    uint32_t ones = 0;
    memset(output, 0, size);
    for (uint32_t i = 0; i < page->count; i++) {
        unsigned bit = values[page->positions[i]] != 0;
        output[i >> 3] = (uint8_t)(output[i >> 3] | bit << (i & 7));
        ones += bit;
    }
    page->output->size += size;
    page->range->count = page->count;
    page->range->min.integer = ones == page->count;
    page->range->max.integer = ones != 0;
    return OTO_OK;
}

static enum oto_status write_doubles(const struct page *page, enum oto_parquet_encoding encoding)
{
    double *gathered;
    OTO_TRY(gather_doubles(page, &gathered));
    if (encoding == OTO_PARQUET_PLAIN)
        return oto_buffer_append(page->output, gathered, (size_t)page->count * sizeof *gathered);
    return oto_byte_stream_split(gathered, page->count, sizeof *gathered, page->output);
}

enum oto_status oto_parquet_values_write(struct oto_parquet_file *file,
                                         const struct oto_parquet_plan *plan,
                                         const struct oto_parquet_page_rows *rows,
                                         uint32_t value_first, struct oto_buffer *output,
                                         struct oto_parquet_range *ret_range)
{
    struct page page = {
        file,   plan->leaf, rows, rows->positions, rows->value_count, plan->distinct_count,
        output, ret_range};
    enum oto_parquet_encoding encoding = (enum oto_parquet_encoding)plan->encoding;
    *ret_range = (struct oto_parquet_range){0};
    if (encoding == OTO_PARQUET_RLE_DICTIONARY)
        return write_codes(&page, plan, value_first);
    if (!plan->value_count) // nothing in the whole chunk
        return OTO_OK;
    switch ((enum oto_type)plan->leaf->type) {
    case OTO_TYPE_BOOL:
        return write_bool(&page);
    case OTO_TYPE_INT32:
        return write_int32(&page, encoding);
    case OTO_TYPE_INT64:
    case OTO_TYPE_TIME:
        return write_int64(&page, encoding);
    case OTO_TYPE_DOUBLE:
        return write_doubles(&page, encoding);
    case OTO_TYPE_ID16:
    case OTO_TYPE_ID8:
        return oto_parquet_ids_write(file, plan, rows, output, ret_range);
    default:
        return write_text(&page, plan);
    }
}

// --- the dictionary page ---
static enum oto_status append_number(const struct oto_parquet_leaf *leaf, uint64_t key,
                                     struct oto_buffer *output, uint64_t *ret_hash)
{
    uint64_t bits = (uint64_t)oto_parquet_integer_of_key(key);
    double real = oto_parquet_double_of_key(key);
    size_t size = leaf->physical == OTO_PARQUET_INT32 ? 4 : 8;
    if (leaf->physical == OTO_PARQUET_DOUBLE)
        memcpy(&bits, &real, sizeof bits);
    *ret_hash = oto_xxh64(&bits, size, 0);
    return oto_buffer_append(output, &bits, size);
}

static enum oto_status append_id(struct oto_bytes id, struct oto_buffer *output, uint64_t *ret_hash)
{
    char digits[4 + 32];
    oto_store32(digits, (uint32_t)(2 * id.size));
    oto_hex_encode(id.data, id.size, digits + 4);
    *ret_hash = oto_xxh64(digits + 4, 2 * id.size, 0);
    return oto_buffer_append(output, digits, 4 + 2 * id.size);
}

enum oto_status oto_parquet_dictionary_write(struct oto_parquet_file *file,
                                             const struct oto_parquet_plan *plan,
                                             struct oto_buffer *output)
{
    const struct oto_parquet_distinct *distinct = (const void *)file->scratch.distinct.data;
    const struct oto_parquet_leaf *leaf = plan->leaf;
    uint64_t *hashes = NULL, hash;
    if (plan->digits_size || (oto_parquet_leaf_is_text(leaf) && !plan->is_sorted))
        return OTO_OK;
    OTO_TRY(oto_parquet_hashes_reserve(file, leaf, plan->distinct_count, &hashes));
    if (oto_parquet_leaf_is_text(leaf))
        return oto_parquet_texts_write(plan, 0, plan->distinct_count, distinct, output, hashes);
    for (uint32_t i = 0; i < plan->distinct_count; i++) {
        if (oto_parquet_leaf_id_size(leaf))
            OTO_TRY(append_id(oto_parquet_distinct_bytes(leaf, &distinct[i]), output, &hash));
        else
            OTO_TRY(append_number(leaf, distinct[i].key, output, &hash));
        if (hashes)
            hashes[i] = hash;
    }
    return OTO_OK;
}
