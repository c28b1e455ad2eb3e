// The columns and maps of the tables that OTLP fills and is made of again, as numbers.
#ifndef OTO_OTLP_OTLP_COLUMNS_H
#define OTO_OTLP_OTLP_COLUMNS_H

// A table has some of them.
enum oto_otlp_column {
#define OTO_OTLP_COLUMN(id, name) AT_##id,
#include "otlp/otlp_columns.inc"
    AT_COUNT_OF_COLUMNS,
};

enum oto_otlp_sink_name {
    OTO_OTLP_SINK_RESOURCE,
    OTO_OTLP_SINK_SCOPE,
    OTO_OTLP_SINK_RECORD, // log record, span or series
    OTO_OTLP_SINK_METADATA,
    OTO_OTLP_SINK_EVENT,
    OTO_OTLP_SINK_LINK,
    OTO_OTLP_SINK_EXEMPLAR,
    OTO_OTLP_SINK_COUNT,
};

#endif
