/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The kernel's neighbour and address tables as sorted lists that are read anew when they are old. A
 * client that is not in the list makes it be read at most once in NEIGHBOUR_PAUSE, whatever it
 * does.
 */
#include <errno.h>
#include <linux/neighbour.h>
#include <linux/rtnetlink.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "filters/memory.h"
#include "gateway/neighbour.h"
#include "gateway/netlink.h"

#define ENTRIES         1024  /* of either list; more are not looked at */
#define NEIGHBOUR_AGE   10000 /* milliseconds that an answer is believed */
#define NEIGHBOUR_PAUSE 2     /* between two readings for addresses that are not there */
#define OWN_AGE         3000

struct entry {
    struct address address;
    uint8_t mac[6];
    bool ambiguous; /* the same address has other MACs on other links */
    uint8_t prefix; /* own addresses: bits of the network on its link */
    uint32_t link;
};

struct list {
    bool read;
    int64_t time; /* of the last reading */
    size_t count;
    struct entry entries[ENTRIES];
};

struct neighbours {
    struct netlink *netlink;
    struct list known, own;
    struct list scratch; /* a reading that fails must not leave half a list */
};

struct neighbours *neighbours_new(void)
{
    struct netlink *netlink = netlink_new();
    struct neighbours *neighbours;

    if (netlink == NULL)
        return NULL;
    neighbours = memory_allocate(1, sizeof(*neighbours));
    neighbours->netlink = netlink;
    return neighbours;
}

void neighbours_free(struct neighbours *neighbours)
{
    if (neighbours == NULL)
        return;
    netlink_free(neighbours->netlink);
    free(neighbours);
}

/* --- lists --- */

static int entry_compare(const void *a, const void *b)
{
    const struct entry *one = a, *other = b;

    if (one->address.family != other->address.family)
        return one->address.family < other->address.family ? -1 : 1;
    return memcmp(one->address.bytes, other->address.bytes, one->address.family == 4 ? 4 : 16);
}

/* The new entry, or NULL. */
static struct entry *list_add(struct list *list, uint8_t family, const struct nlattr *address,
                              const uint8_t *mac)
{
    size_t size = family == AF_INET ? 4 : 16;
    struct entry *entry;

    if (list->count == ENTRIES || address == NULL || mnl_attr_get_payload_len(address) != size)
        return NULL;
    entry = &list->entries[list->count++];
    memset(entry, 0, sizeof(*entry));
    entry->address.family = family == AF_INET ? 4 : 6;
    memcpy(entry->address.bytes, mnl_attr_get_payload(address), size);
    if (mac != NULL)
        memcpy(entry->mac, mac, sizeof(entry->mac));
    return entry;
}

/* Sorts, and joins entries of the same address. */
static void list_order(struct list *list)
{
    size_t kept = 0;

    qsort(list->entries, list->count, sizeof(list->entries[0]), entry_compare);
    for (size_t i = 0; i < list->count; i++) {
        struct entry *entry = &list->entries[i], *last = &list->entries[kept];

        if (kept > 0 && entry_compare(entry, --last) == 0)
            last->ambiguous |= entry->ambiguous || memcmp(entry->mac, last->mac, 6) != 0;
        else
            list->entries[kept++] = *entry;
    }
    list->count = kept;
}

static const struct entry *list_find(const struct list *list, const struct address *address)
{
    struct entry key = {.address = *address};

    return bsearch(&key, list->entries, list->count, sizeof(key), entry_compare);
}

/* --- the kernel's rows --- */

static int neighbour_row(const struct nlmsghdr *message, void *context)
{
    const uint16_t good = NUD_REACHABLE | NUD_STALE | NUD_DELAY | NUD_PROBE | NUD_PERMANENT;
    const struct ndmsg *neighbour = mnl_nlmsg_get_payload(message);
    const struct nlattr *attributes[NDA_LLADDR + 1];

    if (mnl_nlmsg_get_payload_len(message) < sizeof(*neighbour) ||
        (neighbour->ndm_family != AF_INET && neighbour->ndm_family != AF_INET6) ||
        (neighbour->ndm_state & good) == 0)
        return MNL_CB_OK;
    netlink_attributes(message, sizeof(*neighbour), attributes, NDA_LLADDR + 1);
    if (attributes[NDA_LLADDR] != NULL && mnl_attr_get_payload_len(attributes[NDA_LLADDR]) == 6)
        list_add(context, neighbour->ndm_family, attributes[NDA_DST],
                 mnl_attr_get_payload(attributes[NDA_LLADDR]));
    return MNL_CB_OK;
}

static int own_row(const struct nlmsghdr *message, void *context)
{
    const struct ifaddrmsg *own = mnl_nlmsg_get_payload(message);
    const struct nlattr *attributes[IFA_LOCAL + 1];

    if (mnl_nlmsg_get_payload_len(message) < sizeof(*own) ||
        (own->ifa_family != AF_INET && own->ifa_family != AF_INET6))
        return MNL_CB_OK;
    netlink_attributes(message, sizeof(*own), attributes, IFA_LOCAL + 1);
    /* On a point-to-point link IFA_ADDRESS is the other end. */
    struct entry *entry =
        list_add(context, own->ifa_family,
                 attributes[attributes[IFA_LOCAL] != NULL ? IFA_LOCAL : IFA_ADDRESS], NULL);
    if (entry != NULL) {
        entry->prefix = own->ifa_prefixlen;
        entry->link = own->ifa_index;
    }
    return MNL_CB_OK;
}

/* The old list stays when the kernel does not answer; it is asked again after the usual time. */
static void list_read(struct neighbours *neighbours, struct list *list, uint16_t type, mnl_cb_t row,
                      int64_t now)
{
    char buffer[NETLINK_MESSAGE];
    struct nlmsghdr *request = mnl_nlmsg_put_header(buffer);

    /* The payload is a struct ndmsg or ifaddrmsg of family 0 (all), zeroed by libmnl. */
    request->nlmsg_type = type;
    request->nlmsg_flags = NLM_F_DUMP;
    mnl_nlmsg_put_extra_header(request, type == RTM_GETNEIGH ? sizeof(struct ndmsg)
                                                             : sizeof(struct ifaddrmsg));
    neighbours->scratch.count = 0;
    list->time = now;
    if (netlink_ask(neighbours->netlink, request, row, &neighbours->scratch) != 0)
        return;
    list_order(&neighbours->scratch);
    list->read = true;
    list->count = neighbours->scratch.count;
    memcpy(list->entries, neighbours->scratch.entries, list->count * sizeof(list->entries[0]));
}

static bool list_is_old(const struct list *list, int64_t now, int64_t age)
{
    return !list->read || now - list->time >= age || now < list->time;
}

bool neighbours_find(struct neighbours *neighbours, const struct address *address, int64_t now,
                     uint8_t mac[6])
{
    struct list *known = &neighbours->known;
    const struct entry *entry;

    if (address->family != 4 && address->family != 6)
        return false;
    if (list_is_old(known, now, NEIGHBOUR_AGE))
        list_read(neighbours, known, RTM_GETNEIGH, neighbour_row, now);
    entry = list_find(known, address);
    if (entry == NULL && list_is_old(known, now, NEIGHBOUR_PAUSE)) {
        list_read(neighbours, known, RTM_GETNEIGH, neighbour_row, now);
        entry = list_find(known, address);
    }
    if (entry == NULL || entry->ambiguous)
        return false;
    memcpy(mac, entry->mac, sizeof(entry->mac));
    return true;
}

/* 127.0.0.0/8 is this machine in whole, and Linux connects the unspecified address to itself. */
static bool address_is_self(const struct address *address)
{
    static const uint8_t unspecified[16];

    if (address->family == 4)
        return address->bytes[0] == 127 || memcmp(address->bytes, unspecified, 4) == 0;
    return memcmp(address->bytes, unspecified, 16) == 0;
}

bool neighbours_is_on_link(struct neighbours *neighbours, const struct address *address,
                           unsigned link, int64_t now)
{
    struct list *own = &neighbours->own;

    if (list_is_old(own, now, OWN_AGE))
        list_read(neighbours, own, RTM_GETADDR, own_row, now);
    for (size_t i = 0; i < own->count; i++) {
        struct network network = {own->entries[i].address, own->entries[i].prefix};
        if (own->entries[i].link == link && network_contains(&network, address))
            return true;
    }
    return false;
}

bool neighbours_is_own(struct neighbours *neighbours, const struct address *address, int64_t now)
{
    if (address->family != 4 && address->family != 6)
        return false;
    if (address_is_self(address))
        return true;
    if (list_is_old(&neighbours->own, now, OWN_AGE))
        list_read(neighbours, &neighbours->own, RTM_GETADDR, own_row, now);
    return list_find(&neighbours->own, address) != NULL;
}
