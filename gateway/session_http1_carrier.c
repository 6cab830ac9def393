/* SPDX-License-Identifier: BSD-2-Clause */
/* HTTP/1.1 as the carrier of an exchange: what is written to the origin and to the client. */
#include "gateway/session_http1.h"

#include <stdio.h>
#include <string.h>

#include "filters/memory.h"

struct session_http1 *session_http1_of(const struct exchange *exchange)
{
    return (struct session_http1 *)exchange->flow->session;
}

static struct evbuffer *near_output(const struct session_http1 *session)
{
    return channel_output(session->flow->near);
}

static void write_fields(struct evbuffer *out, const struct head *head)
{
    for (size_t i = 0; i < head->field_count; i++)
        http1_write_field(out, head->fields[i].name, head->fields[i].value);
}

/* --- to the origin --- */

static bool lists_token(const struct request *request, struct span name, struct span token)
{
    for (size_t i = 0; i < request->field_count; i++) {
        struct span rest = request->fields[i].value, element;
        if (!span_equal_nocase(request->fields[i].name, name))
            continue;
        while (span_next(&rest, ',', &element))
            if (span_equal_nocase(element, token))
                return true;
    }
    return false;
}

static void write_host(const struct request *request, struct evbuffer *out)
{
    char text[HOST_TEXT + 16];
    uint16_t usual = request->tls ? 443 : 80;
    bool literal6 = memchr(request->host.data, ':', request->host.size) != NULL;
    int size = snprintf(text, sizeof(text), literal6 ? "[%.*s]" : "%.*s", (int)request->host.size,
                        request->host.data);

    if (request->port != usual)
        size += snprintf(text + size, sizeof(text) - (size_t)size, ":%u", request->port);
    http1_write_field(out, SPAN("Host"), (struct span){text, (size_t)size});
}

static void send_request(struct exchange *exchange, const struct head *head)
{
    struct session_http1 *session = session_http1_of(exchange);
    const struct http1_head *read = head->http1;
    const struct request *request = &exchange->request;
    struct evbuffer *out = evbuffer_new();

    if (out == NULL) {
        session->ending = END_RESET;
        return;
    }
    /* RFC 6455, section 4.1: by GET, and what follows the head is already the other protocol. */
    session->websocket = read->upgrade && read->framing == HTTP1_NO_BODY &&
                         span_equal(read->method, SPAN("GET")) &&
                         lists_token(request, SPAN("Upgrade"), SPAN("websocket"));
    session->upstream = out;
    http1_write_request_line(out, request->method, request->target);
    write_host(request, out);
    write_fields(out, head);
    if (session->websocket) {
        http1_write_field(out, SPAN("Connection"), SPAN("Upgrade"));
        http1_write_field(out, SPAN("Upgrade"), SPAN("websocket"));
    }
    http1_write_framing(out, read->framing, read->length);
    http1_write_end_of_head(out);
    session_http1_reach_origin(session);
}

static void send_request_body(struct exchange *exchange, struct span data)
{
    struct session_http1 *session = session_http1_of(exchange);

    if (session->flow->far == NULL)
        return;
    if (session->request_framing == HTTP1_CHUNKED)
        http1_write_chunk(channel_output(session->flow->far), data);
    else
        evbuffer_add(channel_output(session->flow->far), data.data, data.size);
}

static void send_request_end(struct exchange *exchange, const struct field *trailer, size_t count)
{
    struct session_http1 *session = session_http1_of(exchange);

    if (session->flow->far != NULL && session->request_framing == HTTP1_CHUNKED)
        http1_write_last_chunk(channel_output(session->flow->far), trailer, count);
    session->request_framing = HTTP1_NO_BODY;
}

/* --- to the client --- */

static bool is_old_client(const struct session_http1 *session)
{
    return http1_head(session->requests)->minor == 0;
}

static void send_interim(struct exchange *exchange, const struct head *head)
{
    struct session_http1 *session = session_http1_of(exchange);
    struct evbuffer *out = near_output(session);

    if (is_old_client(session))
        return; /* RFC 9110, section 15.2 */
    http1_write_status_line(out, head->status, head->phrase);
    write_fields(out, head);
    http1_write_end_of_head(out);
}

/* How the body is framed towards the client; what its length says only if it has one. */
static enum http1_framing choose_framing(const struct session_http1 *session,
                                         const struct http1_head *head)
{
    if (head->framing != HTTP1_CHUNKED && head->framing != HTTP1_UNTIL_CLOSE)
        return head->framing;
    return is_old_client(session) ? HTTP1_UNTIL_CLOSE : HTTP1_CHUNKED;
}

static void write_connection(const struct session_http1 *session, struct evbuffer *out)
{
    if (session->close)
        http1_write_field(out, SPAN("Connection"), SPAN("close"));
    else if (is_old_client(session))
        http1_write_field(out, SPAN("Connection"), SPAN("keep-alive"));
}

static void send_response(struct exchange *exchange, const struct head *head)
{
    struct session_http1 *session = session_http1_of(exchange);
    const struct http1_head *read = head->http1;
    struct evbuffer *out = near_output(session);

    session->framing = choose_framing(session, read);
    if (session->draining || session->framing == HTTP1_UNTIL_CLOSE || !exchange->request_over)
        session->close = true;
    http1_write_status_line(out, head->status, head->phrase);
    write_fields(out, head);
    /* What HEAD and 304 say of the length describes the body that they do not have. */
    if (read->framing == HTTP1_NO_BODY && read->has_length && read->status != 204)
        http1_write_framing(out, HTTP1_LENGTH, read->length);
    else
        http1_write_framing(out, session->framing, read->length);
    write_connection(session, out);
    http1_write_end_of_head(out);
}

static void send_response_body(struct exchange *exchange, struct span data)
{
    struct session_http1 *session = session_http1_of(exchange);

    if (session->framing == HTTP1_CHUNKED)
        http1_write_chunk(near_output(session), data);
    else
        evbuffer_add(near_output(session), data.data, data.size);
}

static void send_response_end(struct exchange *exchange, const struct field *trailer, size_t count)
{
    struct session_http1 *session = session_http1_of(exchange);

    if (session->framing == HTTP1_CHUNKED)
        http1_write_last_chunk(near_output(session), trailer, count);
    session->framing = HTTP1_NO_BODY;
}

static void answer(struct exchange *exchange, const struct head *head, enum reason reason,
                   struct span body)
{
    struct session_http1 *session = session_http1_of(exchange);
    struct evbuffer *out = near_output(session);

    if (exchange->active && session->request_framing == HTTP1_NO_BODY)
        exchange->request_over = true;
    /* Nothing may follow on a connection whose request is not over, or which has no origin; and a
     * pair of connections ends together. */
    if (!exchange->request_over || session->flow->answers || reason == REASON_BAD_REQUEST ||
        session->draining || (exchange->origin_failed && channel_ssl(session->flow->near) != NULL))
        session->close = true;
    http1_write_status_line(out, head->status, head->phrase);
    write_fields(out, head);
    if (session->close)
        http1_write_field(out, SPAN("Connection"), SPAN("close"));
    http1_write_end_of_head(out);
    evbuffer_add(out, body.data, body.size);
}

/* --- the rest --- */

static size_t near_waits(const struct exchange *exchange)
{
    return channel_pending(exchange->flow->near);
}

static bool far_waits(const struct exchange *exchange)
{
    return exchange->flow->far == NULL || channel_pending(exchange->flow->far) > 0;
}

static void set_deadline(struct exchange *exchange, int64_t milliseconds)
{
    deadline_set(&exchange->flow->deadline, milliseconds);
}

static void drop_origin(struct exchange *exchange)
{
    session_http1_drop_origin(session_http1_of(exchange));
}

static void reset(struct exchange *exchange)
{
    session_record_cut(exchange);
    exchange->active = false;
    session_http1_of(exchange)->ending = END_RESET;
}

static void finish(struct exchange *exchange)
{
    session_http1_finish_exchange(session_http1_of(exchange));
}

const struct carrier session_http1_carrier = {
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

/* --- other protocols --- */

void session_http1_take_connect(struct session_http1 *session, const struct http1_head *head)
{
    static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    struct flow *flow = session->flow;
    struct exchange *exchange = &session->exchange;

    exchange->request.host = span_of(head->host);
    exchange->request.port = head->port;
    if (!flow->is_explicit) {
        session_answer(exchange, EVENT_REFUSE, REASON_BAD_REQUEST, "CONNECT is for the proxy port");
        return;
    }
    if (!session_is_listed_port(session->worker->configuration, head->port)) {
        session_answer(exchange, EVENT_BLOCK, REASON_UNLISTED_PORT, NULL);
        return;
    }
    /* What is asked for is judged by what the client says next, not by what it names here. */
    memcpy(flow->host, head->host, sizeof(flow->host));
    if (address_parse(span_of(head->host), &flow->destination))
        flow->host[0] = '\0';
    flow->port = head->port;
    evbuffer_add(near_output(session), established, sizeof(established) - 1);
    session->ending = END_TUNNEL;
}

void session_http1_take_upgrade(struct session_http1 *session, const struct http1_head *head)
{
    struct exchange *exchange = &session->exchange;
    struct evbuffer *out = near_output(session);
    const struct field *upgrade = field_find(head->fields, head->field_count, SPAN("Upgrade"));

    exchange->response = (struct response){
        .status = head->status, .fields = head->fields, .field_count = head->field_count};
    if (!session->websocket || upgrade == NULL ||
        !span_equal_nocase(upgrade->value, SPAN("websocket"))) {
        session_fail_origin(exchange, EVENT_ERROR, REASON_BAD_RESPONSE,
                            "an upgrade nobody asked for");
        return;
    }
    if (!session_watch_upgrade(exchange)) {
        session_fail_origin(exchange, EVENT_ERROR, REASON_BAD_RESPONSE,
                            "a WebSocket extension that cannot be read");
        return;
    }
    http1_write_status_line(out, head->status, head->phrase);
    for (size_t i = 0; i < head->field_count; i++)
        if (!http1_is_hop(head, head->fields[i].name))
            http1_write_field(out, head->fields[i].name, head->fields[i].value);
    http1_write_field(out, SPAN("Connection"), SPAN("Upgrade"));
    http1_write_field(out, SPAN("Upgrade"), SPAN("websocket"));
    http1_write_end_of_head(out);
    exchange->response_started = true;
    session_record_allowed(exchange);
    session->tunnel = true;
    session->flow->state = "websocket";
    session_http1_set_deadline(session);
}
