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

bool session_is_listed_port(const struct configuration *configuration, uint16_t port)
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
static const char *read_destination(struct exchange *exchange, const struct head *head)
{
    const struct flow *flow = exchange->flow;
    struct request *request = &exchange->request;

    request->tls = channel_ssl(flow->near) != NULL;
    request->port = head->port != 0 ? head->port : (flow->port != 0 ? flow->port : 80);
    request->host_is_covered = true;
    if (flow->is_explicit) {
        if (!head->has_scheme)
            return "a proxy needs an absolute target";
        if (head->scheme_tls)
            return "https through CONNECT only";
    } else {
        if (head->has_scheme && head->scheme_tls != request->tls)
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
static bool is_covered(const struct exchange *exchange)
{
    const struct flow *flow = exchange->flow;
    const struct request *request = &exchange->request;

    if (!request->host_is_covered)
        return false;
    if (!request->tls || span_equal(request->host, span_of(flow->host)))
        return true;
    /* The leaf speaks for one name: nobody has a reason to ask for another one under it. */
    if (exchange->carrier->one_authority && flow->host[0] != '\0')
        return false;
    if (flow->far == NULL)
        return true;
    return certificate_covers(channel_ssl(flow->far), request->host);
}

/* --- the request for the origin --- */

#define CODINGS_TEXT 256 /* of what we offer; the rest is left out */

/* Of the content codings that the client takes only those that can be looked into are offered.
 * Several fields are one list. */
static void add_codings(struct span value, char text[CODINGS_TEXT], size_t *used)
{
    struct span element;
    size_t size = *used;

    while (span_next(&value, ',', &element)) {
        struct span name = span_trim(span_first(element, span_index(element, ';')));
        struct span rest = SPAN(DECODE_ACCEPT ", identity"), known;
        while (span_next(&rest, ',', &known)) {
            if (!span_equal_nocase(name, known) || element.size + 2 > CODINGS_TEXT - size)
                continue;
            if (size > 0) {
                text[size++] = ',';
                text[size++] = ' ';
            }
            memcpy(text + size, element.data, element.size);
            size += element.size;
        }
    }
    *used = size;
}

/*
 * An inspected body begins at its first byte, or it could not be judged: Range is passed on only
 * where the answer goes into a media element (no page script can claim that), or comes from a host
 * of class system.
 */
static bool may_range(const struct exchange *exchange)
{
    const struct request *request = &exchange->request;
    const struct field *destination =
        field_find(request->fields, request->field_count, SPAN("Sec-Fetch-Dest"));

    if (exchange->finding.class == CLASS_SYSTEM)
        return true;
    return destination != NULL && (span_equal(destination->value, SPAN("video")) ||
                                   span_equal(destination->value, SPAN("audio")));
}

static const struct tenant_header *find_tenant_header(const struct exchange *exchange,
                                                      struct span name)
{
    const struct policy *policy = &exchange->worker->configuration->policy;

    for (size_t i = 0; i < policy->service_count; i++)
        for (size_t j = 0; j < policy->services[i].header_count; j++) {
            const struct tenant_header *header = &policy->services[i].headers[j];
            if (span_equal_nocase(span_of(header->name), name) &&
                hostset_find(header->hosts, exchange->request.host) != NULL)
                return header;
        }
    return NULL;
}

/* The clinic's own tenant, whatever the client said. */
static void add_tenant_headers(const struct exchange *exchange, struct field_list *list)
{
    const struct policy *policy = &exchange->worker->configuration->policy;

    for (size_t i = 0; i < policy->service_count; i++)
        for (size_t j = 0; j < policy->services[i].header_count; j++) {
            const struct tenant_header *header = &policy->services[i].headers[j];
            if (hostset_find(header->hosts, exchange->request.host) != NULL)
                field_list_add(list, span_of(header->name), span_of(header->value));
        }
}

static bool is_passed(struct exchange *exchange, const struct head *head, struct span name)
{
    if (head->http1 != NULL && http1_is_hop(head->http1, name))
        return false;
    if (span_equal_nocase(name, SPAN("Host")) || find_tenant_header(exchange, name) != NULL)
        return false;
    if (span_equal_nocase(name, SPAN("Range")) || span_equal_nocase(name, SPAN("If-Range")))
        return may_range(exchange);
    return true;
}

static void send_request(struct exchange *exchange, const struct head *head)
{
    struct head sent = *head;
    struct field_list list = {0};
    char codings[CODINGS_TEXT];
    size_t codings_size = 0, codings_at = SIZE_MAX;

    for (size_t i = 0; i < head->field_count; i++) {
        struct field field = head->fields[i];
        if (!is_passed(exchange, head, field.name))
            continue;
        if (span_equal_nocase(field.name, SPAN("Range")))
            exchange->ranged = true;
        if (span_equal_nocase(field.name, SPAN("Accept-Encoding"))) {
            add_codings(field.value, codings, &codings_size);
            if (codings_at != SIZE_MAX)
                continue;
            codings_at = list.count;
        }
        field_list_add(&list, field.name, field.value);
    }
    if (codings_at != SIZE_MAX)
        list.fields[codings_at].value =
            codings_size > 0 ? (struct span){codings, codings_size} : SPAN("identity");
    add_tenant_headers(exchange, &list);
    sent.fields = list.fields;
    sent.field_count = list.count;
    exchange->carrier->send_request(exchange, &sent);
    free(list.fields);
}

/* --- the head --- */

void session_begin_exchange(struct exchange *exchange, const struct head *head)
{
    exchange->active = true;
    exchange->started = clock_monotonic();
    exchange->request = (struct request){
        .method = head->method,
        .target = head->path,
        .fields = head->fields,
        .field_count = head->field_count,
        .sni = channel_ssl(exchange->flow->near) != NULL ? span_of(exchange->flow->host)
                                                         : (struct span){0},
    };
}

static void judge_request(struct exchange *exchange)
{
    const struct policy *policy = &exchange->worker->configuration->policy;
    const struct flow *flow = exchange->flow;
    struct standing standing;

    if (exchange->request.tls && flow->origin_known)
        exchange->request.country = flow->origin.country;

    /* A request to a call host is itself the sign of a call. */
    flow_sign(exchange->flow, policy_call_service(policy, exchange->request.host));
    replica_standing(exchange->worker->replica, exchange->flow->client->scope, &standing);
    standing.sha256 = digest_sha256;
    filters_judge_request(policy, &standing, &exchange->request, &exchange->finding);
}

enum destination_class session_class_of_host(const struct exchange *exchange)
{
    const struct policy *policy = &exchange->worker->configuration->policy;

    if (exchange->finding.class == CLASS_RELEASED)
        return CLASS_RELEASED;
    return policy_classify(policy, exchange->request.host, NULL, NULL);
}

bool session_admits_origin(struct exchange *exchange)
{
    const struct policy *policy = &exchange->worker->configuration->policy;

    if (exchange->request.tls || policy->country_allow_count + policy->country_deny_count == 0)
        return true;
    exchange->request.country = exchange->flow->origin.country;
    judge_request(exchange);
    if (exchange->finding.verdict == VERDICT_PASS)
        return true;
    if (policy->mode == MODE_OBSERVE) {
        session_record_would_block(exchange);
        return true;
    }
    session_answer(exchange, EVENT_BLOCK, exchange->finding.reason, NULL);
    return false;
}

void session_take_request_head(struct exchange *exchange, const struct head *head)
{
    const struct configuration *configuration = exchange->worker->configuration;
    const struct flow *flow = exchange->flow;
    bool observe = configuration->policy.mode == MODE_OBSERVE;

    session_begin_exchange(exchange, head);
    const char *fault = read_destination(exchange, head);
    if (fault != NULL) {
        session_answer(exchange, EVENT_REFUSE, REASON_BAD_REQUEST, fault);
        return;
    }
    exchange->request.host_is_covered = is_covered(exchange);
    judge_request(exchange);
    if (flow->answer_reason != REASON_ALLOWED) {
        session_answer(exchange, EVENT_ERROR, flow->answer_reason, flow->verify);
    } else if (flow->is_explicit &&
               !session_is_listed_port(configuration, exchange->request.port)) {
        session_answer(exchange, EVENT_BLOCK, REASON_UNLISTED_PORT, NULL);
    } else if (exchange->finding.verdict == VERDICT_BLOCK && !observe) {
        session_answer(exchange, EVENT_BLOCK, exchange->finding.reason, NULL);
    } else if (flow->answers) {
        /* Allowed by now: a connection that meets the origin is needed, and a client makes one. */
        session_answer(exchange, EVENT_REFUSE, REASON_MISDIRECTED, "ask again on a new connection");
    } else {
        if (exchange->finding.verdict == VERDICT_BLOCK)
            session_record_would_block(exchange);
        session_watch_request(exchange, head);
        send_request(exchange, head);
        if (!head->has_body)
            session_take_request_end(exchange);
    }
}

/* --- what follows the head --- */

void session_take_request_body(struct exchange *exchange, struct span data)
{
    if (!exchange->active)
        return;
    exchange->up += data.size;
    if (!session_watch_bytes(exchange, WATCH_CLIENT, data.data, data.size))
        return;
    exchange->carrier->send_request_body(exchange, data);
    if (exchange->tunnel) {
        session_sign_call(exchange);
        session_set_deadline(exchange);
    }
}

void session_take_request_trailer(struct exchange *exchange, const struct field *trailer,
                                  size_t count)
{
    struct field_list list = {0};

    if (!exchange->active)
        return;
    for (size_t i = 0; i < count; i++)
        if (find_tenant_header(exchange, trailer[i].name) == NULL)
            field_list_add(&list, trailer[i].name, trailer[i].value);
    exchange->carrier->send_request_end(exchange, list.fields, list.count);
    free(list.fields);
}

void session_take_request_end(struct exchange *exchange)
{
    if (!exchange->active || exchange->request_over)
        return;
    session_watch_request_end(exchange);
    exchange->carrier->send_request_end(exchange, NULL, 0);
    exchange->request_over = true;
    session_set_deadline(exchange);
}
