/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the parent says of the kernel: that a client is in a call, which is a sign for the
 * consultation of its scope; and for `sekisho status` the counters and the calls, to which is added
 * here in which room the client is and whose network each peer is in.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/networks.h"
#include "gateway/registry.h"

bool registry_take_media(struct registry *registry, const struct message_media *message)
{
    struct message_sign sign = {.scope = ""};
    struct registry_client client;

    if (!registry_is_clean_text(message->service, sizeof(message->service)) ||
        memchr(message->client, '\0', sizeof(message->client)) == NULL ||
        !registry_find_client(registry, message->client, &client))
        return false;
    registry_name_scope(registry, &client, sign.scope);
    snprintf(sign.service, sizeof(sign.service), "%s", message->service);
    snprintf(sign.client, sizeof(sign.client), "%s", message->client);
    return registry_sign(registry, &sign);
}

static void add_room(struct registry *registry, json_t *call)
{
    const char *address = json_string_value(json_object_get(call, "client"));
    const struct room *room;
    struct registry_client client;

    if (address == NULL || !registry_find_client(registry, address, &client))
        return;
    room = registry_room(registry, &client);
    if (room != NULL)
        json_object_set_new(call, "room", control_text(span_of(room->name)));
}

/* Nothing is known of what is no address. */
static struct network_facts look_up(const struct registry *registry, struct span text)
{
    struct network_facts facts = {.asn = 0};
    struct address address;

    if (address_parse(text, &address)) {
        networks_look_up(registry->asn_database, &address, &facts);
        networks_look_up(registry->country_database, &address, &facts);
    }
    return facts;
}

void registry_complete_record(struct registry *registry, struct record *record)
{
    struct network_facts facts = look_up(registry, record_get(record, RECORD_DST));
    struct span address = record_get(record, RECORD_CLIENT);
    char text[ADDRESS_TEXT];
    struct registry_client client;

    if (facts.asn != 0)
        record_set_number(record, RECORD_ASN, facts.asn);
    if (facts.country[0] != '\0')
        record_set_text(record, RECORD_COUNTRY, facts.country);
    if (address.size == 0 || address.size >= sizeof(text))
        return;
    memcpy(text, address.data, address.size);
    text[address.size] = '\0';
    const struct room *room =
        registry_find_client(registry, text, &client) ? registry_room(registry, &client) : NULL;
    if (room != NULL)
        record_set_text(record, RECORD_ROOM, room->name);
}

static void add_network(const struct registry *registry, json_t *peer)
{
    const char *text = json_string_value(json_object_get(peer, "address"));

    if (text == NULL)
        return;
    struct network_facts facts = look_up(registry, span_of(text));
    if (facts.asn != 0)
        json_object_set_new(peer, "asn", json_integer((json_int_t)facts.asn));
    if (facts.country[0] != '\0')
        json_object_set_new(peer, "country", control_text(span_of(facts.country)));
}

json_t *registry_read_kernel(struct registry *registry, struct span text)
{
    json_t *kernel = json_loadb(text.data, text.size, 0, NULL), *call, *peer;
    size_t i, j;

    if (!json_is_object(kernel)) {
        json_decref(kernel);
        return NULL;
    }
    json_array_foreach(json_object_get(kernel, "calls"), i, call)
    {
        add_room(registry, call);
        json_array_foreach(json_object_get(call, "peers"), j, peer) add_network(registry, peer);
    }
    return kernel;
}
