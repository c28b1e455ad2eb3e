// What a query asks of the tables' rows: DuckDB plans it over empty tables, and the conditions that
// it would give its scans are taken from the plan. A row that fails one is in no answer, so a file
// without rows that pass need not be read. DuckDB has folded constants, parameters and now() by
// then, and followed aliases, views and joins.
#ifndef OTO_APPS_QUERY_PLAN_H
#define OTO_APPS_QUERY_PLAN_H

#include "base/alloc.h"
#include "base/bytes.h"

struct query_database;

// A condition on one column, or on one key of a column that is a map.
struct query_condition {
    struct oto_bytes column;
    struct oto_bytes key; // data NULL: the column itself
    int is_range;
    int64_t min, max;         // is_range: both inclusive; microseconds of a time
    struct oto_bytes *values; // else: it is one of these texts
    size_t value_count;
};

// A scan of a table; rows that it gives meet all conditions.
struct query_scan {
    struct query_scan *next;
    size_t table;
    struct query_condition *conditions;
    size_t count;
    struct oto_bytes *words; // among them the names of all columns that are read
    size_t word_count;
};

struct query_plan {
    struct oto_arena arena; // of all below
    struct query_scan *scans;
    int has_limit; // a few rows may be all that is wanted
};

// Empty (no scans): nothing is known, everything has to be read.
void query_plan_init(struct query_plan *plan);
void query_plan_release(struct query_plan *plan);
// sql: one SELECT, NUL-terminated, that was checked. Failing is no error: the plan stays empty.
void query_plan_make(struct query_plan *plan, struct query_database *db, const char *sql,
                     struct oto_bytes parameters_json, size_t table_count);
// The conditions of the JSON that EXPLAIN gives; OTO_INVALID where it cannot be trusted.
OTO_MUST_CHECK enum oto_status query_plan_read(struct query_plan *plan, struct oto_bytes json,
                                               size_t table_count);

// The condition that a table's view has in the plan, by which its scans are known: true of any row.
#define QUERY_PLAN_MARK 1000
#define QUERY_PLAN_MARK_FORMAT "%sNanoOfMicro IS DISTINCT FROM -%zu"

#endif
