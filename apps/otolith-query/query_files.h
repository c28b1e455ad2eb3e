// The Parquet files of requests, looked into without DuckDB: which of them can hold a row that a
// query wants. Footers of files on disk are kept from one query to the next, and the files open;
// one that was replaced under its name is told by its number, size and time. The executing thread
// only.
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
    struct query_footer *last; // that was asked for
    size_t count;
    uint64_t uses;
    uint64_t uses_before; // when query_footers_close was called last
};
OTO_MUST_CHECK enum oto_status query_footers_init(struct query_footers *footers);
// The reader of a file as it is now; NULL where there is none, or it is no Parquet file. Valid
// until the next call.
struct oto_parquet_reader *query_footer_of(struct query_footers *footers, const char *path);
// A file as a visitor sees it, until it returns.
struct query_opened {
    struct oto_parquet_reader *reader;
    uint64_t columns; // query_columns_hash
    uint64_t size_bytes;
    int fd;
};
typedef void (*query_visitor)(void *state, size_t index, const struct query_opened *file);
// Calls `visit` for each file: as it is now, NULL where query_footer_of would say so. From several
// threads at once where many have to be opened; for a file once. Before that, `foresee` is called
// for those that are open, as they were: it may ask the disk for what the visit will read.
void query_footers_visit(struct query_footers *footers, const char *const *paths, size_t count,
                         query_visitor foresee, query_visitor visit, void *state);
// Closes the files that were deleted, but for those that were used since the last call, which were
// there; `all`: every file, after a while without queries. Footers stay.
void query_footers_close(struct query_footers *footers, int all);
// The reader of an open file; to be closed, before codec and *fd go.
struct oto_parquet_reader *query_footer_open(struct oto_codec *codec, int *fd);

// The same for two files with the same columns of the same kinds.
uint64_t query_columns_hash(const struct oto_parquet_reader *reader);

// The leaf that a condition is about: the column, or the values of a map. NULL: the file has none.
const struct oto_parquet_node *query_leaf_of(const struct oto_parquet_metadata *m,
                                             const struct query_condition *c);

// That of one of a request's files; 0 where it cannot be read.
uint64_t query_file_columns(struct query_footers *footers, const struct query_file *file);

// 0 when no row of the row group, or of the file, meets all conditions of the scan.
int query_group_may_match(struct oto_parquet_reader *reader, uint32_t group,
                          const struct query_scan *scan);
int query_file_may_match(struct oto_parquet_reader *reader, const struct query_scan *scan);

// --- query_foresee.c: the disk is asked for all that will be read before any of it is waited for

// What tells whether the file has a row for the scan.
void query_foresee_filters(const struct query_opened *file, const struct query_scan *scan);
// What rows of the scan will be looked for in, once the file may have some; and its footer.
void query_foresee_search(const struct query_opened *file, const struct query_scan *scan);
// The columns of a row group that will be copied from.
void query_foresee_columns(int fd, const struct oto_parquet_reader *reader, uint32_t group,
                           const struct oto_schema *schema);

#endif
