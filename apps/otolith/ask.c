// Asking SQL of a data folder, by its server or by its files.
#include "ask.h"

#include "api/query_source.h"
#include "engine/engine.h"
#include "net/http_client.h"
#include "options.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"
#include "os/thread.h"
#include "wire/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ADDRESSES_MAX 64
#define LOOK_AGAIN_MS 50

struct oto_ask {
    char data[4096];
    int by_server;
    struct oto_engine *engine; // without a server
    struct oto_query_client *client;
    struct oto_query_table tables[OTO_TABLE_COUNT];
    char program[4096 + 32];
    char tool[64]; // "otolith query"
};

const char *oto_ask_folder(const char *data)
{
    const char *named = data ? data : getenv("OTOLITH_DATA");
    return named && *named ? named : "./otolith-data";
}

// --- the running server ---

struct remote {
    struct oto_buffer problem; // the body of an answer that is not 200
    enum oto_status (*data)(void *state, struct oto_bytes bytes);
    void *state;
};

static enum oto_status take_answer(void *state, int status, struct oto_bytes bytes)
{
    struct remote *remote = state;
    if (status == 200)
        return remote->data(remote->state, bytes);
    return oto_buffer_append(&remote->problem, bytes.data, bytes.size) < 0 ? OTO_TOO_LARGE : OTO_OK;
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
    enum oto_status status = http_status == 503 || http_status == 504 ? OTO_UNAVAILABLE
                             : http_status == 422                     ? OTO_TOO_LARGE
                                                                      : OTO_INVALID;
    if (oto_json_peek(&r) == '{' && read_problem(&r, err) == OTO_END && err->message[0])
        return err->status = status;
    return oto_error_set(err, OTO_IO, "the server answered %d: %.*s", http_status,
                         (int)(remote->problem.size < 300 ? remote->problem.size : 300),
                         (const char *)remote->problem.data);
}

// *ret_reached: it has begun to answer.
static enum oto_status ask_address(const char *address, struct oto_bytes sql,
                                   enum oto_query_format format,
                                   enum oto_status (*data)(void *state, struct oto_bytes bytes),
                                   void *state, int *ret_reached, struct oto_error *err)
{
    struct remote remote = {.data = data, .state = state};
    oto_buffer_init(&remote.problem, &oto_allocator_heap, 1 << 20);
    struct oto_http_call_options call = {.address = address,
                                         .path = "/api/v1/sql",
                                         .content_type = "application/sql",
                                         .accept = oto_query_format_content_type(format),
                                         .body = sql,
                                         .data = take_answer,
                                         .state = &remote};
    int http_status = 0;
    enum oto_status status = oto_http_post(&call, &http_status, err);
    *ret_reached = http_status != 0;
    if (status == OTO_OK && http_status != 200)
        status = explain_problem(&remote, http_status, err);
    else if (status == OTO_CORRUPT && http_status == 200)
        oto_error_set(err, status,
                      "the answer broke off: the server's log says why; more rows than "
                      "query_rows_max, or longer than query_timeout, is most likely");
    oto_buffer_release(&remote.problem);
    return status;
}

// --- finding it ---

// Who holds the folder; OTO_NOT_FOUND when nobody does.
static enum oto_status find_holder(const char *data, struct oto_engine_holder *holder,
                                   struct oto_error *err)
{
    enum oto_status status = oto_engine_find_holder(data, holder, err);
    if (status < 0 && status != OTO_NOT_FOUND)
        oto_error_context(err, "whether a server runs on %s cannot be told", data);
    return status;
}

// From a line "127.0.0.1:4317 (ingest, query, admin)" its address, when it has the role.
static int address_of_line(const char *line, size_t size, const char *role, char *address)
{
    const char *space = memchr(line, ' ', size);
    if (!space || (size_t)(space - line) >= OTO_ASK_ADDRESS_MAX)
        return 0;
    char roles[64];
    (void)snprintf(roles, sizeof(roles), "%.*s", (int)(size - (size_t)(space - line)), space);
    if (!strstr(roles, role))
        return 0;
    memcpy(address, line, (size_t)(space - line));
    address[space - line] = 0;
    return 1;
}

int oto_ask_pick_address(const char *addresses, const char *role, unsigned skip,
                         char address[OTO_ASK_ADDRESS_MAX])
{
    for (const char *line = addresses; *line;) {
        size_t size = strcspn(line, "\n");
        if (address_of_line(line, size, role, address) && skip-- == 0)
            return 1;
        line += size + (line[size] == '\n');
    }
    return 0;
}

// "0.0.0.0:4317" and "[::]:4317" are reached by loopback.
static void url_of_address(const char *address, char url[OTO_ASK_URL_MAX])
{
    const char *port = strrchr(address, ':');
    int is_any = oto_text_begins_with(address, "0.0.0.0:");
    int is_any6 = oto_text_begins_with(address, "[::]:");
    (void)snprintf(url, OTO_ASK_URL_MAX, "http://%s%s",
                   is_any    ? "127.0.0.1"
                   : is_any6 ? "[::1]"
                             : address,
                   is_any || is_any6 ? port : "");
}

int oto_ask_pick_url(const char *addresses, const char *role, char url[OTO_ASK_URL_MAX])
{
    char address[OTO_ASK_ADDRESS_MAX];
    for (unsigned skip = 0; oto_ask_pick_address(addresses, role, skip, address); skip++)
        if (!oto_text_begins_with(address, "unix:")) {
            url_of_address(address, url);
            return 1;
        }
    return 0;
}

enum oto_status oto_ask_url(const char *data, const char *role, char url[OTO_ASK_URL_MAX],
                            struct oto_error *err)
{
    struct oto_engine_holder holder;
    OTO_TRY(find_holder(data, &holder, err));
    if (holder.tool)
        return oto_error_set(err, OTO_NOT_FOUND, "no server runs on %s", data);
    if (oto_ask_pick_url(holder.addresses, role, url))
        return OTO_OK;
    return oto_error_set(err, OTO_UNSUPPORTED,
                         "the server on %s has no address of host and port with the role %s", data,
                         role);
}

static enum oto_status ask_server(const struct oto_ask *ask, struct oto_bytes sql,
                                  enum oto_query_format format,
                                  enum oto_status (*data)(void *state, struct oto_bytes bytes),
                                  void *state, struct oto_error *err)
{
    struct oto_engine_holder holder;
    char address[OTO_ASK_ADDRESS_MAX];
    OTO_TRY(find_holder(ask->data, &holder, err));
    if (!oto_ask_pick_address(holder.addresses, "query", 0, address))
        return oto_error_set(err, OTO_NOT_FOUND,
                             "process %s holds %s, and has the role query nowhere", holder.pid,
                             ask->data);
    int reached;
    enum oto_status status = ask_address(address, sql, format, data, state, &reached, err);
    for (unsigned skip = 1; status == OTO_UNAVAILABLE && !reached && skip < ADDRESSES_MAX &&
                            oto_ask_pick_address(holder.addresses, "query", skip, address);
         skip++)
        status = ask_address(address, sql, format, data, state, &reached, err);
    return status;
}

// --- without a server ---

struct local {
    struct oto_query query;
    enum oto_status (*data)(void *state, struct oto_bytes bytes);
    void *state;
    struct oto_mutex lock;
    struct oto_condition ended;
    int done;
    enum oto_status status;
    struct oto_error err;
};

static enum oto_status take_piece(struct oto_query *query, struct oto_bytes bytes)
{
    struct local *local = query->state;
    return local->data(local->state, bytes);
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

static enum oto_status ask_client(struct oto_query_client *client, struct oto_bytes sql,
                                  enum oto_query_format format,
                                  enum oto_status (*data)(void *state, struct oto_bytes bytes),
                                  void *state, struct oto_error *err)
{
    struct local local = {.query = {.sql = sql,
                                    .format = format,
                                    .from_us = INT64_MIN,
                                    .to_us = INT64_MAX,
                                    .data = take_piece,
                                    .finished = end_query},
                          .data = data,
                          .state = state};
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
    oto_mutex_release(&local.lock);
    oto_condition_release(&local.ended);
    return local.status;
}

static void print_log(void *state, const char *level, const char *message)
{
    (void)state;
    if (strcmp(level, "info") != 0)
        (void)fprintf(stderr, "otolith: %s: %s\n", level, message);
}

static enum oto_status start_client(struct oto_ask *ask, struct oto_error *err)
{
    char own_path[4096];
    struct oto_query_options options;
    OTO_TRY(oto_engine_recover(ask->engine, err));
    OTO_TRY(oto_program_path(own_path, sizeof(own_path), err));
    oto_query_program_find(own_path, ask->program, sizeof(ask->program));
    oto_query_tables_fill(ask->tables);
    oto_query_options_default(&options);
    options.program = ask->program;
    options.data_path = ask->data;
    options.tables = ask->tables;
    options.table_count = OTO_TABLE_COUNT;
    options.source = oto_query_source_of_engine(ask->engine);
    options.workers = 1;
    options.rows_max = UINT32_MAX;
    options.timeout_ms = 24u * 3600 * 1000;
    options.log = print_log;
    return oto_query_client_new(&options, &ask->client, err);
}

static enum oto_status open_files(struct oto_ask *ask, struct oto_error *err)
{
    struct oto_engine_options options;
    oto_engine_options_default(&options);
    options.data_path = ask->data;
    options.shard_count = 0; // only what the logs still hold becomes files; nothing is taken in
    options.promote_kept = 1;
    options.version = OTO_VERSION;
    options.tool = ask->tool;
    options.log = print_log;
    enum oto_status status = oto_engine_open(&options, &ask->engine, err);
    if (status == OTO_DENIED)
        oto_error_context(err,
                          "no server runs on %s, and who reads its files without one must be able "
                          "to write there, too: be its owner, or take a copy",
                          ask->data);
    return status;
}

// Another tool is waited for, as it ends by itself.
static enum oto_status wait_for_holder(const struct oto_ask *ask, struct oto_engine_holder *holder,
                                       struct oto_error *err)
{
    char told[32] = "";
    enum oto_status status;
    while ((status = find_holder(ask->data, holder, err)) == OTO_OK && holder->tool) {
        if (strcmp(told, holder->pid) != 0)
            (void)fprintf(stderr, "otolith: %s, process %s, reads %s: waiting for it\n",
                          holder->tool, holder->pid, ask->data);
        (void)snprintf(told, sizeof(told), "%s", holder->pid);
        oto_clock_sleep_ms(LOOK_AGAIN_MS);
    }
    return status;
}

static enum oto_status open_either(struct oto_ask *ask, struct oto_error *err)
{
    struct oto_engine_holder holder;
    enum oto_status status;
    do { // again when somebody else was quicker
        status = wait_for_holder(ask, &holder, err);
        ask->by_server = status == OTO_OK;
        if (status == OTO_NOT_FOUND)
            status = open_files(ask, err);
    } while (status == OTO_EXISTS);
    return status == OTO_OK && !ask->by_server ? start_client(ask, err) : status;
}

// --- the object ---

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

enum oto_status oto_ask_open(const char *data, struct oto_ask **ret_ask, struct oto_error *err)
{
    OTO_TRY(check_folder(data, err));
    oto_memory_tune();
    struct oto_ask *ask = calloc(1, sizeof(*ask));
    if (!ask)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    enum oto_status status = oto_path_absolute(data, ask->data, sizeof(ask->data), err);
    (void)snprintf(ask->tool, sizeof(ask->tool), "otolith %s", oto_command_running());
    if (status == OTO_OK)
        status = open_either(ask, err);
    if (status < 0)
        oto_ask_close(ask);
    else
        *ret_ask = ask;
    return status;
}

void oto_ask_close(struct oto_ask *ask)
{
    if (!ask)
        return;
    if (ask->client)
        oto_query_client_free(ask->client);
    if (ask->engine)
        oto_engine_close(ask->engine);
    free(ask);
}

enum oto_status oto_ask_run(struct oto_ask *ask, struct oto_bytes sql, enum oto_query_format format,
                            enum oto_status (*data)(void *state, struct oto_bytes bytes),
                            void *state, struct oto_error *err)
{
    return ask->by_server ? ask_server(ask, sql, format, data, state, err)
                          : ask_client(ask->client, sql, format, data, state, err);
}
