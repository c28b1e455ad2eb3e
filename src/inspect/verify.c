// The order of the work: files as they are now; then the logs; then files again. A record that
// leaves the log while this runs is then in a file that the second look finds.
#include "inspect/verify_internal.h"

#include "os/file_list.h"

#include <stdio.h>
#include <stdlib.h>

#define ARENA_BLOCK_BYTES ((size_t)1 << 20)
#define ARENA_BYTES_MAX ((size_t)2 << 30)

// --- findings ---

void oto_verify_path(const struct oto_verify *v, const char *name, char path[OTO_INSPECT_PATH_MAX])
{
    (void)snprintf(path, OTO_INSPECT_PATH_MAX, "%s/%s", v->options->data_path, name);
}

OTO_PRINTF(5, 0)
static void report(struct oto_verify *v, int is_note, const char *name, uint64_t offset,
                   const char *format, va_list args)
{
    char path[OTO_INSPECT_PATH_MAX], message[OTO_INSPECT_PATH_MAX + 256];
    oto_verify_path(v, name, path);
    (void)vsnprintf(message, sizeof message, format, args);
    struct oto_verify_finding finding = {
        .is_note = is_note, .path = path, .offset = offset, .message = message};
    *(is_note ? &v->result->notes : &v->result->problems) += 1;
    v->options->found(v->options->state, &finding);
}

void oto_verify_problem(struct oto_verify *v, const char *name, uint64_t offset, const char *format,
                        ...)
{
    va_list args;
    va_start(args, format);
    report(v, 0, name, offset, format, args);
    va_end(args);
}

void oto_verify_note(struct oto_verify *v, const char *name, uint64_t offset, const char *format,
                     ...)
{
    va_list args;
    va_start(args, format);
    report(v, 1, name, offset, format, args);
    va_end(args);
}

// --- which files there are ---

struct listing {
    struct oto_verify *v;
    enum oto_table table;
    size_t known; // files of the first look
};

static int compare_files(const void *a, const void *b)
{
    return strcmp(((const struct oto_verify_file *)a)->name,
                  ((const struct oto_verify_file *)b)->name);
}

// Those of the first look are sorted.
static struct oto_verify_file *find_file(const struct listing *l, char *name)
{
    struct oto_verify_file wanted = {.name = name};
    return l->known ? bsearch(&wanted, l->v->files.data, l->known, sizeof wanted, compare_files)
                    : NULL;
}

static int is_parquet(const char *name)
{
    size_t size = strlen(name);
    return size > 8 && strcmp(name + size - 8, ".parquet") == 0;
}

static enum oto_status see_file(void *state, const char *path, uint64_t size_bytes,
                                struct oto_error *err)
{
    struct listing *l = state;
    char name[OTO_INSPECT_PATH_MAX];
    (void)snprintf(name, sizeof name, "%s", path + strlen(l->v->options->data_path) + 1);
    struct oto_verify_file *known = find_file(l, name);
    struct oto_verify_file file = {.table = l->table, .size_bytes = size_bytes};
    if (known) {
        known->is_gone = 0;
        return OTO_OK;
    }
    if (!is_parquet(name)) {
        oto_verify_note(l->v, name, OTO_OFFSET_NONE, "no Parquet file");
        return OTO_OK;
    }
    file.is_ours = oto_catalogue_parse(l->table, name, &file.parsed) == OTO_OK;
    if (!file.is_ours)
        oto_verify_note(l->v, name, OTO_OFFSET_NONE,
                        "a name that the server does not read; other engines do");
    file.name = strdup(name);
    if (!file.name || oto_buffer_append(&l->v->files, &file, sizeof file) < 0) {
        free(file.name);
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to list the files");
    }
    l->v->total_bytes += size_bytes;
    return OTO_OK;
}

static enum oto_status list_files(struct oto_verify *v)
{
    struct listing l = {.v = v};
    struct oto_verify_file *files = oto_verify_files(v, &l.known);
    for (size_t i = 0; i < l.known; i++)
        files[i].is_gone = 1;
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        char path[OTO_INSPECT_PATH_MAX];
        l.table = (enum oto_table)t;
        oto_verify_path(v, oto_table_folder(l.table), path);
        enum oto_status status = oto_files_below(path, see_file, &l, v->err);
        if (status < 0 && status != OTO_NOT_FOUND)
            return status;
    }
    return OTO_OK;
}

static enum oto_status check_files(struct oto_verify *v)
{
    size_t count;
    struct oto_verify_file *files = oto_verify_files(v, &count);
    if (count)
        qsort(files, count, sizeof *files, compare_files);
    for (size_t i = 0; i < count; i++)
        if (!files[i].is_checked && !files[i].is_gone)
            OTO_TRY(oto_verify_one_file(v, &files[i]));
    return OTO_OK;
}

// --- the whole ---

static enum oto_status check_folder(struct oto_verify *v)
{
    char path[OTO_INSPECT_PATH_MAX];
    int has_logs = 0, has_lock = 0;
    oto_verify_path(v, "wal", path);
    OTO_TRY(oto_path_exists(path, &has_logs, v->err));
    oto_verify_path(v, "lock", path);
    OTO_TRY(oto_path_exists(path, &has_lock, v->err));
    return has_logs || has_lock ? OTO_OK
                                : oto_error_set(v->err, OTO_NOT_FOUND, "%s is no data folder",
                                                v->options->data_path);
}

static enum oto_status check_all(struct oto_verify *v)
{
    OTO_TRY(check_folder(v));
    OTO_TRY(list_files(v));
    OTO_TRY(check_files(v));
    OTO_TRY(oto_verify_read_logs(v));
    OTO_TRY(list_files(v));
    OTO_TRY(check_files(v));
    OTO_TRY(oto_verify_ranges(v));
    return oto_verify_duplicates(v);
}

static void release(struct oto_verify *v)
{
    size_t count;
    struct oto_verify_file *files = oto_verify_files(v, &count);
    for (size_t i = 0; i < count; i++)
        free(files[i].name);
    struct oto_verify_log *logs = oto_verify_logs(v, &count);
    for (size_t i = 0; i < count; i++)
        oto_buffer_release(&logs[i].ranges);
    oto_buffer_release(&v->files);
    oto_buffer_release(&v->logs);
    oto_arena_release(&v->arena);
    oto_codec_free(v->codec);
    oto_schemas_free(v->schemas);
}

enum oto_status oto_verify(const struct oto_verify_options *options,
                           struct oto_verify_result *ret_result, struct oto_error *err)
{
    struct oto_verify v = {.options = options, .result = ret_result, .err = err};
    *ret_result = (struct oto_verify_result){0};
    oto_buffer_init(&v.files, &oto_allocator_heap, SIZE_MAX / 2);
    oto_buffer_init(&v.logs, &oto_allocator_heap, SIZE_MAX / 2);
    oto_arena_init(&v.arena, &oto_allocator_heap, ARENA_BLOCK_BYTES, ARENA_BYTES_MAX);
    v.schemas = oto_schemas_new_flat(&oto_allocator_heap, NULL, 0, err);
    v.codec = oto_codec_new(&oto_allocator_heap);
    enum oto_status status = v.schemas && v.codec
                                 ? check_all(&v)
                                 : oto_error_set(err, OTO_NO_MEMORY, "no memory to begin");
    release(&v);
    return status < 0 ? status : OTO_OK;
}
