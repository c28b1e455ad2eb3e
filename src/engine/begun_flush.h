// The files of a flush that a crash cut short: it is done again from the log, as a whole.
#ifndef OTO_ENGINE_BEGUN_FLUSH_H
#define OTO_ENGINE_BEGUN_FLUSH_H

#include "engine/engine_internal.h"

struct oto_begun_flush {
    struct oto_engine *engine;
    uint32_t shard;
    uint64_t first_seq, last_seq; // of its records
    char **names;                 // of the files that are there
    enum oto_table *tables;
    size_t count;
};

// The names of its files. Released by the caller, also on failure.
OTO_MUST_CHECK enum oto_status oto_begun_flush_find(struct oto_engine *engine, uint32_t shard,
                                                    uint64_t first_seq, uint64_t last_seq,
                                                    struct oto_begun_flush *ret_flush,
                                                    struct oto_error *err);
void oto_begun_flush_release(struct oto_begun_flush *flush);

// 1: the files hold all rows that they say it was to write; only its end was not marked.
OTO_MUST_CHECK enum oto_status oto_begun_flush_is_whole(const struct oto_begun_flush *flush,
                                                        int *ret_is_whole, struct oto_error *err);
// Those that its second run did not write again: their rows are elsewhere now.
OTO_MUST_CHECK enum oto_status oto_begun_flush_remove_rest(const struct oto_begun_flush *flush,
                                                           struct oto_error *err);

#endif
