/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The reason codes: why a thing was allowed, blocked or refused. The log, the page, the control
 * program and the manual all take the code, the HTTP status and the checklist item from this table.
 *
 *   X(symbol, code, status, item, one line of help)
 *
 * `status` is what an inspected client gets (0: not an HTTP answer of ours), `item` the item of the
 * guideline's checklist that the rule serves ("-" when none).
 */
#ifndef FILTERS_REASON_H
#define FILTERS_REASON_H

#define REASONS(X)                                                                                 \
    X(ALLOWED, "allowed", 0, "-", "no rule objects")                                               \
    X(RELEASED, "released", 0, "xv", "a reasoned release covers it")                               \
    X(MISDIRECTED, "misdirected", 421, "x",                                                        \
      "the host is not the one of the connection or not covered by the origin's certificate")      \
    X(DENIED_DESTINATION, "denied-destination", 403, "xv",                                         \
      "a destination that hides where it leads, or that the clinic denies")                        \
    X(PATIENT_LINK, "patient-link", 403, "xv", "a link that the patient presented")                \
    X(CHAT_ATTACHMENT, "chat-attachment", 403, "xiv", "a file handed over in a service's chat")    \
    X(FOREIGN_MEETING, "foreign-meeting", 403, "1-2 i", "a meeting that is not the clinic's own")  \
    X(LINK_FROM_CONSULTATION, "link-from-consultation", 403, "xv",                                 \
      "a link opened out of the consultation system")                                              \
    X(UNVERIFIED_DESTINATION, "unverified-destination", 403, "xv",                                 \
      "an unknown destination while a consultation is on")                                         \
    X(UNKNOWN_DESTINATION, "unknown-destination", 403, "xv",                                       \
      "an unknown destination, and policy.outside is deny")                                        \
    X(DENIED_COUNTRY, "denied-country", 403, "xv",                                                 \
      "an unknown destination in a country that the clinic denies")                                \
    X(TYPE_MISMATCH, "type-mismatch", 403, "xv", "the content is not what it is said to be")       \
    X(DANGEROUS_FILE, "dangerous-file", 403, "xv", "a file of a kind that can run or harm")        \
    X(OPAQUE_ARCHIVE, "opaque-archive", 403, "xv", "content that cannot be looked into")           \
    X(UNKNOWN_DOWNLOAD, "unknown-download", 403, "xv",                                             \
      "a download that the clinic has not listed")                                                 \
    X(MALWARE, "malware", 403, "vi", "a virus scanner found something; none can be connected yet") \
    X(NO_SNI, "no-sni", 0, "xv", "a TLS client that does not say which host it wants")             \
    X(NOT_WEB, "not-web", 0, "xv", "not HTTP, and not to a listed service")                        \
    X(LOOP, "loop", 403, "-", "the destination is the gateway itself or a local address")          \
    X(UNLISTED_PORT, "unlisted-port", 403, "-", "a port that the explicit proxy does not serve")   \
    X(BAD_REQUEST, "bad-request", 400, "-", "a request that two parsers could read differently")   \
    X(BAD_RESPONSE, "bad-response", 502, "-",                                                      \
      "a response that two parsers could read differently")                                        \
    X(REQUEST_TOO_LARGE, "request-too-large", 431, "-", "header fields over the limit")            \
    X(TARGET_TOO_LONG, "target-too-long", 414, "-", "a request line over the limit")               \
    X(REQUEST_TIMEOUT, "request-timeout", 408, "-", "the client took too long")                    \
    X(ORIGIN_UNRESOLVED, "origin-unresolved", 502, "-", "the name has no address")                 \
    X(ORIGIN_UNREACHABLE, "origin-unreachable", 502, "-", "no connection to the origin")           \
    X(ORIGIN_TIMEOUT, "origin-timeout", 504, "-", "the origin took too long")                      \
    X(ORIGIN_CERTIFICATE, "origin-certificate", 502, "x", "the origin's certificate fails")        \
    X(ORIGIN_TLS, "origin-tls", 502, "x", "the TLS handshake with the origin fails")               \
    X(CLIENT_CERTIFICATE, "client-certificate", 502, "x",                                          \
      "the origin demands a client's certificate")                                                 \
    X(CLIENT_TLS, "client-tls", 0, "-", "the client ends the TLS handshake")                       \
    X(OVERLOAD, "overload", 503, "-", "the gateway or this client is at its limit")

enum reason {
#define X(symbol, code, status, item, help) REASON_##symbol,
    REASONS(X)
#undef X
        REASON_COUNT
};

const char *reason_code(enum reason reason);
unsigned reason_status(enum reason reason);
const char *reason_item(enum reason reason);
const char *reason_help(enum reason reason);

#endif
