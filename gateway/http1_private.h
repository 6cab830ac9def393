/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the files of the HTTP/1.1 parser share, and nobody else: the state of a parser, the grammar
 * (http1_grammar.c: pure functions over spans) and the meaning of a head (http1_head.c).
 */
#ifndef GATEWAY_HTTP1_PRIVATE_H
#define GATEWAY_HTTP1_PRIVATE_H

#include "filters/hostset.h"
#include "gateway/http1.h"

/* X(symbol, step of http1.c) */
#define HTTP1_STATES(X)                                                                            \
    X(START, step_line) /* before and in the first line */                                         \
    X(FIELDS, step_line)                                                                           \
    X(BODY, step_body) /* `left` bytes; a body until close has more than can come */               \
    X(CHUNK_LINE, step_line)                                                                       \
    X(CHUNK_DATA, step_body)                                                                       \
    X(CHUNK_END, step_chunk_end) /* the CRLF after the data */                                     \
    X(TRAILER, step_line)                                                                          \
    X(LAST, step_last) /* whole, HTTP1_END still to be told */                                     \
    X(OVER, step_over) /* told; the head is kept until the next call */                            \
    X(UPGRADED, step_upgraded)                                                                     \
    X(FAILED, step_failed)
enum http1_state {
#define X(symbol, step) STATE_##symbol,
    HTTP1_STATES(X)
#undef X
};

/* Lines are copied into blocks that never move: a span of one stays good while later lines come. */
struct http1_block {
    struct http1_block *next; /* the older ones */
    size_t size;
    char bytes[];
};

struct http1_list {
    struct field *items;
    size_t count, capacity;
};

/* What begins anew with every message. */
struct http1_message {
    struct http1_head head;
    struct http1_block *blocks; /* the newest */
    size_t line;                /* where in the newest block the line begins, */
    size_t fill;                /* and the end of what is there */
    bool cr;                    /* CR was seen, LF must come */
    bool skipped;               /* the one empty line before a request */
    bool host_seen;
    bool coded;                      /* Transfer-Encoding: chunked */
    bool close, keep_alive, upgrade; /* listed in Connection */
    bool upgrade_field;
    size_t section; /* bytes of the head or trailer section so far, whole lines */
    size_t section_fields;
    struct http1_list fields, trailer;
    uint64_t left; /* of the body or of the chunk */
};

struct http1 {
    struct http1_limits limits;
    bool responses;
    bool expect_head, expect_connect;
    enum http1_state state;
    enum http1_error error;
    struct http1_message message;
};

/* --- http1.c --- */

/* Adds to the line that is being put together. */
void http1_append(struct http1_message *message, const void *bytes, size_t size);
/* The line as it is; the next one begins after it. */
struct span http1_commit(struct http1_message *message);

/* --- http1_head.c: whole lines, without their CRLF --- */

enum http1_error http1_take_request_line(struct http1_message *message, struct span line);
enum http1_error http1_take_status_line(struct http1_message *message, struct span line);
enum http1_error http1_take_field(struct http1 *parser, struct span line);
enum http1_error http1_take_trailer_field(struct http1 *parser, struct span line);
/* Whether a trailer section may hold such a field; HTTP/2 asks too. */
bool http1_may_be_trailer(struct span name);
/* The empty line was read: checks what only the whole head tells, and sets the state that follows.
 */
enum http1_error http1_finish_head(struct http1 *parser);

/* --- http1_grammar.c --- */

/* The length of the token that `text` begins with (RFC 9110 section 5.6.2). */
size_t http1_token_size(struct span text);
/* HTAB, SP, VCHAR and obs-text only: a field value, a reason phrase. */
bool http1_is_text(struct span text);
enum http1_error http1_parse_version(struct span text, unsigned *minor);
/* host [ ":" port ], an IPv6 address in brackets. *port is 0 when none is written. */
bool http1_parse_authority(struct span text, char host[HOST_TEXT], uint16_t *port);
/* A field line that is not empty. */
enum http1_error http1_parse_field(struct span line, struct field *field);
/* The line before a chunk: its size and extensions (RFC 9112 section 7.1). */
bool http1_parse_chunk(struct span line, uint64_t *size);

#endif
