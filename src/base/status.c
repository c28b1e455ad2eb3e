#include "base/status.h"
#include "base/utf8.h"
#include <stdio.h>
#include <string.h>

// Makes text fit for any log or terminal: broken UTF-8 and control characters become '?'. A
// character that the size limit cut in half is dropped. Returns the size.
static size_t message_clean(char *text, size_t size, int cut)
{
    uint8_t *bytes = (uint8_t *)text;
    size_t at = 0;
    while ((at += oto_utf8_valid_prefix(bytes + at, size - at)) < size) {
        if (cut && size - at < 4 && bytes[at] >= 0xC2) {
            size = at;
            break;
        }
        bytes[at++] = '?';
    }
    for (size_t i = 0; i < size; i++) {
        if (bytes[i] < 0x20 || bytes[i] == 0x7F)
            bytes[i] = '?';
        else if (bytes[i] == 0xC2 && bytes[i + 1] < 0xA0) // U+0080..U+009F
            bytes[i] = bytes[i + 1] = '?';
    }
    text[size] = 0;
    return size;
}

OTO_PRINTF(2, 0)
static size_t message_format(char text[OTO_ERROR_MESSAGE_MAX], const char *format, va_list args)
{
    int length = vsnprintf(text, OTO_ERROR_MESSAGE_MAX, format, args);
    if (length < 0)
        length = 0;
    int cut = length >= OTO_ERROR_MESSAGE_MAX;
    return message_clean(text, cut ? OTO_ERROR_MESSAGE_MAX - 1 : (size_t)length, cut);
}

// Formats aside first: an argument may be err's own message.
OTO_PRINTF(4, 0)
static void error_fill(struct oto_error *err, enum oto_status status, uint64_t offset,
                       const char *format, va_list args)
{
    char text[OTO_ERROR_MESSAGE_MAX];
    size_t size = message_format(text, format, args);
    err->status = status;
    err->offset = offset;
    err->line = err->column = 0;
    memcpy(err->message, text, size + 1);
}

void oto_error_init(struct oto_error *err)
{
    if (!err)
        return;
    err->status = OTO_OK;
    err->offset = OTO_OFFSET_NONE;
    err->line = err->column = 0;
    err->message[0] = 0;
}

enum oto_status oto_error_set(struct oto_error *err, enum oto_status status, const char *format,
                              ...)
{
    if (!err)
        return status;
    va_list args;
    va_start(args, format);
    error_fill(err, status, OTO_OFFSET_NONE, format, args);
    va_end(args);
    return status;
}

enum oto_status oto_error_at(struct oto_error *err, enum oto_status status, uint64_t offset,
                             const char *format, ...)
{
    if (!err)
        return status;
    va_list args;
    va_start(args, format);
    error_fill(err, status, offset, format, args);
    va_end(args);
    return status;
}

enum oto_status oto_error_at_list(struct oto_error *err, enum oto_status status, uint64_t offset,
                                  const char *format, va_list args)
{
    if (err)
        error_fill(err, status, offset, format, args);
    return status;
}

void oto_error_context(struct oto_error *err, const char *format, ...)
{
    if (!err)
        return;
    char text[OTO_ERROR_MESSAGE_MAX];
    va_list args;
    va_start(args, format);
    size_t size = message_format(text, format, args);
    va_end(args);
    static const char separator[] = ": ";
    const char *parts[] = {separator, err->message};
    int cut = 0;
    for (int i = 0; i < 2; i++) {
        size_t room = OTO_ERROR_MESSAGE_MAX - 1 - size, more = strlen(parts[i]);
        cut = more > room;
        more = cut ? room : more;
        memcpy(text + size, parts[i], more);
        size += more;
    }
    size = message_clean(text, size, cut);
    memcpy(err->message, text, size + 1);
}

enum oto_status oto_error_ensure(struct oto_error *err, enum oto_status status, const char *what)
{
    if (status >= 0 || !err || err->status == status)
        return status;
    return oto_error_set(err, status, "%s: %s", what, oto_status_name(status));
}

const char *oto_status_name(enum oto_status status)
{
    switch (status) {
    case OTO_OK:
        return "ok";
    case OTO_AGAIN:
        return "again";
    case OTO_END:
        return "end";
    case OTO_INVALID:
        return "invalid";
    case OTO_TOO_LARGE:
        return "too large";
    case OTO_UNSUPPORTED:
        return "unsupported";
    case OTO_NO_MEMORY:
        return "no memory";
    case OTO_IO:
        return "io";
    case OTO_NO_SPACE:
        return "no space";
    case OTO_UNAVAILABLE:
        return "unavailable";
    case OTO_NOT_FOUND:
        return "not found";
    case OTO_EXISTS:
        return "exists";
    case OTO_CORRUPT:
        return "corrupt";
    case OTO_DENIED:
        return "denied";
    case OTO_TIMEOUT:
        return "timeout";
    case OTO_INTERNAL:
        return "internal";
    }
    return "unknown";
}
