#include "inspect/parquet_text.h"
#include "inspect/text_table.h"

#include "base/text.h"
#include "base/utf8.h"

#include <inttypes.h>
#include <stdio.h>

enum { BOOLEAN, INT32, INT64, INT96, FLOAT, DOUBLE, BYTE_ARRAY, FIXED_LEN_BYTE_ARRAY };
enum { LOGICAL_DECIMAL = 5, LOGICAL_DATE = 6, LOGICAL_TIME = 7, LOGICAL_TIMESTAMP = 8 };
enum { LOGICAL_FLOAT16 = 15, CONVERTED_DECIMAL = 5, CONVERTED_DATE = 6, CONVERTED_TIME_MILLIS = 7 };
enum { CONVERTED_TIMESTAMP_MILLIS = 9, CONVERTED_TIMESTAMP_MICROS = 10 };

#define NAME_OF(names, index)                                                                      \
    ((index) >= 0 && (size_t)(index) < sizeof(names) / sizeof *(names) && (names)[index]           \
         ? (names)[index]                                                                          \
         : "UNKNOWN")

const char *oto_parquet_physical_name(int physical)
{
    static const char *const names[] = {"BOOLEAN", "INT32",  "INT64",      "INT96",
                                        "FLOAT",   "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY"};
    return NAME_OF(names, physical);
}

const char *oto_parquet_codec_name(int codec)
{
    static const char *const names[] = {"UNCOMPRESSED", "SNAPPY", "GZIP", "LZO",
                                        "BROTLI",       "LZ4",    "ZSTD", "LZ4_RAW"};
    return NAME_OF(names, codec);
}

const char *oto_parquet_page_name(int type)
{
    static const char *const names[] = {"DATA_PAGE", "INDEX_PAGE", "DICTIONARY_PAGE",
                                        "DATA_PAGE_V2"};
    return NAME_OF(names, type);
}

const char *oto_parquet_repetition_name(int repetition)
{
    static const char *const names[] = {"REQUIRED", "OPTIONAL", "REPEATED"};
    return NAME_OF(names, repetition);
}

const char *oto_parquet_converted_name(int converted)
{
    static const char *const names[] = {"UTF8",
                                        "MAP",
                                        "MAP_KEY_VALUE",
                                        "LIST",
                                        "ENUM",
                                        "DECIMAL",
                                        "DATE",
                                        "TIME_MILLIS",
                                        "TIME_MICROS",
                                        "TIMESTAMP_MILLIS",
                                        "TIMESTAMP_MICROS",
                                        "UINT_8",
                                        "UINT_16",
                                        "UINT_32",
                                        "UINT_64",
                                        "INT_8",
                                        "INT_16",
                                        "INT_32",
                                        "INT_64",
                                        "JSON",
                                        "BSON",
                                        "INTERVAL"};
    return converted < 0 ? NULL : NAME_OF(names, converted);
}

const char *oto_parquet_logical_name(const struct oto_parquet_node *node)
{
    static const char *const names[] = {NULL,      "STRING",  "MAP",      "LIST",      "ENUM",
                                        "DECIMAL", "DATE",    "TIME",     "TIMESTAMP", NULL,
                                        "INTEGER", "UNKNOWN", "JSON",     "BSON",      "UUID",
                                        "FLOAT16", "VARIANT", "GEOMETRY", "GEOGRAPHY"};
    return node->logical <= 0 ? NULL : NAME_OF(names, node->logical);
}

static const char *unit_name(int unit)
{
    return unit == 1 ? "ms" : unit == 2 ? "us" : "ns";
}

static int is_timestamp(const struct oto_parquet_node *node)
{
    return node->logical ? node->logical == LOGICAL_TIMESTAMP
                         : node->converted == CONVERTED_TIMESTAMP_MILLIS ||
                               node->converted == CONVERTED_TIMESTAMP_MICROS;
}

static const char *plain_type(const struct oto_parquet_node *node, char *output)
{
    static const char *const names[] = {"boolean", "int32",  "int64", "int96",
                                        "float",   "double", "binary"};
    if (node->physical < FIXED_LEN_BYTE_ARRAY)
        return names[node->physical];
    (void)snprintf(output, OTO_PARQUET_TEXT_MAX, "fixed[%d]", node->type_length);
    return output;
}

const char *oto_parquet_type_text(const struct oto_parquet_node *node,
                                  char output[OTO_PARQUET_TEXT_MAX])
{
    static const char *const logical[] = {NULL,   "string", "map",  "list",   "enum", NULL,
                                          "date", NULL,     NULL,   NULL,     NULL,   "null",
                                          "json", "bson",   "uuid", "float16"};
    static const char *const converted[] = {"string", "map", "map", "list", "enum", NULL, "date"};
    int is_time = node->logical ? node->logical == LOGICAL_TIME
                                : node->converted == CONVERTED_TIME_MILLIS ||
                                      node->converted == CONVERTED_TIME_MILLIS + 1;
    if (is_timestamp(node) || is_time)
        (void)snprintf(output, OTO_PARQUET_TEXT_MAX, "%s(%s%s)", is_time ? "time" : "timestamp",
                       unit_name(node->time_unit), node->is_utc ? ", UTC" : "");
    else if (node->logical == LOGICAL_DECIMAL || node->converted == CONVERTED_DECIMAL)
        (void)snprintf(output, OTO_PARQUET_TEXT_MAX, "decimal(%d, %d)", node->precision,
                       node->scale);
    else if (node->integer_bits)
        (void)snprintf(output, OTO_PARQUET_TEXT_MAX, "%sint%d", node->is_signed ? "" : "u",
                       node->integer_bits);
    else if (node->logical > 0 && node->logical <= LOGICAL_FLOAT16 && logical[node->logical])
        return logical[node->logical];
    else if (!node->logical && node->converted >= 0 && node->converted <= CONVERTED_DATE &&
             converted[node->converted])
        return converted[node->converted];
    else
        return node->physical < 0 ? "group" : plain_type(node, output);
    return output;
}

// --- values ---

static int64_t integer_of(const struct oto_parquet_node *node, struct oto_bytes value)
{
    if (node->physical == BOOLEAN)
        return value.data[0] != 0;
    if (node->physical == INT64)
        return (int64_t)oto_load64(value.data);
    return node->is_signed ? (int32_t)oto_load32(value.data) : (int64_t)oto_load32(value.data);
}

static double real_of(const struct oto_parquet_node *node, struct oto_bytes value)
{
    float narrow;
    double wide;
    if (node->physical == FLOAT) {
        memcpy(&narrow, value.data, sizeof narrow);
        return (double)narrow;
    }
    memcpy(&wide, value.data, sizeof wide);
    return wide;
}

static int has_size(const struct oto_parquet_node *node, struct oto_bytes value)
{
    static const uint8_t sizes[] = {1, 4, 8, 12, 4, 8};
    return value.data && (node->physical >= BYTE_ARRAY || value.size == sizes[node->physical]);
}

static const char *timestamp_text(const struct oto_parquet_node *node, int64_t value, char *output)
{
    if (node->time_unit == 1 && (value > INT64_MAX / 1000 || value < INT64_MIN / 1000))
        (void)snprintf(output, OTO_TEXT_NUMBER_MAX, "%" PRId64 " ms", value);
    else if (node->time_unit == 3) {
        int rest = (int)(value % 1000);
        oto_text_time(value / 1000 - (rest < 0), output);
        size_t size = strlen(output);
        (void)snprintf(output + size - 1, OTO_TEXT_NUMBER_MAX - size, "%03dZ",
                       rest + (rest < 0 ? 1000 : 0));
    } else
        oto_text_time(node->time_unit == 1 ? value * 1000 : value, output);
    return output;
}

static void date_text(int64_t days, char *output)
{
    enum { DAYS_MAX = 100000000 }; // that microseconds in 64 bits hold
    char text[OTO_TEXT_NUMBER_MAX];
    if (days > DAYS_MAX || days < -DAYS_MAX) {
        (void)snprintf(output, OTO_TEXT_NUMBER_MAX, "%" PRId64 " days", days);
        return;
    }
    oto_text_time(days * 86400000000, text);
    (void)snprintf(output, OTO_TEXT_NUMBER_MAX, "%.*s", (int)strcspn(text, "T"), text);
}

static int is_date(const struct oto_parquet_node *node)
{
    return node->logical == LOGICAL_DATE || (!node->logical && node->converted == CONVERTED_DATE);
}

// Text that reads as it is; 0 for other bytes.
static int is_plain_text(struct oto_bytes value)
{
    for (size_t i = 0; i < value.size; i++)
        if (value.data[i] < 0x20 || value.data[i] == 0x7F)
            return 0;
    return oto_utf8_valid(value.data, value.size);
}

static void bytes_text(struct oto_bytes value, char *output)
{
    enum { SHOWN = 32, HEX_SHOWN = 16 };
    if (is_plain_text(value)) {
        size_t size = value.size;
        if (size > SHOWN)
            size = oto_utf8_valid_prefix(value.data, SHOWN);
        (void)snprintf(output, OTO_PARQUET_TEXT_MAX, "\"%.*s%s\"", (int)size,
                       (const char *)value.data, size < value.size ? "…" : "");
        return;
    }
    char hex[2 * HEX_SHOWN];
    size_t size = value.size < HEX_SHOWN ? value.size : HEX_SHOWN;
    oto_hex_encode(value.data, size, hex);
    (void)snprintf(output, OTO_PARQUET_TEXT_MAX, "0x%.*s%s", (int)(2 * size), hex,
                   size < value.size ? "…" : "");
}

const char *oto_parquet_value_text(const struct oto_parquet_node *node, struct oto_bytes value,
                                   char output[OTO_PARQUET_TEXT_MAX])
{
    if (!has_size(node, value))
        return "-";
    switch (node->physical) {
    case BOOLEAN:
        return value.data[0] ? "true" : "false";
    case INT32:
    case INT64:
        if (is_timestamp(node))
            return timestamp_text(node, integer_of(node, value), output);
        if (is_date(node))
            date_text(integer_of(node, value), output);
        else if (node->physical == INT64 && !node->is_signed)
            output[oto_text_from_u64(oto_load64(value.data), output)] = 0;
        else
            output[oto_text_from_i64(integer_of(node, value), output)] = 0;
        return output;
    case FLOAT:
    case DOUBLE:
        output[oto_text_from_double(real_of(node, value), output)] = 0;
        return output;
    default:
        bytes_text(value, output);
        return output;
    }
}

static void bytes_json(struct oto_bytes value, struct oto_json_writer *w)
{
    struct oto_buffer text;
    if (oto_utf8_valid(value.data, value.size)) {
        oto_json_write_string(w, value);
        return;
    }
    oto_buffer_init(&text, &oto_allocator_heap, SIZE_MAX / 2);
    if (oto_buffer_reserve(&text, 2 + 2 * value.size) < 0) {
        w->status = OTO_NO_MEMORY;
        return;
    }
    memcpy(text.data, "0x", 2);
    oto_hex_encode(value.data, value.size, (char *)text.data + 2);
    oto_json_write_string(w, oto_bytes(text.data, 2 + 2 * value.size));
    oto_buffer_release(&text);
}

void oto_parquet_value_json(const struct oto_parquet_node *node, struct oto_bytes value,
                            struct oto_json_writer *w)
{
    char text[OTO_PARQUET_TEXT_MAX];
    if (!has_size(node, value))
        oto_json_write_null(w);
    else if (node->physical == BOOLEAN)
        oto_json_write_bool(w, value.data[0]);
    else if (node->physical == FLOAT || node->physical == DOUBLE)
        oto_json_write_double(w, real_of(node, value));
    else if (node->physical >= BYTE_ARRAY || node->physical == INT96)
        bytes_json(value, w);
    else if (is_timestamp(node) || is_date(node))
        oto_json_write_text(w, oto_parquet_value_text(node, value, text));
    else if (node->physical == INT64 && !node->is_signed)
        oto_json_write_u64(w, oto_load64(value.data));
    else
        oto_json_write_i64(w, integer_of(node, value));
}

int oto_parquet_value_compare(const struct oto_parquet_node *node, struct oto_bytes a,
                              struct oto_bytes b)
{
    if (!has_size(node, a) || !has_size(node, b))
        return 0;
    if (node->physical == FLOAT || node->physical == DOUBLE) {
        double x = real_of(node, a), y = real_of(node, b);
        return (x > y) - (x < y);
    }
    if (node->physical <= INT64) {
        int64_t x = integer_of(node, a), y = integer_of(node, b);
        if (!node->is_signed && node->physical == INT64)
            return ((uint64_t)x > (uint64_t)y) - ((uint64_t)x < (uint64_t)y);
        return (x > y) - (x < y);
    }
    size_t common = a.size < b.size ? a.size : b.size;
    int order = common ? memcmp(a.data, b.data, common) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

const char *oto_parquet_encodings_text(uint32_t encodings, char output[OTO_PARQUET_TEXT_MAX])
{
    size_t at = 0;
    output[0] = 0;
    for (int i = 0; i < 32 && at < OTO_PARQUET_TEXT_MAX - 1; i++)
        if (encodings >> i & 1) {
            int more = snprintf(output + at, OTO_PARQUET_TEXT_MAX - at, "%s%s", at ? ", " : "",
                                oto_parquet_encoding_name(i));
            at += more > 0 ? (size_t)more : 0;
        }
    return output;
}
