// Log lines on standard error, as text or JSON, escaped so that no byte of a client can forge a
// line. Any thread.
#ifndef OTO_API_LOG_H
#define OTO_API_LOG_H

#include "base/status.h"

enum oto_log_level { OTO_LOG_DEBUG, OTO_LOG_INFO, OTO_LOG_WARN, OTO_LOG_ERROR };

struct oto_log {
    enum oto_log_level level; // least severe that is written
    int json;
};

// "debug", "info", "warn", "error"; anything else is info.
enum oto_log_level oto_log_level_from_name(const char *name);
void oto_log_write(const struct oto_log *log, enum oto_log_level level, const char *format, ...)
    OTO_PRINTF(3, 4);
// In the form that engine and query client call: state is a struct oto_log.
void oto_log_callback(void *state, const char *level, const char *message);

#endif
