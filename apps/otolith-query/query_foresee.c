// Reads that the disk is asked for beforehand. A wait for a disk is short, but a search through two
// hundred files has as many one after the other.
#include "query_files.h"

#include "os/file.h"

#define VALUES_MAX 8               // of one condition
#define CHUNK_BYTES_MAX (1u << 20) // of a chunk: what lies behind is asked for as it is read

static void ask(int fd, uint64_t offset, uint64_t size)
{
    struct oto_file file = {fd};
    if (size) // 0 would be the rest of the file
        oto_file_read_ahead(&file, offset, size);
}

static void ask_chunk(int fd, uint64_t offset, uint64_t size)
{
    ask(fd, offset, size < CHUNK_BYTES_MAX ? size : CHUNK_BYTES_MAX);
}

void query_foresee_filters(const struct query_opened *file, const struct query_scan *scan)
{
    uint32_t column;
    const struct query_condition *c = query_facts_filtered(file->facts, scan, &column);
    for (size_t i = 0; c && i < c->value_count && i < VALUES_MAX; i++)
        for (uint32_t group = 0; group < file->facts->group_count; group++) {
            const struct query_fact *fact = query_fact_of(file->facts, group, column);
            uint64_t hash;
            if (fact->bloom_bytes)
                ask(file->fd, query_fact_block(fact, c->values[i], &hash),
                    OTO_PARQUET_BLOOM_BLOCK_BYTES);
        }
}

void query_foresee_search(const struct query_opened *file, const struct query_scan *scan)
{
    const struct query_facts *facts = file->facts;
    uint32_t column;
    if (!query_facts_filtered(facts, scan, &column))
        return;
    ask(file->fd, 0, 4);
    ask(file->fd, file->size_bytes - facts->footer_bytes, facts->footer_bytes);
    for (uint32_t group = 0; group < facts->group_count; group++) {
        const struct query_fact *fact = query_fact_of(facts, group, column);
        ask_chunk(file->fd, fact->chunk_offset, fact->chunk_bytes);
    }
}

void query_foresee_columns(int fd, const struct oto_parquet_reader *reader, uint32_t group,
                           const struct oto_schema *schema)
{
    const struct oto_parquet_metadata *m = oto_parquet_metadata_of(reader);
    for (uint32_t i = 1; i < m->nodes[0].end; i = m->nodes[i].end)
        for (uint32_t f = 0; f < schema->field_count; f++) {
            if (!oto_bytes_equal_text(m->nodes[i].name, schema->fields[f]->name))
                continue;
            for (uint32_t node = i; node < m->nodes[i].end; node++) {
                uint64_t begin, end;
                uint32_t leaf = m->nodes[node].leaf;
                if (leaf != UINT32_MAX &&
                    oto_parquet_chunk_range(reader, group, leaf, &begin, &end, NULL) == OTO_OK)
                    ask_chunk(fd, begin, end - begin);
            }
        }
}
