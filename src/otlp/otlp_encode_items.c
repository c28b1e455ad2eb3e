// Rows of logs and traces -> LogRecord, Span.
#include "base/text.h"
#include "otlp/otlp_encode_internal.h"

static enum oto_status put_row_time(struct oto_otlp_encoder *e, uint32_t field,
                                    enum oto_otlp_column time, enum oto_otlp_column rest)
{
    return oto_otlp_put_fixed64(e->output, field,
                                oto_otlp_get_time(e, e->columns[time], e->columns[rest], e->row));
}

static enum oto_status put_row_id(struct oto_otlp_encoder *e, uint32_t field,
                                  enum oto_otlp_column at)
{
    return oto_otlp_put_bytes(e->output, field, oto_otlp_get_id(e->columns[at], e->row));
}

static enum oto_status put_row_text(struct oto_otlp_encoder *e, uint32_t field,
                                    enum oto_otlp_column at)
{
    return oto_otlp_put_bytes(e->output, field, oto_otlp_row_text(e, at));
}

static enum oto_status put_row_u32(struct oto_otlp_encoder *e, uint32_t field,
                                   enum oto_otlp_column at)
{
    return oto_otlp_put_uint(e->output, field, oto_otlp_narrow(e, oto_otlp_row_int(e, at)));
}

// --- logs ---

// Without a type there was no body, unless there is a text of one.
static enum oto_status put_body(struct oto_otlp_encoder *e)
{
    struct oto_bytes text = oto_otlp_row_text(e, AT_BODY);
    struct oto_bytes type = oto_otlp_row_text(e, AT_BODY_TYPE);
    struct oto_otlp_letters letters = {type.data, type.size ? type.data + type.size : type.data};
    e->column = "Body";
    if (type.size == 0 && text.size == 0)
        return OTO_OK;
    OTO_TRY(oto_otlp_encode_value(e, 5, text, &letters));
    return letters.at == letters.end ? OTO_OK : oto_otlp_wrong(e, "more types than values");
}

// LogRecord{1 time_unix_nano, 2 severity_number, 3 severity_text, 5 body, 6 attributes, 7 dropped,
// 8 flags, 9 trace_id, 10 span_id, 11 observed_time_unix_nano, 12 event_name}
enum oto_status oto_otlp_encode_log(struct oto_otlp_encoder *e)
{
    struct oto_buffer *b = e->output;
    size_t mark;
    OTO_TRY(oto_otlp_open(b, 2, &mark));
    OTO_TRY(put_row_time(e, 1, AT_TIMESTAMP, AT_TIMESTAMP_REST));
    OTO_TRY(oto_otlp_put_int(b, 2, oto_otlp_row_int(e, AT_SEVERITY_NUMBER)));
    OTO_TRY(put_row_text(e, 3, AT_SEVERITY_TEXT));
    OTO_TRY(put_body(e));
    OTO_TRY(oto_otlp_encode_map(e, 6, OTO_OTLP_SINK_RECORD, e->row));
    OTO_TRY(put_row_u32(e, 7, AT_LOG_DROPPED));
    OTO_TRY(oto_otlp_put_fixed32(b, 8, oto_otlp_narrow(e, oto_otlp_row_int(e, AT_TRACE_FLAGS))));
    OTO_TRY(put_row_id(e, 9, AT_TRACE_ID));
    OTO_TRY(put_row_id(e, 10, AT_SPAN_ID));
    OTO_TRY(put_row_time(e, 11, AT_OBSERVED, AT_OBSERVED_REST));
    OTO_TRY(put_row_text(e, 12, AT_EVENT_NAME));
    return oto_otlp_close(b, mark);
}

// --- traces ---

static int is_word(struct oto_bytes text, const char *word)
{
    size_t size = strlen(word);
    if (text.size != size)
        return 0;
    for (size_t i = 0; i < size; i++)
        if ((text.data[i] | 0x20) != (word[i] | 0x20))
            return 0;
    return 1;
}

// The number of a word: of ours, of those of older exporters (SPAN_KIND_SERVER), or in digits.
static enum oto_status enum_of(struct oto_otlp_encoder *e, enum oto_otlp_column at,
                               const char *column, const char *prefix, const char *const *words,
                               int32_t count, int64_t *ret_number)
{
    struct oto_bytes text = oto_otlp_row_text(e, at);
    size_t size = strlen(prefix);
    e->column = column;
    *ret_number = 0;
    if (text.size == 0)
        return OTO_OK;
    if (text.size > size && memcmp(text.data, prefix, size) == 0)
        text = oto_bytes(text.data + size, text.size - size);
    for (int32_t i = 0; i < count; i++)
        if (is_word(text, words[i])) {
            *ret_number = i;
            return OTO_OK;
        }
    if (oto_text_to_i64(text, ret_number) < 0 || *ret_number != (int32_t)*ret_number)
        return oto_otlp_wrong(e, "neither a known word nor a number");
    return OTO_OK;
}

// Event{1 time_unix_nano, 2 name, 3 attributes, 4 dropped_attributes_count}
static enum oto_status put_events(struct oto_otlp_encoder *e)
{
    const struct oto_column *events = e->columns[AT_EVENTS];
    const struct oto_column *time = oto_otlp_part(events, "Timestamp");
    const struct oto_column *rest = oto_otlp_part(events, "TimestampNanoOfMicro");
    const struct oto_column *name = oto_otlp_part(events, "Name");
    const struct oto_column *dropped = oto_otlp_part(events, "DroppedAttrCount");
    struct oto_buffer *b = e->output;
    for (uint32_t i = events->offsets[e->row]; i < events->offsets[e->row + 1]; i++) {
        size_t mark;
        OTO_TRY(oto_otlp_open(b, 11, &mark));
        OTO_TRY(oto_otlp_put_fixed64(b, 1, oto_otlp_get_time(e, time, rest, i)));
        OTO_TRY(oto_otlp_put_bytes(b, 2, oto_otlp_get_text(name, i)));
        OTO_TRY(oto_otlp_encode_map(e, 3, OTO_OTLP_SINK_EVENT, i));
        OTO_TRY(oto_otlp_put_uint(b, 4, oto_otlp_narrow(e, oto_otlp_get_int(dropped, i))));
        OTO_TRY(oto_otlp_close(b, mark));
    }
    return OTO_OK;
}

// Link{1 trace_id, 2 span_id, 3 trace_state, 4 attributes, 5 dropped_attributes_count, 6 flags}
static enum oto_status put_links(struct oto_otlp_encoder *e)
{
    const struct oto_column *links = e->columns[AT_LINKS];
    const struct oto_column *trace = oto_otlp_part(links, "TraceId");
    const struct oto_column *span = oto_otlp_part(links, "SpanId");
    const struct oto_column *state = oto_otlp_part(links, "TraceState");
    const struct oto_column *dropped = oto_otlp_part(links, "DroppedAttrCount");
    const struct oto_column *flags = oto_otlp_part(links, "Flags");
    struct oto_buffer *b = e->output;
    for (uint32_t i = links->offsets[e->row]; i < links->offsets[e->row + 1]; i++) {
        size_t mark;
        OTO_TRY(oto_otlp_open(b, 13, &mark));
        OTO_TRY(oto_otlp_put_bytes(b, 1, oto_otlp_get_id(trace, i)));
        OTO_TRY(oto_otlp_put_bytes(b, 2, oto_otlp_get_id(span, i)));
        OTO_TRY(oto_otlp_put_bytes(b, 3, oto_otlp_get_text(state, i)));
        OTO_TRY(oto_otlp_encode_map(e, 4, OTO_OTLP_SINK_LINK, i));
        OTO_TRY(oto_otlp_put_uint(b, 5, oto_otlp_narrow(e, oto_otlp_get_int(dropped, i))));
        OTO_TRY(oto_otlp_put_fixed32(b, 6, oto_otlp_narrow(e, oto_otlp_get_int(flags, i))));
        OTO_TRY(oto_otlp_close(b, mark));
    }
    return OTO_OK;
}

// Status{2 message, 3 code}: there was none where its message is null, unless it has a code.
static enum oto_status put_status(struct oto_otlp_encoder *e)
{
    static const char *const words[] = {"Unset", "Ok", "Error"};
    int64_t code;
    size_t mark;
    OTO_TRY(enum_of(e, AT_STATUS_CODE, "StatusCode", "STATUS_CODE_", words, 3, &code));
    if (code == 0 && !oto_otlp_row_is_set(e, AT_STATUS_MESSAGE))
        return OTO_OK;
    OTO_TRY(oto_otlp_open(e->output, 15, &mark));
    OTO_TRY(put_row_text(e, 2, AT_STATUS_MESSAGE));
    OTO_TRY(oto_otlp_put_int(e->output, 3, code));
    return oto_otlp_close(e->output, mark);
}

static enum oto_status put_times(struct oto_otlp_encoder *e)
{
    uint64_t start_ns =
        oto_otlp_get_time(e, e->columns[AT_TIMESTAMP], e->columns[AT_TIMESTAMP_REST], e->row);
    OTO_TRY(oto_otlp_put_fixed64(e->output, 7, start_ns));
    if (!oto_otlp_row_is_set(e, AT_DURATION))
        return OTO_OK;
    return oto_otlp_put_fixed64(e->output, 8,
                                start_ns + (uint64_t)oto_otlp_row_int(e, AT_DURATION));
}

// Span{1 trace_id, 2 span_id, 3 trace_state, 4 parent_span_id, 5 name, 6 kind, 7 start, 8 end, 9
// attributes, 10 dropped, 11 events, 12 dropped, 13 links, 14 dropped, 15 status, 16 flags}
enum oto_status oto_otlp_encode_span(struct oto_otlp_encoder *e)
{
    static const char *const kinds[] = {"Unspecified", "Internal", "Server",
                                        "Client",      "Producer", "Consumer"};
    struct oto_buffer *b = e->output;
    int64_t kind;
    size_t mark;
    OTO_TRY(oto_otlp_open(b, 2, &mark));
    OTO_TRY(put_row_id(e, 1, AT_TRACE_ID));
    OTO_TRY(put_row_id(e, 2, AT_SPAN_ID));
    OTO_TRY(put_row_text(e, 3, AT_TRACE_STATE));
    OTO_TRY(put_row_id(e, 4, AT_PARENT_SPAN_ID));
    OTO_TRY(put_row_text(e, 5, AT_SPAN_NAME));
    OTO_TRY(enum_of(e, AT_SPAN_KIND, "SpanKind", "SPAN_KIND_", kinds, 6, &kind));
    OTO_TRY(oto_otlp_put_int(b, 6, kind));
    OTO_TRY(put_times(e));
    OTO_TRY(oto_otlp_encode_map(e, 9, OTO_OTLP_SINK_RECORD, e->row));
    OTO_TRY(put_row_u32(e, 10, AT_SPAN_DROPPED));
    OTO_TRY(e->columns[AT_EVENTS] ? put_events(e) : OTO_OK);
    OTO_TRY(put_row_u32(e, 12, AT_EVENTS_DROPPED));
    OTO_TRY(e->columns[AT_LINKS] ? put_links(e) : OTO_OK);
    OTO_TRY(put_row_u32(e, 14, AT_LINKS_DROPPED));
    OTO_TRY(put_status(e));
    OTO_TRY(oto_otlp_put_fixed32(b, 16, oto_otlp_narrow(e, oto_otlp_row_int(e, AT_SPAN_FLAGS))));
    return oto_otlp_close(b, mark);
}
