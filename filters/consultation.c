/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Which consultations are on. A chained hash table over a fixed array; free places form a chain
 * too. The state of every scope stands beside it, so that a full table cannot lose a sign.
 */
#include "filters/consultation.h"

#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"

#define BUCKETS 1024 /* a power of two */
#define NONE    UINT16_MAX

struct consultation {
    char *scope;
    char *service;
    int64_t until; /* milliseconds */
    uint16_t next;
};

struct consultations {
    struct consultation places[CONSULTATION_SCOPES];
    uint16_t buckets[BUCKETS];
    uint16_t free;             /* chain of places that were used and given back */
    uint16_t used;             /* places from here on were never used */
    int64_t now;               /* the latest that a caller told */
    struct consultation every; /* scope NULL when it never was on */
};

struct consultations *consultations_new(void)
{
    struct consultations *set = memory_allocate(1, sizeof(*set));
    memset(set->buckets, 0xff, sizeof(set->buckets));
    set->free = NONE;
    return set;
}

static void clear(struct consultation *consultation)
{
    free(consultation->scope);
    free(consultation->service);
    *consultation = (struct consultation){.next = NONE};
}

void consultations_free(struct consultations *set)
{
    if (!set)
        return;
    for (size_t i = 0; i < set->used; i++)
        clear(&set->places[i]);
    clear(&set->every);
    free(set);
}

static uint16_t *bucket_of(struct consultations *set, const char *scope)
{
    uint32_t hash = 2166136261u;
    for (; *scope; scope++)
        hash = (hash ^ (unsigned char)*scope) * 16777619u;
    return &set->buckets[(hash ^ hash >> 16) & (BUCKETS - 1)];
}

/* The link that leads to the scope's place; it holds NONE when there is none. */
static uint16_t *find_link(struct consultations *set, const char *scope)
{
    uint16_t *link = bucket_of(set, scope);
    while (*link != NONE && strcmp(set->places[*link].scope, scope) != 0)
        link = &set->places[*link].next;
    return link;
}

static void unlink_place(struct consultations *set, uint16_t *link)
{
    uint16_t place = *link;
    *link = set->places[place].next;
    clear(&set->places[place]);
    set->places[place].next = set->free;
    set->free = place;
}

static void notice_time(struct consultations *set, int64_t now)
{
    if (now > set->now)
        set->now = now;
}

/* Gives back the place whose consultation has been over the longest; false when all are on. */
static bool drop_oldest(struct consultations *set)
{
    struct consultation *oldest = NULL;
    for (size_t i = 0; i < set->used; i++) {
        struct consultation *place = &set->places[i];
        if (place->scope && place->until <= set->now && (!oldest || place->until < oldest->until))
            oldest = place;
    }
    if (oldest)
        unlink_place(set, find_link(set, oldest->scope));
    return oldest != NULL;
}

static bool is_every(const char *scope)
{
    return strcmp(scope, CONSULTATION_EVERY) == 0;
}

/* A free place, or NONE. */
static uint16_t take_place(struct consultations *set)
{
    if (set->free == NONE && set->used < CONSULTATION_SCOPES)
        return set->used++;
    if (set->free == NONE && !drop_oldest(set))
        return NONE;
    uint16_t place = set->free;
    set->free = set->places[place].next;
    return place;
}

/* The scope's state, made when it has none; that of every scope when there is no place left. */
static struct consultation *hold(struct consultations *set, const char *scope)
{
    if (is_every(scope))
        return &set->every;
    uint16_t *link = find_link(set, scope);
    if (*link != NONE)
        return &set->places[*link];
    uint16_t place = take_place(set);
    if (place == NONE)
        return &set->every;
    uint16_t *bucket = bucket_of(set, scope);
    set->places[place] = (struct consultation){.scope = memory_string(scope), .next = *bucket};
    *bucket = place;
    return &set->places[place];
}

static void name_service(struct consultation *consultation, const char *service)
{
    char *name = memory_string(service); /* it may be the old one that is given */
    free(consultation->service);
    consultation->service = name;
}

/* That of every scope has its name only once it was on. */
static void name_scope(struct consultation *consultation)
{
    if (!consultation->scope)
        consultation->scope = memory_string(CONSULTATION_EVERY);
}

bool consultation_sign(struct consultations *set, const char *scope, const char *service,
                       int64_t now_ms, int64_t linger_ms)
{
    notice_time(set, now_ms);
    struct consultation *held = hold(set, scope);
    bool was_on = held->service && held->until > now_ms;
    int64_t until = linger_ms > INT64_MAX - now_ms ? INT64_MAX : now_ms + linger_ms;
    if (!was_on)
        name_service(held, service);
    name_scope(held);
    if (!was_on || until > held->until)
        held->until = until;
    return !was_on;
}

void consultation_set(struct consultations *set, const char *scope, const char *service,
                      int64_t until_ms)
{
    if (until_ms == 0) {
        if (is_every(scope)) {
            clear(&set->every);
            return;
        }
        uint16_t *link = find_link(set, scope);
        if (*link != NONE)
            unlink_place(set, link);
        return;
    }
    struct consultation *held = hold(set, scope);
    /* more than one scope may have found no place: the longest counts */
    if (held == &set->every && held->service && held->until > until_ms && !is_every(scope))
        return;
    name_service(held, service);
    name_scope(held);
    held->until = until_ms;
}

bool consultation_find(struct consultations *set, const char *scope, int64_t now_ms,
                       const char **service)
{
    notice_time(set, now_ms);
    uint16_t *link = find_link(set, scope);
    const struct consultation *held = *link != NONE ? &set->places[*link] : NULL;
    if (!held || held->until <= now_ms)
        held = &set->every;
    bool on = held->service && held->until > now_ms;
    if (service)
        *service = on ? held->service : NULL;
    return on;
}

void consultation_expire(struct consultations *set, int64_t now_ms, consultation_over *told,
                         void *context)
{
    notice_time(set, now_ms);
    for (size_t i = 0; i < set->used; i++) {
        struct consultation *place = &set->places[i];
        if (!place->scope || place->until > now_ms)
            continue;
        if (told)
            told(context, place->scope, place->service);
        unlink_place(set, find_link(set, place->scope));
    }
    if (!set->every.service || set->every.until > now_ms)
        return;
    if (told)
        told(context, set->every.scope, set->every.service);
    clear(&set->every);
}

void consultation_each(const struct consultations *set, int64_t now_ms, consultation_visit *visit,
                       void *context)
{
    for (size_t i = 0; i < set->used; i++) {
        const struct consultation *place = &set->places[i];
        if (place->scope && place->until > now_ms)
            visit(context, place->scope, place->service, place->until);
    }
    if (set->every.service && set->every.until > now_ms)
        visit(context, set->every.scope, set->every.service, set->every.until);
}
