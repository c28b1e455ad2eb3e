// A table for people: columns aligned, long cells cut, control characters shown. The first rows
// decide the widths, so that a long answer still streams.
#include "query_process.h"

#include "base/utf8.h"
#include <stdlib.h>

#define CELL_WIDTH_MAX 60 // characters
#define ROWS_MEASURED 200

struct table {
    struct oto_buffer cells; // of the measured rows: a cell after the other, each with 0 behind
    uint32_t *widths;
    int *numbers; // aligned to the right
    uint64_t held_rows;
    int printed;
};

static int is_number(duckdb_type type)
{
    switch (type) {
    case DUCKDB_TYPE_TINYINT:
    case DUCKDB_TYPE_SMALLINT:
    case DUCKDB_TYPE_INTEGER:
    case DUCKDB_TYPE_BIGINT:
    case DUCKDB_TYPE_UTINYINT:
    case DUCKDB_TYPE_USMALLINT:
    case DUCKDB_TYPE_UINTEGER:
    case DUCKDB_TYPE_UBIGINT:
    case DUCKDB_TYPE_HUGEINT:
    case DUCKDB_TYPE_UHUGEINT:
    case DUCKDB_TYPE_DECIMAL:
    case DUCKDB_TYPE_FLOAT:
    case DUCKDB_TYPE_DOUBLE:
        return 1;
    default:
        return 0;
    }
}

static uint32_t width_of(const uint8_t *text, size_t size)
{
    uint32_t width = 0;
    for (size_t i = 0; i < size; i++)
        width += (text[i] & 0xc0) != 0x80;
    return width;
}

// Terminals obey control characters (C0, DEL, and C1 as UTF-8), so none goes through.
static enum oto_status append_shown(struct oto_buffer *to, const uint8_t *text, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (text[i] == '\n' || text[i] == '\t' || text[i] == '\r')
            OTO_TRY(oto_buffer_append(to,
                                      text[i] == '\n'   ? "\\n"
                                      : text[i] == '\t' ? "\\t"
                                                        : "\\r",
                                      2));
        else if (text[i] < 0x20 || text[i] == 0x7f)
            OTO_TRY(oto_buffer_append(to, "\xef\xbf\xbd", 3));
        else if (text[i] == 0xc2 && i + 1 < size && text[i + 1] < 0xa0) {
            OTO_TRY(oto_buffer_append(to, "\xef\xbf\xbd", 3));
            i++;
        } else
            OTO_TRY(oto_buffer_append_byte(to, text[i]));
    }
    return OTO_OK;
}

// Where the text has to be cut so that it and "…" fit; size when it fits as it is.
static size_t cut_at(const uint8_t *text, size_t size)
{
    uint32_t width = 0;
    size_t cut = size;
    for (size_t i = 0; i < size; i++) {
        if ((text[i] & 0xc0) == 0x80)
            continue;
        if (++width == CELL_WIDTH_MAX)
            cut = i;
        if (width > CELL_WIDTH_MAX)
            return cut;
    }
    return size;
}

// A cell as shown, ready to be padded; raw is scratch.
static enum oto_status append_cell(const struct query_column *column, idx_t row,
                                   struct oto_buffer *raw, struct oto_buffer *to)
{
    raw->size = 0;
    if (query_column_is_null(column, row))
        return oto_buffer_append(to, "NULL", 4);
    OTO_TRY(query_value_text(column, row, raw));
    size_t start = to->size;
    OTO_TRY(append_shown(to, raw->data,
                         raw->size < 4096 ? oto_utf8_valid_prefix(raw->data, raw->size)
                                          : oto_utf8_valid_prefix(raw->data, 4096)));
    size_t cut = cut_at(to->data + start, to->size - start);
    if (start + cut == to->size)
        return OTO_OK;
    to->size = start + cut;
    return oto_buffer_append(to, "\xe2\x80\xa6", 3);
}

static enum oto_status append_spaces(struct oto_buffer *to, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        OTO_TRY(oto_buffer_append_byte(to, ' '));
    return OTO_OK;
}

static enum oto_status print_cell(struct query_output *out, uint32_t column, const uint8_t *text,
                                  size_t size)
{
    const struct table *t = out->own;
    uint32_t width = width_of(text, size);
    uint32_t padding = width < t->widths[column] ? t->widths[column] - width : 0;
    int last = column + 1 == out->column_count;
    if (t->numbers[column])
        OTO_TRY(append_spaces(&out->buffer, padding));
    OTO_TRY(oto_buffer_append(&out->buffer, text, size));
    if (!t->numbers[column] && !last)
        OTO_TRY(append_spaces(&out->buffer, padding));
    return last ? oto_buffer_append_byte(&out->buffer, '\n')
                : oto_buffer_append(&out->buffer, "  ", 2);
}

// --- the format ---

static enum oto_status begin_table(struct query_output *out)
{
    struct table *t = calloc(1, sizeof(*t));
    out->own = t;
    if (!t)
        return OTO_NO_MEMORY;
    oto_buffer_init(&t->cells, &oto_allocator_heap, 64u << 20);
    t->widths = calloc(out->column_count + 1u, sizeof(*t->widths));
    t->numbers = calloc(out->column_count + 1u, sizeof(*t->numbers));
    if (!t->widths || !t->numbers)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < out->column_count; i++) {
        const char *name = out->columns[i].name;
        t->widths[i] = width_of((const uint8_t *)name, strlen(name));
        t->numbers[i] = is_number(out->columns[i].type);
    }
    return OTO_OK;
}

static enum oto_status print_head(struct query_output *out)
{
    const struct table *t = out->own;
    for (uint32_t i = 0; i < out->column_count; i++)
        OTO_TRY(print_cell(out, i, (const uint8_t *)out->columns[i].name,
                           strlen(out->columns[i].name)));
    for (uint32_t i = 0; i < out->column_count; i++) {
        for (uint32_t n = 0; n < t->widths[i]; n++)
            OTO_TRY(oto_buffer_append(&out->buffer, "\xe2\x94\x80", 3));
        OTO_TRY(oto_buffer_append(&out->buffer, i + 1 == out->column_count ? "\n" : "  ",
                                  i + 1 == out->column_count ? 1 : 2));
    }
    return OTO_OK;
}

static enum oto_status print_held(struct query_output *out)
{
    struct table *t = out->own;
    const uint8_t *at = t->cells.data;
    t->printed = 1;
    OTO_TRY(print_head(out));
    for (uint64_t row = 0; row < t->held_rows; row++)
        for (uint32_t i = 0; i < out->column_count; i++) {
            size_t size = strlen((const char *)at);
            OTO_TRY(print_cell(out, i, at, size));
            at += size + 1;
        }
    oto_buffer_release(&t->cells);
    return OTO_OK;
}

static enum oto_status hold_row(struct query_output *out, idx_t row, struct oto_buffer *raw)
{
    struct table *t = out->own;
    for (uint32_t i = 0; i < out->column_count; i++) {
        size_t start = t->cells.size;
        OTO_TRY(append_cell(&out->columns[i], row, raw, &t->cells));
        uint32_t width = width_of(t->cells.data + start, t->cells.size - start);
        if (width > t->widths[i])
            t->widths[i] = width;
        OTO_TRY(oto_buffer_append_byte(&t->cells, 0));
    }
    return ++t->held_rows == ROWS_MEASURED ? print_held(out) : OTO_OK;
}

static enum oto_status print_row(struct query_output *out, idx_t row, struct oto_buffer *raw,
                                 struct oto_buffer *cell)
{
    for (uint32_t i = 0; i < out->column_count; i++) {
        cell->size = 0;
        OTO_TRY(append_cell(&out->columns[i], row, raw, cell));
        OTO_TRY(print_cell(out, i, cell->data, cell->size));
    }
    return OTO_OK;
}

static enum oto_status row_table(struct query_output *out, idx_t row)
{
    const struct table *t = out->own;
    struct oto_buffer raw, cell;
    oto_buffer_init(&raw, &oto_allocator_heap, out->buffer.size_max);
    oto_buffer_init(&cell, &oto_allocator_heap, out->buffer.size_max);
    enum oto_status status =
        t->printed ? print_row(out, row, &raw, &cell) : hold_row(out, row, &raw);
    oto_buffer_release(&raw);
    oto_buffer_release(&cell);
    return status;
}

static enum oto_status end_table(struct query_output *out)
{
    const struct table *t = out->own;
    if (!t->printed)
        OTO_TRY(print_held(out));
    return oto_buffer_append_format(&out->buffer, "(%llu row%s)\n", (unsigned long long)out->rows,
                                    out->rows == 1 ? "" : "s");
}

static void release_table(struct query_output *out)
{
    struct table *t = out->own;
    if (!t)
        return;
    oto_buffer_release(&t->cells);
    free(t->widths);
    free(t->numbers);
    free(t);
    out->own = NULL;
}

const struct query_format query_format_table = {begin_table, row_table, end_table, release_table};

// --- a plan: its text as it is ---

static enum oto_status begin_plan(struct query_output *out)
{
    (void)out;
    return OTO_OK;
}

static enum oto_status row_plan(struct query_output *out, idx_t row)
{
    return query_value_text(&out->columns[out->column_count - 1], row, &out->buffer);
}

static enum oto_status end_plan(struct query_output *out)
{
    return oto_buffer_append_byte(&out->buffer, '\n');
}

const struct query_format query_format_plan = {begin_plan, row_plan, end_plan, NULL};
