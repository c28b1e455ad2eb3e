// now() and its kin. A query is planned before it runs (query_plan.h), in another transaction, and
// DuckDB's own now() is that of the transaction: files would be chosen by one time and rows by a
// later one. So the functions are macros over a function of ours, which gives the request's time.
#include "query_process.h"

#include "os/clock.h"
#include <stdatomic.h>
#include <stdio.h>
#include <strings.h>

#define CLOCK "system.main.oto_now()"
#define CLOCK_TIMESTAMP "CAST(" CLOCK " AS TIMESTAMP)"
#define CLOCK_DATE "CAST(" CLOCK " AS DATE)"

// What DuckDB folds into a constant by its clock. Functions that it has beside these stand on them.
static const struct {
    const char *name;
    const char *definition;
} functions[] = {
    {"now", "() AS " CLOCK},
    {"get_current_timestamp", "() AS " CLOCK}, // current_timestamp
    {"transaction_timestamp", "() AS " CLOCK},
    {"current_date", "() AS " CLOCK_DATE},
    {"today", "() AS " CLOCK_DATE},
    {"current_localtimestamp", "() AS " CLOCK_TIMESTAMP}, // localtimestamp
    {"current_localtime", "() AS CAST(" CLOCK_TIMESTAMP " AS TIME)"},
    {"get_current_time", "() AS CAST(" CLOCK " AS TIMETZ)"}, // current_time
    {"age", "(t) AS system.main.age(CAST(" CLOCK_DATE " AS TIMESTAMP), t), "
            "(a, b) AS system.main.age(a, b)"},
};
#define FUNCTION_COUNT (sizeof(functions) / sizeof(functions[0]))

int query_clock_has(struct oto_bytes function)
{
    for (size_t i = 0; i < FUNCTION_COUNT; i++)
        if (function.size == strlen(functions[i].name) &&
            strncasecmp((const char *)function.data, functions[i].name, function.size) == 0)
            return 1;
    return 0;
}

void query_clock_set(query_clock *clock)
{
    atomic_store(clock, (int64_t)(oto_clock_wall_ns() / 1000));
}

static void give(duckdb_function_info info, duckdb_data_chunk input, duckdb_vector output)
{
    const query_clock *clock = duckdb_scalar_function_get_extra_info(info);
    int64_t *times = duckdb_vector_get_data(output);
    for (idx_t i = 0; i < duckdb_data_chunk_get_size(input); i++)
        times[i] = atomic_load(clock);
}

static enum oto_status register_function(duckdb_connection connection, query_clock *clock,
                                         struct oto_error *err)
{
    duckdb_scalar_function function = duckdb_create_scalar_function();
    duckdb_logical_type time = duckdb_create_logical_type(DUCKDB_TYPE_TIMESTAMP_TZ);
    duckdb_scalar_function_set_name(function, "oto_now");
    duckdb_scalar_function_set_return_type(function, time);
    duckdb_scalar_function_set_extra_info(function, clock, NULL);
    duckdb_scalar_function_set_function(function, give);
    duckdb_state state = duckdb_register_scalar_function(connection, function);
    duckdb_destroy_logical_type(&time);
    duckdb_destroy_scalar_function(&function);
    return state == DuckDBError ? oto_error_set(err, OTO_INTERNAL, "DuckDB: no function for now()")
                                : OTO_OK;
}

// A connection finds macros in its own schema before DuckDB's functions.
enum oto_status query_clock_register(struct query_database *db, query_clock *clock,
                                     struct oto_error *err)
{
    static const char *const schemas[] = {"main", "plan", "rows"};
    char sql[256];
    query_clock_set(clock);
    OTO_TRY(register_function(db->own, clock, err));
    for (size_t i = 0; i < sizeof(schemas) / sizeof(schemas[0]); i++)
        for (size_t k = 0; k < FUNCTION_COUNT; k++) {
            (void)snprintf(sql, sizeof(sql), "CREATE MACRO %s.%s%s", schemas[i], functions[k].name,
                           functions[k].definition);
            OTO_TRY(query_database_run(db->own, sql, err));
        }
    return OTO_OK;
}
