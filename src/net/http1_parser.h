// HTTP/1.1 requests out of bytes (RFC 9112), without I/O, without allocation, without copying:
// (state, bytes) -> event. Strict: what two readers could take for different requests is an error,
// never a guess. CRLF only, no folding, one Content-Length or Transfer-Encoding: chunked, one Host.
// Trailers are checked, then dropped.
#ifndef OTO_NET_HTTP1_PARSER_H
#define OTO_NET_HTTP1_PARSER_H

#include "net/http_server.h"

#define OTO_HTTP1_HEADERS_CAP 256 // no limit given can exceed it
#define OTO_HTTP1_TARGET_MAX 8192 // longer request targets are 414

enum oto_http1_event {
    OTO_HTTP1_MORE,  // the input is used up (or too short): come again with more, what was not
                     // consumed first
    OTO_HTTP1_HEAD,  // head is filled; its views point into the input
    OTO_HTTP1_DATA,  // data is a piece of the body, in the input
    OTO_HTTP1_END,   // the request is complete; the next call begins the next request
    OTO_HTTP1_ERROR, // parser->status (400, 405, 414, 417, 431, 505) and reason; nothing more can
                     // be read
};

struct oto_http1_head {
    enum oto_http_version version; // OTO_HTTP_1_0 or OTO_HTTP_1_1
    struct oto_bytes method, target, authority;
    struct oto_http_header headers[OTO_HTTP1_HEADERS_CAP]; // names as received, not lowered
    size_t header_count;
    uint64_t content_length; // UINT64_MAX when not announced
    int has_body;            // 0: END follows at once
    int keep_alive;
    int expect_continue;
};

struct oto_http1_parser {
    int state;               // the parser's own
    uint32_t head_bytes_max; // -> 431
    uint32_t header_count_max;
    size_t scanned;       // of an incomplete head
    size_t line_start;    // of the line that scanned stopped in
    int empty_line;       // one came before the request
    uint64_t remaining;   // of the body, or of the chunk
    uint32_t size_digits; // of the chunk size
    uint32_t extension_bytes;
    uint32_t trailer_bytes;
    int status;
    const char *reason;
};

void oto_http1_parser_init(struct oto_http1_parser *parser, uint32_t head_bytes_max,
                           uint32_t header_count_max);
// Takes the next event from input. ret_consumed bytes are done with; views stay valid as long as
// the input's bytes.
enum oto_http1_event oto_http1_parser_next(struct oto_http1_parser *parser, struct oto_bytes input,
                                           size_t *ret_consumed, struct oto_http1_head *head,
                                           struct oto_bytes *ret_data);
// 1 between two requests: nothing of the next one has been seen, as far as consumed bytes go.
int oto_http1_parser_idle(const struct oto_http1_parser *parser);
// 1 when a request would begin with the next byte.
int oto_http1_parser_fresh(const struct oto_http1_parser *parser);
// The caller, who knows the next head otherwise, read past it (fresh only): a body of that length
// follows.
void oto_http1_parser_skip_head(struct oto_http1_parser *parser, uint64_t content_length);
// Body bytes that are sure to follow (the rest of an announced length), else 0.
uint64_t oto_http1_parser_body_remaining(const struct oto_http1_parser *parser);
// The caller read size further body bytes past the parser (at most
// oto_http1_parser_body_remaining).
void oto_http1_parser_skip(struct oto_http1_parser *parser, uint64_t size);

// Compares without case; b in lower case.
int oto_http_text_is(struct oto_bytes a, const char *b);

#endif
