/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules that sections of the configuration add: the chains "services" (media of each service),
 * "peers" (calls straight between two devices) and "permits".
 */
#include <netinet/in.h> /* before linux/netfilter.h, which has its own otherwise */
#include <linux/netfilter.h>
#include <stdio.h>
#include <string.h>

#include "gateway/ruleset_steps.h"

#define PORT_QUIC 443

struct making {
    const struct ruleset_facts *facts;
    ruleset_take *take;
    void *context;
    bool failed; /* no memory */
};

/* A row on its way. Names are copied, because the kernel is told only when it is whole. */
struct draft {
    struct rule_row row;
    size_t count;
    char names[RULESET_STEPS][RULESET_NAME];
};

static struct draft draft_new(const char *chain, const char *comment)
{
    return (struct draft){.row = {.chain = chain, .comment = comment}};
}

static void draft_add(struct draft *draft, enum step_kind kind, uint32_t number)
{
    draft->row.steps[draft->count++] = (struct step){kind, NULL, number};
}

/* With the set or counter KIND_OF, or KIND alone. */
static void draft_add_name(struct draft *draft, enum step_kind kind, uint32_t number,
                           const char *name, const char *of)
{
    if (of != NULL)
        ruleset_name(draft->names[draft->count], name, of);
    else
        snprintf(draft->names[draft->count], RULESET_NAME, "%s", name);
    draft_add(draft, kind, number);
}

static void draft_add_family(struct draft *draft, uint8_t family)
{
    draft_add(draft, STEP_FAMILY, family == 4 ? NFPROTO_IPV4 : NFPROTO_IPV6);
}

static void make(struct making *making, struct draft *draft)
{
    struct nftnl_rule *rule;

    for (size_t i = 0; i < draft->count; i++)
        if (draft->names[i][0] != '\0')
            draft->row.steps[i].name = draft->names[i];
    if (making->failed)
        return;
    rule = ruleset_row_build(&draft->row, making->facts);
    making->failed = rule == NULL || !making->take(making->context, rule);
}

/* --- services --- */

/* One way of media: of a family, to a set of addresses, by a protocol. */
static void make_media(struct making *making, const struct service *service, uint8_t family,
                       const char *addresses, uint32_t protocol)
{
    struct draft draft = draft_new("services", service->name);

    draft_add_family(&draft, family);
    draft_add(&draft, STEP_PROTOCOL, protocol);
    draft_add_name(&draft, STEP_PORT_IN, 0, protocol == IPPROTO_UDP ? "udp" : "tcp", service->name);
    draft_add_name(&draft, STEP_TARGET, family, addresses, service->name);
    draft_add(&draft, STEP_MARK, ruleset_mark(service->name, false));
    draft_add_name(&draft, STEP_GOTO, 0, "accepted", NULL);
    make(making, &draft);
}

static void make_quic(struct making *making, const struct service *service, uint8_t family,
                      const char *addresses)
{
    struct draft draft = draft_new("services", service->name);

    draft_add_family(&draft, family);
    draft_add(&draft, STEP_PROTOCOL, IPPROTO_UDP);
    draft_add(&draft, STEP_PORT, PORT_QUIC);
    draft_add_name(&draft, STEP_TARGET, family, addresses, service->name);
    draft_add_name(&draft, STEP_COUNT, 0, "quic-passed", NULL);
    draft_add(&draft, STEP_VERDICT, NF_ACCEPT);
    make(making, &draft);
}

static void make_addresses(struct making *making, const struct service *service, uint8_t family,
                           const char *addresses)
{
    if (service->media_udp_count > 0)
        make_media(making, service, family, addresses, IPPROTO_UDP);
    if (service->media_tcp_count > 0)
        make_media(making, service, family, addresses, IPPROTO_TCP);
}

/* The first that allows it has all of them: nothing in a packet to a peer tells the service. */
static void make_peers(struct making *making, const struct service *service)
{
    struct draft draft = draft_new("peers", service->name);

    draft_add_name(&draft, STEP_COUNT, 0, "peer-to-peer-new", NULL);
    draft_add(&draft, STEP_MARK, ruleset_mark(service->name, true));
    draft_add_name(&draft, STEP_GOTO, 0, "accepted", NULL);
    make(making, &draft);
}

static void make_service(struct making *making, const struct service *service)
{
    bool has_hosts = hostset_count(service->media_hosts) > 0;

    if (ruleset_has_media(service)) {
        make_addresses(making, service, 4, "media4");
        make_addresses(making, service, 6, "media6");
    }
    if (has_hosts) {
        make_addresses(making, service, 4, "names4");
        make_addresses(making, service, 6, "names6");
    }
    if (has_hosts && service->quic) {
        make_quic(making, service, 4, "names4");
        make_quic(making, service, 6, "names6");
    }
}

/* --- permits --- */

static void make_permit_ports(struct making *making, struct draft draft,
                              const struct permit *permit, const char *ports, uint32_t protocol)
{
    if (ports != NULL) {
        draft_add(&draft, STEP_PROTOCOL, protocol);
        draft_add_name(&draft, STEP_PORT_IN, 0, ports, permit->name);
    }
    draft_add(&draft, STEP_MARK, RULESET_PERMITTED);
    draft_add_name(&draft, STEP_COUNT, 0, "permit", permit->name);
    draft_add(&draft, STEP_VERDICT, NF_ACCEPT);
    make(making, &draft);
}

static void make_permit(struct making *making, const struct permit *permit, uint8_t family,
                        bool from_lan)
{
    struct draft draft = draft_new("permits", permit->name);

    draft_add_family(&draft, family);
    if (from_lan)
        draft_add_name(&draft, STEP_FROM, 0, "lan", NULL);
    else
        draft_add_name(&draft, STEP_SOURCE, family, family == 4 ? "from4" : "from6", permit->name);
    draft_add_name(&draft, STEP_TARGET, family, family == 4 ? "to4" : "to6", permit->name);
    if (permit->tcp_count > 0)
        make_permit_ports(making, draft, permit, "permit-tcp", IPPROTO_TCP);
    if (permit->udp_count > 0)
        make_permit_ports(making, draft, permit, "permit-udp", IPPROTO_UDP);
    if (permit->tcp_count == 0 && permit->udp_count == 0)
        make_permit_ports(making, draft, permit, NULL, 0);
}

static void make_permits(struct making *making, const struct permit *permit)
{
    bool lan = false, networks = false;

    for (size_t i = 0; i < permit->from_count; i++)
        *(permit->from[i].address.family == 0 ? &lan : &networks) = true;
    for (uint8_t family = 4; family <= 6; family = (uint8_t)(family + 2)) {
        if (lan)
            make_permit(making, permit, family, true);
        if (networks)
            make_permit(making, permit, family, false);
    }
}

bool ruleset_services_make(const struct configuration *configuration,
                           const struct ruleset_facts *facts, ruleset_take *take, void *context)
{
    struct making making = {facts, take, context, false};
    const struct policy *policy = &configuration->policy;

    for (size_t i = 0; i < policy->service_count; i++)
        make_service(&making, &policy->services[i]);
    for (size_t i = 0; i < policy->service_count; i++)
        if (policy->services[i].peer_to_peer)
            make_peers(&making, &policy->services[i]);
    for (size_t i = 0; i < configuration->permit_count; i++)
        make_permits(&making, &configuration->permits[i]);
    return !making.failed;
}
