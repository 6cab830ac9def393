/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Learned links: an array of places with two chained hash tables over it, by URL and by host, and a
 * list for each chat, oldest first.
 */
#include "filters/learned.h"

#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"

#define BUCKETS      4096 /* a power of two */
#define GROUPS       256  /* chats with a list of their own; those that share one share its lot */
#define NONE         UINT16_MAX
#define PROLONG_PART 32 /* a link is prolonged when it gains this part of its time */

enum { BY_URL, BY_HOST, TABLES };

struct place {
    struct learned_link link;
    uint16_t next[TABLES];
    uint16_t older, newer; /* in its group */
    uint8_t group;
};

struct group {
    uint16_t oldest, newest;
    uint16_t count;
};

struct learned_links {
    struct place places[LEARNED_MAX];
    uint16_t buckets[TABLES][BUCKETS];
    struct group groups[GROUPS];
    uint16_t used; /* places that hold a link */
    uint64_t pushed_out;
    struct learned_link last_pushed_out;
};

_Static_assert(LEARNED_MAX < NONE, "a place has a number");
_Static_assert(GROUPS - 1 <= UINT8_MAX, "a group has a number");

const char *learned_kind_name(enum learned_kind kind)
{
    static const char *const names[] = {
#define X(symbol, name) [LEARNED_##symbol] = (name),
        LEARNED_KINDS(X)
#undef X
    };
    return kind < LEARNED_KIND_COUNT ? names[kind] : "";
}

static bool is_terminated(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

bool learned_link_is_sound(const struct learned_link *link)
{
    uint8_t flag;

    memcpy(&flag, &link->whole_host, sizeof(flag));
    return (unsigned)link->kind < LEARNED_KIND_COUNT && flag <= 1 && link->since >= 0 &&
           is_terminated(link->scope, sizeof(link->scope)) &&
           is_terminated(link->service, sizeof(link->service));
}

struct learned_links *learned_links_new(void)
{
    struct learned_links *links = memory_allocate(1, sizeof(*links));

    memset(links->buckets, 0xff, sizeof(links->buckets));
    memset(links->groups, 0xff, sizeof(links->groups));
    for (size_t i = 0; i < GROUPS; i++)
        links->groups[i].count = 0;
    return links;
}

void learned_links_free(struct learned_links *links)
{
    free(links);
}

static const uint8_t *digest_of(const struct learned_link *link, int table)
{
    return table == BY_URL ? link->url_sha256 : link->host_sha256;
}

/* A digest is as good a hash as any. */
static size_t bucket_of(const uint8_t digest[32])
{
    return (size_t)(digest[0] | digest[1] << 8) & (BUCKETS - 1);
}

static uint32_t hash_text(uint32_t hash, const char *text)
{
    while (*text != '\0')
        hash = (hash ^ (uint8_t)*text++) * 0x01000193u;
    return hash * 0x01000193u;
}

/* What the clinic's side types does not take the patient's places either. */
static uint8_t group_of(const struct learned_link *link)
{
    uint32_t hash = hash_text(hash_text(0x811c9dc5u, link->scope), link->service);

    hash = (hash ^ (link->kind == LEARNED_TYPED)) * 0x01000193u;
    return (uint8_t)((hash ^ hash >> 16) & (GROUPS - 1));
}

static void leave_group(struct learned_links *links, uint16_t index)
{
    struct place *place = &links->places[index];
    struct group *group = &links->groups[place->group];

    *(place->older == NONE ? &group->oldest : &links->places[place->older].newer) = place->newer;
    *(place->newer == NONE ? &group->newest : &links->places[place->newer].older) = place->older;
    group->count--;
}

/* As its newest. */
static void join_group(struct learned_links *links, uint16_t index)
{
    struct place *place = &links->places[index];
    struct group *group;

    place->group = group_of(&place->link);
    group = &links->groups[place->group];
    place->older = group->newest;
    place->newer = NONE;
    *(group->newest == NONE ? &group->oldest : &links->places[group->newest].newer) = index;
    group->newest = index;
    group->count++;
}

static void unchain(struct learned_links *links, uint16_t index)
{
    struct place *place = &links->places[index];

    for (int table = 0; table < TABLES; table++) {
        uint16_t *at = &links->buckets[table][bucket_of(digest_of(&place->link, table))];
        while (*at != index)
            at = &links->places[*at].next[table];
        *at = place->next[table];
    }
    leave_group(links, index);
}

static void chain(struct learned_links *links, uint16_t index)
{
    struct place *place = &links->places[index];

    for (int table = 0; table < TABLES; table++) {
        uint16_t *head = &links->buckets[table][bucket_of(digest_of(&place->link, table))];
        place->next[table] = *head;
        *head = index;
    }
    join_group(links, index);
}

/* What is over goes first, then the oldest of the largest group. */
static uint16_t choose_victim(const struct learned_links *links, int64_t now)
{
    const struct group *largest = &links->groups[0];

    for (const struct group *group = links->groups; group < links->groups + GROUPS; group++) {
        if (group->count > 0 && links->places[group->oldest].link.until <= now)
            return group->oldest;
        if (group->count > largest->count)
            largest = group;
    }
    return largest->oldest;
}

/* A place that is in no list. */
static uint16_t make_place(struct learned_links *links, int64_t now)
{
    uint16_t index;

    if (links->used < LEARNED_MAX)
        return links->used++;
    index = choose_victim(links, now);
    if (links->places[index].link.until > now) {
        links->pushed_out++;
        links->last_pushed_out = links->places[index].link;
    }
    unchain(links, index);
    return index;
}

/* The place of that URL in that scope, in force or not; NONE when there is none. */
static uint16_t find_place(const struct learned_links *links, const struct learned_link *link)
{
    uint16_t index = links->buckets[BY_URL][bucket_of(link->url_sha256)];

    while (index != NONE) {
        const struct place *place = &links->places[index];
        if (memcmp(place->link.url_sha256, link->url_sha256, sizeof(link->url_sha256)) == 0 &&
            strcmp(place->link.scope, link->scope) == 0)
            break;
        index = place->next[BY_URL];
    }
    return index;
}

/* It is known by another word: whose it is changes, the digests do not. */
static bool take_over(struct learned_links *links, uint16_t index, const struct learned_link *link)
{
    struct learned_link *known = &links->places[index].link;

    leave_group(links, index);
    known->kind = link->kind;
    known->whole_host = link->whole_host;
    known->since = link->since;
    known->until = link->until;
    memcpy(known->service, link->service, sizeof(known->service));
    join_group(links, index);
    return true;
}

/* A history that is fetched again and again is not news each time. */
static bool prolong(struct learned_links *links, uint16_t index, const struct learned_link *link,
                    int64_t now)
{
    struct learned_link *known = &links->places[index].link;

    if (known->until + (link->until - now) / PROLONG_PART >= link->until)
        return false;
    known->until = link->until;
    if (known->kind == LEARNED_TYPED)
        known->since = link->since;
    leave_group(links, index);
    join_group(links, index);
    return true;
}

/* A text that came while what was typed explains it. */
static bool is_explained(const struct learned_link *typed, const struct learned_link *text)
{
    return text->kind == LEARNED_TEXT && text->since >= typed->since;
}

bool learned_links_add(struct learned_links *links, const struct learned_link *link, int64_t now)
{
    uint16_t index = find_place(links, link);
    const struct learned_link *known = index == NONE ? NULL : &links->places[index].link;
    bool typed = link->kind == LEARNED_TYPED;

    if (known != NULL && known->until > now) {
        if ((known->kind == LEARNED_TYPED) == typed)
            return prolong(links, index, link, now);
        if (!typed)
            return !is_explained(known, link) && take_over(links, index, link);
        /* Another worker saw the text come, and the news of the typing before it comes late. */
        return known->since > link->since && is_explained(link, known) && link->until > now &&
               take_over(links, index, link);
    }
    if (index == NONE)
        index = make_place(links, now);
    else
        unchain(links, index);
    links->places[index].link = *link;
    chain(links, index);
    return true;
}

bool learned_links_has(const struct learned_links *links, const struct learned_link *link)
{
    return find_place(links, link) != NONE;
}

bool learned_links_is_empty(const struct learned_links *links)
{
    return links->used == 0;
}

uint64_t learned_links_pushed_out(const struct learned_links *links,
                                  const struct learned_link **last)
{
    *last = links->pushed_out == 0 ? NULL : &links->last_pushed_out;
    return links->pushed_out;
}

static const struct learned_link *find_in(const struct learned_links *links, int table,
                                          const char *scope, const uint8_t digest[32],
                                          bool only_whole_hosts, int64_t now)
{
    for (uint16_t index = links->buckets[table][bucket_of(digest)]; index != NONE;
         index = links->places[index].next[table]) {
        const struct learned_link *link = &links->places[index].link;
        if (link->until > now && link->kind != LEARNED_TYPED &&
            (link->whole_host || !only_whole_hosts) &&
            memcmp(digest_of(link, table), digest, 32) == 0 && strcmp(link->scope, scope) == 0)
            return link;
    }
    return NULL;
}

const struct learned_link *learned_links_find(const struct learned_links *links, const char *scope,
                                              const uint8_t url_sha256[32],
                                              const uint8_t host_sha256[32],
                                              enum learned_reach reach, int64_t now)
{
    const struct learned_link *link = find_in(links, BY_URL, scope, url_sha256, false, now);

    if (link != NULL || reach == LEARNED_OF_URL)
        return link;
    return find_in(links, BY_HOST, scope, host_sha256, reach == LEARNED_OF_LONG, now);
}

void learned_links_each(const struct learned_links *links, int64_t now, learned_links_visit *visit,
                        void *context)
{
    for (size_t i = 0; i < GROUPS; i++)
        for (uint16_t index = links->groups[i].oldest; index != NONE;
             index = links->places[index].newer)
            if (links->places[index].link.until > now)
                visit(context, &links->places[index].link);
}
