/* SPDX-License-Identifier: BSD-2-Clause */
/* Which device a text means: by its MAC where the neighbour table knows one, otherwise by address.
 */
#include <stdio.h>
#include <string.h>

#include "gateway/deadline.h"
#include "gateway/registry.h"

static bool parse_mac(const char *text, uint8_t mac[6])
{
    unsigned bytes[6];
    char more;

    if (strlen(text) != 17 || sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%c", &bytes[0], &bytes[1],
                                     &bytes[2], &bytes[3], &bytes[4], &bytes[5], &more) != 6)
        return false;
    for (size_t i = 0; i < 6; i++)
        mac[i] = (uint8_t)bytes[i];
    return true;
}

const struct room *registry_room(const struct registry *registry,
                                 const struct registry_client *client)
{
    int room = configuration_room(registry->configuration, &client->address,
                                  client->has_mac ? client->mac : NULL);

    return room < 0 ? NULL : &registry->configuration->rooms[room];
}

void registry_name_scope(const struct registry *registry, const struct registry_client *client,
                         char scope[SCOPE_TEXT])
{
    enum policy_scope reach = registry->configuration->policy.scope;
    const struct room *room = registry_room(registry, client);

    if (reach == SCOPE_CLINIC)
        snprintf(scope, SCOPE_TEXT, "clinic");
    else if (reach == SCOPE_ROOM && room != NULL)
        snprintf(scope, SCOPE_TEXT, "room:%.180s", room->name);
    else
        snprintf(scope, SCOPE_TEXT, "client:%s", client->name);
}

bool registry_find_client(struct registry *registry, const char *text,
                          struct registry_client *client)
{
    memset(client, 0, sizeof(*client));
    client->has_mac = parse_mac(text, client->mac);
    if (!client->has_mac) {
        if (!address_parse(span_of(text), &client->address))
            return false;
        client->has_mac =
            registry->neighbours != NULL &&
            neighbours_find(registry->neighbours, &client->address, clock_monotonic(), client->mac);
        address_format(&client->address, client->name);
    }
    if (client->has_mac)
        snprintf(client->name, sizeof(client->name), "%02x:%02x:%02x:%02x:%02x:%02x",
                 client->mac[0], client->mac[1], client->mac[2], client->mac[3], client->mac[4],
                 client->mac[5]);
    return true;
}
