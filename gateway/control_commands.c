/* SPDX-License-Identifier: BSD-2-Clause */
/* The commands of the control socket that show what is, and the table of all of them. */
#include "gateway/control_commands.h"

#include <string.h>

#ifndef SEKISHO_VERSION
#define SEKISHO_VERSION "unreleased"
#endif

#define INCIDENTS_LIMIT 1000

/* --- status --- */

static json_t *show_consultations(const struct registry *registry)
{
    json_t *list = json_array();

    for (size_t i = 0; i < registry->scope_count; i++) {
        const struct registry_consultation *row = &registry->scopes[i];

        json_array_append_new(list, json_pack("{s:o, s:o, s:I, s:I}", "scope",
                                              control_text(span_of(row->scope)), "service",
                                              control_text(span_of(row->service)), "since",
                                              (json_int_t)(row->since / 1000), "until",
                                              (json_int_t)(row->until / 1000)));
    }
    return list;
}

static json_t *show_events(const struct registry *registry)
{
    json_t *counts = json_object();

    for (int i = 0; i < EVENT_COUNT; i++)
        if (registry->events[i] != 0)
            json_object_set_new(counts, record_event_name((enum record_event)i),
                                json_integer((json_int_t)registry->events[i]));
    return counts;
}

static json_t *show_reasons(const struct registry *registry)
{
    json_t *counts = json_object();

    for (int i = 0; i < REASON_COUNT; i++)
        if (registry->reasons[i] != 0)
            json_object_set_new(counts, reason_code((enum reason)i),
                                json_integer((json_int_t)registry->reasons[i]));
    return counts;
}

static json_t *show_store(const struct registry *registry)
{
    const char *failure = store_failure(registry->store);
    size_t waiting;
    uint64_t lost;

    store_count_pending(registry->store, &waiting, &lost);
    return json_pack("{s:b, s:o, s:I, s:I}", "ok", failure == NULL, "failure",
                     failure == NULL ? json_null() : control_text(span_of(failure)), "waiting",
                     (json_int_t)waiting, "lost", (json_int_t)lost);
}

json_t *control_status(struct registry *registry)
{
    const struct policy *policy = &registry->configuration->policy;
    json_t *reply, *none = json_object();
    size_t workers = 0;
    struct registry_worker *worker;

    TAILQ_FOREACH (worker, &registry->workers, next)
        workers++;
    reply = json_pack(
        "{s:b, s:s, s:s, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:I, s:I}", "ok", 1, "version",
        SEKISHO_VERSION, "mode", policy->mode == MODE_OBSERVE ? "observe" : "enforce", "time",
        (json_int_t)(registry_now() / 1000), "started", (json_int_t)(registry->started / 1000),
        "uptime", (json_int_t)((registry_now() - registry->started) / 1000), "consultations",
        show_consultations(registry), "events", show_events(registry), "reasons",
        show_reasons(registry), "store", show_store(registry), "releases",
        (json_int_t)registry->release_count, "workers", (json_int_t)workers);
    json_object_set_new(reply, "distrust", registry_list_distrust(registry));
    if (registry->syslog != NULL)
        json_object_set_new(reply, "syslog_dropped",
                            json_integer((json_int_t)syslog_dropped(registry->syslog)));
    /* generation, reloads and processes[], as the parent says them */
    json_object_update_missing(reply, registry->processes == NULL ? none : registry->processes);
    json_decref(none);
    return reply;
}

/* With what the kernel says, when there is a parent to ask it. */
static json_t *command_status(struct registry *registry, uint64_t request, uid_t uid,
                              const json_t *object)
{
    (void)uid;
    (void)object;
    return registry_ask_status(registry, request) ? NULL : control_status(registry);
}

/* --- flows, reload --- */

static json_t *command_flows(struct registry *registry, uint64_t request, uid_t uid,
                             const json_t *object)
{
    (void)uid;
    (void)object;
    return registry_ask_flows(registry, request)
               ? NULL
               : control_error("too many requests are under way: try again");
}

static json_t *command_reload(struct registry *registry, uint64_t request, uid_t uid,
                              const json_t *object)
{
    static const char silence[] = "\0the parent process does not listen";
    struct link *parent = registry->child == NULL ? NULL : registry->child->parent;

    (void)uid;
    (void)object;
    if (parent == NULL)
        return control_error("there is no parent process to reload");
    if (!registry_ask_reload(registry, request))
        return control_error("too many requests are under way: try again");
    if (link_send(parent, MESSAGE_RELOAD, NULL, 0, -1) != 0)
        registry_take_reload_result(registry, silence, sizeof(silence) - 1);
    return NULL;
}

/* --- incidents --- */

static void add_incident(void *context, const struct incident *incident)
{
    static const enum record_field fields[] = {
#define X(symbol, column) RECORD_##symbol,
        STORE_INCIDENT_COLUMNS(X)
#undef X
    };
    json_t *row = json_pack("{s:I, s:I, s:s}", "incident", (json_int_t)incident->number, "time",
                            (json_int_t)(incident->time / 1000), "event",
                            record_event_name(incident->record.event));

    for (size_t i = 1; i < sizeof(fields) / sizeof(fields[0]); i++) {
        struct span value = record_get(&incident->record, fields[i]);

        if (value.size > 0)
            json_object_set_new(row, record_field_name(fields[i]), control_text(value));
    }
    json_array_append_new(context, row);
}

bool control_take_number(const json_t *object, const char *key, json_int_t smallest,
                         json_int_t largest, json_int_t *value, json_t **reply)
{
    const json_t *given = json_object_get(object, key);

    if (given == NULL)
        return true;
    *value = json_integer_value(given);
    if (json_is_integer(given) && *value >= smallest && *value <= largest)
        return true;
    *reply = control_error("%s must be a whole number from %" JSON_INTEGER_FORMAT
                           " to %" JSON_INTEGER_FORMAT,
                           key, smallest, largest);
    return false;
}

json_t *control_answer_list(struct registry *registry, enum store_result result, const char *name,
                            json_t *list)
{
    if (result == STORE_OK)
        return json_pack("{s:b, s:o}", "ok", 1, name, list);
    json_decref(list);
    return control_error("the store cannot be read: %s", store_failure(registry->store));
}

static json_t *command_incidents(struct registry *registry, uint64_t request, uid_t uid,
                                 const json_t *object)
{
    json_int_t limit = 50, since = 0;
    json_t *list, *reply;
    enum store_result result;

    (void)request;
    (void)uid;
    if (!control_take_number(object, "limit", 1, INCIDENTS_LIMIT, &limit, &reply) ||
        !control_take_number(object, "since", 0, INT64_MAX / 1000, &since, &reply))
        return reply;
    list = json_array();
    result =
        store_list_incidents(registry->store, since * 1000, (unsigned)limit, add_incident, list);
    return control_answer_list(registry, result, "incidents", list);
}

/* --- the table --- */

static const struct {
    const char *name;
    json_t *(*run)(struct registry *registry, uint64_t request, uid_t uid, const json_t *object);
} commands[] = {
#define X(name, function, help) {name, function},
    CONTROL_COMMANDS(X)
#undef X
};

json_t *command_run(struct registry *registry, uint64_t request, uid_t uid, const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "command"));

    if (name == NULL)
        return control_error("the request has no \"command\"");
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(commands[i].name, name) == 0)
            return commands[i].run(registry, request, uid, object);
    return control_error("there is no such command");
}
