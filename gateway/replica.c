/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's copy of the registry's state: see replica.h. */
#include "gateway/replica.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include <event2/event.h>

#include "filters/consultation.h"
#include "filters/memory.h"
#include "gateway/deadline.h"
#include "gateway/log.h"

#define SIGN_EVERY   1000      /* ms between signs of the same call */
#define QUEUE_LIMIT  (1 << 20) /* bytes of records that wait for a registry */
#define UNSENT_SIGNS 16
#define RETOLD       60000 /* ms that a learned link is new for another registry */
#define NUMBERS_LOW  30    /* incident numbers left when more are asked for */

/* A flooded chat must not keep the registry, its store and the other workers busy. */
#define LINKS_WAITING (LEARNED_MAX + 1024)
#define LINKS_AT_ONCE 256
#define LINKS_PER_MS  1

struct waiting_record {
    STAILQ_ENTRY(waiting_record) next;
    size_t size;
    unsigned count;
    uint8_t packed[]; /* records, one after the other */
};

struct waiting_link {
    STAILQ_ENTRY(waiting_link) next;
    struct learned_link link;
};
STAILQ_HEAD(waiting_links, waiting_link);

struct release_list {
    struct release *rows;
    size_t count;
};

struct replica {
    struct link *registry;
    int64_t linger; /* ms */
    bool whole;
    struct consultations *consultations;
    struct learned_links *learned;
    struct release_list releases; /* that are in force */
    struct release_list incoming; /* of a snapshot under way */
    bool in_snapshot;
    uint64_t number, numbers; /* the next incident number, and how many there are from it on */
    uint64_t next_number, next_numbers;
    bool asked_for_numbers;
    bool numbers_are_old; /* another registry gave them */
    int64_t signed_at;    /* the last sign that was sent, and of what */
    struct message_sign last_sign;
    struct message_sign unsent[UNSENT_SIGNS]; /* while there was no registry, each call once */
    size_t unsent_count;
    STAILQ_HEAD(, waiting_record) waiting;
    size_t waiting_bytes;
    uint64_t dropped;
    struct event *turn; /* at the end of a turn of the loop */
    uint8_t batch[MESSAGE_MAX];
    size_t batch_size;          /* bytes of records that go together, */
    unsigned batched;           /* and how many they are */
    struct waiting_links links; /* learned, and not told to the registry yet */
    size_t link_count;
    int64_t allowance;  /* how many may be told at once */
    int64_t allowed_at; /* when that was counted */
};

static void on_turn_over(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    replica_flush(context);
}

struct replica *replica_new(int64_t linger)
{
    struct replica *replica = memory_allocate(1, sizeof(*replica));

    replica->linger = linger;
    replica->consultations = consultations_new();
    replica->learned = learned_links_new();
    STAILQ_INIT(&replica->waiting);
    STAILQ_INIT(&replica->links);
    replica->allowance = LINKS_AT_ONCE;
    replica->allowed_at = clock_monotonic();
    return replica;
}

void replica_batch(struct replica *replica, struct event_base *base)
{
    replica->turn = event_new(base, -1, 0, on_turn_over, replica);
    if (replica->turn == NULL)
        fatal("no memory for an event");
}

static void drop_oldest(struct replica *replica)
{
    struct waiting_record *oldest = STAILQ_FIRST(&replica->waiting);

    STAILQ_REMOVE_HEAD(&replica->waiting, next);
    replica->waiting_bytes -= oldest->size;
    free(oldest);
}

static void drop_link(struct replica *replica)
{
    struct waiting_link *oldest = STAILQ_FIRST(&replica->links);

    STAILQ_REMOVE_HEAD(&replica->links, next);
    replica->link_count--;
    free(oldest);
}

void replica_free(struct replica *replica)
{
    if (replica == NULL)
        return;
    while (!STAILQ_EMPTY(&replica->waiting))
        drop_oldest(replica);
    while (!STAILQ_EMPTY(&replica->links))
        drop_link(replica);
    if (replica->turn != NULL)
        event_free(replica->turn);
    consultations_free(replica->consultations);
    learned_links_free(replica->learned);
    free(replica->releases.rows);
    free(replica->incoming.rows);
    free(replica);
}

bool replica_is_whole(const struct replica *replica)
{
    return replica->whole;
}

/* --- records --- */

static void keep(struct replica *replica, const uint8_t *packed, size_t size, unsigned count)
{
    struct waiting_record *record = memory_allocate(1, sizeof(*record) + size);

    while (replica->waiting_bytes + size > QUEUE_LIMIT) {
        replica->dropped += STAILQ_FIRST(&replica->waiting)->count;
        drop_oldest(replica);
    }
    record->size = size;
    record->count = count;
    memcpy(record->packed, packed, size);
    STAILQ_INSERT_TAIL(&replica->waiting, record, next);
    replica->waiting_bytes += size;
}

/* True when nothing waits any more. */
static bool send_waiting(struct replica *replica)
{
    while (!STAILQ_EMPTY(&replica->waiting)) {
        struct waiting_record *record = STAILQ_FIRST(&replica->waiting);
        if (replica->registry == NULL ||
            link_send(replica->registry, MESSAGE_RECORD, record->packed, record->size, -1) != 0)
            return false;
        drop_oldest(replica);
    }
    return true;
}

/* Behind those that wait: the log keeps their order. */
void replica_flush(struct replica *replica)
{
    if (replica->batched == 0)
        return;
    if (!send_waiting(replica) || replica->registry == NULL ||
        link_send(replica->registry, MESSAGE_RECORD, replica->batch, replica->batch_size, -1) != 0)
        keep(replica, replica->batch, replica->batch_size, replica->batched);
    replica->batch_size = 0;
    replica->batched = 0;
}

/* What passed may wait for others of its kind until the end of the turn; what was stopped, and what
 * went wrong, would be missed if the worker died before. */
static bool may_wait(const struct replica *replica, const struct record *record)
{
    return replica->turn != NULL && (record->event == EVENT_ALLOW || record->event == EVENT_SPLICE);
}

static size_t pack(struct replica *replica, const struct record *record)
{
    return record_pack(record, replica->batch + replica->batch_size,
                       sizeof(replica->batch) - replica->batch_size);
}

static void submit(struct replica *replica, const struct record *record)
{
    size_t size = pack(replica, record);

    if (size == 0) { /* no room behind the others */
        replica_flush(replica);
        size = pack(replica, record);
    }
    if (size == 0)
        return;
    replica->batch_size += size;
    replica->batched++;
    if (!may_wait(replica, record))
        replica_flush(replica);
    else if (replica->batched == 1)
        event_active(replica->turn, EV_TIMEOUT, 0);
}

static void tell_of_dropped(struct replica *replica)
{
    struct record record;
    char text[80];

    if (replica->dropped == 0)
        return;
    snprintf(text, sizeof(text), "%llu records were lost while the registry was away",
             (unsigned long long)replica->dropped);
    replica->dropped = 0;
    record_init(&record, EVENT_ERROR);
    record_set_text(&record, RECORD_DETAIL, text);
    submit(replica, &record);
}

void replica_record(struct replica *replica, const struct record *record)
{
    if (send_waiting(replica))
        tell_of_dropped(replica);
    submit(replica, record);
}

bool replica_has_waiting(const struct replica *replica)
{
    return replica->batched > 0 || !STAILQ_EMPTY(&replica->waiting) ||
           !STAILQ_EMPTY(&replica->links) || replica->unsent_count > 0;
}

static bool send_sign(struct replica *replica, const struct message_sign *sign)
{
    replica_flush(replica);
    if (replica->registry == NULL ||
        link_send(replica->registry, MESSAGE_SIGN, sign, sizeof(*sign), -1) != 0)
        return false;
    replica->signed_at = clock_monotonic();
    replica->last_sign = *sign;
    return true;
}

/* A call may begin while there is no registry: the other workers must hear of it all the same. */
static void keep_sign(struct replica *replica, const struct message_sign *sign)
{
    for (size_t i = 0; i < replica->unsent_count; i++)
        if (strcmp(replica->unsent[i].scope, sign->scope) == 0 &&
            strcmp(replica->unsent[i].service, sign->service) == 0)
            return;
    if (replica->unsent_count < UNSENT_SIGNS)
        replica->unsent[replica->unsent_count++] = *sign;
}

static void send_unsent_signs(struct replica *replica)
{
    while (replica->unsent_count > 0 &&
           send_sign(replica, &replica->unsent[replica->unsent_count - 1]))
        replica->unsent_count--;
}

/* --- releases --- */

static struct release *find_release(struct release_list *list, int64_t id)
{
    for (size_t i = 0; i < list->count; i++)
        if (list->rows[i].id == id)
            return &list->rows[i];
    return NULL;
}

static void take_release(struct release_list *list, const struct message_release *message)
{
    struct release *release = find_release(list, message->id);

    if (release == NULL) {
        list->rows = memory_resize(list->rows, list->count + 1, sizeof(*list->rows));
        release = &list->rows[list->count++];
    }
    *release =
        (struct release){.id = message->id,
                         .until = message->until,
                         .scope = message->scope == RELEASE_HOST ? RELEASE_HOST : RELEASE_URL};
    snprintf(release->host, sizeof(release->host), "%.253s", message->host);
    memcpy(release->url_sha256, message->url_sha256, sizeof(release->url_sha256));
}

static void end_release(struct release_list *list, int64_t id)
{
    struct release *release = find_release(list, id);

    if (release != NULL)
        *release = list->rows[--list->count];
}

static void end_snapshot(struct replica *replica)
{
    struct release_list old = replica->releases;

    replica->whole = true;
    if (!replica->in_snapshot)
        return;
    replica->releases = replica->incoming;
    replica->incoming = old;
    replica->incoming.count = 0;
    replica->in_snapshot = false;
}

/* --- incident numbers --- */

static void take_numbers(struct replica *replica, const struct message_numbers *message)
{
    replica->asked_for_numbers = false;
    /* A registry knows the numbers that it gave itself: it may have another state folder. */
    if (replica->numbers_are_old)
        replica->next_numbers = 0;
    if (replica->numbers == 0 || replica->numbers_are_old) {
        replica->numbers_are_old = false;
        replica->number = message->first;
        replica->numbers = message->count;
    } else {
        replica->next_number = message->first;
        replica->next_numbers = message->count;
    }
}

uint64_t replica_incident(struct replica *replica)
{
    if (replica->numbers + replica->next_numbers <= NUMBERS_LOW && replica->registry != NULL &&
        !replica->asked_for_numbers)
        replica->asked_for_numbers =
            link_send(replica->registry, MESSAGE_NUMBERS_LOW, NULL, 0, -1) == 0;
    if (replica->numbers == 0) {
        replica->number = replica->next_number;
        replica->numbers = replica->next_numbers;
        replica->next_numbers = 0;
    }
    if (replica->numbers == 0)
        return 0;
    replica->numbers--;
    return replica->number++;
}

/* --- what the registry says --- */

static bool is_terminated(const char *text, size_t size)
{
    return memchr(text, '\0', size) != NULL;
}

static void take_learned(struct replica *replica, const struct learned_link *link)
{
    if (learned_link_is_sound(link))
        learned_links_add(replica->learned, link, clock_unix());
}

/* Of what waits, that which has been pushed out of the set. */
static void drop_pushed_out(struct replica *replica)
{
    struct waiting_links kept = STAILQ_HEAD_INITIALIZER(kept);
    struct waiting_link *waiting;

    while ((waiting = STAILQ_FIRST(&replica->links)) != NULL) {
        if (!learned_links_has(replica->learned, &waiting->link)) {
            drop_link(replica);
            continue;
        }
        STAILQ_REMOVE_HEAD(&replica->links, next);
        STAILQ_INSERT_TAIL(&kept, waiting, next);
    }
    STAILQ_CONCAT(&replica->links, &kept);
}

static void queue_link(struct replica *replica, const struct learned_link *link)
{
    struct waiting_link *waiting;

    if (replica->link_count == LINKS_WAITING)
        drop_pushed_out(replica);
    if (replica->link_count == LINKS_WAITING) /* the rest is there more than once */
        drop_link(replica);
    waiting = memory_allocate(1, sizeof(*waiting));
    waiting->link = *link;
    STAILQ_INSERT_TAIL(&replica->links, waiting, next);
    replica->link_count++;
}

void replica_learn(struct replica *replica, const struct learned_link *link)
{
    if (!learned_links_add(replica->learned, link, clock_unix()))
        return;
    queue_link(replica, link);
    replica_tell(replica);
}

struct retelling {
    struct replica *replica;
    int64_t since;
};

static void queue_recent(void *context, const struct learned_link *link)
{
    const struct retelling *retelling = context;

    if (link->since >= retelling->since)
        queue_link(retelling->replica, link);
}

/*
 * What was told to a registry in its last moments may have died with it: what is new is told again,
 * with what still waits. A registry that knows it tells nobody.
 */
static void queue_again(struct replica *replica)
{
    struct retelling retelling = {replica, clock_unix_ms() - RETOLD};

    if (replica->link_count > 0 && STAILQ_FIRST(&replica->links)->link.since < retelling.since)
        retelling.since = STAILQ_FIRST(&replica->links)->link.since;
    while (replica->link_count > 0)
        drop_link(replica);
    learned_links_each(replica->learned, clock_unix(), queue_recent, &retelling);
}

void replica_set_registry(struct replica *replica, struct link *registry)
{
    replica->registry = registry;
    replica->asked_for_numbers = false;
    replica->signed_at = 0;
    if (registry == NULL)
        return;
    replica->numbers_are_old = true;
    /* The snapshot that follows is the truth about releases; until it is whole the old ones stand.
     */
    replica->in_snapshot = true;
    replica->incoming.count = 0;
    send_unsent_signs(replica);
    queue_again(replica);
    replica_tell(replica);
    if (send_waiting(replica))
        tell_of_dropped(replica);
}

bool replica_tell(struct replica *replica)
{
    int64_t now = clock_monotonic();

    replica->allowance += (now - replica->allowed_at) * LINKS_PER_MS;
    if (replica->allowance > LINKS_AT_ONCE)
        replica->allowance = LINKS_AT_ONCE;
    replica->allowed_at = now;
    if (replica->registry == NULL)
        return true;
    replica_flush(replica);
    while (replica->allowance > 0 && !STAILQ_EMPTY(&replica->links)) {
        const struct learned_link *link = &STAILQ_FIRST(&replica->links)->link;
        if (link_send(replica->registry, MESSAGE_LEARNED, link, sizeof(*link), -1) != 0)
            break;
        drop_link(replica);
        replica->allowance--;
    }
    return STAILQ_EMPTY(&replica->links);
}

bool replica_receive(struct replica *replica, enum message_type type, const void *payload)
{
    const struct message_consultation *consultation = payload;
    const struct message_release *release = payload;

    switch (type) {
    case MESSAGE_CONSULTATION:
        if (is_terminated(consultation->scope, sizeof(consultation->scope)) &&
            is_terminated(consultation->service, sizeof(consultation->service)))
            consultation_set(replica->consultations, consultation->scope, consultation->service,
                             consultation->until);
        break;
    case MESSAGE_RELEASE:
        if (is_terminated(release->host, sizeof(release->host)))
            take_release(replica->in_snapshot ? &replica->incoming : &replica->releases, release);
        break;
    case MESSAGE_UNRELEASE:
        end_release(&replica->releases, ((const struct message_unrelease *)payload)->id);
        end_release(&replica->incoming, ((const struct message_unrelease *)payload)->id);
        break;
    case MESSAGE_NUMBERS:
        take_numbers(replica, payload);
        break;
    case MESSAGE_LEARNED:
        take_learned(replica, &((const struct message_learned *)payload)->link);
        break;
    case MESSAGE_SNAPSHOT_END:
        end_snapshot(replica);
        return true;
    default:
        break;
    }
    return false;
}

void replica_standing(struct replica *replica, const char *scope, struct standing *standing)
{
    *standing = (struct standing){
        .releases = replica->releases.rows,
        .release_count = replica->releases.count,
        .now = clock_unix(),
        .learned = replica->learned,
        .scope = scope,
    };
    standing->consultation =
        consultation_find(replica->consultations, scope, clock_unix_ms(), &standing->service);
}

void replica_sign(struct replica *replica, const char *scope, const char *service,
                  const char *client)
{
    int64_t now = clock_monotonic();
    struct message_sign sign = {.scope = ""};
    bool on =
        consultation_sign(replica->consultations, scope, service, clock_unix_ms(), replica->linger);

    snprintf(sign.scope, sizeof(sign.scope), "%s", scope);
    snprintf(sign.service, sizeof(sign.service), "%s", service);
    snprintf(sign.client, sizeof(sign.client), "%s", client);
    if (!on && now - replica->signed_at < SIGN_EVERY &&
        memcmp(&sign, &replica->last_sign, sizeof(sign)) == 0)
        return;
    if (!send_sign(replica, &sign))
        keep_sign(replica, &sign);
}
