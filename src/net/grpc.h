// gRPC over an exchange: message framing in, status and trailers out (gRPC over HTTP2
// specification).
#ifndef OTO_NET_GRPC_H
#define OTO_NET_GRPC_H

#include "net/http_server.h"

enum oto_grpc_status {
    OTO_GRPC_OK = 0,
    OTO_GRPC_CANCELLED = 1,
    OTO_GRPC_UNKNOWN = 2,
    OTO_GRPC_INVALID_ARGUMENT = 3,
    OTO_GRPC_DEADLINE_EXCEEDED = 4,
    OTO_GRPC_NOT_FOUND = 5,
    OTO_GRPC_PERMISSION_DENIED = 7,
    OTO_GRPC_RESOURCE_EXHAUSTED = 8,
    OTO_GRPC_FAILED_PRECONDITION = 9,
    OTO_GRPC_UNIMPLEMENTED = 12,
    OTO_GRPC_INTERNAL = 13,
    OTO_GRPC_UNAVAILABLE = 14,
    OTO_GRPC_UNAUTHENTICATED = 16,
};

// Takes exactly one message out of a unary call's body: 1 byte compressed flag, u32 big-endian
// length, message. OTO_INVALID when the frame is short, long, has a flag over 1, or there is a
// second or no message (err says which).
OTO_MUST_CHECK enum oto_status oto_grpc_unary_message(struct oto_bytes body, int *ret_compressed,
                                                      struct oto_bytes *ret_message,
                                                      struct oto_error *err);

// Parses a grpc-timeout header ("10S", "500m"). OTO_INVALID.
OTO_MUST_CHECK enum oto_status oto_grpc_timeout(struct oto_bytes value, uint64_t *ret_timeout_ns);

// Answers a unary call with OK: one uncompressed message, trailers grpc-status 0.
void oto_grpc_respond(struct oto_exchange *exchange, struct oto_bytes message);
// Answers trailers-only with a failure. text is percent-encoded here; details: a serialized
// google.rpc.Status for grpc-status-details-bin (base64 here), or empty. extra headers may be NULL.
void oto_grpc_respond_error(struct oto_exchange *exchange, enum oto_grpc_status status,
                            struct oto_bytes text, struct oto_bytes details,
                            const struct oto_http_header *extra, size_t extra_count);

#endif
