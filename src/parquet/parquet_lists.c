// Lists that many rows share (attributes of resources and scopes): the dictionary indices of each
// are packed once, and a row copies bits. Runs are not looked for: zstd finds what repeats.
#include "codec/rle.h"
#include "parquet/parquet_internal.h"

#define WORD_BITS 56 // so many fit behind up to seven bits of the row before
#define VALUES_PER_ROW_MIN 2
#define RUN_MIN 16 // rows of one list: in shorter runs the first rows are most of it

struct list {
    uint32_t word; // the first of ceil(bit_count / WORD_BITS)
    uint32_t bit_count;
    uint32_t min, max;
};

// Whole bytes: the lists of two rows are the same bytes then, wherever they stand, for zstd to
// find.
static unsigned width_of_codes(const struct oto_parquet_file *file,
                               const struct oto_parquet_plan *plan)
{
    unsigned width = oto_bit_width(plan->distinct_count - 1);
    return file->options->compression == OTO_COMPRESSION_NONE ? width : (width + 7) / 8 * 8;
}

static void pack_list(struct list *list, const uint32_t *codes, uint32_t count, unsigned width,
                      uint64_t *words)
{
    uint64_t bits = 0;
    unsigned filled = 0;
    list->bit_count = count * width;
    list->min = UINT32_MAX;
    list->max = 0;
    for (uint32_t i = 0; i < count; i++) {
        list->min = codes[i] < list->min ? codes[i] : list->min;
        list->max = codes[i] > list->max ? codes[i] : list->max;
        bits |= (uint64_t)codes[i] << filled;
        filled += width;
        if (filled >= WORD_BITS) {
            *words++ = bits & (((uint64_t)1 << WORD_BITS) - 1);
            filled -= WORD_BITS;
            bits = filled ? codes[i] >> (width - filled) : 0;
        }
    }
    if (filled)
        *words = bits;
}

enum oto_status oto_parquet_lists_pack(struct oto_parquet_file *file, struct oto_parquet_plan *plan)
{
    const struct oto_parquet_leaf *leaf = plan->leaf;
    const struct oto_parquet_group *group = &file->group;
    const uint32_t *codes = (const void *)file->scratch.chunk_codes.data;
    const uint32_t *used = group->used[leaf->level];
    uint32_t used_count = group->used_count[leaf->level], word = 0;
    unsigned width = width_of_codes(file, plan);
    uint64_t word_count = 0;
    if (!plan->is_sorted || plan->distinct_count < 2 ||
        plan->value_count / VALUES_PER_ROW_MIN < group->count)
        return OTO_OK;
    for (uint32_t i = 0; i < used_count; i++)
        word_count +=
            ((uint64_t)(leaf->outer[used[i] + 1] - leaf->outer[used[i]]) * width) / WORD_BITS + 1;
    if (word_count > UINT32_MAX / 8)
        return OTO_OK;
    struct list *lists = oto_parquet_scratch_take(
        &file->scratch.lists, file->batch->levels[leaf->level].count, sizeof *lists);
    uint64_t *words =
        oto_parquet_scratch_take(&file->scratch.list_words, (size_t)word_count, sizeof *words);
    if (!lists || !words)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < used_count; i++) {
        uint32_t first = leaf->outer[used[i]], count = leaf->outer[used[i] + 1] - first;
        lists[used[i]].word = word;
        pack_list(&lists[used[i]], codes + first, count, width, words + word);
        word += count * width / WORD_BITS + 1;
    }
    plan->code_source = OTO_PARQUET_CODES_BY_LIST;
    return OTO_OK;
}

static uint8_t *put_varint(uint8_t *at, uint32_t value)
{
    for (; value >= 0x80; value >>= 7)
        *at++ = (uint8_t)(value | 0x80);
    *at++ = (uint8_t)value;
    return at;
}

// Bits on their way out: fewer than eight are held.
struct bits {
    uint8_t *at; // room for a word here
    uint64_t held;
    unsigned count;
};

static inline void put_list(struct bits *to, const struct list *list, const uint64_t *words)
{
    const uint64_t *word = words + list->word;
    for (uint32_t left = list->bit_count; left;) {
        unsigned some = left < WORD_BITS ? left : WORD_BITS;
        to->held |= *word++ << to->count;
        oto_store64(to->at, to->held);
        to->count += some;
        to->at += to->count >> 3;
        to->held = to->held >> (to->count & ~7u);
        to->count &= 7;
        left -= some;
    }
}

static uint32_t same_entries(const uint32_t *entries, uint32_t count)
{
    uint32_t same = 1;
    while (same < count && entries[same] == entries[0])
        same++;
    return same;
}

// Rows of one list. Eight of them are as many bytes as the list has bits, so once they have been
// written, and a byte more, those bytes come again.
static struct bits put_same(struct bits to, const struct list *list, const uint64_t *words,
                            uint32_t count)
{
    uint32_t size = list->bit_count, before = size ? 8 + (7 + size) / size : count;
    for (; count && before; count--, before--)
        put_list(&to, list, words);
    for (; count >= 8; count -= 8, to.at += size)
        memcpy(to.at, to.at - size, size);
    for (; count; count--)
        put_list(&to, list, words);
    return to;
}

// Whether rows of one list mostly stand together: a look at some of them.
static int has_runs(const uint32_t *entries, uint32_t row_count)
{
    uint32_t looks = 0, runs = 0;
    for (uint32_t i = 0; i + RUN_MIN <= row_count; i += 4 * RUN_MIN, looks++)
        runs += entries[i] == entries[i + RUN_MIN - 1];
    return runs > looks / 2;
}

// One bit-packed run; padded to whole groups of eight values, and room for a word behind.
static void put_rows(const struct list *lists, const uint64_t *words, const uint32_t *entries,
                     uint32_t row_count, uint8_t *seen, uint8_t *at, uint8_t *end)
{
    struct bits to = {at, 0, 0};
    uint32_t i = 0;
    int is_in_runs = has_runs(entries, row_count);
    for (uint32_t same; is_in_runs && i < row_count; i += same) {
        same = same_entries(entries + i, row_count - i);
        seen[entries[i]] = 1;
        to = put_same(to, &lists[entries[i]], words, same);
    }
    for (; i < row_count; i++) {
        seen[entries[i]] = 1;
        put_list(&to, &lists[entries[i]], words);
    }
    if (to.count)
        *to.at++ = (uint8_t)to.held;
    memset(to.at, 0, (size_t)(end - to.at));
}

enum oto_status oto_parquet_lists_write(struct oto_parquet_file *file,
                                        const struct oto_parquet_plan *plan,
                                        const struct oto_parquet_page_rows *rows,
                                        struct oto_buffer *output, uint32_t *ret_min,
                                        uint32_t *ret_max)
{
    enum { HEAD_BYTES_MAX = 6, SLACK = 8 };
    const struct oto_parquet_group *group = &file->group;
    unsigned level = plan->leaf->level, width = width_of_codes(file, plan);
    const struct list *lists = (const void *)file->scratch.lists.data;
    const uint64_t *words = (const void *)file->scratch.list_words.data;
    size_t groups = ((size_t)rows->value_count + 7) / 8;
    uint8_t *seen =
        oto_parquet_scratch_take(&file->scratch.values, file->batch->levels[level].count, 1);
    if (!seen)
        return OTO_NO_MEMORY;
    memset(seen, 0, file->batch->levels[level].count);
    OTO_TRY(oto_buffer_reserve(output, HEAD_BYTES_MAX + groups * width + SLACK));
    uint8_t *at = output->data + output->size;
    *at++ = (uint8_t)width;
    at = put_varint(at, (uint32_t)groups << 1 | 1);
    put_rows(lists, words, group->indices[level] + rows->first_row, rows->row_count, seen, at,
             at + groups * width);
    output->size = (size_t)(at - output->data) + groups * width;
    uint32_t min = UINT32_MAX, max = 0;
    for (uint32_t i = 0; i < group->used_count[level]; i++) {
        uint32_t entry = group->used[level][i];
        if (!seen[entry])
            continue;
        min = lists[entry].min < min ? lists[entry].min : min;
        max = lists[entry].max > max ? lists[entry].max : max;
    }
    *ret_min = min;
    *ret_max = max;
    return OTO_OK;
}
