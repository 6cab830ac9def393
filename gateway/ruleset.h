/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's part: one nftables table ("inet sekisho") and the policy routing that TPROXY needs,
 * put in place over netlink in one atomic transaction. Fail closed: what TPROXY finds no listener
 * for is dropped, and the rules stay when the daemon dies.
 */
#ifndef GATEWAY_RULESET_H
#define GATEWAY_RULESET_H

#include "gateway/configuration.h"

/* Brings the table to what the configuration says. What is counted, who is in a call, what dnsmasq
 * has found, and whether a consultation is on stay. 0, or -1 with a message in `error`. */
int ruleset_install(const struct configuration *configuration, char *error, size_t size);
/* False when somebody else has changed the rules since ruleset_install(). What its sets hold is not
 * looked at: dnsmasq fills some of them. */
bool ruleset_is_whole(void);
/* Takes the table and the routing away. 0 also when nothing was there. */
int ruleset_remove(const struct configuration *configuration, char *error, size_t size);

/* Tells the rules whether a consultation is on. 0, or -1 with a message. */
int ruleset_set_consultation(const struct configuration *configuration, bool on, char *error,
                             size_t size);

#define RULESET_NAME 64 /* room for the longest name of a set or a counter */

/* One row of the kernel's evidence of calls. */
struct ruleset_call {
    struct address client, peer;
    uint32_t mark;           /* as ruleset_mark() gives it */
    uint64_t packets, bytes; /* both ways, since the first answer */
};
typedef void ruleset_call_visit(void *context, const struct ruleset_call *call);
/* Who has had media in the last half minute. A row may come twice. 0, or -1 with errno. */
int ruleset_calls_read(ruleset_call_visit *visit, void *context);

/*
 * The mark of a service's flows in the kernel's connection table, from its name alone, so that it
 * is the same after a reload. Flows straight to a peer have the second one.
 */
uint32_t ruleset_mark(const char *service, bool peer);
#define RULESET_PERMITTED 1 /* of flows by a permit; ruleset_mark() is never 1 */

struct ruleset_counter {
    char name[RULESET_NAME];
    uint64_t packets, bytes;
};
/* What the rules have counted, to be freed by the caller; how many there are is returned: 0 when
 * there is no table or it cannot be read. */
size_t ruleset_counters_read(struct ruleset_counter **counters);

#endif
