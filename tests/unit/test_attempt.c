/* SPDX-License-Identifier: BSD-2-Clause */
/* Attempts to connect: one end each, nothing left open. */
#include "tests/unit/loop.h"

#include <poll.h>
#include <stdlib.h>

#include "gateway/attempt.h"

struct watch {
    struct attempt attempt;
    struct event_base *base;
    struct sockaddr_in address;
    int listener;
    unsigned open; /* descriptors before an attempt */
    enum attempt_end end;
    int fd;
    unsigned called;
    bool done, again; /* the callback begins another */
};

static int make_socket(void)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    return fd;
}

static bool begin(struct watch *watch, int64_t limit)
{
    return attempt_begin(&watch->attempt, make_socket(), (struct sockaddr *)&watch->address,
                         sizeof(watch->address), limit);
}

static void on_end(void *context, enum attempt_end end, int fd)
{
    struct watch *watch = context;

    watch->called++;
    watch->end = end;
    watch->fd = fd;
    watch->done = !watch->again;
    if (watch->again) {
        watch->again = false;
        assert_true(begin(watch, 30));
    }
}

static int setup(void **state)
{
    struct watch *watch = calloc(1, sizeof(*watch));
    socklen_t size = sizeof(watch->address);

    watch->base = event_base_new();
    watch->address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    watch->listener = make_socket();
    assert_int_equal(bind(watch->listener, (struct sockaddr *)&watch->address, size), 0);
    assert_int_equal(getsockname(watch->listener, (struct sockaddr *)&watch->address, &size), 0);
    attempt_init(&watch->attempt, watch->base, on_end, watch);
    watch->open = descriptors_open();
    *state = watch;
    return 0;
}

static int teardown(void **state)
{
    struct watch *watch = *state;

    assert_int_equal(descriptors_open(), watch->open);
    assert_int_equal(event_base_get_num_events(watch->base, EVENT_BASE_COUNT_ADDED), 0);
    close(watch->listener);
    event_base_free(watch->base);
    free(watch);
    return 0;
}

static void test_connected(void **state)
{
    struct watch *watch = *state;

    assert_int_equal(listen(watch->listener, 4), 0);
    assert_true(begin(watch, 10000));
    assert_int_equal(watch->called, 0); /* from the loop only */
    assert_true(loop_until(watch->base, &watch->done, LONG_ENOUGH));
    assert_int_equal(watch->end, ATTEMPT_CONNECTED);
    assert_int_equal(write(watch->fd, "x", 1), 1);
    attempt_cancel(&watch->attempt); /* nothing is under way: the socket is ours */
    assert_int_equal(write(watch->fd, "x", 1), 1);
    loop_for(watch->base, 20);
    assert_int_equal(watch->called, 1);
    close(watch->fd);
}

static void test_refused(void **state)
{
    struct watch *watch = *state;

    assert_true(begin(watch, 10000));
    assert_true(loop_until(watch->base, &watch->done, LONG_ENOUGH));
    assert_int_equal(watch->end, ATTEMPT_FAILED);
    assert_int_equal(watch->fd, -1);
    loop_for(watch->base, 20);
    assert_int_equal(watch->called, 1);
}

static void test_not_to_be_tried(void **state)
{
    struct watch *watch = *state;

    watch->address.sin_addr.s_addr = htonl(INADDR_BROADCAST);
    assert_false(begin(watch, 10000));
    loop_for(watch->base, 20);
    assert_int_equal(watch->called, 0);
}

/* A listener that accepts nobody lets those wait who come when its queue is full, which is of one.
 */
static int fill(struct watch *watch)
{
    struct pollfd first = {.fd = make_socket(), .events = POLLOUT};

    assert_int_equal(listen(watch->listener, 0), 0);
    (void)connect(first.fd, (struct sockaddr *)&watch->address, sizeof(watch->address));
    assert_int_equal(poll(&first, 1, LONG_ENOUGH), 1);
    return first.fd;
}

static void test_over(void **state)
{
    struct watch *watch = *state;
    int first = fill(watch);

    int64_t from = clock_monotonic();
    assert_true(begin(watch, 50));
    assert_true(loop_until(watch->base, &watch->done, LONG_ENOUGH));
    assert_int_equal(watch->end, ATTEMPT_OVER);
    assert_int_equal(watch->fd, -1);
    assert_true(clock_monotonic() >= from + 50);
    close(first);
}

static void test_another_from_the_callback(void **state)
{
    struct watch *watch = *state;
    int first = fill(watch);

    watch->again = true;
    assert_true(begin(watch, 30));
    assert_true(loop_until(watch->base, &watch->done, LONG_ENOUGH));
    assert_int_equal(watch->called, 2);
    assert_int_equal(watch->end, ATTEMPT_OVER);
    close(first);
}

static void test_cancelled(void **state)
{
    struct watch *watch = *state;

    assert_int_equal(listen(watch->listener, 4), 0);
    assert_true(begin(watch, 20));
    attempt_cancel(&watch->attempt);
    attempt_cancel(&watch->attempt);
    loop_for(watch->base, 60);
    assert_int_equal(watch->called, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_connected, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_not_to_be_tried, setup, teardown),
        cmocka_unit_test_setup_teardown(test_over, setup, teardown),
        cmocka_unit_test_setup_teardown(test_another_from_the_callback, setup, teardown),
        cmocka_unit_test_setup_teardown(test_cancelled, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
