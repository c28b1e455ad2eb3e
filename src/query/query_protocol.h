// What otolith and otolith-query say to each other over a socket pair: frames of an 8-byte header
// (u32 little-endian size, u8 type, 3 zero bytes) and a payload. One request at a time a process.
// Files in memory are passed as descriptors beside FILES frames, which come right before their
// REQUEST. A CANCEL that comes too late is ignored.
#ifndef OTO_QUERY_QUERY_PROTOCOL_H
#define OTO_QUERY_QUERY_PROTOCOL_H

#include "base/bytes.h"

enum oto_query_format {
    OTO_QUERY_JSON,    // one array of objects
    OTO_QUERY_NDJSON,  // an object a line
    OTO_QUERY_CSV,     // RFC 4180 with header; lines end with LF
    OTO_QUERY_TABLE,   // for people
    OTO_QUERY_ARROW,   // Arrow IPC stream
    OTO_QUERY_PARQUET, // one Parquet file
    OTO_QUERY_FORMAT_COUNT
};
const char *oto_query_format_content_type(enum oto_query_format format);
// "table", "json", "ndjson", "csv", "arrow", "parquet". OTO_INVALID for another name.
OTO_MUST_CHECK enum oto_status oto_query_format_from_name(const char *name,
                                                          enum oto_query_format *ret_format);

enum oto_query_frame {
    OTO_QUERY_FRAME_REQUEST = 1, // to the query process: struct oto_query_request
    OTO_QUERY_FRAME_CANCEL = 2,
    OTO_QUERY_FRAME_DATA = 3,  // from it: the next bytes of the answer
    OTO_QUERY_FRAME_END = 4,   // the answer is complete: u64 rows
    OTO_QUERY_FRAME_ERROR = 5, // i32 status, u32 line, u32 column, text
    OTO_QUERY_FRAME_READY = 6, // once, after start: the sandbox is up; text that describes it
    OTO_QUERY_FRAME_FILES = 7, // to it: descriptors beside it, u32 how many
    OTO_QUERY_FRAME_SCAN = 8,  // from it, before DATA: struct oto_query_scan
};

#define OTO_QUERY_HEADER_SIZE 8
#define OTO_QUERY_DATA_MAX (64u * 1024)           // payload of a DATA frame
#define OTO_QUERY_REQUEST_MAX (64u * 1024 * 1024) // payload of a REQUEST
#define OTO_QUERY_DESCRIPTORS_MAX 200             // beside one FILES frame

void oto_query_header_encode(uint8_t output[OTO_QUERY_HEADER_SIZE], enum oto_query_frame type,
                             uint32_t size);
// OTO_INVALID: not a header.
OTO_MUST_CHECK enum oto_status oto_query_header_decode(const uint8_t input[OTO_QUERY_HEADER_SIZE],
                                                       enum oto_query_frame *ret_type,
                                                       uint32_t *ret_size);

// One file of a snapshot; table: index into oto_query_options.tables.
struct oto_query_file {
    uint32_t table;
    int fd;           // >= 0: a Parquet file in memory
    const char *path; // else a path
    int is_model;     // has no rows, and every column that the table may have
    int by_id;        // of a model: names are of others in some files, told apart by field ids
    int has_times;    // 1: all of its rows lie in
    int64_t time_min_us, time_max_us;
};

// Payload: u32 format, u32 timeout_ms, u64 rows_max, u32 sql size, u32 parameters size, u32 file
// count, the SQL, the parameters, then a file: u32 table, u32 flags (1: model, 2: times, 4: by
// id), u64 least and u64 greatest time, u32 path size, path. A path of no bytes: the next
// descriptor.
struct oto_query_request {
    enum oto_query_format format;
    uint32_t timeout_ms;
    uint64_t rows_max;
    struct oto_bytes sql;
    struct oto_bytes parameters_json;
    uint32_t file_count;
    struct oto_bytes files; // decoded: what oto_query_file_next reads
};
// Appends header and payload; request->files is ignored, files are taken. OTO_TOO_LARGE,
// OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_query_request_encode(struct oto_buffer *output,
                                                        const struct oto_query_request *request,
                                                        const struct oto_query_file *files,
                                                        size_t count);
// Ownership: returns views into payload. OTO_INVALID.
OTO_MUST_CHECK enum oto_status oto_query_request_decode(struct oto_bytes payload,
                                                        struct oto_query_request *ret_request);
// The next file of request->files, which moves on; an empty path: a descriptor (ret_file has
// neither). OTO_END, OTO_INVALID.
OTO_MUST_CHECK enum oto_status oto_query_file_next(struct oto_bytes *files,
                                                   struct oto_query_file *ret_file,
                                                   struct oto_bytes *ret_path);

// What a query reads, known before its first row: files of the tables that it names, those of them
// that may hold a wanted row, and of these the ones whose wanted rows were picked out instead.
struct oto_query_scan {
    uint64_t files, files_read, files_picked, rows_picked;
};
#define OTO_QUERY_SCAN_SIZE 32
void oto_query_scan_encode(uint8_t output[OTO_QUERY_SCAN_SIZE], const struct oto_query_scan *scan);
OTO_MUST_CHECK enum oto_status oto_query_scan_decode(struct oto_bytes payload,
                                                     struct oto_query_scan *ret_scan);

#define OTO_QUERY_ERROR_MAX (12 + OTO_ERROR_MESSAGE_MAX)

// An ERROR frame's payload from err, and back. Takes no memory, which may be what lacks.
struct oto_bytes oto_query_error_encode(uint8_t output[OTO_QUERY_ERROR_MAX],
                                        const struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_query_error_decode(struct oto_bytes payload,
                                                      struct oto_error *ret_err);

#endif
