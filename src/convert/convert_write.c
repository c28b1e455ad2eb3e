// Messages written as OTLP or OTLP/JSON: a stream as the Collector writes it, or one request.
#include "convert/convert_internal.h"
#include "otlp/otlp_json.h"

// Messages that we made are well-formed.
static int is_checked(const struct oto_convert *c)
{
    return c->options->from == OTO_CONVERT_OTLP;
}

static int is_stream(const struct oto_convert *c)
{
    return c->options->write_framing != OTO_CONVERT_REQUEST;
}

enum oto_status oto_convert_writer_open(struct oto_convert_writer *w, struct oto_convert *c,
                                        struct oto_error *err)
{
    *w = (struct oto_convert_writer){.c = c, .output = {.fd = -1}};
    oto_buffer_init(&w->json, &oto_allocator_heap, SIZE_MAX / 2);
    oto_buffer_init(&w->packed, &oto_allocator_heap, SIZE_MAX / 2);
    if (is_checked(c))
        OTO_TRY(oto_convert_rows_init(&w->check, c, err));
    return oto_output_open(&w->output, c->options->output, err);
}

void oto_convert_writer_close(struct oto_convert_writer *w)
{
    if (is_checked(w->c))
        oto_convert_rows_release(&w->check);
    oto_output_drop(&w->output);
    oto_buffer_release(&w->json);
    oto_buffer_release(&w->packed);
}

// --- one piece of output ---

static enum oto_status pack(struct oto_convert_writer *w, struct oto_bytes *piece,
                            struct oto_error *err)
{
    if (!w->c->options->zstd)
        return OTO_OK;
    w->packed.size = 0;
    OTO_TRY(oto_compress(w->c->codec, OTO_COMPRESSION_ZSTD, 3, *piece, &w->packed, err));
    *piece = oto_buffer_view(&w->packed);
    return OTO_OK;
}

// has_length: as the Collector, for what is no line of text.
static enum oto_status write_piece(struct oto_convert_writer *w, struct oto_bytes piece,
                                   int has_length, struct oto_error *err)
{
    uint8_t length[4];
    OTO_TRY(pack(w, &piece, err));
    if (piece.size > OTO_CONVERT_MESSAGE_MAX && has_length)
        return oto_error_set(err, OTO_TOO_LARGE, "a message of %zu bytes has no place in a stream",
                             piece.size);
    oto_store32_big(length, (uint32_t)piece.size);
    if (has_length)
        OTO_TRY(oto_output_write(&w->output, length, sizeof length, err));
    return oto_output_write(&w->output, piece.data, piece.size, err);
}

// --- JSON ---

// One document of many: what stands in the list of groups, with what goes before it.
static enum oto_status put_members(struct oto_convert_writer *w, struct oto_error *err)
{
    const uint8_t *open = memchr(w->json.data, '[', w->json.size);
    if (!open) // {}
        return OTO_OK;
    size_t head = (size_t)(open + 1 - w->json.data);
    struct oto_bytes piece = oto_bytes(open + 1, w->json.size - head - 2); // without "]}"
    if (w->is_begun) {
        w->json.data[head - 1] = ',';
        piece = oto_bytes(open, piece.size + 1);
    } else {
        piece = oto_bytes(w->json.data, head + piece.size);
    }
    w->is_begun = 1;
    return write_piece(w, piece, 0, err);
}

static enum oto_status put_json(struct oto_convert_writer *w, struct oto_bytes message,
                                struct oto_error *err)
{
    w->json.size = 0;
    OTO_TRY(oto_otlp_protobuf_to_json(w->c->signal, message, &w->json, err));
    if (!is_stream(w->c))
        return put_members(w, err);
    if (!w->c->options->zstd && oto_buffer_append_byte(&w->json, '\n') < 0)
        return oto_error_set(err, OTO_NO_MEMORY, "no memory to write");
    return write_piece(w, oto_buffer_view(&w->json), w->c->options->zstd, err);
}

static enum oto_status end_document(struct oto_convert_writer *w, struct oto_error *err)
{
    struct oto_bytes rest = w->is_begun ? OTO_BYTES_LITERAL("]}\n") : OTO_BYTES_LITERAL("{}\n");
    return write_piece(w, rest, 0, err);
}

// --- all ---

enum oto_status oto_convert_writer_put(struct oto_convert_writer *w, struct oto_bytes message,
                                       struct oto_error *err)
{
    if (is_checked(w->c))
        OTO_TRY(oto_convert_rows_check(&w->check, message, err));
    if (w->c->options->to == OTO_CONVERT_OTLP_JSON)
        return put_json(w, message, err);
    return write_piece(w, message, is_stream(w->c), err);
}

enum oto_status oto_convert_writer_finish(struct oto_convert_writer *w, struct oto_error *err)
{
    if (w->c->options->to == OTO_CONVERT_OTLP_JSON && !is_stream(w->c))
        OTO_TRY(end_document(w, err));
    return oto_output_publish(&w->output, err);
}
