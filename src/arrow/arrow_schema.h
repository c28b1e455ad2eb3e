// The Arrow schema of a table, as the encapsulated IPC message that begins an Arrow stream and that
// Parquet files carry, base64-coded, under the key ARROW:schema. Types: strings and ids utf8, times
// timestamp[us, UTC], MAP map<utf8, utf8> with required values, LIST list, STRUCTS list<struct>.
// Fields carry PARQUET:field_id, but in Parquet files, whose own schema has the ids.
#ifndef OTO_ARROW_ARROW_SCHEMA_H
#define OTO_ARROW_ARROW_SCHEMA_H

#include "columns/column.h"

// Appends the message: FFFFFFFF, size, flatbuffer, padded to 8 bytes. The buffer must be empty or
// end at a multiple of 8. OTO_NO_MEMORY, OTO_TOO_LARGE. Arrow format, IPC "Encapsulated message
// format".
OTO_MUST_CHECK enum oto_status oto_arrow_schema_message(const struct oto_schema *schema,
                                                        struct oto_buffer *output);

// Appends the message, without field ids, as base64: the value of Parquet's ARROW:schema key.
// OTO_NO_MEMORY, OTO_TOO_LARGE.
OTO_MUST_CHECK enum oto_status oto_arrow_schema_base64(const struct oto_schema *schema,
                                                       struct oto_buffer *output);

#endif
