/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parent tells and asks the kernel's rules while the daemon works. It tells them that a
 * consultation is on or over: one element of a set changes, the rules stay as they are. It asks
 * them every two seconds who has media with a service, which is the surest sign of a call, and for
 * `sekisho status` what they have counted. Where the table is gone it is made anew. When the daemon
 * dies the kernel goes on with what it was told last.
 */
#include "gateway/parent_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/calls.h"
#include "gateway/deadline.h"
#include "gateway/log.h"
#include "gateway/ruleset.h"

#define LOOK_EVERY 2   /* s between two looks for calls */
#define ROW_MAX    768 /* bytes of one call or counter in the answer */

/* --- consultations --- */

bool boundary_is_ours(const struct configuration *configuration)
{
    for (size_t i = 0; i < configuration->listener_count; i++)
        if (configuration->listeners[i].transparent)
            return configuration->manage_rules;
    return false;
}

void boundary_renew(void)
{
    char error[512];

    if (!parent.consultation_known || !boundary_is_ours(parent.now.configuration))
        return;
    if (ruleset_set_consultation(parent.now.configuration, parent.consultation, error,
                                 sizeof(error)) != 0)
        log_warnx("the kernel cannot be told whether a consultation is on: %s", error);
}

void boundary_set(bool consultation)
{
    parent.consultation_known = true;
    parent.consultation = consultation;
    boundary_renew();
}

/* --- calls --- */

static void take_row(void *context, const struct ruleset_call *row)
{
    const struct policy *policy = &parent.now.configuration->policy;

    (void)context;
    for (size_t i = 0; i < policy->service_count; i++) {
        const struct service *service = &policy->services[i];
        bool straight = row->mark == ruleset_mark(service->name, true);

        if (!straight && row->mark != ruleset_mark(service->name, false))
            continue;
        calls_note(parent.calls, service->name, &row->client, &row->peer,
                   straight && network_list_find(service->networks, service->network_count,
                                                 &row->peer) == NULL,
                   row->packets, row->bytes);
        return;
    }
}

static bool tell_call(void *context, enum call_event event, const struct call *call,
                      const struct call_peer *peer)
{
    static const enum record_event events[] = {EVENT_CALL_ON, EVENT_CALL_OFF, EVENT_CALL_PEER};
    char client[ADDRESS_TEXT], other[ADDRESS_TEXT] = "";
    struct record record;

    (void)context;
    address_format(&call->client, client);
    if (peer != NULL)
        address_format(&peer->address, other);
    record_init(&record, events[event]);
    record_set_text(&record, RECORD_CLIENT, client);
    record_set_text(&record, RECORD_SERVICE, call->service);
    if (peer != NULL)
        record_set_text(&record, RECORD_DST, other);
    return supervision_send_record(&record);
}

/* The registry hears of each that goes on: a sign for its client's consultation. */
static void give_signs(void)
{
    const struct call *call;

    for (size_t i = 0; (call = calls_at(parent.calls, i)) != NULL; i++) {
        struct message_media message = {.service = ""};

        if (!call->active)
            continue;
        snprintf(message.service, sizeof(message.service), "%s", call->service);
        address_format(&call->client, message.client);
        supervision_tell_registry(MESSAGE_MEDIA, &message, sizeof(message));
    }
}

/* Somebody has removed the table ("flush ruleset" is how /etc/nftables.conf begins on Debian), or
 * changed what is in it. False when it cannot be mended, which is said once. */
static bool put_back(const char *what)
{
    char error[512];

    if (ruleset_install(parent.now.configuration, error, sizeof(error)) == 0) {
        log_warnx("the kernel's rules were %s by somebody: they are put back", what);
        boundary_renew();
        return true;
    }
    if (!parent.calls_failed)
        log_warnx("the kernel's rules were %s by somebody and cannot be put back: %s", what, error);
    return false;
}

static void on_look(evutil_socket_t fd, short what, void *argument)
{
    (void)fd;
    (void)what;
    (void)argument;
    if (parent.stopping || !boundary_is_ours(parent.now.configuration))
        return;
    calls_begin(parent.calls, clock_unix_ms());
    if (ruleset_calls_read(take_row, NULL) != 0) {
        if (errno == ENOENT)
            (void)put_back("removed");
        else if (!parent.calls_failed)
            log_warn("the kernel does not say who is in a call");
        parent.calls_failed = true;
        return;
    }
    parent.calls_failed = !ruleset_is_whole() && !put_back("changed");
    calls_end(parent.calls, tell_call, NULL);
    give_signs();
}

void boundary_start(void)
{
    static const struct timeval every = {LOOK_EVERY, 0};

    parent.calls = calls_new();
    parent.look = event_new(parent.base, -1, EV_PERSIST, on_look, NULL);
    if (parent.look == NULL || evtimer_add(parent.look, &every) != 0)
        fatal("no memory for timers");
}

void boundary_stop(void)
{
    event_free(parent.look);
    calls_free(parent.calls);
}

/* --- the answer for `sekisho status` --- */

struct answer {
    char text[MESSAGE_MAX];
    size_t used;
    bool full;
};

/* Adds a piece while there is room for it and for what closes the text. */
static void add(struct answer *answer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void add(struct answer *answer, const char *format, ...)
{
    size_t room = sizeof(answer->text) - answer->used;
    va_list list;

    va_start(list, format);
    int more = vsnprintf(answer->text + answer->used, room, format, list);
    va_end(list);
    if (more > 0 && (size_t)more < room)
        answer->used += (size_t)more;
}

static bool has_room(struct answer *answer)
{
    answer->full = answer->full || sizeof(answer->text) - answer->used < 2 * ROW_MAX;
    return !answer->full;
}

static void add_call(struct answer *answer, const struct call *call)
{
    char text[ADDRESS_TEXT];

    address_format(&call->client, text);
    add(answer, "{\"client\":\"%s\",\"service\":\"%s\",\"since\":%lld,\"peers\":[", text,
        call->service, (long long)(call->since / 1000));
    for (size_t i = 0; i < call->peer_count; i++) {
        const struct call_peer *peer = &call->peers[i];

        if (!has_room(answer))
            break;
        address_format(&peer->address, text);
        add(answer, "%s{\"address\":\"%s\",\"outside\":%s,\"packets\":%llu,\"bytes\":%llu}",
            i > 0 ? "," : "", text, peer->outside ? "true" : "false",
            (unsigned long long)peer->packets, (unsigned long long)peer->bytes);
    }
    add(answer, "]}");
}

static void add_counters(struct answer *answer)
{
    struct ruleset_counter *counters;
    size_t count = ruleset_counters_read(&counters);
    bool first = true;

    for (size_t i = 0; i < count; i++) {
        if (!has_room(answer))
            break;
        add(answer, "%s\"%s\":{\"packets\":%llu,\"bytes\":%llu}", first ? "" : ",",
            counters[i].name, (unsigned long long)counters[i].packets,
            (unsigned long long)counters[i].bytes);
        first = false;
    }
    free(counters);
}

void boundary_answer(uint64_t question)
{
    struct answer answer = {.used = sizeof(question)};
    const struct call *call;

    memcpy(answer.text, &question, sizeof(question));
    add(&answer, "{\"counters\":{");
    if (boundary_is_ours(parent.now.configuration))
        add_counters(&answer);
    add(&answer, "},\"calls\":[");
    for (size_t i = 0; (call = calls_at(parent.calls, i)) != NULL && has_room(&answer); i++) {
        add(&answer, "%s", i > 0 ? "," : "");
        add_call(&answer, call);
    }
    add(&answer, "],\"more_calls\":%s}", answer.full ? "true" : "false");
    supervision_tell_registry(MESSAGE_KERNEL, answer.text, answer.used);
}
