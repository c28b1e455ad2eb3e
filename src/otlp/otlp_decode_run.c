// Attributes that follow each other, as all senders write them: the hot loop. A key is expected by
// the one before it and compared as a whole with its tags; then its value is one that it had
// before, found by its bytes, or a string or integer that is looked up, or, where values of this
// key do not repeat, appended without a look. Everything else is read the long way
// (otlp_decode_attributes.c).
#include "base/processor.h"
#include "columns/dictionary_append.h"
#include "otlp/otlp_decode_internal.h"

#define FACTOR_LAST 0x9E3779B97F4A7C15u
#define FACTOR_FIRST 0xD1B54A32D192ED03u

// Of AnyValues of one member, by its tag; tags of arrays and lists, whose letters are several, are
// not there.
static const uint8_t letters_of_tags[0x100] = {
    [BYTES_TAG(1)] = 's', [VARINT_TAG(2)] = 'b', [VARINT_TAG(3)] = 'i', [FIXED64_TAG(4)] = 'd'};

// --- what a value is appended as ---

// A code, and above it two bits for the letter of the value's type. Codes stay below 2^27
// (columns/dictionary.c). NOT_FOUND: read the value the long way, also for its failure.
typedef uint32_t found_value;
#define NOT_FOUND UINT32_MAX
#define FOUND_CODE 0x3FFFFFFFu
#define FOUND_LETTER 30

static inline found_value found(uint32_t code, uint8_t letter)
{
    return (uint32_t)letter << FOUND_LETTER | code;
}

static const uint8_t letters_found[4] = {
    ['d' & 3] = 'd', ['i' & 3] = 'i', ['b' & 3] = 'b', ['s' & 3] = 's'};

// --- comparing ---

static inline int same16(const uint8_t *a, const uint8_t *b)
{
#if defined(OTO_SSE2)
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)a),
            y = _mm_loadu_si128((const __m128i *)(const void *)b);
    return _mm_movemask_epi8(_mm_cmpeq_epi8(x, y)) == 0xFFFF;
#else
    return !((oto_load64(a) ^ oto_load64(b)) | (oto_load64(a + 8) ^ oto_load64(b + 8)));
#endif
}

// 0 when the first and the last 16 bytes are equal, which may overlap. size >= 16.
static inline uint64_t differ32(const uint8_t *a, const uint8_t *b, size_t size)
{
#if defined(OTO_SSE2)
    __m128i x = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)a),
                               _mm_loadu_si128((const __m128i *)(const void *)b)),
            y = _mm_cmpeq_epi8(_mm_loadu_si128((const __m128i *)(const void *)(a + size - 16)),
                               _mm_loadu_si128((const __m128i *)(const void *)(b + size - 16)));
    return (uint32_t)_mm_movemask_epi8(_mm_and_si128(x, y)) ^ 0xFFFFu;
#else
    return !(same16(a, b) && same16(a + size - 16, b + size - 16));
#endif
}

// Equal bytes; the last 4, 8 or 16 of them overlapping. size >= 4.
static inline int same(const uint8_t *a, const uint8_t *b, size_t size)
{
    if (size < 8)
        return oto_load32(a) == oto_load32(b) &&
               oto_load32(a + size - 4) == oto_load32(b + size - 4);
    if (size < 16)
        return !((oto_load64(a) ^ oto_load64(b)) |
                 (oto_load64(a + size - 8) ^ oto_load64(b + size - 8)));
    for (size_t i = 0; i + 16 < size; i += 16)
        if (!same16(a + i, b + i))
            return 0;
    return same16(a + size - 16, b + size - 16);
}

__attribute__((noinline)) static int same_any(const uint8_t *a, const uint8_t *b, size_t size)
{
    return same(a, b, size);
}

// --- keys ---

// 0 when the message begins with this key and has a value, eight bytes in all at least.
static inline uint64_t differs(const uint8_t *bytes, size_t size, const struct oto_otlp_key *key)
{
    size_t prefix = key->prefix_size;
    if ((uint32_t)size < key->size_min)
        return 1;
    if (prefix - 16 <= 16)
        return differ32(bytes, key->prefix, prefix);
    if (prefix - 8 <= 8)
        return (oto_load64(bytes) ^ oto_load64(key->prefix)) |
               (oto_load64(bytes + prefix - 8) ^ oto_load64(key->prefix + prefix - 8));
    return !same_any(bytes, key->prefix, prefix);
}

static inline int has_key(const uint8_t *bytes, size_t size, const struct oto_otlp_key *key)
{
    return !differs(bytes, size, key);
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

// A KeyValue that begins with a known key: from the size of its AnyValue, which is `size`, to the
// end. It has eight bytes at least before `end`.
struct raw {
    const uint8_t *at;
    const uint8_t *end;
    size_t size;
};

static inline struct raw raw_of(const uint8_t *bytes, size_t size, const struct oto_otlp_key *key)
{
    const uint8_t *at = bytes + key->prefix_size, *end = bytes + size;
    return (struct raw){at, end, (size_t)(end - at) - 1};
}

// Up to 15 bytes of an AnyValue, and before them what is the same for all of that key and size.
struct words {
    uint64_t first;
    uint64_t last;
};

// The byte before an AnyValue is compared with it where it has no more than these: one that came
// before need not be checked again.
#define SHORT_MAX 15u

static inline int is_short(const struct raw *r)
{
    return r->size <= SHORT_MAX;
}

static inline struct words words_of(const struct raw *r, const uint8_t *bytes)
{
    const uint8_t *first = r->end - bytes < 16 ? bytes : r->end - 16;
    return (struct words){oto_load64(first), oto_load64(r->end - 8)};
}

// Where the text of an AnyValue is that is one string, its sizes written as all senders do. NULL:
// it is none.
static inline const uint8_t *text_at(const struct raw *r)
{
    const uint8_t *at = r->at;
    size_t size = r->size;
    if (size <= 0x7F)
        return size >= 2 && at[0] == size && at[1] == BYTES_TAG(1) && at[2] == size - 2 ? at + 3
                                                                                        : NULL;
    size--;
    if (size < 0x80 || at[0] != (uint8_t)(size | 0x80) || at[1] != size >> 7 ||
        at[2] != BYTES_TAG(1))
        return NULL;
    size -= 2;
    if (size <= 0x7F)
        return at[3] == size ? at + 4 : NULL;
    size--;
    return size >= 0x80 && at[3] == (uint8_t)(size | 0x80) && at[4] == size >> 7 ? at + 5 : NULL;
}

// 1 for a short AnyValue that is one member and nothing else.
static int is_single(const struct raw *r)
{
    if (r->at[1] == BYTES_TAG(1))
        return text_at(r) != NULL;
    if (r->at[1] == FIXED64_TAG(4))
        return r->size == 9;
    return oto_otlp_varint(r->at + 2, r->end).at == r->end;
}

static inline uint64_t value_id(const struct oto_otlp_key *key, size_t size)
{
    return (uint64_t)size << 32 | key->id;
}

// Both places where a short value may be kept.
static inline struct oto_otlp_value *values_short(struct oto_otlp_decoder *d,
                                                  const struct oto_otlp_key *key, struct words w)
{
    uint64_t hash = (w.last ^ key->salt) * FACTOR_LAST + w.first * FACTOR_FIRST;
    return &d->values[(hash >> (65 - OTO_OTLP_VALUE_BITS)) * 2];
}

// The same for a text, of 14 bytes or more. Two sums, so that one need not wait for the other.
static inline struct oto_otlp_value *values_long(struct oto_otlp_decoder *d,
                                                 const struct oto_otlp_key *key,
                                                 const uint8_t *text, const uint8_t *end)
{
    uint64_t a = oto_load64(end - 8) ^ key->salt, b = (uint64_t)(end - text);
    const uint8_t *at = text;
    for (; end - at > 16; at += 16) {
        a = (a ^ oto_load64(at)) * FACTOR_FIRST;
        b = (b ^ oto_load64(at + 8)) * FACTOR_LAST;
    }
    a ^= end - at > 8 ? oto_load64(at) : oto_load64(end - 8);
    a = a * FACTOR_LAST + (b ^ b >> 32) * FACTOR_FIRST;
    return &d->values[((a ^ a << 24) >> (65 - OTO_OTLP_VALUE_BITS)) * 2];
}

static inline struct oto_otlp_value *
find_short(struct oto_otlp_decoder *d, const struct oto_otlp_key *key, size_t size, struct words w)
{
    uint64_t id = value_id(key, size);
    struct oto_otlp_value *v = values_short(d, key, w);
    if (v->last == w.last && v->id == id && v->first == w.first)
        return v;
    v++;
    return v->last == w.last && v->id == id && v->first == w.first ? v : NULL;
}

static inline int is_long(const struct oto_otlp_value *v, uint64_t id, const uint8_t *text,
                          size_t size)
{
    return v->last == oto_load64(text + size - 8) && v->id == id && same(v->text, text, size);
}

static inline struct oto_otlp_value *find_long(struct oto_otlp_decoder *d,
                                               const struct oto_otlp_key *key, const struct raw *r,
                                               const uint8_t *text)
{
    uint64_t id = value_id(key, r->size);
    struct oto_otlp_value *v = values_long(d, key, text, r->end);
    size_t size = (size_t)(r->end - text);
    if (is_long(v, id, text, size))
        return v;
    return is_long(++v, id, text, size) ? v : NULL;
}

// What is new takes the second place, but for one of so many: then the first has what comes often,
// and loses what comes no more.
#define KEPT_IN_FRONT 64u

void oto_otlp_value_keep(struct oto_otlp_decoder *d, const struct oto_otlp_sink *s,
                         struct oto_bytes message, uint32_t key_code, uint32_t value_code)
{
    const struct oto_otlp_key *key = key_code < s->key_count ? &s->known[key_code] : NULL;
    const uint8_t *text = NULL;
    if (!key || !has_key(message.data, message.size, key))
        return;
    struct raw r = raw_of(message.data, message.size, key);
    struct words w = words_of(&r, message.data);
    if (is_short(&r) ? r.at[0] != r.size || !letters_of_tags[r.at[1]] || !is_single(&r)
                     : r.size > UINT16_MAX || !(text = text_at(&r)))
        return;
    struct oto_otlp_value *v = text ? values_long(d, key, text, r.end) : values_short(d, key, w);
    if (!v->id || d->values_kept++ % KEPT_IN_FRONT == 0)
        v[1] = v[0];
    else
        v++;
    *v = (struct oto_otlp_value){.id = value_id(key, r.size), .last = w.last};
    v->found = found(value_code, text ? 's' : letters_of_tags[r.at[1]]);
    if (text)
        v->text = s->values->dictionary->entries[value_code].data;
    else
        v->first = w.first;
}

// The text of a string or a number, and the letter of that. 0: it is neither, or no usual one.
static inline uint8_t text_of(struct oto_otlp_decoder *d, const struct raw *r,
                              struct oto_bytes *ret_text)
{
    char *digits = d->writer.scalar;
    const uint8_t *text = text_at(r), *tag = r->at + 1;
    double real;
    if (text) {
        *ret_text = oto_bytes(text, (size_t)(r->end - text));
        return 's';
    }
    if (r->size < 2 || r->size > 16 || r->at[0] != r->size)
        return 0;
    if (tag[0] == VARINT_TAG(3)) {
        struct oto_otlp_read number = oto_otlp_varint(tag + 1, r->end);
        *ret_text = oto_bytes(digits, oto_text_from_i64((int64_t)number.value, digits));
        return number.at == r->end ? 'i' : 0;
    }
    if (tag[0] != FIXED64_TAG(4) || r->size != 9)
        return 0;
    memcpy(&real, tag + 1, sizeof real);
    *ret_text = oto_bytes(digits, oto_text_from_double(real, digits));
    return real - real == 0 ? 'd' : 0; // finite
}

// --- finding ---

// What follows takes a message that begins with a key, and hands it on to the next where it is not
// of its kind. index: of the value, behind those that the column of values has.
#define FOUND_ARGUMENTS                                                                            \
    struct oto_otlp_decoder *d, struct oto_otlp_sink *s, struct oto_otlp_key *key,                 \
        const uint8_t *bytes, size_t size, uint32_t index
#define FOUND_PASSED d, s, key, bytes, size, index

// Any value of a key whose values are taken for unique.
__attribute__((noinline)) static found_value found_blind(FOUND_ARGUMENTS)
{
    struct raw r = raw_of(bytes, size, key);
    struct oto_bytes text;
    uint8_t letter = text_of(d, &r, &text);
    uint32_t code;
    (void)index;
    if (!letter)
        return NOT_FOUND;
    code = oto_dictionary_append_ascii(s->values->dictionary, text.data, text.size);
    if (code == NO_CODE && oto_otlp_code_blind(d, s->values->dictionary, text, &code) < 0)
        return NOT_FOUND;
    key->news.blind++;
    return found(code, letter);
}

// A text of such a key, of 16 bytes or more.
__attribute__((noinline)) static found_value found_unique(FOUND_ARGUMENTS)
{
    struct raw r = raw_of(bytes, size, key);
    const uint8_t *text = r.size >= 16 + 2 ? text_at(&r) : NULL;
    if (!text || r.end - text < 16)
        return found_blind(FOUND_PASSED);
    uint32_t code =
        oto_dictionary_append_long_ascii(s->values->dictionary, text, (size_t)(r.end - text));
    if (code == NO_CODE)
        return found_blind(FOUND_PASSED);
    key->news.blind++;
    return found(code, 's');
}

// Keeps the value for its promoted column. tag: that of the AnyValue. 0 when out of memory.
__attribute__((noinline)) static int
note_promoted(struct oto_otlp_decoder *d, struct oto_otlp_sink *s, const struct oto_otlp_key *key,
              const uint8_t *tag, const uint8_t *end, struct oto_otlp_value *v)
{
    struct oto_otlp_any any = {.kind = OTO_OTLP_ANY_STRING};
    if (tag[0] == VARINT_TAG(3)) {
        any.kind = OTO_OTLP_ANY_INT;
        any.number = oto_otlp_varint(tag + 1, end).value;
    } else if (tag[0] != BYTES_TAG(1)) {
        any.kind = OTO_OTLP_ANY_DOUBLE; // or of another kind that no column has
    }
    return oto_otlp_note_promoted(d, s, key->promoted - 1u, &any, v->found & FOUND_CODE,
                                  &v->promoted) == OTO_OK;
}

// What is appended for a value that is known to be of the promoted column's type.
static inline void set_promoted(const struct oto_otlp_promoted *p, uint32_t index,
                                const struct oto_otlp_value *v, const uint8_t *tag,
                                const uint8_t *end)
{
    if (p->takes == OTO_OTLP_ANY_INT)
        ((uint64_t *)p->column->values)[index] = oto_otlp_varint(tag + 1, end).value;
    else
        ((uint32_t *)p->column->values)[index] = v->promoted - 1;
}

// The same as note_promoted without a call, for a value whose place in that column is known. 0: not
// so.
__attribute__((always_inline)) static inline int
put_promoted(struct oto_otlp_sink *s, const struct oto_otlp_key *key,
             const struct oto_otlp_value *v, const uint8_t *tag, const uint8_t *end)
{
    struct oto_otlp_promoted *p = &s->promoted[key->promoted - 1];
    struct oto_column *c = p->column;
    if (!v->promoted || !p->is_lazy || p->stamp == s->stamp)
        return 0;
    if (s->sets >= p->laid && p->filled != s->sets && oto_otlp_lay_promoted(s, p) < 0)
        return 0;
    if (s->sets >= p->laid && c->length == c->capacity)
        return 0;
    p->stamp = s->stamp;
    if (s->sets < p->laid) {
        set_promoted(p, oto_otlp_put_laid(s, p), v, tag, end);
        return 1;
    }
    p->filled++;
    set_promoted(p, c->length++, v, tag, end);
    return 1;
}

// One that did not come before, or too long ago.
__attribute__((noinline)) static found_value found_new(FOUND_ARGUMENTS)
{
    struct raw r = raw_of(bytes, size, key);
    uint32_t count = s->values->dictionary->count;
    uint64_t repaired = d->result.utf8_repaired;
    struct oto_bytes text;
    struct oto_otlp_value value = {.promoted = 0};
    uint32_t code;
    uint8_t letter = text_of(d, &r, &text);
    if (!letter)
        return NOT_FOUND;
    if (s->is_patient && oto_otlp_later(d, s, (uint32_t)(key - s->known), oto_bytes(bytes, size),
                                        text, letter, s->values->length + index))
        return found(0, letter);
    if (oto_otlp_value_code(d, s, text, key, &code) < 0)
        return NOT_FOUND;
    if (s->values->dictionary->count == count && d->result.utf8_repaired == repaired)
        oto_otlp_value_keep(d, s, oto_bytes(bytes, size), (uint32_t)(key - s->known), code);
    const uint8_t *tag = r.at + 1 + (r.at[0] >= 0x80);
    value.found = found(code, letter);
    if (key->promoted && !note_promoted(d, s, key, tag, r.end, &value))
        return NOT_FOUND;
    return value.found;
}

// One that did come before.
__attribute__((always_inline)) static inline found_value found_again(FOUND_ARGUMENTS,
                                                                     struct oto_otlp_value *v)
{
    const uint8_t *tag = bytes + key->prefix_size + 1;
    (void)index;
    tag += tag[-1] >= 0x80;
    if (key->news.fresh)
        oto_otlp_looked_up(&key->news, 0);
    if (key->promoted && !put_promoted(s, key, v, tag, bytes + size) &&
        !note_promoted(d, s, key, tag, bytes + size, v))
        return NOT_FOUND;
    return v->found;
}

__attribute__((noinline)) static found_value found_short(FOUND_ARGUMENTS)
{
    struct raw r = raw_of(bytes, size, key);
    struct oto_otlp_value *v = find_short(d, key, r.size, words_of(&r, bytes));
    return v ? found_again(FOUND_PASSED, v) : found_new(FOUND_PASSED);
}

__attribute__((noinline)) static found_value found_long(FOUND_ARGUMENTS)
{
    struct raw r = raw_of(bytes, size, key);
    const uint8_t *text = text_at(&r);
    struct oto_otlp_value *v = text ? find_long(d, key, &r, text) : NULL;
    return v ? found_again(FOUND_PASSED, v) : found_new(FOUND_PASSED);
}

// The value of a message that begins with the key. A short one of a key of which nothing else is to
// be known is found at once, if it came before.
static inline found_value found_of(FOUND_ARGUMENTS)
{
    struct raw r = raw_of(bytes, size, key);
    if (!(key->promoted | key->news.fresh) && is_short(&r)) {
        struct oto_otlp_value *v = find_short(d, key, r.size, words_of(&r, bytes));
        return v ? v->found : found_new(FOUND_PASSED);
    }
    if (oto_otlp_is_blind(&key->news) && !key->promoted)
        return found_unique(FOUND_PASSED);
    return is_short(&r) ? found_short(FOUND_PASSED) : found_long(FOUND_PASSED);
}

// --- sets ---

#define KEY_VALUE_MIN 10 // bytes of a KeyValue that is read here, with its tag and size

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
    struct oto_otlp_key *known = s->known;
    size_t context = s->context, count = 0, room = room_of(d, s);
    uint8_t *letters = d->writer.types.data + d->writer.types.size, tag = *at;
    uint16_t *guess = &s->first_keys[context];
    if (!room || !known || end - at < KEY_VALUE_MIN)
        return at;
    const uint8_t *last = end - KEY_VALUE_MIN;
    if (key_column->length > s->start) {
        if (keys[-1] >= s->key_count)
            return at;
        guess = &known[keys[-1]].next[context];
    }
    do {
        const uint8_t *bytes = at + 2;
        size_t size = at[1];
        if (size >= 0x80) {
            size = (size & 0x7F) | (size_t)at[2] << 7;
            if (at[2] >= 0x80)
                break;
            bytes++;
        }
        if ((uintptr_t)bytes + size > (uintptr_t)end)
            break;
        uint32_t code = *guess;
        struct oto_otlp_key *key = &known[code];
        if (differs(bytes, size, key)) {
            code = key_find(d, s, bytes, size);
            if (code == NO_CODE)
                break;
            *guess = (uint16_t)code;
            key = &known[code];
        }
        found_value value = found_of(d, s, key, bytes, size, (uint32_t)count);
        if (value == NOT_FOUND)
            break;
        keys[count] = code;
        values[count] = value & FOUND_CODE;
        letters[count++] = letters_found[value >> FOUND_LETTER];
        context = oto_otlp_next_context(context, code);
        guess = &key->next[context];
        at = bytes + size;
    } while (count < room && at <= last && at[0] == tag);
    key_column->length += (uint32_t)count;
    value_column->length += (uint32_t)count;
    d->writer.types.size += count;
    s->context = (uint32_t)context;
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
