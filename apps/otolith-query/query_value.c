// Values of DuckDB's vectors as JSON and as bare text. A column's type is taken apart once; a chunk
// only attaches its vectors.
#include "query_process.h"

#include "base/text.h"
#include "base/utf8.h"
#include "wire/json.h"
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define BIGNUM_HEADER_BYTES 3

// --- types ---

static enum oto_status add_children(struct query_column *column, uint32_t count,
                                    struct oto_error *err)
{
    column->children = calloc(count + 1u, sizeof(*column->children));
    if (!column->children)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    column->child_count = count;
    return OTO_OK;
}

static enum oto_status init_child(struct query_column *child, char *name, duckdb_logical_type type,
                                  struct oto_error *err)
{
    enum oto_status status = query_column_init(child, name, type, err);
    duckdb_free(name);
    duckdb_destroy_logical_type(&type);
    return status;
}

static enum oto_status init_enum(struct query_column *column, duckdb_logical_type type,
                                 struct oto_error *err)
{
    column->internal = duckdb_enum_internal_type(type);
    uint32_t count = duckdb_enum_dictionary_size(type);
    column->words = calloc(count + 1u, sizeof(*column->words));
    if (!column->words)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    column->word_count = count;
    for (uint32_t i = 0; i < count; i++)
        column->words[i] = duckdb_enum_dictionary_value(type, i);
    return OTO_OK;
}

static enum oto_status init_struct(struct query_column *column, duckdb_logical_type type,
                                   struct oto_error *err)
{
    OTO_TRY(add_children(column, (uint32_t)duckdb_struct_type_child_count(type), err));
    for (uint32_t i = 0; i < column->child_count; i++)
        OTO_TRY(init_child(&column->children[i], duckdb_struct_type_child_name(type, i),
                           duckdb_struct_type_child_type(type, i), err));
    return OTO_OK;
}

// A union's vector is a struct's: the tag, then the members.
static enum oto_status init_union(struct query_column *column, duckdb_logical_type type,
                                  struct oto_error *err)
{
    OTO_TRY(add_children(column, (uint32_t)duckdb_union_type_member_count(type), err));
    for (uint32_t i = 0; i < column->child_count; i++)
        OTO_TRY(init_child(&column->children[i], duckdb_union_type_member_name(type, i),
                           duckdb_union_type_member_type(type, i), err));
    return OTO_OK;
}

static enum oto_status init_map(struct query_column *column, duckdb_logical_type type,
                                struct oto_error *err)
{
    OTO_TRY(add_children(column, 2, err));
    OTO_TRY(init_child(&column->children[0], NULL, duckdb_map_type_key_type(type), err));
    return init_child(&column->children[1], NULL, duckdb_map_type_value_type(type), err);
}

// Types without parts that are written here. Others, such as VARIANT and what a newer DuckDB adds,
// are refused: of what it cannot write, DuckDB's C interface throws.
static int has_text(duckdb_type type)
{
    static const duckdb_type known[] = {
        DUCKDB_TYPE_BOOLEAN,      DUCKDB_TYPE_TINYINT,      DUCKDB_TYPE_SMALLINT,
        DUCKDB_TYPE_INTEGER,      DUCKDB_TYPE_BIGINT,       DUCKDB_TYPE_UTINYINT,
        DUCKDB_TYPE_USMALLINT,    DUCKDB_TYPE_UINTEGER,     DUCKDB_TYPE_UBIGINT,
        DUCKDB_TYPE_HUGEINT,      DUCKDB_TYPE_UHUGEINT,     DUCKDB_TYPE_BIGNUM,
        DUCKDB_TYPE_FLOAT,        DUCKDB_TYPE_DOUBLE,       DUCKDB_TYPE_DATE,
        DUCKDB_TYPE_TIME,         DUCKDB_TYPE_TIME_NS,      DUCKDB_TYPE_TIME_TZ,
        DUCKDB_TYPE_TIMESTAMP,    DUCKDB_TYPE_TIMESTAMP_S,  DUCKDB_TYPE_TIMESTAMP_MS,
        DUCKDB_TYPE_TIMESTAMP_NS, DUCKDB_TYPE_TIMESTAMP_TZ, DUCKDB_TYPE_INTERVAL,
        DUCKDB_TYPE_VARCHAR,      DUCKDB_TYPE_BLOB,         DUCKDB_TYPE_BIT,
        DUCKDB_TYPE_UUID,         DUCKDB_TYPE_SQLNULL};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (known[i] == type)
            return 1;
    return 0;
}

static enum oto_status init_nested(struct query_column *column, duckdb_logical_type type,
                                   struct oto_error *err)
{
    switch (column->type) {
    case DUCKDB_TYPE_STRUCT:
        return init_struct(column, type, err);
    case DUCKDB_TYPE_UNION:
        return init_union(column, type, err);
    case DUCKDB_TYPE_MAP:
        return init_map(column, type, err);
    case DUCKDB_TYPE_LIST:
        OTO_TRY(add_children(column, 1, err));
        return init_child(&column->children[0], NULL, duckdb_list_type_child_type(type), err);
    case DUCKDB_TYPE_ARRAY:
        column->array_size = (uint32_t)duckdb_array_type_array_size(type);
        OTO_TRY(add_children(column, 1, err));
        return init_child(&column->children[0], NULL, duckdb_array_type_child_type(type), err);
    case DUCKDB_TYPE_ENUM:
        return init_enum(column, type, err);
    case DUCKDB_TYPE_DECIMAL:
        column->internal = duckdb_decimal_internal_type(type);
        column->scale = duckdb_decimal_scale(type);
        return OTO_OK;
    default:
        if (has_text(column->type))
            return OTO_OK;
        return oto_error_set(err, OTO_UNSUPPORTED,
                             "a column has a type without a text form: cast it to VARCHAR");
    }
}

enum oto_status query_column_init(struct query_column *column, const char *name,
                                  duckdb_logical_type type, struct oto_error *err)
{
    *column = (struct query_column){.type = duckdb_get_type_id(type)};
    if (name && !(column->name = strdup(name)))
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    return init_nested(column, type, err);
}

void query_column_release(struct query_column *column)
{
    for (uint32_t i = 0; i < column->child_count; i++)
        query_column_release(&column->children[i]);
    for (uint32_t i = 0; i < column->word_count; i++)
        duckdb_free(column->words[i]);
    free(column->children);
    free(column->words);
    free(column->name);
    *column = (struct query_column){.type = DUCKDB_TYPE_INVALID};
}

void query_column_attach(struct query_column *column, duckdb_vector vector)
{
    column->vector = vector;
    column->data = duckdb_vector_get_data(vector);
    column->validity = duckdb_vector_get_validity(vector);
    duckdb_vector inner;
    switch (column->type) {
    case DUCKDB_TYPE_STRUCT:
        for (uint32_t i = 0; i < column->child_count; i++)
            query_column_attach(&column->children[i], duckdb_struct_vector_get_child(vector, i));
        break;
    case DUCKDB_TYPE_UNION:
        column->data = duckdb_vector_get_data(duckdb_struct_vector_get_child(vector, 0));
        for (uint32_t i = 0; i < column->child_count; i++)
            query_column_attach(&column->children[i],
                                duckdb_struct_vector_get_child(vector, i + 1));
        break;
    case DUCKDB_TYPE_LIST:
        query_column_attach(&column->children[0], duckdb_list_vector_get_child(vector));
        break;
    case DUCKDB_TYPE_ARRAY:
        query_column_attach(&column->children[0], duckdb_array_vector_get_child(vector));
        break;
    case DUCKDB_TYPE_MAP: // a list of structs of key and value
        inner = duckdb_list_vector_get_child(vector);
        query_column_attach(&column->children[0], duckdb_struct_vector_get_child(inner, 0));
        query_column_attach(&column->children[1], duckdb_struct_vector_get_child(inner, 1));
        break;
    default:
        break;
    }
}

// --- numbers ---

static enum oto_status append_i64(struct oto_buffer *output, int64_t value)
{
    OTO_TRY(oto_buffer_reserve(output, OTO_TEXT_I64_MAX));
    output->size += oto_text_from_i64(value, (char *)output->data + output->size);
    return OTO_OK;
}

static enum oto_status append_u64(struct oto_buffer *output, uint64_t value)
{
    OTO_TRY(oto_buffer_reserve(output, OTO_TEXT_I64_MAX));
    output->size += oto_text_from_u64(value, (char *)output->data + output->size);
    return OTO_OK;
}

// JSON has no NaN and no infinities.
static enum oto_status append_double(struct oto_buffer *output, double value, int json)
{
    if (json && !isfinite(value))
        return oto_buffer_append(output, "null", 4);
    OTO_TRY(oto_buffer_reserve(output, OTO_TEXT_DOUBLE_MAX));
    output->size += oto_text_from_double(value, (char *)output->data + output->size);
    return OTO_OK;
}

// The shortest text that reads back as the same float: 0.1, not 0.10000000149011612.
static enum oto_status append_float(struct oto_buffer *output, float value, int json)
{
    char text[32];
    if (!isfinite(value))
        return append_double(output, (double)value, json);
    for (int digits = 6; digits <= 9; digits++) {
        (void)snprintf(text, sizeof(text), "%.*g", digits, (double)value);
        if (strtof(text, NULL) == value)
            break;
    }
    return oto_buffer_append(output, text, strlen(text));
}

// A 128-bit number with a point before the last `scale` digits.
static enum oto_status append_scaled(struct oto_buffer *output, __int128 value, unsigned scale)
{
    char digits[64];
    size_t at = sizeof(digits);
    unsigned __int128 rest = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    for (unsigned count = 0; rest || count <= scale; count++) {
        if (count && count == scale)
            digits[--at] = '.';
        digits[--at] = (char)('0' + (int)(rest % 10));
        rest /= 10;
    }
    if (value < 0)
        digits[--at] = '-';
    return oto_buffer_append(output, digits + at, sizeof(digits) - at);
}

static enum oto_status append_unsigned_huge(struct oto_buffer *output, duckdb_uhugeint value)
{
    unsigned __int128 rest = ((unsigned __int128)value.upper << 64) | value.lower;
    char digits[64];
    size_t at = sizeof(digits);
    do
        digits[--at] = (char)('0' + (int)(rest % 10));
    while (rest /= 10);
    return oto_buffer_append(output, digits + at, sizeof(digits) - at);
}

static __int128 from_huge(duckdb_hugeint value)
{
    return (__int128)(((unsigned __int128)(uint64_t)value.upper << 64) | value.lower);
}

static enum oto_status append_decimal(const struct query_column *column, idx_t row,
                                      struct oto_buffer *output)
{
    switch (column->internal) {
    case DUCKDB_TYPE_SMALLINT:
        return append_scaled(output, ((const int16_t *)column->data)[row], column->scale);
    case DUCKDB_TYPE_INTEGER:
        return append_scaled(output, ((const int32_t *)column->data)[row], column->scale);
    case DUCKDB_TYPE_BIGINT:
        return append_scaled(output, ((const int64_t *)column->data)[row], column->scale);
    default:
        return append_scaled(output, from_huge(((const duckdb_hugeint *)column->data)[row]),
                             column->scale);
    }
}

static struct oto_bytes string_at(const struct query_column *c, idx_t row)
{
    duckdb_string_t *strings = (duckdb_string_t *)(uintptr_t)c->data;
    return oto_bytes(duckdb_string_t_data(&strings[row]), duckdb_string_t_length(strings[row]));
}

// Rare types: DuckDB's own text. Takes the value.
static enum oto_status append_value(struct oto_buffer *output, duckdb_value value)
{
    char *text = duckdb_get_varchar(value);
    enum oto_status status = text ? oto_buffer_append(output, text, strlen(text)) : OTO_NO_MEMORY;
    duckdb_free(text);
    duckdb_destroy_value(&value);
    return status;
}

// Of any size: three bytes of its sign and length, then the digits to the base of 256, the highest
// first; all bits are turned over when it is negative.
static enum oto_status append_bignum(struct oto_buffer *output, struct oto_bytes stored)
{
    if (stored.size < BIGNUM_HEADER_BYTES + 1)
        return OTO_INTERNAL;
    uint8_t turned = stored.data[0] & 0x80 ? 0 : 0xff;
    size_t size = stored.size - BIGNUM_HEADER_BYTES;
    uint8_t *digits = malloc(size);
    if (!digits)
        return OTO_NO_MEMORY;
    for (size_t i = 0; i < size; i++)
        digits[i] = stored.data[BIGNUM_HEADER_BYTES + i] ^ turned;
    duckdb_value value = duckdb_create_bignum((duckdb_bignum){digits, size, turned != 0});
    free(digits);
    return append_value(output, value);
}

// 1 when the type is a number; *ret_status then tells how it went.
static int append_number(const struct query_column *c, idx_t row, struct oto_buffer *output,
                         int json, enum oto_status *ret_status)
{
    enum oto_status status;
    // clang-format off: a type a line
    switch (c->type) {
    case DUCKDB_TYPE_TINYINT:
        status = append_i64(output, ((const int8_t *)c->data)[row]);
        break;
    case DUCKDB_TYPE_SMALLINT:
        status = append_i64(output, ((const int16_t *)c->data)[row]);
        break;
    case DUCKDB_TYPE_INTEGER:
        status = append_i64(output, ((const int32_t *)c->data)[row]);
        break;
    case DUCKDB_TYPE_BIGINT:
        status = append_i64(output, ((const int64_t *)c->data)[row]);
        break;
    case DUCKDB_TYPE_UTINYINT:
        status = append_u64(output, ((const uint8_t *)c->data)[row]);
        break;
    case DUCKDB_TYPE_USMALLINT:
        status = append_u64(output, ((const uint16_t *)c->data)[row]);
        break;
    case DUCKDB_TYPE_UINTEGER:
        status = append_u64(output, ((const uint32_t *)c->data)[row]);
        break;
    case DUCKDB_TYPE_UBIGINT:
        status = append_u64(output, ((const uint64_t *)c->data)[row]);
        break;
    case DUCKDB_TYPE_HUGEINT:
        status = append_scaled(output, from_huge(((const duckdb_hugeint *)c->data)[row]), 0);
        break;
    case DUCKDB_TYPE_UHUGEINT:
        status = append_unsigned_huge(output, ((const duckdb_uhugeint *)c->data)[row]);
        break;
    case DUCKDB_TYPE_BIGNUM:
        status = append_bignum(output, string_at(c, row));
        break;
    case DUCKDB_TYPE_DECIMAL:
        status = append_decimal(c, row, output);
        break;
    case DUCKDB_TYPE_FLOAT:
        status = append_float(output, ((const float *)c->data)[row], json);
        break;
    case DUCKDB_TYPE_DOUBLE:
        status = append_double(output, ((const double *)c->data)[row], json);
        break;
    default:
        return 0;
    }
    // clang-format on
    *ret_status = status;
    return 1;
}

// --- times ---

// "2026-11-21T16:07:48" and a fraction of so many digits.
static enum oto_status append_time(struct oto_buffer *output, int64_t count, int64_t per_second,
                                   int digits, const char *zone)
{
    if (count == INT64_MAX || count == -INT64_MAX)
        return oto_buffer_append_format(output, "%s", count > 0 ? "infinity" : "-infinity");
    int64_t seconds = count / per_second, rest = count % per_second;
    if (rest < 0) {
        rest += per_second;
        seconds--;
    }
    int64_t days = seconds / 86400, second = seconds % 86400;
    if (second < 0) {
        second += 86400;
        days--;
    }
    duckdb_date_struct date = duckdb_from_date((duckdb_date){(int32_t)days});
    OTO_TRY(oto_buffer_append_format(output, "%04d-%02d-%02dT%02d:%02d:%02d", date.year, date.month,
                                     date.day, (int)(second / 3600), (int)(second / 60 % 60),
                                     (int)(second % 60)));
    if (digits)
        OTO_TRY(oto_buffer_append_format(output, ".%0*lld", digits, (long long)rest));
    return oto_buffer_append(output, zone, strlen(zone));
}

static enum oto_status append_date(struct oto_buffer *output, int32_t days)
{
    if (days == INT32_MAX || days == -INT32_MAX)
        return oto_buffer_append_format(output, "%s", days > 0 ? "infinity" : "-infinity");
    duckdb_date_struct date = duckdb_from_date((duckdb_date){days});
    return oto_buffer_append_format(output, "%04d-%02d-%02d", date.year, date.month, date.day);
}

static duckdb_value rare_value(const struct query_column *c, idx_t row)
{
    duckdb_string_t *strings = (duckdb_string_t *)(uintptr_t)c->data;
    duckdb_uhugeint uuid;
    switch (c->type) {
    case DUCKDB_TYPE_TIME:
        return duckdb_create_time(((const duckdb_time *)c->data)[row]);
    case DUCKDB_TYPE_TIME_NS:
        return duckdb_create_time_ns(((const duckdb_time_ns *)c->data)[row]);
    case DUCKDB_TYPE_TIME_TZ:
        return duckdb_create_time_tz_value(((const duckdb_time_tz *)c->data)[row]);
    case DUCKDB_TYPE_INTERVAL:
        return duckdb_create_interval(((const duckdb_interval *)c->data)[row]);
    case DUCKDB_TYPE_UUID: // stored with its first bit turned over, for sorting
        uuid = ((const duckdb_uhugeint *)c->data)[row];
        uuid.upper ^= 1ull << 63;
        return duckdb_create_uuid(uuid);
    case DUCKDB_TYPE_BIT:
        return duckdb_create_bit(
            (duckdb_bit){(uint8_t *)(uintptr_t)duckdb_string_t_data(&strings[row]),
                         duckdb_string_t_length(strings[row])});
    default:
        return duckdb_create_null_value();
    }
}

static enum oto_status append_blob(struct oto_buffer *output, struct oto_bytes bytes)
{
    OTO_TRY(oto_buffer_reserve(output, oto_base64_size(bytes.size)));
    output->size += oto_base64_encode(bytes.data, bytes.size, (char *)output->data + output->size);
    return OTO_OK;
}

static const char *word_at(const struct query_column *c, idx_t row)
{
    uint32_t index = c->internal == DUCKDB_TYPE_UTINYINT    ? ((const uint8_t *)c->data)[row]
                     : c->internal == DUCKDB_TYPE_USMALLINT ? ((const uint16_t *)c->data)[row]
                                                            : ((const uint32_t *)c->data)[row];
    return index < c->word_count ? c->words[index] : "";
}

// What stands between quotes in JSON and needs no escapes.
static enum oto_status append_plain(const struct query_column *c, idx_t row,
                                    struct oto_buffer *output)
{
    switch (c->type) {
    case DUCKDB_TYPE_TIMESTAMP_TZ:
        return append_time(output, ((const int64_t *)c->data)[row], 1000000, 6, "Z");
    case DUCKDB_TYPE_TIMESTAMP:
        return append_time(output, ((const int64_t *)c->data)[row], 1000000, 6, "");
    case DUCKDB_TYPE_TIMESTAMP_NS:
        return append_time(output, ((const int64_t *)c->data)[row], 1000000000, 9, "");
    case DUCKDB_TYPE_TIMESTAMP_MS:
        return append_time(output, ((const int64_t *)c->data)[row], 1000, 3, "");
    case DUCKDB_TYPE_TIMESTAMP_S:
        return append_time(output, ((const int64_t *)c->data)[row], 1, 0, "");
    case DUCKDB_TYPE_DATE:
        return append_date(output, ((const int32_t *)c->data)[row]);
    case DUCKDB_TYPE_BLOB:
        return append_blob(output, string_at(c, row));
    default:
        return append_value(output, rare_value(c, row));
    }
}

// --- nested ---

static enum oto_status append_literal(struct oto_buffer *output, const char *text)
{
    return oto_buffer_append(output, text, strlen(text));
}

static enum oto_status append_list(const struct query_column *child, idx_t first, idx_t count,
                                   struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_byte(output, '['));
    for (idx_t i = 0; i < count; i++) {
        if (i)
            OTO_TRY(oto_buffer_append_byte(output, ','));
        OTO_TRY(query_value_json(child, first + i, output));
    }
    return oto_buffer_append_byte(output, ']');
}

// One whose fields have no names, as row(1, 2) makes it, is an array.
static enum oto_status append_struct(const struct query_column *c, idx_t row,
                                     struct oto_buffer *output)
{
    int is_named = c->children[0].name && c->children[0].name[0];
    OTO_TRY(oto_buffer_append_byte(output, is_named ? '{' : '['));
    for (uint32_t i = 0; i < c->child_count; i++) {
        if (i)
            OTO_TRY(oto_buffer_append_byte(output, ','));
        if (is_named) {
            OTO_TRY(oto_json_append_string(output, oto_bytes_text(c->children[i].name)));
            OTO_TRY(oto_buffer_append_byte(output, ':'));
        }
        OTO_TRY(query_value_json(&c->children[i], row, output));
    }
    return oto_buffer_append_byte(output, is_named ? '}' : ']');
}

// Keys that are not strings stand as the text of their value.
static enum oto_status append_key(const struct query_column *key, idx_t row,
                                  struct oto_buffer *output)
{
    if (key->type == DUCKDB_TYPE_VARCHAR)
        return oto_json_append_string(output, string_at(key, row));
    struct oto_buffer text;
    oto_buffer_init(&text, &oto_allocator_heap, output->size_max);
    enum oto_status status = query_value_text(key, row, &text);
    if (status == OTO_OK)
        status = oto_json_append_string(output, oto_buffer_view(&text));
    oto_buffer_release(&text);
    return status;
}

static enum oto_status append_map(const struct query_column *c, idx_t row,
                                  struct oto_buffer *output)
{
    duckdb_list_entry entry = ((const duckdb_list_entry *)c->data)[row];
    OTO_TRY(oto_buffer_append_byte(output, '{'));
    for (uint64_t i = 0; i < entry.length; i++) {
        if (i)
            OTO_TRY(oto_buffer_append_byte(output, ','));
        OTO_TRY(append_key(&c->children[0], entry.offset + i, output));
        OTO_TRY(oto_buffer_append_byte(output, ':'));
        OTO_TRY(query_value_json(&c->children[1], entry.offset + i, output));
    }
    return oto_buffer_append_byte(output, '}');
}

enum oto_status query_value_json(const struct query_column *c, idx_t row, struct oto_buffer *output)
{
    enum oto_status status;
    duckdb_list_entry entry;
    if (query_column_is_null(c, row))
        return append_literal(output, "null");
    if (append_number(c, row, output, 1, &status))
        return status;
    switch (c->type) {
    case DUCKDB_TYPE_SQLNULL:
        return append_literal(output, "null");
    case DUCKDB_TYPE_BOOLEAN:
        return append_literal(output, ((const bool *)c->data)[row] ? "true" : "false");
    case DUCKDB_TYPE_VARCHAR:
        return oto_json_append_string(output, string_at(c, row));
    case DUCKDB_TYPE_ENUM:
        return oto_json_append_string(output, oto_bytes_text(word_at(c, row)));
    case DUCKDB_TYPE_LIST:
        entry = ((const duckdb_list_entry *)c->data)[row];
        return append_list(&c->children[0], entry.offset, entry.length, output);
    case DUCKDB_TYPE_ARRAY:
        return append_list(&c->children[0], row * c->array_size, c->array_size, output);
    case DUCKDB_TYPE_STRUCT:
        return append_struct(c, row, output);
    case DUCKDB_TYPE_MAP:
        return append_map(c, row, output);
    case DUCKDB_TYPE_UNION:
        return query_value_json(&c->children[((const uint8_t *)c->data)[row]], row, output);
    default:
        OTO_TRY(oto_buffer_append_byte(output, '"'));
        OTO_TRY(append_plain(c, row, output));
        return oto_buffer_append_byte(output, '"');
    }
}

enum oto_status query_value_text(const struct query_column *c, idx_t row, struct oto_buffer *output)
{
    enum oto_status status;
    if (query_column_is_null(c, row))
        return OTO_OK;
    if (append_number(c, row, output, 0, &status))
        return status;
    struct oto_bytes string;
    switch (c->type) {
    case DUCKDB_TYPE_VARCHAR:
        string = string_at(c, row);
        return oto_buffer_append(output, string.data, string.size);
    case DUCKDB_TYPE_ENUM:
        return append_literal(output, word_at(c, row));
    case DUCKDB_TYPE_SQLNULL:
    case DUCKDB_TYPE_BOOLEAN:
    case DUCKDB_TYPE_LIST:
    case DUCKDB_TYPE_ARRAY:
    case DUCKDB_TYPE_STRUCT:
    case DUCKDB_TYPE_MAP:
        return query_value_json(c, row, output);
    case DUCKDB_TYPE_UNION:
        return query_value_text(&c->children[((const uint8_t *)c->data)[row]], row, output);
    default:
        return append_plain(c, row, output);
    }
}
