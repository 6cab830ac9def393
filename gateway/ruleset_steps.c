/* SPDX-License-Identifier: BSD-2-Clause */
/* From a row of steps to the expressions of the kernel's virtual machine. */
#include <arpa/inet.h>
#include <netinet/in.h> /* before linux/netfilter.h, which has its own otherwise */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_nat.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <stdio.h> /* libnftnl/expr.h wants it */
#include <string.h>

#include <libnftnl/expr.h>
#include <libnftnl/rule.h>
#include <libnftnl/udata.h>

#include "gateway/ruleset_steps.h"

/* --- single expressions --- */

static struct nftnl_expr *add(struct nftnl_rule *rule, const char *name)
{
    struct nftnl_expr *expression = nftnl_expr_alloc(name);

    if (expression != NULL)
        nftnl_rule_add_expr(rule, expression);
    return expression;
}

static bool add_meta(struct nftnl_rule *rule, uint32_t key)
{
    struct nftnl_expr *expression = add(rule, "meta");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_META_KEY, key);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_META_DREG, NFT_REG_1);
    return true;
}

static bool add_compare(struct nftnl_rule *rule, uint32_t operator, const void * data,
                        uint32_t size)
{
    struct nftnl_expr *expression = add(rule, "cmp");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_CMP_OP, operator);
    return nftnl_expr_set(expression, NFTNL_EXPR_CMP_DATA, data, size) == 0;
}

static bool add_equal(struct nftnl_rule *rule, const void *data, uint32_t size)
{
    return add_compare(rule, NFT_CMP_EQ, data, size);
}

/* register 1 &= mask */
static bool add_mask(struct nftnl_rule *rule, const void *mask, uint32_t size)
{
    static const uint8_t zero[4];
    struct nftnl_expr *expression = add(rule, "bitwise");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_SREG, NFT_REG_1);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_BITWISE_LEN, size);
    return nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_MASK, mask, size) == 0 &&
           nftnl_expr_set(expression, NFTNL_EXPR_BITWISE_XOR, zero, size) == 0;
}

static bool add_payload_to(struct nftnl_rule *rule, uint32_t target, uint32_t base, uint32_t offset,
                           uint32_t size)
{
    struct nftnl_expr *expression = add(rule, "payload");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_DREG, target);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_BASE, base);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_OFFSET, offset);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_PAYLOAD_LEN, size);
    return true;
}

/* The source or destination address in the header of IPv4 or IPv6. */
static bool add_address(struct nftnl_rule *rule, uint32_t family, bool source)
{
    uint32_t offset = family == 4 ? (source ? 12 : 16) : (source ? 8 : 24);

    return add_payload_to(rule, NFT_REG_1, NFT_PAYLOAD_NETWORK_HEADER, offset,
                          family == 4 ? 4 : 16);
}

static bool add_lookup(struct nftnl_rule *rule, const char *set, uint32_t flags)
{
    struct nftnl_expr *expression = add(rule, "lookup");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_SREG, NFT_REG_1);
    if (flags != 0)
        nftnl_expr_set_u32(expression, NFTNL_EXPR_LOOKUP_FLAGS, flags);
    return nftnl_expr_set_str(expression, NFTNL_EXPR_LOOKUP_SET, set) == 0;
}

static bool add_immediate(struct nftnl_rule *rule, uint32_t target, const void *data, size_t size)
{
    struct nftnl_expr *expression = add(rule, "immediate");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_DREG, target);
    return nftnl_expr_set(expression, NFTNL_EXPR_IMM_DATA, data, (uint32_t)size) == 0;
}

/* A verdict; with the name of a chain for NFT_JUMP and NFT_GOTO. */
static bool add_verdict(struct nftnl_rule *rule, int verdict, const char *chain)
{
    struct nftnl_expr *expression = add(rule, "immediate");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_DREG, NFT_REG_VERDICT);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_IMM_VERDICT, (uint32_t)verdict);
    return chain == NULL || nftnl_expr_set_str(expression, NFTNL_EXPR_IMM_CHAIN, chain) == 0;
}

/* Something of the connection; `direction` is IP_CT_DIR_ or -1. */
static bool add_connection(struct nftnl_rule *rule, uint32_t target, uint32_t key, int direction)
{
    struct nftnl_expr *expression = add(rule, "ct");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_KEY, key);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_DREG, target);
    if (direction >= 0)
        nftnl_expr_set_u8(expression, NFTNL_EXPR_CT_DIR, (uint8_t)direction);
    return true;
}

/* `end`: whose route is asked for, NFTA_FIB_F_DADDR or NFTA_FIB_F_SADDR. */
static bool add_fib(struct nftnl_rule *rule, uint32_t result, uint32_t end)
{
    struct nftnl_expr *expression = add(rule, "fib");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_DREG, NFT_REG_1);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_RESULT, result);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_FIB_FLAGS, end);
    return true;
}

/* --- steps --- */

/* The bytes behind the UDP header that media may begin with. */
static bool add_stun(struct nftnl_rule *rule)
{
    static const uint8_t cookie[] = {0x21, 0x12, 0xa4, 0x42}; /* RFC 8489, section 5 */

    return add_payload_to(rule, NFT_REG_1, NFT_PAYLOAD_TRANSPORT_HEADER, 12, sizeof(cookie)) &&
           add_equal(rule, cookie, sizeof(cookie));
}

static bool add_dtls(struct nftnl_rule *rule)
{
    static const uint8_t handshake[] = {22, 0xfe}; /* RFC 6347, section 4.1; 0xfe: any version */

    return add_payload_to(rule, NFT_REG_1, NFT_PAYLOAD_TRANSPORT_HEADER, 8, sizeof(handshake)) &&
           add_equal(rule, handshake, sizeof(handshake));
}

static bool add_rtp(struct nftnl_rule *rule)
{
    static const uint8_t mask = 0xc0, version = 0x80; /* RFC 3550, section 5.1 */

    return add_payload_to(rule, NFT_REG_1, NFT_PAYLOAD_TRANSPORT_HEADER, 8, 1) &&
           add_mask(rule, &mask, 1) && add_equal(rule, &version, 1);
}

static bool add_state(struct nftnl_rule *rule, uint32_t bits)
{
    static const uint32_t none;

    return add_connection(rule, NFT_REG_1, NFT_CT_STATE, -1) &&
           add_mask(rule, &bits, sizeof(bits)) &&
           add_compare(rule, NFT_CMP_NEQ, &none, sizeof(none));
}

static bool add_counter(struct nftnl_rule *rule, const char *name)
{
    struct nftnl_expr *expression = add(rule, "objref");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_OBJREF_IMM_TYPE, NFT_OBJECT_COUNTER);
    return nftnl_expr_set_str(expression, NFTNL_EXPR_OBJREF_IMM_NAME, name) == 0;
}

static bool add_media_counter(struct nftnl_rule *rule)
{
    struct nftnl_expr *expression;

    if (!add_connection(rule, NFT_REG_1, NFT_CT_MARK, -1) ||
        (expression = add(rule, "objref")) == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_OBJREF_SET_SREG, NFT_REG_1);
    return nftnl_expr_set_str(expression, NFTNL_EXPR_OBJREF_SET_NAME, "media") == 0;
}

static bool add_mark(struct nftnl_rule *rule, uint32_t mark)
{
    struct nftnl_expr *expression;

    if (!add_immediate(rule, NFT_REG_1, &mark, sizeof(mark)) ||
        (expression = add(rule, "ct")) == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_KEY, NFT_CT_MARK);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_CT_SREG, NFT_REG_1);
    return true;
}

/* A set that the rule itself fills, with an expression for each element. Takes `inner`. */
static bool add_dynamic(struct nftnl_rule *rule, const char *set, uint32_t operation,
                        struct nftnl_expr *inner)
{
    struct nftnl_expr *expression = inner == NULL ? NULL : add(rule, "dynset");

    if (expression == NULL) {
        if (inner != NULL)
            nftnl_expr_free(inner);
        return false;
    }
    nftnl_expr_set_u32(expression, NFTNL_EXPR_DYNSET_SREG_KEY, NFT_REG_1);
    nftnl_expr_set_u32(expression, NFTNL_EXPR_DYNSET_OP, operation);
    nftnl_expr_set(expression, NFTNL_EXPR_DYNSET_EXPR, inner, 0);
    return nftnl_expr_set_str(expression, NFTNL_EXPR_DYNSET_SET_NAME, set) == 0;
}

/* Both ends as the client named them, and the mark. Registers of four bytes stand side by side. */
static bool add_call(struct nftnl_rule *rule, uint32_t family)
{
    const bool is4 = family == 4;
    const uint32_t width = is4 ? 1 : 4;

    return add_connection(rule, NFT_REG32_00, is4 ? NFT_CT_SRC_IP : NFT_CT_SRC_IP6,
                          IP_CT_DIR_ORIGINAL) &&
           add_connection(rule, NFT_REG32_00 + width, is4 ? NFT_CT_DST_IP : NFT_CT_DST_IP6,
                          IP_CT_DIR_ORIGINAL) &&
           add_connection(rule, NFT_REG32_00 + 2 * width, NFT_CT_MARK, -1) &&
           add_dynamic(rule, is4 ? "calls4" : "calls6", NFT_DYNSET_OP_UPDATE,
                       nftnl_expr_alloc("counter"));
}

static bool add_client_limit(struct nftnl_rule *rule, uint32_t family,
                             const struct ruleset_facts *facts)
{
    struct nftnl_expr *limit = nftnl_expr_alloc("connlimit");

    if (limit != NULL) {
        nftnl_expr_set_u32(limit, NFTNL_EXPR_CONNLIMIT_COUNT, facts->limit);
        nftnl_expr_set_u32(limit, NFTNL_EXPR_CONNLIMIT_FLAGS, NFT_CONNLIMIT_F_INV); /* over it */
    }
    if (!add_address(rule, family, true)) {
        if (limit != NULL)
            nftnl_expr_free(limit);
        return false;
    }
    return add_dynamic(rule, family == 4 ? facts->limit4 : facts->limit6, NFT_DYNSET_OP_ADD, limit);
}

/* meta mark set MARK tproxy to ADDRESS:PORT; it does not match when nobody listens there. */
static bool add_interception(struct nftnl_rule *rule, uint32_t family,
                             const struct ruleset_facts *facts)
{
    const bool is4 = family == 4;
    const void *address = is4 ? (const void *)&facts->listener4->sin_addr
                              : (const void *)&facts->listener6->sin6_addr;
    uint16_t port = is4 ? facts->listener4->sin_port : facts->listener6->sin6_port;
    struct nftnl_expr *mark, *tproxy;

    if (!add_immediate(rule, NFT_REG_1, &facts->mark, sizeof(facts->mark)) ||
        (mark = add(rule, "meta")) == NULL ||
        !add_immediate(rule, NFT_REG_1, address, is4 ? 4 : 16) ||
        !add_immediate(rule, NFT_REG_2, &port, sizeof(port)) ||
        (tproxy = add(rule, "tproxy")) == NULL)
        return false;
    nftnl_expr_set_u32(mark, NFTNL_EXPR_META_KEY, NFT_META_MARK);
    nftnl_expr_set_u32(mark, NFTNL_EXPR_META_SREG, NFT_REG_1);
    nftnl_expr_set_u32(tproxy, NFTNL_EXPR_TPROXY_FAMILY, is4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
    nftnl_expr_set_u32(tproxy, NFTNL_EXPR_TPROXY_REG_ADDR, NFT_REG_1);
    nftnl_expr_set_u32(tproxy, NFTNL_EXPR_TPROXY_REG_PORT, NFT_REG_2);
    return true;
}

/* dnat to the resolver, or redirect to this machine. */
static bool add_resolver(struct nftnl_rule *rule, uint32_t family,
                         const struct ruleset_facts *facts)
{
    const struct address *to = family == 4 ? facts->dns4 : facts->dns6;
    struct nftnl_expr *nat;

    if (to == NULL)
        return add(rule, "redir") != NULL;
    if (!add_immediate(rule, NFT_REG_1, to->bytes, family == 4 ? 4 : 16) ||
        (nat = add(rule, "nat")) == NULL)
        return false;
    nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_TYPE, NFT_NAT_DNAT);
    nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_FAMILY, family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
    nftnl_expr_set_u32(nat, NFTNL_EXPR_NAT_REG_ADDR_MIN, NFT_REG_1);
    return true;
}

static bool add_reject(struct nftnl_rule *rule, uint32_t type, uint8_t code)
{
    struct nftnl_expr *expression = add(rule, "reject");

    if (expression == NULL)
        return false;
    nftnl_expr_set_u32(expression, NFTNL_EXPR_REJECT_TYPE, type);
    nftnl_expr_set_u8(expression, NFTNL_EXPR_REJECT_CODE, code);
    return true;
}

static bool add_port(struct nftnl_rule *rule)
{
    return add_payload_to(rule, NFT_REG_1, NFT_PAYLOAD_TRANSPORT_HEADER, 2, sizeof(uint16_t));
}

static bool add_match(struct nftnl_rule *rule, const struct step *step,
                      const struct ruleset_facts *facts)
{
    const uint8_t byte = (uint8_t)step->number, reply = IP_CT_DIR_REPLY;
    const uint16_t port = htons((uint16_t)step->number);
    const uint32_t local = RTN_LOCAL;

    switch (step->kind) {
    case STEP_FAMILY:
        return add_meta(rule, NFT_META_NFPROTO) && add_equal(rule, &byte, sizeof(byte));
    case STEP_PROTOCOL:
        return add_meta(rule, NFT_META_L4PROTO) && add_equal(rule, &byte, sizeof(byte));
    case STEP_PORT:
        return add_port(rule) && add_equal(rule, &port, sizeof(port));
    case STEP_PORT_IN:
        return add_port(rule) && add_lookup(rule, step->name, 0);
    case STEP_FROM:
        return add_meta(rule, NFT_META_IIFNAME) && add_lookup(rule, step->name, 0);
    case STEP_NOT_FROM:
        return add_meta(rule, NFT_META_IIFNAME) && add_lookup(rule, step->name, NFT_LOOKUP_F_INV);
    case STEP_TO:
        return add_meta(rule, NFT_META_OIFNAME) && add_lookup(rule, step->name, 0);
    case STEP_ROUTED_TO:
        return add_fib(rule, NFT_FIB_RESULT_OIFNAME, NFTA_FIB_F_DADDR) &&
               add_lookup(rule, step->name, 0);
    case STEP_NOT_BACK:
        return add_fib(rule, NFT_FIB_RESULT_OIFNAME, NFTA_FIB_F_SADDR) &&
               add_lookup(rule, step->name, NFT_LOOKUP_F_INV);
    case STEP_LOCAL:
        return add_fib(rule, NFT_FIB_RESULT_ADDRTYPE, NFTA_FIB_F_DADDR) &&
               add_equal(rule, &local, sizeof(local));
    case STEP_SOURCE:
    case STEP_TARGET:
        return add_address(rule, step->number, step->kind == STEP_SOURCE) &&
               add_lookup(rule, step->name, 0);
    case STEP_STATE:
        return add_state(rule, step->number);
    case STEP_REPLY:
        return add_connection(rule, NFT_REG_1, NFT_CT_DIRECTION, -1) &&
               add_equal(rule, &reply, sizeof(reply));
    case STEP_MARKED:
        return add_connection(rule, NFT_REG_1, NFT_CT_MARK, -1) &&
               add_equal(rule, &step->number, sizeof(step->number));
    case STEP_USER:
        return add_meta(rule, NFT_META_SKUID) &&
               add_equal(rule, &facts->proxy_user, sizeof(facts->proxy_user));
    case STEP_STUN:
        return add_stun(rule);
    case STEP_DTLS:
        return add_dtls(rule);
    case STEP_RTP:
        return add_rtp(rule);
    default:
        return false;
    }
}

static bool add_step(struct nftnl_rule *rule, const struct step *step,
                     const struct ruleset_facts *facts)
{
    switch (step->kind) {
    case STEP_CLIENT_LIMIT:
        return add_client_limit(rule, step->number, facts);
    case STEP_COUNT:
        return add_counter(rule, step->name);
    case STEP_COUNT_MEDIA:
        return add_media_counter(rule);
    case STEP_MARK:
        return add_mark(rule, step->number);
    case STEP_CALL:
        return add_call(rule, step->number);
    case STEP_VERDICT:
        return add_verdict(rule, (int)step->number, NULL);
    case STEP_JUMP:
        return add_verdict(rule, NFT_JUMP, step->name);
    case STEP_GOTO:
        return add_verdict(rule, NFT_GOTO, step->name);
    case STEP_INTERCEPT:
        return add_interception(rule, step->number, facts);
    case STEP_RESOLVER:
        return add_resolver(rule, step->number, facts);
    case STEP_RESET:
        return add_reject(rule, NFT_REJECT_TCP_RST, 0);
    case STEP_REJECT:
        return add_reject(rule, NFT_REJECT_ICMPX_UNREACH, (uint8_t)step->number);
    default:
        return add_match(rule, step, facts);
    }
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

struct nftnl_rule *ruleset_row_build(const struct rule_row *row, const struct ruleset_facts *facts)
{
    struct nftnl_rule *rule = nftnl_rule_alloc();
    bool done;

    if (rule == NULL)
        return NULL;
    nftnl_rule_set_u32(rule, NFTNL_RULE_FAMILY, NFPROTO_INET);
    done = nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, RULESET_TABLE) == 0 &&
           nftnl_rule_set_str(rule, NFTNL_RULE_CHAIN, row->chain) == 0 &&
           add_comment(rule, row->comment);
    for (size_t i = 0; done && i < RULESET_STEPS && row->steps[i].kind != STEP_END; i++)
        done = add_step(rule, &row->steps[i], facts);
    if (done)
        return rule;
    nftnl_rule_free(rule);
    return NULL;
}
