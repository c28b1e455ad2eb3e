// folders: otlp
// OTLP/JSON to protobuf and back: MB of JSON a second on one core, as JSON. Without arguments it
// makes a logs document of about 10 MB; `bench_otlp_json logs|traces|metrics FILE [ROUNDS]` reads
// requests framed by big-endian u32 sizes. With 0 rounds it does each once, for counting
// instructions (bench.h).
#include "bench.h"
#include "otlp/otlp_json.h"

#define ROUNDS 15
#define MEMORY_MAX ((size_t)1 << 31)

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

struct work {
    enum oto_signal signal;
    struct oto_buffer frames, output, back;
    struct oto_bytes document;
};

static void run_to_protobuf(void *state)
{
    struct work *w = state;
    struct oto_error err;
    w->output.size = 0;
    if (oto_otlp_json_to_protobuf(w->signal, w->document, NULL, &w->output, &err) == OTO_OK)
        return;
    fprintf(stderr, "%s\n", err.message);
    exit(1);
}

static void run_to_json(void *state)
{
    struct work *w = state;
    w->back.size = 0;
    must(oto_otlp_protobuf_to_json(w->signal, oto_buffer_view(&w->output), &w->back, NULL));
}

// Seconds for all documents, one way.
static double run(struct work *w, int to_json)
{
    uint64_t spent = 0;
    for (size_t at = 0; at + 4 <= w->frames.size; at += 4 + w->document.size) {
        w->document = oto_bytes(w->frames.data + at + 4, oto_load32_big(w->frames.data + at));
        if (to_json)
            run_to_protobuf(w);
        uint64_t start = bench_now_ns();
        bench_measured(to_json ? run_to_json : run_to_protobuf, w);
        spent += bench_now_ns() - start;
    }
    return (double)spent / 1e9;
}

int main(int argc, char **argv)
{
    static const char *const signals[] = {"logs", "traces", "metrics"};
    static struct work w;
    int signal = 0, rounds = argc > 3 ? atoi(argv[3]) : ROUNDS;
    oto_buffer_init(&w.frames, &oto_allocator_heap, MEMORY_MAX);
    oto_buffer_init(&w.output, &oto_allocator_heap, MEMORY_MAX);
    oto_buffer_init(&w.back, &oto_allocator_heap, MEMORY_MAX);
    if (argc > 2) {
        while (signal < 2 && strcmp(signals[signal], argv[1]) != 0)
            signal++;
        read_frames(argv[2], &w.frames);
    } else {
        make_document(&w.frames);
        frame(&w.frames);
    }
    w.signal = (enum oto_signal)signal;
    double best = 1e9, best_back = 1e9;
    for (int i = 0; i < rounds || i == 0; i++) {
        double one = run(&w, 0);
        best = one < best ? one : best;
        if (rounds == 0)
            bench_case_done("to_protobuf", w.frames.size);
        one = run(&w, 1);
        best_back = one < best_back ? one : best_back;
    }
    if (rounds == 0)
        bench_case_done("to_json", w.frames.size);
    printf(
        "{\"bench\":\"otlp_json\",\"signal\":\"%s\",\"json_bytes\":%zu,\"to_protobuf_mb_s\":%.0f,"
        "\"to_json_mb_s\":%.0f,\"rounds\":%d,\"method\":\"best thread CPU time\"}\n",
        signals[signal], w.frames.size, (double)w.frames.size / best / 1e6,
        (double)w.frames.size / best_back / 1e6, rounds);
    oto_buffer_release(&w.frames);
    oto_buffer_release(&w.output);
    oto_buffer_release(&w.back);
    return 0;
}
