// What the files of otolith-query share. One thread executes (query_main.c, query_answer.c and what
// they call); another listens to the server meanwhile and interrupts (query_io.c).
#ifndef OTO_APPS_QUERY_PROCESS_H
#define OTO_APPS_QUERY_PROCESS_H

#include "base/bytes.h"
#include "os/thread.h"
#include "query/query_protocol.h"

#include <duckdb.h>

// --- settings: the arguments ---

struct query_settings {
    uint64_t memory_bytes;
    unsigned threads;
    const char **folders;
    size_t folder_count;
    const char **tables;
    size_t table_count;
};

// --- query_io.c: frames ---

// A request as it came; released by query_request_release.
struct query_request {
    struct oto_buffer payload;
    struct oto_query_request view; // into payload
    int *descriptors;              // owned
    size_t descriptor_count;
};

enum query_stop { QUERY_GOES_ON, QUERY_CANCELLED, QUERY_TIMED_OUT };

struct query_database;
struct query_io {
    int fd;
    struct oto_mutex lock;
    struct oto_condition came;
    struct oto_thread listener;
    const struct query_database *interrupted; // whose queries a stop interrupts
    struct query_request incoming;            // being read, the listener's
    int lacks_memory;                         // for it: the rest of it is passed over
    struct query_request request;             // waiting to be taken
    int has_request;
    int running;
    enum query_stop stop;
    uint64_t deadline_ns;   // moves on by the time for which the answer is held back
    uint64_t held_since_ns; // 0: it is not
};

OTO_MUST_CHECK enum oto_status query_io_start(struct query_io *io, int fd,
                                              const struct query_database *interrupted,
                                              struct oto_error *err);
// Waits for the next request and moves it out. 0: none came in wait_ms (0: wait for ever).
int query_io_take(struct query_io *io, uint32_t wait_ms, struct query_request *ret_request);
enum query_stop query_io_stopped(struct query_io *io);
// The request's answer is complete.
void query_io_done(struct query_io *io);
OTO_MUST_CHECK enum oto_status query_io_send(int fd, enum oto_query_frame type,
                                             struct oto_bytes payload);
// The next bytes of the answer, OTO_QUERY_DATA_MAX at most. Waits while the server holds it back,
// which is not counted as time of the query.
OTO_MUST_CHECK enum oto_status query_io_send_data(struct query_io *io, struct oto_bytes bytes);
void query_io_send_error(int fd, const struct oto_error *err);
void query_request_release(struct query_request *request);

// --- query_database.c: DuckDB, opened and locked ---

struct query_database {
    duckdb_database database;
    duckdb_connection user;         // runs what users ask
    duckdb_connection own;          // views, checks
    duckdb_connection plan;         // plans what users ask, over tables without rows
    duckdb_connection rows;         // runs what users ask, over rows that are here (query_rows.h)
    duckdb_prepared_statement tree; // SQL -> its syntax tree as JSON
    duckdb_prepared_statement text; // SQL -> the same without comments and ';'
};
// Opens it with one thread; it then looks at the machine, so this comes before the sandbox.
OTO_MUST_CHECK enum oto_status query_database_open(struct query_database *db,
                                                   const struct query_settings *settings,
                                                   struct oto_error *err);
// Connects, takes from DuckDB what no query needs, and locks its configuration: after the sandbox,
// before any SQL of a user.
OTO_MUST_CHECK enum oto_status query_database_lock(struct query_database *db,
                                                   const struct query_settings *settings,
                                                   struct oto_error *err);
// Runs SQL of our own.
OTO_MUST_CHECK enum oto_status query_database_run(duckdb_connection connection, const char *sql,
                                                  struct oto_error *err);
// Runs a prepared statement of one text parameter and one text result, appended to output.
OTO_MUST_CHECK enum oto_status query_database_text(duckdb_prepared_statement statement,
                                                   struct oto_bytes parameter,
                                                   struct oto_buffer *output,
                                                   struct oto_error *err);

// --- query_clock.c: the time that a request has ---

typedef _Atomic int64_t query_clock; // microseconds since 1970
// Makes now(), and all that tells the time, that of the clock in every connection.
OTO_MUST_CHECK enum oto_status query_clock_register(struct query_database *db, query_clock *clock,
                                                    struct oto_error *err);
// From now on it is what it is now.
void query_clock_set(query_clock *clock);
// Whether it is one of these functions.
int query_clock_has(struct oto_bytes function);

// --- query_columns.c: what columns views have ---

// What a query's text names.
struct query_names {
    struct oto_buffer tree; // its syntax tree as JSON, in lower case
    int every;              // columns that are not named count, too
};
void query_names_init(struct query_names *names);
void query_names_release(struct query_names *names);
void query_names_set(struct query_names *names, struct oto_bytes tree);
// Whether the query could tell that a column is not there.
int query_names_have(const struct query_names *names, const char *name);

// --- query_views.c: the tables of a request ---

// One of a request's files.
struct query_file {
    struct oto_query_file info; // info.path: what DuckDB reads, owned; info.fd: of a file in memory
    uint64_t columns;           // query_columns_hash; 0: not known
    int32_t time_id;            // query_time_id
    int is_dropped;             // holds no row that is wanted, or
    int is_picked;              // what it held was copied
    const void *picker;         // by whom
    int has_picked;             // it is the copy
};

// A column of a table.
struct query_field {
    char *name;
    int32_t id;               // field id
    char *sql;                // what read_parquet's `schema` says of it
    int is_named;             // by the request
    int is_spare;             // named only so that a view has a column
    duckdb_logical_type type; // of a table that has them
};

// A table as it is without rows.
struct query_model {
    int fd; // -1: there is none, nothing is known of the table
    char path[32];
    struct query_field *fields;
    size_t field_count;
    const char *time_name; // column that times of files are about
    uint64_t columns;      // query_columns_hash
    int32_t time_id;       // query_time_id
    int by_id;             // columns of files go by their ids, where these are ours
    struct oto_schemas *schemas;
    const struct oto_schema *schema; // the same columns, for reading files; NULL: there is none
    int is_typed;                    // its columns have types
};

#define QUERY_PICKED_MAX 32
#define QUERY_PICKED_FILES 256 // places for them
#define QUERY_PEOPLE_VIEWS 3

struct query_views {
    const struct query_settings *settings;
    struct query_names names; // of the request
    char **made;              // a table: what its view was made by; then those for people
    char **planned;           // the same of the views over empty tables
    char **direct;            // and of those over rows that are here
    struct query_file *files;
    size_t file_count, file_capacity;
    struct query_model *models;   // by table
    struct query_known *known;    // files, from one query to the next
    struct oto_query_scan scan;   // what the request reads
    struct oto_buffer *constants; // a table: a column of the picked rows that is one value, as SQL
    const char **constant_names;  // its name, or NULL
    struct query_rows *rows;      // by table: picked rows that DuckDB takes as they are
    int are_rows_here;            // and that is all the query reads
    int lacks_memory;             // why they could not be given, which DuckDB reports in its way
    struct query_job *jobs;       // whose they are
    int picked_fds[QUERY_PICKED_MAX];
    size_t picked_count;                        // of these in use
    int64_t picked_seconds[QUERY_PICKED_FILES]; // when the last file of a place was written
};
OTO_MUST_CHECK enum oto_status query_views_init(struct query_views *views,
                                                const struct query_settings *settings);
// Lists the request's files, and learns of the wanted tables. Takes the request's descriptors.
OTO_MUST_CHECK enum oto_status query_views_take(struct query_views *views,
                                                struct query_database *db,
                                                struct query_request *request,
                                                const uint8_t *wanted, struct oto_error *err);
// Makes the views over empty tables: with the columns that views->names has.
void query_views_plan(struct query_views *views, struct query_database *db, const uint8_t *wanted);
// All files count again, as after query_views_take.
void query_views_reset(struct query_views *views);
// One more file in memory of a table. Takes the descriptor unless it fails.
OTO_MUST_CHECK enum oto_status query_views_add_memory(struct query_views *views, uint32_t table,
                                                      int fd);
// Makes the views of the tables that `wanted` marks name the files that are not dropped.
OTO_MUST_CHECK enum oto_status query_views_update(struct query_views *views,
                                                  struct query_database *db, const uint8_t *wanted,
                                                  struct oto_error *err);
// Makes views of them over the rows that are here.
OTO_MUST_CHECK enum oto_status query_views_direct(struct query_views *views,
                                                  struct query_database *db, const uint8_t *wanted,
                                                  struct oto_error *err);
// Appends the columns that views have, quoted.
OTO_MUST_CHECK enum oto_status query_append_fields(struct oto_buffer *sql,
                                                   const struct query_model *model);
// Appends text between quotes, its own ones doubled.
OTO_MUST_CHECK enum oto_status query_append_quoted(struct oto_buffer *sql, struct oto_bytes text,
                                                   char quote);
// Closes the request's files in memory.
void query_views_let_go(struct query_views *views);
// Closes the files on disk, too, which a process at rest keeps from nobody who deletes them.
void query_views_rest(struct query_views *views);
// Makes a view unless *text, by which it was made, is the same. NULL: it was not.
OTO_MUST_CHECK enum oto_status query_views_make(duckdb_connection connection, char **text,
                                                const char *sql, struct oto_error *err);

// --- query_people.c: logs, traces and metrics ---

// What views stand on: the tables' views, query_rows.h, or tables without rows.
enum query_ground { QUERY_OVER_TABLES, QUERY_OVER_ROWS, QUERY_OVER_MODELS };
// Makes the views for people over the wanted tables. texts: what they were made by.
OTO_MUST_CHECK enum oto_status query_people_update(struct query_views *views,
                                                   duckdb_connection connection, char **texts,
                                                   const uint8_t *wanted, enum query_ground ground,
                                                   struct oto_error *err);

// --- query_model.c: tables without rows, in the schema `plan` ---

// Keeps a copy of the model's descriptor.
OTO_MUST_CHECK enum oto_status query_model_take(struct query_views *views,
                                                struct query_database *db,
                                                const struct oto_query_file *file,
                                                struct oto_error *err);
// Marks the columns that the names have, and those that others are made of.
void query_model_mark(struct query_model *model, const struct query_names *names);
// Whether views have the column; those of tables that nothing is known of have all.
int query_model_has(const struct query_model *model, const char *name);
// The same, but for a column that no query names.
int query_model_needs(const struct query_model *model, const char *name);
// Appends what a view selects from, with the condition of one for planning.
OTO_MUST_CHECK enum oto_status query_ground_write(const struct query_views *views, size_t table,
                                                  enum query_ground ground, struct oto_buffer *sql);
// Appends a view with the model's columns, not over tables, NUL-terminated.
OTO_MUST_CHECK enum oto_status query_model_write(const struct query_views *views, size_t table,
                                                 enum query_ground ground, struct oto_buffer *sql);

// --- query_prune.c: files that hold no wanted row ---

struct query_plan;
struct query_known;
// Drops files of the wanted tables by what the plan says of their scans.
void query_prune(struct query_views *views, const struct query_plan *plan, const uint8_t *wanted);

// --- query_pick.c: rows out of files ---

// Opens the files in memory that it needs: before the sandbox, which allows no more.
OTO_MUST_CHECK enum oto_status query_pick_open(struct query_views *views, struct oto_error *err);
// Empties them.
void query_pick_let_go(struct query_views *views);
// Copies rows of files that were not dropped, where the plan asks for few of them. They take the
// files' place: as they are, where they are all that the query reads (are_rows_here), else as files
// in memory.
void query_pick(struct query_views *views, const struct query_plan *plan, const uint8_t *wanted,
                struct query_io *io);

// --- query_check.c: what may be asked ---

// Says whether a SELECT (or EXPLAIN of one) keeps to the tables and harmless functions. wanted: set
// to 1 for each table that it needs. names: may be NULL. rewritten: the SQL that has to run in its
// place, NUL-terminated: for EXPLAIN, and with select_only, which refuses EXPLAIN; else left empty.
// OTO_DENIED or OTO_INVALID with line and column.
OTO_MUST_CHECK enum oto_status query_check(struct query_database *db,
                                           const struct query_settings *settings,
                                           struct oto_bytes sql, uint8_t *wanted,
                                           struct query_names *names, int select_only,
                                           struct oto_buffer *rewritten, struct oto_error *err);
int query_function_is_denied(struct oto_bytes name);
int query_table_function_is_allowed(struct oto_bytes name);

// --- query_error.c: from DuckDB's errors to ours ---

// text: DuckDB's message (errors_as_json). sql: for line and column; may be empty.
enum oto_status query_error_set(struct oto_error *err, const char *text, duckdb_error_type type,
                                struct oto_bytes sql);
enum oto_status query_error_of_result(struct oto_error *err, duckdb_result *result,
                                      struct oto_bytes sql);
// Sets line and column (in characters) from a byte offset.
void query_error_locate(struct oto_error *err, struct oto_bytes sql, size_t offset);

// --- query_parameters.c ---

OTO_MUST_CHECK enum oto_status query_parameters_bind(duckdb_prepared_statement statement,
                                                     struct oto_bytes json, struct oto_error *err);

// --- query_value.c: values as text ---

struct query_column {
    duckdb_type type;
    duckdb_type internal; // of DECIMAL, ENUM
    uint8_t scale;
    uint32_t array_size;
    char *name;   // of a column, struct field or union member; owned
    char **words; // of an ENUM; owned
    uint32_t word_count;
    struct query_column *children;
    uint32_t child_count;
    // of the chunk at hand
    duckdb_vector vector;
    const void *data;
    const uint64_t *validity;
};
// OTO_UNSUPPORTED: a type that has no text here. type: destroyed by the caller.
OTO_MUST_CHECK enum oto_status query_column_init(struct query_column *column, const char *name,
                                                 duckdb_logical_type type, struct oto_error *err);
void query_column_release(struct query_column *column);
void query_column_attach(struct query_column *column, duckdb_vector vector);
static inline int query_column_is_null(const struct query_column *column, idx_t row)
{
    return column->validity && !((column->validity[row / 64] >> (row % 64)) & 1);
}
// The value of a row as JSON; NULL, NaN and infinities are null.
OTO_MUST_CHECK enum oto_status query_value_json(const struct query_column *column, idx_t row,
                                                struct oto_buffer *output);
// The value of a row as bare text: no quotes around strings and times; nothing for NULL.
OTO_MUST_CHECK enum oto_status query_value_text(const struct query_column *column, idx_t row,
                                                struct oto_buffer *output);

// --- query_output.c, query_format_*.c: the answer ---

struct query_output {
    struct query_io *io;
    struct oto_buffer buffer;
    uint64_t rows, rows_max;
    struct query_column *columns;
    uint32_t column_count;
    struct oto_buffer *names; // a column: its name as JSON with ':'
    void *own;                // the format's
};
struct query_format {
    enum oto_status (*begin)(struct query_output *out);
    enum oto_status (*row)(struct query_output *out, idx_t row);
    enum oto_status (*end)(struct query_output *out);
    void (*release)(struct query_output *out); // may be NULL
};
extern const struct query_format query_format_json, query_format_ndjson, query_format_csv,
    query_format_table,
    query_format_plan; // EXPLAIN for people
// Makes columns with names that differ; types are not looked at yet.
OTO_MUST_CHECK enum oto_status query_output_name(struct query_output *out, duckdb_result *result,
                                                 struct oto_error *err);
void query_output_release(struct query_output *out);
// Sends what is complete in pieces; all of it with `last`.
OTO_MUST_CHECK enum oto_status query_output_flush(struct query_output *out, int last);
// OTO_TOO_LARGE, in words: the answer has more rows than it may.
enum oto_status query_output_too_long(uint64_t rows_max, struct oto_error *err);
// A streaming result in a text format. OTO_TOO_LARGE beyond rows_max.
OTO_MUST_CHECK enum oto_status query_output_run(struct query_output *out,
                                                const struct query_format *format,
                                                duckdb_result *result, struct query_io *io,
                                                struct oto_bytes sql, struct oto_error *err);

// --- query_arrow.c ---

OTO_MUST_CHECK enum oto_status query_arrow_run(struct query_output *out, duckdb_result *result,
                                               struct query_io *io, struct oto_bytes sql,
                                               struct oto_error *err);

// --- query_copy.c: Parquet ---

OTO_MUST_CHECK enum oto_status query_copy_open(int *ret_fd, struct oto_error *err);
// The statement that writes what `select` gives into fd, NUL-terminated.
OTO_MUST_CHECK enum oto_status query_copy_sql(int fd, const char *select, uint64_t rows_max,
                                              struct oto_buffer *sql);
OTO_MUST_CHECK enum oto_status query_copy_run(int fd, struct query_io *io,
                                              duckdb_prepared_statement statement,
                                              uint64_t rows_max, uint64_t *ret_rows,
                                              struct oto_bytes sql, struct oto_error *err);

// --- query_answer.c: a request from SQL to END ---

struct query_process {
    struct query_settings settings;
    struct query_database db;
    struct query_views views;
    struct query_io io;
    query_clock clock;
    int copy_fd; // a file in memory for answers in Parquet
};
void query_answer(struct query_process *process, struct query_request *request);

#endif
