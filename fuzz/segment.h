// A segment that many inputs share: making all tables and their decoder anew takes longer than
// most inputs do. It is emptied by rolling back, and made anew after SEGMENT_LIVES inputs.
// A finding that needs what earlier inputs left behind does not come again from its file alone:
// run it after others of the corpus (replay_<entry> FILE FILE…).
#ifndef OTO_FUZZ_SEGMENT_H
#define OTO_FUZZ_SEGMENT_H

#include "otlp/otlp_decode.h"
#include <stdlib.h>

#define SEGMENT_LIVES 64
#define SEGMENT_MARK_MAX 4096

struct segment {
    struct oto_arena arena;
    struct oto_builder builders[OTO_TABLE_COUNT];
    struct oto_otlp_decoder *decoder; // NULL: not made
    uint32_t empty[OTO_SIGNAL_COUNT][SEGMENT_MARK_MAX];
    unsigned lives;
};

static void must(int condition)
{
    if (!condition)
        abort();
}

static void segment_make(struct segment *s, const struct oto_schemas *schemas)
{
    struct oto_builder *list[OTO_TABLE_COUNT];
    oto_arena_init(&s->arena, &oto_allocator_heap, 1u << 16, 1u << 28);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        list[t] = &s->builders[t];
        must(oto_builder_init(list[t], oto_schemas_table(schemas, (enum oto_table)t), &s->arena, 1,
                              16, NULL) == OTO_OK);
        list[t]->has_windows = 1; // as the engine's
    }
    s->decoder = oto_otlp_decoder_new(&oto_allocator_heap, schemas, list);
    must(s->decoder != NULL);
    for (int i = 0; i < OTO_SIGNAL_COUNT; i++) {
        must(oto_otlp_mark_size(s->decoder, (enum oto_signal)i) <= sizeof s->empty[i]);
        oto_otlp_mark(s->decoder, (enum oto_signal)i, s->empty[i]);
    }
    s->lives = SEGMENT_LIVES;
}

// An empty segment; schemas must be the same each time.
static void segment_open(struct segment *s, const struct oto_schemas *schemas)
{
    if (s->decoder && s->lives-- == 0) {
        oto_otlp_decoder_free(s->decoder);
        oto_arena_release(&s->arena);
        s->decoder = NULL;
    }
    if (!s->decoder)
        segment_make(s, schemas);
}

static void segment_empty(struct segment *s, enum oto_signal signal)
{
    oto_otlp_rollback(s->decoder, signal, s->empty[signal]);
}

#endif
