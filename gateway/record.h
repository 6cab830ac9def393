/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One event of the log, as named text fields. The workers fill records, the registry writes them:
 * as one RFC 5424 line and, for what was blocked, as an incident. The fields stand in one table, in
 * the order in which they are written.
 */
#ifndef GATEWAY_RECORD_H
#define GATEWAY_RECORD_H

#include "filters/span.h"
#include "gateway/message.h"

/* X(symbol, name, help): the parameter names of the structured-data element. */
#define RECORD_FIELDS(X)                                                                           \
    X(EVENT, "event", "what happened: one of the events below")                                    \
    X(INCIDENT, "incident", "the number under which sekisho(1) and the page know it")              \
    X(REASON, "reason", "why: one of the reasons below")                                           \
    X(RULE, "rule", "the line of the configuration that made it so")                               \
    X(ITEM, "item", "the item of the guideline's checklist that the reason serves")                \
    X(CLIENT, "client", "the device's address")                                                    \
    X(ROOM, "room", "the room that the device is in")                                              \
    X(SERVICE, "service", "the service it has to do with")                                         \
    X(DST, "dst", "where the connection went, or the call")                                        \
    X(SNI, "sni", "the name in the client's ClientHello")                                          \
    X(HOST, "host", "the host of the request")                                                     \
    X(PATH, "path", "the path of the request, without its query")                                  \
    X(URL_SHA256, "url-sha256", "the SHA-256 of the whole URL, by which it is found again")        \
    X(METHOD, "method", "the request's method")                                                    \
    X(KIND, "kind",                                                                                \
      "what the request was for, such as a navigation; of a learned link, how it was shown")       \
    X(FROM, "from", "what led to the request: a listed site, a service, somebody who typed it")    \
    X(TYPE_DECLARED, "type-declared", "the Content-Type of the answer")                            \
    X(TYPE_SNIFFED, "type-sniffed", "what the content is by its first bytes")                      \
    X(FILE_NAME, "file-name", "the name under which a file was offered")                           \
    X(ASN, "asn", "the autonomous system of the destination")                                      \
    X(COUNTRY, "country", "the country of the destination")                                        \
    X(TLS_CLIENT, "tls-client", "the version of TLS with the client")                              \
    X(TLS_ORIGIN, "tls-origin", "the version of TLS with the origin")                              \
    X(VERIFY, "verify", "ok, or what is wrong with the origin's certificate")                      \
    X(REVOCATION, "revocation", "what is known of its being revoked")                              \
    X(SCTS, "scts", "how many signed certificate timestamps came with it")                         \
    X(SCTS_VALID, "scts-valid", "how many of them are valid")                                      \
    X(SCTS_UNKNOWN, "scts-unknown", "how many are of a log that is not known")                     \
    X(SCTS_INVALID, "scts-invalid", "how many are not valid")                                      \
    X(STATUS, "status", "the status of the answer that the client got")                            \
    X(BYTES_UP, "bytes-up",                                                                        \
      "bytes of the request's body; of a spliced connection, all that the client sent")            \
    X(BYTES_DOWN, "bytes-down",                                                                    \
      "bytes of the answer's body; of a spliced connection, all that it got")                      \
    X(MS, "ms", "milliseconds from the request, or the beginning of the connection")               \
    X(BY, "by", "who released it")                                                                 \
    X(UNTIL, "until", "when a release ends")                                                       \
    X(DETAIL, "detail", "more, in words")                                                          \
    X(SEQ, "seq", "the number of the line: one that is missing was lost")
enum record_field {
#define X(symbol, name, help) RECORD_##symbol,
    RECORD_FIELDS(X)
#undef X
        RECORD_FIELD_COUNT
};
const char *record_field_name(enum record_field field);

/*
 * X(symbol, name, severity, who says it, help): the values of the field "event", RFC 5424
 * severities, and the roles (of message.h) whose records may tell of it.
 */
#define RECORD_EVENTS(X)                                                                           \
    X(ALLOW, "allow", 6, ROLES_WORKER, "a request of an inspected host has passed (log.allowed)")  \
    X(BLOCK, "block", 4, ROLES_WORKER, "a request or its answer was stopped by a rule")            \
    X(WOULD_BLOCK, "would-block", 5, ROLES_WORKER,                                                 \
      "the same, where policy.mode is observe and lets it pass")                                   \
    X(SPLICE, "splice", 6, ROLES_WORKER, "a connection has passed unopened (log.allowed)")         \
    X(REFUSE, "refuse", 4, ROLES_WORKER,                                                           \
      "a connection was turned away, or a request that broke the rules of HTTP")                   \
    X(RELEASE, "release", 5, ROLES_REGISTRY, "somebody has released something")                    \
    X(RELEASE_END, "release-end", 5, ROLES_REGISTRY, "a release was ended, or its time is over")   \
    X(CONSULTATION_ON, "consultation-on", 5, ROLES_REGISTRY, "a consultation has begun")           \
    X(CONSULTATION_OFF, "consultation-off", 5, ROLES_REGISTRY, "a consultation has ended")         \
    X(CALL_ON, "call-on", 5, ROLES_PARENT, "media of a service flows")                             \
    X(CALL_OFF, "call-off", 5, ROLES_PARENT, "it flows no more")                                   \
    X(CALL_PEER, "call-peer", 4, ROLES_PARENT, "a call goes straight to another device")           \
    X(TLS_ERROR, "tls-error", 4, ROLES_WORKER,                                                     \
      "a handshake failed, with the client or with the origin")                                    \
    X(DOWNGRADE, "downgrade", 5, ROLES_WORKER,                                                     \
      "a client that had hidden its ClientHello tries again without")                              \
    X(LEARNED, "learned", 5, ROLES_REGISTRY, "a link of a chat was noted")                         \
    X(MISMATCH, "mismatch", 4, ROLES_WORKER,                                                       \
      "a client went to an address that is not the name's, or asked for another host")             \
    X(ERROR, "error", 3, ROLES_WORKER | ROLES_PARENT | ROLES_REGISTRY,                             \
      "something could not be done")                                                               \
    X(RELOAD, "reload", 5, ROLES_PARENT, "another configuration is in force, or was refused")      \
    X(START, "start", 5, ROLES_PARENT, "the daemon has started")                                   \
    X(STOP, "stop", 5, ROLES_PARENT, "the daemon was stopped")                                     \
    X(PROCESS, "process", 3, ROLES_PARENT | ROLES_REGISTRY,                                        \
      "a process has ended, or says what is wrong with it")
enum record_event {
#define X(symbol, name, severity, who, help) EVENT_##symbol,
    RECORD_EVENTS(X)
#undef X
        EVENT_COUNT
};
const char *record_event_name(enum record_event event);
bool record_event_may(enum record_event event, enum role role);

/* Longest value of one field; longer ones are cut at a UTF-8 boundary. */
#define RECORD_VALUE 1024

struct record {
    enum record_event event;
    uint16_t used;                       /* bytes of `text` */
    uint16_t offset[RECORD_FIELD_COUNT]; /* into text, plus one; 0 when the field is absent */
    uint16_t length[RECORD_FIELD_COUNT];
    char text[6144];
};

void record_init(struct record *record, enum record_event event);
void record_set(struct record *record, enum record_field field, struct span value);
void record_set_text(struct record *record, enum record_field field, const char *value);
void record_set_number(struct record *record, enum record_field field, uint64_t value);
struct span record_get(const struct record *record, enum record_field field);

/* To and from the form in which a record crosses a socketpair. Unpacking checks everything: false
 * when malformed. */
size_t record_pack(const struct record *record, uint8_t *out, size_t size);
bool record_unpack(const uint8_t *bytes, size_t size, struct record *record);
/* The same where more records may follow: how many bytes the first one took, 0 when malformed. */
size_t record_unpack_first(const uint8_t *bytes, size_t size, struct record *record);

/* Enough for the longest line, every byte of the values written as three. */
#define RECORD_LINE 20480

/*
 * The RFC 5424 line (no newline, no octet count):
 * "<PRI>1 TIME HOST sekishod PID EVENT [sekisho@32473 ...] MSG".
 * Quotes, backslashes and brackets are escaped; control characters, bad UTF-8 and what reorders a
 * line are replaced by a visible sign. `time` is Unix time in microseconds (written in UTC).
 * Returns the length; always terminated; at most `size` - 1. A parameter that has no room is left
 * out whole; the element always ends properly.
 */
size_t record_format(const struct record *record, int64_t time, const char *host, int pid,
                     char *out, size_t size);

#endif
