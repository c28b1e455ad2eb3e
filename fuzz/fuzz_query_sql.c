// folders: query_process
// Any text as the SQL of a query: what is let through is a SELECT, or nothing that can be
// prepared, and needs no file; what is refused says why. DuckDB parses; it is not instrumented
// itself.
#define _GNU_SOURCE
#include "query_process.h"
#include <stdlib.h>
#include <strings.h>

static const char *const tables[] = {"otel_logs", "otel_traces", "otel_metrics_gauge"};
static struct query_database db;
static struct query_settings settings;

// The database stays open to the end, and DuckDB hides from LeakSanitizer what it holds.
__attribute__((visibility("default"))) int __lsan_is_turned_off(void);
__attribute__((visibility("default"))) int __lsan_is_turned_off(void)
{
    return 1;
}

static void must(int condition)
{
    if (!condition)
        abort();
}

static void set_up(void)
{
    struct oto_error err;
    settings = (struct query_settings){.memory_bytes = 256u << 20,
                                       .threads = 1,
                                       .tables = (const char **)(uintptr_t)tables,
                                       .table_count = sizeof tables / sizeof *tables};
    must(query_database_open(&db, &settings, &err) == OTO_OK);
    must(query_database_lock(&db, &settings, &err) == OTO_OK);
}

// No row can come from outside while none of our tables is there: preparing finds out what would be
// read.
static void must_not_reach_out(const char *sql)
{
    duckdb_prepared_statement statement;
    if (duckdb_prepare(db.user, sql, &statement) == DuckDBSuccess) {
        duckdb_statement_type type = duckdb_prepared_statement_type(statement);
        must(type == DUCKDB_STATEMENT_TYPE_SELECT || type == DUCKDB_STATEMENT_TYPE_EXPLAIN ||
             type == DUCKDB_STATEMENT_TYPE_RELATION);
    } else {
        const char *why = duckdb_prepare_error(statement);
        must(!why || !strcasestr(why, "IO Error"));
        must(!why || !strcasestr(why, "file system operations are disabled"));
    }
    duckdb_destroy_prepare(&statement);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t wanted[sizeof tables / sizeof *tables] = {0};
    struct oto_buffer rewritten;
    struct oto_error err;
    if (size < 1 || memchr(data, 0, size))
        return 0;
    if (!db.database)
        set_up();
    int select_only = data[0] & 1;
    char *sql = malloc(size);
    must(sql != NULL);
    memcpy(sql, data + 1, size - 1);
    sql[size - 1] = 0;
    oto_error_init(&err);
    oto_buffer_init(&rewritten, &oto_allocator_heap, 1u << 24);
    enum oto_status status = query_check(&db, &settings, oto_bytes_text(sql), wanted, NULL,
                                         select_only, &rewritten, &err);
    if (status < 0) {
        must(err.message[0] != 0 && err.status == status);
    } else {
        const char *runs = rewritten.size ? (const char *)rewritten.data : sql;
        must(!rewritten.size || rewritten.data[rewritten.size - 1] == 0);
        must_not_reach_out(runs);
    }
    oto_buffer_release(&rewritten);
    free(sql);
    return 0;
}
