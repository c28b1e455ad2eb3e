// Configuration: one table defines every key once; flags, OTOLITH_* environment, YAML file,
// defaults, --help, check-config and docs/CONFIGURATION.md all come from it. Precedence: flag >
// environment > file > default.
#ifndef OTO_API_CONFIG_H
#define OTO_API_CONFIG_H

#include "base/bytes.h"

#define OTO_CONFIG_LIST_MAX 64

struct oto_config_list {
    char *items[OTO_CONFIG_LIST_MAX]; // NUL-terminated, owned
    size_t count;
};

struct oto_config {
    char *data;
    struct oto_config_list listen;
    uint64_t threads; // 0: one a core
    uint64_t memory_limit;
    char *durability; // "fsync", "interval:<ms>", "none"
    uint64_t flush_interval_ms;
    uint64_t flush_rows;
    uint64_t flush_bytes;
    uint64_t dedup_window_ms;
    struct oto_config_list promote;
    uint64_t request_bytes_max;
    uint64_t request_bytes_given; // what it was before memory_limit lowered it; 0: it did not
    uint64_t connections_max;
    uint64_t connection_age_max_ms;
    struct oto_config_list allowed_hosts;
    uint64_t disk_free_min;
    uint64_t wal_segment_size;
    uint64_t drain_timeout_ms;
    char *log_level;
    char *log_format;
    uint64_t query_workers;
    uint64_t query_threads;
    uint64_t query_memory_limit;
    uint64_t query_timeout_ms;
    uint64_t query_rows_max;
    uint64_t query_idle_ms;
    uint64_t query_ahead;
    uint8_t source[64]; // an enum oto_config_source of each key's value
    char *file_name;    // that of the file which was read; NULL: none
    uint32_t lines[64]; // of each key in it
};

enum oto_config_source {
    OTO_CONFIG_FROM_DEFAULT,
    OTO_CONFIG_FROM_FILE,
    OTO_CONFIG_FROM_ENVIRONMENT,
    OTO_CONFIG_FROM_FLAG
};

enum oto_config_type {
    OTO_CONFIG_STRING,
    OTO_CONFIG_LIST,     // "a, b", or a sequence of YAML, whose items are taken as they are
    OTO_CONFIG_COUNT,    // a whole number
    OTO_CONFIG_SIZE,     // bytes: 64MiB, 1GB, 4096
    OTO_CONFIG_DURATION, // milliseconds: 500ms, 10s, 5m, 1h
};

struct oto_config_key {
    const char *name; // YAML: memory_limit; flag: --memory-limit; environment: OTOLITH_MEMORY_LIMIT
    enum oto_config_type type;
    size_t offset;            // of the field in struct oto_config
    const char *default_text; // lists: comma-separated
    uint64_t min, max;        // numbers, also that of a choice
    // Strings: "text|json", or NULL. "interval:<ms>": a number stands behind the colon.
    const char *choices;
    const char *value_name; // in --help
    const char *help;       // one sentence
};
extern const struct oto_config_key oto_config_keys[];
extern const size_t oto_config_key_count;

// Fills config with the defaults. OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_config_init(struct oto_config *config, struct oto_error *err);
// Reads a YAML file (a mapping of the keys). OTO_INVALID says file, line and key.
OTO_MUST_CHECK enum oto_status oto_config_load_file(struct oto_config *config, const char *path,
                                                    struct oto_error *err);
// The same from memory; name stands for the path in errors.
OTO_MUST_CHECK enum oto_status oto_config_load_text(struct oto_config *config,
                                                    struct oto_bytes text, const char *name,
                                                    struct oto_error *err);
// Reads OTOLITH_* variables. An unknown OTOLITH_ variable is refused (except OTOLITH_CONFIG and
// those of other parts).
OTO_MUST_CHECK enum oto_status oto_config_load_environment(struct oto_config *config,
                                                           char *const *environment,
                                                           struct oto_error *err);
// Reads flags "--key value" and "--key=value" from argv[*index…]; stops at the first argument that
// is none of its keys. Lists: each use adds items, the first replaces what came before.
OTO_MUST_CHECK enum oto_status oto_config_load_flag(struct oto_config *config, int argc,
                                                    char *const *argv, int *index, int *ret_known,
                                                    struct oto_error *err);
// The last step: checks what a key's text alone does not tell (addresses, columns of promoted
// attributes, what spans several keys), and puts limits that follow from others in place. What
// passes here the server can start with, as far as the configuration goes. OTO_INVALID says file,
// line and key, or that the value is the environment's.
OTO_MUST_CHECK enum oto_status oto_config_check(struct oto_config *config, struct oto_error *err);
// From an item of listen, "127.0.0.1:4317,ingest,admin", its address and roles (without any: all).
// OTO_INVALID.
#define OTO_CONFIG_ADDRESS_MAX 256
OTO_MUST_CHECK enum oto_status oto_config_parse_listener(const char *text,
                                                         char address[OTO_CONFIG_ADDRESS_MAX],
                                                         uint32_t *ret_roles,
                                                         struct oto_error *err);
// A number of a key as it can be given: "64MiB", "10s".
#define OTO_CONFIG_NUMBER_MAX 32
void oto_config_number_text(const struct oto_config_key *key, uint64_t value,
                            char text[OTO_CONFIG_NUMBER_MAX]);
// What a number of a key may be, "48MiB to 1TiB"; "" where it has none.
#define OTO_CONFIG_RANGE_MAX (2 * OTO_CONFIG_NUMBER_MAX + 4)
void oto_config_range_text(const struct oto_config_key *key, char text[OTO_CONFIG_RANGE_MAX]);
// Appends the text of a key's present value.
OTO_MUST_CHECK enum oto_status oto_config_value_text(const struct oto_config *config,
                                                     const struct oto_config_key *key,
                                                     struct oto_buffer *output);
// Appends where that value comes from: "file", and what else it is due to.
OTO_MUST_CHECK enum oto_status oto_config_origin_text(const struct oto_config *config,
                                                      const struct oto_config_key *key,
                                                      struct oto_buffer *output);
// Appends the table of docs/CONFIGURATION.md.
OTO_MUST_CHECK enum oto_status oto_config_write_markdown(struct oto_buffer *output);
void oto_config_release(struct oto_config *config);

// "64MiB", "1GB", "4096" -> bytes; "1500ms", "10s", "5m", "2h" -> milliseconds. OTO_INVALID.
OTO_MUST_CHECK enum oto_status oto_config_parse_size(const char *text, uint64_t *ret_bytes);
OTO_MUST_CHECK enum oto_status oto_config_parse_duration(const char *text, uint64_t *ret_ms);

#endif
