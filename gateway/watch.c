/* SPDX-License-Identifier: BSD-2-Clause */
/* Learning the links of a chat: see watch.h. */
#include "gateway/watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/learned_url.h"
#include "filters/links.h"
#include "filters/memory.h"
#include "filters/namespaces.h"
#include "filters/url.h"
#include "gateway/chat_text.h"
#include "gateway/decode.h"
#include "gateway/digest.h"
#include "gateway/examination.h"
#include "gateway/picture.h"
#include "gateway/replica.h"
#include "gateway/worker.h"

#define TELL_UNSEEN 60000 /* ms between records of what could not be looked through */
#define FIRST       16    /* bytes by which every picture is known */

/* For whom something is learned: a watch may outlive its flow while a picture is examined. */
struct learner {
    struct worker *worker;
    const struct service *service;
    char scope[SCOPE_TEXT];
};

/* A picture that is with the examiner. */
struct watched_picture {
    LIST_ENTRY(watched_picture) next;
    struct learner learner;
    struct examination *examination;
    bool has_bytes;
};

struct watch {
    struct learner learner;
    enum watch_side side;
    struct chat_text *text;          /* NULL: the whole body is a picture */
    struct decoder *decoder;         /* of a body */
    struct websocket *websocket;     /* of a WebSocket's direction */
    struct watched_picture *picture; /* that is coming in, or NULL */
    bool given_up;                   /* a body that is not what its coding says */
    bool decided;                    /* a body: it is known whether it is text, not a picture */
    char first[FIRST];               /* of it until then */
    size_t first_size;
    const char *error;
};

/* --- what is learned --- */

static void learn_url(const struct learner *learner, enum learned_kind kind, const struct url *url,
                      bool cut)
{
    const struct policy *policy = &learner->worker->configuration->policy;
    struct learned_link link = {.kind = kind, .since = clock_unix_ms()};
    int64_t lasts = kind == LEARNED_TYPED ? policy->typed_for : policy->learned_for;

    if (policy_service_by_host(policy, span_of(url->host)) == learner->service)
        return; /* the service's own pages are no strangers */
    if (namespace_is_known(url))
        return;
    learned_link_name(&link, url, cut, digest_sha256);
    link.until = clock_unix() + lasts / 1000;
    snprintf(link.scope, sizeof(link.scope), "%s", learner->scope);
    snprintf(link.service, sizeof(link.service), "%s", learner->service->name);
    replica_learn(learner->worker->replica, &link);
    worker_tell(learner->worker);
}

static void learn(const struct learner *learner, enum learned_kind kind,
                  const struct found_link *found)
{
    struct url other;

    learn_url(learner, kind, &found->url, found->cut);
    if (learned_url_other(&found->url, found->has_scheme, &other))
        learn_url(learner, kind, &other, found->cut);
}

static void learner_init(struct learner *learner, const struct flow *flow,
                         const struct service *service)
{
    learner->worker = flow->worker;
    learner->service = service;
    snprintf(learner->scope, sizeof(learner->scope), "%s", flow->client->scope);
}

void watch_learn_redirect(struct flow *flow, const char *service, const struct url *url)
{
    const struct policy *policy = &flow->worker->configuration->policy;
    struct found_link found = {.url = *url, .has_scheme = true};
    struct learner learner;

    for (size_t i = 0; i < policy->service_count; i++)
        if (strcmp(policy->services[i].name, service) == 0) {
            learner_init(&learner, flow, &policy->services[i]);
            learn(&learner, LEARNED_REDIRECT, &found);
        }
}

static void on_link(void *context, const struct found_link *found)
{
    const struct watch *watch = context;

    learn(&watch->learner, watch->side == WATCH_SERVICE ? LEARNED_TEXT : LEARNED_TYPED, found);
}

/* What could not be looked through may have held a link: the clinic's record says so. */
static void tell_of_unseen(const struct learner *learner)
{
    struct worker *worker = learner->worker;
    int64_t now = clock_monotonic();
    struct record record;
    char text[96];

    worker->unseen++;
    if (now < worker->tell_unseen_at)
        return;
    snprintf(text, sizeof(text),
             "%u bodies, messages or pictures could not be looked through for links",
             worker->unseen);
    worker->unseen = 0;
    worker->tell_unseen_at = now + TELL_UNSEEN;
    record_init(&record, EVENT_ERROR);
    record_set_text(&record, RECORD_SERVICE, learner->service->name);
    record_set_text(&record, RECORD_DETAIL, text);
    replica_record(worker->replica, &record);
}

/* --- pictures --- */

static void on_code(void *context, const struct found_link *found)
{
    learn(context, LEARNED_CODE, found);
}

static void watched_free(struct watched_picture *picture)
{
    LIST_REMOVE(picture, next);
    free(picture);
}

/* The text of each code is looked through as a message would be. */
static void on_examined(void *context, enum examination_status status, const struct span *texts,
                        size_t count)
{
    struct watched_picture *picture = context;

    /* Too large, too costly, nobody there to open it, or of a kind that nobody can. */
    if (status == EXAMINATION_OPAQUE || (status == EXAMINATION_UNKNOWN && picture->has_bytes))
        tell_of_unseen(&picture->learner);
    for (size_t i = 0; i < count; i++) {
        struct link_scanner *scanner = link_scanner_new(on_code, &picture->learner);
        link_scanner_feed(scanner, texts[i].data, texts[i].size);
        link_scanner_end(scanner);
        link_scanner_free(scanner);
    }
    watched_free(picture);
}

/* Only what comes from the service: the clinic's own pictures are nobody's link. */
static void picture_begin(void *context)
{
    struct watch *watch = context;
    struct worker *worker = watch->learner.worker;
    struct examination *examination;

    if (watch->side != WATCH_SERVICE || watch->picture != NULL)
        return;
    examination = examination_begin(worker->examinations, EXAMINATION_PICTURE, 0);
    if (examination == NULL) {
        tell_of_unseen(&watch->learner);
        return;
    }
    watch->picture = memory_allocate(1, sizeof(*watch->picture));
    watch->picture->learner = watch->learner;
    watch->picture->examination = examination;
    LIST_INSERT_HEAD(&worker->pictures, watch->picture, next);
}

static void picture_feed(void *context, const void *bytes, size_t size)
{
    struct watch *watch = context;

    if (watch->picture == NULL)
        return;
    watch->picture->has_bytes = watch->picture->has_bytes || size > 0;
    examination_feed(watch->picture->examination, bytes, size);
}

static void picture_end(void *context)
{
    struct watch *watch = context;

    if (watch->picture != NULL)
        examination_end(watch->picture->examination, on_examined, watch->picture);
    watch->picture = NULL;
}

static const struct data_url_handler picture_handler = {picture_begin, picture_feed, picture_end};

void watch_free_all(struct worker *worker)
{
    struct watched_picture *picture;

    while ((picture = LIST_FIRST(&worker->pictures)) != NULL) {
        examination_cancel(picture->examination);
        watched_free(picture);
    }
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

static struct watch *watch_new(struct flow *flow, const struct service *service,
                               enum watch_side side)
{
    struct watch *watch = memory_allocate(1, sizeof(*watch));

    learner_init(&watch->learner, flow, service);
    watch->side = side;
    return watch;
}

static void take_first(struct watch *watch, bool is_whole)
{
    struct span first = {watch->first, watch->first_size};
    enum picture_start start = picture_recognise(first);

    if (start == PICTURE_PERHAPS && !is_whole && first.size < FIRST)
        return;
    watch->decided = true;
    if (start != PICTURE_BEGINS) {
        chat_text_feed(watch->text, first);
        return;
    }
    chat_text_free(watch->text);
    watch->text = NULL;
    picture_begin(watch);
    picture_feed(watch, first.data, first.size);
}

/* Files are often declared as anything. Browsers show a picture that begins like one. */
static void on_decoded(void *context, struct span bytes)
{
    struct watch *watch = context;

    while (!watch->decided && bytes.size > 0) {
        watch->first[watch->first_size++] = bytes.data[0];
        bytes = span_from(bytes, 1);
        take_first(watch, false);
    }
    if (bytes.size == 0)
        return;
    if (watch->text == NULL)
        picture_feed(watch, bytes.data, bytes.size);
    else
        chat_text_feed(watch->text, bytes);
}

/* One that is drawn with lines is text: its links can be read, a code in it cannot. */
static bool is_picture(struct span media_type)
{
    return span_starts_nocase(media_type, SPAN("image/")) &&
           !span_starts_nocase(media_type, SPAN("image/svg"));
}

struct watch *watch_new_body(struct flow *flow, const struct service *service, enum watch_side side,
                             const struct watch_body *body)
{
    struct watch *watch;

    if (is_picture(body->media_type) && side != WATCH_SERVICE)
        return NULL;
    watch = watch_new(flow, service, side);
    watch->decided = side != WATCH_SERVICE || is_picture(body->media_type);
    if (is_picture(body->media_type))
        picture_begin(watch);
    else if ((watch->text = chat_text_new(body->media_type, body->target, on_link, &picture_handler,
                                          watch)) == NULL)
        goto nothing;
    watch->decoder = decoder_new_stream(body->content_encoding, on_decoded, watch);
    if (watch->decoder != NULL)
        return watch;
    tell_of_unseen(&watch->learner);
nothing:
    watch_free(watch);
    return NULL;
}

/* --- WebSocket --- */

static void on_websocket(void *context, const struct websocket_event *event)
{
    struct watch *watch = context;

    if (event->kind == WEBSOCKET_EVENT_CONTENT)
        chat_text_feed(watch->text, event->bytes);
    else if (event->kind == WEBSOCKET_EVENT_MESSAGE)
        chat_text_end(watch->text);
    if (event->kind == WEBSOCKET_EVENT_MESSAGE && !event->whole)
        tell_of_unseen(&watch->learner); /* longer than is given, or all of it given up */
}

struct watch *watch_new_websocket(struct flow *flow, const struct service *service,
                                  enum watch_side side,
                                  const struct websocket_parameters *parameters,
                                  struct span protocol)
{
    struct watch *watch = watch_new(flow, service, side);

    watch->text = chat_text_new_messages(protocol, on_link, &picture_handler, watch);
    watch->websocket = side == WATCH_CLIENT ? websocket_new_client(parameters, on_websocket, watch)
                                            : websocket_new_server(parameters, on_websocket, watch);
    return watch;
}

/* --- both --- */

bool watch_feed(struct watch *watch, const void *bytes, size_t size)
{
    enum websocket_error error;

    if (watch->websocket == NULL) {
        if (!watch->given_up && decoder_feed(watch->decoder, bytes, size) != 0) {
            watch->given_up = true;
            tell_of_unseen(&watch->learner);
        }
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
    if (watch->first_size > 0 && !watch->decided)
        take_first(watch, true);
    if (watch->text != NULL)
        chat_text_end(watch->text);
    else
        picture_end(watch);
    chat_text_free(watch->text);
    decoder_free(watch->decoder);
    websocket_free(watch->websocket);
    free(watch);
}
