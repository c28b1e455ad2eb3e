// DuckDB in memory, shut in and locked before any SQL of a user.
#include "query_process.h"

#include <stdio.h>
#include <stdlib.h>

enum oto_status query_database_run(duckdb_connection connection, const char *sql,
                                   struct oto_error *err)
{
    duckdb_result result;
    enum oto_status status = OTO_OK;
    if (duckdb_query(connection, sql, &result) == DuckDBError)
        status = query_error_of_result(err, &result, (struct oto_bytes){0});
    duckdb_destroy_result(&result);
    return status;
}

enum oto_status query_database_text(duckdb_prepared_statement statement, struct oto_bytes parameter,
                                    struct oto_buffer *output, struct oto_error *err)
{
    duckdb_result result;
    if (duckdb_bind_varchar_length(statement, 1, (const char *)parameter.data, parameter.size) ==
        DuckDBError)
        return oto_error_set(err, OTO_INVALID, "the SQL is not UTF-8");
    if (duckdb_execute_prepared(statement, &result) == DuckDBError) {
        enum oto_status failed = query_error_of_result(err, &result, (struct oto_bytes){0});
        duckdb_destroy_result(&result);
        return failed;
    }
    enum oto_status status = OTO_INTERNAL;
    duckdb_data_chunk chunk = duckdb_fetch_chunk(result);
    if (chunk && duckdb_data_chunk_get_size(chunk) == 1) {
        duckdb_string_t *text = duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0));
        status =
            oto_buffer_append(output, duckdb_string_t_data(text), duckdb_string_t_length(*text));
    }
    if (status < 0)
        oto_error_set(err, status, "the SQL could not be taken apart");
    duckdb_destroy_data_chunk(&chunk);
    duckdb_destroy_result(&result);
    return status;
}

// --- settings ---

// The folders that may be read, and the files in memory.
static enum oto_status write_folders(const struct query_settings *settings, struct oto_buffer *sql)
{
    OTO_TRY(oto_buffer_append_format(
        sql, "SET threads=%u; SET allowed_directories=['/proc/self/fd/'", settings->threads));
    for (size_t i = 0; i < settings->folder_count; i++) {
        OTO_TRY(oto_buffer_append_format(sql, ", '"));
        for (const char *c = settings->folders[i]; *c; c++)
            OTO_TRY(oto_buffer_append_format(sql, *c == '\'' ? "''" : "%c", *c));
        OTO_TRY(oto_buffer_append_format(sql, "/'"));
    }
    return oto_buffer_append(sql, "];", 3);
}

// Settings of a connection cannot be set any more once the configuration is locked.
static const char connection_settings[] = "SET errors_as_json=true; SET enable_progress_bar=false;";

// The empty tables have names of their own. Late materialisation would make two scans of one, of
// which the second has no conditions.
static const char plan_settings[] = "CREATE SCHEMA plan; SET schema='plan';"
                                    "SET late_materialization_max_rows=0;"
                                    "SET enable_progress_bar=false;";

// So have the tables of rows that are here.
static const char rows_settings[] = "CREATE SCHEMA rows; SET schema='rows';"
                                    "SET errors_as_json=true; SET enable_progress_bar=false;";

// DESCRIBE alone and SHOW ALL TABLES list the views of all schemas: what they ask for them is found
// in the connection's own schema first, and there it gives only those that a query can name.
#define OWN_VIEWS(schema)                                                                          \
    "CREATE MACRO " schema ".duckdb_views() AS TABLE SELECT * REPLACE ('main' AS schema_name) "    \
    "FROM system.main.duckdb_views() WHERE schema_name = '" schema "';"
static const char own_views[] = OWN_VIEWS("main") OWN_VIEWS("rows");

// Footers are kept, within the memory that DuckDB may have, while the file's time is the same: see
// place_picked. Nothing else of files is. No spilling: the process may not write.
static const char fixed_settings[] = "SET TimeZone='UTC';"
                                     "SET temp_directory='';"
                                     "SET max_temp_directory_size='0KB';"
                                     "SET enable_external_file_cache=false;"
                                     "SET GLOBAL parquet_metadata_cache=true;"
                                     "SET autoinstall_known_extensions=false;"
                                     "SET autoload_known_extensions=false;"
                                     "SET allow_community_extensions=false;"
                                     "SET allow_persistent_secrets=false;"
                                     "SET enable_external_access=false;"
                                     "SET lock_configuration=true;";

static enum oto_status apply_settings(struct query_database *db,
                                      const struct query_settings *settings, struct oto_error *err)
{
    struct oto_buffer sql;
    oto_buffer_init(&sql, &oto_allocator_heap, 1 << 20);
    enum oto_status status = write_folders(settings, &sql);
    if (status < 0)
        oto_error_set(err, status, "the folders' names are too long");
    if (status == OTO_OK)
        status = query_database_run(db->own, (const char *)sql.data, err);
    oto_buffer_release(&sql);
    OTO_TRY(status);
    OTO_TRY(query_database_run(db->own, connection_settings, err));
    OTO_TRY(query_database_run(db->user, connection_settings, err));
    OTO_TRY(query_database_run(db->plan, plan_settings, err));
    OTO_TRY(query_database_run(db->rows, rows_settings, err));
    OTO_TRY(query_database_run(db->own, own_views, err));
    return query_database_run(db->own, fixed_settings, err);
}

// --- opening ---

static enum oto_status prepare(struct query_database *db, const char *sql,
                               duckdb_prepared_statement *ret_statement, struct oto_error *err)
{
    if (duckdb_prepare(db->own, sql, ret_statement) == DuckDBError)
        return query_error_set(err, duckdb_prepare_error(*ret_statement), DUCKDB_ERROR_INTERNAL,
                               (struct oto_bytes){0});
    return OTO_OK;
}

// One thread at first: the sandbox holds for threads that are started later.
static enum oto_status make_config(const struct query_settings *settings, duckdb_config *ret_config)
{
    char memory[32];
    (void)snprintf(memory, sizeof(memory), "%lluB", (unsigned long long)settings->memory_bytes);
    if (duckdb_create_config(ret_config) == DuckDBError)
        return OTO_NO_MEMORY;
    if (duckdb_set_config(*ret_config, "memory_limit", memory) == DuckDBError ||
        duckdb_set_config(*ret_config, "threads", "1") == DuckDBError)
        return OTO_INVALID;
    return OTO_OK;
}

enum oto_status query_database_open(struct query_database *db,
                                    const struct query_settings *settings, struct oto_error *err)
{
    char *message = NULL;
    duckdb_config config = NULL;
    enum oto_status status = make_config(settings, &config);
    duckdb_state opened =
        status < 0 ? DuckDBError : duckdb_open_ext(NULL, &db->database, config, &message);
    duckdb_destroy_config(&config);
    if (opened == DuckDBError) {
        oto_error_set(err, OTO_INTERNAL, "DuckDB: %s", message ? message : "cannot be opened");
        duckdb_free(message);
        return OTO_INTERNAL;
    }
    return OTO_OK;
}

enum oto_status query_database_lock(struct query_database *db,
                                    const struct query_settings *settings, struct oto_error *err)
{
    if (duckdb_connect(db->database, &db->own) == DuckDBError ||
        duckdb_connect(db->database, &db->user) == DuckDBError ||
        duckdb_connect(db->database, &db->plan) == DuckDBError ||
        duckdb_connect(db->database, &db->rows) == DuckDBError)
        return oto_error_set(err, OTO_INTERNAL, "DuckDB: no connection");
    OTO_TRY(apply_settings(db, settings, err));
    OTO_TRY(prepare(
        db,
        "SELECT json_serialize_sql(?::VARCHAR, skip_empty := true, skip_default := true)::VARCHAR",
        &db->tree, err));
    return prepare(db, "SELECT json_deserialize_sql(json_serialize_sql(?::VARCHAR))", &db->text,
                   err);
}
