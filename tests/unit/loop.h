/* SPDX-License-Identifier: BSD-2-Clause */
/* For the tests that need an event loop and descriptors: running the one, counting the others. */
#ifndef TESTS_LOOP_H
#define TESTS_LOOP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "gateway/deadline.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LONG_ENOUGH  10000 /* ms: what takes so long never comes */

static inline void loop_tick(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
}

/* Runs the loop until `*done` is set or the milliseconds are over. Whether it was set. */
static inline bool loop_until(struct event_base *base, const bool *done, int64_t milliseconds)
{
    static const struct timeval often = {0, 2000};
    int64_t end = clock_monotonic() + milliseconds;
    struct event *tick = event_new(base, -1, EV_PERSIST, loop_tick, NULL);

    assert_non_null(tick);
    event_add(tick, &often);
    while (!*done && clock_monotonic() < end)
        event_base_loop(base, EVLOOP_ONCE);
    event_free(tick);
    return *done;
}

static inline void loop_for(struct event_base *base, int64_t milliseconds)
{
    static const bool never;

    loop_until(base, &never, milliseconds);
}

/* What is ready now and what follows from it. */
static inline void loop_settle(struct event_base *base)
{
    for (int turn = 0; turn < 8; turn++)
        event_base_loop(base, EVLOOP_NONBLOCK);
}

/* How many descriptors this process has open: a leak shows. */
static inline unsigned descriptors_open(void)
{
    DIR *directory = opendir("/proc/self/fd");
    unsigned count = 0;

    assert_non_null(directory);
    while (readdir(directory) != NULL)
        count++;
    closedir(directory);
    return count;
}

/* A connected, non-blocking pair of stream sockets; `buffer` 0: as large as the system likes. */
static inline void stream_pair(int fds[2], int buffer)
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    for (int i = 0; i < 2 && buffer > 0; i++)
        assert_int_equal(setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)), 0);
}

/* A connected, non-blocking pair of TCP sockets on the loopback: an RST is TCP's. */
static inline void tcp_pair(int fds[2])
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr = {htonl(INADDR_LOOPBACK)}};
    socklen_t size = sizeof(address);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_int_equal(bind(listener, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(listener, 1), 0);
    assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &size), 0);
    fds[1] = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fds[1], (struct sockaddr *)&address, size), 0);
    assert_int_equal(fcntl(fds[1], F_SETFL, O_NONBLOCK), 0);
    fds[0] = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    assert_true(fds[0] >= 0);
    close(listener);
}

static inline void close_by_reset(int fd)
{
    static const struct linger at_once = {1, 0};

    assert_int_equal(setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once)), 0);
    close(fd);
}

#endif
