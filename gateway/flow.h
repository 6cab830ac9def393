/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One connection of a client, from its acceptance to its end: what it is (TLS by its ClientHello,
 * or HTTP), what the policy says of it, and then who carries it on: a relay (spliced) or a session
 * (HTTP, plain or inspected). Private to the flow, relay and session modules and the worker.
 */
#ifndef GATEWAY_FLOW_H
#define GATEWAY_FLOW_H

#include "filters/filters.h"
#include "gateway/channel.h"
#include "gateway/connector.h"
#include "gateway/fetching.h"
#include "gateway/hello.h"
#include "gateway/leaf.h"
#include "gateway/networks.h"
#include "gateway/record.h"
#include "gateway/worker.h"

struct session;
struct relay;

struct flow {
    TAILQ_ENTRY(flow) next;
    struct worker *worker;
    struct client *client;
    bool is_explicit;           /* came to an explicit proxy listener */
    bool closing;               /* over, but for what still leaves: see flow_finish() */
    struct address destination; /* where the client was going; family 0 when it named a host */
    uint16_t port;              /* of the destination */
    char host[HOST_TEXT];       /* SNI, or what CONNECT named; "" when not known */
    const char *state;          /* for `sekisho flows` */
    int64_t started;            /* monotonic ms */
    uint64_t bytes_up, bytes_down;
    struct deadline deadline; /* of the phase it is in */

    struct channel *near; /* the client */
    struct channel *far;  /* the origin, or NULL */
    struct hello *hello;  /* while it is read */
    uint8_t *hello_bytes;
    size_t hello_size;
    struct offer offer; /* what the client offers of TLS, settled */
    bool offers_alpn, offers_http1, offers_http2, http2_first; /* the client, by ALPN */
    bool http2;                                                /* what was agreed on with it */
    bool downgraded; /* it had hidden its name; the record has said so */
    struct flow_finding finding;
    struct connector *connector;
    struct leaf_request *leaf_request;
    struct fetch_wait *fetch_wait; /* for lists of revoked certificates */
    int64_t fetch_until;           /* monotonic ms; 0: it has not begun to wait */
    bool origin_known;             /* where the origin is, once there is an address of it */
    struct network_facts origin;
    char *origin_error;        /* FAILURE_PAGE: what was wrong with the origin */
    const char *verify;        /* the verdict on the origin's certificate */
    bool answers;              /* FLOW_ANSWER: a session without an origin */
    enum reason answer_reason; /* REASON_ALLOWED: as the filters say; else this for every request */

    struct session *session;
    struct relay *relay;
};

/* Takes the accepted socket. */
void flow_accept(struct worker *worker, int fd, bool is_explicit,
                 const struct sockaddr_storage *peer);
/* Ends the connection and frees everything. */
void flow_end(struct flow *flow);
/* The same, by RST towards the client: it must see that something is missing. */
void flow_reset(struct flow *flow);
/*
 * Ends it with what was written to the client, and with `both` to the origin too, still going out.
 * Until that has left the flow counts: for its client's share, the limit, and a drain.
 */
void flow_finish(struct flow *flow, bool both);
/*
 * The worker drains: no exchange after the one under way, or after the next where none is; with
 * `at_once` what is idle ends now (it may free the flow).
 */
void flow_drain(struct flow *flow, bool at_once);

/* The session met CONNECT: the client goes on towards flow->host and flow->port. */
void flow_tunnel(struct flow *flow);

/* What a client may speak inside the TLS that we end. Once per context. */
void flow_prepare_client_context(SSL_CTX *context);

/* Notes whose network the origin's address is in, for the records and the policy. */
void flow_note_origin(struct flow *flow, const struct address *address);

/* What the log says of an origin that demands a client's certificate: how to let it through. */
#define HINT_TEXT (HOST_TEXT + 128)
void flow_certificate_hint(const struct flow *flow, char *text, size_t size);
/* The origin left before it was asked anything: tells it where that was for want of one. */
void flow_report_certificate_demand(struct flow *flow);

/* Fills what every record about this flow says: client, room, destination, name. */
void flow_record(const struct flow *flow, enum record_event event, struct record *record);
/* Puts the deciding rule, the reason and its checklist item into a record. */
void flow_record_reason(struct record *record, enum reason reason, struct rule rule);

/* A sign of a call, if the flow is one. */
void flow_sign(struct flow *flow, const struct service *service);

#endif
