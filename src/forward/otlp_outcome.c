#include "forward/otlp_outcome.h"

#include "base/text.h"
#include "base/utf8.h"
#include "wire/protobuf.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define DETAILS_MAX 8192
#define GRPC_FRAME_BYTES 5
#define RETRY_INFO "google.rpc.RetryInfo"

// gRPC status codes.
enum {
    GRPC_OK = 0,
    GRPC_CANCELLED = 1,
    GRPC_DEADLINE_EXCEEDED = 4,
    GRPC_RESOURCE_EXHAUSTED = 8,
    GRPC_ABORTED = 10,
    GRPC_OUT_OF_RANGE = 11,
    GRPC_UNAVAILABLE = 14,
    GRPC_DATA_LOSS = 15,
    GRPC_CODE_COUNT = 17,
};
static const char *const grpc_names[GRPC_CODE_COUNT] = {
    "OK",
    "CANCELLED",
    "UNKNOWN",
    "INVALID_ARGUMENT",
    "DEADLINE_EXCEEDED",
    "NOT_FOUND",
    "ALREADY_EXISTS",
    "PERMISSION_DENIED",
    "RESOURCE_EXHAUSTED",
    "FAILED_PRECONDITION",
    "ABORTED",
    "OUT_OF_RANGE",
    "UNIMPLEMENTED",
    "INTERNAL",
    "UNAVAILABLE",
    "DATA_LOSS",
    "UNAUTHENTICATED",
};

// --- texts ---

// Appends what can be shown of a text from the network.
static void add_text(struct oto_otlp_outcome *outcome, struct oto_bytes text)
{
    size_t size = strlen(outcome->message), room = sizeof(outcome->message) - 1;
    for (size_t i = 0; i < text.size && size < room; i++) {
        uint8_t byte = text.data[i];
        outcome->message[size++] = byte < ' ' || byte == 0x7f ? ' ' : (char)byte;
    }
    outcome->message[oto_utf8_valid_prefix(outcome->message, size)] = 0;
}

static void add_word(struct oto_otlp_outcome *outcome, const char *text)
{
    add_text(outcome, oto_bytes_text(text));
}

static int hex_value(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
                                  : -1;
}

// grpc-message has %XX for what a header cannot hold.
static void add_percent_encoded(struct oto_otlp_outcome *outcome, const char *text)
{
    uint8_t plain[sizeof(outcome->message)];
    size_t size = 0;
    for (; *text && size < sizeof(plain); text++) {
        int high = *text == '%' ? hex_value(text[1]) : -1;
        int low = high >= 0 ? hex_value(text[2]) : -1;
        plain[size++] = (uint8_t)(low >= 0 ? high << 4 | low : *text);
        text += low >= 0 ? 2 : 0;
    }
    add_text(outcome, oto_bytes(plain, size));
}

// --- messages ---

struct field {
    uint32_t number;
    int is_bytes;
    uint64_t value; // of a varint
    struct oto_bytes bytes;
};

// The next field that is a varint or bytes; others are skipped. 0 at the end or where it is broken.
static int next_field(struct oto_pb_cursor *c, struct field *field)
{
    uint32_t tag;
    while (oto_pb_tag(c, &tag) == OTO_OK) {
        field->number = tag >> 3;
        field->is_bytes = (tag & 7) == OTO_PB_BYTES;
        if (field->is_bytes)
            return oto_pb_bytes(c, &field->bytes) == OTO_OK;
        if ((tag & 7) == OTO_PB_VARINT)
            return oto_pb_varint(c, &field->value) == OTO_OK;
        if (oto_pb_skip(c, tag) < 0)
            return 0;
    }
    return 0;
}

// google.protobuf.Duration
static uint64_t read_duration_ms(struct oto_bytes message)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    struct field field;
    uint64_t ms = 0;
    while (next_field(&c, &field))
        if (!field.is_bytes && field.value < UINT32_MAX)
            ms += field.number == 1   ? field.value * 1000
                  : field.number == 2 ? (field.value + 999999) / 1000000
                                      : 0;
    return ms;
}

// google.protobuf.Any: *ret_found when it is a RetryInfo.
static void read_detail(struct oto_bytes message, int *ret_found, uint64_t *ret_ms)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    struct oto_bytes type = {NULL, 0}, value = {NULL, 0};
    struct field field;
    while (next_field(&c, &field))
        if (field.is_bytes)
            *(field.number == 1 ? &type : &value) = field.bytes;
    size_t name = strlen(RETRY_INFO);
    if (type.size < name || memcmp(type.data + type.size - name, RETRY_INFO, name) != 0)
        return;
    *ret_found = 1;
    c = oto_pb_cursor(value);
    while (next_field(&c, &field))
        if (field.number == 1 && field.is_bytes)
            *ret_ms = read_duration_ms(field.bytes);
}

// google.rpc.Status: its message is added, *ret_found says whether it has a RetryInfo.
static void read_status(struct oto_bytes message, struct oto_otlp_outcome *outcome, int with_text,
                        int *ret_found)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    struct field field;
    while (next_field(&c, &field)) {
        if (field.number == 2 && field.is_bytes && with_text)
            add_text(outcome, field.bytes);
        if (field.number == 3 && field.is_bytes)
            read_detail(field.bytes, ret_found, &outcome->wait_ms);
    }
}

// Export*ServiceResponse: partial_success {rejected_*, error_message}.
static void read_response(struct oto_bytes message, struct oto_otlp_outcome *outcome)
{
    struct oto_pb_cursor c = oto_pb_cursor(message);
    struct field field;
    while (next_field(&c, &field)) {
        if (field.number != 1 || !field.is_bytes)
            continue;
        struct oto_pb_cursor inner = oto_pb_cursor(field.bytes);
        while (next_field(&inner, &field)) {
            if (field.number == 1 && !field.is_bytes)
                outcome->rejected = field.value;
            if (field.number == 2 && field.is_bytes)
                add_text(outcome, field.bytes);
        }
    }
}

// --- verdicts ---

static int is_repeatable_http(int status)
{
    return status == 429 || status == 502 || status == 503 || status == 504;
}

static int has_type(const struct oto_otlp_answer *answer, const char *type)
{
    return answer->content_type && strncasecmp(answer->content_type, type, strlen(type)) == 0;
}

static void judge_http(const struct oto_otlp_answer *answer, struct oto_otlp_outcome *outcome)
{
    int found = 0;
    if (answer->http_status / 100 == 2) {
        if (has_type(answer, "application/x-protobuf"))
            read_response(answer->body, outcome);
        outcome->verdict = OTO_OTLP_TAKEN;
        return;
    }
    (void)snprintf(outcome->message, sizeof(outcome->message), "HTTP %d", answer->http_status);
    if (answer->body.size)
        add_word(outcome, ": ");
    if (has_type(answer, "application/x-protobuf"))
        read_status(answer->body, outcome, 1, &found);
    else
        add_text(outcome, answer->body);
    if (answer->retry_after_ms)
        outcome->wait_ms = answer->retry_after_ms;
    outcome->verdict = is_repeatable_http(answer->http_status) ? OTO_OTLP_REPEAT : OTO_OTLP_REFUSED;
}

// grpc-status-details-bin: base64 of a google.rpc.Status. Returns whether there is a RetryInfo.
static int read_details(const char *text, struct oto_otlp_outcome *outcome)
{
    uint8_t plain[DETAILS_MAX];
    size_t size, text_size = text ? strlen(text) : 0;
    int found = 0;
    if (text_size && 3 * (text_size + 3) / 4 <= sizeof(plain) &&
        oto_base64_decode(oto_bytes(text, text_size), plain, &size) == OTO_OK)
        read_status(oto_bytes(plain, size), outcome, 0, &found);
    return found;
}

static int is_repeatable_grpc(long code, int has_retry_info)
{
    switch (code) {
    case GRPC_CANCELLED:
    case GRPC_DEADLINE_EXCEEDED:
    case GRPC_ABORTED:
    case GRPC_OUT_OF_RANGE:
    case GRPC_UNAVAILABLE:
    case GRPC_DATA_LOSS:
        return 1;
    case GRPC_RESOURCE_EXHAUSTED:
        return has_retry_info;
    default:
        return 0;
    }
}

// An answer that gRPC's own rules do not cover: a proxy's, or of a server that is something else.
static void judge_no_grpc(const struct oto_otlp_answer *answer, struct oto_otlp_outcome *outcome)
{
    if (answer->http_status == 200 && has_type(answer, "application/grpc")) {
        add_word(outcome, "the answer broke off: it has no grpc-status");
        outcome->verdict = OTO_OTLP_REPEAT;
        return;
    }
    outcome->verdict = is_repeatable_http(answer->http_status) ? OTO_OTLP_REPEAT : OTO_OTLP_REFUSED;
    (void)snprintf(outcome->message, sizeof(outcome->message), "HTTP %d, and no gRPC answer",
                   answer->http_status);
    outcome->wait_ms = answer->retry_after_ms;
}

static void judge_grpc(const struct oto_otlp_answer *answer, struct oto_otlp_outcome *outcome)
{
    char *end = NULL;
    long code = answer->grpc_status ? strtol(answer->grpc_status, &end, 10) : -1;
    if (code < 0 || !end || *end) {
        judge_no_grpc(answer, outcome);
        return;
    }
    if (code == GRPC_OK) {
        if (answer->body.size >= GRPC_FRAME_BYTES && answer->body.data[0] == 0)
            read_response(oto_bytes(answer->body.data + GRPC_FRAME_BYTES,
                                    answer->body.size - GRPC_FRAME_BYTES),
                          outcome);
        outcome->verdict = OTO_OTLP_TAKEN;
        return;
    }
    if (code < GRPC_CODE_COUNT)
        add_word(outcome, grpc_names[code]);
    else
        (void)snprintf(outcome->message, sizeof(outcome->message), "gRPC status %ld", code);
    if (answer->grpc_message && *answer->grpc_message) {
        add_word(outcome, ": ");
        add_percent_encoded(outcome, answer->grpc_message);
    }
    int has_retry_info = read_details(answer->grpc_details, outcome);
    outcome->verdict =
        is_repeatable_grpc(code, has_retry_info) ? OTO_OTLP_REPEAT : OTO_OTLP_REFUSED;
}

void oto_otlp_outcome_of(enum oto_otlp_transport transport, const struct oto_otlp_answer *answer,
                         struct oto_otlp_outcome *ret_outcome)
{
    struct oto_otlp_outcome outcome = {.verdict = OTO_OTLP_REFUSED};
    if (answer->network_error) {
        add_word(&outcome, answer->network_error);
        outcome.verdict = answer->is_final ? OTO_OTLP_REFUSED : OTO_OTLP_REPEAT;
    } else if (transport == OTO_OTLP_TRANSPORT_GRPC)
        judge_grpc(answer, &outcome);
    else
        judge_http(answer, &outcome);
    *ret_outcome = outcome;
}
