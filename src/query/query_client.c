// The queue of queries and the threads that take from it. What a thread does with a query:
// query_worker.c.
#include "query/query_internal.h"

#include "os/clock.h"
#include <stdio.h>
#include <stdlib.h>

// Whoever waits for a durable answer goes first, and rows on their way to files next.
#define QUERY_NICE 5

void oto_query_options_default(struct oto_query_options *options)
{
    *options = (struct oto_query_options){.workers = 2,
                                          .queue_max = 64,
                                          .memory_bytes_max = 1ull << 30,
                                          .timeout_ms = 60000,
                                          .rows_max = 1000000,
                                          .idle_ms = 60000};
}

void oto_query_client_log(struct oto_query_client *client, const char *level, const char *format,
                          ...)
{
    char message[OTO_ERROR_MESSAGE_MAX];
    va_list arguments;
    if (!client->options.log)
        return;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    client->options.log(client->options.log_state, level, message);
}

void oto_query_client_count(struct oto_query_client *client, uint64_t *counter)
{
    oto_mutex_lock(&client->lock);
    (*counter)++;
    oto_mutex_unlock(&client->lock);
}

// --- the threads ---

int oto_query_is_cancelled(struct oto_query_client *client, const struct oto_query *query)
{
    oto_mutex_lock(&client->lock);
    int cancelled = query->cancelled || client->stopping;
    oto_mutex_unlock(&client->lock);
    return cancelled;
}

static void serve(struct oto_query_worker *worker, struct oto_query *query)
{
    struct oto_query_client *client = worker->client;
    struct oto_error err;
    oto_error_init(&err);
    uint64_t rows = 0;
    enum oto_status status = oto_query_worker_run(worker, query, &rows, &err);
    oto_mutex_lock(&client->lock);
    worker->current = NULL;
    client->idle_workers++; // before the answer is known, or its receiver's next query would start
                            // another process
    client->stats.running--;
    client->stats.queries++;
    client->stats.failures += status < 0;
    oto_mutex_unlock(&client->lock);
    query->finished(query, status, rows, status < 0 ? &err : NULL);
}

static int keeps_process(const struct oto_query_worker *worker)
{
    return worker - worker->client->workers < (ptrdiff_t)worker->client->options.ahead;
}

// Takes the next query; waits for one at most until the process has been idle for long. NULL: look
// again.
static struct oto_query *wait_for_query(struct oto_query_worker *worker)
{
    struct oto_query_client *client = worker->client;
    uint64_t idle_until = oto_clock_monotonic_ns() + client->options.idle_ms * 1000000ull;
    enum oto_status status = OTO_OK;
    while (!client->first && !client->stopping && status != OTO_TIMEOUT) {
        if (worker->child.pid && !keeps_process(worker))
            status = oto_condition_wait_until(&client->work, &client->lock, idle_until);
        else
            oto_condition_wait(&client->work, &client->lock);
    }
    struct oto_query *query = client->stopping ? NULL : client->first;
    if (query) {
        client->idle_workers--;
        client->first = query->next;
        client->last = client->first ? client->last : NULL;
        client->stats.waiting--;
        client->stats.running++;
        worker->current = query;
    }
    return query;
}

static void *run_worker(void *state)
{
    struct oto_query_worker *worker = state;
    struct oto_query_client *client = worker->client;
    oto_thread_be_nice(QUERY_NICE); // also for the processes that it starts
    oto_mutex_lock(&client->lock);
    while (!client->stopping) {
        if (keeps_process(worker) && !client->first) {
            oto_mutex_unlock(&client->lock);
            oto_query_worker_start_ahead(worker);
            oto_mutex_lock(&client->lock);
        }
        struct oto_query *query = wait_for_query(worker);
        oto_mutex_unlock(&client->lock);
        if (query)
            serve(worker, query);
        else
            oto_query_worker_end(worker);
        oto_mutex_lock(&client->lock);
    }
    oto_mutex_unlock(&client->lock);
    oto_query_worker_end(worker);
    return NULL;
}

// Under the lock.
static enum oto_status add_worker(struct oto_query_client *client, struct oto_error *err)
{
    struct oto_query_worker *worker = &client->workers[client->worker_count];
    char name[24];
    (void)snprintf(name, sizeof(name), "query-%u", client->worker_count);
    *worker = (struct oto_query_worker){.client = client, .child = {.socket_fd = -1}};
    enum oto_status status = oto_thread_start(&worker->thread, name, run_worker, worker, err);
    if (status < 0)
        return status;
    client->worker_count++;
    client->idle_workers++;
    return OTO_OK;
}

// Under the lock. A thread more when all are busy.
static enum oto_status start_worker(struct oto_query_client *client, struct oto_error *err)
{
    if (client->idle_workers > client->stats.waiting ||
        client->worker_count == client->options.workers)
        return OTO_OK;
    enum oto_status status = add_worker(client, err);
    return client->worker_count ? OTO_OK : status;
}

void oto_query_client_start_ahead(struct oto_query_client *client)
{
    oto_mutex_lock(&client->lock);
    while (client->worker_count < client->options.ahead &&
           client->worker_count < client->options.workers && !client->stopping)
        if (add_worker(client, NULL) < 0)
            break;
    oto_mutex_unlock(&client->lock);
}

// --- the queue ---

// Under the lock.
static enum oto_status enqueue(struct oto_query_client *client, struct oto_query *query,
                               struct oto_error *err)
{
    if (client->stopping)
        return oto_error_set(err, OTO_UNAVAILABLE, "the server is stopping");
    if (client->stats.waiting >= client->options.queue_max)
        return oto_error_set(err, OTO_UNAVAILABLE,
                             "%llu queries are waiting already; try again later",
                             (unsigned long long)client->stats.waiting);
    OTO_TRY(start_worker(client, err));
    query->next = NULL;
    if (client->last)
        client->last->next = query;
    else
        client->first = query;
    client->last = query;
    client->stats.waiting++;
    oto_condition_signal(&client->work);
    return OTO_OK;
}

void oto_query_submit(struct oto_query_client *client, struct oto_query *query)
{
    struct oto_error err;
    oto_error_init(&err);
    query->cancelled = 0;
    oto_mutex_lock(&client->lock);
    enum oto_status status = enqueue(client, query, &err);
    if (status < 0) {
        client->stats.queries++;
        client->stats.failures++;
    }
    oto_mutex_unlock(&client->lock);
    if (status < 0)
        query->finished(query, status, 0, &err);
}

// Under the lock. 1 when it waited.
static int remove_waiting(struct oto_query_client *client, struct oto_query *query)
{
    struct oto_query *before = NULL;
    struct oto_query *at = client->first;
    while (at && at != query) {
        before = at;
        at = at->next;
    }
    if (!at)
        return 0;
    if (before)
        before->next = query->next;
    else
        client->first = query->next;
    if (client->last == query)
        client->last = before;
    client->stats.waiting--;
    client->stats.queries++;
    client->stats.failures++;
    return 1;
}

static void finish_cancelled(struct oto_query *query)
{
    struct oto_error err;
    oto_error_init(&err);
    oto_error_set(&err, OTO_UNAVAILABLE, "the query was cancelled");
    query->finished(query, OTO_UNAVAILABLE, 0, &err);
}

void oto_query_cancel(struct oto_query_client *client, struct oto_query *query)
{
    oto_mutex_lock(&client->lock);
    query->cancelled = 1; // its worker looks at this
    int waited = remove_waiting(client, query);
    oto_mutex_unlock(&client->lock);
    if (waited)
        finish_cancelled(query);
}

void oto_query_client_stats(struct oto_query_client *client, struct oto_query_stats *ret_stats)
{
    oto_mutex_lock(&client->lock);
    *ret_stats = client->stats;
    oto_mutex_unlock(&client->lock);
}

// --- life ---

static enum oto_status copy_options(struct oto_query_client *client,
                                    const struct oto_query_options *options)
{
    client->options = *options;
    client->program = strdup(options->program);
    client->data_path = strdup(options->data_path);
    client->tables = calloc(options->table_count + 1u, sizeof(*client->tables));
    if (!client->program || !client->data_path || !client->tables)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < options->table_count; i++)
        client->tables[i] = options->tables[i];
    client->options.program = client->program;
    client->options.data_path = client->data_path;
    client->options.tables = client->tables;
    if (client->options.workers == 0)
        client->options.workers = 1;
    if (client->options.workers > OTO_QUERY_WORKERS_MAX)
        client->options.workers = OTO_QUERY_WORKERS_MAX;
    return OTO_OK;
}

enum oto_status oto_query_client_new(const struct oto_query_options *options,
                                     struct oto_query_client **ret_client, struct oto_error *err)
{
    struct oto_query_client *client = calloc(1, sizeof(*client));
    if (!client || copy_options(client, options) < 0) {
        if (client)
            free(client->program), free(client->data_path), free(client->tables);
        free(client);
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for the query client");
    }
    oto_mutex_init(&client->lock);
    oto_condition_init(&client->work);
    *ret_client = client;
    return OTO_OK;
}

void oto_query_client_free(struct oto_query_client *client)
{
    if (!client)
        return;
    oto_mutex_lock(&client->lock);
    client->stopping = 1;
    struct oto_query *waiting = client->first;
    client->first = client->last = NULL;
    oto_condition_broadcast(&client->work);
    oto_mutex_unlock(&client->lock);
    while (waiting) {
        struct oto_query *next = waiting->next;
        finish_cancelled(waiting);
        waiting = next;
    }
    for (uint32_t i = 0; i < client->worker_count; i++)
        oto_thread_join(&client->workers[i].thread);
    oto_condition_release(&client->work);
    oto_mutex_release(&client->lock);
    free(client->program);
    free(client->data_path);
    free(client->tables);
    free(client);
}
