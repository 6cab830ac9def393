/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The sending half of the HTTP/2 adapter: heads are given to nghttp2, which copies them; bodies
 * wait in a queue of their stream and move to the output without being copied, as the windows of
 * the peer and http2_pull() allow.
 */
#include <event2/buffer.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/http2_private.h"

#define QUEUE_ROOM 65536 /* bytes of body that should wait */
#define INTERIMS   16    /* heads of 1xx that may wait, of all streams */
#define FRAME_HEAD 9
#define FRAME_BODY                                                                                 \
    (16336 - FRAME_HEAD) /* with its head it fills a buffer of 16 kB and one record */

static bool can_send(const struct http2_stream *stream)
{
    return stream->owned && !stream->closed && stream->error == HTTP2_ERROR_NONE && !stream->ending;
}

static void trailer_submit(struct http2_stream *stream)
{
    struct http2_list list = {0};
    http2_list_fields(&list, (const struct field *)(const void *)stream->trailer,
                      stream->trailer_count, false);
    nghttp2_submit_trailer(stream->connection->session, stream->id, list.items, list.count);
    free(list.items);
}

/* --- the source of a body --- */

static ssize_t on_read(nghttp2_session *session, int32_t id, uint8_t *bytes, size_t size,
                       uint32_t *flags, nghttp2_data_source *source, void *context)
{
    struct http2_stream *stream = http2_stream_of(session, id);
    const struct http2 *connection = context;
    (void)bytes, (void)source;
    if (evbuffer_get_length(connection->out) >= connection->out_end)
        return NGHTTP2_ERR_PAUSE;
    if (!stream || (!stream->owned && !stream->ending))
        return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    size_t queued = http2_stream_queued(stream);
    if (queued == 0 && !stream->ending) {
        stream->deferred = true;
        return NGHTTP2_ERR_DEFERRED;
    }
    if (size > FRAME_BODY)
        size = FRAME_BODY;
    if (size > queued)
        size = queued;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (stream->ending && size == queued) {
        *flags |= NGHTTP2_DATA_FLAG_EOF;
        if (stream->trailer) {
            *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
            trailer_submit(stream);
        }
    }
    return (ssize_t)size;
}

/* The frame that on_read() has just announced. */
static int on_send_data(nghttp2_session *session, nghttp2_frame *frame, const uint8_t *frame_head,
                        size_t size, nghttp2_data_source *source, void *context)
{
    struct http2 *connection = context;
    struct http2_stream *stream = http2_stream_of(session, frame->hd.stream_id);
    struct evbuffer_iovec room;
    (void)source;
    /* In one piece, as it will be encrypted. */
    if (evbuffer_reserve_space(connection->out, (ev_ssize_t)(FRAME_HEAD + size), &room, 1) != 1)
        abort();
    memcpy(room.iov_base, frame_head, FRAME_HEAD);
    if (size > 0 &&
        evbuffer_remove(stream->queue, (uint8_t *)room.iov_base + FRAME_HEAD, size) != (int)size)
        abort();
    room.iov_len = FRAME_HEAD + size;
    if (evbuffer_commit_space(connection->out, &room, 1) != 0)
        abort();
    if (size == 0)
        return 0;
    http2_earn_frames(connection, size);
    stream->sent += size;
    http2_stream_change(stream);
    return 0;
}

static const nghttp2_data_provider BODY = {.read_callback = on_read};

static void body_resume(struct http2_stream *stream)
{
    if (!stream->deferred)
        return;
    stream->deferred = false;
    nghttp2_session_resume_data(stream->connection->session, stream->id);
}

/* --- what went out --- */

/* After the end of our message a client that is still sending is told to stop. */
static void end_take(struct http2_stream *stream)
{
    stream->end_sent = true;
    if (stream->stopped && !stream->end_got)
        nghttp2_submit_rst_stream(stream->connection->session, NGHTTP2_FLAG_NONE, stream->id,
                                  HTTP2_NO_ERROR);
}

/* A reset that the peer brought about counts as one of its own: it costs us the same. */
static void reset_take(struct http2 *connection, const struct http2_stream *stream)
{
    bool ours = stream && stream->error == HTTP2_ERROR_NONE && (stream->let_go || stream->stopped);
    if (!ours)
        http2_count_reset(connection);
}

/* The heads of a stream go in their order: those of 1xx come first. */
static void interim_take(struct http2_stream *stream)
{
    if (stream->interims == 0)
        return;
    stream->interims--;
    stream->connection->interims--;
}

static int on_frame_send(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct http2 *connection = context;
    struct http2_stream *stream = http2_stream_of(session, frame->hd.stream_id);
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
        if (stream)
            interim_take(stream);
        /* fall through */
    case NGHTTP2_DATA:
        if (stream && frame->hd.flags & NGHTTP2_FLAG_END_STREAM)
            end_take(stream);
        return 0;
    case NGHTTP2_RST_STREAM:
        reset_take(connection, stream);
        return 0;
    case NGHTTP2_GOAWAY:
        if (frame->goaway.error_code != HTTP2_NO_ERROR && !connection->by_user &&
            !connection->failed) {
            http2_fail(connection, HTTP2_ERROR_PROTOCOL);
            connection->code = frame->goaway.error_code;
        }
        return 0;
    default:
        return 0;
    }
}

/* A head that nghttp2 would not send: too large, or a request after GOAWAY, which it closes. */
static int on_frame_not_send(nghttp2_session *session, const nghttp2_frame *frame, int error,
                             void *context)
{
    struct http2 *connection = context;
    struct http2_stream *stream = http2_stream_of(session, frame->hd.stream_id);
    (void)error;
    if (frame->hd.type != NGHTTP2_HEADERS || !stream || stream->closed)
        return 0;
    interim_take(stream);
    if (stream->error == HTTP2_ERROR_NONE && stream->owned)
        stream->error = HTTP2_ERROR_NOT_SENT;
    if (connection->server)
        nghttp2_submit_rst_stream(session, NGHTTP2_FLAG_NONE, stream->id, HTTP2_INTERNAL_ERROR);
    return 0;
}

void http2_register_sending(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_send);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, on_frame_not_send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, on_send_data);
}

/* --- heads --- */

struct http2_stream *http2_send_request(struct http2 *connection, const struct http2_head *head,
                                        void *user)
{
    struct http2_list list = {0};
    if (connection->server || connection->failed || connection->by_user || connection->goaway)
        return NULL;
    struct http2_stream *stream = http2_stream_new(connection, user);
    stream->owned = true;
    stream->answered = true;
    stream->ending = head->end;
    http2_list_request(&list, head);
    stream->id = nghttp2_submit_request(connection->session, NULL, list.items, list.count,
                                        head->end ? NULL : &BODY, stream);
    free(list.items);
    if (stream->id > 0)
        return stream;
    stream->closed = true; /* the ids are used up */
    connection->open--;
    stream->owned = false;
    http2_stream_drop(stream);
    return NULL;
}

void http2_send_interim(struct http2_stream *stream, const struct http2_head *head)
{
    struct http2_list list = {0};
    if (!can_send(stream) || stream->answered || head->status < 100 || head->status > 199 ||
        stream->connection->interims == INTERIMS)
        return;
    stream->interims++;
    stream->connection->interims++;
    http2_list_response(&list, head);
    nghttp2_submit_headers(stream->connection->session, NGHTTP2_FLAG_NONE, stream->id, NULL,
                           list.items, list.count, NULL);
    free(list.items);
}

void http2_send_response(struct http2_stream *stream, const struct http2_head *head)
{
    struct http2_list list = {0};
    if (!can_send(stream) || stream->answered)
        return;
    stream->answered = true;
    stream->ending = head->end;
    http2_list_response(&list, head);
    nghttp2_submit_response(stream->connection->session, stream->id, list.items, list.count,
                            head->end ? NULL : &BODY);
    free(list.items);
}

void http2_answer_status(struct http2_stream *stream, unsigned status)
{
    struct http2_head head = {.status = status, .end = true};
    struct http2_list list = {0};
    http2_list_response(&list, &head);
    stream->answered = stream->ending = stream->stopped = true;
    nghttp2_submit_response(stream->connection->session, stream->id, list.items, list.count, NULL);
    free(list.items);
}

/* --- bodies --- */

static bool queue_open(struct http2_stream *stream)
{
    if (!can_send(stream) || !stream->answered)
        return false;
    if (!stream->queue && !(stream->queue = evbuffer_new()))
        abort();
    return true;
}

void http2_send_body(struct http2_stream *stream, struct span data)
{
    if (data.size == 0 || !queue_open(stream))
        return;
    if (evbuffer_add(stream->queue, data.data, data.size) != 0)
        abort();
    body_resume(stream);
}

void http2_send_buffer(struct http2_stream *stream, struct evbuffer *data)
{
    if (evbuffer_get_length(data) == 0 || !queue_open(stream))
        return;
    if (evbuffer_add_buffer(stream->queue, data) != 0)
        abort();
    body_resume(stream);
}

/* A copy of the fields in one block. */
static char *fields_copy(const struct field *fields, size_t count)
{
    size_t size = count * sizeof(*fields);
    for (size_t i = 0; i < count; i++)
        size += fields[i].name.size + fields[i].value.size;
    char *block = memory_allocate(size, 1), *at = block + count * sizeof(*fields);
    struct field *copy = (struct field *)(void *)block;
    for (size_t i = 0; i < count; i++) {
        const struct span from[] = {fields[i].name, fields[i].value};
        struct span *to[] = {&copy[i].name, &copy[i].value};
        for (size_t j = 0; j < 2; j++) {
            *to[j] = (struct span){at, from[j].size};
            if (from[j].size > 0)
                memcpy(at, from[j].data, from[j].size);
            at += from[j].size;
        }
    }
    return block;
}

void http2_send_trailer(struct http2_stream *stream, const struct field *fields, size_t count)
{
    if (can_send(stream) && stream->answered && count > 0) {
        stream->trailer = fields_copy(fields, count);
        stream->trailer_count = count;
    }
    http2_send_end(stream);
}

void http2_send_end(struct http2_stream *stream)
{
    if (!can_send(stream) || !stream->answered)
        return;
    stream->ending = true;
    body_resume(stream);
}

size_t http2_stream_queued(const struct http2_stream *stream)
{
    return stream->queue ? evbuffer_get_length(stream->queue) : 0;
}

size_t http2_stream_room(const struct http2_stream *stream)
{
    size_t queued = http2_stream_queued(stream);
    return can_send(stream) && queued < QUEUE_ROOM ? QUEUE_ROOM - queued : 0;
}

/* --- windows --- */

void http2_consume_body(struct http2_stream *stream, size_t size)
{
    nghttp2_session *session = stream->connection->session;
    if (size > stream->unconsumed)
        size = stream->unconsumed;
    stream->unconsumed -= size;
    if (size == 0)
        return;
    if (stream->closed || stream->end_got)
        nghttp2_session_consume_connection(session, size);
    else
        nghttp2_session_consume(session, stream->id, size);
}

void http2_stop_stream(struct http2_stream *stream)
{
    struct http2 *connection = stream->connection;
    if (!connection->server || stream->stopped || stream->closed)
        return;
    stream->stopped = true;
    http2_consume_body(stream, stream->unconsumed);
    if (stream->end_sent)
        end_take(stream);
}

/* --- the connection --- */

void http2_announce_drain(struct http2 *connection)
{
    if (connection->server)
        nghttp2_submit_shutdown_notice(connection->session);
}

void http2_drain(struct http2 *connection)
{
    nghttp2_session *session = connection->session;
    nghttp2_submit_goaway(session, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session), NGHTTP2_NO_ERROR, NULL,
                          0);
}

void http2_terminate(struct http2 *connection, uint32_t code)
{
    connection->by_user = true;
    connection->failed = true;
    nghttp2_session_terminate_session(connection->session, code);
}

bool http2_peer_allows_connect_protocol(const struct http2 *connection)
{
    return nghttp2_session_get_remote_settings(connection->session,
                                               NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) == 1;
}

void http2_allow_connect_protocol(struct http2 *connection)
{
    const nghttp2_settings_entry entry = {NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
    if (!connection->server || connection->options.connect_protocol)
        return;
    connection->options.connect_protocol = true;
    nghttp2_submit_settings(connection->session, NGHTTP2_FLAG_NONE, &entry, 1);
}

/* --- the handle --- */

void http2_set_user(struct http2_stream *stream, void *user)
{
    stream->user = user;
}

struct http2 *http2_stream_connection(const struct http2_stream *stream)
{
    return stream->connection;
}

int32_t http2_stream_id(const struct http2_stream *stream)
{
    return stream->id;
}

const struct http2_head *http2_stream_head(const struct http2_stream *stream)
{
    return stream->head_block ? &stream->head : NULL;
}
