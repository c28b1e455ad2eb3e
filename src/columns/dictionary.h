// A dictionary: distinct byte strings and their codes 0, 1, 2, … in order of first appearance.
// Entries never move in memory once their arena block is there, so a view taken at some count stays
// valid while more are appended. A dictionary that proves useless stops looking values up
// ("plain"): every append that its hint does not answer is then a new entry, so equal entries may
// stand under several codes. Belongs to one thread; views of it (struct copies without slots, see
// oto_builder_view) may be read by others.
#ifndef OTO_COLUMNS_DICTIONARY_H
#define OTO_COLUMNS_DICTIONARY_H

#include "base/bytes.h"

struct oto_dictionary {
    struct oto_arena *arena;   // borrowed: holds entries, table and bytes
    struct oto_bytes *entries; // code -> bytes; a larger array replaces it as it grows, the old one
                               // stays readable
    uint32_t count;
    uint32_t capacity;
    uint64_t *slots; // open addressing: low 32 bits of the hash, above code + 1; 0 when empty.
                     // NULL: none yet, plain, or a view
    uint32_t slot_mask;
    uint32_t slot_count; // entries that slots know
    uint64_t seed;
    uint64_t size_bytes;    // sum of entry sizes
    const uint32_t *length; // of the column whose values these are; NULL: adds are counted
    uint32_t adds;          // without hints
    uint32_t window_length; // length (or adds), and
    uint32_t window_count;  // slot_count, when the latest judgement for the fall-back was made
    int plain;              // 1: no longer deduplicates
    int keep;               // 1: never falls back (identity dictionaries of levels)
};

// Takes no memory until the first add.
void oto_dictionary_init(struct oto_dictionary *d, struct oto_arena *arena, uint64_t seed,
                         int keep);

// The code of a value, appended (copied) when new. OTO_NO_MEMORY. Falls back to plain, unless
// `keep`, when after 16384 values of the column over half of the last 4096 or so were new. (Values
// count whether a hint knew them or not: a column with one unique value in five keeps its
// dictionary for the other four.)
OTO_MUST_CHECK enum oto_status oto_dictionary_add(struct oto_dictionary *d, struct oto_bytes value,
                                                  uint32_t *ret_code);

// The same in two steps, for callers that do something to new values: 1 with the code of a value
// that is there, or 0 with a hash for oto_dictionary_add_new, to be called with the same bytes and
// nothing between. Plain dictionaries look nothing up, and need no hash: 0.
int oto_dictionary_peek(const struct oto_dictionary *d, struct oto_bytes value, uint32_t *ret_hash,
                        uint32_t *ret_code);
// OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_dictionary_add_new(struct oto_dictionary *d,
                                                      struct oto_bytes value, uint32_t hash,
                                                      uint32_t *ret_code);

// For callers that look several values up together, so that what is looked at is at hand by then:
// the hash, to be followed by a fetch of its slot; when that has come, the code of the first entry
// with this hash, which is fetched (UINT32_MAX: none); when that has come, its bytes are fetched.
uint32_t oto_dictionary_hash(const struct oto_dictionary *d, struct oto_bytes value);
static inline void oto_dictionary_fetch_slot(const struct oto_dictionary *d, uint32_t hash)
{
    if (d->slots)
        __builtin_prefetch(&d->slots[hash & d->slot_mask]);
}
uint32_t oto_dictionary_fetch_entry(const struct oto_dictionary *d, uint32_t hash);
static inline void oto_dictionary_fetch_bytes(const struct oto_dictionary *d, uint32_t code)
{
    if (code < d->count)
        __builtin_prefetch(d->entries[code].data);
}
// As peek, with the hash, and the code that fetch_entry gave: it is looked at first.
int oto_dictionary_peek_fetched(const struct oto_dictionary *d, struct oto_bytes value,
                                uint32_t hash, uint32_t code, uint32_t *ret_code);

// Adds a value that nobody expects to have come before, or to come again: a new entry without a
// look, and not to be found by later ones. OTO_NO_MEMORY.
OTO_MUST_CHECK enum oto_status oto_dictionary_add_blind(struct oto_dictionary *d,
                                                        struct oto_bytes value, uint32_t *ret_code);

// The same for ASCII: 0 when the value has other bytes, or there is no memory, and nothing was
// done.
int oto_dictionary_add_ascii(struct oto_dictionary *d, struct oto_bytes value, uint32_t *ret_code);

// 1 when no two entries are equal.
static inline int oto_dictionary_is_distinct(const struct oto_dictionary *d)
{
    return !d->plain && d->slot_count == d->count;
}

// Equal bytes; up to 32 of them without a call.
static inline int oto_dictionary_same(const uint8_t *a, const uint8_t *b, size_t size)
{
    if (size > 16) {
        uint64_t differ = (oto_load64(a) ^ oto_load64(b)) |
                          (oto_load64(a + 8) ^ oto_load64(b + 8)) |
                          (oto_load64(a + size - 8) ^ oto_load64(b + size - 8)) |
                          (oto_load64(a + size - 16) ^ oto_load64(b + size - 16));
        return !differ && (size <= 32 || memcmp(a + 16, b + 16, size - 32) == 0);
    }
    if (size >= 8)
        return oto_load64(a) == oto_load64(b) &&
               oto_load64(a + size - 8) == oto_load64(b + size - 8);
    if (size >= 4)
        return oto_load32(a) == oto_load32(b) &&
               oto_load32(a + size - 4) == oto_load32(b + size - 4);
    return size == 0 ||
           (a[0] == b[0] && a[size >> 1] == b[size >> 1] && a[size - 1] == b[size - 1]);
}

// As add, trying `hint` first (the code this slot had in the previous record): most often one
// comparison.
OTO_MUST_CHECK static inline enum oto_status oto_dictionary_add_hinted(struct oto_dictionary *d,
                                                                       struct oto_bytes value,
                                                                       uint32_t hint,
                                                                       uint32_t *ret_code)
{
    if (hint < d->count && d->entries[hint].size == value.size &&
        oto_dictionary_same(d->entries[hint].data, value.data, value.size)) {
        *ret_code = hint;
        return OTO_OK;
    }
    return oto_dictionary_add(d, value, ret_code);
}

// The code of a value that is there; OTO_NOT_FOUND, also for one that was added blindly. Searches
// entry by entry where there are no slots.
enum oto_status oto_dictionary_find(const struct oto_dictionary *d, struct oto_bytes value,
                                    uint32_t *ret_code);

// Forgets all entries from `count` on (their bytes stay in the arena until it is reset). A
// fall-back to plain stays.
void oto_dictionary_rollback(struct oto_dictionary *d, uint32_t count);

#endif
