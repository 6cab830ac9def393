/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HTTP/2 adapter (RFC 9113, RFC 8441): one end of one connection, strict, without I/O, around
 * one session of nghttp2. It takes bytes and tells events, stream by stream; what it is told to
 * send is pulled out of it as bytes. What two readers could take differently is refused and never
 * told. Toward a client it is the server's end, toward an origin the client's.
 *
 * Who owns what. A stream is a handle. Toward a client it comes with HTTP2_HEAD, toward an origin
 * from http2_send_request(); it is good until http2_release_stream() or http2_free(). Each one must
 * be released, whatever became of it. Its head (http2_stream_head()) lives as long as the handle.
 *
 * When events are told: inside http2_feed() and http2_pull(), and never inside a command. From
 * an event every command may be given to any stream of any connection; http2_feed(), http2_pull()
 * and http2_free() may not be called for a connection whose event it is (http2_is_busy()).
 *
 * How two of them are paired, A toward the client and B toward the origin, stream to stream:
 *
 *   event at A            what the proxy does
 *   HTTP2_HEAD            judges it; b = http2_send_request(B, head, pair); when that is NULL,
 *                         http2_release_stream(a, HTTP2_REFUSED_STREAM)
 *   HTTP2_BODY            http2_send_body(b, data)
 *   HTTP2_SENT (size)     http2_consume_body(b, size), while there is a b
 *   HTTP2_TRAILER         http2_send_trailer(b, ...): ends the message, HTTP2_END adds nothing
 *   HTTP2_END             http2_send_end(b), which is without effect after a trailer or a head that
 *                         had `end` set
 *   HTTP2_RESET (code)    http2_release_stream(a, 0); http2_release_stream(b, code)
 *   HTTP2_CLOSED          a is over; once b is over too, or was never there, both are released:
 *                         until then http2_consume_body(a) has a meaning
 *   HTTP2_GOAWAY          nothing: the client opens no more streams
 *   HTTP2_ERROR           pulls and writes what is left, closes; http2_free(A); the pairs at B are
 *                         released with HTTP2_CANCEL
 *   event at B
 *   HTTP2_INTERIM         http2_send_interim(a, head)
 *   HTTP2_HEAD            judges it; http2_send_response(a, head)
 *   HTTP2_BODY, TRAILER, END and SENT as above with a and b exchanged
 *   HTTP2_RESET (code)    when HTTP2_END came before: the origin wants no more of the request, but
 *                         its answer is whole (RFC 9113 section 8.1): http2_stop_stream(a), and b
 *                         is over. Otherwise http2_release_stream(b, 0);
 *                         http2_release_stream(a, code)
 *   HTTP2_CLOSED          b is over; once a is over too both are released
 *   HTTP2_SETTINGS        if http2_peer_allows_connect_protocol(B):
 *                         http2_allow_connect_protocol(A)
 *   HTTP2_GOAWAY          http2_drain(A): A's client makes a new connection for what is to come.
 *                         Streams that the origin will not serve tell HTTP2_RESET of themselves
 *   HTTP2_ERROR           every a of a pair is released with HTTP2_INTERNAL_ERROR; http2_drain(A)
 *
 * Back-pressure is all in HTTP2_SENT and http2_consume_body(). Received body bytes stay charged to
 * the sender's windows until they are consumed, and the pair consumes at one end what went out at
 * the other. So no more than a stream window waits in a stream, and no more than a connection
 * window in all of them; nothing is polled. What holds the bytes back is http2_pull(): it is called
 * while less than some 64 kB wait to be written to the socket and gives only so much. A body that
 * the gateway makes itself is sent in pieces of http2_stream_room() on each HTTP2_SENT. A body that
 * is not passed on (a blocked answer) is consumed as it comes.
 *
 * An answer of our own: http2_send_response(a, head) with http2_send_body() and http2_send_end().
 * Of a client that is still sending some more is consumed, so that it takes the answer first; then
 * http2_stop_stream(a) tells it to stop.
 *
 * After every call of http2_feed() and after commands both connections are pulled, until neither
 * http2_wants_pull(). A connection that http2_is_over() is closed when what it gave is written.
 */
#ifndef GATEWAY_HTTP2_H
#define GATEWAY_HTTP2_H

#include "filters/hostset.h"
#include "gateway/exchange.h"
#include "gateway/http1.h"

struct evbuffer;
struct http2;
struct http2_stream;

/* Codes of RST_STREAM and GOAWAY (RFC 9113 section 7). Others may come from the peer. */
enum http2_code {
    HTTP2_NO_ERROR = 0x0,
    HTTP2_PROTOCOL_ERROR = 0x1,
    HTTP2_INTERNAL_ERROR = 0x2,
    HTTP2_FLOW_CONTROL_ERROR = 0x3,
    HTTP2_SETTINGS_TIMEOUT = 0x4,
    HTTP2_STREAM_CLOSED = 0x5,
    HTTP2_FRAME_SIZE_ERROR = 0x6,
    HTTP2_REFUSED_STREAM = 0x7,
    HTTP2_CANCEL = 0x8,
    HTTP2_COMPRESSION_ERROR = 0x9,
    HTTP2_CONNECT_ERROR = 0xa,
    HTTP2_ENHANCE_YOUR_CALM = 0xb,
    HTTP2_INADEQUATE_SECURITY = 0xc,
    HTTP2_HTTP_1_1_REQUIRED = 0xd
};

/*
 * X(symbol, text, status, code): what was wrong. A request that has a status here is answered with
 * it by the adapter, any other is reset with the code.
 */
#define HTTP2_ERRORS(X)                                                                            \
    X(NONE, "no error", 0, HTTP2_NO_ERROR) /* the streams: */                                      \
    X(MESSAGE, "malformed message", 0, HTTP2_PROTOCOL_ERROR)                                       \
    X(METHOD, "invalid :method", 0, HTTP2_PROTOCOL_ERROR)                                          \
    X(SCHEME, "invalid :scheme", 0, HTTP2_PROTOCOL_ERROR)                                          \
    X(PATH, "invalid :path", 0, HTTP2_PROTOCOL_ERROR)                                              \
    X(AUTHORITY, "missing or invalid :authority", 0, HTTP2_PROTOCOL_ERROR)                         \
    X(HOST, "Host differs from :authority", 0, HTTP2_PROTOCOL_ERROR)                               \
    X(STATUS, "invalid :status", 0, HTTP2_PROTOCOL_ERROR)                                          \
    X(FIELD, "invalid field", 0, HTTP2_PROTOCOL_ERROR)                                             \
    X(FIELD_TOO_LONG, "field too long", 431, HTTP2_PROTOCOL_ERROR)                                 \
    X(HEAD_TOO_LARGE, "header section too large", 431, HTTP2_PROTOCOL_ERROR)                       \
    X(TOO_MANY_FIELDS, "too many fields", 431, HTTP2_PROTOCOL_ERROR)                               \
    X(TOO_MANY_HEADS, "too many heads at once", 0, HTTP2_REFUSED_STREAM)                           \
    X(NOT_SENT, "could not be sent", 0, HTTP2_INTERNAL_ERROR) /* the connection: */                \
    X(PREFACE, "not HTTP/2", 0, HTTP2_PROTOCOL_ERROR)                                              \
    X(PROTOCOL, "protocol error", 0, HTTP2_PROTOCOL_ERROR)                                         \
    X(FRAME_SIZE, "invalid size of a frame", 0, HTTP2_FRAME_SIZE_ERROR)                            \
    X(STREAM_CLOSED, "a frame on a stream that is over", 0, HTTP2_STREAM_CLOSED)                   \
    X(RESET_FLOOD, "too many resets", 0, HTTP2_ENHANCE_YOUR_CALM)                                  \
    X(FRAME_FLOOD, "too many frames that carry nothing", 0, HTTP2_ENHANCE_YOUR_CALM)               \
    X(HEAD_FLOOD, "a head that unfolds without end", 0, HTTP2_ENHANCE_YOUR_CALM)                   \
    X(ANSWER_FLOOD, "too many frames to answer", 0, HTTP2_ENHANCE_YOUR_CALM)
enum http2_error {
#define X(symbol, text, status, code) HTTP2_ERROR_##symbol,
    HTTP2_ERRORS(X)
#undef X
};
const char *http2_error_text(enum http2_error error);

/* A head, as told and as sent. What is told borrows from its stream. */
struct http2_head {
    /* requests */
    struct span method;
    bool scheme_tls;      /* https; neither it nor `path` is there for CONNECT without `protocol` */
    char host[HOST_TEXT]; /* of :authority, or of Host where that is missing; as host_normalise()
                             gives it; never empty */
    uint16_t port;        /* 0 when none was written */
    struct span path;     /* begins with '/', or "*" for OPTIONS */
    struct span protocol; /* of an extended CONNECT (RFC 8441), otherwise empty */
    /* responses */
    unsigned status;
    /* both */
    const struct field *fields; /* without Host; Cookie is one field (RFC 9113 section 8.2.3). Names
                                   are told in lower case; any case may be sent */
    size_t field_count;
    bool end;        /* there is no body and no trailer: HTTP2_END follows at once */
    bool has_length; /* told only: there is a Content-Length, which the body must keep to */
    uint64_t length;
    bool sensitive; /* some field must never enter a compression table (RFC 7541 section 6.2.3) */
};

enum http2_event_kind {
    HTTP2_HEAD,    /* `head` of a request or of a final response */
    HTTP2_INTERIM, /* `head` of a 1xx response; it lives only during the event */
    HTTP2_BODY,    /* `data`, borrowed from the input; to be consumed in time */
    HTTP2_TRAILER, /* `fields`; they live only during the event. What a trailer may not hold is left
                      out, as http1_trailer() does */
    HTTP2_END,     /* the peer's message is over */
    HTTP2_SENT,    /* `size` more bytes of the body that was given went out */
    HTTP2_CLOSED,  /* both messages are over and out: the last event of the stream */
    HTTP2_RESET, /* it broke off, by the peer or by a fault of the peer (`error`), with `code`: the
                    last event of the stream. What was not sent is dropped */
    HTTP2_REFUSED,  /* a request that was not told, for `error`; for the log; there is no handle,
                       `last` is  its id */
    HTTP2_SETTINGS, /* the peer's settings came (again) */
    HTTP2_GOAWAY,   /* the peer takes no streams above `last`, with `code` */
    HTTP2_ERROR     /* the connection is over, for `error`, with `code`. The last event of all; what
                       http2_pull() still gives should be written */
};

struct http2_event {
    enum http2_event_kind kind;
    enum http2_error error;
    struct http2_stream *stream; /* NULL for what is not of a stream */
    void *user;                  /* of the stream */
    const struct http2_head *head;
    struct span data;
    const struct field *fields;
    size_t field_count;
    size_t size;
    uint32_t code;
    int32_t last; /* id */
};

typedef void http2_handler(void *context, const struct http2_event *event);

/* What a flood is: `burst` at once, and `rate` a second in the long run. */
struct http2_allowance {
    uint32_t burst, rate;
};

struct http2_options {
    struct http1_limits limits; /* `head` counts as RFC 9113 section 6.5.2 does; `fields` counts
                                   Cookie once; `line` is name and value of one field. The heads of
                                   all streams together have room for 16 of the largest */
    uint32_t streams;           /* that the peer may have open at once, toward a client */
    uint32_t stream_window;     /* bytes */
    uint32_t connection_window;
    bool connect_protocol;         /* extended CONNECT is allowed from the start, toward a client */
    struct http2_allowance resets; /* streams that the client resets, or makes us reset; and
                                      its heads on a stream that is over */
    struct http2_allowance nothing; /* frames that carry no part of a message */
    http2_handler *handler;
    void *context;
};

/* The limits of HTTP/1.1's defaults, 100 streams, 1 MB and 16 MB. No handler. */
extern const struct http2_options HTTP2_DEFAULTS;

struct http2 *http2_new_server(const struct http2_options *options);
struct http2 *http2_new_client(const struct http2_options *options);
/* Without further events; all its streams are released. */
void http2_free(struct http2 *connection);

/* Takes all the bytes. `now` is a monotonic time in milliseconds. */
void http2_feed(struct http2 *connection, const void *bytes, size_t size, int64_t now);

/* Appends to `out` what is to be written, about `limit` bytes at most (one frame more). */
void http2_pull(struct http2 *connection, struct evbuffer *out, size_t limit);
bool http2_wants_pull(const struct http2 *connection);

/* An event of it is being told. */
bool http2_is_busy(const struct http2 *connection);
/* No stream is open. */
bool http2_is_idle(const struct http2 *connection);
/* Nothing more is to be read or to be pulled. */
bool http2_is_over(const struct http2 *connection);
/* Why HTTP2_ERROR was told. */
enum http2_error http2_error(const struct http2 *connection);

/* GOAWAY in two steps, so that no request under way is lost (RFC 9113 section 6.8): first that it
 * will come, toward a client, */
void http2_announce_drain(struct http2 *connection);
/* then, a round trip later, that what has come is served and nothing else. */
void http2_drain(struct http2 *connection);
/* GOAWAY with a code; the connection is over once it is pulled. No event tells it. */
void http2_terminate(struct http2 *connection, uint32_t code);

/* Extended CONNECT: whether the origin takes it, and that the client may use it (for good). */
bool http2_peer_allows_connect_protocol(const struct http2 *connection);
void http2_allow_connect_protocol(struct http2 *connection);

/* --- one stream: sending --- */

/*
 * All commands may be given at any time to any handle; on a stream that is over, or for a message
 * that was ended, they do nothing. Fields that belong to one connection, and Host, are left out;
 * Content-Length is passed. Names and values are not checked again: they are those of a parser or
 * made by the gateway itself.
 */

/* Toward an origin. NULL when it takes no more requests (GOAWAY, ids used up). */
struct http2_stream *http2_send_request(struct http2 *connection, const struct http2_head *head,
                                        void *user);
/* Toward a client: any number of 1xx, then the final one; body, trailer and end come after it. Of
 * 1xx only a few wait for a client that does not read, any more are left out. */
void http2_send_interim(struct http2_stream *stream, const struct http2_head *head);
void http2_send_response(struct http2_stream *stream, const struct http2_head *head);

/* Queues a copy; or moves all that is in the buffer. */
void http2_send_body(struct http2_stream *stream, struct span data);
void http2_send_buffer(struct http2_stream *stream, struct evbuffer *data);
/* Ends the message after what is queued, with or without trailer fields. */
void http2_send_trailer(struct http2_stream *stream, const struct field *fields, size_t count);
void http2_send_end(struct http2_stream *stream);

/* How many bytes of body wait to be pulled; and how many more should be given now, 0 to 64 kB. */
size_t http2_stream_queued(const struct http2_stream *stream);
size_t http2_stream_room(const struct http2_stream *stream);

/* --- one stream: receiving --- */

/* Gives the window back for so many bytes of HTTP2_BODY (at most for those not given back yet). */
void http2_consume_body(struct http2_stream *stream, size_t size);
/* Toward a client: what it still sends is not wanted. It is dropped, and after the end of our own
 * message the stream is reset with NO_ERROR, which HTTP2_CLOSED tells. */
void http2_stop_stream(struct http2_stream *stream);

/*
 * Lets go of the handle. If the stream is not over it is reset with the code, and what was not
 * pulled is dropped; what was not consumed is.
 */
void http2_release_stream(struct http2_stream *stream, uint32_t code);

void http2_set_user(struct http2_stream *stream, void *user);
struct http2 *http2_stream_connection(const struct http2_stream *stream);
int32_t http2_stream_id(const struct http2_stream *stream);
/* What HTTP2_HEAD told; NULL before. */
const struct http2_head *http2_stream_head(const struct http2_stream *stream);

#endif
