/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * What the databases of networks add to a configuration: the networks of the autonomous systems
 * that a service names. Each database is read whole here, so that one that is damaged is an error
 * of the check and not of a connection later.
 */
#include "gateway/configuration_reader.h"

#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/networks.h"

#define LETTERS 26

/* One system that one service names. */
struct wanted {
    const struct service_system *system;
    struct service *service;
    struct network *networks;
    size_t count, room;
};

struct gathering {
    struct wanted *wanted; /* by number */
    size_t wanted_count;
    size_t countries[LETTERS * LETTERS]; /* networks of each */
};

static int compare_wanted(const void *a, const void *b)
{
    uint32_t left = ((const struct wanted *)a)->system->number;
    uint32_t right = ((const struct wanted *)b)->system->number;

    return left < right ? -1 : left > right;
}

static void add_network(struct wanted *wanted, const struct network *network)
{
    if (wanted->count == wanted->room) {
        wanted->room = wanted->room ? 2 * wanted->room : 16;
        wanted->networks = memory_resize(wanted->networks, wanted->room, sizeof(*wanted->networks));
    }
    wanted->networks[wanted->count++] = *network;
}

/* Several services may name one system. */
static void take_system(void *context, const struct network *network,
                        const struct network_facts *facts)
{
    struct gathering *gathering = context;
    size_t first = 0, last = gathering->wanted_count;

    while (first < last) {
        size_t middle = first + (last - first) / 2;
        if (gathering->wanted[middle].system->number < facts->asn)
            first = middle + 1;
        else
            last = middle;
    }
    for (; first < gathering->wanted_count && gathering->wanted[first].system->number == facts->asn;
         first++)
        add_network(&gathering->wanted[first], network);
}

static size_t *count_of(struct gathering *gathering, const char *code)
{
    return &gathering->countries[(code[0] - 'A') * LETTERS + (code[1] - 'A')];
}

static void take_country(void *context, const struct network *network,
                         const struct network_facts *facts)
{
    (void)network;
    if (facts->country[0])
        ++*count_of(context, facts->country);
}

/* Reads a database whole. False when there is none, or it is wrong. */
static bool read_database(struct reader *reader, const char *option, const char *path,
                          networks_visitor *visit, struct gathering *gathering)
{
    char error[512];
    struct networks *networks;
    bool fine;

    if (!path[0])
        return false;
    networks = networks_open(path, error, sizeof(error));
    fine = networks && networks_walk(networks, visit, gathering, error, sizeof(error));
    if (!fine)
        reader_error(reader, reader_rule_of(reader, SECTION_NETWORK, option), "network.%s: %s",
                     option, error);
    networks_close(networks);
    return fine;
}

/* --- systems --- */

static void list_wanted(struct gathering *gathering, struct policy *policy)
{
    for (size_t i = 0; i < policy->service_count; i++) {
        struct service *service = &policy->services[i];
        gathering->wanted =
            memory_resize(gathering->wanted, gathering->wanted_count + service->system_count + 1,
                          sizeof(*gathering->wanted));
        for (size_t k = 0; k < service->system_count; k++)
            gathering->wanted[gathering->wanted_count++] =
                (struct wanted){.system = &service->systems[k], .service = service};
    }
    if (gathering->wanted_count > 0)
        qsort(gathering->wanted, gathering->wanted_count, sizeof(*gathering->wanted),
              compare_wanted);
}

/* The networks go to their service, beside those that its profile says. */
static void hand_over(struct wanted *wanted)
{
    struct service *service = wanted->service;

    if (wanted->count == 0)
        return;
    service->networks = memory_resize(service->networks, service->network_count + wanted->count,
                                      sizeof(*service->networks));
    memcpy(service->networks + service->network_count, wanted->networks,
           wanted->count * sizeof(*wanted->networks));
    service->network_count += wanted->count;
}

static void fill_systems(struct reader *reader, struct gathering *gathering)
{
    struct configuration *c = reader->configuration;

    list_wanted(gathering, &c->policy);
    bool known = read_database(reader, "asn-database", c->asn_database, take_system, gathering);
    for (size_t i = 0; i < gathering->wanted_count; i++) {
        struct wanted *wanted = &gathering->wanted[i];
        if (!c->asn_database[0])
            reader_warning(reader, wanted->system->rule,
                           "asn %u of service \"%s\" is not known without network.asn-database: "
                           "only the networks that its profile lists count",
                           wanted->system->number, wanted->service->name);
        else if (known && wanted->count == 0)
            reader_warning(reader, wanted->system->rule,
                           "asn %u of service \"%s\" has no network in %s", wanted->system->number,
                           wanted->service->name, c->asn_database);
        hand_over(wanted);
        free(wanted->networks);
    }
    free(gathering->wanted);
    for (size_t i = 0; i < c->policy.service_count; i++)
        c->policy.services[i].network_count = network_list_arrange(
            c->policy.services[i].networks, c->policy.services[i].network_count);
}

/* --- countries --- */

static void check_countries(struct reader *reader, struct gathering *gathering, bool known,
                            const char *option, const struct country *list, size_t count)
{
    const char *path = reader->configuration->country_database;

    for (size_t i = 0; i < count; i++)
        if (!path[0])
            reader_error(reader, list[i].rule,
                         "policy.%s: nobody knows what is in %s without network.country-database",
                         option, list[i].code);
        else if (known && *count_of(gathering, list[i].code) == 0)
            reader_warning(reader, list[i].rule, "policy.%s: %s has no network in %s", option,
                           list[i].code, path);
}

void reader_fill_networks(struct reader *reader)
{
    const struct configuration *c = reader->configuration;
    const struct policy *policy = &c->policy;
    struct gathering *gathering = memory_allocate(1, sizeof(*gathering));

    fill_systems(reader, gathering);
    bool known =
        read_database(reader, "country-database", c->country_database, take_country, gathering);
    check_countries(reader, gathering, known, "country-allow", policy->country_allow,
                    policy->country_allow_count);
    check_countries(reader, gathering, known, "country-deny", policy->country_deny,
                    policy->country_deny_count);
    free(gathering);
}
