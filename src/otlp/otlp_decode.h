// OTLP protobuf -> tables, in one pass: no object tree, no allocation an attribute. A malformed
// request leaves no trace.
#ifndef OTO_OTLP_OTLP_DECODE_H
#define OTO_OTLP_OTLP_DECODE_H

#include "columns/column.h"
#include "telemetry/signal.h"
#include "telemetry/tables.h"

struct oto_otlp_decoder; // state that outlives a request: column positions, scratch, memory of
                         // previous slots. One a set of builders.

// The builders (all seven tables of one segment) must outlive the decoder. NULL when out of memory.
struct oto_otlp_decoder *oto_otlp_decoder_new(const struct oto_allocator *allocator,
                                              const struct oto_schemas *schemas,
                                              struct oto_builder *const builders[OTO_TABLE_COUNT]);
void oto_otlp_decoder_free(struct oto_otlp_decoder *decoder);

struct oto_otlp_limits {
    uint32_t depth_max;      // nesting of AnyValue; default 100
    uint32_t attributes_max; // attributes a record, span, point, scope or resource; default 65536:
                             // beyond it the item, or all items below, are rejected. Those of what
                             // an item holds (events, links, exemplars, metadata) are not counted
    uint64_t shared_values_max; // attributes of resources, scopes and metrics, once for each row
                                // that has them; default 2^26, 0: any number. A request with more
                                // is refused: a megabyte of it could take gigabytes
    uint64_t row_bytes_max; // what a request's rows, with the events, attributes and so on in them,
                            // will take in memory until they are in files, reckoned by their
                            // numbers (two bytes of a request may become 130); text not counted.
                            // Default 0: any number. A request with more is refused
};
void oto_otlp_limits_default(struct oto_otlp_limits *limits);

struct oto_otlp_result {
    uint64_t accepted; // log records, spans or data points stored
    uint64_t rejected; // of them refused (partial success)
    uint64_t untimed;  // of those accepted, log records and data points without any time
    uint64_t rows[OTO_TABLE_COUNT];
    uint64_t shared_values; // as limits count them
    uint64_t utf8_repaired; // strings that were not UTF-8
    char message[256]; // why the first was refused, English, no bytes of the request; empty when
                       // none was
};

// Decodes one Export*ServiceRequest and appends its rows. received_ns: the wall clock, for log
// records and points without any time. Rules: unknown fields skipped; repeated singular messages
// merge; last scalar and last oneof member win; a known field with the wrong wire type is
// malformed; packed and unpacked both; trace ids of 0 or 16 and span ids of 0 or 8 bytes (a span
// needs both, not all zero; other lengths reject the item); invalid UTF-8 in any string is repaired
// with U+FFFD (counted in utf8_repaired). Deterministic: replaying the same bytes and received_ns
// gives the same rows.
// OTO_INVALID (err: byte offset in the message and the path
// "resource_logs[0].scope_logs[1].log_records[7].attributes[2]: …"; or that its rows share too many
// values, or would take too much memory), OTO_NO_MEMORY; on failure the builders are as before.
// Ownership: borrows.
OTO_MUST_CHECK enum oto_status
oto_otlp_decode(struct oto_otlp_decoder *decoder, enum oto_signal signal, struct oto_bytes message,
                uint64_t received_ns, const struct oto_otlp_limits *limits,
                struct oto_otlp_result *ret_result, struct oto_error *err);

// Marks and rolls back all builders of a signal together (for a request whose log write failed
// later).
size_t oto_otlp_mark_size(const struct oto_otlp_decoder *decoder, enum oto_signal signal);
void oto_otlp_mark(const struct oto_otlp_decoder *decoder, enum oto_signal signal, uint32_t *mark);
// The mark that the latest oto_otlp_decode took before it appended anything. Ownership: returns
// view, until the next one.
const uint32_t *oto_otlp_decoded_mark(const struct oto_otlp_decoder *decoder);
void oto_otlp_rollback(struct oto_otlp_decoder *decoder, enum oto_signal signal,
                       const uint32_t *mark);

#endif
