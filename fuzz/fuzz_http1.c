// folders: net
// Any bytes as a row of HTTP/1.1 requests. They must mean the same however they are cut: the first
// byte says how.
#include <stdlib.h>

#include "net/http1_parser.h"

struct outcome {
    uint64_t requests, headers, body_bytes, body_sum, status;
};

static void run(struct oto_bytes input, size_t step, struct outcome *o)
{
    static struct oto_http1_head head;
    struct oto_http1_parser parser;
    size_t start = 0, end = 0, at;
    enum oto_http1_event event = OTO_HTTP1_MORE;
    oto_http1_parser_init(&parser, 4096, 32);
    while (end < input.size && event != OTO_HTTP1_ERROR) {
        end = input.size - end > step ? end + step : input.size;
        // A block of its own, so that a read past the end is seen.
        uint8_t *block = malloc(end - start + 1);
        memcpy(block, input.data + start, end - start);
        size_t left = end - start;
        at = 0;
        do {
            struct oto_bytes data = {0};
            size_t consumed;
            event = oto_http1_parser_next(&parser, oto_bytes(block + at, left - at), &consumed,
                                          &head, &data);
            if (consumed > left - at)
                abort();
            at += consumed;
            if (event == OTO_HTTP1_HEAD) {
                o->headers += head.header_count;
                if (head.method.size == 0 || head.target.size == 0 || head.header_count > 32)
                    abort();
            }
            for (size_t i = 0; i < data.size; i++)
                o->body_sum = 31 * o->body_sum + data.data[i];
            o->body_bytes += data.size;
            o->requests += event == OTO_HTTP1_END;
        } while (event != OTO_HTTP1_MORE && event != OTO_HTTP1_ERROR);
        free(block);
        start += at;
    }
    if (event == OTO_HTTP1_ERROR) {
        o->status = (uint64_t)parser.status;
        if (parser.status < 400 || parser.status > 505 || !parser.reason)
            abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct outcome whole = {0}, cut = {0};
    if (size == 0)
        return 0;
    struct oto_bytes input = oto_bytes(data + 1, size - 1);
    run(input, SIZE_MAX, &whole);
    run(input, data[0] ? data[0] : 1, &cut);
    // Which of two faults is seen first may depend on the cut (a head that is both broken and too
    // long); whether there is one, and what came before it, may not.
    if ((whole.status != 0) != (cut.status != 0) || whole.requests != cut.requests ||
        whole.headers != cut.headers || whole.body_bytes != cut.body_bytes ||
        whole.body_sum != cut.body_sum)
        abort();
    return 0;
}
