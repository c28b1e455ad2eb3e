// The order of rows in files, for any schema; oto_table_order (tables.h) asks it for a table's.
#ifndef OTO_TELEMETRY_ORDER_H
#define OTO_TELEMETRY_ORDER_H

#include "telemetry/tables.h"

#define OTO_ORDER_KEYS_MAX 4

struct oto_order_spec {
    uint32_t time_column;              // TIME of level 0: the hours, and the last sort key
    uint32_t keys[OTO_ORDER_KEYS_MAX]; // STRING columns of any level that sort before it; nulls
                                       // first, then bytewise
    uint32_t key_count;
    uint32_t first; // rows
    uint32_t count;
    uint32_t partitions_max; // at least 1
};

// As oto_table_order. order: spec->count row numbers; partitions: spec->partitions_max.
// OTO_NO_MEMORY, OTO_UNSUPPORTED for a key of another type.
OTO_MUST_CHECK enum oto_status oto_batch_order(const struct oto_batch *batch,
                                               const struct oto_order_spec *spec,
                                               const struct oto_allocator *allocator,
                                               uint32_t *order, struct oto_partition *partitions,
                                               uint32_t *ret_partition_count,
                                               struct oto_error *err);

#endif
