// What of a Parquet file tells whether it can hold a row that a query wants: its columns, between
// which values they lie, where their filters and their pages are. Two to four kilobytes a row
// group, where a footer that is read takes a hundred, so that those of many files stay in memory.
#ifndef OTO_APPS_QUERY_FACTS_H
#define OTO_APPS_QUERY_FACTS_H

#include "parquet/parquet_reader.h"
#include "query_plan.h"

enum query_column_kind {
    QUERY_COLUMN_TEXT,
    QUERY_COLUMN_MAP, // facts are about the values, texts
    QUERY_COLUMN_NUMBERS,
    QUERY_COLUMN_OTHER, // no facts
};

// The columns, the same for most files.
struct query_shape {
    uint64_t columns; // query_columns_hash
    int32_t time_id;  // query_time_id
    uint32_t users;   // facts
    uint32_t count;
    struct query_shape_column {
        char *name;
        uint32_t leaf;
        uint8_t kind;
    } * list;
};

// A column in a row group.
struct query_fact {
    uint64_t chunk_offset, bloom_offset;
    uint32_t chunk_bytes, bloom_bytes; // 0: not known, none; numbers have neither
    union {
        struct {
            int64_t min, max; // all that there are, where nothing is told
        };
        struct {
            uint32_t least_at, greatest_at; // in texts
            uint16_t least_size, greatest_size;
            uint8_t has_least, has_greatest;
        };
    };
};

struct query_facts {
    struct query_shape *shape;
    uint32_t group_count;
    uint64_t footer_bytes;
    struct query_fact *list; // group_count times as many as the shape has columns
    struct oto_buffer texts;
};

// NULL: no memory.
struct query_facts *query_facts_make(struct oto_parquet_reader *reader);
void query_facts_free(struct query_facts *facts); // NULL is legal
size_t query_facts_bytes(const struct query_facts *facts);
// Gives facts another's shape in the place of their own, where both are the same.
int query_facts_share(struct query_facts *facts, struct query_shape *shape);

// The same for two files with the same columns of the same kinds.
uint64_t query_columns_hash(const struct oto_parquet_reader *reader);
// The field id of the column of times, by which files are known whose ids are ours; -1 where there
// is none, or some column has no id.
int32_t query_time_id(const struct oto_parquet_reader *reader);

// The first condition that filters tell of, on this column of the shape; NULL: there is none.
const struct query_condition *query_facts_filtered(const struct query_facts *facts,
                                                   const struct query_scan *scan,
                                                   uint32_t *ret_column);
static inline const struct query_fact *query_fact_of(const struct query_facts *facts,
                                                     uint32_t group, uint32_t column)
{
    return &facts->list[(size_t)group * facts->shape->count + column];
}

// Where the block of a filter, of which there is one, lies in the file; hash: of the value.
uint64_t query_fact_block(const struct query_fact *fact, struct oto_bytes value,
                          uint64_t *ret_hash);

// 0 when no row of the row group, or of the file, meets all conditions of the scan. Reads filters.
int query_group_may_match(const struct query_facts *facts, int fd, uint32_t group,
                          const struct query_scan *scan);
int query_file_may_match(const struct query_facts *facts, int fd, const struct query_scan *scan);

#endif
