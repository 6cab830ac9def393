/* SPDX-License-Identifier: BSD-2-Clause */
/* A worker's copy of the registry's state, with a registry that comes and goes. */
#include "tests/unit/loop.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/replica.h"

#define LINGER 600000 /* ms */

struct message {
    enum message_type type;
    struct message_sign sign;
    struct record record;
    unsigned number; /* of a learned link */
};

struct fixture {
    struct event_base *base;
    struct replica *replica;
    struct link *worker_end, *registry_end;
    struct message *messages;
    size_t count, room;
    size_t packets; /* in which the records came */
};

static struct message *add_message(struct fixture *fixture, enum message_type type)
{
    if (fixture->count == fixture->room) {
        fixture->room = fixture->room * 2 + 16;
        fixture->messages = reallocarray(fixture->messages, fixture->room, sizeof(struct message));
        assert_non_null(fixture->messages);
    }
    struct message *message = &fixture->messages[fixture->count++];
    message->type = type;
    return message;
}

/* Each as a message of its own. */
static void add_records(struct fixture *fixture, const uint8_t *payload, size_t size)
{
    fixture->packets++;
    while (size > 0) {
        struct message *message = add_message(fixture, MESSAGE_RECORD);
        size_t taken = record_unpack_first(payload, size, &message->record);
        assert_true(taken > 0 && taken <= size);
        payload += taken;
        size -= taken;
    }
}

static void on_registry_message(void *context, struct link *link, enum message_type type,
                                const void *payload, size_t size, int fd)
{
    struct fixture *fixture = context;

    (void)link;
    (void)fd;
    if (type == MESSAGE_NONE) {
        fixture->registry_end = NULL;
        return;
    }
    if (type == MESSAGE_RECORD) {
        add_records(fixture, payload, size);
        return;
    }
    struct message *message = add_message(fixture, type);
    if (type == MESSAGE_SIGN)
        memcpy(&message->sign, payload, size);
    else if (type == MESSAGE_LEARNED)
        memcpy(&message->number, payload, sizeof(message->number));
    else
        assert_int_equal(type, MESSAGE_NUMBERS_LOW);
}

static void on_worker_message(void *context, struct link *link, enum message_type type,
                              const void *payload, size_t size, int fd)
{
    struct fixture *fixture = context;

    (void)link;
    (void)payload;
    (void)size;
    (void)fd;
    if (type == MESSAGE_NONE)
        fixture->worker_end = NULL;
}

static void registry_comes(struct fixture *fixture)
{
    int fds[2];

    assert_int_equal(link_pair(fds), 0);
    fixture->worker_end =
        link_new(fixture->base, fds[0], ROLE_WORKER, ROLE_REGISTRY, on_worker_message, fixture);
    fixture->registry_end =
        link_new(fixture->base, fds[1], ROLE_REGISTRY, ROLE_WORKER, on_registry_message, fixture);
    replica_set_registry(fixture->replica, fixture->worker_end);
}

static void registry_goes(struct fixture *fixture)
{
    replica_set_registry(fixture->replica, NULL);
    link_free(fixture->worker_end);
    link_free(fixture->registry_end);
    fixture->worker_end = fixture->registry_end = NULL;
}

static int setup(void **state)
{
    struct fixture *fixture = calloc(1, sizeof(*fixture));

    fixture->base = event_base_new();
    fixture->replica = replica_new(LINGER);
    *state = fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;

    replica_free(fixture->replica);
    link_free(fixture->worker_end);
    link_free(fixture->registry_end);
    event_base_free(fixture->base);
    free(fixture->messages);
    free(fixture);
    return 0;
}

/* What came to the registry since the last call. */
static size_t hear(struct fixture *fixture)
{
    fixture->count = fixture->packets = 0;
    for (size_t before = SIZE_MAX; before != fixture->count;) {
        before = fixture->count;
        loop_settle(fixture->base);
    }
    return fixture->count;
}

static bool tell(struct fixture *fixture, enum message_type type, const void *payload)
{
    return replica_receive(fixture->replica, type, payload);
}

static struct standing standing_of(struct fixture *fixture, const char *scope)
{
    struct standing standing;

    memset(&standing, 0xa5, sizeof(standing));
    replica_standing(fixture->replica, scope, &standing);
    return standing;
}

/* --- the snapshot --- */

static void test_snapshot(void **state)
{
    struct fixture *fixture = *state;
    struct message_consultation consultation = {.scope = "room:1", .service = "zoom"};

    assert_false(replica_is_whole(fixture->replica));
    registry_comes(fixture);
    consultation.until = clock_unix_ms() + LINGER;
    assert_false(tell(fixture, MESSAGE_CONSULTATION, &consultation));
    assert_false(replica_is_whole(fixture->replica));
    assert_true(tell(fixture, MESSAGE_SNAPSHOT_END, NULL));
    assert_true(replica_is_whole(fixture->replica));
    /* what is known stays known while the registry is away */
    registry_goes(fixture);
    assert_true(replica_is_whole(fixture->replica));
    assert_true(standing_of(fixture, "room:1").consultation);
    /* what a registry has no business to say is no harm */
    assert_false(tell(fixture, MESSAGE_DRAIN, NULL));
    assert_false(tell(fixture, MESSAGE_FLOWS, &(struct message_flows){1}));
}

static void test_consultations(void **state)
{
    struct fixture *fixture = *state;
    struct message_consultation consultation = {.scope = "room:1", .service = "zoom"};

    assert_false(standing_of(fixture, "room:1").consultation);
    consultation.until = clock_unix_ms() + LINGER;
    tell(fixture, MESSAGE_CONSULTATION, &consultation);
    struct standing standing = standing_of(fixture, "room:1");
    assert_true(standing.consultation);
    assert_string_equal(standing.service, "zoom");
    assert_true(llabs(standing.now - clock_unix()) <= 2);
    standing = standing_of(fixture, "room:2");
    assert_false(standing.consultation);
    assert_null(standing.service);
    /* it ends by itself, and by word of the registry */
    consultation.until = clock_unix_ms() + 30;
    tell(fixture, MESSAGE_CONSULTATION, &consultation);
    loop_for(fixture->base, 50);
    assert_false(standing_of(fixture, "room:1").consultation);
    consultation.until = clock_unix_ms() + LINGER;
    tell(fixture, MESSAGE_CONSULTATION, &consultation);
    consultation.until = 0;
    tell(fixture, MESSAGE_CONSULTATION, &consultation);
    assert_false(standing_of(fixture, "room:1").consultation);
}

static struct message_release release_of(int64_t id, uint32_t scope, const char *host)
{
    struct message_release release = {.id = id, .until = clock_unix() + 60, .scope = scope};

    snprintf(release.host, sizeof(release.host), "%s", host);
    memset(release.url_sha256, (int)id, sizeof(release.url_sha256));
    return release;
}

static const struct release *find(const struct standing *standing, int64_t id)
{
    for (size_t i = 0; i < standing->release_count; i++)
        if (standing->releases[i].id == id)
            return &standing->releases[i];
    return NULL;
}

static void test_releases(void **state)
{
    struct fixture *fixture = *state;
    struct message_release release;

    for (int64_t id = 1; id <= 40; id++) {
        release = release_of(id, id % 2 ? RELEASE_HOST : RELEASE_URL, "labo.example.jp");
        assert_false(tell(fixture, MESSAGE_RELEASE, &release));
    }
    struct standing standing = standing_of(fixture, "clinic");
    assert_int_equal(standing.release_count, 40);
    for (int64_t id = 1; id <= 40; id++) {
        const struct release *found = find(&standing, id);
        assert_non_null(found);
        assert_int_equal(found->scope, id % 2 ? RELEASE_HOST : RELEASE_URL);
        assert_string_equal(found->host, "labo.example.jp");
        assert_int_equal(found->url_sha256[0], id);
        assert_int_equal(found->url_sha256[31], id);
        assert_true(found->until >= clock_unix() + 50);
    }
    /* the same again replaces; an unknown scope is the narrower one */
    release = release_of(7, 99, "other.example.jp");
    tell(fixture, MESSAGE_RELEASE, &release);
    standing = standing_of(fixture, "clinic");
    assert_int_equal(standing.release_count, 40);
    assert_int_equal(find(&standing, 7)->scope, RELEASE_URL);
    assert_string_equal(find(&standing, 7)->host, "other.example.jp");
    /* over: a first, a last, one in the middle, one that was never there */
    static const int64_t over[] = {1, 40, 20, 1000, 20};
    for (size_t i = 0; i < COUNT(over); i++)
        tell(fixture, MESSAGE_UNRELEASE, &(struct message_unrelease){over[i]});
    standing = standing_of(fixture, "clinic");
    assert_int_equal(standing.release_count, 37);
    for (int64_t id = 1; id <= 40; id++)
        assert_int_equal(find(&standing, id) != NULL, id != 1 && id != 40 && id != 20);
}

/* A registry that comes back names what still holds: the rest is over, once all has been named. */
static void test_releases_of_a_new_registry(void **state)
{
    struct fixture *fixture = *state;
    struct message_release release;

    registry_comes(fixture);
    for (int64_t id = 1; id <= 3; id++) {
        release = release_of(id, RELEASE_HOST, "labo.example.jp");
        tell(fixture, MESSAGE_RELEASE, &release);
    }
    tell(fixture, MESSAGE_SNAPSHOT_END, NULL);
    registry_goes(fixture);
    assert_int_equal(standing_of(fixture, "clinic").release_count, 3);
    registry_comes(fixture);
    assert_int_equal(standing_of(fixture, "clinic").release_count, 3); /* until it is whole */
    release = release_of(2, RELEASE_HOST, "labo.example.jp");
    tell(fixture, MESSAGE_RELEASE, &release);
    release = release_of(4, RELEASE_HOST, "labo.example.jp");
    tell(fixture, MESSAGE_RELEASE, &release);
    tell(fixture, MESSAGE_UNRELEASE, &(struct message_unrelease){4});
    tell(fixture, MESSAGE_SNAPSHOT_END, NULL);
    struct standing standing = standing_of(fixture, "clinic");
    assert_int_equal(standing.release_count, 1);
    assert_non_null(find(&standing, 2));
    /* after the snapshot they come one by one again */
    release = release_of(5, RELEASE_HOST, "labo.example.jp");
    tell(fixture, MESSAGE_RELEASE, &release);
    assert_int_equal(standing_of(fixture, "clinic").release_count, 2);
}

static void test_unterminated_texts(void **state)
{
    struct fixture *fixture = *state;
    struct message_consultation consultation;
    struct message_release release = release_of(1, RELEASE_HOST, "");

    consultation = (struct message_consultation){.until = INT64_MAX, .service = "zoom"};
    memset(consultation.scope, 'x', sizeof(consultation.scope));
    tell(fixture, MESSAGE_CONSULTATION, &consultation);
    consultation = (struct message_consultation){.until = INT64_MAX, .scope = "clinic"};
    memset(consultation.service, 'x', sizeof(consultation.service));
    tell(fixture, MESSAGE_CONSULTATION, &consultation);
    assert_false(standing_of(fixture, "clinic").consultation);
    memset(release.host, 'x', sizeof(release.host));
    tell(fixture, MESSAGE_RELEASE, &release);
    assert_int_equal(standing_of(fixture, "clinic").release_count, 0);
    /* terminated but longer than a host can be: cut, not overrun */
    release.host[sizeof(release.host) - 1] = '\0';
    tell(fixture, MESSAGE_RELEASE, &release);
    struct standing standing = standing_of(fixture, "clinic");
    assert_int_equal(standing.release_count, 1);
    assert_true(strlen(standing.releases[0].host) < sizeof(standing.releases[0].host));
}

/* --- signs --- */

static void test_sign_counts_at_once(void **state)
{
    struct fixture *fixture = *state;

    replica_sign(fixture->replica, "room:1", "zoom", "192.0.2.1"); /* no registry at all */
    struct standing standing = standing_of(fixture, "room:1");
    assert_true(standing.consultation);
    assert_string_equal(standing.service, "zoom");
    assert_false(standing_of(fixture, "room:2").consultation);
    replica_sign(fixture->replica, "room:1", "zoom", "192.0.2.1");
    /* a registry that comes hears of it at once, and once: there may be no other sign for long */
    registry_comes(fixture);
    assert_int_equal(hear(fixture), 1);
    assert_int_equal(fixture->messages[0].type, MESSAGE_SIGN);
    assert_string_equal(fixture->messages[0].sign.scope, "room:1");
    assert_string_equal(fixture->messages[0].sign.service, "zoom");
    assert_string_equal(fixture->messages[0].sign.client, "192.0.2.1");
    replica_sign(fixture->replica, "room:1", "zoom", "192.0.2.1");
    assert_int_equal(hear(fixture), 0);
}

/* Each call once, and the first of them, however many were seen without a registry. */
static void test_signs_wait(void **state)
{
    struct fixture *fixture = *state;
    char scope[32];

    assert_false(replica_has_waiting(fixture->replica));
    for (int i = 0; i < 60; i++) {
        snprintf(scope, sizeof(scope), "room:%d", i % 20);
        replica_sign(fixture->replica, scope, "zoom", "192.0.2.1");
    }
    assert_true(replica_has_waiting(fixture->replica));
    registry_comes(fixture);
    assert_false(replica_has_waiting(fixture->replica));
    assert_int_equal(hear(fixture), 16);
    for (int i = 0; i < 16; i++) {
        snprintf(scope, sizeof(scope), "room:%d", i);
        bool found = false;
        for (size_t j = 0; j < fixture->count; j++)
            found = found || strcmp(fixture->messages[j].sign.scope, scope) == 0;
        assert_true(found);
    }
    registry_goes(fixture);
    registry_comes(fixture);
    assert_int_equal(hear(fixture), 0);
}

static void test_sign_once_a_second(void **state)
{
    struct fixture *fixture = *state;

    registry_comes(fixture);
    int64_t from = clock_monotonic();
    size_t heard = 0;
    while (clock_monotonic() < from + 2500) {
        for (int i = 0; i < 20; i++)
            replica_sign(fixture->replica, "clinic", "zoom", "192.0.2.1");
        heard += hear(fixture);
        usleep(5000);
    }
    assert_true(heard >= 2 && (int64_t)heard <= (clock_monotonic() - from) / 1000 + 1);
    /* another call is another matter */
    replica_sign(fixture->replica, "clinic", "zoom", "192.0.2.2");
    assert_int_equal(hear(fixture), 1);
    replica_sign(fixture->replica, "clinic", "teams", "192.0.2.2");
    assert_int_equal(hear(fixture), 1);
    replica_sign(fixture->replica, "clinic", "teams", "192.0.2.2");
    assert_int_equal(hear(fixture), 0);
    /* and so is the first sign after the end: the registry must hear it at once */
    tell(fixture, MESSAGE_CONSULTATION,
         &(struct message_consultation){.scope = "clinic", .service = "zoom", .until = 0});
    replica_sign(fixture->replica, "clinic", "teams", "192.0.2.2");
    assert_int_equal(hear(fixture), 1);
    /* a new registry too */
    registry_goes(fixture);
    registry_comes(fixture);
    replica_sign(fixture->replica, "clinic", "teams", "192.0.2.2");
    assert_int_equal(hear(fixture), 1);
}

static void test_sign_with_long_texts(void **state)
{
    struct fixture *fixture = *state;
    char scope[SCOPE_TEXT + 50], service[SERVICE_TEXT + 50], client[200];

    memset(scope, 's', sizeof(scope) - 1);
    memset(service, 'v', sizeof(service) - 1);
    memset(client, 'c', sizeof(client) - 1);
    scope[sizeof(scope) - 1] = service[sizeof(service) - 1] = client[sizeof(client) - 1] = '\0';
    registry_comes(fixture);
    replica_sign(fixture->replica, scope, service, client);
    assert_int_equal(hear(fixture), 1);
    const struct message_sign *sign = &fixture->messages[0].sign;
    assert_int_equal(strnlen(sign->scope, sizeof(sign->scope)), sizeof(sign->scope) - 1);
    assert_int_equal(strnlen(sign->service, sizeof(sign->service)), sizeof(sign->service) - 1);
    assert_int_equal(strnlen(sign->client, sizeof(sign->client)), sizeof(sign->client) - 1);
}

/* --- incident numbers --- */

static void test_numbers(void **state)
{
    struct fixture *fixture = *state;

    assert_int_equal(replica_incident(fixture->replica), 0);
    registry_comes(fixture);
    assert_int_equal(replica_incident(fixture->replica), 0);
    assert_int_equal(hear(fixture), 1); /* asked for, once */
    assert_int_equal(replica_incident(fixture->replica), 0);
    assert_int_equal(hear(fixture), 0);
    tell(fixture, MESSAGE_NUMBERS, &(struct message_numbers){1000, 100});
    uint64_t expected = 1000;
    size_t asked = 0;
    for (int i = 0; i < 90; i++) {
        assert_int_equal(replica_incident(fixture->replica), expected++);
        asked += hear(fixture);
        assert_int_equal(asked, i >= 70);
    }
    /* the new lease comes before the old one is used up: none is left out, none comes twice */
    tell(fixture, MESSAGE_NUMBERS, &(struct message_numbers){5000, 100});
    for (int i = 0; i < 10; i++)
        assert_int_equal(replica_incident(fixture->replica), expected++);
    for (uint64_t i = 0; i < 100; i++)
        assert_int_equal(replica_incident(fixture->replica), 5000 + i);
    assert_int_equal(hear(fixture), 1);
    assert_int_equal(replica_incident(fixture->replica), 0);
}

static void test_numbers_without_registry(void **state)
{
    struct fixture *fixture = *state;

    tell(fixture, MESSAGE_NUMBERS, &(struct message_numbers){1, 5});
    for (uint64_t i = 1; i <= 5; i++)
        assert_int_equal(replica_incident(fixture->replica), i);
    assert_int_equal(replica_incident(fixture->replica), 0);
    /* what was asked of a registry that died is asked again of the next */
    registry_comes(fixture);
    replica_incident(fixture->replica);
    assert_int_equal(hear(fixture), 1);
    registry_goes(fixture);
    registry_comes(fixture);
    replica_incident(fixture->replica);
    assert_int_equal(hear(fixture), 1);
    assert_int_equal(fixture->messages[0].type, MESSAGE_NUMBERS_LOW);
}

/* A registry takes only numbers of its own: those of the last one serve until it has given some. */
static void test_numbers_of_another_registry(void **state)
{
    struct fixture *fixture = *state;

    registry_comes(fixture);
    tell(fixture, MESSAGE_NUMBERS, &(struct message_numbers){1000, 100});
    tell(fixture, MESSAGE_NUMBERS, &(struct message_numbers){2000, 100});
    assert_int_equal(replica_incident(fixture->replica), 1000);
    registry_goes(fixture);
    assert_int_equal(replica_incident(fixture->replica), 1001);
    registry_comes(fixture);
    assert_int_equal(replica_incident(fixture->replica), 1002);
    tell(fixture, MESSAGE_NUMBERS, &(struct message_numbers){1, 100});
    for (uint64_t i = 1; i <= 100; i++)
        assert_int_equal(replica_incident(fixture->replica), i);
    assert_int_equal(replica_incident(fixture->replica), 0);
}

/* --- records --- */

/* Returns the size of the packed record. */
static size_t send_record(struct fixture *fixture, unsigned number, size_t padding)
{
    uint8_t packed[MESSAGE_MAX];
    struct record record;
    static char text[RECORD_VALUE + 1];

    memset(text, 'p', sizeof(text));
    record_init(&record, EVENT_BLOCK);
    record_set_number(&record, RECORD_INCIDENT, number);
    for (unsigned field = RECORD_SERVICE; padding > 0 && field < RECORD_METHOD; field++)
        record_set(&record, field, (struct span){text, padding});
    replica_record(fixture->replica, &record);
    return record_pack(&record, packed, sizeof(packed));
}

static unsigned number_of(const struct message *message)
{
    struct span value = record_get(&message->record, RECORD_INCIDENT);
    char text[24] = "";

    assert_int_equal(message->type, MESSAGE_RECORD);
    assert_true(value.size < sizeof(text));
    memcpy(text, value.data, value.size);
    return (unsigned)strtoul(text, NULL, 10);
}

static void test_records_pass(void **state)
{
    struct fixture *fixture = *state;

    registry_comes(fixture);
    send_record(fixture, 1, 0);
    send_record(fixture, 2, 500);
    assert_int_equal(hear(fixture), 2);
    assert_int_equal(fixture->messages[0].record.event, EVENT_BLOCK);
    assert_int_equal(number_of(&fixture->messages[0]), 1);
    assert_int_equal(number_of(&fixture->messages[1]), 2);
}

static void send_event(struct fixture *fixture, enum record_event event, unsigned number,
                       size_t padding)
{
    static char text[RECORD_VALUE];
    struct record record;

    memset(text, 'p', sizeof(text));
    record_init(&record, event);
    record_set_number(&record, RECORD_INCIDENT, number);
    record_set(&record, RECORD_PATH, (struct span){text, padding});
    replica_record(fixture->replica, &record);
}

static void test_records_go_together(void **state)
{
    struct fixture *fixture = *state;
    struct message_sign sign;

    replica_batch(fixture->replica, fixture->base);
    registry_comes(fixture);
    for (unsigned i = 1; i <= 20; i++)
        send_event(fixture, i % 2 == 0 ? EVENT_ALLOW : EVENT_SPLICE, i, 100);
    assert_true(replica_has_waiting(fixture->replica));
    assert_int_equal(hear(fixture), 20);
    assert_int_equal(fixture->packets, 1);
    for (unsigned i = 1; i <= 20; i++)
        assert_int_equal(number_of(&fixture->messages[i - 1]), i);
    assert_false(replica_has_waiting(fixture->replica));
    /* what was stopped does not wait, and what came before it goes with it */
    send_event(fixture, EVENT_ALLOW, 1, 0);
    send_event(fixture, EVENT_BLOCK, 2, 0);
    assert_false(replica_has_waiting(fixture->replica));
    send_event(fixture, EVENT_ALLOW, 3, 0);
    assert_int_equal(hear(fixture), 3);
    assert_int_equal(fixture->packets, 2);
    /* nor does a sign pass by what was before it */
    send_event(fixture, EVENT_ALLOW, 4, 0);
    replica_sign(fixture->replica, "room:1", "zoom", "192.168.10.21");
    assert_int_equal(hear(fixture), 2);
    assert_int_equal(fixture->messages[0].type, MESSAGE_RECORD);
    assert_int_equal(fixture->messages[1].type, MESSAGE_SIGN);
    memcpy(&sign, &fixture->messages[1].sign, sizeof(sign));
    assert_string_equal(sign.scope, "room:1");
    /* more than one message holds */
    for (unsigned i = 1; i <= 100; i++)
        send_event(fixture, EVENT_ALLOW, i, RECORD_VALUE);
    assert_int_equal(hear(fixture), 100);
    assert_true(fixture->packets >= 7 && fixture->packets <= 10);
    for (unsigned i = 1; i <= 100; i++)
        assert_int_equal(number_of(&fixture->messages[i - 1]), i);
}

/* Of those that go together each is counted when they are lost. */
static void test_lost_batches_are_counted(void **state)
{
    struct fixture *fixture = *state;
    char expected[80];

    replica_batch(fixture->replica, fixture->base);
    for (unsigned i = 0; i < 2000; i++)
        send_event(fixture, EVENT_ALLOW, i, RECORD_VALUE);
    registry_comes(fixture);
    size_t heard = hear(fixture);
    assert_true(heard > 900 && heard < 1100);
    const struct message *last = &fixture->messages[heard - 1];
    snprintf(expected, sizeof(expected), "%zu records were lost while the registry was away",
             2000 - (heard - 1));
    assert_true(span_equal(record_get(&last->record, RECORD_DETAIL), span_of(expected)));
}

static void test_records_wait(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 1; i <= 100; i++)
        send_record(fixture, i, 100);
    registry_comes(fixture);
    send_record(fixture, 101, 0);
    assert_int_equal(hear(fixture), 101);
    for (unsigned i = 1; i <= 101; i++)
        assert_int_equal(number_of(&fixture->messages[i - 1]), i);
    /* they waited once: the next registry does not hear of them */
    registry_goes(fixture);
    registry_comes(fixture);
    assert_int_equal(hear(fixture), 0);
}

static void test_records_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    const unsigned sent = 500;
    unsigned lost = 0;
    char expected[80];

    for (unsigned i = 0; i < sent; i++)
        send_record(fixture, i, RECORD_VALUE);
    registry_comes(fixture);
    size_t heard = hear(fixture);
    /* the newest of 1 MB, in order, and one that says how many there were before them */
    assert_true(heard > 100 && heard < 300);
    const struct message *last = &fixture->messages[heard - 1];
    assert_int_equal(last->record.event, EVENT_ERROR);
    lost = sent - (unsigned)(heard - 1);
    snprintf(expected, sizeof(expected), "%u records were lost while the registry was away", lost);
    struct span detail = record_get(&last->record, RECORD_DETAIL);
    assert_int_equal(detail.size, strlen(expected));
    assert_memory_equal(detail.data, expected, detail.size);
    for (unsigned i = 0; i < heard - 1; i++)
        assert_int_equal(number_of(&fixture->messages[i]), lost + i);
    /* said once */
    registry_goes(fixture);
    registry_comes(fixture);
    assert_int_equal(hear(fixture), 0);
}

/* A registry that is there but does not read: when it reads again everything comes, in order. */
static void test_records_wait_for_a_slow_registry(void **state)
{
    struct fixture *fixture = *state;
    unsigned sent = 0;

    registry_comes(fixture);
    /* more than the socket and the link's queue hold, less than with the replica's own queue */
    for (size_t bytes = 0; bytes < LINK_QUEUE_LIMIT + (3u << 18); sent++)
        bytes += send_record(fixture, sent, RECORD_VALUE);
    size_t heard = hear(fixture);
    assert_true(heard > 0 && heard < sent);
    size_t before = heard;
    for (size_t i = 0; i < heard; i++)
        assert_int_equal(number_of(&fixture->messages[i]), i);
    send_record(fixture, sent++, 0); /* brings those that waited along, and comes after them */
    heard = hear(fixture);
    assert_int_equal(before + heard, sent);
    for (size_t i = 0; i < heard; i++)
        assert_int_equal(number_of(&fixture->messages[i]), before + i);
}

/* --- learned links --- */

static void learn(struct fixture *fixture, unsigned number)
{
    struct learned_link link = {.kind = LEARNED_TEXT, .scope = "clinic", .service = "telemed"};

    link.since = clock_unix_ms();
    link.until = clock_unix() + 1000;
    memcpy(link.url_sha256, &number, sizeof(number));
    memcpy(link.host_sha256, &number, sizeof(number));
    replica_learn(fixture->replica, &link);
}

static bool is_learned(struct fixture *fixture, unsigned number)
{
    uint8_t digest[32] = {0};

    memcpy(digest, &number, sizeof(number));
    return learned_links_find(standing_of(fixture, "clinic").learned, "clinic", digest, digest,
                              LEARNED_OF_URL, clock_unix()) != NULL;
}

/* What was learned while there was no registry reaches the other workers all the same. */
static void test_links_wait(void **state)
{
    struct fixture *fixture = *state;

    learn(fixture, 1);
    learn(fixture, 2);
    learn(fixture, 1);
    assert_true(is_learned(fixture, 1));
    assert_true(replica_has_waiting(fixture->replica));
    assert_true(replica_tell(fixture->replica)); /* nothing can be done about it yet */
    registry_comes(fixture);
    assert_false(replica_has_waiting(fixture->replica));
    assert_int_equal(hear(fixture), 2);
    assert_int_equal(fixture->messages[0].number, 1);
    assert_int_equal(fixture->messages[1].number, 2);
    /* The one that was told may have died before it told others: its successor hears it again. */
    registry_goes(fixture);
    registry_comes(fixture);
    assert_int_equal(hear(fixture), 2);
    assert_int_equal(fixture->messages[0].number, 1);
    assert_int_equal(fixture->messages[1].number, 2);
}

/* A flood counts here at once, and is told at a pace that the registry bears, without a loss. */
static void test_links_are_paced(void **state)
{
    struct fixture *fixture = *state;
    size_t heard, first;
    int64_t start = clock_monotonic(), spent;
    unsigned next = 0;

    registry_comes(fixture);
    for (unsigned i = 0; i < 600; i++)
        learn(fixture, i);
    assert_true(is_learned(fixture, 599));
    first = hear(fixture);
    spent = clock_monotonic() - start;
    assert_true(first >= 256 && first <= 256 + (size_t)spent);
    for (heard = first; heard > 0 || !replica_tell(fixture->replica); heard = hear(fixture)) {
        for (size_t i = 0; i < heard; i++)
            assert_int_equal(fixture->messages[i].number, next++);
        loop_for(fixture->base, 10);
        replica_tell(fixture->replica);
    }
    assert_int_equal(next, 600);
    assert_true(clock_monotonic() - start >= 600 - 256);
}

static void learn_from(struct fixture *fixture, const char *service, unsigned number)
{
    struct learned_link link = {.kind = LEARNED_TEXT, .scope = "clinic"};

    snprintf(link.service, sizeof(link.service), "%s", service);
    link.since = clock_unix_ms();
    link.until = clock_unix() + 1000;
    memcpy(link.url_sha256, &number, sizeof(number));
    replica_learn(fixture->replica, &link);
}

/* However many wait for a registry: those of a flood that came last, and all of the other chat. */
static void test_links_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    unsigned most = 3 * LEARNED_MAX;

    for (unsigned i = 0; i < 100; i++)
        learn_from(fixture, "telemed", i);
    for (unsigned i = 100; i < most; i++)
        learn_from(fixture, "flooded", i);
    registry_comes(fixture);
    assert_true(hear(fixture) >= 256);
    assert_true(is_learned(fixture, 0));
    assert_true(is_learned(fixture, 99));
    assert_false(is_learned(fixture, 100));
    assert_true(is_learned(fixture, most - 1));
}

/* With a registry the flood waits for its turn, and crowds nothing out that waits with it. */
static void test_flood_before_a_registry(void **state)
{
    struct fixture *fixture = *state;
    unsigned told = 0;

    registry_comes(fixture);
    for (unsigned i = 0; i < 300; i++)
        learn_from(fixture, "flooded", 1000 + i);
    for (unsigned i = 0; i < 100; i++)
        learn_from(fixture, "telemed", i);
    for (unsigned i = 300; i < 3 * LEARNED_MAX; i++)
        learn_from(fixture, "flooded", 1000 + i);
    for (bool over = false; !over && told < 100; over = replica_tell(fixture->replica)) {
        size_t heard = hear(fixture);
        for (size_t i = 0; i < heard; i++)
            told += fixture->messages[i].number < 100;
        loop_for(fixture->base, 10);
    }
    assert_int_equal(told, 100);
}

/* What one's own worker sent it may also send damaged. */
static void test_unsound_links(void **state)
{
    struct fixture *fixture = *state;

    registry_comes(fixture);
    for (unsigned i = 0; i < 3; i++) {
        struct message_learned message = {
            .link = {.kind = LEARNED_TEXT, .scope = "clinic", .service = "telemed"}};
        message.link.until = clock_unix() + 1000;
        memcpy(message.link.url_sha256, &i, sizeof(i));
        if (i == 1)
            memset(&message.link.whole_host, 7, 1);
        if (i == 2)
            memset(message.link.scope, 'a', sizeof(message.link.scope));
        replica_receive(fixture->replica, MESSAGE_LEARNED, &message);
        assert_int_equal(is_learned(fixture, i), i == 0);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_snapshot),
        TEST(test_consultations),
        TEST(test_releases),
        TEST(test_releases_of_a_new_registry),
        TEST(test_unterminated_texts),
        TEST(test_sign_counts_at_once),
        TEST(test_signs_wait),
        TEST(test_sign_once_a_second),
        TEST(test_sign_with_long_texts),
        TEST(test_numbers),
        TEST(test_numbers_without_registry),
        TEST(test_numbers_of_another_registry),
        TEST(test_records_pass),
        TEST(test_records_go_together),
        TEST(test_lost_batches_are_counted),
        TEST(test_records_wait),
        TEST(test_records_are_bounded),
        TEST(test_records_wait_for_a_slow_registry),
        TEST(test_links_wait),
        TEST(test_links_are_paced),
        TEST(test_links_are_bounded),
        TEST(test_flood_before_a_registry),
        TEST(test_unsound_links),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
