// folders: otlp
// Any bytes as an OTLP request of the signal that the first byte names: what is decoded of it,
// encoded and decoded again must be the same rows, and encoded once more the same bytes.
#include "../tests/unit/otlp/otlp_rows.h"
#include "mutate_protobuf.h"
#include "otlp/otlp_encode.h"
#include "segment.h"

#define RECEIVED_NS 1700000000123456789u

static enum oto_status decode(struct segment *s, enum oto_signal signal, struct oto_bytes message,
                              struct oto_otlp_result *result)
{
    struct oto_otlp_limits limits = {.depth_max = 20, .attributes_max = 1000};
    return oto_otlp_decode(s->decoder, signal, message, RECEIVED_NS, &limits, result, NULL);
}

static void encode(struct segment *s, enum oto_table table, uint32_t rows_max,
                   struct oto_buffer *output)
{
    struct oto_otlp_encode_limits limits = {.rows_max = rows_max, .bytes_max = 1u << 16};
    struct oto_otlp_encoder *e = oto_otlp_encoder_new(&oto_allocator_heap);
    struct oto_batch batch;
    must(e != NULL);
    must(oto_builder_view(&s->builders[table], &oto_allocator_heap, &batch) == OTO_OK);
    for (uint32_t first = 0, rows; first < batch.row_count; first += rows) {
        must(oto_otlp_encode(e, table, &batch, NULL, first, batch.row_count - first, &limits,
                             output, &rows, NULL) == OTO_OK);
        must(rows > 0 && rows <= rows_max);
    }
    oto_batch_release(&batch);
    oto_otlp_encoder_free(e);
}

static void same_rows(struct segment *a, struct segment *b, enum oto_table table)
{
    struct oto_batch one, other;
    must(oto_builder_view(&a->builders[table], &oto_allocator_heap, &one) == OTO_OK);
    must(oto_builder_view(&b->builders[table], &oto_allocator_heap, &other) == OTO_OK);
    must(rows_differ(&one, &other) == NULL);
    oto_batch_release(&one);
    oto_batch_release(&other);
}

static void circle(struct segment *s, struct segment *again, enum oto_signal signal,
                   uint32_t rows_max)
{
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        enum oto_table table = (enum oto_table)t;
        struct oto_buffer first, second;
        struct oto_otlp_result result;
        if (oto_table_signal(table) != signal)
            continue;
        oto_buffer_init(&first, &oto_allocator_heap, 1u << 28);
        oto_buffer_init(&second, &oto_allocator_heap, 1u << 28);
        encode(s, table, rows_max, &first);
        must(decode(again, signal, oto_buffer_view(&first), &result) == OTO_OK);
        must(result.rejected == 0 && result.utf8_repaired == 0);
        same_rows(s, again, table);
        encode(again, table, rows_max, &second);
        must(oto_bytes_equal(oto_buffer_view(&first), oto_buffer_view(&second)));
        segment_empty(again, signal);
        oto_buffer_release(&second);
        oto_buffer_release(&first);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oto_schemas *schemas;
    static struct segment segment, again;
    struct oto_otlp_result result;
    if (size == 0)
        return 0;
    if (!schemas)
        schemas = oto_schemas_new(&oto_allocator_heap, NULL, 0, NULL);
    enum oto_signal signal = (enum oto_signal)(data[0] % OTO_SIGNAL_COUNT);
    segment_open(&segment, schemas);
    segment_open(&again, schemas);
    if (decode(&segment, signal, oto_bytes(data + 1, size - 1), &result) == OTO_OK)
        circle(&segment, &again, signal, data[0] & 1 ? 8192 : 1);
    segment_empty(&segment, signal);
    return 0;
}
