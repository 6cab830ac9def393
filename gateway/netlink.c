/* SPDX-License-Identifier: BSD-2-Clause */
/* Requests and dumps over one netlink socket. */
#include <errno.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "filters/memory.h"
#include "gateway/netlink.h"

#define NETLINK_ANSWER  32768 /* the kernel fills at most this much of a dump at once */
#define NETLINK_RETRIES 3     /* of a dump that a change of the table has interrupted */

struct netlink {
    struct mnl_socket *socket;
    uint32_t sequence;
    char answer[NETLINK_ANSWER];
};

static struct netlink *netlink_open(int bus)
{
    struct timeval patience = {.tv_sec = 1};
    struct mnl_socket *socket = mnl_socket_open2(bus, SOCK_CLOEXEC);
    struct netlink *netlink;

    if (socket == NULL)
        return NULL;
    if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0 ||
        setsockopt(mnl_socket_get_fd(socket), SOL_SOCKET, SO_RCVTIMEO, &patience,
                   sizeof(patience)) != 0) {
        int saved = errno;

        mnl_socket_close(socket);
        errno = saved;
        return NULL;
    }
    netlink = memory_allocate(1, sizeof(*netlink));
    netlink->socket = socket;
    return netlink;
}

struct netlink *netlink_new(void)
{
    return netlink_open(NETLINK_ROUTE);
}

struct netlink *netlink_new_nftables(void)
{
    return netlink_open(NETLINK_NETFILTER);
}

void netlink_free(struct netlink *netlink)
{
    if (netlink == NULL)
        return;
    mnl_socket_close(netlink->socket);
    free(netlink);
}

/* What is left of an answer that an earlier question gave up on. */
static bool netlink_is_late(const struct netlink *netlink, size_t size)
{
    const struct nlmsghdr *first = (const struct nlmsghdr *)(const void *)netlink->answer;

    return size < sizeof(*first) || first->nlmsg_seq != netlink->sequence;
}

static int netlink_ask_once(struct netlink *netlink, struct nlmsghdr *request, mnl_cb_t row,
                            void *context)
{
    unsigned port = mnl_socket_get_portid(netlink->socket);
    int result = MNL_CB_OK;

    request->nlmsg_seq = ++netlink->sequence;
    if (mnl_socket_sendto(netlink->socket, request, request->nlmsg_len) < 0)
        return -1;
    while (result > MNL_CB_STOP) {
        ssize_t size =
            mnl_socket_recvfrom(netlink->socket, netlink->answer, sizeof(netlink->answer));

        if (size < 0) {
            if (errno == EINTR)
                continue;
            if (errno == EAGAIN)
                errno = ETIMEDOUT;
            return -1;
        }
        if (netlink_is_late(netlink, (size_t)size))
            continue;
        result = mnl_cb_run(netlink->answer, (size_t)size, netlink->sequence, port, row, context);
    }
    return result == MNL_CB_STOP ? 0 : -1;
}

int netlink_ask(struct netlink *netlink, struct nlmsghdr *request, mnl_cb_t row, void *context)
{
    int result = -1;

    request->nlmsg_flags |= NLM_F_REQUEST;
    if ((request->nlmsg_flags & NLM_F_DUMP) != NLM_F_DUMP)
        request->nlmsg_flags |= NLM_F_ACK;
    for (int i = 0; i < NETLINK_RETRIES && result != 0; i++) {
        result = netlink_ask_once(netlink, request, row, context);
        /* libmnl's word for NLM_F_DUMP_INTR: the rows seen so far may be neither old nor new. */
        if (result != 0 && errno != EINTR)
            break;
    }
    return result;
}

struct attribute_table {
    const struct nlattr **attributes;
    size_t count;
};

static int attribute_row(const struct nlattr *attribute, void *context)
{
    struct attribute_table *table = context;

    if (mnl_attr_get_type(attribute) < table->count)
        table->attributes[mnl_attr_get_type(attribute)] = attribute;
    return MNL_CB_OK;
}

void netlink_attributes(const struct nlmsghdr *message, size_t head, const struct nlattr **table,
                        size_t count)
{
    struct attribute_table context = {table, count};

    memset(table, 0, count * sizeof(*table));
    if (mnl_nlmsg_get_payload_len(message) >= head)
        (void)mnl_attr_parse(message, (unsigned)head, attribute_row, &context);
}

uint32_t netlink_u32(const struct nlattr *attribute)
{
    return attribute != NULL && mnl_attr_get_payload_len(attribute) == sizeof(uint32_t)
               ? mnl_attr_get_u32(attribute)
               : 0;
}
