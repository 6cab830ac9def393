/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of the table "inet sekisho", and how a row of that table becomes expressions of the
 * kernel's virtual machine. `nft list table inet sekisho` shows them with their comments.
 */
#include <arpa/inet.h>
#include <netinet/in.h> /* before linux/netfilter.h, which has its own otherwise */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <stdio.h> /* libnftnl/expr.h wants it */
#include <string.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

#include "gateway/ruleset_parts.h"

#define PORT_QUIC         443
#define PORT_DNS_OVER_TLS 853

/* What a rule asks besides family, protocol and ports. */
enum condition { ALWAYS, NOT_FROM_LAN, TO_GATEWAY, TO_QUIC_NETWORK };
/* Ports as one number, or the set of the web's. */
enum ports { PORTS_ANY, PORTS_WEB, PORTS_QUIC, PORTS_DNS_OVER_TLS };
enum action { RETURN, ACCEPT, DROP, INTERCEPT, REJECT_UNREACHABLE, REJECT_RESET };

struct row {
    const char *chain;
    uint8_t family;   /* NFPROTO_IPV4, NFPROTO_IPV6 or 0 for both */
    uint8_t protocol; /* 0 for any */
    enum ports ports;
    enum condition condition;
    enum action action;
    const char *comment;
};

/*
 * The drop behind the interceptions is what makes it fail closed: TPROXY that finds no listening
 * socket does not match, and its packet would go on and be forwarded. The forward chain says it
 * again for packets that never met the first one (rules of others that return early, for instance).
 */
static const struct row rows[] = {
    {"intercept", 0, 0, PORTS_ANY, NOT_FROM_LAN, RETURN, "not from the LAN"},
    {"intercept", 0, 0, PORTS_ANY, TO_GATEWAY, RETURN, "the gateway's own addresses"},
    {"intercept", NFPROTO_IPV4, IPPROTO_TCP, PORTS_WEB, ALWAYS, INTERCEPT, "to the listener"},
    {"intercept", NFPROTO_IPV6, IPPROTO_TCP, PORTS_WEB, ALWAYS, INTERCEPT, "to the listener"},
    {"intercept", 0, IPPROTO_TCP, PORTS_WEB, ALWAYS, DROP, "no listener: fail closed"},
    {"forward", 0, 0, PORTS_ANY, NOT_FROM_LAN, RETURN, "not from the LAN"},
    {"forward", 0, IPPROTO_TCP, PORTS_WEB, ALWAYS, DROP, "never around the gateway"},
    {"forward", NFPROTO_IPV4, IPPROTO_UDP, PORTS_QUIC, TO_QUIC_NETWORK, ACCEPT,
     "QUIC of a service"},
    {"forward", NFPROTO_IPV6, IPPROTO_UDP, PORTS_QUIC, TO_QUIC_NETWORK, ACCEPT,
     "QUIC of a service"},
    {"forward", 0, IPPROTO_UDP, PORTS_WEB, ALWAYS, REJECT_UNREACHABLE, "QUIC: fall back to TCP"},
    {"forward", 0, IPPROTO_TCP, PORTS_DNS_OVER_TLS, ALWAYS, REJECT_RESET, "DNS over TLS"},
    {"forward", 0, IPPROTO_UDP, PORTS_DNS_OVER_TLS, ALWAYS, REJECT_UNREACHABLE, "DNS over QUIC"},
};

static struct nftnl_expr *expression_add(struct nftnl_rule *rule, const char *name)
{
    struct nftnl_expr *expression = nftnl_expr_alloc(name);

    if (expression != NULL)
        nftnl_rule_add_expr(rule, expression);
    return expression;
}

static bool add_meta(struct nftnl_rule *rule, uint32_t key)
{
    struct nftnl_expr *expression = expression_add(rule, "meta");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_META_DREG, NFT_REG_1);
    return true;
}

static bool add_equal(struct nftnl_rule *rule, const void *data, uint32_t size)
{
    struct nftnl_expr *expression = expression_add(rule, "cmp");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_OP, NFT_CMP_EQ);
    return nftnl_expr_set(expression, NFTNL_EXPR_CMP_DATA, data, size) == 0;
}

static bool add_payload(struct nftnl_rule *rule, uint32_t base, uint32_t offset, uint32_t size)
{
    struct nftnl_expr *expression = expression_add(rule, "payload");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_LEN, size);
    return true;
}

static bool add_lookup(struct nftnl_rule *rule, const char *set, uint32_t flags)
{
    struct nftnl_expr *expression = expression_add(rule, "lookup");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    if (flags != 0)
        nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_FLAGS, flags);
    return nftnl_expr_set_str(expression, NFTNL_EXPR_LOOKUP_SET, set) == 0;
}

static bool add_immediate(struct nftnl_rule *rule, uint32_t target, const void *data, size_t size)
{
    struct nftnl_expr *expression = expression_add(rule, "immediate");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_DREG, target);
    return nftnl_expr_set(expression, NFTNL_EXPR_IMM_DATA, data, (uint32_t)size) == 0;
}

static bool add_verdict(struct nftnl_rule *rule, int verdict)
{
    struct nftnl_expr *expression = expression_add(rule, "immediate");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
    return true;
}

static bool add_counter(struct nftnl_rule *rule)
{
    struct nftnl_expr *expression = expression_add(rule, "counter");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u64(expression, NFTNL_EXPR_CTR_PACKETS, 0);
    nftnl_expr_set_u64(expression, NFTNL_EXPR_CTR_BYTES, 0);
    return true;
}

static bool add_reject(struct nftnl_rule *rule, uint32_t type, uint8_t code)
{
    struct nftnl_expr *expression = expression_add(rule, "reject");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_REJECT_TYPE, type);
    nftnl_expr_set_u8(expression, NFTNL_EXPR_REJECT_CODE, code);
    return true;
}

/* fib daddr type local */
static bool add_local_destination(struct nftnl_rule *rule)
{
    struct nftnl_expr *expression = expression_add(rule, "fib");
    uint32_t local = RTN_LOCAL;

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_RESULT, NFT_FIB_RESULT_ADDRTYPE);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_FLAGS, NFTA_FIB_F_DADDR);
    return add_equal(rule, &local, sizeof(local));
}

/* meta mark set MARK tproxy to ADDRESS:PORT; it does not match when nobody listens there. */
static bool add_interception(struct nftnl_rule *rule, uint8_t family,
                             const struct ruleset_facts *facts)
{
    const bool is4 = family == NFPROTO_IPV4;
    const void *address = is4 ? (const void *)&facts->listener4->sin_addr
                              : (const void *)&facts->listener6->sin6_addr;
    uint16_t port = is4 ? facts->listener4->sin_port : facts->listener6->sin6_port;
    struct nftnl_expr *mark, *tproxy;

    if (!add_immediate(rule, NFT_REG_1, &facts->mark, sizeof(facts->mark)) ||
        (mark = expression_add(rule, "meta")) == NULL ||
        !add_immediate(rule, NFT_REG_1, address, is4 ? 4 : 16) ||
        !add_immediate(rule, NFT_REG_2, &port, sizeof(port)) ||
        (tproxy = expression_add(rule, "tproxy")) == NULL)
        return false;
    nftnl_expr_set_u32(mark, NFTNL_EXPR_META_KEY, NFT_META_MARK);
    nftnl_expr_set_u32(mark, NFTNL_EXPR_META_SREG, NFT_REG_1);
    nftnl_expr_set_u32(tproxy, NFTNL_EXPR_TPROXY_FAMILY, family);
    nftnl_expr_set_u32(tproxy, NFTNL_EXPR_TPROXY_REG_ADDR, NFT_REG_1);
    nftnl_expr_set_u32(tproxy, NFTNL_EXPR_TPROXY_REG_PORT, NFT_REG_2);
    return true;
}

static bool add_ports(struct nftnl_rule *rule, enum ports ports)
{
    uint16_t port = htons(ports == PORTS_QUIC ? PORT_QUIC : PORT_DNS_OVER_TLS);

    if (ports == PORTS_ANY)
        return true;
    if (!add_payload(rule, NFT_PAYLOAD_TRANSPORT_HEADER, 2, sizeof(port)))
        return false;
    return ports == PORTS_WEB ? add_lookup(rule, RULESET_SET_WEB, 0)
                              : add_equal(rule, &port, sizeof(port));
}

static bool add_condition(struct nftnl_rule *rule, const struct row *row)
{
    const bool is4 = row->family == NFPROTO_IPV4;

    switch (row->condition) {
    case ALWAYS:
        return true;
    case NOT_FROM_LAN:
        return add_meta(rule, NFT_META_IIFNAME) &&
               add_lookup(rule, RULESET_SET_LAN, NFT_LOOKUP_F_INV);
    case TO_GATEWAY:
        return add_local_destination(rule);
    case TO_QUIC_NETWORK: /* the destination address in the IPv4 or IPv6 header */
        return add_payload(rule, NFT_PAYLOAD_NETWORK_HEADER, is4 ? 16 : 24, is4 ? 4 : 16) &&
               add_lookup(rule, is4 ? RULESET_SET_QUIC4 : RULESET_SET_QUIC6, 0);
    }
    return false;
}

static bool add_action(struct nftnl_rule *rule, const struct row *row,
                       const struct ruleset_facts *facts)
{
    switch (row->action) {
    case RETURN:
        return add_verdict(rule, NFT_RETURN);
    case ACCEPT:
        return add_counter(rule) && add_verdict(rule, NF_ACCEPT);
    case DROP:
        return add_counter(rule) && add_verdict(rule, NF_DROP);
    case INTERCEPT:
        return add_interception(rule, row->family, facts) && add_counter(rule) &&
               add_verdict(rule, NF_ACCEPT);
    case REJECT_UNREACHABLE:
        return add_counter(rule) &&
               add_reject(rule, NFT_REJECT_ICMPX_UNREACH, NFT_REJECT_ICMPX_PORT_UNREACH);
    case REJECT_RESET:
        return add_counter(rule) && add_reject(rule, NFT_REJECT_TCP_RST, 0);
    }
    return false;
}

static bool add_comment(struct nftnl_rule *rule, const char *comment)
{
    struct nftnl_udata_buf *data = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);
    bool done;

    if (data == NULL)
        return false;
    done = nftnl_udata_put_strz(data, NFTNL_UDATA_RULE_COMMENT, comment) &&
           nftnl_rule_set_data(rule, NFTNL_RULE_USERDATA, nftnl_udata_buf_data(data),
                               nftnl_udata_buf_len(data)) == 0;
    nftnl_udata_buf_free(data);
    return done;
}

static bool row_build(struct nftnl_rule *rule, const struct row *row,
                      const struct ruleset_facts *facts)
{
    nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
    return nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, RULESET_TABLE) == 0 &&
           nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, row->chain) == 0 &&
           (row->family == 0 || (add_meta(rule, NFT_META_NFPROTO) &&
                                 add_equal(rule, &row->family, sizeof(row->family)))) &&
           (row->protocol == 0 || (add_meta(rule, NFT_META_L4PROTO) &&
                                   add_equal(rule, &row->protocol, sizeof(row->protocol)))) &&
           add_ports(rule, row->ports) && add_condition(rule, row) &&
           add_action(rule, row, facts) && add_comment(rule, row->comment);
}

size_t ruleset_rule_count(void)
{
    return sizeof(rows) / sizeof(rows[0]);
}

bool ruleset_rule(const struct ruleset_facts *facts, size_t index, struct nftnl_rule **rule)
{
    const struct row *row = &rows[index];

    *rule = NULL;
    if (row->action == INTERCEPT &&
        (row->family == NFPROTO_IPV4 ? facts->listener4 == NULL : facts->listener6 == NULL))
        return true;
    *rule = nftnl_rule_alloc();
    if (*rule == NULL)
        return false;
    if (row_build(*rule, row, facts))
        return true;
    nftnl_rule_free(*rule);
    *rule = NULL;
    return false;
}

void ruleset_facts_find(const struct configuration *configuration, struct ruleset_facts *facts)
{
    memset(facts, 0, sizeof(*facts));
    facts->mark = configuration->mark;
    for (size_t i = 0; i < configuration->listener_count; i++) {
        const struct listener_options *listener = &configuration->listeners[i];
        const void *address = &listener->address;

        if (!listener->transparent)
            continue;
        if (listener->address.ss_family == AF_INET && facts->listener4 == NULL)
            facts->listener4 = address;
        if (listener->address.ss_family == AF_INET6 && facts->listener6 == NULL)
            facts->listener6 = address;
    }
}
