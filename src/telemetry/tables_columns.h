// The definitions behind tables.h: the fixed columns of each table, in groups that tables share.
// Constant data: any thread.
#ifndef OTO_TELEMETRY_TABLES_COLUMNS_H
#define OTO_TELEMETRY_TABLES_COLUMNS_H

#include "columns/column.h"
#include "telemetry/signal.h"

struct oto_column_group {
    const struct oto_field *fields;
    uint32_t count;
};

#define OTO_COLUMN_GROUPS_MAX 6

struct oto_table_definition {
    const char *folder;
    const char *name; // of SQL and Iceberg
    enum oto_signal signal;
    uint32_t level_count;
    uint32_t record_level; // where attributes of the record lie: 0, or 1 for the series of metrics
    const char *const *sorted_by;
    uint32_t sorted_by_count;
    const char *time_column;
    struct oto_column_group groups[OTO_COLUMN_GROUPS_MAX];
};

extern const struct oto_table_definition oto_table_definitions[OTO_TABLE_COUNT];

#endif
