/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A rule as a row of steps, from left to right as nft writes them: what must match, then what is
 * counted and done. ruleset_steps.c makes the kernel's expressions of them.
 */
#ifndef GATEWAY_RULESET_STEPS_H
#define GATEWAY_RULESET_STEPS_H

#include "gateway/ruleset_parts.h"

#define RULESET_STEPS 8

enum step_kind {
    STEP_END,
    /* what must match */
    STEP_FAMILY,    /* number: NFPROTO_ */
    STEP_PROTOCOL,  /* number: IPPROTO_ */
    STEP_PORT,      /* number: the destination port */
    STEP_PORT_IN,   /* name: a set */
    STEP_FROM,      /* name: a set of interfaces that it came in by */
    STEP_NOT_FROM,  /* name */
    STEP_TO,        /* name: a set of interfaces that it goes out by */
    STEP_ROUTED_TO, /* name: the same, before routing */
    STEP_NOT_BACK,  /* name: answers to it would go out by none of them */
    STEP_LOCAL,     /* to an address of this machine */
    STEP_SOURCE,    /* name: a set of networks; number: 4 or 6, as its family is */
    STEP_TARGET,    /* name: the same of destinations */
    STEP_STATE,     /* number: bits of the connection's state, one is enough */
    STEP_REPLY,     /* in the direction of answers */
    STEP_MARKED,    /* number: the mark of its flow */
    STEP_USER,      /* of this machine, from a process of the proxy's user */
    STEP_STUN,      /* how a UDP packet begins */
    STEP_DTLS,
    STEP_RTP,
    STEP_CLIENT_LIMIT, /* number: 4 or 6; more connections of one client than it may have */
    /* what is done */
    STEP_COUNT,       /* name: a counter */
    STEP_COUNT_MEDIA, /* the counter of the service whose mark the flow has; no match without */
    STEP_MARK,        /* number: the flow's mark from now on */
    STEP_CALL,        /* number: 4 or 6; the two ends and the mark are in a call */
    STEP_VERDICT,     /* number: NF_ACCEPT, NF_DROP, NFT_RETURN */
    STEP_JUMP,        /* name: a chain */
    STEP_GOTO,        /* name */
    STEP_INTERCEPT,   /* number: 4 or 6 */
    STEP_RESOLVER,    /* number: 4 or 6; to the LAN's resolver */
    STEP_RESET,       /* refused by TCP RST */
    STEP_REJECT,      /* refused by ICMP; number: NFT_REJECT_ICMPX_ */
};

struct step {
    enum step_kind kind;
    const char *name;
    uint32_t number;
};

struct rule_row {
    const char *chain;
    const char *comment;
    struct step steps[RULESET_STEPS]; /* to the first STEP_END, or all */
};

/* What the rules depend on besides the contents of sets. NULL: there is none of that family. */
struct ruleset_facts {
    const struct sockaddr_in *listener4;
    const struct sockaddr_in6 *listener6;
    const struct address *dns4, *dns6; /* where other plain DNS goes; neither: this machine */
    uint32_t mark;
    uint32_t proxy_user; /* whom the workers run as; 0: as root, like everything else */
    unsigned limit;
    char limit4[RULESET_NAME], limit6[RULESET_NAME];
};

/* The row as a rule; NULL when there is no memory. */
struct nftnl_rule *ruleset_row_build(const struct rule_row *row, const struct ruleset_facts *facts);

/* The rules of the chains "services" and "permits", by ruleset_services.c. False: no memory. */
bool ruleset_services_make(const struct configuration *configuration,
                           const struct ruleset_facts *facts, ruleset_take *take, void *context);

#endif
