/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the HTTP/2 adapter share, and nobody else: the connection and its streams
 * (http2.c: the session of nghttp2 and the events), what comes (http2_receive.c), the heads
 * (http2_head.c: from fields to a head and back) and what goes (http2_send.c).
 */
#ifndef GATEWAY_HTTP2_PRIVATE_H
#define GATEWAY_HTTP2_PRIVATE_H

#include <nghttp2/nghttp2.h>

#include "gateway/http2.h"

/* --- http2_head.c: a field section --- */

#define HTTP2_PSEUDO(X)                                                                            \
    X(METHOD, ":method")                                                                           \
    X(SCHEME, ":scheme")                                                                           \
    X(AUTHORITY, ":authority")                                                                     \
    X(PATH, ":path")                                                                               \
    X(PROTOCOL, ":protocol")                                                                       \
    X(STATUS, ":status")
enum http2_pseudo {
#define X(symbol, name) PSEUDO_##symbol,
    HTTP2_PSEUDO(X)
#undef X
        PSEUDO_COUNT
};

/* Offsets, because the bytes move while they grow. */
struct http2_piece {
    size_t name, value, end;
};

/* A section that is being received; a connection has one at a time. */
struct http2_section {
    char *bytes;
    size_t size, capacity;
    struct http2_piece *pieces;
    size_t count, piece_capacity;
    char *cookie; /* the crumbs, joined */
    size_t cookie_size, cookie_capacity;
    size_t cookie_at; /* where Cookie stands among the fields; SIZE_MAX when there is none */
    size_t listed;    /* the size of RFC 9113 section 6.5.2, of what was left out too */
    struct http2_piece host, pseudo[PSEUDO_COUNT]; /* `end` is 0 when it is not there */
    bool sensitive;
    enum http2_error error; /* the first; nothing is collected after it */
};

void http2_section_begin(struct http2_section *section);
void http2_section_add(struct http2_section *section, const struct http1_limits *limits,
                       struct span name, struct span value, bool sensitive);
void http2_section_clear(struct http2_section *section);
/* What the block of a head made of it takes. */
size_t http2_section_size(const struct http2_section *section);

/* The fields and all bytes in one block, which the caller frees: those that a trailer may hold. */
char *http2_section_trailer(const struct http2_section *section, struct http2_head *head);
/* All, with what the pseudo-header fields say, checked. NULL with *error. */
char *http2_section_request(const struct http2_section *section, struct http2_head *head,
                            enum http2_error *error);
char *http2_section_response(const struct http2_section *section, struct http2_head *head,
                             enum http2_error *error);

/* A section to be sent: what it points to is borrowed from the head and from itself. */
#define HTTP2_AUTHORITY_TEXT (HOST_TEXT + 8)
struct http2_list {
    nghttp2_nv *items;
    size_t count, capacity;
    char authority[HTTP2_AUTHORITY_TEXT];
    char status[4];
};

void http2_list_request(struct http2_list *list, const struct http2_head *head);
void http2_list_response(struct http2_list *list, const struct http2_head *head);
void http2_list_fields(struct http2_list *list, const struct field *fields, size_t count,
                       bool sensitive);

/* --- http2.c --- */

struct http2_stream {
    struct http2 *connection;
    struct http2_stream *previous, *next; /* all of the connection */
    struct http2_stream *next_changed;
    void *user;
    struct http2_head head;
    char *head_block;       /* what `head` points to; NULL: no head was told */
    size_t head_size;       /* bytes of it */
    struct evbuffer *queue; /* of the body; NULL until there is some */
    char *trailer;          /* to be sent: `trailer_fields` in one block */
    size_t trailer_count;
    size_t unconsumed; /* told and not given back to the window */
    size_t sent;       /* went out and not told */
    unsigned interims; /* heads of 1xx that wait to be pulled */
    int32_t id;
    uint32_t code;
    enum http2_error error;
    bool changed;  /* in the list of those with something to tell */
    bool owned;    /* there is a handle */
    bool told;     /* the final event was told */
    bool final;    /* the peer's final head came */
    bool end_got;  /* the peer's message is whole */
    bool answered; /* our final head was given */
    bool ending;   /* the end of our message was given, */
    bool end_sent; /* and went out */
    bool deferred; /* nghttp2 waits to be told of more body */
    bool stopped;  /* what the peer sends is not wanted */
    bool let_go;   /* reset by the user */
    bool closed;   /* nghttp2 knows it no more */
};

/* What a client has opened of late, and which of its messages are over. */
#define HTTP2_OPENED 64
struct http2_opened {
    int32_t id;
    bool over;
};

struct http2_bucket {
    struct http2_allowance allowance;
    uint64_t spent; /* in thousandths */
    int64_t at;     /* ms */
};

struct http2 {
    struct http2_options options;
    nghttp2_session *session;
    bool server;
    bool busy;        /* an event is being told */
    bool failed;      /* nothing of a stream is told any more */
    bool told;        /* HTTP2_ERROR was */
    bool goaway;      /* one came: no more requests */
    bool preface;     /* is to be sent */
    bool buffer_lent; /* http2_frame_buffer */
    bool by_user;     /* the connection's end was asked for */
    enum http2_error error;
    uint32_t code;
    int64_t now;
    struct http2_bucket resets, nothing;
    size_t body_sent; /* bytes that earn frames for the peer */
    struct http2_section section;
    uint8_t frame_head[9];  /* of the frame that is being received, */
    size_t frame_fill;      /* how much of it is there, */
    size_t frame_left;      /* and of the frame still to come; at first of the preface */
    unsigned continuations; /* of the head that is being received */
    int32_t last_head;      /* the highest stream that a client sent one for */
    struct http2_opened opened[HTTP2_OPENED]; /* those that it sent one for, */
    size_t opened_count; /* and how many there were; the oldest are forgotten */
    struct http2_stream *streams;
    struct http2_stream *changed, **changed_end;
    size_t open;          /* streams that nghttp2 knows */
    size_t heads;         /* bytes of the heads of all streams */
    unsigned interims;    /* of all streams */
    struct evbuffer *out; /* of the http2_pull() under way, */
    size_t out_end;       /* and how long it may become */
};

/* Shared by all connections; holds nothing between two calls of http2_pull(). */
#define HTTP2_FRAME_BUFFER 16394 /* bytes, as nghttp2 asks for it */
extern uint8_t http2_frame_buffer[HTTP2_FRAME_BUFFER];

struct http2_stream *http2_stream_new(struct http2 *connection, void *user);
/* Frees it when neither the user, nor nghttp2, nor the list of those with news knows it. */
void http2_stream_drop(struct http2_stream *stream);
struct http2_stream *http2_stream_of(nghttp2_session *session, int32_t id);
void http2_tell(struct http2 *connection, struct http2_event *event);
void http2_tell_stream(struct http2_stream *stream, struct http2_event *event);
/* There is something to tell of it when nghttp2 is done. */
void http2_stream_change(struct http2_stream *stream);
/* The connection breaks off for `error`, as soon as nghttp2 can be told. */
void http2_fail(struct http2 *connection, enum http2_error error);

/* --- http2_receive.c --- */

/*
 * Looks at the head of the next frame in what is going to be received. How much may be given to
 * nghttp2: that frame or as much of it as is there, or what comes before it when the connection is
 * to break off for it (*error).
 */
size_t http2_walk_frame(struct http2 *connection, const uint8_t *bytes, size_t size,
                        enum http2_error *error);
void http2_register_receiving(nghttp2_session_callbacks *callbacks);
/* One more stream was reset, by the client or because of it. */
void http2_count_reset(struct http2 *connection);
/* Body went out: the peer may update its windows. */
void http2_earn_frames(struct http2 *connection, size_t bytes);

/* --- http2_send.c --- */

void http2_register_sending(nghttp2_session_callbacks *callbacks);
/* Answers a request that is refused, with a status and nothing else. */
void http2_answer_status(struct http2_stream *stream, unsigned status);

#endif
