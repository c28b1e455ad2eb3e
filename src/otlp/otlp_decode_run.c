// Attributes that follow each other, as all senders write them: the hot loop. A key is expected by
// the one before it and compared as a whole with its tags; then its value is one that it had
// before, found by its bytes, or a string or integer that is looked up, or, where values of this
// key do not repeat, appended without a look. Everything else is read the long way
// (otlp_decode_attributes.c).
#include "otlp/otlp_decode_internal.h"

#define FACTOR_LAST 0x9E3779B97F4A7C15u
#define FACTOR_FIRST 0xD1B54A32D192ED03u

// Of AnyValues of one member, by its tag; tags of arrays and lists, whose letters are several, are
// not there.
static const uint8_t letters_of_tags[0x40] = {
    [BYTES_TAG(1)] = 's', [VARINT_TAG(2)] = 'b', [VARINT_TAG(3)] = 'i', [FIXED64_TAG(4)] = 'd'};

// --- keys ---

// Equal bytes; two words at a time, the last of them overlapping. size >= 4.
static inline int same(const uint8_t *a, const uint8_t *b, size_t size)
{
    if (size < 8)
        return oto_load32(a) == oto_load32(b) &&
               oto_load32(a + size - 4) == oto_load32(b + size - 4);
    if (size < 16)
        return !((oto_load64(a) ^ oto_load64(b)) |
                 (oto_load64(a + size - 8) ^ oto_load64(b + size - 8)));
    size_t i = 0;
    do {
        if ((oto_load64(a + i) ^ oto_load64(b + i)) |
            (oto_load64(a + i + 8) ^ oto_load64(b + i + 8)))
            return 0;
        i += 16;
    } while (i + 16 < size);
    a += size - 16;
    b += size - 16;
    return !((oto_load64(a) ^ oto_load64(b)) | (oto_load64(a + 8) ^ oto_load64(b + 8)));
}

static inline uint64_t differ16(const uint8_t *a, const uint8_t *b)
{
    return (oto_load64(a) ^ oto_load64(b)) | (oto_load64(a + 8) ^ oto_load64(b + 8));
}

// 1 when the message begins with this key and has a value, eight bytes in all at least.
static inline int has_key(const uint8_t *bytes, size_t size, const struct oto_otlp_key *key)
{
    size_t prefix = key->prefix_size;
    const uint8_t *b = key->prefix;
    if (size < key->size_min)
        return 0;
    if (prefix - 16 <= 16)
        return !(differ16(bytes, b) | differ16(bytes + prefix - 16, b + prefix - 16));
    return same(bytes, b, prefix);
}

// A key that is not the one expected; its code or NO_CODE.
__attribute__((noinline)) static uint32_t key_find(const struct oto_otlp_decoder *d,
                                                   const struct oto_otlp_sink *s,
                                                   const uint8_t *bytes, size_t size)
{
    if (size < 8 || bytes[0] != BYTES_TAG(1) || bytes[1] > size - 2)
        return NO_CODE;
    uint64_t bits = oto_otlp_guess_bits(s->keys, oto_bytes(bytes + 2, bytes[1]));
    uint32_t code = d->guesses[bits >> (64 - OTO_OTLP_GUESS_BITS)].code;
    return code < s->key_count && has_key(bytes, size, &s->known[code]) ? code : NO_CODE;
}

// --- values ---

// An AnyValue of two bytes or more, in a message of at least eight that begins with a known key.
struct raw {
    const uint8_t *bytes;
    size_t size;   // 0: its size is not written as all senders do
    uint64_t last; // as in oto_otlp_value
    uint64_t first;
};

static inline struct raw raw_read(const uint8_t *bytes, size_t size, size_t prefix_size)
{
    const uint8_t *at = bytes + prefix_size, *end = bytes + size;
    struct raw r = {at + 1, size - prefix_size - 1, oto_load64(end - 8), 0};
    if (r.size <= 8) {
        r.last >>= (64 - 8 * r.size) & 63;
        r.size = at[0] == r.size ? r.size : 0;
    } else if (r.size <= 16) {
        r.first = oto_load64(r.bytes);
        r.size = at[0] == r.size ? r.size : 0;
    } else if (r.size <= 0x7F) {
        r.size = at[0] == r.size ? r.size : 0;
    } else {
        r.bytes++;
        r.size--;
        r.size = r.size >= 0x80 && at[0] == (uint8_t)(r.size | 0x80) && at[1] == r.size >> 7
                     ? r.size
                     : 0;
    }
    return r;
}

// The text of a string; data is NULL where it is none, or its size is not written so.
static inline struct oto_bytes raw_text(const struct raw *r)
{
    const uint8_t *at = r->bytes;
    size_t size = r->size - 2;
    if (at[0] != BYTES_TAG(1))
        return oto_bytes(NULL, 0);
    if (size <= 0x7F)
        return at[1] == size ? oto_bytes(at + 2, size) : oto_bytes(NULL, 0);
    size--;
    return size >= 0x80 && at[1] == (uint8_t)(size | 0x80) && at[2] == size >> 7
               ? oto_bytes(at + 3, size)
               : oto_bytes(NULL, 0);
}

// 1 for a short AnyValue that is one member and nothing else.
static int is_single(const struct raw *r)
{
    const uint8_t *end = r->bytes + r->size;
    if (r->bytes[0] == BYTES_TAG(1))
        return raw_text(r).data != NULL;
    if (r->bytes[0] == FIXED64_TAG(4))
        return r->size == 9;
    return oto_otlp_varint(r->bytes + 1, end).at == end;
}

static inline uint64_t value_id(const struct oto_otlp_key *key, size_t size)
{
    return (uint64_t)size << 32 | key->id;
}

// Both places where a value of up to 16 bytes may be kept.
static inline struct oto_otlp_value *values_short(struct oto_otlp_decoder *d,
                                                  const struct oto_otlp_key *key, uint64_t last,
                                                  uint64_t first)
{
    uint64_t hash = (last ^ key->salt) * FACTOR_LAST + first * FACTOR_FIRST;
    return &d->values[(hash >> (65 - OTO_OTLP_VALUE_BITS)) * 2];
}

static inline struct oto_otlp_value *values_long(struct oto_otlp_decoder *d,
                                                 const struct oto_otlp_key *key, uint64_t last,
                                                 struct oto_bytes text)
{
    uint64_t hash = last ^ key->salt;
    for (size_t i = 0; i + 8 < text.size; i += 8) {
        hash = (hash ^ oto_load64(text.data + i)) * FACTOR_FIRST;
        hash = hash << 31 | hash >> 33;
    }
    return &d->values[(hash * FACTOR_LAST >> (65 - OTO_OTLP_VALUE_BITS)) * 2];
}

static inline struct oto_otlp_value *find_short(struct oto_otlp_decoder *d,
                                                const struct oto_otlp_key *key, size_t size,
                                                uint64_t last, uint64_t first)
{
    uint64_t id = value_id(key, size);
    struct oto_otlp_value *v = values_short(d, key, last, first);
    if (v->last == last && v->id == id && v->first == first)
        return v;
    v++;
    return v->last == last && v->id == id && v->first == first ? v : NULL;
}

static inline int is_long(const struct oto_otlp_value *v, uint64_t id, uint64_t last,
                          struct oto_bytes text)
{
    return v->last == last && v->id == id && same(v->text, text.data, text.size);
}

// The value of a message that begins with the key. NULL: it did not come before, or too long ago.
__attribute__((noinline)) static struct oto_otlp_value *find_any(struct oto_otlp_decoder *d,
                                                                 const struct oto_otlp_key *key,
                                                                 const uint8_t *bytes, size_t size)
{
    struct raw r = raw_read(bytes, size, key->prefix_size);
    if (r.size < 2)
        return NULL;
    if (r.size <= 16)
        return find_short(d, key, r.size, r.last, r.first);
    struct oto_bytes text = raw_text(&r);
    if (!text.data)
        return NULL;
    uint64_t id = value_id(key, r.size);
    struct oto_otlp_value *v = values_long(d, key, r.last, text);
    if (is_long(v, id, r.last, text))
        return v;
    return is_long(++v, id, r.last, text) ? v : NULL;
}

void oto_otlp_value_keep(struct oto_otlp_decoder *d, const struct oto_otlp_sink *s,
                         struct oto_bytes message, uint32_t key_code, uint32_t value_code)
{
    const struct oto_otlp_key *key = key_code < s->key_count ? &s->known[key_code] : NULL;
    struct oto_bytes text = oto_bytes(NULL, 0);
    if (!key || !has_key(message.data, message.size, key))
        return;
    struct raw r = raw_read(message.data, message.size, key->prefix_size);
    if (r.size < 2 || r.size > UINT16_MAX || !letters_of_tags[r.bytes[0] & 0x3F])
        return;
    if (r.size > 16 && !(text = raw_text(&r)).data)
        return;
    if (r.size <= 16 && !is_single(&r))
        return;
    struct oto_otlp_value *v =
        r.size > 16 ? values_long(d, key, r.last, text) : values_short(d, key, r.last, r.first);
    v[1] = v[0];
    *v = (struct oto_otlp_value){.id = value_id(key, r.size), .last = r.last, .code = value_code};
    if (r.size <= 16)
        v->first = r.first;
    else
        v->text = s->values->dictionary->entries[value_code].data;
}

// --- what a value is appended as ---

struct found {
    uint32_t code;
    uint32_t letter; // 0: read it the long way, also for its failure
};

// The text of a string or a number, and the letter of that. 0: it is neither, or no usual one.
static inline uint8_t text_of(struct oto_otlp_decoder *d, const struct raw *r,
                              struct oto_bytes *ret_text)
{
    char *digits = d->writer.scalar;
    double real;
    if (r->bytes[0] == BYTES_TAG(1)) {
        *ret_text = raw_text(r);
        return ret_text->data ? 's' : 0;
    }
    if (r->bytes[0] == VARINT_TAG(3)) {
        struct oto_otlp_read number = oto_otlp_varint(r->bytes + 1, r->bytes + r->size);
        *ret_text = oto_bytes(digits, oto_text_from_i64((int64_t)number.value, digits));
        return number.at == r->bytes + r->size ? 'i' : 0;
    }
    if (r->bytes[0] != FIXED64_TAG(4) || r->size != 9)
        return 0;
    memcpy(&real, r->bytes + 1, sizeof real);
    *ret_text = oto_bytes(digits, oto_text_from_double(real, digits));
    return real - real == 0 ? 'd' : 0; // finite
}

// A value of a key whose values are taken for unique.
__attribute__((noinline)) static struct found found_blind(struct oto_otlp_decoder *d,
                                                          struct oto_dictionary *dictionary,
                                                          struct oto_otlp_key *key,
                                                          const uint8_t *bytes, size_t size)
{
    struct raw r = raw_read(bytes, size, key->prefix_size);
    struct found none = {0, 0}, found = none;
    struct oto_bytes text;
    if (r.size < 2 || !(found.letter = text_of(d, &r, &text)))
        return none;
    if (!oto_dictionary_add_ascii(dictionary, text, &found.code) &&
        oto_otlp_code_blind(d, dictionary, text, &found.code) < 0)
        return none;
    key->news.blind++;
    return found;
}

// Keeps the value for its promoted column. 0 when out of memory.
static int note_promoted(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                         const struct oto_otlp_key *key, const uint8_t *value, const uint8_t *end,
                         uint32_t code, uint32_t *known)
{
    struct oto_otlp_any any = {.kind = OTO_OTLP_ANY_STRING};
    if (value[0] == VARINT_TAG(3)) {
        any.kind = OTO_OTLP_ANY_INT;
        any.number = oto_otlp_varint(value + 1, end).value;
    } else if (value[0] != BYTES_TAG(1)) {
        any.kind = OTO_OTLP_ANY_DOUBLE; // or of another kind that no column has
    }
    return oto_otlp_note_promoted(d, s, key->promoted - 1, &any, code, known) == OTO_OK;
}

// One that did not come before, or too long ago.
__attribute__((noinline)) static struct found found_new(struct oto_otlp_decoder *d,
                                                        struct oto_otlp_sink *s,
                                                        struct oto_otlp_key *key,
                                                        const uint8_t *bytes, size_t size)
{
    struct raw r = raw_read(bytes, size, key->prefix_size);
    uint32_t count = s->values->dictionary->count;
    uint64_t repaired = d->result.utf8_repaired;
    struct found none = {0, 0}, found = none;
    struct oto_bytes text;
    if (r.size < 2 || !(found.letter = text_of(d, &r, &text)) ||
        oto_otlp_value_code(d, s, text, key, &found.code) < 0)
        return none;
    if (s->values->dictionary->count == count && d->result.utf8_repaired == repaired)
        oto_otlp_value_keep(d, s, oto_bytes(bytes, size), (uint32_t)(key - s->known), found.code);
    if (key->promoted && !note_promoted(d, s, key, r.bytes, r.bytes + r.size, found.code, NULL))
        return none;
    return found;
}

// One that did come before, of a key that is promoted or was thought to have unique values.
__attribute__((noinline)) static struct found
found_special(struct oto_otlp_decoder *d, struct oto_otlp_sink *s, struct oto_otlp_key *key,
              const uint8_t *value, const uint8_t *end, struct oto_otlp_value *v)
{
    if (key->news.fresh)
        oto_otlp_looked_up(&key->news, 0);
    if (key->promoted && !note_promoted(d, s, key, value, end, v->code, &v->promoted))
        return (struct found){0, 0};
    return (struct found){v->code, letters_of_tags[value[0] & 0x3F]};
}

// The value of a message that begins with the key.
static inline struct found found_value(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                       struct oto_otlp_key *key, const uint8_t *bytes, size_t size)
{
    const uint8_t *value = bytes + key->prefix_size, *end = bytes + size;
    size_t value_size = size - key->prefix_size - 1;
    struct oto_otlp_value *v;
    if (oto_otlp_is_blind(&key->news) && !key->promoted)
        return found_blind(d, s->values->dictionary, key, bytes, size);
    if (value_size - 2 > 14 || value[0] != value_size)
        v = find_any(d, key, bytes, size);
    else if (value_size > 8)
        v = find_short(d, key, value_size, oto_load64(end - 8), oto_load64(value + 1));
    else
        v = find_short(d, key, value_size, oto_load64(end - 8) >> (64 - 8 * value_size), 0);
    if (!v)
        return found_new(d, s, key, bytes, size);
    value += 1 + (value[0] >= 0x80);
    if (key->promoted | key->news.fresh)
        return found_special(d, s, key, value, end, v);
    return (struct found){v->code, letters_of_tags[value[0] & 0x3F]};
}

// --- sets ---

// So many KeyValues can be appended without a look at the room.
static inline uint32_t room_of(const struct oto_otlp_decoder *d, const struct oto_otlp_sink *s)
{
    const struct oto_column *keys = s->keys, *values = s->values;
    const struct oto_buffer *types = &d->writer.types;
    uint32_t room = keys->capacity - keys->length;
    if (values->capacity - values->length < room)
        room = values->capacity - values->length;
    return types->capacity - types->size < room ? (uint32_t)(types->capacity - types->size) : room;
}

// Appends KeyValues from `at` on, as many as there is room for and as go so. Returns where it
// stopped: at the end, another tag, or a KeyValue to be read the long way.
__attribute__((noinline)) static const uint8_t *append_run(struct oto_otlp_decoder *d,
                                                           struct oto_otlp_sink *s,
                                                           const uint8_t *at, const uint8_t *end)
{
    struct oto_column *key_column = s->keys, *value_column = s->values;
    uint32_t *keys = (uint32_t *)key_column->values + key_column->length;
    uint32_t *values = (uint32_t *)value_column->values + value_column->length;
    uint8_t *letters = d->writer.types.data + d->writer.types.size;
    struct oto_otlp_key *known = s->known;
    uint32_t count = 0, room = room_of(d, s);
    uint32_t *guess = &s->first_key;
    uint8_t tag = *at;
    if (!room || !known)
        return at;
    if (key_column->length > s->start) {
        if (keys[-1] >= s->key_count)
            return at;
        guess = &known[keys[-1]].next;
    }
    while (count < room && end - at >= 3 && at[0] == tag) {
        const uint8_t *bytes = at + 2;
        size_t size = at[1];
        if (size >= 0x80) {
            size = (size & 0x7F) | (size_t)at[2] << 7;
            if (at[2] >= 0x80)
                break;
            bytes++;
        }
        if (size > (size_t)(end - bytes))
            break;
        uint32_t code = *guess;
        if (!has_key(bytes, size, &known[code])) {
            code = key_find(d, s, bytes, size);
            if (code == NO_CODE)
                break;
            *guess = code;
        }
        struct oto_otlp_key *key = &known[code];
        struct found found = found_value(d, s, key, bytes, size);
        if (!found.letter)
            break;
        keys[count] = code;
        values[count] = found.code;
        letters[count++] = (uint8_t)found.letter;
        guess = &key->next;
        at = bytes + size;
    }
    key_column->length += count;
    value_column->length += count;
    d->writer.types.size += count;
    return at;
}

const uint8_t *oto_otlp_attributes(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                   const uint8_t *at, const uint8_t *end,
                                   enum oto_status *ret_status)
{
    const uint8_t *start = at;
    uint8_t tag = *at;
    *ret_status = OTO_OK;
    for (;;) {
        struct oto_bytes message;
        at = append_run(d, s, at, end);
        if (at == end || *at != tag)
            return at;
        const uint8_t *next = oto_otlp_bytes(at + 1, end, &message);
        if (!next) // the caller meets it again, as the first
            return at == start ? NULL : at;
        *ret_status = oto_otlp_attribute(d, s, message);
        if (*ret_status < 0)
            return NULL;
        at = next;
        if (at == end || *at != tag)
            return at;
    }
}
