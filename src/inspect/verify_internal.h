// The parts of verify.
#ifndef OTO_INSPECT_VERIFY_INTERNAL_H
#define OTO_INSPECT_VERIFY_INTERNAL_H

#include "engine/engine_internal.h" // how files are named
#include "engine/flush_note.h"
#include "inspect/inspect_internal.h"
#include "inspect/verify.h"
#include "telemetry/tables.h"

struct oto_verify_file {
    char *name; // below the data folder
    enum oto_table table;
    uint64_t size_bytes;
    struct oto_catalogue_file parsed; // by its name
    int is_ours;                      // the name is one of ours
    int is_checked, is_gone;
    int is_whole; // rows were read
    uint64_t row_count;
    uint64_t footer_hash_low, footer_hash_high;
    int has_note;
    struct oto_flush_note note;
};

// Consecutive sequence numbers.
struct oto_seq_range {
    uint64_t first, last;
};

struct oto_verify_log {
    uint32_t shard;
    struct oto_wal_marks marks;
    uint64_t last_seq;        // of its records
    struct oto_buffer ranges; // struct oto_seq_range: what its segments hold
};

struct oto_verify {
    const struct oto_verify_options *options;
    struct oto_verify_result *result;
    struct oto_error *err;
    struct oto_schemas *schemas;
    struct oto_codec *codec;
    struct oto_arena arena;
    struct oto_buffer files; // struct oto_verify_file
    struct oto_buffer logs;  // struct oto_verify_log
    uint64_t done_bytes, total_bytes;
};

static inline struct oto_verify_file *oto_verify_files(const struct oto_verify *v,
                                                       size_t *ret_count)
{
    *ret_count = v->files.size / sizeof(struct oto_verify_file);
    return (struct oto_verify_file *)(void *)v->files.data;
}
static inline struct oto_verify_log *oto_verify_logs(const struct oto_verify *v, size_t *ret_count)
{
    *ret_count = v->logs.size / sizeof(struct oto_verify_log);
    return (struct oto_verify_log *)(void *)v->logs.data;
}

// name: below the data folder.
void oto_verify_problem(struct oto_verify *v, const char *name, uint64_t offset, const char *format,
                        ...) OTO_PRINTF(4, 5);
void oto_verify_note(struct oto_verify *v, const char *name, uint64_t offset, const char *format,
                     ...) OTO_PRINTF(4, 5);
void oto_verify_path(const struct oto_verify *v, const char *name, char path[OTO_INSPECT_PATH_MAX]);

// Each returns failures of the machine only.
OTO_MUST_CHECK enum oto_status oto_verify_one_file(struct oto_verify *v,
                                                   struct oto_verify_file *file);
void oto_verify_schema(struct oto_verify *v, const struct oto_verify_file *file,
                       const struct oto_parquet_metadata *metadata);
OTO_MUST_CHECK enum oto_status oto_verify_read_logs(struct oto_verify *v);
OTO_MUST_CHECK enum oto_status oto_verify_ranges(struct oto_verify *v);
// Equal files under two names.
OTO_MUST_CHECK enum oto_status oto_verify_duplicates(struct oto_verify *v);

#endif
