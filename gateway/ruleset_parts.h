/* SPDX-License-Identifier: BSD-2-Clause */
/* What ruleset.c is put together from: address intervals, expressions of rules, policy routing. */
#ifndef GATEWAY_RULESET_PARTS_H
#define GATEWAY_RULESET_PARTS_H

#include "gateway/configuration.h"
#include "gateway/exchange.h"

struct nftnl_rule;

/* --- ruleset_intervals.c: networks as the kernel's interval sets want them --- */

struct interval {
    uint8_t first[16], last[16]; /* both included; the first 4 bytes for IPv4 */
};

/* The `count` networks that are of `family` (4 or 6), sorted, overlapping and adjacent ones merged.
 * The caller frees *intervals; how many there are is returned. */
size_t intervals_merge(const struct network *networks, size_t count, uint8_t family,
                       struct interval **intervals);
/* The address after the interval's last, or false when there is none. */
bool interval_end(const struct interval *interval, uint8_t family, uint8_t end[16]);

/* --- ruleset_rules.c: the table of rules --- */

#define RULESET_TABLE     "sekisho"
#define RULESET_SET_LAN   "lan"
#define RULESET_SET_WEB   "web"
#define RULESET_SET_QUIC4 "quic4"
#define RULESET_SET_QUIC6 "quic6"

/* What the rules depend on. NULL: that family has no transparent listener. */
struct ruleset_facts {
    const struct sockaddr_in *listener4;
    const struct sockaddr_in6 *listener6;
    uint32_t mark;
};
void ruleset_facts_find(const struct configuration *configuration, struct ruleset_facts *facts);

/* How many rows the table has; rule number `index` of them, to be added in this order. *rule is
 * NULL when these facts do not want that rule. The caller frees with nftnl_rule_free(). False: no
 * memory. */
size_t ruleset_rule_count(void);
bool ruleset_rule(const struct ruleset_facts *facts, size_t index, struct nftnl_rule **rule);

/* --- routing.c: packets with the mark are delivered locally --- */

/* 0, or -1 with a message. What an older configuration left is taken away. */
int routing_install(uint32_t mark, uint32_t table, char *error, size_t size);
int routing_remove(uint32_t table, char *error, size_t size);

#endif
