/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * One end of an HTTP/2 connection: the session of nghttp2, what it tells turned into events, and
 * the bounds on what a peer can make us do for nothing. What has to be told while nghttp2 is at
 * work on its own frames (the end of a stream, how much went out) waits in a list until it is done.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/http2_private.h"

#define QUEUED_FRAMES 4000 /* that wait to be pulled: answers to a peer that does not read */
#define CONTINUATIONS 1000
#define OUTBOUND_ACKS 100 /* of PING and SETTINGS */

const struct http2_options HTTP2_DEFAULTS = {
    .limits = {.line = 16384, .head = 65536, .fields = 128},
    .streams = 100,
    .stream_window = 1 << 20,
    .connection_window = 16 << 20,
    .resets = {.burst = 400, .rate = 20},
    .nothing = {.burst = 4000, .rate = 400},
};

/* --- telling --- */

void http2_tell(struct http2 *connection, struct http2_event *event)
{
    if (!connection->options.handler)
        return;
    connection->busy = true;
    connection->options.handler(connection->options.context, event);
    connection->busy = false;
}

void http2_tell_stream(struct http2_stream *stream, struct http2_event *event)
{
    const struct http2 *connection = stream->connection;
    if (!stream->owned || connection->told || connection->by_user)
        return;
    event->stream = stream;
    event->user = stream->user;
    http2_tell(stream->connection, event);
}

/* --- streams --- */

struct http2_stream *http2_stream_of(nghttp2_session *session, int32_t id)
{
    return nghttp2_session_get_stream_user_data(session, id);
}

struct http2_stream *http2_stream_new(struct http2 *connection, void *user)
{
    struct http2_stream *stream = memory_allocate(1, sizeof(*stream));
    stream->connection = connection;
    stream->user = user;
    stream->next = connection->streams;
    if (stream->next)
        stream->next->previous = stream;
    connection->streams = stream;
    connection->open++;
    return stream;
}

/* All that a stream holds beside itself. */
static void stream_empty(struct http2_stream *stream)
{
    if (stream->queue)
        evbuffer_free(stream->queue);
    stream->queue = NULL;
    free(stream->trailer);
    stream->trailer = NULL;
    stream->connection->heads -= stream->head_size;
    stream->head_size = 0;
    free(stream->head_block);
    stream->head_block = NULL;
}

static void stream_free(struct http2_stream *stream)
{
    struct http2 *connection = stream->connection;
    if (stream->previous)
        stream->previous->next = stream->next;
    else
        connection->streams = stream->next;
    if (stream->next)
        stream->next->previous = stream->previous;
    stream_empty(stream);
    free(stream);
}

/* It goes when neither the user, nor nghttp2, nor the list of those with news knows it. */
void http2_stream_drop(struct http2_stream *stream)
{
    if (!stream->owned && stream->closed && !stream->changed)
        stream_free(stream);
}

void http2_stream_change(struct http2_stream *stream)
{
    struct http2 *connection = stream->connection;
    if (stream->changed)
        return;
    stream->changed = true;
    stream->next_changed = NULL;
    *connection->changed_end = stream;
    connection->changed_end = &stream->next_changed;
}

void http2_release_stream(struct http2_stream *stream, uint32_t code)
{
    struct http2 *connection = stream->connection;
    nghttp2_session_consume_connection(connection->session, stream->unconsumed);
    stream->unconsumed = 0;
    stream->owned = false;
    stream->let_go = true;
    if (!stream->closed)
        nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, stream->id, code);
    stream_empty(stream);
    http2_stream_drop(stream);
}

/* A request that never was told of. */
static void stream_tell_refused(struct http2_stream *stream)
{
    struct http2_event event = {.kind = HTTP2_REFUSED, .code = stream->code};
    event.error = stream->error != HTTP2_ERROR_NONE ? stream->error : HTTP2_ERROR_MESSAGE;
    event.last = stream->id;
    stream->told = true;
    if (!stream->connection->told && !stream->connection->by_user)
        http2_tell(stream->connection, &event);
}

static void stream_tell_over(struct http2_stream *stream)
{
    struct http2_event event = {.kind = HTTP2_RESET, .code = stream->code, .error = stream->error};
    bool whole = (stream->end_got || stream->stopped) && stream->end_sent;
    if (stream->code == HTTP2_NO_ERROR && whole)
        event.kind = HTTP2_CLOSED;
    stream->told = true;
    http2_tell_stream(stream, &event);
}

static void stream_tell_changes(struct http2_stream *stream)
{
    size_t sent = stream->sent;
    stream->sent = 0;
    if (sent > 0) {
        struct http2_event event = {.kind = HTTP2_SENT, .size = sent};
        http2_tell_stream(stream, &event);
    }
    if (!stream->closed || stream->told)
        return;
    if (stream->connection->server && !stream->final)
        stream_tell_refused(stream);
    else
        stream_tell_over(stream);
}

static bool changes_tell(struct http2 *connection)
{
    bool told = connection->changed != NULL;
    while (connection->changed) {
        struct http2_stream *stream = connection->changed;
        connection->changed = stream->next_changed;
        if (!connection->changed)
            connection->changed_end = &connection->changed;
        stream_tell_changes(stream); /* still marked: it cannot go meanwhile */
        stream->changed = false;
        if (stream->sent > 0)
            http2_stream_change(stream);
        http2_stream_drop(stream);
    }
    return told;
}

static int on_stream_close(nghttp2_session *session, int32_t id, uint32_t code, void *context)
{
    struct http2_stream *stream = http2_stream_of(session, id);
    struct http2 *connection = context;
    if (!stream || stream->closed)
        return 0;
    bool not_sent = stream->error == HTTP2_ERROR_NOT_SENT;
    stream->closed = true;
    /* What never left may be tried again elsewhere. */
    stream->code = not_sent && !connection->server ? HTTP2_REFUSED_STREAM : code;
    connection->open--;
    connection->interims -= stream->interims;
    stream->interims = 0;
    http2_stream_change(stream);
    return 0;
}

/* --- the connection --- */

/*
 * Every session of nghttp2 keeps a buffer for the frame it writes, two thirds of all that an idle
 * one holds. The buffer is needed only inside http2_pull(), where no other connection's can be, so
 * all of them share one. (The preface of a client, which stands in it from the start, is taken out
 * at once.) A buffer of another size, or a second one, is not shared.
 */
uint8_t http2_frame_buffer[HTTP2_FRAME_BUFFER];

static void *memory_change(void *pointer, size_t size, void *context)
{
    struct http2 *connection = context;
    if (pointer == http2_frame_buffer) {
        void *grown = memory_allocate(size > HTTP2_FRAME_BUFFER ? size : HTTP2_FRAME_BUFFER, 1);
        connection->buffer_lent = false;
        return memcpy(grown, pointer, HTTP2_FRAME_BUFFER);
    }
    if (!pointer && size == HTTP2_FRAME_BUFFER && !connection->buffer_lent) {
        connection->buffer_lent = true;
        return http2_frame_buffer;
    }
    return memory_resize(pointer, size ? size : 1, 1);
}

static void *memory_new(size_t size, void *context)
{
    return memory_change(NULL, size, context);
}

static void *memory_new_zeroed(size_t count, size_t size, void *context)
{
    (void)context;
    return memory_allocate(count ? count : 1, size ? size : 1);
}

static void memory_release(void *pointer, void *context)
{
    struct http2 *connection = context;
    if (pointer == http2_frame_buffer)
        connection->buffer_lent = false;
    else
        free(pointer);
}

static nghttp2_session_callbacks *callbacks_new(void)
{
    nghttp2_session_callbacks *callbacks;
    if (nghttp2_session_callbacks_new(&callbacks) != 0)
        abort();
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
    http2_register_receiving(callbacks);
    http2_register_sending(callbacks);
    return callbacks;
}

static void session_create(struct http2 *connection)
{
    nghttp2_mem memory = {connection, memory_new, memory_release, memory_new_zeroed, memory_change};
    nghttp2_session_callbacks *callbacks = callbacks_new();
    nghttp2_option *option;
    int result;
    if (nghttp2_option_new(&option) != 0)
        abort();
    nghttp2_option_set_no_auto_window_update(option, 1);
    nghttp2_option_set_no_closed_streams(option, 1);
    nghttp2_option_set_max_outbound_ack(option, OUTBOUND_ACKS);
    /* It would count the pieces of their heads too, of which there may be nine: see
     * http2_walk_frame(). */
    nghttp2_option_set_max_continuations(option, CONTINUATIONS);
    nghttp2_option_set_max_reserved_remote_streams(option, 0);
    /* Room for the worst coding of the largest head, and what nghttp2 reckons beside it. */
    nghttp2_option_set_max_send_header_block_length(option,
                                                    4 * connection->options.limits.head + 65536);
    if (connection->server)
        result = nghttp2_session_server_new3(&connection->session, callbacks, connection, option,
                                             &memory);
    else
        result = nghttp2_session_client_new3(&connection->session, callbacks, connection, option,
                                             &memory);
    if (result != 0) /* only for want of memory, which memory_new() ends the process for */
        abort();
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
}

/* The preface goes out with the first http2_pull(): see http2_frame_buffer. */
static void preface_take(struct http2 *connection)
{
    const uint8_t *bytes;
    if (nghttp2_session_mem_send(connection->session, &bytes) != NGHTTP2_CLIENT_MAGIC_LEN ||
        memcmp(bytes, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN) != 0)
        abort();
    connection->preface = true;
}

static void settings_submit(struct http2 *connection)
{
    const struct http2_options *options = &connection->options;
    const nghttp2_settings_entry server[] = {
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options->streams},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options->stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)options->limits.head},
        {NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES, 1},
        {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1},
    };
    const nghttp2_settings_entry client[] = {
        {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
        {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 0},
        {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options->stream_window},
        {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, (uint32_t)options->limits.head},
    };
    size_t server_count = sizeof(server) / sizeof(server[0]) - (options->connect_protocol ? 0 : 1);
    size_t client_count = sizeof(client) / sizeof(client[0]);
    nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE,
                            connection->server ? server : client,
                            connection->server ? server_count : client_count);
    nghttp2_session_set_local_window_size(connection->session, NGHTTP2_FLAG_NONE, 0,
                                          (int32_t)options->connection_window);
}

static struct http2 *connection_new(const struct http2_options *options, bool server)
{
    struct http2 *connection = memory_allocate(1, sizeof(*connection));
    connection->options = *options;
    connection->server = server;
    connection->changed_end = &connection->changed;
    connection->frame_left = server ? NGHTTP2_CLIENT_MAGIC_LEN : 0;
    connection->resets.allowance = options->resets;
    connection->nothing.allowance = options->nothing;
    session_create(connection);
    if (!server)
        preface_take(connection);
    settings_submit(connection);
    return connection;
}

struct http2 *http2_new_server(const struct http2_options *options)
{
    return connection_new(options, true);
}

struct http2 *http2_new_client(const struct http2_options *options)
{
    return connection_new(options, false);
}

void http2_free(struct http2 *connection)
{
    if (!connection)
        return;
    nghttp2_session_del(connection->session);
    while (connection->streams)
        stream_free(connection->streams);
    http2_section_clear(&connection->section);
    free(connection);
}

/* --- bytes --- */

void http2_fail(struct http2 *connection, enum http2_error error)
{
    static const uint32_t CODE[] = {
#define X(symbol, text, status, code) code,
        HTTP2_ERRORS(X)
#undef X
    };
    if (connection->failed)
        return;
    connection->failed = true;
    connection->error = error;
    connection->code = CODE[error];
}

/* Outside of nghttp2: the GOAWAY for what http2_fail() was called for, and the event. */
static void failure_tell(struct http2 *connection)
{
    struct http2_event event = {
        .kind = HTTP2_ERROR, .error = connection->error, .code = connection->code};
    if (connection->told || connection->error == HTTP2_ERROR_NONE)
        return;
    connection->told = true;
    nghttp2_session_terminate_session(connection->session, connection->code);
    http2_tell(connection, &event);
}

static enum http2_error error_of(ssize_t result)
{
    switch (result) {
    case NGHTTP2_ERR_BAD_CLIENT_MAGIC:
        return HTTP2_ERROR_PREFACE;
    case NGHTTP2_ERR_FLOODED:
        return HTTP2_ERROR_ANSWER_FLOOD;
    case NGHTTP2_ERR_TOO_MANY_CONTINUATIONS:
        return HTTP2_ERROR_FRAME_FLOOD;
    default:
        return HTTP2_ERROR_PROTOCOL;
    }
}

void http2_feed(struct http2 *connection, const void *bytes, size_t size, int64_t now)
{
    const uint8_t *at = bytes;
    connection->now = now;
    while (size > 0 && !connection->failed) {
        enum http2_error fault;
        size_t piece = http2_walk_frame(connection, at, size, &fault);
        ssize_t result = nghttp2_session_mem_recv(connection->session, at, piece);
        at += piece;
        size -= piece;
        if (result < 0)
            http2_fail(connection, error_of(result));
        else if (fault != HTTP2_ERROR_NONE)
            http2_fail(connection, fault);
        else if (nghttp2_session_get_outbound_queue_size(connection->session) > QUEUED_FRAMES)
            http2_fail(connection, HTTP2_ERROR_ANSWER_FLOOD);
    }
    changes_tell(connection);
    failure_tell(connection);
}

/* Until nothing is left, or the limit is reached. */
static void frames_pull(struct http2 *connection, struct evbuffer *out, size_t end)
{
    const uint8_t *bytes;
    ssize_t size;
    connection->out = out;
    connection->out_end = end;
    while (evbuffer_get_length(out) < end) {
        size = nghttp2_session_mem_send(connection->session, &bytes);
        if (size <= 0)
            break;
        if (evbuffer_add(out, bytes, (size_t)size) != 0)
            abort(); /* a stream of frames with a hole in it would be another stream */
    }
    connection->out = NULL;
}

void http2_pull(struct http2 *connection, struct evbuffer *out, size_t limit)
{
    size_t end = evbuffer_get_length(out) + limit;
    if (connection->preface &&
        evbuffer_add(out, NGHTTP2_CLIENT_MAGIC, NGHTTP2_CLIENT_MAGIC_LEN) != 0)
        abort();
    connection->preface = false;
    do {
        frames_pull(connection, out, end);
        if (connection->error != HTTP2_ERROR_NONE && !connection->told) {
            failure_tell(connection);
            frames_pull(connection, out, end);
        }
    } while (changes_tell(connection));
}

bool http2_wants_pull(const struct http2 *connection)
{
    return connection->preface || connection->changed ||
           nghttp2_session_want_write(connection->session);
}

bool http2_is_busy(const struct http2 *connection)
{
    return connection->busy;
}

bool http2_is_idle(const struct http2 *connection)
{
    return connection->open == 0;
}

bool http2_is_over(const struct http2 *connection)
{
    return !nghttp2_session_want_write(connection->session) &&
           (connection->failed || !nghttp2_session_want_read(connection->session));
}

enum http2_error http2_error(const struct http2 *connection)
{
    return connection->error;
}

const char *http2_error_text(enum http2_error error)
{
    static const char *const TEXT[] = {
#define X(symbol, text, status, code) text,
        HTTP2_ERRORS(X)
#undef X
    };
    return TEXT[error];
}
