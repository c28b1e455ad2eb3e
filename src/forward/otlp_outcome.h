// What an endpoint's answer to an Export request means, by OTLP's rules for gRPC and HTTP. No I/O.
#ifndef OTO_FORWARD_OTLP_OUTCOME_H
#define OTO_FORWARD_OTLP_OUTCOME_H

#include "base/bytes.h"

enum oto_otlp_transport {
    OTO_OTLP_TRANSPORT_HTTP,
    OTO_OTLP_TRANSPORT_GRPC,
    OTO_OTLP_TRANSPORT_OF_URL, // grpc, grpcs, and http on port 4317: gRPC; else HTTP
};

// An answer as it came. Texts may be NULL: there was none.
struct oto_otlp_answer {
    const char *network_error; // no answer at all: why. Then nothing below counts but is_final
    int is_final;              // trying again would not help: a wrong certificate, no such scheme
    int http_status;
    uint64_t retry_after_ms;  // Retry-After; 0: none
    const char *content_type; // of the body
    const char *grpc_status;  // header or trailer
    const char *grpc_message;
    const char *grpc_details; // grpc-status-details-bin
    struct oto_bytes body;
};

enum oto_otlp_verdict {
    OTO_OTLP_TAKEN,   // rejected may be above 0, or message a warning: partial success
    OTO_OTLP_REPEAT,  // try again, not before wait_ms
    OTO_OTLP_REFUSED, // for good
};

struct oto_otlp_outcome {
    enum oto_otlp_verdict verdict;
    uint64_t wait_ms; // what the endpoint asks for; 0: nothing
    uint64_t rejected;
    char message[256]; // UTF-8, no control characters
};
void oto_otlp_outcome_of(enum oto_otlp_transport transport, const struct oto_otlp_answer *answer,
                         struct oto_otlp_outcome *ret_outcome);

#endif
