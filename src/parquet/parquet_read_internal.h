// What the files that read Parquet share:
//   parquet_reader.c       open, close, and whole rows
//   parquet_read_footer.c  the metadata, from Thrift
//   parquet_read_match.c   a table's columns found in a file's schema: the steps of reading rows
//   parquet_read_page.c    chunks as pages, pages as plain bytes
//   parquet_read_values.c  values of a page, by encoding
//   parquet_read_levels.c  levels and values into columns
//   parquet_pick.c         single rows: which have a value, and they alone
//   parquet_read_check.c   pages and bloom filters, for those who look at files
#ifndef OTO_PARQUET_PARQUET_READ_INTERNAL_H
#define OTO_PARQUET_PARQUET_READ_INTERNAL_H

#include "codec/delta.h"
#include "codec/match_read.h"
#include "codec/rle.h"
#include "parquet/parquet_internal.h"
#include "parquet/parquet_reader.h"

#define OTO_PARQUET_WINDOW 1024u // entries decoded at a time
#define OTO_PARQUET_NONE UINT32_MAX

// --- steps: what a row needs ---

// A node of a builder: a top-level column, its child, its child's child. depth 0: none.
struct oto_parquet_path {
    uint16_t at[3];
    uint8_t depth;
};

// A list (or map) on the way to a leaf.
struct oto_parquet_list {
    struct oto_parquet_path path; // its column
    uint8_t definition;           // level from which on it has an element
    uint8_t is_driver;            // this step writes its offsets; others must agree with them
};

enum oto_parquet_kind {
    OTO_PARQUET_KIND_NONE, // no values wanted, only where the lists begin
    OTO_PARQUET_KIND_INTEGER,
    OTO_PARQUET_KIND_REAL,
    OTO_PARQUET_KIND_BYTES
};

struct oto_parquet_step {
    uint32_t stream; // OTO_PARQUET_NONE: the file lacks the column
    uint32_t leaf;   // of the stream
    struct oto_parquet_path target;
    struct oto_parquet_path rest;     // INT32 that gets nanoseconds past the microsecond
    struct oto_parquet_list lists[2]; // outer first
    uint8_t list_count;
    uint8_t kind;        // enum oto_parquet_kind
    uint8_t is_unsigned; // INT32
    uint8_t time_unit;   // of a TIME: as in oto_parquet_node, INT96 as 3
};

// --- streams: entries of a leaf, row group after row group ---

struct oto_parquet_values {
    uint8_t encoding;
    const uint8_t *at, *end;       // PLAIN, BYTE_STREAM_SPLIT, bytes of the DELTA_ encodings
    uint32_t index;                // of the next value: PLAIN booleans, BYTE_STREAM_SPLIT
    struct oto_rle_reader rle;     // codes, booleans
    struct oto_delta_reader delta; // numbers, lengths of bytes or of suffixes
    struct oto_delta_reader prefixes;
    int32_t length;            // of all values of DELTA_LENGTH_BYTE_ARRAY; -1: they differ
    struct oto_buffer joined;  // bytes made for a window; the last value is the next one's prefix
    size_t last_at, last_size; // in joined
    uint64_t joined_bytes;     // of the page so far
};

// A code of the file's dictionary in the builder's.
struct oto_parquet_code {
    uint32_t generation; // of the read that found it; older: a guess
    uint32_t code;
};

struct oto_parquet_stream {
    uint32_t leaf;
    const struct oto_parquet_node *node;
    uint32_t group;
    const struct oto_parquet_chunk_info *chunk;
    uint64_t offset;      // of the next page
    uint64_t end;         // of the chunk
    int64_t entries_left; // in pages to come
    uint64_t page_offset; // of the present page
    uint32_t page_left;   // entries of it whose levels were not read
    uint8_t kind;         // enum oto_parquet_kind
    uint8_t is_begun;     // values
    uint8_t keeps_page;   // of the dictionary, whose values are not taken out of it
    struct oto_buffer page;
    struct oto_bytes value_bytes; // in page
    struct oto_rle_reader repetition;
    struct oto_rle_reader definition;
    struct oto_parquet_values values;
    struct oto_buffer dictionary_page;
    struct oto_buffer dictionary; // int64_t, double or struct oto_bytes
    uint32_t dictionary_count;
    struct oto_buffer codes; // struct oto_parquet_code; of strings
    uint32_t window_at, window_count;
    uint8_t window_repetition[OTO_PARQUET_WINDOW];
    uint8_t window_definition[OTO_PARQUET_WINDOW];
};

// One window's values on their way from page to column.
struct oto_parquet_window {
    uint32_t levels[OTO_PARQUET_WINDOW];
    uint32_t codes[OTO_PARQUET_WINDOW];
    int32_t narrow[OTO_PARQUET_WINDOW];
    int32_t lengths[OTO_PARQUET_WINDOW];
    int64_t integers[OTO_PARQUET_WINDOW];
    double reals[OTO_PARQUET_WINDOW];
    struct oto_bytes bytes[OTO_PARQUET_WINDOW];
    uint8_t present[OTO_PARQUET_WINDOW];
    uint8_t raw[OTO_PARQUET_WINDOW * 16]; // values as the column has them
};

struct oto_parquet_reader {
    struct oto_source source;
    struct oto_parquet_read_options options;
    struct oto_codec *codec;
    const struct oto_allocator *allocator;
    struct oto_arena arena;   // of the metadata,
    struct oto_buffer footer; // whose texts lie here
    struct oto_parquet_metadata metadata;
    struct oto_buffer packed; // a page as the file has it; also page headers
    struct oto_parquet_window *window;
    struct oto_match_reader *matches; // for pages as our writer makes them
    // The selection.
    const struct oto_schema *schema;
    struct oto_buffer steps; // struct oto_parquet_step
    struct oto_parquet_stream *streams;
    uint32_t stream_count;
    uint32_t step_count;
    uint32_t group;    // the present row group,
    int64_t rows_left; // its rows to come, once
    int is_group_begun;
    uint32_t rows_at_once; // of them
    uint32_t generation;   // counts reads
};

struct oto_parquet_page_header {
    uint64_t offset;
    uint32_t header_bytes;
    int32_t type;
    int32_t encoding;
    uint32_t compressed_bytes, uncompressed_bytes;
    uint32_t value_count;
    uint32_t crc;
    uint32_t repetition_bytes, definition_bytes;      // v2
    int32_t repetition_encoding, definition_encoding; // v1
    int8_t has_crc;
    int8_t is_compressed; // v2
};

// 1 when a page's values are codes of a dictionary.
static inline int oto_parquet_is_dictionary(int32_t encoding)
{
    return encoding == OTO_PARQUET_PLAIN_DICTIONARY || encoding == OTO_PARQUET_RLE_DICTIONARY;
}

// Fills reader->metadata from reader->footer.
OTO_MUST_CHECK enum oto_status oto_parquet_footer_read(struct oto_parquet_reader *reader,
                                                       struct oto_error *err);

// 1: by its type in the file the node is text, not merely bytes that may be.
int oto_parquet_node_says_text(const struct oto_parquet_node *node);

// Steps and streams (their number, their leaves) for reader->schema. OTO_INVALID, OTO_UNSUPPORTED,
// OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_parquet_match(struct oto_parquet_reader *reader,
                                                 struct oto_error *err);

// An error at the stream's present page; says row group and column. Returns status.
enum oto_status oto_parquet_stream_failed(const struct oto_parquet_reader *reader,
                                          const struct oto_parquet_stream *stream,
                                          enum oto_status status, struct oto_error *err,
                                          const char *format, ...) OTO_PRINTF(5, 6);

// The header of the page at stream->offset, which is left alone.
OTO_MUST_CHECK enum oto_status oto_parquet_page_header_read(struct oto_parquet_reader *reader,
                                                            const struct oto_parquet_stream *stream,
                                                            struct oto_parquet_page_header *ret,
                                                            struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_parquet_stream_begin(struct oto_parquet_reader *reader,
                                                        struct oto_parquet_stream *stream,
                                                        uint32_t group, struct oto_error *err);
// The next data page that has entries. OTO_END: the chunk has no more.
OTO_MUST_CHECK enum oto_status oto_parquet_stream_next_page(struct oto_parquet_reader *reader,
                                                            struct oto_parquet_stream *stream,
                                                            struct oto_error *err);
// Between pages of a stream without lists: goes past the pages that have most entries together at
// most, without decoding them.
OTO_MUST_CHECK enum oto_status oto_parquet_stream_skip_pages(struct oto_parquet_reader *reader,
                                                             struct oto_parquet_stream *stream,
                                                             uint32_t most, uint32_t *ret_count,
                                                             struct oto_error *err);
// Passes over the next data pages whose values are codes of the dictionary; ret_count: entries.
OTO_MUST_CHECK enum oto_status oto_parquet_stream_skip_coded(struct oto_parquet_reader *reader,
                                                             struct oto_parquet_stream *stream,
                                                             uint64_t *ret_count,
                                                             struct oto_error *err);
void oto_parquet_stream_init(const struct oto_parquet_reader *reader,
                             struct oto_parquet_stream *stream, unsigned kind);
void oto_parquet_stream_release(struct oto_parquet_stream *stream);

// Passes over codes or levels without unpacking them. OTO_CORRUPT.
OTO_MUST_CHECK enum oto_status oto_parquet_codes_skip(struct oto_rle_reader *r, uint64_t count);

// Entries of the dictionary from dictionary_page. OTO_CORRUPT, OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status
oto_parquet_dictionary_decode(const struct oto_parquet_reader *reader,
                              struct oto_parquet_stream *stream, uint32_t count,
                              struct oto_error *err);
// The next values of the present page, at most a window, into window->integers, reals or bytes by
// the stream's kind. Bytes stay until the next call or page.
OTO_MUST_CHECK enum oto_status oto_parquet_values_read(struct oto_parquet_reader *reader,
                                                       struct oto_parquet_stream *stream,
                                                       uint32_t count, struct oto_error *err);
// The same as codes of the file's dictionary, into window->codes. OTO_END: the page has none.
OTO_MUST_CHECK enum oto_status oto_parquet_codes_read(struct oto_parquet_reader *reader,
                                                      struct oto_parquet_stream *stream,
                                                      uint32_t count, struct oto_error *err);
// Goes past the next values of the present page; codes among them are not looked at.
OTO_MUST_CHECK enum oto_status oto_parquet_values_skip(struct oto_parquet_reader *reader,
                                                       struct oto_parquet_stream *stream,
                                                       uint32_t count, struct oto_error *err);

// Goes past the next rows of a stream. OTO_CORRUPT also when the row group has fewer.
OTO_MUST_CHECK enum oto_status oto_parquet_skip_rows(struct oto_parquet_reader *reader,
                                                     struct oto_parquet_stream *stream,
                                                     uint32_t rows, struct oto_error *err);

// Appends the next rows of a step. OTO_CORRUPT also when the row group has fewer.
OTO_MUST_CHECK enum oto_status oto_parquet_step_read(struct oto_parquet_reader *reader,
                                                     struct oto_builder *builder,
                                                     const struct oto_parquet_step *step,
                                                     uint32_t rows, struct oto_error *err);

#endif
