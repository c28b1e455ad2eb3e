// Metric and its series: the levels between a scope and a point. A metric's entry is known by what
// it says of itself, a series' by the raw bytes of its attributes; so a point of a known series
// costs one comparison.
#include "otlp/otlp_decode_internal.h"
#include "otlp/otlp_decode_points.h"

struct metric {
    struct oto_bytes name;
    struct oto_bytes description;
    struct oto_bytes unit;
    struct oto_bytes data; // the last kind's message
    uint32_t kind;         // its field: 5, 7, 9, 10 or 11; 0: none
    uint32_t data_count;   // messages of that kind that follow each other
    const uint8_t *data_run;
    uint32_t metadata_count;
};

static enum oto_table table_of(uint32_t kind)
{
    switch (kind) {
    case 5:
        return OTO_TABLE_GAUGE;
    case 7:
        return OTO_TABLE_SUM;
    case 9:
        return OTO_TABLE_HISTOGRAM;
    case 10:
        return OTO_TABLE_EXPONENTIAL_HISTOGRAM;
    default:
        return OTO_TABLE_SUMMARY;
    }
}

static const char *kind_name(uint32_t kind)
{
    static const char *const names[] = {[5] = "gauge",
                                        [7] = "sum",
                                        [9] = "histogram",
                                        [10] = "exponential_histogram",
                                        [11] = "summary"};
    return names[kind];
}

// --- reading ---

// One of the kinds; a message of the same kind as before it is merged with that, another replaces
// it.
static enum oto_status data_read(struct oto_pb_cursor *c, const uint8_t *start, uint32_t kind,
                                 struct metric *m)
{
    if (m->kind != kind) {
        m->data_run = start;
        m->data_count = 0;
    }
    m->kind = kind;
    m->data_count++;
    return oto_pb_bytes(c, &m->data);
}

// Metric{1 name, 2 description, 3 unit, 5 7 9 10 11 data, 12 metadata}
static enum oto_status metric_scan(struct oto_otlp_decoder *d, struct oto_pb_cursor *c,
                                   struct metric *m)
{
    for (;;) {
        const uint8_t *start = c->at;
        struct oto_bytes metadata;
        uint32_t tag;
        enum oto_status status = oto_pb_tag(c, &tag);
        if (status != OTO_OK)
            return status < 0 ? status : OTO_OK;
        switch (tag) {
        case BYTES_TAG(1):
            OTO_TRY(oto_pb_bytes(c, &m->name));
            break;
        case BYTES_TAG(2):
            OTO_TRY(oto_pb_bytes(c, &m->description));
            break;
        case BYTES_TAG(3):
            OTO_TRY(oto_pb_bytes(c, &m->unit));
            break;
        case BYTES_TAG(5):
        case BYTES_TAG(7):
        case BYTES_TAG(9):
        case BYTES_TAG(10):
        case BYTES_TAG(11):
            OTO_TRY(data_read(c, start, tag >> 3, m));
            break;
        case BYTES_TAG(12):
            OTO_TRY(oto_pb_bytes(c, &metadata));
            m->metadata_count++;
            break;
        default:
            OTO_TRY(oto_otlp_other(d, c, tag, 0x1EAE));
        }
    }
}

struct data {
    int32_t temporality;
    int is_monotonic;
    uint64_t point_count;
};

// Gauge, Sum, …: {1 data_points, 2 aggregation_temporality, 3 is_monotonic}, without a look into
// the points.
static enum oto_status data_scan(struct oto_otlp_decoder *d, struct oto_pb_cursor *c, uint32_t kind,
                                 struct data *data)
{
    uint32_t tag, known = kind == 7 ? 0x0E : kind == 9 || kind == 10 ? 0x06 : 0x02;
    enum oto_status status;
    for (;;) {
        const uint8_t *next = c->at; // points follow each other, most often
        struct oto_bytes run;
        while (next && next != c->end && *next == BYTES_TAG(1)) {
            next = oto_otlp_bytes(next + 1, c->end, &run);
            if (next) {
                c->at = next;
                data->point_count++;
            }
        }
        if ((status = oto_pb_tag(c, &tag)) != OTO_OK)
            break;
        struct oto_bytes point;
        uint64_t flag;
        if (tag == BYTES_TAG(1)) {
            OTO_TRY(oto_pb_bytes(c, &point));
            data->point_count++;
        } else if (tag == VARINT_TAG(2) && (known & FIELD_BIT(2))) {
            OTO_TRY(oto_otlp_read_i32(c, &data->temporality));
        } else if (tag == VARINT_TAG(3) && (known & FIELD_BIT(3))) {
            OTO_TRY(oto_pb_varint(c, &flag));
            data->is_monotonic = flag != 0;
        } else {
            OTO_TRY(oto_otlp_other(d, c, tag, known));
        }
    }
    return status < 0 ? status : OTO_OK;
}

enum oto_status oto_otlp_metric_count(struct oto_pb_cursor *c, uint64_t *ret_count)
{
    uint32_t tag;
    enum oto_status status;
    *ret_count = 0;
    while ((status = oto_pb_tag(c, &tag)) == OTO_OK) {
        struct oto_bytes message;
        uint32_t field = tag >> 3;
        if (field != 5 && field != 7 && (field < 9 || field > 11)) {
            OTO_TRY(oto_pb_skip(c, tag));
            continue;
        }
        OTO_TRY((tag & 7) == OTO_PB_BYTES ? oto_pb_bytes(c, &message) : OTO_INVALID);
        struct oto_pb_cursor inner = oto_pb_cursor(message);
        while ((status = oto_pb_tag(&inner, &tag)) == OTO_OK) {
            *ret_count += tag == BYTES_TAG(1);
            OTO_TRY(oto_pb_skip(&inner, tag));
        }
        OTO_TRY(status);
    }
    return status < 0 ? status : OTO_OK;
}

// --- the metric's entry ---

static enum oto_status put(struct oto_buffer *b, struct oto_bytes part)
{
    uint32_t size = (uint32_t)part.size;
    OTO_TRY(oto_buffer_append(b, &size, sizeof size));
    return oto_buffer_append(b, part.data, part.size);
}

static enum oto_status metric_identity(struct oto_otlp_decoder *d, uint32_t scope_index,
                                       const struct metric *m, const struct data *data,
                                       struct oto_bytes metadata, struct oto_bytes *ret_identity)
{
    uint32_t head[3] = {scope_index, (uint32_t)data->temporality, (uint32_t)data->is_monotonic};
    d->scratch.size = 0;
    OTO_TRY(oto_buffer_append(&d->scratch, head, sizeof head));
    OTO_TRY(put(&d->scratch, m->name));
    OTO_TRY(put(&d->scratch, m->description));
    OTO_TRY(put(&d->scratch, m->unit));
    OTO_TRY(oto_buffer_append(&d->scratch, metadata.data, metadata.size));
    *ret_identity = oto_buffer_view(&d->scratch);
    return OTO_OK;
}

// 1 and behind the part, when it is what `at` has.
static int is_part(const uint8_t **at, const uint8_t *end, struct oto_bytes part)
{
    if ((size_t)(end - *at) < 4 + part.size || oto_load32(*at) != part.size ||
        (part.size && memcmp(*at + 4, part.data, part.size) != 0))
        return 0;
    *at += 4 + part.size;
    return 1;
}

// 1 when the metric after the last one is this: senders repeat their metrics in the same order.
static int is_expected_metric(const struct oto_otlp_table *t, const struct metric *m,
                              const struct data *data, struct oto_bytes metadata)
{
    const struct oto_level *level = &t->builder->levels[2];
    uint32_t head[3] = {t->scope_index, (uint32_t)data->temporality, (uint32_t)data->is_monotonic};
    if (t->metric_hint >= level->count)
        return 0;
    struct oto_bytes id = level->identity.entries[t->metric_hint];
    const uint8_t *at = id.data + sizeof head, *end = id.data + id.size;
    return memcmp(id.data, head, sizeof head) == 0 && is_part(&at, end, m->name) &&
           is_part(&at, end, m->description) && is_part(&at, end, m->unit) &&
           oto_bytes_equal(oto_bytes(at, (size_t)(end - at)), metadata);
}

static enum oto_status metric_append(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                     const struct metric *m, const struct data *data,
                                     struct oto_bytes message, uint32_t index)
{
    struct oto_builder *b = t->builder;
    OTO_TRY(oto_otlp_add_text(d, b, t->columns[AT_METRIC_NAME], m->name));
    OTO_TRY(oto_otlp_add_text(d, b, t->columns[AT_METRIC_DESCRIPTION], m->description));
    OTO_TRY(oto_otlp_add_text(d, b, t->columns[AT_METRIC_UNIT], m->unit));
    if (t->columns[AT_TEMPORALITY])
        OTO_TRY(oto_otlp_add_i32(b, t->columns[AT_TEMPORALITY], data->temporality));
    if (t->columns[AT_MONOTONIC]) {
        OTO_TRY(oto_column_reserve(b, t->columns[AT_MONOTONIC], 1));
        oto_column_append_bool(t->columns[AT_MONOTONIC], data->is_monotonic);
    }
    OTO_TRY(oto_otlp_attributes_all(d, &t->sinks[OTO_OTLP_SINK_METADATA], message, BYTES_TAG(12)));
    return oto_otlp_hash_metric(d, t, index, m->kind, data->temporality, data->is_monotonic);
}

static enum oto_status metric_enter(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                    const struct metric *m, const struct data *data,
                                    struct oto_bytes message, uint32_t *ret_index)
{
    struct oto_bytes metadata = {NULL, 0}, id;
    int is_new;
    if (m->metadata_count)
        OTO_TRY(oto_otlp_fields(d, message, BYTES_TAG(12), &metadata));
    if (is_expected_metric(t, m, data, metadata)) {
        *ret_index = t->metric_hint++;
        return OTO_OK;
    }
    OTO_TRY(metric_identity(d, t->scope_index, m, data, metadata, &id));
    OTO_TRY(oto_builder_entry(t->builder, 2, id, t->scope_index, ret_index, &is_new));
    t->metric_hint = *ret_index + 1;
    return is_new ? metric_append(d, t, m, data, message, *ret_index) : OTO_OK;
}

// --- series ---

static enum oto_status series_append(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                     uint32_t metric_index, struct oto_bytes attributes,
                                     uint32_t tag)
{
    struct oto_otlp_sink *s = &t->sinks[OTO_OTLP_SINK_RECORD];
    char id[32];
    OTO_TRY(oto_otlp_attributes_all(d, s, attributes, tag));
    OTO_TRY(oto_otlp_promote(d, t, s, t->resource_index));
    OTO_TRY(oto_otlp_series_id(d, t, metric_index, id));
    return oto_otlp_add_text(d, t->builder, t->columns[AT_SERIES_ID], oto_bytes(id, sizeof id));
}

static int is_hinted(const struct oto_otlp_table *t, uint32_t metric_index,
                     struct oto_bytes attributes)
{
    struct oto_bytes expected = oto_otlp_series_expected(t, metric_index);
    return expected.data && oto_bytes_equal(expected, attributes);
}

enum oto_status oto_otlp_series_enter(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                      uint32_t metric_index, struct oto_bytes attributes,
                                      uint32_t tag, uint32_t *ret_index)
{
    int is_new = 0;
    if (is_hinted(t, metric_index, attributes)) {
        *ret_index = t->series_hint++;
        return OTO_OK;
    }
    d->scratch.size = 0;
    OTO_TRY(oto_buffer_append(&d->scratch, &metric_index, sizeof metric_index));
    OTO_TRY(oto_buffer_append(&d->scratch, attributes.data, attributes.size));
    OTO_TRY(oto_builder_entry(t->builder, 1, oto_buffer_view(&d->scratch), metric_index, ret_index,
                              &is_new));
    t->series_hint = *ret_index + 1;
    return is_new ? series_append(d, t, metric_index, attributes, tag) : OTO_OK;
}

// --- a metric ---

static enum oto_status points_read(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                   uint32_t kind, uint32_t metric_index, struct oto_bytes message)
{
    const uint8_t *at = message.data, *end = at + message.size;
    uint32_t index = 0;
    while (at != end) {
        struct oto_otlp_read tag = oto_otlp_tag(at, end);
        struct oto_bytes point = {NULL, 0};
        if (tag.value != BYTES_TAG(1)) {
            at = oto_otlp_other_field(d, tag.at, end, tag.value, 0);
            continue;
        }
        at = oto_otlp_bytes(tag.at, end, &point);
        struct oto_pb_cursor inner = oto_pb_cursor(point);
        enum oto_status status = oto_otlp_point_read(d, t, kind, metric_index, &inner);
        if (status < 0)
            return oto_otlp_fail(d, status, inner.at, "data_points", index);
        index++;
    }
    return OTO_OK;
}

static enum oto_status data_enter(struct oto_otlp_decoder *d, const struct metric *m,
                                  struct oto_bytes message)
{
    struct oto_otlp_table *t = &d->tables[table_of(m->kind)];
    struct oto_pb_cursor c = oto_pb_cursor(m->data);
    struct data data = {.point_count = 0};
    uint32_t index;
    enum oto_status status = data_scan(d, &c, m->kind, &data);
    if (status < 0)
        return oto_otlp_fail(d, status, c.at, kind_name(m->kind), NO_INDEX);
    OTO_TRY(oto_otlp_scope_enter(d, t, 1));
    OTO_TRY(metric_enter(d, t, m, &data, message, &index));
    status = points_read(d, t, m->kind, index, m->data);
    return status < 0 ? oto_otlp_fail(d, status, m->data.data, kind_name(m->kind), NO_INDEX)
                      : OTO_OK;
}

enum oto_status oto_otlp_metric_read(struct oto_otlp_decoder *d, struct oto_pb_cursor *c)
{
    struct oto_bytes message = oto_bytes(c->at, (size_t)(c->end - c->at));
    struct metric m;
    oto_otlp_clear(&m, sizeof m);
    OTO_TRY(metric_scan(d, c, &m));
    if (m.data_count > 1) {
        struct oto_pb_cursor run = {m.data_run, c->end};
        OTO_TRY(oto_otlp_merge(d, run, BYTES_TAG(m.kind), &m.data));
    }
    return m.kind ? data_enter(d, &m, message) : OTO_OK;
}
