// OTLP/JSON from the outside, for the conformance tests:
//   otlp_json_tool to-protobuf|lines-to-protobuf|to-json logs|traces|metrics [--frames]   stdin ->
//   stdout otlp_json_tool schema the message table
// With --frames stdin is a stream of documents, each after its size (big-endian u32), and each
// answer is one byte (0 done, 1 refused), a size and the result or the error message. Without, a
// refusal is exit status 1 and a line on stderr.
#include "otlp/otlp_json.h"
#include "otlp/otlp_schema.h"
#include "wire/protobuf.h"
#include <stdio.h>
#include <stdlib.h>

#define SIZE_MAX_BYTES ((size_t)1 << 30)

typedef enum oto_status (*converter)(enum oto_signal, struct oto_bytes, struct oto_buffer *,
                                     struct oto_error *);

static enum oto_status to_protobuf(enum oto_signal signal, struct oto_bytes input,
                                   struct oto_buffer *output, struct oto_error *err)
{
    return oto_otlp_json_to_protobuf(signal, input, NULL, output, err);
}

static enum oto_status lines_to_protobuf(enum oto_signal signal, struct oto_bytes input,
                                         struct oto_buffer *output, struct oto_error *err)
{
    return oto_otlp_json_lines_to_protobuf(signal, input, NULL, output, err);
}

static int read_all(struct oto_buffer *b)
{
    uint8_t block[65536];
    size_t size;
    while ((size = fread(block, 1, sizeof block, stdin)) > 0)
        if (oto_buffer_append(b, block, size) != OTO_OK)
            return 0;
    return 1;
}

static void put_frame(int refused, struct oto_bytes bytes)
{
    uint8_t head[5] = {(uint8_t)refused};
    oto_store32_big(head + 1, (uint32_t)bytes.size);
    fwrite(head, 1, sizeof head, stdout);
    if (bytes.size)
        fwrite(bytes.data, 1, bytes.size, stdout);
}

// Each document in memory of its own, so that a sanitizer sees a read past its end.
static int run_frames(converter convert, enum oto_signal signal, struct oto_bytes input)
{
    for (size_t at = 0; at < input.size;) {
        size_t size = input.size - at >= 4 ? oto_load32_big(input.data + at) : SIZE_MAX;
        at += 4;
        if (size > input.size - at)
            return 2;
        uint8_t *document = malloc(size ? size : 1);
        if (!document)
            return 2;
        memcpy(document, input.data + at, size);
        struct oto_buffer output;
        struct oto_error err;
        oto_buffer_init(&output, &oto_allocator_heap, SIZE_MAX_BYTES);
        oto_error_init(&err);
        if (convert(signal, oto_bytes(document, size), &output, &err) == OTO_OK)
            put_frame(0, oto_buffer_view(&output));
        else
            put_frame(1, oto_bytes_text(err.message));
        oto_buffer_release(&output);
        free(document);
        at += size;
    }
    return 0;
}

static int run_one(converter convert, enum oto_signal signal, struct oto_bytes input)
{
    struct oto_buffer output;
    struct oto_error err;
    oto_buffer_init(&output, &oto_allocator_heap, SIZE_MAX_BYTES);
    oto_error_init(&err);
    enum oto_status status = convert(signal, input, &output, &err);
    if (status == OTO_OK && output.size)
        fwrite(output.data, 1, output.size, stdout);
    if (status != OTO_OK)
        fprintf(stderr, "%s at byte %llu (line %u, column %u): %s\n", oto_status_name(status),
                (unsigned long long)err.offset, err.line, err.column, err.message);
    oto_buffer_release(&output);
    return status != OTO_OK;
}

static void print_message(const struct oto_otlp_message *message, uint64_t *seen)
{
    static const char *const types[] = {"string",  "bytes",    "bytes",  "bool",   "int32",
                                        "uint32",  "int64",    "uint64", "sint32", "fixed32",
                                        "fixed64", "sfixed64", "double", "enum",   "message"};
    if (*seen >> message->index & 1)
        return;
    *seen |= (uint64_t)1 << message->index;
    for (int i = 0; i < message->field_count; i++) {
        const struct oto_otlp_field *f = message->fields + i;
        printf("%s %u %.*s %s%s %d %d %d %d", message->name, f->number, f->name_size, f->name,
               types[f->type], f->type == OTO_OTLP_ID ? "/hex" : "",
               (f->flags & OTO_OTLP_REPEATED) != 0, (f->flags & OTO_OTLP_PACKED) != 0,
               (f->flags & OTO_OTLP_PRESENCE) != 0, f->oneof);
        if (f->type == OTO_OTLP_MESSAGE)
            printf(" %s", f->message->name);
        if (f->type == OTO_OTLP_ENUM)
            for (uint32_t k = 0; k < f->names->count; k++)
                printf(" %s", f->names->names[k]);
        printf("\n");
    }
    for (int i = 0; i < message->field_count; i++)
        if (message->fields[i].type == OTO_OTLP_MESSAGE)
            print_message(message->fields[i].message, seen);
}

static int print_schema(void)
{
    uint64_t seen = 0;
    for (int signal = 0; signal < OTO_SIGNAL_COUNT; signal++)
        print_message(oto_otlp_request((enum oto_signal)signal), &seen);
    return 0;
}

int main(int argc, char **argv)
{
    static const char *const signals[] = {"logs", "traces", "metrics"};
    if (argc == 2 && strcmp(argv[1], "schema") == 0)
        return print_schema();
    converter convert = NULL;
    int signal = argc < 3 ? -1 : OTO_SIGNAL_COUNT - 1;
    while (signal >= 0 && strcmp(argv[2], signals[signal]) != 0)
        signal--;
    if (signal >= 0 && strcmp(argv[1], "to-protobuf") == 0)
        convert = to_protobuf;
    else if (signal >= 0 && strcmp(argv[1], "lines-to-protobuf") == 0)
        convert = lines_to_protobuf;
    else if (signal >= 0 && strcmp(argv[1], "to-json") == 0)
        convert = oto_otlp_protobuf_to_json;
    if (!convert)
        return fprintf(stderr,
                       "usage: %s to-protobuf|lines-to-protobuf|to-json SIGNAL [--frames]\n",
                       argv[0]),
               2;
    struct oto_buffer input;
    oto_buffer_init(&input, &oto_allocator_heap, SIZE_MAX_BYTES);
    if (!read_all(&input))
        return 2;
    int frames = argc > 3 && strcmp(argv[3], "--frames") == 0;
    int rc =
        (frames ? run_frames : run_one)(convert, (enum oto_signal)signal, oto_buffer_view(&input));
    oto_buffer_release(&input);
    return rc;
}
