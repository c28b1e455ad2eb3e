#define _GNU_SOURCE
#include "net/loop.h"

#include <assert.h>
#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "os/clock.h"

#define EVENTS_A_ROUND 256
#define HOOKS_MAX 16

struct hook {
    void (*run)(void *state);
    void *state;
};

struct hooks {
    struct hook list[HOOKS_MAX];
    size_t count;
};

struct oto_loop {
    int epoll_fd;
    int wake_fd; // eventfd; data.ptr NULL in epoll
    uint64_t now_ns;
    struct oto_loop_timer **heap; // binary heap by due_ns; timer->slot is its index
    size_t heap_count, heap_capacity;
    struct hooks rounds, flushes;
    // The events of this round; unwatching clears what is still to come.
    struct epoll_event events[EVENTS_A_ROUND];
    int event_next, event_count;
    // From other threads: newest first, turned round when taken.
    _Alignas(64) _Atomic(struct oto_loop_message *) posted;
    atomic_int stopping;
};

struct oto_loop *oto_loop_new(struct oto_error *err)
{
    struct oto_loop *loop = aligned_alloc(64, (sizeof *loop + 63) & ~(size_t)63);
    if (!loop) {
        oto_error_set(err, OTO_NO_MEMORY, "event loop: out of memory");
        return NULL;
    }
    memset(loop, 0, sizeof *loop);
    loop->now_ns = oto_clock_monotonic_ns();
    loop->wake_fd = -1;
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (loop->epoll_fd >= 0)
        loop->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL};
    if (loop->wake_fd < 0 || epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0) {
        oto_error_set(err, OTO_NO_MEMORY, "event loop: %s", strerror(errno));
        oto_loop_free(loop);
        return NULL;
    }
    return loop;
}

void oto_loop_free(struct oto_loop *loop)
{
    if (!loop)
        return;
    if (loop->wake_fd >= 0)
        close(loop->wake_fd);
    if (loop->epoll_fd >= 0)
        close(loop->epoll_fd);
    free(loop->heap);
    free(loop);
}

// --- descriptors ---

static uint32_t to_epoll(unsigned events)
{
    return (events & OTO_LOOP_READ ? EPOLLIN : 0u) | (events & OTO_LOOP_WRITE ? EPOLLOUT : 0u) |
           (events & OTO_LOOP_END ? EPOLLRDHUP : 0u) |
           (events & OTO_LOOP_EXCLUSIVE ? EPOLLEXCLUSIVE : 0u);
}

static unsigned from_epoll(uint32_t events)
{
    return (events & EPOLLIN ? OTO_LOOP_READ : 0u) | (events & EPOLLOUT ? OTO_LOOP_WRITE : 0u) |
           (events & EPOLLRDHUP ? OTO_LOOP_END : 0u) |
           (events & (EPOLLHUP | EPOLLERR) ? OTO_LOOP_HANGUP : 0u);
}

static enum oto_status control(struct oto_loop *loop, int operation, struct oto_loop_watch *watch,
                               unsigned events, struct oto_error *err)
{
    struct epoll_event event = {.events = to_epoll(events), .data.ptr = watch};
    if (epoll_ctl(loop->epoll_fd, operation, watch->fd, &event) != 0)
        return oto_error_set(err, errno == ENOMEM || errno == ENOSPC ? OTO_NO_MEMORY : OTO_IO,
                             "watch descriptor %d: %s", watch->fd, strerror(errno));
    watch->events = events;
    return OTO_OK;
}

enum oto_status oto_loop_watch(struct oto_loop *loop, struct oto_loop_watch *watch, unsigned events,
                               struct oto_error *err)
{
    return control(loop, EPOLL_CTL_ADD, watch, events, err);
}

enum oto_status oto_loop_rewatch(struct oto_loop *loop, struct oto_loop_watch *watch,
                                 unsigned events, struct oto_error *err)
{
    if (watch->events == events)
        return OTO_OK;
    return control(loop, EPOLL_CTL_MOD, watch, events, err);
}

void oto_loop_unwatch(struct oto_loop *loop, struct oto_loop_watch *watch)
{
    struct epoll_event unused = {0};
    epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, watch->fd, &unused);
    watch->events = 0;
    for (int i = loop->event_next; i < loop->event_count; i++)
        if (loop->events[i].data.ptr == watch)
            loop->events[i].events = 0;
}

// --- timers ---

static void heap_put(struct oto_loop *loop, size_t slot, struct oto_loop_timer *timer)
{
    loop->heap[slot] = timer;
    timer->slot = (int32_t)slot;
}

static void heap_up(struct oto_loop *loop, size_t slot, struct oto_loop_timer *timer)
{
    while (slot > 0 && loop->heap[(slot - 1) / 2]->due_ns > timer->due_ns) {
        heap_put(loop, slot, loop->heap[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    heap_put(loop, slot, timer);
}

static void heap_down(struct oto_loop *loop, size_t slot, struct oto_loop_timer *timer)
{
    for (;;) {
        size_t child = 2 * slot + 1;
        if (child >= loop->heap_count)
            break;
        if (child + 1 < loop->heap_count &&
            loop->heap[child + 1]->due_ns < loop->heap[child]->due_ns)
            child++;
        if (loop->heap[child]->due_ns >= timer->due_ns)
            break;
        heap_put(loop, slot, loop->heap[child]);
        slot = child;
    }
    heap_put(loop, slot, timer);
}

void oto_loop_timer_init(struct oto_loop_timer *timer, void (*fired)(struct oto_loop_timer *),
                         void *state)
{
    *timer = (struct oto_loop_timer){.fired = fired, .state = state, .slot = -1};
}

static enum oto_status heap_reserve(struct oto_loop *loop)
{
    if (loop->heap_count < loop->heap_capacity)
        return OTO_OK;
    size_t capacity = loop->heap_capacity ? 2 * loop->heap_capacity : 64;
    if (capacity > INT32_MAX)
        return OTO_NO_MEMORY;
    struct oto_loop_timer **heap = realloc(loop->heap, capacity * sizeof *heap);
    if (!heap)
        return OTO_NO_MEMORY;
    loop->heap = heap;
    loop->heap_capacity = capacity;
    return OTO_OK;
}

enum oto_status oto_loop_timer_arm(struct oto_loop *loop, struct oto_loop_timer *timer,
                                   uint64_t delay_ms)
{
    OTO_TRY(heap_reserve(loop));
    oto_loop_timer_disarm(loop, timer);
    uint64_t delay_ns = delay_ms > UINT32_MAX ? UINT32_MAX * 1000000ull : delay_ms * 1000000ull;
    timer->due_ns = oto_clock_monotonic_ns() + delay_ns;
    heap_up(loop, loop->heap_count++, timer);
    return OTO_OK;
}

void oto_loop_timer_disarm(struct oto_loop *loop, struct oto_loop_timer *timer)
{
    if (timer->slot < 0)
        return;
    size_t slot = (size_t)timer->slot;
    assert(slot < loop->heap_count && loop->heap[slot] == timer);
    timer->slot = -1;
    struct oto_loop_timer *last = loop->heap[--loop->heap_count];
    if (last == timer)
        return;
    if (slot > 0 && loop->heap[(slot - 1) / 2]->due_ns > last->due_ns)
        heap_up(loop, slot, last);
    else
        heap_down(loop, slot, last);
}

static void fire_timers(struct oto_loop *loop)
{
    // A timer re-armed for "at once" is due after now_ns, so this ends.
    while (loop->heap_count > 0 && loop->heap[0]->due_ns <= loop->now_ns) {
        struct oto_loop_timer *timer = loop->heap[0];
        oto_loop_timer_disarm(loop, timer);
        timer->fired(timer);
    }
}

// Milliseconds to sleep, rounded up so that the first timer is due on waking; -1: no timer.
static int sleep_ms(const struct oto_loop *loop)
{
    if (loop->heap_count == 0)
        return -1;
    uint64_t now = oto_clock_monotonic_ns(), due = loop->heap[0]->due_ns;
    if (due <= now)
        return 0;
    uint64_t ms = (due - now + 999999) / 1000000;
    return ms > 3600000 ? 3600000 : (int)ms;
}

// --- messages ---

static void wake(struct oto_loop *loop)
{
    uint64_t one = 1;
    ssize_t n;
    do
        n = write(loop->wake_fd, &one, sizeof one);
    while (n < 0 && errno == EINTR); // EAGAIN: the counter is full, so it wakes anyway
}

void oto_loop_post(struct oto_loop *loop, struct oto_loop_message *message)
{
    struct oto_loop_message *head = atomic_load_explicit(&loop->posted, memory_order_relaxed);
    do
        message->next = head;
    while (!atomic_compare_exchange_weak_explicit(&loop->posted, &head, message,
                                                  memory_order_release, memory_order_relaxed));
    if (!head) // else the one who found it empty has woken, or wakes, the loop
        wake(loop);
}

static void run_messages(struct oto_loop *loop)
{
    struct oto_loop_message *message =
        atomic_exchange_explicit(&loop->posted, NULL, memory_order_acquire);
    struct oto_loop_message *first = NULL;
    while (message) {
        struct oto_loop_message *next = message->next;
        message->next = first;
        first = message;
        message = next;
    }
    while (first) {
        struct oto_loop_message *next = first->next;
        first->run(first);
        first = next;
    }
}

void oto_loop_run_rest(struct oto_loop *loop)
{
    run_messages(loop);
}

// --- the round ---

static void hook_add(struct hooks *hooks, void (*run)(void *), void *state)
{
    assert(hooks->count < HOOKS_MAX);
    hooks->list[hooks->count++] = (struct hook){run, state};
}

static void hook_remove(struct hooks *hooks, void (*run)(void *), void *state)
{
    for (size_t i = 0; i < hooks->count; i++) {
        if (hooks->list[i].run != run || hooks->list[i].state != state)
            continue;
        memmove(&hooks->list[i], &hooks->list[i + 1],
                (hooks->count - i - 1) * sizeof hooks->list[0]);
        hooks->count--;
        return;
    }
}

static void hooks_run(struct hooks *hooks)
{
    for (size_t i = 0; i < hooks->count; i++)
        hooks->list[i].run(hooks->list[i].state);
}

void oto_loop_on_round(struct oto_loop *loop, void (*round)(void *state), void *state)
{
    hook_add(&loop->rounds, round, state);
}

void oto_loop_off_round(struct oto_loop *loop, void (*round)(void *state), void *state)
{
    hook_remove(&loop->rounds, round, state);
}

void oto_loop_on_flush(struct oto_loop *loop, void (*flush)(void *state), void *state)
{
    hook_add(&loop->flushes, flush, state);
}

void oto_loop_off_flush(struct oto_loop *loop, void (*flush)(void *state), void *state)
{
    hook_remove(&loop->flushes, flush, state);
}

static void dispatch(struct oto_loop *loop)
{
    for (loop->event_next = 0; loop->event_next < loop->event_count;) {
        struct epoll_event event = loop->events[loop->event_next++];
        struct oto_loop_watch *watch = event.data.ptr;
        uint64_t count;
        if (!watch) {
            if (read(loop->wake_fd, &count, sizeof count) < 0)
                continue; // spurious
        } else if (event.events != 0) {
            watch->ready(watch, from_epoll(event.events));
        }
    }
    loop->event_count = 0;
}

enum oto_status oto_loop_run(struct oto_loop *loop, struct oto_error *err)
{
    for (;;) {
        // Read before the messages are taken, so that those posted before stopping are run.
        int stopping = atomic_load_explicit(&loop->stopping, memory_order_acquire);
        int timeout = stopping ? 0 : sleep_ms(loop);
        int n = epoll_wait(loop->epoll_fd, loop->events, EVENTS_A_ROUND, timeout);
        if (n < 0 && errno != EINTR)
            return oto_error_set(err, OTO_IO, "event loop: %s", strerror(errno));
        loop->now_ns = oto_clock_monotonic_ns();
        loop->event_count = n > 0 ? n : 0;
        dispatch(loop);
        run_messages(loop);
        fire_timers(loop);
        hooks_run(&loop->rounds);
        hooks_run(&loop->flushes);
        if (stopping) {
            atomic_store_explicit(&loop->stopping, 0, memory_order_relaxed);
            return OTO_OK;
        }
    }
}

void oto_loop_stop(struct oto_loop *loop)
{
    atomic_store_explicit(&loop->stopping, 1, memory_order_release);
    wake(loop);
}

uint64_t oto_loop_now_ns(const struct oto_loop *loop)
{
    return loop->now_ns;
}
