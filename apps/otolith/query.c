// otolith query: SQL in, an answer on standard output.
#include "ask.h"
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define SQL_MAX (16u << 20)

struct values {
    const char *data, *format;
};

static const struct oto_option options[] = {
    {"data", 0, OTO_OPTION_FOLDER, offsetof(struct values, data), "DIR", NULL,
     "The data folder. Default: OTOLITH_DATA, else ./otolith-data."},
    {"format", 0, OTO_OPTION_CHOICE, offsetof(struct values, format), "FORMAT",
     "table|json|ndjson|csv|arrow|parquet",
     "Form of the answer: table (default), json (one array of objects), ndjson, csv, arrow (an IPC "
     "stream), parquet."},
    {0}};

// --- the SQL ---

static enum oto_status fail_sql(enum oto_status status, struct oto_error *err)
{
    if (status == OTO_NO_MEMORY)
        return oto_error_set(err, status, "no memory for the SQL");
    return oto_error_set(err, status, "the SQL is larger than %u bytes", SQL_MAX);
}

static enum oto_status read_input(struct oto_buffer *sql, struct oto_error *err)
{
    char block[4096];
    size_t size;
    enum oto_status status = OTO_OK;
    while (status == OTO_OK && (size = fread(block, 1, sizeof(block), stdin)) > 0)
        status = oto_buffer_append(sql, block, size);
    if (status < 0)
        return fail_sql(status, err);
    return ferror(stdin) ? oto_error_set(err, OTO_IO, "standard input cannot be read") : OTO_OK;
}

static enum oto_status read_sql(struct oto_buffer *sql, int count, char **arguments,
                                struct oto_error *err)
{
    if (count > 1)
        return oto_error_set(err, OTO_INVALID, "more than one SQL: put it in quotes");
    if (count == 0 || strcmp(arguments[0], "-") == 0)
        return read_input(sql, err);
    enum oto_status status = oto_buffer_append(sql, arguments[0], strlen(arguments[0]));
    return status < 0 ? fail_sql(status, err) : OTO_OK;
}

// The line of the SQL that the error is about, with a caret under the place.
static void print_error(const struct oto_buffer *sql, const struct oto_error *err)
{
    (void)fflush(stdout);
    if (!err->line) {
        (void)fprintf(stderr, "otolith: %s\n", err->message);
        return;
    }
    (void)fprintf(stderr, "otolith: line %u, column %u: %s\n", err->line, err->column,
                  err->message);
    const char *at = (const char *)sql->data, *end = at + sql->size;
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

// --- the command ---

struct printed {
    int is_broken, error; // error: the errno of that
};

static enum oto_status print_piece(void *state, struct oto_bytes bytes)
{
    struct printed *printed = state;
    if (!printed->is_broken && fwrite(bytes.data, 1, bytes.size, stdout) != bytes.size)
        *printed = (struct printed){1, errno};
    return printed->is_broken ? OTO_IO : OTO_OK;
}

static enum oto_status ask(const struct values *values, struct oto_bytes sql,
                           struct printed *printed, struct oto_error *err)
{
    enum oto_query_format format = OTO_QUERY_TABLE;
    struct oto_ask *ask = NULL;
    if (values->format)
        OTO_TRY(oto_query_format_from_name(values->format, &format));
    OTO_TRY(oto_ask_open(oto_ask_folder(values->data), &ask, err));
    enum oto_status status = oto_ask_run(ask, sql, format, print_piece, printed, err);
    oto_ask_close(ask);
    return status;
}

static int answer(const struct values *values, const struct oto_buffer *sql, struct oto_error *err)
{
    struct printed printed = {0};
    enum oto_status status = ask(values, oto_buffer_view(sql), &printed, err);
    if (printed.is_broken)
        oto_options_complain_output(printed.error);
    else if (status < 0)
        print_error(sql, err);
    else
        return oto_options_end_output();
    return 1;
}

static int run(int argc, char **argv, char **environment)
{
    (void)environment;
    struct values values = {0};
    struct oto_buffer sql;
    struct oto_error err;
    int count, status = oto_options_start(&oto_command_query, argc, argv, &values, &count);
    if (status >= 0)
        return status;
    oto_error_init(&err);
    oto_buffer_init(&sql, &oto_allocator_heap, SQL_MAX);
    if (read_sql(&sql, count, argv, &err) < 0) {
        (void)fprintf(stderr, "otolith: %s\n", err.message);
        status = err.status == OTO_INVALID || err.status == OTO_TOO_LARGE ? 2 : 1;
    } else
        status = answer(&values, &sql, &err);
    oto_buffer_release(&sql);
    return status;
}

const struct oto_command oto_command_query = {
    .name = "query",
    .arguments = "[SQL]",
    .argument = OTO_ARGUMENT_TEXT,
    .help = "Ask with SQL, of a running server or of the files.",
    .text =
        "Asks with SQL (DuckDB's): one SELECT; without it, or with -, it is read from standard "
        "input. When a server runs on the data folder, it answers, and rows that it has just taken "
        "are there too; otherwise the files are read, after what a crashed server left in its log "
        "was put into files.\n\n"
        "Tables: logs, traces, metrics for people; otel_logs, otel_traces, otel_metrics_gauge, "
        "otel_metrics_sum, otel_metrics_histogram, otel_metrics_exponential_histogram, "
        "otel_metrics_summary as they are kept. `DESCRIBE logs` shows the columns.",
    .examples = "otolith query \"SELECT ServiceName, count(*) FROM logs GROUP BY 1\"\n"
                "otolith query --format csv \"SELECT * FROM traces WHERE StatusCode = 'Error'\" > "
                "errors.csv\n",
    .options = options,
    .run = run,
};
