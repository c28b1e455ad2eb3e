// Threads, locks and wake-ups: thin names over POSIX, so that no other folder includes <pthread.h>.
#ifndef OTO_OS_THREAD_H
#define OTO_OS_THREAD_H

#include "base/status.h"
#include <pthread.h>

struct oto_mutex {
    pthread_mutex_t raw;
};
struct oto_condition {
    pthread_cond_t raw; // CLOCK_MONOTONIC
};
struct oto_thread {
    pthread_t raw;
    int started;
};

void oto_mutex_init(struct oto_mutex *m);
void oto_mutex_release(struct oto_mutex *m);
void oto_mutex_lock(struct oto_mutex *m);
void oto_mutex_unlock(struct oto_mutex *m);
void oto_condition_init(struct oto_condition *c);
void oto_condition_release(struct oto_condition *c);
void oto_condition_wait(struct oto_condition *c, struct oto_mutex *m);
// OTO_TIMEOUT when deadline_ns (monotonic) passed first.
enum oto_status oto_condition_wait_until(struct oto_condition *c, struct oto_mutex *m,
                                         uint64_t deadline_ns);
void oto_condition_signal(struct oto_condition *c);
void oto_condition_broadcast(struct oto_condition *c);
// name: at most 15 characters, seen in top and gdb. All signals are blocked in the new thread.
OTO_MUST_CHECK enum oto_status oto_thread_start(struct oto_thread *t, const char *name,
                                                void *(*run)(void *), void *state,
                                                struct oto_error *err);
// The calling thread leaves the core to others that want it, the more the higher nice is (0 to 19).
void oto_thread_be_nice(int nice);
void oto_thread_join(struct oto_thread *t); // no-op when not started
// Cores this process may use (affinity and cgroup quota considered), at least 1.
unsigned oto_cpu_count(void);

#endif
