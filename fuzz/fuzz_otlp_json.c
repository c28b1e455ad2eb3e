// folders: otlp
// Any bytes as OTLP/JSON, as JSON lines and as OTLP protobuf, for the signal that the first byte
// names. What was accepted must survive the way back and forth again, and what comes out must be
// JSON.
#include "otlp/otlp_json.h"
#include "wire/json.h"
#include <stdlib.h>

static void must(int condition)
{
    if (!condition)
        abort();
}

static void must_be_json(struct oto_bytes text)
{
    struct oto_json_reader r;
    oto_json_reader_init(&r, text, OTO_JSON_DEPTH_MAX);
    must(oto_json_skip(&r) == OTO_OK && oto_json_finish(&r) == OTO_OK);
}

// Protobuf -> JSON -> protobuf -> JSON: both texts must be equal. Deeper than the reader goes is no
// failure.
static void round_trip(enum oto_signal signal, struct oto_bytes message, int ours)
{
    struct oto_buffer json, again, json_again;
    struct oto_error err;
    oto_error_init(&err);
    oto_buffer_init(&json, &oto_allocator_heap, (size_t)1 << 26);
    oto_buffer_init(&again, &oto_allocator_heap, (size_t)1 << 26);
    oto_buffer_init(&json_again, &oto_allocator_heap, (size_t)1 << 26);
    enum oto_status status = oto_otlp_protobuf_to_json(signal, message, &json, &err);
    must(status == OTO_OK || status == OTO_INVALID || status == OTO_TOO_LARGE);
    must(!ours || status == OTO_OK || err.message[0] != 0);
    if (status == OTO_OK) {
        must_be_json(oto_buffer_view(&json));
        status = oto_otlp_json_to_protobuf(signal, oto_buffer_view(&json), NULL, &again, &err);
        must(status == OTO_OK || status == OTO_TOO_LARGE);
    }
    if (status == OTO_OK) {
        must(oto_otlp_protobuf_to_json(signal, oto_buffer_view(&again), &json_again, &err) ==
             OTO_OK);
        must(oto_bytes_equal(oto_buffer_view(&json), oto_buffer_view(&json_again)));
    }
    oto_buffer_release(&json);
    oto_buffer_release(&again);
    oto_buffer_release(&json_again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0)
        return 0;
    enum oto_signal signal = (enum oto_signal)(data[0] % OTO_SIGNAL_COUNT);
    struct oto_bytes input = oto_bytes(data + 1, size - 1);
    struct oto_buffer output;
    struct oto_error err;
    oto_error_init(&err);
    oto_buffer_init(&output, &oto_allocator_heap, (size_t)1 << 24);
    enum oto_status status = oto_otlp_json_to_protobuf(signal, input, NULL, &output, &err);
    must(status == OTO_OK || (output.size == 0 && err.message[0] && err.offset <= input.size &&
                              err.line && err.column));
    if (status == OTO_OK) {
        must_be_json(input);
        round_trip(signal, oto_buffer_view(&output), 1);
    }
    output.size = 0;
    status = oto_otlp_json_lines_to_protobuf(signal, input, NULL, &output, &err);
    must(status == OTO_OK || (output.size == 0 && err.offset <= input.size));
    oto_buffer_release(&output);
    round_trip(signal, input, 0);
    return 0;
}
