// The parts of a conversion: bytes of an input, its messages, rows in builders, outputs. Messages
// between them are OTLP protobuf requests.
#ifndef OTO_CONVERT_CONVERT_INTERNAL_H
#define OTO_CONVERT_CONVERT_INTERNAL_H

#include "codec/decompressor.h"
#include "convert/convert.h"
#include "os/file_list.h"
#include "os/stream.h"
#include "otlp/otlp_decode.h"
#include "otlp/otlp_encode.h"
#include "parquet/parquet_reader.h"
#include "parquet/parquet_writer.h"
#include "telemetry/tables.h"

#define OTO_CONVERT_MESSAGE_MAX ((size_t)0x08000000 - 1) // the first byte of a length is below 8
#define OTO_CONVERT_FORCED_MAX ((size_t)1 << 30)         // where framing is not told by it

// What all parts work with.
struct oto_convert {
    const struct oto_convert_options *options;
    struct oto_convert_result *result;
    enum oto_signal signal; // OTO_CONVERT_SIGNAL_OF_INPUT until an input has told it
    struct oto_codec *codec;
    struct oto_schemas *flat; // of Parquet files that are read
    struct oto_file_list inputs;
    uint64_t done, total; // bytes of inputs
};

void oto_convert_note(const struct oto_convert *c, const char *format, ...) OTO_PRINTF(2, 3);
void oto_convert_advance(struct oto_convert *c, uint64_t bytes);
// What an input says it holds. OTO_INVALID when something else was said before.
OTO_MUST_CHECK enum oto_status oto_convert_signal(struct oto_convert *c, enum oto_signal signal,
                                                  struct oto_error *err);
const char *oto_convert_signal_name(enum oto_signal signal);

// --- bytes (convert_bytes.c): an input, decompressed, through a window ---

struct oto_convert_bytes {
    struct oto_convert *c;
    struct oto_input input;
    struct oto_decompressor *decompressor; // NULL: plain
    struct oto_buffer raw;                 // of a compressed input
    size_t raw_at;
    struct oto_buffer window;
    size_t at;       // what was taken of the window
    uint64_t offset; // of it, in the plain bytes
    size_t size_max; // of the window's content
    int is_raw_at_end, is_at_end;
};

// By an input's first bytes, four of them where it has so many. A skippable frame of zstd begins
// some tools' files.
enum oto_compression oto_convert_bytes_coding(struct oto_bytes first);
// Takes the open input over, also on failure.
OTO_MUST_CHECK enum oto_status oto_convert_bytes_init(struct oto_convert_bytes *b,
                                                      struct oto_convert *c, struct oto_input input,
                                                      size_t size_max, struct oto_error *err);
void oto_convert_bytes_release(struct oto_convert_bytes *b);
// Makes `size` bytes visible, fewer at the end. OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_convert_bytes_want(struct oto_convert_bytes *b, size_t size,
                                                      struct oto_error *err);
static inline struct oto_bytes oto_convert_bytes_view(const struct oto_convert_bytes *b)
{
    return oto_bytes(b->window.data ? b->window.data + b->at : NULL, b->window.size - b->at);
}
static inline void oto_convert_bytes_take(struct oto_convert_bytes *b, size_t size)
{
    b->at += size;
    b->offset += size;
}

// --- messages of OTLP and OTLP/JSON (convert_messages.c) ---

struct oto_convert_messages {
    struct oto_convert *c;
    struct oto_convert_bytes bytes;
    enum oto_convert_format format;
    int is_stream;         // each message has its length before it
    uint64_t index;        // of the next message
    uint32_t line, column; // where it begins, from 1; JSON documents
    size_t taken;          // of the message given last, to be taken with the next
    struct oto_buffer plain;
    struct oto_buffer protobuf;
};

// Takes the open input over, also on failure.
OTO_MUST_CHECK enum oto_status oto_convert_messages_open(struct oto_convert_messages *m,
                                                         struct oto_convert *c,
                                                         struct oto_input input,
                                                         struct oto_error *err);
void oto_convert_messages_close(struct oto_convert_messages *m);
// The next message as protobuf. OTO_END. Ownership: returns view, until the next call.
OTO_MUST_CHECK enum oto_status oto_convert_messages_next(struct oto_convert_messages *m,
                                                         struct oto_bytes *ret_message,
                                                         struct oto_error *err);
// Says in err which message it is about, once it was given: "message 17 at byte 12345".
void oto_convert_messages_locate(const struct oto_convert_messages *m, struct oto_error *err);

// The end of the JSON document that text begins with, and how far it was looked at: depth and
// is_string go on from call to call with more text.
struct oto_convert_json_end {
    size_t at;
    uint32_t depth;
    int is_string, is_escaped;
};
// 1 when the document ends at e->at.
int oto_convert_json_end(struct oto_convert_json_end *e, struct oto_bytes text);

// --- tables of Parquet files as messages (convert_table.c) ---

struct oto_convert_table {
    struct oto_convert *c;
    struct oto_input input;
    struct oto_source source;
    struct oto_parquet_reader *reader;
    enum oto_table table;
    struct oto_arena arena;
    struct oto_builder builder;
    struct oto_batch batch; // of rows that were read; released when row_count is 0
    uint32_t row;           // of it, the next
    uint64_t rows_done, rows_total, bytes_done;
    struct oto_otlp_encoder *encoder;
    struct oto_buffer message;
};

// Takes the open input over, also on failure.
OTO_MUST_CHECK enum oto_status oto_convert_table_open(struct oto_convert_table *t,
                                                      struct oto_convert *c, struct oto_input input,
                                                      struct oto_error *err);
void oto_convert_table_close(struct oto_convert_table *t);
// OTO_END. Ownership: returns view, until the next call.
OTO_MUST_CHECK enum oto_status oto_convert_table_next(struct oto_convert_table *t,
                                                      struct oto_bytes *ret_message,
                                                      struct oto_error *err);

// --- rows (convert_rows.c): builders of all tables that messages are decoded into ---

struct oto_convert_rows {
    struct oto_convert *c;
    struct oto_schemas *schemas;
    struct oto_arena arena;
    struct oto_builder builders[OTO_TABLE_COUNT];
    struct oto_otlp_decoder *decoder;
};

OTO_MUST_CHECK enum oto_status oto_convert_rows_init(struct oto_convert_rows *r,
                                                     struct oto_convert *c, struct oto_error *err);
void oto_convert_rows_release(struct oto_convert_rows *r);
// Forgets all rows.
OTO_MUST_CHECK enum oto_status oto_convert_rows_reset(struct oto_convert_rows *r,
                                                      struct oto_error *err);
// Appends a message's rows, counts what was refused and repaired. OTO_INVALID, also for refused
// items unless the options skip them.
OTO_MUST_CHECK enum oto_status
oto_convert_rows_add(struct oto_convert_rows *r, struct oto_bytes message, struct oto_error *err);
// Whether a message is well-formed, whatever its items are; keeps no rows. OTO_INVALID.
OTO_MUST_CHECK enum oto_status
oto_convert_rows_check(struct oto_convert_rows *r, struct oto_bytes message, struct oto_error *err);
// Whether it is time for a row group.
int oto_convert_rows_are_many(const struct oto_convert_rows *r);

// --- outputs ---

// Messages as OTLP or OTLP/JSON (convert_write.c).
struct oto_convert_writer {
    struct oto_convert *c;
    struct oto_convert_rows check; // of OTLP from elsewhere
    struct oto_output output;
    struct oto_buffer json;
    struct oto_buffer packed;
    int is_begun; // something was written
};
OTO_MUST_CHECK enum oto_status
oto_convert_writer_open(struct oto_convert_writer *w, struct oto_convert *c, struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_convert_writer_put(struct oto_convert_writer *w,
                                                      struct oto_bytes message,
                                                      struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_convert_writer_finish(struct oto_convert_writer *w,
                                                         struct oto_error *err);
// Drops what was not finished.
void oto_convert_writer_close(struct oto_convert_writer *w);

// Rows as Parquet files (convert_files.c).
struct oto_convert_file {
    struct oto_output output;
    struct oto_parquet_options options;
    struct oto_sink sink;
    struct oto_parquet_writer *writer; // NULL: not begun
    char *path;
};
struct oto_convert_files {
    struct oto_convert *c;
    struct oto_convert_rows rows;
    struct oto_convert_file files[OTO_TABLE_COUNT];
};
OTO_MUST_CHECK enum oto_status oto_convert_files_open(struct oto_convert_files *f,
                                                      struct oto_convert *c, struct oto_error *err);
OTO_MUST_CHECK enum oto_status
oto_convert_files_put(struct oto_convert_files *f, struct oto_bytes message, struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_convert_files_finish(struct oto_convert_files *f,
                                                        struct oto_error *err);
void oto_convert_files_close(struct oto_convert_files *f);

#endif
