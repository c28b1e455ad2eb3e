// What the parts of the OTLP encoder share: where the columns lie, the entries of the present row,
// and messages whose length is written when they end. One thread.
#ifndef OTO_OTLP_OTLP_ENCODE_INTERNAL_H
#define OTO_OTLP_OTLP_ENCODE_INTERNAL_H

#include "otlp/otlp_columns.h"
#include "otlp/otlp_encode.h"
#include "wire/protobuf.h"

#define OTO_OTLP_GROUPS_MAX 4 // resource, scope, metric and its data

struct oto_otlp_map_columns {
    const char *name;
    const struct oto_column *map; // NULL where the batch has none
    const struct oto_column *types;
};

struct oto_otlp_encoder {
    const struct oto_allocator *allocator;

    // Of the present batch. Columns that it lacks are NULL.
    const struct oto_batch *batch;
    enum oto_table table;
    const struct oto_column *columns[AT_COUNT_OF_COLUMNS];
    struct oto_otlp_map_columns maps[OTO_OTLP_SINK_COUNT];

    // Of the present request.
    struct oto_buffer *output;
    size_t groups[OTO_OTLP_GROUPS_MAX]; // marks of the messages that are open
    uint32_t group_count;
    uint32_t shared; // of them, those that hold rows: 1 resource, 2 scope, 3 metric
    uint32_t row;
    uint32_t entry[OTO_LEVEL_MAX];    // of the present row, by level
    uint32_t previous[OTO_LEVEL_MAX]; // of the row before
    uint64_t beyond;                  // not 0: OTLP has no place for a number of the row

    struct oto_buffer scratch; // a text without its escapes; a problem that has a value in it
    const char *column;        // of a failure
    const char *problem;
};

// --- messages ---

// Begins a message of which the length is not known; mark is for oto_otlp_close.
OTO_MUST_CHECK enum oto_status oto_otlp_open(struct oto_buffer *b, uint32_t field,
                                             size_t *ret_mark);
OTO_MUST_CHECK enum oto_status oto_otlp_close(struct oto_buffer *b, size_t mark);

// Notes why a row cannot be encoded.
static inline enum oto_status oto_otlp_wrong(struct oto_otlp_encoder *e, const char *problem)
{
    e->problem = problem;
    return OTO_INVALID;
}

// --- values (otlp_encode_value.c) ---

// The letters of a set of values that are not used yet.
struct oto_otlp_letters {
    const uint8_t *at;
    const uint8_t *end;
};

// Writes one value as the AnyValue `field`, unless its letter says that there is none. Without
// letters left it is a string.
OTO_MUST_CHECK enum oto_status oto_otlp_encode_value(struct oto_otlp_encoder *e, uint32_t field,
                                                     struct oto_bytes text,
                                                     struct oto_otlp_letters *letters);
// The KeyValues of entry `index` of a map, as `field`.
OTO_MUST_CHECK enum oto_status oto_otlp_encode_map(struct oto_otlp_encoder *e, uint32_t field,
                                                   enum oto_otlp_sink_name map, uint32_t index);
// The EntityRefs of a JSON array, as `field`.
OTO_MUST_CHECK enum oto_status oto_otlp_encode_entity_refs(struct oto_otlp_encoder *e,
                                                           uint32_t field, struct oto_bytes json);

// --- items of the present row ---

OTO_MUST_CHECK enum oto_status oto_otlp_encode_log(struct oto_otlp_encoder *e);
OTO_MUST_CHECK enum oto_status oto_otlp_encode_span(struct oto_otlp_encoder *e);
OTO_MUST_CHECK enum oto_status oto_otlp_encode_point(struct oto_otlp_encoder *e);

// The column and value to which `beyond` is due (otlp_encode_beyond.c): OTO_UNSUPPORTED.
OTO_MUST_CHECK enum oto_status oto_otlp_name_beyond(struct oto_otlp_encoder *e);

// --- reading columns: a column that is not there has defaults ---

static inline const struct oto_column *oto_otlp_part(const struct oto_column *parent,
                                                     const char *name)
{
    for (uint32_t i = 0; parent && i < parent->child_count; i++)
        if (strcmp(parent->children[i].field->name, name) == 0)
            return &parent->children[i];
    return NULL;
}

static inline int oto_otlp_is_set(const struct oto_column *c, uint32_t index)
{
    return c && oto_column_valid(c, index);
}

static inline int64_t oto_otlp_get_int(const struct oto_column *c, uint32_t index)
{
    if (!oto_otlp_is_set(c, index))
        return 0;
    switch (c->field->type) {
    case OTO_TYPE_BOOL:
        return ((const uint8_t *)c->values)[index];
    case OTO_TYPE_INT32:
        return ((const int32_t *)c->values)[index];
    default:
        return ((const int64_t *)c->values)[index];
    }
}

// The bits of a double.
static inline uint64_t oto_otlp_get_bits(const struct oto_column *c, uint32_t index)
{
    return oto_otlp_is_set(c, index) ? oto_load64((const double *)c->values + index) : 0;
}

static inline struct oto_bytes oto_otlp_get_text(const struct oto_column *c, uint32_t index)
{
    if (!oto_otlp_is_set(c, index))
        return oto_bytes(NULL, 0);
    return c->dictionary->entries[((const uint32_t *)c->values)[index]];
}

static inline struct oto_bytes oto_otlp_get_id(const struct oto_column *c, uint32_t index)
{
    size_t size = c && c->field->type == OTO_TYPE_ID16 ? 16 : 8;
    if (!oto_otlp_is_set(c, index))
        return oto_bytes(NULL, 0);
    return oto_bytes((const uint8_t *)c->values + index * size, size);
}

// Where the rest is null there was no time; where there are no rests at all, times are whole
// microseconds.
static inline int oto_otlp_has_time(const struct oto_column *time, const struct oto_column *rest,
                                    uint32_t index)
{
    return oto_otlp_is_set(time, index) && (!rest || oto_column_valid(rest, index));
}

// OTLP has the nanoseconds 0 to 2^64-1.
static inline int oto_otlp_time_fits(uint64_t us, uint64_t past_ns)
{
    return past_ns <= (us < UINT64_MAX / 1000 ? 999 : UINT64_MAX % 1000) && us <= UINT64_MAX / 1000;
}

// Files of other writers have times and numbers that OTLP has no place for. They are noted here and
// refused once a row: oto_otlp_name_beyond.
static inline uint64_t oto_otlp_get_time(struct oto_otlp_encoder *e, const struct oto_column *time,
                                         const struct oto_column *rest, uint32_t index)
{
    if (!oto_otlp_has_time(time, rest, index))
        return 0;
    uint64_t us = (uint64_t)oto_otlp_get_int(time, index);
    uint64_t past_ns = (uint64_t)oto_otlp_get_int(rest, index);
    e->beyond |= !oto_otlp_time_fits(us, past_ns);
    return us * 1000 + past_ns;
}

// A count or flags: OTLP's field has 32 bits, the column 64.
static inline uint32_t oto_otlp_narrow(struct oto_otlp_encoder *e, int64_t value)
{
    e->beyond |= (uint64_t)value >> 32;
    return (uint32_t)value;
}

// Of top-level columns, for the present row.
static inline uint32_t oto_otlp_entry(const struct oto_otlp_encoder *e, const struct oto_column *c)
{
    return e->entry[c->level];
}
static inline int oto_otlp_row_is_set(const struct oto_otlp_encoder *e, enum oto_otlp_column at)
{
    const struct oto_column *c = e->columns[at];
    return c && oto_column_valid(c, oto_otlp_entry(e, c));
}
static inline int64_t oto_otlp_row_int(const struct oto_otlp_encoder *e, enum oto_otlp_column at)
{
    const struct oto_column *c = e->columns[at];
    return c ? oto_otlp_get_int(c, oto_otlp_entry(e, c)) : 0;
}
static inline struct oto_bytes oto_otlp_row_text(const struct oto_otlp_encoder *e,
                                                 enum oto_otlp_column at)
{
    const struct oto_column *c = e->columns[at];
    return c ? oto_otlp_get_text(c, oto_otlp_entry(e, c)) : oto_bytes(NULL, 0);
}

// --- writing fields: defaults are left out, as everywhere in OTLP ---

OTO_MUST_CHECK static inline enum oto_status oto_otlp_put_uint(struct oto_buffer *b, uint32_t field,
                                                               uint64_t value)
{
    return value ? oto_pb_write_uint(b, field, value) : OTO_OK;
}
OTO_MUST_CHECK static inline enum oto_status oto_otlp_put_fixed64(struct oto_buffer *b,
                                                                  uint32_t field, uint64_t value)
{
    return value ? oto_pb_write_fixed64(b, field, value) : OTO_OK;
}
OTO_MUST_CHECK static inline enum oto_status oto_otlp_put_fixed32(struct oto_buffer *b,
                                                                  uint32_t field, uint32_t value)
{
    return value ? oto_pb_write_fixed32(b, field, value) : OTO_OK;
}
OTO_MUST_CHECK static inline enum oto_status
oto_otlp_put_bytes(struct oto_buffer *b, uint32_t field, struct oto_bytes value)
{
    return value.size ? oto_pb_write_bytes(b, field, value) : OTO_OK;
}
// int32 and enums: a negative one has ten bytes.
OTO_MUST_CHECK static inline enum oto_status oto_otlp_put_int(struct oto_buffer *b, uint32_t field,
                                                              int64_t value)
{
    return oto_otlp_put_uint(b, field, (uint64_t)value);
}
static inline uint32_t oto_otlp_zigzag(int32_t value)
{
    return (uint32_t)value << 1 ^ (uint32_t)(value >> 31);
}

#endif
