/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlines: once, never early, and cheap to move. */
#include "tests/unit/loop.h"

#include <stdlib.h>
#include <time.h>

struct watch {
    struct deadline deadline;
    unsigned fired;
    int64_t fired_at;
    bool done;
    int64_t again;       /* ms: the callback sets it again so long, once; 0: it does not */
    bool clear, release; /* the callback clears the deadline, frees the watch */
    unsigned *released;
};

static struct event_base *base;

static void on_expired(void *context)
{
    struct watch *watch = context;

    watch->fired++;
    watch->fired_at = clock_monotonic();
    if (watch->again != 0) {
        deadline_set(&watch->deadline, watch->again);
        watch->again = 0;
        return;
    }
    watch->done = true;
    if (watch->clear)
        deadline_clear(&watch->deadline);
    if (watch->release) {
        ++*watch->released;
        free(watch);
    }
}

static int setup(void **state)
{
    struct watch *watch = calloc(1, sizeof(*watch));

    base = event_base_new();
    deadline_init(&watch->deadline, base, on_expired, watch);
    *state = watch;
    return 0;
}

static int teardown(void **state)
{
    struct watch *watch = *state;

    deadline_clear(&watch->deadline);
    free(watch);
    assert_int_equal(event_base_get_num_events(base, EVENT_BASE_COUNT_ADDED), 0);
    event_base_free(base);
    return 0;
}

static void test_never_early(void **state)
{
    struct watch *watch = *state;
    static const int64_t waits[] = {-5, 0, 1, 2, 7, 30, 100};

    for (size_t i = 0; i < COUNT(waits); i++) {
        watch->fired = 0;
        watch->done = false;
        int64_t from = clock_monotonic();
        deadline_set(&watch->deadline, waits[i]);
        assert_int_equal(watch->fired, 0); /* from the loop only */
        assert_true(loop_until(base, &watch->done, LONG_ENOUGH));
        assert_true(watch->fired_at >= from + waits[i]);
        assert_true(watch->fired_at < from + waits[i] + 2000);
        loop_for(base, 5);
        assert_int_equal(watch->fired, 1);
        assert_int_equal(watch->deadline.at, 0);
        assert_int_equal(watch->deadline.armed, 0);
    }
}

static void test_moves_later(void **state)
{
    struct watch *watch = *state;
    int64_t last = 0;

    deadline_set(&watch->deadline, 20);
    int64_t armed = watch->deadline.armed;
    for (int i = 0; i < 1000; i++) {
        last = clock_monotonic();
        deadline_set(&watch->deadline, 400);
        assert_int_equal(watch->deadline.armed, armed); /* the loop's timer is left alone */
        assert_true(watch->deadline.at >= last + 400);
    }
    /* and again while the loop runs, beyond where the timer first stood */
    loop_for(base, 40);
    assert_int_equal(watch->fired, 0);
    last = clock_monotonic();
    deadline_set(&watch->deadline, 60);
    assert_true(loop_until(base, &watch->done, LONG_ENOUGH));
    assert_true(watch->fired_at >= last + 60);
    assert_int_equal(watch->fired, 1);
}

static void test_moves_earlier(void **state)
{
    struct watch *watch = *state;

    deadline_set(&watch->deadline, 60000);
    int64_t from = clock_monotonic();
    deadline_set(&watch->deadline, 10);
    assert_true(loop_until(base, &watch->done, LONG_ENOUGH));
    assert_true(watch->fired_at >= from + 10);
    loop_for(base, 20);
    assert_int_equal(watch->fired, 1);
}

/* Later, and then earlier than that but still later than the timer. */
static void test_moves_to_and_fro(void **state)
{
    struct watch *watch = *state;

    deadline_set(&watch->deadline, 10);
    deadline_set(&watch->deadline, 60000);
    int64_t from = clock_monotonic();
    deadline_set(&watch->deadline, 40);
    assert_true(loop_until(base, &watch->done, LONG_ENOUGH));
    assert_true(watch->fired_at >= from + 40);
    assert_int_equal(watch->fired, 1);
    /* after the timer was moved on by itself */
    watch->done = false;
    deadline_set(&watch->deadline, 5);
    deadline_set(&watch->deadline, 60000);
    loop_for(base, 20);
    from = clock_monotonic();
    deadline_set(&watch->deadline, 10);
    assert_true(loop_until(base, &watch->done, LONG_ENOUGH));
    assert_true(watch->fired_at >= from + 10);
    assert_int_equal(watch->fired, 2);
}

static void test_clear(void **state)
{
    struct watch *watch = *state;

    deadline_clear(&watch->deadline); /* was never set */
    deadline_set(&watch->deadline, 5);
    deadline_clear(&watch->deadline);
    deadline_clear(&watch->deadline);
    loop_for(base, 20);
    assert_int_equal(watch->fired, 0);
    /* when it is due already */
    deadline_set(&watch->deadline, 1);
    usleep(5000);
    deadline_clear(&watch->deadline);
    loop_for(base, 10);
    assert_int_equal(watch->fired, 0);
    deadline_set(&watch->deadline, 5);
    assert_true(loop_until(base, &watch->done, LONG_ENOUGH));
    assert_int_equal(watch->fired, 1);
}

struct slow {
    struct watch *watch;
    int64_t from;
    bool done;
};

static void set_late(evutil_socket_t fd, short what, void *context)
{
    struct slow *slow = context;

    (void)fd;
    (void)what;
    usleep(50000);
    slow->from = clock_monotonic();
    deadline_set(&slow->watch->deadline, 30);
    slow->done = true;
}

/* The loop's cached time is old after a long callback: a deadline counts from now all the same. */
static void test_after_slow_callback(void **state)
{
    struct watch *watch = *state;
    struct slow slow = {.watch = watch};
    static const struct timeval soon = {0, 1000};

    event_base_once(base, -1, EV_TIMEOUT, set_late, &slow, &soon);
    assert_true(loop_until(base, &watch->done, LONG_ENOUGH));
    assert_true(slow.done);
    assert_true(watch->fired_at >= slow.from + 30);
}

static void test_set_again_in_callback(void **state)
{
    struct watch *watch = *state;

    watch->again = 15;
    int64_t from = clock_monotonic();
    deadline_set(&watch->deadline, 10);
    assert_true(loop_until(base, &watch->done, LONG_ENOUGH));
    assert_int_equal(watch->fired, 2);
    assert_true(watch->fired_at >= from + 25);
}

static void test_clear_in_callback(void **state)
{
    struct watch *watch = *state;

    watch->clear = true;
    deadline_set(&watch->deadline, 2);
    assert_true(loop_until(base, &watch->done, LONG_ENOUGH));
    loop_for(base, 10);
    assert_int_equal(watch->fired, 1);
}

static void test_free_in_callback(void **state)
{
    (void)state;
    unsigned released = 0;

    for (int i = 0; i < 3; i++) {
        struct watch *other = calloc(1, sizeof(*other));
        other->release = true;
        other->released = &released;
        deadline_init(&other->deadline, base, on_expired, other);
        deadline_set(&other->deadline, 1 + i);
    }
    loop_for(base, 40);
    assert_int_equal(released, 3);
}

static void test_clocks(void **state)
{
    (void)state;
    int64_t before = time(NULL);
    int64_t s = clock_unix(), ms = clock_unix_ms(), us = clock_unix_us();
    int64_t after = time(NULL);

    assert_true(before - 1 <= s && s <= after + 1);
    assert_true(s <= ms / 1000 && ms / 1000 <= s + 1);
    assert_true(ms <= us / 1000 && us / 1000 <= ms + 1000);
    int64_t last = clock_monotonic();
    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_monotonic();
        assert_true(now >= last);
        last = now;
    }
    usleep(20000);
    assert_true(clock_monotonic() >= last + 19);
    assert_true(clock_monotonic() < last + 5000);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_never_early),
        TEST(test_moves_later),
        TEST(test_moves_earlier),
        TEST(test_moves_to_and_fro),
        TEST(test_clear),
        TEST(test_after_slow_callback),
        TEST(test_set_again_in_callback),
        TEST(test_clear_in_callback),
        TEST(test_free_in_callback),
        TEST(test_clocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
