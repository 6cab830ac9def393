/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The registry and its workers: what they are told, and what is believed of what they say. A worker
 * speaks with the network and may have been taken over: it tells of its own connections, under
 * incident numbers that were given to it, and of nothing else.
 */
#include "gateway/registry.h"

#include <stdlib.h>

#include "filters/memory.h"
#include "gateway/log.h"

#define QUEUED_SIZE(type) (sizeof(type) + 64)
_Static_assert(LEARNED_MAX *QUEUED_SIZE(struct message_learned) +
                       REGISTRY_SCOPES * QUEUED_SIZE(struct message_consultation) +
                       REGISTRY_RELEASES * QUEUED_SIZE(struct message_release) <
                   LINK_QUEUE_LIMIT,
               "a worker that begins hears everything, and that it was everything");

/* --- incident numbers --- */

static void lease_numbers(struct registry_worker *worker)
{
    struct registry *registry = worker->registry;
    struct message_numbers numbers = {
        .first = store_take(registry->store, STORE_NEXT_INCIDENT, REGISTRY_LEASE),
        .count = REGISTRY_LEASE,
    };

    if (registry->first_number == 0)
        registry->first_number = numbers.first;
    worker->leases[worker->next_lease++ % REGISTRY_LEASES] = numbers;
    link_send(worker->link, MESSAGE_NUMBERS, &numbers, sizeof(numbers), -1);
}

static bool is_leased(const struct registry_worker *worker, uint64_t number)
{
    for (size_t i = 0; i < REGISTRY_LEASES; i++)
        if (number - worker->leases[i].first < worker->leases[i].count)
            return true;
    return false;
}

/*
 * Whether the number of a worker's record is its own: of a lease that it has, or, in a record that
 * waited for this registry, of one that an earlier registry gave and that nobody has used.
 */
static bool is_own_number(const struct registry_worker *worker, const struct record *record)
{
    struct registry *registry = worker->registry;
    const struct registry_worker *other;
    struct incident incident;
    int64_t number;

    if (!span_number(record_get(record, RECORD_INCIDENT), &number) || number <= 0)
        return false;
    if (is_leased(worker, (uint64_t)number))
        return true;
    TAILQ_FOREACH (other, &registry->workers, next)
        if (is_leased(other, (uint64_t)number))
            return false;
    return (uint64_t)number < registry->first_number &&
           store_find_incident(registry->store, (uint64_t)number, &incident) != STORE_OK;
}

/* --- what a worker says --- */

/* A worker speaks of its connections; who released what, and the order of the log, are ours. */
static bool is_of_worker(const struct record *record)
{
    return record_event_may(record->event, ROLE_WORKER) &&
           record_get(record, RECORD_BY).size == 0 && record_get(record, RECORD_UNTIL).size == 0 &&
           record_get(record, RECORD_SEQ).size == 0;
}

/* Up to the first that is malformed: those before it count. */
static bool take_records(struct registry_worker *worker, const uint8_t *payload, size_t size)
{
    struct record record;

    while (size > 0) {
        size_t taken = record_unpack_first(payload, size, &record);
        if (taken == 0 || !is_of_worker(&record))
            return false;
        if (record_get(&record, RECORD_INCIDENT).size > 0 && !is_own_number(worker, &record)) {
            log_warnx("worker %u used an incident number that is not its own", worker->slot);
            record_set_text(&record, RECORD_INCIDENT, "");
        }
        registry_write(worker->registry, &record);
        payload += taken;
        size -= taken;
    }
    return true;
}

/* False when the worker may not say this, or says it wrongly. */
static bool take_message(struct registry_worker *worker, enum message_type type,
                         const void *payload, size_t size)
{
    struct registry *registry = worker->registry;

    switch (type) {
    case MESSAGE_RECORD:
        return take_records(worker, payload, size);
    case MESSAGE_SIGN:
        return registry_sign(registry, payload);
    case MESSAGE_LEARNED:
        return registry_learn(registry, payload);
    case MESSAGE_FLOW:
        registry_take_flow(registry, payload);
        return true;
    case MESSAGE_FLOWS_END:
        registry_take_flows_end(registry, ((const struct message_flows *)payload)->id);
        return true;
    case MESSAGE_NUMBERS_LOW:
        lease_numbers(worker);
        return true;
    default:
        return false;
    }
}

static void remove_worker(struct registry_worker *worker)
{
    TAILQ_REMOVE(&worker->registry->workers, worker, next);
    free(worker);
}

void registry_drop_worker(struct registry_worker *worker)
{
    link_free(worker->link);
    remove_worker(worker);
}

static void on_worker(void *context, struct link *link, enum message_type type, const void *payload,
                      size_t size, int fd)
{
    struct registry_worker *worker = context;

    (void)fd; /* none of these types carries one */
    if (type != MESSAGE_NONE && take_message(worker, type, payload, size))
        return;
    if (type != MESSAGE_NONE) {
        log_warnx("worker %u sent a %s that it may not: its link is closed", worker->slot,
                  message_name(type));
        link_free(link);
    }
    remove_worker(worker);
}

void registry_add_worker(struct registry *registry, unsigned slot, int fd)
{
    struct registry_worker *worker = memory_allocate(1, sizeof(*worker));

    worker->registry = registry;
    worker->slot = slot;
    worker->link = link_new(registry->base, fd, ROLE_REGISTRY, ROLE_WORKER, on_worker, worker);
    TAILQ_INSERT_TAIL(&registry->workers, worker, next);
    registry_send_state(registry, worker->link);
    registry_send_releases(registry, worker->link);
    registry_send_learned(registry, worker->link);
    lease_numbers(worker);
    link_send(worker->link, MESSAGE_SNAPSHOT_END, NULL, 0, -1);
}

void registry_shut_workers(struct registry *registry)
{
    struct registry_worker *worker;

    TAILQ_FOREACH (worker, &registry->workers, next)
        link_shut(worker->link);
}

void registry_broadcast(struct registry *registry, enum message_type type, const void *payload,
                        size_t size)
{
    struct registry_worker *worker, *after;

    for (worker = TAILQ_FIRST(&registry->workers); worker != NULL; worker = after) {
        after = TAILQ_NEXT(worker, next);
        if (link_send(worker->link, type, payload, size, -1) == 0)
            continue;
        /* One that does not hear of the state must not go on with an old one. */
        log_warnx("worker %u does not read: its link is closed", worker->slot);
        registry_drop_worker(worker);
    }
}
