// Views of builders.
#include "columns/column.h"

// What columns without an array show. Never written, but not const: so it lies where the system
// gives pages of zeros that take no memory.
#ifdef __wasm__
#define ZEROS_BYTES (64u << 10)
#else
#define ZEROS_BYTES (1u << 20)
#endif
static uint8_t zeros[ZEROS_BYTES];

int oto_column_is_zero(const struct oto_column *c)
{
    return c->values == zeros;
}

// Bytes of an array that a view needs for a column that has none, a multiple of 64.
static size_t array_size(const struct oto_column *c)
{
    size_t size = c->length * oto_field_width(c->field);
    if (!c->window || (size <= ZEROS_BYTES && oto_column_window_is_zero(c)))
        return 0;
    return (size + 63) & ~(size_t)63;
}

static size_t arrays_size(const struct oto_builder *b)
{
    size_t size = 0;
    for (uint32_t i = 0; i < b->schema->field_count; i++)
        size += array_size(&b->columns[i]);
    return size;
}

// Gives a column of a view its array, at `memory` where it needs one of its own. Returns that's
// size.
static size_t set_array(struct oto_column *c, uint8_t *memory)
{
    size_t size = array_size(c), before = c->window_first * oto_field_width(c->field);
    if (size) {
        memset(memory, 0, before);
        memcpy(memory + before, c->window, c->length * oto_field_width(c->field) - before);
    }
    if (c->window)
        c->values = size ? memory : zeros;
    c->window = NULL;
    return size;
}

enum oto_status oto_builder_view(const struct oto_builder *b, const struct oto_allocator *allocator,
                                 struct oto_batch *ret_batch)
{
    size_t nodes_size = b->node_count * sizeof *b->columns;
    size_t dictionaries_size = b->dictionary_count * sizeof *b->dictionaries;
    size_t arrays_at = (nodes_size + dictionaries_size + 63) & ~(size_t)63;
    size_t size = arrays_at + arrays_size(b);
    uint8_t *memory = oto_alloc(allocator, size);
    if (!memory)
        return OTO_NO_MEMORY;
    struct oto_column *nodes = (struct oto_column *)(void *)memory;
    struct oto_dictionary *dictionaries = (struct oto_dictionary *)(void *)(memory + nodes_size);
    oto_arena_share(b->arena);
    memcpy(nodes, b->columns, nodes_size);
    if (b->dictionary_count)
        memcpy(dictionaries, b->dictionaries, dictionaries_size);
    for (uint32_t i = 0; i < b->dictionary_count; i++) {
        dictionaries[i].arena = NULL;
        dictionaries[i].slots = NULL;
    }
    uint8_t *array = memory + arrays_at;
    for (struct oto_column *c = nodes; c < nodes + b->node_count; c++) {
        array += set_array(c, array);
        if (c->children)
            c->children = nodes + (c->children - b->columns);
        if (c->dictionary)
            c->dictionary = dictionaries + (c->dictionary - b->dictionaries);
        if (!c->null_count)
            c->validity = NULL;
    }
    *ret_batch = (struct oto_batch){.schema = b->schema,
                                    .row_count = b->levels[0].count,
                                    .columns = nodes,
                                    .allocator = allocator,
                                    .memory = memory,
                                    .memory_size = size};
    for (uint32_t i = 0; i < b->schema->level_count; i++) {
        ret_batch->levels[i].count = b->levels[i].count;
        ret_batch->levels[i].link = b->levels[i].link;
    }
    return OTO_OK;
}

void oto_batch_release(struct oto_batch *batch)
{
    if (batch->memory)
        oto_free(batch->allocator, batch->memory, batch->memory_size);
    *batch = (struct oto_batch){0};
}

// One loop a depth: the loads of neighbouring rows overlap.
#define FOLLOW(step)                                                                               \
    do {                                                                                           \
        for (uint32_t i = 0; i < count; i++) {                                                     \
            uint32_t at = order ? order[i] : first_row + i;                                        \
            ret_indices[i] = (step);                                                               \
        }                                                                                          \
        return;                                                                                    \
    } while (0)

void oto_batch_level_indices(const struct oto_batch *batch, uint32_t level, const uint32_t *order,
                             uint32_t first_row, uint32_t count, uint32_t *ret_indices)
{
    const uint32_t *a = batch->levels[0].link, *b = batch->levels[1].link;
    const uint32_t *c = batch->levels[2].link, *d = batch->levels[3].link;
    switch (level) {
    case 0:
        FOLLOW(at);
    case 1:
        FOLLOW(a[at]);
    case 2:
        FOLLOW(b[a[at]]);
    case 3:
        FOLLOW(c[b[a[at]]]);
    default:
        FOLLOW(d[c[b[a[at]]]]);
    }
}

int oto_schema_find(const struct oto_schema *schema, const char *name)
{
    for (uint32_t i = 0; i < schema->field_count; i++)
        if (strcmp(schema->fields[i]->name, name) == 0)
            return (int)i;
    return -1;
}
