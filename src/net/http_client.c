#include "net/http_client.h"

#include "base/text.h"
#include "os/process.h"
#include "os/socket.h"
#include <strings.h>

#define HEAD_MAX (64u * 1024)

void oto_http_answer_init(struct oto_http_answer *answer,
                          enum oto_status (*data)(void *state, int status, struct oto_bytes bytes),
                          void *state)
{
    *answer = (struct oto_http_answer){.state = OTO_ANSWER_HEAD, .data = data, .data_state = state};
    oto_buffer_init(&answer->line, &oto_allocator_heap, HEAD_MAX);
}

void oto_http_answer_release(struct oto_http_answer *answer)
{
    oto_buffer_release(&answer->line);
}

static enum oto_status broken(struct oto_error *err, const char *what)
{
    return oto_error_set(err, OTO_CORRUPT, "the server's answer is not HTTP: %s", what);
}

// --- the head ---

// The value of a header, without the spaces around it; data NULL: it is not there.
static struct oto_bytes header(struct oto_bytes head, const char *name)
{
    size_t name_size = strlen(name);
    const uint8_t *at = head.data, *end = head.data + head.size;
    while (at < end) {
        const uint8_t *stop = memchr(at, '\n', (size_t)(end - at));
        stop = stop ? stop : end;
        if ((size_t)(stop - at) > name_size && at[name_size] == ':' &&
            strncasecmp((const char *)at, name, name_size) == 0) {
            for (at += name_size + 1; at < stop && (*at == ' ' || *at == '\t'); at++)
                ;
            const uint8_t *last = stop;
            while (last > at && (last[-1] == '\r' || last[-1] == ' '))
                last--;
            return oto_bytes(at, (size_t)(last - at));
        }
        at = stop + (stop < end);
    }
    return oto_bytes(NULL, 0);
}

static enum oto_status read_head(struct oto_http_answer *answer, struct oto_error *err)
{
    struct oto_bytes head = oto_buffer_view(&answer->line);
    uint64_t status;
    if (head.size < 12 || memcmp(head.data, "HTTP/1.", 7) != 0 ||
        oto_text_to_u64(oto_bytes(head.data + 9, 3), &status) < 0)
        return broken(err, "no status line");
    if (status < 200) // an interim answer; the final one follows
        return OTO_OK;
    answer->status = (int)status;
    struct oto_bytes coding = header(head, "transfer-encoding"),
                     length = header(head, "content-length");
    if (coding.data) {
        if (coding.size != 7 || strncasecmp((const char *)coding.data, "chunked", 7) != 0)
            return broken(err, "an unknown transfer encoding");
        answer->state = OTO_ANSWER_CHUNK_SIZE;
    } else if (length.data) {
        if (oto_text_to_u64(length, &answer->rest) < 0)
            return broken(err, "a bad content length");
        answer->state = answer->rest ? OTO_ANSWER_LENGTH : OTO_ANSWER_DONE;
    } else {
        answer->state = OTO_ANSWER_UNTIL_CLOSE;
    }
    return OTO_OK;
}

// --- lines ---

static int line_is_complete(const struct oto_http_answer *answer)
{
    const struct oto_buffer *line = &answer->line;
    if (answer->state == OTO_ANSWER_HEAD)
        return line->size >= 4 && memcmp(line->data + line->size - 4, "\r\n\r\n", 4) == 0;
    return line->size >= 2 && memcmp(line->data + line->size - 2, "\r\n", 2) == 0;
}

static enum oto_status read_chunk_size(struct oto_http_answer *answer, struct oto_error *err)
{
    uint64_t size = 0;
    size_t i = 0;
    for (; i < answer->line.size; i++) {
        int c = answer->line.data[i];
        int digit = c >= '0' && c <= '9'   ? c - '0'
                    : c >= 'a' && c <= 'f' ? c - 'a' + 10
                    : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                           : -1;
        if (digit < 0)
            break;
        if (size >> 56)
            return broken(err, "a chunk that is too large");
        size = size * 16 + (uint64_t)digit;
    }
    if (i == 0)
        return broken(err, "a chunk without a size");
    answer->rest = size;
    answer->state = size ? OTO_ANSWER_CHUNK : OTO_ANSWER_TRAILER;
    return OTO_OK;
}

static enum oto_status read_line(struct oto_http_answer *answer, struct oto_error *err)
{
    enum oto_status status = OTO_OK;
    switch (answer->state) {
    case OTO_ANSWER_HEAD:
        status = read_head(answer, err);
        break;
    case OTO_ANSWER_CHUNK_SIZE:
        status = read_chunk_size(answer, err);
        break;
    case OTO_ANSWER_CHUNK_END:
        answer->state = OTO_ANSWER_CHUNK_SIZE;
        status =
            answer->line.size == 2 ? OTO_OK : broken(err, "a chunk that is longer than its size");
        break;
    default: // trailers, until an empty line
        if (answer->line.size == 2)
            answer->state = OTO_ANSWER_DONE;
        break;
    }
    answer->line.size = 0;
    return status;
}

// --- the body ---

static enum oto_status pass_on(struct oto_http_answer *answer, struct oto_bytes *bytes)
{
    size_t size = bytes->size;
    int measured = answer->state != OTO_ANSWER_UNTIL_CLOSE;
    if (measured && size > answer->rest)
        size = (size_t)answer->rest;
    OTO_TRY(answer->data(answer->data_state, answer->status, oto_bytes(bytes->data, size)));
    bytes->data += size;
    bytes->size -= size;
    if (!measured)
        return OTO_OK;
    answer->rest -= size;
    if (answer->rest == 0)
        answer->state = answer->state == OTO_ANSWER_LENGTH ? OTO_ANSWER_DONE : OTO_ANSWER_CHUNK_END;
    return OTO_OK;
}

enum oto_status oto_http_answer_feed(struct oto_http_answer *answer, struct oto_bytes bytes,
                                     struct oto_error *err)
{
    while (bytes.size && answer->state != OTO_ANSWER_DONE) {
        if (answer->state == OTO_ANSWER_LENGTH || answer->state == OTO_ANSWER_CHUNK ||
            answer->state == OTO_ANSWER_UNTIL_CLOSE) {
            OTO_TRY(pass_on(answer, &bytes));
            continue;
        }
        if (oto_buffer_append_byte(&answer->line, *bytes.data) < 0)
            return broken(err, "a head or line that is too long");
        bytes.data++;
        bytes.size--;
        if (line_is_complete(answer))
            OTO_TRY(read_line(answer, err));
    }
    return answer->state == OTO_ANSWER_DONE ? OTO_OK : OTO_AGAIN;
}

enum oto_status oto_http_answer_close(struct oto_http_answer *answer, struct oto_error *err)
{
    if (answer->state == OTO_ANSWER_DONE || answer->state == OTO_ANSWER_UNTIL_CLOSE)
        return OTO_OK;
    return oto_error_set(err, OTO_CORRUPT, "the answer broke off");
}

// --- over a socket ---

static enum oto_status send_request(const struct oto_http_call_options *options, int fd,
                                    struct oto_error *err)
{
    struct oto_buffer head;
    oto_buffer_init(&head, &oto_allocator_heap, HEAD_MAX);
    const char *host =
        oto_text_begins_with(options->address, "unix:") ? "localhost" : options->address;
    enum oto_status status = oto_buffer_append_format(
        &head,
        "POST %s HTTP/1.1\r\nHost: %s\r\nContent-Type: %s\r\nAccept: %s\r\n"
        "Content-Length: %zu\r\nConnection: close\r\n\r\n",
        options->path, host, options->content_type, options->accept, options->body.size);
    if (status < 0)
        oto_error_set(err, status, "the request's head is too long");
    if (status == OTO_OK)
        status = oto_socket_send(fd, head.data, head.size, NULL, 0, err);
    if (status == OTO_OK && options->body.size)
        status = oto_socket_send(fd, options->body.data, options->body.size, NULL, 0, err);
    oto_buffer_release(&head);
    return status;
}

static enum oto_status receive_answer(const struct oto_http_call_options *options, int fd,
                                      struct oto_http_answer *answer, struct oto_error *err)
{
    uint8_t block[16 * 1024];
    enum oto_status status = OTO_AGAIN;
    while (status == OTO_AGAIN) {
        size_t size, count;
        if (oto_socket_wait(fd, options->timeout_ms ? (int)options->timeout_ms : -1) == OTO_TIMEOUT)
            return oto_error_set(err, OTO_TIMEOUT, "no answer within %u ms", options->timeout_ms);
        status = oto_socket_receive(fd, block, sizeof(block), &size, NULL, 0, &count, err);
        if (status == OTO_END)
            return oto_http_answer_close(answer, err);
        if (status == OTO_OK)
            status = oto_http_answer_feed(answer, oto_bytes(block, size), err);
    }
    return status;
}

enum oto_status oto_http_post(const struct oto_http_call_options *options, int *ret_status,
                              struct oto_error *err)
{
    int fd;
    OTO_TRY(oto_socket_connect(options->address, &fd, err));
    struct oto_http_answer answer;
    oto_http_answer_init(&answer, options->data, options->state);
    enum oto_status status = send_request(options, fd, err);
    if (status == OTO_OK)
        status = receive_answer(options, fd, &answer, err);
    *ret_status = answer.status;
    oto_http_answer_release(&answer);
    oto_socket_close(fd);
    return status;
}
