// The tables: every column of every table is defined once, in tables.c. Readers, writers, SQL views
// and docs/FORMATS.md follow it.
#ifndef OTO_TELEMETRY_TABLES_H
#define OTO_TELEMETRY_TABLES_H

#include "columns/column.h"
#include "telemetry/signal.h"

// A configured promotion: `promote: [acme.tenant]` takes a string attribute of the resource or the
// record (whichever has it; the record first) into a column AcmeTenant.
struct oto_promotion {
    const char *attribute; // borrowed for the life of the schemas
    uint16_t field_id;     // kept with the data folder, from 10000 on
};

struct oto_schemas; // the seven schemas, immutable once made

// NULL with err on a name clash or no memory. Names that differ only in the case of letters clash:
// they are one to SQL.
struct oto_schemas *oto_schemas_new(const struct oto_allocator *allocator,
                                    const struct oto_promotion *promotions, size_t count,
                                    struct oto_error *err);
// Of promotions that came and went: one whose name a table has already is left out of that table,
// so of two that clash the first stays. NULL with err when out of memory.
struct oto_schemas *oto_schemas_new_known(const struct oto_allocator *allocator,
                                          const struct oto_promotion *promotions, size_t count,
                                          struct oto_error *err);
// The same columns, all of level 0: one entry a row in each, as files have them.
struct oto_schemas *oto_schemas_new_flat(const struct oto_allocator *allocator,
                                         const struct oto_promotion *promotions, size_t count,
                                         struct oto_error *err);
void oto_schemas_free(struct oto_schemas *schemas);
const struct oto_schema *oto_schemas_table(const struct oto_schemas *schemas, enum oto_table table);

// "logs", "traces", "metrics/gauge", …: the folder. "otel_logs", "otel_metrics_gauge": the SQL and
// Iceberg name.
const char *oto_table_folder(enum oto_table table);
const char *oto_table_name(enum oto_table table);
enum oto_signal oto_table_signal(enum oto_table table);

// The names of the columns a table's files are sorted by, ascending. Returns how many.
uint32_t oto_table_sorted_by(enum oto_table table, const char *const **ret_names);
// The TIME column that partitions and time ranges go by ("Timestamp"; "TimeUnix" for metrics), as
// an index in the schema.
uint32_t oto_table_time_column(enum oto_table table);

// PascalCase of an attribute key: "http.response.status_code" -> "HttpResponseStatusCode". Returns
// the length, 0 when it does not fit.
size_t oto_column_name_from_attribute(const char *attribute, char *output, size_t output_size);
// The longest such name, its NUL included.
#define OTO_COLUMN_NAME_MAX 128
// SQL knows no case in names of columns, so here there is none either.
int oto_is_same_column_name(const char *a, const char *b);

// --- order of rows in files ---
// Partition (hour of event time, UTC) and sort in one go: writes the rows [first, first + count) of
// batch into order, grouped by partition and sorted in each by the table's sort columns (ties: row
// number). partitions: at most partitions_max come out; when the rows fall into more hours than
// that, the hours with the fewest rows share one overflow partition (hour =
// OTO_PARTITION_OVERFLOW). Partitions come in the order of their hours, the overflow last; of hours
// with equally many rows the later ones go into it. order: count numbers; partitions_max: at
// least 1. Sorting is bytewise, nulls first. OTO_NO_MEMORY.
#define OTO_PARTITION_OVERFLOW INT64_MIN
struct oto_partition {
    int64_t hour;   // hours since 1970-01-01T00Z of the event time
    uint32_t first; // in order[]
    uint32_t count;
    int64_t time_min_us; // event times in it
    int64_t time_max_us;
};
OTO_MUST_CHECK enum oto_status
oto_table_order(enum oto_table table, const struct oto_batch *batch, uint32_t first, uint32_t count,
                const struct oto_allocator *allocator, uint32_t *order,
                struct oto_partition *partitions, uint32_t partitions_max,
                uint32_t *ret_partition_count, struct oto_error *err);

#endif
