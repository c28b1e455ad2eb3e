// Rows in memory: the builders of all tables in one arena.
#include "engine/engine_internal.h"

#include <stdlib.h>

// The reserve of a column that never gets rows costs address space only; the arena's own limit must
// leave room for it.
#define COLUMNS_MAX 512u

// Columns begin with a part of a segment's rows. By the time they are full, the segment before is
// in files most often, and its arrays, whose pages the system has given already, are in the pool.
// An eighth more than full: the last request may come out larger.
static enum oto_status init_builders(struct oto_segment *segment)
{
    struct oto_engine *engine = segment->engine;
    struct oto_builder *builders[OTO_TABLE_COUNT];
    uint32_t full = engine->options.flush_rows, rows = (full + full / 8) / OTO_ROWS_GROWTH + 1;
    for (int i = 0; i < OTO_TABLE_COUNT; i++) {
        const struct oto_schema *schema = oto_schemas_table(engine->schemas, (enum oto_table)i);
        builders[i] = &segment->builders[i];
        OTO_TRY(
            oto_builder_init(builders[i], schema, &segment->arena, engine->hash_seed, rows, NULL));
        builders[i]->has_windows = 1;
    }
    segment->decoder = oto_otlp_decoder_new(&oto_allocator_heap, engine->schemas, builders);
    return segment->decoder ? OTO_OK : OTO_NO_MEMORY;
}

struct oto_segment *oto_segment_new(struct oto_engine *engine, uint32_t shard, uint64_t first_seq)
{
    struct oto_segment *segment = calloc(1, sizeof *segment);
    if (!segment)
        return NULL;
    atomic_store(&segment->refs, 1);
    segment->engine = engine;
    segment->shard = shard;
    segment->first_seq = first_seq;
    segment->last_seq = first_seq - 1;
    uint64_t slack = (uint64_t)engine->options.flush_rows * 8 * COLUMNS_MAX;
    oto_arena_init(&segment->arena, &engine->arena_allocator, OTO_PAGE_POOL_BLOCK_BYTES,
                   (size_t)(engine->budget_bytes + slack));
    if (init_builders(segment) < 0) {
        oto_segment_unref(segment);
        return NULL;
    }
    return segment;
}

void oto_segment_ref(struct oto_segment *segment)
{
    atomic_fetch_add(&segment->refs, 1);
}

void oto_segment_unref(struct oto_segment *segment)
{
    if (!segment || atomic_fetch_sub(&segment->refs, 1) > 1)
        return;
    for (int i = 0; i < OTO_TABLE_COUNT; i++) {
        for (struct oto_hot_piece *piece = segment->pieces[i], *next; piece; piece = next) {
            next = piece->next;
            oto_hot_piece_unref(piece);
        }
    }
    oto_segment_seal(segment);
    oto_arena_release(&segment->arena);
    atomic_fetch_sub(&segment->engine->memory_bytes, segment->counted_bytes);
    free(segment);
}

void oto_segment_seal(struct oto_segment *segment)
{
    oto_otlp_decoder_free(segment->decoder);
    segment->decoder = NULL;
}

// Of a value, or of what stands for it: codes and offsets have four bytes.
static size_t width_of(const struct oto_field *field)
{
    size_t width = oto_field_width(field);
    return width ? width : sizeof(uint32_t);
}

// Bytes that a builder reserved and has not touched.
static uint64_t untouched_bytes(const struct oto_builder *b)
{
    uint64_t bytes = (uint64_t)(b->levels[0].capacity - b->levels[0].count) * sizeof(uint32_t);
    for (uint32_t i = 0; i < b->node_count; i++) {
        const struct oto_column *column = &b->columns[i];
        if (column->capacity > column->length)
            bytes += (uint64_t)(column->capacity - column->length) * width_of(column->field);
    }
    for (uint32_t i = 0; i < b->dictionary_count; i++) {
        const struct oto_dictionary *d = &b->dictionaries[i];
        bytes += (uint64_t)(d->capacity - d->count) * sizeof *d->entries;
    }
    return bytes;
}

void oto_segment_count_bytes(struct oto_segment *segment)
{
    uint64_t bytes = segment->arena.used_bytes;
    for (int i = 0; i < OTO_TABLE_COUNT; i++) {
        uint64_t untouched = untouched_bytes(&segment->builders[i]);
        bytes -= untouched < bytes ? untouched : bytes;
    }
    atomic_fetch_add(&segment->engine->memory_bytes, bytes - segment->counted_bytes);
    segment->counted_bytes = bytes;
}

int oto_segment_is_full(const struct oto_segment *segment)
{
    const struct oto_engine_options *options = &segment->engine->options;
    int full = segment->counted_bytes >= options->flush_bytes ||
               segment->shared_values >= OTO_ENGINE_SHARED_VALUES_MAX;
    for (int i = 0; i < OTO_TABLE_COUNT; i++)
        full |= segment->rows[i] >= options->flush_rows;
    return full;
}

int oto_segment_has_rows(const struct oto_segment *segment)
{
    uint32_t rows = 0;
    for (int i = 0; i < OTO_TABLE_COUNT; i++)
        rows |= segment->rows[i];
    return rows != 0;
}

enum oto_status oto_segment_view(struct oto_segment *segment, uint32_t tables,
                                 struct oto_segment_view *ret_view)
{
    *ret_view = (struct oto_segment_view){.segment = segment};
    oto_segment_ref(segment);
    for (int i = 0; i < OTO_TABLE_COUNT; i++) {
        if (!(tables & (1u << i)) || segment->committed_rows[i] == 0)
            continue;
        if (oto_builder_view(&segment->builders[i], &oto_allocator_heap, &ret_view->batches[i]) <
            0) {
            oto_segment_view_release(ret_view);
            return OTO_NO_MEMORY;
        }
        ret_view->rows[i] = segment->committed_rows[i];
    }
    return OTO_OK;
}

void oto_segment_view_release(struct oto_segment_view *view)
{
    for (int i = 0; i < OTO_TABLE_COUNT; i++)
        if (view->rows[i])
            oto_batch_release(&view->batches[i]);
    if (view->counted)
        atomic_fetch_sub(&view->segment->views, 1);
    oto_segment_unref(view->segment);
    *view = (struct oto_segment_view){0};
}
