// Sets of attributes into map columns: keys and values become dictionary codes. A key is guessed by
// the one before it, then as all strings are: by a few of its bits. Values that came before are
// otlp_decode_run.c's, what comes for the first time comes here.
#include "otlp/otlp_decode_internal.h"

#define FIELD_ID_CONFIGURED 10000
#define LAID 64u // nulls that are laid at once

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
    p->column = c->field->level == level ? c : NULL;
    if (c->field->id >= FIELD_ID_CONFIGURED)
        p->configured = (int32_t)t->configured_count++;
    // A configured one may have its resource's value instead.
    p->is_lazy = p->column && p->configured < 0 && (c->field->flags & OTO_FIELD_NULLABLE);
    s->eager_count += p->column && !p->is_lazy;
    if (p->column && c->field->type == OTO_TYPE_STRING)
        p->takes = OTO_OTLP_ANY_STRING;
    if (p->column && c->field->type == OTO_TYPE_INT64)
        p->takes = OTO_OTLP_ANY_INT;
}

// Of attributes of records, those of metrics' series are asked for at once: they are identities.
static int is_metrics(const struct oto_otlp_decoder *d, const struct oto_otlp_table *t)
{
    return t != &d->tables[OTO_TABLE_LOGS] && t != &d->tables[OTO_TABLE_TRACES];
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
                                .owner = ++d->sink_count << (16 + OTO_OTLP_EPOCH_BITS),
                                .is_patient = name >= OTO_OTLP_SINK_RECORD && !is_metrics(d, t)};
    if (name != OTO_OTLP_SINK_RESOURCE && name != OTO_OTLP_SINK_RECORD)
        return OTO_OK;
    struct oto_column *columns = t->builder->columns;
    for (uint32_t i = 0; i < t->builder->schema->field_count; i++)
        count += (uint32_t)is_promoted_here(&columns[i], name, level);
    s->promoted = oto_alloc(d->allocator, (count + 1) * sizeof *s->promoted);
    if (!s->promoted)
        return OTO_NO_MEMORY;
    s->promoted_capacity = count + 1;
    t->configured_count = 0; // both sinks meet the same columns in the same order
    for (uint32_t i = 0; i < t->builder->schema->field_count; i++)
        if (is_promoted_here(&columns[i], name, level))
            add_promoted(t, s, &columns[i], level);
    return OTO_OK;
}

void oto_otlp_sink_release(struct oto_otlp_decoder *d, struct oto_otlp_sink *s)
{
    oto_free(d->allocator, s->known, s->key_capacity * sizeof *s->known);
    oto_free(d->allocator, s->promoted, s->promoted_capacity * sizeof *s->promoted);
}

static void key_own(const struct oto_otlp_sink *s, uint32_t code)
{
    s->known[code].id = s->owner | code;
    s->known[code].salt = s->known[code].id * 0xA24BAED4963EE407u;
}

// Gives the sink a new epoch. When it has had all of them, those of old are wiped out.
static void forget_values(struct oto_otlp_decoder *d, struct oto_otlp_sink *s)
{
    const uint32_t one = 1u << 16, mask = ((1u << OTO_OTLP_EPOCH_BITS) - 1) << 16;
    s->owner = (s->owner & ~mask) | ((s->owner + one) & mask);
    if (!(s->owner & mask))
        memset(d->values, 0, OTO_OTLP_VALUES * sizeof *d->values);
    for (uint32_t code = 0; code < s->key_count; code++)
        key_own(s, code);
}

void oto_otlp_sink_rolled_back(struct oto_otlp_decoder *d, struct oto_otlp_sink *s)
{
    if (!s->map)
        return;
    while (s->key_count > s->keys->dictionary->count) // which others may name as their next
        s->known[--s->key_count].size_min = OTO_OTLP_SIZE_NONE;
    forget_values(d, s);
    s->sets = 0;
    for (uint32_t i = 0; i < s->promoted_count; i++)
        s->promoted[i].filled = s->promoted[i].laid = s->promoted[i].put = 0;
}

// --- keys ---

static uint32_t promoted_of(const struct oto_otlp_sink *s, struct oto_bytes key)
{
    for (uint32_t i = 0; i < s->promoted_count; i++)
        if (oto_bytes_equal(s->promoted[i].key, key))
            return i + 1;
    return 0;
}

static struct oto_otlp_key key_new(const struct oto_otlp_sink *s, struct oto_bytes text)
{
    struct oto_otlp_key key = {.promoted = promoted_of(s, text), .size_min = OTO_OTLP_SIZE_NONE};
    if (text.size == 0 || text.size > OTO_OTLP_PREFIX_MAX - 3)
        return key;
    key.prefix[0] = BYTES_TAG(1);
    key.prefix[1] = (uint8_t)text.size;
    memcpy(key.prefix + 2, text.data, text.size);
    key.prefix[2 + text.size] = BYTES_TAG(2);
    key.prefix_size = (uint32_t)text.size + 3;
    key.size_min = key.prefix_size < 5 ? 8 : key.prefix_size + 3;
    return key;
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
    for (; s->key_count <= code; s->key_count++) {
        s->known[s->key_count] = key_new(s, dictionary->entries[s->key_count]);
        key_own(s, s->key_count);
    }
    return OTO_OK;
}

// Where the key at `index` of the map's keys is guessed: by the one before it. NULL: nowhere.
static inline uint16_t *next_key(struct oto_otlp_sink *s, const uint32_t *codes, uint32_t index)
{
    if (index == s->start)
        return &s->first_keys[s->context];
    return codes[index - 1] < s->key_count ? &s->known[codes[index - 1]].next[s->context] : NULL;
}

// Makes code the guess for the key at `index`. It is remembered first: that moves the guesses, and
// what is guessed is looked at without a check.
static enum oto_status guess_key(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                 const uint32_t *codes, uint32_t index, uint32_t code)
{
    if (code >= s->key_count)
        OTO_TRY(remember_keys(d, s, code));
    uint16_t *guess = next_key(s, codes, index);
    if (guess)
        *guess = (uint16_t)code;
    return OTO_OK;
}

static inline enum oto_status add_key(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                      struct oto_bytes text, uint32_t *ret_code)
{
    struct oto_column *keys = s->keys;
    OTO_TRY(oto_column_reserve(s->builder, keys, 1));
    uint32_t *codes = keys->values;
    uint16_t *guess = next_key(s, codes, keys->length);
    uint32_t code = guess ? *guess : NO_CODE;
    if (!oto_otlp_is_code(keys->dictionary, code, text)) {
        OTO_TRY(oto_otlp_code(d, keys, text, &code));
        if (code < OTO_OTLP_KEYS_MAX)
            OTO_TRY(guess_key(d, s, codes, keys->length, code));
    }
    codes[keys->length++] = code;
    s->context = (uint32_t)oto_otlp_next_context(s->context, code);
    *ret_code = code;
    return code >= s->key_count && code < OTO_OTLP_KEYS_MAX ? remember_keys(d, s, code) : OTO_OK;
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

// A few nulls of a column of texts that has room for them. 0: it is none, or has none.
static int put_null_texts(struct oto_column *c, uint32_t count)
{
    uint32_t *codes = c->values, end = c->length + count;
    if (!c->validity || !c->dictionary || !c->dictionary->count || c->capacity - c->length < count)
        return 0;
    for (uint32_t i = c->length; i < end; i++) {
        codes[i] = 0;
        c->validity[i >> 3] &= (uint8_t) ~(1u << (i & 7));
    }
    c->length = end;
    c->null_count += count;
    return 1;
}

// Appends those of the nulls laid, and of the values among them, that are of sets that have ended.
static void append_laid(const struct oto_otlp_sink *s, struct oto_otlp_promoted *p)
{
    uint32_t end = p->laid < s->sets ? p->laid : s->sets;
    if (end <= p->filled)
        return;
    p->column->length += end - p->filled;
    p->column->null_count += end - p->filled - p->put;
    p->put = 0;
    p->filled = end;
}

// Makes a null of a value again that is `behind` the last entry, where one was laid.
__attribute__((no_sanitize("thread"))) static void take_back(struct oto_column *c, uint32_t behind,
                                                             uint32_t *put)
{
    uint32_t index = c->length + behind;
    if (!oto_column_valid(c, index))
        return;
    c->validity[index >> 3] &= (uint8_t) ~(1u << (index & 7));
    memset((uint8_t *)c->values + index * oto_field_width(c->field), 0, oto_field_width(c->field));
    (*put)--;
}

void oto_otlp_lift_promoted(struct oto_otlp_sink *s)
{
    if (!s->has_laid)
        return;
    s->has_laid = 0;
    for (uint32_t i = 0; i < s->promoted_count; i++) {
        struct oto_otlp_promoted *p = &s->promoted[i];
        if (!p->laid)
            continue;
        if (p->laid > s->sets)
            take_back(p->column, s->sets - p->filled, &p->put);
        append_laid(s, p);
        if (p->laid > p->filled)
            oto_column_lift_nulls(p->column, p->laid - p->filled);
        p->laid = 0;
    }
}

enum oto_status oto_otlp_lay_promoted(struct oto_otlp_sink *s, struct oto_otlp_promoted *p)
{
    struct oto_column *c = p->column;
    OTO_TRY(oto_otlp_fill_promoted(s, p));
    if (c->level || !c->validity || c->window || (c->dictionary && !c->dictionary->count))
        return OTO_OK;
    OTO_TRY(oto_column_reserve(s->builder, c, LAID));
    oto_column_lay_nulls(c, LAID);
    p->laid = s->sets + LAID;
    s->has_laid = 1;
    return OTO_OK;
}

enum oto_status oto_otlp_fill_promoted(struct oto_otlp_sink *s, struct oto_otlp_promoted *p)
{
    append_laid(s, p);
    uint32_t count = s->sets - p->filled;
    p->filled = s->sets;
    if (count <= 16 && put_null_texts(p->column, count))
        return OTO_OK;
    if (count > 4)
        return oto_column_append_nulls(s->builder, p->column, count);
    for (; count; count--)
        OTO_TRY(oto_otlp_add_null(s->builder, p->column));
    return OTO_OK;
}

enum oto_status oto_otlp_append_lazy(struct oto_otlp_sink *s, struct oto_otlp_promoted *p,
                                     uint32_t *ret_index)
{
    struct oto_column *c = p->column;
    if (s->sets >= p->laid && p->filled != s->sets)
        OTO_TRY(oto_otlp_lay_promoted(s, p));
    if (s->sets < p->laid) {
        *ret_index = oto_otlp_put_laid(s, p);
    } else {
        OTO_TRY(oto_column_reserve(s->builder, c, 1));
        *ret_index = c->length++;
        p->filled = s->sets + 1;
    }
    if (p->takes == OTO_OTLP_ANY_INT)
        ((int64_t *)c->values)[*ret_index] = p->number;
    else
        ((uint32_t *)c->values)[*ret_index] = p->column_code;
    return OTO_OK;
}

enum oto_status oto_otlp_note_promoted(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                       uint32_t index, const struct oto_otlp_any *any,
                                       uint32_t code, uint32_t *known)
{
    struct oto_otlp_promoted *p = &s->promoted[index];
    if (p->stamp == s->stamp) // of a key given twice the first counts
        return OTO_OK;
    if (any->kind == OTO_OTLP_ANY_STRING && p->takes == OTO_OTLP_ANY_STRING) {
        uint32_t column_code = known ? *known - 1 : NO_CODE;
        if (column_code == NO_CODE)
            OTO_TRY(
                oto_otlp_code(d, p->column, s->values->dictionary->entries[code], &column_code));
        if (known)
            *known = column_code + 1;
        p->column_code = column_code;
    }
    if (any->kind == OTO_OTLP_ANY_INT && p->takes == OTO_OTLP_ANY_INT && known)
        *known = 1;
    p->stamp = s->stamp;
    p->kind = any->kind;
    p->value_code = code;
    p->number = (int64_t)any->number;
    uint32_t at;
    return p->is_lazy && p->kind == p->takes ? oto_otlp_append_lazy(s, p, &at) : OTO_OK;
}

static inline uint32_t key_promoted(const struct oto_otlp_sink *s, uint32_t key_code)
{
    if (key_code < s->key_count)
        return s->known[key_code].promoted;
    return promoted_of(s, s->keys->dictionary->entries[key_code]);
}

// A key whose values were nearly all new for long is not looked up any more, but for a sample: in a
// dictionary of unique values that would be some misses of the cache for each, for nothing.
enum oto_status oto_otlp_value_code(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                    struct oto_bytes text, struct oto_otlp_key *key,
                                    uint32_t *ret_code)
{
    struct oto_dictionary *dictionary = s->values->dictionary;
    if (key && oto_otlp_is_blind(&key->news)) {
        key->news.blind++;
        return oto_otlp_code_blind(d, dictionary, text, ret_code);
    }
    uint32_t count = dictionary->count;
    if (dictionary->plain)
        OTO_TRY(oto_otlp_code(d, s->values, text, ret_code));
    else
        OTO_TRY(oto_otlp_code_lookup(d, dictionary, text, ret_code));
    if (key)
        oto_otlp_looked_up(&key->news, dictionary->count != count);
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
    struct oto_otlp_key *key = key_code < s->key_count ? &s->known[key_code] : NULL;
    OTO_TRY(oto_otlp_value_code(d, s, text, key, &code));
    oto_column_append_code(values, code);
    uint32_t promoted = key_promoted(s, key_code);
    *ret_code = code;
    return promoted ? oto_otlp_note_promoted(d, s, promoted - 1, any, code, NULL) : OTO_OK;
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

// Only a value seen for the second time is kept: most that are not are never seen again. Fields of
// its own that were merged are in columns by the end.
enum oto_status oto_otlp_attribute(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                   struct oto_bytes message)
{
    struct oto_arena_mark mark = {.used_bytes = d->arena.used_bytes};
    struct oto_pb_cursor c = oto_pb_cursor(message);
    uint32_t slot = s->keys->length - s->start, count = s->values->dictionary->count;
    uint32_t key_code = 0, value_code = 0;
    uint64_t repaired = d->result.utf8_repaired;
    size_t letters = d->writer.types.size;
    struct oto_otlp_any any = {.kind = OTO_OTLP_ANY_ABSENT};
    struct oto_bytes key;
    enum oto_status status = OTO_OK;
    if (!pair_read(message, &key, &any)) {
        mark = oto_arena_mark(&d->arena);
        status = oto_otlp_key_value_read(d, &c, &key, &any);
    }
    if (status == OTO_OK)
        status = add_key(d, s, key, &key_code);
    if (status == OTO_OK)
        status = add_value(d, s, &any, key_code, &value_code);
    if (status < 0)
        return oto_otlp_fail(d, status, c.at, "attributes", slot);
    if (s->values->dictionary->count == count && any.kind >= OTO_OTLP_ANY_STRING &&
        any.kind <= OTO_OTLP_ANY_DOUBLE && d->result.utf8_repaired == repaired &&
        d->writer.types.size == letters + 1)
        oto_otlp_value_keep(d, s, message, key_code, value_code);
    if (d->arena.used_bytes != mark.used_bytes)
        oto_arena_rollback(&d->arena, &mark);
    return OTO_OK;
}

enum oto_status oto_otlp_attributes_end(struct oto_otlp_decoder *d, struct oto_otlp_sink *s)
{
    struct oto_bytes types = oto_value_types(&d->writer);
    struct oto_column *c = s->types;
    uint32_t *guess = &s->last_types[s->context];
    OTO_TRY(oto_otlp_add_end(s->builder, s->map));
    OTO_TRY(oto_column_reserve(s->builder, c, 1));
    if (!oto_otlp_is_code(c->dictionary, *guess, types))
        OTO_TRY(oto_otlp_code(d, c, types, guess));
    oto_column_append_code(c, *guess);
    return OTO_OK;
}

void oto_otlp_attributes_cancel(struct oto_otlp_decoder *d, struct oto_otlp_sink *s)
{
    oto_otlp_later_cancel(d, s);
    s->keys->length = s->start;
    s->values->length = s->start;
    for (uint32_t i = 0; i < s->promoted_count; i++) {
        struct oto_otlp_promoted *p = &s->promoted[i];
        if (p->is_lazy && p->filled > s->sets) {
            p->column->length--;
            p->filled--;
        } else if (p->is_lazy && p->laid > s->sets) {
            take_back(p->column, s->sets - p->filled, &p->put);
        }
    }
}

enum oto_status oto_otlp_attributes_all(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                        struct oto_bytes message, uint32_t wanted)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    oto_otlp_attributes_begin(d, s);
    for (;;) {
        uint32_t tag;
        const uint8_t *start = c.at;
        enum oto_status status = oto_pb_tag(&c, &tag);
        if (status == OTO_END)
            return oto_otlp_attributes_end(d, s);
        if (status == OTO_OK && tag == wanted && *start == wanted) {
            const uint8_t *next = oto_otlp_attributes(d, s, start, c.end, &status);
            if (status < 0)
                return oto_otlp_fail(d, status, start, NULL, NO_INDEX);
            status = next ? OTO_OK : OTO_INVALID;
            c.at = next ? next : c.at;
        } else if (status == OTO_OK && tag == wanted) { // its tag is longer than it need be
            struct oto_bytes attribute;
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

static inline enum oto_status add_code(struct oto_builder *b, struct oto_column *c, uint32_t code)
{
    OTO_TRY(oto_column_reserve(b, c, 1));
    oto_column_append_code(c, code);
    return OTO_OK;
}

static enum oto_status promote_one(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                   struct oto_otlp_sink *s, struct oto_otlp_promoted *p,
                                   uint32_t resource_index)
{
    struct oto_column *c = p->column;
    if (p->stamp == s->stamp && p->kind == p->takes)
        return p->takes == OTO_OTLP_ANY_INT ? oto_otlp_add_i64(s->builder, c, p->number)
                                            : add_code(s->builder, c, p->column_code);
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

enum oto_status oto_otlp_promote_eager(struct oto_otlp_decoder *d, struct oto_otlp_table *t,
                                       struct oto_otlp_sink *s, uint32_t resource_index)
{
    for (uint32_t i = 0; i < s->promoted_count; i++)
        if (s->promoted[i].column && !s->promoted[i].is_lazy)
            OTO_TRY(promote_one(d, t, s, &s->promoted[i], resource_index));
    return OTO_OK;
}

enum oto_status oto_otlp_promote_end(struct oto_otlp_sink *s)
{
    oto_otlp_lift_promoted(s);
    for (uint32_t i = 0; i < s->promoted_count; i++) {
        struct oto_otlp_promoted *p = &s->promoted[i];
        if (p->is_lazy)
            OTO_TRY(oto_otlp_fill_promoted(s, p));
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
                there ? s->values->dictionary->entries[p->value_code] : (struct oto_bytes){NULL, 0};
    }
    return OTO_OK;
}
