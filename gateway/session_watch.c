/* SPDX-License-Identifier: BSD-2-Clause */
/* What a session learns from what passes through it: see watch.h. */
#include "gateway/session_private.h"

#include <string.h>

#include "filters/url.h"
#include "gateway/refresh.h"

static const struct policy *policy_of(const struct exchange *exchange)
{
    return &exchange->worker->configuration->policy;
}

static struct span value_of(const struct field *fields, size_t count, const char *name)
{
    const struct field *field = field_find(fields, count, span_of(name));

    return field != NULL ? field->value : (struct span){0};
}

static struct watch *watch_body(struct exchange *exchange, const struct service *service,
                                enum watch_side side, const struct field *fields, size_t count)
{
    struct watch_body body = {.media_type = value_of(fields, count, "Content-Type")};
    char codings[FIELD_LIST_TEXT];

    if (!field_list_join(fields, count, SPAN("Content-Encoding"), codings, &body.content_encoding))
        body.content_encoding = SPAN("too long"); /* no coding: nobody can undo it */
    if (side == WATCH_SERVICE)
        body.target = exchange->request.target;
    return watch_new_body(exchange->flow, service, side, &body);
}

void session_watch_request(struct exchange *exchange, const struct head *head)
{
    const struct request *request = &exchange->request;
    const struct service *service = watch_service(policy_of(exchange), request->host);

    if (exchange->finding.source != FROM_LEARNED)
        exchange->meeting = meeting_watch_new(exchange->flow, request);
    if (service == NULL || !head->has_body || exchange->tunnel)
        return;
    exchange->up_watch =
        watch_body(exchange, service, WATCH_CLIENT, request->fields, request->field_count);
}

void session_watch_request_end(struct exchange *exchange)
{
    watch_free(exchange->up_watch);
    exchange->up_watch = NULL;
}

/* A redirect on the way from a learned link makes the next one learned too. */
static void learn_redirect(struct exchange *exchange, struct span reference)
{
    const struct request *request = &exchange->request;
    struct url base = {.tls = request->tls, .port = request->port, .target = request->target}, url;
    char text[URL_NORMAL_MAX];

    memcpy(base.host, request->host.data, request->host.size);
    if (reference.size > 0 && url_resolve(&base, reference, text, &url))
        watch_learn_redirect(exchange->flow, exchange->finding.learned.service, &url);
}

void session_watch_page(struct exchange *exchange)
{
    struct span html = {(const char *)exchange->response.prefix, exchange->response.prefix_size};

    if (exchange->finding.source == FROM_LEARNED)
        learn_redirect(exchange, refresh_parse(refresh_find_meta(html)));
}

void session_watch_response(struct exchange *exchange)
{
    const struct response *response = &exchange->response;
    const struct service *service = watch_service(policy_of(exchange), exchange->request.host);

    meeting_watch_answer(exchange->meeting, response, exchange->request_over);
    if (exchange->finding.source == FROM_LEARNED) {
        learn_redirect(exchange, value_of(response->fields, response->field_count, "Location"));
        learn_redirect(exchange,
                       refresh_parse(value_of(response->fields, response->field_count, "Refresh")));
    }
    if (service == NULL)
        return;
    exchange->down_watch =
        watch_body(exchange, service, WATCH_SERVICE, response->fields, response->field_count);
}

bool session_watch_upgrade(struct exchange *exchange)
{
    const struct response *response = &exchange->response;
    const struct service *service = watch_service(policy_of(exchange), exchange->request.host);
    struct websocket_parameters parameters;
    struct span extensions, protocol;
    char text[FIELD_LIST_TEXT];

    if (service == NULL)
        return true;
    if (!field_list_join(response->fields, response->field_count, SPAN("Sec-WebSocket-Extensions"),
                         text, &extensions) ||
        !websocket_negotiate(extensions, &parameters))
        return false;
    protocol = value_of(response->fields, response->field_count, "Sec-WebSocket-Protocol");
    exchange->up_watch =
        watch_new_websocket(exchange->flow, service, WATCH_CLIENT, &parameters, protocol);
    exchange->down_watch =
        watch_new_websocket(exchange->flow, service, WATCH_SERVICE, &parameters, protocol);
    return true;
}

bool session_watch_bytes(struct exchange *exchange, enum watch_side side, const void *bytes,
                         size_t size)
{
    struct watch *watch = side == WATCH_CLIENT ? exchange->up_watch : exchange->down_watch;

    meeting_watch_feed(exchange->meeting, side, bytes, size);
    if (watch == NULL || watch_feed(watch, bytes, size))
        return true;
    session_record_broken(exchange, side == WATCH_CLIENT ? REASON_BAD_REQUEST : REASON_BAD_RESPONSE,
                          watch_error(watch));
    exchange->carrier->reset(exchange);
    return false;
}
