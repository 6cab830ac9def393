/* SPDX-License-Identifier: BSD-2-Clause */
/* The registry's state as a whole: records, and the periodic look at what is over. */
#include "gateway/registry.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event.h>

#include "filters/memory.h"
#include "gateway/deadline.h"
#include "gateway/log.h"

#define LOOK_SHORTEST  10   /* ms between two looks */
#define LOOK_LONGEST   1000 /* so that a step of the clock is noticed */
#define RETRY_MS       2000
#define SEQUENCE_LEASE 1000

int64_t registry_now(void)
{
    return clock_unix_ms();
}

/* --- records --- */

static uint64_t next_sequence(struct registry *registry)
{
    if (registry->sequence == registry->sequence_end) {
        registry->sequence = store_take(registry->store, STORE_NEXT_SEQUENCE, SEQUENCE_LEASE);
        registry->sequence_end = registry->sequence + SEQUENCE_LEASE;
    }
    return registry->sequence++;
}

static void count(struct registry *registry, const struct record *record)
{
    struct span reason = record_get(record, RECORD_REASON);

    if (record->event < EVENT_COUNT)
        registry->events[record->event]++;
    for (int i = 0; reason.size > 0 && i < REASON_COUNT; i++)
        if (span_equal(reason, span_of(reason_code((enum reason)i)))) {
            registry->reasons[i]++;
            break;
        }
}

static bool is_incident(const struct record *record)
{
    return record_get(record, RECORD_INCIDENT).size > 0 &&
           (record->event == EVENT_BLOCK || record->event == EVENT_WOULD_BLOCK ||
            record->event == EVENT_REFUSE);
}

void registry_write(struct registry *registry, struct record *record)
{
    record_set_number(record, RECORD_SEQ, next_sequence(registry));
    count(registry, record);
    registry_observe(registry, record);
    if (is_incident(record))
        store_add_incident(registry->store, record, registry_now());
    if (registry->syslog != NULL)
        syslog_write(registry->syslog, record);
}

/* Kept until the next look: the store may fail in the middle of writing another record. */
static void on_store_failure(void *context, const char *text)
{
    struct registry *registry = context;

    snprintf(registry->complaint, sizeof(registry->complaint), "%s", text);
    log_warnx("%s", text);
}

static void write_complaint(struct registry *registry)
{
    struct record record;

    if (registry->complaint[0] == '\0')
        return;
    record_init(&record, EVENT_ERROR);
    record_set_text(&record, RECORD_DETAIL, registry->complaint);
    registry->complaint[0] = '\0';
    registry_write(registry, &record);
}

/* --- the periodic look --- */

/* A store that is back gets what it missed; one that could not be read at the start is read now. */
static void look_after_store(struct registry *registry, int64_t now)
{
    if (store_failure(registry->store) != NULL && now >= registry->retry_at) {
        registry->retry_at = now + RETRY_MS;
        store_retry(registry->store);
    }
    if (store_failure(registry->store) != NULL) {
        registry->store_failed = true;
        return;
    }
    if (!registry->loaded) {
        registry->loaded = registry_load_releases(registry);
        if (registry->loaded)
            registry_load_consultations(registry);
        if (registry->loaded)
            registry_load_learned(registry);
    }
    if (registry->store_failed) {
        registry->store_failed = false;
        registry_keep_consultations(registry, false);
        registry_keep_learned(registry);
        log_info("the store works again");
    }
}

void registry_look(struct registry *registry)
{
    int64_t now = registry_now(), next, other;
    struct timeval delay;

    look_after_store(registry, now);
    next = registry_expire_consultations(registry, now);
    registry_tell_parent(registry);
    other = registry_expire_releases(registry, now);
    write_complaint(registry);
    if (registry->timer == NULL)
        return;
    next = (other < next ? other : next) - now;
    if (next < LOOK_SHORTEST)
        next = LOOK_SHORTEST;
    else if (next > LOOK_LONGEST)
        next = LOOK_LONGEST;
    delay.tv_sec = next / 1000;
    delay.tv_usec = next % 1000 * 1000;
    evtimer_add(registry->timer, &delay);
}

static void on_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    registry_look(context);
}

/* --- beginning and end --- */

struct registry *registry_new(struct event_base *base, const struct configuration *configuration,
                              const char *path)
{
    struct registry *registry = memory_allocate(1, sizeof(*registry));

    registry->base = base;
    registry->configuration = configuration;
    registry->started = registry_now();
    registry->told_parent = -1;
    TAILQ_INIT(&registry->workers);
    registry->consultations = consultations_new();
    registry->learned = learned_links_new();
    registry->observations = observations_new();
    registry->scopes = memory_allocate(REGISTRY_SCOPES, sizeof(*registry->scopes));
    registry->scope_hashes = memory_allocate(REGISTRY_SCOPES, sizeof(*registry->scope_hashes));
    registry->releases = memory_allocate(REGISTRY_RELEASES, sizeof(*registry->releases));
    registry->store = store_new(path, on_store_failure, registry);
    registry->timer = evtimer_new(base, on_timer, registry);
    return registry;
}

void registry_flush(struct registry *registry)
{
    registry_keep_consultations(registry, true);
    write_complaint(registry);
    store_give_back(registry->store, STORE_NEXT_SEQUENCE, registry->sequence);
    registry->sequence_end = registry->sequence;
}

void registry_free(struct registry *registry)
{
    struct registry_worker *worker;

    if (registry == NULL)
        return;
    registry_free_questions(registry);
    while ((worker = TAILQ_FIRST(&registry->workers)) != NULL)
        registry_drop_worker(worker);
    if (registry->timer != NULL)
        event_free(registry->timer);
    control_free(registry->control);
    neighbours_free(registry->neighbours);
    syslog_free(registry->syslog);
    store_free(registry->store);
    consultations_free(registry->consultations);
    learned_links_free(registry->learned);
    observations_free(registry->observations);
    json_decref(registry->processes);
    free(registry->scopes);
    free(registry->scope_hashes);
    free(registry->releases);
    free(registry);
}
