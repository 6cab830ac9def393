/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The WebSocket core (RFC 6455) with permessage-deflate (RFC 7692), without I/O. One parser watches
 * one direction of one upgraded connection (or of one extended CONNECT stream): it is fed the bytes
 * as they come, says when they break the protocol, and gives what the messages hold. It changes
 * nothing: what it found good is passed on as it came.
 *
 * Memory of one direction: about 4.5 kB, and 8 kB of output buffer with at most 43 kB of zlib's
 * once a compressed message was met while messages are watched.
 */
#ifndef GATEWAY_WEBSOCKET_H
#define GATEWAY_WEBSOCKET_H

#include "filters/span.h"

/* --- what was negotiated --- */

/* permessage-deflate for one direction */
struct websocket_deflate {
    bool no_context_takeover;
    uint8_t window_bits; /* 8 to 15 */
};

struct websocket_parameters {
    bool deflate;                            /* permessage-deflate is on */
    struct websocket_deflate client, server; /* of what the client, what the server sends */
};

/*
 * Reads the Sec-WebSocket-Extensions value of the response (several fields: joined by commas).
 * False when it is not one that a client may accept, or when it names another extension, whose
 * frames nobody here can read; the parameters are then those of no extension. Empty: none, and
 * true. Whether the response agrees with what the client offered is not asked.
 */
bool websocket_negotiate(struct span value, struct websocket_parameters *parameters);

/* --- the parser --- */

/* X(symbol, status to close with (RFC 6455 section 7.4.1), text) */
#define WEBSOCKET_ERRORS(X)                                                                        \
    X(NONE, 1000, "no error")                                                                      \
    X(RESERVED_BITS, 1002, "reserved bit without its extension")                                   \
    X(OPCODE, 1002, "reserved opcode")                                                             \
    X(MASKING, 1002, "client frame without mask, or server frame with one")                        \
    X(LENGTH, 1002, "invalid payload length")                                                      \
    X(CONTROL_FRAGMENTED, 1002, "fragmented control frame")                                        \
    X(CONTROL_TOO_LONG, 1002, "control frame of more than 125 bytes")                              \
    X(CONTINUATION, 1002, "continuation frame without a message")                                  \
    X(INTERLEAVED, 1002, "new message before the end of the last one")                             \
    X(CLOSE_CODE, 1002, "invalid close frame")                                                     \
    X(AFTER_CLOSE, 1002, "frame after the close frame")                                            \
    X(TEXT, 1007, "text that is not UTF-8")                                                        \
    X(COMPRESSION, 1007, "invalid compressed data")
enum websocket_error {
#define X(symbol, status, text) WEBSOCKET_ERROR_##symbol,
    WEBSOCKET_ERRORS(X)
#undef X
};
const char *websocket_error_text(enum websocket_error error);
uint16_t websocket_error_status(enum websocket_error error);

enum websocket_opcode {
    WEBSOCKET_CONTINUATION = 0x0,
    WEBSOCKET_TEXT = 0x1,
    WEBSOCKET_BINARY = 0x2,
    WEBSOCKET_CLOSE = 0x8,
    WEBSOCKET_PING = 0x9,
    WEBSOCKET_PONG = 0xa
};

enum websocket_event_kind {
    WEBSOCKET_EVENT_FRAME,    /* a frame's header was read: opcode, final, size */
    WEBSOCKET_EVENT_CONTENT,  /* a piece of a message, unmasked and decompressed: opcode, bytes */
    WEBSOCKET_EVENT_MESSAGE,  /* a message is over: opcode, whole */
    WEBSOCKET_EVENT_CONTROL,  /* a ping or a pong: opcode, bytes */
    WEBSOCKET_EVENT_CLOSE,    /* code, bytes (the reason) */
    WEBSOCKET_EVENT_UNWATCHED /* from here on no content is given: what is compressed is a bomb */
};

/* Valid during the callback, `bytes` too. */
struct websocket_event {
    enum websocket_event_kind kind;
    enum websocket_opcode opcode; /* FRAME: as in the frame; of the message for CONTENT, MESSAGE */
    bool final;                   /* FRAME */
    bool whole;                   /* MESSAGE: every byte of it was given as content */
    uint16_t code;                /* CLOSE; 1005 when the frame names none */
    uint64_t size;                /* FRAME: payload bytes on the wire */
    struct span bytes;
};
typedef void websocket_told(void *context, const struct websocket_event *event);

/*
 * Of a compressed message so many bytes are given as content; the rest is decompressed only for
 * what comes after it. Of a message that is not compressed everything is given: it costs its sender
 * as much as it costs the gateway.
 */
#define WEBSOCKET_CONTENT_LIMIT (1024u * 1024)
/*
 * Watching is given up when messages (those of more than WEBSOCKET_BOMB_SMALL bytes, where a ratio
 * says something: with context takeover a heartbeat shrinks to a few bytes) make more than
 * WEBSOCKET_BOMB_SIZE bytes and more than WEBSOCKET_BOMB_RATIO times what they are on the wire.
 */
#define WEBSOCKET_BOMB_SMALL (64u * 1024)
#define WEBSOCKET_BOMB_SIZE  (16u * 1024 * 1024)
#define WEBSOCKET_BOMB_RATIO 64u

struct websocket;

/*
 * The direction from the client, or from the server. `parameters` are copied. `told` must not feed
 * or free the parser; it may call websocket_unwatch().
 */
struct websocket *websocket_new_client(const struct websocket_parameters *parameters,
                                       websocket_told *told, void *context);
struct websocket *websocket_new_server(const struct websocket_parameters *parameters,
                                       websocket_told *told, void *context);
void websocket_free(struct websocket *parser);

/*
 * Gives no content from here on, and holds no decompressor; frames are still checked, as is the
 * text of messages that are not compressed. There is no way back: the context of what follows is
 * lost.
 */
void websocket_unwatch(struct websocket *parser);

/*
 * Takes bytes of any number. WEBSOCKET_ERROR_NONE: they may be passed on. Otherwise some byte of
 * them breaks the protocol, and every later call says so too; events for what came before that byte
 * were given.
 */
enum websocket_error websocket_feed(struct websocket *parser, const void *bytes, size_t size);

/* True when no frame and no message is under way: another frame may be put in, or the end comes. */
bool websocket_is_between(const struct websocket *parser);

/* True once a close frame was read. */
bool websocket_is_closed(const struct websocket *parser);

#endif
