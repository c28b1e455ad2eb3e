// A small blocking HTTP/1.1 client for the command line: one request, one answer, one connection,
// no TLS. Thread rule: a call belongs to one thread.
#ifndef OTO_NET_HTTP_CLIENT_H
#define OTO_NET_HTTP_CLIENT_H

#include "base/bytes.h"

struct oto_http_call_options {
    const char *address; // "127.0.0.1:4317", "unix:/path"
    const char *path;    // "/api/v1/sql"
    const char *content_type, *accept;
    struct oto_bytes body; // POSTed
    uint32_t timeout_ms;   // longest silence; 0: none
    // Pieces of the answer's body; negative: stop. status: of the answer.
    enum oto_status (*data)(void *state, int status, struct oto_bytes bytes);
    void *state;
};
// ret_status: of the answer, 200 and so on. OTO_UNAVAILABLE: nobody listens. OTO_CORRUPT: no HTTP,
// or the answer broke off. OTO_TIMEOUT. What data returned.
OTO_MUST_CHECK enum oto_status oto_http_post(const struct oto_http_call_options *options,
                                             int *ret_status, struct oto_error *err);

// The reader behind it, without I/O: feed it bytes as they come. OTO_AGAIN: more is expected;
// OTO_OK: the answer is complete; OTO_CORRUPT with err.
struct oto_http_answer {
    int status; // 0 until its head is read
    enum {
        OTO_ANSWER_HEAD,
        OTO_ANSWER_LENGTH,
        OTO_ANSWER_CHUNK_SIZE,
        OTO_ANSWER_CHUNK,
        OTO_ANSWER_CHUNK_END,
        OTO_ANSWER_TRAILER,
        OTO_ANSWER_UNTIL_CLOSE,
        OTO_ANSWER_DONE
    } state;
    uint64_t rest;          // of the body or chunk
    struct oto_buffer line; // the head, then lines between chunks
    enum oto_status (*data)(void *state, int status, struct oto_bytes bytes);
    void *data_state;
};
void oto_http_answer_init(struct oto_http_answer *answer,
                          enum oto_status (*data)(void *state, int status, struct oto_bytes bytes),
                          void *state);
void oto_http_answer_release(struct oto_http_answer *answer);
OTO_MUST_CHECK enum oto_status oto_http_answer_feed(struct oto_http_answer *answer,
                                                    struct oto_bytes bytes, struct oto_error *err);
// The peer closed. OTO_OK when that is a proper end.
OTO_MUST_CHECK enum oto_status oto_http_answer_close(struct oto_http_answer *answer,
                                                     struct oto_error *err);

#endif
