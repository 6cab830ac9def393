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
/* Takes the table and the routing away. 0 also when nothing was there. */
int ruleset_remove(const struct configuration *configuration, char *error, size_t size);

/* Tells the rules whether a consultation is on. 0, or -1 with a message. */
int ruleset_set_consultation(const struct configuration *configuration, bool on, char *error,
                             size_t size);

#define RULESET_NAME 64 /* room for the longest name of a set or a counter */

struct ruleset_counter {
    char name[RULESET_NAME];
    uint64_t packets, bytes;
};

#endif
