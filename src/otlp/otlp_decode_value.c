// AnyValue: read into a small tagged value, written as text and type letters by
// telemetry/value_text.h.
#include "otlp/otlp_decode_internal.h"

static enum oto_otlp_any_kind kind_of(uint32_t tag)
{
    return tag == BYTES_TAG(5) ? OTO_OTLP_ANY_ARRAY : OTO_OTLP_ANY_KVLIST;
}

// Of several members the last wins; arrays, or lists, that follow each other are merged.
static enum oto_status any_read_slow(struct oto_otlp_decoder *d, struct oto_pb_cursor *c,
                                     struct oto_otlp_any *any)
{
    const uint8_t *run = c->at; // where the last run of arrays, or of lists, began
    uint32_t run_tag = 0, run_count = 0;
    any->kind = OTO_OTLP_ANY_UNSET;
    for (const uint8_t *at = c->at, *end = c->end; at != end;) {
        const uint8_t *start = at;
        struct oto_otlp_read tag = oto_otlp_tag(at, end);
        at = tag.at;
        switch (tag.value) {
        case BYTES_TAG(1):
            any->kind = OTO_OTLP_ANY_STRING;
            at = oto_otlp_bytes(at, end, &any->bytes);
            break;
        case VARINT_TAG(2):
            any->kind = OTO_OTLP_ANY_BOOL;
            at = oto_otlp_u64(at, end, &any->number);
            break;
        case VARINT_TAG(3):
            any->kind = OTO_OTLP_ANY_INT;
            at = oto_otlp_u64(at, end, &any->number);
            break;
        case FIXED64_TAG(4):
            any->kind = OTO_OTLP_ANY_DOUBLE;
            at = oto_otlp_fixed64(at, end, &any->number);
            break;
        case BYTES_TAG(5):
        case BYTES_TAG(6):
            if (any->kind != kind_of((uint32_t)tag.value)) {
                run = start;
                run_count = 0;
            }
            any->kind = kind_of((uint32_t)tag.value);
            run_tag = (uint32_t)tag.value;
            run_count++;
            at = oto_otlp_bytes(at, end, &any->bytes);
            break;
        case BYTES_TAG(7):
            any->kind = OTO_OTLP_ANY_BYTES;
            at = oto_otlp_bytes(at, end, &any->bytes);
            break;
        default:
            at = oto_otlp_other_field(d, at, end, tag.value, 0xFE);
        }
        if (!at)
            return oto_otlp_stop(c, start, OTO_INVALID);
    }
    if (run_count > 1 && any->kind == kind_of(run_tag))
        return oto_otlp_merge(d, (struct oto_pb_cursor){run, c->end}, run_tag, &any->bytes);
    return OTO_OK;
}

// Most values are one string or number and nothing else.
enum oto_status oto_otlp_any_read(struct oto_otlp_decoder *d, struct oto_pb_cursor *c,
                                  struct oto_otlp_any *any)
{
    const uint8_t *at = c->at, *end = c->end;
    if (end - at >= 2 && at[0] == BYTES_TAG(1)) {
        struct oto_otlp_read size = oto_otlp_varint(at + 1, end);
        if (size.at && size.value == (uint64_t)(end - size.at)) {
            any->kind = OTO_OTLP_ANY_STRING;
            any->bytes = oto_bytes(size.at, (size_t)size.value);
            return OTO_OK;
        }
    } else if (end - at >= 2 && at[0] == VARINT_TAG(3)) {
        struct oto_otlp_read number = oto_otlp_varint(at + 1, end);
        if (number.at == end) {
            any->kind = OTO_OTLP_ANY_INT;
            any->number = number.value;
            return OTO_OK;
        }
    }
    return any_read_slow(d, c, any);
}

enum oto_status oto_otlp_key_value_read(struct oto_otlp_decoder *d, struct oto_pb_cursor *c,
                                        struct oto_bytes *ret_key, struct oto_otlp_any *any)
{
    struct oto_bytes value = {NULL, 0};
    int values = 0;
    *ret_key = value;
    for (const uint8_t *at = c->at, *end = c->end; at != end;) {
        const uint8_t *start = at;
        struct oto_otlp_read tag = oto_otlp_tag(at, end);
        if (tag.value == BYTES_TAG(1)) {
            at = oto_otlp_bytes(tag.at, end, ret_key);
        } else if (tag.value == BYTES_TAG(2)) {
            at = oto_otlp_bytes(tag.at, end, &value);
            values++;
        } else {
            at = oto_otlp_other_field(d, tag.at, end, tag.value, FIELD_BIT(1) | FIELD_BIT(2));
        }
        if (!at)
            return oto_otlp_stop(c, start, OTO_INVALID);
    }
    any->kind = OTO_OTLP_ANY_ABSENT;
    if (values == 0)
        return OTO_OK;
    if (values > 1)
        OTO_TRY(oto_otlp_merge(d, *c, BYTES_TAG(2), &value));
    struct oto_pb_cursor inner = oto_pb_cursor(value);
    enum oto_status status = oto_otlp_any_read(d, &inner, any);
    return status < 0 ? oto_otlp_fail(d, status, inner.at, "value", NO_INDEX) : OTO_OK;
}

// --- writing ---

static enum oto_status write_any(struct oto_otlp_decoder *d, const struct oto_otlp_any *any,
                                 uint32_t depth);

// The values of an ArrayValue (KeyValueList: its pairs, with their keys), one after the other.
static enum oto_status write_members(struct oto_otlp_decoder *d, struct oto_bytes message,
                                     int pairs, uint32_t depth)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    for (;;) {
        uint32_t tag;
        enum oto_status status = oto_pb_tag(&c, &tag);
        if (status == OTO_END)
            return OTO_OK;
        if (status == OTO_OK && tag != BYTES_TAG(1)) {
            status = oto_otlp_other(d, &c, tag, FIELD_BIT(1));
            if (status == OTO_OK)
                continue;
        }
        struct oto_bytes member;
        if (status < 0 || (status = oto_pb_bytes(&c, &member)) < 0)
            return oto_otlp_fail(d, status, c.at, NULL, NO_INDEX);
        struct oto_pb_cursor inner = oto_pb_cursor(member);
        struct oto_otlp_any any;
        struct oto_bytes key;
        status = pairs ? oto_otlp_key_value_read(d, &inner, &key, &any)
                       : oto_otlp_any_read(d, &inner, &any);
        if (status < 0)
            return oto_otlp_fail(d, status, inner.at, NULL, NO_INDEX);
        if (pairs) {
            OTO_TRY(oto_otlp_utf8(d, key, &key));
            oto_value_key(&d->writer, key);
        }
        status = write_any(d, &any, depth);
        if (status < 0)
            return oto_otlp_fail(d, status, member.data, NULL, NO_INDEX);
    }
}

static enum oto_status write_any(struct oto_otlp_decoder *d, const struct oto_otlp_any *any,
                                 uint32_t depth)
{
    struct oto_value_writer *w = &d->writer;
    struct oto_bytes text;
    double number;
    if (depth > d->limits.depth_max)
        return oto_otlp_malformed(d, "value nested too deep");
    switch (any->kind) {
    case OTO_OTLP_ANY_ABSENT:
        oto_value_absent(w);
        break;
    case OTO_OTLP_ANY_UNSET:
        oto_value_unset(w);
        break;
    case OTO_OTLP_ANY_STRING:
        OTO_TRY(oto_otlp_utf8(d, any->bytes, &text));
        oto_value_string(w, text);
        break;
    case OTO_OTLP_ANY_BOOL:
        oto_value_bool(w, any->number != 0);
        break;
    case OTO_OTLP_ANY_INT:
        oto_value_int(w, (int64_t)any->number);
        break;
    case OTO_OTLP_ANY_DOUBLE:
        memcpy(&number, &any->number, sizeof number);
        oto_value_double(w, number);
        break;
    case OTO_OTLP_ANY_BYTES:
        oto_value_bytes(w, any->bytes);
        break;
    case OTO_OTLP_ANY_ARRAY:
        oto_value_array_begin(w);
        OTO_TRY(write_members(d, any->bytes, 0, depth + 1));
        oto_value_array_end(w);
        break;
    case OTO_OTLP_ANY_KVLIST:
        oto_value_kvlist_begin(w);
        OTO_TRY(write_members(d, any->bytes, 1, depth + 1));
        oto_value_kvlist_end(w);
        break;
    }
    return w->status;
}

enum oto_status oto_otlp_any_text(struct oto_otlp_decoder *d, const struct oto_otlp_any *any,
                                  struct oto_bytes *ret_text)
{
    OTO_TRY(write_any(d, any, 1));
    return oto_value_text(&d->writer, ret_text);
}
