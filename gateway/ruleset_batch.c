/* SPDX-License-Identifier: BSD-2-Clause */
/* Netlink messages for nftables, put together and sent as one transaction. */
#include <errno.h>
#include <netinet/in.h> /* before linux/netfilter.h, which has its own otherwise */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <libnftnl/chain.h>
#include <libnftnl/common.h>
#include <libnftnl/object.h>
#include <libnftnl/rule.h>
#include <libnftnl/set.h>
#include <libnftnl/table.h>
#include <libnftnl/udata.h>

#include "filters/memory.h"
#include "gateway/netlink.h"
#include "gateway/ruleset_batch.h"

#define BATCH_ROOM     65536   /* the largest message is smaller */
#define ELEMENTS       1000    /* in one message: at most 36 bytes each, and they end at 64 kB */
#define SEQUENCE       1       /* of the first message */
#define RECEIVE_BUFFER 4194304 /* bytes: one acknowledgement per message has to fit */

/* The order in which nft is to read the keys of a set; the kernel does not look at it. */
enum byte_order { ORDER_NONE, ORDER_HOST, ORDER_NETWORK };

struct ruleset_batch {
    char *data;
    size_t used, size;
    uint32_t sequence; /* of the next message */
    char (*names)[96]; /* what each message is about, for the error */
    size_t name_room;
    bool no_memory;
};

/* Room for the next message, begun. `what` and `name` say in an error what it was about. */
static struct nlmsghdr *message_begin(struct ruleset_batch *batch, uint16_t type, uint16_t flags,
                                      const char *what, const char *name)
{
    size_t index = batch->sequence - SEQUENCE;

    if (batch->size - batch->used < BATCH_ROOM) {
        batch->size = 2 * batch->size + BATCH_ROOM;
        batch->data = memory_resize(batch->data, batch->size, 1);
    }
    if (index >= batch->name_room) {
        batch->name_room = 2 * batch->name_room + 64;
        batch->names = memory_resize(batch->names, batch->name_room, sizeof(*batch->names));
    }
    snprintf(batch->names[index], sizeof(*batch->names), "%.25s %.68s", what, name);
    return nftnl_nlmsg_build_hdr(batch->data + batch->used, type, NFPROTO_INET,
                                 (uint16_t)(flags | NLM_F_ACK), batch->sequence++);
}

static void message_end(struct ruleset_batch *batch, const struct nlmsghdr *message)
{
    /* Messages begin at multiples of four bytes. */
    batch->used += (message->nlmsg_len + 3u) & ~3u;
}

static void put_frame(struct ruleset_batch *batch, struct nlmsghdr *(*put)(char *, uint32_t),
                      const char *what)
{
    message_begin(batch, NLMSG_NOOP, 0, what, "");
    message_end(batch, put(batch->data + batch->used, batch->sequence - 1));
}

static void put_table(struct ruleset_batch *batch, uint16_t type, uint16_t flags)
{
    struct nftnl_table *table = nftnl_table_alloc();
    struct nlmsghdr *message = message_begin(batch, type, flags, "table", RULESET_TABLE);

    if (table == NULL || nftnl_table_set_str(table, NFTNL_TABLE_NAME, RULESET_TABLE) != 0)
        batch->no_memory = true;
    else
        nftnl_table_nlmsg_build_payload(message, table);
    message_end(batch, message);
    if (table != NULL)
        nftnl_table_free(table);
}

struct ruleset_batch *ruleset_batch_new(enum ruleset_table what)
{
    struct ruleset_batch *batch = memory_allocate(1, sizeof(*batch));

    batch->sequence = SEQUENCE;
    put_frame(batch, nftnl_batch_begin, "begin");
    put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE);
    if (what != RULESET_TABLE_KEEP)
        put_table(batch, NFT_MSG_DELTABLE, 0);
    if (what == RULESET_TABLE_REPLACE)
        put_table(batch, NFT_MSG_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL);
    return batch;
}

void ruleset_batch_free(struct ruleset_batch *batch)
{
    free(batch->data);
    free(batch->names);
    free(batch);
}

/* --- chains and rules --- */

void ruleset_batch_chain(struct ruleset_batch *batch, const char *name, const char *type,
                         uint32_t hook, int32_t priority)
{
    struct nftnl_chain *chain = nftnl_chain_alloc();
    struct nlmsghdr *message = message_begin(batch, NFT_MSG_NEWCHAIN, NLM_F_CREATE, "chain", name);

    if (chain == NULL || nftnl_chain_set_str(chain, NFTNL_CHAIN_TABLE, RULESET_TABLE) != 0 ||
        nftnl_chain_set_str(chain, NFTNL_CHAIN_NAME, name) != 0 ||
        (type != NULL && nftnl_chain_set_str(chain, NFTNL_CHAIN_TYPE, type) != 0)) {
        batch->no_memory = true;
    } else {
        if (type != NULL) {
            nftnl_chain_set_u32(chain, NFTNL_CHAIN_HOOKNUM, hook);
            nftnl_chain_set_s32(chain, NFTNL_CHAIN_PRIO, priority);
            nftnl_chain_set_u32(chain, NFTNL_CHAIN_POLICY, NF_ACCEPT);
        }
        nftnl_chain_nlmsg_build_payload(message, chain);
    }
    message_end(batch, message);
    if (chain != NULL)
        nftnl_chain_free(chain);
}

bool ruleset_batch_rule(void *context, struct nftnl_rule *rule)
{
    struct ruleset_batch *batch = context;
    struct nlmsghdr *message =
        message_begin(batch, NFT_MSG_NEWRULE, NLM_F_CREATE | NLM_F_APPEND, "rule of chain",
                      nftnl_rule_get_str(rule, NFTNL_RULE_CHAIN));

    nftnl_rule_nlmsg_build_payload(message, rule);
    message_end(batch, message);
    nftnl_rule_free(rule);
    return true;
}

void ruleset_batch_flush_rules(struct ruleset_batch *batch)
{
    struct nftnl_rule *rule = nftnl_rule_alloc();
    struct nlmsghdr *message = message_begin(batch, NFT_MSG_DELRULE, 0, "all rules", "");

    if (rule == NULL || nftnl_rule_set_str(rule, NFTNL_RULE_TABLE, RULESET_TABLE) != 0)
        batch->no_memory = true;
    else
        nftnl_rule_nlmsg_build_payload(message, rule);
    message_end(batch, message);
    if (rule != NULL)
        nftnl_rule_free(rule);
}

/* --- sets --- */

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

/* Takes the set; NULL when there was no memory for it. */
static void put_set(struct ruleset_batch *batch, struct nlmsghdr *message, struct nftnl_set *set,
                    void (*build)(struct nlmsghdr *, struct nftnl_set *))
{
    if (set == NULL)
        batch->no_memory = true;
    else
        build(message, set);
    message_end(batch, message);
    if (set != NULL)
        nftnl_set_free(set);
}

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

static enum byte_order order_of(enum ruleset_set_type type)
{
    switch (type) {
    case RULESET_INTERFACES:
    case RULESET_MARKS:
        return ORDER_HOST;
    case RULESET_CALLS4:
    case RULESET_CALLS6:
        return ORDER_NONE; /* each part has its own */
    default:
        return ORDER_NETWORK;
    }
}

void ruleset_batch_add_set(struct ruleset_batch *batch, const struct ruleset_set *wanted)
{
    const struct ruleset_set_traits *traits = ruleset_set_traits(wanted->type);
    struct nftnl_set *set = set_named(wanted->name);
    struct nlmsghdr *message =
        message_begin(batch, NFT_MSG_NEWSET, NLM_F_CREATE | NLM_F_EXCL, "set", wanted->name);

    if (set != NULL && order_of(wanted->type) != ORDER_NONE &&
        !set_order(set, order_of(wanted->type))) {
        nftnl_set_free(set);
        set = NULL;
    }
    if (set != NULL) {
        nftnl_set_set_u32(set, NFTNL_SET_FAMILY, NFPROTO_INET);
        nftnl_set_set_u32(set, NFTNL_SET_KEY_TYPE, traits->number);
        nftnl_set_set_u32(set, NFTNL_SET_KEY_LEN, traits->size);
        /* Within a transaction sets need numbers; the message's own is as good as any. */
        nftnl_set_set_u32(set, NFTNL_SET_ID, message->nlmsg_seq);
        if (traits->flags != 0)
            nftnl_set_set_u32(set, NFTNL_SET_FLAGS, traits->flags);
        if (traits->flags & NFT_SET_OBJECT)
            nftnl_set_set_u32(set, NFTNL_SET_OBJ_TYPE, NFT_OBJECT_COUNTER);
        if (traits->timeout != 0)
            nftnl_set_set_u64(set, NFTNL_SET_TIMEOUT, traits->timeout);
        if (traits->most != 0)
            nftnl_set_set_u32(set, NFTNL_SET_DESC_SIZE, traits->most);
    }
    put_set(batch, message, set, nftnl_set_nlmsg_build_payload);
}

void ruleset_batch_delete_set(struct ruleset_batch *batch, const char *name)
{
    struct nlmsghdr *message = message_begin(batch, NFT_MSG_DELSET, 0, "old set", name);

    put_set(batch, message, set_named(name), nftnl_set_nlmsg_build_payload);
}

/* Deleting elements without saying which means all. */
void ruleset_batch_flush_set(struct ruleset_batch *batch, const char *name)
{
    struct nlmsghdr *message = message_begin(batch, NFT_MSG_DELSETELEM, 0, "set", name);

    put_set(batch, message, set_named(name), nftnl_set_nlmsg_build_payload);
}

static bool element_add(struct nftnl_set *set, const void *key, uint32_t size, uint32_t flags,
                        const char *object)
{
    struct nftnl_set_elem *element = nftnl_set_elem_alloc();

    if (element == NULL)
        return false;
    if (flags != 0)
        nftnl_set_elem_set_u32(element, NFTNL_SET_ELEM_FLAGS, flags);
    if (nftnl_set_elem_set(element, NFTNL_SET_ELEM_KEY, key, size) != 0 ||
        (object != NULL && nftnl_set_elem_set_str(element, NFTNL_SET_ELEM_OBJREF, object) != 0)) {
        nftnl_set_elem_free(element);
        return false;
    }
    nftnl_set_elem_add(set, element);
    return true;
}

/* Element `index` into the part of the set that a message is made of. */
static bool element_put(struct nftnl_set *part, const struct ruleset_set *set, size_t index)
{
    const struct ruleset_set_traits *traits = ruleset_set_traits(set->type);
    const struct interval *element = &set->elements[index];
    uint8_t end[16];

    if (!element_add(part, element->first, traits->size, 0,
                     set->objects == NULL ? NULL : set->objects[index]))
        return false;
    return !(traits->flags & NFT_SET_INTERVAL) || !interval_end(element, traits->size, end) ||
           element_add(part, end, traits->size, NFT_SET_ELEM_INTERVAL_END, NULL);
}

void ruleset_batch_fill_set(struct ruleset_batch *batch, const struct ruleset_set *set)
{
    for (size_t i = 0; i < set->count;) {
        struct nlmsghdr *message =
            message_begin(batch, NFT_MSG_NEWSETELEM, NLM_F_CREATE, "elements of set", set->name);
        struct nftnl_set *part = set_named(set->name);

        for (size_t end = i + ELEMENTS / 2; i < set->count && i < end; i++)
            if (part == NULL || !element_put(part, set, i))
                batch->no_memory = true;
        put_set(batch, message, part, nftnl_set_elems_nlmsg_build_payload);
    }
}

/* --- counters --- */

static void put_counter(struct ruleset_batch *batch, uint16_t type, uint16_t flags,
                        const char *name)
{
    struct nftnl_obj *counter = nftnl_obj_alloc();
    struct nlmsghdr *message = message_begin(batch, type, flags, "counter", name);

    if (counter == NULL) {
        batch->no_memory = true;
    } else {
        nftnl_obj_set_str(counter, NFTNL_OBJ_TABLE, RULESET_TABLE);
        nftnl_obj_set_str(counter, NFTNL_OBJ_NAME, name);
        nftnl_obj_set_u32(counter, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
        nftnl_obj_set_u64(counter, NFTNL_OBJ_CTR_PKTS, 0);
        nftnl_obj_set_u64(counter, NFTNL_OBJ_CTR_BYTES, 0);
        nftnl_obj_nlmsg_build_payload(message, counter);
    }
    message_end(batch, message);
    if (counter != NULL)
        nftnl_obj_free(counter);
}

void ruleset_batch_add_counter(struct ruleset_batch *batch, const char *name)
{
    put_counter(batch, NFT_MSG_NEWOBJ, NLM_F_CREATE | NLM_F_EXCL, name);
}

void ruleset_batch_delete_counter(struct ruleset_batch *batch, const char *name)
{
    put_counter(batch, NFT_MSG_DELOBJ, 0, name);
}

/* --- the transaction --- */

static struct mnl_socket *transaction_socket(const struct ruleset_batch *batch)
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
static int answers_check(const struct ruleset_batch *batch, const char *data, size_t size,
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
static int transaction_answers(const struct ruleset_batch *batch, struct mnl_socket *socket,
                               char *error, size_t size)
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

int ruleset_batch_run(struct ruleset_batch *batch, char *error, size_t size)
{
    struct mnl_socket *socket = NULL;
    int result = -1;

    put_frame(batch, nftnl_batch_end, "end");
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
