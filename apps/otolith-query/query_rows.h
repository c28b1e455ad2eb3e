// Picked rows on their way into DuckDB without a file: a table function whose columns are those of
// a table, and whose rows are there only when the statement runs. So a statement over it is planned
// once, and what is planned does not depend on files.
#ifndef OTO_APPS_QUERY_ROWS_H
#define OTO_APPS_QUERY_ROWS_H

#include "columns/column.h"
#include "query_process.h"

// What one column is in all rows: a text, or a map of one pair.
struct query_constant {
    char *column; // NULL: there is none
    char *key;    // NULL: a text
    char *value;
};

// The rows of a table, in pieces. All pieces have the same schema.
struct query_rows {
    const struct query_model *model;
    struct oto_batch batches[QUERY_PICKED_MAX];
    size_t batch_count;
    struct query_constant constant;
    _Atomic unsigned handed_over;
};

// Makes the function known. It looks at views->models and views->rows.
OTO_MUST_CHECK enum oto_status
query_rows_register(duckdb_connection connection, struct query_views *views, struct oto_error *err);
// Forgets the rows, whose memory is their owner's.
void query_rows_clear(struct query_rows *rows);

// --- query_types.c: what DuckDB calls a column of our files ---

// The name of its type, as DESCRIBE has it; OTO_UNSUPPORTED: there is no such.
OTO_MUST_CHECK enum oto_status query_type_write(const struct oto_field *field,
                                                struct oto_buffer *sql);
// NULL without memory. Ownership: returns owned (duckdb_destroy_logical_type).
duckdb_logical_type query_type_new(const struct oto_field *field);

#endif
