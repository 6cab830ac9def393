/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of an HTTP/1.1 session, shared by its files: session_http1.c (the loop),
 * session_http1_origin.c (how the origin is reached) and session_http1_carrier.c (what is written
 * to both sides). Nothing in them frees the session: they set `ending`, and the loop carries it out
 * as the last act of an event.
 */
#ifndef GATEWAY_SESSION_HTTP1_H
#define GATEWAY_SESSION_HTTP1_H

#include "gateway/session_private.h"

enum ending {
    END_NOT,
    END_FINISH, /* what was written to the client still goes out */
    END_RESET,  /* the client must see that something is missing */
    END_TUNNEL  /* CONNECT: the flow goes on with what comes next */
};

struct session_http1 {
    struct session session;
    struct flow *flow;
    struct worker *worker;
    struct http1 *requests;
    struct http1 *responses;
    struct exchange exchange;
    /* of the exchange under way */
    struct evbuffer *upstream;  /* the request's head for the origin, kept for one more try */
    enum http1_framing framing; /* of the response, towards the client */
    enum http1_framing request_framing; /* NO_BODY once its end was written */
    bool interim;                       /* the response head just read is a 1xx */
    bool retried;
    bool websocket; /* an upgrade to WebSocket is asked for */
    bool close;     /* the client's connection ends with it */
    /* of the connections */
    char far_host[HOST_TEXT]; /* plain http: whom flow->far is connected to */
    uint16_t far_port;
    unsigned far_exchanges; /* responses that flow->far gave */
    bool far_answering;     /* bytes of the response under way came */
    bool tunnel;            /* bytes pass as they are (WebSocket) */
    bool draining;
    enum ending ending;
};

extern const struct carrier session_http1_carrier;

/* --- session_http1.c --- */

/* The last act of every event: what can go on goes on, or the session ends and is freed. */
void session_http1_settle(struct session_http1 *session);
/* The handler of the origin's channel. */
void session_http1_on_far(void *context, struct channel *channel, enum channel_event event);
/* The exchange is over: the next one, or the end. */
void session_http1_finish_exchange(struct session_http1 *session);
/* The time that the phase it is in may take from now on. */
void session_http1_set_deadline(struct session_http1 *session);

/* --- session_http1_origin.c --- */

/* Connects to the origin of the request unless it is connected, and sends the request's head. */
void session_http1_reach_origin(struct session_http1 *session);
/* flow->far is there, and is to be read. */
void session_http1_adopt_origin(struct session_http1 *session);
void session_http1_drop_origin(struct session_http1 *session);
/* It went before it answered: the request is asked again where that is allowed, or fails for
 * `detail`. */
void session_http1_lose_origin(struct session_http1 *session, const char *detail);

/* --- session_http1_carrier.c --- */

struct session_http1 *session_http1_of(const struct exchange *exchange);
/* CONNECT: the head of a request that is for the proxy itself. */
void session_http1_take_connect(struct session_http1 *session, const struct http1_head *head);
/* 101: the origin takes the upgrade. */
void session_http1_take_upgrade(struct session_http1 *session, const struct http1_head *head);

#endif
