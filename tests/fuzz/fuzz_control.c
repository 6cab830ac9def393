/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * Arbitrary bytes on the control socket: every line gets exactly one answer, which is a JSON object
 * with "ok" in it, however the bytes are cut. The first byte says how.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <event2/event.h>

#include "gateway/control_commands.h"

#define CLAIM(condition)                                                                           \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "does not hold: %s\n", #condition);                                    \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

static struct configuration configuration;
static struct service service;
static struct event_base *base;
static struct registry *registry;

static void on_request(void *context, uint64_t request, uid_t uid, const json_t *object)
{
    json_t *reply = command_run(context, request, uid, object);

    if (reply != NULL)
        control_reply(registry->control, request, reply);
}

static struct hostset *one_host(const char *pattern, int tag)
{
    struct hostset *set = hostset_new();

    CLAIM(hostset_add(set, span_of(pattern), tag, (struct rule){"fuzz.conf", 1}) == NULL);
    return set;
}

static void set_up(void)
{
    static char name[] = "zoom";

    configuration.policy.linger = 600000;
    configuration.policy.services = &service;
    configuration.policy.service_count = 1;
    configuration.policy.clinic = one_host("ehr.example", TREAT_INSPECT);
    configuration.policy.clinic_deny = one_host("no.example", 0);
    configuration.policy.denied = one_host("bit.ly", 0);
    configuration.policy.system = one_host(".update.example", TREAT_SPLICE);
    service.name = service.title = name;
    service.hosts = one_host("*.zoom.example", TREAT_SPLICE);
    service.call = one_host("call.zoom.example", 0);
    service.chat = one_host("chat.zoom.example", 0);
    base = event_base_new();
    registry = registry_new(base, &configuration, ":memory:");
    registry->control = control_new(base, on_request, registry);
    registry_look(registry);
}

/* Reads what is there; counts the answers, each of which must be one. */
static void take_answers(int fd, char *line, size_t room, size_t *used, size_t *answers)
{
    ssize_t got;

    while ((got = recv(fd, line + *used, room - *used, MSG_DONTWAIT)) > 0) {
        char *end;

        *used += (size_t)got;
        while ((end = memchr(line, '\n', *used)) != NULL) {
            size_t size = (size_t)(end - line) + 1;
            json_t *reply = json_loadb(line, size, 0, NULL);

            CLAIM(json_is_object(reply));
            CLAIM(json_is_boolean(json_object_get(reply, "ok")));
            json_decref(reply);
            memmove(line, end + 1, *used - size);
            *used -= size;
            ++*answers;
        }
        CLAIM(*used < room);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static char line[8 << 20];
    size_t lines = 0, answers = 0, used = 0, piece;
    int pair[2];

    if (registry == NULL)
        set_up();
    if (size < 2 || size > CONTROL_LINE)
        return 0;
    piece = data[0] == 0 ? size : data[0];
    data++;
    size--;
    for (size_t i = 0; i < size; i++)
        lines += data[i] == '\n';
    CLAIM(socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0);
    control_add_client(registry->control, pair[1]);
    while (size > 0) {
        size_t now = piece < size ? piece : size;

        CLAIM(send(pair[0], data, now, MSG_NOSIGNAL) == (ssize_t)now);
        data += now;
        size -= now;
        event_base_loop(base, EVLOOP_NONBLOCK);
        take_answers(pair[0], line, sizeof(line), &used, &answers);
    }
    /* One answer needs two turns: it is made, it is sent. */
    for (size_t i = 0; i < 2 * lines + 4 || answers < lines; i++) {
        CLAIM(i < 8 * lines + 100);
        event_base_loop(base, EVLOOP_NONBLOCK);
        take_answers(pair[0], line, sizeof(line), &used, &answers);
    }
    CLAIM(answers == lines);
    CLAIM(used == 0);
    close(pair[0]);
    for (int i = 0; i < 3; i++)
        event_base_loop(base, EVLOOP_NONBLOCK);
    return 0;
}
