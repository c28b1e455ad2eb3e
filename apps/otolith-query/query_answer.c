// One request: the SQL is taken apart and checked, views are brought up to date, it runs, and its
// answer goes out.
#define _GNU_SOURCE
#include "query_plan.h"
#include "query_process.h"

#include "base/utf8.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ROW_BYTES_MAX (256u << 20) // a row that is larger ends the query

struct answer {
    struct query_process *process;
    struct query_request *request;
    char *sql; // NUL-terminated copy
    struct oto_bytes text;
    uint8_t *wanted;              // a table: whether the SQL needs it
    struct oto_buffer rewritten;  // empty, or what runs in the SQL's place
    duckdb_connection connection; // in which it runs
    duckdb_prepared_statement statement;
    uint64_t rows;
};

// --- from text to a prepared statement ---

static enum oto_status copy_sql(struct answer *a, struct oto_error *err)
{
    struct oto_bytes sql = a->request->view.sql;
    if (!oto_utf8_valid(sql.data, sql.size) ||
        memchr(sql.data ? (const void *)sql.data : "", 0, sql.size))
        return oto_error_set(err, OTO_INVALID, "the SQL is not UTF-8 text");
    a->sql = malloc(sql.size + 1);
    if (!a->sql)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    if (sql.size)
        memcpy(a->sql, sql.data, sql.size);
    a->sql[sql.size] = 0;
    a->text = oto_bytes(a->sql, sql.size);
    return OTO_OK;
}

// DuckDB makes a PIVOT that does not name its values into two statements, the first of which looks
// for them, and calls both alike: only the word tells that there may be one.
static enum oto_status refuse_several(const char *sql, uint64_t count, struct oto_error *err)
{
    return oto_error_set(
        err, OTO_DENIED, "only one statement is allowed, there are %llu%s",
        (unsigned long long)count,
        strcasestr(sql, "pivot")
            ? "; PIVOT without its values becomes two, so name them: ON … IN ('a', 'b')"
            : "");
}

// In which DuckDB's places are; empty where something else runs in its place.
static struct oto_bytes placed_text(const struct answer *a)
{
    return a->rewritten.size ? (struct oto_bytes){0} : a->text;
}

// Parses SQL: there must be exactly one statement.
static enum oto_status extract(struct answer *a, const char *sql,
                               duckdb_extracted_statements *ret_statements, struct oto_error *err)
{
    idx_t count = duckdb_extract_statements(a->connection, sql, ret_statements);
    if (count == 1)
        return OTO_OK;
    const char *problem = count ? NULL : duckdb_extract_statements_error(*ret_statements);
    if (problem && *problem)
        return query_error_set(err, problem, DUCKDB_ERROR_PARSER, placed_text(a));
    if (count == 0)
        return oto_error_set(err, OTO_INVALID, "there is no SQL");
    return refuse_several(sql, count, err);
}

static void send_scan(struct answer *a)
{
    uint8_t payload[OTO_QUERY_SCAN_SIZE];
    oto_query_scan_encode(payload, &a->process->views.scan);
    (void)!query_io_send(a->process->io.fd, OTO_QUERY_FRAME_SCAN,
                         oto_bytes(payload, sizeof(payload)));
}

// What is asked, without EXPLAIN.
static const char *bare_sql(const struct answer *a)
{
    static const char *const words[] = {"EXPLAIN ANALYZE ", "EXPLAIN "};
    const char *sql = a->rewritten.size ? (const char *)a->rewritten.data : a->sql;
    for (size_t i = 0; a->rewritten.size && i < sizeof(words) / sizeof(words[0]); i++)
        if (strncmp(sql, words[i], strlen(words[i])) == 0)
            return sql + strlen(words[i]);
    return sql;
}

// Plans the query over empty tables, and drops the files that hold nothing of what it wants.
static void choose_files(struct answer *a)
{
    struct query_process *p = a->process;
    struct query_plan plan;
    int is_any = 0;
    for (size_t i = 0; i < p->views.file_count; i++)
        is_any |= a->wanted[p->views.files[i].info.table] && !p->views.files[i].info.is_model;
    query_plan_init(&plan);
    query_views_plan(&p->views, &p->db, a->wanted);
    if (is_any)
        query_plan_make(&plan, &p->db, bare_sql(a), a->request->view.parameters_json,
                        p->settings.table_count);
    query_prune(&p->views, &plan, a->wanted);
    query_pick(&p->views, &plan, a->wanted, &p->io);
    query_plan_release(&plan);
    send_scan(a);
}

static enum oto_status prepare_extracted(struct answer *a, duckdb_extracted_statements statements,
                                         struct oto_error *err)
{
    if (duckdb_prepare_extracted_statement(a->connection, statements, 0, &a->statement) ==
        DuckDBError)
        return query_error_set(err, duckdb_prepare_error(a->statement), DUCKDB_ERROR_BINDER,
                               placed_text(a));
    duckdb_statement_type type = duckdb_prepared_statement_type(a->statement);
    int copies = type == DUCKDB_STATEMENT_TYPE_COPY && a->request->view.format == OTO_QUERY_PARQUET;
    if (type != DUCKDB_STATEMENT_TYPE_SELECT && type != DUCKDB_STATEMENT_TYPE_EXPLAIN && !copies)
        return oto_error_set(err, OTO_DENIED, "only SELECT is allowed");
    return query_parameters_bind(a->statement, a->request->view.parameters_json, err);
}

// Puts the checked SELECT into the statement that writes Parquet.
static enum oto_status wrap_copy(struct answer *a, struct oto_buffer *copy, struct oto_error *err)
{
    enum oto_status status = query_copy_sql(a->process->copy_fd, (const char *)a->rewritten.data,
                                            a->request->view.rows_max, copy);
    return status < 0 ? oto_error_set(err, status, "out of memory") : OTO_OK;
}

static enum oto_status update_views(struct answer *a, struct oto_error *err)
{
    struct query_process *p = a->process;
    a->connection = p->views.are_rows_here ? p->db.rows : p->db.user;
    return p->views.are_rows_here ? query_views_direct(&p->views, &p->db, a->wanted, err)
                                  : query_views_update(&p->views, &p->db, a->wanted, err);
}

// Brings the views of the tables that the query needs up to date, and prepares it over them.
static enum oto_status prepare_once(struct answer *a, struct oto_error *err)
{
    duckdb_extracted_statements statements = NULL;
    struct oto_buffer copy;
    const char *sql = a->rewritten.size ? (const char *)a->rewritten.data : a->sql;
    choose_files(a);
    OTO_TRY(update_views(a, err));
    oto_buffer_init(&copy, &oto_allocator_heap, 1u << 30);
    enum oto_status status = OTO_OK;
    if (a->request->view.format == OTO_QUERY_PARQUET) {
        status = wrap_copy(a, &copy, err);
        sql = (const char *)copy.data;
    }
    if (status == OTO_OK)
        status = extract(a, sql, &statements, err);
    if (status == OTO_OK)
        status = prepare_extracted(a, statements, err);
    duckdb_destroy_extracted(&statements);
    oto_buffer_release(&copy);
    return status;
}

// With the columns alone that the query names; where that fails, with all. Then it is wrong, and
// DuckDB can say what it may have meant.
static enum oto_status prepare_checked(struct answer *a, struct oto_error *err)
{
    struct query_process *p = a->process;
    OTO_TRY(query_views_take(&p->views, &p->db, a->request, a->wanted, err));
    enum oto_status status = prepare_once(a, err);
    if (status == OTO_OK || p->views.names.every || query_io_stopped(&p->io) != QUERY_GOES_ON)
        return status;
    duckdb_destroy_prepare(&a->statement);
    oto_error_init(err);
    p->views.names.every = 1;
    query_views_reset(&p->views);
    return prepare_once(a, err);
}

static enum oto_status prepare(struct answer *a, struct oto_error *err)
{
    struct query_process *p = a->process;
    duckdb_extracted_statements statements = NULL;
    OTO_TRY(copy_sql(a, err));
    a->wanted = calloc(p->settings.table_count + 1, 1);
    if (!a->wanted)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    enum oto_status status = extract(a, a->sql, &statements, err);
    duckdb_destroy_extracted(&statements);
    OTO_TRY(status);
    OTO_TRY(query_check(&p->db, &p->settings, a->text, a->wanted, &p->views.names,
                        a->request->view.format == OTO_QUERY_PARQUET, &a->rewritten, err));
    return prepare_checked(a, err);
}

// --- running ---

// format NULL: Arrow.
static enum oto_status run_streaming(struct answer *a, const struct query_format *format,
                                     struct oto_error *err)
{
    struct query_output out = {.io = &a->process->io, .rows_max = a->request->view.rows_max};
    duckdb_result result;
    oto_buffer_init(&out.buffer, &oto_allocator_heap, ROW_BYTES_MAX);
    enum oto_status status;
    if (duckdb_execute_prepared_streaming(a->statement, &result) == DuckDBError)
        status = query_error_of_result(err, &result, placed_text(a));
    else if (!format)
        status = query_arrow_run(&out, &result, &a->process->io, placed_text(a), err);
    else
        status = query_output_run(&out, format, &result, &a->process->io, placed_text(a), err);
    duckdb_destroy_result(&result);
    oto_buffer_release(&out.buffer);
    a->rows = out.rows;
    return status;
}

static enum oto_status run(struct answer *a, struct oto_error *err)
{
    switch (a->request->view.format) {
    case OTO_QUERY_JSON:
        return run_streaming(a, &query_format_json, err);
    case OTO_QUERY_NDJSON:
        return run_streaming(a, &query_format_ndjson, err);
    case OTO_QUERY_CSV:
        return run_streaming(a, &query_format_csv, err);
    case OTO_QUERY_TABLE:
        if (duckdb_prepared_statement_type(a->statement) == DUCKDB_STATEMENT_TYPE_EXPLAIN)
            return run_streaming(a, &query_format_plan, err);
        return run_streaming(a, &query_format_table, err);
    case OTO_QUERY_ARROW:
        return run_streaming(a, NULL, err);
    case OTO_QUERY_PARQUET:
        return query_copy_run(a->process->copy_fd, &a->process->io, a->statement,
                              a->request->view.rows_max, &a->rows, placed_text(a), err);
    default:
        return oto_error_set(err, OTO_UNSUPPORTED, "this format is not offered");
    }
}

// A query that was stopped says so in DuckDB's words, or in others: what counts is who stopped it.
static enum oto_status explain_stop(struct answer *a, enum oto_status status, struct oto_error *err)
{
    enum query_stop stop = query_io_stopped(&a->process->io);
    int lacks_memory = a->process->views.lacks_memory;
    if (status == OTO_OK || (stop == QUERY_GOES_ON && !lacks_memory))
        return status;
    oto_error_init(err);
    if (stop == QUERY_GOES_ON)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    if (stop == QUERY_CANCELLED)
        return oto_error_set(err, OTO_UNAVAILABLE, "the query was cancelled");
    return oto_error_set(err, OTO_TIMEOUT, "the query took longer than %u ms (query_timeout)",
                         a->request->view.timeout_ms);
}

// Queries name no files. Where one is named, it is to blame, whatever kind of error DuckDB makes of
// it: a column that cannot be converted, say.
static enum oto_status blame_file(struct answer *a, enum oto_status status, struct oto_error *err)
{
    const struct query_views *views = &a->process->views;
    for (size_t i = 0; i < views->file_count && status == OTO_INVALID; i++) {
        const char *path = views->files[i].info.path; // NULL: not taken, a request was broken off
        if (!path || !strstr(err->message, path))
            continue;
        status = err->status = OTO_CORRUPT;
        oto_error_context(err,
                          "a file is damaged, or of another table (otolith verify tells which)");
    }
    return status;
}

static void send_outcome(struct answer *a, enum oto_status status, const struct oto_error *err)
{
    if (status == OTO_OK) {
        uint8_t rows[8];
        oto_store64(rows, a->rows);
        (void)!query_io_send(a->process->io.fd, OTO_QUERY_FRAME_END, oto_bytes(rows, 8));
        return;
    }
    query_io_send_error(a->process->io.fd, err);
}

void query_answer(struct query_process *process, struct query_request *request)
{
    struct answer a = {.process = process, .request = request, .connection = process->db.user};
    struct oto_error err;
    oto_error_init(&err);
    oto_buffer_init(&a.rewritten, &oto_allocator_heap, 1u << 30);
    query_clock_set(&process->clock);
    enum oto_status status = prepare(&a, &err);
    if (status == OTO_OK)
        status = run(&a, &err);
    status = blame_file(&a, explain_stop(&a, status, &err), &err);
    duckdb_destroy_prepare(&a.statement);
    query_views_let_go(&process->views);
    oto_buffer_release(&a.rewritten);
    free(a.wanted);
    free(a.sql);
    query_io_done(&process->io);
    send_outcome(&a, status, &err);
}
