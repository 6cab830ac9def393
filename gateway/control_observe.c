/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * "observe": what would have been blocked; and, with a service, what was touched during its
 * consultations, beside what its profile says.
 */
#include "gateway/control_commands.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"

#define OBSERVE_LIMIT 1000

/* --- what would have been blocked --- */

static void add_would_block(void *context, const struct would_block *row)
{
    json_array_append_new(
        context, json_pack("{s:o, s:o, s:I, s:I}", "host", control_text(span_of(row->host)),
                           "reason", control_text(span_of(row->reason)), "count",
                           (json_int_t)row->count, "incident", (json_int_t)row->newest));
}

static json_t *list_would_block(struct registry *registry, json_int_t limit)
{
    json_t *list = json_array();

    return control_answer_list(
        registry, store_list_would_block(registry->store, (unsigned)limit, add_would_block, list),
        "hosts", list);
}

/* --- what was touched --- */

struct question {
    struct registry *registry;
    const char *service;
    bool has_client; /* otherwise all are asked for */
    struct registry_client client;
    int64_t since; /* Unix seconds */
};

/* A device has several addresses, by which the records name it. */
static bool is_client(const struct question *question, const struct observed *row)
{
    struct registry_client client;

    return registry_find_client(question->registry, row->client, &client) &&
           strcmp(client.name, question->client.name) == 0;
}

/* With a device named, what it touched outside of consultations counts too: the pages before the
 * call, and all of a service whose call hosts nobody knows yet. */
static bool is_asked_for(const struct question *question, const struct observed *row)
{
    if (row->last < question->since || (question->has_client && !is_client(question, row)))
        return false;
    return strcmp(row->service, question->service) == 0 ||
           (row->service[0] == '\0' && question->has_client);
}

static const struct service *find_service(const struct policy *policy, const char *name)
{
    for (size_t i = 0; i < policy->service_count; i++)
        if (strcmp(policy->services[i].name, name) == 0)
            return &policy->services[i];
    return NULL;
}

static json_t *new_row(const struct policy *policy, const struct observed *observed)
{
    const struct service *service;
    enum destination_class class = policy_classify(policy, span_of(observed->host), &service, NULL);

    return json_pack("{s:o, s:s, s:o*, s:b, s:I}", "host", control_text(span_of(observed->host)),
                     "class", destination_class_name(class), "service",
                     service == NULL ? NULL : control_text(span_of(service->name)), "opened", 0,
                     "first", (json_int_t)observed->first);
}

static void add_number(json_t *row, const char *key, uint64_t more)
{
    json_int_t sum = json_integer_value(json_object_get(row, key)) + (json_int_t)more;

    json_object_set_new(row, key, json_integer(sum));
}

/* The rows of one host on several devices are one. */
static void add_observed(json_t *hosts, const struct policy *policy,
                         const struct observed *observed)
{
    json_t *row = json_object_get(hosts, observed->host);

    if (row == NULL) {
        row = new_row(policy, observed);
        if (json_object_set_new(hosts, observed->host, row) != 0)
            return; /* not UTF-8: no host */
    }
    for (int way = 0; way < OBSERVED_WAY_COUNT; way++)
        add_number(row, observed_way_name((enum observed_way)way), observed->counts[way]);
    if (observed->opened)
        json_object_set_new(row, "opened", json_true());
    if (json_integer_value(json_object_get(row, "last")) <= (json_int_t)observed->last) {
        json_object_set_new(row, "last", json_integer((json_int_t)observed->last));
        json_object_set_new(row, "reason", control_text(span_of(observed->reason)));
    }
}

static json_t *list_patterns(const struct service *service, enum treatment treatment)
{
    json_t *list = json_array();

    for (size_t i = 0; service != NULL && i < hostset_count(service->hosts); i++)
        if (hostset_at(service->hosts, i)->tag == (int)treatment)
            json_array_append_new(list,
                                  control_text(span_of(hostset_at(service->hosts, i)->pattern)));
    return list;
}

static int compare_hosts(const void *a, const void *b)
{
    const struct observed *const *left = a, *const *right = b;

    return strcmp((*left)->host, (*right)->host);
}

/* In the order of their names: an answer can be compared with the one before. */
static json_t *list_touched(struct registry *registry, const struct question *question,
                            const struct service *service)
{
    const struct policy *policy = &registry->configuration->policy;
    const struct observed **rows = memory_allocate(OBSERVED_MAX, sizeof(const struct observed *));
    json_t *hosts = json_object(), *list = json_array(), *row;
    const struct observed *observed;
    const char *name;
    size_t count = 0;

    for (size_t i = 0; (observed = observations_at(registry->observations, i)) != NULL; i++)
        if (is_asked_for(question, observed) &&
            (service == NULL || policy_service_by_host(policy, span_of(observed->host)) != service))
            rows[count++] = observed;
    qsort(rows, count, sizeof(const struct observed *), compare_hosts);
    for (size_t i = 0; i < count; i++)
        add_observed(hosts, policy, rows[i]);
    json_object_foreach(hosts, name, row) json_array_append(list, row);
    json_decref(hosts);
    free(rows);
    return list;
}

static json_t *list_service(struct registry *registry, const struct question *question)
{
    const struct configuration *configuration = registry->configuration;
    const struct service *service = find_service(&configuration->policy, question->service);

    return json_pack("{s:b, s:o, s:b, s:o, s:b, s:o, s:o, s:o}", "ok", 1, "service",
                     control_text(span_of(question->service)), "known", service != NULL, "title",
                     control_text(span_of(service == NULL ? question->service : service->title)),
                     "log_allowed", configuration->log_allowed, "splice",
                     list_patterns(service, TREAT_SPLICE), "inspect",
                     list_patterns(service, TREAT_INSPECT), "touched",
                     list_touched(registry, question, service));
}

json_t *command_observe(struct registry *registry, uint64_t request, uid_t uid,
                        const json_t *object)
{
    const char *from = json_string_value(json_object_get(object, "from"));
    struct question question = {.registry = registry,
                                .service = json_string_value(json_object_get(object, "service")),
                                .has_client = from != NULL};
    json_int_t limit = 200, since = 0;
    json_t *reply;

    (void)request;
    (void)uid;
    if (!control_take_number(object, "limit", 1, OBSERVE_LIMIT, &limit, &reply) ||
        !control_take_number(object, "since", 0, INT64_MAX / 1000, &since, &reply))
        return reply;
    if (question.service == NULL)
        return list_would_block(registry, limit);
    question.since = since;
    if (from != NULL && !registry_find_client(registry, from, &question.client))
        return control_error("from must be an address or a MAC address");
    return list_service(registry, &question);
}
