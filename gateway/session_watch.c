/* SPDX-License-Identifier: BSD-2-Clause */
/* What a session learns from what passes through it: see watch.h. */
#include "gateway/session_private.h"

#include <stdio.h>
#include <string.h>

#include "filters/url.h"

static const struct policy *policy_of(const struct session *session)
{
    return &session->worker->configuration->policy;
}

static struct span value_of(const struct field *fields, size_t count, const char *name)
{
    const struct field *field = field_find(fields, count, span_of(name));

    return field != NULL ? field->value : (struct span){0};
}

void session_watch_request(struct session *session)
{
    struct exchange *exchange = &session->exchange;
    const struct request *request = &exchange->request;
    const struct service *service = watch_service(policy_of(session), request->host);

    if (service == NULL || exchange->request_framing == HTTP1_NO_BODY)
        return;
    exchange->up_watch =
        watch_new_body(session->flow, service, WATCH_CLIENT,
                       value_of(request->fields, request->field_count, "Content-Type"),
                       value_of(request->fields, request->field_count, "Content-Encoding"));
}

/* Where an absolute or relative reference leads from `request` (RFC 3986 section 5, without dots).
 */
static bool resolve(const struct request *request, struct span reference, char *text, size_t size,
                    struct url *url)
{
    const char *scheme = request->tls ? "https" : "http";
    int length;

    if (url_parse(reference, url))
        return true;
    if (span_starts(reference, SPAN("//")))
        length = snprintf(text, size, "%s:%.*s", scheme, (int)reference.size, reference.data);
    else if (span_starts(reference, SPAN("/")))
        length = snprintf(text, size, "%s://%.*s:%u%.*s", scheme, (int)request->host.size,
                          request->host.data, request->port, (int)reference.size, reference.data);
    else
        return false;
    return length > 0 && (size_t)length < size &&
           url_parse((struct span){text, (size_t)length}, url);
}

/* A redirect on the way from a learned link makes the next one learned too. */
static void learn_redirect(struct session *session)
{
    const struct exchange *exchange = &session->exchange;
    const struct response *response = &exchange->response;
    struct span location = value_of(response->fields, response->field_count, "Location");
    struct span refresh = value_of(response->fields, response->field_count, "Refresh");
    size_t at = span_find_nocase(refresh, SPAN("url="));
    char text[URL_NORMAL_MAX];
    struct url url;

    if (location.size == 0 && at < refresh.size)
        location = span_trim(span_from(refresh, at + 4));
    if (location.size == 0 || !resolve(&exchange->request, location, text, sizeof(text), &url))
        return;
    const struct policy *policy = policy_of(session);
    for (size_t i = 0; i < policy->service_count; i++)
        if (strcmp(policy->services[i].name, exchange->finding.learned.service) == 0)
            watch_learn(session->flow, &policy->services[i], LEARNED_REDIRECT, &url, false);
}

void session_watch_response(struct session *session)
{
    struct exchange *exchange = &session->exchange;
    const struct response *response = &exchange->response;
    const struct service *service = watch_service(policy_of(session), exchange->request.host);

    if (exchange->finding.source == FROM_LEARNED)
        learn_redirect(session);
    if (service == NULL)
        return;
    exchange->down_watch =
        watch_new_body(session->flow, service, WATCH_SERVICE,
                       value_of(response->fields, response->field_count, "Content-Type"),
                       value_of(response->fields, response->field_count, "Content-Encoding"));
}

bool session_watch_upgrade(struct session *session)
{
    struct exchange *exchange = &session->exchange;
    const struct response *response = &exchange->response;
    const struct service *service = watch_service(policy_of(session), exchange->request.host);
    struct websocket_parameters parameters;

    if (service == NULL)
        return true;
    if (!websocket_negotiate(
            value_of(response->fields, response->field_count, "Sec-WebSocket-Extensions"),
            &parameters))
        return false;
    exchange->up_watch = watch_new_websocket(session->flow, service, WATCH_CLIENT, &parameters);
    exchange->down_watch = watch_new_websocket(session->flow, service, WATCH_SERVICE, &parameters);
    return true;
}

bool session_watch_bytes(struct session *session, enum watch_side side, const void *bytes,
                         size_t size)
{
    struct exchange *exchange = &session->exchange;
    struct watch *watch = side == WATCH_CLIENT ? exchange->up_watch : exchange->down_watch;

    if (watch == NULL || watch_feed(watch, bytes, size))
        return true;
    session_record_broken(session, side == WATCH_CLIENT ? REASON_BAD_REQUEST : REASON_BAD_RESPONSE,
                          watch_error(watch));
    session->ending = END_RESET;
    return false;
}
