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

#define HELD_LIMIT 131072 /* coded bytes that are held while they decode to too little */
#define INTERIMS   100    /* 1xx of one exchange: 102 and 103 come a few times */

/* --- to the client --- */

/* Headers by which an origin would move the client off this connection or this gateway. */
static bool is_stripped(struct span name)
{
    return span_equal_nocase(name, SPAN("Alt-Svc")) || span_equal_nocase(name, SPAN("Alt-Used")) ||
           span_equal_nocase(name, SPAN("Public-Key-Pins"));
}

static void list_passed(const struct head *head, struct field_list *list)
{
    for (size_t i = 0; i < head->field_count; i++) {
        const struct field *field = &head->fields[i];
        if ((head->http1 == NULL || !http1_is_hop(head->http1, field->name)) &&
            !is_stripped(field->name))
            field_list_add(list, field->name, field->value);
    }
}

static void send_head(struct exchange *exchange, const struct head *head,
                      void (*send)(struct exchange *exchange, const struct head *head))
{
    struct head sent = *head;
    struct field_list list = {0};

    list_passed(head, &list);
    sent.fields = list.fields;
    sent.field_count = list.count;
    send(exchange, &sent);
    free(list.fields);
}

static void send_body(struct exchange *exchange, struct span data)
{
    exchange->down += data.size;
    exchange->carrier->send_response_body(exchange, data);
}

static void release_held(struct exchange *exchange)
{
    size_t size = exchange->held != NULL ? evbuffer_get_length(exchange->held) : 0;

    send_head(exchange, &exchange->response_head, exchange->carrier->send_response);
    exchange->released = true;
    if (size > 0)
        send_body(exchange, (struct span){(char *)evbuffer_pullup(exchange->held, -1), size});
    if (exchange->held != NULL)
        evbuffer_free(exchange->held);
    exchange->held = NULL;
}

/* --- judging --- */

static void stop_sniffing(struct exchange *exchange)
{
    exchange->sniffing = false;
    decoder_free(exchange->decoder);
    decoder_free(exchange->coded);
    exchange->decoder = exchange->coded = NULL;
    exchange->response.prefix = exchange->response.coded = NULL; /* they were the decoders' */
    exchange->response.prefix_size = exchange->response.coded_size = 0;
}

static void show_prefix(struct exchange *exchange, bool is_whole)
{
    struct response *response = &exchange->response;

    if (exchange->decoder != NULL) {
        struct span prefix = decoder_output(exchange->decoder);
        response->prefix = (const uint8_t *)prefix.data;
        response->prefix_size = prefix.size;
    }
    if (exchange->coded != NULL) {
        struct span coded = decoder_output(exchange->coded);
        response->coded = (const uint8_t *)coded.data;
        response->coded_size = coded.size;
    }
    response->prefix_is_whole = is_whole;
}

/* Bytes that there are to judge by: as they came, where their coding cannot be undone. */
static size_t shown_size(const struct exchange *exchange)
{
    const struct decoder *shown = exchange->response.opaque ? exchange->coded : exchange->decoder;

    return shown != NULL ? decoder_output(shown).size : 0;
}

void session_judge_response(struct exchange *exchange, bool is_whole)
{
    const struct configuration *configuration = exchange->worker->configuration;
    struct finding finding = exchange->finding;
    struct standing standing;

    show_prefix(exchange, is_whole);
    replica_standing(exchange->worker->replica, exchange->flow->client->scope, &standing);
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
        session_record_would_block(exchange);
        blocks = false;
    }
    if (blocks && exchange->released) { /* danger that showed only after the first bytes had left */
        session_record_broken(exchange, finding.reason, "stopped in the middle");
        exchange->carrier->reset(exchange);
    } else if (blocks) {
        session_fail_origin(exchange, EVENT_BLOCK, finding.reason, NULL);
    } else {
        session_watch_page(exchange);
        if (!exchange->released)
            release_held(exchange);
        if (is_whole || shown_size(exchange) >= exchange->wanted)
            stop_sniffing(exchange);
    }
}

/* The decoder for the body, NULL when nothing can undo its codings. */
static struct decoder *make_decoder(const struct response *response, size_t wanted)
{
    char text[FIELD_LIST_TEXT];
    struct span codings;

    if (!field_list_join(response->fields, response->field_count, SPAN("Content-Encoding"), text,
                         &codings))
        return NULL;
    return decoder_new(codings, wanted);
}

static void begin_sniffing(struct exchange *exchange, const struct head *head)
{
    bool attachment;
    sniff_file_name(&exchange->response, exchange->request.target, exchange->file_name,
                    sizeof(exchange->file_name), &attachment);
    exchange->wanted =
        filters_wanted_bytes(&exchange->request, &exchange->response, &exchange->finding);
    exchange->enough =
        filters_held_bytes(&exchange->request, &exchange->response, &exchange->finding);
    if (!head->has_body) {
        session_judge_response(exchange, true);
        return;
    }
    exchange->sniffing = true;
    exchange->decoder = make_decoder(&exchange->response, exchange->wanted);
    if (exchange->decoder == NULL)
        exchange->response.opaque = true;
    if (exchange->decoder == NULL || !decoder_is_plain(exchange->decoder))
        exchange->coded = decoder_new((struct span){NULL, 0}, exchange->wanted);
    exchange->held = evbuffer_new();
    if (exchange->held == NULL) {
        exchange->carrier->reset(exchange);
        return;
    }
    exchange->carrier->set_deadline(exchange, session_sniff_limit(exchange));
    if (exchange->enough == 0)
        session_judge_response(exchange, false);
}

/* --- heads --- */

/* RFC 8441, section 5: the stream is a WebSocket from here on. */
static void open_tunnel(struct exchange *exchange, const struct head *head)
{
    if (!session_watch_upgrade(exchange)) {
        session_fail_origin(exchange, EVENT_ERROR, REASON_BAD_RESPONSE,
                            "a WebSocket extension that cannot be read");
        return;
    }
    send_head(exchange, head, exchange->carrier->send_response);
    exchange->released = true;
    session_record_allowed(exchange);
    session_set_deadline(exchange);
}

void session_take_interim_head(struct exchange *exchange, const struct head *head)
{
    if (!exchange->active || exchange->response_started)
        return;
    if (++exchange->interims > INTERIMS)
        session_fail_origin(exchange, EVENT_ERROR, REASON_BAD_RESPONSE, "interim responses only");
    else
        send_head(exchange, head, exchange->carrier->send_interim);
}

void session_take_response_head(struct exchange *exchange, const struct head *head)
{
    if (!exchange->active)
        return;
    exchange->response = (struct response){
        .status = head->status, .fields = head->fields, .field_count = head->field_count};
    exchange->response_head = *head;
    exchange->response_started = true;
    if (head->status == 206 && !exchange->ranged) {
        session_fail_origin(exchange, EVENT_ERROR, REASON_BAD_RESPONSE, "a part nobody asked for");
        return;
    }
    if (exchange->tunnel && head->status / 100 == 2) {
        open_tunnel(exchange, head);
        return;
    }
    exchange->tunnel = false;
    session_watch_response(exchange);
    begin_sniffing(exchange, head);
}

/* --- bodies --- */

void session_take_response_body(struct exchange *exchange, struct span data)
{
    if (!exchange->active)
        return;
    if (!session_watch_bytes(exchange, WATCH_SERVICE, data.data, data.size))
        return;
    if (exchange->tunnel)
        session_sign_call(exchange);
    if (exchange->released)
        send_body(exchange, data);
    else
        evbuffer_add(exchange->held, data.data, data.size);
    if (!exchange->sniffing)
        return;
    if (exchange->coded != NULL)
        decoder_feed(exchange->coded, data.data, data.size);
    if (exchange->decoder != NULL && decoder_feed(exchange->decoder, data.data, data.size) != 0)
        exchange->response.opaque = true;
    bool enough = shown_size(exchange) >= exchange->enough ||
                  (exchange->held != NULL && evbuffer_get_length(exchange->held) > HELD_LIMIT);
    if (exchange->released)
        exchange->unjudged = true; /* once for all that this read brings: it has not left yet */
    else if (enough)
        session_judge_response(exchange, false);
}

void session_take_response_trailer(struct exchange *exchange, const struct field *trailer,
                                   size_t count)
{
    if (exchange->active && exchange->sniffing)
        session_judge_response(exchange, true);
    if (exchange->active && exchange->released)
        exchange->carrier->send_response_end(exchange, trailer, count);
}

void session_take_response_end(struct exchange *exchange)
{
    if (exchange->active && exchange->sniffing)
        session_judge_response(exchange, true);
    if (!exchange->active)
        return; /* it was blocked at the last moment */
    exchange->carrier->send_response_end(exchange, NULL, 0);
    if (!exchange->recorded) /* a WebSocket was when it opened */
        session_record_allowed(exchange);
    exchange->carrier->finish(exchange);
}
