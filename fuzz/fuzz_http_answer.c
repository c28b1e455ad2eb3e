// folders: net
// Any bytes as an HTTP/1.1 answer, whole and byte by byte: both must give the same body and
// outcome.
#include "net/http_client.h"
#include <stdlib.h>

static enum oto_status keep(void *state, int status, struct oto_bytes bytes)
{
    (void)status;
    return oto_buffer_append(state, bytes.data, bytes.size);
}

static enum oto_status read_answer(struct oto_bytes input, size_t step, struct oto_buffer *body,
                                   int *ret_status)
{
    struct oto_http_answer answer;
    enum oto_status status = OTO_AGAIN;
    oto_http_answer_init(&answer, keep, body);
    for (size_t at = 0; at < input.size && status == OTO_AGAIN; at += step)
        status = oto_http_answer_feed(
            &answer, oto_bytes(input.data + at, input.size - at < step ? input.size - at : step),
            NULL);
    if (status == OTO_AGAIN)
        status = oto_http_answer_close(&answer, NULL);
    *ret_status = answer.status;
    oto_http_answer_release(&answer);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct oto_buffer whole, pieces;
    int whole_status, pieces_status;
    oto_buffer_init(&whole, &oto_allocator_heap, SIZE_MAX / 2);
    oto_buffer_init(&pieces, &oto_allocator_heap, SIZE_MAX / 2);
    enum oto_status a = read_answer(oto_bytes(data, size), size ? size : 1, &whole, &whole_status);
    enum oto_status b = read_answer(oto_bytes(data, size), 1, &pieces, &pieces_status);
    if (a != b || whole_status != pieces_status ||
        !oto_bytes_equal(oto_buffer_view(&whole), oto_buffer_view(&pieces)))
        abort();
    oto_buffer_release(&whole);
    oto_buffer_release(&pieces);
    return 0;
}
