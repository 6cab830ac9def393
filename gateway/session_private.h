/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The inside of a session. What happens to an exchange is the same for both versions of HTTP and
 * stands in session_request.c, session_response.c, session_answer.c (what we answer ourselves, and
 * the records) and session.c (its time). They speak through a table of functions, the
 * carrier, of which there are two: session_http1.c, one exchange after the other, and
 * session_http2_stream.c, one exchange a stream. Nothing in them frees a session: they only say
 * that it ends, and its carrier carries that out as the last act of an event.
 */
#ifndef GATEWAY_SESSION_PRIVATE_H
#define GATEWAY_SESSION_PRIVATE_H

#include "gateway/decode.h"
#include "gateway/flow.h"
#include "gateway/http1.h"
#include "gateway/session.h"
#include "gateway/session_meeting.h"
#include "gateway/watch.h"

/* The head of a message, whichever version it came in. Borrowed. */
struct head {
    /* requests */
    struct span method;
    struct span path;
    const char *host; /* normalised; "" when none is named */
    uint16_t port;    /* 0 when none was written */
    bool has_scheme;
    bool scheme_tls;
    /* responses */
    unsigned status;
    struct span phrase;
    /* both */
    const struct field *fields;
    size_t field_count;
    bool has_body;
    bool has_length;
    uint64_t length;
    bool sensitive;                 /* HTTP/2: as in http2.h */
    const struct http1_head *http1; /* NULL for HTTP/2 */
};

/* Header fields for a head that is to be sent. What they say is borrowed. */
struct field_list {
    struct field *fields;
    size_t count, capacity;
};
void field_list_add(struct field_list *list, struct span name, struct span value);

/* Several fields of one name are one list (RFC 9110, section 5.3): browsers read all of them. False
 * when they are longer than anybody needs who means well. */
#define FIELD_LIST_TEXT 256
bool field_list_join(const struct field *fields, size_t count, struct span name,
                     char text[FIELD_LIST_TEXT], struct span *value);

struct carrier;

/* What is true of one exchange; cleared between two on one connection. */
struct exchange {
    struct flow *flow;
    struct worker *worker;
    const struct carrier *carrier;
    bool active; /* a request head was read and its response is not over */
    bool request_over;
    bool response_started; /* the final head was read */
    bool recorded;         /* the log has it */
    unsigned interims;     /* 1xx that came before the response */
    bool released;         /* the response's head went to the client */
    bool sniffing;         /* the decision about the response is not final */
    bool unjudged;         /* bytes were passed on since the last look */
    bool quiet;            /* an event stream that says nothing */
    bool ranged;           /* Range was passed on */
    bool counted_block;    /* a record says that it was blocked, or would have been */
    bool origin_failed;    /* the answer is given because of the origin, which is given up */
    bool tunnel;           /* HTTP/2: a WebSocket is asked for; open once it is released */
    struct request request;
    struct response response;
    struct head response_head;
    struct finding finding;
    struct evbuffer *held; /* of the response's body, until it is judged */
    struct decoder *decoder;
    struct decoder *coded; /* keeps the body as it came, when the other one undoes something */
    struct watch *up_watch, *down_watch; /* over a chat's bodies or messages, or NULL */
    struct meeting_watch *meeting;       /* over a request that makes a meeting, or NULL */
    size_t wanted;                       /* bytes of prefix that make the judgement final */
    size_t enough;                       /* with so many the response is let go, and judged again */
    int64_t started;                     /* monotonic ms */
    int64_t signed_at;                   /* the last sign of a call that a WebSocket gave */
    uint64_t up, down;                   /* bytes of the bodies */
    uint64_t body_mark;                  /* `up` at the last look at the rate */
    char file_name[256];
};

/*
 * How an exchange meets its two connections. Each function is called only in an order that HTTP
 * allows: a head, pieces of body, then an end, which may come with trailer fields.
 */
struct carrier {
    bool one_authority; /* requests for another host than the connection's are misdirected */
    /* to the origin; the first one reaches it if need be */
    void (*send_request)(struct exchange *exchange, const struct head *head);
    void (*send_request_body)(struct exchange *exchange, struct span data);
    void (*send_request_end)(struct exchange *exchange, const struct field *trailer, size_t count);
    /* to the client */
    void (*send_interim)(struct exchange *exchange, const struct head *head);
    void (*send_response)(struct exchange *exchange, const struct head *head);
    void (*send_response_body)(struct exchange *exchange, struct span data);
    void (*send_response_end)(struct exchange *exchange, const struct field *trailer, size_t count);
    /* a whole answer of our own */
    void (*answer)(struct exchange *exchange, const struct head *head, enum reason reason,
                   struct span body);
    /* bytes that wait to be taken */
    size_t (*near_waits)(const struct exchange *exchange);
    bool (*far_waits)(const struct exchange *exchange); /* or there is no origin yet */
    void (*set_deadline)(struct exchange *exchange, int64_t milliseconds);
    void (*drop_origin)(struct exchange *exchange);
    /* The exchange cannot be gone on with: the client must see that something is missing. */
    void (*reset)(struct exchange *exchange);
    /* It is over, as far as its response goes; session_clear_exchange() is the carrier's to call.
     */
    void (*finish)(struct exchange *exchange);
};

/* A connection with its client: what both versions have in common. */
struct session {
    const struct session_version *version;
};
struct session_version {
    void (*free)(struct session *session);
    void (*drain)(struct session *session, bool at_once);
};
struct session *session_http1_new(struct flow *flow);
struct session *session_http2_new(struct flow *flow);

/* --- session.c --- */

void session_clear_exchange(struct exchange *exchange);
/* ms that a response may be held for the first bytes of its body. */
int64_t session_sniff_limit(const struct exchange *exchange);
/* The time that the phase it is in may take from now on. */
void session_set_deadline(struct exchange *exchange);
/* That time is over. */
void session_expire_exchange(struct exchange *exchange);
/* Bytes of its response came: they are looked at once more if need be, and its time runs anew. */
void session_note_response_bytes(struct exchange *exchange);
/* Bytes of a WebSocket are a sign of a call where the request was one. */
void session_sign_call(struct exchange *exchange);
/* The response cannot be gone on with: an error page, or a visible break if it had begun. */
void session_break_response(struct exchange *exchange, const char *detail);

/* --- session_request.c --- */

void session_begin_exchange(struct exchange *exchange, const struct head *head);
bool session_is_listed_port(const struct configuration *configuration, uint16_t port);
/*
 * For a plain request, once flow->origin says where its origin is: its country was not known when
 * it was judged. False when that objects, and has answered.
 */
bool session_admits_origin(struct exchange *exchange);
/* Of the host that the request is for, not of where a redirector leads. */
enum destination_class session_class_of_host(const struct exchange *exchange);
void session_take_request_head(struct exchange *exchange, const struct head *head);
void session_take_request_body(struct exchange *exchange, struct span data);
void session_take_request_trailer(struct exchange *exchange, const struct field *trailer,
                                  size_t count);
void session_take_request_end(struct exchange *exchange);

/* --- session_response.c --- */

void session_take_interim_head(struct exchange *exchange, const struct head *head);
void session_take_response_head(struct exchange *exchange, const struct head *head);
void session_take_response_body(struct exchange *exchange, struct span data);
void session_take_response_trailer(struct exchange *exchange, const struct field *trailer,
                                   size_t count);
void session_take_response_end(struct exchange *exchange);
/* Judges by what has come so far, and lets it go on its way if nothing objects. */
void session_judge_response(struct exchange *exchange, bool is_whole);

/* --- session_watch.c --- */

/* After a head was judged: whether its body, or the WebSocket it opens, is a chat's. */
void session_watch_request(struct exchange *exchange, const struct head *head);
/* Its body is over: what it ended with is known before the answer comes. */
void session_watch_request_end(struct exchange *exchange);
void session_watch_response(struct exchange *exchange);
/* The beginning of a page is there: it may send the browser on. */
void session_watch_page(struct exchange *exchange);
/* False when the WebSocket uses an extension that nobody here can read. */
bool session_watch_upgrade(struct exchange *exchange);
/* Looks at bytes before they are passed on. False when they broke the protocol: it was reset. */
bool session_watch_bytes(struct exchange *exchange, enum watch_side side, const void *bytes,
                         size_t size);

/* --- session_answer.c --- */

/* Answers the exchange ourselves: a page for a person, an empty body for the rest, and one record.
 */
void session_answer(struct exchange *exchange, enum record_event event, enum reason reason,
                    const char *detail);
/* The origin is gone without a response: says why, as far as that is known. */
void session_lose_origin(struct exchange *exchange, const char *detail);
/* The same because of the origin, which is given up. */
void session_fail_origin(struct exchange *exchange, enum record_event event, enum reason reason,
                         const char *detail);
/* In observe mode: says what would have been blocked. */
void session_record_would_block(struct exchange *exchange);
void session_record_allowed(struct exchange *exchange);
/* It ends before its response is whole, and nobody else has put it on record. */
void session_record_cut(struct exchange *exchange);
/* The exchange broke after its response had begun: no answer can be given any more. */
void session_record_broken(struct exchange *exchange, enum reason reason, const char *detail);

#endif
