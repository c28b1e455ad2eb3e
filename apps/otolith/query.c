// otolith query: asks the running server of a data folder, or, when there is none, the files
// themselves.
#include "api/query_source.h"
#include "commands.h"
#include "net/http_client.h"
#include "os/file.h"
#include "os/process.h"
#include "os/thread.h"
#include "wire/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SQL_MAX (16u << 20)
#define ADDRESS_MAX 256

struct request {
    const char *data;
    enum oto_query_format format;
    struct oto_buffer sql;
};

static int print_help(void)
{
    (void)puts(
        "Usage: otolith query [--data DIR] [--format table|json|ndjson|csv|arrow|parquet] SQL\n\n"
        "Asks with SQL (DuckDB's). When a server runs on the data folder, it answers, and rows "
        "that it has just taken\n"
        "are there too; otherwise the files are read, after what a crashed server left in its log "
        "was put into files.\n\n"
        "  --data DIR       the data folder (default ./otolith-data; also OTOLITH_DATA)\n"
        "  --format FORMAT  table (default), json (one array of objects), ndjson, csv, arrow (IPC "
        "stream), parquet\n"
        "  SQL              one SELECT; - or nothing: read from standard input\n\n"
        "Tables: logs, traces, metrics for people; otel_logs, otel_traces, otel_metrics_gauge, "
        "…_sum, …_histogram,\n"
        "…_exponential_histogram, …_summary as they are kept. `DESCRIBE logs` shows the "
        "columns.\n\n"
        "Examples:\n"
        "  otolith query \"SELECT ServiceName, count(*) FROM logs GROUP BY 1\"\n"
        "  otolith query --format csv \"SELECT * FROM traces WHERE StatusCode = 'Error'\" > "
        "errors.csv\n\n"
        "Exit status: 0 answered, 1 failed, 2 wrong usage.");
    return 0;
}

// --- arguments ---

static enum oto_status read_input(struct oto_buffer *sql, struct oto_error *err)
{
    char block[4096];
    size_t size;
    while ((size = fread(block, 1, sizeof(block), stdin)) > 0)
        if (oto_buffer_append(sql, block, size) < 0)
            return oto_error_set(err, OTO_TOO_LARGE, "the SQL is larger than %u bytes", SQL_MAX);
    return ferror(stdin) ? oto_error_set(err, OTO_IO, "standard input cannot be read") : OTO_OK;
}

// "--name VALUE" and "--name=VALUE": the value, or NULL.
static const char *option(const char *name, int argc, char **argv, int *at)
{
    size_t size = strlen(name);
    if (strncmp(argv[*at], name, size) == 0 && argv[*at][size] == '=')
        return argv[*at] + size + 1;
    return strcmp(argv[*at], name) == 0 && *at + 1 < argc ? argv[++*at] : NULL;
}

static enum oto_status read_arguments(struct request *request, int argc, char **argv,
                                      struct oto_error *err)
{
    const char *sql = NULL, *value;
    int plain = 0;
    for (int i = 0; i < argc; i++) {
        if (!plain && strcmp(argv[i], "--") == 0)
            plain = 1;
        else if (!plain && (value = option("--data", argc, argv, &i)))
            request->data = value;
        else if (!plain && (value = option("--format", argc, argv, &i))) {
            if (oto_query_format_from_name(value, &request->format) < 0)
                return oto_error_set(
                    err, OTO_INVALID,
                    "'%s' is not a format: table, json, ndjson, csv, arrow or parquet", value);
        } else if (!plain && argv[i][0] == '-' && argv[i][1] == '-')
            return oto_error_set(
                err, OTO_INVALID,
                "'%s' is not an option, or lacks its value; see otolith query --help", argv[i]);
        else if (sql)
            return oto_error_set(err, OTO_INVALID, "more than one SQL: put it in quotes");
        else
            sql = argv[i];
    }
    if (!sql || strcmp(sql, "-") == 0)
        return read_input(&request->sql, err);
    if (oto_buffer_append(&request->sql, sql, strlen(sql)) < 0)
        return oto_error_set(err, OTO_TOO_LARGE, "the SQL is larger than %u bytes", SQL_MAX);
    return OTO_OK;
}

// --- errors ---

// The line of the SQL that the error is about, with a caret under the place.
static void print_error(const struct request *request, const struct oto_error *err)
{
    (void)fflush(stdout);
    if (!err->line) {
        (void)fprintf(stderr, "otolith: %s\n", err->message);
        return;
    }
    (void)fprintf(stderr, "otolith: line %u, column %u: %s\n", err->line, err->column,
                  err->message);
    const char *at = (const char *)request->sql.data, *end = at + request->sql.size;
    for (uint32_t line = 1; line < err->line; line++) {
        const char *stop = memchr(at, '\n', (size_t)(end - at));
        if (!stop)
            return;
        at = stop + 1;
    }
    const char *stop = memchr(at, '\n', (size_t)(end - at));
    size_t size = (size_t)((stop ? stop : end) - at);
    if (size > 200 || err->column > 200)
        return;
    (void)fprintf(stderr, "  %.*s\n  %*s^\n", (int)size, at, (int)err->column - 1, "");
}

// --- the running server ---

struct remote {
    struct oto_buffer problem; // the body of an answer that is not 200
    int broken;                // standard output is
};

static enum oto_status take_answer(void *state, int status, struct oto_bytes bytes)
{
    struct remote *remote = state;
    if (status != 200)
        return oto_buffer_append(&remote->problem, bytes.data, bytes.size) < 0 ? OTO_TOO_LARGE
                                                                               : OTO_OK;
    remote->broken = fwrite(bytes.data, 1, bytes.size, stdout) != bytes.size;
    return remote->broken ? OTO_IO : OTO_OK;
}

// {"error": {"status": …, "message": …, "line": …, "column": …}}
static enum oto_status read_problem(struct oto_json_reader *r, struct oto_error *err)
{
    enum oto_status status;
    uint64_t number;
    OTO_TRY(oto_json_enter(r));
    while ((status = oto_json_member(r)) == OTO_OK) {
        struct oto_json_string name, text;
        struct oto_bytes digits;
        OTO_TRY(oto_json_name(r, &name));
        int byte = oto_json_peek(r);
        if (byte == '{') {
            OTO_TRY(read_problem(r, err));
        } else if (byte == '"' && oto_bytes_equal_text(name.raw, "message")) {
            OTO_TRY(oto_json_string(r, &text));
            uint8_t message[OTO_ERROR_MESSAGE_MAX];
            size_t size =
                text.raw.size < sizeof(message) ? oto_json_unescape(text.raw, message) : 0;
            oto_error_set(err, OTO_INVALID, "%.*s", (int)size, (const char *)message);
        } else if (byte >= '0' && byte <= '9') {
            OTO_TRY(oto_json_number(r, &digits));
            OTO_TRY(oto_json_to_u64(digits, &number));
            if (oto_bytes_equal_text(name.raw, "line"))
                err->line = (uint32_t)number;
            if (oto_bytes_equal_text(name.raw, "column"))
                err->column = (uint32_t)number;
        } else {
            OTO_TRY(oto_json_skip(r));
        }
    }
    return status;
}

static enum oto_status explain_problem(const struct remote *remote, int http_status,
                                       struct oto_error *err)
{
    struct oto_json_reader r;
    oto_error_init(err);
    oto_json_reader_init(&r, oto_buffer_view(&remote->problem), 8);
    if (oto_json_peek(&r) == '{' && read_problem(&r, err) == OTO_END && err->message[0])
        return OTO_INVALID;
    return oto_error_set(err, OTO_IO, "the server answered %d: %.*s", http_status,
                         (int)(remote->problem.size < 300 ? remote->problem.size : 300),
                         (const char *)remote->problem.data);
}

static enum oto_status ask_server(const struct request *request, const char *address,
                                  struct oto_error *err)
{
    struct remote remote = {.broken = 0};
    oto_buffer_init(&remote.problem, &oto_allocator_heap, 1 << 20);
    struct oto_http_call_options call = {.address = address,
                                         .path = "/api/v1/sql",
                                         .content_type = "application/sql",
                                         .accept = oto_query_format_content_type(request->format),
                                         .body = oto_buffer_view(&request->sql),
                                         .data = take_answer,
                                         .state = &remote};
    int http_status = 0;
    enum oto_status status = oto_http_post(&call, &http_status, err);
    if (remote.broken)
        status = oto_error_set(err, OTO_IO, "standard output cannot be written");
    else if (status == OTO_OK && http_status != 200)
        status = explain_problem(&remote, http_status, err);
    else if (status == OTO_CORRUPT && http_status == 200)
        oto_error_set(err, status,
                      "the answer broke off: the query failed on its way, or the server ended");
    oto_buffer_release(&remote.problem);
    return status;
}

// --- finding it ---

// The text of the lock file while a server holds it; 0 when none does.
static int read_lock(const char *data, char *text, size_t text_size, struct oto_error *err)
{
    char path[4096];
    struct oto_file lock;
    size_t size = 0;
    (void)snprintf(path, sizeof(path), "%s/lock", data);
    if (oto_file_lock(&lock, path, err) !=
        OTO_EXISTS) { // nobody's, or not to be had: opening the folder will tell
        if (lock.fd >= 0)
            (void)oto_file_close(&lock, NULL);
        return 0;
    }
    if (oto_file_open(&lock, path, OTO_FILE_READ, err) < 0)
        return 0;
    (void)!oto_file_read_at(&lock, 0, text, text_size - 1, &size, NULL);
    (void)oto_file_close(&lock, NULL);
    text[size] = 0;
    return 1;
}

// From a line "127.0.0.1:4317 (ingest, query, admin)" its address, when queries are served there.
static int query_address(const char *line, size_t size, char *address)
{
    const char *space = memchr(line, ' ', size);
    if (!space || (size_t)(space - line) >= ADDRESS_MAX)
        return 0;
    char roles[64];
    (void)snprintf(roles, sizeof(roles), "%.*s", (int)(size - (size_t)(space - line)), space);
    if (!strstr(roles, "query"))
        return 0;
    memcpy(address, line, (size_t)(space - line));
    address[space - line] = 0;
    return 1;
}

static enum oto_status ask_holder(const struct request *request, const char *text,
                                  struct oto_error *err)
{
    char address[ADDRESS_MAX];
    size_t pid_size = strcspn(text, "\n");
    enum oto_status status = OTO_NOT_FOUND;
    oto_error_set(err, OTO_NOT_FOUND, "process %.*s holds %s, and serves queries nowhere",
                  (int)pid_size, text, request->data);
    for (const char *line = text + pid_size;
         *line && (status == OTO_NOT_FOUND || status == OTO_UNAVAILABLE);) {
        size_t size = strcspn(++line, "\n");
        if (query_address(line, size, address))
            status = ask_server(request, address, err);
        line += size;
    }
    return status;
}

// --- without a server ---

struct local {
    struct oto_query query;
    struct oto_mutex lock;
    struct oto_condition ended;
    int done;
    enum oto_status status;
    struct oto_error err;
};

static enum oto_status print_piece(struct oto_query *query, struct oto_bytes bytes)
{
    (void)query;
    return fwrite(bytes.data, 1, bytes.size, stdout) == bytes.size ? OTO_OK : OTO_IO;
}

static void end_query(struct oto_query *query, enum oto_status status, uint64_t rows,
                      const struct oto_error *err)
{
    (void)rows;
    struct local *local = query->state;
    oto_mutex_lock(&local->lock);
    local->status = status;
    if (err)
        local->err = *err;
    local->done = 1;
    oto_condition_signal(&local->ended);
    oto_mutex_unlock(&local->lock);
}

static enum oto_status ask_client(struct oto_query_client *client, const struct request *request,
                                  struct oto_error *err)
{
    struct local local = {.query = {.sql = oto_buffer_view(&request->sql),
                                    .format = request->format,
                                    .from_us = INT64_MIN,
                                    .to_us = INT64_MAX,
                                    .data = print_piece,
                                    .finished = end_query}};
    local.query.state = &local;
    oto_mutex_init(&local.lock);
    oto_condition_init(&local.ended);
    oto_query_submit(client, &local.query);
    oto_mutex_lock(&local.lock);
    while (!local.done)
        oto_condition_wait(&local.ended, &local.lock);
    oto_mutex_unlock(&local.lock);
    if (local.status < 0)
        *err = local.err;
    return local.status;
}

static void print_log(void *state, const char *level, const char *message)
{
    (void)state;
    if (strcmp(level, "info") != 0)
        (void)fprintf(stderr, "otolith: %s: %s\n", level, message);
}

static enum oto_status ask_engine(struct oto_engine *engine, const char *data_path,
                                  const struct request *request, struct oto_error *err)
{
    char own_path[4096], program[4096 + 32];
    struct oto_query_table tables[OTO_TABLE_COUNT];
    struct oto_query_options options;
    struct oto_query_client *client;
    OTO_TRY(oto_engine_recover(engine, err));
    OTO_TRY(oto_program_path(own_path, sizeof(own_path), err));
    oto_query_program_find(own_path, program, sizeof(program));
    oto_query_tables_fill(tables);
    oto_query_options_default(&options);
    options.program = program;
    options.data_path = data_path;
    options.tables = tables;
    options.table_count = OTO_TABLE_COUNT;
    options.source = oto_query_source_of_engine(engine);
    options.workers = 1;
    options.rows_max = UINT32_MAX;
    options.timeout_ms = 24u * 3600 * 1000;
    options.log = print_log;
    OTO_TRY(oto_query_client_new(&options, &client, err));
    enum oto_status status = ask_client(client, request, err);
    oto_query_client_free(client);
    return status;
}

static enum oto_status ask_files(const struct request *request, struct oto_error *err)
{
    char data_path[4096];
    struct oto_engine_options options;
    struct oto_engine *engine;
    OTO_TRY(oto_path_absolute(request->data, data_path, sizeof(data_path), err));
    oto_engine_options_default(&options);
    options.data_path = data_path;
    options.shard_count = 0; // only what the logs still hold becomes files; nothing is taken in
    options.promote_kept = 1;
    options.version = OTO_VERSION;
    options.log = print_log;
    OTO_TRY(oto_engine_open(&options, &engine, err));
    enum oto_status status = ask_engine(engine, data_path, request, err);
    oto_engine_close(engine);
    return status;
}

// --- the command ---

// Opening a folder makes what a data folder has, so it must be one already.
static enum oto_status check_folder(const char *data, struct oto_error *err)
{
    static const char *const parts[] = {"", "wal", "logs", "traces", "metrics"};
    int exists = 0;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        char path[4096];
        (void)snprintf(path, sizeof(path), "%s/%s", data, parts[i]);
        OTO_TRY(oto_path_exists(path, &exists, err));
        if (i == 0 && !exists)
            return oto_error_set(err, OTO_NOT_FOUND,
                                 "there is no folder %s: name the server's with --data", data);
        if (i > 0 && exists)
            return OTO_OK;
    }
    return oto_error_set(err, OTO_NOT_FOUND,
                         "%s is not a data folder: it has no wal, logs, traces or metrics", data);
}

static enum oto_status ask(const struct request *request, struct oto_error *err)
{
    char text[4096];
    OTO_TRY(check_folder(request->data, err));
    oto_memory_tune();
    enum oto_status status = read_lock(request->data, text, sizeof(text), err)
                                 ? ask_holder(request, text, err)
                                 : ask_files(request, err);
    if (status == OTO_OK && fflush(stdout) != 0)
        return oto_error_set(err, OTO_IO, "standard output cannot be written");
    return status;
}

static int wants_help(int argc, char **argv)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            return 1;
    return 0;
}

int oto_command_query(int argc, char **argv, char **environment)
{
    (void)environment;
    if (wants_help(argc, argv))
        return print_help();
    const char *data = getenv("OTOLITH_DATA");
    struct request request = {.data = data ? data : "./otolith-data", .format = OTO_QUERY_TABLE};
    struct oto_error err;
    oto_error_init(&err);
    oto_buffer_init(&request.sql, &oto_allocator_heap, SQL_MAX);
    int status = 0;
    if (read_arguments(&request, argc, argv, &err) < 0) {
        (void)fprintf(stderr, "otolith: %s\n", err.message);
        status = 2;
    } else if (ask(&request, &err) < 0) {
        print_error(&request, &err);
        status = 1;
    }
    oto_buffer_release(&request.sql);
    return status;
}
