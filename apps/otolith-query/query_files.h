// The Parquet files of requests, looked into without DuckDB: which of them can hold a row that a
// query wants. What tells that is kept from one query to the next, and the files open; one that was
// replaced under its name is told by its number, size and time. The executing thread only.
#ifndef OTO_APPS_QUERY_FILES_H
#define OTO_APPS_QUERY_FILES_H

#include "codec/compress.h"
#include "query_facts.h"
#include "query_process.h"

struct query_known_file;

struct query_known {
    struct oto_codec *codec;
    struct query_known_file **items; // in no order
    uint32_t *index;                 // by hash of the path: an item's number and one; 0: no item
    size_t count;
    size_t capacity; // of items, a power of two; the index has twice as many places
    size_t bytes;    // that they take
    _Atomic size_t open_count;
    uint64_t visits, visits_before; // now, and when deleted files were looked for
    uint64_t looked_ns;             // when that was
    uint64_t full_visit;            // that found no room
};
OTO_MUST_CHECK enum oto_status query_known_init(struct query_known *known);
// A file as a visitor sees it, until it returns.
struct query_opened {
    const struct query_facts *facts;
    uint64_t size_bytes;
    int fd;
};
typedef void (*query_visitor)(void *state, size_t index, const struct query_opened *file);
// Calls `visit` for each file as it is now; NULL where there is none, or it is no Parquet file.
// From several threads at once where many have to be opened; for a file once. Before that,
// `foresee` is called for those that are open, as they were: it may ask the disk for what the visit
// will read.
void query_known_visit(struct query_known *known, const char *const *paths, size_t count,
                       query_visitor foresee, query_visitor visit, void *state);
// Closes the files that were deleted, looking for them once a second; `all`: every file, after a
// while without queries. What is known of them stays.
void query_known_close(struct query_known *known, int all);
// The reader of an open file; to be closed, before codec and *fd go.
struct oto_parquet_reader *query_reader_open(struct oto_codec *codec, int *fd);

// Learns the columns of one of a request's files, unless it cannot be read.
void query_file_look(struct query_known *known, struct query_file *file);

// --- query_foresee.c: the disk is asked for all that will be read before any of it is waited for

// What tells whether the file has a row for the scan.
void query_foresee_filters(const struct query_opened *file, const struct query_scan *scan);
// What rows of the scan will be looked for in, once the file may have some; and its footer.
void query_foresee_search(const struct query_opened *file, const struct query_scan *scan);
// The columns of a row group that will be copied from.
void query_foresee_columns(int fd, const struct oto_parquet_reader *reader, uint32_t group,
                           const struct oto_schema *schema);

#endif
