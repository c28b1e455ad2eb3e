// Levels and values into columns: a window of entries after the other, values first made what the
// column has, then put between the nulls.
#include "base/text.h"
#include "base/utf8.h"
#include "parquet/parquet_read_internal.h"

// A step at work.
struct run {
    struct oto_parquet_reader *reader;
    struct oto_builder *builder;
    const struct oto_parquet_step *step;
    struct oto_parquet_stream *stream;
    struct oto_parquet_window *window;
    struct oto_column *target; // NULL: only where lists begin
    struct oto_column *rest;   // NULL: none
    struct oto_error *err;
};

static struct oto_column *column_at(const struct oto_builder *b,
                                    const struct oto_parquet_path *path)
{
    struct oto_column *column = path->depth ? &b->columns[path->at[0]] : NULL;
    for (unsigned i = 1; i < path->depth; i++)
        column = &column->children[path->at[i]];
    return column;
}

static enum oto_status no_memory(const struct run *run, enum oto_status status)
{
    if (status == OTO_OK)
        return OTO_OK;
    return oto_parquet_stream_failed(run->reader, run->stream, status, run->err,
                                     "no memory for rows");
}

// --- empty entries ---

static int is_id(const struct oto_column *c)
{
    return c->field->type == OTO_TYPE_ID16 || c->field->type == OTO_TYPE_ID8;
}

// Entries without a value: nulls where the column has such, else 0, "" and no elements.
static enum oto_status put_absent(struct oto_builder *b, struct oto_column *c, uint32_t count)
{
    size_t width = oto_field_width(c->field);
    if (!count)
        return OTO_OK;
    if (width && ((c->field->flags & OTO_FIELD_NULLABLE) || is_id(c)))
        return oto_column_append_nulls(b, c, count);
    OTO_TRY(oto_column_reserve(b, c, count));
    if (!width) {
        for (uint32_t i = 0; i < count; i++, c->length++)
            c->offsets[c->length + 1] = c->offsets[c->length];
        return OTO_OK;
    }
    uint32_t code = 0;
    if (c->dictionary) {
        uint32_t hint = c->length ? ((uint32_t *)c->values)[c->length - 1] : UINT32_MAX;
        OTO_TRY(oto_dictionary_add_hinted(c->dictionary, (struct oto_bytes){NULL, 0}, hint, &code));
    }
    if (code)
        for (uint32_t i = 0; i < count; i++)
            ((uint32_t *)c->values)[c->length + i] = code;
    else
        memset((uint8_t *)c->values + c->length * width, 0, count * width);
    c->length += count;
    return OTO_OK;
}

// --- values of a window as the column has them: window->raw, and for times window->narrow ---

static enum oto_status check_range(const struct run *run, uint32_t count, int64_t min, int64_t max)
{
    const int64_t *integers = run->window->integers;
    for (uint32_t i = 0; i < count; i++)
        if (integers[i] < min || integers[i] > max)
            return oto_parquet_stream_failed(run->reader, run->stream, OTO_UNSUPPORTED, run->err,
                                             "%lld does not fit the column",
                                             (long long)integers[i]);
    return OTO_OK;
}

static enum oto_status convert_times(const struct run *run, uint32_t count)
{
    const int64_t *integers = run->window->integers;
    int64_t *times = (int64_t *)(void *)run->window->raw;
    unsigned unit = run->step->time_unit;
    if (unit == 1)
        OTO_TRY(check_range(run, count, INT64_MIN / 1000, INT64_MAX / 1000));
    for (uint32_t i = 0; i < count; i++) {
        int64_t past = unit == 3 ? integers[i] % 1000 : 0;
        past += past < 0 ? 1000 : 0;
        times[i] = unit == 1   ? integers[i] * 1000
                   : unit == 3 ? integers[i] / 1000 - (integers[i] % 1000 < 0)
                               : integers[i];
        run->window->narrow[i] = (int32_t)past;
        if (past && !run->rest)
            return oto_parquet_stream_failed(run->reader, run->stream, OTO_UNSUPPORTED, run->err,
                                             "%lld ns past 1970 has no place in the table",
                                             (long long)integers[i]);
    }
    return OTO_OK;
}

static enum oto_status convert_integers(const struct run *run, uint32_t count)
{
    int64_t *integers = run->window->integers;
    uint8_t *raw = run->window->raw;
    if (run->step->is_unsigned)
        for (uint32_t i = 0; i < count; i++)
            integers[i] = (uint32_t)integers[i];
    switch ((enum oto_type)run->target->field->type) {
    case OTO_TYPE_BOOL:
        OTO_TRY(check_range(run, count, 0, 1));
        for (uint32_t i = 0; i < count; i++)
            raw[i] = (uint8_t)integers[i];
        return OTO_OK;
    case OTO_TYPE_INT32:
        OTO_TRY(check_range(run, count, INT32_MIN, INT32_MAX));
        for (uint32_t i = 0; i < count; i++)
            oto_store32(raw + (size_t)i * 4, (uint32_t)integers[i]);
        return OTO_OK;
    case OTO_TYPE_TIME:
        return convert_times(run, count);
    default:
        memcpy(raw, integers, count * sizeof *integers);
        return OTO_OK;
    }
}

static enum oto_status add_text(const struct run *run, struct oto_bytes value, uint32_t hint,
                                int is_checked, uint32_t *ret_code)
{
    const struct oto_column *c = run->target;
    if (!is_checked && c->field->type == OTO_TYPE_STRING && !oto_utf8_valid(value.data, value.size))
        return oto_parquet_stream_failed(run->reader, run->stream, OTO_CORRUPT, run->err,
                                         "text that is not UTF-8");
    return no_memory(run, oto_dictionary_add_hinted(c->dictionary, value, hint, ret_code));
}

// Codes of the file's dictionary become the builder's: each once a read, and by the code of the
// read before where that still holds.
static enum oto_status map_codes(const struct run *run, uint32_t count)
{
    struct oto_parquet_code *known = (void *)run->stream->codes.data;
    const struct oto_bytes *dictionary = (const void *)run->stream->dictionary.data;
    const uint32_t *codes = run->window->codes;
    uint32_t generation = run->reader->generation;
    uint8_t *raw = run->window->raw;
    for (uint32_t i = 0; i < count; i++) {
        struct oto_parquet_code *code = &known[codes[i]];
        if (code->generation != generation) {
            OTO_TRY(add_text(run, dictionary[codes[i]], code->generation ? code->code : UINT32_MAX,
                             code->generation != 0, &code->code));
            code->generation = generation;
        }
        oto_store32(raw + (size_t)i * 4, code->code);
    }
    return OTO_OK;
}

static enum oto_status convert_texts(const struct run *run, uint32_t count)
{
    uint32_t hint = UINT32_MAX;
    enum oto_status status = oto_parquet_codes_read(run->reader, run->stream, count, run->err);
    if (status < 0)
        return status;
    if (status == OTO_OK)
        return map_codes(run, count);
    OTO_TRY(oto_parquet_values_read(run->reader, run->stream, count, run->err));
    for (uint32_t i = 0; i < count; i++) {
        OTO_TRY(add_text(run, run->window->bytes[i], hint, 0, &hint));
        oto_store32(run->window->raw + (size_t)i * 4, hint);
    }
    return OTO_OK;
}

static int is_all_zero(struct oto_bytes bytes)
{
    for (size_t i = 0; i < bytes.size; i++)
        if (bytes.data[i])
            return 0;
    return 1;
}

// Hex, or raw bytes where the file does not say that they are text: sixteen digits may be an id of
// 64 bits, for which there is no place. None, or a fixed text of zero bytes, is the empty id.
// is_empty in window->lengths.
static enum oto_status convert_ids(const struct run *run, uint32_t count)
{
    size_t width = oto_field_width(run->target->field);
    int may_be_raw = !oto_parquet_node_says_text(run->stream->node);
    for (uint32_t i = 0; i < count; i++) {
        struct oto_bytes value = run->window->bytes[i];
        uint8_t *to = run->window->raw + i * width;
        int is_hex = value.size == 2 * width;
        int is_empty = value.size == 0 || (is_hex && is_all_zero(value));
        run->window->lengths[i] = is_empty;
        if (is_empty)
            continue;
        if (value.size == width && may_be_raw)
            memcpy(to, value.data, width);
        else if (!is_hex || oto_hex_decode(value, to) != OTO_OK)
            return oto_parquet_stream_failed(run->reader, run->stream, OTO_CORRUPT, run->err,
                                             "%zu bytes that are no id of %zu hex digits",
                                             value.size, 2 * width);
    }
    return OTO_OK;
}

static enum oto_status decode_values(const struct run *run, uint32_t count)
{
    enum oto_type type = (enum oto_type)run->target->field->type;
    if (type == OTO_TYPE_STRING || type == OTO_TYPE_BINARY)
        return convert_texts(run, count);
    OTO_TRY(oto_parquet_values_read(run->reader, run->stream, count, run->err));
    if (is_id(run->target))
        return convert_ids(run, count);
    if (type != OTO_TYPE_DOUBLE)
        return convert_integers(run, count);
    memcpy(run->window->raw, run->window->reals, count * sizeof(double));
    return OTO_OK;
}

// --- values between nulls ---

static enum oto_status put_values(struct oto_builder *b, struct oto_column *c,
                                  const uint8_t *values, size_t width, uint32_t count)
{
    OTO_TRY(oto_column_reserve(b, c, count));
    memcpy((uint8_t *)c->values + c->length * width, values, count * width);
    c->length += count;
    return OTO_OK;
}

// present NULL: all of them.
static enum oto_status put(struct oto_builder *b, struct oto_column *c, const uint8_t *values,
                           const uint8_t *present, uint32_t count)
{
    size_t width = oto_field_width(c->field);
    if (!present)
        return put_values(b, c, values, width, count);
    for (uint32_t i = 0, begin; i < count;) {
        for (begin = i; i < count && present[i] == present[begin];)
            i++;
        if (!present[begin]) {
            OTO_TRY(put_absent(b, c, i - begin));
            continue;
        }
        OTO_TRY(put_values(b, c, values, width, i - begin));
        values += (i - begin) * width;
    }
    return OTO_OK;
}

static enum oto_status put_ids(const struct run *run, const uint8_t *present, uint32_t count)
{
    struct oto_column *c = run->target;
    size_t width = oto_field_width(c->field), value = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (present && !present[i]) {
            OTO_TRY(oto_column_append_null(run->builder, c));
            continue;
        }
        size_t size = run->window->lengths[value] ? 0 : width;
        OTO_TRY(oto_column_append_id(run->builder, c,
                                     oto_bytes(run->window->raw + value++ * width, size)));
    }
    return OTO_OK;
}

// A window's entries, of which so many have values.
static enum oto_status append_entries(const struct run *run, const uint8_t *present, uint32_t count,
                                      uint32_t value_count)
{
    if (!run->target || !count)
        return OTO_OK;
    if (value_count)
        OTO_TRY(decode_values(run, value_count));
    present = value_count == count ? NULL : present;
    if (!value_count) {
        OTO_TRY(no_memory(run, put_absent(run->builder, run->target, count)));
        return run->rest ? no_memory(run, put_absent(run->builder, run->rest, count)) : OTO_OK;
    }
    if (is_id(run->target))
        return no_memory(run, put_ids(run, present, count));
    OTO_TRY(no_memory(run, put(run->builder, run->target, run->window->raw, present, count)));
    if (!run->rest)
        return OTO_OK;
    return no_memory(
        run, put(run->builder, run->rest, (const uint8_t *)run->window->narrow, present, count));
}

// --- levels ---

static enum oto_status next_page(const struct run *run)
{
    enum oto_status status = oto_parquet_stream_next_page(run->reader, run->stream, run->err);
    if (status != OTO_END)
        return status;
    return oto_parquet_stream_failed(run->reader, run->stream, OTO_CORRUPT, run->err,
                                     "the column has fewer rows than its row group");
}

static enum oto_status levels_failed(const struct run *run)
{
    return oto_parquet_stream_failed(run->reader, run->stream, OTO_CORRUPT, run->err,
                                     "the levels of a page contradict each other");
}

// The next definition levels of one kind, most at most, or a mixture. *ret_value_count of the
// *ret_count have values, which present says where it is neither none nor all.
static enum oto_status next_definitions(const struct run *run, uint32_t most, uint32_t *ret_count,
                                        uint32_t *ret_value_count)
{
    struct oto_rle_reader *levels = &run->stream->definition;
    uint32_t level, max = run->stream->node->max_definition, value_count = 0;
    uint32_t *found = run->window->levels;
    size_t equal;
    OTO_TRY(oto_rle_read_equal(levels, most, &level, &equal));
    if (equal) {
        *ret_count = (uint32_t)equal;
        *ret_value_count = level == max ? (uint32_t)equal : 0;
        return level <= max ? OTO_OK : OTO_CORRUPT;
    }
    most = levels->left < most ? (uint32_t)levels->left : most;
    OTO_TRY(oto_rle_read(levels, found, most));
    for (uint32_t i = 0; i < most; i++) {
        if (found[i] > max)
            return OTO_CORRUPT;
        value_count += run->window->present[i] = found[i] == max;
    }
    *ret_count = most;
    *ret_value_count = value_count;
    return OTO_OK;
}

static enum oto_status read_flat(const struct run *run, uint32_t rows)
{
    struct oto_parquet_stream *stream = run->stream;
    while (rows) {
        if (!stream->page_left)
            OTO_TRY(next_page(run));
        uint32_t count = rows < stream->page_left ? rows : stream->page_left;
        count = count < OTO_PARQUET_WINDOW ? count : OTO_PARQUET_WINDOW;
        uint32_t value_count = count;
        if (stream->node->max_definition &&
            next_definitions(run, count, &count, &value_count) != OTO_OK)
            return levels_failed(run);
        OTO_TRY(append_entries(run, run->window->present, count, value_count));
        stream->page_left -= count;
        rows -= count;
    }
    return OTO_OK;
}

// The next window of both levels; OTO_END when the chunk has no more.
static enum oto_status next_window(const struct run *run)
{
    struct oto_parquet_stream *stream = run->stream;
    uint32_t *levels = run->window->levels, bad = 0;
    if (!stream->page_left) {
        enum oto_status status = oto_parquet_stream_next_page(run->reader, stream, run->err);
        if (status != OTO_OK)
            return status;
    }
    uint32_t count =
        stream->page_left < OTO_PARQUET_WINDOW ? stream->page_left : OTO_PARQUET_WINDOW;
    if (oto_rle_read(&stream->repetition, levels, count) != OTO_OK)
        return levels_failed(run);
    for (uint32_t i = 0; i < count; i++) {
        bad |= levels[i] > stream->node->max_repetition;
        stream->window_repetition[i] = (uint8_t)levels[i];
    }
    if (oto_rle_read(&stream->definition, levels, count) != OTO_OK)
        return levels_failed(run);
    for (uint32_t i = 0; i < count; i++) {
        bad |= levels[i] > stream->node->max_definition;
        stream->window_definition[i] = (uint8_t)levels[i];
    }
    stream->window_at = 0;
    stream->window_count = count;
    stream->page_left -= count;
    return bad ? levels_failed(run) : OTO_OK;
}

// A list while its rows are read. Who drives appends the offsets, others must find the same.
struct list {
    struct oto_column *column;
    uint32_t entry;    // the open one, or the next
    uint32_t elements; // so far, over all entries of the column
    uint8_t definition;
    uint8_t is_driver;
    uint8_t is_open;
};

static void list_begin(struct list *list, const struct run *run, unsigned i)
{
    const struct oto_parquet_list *from = &run->step->lists[i];
    list->column = column_at(run->builder, &from->path);
    list->definition = from->definition;
    list->is_driver = from->is_driver;
}

// Where a list's column stood before this read: whoever drives has moved on since.
static void list_place(struct list *list, uint32_t entry)
{
    list->entry = entry;
    list->elements = list->column->offsets[entry];
}

static int close_entry(struct list *list)
{
    if (!list->is_open)
        return 1;
    list->is_open = 0;
    list->entry++;
    if (list->is_driver) {
        list->column->offsets[++list->column->length] = list->elements;
        return 1;
    }
    return list->entry <= list->column->length &&
           list->column->offsets[list->entry] == list->elements;
}

static enum oto_status open_entry(const struct run *run, struct list *list)
{
    if (!close_entry(list))
        return levels_failed(run);
    if (list->is_driver && list->column->capacity == list->column->length)
        OTO_TRY(no_memory(run, oto_column_reserve(run->builder, list->column, 1)));
    list->is_open = 1;
    return OTO_OK;
}

// A row begins: the lists of the row before end.
static enum oto_status begin_row(const struct run *run, struct list lists[2], unsigned depth)
{
    if (depth == 2 && !close_entry(&lists[1]))
        return levels_failed(run);
    return open_entry(run, &lists[0]);
}

// The entries of the window up to the end of the rows. OTO_END: a further row begins.
static enum oto_status read_window(const struct run *run, struct list lists[2], uint32_t rows,
                                   uint32_t *rows_begun, uint32_t *ret_count,
                                   uint32_t *ret_value_count)
{
    struct oto_parquet_stream *stream = run->stream;
    unsigned depth = run->step->list_count, max = stream->node->max_definition;
    uint32_t count = 0, value_count = 0, at = stream->window_at;
    enum oto_status status = OTO_OK;
    for (; at < stream->window_count; at++) {
        unsigned repetition = stream->window_repetition[at];
        unsigned definition = stream->window_definition[at];
        if (repetition == 0) {
            if (*rows_begun == rows) {
                status = OTO_END;
                break;
            }
            ++*rows_begun;
            OTO_TRY(begin_row(run, lists, depth));
        }
        if (repetition > depth)
            continue; // of a list that the table does not have
        int is_there = definition >= lists[0].definition;
        if (!lists[0].is_open || (repetition && !is_there) ||
            (repetition == 2 && !lists[1].is_open))
            return levels_failed(run);
        if (!is_there)
            continue;
        lists[0].elements += repetition <= 1;
        if (depth == 2) {
            if (repetition <= 1)
                OTO_TRY(open_entry(run, &lists[1]));
            if (definition < lists[1].definition) {
                if (repetition == 2)
                    return levels_failed(run);
                continue;
            }
            lists[1].elements++;
        }
        value_count += run->window->present[count++] = definition == max;
    }
    stream->window_at = at;
    *ret_count = count;
    *ret_value_count = value_count;
    return status;
}

static enum oto_status read_lists(const struct run *run, uint32_t rows)
{
    struct oto_parquet_stream *stream = run->stream;
    unsigned depth = run->step->list_count;
    struct list lists[2] = {{0}};
    uint32_t rows_begun = 0, entry = run->builder->levels[0].count;
    for (unsigned i = 0; i < depth; i++) {
        list_begin(&lists[i], run, i);
        list_place(&lists[i], entry);
        entry = lists[i].elements;
    }
    for (enum oto_status status = OTO_OK; status == OTO_OK;) {
        uint32_t count = 0, value_count = 0;
        if (stream->window_at == stream->window_count) {
            status = next_window(run);
            OTO_TRY(status);
            if (status == OTO_END)
                break;
        }
        status = read_window(run, lists, rows, &rows_begun, &count, &value_count);
        OTO_TRY(status);
        OTO_TRY(append_entries(run, run->window->present, count, value_count));
        if (lists[0].elements > INT32_MAX || lists[1].elements > INT32_MAX)
            return no_memory(run, OTO_TOO_LARGE);
    }
    if (rows_begun < rows)
        return oto_parquet_stream_failed(run->reader, stream, OTO_CORRUPT, run->err,
                                         "the column has fewer rows than its row group");
    if ((depth == 2 && !close_entry(&lists[1])) || !close_entry(&lists[0]))
        return levels_failed(run);
    return OTO_OK;
}

// --- rows that nobody wants ---

static enum oto_status skip_values(const struct run *run, uint32_t count)
{
    if (!count || run->stream->kind == OTO_PARQUET_KIND_NONE)
        return OTO_OK;
    return oto_parquet_values_skip(run->reader, run->stream, count, run->err);
}

static enum oto_status skip_flat(const struct run *run, uint32_t rows)
{
    struct oto_parquet_stream *stream = run->stream;
    while (rows) {
        uint32_t count = 0, value_count = 0;
        if (!stream->page_left) {
            OTO_TRY(oto_parquet_stream_skip_pages(run->reader, stream, rows, &count, run->err));
            rows -= count;
            if (!rows)
                break;
            OTO_TRY(next_page(run));
        }
        count = rows < stream->page_left ? rows : stream->page_left;
        count = count < OTO_PARQUET_WINDOW ? count : OTO_PARQUET_WINDOW;
        value_count = count;
        if (stream->node->max_definition &&
            next_definitions(run, count, &count, &value_count) != OTO_OK)
            return levels_failed(run);
        OTO_TRY(skip_values(run, value_count));
        stream->page_left -= count;
        rows -= count;
    }
    return OTO_OK;
}

// Definition levels of the next entries of a page: how many of them have values.
static enum oto_status skip_definitions(const struct run *run, uint32_t count,
                                        uint32_t *ret_value_count)
{
    *ret_value_count = 0;
    for (uint32_t some = 0, value_count = 0; count; count -= some) {
        uint32_t most = count < OTO_PARQUET_WINDOW ? count : OTO_PARQUET_WINDOW;
        if (next_definitions(run, most, &some, &value_count) != OTO_OK)
            return OTO_CORRUPT;
        *ret_value_count += value_count;
    }
    return OTO_OK;
}

// At the beginning of a row and outside of a window: rows of one entry each, as a run of equal
// levels says. *ret_rows 0: there is no such run here.
static enum oto_status skip_single_entries(const struct run *run, uint32_t rows, uint32_t *ret_rows)
{
    struct oto_parquet_stream *stream = run->stream;
    struct oto_rle_reader before = stream->repetition;
    uint32_t level, value_count = 0, most = rows < stream->page_left ? rows : stream->page_left;
    size_t equal;
    *ret_rows = 0;
    if (oto_rle_read_equal(&stream->repetition, most, &level, &equal) != OTO_OK)
        return levels_failed(run);
    // The last of them may go on behind the run.
    if (equal < 2 || level != 0) {
        stream->repetition = before;
        return OTO_OK;
    }
    equal -= equal < stream->page_left || stream->entries_left > 0;
    stream->repetition = before;
    if (oto_rle_read_equal(&stream->repetition, equal, &level, &equal) != OTO_OK ||
        skip_definitions(run, (uint32_t)equal, &value_count) != OTO_OK)
        return levels_failed(run);
    stream->page_left -= (uint32_t)equal;
    *ret_rows = (uint32_t)equal;
    return skip_values(run, value_count);
}

// Up to where a further row than these begins.
static enum oto_status skip_window(const struct run *run, uint32_t *rows, int *is_open,
                                   uint32_t *ret_value_count)
{
    struct oto_parquet_stream *stream = run->stream;
    uint32_t at = stream->window_at, value_count = 0;
    enum oto_status status = OTO_OK;
    for (; at < stream->window_count; at++) {
        if (stream->window_repetition[at] == 0) {
            if (*rows == 0) {
                status = OTO_END;
                break;
            }
            --*rows;
            *is_open = 1;
        } else if (!*is_open) {
            return levels_failed(run);
        }
        value_count += stream->window_definition[at] == stream->node->max_definition;
    }
    stream->window_at = at;
    *ret_value_count = value_count;
    return status;
}

static enum oto_status skip_lists(const struct run *run, uint32_t rows)
{
    struct oto_parquet_stream *stream = run->stream;
    int is_open = 0; // an entry of a row that is skipped came
    enum oto_status status = rows ? OTO_OK : OTO_END;
    while (status == OTO_OK) {
        uint32_t value_count = 0, count = 0;
        if (stream->window_at == stream->window_count) {
            if (!is_open && stream->page_left)
                OTO_TRY(skip_single_entries(run, rows, &count));
            rows -= count;
            if (!rows && !is_open)
                return OTO_OK;
            if (count)
                continue;
            status = next_window(run);
            OTO_TRY(status);
            if (status == OTO_END)
                break;
        }
        status = skip_window(run, &rows, &is_open, &value_count);
        OTO_TRY(status);
        OTO_TRY(skip_values(run, value_count));
    }
    if (rows)
        return oto_parquet_stream_failed(run->reader, stream, OTO_CORRUPT, run->err,
                                         "the column has fewer rows than its row group");
    return OTO_OK;
}

enum oto_status oto_parquet_skip_rows(struct oto_parquet_reader *reader,
                                      struct oto_parquet_stream *stream, uint32_t rows,
                                      struct oto_error *err)
{
    struct run run = {.reader = reader, .stream = stream, .window = reader->window, .err = err};
    return stream->node->max_repetition ? skip_lists(&run, rows) : skip_flat(&run, rows);
}

// A column that the file lacks: as long as its neighbours.
static enum oto_status fill(struct oto_builder *b, const struct oto_parquet_step *step,
                            uint32_t rows, struct oto_error *err)
{
    struct oto_column *column = column_at(b, &step->target);
    uint32_t count = rows;
    if (step->list_count) {
        const struct oto_column *list = column_at(b, &step->lists[step->list_count - 1].path);
        count = list->offsets[list->length] - column->length;
    }
    enum oto_status status = put_absent(b, column, count);
    return status < 0 ? oto_error_set(err, status, "no memory for rows") : OTO_OK;
}

enum oto_status oto_parquet_step_read(struct oto_parquet_reader *reader,
                                      struct oto_builder *builder,
                                      const struct oto_parquet_step *step, uint32_t rows,
                                      struct oto_error *err)
{
    if (step->stream == OTO_PARQUET_NONE)
        return fill(builder, step, rows, err);
    struct run run = {.reader = reader,
                      .builder = builder,
                      .step = step,
                      .stream = &reader->streams[step->stream],
                      .window = reader->window,
                      .target = column_at(builder, &step->target),
                      .rest = column_at(builder, &step->rest),
                      .err = err};
    return step->list_count ? read_lists(&run, rows) : read_flat(&run, rows);
}
