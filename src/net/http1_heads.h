// The head that an HTTP/1.1 client repeats: exporters send the same bytes again and again but for
// Content-Length. Such a head is told by comparing it with the last one, and what that one meant is
// used again; the parser does not see it.
#ifndef OTO_NET_HTTP1_HEADS_H
#define OTO_NET_HTTP1_HEADS_H

#include "net/http_internal.h"

struct http1_kept_head {
    struct http_shared_head *shared; // NULL: none is kept
    uint8_t *bytes;                  // of the head, without the digits of Content-Length
    uint32_t before, after;          // so many before and behind them; after = 0: there are none
};

void http1_head_forget(struct http1_kept_head *kept, const struct oto_http_server *server);
// Keeps a head that was parsed of these bytes, if the next one may be taken for it. Returns it, or
// NULL when it is not kept.
struct http_shared_head *http1_head_keep(struct http1_kept_head *kept,
                                         const struct oto_http_server *server,
                                         const struct oto_http1_head *found,
                                         const struct http_head *head, struct oto_bytes bytes);
// Does the input begin with the kept head? Returns its size, or 0. ret_length: UINT64_MAX when it
// announces none.
size_t http1_head_repeats(const struct http1_kept_head *kept, struct oto_bytes input,
                          uint64_t *ret_length);

#endif
