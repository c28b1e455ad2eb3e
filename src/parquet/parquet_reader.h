// Reads Parquet files: their metadata as it stands, and their rows into the columns of a table.
// Files that Otolith wrote, and those that other writers made or rewrote with the same columns
// (pyarrow, DuckDB, ClickHouse, polars, parquet-java): data pages v1 and v2; PLAIN, both dictionary
// encodings, RLE, the three DELTA encodings, BYTE_STREAM_SPLIT; uncompressed, snappy, gzip, zstd,
// LZ4_RAW. Everything of the file is untrusted: sizes are checked before memory is taken, and
// memory stays within one dictionary and one page a column beside the rows asked for. Core: bytes
// come from a source.
#ifndef OTO_PARQUET_PARQUET_READER_H
#define OTO_PARQUET_PARQUET_READER_H

#include "codec/compress.h"
#include "columns/column.h"

// Bytes by position. read fills exactly size bytes at offset (never past size_bytes) or fails.
struct oto_source {
    enum oto_status (*read)(void *state, uint64_t offset, void *output, size_t size,
                            struct oto_error *err);
    void *state;
    uint64_t size_bytes;
};

// A source over bytes in memory, which `bytes` must outlive.
struct oto_source oto_source_of_bytes(const struct oto_bytes *bytes);

// --- metadata ---

// A node of the schema, depth first; the root is nodes[0]. Numbers are those of parquet.thrift.
struct oto_parquet_node {
    struct oto_bytes name;
    int32_t field_id; // -1: none
    int8_t physical;  // -1: a group
    int8_t repetition;
    int16_t converted;   // ConvertedType, -1: none
    int8_t logical;      // field of LogicalType that is set, 0: none
    int8_t time_unit;    // TIME, TIMESTAMP: 1 millis, 2 micros, 3 nanos; else 0
    int8_t is_utc;       // TIME, TIMESTAMP
    int8_t integer_bits; // INTEGER, by logical or converted type; else 0
    int8_t is_signed;    // INTEGER; else 1
    int32_t type_length; // FIXED_LEN_BYTE_ARRAY
    int32_t scale;       // DECIMAL
    int32_t precision;
    uint32_t child_count; // of a group
    uint32_t parent;      // node; the root's is itself
    uint32_t end;         // the first node behind it and all below it
    uint32_t leaf;        // UINT32_MAX: a group
    uint8_t max_definition;
    uint8_t max_repetition;
};

struct oto_parquet_statistics {
    int64_t null_count; // -1: not said; likewise below
    int64_t distinct_count;
    struct oto_bytes min; // PLAIN bytes; data NULL: not said
    struct oto_bytes max;
    int8_t is_min_exact; // -1: not said
    int8_t is_max_exact;
};

// What the footer says of a column chunk. Offsets are in the file; -1 or size 0: none.
struct oto_parquet_chunk_info {
    uint32_t leaf;
    int32_t codec;
    uint32_t encodings; // bit n: Encoding n
    int64_t value_count;
    int64_t uncompressed_bytes;
    int64_t compressed_bytes;
    int64_t dictionary_offset;
    int64_t data_offset;
    int64_t bloom_offset;
    int64_t bloom_bytes; // 0 also where the writer did not say it
    int64_t column_index_offset, offset_index_offset;
    int32_t column_index_bytes, offset_index_bytes;
    int64_t data_page_count; // -1: not said
    struct oto_parquet_statistics statistics;
};

struct oto_parquet_group_info {
    int64_t row_count;
    int64_t uncompressed_bytes;
    const struct oto_parquet_chunk_info *chunks; // by leaf
    uint32_t sorting_count;
    const struct oto_parquet_sorting {
        uint32_t leaf;
        int8_t is_descending;
        int8_t is_nulls_first;
    } * sorting;
};

struct oto_parquet_metadata {
    int32_t version;
    int64_t row_count;
    struct oto_bytes created_by;
    const struct oto_parquet_node *nodes;
    uint32_t node_count;
    const uint32_t *leaves; // nodes
    uint32_t leaf_count;
    const struct oto_parquet_group_info *groups;
    uint32_t group_count;
    uint32_t pair_count; // key-value metadata
    const struct oto_parquet_pair {
        struct oto_bytes key;
        struct oto_bytes value;
    } * pairs;
    uint64_t footer_bytes;   // metadata and the eight bytes behind it
    struct oto_bytes footer; // the metadata as stored: what is text above lies in it
};

struct oto_parquet_reader;

// What our writer's pages may have, and any page can: for who reads files of a person's own choice.
#define OTO_PARQUET_PAGE_BYTES_MAX ((uint64_t)INT32_MAX)

struct oto_parquet_read_options {
    uint64_t page_bytes_max; // a page decompressed; default 256 MiB, which a footer has at most
    int crc;                 // default 1: check page checksums where they are
};
void oto_parquet_read_options_default(struct oto_parquet_read_options *options);

// Reads the footer. source, codec and allocator must outlive the reader. options may be NULL.
// OTO_INVALID (no Parquet file), OTO_CORRUPT (err: offset in the file), OTO_UNSUPPORTED
// (encrypted), OTO_TOO_LARGE, OTO_NO_MEMORY, or what the source answers.
OTO_MUST_CHECK enum oto_status
oto_parquet_open(const struct oto_source *source, const struct oto_parquet_read_options *options,
                 struct oto_codec *codec, const struct oto_allocator *allocator,
                 struct oto_parquet_reader **ret_reader, struct oto_error *err);
void oto_parquet_close(struct oto_parquet_reader *reader); // NULL is legal

// Ownership: returns view, as long as the reader.
const struct oto_parquet_metadata *oto_parquet_metadata_of(const struct oto_parquet_reader *reader);

// The name in parquet.thrift: "RLE_DICTIONARY"; "UNKNOWN".
const char *oto_parquet_encoding_name(int encoding);

// "Events.list.element.Name"; of one that is too long its end.
void oto_parquet_leaf_path(const struct oto_parquet_metadata *metadata, uint32_t leaf, char *output,
                           size_t output_size);

// --- rows ---

// Says which table's rows come: a schema all of whose columns are of level 0
// (oto_schemas_new_flat). Columns are found by name, at any place and depth as the schema has them.
// What the file has beyond that is ignored; a column that the file lacks comes as null where it is
// nullable, else as empty (0, "", no entries). Accepted per column are all forms that give the type
// without loss: any integer width or unsignedness that fits (checked value by value; unsigned
// 64-bit numbers keep their bits, as the tables have them), timestamps in milliseconds,
// microseconds, nanoseconds or INT96, strings from BYTE_ARRAY or FIXED_LEN_BYTE_ARRAY, ids from
// these as hex, or raw where they are not said to be text, required or optional, lists and maps in
// the three-level and legacy forms, maps also as lists of two-field structs, lists of structs also
// as lists side by side ("Events.Name" and so on: ClickHouse's Nested). A null in a column that is
// not nullable comes as empty. Where a time has a NanoOfMicro column in the table and none in the
// file, that gets the nanoseconds past the microsecond (0 where the file has none, null where the
// time is null); else such nanoseconds must be zero (OTO_UNSUPPORTED). OTO_INVALID: a column is of
// another kind (err names it). May be called again: reading starts over. schema must live as long
// as it is selected.
OTO_MUST_CHECK enum oto_status oto_parquet_select(struct oto_parquet_reader *reader,
                                                  const struct oto_schema *schema,
                                                  struct oto_error *err);
// 1 when the file has that top-level column.
int oto_parquet_has_column(const struct oto_parquet_reader *reader, const char *name);

// Appends the next rows, rows_max at most, to a builder of the selected schema; less only at the
// end of a row group, and where lists are so long that memory for more is not sure. OTO_END when
// there are none left. OTO_CORRUPT (err: offset in the file, row group, column), OTO_UNSUPPORTED,
// OTO_TOO_LARGE, OTO_NO_MEMORY; after a failure the builder holds a part of the rows and the reader
// can only be closed or selected again.
OTO_MUST_CHECK enum oto_status oto_parquet_read(struct oto_parquet_reader *reader,
                                                struct oto_builder *builder, uint32_t rows_max,
                                                uint32_t *ret_rows, struct oto_error *err);
// Goes to the first row of a row group, as if those before it had been read.
void oto_parquet_seek_group(struct oto_parquet_reader *reader, uint32_t group);

// --- checks ---

// The bytes of a chunk in the file; group and leaf are those of the metadata. OTO_CORRUPT: it lies
// outside.
OTO_MUST_CHECK enum oto_status oto_parquet_chunk_range(const struct oto_parquet_reader *reader,
                                                       uint32_t group, uint32_t leaf,
                                                       uint64_t *ret_begin, uint64_t *ret_end,
                                                       struct oto_error *err);

struct oto_parquet_page_info {
    uint64_t offset; // of the header
    uint32_t header_bytes;
    int32_t type; // PageType
    int32_t encoding;
    uint32_t compressed_bytes, uncompressed_bytes;
    uint32_t value_count;
    int8_t has_crc;
    int8_t crc_right; // 1 also where there is none
};
// Calls visit for each page of a chunk, in order; pages are read and their checksums computed, but
// not decompressed. A wrong checksum does not end it. visit's negative answers do.
OTO_MUST_CHECK enum oto_status oto_parquet_visit_pages(
    struct oto_parquet_reader *reader, uint32_t group, uint32_t leaf,
    enum oto_status (*visit)(void *state, const struct oto_parquet_page_info *page), void *state,
    struct oto_error *err);

// The chunk's bloom filter: bytes of its bitset and how many bits are set. OTO_END: there is none.
struct oto_parquet_bloom_info {
    uint64_t bitset_bytes;
    uint64_t bits_set;
};
OTO_MUST_CHECK enum oto_status oto_parquet_bloom_info(struct oto_parquet_reader *reader,
                                                      uint32_t group, uint32_t leaf,
                                                      struct oto_parquet_bloom_info *ret_info,
                                                      struct oto_error *err);
// Where the bits of the chunk's filter lie: read where the footer does not tell. OTO_END: there is
// no filter.
OTO_MUST_CHECK enum oto_status oto_parquet_bloom_place(struct oto_parquet_reader *reader,
                                                       uint32_t group, uint32_t leaf,
                                                       uint64_t *ret_offset, uint32_t *ret_bytes,
                                                       struct oto_error *err);
// The block of a filter of so many bytes that tells of a value with that XXH64 (of the plain
// bytes): where it begins among them. A value whose bits it lacks is not in the chunk.
#define OTO_PARQUET_BLOOM_BLOCK_BYTES 32u
uint32_t oto_parquet_bloom_block(uint64_t hash, uint32_t bytes);
int oto_parquet_bloom_has(const uint8_t block[OTO_PARQUET_BLOOM_BLOCK_BYTES], uint64_t hash);

#endif
