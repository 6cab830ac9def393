/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * HTTP/2: the two connections of a session. Their bytes go into the two adapters and come out of
 * them, one deadline serves all streams, and the pair ends together: when the origin takes no more
 * requests the client is told so by GOAWAY, and comes again on a new connection.
 */
#include "gateway/session_http2.h"

#include <stdlib.h>

#include "filters/memory.h"

#define READ_PIECE    16384 /* bytes of one read: a TLS record's worth */
#define TURNS         4     /* reads of one channel in one turn of the loop: as much as goes out */
#define OUTPUT        65536 /* bytes that wait for a socket */
#define WINDOW_FACTOR 4     /* a stream's window, in limits.buffer, */
#define STREAM_SHARE  4     /* and a connection's, in streams': so much waits at the most */
#define WINDOW_LEAST  65536 /* of a stream: more than is sniffed */
#define WINDOW_LIMIT  (1 << 24) /* of a stream */
#define NOTICE        1000      /* ms between the two GOAWAYs: a round trip of any client */

static void settle(struct session_http2 *session);

/* --- time --- */

void session_http2_schedule(struct session_http2 *session, int64_t at)
{
    int64_t now;

    if (session->armed != 0 && session->armed <= at)
        return;
    now = clock_monotonic();
    session->armed = at;
    deadline_set(&session->flow->deadline, at > now ? at - now : 1);
}

static void schedule_all(struct session_http2 *session)
{
    struct stream *stream;

    session->armed = 0;
    TAILQ_FOREACH (stream, &session->streams, next)
        if (stream->at != 0)
            session_http2_schedule(session, stream->at);
    if (session->idle_at != 0)
        session_http2_schedule(session, session->idle_at);
    if (session->drain_at != 0)
        session_http2_schedule(session, session->drain_at);
}

static void on_deadline(void *context)
{
    struct session_http2 *session = context;
    struct stream *stream;
    int64_t now = clock_monotonic();

    TAILQ_FOREACH (stream, &session->streams, next)
        if (!stream->dead && stream->at != 0 && stream->at <= now)
            session_http2_expire_stream(stream);
    if ((session->drain_at != 0 && session->drain_at <= now) ||
        (session->idle_at != 0 && session->idle_at <= now))
        session_http2_close(session);
    schedule_all(session);
    settle(session);
}

/* --- the end --- */

void session_http2_close(struct session_http2 *session)
{
    session->drain_at = 0;
    if (session->closing)
        return;
    session->draining = session->closing = true;
    http2_drain(session->near);
}

static void announce_close(struct session_http2 *session)
{
    if (session->draining)
        return;
    session->draining = true;
    http2_announce_drain(session->near);
    session->drain_at = clock_monotonic() + NOTICE;
    session_http2_schedule(session, session->drain_at);
}

/* Outside of events: what still waits for the origin is answered or sent again. */
static void lose_origin(struct session_http2 *session, const char *detail)
{
    struct stream *stream;

    if (session->far == NULL)
        return;
    session_http2_close(session);
    if (session->responses == 0 && TAILQ_EMPTY(&session->streams))
        flow_report_certificate_demand(session->flow);
    TAILQ_FOREACH (stream, &session->streams, next)
        session_http2_orphan_stream(stream, detail);
    http2_free(session->far);
    session->far = NULL;
    channel_free(session->flow->far);
    session->flow->far = NULL;
}

static void end(struct session_http2 *session)
{
    struct flow *flow = session->flow;

    if (session->ending == RESETS) {
        flow_reset(flow);
        return;
    }
    http2_pull(session->near, channel_output(flow->near), OUTPUT); /* GOAWAY */
    flow_finish(flow, false);
}

static void bury_streams(struct session_http2 *session)
{
    struct stream *stream, *after;

    for (stream = TAILQ_FIRST(&session->streams); stream != NULL; stream = after) {
        after = TAILQ_NEXT(stream, next);
        if (stream->dead)
            session_http2_free_stream(stream);
    }
}

/* --- bytes --- */

/* True when something moved, so that the other side may have something to say. */
static bool pull(struct session_http2 *session, struct http2 *connection, struct channel *channel)
{
    uint64_t events = session->event_count;

    if (connection == NULL || !http2_wants_pull(connection))
        return false;
    size_t waits = channel_pending(channel);
    if (waits >= OUTPUT)
        return false;
    http2_pull(connection, channel_output(channel), OUTPUT - waits);
    bool moved = channel_pending(channel) > waits || session->event_count != events;
    channel_flush(channel);
    return moved;
}

static void pull_all(struct session_http2 *session)
{
    struct flow *flow = session->flow;
    bool moved = true;

    while (moved && session->ending == STAYS) {
        moved = pull(session, session->near, flow->near);
        moved = pull(session, session->far, flow->far) || moved;
        if (session->far_fault != NULL && session->far != NULL) {
            lose_origin(session, session->far_fault);
            moved = true;
        }
    }
}

static enum channel_result read_into(struct session_http2 *session, struct http2 *connection,
                                     struct channel *channel)
{
    uint8_t *scratch = session->worker->scratch;
    enum channel_result result = CHANNEL_DATA;
    size_t got;

    for (int turn = 0; turn < TURNS && result == CHANNEL_DATA && session->ending == STAYS; turn++) {
        result = channel_read(channel, scratch, READ_PIECE, &got);
        if (result == CHANNEL_DATA)
            http2_feed(connection, scratch, got, clock_monotonic());
    }
    return result;
}

static void settle(struct session_http2 *session)
{
    struct flow *flow = session->flow;

    pull_all(session);
    bury_streams(session);
    if (session->ending == STAYS && TAILQ_EMPTY(&session->streams)) {
        if (session->closing || http2_is_over(session->near)) {
            session->ending = FINISHES;
        } else if (session->idle_at == 0) {
            session->idle_at = clock_monotonic() + session->worker->configuration->timeout_idle;
            session_http2_schedule(session, session->idle_at);
        }
    }
    if (session->ending != STAYS) {
        end(session);
        return;
    }
    /* Both are always read: what waits in the streams is bounded by the windows. */
    channel_want_read(flow->near, true);
    if (flow->far != NULL)
        channel_want_read(flow->far, true);
}

static void on_near(void *context, struct channel *channel, enum channel_event event)
{
    struct session_http2 *session = context;
    enum channel_result result = CHANNEL_AGAIN;

    if (event == CHANNEL_READABLE)
        result = read_into(session, session->near, channel);
    if (event == CHANNEL_FAILED || result == CHANNEL_END || result == CHANNEL_ERROR)
        session->ending = TAILQ_EMPTY(&session->streams) ? FINISHES : RESETS;
    settle(session);
}

static void on_far(void *context, struct channel *channel, enum channel_event event)
{
    struct session_http2 *session = context;
    enum channel_result result = CHANNEL_AGAIN;

    /* It may have answered before it stopped listening: what came is read first. */
    if (event == CHANNEL_READABLE || event == CHANNEL_FAILED)
        result = read_into(session, session->far, channel);
    if (session->far_fault != NULL)
        lose_origin(session, session->far_fault);
    else if (event == CHANNEL_FAILED || result == CHANNEL_END || result == CHANNEL_ERROR)
        lose_origin(session, "the origin closed the connection");
    settle(session);
}

/* --- beginning and end --- */

static void session_http2_free(struct session *base)
{
    struct session_http2 *session = (struct session_http2 *)base;

    while (!TAILQ_EMPTY(&session->streams))
        session_http2_free_stream(TAILQ_FIRST(&session->streams));
    http2_free(session->near);
    http2_free(session->far);
    session->flow->deadline.context = session->flow;
    free(session);
}

static void session_http2_drain(struct session *base, bool at_once)
{
    struct session_http2 *session = (struct session_http2 *)base;

    if (at_once)
        session_http2_close(session);
    else
        announce_close(session);
    settle(session);
}

static struct http2_options options_of(struct session_http2 *session, http2_handler *handler)
{
    const struct configuration *configuration = session->worker->configuration;
    struct http2_options options = HTTP2_DEFAULTS;
    size_t window = configuration->buffer * WINDOW_FACTOR;

    if (window < WINDOW_LEAST)
        window = WINDOW_LEAST;
    options.limits = configuration->http;
    options.stream_window = (uint32_t)(window < WINDOW_LIMIT ? window : WINDOW_LIMIT);
    options.connection_window = options.stream_window * STREAM_SHARE;
    options.handler = handler;
    options.context = session;
    return options;
}

struct session *session_http2_new(struct flow *flow)
{
    static const struct session_version version = {session_http2_free, session_http2_drain};
    struct session_http2 *session = memory_allocate(1, sizeof(*session));

    session->session.version = &version;
    session->flow = flow;
    session->worker = flow->worker;
    TAILQ_INIT(&session->streams);
    struct http2_options options = options_of(session, session_http2_near_event);
    session->near = http2_new_server(&options);
    channel_set_handler(flow->near, on_near, session);
    channel_want_read(flow->near, true);
    if (flow->far != NULL) {
        options.handler = session_http2_far_event;
        session->far = http2_new_client(&options);
        channel_set_handler(flow->far, on_far, session);
        channel_want_read(flow->far, true);
    }
    flow->deadline.expired = on_deadline;
    flow->deadline.context = session;
    session->idle_at = clock_monotonic() + flow->worker->configuration->timeout_head;
    schedule_all(session);
    if (flow->worker->draining)
        announce_close(session);
    pull_all(session); /* our SETTINGS, without waiting for the client's */
    return &session->session;
}
