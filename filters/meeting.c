/* SPDX-License-Identifier: BSD-2-Clause */
/* Whose a meeting is: see meeting.h. */
#include "filters/meeting.h"

#include <stdio.h>
#include <string.h>

#define ROOM_MAX   512  /* bytes; a room with a longer name cannot be known */
#define TARGET_MAX 8192 /* of a request that makes a meeting */

static const struct url_pattern *find_pattern(const struct url_pattern *patterns, size_t count,
                                              struct span host, struct span target)
{
    for (size_t i = 0; i < count; i++)
        if (url_pattern_matches(&patterns[i], host, target))
            return &patterns[i];
    return NULL;
}

/* The join pattern that says most of the path: one that is all stars fits the others' links too. */
static const struct url_pattern *find_join(const struct service *service, struct span host,
                                           struct span target)
{
    const struct url_pattern *best = NULL;
    for (size_t i = 0; i < service->join_count; i++) {
        const struct url_pattern *join = &service->join[i];
        if ((!best || strlen(join->path) > strlen(best->path)) &&
            url_pattern_matches(join, host, target))
            best = join;
    }
    return best;
}

const struct service *meeting_maker(const struct policy *policy, struct span host,
                                    struct span target)
{
    for (size_t i = 0; i < policy->service_count; i++) {
        const struct service *service = &policy->services[i];
        if (find_pattern(service->create, service->create_count, host, target))
            return service;
    }
    return NULL;
}

/* --- rooms --- */

/* Where the segment begins that has the pattern's last '*'. */
static size_t room_segment(struct span path)
{
    size_t start = 0, segment = 0;

    for (size_t i = 0; i < path.size; i++) {
        if (path.data[i] == '/')
            start = i + 1;
        else if (path.data[i] == '*')
            segment = start;
    }
    return segment;
}

/* The rest of `target` from the segment on that stands where the pattern's does. */
static bool skip_segments(struct span path, size_t segment, struct span *target)
{
    for (size_t i = 0; i < segment; i++) {
        if (path.data[i] != '/')
            continue;
        size_t slash = span_index(span_first(*target, span_index(*target, '?')), '/');
        if (slash >= target->size || target->data[slash] != '/')
            return false;
        *target = span_from(*target, slash + 1);
    }
    return true;
}

/*
 * What the join pattern's '*' stands for, percent-encoding undone and in lower case: the segment
 * that holds it, and what follows where the pattern leaves that open; of a query only the first
 * parameter, and that only where nothing in the path tells rooms apart ("/j.php*").
 */
static bool find_room(const struct url_pattern *join, struct span target, char room[ROOM_MAX],
                      size_t *size)
{
    struct span path = span_of(join->path);
    size_t segment = room_segment(path);
    struct span pattern = span_from(path, segment);
    struct span fixed = span_first(pattern, span_index(pattern, '*'));

    if (fixed.size == pattern.size || !skip_segments(path, segment, &target) ||
        !span_starts_nocase(target, fixed))
        return false;
    target = span_first(target, span_index(target, '#'));
    target = span_from(target, fixed.size);
    if (fixed.size && span_starts(target, SPAN("?")))
        target = span_first(target, span_index(target, '&'));
    else
        target = span_first(target, span_index(target, '?'));
    if (span_index(pattern, '/') < pattern.size)
        target = span_first(target, span_index(target, '/'));
    while (span_ends(target, SPAN("/")))
        target.size--;
    if (target.size == 0 || target.size > ROOM_MAX)
        return false;
    *size = url_decode(target, room);
    for (size_t i = 0; i < *size; i++)
        if (room[i] >= 'A' && room[i] <= 'Z')
            room[i] = (char)(room[i] - 'A' + 'a');
    return true;
}

bool meeting_digest(const struct service *service, struct span host, struct span target,
                    meeting_sha256 *sha256, uint8_t digest[32])
{
    const struct url_pattern *join = find_join(service, host, target);
    char text[ROOM_MAX + HOST_TEXT + sizeof(((struct learned_link *)NULL)->service) + 16];
    char room[ROOM_MAX], name[HOST_TEXT];
    size_t size;

    if (!join || !sha256 || !host_normalise(host, name) || !find_room(join, target, room, &size))
        return false;
    int used = snprintf(text, sizeof(text), "meeting\n%s\n%s\n", service->name, name);
    if (used < 0 || (size_t)used + size > sizeof(text))
        return false;
    memcpy(text + used, room, size);
    sha256((struct span){text, (size_t)used + size}, digest);
    return true;
}

bool meeting_is_named(const struct service *service, const struct url *url, struct span target)
{
    struct span host = span_of(url->host);
    const struct url_pattern *join = find_join(service, host, url->target);
    char room[ROOM_MAX], text[TARGET_MAX];
    size_t size;

    if (!join || target.size > sizeof(text) || !find_room(join, url->target, room, &size))
        return true; /* what cannot be told apart is nobody's */
    struct span decoded = {text, url_decode(target, text)};
    return span_find_nocase(decoded, (struct span){room, size}) < decoded.size;
}

/* --- what is kept --- */

static void digest_mark(const struct service *service, meeting_sha256 *sha256, uint8_t digest[32])
{
    char text[sizeof(((struct learned_link *)NULL)->service) + 16];
    int used = snprintf(text, sizeof(text), "meetings\n%s", service->name);

    sha256((struct span){text, used > 0 ? (size_t)used : 0}, digest);
}

static void make_link(const struct service *service, const uint8_t digest[32],
                      struct learned_link *link)
{
    memset(link, 0, sizeof(*link));
    link->kind = LEARNED_OWN;
    memcpy(link->url_sha256, digest, 32);
    memcpy(link->host_sha256, digest, 32);
    snprintf(link->scope, sizeof(link->scope), MEETING_SCOPE);
    snprintf(link->service, sizeof(link->service), "%s", service->name);
}

bool meeting_learn(const struct service *service, const struct url *url, meeting_sha256 *sha256,
                   struct learned_link links[MEETING_LINKS])
{
    uint8_t digest[32];

    if (!meeting_digest(service, span_of(url->host), url->target, sha256, digest))
        return false;
    make_link(service, digest, &links[0]);
    digest_mark(service, sha256, digest);
    make_link(service, digest, &links[1]);
    links[1].whole_host = true;
    return true;
}

bool meeting_is_mark(const struct learned_link *link)
{
    return link->kind == LEARNED_OWN && link->whole_host;
}

static bool is_kept(const struct standing *standing, const uint8_t digest[32])
{
    return standing->learned && learned_links_find(standing->learned, MEETING_SCOPE, digest, digest,
                                                   LEARNED_OF_URL, standing->now) != NULL;
}

static bool has_own(const struct standing *standing, const struct service *service)
{
    uint8_t digest[32];

    if (!standing->sha256 || !standing->learned)
        return false;
    digest_mark(service, standing->sha256, digest);
    return is_kept(standing, digest);
}

const struct url_pattern *meeting_find_foreign(const struct policy *policy,
                                               const struct standing *standing, struct span host,
                                               struct span target)
{
    uint8_t digest[32];

    if (find_pattern(policy->meetings, policy->meeting_count, host, target))
        return NULL;
    for (size_t i = 0; i < policy->service_count; i++) {
        const struct service *service = &policy->services[i];
        const struct url_pattern *join = find_join(service, host, target);
        if (!join)
            continue;
        if (meeting_digest(service, host, target, standing->sha256, digest) &&
            is_kept(standing, digest))
            return NULL;
        if (policy->meeting_count || has_own(standing, service))
            return join;
    }
    return NULL;
}
