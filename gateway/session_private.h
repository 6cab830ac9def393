/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of a session, shared by its four files: session.c (the loop: reading, back-pressure,
 * time), session_request.c, session_response.c and session_answer.c (what we answer ourselves, and
 * the records). Nothing in them frees the session: they set `ending`, and session.c carries it out
 * as the last act of an event.
 */
#ifndef GATEWAY_SESSION_PRIVATE_H
#define GATEWAY_SESSION_PRIVATE_H

#include "gateway/decode.h"
#include "gateway/flow.h"
#include "gateway/http1.h"
#include "gateway/session.h"
#include "gateway/watch.h"

enum ending {
    END_NOT,
    END_FINISH, /* what was written to the client still goes out */
    END_RESET,  /* the client must see that something is missing */
    END_TUNNEL  /* CONNECT: the flow goes on with what comes next */
};

/* What is true of the exchange under way; cleared between exchanges. */
struct exchange {
    bool active; /* a request head was read and its response is not over */
    bool request_over;
    bool response_started; /* the final head was read */
    bool interim;          /* the response head just read is a 1xx */
    bool recorded;         /* the log has it */
    bool released;         /* the response's head went to the client */
    bool sniffing;         /* the decision about the response is not final */
    bool unjudged;         /* bytes were passed on since the last look */
    bool quiet;            /* an event stream that says nothing */
    bool retried;
    bool websocket;     /* an upgrade to WebSocket is asked for */
    bool ranged;        /* Range was passed on */
    bool close;         /* the client's connection ends with it */
    bool counted_block; /* a record says that it was blocked, or would have been */
    struct request request;
    struct response response;
    struct finding finding;
    struct evbuffer *upstream; /* the request's head for the origin, kept for one more try */
    struct evbuffer *held;     /* of the response's body, until it is judged */
    struct decoder *decoder;
    struct watch *up_watch, *down_watch; /* over a chat's bodies or messages, or NULL */
    size_t wanted;                       /* bytes of prefix that make the judgement final */
    enum http1_framing framing;          /* towards the client */
    enum http1_framing request_framing;
    int64_t started;    /* monotonic ms */
    uint64_t up, down;  /* bytes of the bodies */
    uint64_t body_mark; /* `up` at the last look at the rate */
    char file_name[256];
};

struct session {
    struct flow *flow;
    struct worker *worker;
    struct http1 *requests;
    struct http1 *responses;
    struct exchange exchange;
    char far_host[HOST_TEXT]; /* plain http: whom flow->far is connected to */
    uint16_t far_port;
    unsigned far_exchanges; /* responses that flow->far gave */
    bool far_answering;     /* bytes of the response under way came */
    bool tunnel;            /* bytes pass as they are (WebSocket) */
    bool draining;
    int64_t signed_at;
    enum ending ending;
};

/* --- session.c --- */

/* Connects to the origin of the request unless it is connected, and sends the request's head. */
void session_reach_origin(struct session *session);
void session_drop_origin(struct session *session);
/* The exchange is over: the next one, or the end. */
void session_finish_exchange(struct session *session);
/* The time that the phase it is in may take from now on. */
void session_set_deadline(struct session *session);

/* --- session_request.c --- */

void session_take_request_head(struct session *session);
void session_take_request_body(struct session *session, struct span data);
void session_take_request_trailer(struct session *session);
void session_take_request_end(struct session *session);
/* The client's bytes are no request. */
void session_refuse_request(struct session *session);

/* --- session_response.c --- */

void session_take_response_head(struct session *session);
void session_take_response_body(struct session *session, struct span data);
void session_take_response_trailer(struct session *session);
void session_take_response_end(struct session *session);
/* Judges by what has come so far, and lets it go on its way if nothing objects. */
void session_judge_response(struct session *session, bool is_whole);

/* --- session_watch.c --- */

/* After a head was judged: whether its body, or the WebSocket it opens, is a chat's. */
void session_watch_request(struct session *session);
void session_watch_response(struct session *session);
/* The beginning of a page is there: it may send the browser on. */
void session_watch_page(struct session *session);
/* False when the WebSocket uses an extension that nobody here can read. */
bool session_watch_upgrade(struct session *session);
/* Looks at bytes before they are passed on. False when they broke the protocol: the end is set. */
bool session_watch_bytes(struct session *session, enum watch_side side, const void *bytes,
                         size_t size);

/* --- session_answer.c --- */

/* Answers the exchange ourselves: a page for a person, an empty body for the rest, and one record.
 */
void session_answer(struct session *session, enum record_event event, enum reason reason,
                    const char *detail);
/* The same because of the origin, which is given up. */
void session_fail_origin(struct session *session, enum record_event event, enum reason reason,
                         const char *detail);
/* In observe mode: says what would have been blocked. */
void session_record_would_block(struct session *session);
void session_record_allowed(struct session *session);
/* It ends before its response is whole, and nobody else has put it on record. */
void session_record_cut(struct session *session);
/* The exchange broke after its response had begun: no answer can be given any more. */
void session_record_broken(struct session *session, enum reason reason, const char *detail);

#endif
