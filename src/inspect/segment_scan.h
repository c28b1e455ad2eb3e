// Reads a log segment as recovery would, and changes nothing: what inspect shows of it and verify
// holds it to. A segment may grow while it is read. Format: docs/WAL.md.
#ifndef OTO_INSPECT_SEGMENT_SCAN_H
#define OTO_INSPECT_SEGMENT_SCAN_H

#include "wal/wal_format.h"

// What stands behind the last record.
enum oto_segment_rest {
    OTO_SEGMENT_REST_NOTHING, // the end of the file
    OTO_SEGMENT_REST_ZEROS,   // space written ahead
    OTO_SEGMENT_REST_STALE,   // records of an earlier life of the file
    OTO_SEGMENT_REST_TORN,    // a record that is not whole: it was never acknowledged
};

struct oto_segment_scan {
    uint64_t file_bytes;
    int is_header_good;
    char header_problem[256];
    struct oto_wal_segment_header header;
    uint64_t record_count;
    uint64_t first_seq, last_seq; // of the records found; 0: none
    uint64_t valid_bytes;         // the last record ends here
    uint32_t damage_count;        // places before that which hold no record
    enum oto_segment_rest rest;
};

// A record, or (record NULL) a damaged place before a later record.
typedef enum oto_status (*oto_segment_visit)(void *state, const struct oto_wal_record *record,
                                             uint64_t offset, uint64_t size, struct oto_error *err);

// limit_seq: records from there on are void (a later segment begins with it); UINT64_MAX: none.
// visit may be NULL; its negative answers end it. OTO_NOT_FOUND, OTO_UNSUPPORTED (a newer format),
// OTO_NO_MEMORY, OTO_IO.
OTO_MUST_CHECK enum oto_status oto_segment_scan(const char *path, uint64_t limit_seq,
                                                oto_segment_visit visit, void *state,
                                                struct oto_segment_scan *ret_scan,
                                                struct oto_error *err);

#endif
