// folders: otlp
// How long OTLP requests take to become columns: replays a file of frames (big-endian u32 length,
// then the request) and prints JSON. Each round decodes the whole file into fresh builders; the
// best round counts.
//   bench_otlp_decode logs|traces|metrics FILE [ROUNDS]
#define _POSIX_C_SOURCE 199309L
#include "otlp/otlp_decode.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static double now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static struct oto_bytes read_file(const char *path)
{
    FILE *f = fopen(path, "rb");
    if (!f || fseek(f, 0, SEEK_END) != 0)
        return (struct oto_bytes){NULL, 0};
    long size = ftell(f);
    rewind(f);
    uint8_t *data = malloc((size_t)size);
    if (!data || fread(data, 1, (size_t)size, f) != (size_t)size)
        size = 0;
    fclose(f);
    return oto_bytes(data, (size_t)size);
}

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

static int decode_all(enum oto_signal signal, struct oto_bytes file,
                      const struct oto_schemas *schemas, struct round *r)
{
    static struct segment s;
    static int has_arena;
    struct oto_otlp_limits limits;
    struct oto_error err;
    oto_otlp_limits_default(&limits);
    oto_error_init(&err);
    memset(r, 0, sizeof *r);
    if (!has_arena++)
        oto_arena_init(&s.arena, &oto_allocator_heap, 512u << 20, SIZE_MAX);
    oto_arena_reset(&s.arena);
    if (segment_begin(&s, schemas) < 0)
        return -1;
    double start = now_ns();
    for (size_t at = 0; at + 4 <= file.size;) {
        uint32_t size = oto_load32_big(file.data + at);
        struct oto_otlp_result result;
        if (oto_otlp_decode(s.decoder, signal, oto_bytes(file.data + at + 4, size), 1, &limits,
                            &result, &err) < 0) {
            fprintf(stderr, "%s\n", err.message);
            return -1;
        }
        at += 4 + size;
        r->requests++;
        r->rows += result.accepted;
        r->rejected += result.rejected;
        s.rows += result.accepted;
        if (s.rows >= SEGMENT_ROWS) {
            oto_otlp_decoder_free(s.decoder);
            r->arena_bytes += s.arena.used_bytes;
            oto_arena_reset(&s.arena);
            if (segment_begin(&s, schemas) < 0)
                return -1;
        }
    }
    r->ns = now_ns() - start;
    r->arena_bytes += s.arena.used_bytes;
    oto_otlp_decoder_free(s.decoder);
    return 0;
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
    struct oto_bytes file = read_file(argv[2]);
    struct oto_schemas *schemas = oto_schemas_new(&oto_allocator_heap, NULL, 0, NULL);
    struct round best = {.ns = 1e300}, r;
    for (int i = 0; i < rounds; i++) {
        if (!schemas || decode_all((enum oto_signal)signal, file, schemas, &r) < 0)
            return 1;
        if (r.ns < best.ns)
            best = r;
    }
    double rows = (double)(best.rows ? best.rows : 1);
    printf("{\"signal\": \"%s\", \"requests\": %llu, \"rows\": %llu, \"rejected\": %llu, "
           "\"bytes_per_row\": %.1f, "
           "\"ns_per_row\": %.1f, \"memory_bytes_per_row\": %.1f}\n",
           names[signal], (unsigned long long)best.requests, (unsigned long long)best.rows,
           (unsigned long long)best.rejected, (double)file.size / rows, best.ns / rows,
           (double)best.arena_bytes / rows);
    oto_schemas_free(schemas);
    free((void *)(uintptr_t)file.data);
    return 0;
}
