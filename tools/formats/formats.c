// Prints docs/FORMATS.md: every column of every table, from the definitions that readers and
// writers use.
//   otolith-formats > docs/FORMATS.md
#include "telemetry/tables.h"

#include <stdio.h>

static const char *type_text(const struct oto_field *field)
{
    static const char *const texts[] = {
        [OTO_TYPE_BOOL] = "boolean",
        [OTO_TYPE_INT32] = "int",
        [OTO_TYPE_INT64] = "long",
        [OTO_TYPE_DOUBLE] = "double",
        [OTO_TYPE_TIME] = "timestamp, µs, UTC",
        [OTO_TYPE_STRING] = "string",
        [OTO_TYPE_BINARY] = "binary",
        [OTO_TYPE_ID16] = "string, 32 hex digits",
        [OTO_TYPE_ID8] = "string, 16 hex digits",
        [OTO_TYPE_MAP] = "map of string to string",
        [OTO_TYPE_LIST] = "list",
        [OTO_TYPE_STRUCTS] = "list of structs",
    };
    return texts[field->type];
}

static void print_field(const struct oto_field *field, const char *parent)
{
    printf("| `%s%s` | %u", parent, field->name, field->id);
    if (field->type == OTO_TYPE_MAP)
        printf(" (key %u, value %u)", field->id + 1u, field->id + 2u);
    if (field->type == OTO_TYPE_STRUCTS)
        printf(" (element %u)", field->id + 1u);
    printf(" | %s%s | %s |\n", type_text(field),
           field->flags & OTO_FIELD_NULLABLE ? ", or null" : "", field->doc);
    char path[128];
    snprintf(path, sizeof path, "%s%s.", parent, field->name);
    for (uint32_t c = 0; c < field->child_count; c++)
        print_field(&field->children[c], path);
}

static void print_table(const struct oto_schemas *schemas, enum oto_table table)
{
    const struct oto_schema *schema = oto_schemas_table(schemas, table);
    const char *const *names;
    uint32_t count = oto_table_sorted_by(table, &names);
    printf("\n## %s\n\nFolder `%s`. Sorted by ", oto_table_name(table), oto_table_folder(table));
    for (uint32_t n = 0; n < count; n++)
        printf("%s`%s`", n ? ", " : "", names[n]);
    printf("; partitioned by the hour of `%s`.\n\n| column | id | type | meaning "
           "|\n|---|---|---|---|\n",
           schema->fields[oto_table_time_column(table)]->name);
    for (uint32_t f = 0; f < schema->field_count; f++)
        print_field(schema->fields[f], "");
}

static const char introduction[] =
    "# File formats: the tables\n"
    "\n"
    "Made by `otolith-formats` from `src/telemetry/tables_columns.c`; change it there, then run\n"
    "`otolith-formats > docs/FORMATS.md`.\n"
    "\n"
    "Names and shapes are those of the ClickHouse exporter of OpenTelemetry, so its inserts and "
    "dashboards work. Field ids\n"
    "are Parquet's and Iceberg's; they never change. A list's element has the id after the list's. "
    "What stands\n"
    "after those columns makes the tables lossless: OTLP comes back as it was.\n"
    "\n"
    "- **Times** are microseconds; `<Name>NanoOfMicro` beside them has the other 0-999 ns. Where "
    "that is null, OTLP had no\n"
    "  time, and the time is a stand-in to sort by (1970 in events, exemplars and starts).\n"
    "- **Attributes** are text: strings as they are, numbers in decimal, doubles in their shortest "
    "form, bytes in base64,\n"
    "  arrays and lists as JSON. `<Name>Types` has a letter for each value: `s` string, `i` "
    "integer, `d` double, `b`\n"
    "  boolean, `y` bytes, `n` a value of no kind, `-` no value, `N` and 16 hex digits a NaN of "
    "those bits (`d`: of the\n"
    "  usual ones); nested, `[si]` an array and `{b}` a list of pairs.\n"
    "- **Unsigned 64-bit numbers** are longs with the same bits.\n"
    "- **A span's end** is start + `Duration` modulo 2^64; where OTLP had no start, that is 0.\n"
    "- **SeriesId** is, in hex, high word first, a 128-bit hash (`oto_hash128`) that stays the "
    "same for ever: of the\n"
    "  metric's hash and the point's attributes; the metric's is of the scope's, name, unit, kind, "
    "temporality and\n"
    "  monotony; the scope's of the resource's, name, version and attributes; the resource's of "
    "its attributes. Attributes\n"
    "  are taken in the order of their keys.\n"
    "- **Promoted attributes** have a column of their own beside the map: null where absent or of "
    "another type.\n"
    "  Configured ones (`promote:`) have ids from 10000 on and are taken from the record, else "
    "from the resource.\n"
    "- **Metadata of a file**: `ARROW:schema`; `otolith.flush`, which records of which log its "
    "flush wrote and how many rows\n"
    "  of each table; `otolith.checksum`, the CRC-32C of all bytes that no page's checksum covers, "
    "page headers among them\n"
    "  (older files: `otolith.crc32c`, without these). `otolith verify` reads them.\n"
    "  Queries do not, ours as little as other engines': a filter or a bound that a disk changed "
    "can "
    "hide rows until `verify` finds it; a page that it changed is an error.\n";

int main(void)
{
    struct oto_schemas *schemas = oto_schemas_new(&oto_allocator_heap, NULL, 0, NULL);
    if (!schemas)
        return 1;
    fputs(introduction, stdout);
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        print_table(schemas, (enum oto_table)t);
    oto_schemas_free(schemas);
    return ferror(stdout) || fflush(stdout) != 0;
}
