#define _GNU_SOURCE
#include "os/thread.h"
#include "base/bytes.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

void oto_mutex_init(struct oto_mutex *m)
{
    pthread_mutex_init(&m->raw, NULL);
}

void oto_mutex_release(struct oto_mutex *m)
{
    pthread_mutex_destroy(&m->raw);
}

void oto_mutex_lock(struct oto_mutex *m)
{
    pthread_mutex_lock(&m->raw);
}

void oto_mutex_unlock(struct oto_mutex *m)
{
    pthread_mutex_unlock(&m->raw);
}

void oto_condition_init(struct oto_condition *c)
{
    pthread_condattr_t attributes;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&c->raw, &attributes);
    pthread_condattr_destroy(&attributes);
}

void oto_condition_release(struct oto_condition *c)
{
    pthread_cond_destroy(&c->raw);
}

void oto_condition_wait(struct oto_condition *c, struct oto_mutex *m)
{
    pthread_cond_wait(&c->raw, &m->raw);
}

enum oto_status oto_condition_wait_until(struct oto_condition *c, struct oto_mutex *m,
                                         uint64_t deadline_ns)
{
    struct timespec deadline = {
        .tv_sec = (time_t)(deadline_ns / 1000000000u),
        .tv_nsec = (long)(deadline_ns % 1000000000u),
    };
    int result = pthread_cond_timedwait(&c->raw, &m->raw, &deadline);
    return result == ETIMEDOUT ? OTO_TIMEOUT : OTO_OK;
}

void oto_condition_signal(struct oto_condition *c)
{
    pthread_cond_signal(&c->raw);
}

void oto_condition_broadcast(struct oto_condition *c)
{
    pthread_cond_broadcast(&c->raw);
}

enum oto_status oto_thread_start(struct oto_thread *t, const char *name, void *(*run)(void *),
                                 void *state, struct oto_error *err)
{
    sigset_t all, before;
    sigfillset(&all);
    t->started = 0;
    // The new thread inherits the mask, so no signal can reach it between its start and here.
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int result = pthread_create(&t->raw, NULL, run, state);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (result != 0)
        return oto_error_set(err, OTO_NO_MEMORY, "thread %s: %s", name, strerror(result));
    t->started = 1;
    pthread_setname_np(t->raw, name);
    return OTO_OK;
}

void oto_thread_be_nice(int nice)
{
    id_t self = (id_t)syscall(SYS_gettid); // Linux has a priority for each thread
    (void)setpriority(PRIO_PROCESS, self, getpriority(PRIO_PROCESS, self) + nice);
}

void oto_thread_join(struct oto_thread *t)
{
    if (!t->started)
        return;
    pthread_join(t->raw, NULL);
    t->started = 0;
}

static unsigned cpus_by_affinity(void)
{
    // The kernel refuses a mask smaller than its own, so it is doubled until it fits.
    for (size_t cpus = 1024; cpus <= 1 << 20; cpus *= 2) {
        cpu_set_t *set = CPU_ALLOC(cpus);
        if (!set)
            return 1;
        size_t size = CPU_ALLOC_SIZE(cpus);
        int result = sched_getaffinity(0, size, set);
        int saved = errno;
        int count = result == 0 ? CPU_COUNT_S(size, set) : 0;
        CPU_FREE(set);
        if (result == 0)
            return count > 0 ? (unsigned)count : 1;
        if (saved != EINVAL)
            return 1;
    }
    return 1;
}

// Reads a small file into a NUL-terminated text. 0 when it cannot be read.
static int read_small(const char *path, char *text, size_t size)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, text, size - 1);
    close(fd);
    text[n > 0 ? n : 0] = 0;
    return n > 0;
}

// Whole cores that "quota period" allows, rounded up; UINT_MAX for "max".
static unsigned cpus_of_quota(const char *text)
{
    char *end;
    if (oto_text_begins_with(text, "max"))
        return UINT32_MAX;
    unsigned long long quota = strtoull(text, &end, 10);
    unsigned long long period = strtoull(end, NULL, 10);
    if (quota == 0 || period == 0)
        return UINT32_MAX;
    unsigned long long cpus = (quota + period - 1) / period;
    return cpus < UINT32_MAX ? (unsigned)cpus : UINT32_MAX;
}

// The tightest cpu.max (cgroup v2) from this process's group up to the root.
static unsigned cpus_by_cgroup(void)
{
    char groups[4096], path[4096 + 64], quota[64];
    unsigned least = UINT32_MAX;
    if (!read_small("/proc/self/cgroup", groups, sizeof groups))
        return least;
    char *group = strstr(groups, "0::/");
    if (!group || (group != groups && group[-1] != '\n'))
        return least;
    group += 3;
    group[strcspn(group, "\n")] = 0;
    for (;;) {
        snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
        if (read_small(path, quota, sizeof quota)) {
            unsigned cpus = cpus_of_quota(quota);
            least = cpus < least ? cpus : least;
        }
        char *slash = strrchr(group, '/');
        if (!slash)
            return least;
        *slash = 0;
    }
}

unsigned oto_cpu_count(void)
{
    unsigned affinity = cpus_by_affinity(), quota = cpus_by_cgroup();
    unsigned count = affinity < quota ? affinity : quota;
    return count > 0 ? count : 1;
}
