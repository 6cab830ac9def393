/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A small policy that the tests and the fuzz targets of the filters share: one service with hosts
 * of every sort, a clinic with its lists, releases, and short ways to write a request and a
 * response.
 */
#ifndef TESTS_UNIT_POLICY_FIXTURE_H
#define TESTS_UNIT_POLICY_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "filters/filters.h"
#include "filters/url.h"

/* Not cmocka's: the fuzz targets use this too. */
#define FIXTURE_NEEDS(condition)                                                                   \
    do {                                                                                           \
        if (!(condition))                                                                          \
            abort();                                                                               \
    } while (0)

#define COUNT(array) (sizeof(array) / sizeof(*(array)))

struct fixture {
    struct policy policy;
    struct standing standing;
    struct service service;
    struct url_pattern attachments[2], join[1], meetings[1];
    struct network networks[2];
    struct listed_file files[2];
    struct release releases[2];
};

/* No cryptography is wanted of it: equal texts give equal digests, and others very likely do not.
 */
static inline void fixture_digest(struct span bytes, uint8_t digest[32])
{
    uint64_t hash = 14695981039346656037u;
    for (size_t i = 0; i < bytes.size + 32; i++) {
        hash = (hash ^ (i < bytes.size ? (unsigned char)bytes.data[i] : 0u)) * 1099511628211u;
        if (i >= bytes.size)
            digest[i - bytes.size] = (uint8_t)(hash >> 32);
    }
}

static inline void fixture_add(struct hostset *set, const char *pattern, int tag, unsigned line)
{
    FIXTURE_NEEDS(!hostset_add(set, span_of(pattern), tag, (struct rule){"test.conf", line}));
}

static inline void fixture_pattern(struct url_pattern *pattern, const char *text, unsigned line)
{
    const char *error;
    FIXTURE_NEEDS(
        url_pattern_parse(span_of(text), (struct rule){"test.conf", line}, pattern, &error));
}

static inline void fixture_service(struct fixture *fixture)
{
    static char name[] = "terakoya", title[] = "Terakoya";
    struct service *service = &fixture->service;
    service->name = name;
    service->title = title;
    service->rule = (struct rule){"test.conf", 10};
    service->hosts = hostset_new();
    service->call = hostset_new();
    service->chat = hostset_new();
    fixture_add(service->hosts, "meet.terakoya.example", TREAT_INSPECT, 11);
    fixture_add(service->hosts, "*.media.terakoya.example", TREAT_SPLICE, 12);
    fixture_add(service->hosts, "apps.google.com", TREAT_INSPECT, 13);
    fixture_add(service->call, "call.media.terakoya.example", TREAT_SPLICE, 14);
    fixture_add(service->call, "signal.example", TREAT_SPLICE, 15);
    fixture_add(service->chat, "chat.example", TREAT_INSPECT, 16);
    fixture_pattern(&fixture->attachments[0], "*file.terakoya.example", 17);
    fixture_pattern(&fixture->attachments[1], "meet.terakoya.example/files/*", 18);
    fixture_pattern(&fixture->join[0], "meet.terakoya.example/j/*", 19);
    service->attachments = fixture->attachments;
    service->attachment_count = 2;
    service->join = fixture->join;
    service->join_count = 1;
    FIXTURE_NEEDS(network_parse(SPAN("198.51.100.0/24"), &fixture->networks[0]));
    FIXTURE_NEEDS(network_parse(SPAN("2001:db8:7::/48"), &fixture->networks[1]));
    service->networks = fixture->networks;
    service->network_count = 2;
}

static inline struct fixture *fixture_new(void)
{
    static char pdf[] = "pdf", exe[] = "exe";
    struct fixture *fixture = calloc(1, sizeof(*fixture));
    FIXTURE_NEEDS(fixture);
    fixture_service(fixture);
    struct policy *policy = &fixture->policy;
    policy->linger = 600000;
    policy->services = &fixture->service;
    policy->service_count = 1;
    policy->clinic = hostset_new();
    policy->clinic_deny = hostset_new();
    policy->denied = hostset_new();
    policy->system = hostset_new();
    fixture_add(policy->clinic, ".clinic.example", TREAT_INSPECT, 30);
    fixture_add(policy->clinic, "ehr.clinic.example", TREAT_SPLICE, 31);
    fixture_add(policy->clinic, "192.0.2.80", TREAT_INSPECT, 32);
    fixture_add(policy->clinic_deny, "old.clinic.example", TREAT_INSPECT, 33);
    fixture_add(policy->denied, ".short.example", TREAT_INSPECT, 40);
    fixture_add(policy->denied, "lin.ee", TREAT_INSPECT, 41);
    fixture_add(policy->system, ".update.example", TREAT_SPLICE, 42);
    fixture_pattern(&fixture->meetings[0], "meet.terakoya.example/j/777*", 43);
    policy->meetings = fixture->meetings;
    policy->meeting_count = 1;
    fixture->files[0] = (struct listed_file){pdf, hostset_new(), {"test.conf", 44}};
    fixture->files[1] = (struct listed_file){exe, hostset_new(), {"test.conf", 45}};
    fixture_add(fixture->files[0].hosts, "labo.clinic.example", 0, 44);
    fixture_add(fixture->files[1].hosts, "tools.clinic.example", 0, 45);
    policy->files = fixture->files;
    policy->file_count = 2;
    fixture->standing.now = 1800000000;
    fixture->standing.sha256 = fixture_digest;
    fixture->standing.releases = fixture->releases;
    return fixture;
}

static inline void fixture_free(struct fixture *fixture)
{
    hostset_free(fixture->service.hosts);
    hostset_free(fixture->service.call);
    hostset_free(fixture->service.chat);
    hostset_free(fixture->policy.clinic);
    hostset_free(fixture->policy.clinic_deny);
    hostset_free(fixture->policy.denied);
    hostset_free(fixture->policy.system);
    for (size_t i = 0; i < COUNT(fixture->attachments); i++)
        url_pattern_clear(&fixture->attachments[i]);
    for (size_t i = 0; i < COUNT(fixture->files); i++)
        hostset_free(fixture->files[i].hosts);
    url_pattern_clear(&fixture->join[0]);
    url_pattern_clear(&fixture->meetings[0]);
    free(fixture);
}

static inline int fixture_setup(void **state)
{
    *state = fixture_new();
    return 0;
}

static inline int fixture_teardown(void **state)
{
    fixture_free(*state);
    return 0;
}

/* A release of a host, or of a URL, for another `seconds`. */
static inline void fixture_release(struct fixture *fixture, enum release_scope scope,
                                   const char *text, int64_t seconds)
{
    struct release *release = &fixture->releases[fixture->standing.release_count++];
    *release = (struct release){.scope = scope, .until = fixture->standing.now + seconds};
    struct url url;
    char normal[512];
    if (scope == RELEASE_HOST) {
        FIXTURE_NEEDS(host_normalise(span_of(text), release->host));
        return;
    }
    FIXTURE_NEEDS(url_parse(span_of(text), &url));
    memcpy(release->host, url.host, sizeof(release->host));
    size_t size =
        url_normalise(url.tls, span_of(url.host), url.port, url.target, normal, sizeof(normal));
    FIXTURE_NEEDS(size > 0);
    fixture_digest((struct span){normal, size}, release->url_sha256);
}

#define FIELDS 8

/* "Name: value" texts; ends with NULL. */
static inline size_t fixture_fields(struct field *fields, const char *const *lines)
{
    size_t count = 0;
    for (; lines && lines[count]; count++) {
        FIXTURE_NEEDS(count < FIELDS);
        struct span line = span_of(lines[count]);
        size_t colon = span_index(line, ':');
        fields[count].name = span_first(line, colon);
        fields[count].value = span_trim(span_from(line, colon + 1));
    }
    return count;
}

/* A GET of a URL over an inspected connection of that name; `fields` must live as long. */
static inline struct request fixture_request(const char *url_text, const char *const *lines,
                                             struct field fields[FIELDS], struct url *url)
{
    FIXTURE_NEEDS(url_parse(span_of(url_text), url));
    return (struct request){
        .method = SPAN("GET"),
        .tls = url->tls,
        .host = span_of(url->host),
        .port = url->port,
        .target = url->target,
        .fields = fields,
        .field_count = fixture_fields(fields, lines),
        .sni = url->tls ? span_of(url->host) : (struct span){NULL, 0},
        .host_is_covered = true,
    };
}

#endif
