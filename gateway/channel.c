/* SPDX-License-Identifier: BSD-2-Clause */
/* One end of a connection: see channel.h. */
#include "gateway/channel.h"

#include <errno.h>
#include <openssl/err.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event_struct.h>

#include "filters/memory.h"
#include "gateway/deadline.h"
#include "gateway/log.h"

#define WRITE_PIECE 16384 /* one TLS record's worth */
#define WRITE_WHOLE 8192  /* so much in one piece of memory is not worth being joined to more */
#define FINISH      30000 /* ms that the rest of the output may take to leave */
#define LOOK        1000  /* microseconds between two looks at the sockets */

/* Bytes that come before those of the socket. */
struct backlog {
    uint8_t *bytes;
    size_t size, used;
};

struct channel {
    int fd;
    SSL *ssl;
    struct event readable, writable;
    struct evbuffer *output; /* made when first written to */
    struct backlog raw;      /* as they came off the wire */
    struct backlog unread;   /* plaintext that was given back */
    channel_handler *handler;
    void *context;
    uint64_t bytes_read, bytes_written;
    bool want_read;
    bool emptied; /* the socket gave less than was asked for: not again before it is readable */
    bool handshaking, as_server;
    bool paused; /* the handshake: whoever verifies waits for something */
    bool read_wants_write, write_wants_read;
    bool failed;
    unsigned long tls_error; /* OpenSSL's, of the failure */
    int system_error;        /* errno of it */
    bool finishing, said_goodbye, peer_ended;
    bool tells, finished; /* the owner is told of the end; it is there */
    size_t swallowed;
    struct deadline *linger; /* only while finishing */
};

/* --- the bytes before the socket's --- */

static size_t backlog_take(struct backlog *backlog, void *bytes, size_t size)
{
    size_t left = backlog->size - backlog->used;

    if (size > left)
        size = left;
    if (size > 0)
        memcpy(bytes, backlog->bytes + backlog->used, size);
    backlog->used += size;
    if (backlog->used == backlog->size) {
        free(backlog->bytes);
        *backlog = (struct backlog){0};
    }
    return size;
}

/* In front of what is still there. */
static void backlog_put(struct backlog *backlog, const void *bytes, size_t size)
{
    size_t left = backlog->size - backlog->used;

    if (size == 0)
        return;
    uint8_t *joined = memory_allocate(size + left, 1);
    memcpy(joined, bytes, size);
    if (left > 0)
        memcpy(joined + size, backlog->bytes + backlog->used, left);
    free(backlog->bytes);
    *backlog = (struct backlog){.bytes = joined, .size = size + left};
}

/* --- the socket --- */

/* As recv(2), but an empty socket is not asked: the loop will tell when there is more. */
static ssize_t receive(struct channel *channel, void *bytes, size_t size)
{
    if (channel->emptied && !channel->failed) {
        errno = EAGAIN;
        return -1;
    }
    ssize_t got = recv(channel->fd, bytes, size, 0);
    channel->emptied = got > 0 && (size_t)got < size;
    return got;
}

/* --- the same under OpenSSL: replayed bytes first, and no SIGPIPE --- */

static int bio_read(BIO *bio, char *bytes, int size)
{
    struct channel *channel = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    if (channel->raw.size > 0)
        return (int)backlog_take(&channel->raw, bytes, (size_t)size);
    ssize_t got = receive(channel, bytes, (size_t)size);
    if (got < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_read(bio);
    return (int)got;
}

static int bio_write(BIO *bio, const char *bytes, int size)
{
    struct channel *channel = BIO_get_data(bio);

    BIO_clear_retry_flags(bio);
    if (size <= 0)
        return 0;
    ssize_t sent = send(channel->fd, bytes, (size_t)size, MSG_NOSIGNAL);
    if (sent < 0 && (errno == EAGAIN || errno == EINTR))
        BIO_set_retry_write(bio);
    return (int)sent;
}

static long bio_control(BIO *bio, int command, long number, void *pointer)
{
    (void)bio;
    (void)number;
    (void)pointer;
    return command == BIO_CTRL_FLUSH ? 1 : 0;
}

static BIO *bio_new(struct channel *channel)
{
    static BIO_METHOD *method;

    if (method == NULL) {
        method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "channel");
        if (method == NULL || BIO_meth_set_read(method, bio_read) != 1 ||
            BIO_meth_set_write(method, bio_write) != 1 ||
            BIO_meth_set_ctrl(method, bio_control) != 1)
            fatal("no memory for a BIO method");
    }
    BIO *bio = BIO_new(method);
    if (bio == NULL)
        return NULL;
    BIO_set_data(bio, channel);
    BIO_set_init(bio, 1);
    return bio;
}

/* --- events --- */

static void tell(struct channel *channel, enum channel_event event)
{
    channel->handler(channel->context, channel, event);
}

static bool wants_input(const struct channel *channel)
{
    /* While a read waits for room to write the socket's bytes cannot be taken: no use in being
     * told. */
    if (channel->paused)
        return false;
    return ((channel->want_read || channel->handshaking) && !channel->read_wants_write) ||
           channel->write_wants_read || (channel->finishing && !channel->peer_ended);
}

/*
 * Reading is taken off the loop only when it fires unwanted: between two requests it is unwanted
 * for a moment, and most of the time nothing comes in that moment.
 */
static void update_events(struct channel *channel)
{
    bool has_output =
        channel_pending(channel) > 0 || (channel->finishing && !channel->said_goodbye);
    bool write = channel->read_wants_write ||
                 (has_output && !channel->write_wants_read && !channel->handshaking);

    if (channel->failed || channel->finished) /* the event that tells of it must stay active */
        return;
    if (wants_input(channel) && event_pending(&channel->readable, EV_READ, NULL) == 0)
        event_add(&channel->readable, NULL);
    if (write != (event_pending(&channel->writable, EV_WRITE, NULL) != 0)) {
        if (write)
            event_add(&channel->writable, NULL);
        else
            event_del(&channel->writable);
    }
}

static bool has_buffered_input(const struct channel *channel)
{
    return channel->unread.size > 0 || channel->raw.size > 0 ||
           (channel->ssl != NULL && !channel->handshaking && SSL_has_pending(channel->ssl));
}

/* The owner is told from the loop: never while it is in a call of this module. */
static void fail(struct channel *channel)
{
    channel->system_error = errno;
    channel->tls_error = channel->ssl != NULL ? ERR_peek_error() : 0;
    channel->failed = true;
    event_del(&channel->readable);
    event_del(&channel->writable);
    event_active(&channel->readable, EV_READ, 0);
}

static void handshake(struct channel *channel)
{
    channel->read_wants_write = false;
    errno = 0;
    ERR_clear_error();
    int result = channel->as_server ? SSL_accept(channel->ssl) : SSL_connect(channel->ssl);
    if (result == 1) {
        channel->handshaking = false;
        update_events(channel);
        if (channel->want_read && has_buffered_input(channel))
            event_active(&channel->readable, EV_READ, 0);
        tell(channel, CHANNEL_HANDSHAKEN);
        return;
    }
    switch (SSL_get_error(channel->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        break;
    case SSL_ERROR_WANT_WRITE:
        channel->read_wants_write = true;
        break;
    case SSL_ERROR_WANT_RETRY_VERIFY:
        channel->paused = true;
        update_events(channel);
        tell(channel, CHANNEL_PAUSED);
        return;
    default:
        channel->handshaking = false;
        fail(channel);
        return;
    }
    update_events(channel);
}

static void finish_step(struct channel *channel);
static void on_writable(evutil_socket_t fd, short what, void *argument);

static void on_readable(evutil_socket_t fd, short what, void *argument)
{
    struct channel *channel = argument;

    (void)fd;
    (void)what;
    channel->emptied = false;
    if (channel->finished) {
        tell(channel, CHANNEL_FINISHED);
    } else if (channel->failed) {
        tell(channel, CHANNEL_FAILED);
    } else if (!wants_input(channel)) {
        event_del(&channel->readable);
    } else if (channel->handshaking) {
        handshake(channel);
    } else if (channel->finishing) {
        finish_step(channel);
    } else if (channel->write_wants_read) {
        channel->write_wants_read = false;
        on_writable(fd, EV_WRITE, channel);
    } else {
        tell(channel, CHANNEL_READABLE);
    }
}

static void on_writable(evutil_socket_t fd, short what, void *argument)
{
    struct channel *channel = argument;

    (void)fd;
    (void)what;
    if (channel->handshaking) {
        handshake(channel);
    } else if (channel->read_wants_write) {
        channel->read_wants_write = false;
        update_events(channel);
        if (channel->want_read)
            event_active(&channel->readable, EV_READ, 0);
    } else if (channel->finishing) {
        finish_step(channel);
    } else {
        channel_flush(channel);
        if (!channel->failed && channel_pending(channel) == 0)
            tell(channel, CHANNEL_DRAINED);
    }
}

/* --- reading --- */

static enum channel_result read_tls(struct channel *channel, void *bytes, size_t size, size_t *got)
{
    ERR_clear_error();
    if (SSL_read_ex(channel->ssl, bytes, size, got) == 1)
        return CHANNEL_DATA;
    switch (SSL_get_error(channel->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        if (channel_pending(channel) == 0)
            SSL_free_buffers(channel->ssl); /* an idle connection holds none */
        return CHANNEL_AGAIN;
    case SSL_ERROR_WANT_WRITE:
        channel->read_wants_write = true;
        update_events(channel);
        return CHANNEL_AGAIN;
    case SSL_ERROR_ZERO_RETURN:
        return CHANNEL_END;
    default:
        channel->tls_error = ERR_peek_error();
        return CHANNEL_ERROR; /* also a connection that ends without close_notify: truncation */
    }
}

static enum channel_result read_plain(struct channel *channel, void *bytes, size_t size,
                                      size_t *got)
{
    if (channel->raw.size > 0) {
        *got = backlog_take(&channel->raw, bytes, size);
        return CHANNEL_DATA;
    }
    ssize_t result = receive(channel, bytes, size);
    if (result > 0) {
        *got = (size_t)result;
        return CHANNEL_DATA;
    }
    if (result == 0)
        return CHANNEL_END;
    return errno == EAGAIN || errno == EINTR ? CHANNEL_AGAIN : CHANNEL_ERROR;
}

enum channel_result channel_read(struct channel *channel, void *bytes, size_t size, size_t *got)
{
    *got = 0;
    if (channel->unread.size > 0) {
        *got = backlog_take(&channel->unread, bytes, size);
        return CHANNEL_DATA;
    }
    if (channel->handshaking)
        return CHANNEL_AGAIN;
    enum channel_result result = channel->ssl != NULL ? read_tls(channel, bytes, size, got)
                                                      : read_plain(channel, bytes, size, got);
    channel->bytes_read += *got;
    return result;
}

void channel_unread(struct channel *channel, const void *bytes, size_t size)
{
    backlog_put(&channel->unread, bytes, size);
}

void channel_replay(struct channel *channel, const void *bytes, size_t size)
{
    backlog_put(&channel->raw, bytes, size);
}

void channel_want_read(struct channel *channel, bool wanted)
{
    channel->want_read = wanted;
    update_events(channel);
    if (wanted && !channel->failed && !channel->handshaking && has_buffered_input(channel))
        event_active(&channel->readable, EV_READ, 0); /* the socket will not say so again */
}

/* --- writing --- */

/* Bytes that left, 0 when the socket is full, -1 on failure. */
static ssize_t write_piece(struct channel *channel, const void *bytes, size_t size)
{
    errno = 0;
    if (channel->ssl == NULL) {
        ssize_t sent = send(channel->fd, bytes, size, MSG_NOSIGNAL);
        return sent < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : sent;
    }
    size_t sent = 0;
    ERR_clear_error();
    if (SSL_write_ex(channel->ssl, bytes, size, &sent) == 1)
        return (ssize_t)sent;
    switch (SSL_get_error(channel->ssl, 0)) {
    case SSL_ERROR_WANT_READ:
        channel->write_wants_read = true;
        return 0;
    case SSL_ERROR_WANT_WRITE:
        return 0;
    default:
        return -1;
    }
}

/* Writes what the socket takes. False when the connection failed. */
static bool write_output(struct channel *channel)
{
    while (channel_pending(channel) > 0) {
        size_t size = evbuffer_get_contiguous_space(channel->output);
        if (size < WRITE_WHOLE)
            size = channel_pending(channel);
        if (size > WRITE_PIECE)
            size = WRITE_PIECE;
        const void *bytes = evbuffer_pullup(channel->output, (ev_ssize_t)size);
        ssize_t sent = bytes != NULL ? write_piece(channel, bytes, size) : -1;
        if (sent < 0)
            return false;
        if (sent == 0)
            return true;
        channel->bytes_written += (uint64_t)sent;
        evbuffer_drain(channel->output, (size_t)sent);
    }
    return true;
}

void channel_flush(struct channel *channel)
{
    if (channel->failed || channel->handshaking)
        return;
    if (!write_output(channel))
        fail(channel);
    else
        update_events(channel);
}

struct evbuffer *channel_output(struct channel *channel)
{
    if (channel->output == NULL && (channel->output = evbuffer_new()) == NULL)
        fatal("no memory for an output buffer");
    return channel->output;
}

size_t channel_pending(const struct channel *channel)
{
    return channel->output != NULL ? evbuffer_get_length(channel->output) : 0;
}

/* --- beginning and end --- */

struct event_base *channel_loop_new(void)
{
    static const struct timeval look = {0, LOOK};
    struct event_config *config = event_config_new();
    struct event_base *base = NULL;

    /* By itself libevent goes on with what is active, and with what that makes active, to the end.
     */
    if (config != NULL && event_config_set_max_dispatch_interval(config, &look, -1, 0) == 0)
        base = event_base_new_with_config(config);
    if (config != NULL)
        event_config_free(config);
    return base;
}

struct channel *channel_new(struct event_base *base, int fd, channel_handler *handler,
                            void *context)
{
    struct channel *channel = memory_allocate(1, sizeof(*channel));

    channel->fd = fd;
    channel->handler = handler;
    channel->context = context;
    event_assign(&channel->readable, base, fd, EV_READ | EV_PERSIST, on_readable, channel);
    event_assign(&channel->writable, base, fd, EV_WRITE | EV_PERSIST, on_writable, channel);
    return channel;
}

void channel_set_handler(struct channel *channel, channel_handler *handler, void *context)
{
    channel->handler = handler;
    channel->context = context;
}

void channel_start_tls(struct channel *channel, SSL *ssl, bool as_server)
{
    BIO *bio = bio_new(channel);

    channel->ssl = ssl;
    channel->as_server = as_server;
    channel->handshaking = true;
    if (bio == NULL) {
        channel->handshaking = false;
        fail(channel);
        return;
    }
    SSL_set_bio(ssl, bio, bio);
    SSL_set_read_ahead(ssl, 1); /* a record's head and body with one recv(2) */
    SSL_set_mode(ssl, SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER); /* an evbuffer's bytes move */
    /* From the loop, so that the owner is never called back before this call returns. */
    update_events(channel);
    event_active(&channel->readable, EV_READ, 0);
}

void channel_free(struct channel *channel)
{
    if (channel == NULL)
        return;
    event_del(&channel->readable);
    event_del(&channel->writable);
    if (channel->linger != NULL) {
        deadline_clear(channel->linger);
        free(channel->linger);
    }
    SSL_free(channel->ssl);
    if (channel->output != NULL)
        evbuffer_free(channel->output);
    free(channel->raw.bytes);
    free(channel->unread.bytes);
    if (channel->fd >= 0)
        close(channel->fd);
    free(channel);
}

void channel_reset(struct channel *channel)
{
    static const struct linger at_once = {1, 0};

    if (channel == NULL)
        return;
    setsockopt(channel->fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof(at_once));
    channel_free(channel);
}

/* The owner who wants to be told frees it then; without one it goes by itself. */
static void finish_over(struct channel *channel)
{
    if (!channel->tells) {
        channel_free(channel);
        return;
    }
    channel->finished = true;
    event_del(&channel->readable);
    event_del(&channel->writable);
    if (channel->linger != NULL)
        deadline_clear(channel->linger);
    event_active(&channel->readable, EV_READ, 0);
}

static void on_linger(void *context)
{
    finish_over(context);
}

static void ignore_events(void *context, struct channel *channel, enum channel_event event)
{
    (void)context;
    (void)channel;
    (void)event;
}

/* Does nothing yet when the socket has no room for the close_notify. */
static void say_goodbye(struct channel *channel)
{
    if (channel->ssl != NULL) {
        ERR_clear_error();
        int result = SSL_shutdown(channel->ssl);
        if (result < 0 && SSL_get_error(channel->ssl, result) == SSL_ERROR_WANT_WRITE)
            return;
    }
    channel->said_goodbye = true;
    shutdown(channel->fd, SHUT_WR);
    deadline_set(channel->linger, CHANNEL_LINGER);
}

/* Throws away what the peer sends. False when that is too much or the connection failed. */
static bool swallow(struct channel *channel)
{
    uint8_t waste[4096];

    while (!channel->peer_ended) {
        ssize_t got = recv(channel->fd, waste, sizeof(waste), 0);
        if (got < 0)
            return errno == EAGAIN || errno == EINTR;
        channel->peer_ended = got == 0; /* it may have closed its half only: then it still reads */
        channel->swallowed += (size_t)got;
        if (channel->swallowed >= CHANNEL_LINGER_BYTES)
            return false;
    }
    return true;
}

static void finish_step(struct channel *channel)
{
    if (!write_output(channel)) {
        finish_over(channel);
        return;
    }
    if (channel_pending(channel) == 0 && !channel->said_goodbye)
        say_goodbye(channel);
    if (!swallow(channel) || (channel->peer_ended && channel->said_goodbye)) {
        finish_over(channel);
        return;
    }
    channel->write_wants_read = false;
    update_events(channel);
}

static void begin_finish(struct channel *channel)
{
    if (channel->failed || channel->handshaking) {
        finish_over(channel);
        return;
    }
    channel->finishing = true;
    channel->want_read = false;
    channel->linger = memory_allocate(1, sizeof(*channel->linger));
    deadline_init(channel->linger, event_get_base(&channel->readable), on_linger, channel);
    deadline_set(channel->linger, FINISH);
    finish_step(channel);
}

void channel_finish(struct channel *channel)
{
    if (channel == NULL)
        return;
    channel->handler = ignore_events;
    begin_finish(channel);
}

void channel_finish_and_tell(struct channel *channel, channel_handler *handler, void *context)
{
    channel_set_handler(channel, handler, context);
    channel->tells = true;
    begin_finish(channel);
}

void channel_resume(struct channel *channel)
{
    channel->paused = false;
    update_events(channel);
    event_active(&channel->readable, EV_READ, 0);
}

SSL *channel_ssl(const struct channel *channel)
{
    return channel->ssl;
}

int channel_detach(struct channel *channel)
{
    int fd = channel->fd;

    channel->fd = -1;
    channel_free(channel);
    return fd;
}

const char *channel_error(const struct channel *channel)
{
    const char *reason =
        channel->tls_error != 0 ? ERR_reason_error_string(channel->tls_error) : NULL;

    if (reason != NULL)
        return reason;
    return channel->system_error != 0 ? strerror(channel->system_error) : "the peer closed";
}

int channel_alert(const struct channel *channel)
{
    int reason = ERR_GET_REASON(channel->tls_error);

    if (channel->tls_error == 0 || ERR_GET_LIB(channel->tls_error) != ERR_LIB_SSL ||
        reason < SSL_AD_REASON_OFFSET || reason > SSL_AD_REASON_OFFSET + UINT8_MAX)
        return -1;
    return reason - SSL_AD_REASON_OFFSET;
}

int channel_fd(const struct channel *channel)
{
    return channel->fd;
}

uint64_t channel_bytes_read(const struct channel *channel)
{
    return channel->bytes_read;
}

uint64_t channel_bytes_written(const struct channel *channel)
{
    return channel->bytes_written;
}
