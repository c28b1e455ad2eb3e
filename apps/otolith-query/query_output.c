// From a streaming result to DATA frames: chunk by chunk, so that memory stays bounded however long
// the answer is.
#include "query_process.h"

#include <stdio.h>
#include <stdlib.h>

enum oto_status query_output_flush(struct query_output *out, int last)
{
    size_t at = 0;
    while (out->buffer.size - at >= OTO_QUERY_DATA_MAX || (last && at < out->buffer.size)) {
        size_t rest = out->buffer.size - at;
        size_t size = rest < OTO_QUERY_DATA_MAX ? rest : OTO_QUERY_DATA_MAX;
        OTO_TRY(query_io_send_data(out->io, oto_bytes(out->buffer.data + at, size)));
        at += size;
    }
    if (at) {
        memmove(out->buffer.data, out->buffer.data + at, out->buffer.size - at);
        out->buffer.size -= at;
    }
    return OTO_OK;
}

static int is_taken(const struct query_output *out, const char *name)
{
    for (uint32_t i = 0; i < out->column_count; i++)
        if (out->columns[i].name && strcmp(out->columns[i].name, name) == 0)
            return 1;
    return 0;
}

// Names of columns are made different, or an object of JSON would have a name twice: a, a_1, a_2.
static enum oto_status name_column(struct query_output *out, duckdb_result *result, uint32_t index,
                                   struct oto_error *err)
{
    const char *name = duckdb_column_name(result, index);
    char other[300];
    const char *unique = name ? name : "";
    for (uint32_t n = 1; is_taken(out, unique); n++) {
        (void)snprintf(other, sizeof(other), "%.280s_%u", name ? name : "", n);
        unique = other;
    }
    out->columns[index].name = strdup(unique);
    return out->columns[index].name ? OTO_OK : oto_error_set(err, OTO_NO_MEMORY, "out of memory");
}

enum oto_status query_output_name(struct query_output *out, duckdb_result *result,
                                  struct oto_error *err)
{
    out->column_count = (uint32_t)duckdb_column_count(result);
    out->columns = calloc(out->column_count + 1u, sizeof(*out->columns));
    if (!out->columns) {
        out->column_count = 0;
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    }
    for (uint32_t i = 0; i < out->column_count; i++)
        OTO_TRY(name_column(out, result, i, err));
    return OTO_OK;
}

void query_output_release(struct query_output *out)
{
    for (uint32_t i = 0; i < out->column_count; i++)
        query_column_release(&out->columns[i]);
    free(out->columns);
    out->columns = NULL;
    out->column_count = 0;
}

static enum oto_status init_column(struct query_output *out, duckdb_result *result, uint32_t index,
                                   struct oto_error *err)
{
    char *name = out->columns[index].name;
    duckdb_logical_type type = duckdb_column_logical_type(result, index);
    enum oto_status status = query_column_init(&out->columns[index], NULL, type, err);
    out->columns[index].name = name;
    duckdb_destroy_logical_type(&type);
    return status;
}

static enum oto_status init_columns(struct query_output *out, duckdb_result *result,
                                    struct oto_error *err)
{
    OTO_TRY(query_output_name(out, result, err));
    for (uint32_t i = 0; i < out->column_count; i++)
        OTO_TRY(init_column(out, result, i, err));
    return OTO_OK;
}

enum oto_status query_output_too_long(uint64_t rows_max, struct oto_error *err)
{
    return oto_error_set(
        err, OTO_TOO_LARGE,
        "the answer has more than %llu rows (query_rows_max): narrow it or add LIMIT",
        (unsigned long long)rows_max);
}

static enum oto_status write_chunk(struct query_output *out, const struct query_format *format,
                                   duckdb_data_chunk chunk, struct oto_error *err)
{
    idx_t count = duckdb_data_chunk_get_size(chunk);
    for (uint32_t i = 0; i < out->column_count; i++)
        query_column_attach(&out->columns[i], duckdb_data_chunk_get_vector(chunk, i));
    for (idx_t row = 0; row < count; row++) {
        if (out->rows == out->rows_max)
            return query_output_too_long(out->rows_max, err);
        enum oto_status status = format->row(out, row);
        if (status == OTO_OK && out->buffer.size >= OTO_QUERY_DATA_MAX)
            status = query_output_flush(out, 0);
        if (status == OTO_TOO_LARGE)
            return oto_error_set(err, status, "a row of the answer takes more memory than it may");
        if (status < 0)
            return oto_error_set(err, status, "a row of the answer could not be written (%s)",
                                 oto_status_name(status));
        out->rows++;
    }
    return OTO_OK;
}

static enum oto_status write_chunks(struct query_output *out, const struct query_format *format,
                                    duckdb_result *result, struct query_io *io,
                                    struct oto_bytes sql, struct oto_error *err)
{
    for (;;) {
        duckdb_data_chunk chunk = duckdb_fetch_chunk(*result);
        if (!chunk && duckdb_result_error(result) && *duckdb_result_error(result))
            return query_error_of_result(err, result, sql);
        if (query_io_stopped(io) != QUERY_GOES_ON)
            duckdb_destroy_data_chunk(&chunk);
        if (!chunk)
            return query_io_stopped(io) == QUERY_GOES_ON
                       ? OTO_OK
                       : oto_error_set(err, OTO_TIMEOUT, "interrupted");
        enum oto_status status = write_chunk(out, format, chunk, err);
        duckdb_destroy_data_chunk(&chunk);
        OTO_TRY(status);
    }
}

enum oto_status query_output_run(struct query_output *out, const struct query_format *format,
                                 duckdb_result *result, struct query_io *io, struct oto_bytes sql,
                                 struct oto_error *err)
{
    enum oto_status status = init_columns(out, result, err);
    if (status == OTO_OK && (status = format->begin(out)) < 0)
        oto_error_set(err, status, "out of memory");
    if (status == OTO_OK)
        status = write_chunks(out, format, result, io, sql, err);
    if (status == OTO_OK && (status = format->end(out)) == OTO_OK)
        status = query_output_flush(out, 1);
    if (status < 0 && err->status == OTO_OK)
        oto_error_set(err, status, "the answer could not be written (%s)", oto_status_name(status));
    if (format->release)
        format->release(out);
    query_output_release(out);
    return status;
}
