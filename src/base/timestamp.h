// Points in time as people and RFC 3339 write them. Pure functions, any thread.
#ifndef OTO_BASE_TIMESTAMP_H
#define OTO_BASE_TIMESTAMP_H

#include "base/status.h"

#include <stdint.h>

// "2026-01-01T10:00:00Z", "2026-01-01 10:00:00.5+01:00", "2026-01-01": microseconds since 1970. A
// time without a zone is UTC; digits below a microsecond are dropped. OTO_INVALID.
OTO_MUST_CHECK enum oto_status oto_timestamp_parse(const char *text, int64_t *ret_us);

#endif
