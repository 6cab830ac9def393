/* SPDX-License-Identifier: BSD-2-Clause */
/* From the registry's records to what was touched during a consultation. */
#include <stdio.h>
#include <string.h>

#include "filters/filters.h"
#include "gateway/registry.h"

/* False for a record that tells of no connection to a host, or of one that means nothing. */
static bool find_way(const struct record *record, enum observed_way *way)
{
    struct span reason = record_get(record, RECORD_REASON);

    switch (record->event) {
    case EVENT_SPLICE:
        *way = OBSERVED_SPLICED;
        return true;
    case EVENT_ALLOW:
        *way = OBSERVED_INSPECTED;
        return true;
    case EVENT_BLOCK:
    case EVENT_WOULD_BLOCK:
    case EVENT_REFUSE:
        *way = OBSERVED_STOPPED;
        return true;
    case EVENT_TLS_ERROR:
        *way = OBSERVED_REJECTED;
        return span_equal(reason, span_of(reason_code(REASON_CLIENT_TLS)));
    default:
        return false;
    }
}

/* False when it is longer than it may be: such a text is nobody's name. */
static bool copy(struct span value, char *text, size_t size)
{
    if (value.size >= size)
        return false;
    if (value.size > 0)
        memcpy(text, value.data, value.size);
    text[value.size] = '\0';
    return true;
}

static void find_service(struct registry *registry, const struct record *record,
                         struct observed *what)
{
    enum policy_scope reach = registry->configuration->policy.scope;
    struct span room = record_get(record, RECORD_ROOM);
    const char *service = NULL;
    struct registry_client client;
    char scope[SCOPE_TEXT];

    if (reach == SCOPE_CLINIC)
        snprintf(scope, sizeof(scope), "clinic");
    else if (reach == SCOPE_ROOM && room.size > 0)
        snprintf(scope, sizeof(scope), "room:%.*s", (int)room.size, room.data);
    else if (registry_find_client(registry, what->client, &client))
        snprintf(scope, sizeof(scope), "client:%s", client.name);
    else
        return;
    if (registry_is_on(registry, scope, &service) && service != NULL)
        snprintf(what->service, sizeof(what->service), "%s", service);
}

/* What a page loads as its part passes with the page; the rest somebody or something opened. */
static bool is_opened(const struct record *record)
{
    struct span kind = record_get(record, RECORD_KIND);

    return !span_equal(kind, span_of(request_kind_name(KIND_SUBRESOURCE))) &&
           !span_equal(kind, span_of(request_kind_name(KIND_WEBSOCKET)));
}

void registry_observe(struct registry *registry, const struct record *record)
{
    struct span host = record_get(record, RECORD_HOST);
    struct observed what = {.opened = is_opened(record)};
    enum observed_way way;

    if (host.size == 0)
        host = record_get(record, RECORD_SNI);
    if (!find_way(record, &way) || !copy(host, what.host, sizeof(what.host)) ||
        !copy(record_get(record, RECORD_CLIENT), what.client, sizeof(what.client)) ||
        !copy(record_get(record, RECORD_REASON), what.reason, sizeof(what.reason)))
        return;
    find_service(registry, record, &what);
    observations_note(registry->observations, &what, way, registry_now() / 1000);
    if (way == OBSERVED_REJECTED)
        registry_note_distrust(registry, &what, registry_now() / 1000);
}
