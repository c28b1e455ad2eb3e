// What people read: tables whose columns line up, and numbers with units. Cells are gathered, then
// written once their widths are known. Errors are sticky, checked at the end.
#ifndef OTO_INSPECT_TEXT_TABLE_H
#define OTO_INSPECT_TEXT_TABLE_H

#include "base/bytes.h"

#define OTO_TEXT_TABLE_COLUMNS_MAX 16

struct oto_text_table {
    struct oto_buffer cells; // texts, each with a NUL
    uint32_t column_count, cell_count;
    uint32_t widths[OTO_TEXT_TABLE_COLUMNS_MAX];
    int is_right[OTO_TEXT_TABLE_COLUMNS_MAX];
    enum oto_status status;
};

// titles: "column|>rows|>bytes"; '>' for columns that line up at their right.
void oto_text_table_init(struct oto_text_table *table, const char *titles);
// The next cell, row after row. Control characters become spaces.
void oto_text_table_cell(struct oto_text_table *table, const char *format, ...) OTO_PRINTF(2, 3);
// Appends the lines, indented, and releases the table. Cells may be fewer than a whole row.
OTO_MUST_CHECK enum oto_status oto_text_table_finish(struct oto_text_table *table, unsigned indent,
                                                     struct oto_buffer *output);

#define OTO_TEXT_NUMBER_MAX 48
// "1,234,567"; "-" for -1, which stands for not known.
const char *oto_text_count(int64_t count, char output[OTO_TEXT_NUMBER_MAX]);
// "1.2 MiB", "-" for -1.
const char *oto_text_size(int64_t bytes, char output[OTO_TEXT_NUMBER_MAX]);
// "2026-01-02T03:04:05.000006Z"
const char *oto_text_time(int64_t us, char output[OTO_TEXT_NUMBER_MAX]);

#endif
