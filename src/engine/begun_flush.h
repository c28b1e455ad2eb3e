// The files of a flush that a crash cut short: it is done again from the log, as a whole. Only
// where the log has lost some of it files stay that are there: each was written in one piece.
#ifndef OTO_ENGINE_BEGUN_FLUSH_H
#define OTO_ENGINE_BEGUN_FLUSH_H

#include "engine/engine_internal.h"

struct oto_begun_file {
    char *name;
    enum oto_table table;
    int stays;
};

struct oto_begun_flush {
    struct oto_engine *engine;
    uint32_t shard;
    uint64_t first_seq, last_seq; // of its records
    struct oto_begun_file *files; // that are there
    size_t count;
    int is_damaged; // the log lacks some of its records
};

// The names of its files, none of which stays. Released by the caller, also on failure.
OTO_MUST_CHECK enum oto_status oto_begun_flush_find(struct oto_engine *engine, uint32_t shard,
                                                    uint64_t first_seq, uint64_t last_seq,
                                                    struct oto_begun_flush *ret_flush,
                                                    struct oto_error *err);
void oto_begun_flush_release(struct oto_begun_flush *flush);

// The log is damaged: lets all files stay but those that are damaged themselves. *ret_is_whole:
// they hold all rows that they say it was to write; only its end was not marked.
OTO_MUST_CHECK enum oto_status oto_begun_flush_keep(struct oto_begun_flush *flush,
                                                    int *ret_is_whole, struct oto_error *err);
// Whether a file stays that has the rows of the partition that a file of that name would hold. What
// shared the folder of the overflow is not known: it may come twice.
int oto_begun_flush_has(const struct oto_begun_flush *flush, const char *name);
// Its files are written, its end is not marked yet. Files that stay may have their names in the
// page cache only: they are made durable. Where none stays, those that the second run did not write
// again are removed: their rows are elsewhere now.
OTO_MUST_CHECK enum oto_status oto_begun_flush_finish(const struct oto_begun_flush *flush,
                                                      struct oto_error *err);

#endif
