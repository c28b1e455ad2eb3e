// A file's columns against those of its table: names, types, nullability and field ids.
#include "inspect/verify_internal.h"

#include <stdio.h>

enum { GROUP = -1, BOOLEAN = 0, INT32 = 1, INT64 = 2, DOUBLE = 5, BYTE_ARRAY = 6 };
enum { REQUIRED = 0, OPTIONAL = 1, REPEATED = 2 };
#define MICROSECONDS 2
#define PROMOTED_ID_MIN 10000 // configured columns: every folder has its own

struct check {
    struct oto_verify *v;
    const struct oto_verify_file *file;
    const struct oto_parquet_node *nodes;
};

static int physical_of(unsigned type)
{
    switch (type) {
    case OTO_TYPE_BOOL:
        return BOOLEAN;
    case OTO_TYPE_INT32:
        return INT32;
    case OTO_TYPE_INT64:
    case OTO_TYPE_TIME:
        return INT64;
    case OTO_TYPE_DOUBLE:
        return DOUBLE;
    case OTO_TYPE_MAP:
    case OTO_TYPE_LIST:
    case OTO_TYPE_STRUCTS:
        return GROUP;
    default:
        return BYTE_ARRAY;
    }
}

static void check_node(const struct check *c, const char *column,
                       const struct oto_parquet_node *node, const struct oto_field *field)
{
    int is_id = field->type == OTO_TYPE_ID16 || field->type == OTO_TYPE_ID8;
    int repetition = (field->flags & OTO_FIELD_NULLABLE) && !is_id ? OPTIONAL : REQUIRED;
    char type[OTO_PARQUET_TEXT_MAX];
    int is_time = field->type == OTO_TYPE_TIME;
    if (node->physical != physical_of(field->type) ||
        (is_time && (node->time_unit != MICROSECONDS || !node->is_utc)) ||
        (!is_time && node->time_unit) ||
        (is_id &&
         !oto_bytes_equal_text(oto_bytes_text(oto_parquet_type_text(node, type)), "string")))
        oto_verify_problem(c->v, c->file->name, OTO_OFFSET_NONE, "column %s is of type %s", column,
                           oto_parquet_type_text(node, type));
    if (node->repetition != repetition)
        oto_verify_problem(c->v, c->file->name, OTO_OFFSET_NONE, "column %s is %s", column,
                           oto_parquet_repetition_name(node->repetition));
    if (node->field_id != field->id)
        oto_verify_problem(c->v, c->file->name, OTO_OFFSET_NONE,
                           "column %s has field id %d, its table says %u", column, node->field_id,
                           field->id);
}

static const struct oto_parquet_node *find_child(const struct check *c, uint32_t parent,
                                                 const char *name)
{
    for (uint32_t i = parent + 1; i < c->nodes[parent].end; i = c->nodes[i].end)
        if (oto_bytes_equal_text(c->nodes[i].name, name))
            return &c->nodes[i];
    return NULL;
}

static void check_field(const struct check *c, uint32_t parent, const char *prefix,
                        const struct oto_field *field, int may_lack);

// Children of the repeated group below a map or list. Depth is that of our own tables.
static void check_children(const struct check *c, const struct oto_parquet_node *node,
                           const char *column, const struct oto_field *field)
{
    static const char *const map_parts[] = {"key", "value"};
    uint32_t inner = (uint32_t)(node - c->nodes) + 1;
    if (node->child_count != 1 || c->nodes[inner].repetition != REPEATED) {
        oto_verify_problem(c->v, c->file->name, OTO_OFFSET_NONE, "column %s has another shape",
                           column);
        return;
    }
    if (field->type == OTO_TYPE_MAP) {
        for (uint16_t i = 0; i < 2; i++) {
            struct oto_field part = {
                .name = map_parts[i], .id = (uint16_t)(field->id + 1 + i), .type = OTO_TYPE_STRING};
            check_field(c, inner, column, &part, 0);
        }
    } else if (field->type == OTO_TYPE_LIST) {
        struct oto_field part = field->children[0];
        part.name = "element";
        part.id = (uint16_t)(field->id + 1);
        check_field(c, inner, column, &part, 0);
    } else {
        const struct oto_parquet_node *element = find_child(c, inner, "element");
        for (uint32_t i = 0; element && i < field->child_count; i++)
            check_field(c, (uint32_t)(element - c->nodes), column, &field->children[i], 1);
    }
}

static void check_field(const struct check *c, uint32_t parent, const char *prefix,
                        const struct oto_field *field, int may_lack)
{
    char column[OTO_PARQUET_TEXT_MAX];
    const struct oto_parquet_node *node = find_child(c, parent, field->name);
    (void)snprintf(column, sizeof column, "%s%s%s", prefix, *prefix ? "." : "", field->name);
    if (!node) { // a column that came later can be null in older files
        if (!may_lack || !(field->flags & OTO_FIELD_NULLABLE))
            oto_verify_problem(c->v, c->file->name, OTO_OFFSET_NONE, "column %s is missing",
                               column);
        return;
    }
    check_node(c, column, node, field);
    if (physical_of(field->type) == GROUP && node->physical == GROUP)
        check_children(c, node, column, field);
}

static void check_unknown(const struct check *c, const struct oto_schema *schema,
                          const struct oto_parquet_node *node)
{
    for (uint32_t f = 0; f < schema->field_count; f++)
        if (oto_bytes_equal_text(node->name, schema->fields[f]->name))
            return;
    if (node->field_id >= PROMOTED_ID_MIN && node->physical == BYTE_ARRAY &&
        node->repetition == OPTIONAL)
        return;
    oto_verify_problem(c->v, c->file->name, OTO_OFFSET_NONE, "column %.*s is none of %s",
                       (int)node->name.size, (const char *)node->name.data,
                       oto_table_name(c->file->table));
}

void oto_verify_schema(struct oto_verify *v, const struct oto_verify_file *file,
                       const struct oto_parquet_metadata *metadata)
{
    const struct oto_schema *schema = oto_schemas_table(v->schemas, file->table);
    struct check c = {.v = v, .file = file, .nodes = metadata->nodes};
    for (uint32_t f = 0; f < schema->field_count; f++)
        check_field(&c, 0, "", schema->fields[f], 1);
    for (uint32_t i = 1; i < metadata->node_count; i = metadata->nodes[i].end)
        check_unknown(&c, schema, &metadata->nodes[i]);
}
