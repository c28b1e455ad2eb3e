// OTLP/JSON and OTLP protobuf, both ways, driven by one table of message descriptors.
// Incoming JSON is rewritten as protobuf in one pass and then takes the one decoder's way
// (otlp_decode.h), so the log, the recovery and the limits know one format. Core: no system call,
// no recursion without a depth count.
#ifndef OTO_OTLP_JSON_H
#define OTO_OTLP_JSON_H

#include "base/bytes.h"
#include "telemetry/signal.h"

struct oto_otlp_json_limits {
    uint32_t depth_max; // nesting of objects and arrays, 512 at most; 0: 420 (all values that
                        // oto_otlp_decode takes)
    int one_signal;     // a document that has resources of another signal too is refused: a server
                        // ignores them as unknown, but a file's must not get lost
    uint64_t *ret_unread_count; // documents of which nothing was read, though they have names; may
                                // be NULL
};

// Appends the protobuf form of one JSON document (Export<Signal>ServiceRequest, or the file
// format's <Signal>Data: they have the same fields) to output. Rules of the OTLP specification:
// lowerCamelCase names, unknown fields ignored at each level (but checked as JSON), hex ids of any
// case, base64 bytes (either alphabet, padded or not), integers as strings or numbers (1.0 and 1e3
// too, exactly), enums as integers or known names, null = default (refused in an array), NaN and
// infinities as strings. A name given twice: the last wins for plain scalars; refused for arrays,
// objects and members of a oneof or optional fields, as are two members of one oneof. A leading
// UTF-8 BOM is refused. Lone surrogates become U+FFFD. Raw control characters and invalid UTF-8 in
// strings are refused. Lengths of large or deep messages may be padded varints, which every
// protobuf reader takes. limits may be NULL. OTO_INVALID with byte offset, line, column and the
// field path in the message
// ("resourceLogs[0].scopeLogs[2].logRecords[17].timeUnixNano: not an integer"); OTO_TOO_LARGE
// (output.size_max, whose last 256 bytes may stay unused), OTO_NO_MEMORY. On failure output is cut
// back to where it was. Ownership: borrows.
OTO_MUST_CHECK enum oto_status oto_otlp_json_to_protobuf(enum oto_signal signal,
                                                         struct oto_bytes json,
                                                         const struct oto_otlp_json_limits *limits,
                                                         struct oto_buffer *output,
                                                         struct oto_error *err);

// The same for JSON lines: documents separated by newlines, blank lines ignored; the requests are
// joined into one (protobuf concatenation of repeated fields). err: line of the whole input.
OTO_MUST_CHECK enum oto_status
oto_otlp_json_lines_to_protobuf(enum oto_signal signal, struct oto_bytes lines,
                                const struct oto_otlp_json_limits *limits,
                                struct oto_buffer *output, struct oto_error *err);

// Appends the OTLP/JSON form of a protobuf request, without spaces or newline: 64-bit integers as
// strings, ids as lower-case hex, bytes as base64, enums as integers, unknown fields dropped,
// default values omitted (as protobuf JSON does) but present optional fields and oneof members
// kept. OTO_INVALID with byte offset for malformed protobuf, strings that are not UTF-8 and more
// than 310 nested messages (what oto_otlp_decode takes of nested values); OTO_TOO_LARGE
// (output.size_max; submessages given in parts at many levels), OTO_NO_MEMORY. On failure output is
// cut back to where it was. Ownership: borrows.
OTO_MUST_CHECK enum oto_status oto_otlp_protobuf_to_json(enum oto_signal signal,
                                                         struct oto_bytes message,
                                                         struct oto_buffer *output,
                                                         struct oto_error *err);

#endif
