// Changes bytes as protobuf, for entries whose input is one byte and then a message: whole fields
// are dropped, doubled, moved, renumbered, retyped or taken from elsewhere in the message, at any
// depth, and the lengths around them are put right. Half of the changes are libFuzzer's own.
#ifndef OTO_FUZZ_MUTATE_PROTOBUF_H
#define OTO_FUZZ_MUTATE_PROTOBUF_H
#ifdef OTO_FUZZ_MUTATORS

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

size_t LLVMFuzzerMutate(uint8_t *data, size_t size, size_t size_max);

#define MUTATE_FIELDS_MAX 512
#define MUTATE_DEPTH_MAX 24

struct mutate_field {
    const uint8_t *begin, *payload; // tag; what follows tag and length
    size_t payload_size;
    uint64_t tag;
};

struct mutate_message {
    struct mutate_field fields[MUTATE_FIELDS_MAX];
    size_t count;
};

static uint32_t mutate_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static int mutate_read_varint(const uint8_t **at, const uint8_t *end, uint64_t *ret)
{
    *ret = 0;
    for (unsigned shift = 0; *at < end && shift < 64; shift += 7) {
        uint8_t byte = *(*at)++;
        *ret |= (uint64_t)(byte & 127) << shift;
        if (byte < 128)
            return 1;
    }
    return 0;
}

static size_t mutate_put_varint(uint8_t *output, uint64_t value)
{
    size_t size = 0;
    for (; value >= 128; value >>= 7)
        output[size++] = (uint8_t)(value | 128);
    output[size++] = (uint8_t)value;
    return size;
}

// 1 when the bytes are a list of fields to their end.
static int mutate_split(const uint8_t *data, size_t size, struct mutate_message *m)
{
    const uint8_t *at = data, *end = data + size;
    for (m->count = 0; at < end; m->count++) {
        if (m->count == MUTATE_FIELDS_MAX)
            return 0;
        struct mutate_field *f = &m->fields[m->count];
        uint64_t length = 0;
        f->begin = at;
        if (!mutate_read_varint(&at, end, &f->tag) || f->tag >> 3 == 0)
            return 0;
        f->payload = at;
        switch (f->tag & 7) {
        case 0:
            if (!mutate_read_varint(&at, end, &length))
                return 0;
            length = 0;
            break;
        case 1:
            length = 8;
            break;
        case 2:
            if (!mutate_read_varint(&at, end, &length))
                return 0;
            f->payload = at;
            break;
        case 5:
            length = 4;
            break;
        default:
            return 0;
        }
        if (length > (uint64_t)(end - at))
            return 0;
        at += length;
        f->payload_size = (size_t)(at - f->payload);
    }
    return 1;
}

// --- output that is never too long ---

struct mutate_output {
    uint8_t *data;
    size_t size, room;
};

static void mutate_put(struct mutate_output *o, const void *data, size_t size)
{
    if (size > o->room - o->size)
        return;
    memcpy(o->data + o->size, data, size);
    o->size += size;
}

static void mutate_put_field(struct mutate_output *o, uint64_t tag, const uint8_t *payload,
                             size_t size)
{
    uint8_t head[20];
    size_t head_size = mutate_put_varint(head, tag);
    if ((tag & 7) == 2)
        head_size += mutate_put_varint(head + head_size, size);
    if (head_size + size > o->room - o->size)
        return;
    mutate_put(o, head, head_size);
    mutate_put(o, payload, size);
}

static void mutate_put_as_it_was(struct mutate_output *o, const struct mutate_field *f)
{
    mutate_put(o, f->begin, (size_t)(f->payload + f->payload_size - f->begin));
}

// A field of any depth of the whole message.
static struct mutate_field mutate_any_field(const uint8_t *data, size_t size, uint32_t *random)
{
    static struct mutate_message m;
    struct mutate_field found = {.begin = data, .payload = data};
    for (unsigned depth = 0; depth < MUTATE_DEPTH_MAX; depth++) {
        if (!mutate_split(data, size, &m) || m.count == 0)
            break;
        found = m.fields[mutate_random(random) % m.count];
        if ((found.tag & 7) != 2 || mutate_random(random) % 4 == 0)
            break;
        data = found.payload;
        size = found.payload_size;
    }
    return found;
}

struct mutate_whole {
    const uint8_t *data;
    size_t size;
    uint32_t *random;
};

static void mutate_one(const struct mutate_whole *w, const struct mutate_field *f,
                       struct mutate_output *o)
{
    static uint8_t scratch[1 << 16];
    uint32_t way = mutate_random(w->random) % 9, other = mutate_random(w->random);
    size_t size = f->payload_size < sizeof scratch / 2 ? f->payload_size : 0;
    switch (way) {
    case 0: // dropped
        return;
    case 1:
        mutate_put_as_it_was(o, f);
        mutate_put_as_it_was(o, f);
        return;
    case 2: // another number
        mutate_put_field(o, (f->tag & 7) | (uint64_t)(other % 20 + 1) << 3, f->payload,
                         f->payload_size);
        return;
    case 3: { // another type
        static const uint8_t types[] = {0, 1, 2, 5, 3, 4};
        mutate_put_field(o, (f->tag & ~7ull) | types[other % sizeof types], f->payload,
                         f->payload_size);
        return;
    }
    case 4: { // one from elsewhere, before it
        struct mutate_field from = mutate_any_field(w->data, w->size, w->random);
        mutate_put_as_it_was(o, &from);
        mutate_put_as_it_was(o, f);
        return;
    }
    case 5: { // its content from elsewhere
        struct mutate_field from = mutate_any_field(w->data, w->size, w->random);
        mutate_put_field(o, (f->tag & ~7ull) | (from.tag & 7), from.payload, from.payload_size);
        return;
    }
    case 6: { // a number at a limit
        static const uint64_t limits[] = {0,          1,         0x7f,       0x80,      UINT32_MAX,
                                          1ull << 32, INT64_MAX, 1ull << 63, UINT64_MAX};
        size = mutate_put_varint(scratch, limits[other % (sizeof limits / sizeof *limits)]);
        mutate_put_field(o, f->tag & ~7ull, scratch, size);
        return;
    }
    default: // its bytes, by libFuzzer
        memcpy(scratch, f->payload, size);
        size = LLVMFuzzerMutate(scratch, size, size + 64);
        mutate_put_field(o, f->tag, scratch, size);
        return;
    }
}

static void mutate_within(const struct mutate_whole *w, const uint8_t *data, size_t size,
                          unsigned depth, struct mutate_output *o)
{
    struct mutate_message *m = malloc(sizeof *m), *inner = malloc(sizeof *inner);
    if (!m || !inner)
        abort();
    if (!mutate_split(data, size, m) || m->count == 0) {
        mutate_put(o, data, size);
        m->count = 0;
    }
    size_t chosen = m->count ? mutate_random(w->random) % m->count : 0;
    int swap = chosen + 1 < m->count && mutate_random(w->random) % 8 == 0;
    if (swap) {
        struct mutate_field kept = m->fields[chosen];
        m->fields[chosen] = m->fields[chosen + 1];
        m->fields[chosen + 1] = kept;
    }
    for (size_t i = 0; i < m->count; i++) {
        const struct mutate_field *f = &m->fields[i];
        int down = depth < MUTATE_DEPTH_MAX && (f->tag & 7) == 2 && f->payload_size > 1 &&
                   mutate_random(w->random) % 8 != 0 &&
                   mutate_split(f->payload, f->payload_size, inner);
        if (i != chosen || swap) {
            mutate_put_as_it_was(o, f);
        } else if (down) {
            struct mutate_output below = {malloc(o->room), 0, o->room};
            if (!below.data)
                abort();
            mutate_within(w, f->payload, f->payload_size, depth + 1, &below);
            mutate_put_field(o, f->tag, below.data, below.size);
            free(below.data);
        } else {
            mutate_one(w, f, o);
        }
    }
    free(m);
    free(inner);
}

size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t size_max, unsigned seed)
{
    uint32_t random = seed;
    if (size < 2 || mutate_random(&random) % 2 == 0)
        return LLVMFuzzerMutate(data, size, size_max);
    struct mutate_whole whole = {data + 1, size - 1, &random};
    struct mutate_output o = {malloc(size_max), 1, size_max};
    if (!o.data)
        abort();
    o.data[0] = data[0];
    mutate_within(&whole, data + 1, size - 1, 0, &o);
    memcpy(data, o.data, o.size);
    free(o.data);
    return o.size;
}

#endif
#endif
