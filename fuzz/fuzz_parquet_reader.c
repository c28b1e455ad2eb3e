// folders: parquet query_plan telemetry
// Any bytes as a Parquet file: its metadata, its pages, its bloom filters, and its rows as each of
// the seven tables; single rows of one of these, looked for and read alone. Memory is limited,
// columns must come out whole.
#include "parquet_picks.h"
#include "telemetry/tables.h"

#include <stdlib.h>

#define MEMORY_MAX ((size_t)64 << 20)
#define READS_MAX 8
#define PAGES_MAX 4096

struct limited {
    size_t used;
};

static void *limited_alloc(void *state, size_t size)
{
    struct limited *l = state;
    if (size > MEMORY_MAX - l->used)
        return NULL;
    void *block = malloc(size ? size : 1);
    l->used += block ? size : 0;
    return block;
}

static void *limited_resize(void *state, void *block, size_t old_size, size_t size)
{
    struct limited *l = state;
    if (size > old_size && size - old_size > MEMORY_MAX - l->used)
        return NULL;
    void *moved = realloc(block, size ? size : 1);
    if (moved)
        l->used += size - old_size;
    return moved;
}

static void limited_free(void *state, void *block, size_t size)
{
    ((struct limited *)state)->used -= size;
    free(block);
}

// What every reader of a batch relies on. Depth is that of our own tables.
static void check_column(const struct oto_column *c, uint32_t length)
{
    if (c->length != length)
        abort();
    for (uint32_t i = 0; c->dictionary && i < length; i++)
        if (((const uint32_t *)c->values)[i] >= c->dictionary->count)
            abort();
    if (!c->offsets)
        return;
    for (uint32_t i = 0; i < length; i++)
        if (c->offsets[i] > c->offsets[i + 1])
            abort();
    for (uint32_t i = 0; i < c->child_count; i++)
        check_column(&c->children[i], c->offsets[length]);
}

static void read_rows(struct oto_parquet_reader *reader, const struct oto_schema *schema,
                      const struct oto_allocator *allocator, uint32_t rows_max, int picks)
{
    struct oto_arena arena;
    struct oto_builder builder;
    struct oto_error err;
    uint32_t total = 0, rows = 0;
    oto_arena_init(&arena, allocator, 1 << 16, MEMORY_MAX);
    if (oto_parquet_select(reader, schema, &err) == OTO_OK &&
        oto_builder_init(&builder, schema, &arena, 1, 16, &err) == OTO_OK) {
        for (int i = 0; i < READS_MAX; i++) {
            if (oto_parquet_read(reader, &builder, rows_max, &rows, &err) != OTO_OK)
                break;
            if (rows > rows_max)
                abort();
            total += rows;
            for (uint32_t c = 0; c < schema->field_count; c++)
                check_column(&builder.columns[c], total);
        }
        if (picks)
            picks_check(reader, schema, allocator, &builder, total);
    }
    oto_arena_release(&arena);
}

static enum oto_status count_page(void *state, const struct oto_parquet_page_info *page)
{
    uint32_t *count = state;
    (void)page;
    return ++*count < PAGES_MAX ? OTO_OK : OTO_TOO_LARGE;
}

static void look_at_chunks(struct oto_parquet_reader *reader)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    uint32_t pages = 0;
    for (uint32_t g = 0; g < m->group_count && pages < PAGES_MAX; g++) {
        for (uint32_t leaf = 0; leaf < m->leaf_count && pages < PAGES_MAX; leaf++) {
            struct oto_parquet_bloom_info bloom;
            struct oto_error err;
            pages++;
            if (oto_parquet_visit_pages(reader, g, leaf, count_page, &pages, &err) == OTO_INTERNAL)
                abort();
            if (oto_parquet_bloom_info(reader, g, leaf, &bloom, &err) == OTO_OK &&
                bloom.bits_set > bloom.bitset_bytes * 8)
                abort();
        }
    }
}

// The table of which the file has most columns.
static int likely_table(const struct oto_parquet_reader *reader, const struct oto_schemas *schemas)
{
    int best = 0;
    uint32_t most = 0;
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        const struct oto_schema *schema = oto_schemas_table(schemas, (enum oto_table)t);
        uint32_t count = 0;
        for (uint32_t f = 0; f < schema->field_count; f++)
            count += oto_parquet_has_column(reader, schema->fields[f]->name) ? 1u : 0u;
        best = count > most ? t : best;
        most = count > most ? count : most;
    }
    return best;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct limited limited = {0};
    struct oto_allocator allocator = {limited_alloc, limited_resize, limited_free, &limited};
    static struct oto_schemas *schemas;
    static struct oto_codec *codec;
    struct oto_bytes bytes = oto_bytes(data, size);
    struct oto_source source = oto_source_of_bytes(&bytes);
    struct oto_parquet_read_options options;
    struct oto_parquet_reader *reader;
    struct oto_error err;
    if (!schemas) {
        schemas = oto_schemas_new_flat(&oto_allocator_heap, NULL, 0, &err);
        codec = oto_codec_new(&oto_allocator_heap);
    }
    oto_parquet_read_options_default(&options);
    options.page_bytes_max = 4 << 20;
    options.crc = 0; // or most changes would end there
    if (oto_parquet_open(&source, &options, codec, &allocator, &reader, &err) != OTO_OK) {
        if (limited.used)
            abort();
        return 0;
    }
    look_at_chunks(reader);
    int likely = likely_table(reader, schemas);
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        read_rows(reader, oto_schemas_table(schemas, (enum oto_table)t), &allocator,
                  t % 2 ? 7 : 1000, t == likely);
    oto_parquet_close(reader);
    if (limited.used)
        abort();
    return 0;
}
