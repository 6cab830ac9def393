/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A TCP connection to an origin: by name, resolved by the gateway itself, or to an address.
 * Addresses are tried one after the other. Never to the gateway itself or to a local address (no
 * loops).
 */
#ifndef GATEWAY_CONNECTOR_H
#define GATEWAY_CONNECTOR_H

#include "filters/policy.h"
#include "filters/reason.h"

struct worker;
struct connector;

struct connector_result {
    int fd;                 /* connected, non-blocking, TCP_NODELAY; -1 on failure. The callee's. */
    enum reason reason;     /* of the failure */
    struct address address; /* that it went to, or was last tried */
    bool mismatch;          /* the client's destination is not among the name's recent addresses */
};
typedef void connector_callback(void *context, const struct connector_result *result);

/*
 * `host` is a normalised name or an address literal. `wanted` (may be NULL) is where the client was
 * going: it is tried first when it is one of the name's recent addresses. `class` is the
 * destination's: an unknown one is not connected to where the policy denies the country, and then
 * the reason is DENIED_COUNTRY and the address the one that was passed over. The callback comes
 * once, from the event loop, and ends the connector, unless connector_cancel() was called before.
 */
struct connector *connector_new(struct worker *worker, const char *host, uint16_t port,
                                const struct address *wanted, enum destination_class class,
                                connector_callback *callback, void *context);
void connector_cancel(struct connector *connector);

#endif
