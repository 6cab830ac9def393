/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP between a client and its origin, in the version that the two of them agreed on: every
 * request and every response is parsed, judged and written anew. HTTP/1.1 carries one exchange
 * after the other, HTTP/2 one on every stream; bodies flow both ways with back-pressure.
 */
#ifndef GATEWAY_SESSION_H
#define GATEWAY_SESSION_H

#include "gateway/flow.h"

/* Takes over flow->near (and flow->far when there is one); flow->http2 says the version. */
struct session *session_new(struct flow *flow);
void session_free(struct session *session);

/*
 * No further exchange after those under way, or after the next where none is: its client could not
 * tell a connection that closes in its face from a failure. With `at_once` an idle one ends now.
 */
void session_drain(struct session *session, bool at_once);

#endif
