/* SPDX-License-Identifier: BSD-2-Clause */
/* The registry and the links that came in through a chat: kept, logged, told to every worker. */
#include <stdio.h>
#include <string.h>

#include "filters/meeting.h"
#include "gateway/digest.h"
#include "gateway/registry.h"

#define TELL_EVERY 60 /* s between records of the same flood */

/* Of the link itself only the hash is known, here as everywhere. */
static void write_record(struct registry *registry, const struct learned_link *link)
{
    struct record record;
    char hex[65];

    if (link->kind == LEARNED_TYPED || meeting_is_mark(link))
        return;
    digest_hex(link->url_sha256, sizeof(link->url_sha256), hex);
    record_init(&record, EVENT_LEARNED);
    record_set_text(&record, RECORD_SERVICE, link->service);
    record_set_text(&record, RECORD_URL_SHA256, hex);
    record_set_text(&record, RECORD_KIND, learned_kind_name(link->kind));
    record_set_text(&record, RECORD_DETAIL, link->scope);
    registry_write(registry, &record);
}

/* Somebody floods the chat: what he wants to be forgotten by it may have been. */
static void tell_of_pushed_out(struct registry *registry, int64_t now)
{
    const struct learned_link *last;
    uint64_t pushed_out = learned_links_pushed_out(registry->learned, &last);
    struct record record;
    char text[96 + SCOPE_TEXT];

    if (pushed_out == registry->told_pushed_out || now < registry->tell_pushed_out_at)
        return;
    snprintf(text, sizeof(text), "%llu learned links were pushed out by newer ones, the last in %s",
             (unsigned long long)(pushed_out - registry->told_pushed_out), last->scope);
    registry->told_pushed_out = pushed_out;
    registry->tell_pushed_out_at = now + TELL_EVERY;
    record_init(&record, EVENT_ERROR);
    record_set_text(&record, RECORD_SERVICE, last->service);
    record_set_text(&record, RECORD_DETAIL, text);
    registry_write(registry, &record);
}

/* The clinic's own meetings are nobody else's scope. */
static bool is_scope_of(const struct learned_link *link)
{
    return link->kind == LEARNED_OWN ? strcmp(link->scope, MEETING_SCOPE) == 0
                                     : registry_is_scope(link->scope);
}

static int64_t longest_for(const struct registry *registry, enum learned_kind kind)
{
    const struct policy *policy = &registry->configuration->policy;

    return kind == LEARNED_OWN     ? policy->own_meetings_for
           : kind == LEARNED_TYPED ? policy->typed_for
                                   : policy->learned_for;
}

bool registry_learn(struct registry *registry, const struct message_learned *message)
{
    struct learned_link link = message->link;
    int64_t now = registry_now() / 1000, longest;

    if (!learned_link_is_sound(&message->link) ||
        !registry_is_clean_text(link.scope, sizeof(link.scope)) || !is_scope_of(&link) ||
        !registry_is_clean_text(link.service, sizeof(link.service)))
        return false;
    longest = now + longest_for(registry, link.kind) / 1000;
    if (link.until > longest)
        link.until = longest;
    if (link.since > registry_now())
        link.since = registry_now();
    bool known = learned_links_find(registry->learned, link.scope, link.url_sha256,
                                    link.host_sha256, LEARNED_OF_URL, now) != NULL;
    if (!learned_links_add(registry->learned, &link, now))
        return true;
    registry_broadcast(registry, MESSAGE_LEARNED, &link, sizeof(link));
    store_set_learned(registry->store, &link, now);
    if (!known)
        write_record(registry, &link);
    tell_of_pushed_out(registry, now);
    return true;
}

static void on_stored(void *context, const struct learned_link *link)
{
    struct registry *registry = context;

    if (is_scope_of(link) && learned_links_add(registry->learned, link, registry_now() / 1000))
        registry_broadcast(registry, MESSAGE_LEARNED, link, sizeof(*link));
}

void registry_load_learned(struct registry *registry)
{
    store_list_learned(registry->store, registry_now() / 1000, on_stored, registry);
}

static void keep_one(void *context, const struct learned_link *link)
{
    struct registry *registry = context;

    store_set_learned(registry->store, link, registry_now() / 1000);
}

void registry_keep_learned(struct registry *registry)
{
    learned_links_each(registry->learned, registry_now() / 1000, keep_one, registry);
}

static void send_one(void *context, const struct learned_link *link)
{
    link_send(context, MESSAGE_LEARNED, link, sizeof(*link), -1);
}

void registry_send_learned(struct registry *registry, struct link *link)
{
    learned_links_each(registry->learned, registry_now() / 1000, send_one, link);
}
