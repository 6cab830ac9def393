/* SPDX-License-Identifier: BSD-2-Clause */
/* The lines for dnsmasq: see dns.h. */
#include "gateway/dns.h"

#include <errno.h>
#include <event2/buffer.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "filters/hostname.h"
#include "filters/memory.h"
#include "gateway/ruleset_parts.h"

/*
 * Canary names. Firefox asks the first before it uses DNS over HTTPS of its own accord, Apple's
 * devices the next two before Private Relay, and the fourth is Apple's own such resolver; by the
 * last one a resolver tells of its encrypted twins (RFC 9462). A name that does not exist is a no.
 */
static const char *const canaries[] = {"use-application-dns.net", "mask.icloud.com",
                                       "mask-h2.icloud.com", "doh.dns.apple.com",
                                       "_dns.resolver.arpa"};

struct writing {
    const struct configuration *configuration;
    struct evbuffer *out;
    struct hostset *sunk, *exempt; /* the patterns that were written */
    size_t left_out;               /* patterns that dnsmasq has no form for */
};

bool dns_is_sink(const struct configuration *configuration, const struct address *address)
{
    for (size_t i = 0; i < configuration->dns_sink_count; i++)
        if (address_equal(&configuration->dns_sink[i], address))
            return true;
    return false;
}

static void write_heading(struct writing *writing, const char *text)
{
    evbuffer_add_printf(writing->out, "\n# %s\n", text);
}

/* --- patterns --- */

enum form { FORM_NONE, FORM_EXACT, FORM_REST };

/*
 * What dnsmasq calls the names of a pattern, and a host among them, one that no list names by
 * chance. Its '*' stands only at the beginning of a name, for dots as well.
 */
static enum form find_form(const char *pattern, const char **name, char host[HOST_PATTERN_TEXT])
{
    const char *rest = pattern[0] == '*' ? pattern + 1 : pattern;
    size_t offset;
    bool exact = host_pattern_kind(span_of(pattern), &offset) == PATTERN_EXACT;

    if (strchr(rest, '*') || (exact && host_is_literal(span_of(pattern))))
        return FORM_NONE;
    *name = pattern[0] == '.' ? pattern + 1 : pattern;
    snprintf(host, HOST_PATTERN_TEXT, "%s%s", exact ? "" : "sekisho-any", rest);
    return exact ? FORM_EXACT : FORM_REST;
}

/* True when every request to the host would be blocked, but for a release. */
static bool is_blocked(const struct policy *policy, struct span host)
{
    return policy_classify(policy, host, NULL, NULL) == CLASS_DENIED ||
           policy_attachment_host(policy, host) != NULL;
}

/* True when the set has taken a pattern that it did not have. */
static bool is_new(struct hostset *set, const char *pattern)
{
    size_t count = hostset_count(set);

    return hostset_add(set, span_of(pattern), 0, (struct rule){NULL, 0}) == NULL &&
           hostset_count(set) > count;
}

static bool is_canary(const char *name)
{
    for (size_t i = 0; i < sizeof(canaries) / sizeof(canaries[0]); i++)
        if (strcmp(canaries[i], name) == 0)
            return true;
    return false;
}

/* --- the sink --- */

static void write_sink(struct writing *writing, enum form form, const char *name)
{
    const struct configuration *configuration = writing->configuration;
    char address[ADDRESS_TEXT];

    /* for the name alone; address= and local= would take those below it too */
    if (form == FORM_EXACT)
        evbuffer_add_printf(writing->out, "host-record=%s", name);
    for (size_t i = 0; i < configuration->dns_sink_count; i++) {
        address_format(&configuration->dns_sink[i], address);
        if (form == FORM_EXACT)
            evbuffer_add_printf(writing->out, ",%s", address);
        else
            evbuffer_add_printf(writing->out, "address=/%s/%s\n", name, address);
    }
    if (form == FORM_EXACT)
        evbuffer_add_printf(writing->out, "\n");
}

static void sink_pattern(struct writing *writing, const char *pattern)
{
    char host[HOST_PATTERN_TEXT];
    const char *name;
    enum form form = find_form(pattern, &name, host);

    if (form == FORM_NONE)
        writing->left_out++;
    else if (is_blocked(&writing->configuration->policy, span_of(host)) && !is_canary(name) &&
             is_new(writing->sunk, pattern))
        write_sink(writing, form, name);
}

static void sink_set(struct writing *writing, const struct hostset *set)
{
    for (size_t i = 0; i < hostset_count(set); i++)
        sink_pattern(writing, hostset_at(set, i)->pattern);
}

static void sink_attachments(struct writing *writing)
{
    const struct policy *policy = &writing->configuration->policy;

    for (size_t i = 0; i < policy->service_count; i++)
        for (size_t k = 0; k < policy->services[i].attachment_count; k++)
            if (url_pattern_is_whole_host(&policy->services[i].attachments[k]))
                sink_pattern(writing, policy->services[i].attachments[k].host);
}

/* What is listed below a name that sinks, and is not blocked, is asked for as ever. */
static void exempt_set(struct writing *writing, const struct hostset *set)
{
    char host[HOST_PATTERN_TEXT];
    const char *name;

    for (size_t i = 0; i < hostset_count(set); i++) {
        const char *pattern = hostset_at(set, i)->pattern;
        if (find_form(pattern, &name, host) != FORM_NONE &&
            hostset_find(writing->sunk, span_of(host)) &&
            !is_blocked(&writing->configuration->policy, span_of(host)) &&
            is_new(writing->exempt, pattern))
            evbuffer_add_printf(writing->out, "server=/%s/#\n", name);
    }
}

static void write_sinks(struct writing *writing)
{
    const struct policy *policy = &writing->configuration->policy;

    write_heading(writing, "Denied hosts and the attachment hosts of services lead to the sink.");
    sink_set(writing, policy->clinic_deny);
    sink_set(writing, policy->denied);
    sink_attachments(writing);
    exempt_set(writing, policy->clinic);
    for (size_t i = 0; i < policy->service_count; i++) {
        exempt_set(writing, policy->services[i].hosts);
        exempt_set(writing, policy->services[i].call);
        exempt_set(writing, policy->services[i].chat);
    }
    if (writing->left_out > 0)
        evbuffer_add_printf(writing->out,
                            "# %zu patterns have no form here (addresses, a * within a name): the "
                            "gateway alone stops them.\n",
                            writing->left_out);
}

/* --- the rest --- */

const char *dns_media_name(const char *pattern)
{
    size_t offset;

    switch (host_pattern_kind(span_of(pattern), &offset)) {
    case PATTERN_EXACT:
        return host_is_literal(span_of(pattern)) ? NULL : pattern;
    case PATTERN_BELOW:
    case PATTERN_WITHIN:
        return pattern + offset;
    default:
        return NULL;
    }
}

static void write_server(struct writing *writing, const char *zone,
                         const struct sockaddr_storage *address)
{
    char host[NI_MAXHOST], port[NI_MAXSERV];
    socklen_t size =
        address->ss_family == AF_INET6 ? sizeof(struct sockaddr_in6) : sizeof(struct sockaddr_in);

    if (getnameinfo((const struct sockaddr *)address, size, host, sizeof(host), port, sizeof(port),
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
        return;
    if (zone)
        evbuffer_add_printf(writing->out, "server=/%s/%s#%s\n", zone, host, port);
    else
        evbuffer_add_printf(writing->out, "server=%s#%s\n", host, port);
}

/* The enrolment page has a name in the LAN, and nobody else is asked for it. */
static void write_portal(struct writing *writing)
{
    const struct configuration *configuration = writing->configuration;
    char address[ADDRESS_TEXT];

    if (configuration->portal_address_count == 0)
        return;
    write_heading(writing, "The enrolment page.");
    evbuffer_add_printf(writing->out, "local=/%s/\nhost-record=%s", configuration->portal_host,
                        configuration->portal_host);
    for (size_t i = 0; i < configuration->portal_address_count; i++) {
        address_format(&configuration->portal_addresses[i], address);
        evbuffer_add_printf(writing->out, ",%s", address);
    }
    evbuffer_add_printf(writing->out, "\n");
}

static void write_upstream(struct writing *writing)
{
    const struct configuration *configuration = writing->configuration;

    if (configuration->dns_upstream_count == 0)
        return;
    write_heading(writing, "network.dns-upstream");
    evbuffer_add_printf(writing->out, "no-resolv\n");
    for (size_t i = 0; i < configuration->dns_upstream_count; i++)
        write_server(writing, NULL, &configuration->dns_upstream[i]);
}

/* Closed networks answer for their own zones, and with private addresses. */
static void write_zones(struct writing *writing)
{
    const struct configuration *configuration = writing->configuration;

    for (size_t i = 0; i < configuration->bypasses_count; i++) {
        const struct bypass *bypass = &configuration->bypasses[i];
        if (!bypass->in_force || bypass->zone_count == 0 || bypass->resolver_count == 0)
            continue;
        evbuffer_add_printf(writing->out, "\n# The zones of bypass %s.\n", bypass->name);
        for (size_t k = 0; k < bypass->zone_count; k++) {
            for (size_t j = 0; j < bypass->resolver_count; j++)
                write_server(writing, bypass->zones[k], &bypass->resolvers[j]);
            evbuffer_add_printf(writing->out, "rebind-domain-ok=/%s/\n", bypass->zones[k]);
        }
    }
}

/*
 * As they are answered, the addresses go into the sets by which media passes. That is done for what
 * comes from upstream, not for what dnsmasq or a client remembers: after the set has lost an
 * address (its time is over, or the gateway was started anew) it must soon be asked for again.
 */
static void write_media_hosts(struct writing *writing)
{
    bool first = true;
    const struct policy *policy = &writing->configuration->policy;
    char set4[RULESET_NAME], set6[RULESET_NAME];

    for (size_t i = 0; i < policy->service_count; i++) {
        const struct service *service = &policy->services[i];
        if (hostset_count(service->media_hosts) == 0)
            continue;
        ruleset_name(set4, "names4", service->name);
        ruleset_name(set6, "names6", service->name);
        if (first) {
            write_heading(writing, "Names are asked for again after a minute.");
            evbuffer_add_printf(writing->out, "max-ttl=60\nmax-cache-ttl=60\n");
            first = false;
        }
        evbuffer_add_printf(writing->out, "\n# The media hosts of service %s.\n", service->name);
        for (size_t k = 0; k < hostset_count(service->media_hosts); k++) {
            const char *name = dns_media_name(hostset_at(service->media_hosts, k)->pattern);
            if (name)
                evbuffer_add_printf(writing->out,
                                    "nftset=/%s/4#inet#" RULESET_TABLE "#%s,6#inet#" RULESET_TABLE
                                    "#%s\n",
                                    name, set4, set6);
        }
    }
}

void dns_write(const struct configuration *configuration, struct evbuffer *out)
{
    struct writing writing = {
        .configuration = configuration, .out = out, .sunk = hostset_new(), .exempt = hostset_new()};

    evbuffer_add_printf(out, "# Made by sekisho from its configuration; the next change of that "
                             "replaces this file.\n"
                             "# For dnsmasq 2.90 or later, which must be restarted when it has "
                             "changed.\n");
    write_heading(&writing, "No keys that hide names (ECH), no offer of HTTP/3.");
    evbuffer_add_printf(out, "filter-rr=HTTPS,SVCB\n");
    write_heading(&writing, "No name of the internet leads into the clinic.");
    evbuffer_add_printf(out, "stop-dns-rebind\n");
    write_heading(&writing, "Names by which devices find another resolver do not exist.");
    for (size_t i = 0; i < sizeof(canaries) / sizeof(canaries[0]); i++)
        evbuffer_add_printf(out, "local=/%s/\n", canaries[i]);
    write_portal(&writing);
    write_upstream(&writing);
    write_zones(&writing);
    write_media_hosts(&writing);
    write_sinks(&writing);
    hostset_free(writing.sunk);
    hostset_free(writing.exempt);
}

/* --- the file --- */

/* True when the file holds just this. */
static bool is_there(const char *path, struct span text)
{
    char buffer[16384];
    size_t at = 0;
    ssize_t got = -1;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW);
    struct stat facts;

    if (fd < 0)
        return false;
    if (fstat(fd, &facts) == 0 && S_ISREG(facts.st_mode) && (size_t)facts.st_size == text.size)
        while ((got = read(fd, buffer, sizeof(buffer))) > 0) {
            if ((size_t)got > text.size - at || memcmp(buffer, text.data + at, (size_t)got) != 0)
                break;
            at += (size_t)got;
        }
    close(fd);
    return got == 0 && at == text.size;
}

static bool write_all(int fd, struct span text)
{
    while (text.size > 0) {
        ssize_t done = write(fd, text.data, text.size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0)
            return false;
        text = span_from(text, (size_t)done);
    }
    return fsync(fd) == 0;
}

/* Beside it under another name first: dnsmasq never meets half of it. */
static bool replace(const char *path, struct span text, char *error, size_t size)
{
    size_t length = strlen(path);
    char *next = memory_allocate(length + sizeof(".XXXXXX"), 1);

    memcpy(next, path, length);
    memcpy(next + length, ".XXXXXX", sizeof(".XXXXXX"));
    int fd = mkostemp(next, O_CLOEXEC);
    bool done = fd >= 0 && fchmod(fd, 0644) == 0 && write_all(fd, text);
    done = done && rename(next, path) == 0;
    if (!done)
        snprintf(error, size, "%s: %s", path, strerror(errno));
    if (!done && fd >= 0)
        unlink(next);
    if (fd >= 0)
        close(fd);
    free(next);
    return done;
}

bool dns_update(const struct configuration *configuration, const char *path, bool *changed,
                char *error, size_t size)
{
    struct evbuffer *out = evbuffer_new();
    bool done = out != NULL;

    *changed = false;
    if (!done) {
        snprintf(error, size, "%s: out of memory", path);
        return false;
    }
    dns_write(configuration, out);
    struct span text = {(const char *)evbuffer_pullup(out, -1), evbuffer_get_length(out)};
    if (text.data == NULL) {
        snprintf(error, size, "%s: out of memory", path);
        done = false;
    } else if (!is_there(path, text)) {
        done = *changed = replace(path, text, error, size);
    }
    evbuffer_free(out);
    return done;
}
