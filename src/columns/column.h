// Columns in Arrow's layout, strings dictionary-encoded: what decoders append to, what files are
// written from.
//
// A table's rows are kept in *levels*. Level 0 has one entry a row. What many rows share (resource,
// scope, metric, series) lies once in a higher level, and `link` of each level names the entry of
// the next level that an entry belongs to:
//   logs, traces:  row -> scope -> resource
//   metrics:       point -> series -> metric -> scope -> resource
// So a resource's twenty attributes are stored once a flush, not once a record.
//
// A builder appends; it belongs to one thread. A batch is an immutable view of a builder at a
// moment: it stays valid, for any thread, while the builder's arena lives, whatever is appended
// afterwards.
#ifndef OTO_COLUMNS_COLUMN_H
#define OTO_COLUMNS_COLUMN_H

#include "columns/dictionary.h"

enum oto_type {
    OTO_TYPE_BOOL,   // values: uint8_t 0 or 1
    OTO_TYPE_INT32,  // int32_t
    OTO_TYPE_INT64,  // int64_t
    OTO_TYPE_DOUBLE, // double
    OTO_TYPE_TIME,   // int64_t microseconds since 1970, UTC (timestamptz)
    OTO_TYPE_STRING, // uint32_t codes of a dictionary, valid UTF-8
    OTO_TYPE_BINARY, // uint32_t codes of a dictionary
    OTO_TYPE_ID16,   // 16 raw bytes, shown as 32 lower-case hex digits; empty string where validity
                     // is 0
    OTO_TYPE_ID8,    // 8 raw bytes, 16 hex digits; empty string where validity is 0
    OTO_TYPE_MAP,    // offsets; children: key (STRING), value (STRING), both required
    OTO_TYPE_LIST,   // offsets; one child: the element, required
    OTO_TYPE_STRUCTS // offsets; children: the fields of the list's struct elements (LIST<STRUCT>)
};

enum oto_field_flag {
    OTO_FIELD_NULLABLE = 1u << 0,
    OTO_FIELD_BLOOM = 1u << 1,    // bloom filter in files; on a MAP: on its values leaf
    OTO_FIELD_PROMOTED = 1u << 2, // taken from an attribute; `attribute` names it
    OTO_FIELD_SORTED = 1u << 3,   // ascends or is clustered in sorted files: delta pays
};

// One column of a table, or a part of a nested one. Definitions are constant data
// (telemetry/tables.h) but for configured promoted columns. Field ids are never reused; a MAP's key
// and value have id + 1 and id + 2, a LIST's element id + 1.
struct oto_field {
    const char *name;
    uint16_t id;
    uint8_t type;  // enum oto_type
    uint8_t level; // of top-level columns
    uint16_t flags;
    uint16_t child_count; // STRUCTS: its fields; LIST: 1; MAP: 0 (implied)
    const struct oto_field *children;
    const char *attribute; // promoted: the attribute's key
    const char *doc;       // one sentence, units included
};

// Bytes of one value in `values` of a column of this field; 0 for what has offsets instead.
static inline size_t oto_field_width(const struct oto_field *field)
{
    static const uint8_t widths[] = {
        [OTO_TYPE_BOOL] = 1, [OTO_TYPE_INT32] = 4,  [OTO_TYPE_INT64] = 8,  [OTO_TYPE_DOUBLE] = 8,
        [OTO_TYPE_TIME] = 8, [OTO_TYPE_STRING] = 4, [OTO_TYPE_BINARY] = 4, [OTO_TYPE_ID16] = 16,
        [OTO_TYPE_ID8] = 8,  [OTO_TYPE_MAP] = 0,    [OTO_TYPE_LIST] = 0,   [OTO_TYPE_STRUCTS] = 0,
    };
    return widths[field->type];
}

// In a builder with windows, a column of rows whose values were all zero so far (codes of one text,
// counts, flags, nulls) has no array, but a window of the last entries: `values` points so far
// before it that they are at their indices. Only those from `window_first` to `capacity` are there;
// the one before the next is among them. The first value that is not zero makes an array when the
// window is left. Views always have all values.
#define OTO_COLUMN_WINDOW 128u

struct oto_column {
    const struct oto_field *field;
    uint32_t length; // entries: of its level for top-level columns, elements for nested ones
    uint32_t capacity;
    uint32_t null_count;
    uint32_t validity_capacity; // at least capacity where there is validity
    uint32_t window_first;
    void *window;      // NULL: `values` is an array
    uint8_t *validity; // Arrow bitmap, LSB first; NULL: all valid. Bits beyond length are 1
    void *values;      // by type, see oto_type; NULL for MAP, LIST, STRUCTS
    uint32_t *offsets; // MAP, LIST, STRUCTS: length + 1, first is 0
    struct oto_dictionary *dictionary; // STRING, BINARY
    struct oto_column *children;       // MAP: 2
    uint32_t child_count;
    uint32_t level; // of the top-level column it belongs to
};

#define OTO_LEVEL_MAX 5

struct oto_level {
    uint32_t count;
    uint32_t capacity;
    uint32_t *link;                 // index in the next level; NULL for the last
    struct oto_dictionary identity; // levels above 0: identity bytes -> index
};

// The first field id of columns from configured attributes. An id is never given to another
// attribute of the same data folder; a name may be.
#define OTO_FIELD_ID_CONFIGURED 10000

// The columns of one table: names, types and levels, ready for a builder.
struct oto_schema {
    const char *name; // "logs", "metrics/gauge": the folder of the table
    const struct oto_field *const *fields;
    uint32_t field_count;
    uint32_t level_count;
};

struct oto_builder {
    const struct oto_schema *schema; // borrowed
    struct oto_arena *arena;         // borrowed: everything of this builder lies in it
    struct oto_level levels[OTO_LEVEL_MAX];
    struct oto_column *columns;          // schema->field_count, in its order; then all nested ones
    uint32_t node_count;                 // with these
    struct oto_dictionary *dictionaries; // of all STRING and BINARY nodes
    uint32_t dictionary_count;
    uint32_t rows_reserve; // first allocation of a level-0 column: untouched pages cost nothing
    int has_windows;       // 1, set before the first row: see OTO_COLUMN_WINDOW
};

// A full level-0 column grows to so many times its capacity, in one copy. Whoever knows how many
// rows will come reserves that part of them: until then another builder may have the large arrays.
#define OTO_ROWS_GROWTH 4u

// Makes an empty builder; columns take memory at their first append. Lives as long as its arena:
// there is no release.
OTO_MUST_CHECK enum oto_status oto_builder_init(struct oto_builder *b,
                                                const struct oto_schema *schema,
                                                struct oto_arena *arena, uint64_t hash_seed,
                                                uint32_t rows_reserve, struct oto_error *err);

// Room for `more` entries; slow path of the appends. OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_column_grow(struct oto_builder *b, struct oto_column *c,
                                               uint32_t more);
OTO_MUST_CHECK static inline enum oto_status oto_column_reserve(struct oto_builder *b,
                                                                struct oto_column *c, uint32_t more)
{
    return c->capacity - c->length >= more ? OTO_OK : oto_column_grow(b, c, more);
}

// Appends of one entry. Room must have been reserved for all but the string forms, which also find
// or make the code.
static inline void oto_column_append_i32(struct oto_column *c, int32_t v)
{
    ((int32_t *)c->values)[c->length++] = v;
}
static inline void oto_column_append_i64(struct oto_column *c, int64_t v)
{
    ((int64_t *)c->values)[c->length++] = v;
}
static inline void oto_column_append_double(struct oto_column *c, double v)
{
    ((double *)c->values)[c->length++] = v;
}
static inline void oto_column_append_bool(struct oto_column *c, int v)
{
    ((uint8_t *)c->values)[c->length++] = (uint8_t)(v != 0);
}
static inline void oto_column_append_code(struct oto_column *c, uint32_t code)
{
    ((uint32_t *)c->values)[c->length++] = code;
}
// STRING, BINARY: hinted by the previous entry of this column. Reserves.
OTO_MUST_CHECK enum oto_status oto_column_append_bytes(struct oto_builder *b, struct oto_column *c,
                                                       struct oto_bytes value);
// ID16, ID8: size must be 0 (stored as empty) or the type's, else OTO_INVALID. Reserves.
OTO_MUST_CHECK enum oto_status oto_column_append_id(struct oto_builder *b, struct oto_column *c,
                                                    struct oto_bytes value);
// A null: the value slot is zeroed (STRING: code 0, a dictionary entry is made when there is none).
// Reserves. Only where the field is NULLABLE, or for the empty ID.
OTO_MUST_CHECK enum oto_status oto_column_append_null(struct oto_builder *b, struct oto_column *c);
// The same, `count` times, for what is not a MAP, LIST or STRUCTS.
OTO_MUST_CHECK enum oto_status oto_column_append_nulls(struct oto_builder *b, struct oto_column *c,
                                                       uint32_t count);
// For callers that know where nulls will be before they know where not: writes `count` nulls behind
// the last entry without appending them, and takes those away that were not appended. There must be
// room for them, validity, and no window. Whoever puts a value in place of a null sets its bit, and
// whoever appends adds to length and null_count.
void oto_column_lay_nulls(struct oto_column *c, uint32_t count);
void oto_column_lift_nulls(struct oto_column *c, uint32_t count);
// MAP, LIST, STRUCTS: closes one entry whose children were appended: its offset is the children's
// length now. Reserves.
OTO_MUST_CHECK enum oto_status oto_column_append_end(struct oto_builder *b, struct oto_column *c);

// 1: all values in the window of a column are zero.
int oto_column_window_is_zero(const struct oto_column *c);

// 1: all values of this column of a view are known to be zero. 0 says nothing.
int oto_column_is_zero(const struct oto_column *c);

static inline int oto_column_valid(const struct oto_column *c, uint32_t index)
{
    return !c->validity || (c->validity[index >> 3] >> (index & 7) & 1);
}

// The entry of level (1…) with that identity, which must differ for entries that differ in
// next_index: *ret_is_new says that the caller must now append every column of that level once and,
// where there is a next level, that `link` was set to next_index. OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_builder_entry(struct oto_builder *b, uint32_t level,
                                                 struct oto_bytes identity, uint32_t next_index,
                                                 uint32_t *ret_index, int *ret_is_new);
// A new row of level 0 linked to next_index. OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_builder_row(struct oto_builder *b, uint32_t next_index);

// A mark of all lengths, to be taken when every row and entry has all its columns;
// oto_builder_mark_size gives its bytes. Rolling back restores exactly that state, but that memory
// stays taken and a dictionary that fell back to plain stays so. No view may have been taken since
// the mark.
size_t oto_builder_mark_size(const struct oto_builder *b);
void oto_builder_mark(const struct oto_builder *b, uint32_t *mark);
void oto_builder_rollback(struct oto_builder *b, const uint32_t *mark);

// An immutable view. Node structs are copied into memory from `allocator`, data is not (but for the
// latest values of columns that are zero until then). In a view
// `validity` is NULL where nothing is null, and dictionaries have no slots: oto_dictionary_find
// goes through their entries one by one. Nothing that a view can reach is written again, with one
// exception: the last byte of a validity bitmap, when length is no multiple of 8, may get nulls at
// bits past the view's length. Bits below it never change.
struct oto_batch {
    const struct oto_schema *schema;
    uint32_t row_count;
    struct {
        uint32_t count;
        const uint32_t *link;
    } levels[OTO_LEVEL_MAX];
    const struct oto_column *columns; // their nested columns and dictionaries hang from them
    const struct oto_allocator *allocator;
    void *memory;
    size_t memory_size;
};
// Ownership: returns owned (oto_batch_release); the data is the arena's. OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_builder_view(const struct oto_builder *b,
                                                const struct oto_allocator *allocator,
                                                struct oto_batch *ret_batch);
void oto_batch_release(struct oto_batch *batch);

// index of the level's entry for each of `count` rows (order[i], or first_row + i when order is
// NULL).
void oto_batch_level_indices(const struct oto_batch *batch, uint32_t level, const uint32_t *order,
                             uint32_t first_row, uint32_t count, uint32_t *ret_indices);

// Position of a top-level column by name; -1.
int oto_schema_find(const struct oto_schema *schema, const char *name);

#endif
