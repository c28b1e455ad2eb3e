// One Parquet file.
#include "inspect/inspect_internal.h"

#include <stdio.h>
#include <stdlib.h>

// A file being shown.
struct view {
    struct oto_inspection *inspection;
    struct oto_json_writer *w;
    struct oto_parquet_reader *reader;
    const struct oto_parquet_metadata *metadata;
    uint64_t file_bytes;
    struct oto_error *err;
};

static void write_count(struct view *v, const char *name, int64_t count)
{
    oto_inspect_name(v->inspection, name);
    if (count < 0)
        oto_json_write_null(v->w);
    else
        oto_json_write_i64(v->w, count);
}

static void write_word(struct view *v, const char *name, const char *word)
{
    oto_inspect_name(v->inspection, name);
    if (word)
        oto_json_write_text(v->w, word);
    else
        oto_json_write_null(v->w);
}

// 1 when the column, or one around it, was asked for.
static int is_wanted(const struct view *v, uint32_t leaf)
{
    const char *wanted = v->inspection->options.column;
    char path[OTO_PARQUET_TEXT_MAX];
    if (!wanted)
        return 1;
    oto_parquet_leaf_path(v->metadata, leaf, path, sizeof path);
    size_t size = strlen(wanted);
    return strncmp(path, wanted, size) == 0 && (path[size] == 0 || path[size] == '.');
}

// --- the schema ---

static void write_node_json(struct view *v, const struct oto_parquet_node *node)
{
    static const char *const units[] = {NULL, "MILLIS", "MICROS", "NANOS"};
    char text[OTO_PARQUET_TEXT_MAX];
    oto_inspect_name(v->inspection, "name");
    oto_json_write_string(v->w, node->name);
    write_word(v, "repetition", oto_parquet_repetition_name(node->repetition));
    write_word(v, "type", oto_parquet_type_text(node, text));
    write_word(v, "physical_type",
               node->physical < 0 ? NULL : oto_parquet_physical_name(node->physical));
    write_word(v, "logical_type", oto_parquet_logical_name(node));
    write_word(v, "converted_type", oto_parquet_converted_name(node->converted));
    write_count(v, "field_id", node->field_id);
    if (node->time_unit) {
        write_word(v, "unit", units[node->time_unit & 3]);
        oto_inspect_name(v->inspection, "utc");
        oto_json_write_bool(v->w, node->is_utc);
    }
    if (node->physical == 7)
        write_count(v, "length", node->type_length);
    if (node->leaf != UINT32_MAX) {
        write_count(v, "max_definition_level", node->max_definition);
        write_count(v, "max_repetition_level", node->max_repetition);
    }
}

// A tree, written as it lies: a group ends where its `end` is reached.
static void write_schema_json(struct view *v)
{
    const struct oto_parquet_node *nodes = v->metadata->nodes;
    uint32_t parent = 0;
    oto_inspect_name(v->inspection, "schema");
    oto_json_array_begin(v->w);
    for (uint32_t i = 1; i < v->metadata->node_count; i++) {
        oto_json_object_begin(v->w);
        write_node_json(v, &nodes[i]);
        if (nodes[i].physical < 0) {
            oto_inspect_name(v->inspection, "children");
            oto_json_array_begin(v->w);
            parent = i;
        } else {
            oto_json_object_end(v->w);
        }
        for (; parent && nodes[parent].end == i + 1; parent = nodes[parent].parent) {
            oto_json_array_end(v->w);
            oto_json_object_end(v->w);
        }
    }
    oto_json_array_end(v->w);
}

static void put_schema(struct view *v)
{
    const struct oto_parquet_node *nodes = v->metadata->nodes;
    static const char *const repetitions[] = {"required", "optional", "repeated"};
    char text[OTO_PARQUET_TEXT_MAX];
    struct oto_text_table table;
    oto_text_table_init(&table, "schema|type|repetition|>field id");
    for (uint32_t i = 1; i < v->metadata->node_count; i++) {
        unsigned depth = 0;
        for (uint32_t parent = nodes[i].parent; parent; parent = nodes[parent].parent)
            depth++;
        depth = depth < 32 ? depth : 32;
        oto_text_table_cell(&table, "%*s%.*s", (int)(2 * depth), "", (int)nodes[i].name.size,
                            (const char *)nodes[i].name.data);
        oto_text_table_cell(&table, "%s", oto_parquet_type_text(&nodes[i], text));
        oto_text_table_cell(&table, "%s", repetitions[nodes[i].repetition]);
        if (nodes[i].field_id >= 0)
            oto_text_table_cell(&table, "%d", nodes[i].field_id);
        else
            oto_text_table_cell(&table, "%s", "");
    }
    enum oto_status status = oto_text_table_finish(&table, 2, &v->inspection->output);
    if (status < 0)
        v->w->status = status;
    oto_inspect_put(v->inspection, "\n");
}

// --- pages ---

struct pages {
    struct view *view;
    struct oto_text_table table;
};

static enum oto_status write_page_json(void *state, const struct oto_parquet_page_info *page)
{
    struct view *v = ((struct pages *)state)->view;
    oto_json_object_begin(v->w);
    write_count(v, "offset", (int64_t)page->offset);
    write_word(v, "type", oto_parquet_page_name(page->type));
    write_word(v, "encoding", oto_parquet_encoding_name(page->encoding));
    write_count(v, "values", page->value_count);
    write_count(v, "header_bytes", page->header_bytes);
    write_count(v, "compressed_bytes", page->compressed_bytes);
    write_count(v, "uncompressed_bytes", page->uncompressed_bytes);
    write_word(v, "checksum", !page->has_crc ? NULL : page->crc_right ? "right" : "wrong");
    oto_json_object_end(v->w);
    return v->w->status;
}

static enum oto_status put_page(void *state, const struct oto_parquet_page_info *page)
{
    struct pages *pages = state;
    char a[OTO_TEXT_NUMBER_MAX];
    oto_text_table_cell(&pages->table, "%llu", (unsigned long long)page->offset);
    oto_text_table_cell(&pages->table, "%s", oto_parquet_page_name(page->type));
    oto_text_table_cell(&pages->table, "%s", oto_parquet_encoding_name(page->encoding));
    oto_text_table_cell(&pages->table, "%s", oto_text_count(page->value_count, a));
    oto_text_table_cell(&pages->table, "%s", oto_text_size(page->compressed_bytes, a));
    oto_text_table_cell(&pages->table, "%s", oto_text_size(page->uncompressed_bytes, a));
    oto_text_table_cell(&pages->table, "%s",
                        !page->has_crc    ? "none"
                        : page->crc_right ? "right"
                                          : "WRONG");
    return pages->table.status;
}

static enum oto_status put_pages(struct view *v, uint32_t group, uint32_t leaf)
{
    struct pages pages = {.view = v};
    char path[OTO_PARQUET_TEXT_MAX];
    oto_parquet_leaf_path(v->metadata, leaf, path, sizeof path);
    oto_inspect_put(v->inspection, "  pages of %s in row group %u\n", path, group);
    oto_text_table_init(&pages.table, ">offset|type|encoding|>values|>stored|>plain|checksum");
    enum oto_status status =
        oto_parquet_visit_pages(v->reader, group, leaf, put_page, &pages, v->err);
    enum oto_status written = oto_text_table_finish(&pages.table, 4, &v->inspection->output);
    oto_inspect_put(v->inspection, "\n");
    return status < 0 ? status : written;
}

static enum oto_status write_pages_json(struct view *v, uint32_t group, uint32_t leaf)
{
    struct pages pages = {.view = v};
    oto_inspect_name(v->inspection, "pages");
    oto_json_array_begin(v->w);
    OTO_TRY(oto_parquet_visit_pages(v->reader, group, leaf, write_page_json, &pages, v->err));
    oto_json_array_end(v->w);
    return OTO_OK;
}

// --- column chunks ---

static void write_exact(struct view *v, const char *name, int is_exact)
{
    oto_inspect_name(v->inspection, name);
    if (is_exact < 0)
        oto_json_write_null(v->w);
    else
        oto_json_write_bool(v->w, is_exact);
}

static void write_statistics(struct view *v, const struct oto_parquet_chunk_info *chunk)
{
    const struct oto_parquet_node *node = &v->metadata->nodes[v->metadata->leaves[chunk->leaf]];
    write_count(v, "nulls", chunk->statistics.null_count);
    write_count(v, "distinct", chunk->statistics.distinct_count);
    oto_inspect_name(v->inspection, "min");
    oto_parquet_value_json(node, chunk->statistics.min, v->w);
    oto_inspect_name(v->inspection, "max");
    oto_parquet_value_json(node, chunk->statistics.max, v->w);
    write_exact(v, "is_min_exact", chunk->statistics.is_min_exact);
    write_exact(v, "is_max_exact", chunk->statistics.is_max_exact);
}

static enum oto_status write_bloom(struct view *v, uint32_t group, uint32_t leaf)
{
    struct oto_parquet_bloom_info bloom;
    enum oto_status status = oto_parquet_bloom_info(v->reader, group, leaf, &bloom, v->err);
    OTO_TRY(status);
    oto_inspect_name(v->inspection, "bloom_filter");
    if (status == OTO_END) {
        oto_json_write_null(v->w);
        return OTO_OK;
    }
    oto_json_object_begin(v->w);
    write_count(v, "offset", v->metadata->groups[group].chunks[leaf].bloom_offset);
    write_count(v, "bitset_bytes", (int64_t)bloom.bitset_bytes);
    oto_inspect_name(v->inspection, "fill");
    oto_json_write_double(
        v->w, bloom.bitset_bytes ? (double)bloom.bits_set / ((double)bloom.bitset_bytes * 8) : 0);
    oto_json_object_end(v->w);
    return OTO_OK;
}

static enum oto_status write_chunk_json(struct view *v, uint32_t group, uint32_t leaf)
{
    const struct oto_parquet_chunk_info *chunk = &v->metadata->groups[group].chunks[leaf];
    const struct oto_parquet_node *node = &v->metadata->nodes[v->metadata->leaves[leaf]];
    char path[OTO_PARQUET_TEXT_MAX];
    oto_parquet_leaf_path(v->metadata, leaf, path, sizeof path);
    oto_json_object_begin(v->w);
    write_word(v, "column", path);
    write_word(v, "physical_type", oto_parquet_physical_name(node->physical));
    oto_inspect_name(v->inspection, "encodings");
    oto_json_array_begin(v->w);
    for (int i = 0; i < 32; i++)
        if (chunk->encodings >> i & 1)
            oto_json_write_text(v->w, oto_parquet_encoding_name(i));
    oto_json_array_end(v->w);
    write_word(v, "codec", oto_parquet_codec_name(chunk->codec));
    write_count(v, "values", chunk->value_count);
    write_statistics(v, chunk);
    write_count(v, "compressed_bytes", chunk->compressed_bytes);
    write_count(v, "uncompressed_bytes", chunk->uncompressed_bytes);
    oto_inspect_name(v->inspection, "share");
    oto_json_write_double(
        v->w, v->file_bytes ? (double)chunk->compressed_bytes / (double)v->file_bytes : 0);
    write_count(v, "dictionary_offset", chunk->dictionary_offset);
    write_count(v, "data_offset", chunk->data_offset);
    write_count(v, "data_pages", chunk->data_page_count);
    write_count(v, "column_index_bytes", chunk->column_index_bytes);
    write_count(v, "offset_index_bytes", chunk->offset_index_bytes);
    OTO_TRY(write_bloom(v, group, leaf));
    if (v->inspection->options.pages)
        OTO_TRY(write_pages_json(v, group, leaf));
    oto_json_object_end(v->w);
    return OTO_OK;
}

static int64_t add_known(int64_t sum, int64_t more)
{
    return sum < 0 || more < 0 || more > INT64_MAX - sum ? -1 : sum + more;
}

static enum oto_status add_chunk(struct view *v, uint32_t group, uint32_t leaf,
                                 struct oto_column_sum *sum)
{
    const struct oto_parquet_chunk_info *chunk = &v->metadata->groups[group].chunks[leaf];
    const struct oto_parquet_node *node = &v->metadata->nodes[v->metadata->leaves[leaf]];
    const struct oto_parquet_statistics *statistics = &chunk->statistics;
    struct oto_parquet_bloom_info bloom = {0, 0};
    OTO_TRY(oto_parquet_bloom_info(v->reader, group, leaf, &bloom, v->err));
    sum->distinct = sum->chunks ? -1 : statistics->distinct_count; // those of two may be the same
    sum->chunks++;
    sum->encodings |= chunk->encodings;
    sum->codecs |= chunk->codec >= 0 && chunk->codec < 8 ? 1u << chunk->codec : 0;
    sum->values = add_known(sum->values, chunk->value_count);
    sum->nulls = add_known(sum->nulls, statistics->null_count);
    sum->compressed_bytes = add_known(sum->compressed_bytes, chunk->compressed_bytes);
    sum->uncompressed_bytes = add_known(sum->uncompressed_bytes, chunk->uncompressed_bytes);
    sum->data_pages = add_known(sum->data_pages, chunk->data_page_count);
    sum->bloom_bytes += (int64_t)bloom.bitset_bytes;
    sum->bloom_bits += (int64_t)bloom.bits_set;
    if (statistics->min.data &&
        (!sum->min.data || oto_parquet_value_compare(node, statistics->min, sum->min) < 0))
        sum->min = statistics->min;
    if (statistics->max.data &&
        (!sum->max.data || oto_parquet_value_compare(node, statistics->max, sum->max) > 0))
        sum->max = statistics->max;
    return OTO_OK;
}

// --- row groups ---

static void write_sorting_json(struct view *v, const struct oto_parquet_group_info *group)
{
    char path[OTO_PARQUET_TEXT_MAX];
    oto_inspect_name(v->inspection, "sorting_columns");
    oto_json_array_begin(v->w);
    for (uint32_t i = 0; i < group->sorting_count; i++) {
        oto_parquet_leaf_path(v->metadata, group->sorting[i].leaf, path, sizeof path);
        oto_json_object_begin(v->w);
        write_word(v, "column", path);
        oto_inspect_name(v->inspection, "descending");
        oto_json_write_bool(v->w, group->sorting[i].is_descending);
        oto_inspect_name(v->inspection, "nulls_first");
        oto_json_write_bool(v->w, group->sorting[i].is_nulls_first);
        oto_json_object_end(v->w);
    }
    oto_json_array_end(v->w);
}

static int64_t stored_bytes(const struct view *v, uint32_t group)
{
    int64_t bytes = 0;
    for (uint32_t leaf = 0; leaf < v->metadata->leaf_count; leaf++)
        bytes = add_known(bytes, v->metadata->groups[group].chunks[leaf].compressed_bytes);
    return bytes;
}

static enum oto_status write_groups_json(struct view *v)
{
    oto_inspect_name(v->inspection, "row_groups");
    oto_json_array_begin(v->w);
    for (uint32_t g = 0; g < v->metadata->group_count; g++) {
        const struct oto_parquet_group_info *group = &v->metadata->groups[g];
        oto_json_object_begin(v->w);
        write_count(v, "rows", group->row_count);
        write_count(v, "uncompressed_bytes", group->uncompressed_bytes);
        write_count(v, "compressed_bytes", stored_bytes(v, g));
        write_sorting_json(v, group);
        oto_inspect_name(v->inspection, "columns");
        oto_json_array_begin(v->w);
        for (uint32_t leaf = 0; leaf < v->metadata->leaf_count; leaf++)
            if (is_wanted(v, leaf))
                OTO_TRY(write_chunk_json(v, g, leaf));
        oto_json_array_end(v->w);
        oto_json_object_end(v->w);
    }
    oto_json_array_end(v->w);
    return OTO_OK;
}

static void put_groups(struct view *v)
{
    struct oto_text_table table;
    char a[OTO_TEXT_NUMBER_MAX], path[OTO_PARQUET_TEXT_MAX];
    oto_text_table_init(&table, ">row group|>rows|>stored|>plain|sorted by");
    for (uint32_t g = 0; g < v->metadata->group_count; g++) {
        const struct oto_parquet_group_info *group = &v->metadata->groups[g];
        char sorting[OTO_PARQUET_TEXT_MAX] = "";
        for (uint32_t i = 0, at = 0; i < group->sorting_count && at < sizeof sorting - 1; i++) {
            oto_parquet_leaf_path(v->metadata, group->sorting[i].leaf, path, sizeof path);
            at += (uint32_t)snprintf(sorting + at, sizeof sorting - at, "%s%s%s", at ? ", " : "",
                                     path, group->sorting[i].is_descending ? " descending" : "");
        }
        oto_text_table_cell(&table, "%u", g);
        oto_text_table_cell(&table, "%s", oto_text_count(group->row_count, a));
        oto_text_table_cell(&table, "%s", oto_text_size(stored_bytes(v, g), a));
        oto_text_table_cell(&table, "%s", oto_text_size(group->uncompressed_bytes, a));
        oto_text_table_cell(&table, "%s", sorting);
    }
    enum oto_status status = oto_text_table_finish(&table, 2, &v->inspection->output);
    if (status < 0)
        v->w->status = status;
    oto_inspect_put(v->inspection, "\n");
}

// --- sums ---

static struct oto_column_sum *total_of(struct oto_inspection *inspection, const char *name)
{
    struct oto_column_sum *sums = (struct oto_column_sum *)(void *)inspection->totals.data;
    size_t count = inspection->totals.size / sizeof *sums;
    for (size_t i = 0; i < count; i++)
        if (strcmp(sums[i].name, name) == 0)
            return &sums[i];
    struct oto_column_sum sum = {.name = strdup(name)};
    if (!sum.name || oto_buffer_append(&inspection->totals, &sum, sizeof sum) < 0) {
        free(sum.name);
        return NULL;
    }
    return (struct oto_column_sum *)(void *)inspection->totals.data + count;
}

static enum oto_status add_to_totals(struct view *v, const struct oto_column_sum *sums)
{
    for (uint32_t leaf = 0; leaf < v->metadata->leaf_count; leaf++) {
        char path[OTO_PARQUET_TEXT_MAX];
        const struct oto_column_sum *from = &sums[leaf];
        if (!from->chunks)
            continue;
        oto_parquet_leaf_path(v->metadata, leaf, path, sizeof path);
        struct oto_column_sum *to = total_of(v->inspection, path);
        if (!to)
            return OTO_NO_MEMORY;
        to->chunks += from->chunks;
        to->encodings |= from->encodings;
        to->codecs |= from->codecs;
        to->values = add_known(to->values, from->values);
        to->nulls = add_known(to->nulls, from->nulls);
        to->compressed_bytes = add_known(to->compressed_bytes, from->compressed_bytes);
        to->uncompressed_bytes = add_known(to->uncompressed_bytes, from->uncompressed_bytes);
        to->data_pages = add_known(to->data_pages, from->data_pages);
        to->bloom_bytes += from->bloom_bytes;
        to->bloom_bits += from->bloom_bits;
    }
    v->inspection->parquet_files++;
    v->inspection->file_bytes += v->file_bytes;
    v->inspection->rows += (uint64_t)v->metadata->row_count;
    return OTO_OK;
}

static enum oto_status add_groups(struct view *v, uint32_t first, uint32_t count,
                                  struct oto_column_sum *sums)
{
    memset(sums, 0, v->metadata->leaf_count * sizeof *sums);
    for (uint32_t g = first; g < first + count; g++)
        for (uint32_t leaf = 0; leaf < v->metadata->leaf_count; leaf++)
            if (is_wanted(v, leaf))
                OTO_TRY(add_chunk(v, g, leaf, &sums[leaf]));
    return OTO_OK;
}

// --- the file ---

static enum oto_status write_json(struct view *v, const char *path)
{
    const struct oto_parquet_metadata *m = v->metadata;
    oto_json_object_begin(v->w);
    write_word(v, "path", path);
    write_word(v, "kind", "parquet");
    write_count(v, "file_bytes", (int64_t)v->file_bytes);
    write_count(v, "footer_bytes", (int64_t)m->footer_bytes);
    write_count(v, "version", m->version);
    oto_inspect_name(v->inspection, "created_by");
    oto_json_write_string(v->w, m->created_by);
    write_count(v, "rows", m->row_count);
    write_schema_json(v);
    OTO_TRY(write_groups_json(v));
    oto_inspect_name(v->inspection, "metadata");
    oto_json_array_begin(v->w);
    for (uint32_t i = 0; i < m->pair_count; i++) {
        oto_json_object_begin(v->w);
        oto_inspect_name(v->inspection, "key");
        oto_json_write_string(v->w, m->pairs[i].key);
        oto_inspect_name(v->inspection, "value");
        oto_json_write_string(v->w, m->pairs[i].value);
        oto_json_object_end(v->w);
    }
    oto_json_array_end(v->w);
    oto_json_object_end(v->w);
    return v->w->status;
}

static void put_head(struct view *v, const char *path)
{
    const struct oto_parquet_metadata *m = v->metadata;
    char size[OTO_TEXT_NUMBER_MAX], rows[OTO_TEXT_NUMBER_MAX], footer[OTO_TEXT_NUMBER_MAX];
    oto_inspect_put(v->inspection, "%s\n  Parquet %d, %s; %s row%s in %u row group%s; footer %s\n",
                    path, m->version, oto_text_size((int64_t)v->file_bytes, size),
                    oto_text_count(m->row_count, rows), m->row_count == 1 ? "" : "s",
                    m->group_count, m->group_count == 1 ? "" : "s",
                    oto_text_size((int64_t)m->footer_bytes, footer));
    oto_inspect_put(v->inspection, "  created by %.*s\n", (int)m->created_by.size,
                    (const char *)m->created_by.data);
    for (uint32_t i = 0; i < m->pair_count; i++) {
        struct oto_bytes value = m->pairs[i].value;
        if (value.size > 300)
            oto_inspect_put(v->inspection, "  %.*s: %s\n", (int)m->pairs[i].key.size,
                            (const char *)m->pairs[i].key.data,
                            oto_text_size((int64_t)value.size, size));
        else
            oto_inspect_put(v->inspection, "  %.*s: %.*s\n", (int)m->pairs[i].key.size,
                            (const char *)m->pairs[i].key.data, (int)value.size,
                            (const char *)value.data);
    }
    oto_inspect_put(v->inspection, "\n");
}

static enum oto_status put_chunks(struct view *v, struct oto_column_sum *sums)
{
    for (uint32_t g = 0; g < v->metadata->group_count; g++) {
        OTO_TRY(add_groups(v, g, 1, sums));
        oto_inspect_put(v->inspection, "  row group %u\n", g);
        oto_inspect_columns(v->inspection, v->metadata, sums, v->file_bytes);
        oto_inspect_put(v->inspection, "\n");
    }
    return OTO_OK;
}

static enum oto_status put_text(struct view *v, const char *path, struct oto_column_sum *sums)
{
    put_head(v, path);
    if (!v->inspection->options.column)
        put_schema(v);
    put_groups(v);
    oto_inspect_columns(v->inspection, v->metadata, sums, v->file_bytes);
    oto_inspect_put(v->inspection, "\n");
    if (v->inspection->options.row_groups)
        OTO_TRY(put_chunks(v, sums));
    for (uint32_t g = 0; v->inspection->options.pages && g < v->metadata->group_count; g++)
        for (uint32_t leaf = 0; leaf < v->metadata->leaf_count; leaf++)
            if (is_wanted(v, leaf))
                OTO_TRY(put_pages(v, g, leaf));
    if (v->w->status >= 0)
        OTO_TRY(add_groups(v, 0, v->metadata->group_count, sums));
    return v->w->status >= 0 ? add_to_totals(v, sums) : v->w->status;
}

static enum oto_status show(struct view *v, const char *path)
{
    size_t count = v->metadata->leaf_count;
    struct oto_column_sum *sums = calloc(count + 1, sizeof *sums);
    if (!sums)
        return oto_error_set(v->err, OTO_NO_MEMORY, "no memory for its columns");
    for (uint32_t leaf = 0; leaf < count; leaf++)
        v->inspection->has_column |= is_wanted(v, leaf);
    enum oto_status status = add_groups(v, 0, v->metadata->group_count, sums);
    if (status >= 0 && v->inspection->options.json) {
        status = write_json(v, path);
        if (status >= 0)
            status = add_to_totals(v, sums);
    } else if (status >= 0) {
        status = put_text(v, path, sums);
    }
    free(sums);
    return status;
}

enum oto_status oto_inspect_parquet(struct oto_inspection *inspection,
                                    const struct oto_inspected *inspected, struct oto_error *err)
{
    struct oto_file_source file;
    struct view v = {.inspection = inspection, .w = &inspection->json, .err = err};
    OTO_TRY(oto_file_source_open(&file, inspected->path, err));
    enum oto_status status = oto_parquet_open(&file.source, NULL, inspection->codec,
                                              &oto_allocator_heap, &v.reader, err);
    if (status >= 0) {
        v.metadata = oto_parquet_metadata_of(v.reader);
        v.file_bytes = file.source.size_bytes;
        status = show(&v, inspected->name);
    }
    oto_parquet_close(v.reader);
    oto_file_source_close(&file);
    return status;
}
