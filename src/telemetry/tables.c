// The seven schemas: the fixed columns of tables_columns.c, then the configured promotions.
#include "telemetry/tables.h"
#include "telemetry/tables_columns.h"

struct oto_schemas {
    const struct oto_allocator *allocator;
    size_t memory_size;
    struct oto_schema tables[OTO_TABLE_COUNT];
};

// How schemas are made.
enum {
    IS_FLAT = 1 << 0,            // all columns are of level 0
    LEAVES_CLASHES_OUT = 1 << 1, // does not refuse them
};

const char *oto_table_folder(enum oto_table table)
{
    return oto_table_definitions[table].folder;
}

const char *oto_table_name(enum oto_table table)
{
    return oto_table_definitions[table].name;
}

enum oto_signal oto_table_signal(enum oto_table table)
{
    return oto_table_definitions[table].signal;
}

uint32_t oto_table_sorted_by(enum oto_table table, const char *const **ret_names)
{
    *ret_names = oto_table_definitions[table].sorted_by;
    return oto_table_definitions[table].sorted_by_count;
}

static uint32_t fixed_count(enum oto_table table)
{
    uint32_t count = 0;
    for (int g = 0; g < OTO_COLUMN_GROUPS_MAX; g++)
        count += oto_table_definitions[table].groups[g].count;
    return count;
}

// The fixed columns come first in every schema, so their positions need no schema.
uint32_t oto_table_time_column(enum oto_table table)
{
    const struct oto_table_definition *definition = &oto_table_definitions[table];
    uint32_t index = 0;
    for (int g = 0; g < OTO_COLUMN_GROUPS_MAX; g++)
        for (uint32_t f = 0; f < definition->groups[g].count; f++, index++)
            if (strcmp(definition->groups[g].fields[f].name, definition->time_column) == 0)
                return index;
    return 0;
}

static int is_letter_or_digit(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static char to_lower(char c)
{
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

size_t oto_column_name_from_attribute(const char *attribute, char *output, size_t output_size)
{
    size_t length = 0;
    int upper = 1;
    for (; *attribute; attribute++) {
        char c = *attribute;
        if (!is_letter_or_digit(c)) {
            upper = 1;
            continue;
        }
        if (length + 1 >= output_size || (length == 0 && c <= '9'))
            return 0;
        output[length++] = upper && c >= 'a' ? (char)(c - 'a' + 'A') : c;
        upper = 0;
    }
    if (length == 0)
        return 0;
    output[length] = 0;
    return length;
}

// --- making the schemas ---

struct schema_memory {
    struct oto_schemas *schemas;
    const struct oto_field **pointers;
    struct oto_field *promoted;
    struct oto_field *flat; // copies of all fields, where they are flat
    char *names;
    size_t size;
};

// Lays out one block: the schemas, their column lists, the configured fields, copies of all fields
// where they are to be flat, and the names.
static struct schema_memory lay_out(const struct oto_allocator *allocator, size_t count,
                                    int is_flat)
{
    size_t pointer_count = OTO_TABLE_COUNT * count;
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        pointer_count += fixed_count((enum oto_table)t);
    size_t fields_at = sizeof(struct oto_schemas) + pointer_count * sizeof(struct oto_field *);
    size_t flat_at = fields_at + OTO_TABLE_COUNT * count * sizeof(struct oto_field);
    size_t names_at = flat_at + (is_flat ? pointer_count * sizeof(struct oto_field) : 0);
    struct schema_memory m = {.size = names_at + count * OTO_COLUMN_NAME_MAX};
    uint8_t *block = oto_alloc(allocator, m.size);
    if (!block)
        return m;
    memset(block, 0, m.size);
    m.schemas = (struct oto_schemas *)(void *)block;
    m.pointers = (const struct oto_field **)(void *)(block + sizeof(struct oto_schemas));
    m.promoted = (struct oto_field *)(void *)(block + fields_at);
    m.flat = (struct oto_field *)(void *)(block + flat_at);
    m.names = (char *)(block + names_at);
    return m;
}

static void add_fixed(enum oto_table table, const struct oto_field **fields)
{
    for (int g = 0; g < OTO_COLUMN_GROUPS_MAX; g++) {
        const struct oto_column_group *group = &oto_table_definitions[table].groups[g];
        for (uint32_t f = 0; f < group->count; f++)
            *fields++ = &group->fields[f];
    }
}

int oto_is_same_column_name(const char *a, const char *b)
{
    for (; *a && to_lower(*a) == to_lower(*b); a++, b++)
        ;
    return *a == *b;
}

static const struct oto_field *find(const struct oto_schema *schema, const char *name)
{
    for (uint32_t f = 0; f < schema->field_count; f++)
        if (oto_is_same_column_name(schema->fields[f]->name, name))
            return schema->fields[f];
    return NULL;
}

// Adds a configured column, unless the table has one from that attribute already.
static enum oto_status add_promotion(enum oto_table table, struct oto_schema *schema,
                                     const struct oto_field **fields,
                                     const struct oto_promotion *promotion, const char *name,
                                     struct oto_field *field, struct oto_error *err)
{
    const struct oto_field *same = find(schema, name);
    if (same && same->attribute && strcmp(same->attribute, promotion->attribute) == 0)
        return OTO_OK;
    if (same)
        return oto_error_set(
            err, OTO_EXISTS,
            "promote: attribute %s would be column %s, which %s has for something else",
            promotion->attribute, name, schema->name);
    *field = (struct oto_field){
        .name = name,
        .id = promotion->field_id,
        .type = OTO_TYPE_STRING,
        .level = (uint8_t)oto_table_definitions[table].record_level,
        .flags = OTO_FIELD_NULLABLE | OTO_FIELD_PROMOTED,
        .attribute = promotion->attribute,
        .doc = "A promoted attribute of the record or, failing that, of the resource.",
    };
    fields[schema->field_count++] = field;
    return OTO_OK;
}

// A name that cannot be made stays empty.
static enum oto_status make_names(struct schema_memory *m, const struct oto_promotion *promotions,
                                  size_t count, int flags, struct oto_error *err)
{
    for (size_t p = 0; p < count; p++) {
        char *name = m->names + p * OTO_COLUMN_NAME_MAX;
        if (oto_column_name_from_attribute(promotions[p].attribute, name, OTO_COLUMN_NAME_MAX))
            continue;
        if (!(flags & LEAVES_CLASHES_OUT))
            return oto_error_set(err, OTO_INVALID,
                                 "promote: no column can be named after attribute %s",
                                 promotions[p].attribute);
        name[0] = 0;
    }
    return OTO_OK;
}

static enum oto_status fill(struct schema_memory *m, const struct oto_promotion *promotions,
                            size_t count, int flags, struct oto_error *err)
{
    const struct oto_field **fields = m->pointers;
    struct oto_field *field = m->promoted;
    OTO_TRY(make_names(m, promotions, count, flags, err));
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        enum oto_table table = (enum oto_table)t;
        struct oto_schema *schema = &m->schemas->tables[t];
        *schema = (struct oto_schema){.name = oto_table_folder(table),
                                      .fields = fields,
                                      .field_count = fixed_count(table),
                                      .level_count = oto_table_definitions[t].level_count};
        add_fixed(table, fields);
        for (size_t p = 0; p < count; p++) {
            const char *name = m->names + p * OTO_COLUMN_NAME_MAX;
            if ((flags & LEAVES_CLASHES_OUT) && (!*name || find(schema, name)))
                continue;
            OTO_TRY(add_promotion(table, schema, fields, &promotions[p], name, field++, err));
        }
        fields += schema->field_count;
    }
    return OTO_OK;
}

// Replaces every field by a copy of level 0.
static void flatten(struct schema_memory *m)
{
    struct oto_field *copy = m->flat;
    const struct oto_field **fields = m->pointers;
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        struct oto_schema *schema = &m->schemas->tables[t];
        for (uint32_t f = 0; f < schema->field_count; f++, copy++) {
            *copy = *fields[f];
            copy->level = 0;
            fields[f] = copy;
        }
        fields += schema->field_count;
        schema->level_count = 1;
    }
}

static struct oto_schemas *schemas_new(const struct oto_allocator *allocator,
                                       const struct oto_promotion *promotions, size_t count,
                                       int flags, struct oto_error *err)
{
    struct schema_memory m = lay_out(allocator, count, flags & IS_FLAT);
    if (!m.schemas) {
        oto_error_set(err, OTO_NO_MEMORY, "no memory for the table schemas");
        return NULL;
    }
    m.schemas->allocator = allocator;
    m.schemas->memory_size = m.size;
    if (fill(&m, promotions, count, flags, err) < 0) {
        oto_schemas_free(m.schemas);
        return NULL;
    }
    if (flags & IS_FLAT)
        flatten(&m);
    return m.schemas;
}

struct oto_schemas *oto_schemas_new(const struct oto_allocator *allocator,
                                    const struct oto_promotion *promotions, size_t count,
                                    struct oto_error *err)
{
    return schemas_new(allocator, promotions, count, 0, err);
}

struct oto_schemas *oto_schemas_new_known(const struct oto_allocator *allocator,
                                          const struct oto_promotion *promotions, size_t count,
                                          struct oto_error *err)
{
    return schemas_new(allocator, promotions, count, LEAVES_CLASHES_OUT, err);
}

struct oto_schemas *oto_schemas_new_flat(const struct oto_allocator *allocator,
                                         const struct oto_promotion *promotions, size_t count,
                                         struct oto_error *err)
{
    return schemas_new(allocator, promotions, count, IS_FLAT, err);
}

void oto_schemas_free(struct oto_schemas *schemas)
{
    if (schemas)
        oto_free(schemas->allocator, schemas, schemas->memory_size);
}

const struct oto_schema *oto_schemas_table(const struct oto_schemas *schemas, enum oto_table table)
{
    return &schemas->tables[table];
}
