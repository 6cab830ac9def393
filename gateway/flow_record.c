/* SPDX-License-Identifier: BSD-2-Clause */
/* What the log says of a connection: see flow.h and flow_private.h. */
#include <stdio.h>

#include "gateway/flow_private.h"
#include "gateway/replica.h"

static void look_up(const struct worker *worker, const struct address *address,
                    struct network_facts *facts)
{
    *facts = (struct network_facts){0};
    networks_look_up(worker->asn_database, address, facts);
    networks_look_up(worker->country_database, address, facts);
}

void flow_note_origin(struct flow *flow, const struct address *address)
{
    look_up(flow->worker, address, &flow->origin);
    flow->origin_known = true;
}

/* Of the origin; before there is one, of where the client wanted to go. */
static void record_networks(const struct flow *flow, struct record *record)
{
    struct network_facts facts = flow->origin;

    if (!flow->origin_known)
        look_up(flow->worker, &flow->destination, &facts);
    if (facts.asn != 0)
        record_set_number(record, RECORD_ASN, facts.asn);
    if (facts.country[0] != '\0')
        record_set_text(record, RECORD_COUNTRY, facts.country);
}

void flow_record(const struct flow *flow, enum record_event event, struct record *record)
{
    const struct configuration *configuration = flow->worker->configuration;
    char text[ADDRESS_TEXT + 8];

    record_init(record, event);
    record_set_text(record, RECORD_CLIENT, flow->client->text);
    if (flow->client->room >= 0)
        record_set_text(record, RECORD_ROOM, configuration->rooms[flow->client->room].name);
    if (flow->destination.family != 0) {
        char address[ADDRESS_TEXT];
        address_format(&flow->destination, address);
        snprintf(text, sizeof(text), flow->destination.family == 6 ? "[%s]:%u" : "%s:%u", address,
                 flow->port);
        record_set_text(record, RECORD_DST, text);
    }
    if (flow->host[0] != '\0')
        record_set_text(record, RECORD_SNI, flow->host);
    record_networks(flow, record);
}

void flow_record_reason(struct record *record, enum reason reason, struct rule rule)
{
    char text[512];

    record_set_text(record, RECORD_REASON, reason_code(reason));
    record_set_text(record, RECORD_ITEM, reason_item(reason));
    if (rule.file != NULL) {
        snprintf(text, sizeof(text), "%s:%u", rule.file, rule.line);
        record_set_text(record, RECORD_RULE, text);
    }
}

void flow_report(struct flow *flow, enum record_event event, enum reason reason, const char *detail)
{
    struct record record;

    flow_record(flow, event, &record);
    flow_record_reason(&record, reason, flow->finding.rule);
    if (flow->finding.service != NULL)
        record_set_text(&record, RECORD_SERVICE, flow->finding.service->name);
    if (flow->verify != NULL)
        record_set_text(&record, RECORD_VERIFY, flow->verify);
    if (detail != NULL)
        record_set_text(&record, RECORD_DETAIL, detail);
    replica_record(flow->worker->replica, &record);
}

void flow_sign(struct flow *flow, const struct service *service)
{
    if (service != NULL)
        replica_sign(flow->worker->replica, flow->client->scope, service->name, flow->client->text);
}

void flow_report_relay(struct flow *flow)
{
    struct record record;

    flow_record(flow, EVENT_SPLICE, &record);
    flow_record_reason(&record, flow->finding.reason, flow->finding.rule);
    if (flow->finding.service != NULL)
        record_set_text(&record, RECORD_SERVICE, flow->finding.service->name);
    record_set_number(&record, RECORD_BYTES_UP, flow->bytes_up);
    record_set_number(&record, RECORD_BYTES_DOWN, flow->bytes_down);
    record_set_number(&record, RECORD_MS, (uint64_t)(clock_monotonic() - flow->started));
    if (flow->worker->configuration->log_allowed)
        replica_record(flow->worker->replica, &record);
}
