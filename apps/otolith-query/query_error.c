// DuckDB's errors come as JSON objects (errors_as_json): type, message and the byte where it went
// wrong.
#define _GNU_SOURCE
#include "query_process.h"

#include "wire/json.h"
#include <stdlib.h>

void query_error_locate(struct oto_error *err, struct oto_bytes sql, size_t offset)
{
    if (!err || offset > sql.size)
        return;
    err->line = err->column = 1;
    for (size_t i = 0; i < offset; i++) {
        if (sql.data[i] == '\n')
            err->line++, err->column = 1;
        else if ((sql.data[i] & 0xc0) != 0x80)
            err->column++;
    }
}

static enum oto_status status_of(duckdb_error_type type)
{
    switch (type) {
    case DUCKDB_ERROR_OUT_OF_MEMORY:
        return OTO_TOO_LARGE;
    case DUCKDB_ERROR_PERMISSION:
        return OTO_DENIED;
    case DUCKDB_ERROR_INTERRUPT:
        return OTO_TIMEOUT;
    case DUCKDB_ERROR_IO:
        return OTO_IO;
    case DUCKDB_ERROR_FATAL:
    case DUCKDB_ERROR_INTERNAL:
        return OTO_INTERNAL;
    default:
        return OTO_INVALID;
    }
}

struct details {
    struct oto_bytes type, message, position; // raw, within quotes
};

// OTO_INVALID: not such an object.
static enum oto_status read_details(struct oto_bytes json, struct details *ret_details)
{
    struct oto_json_reader r;
    oto_json_reader_init(&r, json, 16);
    if (oto_json_peek(&r) != '{')
        return OTO_INVALID;
    OTO_TRY(oto_json_enter(&r));
    enum oto_status status;
    while ((status = oto_json_member(&r)) == OTO_OK) {
        struct oto_json_string name, value;
        OTO_TRY(oto_json_name(&r, &name));
        if (oto_json_peek(&r) != '"') {
            OTO_TRY(oto_json_skip(&r));
            continue;
        }
        OTO_TRY(oto_json_string(&r, &value));
        if (oto_bytes_equal_text(name.raw, "exception_message"))
            ret_details->message = value.raw;
        else if (oto_bytes_equal_text(name.raw, "exception_type"))
            ret_details->type = value.raw;
        else if (oto_bytes_equal_text(name.raw, "position"))
            ret_details->position = value.raw;
    }
    return status < 0 ? status : OTO_OK;
}

// One line: what follows a line break stands after ". " or "; ".
static void set_message(struct oto_error *err, enum oto_status status, struct oto_bytes type,
                        char *text)
{
    size_t to = 0;
    for (size_t from = 0; text[from]; from++) {
        unsigned char c = (unsigned char)text[from];
        if (c >= 0x20 && c != 0x7f)
            text[to++] = (char)c;
        else if (to && text[to - 1] != ' ')
            text[to++] = ' ';
    }
    while (to && text[to - 1] == ' ')
        to--;
    text[to] = 0;
    if (type.size)
        oto_error_set(err, status, "%.*s error: %s", (int)type.size, (const char *)type.data, text);
    else
        oto_error_set(err, status, "%s", text);
}

static int has(struct oto_bytes text, const char *part)
{
    return text.size && memmem(text.data, text.size, part, strlen(part)) != NULL;
}

// No query names a file: what DuckDB says of one is no mistake in the SQL. "Invalid" is its word
// for what its parts throw that is not its own: Thrift, or the allocator.
static enum oto_status status_of_files(const struct details *details, enum oto_status otherwise)
{
    struct oto_bytes text = details->message;
    if (oto_bytes_equal_text(details->type, "Invalid"))
        return has(text, "bad_alloc") ? OTO_NO_MEMORY : OTO_CORRUPT;
    if (!oto_bytes_equal_text(details->type, "Invalid Input"))
        return otherwise;
    return has(text, "No magic bytes found") || has(text, "too small to be a Parquet file") ||
                   has(text, "Failed to read file")
               ? OTO_CORRUPT
               : otherwise;
}

enum oto_status query_error_set(struct oto_error *err, const char *text, duckdb_error_type type,
                                struct oto_bytes sql)
{
    struct details details = {{0}, {0}, {0}};
    enum oto_status status = status_of(type);
    if (!text) // it had no memory for words
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    const char *brace = strchr(text, '{');
    if (!brace || read_details(oto_bytes_text(brace), &details) < 0 || !details.message.size) {
        char *copy = strdup(text);
        if (!copy)
            return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
        set_message(err, status, (struct oto_bytes){0}, copy);
        free(copy);
        return status;
    }
    if (oto_bytes_equal_text(details.type, "INTERNAL") ||
        oto_bytes_equal_text(details.type, "FATAL"))
        status = OTO_INTERNAL;
    else if (oto_bytes_equal_text(details.type, "Out of Memory"))
        status = OTO_TOO_LARGE;
    else if (oto_bytes_equal_text(details.type, "Permission"))
        status = OTO_DENIED;
    else if (oto_bytes_equal_text(details.type, "IO"))
        status = OTO_IO;
    else
        status = status_of_files(&details, status);
    if (status == OTO_TOO_LARGE) // DuckDB's advice names settings that are locked
        return oto_error_set(
            err, status,
            "the query needs more memory than it may use (query_memory_limit): narrow it");
    char *message = malloc(details.message.size + 1);
    if (!message)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    message[oto_json_unescape(details.message, (uint8_t *)message)] = 0;
    set_message(err, status, details.type, message);
    free(message);
    if (status == OTO_CORRUPT)
        oto_error_context(err, "a file is damaged (otolith verify tells which)");
    if (details.position.size && sql.size)
        query_error_locate(err, sql, strtoul((const char *)details.position.data, NULL, 10));
    return status;
}

enum oto_status query_error_of_result(struct oto_error *err, duckdb_result *result,
                                      struct oto_bytes sql)
{
    return query_error_set(err, duckdb_result_error(result), duckdb_result_error_type(result), sql);
}
