/* SPDX-License-Identifier: BSD-2-Clause */
/* The policy of a scenario, read from its statements; replay.c describes them. */
#include "tests/replay/scenario.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"

void scenario_fail(const struct scenario *scenario, const char *what, struct span detail)
{
    fprintf(stderr, "%s:%u: %s: %.*s\n", scenario->path, scenario->line, what, (int)detail.size,
            detail.size ? detail.data : "");
    exit(2);
}

/* The value of NAME=VALUE among the words; false when there is none. */
bool scenario_find_option(struct statement *statement, const char *name, struct span *value)
{
    for (size_t i = 0; i < statement->count; i++) {
        size_t equals = span_index(statement->words[i], '=');
        if (equals < statement->words[i].size &&
            span_equal(span_first(statement->words[i], equals), span_of(name))) {
            *value = span_from(statement->words[i], equals + 1);
            statement->taken[i] = true;
            return true;
        }
    }
    return false;
}

struct span scenario_word(const struct scenario *scenario, const struct statement *statement,
                          size_t index)
{
    if (index >= statement->count)
        scenario_fail(scenario, "something is missing at the end", SPAN(""));
    return statement->words[index];
}

/* "10min", "5s", "1h" in milliseconds. */
int64_t scenario_read_time(const struct scenario *scenario, struct span text)
{
    static const struct {
        const char *unit;
        int64_t milliseconds;
    } units[] = {{"ms", 1}, {"s", 1000}, {"min", 60000}, {"h", 3600000}};
    size_t digits = 0;
    int64_t number;
    while (digits < text.size && text.data[digits] >= '0' && text.data[digits] <= '9')
        digits++;
    if (digits > 9 || !span_number(span_first(text, digits), &number))
        scenario_fail(scenario, "not a time", text);
    for (size_t i = 0; i < sizeof(units) / sizeof(*units); i++)
        if (span_equal(span_from(text, digits), span_of(units[i].unit)))
            return number * units[i].milliseconds;
    scenario_fail(scenario, "not a unit of time", text);
    return 0;
}

/* One of several words, as its index. */
static int read_choice(const struct scenario *scenario, struct statement *statement,
                       const char *name, const char *choices, int otherwise)
{
    struct span value, rest = span_of(choices), choice;
    if (!scenario_find_option(statement, name, &value))
        return otherwise;
    for (int i = 0; span_next(&rest, '|', &choice); i++)
        if (span_equal(choice, value))
            return i;
    scenario_fail(scenario, "not one of the values", value);
    return otherwise;
}

static struct rule here(const struct scenario *scenario)
{
    return (struct rule){scenario->path, scenario->line};
}

static void read_hosts(const struct scenario *scenario, struct statement *statement,
                       const char *name, struct hostset **set, int tag)
{
    struct span value, one;
    if (!*set)
        *set = hostset_new();
    if (!scenario_find_option(statement, name, &value))
        return;
    while (span_next(&value, ',', &one)) {
        const char *error = hostset_add(*set, one, tag, here(scenario));
        if (error)
            scenario_fail(scenario, error, one);
    }
}

/* Appends to a list that has room for PATTERNS. */
static void read_patterns(const struct scenario *scenario, struct statement *statement,
                          const char *name, struct url_pattern *patterns, size_t *count)
{
    struct span value, one;
    const char *error;
    if (!scenario_find_option(statement, name, &value))
        return;
    while (span_next(&value, ',', &one)) {
        if (*count == PATTERNS)
            scenario_fail(scenario, "too many patterns", one);
        if (!url_pattern_parse(one, here(scenario), &patterns[*count], &error))
            scenario_fail(scenario, error, one);
        (*count)++;
    }
}

static void read_policy(struct scenario *scenario, struct statement *statement)
{
    struct policy *policy = &scenario->policy;
    struct span linger;
    policy->outside = (enum policy_outside)read_choice(scenario, statement, "outside",
                                                       "inspect|deny", OUTSIDE_INSPECT);
    policy->scope = (enum policy_scope)read_choice(scenario, statement, "scope",
                                                   "clinic|room|client", SCOPE_CLINIC);
    policy->mode =
        (enum policy_mode)read_choice(scenario, statement, "mode", "enforce|observe", MODE_ENFORCE);
    policy->no_sni = (enum policy_no_sni)read_choice(scenario, statement, "no-sni",
                                                     "refuse|inspect", NO_SNI_REFUSE);
    if (scenario_find_option(statement, "linger", &linger))
        policy->linger = scenario_read_time(scenario, linger);
    if (scenario_find_option(statement, "own-meetings-for", &linger))
        policy->own_meetings_for = scenario_read_time(scenario, linger);
}

static void read_service(struct scenario *scenario, struct statement *statement)
{
    struct span networks, one;
    if (scenario->policy.service_count == SERVICES)
        scenario_fail(scenario, "too many services", SPAN(""));
    struct service *service = &scenario->services[scenario->policy.service_count++];
    service->name = memory_span(scenario_word(scenario, statement, 1));
    service->title = memory_string(service->name);
    service->rule = here(scenario);
    service->attachments = memory_allocate(PATTERNS, sizeof(*service->attachments));
    service->join = memory_allocate(PATTERNS, sizeof(*service->join));
    service->create = memory_allocate(PATTERNS, sizeof(*service->create));
    service->networks = memory_allocate(PATTERNS, sizeof(*service->networks));
    read_hosts(scenario, statement, "hosts", &service->hosts, TREAT_INSPECT);
    read_hosts(scenario, statement, "splice", &service->hosts, TREAT_SPLICE);
    read_hosts(scenario, statement, "call", &service->call, TREAT_INSPECT);
    read_hosts(scenario, statement, "chat", &service->chat, TREAT_INSPECT);
    read_patterns(scenario, statement, "attachments", service->attachments,
                  &service->attachment_count);
    read_patterns(scenario, statement, "join", service->join, &service->join_count);
    read_patterns(scenario, statement, "create", service->create, &service->create_count);
    if (!scenario_find_option(statement, "networks", &networks))
        return;
    while (span_next(&networks, ',', &one)) {
        if (service->network_count == PATTERNS ||
            !network_parse(one, &service->networks[service->network_count++]))
            scenario_fail(scenario, "not a network, or one too many", one);
    }
}

static void read_clinic(struct scenario *scenario, struct statement *statement)
{
    struct policy *policy = &scenario->policy;
    struct span files, one;
    read_hosts(scenario, statement, "allow", &policy->clinic, TREAT_INSPECT);
    read_hosts(scenario, statement, "splice", &policy->clinic, TREAT_SPLICE);
    read_hosts(scenario, statement, "deny", &policy->clinic_deny, TREAT_INSPECT);
    read_patterns(scenario, statement, "meetings", scenario->meetings, &policy->meeting_count);
    if (!scenario_find_option(statement, "files", &files))
        return;
    while (span_next(&files, ',', &one)) {
        size_t at = span_index(one, '@');
        if (policy->file_count == FILES || at == one.size)
            scenario_fail(scenario, "not TYPE@HOST, or one too many", one);
        struct listed_file *file = &scenario->files[policy->file_count++];
        *file =
            (struct listed_file){memory_span(span_first(one, at)), hostset_new(), here(scenario)};
        const char *error =
            hostset_add(file->hosts, span_from(one, at + 1), TREAT_INSPECT, here(scenario));
        if (error)
            scenario_fail(scenario, error, one);
    }
}

static void read_list(struct scenario *scenario, struct statement *statement)
{
    read_hosts(scenario, statement, "denied", &scenario->policy.denied, TREAT_INSPECT);
    read_hosts(scenario, statement, "system", &scenario->policy.system, TREAT_SPLICE);
}

static void read_room(struct scenario *scenario, struct statement *statement)
{
    if (scenario->room_count == ROOMS)
        scenario_fail(scenario, "too many rooms", SPAN(""));
    struct room *room = &scenario->rooms[scenario->room_count++];
    room->name = memory_span(scenario_word(scenario, statement, 1));
    room->clients = memory_span(scenario_word(scenario, statement, 2));
}

static const struct {
    const char *word;
    void (*read)(struct scenario *scenario, struct statement *statement);
} statements[] = {{"policy", read_policy},
                  {"service", read_service},
                  {"clinic", read_clinic},
                  {"list", read_list},
                  {"room", read_room}};

bool scenario_read_policy(struct scenario *scenario, struct statement *statement)
{
    for (size_t i = 0; i < sizeof(statements) / sizeof(*statements); i++) {
        if (!span_equal(statement->words[0], span_of(statements[i].word)))
            continue;
        statements[i].read(scenario, statement);
        for (size_t k = 1; k < statement->count; k++)
            if (!statement->taken[k] &&
                span_index(statement->words[k], '=') < statement->words[k].size)
                scenario_fail(scenario, "not an option of this statement", statement->words[k]);
        return true;
    }
    return false;
}

struct scenario *scenario_new(const char *path)
{
    struct scenario *scenario = memory_allocate(1, sizeof(*scenario));
    scenario->path = path;
    scenario->policy.linger = 600000;
    scenario->policy.own_meetings_for = INT64_C(30) * 86400000;
    scenario->learned = learned_links_new();
    scenario->policy.services = scenario->services;
    scenario->policy.meetings = scenario->meetings;
    scenario->policy.files = scenario->files;
    scenario->standing.releases = scenario->releases;
    scenario->consultations = consultations_new();
    return scenario;
}

void scenario_free(struct scenario *scenario)
{
    for (size_t i = 0; i < scenario->policy.service_count; i++) {
        struct service *service = &scenario->services[i];
        for (size_t k = 0; k < service->attachment_count; k++)
            url_pattern_clear(&service->attachments[k]);
        for (size_t k = 0; k < service->join_count; k++)
            url_pattern_clear(&service->join[k]);
        for (size_t k = 0; k < service->create_count; k++)
            url_pattern_clear(&service->create[k]);
        hostset_free(service->hosts);
        hostset_free(service->call);
        hostset_free(service->chat);
        free(service->attachments);
        free(service->join);
        free(service->create);
        free(service->networks);
        free(service->name);
        free(service->title);
    }
    for (size_t i = 0; i < scenario->policy.meeting_count; i++)
        url_pattern_clear(&scenario->meetings[i]);
    for (size_t i = 0; i < scenario->policy.file_count; i++) {
        hostset_free(scenario->files[i].hosts);
        free(scenario->files[i].type);
    }
    for (size_t i = 0; i < scenario->room_count; i++) {
        free(scenario->rooms[i].name);
        free(scenario->rooms[i].clients);
    }
    learned_links_free(scenario->learned);
    hostset_free(scenario->policy.clinic);
    hostset_free(scenario->policy.clinic_deny);
    hostset_free(scenario->policy.denied);
    hostset_free(scenario->policy.system);
    consultations_free(scenario->consultations);
    free(scenario);
}
