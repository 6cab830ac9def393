/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Learned links: a ring of places, the oldest used again first, with two chained hash tables over
 * it, by URL and by host.
 */
#include "filters/learned.h"

#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"

#define BUCKETS      4096 /* a power of two */
#define NONE         UINT16_MAX
#define PROLONG_PART 32 /* a link is prolonged when it gains this part of its time */

enum { BY_URL, BY_HOST, TABLES };

struct place {
    struct learned_link link;
    uint16_t next[TABLES];
    bool used;
};

struct learned_links {
    struct place places[LEARNED_MAX];
    uint16_t buckets[TABLES][BUCKETS];
    size_t oldest; /* the place that is used next */
    uint64_t pushed_out;
};

const char *learned_kind_name(enum learned_kind kind)
{
    static const char *const names[] = {
#define X(symbol, name) [LEARNED_##symbol] = (name),
        LEARNED_KINDS(X)
#undef X
    };
    return kind < LEARNED_KIND_COUNT ? names[kind] : "";
}

struct learned_links *learned_links_new(void)
{
    struct learned_links *links = memory_allocate(1, sizeof(*links));

    memset(links->buckets, 0xff, sizeof(links->buckets));
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

static void unchain(struct learned_links *links, uint16_t index)
{
    struct place *place = &links->places[index];

    for (int table = 0; table < TABLES; table++) {
        uint16_t *at = &links->buckets[table][bucket_of(digest_of(&place->link, table))];
        while (*at != index)
            at = &links->places[*at].next[table];
        *at = place->next[table];
    }
    place->used = false;
}

static void chain(struct learned_links *links, uint16_t index)
{
    struct place *place = &links->places[index];

    for (int table = 0; table < TABLES; table++) {
        uint16_t *head = &links->buckets[table][bucket_of(digest_of(&place->link, table))];
        place->next[table] = *head;
        *head = index;
    }
    place->used = true;
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

bool learned_links_add(struct learned_links *links, const struct learned_link *link, int64_t now)
{
    uint16_t index = find_place(links, link);

    if (index != NONE && links->places[index].link.until > now) {
        struct learned_link *known = &links->places[index].link;
        if ((known->kind == LEARNED_TYPED) != (link->kind == LEARNED_TYPED))
            return false; /* who was first decides */
        /* A history that is fetched again and again is not news each time. */
        if (known->until + (link->until - now) / PROLONG_PART >= link->until)
            return false;
        known->until = link->until;
        return true;
    }
    if (index == NONE) {
        index = (uint16_t)links->oldest;
        links->oldest = (links->oldest + 1) % LEARNED_MAX;
        if (links->places[index].used && links->places[index].link.until > now)
            links->pushed_out++;
    }
    if (links->places[index].used)
        unchain(links, index);
    links->places[index].link = *link;
    chain(links, index);
    return true;
}

uint64_t learned_links_pushed_out(const struct learned_links *links)
{
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
                                              const uint8_t host_sha256[32], bool by_host,
                                              int64_t now)
{
    const struct learned_link *link = find_in(links, BY_URL, scope, url_sha256, false, now);

    return link != NULL ? link : find_in(links, BY_HOST, scope, host_sha256, !by_host, now);
}

void learned_links_each(const struct learned_links *links, int64_t now, learned_links_visit *visit,
                        void *context)
{
    for (size_t i = 0; i < LEARNED_MAX; i++) {
        const struct place *place = &links->places[(links->oldest + i) % LEARNED_MAX];
        if (place->used && place->link.until > now)
            visit(context, &place->link);
    }
}
