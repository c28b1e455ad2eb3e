// Reads that the disk is asked for beforehand. A wait for a disk is short, but a search through two
// hundred files has as many one after the other.
#include "query_files.h"

#include "base/hash.h"
#include "os/file.h"
#include <string.h>

#define TYPE_BYTE_ARRAY 6
#define VALUES_MAX 8               // of one condition
#define CHUNK_BYTES_MAX (1u << 20) // of a chunk: what lies behind is asked for as it is read
#define BLOOM_BYTES 32

static void ask(int fd, uint64_t offset, uint64_t size)
{
    struct oto_file file = {fd};
    oto_file_read_ahead(&file, offset, size);
}

static void ask_chunk(int fd, const struct oto_parquet_reader *reader, uint32_t group,
                      uint32_t leaf)
{
    uint64_t begin, end;
    if (oto_parquet_chunk_range(reader, group, leaf, &begin, &end, NULL) != OTO_OK)
        return;
    ask(fd, begin, end - begin < CHUNK_BYTES_MAX ? end - begin : CHUNK_BYTES_MAX);
}

// The first condition that a filter tells of: where it fails, no other is looked at.
static const struct query_condition *find_condition(const struct oto_parquet_metadata *m,
                                                    const struct query_scan *scan,
                                                    uint32_t *ret_leaf)
{
    for (size_t i = 0; i < scan->count; i++) {
        const struct query_condition *c = &scan->conditions[i];
        const struct oto_parquet_node *leaf = c->is_range ? NULL : query_leaf_of(m, c);
        if (!leaf || leaf->physical != TYPE_BYTE_ARRAY)
            continue;
        *ret_leaf = leaf->leaf;
        return c;
    }
    return NULL;
}

void query_foresee_filters(const struct query_opened *file, const struct query_scan *scan)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(file->reader);
    uint32_t leaf;
    const struct query_condition *c = find_condition(m, scan, &leaf);
    size_t count = c ? c->value_count : 0;
    for (size_t i = 0; i < count && i < VALUES_MAX; i++) {
        uint64_t hash = oto_xxh64(c->values[i].data, c->values[i].size, 0), offset;
        for (uint32_t group = 0; group < m->group_count; group++)
            if (oto_parquet_bloom_told(file->reader, group, leaf, hash, &offset))
                ask(file->fd, offset, BLOOM_BYTES);
    }
}

void query_foresee_search(const struct query_opened *file, const struct query_scan *scan)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(file->reader);
    uint32_t leaf;
    if (!find_condition(m, scan, &leaf))
        return;
    ask(file->fd, 0, 4);
    ask(file->fd, file->size_bytes - m->footer_bytes, m->footer_bytes);
    for (uint32_t group = 0; group < m->group_count; group++)
        ask_chunk(file->fd, file->reader, group, leaf);
}

void query_foresee_columns(int fd, const struct oto_parquet_reader *reader, uint32_t group,
                           const struct oto_schema *schema)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    for (uint32_t i = 1; i < m->nodes[0].end; i = m->nodes[i].end)
        for (uint32_t f = 0; f < schema->field_count; f++) {
            if (!oto_bytes_equal_text(m->nodes[i].name, schema->fields[f]->name))
                continue;
            for (uint32_t node = i; node < m->nodes[i].end; node++)
                if (m->nodes[node].leaf != UINT32_MAX)
                    ask_chunk(fd, reader, group, m->nodes[node].leaf);
        }
}
