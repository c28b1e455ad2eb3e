// The parts of inspect.
#ifndef OTO_INSPECT_INSPECT_INTERNAL_H
#define OTO_INSPECT_INSPECT_INTERNAL_H

#include "inspect/inspect.h"
#include "inspect/parquet_text.h"
#include "inspect/segment_scan.h"
#include "inspect/text_table.h"
#include "os/file.h"

#define OTO_INSPECT_PATH_MAX 4096

// A column over row groups or files. Counts are -1 where one of the parts does not say.
struct oto_column_sum {
    char *name; // of a total; else NULL
    uint32_t chunks;
    uint32_t encodings;
    uint32_t codecs; // bit n: codec n
    int64_t values, nulls, distinct;
    int64_t compressed_bytes, uncompressed_bytes;
    int64_t bloom_bytes, bloom_bits;
    int64_t data_pages;
    struct oto_bytes min, max; // of one file
};

struct oto_inspection {
    struct oto_inspect_options options;
    struct oto_buffer output;
    struct oto_json_writer json;
    struct oto_codec *codec;
    struct oto_buffer totals; // struct oto_column_sum
    uint64_t parquet_files, segment_files, file_bytes, rows, records, damages;
    int has_column; // one of the Parquet files has options.column
};

struct oto_inspected {
    const char *name; // as it was given: what is shown
    const char *path; // to open: no link
};

// Text; errors stay in the writer's status, as the JSON writer's do.
void oto_inspect_put(struct oto_inspection *inspection, const char *format, ...) OTO_PRINTF(2, 3);
void oto_inspect_name(struct oto_inspection *inspection, const char *name); // of a JSON value

OTO_MUST_CHECK enum oto_status oto_inspect_parquet(struct oto_inspection *inspection,
                                                   const struct oto_inspected *file,
                                                   struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_inspect_segment(struct oto_inspection *inspection,
                                                   const struct oto_inspected *file,
                                                   struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_inspect_checkpoint(struct oto_inspection *inspection,
                                                      const struct oto_inspected *file,
                                                      struct oto_error *err);
// The table of columns: text.
void oto_inspect_columns(struct oto_inspection *inspection,
                         const struct oto_parquet_metadata *metadata,
                         const struct oto_column_sum *sums, uint64_t total_bytes);
void oto_inspect_totals(struct oto_inspection *inspection);

// A Parquet file on a disk as the reader's source.
struct oto_file_source {
    struct oto_file file;
    struct oto_source source;
};
OTO_MUST_CHECK enum oto_status oto_file_source_open(struct oto_file_source *source,
                                                    const char *path, struct oto_error *err);
void oto_file_source_close(struct oto_file_source *source);

#endif
