/* SPDX-License-Identifier: BSD-2-Clause */
/* What happens to a TLS connection, decided before a byte of the client's leaves. */
#include "filters/filters.h"

#include <string.h>

static void decide(struct flow_finding *finding, enum flow_verdict verdict, enum reason reason)
{
    finding->verdict = verdict;
    finding->reason = reason;
}

static void classify(const struct policy *policy, struct span host, struct flow_finding *finding,
                     enum treatment *treatment)
{
    const struct hostset_entry *entry;
    finding->class = policy_classify(policy, host, &finding->service, &entry);
    *treatment = TREAT_INSPECT;
    if (!entry)
        return;
    finding->rule = entry->rule;
    /* a host that is known only as a call host carries no treatment */
    if (finding->class == CLASS_SERVICE)
        entry = hostset_find(finding->service->hosts, host);
    if (entry && finding->class != CLASS_DENIED && entry->tag == TREAT_SPLICE)
        *treatment = TREAT_SPLICE;
}

/* True when every request to the host would be blocked; then `finding` says why. */
static bool is_hopeless(const struct policy *policy, struct span host, struct flow_finding *finding)
{
    const struct url_pattern *attachment = policy_attachment_host(policy, host);
    if (finding->class == CLASS_DENIED) {
        finding->reason = REASON_DENIED_DESTINATION;
        return true;
    }
    if (!attachment)
        return false;
    finding->reason = REASON_CHAT_ATTACHMENT;
    finding->rule = attachment->rule;
    return true;
}

/*
 * A host that is never inspected: no request to it can be seen, so what may be opened at all is
 * passed on untouched, and what only some requests of would pass is refused. A release is for the
 * host then, whatever it named.
 */
static void judge_uninspected(const struct policy *policy, const struct standing *standing,
                              struct span host, struct flow_finding *finding)
{
    if (!finding->rule.file)
        finding->rule = hostset_find(policy->never, host)->rule;
    if (release_find_host(standing, host)) {
        finding->class = CLASS_RELEASED;
        decide(finding, FLOW_SPLICE, REASON_ALLOWED);
    } else if (is_hopeless(policy, host, finding)) {
        finding->verdict = FLOW_REFUSE;
    } else if (finding->class == CLASS_UNKNOWN && standing->consultation) {
        decide(finding, FLOW_REFUSE, REASON_UNVERIFIED_DESTINATION);
    } else if (finding->class == CLASS_UNKNOWN && policy->outside == OUTSIDE_DENY) {
        decide(finding, FLOW_REFUSE, REASON_UNKNOWN_DESTINATION);
    } else {
        decide(finding, FLOW_SPLICE, REASON_ALLOWED);
    }
}

static bool is_uninspected(const struct policy *policy, struct span host)
{
    return policy->never && hostset_find(policy->never, host);
}

/* A named host, or an address literal that a list may name. */
static void judge_host(const struct policy *policy, const struct standing *standing,
                       struct span host, bool alpn_is_http, struct flow_finding *finding)
{
    enum treatment treatment;
    classify(policy, host, finding, &treatment);
    if (is_uninspected(policy, host)) {
        judge_uninspected(policy, standing, host, finding);
    } else if (release_find_host(standing, host)) {
        /* the requests are judged one by one: the release may be for one of them only */
        finding->class = CLASS_RELEASED;
        decide(finding, FLOW_INSPECT, REASON_ALLOWED);
    } else if (is_hopeless(policy, host, finding)) {
        finding->verdict = FLOW_ANSWER;
    } else {
        decide(finding, treatment == TREAT_SPLICE ? FLOW_SPLICE : FLOW_INSPECT, REASON_ALLOWED);
    }
    if (finding->class != CLASS_DENIED)
        finding->call = policy_call_service(policy, host);
    if (alpn_is_http || finding->verdict == FLOW_SPLICE)
        return;
    /* nothing could be read of it, nor answered to it */
    if (finding->verdict == FLOW_INSPECT)
        finding->reason = REASON_NOT_WEB;
    finding->verdict = FLOW_REFUSE;
}

/* An address that a list or a release names. False when none does. */
static bool judge_literal(const struct policy *policy, const struct standing *standing,
                          const struct flow_facts *facts, struct flow_finding *finding)
{
    char literal[ADDRESS_TEXT];
    address_format(&facts->destination, literal);
    struct span host = span_of(literal);
    if (host.size == 0)
        return false;
    judge_host(policy, standing, host, facts->alpn_is_http, finding);
    if (finding->class == CLASS_UNKNOWN && !release_find_host(standing, host))
        return false;
    /* nobody asked for a name, so there is none to answer under */
    if (finding->verdict == FLOW_ANSWER)
        finding->verdict = FLOW_REFUSE;
    return true;
}

/* No usable name: the address alone speaks, where there is one. */
static void judge_nameless(const struct policy *policy, const struct standing *standing,
                           const struct flow_facts *facts, struct flow_finding *finding)
{
    const struct service *service = policy_service_by_address(policy, &facts->destination);
    if (service) {
        finding->class = CLASS_SERVICE;
        finding->service = service;
        finding->rule = service->rule;
        decide(finding, FLOW_SPLICE, REASON_ALLOWED);
        return;
    }
    if (judge_literal(policy, standing, facts, finding))
        return;
    if (policy->no_sni == NO_SNI_REFUSE || standing->consultation ||
        policy->outside == OUTSIDE_DENY)
        decide(finding, FLOW_REFUSE, REASON_NO_SNI);
    else if (!facts->alpn_is_http)
        decide(finding, FLOW_REFUSE, REASON_NOT_WEB);
    else
        decide(finding, FLOW_INSPECT, REASON_ALLOWED);
}

void filters_judge_flow(const struct policy *policy, const struct standing *standing,
                        const struct flow_facts *facts, struct flow_finding *finding)
{
    memset(finding, 0, sizeof(*finding));
    if (facts->sni.size)
        judge_host(policy, standing, facts->sni, facts->alpn_is_http, finding);
    else
        judge_nameless(policy, standing, facts, finding);
}
