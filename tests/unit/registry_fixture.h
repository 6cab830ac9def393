/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A registry without its process, a client of the control socket at the other end of a socketpair,
 * and a worker played at the other end of a link: for the tests of the registry and of its
 * commands.
 */
#ifndef TESTS_UNIT_REGISTRY_FIXTURE_H
#define TESTS_UNIT_REGISTRY_FIXTURE_H

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
#include "tests/unit/packet.h"

#define HEARD 64

/* What the worker at the other end was told. */
struct worker {
    struct link *link;
    int fd; /* the link's, for what a link would not send */
    struct {
        enum message_type type;
        union {
            struct message_consultation consultation;
            struct message_release release;
            struct message_unrelease unrelease;
            struct message_numbers numbers;
            struct message_flows flows;
            struct message_learned learned;
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

static inline void on_request(void *context, uint64_t request, uid_t uid, const json_t *object)
{
    struct registry *registry = context;
    json_t *reply = command_run(registry, request, uid, object);

    if (reply != NULL)
        control_reply(registry->control, request, reply);
}

static inline void add_host(struct hostset *set, const char *pattern, int tag, unsigned line)
{
    assert_null(hostset_add(set, span_of(pattern), tag, (struct rule){"/etc/test.conf", line}));
}

static inline void make_policy(struct fixture *fixture)
{
    static char zoom[] = "zoom";
    struct policy *policy = &fixture->configuration.policy;

    policy->linger = 600000;
    policy->learned_for = 86400000;
    policy->typed_for = 60000;
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

static inline void start(struct fixture *fixture)
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

static inline void stop(struct fixture *fixture)
{
    registry_flush(fixture->registry);
    registry_free(fixture->registry);
    event_base_free(fixture->base);
    close(fixture->client);
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
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

static inline void turn(struct fixture *fixture)
{
    for (int i = 0; i < 10; i++)
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
}

/* Lets `ms` pass in the loop. */
static inline void wait_ms(struct fixture *fixture, int64_t ms)
{
    int64_t end = registry_now() + ms;

    while (registry_now() < end) {
        event_base_loop(fixture->base, EVLOOP_NONBLOCK);
        usleep(5000);
    }
}

static inline void say(struct fixture *fixture, const char *bytes, size_t size)
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
static inline json_t *hear(struct fixture *fixture)
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

static inline json_t *ask(struct fixture *fixture, const char *request)
{
    json_t *reply;

    say(fixture, request, strlen(request));
    say(fixture, "\n", 1);
    reply = hear(fixture);
    assert_non_null(reply);
    return reply;
}

static inline json_t *ask_well(struct fixture *fixture, const char *request)
{
    json_t *reply = ask(fixture, request);

    if (!json_is_true(json_object_get(reply, "ok")))
        print_error("%s\n", json_string_value(json_object_get(reply, "error")));
    assert_true(json_is_true(json_object_get(reply, "ok")));
    return reply;
}

static inline void ask_badly(struct fixture *fixture, const char *request, const char *error)
{
    json_t *reply = ask(fixture, request);

    assert_true(json_is_false(json_object_get(reply, "ok")));
    if (strstr(json_string_value(json_object_get(reply, "error")), error) == NULL)
        fail_msg("%s: %s", request, json_string_value(json_object_get(reply, "error")));
    json_decref(reply);
}

static inline int64_t number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static inline const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? "" : text;
}

static inline size_t count_of(const json_t *object, const char *key)
{
    return json_array_size(json_object_get(object, key));
}

/* --- the worker --- */

static inline void on_worker_message(void *context, struct link *link, enum message_type type,
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

static inline void join(struct fixture *fixture, struct worker *worker, unsigned slot)
{
    int pair[2];

    memset(worker, 0, sizeof(*worker));
    assert_int_equal(link_pair(pair), 0);
    worker->fd = pair[0];
    worker->link =
        link_new(fixture->base, pair[0], ROLE_WORKER, ROLE_REGISTRY, on_worker_message, worker);
    registry_add_worker(fixture->registry, slot, pair[1]);
    turn(fixture);
}

/* Any packet, as one that was taken over might send it. */
static inline void send_packet(struct fixture *fixture, struct worker *worker,
                               enum message_type type, const void *payload, size_t size)
{
    packet_send(worker->fd, type, payload, size);
    turn(fixture);
}

/* The index of the first message of that type, which must be there. */
static inline size_t heard(const struct worker *worker, enum message_type type)
{
    for (size_t i = 0; i < worker->count; i++)
        if (worker->heard[i].type == type)
            return i;
    fail_msg("the worker did not hear %s", message_name(type));
    return 0;
}

static inline void sign(struct fixture *fixture, struct worker *worker, const char *scope)
{
    struct message_sign message;

    memset(&message, 0, sizeof(message));
    snprintf(message.scope, sizeof(message.scope), "%s", scope);
    snprintf(message.service, sizeof(message.service), "zoom");
    snprintf(message.client, sizeof(message.client), "192.168.10.21");
    assert_int_equal(link_send(worker->link, MESSAGE_SIGN, &message, sizeof(message), -1), 0);
    turn(fixture);
}

static inline void report(struct fixture *fixture, struct worker *worker, enum record_event event,
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

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

#endif
