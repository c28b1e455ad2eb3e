// folders: parquet telemetry
// A synthetic table with every type: a Parquet file and the rows that readers must find in it.
//   parquet_tool OUT.parquet ROWS.ndjson|- ROWS [key=value…]
// keys: row_group, page_rows, page_bytes, dictionary_bytes, zstd (0, 1), reverse (1: rows in
// reverse order), batch (more rows in the batch than are written). In ROWS.ndjson times are
// microseconds, bytes base64, maps lists of [key, value].
//   parquet_tool read FILE.parquet synthetic|otel_logs|… [ROWS_MAX]
// prints the rows of a file, read as that table, so many at a time.
#include "parquet/parquet_reader.h"
#include "parquet/parquet_writer.h"
#include "telemetry/tables.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "wire/json.h"

#define OTO_FIELD(n, i, t, l, f)                                                                   \
    {                                                                                              \
        .name = n, .id = i, .type = t, .level = l, .flags = f                                      \
    }
#define OTO_FIELD_OF(n, i, t, l, f, c, k)                                                          \
    {                                                                                              \
        .name = n, .id = i, .type = t, .level = l, .flags = f, .child_count = c, .children = k     \
    }

static const struct oto_field element_int[] = {OTO_FIELD("element", 0, OTO_TYPE_INT64, 0, 0)};
static const struct oto_field element_double[] = {OTO_FIELD("element", 0, OTO_TYPE_DOUBLE, 0, 0)};
static const struct oto_field element_text[] = {OTO_FIELD("element", 0, OTO_TYPE_STRING, 0, 0)};
static const struct oto_field event_fields[] = {
    OTO_FIELD("Time", 202, OTO_TYPE_TIME, 0, 0),
    OTO_FIELD("Name", 203, OTO_TYPE_STRING, 0, 0),
    OTO_FIELD("Rate", 204, OTO_TYPE_DOUBLE, 0, OTO_FIELD_NULLABLE),
    OTO_FIELD("Link", 205, OTO_TYPE_ID16, 0, 0),
    OTO_FIELD("Attributes", 206, OTO_TYPE_MAP, 0, 0),
    OTO_FIELD_OF("Buckets", 210, OTO_TYPE_LIST, 0, 0, 1, element_int),
};

// Columns with a bloom filter come before the nested ones: DuckDB's parquet_bloom_probe mistakes
// the column's number for the leaf's.
enum column {
    SERVICE,
    TRACE,
    SPAN,
    RESOURCE,
    SCOPE,
    SCOPE_ATTRIBUTES,
    TIME,
    REST,
    FLAG,
    MAYBE,
    SEVERITY,
    COUNT,
    FEW,
    SAME,
    VALUE,
    GAUGE,
    BODY,
    WORD,
    NOTE,
    ABSENT,
    BLOB,
    PARENT,
    ATTRIBUTES,
    NUMBERS,
    BOUNDS,
    TAGS,
    EVENTS,
    COLUMN_COUNT
};

#define NULLABLE OTO_FIELD_NULLABLE
#define BLOOM OTO_FIELD_BLOOM
static const struct oto_field fields[COLUMN_COUNT] = {
    [SERVICE] = OTO_FIELD("ServiceName", 1, OTO_TYPE_STRING, 2, BLOOM),
    [RESOURCE] = OTO_FIELD("ResourceAttributes", 2, OTO_TYPE_MAP, 2, BLOOM),
    [SCOPE] = OTO_FIELD("ScopeName", 5, OTO_TYPE_STRING, 1, NULLABLE),
    [SCOPE_ATTRIBUTES] = OTO_FIELD("ScopeAttributes", 6, OTO_TYPE_MAP, 1, 0),
    [TIME] = OTO_FIELD("Timestamp", 10, OTO_TYPE_TIME, 0, OTO_FIELD_SORTED),
    [REST] = OTO_FIELD("TimestampNanoOfMicro", 11, OTO_TYPE_INT32, 0, NULLABLE),
    [FLAG] = OTO_FIELD("Flag", 12, OTO_TYPE_BOOL, 0, 0),
    [MAYBE] = OTO_FIELD("Maybe", 13, OTO_TYPE_BOOL, 0, NULLABLE),
    [SEVERITY] = OTO_FIELD("Severity", 14, OTO_TYPE_INT32, 0, 0),
    [COUNT] = OTO_FIELD("Count", 15, OTO_TYPE_INT64, 0, 0),
    [FEW] = OTO_FIELD("Few", 16, OTO_TYPE_INT64, 0, NULLABLE),
    [SAME] = OTO_FIELD("Same", 17, OTO_TYPE_INT64, 0, 0),
    [VALUE] = OTO_FIELD("Value", 18, OTO_TYPE_DOUBLE, 0, 0),
    [GAUGE] = OTO_FIELD("Gauge", 19, OTO_TYPE_DOUBLE, 0, NULLABLE),
    [BODY] = OTO_FIELD("Body", 20, OTO_TYPE_STRING, 0, 0),
    [WORD] = OTO_FIELD("Word", 21, OTO_TYPE_STRING, 0, 0),
    [NOTE] = OTO_FIELD("Note", 22, OTO_TYPE_STRING, 0, NULLABLE),
    [ABSENT] = OTO_FIELD("Absent", 23, OTO_TYPE_STRING, 0, NULLABLE),
    [BLOB] = OTO_FIELD("Blob", 24, OTO_TYPE_BINARY, 0, NULLABLE),
    [TRACE] = OTO_FIELD("TraceId", 30, OTO_TYPE_ID16, 0, BLOOM),
    [SPAN] = OTO_FIELD("SpanId", 31, OTO_TYPE_ID8, 0, BLOOM),
    [PARENT] = OTO_FIELD("ParentSpanId", 32, OTO_TYPE_ID8, 0, 0),
    [ATTRIBUTES] = OTO_FIELD("Attributes", 40, OTO_TYPE_MAP, 0, BLOOM),
    [NUMBERS] = OTO_FIELD_OF("Numbers", 43, OTO_TYPE_LIST, 0, 0, 1, element_int),
    [BOUNDS] = OTO_FIELD_OF("Bounds", 45, OTO_TYPE_LIST, 0, 0, 1, element_double),
    [TAGS] = OTO_FIELD_OF("Tags", 47, OTO_TYPE_LIST, 0, 0, 1, element_text),
    [EVENTS] = OTO_FIELD_OF("Events", 200, OTO_TYPE_STRUCTS, 0, 0, 6, event_fields),
};

// --- values ---
static uint64_t random_state = 0x243F6A8885A308D3u;

static uint64_t random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return random_state;
}

static uint32_t random_below(uint32_t end)
{
    return (uint32_t)(random_bits() >> 33) % end;
}

static void must(enum oto_status status)
{
    if (status == OTO_OK)
        return;
    fprintf(stderr, "parquet_tool: %s\n", oto_status_name(status));
    exit(1);
}

static const char *const words[] = {
    "", "alpha", "beta", "Grüße", "数据", "🦴 otolith", "a", "aa", "\xF4\x8F\xBF\xBF"};
#define WORD_COUNT 9

static struct oto_builder builder;
static int all_have_ids; // in large files: the writer treats such columns apart

static void put_text(struct oto_column *c, const char *text)
{
    must(oto_column_append_bytes(&builder, c, oto_bytes_text(text)));
}

static void put_i64(struct oto_column *c, int64_t value)
{
    must(oto_column_reserve(&builder, c, 1));
    if (c->field->type == OTO_TYPE_INT32)
        oto_column_append_i32(c, (int32_t)value);
    else if (c->field->type == OTO_TYPE_BOOL)
        oto_column_append_bool(c, value != 0);
    else
        oto_column_append_i64(c, value);
}

static void put_double(struct oto_column *c, double value)
{
    must(oto_column_reserve(&builder, c, 1));
    oto_column_append_double(c, value);
}

static void put_null(struct oto_column *c)
{
    must(oto_column_append_null(&builder, c));
}

static void put_map(struct oto_column *c, uint32_t count, uint32_t salt)
{
    char key[32], value[64];
    for (uint32_t i = 0; i < count; i++) {
        snprintf(key, sizeof key, "key.%u", i);
        snprintf(value, sizeof value, "%s-%u", words[(i + salt) % WORD_COUNT], salt % 97);
        put_text(&c->children[0], key);
        put_text(&c->children[1], value);
    }
    must(oto_column_append_end(&builder, c));
}

static double wild_double(uint32_t row)
{
    static const double odd[] = {0.0, -0.0, 1e308, -1e308, 5e-324, 1.5};
    switch (row % 11) {
    case 3:
        return NAN;
    case 7:
        return row % 2 ? INFINITY : -INFINITY;
    case 9:
        return odd[row % 6];
    default:
        return (double)(int64_t)random_bits() / 1e6;
    }
}

static void put_body(struct oto_column *c, uint32_t row)
{
    char text[256];
    int size =
        snprintf(text, sizeof text, "%08llx %s row %u ",
                 (unsigned long long)random_bits() & 0xFFFFFFFF, words[row % WORD_COUNT], row);
    for (uint32_t i = 0; row % 5 == 0 && i < 40 && size < 240; i++)
        size += snprintf(text + size, sizeof text - (size_t)size, "%s", i % 3 ? "ÿ" : "👍");
    put_text(c, text);
}

static void put_id(struct oto_column *c, uint64_t number, size_t size)
{
    uint64_t words2[2] = {number * 0x9E3779B97F4A7C15u, ~number * 0xBF58476D1CE4E5B9u};
    must(oto_column_append_id(&builder, c, oto_bytes(words2, number ? size : 0)));
}

static void put_events(struct oto_column *c, uint32_t row)
{
    for (uint32_t i = 0; i < row % 4; i++) {
        put_i64(&c->children[0], 1700000000000000 + row);
        put_text(&c->children[1], i ? "exception" : "");
        if ((row + i) % 3)
            put_double(&c->children[2], row / 8.0);
        else
            put_null(&c->children[2]);
        put_id(&c->children[3], (row + i) % 5, 16);
        put_map(&c->children[4], (row + i) % 3, row);
        for (uint32_t k = 0; k < (row >> 2) % 3; k++)
            put_i64(&c->children[5].children[0], (int64_t)k - 1);
        must(oto_column_append_end(&builder, &c->children[5]));
    }
    must(oto_column_append_end(&builder, c));
}

static void put_or_null(struct oto_column *c, int is_null, int64_t value)
{
    if (is_null)
        put_null(c);
    else
        put_i64(c, value);
}

static void put_numbers(struct oto_column *columns, uint32_t row)
{
    static const int64_t few[] = {-5, INT64_MAX, INT64_MIN, 1000000000000};
    put_i64(&columns[TIME], 1760000000000000 + (int64_t)row * 1237 + random_below(1000));
    put_or_null(&columns[REST], row % 7 == 0, random_below(1000));
    put_i64(&columns[FLAG], row % 3 == 0);
    put_or_null(&columns[MAYBE], row % 5 == 0, row % 2);
    put_i64(&columns[SEVERITY], 1 + row % 24);
    put_i64(&columns[COUNT], row % 1000 == 1   ? INT64_MIN
                             : row % 1000 == 2 ? INT64_MAX
                                               : (int64_t)random_bits());
    put_or_null(&columns[FEW], row % 4 == 1, few[random_below(4)]);
    put_i64(&columns[SAME], 42);
    put_double(&columns[VALUE], wild_double(row));
    if (row % 6 == 0)
        put_null(&columns[GAUGE]);
    else
        put_double(&columns[GAUGE], row % 6 == 1   ? -0.0
                                    : row % 6 == 2 ? NAN
                                    : row % 6 == 3 ? 0.0
                                                   : row % 6 / 4.0);
}

static void put_texts(struct oto_column *columns, uint32_t row)
{
    char note[32];
    uint8_t blob[3] = {0xFF, (uint8_t)(row % 4), 0};
    put_body(&columns[BODY], row);
    put_text(&columns[WORD], words[random_below(WORD_COUNT)]);
    if (row % 4) // among ids, of which a large dictionary makes something of its own
        snprintf(note, sizeof note, "%016llx", (row / 3 + 1) * 0x9E3779B97F4A7C15ull);
    else
        snprintf(note, sizeof note, "note %u", row / 3);
    if (row % 3)
        put_text(&columns[NOTE], note);
    else
        put_null(&columns[NOTE]);
    put_null(&columns[ABSENT]);
    if (row % 2)
        must(oto_column_append_bytes(&builder, &columns[BLOB], oto_bytes(blob, row % 4)));
    else
        put_null(&columns[BLOB]);
    put_id(&columns[TRACE], row % 50 == 9 ? 0 : 1 + row / 10, 16);
    put_id(&columns[SPAN], row % 50 == 9 && !all_have_ids ? 0 : 1 + row, 8);
    put_id(&columns[PARENT], row % 10 ? 1 + row / 10 * 10 : 0, 8);
}

static void put_row(uint32_t row, uint32_t scope)
{
    struct oto_column *columns = builder.columns;
    must(oto_builder_row(&builder, scope));
    put_numbers(columns, row);
    put_texts(columns, row);
    put_map(&columns[ATTRIBUTES], row % 6, row);
    for (uint32_t i = 0; i < row % 4; i++)
        put_i64(columns[NUMBERS].children, (int64_t)row * i);
    must(oto_column_append_end(&builder, &columns[NUMBERS]));
    for (uint32_t i = 0; i < 3; i++)
        put_double(columns[BOUNDS].children, i * 2.5);
    must(oto_column_append_end(&builder, &columns[BOUNDS]));
    if (row % 2)
        put_text(columns[TAGS].children, words[row % WORD_COUNT]);
    must(oto_column_append_end(&builder, &columns[TAGS]));
    put_events(&columns[EVENTS], row);
}

#define RESOURCE_COUNT 5
#define SCOPE_COUNT 13

static void put_shared(void)
{
    uint32_t index;
    int is_new;
    for (uint32_t i = 0; i < RESOURCE_COUNT; i++) {
        must(oto_builder_entry(&builder, 2, oto_bytes(&i, 4), 0, &index, &is_new));
        put_text(&builder.columns[SERVICE], i == 3 ? "" : words[i]);
        put_map(&builder.columns[RESOURCE], i * 3, i);
    }
    for (uint32_t i = 0; i < SCOPE_COUNT; i++) {
        must(oto_builder_entry(&builder, 1, oto_bytes(&i, 4), i % RESOURCE_COUNT, &index, &is_new));
        if (i % 4)
            put_text(&builder.columns[SCOPE], words[i % WORD_COUNT]);
        else
            put_null(&builder.columns[SCOPE]);
        put_map(&builder.columns[SCOPE_ATTRIBUTES], i == 7 ? 2 : 0, i);
    }
}

// --- rows as JSON ---
static void json_value(struct oto_json_writer *w, const struct oto_column *c, uint32_t i);

static void json_map(struct oto_json_writer *w, const struct oto_column *c, uint32_t i)
{
    oto_json_array_begin(w);
    for (uint32_t k = c->offsets[i]; k < c->offsets[i + 1]; k++) {
        oto_json_array_begin(w);
        json_value(w, &c->children[0], k);
        json_value(w, &c->children[1], k);
        oto_json_array_end(w);
    }
    oto_json_array_end(w);
}

static void json_list(struct oto_json_writer *w, const struct oto_column *c, uint32_t i)
{
    oto_json_array_begin(w);
    for (uint32_t k = c->offsets[i]; k < c->offsets[i + 1]; k++) {
        if (c->field->type == OTO_TYPE_LIST) {
            json_value(w, &c->children[0], k);
            continue;
        }
        oto_json_object_begin(w);
        for (uint32_t f = 0; f < c->field->child_count; f++) {
            oto_json_write_name(w, oto_bytes_text(c->field->children[f].name));
            json_value(w, &c->children[f], k);
        }
        oto_json_object_end(w);
    }
    oto_json_array_end(w);
}

static void json_value(struct oto_json_writer *w, const struct oto_column *c, uint32_t i)
{
    const uint8_t *bytes = c->values;
    int is_id = c->field->type == OTO_TYPE_ID16 || c->field->type == OTO_TYPE_ID8;
    size_t id_size = c->field->type == OTO_TYPE_ID16 ? 16 : 8;
    if (is_id) {
        oto_json_write_hex(w, oto_bytes(bytes + i * id_size, oto_column_valid(c, i) ? id_size : 0));
        return;
    }
    if (!oto_column_valid(c, i)) {
        oto_json_write_null(w);
        return;
    }
    switch ((enum oto_type)c->field->type) {
    case OTO_TYPE_BOOL:
        oto_json_write_bool(w, bytes[i]);
        break;
    case OTO_TYPE_INT32:
        oto_json_write_i64(w, ((const int32_t *)c->values)[i]);
        break;
    case OTO_TYPE_INT64:
    case OTO_TYPE_TIME:
        oto_json_write_i64(w, ((const int64_t *)c->values)[i]);
        break;
    case OTO_TYPE_DOUBLE:
        oto_json_write_double(w, ((const double *)c->values)[i]);
        break;
    case OTO_TYPE_STRING:
        oto_json_write_string(w, c->dictionary->entries[((const uint32_t *)c->values)[i]]);
        break;
    case OTO_TYPE_BINARY:
        oto_json_write_base64(w, c->dictionary->entries[((const uint32_t *)c->values)[i]]);
        break;
    case OTO_TYPE_MAP:
        json_map(w, c, i);
        break;
    default:
        json_list(w, c, i);
    }
}

static void write_json(const struct oto_batch *batch, const uint32_t *order, uint32_t count,
                       FILE *file)
{
    struct oto_buffer line;
    oto_buffer_init(&line, &oto_allocator_heap, 1 << 24);
    for (uint32_t i = 0; i < count; i++) {
        struct oto_json_writer w;
        line.size = 0;
        oto_json_writer_init(&w, &line);
        oto_json_object_begin(&w);
        for (uint32_t f = 0; f < batch->schema->field_count; f++) {
            const struct oto_field *field = batch->schema->fields[f];
            uint32_t index;
            oto_batch_level_indices(batch, field->level, order, i, 1, &index);
            if (order)
                oto_batch_level_indices(batch, field->level, order + i, 0, 1, &index);
            oto_json_write_name(&w, oto_bytes_text(field->name));
            json_value(&w, &batch->columns[f], index);
        }
        oto_json_object_end(&w);
        must(oto_buffer_append_byte(&line, '\n'));
        fwrite(line.data, 1, line.size, file);
    }
    oto_buffer_release(&line);
}

// --- main ---
static enum oto_status sink_write(void *state, const void *data, size_t size, struct oto_error *err)
{
    return fwrite(data, 1, size, state) == size ? OTO_OK
                                                : oto_error_set(err, OTO_IO, "write failed");
}

struct arguments {
    struct oto_parquet_options options;
    uint32_t batch;
    int reverse;
};

static void read_argument(const char *text, struct arguments *a)
{
    const char *equals = strchr(text, '=');
    if (!equals)
        must(OTO_INVALID);
    size_t size = (size_t)(equals - text);
    uint32_t value = (uint32_t)strtoul(equals + 1, NULL, 10);
    struct oto_bytes name = oto_bytes(text, size);
    uint32_t zstd = 1, reverse = (uint32_t)a->reverse;
    struct {
        const char *name;
        uint32_t *target;
    } known[] = {{"row_group", &a->options.row_group_rows},
                 {"row_group_values", &a->options.row_group_values},
                 {"page_rows", &a->options.page_rows},
                 {"page_bytes", &a->options.page_bytes},
                 {"dictionary_bytes", &a->options.dictionary_bytes_max},
                 {"zstd", &zstd},
                 {"reverse", &reverse},
                 {"batch", &a->batch}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        if (oto_bytes_equal_text(name, known[i].name))
            *known[i].target = value;
    }
    a->reverse = (int)reverse;
    if (!zstd)
        a->options.compression = OTO_COMPRESSION_NONE;
}

// --- reading ---
static struct oto_bytes read_whole(const char *path)
{
    FILE *file = fopen(path, "rb");
    if (!file || fseek(file, 0, SEEK_END) != 0)
        must(OTO_NOT_FOUND);
    size_t size = (size_t)ftell(file);
    uint8_t *data = malloc(size + 1);
    rewind(file);
    if (!data || fread(data, 1, size, file) != size)
        must(OTO_IO);
    fclose(file);
    return oto_bytes(data, size);
}

static const struct oto_schema *schema_named(const char *name, const struct oto_schemas *schemas)
{
    static struct oto_field flat[COLUMN_COUNT];
    static const struct oto_field *pointers[COLUMN_COUNT];
    static struct oto_schema synthetic = {"synthetic", pointers, COLUMN_COUNT, 1};
    for (uint32_t i = 0; i < COLUMN_COUNT; i++) {
        flat[i] = fields[i];
        flat[i].level = 0;
        pointers[i] = &flat[i];
    }
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        if (strcmp(name, oto_table_name((enum oto_table)t)) == 0)
            return oto_schemas_table(schemas, (enum oto_table)t);
    return &synthetic;
}

static void read_failed(const struct oto_error *err)
{
    fprintf(stderr, "parquet_tool: %s at %lld: %s\n", oto_status_name(err->status),
            (long long)err->offset, err->message);
    exit(1);
}

static void print_rows(struct oto_parquet_reader *reader, const struct oto_schema *schema,
                       uint32_t rows_max)
{
    struct oto_arena arena;
    struct oto_error err;
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, (size_t)4 << 30);
    for (;;) {
        uint32_t rows;
        struct oto_batch batch;
        must(oto_builder_init(&builder, schema, &arena, 7, 1024, &err));
        enum oto_status status = oto_parquet_read(reader, &builder, rows_max, &rows, &err);
        if (status == OTO_END)
            break;
        if (status < 0)
            read_failed(&err);
        must(oto_builder_view(&builder, &oto_allocator_heap, &batch));
        write_json(&batch, NULL, rows, stdout);
        oto_batch_release(&batch);
        oto_arena_reset(&arena);
    }
    oto_arena_release(&arena);
}

static int read_main(int argc, char **argv)
{
    struct oto_parquet_reader *reader;
    struct oto_error err;
    if (argc < 4)
        must(OTO_INVALID);
    uint32_t rows_max = argc > 4 ? (uint32_t)strtoul(argv[4], NULL, 10) : 1000;
    struct oto_bytes bytes = read_whole(argv[2]);
    struct oto_source source = oto_source_of_bytes(&bytes);
    struct oto_schemas *schemas = oto_schemas_new_flat(&oto_allocator_heap, NULL, 0, &err);
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    const struct oto_schema *schema = schema_named(argv[3], schemas);
    if (oto_parquet_open(&source, NULL, codec, &oto_allocator_heap, &reader, &err) < 0 ||
        oto_parquet_select(reader, schema, &err) < 0)
        read_failed(&err);
    print_rows(reader, schema, rows_max);
    oto_parquet_close(reader);
    oto_codec_free(codec);
    oto_schemas_free(schemas);
    free((void *)(uintptr_t)bytes.data);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const sorted_by[] = {"Timestamp"};
    const struct oto_field *pointers[COLUMN_COUNT];
    struct arguments a = {0};
    if (argc > 1 && strcmp(argv[1], "read") == 0)
        return read_main(argc, argv);
    if (argc < 4)
        must(OTO_INVALID);
    oto_parquet_options_default(&a.options);
    for (int i = 4; i < argc; i++)
        read_argument(argv[i], &a);
    uint32_t count = (uint32_t)strtoul(argv[3], NULL, 10),
             batch_count = count > a.batch ? count : a.batch;
    for (uint32_t i = 0; i < COLUMN_COUNT; i++)
        pointers[i] = &fields[i];
    struct oto_schema schema = {"synthetic", pointers, COLUMN_COUNT, 3};
    struct oto_arena arena;
    struct oto_error err;
    oto_error_init(&err);
    oto_arena_init(&arena, &oto_allocator_heap, 1 << 20, (size_t)4 << 30);
    must(oto_builder_init(&builder, &schema, &arena, 7, 1024, &err));
    put_shared();
    all_have_ids = batch_count >= 10000;
    for (uint32_t row = 0; row < batch_count; row++)
        put_row(row, random_below(100) ? row / 1000 % SCOPE_COUNT : random_below(SCOPE_COUNT));
    struct oto_batch batch;
    must(oto_builder_view(&builder, &oto_allocator_heap, &batch));
    uint32_t *order = malloc((count + 1) * sizeof *order);
    for (uint32_t i = 0; i < count; i++)
        order[i] = count - 1 - i;
    if (!a.reverse) {
        a.options.sorted_by = sorted_by;
        a.options.sorted_by_count = 1;
    }
    FILE *file = fopen(argv[1], "wb");
    struct oto_sink sink = {sink_write, file};
    struct oto_codec *codec = oto_codec_new(&oto_allocator_heap);
    struct oto_parquet_result result;
    enum oto_status status = oto_parquet_write(&batch, a.reverse ? order : NULL, count, &a.options,
                                               codec, &oto_allocator_heap, &sink, &result, &err);
    if (status != OTO_OK)
        fprintf(stderr, "%s\n", err.message);
    must(status);
    fclose(file);
    if (strcmp(argv[2], "-") != 0) {
        FILE *rows = fopen(argv[2], "wb");
        write_json(&batch, a.reverse ? order : NULL, count, rows);
        fclose(rows);
    }
    printf("%llu bytes, %llu rows, %u row groups\n", (unsigned long long)result.file_size_bytes,
           (unsigned long long)result.row_count, result.row_group_count);
    oto_codec_free(codec);
    free(order);
    oto_batch_release(&batch);
    oto_arena_release(&arena);
    return 0;
}
