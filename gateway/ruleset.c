/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table "inet sekisho" in one transaction: add (so that it exists), delete, add anew with
 * everything in it. The kernel takes all of it or nothing, and no packet meets a state between.
 */
#include <errno.h>
#include <netinet/in.h> /* before linux/netfilter.h, which has its own otherwise */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#include "filters/memory.h"
#include "gateway/log.h"
#include "gateway/netlink.h"
#include "gateway/ruleset.h"
#include "gateway/ruleset_parts.h"

#define BATCH_ROOM     65536   /* the largest message is smaller */
#define ELEMENTS       256     /* in one message: a netlink attribute ends at 64 kB */
#define SEQUENCE       1       /* of the first message */
#define RECEIVE_BUFFER 4194304 /* bytes: one acknowledgement per message has to fit */

/* nft's numbers of data types and byte orders, by which it prints a set as people read it. */
enum data_type { TYPE_IPV4 = 7, TYPE_IPV6 = 8, TYPE_PORT = 13, TYPE_INTERFACE = 41 };
enum byte_order { ORDER_HOST = 1, ORDER_NETWORK = 2 };

struct batch {
    char *data;
    size_t used, size;
    uint32_t sequence; /* of the next message */
    char (*names)[48]; /* what each message is about, for the error */
    size_t name_room;
    bool no_memory;
};

/* Room for the next message, begun. `what` and `name` say in an error what it was about. */
static struct nlmsghdr *batch_begin(struct batch *batch, uint16_t type, uint16_t flags,
                                    const char *what, const char *name)
{
    size_t index = batch->sequence - SEQUENCE;

    if (batch->size - batch->used < BATCH_ROOM) {
        batch->size += 2 * BATCH_ROOM;
        batch->data = memory_resize(batch->data, batch->size, 1);
    }
    if (index >= batch->name_room) {
        batch->name_room += 64;
        batch->names = memory_resize(batch->names, batch->name_room, sizeof(*batch->names));
    }
    snprintf(batch->names[index], sizeof(*batch->names), "%.22s %.20s", what, name);
    return nftnl_nlmsg_build_hdr(batch->data + batch->used, type, NFPROTO_INET,
                                 (uint16_t)(flags | NLM_F_ACK), batch->sequence++);
}

static void batch_end(struct batch *batch, const struct nlmsghdr *message)
{
    /* Messages begin at multiples of four bytes. */
    batch->used += (message->nlmsg_len + 3u) & ~3u;
}

static void batch_frame(struct batch *batch, struct nlmsghdr *(*put)(char *, uint32_t),
                        const char *what)
{
    batch_begin(batch, NLMSG_NOOP, 0, what, "");
    batch_end(batch, put(batch->data + batch->used, batch->sequence - 1));
}

static void batch_table(struct batch *batch, uint16_t type, uint16_t flags)
{
    struct nftnl_table *table = nftnl_table_alloc();
    struct nlmsghdr *message = batch_begin(batch, type, flags, "table", RULESET_TABLE);

    if (table == NULL || nftnl_table_set_str(table, NFTNL_TABLE_NAME, RULESET_TABLE) != 0)
        batch->no_memory = true;
    else
        nftnl_table_nlmsg_build_payload(message, table);
    batch_end(batch, message);
    if (table != NULL)
        nftnl_table_free(table);
}

static void batch_chain(struct batch *batch, const char *name, uint32_t hook, int32_t priority)
{
    struct nftnl_chain *chain = nftnl_chain_alloc();
    struct nlmsghdr *message =
        batch_begin(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE | NLM_F_EXCL, "chain", name);

    if (chain == NULL || nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, RULESET_TABLE) != 0 ||
        nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name) != 0 ||
        nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, "filter") != 0) {
        batch->no_memory = true;
    } else {
        nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook);
        nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, priority);
        nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
        nftnl_chain_nlmsg_build_payload(message, chain);
    }
    batch_end(batch, message);
    if (chain != NULL)
        nftnl_chain_free(chain);
}

static bool element_add(struct nftnl_set *set, const void *key, uint32_t size, uint32_t flags)
{
    struct nftnl_set_elem *element = nftnl_set_elem_alloc();

    if (element == NULL)
        return false;
    if (flags != 0)
        nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_FLAGS, flags);
    if (nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key, size) != 0) {
        nftnl_set_elem_free(element);
        return false;
    }
    nftnl_set_elem_add(set, element);
    return true;
}

/* A set or a part of its elements; NULL when there is no memory. */
static struct nftnl_set *set_named(const char *name)
{
    struct nftnl_set *set = nftnl_set_alloc();

    if (set != NULL && (nftnl_set_set_str(set, NFTNL_SET_TABLE, RULESET_TABLE) != 0 ||
                        nftnl_set_set_str(set, NFTNL_SET_NAME, name) != 0)) {
        nftnl_set_free(set);
        set = NULL;
    }
    return set;
}

/* The order in which nft is to read the keys; the kernel does not look at it. */
static bool set_order(struct nftnl_set *set, enum byte_order order)
{
    struct nftnl_udata_buf *data = nftnl_udata_buf_alloc(NFT_USERDATA_MAXLEN);
    bool done;

    if (data == NULL)
        return false;
    done = nftnl_udata_put_u32(data, NFTNL_UDATA_SET_KEYBYTEORDER, order) &&
           nftnl_set_set_data(set, NFTNL_SET_USERDATA, nftnl_udata_buf_data(data),
                              nftnl_udata_buf_len(data)) == 0;
    nftnl_udata_buf_free(data);
    return done;
}

static void batch_set(struct batch *batch, const char *name, enum data_type type, uint32_t size,
                      uint32_t flags)
{
    struct nftnl_set *set = set_named(name);
    struct nlmsghdr *message =
        batch_begin(batch, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, "set", name);

    if (set == NULL || !set_order(set, type == TYPE_INTERFACE ? ORDER_HOST : ORDER_NETWORK)) {
        batch->no_memory = true;
    } else {
        nftnl_set_set_u32(set, NFTNL_SET_FAMILY, NFPROTO_INET);
        nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, type);
        nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, size);
        /* Within a transaction sets need numbers; the message's own is as good as any. */
        nftnl_set_set_u32(set, NFTNL_SET_ID, message->nlmsg_seq);
        if (flags != 0)
            nftnl_set_set_u32(set, NFTNL_SET_FLAGS, flags);
        nftnl_set_nlmsg_build_payload(message, set);
    }
    batch_end(batch, message);
    if (set != NULL)
        nftnl_set_free(set);
}

/* Takes the set with its elements; NULL when there was no memory for it. */
static void batch_elements(struct batch *batch, const char *name, struct nftnl_set *elements)
{
    struct nlmsghdr *message =
        batch_begin(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, "elements of set", name);

    if (elements == NULL) {
        batch->no_memory = true;
    } else {
        nftnl_set_elems_nlmsg_build_payload(message, elements);
        nftnl_set_free(elements);
    }
    batch_end(batch, message);
}

/* --- the sets --- */

static void batch_lan(struct batch *batch, const struct configuration *configuration)
{
    struct nftnl_set *set;

    batch_set(batch, RULESET_SET_LAN, TYPE_INTERFACE, IFNAMSIZ, 0);
    for (size_t i = 0; i < configuration->lan_count; i++) {
        char name[IFNAMSIZ] = ""; /* the kernel compares all 16 bytes */

        snprintf(name, sizeof(name), "%s", configuration->lan[i]);
        set = set_named(RULESET_SET_LAN);
        if (set == NULL || !element_add(set, name, sizeof(name), 0))
            batch->no_memory = true;
        batch_elements(batch, RULESET_SET_LAN, set);
    }
}

static void batch_web(struct batch *batch)
{
    static const uint16_t ports[] = {80, 443};
    struct nftnl_set *set = set_named(RULESET_SET_WEB);

    batch_set(batch, RULESET_SET_WEB, TYPE_PORT, sizeof(ports[0]), NFT_SET_CONSTANT);
    for (size_t i = 0; i < sizeof(ports) / sizeof(ports[0]); i++) {
        uint16_t port = htons(ports[i]);

        if (set == NULL || !element_add(set, &port, sizeof(port), 0))
            batch->no_memory = true;
    }
    batch_elements(batch, RULESET_SET_WEB, set);
}

static void batch_intervals(struct batch *batch, const char *name, const struct interval *intervals,
                            size_t count, uint8_t family)
{
    const uint32_t size = family == 4 ? 4 : 16;
    struct nftnl_set *set = NULL;
    uint8_t end[16];

    batch_set(batch, name, family == 4 ? TYPE_IPV4 : TYPE_IPV6, size, NFT_SET_INTERVAL);
    for (size_t i = 0; i < count; i++) {
        if (set == NULL && (set = set_named(name)) == NULL)
            break;
        if (!element_add(set, intervals[i].first, size, 0) ||
            (interval_end(&intervals[i], family, end) &&
             !element_add(set, end, size, NFT_SET_ELEM_INTERVAL_END)))
            batch->no_memory = true;
        if (i + 1 == count || (i + 1) % (ELEMENTS / 2) == 0) {
            batch_elements(batch, name, set);
            set = NULL;
        }
    }
}

/* The networks to which the profiles let QUIC pass. */
static void batch_quic(struct batch *batch, const struct policy *policy)
{
    struct network *networks = NULL;
    struct interval *intervals;
    size_t count = 0, merged;

    for (size_t i = 0; i < policy->service_count; i++) {
        const struct service *service = &policy->services[i];

        if (!service->quic || service->network_count == 0)
            continue;
        networks = memory_resize(networks, count + service->network_count, sizeof(*networks));
        memcpy(networks + count, service->networks, service->network_count * sizeof(*networks));
        count += service->network_count;
    }
    merged = intervals_merge(networks, count, 4, &intervals);
    batch_intervals(batch, RULESET_SET_QUIC4, intervals, merged, 4);
    free(intervals);
    merged = intervals_merge(networks, count, 6, &intervals);
    batch_intervals(batch, RULESET_SET_QUIC6, intervals, merged, 6);
    free(intervals);
    free(networks);
}

static void batch_rules(struct batch *batch, const struct configuration *configuration)
{
    struct ruleset_facts facts;

    ruleset_facts_find(configuration, &facts);
    for (size_t i = 0; i < ruleset_rule_count(); i++) {
        struct nftnl_rule *rule;
        struct nlmsghdr *message;
        char number[40];

        if (!ruleset_rule(&facts, i, &rule))
            batch->no_memory = true;
        if (rule == NULL)
            continue;
        snprintf(number, sizeof(number), "%zu of chain", i + 1);
        message = batch_begin(batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, number,
                              nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN));
        nftnl_rule_nlmsg_build_payload(message, rule);
        batch_end(batch, message);
        nftnl_rule_free(rule);
    }
}

/* --- the transaction --- */

static struct mnl_socket *transaction_socket(const struct batch *batch)
{
    struct mnl_socket *socket = mnl_socket_open2(NETLINK_NETFILTER, SOCK_CLOEXEC);
    int on = 1, room = (int)batch->used + BATCH_ROOM, answers = RECEIVE_BUFFER;
    int fd;

    if (socket == NULL)
        return NULL;
    if (mnl_socket_bind(socket, 0, MNL_SOCKET_AUTOPID) < 0) {
        mnl_socket_close(socket);
        return NULL;
    }
    fd = mnl_socket_get_fd(socket);
    /* A netlink message must fit the send buffer as a whole. Where the first is refused the second
     * is tried; where both are, sending says so. */
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
    if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &answers, sizeof(answers)) != 0)
        (void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &answers, sizeof(answers));
    /* Short acknowledgements, with the kernel's own words in an error (since Linux 4.12). */
    (void)mnl_socket_setsockopt(socket, NETLINK_CAP_ACK, &on, sizeof(on));
    (void)mnl_socket_setsockopt(socket, NETLINK_EXT_ACK, &on, sizeof(on));
    return socket;
}

/* The kernel's explanation behind a capped error message, or "". */
static const char *answer_words(const struct nlmsghdr *message)
{
    const struct nlattr *attributes[NLMSGERR_ATTR_MSG + 1], *words;

    if ((message->nlmsg_flags & NLM_F_ACK_TLVS) == 0 || (message->nlmsg_flags & NLM_F_CAPPED) == 0)
        return "";
    netlink_attributes(message, sizeof(struct nlmsgerr), attributes, NLMSGERR_ATTR_MSG + 1);
    words = attributes[NLMSGERR_ATTR_MSG];
    if (words == NULL || mnl_attr_validate(words, MNL_TYPE_NUL_STRING) != 0)
        return "";
    return mnl_attr_get_str(words);
}

/* Counts the acknowledgements; 0, or -1 with what the first refused message was about. */
static int answers_check(const struct batch *batch, const char *data, size_t size,
                         size_t *acknowledged, char *error, size_t error_size)
{
    const struct nlmsghdr *message = (const struct nlmsghdr *)(const void *)data;
    int left = (int)size;

    for (; mnl_nlmsg_ok(message, left); message = mnl_nlmsg_next(message, &left)) {
        const struct nlmsgerr *answer = mnl_nlmsg_get_payload(message);
        size_t index = message->nlmsg_seq - SEQUENCE;
        const char *words;

        if (message->nlmsg_type != NLMSG_ERROR ||
            mnl_nlmsg_get_payload_len(message) < sizeof(*answer))
            continue;
        if (answer->error == 0) {
            (*acknowledged)++;
            continue;
        }
        words = answer_words(message);
        snprintf(error, error_size, "nftables: %s: %s%s%s",
                 index < batch->sequence - SEQUENCE ? batch->names[index] : "transaction",
                 strerror(-answer->error), words[0] != '\0' ? ": " : "", words);
        return -1;
    }
    return 0;
}

/* Netlink answers within the call of send(): what is not there then will not come. */
static int transaction_answers(const struct batch *batch, struct mnl_socket *socket, char *error,
                               size_t size)
{
    size_t acknowledged = 0, expected = batch->sequence - SEQUENCE - 2; /* without the frame */
    char answer[16384] __attribute__((aligned(8)));

    for (;;) {
        ssize_t got = recv(mnl_socket_get_fd(socket), answer, sizeof(answer), MSG_DONTWAIT);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0 && errno != EAGAIN) {
            snprintf(error, size, "nftables: answer: %s", strerror(errno));
            return -1;
        }
        if (got <= 0)
            break;
        if (answers_check(batch, answer, (size_t)got, &acknowledged, error, size) != 0)
            return -1;
    }
    if (acknowledged >= expected)
        return 0;
    snprintf(error, size, "nftables: only %zu of %zu messages were acknowledged", acknowledged,
             expected);
    return -1;
}

static int transaction_run(struct batch *batch, char *error, size_t size)
{
    struct mnl_socket *socket = NULL;
    int result = -1;

    if (batch->no_memory) {
        snprintf(error, size, "nftables: %s", strerror(ENOMEM));
        return -1;
    }
    socket = transaction_socket(batch);
    if (socket == NULL || mnl_socket_sendto(socket, batch->data, batch->used) < 0)
        snprintf(error, size, "nftables: %s", strerror(errno));
    else
        result = transaction_answers(batch, socket, error, size);
    if (socket != NULL)
        mnl_socket_close(socket);
    return result;
}

static void batch_free(struct batch *batch)
{
    free(batch->data);
    free(batch->names);
}

/*
 * A bridge whose frames are shown to iptables loses the socket that TPROXY chose: nothing gets out,
 * but nothing works either.
 */
static void warn_of_bridges(const struct configuration *configuration)
{
    static const char *const settings[] = {"/proc/sys/net/bridge/bridge-nf-call-iptables",
                                           "/proc/sys/net/bridge/bridge-nf-call-ip6tables"};
    bool has_bridge = false;

    for (size_t i = 0; i < configuration->lan_count; i++) {
        char path[64 + IFNAMSIZ];
        snprintf(path, sizeof(path), "/sys/class/net/%s/bridge", configuration->lan[i]);
        has_bridge = has_bridge || access(path, F_OK) == 0;
    }
    for (size_t i = 0; has_bridge && i < sizeof(settings) / sizeof(settings[0]); i++) {
        FILE *file = fopen(settings[i], "re");
        if (file != NULL && fgetc(file) == '1')
            log_warnx("%s is 1: connections intercepted on a bridge fail; set it to 0",
                      settings[i]);
        if (file != NULL)
            fclose(file);
    }
}

int ruleset_install(const struct configuration *configuration, char *error, size_t size)
{
    struct batch batch = {.sequence = SEQUENCE};
    int result;

    for (size_t i = 0; i < configuration->lan_count; i++) {
        if (strlen(configuration->lan[i]) < IFNAMSIZ)
            continue;
        snprintf(error, size, "network.lan: no interface can be named %s", configuration->lan[i]);
        return -1;
    }
    warn_of_bridges(configuration);
    /* Routing first: without a mark nothing meets it, but a mark without routing meets a drop. */
    if (routing_install(configuration->mark, configuration->route_table, error, size) != 0)
        return -1;
    batch_frame(&batch, nftnl_batch_begin, "begin");
    batch_table(&batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    batch_table(&batch, NFT_MSG_DELTABLE, 0);
    batch_table(&batch, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
    batch_lan(&batch, configuration);
    batch_web(&batch);
    batch_quic(&batch, &configuration->policy);
    batch_chain(&batch, "intercept", NF_INET_PRE_ROUTING, -150); /* "mangle": before routing */
    batch_chain(&batch, "forward", NF_INET_FORWARD, 0);          /* "filter" */
    batch_rules(&batch, configuration);
    batch_frame(&batch, nftnl_batch_end, "end");
    result = transaction_run(&batch, error, size);
    batch_free(&batch);
    return result;
}

int ruleset_remove(const struct configuration *configuration, char *error, size_t size)
{
    struct batch batch = {.sequence = SEQUENCE};
    int result;

    batch_frame(&batch, nftnl_batch_begin, "begin");
    batch_table(&batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    batch_table(&batch, NFT_MSG_DELTABLE, 0);
    batch_frame(&batch, nftnl_batch_end, "end");
    result = transaction_run(&batch, error, size);
    batch_free(&batch);
    if (result != 0)
        return -1;
    return routing_remove(configuration->route_table, error, size);
}
