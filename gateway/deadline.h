/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The one timer idiom: a deadline that moves. Progress on a connection moves its deadline thousands
 * of times a second, so moving it later only stores a number; the event loop's timer is touched
 * when it fires.
 */
#ifndef GATEWAY_DEADLINE_H
#define GATEWAY_DEADLINE_H

#include <stdint.h>

#include <event2/event.h>
#include <event2/event_struct.h>

struct deadline {
    struct event timer;
    int64_t at;    /* monotonic ms; 0: none */
    int64_t armed; /* when the timer fires; 0: it is not pending */
    void (*expired)(void *context);
    void *context;
};

/* Monotonic and wall-clock time of this loop turn or now. */
int64_t clock_monotonic(void); /* ms */
int64_t clock_unix(void);      /* s */
int64_t clock_unix_ms(void);
int64_t clock_unix_us(void);

void deadline_init(struct deadline *deadline, struct event_base *base,
                   void (*expired)(void *context), void *context);
/* To be called once, `milliseconds` from now. */
void deadline_set(struct deadline *deadline, int64_t milliseconds);
void deadline_clear(struct deadline *deadline);

#endif
