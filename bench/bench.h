// How the programs of this folder measure: one case after the other, each in rounds that do the
// same again. One JSON object a case on standard output.
//   PROGRAM [SECONDS]   the best round of each case: nanoseconds of processor time an item
//   PROGRAM --count     one round of each case, for callgrind: what it spends in bench_measured is
//                       the case's count, which it writes when bench_case_done is reached
//                       (bench/instructions.py)
// A round calls bench_measure for what counts, and may prepare and tidy up around it.
#ifndef OTO_BENCH_H
#define OTO_BENCH_H

#include "base/bytes.h"
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#ifdef __clang__
#define BENCH_AS_WRITTEN __attribute__((noinline))
#else
#define BENCH_AS_WRITTEN __attribute__((noipa)) // callgrind finds it by its name
#endif

struct bench {
    double seconds; // for each case
    int counting;   // one round under callgrind
    int warming;    // a round before, not measured
    uint64_t round_ns;
};

static inline struct bench bench_of(int argc, char **argv)
{
    struct bench b = {.seconds = 0.2};
    if (argc > 1 && strcmp(argv[1], "--count") == 0)
        b.counting = 1;
    else if (argc > 1)
        b.seconds = atof(argv[1]);
    return b;
}

static inline void bench_must(enum oto_status status)
{
    if (status >= 0)
        return;
    fprintf(stderr, "a benchmark failed: %s\n", oto_status_name(status));
    exit(1);
}

// A whole file; empty when it cannot be read. Ownership: the caller frees data.
static inline struct oto_bytes bench_read_file(const char *path)
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

static inline uint64_t bench_now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static BENCH_AS_WRITTEN void bench_measured(void (*run)(void *state), void *state)
{
    run(state);
}

static BENCH_AS_WRITTEN void bench_case_done(const char *name, uint64_t items)
{
    printf("{\"case\": \"%s\", \"items\": %llu}\n", name, (unsigned long long)items);
}

static inline void bench_measure(struct bench *b, void (*run)(void *state), void *state)
{
    uint64_t start = bench_now_ns();
    if (b->warming)
        run(state);
    else
        bench_measured(run, state);
    b->round_ns += bench_now_ns() - start;
}

// A case of so many items a round.
static inline void bench_case(struct bench *b, const char *name, uint64_t items,
                              void (*round)(struct bench *b, void *state), void *state)
{
    uint64_t begin = bench_now_ns(), best = UINT64_MAX;
    b->warming = 1; // pages, caches, and what is found out once a process
    round(b, state);
    b->warming = 0;
    do {
        b->round_ns = 0;
        round(b, state);
        best = b->round_ns < best ? b->round_ns : best;
    } while (!b->counting && (double)(bench_now_ns() - begin) < b->seconds * 1e9);
    if (b->counting)
        bench_case_done(name, items);
    else
        printf("{\"case\": \"%s\", \"ns_per_item\": %.3f}\n", name, (double)best / (double)items);
    fflush(stdout);
}

// The same for the many that prepare nothing.
struct bench_plain {
    void (*run)(void *state);
    void *state;
};

static inline void bench_plain_round(struct bench *b, void *state)
{
    struct bench_plain *plain = state;
    bench_measure(b, plain->run, plain->state);
}

static inline void bench_run(struct bench *b, const char *name, uint64_t items,
                             void (*run)(void *state), void *state)
{
    struct bench_plain plain = {run, state};
    bench_case(b, name, items, bench_plain_round, &plain);
}

static inline uint32_t bench_random(uint64_t *random)
{
    *random = *random * 6364136223846793005u + 1442695040888963407u;
    return (uint32_t)(*random >> 33);
}

#endif
