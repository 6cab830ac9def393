/* SPDX-License-Identifier: BSD-2-Clause */
/* Deadlines and clocks: see deadline.h. */
#include "gateway/deadline.h"

#include <time.h>

static int64_t read_clock(clockid_t clock, int64_t per_second)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (int64_t)now.tv_sec * per_second + now.tv_nsec / (1000000000 / per_second);
}

int64_t clock_monotonic(void)
{
    return read_clock(CLOCK_MONOTONIC, 1000);
}

int64_t clock_unix(void)
{
    return read_clock(CLOCK_REALTIME, 1);
}

int64_t clock_unix_ms(void)
{
    return read_clock(CLOCK_REALTIME, 1000);
}

int64_t clock_unix_us(void)
{
    return read_clock(CLOCK_REALTIME, 1000000);
}

static void arm(struct deadline *deadline, int64_t now)
{
    int64_t wait = deadline->at > now ? deadline->at - now : 1;
    struct timeval interval = {wait / 1000, (wait % 1000) * 1000};

    deadline->armed = deadline->at;
    evtimer_add(&deadline->timer, &interval);
}

static void on_timer(evutil_socket_t fd, short what, void *argument)
{
    struct deadline *deadline = argument;
    int64_t now = clock_monotonic();

    (void)fd;
    (void)what;
    deadline->armed = 0;
    if (deadline->at == 0)
        return;
    if (deadline->at > now) { /* it moved on since the timer was set */
        arm(deadline, now);
        return;
    }
    deadline->at = 0;
    deadline->expired(deadline->context);
}

void deadline_init(struct deadline *deadline, struct event_base *base,
                   void (*expired)(void *context), void *context)
{
    *deadline = (struct deadline){.expired = expired, .context = context};
    evtimer_assign(&deadline->timer, base, on_timer, deadline);
}

void deadline_set(struct deadline *deadline, int64_t milliseconds)
{
    int64_t now = clock_monotonic();

    deadline->at = now + milliseconds;
    if (deadline->armed == 0 || deadline->armed > deadline->at)
        arm(deadline, now);
}

void deadline_clear(struct deadline *deadline)
{
    deadline->at = 0;
    if (deadline->armed != 0)
        evtimer_del(&deadline->timer);
    deadline->armed = 0;
}
