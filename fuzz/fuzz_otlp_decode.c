// folders: otlp
// Any bytes as an OTLP request of the signal that the first byte names. Whatever comes of it,
// columns must fit their levels; a failure must leave the builders as they were; the same request
// again must give as many rows.
#include "mutate_protobuf.h"
#include "segment.h"

static void check_column(const struct oto_column *c, uint32_t length)
{
    must(c->length == length);
    for (uint32_t k = 0; k < c->child_count; k++)
        check_column(&c->children[k], c->offsets[length]);
    for (uint32_t i = c->window ? c->window_first : 0; c->dictionary && i < length; i++)
        must(((const uint32_t *)c->values)[i] < c->dictionary->count);
}

static void check_builder(const struct oto_builder *b)
{
    for (uint32_t f = 0; f < b->schema->field_count; f++)
        check_column(&b->columns[f], b->levels[b->schema->fields[f]->level].count);
    for (uint32_t l = 0; l + 1 < b->schema->level_count; l++)
        for (uint32_t i = 0; i < b->levels[l].count; i++)
            must(b->levels[l].link[i] < b->levels[l + 1].count);
}

static void decode_twice(struct oto_otlp_decoder *d, enum oto_signal signal,
                         struct oto_bytes message)
{
    struct oto_otlp_limits limits = {.depth_max = 20, .attributes_max = 50};
    struct oto_otlp_result first, second;
    struct oto_error err;
    static uint32_t before[SEGMENT_MARK_MAX], after[SEGMENT_MARK_MAX];
    size_t size = oto_otlp_mark_size(d, signal);
    oto_otlp_mark(d, signal, before);
    if (oto_otlp_decode(d, signal, message, 1, &limits, &first, &err) == OTO_OK) {
        must(oto_otlp_decode(d, signal, message, 1, &limits, &second, &err) == OTO_OK);
        must(first.accepted == second.accepted && first.rejected == second.rejected);
        must((first.rejected > 0) == (first.message[0] != 0));
    } else {
        oto_otlp_mark(d, signal, after);
        must(memcmp(before, after, size) == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oto_schemas *schemas;
    static struct segment segment;
    struct oto_promotion promotion = {"acme.tenant", 10000};
    if (size == 0)
        return 0;
    if (!schemas)
        schemas = oto_schemas_new(&oto_allocator_heap, &promotion, 1, NULL);
    enum oto_signal signal = (enum oto_signal)(data[0] % OTO_SIGNAL_COUNT);
    segment_open(&segment, schemas);
    decode_twice(segment.decoder, signal, oto_bytes(data + 1, size - 1));
    for (int t = 0; t < OTO_TABLE_COUNT; t++)
        if (oto_table_signal((enum oto_table)t) == signal)
            check_builder(&segment.builders[t]);
    segment_empty(&segment, signal);
    return 0;
}
