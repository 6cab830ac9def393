/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the kernel's part is put together from: address intervals, the sets and counters that a
 * configuration wants, its rules, the netlink transaction, what the kernel has, policy routing.
 */
#ifndef GATEWAY_RULESET_PARTS_H
#define GATEWAY_RULESET_PARTS_H

#include "gateway/configuration.h"
#include "gateway/exchange.h"
#include "gateway/ruleset.h"

struct nftnl_rule;

#define RULESET_TABLE "sekisho"

/* --- ruleset_intervals.c: networks as the kernel's interval sets want them --- */

struct interval {
    uint8_t first[16], last[16]; /* both included; only as many bytes as the set's keys have */
};

/* The `count` networks that are of `family` (4 or 6), sorted, overlapping and adjacent ones merged.
 * The caller frees *intervals; how many there are is returned. */
size_t intervals_merge(const struct network *networks, size_t count, uint8_t family,
                       struct interval **intervals);
/* The same for ports, as keys of two bytes. */
size_t intervals_merge_ports(const struct port_range *ranges, size_t count,
                             struct interval **intervals);
/* The key of `size` bytes after the interval's last, or false when there is none. */
bool interval_end(const struct interval *interval, size_t size, uint8_t end[16]);

/* --- ruleset_sets.c: the sets and counters that a configuration wants --- */

/*
 * X(symbol, nft's number of the data type, bytes of a key, flags, default timeout in ms, most
 * elements or 0). nft reads the number to print a set as people read it.
 */
#define RULESET_SET_TYPES(X)                                                                       \
    X(INTERFACES, NFT_TYPE_INTERFACE, 16, 0, 0, 0)                                                 \
    X(PORTS, NFT_TYPE_PORT, 2, NFT_SET_INTERVAL, 0, 0)                                             \
    X(NETWORKS4, NFT_TYPE_IPV4, 4, NFT_SET_INTERVAL, 0, 0)                                         \
    X(NETWORKS6, NFT_TYPE_IPV6, 16, NFT_SET_INTERVAL, 0, 0)                                        \
    /* filled by dnsmasq: an address counts for a day after its name was asked for */              \
    X(NAMES4, NFT_TYPE_IPV4, 4, NFT_SET_TIMEOUT, 86400000, 65536)                                  \
    X(NAMES6, NFT_TYPE_IPV6, 16, NFT_SET_TIMEOUT, 86400000, 65536)                                 \
    /* filled by the rules themselves */                                                           \
    X(CLIENTS4, NFT_TYPE_IPV4, 4, NFT_SET_EVAL, 0, 65536)                                          \
    X(CLIENTS6, NFT_TYPE_IPV6, 16, NFT_SET_EVAL, 0, 65536)                                         \
    X(CALLS4, NFT_TYPE_CALL4, 12, NFT_SET_TIMEOUT | NFT_SET_EVAL, RULESET_CALL, 4096)              \
    X(CALLS6, NFT_TYPE_CALL6, 36, NFT_SET_TIMEOUT | NFT_SET_EVAL, RULESET_CALL, 4096)              \
    /* from a flow's mark to the counter of its service */                                         \
    X(MARKS, NFT_TYPE_MARK, 4, NFT_SET_OBJECT, 0, 0)

/* nft's own numbers; those of a concatenation stand side by side, six bits each. */
#define NFT_TYPE_IPV4      7
#define NFT_TYPE_IPV6      8
#define NFT_TYPE_PORT      13
#define NFT_TYPE_MARK      19
#define NFT_TYPE_INTERFACE 41
#define NFT_TYPE_CALL4     ((NFT_TYPE_IPV4 << 12) | (NFT_TYPE_IPV4 << 6) | NFT_TYPE_MARK)
#define NFT_TYPE_CALL6     ((NFT_TYPE_IPV6 << 12) | (NFT_TYPE_IPV6 << 6) | NFT_TYPE_MARK)

#define RULESET_CALL 30000 /* ms without a packet after which a peer of a call is forgotten */

enum ruleset_set_type {
#define X(symbol, number, size, flags, timeout, most) RULESET_##symbol,
    RULESET_SET_TYPES(X)
#undef X
};

struct ruleset_set_traits {
    uint32_t number, size, flags;
    uint64_t timeout; /* ms, 0 for none */
    uint32_t most;
};
const struct ruleset_set_traits *ruleset_set_traits(enum ruleset_set_type type);

/* One set, with what the configuration puts into it. */
struct ruleset_set {
    char name[RULESET_NAME];
    enum ruleset_set_type type;
    bool kept;                     /* what is in it is not the configuration's, and stays */
    struct interval *elements;     /* a set without intervals has `first` only */
    char (*objects)[RULESET_NAME]; /* MARKS: the counter of each element, otherwise NULL */
    size_t count;
};

/* X(symbol, name): the counters that are always there. Each service has media_SERVICE, each permit
 * permit_NAME besides. */
#define RULESET_COUNTERS(X)                                                                        \
    X(INTERCEPTED, "intercepted") /* packets of the web that went to the proxy */                  \
    X(FORGED, "forged")           /* packets with a sender who is not of the LAN */                \
    X(UNSERVED, "unserved")       /* ... that found nobody listening */                            \
    X(AROUND, "around")           /* ... that came by the proxy all the same */                    \
    X(LIMITED, "limited")         /* ... over network.connections-per-client */                    \
    X(QUIC_PASSED, "quic-passed")                                                                  \
    X(QUIC, "quic")                                                                                \
    X(DOT, "dns-over-tls")                                                                         \
    X(DNS_PASSED, "dns-passed")                                                                    \
    X(DNS_REDIRECTED, "dns-redirected") /* flows */                                                \
    X(DNS, "dns")                                                                                  \
    X(MEDIA_NEW, "media-new")       /* packets of media before the first answer */                 \
    X(UNLIKE_MEDIA, "unlike-media") /* refused by network.media-check */                           \
    X(PEERS_NEW, "peer-to-peer-new")                                                               \
    X(BYPASSED, "bypassed")                                                                        \
    X(SEGMENTS, "segments")                                                                        \
    X(INBOUND, "inbound")                                                                          \
    X(EGRESS, "egress")                                                                            \
    X(PASSED, "passed")

struct ruleset_plan {
    struct ruleset_set *sets;
    size_t set_count;
    char (*counters)[RULESET_NAME];
    size_t counter_count;
};
void ruleset_plan_make(const struct configuration *configuration, struct ruleset_plan *plan);
void ruleset_plan_clear(struct ruleset_plan *plan);

/* Adds elements to a set of interfaces; freed with its `elements`. */
void ruleset_set_add_interfaces(struct ruleset_set *set, char *const *names, size_t count);

/* The name of a set or counter of a section: "media4_zoom". */
void ruleset_name(char name[RULESET_NAME], const char *kind, const char *of);
/* The same for the sets that count the connections of each client: changed with the limit, because
 * an element keeps the limit that it was made with. */
void ruleset_limit_name(char name[RULESET_NAME], const struct configuration *configuration,
                        uint8_t family);

/* Whether it has flows of media in the kernel. */
bool ruleset_has_media(const struct service *service);

/* --- ruleset_rules.c and ruleset_services.c: the rules --- */

/* Takes a rule and frees it. False: no memory. */
typedef bool ruleset_take(void *context, struct nftnl_rule *rule);
/* Every rule that the configuration wants, in order. False when there was no memory for one. */
bool ruleset_rules_make(const struct configuration *configuration, ruleset_take *take,
                        void *context);

/* --- ruleset_kernel.c: what the kernel has --- */

struct ruleset_known_set {
    char name[RULESET_NAME];
    uint32_t number, size, flags;
};
struct ruleset_known {
    struct ruleset_known_set *sets;
    size_t set_count;
    struct ruleset_counter *counters;
    size_t counter_count;
};
/* The sets and counters of the table; none when there is no table. 0, or -1 with errno. */
int ruleset_known_read(struct ruleset_known *known);
void ruleset_known_clear(struct ruleset_known *known);

/* --- ruleset_shape.c: whether the rules are still ours; see ruleset_is_whole() --- */

/* They are as they should be now. */
void ruleset_shape_note(void);

/* --- routing.c: packets with the mark are delivered locally --- */

/* 0, or -1 with a message. What an older configuration left is taken away. */
int routing_install(uint32_t mark, uint32_t table, char *error, size_t size);
int routing_remove(uint32_t table, char *error, size_t size);

#endif
