// Tables -> OTLP protobuf: the way back of otlp_decode.h. Rows of a batch (of any levels: what the
// decoder filled, or flat, as files are read) become Export*ServiceRequests; nothing that OTLP said
// of a row is lost. Core.
#ifndef OTO_OTLP_OTLP_ENCODE_H
#define OTO_OTLP_OTLP_ENCODE_H

#include "columns/column.h"
#include "telemetry/signal.h"

struct oto_otlp_encoder; // where the columns lie, scratch; one thread's

// NULL when out of memory.
struct oto_otlp_encoder *oto_otlp_encoder_new(const struct oto_allocator *allocator);
void oto_otlp_encoder_free(struct oto_otlp_encoder *encoder);

struct oto_otlp_encode_limits {
    uint32_t rows_max;  // default 8192: of one request
    uint32_t bytes_max; // default 4 MiB: a request ends before it grows past this, but has one row
};
void oto_otlp_encode_limits_default(struct oto_otlp_encode_limits *limits);

// Appends one request with the rows order[first…] (order NULL: the rows themselves) of the batch,
// as many as limits and `count` allow. Rows that follow each other and share resource and scope
// (all their columns equal) are put in one group; points of one metric in one Metric, whatever lies
// between groups starts a new one, so the order of rows is kept. batch: of table's schema; columns
// that hold defaults only may be absent from it. Where the Types column of a map is shorter than
// the map or null beside a map that is not empty (files of other writers), the values are strings.
// OTO_INVALID: texts and types that do not fit each other (err names the column and row);
// OTO_UNSUPPORTED: a time or number that OTLP has no place for (the same, and the value);
// OTO_TOO_LARGE (output.size_max), OTO_NO_MEMORY. output is then cut back to where it was.
// Ownership: borrows.
OTO_MUST_CHECK enum oto_status
oto_otlp_encode(struct oto_otlp_encoder *encoder, enum oto_table table,
                const struct oto_batch *batch, const uint32_t *order, uint32_t first,
                uint32_t count, const struct oto_otlp_encode_limits *limits,
                struct oto_buffer *output, uint32_t *ret_rows, struct oto_error *err);

#endif
