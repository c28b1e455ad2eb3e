// The table of columns, of one file or of all.
#include "inspect/inspect_internal.h"

#include <stdio.h>
#include <stdlib.h>

static const char *codecs_text(uint32_t codecs, char output[OTO_PARQUET_TEXT_MAX])
{
    size_t at = 0;
    output[0] = 0;
    for (int i = 0; i < 8 && at < OTO_PARQUET_TEXT_MAX - 1; i++)
        if (codecs >> i & 1)
            at += (size_t)snprintf(output + at, OTO_PARQUET_TEXT_MAX - at, "%s%s", at ? ", " : "",
                                   oto_parquet_codec_name(i));
    return output;
}

// RLE is also how levels are written, so that nearly every column names it: shown where it is all.
static uint32_t telling_encodings(uint32_t encodings)
{
    uint32_t levels = 1u << 3 | 1u << 4;
    uint32_t rest = encodings & ~levels;
    return rest ? rest : encodings;
}

static const char *share_text(int64_t bytes, uint64_t total, char output[OTO_TEXT_NUMBER_MAX])
{
    (void)snprintf(output, OTO_TEXT_NUMBER_MAX, "%.1f %%",
                   total ? 100.0 * (double)bytes / (double)total : 0.0);
    return output;
}

static const char *bloom_text(const struct oto_column_sum *sum, char output[OTO_TEXT_NUMBER_MAX])
{
    char size[OTO_TEXT_NUMBER_MAX];
    if (sum->bloom_bytes <= 0)
        return "";
    (void)snprintf(output, OTO_TEXT_NUMBER_MAX, "%s, %.0f %% full",
                   oto_text_size(sum->bloom_bytes, size),
                   100.0 * (double)sum->bloom_bits / ((double)sum->bloom_bytes * 8));
    return output;
}

static void add_counts(struct oto_text_table *table, const struct oto_column_sum *sum,
                       uint64_t total_bytes)
{
    char a[OTO_TEXT_NUMBER_MAX], text[OTO_PARQUET_TEXT_MAX];
    oto_text_table_cell(table, "%s", oto_text_size(sum->compressed_bytes, a));
    oto_text_table_cell(table, "%s", share_text(sum->compressed_bytes, total_bytes, a));
    oto_text_table_cell(table, "%s", oto_text_size(sum->uncompressed_bytes, a));
    oto_text_table_cell(table, "%s", oto_text_count(sum->values, a));
    oto_text_table_cell(table, "%s", oto_text_count(sum->nulls, a));
    oto_text_table_cell(table, "%s", oto_text_count(sum->data_pages, a));
    oto_text_table_cell(table, "%s",
                        oto_parquet_encodings_text(telling_encodings(sum->encodings), text));
    oto_text_table_cell(table, "%s", codecs_text(sum->codecs, text));
    oto_text_table_cell(table, "%s", bloom_text(sum, a));
}

#define COUNT_TITLES ">stored|>share|>plain|>values|>nulls|>pages|encoding|codec|bloom filter"

void oto_inspect_columns(struct oto_inspection *inspection,
                         const struct oto_parquet_metadata *metadata,
                         const struct oto_column_sum *sums, uint64_t total_bytes)
{
    struct oto_text_table table;
    oto_text_table_init(&table, "column|" COUNT_TITLES "|>distinct|min|max");
    for (uint32_t leaf = 0; leaf < metadata->leaf_count; leaf++) {
        const struct oto_parquet_node *node = &metadata->nodes[metadata->leaves[leaf]];
        char path[OTO_PARQUET_TEXT_MAX], text[OTO_PARQUET_TEXT_MAX], a[OTO_TEXT_NUMBER_MAX];
        if (!sums[leaf].chunks)
            continue;
        oto_parquet_leaf_path(metadata, leaf, path, sizeof path);
        oto_text_table_cell(&table, "%s", path);
        add_counts(&table, &sums[leaf], total_bytes);
        oto_text_table_cell(&table, "%s", oto_text_count(sums[leaf].distinct, a));
        oto_text_table_cell(&table, "%s", oto_parquet_value_text(node, sums[leaf].min, text));
        oto_text_table_cell(&table, "%s", oto_parquet_value_text(node, sums[leaf].max, text));
    }
    enum oto_status status = oto_text_table_finish(&table, 2, &inspection->output);
    if (status < 0)
        inspection->json.status = status;
}

// By size, then by name: qsort keeps the order of equals here and there only.
static int compare_sums(const void *a, const void *b)
{
    const struct oto_column_sum *x = a, *y = b;
    int order =
        (x->compressed_bytes < y->compressed_bytes) - (x->compressed_bytes > y->compressed_bytes);
    return order ? order : strcmp(x->name, y->name);
}

static void write_sum_json(struct oto_inspection *inspection, const struct oto_column_sum *sum)
{
    struct oto_json_writer *w = &inspection->json;
    const struct {
        const char *name;
        int64_t value;
    } numbers[] = {{"chunks", sum->chunks},
                   {"values", sum->values},
                   {"nulls", sum->nulls},
                   {"compressed_bytes", sum->compressed_bytes},
                   {"uncompressed_bytes", sum->uncompressed_bytes},
                   {"bloom_filter_bytes", sum->bloom_bytes}};
    oto_json_object_begin(w);
    oto_inspect_name(inspection, "column");
    oto_json_write_text(w, sum->name);
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        oto_inspect_name(inspection, numbers[i].name);
        if (numbers[i].value < 0)
            oto_json_write_null(w);
        else
            oto_json_write_i64(w, numbers[i].value);
    }
    oto_json_object_end(w);
}

// Largest first.
void oto_inspect_totals(struct oto_inspection *inspection)
{
    struct oto_column_sum *sums = (struct oto_column_sum *)(void *)inspection->totals.data;
    size_t count = inspection->totals.size / sizeof *sums;
    if (count)
        qsort(sums, count, sizeof *sums, compare_sums);
    if (inspection->options.json) {
        oto_inspect_name(inspection, "columns");
        oto_json_array_begin(&inspection->json);
        for (size_t i = 0; i < count; i++)
            write_sum_json(inspection, &sums[i]);
        oto_json_array_end(&inspection->json);
        return;
    }
    struct oto_text_table table;
    oto_text_table_init(&table, "column|" COUNT_TITLES);
    for (size_t i = 0; i < count; i++) {
        oto_text_table_cell(&table, "%s", sums[i].name);
        add_counts(&table, &sums[i], inspection->file_bytes);
    }
    enum oto_status status = oto_text_table_finish(&table, 2, &inspection->output);
    if (status < 0)
        inspection->json.status = status;
}
