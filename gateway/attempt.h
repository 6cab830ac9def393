/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One try to connect a socket, without blocking. Whoever has several addresses tries them one after
 * the other, and gives each that is not the last a limit.
 */
#ifndef GATEWAY_ATTEMPT_H
#define GATEWAY_ATTEMPT_H

#include <stdbool.h>
#include <sys/socket.h>

#include "gateway/deadline.h"

enum attempt_end { ATTEMPT_CONNECTED, ATTEMPT_FAILED, ATTEMPT_OVER /* its time */ };

/* Called once, from the loop. The connected socket is the receiver's; else it is -1. */
typedef void attempt_callback(void *context, enum attempt_end end, int fd);

struct attempt {
    struct event_base *base;
    attempt_callback *callback;
    void *context;
    int fd; /* while it is being connected, else -1 */
    struct event connected;
    struct deadline limit;
};

/* The base and the context are borrowed for as long as attempts are made. */
void attempt_init(struct attempt *attempt, struct event_base *base, attempt_callback *callback,
                  void *context);

/*
 * Takes the socket, which does not block, and calls back when it is connected, cannot be, or is not
 * within `limit` ms (0: none). False: it cannot be tried; the socket is closed and nobody is
 * called.
 */
bool attempt_begin(struct attempt *attempt, int fd, const struct sockaddr *to, socklen_t size,
                   int64_t limit);

/* Closes what is under way, if anything is; nobody is called. */
void attempt_cancel(struct attempt *attempt);

#endif
