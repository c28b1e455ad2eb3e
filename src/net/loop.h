// One event loop a thread: readiness of file descriptors, timers, and messages from other threads.
// Only oto_loop_post and oto_loop_stop may be called from another thread.
#ifndef OTO_NET_LOOP_H
#define OTO_NET_LOOP_H

#include "base/status.h"

struct oto_loop;

#define OTO_LOOP_READ 1u
#define OTO_LOOP_WRITE 2u
#define OTO_LOOP_HANGUP 4u // reported, asked for or not, until unwatched
#define OTO_LOOP_END 16u   // the peer has sent its last byte, read or not; reported when asked for
// Asked for with a listening socket that several loops share: one of them is woken, not all. Not
// with rewatch.
#define OTO_LOOP_EXCLUSIVE 8u

struct oto_loop *oto_loop_new(struct oto_error *err); // NULL on failure
void oto_loop_free(struct oto_loop *loop);

// A watched descriptor. The caller owns the struct and the fd; it must stay in place until
// unwatched.
struct oto_loop_watch {
    int fd;
    void (*ready)(struct oto_loop_watch *watch, unsigned events);
    void *state;
    unsigned events; // what is asked for now
};
OTO_MUST_CHECK enum oto_status oto_loop_watch(struct oto_loop *loop, struct oto_loop_watch *watch,
                                              unsigned events, struct oto_error *err);
OTO_MUST_CHECK enum oto_status oto_loop_rewatch(struct oto_loop *loop, struct oto_loop_watch *watch,
                                                unsigned events, struct oto_error *err);
// Safe inside any callback, also for a watch that is ready in the same round.
void oto_loop_unwatch(struct oto_loop *loop, struct oto_loop_watch *watch);

// A one-shot timer; re-arm it in its callback to repeat. The caller owns the struct.
struct oto_loop_timer {
    void (*fired)(struct oto_loop_timer *timer);
    void *state;
    uint64_t due_ns; // monotonic
    int32_t slot;    // -1 when not armed; the loop's own. Start with oto_loop_timer_init.
};
void oto_loop_timer_init(struct oto_loop_timer *timer, void (*fired)(struct oto_loop_timer *),
                         void *state);
OTO_MUST_CHECK enum oto_status oto_loop_timer_arm(struct oto_loop *loop,
                                                  struct oto_loop_timer *timer, uint64_t delay_ms);
void oto_loop_timer_disarm(struct oto_loop *loop, struct oto_loop_timer *timer);

// A message from any thread, run on the loop's thread in order of posting. The poster owns nothing
// after posting; `run` gets the struct back and frees it. Never fails, never blocks: an intrusive
// lock-free list and one eventfd.
struct oto_loop_message {
    struct oto_loop_message *next;
    void (*run)(struct oto_loop_message *message);
};
void oto_loop_post(struct oto_loop *loop, struct oto_loop_message *message);
// Runs what was posted after the loop had stopped. By the thread that is about to free it.
void oto_loop_run_rest(struct oto_loop *loop);

// Runs after each round of events, before the loop sleeps: where a group of requests is committed
// as one. Several may be set (16 at most); they run in the order of setting.
void oto_loop_on_round(struct oto_loop *loop, void (*round)(void *state), void *state);
void oto_loop_off_round(struct oto_loop *loop, void (*round)(void *state), void *state);
// Runs after those of oto_loop_on_round: where what the round has produced is written out (HTTP
// servers use it).
void oto_loop_on_flush(struct oto_loop *loop, void (*flush)(void *state), void *state);
void oto_loop_off_flush(struct oto_loop *loop, void (*flush)(void *state), void *state);

// Runs until stopped. Messages posted before oto_loop_stop are run.
enum oto_status oto_loop_run(struct oto_loop *loop, struct oto_error *err);
void oto_loop_stop(struct oto_loop *loop);
// Monotonic time at the start of this round.
uint64_t oto_loop_now_ns(const struct oto_loop *loop);

#endif
