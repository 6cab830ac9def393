/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What both versions of HTTP share of a session: which of them it is, and the life of an exchange:
 * how long each phase may take, and its end. See session.h and session_private.h.
 */
#include "gateway/session_private.h"

#include <string.h>

#include "filters/memory.h"

#define BODY_RATE  1024 /* bytes of a request body that must come within timeouts.body */
#define SIGN_EVERY 1000 /* ms between signs of a call */
#define PART_WAITS 1000 /* ms that a part of a page is held at most */

/* --- the version --- */

struct session *session_new(struct flow *flow)
{
    return flow->http2 ? session_http2_new(flow) : session_http1_new(flow);
}

void session_free(struct session *session)
{
    if (session != NULL)
        session->version->free(session);
}

void session_drain(struct session *session, bool at_once)
{
    session->version->drain(session, at_once);
}

/* --- fields --- */

void field_list_add(struct field_list *list, struct span name, struct span value)
{
    if (list->count == list->capacity) {
        list->capacity = list->capacity > 0 ? 2 * list->capacity : 32;
        list->fields = memory_resize(list->fields, list->capacity, sizeof(*list->fields));
    }
    list->fields[list->count++] = (struct field){name, value};
}

bool field_list_join(const struct field *fields, size_t count, struct span name,
                     char text[FIELD_LIST_TEXT], struct span *value)
{
    size_t size = 0;

    for (size_t i = 0; i < count; i++) {
        struct span one = fields[i].value;
        if (!span_equal_nocase(fields[i].name, name))
            continue;
        if (one.size + 1 > FIELD_LIST_TEXT - size)
            return false;
        if (size > 0)
            text[size++] = ',';
        if (one.size > 0)
            memcpy(text + size, one.data, one.size);
        size += one.size;
    }
    *value = (struct span){text, size};
    return true;
}

/* --- an exchange --- */

void session_clear_exchange(struct exchange *exchange)
{
    if (exchange->held != NULL)
        evbuffer_free(exchange->held);
    decoder_free(exchange->decoder);
    decoder_free(exchange->coded);
    watch_free(exchange->up_watch);
    watch_free(exchange->down_watch);
    meeting_watch_free(exchange->meeting);
    *exchange = (struct exchange){
        .flow = exchange->flow, .worker = exchange->worker, .carrier = exchange->carrier};
}

/*
 * A page waits for its parts, and some of them come slowly: messages of a stream. Nobody sees
 * another page in the place of a part, so that danger may as well break it off in the middle.
 */
int64_t session_sniff_limit(const struct exchange *exchange)
{
    int64_t limit = exchange->worker->configuration->timeout_sniff;
    bool is_part = exchange->finding.kind == KIND_SUBRESOURCE;

    return is_part && limit > PART_WAITS ? PART_WAITS : limit;
}

void session_set_deadline(struct exchange *exchange)
{
    const struct configuration *configuration = exchange->worker->configuration;
    int64_t limit;

    if (exchange->tunnel && exchange->released)
        limit = configuration->timeout_splice;
    else if (!exchange->request_over && !exchange->tunnel)
        limit = configuration->timeout_body;
    else if (!exchange->response_started)
        limit = configuration->timeout_first_byte;
    else if (exchange->sniffing && !exchange->released)
        limit = session_sniff_limit(exchange);
    else
        limit = configuration->timeout_body;
    exchange->carrier->set_deadline(exchange, limit);
}

/* A stream of events may be silent for long; nothing waits to be written then. */
static bool is_quiet_stream(const struct exchange *exchange)
{
    const struct response *response = &exchange->response;
    const struct field *type =
        field_find(response->fields, response->field_count, SPAN("Content-Type"));

    return type != NULL && span_starts_nocase(type->value, SPAN("text/event-stream")) &&
           exchange->carrier->near_waits(exchange) == 0;
}

/* The request's body, or the response, does not move: who is it that we wait for? */
static void stop_waiting(struct exchange *exchange)
{
    const struct carrier *carrier = exchange->carrier;

    if (exchange->response_started) {
        bool near_is_full = carrier->near_waits(exchange) > 0;
        session_record_broken(exchange,
                              near_is_full ? REASON_REQUEST_TIMEOUT : REASON_ORIGIN_TIMEOUT,
                              "the response's body");
        carrier->reset(exchange);
    } else if (exchange->request_over || exchange->tunnel) {
        session_fail_origin(exchange, EVENT_ERROR, REASON_ORIGIN_TIMEOUT, "no response");
    } else if (carrier->far_waits(exchange)) {
        session_fail_origin(exchange, EVENT_ERROR, REASON_ORIGIN_TIMEOUT, "the request's body");
    } else {
        session_answer(exchange, EVENT_REFUSE, REASON_REQUEST_TIMEOUT, "the request's body");
    }
}

void session_expire_exchange(struct exchange *exchange)
{
    if (exchange->tunnel && exchange->released) {
        exchange->carrier->reset(exchange); /* nobody speaks any more */
    } else if (exchange->sniffing && !exchange->released) {
        session_judge_response(exchange, false);
        if (exchange->active)
            session_set_deadline(exchange);
    } else if (!exchange->request_over && exchange->up - exchange->body_mark >= BODY_RATE) {
        exchange->body_mark = exchange->up;
        session_set_deadline(exchange);
    } else if (exchange->response_started && !exchange->quiet && is_quiet_stream(exchange)) {
        exchange->quiet = true;
        exchange->carrier->set_deadline(exchange, exchange->worker->configuration->timeout_splice);
    } else {
        stop_waiting(exchange);
    }
}

/* Only a response's own bytes move the deadline: not 1xx, nor a head that does not end. */
void session_note_response_bytes(struct exchange *exchange)
{
    if (exchange->active && exchange->unjudged && exchange->sniffing)
        session_judge_response(exchange, false);
    exchange->unjudged = false;
    if (!exchange->active || !exchange->response_started ||
        (exchange->sniffing && !exchange->released))
        return;
    exchange->quiet = false;
    session_set_deadline(exchange);
}

void session_sign_call(struct exchange *exchange)
{
    int64_t now;

    if (exchange->finding.service == NULL)
        return;
    now = clock_monotonic();
    if (now - exchange->signed_at < SIGN_EVERY)
        return;
    exchange->signed_at = now;
    flow_sign(exchange->flow, policy_call_service(&exchange->worker->configuration->policy,
                                                  exchange->request.host));
}

void session_break_response(struct exchange *exchange, const char *detail)
{
    if (exchange->released) {
        session_record_broken(exchange, REASON_BAD_RESPONSE, detail);
        exchange->carrier->reset(exchange);
    } else {
        session_fail_origin(exchange, EVENT_ERROR, REASON_BAD_RESPONSE, detail);
    }
}
