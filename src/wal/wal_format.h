// The bytes of log segments, records and checkpoints (docs/WAL.md), without I/O: recovery, the
// inspect command and the fuzzer share it.
#ifndef OTO_WAL_WAL_FORMAT_H
#define OTO_WAL_WAL_FORMAT_H

#include "wal/wal.h"

#define OTO_WAL_VERSION 1
#define OTO_WAL_SEGMENT_HEADER_BYTES                                                               \
    4096 // a whole page, so that no record shares a sector with the header
#define OTO_WAL_RECORD_HEADER_BYTES 40
#define OTO_WAL_PAYLOAD_MAX (1u << 30)
#define OTO_WAL_CHECKPOINT_BYTES 40

struct oto_wal_segment_header {
    uint64_t salt;      // random a life of the file; each of its records repeats it
    uint64_t first_seq; // of the first record; records of older segments from there on are void
    uint64_t ordinal;   // place among the segments; must be what the file's name says
    uint64_t created_ns;
};

// output: OTO_WAL_SEGMENT_HEADER_BYTES.
void oto_wal_segment_header_encode(const struct oto_wal_segment_header *header, uint8_t *output);
// bytes: the header page, or less at the end of a short file. OTO_CORRUPT, OTO_UNSUPPORTED for a
// newer version.
OTO_MUST_CHECK enum oto_status
oto_wal_segment_header_decode(struct oto_bytes bytes, struct oto_wal_segment_header *ret_header,
                              struct oto_error *err);

// What a record takes in the segment: header, payload, zeros to a multiple of 8.
static inline uint64_t oto_wal_record_size(uint64_t payload_size)
{
    return (OTO_WAL_RECORD_HEADER_BYTES + payload_size + 7) & ~(uint64_t)7;
}
// A record for the segment of that salt. output: oto_wal_record_size(record->payload.size) bytes.
void oto_wal_record_encode(const struct oto_wal_record *record, uint64_t salt, uint8_t *output);
// Makes an encoded record one of the segment of that salt. Returns its size.
size_t oto_wal_record_seal(uint8_t *encoded, uint64_t salt);

// Reads the record at the start of bytes; salt 0 takes any. OTO_OK: *ret_size bytes were used.
// OTO_AGAIN: it may be one, when there are *ret_size bytes. OTO_CORRUPT: no record of that salt is
// here. Ownership: payload is a view into bytes.
enum oto_status oto_wal_record_decode(struct oto_bytes bytes, uint64_t salt,
                                      struct oto_wal_record *ret_record, uint64_t *ret_salt,
                                      size_t *ret_size);

struct oto_wal_marks {
    uint64_t flushed_seq;
    uint64_t cut_seq;
};
void oto_wal_checkpoint_encode(const struct oto_wal_marks *marks,
                               uint8_t *output); // OTO_WAL_CHECKPOINT_BYTES
OTO_MUST_CHECK enum oto_status oto_wal_checkpoint_decode(struct oto_bytes bytes,
                                                         struct oto_wal_marks *ret_marks,
                                                         struct oto_error *err);

#endif
