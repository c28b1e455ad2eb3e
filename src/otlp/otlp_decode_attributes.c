// Sets of attributes into map columns: keys and values become dictionary codes, most of them by a
// guess. A key is guessed by the one before it, then as all strings are: by a few of its bits.
#include "otlp/otlp_decode_internal.h"

// Beyond so many keys nothing is remembered of the further ones: keys of a sane sender are few.
#define KEYS_MAX 65536u
#define FIELD_ID_CONFIGURED 10000

// --- making and forgetting ---

static int is_promoted_here(const struct oto_column *c, enum oto_otlp_sink_name name,
                            uint32_t level)
{
    const struct oto_field *field = c->field;
    if (!field->attribute)
        return 0;
    return field->level == level ||
           (name == OTO_OTLP_SINK_RESOURCE && field->id >= FIELD_ID_CONFIGURED);
}

static void add_promoted(struct oto_otlp_table *t, struct oto_otlp_sink *s, struct oto_column *c,
                         uint32_t level)
{
    struct oto_otlp_promoted *p = &s->promoted[s->promoted_count++];
    *p = (struct oto_otlp_promoted){.key = oto_bytes_text(c->field->attribute), .configured = -1};
    memset(p->known, 0xFF, sizeof p->known);
    p->column = c->field->level == level ? c : NULL;
    if (c->field->id >= FIELD_ID_CONFIGURED)
        p->configured = (int32_t)t->configured_count++;
    // A configured one may have its resource's value instead.
    p->is_lazy = p->column && p->configured < 0 && (c->field->flags & OTO_FIELD_NULLABLE);
    s->eager_count += p->column && !p->is_lazy;
}

enum oto_status oto_otlp_sink_init(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                   enum oto_otlp_sink_name name, struct oto_column *map,
                                   struct oto_column *types)
{
    struct oto_otlp_sink *s = &t->sinks[name];
    uint32_t level = map->field->level, count = 0;
    *s = (struct oto_otlp_sink){.builder = t->builder,
                                .map = map,
                                .types = types,
                                .keys = &map->children[0],
                                .values = &map->children[1],
                                .owner = ++d->owners << 8};
    if (name != OTO_OTLP_SINK_RESOURCE && name != OTO_OTLP_SINK_RECORD)
        return OTO_OK;
    struct oto_column *columns = t->builder->columns;
    for (uint32_t i = 0; i < t->builder->schema->field_count; i++)
        count += (uint32_t)is_promoted_here(&columns[i], name, level);
    s->promoted = oto_alloc(d->allocator, (count + 1) * sizeof *s->promoted);
    if (!s->promoted)
        return OTO_NO_MEMORY;
    s->promoted_capacity = count + 1;
    s->touched = oto_alloc(d->allocator, (count + 1) * sizeof *s->touched);
    if (!s->touched)
        return OTO_NO_MEMORY;
    t->configured_count = 0; // both sinks meet the same columns in the same order
    for (uint32_t i = 0; i < t->builder->schema->field_count; i++)
        if (is_promoted_here(&columns[i], name, level))
            add_promoted(t, s, &columns[i], level);
    return OTO_OK;
}

void oto_otlp_sink_release(struct oto_otlp_decoder *d, struct oto_otlp_sink *s)
{
    oto_free(d->allocator, s->known, s->key_capacity * sizeof *s->known);
    oto_free(d->allocator, s->touched, s->promoted_capacity * sizeof *s->touched);
    oto_free(d->allocator, s->promoted, s->promoted_capacity * sizeof *s->promoted);
}

void oto_otlp_sink_rolled_back(struct oto_otlp_decoder *d, struct oto_otlp_sink *s)
{
    if (!s->map)
        return;
    uint32_t count = s->keys->dictionary->count;
    if (s->key_count > count)
        s->key_count = count;
    s->owner = ++d->owners << 8; // its pairs are no more
    s->sets = 0;
    for (uint32_t i = 0; i < s->promoted_count; i++) {
        memset(s->promoted[i].known, 0xFF, sizeof s->promoted[i].known);
        s->promoted[i].filled = 0;
    }
}

// --- keys ---

static uint32_t promoted_of(const struct oto_otlp_sink *s, struct oto_bytes key)
{
    for (uint32_t i = 0; i < s->promoted_count; i++)
        if (oto_bytes_equal(s->promoted[i].key, key))
            return i + 1;
    return 0;
}

// Makes s->known reach up to code.
static enum oto_status remember_keys(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                     uint32_t code)
{
    const struct oto_dictionary *dictionary = s->keys->dictionary;
    if (code >= s->key_capacity) {
        uint32_t capacity = s->key_capacity ? s->key_capacity : 16;
        while (capacity <= code)
            capacity *= 2;
        struct oto_otlp_key *list = oto_resize(
            d->allocator, s->known, s->key_capacity * sizeof *list, capacity * sizeof *list);
        if (!list)
            return OTO_NO_MEMORY;
        s->known = list;
        s->key_capacity = capacity;
    }
    for (; s->key_count <= code; s->key_count++)
        s->known[s->key_count] =
            (struct oto_otlp_key){.promoted = promoted_of(s, dictionary->entries[s->key_count])};
    return OTO_OK;
}

// Where the key at `index` of the map's keys is guessed: by the one before it. NULL: nowhere.
static inline uint32_t *next_key(struct oto_otlp_sink *s, const uint32_t *codes, uint32_t index)
{
    if (index == s->start)
        return &s->first_key;
    return codes[index - 1] < s->key_count ? &s->known[codes[index - 1]].next : NULL;
}

static inline enum oto_status add_key(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                      struct oto_bytes text, uint32_t *ret_code)
{
    struct oto_column *keys = s->keys;
    OTO_TRY(oto_column_reserve(s->builder, keys, 1));
    uint32_t *codes = keys->values;
    uint32_t *guess = next_key(s, codes, keys->length), code = guess ? *guess : NO_CODE;
    if (!oto_otlp_is_code(keys->dictionary, code, text)) {
        OTO_TRY(oto_otlp_code(d, keys, text, &code));
        if (guess)
            *guess = code;
    }
    codes[keys->length++] = code;
    *ret_code = code;
    return code >= s->key_count && code < KEYS_MAX ? remember_keys(d, s, code) : OTO_OK;
}

// --- values ---

static inline enum oto_status value_text(struct oto_otlp_decoder *d, const struct oto_otlp_any *any,
                                         struct oto_bytes *ret_text)
{
    struct oto_value_writer *w = &d->writer;
    if (any->kind == OTO_OTLP_ANY_STRING) { // checked as UTF-8 when its code is not guessed
        *ret_text = any->bytes;
        return oto_buffer_append_byte(&w->types, 's');
    }
    if (any->kind == OTO_OTLP_ANY_INT) {
        *ret_text = oto_bytes(w->scalar, oto_text_from_i64((int64_t)any->number, w->scalar));
        return oto_buffer_append_byte(&w->types, 'i');
    }
    return oto_otlp_any_text(d, any, ret_text);
}

static void note_promoted(struct oto_otlp_sink *s, uint32_t index, const struct oto_otlp_any *any,
                          uint32_t code)
{
    struct oto_otlp_promoted *p = &s->promoted[index];
    if (p->stamp == s->stamp) // of a key given twice the first counts
        return;
    p->stamp = s->stamp;
    s->touched[s->touched_count++] = index;
    p->kind = any->kind;
    p->text = s->values->dictionary->entries[code];
    p->number = (int64_t)any->number;
    p->value_code = code;
}

static inline uint32_t key_promoted(const struct oto_otlp_sink *s, uint32_t key_code)
{
    if (key_code < s->key_count)
        return s->known[key_code].promoted;
    return promoted_of(s, s->keys->dictionary->entries[key_code]);
}

// A key whose values were nearly all new for long is not looked up any more, but for a sample: in a
// dictionary of unique values that would be some misses of the cache for each, for nothing.
static inline enum oto_status value_code(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                         struct oto_bytes text, uint32_t key_code,
                                         uint32_t *ret_code)
{
    struct oto_dictionary *dictionary = s->values->dictionary;
    struct oto_otlp_key *key = key_code < s->key_count ? &s->known[key_code] : NULL;
    if (key && key->fresh >= OTO_OTLP_FRESH && ++key->blind % OTO_OTLP_BLIND)
        return oto_otlp_code_blind(d, dictionary, text, ret_code);
    uint32_t count = dictionary->count;
    if (dictionary->plain)
        OTO_TRY(oto_otlp_code(d, s->values, text, ret_code));
    else
        OTO_TRY(oto_otlp_code_lookup(d, dictionary, text, ret_code));
    if (key && dictionary->count == count)
        key->fresh -= key->fresh < OTO_OTLP_FOUND ? key->fresh : OTO_OTLP_FOUND;
    else if (key && key->fresh < OTO_OTLP_FRESH)
        key->fresh++;
    return OTO_OK;
}

static inline enum oto_status add_value(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                        const struct oto_otlp_any *any, uint32_t key_code,
                                        uint32_t *ret_code)
{
    struct oto_column *values = s->values;
    struct oto_bytes text;
    uint32_t code;
    OTO_TRY(value_text(d, any, &text));
    OTO_TRY(oto_column_reserve(s->builder, values, 1));
    OTO_TRY(value_code(d, s, text, key_code, &code));
    oto_column_append_code(values, code);
    uint32_t promoted = key_promoted(s, key_code);
    if (promoted)
        note_promoted(s, promoted - 1, any, code);
    *ret_code = code;
    return OTO_OK;
}

// --- pairs that came before ---

// size >= 8: the last words and the middle, where values differ.
static inline struct oto_otlp_pair *pair_of(struct oto_otlp_decoder *d, const uint8_t *p,
                                            size_t size)
{
    uint64_t middle = oto_load64(p + (size >> 1) - 4),
             before = oto_load64(p + (size >= 16 ? size - 16 : 0));
    uint64_t bits =
        oto_load64(p + size - 8) + (middle << 17 | middle >> 47) + (before << 34 | before >> 30);
    return &d->pairs[bits * 0x9E3779B97F4A7C15u >> (64 - OTO_OTLP_PAIR_BITS)];
}

// size >= 8. Two words at a time, the last of them overlapping.
static inline int pair_same(const uint8_t *a, const uint8_t *b, size_t size)
{
    if (size > 16)
        for (size_t i = 0; i + 16 < size; i += 16)
            if ((oto_load64(a + i) ^ oto_load64(b + i)) |
                (oto_load64(a + i + 8) ^ oto_load64(b + i + 8)))
                return 0;
    size_t first = size >= 16 ? size - 16 : 0;
    return oto_load64(a + first) == oto_load64(b + first) &&
           oto_load64(a + size - 8) == oto_load64(b + size - 8);
}

// The pair with these bytes, when it came before.
static inline const struct oto_otlp_pair *pair_find(struct oto_otlp_decoder *d,
                                                    const struct oto_otlp_sink *s,
                                                    const uint8_t *bytes, size_t size)
{
    if (size - OTO_OTLP_PAIR_SIZE_MIN > OTO_OTLP_PAIR_SIZE_MAX - OTO_OTLP_PAIR_SIZE_MIN)
        return NULL;
    const struct oto_otlp_pair *pair = pair_of(d, bytes, size);
    return pair->owner == (s->owner | size) && pair_same(pair->bytes, bytes, size) ? pair : NULL;
}

static void pair_promoted(struct oto_otlp_sink *s, const struct oto_otlp_pair *pair)
{
    struct oto_otlp_any any = {.kind = pair->kind, .number = pair->number};
    note_promoted(s, pair->promoted - 1, &any, pair->value_code);
}

// Where pairs that came before are appended to, as long as there is room; the columns get their
// lengths at the end.
struct run {
    uint32_t *keys;
    uint32_t *values;
    uint8_t *letters;
    uint32_t count;
    uint32_t room;
};

static inline struct run run_begin(struct oto_otlp_decoder *d, const struct oto_otlp_sink *s)
{
    const struct oto_column *keys = s->keys, *values = s->values;
    const struct oto_buffer *types = &d->writer.types;
    uint32_t room = keys->capacity - keys->length;
    if (values->capacity - values->length < room)
        room = values->capacity - values->length;
    if (types->capacity - types->size < room)
        room = (uint32_t)(types->capacity - types->size);
    struct run run = {NULL, NULL, NULL, 0, room};
    if (room) {
        run.keys = (uint32_t *)keys->values + keys->length;
        run.values = (uint32_t *)values->values + values->length;
        run.letters = types->data + types->size;
    }
    return run;
}

static inline void run_end(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                           const struct run *run)
{
    s->keys->length += run->count;
    s->values->length += run->count;
    d->writer.types.size += run->count;
}

// Keeps the pair just appended.
static void pair_keep(struct oto_otlp_decoder *d, const struct oto_otlp_sink *s,
                      struct oto_bytes message, const struct oto_otlp_any *any, uint32_t key_code,
                      uint32_t value_code)
{
    struct oto_otlp_pair *pair = pair_of(d, message.data, message.size);
    pair->owner = s->owner | message.size;
    pair->number = any->number;
    pair->key_code = key_code;
    pair->value_code = value_code;
    pair->promoted = key_promoted(s, key_code);
    pair->kind = (uint8_t)any->kind;
    pair->letter = d->writer.types.data[d->writer.types.size - 1];
    memcpy(pair->bytes, message.data, message.size);
}

// --- sets ---

// A pair as all senders write it: the key, then a value that is one string or integer. 0: read it
// the long way.
static inline int pair_read(struct oto_bytes message, struct oto_bytes *ret_key,
                            struct oto_otlp_any *any)
{
    const uint8_t *at = message.data, *end = at + message.size;
    struct oto_otlp_read size;
    if (message.size < 6 || at[0] != BYTES_TAG(1))
        return 0;
    at = oto_otlp_bytes(at + 1, end, ret_key);
    if (!at || end - at < 4 || at[0] != BYTES_TAG(2))
        return 0;
    size = oto_otlp_varint(at + 1, end);
    at = size.at;
    if (!at || size.value != (uint64_t)(end - at) || size.value < 2)
        return 0;
    size = oto_otlp_varint(at + 1, end);
    if (at[0] == BYTES_TAG(1)) {
        any->kind = OTO_OTLP_ANY_STRING;
        any->bytes = oto_bytes(size.at, (size_t)size.value);
        return size.at && size.value == (uint64_t)(end - size.at);
    }
    any->kind = OTO_OTLP_ANY_INT;
    any->number = size.value;
    return at[0] == VARINT_TAG(3) && size.at == end;
}

// Only a value seen for the second time is kept: most that are not are never seen again.
static enum oto_status attribute_new(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                     struct oto_bytes message)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    uint32_t slot = s->keys->length - s->start, count = s->values->dictionary->count;
    uint32_t key_code = 0, value_code = 0;
    uint64_t repaired = d->result.utf8_repaired;
    size_t letters = d->writer.types.size;
    struct oto_otlp_any any = {.kind = OTO_OTLP_ANY_ABSENT};
    struct oto_bytes key;
    enum oto_status status = OTO_OK;
    if (!pair_read(message, &key, &any))
        status = oto_otlp_key_value_read(d, &c, &key, &any);
    if (status == OTO_OK)
        status = add_key(d, s, key, &key_code);
    if (status == OTO_OK)
        status = add_value(d, s, &any, key_code, &value_code);
    if (status < 0)
        return oto_otlp_fail(d, status, c.at, "attributes", slot);
    if (s->values->dictionary->count == count && any.kind >= OTO_OTLP_ANY_STRING &&
        any.kind <= OTO_OTLP_ANY_DOUBLE && message.size >= OTO_OTLP_PAIR_SIZE_MIN &&
        message.size <= OTO_OTLP_PAIR_SIZE_MAX && d->result.utf8_repaired == repaired &&
        d->writer.types.size == letters + 1)
        pair_keep(d, s, message, &any, key_code, value_code);
    return OTO_OK;
}

// One more of a run; 0 when the pair did not come before, or there is no room.
__attribute__((always_inline)) static inline int run_append(struct oto_otlp_decoder *d,
                                                            struct oto_otlp_sink *s,
                                                            struct run *run, const uint8_t *bytes,
                                                            size_t size)
{
    const struct oto_otlp_pair *pair = run->count < run->room ? pair_find(d, s, bytes, size) : NULL;
    if (!pair)
        return 0;
    run->keys[run->count] = pair->key_code;
    run->values[run->count] = pair->value_code;
    run->letters[run->count++] = pair->letter;
    if (pair->promoted)
        pair_promoted(s, pair);
    return 1;
}

// The same for a key that is expected here and whose values are taken for unique, with a string of
// ASCII. 0: something is otherwise, or it is time for a look.
__attribute__((always_inline)) static inline int
run_append_blind(struct oto_otlp_sink *s, struct run *run, const uint8_t *bytes, size_t size)
{
    const struct oto_column *keys = s->keys;
    const uint32_t *guess = next_key(s, keys->values, keys->length + run->count);
    if (!guess || *guess >= s->key_count || run->count == run->room)
        return 0;
    struct oto_otlp_key *key = &s->known[*guess];
    if (key->fresh < OTO_OTLP_FRESH || key->promoted || (key->blind + 1u) % OTO_OTLP_BLIND == 0)
        return 0;
    const struct oto_bytes *name = &keys->dictionary->entries[*guess];
    const uint8_t *value = bytes + 2 + name->size;
    size_t rest = size - name->size - 6;
    if (size < name->size + 6 || size > 0x7F || bytes[0] != BYTES_TAG(1) ||
        bytes[1] != name->size || value[0] != BYTES_TAG(2) || value[1] != rest + 2 ||
        value[2] != BYTES_TAG(1) || value[3] != rest ||
        !oto_otlp_same(name->data, bytes + 2, name->size) || !oto_utf8_is_ascii(value + 4, rest))
        return 0;
    if (oto_dictionary_add_blind(s->values->dictionary, oto_bytes(value + 4, rest),
                                 &run->values[run->count]) < 0)
        return 0; // it will be again
    run->keys[run->count] = *guess;
    run->letters[run->count++] = 's';
    key->blind++;
    return 1;
}

enum oto_status oto_otlp_attribute(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                   struct oto_bytes message)
{
    struct run run = run_begin(d, s);
    if (!run_append(d, s, &run, message.data, message.size))
        return attribute_new(d, s, message);
    run_end(d, s, &run);
    return OTO_OK;
}

const uint8_t *oto_otlp_attributes(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                   const uint8_t *at, const uint8_t *end,
                                   enum oto_status *ret_status)
{
    const uint8_t *start = at;
    struct run run = run_begin(d, s);
    uint8_t tag = *at;
    *ret_status = OTO_OK;
    while (at != end && *at == tag) {
        struct oto_bytes message;
        const uint8_t *next = oto_otlp_bytes(at + 1, end, &message);
        if (!next) { // the caller meets it again, as the first
            at = at == start ? NULL : at;
            break;
        }
        at = next;
        if (run_append_blind(s, &run, message.data, message.size) ||
            run_append(d, s, &run, message.data, message.size))
            continue;
        run_end(d, s, &run);
        *ret_status = attribute_new(d, s, message);
        if (*ret_status < 0)
            return NULL;
        run = run_begin(d, s);
    }
    run_end(d, s, &run);
    return at;
}

enum oto_status oto_otlp_attributes_end(struct oto_otlp_decoder *d, struct oto_otlp_sink *s)
{
    OTO_TRY(oto_otlp_add_end(s->builder, s->map));
    return oto_otlp_add_text(d, s->builder, s->types, oto_value_types(&d->writer));
}

void oto_otlp_attributes_cancel(struct oto_otlp_sink *s)
{
    s->keys->length = s->start;
    s->values->length = s->start;
}

enum oto_status oto_otlp_attributes_all(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                        struct oto_bytes message, uint32_t wanted)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    oto_otlp_attributes_begin(d, s);
    for (;;) {
        uint32_t tag;
        struct oto_bytes attribute;
        enum oto_status status = oto_pb_tag(&c, &tag);
        if (status == OTO_END)
            return oto_otlp_attributes_end(d, s);
        if (status == OTO_OK && tag == wanted) {
            status = oto_pb_bytes(&c, &attribute);
            if (status == OTO_OK)
                OTO_TRY(oto_otlp_attribute(d, s, attribute));
        } else if (status == OTO_OK) {
            status = oto_pb_skip(&c, tag);
        }
        if (status < 0)
            return oto_otlp_fail(d, status, c.at, NULL, NO_INDEX);
    }
}

// --- promoted columns ---

// A value's code in the promoted column: looked up once, then known by the value's code in the map.
static enum oto_status promote_text(struct oto_otlp_decoder *d, struct oto_builder *b,
                                    struct oto_otlp_promoted *p)
{
    struct oto_column *c = p->column;
    uint32_t slot = p->value_code % OTO_OTLP_KNOWN;
    OTO_TRY(oto_column_reserve(b, c, 1));
    if (p->known[slot].value_code != p->value_code) {
        OTO_TRY(oto_otlp_code(d, c, p->text, &p->known[slot].code));
        p->known[slot].value_code = p->value_code;
    }
    oto_column_append_code(c, p->known[slot].code);
    return OTO_OK;
}

static enum oto_status promote_one(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                   struct oto_otlp_sink *s, struct oto_otlp_promoted *p,
                                   uint32_t resource_index)
{
    struct oto_column *c = p->column;
    int there = p->stamp == s->stamp;
    if (c->field->type == OTO_TYPE_INT64 && there && p->kind == OTO_OTLP_ANY_INT)
        return oto_otlp_add_i64(s->builder, c, p->number);
    if (c->field->type == OTO_TYPE_STRING && there && p->kind == OTO_OTLP_ANY_STRING)
        return promote_text(d, s->builder, p);
    if (p->configured >= 0) {
        struct oto_bytes text =
            t->configured[resource_index * t->configured_count + (uint32_t)p->configured];
        if (text.data)
            return oto_otlp_add_text(d, s->builder, c, text);
    }
    if (c->field->flags & OTO_FIELD_NULLABLE)
        return oto_otlp_add_null(s->builder, c);
    return oto_otlp_add_text(d, s->builder, c, (struct oto_bytes){NULL, 0});
}

// The nulls of sets before the present one.
static inline enum oto_status fill(struct oto_otlp_sink *s, struct oto_otlp_promoted *p)
{
    uint32_t count = s->sets - p->filled;
    p->filled = s->sets;
    if (count > 4)
        return oto_column_append_nulls(s->builder, p->column, count);
    for (; count; count--)
        OTO_TRY(oto_otlp_add_null(s->builder, p->column));
    return OTO_OK;
}

enum oto_status oto_otlp_promote(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                 struct oto_otlp_sink *s, uint32_t resource_index)
{
    for (uint32_t i = 0; s->eager_count && i < s->promoted_count; i++)
        if (s->promoted[i].column && !s->promoted[i].is_lazy)
            OTO_TRY(promote_one(d, t, s, &s->promoted[i], resource_index));
    for (uint32_t i = 0; i < s->touched_count; i++) {
        struct oto_otlp_promoted *p = &s->promoted[s->touched[i]];
        if (!p->is_lazy)
            continue;
        OTO_TRY(fill(s, p));
        OTO_TRY(promote_one(d, t, s, p, resource_index));
        p->filled = s->sets + 1;
    }
    s->sets++;
    return OTO_OK;
}

enum oto_status oto_otlp_promote_end(struct oto_otlp_sink *s)
{
    for (uint32_t i = 0; s->sets && i < s->promoted_count; i++) {
        struct oto_otlp_promoted *p = &s->promoted[i];
        if (p->is_lazy)
            OTO_TRY(fill(s, p));
        p->filled = 0;
    }
    s->sets = 0;
    return OTO_OK;
}

enum oto_status oto_otlp_keep_configured(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                         uint32_t resource_index)
{
    struct oto_otlp_sink *s = &t->sinks[OTO_OTLP_SINK_RESOURCE];
    uint32_t count = t->configured_count, needed = (resource_index + 1) * count;
    if (count == 0)
        return OTO_OK;
    if (needed > t->configured_capacity) {
        uint32_t capacity = 2 * needed;
        struct oto_bytes *list =
            oto_resize(d->allocator, t->configured, t->configured_capacity * sizeof *list,
                       capacity * sizeof *list);
        if (!list)
            return OTO_NO_MEMORY;
        t->configured = list;
        t->configured_capacity = capacity;
    }
    for (uint32_t i = 0; i < s->promoted_count; i++) {
        const struct oto_otlp_promoted *p = &s->promoted[i];
        int there = p->stamp == s->stamp && p->kind == OTO_OTLP_ANY_STRING;
        if (p->configured >= 0)
            t->configured[resource_index * count + (uint32_t)p->configured] =
                there ? p->text : (struct oto_bytes){NULL, 0};
    }
    return OTO_OK;
}
