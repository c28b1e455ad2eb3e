// What the files of the query client share: the client, its worker threads, a process of each.
#ifndef OTO_QUERY_QUERY_INTERNAL_H
#define OTO_QUERY_QUERY_INTERNAL_H

#include "os/process.h"
#include "os/thread.h"
#include "query/query_client.h"

#define OTO_QUERY_WORKERS_MAX 64

struct oto_query_worker {
    struct oto_query_client *client;
    struct oto_thread thread;
    struct oto_child child;    // pid 0: no process; the worker's thread only
    struct oto_query *current; // under the client's lock
    uint8_t *frame;            // OTO_QUERY_DATA_MAX bytes while there is a process
};

struct oto_query_client {
    struct oto_query_options options;
    char *program, *data_path;      // owned copies
    struct oto_query_table *tables; // owned, names borrowed
    struct oto_mutex lock;
    struct oto_condition work;
    struct oto_query *first, *last; // waiting
    uint32_t idle_workers;          // threads without a query
    uint32_t worker_count;          // threads started
    struct oto_query_worker workers[OTO_QUERY_WORKERS_MAX];
    int stopping;
    struct oto_query_stats stats;
};

// Runs one query on the worker's process, which is started when there is none. Returns the outcome;
// err is filled on failure.
enum oto_status oto_query_worker_run(struct oto_query_worker *worker, struct oto_query *query,
                                     uint64_t *ret_rows, struct oto_error *err);
// Starts the process where there is none; failing is logged.
void oto_query_worker_start_ahead(struct oto_query_worker *worker);
// Ends the process.
void oto_query_worker_end(struct oto_query_worker *worker);
// 1 when somebody does not want the answer any more. Any thread.
int oto_query_is_cancelled(struct oto_query_client *client, const struct oto_query *query);
void oto_query_client_log(struct oto_query_client *client, const char *level, const char *format,
                          ...) OTO_PRINTF(3, 4);
void oto_query_client_count(struct oto_query_client *client, uint64_t *counter);

#endif
