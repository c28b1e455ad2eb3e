// SeriesId: what makes a series of points one, as a 128-bit hash that stays the same for ever.
// Each level hashes the one above it and its own parts: resource (attributes), scope (name,
// version, attributes), metric (name, unit, kind, temporality, monotony), series (attributes).
// Attributes are taken in the order of their keys. A part is its length (32 bits, little-endian)
// and its bytes.
#include "otlp/otlp_decode_internal.h"

#include <stdlib.h>

struct attribute {
    struct oto_bytes key;
    struct oto_bytes type;
    struct oto_bytes text;
};

static enum oto_status put(struct oto_buffer *b, struct oto_bytes part)
{
    uint32_t size = (uint32_t)part.size;
    OTO_TRY(oto_buffer_append(b, &size, sizeof size));
    return oto_buffer_append(b, part.data, part.size);
}

static struct oto_bytes entry(const struct oto_column *c, uint32_t index)
{
    return c->dictionary->entries[((const uint32_t *)c->values)[index]];
}

#define NAN_DIGITS 16 // behind the letter N

// The letters of one value: a letter, with the digits that belong to it, or a group in brackets.
static struct oto_bytes next_type(struct oto_bytes *types)
{
    uint32_t depth = 0;
    size_t size = 0;
    while (size < types->size) {
        uint8_t c = types->data[size++];
        depth += c == '[' || c == '{';
        depth -= c == ']' || c == '}';
        if (c == 'N' && types->size - size >= NAN_DIGITS)
            size += NAN_DIGITS;
        if (depth == 0)
            break;
    }
    struct oto_bytes type = oto_bytes(types->data, size);
    *types = oto_bytes(types->data + size, types->size - size);
    return type;
}

static int compare_bytes(struct oto_bytes a, struct oto_bytes b)
{
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static int compare(const void *left, const void *right)
{
    const struct attribute *a = left, *b = right;
    int order = compare_bytes(a->key, b->key);
    if (!order)
        order = compare_bytes(a->type, b->type);
    return order ? order : compare_bytes(a->text, b->text);
}

// Appends the last set of a sink.
static enum oto_status put_attributes(struct oto_otlp_decoder *d, const struct oto_otlp_sink *s,
                                      struct oto_buffer *b)
{
    const struct oto_column *map = s->map;
    uint32_t first = map->offsets[map->length - 1], count = map->offsets[map->length] - first;
    struct oto_bytes types = entry(s->types, s->types->length - 1);
    struct attribute *list = oto_alloc(d->allocator, (count + 1) * sizeof *list);
    enum oto_status status = OTO_OK;
    if (!list)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < count; i++)
        list[i] = (struct attribute){.key = entry(&map->children[0], first + i),
                                     .type = next_type(&types),
                                     .text = entry(&map->children[1], first + i)};
    uint32_t ordered = count ? 1 : 0;
    while (ordered < count && compare(&list[ordered - 1], &list[ordered]) <= 0)
        ordered++;
    if (ordered < count)
        qsort(list, count, sizeof *list, compare);
    for (uint32_t i = 0; i < count && status == OTO_OK; i++) {
        status = put(b, list[i].key);
        if (status == OTO_OK)
            status = put(b, list[i].type);
        if (status == OTO_OK)
            status = put(b, list[i].text);
    }
    oto_free(d->allocator, list, (count + 1) * sizeof *list);
    return status;
}

static enum oto_status keep_hash(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                 uint32_t level, uint32_t index, struct oto_hash128 hash)
{
    struct oto_otlp_hash_list *list = &t->hashes[level];
    if (index >= list->capacity) {
        uint32_t capacity = 2 * index + 16;
        struct oto_hash128 *items = oto_resize(
            d->allocator, list->items, list->capacity * sizeof *items, capacity * sizeof *items);
        if (!items)
            return OTO_NO_MEMORY;
        list->items = items;
        list->capacity = capacity;
    }
    list->items[index] = hash;
    return OTO_OK;
}

static enum oto_status begin(struct oto_otlp_decoder *d, const struct oto_otlp_table *t,
                             uint32_t level, uint32_t index)
{
    d->scratch.size = 0;
    return oto_buffer_append(&d->scratch, &t->hashes[level].items[index],
                             sizeof(struct oto_hash128));
}

static struct oto_hash128 end(const struct oto_otlp_decoder *d)
{
    return oto_hash128(d->scratch.data, d->scratch.size);
}

static int is_metrics(const struct oto_otlp_table *t)
{
    return t->builder->schema->level_count == 5;
}

// The text that a column of strings has for its last entry.
static struct oto_bytes last(const struct oto_otlp_table *t, enum oto_otlp_column column)
{
    return entry(t->columns[column], t->columns[column]->length - 1);
}

enum oto_status oto_otlp_hash_resource(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                       uint32_t index)
{
    if (!is_metrics(t))
        return OTO_OK;
    d->scratch.size = 0;
    OTO_TRY(put_attributes(d, &t->sinks[OTO_OTLP_SINK_RESOURCE], &d->scratch));
    return keep_hash(d, t, 4, index, end(d));
}

enum oto_status oto_otlp_hash_scope(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                    uint32_t index)
{
    if (!is_metrics(t))
        return OTO_OK;
    OTO_TRY(begin(d, t, 4, t->resource_index));
    OTO_TRY(put(&d->scratch, last(t, AT_SCOPE_NAME)));
    OTO_TRY(put(&d->scratch, last(t, AT_SCOPE_VERSION)));
    OTO_TRY(put_attributes(d, &t->sinks[OTO_OTLP_SINK_SCOPE], &d->scratch));
    return keep_hash(d, t, 3, index, end(d));
}

enum oto_status oto_otlp_hash_metric(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                     uint32_t index, uint32_t kind, int32_t temporality,
                                     int is_monotonic)
{
    uint32_t numbers[3] = {kind, (uint32_t)temporality, (uint32_t)is_monotonic};
    OTO_TRY(begin(d, t, 3, t->scope_index));
    OTO_TRY(put(&d->scratch, last(t, AT_METRIC_NAME)));
    OTO_TRY(put(&d->scratch, last(t, AT_METRIC_UNIT)));
    OTO_TRY(oto_buffer_append(&d->scratch, numbers, sizeof numbers));
    return keep_hash(d, t, 2, index, end(d));
}

enum oto_status oto_otlp_series_id(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                   uint32_t metric_index, char output[32])
{
    static const char digits[] = "0123456789abcdef";
    OTO_TRY(begin(d, t, 2, metric_index));
    OTO_TRY(put_attributes(d, &t->sinks[OTO_OTLP_SINK_RECORD], &d->scratch));
    struct oto_hash128 hash = end(d);
    for (int i = 0; i < 16; i++) {
        output[i] = digits[hash.high >> (60 - 4 * i) & 15];
        output[16 + i] = digits[hash.low >> (60 - 4 * i) & 15];
    }
    return OTO_OK;
}
