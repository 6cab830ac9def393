/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Releases in the registry: none is granted that the store could not keep, and none holds longer
 * than it was granted for, whatever the store does.
 */
#include "gateway/registry.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "gateway/digest.h"

static void make_message(const struct release *release, struct message_release *message)
{
    memset(message, 0, sizeof(*message));
    message->id = release->id;
    message->until = release->until;
    message->scope = release->scope;
    snprintf(message->host, sizeof(message->host), "%s", release->host);
    memcpy(message->url_sha256, release->url_sha256, sizeof(message->url_sha256));
}

static void tell_workers(struct registry *registry, const struct release *release)
{
    struct message_release message;

    make_message(release, &message);
    registry_broadcast(registry, MESSAGE_RELEASE, &message, sizeof(message));
}

void registry_send_releases(struct registry *registry, struct link *link)
{
    struct message_release message;

    for (size_t i = 0; i < registry->release_count; i++) {
        make_message(&registry->releases[i].release, &message);
        link_send(link, MESSAGE_RELEASE, &message, sizeof(message), -1);
    }
}

static void write_record(struct registry *registry, enum record_event event,
                         const struct stored_release *release, const char *by, const char *why)
{
    struct record record;
    char text[STORE_BY + 80];
    struct tm calendar;
    time_t until = (time_t)release->release.until;

    record_init(&record, event);
    if (release->incident != 0)
        record_set_number(&record, RECORD_INCIDENT, release->incident);
    record_set_text(&record, RECORD_HOST, release->release.host);
    if (release->release.scope == RELEASE_URL) {
        digest_hex(release->release.url_sha256, sizeof(release->release.url_sha256), text);
        record_set_text(&record, RECORD_URL_SHA256, text);
    }
    record_set_text(&record, RECORD_BY, by);
    if (gmtime_r(&until, &calendar) != NULL &&
        strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &calendar) > 0)
        record_set_text(&record, RECORD_UNTIL, text);
    snprintf(text, sizeof(text), "release %" PRId64 ": %s", release->release.id, why);
    record_set_text(&record, RECORD_DETAIL, text);
    registry_write(registry, &record);
}

enum store_result registry_grant(struct registry *registry, struct stored_release *release)
{
    if (registry->release_count == REGISTRY_RELEASES)
        return STORE_ABSENT;
    if (store_add_release(registry->store, release) != STORE_OK)
        return STORE_FAILED;
    registry->releases[registry->release_count++] = *release;
    tell_workers(registry, &release->release);
    write_record(registry, EVENT_RELEASE, release, release->by, release->reason);
    registry_look(registry);
    return STORE_OK;
}

/* Over in memory and for the workers; then in the store, now or when it works again. */
static enum store_result end(struct registry *registry, size_t index, const char *by,
                             const char *why)
{
    struct stored_release release = registry->releases[index];
    struct message_unrelease message = {.id = release.release.id};
    enum store_result result;

    registry->release_count--;
    memmove(&registry->releases[index], &registry->releases[index + 1],
            (registry->release_count - index) * sizeof(release));
    registry_broadcast(registry, MESSAGE_UNRELEASE, &message, sizeof(message));
    result = store_end_release(registry->store, message.id, registry_now() / 1000);
    if (result == STORE_FAILED && registry->unended_count < REGISTRY_RELEASES)
        registry->unended[registry->unended_count++] = message.id;
    write_record(registry, EVENT_RELEASE_END, &release, by, why);
    return result;
}

enum store_result registry_revoke(struct registry *registry, int64_t id, const char *by)
{
    for (size_t i = 0; i < registry->release_count; i++)
        if (registry->releases[i].release.id == id)
            return end(registry, i, by, "ended by hand") == STORE_FAILED ? STORE_FAILED : STORE_OK;
    return STORE_ABSENT;
}

static void end_again(struct registry *registry, int64_t now)
{
    while (registry->unended_count > 0 && store_failure(registry->store) == NULL) {
        if (store_end_release(registry->store, registry->unended[registry->unended_count - 1],
                              now / 1000) == STORE_FAILED)
            break;
        registry->unended_count--;
    }
}

int64_t registry_expire_releases(struct registry *registry, int64_t now)
{
    int64_t next = INT64_MAX;

    end_again(registry, now);
    for (size_t i = 0; i < registry->release_count;) {
        const struct stored_release *row = &registry->releases[i];

        if (row->release.until * 1000 <= now) {
            end(registry, i, row->by, "its time is over");
            continue;
        }
        if (row->release.until * 1000 < next)
            next = row->release.until * 1000;
        i++;
    }
    return next;
}

static void on_stored(void *context, const struct stored_release *release)
{
    struct registry *registry = context;

    for (size_t i = 0; i < registry->release_count; i++)
        if (registry->releases[i].release.id == release->release.id)
            return;
    if (registry->release_count == REGISTRY_RELEASES)
        return;
    registry->releases[registry->release_count++] = *release;
    tell_workers(registry, &release->release);
}

bool registry_load_releases(struct registry *registry)
{
    /* From the beginning of time: what ran out while nobody looked gets its record of the end now.
     */
    return store_list_releases(registry->store, 0, on_stored, registry) == STORE_OK;
}
