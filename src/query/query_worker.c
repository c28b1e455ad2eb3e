// One query on its way through a process: start it, hand it files and SQL, pass its answer on, tell
// how it went.
#include "query/query_internal.h"

#include "os/clock.h"
#include "os/file.h"
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define START_MAX_MS 20000
#define GRACE_MS 3000 // how long a process may take to end a query that it was told to end
#define LOOK_MS 50    // how often a waiting worker looks whether its query was cancelled

// --- the process ---

void oto_query_worker_end(struct oto_query_worker *worker)
{
    if (worker->child.pid)
        (void)oto_child_end(&worker->child);
    free(worker->frame);
    worker->frame = NULL;
}

// Reads exactly size bytes before the deadline. OTO_END: the process is gone.
static enum oto_status read_all(int fd, void *data, size_t size, uint64_t deadline_ns)
{
    uint8_t *at = data;
    while (size) {
        uint64_t now = oto_clock_monotonic_ns();
        if (now >= deadline_ns)
            return OTO_TIMEOUT;
        size_t got, count;
        OTO_TRY(oto_socket_wait(fd, (int)((deadline_ns - now) / 1000000 + 1)));
        enum oto_status status = oto_socket_receive(fd, at, size, &got, NULL, 0, &count, NULL);
        if (status != OTO_OK)
            return OTO_END;
        at += got;
        size -= got;
    }
    return OTO_OK;
}

// The next frame; its payload lies in worker->frame. OTO_END, OTO_TIMEOUT, OTO_INVALID.
static enum oto_status read_frame(struct oto_query_worker *worker, enum oto_query_frame *ret_type,
                                  struct oto_bytes *ret_payload, uint64_t deadline_ns)
{
    uint8_t header[OTO_QUERY_HEADER_SIZE];
    uint32_t size;
    enum oto_status status = read_all(worker->child.socket_fd, header, sizeof(header), deadline_ns);
    if (status != OTO_OK)
        return status;
    OTO_TRY(oto_query_header_decode(header, ret_type, &size));
    if (size > OTO_QUERY_DATA_MAX)
        return OTO_INVALID;
    status = read_all(worker->child.socket_fd, worker->frame, size, deadline_ns);
    *ret_payload = oto_bytes(worker->frame, size);
    return status;
}

static enum oto_status make_folders(const char *data_path, char folders[3][4096],
                                    struct oto_error *err)
{
    static const char *const names[3] = {"logs", "traces", "metrics"};
    for (int i = 0; i < 3; i++) {
        int size = snprintf(folders[i], sizeof(folders[i]), "%s/%s", data_path, names[i]);
        if (size < 0 || (size_t)size >= sizeof(folders[i]))
            return oto_error_set(err, OTO_TOO_LARGE, "%s: the path is too long", data_path);
        OTO_TRY(oto_folder_create(folders[i], err)); // the sandbox can name only what is there
    }
    return OTO_OK;
}

// --memory BYTES --threads N [--folder DIR]… [--table NAME]…
static enum oto_status start_process(struct oto_query_worker *worker, struct oto_error *err)
{
    const struct oto_query_options *options = &worker->client->options;
    char folders[3][4096], memory[24], threads[12];
    OTO_TRY(make_folders(options->data_path, folders, err));
    (void)snprintf(memory, sizeof(memory), "%llu", (unsigned long long)options->memory_bytes_max);
    (void)snprintf(threads, sizeof(threads), "%u",
                   options->threads ? options->threads : oto_cpu_count());
    const char **arguments = calloc(12 + 2 * (size_t)options->table_count, sizeof(*arguments));
    if (!arguments)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    size_t n = 0;
    arguments[n++] = options->program;
    arguments[n++] = "--memory", arguments[n++] = memory;
    arguments[n++] = "--threads", arguments[n++] = threads;
    for (int i = 0; i < 3; i++)
        arguments[n++] = "--folder", arguments[n++] = folders[i];
    for (uint32_t i = 0; i < options->table_count; i++)
        arguments[n++] = "--table", arguments[n++] = options->tables[i].name;
    enum oto_status status = oto_child_start(&worker->child, options->program, arguments, err);
    free(arguments);
    return status;
}

// Waits until it says that its sandbox is up.
static enum oto_status await_ready(struct oto_query_worker *worker, struct oto_error *err)
{
    enum oto_query_frame type;
    struct oto_bytes text;
    enum oto_status status =
        read_frame(worker, &type, &text, oto_clock_monotonic_ns() + START_MAX_MS * 1000000ull);
    if (status == OTO_OK && type == OTO_QUERY_FRAME_READY) {
        oto_query_client_log(worker->client, "info", "otolith-query %d: %.*s", worker->child.pid,
                             (int)text.size, (const char *)text.data);
        return OTO_OK;
    }
    if (status == OTO_OK && type == OTO_QUERY_FRAME_ERROR &&
        oto_query_error_decode(text, err) == OTO_OK) {
        oto_query_worker_end(worker);
        return OTO_UNAVAILABLE;
    }
    int exit_status = oto_child_end(&worker->child);
    oto_query_worker_end(worker);
    return oto_error_set(err, OTO_UNAVAILABLE, "%s did not start (exit status %d)",
                         worker->client->options.program, exit_status);
}

// A live process: the one there is, unless it died while idle, or a new one.
static enum oto_status ensure_process(struct oto_query_worker *worker, struct oto_error *err)
{
    if (worker->child.pid && oto_socket_wait(worker->child.socket_fd, 0) != OTO_TIMEOUT) {
        oto_query_client_log(worker->client, "warn",
                             "otolith-query %d ended while idle; starting another",
                             worker->child.pid);
        oto_query_client_count(worker->client, &worker->client->stats.processes_crashed);
        oto_query_worker_end(worker);
    }
    if (worker->child.pid)
        return OTO_OK;
    worker->frame = malloc(OTO_QUERY_DATA_MAX);
    if (!worker->frame)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    enum oto_status status = start_process(worker, err);
    if (status < 0) {
        oto_query_worker_end(worker);
        oto_error_context(err, "the query process cannot be started");
        return OTO_UNAVAILABLE;
    }
    oto_query_client_count(worker->client, &worker->client->stats.processes_started);
    return await_ready(worker, err);
}

// --- the request ---

// Gives a file in memory a time of change that it had in no request before: what DuckDB remembers
// of a path holds while that time is the same, and these files go by descriptors' numbers.
static void set_own_time(int fd)
{
    static _Atomic uint32_t uses;
    struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = ++uses}};
    (void)futimens(fd, times);
}

// The descriptors of all files in memory, in frames of at most OTO_QUERY_DESCRIPTORS_MAX.
static enum oto_status send_descriptors(int fd, const struct oto_query_file *files, size_t count,
                                        struct oto_error *err)
{
    int batch[OTO_QUERY_DESCRIPTORS_MAX];
    uint8_t frame[OTO_QUERY_HEADER_SIZE + 4];
    oto_query_header_encode(frame, OTO_QUERY_FRAME_FILES, 4);
    for (size_t i = 0; i < count;) {
        uint32_t n = 0;
        for (; i < count && n < OTO_QUERY_DESCRIPTORS_MAX; i++) {
            if (files[i].fd < 0)
                continue;
            oto_file_seal_memory(files[i].fd); // the other process could open it for writing
            if (!files[i].is_model)            // it is always the same
                set_own_time(files[i].fd);
            batch[n++] = files[i].fd;
        }
        oto_store32(frame + OTO_QUERY_HEADER_SIZE, n);
        if (n)
            OTO_TRY(oto_socket_send(fd, frame, sizeof(frame), batch, n, err));
    }
    return OTO_OK;
}

static enum oto_status send_request(struct oto_query_worker *worker, const struct oto_query *query,
                                    const struct oto_query_file *files, size_t count,
                                    struct oto_error *err)
{
    const struct oto_query_options *options = &worker->client->options;
    struct oto_query_request request = {.format = query->format,
                                        .timeout_ms = options->timeout_ms,
                                        .rows_max = options->rows_max,
                                        .sql = query->sql,
                                        .parameters_json = query->parameters_json};
    struct oto_buffer frame;
    oto_buffer_init(&frame, &oto_allocator_heap, OTO_QUERY_REQUEST_MAX + OTO_QUERY_HEADER_SIZE);
    enum oto_status status = oto_query_request_encode(&frame, &request, files, count);
    if (status < 0)
        oto_error_set(err, status,
                      status == OTO_NO_MEMORY ? "no memory for the query and its files"
                                              : "the query and its files are too large");
    if (status == OTO_OK)
        status = send_descriptors(worker->child.socket_fd, files, count, err);
    if (status == OTO_OK)
        status = oto_socket_send(worker->child.socket_fd, frame.data, frame.size, NULL, 0, err);
    oto_buffer_release(&frame);
    return status;
}

// --- the answer ---

struct exchange {
    struct oto_query_worker *worker;
    struct oto_query *query;
    uint64_t deadline_ns;    // the process is killed then
    int cancelled;           // it was told to end
    enum oto_status refused; // what query->data said, when negative
    uint64_t rows;
};

static enum oto_status kill_process(struct exchange *x, struct oto_error *err)
{
    struct oto_query_client *client = x->worker->client;
    oto_query_client_log(client, "warn", "otolith-query %d did not end its query; killed",
                         x->worker->child.pid);
    oto_query_client_count(client, &client->stats.processes_crashed);
    oto_query_worker_end(x->worker);
    if (x->cancelled)
        return oto_error_set(err, OTO_UNAVAILABLE, "the query was cancelled");
    return oto_error_set(err, OTO_TIMEOUT, "the query took longer than %u ms (query_timeout)",
                         client->options.timeout_ms);
}

static enum oto_status report_death(struct exchange *x, struct oto_error *err)
{
    struct oto_query_client *client = x->worker->client;
    int pid = x->worker->child.pid;
    int exit_status = oto_child_end(&x->worker->child);
    oto_query_worker_end(x->worker);
    oto_query_client_log(client, "error",
                         "otolith-query %d died with status %d while running a query", pid,
                         exit_status);
    oto_query_client_count(client, &client->stats.processes_crashed);
    return oto_error_set(err, OTO_INTERNAL,
                         "the query process died (status %d); another one takes the next query",
                         exit_status);
}

static void tell_to_cancel(struct exchange *x)
{
    uint8_t frame[OTO_QUERY_HEADER_SIZE];
    oto_query_header_encode(frame, OTO_QUERY_FRAME_CANCEL, 0);
    x->cancelled = 1;
    x->deadline_ns = oto_clock_monotonic_ns() + GRACE_MS * 1000000ull;
    // A process that is gone shows when it is read from.
    (void)!oto_socket_send(x->worker->child.socket_fd, frame, sizeof(frame), NULL, 0, NULL);
}

// Waits for the next frame and looks for cancellation meanwhile.
static enum oto_status await_frame(struct exchange *x)
{
    for (;;) {
        if (!x->cancelled && oto_query_is_cancelled(x->worker->client, x->query))
            tell_to_cancel(x);
        enum oto_status status = oto_socket_wait(x->worker->child.socket_fd, LOOK_MS);
        if (status != OTO_TIMEOUT)
            return status;
        if (oto_clock_monotonic_ns() > x->deadline_ns)
            return OTO_TIMEOUT;
    }
}

static void pass_on(struct exchange *x, struct oto_bytes bytes)
{
    if (x->cancelled)
        return;
    uint64_t begin = oto_clock_monotonic_ns();
    enum oto_status status = x->query->data(x->query, bytes);
    x->deadline_ns += oto_clock_monotonic_ns() - begin; // a slow reader is not the process's fault
    if (status < 0) {
        x->refused = status;
        tell_to_cancel(x);
    }
}

// After an internal error DuckDB refuses all that comes, and nobody knows what else is wrong.
static void give_up_process(struct oto_query_worker *worker)
{
    oto_query_client_log(worker->client, "warn",
                         "otolith-query %d had an internal error; another one takes the next query",
                         worker->child.pid);
    oto_query_worker_end(worker);
}

// OTO_AGAIN: there is more to come.
static enum oto_status take_frame(struct exchange *x, enum oto_query_frame type,
                                  struct oto_bytes payload, struct oto_error *err)
{
    switch (type) {
    case OTO_QUERY_FRAME_DATA:
        pass_on(x, payload);
        return OTO_AGAIN;
    case OTO_QUERY_FRAME_SCAN:
        if (oto_query_scan_decode(payload, &x->query->scan) < 0)
            break;
        return OTO_AGAIN;
    case OTO_QUERY_FRAME_END:
        if (payload.size != 8)
            break;
        x->rows = oto_load64(payload.data);
        return OTO_OK;
    case OTO_QUERY_FRAME_ERROR:
        if (oto_query_error_decode(payload, err) < 0)
            break;
        if (err->status == OTO_INTERNAL)
            give_up_process(x->worker);
        return err->status;
    default:
        break;
    }
    oto_query_worker_end(x->worker);
    return oto_error_set(err, OTO_INTERNAL,
                         "the query process said something that is not in the protocol");
}

static enum oto_status receive_answer(struct exchange *x, struct oto_error *err)
{
    enum oto_status status = OTO_AGAIN;
    while (status == OTO_AGAIN) {
        enum oto_query_frame type;
        struct oto_bytes payload;
        status = await_frame(x);
        if (status == OTO_OK)
            status = read_frame(x->worker, &type, &payload,
                                oto_clock_monotonic_ns() + GRACE_MS * 1000000ull);
        if (status == OTO_TIMEOUT)
            return kill_process(x, err);
        if (status != OTO_OK)
            return report_death(x, err);
        status = take_frame(x, type, payload, err);
    }
    if (x->refused < 0)
        return oto_error_set(err, x->refused,
                             x->refused == OTO_NO_MEMORY ? "no memory for the answer"
                                                         : "the reader of the answer went away");
    if (x->cancelled)
        return oto_error_set(err, OTO_UNAVAILABLE, "the query was cancelled");
    return status;
}

static enum oto_status ask(struct oto_query_worker *worker, struct oto_query *query,
                           const struct oto_query_file *files, size_t count, uint64_t *ret_rows,
                           struct oto_error *err)
{
    uint64_t deadline = oto_clock_monotonic_ns() +
                        (worker->client->options.timeout_ms + (uint64_t)GRACE_MS) * 1000000ull;
    struct exchange x = {.worker = worker, .query = query, .deadline_ns = deadline};
    enum oto_status status = send_request(worker, query, files, count, err);
    if (status == OTO_IO)
        return report_death(&x, err);
    OTO_TRY(status);
    status = receive_answer(&x, err);
    *ret_rows = x.rows;
    return status;
}

enum oto_status oto_query_worker_run(struct oto_query_worker *worker, struct oto_query *query,
                                     uint64_t *ret_rows, struct oto_error *err)
{
    const struct oto_query_source *source = &worker->client->options.source;
    const struct oto_query_file *files;
    size_t count;
    void *token;
    if (oto_query_is_cancelled(worker->client, query))
        return oto_error_set(err, OTO_UNAVAILABLE, "the query was cancelled");
    OTO_TRY(ensure_process(worker, err));
    OTO_TRY(
        source->acquire(source->state, query->from_us, query->to_us, &files, &count, &token, err));
    enum oto_status status = ask(worker, query, files, count, ret_rows, err);
    source->release(source->state, token);
    return status;
}

static enum oto_status drop_data(struct oto_query *query, struct oto_bytes bytes)
{
    (void)query, (void)bytes;
    return OTO_OK;
}

void oto_query_worker_start_ahead(struct oto_query_worker *worker)
{
    const struct oto_query_options *options = &worker->client->options;
    struct oto_query query = {.sql = oto_bytes_text(options->ahead_sql ? options->ahead_sql : ""),
                              .format = OTO_QUERY_JSON,
                              .from_us = INT64_MIN,
                              .to_us = INT64_MAX,
                              .data = drop_data};
    uint64_t rows;
    struct oto_error err;
    oto_error_init(&err);
    if (worker->child.pid)
        return;
    enum oto_status status = ensure_process(worker, &err);
    if (status == OTO_OK && options->ahead_sql)
        status = oto_query_worker_run(worker, &query, &rows, &err);
    if (status < 0 && !oto_query_is_cancelled(worker->client, &query))
        oto_query_client_log(worker->client, "warn", "%s", err.message);
}
