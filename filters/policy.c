/* SPDX-License-Identifier: BSD-2-Clause */
/* The policy's questions about a destination: its class, its service, its patterns, its releases.
 */
#include "filters/policy.h"

#include <stdlib.h>
#include <string.h>

#include "filters/glob.h"
#include "filters/memory.h"
#include "filters/url.h"

const char *destination_class_name(enum destination_class value)
{
    static const char *const names[] = {
#define X(symbol, name) name,
        DESTINATION_CLASSES(X)
#undef X
    };
    return (unsigned)value < sizeof(names) / sizeof(*names) ? names[value] : "unknown";
}

static bool path_is_valid(struct span path)
{
    for (size_t i = 0; i < path.size; i++) {
        unsigned char byte = (unsigned char)path.data[i];
        if (byte <= 0x20 || byte >= 0x7f || byte == '#')
            return false;
    }
    return true;
}

bool url_pattern_parse(struct span text, struct rule rule, struct url_pattern *pattern,
                       const char **error)
{
    char host[HOST_PATTERN_TEXT];
    memset(pattern, 0, sizeof(*pattern));
    text = span_trim(text);
    if (span_find_nocase(text, SPAN("://")) < text.size) {
        *error = "a pattern is written without its scheme";
        return false;
    }
    size_t slash = span_index(text, '/');
    struct span path = slash < text.size ? span_from(text, slash) : SPAN("/*");
    *error = host_pattern_normalise(span_first(text, slash), host);
    if (*error)
        return false;
    if (!path_is_valid(path)) {
        *error = "a path has no blanks, no '#' and only ASCII (percent-encode the rest)";
        return false;
    }
    *pattern =
        (struct url_pattern){.host = memory_string(host), .path = memory_span(path), .rule = rule};
    return true;
}

void url_pattern_clear(struct url_pattern *pattern)
{
    free(pattern->host);
    free(pattern->path);
    memset(pattern, 0, sizeof(*pattern));
}

bool url_pattern_is_whole_host(const struct url_pattern *pattern)
{
    return strcmp(pattern->path, "/*") == 0;
}

/* Raw or decoded: a server may take both for the same, so both are. */
static bool target_fits(struct span path, struct span target)
{
    return glob_matches(path, target) || glob_matches_decoded(path, target);
}

bool url_pattern_matches(const struct url_pattern *pattern, struct span host, struct span target)
{
    char name[HOST_TEXT];
    if (!host_normalise(host, name) || !host_pattern_matches(span_of(pattern->host), span_of(name)))
        return false;
    struct span path = span_of(pattern->path);
    if (url_pattern_is_whole_host(pattern) || target_fits(path, target))
        return true;
    if (span_index(path, '?') < path.size)
        return false;
    struct span own_path = span_first(target, span_index(target, '?'));
    return target_fits(path, own_path.size ? own_path : SPAN("/"));
}

static bool is_attachment_host(const struct service *service, struct span host)
{
    for (size_t i = 0; i < service->attachment_count; i++)
        if (host_pattern_matches(span_of(service->attachments[i].host), host))
            return true;
    return false;
}

/* Hosts of all services come first: what one profile lists as a host, another may list as a call's.
 */
static const struct service *find_service(const struct policy *policy, struct span host,
                                          const struct hostset_entry **entry)
{
    for (size_t i = 0; i < policy->service_count; i++) {
        *entry = hostset_find_normal(policy->services[i].hosts, host);
        if (*entry)
            return &policy->services[i];
    }
    for (size_t i = 0; i < policy->service_count; i++) {
        *entry = hostset_find_normal(policy->services[i].call, host);
        if (*entry || is_attachment_host(&policy->services[i], host))
            return &policy->services[i];
    }
    return NULL;
}

static enum destination_class classify(const struct policy *policy, struct span host,
                                       const struct service **service,
                                       const struct hostset_entry **entry)
{
    if ((*entry = hostset_find_normal(policy->clinic_deny, host)))
        return CLASS_DENIED;
    if ((*service = find_service(policy, host, entry)))
        return CLASS_SERVICE;
    if ((*entry = hostset_find_normal(policy->clinic, host)))
        return CLASS_CLINIC;
    if ((*entry = hostset_find_normal(policy->denied, host)))
        return CLASS_DENIED;
    if ((*entry = hostset_find_normal(policy->system, host)))
        return CLASS_SYSTEM;
    return CLASS_UNKNOWN;
}

enum destination_class policy_classify(const struct policy *policy, struct span host,
                                       const struct service **service,
                                       const struct hostset_entry **entry)
{
    const struct service *found_service = NULL;
    const struct hostset_entry *found_entry = NULL;
    enum destination_class class = CLASS_UNKNOWN;
    char name[HOST_TEXT];
    if (host_normalise(host, name))
        class = classify(policy, span_of(name), &found_service, &found_entry);
    if (service)
        *service = found_service;
    if (entry)
        *entry = found_entry;
    return class;
}

static const struct country *find_country(const struct country *list, size_t count,
                                          const char *code)
{
    for (size_t i = 0; i < count; i++)
        if (strcmp(list[i].code, code) == 0)
            return &list[i];
    return NULL;
}

bool policy_denies_country(const struct policy *policy, enum destination_class class,
                           const char *country, struct rule *rule)
{
    const struct country *reason = NULL;

    if (class != CLASS_UNKNOWN)
        return false;
    reason = find_country(policy->country_deny, policy->country_deny_count, country);
    if (!reason && policy->country_allow_count > 0 &&
        !find_country(policy->country_allow, policy->country_allow_count, country))
        reason = &policy->country_allow[0];
    if (reason && rule)
        *rule = reason->rule;
    return reason != NULL;
}

const struct service *policy_service_by_address(const struct policy *policy,
                                                const struct address *address)
{
    for (size_t i = 0; i < policy->service_count; i++)
        if (network_list_find(policy->services[i].networks, policy->services[i].network_count,
                              address))
            return &policy->services[i];
    return NULL;
}

const struct service *policy_service_by_host(const struct policy *policy, struct span host)
{
    const struct hostset_entry *entry;
    char name[HOST_TEXT];
    if (!host_normalise(host, name))
        return NULL;
    const struct service *service = find_service(policy, span_of(name), &entry);
    for (size_t i = 0; !service && i < policy->service_count; i++)
        if (hostset_find_normal(policy->services[i].chat, span_of(name)))
            service = &policy->services[i];
    return service;
}

const struct url_pattern *policy_attachment_host(const struct policy *policy, struct span host)
{
    for (size_t i = 0; i < policy->service_count; i++) {
        const struct service *service = &policy->services[i];
        for (size_t k = 0; k < service->attachment_count; k++)
            if (url_pattern_is_whole_host(&service->attachments[k]) &&
                url_pattern_matches(&service->attachments[k], host, SPAN("/")))
                return &service->attachments[k];
    }
    return NULL;
}

const struct service *policy_call_service(const struct policy *policy, struct span host)
{
    char name[HOST_TEXT];
    if (!host_normalise(host, name))
        return NULL;
    for (size_t i = 0; i < policy->service_count; i++)
        if (hostset_find_normal(policy->services[i].call, span_of(name)))
            return &policy->services[i];
    return NULL;
}

static bool is_in_force(const struct release *release, const struct standing *standing)
{
    return standing->now < release->until;
}

static bool is_for_host(const struct release *release, struct span host)
{
    return host.size && span_equal_nocase(span_of(release->host), host);
}

/* False when no release could ask for it, so that most requests cost no digest. */
static bool digest_url(const struct standing *standing, bool tls, struct span host, uint16_t port,
                       struct span target, uint8_t digest[32])
{
    char text[URL_NORMAL_MAX];
    size_t size = 0;
    for (size_t i = 0; i < standing->release_count && !size && standing->sha256; i++)
        if (standing->releases[i].scope == RELEASE_URL &&
            is_in_force(&standing->releases[i], standing))
            size = url_normalise(tls, host, port, target, text, sizeof(text));
    if (size)
        standing->sha256((struct span){text, size}, digest);
    return size != 0;
}

const struct release *release_find(const struct standing *standing, bool tls, struct span host,
                                   uint16_t port, struct span target)
{
    uint8_t digest[32];
    bool digested = digest_url(standing, tls, host, port, target, digest);
    for (size_t i = 0; i < standing->release_count; i++) {
        const struct release *release = &standing->releases[i];
        if (!is_in_force(release, standing))
            continue;
        if (release->scope == RELEASE_HOST && is_for_host(release, host))
            return release;
        if (release->scope == RELEASE_URL && digested &&
            memcmp(release->url_sha256, digest, sizeof(digest)) == 0)
            return release;
    }
    return NULL;
}

const struct release *release_find_host(const struct standing *standing, struct span host)
{
    for (size_t i = 0; i < standing->release_count; i++)
        if (is_in_force(&standing->releases[i], standing) &&
            is_for_host(&standing->releases[i], host))
            return &standing->releases[i];
    return NULL;
}
