/* SPDX-License-Identifier: BSD-2-Clause */
/* What the portal's process (portal.c) and its connections (portal_visit.c) have among themselves.
 */
#ifndef GATEWAY_PORTAL_PRIVATE_H
#define GATEWAY_PORTAL_PRIVATE_H

#include <sys/queue.h>

#include "gateway/deadline.h"
#include "gateway/leaf.h"
#include "gateway/portal_page.h"
#include "gateway/process.h"

#define PORTAL_VISITS    64    /* connections at once; more wait in the listening socket's queue */
#define PORTAL_VISITS_OF 8     /* of one address: the others have their share */
#define PORTAL_PATIENCE  10000 /* ms from the connection to the whole request */
#define PORTAL_SEND      20000 /* ms that the answer may take to leave */

struct visit;

struct portal {
    struct child *child;
    const struct configuration *configuration;
    struct portal_pages *pages; /* NULL: there is nothing to serve */
    SSL_CTX *context;
    struct leaf_cache *leaves;
    struct link *signer;
    struct event **acceptors; /* one for each listener */
    bool accepting, draining;
    LIST_HEAD(, visit) visits;
    size_t count;
};

/* Takes the socket of a connection from that address. */
void visit_begin(struct portal *portal, int fd, bool tls, const struct address *from);
/* Ends one at once. */
void visit_end(struct visit *visit);
/* How many there are from this address. */
size_t visit_count(const struct portal *portal, const struct address *from);

/* A visit is over: whether another may be taken, or the process end. */
void portal_note_end(struct portal *portal);

#endif
