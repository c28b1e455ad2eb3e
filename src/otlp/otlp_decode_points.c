// Data points of all five kinds -> rows. Like spans: the fields and all ids first, then the row,
// then exemplars.
#include "otlp/otlp_decode_points.h"

#include <stddef.h>

enum {
    HAS_DOUBLE = 1,
    HAS_INT = 2,
    HAS_SUM = 4,
    HAS_MIN = 8,
    HAS_MAX = 16,
};

struct point {
    struct oto_bytes message;
    struct oto_bytes attributes; // the first run of them, tags included
    int is_scattered;            // there are more
    int is_expected;             // they are those of the series expected
    uint32_t has;                // HAS_…
    uint64_t start_ns;
    uint64_t time_ns;
    uint32_t flags;
    uint32_t exemplar_count;
    const char *refusal;
    double value;
    int64_t value_int;
    uint64_t count; // from here on not of numbers
    double sum, min, max;
    int32_t scale;
    uint64_t zero_count;
    double zero_threshold;
    struct oto_bytes positive, negative;
    uint32_t positive_count, negative_count;
    uint32_t quantile_count;
};

// --- parts ---

struct exemplar {
    uint64_t time_ns;
    uint64_t bits;
    uint32_t has;
    struct oto_bytes span_id;
    struct oto_bytes trace_id;
};

// Exemplar{2 time_unix_nano, 3 as_double, 4 span_id, 5 trace_id, 6 as_int, 7 filtered_attributes};
// attributes only with a sink.
static enum oto_status exemplar_read(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                     struct oto_pb_cursor *c, struct exemplar *e)
{
    uint32_t tag;
    enum oto_status status;
    *e = (struct exemplar){.has = 0};
    while ((status = oto_pb_tag(c, &tag)) == OTO_OK) {
        struct oto_bytes attribute;
        switch (tag) {
        case FIXED64_TAG(2):
            OTO_TRY(oto_pb_fixed64(c, &e->time_ns));
            break;
        case FIXED64_TAG(3):
        case FIXED64_TAG(6):
            OTO_TRY(oto_pb_fixed64(c, &e->bits));
            e->has = tag == FIXED64_TAG(3) ? HAS_DOUBLE : HAS_INT;
            break;
        case BYTES_TAG(4):
            OTO_TRY(oto_pb_bytes(c, &e->span_id));
            break;
        case BYTES_TAG(5):
            OTO_TRY(oto_pb_bytes(c, &e->trace_id));
            break;
        case BYTES_TAG(7):
            OTO_TRY(oto_pb_bytes(c, &attribute));
            OTO_TRY(s ? oto_otlp_attribute(d, s, attribute) : OTO_OK);
            break;
        default:
            OTO_TRY(oto_otlp_other(d, c, tag, 0xFC));
        }
    }
    return status < 0 ? status : OTO_OK;
}

static enum oto_status check_exemplar(struct oto_otlp_decoder *d, struct oto_pb_cursor *c,
                                      struct point *p)
{
    struct oto_bytes message;
    struct exemplar e;
    OTO_TRY(oto_pb_bytes(c, &message));
    struct oto_pb_cursor inner = oto_pb_cursor(message);
    enum oto_status status = exemplar_read(d, NULL, &inner, &e);
    if (status < 0)
        return oto_otlp_fail(d, status, inner.at, "exemplars", p->exemplar_count);
    if ((e.trace_id.size != 0 && e.trace_id.size != 16) ||
        (e.span_id.size != 0 && e.span_id.size != 8))
        p->refusal = "ids of an exemplar must be empty, or 16 and 8 bytes long";
    p->exemplar_count++;
    return OTO_OK;
}

// An attribute is only noted; start: where its tag is.
static enum oto_status note_attribute(struct oto_pb_cursor *c, const uint8_t *start,
                                      struct point *p)
{
    struct oto_bytes attribute;
    OTO_TRY(oto_pb_bytes(c, &attribute));
    if (!p->attributes.data)
        p->attributes.data = start;
    p->is_expected = 0;
    if (p->attributes.data + p->attributes.size == start)
        p->attributes.size += (size_t)(c->at - start);
    else
        p->is_scattered = 1;
    return OTO_OK;
}

static enum oto_status read_optional(struct oto_pb_cursor *c, struct point *p, uint32_t flag,
                                     double *ret_value)
{
    p->has |= flag;
    return oto_otlp_read_double(c, ret_value);
}

#define LONG_LIST_BYTES 4096u // packed, so that it is asked whether there may be so much memory

// fixed64 or double values, packed or one: the same eight bytes in a list's element column.
static enum oto_status append_fixed64(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                      struct oto_pb_cursor *c, uint32_t tag,
                                      struct oto_column *list)
{
    struct oto_column *element = &list->children[0];
    struct oto_bytes values = oto_bytes(c->at, 8);
    if ((tag & 7) == OTO_PB_BYTES) {
        OTO_TRY(oto_pb_bytes(c, &values));
    } else {
        uint64_t one;
        OTO_TRY(oto_pb_fixed64(c, &one));
    }
    if (values.size % 8 != 0)
        return OTO_INVALID;
    if (values.size >= LONG_LIST_BYTES)
        OTO_TRY(oto_otlp_reckon(d, values.size / 8 * OTO_OTLP_ELEMENT_BYTES(8)));
    OTO_TRY(oto_column_reserve(t->builder, element, (uint32_t)(values.size / 8)));
    if (values.size)
        memcpy((uint64_t *)element->values + element->length, values.data, values.size);
    element->length += (uint32_t)(values.size / 8);
    return OTO_OK;
}

static enum oto_status append_varints(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                      struct oto_bytes packed, struct oto_column *element)
{
    struct oto_pb_cursor c = oto_pb_cursor(packed);
    if (packed.size >= LONG_LIST_BYTES)
        OTO_TRY(oto_otlp_reckon(d, packed.size * OTO_OTLP_ELEMENT_BYTES(8)));
    OTO_TRY(oto_column_reserve(t->builder, element, (uint32_t)packed.size)); // a byte each at least
    while (c.at < c.end) {
        uint64_t value;
        OTO_TRY(oto_pb_varint(&c, &value));
        oto_column_append_i64(element, (int64_t)value);
    }
    return OTO_OK;
}

// Buckets{1 offset, 2 bucket_counts}
static enum oto_status append_buckets(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                      struct oto_bytes message, uint32_t present,
                                      struct oto_column *offset_column, struct oto_column *list)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    uint32_t tag;
    uint64_t offset = 0, count;
    enum oto_status status;
    while ((status = oto_pb_tag(&c, &tag)) == OTO_OK) {
        struct oto_bytes packed;
        if (tag == VARINT_TAG(1)) {
            OTO_TRY(oto_pb_varint(&c, &offset));
        } else if (tag == BYTES_TAG(2)) {
            OTO_TRY(oto_pb_bytes(&c, &packed));
            OTO_TRY(append_varints(d, t, packed, &list->children[0]));
        } else if (tag == VARINT_TAG(2)) {
            OTO_TRY(oto_pb_varint(&c, &count));
            OTO_TRY(oto_otlp_add_i64(t->builder, &list->children[0], (int64_t)count));
        } else {
            OTO_TRY(oto_otlp_other(d, &c, tag, FIELD_BIT(1) | FIELD_BIT(2)));
        }
    }
    OTO_TRY(status);
    OTO_TRY(oto_column_append_end(t->builder, list));
    if (!present)
        return oto_column_append_null(t->builder, offset_column);
    return oto_otlp_add_i32(t->builder, offset_column,
                            (int32_t)oto_pb_zigzag_decode((uint32_t)offset));
}

// --- fields of the kinds; start: where the tag is ---

// NumberDataPoint{2 start, 3 time, 4 as_double, 5 exemplars, 6 as_int, 7 attributes, 8 flags}
static enum oto_status number_field(struct oto_otlp_decoder *d, struct oto_pb_cursor *c,
                                    uint32_t tag, const uint8_t *start, struct point *p)
{
    uint64_t bits;
    switch (tag) {
    case FIXED64_TAG(2):
        return oto_pb_fixed64(c, &p->start_ns);
    case FIXED64_TAG(3):
        return oto_pb_fixed64(c, &p->time_ns);
    case FIXED64_TAG(4):
        p->has = HAS_DOUBLE;
        return oto_otlp_read_double(c, &p->value);
    case BYTES_TAG(5):
        return check_exemplar(d, c, p);
    case FIXED64_TAG(6):
        p->has = HAS_INT;
        OTO_TRY(oto_pb_fixed64(c, &bits));
        p->value_int = (int64_t)bits;
        return OTO_OK;
    case BYTES_TAG(7):
        return note_attribute(c, start, p);
    case VARINT_TAG(8):
        return oto_otlp_read_u32(c, &p->flags);
    default:
        return oto_otlp_other(d, c, tag, 0x1FC);
    }
}

// 1 when the attributes at `at` are those, and no more.
static inline int is_run(const uint8_t *at, const uint8_t *end, struct oto_bytes expected)
{
    size_t left = (size_t)(end - at);
    return expected.size && expected.size <= left &&
           memcmp(at, expected.data, expected.size) == 0 &&
           (expected.size == left || at[expected.size] != BYTES_TAG(7));
}

// The same by position, for points that have nothing but times, a number, attributes that follow
// each other, and flags. Returns where it stopped, as number_field would go on.
static const uint8_t *number_read(const uint8_t *at, const uint8_t *end, struct oto_bytes expected,
                                  struct point *p)
{
    while (end - at >= 10) {
        switch (at[0]) {
        case FIXED64_TAG(2):
            p->start_ns = oto_load64(at + 1);
            at += 9;
            break;
        case FIXED64_TAG(3):
            p->time_ns = oto_load64(at + 1);
            at += 9;
            break;
        case FIXED64_TAG(4):
            p->has = HAS_DOUBLE;
            memcpy(&p->value, at + 1, 8);
            at += 9;
            break;
        case FIXED64_TAG(6):
            p->has = HAS_INT;
            p->value_int = (int64_t)oto_load64(at + 1);
            at += 9;
            break;
        case BYTES_TAG(7): {
            const uint8_t *start = at;
            if (p->attributes.data)
                return at;
            if (is_run(at, end, expected)) {
                p->attributes = oto_bytes(at, expected.size);
                p->is_expected = 1;
                at += expected.size;
                break;
            }
            while (end - at >= 2 && at[0] == BYTES_TAG(7) && at[1] < 0x80 && at[1] <= end - at - 2)
                at += 2 + at[1];
            if (at == start)
                return at;
            p->attributes = oto_bytes(start, (size_t)(at - start));
            break;
        }
        default:
            return at;
        }
    }
    return at;
}

// HistogramDataPoint{2 start, 3 time, 4 count, 5 sum, 6 bucket_counts, 7 explicit_bounds, 8
// exemplars, 9 attributes, 10 flags, 11 min, 12 max}
static enum oto_status histogram_field(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                       struct oto_pb_cursor *c, uint32_t tag, const uint8_t *start,
                                       struct point *p)
{
    switch (tag) {
    case FIXED64_TAG(2):
        return oto_pb_fixed64(c, &p->start_ns);
    case FIXED64_TAG(3):
        return oto_pb_fixed64(c, &p->time_ns);
    case FIXED64_TAG(4):
        return oto_pb_fixed64(c, &p->count);
    case FIXED64_TAG(5):
        return read_optional(c, p, HAS_SUM, &p->sum);
    case BYTES_TAG(6):
    case FIXED64_TAG(6):
        return append_fixed64(d, t, c, tag, t->columns[AT_BUCKET_COUNTS]);
    case BYTES_TAG(7):
    case FIXED64_TAG(7):
        return append_fixed64(d, t, c, tag, t->columns[AT_EXPLICIT_BOUNDS]);
    case BYTES_TAG(8):
        return check_exemplar(d, c, p);
    case BYTES_TAG(9):
        return note_attribute(c, start, p);
    case VARINT_TAG(10):
        return oto_otlp_read_u32(c, &p->flags);
    case FIXED64_TAG(11):
        return read_optional(c, p, HAS_MIN, &p->min);
    case FIXED64_TAG(12):
        return read_optional(c, p, HAS_MAX, &p->max);
    default:
        return oto_otlp_other(d, c, tag, 0x1FFC);
    }
}

// ExponentialHistogramDataPoint{1 attributes, 2 start, 3 time, 4 count, 5 sum, 6 scale, 7
// zero_count, 8 positive, 9 negative, 10 flags, 11 exemplars, 12 min, 13 max, 14 zero_threshold}
static enum oto_status exponential_field(struct oto_otlp_decoder *d, struct oto_pb_cursor *c,
                                         uint32_t tag, const uint8_t *start, struct point *p)
{
    uint32_t scale;
    switch (tag) {
    case BYTES_TAG(1):
        return note_attribute(c, start, p);
    case FIXED64_TAG(2):
        return oto_pb_fixed64(c, &p->start_ns);
    case FIXED64_TAG(3):
        return oto_pb_fixed64(c, &p->time_ns);
    case FIXED64_TAG(4):
        return oto_pb_fixed64(c, &p->count);
    case FIXED64_TAG(5):
        return read_optional(c, p, HAS_SUM, &p->sum);
    case VARINT_TAG(6):
        OTO_TRY(oto_otlp_read_u32(c, &scale));
        p->scale = (int32_t)oto_pb_zigzag_decode(scale);
        return OTO_OK;
    case FIXED64_TAG(7):
        return oto_pb_fixed64(c, &p->zero_count);
    case BYTES_TAG(8):
        p->positive_count++;
        return oto_pb_bytes(c, &p->positive);
    case BYTES_TAG(9):
        p->negative_count++;
        return oto_pb_bytes(c, &p->negative);
    case VARINT_TAG(10):
        return oto_otlp_read_u32(c, &p->flags);
    case BYTES_TAG(11):
        return check_exemplar(d, c, p);
    case FIXED64_TAG(12):
        return read_optional(c, p, HAS_MIN, &p->min);
    case FIXED64_TAG(13):
        return read_optional(c, p, HAS_MAX, &p->max);
    case FIXED64_TAG(14):
        return oto_otlp_read_double(c, &p->zero_threshold);
    default:
        return oto_otlp_other(d, c, tag, 0x7FFE);
    }
}

// ValueAtQuantile{1 quantile, 2 value}
static enum oto_status append_quantile(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                       struct oto_pb_cursor *c, struct point *p)
{
    struct oto_column *parts = t->columns[AT_QUANTILES]->children;
    struct oto_bytes message;
    double quantile = 0, value = 0;
    uint32_t tag;
    enum oto_status status;
    OTO_TRY(oto_pb_bytes(c, &message));
    OTO_TRY(oto_otlp_reckon_part(d, p->quantile_count, message, 0));
    struct oto_pb_cursor inner = oto_pb_cursor(message);
    while ((status = oto_pb_tag(&inner, &tag)) == OTO_OK) {
        if (tag == FIXED64_TAG(1))
            status = oto_otlp_read_double(&inner, &quantile);
        else if (tag == FIXED64_TAG(2))
            status = oto_otlp_read_double(&inner, &value);
        else
            status = oto_otlp_other(d, &inner, tag, FIELD_BIT(1) | FIELD_BIT(2));
        if (status < 0)
            break;
    }
    if (status < 0)
        return oto_otlp_fail(d, status, inner.at, "quantile_values", p->quantile_count);
    p->quantile_count++;
    OTO_TRY(oto_otlp_add_double(t->builder, &parts[0], quantile));
    return oto_otlp_add_double(t->builder, &parts[1], value);
}

// SummaryDataPoint{2 start, 3 time, 4 count, 5 sum, 6 quantile_values, 7 attributes, 8 flags}
static enum oto_status summary_field(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                     struct oto_pb_cursor *c, uint32_t tag, const uint8_t *start,
                                     struct point *p)
{
    switch (tag) {
    case FIXED64_TAG(2):
        return oto_pb_fixed64(c, &p->start_ns);
    case FIXED64_TAG(3):
        return oto_pb_fixed64(c, &p->time_ns);
    case FIXED64_TAG(4):
        return oto_pb_fixed64(c, &p->count);
    case FIXED64_TAG(5):
        return oto_otlp_read_double(c, &p->sum);
    case BYTES_TAG(6):
        return append_quantile(d, t, c, p);
    case BYTES_TAG(7):
        return note_attribute(c, start, p);
    case VARINT_TAG(8):
        return oto_otlp_read_u32(c, &p->flags);
    default:
        return oto_otlp_other(d, c, tag, 0x1FC);
    }
}

static enum oto_status read_fields(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                   uint32_t kind, uint32_t metric_index, struct oto_pb_cursor *c,
                                   struct point *p)
{
    if (kind == 5 || kind == 7)
        c->at = number_read(c->at, c->end, oto_otlp_series_expected(t, metric_index), p);
    for (;;) {
        const uint8_t *start = c->at;
        uint32_t tag;
        enum oto_status status = oto_pb_tag(c, &tag);
        if (status != OTO_OK)
            return status < 0 ? status : OTO_OK;
        if (kind == 5 || kind == 7)
            status = number_field(d, c, tag, start, p);
        else if (kind == 9)
            status = histogram_field(d, t, c, tag, start, p);
        else if (kind == 10)
            status = exponential_field(d, c, tag, start, p);
        else
            status = summary_field(d, t, c, tag, start, p);
        OTO_TRY(status);
    }
}

// --- appending ---

static enum oto_status add_optional(struct oto_otlp_table *t, enum oto_otlp_column column,
                                    int present, double value)
{
    if (!present)
        return oto_column_append_null(t->builder, t->columns[column]);
    oto_column_append_double(t->columns[column], value);
    return OTO_OK;
}

// An integer is kept twice: as it is, and as the double that people ask for.
static enum oto_status add_number(struct oto_builder *b, struct oto_column *as_double,
                                  struct oto_column *as_int, uint32_t has, double value,
                                  int64_t value_int)
{
    if (has == HAS_INT) {
        OTO_TRY(oto_otlp_add_double(b, as_double, (double)value_int));
        return oto_otlp_add_i64(b, as_int, value_int);
    }
    OTO_TRY(has == HAS_DOUBLE ? oto_otlp_add_double(b, as_double, value)
                              : oto_otlp_add_null(b, as_double));
    return oto_otlp_add_null(b, as_int);
}

// Children of Exemplars, in their order.
enum {
    PART_ATTRIBUTES,
    PART_TYPES,
    PART_TIME,
    PART_REST,
    PART_VALUE,
    PART_VALUE_INT,
    PART_SPAN,
    PART_TRACE
};

static enum oto_status append_exemplar(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                       struct oto_bytes message)
{
    struct oto_otlp_sink *s = &t->sinks[OTO_OTLP_SINK_EXEMPLAR];
    struct oto_column *parts = t->columns[AT_EXEMPLARS]->children;
    struct oto_builder *b = t->builder;
    struct oto_pb_cursor c = oto_pb_cursor(message);
    struct exemplar e;
    double value;
    oto_otlp_attributes_begin(d, s);
    OTO_TRY(exemplar_read(d, s, &c, &e));
    OTO_TRY(oto_otlp_attributes_end(d, s));
    OTO_TRY(oto_otlp_add_time(b, &parts[PART_TIME], &parts[PART_REST], e.time_ns, 0));
    memcpy(&value, &e.bits, sizeof value);
    OTO_TRY(
        add_number(b, &parts[PART_VALUE], &parts[PART_VALUE_INT], e.has, value, (int64_t)e.bits));
    OTO_TRY(oto_column_append_id(b, &parts[PART_SPAN], e.span_id));
    return oto_column_append_id(b, &parts[PART_TRACE], e.trace_id);
}

static enum oto_status append_exemplars(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                        const struct point *p, uint32_t wanted)
{
    struct oto_pb_cursor c = oto_pb_cursor(p->message);
    uint32_t tag, index = 0;
    while (oto_pb_tag(&c, &tag) == OTO_OK) {
        struct oto_bytes part;
        if (tag != wanted) {
            OTO_TRY(oto_pb_skip(&c, tag));
            continue;
        }
        OTO_TRY(oto_pb_bytes(&c, &part));
        OTO_TRY(oto_otlp_reckon_part(d, index, part, BYTES_TAG(7)));
        enum oto_status status = append_exemplar(d, t, part);
        if (status < 0)
            return oto_otlp_fail(d, status, part.data, "exemplars", index);
        index++;
    }
    return OTO_OK;
}

static inline enum oto_status end_exemplars(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                            const struct point *p, uint32_t wanted)
{
    if (p->exemplar_count)
        OTO_TRY(append_exemplars(d, t, p, wanted));
    return oto_otlp_add_end(t->builder, t->columns[AT_EXEMPLARS]);
}

static enum oto_status append_histogram(struct oto_otlp_table *t, const struct point *p)
{
    oto_column_append_i64(t->columns[AT_COUNT], (int64_t)p->count);
    OTO_TRY(add_optional(t, AT_SUM, (p->has & HAS_SUM) != 0, p->sum));
    OTO_TRY(add_optional(t, AT_MIN, (p->has & HAS_MIN) != 0, p->min));
    return add_optional(t, AT_MAX, (p->has & HAS_MAX) != 0, p->max);
}

static enum oto_status append_exponential(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                          struct point *p)
{
    if (p->positive_count > 1)
        OTO_TRY(oto_otlp_merge(d, oto_pb_cursor(p->message), BYTES_TAG(8), &p->positive));
    if (p->negative_count > 1)
        OTO_TRY(oto_otlp_merge(d, oto_pb_cursor(p->message), BYTES_TAG(9), &p->negative));
    oto_column_append_i32(t->columns[AT_SCALE], p->scale);
    oto_column_append_i64(t->columns[AT_ZERO_COUNT], (int64_t)p->zero_count);
    oto_column_append_double(t->columns[AT_ZERO_THRESHOLD], p->zero_threshold);
    enum oto_status status =
        append_buckets(d, t, p->positive, p->positive_count, t->columns[AT_POSITIVE_OFFSET],
                       t->columns[AT_POSITIVE_COUNTS]);
    if (status < 0)
        return oto_otlp_fail(d, status, p->positive.data, "positive", NO_INDEX);
    status = append_buckets(d, t, p->negative, p->negative_count, t->columns[AT_NEGATIVE_OFFSET],
                            t->columns[AT_NEGATIVE_COUNTS]);
    return status < 0 ? oto_otlp_fail(d, status, p->negative.data, "negative", NO_INDEX)
                      : append_histogram(t, p);
}

static enum oto_status append_kind(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                   uint32_t kind, struct point *p)
{
    switch (kind) {
    case 5:
    case 7:
        OTO_TRY(add_number(t->builder, t->columns[AT_VALUE], t->columns[AT_VALUE_INT], p->has,
                           p->value, p->value_int));
        return end_exemplars(d, t, p, BYTES_TAG(5));
    case 9:
        OTO_TRY(append_histogram(t, p));
        OTO_TRY(oto_column_append_end(t->builder, t->columns[AT_BUCKET_COUNTS]));
        OTO_TRY(oto_column_append_end(t->builder, t->columns[AT_EXPLICIT_BOUNDS]));
        return end_exemplars(d, t, p, BYTES_TAG(8));
    case 10:
        OTO_TRY(append_exponential(d, t, p));
        return end_exemplars(d, t, p, BYTES_TAG(11));
    default:
        oto_column_append_i64(t->columns[AT_COUNT], (int64_t)p->count);
        oto_column_append_double(t->columns[AT_SUM], p->sum);
        return oto_column_append_end(t->builder, t->columns[AT_QUANTILES]);
    }
}

// Forgets the elements of lists whose point is refused.
static void cancel_lists(struct oto_otlp_table *t)
{
    static const enum oto_otlp_column lists[] = {AT_BUCKET_COUNTS, AT_EXPLICIT_BOUNDS,
                                                 AT_QUANTILES};
    for (size_t i = 0; i < sizeof lists / sizeof lists[0]; i++) {
        struct oto_column *c = t->columns[lists[i]];
        for (uint32_t k = 0; c && k < c->child_count; k++)
            c->children[k].length = c->offsets[c->length];
    }
}

static uint32_t attribute_tag(uint32_t kind)
{
    return kind == 9 ? BYTES_TAG(9) : kind == 10 ? BYTES_TAG(1) : BYTES_TAG(7);
}

// A number of the series expected, as most senders write it: times, number, attributes and nothing
// else. OTO_AGAIN: it is none, or there is no room yet.
static enum oto_status number_append(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                     uint32_t metric_index, const uint8_t *at, const uint8_t *end)
{
    struct oto_bytes expected = oto_otlp_series_expected(t, metric_index);
    struct oto_level *rows = &t->builder->levels[0];
    size_t size = (size_t)(end - at);
    uint64_t start_ns = 0;
    if (!expected.size || t->rows_left == 0 || rows->count == rows->capacity ||
        size / 2 > d->limits.attributes_max)
        return OTO_AGAIN;
    if (size == expected.size + 27 && at[0] == FIXED64_TAG(2)) {
        start_ns = oto_load64(at + 1);
        at += 9;
        size -= 9;
    }
    if (size != expected.size + 18 || at[0] != FIXED64_TAG(3) ||
        (at[9] != FIXED64_TAG(4) && at[9] != FIXED64_TAG(6)) ||
        memcmp(at + 18, expected.data, expected.size) != 0)
        return OTO_AGAIN;
    double value;
    memcpy(&value, at + 10, sizeof value);
    d->result.untimed += !oto_load64(at + 1);
    OTO_TRY(oto_otlp_row(d, t, t->series_hint++));
    OTO_TRY(oto_otlp_put_time(t->builder, t->columns[AT_START_TIME], t->columns[AT_START_TIME_REST],
                              start_ns, 0));
    OTO_TRY(oto_otlp_put_time(t->builder, t->columns[AT_TIME], t->columns[AT_TIME_REST],
                              oto_load64(at + 1), d->received_ns));
    oto_column_append_i64(t->columns[AT_FLAGS], 0);
    OTO_TRY(add_number(t->builder, t->columns[AT_VALUE], t->columns[AT_VALUE_INT],
                       at[9] == FIXED64_TAG(4) ? HAS_DOUBLE : HAS_INT, value,
                       (int64_t)oto_load64(at + 10)));
    return oto_otlp_add_end(t->builder, t->columns[AT_EXEMPLARS]);
}

static enum oto_status point_read(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                  uint32_t kind, uint32_t metric_index, struct oto_pb_cursor *c)
{
    struct point p;
    uint32_t series_index;
    if (kind == 5 || kind == 7)
        oto_otlp_clear(&p, offsetof(struct point, count)); // a number has no more
    else
        oto_otlp_clear(&p, sizeof p);
    p.message = oto_bytes(c->at, (size_t)(c->end - c->at));
    OTO_TRY(read_fields(d, t, kind, metric_index, c, &p));
    if (oto_otlp_too_many(d, p.message, attribute_tag(kind)))
        p.refusal = "data point has too many attributes";
    if (p.refusal) {
        cancel_lists(t);
        oto_otlp_reject(d, 1, p.refusal);
        return OTO_OK;
    }
    if (p.is_scattered)
        OTO_TRY(oto_otlp_fields(d, p.message, attribute_tag(kind), &p.attributes));
    if (p.is_expected && !p.is_scattered)
        series_index = t->series_hint++;
    else
        OTO_TRY(oto_otlp_series_enter(d, t, metric_index, p.attributes, attribute_tag(kind),
                                      &series_index));
    d->result.untimed += !p.time_ns;
    OTO_TRY(oto_otlp_row(d, t, series_index));
    OTO_TRY(oto_otlp_put_time(t->builder, t->columns[AT_START_TIME], t->columns[AT_START_TIME_REST],
                              p.start_ns, 0));
    OTO_TRY(oto_otlp_put_time(t->builder, t->columns[AT_TIME], t->columns[AT_TIME_REST], p.time_ns,
                              d->received_ns));
    oto_column_append_i64(t->columns[AT_FLAGS], p.flags);
    return append_kind(d, t, kind, &p);
}

enum oto_status oto_otlp_point_read(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                    uint32_t kind, uint32_t metric_index, struct oto_pb_cursor *c)
{
    enum oto_status status = OTO_AGAIN;
    if (kind == 5 || kind == 7)
        status = number_append(d, t, metric_index, c->at, c->end);
    return status == OTO_AGAIN ? point_read(d, t, kind, metric_index, c) : status;
}
