#define _GNU_SOURCE
#include "inspect/text_table.h"

#include <inttypes.h>
#include <stdio.h>
#include <time.h>

#define GAP 2

void oto_text_table_init(struct oto_text_table *table, const char *titles)
{
    *table = (struct oto_text_table){.status = OTO_OK};
    oto_buffer_init(&table->cells, &oto_allocator_heap, SIZE_MAX / 2);
    while (*titles && table->column_count < OTO_TEXT_TABLE_COLUMNS_MAX) {
        table->is_right[table->column_count++] = *titles == '>';
        titles += *titles == '>';
        int size = (int)strcspn(titles, "|");
        oto_text_table_cell(table, "%.*s", size, titles);
        titles += size + (titles[size] == '|');
    }
}

// Characters, which terminals mostly show as one place each.
static uint32_t width_of(const char *text)
{
    uint32_t width = 0;
    for (; *text; text++)
        width += ((uint8_t)*text & 0xC0) != 0x80;
    return width;
}

void oto_text_table_cell(struct oto_text_table *table, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    int size = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (size < 0 || table->status < 0)
        return;
    for (char *at = text; *at; at++)
        *at = (uint8_t)*at < 0x20 || *at == 0x7F ? ' ' : *at;
    uint32_t column = table->cell_count++ % table->column_count, width = width_of(text);
    if (width > table->widths[column])
        table->widths[column] = width;
    table->status = oto_buffer_append(&table->cells, text, strlen(text) + 1);
}

static enum oto_status put_spaces(struct oto_buffer *output, uint32_t count)
{
    while (count--)
        OTO_TRY(oto_buffer_append_byte(output, ' '));
    return OTO_OK;
}

// The last cell of a line is not filled up.
static enum oto_status write_cells(const struct oto_text_table *table, unsigned indent,
                                   struct oto_buffer *output)
{
    const char *cell = (const char *)table->cells.data;
    uint32_t pending = 0;
    for (uint32_t i = 0; i < table->cell_count; i++, cell += strlen(cell) + 1) {
        uint32_t column = i % table->column_count;
        uint32_t free_places = table->widths[column] - width_of(cell);
        pending += column ? GAP : indent;
        if (table->is_right[column])
            pending += free_places;
        if (*cell) {
            OTO_TRY(put_spaces(output, pending));
            OTO_TRY(oto_buffer_append(output, cell, strlen(cell)));
            pending = 0;
        }
        if (!table->is_right[column])
            pending += free_places;
        if (column + 1 == table->column_count || i + 1 == table->cell_count) {
            OTO_TRY(oto_buffer_append_byte(output, '\n'));
            pending = 0;
        }
    }
    return OTO_OK;
}

enum oto_status oto_text_table_finish(struct oto_text_table *table, unsigned indent,
                                      struct oto_buffer *output)
{
    enum oto_status status = table->status;
    if (status >= 0)
        status = write_cells(table, indent, output);
    oto_buffer_release(&table->cells);
    return status;
}

const char *oto_text_count(int64_t count, char output[OTO_TEXT_NUMBER_MAX])
{
    char digits[24];
    int size = snprintf(digits, sizeof digits, "%" PRId64, count), at = 0;
    if (count < 0)
        return "-";
    for (int i = 0; i < size; i++) {
        if (i && (size - i) % 3 == 0)
            output[at++] = ',';
        output[at++] = digits[i];
    }
    output[at] = 0;
    return output;
}

const char *oto_text_size(int64_t bytes, char output[OTO_TEXT_NUMBER_MAX])
{
    static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
    double amount = (double)bytes;
    int unit = 0;
    if (bytes < 0)
        return "-";
    for (; amount >= 1024 && unit < 6; unit++)
        amount /= 1024;
    (void)snprintf(output, OTO_TEXT_NUMBER_MAX, "%.*f %s", unit && amount < 100, amount,
                   units[unit]);
    return output;
}

const char *oto_text_time(int64_t us, char output[OTO_TEXT_NUMBER_MAX])
{
    int rest = (int)(us % 1000000);
    int64_t seconds = us / 1000000 - (rest < 0);
    time_t moment = (time_t)seconds;
    struct tm tm;
    if (!gmtime_r(&moment, &tm))
        (void)snprintf(output, OTO_TEXT_NUMBER_MAX, "%" PRId64 " us", us);
    else
        (void)snprintf(output, OTO_TEXT_NUMBER_MAX, "%04" PRId64 "-%02d-%02dT%02d:%02d:%02d.%06dZ",
                       (int64_t)tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min,
                       tm.tm_sec, rest + (rest < 0 ? 1000000 : 0));
    return output;
}
