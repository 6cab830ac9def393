/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Every section and every option of sekisho.conf, declared once. The parser, the checks, the
 * defaults, `sekisho config --defaults` and the OPTIONS section of sekisho.conf(5) are all made
 * from these tables.
 */
#ifndef GATEWAY_OPTIONS_H
#define GATEWAY_OPTIONS_H

#include "gateway/configuration.h"

/* The folders of the installation. The build gives its own. */
#ifndef SEKISHO_SYSCONF_DIR
#define SEKISHO_SYSCONF_DIR "/etc/sekisho"
#endif
#ifndef SEKISHO_DATA_DIR
#define SEKISHO_DATA_DIR "/usr/share/sekisho"
#endif
#ifndef SEKISHO_STATE_DIR
#define SEKISHO_STATE_DIR "/var/lib/sekisho"
#endif
#ifndef SEKISHO_RUN_DIR
#define SEKISHO_RUN_DIR "/run/sekisho"
#endif

/* X(symbol, name, the section that it stands in, what its title is or NULL for none, help) */
#define SECTIONS(X)                                                                                \
    X(NETWORK, "network", ROOT, NULL, "The clinic's network and the kernel's part of the work.")   \
    X(LISTEN, "listen", ROOT, "transparent or explicit",                                           \
      "Where connections are accepted: \"transparent\" is what the kernel redirects here, "        \
      "\"explicit\" is a proxy that clients are configured to use. At most one of each.")          \
    X(ROOM, "room", ROOT, "the room's name",                                                       \
      "A set of devices that share one state of consultation. Any number.")                        \
    X(CLINIC, "clinic", ROOT, NULL, "The clinic's own lists, and what the page says of it.")       \
    X(POLICY, "policy", ROOT, NULL, "What is decided, and how far it reaches.")                    \
    X(TLS, "tls", ROOT, NULL, "The clinic's CA, the leaves that it signs, and who is trusted.")    \
    X(PORTAL, "portal", ROOT, NULL,                                                                \
      "The enrolment page for the LAN: the CA's certificate, and how devices are given it.")       \
    X(LIMITS, "limits", ROOT, NULL, "Bounds on what one client or origin may use.")                \
    X(TIMEOUTS, "timeouts", ROOT, NULL, "How long each phase of a connection may take.")           \
    X(LOG, "log", ROOT, NULL, "Where the RFC 5424 lines go.")                                      \
    X(PROCESS, "process", ROOT, NULL, "Processes, users and files of the daemon.")                 \
    X(SERVICE, "service", ROOT, "the service's name",                                              \
      "The profile of something that the clinic uses in a consultation. Any number, "              \
      "usually included from services/.")                                                          \
    X(BYPASS, "bypass", ROOT, "a name",                                                            \
      "A closed medical network, in force when network.bypass names it: what goes there, and "     \
      "what comes from there, is forwarded untouched. Any number.")                                \
    X(SEGMENT, "segment", ROOT, "the segment's name",                                              \
      "Another network behind this gateway, such as that of the medical systems. It and the LAN "  \
      "cannot reach each other, unless a permit says so. Any number.")                             \
    X(PERMIT, "permit", ROOT, "a name",                                                            \
      "What may pass between the LAN and other networks although nothing else names it. The web "  \
      "(TCP 80 and 443) meets the proxy all the same, except between the LAN and a segment. "      \
      "Any number.")                                                                               \
    X(HEADER, "header", SERVICE, "the field's name",                                               \
      "A header field that is set on every inspected request to some hosts of the service, in "    \
      "place of whatever the client sent (tenant restriction). Any number within a service.")

enum section {
    SECTION_ROOT,
#define X(symbol, name, parent, title, help) SECTION_##symbol,
    SECTIONS(X)
#undef X
        SECTION_COUNT
};

/* X(symbol, is a list, the manual's name for a value, what a person must write) */
#define OPTION_TYPES(X)                                                                            \
    X(BOOLEAN, false, "boolean", "true or false")                                                  \
    X(NUMBER, false, "number", "a whole number")                                                   \
    X(DURATION, false, "duration", "a duration such as 500ms, 30s, 10min, 4h or 1d")               \
    X(SIZE, false, "size", "a size such as 512B, 64kB or 1MB (of 1024)")                           \
    X(CHOICE, false, "word", "one of the words")                                                   \
    X(TEXT, false, "text", "a text")                                                               \
    X(PATH, false, "path", "a path, absolute or from the folder of the file that says it")         \
    X(DATE, false, "date", "a date, YYYY-MM-DD")                                                   \
    X(LINK, false, "url", "an http or https URL")                                                  \
    X(LOG_TARGET, false, "target", "unix:PATH, udp://ADDRESS:PORT or tcp://ADDRESS:PORT")          \
    X(INTERFACES, true, "interface", "names of network interfaces")                                \
    X(RESOLVERS, true, "address",                                                                  \
      "addresses, with a port if it is not 53: 127.0.0.1:5353, [::1]:5353")                        \
    X(ADDRESSES, true, "address", "addresses of this machine")                                     \
    X(SYSTEMS, true, "number", "numbers of autonomous systems, such as 30103")                     \
    X(COUNTRIES, true, "country", "countries as two capital letters of ISO 3166, such as JP")      \
    X(PORTS, true, "port", "port numbers")                                                         \
    X(PORT_RANGES, true, "port", "ports or ranges of ports such as 8801-8810")                     \
    X(NAMES, true, "name", "names of sections: letters, digits, - and _, at most 32")              \
    X(ZONES, true, "zone", "names of DNS zones: example.jp")                                       \
    X(PLACES, true, "network", "networks such as 192.0.2.0/24, addresses, or lan")                 \
    X(CLIENTS, true, "client", "addresses, networks or MAC addresses")                             \
    X(NETWORKS, true, "network", "networks such as 192.0.2.0/24 or addresses")                     \
    X(HOSTS, true, "host",                                                                         \
      "host patterns: example.jp, *.example.jp (all below), .example.jp (both), *file.example.jp") \
    X(URLS, true, "url-pattern",                                                                   \
      "host patterns, each with a path in which * stands for anything: host/path*")                \
    X(FILES, true, "file", "\"TYPE from HOST\", where TYPE is an extension or *")                  \
    X(LISTS, true, "list-file", "list files, one host pattern a line")                             \
    X(NAMED_LISTS, true, "list", "names of lists such as government, or list files")

enum option_type {
#define X(symbol, list, argument, expected) OPTION_##symbol,
    OPTION_TYPES(X)
#undef X
};

/* Where a value goes: offset and size of a member, and offset of its count when it is an array. */
#define MEMBER(type, member)                                                                       \
    {                                                                                              \
        offsetof(struct type, member), sizeof(((struct type *)NULL)->member), 0                    \
    }
#define ARRAY(type, member, count)                                                                 \
    {                                                                                              \
        offsetof(struct type, member), sizeof(*((struct type *)NULL)->member),                     \
            offsetof(struct type, count)                                                           \
    }
#define CONFIGURATION(member) MEMBER(configuration, member)

#define DENIED_LISTS                                                                               \
    "lists/shorteners.txt, lists/link-in-bio.txt, lists/free-hosting.txt, lists/doh.txt, "         \
    "lists/private-relay.txt, lists/mdca.txt"
#define SYSTEM_LISTS "lists/updates.txt, lists/certificates.txt, lists/captive-portals.txt"

#define DAY      INT64_C(86400000)
#define PORT_MAX 65535

/*
 * X(section, name, type, default as it would be written (elements of a list between commas) or
 * NULL, least, greatest (milliseconds, bytes; HOSTS and LISTS: least is the treatment of the
 * entries), words of a CHOICE in the order of its enum, where, help)
 */
#define OPTIONS(X)                                                                                 \
    X(ROOT, "schema", NUMBER, "1", 1, UINT32_MAX, NULL, CONFIGURATION(schema),                     \
      "The form of the configuration, of sekisho.conf and all that it includes. What a version "   \
      "does not know yet is an error.")                                                            \
    X(NETWORK, "lan", INTERFACES, NULL, 0, 0, NULL, ARRAY(configuration, lan, lan_count),          \
      "The interfaces on which the clinic's devices are.")                                         \
    X(NETWORK, "manage-rules", BOOLEAN, "true", 0, 0, NULL, CONFIGURATION(manage_rules),           \
      "Put the nftables rules and the policy routing in place at the start.")                      \
    X(NETWORK, "remove-on-stop", BOOLEAN, "false", 0, 0, NULL, CONFIGURATION(remove_on_stop),      \
      "Take them away on a clean stop. Otherwise they stay, and what would have been inspected "   \
      "is dropped until the daemon is back.")                                                      \
    X(NETWORK, "mark", NUMBER, "0x5e4", 1, UINT32_MAX, NULL, CONFIGURATION(mark),                  \
      "The firewall mark of redirected packets.")                                                  \
    X(NETWORK, "route-table", NUMBER, "5444", 1, UINT32_MAX, NULL, CONFIGURATION(route_table),     \
      "The number of the routing table for redirected packets; 253 to 255 are the system's own.")  \
    X(NETWORK, "resolvers", RESOLVERS, NULL, 0, 0, NULL,                                           \
      ARRAY(configuration, resolvers, resolver_count),                                             \
      "The DNS servers that names are resolved with. Otherwise those of /etc/resolv.conf.")        \
    X(NETWORK, "dns-file", PATH, "", 0, 0, NULL, CONFIGURATION(dns_file),                          \
      "A file for dnsmasq, as `sekisho dns-config` writes it, that the daemon keeps up to date. "  \
      "dnsmasq includes it, and must be restarted when it has changed.")                           \
    X(NETWORK, "dns-upstream", RESOLVERS, NULL, 0, 0, NULL,                                        \
      ARRAY(configuration, dns_upstream, dns_upstream_count),                                      \
      "The DNS servers that dnsmasq asks. Otherwise it has its own way to find them.")             \
    X(NETWORK, "dns-sink", ADDRESSES, "192.0.2.53, 100::53", 0, 0, NULL,                           \
      ARRAY(configuration, dns_sink, dns_sink_count),                                              \
      "Two addresses that are nobody's, of IPv4 and of IPv6, which the LAN reaches through this "  \
      "gateway: where dnsmasq sends those who ask for a denied host, so that they get the page.")  \
    X(NETWORK, "asn-database", PATH, "", 0, 0, NULL, CONFIGURATION(asn_database),                  \
      "A database in MaxMind's format that says which autonomous system a network is of. Put a "   \
      "new one in its place by renaming it; it is read at the start and at a reload.")             \
    X(NETWORK, "country-database", PATH, "", 0, 0, NULL, CONFIGURATION(country_database),          \
      "The same for countries. May be the same file.")                                             \
    X(NETWORK, "egress", CHOICE, "strict", 0, 0, "strict|consultation|open",                       \
      CONFIGURATION(egress),                                                                       \
      "What other traffic of the LAN meets that nothing here names: refused always, refused "      \
      "while a consultation is on, or never.")                                                     \
    X(NETWORK, "media-check", BOOLEAN, "false", 0, 0, NULL, CONFIGURATION(media_check),            \
      "A UDP flow to a service's networks passes only when it begins with STUN, DTLS or RTP. "     \
      "Some services' own media does not.")                                                        \
    X(NETWORK, "dns", ADDRESSES, NULL, 0, 0, NULL, ARRAY(configuration, dns, dns_count),           \
      "The resolvers that the LAN may ask. Otherwise this machine itself.")                        \
    X(NETWORK, "dns-redirect", BOOLEAN, "true", 0, 0, NULL, CONFIGURATION(dns_redirect),           \
      "Plain DNS of the LAN to anywhere else goes to the first of them instead. Otherwise it is "  \
      "refused, whatever egress says.")                                                            \
    X(NETWORK, "connections-per-client", NUMBER, "1024", 1, 1000000, NULL,                         \
      CONFIGURATION(intercepted_per_client),                                                       \
      "Redirected connections that one address may have open; the kernel drops the next one's "    \
      "first packet.")                                                                             \
    X(NETWORK, "bypass", NAMES, NULL, 0, 0, NULL, ARRAY(configuration, bypass, bypass_count),      \
      "The bypass sections that are in force.")                                                    \
    X(LISTEN, "address", ADDRESSES, "127.0.0.1, ::1", 0, 0, NULL,                                  \
      ARRAY(listen_draft, addresses, address_count), "The addresses to listen on.")                \
    X(LISTEN, "port", NUMBER, NULL, 1, PORT_MAX, NULL, MEMBER(listen_draft, port),                 \
      "The port. Otherwise 8443 for transparent, 8080 for explicit.")                              \
    X(LISTEN, "connect-ports", PORTS, "443, 80", 1, PORT_MAX, NULL,                                \
      ARRAY(listen_draft, connect_ports, connect_port_count),                                      \
      "Explicit only: the ports that a client may ask for.")                                       \
    X(ROOM, "clients", CLIENTS, NULL, 0, 0, NULL, ARRAY(room, clients, client_count),              \
      "The room's devices. A MAC address stands for all addresses of a device on the gateway's "   \
      "own segment.")                                                                              \
    X(CLINIC, "name", TEXT, "", 0, 0, NULL, CONFIGURATION(clinic_name), "Shown on the page.")      \
    X(CLINIC, "contact", TEXT, "", 0, 0, NULL, CONFIGURATION(clinic_contact),                      \
      "Whom to ask, shown on the page: a name, an extension number.")                              \
    X(CLINIC, "allow", HOSTS, NULL, TREAT_INSPECT, 0, NULL, CONFIGURATION(policy.clinic),          \
      "Hosts that the clinic uses: electronic records, claims, laboratories, vendors. Inspected.") \
    X(CLINIC, "splice", HOSTS, NULL, TREAT_SPLICE, 0, NULL, CONFIGURATION(policy.clinic),          \
      "Hosts that the clinic uses and that cannot be inspected, such as those that ask for a "     \
      "client certificate. Passed on untouched.")                                                  \
    X(CLINIC, "deny", HOSTS, NULL, 0, 0, NULL, CONFIGURATION(policy.clinic_deny),                  \
      "Hosts that are always blocked, whatever else lists them.")                                  \
    X(CLINIC, "files", FILES, NULL, 0, 0, NULL,                                                    \
      ARRAY(configuration, policy.files, policy.file_count),                                       \
      "Downloads that the clinic takes, such as \"pdf from labo.example.jp\".")                    \
    X(CLINIC, "lists", NAMED_LISTS, NULL, TREAT_INSPECT, 0, NULL, CONFIGURATION(policy.clinic),    \
      "Lists of hosts that the clinic's work needs, by name: see LISTS OF THE CLINIC.")            \
    X(CLINIC, "meetings", URLS, NULL, 0, 0, NULL,                                                  \
      ARRAY(configuration, policy.meetings, policy.meeting_count),                                 \
      "The clinic's own meeting links: by account, by vanity host or by room. See MEETINGS.")      \
    X(POLICY, "mode", CHOICE, "enforce", 0, 0, "enforce|observe", CONFIGURATION(policy.mode),      \
      "With observe everything is judged and logged, and nothing is blocked.")                     \
    X(POLICY, "scope", CHOICE, "clinic", 0, 0, "clinic|room|client", CONFIGURATION(policy.scope),  \
      "How far a consultation reaches: the whole LAN, the room, or the one device.")               \
    X(POLICY, "linger", DURATION, "10min", 0, DAY, NULL, CONFIGURATION(policy.linger),             \
      "How long a consultation lasts after the last sign of it.")                                  \
    X(POLICY, "learned-for", DURATION, "1d", 0, 30 * DAY, NULL, CONFIGURATION(policy.learned_for), \
      "How long a link that came in through a service's chat stays blocked.")                      \
    X(POLICY, "typed-for", DURATION, "1min", 0, 30 * DAY, NULL, CONFIGURATION(policy.typed_for),   \
      "How long a link that the clinic's side sent through a chat explains the copies of it that " \
      "come back. A later copy is taken for the patient's. A chat that shows old messages again "  \
      "may need longer.")                                                                          \
    X(POLICY, "own-meetings-for", DURATION, "30d", 0, 366 * DAY, NULL,                             \
      CONFIGURATION(policy.own_meetings_for),                                                      \
      "How long a meeting that the clinic was seen to make is known as its own; 0: none is.")      \
    X(POLICY, "learned-by", CHOICE, "url", 0, 0, "url|host",                                       \
      CONFIGURATION(policy.learned_by_host),                                                       \
      "Whether such a link stands for itself or for its whole host.")                              \
    X(POLICY, "learn", CHOICE, "chat", 0, 0, "chat|all", CONFIGURATION(policy.learn_everywhere),   \
      "Where such links are looked for: in what a service's chat hosts send, or in what all its "  \
      "inspected hosts send.")                                                                     \
    X(POLICY, "outside", CHOICE, "inspect", 0, 0, "inspect|deny", CONFIGURATION(policy.outside),   \
      "What unknown destinations meet when no consultation is on.")                                \
    X(POLICY, "no-sni", CHOICE, "refuse", 0, 0, "refuse|inspect", CONFIGURATION(policy.no_sni),    \
      "What a TLS client meets that does not say which host it wants.")                            \
    X(POLICY, "country-allow", COUNTRIES, NULL, 0, 0, NULL,                                        \
      ARRAY(configuration, policy.country_allow, policy.country_allow_count),                      \
      "When it has entries, unknown destinations are connected to only in these countries; "       \
      "an address of which the database says nothing is in none of them.")                         \
    X(POLICY, "country-deny", COUNTRIES, NULL, 0, 0, NULL,                                         \
      ARRAY(configuration, policy.country_deny, policy.country_deny_count),                        \
      "Unknown destinations are never connected to in these countries.")                           \
    X(POLICY, "denied", LISTS, DENIED_LISTS, 0, 0, NULL, CONFIGURATION(policy.denied),             \
      "Lists of hosts that hide where they lead, or that are known to be abused.")                 \
    X(POLICY, "system", LISTS, SYSTEM_LISTS, TREAT_SPLICE, 0, NULL, CONFIGURATION(policy.system),  \
      "Lists of hosts for updates, certificate status and captive portals. Passed on untouched.")  \
    X(POLICY, "failure", CHOICE, "alert", 0, 0, "alert|page", CONFIGURATION(failure),              \
      "What a client gets when the origin's certificate fails: a TLS alert, or a page that "       \
      "explains it (the origin's content is relayed in neither case).")                            \
    X(TLS, "ca-certificate", PATH, "", 0, 0, NULL, CONFIGURATION(ca_certificate),                  \
      "The certificate of the clinic's CA, PEM. Otherwise ca.pem in the state folder.")            \
    X(TLS, "ca-key", PATH, "", 0, 0, NULL, CONFIGURATION(ca_key),                                  \
      "Its key, PEM. Otherwise ca-key.pem in the state folder.")                                   \
    X(TLS, "never-inspect", LISTS, "lists/never-inspected.txt", 0, 0, NULL,                        \
      CONFIGURATION(policy.never),                                                                 \
      "Lists of names that are never inspected, each with all names below it: a CA that is made "  \
      "while they stand here cannot speak for them. See THE CLINIC'S CA.")                         \
    X(TLS, "trust", PATH, "/etc/ssl/certs/ca-certificates.crt", 0, 0, NULL, CONFIGURATION(trust),  \
      "The CAs that origins are verified with, PEM. The clinic's own CA must not be among them.")  \
    X(TLS, "revocation", CHOICE, "soft", 0, 0, "soft|hard", CONFIGURATION(revocation),             \
      "What is known as revoked is refused: by an answer that the origin staples (OCSP), by a "    \
      "fetched list or by revocation-lists. What nothing speaks for passes (soft), which the "     \
      "record tells, or is refused too (hard). See REVOCATION.")                                   \
    X(TLS, "revocation-fetch", BOOLEAN, "true", 0, 0, NULL, CONFIGURATION(revocation_fetch),       \
      "Fetch the lists of revoked certificates (CRL) that origins' certificates point to.")        \
    X(TLS, "revocation-wait", DURATION, "2s", 0, 60000, NULL, CONFIGURATION(revocation_wait),      \
      "How long a connection waits for lists that are not there yet. What is not there then "      \
      "counts as not available, and is fetched on for those that come later.")                     \
    X(TLS, "revocation-lists", PATH, "", 0, 0, NULL, CONFIGURATION(revocation_lists),              \
      "More lists of revoked certificates (X509 CRL), PEM, read when the configuration is. Who "   \
      "needs them keeps the file up to date, and reloads.")                                        \
    X(TLS, "aia", BOOLEAN, "false", 0, 0, NULL, CONFIGURATION(aia),                                \
      "When an origin does not send the certificates between its own and a root, fetch them from " \
      "where its certificate says (caIssuers).")                                                   \
    X(TLS, "intermediates", PATH, "", 0, 0, NULL, CONFIGURATION(intermediates),                    \
      "Certificates of CAs, PEM, that are tried when an origin does not send what belongs "        \
      "between "                                                                                   \
      "its own and a root. They are not trusted by themselves.")                                   \
    X(TLS, "ct-logs", PATH, "", 0, 0, NULL, CONFIGURATION(ct_logs),                                \
      "The transparency logs that timestamps are checked with, in the form of OpenSSL's log "      \
      "list. "                                                                                     \
      "It decides nothing: the record tells what was found.")                                      \
    X(TLS, "revocation-age", DURATION, "1d", 1000, 30 * DAY, NULL, CONFIGURATION(revocation_age),  \
      "How old a fetched list may grow before it is fetched again. It is fetched earlier when "    \
      "its "                                                                                       \
      "own time ends, of which a quarter is left then.")                                           \
    X(TLS, "fetch-size", SIZE, "10MB", 65536, 67108864, NULL, CONFIGURATION(fetch_size),           \
      "What is fetched (a list of revoked certificates) is at most so large. A larger one counts " \
      "as not available.")                                                                         \
    X(TLS, "fetch-ports", PORTS, "80", 1, PORT_MAX, NULL,                                          \
      ARRAY(configuration, fetch_ports, fetch_port_count), "The ports that are fetched from.")     \
    X(TLS, "leaf-lifetime", DURATION, "24h", 3600000, DAY, NULL, CONFIGURATION(leaf_lifetime),     \
      "How long a signed leaf is valid, at most.")                                                 \
    X(TLS, "http2", BOOLEAN, "true", 0, 0, NULL, CONFIGURATION(http2),                             \
      "Inspect HTTP/2 where client and origin both speak it, WebSocket over it included. "         \
      "Otherwise they are offered HTTP/1.1.")                                                      \
    X(TLS, "backdate", DURATION, "1h", 0, DAY, NULL, CONFIGURATION(leaf_backdate),                 \
      "How far before now a leaf's validity begins: clocks of clinics drift.")                     \
    X(PORTAL, "address", ADDRESSES, NULL, 0, 0, NULL,                                              \
      ARRAY(configuration, portal_addresses, portal_address_count),                                \
      "The gateway's own addresses on the LAN, at which the page is served. Without them it is "   \
      "not. To them alone: it needs no interception, and no proxy answers there.")                 \
    X(PORTAL, "host", TEXT, "sekisho.home.arpa", 0, 0, NULL, CONFIGURATION(portal_host),           \
      "Its name, which dns-file gives those addresses. home.arpa belongs to every home network "   \
      "(RFC 8375).")                                                                               \
    X(PORTAL, "port", NUMBER, "80", 1, PORT_MAX, NULL, CONFIGURATION(portal_port),                 \
      "The port for http, which a device that is not enrolled yet can read.")                      \
    X(PORTAL, "tls-port", NUMBER, "443", 1, PORT_MAX, NULL, CONFIGURATION(portal_tls_port),        \
      "The port for https, under a leaf of the CA: who can read it is enrolled.")                  \
    X(LIMITS, "line", SIZE, "16kB", 256, 1048576, NULL, CONFIGURATION(http.line),                  \
      "A request line, a status line, or one header field.")                                       \
    X(LIMITS, "head", SIZE, "64kB", 1024, 4194304, NULL, CONFIGURATION(http.head),                 \
      "All header fields of a message together.")                                                  \
    X(LIMITS, "fields", NUMBER, "128", 8, 10000, NULL, CONFIGURATION(http.fields),                 \
      "How many header fields a message may have.")                                                \
    X(LIMITS, "connections", NUMBER, "8192", 4, 1000000, NULL, CONFIGURATION(connections),         \
      "Client connections of one worker. At the limit accepting pauses.")                          \
    X(LIMITS, "connections-per-client", NUMBER, "512", 1, 1000000, NULL,                           \
      CONFIGURATION(connections_per_client), "Client connections of one device to one worker.")    \
    X(LIMITS, "buffer", SIZE, "64kB", 4096, 16777216, NULL, CONFIGURATION(buffer),                 \
      "Held per direction of a connection before the sender has to wait; 4 times this (at least "  \
      "64 kB) for a stream of HTTP/2, 4 such streams for all of its connection.")                  \
    X(TIMEOUTS, "hello", DURATION, "10s", 10, DAY, NULL, CONFIGURATION(timeout_hello),             \
      "From the accepted connection to the whole ClientHello or the first request line.")          \
    X(TIMEOUTS, "connect", DURATION, "10s", 10, DAY, NULL, CONFIGURATION(timeout_connect),         \
      "Resolving the origin's name and connecting to it.")                                         \
    X(TIMEOUTS, "handshake", DURATION, "15s", 10, DAY, NULL, CONFIGURATION(timeout_handshake),     \
      "A TLS handshake, on either side.")                                                          \
    X(TIMEOUTS, "head", DURATION, "30s", 10, DAY, NULL, CONFIGURATION(timeout_head),               \
      "A whole request head, from its first byte.")                                                \
    X(TIMEOUTS, "first-byte", DURATION, "2min", 10, DAY, NULL, CONFIGURATION(timeout_first_byte),  \
      "From the whole request to the first byte of the answer.")                                   \
    X(TIMEOUTS, "idle", DURATION, "1min", 10, DAY, NULL, CONFIGURATION(timeout_idle),              \
      "A kept connection between two requests.")                                                   \
    X(TIMEOUTS, "body", DURATION, "1min", 10, DAY, NULL, CONFIGURATION(timeout_body),              \
      "A body that makes no progress.")                                                            \
    X(TIMEOUTS, "splice", DURATION, "1h", 10, 7 * DAY, NULL, CONFIGURATION(timeout_splice),        \
      "A spliced connection or a WebSocket without traffic.")                                      \
    X(TIMEOUTS, "drain", DURATION, "30s", 10, DAY, NULL, CONFIGURATION(timeout_drain),             \
      "What connections of the old configuration get to finish after a reload.")                   \
    X(TIMEOUTS, "sniff", DURATION, "5s", 10, DAY, NULL, CONFIGURATION(timeout_sniff),              \
      "Waiting for the first bytes of a body before it is judged by what is there; of a part of "  \
      "a page at most one second.")                                                                \
    X(TIMEOUTS, "fetch", DURATION, "20s", 10, DAY, NULL, CONFIGURATION(timeout_fetch),             \
      "A list of revoked certificates, from the name to its last byte.")                           \
    X(LOG, "to", LOG_TARGET, "unix:/dev/log", 0, 0, NULL, CONFIGURATION(log_transport),            \
      "The local syslog socket, or a collector. Ports, if not said: 514 for udp, 601 for tcp.")    \
    X(LOG, "allowed", BOOLEAN, "true", 0, 0, NULL, CONFIGURATION(log_allowed),                     \
      "A line for every allowed exchange too.")                                                    \
    X(PROCESS, "workers", NUMBER, "0", 0, 64, NULL, CONFIGURATION(workers),                        \
      "How many workers; 0 is one per core.")                                                      \
    X(PROCESS, "separate-users", BOOLEAN, "true", 0, 0, NULL, CONFIGURATION(separate_users),       \
      "Each role runs as its own user when the daemon was started by root.")                       \
    X(PROCESS, "state-directory", PATH, SEKISHO_STATE_DIR, 0, 0, NULL,                             \
      CONFIGURATION(state_directory), "Where incidents, releases and the CA are kept.")            \
    X(PROCESS, "control-socket", PATH, SEKISHO_RUN_DIR "/control", 0, 0, NULL,                     \
      CONFIGURATION(control_socket), "The socket that sekisho(1) speaks to.")                      \
    X(PROCESS, "control-group", TEXT, "", 0, 0, NULL, CONFIGURATION(control_group),                \
      "A group that may use the control socket besides root.")                                     \
    X(PROCESS, "pages", PATH, SEKISHO_DATA_DIR "/pages", 0, 0, NULL,                               \
      CONFIGURATION(pages_directory),                                                              \
      "The folder of block.html, messages.ja and messages.en; for the portal of enrol.html, "      \
      "enrol.ja and enrol.en too.")                                                                \
    X(SERVICE, "title", TEXT, "", 0, 0, NULL, MEMBER(service, title),                              \
      "Its name for the page and the reader of the log. Otherwise the section's own.")             \
    X(SERVICE, "splice", HOSTS, NULL, TREAT_SPLICE, 0, NULL, MEMBER(service, hosts),               \
      "Hosts that are passed on untouched.")                                                       \
    X(SERVICE, "inspect", HOSTS, NULL, TREAT_INSPECT, 0, NULL, MEMBER(service, hosts),             \
      "Hosts that are looked into.")                                                               \
    X(SERVICE, "call", HOSTS, NULL, 0, 0, NULL, MEMBER(service, call),                             \
      "Hosts of which a connection is the sign that a call is on.")                                \
    X(SERVICE, "chat", HOSTS, NULL, 0, 0, NULL, MEMBER(service, chat),                             \
      "Hosts whose responses carry the chat.")                                                     \
    X(SERVICE, "attachments", URLS, NULL, 0, 0, NULL,                                              \
      ARRAY(service, attachments, attachment_count),                                               \
      "Where files come from that were handed over in the chat. Blocked.")                         \
    X(SERVICE, "join", URLS, NULL, 0, 0, NULL, ARRAY(service, join, join_count),                   \
      "Links that join a meeting. Those of meetings that are not the clinic's own are blocked, "   \
      "see MEETINGS.")                                                                             \
    X(SERVICE, "create", URLS, NULL, 0, 0, NULL, ARRAY(service, create, create_count),             \
      "Requests by which the clinic makes a meeting. Join links that appear in their answers "     \
      "first are the clinic's own.")                                                               \
    X(SERVICE, "networks", NETWORKS, NULL, 0, 0, NULL, ARRAY(service, networks, network_count),    \
      "The published networks of the service: media, and TLS that names no host.")                 \
    X(SERVICE, "asn", SYSTEMS, NULL, 0, 0, NULL, ARRAY(service, systems, system_count),            \
      "Autonomous systems whose networks count as the service's, by network.asn-database.")        \
    X(SERVICE, "media-udp", PORT_RANGES, NULL, 1, PORT_MAX, NULL,                                  \
      ARRAY(service, media_udp, media_udp_count), "UDP ports of media to those networks.")         \
    X(SERVICE, "media-tcp", PORT_RANGES, NULL, 1, PORT_MAX, NULL,                                  \
      ARRAY(service, media_tcp, media_tcp_count), "TCP ports of media to those networks.")         \
    X(SERVICE, "media-hosts", HOSTS, NULL, 0, 0, NULL, MEMBER(service, media_hosts),               \
      "Names of which the addresses count as its networks for media: dnsmasq puts them into the "  \
      "sets names4_SERVICE and names6_SERVICE as it answers.")                                     \
    X(SERVICE, "peer-to-peer", BOOLEAN, "false", 0, 0, NULL, MEMBER(service, peer_to_peer),        \
      "While a consultation is on, UDP that begins with STUN may pass to any address: calls "      \
      "straight between the two devices.")                                                         \
    X(SERVICE, "quic", BOOLEAN, "false", 0, 0, NULL, MEMBER(service, quic),                        \
      "UDP port 443 to those networks may pass.")                                                  \
    X(SERVICE, "policy-url", LINK, "", 0, 0, NULL, MEMBER(service, policy_url),                    \
      "The vendor's security policy.")                                                             \
    X(SERVICE, "reviewed", DATE, "", 0, 0, NULL, MEMBER(service, reviewed),                        \
      "When the clinic last reviewed it. After twelve months it is reminded.")                     \
    X(BYPASS, "title", TEXT, "", 0, 0, NULL, MEMBER(bypass, title),                                \
      "Its name for people. Otherwise the section's own.")                                         \
    X(BYPASS, "networks", NETWORKS, NULL, 0, 0, NULL, ARRAY(bypass, networks, network_count),      \
      "The networks of it.")                                                                       \
    X(BYPASS, "zones", ZONES, NULL, 0, 0, NULL, ARRAY(bypass, zones, zone_count),                  \
      "The DNS zones that its own resolvers answer for.")                                          \
    X(BYPASS, "resolvers", RESOLVERS, NULL, 0, 0, NULL, ARRAY(bypass, resolvers, resolver_count),  \
      "Those resolvers.")                                                                          \
    X(SEGMENT, "interfaces", INTERFACES, NULL, 0, 0, NULL,                                         \
      ARRAY(segment, interfaces, interface_count), "The interfaces on which it is.")               \
    X(PERMIT, "from", PLACES, "lan", 0, 0, NULL, ARRAY(permit, from, from_count),                  \
      "Who may begin: networks, or all of the LAN.")                                               \
    X(PERMIT, "to", NETWORKS, NULL, 0, 0, NULL, ARRAY(permit, to, to_count),                       \
      "What they may reach.")                                                                      \
    X(PERMIT, "tcp", PORT_RANGES, NULL, 1, PORT_MAX, NULL, ARRAY(permit, tcp, tcp_count),          \
      "At which TCP ports. With neither tcp nor udp: by any protocol.")                            \
    X(PERMIT, "udp", PORT_RANGES, NULL, 1, PORT_MAX, NULL, ARRAY(permit, udp, udp_count),          \
      "At which UDP ports.")                                                                       \
    X(HEADER, "value", TEXT, NULL, 0, 0, NULL, MEMBER(tenant_header, value), "The field's value.") \
    X(HEADER, "hosts", HOSTS, NULL, 0, 0, NULL, MEMBER(tenant_header, hosts),                      \
      "The hosts of the requests that it is set on.")

/* What a listen section says, before it becomes listeners. */
struct listen_draft {
    struct address *addresses;
    size_t address_count;
    uint16_t port; /* 0: not said */
    uint16_t *connect_ports;
    size_t connect_port_count;
};

struct option_row {
    enum section section;
    const char *name;
    enum option_type type;
    const char *initial;
    int64_t least, greatest;
    const char *words;
    struct {
        size_t offset, size, count;
    } where;
    const char *help;
};

struct section_row {
    enum section section;
    const char *name;
    enum section parent;
    const char *title; /* NULL: it has none, and there is only one */
    const char *help;
};

struct option_type_row {
    bool list;
    const char *argument;
    const char *expected;
};

enum {
#define X(...) +1
    OPTION_ROW_COUNT = 0 OPTIONS(X)
#undef X
};

/* The tables as arrays (gateway/options.c). Sections are indexed by enum section, 0 is the file
 * itself. */
extern const struct option_row option_rows[OPTION_ROW_COUNT];
extern const struct section_row section_rows[SECTION_COUNT];
extern const struct option_type_row option_types[];

/* The option or section of that name within a section; NULL (SECTION_ROOT) when there is none. */
const struct option_row *option_find(enum section section, const char *name);
enum section section_find(enum section parent, const char *name);

/*
 * The known option or section of `section` that `name` is probably meant to be (Damerau-Levenshtein
 * distance at most a third of its length, at least 1), or NULL.
 */
const char *option_nearest(enum section section, const char *name);

/* How far apart two words are: insertions, deletions, changes and swaps of neighbours. Bounded by
 * 64 bytes each. */
unsigned option_distance(const char *a, const char *b);

#endif
