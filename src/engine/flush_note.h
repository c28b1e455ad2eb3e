// What each file of a flush says of it, in its metadata under "otolith.flush": which records of
// which log, and how many rows of each table. That a file is missing can be told from any other.
#ifndef OTO_ENGINE_FLUSH_NOTE_H
#define OTO_ENGINE_FLUSH_NOTE_H

#include "parquet/parquet_reader.h"
#include "telemetry/tables.h"

#define OTO_FLUSH_NOTE_KEY "otolith.flush"
#define OTO_FLUSH_NOTE_MAX 512

struct oto_flush_note {
    uint32_t shard;
    uint64_t first_seq, last_seq;
    uint64_t rows[OTO_TABLE_COUNT];
};

void oto_flush_note_print(const struct oto_flush_note *note, char ret_text[OTO_FLUSH_NOTE_MAX]);
// OTO_NOT_FOUND: the file has none. OTO_INVALID: it has something else.
OTO_MUST_CHECK enum oto_status oto_flush_note_find(const struct oto_parquet_metadata *metadata,
                                                   struct oto_flush_note *ret_note);
// What two files say of one flush, note zeroed before the first: the larger counts. Where it was
// done again with less, some files are of its first run.
void oto_flush_note_widen(struct oto_flush_note *note, const struct oto_flush_note *other);

#endif
