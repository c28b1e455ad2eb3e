// The line that long work shows on a terminal.
#define _GNU_SOURCE
#include "options.h"

#include "os/clock.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define INTERVAL_NS UINT64_C(200000000) // between two looks at the line

void oto_progress_begin(struct oto_progress *progress, const char *unit, uint64_t total)
{
    *progress =
        (struct oto_progress){.unit = unit, .total = total, .started_ns = oto_clock_monotonic_ns()};
    // Work that is done within the first interval shows nothing.
    progress->shown_ns = isatty(STDERR_FILENO) ? progress->started_ns : UINT64_MAX;
}

// "1.2 GiB", "350 rows".
static void amount_text(const char *unit, double amount, char *output, size_t output_size)
{
    static const char *const sizes[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    size_t i = 0;
    if (strcmp(unit, "bytes") != 0) {
        (void)snprintf(output, output_size, "%.0f %s", amount, unit);
        return;
    }
    for (; amount >= 1024 && i + 1 < sizeof(sizes) / sizeof(sizes[0]); i++)
        amount /= 1024;
    (void)snprintf(output, output_size, "%.*f %s", i && amount < 100, amount, sizes[i]);
}

void oto_progress_show(struct oto_progress *progress, uint64_t done)
{
    uint64_t now = oto_clock_monotonic_ns();
    if (progress->shown_ns == UINT64_MAX || now - progress->shown_ns < INTERVAL_NS)
        return;
    char part[64], whole[64] = "", rate[64], share[32] = "";
    double seconds = (double)(now - progress->started_ns) / 1e9;
    amount_text(progress->unit, (double)done, part, sizeof(part));
    amount_text(progress->unit, (double)done / seconds, rate, sizeof(rate));
    if (progress->total) {
        char total[48];
        amount_text(progress->unit, (double)progress->total, total, sizeof(total));
        (void)snprintf(whole, sizeof(whole), " of %s", total);
        double percent = 100 * (double)done / (double)progress->total;
        (void)snprintf(share, sizeof(share), ", %.0f %%", percent < 100 ? percent : 100);
    }
    (void)fprintf(stderr, "\r%s%s%s, %s/s\033[K", part, whole, share, rate);
    (void)fflush(stderr);
    progress->shown_ns = now;
    progress->is_shown = 1;
}

void oto_progress_clear(struct oto_progress *progress)
{
    if (progress->is_shown)
        (void)fputs("\r\033[K", stderr);
    progress->is_shown = 0;
}

void oto_progress_end(struct oto_progress *progress)
{
    oto_progress_clear(progress);
    progress->shown_ns = UINT64_MAX;
}
