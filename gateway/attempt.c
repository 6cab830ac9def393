/* SPDX-License-Identifier: BSD-2-Clause */
/* See attempt.h. */
#include "gateway/attempt.h"

#include <errno.h>
#include <unistd.h>

static void on_connected(evutil_socket_t fd, short what, void *argument)
{
    struct attempt *attempt = argument;
    int error = 0;
    socklen_t size = sizeof(error);

    (void)what;
    if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        attempt_cancel(attempt);
        attempt->callback(attempt->context, ATTEMPT_FAILED, -1);
        return;
    }
    deadline_clear(&attempt->limit);
    attempt->fd = -1;
    attempt->callback(attempt->context, ATTEMPT_CONNECTED, fd);
}

static void on_limit(void *context)
{
    struct attempt *attempt = context;

    attempt_cancel(attempt);
    attempt->callback(attempt->context, ATTEMPT_OVER, -1);
}

void attempt_init(struct attempt *attempt, struct event_base *base, attempt_callback *callback,
                  void *context)
{
    attempt->base = base;
    attempt->callback = callback;
    attempt->context = context;
    attempt->fd = -1;
    deadline_init(&attempt->limit, base, on_limit, attempt);
}

bool attempt_begin(struct attempt *attempt, int fd, const struct sockaddr *to, socklen_t size,
                   int64_t limit)
{
    if (connect(fd, to, size) != 0 && errno != EINPROGRESS) {
        close(fd);
        return false;
    }
    attempt->fd = fd;
    event_assign(&attempt->connected, attempt->base, fd, EV_WRITE, on_connected, attempt);
    event_add(&attempt->connected, NULL);
    if (limit > 0)
        deadline_set(&attempt->limit, limit);
    return true;
}

void attempt_cancel(struct attempt *attempt)
{
    deadline_clear(&attempt->limit);
    if (attempt->fd < 0)
        return;
    event_del(&attempt->connected);
    close(attempt->fd);
    attempt->fd = -1;
}
