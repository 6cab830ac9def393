/* SPDX-License-Identifier: BSD-2-Clause */
/* What the kernel has of the table "inet sekisho": its sets, counters, and who is in a call. */
#include <errno.h>
#include <netinet/in.h> /* before linux/netfilter.h, which has its own otherwise */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <libmnl/libmnl.h>
#include <libnftnl/common.h>
#include <libnftnl/expr.h>
#include <libnftnl/object.h>
#include <libnftnl/set.h>

#include "filters/memory.h"
#include "gateway/netlink.h"
#include "gateway/ruleset_parts.h"

/* --- sets --- */

static void take_set(struct ruleset_known *known, const struct nftnl_set *set)
{
    const char *name = nftnl_set_get_str(set, NFTNL_SET_NAME);
    const char *table = nftnl_set_get_str(set, NFTNL_SET_TABLE);

    if (name == NULL || table == NULL || strcmp(table, RULESET_TABLE) != 0 ||
        strlen(name) >= RULESET_NAME)
        return;
    for (size_t i = 0; i < known->set_count; i++) /* an interrupted dump begins anew */
        if (strcmp(known->sets[i].name, name) == 0)
            return;
    known->sets = memory_resize(known->sets, known->set_count + 1, sizeof(*known->sets));
    struct ruleset_known_set *row = &known->sets[known->set_count++];
    snprintf(row->name, sizeof(row->name), "%s", name);
    row->number = nftnl_set_get_u32(set, NFTNL_SET_KEY_TYPE);
    row->size = nftnl_set_get_u32(set, NFTNL_SET_KEY_LEN);
    row->flags =
        nftnl_set_is_set(set, NFTNL_SET_FLAGS) ? nftnl_set_get_u32(set, NFTNL_SET_FLAGS) : 0;
}

static int set_row(const struct nlmsghdr *message, void *context)
{
    struct nftnl_set *set = nftnl_set_alloc();

    if (set != NULL && nftnl_set_nlmsg_parse(message, set) == 0)
        take_set(context, set);
    if (set != NULL)
        nftnl_set_free(set);
    return MNL_CB_OK;
}

static int read_sets(struct netlink *netlink, struct ruleset_known *known)
{
    char buffer[NETLINK_MESSAGE];
    struct nlmsghdr *request =
        nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETSET, NFPROTO_INET, NLM_F_DUMP, 0);
    struct nftnl_set *wanted = nftnl_set_alloc();
    int result = -1;

    if (wanted != NULL && nftnl_set_set_str(wanted, NFTNL_SET_TABLE, RULESET_TABLE) == 0) {
        nftnl_set_nlmsg_build_payload(request, wanted);
        result = netlink_ask(netlink, request, set_row, known);
    }
    if (wanted != NULL)
        nftnl_set_free(wanted);
    return result != 0 && errno == ENOENT ? 0 : result;
}

/* --- counters --- */

static int counter_row(const struct nlmsghdr *message, void *context)
{
    struct ruleset_known *known = context;
    struct nftnl_obj *counter = nftnl_obj_alloc();

    if (counter != NULL && nftnl_obj_nlmsg_parse(message, counter) == 0) {
        const char *name = nftnl_obj_get_str(counter, NFTNL_OBJ_NAME);
        const char *table = nftnl_obj_get_str(counter, NFTNL_OBJ_TABLE);
        struct ruleset_counter *row = NULL;

        for (size_t i = 0; name != NULL && i < known->counter_count; i++)
            if (strcmp(known->counters[i].name, name) == 0)
                row = &known->counters[i];
        if (row == NULL && name != NULL && strlen(name) < RULESET_NAME && table != NULL &&
            strcmp(table, RULESET_TABLE) == 0) {
            known->counters =
                memory_resize(known->counters, known->counter_count + 1, sizeof(*known->counters));
            row = &known->counters[known->counter_count++];
            snprintf(row->name, sizeof(row->name), "%s", name);
        }
        if (row != NULL) {
            row->packets = nftnl_obj_get_u64(counter, NFTNL_OBJ_CTR_PKTS);
            row->bytes = nftnl_obj_get_u64(counter, NFTNL_OBJ_CTR_BYTES);
        }
    }
    if (counter != NULL)
        nftnl_obj_free(counter);
    return MNL_CB_OK;
}

static int read_counters(struct netlink *netlink, struct ruleset_known *known)
{
    char buffer[NETLINK_MESSAGE];
    struct nlmsghdr *request =
        nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETOBJ, NFPROTO_INET, NLM_F_DUMP, 0);
    struct nftnl_obj *wanted = nftnl_obj_alloc();
    int result = -1;

    if (wanted != NULL) {
        nftnl_obj_set_str(wanted, NFTNL_OBJ_TABLE, RULESET_TABLE);
        nftnl_obj_set_u32(wanted, NFTNL_OBJ_TYPE, NFT_OBJECT_COUNTER);
        nftnl_obj_nlmsg_build_payload(request, wanted);
        result = netlink_ask(netlink, request, counter_row, known);
        nftnl_obj_free(wanted);
    }
    return result != 0 && errno == ENOENT ? 0 : result;
}

int ruleset_known_read(struct ruleset_known *known)
{
    struct netlink *netlink = netlink_new_nftables();
    int result = -1;

    *known = (struct ruleset_known){.set_count = 0};
    if (netlink != NULL && read_sets(netlink, known) == 0)
        result = read_counters(netlink, known);
    netlink_free(netlink);
    return result;
}

size_t ruleset_counters_read(struct ruleset_counter **counters)
{
    struct netlink *netlink = netlink_new_nftables();
    struct ruleset_known known = {.set_count = 0};

    if (netlink != NULL)
        (void)read_counters(netlink, &known);
    netlink_free(netlink);
    *counters = known.counters;
    return known.counter_count;
}

/* --- calls --- */

struct call_reading {
    ruleset_call_visit *visit;
    void *context;
    uint8_t family;
};

static int count_expression(struct nftnl_expr *expression, void *context)
{
    struct ruleset_call *call = context;
    const char *name = nftnl_expr_get_str(expression, NFTNL_EXPR_NAME);

    if (name != NULL && strcmp(name, "counter") == 0) {
        call->packets = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_PACKETS);
        call->bytes = nftnl_expr_get_u64(expression, NFTNL_EXPR_CTR_BYTES);
    }
    return 0;
}

/* The key is both addresses and the mark, side by side. */
static int call_element(struct nftnl_set_elem *element, void *context)
{
    const struct call_reading *reading = context;
    const uint32_t width = reading->family == 4 ? 4 : 16;
    struct ruleset_call call = {.mark = 0};
    uint32_t size = 0;
    const uint8_t *key = nftnl_set_elem_get(element, NFTNL_SET_ELEM_KEY, &size);

    if (key == NULL || size != 2 * width + sizeof(call.mark))
        return 0;
    call.client.family = call.peer.family = reading->family;
    memcpy(call.client.bytes, key, width);
    memcpy(call.peer.bytes, key + width, width);
    memcpy(&call.mark, key + 2 * width, sizeof(call.mark));
    nftnl_set_elem_expr_foreach(element, count_expression, &call);
    reading->visit(reading->context, &call);
    return 0;
}

static int call_row(const struct nlmsghdr *message, void *context)
{
    struct nftnl_set *set = nftnl_set_alloc();

    if (set != NULL && nftnl_set_elems_nlmsg_parse(message, set) == 0)
        nftnl_set_elem_foreach(set, call_element, context);
    if (set != NULL)
        nftnl_set_free(set);
    return MNL_CB_OK;
}

static int read_calls(struct netlink *netlink, const char *name, struct call_reading *reading)
{
    char buffer[NETLINK_MESSAGE];
    struct nlmsghdr *request =
        nftnl_nlmsg_build_hdr(buffer, NFT_MSG_GETSETELEM, NFPROTO_INET, NLM_F_DUMP, 0);
    struct nftnl_set *wanted = nftnl_set_alloc();
    int result = -1;

    if (wanted != NULL && nftnl_set_set_str(wanted, NFTNL_SET_TABLE, RULESET_TABLE) == 0 &&
        nftnl_set_set_str(wanted, NFTNL_SET_NAME, name) == 0) {
        nftnl_set_elems_nlmsg_build_payload(request, wanted);
        result = netlink_ask(netlink, request, call_row, reading);
    }
    if (wanted != NULL)
        nftnl_set_free(wanted);
    return result;
}

int ruleset_calls_read(ruleset_call_visit *visit, void *context)
{
    struct netlink *netlink = netlink_new_nftables();
    struct call_reading reading = {visit, context, 4};
    int result = -1, saved;

    if (netlink == NULL)
        return -1;
    if (read_calls(netlink, "calls4", &reading) == 0) {
        reading.family = 6;
        result = read_calls(netlink, "calls6", &reading);
    }
    saved = errno;
    netlink_free(netlink);
    errno = saved;
    return result;
}

void ruleset_known_clear(struct ruleset_known *known)
{
    free(known->sets);
    free(known->counters);
    *known = (struct ruleset_known){.set_count = 0};
}
