// Thrift compact protocol: what Parquet's metadata needs. The writer appends to a buffer; the
// reader never runs past its input, counts depth, and refuses sizes larger than what is left.
#ifndef OTO_WIRE_THRIFT_H
#define OTO_WIRE_THRIFT_H

#include "base/bytes.h"

enum oto_thrift_type {
    OTO_THRIFT_STOP = 0,
    OTO_THRIFT_TRUE = 1,
    OTO_THRIFT_FALSE = 2,
    OTO_THRIFT_I8 = 3,
    OTO_THRIFT_I16 = 4,
    OTO_THRIFT_I32 = 5,
    OTO_THRIFT_I64 = 6,
    OTO_THRIFT_DOUBLE = 7,
    OTO_THRIFT_BINARY = 8,
    OTO_THRIFT_LIST = 9,
    OTO_THRIFT_SET = 10,
    OTO_THRIFT_MAP = 11,
    OTO_THRIFT_STRUCT = 12,
};

#define OTO_THRIFT_DEPTH_MAX 64

// Writer: errors are sticky (`status`), so a sequence of calls is checked once at its end.
struct oto_thrift_writer {
    struct oto_buffer *output; // borrowed
    enum oto_status status;
    int depth;
    int16_t last_field[OTO_THRIFT_DEPTH_MAX];
};
void oto_thrift_writer_init(struct oto_thrift_writer *w, struct oto_buffer *output);
// A struct that is the whole message or a list element; end writes its stop byte.
void oto_thrift_struct_begin(struct oto_thrift_writer *w);
void oto_thrift_struct_end(struct oto_thrift_writer *w);
// Fields of the current struct, in any order of ids (short form for ascending ones).
void oto_thrift_field_bool(struct oto_thrift_writer *w, int16_t id, int value);
void oto_thrift_field_i8(struct oto_thrift_writer *w, int16_t id, int8_t value);
void oto_thrift_field_i16(struct oto_thrift_writer *w, int16_t id, int16_t value);
void oto_thrift_field_i32(struct oto_thrift_writer *w, int16_t id, int32_t value);
void oto_thrift_field_i64(struct oto_thrift_writer *w, int16_t id, int64_t value);
void oto_thrift_field_double(struct oto_thrift_writer *w, int16_t id, double value);
void oto_thrift_field_binary(struct oto_thrift_writer *w, int16_t id, struct oto_bytes value);
void oto_thrift_field_text(struct oto_thrift_writer *w, int16_t id, const char *text);
// Opens a struct-typed field; close with oto_thrift_struct_end.
void oto_thrift_field_struct(struct oto_thrift_writer *w, int16_t id);
// Opens a list-typed field; exactly count elements follow, by the element calls below (structs by
// struct_begin/end).
void oto_thrift_field_list(struct oto_thrift_writer *w, int16_t id, enum oto_thrift_type element,
                           size_t count);
void oto_thrift_element_bool(struct oto_thrift_writer *w, int value);
void oto_thrift_element_i32(struct oto_thrift_writer *w, int32_t value);
void oto_thrift_element_i64(struct oto_thrift_writer *w, int64_t value);
void oto_thrift_element_binary(struct oto_thrift_writer *w, struct oto_bytes value);

// Reader: a cursor over one message.
struct oto_thrift_reader {
    const uint8_t *start;
    const uint8_t *cursor;
    const uint8_t *end;
    int depth;
    int16_t last_field[OTO_THRIFT_DEPTH_MAX];
};
void oto_thrift_reader_init(struct oto_thrift_reader *r, struct oto_bytes input);
OTO_MUST_CHECK enum oto_status oto_thrift_enter_struct(struct oto_thrift_reader *r);
// The next field of the current struct; OTO_END at its stop byte (which also leaves the struct).
// OTO_CORRUPT.
OTO_MUST_CHECK enum oto_status oto_thrift_next_field(struct oto_thrift_reader *r, int16_t *ret_id,
                                                     enum oto_thrift_type *ret_type);
// Values: i8/i16/i32/i64 share one call (zigzag varint, i8 raw by type). OTO_CORRUPT.
OTO_MUST_CHECK enum oto_status oto_thrift_read_int(struct oto_thrift_reader *r,
                                                   enum oto_thrift_type type, int64_t *ret_value);
OTO_MUST_CHECK enum oto_status oto_thrift_read_double(struct oto_thrift_reader *r,
                                                      double *ret_value);
OTO_MUST_CHECK enum oto_status oto_thrift_read_binary(struct oto_thrift_reader *r,
                                                      struct oto_bytes *ret_view);
OTO_MUST_CHECK enum oto_status oto_thrift_read_list(struct oto_thrift_reader *r,
                                                    enum oto_thrift_type *ret_element,
                                                    uint32_t *ret_count);
OTO_MUST_CHECK enum oto_status oto_thrift_skip(struct oto_thrift_reader *r,
                                               enum oto_thrift_type type);

#endif
