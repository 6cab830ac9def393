/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Policy routing for TPROXY: what carries the mark looks into a table of its own, whose only route
 * delivers everything locally. The rules and routes carry a protocol number of their own, by which
 * those of an older configuration are found again.
 */
#include <errno.h>
#include <linux/fib_rules.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "gateway/netlink.h"
#include "gateway/ruleset_parts.h"

#define ROUTING_PROTOCOL 83   /* "S"; unassigned in rtnetlink.h and iproute2's rt_protos */
#define ROUTING_PRIORITY 1000 /* before main (32766), after local (0) */
#define ROUTING_RULES    32   /* of ours, that a dump is searched for */

static const uint8_t families[] = {AF_INET, AF_INET6};

struct rule_key {
    uint32_t mark, table, priority;
};
struct rule_list {
    uint8_t family;
    size_t count;
    struct rule_key rules[ROUTING_RULES];
};

/* Without IPv6 (not built, switched off at boot or by disable_ipv6) no packet of it can come in. */
static bool family_is_absent(uint8_t family, int error)
{
    return family == AF_INET6 &&
           (error == EAFNOSUPPORT || error == EOPNOTSUPP || error == EACCES || error == EINVAL);
}

static struct nlmsghdr *rule_request(char *buffer, uint16_t type, uint16_t flags, uint8_t family,
                                     const struct rule_key *key)
{
    struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
    struct fib_rule_hdr *rule = mnl_nlmsg_put_extra_header(request, sizeof(*rule));

    request->nlmsg_type = type;
    request->nlmsg_flags = flags;
    rule->family = family;
    if (key == NULL)
        return request;
    rule->action = FR_ACT_TO_TBL;
    mnl_attr_put_u32(request, FRA_PRIORITY, key->priority);
    mnl_attr_put_u32(request, FRA_FWMARK, key->mark);
    mnl_attr_put_u32(request, FRA_TABLE, key->table);
    mnl_attr_put_u8(request, FRA_PROTOCOL, ROUTING_PROTOCOL);
    return request;
}

/* local default dev lo table TABLE */
static struct nlmsghdr *route_request(char *buffer, uint16_t type, uint16_t flags, uint8_t family,
                                      uint32_t table)
{
    struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);
    struct rtmsg *route = mnl_nlmsg_put_extra_header(request, sizeof(*route));

    request->nlmsg_type = type;
    request->nlmsg_flags = flags;
    route->rtm_family = family;
    route->rtm_table = RT_TABLE_UNSPEC; /* the attribute says it: a table is 32 bits */
    route->rtm_protocol = ROUTING_PROTOCOL;
    route->rtm_scope = family == AF_INET ? RT_SCOPE_HOST : RT_SCOPE_UNIVERSE;
    route->rtm_type = RTN_LOCAL;
    mnl_attr_put_u32(request, RTA_TABLE, table);
    mnl_attr_put_u32(request, RTA_OIF, if_nametoindex("lo"));
    return request;
}

static int rule_row(const struct nlmsghdr *message, void *context)
{
    const struct fib_rule_hdr *rule = mnl_nlmsg_get_payload(message);
    const struct nlattr *attributes[FRA_MAX + 1], *protocol;
    struct rule_list *list = context;

    if (mnl_nlmsg_get_payload_len(message) < sizeof(*rule) || rule->family != list->family)
        return MNL_CB_OK;
    netlink_attributes(message, sizeof(*rule), attributes, FRA_MAX + 1);
    protocol = attributes[FRA_PROTOCOL];
    if (protocol == NULL || mnl_attr_get_payload_len(protocol) != 1 ||
        mnl_attr_get_u8(protocol) != ROUTING_PROTOCOL || list->count == ROUTING_RULES)
        return MNL_CB_OK;
    list->rules[list->count++] =
        (struct rule_key){.mark = netlink_u32(attributes[FRA_FWMARK]),
                          .table = netlink_u32(attributes[FRA_TABLE]),
                          .priority = netlink_u32(attributes[FRA_PRIORITY])};
    return MNL_CB_OK;
}

static int route_delete(struct netlink *netlink, uint8_t family, uint32_t table)
{
    char buffer[NETLINK_MESSAGE];

    if (netlink_ask(netlink, route_request(buffer, RTM_DELROUTE, 0, family, table), NULL, NULL) ==
            0 ||
        errno == ESRCH || errno == ENOENT || family_is_absent(family, errno))
        return 0;
    return -1;
}

/* Takes away every rule of ours, with its route, but the one to keep (may be NULL). */
static int family_clean(struct netlink *netlink, uint8_t family, const struct rule_key *keep)
{
    struct rule_list list = {.family = family};
    char buffer[NETLINK_MESSAGE];

    if (netlink_ask(netlink, rule_request(buffer, RTM_GETRULE, NLM_F_DUMP, family, NULL), rule_row,
                    &list) != 0)
        return family_is_absent(family, errno) ? 0 : -1;
    for (size_t i = 0; i < list.count; i++) {
        const struct rule_key *key = &list.rules[i];

        if (keep != NULL && memcmp(key, keep, sizeof(*key)) == 0)
            continue;
        if (netlink_ask(netlink, rule_request(buffer, RTM_DELRULE, 0, family, key), NULL, NULL) !=
                0 &&
            errno != ENOENT)
            return -1;
        if ((keep == NULL || key->table != keep->table) &&
            route_delete(netlink, family, key->table) != 0)
            return -1;
    }
    return 0;
}

/* The new ones first, then the old ones go: at no moment is there none. */
static int family_install(struct netlink *netlink, uint8_t family, const struct rule_key *key)
{
    char buffer[NETLINK_MESSAGE];

    if (netlink_ask(
            netlink,
            route_request(buffer, RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, family, key->table),
            NULL, NULL) != 0)
        return family_is_absent(family, errno) ? 0 : -1;
    if (netlink_ask(netlink,
                    rule_request(buffer, RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, family, key), NULL,
                    NULL) != 0 &&
        errno != EEXIST)
        return -1;
    return family_clean(netlink, family, key);
}

/* The tables of the system itself: a default route to lo in them would cut the gateway off. */
static bool table_is_reserved(uint32_t table)
{
    return table == RT_TABLE_UNSPEC || (table >= RT_TABLE_DEFAULT && table <= RT_TABLE_LOCAL);
}

int routing_install(uint32_t mark, uint32_t table, char *error, size_t size)
{
    struct rule_key key = {.mark = mark, .table = table, .priority = ROUTING_PRIORITY};
    struct netlink *netlink;
    int result = 0;

    if (mark == 0 || table_is_reserved(table)) {
        snprintf(error, size, "policy routing: mark %u or route table %u cannot be used", mark,
                 table);
        return -1;
    }
    netlink = netlink_new();
    if (netlink == NULL)
        result = -1;
    for (size_t i = 0; i < sizeof(families) && result == 0; i++)
        result = family_install(netlink, families[i], &key);
    if (result != 0)
        snprintf(error, size, "policy routing: mark %u, route table %u: %s", mark, table,
                 strerror(errno));
    netlink_free(netlink);
    return result;
}

int routing_remove(uint32_t table, char *error, size_t size)
{
    struct netlink *netlink = netlink_new();
    int result = netlink == NULL ? -1 : 0;

    for (size_t i = 0; i < sizeof(families) && result == 0; i++) {
        result = family_clean(netlink, families[i], NULL);
        if (result == 0 && !table_is_reserved(table))
            result = route_delete(netlink, families[i], table);
    }
    if (result != 0)
        snprintf(error, size, "policy routing: route table %u: %s", table, strerror(errno));
    netlink_free(netlink);
    return result;
}
