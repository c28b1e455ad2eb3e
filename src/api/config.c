#define _GNU_SOURCE
#include "api/config.h"

#include "base/nearest.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <yaml.h>

#define KIB (UINT64_C(1) << 10)
#define MIB (UINT64_C(1) << 20)
#define GIB (UINT64_C(1) << 30)
#define TIB (UINT64_C(1) << 40)
#define CONFIG_FILE_MAX MIB
#define DAY_MS (UINT64_C(86400000))
#define FIELD(member) offsetof(struct oto_config, member)

const struct oto_config_key oto_config_keys[] = {
    {"data", OTO_CONFIG_STRING, FIELD(data), "./otolith-data", 0, 0, NULL, "DIR",
     "Folder that everything is kept in; created when missing."},
    {"listen", OTO_CONFIG_LIST, FIELD(listen), "127.0.0.1:4317,127.0.0.1:4318", 0, 0, NULL,
     "ADDR[,role…]",
     "Address to serve on, with any protocol (gRPC, HTTP/1.1, HTTP/2); several behind commas, or "
     "given several times. Port 0 "
     "takes a free port. Roles narrow what is served there: ingest, query, admin (default: all)."},
    {"threads", OTO_CONFIG_COUNT, FIELD(threads), "0", 0, 64, NULL, "N",
     "Threads that receive and decode; 0: one a core."},
    {"memory_limit", OTO_CONFIG_SIZE, FIELD(memory_limit), "256MiB", 48 * MIB, TIB, NULL, "SIZE",
     "Memory the server may use; what does not fit is refused with a retryable answer."},
    {"durability", OTO_CONFIG_STRING, FIELD(durability), "fsync", 1, 3600000,
     "fsync|interval:<ms>|none", "MODE",
     "When a request is answered: fsync (after fdatasync), interval:<ms> (after write, fdatasync "
     "every <ms>), "
     "none (from memory)."},
    {"flush_interval", OTO_CONFIG_DURATION, FIELD(flush_interval_ms), "60s", 100, DAY_MS, NULL,
     "TIME", "Oldest age of rows in memory before they are written to Parquet files."},
    {"flush_rows", OTO_CONFIG_COUNT, FIELD(flush_rows), "61440", 1, 10000000, NULL, "N",
     "Rows of a table in memory that cause a flush."},
    {"flush_bytes", OTO_CONFIG_SIZE, FIELD(flush_bytes), "0", 0, 64 * GIB, NULL, "SIZE",
     "Bytes of rows in memory that cause a flush; 0: a share of memory_limit."},
    {"dedup_window", OTO_CONFIG_DURATION, FIELD(dedup_window_ms), "10m", 0, DAY_MS, NULL, "TIME",
     "A request whose bytes equal an earlier one's within this time is acknowledged but not stored "
     "again, unless none of its items has a time; 0: off."},
    {"promote", OTO_CONFIG_LIST, FIELD(promote), "", 0, 0, NULL, "ATTRIBUTE",
     "Attribute to keep in a string column of its own beside the map (acme.tenant becomes "
     "AcmeTenant); several behind commas, or given several times."},
    {"request_bytes_max", OTO_CONFIG_SIZE, FIELD(request_bytes_max), "64MiB", 1024, 1 * GIB, NULL,
     "SIZE",
     "Largest request, before and after decompression; never more than a quarter of memory_limit."},
    {"connections_max", OTO_CONFIG_COUNT, FIELD(connections_max), "10000", 1, 1000000, NULL, "N",
     "Open connections; further ones are closed at once. Shared out to the threads, each of which "
     "takes one at least."},
    {"connection_age_max", OTO_CONFIG_DURATION, FIELD(connection_age_max_ms), "0", 0, DAY_MS, NULL,
     "TIME",
     "Age after which a client is asked to connect anew (GOAWAY, Connection: close), so that load "
     "spreads over servers behind one name; drain_timeout later the connection is closed. 0: "
     "never."},
    {"allowed_hosts", OTO_CONFIG_LIST, FIELD(allowed_hosts), "", 0, 0, NULL, "HOST",
     "Host name by which browsers and other HTTP clients may call the server, beside IP addresses, "
     "localhost and names without a dot; *.example.com for all below it, * for all. Without it, "
     "listeners that other machines can reach take every name. Guards local servers from web pages "
     "that have their own name point here; several behind commas, or given several times."},
    {"disk_free_min", OTO_CONFIG_SIZE, FIELD(disk_free_min), "64MiB", 0, TIB, NULL, "SIZE",
     "Free space on the data folder's disk under which requests are refused with a retryable "
     "answer."},
    {"wal_segment_size", OTO_CONFIG_SIZE, FIELD(wal_segment_size), "64MiB", 4 * MIB, 4 * GIB, NULL,
     "SIZE", "Size of a segment file of the write-ahead log."},
    {"drain_timeout", OTO_CONFIG_DURATION, FIELD(drain_timeout_ms), "10s", 0, DAY_MS, NULL, "TIME",
     "Time for open requests to finish after SIGTERM."},
    {"log_level", OTO_CONFIG_STRING, FIELD(log_level), "info", 0, 0, "debug|info|warn|error",
     "LEVEL", "Least severe log lines that are written to standard error."},
    {"log_format", OTO_CONFIG_STRING, FIELD(log_format), "text", 0, 0, "text|json", "FORMAT",
     "Form of the log lines."},
    {"query_workers", OTO_CONFIG_COUNT, FIELD(query_workers), "2", 1, 64, NULL, "N",
     "Query processes at most; each runs one query at a time."},
    {"query_threads", OTO_CONFIG_COUNT, FIELD(query_threads), "0", 0, 256, NULL, "N",
     "Threads of a query; 0: one a core."},
    {"query_memory_limit", OTO_CONFIG_SIZE, FIELD(query_memory_limit), "1GiB", 32 * MIB, TIB, NULL,
     "SIZE", "Memory of a query process's engine; a query that needs more fails."},
    {"query_timeout", OTO_CONFIG_DURATION, FIELD(query_timeout_ms), "60s", 10, DAY_MS, NULL, "TIME",
     "Longest run of a query. The time that its answer waits for its reader is not counted."},
    {"query_rows_max", OTO_CONFIG_COUNT, FIELD(query_rows_max), "1000000", 1, UINT32_MAX, NULL, "N",
     "Most rows of an answer; a query with more fails."},
    {"query_idle", OTO_CONFIG_DURATION, FIELD(query_idle_ms), "60s", 100, DAY_MS, NULL, "TIME",
     "Time without queries after which the query processes end."},
    {"query_ahead", OTO_CONFIG_COUNT, FIELD(query_ahead), "0", 0, 64, NULL, "N",
     "Query processes that start with the server, and stay; each takes 5 to 10 MiB of memory of "
     "its own, and 5 KiB a file where these are thousands."},
};
const size_t oto_config_key_count = sizeof(oto_config_keys) / sizeof(oto_config_keys[0]);

static void *field_of(const struct oto_config *config, const struct oto_config_key *key)
{
    return (char *)(uintptr_t)config + key->offset;
}

// --- values ---

static enum oto_status split_number(const char *text, uint64_t *ret_value, const char **ret_unit)
{
    if (!isdigit((unsigned char)*text))
        return OTO_INVALID;
    uint64_t value = 0;
    for (; isdigit((unsigned char)*text); text++)
        if (__builtin_mul_overflow(value, 10, &value) ||
            __builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
            return OTO_INVALID;
    while (*text == ' ')
        text++;
    *ret_value = value;
    *ret_unit = text;
    return OTO_OK;
}

struct unit {
    const char *name;
    uint64_t factor;
};

static enum oto_status apply_unit(uint64_t value, const char *unit, const struct unit *units,
                                  size_t count, uint64_t *ret_value)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(unit, units[i].name) == 0)
            return __builtin_mul_overflow(value, units[i].factor, ret_value) ? OTO_INVALID : OTO_OK;
    return OTO_INVALID;
}

// The first that divides a number shows it.
static const struct unit size_units[] = {{"TiB", TIB},
                                         {"GiB", GIB},
                                         {"MiB", MIB},
                                         {"KiB", KIB},
                                         {"", 1},
                                         {"B", 1},
                                         {"T", TIB},
                                         {"G", GIB},
                                         {"M", MIB},
                                         {"K", KIB},
                                         {"kB", 1000},
                                         {"KB", 1000},
                                         {"MB", 1000000},
                                         {"GB", 1000000000},
                                         {"TB", UINT64_C(1000000000000)}};
static const struct unit duration_units[] = {
    {"h", 3600000}, {"m", 60000}, {"s", 1000}, {"ms", 1}, {"d", DAY_MS}};

enum oto_status oto_config_parse_size(const char *text, uint64_t *ret_bytes)
{
    uint64_t value;
    const char *unit;
    OTO_TRY(split_number(text, &value, &unit));
    return apply_unit(value, unit, size_units, sizeof(size_units) / sizeof(size_units[0]),
                      ret_bytes);
}

enum oto_status oto_config_parse_duration(const char *text, uint64_t *ret_ms)
{
    uint64_t value;
    const char *unit;
    OTO_TRY(split_number(text, &value, &unit));
    if (value == 0 && *unit == 0) {
        *ret_ms = 0;
        return OTO_OK;
    }
    return apply_unit(value, unit, duration_units,
                      sizeof(duration_units) / sizeof(duration_units[0]), ret_ms);
}

void oto_config_number_text(const struct oto_config_key *key, uint64_t value,
                            char text[OTO_CONFIG_NUMBER_MAX])
{
    static const struct unit none = {"", 1};
    const struct unit *unit = value && key->type == OTO_CONFIG_SIZE       ? size_units
                              : value && key->type == OTO_CONFIG_DURATION ? duration_units
                                                                          : &none;
    while (value % unit->factor)
        unit++;
    (void)snprintf(text, OTO_CONFIG_NUMBER_MAX, "%llu%s",
                   (unsigned long long)(value / unit->factor), unit->name);
}

void oto_config_range_text(const struct oto_config_key *key, char text[OTO_CONFIG_RANGE_MAX])
{
    char min[OTO_CONFIG_NUMBER_MAX], max[OTO_CONFIG_NUMBER_MAX];
    oto_config_number_text(key, key->min, min);
    oto_config_number_text(key, key->max, max);
    *text = 0;
    if (key->max)
        (void)snprintf(text, OTO_CONFIG_RANGE_MAX, "%s to %s", min, max);
}

static int choice_fits(const struct oto_config_key *key, const char *text)
{
    for (const char *choice = key->choices; *choice;) {
        size_t size = strcspn(choice, "|"), fixed = strcspn(choice, "<|");
        uint64_t number;
        const char *rest = text + fixed;
        if (strncmp(choice, text, fixed) == 0 &&
            (fixed == size ? *rest == 0
                           : split_number(rest, &number, &rest) == OTO_OK && *rest == 0 &&
                                 number >= key->min && number <= key->max))
            return 1;
        choice += size + (choice[size] == '|');
    }
    return 0;
}

static enum oto_status no_choice(const struct oto_config_key *key, const char *text,
                                 struct oto_error *err)
{
    const char *number = strchr(key->choices, '<');
    char range[OTO_CONFIG_RANGE_MAX];
    if (!number)
        return oto_error_set(err, OTO_INVALID, "%s: '%s' is not one of %s", key->name, text,
                             key->choices);
    oto_config_range_text(key, range);
    return oto_error_set(err, OTO_INVALID, "%s: '%s' is not one of %s (%.*s: %s)", key->name, text,
                         key->choices, (int)strcspn(number, "|"), number, range);
}

static enum oto_status set_string(const struct oto_config_key *key, char **field, const char *text,
                                  struct oto_error *err)
{
    if (key->choices && !choice_fits(key, text))
        return no_choice(key, text, err);
    if (*text == 0)
        return oto_error_set(err, OTO_INVALID, "%s: must not be empty", key->name);
    char *copy = strdup(text);
    if (!copy)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    free(*field);
    *field = copy;
    return OTO_OK;
}

static void list_clear(struct oto_config_list *list)
{
    for (size_t i = 0; i < list->count; i++)
        free(list->items[i]);
    list->count = 0;
}

static enum oto_status list_add(const struct oto_config_key *key, struct oto_config_list *list,
                                const char *text, size_t size, struct oto_error *err)
{
    if (list->count == OTO_CONFIG_LIST_MAX)
        return oto_error_set(err, OTO_INVALID, "%s: more than %d items", key->name,
                             OTO_CONFIG_LIST_MAX);
    if (size == 0)
        return oto_error_set(err, OTO_INVALID, "%s: an item is empty", key->name);
    char *copy = strndup(text, size);
    if (!copy)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    list->items[list->count++] = copy;
    return OTO_OK;
}

static enum oto_status set_number(const struct oto_config_key *key, uint64_t *field,
                                  const char *text, struct oto_error *err)
{
    static const char *const expected[] = {[OTO_CONFIG_COUNT] = "a whole number",
                                           [OTO_CONFIG_SIZE] = "a size such as 64MiB",
                                           [OTO_CONFIG_DURATION] = "a time such as 500ms, 10s, 5m"};
    uint64_t value = 0;
    const char *rest = "";
    enum oto_status status = key->type == OTO_CONFIG_SIZE ? oto_config_parse_size(text, &value)
                             : key->type == OTO_CONFIG_DURATION
                                 ? oto_config_parse_duration(text, &value)
                                 : split_number(text, &value, &rest);
    if (status < 0 || *rest)
        return oto_error_set(err, OTO_INVALID, "%s: '%s' is not %s", key->name, text,
                             expected[key->type]);
    if (value < key->min || value > key->max) {
        char range[OTO_CONFIG_RANGE_MAX];
        oto_config_range_text(key, range);
        return oto_error_set(err, OTO_INVALID, "%s: %s is outside %s", key->name, text, range);
    }
    *field = value;
    return OTO_OK;
}

// The next part of a list's text, without the blanks around it.
static struct oto_bytes next_part(const char **text)
{
    size_t size = strcspn(*text, ",");
    const char *begin = *text, *end = begin + size;
    *text = end + (*end == ',');
    while (begin < end && isspace((unsigned char)*begin))
        begin++;
    while (end > begin && isspace((unsigned char)end[-1]))
        end--;
    return oto_bytes(begin, (size_t)(end - begin));
}

// Addresses carry roles behind commas ("127.0.0.1:4317,ingest"). Every address has a colon, so what
// has none belongs to the address before it.
static int is_role(const struct oto_config_key *key, struct oto_bytes part)
{
    return key->offset == FIELD(listen) && part.size && !memchr(part.data, ':', part.size);
}

static enum oto_status list_append(struct oto_config_list *list, struct oto_bytes part,
                                   struct oto_error *err)
{
    char **item = &list->items[list->count - 1], *longer;
    if (asprintf(&longer, "%s,%.*s", *item, (int)part.size, (const char *)part.data) < 0)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    free(*item);
    *item = longer;
    return OTO_OK;
}

// Adds the items of "a, b, c"; of a text without any, none.
static enum oto_status list_add_text(const struct oto_config_key *key, struct oto_config_list *list,
                                     const char *text, struct oto_error *err)
{
    size_t before = list->count;
    int goes_on = text[strspn(text, " \t\r\n")] != 0;
    while (goes_on) {
        goes_on = strchr(text, ',') != NULL;
        struct oto_bytes part = next_part(&text);
        OTO_TRY(list->count > before && is_role(key, part)
                    ? list_append(list, part, err)
                    : list_add(key, list, (const char *)part.data, part.size, err));
    }
    return OTO_OK;
}

static enum oto_status set_list_text(const struct oto_config_key *key, struct oto_config_list *list,
                                     const char *text, struct oto_error *err)
{
    list_clear(list);
    return list_add_text(key, list, text, err);
}

static enum oto_status set_value(struct oto_config *config, const struct oto_config_key *key,
                                 const char *text, uint8_t source, struct oto_error *err)
{
    enum oto_status status =
        key->type == OTO_CONFIG_STRING ? set_string(key, field_of(config, key), text, err)
        : key->type == OTO_CONFIG_LIST ? set_list_text(key, field_of(config, key), text, err)
                                       : set_number(key, field_of(config, key), text, err);
    if (status == OTO_OK)
        config->source[key - oto_config_keys] = source;
    return status;
}

enum oto_status oto_config_init(struct oto_config *config, struct oto_error *err)
{
    _Static_assert(sizeof(oto_config_keys) / sizeof(oto_config_keys[0]) <= sizeof(config->source),
                   "source[] is too small");
    enum oto_status status = OTO_OK;
    memset(config, 0, sizeof(*config));
    for (size_t i = 0; i < oto_config_key_count && status >= 0; i++)
        status = set_value(config, &oto_config_keys[i], oto_config_keys[i].default_text,
                           OTO_CONFIG_FROM_DEFAULT, err);
    if (status < 0)
        oto_config_release(config);
    return status;
}

void oto_config_release(struct oto_config *config)
{
    for (size_t i = 0; i < oto_config_key_count; i++) {
        void *field = field_of(config, &oto_config_keys[i]);
        if (oto_config_keys[i].type == OTO_CONFIG_STRING)
            free(*(char **)field);
        else if (oto_config_keys[i].type == OTO_CONFIG_LIST)
            list_clear(field);
    }
    free(config->file_name);
    memset(config, 0, sizeof(*config));
}

// --- names ---

// Compares a key's name with text in which the separator is '-' (flags) or '_' (YAML), or upper
// case (environment).
static int name_fits(const char *name, const char *text, size_t size)
{
    if (strlen(name) != size)
        return 0;
    for (size_t i = 0; i < size; i++) {
        char c = (char)tolower((unsigned char)text[i]);
        if (name[i] != (c == '-' ? '_' : c))
            return 0;
    }
    return 1;
}

static const struct oto_config_key *find_key(const char *text, size_t size)
{
    for (size_t i = 0; i < oto_config_key_count; i++)
        if (name_fits(oto_config_keys[i].name, text, size))
            return &oto_config_keys[i];
    return NULL;
}

enum oto_status oto_config_load_flag(struct oto_config *config, int argc, char *const *argv,
                                     int *index, int *ret_known, struct oto_error *err)
{
    const char *argument = argv[*index];
    *ret_known = 0;
    if (strncmp(argument, "--", 2) != 0)
        return OTO_OK;
    size_t size = strcspn(argument + 2, "=");
    const struct oto_config_key *key =
        memchr(argument + 2, '_', size) ? NULL : find_key(argument + 2, size);
    if (!key)
        return OTO_OK;
    *ret_known = 1;
    const char *value = argument[2 + size] == '=' ? argument + 3 + size : NULL;
    if (!value) {
        if (*index + 1 >= argc)
            return oto_error_set(err, OTO_INVALID, "%s needs a value (%s)", argument,
                                 key->value_name);
        value = argv[++*index];
    }
    ++*index;
    if (key->type != OTO_CONFIG_LIST)
        return set_value(config, key, value, OTO_CONFIG_FROM_FLAG, err);
    struct oto_config_list *list = field_of(config, key);
    if (config->source[key - oto_config_keys] != OTO_CONFIG_FROM_FLAG)
        list_clear(list);
    config->source[key - oto_config_keys] = OTO_CONFIG_FROM_FLAG;
    return list_add_text(key, list, value, err);
}

static void find_nearest_key(const char *wanted, struct oto_nearest *ret_nearest)
{
    oto_nearest_init(ret_nearest, wanted);
    for (size_t i = 0; i < oto_config_key_count; i++)
        oto_nearest_add(ret_nearest, oto_config_keys[i].name);
}

static enum oto_status unknown_variable(const char *name, size_t size, struct oto_error *err)
{
    char wanted[OTO_NEAREST_MAX + 1];
    struct oto_nearest nearest;
    (void)snprintf(wanted, sizeof(wanted), "%.*s", (int)size, name);
    for (char *c = wanted; *c; c++)
        *c = (char)tolower((unsigned char)*c);
    find_nearest_key(wanted, &nearest);
    for (char *c = nearest.name; *c; c++)
        *c = (char)toupper((unsigned char)*c);
    const char *advice = *nearest.name ? "did you mean OTOLITH_" : "see otolith serve --help";
    return oto_error_set(err, OTO_INVALID, "environment: OTOLITH_%.*s is not a setting: %s%s%s",
                         (int)size, name, advice, nearest.name, *nearest.name ? "?" : "");
}

enum oto_status oto_config_load_environment(struct oto_config *config, char *const *environment,
                                            struct oto_error *err)
{
    static const char *const others[] = {"CONFIG", "CACHE", "QUERY_PROGRAM"};
    for (; *environment; environment++) {
        const char *entry = *environment;
        if (strncmp(entry, "OTOLITH_", 8) != 0)
            continue;
        size_t size = strcspn(entry + 8, "=");
        const struct oto_config_key *key = find_key(entry + 8, size);
        int other = 0;
        for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
            other |= strlen(others[i]) == size && strncmp(others[i], entry + 8, size) == 0;
        // What Kubernetes sets in every pod beside a service that is named otolith.
        other |= strncmp(entry + 8, "SERVICE_", 8) == 0 || strncmp(entry + 8, "PORT", 4) == 0;
        if (other)
            continue;
        if (!key || entry[8 + size] != '=')
            return unknown_variable(entry + 8, size, err);
        enum oto_status status =
            set_value(config, key, entry + 9 + size, OTO_CONFIG_FROM_ENVIRONMENT, err);
        if (status < 0) {
            oto_error_context(err, "environment");
            return status;
        }
    }
    return OTO_OK;
}

// --- YAML ---

struct yaml_load {
    struct oto_config *config;
    const char *path;
    yaml_parser_t parser;
    yaml_event_t event;
    struct oto_error *err;
};

static enum oto_status yaml_fail(struct yaml_load *y, const char *what, const char *text)
{
    unsigned line = (unsigned)y->event.start_mark.line + 1;
    oto_error_set(y->err, OTO_INVALID, "%s:%u: %s%s%s", y->path, line, what, text ? ": " : "",
                  text ? text : "");
    if (y->err)
        y->err->line = line;
    return OTO_INVALID;
}

// "data: ~": whoever writes it means no folder of that name.
static int is_none(const char *text)
{
    return strcmp(text, "~") == 0 || strcmp(text, "null") == 0 || strcmp(text, "Null") == 0 ||
           strcmp(text, "NULL") == 0;
}

static enum oto_status check_value(struct yaml_load *y, const struct oto_config_key *key)
{
    const char *text = (const char *)y->event.data.scalar.value;
    char what[64];
    if (!y->event.data.scalar.plain_implicit || !is_none(text)) // in quotes, or with a tag: text
        return OTO_OK;
    (void)snprintf(what, sizeof(what), "no value (in YAML %s is none; in quotes it is text)", text);
    return yaml_fail(y, what, key->name);
}

static enum oto_status yaml_next(struct yaml_load *y)
{
    yaml_event_delete(&y->event);
    if (yaml_parser_parse(&y->parser, &y->event))
        return OTO_OK;
    return oto_error_set(y->err, OTO_INVALID, "%s:%u: not YAML: %s", y->path,
                         (unsigned)y->parser.problem_mark.line + 1,
                         y->parser.problem ? y->parser.problem : "unreadable");
}

// Puts before the message of a failure where it stands.
static enum oto_status yaml_placed(struct yaml_load *y, enum oto_status status)
{
    if (status < 0)
        oto_error_context(y->err, "%s:%u", y->path, (unsigned)y->event.start_mark.line + 1);
    return status;
}

static enum oto_status yaml_sequence(struct yaml_load *y, const struct oto_config_key *key)
{
    struct oto_config_list *list = field_of(y->config, key);
    list_clear(list);
    for (;;) {
        OTO_TRY(yaml_next(y));
        if (y->event.type == YAML_SEQUENCE_END_EVENT)
            return OTO_OK;
        if (y->event.type != YAML_SCALAR_EVENT)
            return yaml_fail(y, "a list of plain values is expected for", key->name);
        OTO_TRY(check_value(y, key));
        OTO_TRY(yaml_placed(y, list_add(key, list, (const char *)y->event.data.scalar.value,
                                        y->event.data.scalar.length, y->err)));
    }
}

static enum oto_status yaml_value(struct yaml_load *y, const struct oto_config_key *key)
{
    OTO_TRY(yaml_next(y));
    if (y->event.type == YAML_SCALAR_EVENT) {
        OTO_TRY(check_value(y, key));
        OTO_TRY(yaml_placed(y, set_value(y->config, key, (const char *)y->event.data.scalar.value,
                                         OTO_CONFIG_FROM_FILE, y->err)));
    } else if (y->event.type == YAML_SEQUENCE_START_EVENT && key->type == OTO_CONFIG_LIST)
        OTO_TRY(yaml_sequence(y, key));
    else
        return yaml_fail(y, "a plain value is expected for", key->name);
    y->config->source[key - oto_config_keys] = OTO_CONFIG_FROM_FILE;
    return OTO_OK;
}

static enum oto_status unknown_key(struct yaml_load *y, const char *name)
{
    char text[2 * OTO_NEAREST_MAX + 32];
    struct oto_nearest nearest;
    find_nearest_key(name, &nearest);
    if (!*nearest.name)
        return yaml_fail(y, "unknown key", name);
    (void)snprintf(text, sizeof(text), "%.*s: did you mean %s?", OTO_NEAREST_MAX, name,
                   nearest.name);
    return yaml_fail(y, "unknown key", text);
}

static enum oto_status yaml_mapping(struct yaml_load *y)
{
    uint8_t seen[64] = {0};
    for (;;) {
        OTO_TRY(yaml_next(y));
        if (y->event.type == YAML_MAPPING_END_EVENT)
            return OTO_OK;
        if (y->event.type != YAML_SCALAR_EVENT)
            return yaml_fail(y, "a key is expected", NULL);
        const char *name = (const char *)y->event.data.scalar.value;
        const struct oto_config_key *key =
            strchr(name, '-') ? NULL : find_key(name, y->event.data.scalar.length);
        if (!key)
            return unknown_key(y, name);
        if (seen[key - oto_config_keys]++)
            return yaml_fail(y, "key given twice", name);
        y->config->lines[key - oto_config_keys] = (uint32_t)y->event.start_mark.line + 1;
        OTO_TRY(yaml_value(y, key));
    }
}

static enum oto_status yaml_document(struct yaml_load *y)
{
    for (;;) {
        OTO_TRY(yaml_next(y));
        switch (y->event.type) {
        case YAML_STREAM_END_EVENT:
            return OTO_OK;
        case YAML_MAPPING_START_EVENT:
            OTO_TRY(yaml_mapping(y));
            break;
        case YAML_STREAM_START_EVENT:
        case YAML_DOCUMENT_START_EVENT:
        case YAML_DOCUMENT_END_EVENT:
            break;
        case YAML_SCALAR_EVENT:
            if (y->event.data.scalar.length == 0) // an empty document
                break;
            __attribute__((fallthrough));
        default:
            return yaml_fail(y, "a mapping of settings is expected", NULL);
        }
    }
}

enum oto_status oto_config_load_text(struct oto_config *config, struct oto_bytes text,
                                     const char *name, struct oto_error *err)
{
    struct yaml_load y = {.config = config, .path = name, .err = err};
    free(config->file_name);
    config->file_name = strdup(name);
    if (!config->file_name)
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    if (!yaml_parser_initialize(&y.parser))
        return oto_error_set(err, OTO_NO_MEMORY, "out of memory");
    yaml_parser_set_input_string(&y.parser, text.data, text.size);
    enum oto_status status = yaml_document(&y);
    yaml_event_delete(&y.event);
    yaml_parser_delete(&y.parser);
    return status;
}

enum oto_status oto_config_load_file(struct oto_config *config, const char *path,
                                     struct oto_error *err)
{
    FILE *file = fopen(path, "rbe");
    if (!file)
        return oto_error_set(err, OTO_NOT_FOUND, "%s: cannot be read: %s", path, strerror(errno));
    char *text = malloc(CONFIG_FILE_MAX + 1);
    size_t size = text ? fread(text, 1, CONFIG_FILE_MAX + 1, file) : 0;
    enum oto_status status = !text          ? OTO_NO_MEMORY
                             : ferror(file) ? oto_error_set(err, OTO_IO, "%s: cannot be read", path)
                             : size > CONFIG_FILE_MAX
                                 ? oto_error_set(err, OTO_TOO_LARGE, "%s: larger than 1 MiB", path)
                                 : oto_config_load_text(config, oto_bytes(text, size), path, err);
    free(text);
    (void)fclose(file);
    return status;
}

// --- showing ---

enum oto_status oto_config_value_text(const struct oto_config *config,
                                      const struct oto_config_key *key, struct oto_buffer *output)
{
    const void *field = field_of(config, key);
    if (key->type == OTO_CONFIG_STRING) {
        const char *text = *(char *const *)field, *quote = is_none(text) ? "\"" : "";
        return oto_buffer_append_format(output, "%s%s%s", quote, text, quote);
    }
    if (key->type != OTO_CONFIG_LIST) {
        char text[OTO_CONFIG_NUMBER_MAX];
        oto_config_number_text(key, *(const uint64_t *)field, text);
        return oto_buffer_append_format(output, "%s", text);
    }
    const struct oto_config_list *list = field;
    OTO_TRY(oto_buffer_append(output, "[", 1));
    for (size_t i = 0; i < list->count; i++)
        OTO_TRY(oto_buffer_append_format(output, "%s\"%s\"", i ? ", " : "", list->items[i]));
    return oto_buffer_append(output, "]", 1);
}

static void flag_name(const char *name, char *output)
{
    for (; *name; name++)
        *output++ = *name == '_' ? '-' : *name;
    *output = 0;
}

// What a value may be.
static enum oto_status write_values(const struct oto_config_key *key, struct oto_buffer *output)
{
    const char *comma = "";
    char range[OTO_CONFIG_RANGE_MAX];
    oto_config_range_text(key, range);
    if (!key->choices)
        return oto_buffer_append_format(output, "%s", range);
    for (const char *choice = key->choices; *choice; comma = ", ") {
        size_t size = strcspn(choice, "|");
        OTO_TRY(oto_buffer_append_format(output, "%s`%.*s`", comma, (int)size, choice));
        if (choice[size - 1] == '>')
            OTO_TRY(oto_buffer_append_format(output, " (%s)", range));
        choice += size + (choice[size] == '|');
    }
    return OTO_OK;
}

enum oto_status oto_config_write_markdown(struct oto_buffer *output)
{
    static const char *const types[] = {"text", "list", "number", "size", "time"};
    OTO_TRY(oto_buffer_append_format(
        output, "| key (YAML) | flag | environment | type | default | values | meaning |\n"
                "|---|---|---|---|---|---|---|\n"));
    for (size_t i = 0; i < oto_config_key_count; i++) {
        const struct oto_config_key *key = &oto_config_keys[i];
        char flag[64], upper[64];
        flag_name(key->name, flag);
        size_t size = strlen(key->name);
        for (size_t k = 0; k <= size; k++)
            upper[k] = (char)toupper((unsigned char)key->name[k]);
        OTO_TRY(oto_buffer_append_format(output, "| `%s` | `--%s` | `OTOLITH_%s` | %s | `%s` | ",
                                         key->name, flag, upper, types[key->type],
                                         *key->default_text ? key->default_text : " "));
        OTO_TRY(write_values(key, output));
        OTO_TRY(oto_buffer_append_format(output, " | %s |\n", key->help));
    }
    return OTO_OK;
}
