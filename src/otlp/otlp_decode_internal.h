// What the parts of the OTLP decoder share: its state, attribute sinks, and the small appends of
// the hot path. Every message function takes a cursor; when it fails, the cursor tells where, and
// each caller adds its part of the path (oto_otlp_fail), so that nothing is paid for it before. One
// thread.
#ifndef OTO_OTLP_OTLP_DECODE_INTERNAL_H
#define OTO_OTLP_OTLP_DECODE_INTERNAL_H

#include "base/hash.h"
#include "base/utf8.h"
#include "otlp/otlp_columns.h"
#include "otlp/otlp_decode.h"
#include "otlp/otlp_decode_read.h"
#include "telemetry/value_text.h"

#define NO_CODE UINT32_MAX
#define NO_INDEX UINT32_MAX
#define BYTES_TAG(field) OTO_PB_TAG(field, OTO_PB_BYTES)
#define VARINT_TAG(field) OTO_PB_TAG(field, OTO_PB_VARINT)
#define FIXED64_TAG(field) OTO_PB_TAG(field, OTO_PB_FIXED64)
#define FIXED32_TAG(field) OTO_PB_TAG(field, OTO_PB_FIXED32)
#define FIELD_BIT(field) (1u << (field))

// --- attribute sinks ---

enum oto_otlp_any_kind {
    OTO_OTLP_ANY_ABSENT, // no AnyValue at all
    OTO_OTLP_ANY_UNSET,  // an AnyValue without a kind
    OTO_OTLP_ANY_STRING,
    OTO_OTLP_ANY_BOOL,
    OTO_OTLP_ANY_INT,
    OTO_OTLP_ANY_DOUBLE,
    OTO_OTLP_ANY_ARRAY,
    OTO_OTLP_ANY_KVLIST,
    OTO_OTLP_ANY_BYTES,
};

struct oto_otlp_any {
    enum oto_otlp_any_kind kind;
    struct oto_bytes bytes; // STRING, BYTES, ARRAY, KVLIST: the payload
    uint64_t number;        // BOOL, INT, DOUBLE: the bits
};

// A column filled from an attribute, with the value that the present set of attributes has for it.
struct oto_otlp_promoted {
    struct oto_bytes key;
    struct oto_column *column; // NULL: only kept for records that lack it
    int32_t configured;        // which configured promotion, -1 for a fixed one
    uint32_t stamp;            // the set of attributes that all up to `number` are of
    enum oto_otlp_any_kind kind;
    enum oto_otlp_any_kind takes; // STRING or INT: what `column` is made of; else ABSENT
    uint32_t value_code;          // in the map
    uint32_t column_code;         // of a kind that it takes, STRING: that in the column
    int64_t number;               // INT
    int is_lazy;     // a value is appended when it comes, nulls before it and at the end of the
                     // request; else all when the set ends
    uint32_t filled; // of the sink's sets in this request, those that `column` has
    uint32_t laid;   // the first of them for which no null was laid behind those that it has
    uint32_t put;    // values in place of these nulls
};

// Texts of a key, or of a column, and whether they repeat. A look-up that finds nothing adds one to
// `fresh`, one that finds something takes OTO_OTLP_FOUND; at OTO_OTLP_FRESH texts are taken for
// unique, and but for one of OTO_OTLP_BLIND are added without a look.
struct oto_otlp_news {
    uint32_t fresh;
    uint32_t blind; // added since without a look
};
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define OTO_OTLP_FRESH 4u
#else
#define OTO_OTLP_FRESH 512u
#endif
#define OTO_OTLP_FOUND 16u
#define OTO_OTLP_BLIND 64u

static inline int oto_otlp_is_blind(const struct oto_otlp_news *news)
{
    return news->fresh >= OTO_OTLP_FRESH && (news->blind + 1u) % OTO_OTLP_BLIND;
}
static inline void oto_otlp_looked_up(struct oto_otlp_news *news, int is_new)
{
    if (!is_new)
        news->fresh -= news->fresh < OTO_OTLP_FOUND ? news->fresh : OTO_OTLP_FOUND;
    else if (news->fresh < OTO_OTLP_FRESH)
        news->fresh++;
    news->blind = 0;
}

// What is known of a key. Its bytes in a KeyValue, as all senders write them, up to the length of
// the value: tag and size of the key, the key, tag of the value.
#define OTO_OTLP_PREFIX_MAX 76u
#define OTO_OTLP_CONTEXTS 8u // a power of two
struct oto_otlp_key {
    uint16_t next[OTO_OTLP_CONTEXTS]; // that came behind it the last time, by what came before
    struct oto_otlp_news news;
    uint32_t promoted; // index in the sink's promoted + 1, 0 for most
    uint32_t size_min; // of a KeyValue with it that the hot loop takes; OTO_OTLP_SIZE_NONE: none
    uint32_t id;       // the sink's owner and its code
    uint64_t salt;     // of its values' hashes
    uint32_t prefix_size;
    uint8_t prefix[OTO_OTLP_PREFIX_MAX];
};
#define OTO_OTLP_SIZE_NONE UINT32_MAX
// Beyond so many keys nothing is remembered of the further ones: keys of a sane sender are few.
#define OTO_OTLP_KEYS_MAX 65536u

// A map column, its column of types and its promoted columns.
struct oto_otlp_sink {
    struct oto_builder *builder;
    struct oto_column *map;
    struct oto_column *keys; // the map's children
    struct oto_column *values;
    struct oto_column *types;
    uint32_t owner;   // marks its values in the decoder's memory; 0 in the low half
    uint32_t start;   // of the present set, in the map's children
    uint32_t context; // what is known of the present set: oto_otlp_next_context
    uint16_t first_keys[OTO_OTLP_CONTEXTS]; // that a set began with the last time: guesses
    uint32_t last_types[OTO_OTLP_CONTEXTS]; // codes of those that a set ended with
    uint32_t stamp;
    struct oto_otlp_key *known; // by key code
    uint32_t key_count;
    uint32_t key_capacity;
    struct oto_otlp_promoted *promoted;
    uint32_t promoted_count;
    uint32_t promoted_capacity;
    uint32_t eager_count; // promoted columns that are not lazy
    uint32_t sets;        // promoted in this request
    int has_laid;         // 1: nulls were laid for some promoted columns
    int is_patient;       // 1: nobody asks for its values' codes before the end of a request
};

// Sets that began otherwise most often go on otherwise.
static inline size_t oto_otlp_next_context(size_t context, uint32_t key_code)
{
    return (context + key_code) % OTO_OTLP_CONTEXTS;
}

struct oto_otlp_hash_list {
    struct oto_hash128 *items;
    uint32_t capacity;
};

#define OTO_OTLP_ENTRY_GUESSES 64u // a power of two

// Words of ours, whose codes a table knows between two rollbacks.
enum {
    OTO_OTLP_WORD_KIND = 0,   // of spans, six
    OTO_OTLP_WORD_STATUS = 6, // three
    OTO_OTLP_WORD_STRING = 9, // the letter of a body
    OTO_OTLP_WORD_NO_STATE = 10,
    OTO_OTLP_WORDS = 11,
};

// One table: its builder and where things go.
struct oto_otlp_table {
    struct oto_builder *builder;
    struct oto_column *columns[AT_COUNT_OF_COLUMNS]; // NULL where the table has none
    struct oto_column **row_columns;                 // level 0, one value a row
    uint32_t row_column_count;
    uint32_t rows_left; // rows for which row_columns have room
    struct oto_otlp_news body;
    uint32_t words[OTO_OTLP_WORDS]; // codes of words that are ours; NO_CODE: not known
    struct oto_otlp_sink sinks[OTO_OTLP_SINK_COUNT];
    struct oto_bytes *configured; // by resource and configured promotion: the resource's value
    uint32_t configured_capacity;
    uint32_t configured_count;
    struct oto_otlp_hash_list hashes[OTO_LEVEL_MAX]; // metrics: identity of each entry of a level
    uint64_t resource_group;                         // that resource_index belongs to
    uint64_t scope_group;                            // that scope_index belongs to
    uint32_t resource_index;
    uint32_t scope_index;
    uint32_t scope_attributes; // with those of its resource: of all rows from here on
    uint32_t scope_first_row;
    uint32_t resource_guesses[OTO_OTLP_ENTRY_GUESSES]; // by a few of their bytes
    uint32_t scope_guesses[OTO_OTLP_ENTRY_GUESSES];
    uint32_t metric_hint; // the metric, and
    uint32_t series_hint; // the series after the last one
};

// --- the decoder ---

#define OTO_OTLP_GUESS_BITS 11
#define OTO_OTLP_GUESSES (1u << OTO_OTLP_GUESS_BITS)

struct oto_otlp_guess {
    uint32_t check; // further bits: a wrong guess is told without a look at the entry
    uint32_t code;
};

// A scalar value that a key had before, and what became of it. Two of them share a line of the
// cache: where one may be kept, either is looked at.
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define OTO_OTLP_VALUE_BITS 4
#else
#define OTO_OTLP_VALUE_BITS 12
#endif
#define OTO_OTLP_VALUES (1u << OTO_OTLP_VALUE_BITS)

struct oto_otlp_value {
    uint64_t id;   // the key's, and above it the AnyValue's size; 0: none
    uint64_t last; // up to 15 bytes of an AnyValue: the last eight and the first eight of it, or
    union {        // of a longer one, which is a string: its last eight and its text
        uint64_t first;
        const uint8_t *text;
    };
    uint32_t found;    // its code, and the letter of its type (otlp_decode_run.c)
    uint32_t promoted; // the code in the promoted column + 1, 1 for a number; 0: not known
};

// A value of a large dictionary, to be looked up when what is looked at has been fetched: until
// then its code is missing, in the map and in a promoted column.
#define OTO_OTLP_LATER_MAX 16u
#ifdef FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION
#define OTO_OTLP_LATER_SLOTS 2u
#else
#define OTO_OTLP_LATER_SLOTS 1024u // of a dictionary that is large
#endif
struct oto_otlp_later {
    struct oto_otlp_sink *sink;
    struct oto_column *promoted; // NULL: none
    uint32_t value_index;        // in the map's values,
    uint32_t promoted_index;     // and in `promoted`
    uint32_t key_code;
    uint32_t hash;
    uint32_t code; // of the entry that may be it, and
    uint32_t promoted_code;
    struct oto_bytes message; // the KeyValue
    struct oto_bytes text;    // of it, or
    char digits[OTO_TEXT_DOUBLE_MAX];
};

#define OTO_OTLP_EPOCH_BITS 10 // of an owner, that change with each rollback; above: which sink

struct oto_otlp_decoder {
    const struct oto_allocator *allocator;
    struct oto_otlp_table tables[OTO_TABLE_COUNT];
    uint32_t *mark;
    size_t mark_size;

    // Of the present request.
    enum oto_signal signal;
    uint32_t first_table; // of the signal
    uint32_t end_table;
    uint64_t received_ns;
    struct oto_otlp_limits limits;
    struct oto_otlp_result result;
    uint64_t bytes_before;      // reckoned, of what the builders had; for large requests alone
    int is_large;               // its rows may take more than limits.row_bytes_max, and
    int is_too_large;           // they do
    struct oto_arena arena;     // merged fields
    struct oto_buffer repaired; // the latest string that was no UTF-8
    struct oto_buffer scratch;
    struct oto_value_writer writer;

    // Of the present resource and scope group.
    uint64_t resource_group; // counts through the life of the decoder
    uint64_t scope_group;
    uint64_t entered_scope_group; // the last that a table has entered
    const char *refusal;          // why the items of a group are refused
    int has_resource;
    int has_scope;
    struct oto_bytes resource;
    struct oto_bytes resource_schema_url;
    struct oto_bytes scope;
    struct oto_bytes scope_schema_url;

    // Codes of strings by a few of their bits: a guess that is checked, so it may be wrong or old.
    struct oto_otlp_guess guesses[OTO_OTLP_GUESSES];
    struct oto_otlp_value *values; // by a hash of key and bytes
    uint32_t values_kept;          // so far
    uint32_t sink_count;           // made so far
    uint32_t later_count;
    int later_failed; // 1: some of this request will not have their codes
    struct oto_otlp_later later[OTO_OTLP_LATER_MAX];

    // Of a failure.
    const uint8_t *failed_at;
    const char *failure;
    uint32_t path_skip; // parts of the path that are still to be left out
    char path[192];
};

// --- failures and refusals (otlp_decode.c) ---

// Notes the place (once) and puts "name[index]" before the path. Returns status. index may be
// NO_INDEX.
enum oto_status oto_otlp_fail(struct oto_otlp_decoder *d, enum oto_status status, const uint8_t *at,
                              const char *name, uint32_t index);

static inline enum oto_status oto_otlp_malformed(struct oto_otlp_decoder *d, const char *failure)
{
    d->failure = failure;
    return OTO_INVALID;
}

// Counts what a table's rows share with others, up to the latest.
void oto_otlp_count_shared(struct oto_otlp_decoder *d, struct oto_otlp_table *t);

// Counts refused items; the first reason is kept.
void oto_otlp_reject(struct oto_otlp_decoder *d, uint64_t count, const char *reason);

// A field that the message's switch did not take: skipped, unless its number is known (then the
// wire type is wrong).
OTO_MUST_CHECK enum oto_status oto_otlp_other(struct oto_otlp_decoder *d, struct oto_pb_cursor *c,
                                              uint32_t tag, uint32_t known);

// The same between reads by position; NULL when it is malformed. at: behind the tag.
const uint8_t *oto_otlp_other_field(struct oto_otlp_decoder *d, const uint8_t *at,
                                    const uint8_t *end, uint64_t tag, uint32_t known);

// Joins all occurrences of a BYTES field from `at` on, as protobuf merges them.
OTO_MUST_CHECK enum oto_status oto_otlp_merge(struct oto_otlp_decoder *d, struct oto_pb_cursor c,
                                              uint32_t tag, struct oto_bytes *ret_joined);

// All occurrences of a field with their tags: a view where they lie together, else a copy in the
// request's arena.
OTO_MUST_CHECK enum oto_status oto_otlp_fields(struct oto_otlp_decoder *d, struct oto_bytes message,
                                               uint32_t tag, struct oto_bytes *ret_fields);

// Makes a string UTF-8. Ownership: returns view, of the input or of what the next repair
// overwrites.
OTO_MUST_CHECK enum oto_status oto_otlp_utf8_slow(struct oto_otlp_decoder *d, struct oto_bytes text,
                                                  struct oto_bytes *ret_text);
OTO_MUST_CHECK static inline enum oto_status
oto_otlp_utf8(struct oto_otlp_decoder *d, struct oto_bytes text, struct oto_bytes *ret_text)
{
    *ret_text = text;
    return oto_utf8_is_ascii(text.data, text.size) ? OTO_OK : oto_otlp_utf8_slow(d, text, ret_text);
}

// --- values (otlp_decode_value.c) ---

// 1 when an AnyValue is one string and nothing else, as most are.
static inline int oto_otlp_any_is_string(struct oto_bytes message, struct oto_bytes *ret_text)
{
    const uint8_t *at = message.data, *end = at + message.size;
    if (message.size < 2 || at[0] != BYTES_TAG(1))
        return 0;
    struct oto_otlp_read size = oto_otlp_varint(at + 1, end);
    if (!size.at || size.value != (uint64_t)(end - size.at))
        return 0;
    *ret_text = oto_bytes(size.at, (size_t)size.value);
    return 1;
}
OTO_MUST_CHECK enum oto_status oto_otlp_any_read(struct oto_otlp_decoder *d,
                                                 struct oto_pb_cursor *c,
                                                 struct oto_otlp_any *ret_any);
OTO_MUST_CHECK enum oto_status oto_otlp_key_value_read(struct oto_otlp_decoder *d,
                                                       struct oto_pb_cursor *c,
                                                       struct oto_bytes *ret_key,
                                                       struct oto_otlp_any *ret_any);
// Text of a top-level value; its letters are appended to d->writer.types.
OTO_MUST_CHECK enum oto_status oto_otlp_any_text(struct oto_otlp_decoder *d,
                                                 const struct oto_otlp_any *any,
                                                 struct oto_bytes *ret_text);

// --- attributes (otlp_decode_attributes.c, those that came before otlp_decode_run.c) ---

OTO_MUST_CHECK enum oto_status oto_otlp_sink_init(struct oto_otlp_decoder *d,
                                                  struct oto_otlp_table *t,
                                                  enum oto_otlp_sink_name name,
                                                  struct oto_column *map, struct oto_column *types);
void oto_otlp_sink_release(struct oto_otlp_decoder *d, struct oto_otlp_sink *s);
// Forgets what it knows of codes that no longer are.
void oto_otlp_sink_rolled_back(struct oto_otlp_decoder *d, struct oto_otlp_sink *s);

static inline void oto_otlp_attributes_begin(struct oto_otlp_decoder *d, struct oto_otlp_sink *s)
{
    s->start = s->keys->length;
    s->stamp++;
    s->context = 0;
    oto_value_writer_reset(&d->writer);
}
// One KeyValue of the set begun, read the long way. Sets must not be interleaved.
OTO_MUST_CHECK enum oto_status
oto_otlp_attribute(struct oto_otlp_decoder *d, struct oto_otlp_sink *s, struct oto_bytes message);
// The KeyValues that follow each other from `at` on, which is at a tag of one byte. Returns where
// another field begins, or NULL: *ret_status says whether one failed, or else the first is no field
// at all.
const uint8_t *oto_otlp_attributes(struct oto_otlp_decoder *d, struct oto_otlp_sink *s,
                                   const uint8_t *at, const uint8_t *end,
                                   enum oto_status *ret_status);
// Closes the map's entry and appends the types.
OTO_MUST_CHECK enum oto_status oto_otlp_attributes_end(struct oto_otlp_decoder *d,
                                                       struct oto_otlp_sink *s);
// Forgets the attributes of a set that was begun and not ended.
void oto_otlp_attributes_cancel(struct oto_otlp_decoder *d, struct oto_otlp_sink *s);
// All occurrences of a field of KeyValues in a message, as one set.
OTO_MUST_CHECK enum oto_status oto_otlp_attributes_all(struct oto_otlp_decoder *d,
                                                       struct oto_otlp_sink *s,
                                                       struct oto_bytes message, uint32_t tag);
// Appends those promoted columns of the set that just ended which are not lazy. resource_index:
// where a record's missing values come from.
OTO_MUST_CHECK enum oto_status oto_otlp_promote_eager(struct oto_otlp_decoder *d,
                                                      struct oto_otlp_table *t,
                                                      struct oto_otlp_sink *s,
                                                      uint32_t resource_index);
OTO_MUST_CHECK static inline enum oto_status oto_otlp_promote(struct oto_otlp_decoder *d,
                                                              struct oto_otlp_table *t,
                                                              struct oto_otlp_sink *s,
                                                              uint32_t resource_index)
{
    if (s->eager_count)
        OTO_TRY(oto_otlp_promote_eager(d, t, s, resource_index));
    s->sets++;
    return OTO_OK;
}
// Appends the nulls that promoted columns still lack: at the end of a request.
OTO_MUST_CHECK enum oto_status oto_otlp_promote_end(struct oto_otlp_sink *s);
// Keeps a new resource's values of configured promotions for its records.
OTO_MUST_CHECK enum oto_status oto_otlp_keep_configured(struct oto_otlp_decoder *d,
                                                        struct oto_otlp_table *t,
                                                        uint32_t resource_index);

// The code of a value of a key. key: NULL when nothing is kept of it.
OTO_MUST_CHECK enum oto_status oto_otlp_value_code(struct oto_otlp_decoder *d,
                                                   struct oto_otlp_sink *s, struct oto_bytes text,
                                                   struct oto_otlp_key *key, uint32_t *ret_code);
// Keeps a value of the present set for its promoted column. index: that of the sink's promoted;
// known: the text's code in that column + 1, or 0, and then it is set where there is one, and to 1
// for a number that the column takes; may be NULL.
OTO_MUST_CHECK enum oto_status oto_otlp_note_promoted(struct oto_otlp_decoder *d,
                                                      struct oto_otlp_sink *s, uint32_t index,
                                                      const struct oto_otlp_any *any, uint32_t code,
                                                      uint32_t *known);
// Appends the present set's value to a lazy column.
OTO_MUST_CHECK enum oto_status
oto_otlp_append_lazy(struct oto_otlp_sink *s, struct oto_otlp_promoted *p, uint32_t *ret_index);
// Lays nulls for the present set and some after it, where a lazy column can have them.
OTO_MUST_CHECK enum oto_status oto_otlp_lay_promoted(struct oto_otlp_sink *s,
                                                     struct oto_otlp_promoted *p);
// Where the present set's value goes when a null was laid for it, which is no null then.
// (A view may share the byte, see oto_builder_view.)
__attribute__((no_sanitize("thread"))) static inline uint32_t
oto_otlp_put_laid(const struct oto_otlp_sink *s, struct oto_otlp_promoted *p)
{
    uint32_t index = p->column->length + s->sets - p->filled;
    p->column->validity[index >> 3] |= (uint8_t)(1u << (index & 7));
    p->put++;
    return index;
}
// Appends what was laid so far, and takes the rest away: before columns grow, and before the
// builder is rolled back. All sets have ended, or the present one is given up.
void oto_otlp_lift_promoted(struct oto_otlp_sink *s);
// Appends the nulls that a lazy column lacks for sets before the present one.
OTO_MUST_CHECK enum oto_status oto_otlp_fill_promoted(struct oto_otlp_sink *s,
                                                      struct oto_otlp_promoted *p);
// Keeps a value, of one letter, for the next KeyValue with the same bytes, where they are short
// enough and as all senders write them.
void oto_otlp_value_keep(struct oto_otlp_decoder *d, const struct oto_otlp_sink *s,
                         struct oto_bytes message, uint32_t key_code, uint32_t value_code);

// --- values that are looked up later (otlp_decode_later.c) ---

// Puts a look-up off. letter: of its type. The value's code must be appended as 0 then. 0: it is
// not to be put off, or there is no memory.
int oto_otlp_later(struct oto_otlp_decoder *d, struct oto_otlp_sink *s, uint32_t key_code,
                   struct oto_bytes message, struct oto_bytes text, uint8_t letter,
                   uint32_t value_index);
// Looks all of them up.
OTO_MUST_CHECK enum oto_status oto_otlp_later_settle(struct oto_otlp_decoder *d);
// Forgets those of a sink's present set.
static inline void oto_otlp_later_cancel(struct oto_otlp_decoder *d, const struct oto_otlp_sink *s)
{
    while (d->later_count && d->later[d->later_count - 1].sink == s &&
           d->later[d->later_count - 1].value_index >= s->start)
        d->later_count--;
}

// --- groups (otlp_decode_group.c) ---

// One Export*ServiceRequest.
OTO_MUST_CHECK enum oto_status oto_otlp_request_read(struct oto_otlp_decoder *d,
                                                     struct oto_pb_cursor *c);
// The scope's entry in a table (t->scope_index), made with its resource's when it is new. frames:
// parts of the path between the scope group and the caller.
OTO_MUST_CHECK enum oto_status oto_otlp_scope_enter(struct oto_otlp_decoder *d,
                                                    struct oto_otlp_table *t, uint32_t frames);
// Room for one more row in all row columns, and the row itself.
OTO_MUST_CHECK enum oto_status oto_otlp_row_slow(struct oto_otlp_decoder *d,
                                                 struct oto_otlp_table *t);
OTO_MUST_CHECK static inline enum oto_status
oto_otlp_row(struct oto_otlp_decoder *d, struct oto_otlp_table *t, uint32_t next_index)
{
    if (t->rows_left == 0)
        OTO_TRY(oto_otlp_row_slow(d, t));
    t->rows_left--;
    struct oto_level *rows = &t->builder->levels[0];
    if (rows->count == rows->capacity)
        return oto_builder_row(t->builder, next_index);
    rows->link[rows->count++] = next_index;
    return OTO_OK;
}

// What an element of a list or map takes in memory until it is in a file; of texts the code counts.
#define OTO_OTLP_ELEMENT_BYTES(width) (8 + 2 * (uint64_t)(width))
// OTO_INVALID when the request's rows so far, and more_bytes, take more memory than they may.
OTO_MUST_CHECK enum oto_status oto_otlp_reckon(struct oto_otlp_decoder *d, uint64_t more_bytes);
// The same now and then, in a list of one row: index is of the part to come. tag: of its
// attributes.
OTO_MUST_CHECK enum oto_status oto_otlp_reckon_part_slow(struct oto_otlp_decoder *d,
                                                         struct oto_bytes part, uint32_t tag);
OTO_MUST_CHECK static inline enum oto_status oto_otlp_reckon_part(struct oto_otlp_decoder *d,
                                                                  uint32_t index,
                                                                  struct oto_bytes part,
                                                                  uint32_t tag)
{
    if (index % 4096 < 4095 && part.size < 65536)
        return OTO_OK;
    return oto_otlp_reckon_part_slow(d, part, tag);
}

// 1 when a field of attributes comes more often than the limit allows. An attribute has two bytes
// at least, so most messages are too short to be counted.
uint64_t oto_otlp_count_fields(struct oto_bytes message, uint32_t tag);
static inline int oto_otlp_too_many(const struct oto_otlp_decoder *d, struct oto_bytes message,
                                    uint32_t tag)
{
    return message.size / 2 > d->limits.attributes_max &&
           oto_otlp_count_fields(message, tag) > d->limits.attributes_max;
}

// --- identities of metric series (otlp_decode_identity.c); for other tables nothing happens ---

OTO_MUST_CHECK enum oto_status oto_otlp_hash_resource(struct oto_otlp_decoder *d,
                                                      struct oto_otlp_table *t, uint32_t index);
OTO_MUST_CHECK enum oto_status oto_otlp_hash_scope(struct oto_otlp_decoder *d,
                                                   struct oto_otlp_table *t, uint32_t index);
// kind: the number of the metric's field in the proto (5 gauge, 7 sum, 9, 10, 11 summary).
OTO_MUST_CHECK enum oto_status oto_otlp_hash_metric(struct oto_otlp_decoder *d,
                                                    struct oto_otlp_table *t, uint32_t index,
                                                    uint32_t kind, int32_t temporality,
                                                    int is_monotonic);
// 32 hex digits for the set of attributes that just ended.
OTO_MUST_CHECK enum oto_status oto_otlp_series_id(struct oto_otlp_decoder *d,
                                                  struct oto_otlp_table *t, uint32_t metric_index,
                                                  char output[32]);

// --- items: a log record, span or metric each ---

OTO_MUST_CHECK enum oto_status oto_otlp_log_read(struct oto_otlp_decoder *d,
                                                 struct oto_pb_cursor *c);
OTO_MUST_CHECK enum oto_status oto_otlp_span_read(struct oto_otlp_decoder *d,
                                                  struct oto_pb_cursor *c);
OTO_MUST_CHECK enum oto_status oto_otlp_metric_read(struct oto_otlp_decoder *d,
                                                    struct oto_pb_cursor *c);
// The data points of a metric.
OTO_MUST_CHECK enum oto_status oto_otlp_metric_count(struct oto_pb_cursor *c, uint64_t *ret_count);

// --- small reads and appends ---

// Clears what a record is read into. A string instruction, which gcc makes of a memset or an
// initializer of some hundred bytes, takes longer to start than all of this.
static inline void oto_otlp_clear(void *p, size_t size)
{
    uint8_t *at = p;
    for (; size >= 32; size -= 32, at += 32)
        memset(at, 0, 32);
    for (; size >= 8; size -= 8, at += 8)
        memset(at, 0, 8);
}

OTO_MUST_CHECK static inline enum oto_status oto_otlp_read_u32(struct oto_pb_cursor *c,
                                                               uint32_t *ret_value)
{
    uint64_t value;
    OTO_TRY(oto_pb_varint(c, &value));
    *ret_value = (uint32_t)value;
    return OTO_OK;
}
OTO_MUST_CHECK static inline enum oto_status oto_otlp_read_i32(struct oto_pb_cursor *c,
                                                               int32_t *ret_value)
{
    uint64_t value;
    OTO_TRY(oto_pb_varint(c, &value));
    *ret_value = (int32_t)(uint32_t)value;
    return OTO_OK;
}
OTO_MUST_CHECK static inline enum oto_status oto_otlp_read_double(struct oto_pb_cursor *c,
                                                                  double *ret_value)
{
    uint64_t bits;
    OTO_TRY(oto_pb_fixed64(c, &bits));
    memcpy(ret_value, &bits, sizeof bits);
    return OTO_OK;
}

// A hash of a string of a column, to guess it by: its first, middle and last bytes and its length.
static inline uint64_t oto_otlp_guess_bits(const struct oto_column *c, struct oto_bytes text)
{
    uint64_t bits = text.size + ((uint64_t)c->field->id << 32);
    if (text.size >= 16)
        bits ^= 5 * oto_load64(text.data + (text.size >> 1) - 4);
    if (text.size >= 8)
        bits ^= oto_load64(text.data) + 3 * oto_load64(text.data + text.size - 8);
    else if (text.size >= 4)
        bits ^= oto_load32(text.data) + ((uint64_t)oto_load32(text.data + text.size - 4) << 24);
    else if (text.size)
        bits ^= (uint64_t)text.data[0] << 16 | (uint64_t)text.data[text.size >> 1] << 8 |
                text.data[text.size - 1];
    return bits * 0x9E3779B97F4A7C15u;
}

// Equal bytes, for the short strings of attributes: whole words, the last of them overlapping.
static inline int oto_otlp_same(const uint8_t *a, const uint8_t *b, size_t size)
{
    if (size >= 4 && size < 8)
        return oto_load32(a) == oto_load32(b) &&
               oto_load32(a + size - 4) == oto_load32(b + size - 4);
    if (size < 4)
        return size == 0 ||
               (a[0] == b[0] && a[size >> 1] == b[size >> 1] && a[size - 1] == b[size - 1]);
    for (size_t i = 0; i + 8 < size; i += 8)
        if (oto_load64(a + i) != oto_load64(b + i))
            return 0;
    return oto_load64(a + size - 8) == oto_load64(b + size - 8);
}

static inline int oto_otlp_is_code(const struct oto_dictionary *dictionary, uint32_t code,
                                   struct oto_bytes text)
{
    if (code >= dictionary->count)
        return 0;
    const struct oto_bytes *entry = &dictionary->entries[code];
    return entry->size == text.size && oto_otlp_same(entry->data, text.data, text.size);
}

// The code of a new entry, without a look.
OTO_MUST_CHECK enum oto_status oto_otlp_code_blind(struct oto_otlp_decoder *d,
                                                   struct oto_dictionary *dictionary,
                                                   struct oto_bytes text, uint32_t *ret_code);
// The code of a string without a guess.
OTO_MUST_CHECK enum oto_status oto_otlp_code_lookup(struct oto_otlp_decoder *d,
                                                    struct oto_dictionary *dictionary,
                                                    struct oto_bytes text, uint32_t *ret_code);
// The same with its hash, and the code of the entry that was fetched by it or NO_CODE.
OTO_MUST_CHECK enum oto_status oto_otlp_code_fetched(struct oto_otlp_decoder *d,
                                                     struct oto_dictionary *dictionary,
                                                     struct oto_bytes text, uint32_t hash,
                                                     uint32_t fetched, uint32_t *ret_code);
// The code of a string; only one that was not guessed is checked to be UTF-8, as entries are.
OTO_MUST_CHECK static inline enum oto_status oto_otlp_code(struct oto_otlp_decoder *d,
                                                           const struct oto_column *c,
                                                           struct oto_bytes text,
                                                           uint32_t *ret_code)
{
    uint64_t bits = oto_otlp_guess_bits(c, text);
    struct oto_otlp_guess *guess = &d->guesses[bits >> (64 - OTO_OTLP_GUESS_BITS)];
    uint32_t check = (uint32_t)(bits >> (32 - OTO_OTLP_GUESS_BITS));
    if (guess->check == check && oto_otlp_is_code(c->dictionary, guess->code, text)) {
        *ret_code = guess->code;
        return OTO_OK;
    }
    OTO_TRY(oto_otlp_code_lookup(d, c->dictionary, text, ret_code));
    *guess = (struct oto_otlp_guess){check, *ret_code};
    return OTO_OK;
}

// Appends a string to a column that has room: most often that of the entry before.
OTO_MUST_CHECK enum oto_status oto_otlp_put_text_slow(struct oto_otlp_decoder *d,
                                                      struct oto_column *c, struct oto_bytes text);
__attribute__((always_inline)) OTO_MUST_CHECK static inline enum oto_status
oto_otlp_put_text(struct oto_otlp_decoder *d, struct oto_column *c, struct oto_bytes text)
{
    uint32_t *next = (uint32_t *)c->values + c->length;
    if (!c->length || !oto_otlp_is_code(c->dictionary, next[-1], text))
        return oto_otlp_put_text_slow(d, c, text);
    next[0] = next[-1];
    c->length++;
    return OTO_OK;
}
// The same for a word of ours. word: its place in t->words.
OTO_MUST_CHECK static inline enum oto_status oto_otlp_put_word(struct oto_otlp_decoder *d,
                                                               struct oto_otlp_table *t,
                                                               struct oto_column *c,
                                                               struct oto_bytes text, uint32_t word)
{
    if (t->words[word] == NO_CODE)
        OTO_TRY(oto_otlp_code(d, c, text, &t->words[word]));
    oto_column_append_code(c, t->words[word]);
    return OTO_OK;
}
// The same for texts that may be unique, most of them.
OTO_MUST_CHECK enum oto_status oto_otlp_put_unique(struct oto_otlp_decoder *d, struct oto_column *c,
                                                   struct oto_otlp_news *news,
                                                   struct oto_bytes text);
// The same as put_text for one without room, as those of higher levels and of lists.
OTO_MUST_CHECK static inline enum oto_status oto_otlp_add_text(struct oto_otlp_decoder *d,
                                                               struct oto_builder *b,
                                                               struct oto_column *c,
                                                               struct oto_bytes text)
{
    OTO_TRY(oto_column_reserve(b, c, 1));
    return oto_otlp_put_text(d, c, text);
}
OTO_MUST_CHECK static inline enum oto_status oto_otlp_add_i64(struct oto_builder *b,
                                                              struct oto_column *c, int64_t value)
{
    OTO_TRY(oto_column_reserve(b, c, 1));
    oto_column_append_i64(c, value);
    return OTO_OK;
}
OTO_MUST_CHECK static inline enum oto_status oto_otlp_add_i32(struct oto_builder *b,
                                                              struct oto_column *c, int32_t value)
{
    OTO_TRY(oto_column_reserve(b, c, 1));
    oto_column_append_i32(c, value);
    return OTO_OK;
}
OTO_MUST_CHECK static inline enum oto_status oto_otlp_add_double(struct oto_builder *b,
                                                                 struct oto_column *c, double value)
{
    OTO_TRY(oto_column_reserve(b, c, 1));
    oto_column_append_double(c, value);
    return OTO_OK;
}
// Closes an entry of a map or list.
OTO_MUST_CHECK static inline enum oto_status oto_otlp_add_end(struct oto_builder *b,
                                                              struct oto_column *c)
{
    if (c->length == c->capacity)
        return oto_column_append_end(b, c);
    c->offsets[++c->length] = c->children[0].length;
    return OTO_OK;
}
// An id in a column that has room. width: 16 or 8; id: so long or empty.
OTO_MUST_CHECK static inline enum oto_status
oto_otlp_put_id(struct oto_builder *b, struct oto_column *c, size_t width, struct oto_bytes id)
{
    if (id.size != width)
        return oto_column_append_id(b, c, id);
    memcpy((uint8_t *)c->values + c->length++ * width, id.data, width);
    return OTO_OK;
}
// A null of a column of strings or numbers that has had one before: no call.
OTO_MUST_CHECK static inline enum oto_status oto_otlp_add_null(struct oto_builder *b,
                                                               struct oto_column *c)
{
    if (!c->validity || c->length == c->capacity)
        return oto_column_append_null(b, c);
    if (c->field->type == OTO_TYPE_STRING &&
        c->dictionary->count) // none after a rollback to nothing
        ((uint32_t *)c->values)[c->length] = 0;
    else if (c->field->type == OTO_TYPE_INT64 || c->field->type == OTO_TYPE_DOUBLE)
        ((int64_t *)c->values)[c->length] = 0;
    else if (c->field->type == OTO_TYPE_INT32)
        ((int32_t *)c->values)[c->length] = 0;
    else
        return oto_column_append_null(b, c);
    c->validity[c->length >> 3] &= (uint8_t) ~(1u << (c->length & 7));
    c->length++;
    c->null_count++;
    return OTO_OK;
}
// A time and its rest. Without a time (0): `instead_ns` and a null rest.
OTO_MUST_CHECK static inline enum oto_status oto_otlp_add_time(struct oto_builder *b,
                                                               struct oto_column *time,
                                                               struct oto_column *rest, uint64_t ns,
                                                               uint64_t instead_ns)
{
    OTO_TRY(oto_otlp_add_i64(b, time, (int64_t)((ns ? ns : instead_ns) / 1000)));
    return ns ? oto_otlp_add_i32(b, rest, (int32_t)(ns % 1000)) : oto_column_append_null(b, rest);
}
// The same for columns of rows, which have room.
OTO_MUST_CHECK static inline enum oto_status oto_otlp_put_time(struct oto_builder *b,
                                                               struct oto_column *time,
                                                               struct oto_column *rest, uint64_t ns,
                                                               uint64_t instead_ns)
{
    oto_column_append_i64(time, (int64_t)((ns ? ns : instead_ns) / 1000));
    if (!ns)
        return oto_otlp_add_null(b, rest);
    oto_column_append_i32(rest, (int32_t)(ns % 1000));
    return OTO_OK;
}

#endif
