#define _GNU_SOURCE
// What may be asked. The SQL's syntax tree is walked: tables must be ours or the query's own WITH
// names, table functions must be on a list, and scalar functions must not be on another. The
// sandbox and DuckDB's settings stand behind this; here the message is made that a user can act on.
#include "query_process.h"

#include "base/text.h"
#include "wire/json.h"
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#define DEPTH_MAX 900

static int matches(struct oto_bytes name, const char *word)
{
    size_t size = strlen(word);
    return name.size == size && strncasecmp((const char *)name.data, word, size) == 0;
}

static int begins(struct oto_bytes name, const char *word)
{
    size_t size = strlen(word);
    return name.size >= size && strncasecmp((const char *)name.data, word, size) == 0;
}

// --- functions ---

// They make rows from their arguments alone.
static const char *const table_functions[] = {"range",
                                              "generate_series",
                                              "unnest",
                                              "json_each",
                                              "json_tree",
                                              "repeat",
                                              "repeat_row",
                                              "regexp_split_to_table",
                                              "generate_subscripts",
                                              "pg_timezone_names"};

int query_table_function_is_allowed(struct oto_bytes name)
{
    for (size_t i = 0; i < sizeof(table_functions) / sizeof(table_functions[0]); i++)
        if (matches(name, table_functions[i]))
            return 1;
    return 0;
}

// They tell of the process, its settings, files or other queries, write a log, wait, or run SQL
// hidden in text.
static const char *const denied_functions[] = {"getenv",
                                               "current_setting",
                                               "current_query",
                                               "current_query_id",
                                               "current_transaction_id",
                                               "current_connection_id",
                                               "txid_current",
                                               "nextval",
                                               "currval",
                                               "write_log",
                                               "sleep_ms",
                                               "json_serialize_plan",
                                               "json_serialize_sql",
                                               "json_deserialize_sql",
                                               "json_execute_serialized_sql",
                                               "parse_duckdb_log_message",
                                               "query",
                                               "query_table",
                                               "col_description",
                                               "obj_description",
                                               "shobj_description",
                                               "set_config",
                                               "which_secret",
                                               "glob",
                                               "sniff_csv"};
static const char *const denied_beginnings[] = {"read_", "duckdb_", "pragma_", "parquet_",
                                                "load_", "inet_",   "file_",   "pg_"};
static const char *const allowed_despite[] = {"pg_typeof", "pg_size_pretty"};

int query_function_is_denied(struct oto_bytes name)
{
    for (size_t i = 0; i < sizeof(allowed_despite) / sizeof(allowed_despite[0]); i++)
        if (matches(name, allowed_despite[i]))
            return 0;
    for (size_t i = 0; i < sizeof(denied_functions) / sizeof(denied_functions[0]); i++)
        if (matches(name, denied_functions[i]))
            return 1;
    for (size_t i = 0; i < sizeof(denied_beginnings) / sizeof(denied_beginnings[0]); i++)
        if (begins(name, denied_beginnings[i]))
            return 1;
    return 0;
}

// --- the tree ---

// Where a value stands, as far as that changes what it means.
enum role { PLAIN, WITH_MAP, WITH_ENTRIES, TABLE_FUNCTION };

// A table as the query names it; WITH names may come later in the tree, so tables are judged at the
// end.
struct named {
    size_t at, size; // in walk.names
    uint64_t location;
};
struct walk {
    struct oto_json_reader r;
    const struct query_settings *settings;
    struct oto_bytes sql;
    size_t shift; // of locations, when only a part of the SQL was parsed
    uint8_t *wanted;
    struct oto_error *err;
    enum oto_status denied;
    struct oto_buffer names;
    struct named *tables, *withs;
    size_t table_count, with_count;
    unsigned depth;
};

struct object {
    struct oto_bytes type, key;
    struct oto_bytes function_name, schema, catalog; // of a function
    struct oto_bytes table_name, schema_name, catalog_name;
    uint64_t location;
};

// "before NAME after"
static enum oto_status deny(struct walk *w, enum oto_status status, uint64_t location,
                            const char *before, struct oto_bytes name, const char *after)
{
    oto_error_set(w->err, status, "%s%.*s%s", before, (int)(name.size < 100 ? name.size : 100),
                  (const char *)name.data, after);
    if (location != UINT64_MAX)
        query_error_locate(w->err, w->sql, (size_t)location + w->shift);
    w->denied = status;
    return status;
}

static enum oto_status walk_value(struct walk *w, enum role role);

// A string member, resolved into w->names, which keeps it.
static enum oto_status keep_string(struct walk *w, struct oto_bytes *ret_string)
{
    struct oto_json_string string;
    OTO_TRY(oto_json_string(&w->r, &string));
    if (oto_buffer_reserve(&w->names, string.raw.size) <
        0) // never moves: as large as the whole tree from the start
        return OTO_NO_MEMORY;
    uint8_t *at = w->names.data + w->names.size;
    size_t size = oto_json_unescape(string.raw, at);
    w->names.size += size;
    *ret_string = oto_bytes(at, size);
    return OTO_OK;
}

static enum oto_status keep_named(struct walk *w, struct named **list, size_t *count,
                                  struct oto_bytes name, uint64_t location)
{
    if ((*count & (*count - 1)) == 0) {
        struct named *grown = realloc(*list, (*count ? *count * 2 : 1) * sizeof(**list));
        if (!grown)
            return OTO_NO_MEMORY;
        *list = grown;
    }
    (*list)[(*count)++] = (struct named){(size_t)(name.data - w->names.data), name.size, location};
    return OTO_OK;
}

static struct oto_bytes *string_slot(struct object *o, struct oto_bytes name)
{
    if (oto_bytes_equal_text(name, "type"))
        return &o->type;
    if (oto_bytes_equal_text(name, "function_name"))
        return &o->function_name;
    if (oto_bytes_equal_text(name, "schema"))
        return &o->schema;
    if (oto_bytes_equal_text(name, "catalog"))
        return &o->catalog;
    if (oto_bytes_equal_text(name, "table_name"))
        return &o->table_name;
    if (oto_bytes_equal_text(name, "schema_name"))
        return &o->schema_name;
    if (oto_bytes_equal_text(name, "catalog_name"))
        return &o->catalog_name;
    if (oto_bytes_equal_text(name, "key"))
        return &o->key;
    return NULL;
}

static enum role role_of_member(enum role parent, const struct object *o, struct oto_bytes name)
{
    if (oto_bytes_equal_text(name, "cte_map"))
        return WITH_MAP;
    if (parent == WITH_MAP && oto_bytes_equal_text(name, "map"))
        return WITH_ENTRIES;
    if (oto_bytes_equal_text(name, "function") && oto_bytes_equal_text(o->type, "TABLE_FUNCTION"))
        return TABLE_FUNCTION;
    return PLAIN;
}

static enum oto_status walk_member(struct walk *w, enum role role, struct object *o)
{
    struct oto_json_string name;
    OTO_TRY(oto_json_name(&w->r, &name));
    int byte = oto_json_peek(&w->r);
    struct oto_bytes *slot = byte == '"' ? string_slot(o, name.raw) : NULL;
    if (slot)
        return keep_string(w, slot);
    if (oto_bytes_equal_text(name.raw, "query_location") && byte >= '0' && byte <= '9') {
        struct oto_bytes number;
        OTO_TRY(oto_json_number(&w->r, &number));
        return oto_json_to_u64(number, &o->location);
    }
    return walk_value(w, role_of_member(role, o, name.raw));
}

static enum oto_status check_show(struct walk *w, const struct object *o)
{
    if (oto_bytes_equal_text(o->table_name, "\"tables\"") ||
        oto_bytes_equal_text(o->table_name, "__show_tables_expanded")) {
        memset(w->wanted, 1, w->settings->table_count); // what is shown must be there
        return OTO_OK;
    }
    return deny(w, OTO_DENIED, o->location, "SHOW ", o->table_name, " is not allowed");
}

static enum oto_status check_schema(struct walk *w, const struct object *o)
{
    if (o->schema_name.size && !matches(o->schema_name, "main"))
        return deny(w, OTO_DENIED, o->location, "schema ", o->schema_name, " is not allowed");
    if (o->catalog_name.size && !matches(o->catalog_name, "memory"))
        return deny(w, OTO_DENIED, o->location, "catalogue ", o->catalog_name, " is not allowed");
    return OTO_OK;
}

// system.now() would be DuckDB's own, which is not the time by which files are chosen.
static enum oto_status check_function(struct walk *w, enum role role, const struct object *o)
{
    if (role == TABLE_FUNCTION && !query_table_function_is_allowed(o->function_name))
        return deny(w, OTO_DENIED, o->location, "function ", o->function_name,
                    " is not allowed: it could read what is not telemetry");
    if (role != TABLE_FUNCTION && o->function_name.size &&
        query_function_is_denied(o->function_name))
        return deny(w, OTO_DENIED, o->location, "function ", o->function_name, " is not allowed");
    if ((matches(o->catalog, "system") || matches(o->schema, "system")) &&
        query_clock_has(o->function_name))
        return deny(w, OTO_DENIED, o->location, "function ", o->function_name,
                    " of the schema system is not allowed: name it alone");
    return OTO_OK;
}

static enum oto_status check_object(struct walk *w, enum role role, const struct object *o)
{
    if (role == WITH_ENTRIES && o->key.size)
        OTO_TRY(keep_named(w, &w->withs, &w->with_count, o->key, o->location));
    OTO_TRY(check_function(w, role, o));
    if (oto_bytes_equal_text(o->type, "SHOW_REF"))
        return o->table_name.size ? check_show(w, o) : OTO_OK;
    if (!o->table_name.size)
        return OTO_OK;
    OTO_TRY(check_schema(w, o));
    return keep_named(w, &w->tables, &w->table_count, o->table_name, o->location);
}

static enum oto_status walk_object(struct walk *w, enum role role)
{
    struct object o = {.location = UINT64_MAX};
    enum oto_status status;
    OTO_TRY(oto_json_enter(&w->r));
    while ((status = oto_json_member(&w->r)) == OTO_OK)
        OTO_TRY(walk_member(w, role, &o));
    return status < 0 ? status : check_object(w, role, &o);
}

static enum oto_status walk_array(struct walk *w, enum role role)
{
    enum oto_status status;
    OTO_TRY(oto_json_enter(&w->r));
    while ((status = oto_json_element(&w->r)) == OTO_OK)
        OTO_TRY(walk_value(w, role));
    return status < 0 ? status : OTO_OK;
}

static enum oto_status walk_value(struct walk *w, enum role role)
{
    int byte = oto_json_peek(&w->r);
    if (byte != '{' && byte != '[')
        return oto_json_skip(&w->r);
    if (w->depth >= DEPTH_MAX)
        return oto_error_set(w->err, w->denied = OTO_TOO_LARGE, "the SQL is nested too deeply");
    w->depth++;
    enum oto_status status = byte == '{' ? walk_object(w, role) : walk_array(w, role);
    w->depth--;
    return status;
}

// --- tables ---

static struct oto_bytes name_of(const struct walk *w, const struct named *named)
{
    return oto_bytes(w->names.data + named->at, named->size);
}

static int is_plain_word(struct oto_bytes name)
{
    for (size_t i = 0; i < name.size; i++)
        if (!isalnum(name.data[i]) && name.data[i] != '_' && name.data[i] < 0x80)
            return 0;
    return !begins(name, "duckdb_") && !begins(name, "pg_") && !begins(name, "sqlite_") &&
           !begins(name, "pragma_");
}

static int same_name(struct oto_bytes a, struct oto_bytes b)
{
    return a.size == b.size && strncasecmp((const char *)a.data, (const char *)b.data, a.size) == 0;
}

static int is_with_name(const struct walk *w, struct oto_bytes name)
{
    for (size_t i = 0; i < w->with_count; i++)
        if (same_name(name_of(w, &w->withs[i]), name))
            return 1;
    return 0;
}

// Views for people stand on tables: "logs" wants "otel_logs", "metrics" every "otel_metrics_…".
static int is_table(const struct walk *w, struct oto_bytes name)
{
    int found = 0;
    for (size_t i = 0; i < w->settings->table_count; i++) {
        const char *table = w->settings->tables[i];
        int view = strncmp(table, "otel_", 5) == 0 &&
                   (matches(name, table + 5) ||
                    (matches(name, "metrics") && strncmp(table + 5, "metrics_", 8) == 0));
        if (!matches(name, table) && !view)
            continue;
        w->wanted[i] = 1;
        found = 1;
    }
    return found;
}

static enum oto_status check_tables(struct walk *w)
{
    // A WITH name is visible in a part of the query only, so it must not be something that means a
    // file or a system table elsewhere.
    for (size_t i = 0; i < w->with_count; i++) {
        struct oto_bytes name = name_of(w, &w->withs[i]);
        if (!is_plain_word(name))
            return deny(w, OTO_DENIED, w->withs[i].location, "WITH \"", name,
                        "\": use letters, digits and _ for the name");
    }
    for (size_t i = 0; i < w->table_count; i++) {
        struct oto_bytes name = name_of(w, &w->tables[i]);
        if (is_table(w, name) || is_with_name(w, name))
            continue;
        if (!is_plain_word(name))
            return deny(w, OTO_DENIED, w->tables[i].location, "table \"", name,
                        "\" is not allowed: only the tables of the telemetry are");
        return deny(w, OTO_INVALID, w->tables[i].location, "there is no table \"", name,
                    "\"; there are logs, traces, metrics, otel_logs, otel_traces, "
                    "otel_metrics_gauge, …_sum, …_histogram, "
                    "…_exponential_histogram and …_summary");
    }
    return OTO_OK;
}

// --- from SQL to the tree ---

// Comments of this kind nest.
static size_t skip_comment(struct oto_bytes sql, size_t at)
{
    unsigned depth = 0;
    do {
        int pair = at + 1 < sql.size;
        if (pair && sql.data[at] == '/' && sql.data[at + 1] == '*')
            depth++, at += 2;
        else if (pair && sql.data[at] == '*' && sql.data[at + 1] == '/')
            depth--, at += 2;
        else
            at++;
    } while (depth && at < sql.size);
    return at < sql.size ? at : sql.size;
}

static size_t skip_space(struct oto_bytes sql, size_t at)
{
    for (;;) {
        while (at < sql.size && isspace(sql.data[at]))
            at++;
        if (at + 1 < sql.size && sql.data[at] == '-' && sql.data[at + 1] == '-') {
            while (at < sql.size && sql.data[at] != '\n')
                at++;
        } else if (at + 1 < sql.size && sql.data[at] == '/' && sql.data[at + 1] == '*') {
            at = skip_comment(sql, at);
        } else {
            return at;
        }
    }
}

static size_t skip_word(struct oto_bytes sql, size_t at, const char *word)
{
    size_t start = skip_space(sql, at), size = strlen(word);
    if (sql.size - start <= size || strncasecmp((const char *)sql.data + start, word, size) != 0)
        return at;
    uint8_t after = sql.data[start + size];
    return isalnum(after) || after == '_' || after >= 0x80 ? at : start + size;
}

static enum oto_status walk_tree(struct walk *w, struct oto_bytes tree)
{
    // {"error":true,…}: no SELECT. {"error":false,"statements":[…]}
    if (memmem(tree.data, tree.size < 16 ? tree.size : 16, "\"error\":true", 12))
        return oto_error_set(
            w->err, OTO_DENIED,
            "only one SELECT statement is allowed (also WITH, FROM, VALUES, DESCRIBE, SUMMARIZE, "
            "SHOW TABLES and EXPLAIN)");
    if (oto_buffer_reserve(&w->names, tree.size) < 0)
        return oto_error_set(w->err, OTO_NO_MEMORY, "out of memory");
    oto_json_reader_init(&w->r, tree, OTO_JSON_DEPTH_MAX);
    enum oto_status status = walk_value(w, PLAIN);
    if (status == OTO_OK)
        status = check_tables(w);
    if (status < 0 && w->denied == OTO_OK)
        oto_error_set(w->err, status,
                      status == OTO_TOO_LARGE ? "the SQL is nested too deeply"
                                              : "the SQL could not be checked");
    return status;
}

// The tree has no EXPLAIN: what follows it is checked, and what was checked is what runs.
static size_t skip_explain(struct oto_bytes sql, const char **ret_words)
{
    size_t at = skip_word(sql, 0, "EXPLAIN");
    size_t after = at ? skip_word(sql, at, "ANALYZE") : 0;
    *ret_words = after == 0 ? NULL : after > at ? "EXPLAIN ANALYZE " : "EXPLAIN ";
    return after;
}

static enum oto_status rewrite(struct query_database *db, const char *words, struct oto_bytes sql,
                               struct oto_buffer *rewritten, struct oto_error *err)
{
    if (oto_buffer_append(rewritten, words, strlen(words)) < 0)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    OTO_TRY(query_database_text(db->text, sql, rewritten, err));
    if (oto_buffer_append_byte(rewritten, 0) < 0)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    return OTO_OK;
}

enum oto_status query_check(struct query_database *db, const struct query_settings *settings,
                            struct oto_bytes sql, uint8_t *wanted, struct query_names *names,
                            int select_only, struct oto_buffer *rewritten, struct oto_error *err)
{
    const char *words;
    size_t shift = skip_explain(sql, &words);
    if (words && select_only)
        return oto_error_set(err, OTO_UNSUPPORTED, "EXPLAIN is answered as text only");
    struct oto_bytes checked = oto_bytes(sql.data + shift, sql.size - shift);
    struct walk w = {.settings = settings,
                     .sql = sql,
                     .shift = shift,
                     .wanted = wanted,
                     .err = err,
                     .denied = OTO_OK};
    struct oto_buffer tree;
    oto_buffer_init(&tree, &oto_allocator_heap, 1u << 30);
    oto_buffer_init(&w.names, &oto_allocator_heap, 1u << 30);
    enum oto_status status = query_database_text(db->tree, checked, &tree, err);
    if (status == OTO_OK)
        status = walk_tree(&w, oto_buffer_view(&tree));
    if (status == OTO_OK && (words || select_only))
        status = rewrite(db, words ? words : "", checked, rewritten, err);
    if (status == OTO_OK && names)
        query_names_set(names, oto_buffer_view(&tree));
    oto_buffer_release(&tree);
    oto_buffer_release(&w.names);
    free(w.tables);
    free(w.withs);
    return status;
}
