/* SPDX-License-Identifier: BSD-2-Clause */
/* Learning the links of a chat: see watch.h. */
#include "gateway/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/links.h"
#include "filters/memory.h"
#include "filters/url.h"
#include "gateway/decode.h"
#include "gateway/digest.h"
#include "gateway/replica.h"

struct watch {
    struct flow *flow;
    const struct service *service;
    enum watch_side side;
    struct link_scanner *scanner;
    struct decoder *decoder;     /* of a body */
    struct websocket *websocket; /* of a WebSocket's direction */
    const char *error;
    bool given_up; /* a body that is not what its coding says */
};

/* --- what is learned --- */

void watch_learn(struct flow *flow, const struct service *service, enum learned_kind kind,
                 const struct url *url, bool whole_host)
{
    const struct policy *policy = &flow->worker->configuration->policy;
    struct span host = span_of(url->host);
    struct learned_link link = {.kind = kind, .whole_host = whole_host, .since = clock_unix()};
    char text[URL_NORMAL_MAX];
    size_t size = url_normalise(url->tls, host, url->port, url->target, text, sizeof(text));

    if (policy_service_by_host(policy, host) == service)
        return; /* the service's own pages are no strangers */
    digest_sha256((struct span){text, size}, link.url_sha256);
    digest_sha256(host, link.host_sha256);
    link.until = link.since + policy->learned_for / 1000;
    snprintf(link.scope, sizeof(link.scope), "%s", flow->client->scope);
    snprintf(link.service, sizeof(link.service), "%s", service->name);
    replica_learn(flow->worker->replica, &link);
}

static enum learned_kind kind_of(const struct watch *watch)
{
    return watch->side == WATCH_SERVICE ? LEARNED_TEXT : LEARNED_TYPED;
}

/* A bare host is the https page and the http page alike. */
static void on_link(void *context, const struct found_link *found)
{
    struct watch *watch = context;
    struct url plain = found->url;

    watch_learn(watch->flow, watch->service, kind_of(watch), &found->url, found->cut);
    if (found->has_scheme)
        return;
    plain.tls = false;
    plain.port = plain.port == 443 ? 80 : plain.port;
    watch_learn(watch->flow, watch->service, kind_of(watch), &plain, found->cut);
}

/* --- bodies --- */

const struct service *watch_service(const struct policy *policy, struct span host)
{
    const struct service *service = policy_service_by_host(policy, host);

    if (service == NULL || policy->learned_for == 0 ||
        (!policy->learn_everywhere && hostset_find(service->chat, host) == NULL))
        return NULL;
    return service;
}

/* Text in every form but the page's own: its links are the service's. */
static bool is_watched_type(struct span media_type)
{
    static const char *const types[] = {"application/json", "application/x-ndjson",
                                        "application/xml",  "application/x-www-form-urlencoded",
                                        "multipart/",       "text/"};
    struct span type = span_trim(span_first(media_type, span_index(media_type, ';')));

    if (span_starts_nocase(type, SPAN("text/html")) || span_starts_nocase(type, SPAN("text/css")) ||
        span_starts_nocase(type, SPAN("text/javascript")))
        return false;
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
        if (span_starts_nocase(type, span_of(types[i])))
            return true;
    return span_ends(type, SPAN("+json")) || span_ends(type, SPAN("+xml"));
}

static struct watch *watch_new(struct flow *flow, const struct service *service,
                               enum watch_side side)
{
    struct watch *watch = memory_allocate(1, sizeof(*watch));

    watch->flow = flow;
    watch->service = service;
    watch->side = side;
    watch->scanner = link_scanner_new(on_link, watch);
    return watch;
}

static void on_decoded(void *context, struct span bytes)
{
    struct watch *watch = context;

    link_scanner_feed(watch->scanner, bytes.data, bytes.size);
}

struct watch *watch_new_body(struct flow *flow, const struct service *service, enum watch_side side,
                             struct span media_type, struct span content_encoding)
{
    struct watch *watch;

    if (!is_watched_type(media_type))
        return NULL;
    watch = watch_new(flow, service, side);
    watch->decoder = decoder_new_stream(content_encoding, on_decoded, watch);
    if (watch->decoder == NULL) {
        watch_free(watch);
        return NULL;
    }
    return watch;
}

/* --- WebSocket --- */

static void on_websocket(void *context, const struct websocket_event *event)
{
    struct watch *watch = context;

    if (event->kind == WEBSOCKET_EVENT_CONTENT)
        link_scanner_feed(watch->scanner, event->bytes.data, event->bytes.size);
    else if (event->kind == WEBSOCKET_EVENT_MESSAGE)
        link_scanner_end(watch->scanner);
}

struct watch *watch_new_websocket(struct flow *flow, const struct service *service,
                                  enum watch_side side,
                                  const struct websocket_parameters *parameters)
{
    struct watch *watch = watch_new(flow, service, side);

    watch->websocket = side == WATCH_CLIENT ? websocket_new_client(parameters, on_websocket, watch)
                                            : websocket_new_server(parameters, on_websocket, watch);
    return watch;
}

/* --- both --- */

bool watch_feed(struct watch *watch, const void *bytes, size_t size)
{
    enum websocket_error error;

    if (watch->websocket == NULL) {
        if (!watch->given_up && decoder_feed(watch->decoder, bytes, size) != 0)
            watch->given_up = true;
        return true;
    }
    error = websocket_feed(watch->websocket, bytes, size);
    if (error != WEBSOCKET_ERROR_NONE)
        watch->error = websocket_error_text(error);
    return error == WEBSOCKET_ERROR_NONE;
}

const char *watch_error(const struct watch *watch)
{
    return watch->error;
}

void watch_free(struct watch *watch)
{
    if (watch == NULL)
        return;
    link_scanner_end(watch->scanner);
    link_scanner_free(watch->scanner);
    decoder_free(watch->decoder);
    websocket_free(watch->websocket);
    free(watch);
}
