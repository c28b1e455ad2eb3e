#include "parquet/parquet_pick.h"

#include "parquet/parquet_read_internal.h"

#define LENGTH_BYTES 4 // of a text, in front of it

// --- which codes of a dictionary are wanted ---

struct finder {
    struct oto_parquet_reader *reader;
    const struct oto_parquet_wish *wish;
    struct oto_error *err;
    struct oto_parquet_stream *stream;
    struct oto_buffer matching; // uint8_t a code of the stream's dictionary: is it wanted?
    uint32_t code;              // the only wanted one, if
    uint32_t wanted_count;
    int is_judged;    // the dictionary was looked through
    int without_rows; // where rows begin is not asked
};

static int is_wanted(struct oto_bytes value, const struct oto_bytes *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (oto_bytes_equal(value, values[i]))
            return 1;
    return 0;
}

// Goes through the dictionary's page: to take all its values out costs more than all else here.
static enum oto_status judge_dictionary(struct finder *f, const struct oto_bytes *values,
                                        size_t value_count)
{
    struct oto_bytes rest = oto_buffer_view(&f->stream->dictionary_page);
    uint32_t count = f->stream->dictionary_count;
    f->wanted_count = 0;
    f->is_judged = 1;
    OTO_TRY(oto_buffer_reserve(&f->matching, (size_t)count + 1));
    memset(f->matching.data, 0, (size_t)count + 1);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t size = rest.size < LENGTH_BYTES ? 0 : oto_load32(rest.data);
        if (rest.size < LENGTH_BYTES || size > rest.size - LENGTH_BYTES)
            return oto_parquet_stream_failed(f->reader, f->stream, OTO_CORRUPT, f->err,
                                             "the dictionary does not hold %u values", count);
        if (is_wanted(oto_bytes(rest.data + LENGTH_BYTES, size), values, value_count)) {
            f->matching.data[i] = 1;
            f->wanted_count++;
            f->code = i;
        }
        rest = oto_bytes(rest.data + LENGTH_BYTES + size, rest.size - LENGTH_BYTES - size);
    }
    return OTO_OK;
}

// For the next values of the page, at most a window: whether each is wanted.
static enum oto_status judge_values(struct finder *f, uint32_t count,
                                    const struct oto_bytes *values, size_t value_count,
                                    uint8_t *wanted)
{
    struct oto_parquet_window *w = f->reader->window;
    enum oto_status status = oto_parquet_codes_read(f->reader, f->stream, count, f->err);
    if (status < 0)
        return status;
    if (status == OTO_END) {
        OTO_TRY(oto_parquet_values_read(f->reader, f->stream, count, f->err));
        for (uint32_t i = 0; i < count; i++)
            wanted[i] = (uint8_t)is_wanted(w->bytes[i], values, value_count);
        return OTO_OK;
    }
    if (!f->is_judged)
        OTO_TRY(judge_dictionary(f, values, value_count));
    if (f->wanted_count <= 1) {
        uint32_t code = f->wanted_count ? f->code : UINT32_MAX;
        for (uint32_t i = 0; i < count; i++)
            wanted[i] = w->codes[i] == code;
        return OTO_OK;
    }
    for (uint32_t i = 0; i < count; i++)
        wanted[i] = f->matching.data[w->codes[i]];
    return OTO_OK;
}

// --- a leaf's entries ---

// A window of entries: where rows begin, and which have a wanted value.
struct window {
    uint32_t count;
    int have_rows; // repetition was read: else every entry is a row
    uint32_t repetition[OTO_PARQUET_WINDOW];
    uint8_t wanted[OTO_PARQUET_WINDOW];
    uint8_t values[OTO_PARQUET_WINDOW];
};

static enum oto_status failed(const struct finder *f, enum oto_status status)
{
    if (status >= 0)
        return status;
    return oto_parquet_stream_failed(f->reader, f->stream, status, f->err,
                                     status == OTO_NO_MEMORY
                                         ? "no memory to look for rows"
                                         : "the levels of a page contradict each other");
}

// Definition levels of the next count entries: how many have values; wanted[i] says which have.
static enum oto_status read_definitions(struct finder *f, uint32_t count, uint8_t *wanted,
                                        uint32_t *ret_values)
{
    uint32_t max = f->stream->node->max_definition, done = 0, values = 0;
    uint32_t *levels = f->reader->window->levels;
    while (max && done < count) {
        uint32_t level;
        size_t equal;
        OTO_TRY(oto_rle_read_equal(&f->stream->definition, count - done, &level, &equal));
        if (equal) {
            memset(wanted + done, level == max, equal);
            values += level == max ? (uint32_t)equal : 0;
            done += (uint32_t)equal;
            continue;
        }
        uint32_t some = count - done;
        some = f->stream->definition.left < some ? (uint32_t)f->stream->definition.left : some;
        OTO_TRY(oto_rle_read(&f->stream->definition, levels, some));
        for (uint32_t i = 0; i < some; i++)
            values += wanted[done + i] = levels[i] == max;
        done += some;
    }
    if (!max)
        memset(wanted, 1, count);
    *ret_values = max ? values : count;
    return OTO_OK;
}

// OTO_END: the chunk has no more.
static enum oto_status next_window(struct finder *f, const struct oto_bytes *values,
                                   size_t value_count, struct window *w)
{
    uint32_t present = 0;
    if (!f->stream->page_left) {
        enum oto_status status = oto_parquet_stream_next_page(f->reader, f->stream, f->err);
        if (status != OTO_OK)
            return status;
    }
    w->count =
        f->stream->page_left < OTO_PARQUET_WINDOW ? f->stream->page_left : OTO_PARQUET_WINDOW;
    f->stream->page_left -= w->count;
    w->have_rows = f->stream->node->max_repetition > 0 && !f->without_rows;
    if (w->have_rows)
        OTO_TRY(failed(f, oto_rle_read(&f->stream->repetition, w->repetition, w->count)));
    OTO_TRY(failed(f, read_definitions(f, w->count, w->wanted, &present)));
    if (!present)
        return OTO_OK;
    if (present == w->count)
        return judge_values(f, present, values, value_count, w->wanted);
    OTO_TRY(judge_values(f, present, values, value_count, w->values));
    for (uint32_t i = 0, value = 0; i < w->count; i++)
        if (w->wanted[i])
            w->wanted[i] = w->values[value++];
    return OTO_OK;
}

static enum oto_status begin_leaf(struct finder *f, uint32_t group, uint32_t leaf)
{
    struct oto_parquet_reader *r = f->reader;
    const struct oto_parquet_node *node = &r->metadata.nodes[r->metadata.leaves[leaf]];
    *f->stream = (struct oto_parquet_stream){.leaf = leaf, .node = node};
    oto_parquet_stream_init(r, f->stream, OTO_PARQUET_KIND_BYTES);
    f->stream->keeps_page = 1;
    f->is_judged = 0;
    if (node->physical != OTO_PARQUET_BYTE_ARRAY || node->max_repetition > 1 ||
        node->max_definition > 2)
        return oto_error_set(f->err, OTO_UNSUPPORTED, "no text, or nested deeply");
    return oto_parquet_stream_begin(r, f->stream, group, f->err);
}

// --- rows ---

// Looks at the dictionary before any page is. Pages of codes hold nothing that it does not have.
static enum oto_status pass_pages(struct finder *f, const struct oto_bytes *values,
                                  size_t value_count, uint64_t *entry)
{
    struct oto_parquet_stream *stream = f->stream;
    uint32_t empty;
    uint64_t passed;
    if (stream->page_left || (stream->node->max_repetition && !f->without_rows))
        return OTO_OK;
    OTO_TRY(oto_parquet_stream_skip_pages(f->reader, stream, 0, &empty, f->err));
    if (!stream->dictionary_count)
        return OTO_OK;
    if (!f->is_judged)
        OTO_TRY(judge_dictionary(f, values, value_count));
    if (f->wanted_count)
        return OTO_OK;
    OTO_TRY(oto_parquet_stream_skip_coded(f->reader, stream, &passed, f->err));
    *entry += passed;
    return OTO_OK;
}

// Calls take for each window of a leaf. entry: of the next one, where no levels tell the row.
static enum oto_status visit(struct finder *f, uint32_t group, uint32_t leaf,
                             const struct oto_bytes *values, size_t value_count,
                             enum oto_status (*take)(void *state, const struct window *w),
                             void *state, uint64_t *entry)
{
    struct window *w = oto_alloc(f->reader->allocator, sizeof *w);
    if (!w)
        return oto_error_set(f->err, OTO_NO_MEMORY, "no memory to look for rows");
    enum oto_status status = begin_leaf(f, group, leaf);
    while (status == OTO_OK) {
        status = pass_pages(f, values, value_count, entry);
        if (status == OTO_OK)
            status = next_window(f, values, value_count, w);
        if (status == OTO_OK)
            status = take(state, w);
    }
    oto_parquet_stream_release(f->stream);
    oto_free(f->reader->allocator, w, sizeof *w);
    return status < 0 ? status : OTO_OK;
}

struct rows {
    struct oto_buffer *output;
    uint32_t max, count;
    uint64_t row;  // begun so far
    uint64_t last; // row that was added, plus one
};

static enum oto_status add_row(struct rows *rows, uint64_t row)
{
    uint32_t number = (uint32_t)row;
    if (row + 1 == rows->last)
        return OTO_OK;
    if (row > UINT32_MAX || rows->count++ == rows->max)
        return OTO_TOO_LARGE;
    rows->last = row + 1;
    return oto_buffer_append(rows->output, &number, sizeof number);
}

static enum oto_status take_rows(void *state, const struct window *w)
{
    struct rows *rows = state;
    if (!w->have_rows && !memchr(w->wanted, 1, w->count)) {
        rows->row += w->count;
        return OTO_OK;
    }
    for (uint32_t i = 0; i < w->count; i++) {
        rows->row += !w->have_rows || w->repetition[i] == 0;
        if (!w->wanted[i])
            continue;
        if (rows->row == 0)
            return OTO_CORRUPT;
        OTO_TRY(add_row(rows, rows->row - 1));
    }
    return OTO_OK;
}

// --- maps: first the values' entries that are wanted, then whether their keys are ---

struct hits {
    struct oto_buffer entries; // uint64_t, ascending
    uint64_t entry;            // so far
    size_t max;
};

static enum oto_status take_hits(void *state, const struct window *w)
{
    struct hits *hits = state;
    const uint8_t *end = w->wanted + w->count, *at = w->wanted;
    for (; (at = memchr(at, 1, (size_t)(end - at))); at++) {
        uint64_t entry = hits->entry + (uint64_t)(at - w->wanted);
        if (hits->entries.size / sizeof entry == hits->max)
            return OTO_TOO_LARGE;
        OTO_TRY(oto_buffer_append(&hits->entries, &entry, sizeof entry));
    }
    hits->entry += w->count;
    return OTO_OK;
}

// A walk over the keys' leaf. Of a key that a row has twice the first counts, as for those who ask.
struct key_walk {
    struct finder *f;
    struct rows *rows;
    const uint64_t *hit, *hit_end; // entries that are left
    uint64_t entry;                // of the chunk
    int is_seen;                   // the row that began last had the key
};

static enum oto_status take_key(struct key_walk *walk, uint64_t entry, int is_start, int is_wanted)
{
    int is_hit = walk->hit < walk->hit_end && *walk->hit == entry;
    walk->rows->row += (unsigned)is_start;
    walk->is_seen &= !is_start;
    walk->hit += is_hit;
    if (!is_wanted || walk->is_seen)
        return OTO_OK;
    walk->is_seen = 1;
    if (is_hit && walk->rows->row == 0)
        return OTO_CORRUPT;
    return is_hit ? add_row(walk->rows, walk->rows->row - 1) : OTO_OK;
}

static enum oto_status take_keys(void *state, const struct window *w)
{
    struct key_walk *walk = state;
    for (uint32_t i = 0; i < w->count; i++)
        OTO_TRY(
            take_key(walk, walk->entry + i, !w->have_rows || w->repetition[i] == 0, w->wanted[i]));
    walk->entry += w->count;
    return OTO_OK;
}

// --- the same where few entries are hits: keys are looked at in their rows only ---

// Takes packed values without unpacking them; 0: the next ones are not packed.
static enum oto_status take_packed(struct oto_rle_reader *r, uint64_t most,
                                   const uint8_t **ret_from, uint64_t *ret_bit, uint64_t *ret_count)
{
    uint64_t count = r->left < most ? r->left : most;
    *ret_from = r->packed;
    *ret_bit = r->next * r->bit_width;
    if (*ret_bit + count * r->bit_width > r->packed_size * 8)
        return OTO_CORRUPT;
    r->next += count;
    r->left -= count;
    *ret_count = count;
    return OTO_OK;
}

enum oto_status oto_parquet_codes_skip(struct oto_rle_reader *r, uint64_t count)
{
    while (count) {
        uint32_t value;
        size_t equal;
        OTO_TRY(oto_rle_read_equal(r, count, &value, &equal));
        uint64_t some = equal, bit;
        const uint8_t *from;
        if (!equal)
            OTO_TRY(take_packed(r, count, &from, &bit, &some));
        count -= some;
    }
    return OTO_OK;
}

// Repetition levels of width 1, of a whole page.
struct starts {
    uint64_t *words; // bit i: entry i begins no row
    uint32_t count;
    uint32_t at;  // entries whose rows are counted
    uint32_t row; // begun before `at`, in the page
};

static void put_bits(uint64_t *words, uint32_t at, uint64_t bits, unsigned count)
{
    words[at / 64] |= bits << at % 64;
    if (at % 64 + count > 64)
        words[at / 64 + 1] |= bits >> (64 - at % 64);
}

static uint64_t get_bits(const uint8_t *from, uint64_t bit, unsigned count)
{
    uint64_t bits = 0;
    size_t last = (size_t)((bit + count - 1) / 8);
    for (size_t i = last + 1; i-- > bit / 8;)
        bits = bits << 8 | from[i];
    bits >>= bit % 8;
    return count < 64 ? bits & ((1ull << count) - 1) : bits;
}

static enum oto_status read_starts(struct oto_rle_reader *r, struct starts *s)
{
    for (uint32_t at = 0; at < s->count;) {
        uint32_t value;
        size_t equal;
        OTO_TRY(oto_rle_read_equal(r, s->count - at, &value, &equal));
        uint64_t some = equal, bit = 0;
        const uint8_t *from = NULL;
        if (!equal)
            OTO_TRY(take_packed(r, s->count - at, &from, &bit, &some));
        for (uint64_t i = 0; i < some; i += 32) {
            unsigned n = some - i < 32 ? (unsigned)(some - i) : 32;
            uint64_t bits = equal ? (value ? (1ull << n) - 1 : 0) : get_bits(from, bit + i, n);
            put_bits(s->words, at + (uint32_t)i, bits, n);
        }
        at += (uint32_t)some;
    }
    return OTO_OK;
}

static int begins_row(const struct starts *s, uint32_t entry)
{
    return !(s->words[entry / 64] >> entry % 64 & 1);
}

// Rows begun in entries [at, to).
static void count_rows(struct starts *s, uint32_t to)
{
    while (s->at < to) {
        uint32_t n = 64 - s->at % 64;
        n = n < to - s->at ? n : to - s->at;
        uint64_t bits = s->words[s->at / 64] >> s->at % 64;
        bits = n < 64 ? bits & ((1ull << n) - 1) : bits;
        s->row += n - (uint32_t)__builtin_popcountll(bits);
        s->at += n;
    }
}

// Whether all entries of the page have values. Takes the levels.
static enum oto_status all_have_values(struct finder *f, uint32_t count, int *ret_all)
{
    uint32_t max = f->stream->node->max_definition;
    struct oto_rle_reader levels = f->stream->definition;
    *ret_all = 1;
    while (max && count && *ret_all) {
        uint32_t level;
        size_t equal;
        OTO_TRY(oto_rle_read_equal(&levels, count, &level, &equal));
        *ret_all = equal && level == max;
        count -= (uint32_t)equal;
    }
    return OTO_OK;
}

// The rows of the page's hits. `code` is the key's; the codes before `next` were taken.
static enum oto_status look_at_hits(struct key_walk *walk, struct starts *s, uint32_t code)
{
    struct oto_rle_reader *codes = &walk->f->stream->values.rle;
    uint64_t row_base = walk->rows->row;
    uint32_t next = 0;
    while (walk->hit < walk->hit_end && *walk->hit < walk->entry + s->count) {
        uint32_t hit = (uint32_t)(*walk->hit - walk->entry), start = hit;
        while (start > next && !begins_row(s, start))
            start--;
        OTO_TRY(oto_parquet_codes_skip(codes, start - next));
        count_rows(s, start);
        for (next = start; next <= hit; next++) {
            uint32_t key;
            OTO_TRY(oto_rle_read(codes, &key, 1));
            count_rows(s, next + 1);
            walk->rows->row = row_base + s->row - (unsigned)begins_row(s, next);
            OTO_TRY(take_key(walk, walk->entry + next, begins_row(s, next), key == code));
        }
    }
    count_rows(s, s->count);
    walk->rows->row = row_base + s->row;
    return OTO_OK;
}

static int may_look_at_hits(const struct finder *f)
{
    unsigned encoding = f->stream->values.encoding;
    return f->stream->node->max_repetition == 1 &&
           (encoding == OTO_PARQUET_RLE_DICTIONARY || encoding == OTO_PARQUET_PLAIN_DICTIONARY);
}

// OTO_END: the page has to be read entry by entry.
static enum oto_status read_key_page(struct key_walk *walk, struct oto_buffer *words)
{
    struct finder *f = walk->f;
    struct starts s = {.count = f->stream->page_left};
    size_t size = ((size_t)s.count / 64 + 2) * sizeof *s.words;
    int all = 0;
    if (may_look_at_hits(f))
        OTO_TRY(all_have_values(f, s.count, &all));
    if (!all)
        return OTO_END;
    OTO_TRY(oto_parquet_codes_read(f->reader, f->stream, 0, f->err)); // begins them
    if (!f->is_judged)
        OTO_TRY(judge_dictionary(f, &f->wish->key, 1));
    if (f->wanted_count > 1)
        return OTO_END;
    words->size = 0;
    OTO_TRY(oto_buffer_reserve(words, size));
    s.words = memset(words->data, 0, size);
    OTO_TRY(read_starts(&f->stream->repetition, &s));
    if (s.count && !begins_row(&s, 0))
        return OTO_UNSUPPORTED; // a row in two pages
    OTO_TRY(look_at_hits(walk, &s, f->wanted_count ? f->code : UINT32_MAX));
    walk->entry += s.count;
    f->stream->page_left = 0;
    return OTO_OK;
}

static enum oto_status read_keys(struct key_walk *walk, struct window *w, struct oto_buffer *words)
{
    struct finder *f = walk->f;
    enum oto_status status;
    for (;;) {
        status = oto_parquet_stream_next_page(f->reader, f->stream, f->err);
        if (status != OTO_OK)
            return status;
        status = failed(f, read_key_page(walk, words));
        while (status == OTO_END && f->stream->page_left) {
            OTO_TRY(next_window(f, &f->wish->key, 1, w));
            OTO_TRY(take_keys(walk, w));
        }
        if (status < 0)
            return status;
    }
}

static enum oto_status find_keys(struct finder *f, uint32_t group, const struct hits *hits,
                                 struct rows *rows)
{
    const uint64_t *first = (const void *)hits->entries.data;
    struct key_walk walk = {
        .f = f, .rows = rows, .hit = first, .hit_end = first + hits->entries.size / sizeof *first};
    struct window *w = oto_alloc(f->reader->allocator, sizeof *w);
    struct oto_buffer words;
    if (!w)
        return oto_error_set(f->err, OTO_NO_MEMORY, "no memory to look for rows");
    oto_buffer_init(&words, f->reader->allocator, SIZE_MAX / 2);
    f->without_rows = 0;
    enum oto_status status = begin_leaf(f, group, f->wish->key_leaf);
    if (status == OTO_OK)
        status = read_keys(&walk, w, &words);
    oto_parquet_stream_release(f->stream);
    oto_buffer_release(&words);
    oto_free(f->reader->allocator, w, sizeof *w);
    return status < 0 ? status : OTO_OK;
}

static enum oto_status find_in_map(struct finder *f, uint32_t group, struct rows *rows)
{
    const struct oto_parquet_wish *wish = f->wish;
    struct hits hits = {.max = 4 * (size_t)rows->max + 1000};
    oto_buffer_init(&hits.entries, f->reader->allocator, SIZE_MAX / 2);
    f->without_rows = 1;
    enum oto_status status =
        visit(f, group, wish->leaf, wish->values, wish->value_count, take_hits, &hits, &hits.entry);
    if (status == OTO_OK && hits.entries.size)
        status = find_keys(f, group, &hits, rows);
    oto_buffer_release(&hits.entries);
    return status;
}

static enum oto_status get_window(struct oto_parquet_reader *reader, struct oto_error *err)
{
    if (!reader->window && !(reader->window = oto_alloc(reader->allocator, sizeof *reader->window)))
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to read a Parquet file");
    return OTO_OK;
}

enum oto_status oto_parquet_find_rows(struct oto_parquet_reader *reader, uint32_t group,
                                      const struct oto_parquet_wish *wish, uint32_t rows_max,
                                      struct oto_buffer *rows, struct oto_error *err)
{
    const struct oto_parquet_metadata *m = &reader->metadata;
    struct rows found = {.output = rows, .max = rows_max};
    int is_map = wish->key_leaf != UINT32_MAX;
    if (group >= m->group_count || wish->leaf >= m->leaf_count ||
        (is_map && wish->key_leaf >= m->leaf_count))
        return oto_error_set(err, OTO_NOT_FOUND, "no such row group or leaf");
    OTO_TRY(get_window(reader, err));
    struct finder f = {.reader = reader, .wish = wish, .err = err};
    f.stream = oto_alloc(reader->allocator, sizeof *f.stream);
    if (!f.stream)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to look for rows");
    oto_buffer_init(&f.matching, reader->allocator, SIZE_MAX / 2);
    enum oto_status status = is_map ? find_in_map(&f, group, &found)
                                    : visit(&f, group, wish->leaf, wish->values, wish->value_count,
                                            take_rows, &found, &found.row);
    oto_buffer_release(&f.matching);
    oto_free(reader->allocator, f.stream, sizeof *f.stream);
    return status < 0 ? oto_error_ensure(err, status, "looking for rows") : OTO_OK;
}

// --- reading picked rows ---

enum oto_status oto_parquet_read_picked(struct oto_parquet_reader *reader, uint32_t group,
                                        const uint32_t *rows, uint32_t count,
                                        struct oto_builder *builder, struct oto_error *err)
{
    const struct oto_parquet_step *steps = (const void *)reader->steps.data;
    if (!reader->schema || builder->schema != reader->schema ||
        group >= reader->metadata.group_count)
        return oto_error_set(err, OTO_INTERNAL, "no selection, or no such row group");
    if (count > UINT32_MAX - builder->levels[0].count)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory for rows");
    for (uint32_t i = 0; i < reader->stream_count; i++)
        OTO_TRY(oto_parquet_stream_begin(reader, &reader->streams[i], group, err));
    if (++reader->generation == 0)
        reader->generation = 1;
    reader->group = group; // a place in the middle of it: of no use to oto_parquet_read
    reader->is_group_begun = 0;
    for (uint32_t first = 0, next = 0; first < count;) {
        uint32_t last = first + 1;
        while (last < count && rows[last] == rows[last - 1] + 1)
            last++;
        for (uint32_t i = 0; i < reader->step_count; i++) {
            struct oto_parquet_stream *stream =
                steps[i].stream == OTO_PARQUET_NONE ? NULL : &reader->streams[steps[i].stream];
            if (stream)
                OTO_TRY(oto_parquet_skip_rows(reader, stream, rows[first] - next, err));
            OTO_TRY(oto_parquet_step_read(reader, builder, &steps[i], last - first, err));
        }
        builder->levels[0].count += last - first;
        next = rows[last - 1] + 1;
        first = last;
    }
    return OTO_OK;
}
