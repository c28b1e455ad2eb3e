// otolith verify: options and messages; inspect/verify.h does it.
#include "inspect/verify.h"
#include "ask.h"
#include "options.h"
#include "telemetry/tables.h"
#include "wire/json.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>

struct values {
    const char *data;
    int json, missing_allowed;
};

static const struct oto_option options[] = {
    {"data", 0, OTO_OPTION_FOLDER, offsetof(struct values, data), "DIR", NULL,
     "The data folder. Default: OTOLITH_DATA, else ./otolith-data."},
    {"allow-missing", 0, OTO_OPTION_FLAG, offsetof(struct values, missing_allowed), NULL, NULL,
     "Say nothing of acknowledged rows that no file holds: old hours were removed on purpose."},
    {"json", 0, OTO_OPTION_FLAG, offsetof(struct values, json), NULL, NULL,
     "Print one JSON document."},
    {0}};

struct output {
    int is_json;
    struct oto_progress progress;
    struct oto_buffer text;
    struct oto_json_writer json;
};

static void write_name(struct output *o, const char *name)
{
    oto_json_write_name(&o->json, oto_bytes_text(name));
}

static void print_finding(struct output *o, const struct oto_verify_finding *finding)
{
    oto_progress_clear(&o->progress);
    (void)printf("%s: ", finding->path);
    if (finding->offset != OTO_OFFSET_NONE)
        (void)printf("at byte %" PRIu64 ": ", finding->offset);
    (void)printf("%s%s\n", finding->is_note ? "note: " : "", finding->message);
}

static void see_finding(void *state, const struct oto_verify_finding *finding)
{
    struct output *o = state;
    if (!o->is_json) {
        print_finding(o, finding);
        return;
    }
    oto_json_object_begin(&o->json);
    write_name(o, "kind");
    oto_json_write_text(&o->json, finding->is_note ? "note" : "problem");
    write_name(o, "path");
    oto_json_write_text(&o->json, finding->path);
    write_name(o, "offset");
    if (finding->offset == OTO_OFFSET_NONE)
        oto_json_write_null(&o->json);
    else
        oto_json_write_u64(&o->json, finding->offset);
    write_name(o, "message");
    oto_json_write_text(&o->json, finding->message);
    oto_json_object_end(&o->json);
}

static void show_progress(void *state, uint64_t done, uint64_t total)
{
    struct output *o = state;
    o->progress.total = total;
    oto_progress_show(&o->progress, done);
}

// --- the sum ---

static void write_sum(struct output *o, const struct oto_verify_result *r)
{
    const struct {
        const char *name;
        uint64_t value;
    } numbers[] = {{"files", r->files},       {"file_bytes", r->file_bytes},
                   {"pages", r->pages},       {"logs", r->logs},
                   {"segments", r->segments}, {"records", r->records},
                   {"problems", r->problems}, {"notes", r->notes}};
    oto_json_array_end(&o->json);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        write_name(o, numbers[i].name);
        oto_json_write_u64(&o->json, numbers[i].value);
    }
    write_name(o, "rows");
    oto_json_object_begin(&o->json);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        write_name(o, oto_table_name((enum oto_table)t));
        oto_json_write_u64(&o->json, r->rows[t]);
    }
    oto_json_object_end(&o->json);
    oto_json_object_end(&o->json);
}

static void print_sum(const struct oto_verify_result *r)
{
    uint64_t rows = 0;
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        rows += r->rows[t];
    (void)printf("%" PRIu64 " files (%.1f MiB, %" PRIu64 " rows, %" PRIu64 " pages), %" PRIu64
                 " logs (%" PRIu64 " records): ",
                 r->files, (double)r->file_bytes / (1 << 20), rows, r->pages, r->logs, r->records);
    if (r->problems)
        (void)printf("%" PRIu64 " problem%s\n", r->problems, r->problems == 1 ? "" : "s");
    else
        (void)printf("all is well\n");
}

static int finish(struct output *o, enum oto_status status, const struct oto_verify_result *result,
                  const struct oto_error *err)
{
    oto_progress_end(&o->progress);
    if (status < 0) {
        (void)fprintf(stderr, "otolith: %s\n", err->message);
        return status == OTO_NOT_FOUND ? 2 : 1;
    }
    if (o->is_json) {
        write_sum(o, result);
        if (o->json.status < 0) {
            (void)fprintf(stderr, "otolith: %s\n", oto_status_name(o->json.status));
            return 1;
        }
        (void)fwrite(o->text.data, 1, o->text.size, stdout);
        (void)putchar('\n');
    } else {
        print_sum(result);
    }
    return oto_options_end_output() || result->problems > 0;
}

static int run(int argc, char **argv, char **environment)
{
    (void)environment;
    struct values values = {0};
    struct output o = {0};
    struct oto_verify_result result;
    struct oto_error err;
    int count, exit_status = oto_options_start(&oto_command_verify, argc, argv, &values, &count);
    if (exit_status >= 0)
        return exit_status;
    struct oto_verify_options wanted = {.data_path = oto_ask_folder(values.data),
                                        .missing_allowed = values.missing_allowed,
                                        .found = see_finding,
                                        .progress = show_progress,
                                        .state = &o};
    o.is_json = values.json;
    oto_error_init(&err);
    oto_buffer_init(&o.text, &oto_allocator_heap, SIZE_MAX / 2);
    oto_json_writer_init(&o.json, &o.text);
    oto_json_object_begin(&o.json);
    write_name(&o, "findings");
    oto_json_array_begin(&o.json);
    oto_progress_begin(&o.progress, "bytes", 0);
    enum oto_status status = oto_verify(&wanted, &result, &err);
    exit_status = finish(&o, status, &result, &err);
    oto_buffer_release(&o.text);
    return exit_status;
}

const struct oto_command oto_command_verify = {
    .name = "verify",
    .arguments = "",
    .help = "Check a data folder: every page, every record, every row.",
    .text = "Computes the checksum of every page of every file and of every record of the log, "
            "decodes every file, holds its columns against its table, its folder and name against "
            "its rows, and looks for every acknowledged record in files and logs: none may be "
            "missing, none there twice. Reads only; a server may run on the folder.\n"
            "\n"
            "Prints a line for each problem, with file and place. Exit status: 0 all is well, 1 "
            "problems were found, 2 wrong usage or no data folder.",
    .examples = "otolith verify --data /var/lib/otolith\n"
                "otolith verify --json | jq '.findings'\n",
    .options = options,
    .run = run,
};
