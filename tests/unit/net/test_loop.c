// The event loop: order of timers, messages from other threads, unwatching from inside a callback.
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "net/loop.h"
#include "os/clock.h"
#include "os/thread.h"

#define TIMERS 200

struct ordered {
    struct oto_loop_timer timer;
    struct oto_loop *loop;
    uint64_t *last_due;
    int *fired;
};

static void in_order(struct oto_loop_timer *timer)
{
    struct ordered *o = timer->state;
    assert_true(timer->due_ns >= *o->last_due);
    assert_true(oto_clock_monotonic_ns() >= timer->due_ns);
    *o->last_due = timer->due_ns;
    if (++*o->fired == TIMERS / 2)
        oto_loop_stop(o->loop);
}

static void timers_fire_in_order_and_disarmed_ones_never(void **state)
{
    (void)state;
    static struct ordered all[TIMERS];
    struct oto_loop *loop = oto_loop_new(NULL);
    uint64_t last = 0;
    int fired = 0;
    srand(7);
    for (int i = 0; i < TIMERS; i++) {
        all[i] = (struct ordered){.loop = loop, .last_due = &last, .fired = &fired};
        oto_loop_timer_init(&all[i].timer, in_order, &all[i]);
        assert_int_equal(oto_loop_timer_arm(loop, &all[i].timer, (uint64_t)(rand() % 20)), OTO_OK);
    }
    for (int i = 0; i < TIMERS; i += 2)
        oto_loop_timer_disarm(loop, &all[i].timer);
    oto_loop_timer_disarm(loop, &all[0].timer); // twice is fine
    for (int i = 1; i < TIMERS; i += 4)         // moved while armed
        assert_int_equal(oto_loop_timer_arm(loop, &all[i].timer, (uint64_t)(rand() % 30)), OTO_OK);
    assert_int_equal(oto_loop_run(loop, NULL), OTO_OK);
    assert_int_equal(fired, TIMERS / 2);
    for (int i = 0; i < TIMERS; i++)
        assert_int_equal(all[i].timer.slot, -1);
    oto_loop_free(loop);
}

struct repeated {
    struct oto_loop *loop;
    int left;
};

static void again(struct oto_loop_timer *timer)
{
    struct repeated *r = timer->state;
    if (--r->left == 0)
        oto_loop_stop(r->loop);
    else
        assert_int_equal(oto_loop_timer_arm(r->loop, timer, 1), OTO_OK);
}

static void timer_rearmed_in_its_callback_repeats(void **state)
{
    (void)state;
    struct oto_loop *loop = oto_loop_new(NULL);
    struct repeated r = {loop, 5};
    struct oto_loop_timer timer;
    uint64_t start = oto_clock_monotonic_ns();
    oto_loop_timer_init(&timer, again, &r);
    assert_int_equal(oto_loop_timer_arm(loop, &timer, 1), OTO_OK);
    assert_int_equal(oto_loop_run(loop, NULL), OTO_OK);
    assert_int_equal(r.left, 0);
    assert_true(oto_clock_monotonic_ns() - start >= 5000000);
    oto_loop_free(loop);
}

#define POSTERS 4
#define POSTS 20000

struct poster {
    struct oto_loop *loop;
    int number, last_seen, *total;
};
struct numbered {
    struct oto_loop_message message; // first
    struct poster *poster;
    int number;
};

static void take_numbered(struct oto_loop_message *message)
{
    struct numbered *n = (struct numbered *)message;
    assert_int_equal(n->number, n->poster->last_seen + 1);
    n->poster->last_seen = n->number;
    if (++*n->poster->total == POSTERS * POSTS)
        oto_loop_stop(n->poster->loop);
    free(n);
}

static void *post_many(void *state)
{
    struct poster *p = state;
    for (int i = 1; i <= POSTS; i++) {
        struct numbered *n = malloc(sizeof *n);
        *n = (struct numbered){{NULL, take_numbered}, p, i};
        oto_loop_post(p->loop, &n->message);
    }
    return NULL;
}

static void messages_of_all_threads_come_in_order(void **state)
{
    (void)state;
    struct oto_loop *loop = oto_loop_new(NULL);
    struct poster posters[POSTERS];
    struct oto_thread threads[POSTERS];
    int total = 0;
    for (int i = 0; i < POSTERS; i++) {
        posters[i] = (struct poster){loop, i, 0, &total};
        assert_int_equal(oto_thread_start(&threads[i], "post", post_many, &posters[i], NULL),
                         OTO_OK);
    }
    assert_int_equal(oto_loop_run(loop, NULL), OTO_OK);
    assert_int_equal(total, POSTERS * POSTS);
    for (int i = 0; i < POSTERS; i++)
        oto_thread_join(&threads[i]);
    oto_loop_free(loop);
}

static void messages_before_stop_are_run(void **state)
{
    (void)state;
    struct oto_loop *loop = oto_loop_new(NULL);
    int total = 0;
    struct poster p = {loop, 0, 0, &total};
    struct numbered *n = malloc(sizeof *n);
    *n = (struct numbered){{NULL, take_numbered}, &p, 1};
    oto_loop_post(loop, &n->message);
    oto_loop_stop(loop);
    assert_int_equal(oto_loop_run(loop, NULL), OTO_OK);
    assert_int_equal(total, 1);
    oto_loop_free(loop);
}

struct pair {
    struct oto_loop *loop;
    struct oto_loop_watch watch[2];
    int calls, rounds, flushes;
    int flushed_before_round;
};

static void unwatch_both(struct oto_loop_watch *watch, unsigned events)
{
    struct pair *p = watch->state;
    assert_true(events & OTO_LOOP_READ);
    p->calls++;
    for (int i = 0; i < 2; i++) {
        oto_loop_unwatch(p->loop, &p->watch[i]);
        p->watch[i].state = NULL; // a call for the other one would crash
    }
    oto_loop_stop(p->loop);
}

static void unwatched_in_a_callback_is_not_called(void **state)
{
    (void)state;
    struct pair p = {.loop = oto_loop_new(NULL)};
    int fds[2][2];
    for (int i = 0; i < 2; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds[i]), 0);
        assert_int_equal(write(fds[i][1], "x", 1), 1);
        p.watch[i] = (struct oto_loop_watch){.fd = fds[i][0], .ready = unwatch_both, .state = &p};
        assert_int_equal(oto_loop_watch(p.loop, &p.watch[i], OTO_LOOP_READ, NULL), OTO_OK);
    }
    assert_int_equal(oto_loop_run(p.loop, NULL), OTO_OK);
    assert_int_equal(p.calls, 1);
    for (int i = 0; i < 2; i++) {
        close(fds[i][0]);
        close(fds[i][1]);
    }
    oto_loop_free(p.loop);
}

static void see_hangup(struct oto_loop_watch *watch, unsigned events)
{
    struct pair *p = watch->state;
    assert_true(events & OTO_LOOP_HANGUP);
    oto_loop_unwatch(p->loop, watch);
    oto_loop_stop(p->loop);
}

static void hangup_is_reported_unasked(void **state)
{
    (void)state;
    struct pair p = {.loop = oto_loop_new(NULL)};
    int fds[2];
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
    p.watch[0] = (struct oto_loop_watch){.fd = fds[0], .ready = see_hangup, .state = &p};
    assert_int_equal(oto_loop_watch(p.loop, &p.watch[0], 0, NULL), OTO_OK);
    close(fds[1]);
    assert_int_equal(oto_loop_run(p.loop, NULL), OTO_OK);
    close(fds[0]);
    oto_loop_free(p.loop);
}

static void on_round(void *state)
{
    struct pair *p = state;
    p->rounds++;
    p->flushed_before_round |= p->flushes >= p->rounds;
}

static void on_flush(void *state)
{
    struct pair *p = state;
    if (++p->flushes == 3)
        oto_loop_off_round(p->loop, on_round, p);
    oto_loop_stop(p->loop);
}

static void rounds_come_before_flushes(void **state)
{
    (void)state;
    struct pair p = {.loop = oto_loop_new(NULL)};
    oto_loop_on_flush(p.loop, on_flush, &p);
    oto_loop_on_round(p.loop, on_round, &p);
    for (int i = 0; i < 5; i++) {
        oto_loop_stop(p.loop);
        assert_int_equal(oto_loop_run(p.loop, NULL), OTO_OK);
    }
    assert_true(p.flushes >= 5);
    assert_int_equal(p.rounds, 3);
    assert_false(p.flushed_before_round);
    oto_loop_free(p.loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(timers_fire_in_order_and_disarmed_ones_never),
        cmocka_unit_test(timer_rearmed_in_its_callback_repeats),
        cmocka_unit_test(messages_of_all_threads_come_in_order),
        cmocka_unit_test(messages_before_stop_are_run),
        cmocka_unit_test(unwatched_in_a_callback_is_not_called),
        cmocka_unit_test(hangup_is_reported_unasked),
        cmocka_unit_test(rounds_come_before_flushes),
    };
    return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
