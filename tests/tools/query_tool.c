// folders: query
// Runs SQL by the query client on Parquet files, without a server.
// Usage: query_tool PROGRAM DATA FORMAT TIMEOUT_MS ROWS_MAX MEMORY_BYTES [hot:|cold:TABLE=FILE…] --
// SQL [PARAMETERS [SQL PARAMETERS…]] Runs one query after the other; prints each answer, then "#ok
// ROWS" or "#STATUS LINE:COLUMN MESSAGE". "!kill" as SQL sends SIGKILL to the query process 300 ms
// into the next query.
#include "os/file.h"
#include "os/thread.h"
#include "query/query_client.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FILES_MAX 1000

struct tool {
    struct oto_query_file files[FILES_MAX];
    size_t file_count;
    struct oto_query_table tables[FILES_MAX];
    uint32_t table_count;
    struct oto_mutex lock;
    struct oto_condition ended;
    int done;
    int pid; // of the query process, from its READY
};

static enum oto_status acquire(void *state, int64_t from_us, int64_t to_us,
                               const struct oto_query_file **ret_files, size_t *ret_count,
                               void **ret_token, struct oto_error *err)
{
    (void)from_us, (void)to_us, (void)err;
    struct tool *tool = state;
    *ret_files = tool->files;
    *ret_count = tool->file_count;
    *ret_token = NULL;
    return OTO_OK;
}

static void release(void *state, void *token)
{
    (void)state, (void)token;
}

static enum oto_status data(struct oto_query *query, struct oto_bytes bytes)
{
    (void)query;
    (void)fwrite(bytes.data, 1, bytes.size, stdout);
    return OTO_OK;
}

static void finished(struct oto_query *query, enum oto_status status, uint64_t rows,
                     const struct oto_error *err)
{
    struct tool *tool = query->state;
    if (status == OTO_OK)
        (void)printf("\n#ok %llu\n", (unsigned long long)rows);
    else
        (void)printf("\n#%s %u:%u %s\n", oto_status_name(status), err->line, err->column,
                     err->message);
    (void)fflush(stdout);
    oto_mutex_lock(&tool->lock);
    tool->done = 1;
    oto_condition_signal(&tool->ended);
    oto_mutex_unlock(&tool->lock);
}

static void log_line(void *state, const char *level, const char *message)
{
    struct tool *tool = state;
    oto_mutex_lock(&tool->lock);
    (void)sscanf(message, "otolith-query %d: sandbox", &tool->pid);
    oto_mutex_unlock(&tool->lock);
    (void)fprintf(stderr, "%s %s\n", level, message);
}

static uint32_t table_named(struct tool *tool, const char *name)
{
    for (uint32_t i = 0; i < tool->table_count; i++)
        if (strcmp(tool->tables[i].name, name) == 0)
            return i;
    tool->tables[tool->table_count].name = name;
    return tool->table_count++;
}

// "hot:otel_logs=a.parquet": copied into memory; "cold:…": by its path.
static void add_file(struct tool *tool, char *text)
{
    char *table = strchr(text, ':') + 1;
    char *path = strchr(table, '=');
    *path++ = 0;
    struct oto_query_file *file = &tool->files[tool->file_count++];
    *file = (struct oto_query_file){.table = table_named(tool, table), .fd = -1, .path = path};
    if (strncmp(text, "hot:", 4) != 0)
        return;
    char block[65536];
    ssize_t size;
    int from = open(path, O_RDONLY | O_CLOEXEC);
    struct oto_file memory;
    if (from < 0 || oto_file_open_memory(&memory, "hot", NULL) < 0)
        exit(2);
    while ((size = read(from, block, sizeof(block))) > 0)
        if (write(memory.fd, block, (size_t)size) != size)
            exit(2);
    close(from);
    file->fd = memory.fd;
}

static void run(struct tool *tool, struct oto_query_client *client, enum oto_query_format format,
                char **sql, int count)
{
    for (int i = 0; i < count; i += 2) {
        int kill_it = strcmp(sql[i], "!kill") == 0;
        i += kill_it;
        struct oto_query query = {.sql = oto_bytes_text(sql[i]),
                                  .parameters_json =
                                      oto_bytes_text(i + 1 < count ? sql[i + 1] : ""),
                                  .format = format,
                                  .from_us = INT64_MIN,
                                  .to_us = INT64_MAX,
                                  .data = data,
                                  .finished = finished,
                                  .state = tool};
        tool->done = 0;
        oto_query_submit(client, &query);
        if (kill_it) {
            usleep(300000);
            oto_mutex_lock(&tool->lock);
            kill(tool->pid, SIGKILL);
            oto_mutex_unlock(&tool->lock);
        }
        oto_mutex_lock(&tool->lock);
        while (!tool->done)
            oto_condition_wait(&tool->ended, &tool->lock);
        oto_mutex_unlock(&tool->lock);
    }
}

int main(int argc, char **argv)
{
    static struct tool tool;
    struct oto_query_options options;
    enum oto_query_format format;
    struct oto_query_client *client;
    struct oto_error err;
    if (argc < 9 || oto_query_format_from_name(argv[3], &format) < 0)
        return 2;
    oto_mutex_init(&tool.lock);
    oto_condition_init(&tool.ended);
    int at = 7;
    for (; at < argc && strcmp(argv[at], "--") != 0; at++)
        add_file(&tool, argv[at]);
    oto_query_options_default(&options);
    options.program = argv[1];
    options.data_path = argv[2];
    options.timeout_ms = (uint32_t)atoi(argv[4]);
    options.rows_max = strtoull(argv[5], NULL, 10);
    options.memory_bytes_max = strtoull(argv[6], NULL, 10);
    options.tables = tool.tables;
    options.table_count = tool.table_count;
    options.source = (struct oto_query_source){&tool, acquire, release};
    options.workers = 1;
    options.log = log_line;
    options.log_state = &tool;
    if (oto_query_client_new(&options, &client, &err) < 0)
        return 2;
    if (at + 1 < argc)
        run(&tool, client, format, argv + at + 1, argc - at - 1);
    struct oto_query_stats stats;
    oto_query_client_stats(client, &stats);
    (void)fprintf(stderr, "started %llu crashed %llu\n",
                  (unsigned long long)stats.processes_started,
                  (unsigned long long)stats.processes_crashed);
    oto_query_client_free(client);
    return 0;
}
