// Changes bytes as HTTP/2 frames, for an input of one byte and then frames: frames are dropped,
// doubled, moved, made up, given other types, flags and streams, or other payloads with the length
// put right. Half of the changes are libFuzzer's own.
#ifndef OTO_FUZZ_MUTATE_HTTP2_H
#define OTO_FUZZ_MUTATE_HTTP2_H
#ifdef OTO_FUZZ_MUTATORS

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

#define MUTATE_FRAMES_MAX 256
#define MUTATE_HEAD 9

struct mutate_frame {
    uint8_t head[MUTATE_HEAD];
    const uint8_t *payload;
    size_t size;
};

static uint32_t mutate_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static size_t mutate_split(const uint8_t *data, size_t size, struct mutate_frame *frames)
{
    size_t count = 0;
    while (size >= MUTATE_HEAD && count < MUTATE_FRAMES_MAX) {
        struct mutate_frame *f = &frames[count++];
        memcpy(f->head, data, MUTATE_HEAD);
        f->size = (size_t)data[0] << 16 | (size_t)data[1] << 8 | data[2];
        f->payload = data + MUTATE_HEAD;
        size -= MUTATE_HEAD;
        if (f->size > size)
            f->size = size;
        data = f->payload + f->size;
        size -= f->size;
    }
    return count;
}

static size_t mutate_join(const struct mutate_frame *frames, size_t count, uint8_t *output,
                          size_t room)
{
    size_t size = 0;
    for (size_t i = 0; i < count; i++) {
        const struct mutate_frame *f = &frames[i];
        if (MUTATE_HEAD + f->size > room - size)
            break;
        memcpy(output + size, f->head, MUTATE_HEAD);
        output[size] = (uint8_t)(f->size >> 16);
        output[size + 1] = (uint8_t)(f->size >> 8);
        output[size + 2] = (uint8_t)f->size;
        if (f->size)
            memcpy(output + size + MUTATE_HEAD, f->payload, f->size);
        size += MUTATE_HEAD + f->size;
    }
    return size;
}

// A frame of each type, with content that is nearly right.
static struct mutate_frame mutate_new_frame(uint32_t *random)
{
    static const uint8_t get[] = {0x82, 0x86, 0x84, 0x41, 1, 'x'};
    static const uint8_t post[] = {0x83, 0x86, 0x44, 2,   '/', 'a', 0x41, 1,    'x', 0x5f,
                                   16,   'a',  'p',  'p', 'l', 'i', 'c',  'a',  't', 'i',
                                   'o',  'n',  '/',  'g', 'r', 'p', 'c',  0x40, 2,   't',
                                   'e',  8,    't',  'r', 'a', 'i', 'l',  'e',  'r', 's'};
    static const uint8_t message[] = {0, 0, 0, 0, 2, 8, 1};
    static const uint8_t settings[] = {0, 4, 0, 0, 0, 1, 0, 5, 0, 0, 0x40, 0, 0, 1, 0, 0, 0, 0};
    static const uint8_t eight[8] = {0, 0, 1, 0, 0, 0, 0, 8};
    static const struct {
        uint8_t type, flags;
        const uint8_t *payload;
        size_t size;
    } kinds[] = {
        {1, 5, get, sizeof get},
        {1, 4, post, sizeof post},
        {1, 0, get, 3},
        {9, 4, get + 3, 3},
        {0, 1, message, sizeof message},
        {0, 0, message, 3},
        {4, 0, settings, sizeof settings},
        {4, 1, settings, 0},
        {8, 0, eight, 4},
        {3, 0, eight, 4},
        {6, 0, eight, 8},
        {7, 0, eight, 8},
        {2, 0, eight, 5},
        {5, 4, get, sizeof get},
        {0, 8, eight, 8},
        {42, 0, eight, 8},
    };
    size_t kind = mutate_random(random) % (sizeof kinds / sizeof *kinds);
    struct mutate_frame f = {.payload = kinds[kind].payload, .size = kinds[kind].size};
    f.head[3] = kinds[kind].type;
    f.head[4] = kinds[kind].flags;
    if (mutate_random(random) % 8)
        f.head[8] = (uint8_t)(mutate_random(random) % 8 | 1);
    if (f.head[3] == 4 || f.head[3] == 6 || f.head[3] == 7)
        f.head[8] = 0;
    return f;
}

static size_t mutate_frames(struct mutate_frame *frames, size_t count, uint32_t *random)
{
    static uint8_t scratch[1 << 16];
    size_t i = count ? mutate_random(random) % count : 0,
           j = count ? mutate_random(random) % count : 0;
    struct mutate_frame *f = &frames[i], kept = frames[j];
    uint32_t way = count ? mutate_random(random) % 9 : 8;
    switch (way) {
    case 0:
        memmove(f, f + 1, (count - i - 1) * sizeof *f);
        return count - 1;
    case 1: // two change places
        frames[j] = *f;
        *f = kept;
        return count;
    case 2:
        f->head[3] = (uint8_t)(mutate_random(random) % 12);
        return count;
    case 3:
        f->head[4] ^= (uint8_t)(1u << mutate_random(random) % 6);
        return count;
    case 4:
        f->head[8] = (uint8_t)(mutate_random(random) % 10);
        return count;
    case 5:
    case 6: {
        size_t size = f->size < sizeof scratch / 2 ? f->size : 0;
        if (size)
            memcpy(scratch, f->payload, size);
        f->size = LLVMFuzzerMutate(scratch, size, size + 64);
        f->payload = scratch;
        return count;
    }
    default: // one more: made up, or doubled
        if (count == MUTATE_FRAMES_MAX)
            return count;
        memmove(f + 1, f, (count - i) * sizeof *f);
        *f = way == 7 ? kept : mutate_new_frame(random);
        return count + 1;
    }
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    static struct mutate_frame frames[MUTATE_FRAMES_MAX + 1];
    uint32_t random = seed;
    if (size < 1 || mutate_random(&random) % 2 == 0)
        return LLVMFuzzerMutate(data, size, size_max);
    uint8_t *output = malloc(size_max);
    if (!output)
        abort();
    size_t count = mutate_frames(frames, mutate_split(data + 1, size - 1, frames), &random);
    size_t joined = mutate_join(frames, count, output, size_max - 1);
    memcpy(data + 1, output, joined);
    free(output);
    return joined + 1;
}

#endif
#endif
