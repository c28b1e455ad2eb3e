// Rows written as Parquet files: a row group when there are enough, sorted as the server's.
#define _GNU_SOURCE
#include "convert/convert_internal.h"
#include "os/file.h"

#include <stdio.h>
#include <stdlib.h>

static enum oto_status no_memory(struct oto_error *err)
{
    return oto_error_set(err, OTO_NO_MEMORY, "no memory to write Parquet files");
}

// --- names ---

// "logs", "traces", "gauge", …: the last part of the table's folder.
static const char *short_name(enum oto_table table)
{
    const char *folder = oto_table_folder(table), *slash = strrchr(folder, '/');
    return slash ? slash + 1 : folder;
}

static int is_folder(const char *path)
{
    size_t size = strlen(path);
    return (size && path[size - 1] == '/') || oto_path_is_folder(path);
}

static int ends_with(const char *text, const char *end)
{
    size_t size = strlen(text), more = strlen(end);
    return size >= more && strcmp(text + size - more, end) == 0;
}

static enum oto_status name_file(const char *output, enum oto_table table, char **ret_path,
                                 struct oto_error *err)
{
    static const char suffix[] = ".parquet";
    int stem = (int)strlen(output), size;
    if (is_folder(output)) {
        OTO_TRY(oto_folder_create(output, err));
        size = asprintf(ret_path, "%s%s%s%s", output, ends_with(output, "/") ? "" : "/",
                        short_name(table), suffix);
    } else if (oto_table_signal(table) != OTO_SIGNAL_METRICS) {
        size = asprintf(ret_path, "%s", output);
    } else {
        if (ends_with(output, suffix))
            stem -= (int)strlen(suffix);
        size = asprintf(ret_path, "%.*s.%s%s", stem, output, short_name(table), suffix);
    }
    if (size >= 0)
        return OTO_OK;
    *ret_path = NULL;
    return no_memory(err);
}

// --- files ---

static enum oto_status write_to_output(void *state, const void *data, size_t size,
                                       struct oto_error *err)
{
    return oto_output_write(state, data, size, err);
}

static enum oto_status file_begin(struct oto_convert_files *f, enum oto_table table,
                                  struct oto_error *err)
{
    struct oto_convert_file *file = &f->files[table];
    const struct oto_convert_options *options = f->c->options;
    if (file->writer)
        return OTO_OK;
    OTO_TRY(name_file(options->output, table, &file->path, err));
    OTO_TRY(oto_output_open(&file->output, file->path, err));
    oto_parquet_options_default(&file->options);
    file->options.created_by = options->created_by;
    file->options.sorted_by_count = oto_table_sorted_by(table, &file->options.sorted_by);
    file->sink = (struct oto_sink){write_to_output, &file->output};
    return oto_parquet_writer_new(oto_schemas_table(f->rows.schemas, table), &file->options,
                                  f->c->codec, &oto_allocator_heap, &file->sink, &file->writer,
                                  err);
}

enum oto_status oto_convert_files_open(struct oto_convert_files *f, struct oto_convert *c,
                                       struct oto_error *err)
{
    *f = (struct oto_convert_files){.c = c};
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        f->files[t].output.fd = -1;
    return oto_convert_rows_init(&f->rows, c, err);
}

void oto_convert_files_close(struct oto_convert_files *f)
{
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        oto_parquet_writer_free(f->files[t].writer);
        oto_output_drop(&f->files[t].output);
        free(f->files[t].path);
    }
    oto_convert_rows_release(&f->rows);
}

// --- row groups ---

static enum oto_status write_sorted(struct oto_convert_files *f, enum oto_table table,
                                    const struct oto_batch *batch, uint32_t *order,
                                    struct oto_error *err)
{
    struct oto_partition all;
    uint32_t count;
    OTO_TRY(oto_table_order(table, batch, 0, batch->row_count, &oto_allocator_heap, order, &all, 1,
                            &count, err));
    return oto_parquet_writer_append(f->files[table].writer, batch, order, batch->row_count, err);
}

static enum oto_status write_table(struct oto_convert_files *f, enum oto_table table,
                                   struct oto_error *err)
{
    struct oto_batch batch;
    uint32_t rows = f->rows.builders[table].levels[0].count;
    if (rows == 0)
        return OTO_OK;
    OTO_TRY(file_begin(f, table, err));
    if (oto_builder_view(&f->rows.builders[table], &oto_allocator_heap, &batch) < 0)
        return no_memory(err);
    uint32_t *order = malloc(rows * sizeof *order);
    enum oto_status status = order ? write_sorted(f, table, &batch, order, err) : no_memory(err);
    free(order);
    oto_batch_release(&batch);
    return status;
}

static enum oto_status write_groups(struct oto_convert_files *f, struct oto_error *err)
{
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        OTO_TRY(write_table(f, (enum oto_table)t, err));
    return oto_convert_rows_reset(&f->rows, err);
}

enum oto_status oto_convert_files_put(struct oto_convert_files *f, struct oto_bytes message,
                                      struct oto_error *err)
{
    OTO_TRY(oto_convert_rows_add(&f->rows, message, err));
    return oto_convert_rows_are_many(&f->rows) ? write_groups(f, err) : OTO_OK;
}

// Logs and traces have their file even without a row.
static enum oto_status begin_empty(struct oto_convert_files *f, struct oto_error *err)
{
    if (f->c->signal == OTO_SIGNAL_LOGS)
        return file_begin(f, OTO_TABLE_LOGS, err);
    if (f->c->signal == OTO_SIGNAL_TRACES)
        return file_begin(f, OTO_TABLE_TRACES, err);
    return OTO_OK;
}

enum oto_status oto_convert_files_finish(struct oto_convert_files *f, struct oto_error *err)
{
    struct oto_parquet_result result;
    int count = 0;
    OTO_TRY(write_groups(f, err));
    OTO_TRY(begin_empty(f, err));
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        if (f->files[t].writer)
            OTO_TRY(oto_parquet_writer_finish(f->files[t].writer, &result, err));
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        if (f->files[t].writer) {
            OTO_TRY(oto_output_publish(&f->files[t].output, err));
            count++;
        }
    if (count == 0)
        oto_convert_note(f->c, "no data points, so no file was written");
    return OTO_OK;
}
