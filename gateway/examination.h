/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The worker's side of the examiner: what is dangerous to open goes there as it arrives, and facts
 * come back. The worker holds none of the bytes. Whatever goes wrong, too much under way, the
 * examiner dead or silent, the answer is EXAMINATION_OPAQUE: nobody knows what is in it.
 *
 * Used from one thread. Uses the link and the event base (timers).
 */
#ifndef GATEWAY_EXAMINATION_H
#define GATEWAY_EXAMINATION_H

#include <event2/event.h>

#include "filters/span.h"
#include "gateway/message.h"

#define EXAMINATION_BYTES_MAX 8388608u  /* of one thing */
#define EXAMINATIONS_MAX      96        /* under way in one worker */
#define EXAMINATIONS_BYTES    16777216u /* of all of them together */
#define EXAMINATION_TIMEOUT   5000      /* ms from its end to the answer at the most */
#define EXAMINATION_TEXTS_MAX 16        /* of one thing */
#define EXAMINATION_TEXT_MAX  4096      /* bytes of one text */

/* X(symbol, name): what the worker takes it for. */
#define EXAMINATION_KINDS(X) X(PICTURE, "picture") /* the texts of the QR codes in it */

/* X(symbol, name) */
#define EXAMINATION_STATUSES(X)                                                                    \
    X(WHOLE, "whole")     /* opened: the texts are all that was found */                           \
    X(PARTIAL, "partial") /* damaged: what was found as far as it could be opened */               \
    X(UNKNOWN, "unknown") /* in no format that the examiner knows */                               \
    X(OPAQUE, "opaque")   /* it could not be opened; there may be texts all the same */

enum examination_kind {
#define X(symbol, name) EXAMINATION_##symbol,
    EXAMINATION_KINDS(X)
#undef X
        EXAMINATION_KIND_COUNT
};
enum examination_status {
#define X(symbol, name) EXAMINATION_##symbol,
    EXAMINATION_STATUSES(X)
#undef X
        EXAMINATION_STATUS_COUNT
};
const char *examination_kind_name(enum examination_kind kind);
const char *examination_status_name(enum examination_status status);

struct examinations;
struct examination;

/* Borrows the base. */
struct examinations *examinations_new(struct event_base *base);

/* Those under way are dropped without their callbacks. Not from inside a callback. */
void examinations_free(struct examinations *examinations);

/*
 * The link to the examiner, borrowed; NULL when it is gone (call it before the link is freed, or
 * from its handler with MESSAGE_NONE). What was under way becomes opaque: its bytes are gone. The
 * callbacks come later, from the loop.
 */
void examinations_set_link(struct examinations *examinations, struct link *link);

/*
 * A message of the examiner as link_handler gives it: EXAMINED_TEXT or EXAMINED. Calls the callback
 * of whom it serves. 0, or -1 when it is of another type or malformed.
 */
int examinations_receive(struct examinations *examinations, enum message_type type,
                         const void *payload, size_t size);

/* How many are under way, and their bytes, for the status. */
size_t examinations_count(const struct examinations *examinations);
size_t examinations_bytes(const struct examinations *examinations);

/*
 * Begins one. `size` is how many bytes will come, 0 when that is not known. NULL when there is no
 * examiner or a bound is reached: it is opaque, and there is nothing to call.
 */
struct examination *examination_begin(struct examinations *examinations, enum examination_kind kind,
                                      uint64_t size);

/*
 * More of its bytes. False when it has become opaque: no more need be fed, and examination_end()
 * and examination_cancel() are called as always.
 */
bool examination_feed(struct examination *examination, const void *bytes, size_t size);

/*
 * Called once, never before examination_end() has returned. The texts are borrowed for the length
 * of the call. It may call every function here but examinations_free(); the examination itself is
 * over and must not be used.
 */
typedef void examination_callback(void *context, enum examination_status status,
                                  const struct span *texts, size_t count);

/* That was all of it. */
void examination_end(struct examination *examination, examination_callback *callback,
                     void *context);

/* The callback will not be called. Before it was, at any time; NULL does nothing. */
void examination_cancel(struct examination *examination);

#endif
