#include "convert/convert.h"
#include "convert/convert_internal.h"
#include "os/file.h"

#include <stdarg.h>
#include <stdio.h>

// --- what the parts share ---

void oto_convert_note(const struct oto_convert *c, const char *format, ...)
{
    char text[400];
    va_list arguments;
    if (!c->options->note)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    c->options->note(c->options->state, text);
}

void oto_convert_advance(struct oto_convert *c, uint64_t bytes)
{
    c->done += bytes;
    if (c->options->progress)
        c->options->progress(c->options->state, c->done, c->total);
}

const char *oto_convert_signal_name(enum oto_signal signal)
{
    static const char *const names[] = {"logs", "traces", "metrics"};
    return names[signal];
}

enum oto_status oto_convert_signal(struct oto_convert *c, enum oto_signal signal,
                                   struct oto_error *err)
{
    if (c->signal == OTO_CONVERT_SIGNAL_OF_INPUT)
        c->signal = signal;
    if (c->signal == signal)
        return OTO_OK;
    return oto_error_set(err, OTO_INVALID, "holds %s, not %s", oto_convert_signal_name(signal),
                         oto_convert_signal_name(c->signal));
}

// --- outputs ---

struct sink {
    int is_parquet;
    struct oto_convert_writer writer;
    struct oto_convert_files files;
};

static enum oto_status sink_open(struct sink *s, struct oto_convert *c, struct oto_error *err)
{
    s->is_parquet = c->options->to == OTO_CONVERT_PARQUET;
    return s->is_parquet ? oto_convert_files_open(&s->files, c, err)
                         : oto_convert_writer_open(&s->writer, c, err);
}

static enum oto_status sink_put(struct sink *s, struct oto_bytes message, struct oto_error *err)
{
    return s->is_parquet ? oto_convert_files_put(&s->files, message, err)
                         : oto_convert_writer_put(&s->writer, message, err);
}

static enum oto_status sink_finish(struct sink *s, struct oto_error *err)
{
    return s->is_parquet ? oto_convert_files_finish(&s->files, err)
                         : oto_convert_writer_finish(&s->writer, err);
}

static void sink_close(struct sink *s)
{
    if (s->is_parquet)
        oto_convert_files_close(&s->files);
    else
        oto_convert_writer_close(&s->writer);
}

// --- inputs ---

// Metrics become five files, but there is one standard output.
static enum oto_status check_output(const struct oto_convert *c, struct oto_error *err)
{
    const struct oto_convert_options *options = c->options;
    if (options->to == OTO_CONVERT_PARQUET && c->signal == OTO_SIGNAL_METRICS &&
        strcmp(options->output, "-") == 0)
        return oto_error_set(err, OTO_INVALID,
                             "metrics become up to five Parquet files: give -o a name");
    return OTO_OK;
}

static enum oto_status put(struct oto_convert *c, struct sink *s, struct oto_bytes message,
                           struct oto_error *err)
{
    if (c->result->messages++ == 0)
        OTO_TRY(check_output(c, err));
    return sink_put(s, message, err);
}

static enum oto_status run_messages(struct oto_convert *c, struct sink *s, struct oto_input input,
                                    struct oto_error *err)
{
    struct oto_convert_messages m;
    struct oto_bytes message;
    enum oto_status status = oto_convert_messages_open(&m, c, input, err);
    while (status == OTO_OK) {
        status = oto_convert_messages_next(&m, &message, err);
        if (status != OTO_OK)
            break;
        status = put(c, s, message, err);
        if (status < 0)
            oto_convert_messages_locate(&m, err);
    }
    oto_convert_messages_close(&m);
    return status == OTO_END ? OTO_OK : status;
}

static enum oto_status run_table(struct oto_convert *c, struct sink *s, struct oto_input input,
                                 struct oto_error *err)
{
    struct oto_convert_table t;
    struct oto_bytes message;
    enum oto_status status = oto_convert_table_open(&t, c, input, err);
    while (status == OTO_OK) {
        status = oto_convert_table_next(&t, &message, err);
        if (status == OTO_OK)
            status = put(c, s, message, err);
    }
    oto_convert_table_close(&t);
    return status == OTO_END ? OTO_OK : status;
}

static enum oto_status run_input(struct oto_convert *c, struct sink *s, const char *path,
                                 struct oto_error *err)
{
    struct oto_input input;
    OTO_TRY(oto_input_open(&input, path, err));
    enum oto_status status = c->options->from == OTO_CONVERT_PARQUET
                                 ? run_table(c, s, input, err)
                                 : run_messages(c, s, input, err);
    if (status < 0)
        oto_error_context(err, "%s", input.name);
    return status;
}

static int is_parquet(const char *name)
{
    static const char end[] = ".parquet";
    size_t size = strlen(name);
    return size >= strlen(end) && strcmp(name + size - strlen(end), end) == 0;
}

// What was named, and what lies in folders that were named.
static enum oto_status list_inputs(struct oto_convert *c, struct oto_error *err)
{
    const struct oto_convert_options *options = c->options;
    for (size_t i = 0; i < options->input_count; i++) {
        const char *path = options->inputs[i];
        size_t before = c->inputs.count;
        if (options->from != OTO_CONVERT_PARQUET || !oto_path_is_folder(path)) {
            OTO_TRY(oto_file_list_add(&c->inputs, path, err));
            continue;
        }
        OTO_TRY(oto_file_list_add_below(&c->inputs, path, is_parquet, err));
        if (c->inputs.count == before)
            return oto_error_set(err, OTO_NOT_FOUND, "%s: no Parquet file in it", path);
    }
    return OTO_OK;
}

// Bytes of all inputs, when all are files.
static uint64_t total_of(const struct oto_file_list *inputs)
{
    uint64_t total = 0;
    for (size_t i = 0; i < inputs->count; i++) {
        uint64_t size;
        if (!oto_input_size(inputs->paths[i], &size))
            return 0;
        total += size;
    }
    return total;
}

static enum oto_status run(struct oto_convert *c, struct oto_error *err)
{
    struct sink sink;
    OTO_TRY(check_output(c, err));
    OTO_TRY(list_inputs(c, err));
    c->total = total_of(&c->inputs);
    enum oto_status status = sink_open(&sink, c, err);
    for (size_t i = 0; i < c->inputs.count && status == OTO_OK; i++)
        status = run_input(c, &sink, c->inputs.paths[i], err);
    if (status == OTO_OK)
        status = sink_finish(&sink, err);
    sink_close(&sink);
    return status;
}

enum oto_status oto_convert(const struct oto_convert_options *options,
                            struct oto_convert_result *ret_result, struct oto_error *err)
{
    struct oto_convert c = {.options = options, .result = ret_result, .signal = options->signal};
    *ret_result = (struct oto_convert_result){.messages = 0};
    c.codec = oto_codec_new(&oto_allocator_heap);
    c.flat = oto_schemas_new_flat(&oto_allocator_heap, NULL, 0, err);
    enum oto_status status = c.codec && c.flat
                                 ? run(&c, err)
                                 : oto_error_set(err, OTO_NO_MEMORY, "no memory to convert");
    oto_file_list_release(&c.inputs);
    oto_schemas_free(c.flat);
    oto_codec_free(c.codec);
    return status;
}
