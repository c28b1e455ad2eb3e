// Parquet's numbers and values in words.
#ifndef OTO_INSPECT_PARQUET_TEXT_H
#define OTO_INSPECT_PARQUET_TEXT_H

#include "parquet/parquet_reader.h"
#include "wire/json.h"

#define OTO_PARQUET_TEXT_MAX 160

// The names of parquet.thrift: "BYTE_ARRAY", "ZSTD", "DATA_PAGE", "REQUIRED", "UTF8" (encodings:
// parquet_reader.h). NULL for a converted type of -1.
const char *oto_parquet_physical_name(int physical);
const char *oto_parquet_codec_name(int codec);
const char *oto_parquet_page_name(int type);
const char *oto_parquet_repetition_name(int repetition);
const char *oto_parquet_converted_name(int converted);
// "string", "timestamp(us, UTC)", "int64", "map", "group".
const char *oto_parquet_type_text(const struct oto_parquet_node *node,
                                  char output[OTO_PARQUET_TEXT_MAX]);
// "STRING", "TIMESTAMP"; NULL: none.
const char *oto_parquet_logical_name(const struct oto_parquet_node *node);

// A value as PLAIN has it: for people (cut to size, "-" where there is none), or as JSON (null;
// bytes that are no text as "0x…").
const char *oto_parquet_value_text(const struct oto_parquet_node *node, struct oto_bytes value,
                                   char output[OTO_PARQUET_TEXT_MAX]);
void oto_parquet_value_json(const struct oto_parquet_node *node, struct oto_bytes value,
                            struct oto_json_writer *w);
// Below 0, 0, above 0 as a is below, equal to, above b, in the order of the type's statistics. Of
// equal sizes, or bytes.
int oto_parquet_value_compare(const struct oto_parquet_node *node, struct oto_bytes a,
                              struct oto_bytes b);

// Writes "DELTA_BINARY_PACKED, RLE" for bits of encodings.
const char *oto_parquet_encodings_text(uint32_t encodings, char output[OTO_PARQUET_TEXT_MAX]);

#endif
