// OTLP's answers: small messages, written field by field.
#include "otlp/otlp_response.h"
#include "base/json_text.h"
#include "base/text.h"
#include "wire/protobuf.h"

#define RETRY_INFO "type.googleapis.com/google.rpc.RetryInfo"
#define BAD_REQUEST "type.googleapis.com/google.rpc.BadRequest"

// partial_success: {1 rejected_<items>, 2 error_message}
static enum oto_status partial_protobuf(uint64_t rejected, struct oto_bytes message,
                                        struct oto_buffer *output)
{
    size_t mark;
    OTO_TRY(oto_pb_message_begin(output, 1, &mark));
    if (rejected)
        OTO_TRY(oto_pb_write_uint(output, 1, rejected));
    if (message.size)
        OTO_TRY(oto_pb_write_bytes(output, 2, message));
    return oto_pb_message_end(output, mark);
}

static enum oto_status partial_json(enum oto_signal signal, uint64_t rejected,
                                    struct oto_bytes message, struct oto_buffer *output)
{
    static const char *const names[] = {"rejectedLogRecords", "rejectedSpans",
                                        "rejectedDataPoints"};
    char digits[OTO_TEXT_I64_MAX + 1];
    int size = (int)oto_text_from_u64(rejected, digits);
    OTO_TRY(oto_buffer_append_format(output, "{\"partialSuccess\":{"));
    if (rejected)
        OTO_TRY(oto_buffer_append_format(output, "\"%s\":\"%.*s\"", names[signal], size, digits));
    if (message.size) {
        OTO_TRY(oto_buffer_append_format(output, "%s\"errorMessage\":", rejected ? "," : ""));
        OTO_TRY(oto_json_escape(output, message));
    }
    return oto_buffer_append(output, "}}", 2);
}

enum oto_status oto_otlp_write_response(enum oto_otlp_encoding encoding, enum oto_signal signal,
                                        uint64_t rejected, const char *message,
                                        struct oto_buffer *output)
{
    struct oto_bytes text = oto_bytes_text(message ? message : "");
    if (rejected == 0 && text.size == 0)
        return encoding == OTO_OTLP_JSON ? oto_buffer_append(output, "{}", 2) : OTO_OK;
    return encoding == OTO_OTLP_JSON ? partial_json(signal, rejected, text, output)
                                     : partial_protobuf(rejected, text, output);
}

// --- google.rpc.Status{1 code, 2 message, 3 details: Any{1 type_url, 2 value}} ---

static enum oto_status any_begin(struct oto_buffer *output, struct oto_bytes type, size_t marks[2])
{
    OTO_TRY(oto_pb_message_begin(output, 3, &marks[0]));
    OTO_TRY(oto_pb_write_bytes(output, 1, type));
    return oto_pb_message_begin(output, 2, &marks[1]);
}

static enum oto_status any_end(struct oto_buffer *output, const size_t marks[2])
{
    OTO_TRY(oto_pb_message_end(output, marks[1]));
    return oto_pb_message_end(output, marks[0]);
}

// RetryInfo{1 retry_delay: Duration{1 seconds, 2 nanos}}
static enum oto_status retry_protobuf(uint32_t retry_ms, struct oto_buffer *output)
{
    size_t marks[2], delay;
    OTO_TRY(any_begin(output, OTO_BYTES_LITERAL(RETRY_INFO), marks));
    OTO_TRY(oto_pb_message_begin(output, 1, &delay));
    if (retry_ms / 1000)
        OTO_TRY(oto_pb_write_uint(output, 1, retry_ms / 1000));
    if (retry_ms % 1000)
        OTO_TRY(oto_pb_write_uint(output, 2, retry_ms % 1000 * 1000000u));
    OTO_TRY(oto_pb_message_end(output, delay));
    return any_end(output, marks);
}

// BadRequest{1 field_violations: {1 field, 2 description}}
static enum oto_status field_protobuf(struct oto_bytes field, struct oto_bytes message,
                                      struct oto_buffer *output)
{
    size_t marks[2], violation;
    OTO_TRY(any_begin(output, OTO_BYTES_LITERAL(BAD_REQUEST), marks));
    OTO_TRY(oto_pb_message_begin(output, 1, &violation));
    OTO_TRY(oto_pb_write_bytes(output, 1, field));
    OTO_TRY(oto_pb_write_bytes(output, 2, message));
    OTO_TRY(oto_pb_message_end(output, violation));
    return any_end(output, marks);
}

static enum oto_status status_protobuf(int code, struct oto_bytes message, uint32_t retry_ms,
                                       const char *field, struct oto_buffer *output)
{
    if (code)
        OTO_TRY(oto_pb_write_uint(output, 1, (uint64_t)code));
    if (message.size)
        OTO_TRY(oto_pb_write_bytes(output, 2, message));
    if (retry_ms)
        OTO_TRY(retry_protobuf(retry_ms, output));
    return field ? field_protobuf(oto_bytes_text(field), message, output) : OTO_OK;
}

static enum oto_status status_json(int code, struct oto_bytes message, uint32_t retry_ms,
                                   const char *field, struct oto_buffer *output)
{
    OTO_TRY(oto_buffer_append_format(output, "{\"code\":%d,\"message\":", code));
    OTO_TRY(oto_json_escape(output, message));
    if (retry_ms || field)
        OTO_TRY(oto_buffer_append_format(output, ",\"details\":["));
    if (retry_ms)
        OTO_TRY(oto_buffer_append_format(
            output, "{\"@type\":\"" RETRY_INFO "\",\"retryDelay\":\"%u.%03us\"}", retry_ms / 1000,
            retry_ms % 1000));
    if (field) {
        OTO_TRY(oto_buffer_append_format(
            output, "%s{\"@type\":\"" BAD_REQUEST "\",\"fieldViolations\":[{\"field\":",
            retry_ms ? "," : ""));
        OTO_TRY(oto_json_escape(output, oto_bytes_text(field)));
        OTO_TRY(oto_buffer_append_format(output, ",\"description\":"));
        OTO_TRY(oto_json_escape(output, message));
        OTO_TRY(oto_buffer_append(output, "}]}", 3));
    }
    return oto_buffer_append_format(output, retry_ms || field ? "]}" : "}");
}

enum oto_status oto_otlp_write_status(enum oto_otlp_encoding encoding, int code,
                                      const char *message, uint32_t retry_ms, const char *field,
                                      struct oto_buffer *output)
{
    struct oto_bytes text = oto_bytes_text(message ? message : "");
    return encoding == OTO_OTLP_JSON ? status_json(code, text, retry_ms, field, output)
                                     : status_protobuf(code, text, retry_ms, field, output);
}
