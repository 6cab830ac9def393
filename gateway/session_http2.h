/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of an HTTP/2 session, shared by its two files: session_http2.c (the two connections:
 * bytes, time, the end) and session_http2_stream.c (the carrier of an exchange: a stream towards
 * the client and its pair towards the origin). Nothing in an event frees a stream or the session:
 * the first is marked dead, for the second `ending` is set, and settling carries it out.
 */
#ifndef GATEWAY_SESSION_HTTP2_H
#define GATEWAY_SESSION_HTTP2_H

#include "gateway/http2.h"
#include "gateway/session_private.h"

struct stream {
    struct exchange exchange; /* the first: a carrier finds the stream by it */
    TAILQ_ENTRY(stream) next;
    struct session_http2 *session;
    struct http2_stream *near, *far; /* NULL: let go of, or never there */
    struct field *upgrade;           /* of a WebSocket's request: its fields, as on HTTP/1.1 */
    uint64_t asked_at;               /* bytes that the origin had sent when it was asked */
    int64_t at;                      /* monotonic ms: its deadline; 0: none */
    size_t swallowed;                /* bytes of a request that came after its answer */
    bool lingers;                    /* it is answered, and its client may still send */
    bool dead;
};

struct session_http2 {
    struct session session;
    struct flow *flow;
    struct worker *worker;
    struct http2 *near, *far; /* far: NULL without an origin, or when it left */
    TAILQ_HEAD(, stream) streams;
    uint64_t responses;   /* that the origin gave */
    uint64_t event_count; /* of both connections: whether a pull brought anything */
    int64_t armed;        /* when flow->deadline is due; 0: it is not */
    int64_t idle_at;      /* without a stream it ends then */
    int64_t drain_at;     /* the second GOAWAY is due; 0: it is not */
    bool draining;        /* the client was told that the end comes, */
    bool closing;         /* or that no further request is taken */
    const char *far_fault;
    enum { STAYS, FINISHES, RESETS } ending;
};

extern const struct carrier session_http2_carrier;

/* --- session_http2.c --- */

/* No further request; the connection ends with its last stream. */
void session_http2_close(struct session_http2 *session);
void session_http2_schedule(struct session_http2 *session, int64_t at);

/* --- session_http2_stream.c --- */

/* The events of the two connections. */
void session_http2_near_event(void *context, const struct http2_event *event);
void session_http2_far_event(void *context, const struct http2_event *event);
/* Ends it with RST_STREAM on both sides, as far as they are not over. */
void session_http2_reset_stream(struct stream *stream, uint32_t code);
/* The origin is gone: what becomes of an exchange that waits for it. */
void session_http2_orphan_stream(struct stream *stream, const char *detail);
void session_http2_expire_stream(struct stream *stream);
void session_http2_free_stream(struct stream *stream);

#endif
