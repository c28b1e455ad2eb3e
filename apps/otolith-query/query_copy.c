// Parquet: DuckDB writes it into a file in memory that was opened before the sandbox closed, and
// that is sent.
#define _GNU_SOURCE
#include "query_process.h"

#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

enum oto_status query_copy_open(int *ret_fd, struct oto_error *err)
{
    *ret_fd = memfd_create("answer", MFD_CLOEXEC);
    return *ret_fd < 0 ? oto_error_set(err, OTO_NO_MEMORY, "memfd: %s", strerror(errno)) : OTO_OK;
}

// One row more than allowed shows that there are too many.
enum oto_status query_copy_sql(int fd, const char *select, uint64_t rows_max,
                               struct oto_buffer *sql)
{
    OTO_TRY(oto_buffer_append_format(sql,
                                     "COPY (SELECT * FROM (%s) LIMIT %llu) TO '/proc/self/fd/%d' "
                                     "(FORMAT parquet, COMPRESSION zstd, USE_TMP_FILE false)",
                                     select, (unsigned long long)rows_max + 1, fd));
    return oto_buffer_append_byte(sql, 0);
}

static enum oto_status send_file(int from, struct query_io *to)
{
    uint8_t block[16 * 1024];
    off_t offset = 0;
    ssize_t size;
    while ((size = pread(from, block, sizeof(block), offset)) > 0) {
        OTO_TRY(query_io_send_data(to, oto_bytes(block, (size_t)size)));
        offset += size;
    }
    return size < 0 ? OTO_IO : OTO_OK;
}

static uint64_t copied_rows(duckdb_result *result)
{
    uint64_t rows = 0;
    duckdb_data_chunk chunk = duckdb_fetch_chunk(*result);
    if (chunk && duckdb_data_chunk_get_size(chunk))
        rows = *(uint64_t *)duckdb_vector_get_data(duckdb_data_chunk_get_vector(chunk, 0));
    duckdb_destroy_data_chunk(&chunk);
    return rows;
}

enum oto_status query_copy_run(int fd, struct query_io *io, duckdb_prepared_statement statement,
                               uint64_t rows_max, uint64_t *ret_rows, struct oto_bytes sql,
                               struct oto_error *err)
{
    duckdb_result result;
    enum oto_status status = OTO_OK;
    if (duckdb_execute_prepared(statement, &result) == DuckDBError)
        status = query_error_of_result(err, &result, sql);
    else
        *ret_rows = copied_rows(&result);
    duckdb_destroy_result(&result);
    if (status == OTO_OK && *ret_rows > rows_max)
        status = query_output_too_long(rows_max, err);
    if (status == OTO_OK && (status = send_file(fd, io)) < 0)
        oto_error_set(err, status, "the answer could not be sent");
    if (ftruncate(fd, 0) != 0 && status == OTO_OK)
        status = oto_error_set(err, OTO_IO, "the answer could not be let go: %s", strerror(errno));
    return status;
}
