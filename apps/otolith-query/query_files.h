// The Parquet files of requests, looked into without DuckDB: which of them can hold a row that a
// query wants. Footers of files on disk are kept from one query to the next; a file that was
// replaced under its name is told by its number, size and time. The executing thread only.
#ifndef OTO_APPS_QUERY_FILES_H
#define OTO_APPS_QUERY_FILES_H

#include "codec/compress.h"
#include "parquet/parquet_reader.h"
#include "query_plan.h"
#include "query_process.h"

struct query_footer; // a file that was opened

struct query_footers {
    struct oto_codec *codec;
    struct query_footer **items;
    struct query_footer *last; // whose file is open
    size_t count;
    uint64_t uses;
};
OTO_MUST_CHECK enum oto_status query_footers_init(struct query_footers *footers);
// The reader of a file as it is now; NULL where there is none, or it is no Parquet file. Valid
// until the next call.
struct oto_parquet_reader *query_footer_of(struct query_footers *footers, const char *path);
// The query_columns_hash of the file that was asked for last, which has a reader.
uint64_t query_footers_columns(const struct query_footers *footers);
// The reader of an open file; to be closed, before codec and *fd go.
struct oto_parquet_reader *query_footer_open(struct oto_codec *codec, int *fd);

// The same for two files with the same columns of the same kinds.
uint64_t query_columns_hash(const struct oto_parquet_reader *reader);

// That of one of a request's files; 0 where it cannot be read.
uint64_t query_file_columns(struct query_footers *footers, const struct query_file *file);

// 0 when no row of the row group, or of the file, meets all conditions of the scan.
int query_group_may_match(struct oto_parquet_reader *reader, uint32_t group,
                          const struct query_scan *scan);
int query_file_may_match(struct oto_parquet_reader *reader, const struct query_scan *scan);

#endif
