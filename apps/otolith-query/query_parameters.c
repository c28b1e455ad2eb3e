// Parameters: a JSON array for ? and $1, an object for $name.
#include "query_process.h"

#include "base/text.h"
#include "wire/json.h"
#include <stdlib.h>

static enum oto_status bind_string(duckdb_prepared_statement statement, idx_t index,
                                   struct oto_json_string string)
{
    char *text = malloc(string.raw.size + 1);
    if (!text)
        return OTO_NO_MEMORY;
    size_t size = oto_json_unescape(string.raw, (uint8_t *)text);
    duckdb_state state = duckdb_bind_varchar_length(statement, index, text, size);
    free(text);
    return state == DuckDBSuccess ? OTO_OK : OTO_INVALID;
}

// Whole numbers as BIGINT or UBIGINT where they fit, others as DOUBLE.
static enum oto_status bind_number(duckdb_prepared_statement statement, idx_t index,
                                   struct oto_bytes text)
{
    int64_t whole;
    uint64_t large;
    double number;
    duckdb_state state;
    int fraction = memchr(text.data, '.', text.size) || memchr(text.data, 'e', text.size) ||
                   memchr(text.data, 'E', text.size);
    if (!fraction && oto_json_to_i64(text, &whole) == OTO_OK)
        state = duckdb_bind_int64(statement, index, whole);
    else if (!fraction && oto_json_to_u64(text, &large) == OTO_OK)
        state = duckdb_bind_uint64(statement, index, large);
    else if (oto_text_to_double(text, &number) == OTO_OK)
        state = duckdb_bind_double(statement, index, number);
    else
        return OTO_INVALID;
    return state == DuckDBSuccess ? OTO_OK : OTO_INVALID;
}

static enum oto_status bind_value(duckdb_prepared_statement statement, idx_t index,
                                  struct oto_json_reader *r)
{
    struct oto_json_string string;
    struct oto_bytes number;
    int byte = oto_json_peek(r);
    switch (byte) {
    case '"':
        OTO_TRY(oto_json_string(r, &string));
        return bind_string(statement, index, string);
    case 't':
    case 'f':
        OTO_TRY(oto_json_literal(r));
        return duckdb_bind_boolean(statement, index, byte == 't') == DuckDBSuccess ? OTO_OK
                                                                                   : OTO_INVALID;
    case 'n':
        OTO_TRY(oto_json_literal(r));
        return duckdb_bind_null(statement, index) == DuckDBSuccess ? OTO_OK : OTO_INVALID;
    case '{':
    case '[':
        return oto_json_fail(r, r->at, "a parameter is a string, number, true, false or null");
    default:
        OTO_TRY(oto_json_number(r, &number));
        return bind_number(statement, index, number);
    }
}

static enum oto_status bind_array(duckdb_prepared_statement statement, struct oto_json_reader *r,
                                  idx_t *ret_count)
{
    idx_t wanted = duckdb_nparams(statement);
    enum oto_status status;
    while ((status = oto_json_element(r)) == OTO_OK) {
        if (*ret_count >= wanted)
            return oto_json_fail(r, r->at, "more parameters than the SQL has");
        OTO_TRY(bind_value(statement, ++*ret_count, r));
    }
    return status < 0 ? status : oto_json_finish(r);
}

static enum oto_status bind_object(duckdb_prepared_statement statement, struct oto_json_reader *r,
                                   idx_t *ret_count)
{
    enum oto_status status;
    while ((status = oto_json_member(r)) == OTO_OK) {
        struct oto_json_string name;
        char text[256];
        idx_t index;
        OTO_TRY(oto_json_name(r, &name));
        if (name.raw.size >= sizeof(text))
            return oto_json_fail(r, r->at, "the name of a parameter is too long");
        text[oto_json_unescape(name.raw, (uint8_t *)text)] = 0;
        if (duckdb_bind_parameter_index(statement, &index, text) == DuckDBError)
            return oto_json_fail(r, r->at, "a parameter that the SQL does not have");
        OTO_TRY(bind_value(statement, index, r));
        ++*ret_count;
    }
    return status < 0 ? status : oto_json_finish(r);
}

enum oto_status query_parameters_bind(duckdb_prepared_statement statement, struct oto_bytes json,
                                      struct oto_error *err)
{
    idx_t wanted = duckdb_nparams(statement), count = 0;
    struct oto_json_reader r;
    oto_json_reader_init(&r, json, 16);
    int byte = json.size ? oto_json_peek(&r) : -1;
    enum oto_status status = OTO_OK;
    if (byte == '[' && (status = oto_json_enter(&r)) == OTO_OK)
        status = bind_array(statement, &r, &count);
    else if (byte == '{' && (status = oto_json_enter(&r)) == OTO_OK)
        status = bind_object(statement, &r, &count);
    else if (byte != -1)
        status = oto_json_fail(&r, r.at, "parameters are a JSON array or object");
    if (status == OTO_NO_MEMORY)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    if (status < 0)
        return oto_error_set(err, OTO_INVALID, "parameters: %s",
                             r.problem ? r.problem : "a value does not fit");
    if (count < wanted)
        return oto_error_set(err, OTO_INVALID, "the SQL has %llu parameters, %llu were given",
                             (unsigned long long)wanted, (unsigned long long)count);
    return OTO_OK;
}
