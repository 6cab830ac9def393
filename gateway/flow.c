/* SPDX-License-Identifier: BSD-2-Clause */
/* The beginning and the end of a client's connection: see flow.h. */
#include <stdlib.h>

#include "filters/memory.h"
#include "gateway/flow_private.h"
#include "gateway/relay.h"
#include "gateway/session.h"
#include "gateway/socket.h"

/* --- the end --- */

/*
 * A client that had hidden the name in its ClientHello (ECH) learned by our handshake that nobody
 * read it, and tries again without: not an error, but the record says that it happened. A made-up
 * ECH (GREASE, RFC 9849 section 6.2) never ends so.
 */
static void note_downgrade(struct flow *flow)
{
    if (flow->near == NULL || channel_alert(flow->near) != ALERT_ECH_REQUIRED || flow->downgraded)
        return;
    flow->downgraded = true;
    flow_report(flow, EVENT_DOWNGRADE, flow->finding.reason,
                "the client had encrypted its ClientHello and tries again without");
}

/* All but the two channels: nothing calls back into the flow any more. */
static void stop_work(struct flow *flow)
{
    note_downgrade(flow);
    deadline_clear(&flow->deadline);
    session_free(flow->session);
    flow->session = NULL;
    relay_free(flow->relay);
    flow->relay = NULL;
    connector_cancel(flow->connector);
    flow->connector = NULL;
    leaf_cancel(flow->leaf_request);
    fetch_wait_cancel(flow->fetch_wait);
    flow->fetch_wait = NULL;
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
        flow_report_relay(flow);
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

void flow_send_alert(struct flow *flow, enum alert alert)
{
    const uint8_t bytes[] = {21, 3, 3, 0, 2, 2, (uint8_t)alert};

    evbuffer_add(channel_output(flow->near), bytes, sizeof(bytes));
    flow_finish(flow, false);
}

static void on_timeout(void *context)
{
    struct flow *flow = context;

    bool by_client = flow->far == NULL || channel_ssl(flow->near) != NULL;

    flow_report(flow, flow->hello != NULL ? EVENT_REFUSE : EVENT_TLS_ERROR,
                by_client ? REASON_REQUEST_TIMEOUT : REASON_ORIGIN_TIMEOUT, flow->state);
    flow_end(flow);
}

/* --- beginning --- */

void flow_begin_session(struct flow *flow)
{
    flow->state = flow->http2 ? "http2" : "http";
    flow->session = session_new(flow);
}

void flow_tunnel(struct flow *flow)
{
    session_free(flow->session);
    flow->session = NULL;
    flow->is_explicit = false;
    flow->deadline.expired = on_timeout; /* the session had its own */
    if (flow->port == 80)
        flow_begin_session(flow);
    else
        flow_read_hello(flow);
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
    flow->near = channel_new(worker->base, fd, NULL, NULL);
    deadline_init(&flow->deadline, worker->base, on_timeout, flow);
    TAILQ_INSERT_TAIL(&worker->flows, flow, next);
    worker->flow_count++;
    if (!is_explicit)
        read_destination(flow, fd);
    if (is_explicit || flow->port == 80)
        flow_begin_session(flow);
    else
        flow_read_hello(flow);
}
