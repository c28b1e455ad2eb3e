// `otolith verify`: is a data folder whole? Every page and every record of the log is checked,
// every file decoded, and what was acknowledged looked for in files and logs. Reads only; a server
// may run on the folder meanwhile. Blocking; one thread.
#ifndef OTO_INSPECT_VERIFY_H
#define OTO_INSPECT_VERIFY_H

#include "base/bytes.h"
#include "telemetry/signal.h"

struct oto_verify_finding {
    int is_note;      // nothing is wrong, but somebody may want to know
    const char *path; // file, or the folder of a log
    uint64_t offset;  // in it, or OTO_OFFSET_NONE
    const char *message;
};

struct oto_verify_options {
    const char *data_path;
    int missing_allowed; // files were removed on purpose: say nothing of rows that are in none
    void (*found)(void *state, const struct oto_verify_finding *finding);
    void (*progress)(void *state, uint64_t done_bytes, uint64_t total_bytes); // may be NULL
    void *state;
};

struct oto_verify_result {
    uint64_t files, file_bytes, pages;
    uint64_t rows[OTO_TABLE_COUNT];
    uint64_t logs, segments, records, record_bytes;
    uint64_t problems, notes;
};

// OTO_NOT_FOUND (no data folder), OTO_NO_MEMORY, OTO_IO. Problems of the data are no failures: they
// are counted.
OTO_MUST_CHECK enum oto_status oto_verify(const struct oto_verify_options *options,
                                          struct oto_verify_result *ret_result,
                                          struct oto_error *err);

#endif
