// Span -> a row of traces. A first walk reads the fields and checks all ids, so that a refused span
// leaves nothing; events and links are appended by a second one, only where there are some.
#include "otlp/otlp_decode_internal.h"

struct span {
    struct oto_bytes trace_id;
    struct oto_bytes span_id;
    struct oto_bytes parent_id;
    struct oto_bytes trace_state;
    struct oto_bytes name;
    struct oto_bytes status;
    uint64_t start_ns;
    uint64_t end_ns;
    int32_t kind;
    uint32_t dropped;
    uint32_t flags;
    const uint8_t *events_from; // the first, at its tag, and behind the last; NULL: none
    const uint8_t *events_to;
    const uint8_t *links_from;
    const uint8_t *links_to;
    uint32_t events_dropped;
    uint32_t link_count;
    uint32_t links_dropped;
    uint32_t status_count;
    const char *refusal;
};

struct link {
    struct oto_bytes trace_id;
    struct oto_bytes span_id;
    struct oto_bytes trace_state;
    uint32_t dropped;
    uint32_t flags;
};

struct event {
    uint64_t time_ns;
    struct oto_bytes name;
    uint32_t dropped;
};

// --- reading ---

// Link{1 trace_id, 2 span_id, 3 trace_state, 4 attributes, 5 dropped_attributes_count, 6 flags};
// attributes only with a sink.
static enum oto_status link_read(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                 struct oto_pb_cursor *c, struct link *l)
{
    uint32_t tag;
    enum oto_status status;
    *l = (struct link){.flags = 0};
    while ((status = oto_pb_tag(c, &tag)) == OTO_OK) {
        struct oto_bytes attribute;
        switch (tag) {
        case BYTES_TAG(1):
            OTO_TRY(oto_pb_bytes(c, &l->trace_id));
            break;
        case BYTES_TAG(2):
            OTO_TRY(oto_pb_bytes(c, &l->span_id));
            break;
        case BYTES_TAG(3):
            OTO_TRY(oto_pb_bytes(c, &l->trace_state));
            break;
        case BYTES_TAG(4):
            OTO_TRY(oto_pb_bytes(c, &attribute));
            OTO_TRY(s ? oto_otlp_attribute(d, s, attribute) : OTO_OK);
            break;
        case VARINT_TAG(5):
            OTO_TRY(oto_otlp_read_u32(c, &l->dropped));
            break;
        case FIXED32_TAG(6):
            OTO_TRY(oto_pb_fixed32(c, &l->flags));
            break;
        default:
            OTO_TRY(oto_otlp_other(d, c, tag, 0x7E));
        }
    }
    return status < 0 ? status : OTO_OK;
}

// A field of less than 128 bytes; `at` where it is another.
static inline const uint8_t *read_short(const uint8_t *at, const uint8_t *end, uint8_t tag,
                                        struct oto_bytes *ret_view)
{
    if (end - at < 2 || at[0] != tag || at[1] >= 0x80 || at[1] > end - at - 2)
        return at;
    *ret_view = oto_bytes(at + 2, at[1]);
    return at + 2 + at[1];
}

// Time and name of an event in the order of their numbers, as most senders write them; else they
// are left to event_read.
static inline const uint8_t *event_head(const uint8_t *at, const uint8_t *end, struct event *e)
{
    if (end - at < 9 || at[0] != FIXED64_TAG(1))
        return at;
    e->time_ns = oto_load64(at + 1);
    return read_short(at + 9, end, BYTES_TAG(2), &e->name);
}

// Event{1 time_unix_nano, 2 name, 3 attributes, 4 dropped_attributes_count}
static enum oto_status event_read(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                  struct oto_pb_cursor *c, struct event *e)
{
    *e = (struct event){.dropped = 0};
    const uint8_t *at = event_head(c->at, c->end, e);
    for (const uint8_t *end = c->end; at != end;) {
        const uint8_t *start = at;
        struct oto_otlp_read tag = oto_otlp_tag(at, end);
        enum oto_status status = OTO_OK;
        at = tag.at;
        switch (tag.value) {
        case FIXED64_TAG(1):
            at = oto_otlp_fixed64(at, end, &e->time_ns);
            break;
        case BYTES_TAG(2):
            at = oto_otlp_bytes(at, end, &e->name);
            break;
        case BYTES_TAG(3):
            at = oto_otlp_attributes(d, s, start, end, &status);
            if (status < 0)
                return oto_otlp_stop(c, start, status);
            break;
        case VARINT_TAG(4):
            at = oto_otlp_u32(at, end, &e->dropped);
            break;
        default:
            at = oto_otlp_other_field(d, at, end, tag.value, 0x1E);
        }
        if (!at)
            return oto_otlp_stop(c, start, OTO_INVALID);
    }
    return OTO_OK;
}

static enum oto_status check_link(struct oto_otlp_decoder *d, struct oto_bytes message,
                                  struct span *span)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    struct link l;
    enum oto_status status = link_read(d, NULL, &c, &l);
    if (status < 0)
        return oto_otlp_fail(d, status, c.at, "links", span->link_count);
    if ((l.trace_id.size != 0 && l.trace_id.size != 16) ||
        (l.span_id.size != 0 && l.span_id.size != 8))
        span->refusal = "ids of a span's link must be empty, or 16 and 8 bytes long";
    span->link_count++;
    return OTO_OK;
}

static const uint8_t *read_link(struct oto_otlp_decoder *d, const uint8_t *at, const uint8_t *end,
                                struct span *span)
{
    struct oto_bytes link;
    at = oto_otlp_bytes(at, end, &link);
    return at && check_link(d, link, span) == OTO_OK ? at : NULL;
}

// The fields before the attributes in the order of their numbers, as most senders write them; those
// that are not there, or not so, are left to read_fields.
static const uint8_t *read_head(const uint8_t *at, const uint8_t *end, struct span *span)
{
    if (end - at < 28 || at[0] != BYTES_TAG(1) || at[1] != 16 || at[18] != BYTES_TAG(2) ||
        at[19] != 8)
        return at;
    span->trace_id = oto_bytes(at + 2, 16);
    span->span_id = oto_bytes(at + 20, 8);
    at = read_short(at + 28, end, BYTES_TAG(3), &span->trace_state);
    at = read_short(at, end, BYTES_TAG(4), &span->parent_id);
    at = read_short(at, end, BYTES_TAG(5), &span->name);
    if (end - at < 20 || at[0] != VARINT_TAG(6) || at[1] >= 0x80 || at[2] != FIXED64_TAG(7) ||
        at[11] != FIXED64_TAG(8))
        return at;
    span->kind = at[1];
    span->start_ns = oto_load64(at + 3);
    span->end_ns = oto_load64(at + 12);
    return at + 20;
}

static enum oto_status read_fields(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                   struct oto_pb_cursor *c, struct span *span)
{
    const uint8_t *at = read_head(c->at, c->end, span);
    for (const uint8_t *end = c->end; at != end;) {
        const uint8_t *start = at;
        struct oto_otlp_read tag = oto_otlp_tag(at, end);
        struct oto_bytes part;
        enum oto_status status = OTO_OK;
        at = tag.at;
        switch (tag.value) {
        case BYTES_TAG(1):
            at = oto_otlp_bytes(at, end, &span->trace_id);
            break;
        case BYTES_TAG(2):
            at = oto_otlp_bytes(at, end, &span->span_id);
            break;
        case BYTES_TAG(3):
            at = oto_otlp_bytes(at, end, &span->trace_state);
            break;
        case BYTES_TAG(4):
            at = oto_otlp_bytes(at, end, &span->parent_id);
            break;
        case BYTES_TAG(5):
            at = oto_otlp_bytes(at, end, &span->name);
            break;
        case VARINT_TAG(6):
            at = oto_otlp_i32(at, end, &span->kind);
            break;
        case FIXED64_TAG(7):
            at = oto_otlp_fixed64(at, end, &span->start_ns);
            break;
        case FIXED64_TAG(8):
            at = oto_otlp_fixed64(at, end, &span->end_ns);
            break;
        case BYTES_TAG(9):
            if (s->keys->length == s->start)
                s->context = (uint32_t)span->kind % OTO_OTLP_CONTEXTS;
            at = oto_otlp_attributes(d, s, start, end, &status);
            if (status < 0)
                return status;
            break;
        case VARINT_TAG(10):
            at = oto_otlp_u32(at, end, &span->dropped);
            break;
        case BYTES_TAG(11):
            at = oto_otlp_bytes(at, end, &part);
            span->events_from = span->events_from ? span->events_from : start;
            span->events_to = at;
            break;
        case VARINT_TAG(12):
            at = oto_otlp_u32(at, end, &span->events_dropped);
            break;
        case BYTES_TAG(13):
            at = read_link(d, at, end, span);
            span->links_from = span->links_from ? span->links_from : start;
            span->links_to = at;
            break;
        case VARINT_TAG(14):
            at = oto_otlp_u32(at, end, &span->links_dropped);
            break;
        case BYTES_TAG(15):
            at = oto_otlp_bytes(at, end, &span->status);
            span->status_count++;
            break;
        case FIXED32_TAG(16):
            at = oto_otlp_fixed32(at, end, &span->flags);
            break;
        default:
            at = oto_otlp_other_field(d, at, end, tag.value, 0x1FFFE);
        }
        if (!at)
            return oto_otlp_stop(c, start, OTO_INVALID);
    }
    return OTO_OK;
}

static int is_id(struct oto_bytes id, size_t size)
{
    static const uint8_t zero[16];
    return id.size == size && memcmp(id.data, zero, size) != 0;
}

static const char *refusal_of(const struct span *span)
{
    if (!is_id(span->trace_id, 16))
        return "trace_id of a span must be 16 bytes, not all zero";
    if (!is_id(span->span_id, 8))
        return "span_id of a span must be 8 bytes, not all zero";
    if (span->parent_id.size != 0 && span->parent_id.size != 8)
        return "parent_span_id must be empty or 8 bytes long";
    return span->refusal;
}

// --- appending ---

// One of a few words that a number stands for, or the number in digits.
static enum oto_status put_word(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                struct oto_column *c, const struct oto_bytes *words, uint32_t count,
                                int32_t number, uint32_t first)
{
    char digits[OTO_TEXT_I64_MAX];
    if (number >= 0 && (uint32_t)number < count)
        return oto_otlp_put_word(d, t, c, words[number], first + (uint32_t)number);
    return oto_otlp_put_text(d, c, oto_bytes(digits, oto_text_from_i64(number, digits)));
}

static enum oto_status append_kind(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                   int32_t kind)
{
    static const struct oto_bytes words[] = {
        OTO_BYTES_LITERAL("Unspecified"), OTO_BYTES_LITERAL("Internal"),
        OTO_BYTES_LITERAL("Server"),      OTO_BYTES_LITERAL("Client"),
        OTO_BYTES_LITERAL("Producer"),    OTO_BYTES_LITERAL("Consumer")};
    return put_word(d, t, t->columns[AT_SPAN_KIND], words, 6, kind, OTO_OTLP_WORD_KIND);
}

// Status{2 message, 3 code}
static enum oto_status append_status(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                     const struct span *span)
{
    static const struct oto_bytes words[] = {OTO_BYTES_LITERAL("Unset"), OTO_BYTES_LITERAL("Ok"),
                                             OTO_BYTES_LITERAL("Error")};
    struct oto_pb_cursor c = oto_pb_cursor(span->status);
    struct oto_bytes message = {NULL, 0};
    int32_t code = 0;
    uint32_t tag;
    enum oto_status status;
    while ((status = oto_pb_tag(&c, &tag)) == OTO_OK) {
        if (tag == BYTES_TAG(2))
            status = oto_pb_bytes(&c, &message);
        else if (tag == VARINT_TAG(3))
            status = oto_otlp_read_i32(&c, &code);
        else
            status = oto_otlp_other(d, &c, tag, FIELD_BIT(2) | FIELD_BIT(3));
        if (status < 0)
            break;
    }
    if (status < 0)
        return oto_otlp_fail(d, status, c.at, "status", NO_INDEX);
    OTO_TRY(put_word(d, t, t->columns[AT_STATUS_CODE], words, 3, code, OTO_OTLP_WORD_STATUS));
    if (span->status_count == 0)
        return oto_otlp_add_null(t->builder, t->columns[AT_STATUS_MESSAGE]);
    return oto_otlp_put_text(d, t->columns[AT_STATUS_MESSAGE], message);
}

// Children of Events, in their order; Attributes and AttributesTypes are the sink's.
enum { EVENT_TIME, EVENT_REST, EVENT_NAME, EVENT_ATTRIBUTES, EVENT_TYPES, EVENT_DROPPED };
enum { LINK_TRACE, LINK_SPAN, LINK_STATE, LINK_ATTRIBUTES, LINK_TYPES, LINK_DROPPED, LINK_FLAGS };

static enum oto_status append_event(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                    struct oto_pb_cursor *c)
{
    struct oto_otlp_sink *s = &t->sinks[OTO_OTLP_SINK_EVENT];
    struct oto_column *parts = t->columns[AT_EVENTS]->children;
    struct event e;
    oto_otlp_attributes_begin(d, s);
    OTO_TRY(event_read(d, s, c, &e));
    OTO_TRY(oto_otlp_attributes_end(d, s));
    OTO_TRY(oto_otlp_add_time(t->builder, &parts[EVENT_TIME], &parts[EVENT_REST], e.time_ns, 0));
    OTO_TRY(oto_otlp_add_text(d, t->builder, &parts[EVENT_NAME], e.name));
    return oto_otlp_add_i64(t->builder, &parts[EVENT_DROPPED], e.dropped);
}

static enum oto_status append_link(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                   struct oto_pb_cursor *c)
{
    struct oto_otlp_sink *s = &t->sinks[OTO_OTLP_SINK_LINK];
    struct oto_column *parts = t->columns[AT_LINKS]->children;
    struct link l;
    oto_otlp_attributes_begin(d, s);
    OTO_TRY(link_read(d, s, c, &l));
    OTO_TRY(oto_otlp_attributes_end(d, s));
    OTO_TRY(oto_column_append_id(t->builder, &parts[LINK_TRACE], l.trace_id));
    OTO_TRY(oto_column_append_id(t->builder, &parts[LINK_SPAN], l.span_id));
    OTO_TRY(oto_otlp_add_text(d, t->builder, &parts[LINK_STATE], l.trace_state));
    OTO_TRY(oto_otlp_add_i64(t->builder, &parts[LINK_DROPPED], l.dropped));
    return oto_otlp_add_i64(t->builder, &parts[LINK_FLAGS], l.flags);
}

// All events, or all links, of a span that the first walk has found well-formed at its top; most
// often nothing else lies between the first and the last.
static enum oto_status
append_list(struct oto_otlp_decoder *d, struct oto_otlp_table *t, const uint8_t *at,
            const uint8_t *end, uint32_t wanted, uint32_t attribute_tag, const char *name,
            enum oto_status (*append)(struct oto_otlp_decoder *, struct oto_otlp_table *,
                                      struct oto_pb_cursor *))
{
    uint32_t index = 0;
    while (at != end) {
        struct oto_otlp_read tag = oto_otlp_tag(at, end);
        struct oto_bytes part = {NULL, 0};
        if (tag.value != wanted) {
            at = oto_otlp_other_field(d, tag.at, end, tag.value, 0);
            continue;
        }
        at = oto_otlp_bytes(tag.at, end, &part);
        OTO_TRY(oto_otlp_reckon_part(d, index, part, attribute_tag));
        struct oto_pb_cursor inner = oto_pb_cursor(part);
        enum oto_status status = append(d, t, &inner);
        if (status < 0)
            return oto_otlp_fail(d, status, inner.at, name, index);
        index++;
    }
    return OTO_OK;
}

static enum oto_status append_lists(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                    const struct span *span)
{
    if (span->events_from)
        OTO_TRY(append_list(d, t, span->events_from, span->events_to, BYTES_TAG(11), BYTES_TAG(3),
                            "events", append_event));
    OTO_TRY(oto_otlp_add_end(t->builder, t->columns[AT_EVENTS]));
    if (span->links_from)
        OTO_TRY(append_list(d, t, span->links_from, span->links_to, BYTES_TAG(13), BYTES_TAG(4),
                            "links", append_link));
    return oto_otlp_add_end(t->builder, t->columns[AT_LINKS]);
}

// The end is start + Duration modulo 2^64, also where the start is none (0).
static enum oto_status append_times(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                    const struct span *span)
{
    struct oto_builder *b = t->builder;
    uint64_t instead_ns = span->end_ns ? span->end_ns : d->received_ns;
    OTO_TRY(oto_otlp_put_time(b, t->columns[AT_TIMESTAMP], t->columns[AT_TIMESTAMP_REST],
                              span->start_ns, instead_ns));
    if (span->end_ns == 0)
        return oto_otlp_add_null(b, t->columns[AT_DURATION]);
    oto_column_append_i64(t->columns[AT_DURATION], (int64_t)(span->end_ns - span->start_ns));
    return OTO_OK;
}

static enum oto_status append_row(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                  const struct span *span)
{
    struct oto_builder *b = t->builder;
    OTO_TRY(oto_otlp_row(d, t, t->scope_index));
    OTO_TRY(append_times(d, t, span));
    OTO_TRY(oto_otlp_put_id(b, t->columns[AT_TRACE_ID], 16, span->trace_id));
    OTO_TRY(oto_otlp_put_id(b, t->columns[AT_SPAN_ID], 8, span->span_id));
    OTO_TRY(oto_otlp_put_id(b, t->columns[AT_PARENT_SPAN_ID], 8, span->parent_id));
    if (span->trace_state.size)
        OTO_TRY(oto_otlp_put_text(d, t->columns[AT_TRACE_STATE], span->trace_state));
    else
        OTO_TRY(oto_otlp_put_word(d, t, t->columns[AT_TRACE_STATE], span->trace_state,
                                  OTO_OTLP_WORD_NO_STATE));
    OTO_TRY(oto_otlp_put_text(d, t->columns[AT_SPAN_NAME], span->name));
    oto_column_append_i64(t->columns[AT_SPAN_DROPPED], span->dropped);
    oto_column_append_i64(t->columns[AT_SPAN_FLAGS], span->flags);
    oto_column_append_i64(t->columns[AT_EVENTS_DROPPED], span->events_dropped);
    oto_column_append_i64(t->columns[AT_LINKS_DROPPED], span->links_dropped);
    OTO_TRY(append_kind(d, t, span->kind));
    OTO_TRY(append_status(d, t, span));
    return append_lists(d, t, span);
}

enum oto_status oto_otlp_span_read(struct oto_otlp_decoder *d, struct oto_pb_cursor *c)
{
    struct oto_otlp_table *t = &d->tables[OTO_TABLE_TRACES];
    struct oto_otlp_sink *s = &t->sinks[OTO_OTLP_SINK_RECORD];
    struct oto_pb_cursor whole = *c;
    struct span span;
    if (oto_otlp_too_many(d, oto_bytes(c->at, (size_t)(c->end - c->at)), BYTES_TAG(9))) {
        oto_otlp_reject(d, 1, "span has too many attributes");
        return OTO_OK;
    }
    oto_otlp_clear(&span, sizeof span);
    oto_otlp_attributes_begin(d, s);
    OTO_TRY(read_fields(d, s, c, &span));
    const char *refusal = refusal_of(&span);
    if (refusal) {
        oto_otlp_attributes_cancel(d, s);
        oto_otlp_reject(d, 1, refusal);
        return OTO_OK;
    }
    if (span.status_count > 1)
        OTO_TRY(oto_otlp_merge(d, whole, BYTES_TAG(15), &span.status));
    OTO_TRY(oto_otlp_attributes_end(d, s));
    OTO_TRY(oto_otlp_promote(d, t, s, t->resource_index));
    return append_row(d, t, &span);
}
