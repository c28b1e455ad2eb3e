#include "parquet/parquet_pick.h"

#include "parquet/parquet_read_internal.h"

// --- which codes of a dictionary are wanted ---

struct finder {
    struct oto_parquet_reader *reader;
    const struct oto_parquet_wish *wish;
    struct oto_error *err;
    struct oto_parquet_stream *stream;
    struct oto_buffer matching; // uint8_t a code of the stream's dictionary: is it wanted?
    uint32_t code;              // the only wanted one, if
    uint32_t wanted_count;
    int is_judged; // the dictionary was looked through
};

static int is_wanted(struct oto_bytes value, const struct oto_bytes *values, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (oto_bytes_equal(value, values[i]))
            return 1;
    return 0;
}

static enum oto_status judge_dictionary(struct finder *f, const struct oto_bytes *values,
                                        size_t value_count)
{
    const struct oto_bytes *entries = (const void *)f->stream->dictionary.data;
    uint32_t count = f->stream->dictionary_count;
    f->matching.size = 0;
    f->wanted_count = 0;
    f->is_judged = 1;
    OTO_TRY(oto_buffer_reserve(&f->matching, (size_t)count + 1));
    for (uint32_t i = 0; i < count; i++) {
        int wanted = is_wanted(entries[i], values, value_count);
        f->matching.data[i] = (uint8_t)wanted;
        f->wanted_count += (uint32_t)wanted;
        f->code = wanted ? i : f->code;
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
    w->have_rows = f->stream->node->max_repetition > 0;
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
    f->is_judged = 0;
    if (node->physical != OTO_PARQUET_BYTE_ARRAY || node->max_repetition > 1 ||
        node->max_definition > 2)
        return oto_error_set(f->err, OTO_UNSUPPORTED, "no text, or nested deeply");
    return oto_parquet_stream_begin(r, f->stream, group, f->err);
}

// --- rows ---

// Calls take for each window of a leaf.
static enum oto_status visit(struct finder *f, uint32_t group, uint32_t leaf,
                             const struct oto_bytes *values, size_t value_count,
                             enum oto_status (*take)(void *state, const struct window *w),
                             void *state)
{
    struct window *w = oto_alloc(f->reader->allocator, sizeof *w);
    if (!w)
        return oto_error_set(f->err, OTO_NO_MEMORY, "no memory to look for rows");
    enum oto_status status = begin_leaf(f, group, leaf);
    while (status == OTO_OK) {
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
    uint64_t row;                  // begun so far
    uint64_t entry;                // of the chunk
    uint64_t last;                 // row that was added, plus one
    const struct oto_buffer *bits; // of entries that must be wanted, too; NULL: all
};

static int has_bit(const struct oto_buffer *bits, uint64_t entry)
{
    return entry / 8 < bits->size && bits->data[entry / 8] >> (entry % 8) & 1;
}

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
    for (uint32_t i = 0; i < w->count; i++) {
        rows->row += !w->have_rows || w->repetition[i] == 0;
        if (!w->wanted[i] || (rows->bits && !has_bit(rows->bits, rows->entry + i)))
            continue;
        if (rows->row == 0)
            return OTO_CORRUPT;
        OTO_TRY(add_row(rows, rows->row - 1));
    }
    rows->entry += w->count;
    return OTO_OK;
}

// Entries of a map's values: a bit each.
struct bits {
    struct oto_buffer *output;
    uint64_t entry;
    int any;
};

static enum oto_status take_bits(void *state, const struct window *w)
{
    struct bits *bits = state;
    uint64_t size = (bits->entry + w->count + 7) / 8;
    if (size > bits->output->size) {
        OTO_TRY(oto_buffer_reserve(bits->output, (size_t)size - bits->output->size));
        memset(bits->output->data + bits->output->size, 0, (size_t)size - bits->output->size);
        bits->output->size = (size_t)size;
    }
    for (uint32_t i = 0; i < w->count; i++, bits->entry++) {
        bits->output->data[bits->entry / 8] |= (uint8_t)(w->wanted[i] << bits->entry % 8);
        bits->any |= w->wanted[i];
    }
    return OTO_OK;
}

static enum oto_status find_in_map(struct finder *f, uint32_t group, struct rows *rows)
{
    const struct oto_parquet_wish *wish = f->wish;
    struct oto_buffer wanted;
    struct bits bits = {.output = &wanted};
    oto_buffer_init(&wanted, f->reader->allocator, SIZE_MAX / 2);
    enum oto_status status =
        visit(f, group, wish->leaf, wish->values, wish->value_count, take_bits, &bits);
    rows->bits = &wanted;
    if (status == OTO_OK && bits.any)
        status = visit(f, group, wish->key_leaf, &wish->key, 1, take_rows, rows);
    oto_buffer_release(&wanted);
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
    enum oto_status status =
        is_map ? find_in_map(&f, group, &found)
               : visit(&f, group, wish->leaf, wish->values, wish->value_count, take_rows, &found);
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
