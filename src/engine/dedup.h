// Requests seen lately, by a 128-bit hash: a client that repeats a request because the answer got
// lost must not make its rows double. Fixed capacity, oldest out first; but what was resent stays,
// a limited number of it however old, until all logs have been replayed. Any thread.
#ifndef OTO_ENGINE_DEDUP_H
#define OTO_ENGINE_DEDUP_H

#include "base/bytes.h"

struct oto_dedup;

struct oto_dedup_entry {
    uint64_t hash_low, hash_high;
    uint64_t received_ns; // wall clock
    uint64_t seq;         // of the shard's log
    uint32_t item_count;
    uint16_t shard;
    uint8_t state;  // enum oto_dedup_state
    uint8_t resent; // a copy was refused before this one, and may be in a log all the same
};

enum oto_dedup_state {
    OTO_DEDUP_NEW,     // not seen: it is noted as pending now
    OTO_DEDUP_PENDING, // the first one has no outcome yet
    OTO_DEDUP_STORED,
    OTO_DEDUP_REFUSED, // within: its log failed. Whoever asks is told NEW
};

// NULL when out of memory.
struct oto_dedup *oto_dedup_new(uint32_t capacity, uint64_t window_ns);
void oto_dedup_free(struct oto_dedup *dedup);

// Looks a request up and notes it as pending when it is new. entry: hash, received_ns, shard;
// item_count is set when it is STORED, resent when it is NEW.
enum oto_dedup_state oto_dedup_begin(struct oto_dedup *dedup, struct oto_dedup_entry *entry);
// As it is now, noting nothing: OTO_DEDUP_NEW when it is not known (any more).
enum oto_dedup_state oto_dedup_look(struct oto_dedup *dedup, struct oto_dedup_entry *entry);
// Its outcome: stored as record seq; or (forget) as if it had never been; or (refuse) the same, but
// its log failed, which may hold it: what comes again is resent.
void oto_dedup_settle(struct oto_dedup *dedup, const struct oto_dedup_entry *entry);
void oto_dedup_forget(struct oto_dedup *dedup, uint64_t hash_low, uint64_t hash_high);
void oto_dedup_refuse(struct oto_dedup *dedup, uint64_t hash_low, uint64_t hash_high);

// At replay. Every record was new to the server that logged it and is to be stored, but for one
// case: it was refused after all and came again (resent) to another log. 1: the other is stored.
int oto_dedup_is_copy(struct oto_dedup *dedup, const struct oto_dedup_entry *entry);
// Notes a stored one, however old, in place of one of the same hash.
void oto_dedup_restore(struct oto_dedup *dedup, const struct oto_dedup_entry *entry);

// Every log has been replayed, so none has a refused copy any more.
void oto_dedup_forget_copies(struct oto_dedup *dedup);

// Makes one shard's entries another's, of no particular record: their log is gone, the requests are
// still known.
void oto_dedup_adopt(struct oto_dedup *dedup, uint32_t from_shard, uint32_t to_shard);

#define OTO_DEDUP_CAPACITY_MAX (1u << 20)
#define OTO_DEDUP_KEEP_ALL 0u // for now_ns: nothing is past its window

// The shard's stored entries up to last_seq, and back (docs/WAL.md).
OTO_MUST_CHECK enum oto_status oto_dedup_encode(struct oto_dedup *dedup, uint32_t shard,
                                                uint64_t last_seq, uint64_t now_ns,
                                                struct oto_buffer *output);
// OTO_CORRUPT: nothing was taken.
OTO_MUST_CHECK enum oto_status oto_dedup_decode(struct oto_dedup *dedup, struct oto_bytes bytes,
                                                uint32_t shard, uint64_t flushed_seq,
                                                uint64_t now_ns, struct oto_error *err);
size_t oto_dedup_memory_bytes(const struct oto_dedup *dedup);

#endif
