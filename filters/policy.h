/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The policy as data: what the configuration and the service profiles say, in the form in which the
 * filters ask it. Built once per configuration generation by the configuration module, then only
 * read.
 */
#ifndef FILTERS_POLICY_H
#define FILTERS_POLICY_H

#include "filters/hostset.h"
#include "filters/learned.h"
#include "gateway/exchange.h"

/* X(symbol, name) */
#define DESTINATION_CLASSES(X)                                                                     \
    X(UNKNOWN, "unknown")                                                                          \
    X(SERVICE, "service")                                                                          \
    X(CLINIC, "clinic")                                                                            \
    X(SYSTEM, "system")                                                                            \
    X(RELEASED, "released")                                                                        \
    X(DENIED, "denied")
enum destination_class {
#define X(symbol, name) CLASS_##symbol,
    DESTINATION_CLASSES(X)
#undef X
};
const char *destination_class_name(enum destination_class value);

/* How the connections to a listed host are treated: the `tag` of a hostset entry. */
enum treatment { TREAT_INSPECT, TREAT_SPLICE };

/* "host/path*": a host pattern of hostset.h, then a path in which * stands for any bytes. */
struct url_pattern {
    char *host; /* as host_pattern_normalise() gives it */
    char *path; /* begins with '/'; "/" followed by "*" when only the host was written */
    struct rule rule;
};
/*
 * `target` is path and query. Host case and a trailing dot do not matter, nor whether a byte of the
 * target is percent-encoded. A pattern without '?' also matches when the path alone fits it.
 */
bool url_pattern_matches(const struct url_pattern *pattern, struct span host, struct span target);
/*
 * From "host" or "host/path"; false with a message (static storage) when it is not one. The caller
 * frees with url_pattern_clear().
 */
bool url_pattern_parse(struct span text, struct rule rule, struct url_pattern *pattern,
                       const char **error);
void url_pattern_clear(struct url_pattern *pattern);
/* True for a pattern that takes everything on its hosts: written without a path, or with just "/"
 * and '*'. */
bool url_pattern_is_whole_host(const struct url_pattern *pattern);

/* A header field that a profile sets on requests to some hosts (tenant restriction). */
struct tenant_header {
    char *name;
    char *value;
    struct hostset *hosts;
};

struct port_range {
    uint16_t first, last;
};

/* An autonomous system whose networks are a service's. */
struct service_system {
    uint32_t number;
    struct rule rule;
};

/* ISO 3166-1, two capital letters. */
struct country {
    char code[3];
    struct rule rule;
};

struct service {
    char *name;            /* "zoom" */
    char *title;           /* "Zoom", for the page and the log's reader */
    struct hostset *hosts; /* tag: enum treatment */
    struct hostset *call;  /* a flow to one of these is the sign of a call; no treatment */
    struct hostset *chat;  /* hosts whose responses carry the chat */
    struct url_pattern *attachments;
    size_t attachment_count;
    struct url_pattern *join; /* meeting-join links */
    size_t join_count;
    struct url_pattern *create; /* requests by which the clinic makes a meeting */
    size_t create_count;
    struct network
        *networks; /* addresses: media, and TLS without SNI; published, then by `systems` */
    size_t network_count;
    struct service_system *systems;
    size_t system_count;
    struct port_range *media_udp;
    size_t media_udp_count;
    struct port_range *media_tcp;
    size_t media_tcp_count;
    struct hostset *media_hosts; /* whose addresses count as networks for media; no tag */
    bool peer_to_peer;           /* media may pass to any address while a consultation is on */
    bool quic;                   /* UDP/443 to `networks` may pass */
    struct tenant_header *headers;
    size_t header_count;
    char *policy_url;
    char *reviewed; /* date, YYYY-MM-DD */
    struct rule rule;
};

/* "pdf from labo.example.jp": files of a type that the clinic takes from some host. */
struct listed_file {
    char *type;            /* extension as in filters/filetype.h, lower case, or "*" */
    struct hostset *hosts; /* one entry */
    struct rule rule;
};

enum policy_mode { MODE_ENFORCE, MODE_OBSERVE };
enum policy_scope { SCOPE_CLINIC, SCOPE_ROOM, SCOPE_CLIENT };
enum policy_outside { OUTSIDE_INSPECT, OUTSIDE_DENY };
enum policy_no_sni { NO_SNI_REFUSE, NO_SNI_INSPECT };

struct policy {
    enum policy_mode mode;
    enum policy_scope scope;
    enum policy_outside outside;
    enum policy_no_sni no_sni;
    int64_t linger;           /* milliseconds */
    int64_t learned_for;      /* milliseconds that a learned link is remembered */
    int64_t typed_for;        /* milliseconds that a link the clinic sent explains its copies */
    int64_t own_meetings_for; /* milliseconds that a meeting which was seen to be made is known */
    bool learned_by_host;     /* a learned link stands for its whole host */
    bool learn_everywhere;    /* from all inspected hosts of a service, not only its chat hosts */

    struct country *country_allow; /* where unknown destinations may be; none: anywhere */
    size_t country_allow_count;
    struct country *country_deny; /* where they may not be */
    size_t country_deny_count;

    struct service *services;
    size_t service_count;
    struct hostset *clinic; /* clinic.allow and clinic.splice; tag: enum treatment */
    struct hostset *clinic_deny;
    struct hostset *denied; /* the lists: shorteners, link-in-bio, DoH, private relays ... */
    struct hostset *system; /* updates, OCSP, CRL, captive portals, time; tag: enum treatment */
    struct hostset *never;  /* what is never inspected: our CA cannot speak for it; no tag */
    struct url_pattern *meetings; /* the clinic's own meeting links */
    size_t meeting_count;
    struct listed_file *files;
    size_t file_count;
};

/*
 * The class of a host, without regard to releases. First match: clinic.deny, a service's hosts,
 * call and attachment hosts, clinic.allow, the denied lists, the system lists. `service` (may be
 * NULL) is set when the class is SERVICE; `entry` (may be NULL) to the deciding entry, or to NULL.
 */
enum destination_class policy_classify(const struct policy *policy, struct span host,
                                       const struct service **service,
                                       const struct hostset_entry **entry);

/*
 * True when a destination of this class may not be connected to at an address of that country ("":
 * nobody knows of which); then `rule` (may be NULL) is what says so. Only unknown ones are asked
 * for their country.
 */
bool policy_denies_country(const struct policy *policy, enum destination_class class,
                           const char *country, struct rule *rule);

/* The service whose networks hold the address, or NULL. */
const struct service *policy_service_by_address(const struct policy *policy,
                                                const struct address *address);

/* The service of which `host` is a host of any sort (also one that only carries its chat), or NULL.
 */
const struct service *policy_service_by_host(const struct policy *policy, struct span host);

/* The pattern that takes every request to this host for a chat's file, or NULL. */
const struct url_pattern *policy_attachment_host(const struct policy *policy, struct span host);

/* The service that names `host` as a call host, or NULL. */
const struct service *policy_call_service(const struct policy *policy, struct span host);

/* A release: a reasoned, time-limited exception. */
enum release_scope { RELEASE_URL, RELEASE_HOST };
struct release {
    enum release_scope scope;
    char host[HOST_TEXT];   /* RELEASE_HOST: this very host; RELEASE_URL: for the record */
    uint8_t url_sha256[32]; /* RELEASE_URL: of url_normalise() in filters/url.h */
    int64_t until;          /* Unix seconds */
    int64_t id;
};

/* What is true at the moment of judgement. Borrowed. */
struct standing {
    bool consultation;   /* one is on for this client's scope */
    const char *service; /* the service of the consultation, or NULL */
    const struct release *releases;
    size_t release_count;
    int64_t now;                                           /* Unix seconds */
    void (*sha256)(struct span bytes, uint8_t digest[32]); /* filters know no crypto library */
    const struct learned_links *learned; /* links that came from the patient, or NULL */
    const char *scope;                   /* of the client, as the learned links know it */
};

/* The release in force that covers this URL, or NULL. */
const struct release *release_find(const struct standing *standing, bool tls, struct span host,
                                   uint16_t port, struct span target);

/* The release in force of which `host` is the host, whether for all of it or for one URL on it; or
 * NULL. */
const struct release *release_find_host(const struct standing *standing, struct span host);

#endif
