// The builder and its columns. All nodes lie in one array, top-level columns first, so a view is
// one copy.
#include "columns/column.h"

#define CAPACITY_HIGHER_LEVEL 64u // first allocation of what is not a row's
#define PARTS_A_ROW 8u            // of maps and lists, in their first allocation
#define CAPACITY_MAX (1u << 31)

static int has_dictionary(unsigned type)
{
    return type == OTO_TYPE_STRING || type == OTO_TYPE_BINARY;
}

static uint32_t child_count(const struct oto_field *field)
{
    return field->type == OTO_TYPE_MAP ? 2 : oto_field_width(field) ? 0 : field->child_count;
}

// Nodes of a field and below it: definitions are ours, a few levels deep.
static uint32_t count_nodes(const struct oto_field *field)
{
    uint32_t count = 1;
    if (field->type == OTO_TYPE_MAP)
        return 3;
    for (uint32_t i = 0; i < child_count(field); i++)
        count += count_nodes(&field->children[i]);
    return count;
}

// A map's two columns are implied by it; NULL when out of memory.
static const struct oto_field *map_fields(const struct oto_field *map, struct oto_arena *arena)
{
    struct oto_field *fields = oto_arena_alloc(arena, 2 * sizeof *fields);
    if (!fields)
        return NULL;
    fields[0] =
        (struct oto_field){.name = "key", .id = (uint16_t)(map->id + 1), .type = OTO_TYPE_STRING};
    fields[1] =
        (struct oto_field){.name = "value", .id = (uint16_t)(map->id + 2), .type = OTO_TYPE_STRING};
    fields[1].flags = map->flags & OTO_FIELD_BLOOM;
    return fields;
}

// Gives node i its children, at the end of the nodes so far.
static enum oto_status add_children(struct oto_builder *b, uint32_t i, uint32_t *nodes)
{
    struct oto_column *c = &b->columns[i];
    c->child_count = child_count(c->field);
    if (!c->child_count)
        return OTO_OK;
    const struct oto_field *fields = c->field->children;
    if (c->field->type == OTO_TYPE_MAP && !(fields = map_fields(c->field, b->arena)))
        return OTO_NO_MEMORY;
    c->children = &b->columns[*nodes];
    for (uint32_t k = 0; k < c->child_count; k++)
        c->children[k] = (struct oto_column){.field = &fields[k], .level = c->level};
    *nodes += c->child_count;
    return OTO_OK;
}

static enum oto_status init_nodes(struct oto_builder *b)
{
    uint32_t nodes = b->schema->field_count;
    static const uint32_t offset_zero = 0;
    uint32_t *zero = (uint32_t *)oto_arena_copy(b->arena, &offset_zero, sizeof offset_zero);
    if (!zero)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < nodes; i++) {
        const struct oto_field *field = b->schema->fields[i];
        b->columns[i] = (struct oto_column){.field = field, .level = field->level};
    }
    for (uint32_t i = 0; i < b->node_count; i++) {
        OTO_TRY(add_children(b, i, &nodes));
        if (!oto_field_width(b->columns[i].field))
            b->columns[i].offsets = zero; // never written: capacity is 0
        b->dictionary_count += (uint32_t)has_dictionary(b->columns[i].field->type);
    }
    return OTO_OK;
}

static enum oto_status init_dictionaries(struct oto_builder *b, uint64_t seed)
{
    struct oto_dictionary *next = oto_arena_alloc(b->arena, b->dictionary_count * sizeof *next);
    if (!next)
        return OTO_NO_MEMORY;
    b->dictionaries = next;
    for (uint32_t i = 0; i < b->node_count; i++) {
        if (!has_dictionary(b->columns[i].field->type))
            continue;
        oto_dictionary_init(next, b->arena, seed, 0);
        next->length = &b->columns[i].length;
        b->columns[i].dictionary = next++;
    }
    return OTO_OK;
}

enum oto_status oto_builder_init(struct oto_builder *b, const struct oto_schema *schema,
                                 struct oto_arena *arena, uint64_t hash_seed, uint32_t rows_reserve,
                                 struct oto_error *err)
{
    *b = (struct oto_builder){
        .schema = schema, .arena = arena, .rows_reserve = rows_reserve ? rows_reserve : 1};
    if (schema->level_count < 1 || schema->level_count > OTO_LEVEL_MAX)
        return oto_error_set(err, OTO_INTERNAL, "schema %s has %u levels", schema->name,
                             schema->level_count);
    for (uint32_t i = 0; i < schema->field_count; i++)
        b->node_count += count_nodes(schema->fields[i]);
    for (uint32_t level = 1; level < schema->level_count; level++)
        oto_dictionary_init(&b->levels[level].identity, arena, hash_seed, 1);
    b->columns = oto_arena_alloc(arena, b->node_count * sizeof *b->columns);
    if (!b->columns || init_nodes(b) != OTO_OK || init_dictionaries(b, hash_seed) != OTO_OK)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for a builder of %s", schema->name);
    return OTO_OK;
}

// Capacity for `more` beyond length: the first time `first`, then `growth` times as much. 0 when
// there can be none.
static uint32_t next_capacity(uint32_t capacity, uint32_t length, uint32_t more, uint32_t first,
                              uint32_t growth)
{
    uint64_t wanted = (uint64_t)length + more;
    uint64_t next = capacity ? growth * (uint64_t)capacity : first;
    while (next < wanted)
        next *= growth;
    return next <= CAPACITY_MAX && next <= SIZE_MAX / 32 ? (uint32_t)next : 0;
}

// Large arrays have memory of their own, so that outgrown ones can be given back; with those of
// rows that would be a fifth of a segment otherwise.
#define ALONE_MIN ((size_t)32 << 10)

static void *array_alloc(struct oto_arena *arena, size_t size)
{
    return size < ALONE_MIN ? oto_arena_alloc_aligned(arena, size, 64)
                            : oto_arena_alloc_alone(arena, size);
}

// Stays as it is where a view may have it.
static void array_free(struct oto_arena *arena, void *array, size_t size)
{
    if (array && size >= ALONE_MIN)
        oto_arena_free_alone(arena, array, size);
}

// A larger copy; NULL leaves the old one.
static void *larger(struct oto_arena *arena, const void *old, size_t kept_bytes, size_t size)
{
    uint8_t *block = array_alloc(arena, size);
    if (block && kept_bytes)
        memcpy(block, old, kept_bytes);
    return block;
}

static size_t validity_size(uint32_t capacity)
{
    return ((size_t)capacity + 7) / 8;
}

// A bitmap with room for `capacity` entries and more.
static enum oto_status grow_validity(struct oto_builder *b, struct oto_column *c, uint32_t capacity)
{
    uint32_t old = c->validity ? c->validity_capacity : 0;
    if (old && old >= capacity)
        return OTO_OK;
    uint32_t least = c->level ? CAPACITY_HIGHER_LEVEL : b->rows_reserve;
    least = old > least / 2 && old < CAPACITY_MAX ? 2 * old : least;
    capacity = capacity > least ? capacity : least;
    size_t size = validity_size(capacity), kept = old ? validity_size(c->length) : 0;
    uint8_t *bits = larger(b->arena, c->validity, kept, size);
    if (!bits)
        return OTO_NO_MEMORY;
    memset(bits + kept, 0xFF, size - kept);
    array_free(b->arena, c->validity, validity_size(old));
    c->validity = bits;
    c->validity_capacity = capacity;
    return OTO_OK;
}

// --- windows ---

// Puts a window where the next entry and the one before it are in it.
static void move_window(struct oto_column *c)
{
    c->window_first = c->length ? c->length - 1 : 0;
    c->capacity = c->window_first + OTO_COLUMN_WINDOW;
    c->values = (void *)((uintptr_t)c->window - c->window_first * oto_field_width(c->field));
}

static int is_zero(const void *data, size_t size)
{
    const uint8_t *bytes = data;
    return size == 0 || (bytes[0] == 0 && memcmp(bytes, bytes + 1, size - 1) == 0);
}

int oto_column_window_is_zero(const struct oto_column *c)
{
    return is_zero(c->window, (c->length - c->window_first) * oto_field_width(c->field));
}

// 1: there is room in a window for `more` values. 0: it takes an array.
static int grow_window(struct oto_builder *b, struct oto_column *c, uint32_t more)
{
    int is_row = !c->level && c < b->columns + b->schema->field_count;
    size_t width = oto_field_width(c->field);
    if (!b->has_windows || !is_row || !width || more >= OTO_COLUMN_WINDOW ||
        (c->capacity && !c->window))
        return 0;
    if (c->window && !oto_column_window_is_zero(c))
        return 0;
    if (!c->window)
        c->window = oto_arena_alloc_aligned(b->arena, OTO_COLUMN_WINDOW * width, 64);
    if (!c->window || (c->validity && grow_validity(b, c, c->length + OTO_COLUMN_WINDOW) < 0))
        return 0;
    move_window(c);
    memset(c->window, 0, width); // the entry before the next
    return 1;
}

// A window becomes an array of the values before it, all zero, and its own.
static void leave_window(struct oto_column *c, void *array)
{
    size_t width = oto_field_width(c->field), before = c->window_first * width;
    memset(array, 0, before);
    memcpy((uint8_t *)array + before, c->window, c->length * width - before);
    c->window = NULL;
}

enum oto_status oto_column_grow(struct oto_builder *b, struct oto_column *c, uint32_t more)
{
    if (grow_window(b, c, more))
        return OTO_OK;
    int is_nested = c >= b->columns + b->schema->field_count;
    uint32_t first = c->level ? CAPACITY_HIGHER_LEVEL : b->rows_reserve;
    if (!c->level && is_nested && first <= CAPACITY_MAX / PARTS_A_ROW)
        first *= PARTS_A_ROW;
    uint32_t growth = c->level ? 2 : OTO_ROWS_GROWTH, old = c->window ? 0 : c->capacity;
    uint32_t capacity = next_capacity(old, c->length, more, first, growth);
    if (!capacity)
        return OTO_NO_MEMORY;
    if (c->validity)
        OTO_TRY(grow_validity(b, c, capacity));
    size_t width = oto_field_width(c->field), one_more = !width;
    void **array = width ? &c->values : (void **)&c->offsets;
    width = width ? width : sizeof *c->offsets;
    size_t kept = c->window ? 0 : (c->length + one_more) * width;
    void *data = larger(b->arena, *array, kept, (capacity + one_more) * width);
    if (!data)
        return OTO_NO_MEMORY;
    if (c->window)
        leave_window(c, data);
    else if (old)
        array_free(b->arena, *array, (old + one_more) * width);
    *array = data;
    c->capacity = capacity;
    return OTO_OK;
}

enum oto_status oto_column_append_bytes(struct oto_builder *b, struct oto_column *c,
                                        struct oto_bytes value)
{
    OTO_TRY(oto_column_reserve(b, c, 1));
    uint32_t *codes = c->values;
    uint32_t hint = c->length ? codes[c->length - 1] : UINT32_MAX;
    OTO_TRY(oto_dictionary_add_hinted(c->dictionary, value, hint, &codes[c->length]));
    c->length++;
    return OTO_OK;
}

enum oto_status oto_column_append_id(struct oto_builder *b, struct oto_column *c,
                                     struct oto_bytes value)
{
    size_t width = oto_field_width(c->field);
    if (value.size == 0)
        return oto_column_append_null(b, c);
    if (value.size != width)
        return OTO_INVALID;
    OTO_TRY(oto_column_reserve(b, c, 1));
    uint8_t *slot = (uint8_t *)c->values + c->length * width;
    if (width == 16)
        memcpy(slot, value.data, 16);
    else
        memcpy(slot, value.data, 8);
    c->length++;
    return OTO_OK;
}

// Fixed sizes: gcc makes a string instruction of a memset of few bytes, ten times as slow.
static void zero_value(uint8_t *value, size_t width)
{
    switch (width) {
    case 1:
        *value = 0;
        break;
    case 4:
        memset(value, 0, 4);
        break;
    case 8:
        memset(value, 0, 8);
        break;
    default:
        memset(value, 0, 16);
    }
}

// Writes the byte of a bitmap that a view may share: bits below the view's length stay as they are,
// and its readers look at no other, so it does not matter which of both bytes they see. The one
// place where memory of a view is written; hence the word to ThreadSanitizer.
__attribute__((no_sanitize("thread"))) static void put_shared_byte(uint8_t *at, unsigned byte)
{
    *(volatile uint8_t *)at = (uint8_t)byte;
}

enum oto_status oto_column_append_null(struct oto_builder *b, struct oto_column *c)
{
    size_t width = oto_field_width(c->field);
    OTO_TRY(oto_column_reserve(b, c, 1));
    if (!c->validity)
        OTO_TRY(grow_validity(b, c, c->capacity));
    if (has_dictionary(c->field->type) && c->dictionary->count == 0) {
        uint32_t code;
        OTO_TRY(oto_dictionary_add(c->dictionary, (struct oto_bytes){NULL, 0}, &code));
    }
    if (width)
        zero_value((uint8_t *)c->values + c->length * width, width);
    else
        c->offsets[c->length + 1] = c->children[0].length;
    uint8_t *byte = &c->validity[c->length >> 3];
    put_shared_byte(byte, *byte & ~(1u << (c->length & 7)));
    c->length++;
    c->null_count++;
    return OTO_OK;
}

// Clears bits from..to: whole bytes at once, those at both ends as above.
static void clear_bits(uint8_t *bits, uint32_t from, uint32_t to)
{
    uint32_t first = from >> 3, last = to >> 3;
    unsigned below = (1u << (from & 7)) - 1, above = ~((1u << (to & 7)) - 1);
    if (first == last) {
        put_shared_byte(&bits[first], bits[first] & (below | above));
        return;
    }
    put_shared_byte(&bits[first], bits[first] & below);
    memset(&bits[first + 1], 0, last - first - 1);
    if (to & 7)
        bits[last] &= (uint8_t)above;
}

enum oto_status oto_column_append_nulls(struct oto_builder *b, struct oto_column *c, uint32_t count)
{
    size_t width = oto_field_width(c->field);
    if (count == 0)
        return OTO_OK;
    OTO_TRY(oto_column_append_null(b, c)); // makes what is not there yet
    for (uint32_t step, left = count - 1; left; left -= step) {
        step = c->window && left > OTO_COLUMN_WINDOW / 2 ? OTO_COLUMN_WINDOW / 2 : left;
        OTO_TRY(oto_column_reserve(b, c, step));
        memset((uint8_t *)c->values + c->length * width, 0, step * width);
        clear_bits(c->validity, c->length, c->length + step);
        c->length += step;
        c->null_count += step;
    }
    return OTO_OK;
}

void oto_column_lay_nulls(struct oto_column *c, uint32_t count)
{
    size_t width = oto_field_width(c->field);
    memset((uint8_t *)c->values + c->length * width, 0, count * width);
    clear_bits(c->validity, c->length, c->length + count);
}

// Bits from `from` to the end of the byte that `to` is in.
static void set_bits(uint8_t *bits, uint32_t from, uint32_t to)
{
    size_t whole = ((size_t)from + 7) / 8, end = ((size_t)to + 7) / 8;
    uint8_t *byte = &bits[from / 8];
    if (from % 8)
        put_shared_byte(byte, *byte | 0xFFu << from % 8);
    if (end > whole)
        memset(bits + whole, 0xFF, end - whole);
}

void oto_column_lift_nulls(struct oto_column *c, uint32_t count)
{
    set_bits(c->validity, c->length, c->length + count);
}

enum oto_status oto_column_append_end(struct oto_builder *b, struct oto_column *c)
{
    OTO_TRY(oto_column_reserve(b, c, 1));
    c->offsets[++c->length] = c->children[0].length;
    return OTO_OK;
}

// One more entry of a level that has a next one.
static enum oto_status append_link(struct oto_builder *b, struct oto_level *level, uint32_t first,
                                   uint32_t growth, uint32_t next_index)
{
    if (level->count == level->capacity) {
        uint32_t capacity = next_capacity(level->capacity, level->count, 1, first, growth);
        if (!capacity)
            return OTO_NO_MEMORY;
        uint32_t *link =
            larger(b->arena, level->link, level->count * sizeof *link, capacity * sizeof *link);
        if (!link)
            return OTO_NO_MEMORY;
        array_free(b->arena, level->link, level->capacity * sizeof *link);
        level->link = link;
        level->capacity = capacity;
    }
    level->link[level->count] = next_index;
    return OTO_OK;
}

enum oto_status oto_builder_entry(struct oto_builder *b, uint32_t level, struct oto_bytes identity,
                                  uint32_t next_index, uint32_t *ret_index, int *ret_is_new)
{
    struct oto_level *l = &b->levels[level];
    uint32_t index;
    OTO_TRY(oto_dictionary_add(&l->identity, identity, &index));
    *ret_is_new = index == l->count;
    if (*ret_is_new) {
        if (level + 1 < b->schema->level_count) {
            enum oto_status status = append_link(b, l, CAPACITY_HIGHER_LEVEL, 2, next_index);
            if (status != OTO_OK) {
                oto_dictionary_rollback(&l->identity, index);
                return status;
            }
        }
        l->count++;
    }
    *ret_index = index;
    return OTO_OK;
}

enum oto_status oto_builder_row(struct oto_builder *b, uint32_t next_index)
{
    if (b->schema->level_count > 1)
        OTO_TRY(append_link(b, &b->levels[0], b->rows_reserve, OTO_ROWS_GROWTH, next_index));
    b->levels[0].count++;
    return OTO_OK;
}

// A mark: the count of each level, then that of each dictionary (an identity dictionary has as many
// entries as its level). Between rows a column is as long as its level, and parts of maps and lists
// end where the last of these does.
size_t oto_builder_mark_size(const struct oto_builder *b)
{
    return (b->schema->level_count + (size_t)b->dictionary_count) * sizeof(uint32_t);
}

void oto_builder_mark(const struct oto_builder *b, uint32_t *mark)
{
    const struct oto_dictionary *d = b->dictionaries, *end = d + b->dictionary_count;
    for (uint32_t i = 0; i < b->schema->level_count; i++)
        *mark++ = b->levels[i].count;
    for (; d < end; d++)
        *mark++ = d->count;
}

// Bits from `from` to `to` that are 0.
static uint32_t count_nulls(const uint8_t *validity, uint32_t from, uint32_t to)
{
    uint32_t count = 0;
    for (uint32_t i = from; i < to; i++)
        count += !(validity[i >> 3] >> (i & 7) & 1);
    return count;
}

// Bits from length on must be 1 again, as appends leave them alone.
static void rollback_column(struct oto_column *c, uint32_t length)
{
    for (uint32_t i = 0; i < c->child_count; i++)
        rollback_column(&c->children[i], c->offsets[length]);
    if (c->validity && c->length > length) {
        c->null_count -= count_nulls(c->validity, length, c->length);
        set_bits(c->validity, length, c->length);
    }
    c->length = length;
    if (c->window && length <= c->window_first) { // all before it are zero
        move_window(c);
        memset(c->window, 0, oto_field_width(c->field));
    }
}

void oto_builder_rollback(struct oto_builder *b, const uint32_t *mark)
{
    for (uint32_t i = 0; i < b->schema->field_count; i++)
        rollback_column(&b->columns[i], mark[b->columns[i].level]);
    for (uint32_t i = 0; i < b->schema->level_count; i++) {
        b->levels[i].count = *mark++;
        if (i > 0)
            oto_dictionary_rollback(&b->levels[i].identity, b->levels[i].count);
    }
    for (uint32_t i = 0; i < b->dictionary_count; i++)
        oto_dictionary_rollback(&b->dictionaries[i], *mark++);
}
