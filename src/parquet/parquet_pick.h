// Single rows of Parquet files: which rows of a row group have a value, and those rows into the
// columns of a table without the rest. For queries that want few rows of many. The same rules as
// for parquet_reader.h: everything of the file is untrusted.
#ifndef OTO_PARQUET_PARQUET_PICK_H
#define OTO_PARQUET_PARQUET_PICK_H

#include "parquet/parquet_reader.h"

// A text column that is one of the values; or a map that has one of them under a key.
struct oto_parquet_wish {
    uint32_t leaf;     // the column, or the map's values
    uint32_t key_leaf; // the map's keys; UINT32_MAX: no map
    struct oto_bytes key;
    const struct oto_bytes *values;
    size_t value_count;
};

// Appends the rows of a row group that grant the wish to rows (uint32_t each), ascending. Of a key
// that a map has twice the first counts. OTO_TOO_LARGE: more than rows_max, or the value is
// frequent under other keys. OTO_UNSUPPORTED: no text, or nested deeper, or a row in two pages.
// Otherwise as oto_parquet_read.
OTO_MUST_CHECK enum oto_status oto_parquet_find_rows(struct oto_parquet_reader *reader,
                                                     uint32_t group,
                                                     const struct oto_parquet_wish *wish,
                                                     uint32_t rows_max, struct oto_buffer *rows,
                                                     struct oto_error *err);

// Appends these rows of a row group, ascending and no row twice, to a builder of the selected
// schema, as oto_parquet_read does. The selection's place is lost: seek or select before reading
// on.
OTO_MUST_CHECK enum oto_status oto_parquet_read_picked(struct oto_parquet_reader *reader,
                                                       uint32_t group, const uint32_t *rows,
                                                       uint32_t count, struct oto_builder *builder,
                                                       struct oto_error *err);

#endif
