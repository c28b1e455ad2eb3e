// The messages of an input: a stream's, a request's, JSON documents.
#include "convert/convert_internal.h"
#include "otlp/otlp_json.h"
#include "wire/json_scan.h"
#include "wire/protobuf.h"

#define LENGTH_BYTES 4
#define JSON_DEPTH_MAX 512

enum oto_status oto_convert_messages_open(struct oto_convert_messages *m, struct oto_convert *c,
                                          struct oto_input input, struct oto_error *err)
{
    enum oto_convert_framing framing = c->options->read_framing;
    size_t size_max =
        framing == OTO_CONVERT_AUTO ? OTO_CONVERT_MESSAGE_MAX : OTO_CONVERT_FORCED_MAX;
    *m = (struct oto_convert_messages){.c = c, .format = c->options->from, .line = 1, .column = 1};
    oto_buffer_init(&m->plain, &oto_allocator_heap, size_max);
    oto_buffer_init(&m->protobuf, &oto_allocator_heap, 2 * size_max);
    OTO_TRY(oto_convert_bytes_init(&m->bytes, c, input, size_max + LENGTH_BYTES, err));
    OTO_TRY(oto_convert_bytes_want(&m->bytes, 1, err));
    struct oto_bytes first = oto_convert_bytes_view(&m->bytes);
    m->is_stream = first.size && first.data[0] < 8;
    if (m->format == OTO_CONVERT_OTLP && framing != OTO_CONVERT_AUTO)
        m->is_stream = framing == OTO_CONVERT_STREAM;
    return OTO_OK;
}

void oto_convert_messages_close(struct oto_convert_messages *m)
{
    oto_convert_bytes_release(&m->bytes);
    oto_buffer_release(&m->plain);
    oto_buffer_release(&m->protobuf);
}

// --- a stream's ---

static enum oto_status next_of_stream(struct oto_convert_messages *m, struct oto_bytes *ret_part,
                                      struct oto_error *err)
{
    struct oto_convert_bytes *b = &m->bytes;
    OTO_TRY(oto_convert_bytes_want(b, LENGTH_BYTES, err));
    struct oto_bytes view = oto_convert_bytes_view(b);
    if (view.size == 0)
        return OTO_END;
    if (view.size < LENGTH_BYTES)
        return oto_error_set(err, OTO_INVALID, "the stream ends inside of a length");
    size_t size = oto_load32_big(view.data);
    if (size > b->size_max - LENGTH_BYTES)
        return oto_error_set(err, OTO_INVALID,
                             "a message of %zu bytes is no part of a stream that this reads", size);
    OTO_TRY(oto_convert_bytes_want(b, LENGTH_BYTES + size, err));
    view = oto_convert_bytes_view(b);
    if (view.size < LENGTH_BYTES + size)
        return oto_error_set(err, OTO_INVALID, "the stream ends after %zu of %zu bytes",
                             view.size - LENGTH_BYTES, size);
    *ret_part = oto_bytes(view.data + LENGTH_BYTES, size);
    m->taken = LENGTH_BYTES + size;
    return OTO_OK;
}

// The Collector compresses each message by itself.
static enum oto_status unpack(struct oto_convert_messages *m, struct oto_bytes *part,
                              struct oto_error *err)
{
    enum oto_compression coding = oto_compression_detect(*part);
    if (coding == OTO_COMPRESSION_NONE)
        return OTO_OK;
    m->plain.size = 0;
    OTO_TRY(oto_decompress(m->c->codec, coding, *part, &m->plain, err));
    *part = oto_buffer_view(&m->plain);
    return OTO_OK;
}

// --- a request's: each of its fields, with its tag, is a request ---

// Bytes of the varint at the start; 0: there is none.
static size_t varint_at(struct oto_bytes text, uint64_t *ret_value)
{
    struct oto_pb_cursor c = oto_pb_cursor(text);
    return oto_pb_varint(&c, ret_value) == OTO_OK ? (size_t)(c.at - text.data) : 0;
}

// The size of the field that text begins with, as far as its head says; 0: it says nothing, and
// the rest is one message, whatever it is.
static size_t field_size(struct oto_bytes text, size_t size_max)
{
    uint64_t tag, length;
    size_t head = varint_at(text, &tag);
    if (!head)
        return 0;
    struct oto_bytes value = oto_bytes(text.data + head, text.size - head);
    size_t more = 0;
    switch (tag & 7) {
    case OTO_PB_FIXED64:
        return head + 8;
    case OTO_PB_FIXED32:
        return head + 4;
    case OTO_PB_VARINT:
    case OTO_PB_BYTES:
        more = value.size ? varint_at(value, &length) : 0;
        if (!more || (tag & 7) == OTO_PB_VARINT)
            return more ? head + more : 0;
        return length < size_max ? head + more + (size_t)length : SIZE_MAX;
    default:
        return 0;
    }
}

static enum oto_status next_of_request(struct oto_convert_messages *m, struct oto_bytes *ret_part,
                                       struct oto_error *err)
{
    struct oto_convert_bytes *b = &m->bytes;
    OTO_TRY(oto_convert_bytes_want(b, 20, err));
    struct oto_bytes view = oto_convert_bytes_view(b);
    if (view.size == 0)
        return OTO_END;
    size_t size = field_size(view, b->size_max);
    if (size == 0) {
        OTO_TRY(oto_convert_bytes_want(b, b->size_max, err));
        view = oto_convert_bytes_view(b);
        size = view.size;
    }
    OTO_TRY(oto_convert_bytes_want(b, size, err));
    view = oto_convert_bytes_view(b);
    if (view.size < size) // the decoder says where
        size = view.size;
    *ret_part = oto_bytes(view.data, size);
    m->taken = size;
    return OTO_OK;
}

// --- JSON documents ---

int oto_convert_json_end(struct oto_convert_json_end *e, struct oto_bytes text)
{
    const uint8_t *at = text.data + e->at, *end = text.data + text.size;
    int ended = 0;
    for (; at < end && !ended; at++) {
        if (e->is_escaped) {
            e->is_escaped = 0;
        } else if (e->is_string) {
            uint32_t high = 0;
            at = oto_json_scan(at, end, &high);
            if (at == end)
                break;
            e->is_escaped = *at == '\\';
            e->is_string = *at != '"';
        } else if (*at == '"') {
            e->is_string = 1;
        } else if (*at == '{' || *at == '[') {
            e->depth++;
        } else if (*at == '}' || *at == ']') {
            ended = e->depth == 0 || --e->depth == 0;
        }
    }
    e->at = (size_t)(at - text.data);
    return ended;
}

static void count_lines(struct oto_convert_messages *m, struct oto_bytes text)
{
    const uint8_t *at = text.data, *end = at + text.size, *newline;
    while (at < end && (newline = memchr(at, '\n', (size_t)(end - at)))) {
        m->line++;
        m->column = 1;
        at = newline + 1;
    }
    m->column += (uint32_t)(end - at);
}

static enum oto_status skip_space(struct oto_convert_messages *m, struct oto_error *err)
{
    for (;;) {
        OTO_TRY(oto_convert_bytes_want(&m->bytes, 1, err));
        struct oto_bytes view = oto_convert_bytes_view(&m->bytes);
        size_t size = 0;
        while (size < view.size && (view.data[size] == ' ' || view.data[size] == '\n' ||
                                    view.data[size] == '\r' || view.data[size] == '\t'))
            size++;
        if (size)
            count_lines(m, oto_bytes(view.data, size));
        oto_convert_bytes_take(&m->bytes, size);
        if (view.size == 0)
            return OTO_END;
        if (size < view.size)
            return OTO_OK;
    }
}

static enum oto_status next_document(struct oto_convert_messages *m, struct oto_bytes *ret_part,
                                     struct oto_error *err)
{
    struct oto_convert_json_end end = {.at = 0};
    enum oto_status status = skip_space(m, err);
    if (status != OTO_OK)
        return status;
    struct oto_bytes view = oto_convert_bytes_view(&m->bytes);
    // What is no object ends at once, and the reader of JSON says what is wrong with it.
    while (view.data[0] == '{' && !oto_convert_json_end(&end, view)) {
        size_t before = view.size;
        OTO_TRY(oto_convert_bytes_want(&m->bytes, before + 1, err));
        view = oto_convert_bytes_view(&m->bytes);
        if (view.size == before)
            break;
    }
    m->taken = end.at ? end.at : 1;
    *ret_part = oto_bytes(view.data, m->taken);
    return OTO_OK;
}

static enum oto_status json_to_protobuf(struct oto_convert_messages *m, struct oto_bytes *part,
                                        struct oto_error *err)
{
    uint64_t unread = 0;
    const struct oto_otlp_json_limits limits = {
        .depth_max = JSON_DEPTH_MAX, .one_signal = 1, .ret_unread_count = &unread};
    struct oto_error problem;
    oto_error_init(&problem);
    m->protobuf.size = 0;
    enum oto_status status =
        oto_otlp_json_to_protobuf(m->c->signal, *part, &limits, &m->protobuf, &problem);
    if (status < 0) {
        uint32_t line = m->is_stream ? problem.line : m->line + problem.line - 1;
        uint32_t column = problem.column;
        if (!m->is_stream && problem.line == 1)
            column += m->column - 1;
        return oto_error_at(err, status, problem.offset, "line %u, column %u: %s", line, column,
                            problem.message);
    }
    m->c->result->unread += unread;
    *part = oto_buffer_view(&m->protobuf);
    return OTO_OK;
}

// The signal that the first name in a JSON document speaks of.
static enum oto_status signal_of_document(struct oto_convert_messages *m, struct oto_bytes part,
                                          struct oto_error *err)
{
    static const char *const names[OTO_SIGNAL_COUNT] = {"\"resourceLogs\"", "\"resourceSpans\"",
                                                        "\"resourceMetrics\""};
    size_t at = 1;
    while (at < part.size && (part.data[at] == ' ' || part.data[at] == '\n' ||
                              part.data[at] == '\r' || part.data[at] == '\t'))
        at++;
    for (int s = 0; s < OTO_SIGNAL_COUNT; s++) {
        size_t size = strlen(names[s]);
        if (at + size <= part.size && memcmp(part.data + at, names[s], size) == 0)
            return oto_convert_signal(m->c, (enum oto_signal)s, err);
    }
    if (m->c->signal != OTO_CONVERT_SIGNAL_OF_INPUT)
        return OTO_OK;
    return oto_error_set(err, OTO_INVALID, "does not say what it holds: give --signal");
}

// --- all ---

void oto_convert_messages_locate(const struct oto_convert_messages *m, struct oto_error *err)
{
    oto_error_context(err, "message %llu at byte %llu", (unsigned long long)m->index,
                      (unsigned long long)m->bytes.offset);
}

static enum oto_status next_part(struct oto_convert_messages *m, struct oto_bytes *ret_part,
                                 struct oto_error *err)
{
    if (m->format == OTO_CONVERT_OTLP_JSON && !m->is_stream)
        return next_document(m, ret_part, err);
    enum oto_status status =
        m->is_stream ? next_of_stream(m, ret_part, err) : next_of_request(m, ret_part, err);
    return status == OTO_OK && m->is_stream ? unpack(m, ret_part, err) : status;
}

enum oto_status oto_convert_messages_next(struct oto_convert_messages *m,
                                          struct oto_bytes *ret_message, struct oto_error *err)
{
    struct oto_bytes view = oto_convert_bytes_view(&m->bytes);
    if (m->format == OTO_CONVERT_OTLP_JSON && !m->is_stream && m->taken)
        count_lines(m, oto_bytes(view.data, m->taken));
    oto_convert_bytes_take(&m->bytes, m->taken);
    m->taken = 0;
    m->index++;
    enum oto_status status = next_part(m, ret_message, err);
    if (status == OTO_OK && m->format == OTO_CONVERT_OTLP_JSON) {
        status = signal_of_document(m, *ret_message, err);
        if (status == OTO_OK)
            status = json_to_protobuf(m, ret_message, err);
    }
    if (status < 0)
        oto_convert_messages_locate(m, err);
    return status;
}
