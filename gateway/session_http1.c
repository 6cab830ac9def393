/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP/1.1: the loop of a session (who is read when, what moves on, how long it may take, and the
 * end), and the carrier of its exchanges, one after the other. The client's requests are read only
 * as far as the exchange under way needs.
 */
#include "gateway/session_http1.h"

#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"

#define READ_PIECE  16384 /* bytes of one read: a TLS record's worth */
#define TURNS       8     /* reads of one channel in one turn of the loop */
#define DRAIN_WAITS 1000  /* ms that an idle connection stays open after a reload */

static void on_near(void *context, struct channel *channel, enum channel_event event);

/* --- time --- */

void session_http1_set_deadline(struct session_http1 *session)
{
    const struct configuration *configuration = session->worker->configuration;
    int64_t limit;

    if (!session->tunnel && session->exchange.active) {
        session_set_deadline(&session->exchange);
        return;
    }
    if (session->tunnel)
        limit = configuration->timeout_splice;
    else
        limit = http1_idle(session->requests) ? configuration->timeout_idle
                                              : configuration->timeout_head;
    deadline_set(&session->flow->deadline, limit);
}

static void on_deadline(void *context)
{
    struct session_http1 *session = context;
    struct exchange *exchange = &session->exchange;

    if (session->tunnel || (!exchange->active && http1_idle(session->requests)))
        session->ending = END_FINISH;
    else if (!exchange->active)
        session_answer(exchange, EVENT_REFUSE, REASON_REQUEST_TIMEOUT, "the request's head");
    else
        session_expire_exchange(exchange);
    session_http1_settle(session);
}

/* --- exchanges --- */

static void clear_exchange(struct session_http1 *session)
{
    if (session->upstream != NULL)
        evbuffer_free(session->upstream);
    session->upstream = NULL;
    session->retried = session->close = session->websocket = session->interim = false;
    session_clear_exchange(&session->exchange);
}

/* Makes a parser take the end of its message and forget the head: an idle connection holds little.
 */
static void let_go(struct http1 *parser)
{
    size_t used;
    struct span data;

    while (http1_feed(parser, NULL, 0, &used, &data) == HTTP1_END)
        ;
}

void session_http1_finish_exchange(struct session_http1 *session)
{
    struct exchange *exchange = &session->exchange;
    bool over = session->close || !exchange->request_over || session->draining;

    clear_exchange(session);
    session->far_answering = false;
    if (over) {
        session->ending = END_FINISH;
        return;
    }
    let_go(session->requests);
    if (session->responses != NULL)
        let_go(session->responses);
    session_http1_set_deadline(session);
}

/* --- reading the client --- */

static bool wants_request_bytes(const struct session_http1 *session)
{
    const struct exchange *exchange = &session->exchange;
    const struct flow *flow = session->flow;

    if (session->ending != END_NOT)
        return false;
    if (channel_pending(flow->near) >= session->worker->configuration->buffer && !exchange->active)
        return false; /* a client that asks and asks but does not read */
    if (session->tunnel || exchange->active)
        return (session->tunnel || !exchange->request_over) && flow->far != NULL &&
               channel_pending(flow->far) < session->worker->configuration->buffer;
    return true;
}

static void take_request_head(struct session_http1 *session)
{
    const struct http1_head *read = http1_head(session->requests);
    struct head head = {
        .method = read->method,
        .path = read->path,
        .host = read->host,
        .port = read->port,
        .has_scheme = read->absolute,
        .scheme_tls = read->scheme_tls,
        .fields = read->fields,
        .field_count = read->field_count,
        .has_body = read->framing != HTTP1_NO_BODY,
        .http1 = read,
    };

    session->request_framing = read->framing;
    session->close = false;
    if (span_equal(read->method, SPAN("CONNECT"))) {
        session_begin_exchange(&session->exchange, &head);
        session_http1_take_connect(session, read);
        return;
    }
    session->close = !read->keep_alive;
    session_take_request_head(&session->exchange, &head);
}

static enum reason reason_of(enum http1_error error)
{
    switch (http1_error_status(error)) {
    case 414:
        return REASON_TARGET_TOO_LONG;
    case 431:
        return REASON_REQUEST_TOO_LARGE;
    default:
        return REASON_BAD_REQUEST;
    }
}

/* The client's bytes are no request. */
static void refuse_request(struct session_http1 *session)
{
    enum http1_error error = http1_error(session->requests);
    struct exchange *exchange = &session->exchange;

    if (exchange->active && exchange->response_started) {
        session_record_broken(exchange, REASON_BAD_REQUEST, http1_error_text(error));
        session->ending = END_RESET;
        return;
    }
    session_fail_origin(exchange, EVENT_REFUSE, reason_of(error), http1_error_text(error));
}

/* What the parser found in one piece of input. */
static void take_request_event(struct session_http1 *session, enum http1_event event,
                               struct span data)
{
    const struct field *trailer;
    size_t count;

    switch (event) {
    case HTTP1_HEAD:
        take_request_head(session);
        break;
    case HTTP1_BODY: /* its deadline stands: a body must come at a rate */
        session_take_request_body(&session->exchange, data);
        break;
    case HTTP1_TRAILER:
        trailer = http1_trailer(session->requests, &count);
        session_take_request_trailer(&session->exchange, trailer, count);
        break;
    case HTTP1_END:
        session_take_request_end(&session->exchange);
        session_http1_set_deadline(session);
        break;
    case HTTP1_ERROR:
        refuse_request(session);
        break;
    case HTTP1_MORE:
    case HTTP1_UPGRADED:
        break;
    }
}

static void feed_requests(struct session_http1 *session, const uint8_t *bytes, size_t size)
{
    size_t offset = 0;
    bool more = true;

    while (more && wants_request_bytes(session)) {
        struct span data = {0};
        size_t used = 0;
        if (session->tunnel) {
            if (session_watch_bytes(&session->exchange, WATCH_CLIENT, bytes + offset,
                                    size - offset))
                evbuffer_add(channel_output(session->flow->far), bytes + offset, size - offset);
            session->exchange.up += size - offset;
            return;
        }
        bool was_idle = !session->exchange.active && http1_idle(session->requests);
        enum http1_event event =
            http1_feed(session->requests, bytes + offset, size - offset, &used, &data);
        offset += used;
        take_request_event(session, event, data);
        more = event != HTTP1_MORE; /* the end of a message is an event without bytes */
        if (!more && was_idle && !http1_idle(session->requests))
            session_http1_set_deadline(session); /* the time for a head runs from its first byte */
    }
    if (offset < size && session->flow->near != NULL)
        channel_unread(session->flow->near, bytes + offset, size - offset);
}

static void near_left(struct session_http1 *session, enum channel_result result)
{
    struct exchange *exchange = &session->exchange;

    if (session->tunnel || (!exchange->active && http1_idle(session->requests)))
        session->ending = END_FINISH;
    else if (exchange->active && exchange->request_over && result == CHANNEL_END)
        session->close = true; /* it still waits for the response */
    else
        session->ending = END_RESET;
}

static void pump_near(struct session_http1 *session)
{
    uint8_t *scratch = session->worker->scratch;
    size_t got;

    if (session->exchange.active && !session->tunnel)
        feed_requests(session, scratch, 0); /* the end of a body may still be to be told */
    for (int turn = 0; turn < TURNS && wants_request_bytes(session); turn++) {
        enum channel_result result = channel_read(session->flow->near, scratch, READ_PIECE, &got);
        if (result == CHANNEL_AGAIN)
            return;
        if (result != CHANNEL_DATA) {
            near_left(session, result);
            return;
        }
        feed_requests(session, scratch, got);
    }
}

/* --- reading the origin --- */

static bool wants_response_bytes(const struct session_http1 *session)
{
    return session->ending == END_NOT && session->flow->far != NULL &&
           channel_pending(session->flow->near) < session->worker->configuration->buffer;
}

static void take_response_head(struct session_http1 *session)
{
    const struct http1_head *read = http1_head(session->responses);
    bool empty =
        read->framing == HTTP1_NO_BODY || (read->framing == HTTP1_LENGTH && read->length == 0);
    struct head head = {
        .status = read->status,
        .phrase = read->phrase,
        .fields = read->fields,
        .field_count = read->field_count,
        .has_body = !empty,
        .http1 = read,
    };

    if (read->status == 101) {
        session_http1_take_upgrade(session, read);
    } else if (read->status < 200) {
        session->interim = true;
        session_take_interim_head(&session->exchange, &head);
    } else {
        if (channel_ssl(session->flow->near) != NULL &&
            (!read->keep_alive || read->framing == HTTP1_UNTIL_CLOSE))
            session->close = true; /* the pair of connections ends together */
        session_take_response_head(&session->exchange, &head);
    }
}

static void take_response_end(struct session_http1 *session)
{
    const struct http1_head *head = http1_head(session->responses);
    bool kept =
        head->keep_alive && head->framing != HTTP1_UNTIL_CLOSE && session->exchange.request_over;

    session_take_response_end(&session->exchange);
    if (session->responses == NULL || session->ending == END_RESET)
        return;
    session->far_exchanges++;
    if (!kept)
        session_http1_drop_origin(session);
}

static void take_response_event(struct session_http1 *session, enum http1_event event,
                                struct span data)
{
    struct exchange *exchange = &session->exchange;
    const struct field *trailer;
    size_t count;

    switch (event) {
    case HTTP1_HEAD:
        take_response_head(session);
        break;
    case HTTP1_BODY:
        session_take_response_body(exchange, data);
        break;
    case HTTP1_TRAILER:
        trailer = http1_trailer(session->responses, &count);
        session_take_response_trailer(exchange, trailer, count);
        break;
    case HTTP1_END:
        if (session->interim)
            session->interim = false;
        else
            take_response_end(session);
        break;
    case HTTP1_ERROR:
        session_break_response(exchange, http1_error_text(http1_error(session->responses)));
        break;
    case HTTP1_MORE:
    case HTTP1_UPGRADED:
        break;
    }
}

static void feed_responses(struct session_http1 *session, const uint8_t *bytes, size_t size)
{
    size_t offset = 0;
    bool more = true;

    session->far_answering = true;
    while (more && session->ending == END_NOT) {
        struct span data = {0};
        size_t used = 0;
        if (session->tunnel) {
            if (session_watch_bytes(&session->exchange, WATCH_SERVICE, bytes + offset,
                                    size - offset))
                evbuffer_add(channel_output(session->flow->near), bytes + offset, size - offset);
            session->exchange.down += size - offset;
            return;
        }
        if (!session->exchange.active || session->responses == NULL)
            break;
        enum http1_event event =
            http1_feed(session->responses, bytes + offset, size - offset, &used, &data);
        offset += used;
        take_response_event(session, event, data);
        more = event != HTTP1_MORE;
    }
    if (offset < size && session->ending == END_NOT && session->flow->far != NULL) {
        session_http1_drop_origin(session); /* bytes that nobody asked for */
        session->ending = END_FINISH;
    }
}

static void far_left(struct session_http1 *session, enum channel_result result)
{
    struct exchange *exchange = &session->exchange;
    const struct flow *flow = session->flow;

    if (session->tunnel) {
        session->ending = END_FINISH;
    } else if (!exchange->active) { /* kept alive, and now over */
        if (session->far_exchanges == 0)
            flow_report_certificate_demand(session->flow);
        session_http1_drop_origin(session);
        if (channel_ssl(flow->near) != NULL && http1_idle(session->requests))
            session->ending = END_FINISH;
        else if (channel_ssl(flow->near) != NULL)
            session->ending = END_RESET;
    } else if (!exchange->response_started) {
        session_http1_lose_origin(session, "closed before the response");
    } else {
        /* Only an orderly end says that a body that runs until the close is whole. */
        enum http1_event event =
            result == CHANNEL_END ? http1_close(session->responses) : HTTP1_ERROR;
        if (event == HTTP1_END)
            take_response_end(session);
        else
            session_break_response(&session->exchange, "closed in the response");
    }
}

static void pump_far(struct session_http1 *session)
{
    uint8_t *scratch = session->worker->scratch;
    size_t got;

    for (int turn = 0; turn < TURNS && wants_response_bytes(session); turn++) {
        enum channel_result result = channel_read(session->flow->far, scratch, READ_PIECE, &got);
        if (result == CHANNEL_AGAIN)
            return;
        if (result != CHANNEL_DATA) {
            far_left(session, result);
            return;
        }
        feed_responses(session, scratch, got);
        if (session->ending == END_NOT)
            session_note_response_bytes(&session->exchange);
    }
}

/* --- the last act of every event --- */

static void end(struct session_http1 *session)
{
    struct flow *flow = session->flow;

    switch (session->ending) {
    case END_TUNNEL:
        session_http1_drop_origin(session); /* of a request that came before */
        channel_flush(flow->near);
        if (channel_pending(flow->near) > 0)
            flow_reset(
                flow); /* it does not read what it asked for: nothing can begin behind that */
        else
            flow_tunnel(flow);
        break;
    case END_RESET:
        flow_reset(flow);
        break;
    default:
        flow_finish(flow, session->tunnel);
    }
}

static void sign_of_call(struct session_http1 *session)
{
    if (session->tunnel)
        session_sign_call(&session->exchange);
}

void session_http1_settle(struct session_http1 *session)
{
    struct flow *flow = session->flow;

    if (session->ending == END_NOT && !session->tunnel)
        pump_near(session); /* the next request may have come with the last one */
    if (session->ending != END_NOT) {
        end(session);
        return;
    }
    channel_flush(flow->near);
    if (flow->far != NULL) {
        channel_flush(flow->far);
        channel_want_read(flow->far, wants_response_bytes(session));
    }
    channel_want_read(flow->near, wants_request_bytes(session));
}

static void on_near(void *context, struct channel *channel, enum channel_event event)
{
    struct session_http1 *session = context;

    (void)channel;
    if (event == CHANNEL_FAILED) {
        session->ending = END_RESET;
    } else if (event == CHANNEL_READABLE) {
        pump_near(session);
        sign_of_call(session);
        if (session->tunnel)
            session_http1_set_deadline(session);
    } else if (event == CHANNEL_DRAINED && session->exchange.response_started) {
        session_http1_set_deadline(session);
    }
    session_http1_settle(session);
}

void session_http1_on_far(void *context, struct channel *channel, enum channel_event event)
{
    struct session_http1 *session = context;

    (void)channel;
    if (event == CHANNEL_READABLE) {
        pump_far(session);
        sign_of_call(session);
    } else if (event == CHANNEL_FAILED) {
        /* It may have answered before it stopped listening: what came is read first. */
        pump_far(session);
        if (session->ending == END_NOT && session->flow->far == channel)
            far_left(session, CHANNEL_ERROR);
    }
    session_http1_settle(session);
}

/* --- beginning and end --- */

static void session_http1_free(struct session *base)
{
    struct session_http1 *session = (struct session_http1 *)base;

    if (session->ending != END_TUNNEL)
        session_record_cut(&session->exchange);
    clear_exchange(session);
    http1_free(session->requests);
    http1_free(session->responses);
    session->flow->deadline.context = session->flow;
    free(session);
}

/*
 * A connection that is kept alive does not outlive its configuration by much: what it is asked in
 * the last moment is still answered, for a close and a request may cross.
 */
static void session_http1_drain(struct session *base, bool at_once)
{
    struct session_http1 *session = (struct session_http1 *)base;

    session->draining = true;
    if (session->tunnel || session->exchange.active || (!at_once && !http1_idle(session->requests)))
        return;
    if (!at_once) {
        deadline_set(&session->flow->deadline, DRAIN_WAITS);
        return;
    }
    session->ending = END_FINISH;
    session_http1_settle(session);
}

struct session *session_http1_new(struct flow *flow)
{
    static const struct session_version version = {session_http1_free, session_http1_drain};
    struct session_http1 *session = memory_allocate(1, sizeof(*session));

    session->session.version = &version;
    session->flow = session->exchange.flow = flow;
    session->worker = session->exchange.worker = flow->worker;
    session->exchange.carrier = &session_http1_carrier;
    session->draining = flow->worker->draining;
    session->requests = http1_new_request_parser(&flow->worker->configuration->http);
    channel_set_handler(flow->near, on_near, session);
    if (flow->far != NULL)
        session_http1_adopt_origin(session);
    flow->deadline.expired = on_deadline;
    flow->deadline.context = session;
    session_http1_set_deadline(session);
    channel_want_read(flow->near, true);
    if (flow->far != NULL)
        channel_want_read(flow->far, true);
    return &session->session;
}
