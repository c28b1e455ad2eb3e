// Asks DuckDB for the plan of a query.
#include "query_plan.h"

#include "query_process.h"
#include <string.h>

#define JSON_BYTES_MAX (16u << 20)

// The second column of EXPLAIN's one row.
static enum oto_status fetch_plan(duckdb_result result, struct oto_buffer *json)
{
    enum oto_status status = OTO_INVALID;
    duckdb_data_chunk chunk = duckdb_fetch_chunk(result);
    if (chunk && duckdb_data_chunk_get_size(chunk) == 1 &&
        duckdb_data_chunk_get_column_count(chunk) == 2) {
        duckdb_string_t *text = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 1));
        status = oto_buffer_append(json, duckdb_string_t_data(text), duckdb_string_t_length(*text));
    }
    duckdb_destroy_data_chunk(&chunk);
    return status;
}

static enum oto_status explain(struct query_database *db, const char *sql,
                               struct oto_bytes parameters_json, struct oto_buffer *json)
{
    struct oto_buffer text;
    duckdb_prepared_statement statement = NULL;
    duckdb_result result;
    oto_buffer_init(&text, &oto_allocator_heap, 1u << 30);
    enum oto_status status = oto_buffer_append_format(&text, "EXPLAIN (FORMAT JSON) ");
    if (status == OTO_OK)
        status = oto_buffer_append(&text, sql, strlen(sql) + 1);
    if (status == OTO_OK && !parameters_json.size) {
        // What is prepared is planned again when it runs.
        status = duckdb_query(db->plan, (const char *)text.data, &result) == DuckDBError
                     ? OTO_INVALID
                     : fetch_plan(result, json);
        duckdb_destroy_result(&result);
        oto_buffer_release(&text);
        return status;
    }
    if (status == OTO_OK &&
        duckdb_prepare(db->plan, (const char *)text.data, &statement) == DuckDBError)
        status = OTO_INVALID;
    oto_buffer_release(&text);
    if (status == OTO_OK)
        status = query_parameters_bind(statement, parameters_json, NULL);
    if (status == OTO_OK) {
        status = duckdb_execute_prepared(statement, &result) == DuckDBError
                     ? OTO_INVALID
                     : fetch_plan(result, json);
        duckdb_destroy_result(&result);
    }
    duckdb_destroy_prepare(&statement);
    return status;
}

void query_plan_make(struct query_plan *plan, struct query_database *db, const char *sql,
                     struct oto_bytes parameters_json, size_t table_count)
{
    struct oto_buffer json;
    oto_buffer_init(&json, &oto_allocator_heap, JSON_BYTES_MAX);
    if (explain(db, sql, parameters_json, &json) == OTO_OK)
        (void)!query_plan_read(plan, oto_buffer_view(&json), table_count);
    oto_buffer_release(&json);
}
