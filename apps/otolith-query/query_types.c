// The types of our files' columns as DuckDB has them when it reads the files.
#include "query_rows.h"

// Of those without parts, and of maps, which are all alike.
static const struct {
    const char *name;
    duckdb_type type;
} types[] = {
    [OTO_TYPE_BOOL] = {"BOOLEAN", DUCKDB_TYPE_BOOLEAN},
    [OTO_TYPE_INT32] = {"INTEGER", DUCKDB_TYPE_INTEGER},
    [OTO_TYPE_INT64] = {"BIGINT", DUCKDB_TYPE_BIGINT},
    [OTO_TYPE_DOUBLE] = {"DOUBLE", DUCKDB_TYPE_DOUBLE},
    [OTO_TYPE_TIME] = {"TIMESTAMP WITH TIME ZONE", DUCKDB_TYPE_TIMESTAMP_TZ},
    [OTO_TYPE_STRING] = {"VARCHAR", DUCKDB_TYPE_VARCHAR},
    [OTO_TYPE_BINARY] = {"BLOB", DUCKDB_TYPE_BLOB},
    [OTO_TYPE_ID16] = {"VARCHAR", DUCKDB_TYPE_VARCHAR},
    [OTO_TYPE_ID8] = {"VARCHAR", DUCKDB_TYPE_VARCHAR},
    [OTO_TYPE_MAP] = {"MAP(VARCHAR, VARCHAR)", DUCKDB_TYPE_MAP},
};

static enum oto_status write_struct(const struct oto_field *field, struct oto_buffer *sql)
{
    OTO_TRY(oto_buffer_append_format(sql, "STRUCT("));
    for (uint16_t i = 0; i < field->child_count; i++) {
        OTO_TRY(oto_buffer_append_format(sql, i ? ", " : ""));
        OTO_TRY(query_append_quoted(sql, oto_bytes_text(field->children[i].name), '"'));
        OTO_TRY(oto_buffer_append_byte(sql, ' '));
        OTO_TRY(query_type_write(&field->children[i], sql));
    }
    return oto_buffer_append_format(sql, ")[]");
}

enum oto_status query_type_write(const struct oto_field *field, struct oto_buffer *sql)
{
    if (field->type == OTO_TYPE_STRUCTS)
        return write_struct(field, sql);
    if (field->type != OTO_TYPE_LIST)
        return oto_buffer_append_format(sql, "%s", types[field->type].name);
    OTO_TRY(query_type_write(field->children, sql));
    return oto_buffer_append_format(sql, "[]");
}

static duckdb_logical_type new_map(void)
{
    duckdb_logical_type text = duckdb_create_logical_type(DUCKDB_TYPE_VARCHAR);
    duckdb_logical_type map = duckdb_create_map_type(text, text);
    duckdb_destroy_logical_type(&text);
    return map;
}

#define PARTS_MAX 32

static duckdb_logical_type new_struct(const struct oto_field *field)
{
    duckdb_logical_type parts[PARTS_MAX], made = NULL;
    const char *names[PARTS_MAX];
    uint16_t count = 0;
    if (field->child_count > PARTS_MAX)
        return NULL;
    for (; count < field->child_count; count++) {
        names[count] = field->children[count].name;
        parts[count] = query_type_new(&field->children[count]);
        if (!parts[count])
            break;
    }
    if (count == field->child_count)
        made = duckdb_create_struct_type(parts, names, count);
    while (count)
        duckdb_destroy_logical_type(&parts[--count]);
    return made;
}

// Takes the element's type.
static duckdb_logical_type new_list(duckdb_logical_type element)
{
    duckdb_logical_type list = element ? duckdb_create_list_type(element) : NULL;
    duckdb_destroy_logical_type(&element);
    return list;
}

duckdb_logical_type query_type_new(const struct oto_field *field)
{
    switch (field->type) {
    case OTO_TYPE_MAP:
        return new_map();
    case OTO_TYPE_LIST:
        return new_list(query_type_new(field->children));
    case OTO_TYPE_STRUCTS:
        return new_list(new_struct(field));
    default:
        return duckdb_create_logical_type(types[field->type].type);
    }
}
