#include "engine/dedup.h"

#include <stdlib.h>

#include "codec/crc.h"
#include "os/thread.h"

#define MAGIC "OTODUP\r\n"
#define VERSION 2 // 1 had another hash
#define HEAD_BYTES 16
#define ENTRY_BYTES 40
#define SLOT_EMPTY 0u
#define SLOTS_FIRST 1024u
#define ASIDE_SHARE 16

// Entries lie in a ring in order of arrival; slots are an open-addressing index of their places
// + 1. There are at first few slots, and more as requests come: a look-up touches a page of them.
// What was resent and leaves the ring goes to a smaller one behind it.
struct oto_dedup {
    struct oto_mutex lock;
    struct oto_dedup_entry *entries;
    uint32_t capacity, first, count;
    uint32_t aside_capacity, aside_next, aside_count;
    uint32_t *slots;
    uint32_t slot_mask, slot_mask_max;
    uint64_t window_ns;
};

#define STATE_GONE 255      // a ring place whose entry was forgotten
#define STATE_RECOVERED 254 // stored by a recovery that has other logs to replay still

#define FLAG_RESENT 1u // in the file
#define FLAG_RECOVERED 2u

struct oto_dedup *oto_dedup_new(uint32_t capacity, uint64_t window_ns)
{
    struct oto_dedup *d = calloc(1, sizeof *d);
    uint32_t slots = SLOTS_FIRST, slots_max = SLOTS_FIRST;
    while (slots_max < 2 * capacity)
        slots_max *= 2;
    if (!d)
        return NULL;
    oto_mutex_init(&d->lock);
    d->capacity = capacity;
    d->aside_capacity = capacity / ASIDE_SHARE + 1;
    d->entries = calloc((size_t)capacity + d->aside_capacity, sizeof *d->entries);
    d->slots = calloc(slots, sizeof *d->slots);
    d->slot_mask = slots - 1;
    d->slot_mask_max = slots_max - 1;
    d->window_ns = window_ns;
    if (!d->entries || !d->slots) {
        oto_dedup_free(d);
        return NULL;
    }
    return d;
}

void oto_dedup_free(struct oto_dedup *d)
{
    if (!d)
        return;
    oto_mutex_release(&d->lock);
    free(d->entries);
    free(d->slots);
    free(d);
}

// The slot of a hash: its entry's, or the empty one where it would go.
static uint32_t find_slot(const struct oto_dedup *d, uint64_t low, uint64_t high)
{
    uint32_t slot = (uint32_t)low & d->slot_mask;
    for (; d->slots[slot] != SLOT_EMPTY; slot = (slot + 1) & d->slot_mask) {
        const struct oto_dedup_entry *entry = &d->entries[d->slots[slot] - 1];
        if (entry->hash_low == low && entry->hash_high == high)
            break;
    }
    return slot;
}

// Empties a slot and moves back what probing had pushed past it.
static void clear_slot(struct oto_dedup *d, uint32_t hole)
{
    uint32_t slot = hole;
    for (;;) {
        slot = (slot + 1) & d->slot_mask;
        if (d->slots[slot] == SLOT_EMPTY)
            break;
        uint32_t home = (uint32_t)d->entries[d->slots[slot] - 1].hash_low & d->slot_mask;
        if (((slot - home) & d->slot_mask) < ((slot - hole) & d->slot_mask))
            continue;
        d->slots[hole] = d->slots[slot];
        hole = slot;
    }
    d->slots[hole] = SLOT_EMPTY;
}

static void remove_entry(struct oto_dedup *d, struct oto_dedup_entry *entry)
{
    if (entry->state != STATE_GONE)
        clear_slot(d, find_slot(d, entry->hash_low, entry->hash_high));
    entry->state = STATE_GONE;
}

static uint64_t time_between(uint64_t a_ns, uint64_t b_ns)
{
    return a_ns > b_ns ? a_ns - b_ns : b_ns - a_ns;
}

// One from the future, too: the clock was set back since.
static int is_expired(const struct oto_dedup *d, const struct oto_dedup_entry *entry,
                      uint64_t now_ns)
{
    return now_ns != OTO_DEDUP_KEEP_ALL && time_between(now_ns, entry->received_ns) > d->window_ns;
}

static int is_crowded(const struct oto_dedup *d)
{
    return d->count + d->aside_count >= (d->slot_mask + 1) / 2 && d->slot_mask < d->slot_mask_max;
}

// The oldest one there goes.
static void put_aside(struct oto_dedup *d, const struct oto_dedup_entry *entry)
{
    uint32_t place = d->capacity + d->aside_next;
    if (d->aside_count == d->aside_capacity)
        remove_entry(d, &d->entries[place]);
    else
        d->aside_count++;
    d->aside_next = (d->aside_next + 1) % d->aside_capacity;
    d->entries[place] = *entry;
    d->slots[find_slot(d, entry->hash_low, entry->hash_high)] = place + 1;
}

static int is_stored(const struct oto_dedup_entry *entry)
{
    return entry->state == OTO_DEDUP_STORED || entry->state == STATE_RECOVERED;
}

// A log may have the copy that was refused until it is replayed, after any time.
static int may_have_copy(const struct oto_dedup_entry *entry)
{
    return entry->resent && (entry->state == OTO_DEDUP_PENDING || is_stored(entry));
}

static void drop_oldest(struct oto_dedup *d)
{
    struct oto_dedup_entry oldest = d->entries[d->first];
    remove_entry(d, &d->entries[d->first]);
    d->first = (d->first + 1) % d->capacity;
    d->count--;
    if (may_have_copy(&oldest) && !is_crowded(d))
        put_aside(d, &oldest);
}

// Twice as many slots. Without memory for them the oldest entry has to go.
static int grow_slots(struct oto_dedup *d)
{
    uint32_t mask = 2 * d->slot_mask + 1, *old = d->slots;
    uint32_t *slots = calloc((size_t)mask + 1, sizeof *slots);
    if (!slots)
        return 0;
    uint32_t old_mask = d->slot_mask;
    d->slots = slots;
    d->slot_mask = mask;
    for (uint32_t i = 0; i <= old_mask; i++) {
        if (old[i] == SLOT_EMPTY)
            continue;
        const struct oto_dedup_entry *entry = &d->entries[old[i] - 1];
        slots[find_slot(d, entry->hash_low, entry->hash_high)] = old[i];
    }
    free(old);
    return 1;
}

static int is_over(const struct oto_dedup *d, const struct oto_dedup_entry *entry, uint64_t now_ns)
{
    return entry->state == STATE_GONE || is_expired(d, entry, now_ns);
}

// What is past its window at now_ns goes.
static void add_entry(struct oto_dedup *d, const struct oto_dedup_entry *entry, uint64_t now_ns)
{
    if (is_crowded(d) && !grow_slots(d))
        drop_oldest(d);
    while (d->count == d->capacity || (d->count > 0 && is_over(d, &d->entries[d->first], now_ns)))
        drop_oldest(d);
    uint32_t place = (d->first + d->count++) % d->capacity;
    d->entries[place] = *entry;
    d->slots[find_slot(d, entry->hash_low, entry->hash_high)] = place + 1;
}

static struct oto_dedup_entry *find_entry(struct oto_dedup *d, uint64_t low, uint64_t high)
{
    uint32_t slot = find_slot(d, low, high);
    return d->slots[slot] == SLOT_EMPTY ? NULL : &d->entries[d->slots[slot] - 1];
}

// The live entry of the same hash; one past its window is removed.
static struct oto_dedup_entry *find_live(struct oto_dedup *d, const struct oto_dedup_entry *entry)
{
    struct oto_dedup_entry *found = find_entry(d, entry->hash_low, entry->hash_high);
    if (found && is_expired(d, found, entry->received_ns)) {
        remove_entry(d, found);
        return NULL;
    }
    return found;
}

static enum oto_dedup_state tell(const struct oto_dedup_entry *found, struct oto_dedup_entry *entry)
{
    entry->item_count = found->item_count;
    return is_stored(found) ? OTO_DEDUP_STORED : (enum oto_dedup_state)found->state;
}

enum oto_dedup_state oto_dedup_look(struct oto_dedup *d, struct oto_dedup_entry *entry)
{
    enum oto_dedup_state state = OTO_DEDUP_NEW;
    oto_mutex_lock(&d->lock);
    const struct oto_dedup_entry *found = find_entry(d, entry->hash_low, entry->hash_high);
    if (found && found->state != OTO_DEDUP_REFUSED) {
        state = tell(found, entry);
    }
    oto_mutex_unlock(&d->lock);
    return state;
}

enum oto_dedup_state oto_dedup_begin(struct oto_dedup *d, struct oto_dedup_entry *entry)
{
    enum oto_dedup_state state = OTO_DEDUP_NEW;
    oto_mutex_lock(&d->lock);
    struct oto_dedup_entry *found = find_live(d, entry);
    if (found && found->state != OTO_DEDUP_REFUSED) {
        state = tell(found, entry);
    } else {
        entry->resent = found != NULL;
        entry->state = OTO_DEDUP_PENDING;
        if (found)
            remove_entry(d, found);
        add_entry(d, entry, entry->received_ns);
    }
    oto_mutex_unlock(&d->lock);
    return state;
}

void oto_dedup_settle(struct oto_dedup *d, const struct oto_dedup_entry *entry)
{
    oto_mutex_lock(&d->lock);
    struct oto_dedup_entry *found = find_entry(d, entry->hash_low, entry->hash_high);
    if (found) { // pushed out by many others: then it is simply no longer known
        found->seq = entry->seq;
        found->item_count = entry->item_count;
        found->shard = entry->shard;
        found->state = OTO_DEDUP_STORED;
    }
    oto_mutex_unlock(&d->lock);
}

void oto_dedup_forget(struct oto_dedup *d, uint64_t hash_low, uint64_t hash_high)
{
    oto_mutex_lock(&d->lock);
    struct oto_dedup_entry *found = find_entry(d, hash_low, hash_high);
    if (found && found->resent)
        found->state = OTO_DEDUP_REFUSED; // the copy before it may be in a log still
    else if (found)
        remove_entry(d, found);
    oto_mutex_unlock(&d->lock);
}

void oto_dedup_refuse(struct oto_dedup *d, uint64_t hash_low, uint64_t hash_high)
{
    oto_mutex_lock(&d->lock);
    struct oto_dedup_entry *found = find_entry(d, hash_low, hash_high);
    if (found)
        found->state = OTO_DEDUP_REFUSED;
    oto_mutex_unlock(&d->lock);
}

int oto_dedup_is_copy(struct oto_dedup *d, const struct oto_dedup_entry *entry)
{
    oto_mutex_lock(&d->lock);
    struct oto_dedup_entry *found = find_entry(d, entry->hash_low, entry->hash_high);
    // Within one log the refused one is void, as the other has its number or a later file.
    int is_copy = found && (found->resent || entry->resent) &&
                  (found->shard != entry->shard || found->seq == 0) &&
                  time_between(found->received_ns, entry->received_ns) <= d->window_ns;
    if (is_copy && !entry->resent)
        found->resent = 0; // it came again once
    oto_mutex_unlock(&d->lock);
    return is_copy;
}

void oto_dedup_restore(struct oto_dedup *d, const struct oto_dedup_entry *entry)
{
    struct oto_dedup_entry stored = *entry;
    stored.state = STATE_RECOVERED;
    oto_mutex_lock(&d->lock);
    struct oto_dedup_entry *found = find_entry(d, entry->hash_low, entry->hash_high);
    if (found)
        remove_entry(d, found);
    add_entry(d, &stored, OTO_DEDUP_KEEP_ALL); // log by log, so not in order of their times
    oto_mutex_unlock(&d->lock);
}

static void forget_copy(struct oto_dedup_entry *entry)
{
    entry->resent = 0;
    if (entry->state == STATE_RECOVERED)
        entry->state = OTO_DEDUP_STORED;
}

void oto_dedup_forget_copies(struct oto_dedup *d)
{
    oto_mutex_lock(&d->lock);
    for (uint32_t i = 0; i < d->count; i++)
        forget_copy(&d->entries[(d->first + i) % d->capacity]);
    for (uint32_t i = 0; i < d->aside_count; i++)
        forget_copy(&d->entries[d->capacity + i]);
    oto_mutex_unlock(&d->lock);
}

void oto_dedup_adopt(struct oto_dedup *d, uint32_t from_shard, uint32_t to_shard)
{
    oto_mutex_lock(&d->lock);
    for (uint32_t i = 0; i < d->capacity + d->aside_count; i++) {
        struct oto_dedup_entry *entry = &d->entries[i];
        if (!is_stored(entry) || entry->shard != from_shard)
            continue;
        entry->shard = (uint16_t)to_shard;
        entry->seq = 0;
    }
    oto_mutex_unlock(&d->lock);
}

// --- kept beside the log ---

#define SLICE 4096u // entries looked at under the lock at a time

// What of the table a file is to have.
struct choice {
    uint32_t shard;
    uint64_t last_seq, now_ns;
};

static enum oto_status encode_entry(const struct oto_dedup *d, const struct oto_dedup_entry *entry,
                                    const struct choice *choice, struct oto_buffer *output)
{
    int is_kept = entry->resent || entry->state == STATE_RECOVERED;
    if (!is_stored(entry) || entry->shard != choice->shard || entry->seq > choice->last_seq ||
        (!is_kept && is_expired(d, entry, choice->now_ns)))
        return OTO_OK;
    OTO_TRY(oto_buffer_reserve(output, ENTRY_BYTES));
    uint8_t *out = output->data + output->size;
    oto_store64(out, entry->hash_low);
    oto_store64(out + 8, entry->hash_high);
    oto_store64(out + 16, entry->received_ns);
    oto_store64(out + 24, entry->seq);
    oto_store32(out + 32, entry->item_count);
    oto_store16(out + 36, entry->shard);
    oto_store16(out + 38, (uint16_t)((entry->resent ? FLAG_RESENT : 0) |
                                     (entry->state == STATE_RECOVERED ? FLAG_RECOVERED : 0)));
    output->size += ENTRY_BYTES;
    return OTO_OK;
}

// The ring as it is now: what comes meanwhile is of no record up to last_seq.
static enum oto_status encode_ring(struct oto_dedup *d, const struct choice *choice,
                                   struct oto_buffer *output)
{
    enum oto_status status = OTO_OK;
    oto_mutex_lock(&d->lock);
    uint32_t first = d->first, end = d->first + d->count;
    for (uint32_t i = first; i < end && status >= 0; i++) {
        status = encode_entry(d, &d->entries[i % d->capacity], choice, output);
        if ((i - first) % SLICE == SLICE - 1) {
            oto_mutex_unlock(&d->lock);
            oto_mutex_lock(&d->lock);
        }
    }
    oto_mutex_unlock(&d->lock);
    return status;
}

static enum oto_status encode_aside(struct oto_dedup *d, const struct choice *choice,
                                    struct oto_buffer *output)
{
    enum oto_status status = OTO_OK;
    oto_mutex_lock(&d->lock);
    for (uint32_t i = 0; i < d->aside_count && status >= 0; i++)
        status = encode_entry(d, &d->entries[d->capacity + i], choice, output);
    oto_mutex_unlock(&d->lock);
    return status;
}

enum oto_status oto_dedup_encode(struct oto_dedup *d, uint32_t shard, uint64_t last_seq,
                                 uint64_t now_ns, struct oto_buffer *output)
{
    struct choice choice = {.shard = shard, .last_seq = last_seq, .now_ns = now_ns};
    uint8_t head[HEAD_BYTES] = {0};
    output->size = 0;
    memcpy(head, MAGIC, 8);
    oto_store32(head + 8, VERSION);
    OTO_TRY(oto_buffer_append(output, head, sizeof head));
    OTO_TRY(encode_ring(d, &choice, output));
    OTO_TRY(encode_aside(d, &choice, output)); // after the ring, as entries go from there to here
    oto_store32(output->data + 12, (uint32_t)((output->size - HEAD_BYTES) / ENTRY_BYTES));
    uint8_t crc[4];
    oto_store32(crc, oto_crc32c(0, output->data, output->size));
    return oto_buffer_append(output, crc, sizeof crc);
}

static enum oto_status check_file(struct oto_bytes bytes, struct oto_error *err)
{
    if (bytes.size < HEAD_BYTES + 4 || memcmp(bytes.data, MAGIC, 8) != 0)
        return oto_error_set(err, OTO_CORRUPT, "not a dedup file");
    if (oto_load32(bytes.data + 8) != VERSION)
        return oto_error_set(err, OTO_CORRUPT, "dedup file of another version");
    uint64_t size = HEAD_BYTES + (uint64_t)oto_load32(bytes.data + 12) * ENTRY_BYTES + 4;
    if (bytes.size != size ||
        oto_load32(bytes.data + size - 4) != oto_crc32c(0, bytes.data, (size_t)size - 4))
        return oto_error_set(err, OTO_CORRUPT, "the dedup file fails its checksum");
    return OTO_OK;
}

enum oto_status oto_dedup_decode(struct oto_dedup *d, struct oto_bytes bytes, uint32_t shard,
                                 uint64_t flushed_seq, uint64_t now_ns, struct oto_error *err)
{
    OTO_TRY(check_file(bytes, err));
    for (size_t at = HEAD_BYTES; at < bytes.size - 4; at += ENTRY_BYTES) {
        const uint8_t *in = bytes.data + at;
        unsigned flags = oto_load16(in + 38);
        struct oto_dedup_entry entry = {
            .hash_low = oto_load64(in),
            .hash_high = oto_load64(in + 8),
            .received_ns = oto_load64(in + 16),
            .seq = oto_load64(in + 24),
            .item_count = oto_load32(in + 32),
            .shard = (uint16_t)shard,
            .resent = (flags & FLAG_RESENT) != 0,
        };
        if (entry.seq <= flushed_seq && (flags || !is_expired(d, &entry, now_ns)))
            oto_dedup_restore(d, &entry);
    }
    return OTO_OK;
}

size_t oto_dedup_memory_bytes(const struct oto_dedup *d)
{
    return d ? ((size_t)d->capacity + d->aside_capacity) * sizeof *d->entries +
                   ((size_t)d->slot_mask_max + 1) * sizeof *d->slots
             : 0;
}
