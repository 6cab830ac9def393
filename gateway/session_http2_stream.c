/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP/2 as the carrier of an exchange: a stream of the client's connection paired with one of the
 * origin's. What one side received is given back to its window when it went out at the other.
 */
#include "gateway/session_http2.h"

#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/replica.h"

static struct stream *stream_of(const struct exchange *exchange)
{
    return (struct stream *)(uintptr_t)exchange;
}

/* --- the end of a stream --- */

static void let_go_of_near(struct stream *stream, uint32_t code)
{
    if (stream->near != NULL)
        http2_release_stream(stream->near, code);
    stream->near = NULL;
}

static void let_go_of_far(struct stream *stream, uint32_t code)
{
    if (stream->far != NULL)
        http2_release_stream(stream->far, code);
    stream->far = NULL;
}

static void end_stream(struct stream *stream, uint32_t near_code, uint32_t far_code)
{
    session_record_cut(&stream->exchange); /* before the heads go that it tells of */
    stream->exchange.active = false;
    let_go_of_near(stream, near_code);
    let_go_of_far(stream, far_code);
    stream->dead = true;
}

void session_http2_reset_stream(struct stream *stream, uint32_t code)
{
    end_stream(stream, code, HTTP2_CANCEL);
}

void session_http2_free_stream(struct stream *stream)
{
    end_stream(stream, HTTP2_CANCEL, HTTP2_CANCEL);
    TAILQ_REMOVE(&stream->session->streams, stream, next);
    session_clear_exchange(&stream->exchange);
    free(stream->upgrade);
    free(stream);
}

/*
 * A connection that was kept alive may just have ended: nothing came on it since it was asked, and
 * it had answered before. Such a request may be made again without harm: the client does so by
 * itself, on a new connection, when it is told that the stream was refused. Any other may have been
 * served; and where the origin never answered at all it would only go round in circles.
 */
static bool is_repeatable(const struct stream *stream)
{
    const struct exchange *exchange = &stream->exchange;
    struct span method = exchange->request.method;

    return stream->session->responses > 0 && exchange->request_over && exchange->up == 0 &&
           (span_equal(method, SPAN("GET")) || span_equal(method, SPAN("HEAD"))) &&
           channel_bytes_read(stream->session->flow->far) == stream->asked_at;
}

void session_http2_orphan_stream(struct stream *stream, const char *detail)
{
    struct exchange *exchange = &stream->exchange;

    if (stream->dead)
        return;
    if (exchange->active && exchange->tunnel && exchange->released)
        session_http2_reset_stream(stream, HTTP2_CANCEL);
    else if (exchange->active && exchange->response_started)
        session_break_response(exchange, detail);
    else if (exchange->active && is_repeatable(stream))
        session_http2_reset_stream(stream, HTTP2_REFUSED_STREAM);
    else if (exchange->active)
        session_lose_origin(exchange, detail);
    let_go_of_far(stream, HTTP2_CANCEL);
}

/* --- the carrier --- */

static void send_request(struct exchange *exchange, const struct head *head)
{
    struct stream *stream = stream_of(exchange);
    const struct request *request = &exchange->request;
    struct http2_head sent = {
        .method = exchange->tunnel ? SPAN("CONNECT") : request->method,
        .protocol = exchange->tunnel ? SPAN("websocket") : SPAN(""),
        .scheme_tls = request->tls,
        .port = request->port != 443 ? request->port : 0,
        .path = request->target,
        .fields = head->fields,
        .field_count = head->field_count,
        .end = !head->has_body,
        .sensitive = head->sensitive,
    };

    memcpy(sent.host, request->host.data, request->host.size); /* shorter than HOST_TEXT */
    if (stream->session->far != NULL) {
        stream->asked_at = channel_bytes_read(stream->session->flow->far);
        stream->far = http2_send_request(stream->session->far, &sent, stream);
    }
    if (stream->far == NULL)
        session_http2_reset_stream(stream, HTTP2_REFUSED_STREAM);
    else
        session_set_deadline(exchange);
}

static void send_request_body(struct exchange *exchange, struct span data)
{
    struct stream *stream = stream_of(exchange);

    if (stream->far != NULL)
        http2_send_body(stream->far, data);
}

static void send_request_end(struct exchange *exchange, const struct field *trailer, size_t count)
{
    struct stream *stream = stream_of(exchange);

    if (stream->far != NULL)
        http2_send_trailer(stream->far, trailer, count);
}

static struct http2_head head_of(const struct head *head)
{
    return (struct http2_head){
        .status = head->status,
        .fields = head->fields,
        .field_count = head->field_count,
        .end = !head->has_body,
        .sensitive = head->sensitive,
    };
}

static void send_interim(struct exchange *exchange, const struct head *head)
{
    struct stream *stream = stream_of(exchange);
    struct http2_head sent = head_of(head);

    sent.end = false;
    if (stream->near != NULL)
        http2_send_interim(stream->near, &sent);
}

static void send_response(struct exchange *exchange, const struct head *head)
{
    struct stream *stream = stream_of(exchange);
    struct http2_head sent = head_of(head);

    if (stream->near != NULL)
        http2_send_response(stream->near, &sent);
}

static void send_response_body(struct exchange *exchange, struct span data)
{
    struct stream *stream = stream_of(exchange);

    if (stream->near != NULL)
        http2_send_body(stream->near, data);
}

static void send_response_end(struct exchange *exchange, const struct field *trailer, size_t count)
{
    struct stream *stream = stream_of(exchange);

    if (stream->near != NULL)
        http2_send_trailer(stream->near, trailer, count);
}

static void answer(struct exchange *exchange, const struct head *head, enum reason reason,
                   struct span body)
{
    struct stream *stream = stream_of(exchange);

    (void)reason;
    if (stream->near == NULL)
        return;
    send_response(exchange, head);
    http2_send_body(stream->near, body);
    http2_send_end(stream->near);
}

static size_t near_waits(const struct exchange *exchange)
{
    const struct stream *stream = stream_of(exchange);

    return stream->near != NULL ? http2_stream_queued(stream->near) : 0;
}

static bool far_waits(const struct exchange *exchange)
{
    const struct stream *stream = stream_of(exchange);

    return stream->far == NULL || http2_stream_queued(stream->far) > 0;
}

static void set_deadline(struct exchange *exchange, int64_t milliseconds)
{
    struct stream *stream = stream_of(exchange);

    stream->at = clock_monotonic() + milliseconds;
    session_http2_schedule(stream->session, stream->at);
}

/*
 * RFC 9113 section 8.1 lets a reset without an error follow an answer that comes before the request
 * is over. But there are clients that lose the answer when both arrive together, so that what they
 * still send is swallowed first, as on HTTP/1.1 when a connection ends.
 */
static void stop_lingering(struct stream *stream)
{
    stream->lingers = false;
    if (stream->near != NULL)
        http2_stop_stream(stream->near);
    set_deadline(&stream->exchange, stream->exchange.worker->configuration->timeout_body);
}

static void swallow(struct stream *stream, size_t size)
{
    http2_consume_body(stream->near, size);
    stream->swallowed += size;
    if (stream->lingers && stream->swallowed > CHANNEL_LINGER_BYTES)
        stop_lingering(stream);
}

/* It is answered: how long may it take to be over? */
static void set_last_deadline(struct stream *stream)
{
    struct exchange *exchange = &stream->exchange;

    if (stream->lingers && near_waits(exchange) == 0)
        set_deadline(exchange, CHANNEL_LINGER);
    else
        set_deadline(exchange, exchange->worker->configuration->timeout_body);
}

void session_http2_expire_stream(struct stream *stream)
{
    stream->at = 0;
    if (stream->exchange.active)
        session_expire_exchange(&stream->exchange);
    else if (stream->lingers && near_waits(&stream->exchange) == 0)
        stop_lingering(stream);
    else
        session_http2_reset_stream(stream, HTTP2_CANCEL); /* it does not take its answer */
}

static void drop_origin(struct exchange *exchange)
{
    let_go_of_far(stream_of(exchange), HTTP2_CANCEL);
}

static void reset(struct exchange *exchange)
{
    session_http2_reset_stream(stream_of(exchange), HTTP2_INTERNAL_ERROR);
}

/* Its answer may still be on its way: the stream stays until that is taken. */
static void finish(struct exchange *exchange)
{
    struct stream *stream = stream_of(exchange);

    stream->lingers = !exchange->request_over;
    if (!exchange->request_over)
        let_go_of_far(stream, HTTP2_CANCEL);
    session_clear_exchange(exchange);
    set_last_deadline(stream);
}

const struct carrier session_http2_carrier = {
    .one_authority = true,
    .send_request = send_request,
    .send_request_body = send_request_body,
    .send_request_end = send_request_end,
    .send_interim = send_interim,
    .send_response = send_response,
    .send_response_body = send_response_body,
    .send_response_end = send_response_end,
    .answer = answer,
    .near_waits = near_waits,
    .far_waits = far_waits,
    .set_deadline = set_deadline,
    .drop_origin = drop_origin,
    .reset = reset,
    .finish = finish,
};

/* --- the client's events --- */

static struct head read_head(const struct http2_head *head)
{
    return (struct head){
        .method = head->method,
        .path = head->path,
        .host = head->host,
        .port = head->port,
        .has_scheme = true,
        .scheme_tls = head->scheme_tls,
        .status = head->status,
        .fields = head->fields,
        .field_count = head->field_count,
        .has_body = !head->end,
        .sensitive = head->sensitive,
    };
}

/* RFC 8441: what asks for a WebSocket is judged as its like on HTTP/1.1 is. */
static bool read_upgrade(struct stream *stream, const struct http2_head *read, struct head *head)
{
    size_t count = read->field_count;

    if (read->end || !span_equal_nocase(read->protocol, SPAN("websocket")))
        return false;
    stream->upgrade = memory_allocate(count + 1, sizeof(*stream->upgrade));
    if (count > 0)
        memcpy(stream->upgrade, read->fields, count * sizeof(*stream->upgrade));
    stream->upgrade[count] = (struct field){SPAN("upgrade"), SPAN("websocket")};
    head->method = SPAN("GET");
    head->fields = stream->upgrade;
    head->field_count = count + 1;
    stream->exchange.tunnel = true;
    return true;
}

static void take_request(struct session_http2 *session, const struct http2_event *event)
{
    struct stream *stream = memory_allocate(1, sizeof(*stream));
    struct head head = read_head(event->head);

    stream->session = session;
    stream->exchange.flow = session->flow;
    stream->exchange.worker = session->worker;
    stream->exchange.carrier = &session_http2_carrier;
    stream->near = event->stream;
    http2_set_user(stream->near, stream);
    TAILQ_INSERT_TAIL(&session->streams, stream, next);
    session->idle_at = 0;
    if (span_equal(head.method, SPAN("CONNECT")) && !read_upgrade(stream, event->head, &head)) {
        session_begin_exchange(&stream->exchange, &head);
        session_answer(&stream->exchange, EVENT_REFUSE, REASON_BAD_REQUEST,
                       "CONNECT is for the proxy port");
        return;
    }
    session_take_request_head(&stream->exchange, &head);
}

/* Bytes of the answer went out: the origin may send as many again. */
static void note_sent(struct stream *stream, size_t size)
{
    struct exchange *exchange = &stream->exchange;

    if (stream->far != NULL)
        http2_consume_body(stream->far, size);
    if (!exchange->active)
        set_last_deadline(stream);
    else if (exchange->released)
        session_set_deadline(exchange);
}

static void report_refused(struct session_http2 *session, enum http2_error error)
{
    struct rule nowhere = {0};
    struct record record;
    bool too_large = error == HTTP2_ERROR_FIELD_TOO_LONG || error == HTTP2_ERROR_HEAD_TOO_LARGE ||
                     error == HTTP2_ERROR_TOO_MANY_FIELDS;

    flow_record(session->flow, EVENT_REFUSE, &record);
    flow_record_reason(&record, too_large ? REASON_REQUEST_TOO_LARGE : REASON_BAD_REQUEST, nowhere);
    record_set_text(&record, RECORD_DETAIL, http2_error_text(error));
    replica_record(session->worker->replica, &record);
}

static void take_near_event(struct stream *stream, const struct http2_event *event)
{
    struct exchange *exchange = &stream->exchange;

    switch (event->kind) {
    case HTTP2_BODY: /* its deadline stands: a body must come at a rate */
        if (exchange->active && stream->far != NULL)
            session_take_request_body(exchange, event->data);
        else
            swallow(stream, event->data.size);
        break;
    case HTTP2_TRAILER:
        session_take_request_trailer(exchange, event->fields, event->field_count);
        break;
    case HTTP2_END:
        session_take_request_end(exchange);
        break;
    case HTTP2_SENT:
        note_sent(stream, event->size);
        break;
    case HTTP2_CLOSED:
        end_stream(stream, HTTP2_NO_ERROR, HTTP2_CANCEL);
        break;
    case HTTP2_RESET:
        end_stream(stream, HTTP2_NO_ERROR, event->code);
        break;
    default:
        break;
    }
}

void session_http2_near_event(void *context, const struct http2_event *event)
{
    struct session_http2 *session = context;

    session->event_count++;
    if (event->kind == HTTP2_HEAD) {
        take_request(session, event);
    } else if (event->kind == HTTP2_REFUSED) {
        report_refused(session, event->error);
    } else if (event->kind == HTTP2_ERROR) {
        if (event->error != HTTP2_ERROR_NONE)
            report_refused(session, event->error);
        session->ending = FINISHES;
    } else if (event->user != NULL) {
        take_near_event(event->user, event);
    }
}

/* --- the origin's events --- */

/* RST_STREAM of the origin, or of the adapter for what the origin did. */
static void take_far_reset(struct stream *stream, const struct http2_event *event)
{
    struct exchange *exchange = &stream->exchange;
    uint32_t code = event->code;

    if (!exchange->active)
        return; /* its answer was whole */
    if (event->error != HTTP2_ERROR_NONE && event->error != HTTP2_ERROR_NOT_SENT) {
        session_break_response(exchange, http2_error_text(event->error));
        return;
    }
    /* Only what nothing was answered to yet can have been refused. */
    if (code == HTTP2_NO_ERROR || (code == HTTP2_REFUSED_STREAM && exchange->response_started))
        code = HTTP2_INTERNAL_ERROR;
    if (code != HTTP2_REFUSED_STREAM && !exchange->recorded)
        session_record_broken(exchange, REASON_BAD_RESPONSE, "reset by the origin");
    session_http2_reset_stream(stream, code);
}

static void take_far_body(struct stream *stream, const struct http2_event *event)
{
    struct exchange *exchange = &stream->exchange;

    if (!exchange->active) {
        http2_consume_body(event->stream, event->data.size);
        return;
    }
    session_take_response_body(exchange, event->data);
    if (exchange->active)
        session_note_response_bytes(exchange);
}

static void take_far_event(struct stream *stream, const struct http2_event *event)
{
    struct exchange *exchange = &stream->exchange;
    struct head head;

    switch (event->kind) {
    case HTTP2_INTERIM:
        head = read_head(event->head);
        session_take_interim_head(exchange, &head);
        break;
    case HTTP2_HEAD:
        head = read_head(event->head);
        session_take_response_head(exchange, &head);
        break;
    case HTTP2_BODY:
        take_far_body(stream, event);
        break;
    case HTTP2_TRAILER:
        session_take_response_trailer(exchange, event->fields, event->field_count);
        break;
    case HTTP2_END:
        stream->session->responses++;
        session_take_response_end(exchange);
        break;
    case HTTP2_SENT:
        if (stream->near != NULL)
            http2_consume_body(stream->near, event->size);
        break;
    case HTTP2_RESET:
        take_far_reset(stream, event);
        break;
    default: /* CLOSED: the handle stays, for what still waits towards the client */
        break;
    }
}

void session_http2_far_event(void *context, const struct http2_event *event)
{
    struct session_http2 *session = context;

    session->event_count++;
    if (event->kind == HTTP2_SETTINGS && http2_peer_allows_connect_protocol(session->far))
        http2_allow_connect_protocol(session->near);
    else if (event->kind == HTTP2_GOAWAY)
        session_http2_close(session);
    else if (event->kind == HTTP2_ERROR)
        session->far_fault = http2_error_text(event->error);
    else if (event->user != NULL)
        take_far_event(event->user, event);
}
