// Which files there are, and what of them is shown by whom.
#include "inspect/inspect_internal.h"
#include "os/file.h"
#include "os/file_list.h"
#include "os/process.h"
#include "os/stream.h"

#include <stdio.h>
#include <stdlib.h>

void oto_inspect_put(struct oto_inspection *inspection, const char *format, ...)
{
    char text[1024], *whole = NULL;
    va_list args;
    if (inspection->json.status < 0)
        return;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size >= (int)sizeof text) {
        whole = malloc((size_t)size + 1);
        va_start(args, format);
        if (whole)
            (void)vsnprintf(whole, (size_t)size + 1, format, args);
        va_end(args);
    }
    // Names and notes of foreign files: nothing of them is for the terminal to obey.
    for (char *at = size < 0 ? NULL : whole ? whole : text; at && *at; at++)
        *at = ((uint8_t)*at < 0x20 && *at != '\n') || *at == 0x7F ? ' ' : *at;
    inspection->json.status =
        size < 0 || (size >= (int)sizeof text && !whole)
            ? OTO_NO_MEMORY
            : oto_buffer_append(&inspection->output, whole ? whole : text, (size_t)size);
    free(whole);
}

void oto_inspect_name(struct oto_inspection *inspection, const char *name)
{
    oto_json_write_name(&inspection->json, oto_bytes_text(name));
}

struct oto_inspection *oto_inspection_new(const struct oto_inspect_options *options)
{
    struct oto_inspection *inspection = calloc(1, sizeof *inspection);
    if (!inspection)
        return NULL;
    inspection->options = *options;
    oto_buffer_init(&inspection->output, &oto_allocator_heap, SIZE_MAX / 2);
    oto_buffer_init(&inspection->totals, &oto_allocator_heap, SIZE_MAX / 2);
    oto_json_writer_init(&inspection->json, &inspection->output);
    inspection->codec = oto_codec_new(&oto_allocator_heap);
    if (options->json) {
        oto_json_object_begin(&inspection->json);
        oto_inspect_name(inspection, "files");
        oto_json_array_begin(&inspection->json);
    }
    if (inspection->codec)
        return inspection;
    oto_inspection_free(inspection);
    return NULL;
}

void oto_inspection_free(struct oto_inspection *inspection)
{
    if (!inspection)
        return;
    struct oto_column_sum *sums = (struct oto_column_sum *)(void *)inspection->totals.data;
    for (size_t i = 0; i < inspection->totals.size / sizeof *sums; i++)
        free(sums[i].name);
    oto_buffer_release(&inspection->totals);
    oto_buffer_release(&inspection->output);
    oto_codec_free(inspection->codec);
    free(inspection);
}

// --- one file ---

static enum oto_status read_magic(const char *path, uint8_t magic[8], struct oto_error *err)
{
    struct oto_file file;
    size_t got = 0;
    memset(magic, 0, 8);
    OTO_TRY(oto_file_open(&file, path, OTO_FILE_READ, err));
    enum oto_status status = oto_file_read_at(&file, 0, magic, 8, &got, err);
    oto_file_close(&file, NULL);
    return status < 0 ? status : OTO_OK;
}

static enum oto_status look_at(struct oto_inspection *inspection, const char *path,
                               struct oto_error *err)
{
    uint8_t magic[8];
    char behind_links[OTO_INSPECT_PATH_MAX];
    struct oto_inspected file = {.name = path, .path = path};
    if (oto_path_absolute(path, behind_links, sizeof behind_links, NULL) == OTO_OK)
        file.path = behind_links;
    OTO_TRY(read_magic(file.path, magic, err));
    if (memcmp(magic, "OTOWAL\r\n", 8) == 0)
        return oto_inspect_segment(inspection, &file, err);
    if (memcmp(magic, "OTOCKP\r\n", 8) == 0)
        return oto_inspect_checkpoint(inspection, &file, err);
    if (memcmp(magic, "PAR1", 4) == 0)
        return oto_inspect_parquet(inspection, &file, err);
    return oto_error_set(err, OTO_INVALID, "neither a Parquet file nor a log segment");
}

// What a file that failed half-way has written is taken back.
static enum oto_status add_file(struct oto_inspection *inspection, const char *path,
                                void (*failed)(void *, const char *, const struct oto_error *),
                                void *state)
{
    struct oto_error err;
    size_t size = inspection->output.size;
    int comma = inspection->json.comma;
    oto_error_init(&err);
    enum oto_status status = look_at(inspection, path, &err);
    if (status >= 0)
        return inspection->json.status;
    inspection->output.size = size;
    inspection->json.comma = comma;
    if (inspection->json.status < 0)
        return inspection->json.status;
    (void)oto_error_ensure(&err, status, "looking at it");
    failed(state, path, &err);
    return OTO_OK;
}

// --- folders ---

static int is_ours(const char *name)
{
    static const char *const ends[] = {".parquet", ".wal", ".free", ".corrupt"};
    size_t size = strlen(name);
    for (size_t i = 0; i < sizeof ends / sizeof *ends; i++)
        if (size > strlen(ends[i]) && strcmp(name + size - strlen(ends[i]), ends[i]) == 0)
            return 1;
    return strcmp(name, "checkpoint") == 0;
}

enum oto_status oto_inspection_add(struct oto_inspection *inspection, const char *path,
                                   void (*failed)(void *, const char *, const struct oto_error *),
                                   void *state, struct oto_error *err)
{
    struct oto_file_list files = {.count = 0};
    if (!oto_path_is_folder(path))
        return add_file(inspection, path, failed, state);
    enum oto_status status = oto_file_list_add_below(&files, path, is_ours, err);
    if (status >= 0 && files.count == 0)
        status = oto_error_set(err, OTO_NOT_FOUND, "no Parquet file and no log segment in it");
    for (size_t i = 0; i < files.count && status >= 0; i++)
        status = add_file(inspection, files.paths[i], failed, state);
    oto_file_list_release(&files);
    return status;
}

// --- the end ---

static void write_totals_json(struct oto_inspection *inspection)
{
    struct oto_json_writer *w = &inspection->json;
    oto_json_array_end(w);
    oto_inspect_name(inspection, "totals");
    oto_json_object_begin(w);
    oto_inspect_name(inspection, "parquet_files");
    oto_json_write_u64(w, inspection->parquet_files);
    oto_inspect_name(inspection, "log_segments");
    oto_json_write_u64(w, inspection->segment_files);
    oto_inspect_name(inspection, "file_bytes");
    oto_json_write_u64(w, inspection->file_bytes);
    oto_inspect_name(inspection, "rows");
    oto_json_write_u64(w, inspection->rows);
    oto_inspect_name(inspection, "records");
    oto_json_write_u64(w, inspection->records);
    oto_inspect_totals(inspection);
    oto_json_object_end(w);
    oto_json_object_end(w);
}

enum oto_status oto_inspection_finish(struct oto_inspection *inspection, struct oto_error *err)
{
    char size[OTO_TEXT_NUMBER_MAX], rows[OTO_TEXT_NUMBER_MAX];
    if (inspection->options.column && inspection->parquet_files && !inspection->has_column)
        return oto_error_set(err, OTO_NOT_FOUND, "no such column: %s", inspection->options.column);
    if (inspection->options.json) {
        write_totals_json(inspection);
        oto_inspect_put(inspection, "\n");
        return inspection->json.status;
    }
    if (inspection->parquet_files > 1) {
        oto_inspect_put(inspection, "all %llu files: %s, %s rows\n",
                        (unsigned long long)inspection->parquet_files,
                        oto_text_size((int64_t)inspection->file_bytes, size),
                        oto_text_count((int64_t)inspection->rows, rows));
        oto_inspect_totals(inspection);
    }
    return inspection->json.status;
}

struct oto_bytes oto_inspection_text(const struct oto_inspection *inspection)
{
    return oto_buffer_view(&inspection->output);
}
