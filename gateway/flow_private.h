/* SPDX-License-Identifier: BSD-2-Clause */
/* What the parts of a flow, flow*.c, have among themselves. */
#ifndef GATEWAY_FLOW_PRIVATE_H
#define GATEWAY_FLOW_PRIVATE_H

#include "gateway/flow.h"

/* TLS alert descriptions (RFC 8446, section 6). */
enum alert {
    ALERT_HANDSHAKE_FAILURE = 40,
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_ACCESS_DENIED = 49,
    ALERT_DECODE_ERROR = 50,
    ALERT_PROTOCOL_VERSION = 70,
    ALERT_INTERNAL_ERROR = 80,
    ALERT_INAPPROPRIATE_FALLBACK = 86, /* RFC 7507 */
    ALERT_MISSING_EXTENSION = 109,     /* section 9.2: what a missing SNI meets */
    ALERT_NO_APPLICATION_PROTOCOL = 120,
    ALERT_ECH_REQUIRED = 121 /* RFC 9849 section 6.1.6 */
};

/* --- flow.c --- */

/* A fatal alert, in the clear: only before the handshake with the client began. */
void flow_send_alert(struct flow *flow, enum alert alert);
/* HTTP from here on: plain, or inside the TLS that we ended. */
void flow_begin_session(struct flow *flow);

/* --- flow_hello.c --- */

/* Reads the ClientHello, asks the policy, and goes on as it says. */
void flow_read_hello(struct flow *flow);

/* --- flow_connect.c --- */

/* The policy's verdict is carried out. Each may free the flow. */
void flow_splice(struct flow *flow);
void flow_inspect(struct flow *flow);
/* By a session without an origin, in what the client speaks. */
void flow_answer(struct flow *flow);

/* --- flow_record.c --- */

/* A record with the flow's reason, rule and service, and what is known of the certificate. */
void flow_report(struct flow *flow, enum record_event event, enum reason reason,
                 const char *detail);
/* A spliced flow is told of when it is over: only then are its bytes known. */
void flow_report_relay(struct flow *flow);

#endif
