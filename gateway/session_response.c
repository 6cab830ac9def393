/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A session's responses: the head is held until enough of the body is there to know what it is,
 * then it goes to the client, or a page goes in its place.
 */
#include "gateway/session_private.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/digest.h"
#include "gateway/replica.h"

#define HELD_LIMIT  131072 /* coded bytes that are held while they decode to too little */
#define CODING_TEXT 256    /* of all Content-Encoding fields; nobody who means well needs more */

static struct span field_value(const struct response *response, struct span name)
{
    const struct field *field = field_find(response->fields, response->field_count, name);

    return field != NULL ? field->value : (struct span){0};
}

/* --- to the client --- */

/* How the body is framed towards the client; what its length says only if it has one. */
static enum http1_framing choose_framing(const struct session *session,
                                         const struct http1_head *head)
{
    if (head->framing != HTTP1_CHUNKED && head->framing != HTTP1_UNTIL_CLOSE)
        return head->framing;
    return http1_head(session->requests)->minor == 0 ? HTTP1_UNTIL_CLOSE : HTTP1_CHUNKED;
}

/* Headers by which an origin would move the client off this connection or this gateway. */
static bool is_stripped(struct span name)
{
    return span_equal_nocase(name, SPAN("Alt-Svc")) || span_equal_nocase(name, SPAN("Alt-Used")) ||
           span_equal_nocase(name, SPAN("Public-Key-Pins"));
}

static void write_response_head(struct session *session)
{
    const struct http1_head *head = http1_head(session->responses);
    struct exchange *exchange = &session->exchange;
    struct evbuffer *out = channel_output(session->flow->near);
    bool old_client = http1_head(session->requests)->minor == 0;

    if (session->draining || exchange->framing == HTTP1_UNTIL_CLOSE || !exchange->request_over)
        exchange->close = true;
    http1_write_status_line(out, head->status, head->phrase);
    for (size_t i = 0; i < head->field_count; i++)
        if (!http1_is_hop(head, head->fields[i].name) && !is_stripped(head->fields[i].name))
            http1_write_field(out, head->fields[i].name, head->fields[i].value);
    /* What HEAD and 304 say of the length describes the body that they do not have. */
    if (head->framing == HTTP1_NO_BODY && head->has_length && head->status != 204)
        http1_write_framing(out, HTTP1_LENGTH, head->length);
    else
        http1_write_framing(out, exchange->framing, head->length);
    if (exchange->close)
        http1_write_field(out, SPAN("Connection"), SPAN("close"));
    else if (old_client)
        http1_write_field(out, SPAN("Connection"), SPAN("keep-alive"));
    http1_write_end_of_head(out);
    exchange->released = true;
}

static void write_body(struct session *session, const void *bytes, size_t size)
{
    struct exchange *exchange = &session->exchange;
    struct evbuffer *out = channel_output(session->flow->near);

    exchange->down += size;
    if (exchange->framing == HTTP1_CHUNKED)
        http1_write_chunk(out, (struct span){bytes, size});
    else
        evbuffer_add(out, bytes, size);
}

static void release_held(struct session *session)
{
    struct exchange *exchange = &session->exchange;
    size_t size = exchange->held != NULL ? evbuffer_get_length(exchange->held) : 0;

    write_response_head(session);
    if (size > 0)
        write_body(session, evbuffer_pullup(exchange->held, -1), size);
    if (exchange->held != NULL)
        evbuffer_free(exchange->held);
    exchange->held = NULL;
}

/* --- judging --- */

static void stop_sniffing(struct exchange *exchange)
{
    exchange->sniffing = false;
    decoder_free(exchange->decoder);
    exchange->decoder = NULL;
    exchange->response.prefix = NULL; /* it was the decoder's */
    exchange->response.prefix_size = 0;
}

void session_judge_response(struct session *session, bool is_whole)
{
    struct exchange *exchange = &session->exchange;
    const struct configuration *configuration = session->worker->configuration;
    struct finding finding = exchange->finding;
    struct standing standing;

    if (exchange->decoder != NULL) {
        struct span prefix = decoder_output(exchange->decoder);
        exchange->response.prefix = (const uint8_t *)prefix.data;
        exchange->response.prefix_size = prefix.size;
    }
    exchange->response.prefix_is_whole = is_whole;
    replica_standing(session->worker->replica, session->flow->client->scope, &standing);
    standing.sha256 = digest_sha256;
    filters_judge_response(&configuration->policy, &standing, &exchange->request,
                           &exchange->response, &finding);
    bool blocks = finding.verdict == VERDICT_BLOCK;
    /* What the request's row said stands in the record when the response adds nothing. */
    if (blocks || exchange->finding.verdict == VERDICT_PASS)
        exchange->finding = finding;
    else
        exchange->finding.file = finding.file;
    if (blocks && configuration->policy.mode == MODE_OBSERVE) {
        session_record_would_block(session);
        blocks = false;
    }
    if (blocks && exchange->released) { /* danger that showed only after the first bytes had left */
        session_record_broken(session, finding.reason, "stopped in the middle");
        session->ending = END_RESET;
    } else if (blocks) {
        session_fail_origin(session, EVENT_BLOCK, finding.reason, NULL);
    } else {
        session_watch_page(session);
        if (!exchange->released)
            release_held(session);
        if (is_whole || exchange->response.opaque ||
            exchange->response.prefix_size >= exchange->wanted)
            stop_sniffing(exchange);
    }
}

/*
 * The decoder for the body, NULL when nothing can undo its codings. Several fields of one name are
 * one list (RFC 9110, section 5.3): a browser undoes all of them.
 */
static struct decoder *make_decoder(const struct response *response, size_t wanted)
{
    char codings[CODING_TEXT];
    size_t size = 0;

    for (size_t i = 0; i < response->field_count; i++) {
        struct span value = response->fields[i].value;
        if (!span_equal_nocase(response->fields[i].name, SPAN("Content-Encoding")))
            continue;
        if (value.size + 1 > sizeof(codings) - size)
            return NULL;
        if (size > 0)
            codings[size++] = ',';
        if (value.size > 0)
            memcpy(codings + size, value.data, value.size);
        size += value.size;
    }
    return decoder_new((struct span){codings, size}, wanted);
}

static void begin_sniffing(struct session *session, const struct http1_head *head)
{
    struct exchange *exchange = &session->exchange;

    bool attachment;
    sniff_file_name(&exchange->response, exchange->request.target, exchange->file_name,
                    sizeof(exchange->file_name), &attachment);
    exchange->wanted =
        filters_wanted_bytes(&exchange->request, &exchange->response, &exchange->finding);
    if (head->framing == HTTP1_NO_BODY || (head->framing == HTTP1_LENGTH && head->length == 0)) {
        session_judge_response(session, true);
        return;
    }
    exchange->sniffing = true;
    exchange->decoder = make_decoder(&exchange->response, exchange->wanted);
    if (exchange->decoder == NULL)
        exchange->response.opaque = true;
    exchange->held = evbuffer_new();
    if (exchange->held == NULL) {
        session->ending = END_RESET;
        return;
    }
    deadline_set(&session->flow->deadline, session->worker->configuration->timeout_sniff);
    if (exchange->response.opaque)
        session_judge_response(session, false);
}

/* --- heads --- */

static void take_interim_head(struct session *session, const struct http1_head *head)
{
    struct evbuffer *out = channel_output(session->flow->near);

    session->exchange.interim = true;
    if (http1_head(session->requests)->minor == 0)
        return; /* RFC 9110, section 15.2 */
    http1_write_status_line(out, head->status, head->phrase);
    for (size_t i = 0; i < head->field_count; i++)
        if (!http1_is_hop(head, head->fields[i].name) && !is_stripped(head->fields[i].name))
            http1_write_field(out, head->fields[i].name, head->fields[i].value);
    http1_write_end_of_head(out);
}

static void take_upgrade(struct session *session, const struct http1_head *head)
{
    struct exchange *exchange = &session->exchange;
    struct evbuffer *out = channel_output(session->flow->near);

    if (!exchange->websocket ||
        !span_equal_nocase(field_value(&exchange->response, SPAN("Upgrade")), SPAN("websocket"))) {
        session_fail_origin(session, EVENT_ERROR, REASON_BAD_RESPONSE,
                            "an upgrade nobody asked for");
        return;
    }
    if (!session_watch_upgrade(session)) {
        session_fail_origin(session, EVENT_ERROR, REASON_BAD_RESPONSE,
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
    session_record_allowed(session);
    session->tunnel = true;
    session->flow->state = "websocket";
    session_set_deadline(session);
}

void session_take_response_head(struct session *session)
{
    const struct http1_head *head = http1_head(session->responses);
    struct exchange *exchange = &session->exchange;

    exchange->response = (struct response){
        .status = head->status, .fields = head->fields, .field_count = head->field_count};
    if (head->status == 101) {
        take_upgrade(session, head);
        return;
    }
    if (head->status < 200) {
        take_interim_head(session, head);
        return;
    }
    exchange->response_started = true;
    if (head->status == 206 && !exchange->ranged) {
        session_fail_origin(session, EVENT_ERROR, REASON_BAD_RESPONSE, "a part nobody asked for");
        return;
    }
    exchange->framing = choose_framing(session, head);
    if (channel_ssl(session->flow->near) != NULL &&
        (!head->keep_alive || head->framing == HTTP1_UNTIL_CLOSE))
        exchange->close = true; /* the pair of connections ends together */
    session_watch_response(session);
    begin_sniffing(session, head);
}

/* --- bodies --- */

void session_take_response_body(struct session *session, struct span data)
{
    struct exchange *exchange = &session->exchange;

    if (!exchange->active)
        return;
    session_watch_bytes(session, WATCH_SERVICE, data.data, data.size);
    if (exchange->released)
        write_body(session, data.data, data.size);
    else
        evbuffer_add(exchange->held, data.data, data.size);
    if (!exchange->sniffing || exchange->decoder == NULL)
        return;
    if (decoder_feed(exchange->decoder, data.data, data.size) != 0)
        exchange->response.opaque = true;
    bool enough = exchange->response.opaque ||
                  decoder_output(exchange->decoder).size >= exchange->wanted ||
                  (exchange->held != NULL && evbuffer_get_length(exchange->held) > HELD_LIMIT);
    if (exchange->released)
        exchange->unjudged = true; /* once for all that this read brings: it has not left yet */
    else if (enough)
        session_judge_response(session, false);
}

void session_take_response_trailer(struct session *session)
{
    struct exchange *exchange = &session->exchange;
    size_t count;
    const struct field *trailer = http1_trailer(session->responses, &count);

    if (exchange->sniffing)
        session_judge_response(session, true);
    if (exchange->active && exchange->released && exchange->framing == HTTP1_CHUNKED) {
        http1_write_last_chunk(channel_output(session->flow->near), trailer, count);
        exchange->framing = HTTP1_NO_BODY; /* its end was written */
    }
}

void session_take_response_end(struct session *session)
{
    struct exchange *exchange = &session->exchange;
    const struct http1_head *head = http1_head(session->responses);
    bool kept = head->keep_alive && head->framing != HTTP1_UNTIL_CLOSE;

    if (!exchange->active)
        return;
    if (exchange->sniffing)
        session_judge_response(session, true);
    if (!exchange->active || session->ending != END_NOT)
        return; /* it was blocked at the last moment */
    if (exchange->framing == HTTP1_CHUNKED)
        http1_write_last_chunk(channel_output(session->flow->near), NULL, 0);
    session_record_allowed(session);
    session->far_exchanges++;
    if (!kept || !exchange->request_over)
        session_drop_origin(session);
    session_finish_exchange(session);
}
