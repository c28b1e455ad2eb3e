#include "parquet/parquet_internal.h"

enum { CONVERTED_UTF8 = 0, CONVERTED_MAP = 1, CONVERTED_LIST = 3, CONVERTED_TIMESTAMP_MICROS = 10 };
enum { LOGICAL_STRING = 1, LOGICAL_MAP = 2, LOGICAL_LIST = 3, LOGICAL_TIMESTAMP = 8 };

static uint8_t physical_type(enum oto_type type)
{
    switch (type) {
    case OTO_TYPE_BOOL:
        return OTO_PARQUET_BOOLEAN;
    case OTO_TYPE_INT32:
        return OTO_PARQUET_INT32;
    case OTO_TYPE_INT64:
    case OTO_TYPE_TIME:
        return OTO_PARQUET_INT64;
    case OTO_TYPE_DOUBLE:
        return OTO_PARQUET_DOUBLE;
    default:
        return OTO_PARQUET_BYTE_ARRAY;
    }
}

static int is_id(enum oto_type type)
{
    return type == OTO_TYPE_ID16 || type == OTO_TYPE_ID8;
}

// Ids have an empty string where others have a null.
static int is_optional(const struct oto_field *field)
{
    return (field->flags & OTO_FIELD_NULLABLE) && !is_id((enum oto_type)field->type);
}

static void push_path(struct oto_parquet_leaf *leaf, const char *name)
{
    leaf->path[leaf->path_count++] = name;
}

static enum oto_status add_leaf(struct oto_parquet_leaf leaf, enum oto_type type,
                                const struct oto_column *column, int nullable,
                                struct oto_buffer *leaves)
{
    leaf.type = (uint8_t)type;
    leaf.physical = physical_type(type);
    leaf.column = column;
    leaf.nullable = (uint8_t)nullable;
    leaf.max_definition = (uint8_t)(leaf.max_repetition + nullable);
    return oto_buffer_append(leaves, &leaf, sizeof leaf);
}

// Goes one list deeper: the leaf's values are found through the offsets of column.
static enum oto_status enter_list(struct oto_parquet_leaf *leaf, const struct oto_column *column,
                                  struct oto_error *err)
{
    if (leaf->max_repetition == 2)
        return oto_error_set(err, OTO_UNSUPPORTED, "%s: lists nest deeper than two",
                             leaf->field->name);
    if (leaf->max_repetition++ == 0)
        leaf->outer = column->offsets;
    else
        leaf->inner = column->offsets;
    return OTO_OK;
}

static enum oto_status add_map(struct oto_parquet_leaf leaf, const struct oto_column *column,
                               struct oto_buffer *leaves, struct oto_error *err)
{
    OTO_TRY(enter_list(&leaf, column, err));
    push_path(&leaf, "key_value");
    struct oto_parquet_leaf key = leaf;
    push_path(&key, "key");
    key.bloom = 0;
    OTO_TRY(add_leaf(key, OTO_TYPE_STRING, &column->children[0], 0, leaves));
    push_path(&leaf, "value");
    return add_leaf(leaf, OTO_TYPE_STRING, &column->children[1], 0, leaves);
}

static enum oto_status add_column(struct oto_parquet_leaf leaf, const struct oto_field *field,
                                  const struct oto_column *column, struct oto_buffer *leaves,
                                  struct oto_error *err)
{
    enum oto_type type = (enum oto_type)field->type;
    push_path(&leaf, field->name);
    leaf.bloom = (field->flags & OTO_FIELD_BLOOM) != 0;
    if (type == OTO_TYPE_MAP)
        return add_map(leaf, column, leaves, err);
    if (type != OTO_TYPE_LIST && type != OTO_TYPE_STRUCTS)
        return add_leaf(leaf, type, column, is_optional(field), leaves);
    OTO_TRY(enter_list(&leaf, column, err));
    push_path(&leaf, "list");
    push_path(&leaf, "element");
    if (type == OTO_TYPE_LIST)
        return add_leaf(leaf, (enum oto_type)field->children[0].type, &column->children[0], 0,
                        leaves);
    if (leaf.max_repetition == 2) // a path has room for one struct
        return oto_error_set(err, OTO_UNSUPPORTED, "%s: structs in structs", field->name);
    for (uint32_t i = 0; i < field->child_count; i++)
        OTO_TRY(add_column(leaf, &field->children[i], &column->children[i], leaves, err));
    return OTO_OK;
}

enum oto_status oto_parquet_leaves(const struct oto_batch *batch, struct oto_buffer *leaves,
                                   struct oto_error *err)
{
    for (uint32_t i = 0; i < batch->schema->field_count; i++) {
        const struct oto_field *field = batch->schema->fields[i];
        struct oto_parquet_leaf leaf = {.field = field, .level = field->level};
        OTO_TRY(add_column(leaf, field, &batch->columns[i], leaves, err));
    }
    return OTO_OK;
}

// --- the schema of the footer ---
static void write_logical(struct oto_thrift_writer *w, int16_t kind)
{
    oto_thrift_field_struct(w, 10);
    oto_thrift_field_struct(w, kind);
    if (kind == LOGICAL_TIMESTAMP) {
        oto_thrift_field_bool(w, 1, 1); // adjusted to UTC
        oto_thrift_field_struct(w, 2);
        oto_thrift_field_struct(w, 2); // microseconds
        oto_thrift_struct_end(w);
        oto_thrift_struct_end(w);
    }
    oto_thrift_struct_end(w);
    oto_thrift_struct_end(w);
}

static void write_group(struct oto_thrift_writer *w, const char *name,
                        enum oto_parquet_repetition repetition, int child_count, int field_id,
                        int converted, int16_t logical)
{
    oto_thrift_struct_begin(w);
    oto_thrift_field_i32(w, 3, (int32_t)repetition);
    oto_thrift_field_text(w, 4, name);
    oto_thrift_field_i32(w, 5, child_count);
    if (converted >= 0)
        oto_thrift_field_i32(w, 6, converted);
    if (field_id >= 0)
        oto_thrift_field_i32(w, 9, field_id);
    if (logical)
        write_logical(w, logical);
    oto_thrift_struct_end(w);
}

static void write_primitive(struct oto_thrift_writer *w, enum oto_type type, const char *name,
                            int optional, int field_id)
{
    int is_text = type == OTO_TYPE_STRING || is_id(type);
    oto_thrift_struct_begin(w);
    oto_thrift_field_i32(w, 1, physical_type(type));
    oto_thrift_field_i32(w, 3, optional ? OTO_PARQUET_OPTIONAL : OTO_PARQUET_REQUIRED);
    oto_thrift_field_text(w, 4, name);
    if (is_text)
        oto_thrift_field_i32(w, 6, CONVERTED_UTF8);
    else if (type == OTO_TYPE_TIME)
        oto_thrift_field_i32(w, 6, CONVERTED_TIMESTAMP_MICROS);
    oto_thrift_field_i32(w, 9, field_id);
    if (is_text)
        write_logical(w, LOGICAL_STRING);
    else if (type == OTO_TYPE_TIME)
        write_logical(w, LOGICAL_TIMESTAMP);
    oto_thrift_struct_end(w);
}

static void write_field(struct oto_thrift_writer *w, const struct oto_field *field)
{
    enum oto_type type = (enum oto_type)field->type;
    int id = field->id;
    if (type == OTO_TYPE_MAP) {
        write_group(w, field->name, OTO_PARQUET_REQUIRED, 1, id, CONVERTED_MAP, LOGICAL_MAP);
        write_group(w, "key_value", OTO_PARQUET_REPEATED, 2, -1, -1, 0);
        write_primitive(w, OTO_TYPE_STRING, "key", 0, id + 1);
        write_primitive(w, OTO_TYPE_STRING, "value", 0, id + 2);
    } else if (type == OTO_TYPE_LIST || type == OTO_TYPE_STRUCTS) {
        write_group(w, field->name, OTO_PARQUET_REQUIRED, 1, id, CONVERTED_LIST, LOGICAL_LIST);
        write_group(w, "list", OTO_PARQUET_REPEATED, 1, -1, -1, 0);
        if (type == OTO_TYPE_LIST) {
            write_primitive(w, (enum oto_type)field->children[0].type, "element", 0, id + 1);
            return;
        }
        write_group(w, "element", OTO_PARQUET_REQUIRED, field->child_count, id + 1, -1, 0);
        for (uint32_t i = 0; i < field->child_count; i++)
            write_field(w, &field->children[i]);
    } else {
        write_primitive(w, type, field->name, is_optional(field), id);
    }
}

static size_t node_count(const struct oto_field *field)
{
    size_t count = 1;
    if (field->type == OTO_TYPE_MAP)
        return 4;
    if (field->type == OTO_TYPE_LIST)
        return 3;
    if (field->type != OTO_TYPE_STRUCTS)
        return 1;
    for (uint32_t i = 0; i < field->child_count; i++)
        count += node_count(&field->children[i]);
    return count + 2;
}

void oto_parquet_schema_write(struct oto_thrift_writer *w, const struct oto_schema *schema)
{
    size_t count = 1;
    for (uint32_t i = 0; i < schema->field_count; i++)
        count += node_count(schema->fields[i]);
    oto_thrift_field_list(w, 2, OTO_THRIFT_STRUCT, count);
    oto_thrift_struct_begin(w);
    oto_thrift_field_text(w, 4, "schema");
    oto_thrift_field_i32(w, 5, (int32_t)schema->field_count);
    oto_thrift_struct_end(w);
    for (uint32_t i = 0; i < schema->field_count; i++)
        write_field(w, schema->fields[i]);
}
