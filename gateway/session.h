/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP/1.1 between a client and its origin, one exchange after the other: every request and every
 * response is parsed, judged and written anew. The client's requests are read only as far as the
 * exchange under way needs: bodies stream both ways with back-pressure.
 */
#ifndef GATEWAY_SESSION_H
#define GATEWAY_SESSION_H

#include "gateway/flow.h"

/* Takes over flow->near (and flow->far when there is one). */
struct session *session_new(struct flow *flow);
void session_free(struct session *session);

/*
 * No further exchange after the one under way, or after the next where none is: its client could not
 * tell a connection that closes in its face from a failure. With `at_once` an idle one ends now.
 */
void session_drain(struct session *session, bool at_once);

#endif
