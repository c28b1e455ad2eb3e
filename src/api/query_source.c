#include "api/query_source.h"

#include <stdio.h>
#include <stdlib.h>

struct query_files {
    struct oto_snapshot snapshot;
    struct oto_query_file *files;
};

static enum oto_status list_files(struct oto_engine *engine, struct query_files *token)
{
    token->files = calloc(token->snapshot.file_count + OTO_TABLE_COUNT, sizeof(*token->files));
    if (!token->files)
        return OTO_NO_MEMORY;
    for (uint32_t t = 0; t < OTO_TABLE_COUNT; t++)
        token->files[t] =
            (struct oto_query_file){.table = t,
                                    .fd = oto_engine_empty_file(engine, (enum oto_table)t),
                                    .is_model = 1,
                                    .by_id = oto_engine_reuses_names(engine)};
    for (size_t i = 0; i < token->snapshot.file_count; i++) {
        const struct oto_snapshot_file *file = &token->snapshot.files[i];
        token->files[OTO_TABLE_COUNT + i] =
            (struct oto_query_file){.table = file->table,
                                    .fd = file->hot ? file->fd : -1,
                                    .path = file->hot ? NULL : file->path,
                                    .has_times = 1,
                                    .time_min_us = file->time_min_us,
                                    .time_max_us = file->time_max_us};
    }
    return OTO_OK;
}

static enum oto_status acquire(void *state, int64_t from_us, int64_t to_us,
                               const struct oto_query_file **ret_files, size_t *ret_count,
                               void **ret_token, struct oto_error *err)
{
    struct oto_engine *engine = state;
    struct query_files *token = calloc(1, sizeof(*token));
    if (!token)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    enum oto_status status = oto_engine_snapshot(engine, (1u << OTO_TABLE_COUNT) - 1, from_us,
                                                 to_us, &token->snapshot, err);
    if (status == OTO_OK && list_files(engine, token) < 0) {
        oto_snapshot_release(&token->snapshot);
        status = oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    }
    if (status < 0) {
        free(token);
        return status;
    }
    *ret_files = token->files;
    *ret_count = token->snapshot.file_count + OTO_TABLE_COUNT;
    *ret_token = token;
    return OTO_OK;
}

static void release(void *state, void *token)
{
    (void)state;
    struct query_files *files = token;
    oto_snapshot_release(&files->snapshot);
    free(files->files);
    free(files);
}

struct oto_query_source oto_query_source_of_engine(struct oto_engine *engine)
{
    return (struct oto_query_source){engine, acquire, release};
}

void oto_query_tables_fill(struct oto_query_table tables[OTO_TABLE_COUNT])
{
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        tables[t].name = oto_table_name((enum oto_table)t);
}

void oto_query_program_find(const char *program_path, char *output, size_t output_size)
{
    const char *given = getenv("OTOLITH_QUERY_PROGRAM");
    const char *slash = program_path ? strrchr(program_path, '/') : NULL;
    if (given)
        (void)snprintf(output, output_size, "%s", given);
    else
        (void)snprintf(output, output_size, "%.*s/otolith-query",
                       slash ? (int)(slash - program_path) : 1, slash ? program_path : ".");
}
