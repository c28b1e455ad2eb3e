// The handler that answers every request at once with an empty success.
#ifndef OTO_BENCH_ANSWER_H
#define OTO_BENCH_ANSWER_H

#include "net/grpc.h"
#include "net/http_server.h"

static inline void answer_empty(void *state, struct oto_exchange *e)
{
    (void)state;
    if (oto_exchange_request(e)->is_grpc) {
        oto_grpc_respond(e, (struct oto_bytes){0});
        return;
    }
    struct oto_http_header type = {OTO_BYTES_LITERAL("content-type"),
                                   OTO_BYTES_LITERAL("application/x-protobuf")};
    struct oto_http_response ok = {.status = 200, .headers = &type, .header_count = 1};
    oto_exchange_respond(e, &ok);
}

#endif
