#include "api/log.h"

#include "os/clock.h"
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static const char *const level_names[] = {"debug", "info", "warn", "error"};

enum oto_log_level oto_log_level_from_name(const char *name)
{
    for (int i = 0; i < 4; i++)
        if (strcmp(level_names[i], name) == 0)
            return (enum oto_log_level)i;
    return OTO_LOG_INFO;
}

// Control characters become \uXXXX, which both forms show harmlessly; bytes over 0x7f pass.
static size_t escape(const char *text, int json, char *output, size_t output_size)
{
    size_t used = 0;
    for (; *text && used + 7 < output_size; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f)
            used += (size_t)snprintf(output + used, output_size - used, "\\u%04x", c);
        else if (json && (c == '"' || c == '\\'))
            used += (size_t)snprintf(output + used, output_size - used, "\\%c", c);
        else
            output[used++] = (char)c;
    }
    output[used] = 0;
    return used;
}

static void write_line(const struct oto_log *log, enum oto_log_level level, const char *message)
{
    char text[2048], line[2304], when[40];
    uint64_t now = oto_clock_wall_ns();
    time_t seconds = (time_t)(now / 1000000000u);
    struct tm tm;
    gmtime_r(&seconds, &tm);
    size_t size = strftime(when, sizeof(when), "%Y-%m-%dT%H:%M:%S", &tm);
    (void)snprintf(when + size, sizeof(when) - size, ".%03uZ", (unsigned)(now / 1000000u % 1000u));
    escape(message, log->json, text, sizeof(text));
    int length = log->json
                     ? snprintf(line, sizeof(line),
                                "{\"time\":\"%s\",\"level\":\"%s\",\"message\":\"%s\"}\n", when,
                                level_names[level], text)
                     : snprintf(line, sizeof(line), "%s %-5s %s\n", when, level_names[level], text);
    if (length > 0) {
        ssize_t ignored = write(STDERR_FILENO, line,
                                (size_t)length < sizeof(line) ? (size_t)length : sizeof(line) - 1);
        (void)ignored; // nowhere to report a failing standard error
    }
}

void oto_log_write(const struct oto_log *log, enum oto_log_level level, const char *format, ...)
{
    if (level < log->level)
        return;
    char message[1024];
    va_list arguments;
    va_start(arguments, format);
    (void)vsnprintf(message, sizeof(message), format, arguments);
    va_end(arguments);
    write_line(log, level, message);
}

void oto_log_callback(void *state, const char *level, const char *message)
{
    const struct oto_log *log = state;
    enum oto_log_level parsed = oto_log_level_from_name(level);
    if (parsed >= log->level)
        write_line(log, parsed, message);
}
