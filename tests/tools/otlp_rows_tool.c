// folders: otlp
// What the server makes of OTLP requests, as OTLP again, for the conformance tests:
//   otlp_rows_tool logs|traces|metrics    stdin -> stdout
// stdin is a stream of requests, each after its size (big-endian u32). Each answer is one byte (0
// taken, 1 refused), the numbers of items accepted and rejected and of texts repaired (big-endian
// u32), a size, and the rows as one request or the error's message.
#include "otlp/otlp_decode.h"
#include "otlp/otlp_encode.h"
#include <stdio.h>
#include <stdlib.h>

#define LIMIT ((size_t)1 << 30)

static void put(int refused, const struct oto_otlp_result *result, struct oto_bytes bytes)
{
    uint8_t head[17] = {(uint8_t)refused};
    oto_store32_big(head + 1, (uint32_t)result->accepted);
    oto_store32_big(head + 5, (uint32_t)result->rejected);
    oto_store32_big(head + 9, (uint32_t)result->utf8_repaired);
    oto_store32_big(head + 13, (uint32_t)bytes.size);
    fwrite(head, 1, sizeof head, stdout);
    if (bytes.size)
        fwrite(bytes.data, 1, bytes.size, stdout);
}

static enum oto_status encode(struct oto_builder *builder, enum oto_table table,
                              struct oto_buffer *output, struct oto_error *err)
{
    struct oto_otlp_encode_limits limits = {.rows_max = UINT32_MAX, .bytes_max = 1u << 29};
    struct oto_otlp_encoder *encoder = oto_otlp_encoder_new(&oto_allocator_heap);
    struct oto_batch batch;
    enum oto_status status = oto_builder_view(builder, &oto_allocator_heap, &batch);
    for (uint32_t first = 0, rows; status >= 0 && first < batch.row_count; first += rows)
        status = oto_otlp_encode(encoder, table, &batch, NULL, first, batch.row_count - first,
                                 &limits, output, &rows, err);
    oto_batch_release(&batch);
    oto_otlp_encoder_free(encoder);
    return status;
}

// The builders are new for each request, so that all its rows are its own.
static void answer(const struct oto_schemas *schemas, enum oto_signal signal,
                   struct oto_bytes request)
{
    struct oto_builder builders[OTO_TABLE_COUNT], *list[OTO_TABLE_COUNT];
    struct oto_otlp_limits limits;
    struct oto_otlp_result result = {0};
    struct oto_buffer output;
    struct oto_arena arena;
    struct oto_error err;
    oto_error_init(&err);
    oto_otlp_limits_default(&limits);
    oto_buffer_init(&output, &oto_allocator_heap, LIMIT);
    oto_arena_init(&arena, &oto_allocator_heap, 1u << 16, LIMIT);
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        list[t] = &builders[t];
        if (oto_builder_init(list[t], oto_schemas_table(schemas, (enum oto_table)t), &arena, 1, 16,
                             NULL) < 0)
            abort();
    }
    struct oto_otlp_decoder *decoder = oto_otlp_decoder_new(&oto_allocator_heap, schemas, list);
    enum oto_status status = oto_otlp_decode(decoder, signal, request, 1, &limits, &result, &err);
    for (int t = 0; t < OTO_TABLE_COUNT && status >= 0; t++)
        status = encode(list[t], (enum oto_table)t, &output, &err);
    put(status < 0, &result, status < 0 ? oto_bytes_text(err.message) : oto_buffer_view(&output));
    oto_otlp_decoder_free(decoder);
    oto_arena_release(&arena);
    oto_buffer_release(&output);
}

int main(int argc, char **argv)
{
    static const char *const signals[] = {"logs", "traces", "metrics"};
    struct oto_schemas *schemas = oto_schemas_new(&oto_allocator_heap, NULL, 0, NULL);
    int signal = argc == 2 ? OTO_SIGNAL_COUNT - 1 : -1;
    uint8_t head[4];
    while (signal >= 0 && strcmp(argv[1], signals[signal]) != 0)
        signal--;
    if (signal < 0 || !schemas)
        return fprintf(stderr, "usage: %s logs|traces|metrics\n", argv[0]), 2;
    while (fread(head, 1, sizeof head, stdin) == sizeof head) {
        size_t size = oto_load32_big(head);
        uint8_t *request = malloc(size ? size : 1); // of its own: sanitizers see its end
        if (!request || fread(request, 1, size, stdin) != size)
            return 2;
        answer(schemas, (enum oto_signal)signal, oto_bytes(request, size));
        free(request);
    }
    oto_schemas_free(schemas);
    return 0;
}
