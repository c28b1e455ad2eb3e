// folders: otlp
// OTLP/JSON to protobuf and back: MB of JSON a second on one core, as JSON. Without arguments it
// makes a logs document of about 10 MB; `bench_otlp_json logs|traces|metrics FILE` reads requests
// framed by big-endian u32 sizes.
#define _GNU_SOURCE
#include "otlp/otlp_json.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define ROUNDS 15
#define MEMORY_MAX ((size_t)1 << 31)

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void must(enum oto_status status)
{
    if (status >= 0)
        return;
    fprintf(stderr, "%s\n", oto_status_name(status));
    exit(1);
}

static void add_record(struct oto_buffer *b, unsigned i)
{
    char body[128];
    if (i % 3)
        snprintf(body, sizeof body, "GET /api/v1/orders/%u took %u ms", i * 7919u % 100000u,
                 i % 997u);
    else
        snprintf(body, sizeof body, "connection %u to \\\"db-%u\\\" closed", i, i % 997u);
    must(oto_buffer_append_format(
        b,
        "%s{\"timeUnixNano\":\"17835048%011u\",\"observedTimeUnixNano\":\"17835048%011u\","
        "\"severityNumber\":%u,"
        "\"severityText\":\"INFO\",\"body\":{\"stringValue\":\"%s\"},\"attributes\":["
        "{\"key\":\"http.request.method\",\"value\":{\"stringValue\":\"GET\"}},"
        "{\"key\":\"http.response.status_code\",\"value\":{\"intValue\":\"%u\"}},"
        "{\"key\":\"url.path\",\"value\":{\"stringValue\":\"/api/v1/orders/%u\"}},"
        "{\"key\":\"thread.name\",\"value\":{\"stringValue\":\"worker-%u\"}},"
        "{\"key\":\"request.id\",\"value\":{\"stringValue\":\"%016x\"}}],"
        "\"flags\":1,\"traceId\":\"%08x%08x%08x%08x\",\"spanId\":\"%08x%08x\"}",
        i % 512 ? "," : "", i * 1000, i * 1000 + 17, i % 24 + 1, body, 200 + i % 5 * 50, i % 64,
        i % 16, i * 2654435761u, i, ~i, i * 40503u, i * 2654435761u, i * 69069u, i));
}

static void make_document(struct oto_buffer *b)
{
    must(oto_buffer_append_format(b, "{\"resourceLogs\":["));
    for (unsigned i = 0; b->size < 10000000; i++) {
        if (i % 512 == 0)
            must(oto_buffer_append_format(
                b,
                "%s{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"value\":{"
                "\"stringValue\":\"shop-%u\"}}]},"
                "\"scopeLogs\":[{\"scope\":{\"name\":\"bench\"},\"logRecords\":[",
                i ? "]}]}," : "", i / 512 % 8));
        add_record(b, i);
    }
    must(oto_buffer_append_format(b, "]}]}]}"));
}

// Framed as read from a file, or the one made document.
static void read_frames(const char *path, struct oto_buffer *b)
{
    uint8_t block[65536];
    size_t size;
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        exit(1);
    }
    while ((size = fread(block, 1, sizeof block, file)) > 0)
        must(oto_buffer_append(b, block, size));
    fclose(file);
}

static void frame(struct oto_buffer *b)
{
    uint8_t head[4];
    oto_store32_big(head, (uint32_t)b->size);
    must(oto_buffer_append(b, head, 4));
    memmove(b->data + 4, b->data, b->size - 4);
    memcpy(b->data, head, 4);
}

static double run(enum oto_signal signal, struct oto_bytes frames, struct oto_buffer *output,
                  struct oto_buffer *back)
{
    double start = now(), spent = 0;
    for (size_t at = 0; at + 4 <= frames.size;) {
        struct oto_bytes document =
            oto_bytes(frames.data + at + 4, oto_load32_big(frames.data + at));
        struct oto_error err;
        output->size = 0;
        start = now();
        if (back) {
            must(oto_otlp_json_to_protobuf(signal, document, NULL, output, NULL));
            back->size = 0;
            start = now();
            must(oto_otlp_protobuf_to_json(signal, oto_buffer_view(output), back, &err));
        } else if (oto_otlp_json_to_protobuf(signal, document, NULL, output, &err) != OTO_OK) {
            fprintf(stderr, "%s\n", err.message);
            exit(1);
        }
        spent += now() - start;
        at += 4 + document.size;
    }
    return spent;
}

int main(int argc, char **argv)
{
    static const char *const signals[] = {"logs", "traces", "metrics"};
    struct oto_buffer frames, output, back;
    oto_buffer_init(&frames, &oto_allocator_heap, MEMORY_MAX);
    oto_buffer_init(&output, &oto_allocator_heap, MEMORY_MAX);
    oto_buffer_init(&back, &oto_allocator_heap, MEMORY_MAX);
    int signal = 0;
    if (argc == 3) {
        while (signal < 2 && strcmp(signals[signal], argv[1]) != 0)
            signal++;
        read_frames(argv[2], &frames);
    } else {
        make_document(&frames);
        frame(&frames);
    }
    double best = 1e9, best_back = 1e9;
    for (int i = 0; i < ROUNDS; i++) {
        double one = run((enum oto_signal)signal, oto_buffer_view(&frames), &output, NULL);
        best = one < best ? one : best;
        one = run((enum oto_signal)signal, oto_buffer_view(&frames), &output, &back);
        best_back = one < best_back ? one : best_back;
    }
    printf(
        "{\"bench\":\"otlp_json\",\"signal\":\"%s\",\"json_bytes\":%zu,\"to_protobuf_mb_s\":%.0f,"
        "\"to_json_mb_s\":%.0f,\"rounds\":%d,\"method\":\"best thread CPU time\"}\n",
        signals[signal], frames.size, (double)frames.size / best / 1e6,
        (double)frames.size / best_back / 1e6, ROUNDS);
    oto_buffer_release(&frames);
    oto_buffer_release(&output);
    oto_buffer_release(&back);
    return 0;
}
