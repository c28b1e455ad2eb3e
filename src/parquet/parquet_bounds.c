// Minimum and maximum of pages and chunks (parquet-format: Statistics, ColumnIndex, OffsetIndex).
#include <math.h>

#include "base/text.h"
#include "parquet/parquet_internal.h"

enum { BOUNDARY_UNORDERED = 0, BOUNDARY_ASCENDING = 1, BOUNDARY_DESCENDING = 2 };

void oto_parquet_range_integers(struct oto_parquet_range *range, const int64_t *values,
                                size_t count)
{
    if (!count)
        return;
    int64_t min = range->count ? range->min.integer : values[0];
    int64_t max = range->count ? range->max.integer : values[0];
    for (size_t i = 0; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    range->min.integer = min;
    range->max.integer = max;
    range->count += (uint32_t)count;
}

void oto_parquet_range_doubles(struct oto_parquet_range *range, const double *values, size_t count)
{
    double min = range->count ? range->min.real : HUGE_VAL;
    double max = range->count ? range->max.real : -HUGE_VAL;
    uint32_t nan_count = 0;
    for (size_t i = 0; i < count; i++) { // comparisons with NaN are false
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
        nan_count += values[i] != values[i];
    }
    range->min.real = min;
    range->max.real = max;
    range->nan_count += nan_count;
    range->count += (uint32_t)count - nan_count;
}

static int bytes_compare(struct oto_bytes a, struct oto_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

void oto_parquet_range_bytes(struct oto_parquet_range *range, struct oto_bytes value)
{
    if (!range->count || bytes_compare(value, range->min.bytes) < 0)
        range->min.bytes = value;
    if (!range->count || bytes_compare(value, range->max.bytes) > 0)
        range->max.bytes = value;
    range->count++;
}

void oto_parquet_range_merge(struct oto_parquet_range *range, const struct oto_parquet_range *more,
                             const struct oto_parquet_leaf *leaf)
{
    struct oto_parquet_range sum = *range;
    if (more->count && !range->count) {
        sum = *more;
    } else if (more->count && leaf->physical == OTO_PARQUET_DOUBLE) {
        sum.min = more->min.real < range->min.real ? more->min : range->min;
        sum.max = more->max.real > range->max.real ? more->max : range->max;
    } else if (more->count && leaf->physical == OTO_PARQUET_BYTE_ARRAY) {
        sum.min = bytes_compare(more->min.bytes, range->min.bytes) < 0 ? more->min : range->min;
        sum.max = bytes_compare(more->max.bytes, range->max.bytes) > 0 ? more->max : range->max;
    } else if (more->count) {
        sum.min = more->min.integer < range->min.integer ? more->min : range->min;
        sum.max = more->max.integer > range->max.integer ? more->max : range->max;
    }
    sum.count = range->count + more->count;
    sum.nan_count = range->nan_count + more->nan_count;
    *range = sum;
}

static void bound_set(struct oto_parquet_bound *bound, const void *data, size_t size, int is_exact)
{
    memset(bound, 0, sizeof *bound);
    if (size)
        memcpy(bound->data, data, size);
    bound->size = (uint8_t)size;
    bound->is_exact = (uint8_t)is_exact;
    bound->is_set = 1;
}

static uint32_t utf8_decode(const uint8_t *data, size_t size)
{
    uint32_t point = size == 1 ? data[0] : data[0] & (0x7Fu >> size);
    for (size_t i = 1; i < size; i++)
        point = point << 6 | (data[i] & 0x3Fu);
    return point;
}

// Writes a code point in exactly that many bytes; 0 when it takes more.
static int utf8_encode(uint32_t point, uint8_t *data, size_t size)
{
    static const uint32_t ends[] = {0, 0x80, 0x800, 0x10000, 0x110000};
    static const uint8_t marks[] = {0, 0, 0xC0, 0xE0, 0xF0};
    if (point >= ends[size])
        return 0;
    for (size_t i = size - 1; i > 0; i--, point >>= 6)
        data[i] = (uint8_t)(0x80 | (point & 0x3F));
    data[0] = (uint8_t)(marks[size] | point);
    return 1;
}

// Raises the last code point that can be raised without growing, and cuts what follows it. Valid
// UTF-8 in and out, so surrogates are passed over. Returns the size, 0 when nothing can be raised.
static size_t raise_utf8(uint8_t *data, size_t size)
{
    while (size) {
        size_t start = size - 1;
        while (start && (data[start] & 0xC0) == 0x80)
            start--;
        uint32_t next = utf8_decode(data + start, size - start) + 1;
        next = next == 0xD800 ? 0xE000 : next;
        if (utf8_encode(next, data + start, size - start))
            return size;
        size = start;
    }
    return 0;
}

static size_t raise_bytes(uint8_t *data, size_t size)
{
    while (size && data[size - 1] == 0xFF)
        size--;
    if (size)
        data[size - 1]++;
    return size;
}

void oto_parquet_bound_text(struct oto_bytes value, int is_utf8, int is_upper,
                            struct oto_parquet_bound *ret)
{
    uint8_t cut[OTO_PARQUET_BOUND_MAX];
    if (value.size <= sizeof cut) {
        bound_set(ret, value.data, value.size, 1);
        return;
    }
    size_t size = sizeof cut;
    memcpy(cut, value.data, size);
    while (is_utf8 && size && (value.data[size] & 0xC0) == 0x80) // not inside a code point
        size--;
    if (is_upper)
        size = is_utf8 ? raise_utf8(cut, size) : raise_bytes(cut, size);
    if (size)
        bound_set(ret, cut, size, 0);
    else
        memset(ret, 0, sizeof *ret);
}

static void bound_integer(int64_t value, const struct oto_parquet_leaf *leaf,
                          struct oto_parquet_bound *ret)
{
    size_t size = leaf->physical == OTO_PARQUET_INT64   ? 8
                  : leaf->physical == OTO_PARQUET_INT32 ? 4
                                                        : 1;
    bound_set(ret, &value, size, 1);
}

static void bound_bytes(struct oto_bytes value, const struct oto_parquet_leaf *leaf, int is_upper,
                        struct oto_parquet_bound *ret)
{
    if (!oto_parquet_leaf_id_size(leaf)) {
        oto_parquet_bound_text(value, leaf->type == OTO_TYPE_STRING, is_upper, ret);
        return;
    }
    char digits[32];
    oto_hex_encode(value.data, value.size, digits);
    bound_set(ret, digits, 2 * value.size, 1);
}

void oto_parquet_range_bounds(const struct oto_parquet_range *range,
                              const struct oto_parquet_leaf *leaf,
                              struct oto_parquet_bound *ret_min, struct oto_parquet_bound *ret_max)
{
    memset(ret_min, 0, sizeof *ret_min);
    memset(ret_max, 0, sizeof *ret_max);
    // Bounds leave NaN out, and readers to which NaN is the greatest of all (DuckDB) believe them.
    if (!range->count || range->nan_count)
        return;
    if (leaf->physical == OTO_PARQUET_DOUBLE) {
        double min = range->min.real == 0 ? -0.0 : range->min.real;
        double max = range->max.real == 0 ? 0.0 : range->max.real;
        bound_set(ret_min, &min, 8, 1);
        bound_set(ret_max, &max, 8, 1);
    } else if (leaf->physical == OTO_PARQUET_BYTE_ARRAY) {
        bound_bytes(range->min.bytes, leaf, 0, ret_min);
        bound_bytes(range->max.bytes, leaf, 1, ret_max);
    } else {
        bound_integer(range->min.integer, leaf, ret_min);
        bound_integer(range->max.integer, leaf, ret_max);
    }
}

static struct oto_bytes bound_view(const struct oto_parquet_bound *bound)
{
    return oto_bytes(bound->data, bound->is_set ? bound->size : 0);
}

void oto_parquet_statistics_write(struct oto_thrift_writer *w, int16_t id,
                                  const struct oto_parquet_chunk *chunk,
                                  const struct oto_parquet_leaf *leaf)
{
    oto_thrift_field_struct(w, id);
    oto_thrift_field_i64(w, 3, chunk->null_count);
    if (chunk->distinct_count)
        oto_thrift_field_i64(w, 4, chunk->distinct_count);
    if (chunk->max.is_set)
        oto_thrift_field_binary(w, 5, bound_view(&chunk->max));
    if (chunk->min.is_set)
        oto_thrift_field_binary(w, 6, bound_view(&chunk->min));
    if (chunk->max.is_set)
        oto_thrift_field_bool(w, 7, chunk->max.is_exact);
    if (chunk->min.is_set)
        oto_thrift_field_bool(w, 8, chunk->min.is_exact);
    if (leaf->physical == OTO_PARQUET_DOUBLE)
        oto_thrift_field_i64(w, 9, chunk->nan_count);
    oto_thrift_struct_end(w);
}

int oto_parquet_column_index_possible(const struct oto_parquet_page *pages, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (pages[i].value_count && !(pages[i].min.is_set && pages[i].max.is_set))
            return 0;
    }
    return count > 0;
}

static int bound_compare(const struct oto_parquet_bound *a, const struct oto_parquet_bound *b,
                         const struct oto_parquet_leaf *leaf)
{
    if (leaf->physical == OTO_PARQUET_BYTE_ARRAY)
        return bytes_compare(bound_view(a), bound_view(b));
    if (leaf->physical == OTO_PARQUET_DOUBLE) {
        double x, y;
        memcpy(&x, a->data, 8);
        memcpy(&y, b->data, 8);
        return (x > y) - (x < y);
    }
    int64_t x = leaf->physical == OTO_PARQUET_INT32 ? (int32_t)oto_load32(a->data)
                                                    : (int64_t)oto_load64(a->data);
    int64_t y = leaf->physical == OTO_PARQUET_INT32 ? (int32_t)oto_load32(b->data)
                                                    : (int64_t)oto_load64(b->data);
    return (x > y) - (x < y);
}

static int boundary_order(const struct oto_parquet_page *pages, size_t count,
                          const struct oto_parquet_leaf *leaf)
{
    int is_ascending = 1, is_descending = 1;
    const struct oto_parquet_page *last = NULL;
    for (size_t i = 0; i < count; i++) {
        if (!pages[i].value_count)
            continue;
        int min = last ? bound_compare(&last->min, &pages[i].min, leaf) : 0;
        int max = last ? bound_compare(&last->max, &pages[i].max, leaf) : 0;
        is_ascending &= min <= 0 && max <= 0;
        is_descending &= min >= 0 && max >= 0;
        last = &pages[i];
    }
    return is_ascending    ? BOUNDARY_ASCENDING
           : is_descending ? BOUNDARY_DESCENDING
                           : BOUNDARY_UNORDERED;
}

void oto_parquet_column_index_write(struct oto_thrift_writer *w,
                                    const struct oto_parquet_page *pages, size_t count,
                                    const struct oto_parquet_leaf *leaf)
{
    oto_thrift_struct_begin(w);
    oto_thrift_field_list(w, 1, OTO_THRIFT_TRUE, count);
    for (size_t i = 0; i < count; i++)
        oto_thrift_element_bool(w, pages[i].value_count == 0);
    oto_thrift_field_list(w, 2, OTO_THRIFT_BINARY, count);
    for (size_t i = 0; i < count; i++)
        oto_thrift_element_binary(w, bound_view(&pages[i].min));
    oto_thrift_field_list(w, 3, OTO_THRIFT_BINARY, count);
    for (size_t i = 0; i < count; i++)
        oto_thrift_element_binary(w, bound_view(&pages[i].max));
    oto_thrift_field_i32(w, 4, boundary_order(pages, count, leaf));
    oto_thrift_field_list(w, 5, OTO_THRIFT_I64, count);
    for (size_t i = 0; i < count; i++)
        oto_thrift_element_i64(w, pages[i].null_count);
    if (leaf->physical == OTO_PARQUET_DOUBLE) {
        oto_thrift_field_list(w, 8, OTO_THRIFT_I64, count);
        for (size_t i = 0; i < count; i++)
            oto_thrift_element_i64(w, pages[i].nan_count);
    }
    oto_thrift_struct_end(w);
}

void oto_parquet_offset_index_write(struct oto_thrift_writer *w,
                                    const struct oto_parquet_page *pages, size_t count)
{
    oto_thrift_struct_begin(w);
    oto_thrift_field_list(w, 1, OTO_THRIFT_STRUCT, count);
    for (size_t i = 0; i < count; i++) {
        oto_thrift_struct_begin(w);
        oto_thrift_field_i64(w, 1, (int64_t)pages[i].offset);
        oto_thrift_field_i32(w, 2, (int32_t)pages[i].size_bytes);
        oto_thrift_field_i64(w, 3, pages[i].first_row);
        oto_thrift_struct_end(w);
    }
    oto_thrift_struct_end(w);
}
