// Writes Parquet files from rows of a batch, or of many (page v1, zstd, one encoding a
// chunk, page CRC, statistics, column and offset index, bloom filters, sorting_columns,
// ARROW:schema). Core: bytes go to a sink, page by page, so that memory stays
// within the largest chunk. The same rows in the same order give the same bytes.
#ifndef OTO_PARQUET_PARQUET_WRITER_H
#define OTO_PARQUET_PARQUET_WRITER_H

#include "codec/compress.h"
#include "columns/column.h"

// Key of the checksum (CRC-32C, eight hex digits) of all that no page's checksum covers, in the
// order of the file, with these digits as zeros: magic, page headers, bloom filters, indexes,
// metadata.
#define OTO_PARQUET_CHECKSUM_KEY "otolith.checksum"
// Older files': of bloom filters, column indexes, offset indexes and the metadata alone.
#define OTO_PARQUET_OLD_CHECKSUM_KEY "otolith.crc32c"

struct oto_sink {
    enum oto_status (*write)(void *state, const void *data, size_t size, struct oto_error *err);
    void *state;
};

struct oto_parquet_options {
    enum oto_compression compression; // NONE or ZSTD
    int compression_level;            // 0: 1
    uint32_t row_group_rows;          // default 122880, and
    // so many values of each leaf, but at least one row; default 2^26. What rows share counts for
    // each of them, and a reader that takes a row group whole needs some bytes for each.
    uint32_t row_group_values;
    uint32_t page_rows;  // default 20480, and
    uint32_t page_bytes; // default 1 MiB before compression; a sixteenth for integers and ids
    // default 16 MiB: larger dictionaries are used for a chunk of text only where its values are
    // four times larger plain; 0: none of text
    uint32_t dictionary_bytes_max;
    int page_index;         // default 1: column and offset index
    int bloom;              // default 1
    int crc;                // default 1
    const char *created_by; // "otolith version 0.1.0 (build …)"
    // Leaf columns the rows are sorted by, ascending, for sorting_columns; top-level names.
    const char *const *sorted_by;
    uint32_t sorted_by_count;
    const struct oto_parquet_note { // key-value metadata of the file
        const char *key;
        const char *value;
    } * notes;
    uint32_t note_count;
};
void oto_parquet_options_default(struct oto_parquet_options *options);

// What was written, for the catalogue of files and for table formats (Iceberg) later.
struct oto_parquet_result {
    uint64_t file_size_bytes;
    uint64_t row_count;
    uint32_t row_group_count;
};

// Writes the rows order[0..count) of batch (order NULL: 0..count), no row twice, as a whole file.
// codec: this thread's contexts. Scratch memory comes from allocator. count 0 writes a legal file
// without row groups. OTO_NO_MEMORY, OTO_TOO_LARGE, or what the sink answers. Ownership: borrows.
OTO_MUST_CHECK enum oto_status
oto_parquet_write(const struct oto_batch *batch, const uint32_t *order, uint32_t count,
                  const struct oto_parquet_options *options, struct oto_codec *codec,
                  const struct oto_allocator *allocator, const struct oto_sink *sink,
                  struct oto_parquet_result *ret_result, struct oto_error *err);

// The same for more rows than one batch has: each append makes row groups of its own. Memory: that
// of one row group, and some fifty kilobytes for each of those before it. All batches have the
// schema that new is given. options, codec, allocator and sink must outlive the writer.
struct oto_parquet_writer;
// Ownership: returns owned (oto_parquet_writer_free). OTO_NO_MEMORY, OTO_INVALID, or what the sink
// answers.
OTO_MUST_CHECK enum oto_status
oto_parquet_writer_new(const struct oto_schema *schema, const struct oto_parquet_options *options,
                       struct oto_codec *codec, const struct oto_allocator *allocator,
                       const struct oto_sink *sink, struct oto_parquet_writer **ret_writer,
                       struct oto_error *err);
// The rows order[0..count) (order NULL: 0..count). After a failure the writer can only be freed.
OTO_MUST_CHECK enum oto_status oto_parquet_writer_append(struct oto_parquet_writer *writer,
                                                         const struct oto_batch *batch,
                                                         const uint32_t *order, uint32_t count,
                                                         struct oto_error *err);
// Writes the footer; without it the file is none.
OTO_MUST_CHECK enum oto_status oto_parquet_writer_finish(struct oto_parquet_writer *writer,
                                                         struct oto_parquet_result *ret_result,
                                                         struct oto_error *err);
void oto_parquet_writer_free(struct oto_parquet_writer *writer);

#endif
