/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Watches one request by which the clinic makes a meeting (service.create), and its answer: the
 * join links that appear in the answer first are the clinic's own. After any other method than one
 * that makes something only a redirect is believed. Nothing is kept but hashes.
 */
#ifndef GATEWAY_SESSION_MEETING_H
#define GATEWAY_SESSION_MEETING_H

#include "gateway/flow.h"
#include "gateway/watch.h"

struct meeting_watch;

/* NULL when the request makes no meeting. `fields` are those of the request. */
struct meeting_watch *meeting_watch_new(struct flow *flow, const struct request *request);
/*
 * The answer's head: a redirect's target, and how the body is coded. An answer that begins before
 * the request is over is not believed: nobody knows what it may still echo.
 */
void meeting_watch_answer(struct meeting_watch *watch, const struct response *response,
                          bool request_over);
/* Bytes of the request's body, or of the answer's. NULL does nothing. */
void meeting_watch_feed(struct meeting_watch *watch, enum watch_side side, const void *bytes,
                        size_t size);
void meeting_watch_free(struct meeting_watch *watch);

#endif
