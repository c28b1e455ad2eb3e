// otolith export: stored rows to an OTLP endpoint.
#define _GNU_SOURCE
#include "export.h"

#include "base/hash.h"
#include "base/text.h"
#include "os/clock.h"
#include "os/file.h"
#include "os/process.h"

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

struct values {
    const char *data, *to, *protocol, *where, *compression, *ca_file, *state;
    struct oto_option_list signals, headers;
    struct oto_option_time from, until;
    uint64_t in_flight, give_up_ms;
    int restart;
};

static const struct oto_option options[] = {
    {"to", 0, OTO_OPTION_TEXT, offsetof(struct values, to), "URL", NULL,
     "The endpoint: http://HOST:PORT or https://HOST:PORT for OTLP/HTTP, grpc://HOST:PORT or "
     "grpcs://HOST:PORT for OTLP/gRPC; http and https on port 4317 mean gRPC too."},
    {"protocol", 0, OTO_OPTION_CHOICE, offsetof(struct values, protocol), "PROTOCOL", "grpc|http",
     "OTLP over gRPC or over HTTP, whatever the URL says."},
    {"signal", 0, OTO_OPTION_LIST, offsetof(struct values, signals), "SIGNAL",
     "logs|traces|metrics", "What is sent; may be given several times. Default: all three."},
    {"from", 0, OTO_OPTION_TIME, offsetof(struct values, from), "TIME", NULL,
     "Event time of the first rows: 2026-01-02T03:04:05Z, 2026-01-02, -2h. Default: the oldest."},
    {"until", 0, OTO_OPTION_TIME, offsetof(struct values, until), "TIME", NULL,
     "Event time before which rows are sent. Default: no end; now where --from is relative."},
    {"where", 0, OTO_OPTION_TEXT, offsetof(struct values, where), "SQL", NULL,
     "Condition that rows must meet, over the columns of the table (docs/FORMATS.md)."},
    {"header", 0, OTO_OPTION_LIST, offsetof(struct values, headers), "NAME=VALUE", NULL,
     "Header or gRPC metadata of every request; may be given several times."},
    {"compression", 0, OTO_OPTION_CHOICE, offsetof(struct values, compression), "CODING",
     "gzip|zstd|none", "Compression of the requests. Default: gzip."},
    {"in-flight", 0, OTO_OPTION_COUNT, offsetof(struct values, in_flight), "N", NULL,
     "Requests under way at a time, up to 64. Default: 4."},
    {"give-up", 0, OTO_OPTION_DURATION, offsetof(struct values, give_up_ms), "TIME", NULL,
     "For how long a request is tried again; 0: for ever. Default: 5m."},
    {"ca-file", 0, OTO_OPTION_FILE, offsetof(struct values, ca_file), "FILE", NULL,
     "Certificates (PEM) that the endpoint's is checked against. Default: the system's."},
    {"state", 0, OTO_OPTION_FILE, offsetof(struct values, state), "FILE", NULL,
     "File that says how far the export came. Default: one below ~/.local/state/otolith that is "
     "found again by the same command."},
    {"restart", 0, OTO_OPTION_FLAG, offsetof(struct values, restart), NULL, NULL,
     "Start from the beginning, whatever was sent before."},
    {"data", 0, OTO_OPTION_FOLDER, offsetof(struct values, data), "DIR", NULL,
     "The data folder. Default: OTOLITH_DATA, else ./otolith-data."},
    {0}};

// --- stopping ---

static volatile sig_atomic_t stopped;

static void on_signal(int signal)
{
    (void)signal;
    if (stopped)
        _exit(1); // asked twice
    stopped = 1;
}

static int is_stopped(void *state)
{
    (void)state;
    return stopped;
}

// --- the state ---

static int has_signal(const struct values *values, enum oto_table table)
{
    static const char *const names[] = {"logs", "traces", "metrics"};
    for (size_t i = 0; i < values->signals.count; i++)
        if (strcmp(values->signals.items[i], names[oto_table_signal(table)]) == 0)
            return 1;
    return values->signals.count == 0;
}

// Half of a header's hash: enough to tell tenants apart, too little to find a secret by.
static enum oto_status append_header(struct oto_buffer *text, const char *header)
{
    uint64_t low = oto_hash128(header, strlen(header)).low;
    return oto_buffer_append(text, &low, sizeof(low));
}

// Two exports are the same when these texts are.
static enum oto_status make_key(const struct values *values, char key[33], struct oto_error *err)
{
    char folder[4096];
    struct oto_buffer text;
    OTO_TRY(oto_path_absolute(oto_ask_folder(values->data), folder, sizeof(folder), err));
    oto_buffer_init(&text, &oto_allocator_heap, 1 << 20);
    const char *parts[] = {folder, values->to, values->from.text ? values->from.text : "",
                           values->until.text ? values->until.text : "",
                           values->where ? values->where : ""};
    enum oto_status status = OTO_OK;
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]) && status == OTO_OK; i++)
        status = oto_buffer_append(&text, parts[i], strlen(parts[i]) + 1);
    for (int table = 0; table < OTO_TABLE_COUNT && status == OTO_OK; table++)
        status = oto_buffer_append_byte(&text, (uint8_t)has_signal(values, (enum oto_table)table));
    for (size_t i = 0; i < values->headers.count && status == OTO_OK; i++)
        status = append_header(&text, values->headers.items[i]);
    struct oto_hash128 hash = oto_hash128(text.data, text.size);
    oto_buffer_release(&text);
    oto_hex_encode(&hash, sizeof(hash), key);
    key[32] = 0;
    return status < 0 ? oto_error_set(err, status, "--where is too long") : OTO_OK;
}

static int is_relative(const struct values *values)
{
    return values->from.is_relative || values->until.is_relative;
}

// Relative times end at the present: rows that are ahead of the clock are a later run's. Were they
// sent, those that come before them until then would be no run's, or they themselves would be sent
// again.
static struct oto_export_range range_of(const struct values *values, int64_t now)
{
    struct oto_export_range range = {values->from.text ? values->from.us : INT64_MIN,
                                     values->until.text ? values->until.us : INT64_MAX};
    if (is_relative(values) && range.until_us > now)
        range.until_us = now;
    return range;
}

static void begin_state(const struct values *values, struct oto_export_state *state)
{
    state->begun_us = (int64_t)(oto_clock_wall_ns() / 1000);
    state->range = range_of(values, state->begun_us);
    state->rows = state->rejected = 0;
    *state->message = 0;
    for (int table = 0; table < OTO_TABLE_COUNT; table++)
        state->done_us[table] = has_signal(values, (enum oto_table)table) ? INT64_MIN : INT64_MAX;
}

// Up to where all rows were there when the range was settled.
static int64_t settled_until(const struct oto_export_state *state)
{
    return state->begun_us < state->range.until_us ? state->begun_us : state->range.until_us;
}

// An export of relative times goes on up to what they mean now, or the rows that have come since
// would be no run's: the end moves, and the tables that were sent go on behind what they had. 0:
// there is nothing more.
static int catch_up(const struct values *values, struct oto_export_state *state)
{
    int64_t now = (int64_t)(oto_clock_wall_ns() / 1000);
    int64_t until = range_of(values, now).until_us, taken = settled_until(state);
    if (!is_relative(values) || until <= taken)
        return 0;
    state->range.until_us = until;
    state->begun_us = now;
    for (int table = 0; table < OTO_TABLE_COUNT; table++)
        if (has_signal(values, (enum oto_table)table) && state->done_us[table] > taken)
            state->done_us[table] = taken;
    return 1;
}

static void say_resumed(const struct oto_export_state *state, int to_the_present)
{
    char time[64] = "";
    time_t seconds = (time_t)(settled_until(state) / 1000000);
    struct tm tm;
    if (to_the_present && gmtime_r(&seconds, &tm))
        (void)strftime(time, sizeof(time), ", and on to the present, %Y-%m-%dT%H:%M:%SZ", &tm);
    (void)fprintf(stderr, "otolith: going on where this export stopped, after %" PRIu64 " rows%s\n",
                  state->rows, time);
}

static enum oto_status load_state(const struct values *values, struct oto_export_state *state,
                                  int *ret_resumed, struct oto_error *err)
{
    begin_state(values, state);
    OTO_TRY(make_key(values, state->key, err));
    if (values->state)
        (void)snprintf(state->path, sizeof(state->path), "%s", values->state);
    else
        OTO_TRY(oto_export_state_path(state->key, state->path, sizeof(state->path), err));
    // At once: whatever happens from here on, nothing goes on with it.
    if (values->restart)
        return oto_export_state_forget(state, err);
    enum oto_status status = oto_export_state_read(state, err);
    *ret_resumed = status == OTO_OK;
    if (status == OTO_OK)
        say_resumed(state, catch_up(values, state));
    return status < 0 ? status : OTO_OK;
}

// --- the work ---

struct work {
    const struct values *values;
    struct oto_export_state state;
    int is_kept; // the state is in its file
    struct oto_progress progress;
    struct oto_export export;
};

static void note_retry(void *state, const char *why, uint64_t wait_ms)
{
    struct work *work = state;
    int was_shown = work->progress.is_shown;
    if (was_shown)
        (void)fputs("\r\033[K", stderr);
    (void)fprintf(stderr, "otolith: %s; again in %.1f s\n", why, (double)wait_ms / 1000);
}

// A condition on a column that only some tables have fails at another one.
static enum oto_status count_table(struct work *work, enum oto_table table, uint64_t *ret_rows,
                                   struct oto_error *err)
{
    enum oto_status status = oto_export_count(&work->export, table, ret_rows, err);
    int is_chosen = !work->values->where || work->values->signals.count == 1;
    if (status < 0)
        oto_error_context(err, "%s%s", oto_table_name(table),
                          is_chosen || status != OTO_INVALID
                              ? ""
                              : ", of which --where is asked unless --signal leaves it out");
    return status;
}

static enum oto_status count_tables(struct work *work, uint64_t rows[OTO_TABLE_COUNT],
                                    struct oto_error *err)
{
    uint64_t total = work->state.rows;
    for (int table = 0; table < OTO_TABLE_COUNT; table++) {
        rows[table] = 0;
        if (work->state.done_us[table] != INT64_MAX)
            OTO_TRY(count_table(work, (enum oto_table)table, &rows[table], err));
        total += rows[table];
    }
    oto_progress_begin(&work->progress, "rows", total);
    return OTO_OK;
}

static enum oto_status send_tables(struct work *work, struct oto_error *err)
{
    uint64_t rows[OTO_TABLE_COUNT];
    int table = 0;
    enum oto_status status = count_tables(work, rows, err);
    // Where it cannot be noted that rows were taken, none are sent.
    if (status == OTO_OK)
        status = oto_export_state_write(&work->state, err);
    work->is_kept |= status == OTO_OK;
    for (; table < OTO_TABLE_COUNT && status == OTO_OK; table++) {
        status = oto_export_send(&work->export, (enum oto_table)table, rows[table], err);
        if (status < 0)
            oto_error_context(err, "%s", oto_table_name((enum oto_table)table));
    }
    return status;
}

static enum oto_status open_sender(struct work *work, struct oto_error *err)
{
    const struct values *values = work->values;
    struct oto_otlp_sender_options chosen;
    oto_otlp_sender_options_default(&chosen);
    chosen.url = values->to;
    if (values->protocol)
        chosen.transport = strcmp(values->protocol, "grpc") == 0 ? OTO_OTLP_TRANSPORT_GRPC
                                                                 : OTO_OTLP_TRANSPORT_HTTP;
    if (values->compression)
        chosen.compression = strcmp(values->compression, "gzip") == 0   ? OTO_COMPRESSION_GZIP
                             : strcmp(values->compression, "zstd") == 0 ? OTO_COMPRESSION_ZSTD
                                                                        : OTO_COMPRESSION_NONE;
    chosen.headers = values->headers.items;
    chosen.header_count = values->headers.count;
    chosen.in_flight_max = (uint32_t)values->in_flight;
    chosen.retry_ms_max = values->give_up_ms ? values->give_up_ms : UINT64_MAX;
    chosen.ca_file = values->ca_file;
    chosen.user_agent = "otolith/" OTO_VERSION;
    chosen.is_stopped = is_stopped;
    chosen.retrying = note_retry;
    chosen.state = work;
    return oto_otlp_sender_new(&chosen, &work->export.sender, err);
}

// Of this run and of those before it: nobody else tells, for such rows are not sent again. 1: there
// are any.
static int say_rejected(struct work *work)
{
    const struct oto_export_state *state = &work->state;
    oto_export_note_rejected(&work->export);
    if (state->rejected)
        (void)fprintf(stderr, "otolith: the endpoint refused %" PRIu64 " rows: %s\n",
                      state->rejected, state->message);
    else if (*state->message)
        (void)fprintf(stderr, "otolith: the endpoint says: %s\n", state->message);
    return state->rejected > 0;
}

static int report(struct work *work)
{
    struct oto_otlp_sender_totals totals;
    oto_otlp_sender_totals_of(work->export.sender, &totals);
    (void)printf("sent %" PRIu64 " rows in %" PRIu64 " requests, %.1f MiB", work->state.rows,
                 totals.requests, (double)totals.bytes / (1 << 20));
    if (totals.retries)
        (void)printf(", %" PRIu64 " tries repeated", totals.retries);
    (void)putchar('\n');
    return oto_options_end_output() | say_rejected(work);
}

static enum oto_status work_all(struct work *work, int *ret_exit, struct oto_error *err)
{
    OTO_TRY(open_sender(work, err));
    OTO_TRY(oto_ask_open(oto_ask_folder(work->values->data), &work->export.ask, err));
    OTO_TRY(load_state(work->values, &work->state, &work->is_kept, err));
    work->export.rejected_before = work->state.rejected;
    OTO_TRY(oto_export_init(&work->export, err));
    oto_signals_install(on_signal);
    enum oto_status status = send_tables(work, err);
    oto_progress_end(&work->progress);
    if (status < 0)
        return status;
    oto_export_state_remove(&work->state);
    *ret_exit = report(work);
    return OTO_OK;
}

static int fail(struct work *work, const struct oto_error *err)
{
    int exists = 0;
    if (stopped)
        (void)fputs("otolith: interrupted\n", stderr);
    else
        (void)fprintf(stderr, "otolith: %s\n", err->message);
    if (work->is_kept) {
        (void)say_rejected(work);
        (void)fprintf(stderr, "otolith: the same command%s goes on where this one stopped (%s)\n",
                      work->values->restart ? " without --restart" : "", work->state.path);
    }
    // A file that is no state, or another's, is no wrong usage.
    if (*work->state.path && oto_path_exists(work->state.path, &exists, NULL) < 0)
        exists = 0;
    return err->status == OTO_INVALID && !exists ? 2 : 1;
}

static int run(int argc, char **argv, char **environment)
{
    (void)environment;
    struct values values = {.in_flight = 4, .give_up_ms = 300000};
    struct oto_error err;
    int count, status = oto_options_start(&oto_command_export, argc, argv, &values, &count);
    if (status >= 0)
        return status;
    if (!values.to || values.in_flight < 1 || values.in_flight > OTO_OTLP_IN_FLIGHT_MAX) {
        (void)fprintf(stderr, "otolith: %s\n",
                      values.to ? "--in-flight: 1 to 64" : "--to URL is needed: the endpoint");
        return 2;
    }
    struct work *work = calloc(1, sizeof(*work));
    if (!work)
        return 1;
    oto_error_init(&err);
    work->values = &values;
    work->export.state = &work->state;
    work->export.progress = &work->progress;
    work->export.where = values.where;
    work->export.is_stopped = is_stopped;
    if (work_all(work, &status, &err) < 0)
        status = fail(work, &err);
    oto_export_release(&work->export);
    oto_otlp_sender_free(work->export.sender);
    oto_ask_close(work->export.ask);
    free(work);
    return status;
}

const struct oto_command oto_command_export = {
    .name = "export",
    .arguments = "",
    .help = "Send stored rows to an OTLP endpoint.",
    .text =
        "Sends stored rows to an endpoint as OTLP, of a running server or of the files, oldest "
        "first: each with its resource and scope, as it was received. Times are those of the "
        "events; rows that had none have none again.\n\n"
        "What the endpoint cannot take now is sent again, after the time that it asks for or after "
        "growing pauses. An export that was interrupted, or has failed, goes on when the same "
        "command is run again: a file keeps up to which event time each table's rows were taken. "
        "Every row is sent at least once; the rows of one stretch of time (about 50,000) may come "
        "twice then. An export of relative times sends no rows that are ahead of the clock: they "
        "are sent once their time has come. When it goes on, it begins where it began, and ends "
        "where they say now. Rows that come in during an export are sent when their event time is "
        "still ahead of it and before its end.",
    .examples =
        "otolith export --to http://collector:4318\n"
        "otolith export --to grpcs://otel.example.com:443 --header api-key=SECRET --signal traces\n"
        "otolith export --to http://127.0.0.1:4317 --from -2h --where \"ServiceName = 'shop'\"\n",
    .options = options,
    .run = run,
};
