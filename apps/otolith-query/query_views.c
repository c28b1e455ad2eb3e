// The tables as views over the files of a request. Files in memory are known to DuckDB as
// /proc/self/fd/N, with the same N from one request to the next, so that a view whose text did not
// change need not be made again.
#include "query_files.h"
#include "query_rows.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

// Numbers of descriptors: of files that are made for a query, then of those that come with it.
#define FIRST_PICKED 256
#define FIRST_DESCRIPTOR (FIRST_PICKED + QUERY_PICKED_FILES)
#define LOOKS_MAX 16 // files that a query opens only to learn their columns

enum oto_status query_views_init(struct query_views *views, const struct query_settings *settings)
{
    views->settings = settings;
    query_names_init(&views->names);
    views->made = calloc(settings->table_count + QUERY_PEOPLE_VIEWS, sizeof(*views->made));
    views->planned = calloc(settings->table_count + QUERY_PEOPLE_VIEWS, sizeof(*views->planned));
    views->direct = calloc(settings->table_count + QUERY_PEOPLE_VIEWS, sizeof(*views->direct));
    views->rows = calloc(settings->table_count + 1, sizeof(*views->rows));
    views->constant_names = calloc(settings->table_count + 1, sizeof(*views->constant_names));
    views->models = calloc(settings->table_count + 1, sizeof(*views->models));
    views->known = calloc(1, sizeof(*views->known));
    views->constants = calloc(settings->table_count + 1, sizeof(*views->constants));
    if (!views->made || !views->planned || !views->models || !views->known || !views->constants ||
        !views->constant_names || !views->direct || !views->rows)
        return OTO_NO_MEMORY;
    for (size_t i = 0; i < settings->table_count; i++) {
        views->models[i].fd = -1;
        oto_buffer_init(&views->constants[i], &oto_allocator_heap, 1u << 20);
    }
    return query_known_init(views->known);
}

enum oto_status query_append_quoted(struct oto_buffer *sql, struct oto_bytes text, char quote)
{
    OTO_TRY(oto_buffer_append_byte(sql, (uint8_t)quote));
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] == (uint8_t)quote)
            OTO_TRY(oto_buffer_append_byte(sql, (uint8_t)quote));
        OTO_TRY(oto_buffer_append_byte(sql, text.data[i]));
    }
    return oto_buffer_append_byte(sql, (uint8_t)quote);
}

// --- the request's files ---

// Moves a descriptor to where views look for it; no other file has its number while it is open.
static enum oto_status place_descriptor(struct query_file *file, int *descriptor, int first,
                                        struct oto_error *err)
{
    char name[40];
    int placed = fcntl(*descriptor, F_DUPFD_CLOEXEC, first);
    if (placed < 0)
        return oto_error_set(err, OTO_TOO_LARGE,
                             "so many files in memory are more than the query process can open");
    (void)snprintf(name, sizeof(name), "/proc/self/fd/%d", placed);
    file->info.path = strdup(name);
    if (!file->info.path) {
        close(placed);
        return OTO_NO_MEMORY;
    }
    close(*descriptor);
    *descriptor = -1;
    file->info.fd = placed;
    return OTO_OK;
}

// DuckDB takes a footer that it remembers of a path for that of the file now there when the time of
// change is the same second (and ten seconds ago). Files that come with a request have times of
// their own; those made here get a number that no other file of this second had.
static enum oto_status place_picked(struct query_views *views, struct query_file *file,
                                    int *descriptor)
{
    struct stat status;
    int i = 0;
    if (fstat(*descriptor, &status) < 0)
        return OTO_IO;
    while (i < QUERY_PICKED_FILES && (views->picked_seconds[i] == status.st_mtim.tv_sec ||
                                      fcntl(FIRST_PICKED + i, F_GETFD) >= 0))
        i++;
    if (i == QUERY_PICKED_FILES)
        return OTO_TOO_LARGE;
    views->picked_seconds[i] = status.st_mtim.tv_sec;
    return place_descriptor(file, descriptor, FIRST_PICKED + i, NULL);
}

static enum oto_status add_file(struct query_views *views, const struct oto_query_file *info,
                                struct oto_bytes path, struct query_request *request,
                                size_t *next_descriptor, struct oto_error *err)
{
    struct query_file *file = &views->files[views->file_count];
    *file = (struct query_file){.info = *info};
    if (info->table >= views->settings->table_count)
        return OTO_INVALID;
    views->file_count++;
    if (path.size) {
        file->info.path = oto_bytes_copy_text(&oto_allocator_heap, path);
        return file->info.path ? OTO_OK : OTO_NO_MEMORY;
    }
    if (*next_descriptor >= request->descriptor_count)
        return OTO_INVALID;
    return place_descriptor(file, &request->descriptors[(*next_descriptor)++], FIRST_DESCRIPTOR,
                            err);
}

static enum oto_status add_files(struct query_views *views, struct query_request *request,
                                 struct oto_error *err)
{
    struct oto_bytes files = request->view.files, path;
    struct oto_query_file info;
    size_t next_descriptor = 0, count = 0;
    enum oto_status status;
    while ((status = oto_query_file_next(&files, &info, &path)) == OTO_OK) {
        if (count++ == request->view.file_count)
            return OTO_INVALID;
        OTO_TRY(add_file(views, &info, path, request, &next_descriptor, err));
    }
    return status < 0 ? status : OTO_OK;
}

enum oto_status query_views_take(struct query_views *views, struct query_database *db,
                                 struct query_request *request, const uint8_t *wanted,
                                 struct oto_error *err)
{
    if (request->view.file_count > request->view.files.size)
        return oto_error_set(err, OTO_INTERNAL, "the request's list of files is broken");
    views->file_count = 0;
    views->file_capacity = (size_t)request->view.file_count + QUERY_PICKED_FILES;
    views->files = calloc(views->file_capacity, sizeof(*views->files));
    if (!views->files)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    oto_error_init(err);
    enum oto_status status = add_files(views, request, err);
    if (status < 0 && err->status == OTO_OK)
        oto_error_set(err, status,
                      status == OTO_NO_MEMORY ? "no memory for the list of files"
                                              : "the request's list of files is broken");
    for (size_t i = 0; i < views->file_count && status == OTO_OK; i++) {
        const struct oto_query_file *file = &views->files[i].info;
        if (file->is_model && wanted[file->table] && views->models[file->table].fd < 0)
            status = query_model_take(views, db, file, err);
    }
    return status;
}

enum oto_status query_views_add_memory(struct query_views *views, uint32_t table, int fd)
{
    if (views->file_count == views->file_capacity)
        return OTO_TOO_LARGE;
    struct query_file *file = &views->files[views->file_count];
    *file = (struct query_file){.info = {.table = table, .fd = -1}, .has_picked = 1};
    enum oto_status status = place_picked(views, file, &fd);
    views->file_count += status == OTO_OK;
    return status;
}

static void close_file(struct query_file *file)
{
    if (file->info.fd >= 0)
        close(file->info.fd);
    free((char *)(uintptr_t)file->info.path);
}

static void forget_picked(struct query_views *views)
{
    for (size_t i = 0; i < views->settings->table_count; i++) {
        views->constants[i].size = 0;
        views->constant_names[i] = NULL;
    }
    query_pick_let_go(views);
}

// Copies of rows come last.
void query_views_reset(struct query_views *views)
{
    while (views->file_count && views->files[views->file_count - 1].has_picked)
        close_file(&views->files[--views->file_count]);
    for (size_t i = 0; i < views->file_count; i++)
        views->files[i].is_dropped = views->files[i].is_picked = 0;
    forget_picked(views);
}

void query_views_let_go(struct query_views *views)
{
    for (size_t i = 0; i < views->file_count; i++)
        close_file(&views->files[i]);
    free(views->files);
    views->files = NULL;
    views->file_count = 0;
    views->lacks_memory = 0;
    forget_picked(views);
    query_known_close(views->known, 0);
}

void query_views_rest(struct query_views *views)
{
    query_known_close(views->known, 1);
}

// --- a table's view ---

// Which of a table's files are meant. NAMED: those that other writers made of ours, with other
// field ids or none, where the rest goes by ids.
enum part { ROWS, NAMED, PICKED, MODELS };

static int is_named(const struct query_views *views, const struct query_file *file)
{
    const struct query_model *model = &views->models[file->info.table];
    return model->by_id && file->columns && file->time_id != model->time_id;
}

static int is_listed(const struct query_views *views, const struct query_file *file, size_t table,
                     enum part part)
{
    if (file->info.table != table || file->is_dropped)
        return 0;
    if (views->models[table].fd < 0)
        return part == ROWS;
    if (file->info.is_model || file->has_picked)
        return part == (file->info.is_model ? MODELS : PICKED);
    return part == (is_named(views, file) ? NAMED : ROWS);
}

static int has_part(const struct query_views *views, size_t table, enum part part)
{
    for (size_t i = 0; i < views->file_count; i++)
        if (is_listed(views, &views->files[i], table, part))
            return 1;
    return 0;
}

// Whether all files have the columns of the model, as far as a few looks can tell.
static int have_same_columns(struct query_views *views, size_t table, enum part part)
{
    unsigned looks = 0;
    for (size_t i = 0; i < views->file_count; i++) {
        struct query_file *file = &views->files[i];
        if (part == MODELS || !is_listed(views, file, table, part))
            continue;
        if (!file->columns && ++looks <= LOOKS_MAX)
            query_file_look(views->known, file);
        if (file->columns != views->models[table].columns)
            return 0;
    }
    return 1;
}

// What the files' columns are taken for: those that are read, but for the one that is no column. By
// name, as everything else here looks for a column: other writers give files other ids, or none.
static enum oto_status write_schema(const struct query_views *views, size_t table, enum part part,
                                    struct oto_buffer *sql)
{
    const struct query_model *model = &views->models[table];
    const char *before = ", schema=MAP {";
    for (size_t i = 0; i < model->field_count; i++) {
        const struct query_field *field = &model->fields[i];
        if (!field->is_named)
            continue;
        OTO_TRY(oto_buffer_append_format(sql, "%s", before));
        if (model->by_id && part == ROWS)
            OTO_TRY(oto_buffer_append_format(sql, "%d", field->id));
        else
            OTO_TRY(query_append_quoted(sql, oto_bytes_text(field->name), '\''));
        OTO_TRY(oto_buffer_append_format(sql, ": %s", field->sql));
        before = ", ";
    }
    return oto_buffer_append_byte(sql, '}');
}

static enum oto_status write_columns(const struct query_views *views, size_t table, enum part part,
                                     struct oto_buffer *sql)
{
    const struct query_model *model = &views->models[table];
    const char *constant = part == PICKED ? views->constant_names[table] : NULL;
    size_t count = 0;
    if (model->fd < 0)
        return oto_buffer_append_byte(sql, '*');
    if (!constant)
        return query_append_fields(sql, model);
    for (size_t i = 0; i < model->field_count; i++) {
        if (!model->fields[i].is_named)
            continue;
        OTO_TRY(oto_buffer_append(sql, ",", count++ ? 1 : 0));
        if (strcmp(model->fields[i].name, constant) == 0)
            OTO_TRY(
                oto_buffer_append(sql, views->constants[table].data, views->constants[table].size));
        else
            OTO_TRY(query_append_quoted(sql, oto_bytes_text(model->fields[i].name), '"'));
    }
    return OTO_OK;
}

// Whether picked rows may lack a column of the view: they have those that the query reads.
static int lacks_columns(const struct query_views *views, size_t table)
{
    const struct query_model *model = &views->models[table];
    return views->names.every || !model->time_name || !query_model_needs(model, model->time_name);
}

// Without a model, all files are opened to learn the columns. With one none is, but where all have
// the same columns saying so takes DuckDB longer than looking at the first file.
static enum oto_status write_part(struct query_views *views, size_t table, enum part part,
                                  struct oto_buffer *sql)
{
    const struct query_model *model = &views->models[table];
    size_t count = 0;
    OTO_TRY(oto_buffer_append_format(sql, "SELECT "));
    OTO_TRY(write_columns(views, table, part, sql));
    OTO_TRY(oto_buffer_append_format(sql, " FROM read_parquet(["));
    for (size_t i = 0; i < views->file_count && part != MODELS; i++) {
        if (!is_listed(views, &views->files[i], table, part))
            continue;
        OTO_TRY(oto_buffer_append(sql, ",", count++ ? 1 : 0));
        OTO_TRY(query_append_quoted(sql, oto_bytes_text(views->files[i].info.path), '\''));
    }
    if (part == MODELS)
        OTO_TRY(oto_buffer_append_format(sql, "'%s'", model->path));
    OTO_TRY(oto_buffer_append_byte(sql, ']'));
    if (model->fd < 0)
        OTO_TRY(oto_buffer_append_format(sql, ", union_by_name=true"));
    else if (part == PICKED ? lacks_columns(views, table) : !have_same_columns(views, table, part))
        OTO_TRY(write_schema(views, table, part, sql));
    return oto_buffer_append_format(sql, ", hive_partitioning=false)");
}

// Of which files the ids are ours, only the files can tell.
static void look_at_all(struct query_views *views, size_t table)
{
    for (size_t i = 0; i < views->file_count && views->models[table].by_id; i++) {
        struct query_file *file = &views->files[i];
        if (!file->columns && is_listed(views, file, table, ROWS))
            query_file_look(views->known, file);
    }
}

static enum oto_status write_view(struct query_views *views, size_t table, struct oto_buffer *sql)
{
    static const enum part parts[] = {PICKED, NAMED, ROWS}; // LIMIT may need no more than the first
    size_t count = 0;
    OTO_TRY(oto_buffer_append_format(sql, "CREATE OR REPLACE VIEW "));
    OTO_TRY(query_append_quoted(sql, oto_bytes_text(views->settings->tables[table]), '"'));
    OTO_TRY(oto_buffer_append_format(sql, " AS "));
    look_at_all(views, table);
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        if (!has_part(views, table, parts[i]))
            continue;
        OTO_TRY(oto_buffer_append_format(sql, count++ ? " UNION ALL " : ""));
        OTO_TRY(write_part(views, table, parts[i], sql));
    }
    if (!count)
        OTO_TRY(write_part(views, table, views->models[table].fd < 0 ? ROWS : MODELS, sql));
    return oto_buffer_append_byte(sql, 0);
}

// --- making views ---

enum oto_status query_views_make(duckdb_connection connection, char **text, const char *sql,
                                 struct oto_error *err)
{
    if (*text && strcmp(*text, sql) == 0)
        return OTO_OK;
    char *kept = strdup(sql);
    if (!kept)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    enum oto_status status = query_database_run(connection, sql, err);
    if (status < 0) {
        free(kept);
        return status;
    }
    free(*text);
    *text = kept;
    return OTO_OK;
}

static enum oto_status update_view(struct query_views *views, struct query_database *db,
                                   size_t table, struct oto_error *err)
{
    struct oto_buffer sql;
    oto_buffer_init(&sql, &oto_allocator_heap, 2 * OTO_QUERY_REQUEST_MAX);
    enum oto_status status = write_view(views, table, &sql);
    if (status < 0)
        oto_error_set(err, status, "no memory for the list of files");
    else if ((status =
                  query_views_make(db->own, &views->made[table], (const char *)sql.data, err)) < 0)
        oto_error_context(err, "the files of %s", views->settings->tables[table]);
    oto_buffer_release(&sql);
    if (status == OTO_INVALID) // the SQL is ours
        status = err->status = OTO_CORRUPT;
    return status;
}

enum oto_status query_views_update(struct query_views *views, struct query_database *db,
                                   const uint8_t *wanted, struct oto_error *err)
{
    for (size_t i = 0; i < views->settings->table_count; i++)
        if (wanted[i])
            OTO_TRY(update_view(views, db, i, err));
    return query_people_update(views, db->own, views->made + views->settings->table_count, wanted,
                               QUERY_OVER_TABLES, err);
}

// These stay as they are from one query to the next that names the same columns.
enum oto_status query_views_direct(struct query_views *views, struct query_database *db,
                                   const uint8_t *wanted, struct oto_error *err)
{
    enum oto_status status = OTO_OK;
    for (size_t i = 0; i < views->settings->table_count && status == OTO_OK; i++) {
        struct oto_buffer sql;
        if (!wanted[i] || !query_names_have(&views->names, views->settings->tables[i]))
            continue;
        oto_buffer_init(&sql, &oto_allocator_heap, 1u << 20);
        status = query_model_write(views, i, QUERY_OVER_ROWS, &sql);
        if (status == OTO_OK)
            status = query_views_make(db->rows, &views->direct[i], (const char *)sql.data, err);
        else
            oto_error_set(err, status, "out of memory");
        oto_buffer_release(&sql);
    }
    OTO_TRY(status);
    return query_people_update(views, db->rows, views->direct + views->settings->table_count,
                               wanted, QUERY_OVER_ROWS, err);
}

// A view that is missing or as it was before means that less is known of the query, or nothing.
void query_views_plan(struct query_views *views, struct query_database *db, const uint8_t *wanted)
{
    struct oto_error err;
    for (size_t i = 0; i < views->settings->table_count; i++) {
        struct query_model *model = &views->models[i];
        struct oto_buffer sql;
        if (!wanted[i] || model->fd < 0)
            continue;
        query_model_mark(model, &views->names);
        if (!model->time_name || !query_names_have(&views->names, views->settings->tables[i]))
            continue; // views for people stand on the model itself
        oto_error_init(&err);
        oto_buffer_init(&sql, &oto_allocator_heap, 1 << 20);
        if (query_model_write(views, i, QUERY_OVER_MODELS, &sql) == OTO_OK)
            (void)!query_views_make(db->plan, &views->planned[i], (const char *)sql.data, &err);
        oto_buffer_release(&sql);
    }
    oto_error_init(&err);
    (void)!query_people_update(views, db->plan, views->planned + views->settings->table_count,
                               wanted, QUERY_OVER_MODELS, &err);
}
