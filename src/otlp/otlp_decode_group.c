// Export requests of all signals have one shape: resource groups of scope groups of items.
// A group's resource (scope) is found first, wherever it stands; its bytes are its identity, so
// what lies in them is decoded once a builder, not once a request.
#include "base/json_text.h"
#include "otlp/otlp_decode_internal.h"

static const struct {
    const char *resource_groups, *scope_groups, *items;
} names[OTO_SIGNAL_COUNT] = {
    [OTO_SIGNAL_LOGS] = {"resource_logs", "scope_logs", "log_records"},
    [OTO_SIGNAL_TRACES] = {"resource_spans", "scope_spans", "spans"},
    [OTO_SIGNAL_METRICS] = {"resource_metrics", "scope_metrics", "metrics"},
};

// --- resource ---

static enum oto_status put_string(struct oto_otlp_decoder *d, struct oto_bytes text,
                                  struct oto_buffer *json)
{
    OTO_TRY(oto_otlp_utf8(d, text, &text));
    return oto_json_escape(json, text);
}

static enum oto_status text_list(struct oto_otlp_decoder *d, const char *name,
                                 struct oto_bytes message, uint32_t wanted, struct oto_buffer *json)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    uint32_t tag, count = 0;
    while (oto_pb_tag(&c, &tag) == OTO_OK) {
        struct oto_bytes text;
        if (tag != wanted) {
            OTO_TRY(oto_pb_skip(&c, tag));
            continue;
        }
        OTO_TRY(oto_pb_bytes(&c, &text));
        OTO_TRY(count++ ? oto_buffer_append_byte(json, ',')
                        : oto_buffer_append_format(json, ",\"%s\":[", name));
        OTO_TRY(put_string(d, text, json));
    }
    return count ? oto_buffer_append_byte(json, ']') : OTO_OK;
}

// An EntityRef as OTLP/JSON has it.
static enum oto_status entity_ref(struct oto_otlp_decoder *d, struct oto_bytes message,
                                  struct oto_buffer *json)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    struct oto_bytes schema_url = {NULL, 0}, type = {NULL, 0}, key;
    uint32_t tag;
    enum oto_status status;
    while ((status = oto_pb_tag(&c, &tag)) == OTO_OK) {
        if (tag == BYTES_TAG(1))
            status = oto_pb_bytes(&c, &schema_url);
        else if (tag == BYTES_TAG(2))
            status = oto_pb_bytes(&c, &type);
        else if (tag == BYTES_TAG(3) || tag == BYTES_TAG(4))
            status = oto_pb_bytes(&c, &key);
        else
            status = oto_otlp_other(d, &c, tag, 0x1E);
        if (status < 0)
            break;
    }
    if (status < 0)
        return oto_otlp_fail(d, status, c.at, NULL, NO_INDEX);
    OTO_TRY(oto_buffer_append(json, "{\"schemaUrl\":", 13));
    OTO_TRY(put_string(d, schema_url, json));
    OTO_TRY(oto_buffer_append(json, ",\"type\":", 8));
    OTO_TRY(put_string(d, type, json));
    OTO_TRY(text_list(d, "idKeys", message, BYTES_TAG(3), json));
    OTO_TRY(text_list(d, "descriptionKeys", message, BYTES_TAG(4), json));
    return oto_buffer_append_byte(json, '}');
}

// Resource{1 attributes, 2 dropped_attributes_count, 3 entity_refs}
static enum oto_status resource_read(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                     struct oto_pb_cursor *c, uint32_t *ret_dropped,
                                     struct oto_buffer *refs)
{
    uint32_t tag, ref_count = 0;
    enum oto_status status;
    oto_otlp_attributes_begin(d, s);
    while ((status = oto_pb_tag(c, &tag)) == OTO_OK) {
        struct oto_bytes part;
        if (tag == BYTES_TAG(1)) {
            OTO_TRY(oto_pb_bytes(c, &part));
            OTO_TRY(oto_otlp_attribute(d, s, part));
        } else if (tag == VARINT_TAG(2)) {
            OTO_TRY(oto_otlp_read_u32(c, ret_dropped));
        } else if (tag == BYTES_TAG(3)) {
            OTO_TRY(oto_pb_bytes(c, &part));
            OTO_TRY(oto_buffer_append_byte(refs, ref_count ? ',' : '['));
            status = entity_ref(d, part, refs);
            if (status < 0)
                return oto_otlp_fail(d, status, part.data, "entity_refs", ref_count);
            ref_count++;
        } else {
            OTO_TRY(oto_otlp_other(d, c, tag, 0x0E));
        }
    }
    OTO_TRY(status);
    OTO_TRY(ref_count ? oto_buffer_append_byte(refs, ']') : OTO_OK);
    return oto_otlp_attributes_end(d, s);
}

// An absent message is kept apart from an empty one by a null in its column of types.
static enum oto_status absent(struct oto_otlp_decoder *d, struct oto_otlp_sink *s)
{
    oto_otlp_attributes_begin(d, s);
    OTO_TRY(oto_column_append_end(s->builder, s->map));
    return oto_column_append_null(s->builder, s->types);
}

static enum oto_status resource_append(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                       uint32_t index)
{
    struct oto_otlp_sink *s = &t->sinks[OTO_OTLP_SINK_RESOURCE];
    struct oto_builder *b = t->builder;
    struct oto_pb_cursor c = oto_pb_cursor(d->resource);
    uint32_t dropped = 0;
    d->scratch.size = 0;
    enum oto_status status =
        d->has_resource ? resource_read(d, s, &c, &dropped, &d->scratch) : absent(d, s);
    if (status < 0)
        return oto_otlp_fail(d, status, c.at, "resource", NO_INDEX);
    OTO_TRY(oto_otlp_add_i64(b, t->columns[AT_RESOURCE_DROPPED], dropped));
    OTO_TRY(d->scratch.size ? oto_otlp_add_text(d, b, t->columns[AT_RESOURCE_ENTITY_REFS],
                                                oto_buffer_view(&d->scratch))
                            : oto_column_append_null(b, t->columns[AT_RESOURCE_ENTITY_REFS]));
    OTO_TRY(oto_otlp_add_text(d, b, t->columns[AT_RESOURCE_SCHEMA_URL], d->resource_schema_url));
    OTO_TRY(oto_otlp_keep_configured(d, t, index));
    OTO_TRY(oto_otlp_promote(d, t, s, index));
    return oto_otlp_hash_resource(d, t, index);
}

// --- scope ---

struct scope {
    struct oto_bytes name;
    struct oto_bytes version;
    uint32_t dropped;
};

// InstrumentationScope{1 name, 2 version, 3 attributes, 4 dropped_attributes_count}
static enum oto_status scope_read(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                  struct oto_pb_cursor *c, struct scope *scope)
{
    uint32_t tag;
    enum oto_status status;
    oto_otlp_attributes_begin(d, s);
    while ((status = oto_pb_tag(c, &tag)) == OTO_OK) {
        struct oto_bytes attribute;
        if (tag == BYTES_TAG(1)) {
            OTO_TRY(oto_pb_bytes(c, &scope->name));
        } else if (tag == BYTES_TAG(2)) {
            OTO_TRY(oto_pb_bytes(c, &scope->version));
        } else if (tag == BYTES_TAG(3)) {
            OTO_TRY(oto_pb_bytes(c, &attribute));
            OTO_TRY(oto_otlp_attribute(d, s, attribute));
        } else if (tag == VARINT_TAG(4)) {
            OTO_TRY(oto_otlp_read_u32(c, &scope->dropped));
        } else {
            OTO_TRY(oto_otlp_other(d, c, tag, 0x1E));
        }
    }
    OTO_TRY(status);
    return oto_otlp_attributes_end(d, s);
}

static enum oto_status scope_append(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                    uint32_t index)
{
    struct oto_otlp_sink *s = &t->sinks[OTO_OTLP_SINK_SCOPE];
    struct oto_builder *b = t->builder;
    struct oto_pb_cursor c = oto_pb_cursor(d->scope);
    struct scope scope = {.dropped = 0};
    enum oto_status status = d->has_scope ? scope_read(d, s, &c, &scope) : absent(d, s);
    if (status < 0)
        return oto_otlp_fail(d, status, c.at, "scope", NO_INDEX);
    OTO_TRY(oto_otlp_add_text(d, b, t->columns[AT_SCOPE_NAME], scope.name));
    OTO_TRY(oto_otlp_add_text(d, b, t->columns[AT_SCOPE_VERSION], scope.version));
    OTO_TRY(oto_otlp_add_i64(b, t->columns[AT_SCOPE_DROPPED], scope.dropped));
    OTO_TRY(oto_otlp_add_text(d, b, t->columns[AT_SCOPE_SCHEMA_URL], d->scope_schema_url));
    return oto_otlp_hash_scope(d, t, index);
}

// --- entering ---

// The bytes that tell one resource or scope from another: the entry above, presence, schema URL,
// message.
struct identity {
    uint32_t head[3]; // above, presence, size of the schema URL
    struct oto_bytes schema_url;
    struct oto_bytes message;
};

static enum oto_status identity_bytes(struct oto_otlp_decoder *d, const struct identity *id,
                                      struct oto_bytes *ret_bytes)
{
    d->scratch.size = 0;
    OTO_TRY(oto_buffer_append(&d->scratch, id->head, sizeof id->head));
    OTO_TRY(oto_buffer_append(&d->scratch, id->schema_url.data, id->schema_url.size));
    OTO_TRY(oto_buffer_append(&d->scratch, id->message.data, id->message.size));
    *ret_bytes = oto_buffer_view(&d->scratch);
    return OTO_OK;
}

static int is_identity(const struct oto_dictionary *entries, uint32_t index,
                       const struct identity *id)
{
    const size_t head = sizeof id->head, url = id->schema_url.size, size = id->message.size;
    if (index >= entries->count || entries->entries[index].size != head + url + size)
        return 0;
    const uint8_t *at = entries->entries[index].data;
    return memcmp(at, id->head, sizeof id->head) == 0 &&
           (!url || memcmp(at + head, id->schema_url.data, url) == 0) &&
           (!size || memcmp(at + head + url, id->message.data, size) == 0);
}

// A guess is kept by words spread over the message: instances of a service differ in a few.
static uint32_t guess_of(const struct identity *id)
{
    const struct oto_bytes m = id->message;
    uint64_t bits = m.size + ((uint64_t)id->head[0] << 32);
    for (size_t i = 0, step = m.size / 8; m.size >= 64 && i < 8; i++)
        bits = (bits ^ oto_load64(m.data + i * step)) * 0x9E3779B97F4A7C15u;
    if (m.size >= 8 && m.size < 64)
        bits ^= oto_load64(m.data) + 3 * oto_load64(m.data + m.size - 8);
    return (uint32_t)(bits * 0x9E3779B97F4A7C15u >> 32) % OTO_OTLP_ENTRY_GUESSES;
}

// The entry of a level with this identity: most often one that was there a moment ago.
static enum oto_status enter(struct oto_otlp_decoder *d, struct oto_otlp_table *t, uint32_t level,
                             const struct identity *id, uint32_t *guesses, uint32_t *ret_index,
                             int *ret_is_new)
{
    uint32_t *guess = &guesses[guess_of(id)];
    struct oto_bytes bytes;
    *ret_is_new = 0;
    if (is_identity(&t->builder->levels[level].identity, *guess, id)) {
        *ret_index = *guess;
        return OTO_OK;
    }
    OTO_TRY(identity_bytes(d, id, &bytes));
    OTO_TRY(oto_builder_entry(t->builder, level, bytes, id->head[0], ret_index, ret_is_new));
    *guess = *ret_index;
    return OTO_OK;
}

static enum oto_status resource_enter(struct oto_otlp_decoder *d, struct oto_otlp_table *t)
{
    struct identity id = {{0, (uint32_t)d->has_resource, (uint32_t)d->resource_schema_url.size},
                          d->resource_schema_url,
                          d->resource};
    int is_new;
    if (t->resource_group == d->resource_group)
        return OTO_OK;
    OTO_TRY(enter(d, t, t->builder->schema->level_count - 1, &id, t->resource_guesses,
                  &t->resource_index, &is_new));
    if (is_new)
        OTO_TRY(resource_append(d, t, t->resource_index));
    t->resource_group = d->resource_group;
    return OTO_OK;
}

// A failure up here is none of the item or scope group that made it come to light.
static enum oto_status fail_above(struct oto_otlp_decoder *d, enum oto_status status,
                                  uint32_t frames)
{
    d->path_skip = frames;
    return status;
}

static uint32_t attribute_count(const struct oto_otlp_sink *s, uint32_t index)
{
    return s->map->offsets[index + 1] - s->map->offsets[index];
}

enum oto_status oto_otlp_scope_enter(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                     uint32_t frames)
{
    int is_new;
    if (t->scope_group == d->scope_group)
        return OTO_OK;
    oto_otlp_count_shared(d, t);
    enum oto_status status = resource_enter(d, t);
    if (status < 0)
        return fail_above(d, status, frames + 1);
    struct identity id = {
        {t->resource_index, (uint32_t)d->has_scope, (uint32_t)d->scope_schema_url.size},
        d->scope_schema_url,
        d->scope};
    OTO_TRY(enter(d, t, t->builder->schema->level_count - 2, &id, t->scope_guesses, &t->scope_index,
                  &is_new));
    status = is_new ? scope_append(d, t, t->scope_index) : OTO_OK;
    if (status < 0)
        return fail_above(d, status, frames);
    t->scope_attributes = attribute_count(&t->sinks[OTO_OTLP_SINK_RESOURCE], t->resource_index) +
                          attribute_count(&t->sinks[OTO_OTLP_SINK_SCOPE], t->scope_index);
    t->scope_group = d->scope_group;
    d->entered_scope_group = d->scope_group;
    return OTO_OK;
}

// --- groups ---

struct group {
    struct oto_bytes head; // the resource or scope
    struct oto_bytes schema_url;
    int has_head;
    uint64_t member_count;
};

// Group{1 resource or scope, 2 members, 3 schema_url}, without a look into the members.
static enum oto_status group_scan(struct oto_otlp_decoder *d, struct oto_pb_cursor *c,
                                  struct group *g)
{
    uint32_t heads = 0;
    *g = (struct group){.member_count = 0};
    for (const uint8_t *at = c->at, *end = c->end; at != end;) {
        const uint8_t *start = at;
        struct oto_otlp_read tag = oto_otlp_tag(at, end);
        struct oto_bytes member;
        if (tag.value == BYTES_TAG(2)) {
            at = oto_otlp_bytes(tag.at, end, &member);
            g->member_count++;
        } else if (tag.value == BYTES_TAG(1)) {
            at = oto_otlp_bytes(tag.at, end, &g->head);
            heads++;
        } else if (tag.value == BYTES_TAG(3)) {
            at = oto_otlp_bytes(tag.at, end, &g->schema_url);
        } else {
            at = oto_otlp_other_field(d, tag.at, end, tag.value, 0x0E);
        }
        if (!at)
            return oto_otlp_stop(c, start, OTO_INVALID);
    }
    g->has_head = heads > 0;
    return heads > 1 ? oto_otlp_merge(d, *c, BYTES_TAG(1), &g->head) : OTO_OK;
}

uint64_t oto_otlp_count_fields(struct oto_bytes message, uint32_t wanted)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    uint32_t tag, count = 0;
    while (oto_pb_tag(&c, &tag) == OTO_OK) {
        count += tag == wanted;
        if (oto_pb_skip(&c, tag) < 0)
            break;
    }
    return count;
}

static enum oto_status item_refuse(struct oto_otlp_decoder *d, struct oto_pb_cursor *c)
{
    uint64_t count = 1;
    if (d->signal == OTO_SIGNAL_METRICS)
        OTO_TRY(oto_otlp_metric_count(c, &count));
    oto_otlp_reject(d, count, d->refusal);
    return OTO_OK;
}

#define LONG_ITEM_BYTES 16384 // which may have so many attributes that rows are not counted enough

static enum oto_status item_read(struct oto_otlp_decoder *d, struct oto_pb_cursor *c)
{
    if (c->end - c->at >= LONG_ITEM_BYTES)
        OTO_TRY(oto_otlp_reckon(d, 0));
    switch (d->signal) {
    case OTO_SIGNAL_LOGS:
        return oto_otlp_log_read(d, c);
    case OTO_SIGNAL_TRACES:
        return oto_otlp_span_read(d, c);
    default:
        return oto_otlp_metric_read(d, c);
    }
}

// Walks the members of a group that was scanned.
static enum oto_status
each_member(struct oto_otlp_decoder *d, struct oto_bytes message, const char *name,
            enum oto_status (*read)(struct oto_otlp_decoder *, struct oto_pb_cursor *))
{
    const uint8_t *at = message.data, *end = at + message.size;
    uint32_t index = 0;
    while (at != end) {
        struct oto_otlp_read tag = oto_otlp_tag(at, end);
        struct oto_bytes member = {NULL, 0};
        if (tag.value != BYTES_TAG(2)) { // heads and schema URLs
            at = (tag.value & 7) == OTO_PB_BYTES
                     ? oto_otlp_bytes(tag.at, end, &member)
                     : oto_otlp_other_field(d, tag.at, end, tag.value, 0);
            continue;
        }
        at = oto_otlp_bytes(tag.at, end, &member);
        struct oto_pb_cursor inner = oto_pb_cursor(member);
        enum oto_status status = read(d, &inner);
        if (status < 0)
            return oto_otlp_fail(d, status, inner.at, name, index);
        index++;
    }
    return OTO_OK;
}

// The table that a group without items is checked in; metrics enter each table they need.
static struct oto_otlp_table *default_table(struct oto_otlp_decoder *d)
{
    static const enum oto_table tables[] = {OTO_TABLE_LOGS, OTO_TABLE_TRACES, OTO_TABLE_GAUGE};
    return &d->tables[tables[d->signal]];
}

static enum oto_status scope_group_read(struct oto_otlp_decoder *d, struct oto_pb_cursor *c)
{
    struct oto_bytes message = oto_bytes(c->at, (size_t)(c->end - c->at));
    struct group g;
    OTO_TRY(group_scan(d, c, &g));
    if (oto_otlp_too_many(d, g.head, BYTES_TAG(3))) {
        d->refusal = "scope has too many attributes";
        return each_member(d, message, names[d->signal].items, item_refuse);
    }
    d->scope_group++;
    d->scope = g.head;
    d->scope_schema_url = g.schema_url;
    d->has_scope = g.has_head;
    if (d->signal != OTO_SIGNAL_METRICS)
        OTO_TRY(oto_otlp_scope_enter(d, default_table(d), 0));
    OTO_TRY(each_member(d, message, names[d->signal].items, item_read));
    return d->entered_scope_group == d->scope_group ? OTO_OK
                                                    : oto_otlp_scope_enter(d, default_table(d), 0);
}

static enum oto_status scope_group_refuse(struct oto_otlp_decoder *d, struct oto_pb_cursor *c)
{
    struct oto_bytes message = oto_bytes(c->at, (size_t)(c->end - c->at));
    struct group g;
    OTO_TRY(group_scan(d, c, &g));
    return each_member(d, message, names[d->signal].items, item_refuse);
}

static enum oto_status resource_group_read(struct oto_otlp_decoder *d, struct oto_pb_cursor *c)
{
    struct oto_bytes message = oto_bytes(c->at, (size_t)(c->end - c->at));
    struct group g;
    OTO_TRY(group_scan(d, c, &g));
    if (oto_otlp_too_many(d, g.head, BYTES_TAG(1))) {
        d->refusal = "resource has too many attributes";
        return each_member(d, message, names[d->signal].scope_groups, scope_group_refuse);
    }
    d->resource_group++;
    d->resource = g.head;
    d->resource_schema_url = g.schema_url;
    d->has_resource = g.has_head;
    if (d->signal != OTO_SIGNAL_METRICS || g.member_count == 0)
        OTO_TRY(resource_enter(d, default_table(d)));
    return each_member(d, message, names[d->signal].scope_groups, scope_group_read);
}

// Export*ServiceRequest{1 resource groups}
enum oto_status oto_otlp_request_read(struct oto_otlp_decoder *d, struct oto_pb_cursor *c)
{
    uint32_t tag, index = 0;
    enum oto_status status;
    while ((status = oto_pb_tag(c, &tag)) == OTO_OK) {
        struct oto_bytes group;
        if (tag != BYTES_TAG(1)) {
            OTO_TRY(oto_otlp_other(d, c, tag, FIELD_BIT(1)));
            continue;
        }
        OTO_TRY(oto_pb_bytes(c, &group));
        struct oto_pb_cursor inner = oto_pb_cursor(group);
        status = resource_group_read(d, &inner);
        if (status < 0)
            return oto_otlp_fail(d, status, inner.at, names[d->signal].resource_groups, index);
        index++;
    }
    return status < 0 ? status : OTO_OK;
}
