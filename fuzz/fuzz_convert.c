// folders: convert
// Any bytes as the input of `otolith convert`: streams, requests, JSON documents, Parquet tables,
// compressed or not. First byte: format and framing; second: the signal; third: in which pieces the
// input comes. Its messages and its error may not depend on the pieces.
#define _GNU_SOURCE // memfd_create
#include "convert/convert_internal.h"
#include "otlp/otlp_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define PIECES_MAX 40
#define MESSAGES_MAX 1000
#define SIZE_MAX_WHOLE ((size_t)64 << 10) // what a socket takes without a reader

// What became of an input.
struct outcome {
    enum oto_status status;
    char message[OTO_ERROR_MESSAGE_MAX];
    uint64_t count;
    struct oto_buffer messages; // one behind the other
};

static void must(int condition)
{
    if (!condition)
        abort();
}

static struct oto_convert_options options_of(const uint8_t *head)
{
    return (struct oto_convert_options){
        .from = (enum oto_convert_format)(head[0] % 3),
        .read_framing = (enum oto_convert_framing)(head[0] / 3 % 3),
        .signal = (enum oto_signal)(head[1] % (OTO_CONVERT_SIGNAL_OF_INPUT + 1)),
        .to = OTO_CONVERT_OTLP,
        .output = "/dev/null",
    };
}

static struct oto_input input_of(int fd)
{
    return (struct oto_input){.fd = fd, .is_owned = 1, .name = "input"};
}

static struct oto_input whole(struct oto_bytes bytes)
{
    int fd = memfd_create("input", MFD_CLOEXEC);
    must(fd >= 0 && write(fd, bytes.data, bytes.size) == (ssize_t)bytes.size);
    must(lseek(fd, 0, SEEK_SET) == 0);
    struct oto_input input = input_of(fd);
    input.is_regular = 1;
    input.size_bytes = bytes.size;
    return input;
}

// A reader of such a socket gets a piece at a time.
static struct oto_input in_pieces(struct oto_bytes bytes, uint8_t seed)
{
    int ends[2];
    must(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends) == 0);
    uint32_t random = seed;
    for (int i = 0; bytes.size; i++) {
        random = random * 1664525u + 1013904223u;
        size_t size = 1 + (random >> 16) % (2 * bytes.size / PIECES_MAX + 2);
        if (i == PIECES_MAX || size > bytes.size)
            size = bytes.size;
        must(write(ends[1], bytes.data, size) == (ssize_t)size);
        bytes = oto_bytes(bytes.data + size, bytes.size - size);
    }
    must(close(ends[1]) == 0);
    return input_of(ends[0]);
}

static void keep(struct outcome *o, struct oto_bytes message)
{
    must(oto_buffer_append(&o->messages, message.data, message.size) == OTO_OK);
    o->count++;
}

static enum oto_status read_messages(struct oto_convert *c, struct oto_input input,
                                     struct outcome *o, struct oto_error *err)
{
    struct oto_convert_messages m;
    struct oto_bytes message;
    enum oto_status status = oto_convert_messages_open(&m, c, input, err);
    while (status == OTO_OK && o->count < MESSAGES_MAX) {
        status = oto_convert_messages_next(&m, &message, err);
        if (status == OTO_OK)
            keep(o, message);
    }
    oto_convert_messages_close(&m);
    return status;
}

// What is made of rows is OTLP that is taken again, or refused by name.
static enum oto_status read_table(struct oto_convert *c, struct oto_input input, struct outcome *o,
                                  struct oto_error *err)
{
    struct oto_convert_table t;
    struct oto_buffer json;
    struct oto_bytes message;
    oto_buffer_init(&json, &oto_allocator_heap, (size_t)1 << 26);
    enum oto_status status = oto_convert_table_open(&t, c, input, err);
    while (status == OTO_OK && o->count < MESSAGES_MAX) {
        status = oto_convert_table_next(&t, &message, err);
        if (status != OTO_OK)
            break;
        keep(o, message);
        json.size = 0;
        enum oto_status made = oto_otlp_protobuf_to_json(c->signal, message, &json, err);
        must(made == OTO_OK || made == OTO_INVALID || made == OTO_TOO_LARGE);
    }
    oto_buffer_release(&json);
    oto_convert_table_close(&t);
    return status;
}

static void run(const struct oto_convert_options *options, const struct oto_convert *shared,
                struct oto_input input, struct outcome *o)
{
    struct oto_convert_result result = {.messages = 0};
    struct oto_convert c = *shared;
    struct oto_error err;
    oto_error_init(&err);
    c.options = options;
    c.result = &result;
    c.signal = options->signal;
    *o = (struct outcome){.count = 0};
    oto_buffer_init(&o->messages, &oto_allocator_heap, (size_t)1 << 28);
    o->status = options->from == OTO_CONVERT_PARQUET ? read_table(&c, input, o, &err)
                                                     : read_messages(&c, input, o, &err);
    must(o->status >= 0 || (err.status == o->status && err.message[0]));
    memcpy(o->message, o->status < 0 ? err.message : "", o->status < 0 ? sizeof o->message : 1);
}

// What is wrong with the end of a compressed input may be seen before or after its first messages.
static int are_alike(const struct outcome *a, const struct outcome *b, int is_plain)
{
    if (!is_plain && (a->count == MESSAGES_MAX || b->count == MESSAGES_MAX))
        return 1;
    if (!is_plain && a->status < 0)
        return b->status < 0;
    return a->status == b->status && a->count == b->count && strcmp(a->message, b->message) == 0 &&
           oto_bytes_equal(oto_buffer_view(&a->messages), oto_buffer_view(&b->messages));
}

static void compare(const struct outcome *a, const struct outcome *b, int is_plain)
{
    if (are_alike(a, b, is_plain))
        return;
    (void)fprintf(stderr, "whole: %d, %llu messages, %s\nin pieces: %d, %llu messages, %s\n",
                  a->status, (unsigned long long)a->count, a->message, b->status,
                  (unsigned long long)b->count, b->message);
    abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct oto_convert shared;
    struct oto_error err;
    if (!shared.codec) {
        shared.codec = oto_codec_new(&oto_allocator_heap);
        shared.flat = oto_schemas_new_flat(&oto_allocator_heap, NULL, 0, &err);
        must(shared.codec && shared.flat);
    }
    if (size < 3 || size > SIZE_MAX_WHOLE)
        return 0;
    struct oto_convert_options options = options_of(data);
    struct oto_bytes bytes = oto_bytes(data + 3, size - 3);
    struct outcome one, other;
    run(&options, &shared, whole(bytes), &one);
    if (options.from != OTO_CONVERT_PARQUET) {
        run(&options, &shared, in_pieces(bytes, data[2]), &other);
        int is_plain = oto_convert_bytes_coding(bytes) == OTO_COMPRESSION_NONE;
        compare(&one, &other, is_plain);
        oto_buffer_release(&other.messages);
    }
    oto_buffer_release(&one.messages);
    return 0;
}
