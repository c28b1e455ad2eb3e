// Sorting works on small integers: the rank of each key among the distinct values in use. What
// higher levels hold is ranked once an entry, not once a row. The ranks of a row, with its
// partition first, are *parts*; parts are counted and scattered from the last to the first (so
// equal rows stay in their order), as few passes as fit into counters. Rows arrive mostly in the
// order of time, so time is only checked then, and sorted where the check fails.
#include "telemetry/order.h"
#include "columns/sort.h"
#include <assert.h>

#define HOUR_US INT64_C(3600000000)
#define RANK_NULL 0u // before all values
#define COUNTERS_MIN 65536u

// A number below `distinct` for each row.
struct part {
    uint32_t *of_row;
    uint32_t distinct;
};

struct ordering {
    const struct oto_batch *batch;
    const struct oto_order_spec *spec;
    const int64_t *times; // of the rows from spec->first on
    struct oto_arena arena;
    struct part parts[OTO_ORDER_KEYS_MAX + 1];
    uint32_t part_count;
    struct oto_sort_item *items, *scratch; // spec->count each, made when a bucket needs them
};

static uint32_t *numbers(struct ordering *o, uint32_t count)
{
    return oto_arena_alloc(&o->arena, count * sizeof(uint32_t));
}

// --- hours ---

static int64_t hour_of(int64_t time_us)
{
    return time_us / HOUR_US - (time_us % HOUR_US < 0);
}

// The first and the last microsecond of an hour that int64 can tell.
static void hour_bounds(int64_t hour, int64_t *ret_first, int64_t *ret_last)
{
    if (__builtin_mul_overflow(hour, HOUR_US, ret_first))
        *ret_first = INT64_MIN;
    if (__builtin_mul_overflow(hour + 1, HOUR_US, ret_last))
        *ret_last = INT64_MAX;
    else
        --*ret_last;
}

static void widen(struct oto_partition *p, int64_t time_min_us, int64_t time_max_us)
{
    if (time_min_us < p->time_min_us)
        p->time_min_us = time_min_us;
    if (time_max_us > p->time_max_us)
        p->time_max_us = time_max_us;
}

static struct oto_partition empty_partition(int64_t hour)
{
    return (struct oto_partition){.hour = hour, .time_min_us = INT64_MAX, .time_max_us = INT64_MIN};
}

// The hours met so far, in order of first appearance, and where each stands.
struct hours {
    struct oto_partition *list;
    uint32_t count;
    uint32_t *slots; // open addressing: index + 1
    uint32_t slot_mask;
};

static enum oto_status hours_init(struct hours *h, struct ordering *o, uint64_t hour_count)
{
    uint32_t most = hour_count < o->spec->count ? (uint32_t)hour_count : o->spec->count;
    uint64_t size = 4;
    while (size < 2 * (uint64_t)most)
        size *= 2;
    h->count = 0;
    h->list = oto_arena_alloc(&o->arena, most * sizeof *h->list);
    h->slots = oto_arena_alloc(&o->arena, size * sizeof *h->slots);
    if (!h->list || !h->slots)
        return OTO_NO_MEMORY;
    memset(h->slots, 0, size * sizeof *h->slots);
    h->slot_mask = (uint32_t)(size - 1);
    return OTO_OK;
}

static uint32_t hours_find(struct hours *h, int64_t hour)
{
    uint32_t at = (uint32_t)((uint64_t)hour * 0x9E3779B97F4A7C15u >> 32) & h->slot_mask;
    for (; h->slots[at]; at = (at + 1) & h->slot_mask)
        if (h->list[h->slots[at] - 1].hour == hour)
            return h->slots[at] - 1;
    h->list[h->count] = empty_partition(hour);
    h->slots[at] = ++h->count;
    return h->count - 1;
}

// The number of its hour for each row; neighbours are mostly of one hour.
static void assign_hours(const struct ordering *o, struct hours *h, uint32_t *of_row)
{
    int64_t first = 1, last = 0; // of the hour at index
    uint32_t index = 0;
    for (uint32_t i = 0; i < o->spec->count; i++) {
        if (o->times[i] < first || o->times[i] > last) {
            int64_t hour = hour_of(o->times[i]);
            hour_bounds(hour, &first, &last);
            index = hours_find(h, hour);
        }
        of_row[i] = index;
        h->list[index].count++;
        widen(&h->list[index], o->times[i], o->times[i]);
    }
}

// Which of the hours become partitions, in order of time; the rest shares one, the last. place:
// hour -> partition.
static enum oto_status choose_partitions(struct ordering *o, const struct hours *h, uint32_t *place,
                                         struct oto_partition *partitions, uint32_t *ret_count)
{
    uint32_t most = o->spec->partitions_max, kept = h->count <= most ? h->count : most - 1;
    struct oto_sort_item *items = oto_arena_alloc(&o->arena, 2 * (size_t)h->count * sizeof *items);
    if (!items)
        return OTO_NO_MEMORY;
    const uint64_t sign = (uint64_t)1 << 63;
    for (uint32_t i = 0; i < h->count; i++)
        items[i] = (struct oto_sort_item){.key = (uint64_t)h->list[i].hour ^ sign, .index = i};
    oto_sort_items(items, items + h->count, h->count);
    if (kept < h->count) { // the fullest first; of equal ones the earliest
        for (uint32_t i = 0; i < h->count; i++)
            items[i].key = UINT32_MAX - h->list[items[i].index].count;
        oto_sort_items(items, items + h->count, h->count);
        partitions[kept] = empty_partition(OTO_PARTITION_OVERFLOW);
        for (uint32_t i = kept; i < h->count; i++) {
            const struct oto_partition *hour = &h->list[items[i].index];
            place[items[i].index] = kept;
            partitions[kept].count += hour->count;
            widen(&partitions[kept], hour->time_min_us, hour->time_max_us);
        }
        for (uint32_t i = 0; i < kept; i++)
            items[i].key = (uint64_t)h->list[items[i].index].hour ^ sign;
        oto_sort_items(items, items + h->count, kept);
    }
    for (uint32_t i = 0; i < kept; i++) {
        place[items[i].index] = i;
        partitions[i] = h->list[items[i].index];
    }
    *ret_count = kept + (kept < h->count);
    return OTO_OK;
}

static enum oto_status partition_rows(struct ordering *o, struct oto_partition *partitions,
                                      uint32_t *ret_count)
{
    struct oto_partition all = empty_partition(0);
    uint32_t count = o->spec->count;
    for (uint32_t i = 0; i < count; i++)
        widen(&all, o->times[i], o->times[i]);
    all.hour = hour_of(all.time_min_us);
    all.count = count;
    uint64_t hour_count = (uint64_t)(hour_of(all.time_max_us) - all.hour) + 1;
    if (hour_count == 1) {
        partitions[0] = all;
        *ret_count = 1;
        return OTO_OK;
    }
    struct hours h;
    uint32_t *of_row = numbers(o, count);
    OTO_TRY(hours_init(&h, o, hour_count));
    if (!of_row)
        return OTO_NO_MEMORY;
    assign_hours(o, &h, of_row);
    uint32_t *place = numbers(o, h.count);
    if (!place)
        return OTO_NO_MEMORY;
    OTO_TRY(choose_partitions(o, &h, place, partitions, ret_count));
    for (uint32_t i = 0; i < count; i++)
        of_row[i] = place[of_row[i]];
    for (uint32_t i = 1; i < *ret_count; i++)
        partitions[i].first = partitions[i - 1].first + partitions[i - 1].count;
    o->parts[o->part_count++] = (struct part){of_row, *ret_count};
    return OTO_OK;
}

// --- ranks ---

// From 0 on in the order of texts, or of keys where texts is NULL; equal ones share a rank. Returns
// how many ranks there are. items: 2 * count, the second half as scratch.
static uint32_t dense_ranks(struct oto_sort_item *items, uint32_t count,
                            const struct oto_bytes *texts, uint32_t *ranks)
{
    uint32_t rank = 0;
    if (texts)
        oto_sort_texts(items, items + count, count, texts);
    else
        oto_sort_items(items, items + count, count);
    for (uint32_t i = 0; i < count; i++) {
        if (i > 0)
            rank += texts ? !oto_bytes_equal(texts[items[i].index], texts[items[i - 1].index])
                          : items[i].key != items[i - 1].key;
        ranks[items[i].index] = rank;
    }
    return count ? rank + 1 : 0;
}

// Turns codes (UINT32_MAX: null) into ranks among those that occur.
static enum oto_status rank_codes(struct ordering *o, const struct oto_dictionary *d,
                                  uint32_t *codes, uint32_t count, uint32_t *ret_distinct)
{
    uint32_t *ranks = numbers(o, d->count), used = 0;
    if (!ranks)
        return OTO_NO_MEMORY;
    memset(ranks, 0, d->count * sizeof *ranks);
    for (uint32_t i = 0; i < count; i++) {
        if (codes[i] != UINT32_MAX && !ranks[codes[i]]) {
            ranks[codes[i]] = 1;
            used++;
        }
    }
    struct oto_sort_item *items = oto_arena_alloc(&o->arena, 2 * (size_t)used * sizeof *items);
    if (!items)
        return OTO_NO_MEMORY;
    for (uint32_t code = 0, at = 0; at < used; code++)
        if (ranks[code])
            items[at++] = (struct oto_sort_item){.index = code};
    *ret_distinct = dense_ranks(items, used, d->entries, ranks) + 1;
    for (uint32_t i = 0; i < count; i++)
        codes[i] = codes[i] == UINT32_MAX ? RANK_NULL : ranks[codes[i]] + 1;
    return OTO_OK;
}

static uint32_t code_at(const struct oto_column *c, uint32_t index)
{
    return oto_column_valid(c, index) ? ((const uint32_t *)c->values)[index] : UINT32_MAX;
}

// A key that each row has for itself.
static enum oto_status rank_row_key(struct ordering *o, const struct oto_column *c)
{
    uint32_t first = o->spec->first, count = o->spec->count;
    struct part *part = &o->parts[o->part_count++];
    part->of_row = numbers(o, count);
    if (!part->of_row)
        return OTO_NO_MEMORY;
    memcpy(part->of_row, (const uint32_t *)c->values + first, count * sizeof(uint32_t));
    for (uint32_t i = 0; c->validity && i < count; i++)
        part->of_row[i] = code_at(c, first + i);
    return rank_codes(o, c->dictionary, part->of_row, count, &part->distinct);
}

// The entries of level 1 that rows use, and the rank of each by the keys so far.
struct entries {
    uint32_t *list;
    uint32_t *ranks;
    uint32_t count;
    uint32_t distinct; // 0 before the first key
};

static enum oto_status entries_init(struct entries *e, struct ordering *o)
{
    const uint32_t *link = o->batch->levels[0].link + o->spec->first;
    uint32_t level_count = o->batch->levels[1].count;
    uint8_t *used = oto_arena_alloc(&o->arena, level_count);
    *e = (struct entries){.list = numbers(o, level_count), .ranks = numbers(o, level_count)};
    if (!used || !e->list || !e->ranks)
        return OTO_NO_MEMORY;
    memset(used, 0, level_count);
    for (uint32_t i = 0; i < o->spec->count; i++)
        used[link[i]] = 1;
    for (uint32_t i = 0; i < level_count; i++)
        if (used[i])
            e->list[e->count++] = i;
    return OTO_OK;
}

// Refines the ranks of entries by one more key of their level or above.
static enum oto_status rank_entry_key(struct ordering *o, struct entries *e,
                                      const struct oto_column *c)
{
    uint32_t *codes = numbers(o, e->count), distinct;
    if (!codes)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < e->count; i++) {
        uint32_t at = e->list[i];
        for (uint32_t level = 1; level < c->level; level++)
            at = o->batch->levels[level].link[at];
        codes[i] = code_at(c, at);
    }
    OTO_TRY(rank_codes(o, c->dictionary, codes, e->count, &distinct));
    if (!e->distinct) {
        e->ranks = codes;
        e->distinct = distinct;
        return OTO_OK;
    }
    struct oto_sort_item *items = oto_arena_alloc(&o->arena, 2 * (size_t)e->count * sizeof *items);
    if (!items)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < e->count; i++)
        items[i] =
            (struct oto_sort_item){.key = (uint64_t)e->ranks[i] << 32 | codes[i], .index = i};
    e->distinct = dense_ranks(items, e->count, NULL, e->ranks);
    return OTO_OK;
}

// The ranks of entries, handed down to their rows.
static enum oto_status rank_rows_by_entries(struct ordering *o, const struct entries *e)
{
    const uint32_t *link = o->batch->levels[0].link + o->spec->first;
    uint32_t *rank_of = numbers(o, o->batch->levels[1].count), *of_row = numbers(o, o->spec->count);
    if (!rank_of || !of_row)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < e->count; i++)
        rank_of[e->list[i]] = e->ranks[i];
    for (uint32_t i = 0; i < o->spec->count; i++)
        of_row[i] = rank_of[link[i]];
    o->parts[o->part_count++] = (struct part){of_row, e->distinct};
    return OTO_OK;
}

// A part for each key of the rows, and for each sequence of keys above them.
static enum oto_status rank_keys(struct ordering *o)
{
    struct entries e = {0};
    for (uint32_t k = 0; k < o->spec->key_count; k++) {
        const struct oto_column *c = &o->batch->columns[o->spec->keys[k]];
        if (c->field->type != OTO_TYPE_STRING)
            return OTO_UNSUPPORTED;
        if (c->level == 0) {
            OTO_TRY(rank_row_key(o, c));
            continue;
        }
        if (!e.list)
            OTO_TRY(entries_init(&e, o));
        OTO_TRY(rank_entry_key(o, &e, c));
        if (k + 1 < o->spec->key_count && o->batch->columns[o->spec->keys[k + 1]].level > 0)
            continue;
        OTO_TRY(rank_rows_by_entries(o, &e));
        e = (struct entries){0};
    }
    return OTO_OK;
}

// --- order ---

// Neighbouring parts become one where there are counters enough for all their pairs.
static void fuse_parts(struct ordering *o)
{
    uint32_t count = o->spec->count, kept = 0;
    uint64_t counters = 2 * (uint64_t)count > COUNTERS_MIN ? 2 * (uint64_t)count : COUNTERS_MIN;
    for (uint32_t p = 0; p < o->part_count; p++) {
        struct part *last = kept ? &o->parts[kept - 1] : NULL, next = o->parts[p];
        if (!last || (uint64_t)last->distinct * next.distinct > counters) {
            o->parts[kept++] = next;
            continue;
        }
        for (uint32_t i = 0; i < count; i++)
            last->of_row[i] = last->of_row[i] * next.distinct + next.of_row[i];
        last->distinct *= next.distinct;
    }
    o->part_count = kept;
}

// Rows of `from` (NULL: all, in their order) into `to`, stably by one part.
static enum oto_status scatter(struct ordering *o, const struct part *part, const uint32_t *from,
                               uint32_t *to)
{
    uint32_t *places = numbers(o, part->distinct), count = o->spec->count, sum = 0;
    if (!places)
        return OTO_NO_MEMORY;
    memset(places, 0, part->distinct * sizeof *places);
    for (uint32_t i = 0; i < count; i++)
        places[part->of_row[i]]++;
    for (uint32_t i = 0; i < part->distinct; i++) {
        uint32_t here = places[i];
        places[i] = sum;
        sum += here;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = from ? from[i] : i;
        to[places[part->of_row[row]]++] = row;
    }
    return OTO_OK;
}

// order: row numbers from 0 on, relative to spec->first.
static enum oto_status sort_by_parts(struct ordering *o, uint32_t *order)
{
    const uint32_t *from = NULL;
    uint32_t count = o->spec->count, *other = o->part_count > 1 ? numbers(o, count) : NULL;
    if (o->part_count > 1 && !other)
        return OTO_NO_MEMORY;
    if (o->part_count == 0)
        for (uint32_t i = 0; i < count; i++)
            order[i] = i;
    for (uint32_t p = o->part_count; p-- > 0;) { // the last pass ends in order
        uint32_t *to = p % 2 ? other : order;
        OTO_TRY(scatter(o, &o->parts[p], from, to));
        from = to;
    }
    return OTO_OK;
}

static enum oto_status sort_by_time(struct ordering *o, uint32_t *rows, uint32_t count)
{
    if (!o->items) {
        o->items = oto_arena_alloc(&o->arena, 2 * (size_t)o->spec->count * sizeof *o->items);
        if (!o->items)
            return OTO_NO_MEMORY;
        o->scratch = o->items + o->spec->count;
    }
    int64_t time_min = INT64_MAX;
    for (uint32_t i = 0; i < count; i++)
        time_min = o->times[rows[i]] < time_min ? o->times[rows[i]] : time_min;
    for (uint32_t i = 0; i < count; i++)
        o->items[i] = (struct oto_sort_item){
            .key = (uint64_t)o->times[rows[i]] - (uint64_t)time_min, .index = rows[i]};
    oto_sort_items(o->items, o->scratch, count);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = o->items[i].index;
    return OTO_OK;
}

static int same_parts(const struct ordering *o, uint32_t a, uint32_t b)
{
    for (uint32_t p = 0; p < o->part_count; p++)
        if (o->parts[p].of_row[a] != o->parts[p].of_row[b])
            return 0;
    return 1;
}

// Sorts each run of rows with equal parts by time, if it is not.
static enum oto_status sort_buckets(struct ordering *o, uint32_t *order)
{
    uint32_t count = o->spec->count;
    for (uint32_t start = 0, end; start < count; start = end) {
        int ascending = 1;
        for (end = start + 1; end < count && same_parts(o, order[end], order[end - 1]); end++)
            ascending &= o->times[order[end]] >= o->times[order[end - 1]];
        if (!ascending)
            OTO_TRY(sort_by_time(o, order + start, end - start));
    }
    return OTO_OK;
}

static enum oto_status order_rows(struct ordering *o, uint32_t *order,
                                  struct oto_partition *partitions, uint32_t *ret_partition_count)
{
    OTO_TRY(partition_rows(o, partitions, ret_partition_count));
    OTO_TRY(rank_keys(o));
    fuse_parts(o);
    OTO_TRY(sort_by_parts(o, order));
    OTO_TRY(sort_buckets(o, order));
    for (uint32_t i = 0; i < o->spec->count && o->spec->first; i++)
        order[i] += o->spec->first;
    return OTO_OK;
}

enum oto_status oto_batch_order(const struct oto_batch *batch, const struct oto_order_spec *spec,
                                const struct oto_allocator *allocator, uint32_t *order,
                                struct oto_partition *partitions, uint32_t *ret_partition_count,
                                struct oto_error *err)
{
    assert(spec->partitions_max > 0 && spec->first <= batch->row_count &&
           spec->count <= batch->row_count - spec->first);
    if (spec->count == 0) {
        *ret_partition_count = 0;
        return OTO_OK;
    }
    struct ordering o = {.batch = batch, .spec = spec};
    o.times = (const int64_t *)batch->columns[spec->time_column].values + spec->first;
    oto_arena_init(&o.arena, allocator, 1u << 16, SIZE_MAX);
    uint32_t partition_count = 0;
    enum oto_status status = order_rows(&o, order, partitions, &partition_count);
    oto_arena_release(&o.arena);
    if (status == OTO_OK)
        *ret_partition_count = partition_count;
    else if (status == OTO_NO_MEMORY)
        oto_error_set(err, status, "no memory to sort %u rows of %s", spec->count,
                      batch->schema->name);
    else
        oto_error_set(err, status, "a sort key of %s is no string", batch->schema->name);
    return status;
}

enum oto_status oto_table_order(enum oto_table table, const struct oto_batch *batch, uint32_t first,
                                uint32_t count, const struct oto_allocator *allocator,
                                uint32_t *order, struct oto_partition *partitions,
                                uint32_t partitions_max, uint32_t *ret_partition_count,
                                struct oto_error *err)
{
    struct oto_order_spec spec = {.time_column = oto_table_time_column(table),
                                  .first = first,
                                  .count = count,
                                  .partitions_max = partitions_max};
    const char *const *names;
    uint32_t name_count = oto_table_sorted_by(table, &names);
    for (uint32_t i = 0; i < name_count; i++) {
        int column = oto_schema_find(batch->schema, names[i]);
        if (column < 0)
            return oto_error_set(err, OTO_INTERNAL, "%s has no column %s", batch->schema->name,
                                 names[i]);
        if ((uint32_t)column == spec.time_column)
            continue;
        assert(spec.key_count < OTO_ORDER_KEYS_MAX);
        spec.keys[spec.key_count++] = (uint32_t)column;
    }
    return oto_batch_order(batch, &spec, allocator, order, partitions, ret_partition_count, err);
}
