// What otolith and otolith-query say to each other over a socket pair: frames of a 8-byte header (u32 little-endian size, u8 type, 3 zero bytes) and a payload.
// One request at a time a process. Files in memory are passed as descriptors beside the REQUEST frame.
#ifndef OTO_QUERY_QUERY_PROTOCOL_H
#define OTO_QUERY_QUERY_PROTOCOL_H

#include "base/bytes.h"

enum oto_query_format {
    OTO_QUERY_JSON,    // one array of objects
    OTO_QUERY_NDJSON,  // an object a line
    OTO_QUERY_CSV,     // RFC 4180 with header
    OTO_QUERY_TABLE,   // for people
    OTO_QUERY_ARROW,   // Arrow IPC stream
    OTO_QUERY_PARQUET, // one Parquet file
    OTO_QUERY_FORMAT_COUNT
};
const char *oto_query_format_content_type(enum oto_query_format format);

enum oto_query_frame {
    OTO_QUERY_FRAME_REQUEST = 1, // to the query process
    OTO_QUERY_FRAME_CANCEL = 2,
    OTO_QUERY_FRAME_DATA = 3, // from it: the next bytes of the answer
    OTO_QUERY_FRAME_END = 4,  // the answer is complete: u64 rows
    OTO_QUERY_FRAME_ERROR = 5, // i32 status, u32 line, u32 column, text
    OTO_QUERY_FRAME_READY = 6, // once, after start: sandbox is up
};

#endif
