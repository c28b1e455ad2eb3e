// The committer thread: takes what was staged while the last group was on its way to the disk,
// writes it, syncs it, tells the owner.
#include "os/clock.h"
#include "wal/wal_internal.h"

// Of a staging buffer's memory stays what groups took lately: no more than this part of the limit,
// no less than KEPT_MIN, and nothing when no group came for IDLE_NS.
#define STAGING_KEPT_SHARE 8
#define KEPT_MIN ((size_t)256 << 10)
#define KEPT_FADES 16 // a part of it less with each smaller group
#define IDLE_NS 5000000000u

static void tell(struct oto_wal *wal, uint64_t durable_seq, enum oto_status status,
                 const struct oto_error *err)
{
    if (wal->options.committed)
        wal->options.committed(wal->options.state, durable_seq, status, err);
}

// Lock held. Everything appended after durable_seq is lost; appends stop until the owner has undone
// it.
static uint64_t fail(struct oto_wal *wal)
{
    wal->failed = 1;
    wal->stats.failures++;
    wal->groups[0].bytes.size = wal->groups[1].bytes.size = 0;
    wal->writing_bytes = 0;
    wal->next_end = OTO_WAL_SEGMENT_HEADER_BYTES;
    wal->next_salt = 0;
    wal->lost_seq = wal->next_seq - 1;
    oto_condition_broadcast(&wal->wake_waiters);
    return wal->durable_seq;
}

static void fail_and_tell(struct oto_wal *wal, enum oto_status status, const struct oto_error *err)
{
    oto_wal_segment_abandon(wal);
    oto_mutex_lock(&wal->lock);
    uint64_t durable_seq = fail(wal);
    oto_mutex_unlock(&wal->lock);
    tell(wal, durable_seq, status, err);
}

// A group of that size was written; its buffer is the committer's own until the next one is taken.
// A stall lets a group become many times as large as others: those pages are not needed again soon.
static void give_back(struct oto_wal *wal, struct oto_wal_group *group, size_t written)
{
    size_t kept_max = wal->options.staged_bytes_max / STAGING_KEPT_SHARE;
    size_t recent = wal->group_bytes - wal->group_bytes / KEPT_FADES;
    recent = recent > written ? recent : written;
    wal->group_bytes = recent > KEPT_MIN ? recent : KEPT_MIN;
    size_t kept = wal->group_bytes < kept_max ? wal->group_bytes : kept_max;
    if (group->touched_bytes < written)
        group->touched_bytes = written;
    if (group->touched_bytes <= kept_max && group->touched_bytes / 2 <= kept)
        return;
    oto_pages_forget(group->bytes.data + kept, group->touched_bytes - kept);
    group->touched_bytes = kept;
}

// Lock not held.
static void commit_group(struct oto_wal *wal, struct oto_wal_group *group)
{
    struct oto_error err;
    oto_error_init(&err);
    uint64_t last_seq = group->last_seq;
    size_t size = group->bytes.size + 2 * OTO_WAL_BLOCK_BYTES;
    int early = wal->options.durability == OTO_DURABILITY_NONE;
    if (early) {
        oto_mutex_lock(&wal->lock);
        wal->durable_seq = last_seq;
        oto_mutex_unlock(&wal->lock);
        tell(wal, last_seq, OTO_OK, NULL);
    }
    enum oto_status status = oto_wal_segment_write(wal, group, &err);
    if (status < 0) {
        fail_and_tell(wal, status, &err);
        return;
    }
    oto_mutex_lock(&wal->lock);
    wal->durable_seq = last_seq;
    if (wal->options.durability == OTO_DURABILITY_FSYNC)
        wal->synced_seq = last_seq;
    else if (wal->sync_due_ns == 0)
        wal->sync_due_ns = oto_clock_monotonic_ns() + wal->options.interval_ms * 1000000ull;
    group->bytes.size = 0;
    wal->writing_bytes = 0;
    oto_mutex_unlock(&wal->lock);
    give_back(wal, group, size < group->bytes.capacity ? size : group->bytes.capacity);
    if (!early)
        tell(wal, last_seq, OTO_OK, NULL);
}

// Lock not held. For the modes that sync now and then.
static void sync_now(struct oto_wal *wal)
{
    struct oto_error err;
    oto_error_init(&err);
    enum oto_status status = wal->dirty ? oto_wal_segment_sync(wal, &err) : OTO_OK;
    if (status < 0) {
        fail_and_tell(wal, status, &err);
        return;
    }
    oto_mutex_lock(&wal->lock);
    wal->synced_seq = wal->durable_seq;
    wal->sync_due_ns = 0;
    oto_condition_broadcast(&wal->wake_waiters);
    oto_mutex_unlock(&wal->lock);
}

// Lock held: until there is a group, a sync to make, or the end. Gives idle staging memory back.
static void wait_for_work(struct oto_wal *wal)
{
    int has_memory = wal->groups[0].bytes.capacity > 0 || wal->groups[1].bytes.capacity > 0;
    uint64_t idle_ns = oto_clock_monotonic_ns() + IDLE_NS;
    while (wal->groups[wal->active].bytes.size == 0 && !wal->stopping && !wal->sync_wanted) {
        uint64_t now_ns = oto_clock_monotonic_ns();
        int timed = wal->options.durability == OTO_DURABILITY_INTERVAL && wal->sync_due_ns != 0;
        if (timed && now_ns >= wal->sync_due_ns)
            return;
        if (has_memory && now_ns >= idle_ns) {
            for (int i = 0; i < 2; i++) {
                oto_buffer_release(&wal->groups[i].bytes);
                wal->groups[i].touched_bytes = 0;
            }
            has_memory = 0;
        }
        uint64_t until_ns = timed ? wal->sync_due_ns : idle_ns;
        if (timed || has_memory)
            oto_condition_wait_until(&wal->wake_committer, &wal->lock, until_ns);
        else
            oto_condition_wait(&wal->wake_committer, &wal->lock);
    }
}

static int sync_is_due(const struct oto_wal *wal)
{
    if (wal->options.durability == OTO_DURABILITY_FSYNC)
        return 0;
    return wal->sync_wanted || wal->stopping ||
           (wal->options.durability == OTO_DURABILITY_INTERVAL && wal->sync_due_ns != 0 &&
            oto_clock_monotonic_ns() >= wal->sync_due_ns);
}

void *oto_wal_committer_run(void *state)
{
    struct oto_wal *wal = state;
    int over = 0;
    while (!over) {
        oto_mutex_lock(&wal->lock);
        wait_for_work(wal);
        struct oto_wal_group *group = &wal->groups[wal->active];
        int has_group = group->bytes.size > 0;
        if (has_group) {
            wal->active ^= 1;
            wal->writing_bytes = group->bytes.size;
            wal->next_end += group->bytes.size - group->lead;
        }
        over = wal->stopping && !has_group;
        int sync = sync_is_due(wal);
        wal->sync_wanted = 0;
        oto_mutex_unlock(&wal->lock);
        if (has_group)
            commit_group(wal, group);
        if (sync)
            sync_now(wal);
    }
    oto_mutex_lock(&wal->lock);
    wal->running = 0;
    oto_condition_broadcast(&wal->wake_waiters);
    oto_mutex_unlock(&wal->lock);
    return NULL;
}
