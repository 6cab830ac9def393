/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What decides. Pure functions over an exchange: no sockets, no clock, no allocation. The rows of
 * the policy stand in two tables in filters/judge.h, in the order in which they are asked; the
 * first that matches decides. A new filter is one file and one row.
 */
#ifndef FILTERS_FILTERS_H
#define FILTERS_FILTERS_H

#include "filters/policy.h"
#include "filters/reason.h"
#include "filters/sniff.h"

/* X(symbol, name): what the client is about to do with the answer. */
#define REQUEST_KINDS(X)                                                                           \
    X(NAVIGATION, "navigation")                                                                    \
    X(FRAME, "frame")                                                                              \
    X(SUBRESOURCE, "subresource")                                                                  \
    X(DOWNLOAD, "download")                                                                        \
    X(WEBSOCKET, "websocket")                                                                      \
    X(OTHER, "other")
enum request_kind {
#define X(symbol, name) KIND_##symbol,
    REQUEST_KINDS(X)
#undef X
};
const char *request_kind_name(enum request_kind kind);

/* X(symbol, name): where the request came from. */
#define REQUEST_SOURCES(X)                                                                         \
    X(NONE, "none")                                                                                \
    X(SERVICE, "service")                                                                          \
    X(LEARNED, "learned")                                                                          \
    X(PAGE, "page")                                                                                \
    X(REDIRECT, "redirect")
enum request_source {
#define X(symbol, name) FROM_##symbol,
    REQUEST_SOURCES(X)
#undef X
};

/* Whether an exchange goes on. In observe mode the finding still says BLOCK: the caller lets it
 * pass. */
enum verdict { VERDICT_PASS, VERDICT_BLOCK };

struct finding {
    enum verdict verdict;
    enum reason reason;
    struct rule rule; /* of the deciding entry; file NULL when no entry decided */
    enum request_kind kind;
    enum request_source source;
    char source_name[HOST_TEXT];   /* the service's name or the page's host; "" for none */
    enum destination_class class;  /* of the judged destination (a redirector's target) */
    const struct service *service; /* the destination's service, or NULL */
    bool top_level;                /* a document that a person looks at: it gets the page */
    struct learned_link learned;   /* source LEARNED: the link that was matched */
    char judged_host[HOST_TEXT];   /* the redirector's target when there is one, else the host */
    struct file_facts file;        /* of the response; file.type is "" before */
};

/* Rows 1 to 11 of the request table. */
void filters_judge_request(const struct policy *policy, const struct standing *standing,
                           const struct request *request, struct finding *finding);

/*
 * Rows 1 to 7 of the response table. `finding` is the request's; it becomes what these rows say,
 * and a request's block counts no more: in observe mode the caller has noted it. May be called
 * again with a longer prefix, until the prefix is whole or filters_wanted_bytes() long: before that
 * a pass holds only for the bytes seen, and a download that is listed by its content may still be
 * taken for an unknown one.
 */
void filters_judge_response(const struct policy *policy, const struct standing *standing,
                            const struct request *request, const struct response *response,
                            struct finding *finding);

/* So many bytes of the body's prefix make the finding final; from the header fields alone. */
size_t filters_wanted_bytes(const struct request *request, const struct response *response,
                            const struct finding *finding);

/*
 * With so many the response may go on its way while the rest is waited for: a page that is shown
 * should not stand still (Firefox does not say that it will save what it asks for), and a stream of
 * events may say nothing for long.
 */
size_t filters_held_bytes(const struct request *request, const struct response *response,
                          const struct finding *finding);

/* What happens to a TLS connection, known from its ClientHello alone. */
enum flow_verdict {
    FLOW_SPLICE,  /* relay the bytes */
    FLOW_INSPECT, /* handshake with the origin, then with the client */
    FLOW_ANSWER,  /* every request would be blocked: answer it without meeting the origin */
    FLOW_REFUSE   /* alert */
};
struct flow_facts {
    struct span sni;            /* normalised host, or empty when absent or unusable */
    struct address destination; /* the client's, family 0 when it named a host (CONNECT) */
    bool alpn_is_http;          /* no ALPN, or http/1.1 or h2 in it */
};
struct flow_finding {
    enum flow_verdict verdict;
    enum reason reason;
    struct rule rule;
    enum destination_class class;
    const struct service *service;
    const struct service *call; /* the service of which this flow is a sign of a call, or NULL */
};
void filters_judge_flow(const struct policy *policy, const struct standing *standing,
                        const struct flow_facts *facts, struct flow_finding *finding);

#endif
