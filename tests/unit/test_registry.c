/* SPDX-License-Identifier: BSD-2-Clause */
/* The registry: what the workers are told and when, what is refused of them, what survives. */
#include "filters/meeting.h"
#include "tests/unit/registry_fixture.h"

/* --- workers --- */

static void worker_hears_the_state(void **state)
{
    struct fixture *fixture = *state;
    struct worker one, two;
    size_t at;

    join(fixture, &one, 0);
    assert_int_equal(one.count, 2);
    assert_int_equal(one.heard[0].type, MESSAGE_NUMBERS);
    assert_int_equal(one.heard[1].type, MESSAGE_SNAPSHOT_END);
    sign(fixture, &one, "clinic");
    at = heard(&one, MESSAGE_CONSULTATION);
    assert_string_equal(one.heard[at].as.consultation.scope, "clinic");
    assert_string_equal(one.heard[at].as.consultation.service, "zoom");
    assert_true(one.heard[at].as.consultation.until > registry_now() + 590000);
    json_decref(ask_well(fixture,
                         "{\"command\":\"release\",\"what\":\"Example.JP.\",\"seconds\":60,"
                         "\"reason\":\"r\",\"by\":\"b\"}"));
    at = heard(&one, MESSAGE_RELEASE);
    assert_string_equal(one.heard[at].as.release.host, "example.jp");
    assert_int_equal(one.heard[at].as.release.scope, RELEASE_HOST);
    /* One that comes later hears the same, and other numbers. */
    join(fixture, &two, 1);
    assert_int_equal(two.count, 4);
    assert_string_equal(two.heard[heard(&two, MESSAGE_RELEASE)].as.release.host, "example.jp");
    assert_int_equal(two.heard[3].type, MESSAGE_SNAPSHOT_END);
    assert_int_equal(two.heard[heard(&two, MESSAGE_NUMBERS)].as.numbers.first,
                     one.heard[0].as.numbers.first + REGISTRY_LEASE);
    link_send(two.link, MESSAGE_NUMBERS_LOW, NULL, 0, -1);
    turn(fixture);
    assert_int_equal(two.heard[4].as.numbers.first,
                     one.heard[0].as.numbers.first + 2 * REGISTRY_LEASE);
    link_free(one.link);
    link_free(two.link);
    turn(fixture);
    assert_true(TAILQ_EMPTY(&fixture->registry->workers));
}

static void malformed_message_closes_the_link(void **state)
{
    struct fixture *fixture = *state;
    struct message_sign bad[5];
    struct message_flow flow;
    struct message_release release;
    struct worker worker;

    memset(bad, 0, sizeof(bad));
    for (size_t i = 0; i < 5; i++) {
        snprintf(bad[i].scope, SCOPE_TEXT, "clinic");
        snprintf(bad[i].service, SERVICE_TEXT, "zoom");
    }
    memset(bad[0].scope, 'a', SCOPE_TEXT); /* no end */
    snprintf(bad[1].scope, SCOPE_TEXT, "elsewhere");
    snprintf(bad[2].scope, SCOPE_TEXT, "room:\xff");
    snprintf(bad[3].service, SERVICE_TEXT, "zoom\n");
    bad[4].service[0] = '\0';
    for (size_t i = 0; i < 5; i++) {
        join(fixture, &worker, 0);
        send_packet(fixture, &worker, MESSAGE_SIGN, &bad[i], sizeof(bad[i]));
        assert_true(worker.closed);
    }
    join(fixture, &worker, 0);
    memset(&flow, 'a', sizeof(flow));
    send_packet(fixture, &worker, MESSAGE_FLOW, &flow, sizeof(flow));
    assert_true(worker.closed);
    join(fixture, &worker, 0);
    link_send(worker.link, MESSAGE_RECORD, "nonsense", 8, -1);
    turn(fixture);
    assert_true(worker.closed);
    join(fixture, &worker, 0); /* not for a worker to say */
    memset(&release, 0, sizeof(release));
    send_packet(fixture, &worker, MESSAGE_RELEASE, &release, sizeof(release));
    assert_true(worker.closed);
    assert_int_equal(fixture->registry->release_count, 0);
    assert_true(TAILQ_EMPTY(&fixture->registry->workers));
    assert_int_equal(fixture->registry->scope_count, 0);
}

/* --- records --- */

static void send_record(struct fixture *fixture, struct worker *worker, const struct record *record)
{
    uint8_t packed[MESSAGE_MAX];

    send_packet(fixture, worker, MESSAGE_RECORD, packed,
                record_pack(record, packed, sizeof(packed)));
}

/* A worker tells of its connections, and of nothing that others do. */
static void worker_speaks_for_itself(void **state)
{
    static const enum record_field not_its_own[] = {RECORD_BY, RECORD_UNTIL, RECORD_SEQ};
    struct fixture *fixture = *state;
    uint64_t before, allowed = 0;
    struct record record;
    struct worker worker;

    for (unsigned event = 0; event < EVENT_COUNT; event++) {
        join(fixture, &worker, 0);
        before = fixture->registry->events[event];
        record_init(&record, event);
        send_record(fixture, &worker, &record);
        assert_int_equal(worker.closed, !record_event_may(event, ROLE_WORKER));
        assert_int_equal(fixture->registry->events[event] - before, !worker.closed);
        allowed += !worker.closed;
        link_free(worker.closed ? NULL : worker.link);
        turn(fixture);
    }
    assert_false(record_event_may(EVENT_RELEASE, ROLE_WORKER));
    assert_false(record_event_may(EVENT_START, ROLE_WORKER));
    assert_false(record_event_may(EVENT_PROCESS, ROLE_WORKER));
    assert_true(allowed >= 8 && allowed < EVENT_COUNT);
    before = fixture->registry->events[EVENT_BLOCK];
    for (size_t i = 0; i < 3; i++) {
        join(fixture, &worker, 0);
        record_init(&record, EVENT_BLOCK);
        record_set_text(&record, not_its_own[i], "1");
        send_record(fixture, &worker, &record);
        assert_true(worker.closed);
    }
    assert_int_equal(fixture->registry->events[EVENT_BLOCK], before);
}

static size_t incidents_of(struct fixture *fixture, uint64_t number)
{
    json_t *reply = ask_well(fixture, "{\"command\":\"incidents\"}");
    json_t *rows = json_object_get(reply, "incidents"), *row;
    size_t count = 0, i;

    assert_true(json_is_array(rows));
    json_array_foreach(rows, i, row) count += number_of(row, "incident") == (int64_t)number;
    json_decref(reply);
    return count;
}

/* The numbers that another has, or nobody yet, and those of before that are in use. */
static void numbers_are_ones_own(void **state)
{
    struct fixture *fixture = *state;
    struct worker one, two;
    uint64_t first, second, blocks = fixture->registry->events[EVENT_BLOCK];

    join(fixture, &one, 0);
    join(fixture, &two, 1);
    first = one.heard[heard(&one, MESSAGE_NUMBERS)].as.numbers.first;
    second = two.heard[heard(&two, MESSAGE_NUMBERS)].as.numbers.first;
    report(fixture, &one, EVENT_BLOCK, first, NULL);
    assert_int_equal(incidents_of(fixture, first), 1);
    report(fixture, &two, EVENT_BLOCK, first, NULL); /* would stand in for the other's */
    report(fixture, &two, EVENT_BLOCK, first + 1, NULL);
    report(fixture, &two, EVENT_BLOCK, second + 5000, NULL);
    report(fixture, &two, EVENT_BLOCK, 0, NULL);
    assert_int_equal(incidents_of(fixture, first), 1);
    assert_int_equal(incidents_of(fixture, first + 1), 0);
    assert_int_equal(incidents_of(fixture, second + 5000), 0);
    assert_int_equal(incidents_of(fixture, 0), 0);
    report(fixture, &two, EVENT_BLOCK, second + REGISTRY_LEASE - 1, NULL);
    assert_int_equal(incidents_of(fixture, second + REGISTRY_LEASE - 1), 1);
    /* What happened is in the log all the same. */
    assert_int_equal(fixture->registry->events[EVENT_BLOCK], blocks + 6);
    link_free(one.link);
    link_free(two.link);
    stop(fixture);
    start(fixture);
    join(fixture, &one, 0);
    report(fixture, &one, EVENT_BLOCK, first, NULL); /* taken */
    assert_int_equal(incidents_of(fixture, first), 1);
    report(fixture, &one, EVENT_BLOCK, first + 1, NULL); /* waited while there was no registry */
    assert_int_equal(incidents_of(fixture, first + 1), 1);
    link_free(one.link);
}

/* --- learned links --- */

static struct message_learned make_learned(unsigned url, enum learned_kind kind, int64_t since)
{
    struct message_learned message;

    memset(&message, 0, sizeof(message));
    message.link.kind = kind;
    message.link.since = since;
    message.link.until = since / 1000 + 1000000;
    memcpy(message.link.url_sha256, &url, sizeof(url));
    snprintf(message.link.scope, sizeof(message.link.scope), "clinic");
    snprintf(message.link.service, sizeof(message.link.service), "zoom");
    return message;
}

static void say_learned(struct fixture *fixture, struct worker *worker, unsigned url,
                        enum learned_kind kind, int64_t since)
{
    struct message_learned message = make_learned(url, kind, since);

    assert_int_equal(link_send(worker->link, MESSAGE_LEARNED, &message, sizeof(message), -1), 0);
    turn(fixture);
}

static void malformed_link_closes_the_link(void **state)
{
    struct fixture *fixture = *state;

    for (unsigned i = 0; i < 6; i++) {
        struct message_learned bad = make_learned(1, LEARNED_TEXT, registry_now());
        struct worker worker;
        if (i == 1)
            memset(&bad.link.whole_host, 2, 1);
        if (i == 2)
            memset(&bad.link.kind, 0xff, sizeof(bad.link.kind));
        if (i == 3)
            memset(bad.link.service, 'a', sizeof(bad.link.service));
        if (i == 4)
            snprintf(bad.link.scope, sizeof(bad.link.scope), "elsewhere");
        if (i == 5)
            bad.link.since = -1;
        join(fixture, &worker, i);
        assert_int_equal(link_send(worker.link, MESSAGE_LEARNED, &bad, sizeof(bad), -1), 0);
        turn(fixture);
        assert_int_equal(worker.closed, i != 0);
        if (!worker.closed)
            link_free(worker.link);
        turn(fixture);
    }
}

static int64_t learned_records(struct fixture *fixture)
{
    return (int64_t)fixture->registry->events[EVENT_LEARNED];
}

/* The echo of what one worker saw typed is explained, on whichever worker it comes back. */
static void typed_link_is_told_to_every_worker(void **state)
{
    struct fixture *fixture = *state;
    struct worker one, two;
    int64_t now = registry_now() - 10;
    size_t at;

    join(fixture, &one, 0);
    join(fixture, &two, 1);
    say_learned(fixture, &one, 1, LEARNED_TYPED, now);
    at = heard(&two, MESSAGE_LEARNED);
    assert_int_equal(two.heard[at].as.learned.link.kind, LEARNED_TYPED);
    assert_in_range(two.heard[at].as.learned.link.until, now / 1000, now / 1000 + 61);
    at = two.count;
    say_learned(fixture, &two, 1, LEARNED_TEXT, now + 5);
    assert_int_equal(two.count, at);
    assert_int_equal(learned_records(fixture), 0);
    /* The same with the news in the other order: all agree in the end. */
    say_learned(fixture, &two, 2, LEARNED_TEXT, now + 5);
    say_learned(fixture, &one, 2, LEARNED_TYPED, now);
    assert_int_equal(two.heard[two.count - 1].as.learned.link.kind, LEARNED_TYPED);
    assert_int_equal(one.heard[one.count - 1].as.learned.link.kind, LEARNED_TYPED);
    /* What came before it was typed, and a code at any time, is the patient's. */
    say_learned(fixture, &one, 3, LEARNED_TYPED, now);
    say_learned(fixture, &two, 3, LEARNED_TEXT, now - 5);
    say_learned(fixture, &two, 1, LEARNED_CODE, now + 5);
    assert_int_equal(one.heard[one.count - 2].as.learned.link.kind, LEARNED_TEXT);
    assert_int_equal(one.heard[one.count - 1].as.learned.link.kind, LEARNED_CODE);
    assert_int_equal(learned_records(fixture), 3);
    link_free(one.link);
    link_free(two.link);
    turn(fixture);
}

/* Somebody floods one chat: it is recorded, once a minute, and the other chat keeps its links. */
static void flooded_chat_is_recorded(void **state)
{
    struct fixture *fixture = *state;
    int64_t now = registry_now();
    struct message_learned message = make_learned(1, LEARNED_TEXT, now);
    uint64_t errors = fixture->registry->events[EVENT_ERROR];

    assert_true(registry_learn(fixture->registry, &message));
    for (unsigned i = 2; i < LEARNED_MAX + 50; i++) {
        message = make_learned(i, LEARNED_TEXT, now);
        snprintf(message.link.service, sizeof(message.link.service), "flooded");
        assert_true(registry_learn(fixture->registry, &message));
    }
    assert_int_equal(fixture->registry->events[EVENT_ERROR], errors + 1);
    message = make_learned(1, LEARNED_TEXT, now);
    assert_true(learned_links_has(fixture->registry->learned, &message.link));
    message = make_learned(2, LEARNED_TEXT, now);
    assert_false(learned_links_has(fixture->registry->learned, &message.link));
}

/* --- consultations --- */

static void consultation_ends_after_linger(void **state)
{
    struct fixture *fixture = *state;
    struct worker worker;
    size_t told;
    json_t *reply;

    fixture->configuration.policy.linger = 1200;
    join(fixture, &worker, 0);
    sign(fixture, &worker, "room:診察室1");
    wait_ms(fixture, 600);
    told = worker.count;
    sign(fixture, &worker, "room:診察室1"); /* it goes on from here */
    assert_int_equal(worker.count, told + 1);
    wait_ms(fixture, 800);
    reply = ask_well(fixture, "{\"command\":\"status\"}");
    assert_int_equal(count_of(reply, "consultations"), 1);
    assert_string_equal(
        text_of(json_array_get(json_object_get(reply, "consultations"), 0), "scope"),
        "room:診察室1");
    json_decref(reply);
    wait_ms(fixture, 800);
    assert_int_equal(worker.heard[worker.count - 1].type, MESSAGE_CONSULTATION);
    assert_int_equal(worker.heard[worker.count - 1].as.consultation.until, 0);
    reply = ask_well(fixture, "{\"command\":\"status\"}");
    assert_int_equal(count_of(reply, "consultations"), 0);
    assert_int_equal(number_of(json_object_get(reply, "events"), "consultation-on"), 1);
    assert_int_equal(number_of(json_object_get(reply, "events"), "consultation-off"), 1);
    json_decref(reply);
    link_free(worker.link);
}

/* Signs come with every flow: the workers and the disk must not. */
static void signs_are_not_repeated(void **state)
{
    struct fixture *fixture = *state;
    struct worker worker;

    join(fixture, &worker, 0);
    for (int i = 0; i < 50; i++)
        sign(fixture, &worker, "clinic");
    assert_in_range(worker.count, 3, 5);
    assert_int_equal(fixture->registry->scope_count, 1);
    link_free(worker.link);
}

static void too_many_scopes_mean_every_scope(void **state)
{
    struct fixture *fixture = *state;
    struct registry *registry = fixture->registry;
    struct message_sign message;
    const char *service;

    memset(&message, 0, sizeof(message));
    snprintf(message.service, sizeof(message.service), "zoom");
    for (int i = 0; i < CONSULTATION_SCOPES + 50; i++) {
        snprintf(message.scope, sizeof(message.scope), "client:10.0.%d.%d", i / 256, i % 256);
        assert_true(registry_sign(registry, &message));
    }
    assert_int_equal(registry->scope_count, CONSULTATION_SCOPES + 1);
    assert_true(registry_is_on(registry, "client:192.0.2.99", &service));
}

static void state_survives_a_restart(void **state)
{
    struct fixture *fixture = *state;
    struct worker worker;
    json_t *reply;

    join(fixture, &worker, 0);
    sign(fixture, &worker, "clinic");
    json_decref(ask_well(fixture, "{\"command\":\"release\",\"what\":\"a.example\",\"seconds\":60,"
                                  "\"reason\":\"r\",\"by\":\"b\"}"));
    json_decref(ask_well(fixture, "{\"command\":\"release\",\"what\":\"b.example\",\"seconds\":1,"
                                  "\"reason\":\"r\",\"by\":\"b\"}"));
    link_free(worker.link);
    stop(fixture);
    usleep(1100000);
    start(fixture);
    join(fixture, &worker, 0);
    assert_string_equal(worker.heard[heard(&worker, MESSAGE_CONSULTATION)].as.consultation.scope,
                        "clinic");
    assert_string_equal(worker.heard[heard(&worker, MESSAGE_RELEASE)].as.release.host, "a.example");
    assert_int_equal(worker.count, 4);
    assert_true(worker.heard[heard(&worker, MESSAGE_NUMBERS)].as.numbers.first > REGISTRY_LEASE);
    reply = ask_well(fixture, "{\"command\":\"status\"}"); /* the other ran out meanwhile */
    assert_int_equal(number_of(json_object_get(reply, "events"), "release-end"), 1);
    json_decref(reply);
    link_free(worker.link);
}

/* --- the clinic's own meetings --- */

static void learn(struct fixture *fixture, struct worker *worker, enum learned_kind kind,
                  const char *scope, int64_t until)
{
    struct message_learned message;

    memset(&message, 0, sizeof(message));
    message.link.kind = kind;
    message.link.since = registry_now();
    message.link.until = until;
    snprintf(message.link.scope, sizeof(message.link.scope), "%s", scope);
    snprintf(message.link.service, sizeof(message.link.service), "zoom");
    message.link.url_sha256[0] = 7;
    assert_int_equal(link_send(worker->link, MESSAGE_LEARNED, &message, sizeof(message), -1), 0);
    turn(fixture);
}

static const struct learned_link *find_own(struct fixture *fixture)
{
    static const uint8_t digest[32] = {7}, none[32];

    return learned_links_find(fixture->registry->learned, MEETING_SCOPE, digest, none,
                              LEARNED_OF_URL, registry_now() / 1000);
}

static void own_meeting_survives_a_restart(void **state)
{
    struct fixture *fixture = *state;
    int64_t now = registry_now() / 1000;
    struct worker worker;

    fixture->configuration.policy.learned_for = 1000;
    fixture->configuration.policy.own_meetings_for = 86400000;
    join(fixture, &worker, 0);
    learn(fixture, &worker, LEARNED_OWN, MEETING_SCOPE, now + 3600);
    assert_non_null(find_own(fixture));
    assert_int_equal(find_own(fixture)->until, now + 3600);
    /* longer than it may be */
    learn(fixture, &worker, LEARNED_OWN, MEETING_SCOPE, now + 86400 * 30);
    assert_in_range(find_own(fixture)->until, now + 86400, now + 86410);
    link_free(worker.link);
    stop(fixture);
    start(fixture);
    join(fixture, &worker, 0);
    heard(&worker, MESSAGE_LEARNED);
    assert_non_null(find_own(fixture));
    assert_int_equal(find_own(fixture)->kind, LEARNED_OWN);
    link_free(worker.link);
}

/* Nobody's chat may put a link among the clinic's own meetings, nor the other way round. */
static void own_meetings_have_their_scope(void **state)
{
    struct fixture *fixture = *state;
    int64_t until = registry_now() / 1000 + 3600;
    struct worker worker;

    fixture->configuration.policy.learned_for = 86400000;
    fixture->configuration.policy.own_meetings_for = 86400000;
    join(fixture, &worker, 0);
    learn(fixture, &worker, LEARNED_OWN, "clinic", until);
    assert_true(worker.closed);
    join(fixture, &worker, 0);
    learn(fixture, &worker, LEARNED_TEXT, MEETING_SCOPE, until);
    assert_true(worker.closed);
    assert_null(find_own(fixture));
}

/* --- flows --- */

static void flows_are_gathered(void **state)
{
    struct fixture *fixture = *state;
    struct message_flow flow;
    struct worker one, two;
    json_t *reply;

    reply = ask_well(fixture, "{\"command\":\"flows\"}"); /* nobody to wait for */
    assert_int_equal(count_of(reply, "flows"), 0);
    json_decref(reply);
    join(fixture, &one, 0);
    join(fixture, &two, 1);
    say(fixture, "{\"command\":\"flows\"}\n", 20);
    memset(&flow, 0, sizeof(flow));
    flow.id = one.heard[heard(&one, MESSAGE_FLOWS)].as.flows.id;
    flow.up = 5;
    snprintf(flow.host, sizeof(flow.host), "a.example");
    snprintf(flow.state, sizeof(flow.state), "\xff");
    link_send(one.link, MESSAGE_FLOW, &flow, sizeof(flow), -1);
    link_send(one.link, MESSAGE_FLOWS_END, &(struct message_flows){flow.id},
              sizeof(struct message_flows), -1);
    turn(fixture);
    assert_null(hear(fixture)); /* the other has not answered yet */
    link_send(two.link, MESSAGE_FLOWS_END, &(struct message_flows){flow.id},
              sizeof(struct message_flows), -1);
    reply = hear(fixture);
    assert_int_equal(count_of(reply, "flows"), 1);
    json_t *row = json_array_get(json_object_get(reply, "flows"), 0);
    assert_string_equal(text_of(row, "host"), "a.example");
    assert_string_equal(text_of(row, "state"), "\xef\xbf\xbd");
    assert_int_equal(number_of(row, "up"), 5);
    json_decref(reply);
    /* Late words about an answered question do no harm. */
    link_send(one.link, MESSAGE_FLOW, &flow, sizeof(flow), -1);
    link_send(one.link, MESSAGE_FLOWS_END, &(struct message_flows){flow.id},
              sizeof(struct message_flows), -1);
    turn(fixture);
    assert_false(one.closed);
    say(fixture, "{\"command\":\"flows\"}\n", 20);
    wait_ms(fixture, 2200);
    reply = hear(fixture);
    assert_int_equal(number_of(reply, "silent_workers"), 2);
    json_decref(reply);
    link_free(one.link);
    link_free(two.link);
}

/* --- releases, and a store that fails --- */

static void release_expires_on_time(void **state)
{
    struct fixture *fixture = *state;
    struct worker worker;
    json_t *reply;
    int64_t id;

    join(fixture, &worker, 0);
    reply = ask_well(fixture, "{\"command\":\"release\",\"what\":\"a.example\",\"seconds\":1,"
                              "\"reason\":\"r\",\"by\":\"b\"}");
    id = number_of(json_object_get(reply, "release"), "id");
    json_decref(reply);
    wait_ms(fixture, 1200);
    assert_int_equal(worker.heard[heard(&worker, MESSAGE_UNRELEASE)].as.unrelease.id, id);
    reply = ask_well(fixture, "{\"command\":\"releases\"}");
    assert_int_equal(count_of(reply, "releases"), 0);
    json_decref(reply);
    link_free(worker.link);
}

static void release_ends_by_hand(void **state)
{
    struct fixture *fixture = *state;
    struct worker worker;
    json_t *reply;
    char request[80];
    int64_t id;

    join(fixture, &worker, 0);
    reply = ask_well(fixture, "{\"command\":\"release\",\"what\":\"a.example\",\"seconds\":60,"
                              "\"reason\":\"r\",\"by\":\"b\"}");
    id = number_of(json_object_get(reply, "release"), "id");
    json_decref(reply);
    snprintf(request, sizeof(request), "{\"command\":\"unrelease\",\"id\":%d}", (int)id);
    json_decref(ask_well(fixture, request));
    turn(fixture);
    assert_int_equal(worker.heard[heard(&worker, MESSAGE_UNRELEASE)].as.unrelease.id, id);
    ask_badly(fixture, request, "no release");
    link_free(worker.link);
}

/* Several in one message; behind one that is malformed the link ends, and what was before counts.
 */
static void records_come_together(void **state)
{
    struct fixture *fixture = *state;
    struct worker worker;
    struct record record;
    uint8_t packed[MESSAGE_MAX];
    size_t size = 0;

    join(fixture, &worker, 0);
    record_init(&record, EVENT_ALLOW);
    for (unsigned i = 0; i < 5; i++) {
        record_set_number(&record, RECORD_MS, i);
        size += record_pack(&record, packed + size, sizeof(packed) - size);
    }
    assert_int_equal(link_send(worker.link, MESSAGE_RECORD, packed, size, -1), 0);
    turn(fixture);
    assert_false(worker.closed);
    json_t *reply = ask_well(fixture, "{\"command\":\"status\"}");
    assert_int_equal(number_of(json_object_get(reply, "events"), "allow"), 5);
    json_decref(reply);
    packed[size] = 0xff;
    assert_int_equal(link_send(worker.link, MESSAGE_RECORD, packed, size + 1, -1), 0);
    turn(fixture);
    assert_true(worker.closed);
    reply = ask_well(fixture, "{\"command\":\"status\"}");
    assert_int_equal(number_of(json_object_get(reply, "events"), "allow"), 10);
    json_decref(reply);
}

static void nothing_is_released_that_cannot_be_kept(void **state)
{
    struct fixture *fixture = *state;
    struct worker worker;
    json_t *reply;
    char name[128];

    stop(fixture);
    FILE *file = fopen(fixture->path, "w");
    fputs("this is not a database at all, but some text that is long enough to be read", file);
    fclose(file);
    snprintf(name, sizeof(name), "%s-wal", fixture->path);
    unlink(name);
    start(fixture);
    join(fixture, &worker, 0);
    ask_badly(fixture,
              "{\"command\":\"release\",\"what\":\"a.example\",\"seconds\":60,"
              "\"reason\":\"r\",\"by\":\"b\"}",
              "nothing is released");
    sign(fixture, &worker, "clinic");
    report(fixture, &worker, EVENT_BLOCK, 1, NULL);
    heard(&worker, MESSAGE_CONSULTATION);
    assert_int_equal(worker.heard[heard(&worker, MESSAGE_NUMBERS)].as.numbers.count,
                     REGISTRY_LEASE);
    reply = ask_well(fixture, "{\"command\":\"status\"}");
    assert_true(json_is_false(json_object_get(json_object_get(reply, "store"), "ok")));
    assert_int_equal(number_of(json_object_get(reply, "store"), "waiting"), 1);
    assert_int_equal(number_of(json_object_get(reply, "events"), "error"), 1);
    json_decref(reply);
    /* The file is moved away: what was only in memory is on the disk soon after. */
    unlink(fixture->path);
    wait_ms(fixture, 3300);
    link_free(worker.link);
    stop(fixture);
    start(fixture);
    join(fixture, &worker, 0);
    heard(&worker, MESSAGE_CONSULTATION);
    assert_true(worker.heard[heard(&worker, MESSAGE_NUMBERS)].as.numbers.first > REGISTRY_LEASE);
    link_free(worker.link);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(worker_hears_the_state),         TEST(malformed_message_closes_the_link),
        TEST(worker_speaks_for_itself),       TEST(numbers_are_ones_own),
        TEST(malformed_link_closes_the_link), TEST(typed_link_is_told_to_every_worker),
        TEST(flooded_chat_is_recorded),       TEST(consultation_ends_after_linger),
        TEST(signs_are_not_repeated),         TEST(too_many_scopes_mean_every_scope),
        TEST(state_survives_a_restart),       TEST(own_meeting_survives_a_restart),
        TEST(own_meetings_have_their_scope),  TEST(flows_are_gathered),
        TEST(release_expires_on_time),        TEST(release_ends_by_hand),
        TEST(records_come_together),          TEST(nothing_is_released_that_cannot_be_kept),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
