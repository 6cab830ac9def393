/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * From a connection's first bytes to the policy's verdict on it: the ClientHello is read, the
 * filters asked, and then the flow is spliced, inspected, answered by ourselves or refused.
 */
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/flow_private.h"
#include "gateway/replica.h"

/* --- the verdict --- */

static void refuse(struct flow *flow, enum alert alert)
{
    flow_report(flow, EVENT_REFUSE, flow->finding.reason, NULL);
    flow_send_alert(flow, alert);
}

/* In observe mode nothing is stopped: it is said what would have been. */
static void apply_observe_mode(struct flow *flow)
{
    struct flow_finding *finding = &flow->finding;
    bool can_relay = flow->destination.family != 0 || flow->host[0] != '\0';

    if (flow->worker->configuration->policy.mode != MODE_OBSERVE)
        return;
    if (finding->verdict == FLOW_REFUSE && can_relay) {
        flow_report(flow, EVENT_WOULD_BLOCK, finding->reason, "refused before TLS");
        finding->verdict = FLOW_SPLICE;
    } else if (finding->verdict == FLOW_ANSWER) {
        finding->verdict = FLOW_INSPECT; /* each request says so by itself */
    }
}

/* What we must be able to speak with the client when we end its TLS. False when it was refused. */
static bool client_is_understood(struct flow *flow, const struct hello_facts *facts)
{
    const char *missing = offer_settle(&flow->offer);

    if (missing != NULL) {
        flow_report(flow, EVENT_TLS_ERROR, REASON_CLIENT_TLS, missing);
        flow_send_alert(flow, facts->version < TLS1_2_VERSION ? ALERT_PROTOCOL_VERSION
                                                              : ALERT_HANDSHAKE_FAILURE);
        return false;
    }
    if (facts->alpn_present && !facts->alpn_http1 && !flow->offers_http2) {
        flow_report(flow, EVENT_TLS_ERROR, REASON_CLIENT_TLS,
                    "the client offers no version of HTTP that is inspected");
        flow_send_alert(flow, ALERT_NO_APPLICATION_PROTOCOL);
        return false;
    }
    return true;
}

static void judge(struct flow *flow, const struct hello_facts *facts)
{
    struct worker *worker = flow->worker;
    struct standing standing;
    char connect_host[HOST_TEXT];
    struct flow_facts asked = {
        .destination = flow->destination,
        .alpn_is_http = !facts->alpn_present || facts->alpn_http1 || facts->alpn_h2,
    };

    /* CONNECT may have named the host; what the ClientHello says counts more. */
    memcpy(connect_host, flow->host, HOST_TEXT);
    if (facts->sni_present)
        memcpy(flow->host, facts->sni, HOST_TEXT);
    asked.sni = span_of(flow->host);
    flow->offer = facts->offer;
    flow->offers_alpn = facts->alpn_present;
    flow->offers_http1 = facts->alpn_http1;
    flow->offers_http2 = facts->alpn_h2 && worker->configuration->http2;
    flow->http2_first = facts->alpn_h2_first;
    replica_standing(worker->replica, flow->client->scope, &standing);
    filters_judge_flow(&worker->configuration->policy, &standing, &asked, &flow->finding);
    flow_sign(flow, flow->finding.call);
    if (connect_host[0] != '\0' && strcmp(connect_host, flow->host) != 0)
        flow_report(flow, EVENT_MISMATCH, flow->finding.reason, connect_host);
    apply_observe_mode(flow);
    switch (flow->finding.verdict) {
    case FLOW_SPLICE:
        flow_splice(flow);
        break;
    case FLOW_INSPECT:
        if (client_is_understood(flow, facts))
            flow_inspect(flow);
        break;
    case FLOW_ANSWER:
        if (client_is_understood(flow, facts))
            flow_answer(flow);
        break;
    case FLOW_REFUSE:
        refuse(flow, flow->finding.reason == REASON_NO_SNI ? ALERT_MISSING_EXTENSION
                                                           : ALERT_ACCESS_DENIED);
        break;
    }
}

/* --- reading the ClientHello --- */

/* Not TLS, or no ClientHello: the no-sni case of the policy, asked of the destination alone. */
static void judge_unreadable(struct flow *flow, enum hello_status status)
{
    struct standing standing;
    struct flow_facts asked = {
        .sni = span_of(flow->host), .destination = flow->destination, .alpn_is_http = false};

    replica_standing(flow->worker->replica, flow->client->scope, &standing);
    filters_judge_flow(&flow->worker->configuration->policy, &standing, &asked, &flow->finding);
    if (flow->finding.verdict != FLOW_SPLICE) {
        flow->finding.verdict = FLOW_REFUSE;
        flow->finding.reason = status == HELLO_NOT_TLS ? REASON_NOT_WEB : REASON_NO_SNI;
    }
    apply_observe_mode(flow);
    if (flow->finding.verdict == FLOW_SPLICE) {
        flow_splice(flow);
        return;
    }
    flow_report(flow, EVENT_REFUSE, flow->finding.reason,
                status == HELLO_NOT_TLS    ? "not TLS"
                : status == HELLO_TOO_LONG ? "the ClientHello is too long"
                                           : "the ClientHello is malformed");
    if (status == HELLO_NOT_TLS)
        flow_finish(flow, false);
    else
        flow_send_alert(flow, ALERT_DECODE_ERROR);
}

static void keep_hello_bytes(struct flow *flow, const uint8_t *bytes, size_t size)
{
    flow->hello_bytes = memory_resize(flow->hello_bytes, flow->hello_size + size, 1);
    memcpy(flow->hello_bytes + flow->hello_size, bytes, size);
    flow->hello_size += size;
}

/* True when the reading is over, and with it perhaps the flow. */
static bool take_hello_bytes(struct flow *flow, const uint8_t *bytes, size_t size)
{
    keep_hello_bytes(flow, bytes, size);
    enum hello_status status = hello_feed(flow->hello, bytes, size);
    if (status == HELLO_MORE)
        return false;
    channel_want_read(flow->near, false);
    deadline_clear(&flow->deadline);
    struct hello *hello = flow->hello;
    flow->hello = NULL;
    if (status == HELLO_DONE)
        judge(flow, hello_result(hello));
    else
        judge_unreadable(flow, status);
    hello_free(hello);
    return true;
}

static void on_hello_event(void *context, struct channel *channel, enum channel_event event)
{
    struct flow *flow = context;
    uint8_t *scratch = flow->worker->scratch;
    size_t got;

    if (event == CHANNEL_FAILED) {
        flow_end(flow);
        return;
    }
    if (event != CHANNEL_READABLE)
        return;
    for (;;) {
        /* Small reads: what comes after a hello belongs to the next layer. */
        enum channel_result result = channel_read(channel, scratch, 16384, &got);
        if (result == CHANNEL_DATA) {
            if (take_hello_bytes(flow, scratch, got))
                return;
        } else if (result == CHANNEL_AGAIN) {
            return;
        } else {
            if (flow->hello_size > 0)
                flow_report(flow, EVENT_REFUSE, REASON_NO_SNI, "closed in the ClientHello");
            flow_end(flow);
            return;
        }
    }
}

void flow_read_hello(struct flow *flow)
{
    flow->hello = hello_new();
    flow->state = "hello";
    deadline_set(&flow->deadline, flow->worker->configuration->timeout_hello);
    channel_set_handler(flow->near, on_hello_event, flow);
    channel_want_read(flow->near, true);
}
