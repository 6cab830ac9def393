/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One end of a connection: a non-blocking socket, with or without TLS on it, and the bytes that
 * wait to be written. The owner is told when there is something to read, when the output has
 * drained, when a handshake is over and when the peer is gone.
 */
#ifndef GATEWAY_CHANNEL_H
#define GATEWAY_CHANNEL_H

#include <event2/buffer.h>
#include <event2/event.h>
#include <openssl/ssl.h>

#include "filters/span.h"

enum channel_event {
    CHANNEL_READABLE,   /* call channel_read() until it says CHANNEL_AGAIN, or pause */
    CHANNEL_DRAINED,    /* what had to wait for the socket has left */
    CHANNEL_HANDSHAKEN, /* TLS is up */
    CHANNEL_PAUSED,     /* the handshake waits for something else: see channel_resume() */
    CHANNEL_FAILED,     /* the handshake or the connection failed; nothing more will come */
    CHANNEL_FINISHED    /* after channel_finish_and_tell(): free it */
};

struct channel;
typedef void channel_handler(void *context, struct channel *channel, enum channel_event event);

/*
 * A loop for channels: one that has more to read each time it was told so does not keep the loop
 * from looking at the other sockets. NULL without memory or descriptors.
 */
struct event_base *channel_loop_new(void);

/* Takes the socket. */
struct channel *channel_new(struct event_base *base, int fd, channel_handler *handler,
                            void *context);
void channel_set_handler(struct channel *channel, channel_handler *handler, void *context);
/* Closes at once; with `reset` by RST, so that the peer sees that the message is not whole. */
void channel_free(struct channel *channel);
void channel_reset(struct channel *channel);
/*
 * Writes what is left, says goodbye (close_notify, FIN), swallows what the peer still sends, within
 * these bounds, and frees itself. The owner must forget the channel.
 */
#define CHANNEL_LINGER       2000   /* ms that the peer may take to close after our goodbye */
#define CHANNEL_LINGER_BYTES 262144 /* swallowed at the most */
void channel_finish(struct channel *channel);
/*
 * The same, but the channel stays its owner's: `handler` is told CHANNEL_FINISHED, from the loop,
 * when all that is over, and nothing before.
 */
void channel_finish_and_tell(struct channel *channel, channel_handler *handler, void *context);

/* Gives the socket back and frees the channel without closing it. Not after TLS began. */
int channel_detach(struct channel *channel);

/* Bytes that were already read from the socket and come before what it still holds. Copied. */
void channel_replay(struct channel *channel, const void *bytes, size_t size);

/* Begins a TLS handshake; takes `ssl`. Ends in CHANNEL_HANDSHAKEN or CHANNEL_FAILED. */
void channel_start_tls(struct channel *channel, SSL *ssl, bool as_server);
/* After CHANNEL_PAUSED: the handshake goes on, from the loop. */
void channel_resume(struct channel *channel);
SSL *channel_ssl(const struct channel *channel);

enum channel_result { CHANNEL_DATA, CHANNEL_AGAIN, CHANNEL_END, CHANNEL_ERROR };
/* CHANNEL_END: the peer said in an orderly way that nothing more comes. */
enum channel_result channel_read(struct channel *channel, void *bytes, size_t size, size_t *got);
/* Gives back what was read but not used: the next read returns it first. Copied. */
void channel_unread(struct channel *channel, const void *bytes, size_t size);

/* Whether CHANNEL_READABLE is wanted. Off at first. */
void channel_want_read(struct channel *channel, bool wanted);

/* What is to be written: append, then channel_flush(), which never calls the handler. */
struct evbuffer *channel_output(struct channel *channel);
void channel_flush(struct channel *channel);
size_t channel_pending(const struct channel *channel);

/* After CHANNEL_FAILED: what OpenSSL or the system says of it. Static storage. */
const char *channel_error(const struct channel *channel);
/* The description of the TLS alert by which the peer ended it (RFC 8446, section 6); -1 for none.
 */
int channel_alert(const struct channel *channel);

int channel_fd(const struct channel *channel);
uint64_t channel_bytes_read(const struct channel *channel);
uint64_t channel_bytes_written(const struct channel *channel);

#endif
