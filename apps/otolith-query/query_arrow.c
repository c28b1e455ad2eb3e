// Arrow: DuckDB exports chunks by the C Data Interface, and they go out as an IPC stream. Chunks
// are put together into batches no larger than DuckDB makes them.
#include "arrow/arrow_ipc.h"
#include "query_process.h"

#include <stdio.h>
#include <stdlib.h>

struct arrow_answer {
    struct query_output *out;
    duckdb_arrow_options options;
    struct ArrowSchema schema;
    duckdb_logical_type *types;
    char **names;
    uint32_t count;
};

// Takes the error; OTO_OK when there is none.
static enum oto_status take_error(duckdb_error_data data, struct oto_error *err)
{
    enum oto_status status = OTO_OK;
    if (data && duckdb_error_data_has_error(data))
        status = query_error_set(err, duckdb_error_data_message(data),
                                 duckdb_error_data_error_type(data), (struct oto_bytes){0});
    duckdb_destroy_error_data(&data);
    return status;
}

static enum oto_status make_schema(struct arrow_answer *a, duckdb_result *result,
                                   struct oto_error *err)
{
    a->count = (uint32_t)duckdb_column_count(result);
    a->types = calloc(a->count + 1u, sizeof(*a->types));
    a->names = calloc(a->count + 1u, sizeof(*a->names));
    if (!a->types || !a->names)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    for (uint32_t i = 0; i < a->count; i++) {
        a->types[i] = duckdb_column_logical_type(result, i);
        a->names[i] = a->out->columns[i].name;
    }
    a->options = duckdb_result_get_arrow_options(result);
    return take_error(
        duckdb_to_arrow_schema(a->options, a->types, (const char **)a->names, a->count, &a->schema),
        err);
}

static void release_answer(struct arrow_answer *a)
{
    if (a->schema.release)
        a->schema.release(&a->schema);
    for (uint32_t i = 0; a->types && i < a->count; i++)
        duckdb_destroy_logical_type(&a->types[i]);
    duckdb_destroy_arrow_options(&a->options);
    free(a->types);
    free(a->names);
}

static enum oto_status write_chunk(struct arrow_answer *a, duckdb_data_chunk chunk,
                                   struct oto_error *err)
{
    struct ArrowArray array = {.length = 0};
    struct query_output *out = a->out;
    out->rows += duckdb_data_chunk_get_size(chunk);
    if (out->rows > out->rows_max)
        return query_output_too_long(out->rows_max, err);
    enum oto_status status = take_error(duckdb_data_chunk_to_arrow(a->options, chunk, &array), err);
    if (status == OTO_OK)
        status = oto_arrow_ipc_batch(&a->schema, &array, &out->buffer, err);
    if (array.release)
        array.release(&array);
    if (status == OTO_OK)
        status = query_output_flush(out, 0);
    return status;
}

static enum oto_status write_chunks(struct arrow_answer *a, duckdb_result *result,
                                    struct query_io *io, struct oto_bytes sql,
                                    struct oto_error *err)
{
    enum oto_status status = oto_arrow_ipc_schema(&a->schema, &a->out->buffer, err);
    while (status == OTO_OK) {
        duckdb_data_chunk chunk = duckdb_fetch_chunk(*result);
        if (!chunk && duckdb_result_error(result) && *duckdb_result_error(result))
            return query_error_of_result(err, result, sql);
        if (!chunk)
            break;
        status = query_io_stopped(io) == QUERY_GOES_ON
                     ? write_chunk(a, chunk, err)
                     : oto_error_set(err, OTO_TIMEOUT, "interrupted");
        duckdb_destroy_data_chunk(&chunk);
    }
    OTO_TRY(status);
    OTO_TRY(oto_arrow_ipc_end(&a->out->buffer));
    return query_output_flush(a->out, 1);
}

enum oto_status query_arrow_run(struct query_output *out, duckdb_result *result,
                                struct query_io *io, struct oto_bytes sql, struct oto_error *err)
{
    struct arrow_answer a = {.out = out};
    enum oto_status status = query_output_name(out, result, err);
    if (status == OTO_OK)
        status = make_schema(&a, result, err);
    if (status == OTO_OK)
        status = write_chunks(&a, result, io, sql, err);
    if (status < 0 && err->status == OTO_OK)
        oto_error_set(err, status, "the answer could not be written (%s)", oto_status_name(status));
    release_answer(&a);
    query_output_release(out);
    return status;
}
