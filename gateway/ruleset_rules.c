/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The rules of the table "inet sekisho". `nft list table inet sekisho` shows them with their
 * comments.
 *
 *     intercept   before routing: the LAN's web goes to the proxy, or nowhere
 *     resolve     before routing: the LAN's plain DNS goes to its resolver
 *     forward     media under way passes; the rest goes to from_lan and to_lan
 *     proxied     of this machine: the proxy does not reach into segments
 *     services    the first packets of media: to whom, and by which ports
 *     permits     what permit sections name
 *
 * A packet of the LAN is judged by where it goes, each anew; an answer to the LAN passes when what
 * it answers has passed. An answer of the LAN does so only where a permit let the question in, and
 * nobody can ask in a stranger's name: else whoever wants to get out would write the question too.
 * So it is with ICMP errors: the proxy takes a connection to anywhere, and an error of it would go
 * there and carry what its writer likes.
 * Only media has a memory, the mark of its flow, so that a call goes on whatever becomes of the
 * sets.
 */
#include <netinet/in.h> /* before linux/netfilter.h, which has its own otherwise */
#include <linux/netfilter.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_tables.h>
#include <pwd.h>
#include <string.h>
#include <unistd.h>

#include "gateway/process.h"
#include "gateway/ruleset_steps.h"

#define PORT_DNS          53
#define PORT_QUIC         443
#define PORT_DNS_OVER_TLS 853

/* When a row is wanted. */
enum wish {
    ALWAYS,
    LISTENER4, /* there is a transparent listener of that family */
    LISTENER6,
    PROXY_APART, /* there are segments, and the proxy is known by its user */
    SEGMENTS,    /* there are segments: what asks for them costs a look into the routing table */
    REDIRECT,    /* plain DNS goes to the LAN's resolver */
    RESOLVER4,   /* ... and there is one of that family */
    RESOLVER6,
    DNS_IS_NAMED, /* the LAN has a resolver, so other plain DNS is refused */
    MEDIA_CHECK,
    STRICT,
    CONSULTATION,
};

struct wished_row {
    enum wish wish;
    struct rule_row row;
};

/* clang-format off */
#define IPV4               {STEP_FAMILY, NULL, NFPROTO_IPV4}
#define IPV6               {STEP_FAMILY, NULL, NFPROTO_IPV6}
#define TCP                {STEP_PROTOCOL, NULL, IPPROTO_TCP}
#define UDP                {STEP_PROTOCOL, NULL, IPPROTO_UDP}
#define PORT(number)       {STEP_PORT, NULL, number}
#define WEB                {STEP_PORT_IN, "web", 0}
#define FROM(set)          {STEP_FROM, set, 0}
#define NOT_FROM(set)      {STEP_NOT_FROM, set, 0}
#define TO(set)            {STEP_TO, set, 0}
#define ROUTED_TO(set)     {STEP_ROUTED_TO, set, 0}
#define NOT_BACK(set)      {STEP_NOT_BACK, set, 0}
#define LOCAL              {STEP_LOCAL, NULL, 0}
#define SOURCE4(set)       {STEP_SOURCE, set, 4}
#define SOURCE6(set)       {STEP_SOURCE, set, 6}
#define TARGET4(set)       {STEP_TARGET, set, 4}
#define TARGET6(set)       {STEP_TARGET, set, 6}
#define STATE(bits)        {STEP_STATE, NULL, bits}
#define NEW                NF_CT_STATE_BIT(IP_CT_NEW)
#define ESTABLISHED        NF_CT_STATE_BIT(IP_CT_ESTABLISHED)
#define RELATED            NF_CT_STATE_BIT(IP_CT_RELATED)
#define REPLY              {STEP_REPLY, NULL, 0}
#define MARKED(mark)       {STEP_MARKED, NULL, mark}
#define MARK(mark)         {STEP_MARK, NULL, mark}
#define PROXY              {STEP_USER, NULL, 0}
#define STUN               {STEP_STUN, NULL, 0}
#define DTLS               {STEP_DTLS, NULL, 0}
#define RTP                {STEP_RTP, NULL, 0}
#define LIMIT4             {STEP_CLIENT_LIMIT, NULL, 4}
#define LIMIT6             {STEP_CLIENT_LIMIT, NULL, 6}
#define COUNT(name)        {STEP_COUNT, name, 0}
#define COUNT_MEDIA        {STEP_COUNT_MEDIA, NULL, 0}
#define CALL4              {STEP_CALL, NULL, 4}
#define CALL6              {STEP_CALL, NULL, 6}
#define ACCEPT             {STEP_VERDICT, NULL, NF_ACCEPT}
#define DROP               {STEP_VERDICT, NULL, NF_DROP}
#define RETURN             {STEP_VERDICT, NULL, (uint32_t)NFT_RETURN}
#define JUMP(chain)        {STEP_JUMP, chain, 0}
#define GOTO(chain)        {STEP_GOTO, chain, 0}
#define INTERCEPT4         {STEP_INTERCEPT, NULL, 4}
#define INTERCEPT6         {STEP_INTERCEPT, NULL, 6}
#define RESOLVE4           {STEP_RESOLVER, NULL, 4}
#define RESOLVE6           {STEP_RESOLVER, NULL, 6}
#define RESET              {STEP_RESET, NULL, 0}
#define UNREACHABLE        {STEP_REJECT, NULL, NFT_REJECT_ICMPX_PORT_UNREACH}
#define PROHIBITED         {STEP_REJECT, NULL, NFT_REJECT_ICMPX_ADMIN_PROHIBITED}

#define ROW(wish, chain, comment, ...) {wish, {chain, comment, {__VA_ARGS__}}}

/*
 * A sender to whom no answer would go by the LAN is none of the LAN. Not even this machine may be
 * asked in his name: its answer, or its error, would carry the question to him.
 *
 * The drop behind the interceptions is what makes it fail closed: TPROXY that finds no listening
 * socket does not match, and its packet would go on and be forwarded. The forward chain says it
 * again for packets that never met the first one (rules of others that return early, for instance).
 */
static const struct wished_row rows[] = {
    ROW(ALWAYS, "intercept", "not from the LAN", NOT_FROM("lan"), RETURN),
    ROW(ALWAYS, "intercept", "in a stranger's name",
        STATE(NEW), NOT_BACK("lan"), COUNT("forged"), DROP),
    ROW(ALWAYS, "intercept", "the gateway's own addresses", LOCAL, RETURN),
    ROW(ALWAYS, "intercept", "a closed network", IPV4, TARGET4("bypass4"), RETURN),
    ROW(ALWAYS, "intercept", "a closed network", IPV6, TARGET6("bypass6"), RETURN),
    ROW(SEGMENTS, "intercept", "a segment: never through the proxy",
        TCP, WEB, ROUTED_TO("segments"), RETURN),
    ROW(ALWAYS, "intercept", "too many of one client",
        IPV4, TCP, WEB, STATE(NEW), LIMIT4, COUNT("limited"), DROP),
    ROW(ALWAYS, "intercept", "too many of one client",
        IPV6, TCP, WEB, STATE(NEW), LIMIT6, COUNT("limited"), DROP),
    ROW(LISTENER4, "intercept", "to the listener",
        IPV4, TCP, WEB, INTERCEPT4, COUNT("intercepted"), ACCEPT),
    ROW(LISTENER6, "intercept", "to the listener",
        IPV6, TCP, WEB, INTERCEPT6, COUNT("intercepted"), ACCEPT),
    ROW(ALWAYS, "intercept", "no listener: fail closed", TCP, WEB, COUNT("unserved"), DROP),

    ROW(REDIRECT, "resolve", "not from the LAN", NOT_FROM("lan"), RETURN),
    ROW(REDIRECT, "resolve", "the gateway's own addresses", LOCAL, RETURN),
    ROW(REDIRECT, "resolve", "a closed network", IPV4, TARGET4("bypass4"), RETURN),
    ROW(REDIRECT, "resolve", "a closed network", IPV6, TARGET6("bypass6"), RETURN),
    ROW(SEGMENTS, "resolve", "a segment", ROUTED_TO("segments"), RETURN),
    ROW(REDIRECT, "resolve", "a resolver of the LAN", IPV4, TARGET4("dns4"), RETURN),
    ROW(REDIRECT, "resolve", "a resolver of the LAN", IPV6, TARGET6("dns6"), RETURN),
    ROW(RESOLVER4, "resolve", "DNS to elsewhere",
        IPV4, UDP, PORT(PORT_DNS), COUNT("dns-redirected"), RESOLVE4),
    ROW(RESOLVER4, "resolve", "DNS to elsewhere",
        IPV4, TCP, PORT(PORT_DNS), COUNT("dns-redirected"), RESOLVE4),
    ROW(RESOLVER6, "resolve", "DNS to elsewhere",
        IPV6, UDP, PORT(PORT_DNS), COUNT("dns-redirected"), RESOLVE6),
    ROW(RESOLVER6, "resolve", "DNS to elsewhere",
        IPV6, TCP, PORT(PORT_DNS), COUNT("dns-redirected"), RESOLVE6),

    ROW(PROXY_APART, "proxied", "answers to a segment", STATE(ESTABLISHED), REPLY, ACCEPT),
    ROW(PROXY_APART, "proxied", "a segment: not through the proxy either",
        TO("segments"), TCP, PROXY, COUNT("segments"), RESET),

    ROW(ALWAYS, "forward", "media under way",
        STATE(ESTABLISHED | RELATED), COUNT_MEDIA, GOTO("media")),
    ROW(ALWAYS, "forward", "from the LAN", FROM("lan"), GOTO("from_lan")),
    ROW(ALWAYS, "forward", "to the LAN", TO("lan"), GOTO("to_lan")),

    ROW(ALWAYS, "media", "who is in a call", IPV4, CALL4),
    ROW(ALWAYS, "media", "who is in a call", IPV6, CALL6),
    ROW(ALWAYS, "media", "and passes", ACCEPT),

    ROW(ALWAYS, "from_lan", "a closed network",
        IPV4, TARGET4("bypass4"), COUNT("bypassed"), ACCEPT),
    ROW(ALWAYS, "from_lan", "a closed network",
        IPV6, TARGET6("bypass6"), COUNT("bypassed"), ACCEPT),
    ROW(ALWAYS, "from_lan", "errors of what a permit lets pass",
        STATE(RELATED), MARKED(RULESET_PERMITTED), ACCEPT),
    ROW(ALWAYS, "from_lan", "answers to what a permit lets in",
        STATE(ESTABLISHED), REPLY, MARKED(RULESET_PERMITTED), ACCEPT),
    ROW(ALWAYS, "from_lan", "permitted", JUMP("permits")),
    ROW(ALWAYS, "from_lan", "a segment", TO("segments"), TCP, COUNT("segments"), RESET),
    ROW(ALWAYS, "from_lan", "a segment", TO("segments"), COUNT("segments"), PROHIBITED),
    ROW(ALWAYS, "from_lan", "never around the gateway", TCP, WEB, COUNT("around"), DROP),
    ROW(ALWAYS, "from_lan", "media", JUMP("services")),
    ROW(ALWAYS, "from_lan", "QUIC of a service",
        IPV4, UDP, PORT(PORT_QUIC), TARGET4("quic4"), COUNT("quic-passed"), ACCEPT),
    ROW(ALWAYS, "from_lan", "QUIC of a service",
        IPV6, UDP, PORT(PORT_QUIC), TARGET6("quic6"), COUNT("quic-passed"), ACCEPT),
    ROW(ALWAYS, "from_lan", "QUIC: fall back to TCP", UDP, WEB, COUNT("quic"), UNREACHABLE),
    ROW(ALWAYS, "from_lan", "DNS over TLS",
        TCP, PORT(PORT_DNS_OVER_TLS), COUNT("dns-over-tls"), RESET),
    ROW(ALWAYS, "from_lan", "DNS over QUIC",
        UDP, PORT(PORT_DNS_OVER_TLS), COUNT("dns-over-tls"), UNREACHABLE),
    ROW(ALWAYS, "from_lan", "a resolver of the LAN",
        IPV4, UDP, PORT(PORT_DNS), TARGET4("dns4"), COUNT("dns-passed"), ACCEPT),
    ROW(ALWAYS, "from_lan", "a resolver of the LAN",
        IPV4, TCP, PORT(PORT_DNS), TARGET4("dns4"), COUNT("dns-passed"), ACCEPT),
    ROW(ALWAYS, "from_lan", "a resolver of the LAN",
        IPV6, UDP, PORT(PORT_DNS), TARGET6("dns6"), COUNT("dns-passed"), ACCEPT),
    ROW(ALWAYS, "from_lan", "a resolver of the LAN",
        IPV6, TCP, PORT(PORT_DNS), TARGET6("dns6"), COUNT("dns-passed"), ACCEPT),
    ROW(DNS_IS_NAMED, "from_lan", "DNS to elsewhere", TCP, PORT(PORT_DNS), COUNT("dns"), RESET),
    ROW(DNS_IS_NAMED, "from_lan", "DNS to elsewhere",
        UDP, PORT(PORT_DNS), COUNT("dns"), PROHIBITED),
    ROW(ALWAYS, "from_lan", "straight to a peer",
        UDP, FROM("consultation"), STUN, JUMP("peers")),
    ROW(ALWAYS, "from_lan", "within the LAN", TO("lan"), ACCEPT),
    ROW(STRICT, "from_lan", "nothing names it", TCP, COUNT("egress"), RESET),
    ROW(STRICT, "from_lan", "nothing names it", COUNT("egress"), PROHIBITED),
    ROW(CONSULTATION, "from_lan", "nothing names it, in a consultation",
        FROM("consultation"), TCP, COUNT("egress"), RESET),
    ROW(CONSULTATION, "from_lan", "nothing names it, in a consultation",
        FROM("consultation"), COUNT("egress"), PROHIBITED),
    ROW(ALWAYS, "from_lan", "everything else", COUNT("passed"), ACCEPT),

    ROW(MEDIA_CHECK, "accepted", "media is what it looks like", UDP, STUN, ACCEPT),
    ROW(MEDIA_CHECK, "accepted", "media is what it looks like", UDP, DTLS, ACCEPT),
    ROW(MEDIA_CHECK, "accepted", "media is what it looks like", UDP, RTP, ACCEPT),
    ROW(MEDIA_CHECK, "accepted", "no media", UDP, MARK(0), COUNT("unlike-media"), PROHIBITED),
    ROW(ALWAYS, "accepted", "and passes", COUNT("media-new"), ACCEPT),

    ROW(ALWAYS, "to_lan", "a closed network",
        IPV4, SOURCE4("bypass4"), COUNT("bypassed"), ACCEPT),
    ROW(ALWAYS, "to_lan", "a closed network",
        IPV6, SOURCE6("bypass6"), COUNT("bypassed"), ACCEPT),
    ROW(ALWAYS, "to_lan", "errors of what has passed", STATE(RELATED), ACCEPT),
    ROW(ALWAYS, "to_lan", "answers to what has passed", STATE(ESTABLISHED), REPLY, ACCEPT),
    ROW(ALWAYS, "to_lan", "permitted", JUMP("permits")),
    ROW(ALWAYS, "to_lan", "a segment", FROM("segments"), TCP, COUNT("segments"), RESET),
    ROW(ALWAYS, "to_lan", "a segment", FROM("segments"), COUNT("segments"), PROHIBITED),
    ROW(STRICT, "to_lan", "nobody has asked for it", COUNT("inbound"), DROP),
    ROW(CONSULTATION, "to_lan", "nobody has asked for it, in a consultation",
        TO("consultation"), COUNT("inbound"), DROP),
};
/* clang-format on */

static bool is_wanted(enum wish wish, const struct configuration *configuration,
                      const struct ruleset_facts *facts)
{
    bool redirect = configuration->dns_redirect;
    bool here = configuration->dns_count == 0; /* this machine is the resolver */

    switch (wish) {
    case ALWAYS:
        return true;
    case LISTENER4:
        return facts->listener4 != NULL;
    case LISTENER6:
        return facts->listener6 != NULL;
    case SEGMENTS:
        return configuration->segment_count > 0;
    case PROXY_APART:
        return configuration->segment_count > 0 && facts->proxy_user != 0;
    case REDIRECT:
        return redirect;
    case RESOLVER4:
        return redirect && (here || facts->dns4 != NULL);
    case RESOLVER6:
        return redirect && (here || facts->dns6 != NULL);
    case DNS_IS_NAMED:
        return redirect || !here;
    case MEDIA_CHECK:
        return configuration->media_check;
    case STRICT:
        return configuration->egress == EGRESS_STRICT;
    case CONSULTATION:
        return configuration->egress == EGRESS_CONSULTATION;
    }
    return true;
}

/* 0 when the workers run as whoever started the daemon. */
static uint32_t find_proxy_user(const struct configuration *configuration)
{
    const struct passwd *user = NULL;

    if (geteuid() == 0 && configuration->separate_users)
        user = getpwnam(WORKER_USER);
    return user == NULL ? 0 : user->pw_uid;
}

static void find_facts(const struct configuration *configuration, struct ruleset_facts *facts)
{
    *facts = (struct ruleset_facts){.mark = configuration->mark,
                                    .proxy_user = find_proxy_user(configuration),
                                    .limit = configuration->intercepted_per_client};
    for (size_t i = 0; i < configuration->listener_count; i++) {
        const struct listener_options *listener = &configuration->listeners[i];
        const void *address = &listener->address;

        if (!listener->transparent)
            continue;
        if (listener->address.ss_family == AF_INET && facts->listener4 == NULL)
            facts->listener4 = address;
        if (listener->address.ss_family == AF_INET6 && facts->listener6 == NULL)
            facts->listener6 = address;
    }
    for (size_t i = configuration->dns_count; i-- > 0;) /* the first of each family stays */
        *(configuration->dns[i].family == 4 ? &facts->dns4 : &facts->dns6) = &configuration->dns[i];
    ruleset_limit_name(facts->limit4, configuration, 4);
    ruleset_limit_name(facts->limit6, configuration, 6);
}

bool ruleset_rules_make(const struct configuration *configuration, ruleset_take *take,
                        void *context)
{
    struct ruleset_facts facts;

    find_facts(configuration, &facts);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct nftnl_rule *rule;

        if (!is_wanted(rows[i].wish, configuration, &facts))
            continue;
        rule = ruleset_row_build(&rows[i].row, &facts);
        if (rule == NULL || !take(context, rule))
            return false;
    }
    return ruleset_services_make(configuration, &facts, take, context);
}
