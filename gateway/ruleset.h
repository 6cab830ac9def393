/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's part: one nftables table ("inet sekisho") and the policy routing that TPROXY needs,
 * put in place over netlink in one atomic transaction. Fail closed: what TPROXY finds no listener
 * for is dropped, and the rules stay when the daemon dies.
 */
#ifndef GATEWAY_RULESET_H
#define GATEWAY_RULESET_H

#include "gateway/configuration.h"

/* Replaces the whole table by what the configuration says. 0, or -1 with a message in `error`. */
int ruleset_install(const struct configuration *configuration, char *error, size_t size);
/* Takes the table and the routing away. 0 also when nothing was there. */
int ruleset_remove(const struct configuration *configuration, char *error, size_t size);

#endif
