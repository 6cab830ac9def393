/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What several values say together, and what is filled in from the machine: the CA's files, the
 * pages, the resolvers, the number of workers.
 */
#include "gateway/configuration_reader.h"

#include <errno.h>
#include <grp.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>

#include "filters/memory.h"
#include "gateway/configuration_parse.h"
#include "gateway/socket.h"

#define PEM_MAX          16777216
#define PAGE_MAX         262144
#define REVIEW_DAYS      366
#define RESOLVERS_MAX    3 /* as resolv.conf(5) */
#define RESOLV_CONF_PATH "/etc/resolv.conf"

struct rule reader_rule_of(const struct reader *reader, enum section section, const char *name)
{
    struct rule rule = reader->where[option_find(section, name) - option_rows];

    if (rule.file)
        return rule;
    for (size_t i = 0; i < reader->landmark_count; i++)
        if (reader->landmarks[i].section == section)
            return reader->landmarks[i].rule;
    return (struct rule){reader->configuration->path, 1};
}

/* --- files --- */

static void default_path(char **path, const char *folder, const char *name)
{
    if ((*path)[0])
        return;
    free(*path);
    *path = reader_path_in(folder, name);
}

/* A PEM file that must hold `wanted`. */
static void check_pem(struct reader *reader, struct rule rule, const char *option, const char *path,
                      const char *wanted, const char *hint)
{
    size_t size;
    const char *error;
    char *text = reader_file_contents(path, PEM_MAX, &size, &error);

    if (!text)
        reader_error(reader, rule, "tls.%s: %s: %s%s", option, path, error,
                     errno == ENOENT ? hint : "");
    else if (!strstr(text, wanted))
        reader_error(reader, rule, "tls.%s: %s: expected PEM with \"%s\"", option, path, wanted);
    if (text) {
        explicit_bzero(text, size); /* it may be the key */
        free(text);
    }
}

static void check_key_mode(struct reader *reader, struct rule rule, const char *path)
{
    struct stat facts;

    if (stat(path, &facts) == 0 && (facts.st_mode & (S_IRWXG | S_IRWXO)))
        reader_error(reader, rule,
                     "tls.ca-key: %s: others than its owner can read or change it (mode %03o, "
                     "expected 600)",
                     path, facts.st_mode & 0777);
}

static void check_tls(struct reader *reader)
{
    static const char hint[] = " (`sekisho ca init` makes it)";
    struct configuration *c = reader->configuration;

    default_path(&c->ca_certificate, c->state_directory, "ca.pem");
    default_path(&c->ca_key, c->state_directory, "ca-key.pem");
    struct rule rule = reader_rule_of(reader, SECTION_TLS, "trust");
    check_pem(reader, rule, "trust", c->trust, "-----BEGIN CERTIFICATE-----", "");
    if (!reader->ca_wanted)
        return;
    rule = reader_rule_of(reader, SECTION_TLS, "ca-certificate");
    check_pem(reader, rule, "ca-certificate", c->ca_certificate, "-----BEGIN CERTIFICATE-----",
              hint);
    rule = reader_rule_of(reader, SECTION_TLS, "ca-key");
    check_pem(reader, rule, "ca-key", c->ca_key, "PRIVATE KEY-----", hint);
    check_key_mode(reader, rule, c->ca_key);
}

void reader_read_page(struct reader *reader, const char *name, char **text)
{
    struct rule rule = reader_rule_of(reader, SECTION_PROCESS, "pages");
    char *path = reader_path_in(reader->configuration->pages_directory, name);
    size_t size, bad;
    const char *error;

    *text = reader_file_contents(path, PAGE_MAX, &size, &error);
    if (!*text)
        reader_error(reader, rule, "process.pages: %s: %s", path, error);
    else if (strlen(*text) != size || !reader_is_utf8(*text, size, &bad))
        reader_error(reader, rule, "process.pages: %s: not UTF-8", path);
    free(path);
}

/* --- network and process --- */

static void check_network(struct reader *reader)
{
    const struct configuration *c = reader->configuration;
    bool transparent = false;

    for (size_t i = 0; i < c->listener_count; i++)
        transparent = transparent || c->listeners[i].transparent;
    if (c->listener_count == 0)
        reader_error(reader, (struct rule){c->path, 1},
                     "no listener: expected a section listen \"transparent\" or listen "
                     "\"explicit\"");
    if (transparent && c->manage_rules && c->lan_count == 0)
        reader_error(reader, reader_rule_of(reader, SECTION_NETWORK, "lan"),
                     "network.lan: expected the interfaces of the LAN: the transparent listener "
                     "gets nothing without them (or set manage-rules = false)");
    if (c->route_table >= 253 && c->route_table <= 255)
        reader_error(reader, reader_rule_of(reader, SECTION_NETWORK, "route-table"),
                     "network.route-table: %u is one of the system's own", c->route_table);
}

/* One line of resolv.conf(5): "nameserver ADDRESS". */
static void take_resolver(struct configuration *c, struct span line)
{
    struct sockaddr_storage address;
    size_t end = 0;

    if (!span_starts(line, SPAN("nameserver")) || line.size < 11 || !strchr(" \t", line.data[10]))
        return;
    line = span_trim(span_from(line, 10));
    while (end < line.size && !strchr(" \t\r#;", line.data[end]))
        end++;
    char *text = memory_span(span_first(line, end));
    if (c->resolver_count < RESOLVERS_MAX && parse_socket_address(text, 53, &address)) {
        c->resolvers = memory_resize(c->resolvers, c->resolver_count + 1, sizeof(address));
        c->resolvers[c->resolver_count++] = address;
    }
    free(text);
}

static void fill_resolvers(struct reader *reader)
{
    struct configuration *c = reader->configuration;
    size_t size = 0;
    const char *error;

    if (c->resolver_count)
        return;
    char *text = reader_file_contents(RESOLV_CONF_PATH, PAGE_MAX, &size, &error);
    struct span rest = {text, size}, line;
    while (text && span_next(&rest, '\n', &line))
        take_resolver(c, line);
    free(text);
    if (c->resolver_count)
        return;
    reader_warning(reader, reader_rule_of(reader, SECTION_NETWORK, "resolvers"),
                   "network.resolvers: none is said and %s has none: 127.0.0.1 is asked",
                   RESOLV_CONF_PATH);
    c->resolvers = memory_allocate(1, sizeof(*c->resolvers));
    c->resolver_count = parse_socket_address("127.0.0.1", 53, &c->resolvers[0]);
}

/* This machine, or the resolver that the LAN may ask. */
static bool is_here(const struct configuration *configuration,
                    const struct sockaddr_storage *address)
{
    struct address own;

    socket_address_read(address, &own, NULL);
    for (size_t i = 0; i < configuration->dns_count; i++)
        if (address_equal(&configuration->dns[i], &own))
            return true;
    return own.family == 4 ? own.bytes[0] == 127 : address_is_local(&own);
}

/* The resolver beside the gateway, where there is one to be written for. */
static void check_dns(struct reader *reader)
{
    const struct configuration *c = reader->configuration;
    struct rule rule = reader_rule_of(reader, SECTION_NETWORK, "dns-sink");

    if (c->dns_sink_count != 2 || c->dns_sink[0].family == c->dns_sink[1].family)
        reader_error(reader, rule,
                     "network.dns-sink: expected one address of IPv4 and one of IPv6");
    for (size_t i = 0; i < c->dns_sink_count; i++)
        if (address_is_local(&c->dns_sink[i]))
            reader_error(reader, rule,
                         "network.dns-sink: expected addresses that the LAN reaches through this "
                         "gateway, not local ones");
    if (!c->dns_file[0])
        return;
    for (size_t i = 0; i < c->resolver_count; i++)
        if (!is_here(c, &c->resolvers[i])) {
            reader_warning(
                reader, reader_rule_of(reader, SECTION_NETWORK, "resolvers"),
                "network.resolvers: not the clients' own resolver: what the gateway finds for "
                "a name may differ from what dnsmasq tells the clients");
            break;
        }
    if (c->dns_upstream_count == 0)
        reader_warning(reader, reader_rule_of(reader, SECTION_NETWORK, "dns-file"),
                       "network.dns-upstream is missing: a host that dnsmasq sinks cannot be "
                       "reached even when it is released");
}

static void check_process(struct reader *reader)
{
    struct configuration *c = reader->configuration;
    cpu_set_t cores;

    if (c->workers == 0)
        c->workers =
            sched_getaffinity(0, sizeof(cores), &cores) == 0 ? (unsigned)CPU_COUNT(&cores) : 1;
    if (c->workers > 64)
        c->workers = 64;
    if (strlen(c->control_socket) >= sizeof(((struct sockaddr_un *)NULL)->sun_path))
        reader_error(reader, reader_rule_of(reader, SECTION_PROCESS, "control-socket"),
                     "process.control-socket: a socket's path has at most 107 bytes");
    if (c->control_group[0] && !getgrnam(c->control_group))
        reader_error(reader, reader_rule_of(reader, SECTION_PROCESS, "control-group"),
                     "process.control-group: no group \"%s\" on this machine", c->control_group);
    if (c->connections_per_client > c->connections)
        reader_error(reader, reader_rule_of(reader, SECTION_LIMITS, "connections-per-client"),
                     "limits.connections-per-client: more than limits.connections (%u)",
                     c->connections);
    if (c->http.line > c->http.head)
        reader_error(reader, reader_rule_of(reader, SECTION_LIMITS, "line"),
                     "limits.line: more than limits.head (%zu bytes)", c->http.head);
}

/* --- rooms --- */

static void check_rooms(struct reader *reader)
{
    const struct configuration *c = reader->configuration;

    for (size_t i = 0; i < c->room_count; i++) {
        const struct room *room = &c->rooms[i];
        if (room->client_count == 0)
            reader_error(reader, room->rule, "room \"%s\": expected clients", room->name);
        for (size_t j = 0; j < i; j++)
            for (size_t k = 0; k < room->client_count * c->rooms[j].client_count; k++) {
                size_t of_j = c->rooms[j].client_count;
                if (room_client_overlaps(&room->clients[k / of_j], &c->rooms[j].clients[k % of_j]))
                    reader_error(reader, room->rule,
                                 "room \"%s\": client %zu is also client %zu of room \"%s\" "
                                 "(%s:%u)",
                                 room->name, k / of_j + 1, k % of_j + 1, c->rooms[j].name,
                                 c->rooms[j].rule.file, c->rooms[j].rule.line);
            }
    }
}

/* --- the policy --- */

/* A host that the pattern matches, to ask another set for it. */
const struct hostset_entry *reader_find_cover(const struct hostset *set, const char *pattern)
{
    char host[HOST_TEXT + 8];
    const char *star = strchr(pattern, '*');

    if (pattern[0] == '.')
        pattern++;
    if (!star)
        return hostset_find(set, span_of(pattern));
    size_t before = (size_t)(star - pattern), after = strlen(star + 1);
    if (before + after + 2 > sizeof(host))
        return NULL;
    memcpy(host, pattern, before);
    host[before] = 'x'; /* any label that begins so */
    memcpy(host + before + 1, star + 1, after + 1);
    return strchr(star + 1, '*') ? NULL : hostset_find(set, span_of(host));
}

static void check_clinic_lists(struct reader *reader)
{
    const struct policy *policy = &reader->configuration->policy;

    for (size_t i = 0; i < hostset_count(policy->clinic); i++) {
        const struct hostset_entry *entry = hostset_at(policy->clinic, i);
        const struct hostset_entry *cover = reader_find_cover(policy->clinic_deny, entry->pattern);
        if (cover)
            reader_warning(reader, entry->rule,
                           "\"%s\" has no effect: clinic.deny \"%s\" in line %u comes first",
                           entry->pattern, cover->pattern, cover->rule.line);
        else if ((cover = reader_find_cover(policy->denied, entry->pattern)))
            reader_warning(reader, entry->rule, "\"%s\" is on a denied list (%s:%u), and passes",
                           entry->pattern, cover->rule.file, cover->rule.line);
    }
}

static void check_service(struct reader *reader, const struct service *service, int64_t today)
{
    int64_t day;

    if (!is_plain_name(service->name))
        reader_error(reader, service->rule,
                     "service \"%s\": expected a name of at most 32 letters, digits, - and _",
                     service->name);
    if (!service->reviewed[0])
        reader_warning(reader, service->rule,
                       "service \"%s\": reviewed is missing: when did the "
                       "clinic read its security policy?",
                       service->name);
    else if (parse_date(service->reviewed, &day) && day < today - REVIEW_DAYS)
        reader_warning(reader, service->rule,
                       "service \"%s\": reviewed on %s, more than twelve months ago", service->name,
                       service->reviewed);
    else if (parse_date(service->reviewed, &day) && day > today + 1)
        reader_warning(reader, service->rule, "service \"%s\": reviewed on %s, a day to come",
                       service->name, service->reviewed);
    for (size_t i = 0; i < service->create_count; i++) {
        const struct url_pattern *create = &service->create[i];
        const struct hostset_entry *host = reader_find_cover(service->hosts, create->host);
        if (!host || host->tag == TREAT_SPLICE)
            reader_warning(reader, create->rule,
                           "service \"%s\": nobody sees a meeting made at \"%s\": the service does "
                           "not inspect it",
                           service->name, create->host);
    }
    reader_check_media(reader, service);
}

void reader_check_header(struct reader *reader, const struct service *service,
                         const struct tenant_header *header, struct rule rule)
{
    if (!is_field_name(header->name))
        reader_error(reader, rule, "header \"%s\": not a field name", header->name);
    if (!header->value || !header->value[0])
        reader_error(reader, rule, "header \"%s\": expected a value", header->name);
    if (hostset_count(header->hosts) == 0)
        reader_error(reader, rule, "header \"%s\": expected hosts", header->name);
    for (size_t i = 0; i < hostset_count(header->hosts); i++) {
        const struct hostset_entry *entry = hostset_at(header->hosts, i);
        const struct hostset_entry *host = reader_find_cover(service->hosts, entry->pattern);
        if (!host || host->tag == TREAT_SPLICE)
            reader_warning(reader, entry->rule,
                           "header \"%s\" is never set on \"%s\": the service does not inspect it",
                           header->name, entry->pattern);
    }
}

static void check_policy(struct reader *reader)
{
    const struct policy *policy = &reader->configuration->policy;
    int64_t today = (int64_t)time(NULL) / 86400;
    const struct service *joined = NULL;

    if (policy->mode == MODE_OBSERVE)
        reader_warning(reader, reader_rule_of(reader, SECTION_POLICY, "mode"),
                       "policy.mode = observe: everything is judged and nothing is blocked");
    for (size_t i = 0; i < policy->service_count; i++) {
        const struct service *service = &policy->services[i];
        check_service(reader, service, today);
        if (service->join_count)
            joined = service;
    }
    if (joined && policy->meeting_count == 0)
        reader_warning(reader, reader_rule_of(reader, SECTION_CLINIC, "meetings"),
                       "clinic.meetings is empty: nobody can tell the clinic's own meetings of "
                       "\"%s\" from another organisation's, so no link that joins one is blocked%s",
                       joined->name,
                       joined->create_count ? " until one of the clinic's was seen to be made"
                                            : "");
    check_clinic_lists(reader);
}

void reader_check(struct reader *reader)
{
    struct configuration *c = reader->configuration;

    check_network(reader);
    reader_check_boundaries(reader);
    fill_resolvers(reader);
    check_dns(reader);
    reader_fill_networks(reader);
    check_process(reader);
    check_rooms(reader);
    check_policy(reader);
    check_tls(reader);
    reader_check_authority(reader);
    reader_check_portal(reader);
    reader_read_page(reader, "block.html", &c->page_template);
    reader_read_page(reader, "messages.ja", &c->page_messages[0]);
    reader_read_page(reader, "messages.en", &c->page_messages[1]);
}
