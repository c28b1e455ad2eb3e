#include "net/http1_heads.h"

#define KEPT_BYTES_MAX 1024
#define LENGTH_DIGITS_MAX 18 // as the parser's

void http1_head_forget(struct http1_kept_head *kept, const struct oto_http_server *server)
{
    if (!kept->shared)
        return;
    http_shared_head_unref(kept->shared, server->recycled);
    oto_free(server->recycled, kept->bytes, kept->before + kept->after);
    *kept = (struct http1_kept_head){0};
}

// Its value; empty when there is none.
static struct oto_bytes find_length(const struct oto_http1_head *found)
{
    for (size_t i = 0; i < found->header_count; i++)
        if (oto_http_text_is(found->headers[i].name, "content-length"))
            return found->headers[i].value;
    return (struct oto_bytes){0};
}

struct http_shared_head *http1_head_keep(struct http1_kept_head *kept,
                                         const struct oto_http_server *server,
                                         const struct oto_http1_head *found,
                                         const struct http_head *head, struct oto_bytes bytes)
{
    struct oto_bytes length = find_length(found);
    http1_head_forget(kept, server);
    if (bytes.size > KEPT_BYTES_MAX ||
        bytes.size + LENGTH_DIGITS_MAX > server->limits.header_bytes_max ||
        found->version != OTO_HTTP_1_1 || !found->keep_alive || found->expect_continue ||
        (found->has_body && length.size == 0))
        return NULL;
    size_t before = length.size ? (size_t)(length.data - bytes.data) : bytes.size;
    size_t after = bytes.size - before - length.size;
    uint8_t *copy = oto_alloc(server->recycled, before + after);
    struct http_shared_head *shared = copy ? http_shared_head_copy(server->recycled, head) : NULL;
    if (!shared) {
        oto_free(server->recycled, copy, before + after);
        return NULL;
    }
    memcpy(copy, bytes.data, before);
    if (after > 0)
        memcpy(copy + before, length.data + length.size, after);
    *kept = (struct http1_kept_head){shared, copy, (uint32_t)before, (uint32_t)after};
    return shared;
}

size_t http1_head_repeats(const struct http1_kept_head *kept, struct oto_bytes input,
                          uint64_t *ret_length)
{
    size_t at = kept->before;
    uint64_t length = 0;
    if (!kept->shared || input.size < at + kept->after || memcmp(input.data, kept->bytes, at) != 0)
        return 0;
    *ret_length = UINT64_MAX;
    if (kept->after == 0)
        return at;
    for (; at < input.size && input.data[at] >= '0' && input.data[at] <= '9'; at++)
        length = 10 * length + (uint64_t)(input.data[at] - '0');
    size_t digits = at - kept->before;
    if (digits == 0 || digits > LENGTH_DIGITS_MAX || input.size - at < kept->after ||
        memcmp(input.data + at, kept->bytes + kept->before, kept->after) != 0)
        return 0;
    *ret_length = length;
    return at + kept->after;
}
