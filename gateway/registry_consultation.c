/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Consultations in the registry. filters/consultation.c decides what is on; beside it stands here
 * what is shown (since when), what the workers were told and what the store knows.
 *
 * Signs come all the time while a call is on. The workers hear of the first at once and then at
 * most once a second; the store is written more rarely still, and then with a later end than the
 * true one: after a crash a consultation lasts a little too long rather than too short.
 */
#include "gateway/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/utf8.h"

static int64_t smaller(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static int64_t tell_every(const struct registry *registry)
{
    return smaller(1000, registry->configuration->policy.linger / 4);
}

static int64_t store_every(const struct registry *registry)
{
    return smaller(30000, registry->configuration->policy.linger / 4);
}

/* FNV-1a. Two scopes that share a hash cost one comparison more. */
static uint32_t hash(const char *scope)
{
    uint32_t value = 2166136261u;

    for (; *scope != '\0'; scope++)
        value = (value ^ (unsigned char)*scope) * 16777619u;
    return value;
}

static struct registry_consultation *find(struct registry *registry, const char *scope)
{
    uint32_t wanted = hash(scope);

    for (size_t i = 0; i < registry->scope_count; i++)
        if (registry->scope_hashes[i] == wanted && strcmp(registry->scopes[i].scope, scope) == 0)
            return &registry->scopes[i];
    return NULL;
}

/* The row of a scope; the core's own bound, and one for CONSULTATION_EVERY, are all there can be.
 */
static struct registry_consultation *find_or_add(struct registry *registry, const char *scope)
{
    struct registry_consultation *row = find(registry, scope);

    if (row != NULL)
        return row;
    registry->scope_hashes[registry->scope_count] = hash(scope);
    row = &registry->scopes[registry->scope_count++];
    memset(row, 0, sizeof(*row));
    snprintf(row->scope, sizeof(row->scope), "%s", scope);
    return row;
}

/* The scope under which the core has it: when there is no place for one more, it is every scope. */
static const char *effective_scope(struct registry *registry, const char *scope)
{
    size_t every = find(registry, CONSULTATION_EVERY) == NULL ? 0 : 1;

    return find(registry, scope) == NULL && registry->scope_count - every >= CONSULTATION_SCOPES
               ? CONSULTATION_EVERY
               : scope;
}

void registry_tell_parent(struct registry *registry)
{
    struct link *parent = registry->child == NULL ? NULL : registry->child->parent;
    struct message_boundary message = {.consultation = registry->scope_count > 0};

    if (parent == NULL || registry->told_parent == (int)message.consultation)
        return;
    if (link_send(parent, MESSAGE_BOUNDARY, &message, sizeof(message), -1) == 0)
        registry->told_parent = (int)message.consultation;
}

static void make_message(struct message_consultation *message, const char *scope,
                         const char *service, int64_t until)
{
    memset(message, 0, sizeof(*message));
    snprintf(message->scope, sizeof(message->scope), "%s", scope);
    snprintf(message->service, sizeof(message->service), "%s", service);
    message->until = until;
}

static void tell_workers(struct registry *registry, const char *scope, const char *service,
                         int64_t until)
{
    struct message_consultation message;

    make_message(&message, scope, service, until);
    registry_broadcast(registry, MESSAGE_CONSULTATION, &message, sizeof(message));
}

void registry_send_state(struct registry *registry, struct link *link)
{
    struct message_consultation message;

    for (size_t i = 0; i < registry->scope_count; i++) {
        const struct registry_consultation *row = &registry->scopes[i];

        make_message(&message, row->scope, row->service, row->until);
        link_send(link, MESSAGE_CONSULTATION, &message, sizeof(message), -1);
    }
}

static void write_record(struct registry *registry, enum record_event event, const char *scope,
                         const char *service, const char *client)
{
    static const char room[] = "room:", one[] = "client:";
    struct record record;

    record_init(&record, event);
    record_set_text(&record, RECORD_SERVICE, service);
    if (strncmp(scope, room, sizeof(room) - 1) == 0)
        record_set_text(&record, RECORD_ROOM, scope + sizeof(room) - 1);
    if (client == NULL && strncmp(scope, one, sizeof(one) - 1) == 0)
        client = scope + sizeof(one) - 1;
    if (client != NULL && client[0] != '\0')
        record_set_text(&record, RECORD_CLIENT, client);
    record_set_text(&record, RECORD_DETAIL, scope);
    registry_write(registry, &record);
}

static void keep(struct registry *registry, struct registry_consultation *row, int64_t until)
{
    if (store_set_consultation(registry->store, row->scope, row->service, row->since, until) ==
        STORE_OK)
        row->stored = until;
}

/* --- signs --- */

/* NUL-terminated UTF-8 without controls, not empty. */
bool registry_is_clean_text(const char *text, size_t size)
{
    const char *end = memchr(text, '\0', size);
    struct span rest;

    if (end == NULL || end == text)
        return false;
    for (rest = (struct span){text, (size_t)(end - text)}; rest.size > 0;) {
        uint32_t character;
        size_t taken = utf8_decode(rest, &character);

        if (utf8_is_control(character) || (character == UTF8_REPLACEMENT && taken == 1))
            return false;
        rest = span_from(rest, taken);
    }
    return true;
}

bool registry_is_scope(const char *scope)
{
    struct span text = span_of(scope);

    return strcmp(scope, "clinic") == 0 ||
           (span_starts(text, SPAN("room:")) && text.size > sizeof("room:") - 1) ||
           (span_starts(text, SPAN("client:")) && text.size > sizeof("client:") - 1);
}

bool registry_sign(struct registry *registry, const struct message_sign *sign)
{
    int64_t now = registry_now(), linger = registry->configuration->policy.linger;
    struct registry_consultation *row;
    const char *scope;
    bool went_on;

    if (!registry_is_clean_text(sign->scope, sizeof(sign->scope)) ||
        !registry_is_scope(sign->scope) ||
        !registry_is_clean_text(sign->service, sizeof(sign->service)) ||
        (sign->client[0] != '\0' && !registry_is_clean_text(sign->client, sizeof(sign->client))))
        return false;
    registry_expire_consultations(registry, now);
    scope = effective_scope(registry, sign->scope);
    went_on = consultation_sign(registry->consultations, sign->scope, sign->service, now, linger);
    row = find_or_add(registry, scope);
    if (went_on) {
        row->since = now;
        snprintf(row->service, sizeof(row->service), "%s", sign->service);
    }
    if (went_on || now + linger > row->until)
        row->until = now + linger;
    if (went_on || row->until - row->told >= tell_every(registry)) {
        tell_workers(registry, row->scope, row->service, row->until);
        row->told = row->until;
    }
    if (row->until > row->stored)
        keep(registry, row, row->until + store_every(registry));
    registry_tell_parent(registry);
    if (went_on) {
        write_record(registry, EVENT_CONSULTATION_ON, row->scope, row->service, sign->client);
        registry_look(registry);
    }
    return true;
}

bool registry_is_on(struct registry *registry, const char *scope, const char **service)
{
    *service = NULL;
    return consultation_find(registry->consultations, scope, registry_now(), service);
}

/* --- the end --- */

static void on_over(void *context, const char *scope, const char *service)
{
    struct registry *registry = context;
    struct registry_consultation *row = find(registry, scope);

    tell_workers(registry, scope, service, 0);
    write_record(registry, EVENT_CONSULTATION_OFF, scope, service, NULL);
    store_set_consultation(registry->store, scope, service, 0, 0);
    if (row == NULL)
        return;
    registry->scope_count--;
    registry->scope_hashes[row - registry->scopes] = registry->scope_hashes[registry->scope_count];
    *row = registry->scopes[registry->scope_count];
}

int64_t registry_expire_consultations(struct registry *registry, int64_t now)
{
    int64_t next = INT64_MAX;

    consultation_expire(registry->consultations, now, on_over, registry);
    for (size_t i = 0; i < registry->scope_count; i++)
        next = smaller(next, registry->scopes[i].until);
    return next;
}

/* --- the store --- */

static void on_stored(void *context, const char *scope, const char *service, int64_t since,
                      int64_t until)
{
    struct registry *registry = context;
    int64_t longest =
        registry_now() + registry->configuration->policy.linger + store_every(registry);
    struct registry_consultation *row;

    if (find(registry, scope) != NULL || strlen(scope) >= SCOPE_TEXT ||
        effective_scope(registry, scope) != scope)
        return;
    /* The clock was set back, or linger made shorter: never longer than from a sign now. */
    until = smaller(until, longest);
    consultation_set(registry->consultations, scope, service, until);
    row = find_or_add(registry, scope);
    snprintf(row->service, sizeof(row->service), "%s", service);
    row->since = since;
    row->until = row->told = row->stored = until;
    tell_workers(registry, scope, service, until);
}

void registry_load_consultations(struct registry *registry)
{
    store_list_consultations(registry->store, registry_now(), on_stored, registry);
}

void registry_keep_consultations(struct registry *registry, bool exactly)
{
    int64_t more = exactly ? 0 : store_every(registry);

    for (size_t i = 0; i < registry->scope_count; i++)
        keep(registry, &registry->scopes[i], registry->scopes[i].until + more);
}
