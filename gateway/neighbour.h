/* SPDX-License-Identifier: BSD-2-Clause */
/* Which MAC address an address of the LAN has, by the kernel's neighbour table (rtnetlink; no
 * privilege needed), and which addresses are the gateway's own. */
#ifndef GATEWAY_NEIGHBOUR_H
#define GATEWAY_NEIGHBOUR_H

#include "gateway/exchange.h"

struct neighbours;
/* Opens a netlink socket that is kept, so that it can be used after privileges are dropped. NULL
 * with errno on failure. */
struct neighbours *neighbours_new(void);
void neighbours_free(struct neighbours *neighbours);
/* True when the kernel knows it. Answers are cached; `now` is monotonic milliseconds. */
bool neighbours_find(struct neighbours *neighbours, const struct address *address, int64_t now,
                     uint8_t mac[6]);
/* True for an address that this machine itself has (any interface, loopback included). Cached a few
 * seconds. */
bool neighbours_is_own(struct neighbours *neighbours, const struct address *address, int64_t now);
/* True for an address in one of the networks that this machine's addresses on a link (an interface
 * by its index) say to be there. As fresh as the others. */
bool neighbours_is_on_link(struct neighbours *neighbours, const struct address *address,
                           unsigned link, int64_t now);

#endif
