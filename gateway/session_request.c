/* SPDX-License-Identifier: BSD-2-Clause */
/* A session's requests: from the parsed head to the verdict, and anew to the origin. */
#include "gateway/session_private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/certificate.h"
#include "gateway/digest.h"
#include "gateway/replica.h"

/* --- what is asked for --- */

static bool is_listed_port(const struct configuration *configuration, uint16_t port)
{
    for (size_t i = 0; i < configuration->connect_port_count; i++)
        if (configuration->connect_ports[i] == port)
            return true;
    return false;
}

/*
 * The request's destination. NULL, or why the head does not fit the way on which it came: the
 * scheme, the port and the form of the target must be those of the connection.
 */
static const char *read_destination(struct session *session, const struct http1_head *head)
{
    const struct flow *flow = session->flow;
    struct request *request = &session->exchange.request;
    struct exchange *exchange = &session->exchange;

    request->tls = channel_ssl(flow->near) != NULL;
    request->port = head->port != 0 ? head->port : (flow->port != 0 ? flow->port : 80);
    request->host_is_covered = true;
    exchange->close = false;
    if (flow->is_explicit) {
        if (!head->absolute)
            return "a proxy needs an absolute target";
        if (head->scheme_tls)
            return "https through CONNECT only";
    } else {
        if (head->absolute && head->scheme_tls != request->tls)
            return "the scheme is not the connection's";
        if (request->port != flow->port)
            request->host_is_covered = false;
    }
    if (head->host[0] == '\0')
        return "no host";
    request->host = span_of(head->host);
    return NULL;
}

/* Row 1's fact: does the verified certificate speak for this host? */
static bool is_covered(const struct session *session)
{
    const struct flow *flow = session->flow;
    const struct request *request = &session->exchange.request;

    if (!request->host_is_covered)
        return false;
    if (!request->tls || span_equal(request->host, span_of(flow->host)) || flow->far == NULL)
        return true;
    return certificate_covers(channel_ssl(flow->far), request->host);
}

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

/* --- the request for the origin --- */

/* Of the content codings that the client takes only those that can be looked into are offered. */
static void write_accept_encoding(struct evbuffer *out, struct span value)
{
    struct span element;
    bool first = true;

    evbuffer_add(out, "Accept-Encoding: ", 17);
    while (span_next(&value, ',', &element)) {
        struct span name = span_trim(span_first(element, span_index(element, ';')));
        struct span rest = SPAN(DECODE_ACCEPT ", identity"), known;
        while (span_next(&rest, ',', &known)) {
            if (!span_equal_nocase(name, known))
                continue;
            evbuffer_add_printf(out, "%s%.*s", first ? "" : ", ", (int)element.size, element.data);
            first = false;
        }
    }
    if (first)
        evbuffer_add(out, "identity", 8);
    evbuffer_add(out, "\r\n", 2);
}

/*
 * An inspected body begins at its first byte, or it could not be judged: Range is passed on only
 * where the answer goes into a media element (no page script can claim that), or comes from a host
 * of class system.
 */
static bool may_range(const struct session *session)
{
    const struct request *request = &session->exchange.request;
    const struct field *destination =
        field_find(request->fields, request->field_count, SPAN("Sec-Fetch-Dest"));

    if (session->exchange.finding.class == CLASS_SYSTEM)
        return true;
    return destination != NULL && (span_equal(destination->value, SPAN("video")) ||
                                   span_equal(destination->value, SPAN("audio")));
}

static const struct tenant_header *find_tenant_header(const struct session *session,
                                                      struct span name)
{
    const struct policy *policy = &session->worker->configuration->policy;

    for (size_t i = 0; i < policy->service_count; i++)
        for (size_t j = 0; j < policy->services[i].header_count; j++) {
            const struct tenant_header *header = &policy->services[i].headers[j];
            if (span_equal_nocase(span_of(header->name), name) &&
                hostset_find(header->hosts, session->exchange.request.host) != NULL)
                return header;
        }
    return NULL;
}

/* The clinic's own tenant, whatever the client said. */
static void write_tenant_headers(const struct session *session, struct evbuffer *out)
{
    const struct policy *policy = &session->worker->configuration->policy;

    for (size_t i = 0; i < policy->service_count; i++)
        for (size_t j = 0; j < policy->services[i].header_count; j++) {
            const struct tenant_header *header = &policy->services[i].headers[j];
            if (hostset_find(header->hosts, session->exchange.request.host) != NULL)
                http1_write_field(out, span_of(header->name), span_of(header->value));
        }
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

static void write_request_field(struct session *session, const struct http1_head *head,
                                const struct field *field, struct evbuffer *out)
{
    struct exchange *exchange = &session->exchange;

    if (http1_is_hop(head, field->name) || span_equal_nocase(field->name, SPAN("Host")) ||
        find_tenant_header(session, field->name) != NULL)
        return;
    if (span_equal_nocase(field->name, SPAN("Accept-Encoding"))) {
        write_accept_encoding(out, field->value);
        return;
    }
    if (span_equal_nocase(field->name, SPAN("Range"))) {
        if (!may_range(session))
            return;
        exchange->ranged = true;
    }
    if (span_equal_nocase(field->name, SPAN("If-Range")) && !may_range(session))
        return;
    http1_write_field(out, field->name, field->value);
}

static void write_upstream_head(struct session *session, const struct http1_head *head)
{
    struct exchange *exchange = &session->exchange;
    const struct request *request = &exchange->request;
    struct evbuffer *out = evbuffer_new();

    if (out == NULL) {
        session->ending = END_RESET;
        return;
    }
    exchange->upstream = out;
    http1_write_request_line(out, request->method, request->target);
    write_host(request, out);
    for (size_t i = 0; i < head->field_count; i++)
        write_request_field(session, head, &head->fields[i], out);
    write_tenant_headers(session, out);
    if (exchange->websocket) {
        http1_write_field(out, SPAN("Connection"), SPAN("Upgrade"));
        http1_write_field(out, SPAN("Upgrade"), SPAN("websocket"));
    }
    http1_write_framing(out, head->framing, head->length);
    http1_write_end_of_head(out);
}

/* --- CONNECT --- */

static void take_connect(struct session *session, const struct http1_head *head)
{
    static const char established[] = "HTTP/1.1 200 Connection established\r\n\r\n";
    struct flow *flow = session->flow;
    struct request *request = &session->exchange.request;

    request->host = span_of(head->host);
    request->port = head->port;
    if (!flow->is_explicit) {
        session_answer(session, EVENT_REFUSE, REASON_BAD_REQUEST, "CONNECT is for the proxy port");
        return;
    }
    if (!is_listed_port(session->worker->configuration, head->port)) {
        session_answer(session, EVENT_BLOCK, REASON_UNLISTED_PORT, NULL);
        return;
    }
    /* What is asked for is judged by what the client says next, not by what it names here. */
    memcpy(flow->host, head->host, sizeof(flow->host));
    if (address_parse(span_of(head->host), &flow->destination))
        flow->host[0] = '\0';
    flow->port = head->port;
    evbuffer_add(channel_output(flow->near), established, sizeof(established) - 1);
    session->ending = END_TUNNEL;
}

/* --- the head --- */

static void begin_exchange(struct session *session, const struct http1_head *head)
{
    struct exchange *exchange = &session->exchange;

    exchange->active = true;
    exchange->started = clock_monotonic();
    exchange->request_framing = head->framing;
    exchange->request = (struct request){
        .method = head->method,
        .target = head->path,
        .fields = head->fields,
        .field_count = head->field_count,
        .sni = channel_ssl(session->flow->near) != NULL ? span_of(session->flow->host)
                                                        : (struct span){0},
    };
}

static void judge_request(struct session *session)
{
    struct exchange *exchange = &session->exchange;
    const struct policy *policy = &session->worker->configuration->policy;
    struct standing standing;

    /* A request to a call host is itself the sign of a call. */
    flow_sign(session->flow, policy_call_service(policy, exchange->request.host));
    replica_standing(session->worker->replica, session->flow->client->scope, &standing);
    standing.sha256 = digest_sha256;
    filters_judge_request(policy, &standing, &exchange->request, &exchange->finding);
}

void session_take_request_head(struct session *session)
{
    const struct http1_head *head = http1_head(session->requests);
    struct exchange *exchange = &session->exchange;
    struct flow *flow = session->flow;
    bool observe = session->worker->configuration->policy.mode == MODE_OBSERVE;

    begin_exchange(session, head);
    if (span_equal(head->method, SPAN("CONNECT"))) {
        take_connect(session, head);
        return;
    }
    const char *fault = read_destination(session, head);
    if (fault != NULL) {
        session_answer(session, EVENT_REFUSE, REASON_BAD_REQUEST, fault);
        return;
    }
    exchange->close = !head->keep_alive;
    exchange->request.host_is_covered = is_covered(session);
    /* RFC 6455, section 4.1: by GET, and what follows the head is already the other protocol. */
    exchange->websocket = head->upgrade && head->framing == HTTP1_NO_BODY &&
                          span_equal(head->method, SPAN("GET")) &&
                          lists_token(&exchange->request, SPAN("Upgrade"), SPAN("websocket"));
    judge_request(session);
    if (flow->answer_reason != REASON_ALLOWED) {
        session_answer(session, EVENT_ERROR, flow->answer_reason, flow->verify);
    } else if (flow->is_explicit &&
               !is_listed_port(session->worker->configuration, exchange->request.port)) {
        session_answer(session, EVENT_BLOCK, REASON_UNLISTED_PORT, NULL);
    } else if (exchange->finding.verdict == VERDICT_BLOCK && !observe) {
        session_answer(session, EVENT_BLOCK, exchange->finding.reason, NULL);
    } else if (flow->answers) {
        /* Allowed by now: a connection that meets the origin is needed, and a client makes one. */
        session_answer(session, EVENT_REFUSE, REASON_MISDIRECTED, "ask again on a new connection");
    } else {
        if (exchange->finding.verdict == VERDICT_BLOCK)
            session_record_would_block(session);
        session_watch_request(session);
        write_upstream_head(session, head);
        if (session->ending == END_NOT)
            session_reach_origin(session);
        if (head->framing == HTTP1_NO_BODY && exchange->active)
            session_take_request_end(session);
    }
}

/* --- what follows the head --- */

void session_take_request_body(struct session *session, struct span data)
{
    struct exchange *exchange = &session->exchange;
    struct flow *flow = session->flow;

    if (!exchange->active || flow->far == NULL)
        return;
    exchange->up += data.size;
    session_watch_bytes(session, WATCH_CLIENT, data.data, data.size);
    if (exchange->request_framing == HTTP1_CHUNKED)
        http1_write_chunk(channel_output(flow->far), data);
    else
        evbuffer_add(channel_output(flow->far), data.data, data.size);
}

static void write_last_chunk(struct session *session, const struct field *trailer, size_t count)
{
    if (session->flow->far != NULL && session->exchange.request_framing == HTTP1_CHUNKED)
        http1_write_last_chunk(channel_output(session->flow->far), trailer, count);
    session->exchange.request_framing = HTTP1_NO_BODY; /* its end was written */
}

void session_take_request_trailer(struct session *session)
{
    size_t count;
    const struct field *trailer = http1_trailer(session->requests, &count);

    write_last_chunk(session, trailer, count);
}

void session_take_request_end(struct session *session)
{
    struct exchange *exchange = &session->exchange;

    if (!exchange->active || exchange->request_over)
        return;
    write_last_chunk(session, NULL, 0);
    exchange->request_over = true;
    session_set_deadline(session);
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

void session_refuse_request(struct session *session)
{
    enum http1_error error = http1_error(session->requests);
    struct exchange *exchange = &session->exchange;

    if (exchange->active && exchange->response_started) {
        session_record_broken(session, REASON_BAD_REQUEST, http1_error_text(error));
        session->ending = END_RESET;
        return;
    }
    session_fail_origin(session, EVENT_REFUSE, reason_of(error), http1_error_text(error));
}
