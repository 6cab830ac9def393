/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The configuration of one generation: what sekisho.conf and the profiles and lists it names say,
 * checked, with every default filled in. Read by the parent (and by the control program), inherited
 * by the others at fork. Every option stands in gateway/options.h: from that table come the parser,
 * the checks, the defaults, the manual's section and `sekisho config --defaults`.
 */
#ifndef GATEWAY_CONFIGURATION_H
#define GATEWAY_CONFIGURATION_H

#include <sys/socket.h>
#include "filters/policy.h"
#include "gateway/http1.h"

/* The newest form of a configuration that is read: a greater `schema` is an error. */
#define CONFIGURATION_SCHEMA 1

struct listener_options {
    bool transparent; /* else an explicit proxy, or the portal */
    bool portal;
    bool tls; /* of the portal */
    struct sockaddr_storage address;
    socklen_t address_size;
    struct rule rule;
};

struct room_client {
    bool is_mac;
    uint8_t mac[6];
    struct network network; /* when not a MAC */
};
struct room {
    char *name; /* UTF-8 */
    struct room_client *clients;
    size_t client_count;
    struct rule rule;
};

enum revocation_mode { REVOCATION_SOFT, REVOCATION_HARD };
/* A closed medical network that never meets the proxy. */
struct bypass {
    char *name, *title;
    struct network *networks;
    size_t network_count;
    char **zones; /* names as host_pattern_normalise() gives them */
    size_t zone_count;
    struct sockaddr_storage *resolvers; /* of the zones */
    size_t resolver_count;
    bool in_force; /* network.bypass names it */
    struct rule rule;
};
/* Another network behind the gateway, which the LAN cannot reach, nor it the LAN. */
struct segment {
    char *name;
    char **interfaces;
    size_t interface_count;
    struct rule rule;
};
/* What may pass all the same. */
struct permit {
    char *name;
    struct network *from; /* a network of family 0: all of the LAN */
    size_t from_count;
    struct network *to;
    size_t to_count;
    struct port_range *tcp, *udp; /* neither: any protocol */
    size_t tcp_count, udp_count;
    struct rule rule;
};

enum egress { EGRESS_STRICT, EGRESS_CONSULTATION, EGRESS_OPEN };
enum certificate_failure { FAILURE_ALERT, FAILURE_PAGE };
enum log_transport { LOG_UNIX, LOG_UDP, LOG_TCP };

struct configuration {
    char *path;   /* of sekisho.conf */
    char **files; /* every file that was read: rules borrow these names */
    size_t file_count;
    struct policy policy;

    /* network { } */
    char **lan; /* interface names */
    size_t lan_count;
    bool manage_rules;   /* program nftables and policy routing (default: true) */
    bool remove_on_stop; /* take them away on a clean stop (default: false, fail closed) */
    uint32_t schema;
    uint32_t mark; /* fwmark of intercepted packets */
    uint32_t route_table;
    struct sockaddr_storage *resolvers; /* default: those of /etc/resolv.conf */
    size_t resolver_count;
    char *dns_file; /* for dnsmasq; "" for none */
    struct sockaddr_storage *dns_upstream;
    size_t dns_upstream_count;
    struct address *dns_sink; /* one of each family */
    size_t dns_sink_count;
    char *asn_database; /* paths; "" for none */
    char *country_database;
    enum egress egress;
    bool media_check;
    struct address *dns; /* that the LAN may ask; none: this machine */
    size_t dns_count;
    bool dns_redirect;
    unsigned intercepted_per_client; /* connections, counted by the kernel */
    char **bypass;                   /* names of sections */
    size_t bypass_count;
    struct bypass *bypasses; /* all sections, in force or not */
    size_t bypasses_count;
    struct segment *segments;
    size_t segment_count;
    struct permit *permits;
    size_t permit_count;

    struct listener_options *listeners;
    size_t listener_count;
    uint16_t *connect_ports; /* that CONNECT and absolute-form may ask for (default 80, 443) */
    size_t connect_port_count;

    struct room *rooms;
    size_t room_count;

    /* clinic { } */
    char *clinic_name;
    char *clinic_contact; /* shown on the page */

    /* tls { } */
    char *ca_certificate; /* PEM path; default: in the state folder */
    char *ca_key;
    char *trust; /* PEM bundle that origins are verified with */
    enum revocation_mode revocation;
    char *revocation_lists;  /* PEM file of CRLs, or "" */
    bool revocation_fetch;   /* lists that certificates point to */
    int64_t revocation_wait; /* milliseconds that a connection waits for them */
    bool aia;                /* fetch issuers too */
    char *intermediates;     /* PEM file of certificates of CAs, or "" */
    char *ct_logs;           /* transparency logs in OpenSSL's form, or "" */
    int64_t revocation_age;  /* milliseconds that a fetched list is kept at the most */
    size_t fetch_size;       /* bytes of one */
    uint16_t *fetch_ports;
    size_t fetch_port_count;
    int64_t leaf_lifetime; /* milliseconds, at most 24 h */
    int64_t leaf_backdate;
    bool http2; /* inspect HTTP/2 too */
    enum certificate_failure failure;

    /* portal { } */
    struct address *portal_addresses; /* none: it is not served */
    size_t portal_address_count;
    char *portal_host; /* as host_normalise() gives it */
    uint16_t portal_port, portal_tls_port;
    struct listener_options *portal_listeners; /* two for each address */
    size_t portal_listener_count;
    char *portal_template;    /* contents of enrol.html; NULL when it is not served */
    char *portal_messages[2]; /* contents of enrol.ja and enrol.en */

    /* limits { } */
    struct http1_limits http;
    unsigned connections; /* of one worker */
    unsigned connections_per_client;
    size_t buffer; /* bytes held per direction of a connection */

    /* timeouts { }: milliseconds */
    int64_t timeout_hello, timeout_connect, timeout_handshake, timeout_head, timeout_first_byte,
        timeout_idle, timeout_body, timeout_splice, timeout_drain, timeout_sniff, timeout_fetch;

    /* log { } */
    enum log_transport log_transport;
    struct sockaddr_storage log_address; /* LOG_UDP, LOG_TCP */
    socklen_t log_address_size;
    char *log_path;   /* LOG_UNIX */
    bool log_allowed; /* a line for every allowed exchange too (default: true) */

    /* process { } */
    unsigned workers;       /* default: one per core */
    bool separate_users;    /* when started as root (default: true) */
    char *state_directory;  /* default /var/lib/sekisho */
    char *control_socket;   /* default /run/sekisho/control */
    char *control_group;    /* "" for none */
    char *pages_directory;  /* templates and messages; default: the installed ones */
    char *page_template;    /* contents of its block.html */
    char *page_messages[2]; /* contents of messages.ja and messages.en */
};

/*
 * Reads and checks everything. NULL when there is any error; each error and warning is given to
 * `report` as one line without newline: "FILE:LINE: error: ..." or "FILE:LINE: warning: ...".
 * Errors are collected: one call tells all that can be told. The caller frees with
 * configuration_free().
 */
typedef void configuration_report(void *context, const char *line);
struct configuration *configuration_read(const char *path, configuration_report *report,
                                         void *context);
/* The same, but the CA's files may be missing: for `sekisho ca init`, which makes them. */
struct configuration *configuration_read_without_ca(const char *path, configuration_report *report,
                                                    void *context);
/* NULL does nothing. */
void configuration_free(struct configuration *configuration);

/* Writes every option with its default and one line of help, as a valid configuration. */
struct evbuffer;
void configuration_write_defaults(struct evbuffer *out);
/* The OPTIONS section of sekisho.conf(5), in mdoc(7) or man(7) as the rest of the page. */
void configuration_write_manual(struct evbuffer *out);

/* The index of the room that a client is in, or -1. `mac` may be NULL. The first room that lists
 * it. */
int configuration_room(const struct configuration *configuration, const struct address *address,
                       const uint8_t mac[6]);

#endif
