// JSON, NDJSON and CSV.
#include "query_process.h"

#include "wire/json.h"
#include <stdlib.h>

// --- JSON ---

static void release_names(struct query_output *out)
{
    for (uint32_t i = 0; out->names && i < out->column_count; i++)
        oto_buffer_release(&out->names[i]);
    free(out->names);
    out->names = NULL;
}

static enum oto_status begin_objects(struct query_output *out)
{
    out->names = calloc(out->column_count + 1u, sizeof(*out->names));
    if (!out->names)
        return OTO_NO_MEMORY;
    for (uint32_t i = 0; i < out->column_count; i++) {
        oto_buffer_init(&out->names[i], &oto_allocator_heap, 1 << 20);
        OTO_TRY(oto_buffer_append_byte(&out->names[i], i ? ',' : '{'));
        OTO_TRY(oto_json_append_string(&out->names[i], oto_bytes_text(out->columns[i].name)));
        OTO_TRY(oto_buffer_append_byte(&out->names[i], ':'));
    }
    return OTO_OK;
}

static enum oto_status append_object(struct query_output *out, idx_t row)
{
    for (uint32_t i = 0; i < out->column_count; i++) {
        OTO_TRY(oto_buffer_append(&out->buffer, out->names[i].data, out->names[i].size));
        OTO_TRY(query_value_json(&out->columns[i], row, &out->buffer));
    }
    return oto_buffer_append_byte(&out->buffer, '}');
}

static enum oto_status begin_json(struct query_output *out)
{
    OTO_TRY(begin_objects(out));
    return oto_buffer_append_byte(&out->buffer, '[');
}

static enum oto_status row_json(struct query_output *out, idx_t row)
{
    if (out->rows)
        OTO_TRY(oto_buffer_append(&out->buffer, ",\n", 2));
    return append_object(out, row);
}

static enum oto_status end_json(struct query_output *out)
{
    return oto_buffer_append(&out->buffer, "]\n", 2);
}

const struct query_format query_format_json = {begin_json, row_json, end_json, release_names};

static enum oto_status row_ndjson(struct query_output *out, idx_t row)
{
    OTO_TRY(append_object(out, row));
    return oto_buffer_append_byte(&out->buffer, '\n');
}

static enum oto_status end_nothing(struct query_output *out)
{
    (void)out;
    return OTO_OK;
}

const struct query_format query_format_ndjson = {begin_objects, row_ndjson, end_nothing,
                                                 release_names};

// --- CSV (RFC 4180): NULL is nothing, an empty string "" ---
// But for the ends of lines, which are those of Unix: a shell's variable would have the CR.

static int needs_quotes(struct oto_bytes text)
{
    if (text.size == 0 || text.data[0] == ' ' || text.data[text.size - 1] == ' ')
        return 1;
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] == '"' || text.data[i] == ',' || text.data[i] == '\n' ||
            text.data[i] == '\r')
            return 1;
    return 0;
}

// Quotes what was appended from `start` on, where it has to be.
static enum oto_status quote_field(struct oto_buffer *output, size_t start)
{
    struct oto_bytes text = oto_bytes(output->data + start, output->size - start);
    if (!needs_quotes(text))
        return OTO_OK;
    size_t quotes = 2;
    for (size_t i = 0; i < text.size; i++)
        quotes += text.data[i] == '"';
    OTO_TRY(oto_buffer_reserve(output, quotes));
    uint8_t *first = output->data + start, *from = output->data + output->size, *to = from + quotes;
    output->size += quotes;
    *--to = '"';
    while (from > first) {
        if (*--from == '"')
            *--to = '"';
        *--to = *from;
    }
    *--to = '"';
    return OTO_OK;
}

static enum oto_status begin_csv(struct query_output *out)
{
    for (uint32_t i = 0; i < out->column_count; i++) {
        if (i)
            OTO_TRY(oto_buffer_append_byte(&out->buffer, ','));
        size_t start = out->buffer.size;
        OTO_TRY(
            oto_buffer_append(&out->buffer, out->columns[i].name, strlen(out->columns[i].name)));
        OTO_TRY(quote_field(&out->buffer, start));
    }
    return oto_buffer_append_byte(&out->buffer, '\n');
}

static enum oto_status row_csv(struct query_output *out, idx_t row)
{
    for (uint32_t i = 0; i < out->column_count; i++) {
        if (i)
            OTO_TRY(oto_buffer_append_byte(&out->buffer, ','));
        if (query_column_is_null(&out->columns[i], row))
            continue;
        size_t start = out->buffer.size;
        OTO_TRY(query_value_text(&out->columns[i], row, &out->buffer));
        OTO_TRY(quote_field(&out->buffer, start));
    }
    return oto_buffer_append_byte(&out->buffer, '\n');
}

const struct query_format query_format_csv = {begin_csv, row_csv, end_nothing, NULL};
