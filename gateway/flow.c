/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * A client's connection until it is known what it is: see flow.h. For TLS: the ClientHello is read,
 * the policy asked, and then
 *
 *   splice   connect to the name's own address, hand both sockets to a relay
 *   inspect  connect, handshake with the origin (verified), leaf, handshake with the client,
 * session answer   leaf, handshake with the client, a session that answers without an origin refuse
 * a TLS alert
 */
#include "gateway/flow.h"

#include <netinet/tcp.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "filters/memory.h"
#include "gateway/certificate.h"
#include "gateway/log.h"
#include "gateway/relay.h"
#include "gateway/replica.h"
#include "gateway/session.h"
#include "gateway/socket.h"

/* TLS alert descriptions (RFC 8446, section 6). */
enum alert {
    ALERT_BAD_CERTIFICATE = 42,
    ALERT_ACCESS_DENIED = 49,
    ALERT_DECODE_ERROR = 50,
    ALERT_PROTOCOL_VERSION = 70,
    ALERT_INTERNAL_ERROR = 80,
    ALERT_MISSING_EXTENSION = 109, /* section 9.2: what a missing SNI meets */
    ALERT_NO_APPLICATION_PROTOCOL = 120
};

#define HTTP1_PROTOCOL "\x08http/1.1" /* as ALPN writes them (RFC 7301, section 3.1) */
#define HTTP2_PROTOCOL "\x02h2"

static void begin_session(struct flow *flow);

/* --- records --- */

static void look_up(const struct worker *worker, const struct address *address,
                    struct network_facts *facts)
{
    *facts = (struct network_facts){0};
    networks_look_up(worker->asn_database, address, facts);
    networks_look_up(worker->country_database, address, facts);
}

void flow_note_origin(struct flow *flow, const struct address *address)
{
    look_up(flow->worker, address, &flow->origin);
    flow->origin_known = true;
}

/* Of the origin; before there is one, of where the client wanted to go. */
static void record_networks(const struct flow *flow, struct record *record)
{
    struct network_facts facts = flow->origin;

    if (!flow->origin_known)
        look_up(flow->worker, &flow->destination, &facts);
    if (facts.asn != 0)
        record_set_number(record, RECORD_ASN, facts.asn);
    if (facts.country[0] != '\0')
        record_set_text(record, RECORD_COUNTRY, facts.country);
}

void flow_record(const struct flow *flow, enum record_event event, struct record *record)
{
    const struct configuration *configuration = flow->worker->configuration;
    char text[ADDRESS_TEXT + 8];

    record_init(record, event);
    record_set_text(record, RECORD_CLIENT, flow->client->text);
    if (flow->client->room >= 0)
        record_set_text(record, RECORD_ROOM, configuration->rooms[flow->client->room].name);
    if (flow->destination.family != 0) {
        char address[ADDRESS_TEXT];
        address_format(&flow->destination, address);
        snprintf(text, sizeof(text), flow->destination.family == 6 ? "[%s]:%u" : "%s:%u", address,
                 flow->port);
        record_set_text(record, RECORD_DST, text);
    }
    if (flow->host[0] != '\0')
        record_set_text(record, RECORD_SNI, flow->host);
    record_networks(flow, record);
}

void flow_record_reason(struct record *record, enum reason reason, struct rule rule)
{
    char text[512];

    record_set_text(record, RECORD_REASON, reason_code(reason));
    record_set_text(record, RECORD_ITEM, reason_item(reason));
    if (rule.file != NULL) {
        snprintf(text, sizeof(text), "%s:%u", rule.file, rule.line);
        record_set_text(record, RECORD_RULE, text);
    }
}

static void report(struct flow *flow, enum record_event event, enum reason reason,
                   const char *detail)
{
    struct record record;

    flow_record(flow, event, &record);
    flow_record_reason(&record, reason, flow->finding.rule);
    if (flow->finding.service != NULL)
        record_set_text(&record, RECORD_SERVICE, flow->finding.service->name);
    if (flow->verify != NULL)
        record_set_text(&record, RECORD_VERIFY, flow->verify);
    if (detail != NULL)
        record_set_text(&record, RECORD_DETAIL, detail);
    replica_record(flow->worker->replica, &record);
}

void flow_sign(struct flow *flow, const struct service *service)
{
    if (service != NULL)
        replica_sign(flow->worker->replica, flow->client->scope, service->name, flow->client->text);
}

/* --- the end --- */

/* A spliced flow is told of when it is over: only then are its bytes known. */
static void report_relay(struct flow *flow)
{
    struct record record;

    flow_record(flow, EVENT_SPLICE, &record);
    flow_record_reason(&record, flow->finding.reason, flow->finding.rule);
    if (flow->finding.service != NULL)
        record_set_text(&record, RECORD_SERVICE, flow->finding.service->name);
    record_set_number(&record, RECORD_BYTES_UP, flow->bytes_up);
    record_set_number(&record, RECORD_BYTES_DOWN, flow->bytes_down);
    record_set_number(&record, RECORD_MS, (uint64_t)(clock_monotonic() - flow->started));
    if (flow->worker->configuration->log_allowed)
        replica_record(flow->worker->replica, &record);
}

/* All but the two channels: nothing calls back into the flow any more. */
static void stop_work(struct flow *flow)
{
    deadline_clear(&flow->deadline);
    session_free(flow->session);
    flow->session = NULL;
    relay_free(flow->relay);
    flow->relay = NULL;
    connector_cancel(flow->connector);
    flow->connector = NULL;
    leaf_cancel(flow->leaf_request);
    flow->leaf_request = NULL;
    hello_free(flow->hello);
    flow->hello = NULL;
    free(flow->hello_bytes);
    flow->hello_bytes = NULL;
}

void flow_end(struct flow *flow)
{
    struct worker *worker = flow->worker;

    if (flow->relay != NULL)
        report_relay(flow);
    stop_work(flow);
    channel_free(flow->near);
    channel_free(flow->far);
    client_leave(worker, flow->client);
    TAILQ_REMOVE(&worker->flows, flow, next);
    worker->flow_count--;
    free(flow);
    worker_flow_ended(worker);
}

void flow_reset(struct flow *flow)
{
    stop_work(flow);
    channel_reset(flow->near);
    flow->near = NULL;
    flow_end(flow);
}

static void on_closing_event(void *context, struct channel *channel, enum channel_event event)
{
    struct flow *flow = context;

    if (event != CHANNEL_FINISHED)
        return;
    if (channel == flow->near)
        flow->near = NULL;
    else
        flow->far = NULL;
    channel_free(channel);
    if (flow->near == NULL && flow->far == NULL)
        flow_end(flow);
}

static bool all_has_left(const struct flow *flow)
{
    return (flow->near == NULL || channel_pending(flow->near) == 0) &&
           (flow->far == NULL || channel_pending(flow->far) == 0);
}

void flow_finish(struct flow *flow, bool both)
{
    stop_work(flow);
    flow->closing = true;
    flow->state = "closing";
    if (!both) {
        channel_free(flow->far);
        flow->far = NULL;
    }
    channel_finish_and_tell(flow->near, on_closing_event, flow);
    if (flow->far != NULL)
        channel_finish_and_tell(flow->far, on_closing_event, flow);
    if (flow->worker->child->stopping && all_has_left(flow))
        flow_end(flow); /* the peer's own goodbye is not waited for */
}

/* A fatal alert, in the clear: only before the handshake with the client began. */
static void send_alert(struct flow *flow, enum alert alert)
{
    const uint8_t bytes[] = {21, 3, 3, 0, 2, 2, (uint8_t)alert};

    evbuffer_add(channel_output(flow->near), bytes, sizeof(bytes));
    flow_finish(flow, false);
}

static void on_timeout(void *context)
{
    struct flow *flow = context;

    bool by_client = flow->far == NULL || channel_ssl(flow->near) != NULL;

    report(flow, flow->hello != NULL ? EVENT_REFUSE : EVENT_TLS_ERROR,
           by_client ? REASON_REQUEST_TIMEOUT : REASON_ORIGIN_TIMEOUT, flow->state);
    flow_end(flow);
}

/* --- the client's handshake --- */

/* The client gets what the origin chose; that it offered this is known from its ClientHello. */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *out_size,
                           const unsigned char *in, unsigned in_size, void *argument)
{
    const struct flow *flow = SSL_get_app_data(ssl);
    const char *wanted = flow->http2 ? HTTP2_PROTOCOL : HTTP1_PROTOCOL;

    (void)argument;
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
        begin_session(flow);
    } else if (event == CHANNEL_FAILED) {
        report(flow, EVENT_TLS_ERROR, REASON_CLIENT_TLS, channel_error(channel));
        flow_end(flow);
    }
}

static void on_leaf(void *context, struct leaf *leaf)
{
    struct flow *flow = context;
    SSL *ssl;

    flow->leaf_request = NULL;
    ssl = leaf != NULL ? SSL_new(flow->worker->client_context) : NULL;
    if (ssl == NULL || SSL_set_app_data(ssl, flow) != 1 || leaf_install(leaf, ssl) != 0) {
        SSL_free(ssl);
        report(flow, EVENT_ERROR, REASON_OVERLOAD, "no leaf from the signer");
        send_alert(flow, ALERT_INTERNAL_ERROR);
        return;
    }
    /* Never a higher version than the origin chose. */
    if (flow->far != NULL)
        SSL_set_max_proto_version(ssl, SSL_version(channel_ssl(flow->far)));
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

/* --- the origin's handshake --- */

/* A session without an origin, in what the client speaks. */
static void answer_alone(struct flow *flow)
{
    flow->http2 = !flow->offers_http1 && flow->offers_http2;
    flow->answers = true;
    get_leaf(flow);
}

/* The origin is no good: an alert, or a page under a leaf of ours where the policy says so. */
static void refuse_origin(struct flow *flow, enum reason reason, const char *detail)
{
    report(flow, EVENT_TLS_ERROR, reason, detail);
    channel_free(flow->far);
    flow->far = NULL;
    if (flow->worker->configuration->failure == FAILURE_PAGE) {
        flow->answer_reason = reason;
        answer_alone(flow);
        return;
    }
    send_alert(flow,
               reason == REASON_ORIGIN_CERTIFICATE ? ALERT_BAD_CERTIFICATE : ALERT_INTERNAL_ERROR);
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
    report(flow, EVENT_TLS_ERROR, REASON_CLIENT_CERTIFICATE, hint);
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
    report(flow, EVENT_TLS_ERROR, REASON_ORIGIN_TLS,
           "the client offers h2 alone, which the origin does not speak");
    channel_free(flow->far);
    flow->far = NULL;
    send_alert(flow, ALERT_NO_APPLICATION_PROTOCOL);
}

static void on_far_event(void *context, struct channel *channel, enum channel_event event)
{
    struct flow *flow = context;
    bool needs_http2 = flow->offers_alpn && !flow->offers_http1;

    flow->verify = certificate_verdict(channel_ssl(channel));
    if (event == CHANNEL_HANDSHAKEN) {
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

static void report_mismatch(struct flow *flow, const struct connector_result *result)
{
    char address[ADDRESS_TEXT], text[128];

    if (!result->mismatch)
        return;
    address_format(&result->address, address);
    snprintf(text, sizeof(text), "the name is at %s", address);
    report(flow, EVENT_MISMATCH, flow->finding.reason, text);
}

/* The origin is offered what the client offered, in its order; of what we speak. */
static bool offer_protocols(const struct flow *flow, SSL *ssl)
{
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
        answer_alone(flow); /* each request is told by itself */
        return;
    }
    if (result->fd < 0) {
        refuse_origin(flow, result->reason, NULL);
        return;
    }
    flow->far = channel_new(flow->worker->base, result->fd, on_far_event, flow);
    SSL *ssl = SSL_new(flow->worker->origin_context);
    wanted_name(flow, name);
    if (ssl == NULL || certificate_expect(ssl, name, flow->client_version) != 0 ||
        !offer_protocols(flow, ssl)) {
        SSL_free(ssl);
        refuse_origin(flow, REASON_ORIGIN_TLS, "the handshake could not be prepared");
        return;
    }
    flow->state = "origin handshake";
    deadline_set(&flow->deadline, flow->worker->configuration->timeout_handshake);
    channel_start_tls(flow->far, ssl, false);
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
        report(flow, EVENT_ERROR, result->reason, NULL);
        send_alert(flow, ALERT_INTERNAL_ERROR);
        return;
    }
    flow->state = "spliced";
    int client = channel_detach(flow->near);
    flow->near = NULL;
    flow->relay = relay_new(flow, client, result->fd, flow->hello_bytes, flow->hello_size);
    free(flow->hello_bytes);
    flow->hello_bytes = NULL;
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

/* --- the verdict --- */

static void refuse(struct flow *flow, enum alert alert)
{
    report(flow, EVENT_REFUSE, flow->finding.reason, NULL);
    send_alert(flow, alert);
}

/* In observe mode nothing is stopped: it is said what would have been. */
static void apply_observe_mode(struct flow *flow)
{
    struct flow_finding *finding = &flow->finding;
    bool can_relay = flow->destination.family != 0 || flow->host[0] != '\0';

    if (flow->worker->configuration->policy.mode != MODE_OBSERVE)
        return;
    if (finding->verdict == FLOW_REFUSE && can_relay) {
        report(flow, EVENT_WOULD_BLOCK, finding->reason, "refused before TLS");
        finding->verdict = FLOW_SPLICE;
    } else if (finding->verdict == FLOW_ANSWER) {
        finding->verdict = FLOW_INSPECT; /* each request says so by itself */
    }
}

/* What we must be able to speak with the client when we end its TLS. False when it was refused. */
static bool client_is_understood(struct flow *flow, const struct hello_facts *facts)
{
    if (facts->version < TLS1_2_VERSION) {
        report(flow, EVENT_TLS_ERROR, REASON_CLIENT_TLS, "the client offers no TLS 1.2");
        send_alert(flow, ALERT_PROTOCOL_VERSION);
        return false;
    }
    if (facts->alpn_present && !facts->alpn_http1 && !flow->offers_http2) {
        report(flow, EVENT_TLS_ERROR, REASON_CLIENT_TLS,
               "the client offers no version of HTTP that is inspected");
        send_alert(flow, ALERT_NO_APPLICATION_PROTOCOL);
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
    flow->client_version = facts->version;
    flow->offers_alpn = facts->alpn_present;
    flow->offers_http1 = facts->alpn_http1;
    flow->offers_http2 = facts->alpn_h2 && worker->configuration->http2;
    flow->http2_first = facts->alpn_h2_first;
    replica_standing(worker->replica, flow->client->scope, &standing);
    filters_judge_flow(&worker->configuration->policy, &standing, &asked, &flow->finding);
    flow_sign(flow, flow->finding.call);
    if (connect_host[0] != '\0' && strcmp(connect_host, flow->host) != 0)
        report(flow, EVENT_MISMATCH, flow->finding.reason, connect_host);
    apply_observe_mode(flow);
    switch (flow->finding.verdict) {
    case FLOW_SPLICE:
        connect_origin(flow, on_relay_connected);
        break;
    case FLOW_INSPECT:
        if (client_is_understood(flow, facts))
            connect_origin(flow, on_origin_connected);
        break;
    case FLOW_ANSWER:
        if (client_is_understood(flow, facts))
            answer_alone(flow);
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
        connect_origin(flow, on_relay_connected);
        return;
    }
    report(flow, EVENT_REFUSE, flow->finding.reason,
           status == HELLO_NOT_TLS    ? "not TLS"
           : status == HELLO_TOO_LONG ? "the ClientHello is too long"
                                      : "the ClientHello is malformed");
    if (status == HELLO_NOT_TLS)
        flow_finish(flow, false);
    else
        send_alert(flow, ALERT_DECODE_ERROR);
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
                report(flow, EVENT_REFUSE, REASON_NO_SNI, "closed in the ClientHello");
            flow_end(flow);
            return;
        }
    }
}

static void read_hello(struct flow *flow)
{
    flow->hello = hello_new();
    flow->state = "hello";
    flow->deadline.expired = on_timeout;
    deadline_set(&flow->deadline, flow->worker->configuration->timeout_hello);
    channel_set_handler(flow->near, on_hello_event, flow);
    channel_want_read(flow->near, true);
}

/* --- beginning --- */

static void begin_session(struct flow *flow)
{
    flow->state = flow->http2 ? "http2" : "http";
    flow->session = session_new(flow);
}

void flow_tunnel(struct flow *flow)
{
    session_free(flow->session);
    flow->session = NULL;
    flow->is_explicit = false;
    if (flow->port == 80)
        begin_session(flow);
    else
        read_hello(flow);
}

void flow_drain(struct flow *flow, bool at_once)
{
    if (flow->session != NULL)
        session_drain(flow->session, at_once);
    else if (flow->closing && at_once && all_has_left(flow))
        flow_end(flow);
}

/* The original destination of an intercepted connection is the local address of its socket. */
static void read_destination(struct flow *flow, int fd)
{
    struct sockaddr_storage local = {0};
    socklen_t size = sizeof(local);

    if (getsockname(fd, (struct sockaddr *)&local, &size) == 0)
        socket_address_read(&local, &flow->destination, &flow->port);
}

void flow_accept(struct worker *worker, int fd, bool is_explicit,
                 const struct sockaddr_storage *peer)
{
    struct address address;

    socket_address_read(peer, &address, NULL);
    struct client *client = client_enter(worker, &address);
    if (client == NULL) {
        channel_reset(channel_new(worker->base, fd, NULL, NULL));
        return;
    }
    struct flow *flow = memory_allocate(1, sizeof(*flow));
    flow->worker = worker;
    flow->client = client;
    flow->is_explicit = is_explicit;
    flow->started = clock_monotonic();
    flow->answer_reason = REASON_ALLOWED;
    flow->near = channel_new(worker->base, fd, on_near_event, flow);
    deadline_init(&flow->deadline, worker->base, on_timeout, flow);
    TAILQ_INSERT_TAIL(&worker->flows, flow, next);
    worker->flow_count++;
    if (!is_explicit)
        read_destination(flow, fd);
    if (is_explicit || flow->port == 80)
        begin_session(flow);
    else
        read_hello(flow);
}
