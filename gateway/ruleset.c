/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The table "inet sekisho", brought to what a configuration says in one transaction: the kernel
 * takes all of it or nothing, and no packet meets a state between.
 *
 * The chains stay and get new rules, sets that are wanted as before stay and get new contents, so
 * that counters, the addresses that dnsmasq has found, the connections of each client and the calls
 * under way survive a reload and also a restart. (Replacing the table would also leave a moment in
 * which a packet can meet the old chain already empty and the new one not yet filled.) Only when
 * the kernel refuses that, because the table is of another version, the table is replaced.
 */
#include <netinet/in.h> /* before linux/netfilter.h, which has its own otherwise */
#include <linux/netfilter.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "gateway/log.h"
#include "gateway/ruleset.h"
#include "gateway/ruleset_batch.h"

#define PRIORITY_MANGLE -150 /* before routing */
#define PRIORITY_DNAT   -100
#define PRIORITY_FILTER 0

static const struct {
    const char *name, *type; /* without a type: rules jump to it */
    uint32_t hook;
    int32_t priority;
} chains[] = {
    {"intercept", "filter", NF_INET_PRE_ROUTING, PRIORITY_MANGLE},
    {"resolve", "nat", NF_INET_PRE_ROUTING, PRIORITY_DNAT},
    {"forward", "filter", NF_INET_FORWARD, PRIORITY_FILTER},
    {"proxied", "filter", NF_INET_LOCAL_OUT, PRIORITY_FILTER},
    {"media", NULL, 0, 0},
    {"from_lan", NULL, 0, 0},
    {"to_lan", NULL, 0, 0},
    {"services", NULL, 0, 0},
    {"peers", NULL, 0, 0},
    {"accepted", NULL, 0, 0},
    {"permits", NULL, 0, 0},
};

/*
 * A bridge whose frames are shown to iptables loses the socket that TPROXY chose: nothing gets out,
 * but nothing works either.
 */
static void warn_of_bridges(const struct configuration *configuration)
{
    static const char *const settings[] = {"/proc/sys/net/bridge/bridge-nf-call-iptables",
                                           "/proc/sys/net/bridge/bridge-nf-call-ip6tables"};
    bool has_bridge = false;

    for (size_t i = 0; i < configuration->lan_count; i++) {
        char path[64 + IFNAMSIZ];
        snprintf(path, sizeof(path), "/sys/class/net/%s/bridge", configuration->lan[i]);
        has_bridge = has_bridge || access(path, F_OK) == 0;
    }
    for (size_t i = 0; has_bridge && i < sizeof(settings) / sizeof(settings[0]); i++) {
        FILE *file = fopen(settings[i], "re");
        if (file != NULL && fgetc(file) == '1')
            log_warnx("%s is 1: connections intercepted on a bridge fail; set it to 0",
                      settings[i]);
        if (file != NULL)
            fclose(file);
    }
}

/* --- what is there and what is wanted --- */

static const struct ruleset_set *find_set(const struct ruleset_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->set_count; i++)
        if (strcmp(plan->sets[i].name, name) == 0)
            return &plan->sets[i];
    return NULL;
}

/* Whether the kernel's set can stay for the wanted one (NULL: none is wanted). */
static bool fits(const struct ruleset_known_set *known, const struct ruleset_set *wanted)
{
    const struct ruleset_set_traits *traits;

    if (wanted == NULL)
        return false;
    traits = ruleset_set_traits(wanted->type);
    return known->number == traits->number && known->size == traits->size &&
           known->flags == traits->flags;
}

static bool is_there(const struct ruleset_known *known, const struct ruleset_set *wanted)
{
    for (size_t i = 0; i < known->set_count; i++)
        if (strcmp(known->sets[i].name, wanted->name) == 0)
            return fits(&known->sets[i], wanted);
    return false;
}

static bool knows_counter(const struct ruleset_known *known, const char *name)
{
    for (size_t i = 0; i < known->counter_count; i++)
        if (strcmp(known->counters[i].name, name) == 0)
            return true;
    return false;
}

static bool wants_counter(const struct ruleset_plan *plan, const char *name)
{
    for (size_t i = 0; i < plan->counter_count; i++)
        if (strcmp(plan->counters[i], name) == 0)
            return true;
    return false;
}

/* Rules hold sets, and sets hold counters: what goes, goes in this order. */
static void batch_clean(struct ruleset_batch *batch, const struct ruleset_known *known,
                        const struct ruleset_plan *plan)
{
    ruleset_batch_flush_rules(batch);
    for (size_t i = 0; i < known->set_count; i++) {
        const struct ruleset_set *wanted = find_set(plan, known->sets[i].name);

        if (!fits(&known->sets[i], wanted))
            ruleset_batch_delete_set(batch, known->sets[i].name);
        else if (!wanted->kept)
            ruleset_batch_flush_set(batch, wanted->name);
    }
    for (size_t i = 0; i < known->counter_count; i++)
        if (!wants_counter(plan, known->counters[i].name))
            ruleset_batch_delete_counter(batch, known->counters[i].name);
}

static void batch_fill(struct ruleset_batch *batch, const struct ruleset_known *known,
                       const struct ruleset_plan *plan)
{
    for (size_t i = 0; i < plan->counter_count; i++)
        if (!knows_counter(known, plan->counters[i]))
            ruleset_batch_add_counter(batch, plan->counters[i]);
    for (size_t i = 0; i < plan->set_count; i++) {
        if (!is_there(known, &plan->sets[i]))
            ruleset_batch_add_set(batch, &plan->sets[i]);
        ruleset_batch_fill_set(batch, &plan->sets[i]);
    }
}

/* --- the transactions --- */

static int install(const struct configuration *configuration, const struct ruleset_plan *plan,
                   const struct ruleset_known *known, enum ruleset_table what, char *error,
                   size_t size)
{
    struct ruleset_batch *batch = ruleset_batch_new(what);
    int result = -1;

    if (what == RULESET_TABLE_KEEP)
        batch_clean(batch, known, plan);
    batch_fill(batch, known, plan);
    for (size_t i = 0; i < sizeof(chains) / sizeof(chains[0]); i++)
        ruleset_batch_chain(batch, chains[i].name, chains[i].type, chains[i].hook,
                            chains[i].priority);
    if (ruleset_rules_make(configuration, ruleset_batch_rule, batch))
        result = ruleset_batch_run(batch, error, size);
    else
        snprintf(error, size, "nftables: no memory for the rules");
    ruleset_batch_free(batch);
    return result;
}

int ruleset_install(const struct configuration *configuration, char *error, size_t size)
{
    const struct ruleset_known nothing = {.set_count = 0};
    struct ruleset_known known;
    struct ruleset_plan plan;
    int result = -1;

    for (size_t i = 0; i < configuration->lan_count; i++) {
        if (strlen(configuration->lan[i]) < IFNAMSIZ)
            continue;
        snprintf(error, size, "network.lan: no interface can be named %s", configuration->lan[i]);
        return -1;
    }
    warn_of_bridges(configuration);
    /* Routing first: without a mark nothing meets it, but a mark without routing meets a drop. */
    if (routing_install(configuration->mark, configuration->route_table, error, size) != 0)
        return -1;
    ruleset_plan_make(configuration, &plan);
    if (ruleset_known_read(&known) == 0)
        result = install(configuration, &plan, &known, RULESET_TABLE_KEEP, error, size);
    if (result != 0)
        result = install(configuration, &plan, &nothing, RULESET_TABLE_REPLACE, error, size);
    ruleset_known_clear(&known);
    ruleset_plan_clear(&plan);
    if (result == 0)
        ruleset_shape_note();
    return result;
}

int ruleset_set_consultation(const struct configuration *configuration, bool on, char *error,
                             size_t size)
{
    struct ruleset_batch *batch = ruleset_batch_new(RULESET_TABLE_KEEP);
    struct ruleset_set set = {.name = "consultation", .type = RULESET_INTERFACES};
    int result;

    ruleset_batch_flush_set(batch, set.name);
    if (on) {
        ruleset_set_add_interfaces(&set, configuration->lan, configuration->lan_count);
        ruleset_batch_fill_set(batch, &set);
    }
    result = ruleset_batch_run(batch, error, size);
    free(set.elements);
    ruleset_batch_free(batch);
    return result;
}

int ruleset_remove(const struct configuration *configuration, char *error, size_t size)
{
    struct ruleset_batch *batch = ruleset_batch_new(RULESET_TABLE_REMOVE);
    int result = ruleset_batch_run(batch, error, size);

    ruleset_batch_free(batch);
    if (result != 0)
        return -1;
    return routing_remove(configuration->route_table, error, size);
}
