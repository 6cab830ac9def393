/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Who is in a call, by the kernel's own evidence: packets of media that went both ways between a
 * client and a peer. A core without I/O: it is given what the kernel's sets hold, look by look, and
 * says what has begun, what has ended and which peer is none of the service's.
 */
#ifndef GATEWAY_CALLS_H
#define GATEWAY_CALLS_H

#include "gateway/exchange.h"

#define CALLS_MAX  256 /* more clients in calls are not told apart: they are left out */
#define CALL_PEERS 8   /* of one call; more are counted only */
#define CALL_PACKETS                                                                               \
    20 /* to and from a peer that make a call: fewer are checks and keep-alives                    \
        */
#define CALL_SERVICE 64

struct call_peer {
    struct address address;
    bool outside; /* of the service's networks */
    bool told;
    uint64_t packets, bytes; /* since the flow's first answer */
    uint64_t looked;         /* the last look that had it */
};

struct call {
    char service[CALL_SERVICE];
    struct address client;
    int64_t since; /* Unix milliseconds */
    bool on;       /* there were packets enough */
    bool active;   /* there were more packets since the look before */
    bool told;
    uint64_t looked;
    struct call_peer peers[CALL_PEERS];
    size_t peer_count;
};

struct calls;

struct calls *calls_new(void);
void calls_free(struct calls *calls);

/* A look at the kernel begins at `now` (Unix milliseconds). */
void calls_begin(struct calls *calls, int64_t now);
/* One row of it. The same row again, from a dump that began anew, changes nothing. */
void calls_note(struct calls *calls, const char *service, const struct address *client,
                const struct address *peer, bool outside, uint64_t packets, uint64_t bytes);
/*
 * The look is whole: what it did not have is over. Tells each call that has begun or ended, and
 * each peer outside; `peer` is NULL for the former. What `tell` returns false for is told again
 * after the next look, except the end.
 */
enum call_event { CALL_BEGINS, CALL_ENDS, CALL_OUTSIDE };
typedef bool calls_tell(void *context, enum call_event event, const struct call *call,
                        const struct call_peer *peer);
void calls_end(struct calls *calls, calls_tell *tell, void *context);

/* Those that are on, in no order; NULL after the last. */
const struct call *calls_at(const struct calls *calls, size_t index);

#endif
