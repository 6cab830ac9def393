/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Checks of what the kernel's rules are made from: the interfaces of the LAN and of the segments,
 * permits, bypasses, the LAN's resolvers, and the media of the services.
 */
#include "gateway/configuration_reader.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "gateway/configuration_parse.h"
#include "gateway/dns.h"

#define PORT_WEB  80
#define PORT_WEBS 443

/* --- interfaces --- */

static bool is_lan(const struct configuration *c, const char *interface)
{
    for (size_t i = 0; i < c->lan_count; i++)
        if (strcmp(c->lan[i], interface) == 0)
            return true;
    return false;
}

/* Nothing arrives by the port of a bridge: a LAN that is called so would be nobody's. */
static void check_port(struct reader *reader, struct rule rule, const char *what,
                       const char *interface)
{
    char path[128];

    snprintf(path, sizeof(path), "/sys/class/net/%s/brport", interface);
    if (access(path, F_OK) == 0)
        reader_error(reader, rule, "%s: \"%s\" is a port of a bridge: expected the bridge", what,
                     interface);
}

static void check_lan(struct reader *reader)
{
    const struct configuration *c = reader->configuration;

    for (size_t i = 0; i < c->lan_count; i++) {
        check_port(reader, reader_rule_of(reader, SECTION_NETWORK, "lan"), "network.lan",
                   c->lan[i]);
        for (size_t j = 0; j < i; j++)
            if (strcmp(c->lan[i], c->lan[j]) == 0)
                reader_error(reader, reader_rule_of(reader, SECTION_NETWORK, "lan"),
                             "network.lan: \"%s\" is listed twice", c->lan[i]);
    }
}

/* The segment before `index` that has the interface, or NULL. */
static const struct segment *segment_before(const struct configuration *c, size_t index,
                                            const char *interface)
{
    for (size_t i = 0; i < index; i++)
        for (size_t j = 0; j < c->segments[i].interface_count; j++)
            if (strcmp(c->segments[i].interfaces[j], interface) == 0)
                return &c->segments[i];
    return NULL;
}

static void check_name(struct reader *reader, const char *kind, const char *name, struct rule rule)
{
    if (!is_plain_name(name))
        reader_error(reader, rule,
                     "%s \"%s\": expected a name of at most 32 letters, digits, - and _", kind,
                     name);
}

static void check_segment(struct reader *reader, size_t index)
{
    const struct configuration *c = reader->configuration;
    const struct segment *segment = &c->segments[index], *other;

    check_name(reader, "segment", segment->name, segment->rule);
    if (segment->interface_count == 0)
        reader_error(reader, segment->rule, "segment \"%s\": expected interfaces", segment->name);
    for (size_t i = 0; i < segment->interface_count; i++) {
        const char *interface = segment->interfaces[i];

        check_port(reader, segment->rule, "segment", interface);
        if (is_lan(c, interface))
            reader_error(reader, segment->rule, "segment \"%s\": \"%s\" is of network.lan too",
                         segment->name, interface);
        other = segment_before(c, index, interface);
        if (other)
            reader_error(reader, segment->rule,
                         "segment \"%s\": \"%s\" is of segment \"%s\" too (%s:%u)", segment->name,
                         interface, other->name, other->rule.file, other->rule.line);
    }
}

static void check_permit(struct reader *reader, const struct permit *permit)
{
    check_name(reader, "permit", permit->name, permit->rule);
    if (permit->to_count == 0)
        reader_error(reader, permit->rule, "permit \"%s\": expected networks in to", permit->name);
    if (permit->from_count == 0)
        reader_error(reader, permit->rule, "permit \"%s\": expected networks or lan in from",
                     permit->name);
}

/* --- bypasses --- */

static void check_bypasses(struct reader *reader)
{
    struct configuration *c = reader->configuration;

    for (size_t i = 0; i < c->bypasses_count; i++) {
        struct bypass *bypass = &c->bypasses[i];

        check_name(reader, "bypass", bypass->name, bypass->rule);
        if (bypass->zone_count && !bypass->resolver_count)
            reader_warning(reader, bypass->rule,
                           "bypass \"%s\": zones have no effect without resolvers", bypass->name);
        for (size_t j = 0; j < c->bypass_count; j++)
            bypass->in_force = bypass->in_force || strcmp(c->bypass[j], bypass->name) == 0;
    }
    for (size_t i = 0; i < c->bypass_count; i++) {
        const struct bypass *found = NULL;

        for (size_t j = 0; j < c->bypasses_count; j++)
            if (strcmp(c->bypass[i], c->bypasses[j].name) == 0)
                found = &c->bypasses[j];
        if (!found)
            reader_error(reader, reader_rule_of(reader, SECTION_NETWORK, "bypass"),
                         "network.bypass: there is no section bypass \"%s\"", c->bypass[i]);
        else if (found->network_count == 0)
            reader_warning(reader, found->rule, "bypass \"%s\": no networks: nothing passes by it",
                           found->name);
    }
}

/* --- resolvers --- */

/* The kernel sends nothing that came from outside to a loopback address. */
static void check_dns(struct reader *reader)
{
    const struct configuration *c = reader->configuration;

    for (size_t i = 0; i < c->dns_count; i++)
        if (address_is_local(&c->dns[i])) {
            char text[ADDRESS_TEXT];

            address_format(&c->dns[i], text);
            reader_error(reader, reader_rule_of(reader, SECTION_NETWORK, "dns"),
                         "network.dns: the LAN cannot reach %s (for this machine itself leave "
                         "network.dns out)",
                         text);
        }
}

void reader_check_boundaries(struct reader *reader)
{
    const struct configuration *c = reader->configuration;

    check_lan(reader);
    for (size_t i = 0; i < c->segment_count; i++)
        check_segment(reader, i);
    if (c->segment_count > 0 && !c->separate_users)
        reader_warning(reader, c->segments[0].rule,
                       "segment \"%s\": the proxy can still reach it while "
                       "process.separate-users is false",
                       c->segments[0].name);
    for (size_t i = 0; i < c->permit_count; i++)
        check_permit(reader, &c->permits[i]);
    check_bypasses(reader);
    check_dns(reader);
}

/* --- media --- */

static bool has_port(const struct port_range *ranges, size_t count, uint16_t port)
{
    for (size_t i = 0; i < count; i++)
        if (ranges[i].first <= port && port <= ranges[i].last)
            return true;
    return false;
}

/* dnsmasq takes a name and all below it: one name can reach as far as a pattern. */
static void check_media_host(struct reader *reader, const struct hostset_entry *entry)
{
    const char *name = dns_media_name(entry->pattern);
    char below[HOST_PATTERN_TEXT + 1];

    if (!name) {
        reader_warning(reader, entry->rule,
                       "\"%s\" has no effect: dnsmasq knows names and all below them, but no "
                       "addresses and no * within a name",
                       entry->pattern);
    } else if (name == entry->pattern) {
        snprintf(below, sizeof(below), ".%s", name);
        reader_check_reach(reader, below, entry->rule);
    }
}

void reader_check_media(struct reader *reader, const struct service *service)
{
    bool has_hosts = hostset_count(service->media_hosts) > 0;
    bool has_ports = service->media_udp_count || service->media_tcp_count;

    if ((has_ports || service->quic) && !service->network_count && !has_hosts)
        reader_warning(reader, service->rule,
                       "service \"%s\": media ports have no effect without networks or media-hosts",
                       service->name);
    for (size_t i = 0; i < hostset_count(service->media_hosts); i++)
        check_media_host(reader, hostset_at(service->media_hosts, i));
    if (has_hosts && !has_ports && !service->quic)
        reader_warning(reader, service->rule,
                       "service \"%s\": media-hosts have no effect without media ports",
                       service->name);
    if (has_port(service->media_tcp, service->media_tcp_count, PORT_WEB) ||
        has_port(service->media_tcp, service->media_tcp_count, PORT_WEBS))
        reader_warning(reader, service->rule,
                       "service \"%s\": TCP ports 80 and 443 meet the proxy, also as media-tcp",
                       service->name);
}
