// folders: otlp
// How long OTLP requests take to become columns: replays a file of frames (big-endian u32 length,
// then the request) and prints JSON. Each round decodes the whole file into fresh builders; the
// best round counts. With 0 rounds it decodes once, for counting instructions (bench.h).
//   bench_otlp_decode logs|traces|metrics FILE [ROUNDS]
#include "bench.h"
#include "otlp/otlp_decode.h"

struct round {
    double ns;
    uint64_t requests;
    uint64_t rows;
    uint64_t rejected;
    uint64_t arena_bytes;
};

// Every SEGMENT_ROWS rows new builders are begun, as a flush does, in memory that stays mapped: the
// first round pays for page faults, the best one does not.
#define SEGMENT_ROWS 65536
#define ROWS_RESERVE (SEGMENT_ROWS + 8192) // as the engine: columns of rows never grow

struct segment {
    struct oto_arena arena;
    struct oto_builder builders[OTO_TABLE_COUNT];
    struct oto_otlp_decoder *decoder;
    uint64_t rows;
};

static int segment_begin(struct segment *s, const struct oto_schemas *schemas)
{
    struct oto_builder *list[OTO_TABLE_COUNT];
    s->rows = 0;
    for (int t = 0; t < OTO_TABLE_COUNT; t++) {
        list[t] = &s->builders[t];
        if (oto_builder_init(list[t], oto_schemas_table(schemas, (enum oto_table)t), &s->arena, 1,
                             ROWS_RESERVE, NULL) < 0)
            return -1;
    }
    s->decoder = oto_otlp_decoder_new(&oto_allocator_heap, schemas, list);
    return s->decoder ? 0 : -1;
}

struct replay {
    struct segment segment;
    enum oto_signal signal;
    struct oto_bytes file;
    const struct oto_schemas *schemas;
    struct round round;
    int failed;
};

static int decode_one(struct replay *p, struct oto_bytes request)
{
    struct oto_otlp_limits limits;
    struct oto_otlp_result result;
    struct oto_error err;
    oto_otlp_limits_default(&limits);
    if (oto_otlp_decode(p->segment.decoder, p->signal, request, 1, &limits, &result, &err) < 0) {
        fprintf(stderr, "%s\n", err.message);
        return -1;
    }
    p->round.requests++;
    p->round.rows += result.accepted;
    p->round.rejected += result.rejected;
    p->segment.rows += result.accepted;
    if (p->segment.rows < SEGMENT_ROWS)
        return 0;
    oto_otlp_decoder_free(p->segment.decoder);
    p->round.arena_bytes += p->segment.arena.used_bytes;
    oto_arena_reset(&p->segment.arena);
    return segment_begin(&p->segment, p->schemas);
}

static void run_decode(void *state)
{
    struct replay *p = state;
    for (size_t at = 0; at + 4 <= p->file.size && !p->failed;) {
        uint32_t size = oto_load32_big(p->file.data + at);
        p->failed = decode_one(p, oto_bytes(p->file.data + at + 4, size)) < 0;
        at += 4 + size;
    }
}

static int decode_all(struct replay *p)
{
    memset(&p->round, 0, sizeof p->round);
    oto_arena_reset(&p->segment.arena);
    if (segment_begin(&p->segment, p->schemas) < 0)
        return -1;
    uint64_t start = bench_now_ns();
    bench_measured(run_decode, p);
    p->round.ns = (double)(bench_now_ns() - start);
    p->round.arena_bytes += p->segment.arena.used_bytes;
    oto_otlp_decoder_free(p->segment.decoder);
    return p->failed ? -1 : 0;
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"logs", "traces", "metrics"};
    int signal = 0, rounds = argc > 3 ? atoi(argv[3]) : 10;
    while (argc > 2 && signal < OTO_SIGNAL_COUNT && strcmp(argv[1], names[signal]) != 0)
        signal++;
    if (argc < 3 || signal == OTO_SIGNAL_COUNT) {
        fprintf(stderr, "usage: %s logs|traces|metrics FILE [ROUNDS]\n", argv[0]);
        return 2;
    }
    static struct replay p;
    struct round best = {.ns = 1e300};
    struct oto_schemas *schemas = oto_schemas_new(&oto_allocator_heap, NULL, 0, NULL);
    p.file = bench_read_file(argv[2]);
    p.schemas = schemas;
    p.signal = (enum oto_signal)signal;
    oto_arena_init(&p.segment.arena, &oto_allocator_heap, 512u << 20, SIZE_MAX);
    for (int i = 0; i < rounds || i == 0; i++) {
        if (!schemas || decode_all(&p) < 0)
            return 1;
        if (p.round.ns < best.ns)
            best = p.round;
    }
    if (rounds == 0)
        bench_case_done("decode", best.rows);
    double rows = (double)(best.rows ? best.rows : 1);
    printf("{\"signal\": \"%s\", \"requests\": %llu, \"rows\": %llu, \"rejected\": %llu, "
           "\"bytes_per_row\": %.1f, "
           "\"ns_per_row\": %.1f, \"memory_bytes_per_row\": %.1f}\n",
           names[signal], (unsigned long long)best.requests, (unsigned long long)best.rows,
           (unsigned long long)best.rejected, (double)p.file.size / rows, best.ns / rows,
           (double)best.arena_bytes / rows);
    oto_schemas_free(schemas);
    free((void *)(uintptr_t)p.file.data);
    return 0;
}
