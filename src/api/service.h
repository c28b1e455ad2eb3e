// A running server: engine, loops, HTTP servers and the query client wired together by a
// configuration. start -> (running) -> stop; one owner thread. A signal handler may call
// oto_service_request_stop.
#ifndef OTO_API_SERVICE_H
#define OTO_API_SERVICE_H

#include "api/config.h"
#include "api/log.h"

struct oto_service;

// Opens the data folder, binds the listeners and starts the threads; recovery then runs in the
// background. program_path: this program's file, to find otolith-query beside it.
OTO_MUST_CHECK enum oto_status oto_service_start(const struct oto_config *config,
                                                 const struct oto_log *log, const char *version,
                                                 const char *program_path,
                                                 struct oto_service **ret_service,
                                                 struct oto_error *err);
// The bound addresses, one line each: "127.0.0.1:4317 (ingest, query, admin)". Valid until the
// service is freed.
const char *oto_service_addresses(const struct oto_service *service);
// Async-signal-safe.
void oto_service_request_stop(struct oto_service *service);
// Blocks until a stop was requested or a worker died, then drains: no new requests, answers what is
// open, flushes all rows.
OTO_MUST_CHECK enum oto_status oto_service_run(struct oto_service *service, struct oto_error *err);
void oto_service_free(struct oto_service *service);

#endif
