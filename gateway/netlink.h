/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One question and its answer over netlink, on a socket that is opened once and kept: the routing
 * of TPROXY and the neighbour table ask with it, and what nftables has is read with it. (What it is
 * to have wants a whole transaction: see ruleset_batch.h.)
 */
#ifndef GATEWAY_NETLINK_H
#define GATEWAY_NETLINK_H

#include <libmnl/libmnl.h>
#include <stdbool.h>
#include <stddef.h>

#define NETLINK_MESSAGE 1024 /* room for one request */

struct netlink;

/* NULL with errno. Close-on-exec; an answer that does not come is given up after a second. */
struct netlink *netlink_new(void);
/* The same, that asks nftables. */
struct netlink *netlink_new_nftables(void);
void netlink_free(struct netlink *netlink);

/*
 * Sends a request (made by mnl_nlmsg_put_header() in a buffer of NETLINK_MESSAGE bytes; the flags
 * for request, sequence and acknowledgement are set here) and waits for the end of the answer. With
 * NLM_F_DUMP each row goes to `row`, which returns MNL_CB_OK. 0, or -1 with errno: what the kernel
 * said, or ETIMEDOUT.
 */
int netlink_ask(struct netlink *netlink, struct nlmsghdr *request, mnl_cb_t row, void *context);

/* The attributes behind `head` bytes of payload, by type: table[type], NULL when absent or not
 * below `count`. The last of two equal ones. */
void netlink_attributes(const struct nlmsghdr *message, size_t head, const struct nlattr **table,
                        size_t count);
/* The payload of a u32 attribute; 0 when it is absent or of another length. */
uint32_t netlink_u32(const struct nlattr *attribute);

#endif
