/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * The way on, once the policy has spoken.
 *
 * - splice: connect to the name's own address, hand both sockets to a relay
 * - inspect: connect, handshake with the origin (verified), leaf, handshake with the client
 * - answer: leaf, handshake with the client, and nobody behind
 *
 * The last two end in a session.
 */
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/certificate.h"
#include "gateway/flow_private.h"
#include "gateway/relay.h"

#define HTTP1_PROTOCOL "\x08http/1.1" /* as ALPN writes them (RFC 7301, section 3.1) */
#define HTTP2_PROTOCOL "\x02h2"

/* --- the client's handshake --- */

static bool chose_protocol(const SSL *ssl)
{
    const unsigned char *name;
    unsigned size;

    SSL_get0_alpn_selected(ssl, &name, &size);
    return size > 0;
}

/* The client gets what the origin chose, and nothing where that chose nothing; that it offered this
 * is known from its ClientHello. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *in, unsigned in_size, void *argument)
{
    const struct flow *flow = SSL_get_app_data(ssl);
    const char *wanted = flow->http2 ? HTTP2_PROTOCOL : HTTP1_PROTOCOL;

    (void)argument;
    if (flow->far != NULL && !chose_protocol(channel_ssl(flow->far)))
        return SSL_TLSEXT_ERR_NOACK;
    if (SSL_select_next_proto((unsigned char **)out, out_size, (const unsigned char *)wanted,
                              (unsigned)strlen(wanted), in, in_size) != OPENSSL_NPN_NEGOTIATED)
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    return SSL_TLSEXT_ERR_OK;
}

void flow_prepare_client_context(SSL_CTX *context)
{
    SSL_CTX_set_alpn_select_cb(context, select_protocol, NULL);
}

static void on_near_event(void *context, struct channel *channel, enum channel_event event)
{
    struct flow *flow = context;

    if (event == CHANNEL_HANDSHAKEN) {
        flow_begin_session(flow);
    } else if (event == CHANNEL_FAILED && channel_alert(channel) == ALERT_ECH_REQUIRED) {
        flow_end(flow); /* which says what that was */
    } else if (event == CHANNEL_FAILED) {
        flow_report(flow, EVENT_TLS_ERROR, REASON_CLIENT_TLS, channel_error(channel));
        flow_end(flow);
    }
}

static void on_leaf(void *context, struct leaf *leaf)
{
    struct flow *flow = context;
    SSL *ssl;

    flow->leaf_request = NULL;
    ssl = leaf != NULL ? SSL_new(flow->worker->client_context) : NULL;
    if (ssl == NULL || SSL_set_app_data(ssl, flow) != 1 || leaf_install(leaf, ssl) != 0 ||
        (flow->far != NULL && !certificate_serve_as(ssl, channel_ssl(flow->far)))) {
        SSL_free(ssl);
        flow_report(flow, EVENT_ERROR, REASON_OVERLOAD, "no leaf from the signer");
        flow_send_alert(flow, ALERT_INTERNAL_ERROR);
        return;
    }
    flow->state = "client handshake";
    deadline_set(&flow->deadline, flow->worker->configuration->timeout_handshake);
    channel_set_handler(flow->near, on_near_event, flow);
    channel_replay(flow->near, flow->hello_bytes, flow->hello_size);
    free(flow->hello_bytes);
    flow->hello_bytes = NULL;
    channel_start_tls(flow->near, ssl, true);
}

/* The name that the client wants: its SNI, or the address that it went to. */
static void wanted_name(const struct flow *flow, char name[HOST_TEXT])
{
    if (flow->host[0] != '\0')
        memcpy(name, flow->host, HOST_TEXT);
    else
        address_format(&flow->destination, name);
}

static void get_leaf(struct flow *flow)
{
    char name[HOST_TEXT];
    uint8_t digest[32];
    bool has_origin = flow->far != NULL;
    int64_t not_after = 0;

    if (has_origin) {
        SSL *ssl = channel_ssl(flow->far);
        X509_digest(SSL_get0_peer_certificate(ssl), EVP_sha256(), digest, NULL);
        not_after = certificate_not_after(ssl);
    }
    flow->state = "leaf";
    wanted_name(flow, name);
    leaf_get(flow->worker->leaves, name, has_origin ? digest : NULL, not_after, on_leaf, flow,
             &flow->leaf_request);
}

/* --- reaching the origin --- */

static void report_mismatch(struct flow *flow, const struct connector_result *result)
{
    char address[ADDRESS_TEXT], text[128];

    if (!result->mismatch)
        return;
    address_format(&result->address, address);
    snprintf(text, sizeof(text), "the name is at %s", address);
    flow_report(flow, EVENT_MISMATCH, flow->finding.reason, text);
}

static void connect_origin(struct flow *flow, connector_callback *callback)
{
    char name[HOST_TEXT];

    wanted_name(flow, name);
    flow->state = "connecting";
    deadline_clear(&flow->deadline); /* the connector has its own */
    flow->connector = connector_new(flow->worker, name, flow->port,
                                    flow->destination.family != 0 ? &flow->destination : NULL,
                                    flow->finding.class, callback, flow);
}

/* --- the origin's handshake --- */

void flow_answer(struct flow *flow)
{
    flow->http2 = !flow->offers_http1 && flow->offers_http2;
    flow->answers = true;
    get_leaf(flow);
}

/* What the client is told when the handshake with the origin failed. It was the client's offer that
 * the origin had no use for: then the client hears so in the origin's own words. */
static enum alert origin_alert(const struct flow *flow)
{
    int alert = flow->far != NULL ? channel_alert(flow->far) : -1;

    switch (alert) {
    case ALERT_HANDSHAKE_FAILURE:
    case ALERT_PROTOCOL_VERSION:
    case ALERT_INAPPROPRIATE_FALLBACK:
        return (enum alert)alert;
    default:
        return ALERT_INTERNAL_ERROR;
    }
}

/* The origin is no good: an alert, or a page under a leaf of ours where the policy says so. */
static void refuse_origin(struct flow *flow, enum reason reason, const char *detail)
{
    enum alert alert =
        reason == REASON_ORIGIN_CERTIFICATE ? ALERT_BAD_CERTIFICATE : origin_alert(flow);

    flow_report(flow, EVENT_TLS_ERROR, reason, detail);
    channel_free(flow->far);
    flow->far = NULL;
    if (flow->worker->configuration->failure == FAILURE_PAGE) {
        flow->answer_reason = reason;
        flow_answer(flow);
        return;
    }
    flow_send_alert(flow, alert);
}

void flow_certificate_hint(const struct flow *flow, char *text, size_t size)
{
    char name[HOST_TEXT];

    wanted_name(flow, name);
    snprintf(
        text, size,
        "the origin demands a client's certificate; to relay it: clinic { splice = { \"%s\" } }",
        name);
}

void flow_report_certificate_demand(struct flow *flow)
{
    const SSL *ssl = flow->far != NULL ? channel_ssl(flow->far) : NULL;
    char hint[HINT_TEXT];

    if (ssl == NULL || !certificate_asked(ssl))
        return;
    flow_certificate_hint(flow, hint, sizeof(hint));
    flow_report(flow, EVENT_TLS_ERROR, REASON_CLIENT_CERTIFICATE, hint);
}

static bool chose_http2(const SSL *ssl)
{
    const unsigned char *name;
    unsigned size;

    SSL_get0_alpn_selected(ssl, &name, &size);
    return size == 2 && memcmp(name, "h2", 2) == 0;
}

/* The client could do nothing with what the origin speaks. */
static void refuse_protocol(struct flow *flow)
{
    flow_report(flow, EVENT_TLS_ERROR, REASON_ORIGIN_TLS,
                "the client offers h2 alone, which the origin does not speak");
    channel_free(flow->far);
    flow->far = NULL;
    flow_send_alert(flow, ALERT_NO_APPLICATION_PROTOCOL);
}

static void on_fetched(void *context)
{
    struct flow *flow = context;

    flow->fetch_wait = NULL;
    deadline_set(&flow->deadline, flow->worker->configuration->timeout_handshake);
    if (clock_monotonic() >= flow->fetch_until)
        certificate_stop_waiting(channel_ssl(flow->far));
    channel_resume(flow->far);
}

/* The origin's certificate is verified once more when it is there, or its time is over. */
static void wait_for_lists(struct flow *flow)
{
    int64_t now = clock_monotonic();

    if (flow->fetch_until == 0)
        flow->fetch_until = now + flow->worker->configuration->revocation_wait;
    flow->state = "revocation";
    deadline_clear(&flow->deadline); /* the wait has its own */
    flow->fetch_wait =
        fetching_wait(flow->worker->fetching, certificate_wanted(channel_ssl(flow->far)),
                      flow->fetch_until > now ? flow->fetch_until - now : 0, on_fetched, flow);
}

static void on_far_event(void *context, struct channel *channel, enum channel_event event)
{
    struct flow *flow = context;
    bool needs_http2 = flow->offers_alpn && !flow->offers_http1;

    flow->verify = certificate_verdict(channel_ssl(channel));
    if (event == CHANNEL_PAUSED) {
        wait_for_lists(flow);
    } else if (event == CHANNEL_HANDSHAKEN) {
        flow->http2 = chose_http2(channel_ssl(channel));
        if (needs_http2 && !flow->http2)
            refuse_protocol(flow);
        else
            get_leaf(flow);
    } else if (event == CHANNEL_FAILED && needs_http2 &&
               channel_alert(channel) == ALERT_NO_APPLICATION_PROTOCOL) {
        refuse_protocol(flow);
    } else if (event == CHANNEL_FAILED) {
        bool bad_certificate = strcmp(flow->verify, "ok") != 0 && strcmp(flow->verify, "none") != 0;
        char hint[HINT_TEXT];
        if (!bad_certificate && certificate_asked(channel_ssl(channel)) &&
            channel_alert(channel) >= 0) {
            flow_certificate_hint(flow, hint, sizeof(hint));
            refuse_origin(flow, REASON_CLIENT_CERTIFICATE, hint);
            return;
        }
        refuse_origin(flow, bad_certificate ? REASON_ORIGIN_CERTIFICATE : REASON_ORIGIN_TLS,
                      channel_error(channel));
    }
}

/* The origin is offered what the client offered, in its order; of what we speak. */
static bool offer_protocols(const struct flow *flow, SSL *ssl)
{
    if (!flow->offers_alpn)
        return true;
    const char *names = !flow->offers_http2   ? HTTP1_PROTOCOL
                        : !flow->offers_http1 ? HTTP2_PROTOCOL
                        : flow->http2_first   ? HTTP2_PROTOCOL HTTP1_PROTOCOL
                                              : HTTP1_PROTOCOL HTTP2_PROTOCOL;

    return SSL_set_alpn_protos(ssl, (const unsigned char *)names, (unsigned)strlen(names)) == 0;
}

static void on_origin_connected(void *context, const struct connector_result *result)
{
    struct flow *flow = context;
    char name[HOST_TEXT];

    flow->connector = NULL;
    if (result->fd >= 0 || result->reason == REASON_DENIED_COUNTRY)
        flow_note_origin(flow, &result->address);
    report_mismatch(flow, result);
    if (result->fd < 0 && result->reason == REASON_DENIED_COUNTRY) {
        flow_answer(flow); /* each request is told by itself */
        return;
    }
    if (result->fd < 0) {
        refuse_origin(flow, result->reason, NULL);
        return;
    }
    flow->far = channel_new(flow->worker->base, result->fd, on_far_event, flow);
    SSL *ssl = SSL_new(flow->worker->origin_context);
    wanted_name(flow, name);
    if (ssl == NULL || certificate_expect(ssl, name, &flow->offer) != 0 ||
        !offer_protocols(flow, ssl)) {
        SSL_free(ssl);
        refuse_origin(flow, REASON_ORIGIN_TLS, "the handshake could not be prepared");
        return;
    }
    flow->state = "origin handshake";
    deadline_set(&flow->deadline, flow->worker->configuration->timeout_handshake);
    channel_start_tls(flow->far, ssl, false);
}

void flow_inspect(struct flow *flow)
{
    connect_origin(flow, on_origin_connected);
}

/* --- splicing --- */

static void on_relay_connected(void *context, const struct connector_result *result)
{
    struct flow *flow = context;

    flow->connector = NULL;
    if (result->fd >= 0)
        flow_note_origin(flow, &result->address);
    report_mismatch(flow, result);
    if (result->fd < 0) {
        flow_report(flow, EVENT_ERROR, result->reason, NULL);
        flow_send_alert(flow, ALERT_INTERNAL_ERROR);
        return;
    }
    flow->state = "spliced";
    int client = channel_detach(flow->near);
    flow->near = NULL;
    flow->relay = relay_new(flow, client, result->fd, flow->hello_bytes, flow->hello_size);
    free(flow->hello_bytes);
    flow->hello_bytes = NULL;
}

void flow_splice(struct flow *flow)
{
    connect_origin(flow, on_relay_connected);
}
