/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The loop of a session: who is read when, what moves on, how long it may take, and the end. See
 * session.h and session_private.h.
 */
#include "gateway/session_private.h"

#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/replica.h"

#define READ_PIECE 16384 /* bytes of one read: a TLS record's worth */
#define TURNS      8     /* reads of one channel in one turn of the loop */
#define BODY_RATE  1024  /* bytes of a request body that must come within timeouts.body */
#define SIGN_EVERY 1000  /* ms between signs of a call on a tunnel */

static void on_near(void *context, struct channel *channel, enum channel_event event);
static void on_far(void *context, struct channel *channel, enum channel_event event);

/* --- time --- */

void session_set_deadline(struct session *session)
{
    const struct configuration *configuration = session->worker->configuration;
    const struct exchange *exchange = &session->exchange;
    int64_t limit;

    if (session->tunnel)
        limit = configuration->timeout_splice;
    else if (!exchange->active)
        limit = http1_idle(session->requests) ? configuration->timeout_idle
                                              : configuration->timeout_head;
    else if (!exchange->request_over)
        limit = configuration->timeout_body;
    else if (!exchange->response_started)
        limit = configuration->timeout_first_byte;
    else if (exchange->sniffing && !exchange->released)
        limit = configuration->timeout_sniff;
    else
        limit = configuration->timeout_body;
    deadline_set(&session->flow->deadline, limit);
}

/* A stream of events may be silent for long; nothing waits to be written then. */
static bool is_quiet_stream(const struct session *session)
{
    const struct response *response = &session->exchange.response;
    const struct field *type =
        field_find(response->fields, response->field_count, SPAN("Content-Type"));

    return type != NULL && span_starts_nocase(type->value, SPAN("text/event-stream")) &&
           channel_pending(session->flow->near) == 0;
}

static void settle(struct session *session);

/* The request's body, or the response, does not move: who is it that we wait for? */
static void stop_waiting(struct session *session)
{
    const struct exchange *exchange = &session->exchange;
    const struct flow *flow = session->flow;
    bool far_is_full = flow->far == NULL || channel_pending(flow->far) > 0;

    if (exchange->response_started) {
        bool near_is_full = channel_pending(flow->near) > 0;
        session_record_broken(session,
                              near_is_full ? REASON_REQUEST_TIMEOUT : REASON_ORIGIN_TIMEOUT,
                              "the response's body");
        session->ending = END_RESET;
    } else if (exchange->request_over) {
        session_fail_origin(session, EVENT_ERROR, REASON_ORIGIN_TIMEOUT, "no response");
    } else if (far_is_full) {
        session_fail_origin(session, EVENT_ERROR, REASON_ORIGIN_TIMEOUT, "the request's body");
    } else {
        session_answer(session, EVENT_REFUSE, REASON_REQUEST_TIMEOUT, "the request's body");
    }
}

static void on_deadline(void *context)
{
    struct session *session = context;
    struct exchange *exchange = &session->exchange;

    if (session->tunnel || (!exchange->active && http1_idle(session->requests))) {
        session->ending = END_FINISH;
    } else if (!exchange->active) {
        session_answer(session, EVENT_REFUSE, REASON_REQUEST_TIMEOUT, "the request's head");
    } else if (exchange->sniffing && !exchange->released) {
        session_judge_response(session, false);
        session_set_deadline(session);
    } else if (!exchange->request_over && exchange->up - exchange->body_mark >= BODY_RATE) {
        exchange->body_mark = exchange->up;
        session_set_deadline(session);
    } else if (exchange->response_started && !exchange->quiet && is_quiet_stream(session)) {
        exchange->quiet = true;
        deadline_set(&session->flow->deadline, session->worker->configuration->timeout_splice);
    } else {
        stop_waiting(session);
    }
    settle(session);
}

/* --- the origin --- */

void session_drop_origin(struct session *session)
{
    struct flow *flow = session->flow;

    connector_cancel(flow->connector);
    flow->connector = NULL;
    channel_free(flow->far);
    flow->far = NULL;
    http1_free(session->responses);
    session->responses = NULL;
    session->far_exchanges = 0;
    session->far_answering = false;
}

static void send_head(struct session *session)
{
    struct evbuffer *upstream = session->exchange.upstream;
    size_t size = evbuffer_get_length(upstream);
    const struct request *request = &session->exchange.request;

    evbuffer_add(channel_output(session->flow->far), evbuffer_pullup(upstream, -1), size);
    http1_expect(session->responses, span_equal(request->method, SPAN("HEAD")), false);
    session->far_answering = false;
}

static void adopt_origin(struct session *session)
{
    session->responses = http1_new_response_parser(&session->worker->configuration->http);
    channel_set_handler(session->flow->far, on_far, session);
}

static void report_mismatch(struct session *session)
{
    struct record record;

    flow_record(session->flow, EVENT_MISMATCH, &record);
    record_set(&record, RECORD_HOST, session->exchange.request.host);
    replica_record(session->worker->replica, &record);
}

static void on_connected(void *context, const struct connector_result *result)
{
    struct session *session = context;
    struct flow *flow = session->flow;

    flow->connector = NULL;
    if (result->mismatch)
        report_mismatch(session);
    if (result->fd < 0) {
        session_answer(session, result->reason == REASON_LOOP ? EVENT_BLOCK : EVENT_ERROR,
                       result->reason, NULL);
    } else {
        flow->far = channel_new(session->worker->base, result->fd, on_far, session);
        adopt_origin(session);
        send_head(session);
        session_set_deadline(session);
    }
    settle(session);
}

void session_reach_origin(struct session *session)
{
    struct flow *flow = session->flow;
    const struct request *request = &session->exchange.request;
    bool same = request->tls || (session->far_port == request->port &&
                                 span_equal(span_of(session->far_host), request->host));

    if (flow->far != NULL && same) {
        send_head(session);
        session_set_deadline(session);
        return;
    }
    if (request->tls) { /* what came through TLS never goes on without it */
        session->ending = END_RESET;
        return;
    }
    session_drop_origin(session);
    memcpy(session->far_host, request->host.data, request->host.size);
    session->far_host[request->host.size] = '\0';
    session->far_port = request->port;
    deadline_clear(&flow->deadline); /* the connector has its own */
    flow->connector = connector_new(session->worker, session->far_host, session->far_port,
                                    flow->destination.family != 0 ? &flow->destination : NULL,
                                    on_connected, session);
}

/* The origin went before it answered: a connection that was kept alive may just have ended. */
static void origin_left(struct session *session, const char *detail)
{
    struct exchange *exchange = &session->exchange;
    const struct request *request = &exchange->request;
    bool stale = session->far_exchanges > 0 && !session->far_answering;
    bool repeatable =
        http1_head(session->requests)->framing == HTTP1_NO_BODY &&
        (span_equal(request->method, SPAN("GET")) || span_equal(request->method, SPAN("HEAD")));

    if (stale && request->tls) {
        session->ending = END_RESET; /* as the origin did: the client asks again by itself */
    } else if (stale && repeatable && !exchange->retried) {
        exchange->retried = true;
        session_drop_origin(session);
        session_reach_origin(session);
    } else {
        session_fail_origin(session, EVENT_ERROR, REASON_ORIGIN_UNREACHABLE, detail);
    }
}

/* --- exchanges --- */

static void clear_exchange(struct exchange *exchange)
{
    if (exchange->upstream != NULL)
        evbuffer_free(exchange->upstream);
    if (exchange->held != NULL)
        evbuffer_free(exchange->held);
    decoder_free(exchange->decoder);
    watch_free(exchange->up_watch);
    watch_free(exchange->down_watch);
    *exchange = (struct exchange){.active = false};
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

void session_finish_exchange(struct session *session)
{
    struct exchange *exchange = &session->exchange;
    bool over = exchange->close || !exchange->request_over || session->draining;

    clear_exchange(exchange);
    session->far_answering = false;
    if (over) {
        session->ending = END_FINISH;
        return;
    }
    let_go(session->requests);
    if (session->responses != NULL)
        let_go(session->responses);
    session_set_deadline(session);
}

/* --- reading the client --- */

static bool wants_request_bytes(const struct session *session)
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

/* What the parser found in one piece of input. */
static void take_request_event(struct session *session, enum http1_event event, struct span data)
{
    switch (event) {
    case HTTP1_HEAD:
        session_take_request_head(session);
        break;
    case HTTP1_BODY:
        session_take_request_body(session, data); /* its deadline stands: see BODY_RATE */
        break;
    case HTTP1_TRAILER:
        session_take_request_trailer(session);
        break;
    case HTTP1_END:
        session_take_request_end(session);
        session_set_deadline(session);
        break;
    case HTTP1_ERROR:
        session_refuse_request(session);
        break;
    case HTTP1_MORE:
    case HTTP1_UPGRADED:
        break;
    }
}

static void feed_requests(struct session *session, const uint8_t *bytes, size_t size)
{
    size_t offset = 0;
    bool more = true;

    while (more && wants_request_bytes(session)) {
        struct span data = {0};
        size_t used = 0;
        if (session->tunnel) {
            if (session_watch_bytes(session, WATCH_CLIENT, bytes + offset, size - offset))
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
            session_set_deadline(session); /* the time for a head runs from its first byte */
    }
    if (offset < size && session->flow->near != NULL)
        channel_unread(session->flow->near, bytes + offset, size - offset);
}

static void near_left(struct session *session, enum channel_result result)
{
    struct exchange *exchange = &session->exchange;

    if (session->tunnel || (!exchange->active && http1_idle(session->requests)))
        session->ending = END_FINISH;
    else if (exchange->active && exchange->request_over && result == CHANNEL_END)
        exchange->close = true; /* it still waits for the response */
    else
        session->ending = END_RESET;
}

static void pump_near(struct session *session)
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

static bool wants_response_bytes(const struct session *session)
{
    return session->ending == END_NOT && session->flow->far != NULL &&
           channel_pending(session->flow->near) < session->worker->configuration->buffer;
}

/* The response cannot be gone on with: an error page, or a visible break if it had begun. */
static void break_response(struct session *session, const char *detail)
{
    if (session->exchange.released) {
        session_record_broken(session, REASON_BAD_RESPONSE, detail);
        session->ending = END_RESET;
    } else {
        session_fail_origin(session, EVENT_ERROR, REASON_BAD_RESPONSE, detail);
    }
}

static void take_response_event(struct session *session, enum http1_event event, struct span data)
{
    struct exchange *exchange = &session->exchange;

    switch (event) {
    case HTTP1_HEAD:
        session_take_response_head(session);
        break;
    case HTTP1_BODY:
        session_take_response_body(session, data);
        break;
    case HTTP1_TRAILER:
        session_take_response_trailer(session);
        break;
    case HTTP1_END:
        if (exchange->interim)
            exchange->interim = false;
        else
            session_take_response_end(session);
        break;
    case HTTP1_ERROR:
        break_response(session, http1_error_text(http1_error(session->responses)));
        break;
    case HTTP1_MORE:
    case HTTP1_UPGRADED:
        break;
    }
}

static void feed_responses(struct session *session, const uint8_t *bytes, size_t size)
{
    size_t offset = 0;
    bool more = true;

    session->far_answering = true;
    while (more && session->ending == END_NOT) {
        struct span data = {0};
        size_t used = 0;
        if (session->tunnel) {
            if (session_watch_bytes(session, WATCH_SERVICE, bytes + offset, size - offset))
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
        session_drop_origin(session); /* bytes that nobody asked for */
        session->ending = END_FINISH;
    }
}

static void far_left(struct session *session, enum channel_result result)
{
    struct exchange *exchange = &session->exchange;
    const struct flow *flow = session->flow;

    if (session->tunnel) {
        session->ending = END_FINISH;
    } else if (!exchange->active) { /* kept alive, and now over */
        session_drop_origin(session);
        if (channel_ssl(flow->near) != NULL && http1_idle(session->requests))
            session->ending = END_FINISH;
        else if (channel_ssl(flow->near) != NULL)
            session->ending = END_RESET;
    } else if (!exchange->response_started) {
        origin_left(session, "closed before the response");
    } else {
        /* Only an orderly end says that a body that runs until the close is whole. */
        enum http1_event event =
            result == CHANNEL_END ? http1_close(session->responses) : HTTP1_ERROR;
        if (event == HTTP1_END)
            session_take_response_end(session);
        else
            break_response(session, "closed in the response");
    }
}

/* Only a response's own bytes move the deadline: not 1xx, nor a head that does not end. */
static void note_response_bytes(struct session *session)
{
    struct exchange *exchange = &session->exchange;

    if (exchange->unjudged && exchange->sniffing && session->ending == END_NOT)
        session_judge_response(session, false);
    exchange->unjudged = false;
    if (session->ending != END_NOT || !exchange->response_started ||
        (exchange->sniffing && !exchange->released))
        return;
    exchange->quiet = false;
    session_set_deadline(session);
}

static void pump_far(struct session *session)
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
        note_response_bytes(session);
    }
}

/* --- the last act of every event --- */

static void end(struct session *session)
{
    struct flow *flow = session->flow;

    switch (session->ending) {
    case END_TUNNEL:
        session_drop_origin(session); /* of a request that came before */
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

static void sign_of_call(struct session *session)
{
    int64_t now;

    if (!session->tunnel || session->exchange.finding.service == NULL)
        return;
    now = clock_monotonic();
    if (now - session->signed_at < SIGN_EVERY)
        return;
    session->signed_at = now;
    flow_sign(session->flow, policy_call_service(&session->worker->configuration->policy,
                                                 session->exchange.request.host));
}

static void settle(struct session *session)
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
    struct session *session = context;

    (void)channel;
    if (event == CHANNEL_FAILED) {
        session->ending = END_RESET;
    } else if (event == CHANNEL_READABLE) {
        pump_near(session);
        sign_of_call(session);
        if (session->tunnel)
            session_set_deadline(session);
    } else if (event == CHANNEL_DRAINED && session->exchange.response_started) {
        session_set_deadline(session);
    }
    settle(session);
}

static void on_far(void *context, struct channel *channel, enum channel_event event)
{
    struct session *session = context;

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
    settle(session);
}

/* --- beginning and end --- */

struct session *session_new(struct flow *flow)
{
    struct session *session = memory_allocate(1, sizeof(*session));

    session->flow = flow;
    session->worker = flow->worker;
    session->draining = flow->worker->draining;
    session->requests = http1_new_request_parser(&flow->worker->configuration->http);
    channel_set_handler(flow->near, on_near, session);
    if (flow->far != NULL)
        adopt_origin(session);
    flow->deadline.expired = on_deadline;
    flow->deadline.context = session;
    session_set_deadline(session);
    channel_want_read(flow->near, true);
    if (flow->far != NULL)
        channel_want_read(flow->far, true);
    return session;
}

void session_free(struct session *session)
{
    if (session == NULL)
        return;
    if (session->ending != END_TUNNEL)
        session_record_cut(session);
    clear_exchange(&session->exchange);
    http1_free(session->requests);
    http1_free(session->responses);
    session->flow->deadline.context = session->flow;
    free(session);
}

void session_drain(struct session *session, bool at_once)
{
    session->draining = true;
    if (!at_once || session->tunnel || session->exchange.active)
        return;
    session->ending = END_FINISH;
    settle(session);
}
