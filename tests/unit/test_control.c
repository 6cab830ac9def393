/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The control socket and the registry behind it: requests through a socketpair, a worker played at
 * the other end of a link, and what is on the disk after a restart.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <event2/event.h>

#include "filters/url.h"
#include "gateway/control_commands.h"
#include "gateway/digest.h"

#define HEARD 64

/* What the worker at the other end was told. */
struct worker {
    struct link *link;
    struct {
        enum message_type type;
        union {
            struct message_consultation consultation;
            struct message_release release;
            struct message_unrelease unrelease;
            struct message_numbers numbers;
            struct message_flows flows;
        } as;
    } heard[HEARD];
    size_t count;
    bool closed;
};

struct fixture {
    char folder[64], path[96];
    struct event_base *base;
    struct configuration configuration;
    struct service service;
    struct registry *registry;
    int client;
};

static void on_request(void *context, uint64_t request, uid_t uid, const json_t *object)
{
    struct registry *registry = context;
    json_t *reply = command_run(registry, request, uid, object);

    if (reply != NULL)
        control_reply(registry->control, request, reply);
}

static void add_host(struct hostset *set, const char *pattern, int tag, unsigned line)
{
    assert_null(hostset_add(set, span_of(pattern), tag, (struct rule){"/etc/test.conf", line}));
}

static void make_policy(struct fixture *fixture)
{
    static char zoom[] = "zoom";
    struct policy *policy = &fixture->configuration.policy;

    policy->linger = 600000;
    policy->clinic = hostset_new();
    policy->clinic_deny = hostset_new();
    policy->denied = hostset_new();
    policy->system = hostset_new();
    policy->services = &fixture->service;
    policy->service_count = 1;
    fixture->service.name = fixture->service.title = zoom;
    fixture->service.hosts = hostset_new();
    fixture->service.call = hostset_new();
    fixture->service.chat = hostset_new();
    add_host(policy->clinic, "ehr.example", TREAT_INSPECT, 5);
    add_host(policy->denied, "bit.ly", 0, 6);
    add_host(fixture->service.hosts, "media.example", TREAT_SPLICE, 7);
}

static void start(struct fixture *fixture)
{
    int pair[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    fcntl(pair[0], F_SETFL, O_NONBLOCK);
    fixture->base = event_base_new();
    fixture->registry = registry_new(fixture->base, &fixture->configuration, fixture->path);
    fixture->registry->control = control_new(fixture->base, on_request, fixture->registry);
    registry_look(fixture->registry);
    control_add_client(fixture->registry->control, pair[1]);
    fixture->client = pair[0];
}

static void stop(struct fixture *fixture)
{
    registry_flush(fixture->registry);
    registry_free(fixture->registry);
    event_base_free(fixture->base);
    close(fixture->client);
}

static int set_up(void **state)
{
    static struct fixture fixture;

    memset(&fixture, 0, sizeof(fixture));
    snprintf(fixture.folder, sizeof(fixture.folder), "/tmp/test_control.XXXXXX");
    if (mkdtemp(fixture.folder) == NULL)
        return -1;
    snprintf(fixture.path, sizeof(fixture.path), "%s/registry.db", fixture.folder);
    make_policy(&fixture);
    start(&fixture);
    *state = &fixture;
    return 0;
}

static int tear_down(void **state)
{
    static const char *const endings[] = {"", "-wal", "-shm"};
    struct fixture *fixture = *state;
    struct policy *policy = &fixture->configuration.policy;
    char name[128];

    stop(fixture);
    hostset_free(policy->clinic);
    hostset_free(policy->clinic_deny);
    hostset_free(policy->denied);
    hostset_free(policy->system);
    hostset_free(fixture->service.hosts);
    hostset_free(fixture->service.call);
    hostset_free(fixture->service.chat);
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s%s", fixture->path, endings[i]);
        unlink(name);
    }
    return rmdir(fixture->folder);
}

/* --- asking --- */

static void turn(struct fixture *fixture)
{
    for (int i = 0; i < 10; i++)
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
}

/* Lets `ms` pass in the loop. */
static void wait_ms(struct fixture *fixture, int64_t ms)
{
    int64_t end = registry_now() + ms;

    while (registry_now() < end) {
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        usleep(5000);
    }
}

static void say(struct fixture *fixture, const char *bytes, size_t size)
{
    while (size > 0) {
        ssize_t sent = send(fixture->client, bytes, size, MSG_NOSIGNAL);

        assert_true(sent > 0 || errno == EAGAIN);
        if (sent > 0) {
            bytes += sent;
            size -= (size_t)sent;
        }
        turn(fixture);
    }
}

/* The next answer; NULL when there is none (yet). */
static json_t *hear(struct fixture *fixture)
{
    static char line[4 << 20];
    size_t used = 0;

    for (int i = 0; i < 1000; i++) {
        ssize_t got = recv(fixture->client, line + used, 1, 0);

        if (got == 1 && line[used++] == '\n')
            break;
        if (got != 1) {
            event_base_loop(fixture->base, EVLOOP_NONBLOCK);
            continue;
        }
        i = 0;
        assert_true(used < sizeof(line));
    }
    if (used == 0)
        return NULL;
    json_t *reply = json_loadb(line, used, 0, NULL);
    assert_non_null(reply);
    return reply;
}

static json_t *ask(struct fixture *fixture, const char *request)
{
    json_t *reply;

    say(fixture, request, strlen(request));
    say(fixture, "\n", 1);
    reply = hear(fixture);
    assert_non_null(reply);
    return reply;
}

static json_t *ask_well(struct fixture *fixture, const char *request)
{
    json_t *reply = ask(fixture, request);

    if (!json_is_true(json_object_get(reply, "ok")))
        print_error("%s\n", json_string_value(json_object_get(reply, "error")));
    assert_true(json_is_true(json_object_get(reply, "ok")));
    return reply;
}

static void ask_badly(struct fixture *fixture, const char *request, const char *error)
{
    json_t *reply = ask(fixture, request);

    assert_true(json_is_false(json_object_get(reply, "ok")));
    if (strstr(json_string_value(json_object_get(reply, "error")), error) == NULL)
        fail_msg("%s: %s", request, json_string_value(json_object_get(reply, "error")));
    json_decref(reply);
}

static int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static size_t count_of(const json_t *object, const char *key)
{
    return json_array_size(json_object_get(object, key));
}

/* --- the worker --- */

static void on_worker_message(void *context, struct link *link, enum message_type type,
                              const void *payload, size_t size, int fd)
{
    struct worker *worker = context;

    (void)link;
    assert_int_equal(fd, -1);
    if (type == MESSAGE_NONE) {
        worker->closed = true;
        worker->link = NULL;
        return;
    }
    assert_true(worker->count < HEARD);
    worker->heard[worker->count].type = type;
    memcpy(&worker->heard[worker->count].as, payload, size);
    worker->count++;
}

static void join(struct fixture *fixture, struct worker *worker, unsigned slot)
{
    int pair[2];

    memset(worker, 0, sizeof(*worker));
    assert_int_equal(link_pair(pair), 0);
    worker->link = link_new(fixture->base, pair[0], on_worker_message, worker);
    registry_add_worker(fixture->registry, slot, pair[1]);
    turn(fixture);
}

/* The index of the first message of that type, which must be there. */
static size_t heard(const struct worker *worker, enum message_type type)
{
    for (size_t i = 0; i < worker->count; i++)
        if (worker->heard[i].type == type)
            return i;
    fail_msg("the worker did not hear %s", message_name(type));
    return 0;
}

static void sign(struct fixture *fixture, struct worker *worker, const char *scope)
{
    struct message_sign message;

    memset(&message, 0, sizeof(message));
    snprintf(message.scope, sizeof(message.scope), "%s", scope);
    snprintf(message.service, sizeof(message.service), "zoom");
    snprintf(message.client, sizeof(message.client), "192.168.10.21");
    assert_int_equal(link_send(worker->link, MESSAGE_SIGN, &message, sizeof(message), -1), 0);
    turn(fixture);
}

static void report(struct fixture *fixture, struct worker *worker, enum record_event event,
                   uint64_t number, const char *url)
{
    uint8_t packed[MESSAGE_MAX], digest[DIGEST_SIZE];
    char text[2 * DIGEST_SIZE + 1];
    struct record record;

    record_init(&record, event);
    record_set_number(&record, RECORD_INCIDENT, number);
    record_set_text(&record, RECORD_REASON, "unverified-destination");
    record_set_text(&record, RECORD_HOST, "unknown.example");
    if (url != NULL) {
        digest_sha256(span_of(url), digest);
        digest_hex(digest, sizeof(digest), text);
        record_set_text(&record, RECORD_URL_SHA256, text);
    }
    size_t size = record_pack(&record, packed, sizeof(packed));
    assert_int_equal(link_send(worker->link, MESSAGE_RECORD, packed, size, -1), 0);
    turn(fixture);
}

/* --- lines --- */

static void bad_requests_get_one_answer(void **state)
{
    static const struct {
        const char *line, *error;
    } rows[] = {
        {"", "not JSON"},
        {"garbage", "not JSON"},
        {"[1, 2]", "not a JSON object"},
        {"\"text\"", "not JSON"},
        {"{}", "no \"command\""},
        {"{\"command\": 5}", "no \"command\""},
        {"{\"command\": \"x\"}", "no such command"},
        {"{\"command\": \"status\", \"command\": \"flows\"}", "duplicate"},
        {"{\"command\": \"status\"} x", "not JSON"},
        {"{\"command\": \"\xff\"}", "not JSON"},
        {"{\"command\": \"incidents\", \"limit\": 0}", "from 1 to 1000"},
        {"{\"command\": \"incidents\", \"limit\": \"9\"}", "whole number"},
        {"{\"command\": \"incidents\", \"since\": -1}", "from 0"},
        {"{\"command\": \"reload\"}", "no parent"},
    };

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ask_badly(*state, rows[i].line, rows[i].error);
}

static void pipelined_and_split_requests(void **state)
{
    static const char two[] = "{\"command\":\"status\"}\n{\"command\":\"releases\"}\r\n";
    struct fixture *fixture = *state;
    json_t *reply;

    say(fixture, two, sizeof(two) - 1);
    reply = hear(fixture);
    assert_string_equal(text_of(reply, "mode"), "enforce");
    json_decref(reply);
    reply = hear(fixture);
    assert_non_null(json_object_get(reply, "releases"));
    json_decref(reply);
    for (size_t i = 0; i < sizeof(two) - 1; i++)
        say(fixture, two + i, 1);
    for (int i = 0; i < 2; i++) {
        reply = hear(fixture);
        assert_true(json_is_true(json_object_get(reply, "ok")));
        json_decref(reply);
    }
    assert_null(hear(fixture));
}

static bool is_closed(struct fixture *fixture)
{
    char byte;

    turn(fixture);
    return recv(fixture->client, &byte, 1, 0) == 0;
}

static void long_line_is_refused(void **state)
{
    static char line[CONTROL_LINE + 1];
    struct fixture *fixture = *state;
    json_t *reply;

    /* The longest that is taken: it is only bad JSON. */
    memset(line, 'x', sizeof(line));
    say(fixture, line, CONTROL_LINE);
    ask_badly(fixture, "", "not JSON");
    /* One more, and no end in sight. */
    say(fixture, line, sizeof(line));
    reply = hear(fixture);
    assert_non_null(strstr(text_of(reply, "error"), "longer than"));
    json_decref(reply);
    assert_true(is_closed(fixture));
}

static void half_closed_client_is_answered(void **state)
{
    static const char three[] = "{\"command\":\"status\"}\n{\"command\":\"status\"}\nrest";
    struct fixture *fixture = *state;

    assert_int_equal(send(fixture->client, three, sizeof(three) - 1, 0), sizeof(three) - 1);
    shutdown(fixture->client, SHUT_WR);
    for (int i = 0; i < 2; i++) {
        json_t *reply = hear(fixture);

        assert_non_null(reply);
        json_decref(reply);
    }
    assert_true(is_closed(fixture));
    assert_true(control_is_idle(fixture->registry->control));
}

static void clients_are_bounded(void **state)
{
    struct fixture *fixture = *state;
    int pairs[CONTROL_CLIENTS + 3][2];
    size_t count = CONTROL_CLIENTS + 3;

    for (size_t i = 0; i < count; i++) {
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pairs[i]), 0);
        control_add_client(fixture->registry->control, pairs[i][1]);
    }
    char text[100] = "";
    assert_true(recv(pairs[count - 1][0], text, sizeof(text) - 1, MSG_DONTWAIT) > 0);
    assert_non_null(strstr(text, "too many clients"));
    for (size_t i = 0; i < count; i++)
        close(pairs[i][0]);
    turn(fixture);
    json_decref(ask_well(fixture, "{\"command\":\"status\"}")); /* the first is still served */
}

/* A client that asks and asks and never reads must not make the registry's memory grow. */
static void deaf_client_is_not_read(void **state)
{
    static const char request[] = "{\"command\":\"status\"}\n";
    struct fixture *fixture = *state;
    size_t sent = 0;

    for (int i = 0; i < 200000; i++) {
        ssize_t got = send(fixture->client, request, sizeof(request) - 1, MSG_NOSIGNAL);

        if (got < 0) {
            turn(fixture);
            got = send(fixture->client, request, sizeof(request) - 1, MSG_NOSIGNAL);
            if (got < 0)
                break;
        }
        sent += (size_t)got;
    }
    assert_true(sent < 4u << 20); /* it was the socket that was full, not we who read on */
}

static void text_from_anywhere(void **state)
{
    static const char bytes[] = "a\0b\xff\xe8\xa8\xba\xe8";
    json_t *text = control_text((struct span){bytes, sizeof(bytes) - 1});

    (void)state;
    assert_string_equal(json_string_value(text), "a\xef\xbf\xbd"
                                                 "b\xef\xbf\xbd\xe8\xa8\xba\xef\xbf\xbd");
    json_decref(text);
    text = control_text((struct span){NULL, 0});
    assert_string_equal(json_string_value(text), "");
    json_decref(text);
}

/* --- the socket's file --- */

static void socket_file(void **state)
{
    struct fixture *fixture = *state;
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat status;
    char path[100], error[256], longer[200];
    int first, second, client;

    snprintf(path, sizeof(path), "%s/run/control", fixture->folder);
    first = control_open_socket(path, "", error, sizeof(error));
    assert_true(first >= 0);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0600);
    /* A second one takes the place of the first, stale or not. */
    second = control_open_socket(path, "root", error, sizeof(error));
    if (geteuid() == 0) {
        assert_true(second >= 0);
        assert_int_equal(stat(path, &status), 0);
        assert_int_equal(status.st_mode & 07777, 0660);
        client = socket(AF_UNIX, SOCK_STREAM, 0);
        memcpy(address.sun_path, path, strlen(path) + 1);
        assert_int_equal(connect(client, (struct sockaddr *)&address, sizeof(address)), 0);
        int accepted = accept(second, NULL, NULL);
        assert_true(accepted >= 0);
        close(accepted);
        close(client);
        close(second);
    }
    close(first);
    assert_int_equal(control_open_socket(path, "no-such-group-here", error, sizeof(error)), -1);
    assert_non_null(strstr(error, "no group"));
    unlink(path);
    close(open(path, O_CREAT | O_WRONLY, 0600));
    assert_int_equal(control_open_socket(path, "", error, sizeof(error)), -1);
    assert_non_null(strstr(error, "not a socket"));
    unlink(path);
    memset(longer, 'a', sizeof(longer) - 1);
    longer[0] = '/';
    longer[sizeof(longer) - 1] = '\0';
    assert_int_equal(control_open_socket(longer, "", error, sizeof(error)), -1);
    assert_non_null(strstr(error, "too long"));
    snprintf(path, sizeof(path), "%s/run", fixture->folder);
    assert_int_equal(rmdir(path), 0); /* nothing else is left behind */
}

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
        link_send(worker.link, MESSAGE_SIGN, &bad[i], sizeof(bad[i]), -1);
        turn(fixture);
        assert_true(worker.closed);
    }
    join(fixture, &worker, 0);
    memset(&flow, 'a', sizeof(flow));
    link_send(worker.link, MESSAGE_FLOW, &flow, sizeof(flow), -1);
    turn(fixture);
    assert_true(worker.closed);
    join(fixture, &worker, 0);
    link_send(worker.link, MESSAGE_RECORD, "nonsense", 8, -1);
    turn(fixture);
    assert_true(worker.closed);
    join(fixture, &worker, 0); /* not for a worker to say */
    memset(&release, 0, sizeof(release));
    link_send(worker.link, MESSAGE_RELEASE, &release, sizeof(release), -1);
    turn(fixture);
    assert_true(worker.closed);
    assert_true(TAILQ_EMPTY(&fixture->registry->workers));
    assert_int_equal(fixture->registry->scope_count, 0);
}

static void consultation_ends_after_linger(void **state)
{
    struct fixture *fixture = *state;
    struct worker worker;
    size_t told;
    json_t *reply;

    fixture->configuration.policy.linger = 300;
    join(fixture, &worker, 0);
    sign(fixture, &worker, "room:診察室1");
    wait_ms(fixture, 150);
    told = worker.count;
    sign(fixture, &worker, "room:診察室1"); /* it goes on from here */
    assert_int_equal(worker.count, told + 1);
    wait_ms(fixture, 200);
    reply = ask_well(fixture, "{\"command\":\"status\"}");
    assert_int_equal(count_of(reply, "consultations"), 1);
    assert_string_equal(
        text_of(json_array_get(json_object_get(reply, "consultations"), 0), "scope"),
        "room:診察室1");
    json_decref(reply);
    wait_ms(fixture, 200);
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

/* --- incidents and releases --- */

static void incident_is_released_by_its_url(void **state)
{
    static const char url[] = "https://unknown.example/present?x=1";
    struct fixture *fixture = *state;
    uint8_t digest[DIGEST_SIZE];
    struct worker worker;
    json_t *reply, *row;
    size_t at;

    join(fixture, &worker, 0);
    report(fixture, &worker, EVENT_BLOCK, 17, url);
    report(fixture, &worker, EVENT_WOULD_BLOCK, 18, NULL);
    report(fixture, &worker, EVENT_ALLOW, 19, NULL); /* no incident, whatever it says */
    reply = ask_well(fixture, "{\"command\":\"incidents\",\"limit\":10}");
    assert_int_equal(count_of(reply, "incidents"), 2);
    row = json_array_get(json_object_get(reply, "incidents"), 1);
    assert_int_equal(number_of(row, "incident"), 17);
    assert_string_equal(text_of(row, "event"), "block");
    assert_string_equal(text_of(row, "host"), "unknown.example");
    json_decref(reply);
    reply = ask_well(fixture, "{\"command\":\"observe\"}");
    assert_int_equal(count_of(reply, "hosts"), 1);
    json_decref(reply);
    reply = ask_well(fixture, "{\"command\":\"release\",\"what\":17,\"seconds\":60,"
                              "\"reason\":\"検査\",\"by\":\"山田\"}");
    row = json_object_get(reply, "release");
    assert_string_equal(text_of(row, "scope"), "url");
    assert_int_equal(number_of(row, "incident"), 17);
    assert_int_equal(number_of(row, "uid"), (int64_t)geteuid());
    json_decref(reply);
    at = heard(&worker, MESSAGE_RELEASE);
    digest_sha256(span_of(url), digest);
    assert_memory_equal(worker.heard[at].as.release.url_sha256, digest, DIGEST_SIZE);
    assert_int_equal(worker.heard[at].as.release.scope, RELEASE_URL);
    /* As text, and one without a URL: then the host. */
    reply = ask_well(fixture, "{\"command\":\"release\",\"what\":\"18\",\"seconds\":60,"
                              "\"reason\":\"r\",\"by\":\"b\"}");
    assert_string_equal(text_of(json_object_get(reply, "release"), "scope"), "host");
    json_decref(reply);
    ask_badly(fixture,
              "{\"command\":\"release\",\"what\":19,\"seconds\":60,\"reason\":\"r\",\"by\":\"b\"}",
              "no incident 19");
    link_free(worker.link);
}

/* The digest must be the very one that a worker makes of the request. */
static void url_is_normalised(void **state)
{
    struct fixture *fixture = *state;
    uint8_t digest[DIGEST_SIZE];
    char text[2 * DIGEST_SIZE + 1], normal[256];
    json_t *reply;

    reply = ask_well(fixture,
                     "{\"command\":\"release\",\"what\":\"HTTPS://Unknown.Example:443/a?b=c#d\","
                     "\"seconds\":60,\"reason\":\"r\",\"by\":\"b\"}");
    size_t size =
        url_normalise(true, SPAN("unknown.example"), 443, SPAN("/a?b=c"), normal, sizeof(normal));
    digest_sha256((struct span){normal, size}, digest);
    digest_hex(digest, sizeof(digest), text);
    assert_string_equal(text_of(json_object_get(reply, "release"), "url-sha256"), text);
    json_decref(reply);
}

static void release_needs_everything(void **state)
{
#define RELEASE(rest) "{\"command\":\"release\"," rest "}"
    static const struct {
        const char *request, *error;
    } rows[] = {
        {RELEASE("\"what\":\"a.example\",\"reason\":\"r\",\"by\":\"b\""), "1 second to 30 days"},
        {RELEASE("\"what\":\"a.example\",\"seconds\":0,\"reason\":\"r\",\"by\":\"b\""), "1 second"},
        {RELEASE("\"what\":\"a.example\",\"seconds\":2592001,\"reason\":\"r\",\"by\":\"b\""),
         "1 second"},
        {RELEASE("\"what\":\"a.example\",\"seconds\":1.5,\"reason\":\"r\",\"by\":\"b\""),
         "1 second"},
        {RELEASE("\"what\":\"a.example\",\"seconds\":60,\"by\":\"b\""), "needs \"reason\""},
        {RELEASE("\"what\":\"a.example\",\"seconds\":60,\"reason\":\"  \",\"by\":\"b\""),
         "needs \"reason\""},
        {RELEASE("\"what\":\"a.example\",\"seconds\":60,\"reason\":\"r\""), "needs \"by\""},
        {RELEASE("\"what\":\"a.example\",\"seconds\":60,\"reason\":\"r\",\"by\":7"),
         "needs \"by\""},
        {RELEASE("\"what\":\"a.example\",\"seconds\":60,\"reason\":\"a\\u001b[2J\",\"by\":\"b\""),
         "control character"},
        {RELEASE("\"seconds\":60,\"reason\":\"r\",\"by\":\"b\""), "needs \"what\""},
        {RELEASE("\"what\":\"a b\",\"seconds\":60,\"reason\":\"r\",\"by\":\"b\""), "neither"},
        {RELEASE("\"what\":\"ftp://a.example/\",\"seconds\":60,\"reason\":\"r\",\"by\":\"b\""),
         "not a URL"},
        {RELEASE("\"what\":-3,\"seconds\":60,\"reason\":\"r\",\"by\":\"b\""), "needs \"what\""},
        {"{\"command\":\"unrelease\",\"id\":1}", "no release 1"},
        {"{\"command\":\"unrelease\",\"id\":\"1\"}", "must be the number"},
    };
    struct fixture *fixture = *state;
    char request[2048], reason[520];

    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        ask_badly(fixture, rows[i].request, rows[i].error);
    memset(reason, 'r', sizeof(reason));
    snprintf(request, sizeof(request),
             RELEASE("\"what\":\"a.example\",\"seconds\":60,\"reason\":\"%.501s\",\"by\":\"b\""),
             reason);
    ask_badly(fixture, request, "longer than 500");
    assert_int_equal(fixture->registry->release_count, 0);
    snprintf(request, sizeof(request),
             RELEASE("\"what\":\"a.example\",\"seconds\":60,\"reason\":\"%.500s\",\"by\":\"b\""),
             reason);
    json_decref(ask_well(fixture, request));
}

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

/* --- explain --- */

static const char *judged(const json_t *reply, const char *when, const char *what, const char *key)
{
    return text_of(json_object_get(json_object_get(reply, when), what), key);
}

static void explain_names_the_rule(void **state)
{
    struct fixture *fixture = *state;
    json_t *reply, *destination;

    reply = ask_well(fixture, "{\"command\":\"explain\",\"url\":\"https://bit.ly/x\","
                              "\"from\":\"192.168.10.21\"}");
    destination = json_object_get(reply, "destination");
    assert_string_equal(text_of(destination, "class"), "denied");
    assert_string_equal(text_of(destination, "rule"), "/etc/test.conf:6");
    assert_string_equal(judged(reply, "now", "request", "verdict"), "block");
    assert_string_equal(judged(reply, "now", "request", "reason"), "denied-destination");
    json_decref(reply);

    reply = ask_well(fixture, "{\"command\":\"explain\",\"url\":\"unknown.example\"}");
    assert_string_equal(judged(reply, "outside_consultation", "request", "verdict"), "pass");
    assert_string_equal(judged(reply, "during_consultation", "request", "verdict"), "block");
    assert_string_equal(judged(reply, "during_consultation", "request", "reason"),
                        "unverified-destination");
    json_decref(reply);

    reply = ask_well(fixture, "{\"command\":\"explain\",\"url\":\"https://media.example/\"}");
    assert_string_equal(judged(reply, "now", "flow", "verdict"), "splice");
    assert_string_equal(text_of(json_object_get(reply, "destination"), "treatment"), "splice");
    json_decref(reply);
}

static void explain_knows_what_is_on(void **state)
{
    static const char request[] = "{\"command\":\"explain\",\"url\":\"http://unknown.example/\","
                                  "\"from\":\"192.168.10.21\"}";
    struct fixture *fixture = *state;
    struct worker worker;
    json_t *reply;

    reply = ask_well(fixture, request);
    assert_true(json_is_false(json_object_get(reply, "consultation")));
    assert_string_equal(judged(reply, "now", "request", "verdict"), "pass");
    json_decref(reply);
    join(fixture, &worker, 0);
    sign(fixture, &worker, "clinic");
    reply = ask_well(fixture, request);
    assert_true(json_is_true(json_object_get(reply, "consultation")));
    assert_string_equal(judged(reply, "now", "request", "reason"), "unverified-destination");
    json_decref(reply);
    json_decref(ask_well(fixture, "{\"command\":\"release\",\"what\":\"unknown.example\","
                                  "\"seconds\":60,\"reason\":\"r\",\"by\":\"b\"}"));
    reply = ask_well(fixture, request);
    assert_string_equal(judged(reply, "now", "request", "reason"), "released");
    json_decref(reply);
    fixture->configuration.policy.scope = SCOPE_CLIENT; /* and nobody is named */
    reply = ask_well(fixture, "{\"command\":\"explain\",\"url\":\"http://unknown.example/\"}");
    assert_string_equal(text_of(reply, "scope"), "");
    assert_true(json_is_false(json_object_get(reply, "consultation")));
    json_decref(reply);
    ask_badly(fixture, "{\"command\":\"explain\",\"url\":\"http://a/\",\"from\":\"nobody\"}",
              "\"from\"");
    ask_badly(fixture, "{\"command\":\"explain\",\"url\":\"gopher://a/\"}", "\"url\"");
    ask_badly(fixture, "{\"command\":\"explain\"}", "\"url\"");
    link_free(worker.link);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(bad_requests_get_one_answer),
        TEST(pipelined_and_split_requests),
        TEST(long_line_is_refused),
        TEST(half_closed_client_is_answered),
        TEST(clients_are_bounded),
        TEST(deaf_client_is_not_read),
        TEST(text_from_anywhere),
        TEST(socket_file),
        TEST(worker_hears_the_state),
        TEST(malformed_message_closes_the_link),
        TEST(consultation_ends_after_linger),
        TEST(signs_are_not_repeated),
        TEST(too_many_scopes_mean_every_scope),
        TEST(state_survives_a_restart),
        TEST(flows_are_gathered),
        TEST(incident_is_released_by_its_url),
        TEST(url_is_normalised),
        TEST(release_needs_everything),
        TEST(release_expires_on_time),
        TEST(release_ends_by_hand),
        TEST(nothing_is_released_that_cannot_be_kept),
        TEST(explain_names_the_rule),
        TEST(explain_knows_what_is_on),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
