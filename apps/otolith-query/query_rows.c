#include "query_rows.h"

#include "base/text.h"
#include <stdatomic.h>
#include <stdlib.h>

#define CONSTANT (-1)

// A scan of a table's rows.
struct cursor {
    struct query_rows *rows;
    size_t batch;
    uint32_t row; // of the batch
    idx_t column_count;
    int columns[]; // those that DuckDB wants: which of the batches', or CONSTANT
};

// --- values ---

static void fill(duckdb_vector vector, const struct oto_column *c, uint32_t from, uint32_t count);

static void fill_validity(duckdb_vector vector, const struct oto_column *c, uint32_t from,
                          uint32_t count)
{
    if (!c->validity)
        return;
    duckdb_vector_ensure_validity_writable(vector);
    uint64_t *validity = duckdb_vector_get_validity(vector);
    for (uint32_t i = 0; i < count; i++)
        if (!oto_column_valid(c, from + i))
            duckdb_validity_set_row_invalid(validity, i);
}

static void fill_fixed(duckdb_vector vector, const struct oto_column *c, uint32_t from,
                       uint32_t count)
{
    size_t width = oto_field_width(c->field);
    if (count)
        memcpy(duckdb_vector_get_data(vector), (const uint8_t *)c->values + from * width,
               count * width);
    fill_validity(vector, c, from, count);
}

static void fill_bytes(duckdb_vector vector, const struct oto_column *c, uint32_t from,
                       uint32_t count)
{
    const uint32_t *codes = c->values;
    for (uint32_t i = 0; i < count; i++) {
        if (!oto_column_valid(c, from + i))
            continue;
        struct oto_bytes value = c->dictionary->entries[codes[from + i]];
        duckdb_vector_assign_string_element_len(
            vector, i, value.size ? (const char *)value.data : "", value.size);
    }
    fill_validity(vector, c, from, count);
}

// An id that is not there is an empty text.
static void fill_ids(duckdb_vector vector, const struct oto_column *c, uint32_t from,
                     uint32_t count)
{
    size_t width = oto_field_width(c->field);
    char text[32];
    for (uint32_t i = 0; i < count; i++) {
        const uint8_t *id = (const uint8_t *)c->values + (from + i) * width;
        oto_hex_encode(id, width, text);
        duckdb_vector_assign_string_element_len(vector, i, text,
                                                oto_column_valid(c, from + i) ? 2 * width : 0);
    }
}

static void fill_elements(duckdb_vector list, const struct oto_column *c, uint32_t from,
                          uint32_t count)
{
    duckdb_vector child = duckdb_list_vector_get_child(list);
    if (c->field->type == OTO_TYPE_LIST) {
        fill(child, &c->children[0], from, count);
        return;
    }
    for (uint32_t i = 0; i < c->child_count; i++)
        fill(duckdb_struct_vector_get_child(child, i), &c->children[i], from, count);
}

static void fill_lists(duckdb_vector vector, const struct oto_column *c, uint32_t from,
                       uint32_t count)
{
    uint32_t first = c->offsets[from], elements = c->offsets[from + count] - first;
    duckdb_list_entry *entries = duckdb_vector_get_data(vector);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t begin = c->offsets[from + i];
        entries[i] = (duckdb_list_entry){begin - first, c->offsets[from + i + 1] - begin};
    }
    (void)duckdb_list_vector_reserve(vector, elements);
    (void)duckdb_list_vector_set_size(vector, elements);
    fill_elements(vector, c, first, elements);
    fill_validity(vector, c, from, count);
}

// Depth: that of the schema, which is constant.
static void fill(duckdb_vector vector, const struct oto_column *c, uint32_t from, uint32_t count)
{
    switch (c->field->type) {
    case OTO_TYPE_STRING:
    case OTO_TYPE_BINARY:
        fill_bytes(vector, c, from, count);
        break;
    case OTO_TYPE_ID16:
    case OTO_TYPE_ID8:
        fill_ids(vector, c, from, count);
        break;
    case OTO_TYPE_MAP:
    case OTO_TYPE_LIST:
    case OTO_TYPE_STRUCTS:
        fill_lists(vector, c, from, count);
        break;
    default:
        fill_fixed(vector, c, from, count);
    }
}

static void fill_text(duckdb_vector vector, const char *text, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        duckdb_vector_assign_string_element(vector, i, text);
}

static void fill_constant(duckdb_vector vector, const struct query_constant *constant,
                          uint32_t count)
{
    if (!constant->key) {
        fill_text(vector, constant->value, count);
        return;
    }
    duckdb_list_entry *entries = duckdb_vector_get_data(vector);
    for (uint32_t i = 0; i < count; i++)
        entries[i] = (duckdb_list_entry){i, 1};
    (void)duckdb_list_vector_reserve(vector, count);
    (void)duckdb_list_vector_set_size(vector, count);
    duckdb_vector pair = duckdb_list_vector_get_child(vector);
    fill_text(duckdb_struct_vector_get_child(pair, 0), constant->key, count);
    fill_text(duckdb_struct_vector_get_child(pair, 1), constant->value, count);
}

// --- the function ---

// DuckDB sees to it that a thread has what another one wrote before it. ThreadSanitizer does not
// see that, but sees this.
static void hand_over(struct query_rows *rows)
{
    atomic_fetch_add(&rows->handed_over, 1);
}

static void bind(duckdb_bind_info info)
{
    struct query_views *views = duckdb_bind_get_extra_info(info);
    duckdb_value parameter = duckdb_bind_get_parameter(info, 0);
    int64_t table = duckdb_get_int64(parameter);
    duckdb_destroy_value(&parameter);
    if (table < 0 || (uint64_t)table >= views->settings->table_count ||
        !views->models[table].is_typed) {
        duckdb_bind_set_error(info, "there is no such table");
        return;
    }
    const struct query_model *model = &views->models[table];
    struct query_rows *rows = &views->rows[table];
    rows->model = model;
    idx_t count = 0;
    for (size_t i = 0; i < rows->batch_count; i++)
        count += rows->batches[i].row_count;
    for (size_t i = 0; i < model->field_count; i++)
        duckdb_bind_add_result_column(info, model->fields[i].name, model->fields[i].type);
    duckdb_bind_set_cardinality(info, count, false);
    hand_over(rows);
    duckdb_bind_set_bind_data(info, rows, NULL);
}

// Which of the batches' columns a column of the table is; -2: none was read.
static int find_column(const struct query_rows *rows, idx_t column)
{
    if (column >= rows->model->field_count)
        return -2;
    const char *name = rows->model->fields[column].name;
    if (rows->constant.column && strcmp(rows->constant.column, name) == 0)
        return CONSTANT;
    int found = rows->batch_count ? oto_schema_find(rows->batches[0].schema, name) : 0;
    return found < 0 ? -2 : found;
}

static void begin(duckdb_init_info info)
{
    struct query_views *views = duckdb_init_get_extra_info(info);
    struct query_rows *rows = duckdb_init_get_bind_data(info);
    hand_over(rows);
    idx_t count = duckdb_init_get_column_count(info);
    struct cursor *cursor = calloc(1, sizeof(*cursor) + count * sizeof(cursor->columns[0]));
    if (!cursor) {
        views->lacks_memory = 1;
        duckdb_init_set_error(info, "out of memory");
        return;
    }
    cursor->rows = rows;
    cursor->column_count = count;
    duckdb_init_set_init_data(info, cursor, free);
    for (idx_t i = 0; i < count; i++) {
        cursor->columns[i] = find_column(rows, duckdb_init_get_column_index(info, i));
        if (rows->batch_count && cursor->columns[i] == -2)
            duckdb_init_set_error(info, "a column of picked rows was not read");
    }
    hand_over(rows);
}

static void give(duckdb_function_info info, duckdb_data_chunk chunk)
{
    struct cursor *cursor = duckdb_function_get_init_data(info);
    struct query_rows *rows = cursor->rows;
    hand_over(rows);
    uint32_t most = (uint32_t)duckdb_vector_size(), count = 0;
    while (cursor->batch < rows->batch_count &&
           cursor->row == rows->batches[cursor->batch].row_count) {
        cursor->batch++;
        cursor->row = 0;
    }
    if (cursor->batch < rows->batch_count) {
        const struct oto_batch *batch = &rows->batches[cursor->batch];
        count = batch->row_count - cursor->row;
        count = count < most ? count : most;
        for (idx_t i = 0; i < cursor->column_count; i++) {
            duckdb_vector vector = duckdb_data_chunk_get_vector(chunk, i);
            if (cursor->columns[i] == CONSTANT)
                fill_constant(vector, &rows->constant, count);
            else
                fill(vector, &batch->columns[cursor->columns[i]], cursor->row, count);
        }
        cursor->row += count;
    }
    duckdb_data_chunk_set_size(chunk, count);
    hand_over(rows);
}

enum oto_status query_rows_register(duckdb_connection connection, struct query_views *views,
                                    struct oto_error *err)
{
    duckdb_table_function function = duckdb_create_table_function();
    duckdb_logical_type number = duckdb_create_logical_type(DUCKDB_TYPE_BIGINT);
    duckdb_table_function_set_name(function, "oto_rows");
    duckdb_table_function_add_parameter(function, number);
    duckdb_table_function_set_extra_info(function, views, NULL);
    duckdb_table_function_set_bind(function, bind);
    duckdb_table_function_set_init(function, begin);
    duckdb_table_function_set_function(function, give);
    duckdb_table_function_supports_projection_pushdown(function, true);
    duckdb_state state = duckdb_register_table_function(connection, function);
    duckdb_destroy_logical_type(&number);
    duckdb_destroy_table_function(&function);
    return state == DuckDBError ? oto_error_set(err, OTO_INTERNAL, "DuckDB: no function for rows")
                                : OTO_OK;
}

void query_rows_clear(struct query_rows *rows)
{
    hand_over(rows);
    free(rows->constant.column);
    free(rows->constant.key);
    free(rows->constant.value);
    *rows = (struct query_rows){0};
}
