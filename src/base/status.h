// Outcomes. Every fallible function returns an enum oto_status; its last argument is a struct
// oto_error that the layer which failed first fills in and outer layers add context to.
// Nothing here allocates. Thread rule: an oto_error belongs to one caller.
#ifndef OTO_BASE_STATUS_H
#define OTO_BASE_STATUS_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

enum oto_status {
    OTO_OK = 0,
    // Expected outcomes.
    OTO_AGAIN = 1, // not enough input or output space yet
    OTO_END = 2,   // nothing more
    // Failures.
    OTO_INVALID = -1,     // the input breaks its format's rules: never retry
    OTO_TOO_LARGE = -2,   // a size limit was exceeded
    OTO_UNSUPPORTED = -3, // understood, but not offered
    OTO_NO_MEMORY = -4,   // allocator or budget exhausted: retryable
    OTO_IO = -5,          // the disk or network failed: retryable
    OTO_NO_SPACE = -6,    // disk full or quota: retryable
    OTO_UNAVAILABLE = -7, // overloaded, draining, recovering: retryable
    OTO_NOT_FOUND = -8,
    OTO_EXISTS = -9,
    OTO_CORRUPT = -10, // stored bytes fail their checksum or structure
    OTO_DENIED = -11,
    OTO_TIMEOUT = -12,
    OTO_INTERNAL = -13, // our bug
};

#define OTO_ERROR_MESSAGE_MAX 512
#define OTO_OFFSET_NONE UINT64_MAX

struct oto_error {
    enum oto_status status;
    uint64_t offset; // byte offset in the input, or OTO_OFFSET_NONE
    uint32_t line;   // 1-based line and column of text input, 0 when unknown
    uint32_t column;
    char message[OTO_ERROR_MESSAGE_MAX]; // NUL-terminated UTF-8, no control characters
};

#define OTO_MUST_CHECK __attribute__((warn_unused_result))
#define OTO_PRINTF(f, a) __attribute__((format(printf, f, a)))

// Returns early when a call fails; for places where nothing is owned yet.
#define OTO_TRY(call)                                                                              \
    do {                                                                                           \
        enum oto_status oto_try_status_ = (call);                                                  \
        if (oto_try_status_ < 0)                                                                   \
            return oto_try_status_;                                                                \
    } while (0)

// Resets an error to OTO_OK. err may be NULL.
void oto_error_init(struct oto_error *err);

// Fills an error and returns status, so that `return oto_error_set(...)` reads well. err may be
// NULL.
enum oto_status oto_error_set(struct oto_error *err, enum oto_status status, const char *format,
                              ...) OTO_PRINTF(3, 4);

// As oto_error_set, with a byte offset in the input.
enum oto_status oto_error_at(struct oto_error *err, enum oto_status status, uint64_t offset,
                             const char *format, ...) OTO_PRINTF(4, 5);

// The same for callers with a list of arguments of their own.
enum oto_status oto_error_at_list(struct oto_error *err, enum oto_status status, uint64_t offset,
                                  const char *format, va_list args) OTO_PRINTF(4, 0);

// Puts "context: " before the message. err may be NULL.
void oto_error_context(struct oto_error *err, const char *format, ...) OTO_PRINTF(2, 3);

// Where a failure leaves a layer: makes err tell it, as "what: no memory", when nobody below has
// said more (calls that fail in one way only take no err). Returns status. err may be NULL.
enum oto_status oto_error_ensure(struct oto_error *err, enum oto_status status, const char *what);

// The lower-case name of a status ("invalid", "no space"), a static string.
const char *oto_status_name(enum oto_status status);

// True for failures that a client may retry unchanged (no memory, I/O, no space, unavailable,
// time-out).
static inline int oto_status_retryable(enum oto_status status)
{
    return status == OTO_NO_MEMORY || status == OTO_IO || status == OTO_NO_SPACE ||
           status == OTO_UNAVAILABLE || status == OTO_TIMEOUT;
}

#endif
