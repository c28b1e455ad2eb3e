// `otolith convert`: OTLP requests, OTLP/JSON and Parquet tables into each other, from files and
// pipes, without a server. What is read is one of
//   otlp       one request, or a stream of them as the Collector's file exporter writes it: before
//              each message its length, a big-endian u32
//   otlp-json  JSON documents behind each other, one a line most often, or such a stream
//   parquet    a table, of ours or of another writer
// whole files compressed with gzip or zstd, and messages of a stream likewise: told by their magic.
//
// A stream and a request are told apart by their first byte: messages of a stream have less than
// 128 MiB, so it begins with a byte below 8, which no protobuf message can; JSON begins with none
// of them either.
//
// Memory stays that of one message and one row group, however much there is. Blocking; one thread.
#ifndef OTO_CONVERT_CONVERT_H
#define OTO_CONVERT_CONVERT_H

#include "base/bytes.h"
#include "telemetry/signal.h"

enum oto_convert_format {
    OTO_CONVERT_OTLP,
    OTO_CONVERT_OTLP_JSON,
    OTO_CONVERT_PARQUET,
};

enum oto_convert_framing {
    OTO_CONVERT_AUTO, // reading: by the first byte; writing: STREAM
    OTO_CONVERT_STREAM,
    OTO_CONVERT_REQUEST, // one request, or one JSON document
};

#define OTO_CONVERT_SIGNAL_OF_INPUT OTO_SIGNAL_COUNT // JSON and Parquet say what they hold

struct oto_convert_options {
    enum oto_convert_format from;
    enum oto_convert_format to;
    enum oto_signal signal;
    enum oto_convert_framing read_framing;
    enum oto_convert_framing write_framing;
    int zstd;         // compress what is written: each message of a stream by itself
    int skip_refused; // to PARQUET: leave items out that OTLP's rules refuse, and count them; 0:
                      // fail
    // A file, or "-". Parquet: five files may come of metrics: x.parquet gives x.gauge.parquet, …;
    // in a folder they are gauge.parquet, …, or logs.parquet, traces.parquet.
    const char *output;
    // Files, or "-"; reading PARQUET, also folders: all *.parquet below them, in the order of their
    // paths.
    const char *const *inputs;
    size_t input_count;
    const char *created_by; // of Parquet files
    uint64_t received_ns;   // the time of rows that have none
    // Bytes read of all inputs (total 0: not known). May be NULL.
    void (*progress)(void *state, uint64_t done, uint64_t total);
    // Something that a person should know, one line. May be NULL.
    void (*note)(void *state, const char *text);
    void *state;
};

struct oto_convert_result {
    uint64_t messages;      // read; of Parquet: made
    uint64_t rejected;      // items left out
    uint64_t unread;        // JSON documents of which no name is OTLP's
    uint64_t utf8_repaired; // strings that were not UTF-8; only where rows are made
};

// Nothing is left under the output's name on failure. err names file, message and place.
OTO_MUST_CHECK enum oto_status oto_convert(const struct oto_convert_options *options,
                                           struct oto_convert_result *ret_result,
                                           struct oto_error *err);

#endif
