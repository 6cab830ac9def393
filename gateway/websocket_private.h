/* SPDX-License-Identifier: BSD-2-Clause */
/* What the files of the WebSocket core share. */
#ifndef GATEWAY_WEBSOCKET_PRIVATE_H
#define GATEWAY_WEBSOCKET_PRIVATE_H

#include "gateway/websocket.h"

#define WEBSOCKET_HEAD    14 /* bytes of a frame's header at most */
#define WEBSOCKET_CONTROL 125
#define WEBSOCKET_SCRATCH 4096 /* bytes unmasked at a time */

/* Where a check of UTF-8 stands between two pieces: all zero at the start of a text. */
struct websocket_utf8 {
    uint8_t needed;       /* bytes that the character still lacks */
    uint8_t lower, upper; /* between which the next of them must be */
};

/* How many of the bytes are good; all of them when the result is bytes.size. */
size_t websocket_utf8_check(struct websocket_utf8 *utf8, struct span bytes);

/* The decompressor of one direction. */
struct websocket_inflater;
struct websocket_inflater *websocket_inflater_new(const struct websocket_deflate *deflate);
void websocket_inflater_free(struct websocket_inflater *inflater);

enum websocket_inflation {
    INFLATION_MORE, /* `output` is a piece, possibly empty; call again */
    INFLATION_DONE, /* everything given was used; `output` as above */
    INFLATION_BOMB,
    INFLATION_BAD /* `output` is what came before the fault */
};

/* Undoes the next of *input, which is advanced. `output` is valid until the next call. */
enum websocket_inflation websocket_inflater_run(struct websocket_inflater *inflater,
                                                struct span *input, struct span *output);

/* A message is over (its tail was fed): the next one may need an empty context. */
void websocket_inflater_end(struct websocket_inflater *inflater);

/* What a sender takes off the end of each message (RFC 7692 section 7.2.1). */
#define WEBSOCKET_DEFLATE_TAIL SPAN("\x00\x00\xff\xff")

struct websocket {
    websocket_told *told;
    void *context;
    bool masked; /* as frames of this direction must be */
    bool deflate;
    struct websocket_deflate parameters;
    enum websocket_error error;
    bool closed;
    bool watched;

    uint8_t head[WEBSOCKET_HEAD];
    size_t head_size; /* bytes of it that have come */
    bool in_payload;

    /* the frame */
    enum websocket_opcode opcode;
    bool final;
    uint64_t left; /* payload bytes still to come */
    uint8_t mask[4];
    unsigned mask_at;
    char control[WEBSOCKET_CONTROL];
    size_t control_size;

    /* the message; CONTINUATION when there is none */
    enum websocket_opcode message;
    bool compressed;
    bool whole;
    uint64_t given; /* bytes of content */
    struct websocket_utf8 utf8;
    struct websocket_inflater *inflater; /* made for the first compressed message */

    char scratch[WEBSOCKET_SCRATCH];
};

#endif
