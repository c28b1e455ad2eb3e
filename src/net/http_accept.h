// Media types: what a request has, and which of those that a handler offers it likes best (RFC 9110
// 8.3.1, 12.5.1).
#ifndef OTO_NET_HTTP_ACCEPT_H
#define OTO_NET_HTTP_ACCEPT_H

#include "net/http_server.h"

// The index of the type with the greatest weight (q) in the request's Accept headers. Among equals
// one that is named comes before one that only a wildcard meets, then which was mentioned first,
// then which stands first in `types`: in lower case, perhaps with parameters. Parameters are not
// compared. count: none is accepted, or there is no such header.
size_t oto_http_accept_choose(const struct oto_http_request *request, const char *const *types,
                              size_t count);

// Whether the value of a Content-Type header is that type, in lower case; parameters do not count.
int oto_http_media_type_is(struct oto_bytes value, const char *type);

#endif
