// Clocks. Monotonic for timers and latencies, wall clock for timestamps only.
#ifndef OTO_OS_CLOCK_H
#define OTO_OS_CLOCK_H

#include <stdint.h>

uint64_t oto_clock_monotonic_ns(void);
// Nanoseconds since 1970-01-01T00:00:00Z.
uint64_t oto_clock_wall_ns(void);
// CPU time (user + system, all threads) that this process has used.
uint64_t oto_clock_cpu_ns(void);
// Blocks for about that long; a signal may end it early.
void oto_clock_sleep_ms(uint32_t ms);

#endif
