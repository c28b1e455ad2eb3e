// The server's side of queries: starts otolith-query when the first query comes, hands it a
// snapshot and SQL, passes its answer on, ends it when idle, starts it again after a crash.
// Blocking calls on worker threads of its own; results come through callbacks on those threads.
#ifndef OTO_QUERY_QUERY_CLIENT_H
#define OTO_QUERY_QUERY_CLIENT_H

#include "base/bytes.h"
#include "query/query_protocol.h"

struct oto_query_client;

// Where the rows come from. Called on a worker thread. The client knows nothing of the engine.
struct oto_query_source {
    void *state;
    // Files in memory must be complete: they are sealed before they are shown to the process.
    // All files, and one a table that has no rows but all columns (is_model). release gives them
    // back.
    enum oto_status (*acquire)(void *state, int64_t from_us, int64_t to_us,
                               const struct oto_query_file **ret_files, size_t *ret_count,
                               void **ret_token, struct oto_error *err);
    void (*release)(void *state, void *token);
};
struct oto_query_table {
    const char *name; // "otel_logs"
};
struct oto_query_options {
    const char *program;   // path of otolith-query
    const char *data_path; // readable folder of cold files
    const struct oto_query_table *tables;
    uint32_t table_count;
    struct oto_query_source source;
    uint32_t workers;          // processes at most; default 2
    uint32_t queue_max;        // waiting queries; beyond it OTO_UNAVAILABLE. Default 64
    uint64_t memory_bytes_max; // DuckDB's memory_limit; default 1 GiB
    uint32_t threads;          // DuckDB threads; 0: cores
    uint32_t timeout_ms;       // default 60000
    uint64_t rows_max;         // default 1000000; an answer beyond it ends in an error
    uint32_t idle_ms;          // default 60000
    uint32_t ahead;            // processes that do not end when idle; default 0
    const char *ahead_sql;     // what these run first, for files to be known; NULL: nothing
    void (*log)(void *state, const char *level, const char *message);
    void *log_state;
};
void oto_query_options_default(struct oto_query_options *options);

OTO_MUST_CHECK enum oto_status oto_query_client_new(const struct oto_query_options *options,
                                                    struct oto_query_client **ret_client,
                                                    struct oto_error *err);
void oto_query_client_free(struct oto_query_client *client); // cancels what runs

// Starts the processes that are to be there before the first query, each on its thread.
void oto_query_client_start_ahead(struct oto_query_client *client);

// One query. Kept by the caller until finished was called; callbacks come on a worker thread.
struct oto_query {
    struct oto_bytes sql;
    struct oto_bytes parameters_json; // a JSON array for ?/$1…, an object for $name, or empty
    enum oto_query_format format;
    int64_t from_us, to_us; // time range known beforehand, for pruning; INT64_MIN, INT64_MAX: all
    // The next bytes; may block for backpressure. Negative: cancel.
    enum oto_status (*data)(struct oto_query *query, struct oto_bytes bytes);
    // What it reads: filled in before the first data.
    struct oto_query_scan scan;
    // Last call: OTO_OK and rows, or err (line and column of the SQL where known). OTO_INVALID: the
    // SQL; OTO_DENIED: not allowed; OTO_TIMEOUT, OTO_TOO_LARGE (rows, memory), OTO_UNAVAILABLE
    // (queue full, cancelled, the program cannot be started), OTO_INTERNAL (process died).
    void (*finished)(struct oto_query *query, enum oto_status status, uint64_t rows,
                     const struct oto_error *err);
    void *state;
    // the client's own
    struct oto_query *next;
    int cancelled;
};
// Queues a query. finished is always called, perhaps from within.
void oto_query_submit(struct oto_query_client *client, struct oto_query *query);
// Any thread; finished still comes.
void oto_query_cancel(struct oto_query_client *client, struct oto_query *query);

struct oto_query_stats {
    uint64_t queries, failures, processes_started, processes_crashed, running, waiting;
};
void oto_query_client_stats(struct oto_query_client *client, struct oto_query_stats *ret_stats);

#endif
