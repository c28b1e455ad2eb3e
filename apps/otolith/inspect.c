// otolith inspect: options and messages; inspect/ does it.
#include "inspect/inspect.h"
#include "options.h"

#include <stddef.h>
#include <stdio.h>

static const struct oto_option options[] = {
    {"json", 0, OTO_OPTION_FLAG, offsetof(struct oto_inspect_options, json), NULL, NULL,
     "Print one JSON document with everything that is known."},
    {"column", 0, OTO_OPTION_TEXT, offsetof(struct oto_inspect_options, column), "NAME", NULL,
     "Show this column only, with what is below it: Events, or Events.list.element.Name."},
    {"row-groups", 0, OTO_OPTION_FLAG, offsetof(struct oto_inspect_options, row_groups), NULL, NULL,
     "Show the columns of each row group, not only their sum."},
    {"pages", 0, OTO_OPTION_FLAG, offsetof(struct oto_inspect_options, pages), NULL, NULL,
     "Show every page and whether its checksum is right; reads the whole file."},
    {"records", 0, OTO_OPTION_FLAG, offsetof(struct oto_inspect_options, records), NULL, NULL,
     "Show every record of a log segment."},
    {0}};

struct failures {
    int count;
};

static void print_failure(void *state, const char *path, const struct oto_error *err)
{
    struct failures *failures = state;
    failures->count++;
    if (err->offset != OTO_OFFSET_NONE)
        (void)fprintf(stderr, "otolith: %s: at byte %llu: %s\n", path,
                      (unsigned long long)err->offset, err->message);
    else
        (void)fprintf(stderr, "otolith: %s: %s\n", path, err->message);
}

static int inspect(const struct oto_inspect_options *wanted, char **paths, int count)
{
    struct failures failures = {0};
    struct oto_error end;
    oto_error_init(&end);
    struct oto_inspection *inspection = oto_inspection_new(wanted);
    enum oto_status status = inspection ? OTO_OK : OTO_NO_MEMORY;
    for (int i = 0; i < count && status >= 0; i++) {
        struct oto_error err;
        oto_error_init(&err);
        status = oto_inspection_add(inspection, paths[i], print_failure, &failures, &err);
        if (status < 0 && status != OTO_NO_MEMORY) {
            print_failure(&failures, paths[i], &err);
            status = OTO_OK;
        }
    }
    if (status >= 0)
        status = oto_inspection_finish(inspection, &end);
    if (status < 0) {
        (void)fprintf(stderr, "otolith: %s\n",
                      status == end.status ? end.message : oto_status_name(status));
        failures.count++;
    } else {
        struct oto_bytes text = oto_inspection_text(inspection);
        (void)fwrite(text.data, 1, text.size, stdout);
        failures.count += oto_options_end_output();
    }
    oto_inspection_free(inspection);
    return failures.count > 0;
}

static int run(int argc, char **argv, char **environment)
{
    (void)environment;
    struct oto_inspect_options wanted = {0};
    int count, exit_status = oto_options_start(&oto_command_inspect, argc, argv, &wanted, &count);
    if (exit_status >= 0)
        return exit_status;
    if (count == 0) {
        (void)fprintf(stderr, "otolith: name the files or folders to inspect\n");
        return 2;
    }
    return inspect(&wanted, argv, count);
}

const struct oto_command oto_command_inspect = {
    .name = "inspect",
    .arguments = "FILE…",
    .argument = OTO_ARGUMENT_FILES,
    .help = "Show what is in Parquet files and log segments.",
    .text =
        "Shows the schema of a Parquet file, its row groups, and of every column the encodings, "
        "codec, number of values and nulls, least and greatest value, sizes, share of the file "
        "and bloom filter; of a segment of the write-ahead log its header, its records and "
        "where the good part ends. Files of other writers are shown as well. For a folder, all "
        "Parquet files and log segments below it; for several files, the sums of each column "
        "at the end.",
    .examples = "otolith inspect data/logs/year=2026/month=01/day=01/hour=10/*.parquet\n"
                "otolith inspect --column LogAttributes --pages x.parquet\n"
                "otolith inspect --json data | jq '.totals.columns[:5]'\n"
                "otolith inspect --records data/wal/0\n",
    .options = options,
    .run = run,
};
