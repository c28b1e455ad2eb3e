// Sends Export requests to an OTLP endpoint, over gRPC or HTTP, several at a time. A request that
// the endpoint cannot take now is sent again: after the time that it asks for, else after pauses
// that double up to a limit, each with a random part. Blocking: it works while it is called. Thread
// rule: a sender belongs to one thread.
#ifndef OTO_FORWARD_OTLP_SENDER_H
#define OTO_FORWARD_OTLP_SENDER_H

#include "codec/compress.h"
#include "forward/otlp_outcome.h"
#include "telemetry/signal.h"

#define OTO_OTLP_IN_FLIGHT_MAX 64

struct oto_otlp_sender_options {
    // http://HOST:PORT[/PATH], https://…, grpc://…, grpcs://…; over HTTP /v1/logs and so on are
    // appended to the path, over gRPC the method.
    const char *url;
    enum oto_otlp_transport transport; // default OF_URL
    enum oto_compression compression;  // NONE, GZIP (default) or ZSTD
    const char *const *headers;        // "name=value" or "name: value"
    size_t header_count;
    uint32_t in_flight_max;  // 1 to OTO_OTLP_IN_FLIGHT_MAX; default 4
    uint32_t timeout_ms;     // of one try; default 30000
    uint32_t backoff_ms_min; // first pause; default 500
    uint32_t backoff_ms_max; // default 30000
    uint64_t retry_ms_max;   // from the first try to the last, of a request; default 5 minutes
    const char *ca_file;     // PEM; NULL: the system's
    const char *user_agent;
    // Asked several times a second while waiting: 1 ends the call with OTO_UNAVAILABLE. May be
    // NULL.
    int (*is_stopped)(void *state);
    // A request is to be sent again in wait_ms. May be NULL.
    void (*retrying)(void *state, const char *why, uint64_t wait_ms);
    void *state;
};
void oto_otlp_sender_options_default(struct oto_otlp_sender_options *options);

struct oto_otlp_sender_totals {
    uint64_t requests; // taken
    uint64_t bytes;    // of these, as sent
    uint64_t retries;
    uint64_t rejected; // items that the endpoint refused of requests that it took
    char message[256]; // why, the last time; or a warning
};

struct oto_otlp_sender;

// Nothing is sent yet. OTO_INVALID: the URL or a header; OTO_NO_MEMORY. options' texts must outlive
// the sender.
OTO_MUST_CHECK enum oto_status oto_otlp_sender_new(const struct oto_otlp_sender_options *options,
                                                   struct oto_otlp_sender **ret_sender,
                                                   struct oto_error *err);
// Ends what is under way. NULL is legal.
void oto_otlp_sender_free(struct oto_otlp_sender *sender);
enum oto_otlp_transport oto_otlp_sender_transport(const struct oto_otlp_sender *sender);

// Begins to send an Export request, when there is room for it; waits for that. Fails also when one
// that was begun earlier has failed for good: OTO_DENIED (refused; err says why), OTO_TIMEOUT
// (retry_ms_max is over; err has the last reason), OTO_UNAVAILABLE (stopped), OTO_NO_MEMORY. After
// a failure the sender can only be freed. message: borrowed.
OTO_MUST_CHECK enum oto_status oto_otlp_sender_submit(struct oto_otlp_sender *sender,
                                                      enum oto_signal signal,
                                                      struct oto_bytes message,
                                                      struct oto_error *err);
// Waits until all that was submitted is taken. Fails like submit.
OTO_MUST_CHECK enum oto_status oto_otlp_sender_drain(struct oto_otlp_sender *sender,
                                                     struct oto_error *err);
void oto_otlp_sender_totals_of(const struct oto_otlp_sender *sender,
                               struct oto_otlp_sender_totals *ret_totals);

#endif
