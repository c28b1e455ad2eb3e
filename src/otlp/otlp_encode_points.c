// Rows of the five metric tables -> data points.
#include "otlp/otlp_encode_internal.h"

static enum oto_status put_row_fixed64(struct oto_otlp_encoder *e, uint32_t field,
                                       enum oto_otlp_column at)
{
    return oto_otlp_put_fixed64(e->output, field, (uint64_t)oto_otlp_row_int(e, at));
}

// An optional double: written where it is set, a zero too.
static enum oto_status put_row_optional(struct oto_otlp_encoder *e, uint32_t field,
                                        enum oto_otlp_column at)
{
    if (!oto_otlp_is_set(e->columns[at], e->row))
        return OTO_OK;
    return oto_pb_write_fixed64(e->output, field, oto_otlp_get_bits(e->columns[at], e->row));
}

static enum oto_status put_times(struct oto_otlp_encoder *e)
{
    OTO_TRY(oto_otlp_put_fixed64(
        e->output, 2,
        oto_otlp_get_time(e, e->columns[AT_START_TIME], e->columns[AT_START_TIME_REST], e->row)));
    return oto_otlp_put_fixed64(
        e->output, 3, oto_otlp_get_time(e, e->columns[AT_TIME], e->columns[AT_TIME_REST], e->row));
}

// The attributes of the point's series.
static enum oto_status put_attributes(struct oto_otlp_encoder *e, uint32_t field)
{
    const struct oto_column *map = e->maps[OTO_OTLP_SINK_RECORD].map;
    return map ? oto_otlp_encode_map(e, field, OTO_OTLP_SINK_RECORD, oto_otlp_entry(e, map))
               : OTO_OK;
}

// --- parts ---

// Exemplar{2 time_unix_nano, 3 as_double, 4 span_id, 5 trace_id, 6 as_int, 7 filtered_attributes}
static enum oto_status put_exemplars(struct oto_otlp_encoder *e, uint32_t field)
{
    const struct oto_column *list = e->columns[AT_EXEMPLARS];
    const struct oto_column *time = oto_otlp_part(list, "TimeUnix");
    const struct oto_column *rest = oto_otlp_part(list, "TimeUnixNanoOfMicro");
    const struct oto_column *value = oto_otlp_part(list, "Value");
    const struct oto_column *value_int = oto_otlp_part(list, "ValueInt");
    const struct oto_column *span = oto_otlp_part(list, "SpanId");
    const struct oto_column *trace = oto_otlp_part(list, "TraceId");
    struct oto_buffer *b = e->output;
    for (uint32_t i = list ? list->offsets[e->row] : 0; list && i < list->offsets[e->row + 1];
         i++) {
        int is_int = oto_otlp_is_set(value_int, i);
        size_t mark;
        OTO_TRY(oto_otlp_open(b, field, &mark));
        OTO_TRY(oto_otlp_put_fixed64(b, 2, oto_otlp_get_time(e, time, rest, i)));
        if (!is_int && oto_otlp_is_set(value, i))
            OTO_TRY(oto_pb_write_fixed64(b, 3, oto_otlp_get_bits(value, i)));
        OTO_TRY(oto_otlp_put_bytes(b, 4, oto_otlp_get_id(span, i)));
        OTO_TRY(oto_otlp_put_bytes(b, 5, oto_otlp_get_id(trace, i)));
        if (is_int)
            OTO_TRY(oto_pb_write_fixed64(b, 6, (uint64_t)oto_otlp_get_int(value_int, i)));
        OTO_TRY(oto_otlp_encode_map(e, 7, OTO_OTLP_SINK_EXEMPLAR, i));
        OTO_TRY(oto_otlp_close(b, mark));
    }
    return OTO_OK;
}

// The elements of the row's list: 8 bytes each, as they lie in the column; NULL: none.
static const uint64_t *elements(const struct oto_otlp_encoder *e, enum oto_otlp_column at,
                                uint32_t *ret_count)
{
    const struct oto_column *list = e->columns[at];
    *ret_count = list ? list->offsets[e->row + 1] - list->offsets[e->row] : 0;
    return *ret_count ? (const uint64_t *)list->children[0].values + list->offsets[e->row] : NULL;
}

// Packed fixed64 or double.
static enum oto_status put_fixed_list(struct oto_otlp_encoder *e, uint32_t field,
                                      enum oto_otlp_column at)
{
    uint32_t count;
    const uint64_t *list = elements(e, at, &count);
    return oto_otlp_put_bytes(e->output, field, oto_bytes(list, count * sizeof *list));
}

// Buckets{1 offset, 2 bucket_counts}: there were none where the offset is null.
static enum oto_status put_buckets(struct oto_otlp_encoder *e, uint32_t field,
                                   enum oto_otlp_column offset, enum oto_otlp_column counts)
{
    struct oto_buffer *b = e->output;
    uint32_t count;
    const uint64_t *list = elements(e, counts, &count);
    size_t mark, packed;
    if (!count && !oto_otlp_row_is_set(e, offset))
        return OTO_OK;
    OTO_TRY(oto_otlp_open(b, field, &mark));
    OTO_TRY(oto_otlp_put_uint(b, 1, oto_otlp_zigzag((int32_t)oto_otlp_row_int(e, offset))));
    if (count) {
        OTO_TRY(oto_otlp_open(b, 2, &packed));
        for (uint32_t i = 0; i < count; i++)
            OTO_TRY(oto_pb_write_varint(b, list[i]));
        OTO_TRY(oto_otlp_close(b, packed));
    }
    return oto_otlp_close(b, mark);
}

// ValueAtQuantile{1 quantile, 2 value}
static enum oto_status put_quantiles(struct oto_otlp_encoder *e)
{
    const struct oto_column *list = e->columns[AT_QUANTILES];
    const struct oto_column *quantile = oto_otlp_part(list, "Quantile");
    const struct oto_column *value = oto_otlp_part(list, "Value");
    for (uint32_t i = list ? list->offsets[e->row] : 0; list && i < list->offsets[e->row + 1];
         i++) {
        size_t mark;
        OTO_TRY(oto_otlp_open(e->output, 6, &mark));
        OTO_TRY(oto_otlp_put_fixed64(e->output, 1, oto_otlp_get_bits(quantile, i)));
        OTO_TRY(oto_otlp_put_fixed64(e->output, 2, oto_otlp_get_bits(value, i)));
        OTO_TRY(oto_otlp_close(e->output, mark));
    }
    return OTO_OK;
}

// --- kinds ---

// NumberDataPoint{2 start, 3 time, 4 as_double, 5 exemplars, 6 as_int, 7 attributes, 8 flags}
static enum oto_status put_number(struct oto_otlp_encoder *e)
{
    int is_int = oto_otlp_is_set(e->columns[AT_VALUE_INT], e->row);
    OTO_TRY(put_times(e));
    if (!is_int)
        OTO_TRY(put_row_optional(e, 4, AT_VALUE));
    OTO_TRY(put_exemplars(e, 5));
    if (is_int)
        OTO_TRY(oto_pb_write_fixed64(e->output, 6, (uint64_t)oto_otlp_row_int(e, AT_VALUE_INT)));
    OTO_TRY(put_attributes(e, 7));
    return oto_otlp_put_uint(e->output, 8, oto_otlp_narrow(e, oto_otlp_row_int(e, AT_FLAGS)));
}

// HistogramDataPoint{2 start, 3 time, 4 count, 5 sum, 6 bucket_counts, 7 explicit_bounds, 8
// exemplars, 9 attributes, 10 flags, 11 min, 12 max}
static enum oto_status put_histogram(struct oto_otlp_encoder *e)
{
    OTO_TRY(put_times(e));
    OTO_TRY(put_row_fixed64(e, 4, AT_COUNT));
    OTO_TRY(put_row_optional(e, 5, AT_SUM));
    OTO_TRY(put_fixed_list(e, 6, AT_BUCKET_COUNTS));
    OTO_TRY(put_fixed_list(e, 7, AT_EXPLICIT_BOUNDS));
    OTO_TRY(put_exemplars(e, 8));
    OTO_TRY(put_attributes(e, 9));
    OTO_TRY(oto_otlp_put_uint(e->output, 10, oto_otlp_narrow(e, oto_otlp_row_int(e, AT_FLAGS))));
    OTO_TRY(put_row_optional(e, 11, AT_MIN));
    return put_row_optional(e, 12, AT_MAX);
}

// ExponentialHistogramDataPoint{1 attributes, 2 start, 3 time, 4 count, 5 sum, 6 scale, 7
// zero_count, 8 positive, 9 negative, 10 flags, 11 exemplars, 12 min, 13 max, 14 zero_threshold}
static enum oto_status put_exponential(struct oto_otlp_encoder *e)
{
    struct oto_buffer *b = e->output;
    OTO_TRY(put_attributes(e, 1));
    OTO_TRY(put_times(e));
    OTO_TRY(put_row_fixed64(e, 4, AT_COUNT));
    OTO_TRY(put_row_optional(e, 5, AT_SUM));
    OTO_TRY(oto_otlp_put_uint(b, 6, oto_otlp_zigzag((int32_t)oto_otlp_row_int(e, AT_SCALE))));
    OTO_TRY(put_row_fixed64(e, 7, AT_ZERO_COUNT));
    OTO_TRY(put_buckets(e, 8, AT_POSITIVE_OFFSET, AT_POSITIVE_COUNTS));
    OTO_TRY(put_buckets(e, 9, AT_NEGATIVE_OFFSET, AT_NEGATIVE_COUNTS));
    OTO_TRY(oto_otlp_put_uint(b, 10, oto_otlp_narrow(e, oto_otlp_row_int(e, AT_FLAGS))));
    OTO_TRY(put_exemplars(e, 11));
    OTO_TRY(put_row_optional(e, 12, AT_MIN));
    OTO_TRY(put_row_optional(e, 13, AT_MAX));
    return oto_otlp_put_fixed64(b, 14, oto_otlp_get_bits(e->columns[AT_ZERO_THRESHOLD], e->row));
}

// SummaryDataPoint{2 start, 3 time, 4 count, 5 sum, 6 quantile_values, 7 attributes, 8 flags}
static enum oto_status put_summary(struct oto_otlp_encoder *e)
{
    OTO_TRY(put_times(e));
    OTO_TRY(put_row_fixed64(e, 4, AT_COUNT));
    OTO_TRY(oto_otlp_put_fixed64(e->output, 5, oto_otlp_get_bits(e->columns[AT_SUM], e->row)));
    OTO_TRY(put_quantiles(e));
    OTO_TRY(put_attributes(e, 7));
    return oto_otlp_put_uint(e->output, 8, oto_otlp_narrow(e, oto_otlp_row_int(e, AT_FLAGS)));
}

enum oto_status oto_otlp_encode_point(struct oto_otlp_encoder *e)
{
    size_t mark;
    enum oto_status status;
    OTO_TRY(oto_otlp_open(e->output, 1, &mark));
    switch (e->table) {
    case OTO_TABLE_GAUGE:
    case OTO_TABLE_SUM:
        status = put_number(e);
        break;
    case OTO_TABLE_HISTOGRAM:
        status = put_histogram(e);
        break;
    case OTO_TABLE_EXPONENTIAL_HISTOGRAM:
        status = put_exponential(e);
        break;
    default:
        status = put_summary(e);
    }
    OTO_TRY(status);
    return oto_otlp_close(e->output, mark);
}
