// LogRecord -> a row of logs.
#include "otlp/otlp_decode_internal.h"

struct log_record {
    uint64_t time_ns;
    uint64_t observed_ns;
    int32_t severity_number;
    uint32_t dropped;
    uint32_t flags;
    uint32_t body_count;
    struct oto_bytes severity_text;
    struct oto_bytes body;
    struct oto_bytes event_name;
    struct oto_bytes trace_id;
    struct oto_bytes span_id;
};

// The fields before the attributes in the order of their numbers, as most senders write them; those
// that are not there, or not so, are left to read_fields.
static const uint8_t *read_head(const uint8_t *at, const uint8_t *end, struct log_record *r)
{
    if (end - at < 16)
        return at;
    if (at[0] == FIXED64_TAG(1)) {
        r->time_ns = oto_load64(at + 1);
        at += 9;
    }
    if (at[0] == VARINT_TAG(2) && at[1] < 0x80) {
        r->severity_number = at[1];
        at += 2;
    }
    if (at[0] == BYTES_TAG(3) && at[1] < end - at - 2 && at[1] < 0x80) {
        r->severity_text = oto_bytes(at + 2, at[1]);
        at += 2 + at[1];
    }
    if (at[0] == BYTES_TAG(5)) {
        struct oto_bytes body;
        const uint8_t *next = oto_otlp_bytes(at + 1, end, &body);
        if (!next)
            return at;
        r->body = body;
        r->body_count = 1;
        at = next;
    }
    return at;
}

// The same for those behind them.
static const uint8_t *read_tail(const uint8_t *at, const uint8_t *end, struct log_record *r)
{
    if (end - at < 5 + 18 + 10 + 9)
        return at;
    if (at[0] == FIXED32_TAG(8)) {
        r->flags = oto_load32(at + 1);
        at += 5;
    }
    if (at[0] == BYTES_TAG(9) && at[1] == 16) {
        r->trace_id = oto_bytes(at + 2, 16);
        at += 18;
    }
    if (at[0] == BYTES_TAG(10) && at[1] == 8) {
        r->span_id = oto_bytes(at + 2, 8);
        at += 10;
    }
    if (at[0] == FIXED64_TAG(11)) {
        r->observed_ns = oto_load64(at + 1);
        at += 9;
    }
    return at;
}

static enum oto_status read_fields(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                   struct oto_pb_cursor *c, struct log_record *r)
{
    const uint8_t *at = read_head(c->at, c->end, r), *end = c->end;
    while (at != end) {
        const uint8_t *start = at;
        struct oto_otlp_read tag = oto_otlp_tag(at, end);
        enum oto_status status = OTO_OK;
        at = tag.at;
        switch (tag.value) {
        case FIXED64_TAG(1):
            at = oto_otlp_fixed64(at, end, &r->time_ns);
            break;
        case VARINT_TAG(2):
            at = oto_otlp_i32(at, end, &r->severity_number);
            break;
        case BYTES_TAG(3):
            at = oto_otlp_bytes(at, end, &r->severity_text);
            break;
        case BYTES_TAG(5):
            at = oto_otlp_bytes(at, end, &r->body);
            r->body_count++;
            break;
        case BYTES_TAG(6):
            at = oto_otlp_attributes(d, s, start, end, &status);
            if (status < 0)
                return status;
            at = at ? read_tail(at, end, r) : NULL;
            break;
        case VARINT_TAG(7):
            at = oto_otlp_u32(at, end, &r->dropped);
            break;
        case FIXED32_TAG(8):
            at = oto_otlp_fixed32(at, end, &r->flags);
            break;
        case BYTES_TAG(9):
            at = oto_otlp_bytes(at, end, &r->trace_id);
            break;
        case BYTES_TAG(10):
            at = oto_otlp_bytes(at, end, &r->span_id);
            break;
        case FIXED64_TAG(11):
            at = oto_otlp_fixed64(at, end, &r->observed_ns);
            break;
        case BYTES_TAG(12):
            at = oto_otlp_bytes(at, end, &r->event_name);
            break;
        default:
            at = oto_otlp_other_field(d, at, end, tag.value, 0x1FEE);
        }
        if (!at)
            return oto_otlp_stop(c, start, OTO_INVALID);
    }
    return OTO_OK;
}

static enum oto_status append_body(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                   const struct log_record *r)
{
    struct oto_pb_cursor c = oto_pb_cursor(r->body);
    struct oto_otlp_any any = {.kind = OTO_OTLP_ANY_ABSENT};
    struct oto_bytes text = {NULL, 0};
    if (oto_otlp_any_is_string(r->body, &text)) {
        OTO_TRY(oto_otlp_put_unique(d, t->columns[AT_BODY], &t->body, text));
        return oto_otlp_put_word(d, t, t->columns[AT_BODY_TYPE], OTO_BYTES_LITERAL("s"),
                                 OTO_OTLP_WORD_STRING);
    }
    if (r->body_count == 0) {
        OTO_TRY(oto_otlp_put_text(d, t->columns[AT_BODY], text));
        return oto_column_append_null(t->builder, t->columns[AT_BODY_TYPE]);
    }
    oto_value_writer_reset(&d->writer);
    enum oto_status status = oto_otlp_any_read(d, &c, &any);
    if (status == OTO_OK)
        status = oto_otlp_any_text(d, &any, &text);
    if (status < 0)
        return oto_otlp_fail(d, status, c.at, "body", NO_INDEX);
    OTO_TRY(oto_otlp_put_text(d, t->columns[AT_BODY], text));
    return oto_otlp_put_text(d, t->columns[AT_BODY_TYPE], oto_value_types(&d->writer));
}

static enum oto_status append_row(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                  const struct log_record *r)
{
    struct oto_builder *b = t->builder;
    uint64_t seen_ns = r->observed_ns ? r->observed_ns : d->received_ns;
    d->result.untimed += !(r->time_ns | r->observed_ns);
    OTO_TRY(oto_otlp_row(d, t, t->scope_index));
    OTO_TRY(oto_otlp_put_time(b, t->columns[AT_TIMESTAMP], t->columns[AT_TIMESTAMP_REST],
                              r->time_ns, seen_ns));
    OTO_TRY(oto_otlp_put_time(b, t->columns[AT_OBSERVED], t->columns[AT_OBSERVED_REST],
                              r->observed_ns, d->received_ns));
    OTO_TRY(oto_otlp_put_id(b, t->columns[AT_TRACE_ID], 16, r->trace_id));
    OTO_TRY(oto_otlp_put_id(b, t->columns[AT_SPAN_ID], 8, r->span_id));
    oto_column_append_i64(t->columns[AT_TRACE_FLAGS], r->flags);
    oto_column_append_i64(t->columns[AT_LOG_DROPPED], r->dropped);
    oto_column_append_i32(t->columns[AT_SEVERITY_NUMBER], r->severity_number);
    OTO_TRY(oto_otlp_put_text(d, t->columns[AT_SEVERITY_TEXT], r->severity_text));
    OTO_TRY(oto_otlp_put_text(d, t->columns[AT_EVENT_NAME], r->event_name));
    return append_body(d, t, r);
}

static const char *refusal_of(const struct log_record *r)
{
    if (r->trace_id.size != 0 && r->trace_id.size != 16)
        return "trace_id of a log record must be empty or 16 bytes long";
    if (r->span_id.size != 0 && r->span_id.size != 8)
        return "span_id of a log record must be empty or 8 bytes long";
    return NULL;
}

enum oto_status oto_otlp_log_read(struct oto_otlp_decoder *d, struct oto_pb_cursor *c)
{
    struct oto_otlp_table *t = &d->tables[OTO_TABLE_LOGS];
    struct oto_otlp_sink *s = &t->sinks[OTO_OTLP_SINK_RECORD];
    struct oto_bytes message = oto_bytes(c->at, (size_t)(c->end - c->at));
    struct log_record r;
    if (oto_otlp_too_many(d, message, BYTES_TAG(6))) {
        oto_otlp_reject(d, 1, "log record has too many attributes");
        return OTO_OK;
    }
    oto_otlp_clear(&r, sizeof r);
    oto_otlp_attributes_begin(d, s);
    OTO_TRY(read_fields(d, s, c, &r));
    const char *refusal = refusal_of(&r);
    if (refusal) {
        oto_otlp_attributes_cancel(d, s);
        oto_otlp_reject(d, 1, refusal);
        return OTO_OK;
    }
    if (r.body_count > 1)
        OTO_TRY(oto_otlp_merge(d, oto_pb_cursor(message), BYTES_TAG(5), &r.body));
    OTO_TRY(oto_otlp_attributes_end(d, s));
    OTO_TRY(oto_otlp_promote(d, t, s, t->resource_index));
    return append_row(d, t, &r);
}
