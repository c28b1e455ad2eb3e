// What the files of this folder share. A file is written row group by row group, a row group leaf
// by leaf:
//   parquet_schema.c  the table's columns as leaves with levels, and the schema of the footer
//   parquet_cut.c     how many rows a row group has
//   parquet_rows.c    how many rows a page has, and which values of a leaf
//   parquet_levels.c  their levels
//   parquet_survey.c  what a chunk's values are like: the encoding, the dictionary
//   parquet_trials.c  encodings of numbers, tried on some
//   parquet_sort.c    a dictionary's entries in order
//   parquet_digits.c  the texts of a large dictionary, ids among them
//   parquet_extremes.c the least and the greatest of an unsorted dictionary
//   parquet_lists.c   values of lists that many rows share
//   parquet_values.c  values as bytes of a page
//   parquet_ids.c     ids as text
//   parquet_bounds.c  minimum and maximum, statistics, column and offset index
//   parquet_bloom.c   bloom filters
//   parquet_chunk.c   pages put together
//   parquet_footer.c  what stands at the end
//   parquet_writer.c  the whole file
// Everything belongs to one oto_parquet_write and dies with it.
#ifndef OTO_PARQUET_PARQUET_INTERNAL_H
#define OTO_PARQUET_PARQUET_INTERNAL_H

#include "parquet/parquet_writer.h"
#include "wire/thrift.h"

// Parquet's own numbers (parquet.thrift).
enum oto_parquet_physical {
    OTO_PARQUET_BOOLEAN = 0,
    OTO_PARQUET_INT32 = 1,
    OTO_PARQUET_INT64 = 2,
    OTO_PARQUET_INT96 = 3,
    OTO_PARQUET_FLOAT = 4,
    OTO_PARQUET_DOUBLE = 5,
    OTO_PARQUET_BYTE_ARRAY = 6,
    OTO_PARQUET_FIXED_LEN_BYTE_ARRAY = 7
};
enum oto_parquet_repetition {
    OTO_PARQUET_REQUIRED = 0,
    OTO_PARQUET_OPTIONAL = 1,
    OTO_PARQUET_REPEATED = 2
};
enum oto_parquet_encoding {
    OTO_PARQUET_PLAIN = 0,
    OTO_PARQUET_PLAIN_DICTIONARY = 2,
    OTO_PARQUET_RLE = 3,
    OTO_PARQUET_DELTA_BINARY_PACKED = 5,
    OTO_PARQUET_DELTA_LENGTH_BYTE_ARRAY = 6,
    OTO_PARQUET_DELTA_BYTE_ARRAY = 7,
    OTO_PARQUET_RLE_DICTIONARY = 8,
    OTO_PARQUET_BYTE_STREAM_SPLIT = 9
};
enum {
    OTO_PARQUET_CODEC_NONE = 0,
    OTO_PARQUET_CODEC_SNAPPY = 1,
    OTO_PARQUET_CODEC_GZIP = 2,
    OTO_PARQUET_CODEC_ZSTD = 6,
    OTO_PARQUET_CODEC_LZ4_RAW = 7
};
enum { OTO_PARQUET_DATA_PAGE = 0, OTO_PARQUET_DICTIONARY_PAGE = 2, OTO_PARQUET_DATA_PAGE_V2 = 3 };

// --- leaves ---
#define OTO_PARQUET_PATH_MAX 6

struct oto_parquet_leaf {
    const struct oto_field *field;   // of the top-level column
    const struct oto_column *column; // holds the values
    const uint32_t
        *outer; // offsets of the first repeated ancestor, by entry of the level; NULL: none
    const uint32_t *inner; // offsets of the second, by element of the first; NULL: none
    const char *path[OTO_PARQUET_PATH_MAX];
    uint8_t path_count;
    uint8_t level;
    uint8_t type;     // enum oto_type
    uint8_t physical; // enum oto_parquet_physical
    uint8_t nullable;
    uint8_t bloom;
    uint8_t max_definition;
    uint8_t max_repetition;
};

static inline int oto_parquet_leaf_is_text(const struct oto_parquet_leaf *leaf)
{
    return leaf->type == OTO_TYPE_STRING || leaf->type == OTO_TYPE_BINARY;
}
// Raw bytes of an id, 0 for other types.
static inline unsigned oto_parquet_leaf_id_size(const struct oto_parquet_leaf *leaf)
{
    return leaf->type == OTO_TYPE_ID16 ? 16u : leaf->type == OTO_TYPE_ID8 ? 8u : 0u;
}

// Appends the leaves of the batch's columns, depth first. OTO_UNSUPPORTED for lists deeper than
// two, OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_parquet_leaves(const struct oto_batch *batch,
                                                  struct oto_buffer *leaves, struct oto_error *err);
// Field 2 of FileMetaData.
void oto_parquet_schema_write(struct oto_thrift_writer *w, const struct oto_schema *schema);

// --- bounds ---
#define OTO_PARQUET_BOUND_MAX 64

// A minimum or maximum as statistics hold it: PLAIN bytes, perhaps cut.
struct oto_parquet_bound {
    uint8_t data[OTO_PARQUET_BOUND_MAX];
    uint8_t size;
    uint8_t is_exact;
    uint8_t is_set;
};

// Minimum and maximum as values, while they are gathered.
struct oto_parquet_range {
    uint32_t count; // values seen that have an order (no NaN)
    uint32_t nan_count;
    union oto_parquet_value {
        int64_t integer;
        double real;
        struct oto_bytes bytes;
    } min, max;
};

struct oto_parquet_page {
    uint64_t offset;     // of the header, in the file
    uint32_t size_bytes; // header included, compressed
    uint32_t first_row;  // in the row group
    uint32_t null_count;
    uint32_t value_count;
    uint32_t nan_count;
    struct oto_parquet_bound min;
    struct oto_parquet_bound max;
};

// What the footer needs of a written column chunk.
struct oto_parquet_chunk {
    uint64_t offset; // of its first page
    uint64_t data_offset;
    uint64_t uncompressed_bytes; // headers included
    uint64_t compressed_bytes;
    uint32_t entry_count;
    uint32_t null_count;
    uint32_t nan_count;
    uint32_t distinct_count; // 0: not known
    uint32_t page_count;     // data pages,
    uint32_t other_count;    // and those of them that have the other encoding
    uint8_t encoding;
    uint8_t other_encoding;
    uint8_t codec;
    uint8_t has_dictionary;
    uint64_t bloom_at; // in the file; the indexes are in the file's buffers; sizes 0: none
    uint32_t bloom_size;
    uint64_t column_index_at;
    uint32_t column_index_size;
    uint64_t offset_index_at;
    uint32_t offset_index_size;
    struct oto_parquet_bound min;
    struct oto_parquet_bound max;
};

struct oto_parquet_row_group {
    uint64_t offset;
    uint64_t uncompressed_bytes;
    uint64_t compressed_bytes;
    uint32_t row_count;
};

// Takes more values into a range; which kind, follows from the leaf.
void oto_parquet_range_integers(struct oto_parquet_range *range, const int64_t *values,
                                size_t count);
void oto_parquet_range_doubles(struct oto_parquet_range *range, const double *values, size_t count);
void oto_parquet_range_bytes(struct oto_parquet_range *range, struct oto_bytes value);
void oto_parquet_range_merge(struct oto_parquet_range *range, const struct oto_parquet_range *more,
                             const struct oto_parquet_leaf *leaf);
void oto_parquet_range_bounds(const struct oto_parquet_range *range,
                              const struct oto_parquet_leaf *leaf,
                              struct oto_parquet_bound *ret_min, struct oto_parquet_bound *ret_max);
// Cuts a long lower bound; an upper bound is also raised, so that it stays one. Unset where that
// cannot be.
void oto_parquet_bound_text(struct oto_bytes value, int is_utf8, int is_upper,
                            struct oto_parquet_bound *ret);
void oto_parquet_statistics_write(struct oto_thrift_writer *w, int16_t id,
                                  const struct oto_parquet_chunk *chunk,
                                  const struct oto_parquet_leaf *leaf);
// Whether the pages allow a column index (not when one has only NaN, or a bound that cannot be
// written).
int oto_parquet_column_index_possible(const struct oto_parquet_page *pages, size_t count);
void oto_parquet_column_index_write(struct oto_thrift_writer *w,
                                    const struct oto_parquet_page *pages, size_t count,
                                    const struct oto_parquet_leaf *leaf);
void oto_parquet_offset_index_write(struct oto_thrift_writer *w,
                                    const struct oto_parquet_page *pages, size_t count);

// --- a row group's rows ---
struct oto_parquet_group {
    uint32_t first; // row of the file
    uint32_t count;
    uint32_t *indices[OTO_LEVEL_MAX]; // entry of the level by row; NULL until asked for
    uint32_t *used[OTO_LEVEL_MAX];    // levels above 0: the entries that occur, ascending,
    uint32_t *uses[OTO_LEVEL_MAX];    // and how often
    uint32_t used_count[OTO_LEVEL_MAX];
};

// Levels of a page of lists.
struct oto_parquet_level_page {
    uint32_t first_row;
    uint32_t row_count;
    uint32_t entry_count;
    uint32_t value_count;
    size_t at; // in the level pages' bytes
    size_t size;
};

// Those of the leaf written last, for the next ones: keys and values of a map, fields of a list's
// structs.
struct oto_parquet_level_pages {
    const uint32_t *outer; // NULL: none
    const uint32_t *inner;
    unsigned level;
    struct oto_buffer pages; // struct oto_parquet_level_page, ascending
    struct oto_buffer bytes;
};

// Reused from chunk to chunk: growing arrays.
struct oto_parquet_scratch {
    struct oto_buffer positions;  // uint32_t: a page's values as positions in the leaf's column
    struct oto_buffer repetition; // bitmap, or uint32_t where two lists nest
    struct oto_buffer definition;
    struct oto_buffer levels;      // both encoded, where they are not kept
    struct oto_buffer values;      // a page's values, gathered
    struct oto_buffer codes;       // uint32_t: a page's dictionary indices
    struct oto_buffer counts;      // uint32_t by dictionary code: uses, then the file's code
    struct oto_buffer chunk_codes; // uint32_t: codes found while surveying ids and numbers
    struct oto_buffer lists;       // by entry: where its codes stand, packed,
    struct oto_buffer list_words;  // uint64_t: in here
    struct oto_buffer distinct;    // struct oto_parquet_distinct: the chunk's dictionary
    struct oto_buffer sorting;     // as distinct, for the merge
    struct oto_buffer extremes;    // uint32_t: codes of its least and greatest entries
    struct oto_buffer slots;       // hash table
    struct oto_buffer hashes;      // uint64_t: for the bloom filter
    struct oto_buffer raw;         // a page before compression,
    struct oto_buffer ids;         // and ids whose digits follow it (plan.is_random)
    struct oto_buffer dictionary;  // the dictionary page before compression
    struct oto_buffer digits;      // and ids whose digits and lengths end it (plan.digits_size)
    struct oto_buffer packed;      // a page compressed
    struct oto_buffer head;        // part of one
    struct oto_buffer split;       // doubles, tried
    struct oto_buffer pages;       // struct oto_parquet_page
    struct oto_buffer header;      // of one
};
#define OTO_PARQUET_SCRATCH_COUNT (sizeof(struct oto_parquet_scratch) / sizeof(struct oto_buffer))

struct oto_parquet_file {
    const struct oto_batch *batch; // whose row groups are being written
    const struct oto_schema *schema;
    const uint32_t *order;
    const struct oto_parquet_options *options;
    struct oto_codec *codec;
    const struct oto_allocator *allocator;
    const struct oto_sink *sink;
    struct oto_error *err;
    uint64_t offset;          // bytes given to the sink so far
    struct oto_buffer leaves; // struct oto_parquet_leaf
    uint32_t leaf_count;
    struct oto_buffer chunks; // struct oto_parquet_chunk, leaf_count a row group
    struct oto_buffer groups; // struct oto_parquet_row_group
    uint32_t group_count;
    uint32_t unpaged_crc;     // of what no page's checksum covers
    struct oto_buffer blooms; // to be written after the row groups
    struct oto_buffer column_indexes;
    struct oto_buffer offset_indexes;
    struct oto_parquet_scratch scratch;
    struct oto_parquet_group group;
    struct oto_parquet_level_pages level_pages[2]; // of lists, of lists in lists
    int times_repeat;  // the time column looked at last has those of series, again and again
    size_t text_size;  // of the page at hand: what ends scratch.raw, sizes in scratch.codes;
    size_t codes_size; // or codes of four bytes,
    size_t ids_size;   // or digits of ids
};

static inline const struct oto_parquet_leaf *
oto_parquet_file_leaf(const struct oto_parquet_file *file, size_t i)
{
    return (const struct oto_parquet_leaf *)(const void *)file->leaves.data + i;
}

// Room for `count` elements at the start of an emptied buffer; their contents are undefined. NULL:
// no memory.
void *oto_parquet_scratch_take(struct oto_buffer *buffer, size_t count, size_t element_size);

OTO_MUST_CHECK enum oto_status oto_parquet_sink_write(struct oto_parquet_file *file,
                                                      const void *data, size_t size);

// The same for bytes that no page's checksum covers.
OTO_MUST_CHECK enum oto_status oto_parquet_unpaged_write(struct oto_parquet_file *file,
                                                         struct oto_bytes bytes);

// 1 when some row group of `count` rows may have more values than the options allow.
int oto_parquet_may_be_cut(const struct oto_parquet_file *file, uint32_t count);
// How many of the `count` rows from `first` on, one at least, have no more.
uint32_t oto_parquet_cut(const struct oto_parquet_file *file, uint32_t first, uint32_t count);

// Entries of the rows in a level, and (levels above 0) the entries in use: made once a row group.
// OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_parquet_group_level(struct oto_parquet_file *file,
                                                       unsigned level);
void oto_parquet_group_release(struct oto_parquet_file *file);

// --- a chunk ---
// One value of a chunk's dictionary: ordered by key, and for bytes by what follows it.
struct oto_parquet_distinct {
    uint64_t key; // order-preserving: the number, or the first eight bytes
    uint32_t
        position;  // text: code in the column's dictionary; ids and numbers: position in the column
    uint32_t code; // before sorting
};

// Where a page takes its dictionary indices from.
enum oto_parquet_code_source {
    OTO_PARQUET_CODES_BY_TEXT,     // counts[code of the column's dictionary]
    OTO_PARQUET_CODES_BY_ROW_TEXT, // the same, the rows' lists one after the other: no positions
                                   // are made
    OTO_PARQUET_CODES_BY_ROW,  // chunk_codes[position in the column], done already; rows likewise
    OTO_PARQUET_CODES_BY_LIST, // the same, packed: parquet_lists.c
    OTO_PARQUET_CODES_BY_POSITION, // chunk_codes[position in the column]
    OTO_PARQUET_CODES_BY_ORDER,    // chunk_codes[ordinal of the value in the chunk]
    OTO_PARQUET_CODES_BY_NUMBER    // counts[value - number_min]
};

// 1 when a page's dictionary indices come straight from the rows' lists.
static inline int oto_parquet_codes_by_row(unsigned code_source)
{
    return code_source == OTO_PARQUET_CODES_BY_ROW || code_source == OTO_PARQUET_CODES_BY_LIST ||
           code_source == OTO_PARQUET_CODES_BY_ROW_TEXT;
}

struct oto_parquet_plan {
    const struct oto_parquet_leaf *leaf;
    uint32_t value_count; // values of the row group, nulls left out
    uint8_t encoding;
    uint8_t code_source;
    uint8_t is_sorted;       // the dictionary: its codes are ranks
    uint8_t is_tried;        // doubles: a page's encoding is
    uint8_t is_random;       // ids: no repetitions for a compressor to find
    uint8_t digits_size;     // of the dictionary's last entries, which are hex digits; 0: none
    uint32_t digits_first;   // of these
    uint32_t distinct_count; // of the dictionary
    uint32_t plain_distinct; // of texts without one, whose uses are in scratch.counts; 0: not known
    uint64_t dictionary_bytes; // of texts with one: of its page
    int64_t number_min;
};

// What a dictionary entry is: bytes (of an id: raw), or a number.
struct oto_bytes oto_parquet_id_at(const struct oto_parquet_leaf *leaf, uint32_t position);
struct oto_bytes oto_parquet_distinct_bytes(const struct oto_parquet_leaf *leaf,
                                            const struct oto_parquet_distinct *distinct);
// Larger dictionaries stay in order of first appearance: sorting costs too much.
#define OTO_PARQUET_SORTED_MAX 4096
// Sorts scratch.distinct when it is not large; the plan says so then. OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_parquet_distinct_sort(struct oto_parquet_file *file,
                                                         struct oto_parquet_plan *plan);
int64_t oto_parquet_integer_of_key(uint64_t key);
double oto_parquet_double_of_key(uint64_t key);

// Looks at all values of the leaf in the row group and decides. OTO_NO_MEMORY, OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_parquet_survey(struct oto_parquet_file *file,
                                                  const struct oto_parquet_leaf *leaf,
                                                  struct oto_parquet_plan *ret_plan);

// Chooses the encoding of integers by a trial with some of them; uses scratch.raw, values and
// packed. OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_parquet_integers_try(struct oto_parquet_file *file,
                                                        struct oto_parquet_plan *plan);

// Goes through the texts of an unsorted dictionary, in the order of scratch.distinct: moves ids to
// the end of it, and their bytes to scratch.digits; writes the others to scratch.dictionary, with
// the length of the first of the ids behind them; takes keys, and hashes where the leaf has a bloom
// filter. OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_parquet_texts_take(struct oto_parquet_file *file,
                                                      struct oto_parquet_plan *plan);
// Appends texts of a dictionary as its page has them, and takes their hashes unless that is NULL.
OTO_MUST_CHECK enum oto_status oto_parquet_texts_write(const struct oto_parquet_plan *plan,
                                                       uint32_t first, uint32_t end,
                                                       const struct oto_parquet_distinct *distinct,
                                                       struct oto_buffer *output, uint64_t *hashes);
// The same for a dictionary of ids, where it is large: all their bytes go to scratch.digits.
// OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_parquet_ids_take(struct oto_parquet_file *file,
                                                    struct oto_parquet_plan *plan);
// Texts in order: their first eight bytes as a number.
static inline uint64_t oto_parquet_key_of_bytes(struct oto_bytes value)
{
    uint64_t key = 0;
    if (value.size >= 8)
        return __builtin_bswap64(oto_load64(value.data));
    if (value.size)
        memcpy(&key, value.data, value.size);
    return __builtin_bswap64(key);
}

// Codes of the least and the greatest entries of an unsorted dictionary into scratch.extremes.
// OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_parquet_extremes_find(struct oto_parquet_file *file,
                                                         const struct oto_parquet_plan *plan);
// The codes of the least and the greatest of a page's values. seen: a byte for each code, not 0 for
// those that the page has, one at least.
void oto_parquet_extremes_seen(const struct oto_parquet_file *file,
                               const struct oto_parquet_plan *plan, const uint8_t *seen,
                               uint32_t *ret_min, uint32_t *ret_max);

// A page's rows of one leaf.
struct oto_parquet_page_rows {
    uint32_t first_row;
    uint32_t row_count;
    uint32_t entry_count; // values, nulls and empty lists
    uint32_t value_count;
    const uint32_t *positions;
    struct oto_bytes levels; // as a v1 page begins: repetition, then definition
};
// The next page's rows from first_row on: as many as the options' limits allow, at least one.
// OTO_NO_MEMORY, OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_parquet_rows_take(struct oto_parquet_file *file,
                                                     const struct oto_parquet_plan *plan,
                                                     uint32_t first_row,
                                                     struct oto_parquet_page_rows *ret_rows);
// Packs the codes of a level's lists, in scratch.chunk_codes, where that pays: the plan says so
// then. OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_parquet_lists_pack(struct oto_parquet_file *file,
                                                      struct oto_parquet_plan *plan);
// Appends the codes of a page's rows, and tells the least and the greatest. OTO_NO_MEMORY,
// OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_parquet_lists_write(struct oto_parquet_file *file,
                                                       const struct oto_parquet_plan *plan,
                                                       const struct oto_parquet_page_rows *rows,
                                                       struct oto_buffer *output, uint32_t *ret_min,
                                                       uint32_t *ret_max);

// Levels, encoded and with their sizes in front; valid until the next are made. OTO_NO_MEMORY,
// OTO_TOO_LARGE. Bitmaps are for the levels of `count` entries: whole words may be stored, what
// lies past the end must be 0. NULL: no memory.
uint8_t *oto_parquet_level_bits(struct oto_buffer *buffer, uint32_t count);
// All the same; or a bit each, of which so many are 0.
OTO_MUST_CHECK enum oto_status oto_parquet_levels_of_run(struct oto_parquet_file *file,
                                                         uint32_t level, uint32_t count,
                                                         struct oto_bytes *ret_levels);
OTO_MUST_CHECK enum oto_status oto_parquet_levels_of_bits(struct oto_parquet_file *file,
                                                          const uint8_t *bits, uint32_t cleared,
                                                          uint32_t count,
                                                          struct oto_bytes *ret_levels);
// Of lists whose elements are not null: made for the first leaf that has them, then known. rows:
// counted, gets the levels.
OTO_MUST_CHECK enum oto_status oto_parquet_levels_of_lists(struct oto_parquet_file *file,
                                                           const struct oto_parquet_leaf *leaf,
                                                           const uint32_t *indices,
                                                           struct oto_parquet_page_rows *rows);
// The page of exactly these rows, or NULL.
const struct oto_parquet_level_page *oto_parquet_levels_known(const struct oto_parquet_file *file,
                                                              const struct oto_parquet_leaf *leaf,
                                                              uint32_t first_row,
                                                              uint32_t row_count);
// 1 when no entry of the batch has anything in its list.
int oto_parquet_lists_are_empty(const struct oto_parquet_file *file,
                                const struct oto_parquet_leaf *leaf);
// Of lists of nullable elements.
OTO_MUST_CHECK enum oto_status oto_parquet_levels_of_elements(struct oto_parquet_file *file,
                                                              const struct oto_parquet_leaf *leaf,
                                                              const uint32_t *indices,
                                                              struct oto_parquet_page_rows *rows);

// Doubles without a dictionary: whether their pages are to be tried, and a page's encoding, by a
// trial with some of its values; uses scratch.split, values and packed. OTO_NO_MEMORY.
void oto_parquet_doubles_plan(const struct oto_parquet_file *file, struct oto_parquet_plan *plan);
OTO_MUST_CHECK enum oto_status oto_parquet_doubles_try(struct oto_parquet_file *file,
                                                       const struct oto_parquet_page_rows *rows,
                                                       struct oto_parquet_plan *plan);

// Appends a page's values in the plan's encoding and takes them into range. value_first: ordinal of
// its first value. Random ids go to scratch.ids as bytes: their digits belong behind output.
OTO_MUST_CHECK enum oto_status
oto_parquet_values_write(struct oto_parquet_file *file, const struct oto_parquet_plan *plan,
                         const struct oto_parquet_page_rows *rows, uint32_t value_first,
                         struct oto_buffer *output, struct oto_parquet_range *ret_range);
// The same for ids.
OTO_MUST_CHECK enum oto_status oto_parquet_ids_write(struct oto_parquet_file *file,
                                                     const struct oto_parquet_plan *plan,
                                                     const struct oto_parquet_page_rows *rows,
                                                     struct oto_buffer *output,
                                                     struct oto_parquet_range *range);
// Room for XXH64 of a page's values, behind those of the pages before. NULL: none are wanted.
OTO_MUST_CHECK enum oto_status oto_parquet_hashes_reserve(struct oto_parquet_file *file,
                                                          const struct oto_parquet_leaf *leaf,
                                                          uint32_t count, uint64_t **ret_hashes);
#define OTO_PARQUET_HASH_OF_EMPTY 0xEF46DB3751D8E999u // XXH64 of no bytes
// Rows are sorted, so values lie anywhere in memory: those some steps ahead are asked for early.
#define OTO_PARQUET_PREFETCH_STEPS 12
// The same for texts of a dictionary in another order than they lie in: where an entry is, then it.
static inline void oto_parquet_prefetch_text(const struct oto_bytes *entries,
                                             const struct oto_parquet_distinct *distinct,
                                             uint32_t i, uint32_t count)
{
    if (i + 2 * OTO_PARQUET_PREFETCH_STEPS >= count)
        return;
    __builtin_prefetch(&entries[distinct[i + 2 * OTO_PARQUET_PREFETCH_STEPS].position]);
    __builtin_prefetch(entries[distinct[i + OTO_PARQUET_PREFETCH_STEPS].position].data);
}

// Least and greatest text or id of a page, mostly told apart by the first eight bytes. The range's
// count is to be set afterwards.
struct oto_parquet_edges {
    uint64_t min_key;
    uint64_t max_key;
    struct oto_parquet_range *range;
};
static inline struct oto_parquet_edges oto_parquet_edges_begin(struct oto_parquet_range *range)
{
    return (struct oto_parquet_edges){UINT64_MAX, 0, range};
}
static inline void oto_parquet_edges_take(struct oto_parquet_edges *edges, struct oto_bytes value)
{
    uint64_t key = 0;
    if (value.size >= 8)
        key = oto_load64(value.data);
    else if (value.size)
        memcpy(&key, value.data, value.size);
    key = __builtin_bswap64(key);
    if (__builtin_expect(key > edges->min_key && key < edges->max_key, 1))
        return;
    edges->min_key = key < edges->min_key ? key : edges->min_key;
    edges->max_key = key > edges->max_key ? key : edges->max_key;
    oto_parquet_range_bytes(edges->range, value);
}

// Appends the values of the dictionary page, unless it is made (texts_take, ids_take); hashes of
// all go to scratch.hashes when the leaf has a bloom filter.
OTO_MUST_CHECK enum oto_status oto_parquet_dictionary_write(struct oto_parquet_file *file,
                                                            const struct oto_parquet_plan *plan,
                                                            struct oto_buffer *output);

// Writes a leaf's chunk of the current row group to the sink. OTO_NO_MEMORY, OTO_TOO_LARGE, or the
// sink's.
OTO_MUST_CHECK enum oto_status oto_parquet_chunk_write(struct oto_parquet_file *file,
                                                       const struct oto_parquet_leaf *leaf,
                                                       struct oto_parquet_chunk *ret_chunk);

// Appends header and bitset of a split-block bloom filter over hashes (XXH64 of the values).
OTO_MUST_CHECK enum oto_status oto_parquet_bloom_write(const uint64_t *hashes, size_t count,
                                                       struct oto_buffer *output);
// What it does on machines without vectors of eight words: puts hashes into zeroed blocks.
void oto_parquet_bloom_insert_plain(const uint64_t *hashes, size_t count, uint32_t *filter,
                                    uint64_t block_count);

// Bloom filters, indexes and the footer with its magic.
OTO_MUST_CHECK enum oto_status oto_parquet_footer_write(struct oto_parquet_file *file);

#endif
