// What a chunk's values are like: how many, how many different ones, and so which encoding. Values
// that many rows share (levels above 0) are looked at once, with the number of rows as weight.
#include "codec/rle.h"
#include "parquet/parquet_internal.h"

#define NUMBERS_DISTINCT_MAX 4096   // of a dictionary of numbers
#define TIMES_DISTINCT_MAX 16384    // series that are read together share their times
#define SORTED_TIMES_MAX 8          // of others, where rows are sorted by time
#define TIMES_SAMPLE 1024           // pairs of rows looked at, and
#define TIMES_SAMPLE_DESCENTS_MIN 1 // so many in which the later time comes first: runs of series
#define TIMES_SAMPLE_REPEATS_MIN 8  // whose times are the same
#define NUMBERS_RANGE_MAX 65536     // below, a table by value finds the distinct ones
#define RANGE_STEP 1024             // numbers looked at before it is known to be as wide
#define TABLE_PROBES_PER_VALUE 8 // more is an attack on the hash, or bad luck: no dictionary then
// A dictionary past the limit of the options, which readers have to hold whole, is made all the
// same where plain values were so many times larger: texts that many rows share, or else a few
// megabytes would be written for each of a million rows. Up to 1 GiB: a page has 31 bits of size.
#define LARGE_DICTIONARY_TIMES 4
#define LARGE_DICTIONARY_BYTES_MAX ((uint64_t)1 << 30)
#define IDS_SAMPLE 1024
#define IDS_SAMPLE_REPEATS_MIN 6

// --- walking over the values ---
struct walk {
    const struct oto_parquet_leaf *leaf;
    const uint32_t *entries;
    const uint32_t *weights; // NULL: all 1, in the order of rows
    uint32_t count;
    uint32_t next;
};

static struct walk walk_begin(const struct oto_parquet_file *file,
                              const struct oto_parquet_leaf *leaf)
{
    const struct oto_parquet_group *group = &file->group;
    unsigned level = leaf->level;
    if (level)
        return (struct walk){leaf, group->used[level], group->uses[level], group->used_count[level],
                             0};
    return (struct walk){leaf, group->indices[0], NULL, group->count, 0};
}

// The next run [*first, *end) of positions in the leaf's column.
static inline int walk_next(struct walk *w, uint32_t *first, uint32_t *end, uint32_t *weight)
{
    if (w->next == w->count)
        return 0;
    const struct oto_parquet_leaf *leaf = w->leaf;
    uint32_t entry = w->entries[w->next];
    *weight = w->weights ? w->weights[w->next] : 1;
    w->next++;
    *first = leaf->outer ? leaf->outer[entry] : entry;
    *end = leaf->outer ? leaf->outer[entry + 1] : entry + 1;
    if (leaf->inner) {
        *first = leaf->inner[*first];
        *end = leaf->inner[*end];
    }
    return 1;
}

// 1 when a position may hold a null that is left out of the values.
static int has_nulls(const struct oto_parquet_leaf *leaf)
{
    return leaf->nullable && leaf->column->validity && leaf->column->null_count;
}

// 1 when entries are one value each: a common case, which has loops of its own.
static int is_plain_walk(const struct walk *w)
{
    return !w->weights && !w->leaf->outer && !has_nulls(w->leaf);
}

// 1 when the row group has all rows of the batch: then what does not depend on the order of rows
// goes through a column of theirs from its first position to the last.
static int takes_all(const struct oto_parquet_file *file, const struct oto_parquet_leaf *leaf)
{
    return !leaf->level && file->group.count == file->batch->row_count;
}

static uint32_t position_count(const struct oto_parquet_file *file,
                               const struct oto_parquet_leaf *leaf)
{
    uint32_t count = file->batch->row_count;
    count = leaf->outer ? leaf->outer[count] : count;
    return leaf->inner ? leaf->inner[count] : count;
}

// Elements of the lists of a walk, nulls among them.
static uint64_t count_elements(const struct walk *w)
{
    const uint32_t *outer = w->leaf->outer, *inner = w->leaf->inner;
    uint64_t count = 0;
    for (uint32_t i = 0; i < w->count; i++) {
        uint32_t first = outer[w->entries[i]], end = outer[w->entries[i] + 1];
        uint32_t size = inner ? inner[end] - inner[first] : end - first;
        count += (uint64_t)size * (w->weights ? w->weights[i] : 1);
    }
    return count;
}

static uint64_t count_valid(struct walk w)
{
    const struct oto_column *column = w.leaf->column;
    uint32_t first, end, weight;
    uint64_t count = 0;
    if (column->null_count == column->length)
        return 0;
    while (walk_next(&w, &first, &end, &weight)) {
        for (uint32_t i = first; i < end; i++)
            count += oto_column_valid(column, i) ? weight : 0;
    }
    return count;
}

static enum oto_status count_values(const struct oto_parquet_file *file,
                                    struct oto_parquet_plan *plan)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    struct walk w = walk_begin(file, leaf);
    uint64_t count = file->group.count;
    if (takes_all(file, leaf))
        count = position_count(file, leaf) - (has_nulls(leaf) ? leaf->column->null_count : 0);
    else if (has_nulls(leaf))
        count = count_valid(w);
    else if (leaf->outer)
        count = count_elements(&w);
    plan->value_count = (uint32_t)count;
    return count > INT32_MAX ? OTO_TOO_LARGE : OTO_OK;
}

// --- text ---
// What is in a row four times is counted at once: adding to what was just stored waits.
static void tally_codes(const uint32_t *codes, uint32_t count, uint32_t *counts)
{
    uint32_t i = 0;
    for (; i + 4 <= count; i += 4) {
        uint64_t two = oto_load64(codes + i), others = oto_load64(codes + i + 2);
        if (two == others && (uint32_t)two == (uint32_t)(two >> 32)) {
            counts[(uint32_t)two] += 4;
            continue;
        }
        counts[codes[i]]++;
        counts[codes[i + 1]]++;
        counts[codes[i + 2]]++;
        counts[codes[i + 3]]++;
    }
    for (; i < count; i++)
        counts[codes[i]]++;
}

static void tally_text(const struct oto_parquet_file *file, const struct oto_parquet_leaf *leaf,
                       uint32_t *counts)
{
    const uint32_t *codes = leaf->column->values;
    const struct oto_column *column = leaf->column;
    struct walk w = walk_begin(file, leaf);
    int nulls = has_nulls(leaf);
    uint32_t first, end, weight;
    if (takes_all(file, leaf)) {
        w.next = w.count;
        end = position_count(file, leaf);
        if (!nulls)
            tally_codes(codes, end, counts);
        for (uint32_t i = 0; nulls && i < end; i++)
            counts[codes[i]] += (uint32_t)oto_column_valid(column, i);
    }
    for (; is_plain_walk(&w) && w.next < w.count; w.next++)
        counts[codes[w.entries[w.next]]]++;
    while (walk_next(&w, &first, &end, &weight)) {
        for (uint32_t i = first; i < end; i++)
            counts[codes[i]] += !nulls || oto_column_valid(column, i) ? weight : 0;
    }
}

static uint64_t packed_bytes(uint32_t distinct_count, uint32_t value_count)
{
    return distinct_count < 2 ? 0 : (uint64_t)value_count * oto_bit_width(distinct_count - 1) / 8;
}

// How pages find their codes. Lists that many rows share are turned into the file's codes here,
// once.
static enum oto_status code_lists(struct oto_parquet_file *file, struct oto_parquet_plan *plan,
                                  const uint32_t *ranks)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    int is_list = leaf->outer && !leaf->nullable;
    plan->code_source = is_list ? OTO_PARQUET_CODES_BY_ROW_TEXT : OTO_PARQUET_CODES_BY_TEXT;
    if (!is_list || !leaf->level)
        return OTO_OK;
    uint32_t length = leaf->column->length, first, end, weight;
    uint32_t *codes = oto_parquet_scratch_take(&file->scratch.chunk_codes, length, sizeof *codes);
    if (!codes)
        return OTO_NO_MEMORY;
    struct walk w = walk_begin(file, leaf);
    while (walk_next(&w, &first, &end, &weight)) {
        for (uint32_t i = first; i < end; i++)
            codes[i] = ranks[((const uint32_t *)leaf->column->values)[i]];
    }
    plan->code_source = OTO_PARQUET_CODES_BY_ROW;
    return leaf->inner ? OTO_OK : oto_parquet_lists_pack(file, plan);
}

// A large dictionary of lists: what is frequent first, by powers of two; equal ones in order of
// their first row, so that new values have codes that ascend. Takes the counts apart.
static void collect_in_order(const struct oto_parquet_file *file,
                             const struct oto_parquet_plan *plan, uint32_t *counts,
                             struct oto_parquet_distinct *distinct)
{
    const struct oto_dictionary *dictionary = plan->leaf->column->dictionary;
    const uint32_t *codes = plan->leaf->column->values;
    uint32_t places[33] = {0}, sum = 0, first, end, weight;
    struct walk w = walk_begin(file, plan->leaf);
    for (uint32_t code = 0; code < dictionary->count; code++)
        places[counts[code] ? oto_bit_width(counts[code]) : 0]++;
    for (unsigned width = 32; width > 0; width--) {
        uint32_t here = places[width];
        places[width] = sum;
        sum += here;
    }
    while (walk_next(&w, &first, &end, &weight)) {
        if (w.next + OTO_PARQUET_PREFETCH_STEPS < w.count && !w.leaf->inner)
            __builtin_prefetch(
                &codes[w.leaf->outer[w.entries[w.next + OTO_PARQUET_PREFETCH_STEPS]]]);
        for (uint32_t i = first; i < end; i++) {
            uint32_t count = counts[codes[i]];
            if (!count)
                continue;
            distinct[places[oto_bit_width(count)]++].position = codes[i];
            counts[codes[i]] = 0;
        }
    }
}

// In order of first appearance in memory.
static void collect_as_is(const struct oto_dictionary *dictionary, const uint32_t *counts,
                          struct oto_parquet_distinct *distinct)
{
    for (uint32_t code = 0, n = 0; code < dictionary->count; code++)
        if (counts[code])
            distinct[n++] = (struct oto_parquet_distinct){
                oto_parquet_key_of_bytes(dictionary->entries[code]), code, code};
}

static enum oto_status collect_text(struct oto_parquet_file *file, struct oto_parquet_plan *plan,
                                    uint32_t *counts)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    struct oto_parquet_distinct *distinct =
        oto_parquet_scratch_take(&file->scratch.distinct, plan->distinct_count, sizeof *distinct);
    if (!distinct)
        return OTO_NO_MEMORY;
    if (plan->distinct_count > OTO_PARQUET_SORTED_MAX && leaf->outer && !leaf->level &&
        !leaf->nullable)
        collect_in_order(file, plan, counts, distinct);
    else
        collect_as_is(leaf->column->dictionary, counts, distinct);
    OTO_TRY(oto_parquet_distinct_sort(file, plan));
    if (!plan->is_sorted) {
        OTO_TRY(oto_parquet_texts_take(file, plan));
        OTO_TRY(oto_parquet_extremes_find(file, plan));
    }
    for (uint32_t i = 0; i < plan->distinct_count; i++)
        counts[distinct[i].position] = i;
    plan->encoding = OTO_PARQUET_RLE_DICTIONARY;
    return code_lists(file, plan, counts);
}

static int is_too_large(const struct oto_parquet_file *file, uint64_t dictionary_bytes,
                        uint64_t plain_bytes)
{
    uint64_t most = file->options->dictionary_bytes_max;
    if (dictionary_bytes <= most)
        return 0;
    return !most || dictionary_bytes > LARGE_DICTIONARY_BYTES_MAX ||
           plain_bytes / LARGE_DICTIONARY_TIMES < dictionary_bytes;
}

// Whether a dictionary pays. That of rows' lists, when large, has codes of four bytes
// (codec/codes.h), and its texts lie apart from those they begin like: where most of them are used
// once, plain values compress as well, in less time.
static int dictionary_pays(const struct oto_parquet_file *file, const struct oto_parquet_plan *plan,
                           uint64_t plain_bytes)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    uint64_t size = plan->dictionary_bytes;
    if (is_too_large(file, size, plain_bytes))
        return 0;
    if (leaf->outer && !leaf->level && !leaf->nullable &&
        plan->distinct_count > OTO_PARQUET_SORTED_MAX &&
        file->options->compression == OTO_COMPRESSION_ZSTD)
        return size + (uint64_t)plan->value_count * 4 < plain_bytes / 8 * 7;
    return size + packed_bytes(plan->distinct_count, plan->value_count) < plain_bytes;
}

static enum oto_status survey_text(struct oto_parquet_file *file, struct oto_parquet_plan *plan)
{
    const struct oto_dictionary *dictionary = plan->leaf->column->dictionary;
    // In lists, values of one attribute begin alike, with their lengths: what follows the first
    // repeats.
    int is_prefixed = plan->leaf->outer && file->options->compression == OTO_COMPRESSION_ZSTD;
    plan->encoding = is_prefixed ? OTO_PARQUET_PLAIN : OTO_PARQUET_DELTA_LENGTH_BYTE_ARRAY;
    // Even one that stopped looking values up may have few: hints go on giving codes again.
    if (dictionary->plain && dictionary->count > plan->leaf->column->length / 4 * 3)
        return OTO_OK;
    uint32_t *counts =
        oto_parquet_scratch_take(&file->scratch.counts, dictionary->count, sizeof *counts);
    if (!counts)
        return OTO_NO_MEMORY;
    memset(counts, 0, (size_t)dictionary->count * sizeof *counts);
    tally_text(file, plan->leaf, counts);
    uint64_t dictionary_bytes = 0, plain_bytes = 0;
    const struct oto_bytes *entries = dictionary->entries;
    uint32_t distinct_count = 0, entry_count = dictionary->count;
    for (uint32_t code = 0; code < entry_count; code++) {
        uint64_t size = 4 + entries[code].size, count = counts[code];
        plain_bytes += size * count;
        dictionary_bytes += count ? size : 0;
        distinct_count += count != 0;
    }
    plan->distinct_count = distinct_count;
    plan->dictionary_bytes = dictionary_bytes;
    if (dictionary_pays(file, plan, plain_bytes))
        return collect_text(file, plan, counts);
    plan->plain_distinct = plan->distinct_count;
    plan->distinct_count = 0;
    return OTO_OK;
}

// --- a hash table of ids or numbers ---
struct table {
    const struct oto_parquet_leaf *leaf;
    struct oto_parquet_distinct *distinct;
    uint32_t count;
    uint32_t count_max;
    uint32_t *slots; // code + 1
    uint32_t mask;
    uint32_t probes_left;
};

static enum oto_status table_init(struct oto_parquet_file *file,
                                  const struct oto_parquet_leaf *leaf, uint32_t count_max,
                                  uint32_t value_count, struct table *table)
{
    uint32_t slot_count = 64;
    while (slot_count < 2 * count_max)
        slot_count *= 2;
    *table = (struct table){.leaf = leaf, .count_max = count_max, .mask = slot_count - 1};
    table->probes_left =
        value_count < UINT32_MAX / 16 ? value_count * TABLE_PROBES_PER_VALUE + 64 : UINT32_MAX;
    table->distinct =
        oto_parquet_scratch_take(&file->scratch.distinct, count_max, sizeof *table->distinct);
    table->slots = oto_parquet_scratch_take(&file->scratch.slots, slot_count, sizeof(uint32_t));
    if (!table->distinct || !table->slots)
        return OTO_NO_MEMORY;
    memset(table->slots, 0, (size_t)slot_count * sizeof(uint32_t));
    return OTO_OK;
}

// Ids whose first eight bytes are the same, or that are not there.
static inline int is_same_id(const struct oto_parquet_leaf *leaf, uint32_t a, uint32_t b,
                             unsigned id_size)
{
    const struct oto_column *column = leaf->column;
    const uint8_t *values = column->values;
    int is_valid = oto_column_valid(column, a);
    if (is_valid != oto_column_valid(column, b))
        return 0;
    return !is_valid || id_size == 8 ||
           oto_load64(values + (size_t)a * 16 + 8) == oto_load64(values + (size_t)b * 16 + 8);
}

// The code of a value, made when new; UINT32_MAX when the table is full or too slow. id_size: 0 for
// numbers.
__attribute__((always_inline)) static inline uint32_t
table_code(struct table *table, uint64_t key, uint64_t hash, unsigned id_size, uint32_t position)
{
    uint32_t slot = (uint32_t)(hash >> 32) & table->mask;
    for (; table->slots[slot]; slot = (slot + 1) & table->mask) {
        uint32_t code = table->slots[slot] - 1;
        const struct oto_parquet_distinct *found = &table->distinct[code];
        if (found->key == key &&
            (!id_size || is_same_id(table->leaf, found->position, position, id_size)))
            return code;
        if (!table->probes_left--)
            return UINT32_MAX;
    }
    if (table->count == table->count_max)
        return UINT32_MAX;
    table->distinct[table->count] = (struct oto_parquet_distinct){key, position, table->count};
    table->slots[slot] = ++table->count;
    return table->count - 1;
}

static uint64_t mix(uint64_t value)
{
    value *= 0x9E3779B97F4A7C15u;
    return (value ^ value >> 29) * 0xBF58476D1CE4E5B9u;
}

// Order-preserving 64-bit forms of numbers.
static uint64_t key_of_integer(int64_t value)
{
    return (uint64_t)value ^ (uint64_t)1 << 63;
}
static uint64_t key_of_double(double value)
{
    uint64_t bits = oto_load64(&value);
    return bits >> 63 ? ~bits : bits | (uint64_t)1 << 63;
}

int64_t oto_parquet_integer_of_key(uint64_t key)
{
    return (int64_t)(key ^ (uint64_t)1 << 63);
}
double oto_parquet_double_of_key(uint64_t key)
{
    uint64_t bits = key >> 63 ? key ^ (uint64_t)1 << 63 : ~key;
    double value;
    memcpy(&value, &bits, 8);
    return value;
}

static int64_t integer_at(const struct oto_parquet_leaf *leaf, uint32_t position)
{
    if (leaf->type == OTO_TYPE_INT32)
        return ((const int32_t *)leaf->column->values)[position];
    return ((const int64_t *)leaf->column->values)[position];
}

// The leaf's type is told, so that loops over rows are made for it.
__attribute__((always_inline)) static inline uint32_t
code_of_type(struct table *table, const struct oto_parquet_leaf *leaf, uint8_t type,
             uint32_t position)
{
    uint64_t key;
    if (type == OTO_TYPE_ID8 || type == OTO_TYPE_ID16) {
        struct oto_bytes id = oto_parquet_id_at(leaf, position);
        uint64_t low = id.size ? oto_load64(id.data) : 1,
                 high = id.size == 16 ? oto_load64(id.data + 8) : 0;
        key = id.size ? __builtin_bswap64(low) : 0;
        return table_code(table, key, mix(low ^ mix(high)), type == OTO_TYPE_ID16 ? 16 : 8,
                          position);
    }
    if (type == OTO_TYPE_DOUBLE)
        key = key_of_double(((const double *)leaf->column->values)[position]);
    else if (type == OTO_TYPE_INT32)
        key = key_of_integer(((const int32_t *)leaf->column->values)[position]);
    else
        key = key_of_integer(((const int64_t *)leaf->column->values)[position]);
    return table_code(table, key, mix(key), 0, position);
}

static uint32_t value_code(struct table *table, const struct oto_parquet_leaf *leaf,
                           uint32_t position)
{
    return code_of_type(table, leaf, leaf->type, position);
}

// One value an entry. 0: too many different ones.
__attribute__((always_inline)) static inline int
code_rows(struct table *table, const struct walk *w, uint8_t type, uint32_t *codes)
{
    struct table local = *table;
    uint32_t i = 0;
    for (; i < w->count; i++) {
        codes[i] = code_of_type(&local, w->leaf, type, w->entries[i]);
        if (codes[i] == UINT32_MAX)
            break;
    }
    *table = local;
    return i == w->count;
}

static int code_plain_rows(struct table *table, const struct walk *w, uint32_t *codes)
{
    switch ((enum oto_type)w->leaf->type) {
    case OTO_TYPE_ID16:
        return code_rows(table, w, OTO_TYPE_ID16, codes);
    case OTO_TYPE_DOUBLE:
        return code_rows(table, w, OTO_TYPE_DOUBLE, codes);
    case OTO_TYPE_INT64:
    case OTO_TYPE_TIME:
        return code_rows(table, w, OTO_TYPE_INT64, codes);
    default:
        return code_rows(table, w, w->leaf->type, codes);
    }
}

static int code_walk(struct table *table, struct walk w, uint32_t *codes)
{
    const struct oto_parquet_leaf *leaf = w.leaf;
    int by_position = w.weights != NULL, nulls = has_nulls(leaf);
    uint32_t first, end, weight, n = 0;
    while (walk_next(&w, &first, &end, &weight)) {
        for (uint32_t i = first; i < end; i++) {
            if (nulls && !oto_column_valid(leaf->column, i))
                continue;
            uint32_t code = value_code(table, leaf, i);
            if (code == UINT32_MAX)
                return 0;
            codes[by_position ? i : n++] = code;
        }
    }
    return 1;
}

// Codes of all values into scratch.chunk_codes. 0: there are too many different ones.
static enum oto_status code_values(struct oto_parquet_file *file, struct oto_parquet_plan *plan,
                                   struct table *table, int *ret_fits)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    struct walk w = walk_begin(file, leaf);
    int by_position = w.weights != NULL;
    size_t room = by_position ? leaf->column->length : plan->value_count;
    uint32_t *codes = oto_parquet_scratch_take(&file->scratch.chunk_codes, room, sizeof *codes);
    if (!codes)
        return OTO_NO_MEMORY;
    *ret_fits = is_plain_walk(&w) ? code_plain_rows(table, &w, codes) : code_walk(table, w, codes);
    if (!*ret_fits)
        return OTO_OK;
    plan->distinct_count = table->count;
    plan->code_source = by_position ? OTO_PARQUET_CODES_BY_POSITION : OTO_PARQUET_CODES_BY_ORDER;
    return OTO_OK;
}

// Sorts what the table found; scratch.counts turns its codes into the file's.
static enum oto_status use_table(struct oto_parquet_file *file, struct oto_parquet_plan *plan,
                                 const struct table *table)
{
    OTO_TRY(oto_parquet_distinct_sort(file, plan));
    uint32_t *ranks =
        oto_parquet_scratch_take(&file->scratch.counts, plan->distinct_count, sizeof *ranks);
    if (!ranks)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < plan->distinct_count; i++)
        ranks[table->distinct[i].code] = i;
    plan->encoding = OTO_PARQUET_RLE_DICTIONARY;
    OTO_TRY(oto_parquet_ids_take(file, plan));
    return plan->is_sorted ? OTO_OK : oto_parquet_extremes_find(file, plan);
}

// --- ids ---
// How many of IDS_SAMPLE values, so many rows from each other, stand among them already.
static enum oto_status ids_sample(struct oto_parquet_file *file,
                                  const struct oto_parquet_leaf *leaf, uint32_t stride,
                                  uint32_t *ret_repeats, uint32_t *ret_distinct)
{
    struct table table;
    OTO_TRY(table_init(file, leaf, IDS_SAMPLE, IDS_SAMPLE, &table));
    *ret_repeats = 0;
    for (uint32_t i = 0; i < IDS_SAMPLE; i++) {
        uint32_t position = file->group.indices[0][i * stride], count = table.count;
        if (oto_column_valid(leaf->column, position))
            *ret_repeats += value_code(&table, leaf, position) < count;
    }
    *ret_distinct = table.count;
    return OTO_OK;
}

// Whether a dictionary may be worth it: unique ids, the usual case, show themselves in a sample
// before all are hashed. When they repeat neither far nor near, there is nothing to compress.
static enum oto_status ids_repeat(struct oto_parquet_file *file, struct oto_parquet_plan *plan,
                                  int *ret)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    uint32_t stride = file->group.count / IDS_SAMPLE, repeats, distinct;
    *ret = 1;
    if (leaf->outer || leaf->level || stride < 8)
        return OTO_OK;
    OTO_TRY(ids_sample(file, leaf, stride, &repeats, &distinct));
    *ret = repeats >= IDS_SAMPLE_REPEATS_MIN || distinct < IDS_SAMPLE / 64;
    if (*ret || (leaf->column->validity && leaf->column->null_count))
        return OTO_OK;
    OTO_TRY(ids_sample(file, leaf, 1, &repeats, &distinct));
    plan->is_random =
        repeats < IDS_SAMPLE / 64 && file->options->compression == OTO_COMPRESSION_ZSTD;
    return OTO_OK;
}

static enum oto_status survey_ids(struct oto_parquet_file *file, struct oto_parquet_plan *plan)
{
    uint32_t text_size = 2 * oto_parquet_leaf_id_size(plan->leaf);
    uint32_t count_max = file->options->dictionary_bytes_max / (4 + text_size);
    int is_worth = 0;
    plan->encoding = OTO_PARQUET_DELTA_LENGTH_BYTE_ARRAY;
    OTO_TRY(ids_repeat(file, plan, &is_worth));
    count_max = count_max < plan->value_count / 2 + 1 ? count_max : plan->value_count / 2 + 1;
    if (!is_worth || !count_max)
        return OTO_OK;
    struct table table;
    OTO_TRY(table_init(file, plan->leaf, count_max, plan->value_count, &table));
    OTO_TRY(code_values(file, plan, &table, &is_worth));
    uint64_t coded =
        (uint64_t)table.count * (4 + text_size) + packed_bytes(table.count, plan->value_count);
    // Digits compress to half.
    if (is_worth && (table.count == 1 || coded < (uint64_t)plan->value_count * text_size / 2))
        return use_table(file, plan, &table);
    plan->distinct_count = 0;
    return OTO_OK;
}

// --- numbers ---
// Whether a column that the rows are sorted by begins anew every few rows, and then with the same
// values, as the times of series do: a look at some rows and their neighbours tells.
static enum oto_status starts_over(struct oto_parquet_file *file,
                                   const struct oto_parquet_leaf *leaf, int *ret)
{
    const uint32_t *indices = file->group.indices[leaf->level];
    uint32_t stride = file->group.count / TIMES_SAMPLE, descents = 0, repeats = 0;
    struct table table;
    *ret = 0;
    if (leaf->type != OTO_TYPE_TIME || leaf->outer || has_nulls(leaf) || !stride)
        return OTO_OK;
    OTO_TRY(table_init(file, leaf, TIMES_SAMPLE, TIMES_SAMPLE, &table));
    for (uint32_t k = 0; k < TIMES_SAMPLE; k++) {
        uint32_t i = k * stride + (uint32_t)(mix(k + 1) >> 40) % stride; // in no step with the rows
        uint32_t count = table.count;
        descents += i && integer_at(leaf, indices[i]) < integer_at(leaf, indices[i - 1]);
        repeats += value_code(&table, leaf, indices[i]) < count;
    }
    *ret = descents >= TIMES_SAMPLE_DESCENTS_MIN && repeats >= TIMES_SAMPLE_REPEATS_MIN;
    return OTO_OK;
}

static enum oto_status distinct_max(struct oto_parquet_file *file,
                                    const struct oto_parquet_plan *plan, uint32_t *ret)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    uint32_t count = plan->value_count / (leaf->type == OTO_TYPE_DOUBLE ? 4 : 8);
    int again;
    if (leaf->field->flags & OTO_FIELD_SORTED && count > SORTED_TIMES_MAX) {
        OTO_TRY(starts_over(file, leaf, &again));
        count = again ? count : SORTED_TIMES_MAX;
    }
    uint32_t most = leaf->type == OTO_TYPE_TIME ? TIMES_DISTINCT_MAX : NUMBERS_DISTINCT_MAX;
    *ret = count < 1 ? 1 : count < most ? count : most;
    return OTO_OK;
}

// Ends when the numbers are far from each other: how far makes no difference then.
#define RANGE_OF(type)                                                                             \
    static void range_of_##type(const type *values, uint32_t count, int64_t *min, int64_t *max)    \
    {                                                                                              \
        type least = count ? values[0] : 0, most = least;                                          \
        for (uint32_t i = 0, end; i < count; i = end) {                                            \
            end = count - i < RANGE_STEP ? count : i + RANGE_STEP;                                 \
            for (uint32_t k = i; k < end; k++) {                                                   \
                least = values[k] < least ? values[k] : least;                                     \
                most = values[k] > most ? values[k] : most;                                        \
            }                                                                                      \
            if ((uint64_t)most - (uint64_t)least >= NUMBERS_RANGE_MAX)                             \
                break;                                                                             \
        }                                                                                          \
        *min = least;                                                                              \
        *max = most;                                                                               \
    }
RANGE_OF(int32_t)
RANGE_OF(int64_t)

static void integer_range(const struct oto_parquet_file *file, const struct oto_parquet_leaf *leaf,
                          int64_t *ret_min, int64_t *ret_max)
{
    struct walk w = walk_begin(file, leaf);
    int64_t min = INT64_MAX, max = INT64_MIN;
    int nulls = has_nulls(leaf);
    uint32_t first, end, weight, count = takes_all(file, leaf) ? position_count(file, leaf) : 0;
    if (count && !nulls) {
        if (leaf->type == OTO_TYPE_INT32)
            range_of_int32_t(leaf->column->values, count, ret_min, ret_max);
        else
            range_of_int64_t(leaf->column->values, count, ret_min, ret_max);
        return;
    }
    while (walk_next(&w, &first, &end, &weight)) {
        for (uint32_t i = first; i < end; i++) {
            if (nulls && !oto_column_valid(leaf->column, i))
                continue;
            int64_t value = integer_at(leaf, i);
            min = value < min ? value : min;
            max = value > max ? value : max;
        }
    }
    *ret_min = min;
    *ret_max = max;
}

// Marks the numbers that occur, from plan->number_min on.
static void mark_numbers(const struct oto_parquet_file *file, const struct oto_parquet_plan *plan,
                         uint32_t *marks)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    const int32_t *narrow = leaf->column->values;
    const int64_t *wide = leaf->column->values, least = plan->number_min;
    struct walk w = walk_begin(file, leaf);
    int nulls = has_nulls(leaf), is_narrow = leaf->type == OTO_TYPE_INT32;
    uint32_t first, end, weight, count = takes_all(file, leaf) ? position_count(file, leaf) : 0;
    if (count && !nulls) {
        for (uint32_t i = 0; is_narrow && i < count; i++)
            marks[narrow[i] - least] = 1;
        for (uint32_t i = 0; !is_narrow && i < count; i++)
            marks[wide[i] - least] = 1;
        return;
    }
    while (walk_next(&w, &first, &end, &weight)) {
        for (uint32_t i = first; i < end; i++) {
            if (!nulls || oto_column_valid(leaf->column, i))
                marks[integer_at(leaf, i) - least] = 1;
        }
    }
}

// Integers near each other: one table by value.
static enum oto_status survey_range(struct oto_parquet_file *file, struct oto_parquet_plan *plan,
                                    uint32_t range)
{
    uint32_t *marks = oto_parquet_scratch_take(&file->scratch.counts, range, sizeof *marks);
    uint32_t count = 0, most;
    if (!marks)
        return OTO_NO_MEMORY;
    memset(marks, 0, (size_t)range * sizeof *marks);
    if (range > 1)
        mark_numbers(file, plan, marks);
    marks[0] = 1;
    for (uint32_t i = 0; i < range; i++)
        count += marks[i];
    OTO_TRY(distinct_max(file, plan, &most));
    if (count > most)
        return OTO_OK;
    struct oto_parquet_distinct *distinct =
        oto_parquet_scratch_take(&file->scratch.distinct, count, sizeof *distinct);
    if (!distinct)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0, n = 0; i < range; i++) {
        if (marks[i]) {
            distinct[n].key = key_of_integer(plan->number_min + i);
            marks[i] = n++;
        }
    }
    plan->distinct_count = count;
    plan->code_source = OTO_PARQUET_CODES_BY_NUMBER;
    plan->is_sorted = 1;
    plan->encoding = OTO_PARQUET_RLE_DICTIONARY;
    return OTO_OK;
}

static enum oto_status survey_table(struct oto_parquet_file *file, struct oto_parquet_plan *plan)
{
    struct table table;
    uint32_t most;
    int fits;
    OTO_TRY(distinct_max(file, plan, &most));
    OTO_TRY(table_init(file, plan->leaf, most, plan->value_count, &table));
    OTO_TRY(code_values(file, plan, &table, &fits));
    return fits ? use_table(file, plan, &table) : OTO_OK;
}

static enum oto_status survey_doubles(struct oto_parquet_file *file, struct oto_parquet_plan *plan)
{
    OTO_TRY(survey_table(file, plan));
    if (plan->encoding != OTO_PARQUET_RLE_DICTIONARY)
        oto_parquet_doubles_plan(file, plan);
    return OTO_OK;
}

static enum oto_status survey_integers(struct oto_parquet_file *file, struct oto_parquet_plan *plan)
{
    int64_t min, max;
    plan->encoding = OTO_PARQUET_DELTA_BINARY_PACKED;
    integer_range(file, plan->leaf, &min, &max);
    plan->number_min = min;
    uint64_t range = (uint64_t)max - (uint64_t)min;
    if (range < NUMBERS_RANGE_MAX && range < (uint64_t)plan->value_count * 4 + 64)
        OTO_TRY(survey_range(file, plan, (uint32_t)range + 1));
    else
        OTO_TRY(survey_table(file, plan));
    return oto_parquet_integers_try(file, plan);
}

enum oto_status oto_parquet_survey(struct oto_parquet_file *file,
                                   const struct oto_parquet_leaf *leaf,
                                   struct oto_parquet_plan *ret_plan)
{
    *ret_plan = (struct oto_parquet_plan){.leaf = leaf, .encoding = OTO_PARQUET_PLAIN};
    OTO_TRY(oto_parquet_group_level(file, leaf->level));
    OTO_TRY(count_values(file, ret_plan));
    if (!ret_plan->value_count || leaf->type == OTO_TYPE_BOOL)
        return OTO_OK;
    if (oto_parquet_leaf_is_text(leaf))
        return survey_text(file, ret_plan);
    if (oto_parquet_leaf_id_size(leaf))
        return survey_ids(file, ret_plan);
    if (leaf->type == OTO_TYPE_DOUBLE)
        return survey_doubles(file, ret_plan);
    OTO_TRY(survey_integers(file, ret_plan));
    if (leaf->type == OTO_TYPE_TIME && leaf->field->flags & OTO_FIELD_SORTED)
        file->times_repeat = ret_plan->distinct_count > SORTED_TIMES_MAX;
    return OTO_OK;
}
