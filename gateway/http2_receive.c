/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The receiving half of the HTTP/2 adapter: frames as nghttp2 tells them, turned into heads, bodies
 * and ends, and the bounds on what a peer can make us do for nothing.
 */
#include <stdlib.h>

#include "gateway/http2_private.h"

#define FRAME_HEAD     9
#define PADDING        256 /* bytes of the longest, and of its length */
#define CONTINUATIONS  16  /* frames of 16 kB for one head */
#define FRAME_EARNINGS 512 /* so many bytes of body sent allow the peer one WINDOW_UPDATE, */
#define HEAD_EARNINGS  3   /* and every head a few frames */
#define HEADS          16  /* of the largest size that streams may have together */
#define UNFOLDED       4   /* of the largest size: more than that is not decoded to the end */

/* --- floods --- */

/* False when the allowance is used up. */
static bool bucket_take(struct http2_bucket *bucket, int64_t now)
{
    int64_t passed = now - bucket->at;
    if (passed > 0) {
        uint64_t back = (uint64_t)(passed < 3600000 ? passed : 3600000) * bucket->allowance.rate;
        bucket->spent -= back < bucket->spent ? back : bucket->spent;
        bucket->at = now;
    }
    bucket->spent += 1000;
    return bucket->spent <= (uint64_t)bucket->allowance.burst * 1000;
}

static void bucket_give(struct http2_bucket *bucket, size_t count)
{
    uint64_t back = (uint64_t)count * 1000;
    bucket->spent -= back < bucket->spent ? back : bucket->spent;
}

void http2_count_reset(struct http2 *connection)
{
    if (connection->server && !bucket_take(&connection->resets, connection->now))
        http2_fail(connection, HTTP2_ERROR_RESET_FLOOD);
}

void http2_earn_frames(struct http2 *connection, size_t bytes)
{
    connection->body_sent += bytes;
    bucket_give(&connection->nothing, connection->body_sent / FRAME_EARNINGS);
    connection->body_sent %= FRAME_EARNINGS;
}

/*
 * DATA with something in it and heads are messages, which the streams and their windows bound. A
 * stream brings a few frames beside them, and the body that we send its window updates.
 */
static bool carries_nothing(uint8_t type, uint8_t flags, size_t size)
{
    if (type != NGHTTP2_DATA)
        return type != NGHTTP2_HEADERS;
    bool may_be_padding = flags & NGHTTP2_FLAG_PADDED && size <= PADDING;
    return !(flags & NGHTTP2_FLAG_END_STREAM) && (size == 0 || may_be_padding);
}

/*
 * HEADERS on a stream that is over, or was passed over: it is decoded, for the tables' sake, and
 * told to nobody. One may come too late without a fault of the peer's; many are a flood.
 */
static bool is_stray(struct http2 *connection, uint8_t type, int32_t id)
{
    if (type != NGHTTP2_HEADERS)
        return false;
    if (connection->server && id > connection->last_head) {
        connection->last_head = id;
        return false;
    }
    return http2_stream_of(connection->session, id) == NULL;
}

static struct http2_opened *find_opened(struct http2 *connection, int32_t id)
{
    for (size_t i = 0; i < HTTP2_OPENED && i < connection->opened_count; i++)
        if (connection->opened[i].id == id)
            return &connection->opened[i];
    return NULL;
}

static void note_opened(struct http2 *connection, int32_t id)
{
    struct http2_opened *row = &connection->opened[connection->opened_count++ % HTTP2_OPENED];
    *row = (struct http2_opened){.id = id};
}

/*
 * RFC 9113 sections 5.1 and 5.1.1: after the end of its message, or its own RST_STREAM, a client
 * sends no more on a stream, nor on one that it passed over. On a stream that we have reset it may,
 * for it may not know yet.
 */
static enum http2_error stream_check(struct http2 *connection, uint8_t type, uint8_t flags,
                                     int32_t id)
{
    bool is_message = type == NGHTTP2_DATA || type == NGHTTP2_HEADERS;
    if (!connection->server || (!is_message && type != NGHTTP2_RST_STREAM))
        return HTTP2_ERROR_NONE;
    if (type == NGHTTP2_HEADERS && id > connection->last_head)
        note_opened(connection, id);
    struct http2_opened *opened = find_opened(connection, id);
    bool is_open = http2_stream_of(connection->session, id) != NULL;
    if (is_message && opened != NULL && opened->over && !is_open)
        return HTTP2_ERROR_STREAM_CLOSED;
    if (is_message && opened == NULL && id <= connection->last_head &&
        connection->opened_count <= HTTP2_OPENED)
        return HTTP2_ERROR_PROTOCOL;
    if (opened != NULL && (!is_message || flags & NGHTTP2_FLAG_END_STREAM))
        opened->over = true;
    return HTTP2_ERROR_NONE;
}

/* What the peer does wrong by sending this frame, and the code for it. */
static enum http2_error frame_check(struct http2 *connection, const uint8_t head[FRAME_HEAD],
                                    size_t size)
{
    uint8_t type = head[3];
    int32_t of_stream = (head[5] & 0x7f) << 24 | head[6] << 16 | head[7] << 8 | head[8];
    connection->continuations = type == NGHTTP2_CONTINUATION ? connection->continuations + 1 : 0;
    if (type == NGHTTP2_PRIORITY && !of_stream) /* RFC 9113 section 6.3 */
        return HTTP2_ERROR_PROTOCOL;
    if (type == NGHTTP2_PRIORITY && size != 5)
        return HTTP2_ERROR_FRAME_SIZE;
    if (connection->continuations > CONTINUATIONS)
        return HTTP2_ERROR_FRAME_FLOOD;
    if (carries_nothing(type, head[4], size) && !bucket_take(&connection->nothing, connection->now))
        return HTTP2_ERROR_FRAME_FLOOD;
    enum http2_error error = stream_check(connection, type, head[4], of_stream);
    if (error != HTTP2_ERROR_NONE)
        return error;
    /* An origin's answers to what was taken back are more, and are no fault. */
    struct http2_bucket *strays = connection->server ? &connection->resets : &connection->nothing;
    if (is_stray(connection, type, of_stream) && !bucket_take(strays, connection->now))
        return HTTP2_ERROR_FRAME_FLOOD;
    return HTTP2_ERROR_NONE;
}

/*
 * nghttp2 does not tell of all frames that it ignores, so they are counted before it; one frame at
 * a time, so that what an earlier one earned counts for a later one however the bytes were cut.
 */
size_t http2_walk_frame(struct http2 *connection, const uint8_t *bytes, size_t size,
                        enum http2_error *error)
{
    uint8_t *head = connection->frame_head;
    size_t at = 0;
    *error = HTTP2_ERROR_NONE;
    while (connection->frame_left == 0 && at < size) {
        head[connection->frame_fill++] = bytes[at++];
        if (connection->frame_fill < FRAME_HEAD)
            continue;
        connection->frame_fill = 0;
        connection->frame_left = (size_t)head[0] << 16 | (size_t)head[1] << 8 | head[2];
        *error = frame_check(connection, head, connection->frame_left);
        if (*error != HTTP2_ERROR_NONE)
            return at - 1; /* without its last byte the frame does nothing */
        if (connection->frame_left == 0)
            return at;
    }
    size_t rest = size - at;
    size_t part = rest < connection->frame_left ? rest : connection->frame_left;
    connection->frame_left -= part;
    return at + part;
}

/* --- heads --- */

static void tell_simple(struct http2_stream *stream, enum http2_event_kind kind)
{
    struct http2_event event = {.kind = kind};
    http2_tell_stream(stream, &event);
}

/* Resets a stream for what the peer did; it is told when the frame is out. */
static void stream_refuse(struct http2_stream *stream, enum http2_error error)
{
    static const uint16_t STATUS[] = {
#define X(symbol, text, status, code) status,
        HTTP2_ERRORS(X)
#undef X
    };
    static const uint32_t CODE[] = {
#define X(symbol, text, status, code) code,
        HTTP2_ERRORS(X)
#undef X
    };
    struct http2 *connection = stream->connection;
    if (stream->error == HTTP2_ERROR_NONE)
        stream->error = error;
    if (connection->server && !stream->final && STATUS[error]) {
        http2_answer_status(stream, STATUS[error]);
        return;
    }
    nghttp2_submit_rst_stream(connection->session, NGHTTP2_FLAG_NONE, stream->id, CODE[error]);
}

/* False when the streams hold too much of heads already: then it is refused. */
static bool keep_head(struct http2_stream *stream)
{
    struct http2 *connection = stream->connection;
    size_t size = http2_section_size(&connection->section);
    size_t limit = HEADS * connection->options.limits.head;
    if (size > limit - connection->heads) {
        free(stream->head_block);
        stream->head_block = NULL;
        stream_refuse(stream, HTTP2_ERROR_TOO_MANY_HEADS);
        return false;
    }
    stream->head_size = size;
    connection->heads += size;
    return true;
}

static int on_begin_headers(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct http2 *connection = context;
    http2_section_begin(&connection->section);
    if (!connection->server || frame->headers.cat != NGHTTP2_HCAT_REQUEST)
        return 0;
    struct http2_stream *stream = http2_stream_new(connection, NULL);
    stream->id = frame->hd.stream_id;
    nghttp2_session_set_stream_user_data(session, stream->id, stream);
    return 0;
}

static int on_header(nghttp2_session *session, const nghttp2_frame *frame, const uint8_t *name,
                     size_t name_size, const uint8_t *value, size_t value_size, uint8_t flags,
                     void *context)
{
    struct http2 *connection = context;
    (void)session;
    (void)frame;
    if (connection->section.listed > UNFOLDED * connection->options.limits.head) {
        http2_fail(connection, HTTP2_ERROR_HEAD_FLOOD);
        return NGHTTP2_ERR_CALLBACK_FAILURE;
    }
    http2_section_add(&connection->section, &connection->options.limits,
                      (struct span){(const char *)name, name_size},
                      (struct span){(const char *)value, value_size},
                      flags & NGHTTP2_NV_FLAG_NO_INDEX);
    return 0;
}

/* By itself nghttp2 would leave such a field out and go on. */
static int on_invalid_header(nghttp2_session *session, const nghttp2_frame *frame,
                             const uint8_t *name, size_t name_size, const uint8_t *value,
                             size_t value_size, uint8_t flags, void *context)
{
    struct http2 *connection = context;
    (void)session, (void)frame, (void)name, (void)name_size;
    (void)value, (void)value_size, (void)flags;
    if (connection->section.error == HTTP2_ERROR_NONE)
        connection->section.error = HTTP2_ERROR_FIELD;
    return 0;
}

static void take_request(struct http2_stream *stream, bool end)
{
    struct http2 *connection = stream->connection;
    enum http2_error error;
    stream->head_block = http2_section_request(&connection->section, &stream->head, &error);
    if (!stream->head_block) {
        stream_refuse(stream, error);
        return;
    }
    if (!keep_head(stream))
        return;
    /* Every stream alike, whatever the client wishes: no wish can then starve another stream. */
    nghttp2_extpri alike = {.urgency = NGHTTP2_EXTPRI_DEFAULT_URGENCY, .inc = 1};
    nghttp2_session_change_extpri_stream_priority(connection->session, stream->id, &alike, 1);
    bucket_give(&connection->nothing, HEAD_EARNINGS);
    stream->final = true;
    stream->owned = true;
    stream->head.end = end;
    struct http2_event event = {.kind = HTTP2_HEAD, .head = &stream->head};
    http2_tell_stream(stream, &event);
}

static void take_response(struct http2_stream *stream, bool end)
{
    struct http2 *connection = stream->connection;
    struct http2_head head;
    enum http2_error error;
    char *block = http2_section_response(&connection->section, &head, &error);
    if (!block) {
        stream_refuse(stream, error);
        return;
    }
    head.end = end;
    struct http2_event event = {.kind = HTTP2_INTERIM, .head = &head};
    if (head.status < 200) {
        if (bucket_take(&connection->nothing, connection->now))
            http2_tell_stream(stream, &event);
        else
            http2_fail(connection, HTTP2_ERROR_FRAME_FLOOD);
        free(block);
        return;
    }
    stream->head_block = block;
    if (!keep_head(stream))
        return;
    bucket_give(&connection->nothing, HEAD_EARNINGS);
    stream->final = true;
    stream->head = head;
    event.kind = HTTP2_HEAD;
    event.head = &stream->head;
    http2_tell_stream(stream, &event);
}

static void take_trailer(struct http2_stream *stream)
{
    struct http2 *connection = stream->connection;
    struct http2_head head = {.end = true};
    if (connection->section.error != HTTP2_ERROR_NONE) {
        stream_refuse(stream, connection->section.error);
        return;
    }
    char *block = http2_section_trailer(&connection->section, &head);
    struct http2_event event = {
        .kind = HTTP2_TRAILER, .fields = head.fields, .field_count = head.field_count};
    if (head.field_count > 0 && !stream->stopped)
        http2_tell_stream(stream, &event);
    free(block);
}

static void take_headers(struct http2_stream *stream, bool end)
{
    bool released = !stream->owned && (stream->final || !stream->connection->server);
    if (stream->error != HTTP2_ERROR_NONE || released)
        return;
    if (stream->final)
        take_trailer(stream);
    else if (stream->connection->server)
        take_request(stream, end);
    else
        take_response(stream, end);
}

static void take_end(struct http2_stream *stream)
{
    if (stream->error != HTTP2_ERROR_NONE || stream->end_got)
        return;
    stream->end_got = true;
    if (!stream->stopped)
        tell_simple(stream, HTTP2_END);
}

static void take_goaway(struct http2 *connection, const nghttp2_goaway *goaway)
{
    struct http2_event event = {
        .kind = HTTP2_GOAWAY, .code = goaway->error_code, .last = goaway->last_stream_id};
    connection->goaway = true;
    if (!connection->failed)
        http2_tell(connection, &event);
}

static int on_frame_recv(nghttp2_session *session, const nghttp2_frame *frame, void *context)
{
    struct http2 *connection = context;
    struct http2_event event = {.kind = HTTP2_SETTINGS};
    struct http2_stream *stream;
    bool end = frame->hd.flags & NGHTTP2_FLAG_END_STREAM;
    switch (frame->hd.type) {
    case NGHTTP2_HEADERS:
    case NGHTTP2_DATA:
        stream = http2_stream_of(session, frame->hd.stream_id);
        if (!stream || connection->failed)
            return 0;
        if (frame->hd.type == NGHTTP2_HEADERS) {
            take_headers(stream, end);
            http2_section_clear(&connection->section);
        }
        if (end && !connection->failed)
            take_end(stream);
        return connection->failed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    case NGHTTP2_RST_STREAM:
        http2_count_reset(connection);
        return connection->failed ? NGHTTP2_ERR_CALLBACK_FAILURE : 0;
    case NGHTTP2_SETTINGS:
        if (!(frame->hd.flags & NGHTTP2_FLAG_ACK) && !connection->failed)
            http2_tell(connection, &event);
        return 0;
    case NGHTTP2_GOAWAY:
        take_goaway(connection, &frame->goaway);
        return 0;
    default:
        return 0;
    }
}

static int on_data_chunk(nghttp2_session *session, uint8_t flags, int32_t id, const uint8_t *bytes,
                         size_t size, void *context)
{
    struct http2 *connection = context;
    struct http2_stream *stream = http2_stream_of(session, id);
    (void)flags;
    if (!stream || !stream->owned || stream->stopped || stream->error || connection->failed) {
        nghttp2_session_consume(session, id, size);
        return 0;
    }
    struct http2_event event = {.kind = HTTP2_BODY, .data = {(const char *)bytes, size}};
    stream->unconsumed += size;
    http2_tell_stream(stream, &event);
    return 0;
}

void http2_register_receiving(nghttp2_session_callbacks *callbacks)
{
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, on_invalid_header);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame_recv);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data_chunk);
}
