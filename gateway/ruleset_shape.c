/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Whether the rules are still ours. The kernel numbers every rule and never uses a number twice, so
 * that chains and numbers, in their order, tell of every rule that somebody took away, put in or
 * replaced; and it counts its transactions, so that the rules are read only after one.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>

#include "gateway/netlink.h"
#include "gateway/ruleset_parts.h"

#define FNV_START 0xcbf29ce484222325U
#define FNV_PRIME 0x100000001b3U

struct shape {
    uint32_t sequence; /* of the question: an interrupted dump begins anew, with another one */
    uint64_t rules;
};

static struct {
    bool known;
    uint32_t transaction; /* up to which it is known that they are whole */
    uint64_t rules;
} noted;

static void add(struct shape *shape, const void *bytes, size_t size)
{
    for (size_t i = 0; i < size; i++)
        shape->rules = (shape->rules ^ ((const uint8_t *)bytes)[i]) * FNV_PRIME;
}

static bool is_text(const struct nlattr *attribute)
{
    return attribute != NULL && mnl_attr_validate(attribute, MNL_TYPE_NUL_STRING) == 0;
}

static int rule_row(const struct nlmsghdr *message, void *context)
{
    const struct nlattr *attributes[NFTA_RULE_MAX + 1];
    struct shape *shape = context;

    netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_RULE_MAX + 1);
    const struct nlattr *chain = attributes[NFTA_RULE_CHAIN],
                        *handle = attributes[NFTA_RULE_HANDLE];
    if (!is_text(attributes[NFTA_RULE_TABLE]) || !is_text(chain) || handle == NULL ||
        strcmp(mnl_attr_get_str(attributes[NFTA_RULE_TABLE]), RULESET_TABLE) != 0)
        return MNL_CB_OK;
    if (shape->sequence != message->nlmsg_seq)
        *shape = (struct shape){message->nlmsg_seq, FNV_START};
    add(shape, mnl_attr_get_payload(chain), mnl_attr_get_payload_len(chain));
    add(shape, mnl_attr_get_payload(handle), mnl_attr_get_payload_len(handle));
    return MNL_CB_OK;
}

static int read_rules(struct netlink *netlink, uint64_t *rules)
{
    char buffer[NETLINK_MESSAGE];
    struct nlmsghdr *request =
        nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETRULE, NFPROTO_INET, NLM_F_DUMP, 0);
    struct nftnl_rule *wanted = nftnl_rule_alloc();
    struct shape shape = {0, FNV_START};
    int result = -1;

    if (wanted != NULL && nftnl_rule_set_str(wanted, NFTNL_RULE_TABLE, RULESET_TABLE) == 0) {
        nftnl_rule_nlmsg_build_payload(request, wanted);
        result = netlink_ask(netlink, request, rule_row, &shape);
    }
    if (wanted != NULL)
        nftnl_rule_free(wanted);
    *rules = shape.rules;
    return result;
}

static int transaction_row(const struct nlmsghdr *message, void *context)
{
    const struct nlattr *attributes[NFTA_GEN_MAX + 1];

    netlink_attributes(message, sizeof(struct nfgenmsg), attributes, NFTA_GEN_MAX + 1);
    *(uint32_t *)context = ntohl(netlink_u32(attributes[NFTA_GEN_ID]));
    return MNL_CB_OK;
}

static int read_transaction(struct netlink *netlink, uint32_t *transaction)
{
    char buffer[NETLINK_MESSAGE];
    struct nlmsghdr *request = nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETGEN, AF_UNSPEC, 0, 0);

    return netlink_ask(netlink, request, transaction_row, transaction);
}

void ruleset_shape_note(void)
{
    struct netlink *netlink = netlink_new_nftables();

    /* The number first: what happens between the two is looked at again. */
    noted.known = netlink != NULL && read_transaction(netlink, &noted.transaction) == 0 &&
                  read_rules(netlink, &noted.rules) == 0;
    netlink_free(netlink);
}

bool ruleset_is_whole(void)
{
    struct netlink *netlink = noted.known ? netlink_new_nftables() : NULL;
    uint32_t transaction = 0;
    uint64_t rules = 0;
    bool is_whole = true;

    if (netlink != NULL && read_transaction(netlink, &transaction) == 0 &&
        transaction != noted.transaction && read_rules(netlink, &rules) == 0) {
        is_whole = rules == noted.rules;
        if (is_whole)
            noted.transaction = transaction;
    }
    netlink_free(netlink);
    return is_whole;
}
