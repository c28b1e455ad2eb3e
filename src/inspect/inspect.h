// `otolith inspect`: what is in Parquet files and in log segments, for people or as one JSON
// document. Reads only; files may be in use. Blocking; one thread.
#ifndef OTO_INSPECT_INSPECT_H
#define OTO_INSPECT_INSPECT_H

#include "base/bytes.h"

struct oto_inspect_options {
    int json;           // one document instead of text
    int row_groups;     // text: each row group's columns, not only their sum
    int pages;          // every page; their checksums are computed
    int records;        // text: every record of a log segment
    const char *column; // NULL: all; else those of that name and below it ("Events")
};

struct oto_inspection;

// Ownership: returns owned (oto_inspection_free). NULL when out of memory. options are copied.
struct oto_inspection *oto_inspection_new(const struct oto_inspect_options *options);
void oto_inspection_free(struct oto_inspection *inspection);

// Looks at a file, or at all Parquet files and log segments below a folder, in the order of their
// names; path itself may be a link. A file that cannot be read is passed to `failed` and the others
// go on. OTO_NOT_FOUND: no such path, or nothing in the folder. OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status
oto_inspection_add(struct oto_inspection *inspection, const char *path,
                   void (*failed)(void *state, const char *path, const struct oto_error *err),
                   void *state, struct oto_error *err);
// Sums over all files, where there are several. OTO_NO_MEMORY; OTO_NOT_FOUND: no Parquet file had
// the column that was asked for.
OTO_MUST_CHECK enum oto_status oto_inspection_finish(struct oto_inspection *inspection,
                                                     struct oto_error *err);
// The text or document. Ownership: returns view, until the next call.
struct oto_bytes oto_inspection_text(const struct oto_inspection *inspection);

#endif
