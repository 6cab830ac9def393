/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a configuration to the sets and counters of the table "inet sekisho", with their contents.
 * Their names are fixed, so that dnsmasq can fill some of them and people can read all of them.
 */
#include <linux/netfilter/nf_tables.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/ruleset_parts.h"

const struct ruleset_set_traits *ruleset_set_traits(enum ruleset_set_type type)
{
    static const struct ruleset_set_traits rows[] = {
#define X(symbol, number, size, flags, timeout, most) {number, size, flags, timeout, most},
        RULESET_SET_TYPES(X)
#undef X
    };

    return &rows[type];
}

void ruleset_name(char name[RULESET_NAME], const char *kind, const char *of)
{
    snprintf(name, RULESET_NAME, "%s_%s", kind, of);
}

void ruleset_limit_name(char name[RULESET_NAME], const struct configuration *configuration,
                        uint8_t family)
{
    snprintf(name, RULESET_NAME, "clients%u_%u", (unsigned)family,
             configuration->intercepted_per_client);
}

uint32_t ruleset_mark(const char *service, bool peer)
{
    uint32_t value = 2166136261u; /* FNV-1a */

    for (; *service != '\0'; service++)
        value = (value ^ (unsigned char)*service) * 16777619u;
    /* Never 0, the mark of what has none; the lowest bit is the peer's. */
    return (value & ~3u) | 2u | peer;
}

bool ruleset_has_media(const struct service *service)
{
    bool has_ports = service->media_udp_count > 0 || service->media_tcp_count > 0;

    return service->peer_to_peer ||
           (has_ports && (service->network_count > 0 || hostset_count(service->media_hosts) > 0));
}

/* --- one set --- */

static struct ruleset_set *add_set(struct ruleset_plan *plan, const char *name,
                                   enum ruleset_set_type type)
{
    struct ruleset_set *set;

    plan->sets = memory_resize(plan->sets, plan->set_count + 1, sizeof(*plan->sets));
    set = &plan->sets[plan->set_count++];
    *set = (struct ruleset_set){.type = type};
    snprintf(set->name, sizeof(set->name), "%s", name);
    return set;
}

/* One that something else fills. */
static void add_kept(struct ruleset_plan *plan, const char *name, enum ruleset_set_type type)
{
    add_set(plan, name, type)->kept = true;
}

/* Both families of networks: NAME with 4 and 6 where `format` has a %u. */
static void add_networks(struct ruleset_plan *plan, const char *kind, const char *of,
                         const struct network *networks, size_t count)
{
    for (uint8_t family = 4; family <= 6; family = (uint8_t)(family + 2)) {
        char name[RULESET_NAME];
        struct ruleset_set *set;

        snprintf(name, sizeof(name), "%s%u%s%s", kind, (unsigned)family, of == NULL ? "" : "_",
                 of == NULL ? "" : of);
        set = add_set(plan, name, family == 4 ? RULESET_NETWORKS4 : RULESET_NETWORKS6);
        set->count = intervals_merge(networks, count, family, &set->elements);
    }
}

static void add_ports(struct ruleset_plan *plan, const char *kind, const char *of,
                      const struct port_range *ranges, size_t count)
{
    char name[RULESET_NAME];
    struct ruleset_set *set;

    if (count == 0)
        return;
    ruleset_name(name, kind, of);
    set = add_set(plan, name, RULESET_PORTS);
    set->count = intervals_merge_ports(ranges, count, &set->elements);
}

static struct interval *add_element(struct ruleset_set *set)
{
    set->elements = memory_resize(set->elements, set->count + 1, sizeof(*set->elements));
    set->elements[set->count] = (struct interval){.first = {0}};
    return &set->elements[set->count++];
}

/* The kernel compares all 16 bytes of an interface's name. */
void ruleset_set_add_interfaces(struct ruleset_set *set, char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        snprintf((char *)add_element(set)->first, IFNAMSIZ, "%s", names[i]);
}

static void add_counter(struct ruleset_plan *plan, const char *name)
{
    plan->counters =
        memory_resize(plan->counters, plan->counter_count + 1, sizeof(*plan->counters));
    snprintf(plan->counters[plan->counter_count++], RULESET_NAME, "%s", name);
}

/* --- services --- */

/* A list of networks that grows. */
struct gathering {
    struct network *networks;
    size_t count;
};

static void gather(struct gathering *gathering, const struct network *networks, size_t count)
{
    if (count == 0)
        return;
    gathering->networks =
        memory_resize(gathering->networks, gathering->count + count, sizeof(*networks));
    memcpy(gathering->networks + gathering->count, networks, count * sizeof(*networks));
    gathering->count += count;
}

static void add_mark(struct ruleset_set *marks, uint32_t mark, const char *counter)
{
    memcpy(add_element(marks)->first, &mark, sizeof(mark));
    marks->objects = memory_resize(marks->objects, marks->count, sizeof(*marks->objects));
    snprintf(marks->objects[marks->count - 1], RULESET_NAME, "%s", counter);
}

/* What a service's networks are, wherever they come from, stands in service->networks by now. */
static void plan_service(struct ruleset_plan *plan, const struct service *service,
                         struct ruleset_set *marks)
{
    char name[RULESET_NAME];

    if (hostset_count(service->media_hosts) > 0) {
        ruleset_name(name, "names4", service->name);
        add_kept(plan, name, RULESET_NAMES4);
        ruleset_name(name, "names6", service->name);
        add_kept(plan, name, RULESET_NAMES6);
    }
    if (!ruleset_has_media(service))
        return;
    add_networks(plan, "media", service->name, service->networks, service->network_count);
    add_ports(plan, "udp", service->name, service->media_udp, service->media_udp_count);
    add_ports(plan, "tcp", service->name, service->media_tcp, service->media_tcp_count);
    ruleset_name(name, "media", service->name);
    add_counter(plan, name);
    add_mark(marks, ruleset_mark(service->name, false), name);
    if (service->peer_to_peer)
        add_mark(marks, ruleset_mark(service->name, true), name);
}

static void plan_services(struct ruleset_plan *plan, const struct policy *policy)
{
    struct gathering quic = {NULL, 0};
    struct ruleset_set marks = {.name = "media", .type = RULESET_MARKS}, *set;

    for (size_t i = 0; i < policy->service_count; i++) {
        const struct service *service = &policy->services[i];

        plan_service(plan, service, &marks);
        if (service->quic)
            gather(&quic, service->networks, service->network_count);
    }
    add_networks(plan, "quic", NULL, quic.networks, quic.count);
    set = add_set(plan, marks.name, marks.type);
    *set = marks;
    free(quic.networks);
}

/* --- the rest --- */

static void plan_permit(struct ruleset_plan *plan, const struct permit *permit)
{
    char name[RULESET_NAME];

    ruleset_name(name, "permit", permit->name);
    add_counter(plan, name);
    /* That of family 0, the LAN, is in neither set. */
    add_networks(plan, "from", permit->name, permit->from, permit->from_count);
    add_networks(plan, "to", permit->name, permit->to, permit->to_count);
    add_ports(plan, "permit-tcp", permit->name, permit->tcp, permit->tcp_count);
    add_ports(plan, "permit-udp", permit->name, permit->udp, permit->udp_count);
}

static void plan_boundaries(struct ruleset_plan *plan, const struct configuration *configuration)
{
    struct gathering bypassed = {NULL, 0}, dns = {NULL, 0};
    struct ruleset_set *segments = add_set(plan, "segments", RULESET_INTERFACES);

    for (size_t i = 0; i < configuration->segment_count; i++)
        ruleset_set_add_interfaces(segments, configuration->segments[i].interfaces,
                                   configuration->segments[i].interface_count);
    for (size_t i = 0; i < configuration->bypasses_count; i++)
        if (configuration->bypasses[i].in_force)
            gather(&bypassed, configuration->bypasses[i].networks,
                   configuration->bypasses[i].network_count);
    for (size_t i = 0; i < configuration->dns_count; i++) {
        struct network one = {configuration->dns[i], configuration->dns[i].family == 4 ? 32 : 128};
        gather(&dns, &one, 1);
    }
    add_networks(plan, "bypass", NULL, bypassed.networks, bypassed.count);
    add_networks(plan, "dns", NULL, dns.networks, dns.count);
    free(bypassed.networks);
    free(dns.networks);
}

void ruleset_plan_make(const struct configuration *configuration, struct ruleset_plan *plan)
{
    static const char *const counters[] = {
#define X(symbol, name) name,
        RULESET_COUNTERS(X)
#undef X
    };
    static const struct port_range web[] = {{80, 80}, {443, 443}};
    struct ruleset_set *set;
    char name[RULESET_NAME];

    *plan = (struct ruleset_plan){.set_count = 0};
    for (size_t i = 0; i < sizeof(counters) / sizeof(counters[0]); i++)
        add_counter(plan, counters[i]);
    set = add_set(plan, "lan", RULESET_INTERFACES);
    ruleset_set_add_interfaces(set, configuration->lan, configuration->lan_count);
    set = add_set(plan, "web", RULESET_PORTS);
    set->count = intervals_merge_ports(web, sizeof(web) / sizeof(web[0]), &set->elements);
    plan_boundaries(plan, configuration);
    plan_services(plan, &configuration->policy);
    for (size_t i = 0; i < configuration->permit_count; i++)
        plan_permit(plan, &configuration->permits[i]);
    add_kept(plan, "consultation", RULESET_INTERFACES);
    add_kept(plan, "calls4", RULESET_CALLS4);
    add_kept(plan, "calls6", RULESET_CALLS6);
    ruleset_limit_name(name, configuration, 4);
    add_kept(plan, name, RULESET_CLIENTS4);
    ruleset_limit_name(name, configuration, 6);
    add_kept(plan, name, RULESET_CLIENTS6);
}

void ruleset_plan_clear(struct ruleset_plan *plan)
{
    for (size_t i = 0; i < plan->set_count; i++) {
        free(plan->sets[i].elements);
        free(plan->sets[i].objects);
    }
    free(plan->sets);
    free(plan->counters);
    *plan = (struct ruleset_plan){.set_count = 0};
}
