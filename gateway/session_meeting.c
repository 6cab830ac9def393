/* SPDX-License-Identifier: BSD-2-Clause */
/* Learning the clinic's own meetings: see session_meeting.h. */
#include "gateway/session_meeting.h"

#include <stdlib.h>
#include <string.h>

#include "filters/links.h"
#include "filters/meeting.h"
#include "filters/memory.h"
#include "gateway/decode.h"
#include "gateway/digest.h"
#include "gateway/replica.h"
#include "gateway/worker.h"

#define NAMED_MAX  32      /* meetings that the request itself may name */
#define MADE_MAX   16      /* that one answer may make */
#define ANSWER_MAX 1048576 /* bytes of it that are looked at, decoded */

struct meeting_watch {
    struct worker *worker;
    const struct service *service;
    struct url request; /* its target lies in `target` */
    char *target;
    struct link_scanner *named, *made;
    struct decoder *up, *down;
    bool makes; /* by its method */
    bool given_up;
    uint8_t digests[NAMED_MAX][32];
    size_t named_count, made_count, answered;
};

static struct span value_of(const struct field *fields, size_t count, const char *name)
{
    const struct field *field = field_find(fields, count, span_of(name));

    return field != NULL ? field->value : (struct span){0};
}

/* A link of the request's: in the answer it is only an echo. */
static void on_named(void *context, const struct found_link *found)
{
    struct meeting_watch *watch = context;
    uint8_t digest[32];

    if (!meeting_digest(watch->service, span_of(found->url.host), found->url.target, digest_sha256,
                        digest))
        return;
    if (watch->named_count == NAMED_MAX)
        watch->given_up = true; /* nobody makes a meeting so */
    else
        memcpy(watch->digests[watch->named_count++], digest, sizeof(digest));
}

static bool is_named(const struct meeting_watch *watch, const struct learned_link *link)
{
    for (size_t i = 0; i < watch->named_count; i++)
        if (memcmp(watch->digests[i], link->url_sha256, sizeof(link->url_sha256)) == 0)
            return true;
    return false;
}

static void learn(struct meeting_watch *watch, const struct url *url)
{
    const struct policy *policy = &watch->worker->configuration->policy;
    struct learned_link links[MEETING_LINKS];

    if (watch->given_up || watch->made_count == MADE_MAX ||
        !meeting_learn(watch->service, url, digest_sha256, links) || is_named(watch, &links[0]) ||
        meeting_is_named(watch->service, url, watch->request.target))
        return;
    watch->made_count++;
    for (size_t i = 0; i < MEETING_LINKS; i++) {
        links[i].since = clock_unix_ms();
        links[i].until = clock_unix() + policy->own_meetings_for / 1000;
        replica_learn(watch->worker->replica, &links[i]);
    }
    worker_tell(watch->worker);
}

static void on_made(void *context, const struct found_link *found)
{
    if (!found->cut)
        learn(context, &found->url);
}

static void on_request(void *context, struct span bytes)
{
    struct meeting_watch *watch = context;

    link_scanner_feed(watch->named, bytes.data, bytes.size);
}

static void on_answer(void *context, struct span bytes)
{
    struct meeting_watch *watch = context;

    watch->answered += bytes.size;
    if (watch->answered > ANSWER_MAX)
        watch->given_up = true;
    else
        link_scanner_feed(watch->made, bytes.data, bytes.size);
}

struct meeting_watch *meeting_watch_new(struct flow *flow, const struct request *request)
{
    const struct policy *policy = &flow->worker->configuration->policy;
    const struct service *service = meeting_maker(policy, request->host, request->target);
    struct meeting_watch *watch;

    if (service == NULL || policy->own_meetings_for == 0)
        return NULL;
    watch = memory_allocate(1, sizeof(*watch));
    watch->worker = flow->worker;
    watch->service = service;
    watch->target = memory_span(request->target);
    watch->request =
        (struct url){.tls = request->tls, .port = request->port, .target = span_of(watch->target)};
    memcpy(watch->request.host, request->host.data, request->host.size);
    watch->makes =
        span_equal(request->method, SPAN("POST")) || span_equal(request->method, SPAN("PUT"));
    watch->named = link_scanner_new(on_named, watch);
    watch->made = link_scanner_new(on_made, watch);
    watch->up = decoder_new_stream(
        value_of(request->fields, request->field_count, "Content-Encoding"), on_request, watch);
    watch->given_up = watch->up == NULL; /* it may say anything */
    return watch;
}

static void learn_location(struct meeting_watch *watch, const struct response *response)
{
    struct span location = value_of(response->fields, response->field_count, "Location");
    char text[URL_NORMAL_MAX];
    struct url url;

    if (response->status >= 300 && response->status < 400 && location.size > 0 &&
        url_resolve(&watch->request, location, text, &url))
        learn(watch, &url);
}

void meeting_watch_answer(struct meeting_watch *watch, const struct response *response,
                          bool request_over)
{
    if (watch == NULL)
        return;
    if (!request_over)
        watch->given_up = true;
    link_scanner_end(watch->named);
    learn_location(watch, response);
    if (watch->makes && response->status >= 200 && response->status < 300)
        watch->down = decoder_new_stream(
            value_of(response->fields, response->field_count, "Content-Encoding"), on_answer,
            watch);
}

void meeting_watch_feed(struct meeting_watch *watch, enum watch_side side, const void *bytes,
                        size_t size)
{
    struct decoder *decoder;

    if (watch == NULL || watch->given_up)
        return;
    decoder = side == WATCH_CLIENT ? watch->up : watch->down;
    if (decoder != NULL && decoder_feed(decoder, bytes, size) != 0)
        watch->given_up = true;
}

void meeting_watch_free(struct meeting_watch *watch)
{
    if (watch == NULL)
        return;
    link_scanner_end(watch->named);
    link_scanner_end(watch->made);
    link_scanner_free(watch->named);
    link_scanner_free(watch->made);
    decoder_free(watch->up);
    decoder_free(watch->down);
    free(watch->target);
    free(watch);
}
