/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The HTTP/1.1 core (RFC 9110, RFC 9112): strict, incremental, without I/O. One parser reads one
 * direction of one connection. It takes bytes as they come and gives events. What two parsers could
 * read differently is an error and is never passed on.
 */
#ifndef GATEWAY_HTTP1_H
#define GATEWAY_HTTP1_H

#include "gateway/exchange.h"

struct http1_limits {
    size_t line;   /* bytes of a request or status line, and of a single field */
    size_t head;   /* bytes of a whole head, and of a whole trailer section */
    size_t fields; /* how many fields */
};

enum http1_event {
    HTTP1_MORE,     /* everything given was used; feed more */
    HTTP1_HEAD,     /* a head is whole: see http1_head() */
    HTTP1_BODY,     /* `data` is a piece of the body (borrowed from the input) */
    HTTP1_TRAILER,  /* the trailer fields are whole (only after a chunked body, only when there are
                       any) */
    HTTP1_END,      /* the message is over; the next bytes begin another */
    HTTP1_UPGRADED, /* after http1_upgrade(): `data` are bytes of the other protocol */
    HTTP1_ERROR     /* see http1_error(); the parser stays in error for ever */
};

/* X(symbol, text, status for a request with this fault) */
#define HTTP1_ERRORS(X)                                                                            \
    X(NONE, "no error", 0)                                                                         \
    X(LINE_TOO_LONG, "line too long", 414)                                                         \
    X(HEAD_TOO_LARGE, "header section too large", 431)                                             \
    X(TOO_MANY_FIELDS, "too many fields", 431)                                                     \
    X(BARE_CR, "bare CR", 400)                                                                     \
    X(BARE_LF, "bare LF", 400)                                                                     \
    X(NUL, "NUL byte", 400)                                                                        \
    X(METHOD, "invalid method", 400)                                                               \
    X(TARGET, "invalid target", 400)                                                               \
    X(VERSION, "invalid version", 400)                                                             \
    X(UNSUPPORTED_VERSION, "unsupported version", 505)                                             \
    X(STATUS, "invalid status line", 400)                                                          \
    X(FIELD_NAME, "invalid field name", 400)                                                       \
    X(FIELD_VALUE, "invalid field value", 400)                                                     \
    X(SPACE_BEFORE_COLON, "space before the colon", 400)                                           \
    X(FOLDING, "obsolete line folding", 400)                                                       \
    X(LENGTH, "invalid Content-Length", 400)                                                       \
    X(LENGTHS_DIFFER, "more than one Content-Length", 400)                                         \
    X(LENGTH_AND_CODING, "both Content-Length and Transfer-Encoding", 400)                         \
    X(CODING, "unsupported Transfer-Encoding", 501)                                                \
    X(HOST, "missing, repeated or invalid Host", 400)                                              \
    X(CHUNK, "invalid chunk", 400)                                                                 \
    X(TRUNCATED, "connection closed in the middle of a message", 400)
enum http1_error {
#define X(symbol, text, status) HTTP1_ERROR_##symbol,
    HTTP1_ERRORS(X)
#undef X
};
const char *http1_error_text(enum http1_error error);
unsigned http1_error_status(enum http1_error error);

/* How many options beside close, keep-alive and upgrade Connection may list. */
#define HTTP1_OPTIONS 16

enum http1_framing { HTTP1_NO_BODY, HTTP1_LENGTH, HTTP1_CHUNKED, HTTP1_UNTIL_CLOSE };

/*
 * A parsed head. Everything borrows from the parser and is valid until http1_feed() is called after
 * HTTP1_END.
 */
struct http1_head {
    unsigned minor; /* of HTTP/1.minor: 0 or 1 */
    /* requests */
    struct span method;
    struct span target; /* as sent: origin-form, absolute-form, authority-form (CONNECT) or "*" */
    bool absolute;      /* absolute-form: `scheme_tls`, `host`, `port` are from the target */
    bool scheme_tls;    /* absolute-form with https */
    char host[254];     /* from the target, else from Host (which must agree when both are there);
                           normalised, "" when a 1.0 request names none */
    uint16_t port;      /* 0 when none was written */
    struct span path;   /* origin-form of the target: path and query ("/" when absolute-form has
                           none), "*" as is and for OPTIONS in absolute-form with neither (RFC 9112
                           section 3.2.4); empty for CONNECT */
    /* responses */
    unsigned status;
    struct span phrase;
    /* both */
    const struct field *fields;
    size_t field_count;
    enum http1_framing framing;
    uint64_t length; /* HTTP1_LENGTH; and what a response to HEAD or a 304 says of itself */
    bool has_length; /* there is a Content-Length */
    bool keep_alive; /* by version and Connection (RFC 9112 section 9.3) */
    bool upgrade;    /* Connection lists "upgrade" and there is an Upgrade field */
    bool expect_continue;
    struct span connection[HTTP1_OPTIONS]; /* the other options that Connection lists */
    size_t connection_count;
};

struct http1;

struct http1 *http1_new_request_parser(const struct http1_limits *limits);
struct http1 *http1_new_response_parser(const struct http1_limits *limits);
void http1_free(struct http1 *parser);

/*
 * Response parser only, before the head of each response: which request it answers. HEAD and
 * CONNECT change the framing. Stays for the 1xx responses that come before the final one; the head
 * of the final one takes it, so it may be called again from then on, and a response without it
 * answers neither HEAD nor CONNECT.
 */
void http1_expect(struct http1 *parser, bool head, bool connect);

/*
 * Takes bytes and gives the next event. *used is how many of `size` were consumed; call again with
 * the rest until HTTP1_MORE. HTTP1_BODY and HTTP1_UPGRADED set *data. The head of an interim
 * response (1xx) is an HTTP1_HEAD followed by HTTP1_END. With no body HTTP1_END follows HTTP1_HEAD
 * at the next call, also when it is made with size 0.
 */
enum http1_event http1_feed(struct http1 *parser, const void *bytes, size_t size, size_t *used,
                            struct span *data);

/*
 * The peer closed. HTTP1_END for a body that runs until close, for a message that lacked nothing
 * but its HTTP1_END, and for an upgraded connection; HTTP1_MORE between messages; else HTTP1_ERROR.
 */
enum http1_event http1_close(struct http1 *parser);

/*
 * After HTTP1_HEAD, or after HTTP1_END with no byte fed since: what follows is another protocol
 * (101, or 200 to CONNECT). A message with a body is to be read to its HTTP1_END first. The head
 * stays valid until bytes of the other protocol are fed.
 */
void http1_upgrade(struct http1 *parser);

const struct http1_head *http1_head(const struct http1 *parser);
/*
 * The trailer fields after HTTP1_TRAILER. Those that a trailer may not hold are left out: framing,
 * routing, authentication, cookies, what controls caching or the handling of content (RFC 9110
 * section 6.5.1).
 */
const struct field *http1_trailer(const struct http1 *parser, size_t *count);
enum http1_error http1_error(const struct http1 *parser);

/*
 * True when no byte of a message has come yet (the connection is idle). An idle parser holds no
 * buffer once it was fed after HTTP1_END, with size 0 too.
 */
bool http1_idle(const struct http1 *parser);

/* --- writing --- */

struct evbuffer;

/*
 * Whether a field belongs to one connection only and is never passed on: Connection and what it
 * lists, Keep-Alive, Proxy-Connection, Proxy-Authenticate, Proxy-Authentication-Info,
 * Proxy-Authorization, TE, Trailer, Transfer-Encoding, Upgrade, HTTP2-Settings, and Content-Length,
 * which the writer makes anew (RFC 9110 section 7.6.1). Host is never one, whatever Connection
 * lists.
 */
bool http1_is_hop(const struct http1_head *head, struct span name);

/*
 * The pieces of a message, appended to `out`. The version written is always HTTP/1.1. What is
 * written is not checked again: names and values are those of a parser or made by the gateway
 * itself. Without memory the process ends (filters/memory.h): a message with a hole in it would be
 * another message.
 */
void http1_write_request_line(struct evbuffer *out, struct span method, struct span target);
void http1_write_status_line(struct evbuffer *out, unsigned status, struct span phrase);
void http1_write_field(struct evbuffer *out, struct span name, struct span value);
/* Content-Length or Transfer-Encoding as `framing` says; nothing for the other two. */
void http1_write_framing(struct evbuffer *out, enum http1_framing framing, uint64_t length);
void http1_write_end_of_head(struct evbuffer *out);
/* One chunk (nothing when empty), and the last chunk with its trailer fields. */
void http1_write_chunk(struct evbuffer *out, struct span data);
void http1_write_last_chunk(struct evbuffer *out, const struct field *trailer, size_t count);

#endif
