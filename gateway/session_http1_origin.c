/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The origin of an HTTP/1.1 session: how it is reached, kept, and lost before it has answered. Over
 * TLS there is one from the start; over plain http each request may be for another.
 */
#include "gateway/session_http1.h"

#include <string.h>
#include <unistd.h>

#include "gateway/replica.h"

void session_http1_drop_origin(struct session_http1 *session)
{
    struct flow *flow = session->flow;

    connector_cancel(flow->connector);
    flow->connector = NULL;
    channel_free(flow->far);
    flow->far = NULL;
    flow->origin_known = false;
    http1_free(session->responses);
    session->responses = NULL;
    session->far_exchanges = 0;
    session->far_answering = false;
}

static void send_head(struct session_http1 *session)
{
    struct evbuffer *upstream = session->upstream;
    size_t size = evbuffer_get_length(upstream);
    const struct request *request = &session->exchange.request;

    evbuffer_add(channel_output(session->flow->far), evbuffer_pullup(upstream, -1), size);
    http1_expect(session->responses, span_equal(request->method, SPAN("HEAD")), false);
    session->far_answering = false;
}

void session_http1_adopt_origin(struct session_http1 *session)
{
    session->responses = http1_new_response_parser(&session->worker->configuration->http);
    channel_set_handler(session->flow->far, session_http1_on_far, session);
}

static void report_mismatch(struct session_http1 *session)
{
    struct record record;

    flow_record(session->flow, EVENT_MISMATCH, &record);
    record_set(&record, RECORD_HOST, session->exchange.request.host);
    replica_record(session->worker->replica, &record);
}

static void on_connected(void *context, const struct connector_result *result)
{
    struct session_http1 *session = context;
    struct flow *flow = session->flow;

    flow->connector = NULL;
    bool is_known = result->fd >= 0 || result->reason == REASON_DENIED_COUNTRY;
    if (is_known)
        flow_note_origin(flow, &result->address);
    if (result->mismatch)
        report_mismatch(session);
    if (is_known && !session_admits_origin(&session->exchange)) {
        if (result->fd >= 0)
            close(result->fd);
    } else if (result->fd < 0) {
        session_answer(&session->exchange,
                       result->reason == REASON_LOOP || result->reason == REASON_DENIED_COUNTRY
                           ? EVENT_BLOCK
                           : EVENT_ERROR,
                       result->reason, NULL);
    } else {
        flow->far = channel_new(session->worker->base, result->fd, session_http1_on_far, session);
        session_http1_adopt_origin(session);
        send_head(session);
        session_http1_set_deadline(session);
    }
    session_http1_settle(session);
}

void session_http1_reach_origin(struct session_http1 *session)
{
    struct flow *flow = session->flow;
    const struct request *request = &session->exchange.request;
    bool same = request->tls || (session->far_port == request->port &&
                                 span_equal(span_of(session->far_host), request->host));

    if (flow->far != NULL && same) {
        if (!session_admits_origin(&session->exchange))
            return;
        send_head(session);
        session_http1_set_deadline(session);
        return;
    }
    if (request->tls) { /* what came through TLS never goes on without it */
        session->ending = END_RESET;
        return;
    }
    session_http1_drop_origin(session);
    memcpy(session->far_host, request->host.data, request->host.size);
    session->far_host[request->host.size] = '\0';
    session->far_port = request->port;
    deadline_clear(&flow->deadline); /* the connector has its own */
    flow->connector =
        connector_new(session->worker, session->far_host, session->far_port,
                      flow->destination.family != 0 ? &flow->destination : NULL,
                      session_class_of_host(&session->exchange), on_connected, session);
}

/* The origin went before it answered: a connection that was kept alive may just have ended. */
void session_http1_lose_origin(struct session_http1 *session, const char *detail)
{
    struct exchange *exchange = &session->exchange;
    const struct request *request = &exchange->request;
    bool stale = session->far_exchanges > 0 && !session->far_answering;
    bool repeatable =
        http1_head(session->requests)->framing == HTTP1_NO_BODY &&
        (span_equal(request->method, SPAN("GET")) || span_equal(request->method, SPAN("HEAD")));

    if (stale && request->tls) {
        session->ending = END_RESET; /* as the origin did: the client asks again by itself */
    } else if (stale && repeatable && !session->retried) {
        session->retried = true;
        session_http1_drop_origin(session);
        session_http1_reach_origin(session);
    } else {
        session_lose_origin(&session->exchange, detail);
    }
}
