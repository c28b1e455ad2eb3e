#include "columns/dictionary.h"
#include "base/hash.h"

#define CAPACITY_FIRST 16u
#define CAPACITY_LARGE (1u << 12) // from here on 64 times as many, later eight times, of which most
#define CAPACITY_MAX (1u << 27)   // pages will never be touched: what a view may have stays
#define LENGTH_MIN 16384u         // of the column before its dictionary is judged,
#define WINDOW 4096u              // by the latest so many values: at first all are new
#define ALONE_MIN ((size_t)32 << 10) // bytes of an array that can be given back

void oto_dictionary_init(struct oto_dictionary *d, struct oto_arena *arena, uint64_t seed, int keep)
{
    *d = (struct oto_dictionary){.arena = arena, .seed = seed, .keep = keep};
}

static uint64_t slot_of(uint32_t hash, uint32_t code)
{
    return (uint64_t)(code + 1) << 32 | hash;
}

static uint32_t slot_code(uint64_t slot)
{
    return (uint32_t)(slot >> 32) - 1;
}

static uint32_t hash_of(const struct oto_dictionary *d, struct oto_bytes value)
{
    return (uint32_t)oto_hash(value.data, value.size, d->seed);
}

static void slot_insert(uint64_t *slots, uint32_t mask, uint64_t slot)
{
    uint32_t at = (uint32_t)slot & mask;
    while (slots[at])
        at = (at + 1) & mask;
    slots[at] = slot;
}

// Arrays that grow; large ones are given back when they are outgrown.
static void *array_alloc(struct oto_dictionary *d, size_t size)
{
    return size < ALONE_MIN ? oto_arena_alloc(d->arena, size)
                            : oto_arena_alloc_alone(d->arena, size);
}

static void array_free(struct oto_dictionary *d, void *array, size_t size)
{
    if (array && size >= ALONE_MIN)
        oto_arena_free_alone(d->arena, array, size);
}

// Room for one more, so that at most half of the slots are taken: twice as many, each taken over
// with its hash, no entry is looked at.
static enum oto_status reserve_slot(struct oto_dictionary *d)
{
    uint32_t old_size = d->slots ? d->slot_mask + 1 : 0;
    if (2 * (d->slot_count + 1) <= old_size)
        return OTO_OK;
    uint32_t size = old_size ? 2 * old_size : 2 * CAPACITY_FIRST;
    uint64_t *slots = array_alloc(d, size * sizeof *slots);
    if (!slots)
        return OTO_NO_MEMORY;
    memset(slots, 0, size * sizeof *slots);
    for (uint32_t i = 0; i < old_size; i++)
        if (d->slots[i])
            slot_insert(slots, size - 1, d->slots[i]);
    array_free(d, d->slots, old_size * sizeof *slots);
    d->slots = slots;
    d->slot_mask = size - 1;
    return OTO_OK;
}

// More entries. The old array is left to the views that may have it.
static enum oto_status grow(struct oto_dictionary *d)
{
    if (d->capacity >= CAPACITY_MAX)
        return OTO_NO_MEMORY;
    uint32_t capacity = d->capacity ? 2 * d->capacity : CAPACITY_FIRST;
    if (d->capacity >= CAPACITY_LARGE && d->capacity <= CAPACITY_MAX / 8)
        capacity = (d->capacity < 8 * CAPACITY_LARGE ? 64 : 8) * d->capacity;
    struct oto_bytes *entries = array_alloc(d, capacity * sizeof *entries);
    if (!entries)
        return OTO_NO_MEMORY;
    if (d->count)
        memcpy(entries, d->entries, d->count * sizeof *entries);
    array_free(d, d->entries, d->capacity * sizeof *entries);
    d->entries = entries;
    d->capacity = capacity;
    return OTO_OK;
}

// Most values are a few words long: no call for those. to has room up to a multiple of 8.
static inline void copy_value(uint8_t *to, const uint8_t *from, size_t size)
{
    if (size > 64 || size < 8) {
        if (size)
            memcpy(to, from, size);
        return;
    }
    for (size_t i = 0; i + 8 < size; i += 8)
        oto_store64(to + i, oto_load64(from + i));
    oto_store64(to + size - 8, oto_load64(from + size - 8));
}

static inline enum oto_status append(struct oto_dictionary *d, struct oto_bytes value,
                                     uint32_t *ret_code)
{
    if (d->count == d->capacity)
        OTO_TRY(grow(d));
    uint8_t *copy = oto_arena_alloc(d->arena, value.size);
    if (!copy)
        return OTO_NO_MEMORY;
    copy_value(copy, value.data, value.size);
    d->entries[d->count] = oto_bytes(copy, value.size);
    d->size_bytes += value.size;
    *ret_code = d->count++;
    return OTO_OK;
}

// Asked when a value was new.
static int useless(struct oto_dictionary *d)
{
    uint32_t length = d->length ? *d->length : d->adds;
    int64_t appended = (int64_t)length - d->window_length; // negative after a rollback
    if (d->keep || (appended >= 0 && appended < WINDOW))
        return 0;
    int64_t added = (int64_t)d->slot_count - d->window_count; // likewise
    d->window_length = length;
    d->window_count = d->slot_count;
    return length >= LENGTH_MIN && appended > 0 && 2 * added > appended;
}

// 1 with the code of a value that is there.
static inline int lookup(const struct oto_dictionary *d, struct oto_bytes value, uint32_t hash,
                         uint32_t *ret_code)
{
    for (uint32_t at = hash & d->slot_mask; d->slots[at]; at = (at + 1) & d->slot_mask) {
        if ((uint32_t)d->slots[at] != hash)
            continue;
        uint32_t code = slot_code(d->slots[at]);
        if (d->entries[code].size == value.size &&
            oto_dictionary_same(d->entries[code].data, value.data, value.size)) {
            *ret_code = code;
            return 1;
        }
    }
    return 0;
}

int oto_dictionary_peek(const struct oto_dictionary *d, struct oto_bytes value, uint32_t *ret_hash,
                        uint32_t *ret_code)
{
    *ret_hash = d->plain ? 0 : hash_of(d, value);
    return d->slots && lookup(d, value, *ret_hash, ret_code);
}

uint32_t oto_dictionary_hash(const struct oto_dictionary *d, struct oto_bytes value)
{
    return hash_of(d, value);
}

uint32_t oto_dictionary_fetch_entry(const struct oto_dictionary *d, uint32_t hash)
{
    if (!d->slots)
        return UINT32_MAX;
    for (uint32_t at = hash & d->slot_mask; d->slots[at]; at = (at + 1) & d->slot_mask) {
        uint32_t code = slot_code(d->slots[at]);
        if ((uint32_t)d->slots[at] == hash) {
            __builtin_prefetch(&d->entries[code]);
            return code;
        }
    }
    return UINT32_MAX;
}

int oto_dictionary_peek_fetched(const struct oto_dictionary *d, struct oto_bytes value,
                                uint32_t hash, uint32_t code, uint32_t *ret_code)
{
    if (code < d->count && d->entries[code].size == value.size &&
        oto_dictionary_same(d->entries[code].data, value.data, value.size)) {
        *ret_code = code;
        return 1;
    }
    return d->slots && lookup(d, value, hash, ret_code);
}

enum oto_status oto_dictionary_add(struct oto_dictionary *d, struct oto_bytes value,
                                   uint32_t *ret_code)
{
    uint32_t hash;
    if (!oto_dictionary_peek(d, value, &hash, ret_code))
        return oto_dictionary_add_new(d, value, hash, ret_code);
    d->adds++;
    return OTO_OK;
}

enum oto_status oto_dictionary_add_new(struct oto_dictionary *d, struct oto_bytes value,
                                       uint32_t hash, uint32_t *ret_code)
{
    if (d->plain)
        return oto_dictionary_add_blind(d, value, ret_code);
    d->adds++;
    OTO_TRY(reserve_slot(d));
    OTO_TRY(append(d, value, ret_code));
    slot_insert(d->slots, d->slot_mask, slot_of(hash, *ret_code));
    d->slot_count++;
    if (useless(d)) {
        d->plain = 1;
        array_free(d, d->slots, ((size_t)d->slot_mask + 1) * sizeof *d->slots);
        d->slots = NULL;
    }
    return OTO_OK;
}

enum oto_status oto_dictionary_add_blind(struct oto_dictionary *d, struct oto_bytes value,
                                         uint32_t *ret_code)
{
    d->adds++;
    return append(d, value, ret_code);
}

// Sixteen bytes in a register of the machine's, or in two words where it has none.
typedef uint64_t words2 __attribute__((vector_size(16), aligned(1), may_alias));

// Copies, 16 bytes at a time, the last of them overlapping. Returns all bytes in one word, by OR.
static inline uint64_t copy_and_gather(uint8_t *to, const uint8_t *from, size_t size)
{
    words2 any = {0, 0};
    uint64_t word = 0;
    if (size >= 16) {
        for (size_t i = 0; i + 16 < size; i += 16) {
            words2 part = *(const words2 *)(const void *)(from + i);
            any |= part;
            *(words2 *)(void *)(to + i) = part;
        }
        words2 last = *(const words2 *)(const void *)(from + size - 16);
        *(words2 *)(void *)(to + size - 16) = last;
        any |= last;
        return any[0] | any[1];
    }
    if (size >= 8) {
        uint64_t first = oto_load64(from), last = oto_load64(from + size - 8);
        oto_store64(to, first);
        oto_store64(to + size - 8, last);
        return first | last;
    }
    for (size_t i = 0; i < size; i++)
        word |= to[i] = from[i];
    return word;
}

int oto_dictionary_add_ascii(struct oto_dictionary *d, struct oto_bytes value, uint32_t *ret_code)
{
    if (d->count == d->capacity && grow(d) < 0)
        return 0;
    uint8_t *copy = oto_arena_alloc(d->arena, value.size);
    if (!copy)
        return 0;
    if (copy_and_gather(copy, value.data, value.size) & 0x8080808080808080u) {
        oto_arena_undo(d->arena, copy, value.size);
        return 0;
    }
    d->adds++;
    d->entries[d->count] = oto_bytes(copy, value.size);
    d->size_bytes += value.size;
    *ret_code = d->count++;
    return 1;
}

enum oto_status oto_dictionary_find(const struct oto_dictionary *d, struct oto_bytes value,
                                    uint32_t *ret_code)
{
    if (d->slots)
        return lookup(d, value, hash_of(d, value), ret_code) ? OTO_OK : OTO_NOT_FOUND;
    for (uint32_t code = 0; code < d->count; code++) {
        if (oto_bytes_equal(d->entries[code], value)) {
            *ret_code = code;
            return OTO_OK;
        }
    }
    return OTO_NOT_FOUND;
}

// Empties a slot and moves up those behind it that would no longer be reached.
static void slot_remove(struct oto_dictionary *d, uint32_t at)
{
    uint32_t mask = d->slot_mask, hole = at;
    for (uint32_t next = (at + 1) & mask; d->slots[next]; next = (next + 1) & mask) {
        uint32_t home = (uint32_t)d->slots[next] & mask;
        if (((next - home) & mask) >= ((next - hole) & mask)) {
            d->slots[hole] = d->slots[next];
            hole = next;
        }
    }
    d->slots[hole] = 0;
    d->slot_count--;
}

void oto_dictionary_rollback(struct oto_dictionary *d, uint32_t count)
{
    while (d->count > count) {
        uint32_t code = --d->count;
        d->size_bytes -= d->entries[code].size;
        if (!d->slots)
            continue;
        uint32_t hash = hash_of(d, d->entries[code]);
        uint32_t at = hash & d->slot_mask;
        while (d->slots[at] && d->slots[at] != slot_of(hash, code))
            at = (at + 1) & d->slot_mask;
        if (d->slots[at]) // else added blindly
            slot_remove(d, at);
    }
}
