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

/* X(symbol, name): the parameter names of the structured-data element. */
#define RECORD_FIELDS(X)                                                                           \
    X(EVENT, "event")                                                                              \
    X(INCIDENT, "incident")                                                                        \
    X(REASON, "reason")                                                                            \
    X(RULE, "rule")                                                                                \
    X(ITEM, "item")                                                                                \
    X(CLIENT, "client")                                                                            \
    X(ROOM, "room")                                                                                \
    X(SERVICE, "service")                                                                          \
    X(DST, "dst")                                                                                  \
    X(SNI, "sni")                                                                                  \
    X(HOST, "host")                                                                                \
    X(PATH, "path")                                                                                \
    X(URL_SHA256, "url-sha256")                                                                    \
    X(METHOD, "method")                                                                            \
    X(KIND, "kind")                                                                                \
    X(FROM, "from")                                                                                \
    X(TYPE_DECLARED, "type-declared")                                                              \
    X(TYPE_SNIFFED, "type-sniffed")                                                                \
    X(FILE_NAME, "file-name")                                                                      \
    X(ASN, "asn")                                                                                  \
    X(COUNTRY, "country")                                                                          \
    X(TLS_CLIENT, "tls-client")                                                                    \
    X(TLS_ORIGIN, "tls-origin")                                                                    \
    X(VERIFY, "verify")                                                                            \
    X(REVOCATION, "revocation")                                                                    \
    X(SCTS, "scts")                                                                                \
    X(SCTS_VALID, "scts-valid")                                                                    \
    X(SCTS_UNKNOWN, "scts-unknown")                                                                \
    X(SCTS_INVALID, "scts-invalid")                                                                \
    X(STATUS, "status")                                                                            \
    X(BYTES_UP, "bytes-up")                                                                        \
    X(BYTES_DOWN, "bytes-down")                                                                    \
    X(MS, "ms")                                                                                    \
    X(BY, "by")                                                                                    \
    X(UNTIL, "until")                                                                              \
    X(DETAIL, "detail")                                                                            \
    X(SEQ, "seq")
enum record_field {
#define X(symbol, name) RECORD_##symbol,
    RECORD_FIELDS(X)
#undef X
        RECORD_FIELD_COUNT
};
const char *record_field_name(enum record_field field);

/*
 * X(symbol, name, severity, who says it): the values of the field "event", RFC 5424 severities, and
 * the roles (of message.h) whose records may tell of it.
 */
#define RECORD_EVENTS(X)                                                                           \
    X(ALLOW, "allow", 6, ROLES_WORKER)                                                             \
    X(BLOCK, "block", 4, ROLES_WORKER)                                                             \
    X(WOULD_BLOCK, "would-block", 5, ROLES_WORKER)                                                 \
    X(SPLICE, "splice", 6, ROLES_WORKER)                                                           \
    X(REFUSE, "refuse", 4, ROLES_WORKER)                                                           \
    X(RELEASE, "release", 5, ROLES_REGISTRY)                                                       \
    X(RELEASE_END, "release-end", 5, ROLES_REGISTRY)                                               \
    X(CONSULTATION_ON, "consultation-on", 5, ROLES_REGISTRY)                                       \
    X(CONSULTATION_OFF, "consultation-off", 5, ROLES_REGISTRY)                                     \
    X(CALL_ON, "call-on", 5, ROLES_PARENT)                                                         \
    X(CALL_OFF, "call-off", 5, ROLES_PARENT)                                                       \
    X(CALL_PEER, "call-peer", 4, ROLES_PARENT)                                                     \
    X(TLS_ERROR, "tls-error", 4, ROLES_WORKER)                                                     \
    X(DOWNGRADE, "downgrade", 5, ROLES_WORKER)                                                     \
    X(LEARNED, "learned", 5, ROLES_REGISTRY)                                                       \
    X(MISMATCH, "mismatch", 4, ROLES_WORKER)                                                       \
    X(ERROR, "error", 3, ROLES_WORKER | ROLES_PARENT | ROLES_REGISTRY)                             \
    X(RELOAD, "reload", 5, ROLES_PARENT)                                                           \
    X(START, "start", 5, ROLES_PARENT)                                                             \
    X(STOP, "stop", 5, ROLES_PARENT)                                                               \
    X(PROCESS, "process", 3, ROLES_PARENT | ROLES_REGISTRY)
enum record_event {
#define X(symbol, name, severity, who) EVENT_##symbol,
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
