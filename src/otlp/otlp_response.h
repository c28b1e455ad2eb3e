// The answers of OTLP: Export*ServiceResponse and google.rpc.Status, in protobuf and JSON.
#ifndef OTO_OTLP_OTLP_RESPONSE_H
#define OTO_OTLP_OTLP_RESPONSE_H

#include "base/bytes.h"
#include "telemetry/signal.h"

enum oto_otlp_encoding { OTO_OTLP_PROTOBUF, OTO_OTLP_JSON };

// Appends Export<Signal>ServiceResponse: empty (JSON "{}") when rejected is 0 and message is empty,
// else with partial_success.
OTO_MUST_CHECK enum oto_status oto_otlp_write_response(enum oto_otlp_encoding encoding,
                                                       enum oto_signal signal, uint64_t rejected,
                                                       const char *message,
                                                       struct oto_buffer *output);

// Appends google.rpc.Status with code (gRPC number), message, and details: RetryInfo when retry_ms
// > 0; BadRequest with one field violation when field is not NULL.
OTO_MUST_CHECK enum oto_status oto_otlp_write_status(enum oto_otlp_encoding encoding, int code,
                                                     const char *message, uint32_t retry_ms,
                                                     const char *field, struct oto_buffer *output);

#endif
