// otolith convert: options and messages; convert/ does it.
#include "convert/convert.h"
#include "options.h"
#include "os/clock.h"
#include "os/stream.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

struct values {
    const char *from, *to, *signal, *output, *read_framing, *framing;
    int zstd, skip_refused;
};

#define FORMATS "otlp|otlp-json|parquet"

static const struct oto_option options[] = {
    {"from", 0, OTO_OPTION_CHOICE, offsetof(struct values, from), "FORMAT", FORMATS,
     "What is read."},
    {"to", 0, OTO_OPTION_CHOICE, offsetof(struct values, to), "FORMAT", FORMATS,
     "What is written."},
    {"signal", 0, OTO_OPTION_CHOICE, offsetof(struct values, signal), "SIGNAL",
     "logs|traces|metrics",
     "What the input holds. Needed for otlp, which does not say it; OTLP/JSON and Parquet do."},
    {"output", 'o', OTO_OPTION_FILE, offsetof(struct values, output), "OUT", NULL,
     "The file to write; - is standard output. It appears when it is whole. Metrics become up to "
     "five Parquet files: -o x.parquet gives x.gauge.parquet, x.sum.parquet and so on; in a "
     "folder they are gauge.parquet, sum.parquet and so on."},
    {"input-framing", 0, OTO_OPTION_CHOICE, offsetof(struct values, read_framing), "KIND",
     "auto|stream|request",
     "How otlp is read: as a stream (a length before each message), as one request, or as its "
     "first byte says (auto, default)."},
    {"framing", 0, OTO_OPTION_CHOICE, offsetof(struct values, framing), "KIND", "stream|request",
     "How otlp and otlp-json are written: as the Collector's file exporter does (stream, "
     "default), or as one request."},
    {"zstd", 0, OTO_OPTION_FLAG, offsetof(struct values, zstd), NULL, NULL,
     "Compress otlp and otlp-json with zstd: each message of a stream by itself, with its length "
     "before it, as the Collector's file exporter does."},
    {"skip-refused", 0, OTO_OPTION_FLAG, offsetof(struct values, skip_refused), NULL, NULL,
     "Leave out of Parquet what OTLP's rules refuse (log records, spans and data points with ids "
     "of a wrong length), and say how many, instead of failing."},
    {0}};

// --- what is wanted ---

// The number of a word in "a|b|c"; the parser has refused all others.
static int choice_of(const char *choices, const char *word)
{
    struct oto_bytes choice;
    for (int i = 0; oto_options_next_choice(&choices, &choice); i++)
        if (oto_bytes_equal_text(choice, word))
            return i;
    return 0;
}

static enum oto_status make_options(const struct values *values, struct oto_convert_options *o,
                                    struct oto_error *err)
{
    if (!values->from || !values->to)
        return oto_error_set(err, OTO_INVALID, "say --from and --to: " FORMATS);
    if (!values->output)
        return oto_error_set(err, OTO_INVALID,
                             "say where to: -o FILE, or -o - for standard output");
    o->from = (enum oto_convert_format)choice_of(FORMATS, values->from);
    o->to = (enum oto_convert_format)choice_of(FORMATS, values->to);
    o->output = values->output;
    o->zstd = values->zstd;
    o->skip_refused = values->skip_refused;
    o->signal = OTO_CONVERT_SIGNAL_OF_INPUT;
    if (values->signal)
        o->signal = (enum oto_signal)choice_of("logs|traces|metrics", values->signal);
    else if (o->from == OTO_CONVERT_OTLP)
        return oto_error_set(err, OTO_INVALID,
                             "otlp does not say what it holds: give --signal logs, traces or "
                             "metrics");
    if (values->read_framing)
        o->read_framing =
            (enum oto_convert_framing)choice_of("auto|stream|request", values->read_framing);
    if (values->framing)
        o->write_framing =
            (enum oto_convert_framing)choice_of("auto|stream|request", values->framing);
    if (o->to == OTO_CONVERT_PARQUET && (values->zstd || values->framing))
        return oto_error_set(err, OTO_INVALID,
                             "--zstd and --framing are of otlp and otlp-json; "
                             "Parquet is compressed by itself");
    return OTO_OK;
}

// --- what is shown ---

static void show_progress(void *state, uint64_t done, uint64_t total)
{
    struct oto_progress *progress = state;
    progress->total = total;
    oto_progress_show(progress, done);
}

static void print_note(void *state, const char *text)
{
    oto_progress_clear(state);
    (void)fprintf(stderr, "otolith: %s\n", text);
}

static void print_result(const struct oto_convert_result *result)
{
    if (result->unread)
        (void)fprintf(stderr,
                      "otolith: warning: %llu JSON documents were ignored: they have no name of "
                      "OTLP's (which are lowerCamelCase: resourceLogs)\n",
                      (unsigned long long)result->unread);
    if (result->rejected)
        (void)fprintf(stderr, "otolith: %llu items were left out\n",
                      (unsigned long long)result->rejected);
    if (result->utf8_repaired)
        (void)fprintf(stderr,
                      "otolith: %llu strings were not UTF-8: what was wrong is U+FFFD now\n",
                      (unsigned long long)result->utf8_repaired);
}

static int run(int argc, char **argv, char **environment)
{
    (void)environment;
    struct values values = {0};
    struct oto_convert_options wanted = {0};
    struct oto_convert_result result;
    struct oto_progress progress;
    struct oto_error err;
    int count, exit_status = oto_options_start(&oto_command_convert, argc, argv, &values, &count);
    if (exit_status >= 0)
        return exit_status;
    oto_error_init(&err);
    enum oto_status status = make_options(&values, &wanted, &err);
    if (status == OTO_OK && count == 0)
        status =
            oto_error_set(&err, OTO_INVALID, "name the files to read, or - for standard input");
    if (status < 0) {
        (void)fprintf(stderr, "otolith: %s\n", err.message);
        return 2;
    }
    wanted.inputs = (const char *const *)argv;
    wanted.input_count = (size_t)count;
    wanted.created_by = "otolith version " OTO_VERSION;
    wanted.received_ns = oto_clock_wall_ns();
    wanted.progress = show_progress;
    wanted.note = print_note;
    wanted.state = &progress;
    oto_outputs_drop_on_signals();
    oto_progress_begin(&progress, "bytes", 0);
    status = oto_convert(&wanted, &result, &err);
    oto_progress_end(&progress);
    if (status < 0)
        (void)fprintf(stderr, "otolith: %s\n", err.message);
    else
        print_result(&result);
    return status < 0;
}

const struct oto_command oto_command_convert = {
    .name = "convert",
    .arguments = "FILE…",
    .argument = OTO_ARGUMENT_FILES,
    .help = "Turn OTLP, OTLP/JSON and Parquet files into each other.",
    .text =
        "Turns files of OpenTelemetry data into each other, without a server: OTLP protobuf, "
        "OTLP/JSON, and the Parquet tables that the server keeps. Nothing is lost on the way: what "
        "OTLP says of a log record, span or data point is there again when Parquet is turned "
        "back.\n\n"
        "otlp is one request, or a stream as the Collector's file exporter writes it (before each "
        "message its length, a big-endian 32-bit number); otlp-json is one document or one a line. "
        "Input compressed with zstd or gzip is told by itself, also where each message of a stream "
        "is compressed. Several files become one, in their order; - is standard input; a "
        "folder is all Parquet files below it. Memory stays that of one message and one row group, "
        "however large the files are.\n\n"
        "Bad input ends it with status 1 and the file, message and place; nothing is then left of "
        "the output, and nothing when a signal ends it.",
    .examples =
        "otolith convert --from otlp --signal logs --to parquet -o logs.parquet collector.binpb\n"
        "otolith convert --from parquet --to otlp-json -o - otolith-data/traces\n"
        "otolith convert --from otlp-json --to parquet -o metrics/ metrics.json\n",
    .options = options,
    .run = run,
};
